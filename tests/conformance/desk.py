"""A trader's hands and eyes: what a case does on the engine, and what it reads of the engine and of the venue.

It places, amends and cancels like a strategy does.  Nothing here names a venue: symbols, steps and sizes come from the
venue's instrument list by its codec.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import attrs
import pytest
import trio

from actors.journal.replay import read
from protocols.base import Message
from protocols.enums import ExecInst, ExecType, OrdStatus, OrdType, Side, TimeInForce
from protocols.ids import AccountID, ClOrdID, ClOrdIDs, StrategyID, Symbol
from protocols.instruments import Instrument, Product, ceil_to
from protocols.journal import OrderIntent
from protocols.market import Quote, Subscribe
from protocols.orders import (
    ROUTER,
    AmendOrder,
    CancelAll,
    CancelOrder,
    CancelRejected,
    ExecutionReport,
    NewOrder,
    OrderBatch,
    OrderRefused,
    account_path,
)
from protocols.positions import AccountPicture, AccountQuery
from protocols.reconcile import book_path
from supervisors.actor import Actor
from tests.conformance.subjects import Subject
from tools.engine.host import Host
from tools.simulator import Simulator
from tools.simulator.core.market import Market
from tools.simulator.core.model import Side as SimSide

ACCOUNT = AccountID("alpha")
DESK = "/desk"
PATIENCE_S = 20
_ASK_NS = 2_000_000_000
_SIDES = {Side.BUY: SimSide.BUY, Side.SELL: SimSide.SELL}

Heard = TypeVar("Heard", bound=Message)


class Ear(Actor):
    """Keeps what the desk is told."""

    def __init__(self, heard: list[Message]) -> None:
        self._heard = heard

    def receive(self, message: Message) -> None:
        self._heard.append(message)


@attrs.define(eq=False)
class Desk:
    """A trader's hands and eyes."""

    subject: Subject
    sim: Simulator
    host: Host
    instrument: Instrument
    market: Market
    heard: list[Message]
    data: Path
    _ids: ClOrdIDs
    _placing: str | None = None
    _small: Decimal | None = None

    def listen(self) -> None:
        """Read the book as a strategy would."""
        self.host.runtime.deliver(book_path(self.subject.venue, self.symbol), Subscribe(self.symbol, DESK))

    # ---- prices and sizes ---------------------------------------------------------------------------------------

    @property
    def symbol(self) -> Symbol:
        return self.instrument.symbol

    @property
    def bid(self) -> Decimal:
        """The venue's best bid, now."""
        top = self.market.top()
        assert top.bid is not None
        return top.bid

    @property
    def ask(self) -> Decimal:
        top = self.market.top()
        assert top.ask is not None
        return top.ask

    def asked_qty(self) -> Decimal:
        """What is offered at the best ask."""
        best = self.market.book.asks.best()
        assert best is not None
        return sum((order.open_qty for order in best.queue), Decimal(0))

    @property
    def small(self) -> Decimal:
        """A quantity a few times the venue's minimum, the same in every case."""
        if self._small is None:
            instrument = self.instrument
            value = instrument.min_notional / (self.bid * instrument.contract_size)
            self._small = ceil_to(max(value, instrument.min_qty, instrument.qty_step) * 4, instrument.qty_step)
        return self._small

    def away(self, side: Side, part: Decimal = Decimal("0.02")) -> Decimal:
        """A price that far on the passive side of the market."""
        price = self.bid * (1 - part) if side is Side.BUY else self.ask * (1 + part)
        return self.instrument.round_price(price, side)

    def through(self, side: Side, part: Decimal = Decimal("0.01")) -> Decimal:
        """A price that far on the other side of the market: it trades at once."""
        price = self.ask * (1 + part) if side is Side.BUY else self.bid * (1 - part)
        return self.instrument.round_price(price, side)

    # ---- what a strategy does -----------------------------------------------------------------------------------

    def order(
        self,
        side: Side,
        qty: Decimal,
        price: Decimal | None,
        *,
        ord_type: OrdType = OrdType.LIMIT,
        time_in_force: TimeInForce = TimeInForce.GTC,
        exec_inst: ExecInst = ExecInst.NONE,
        orig: ClOrdID | None = None,
    ) -> NewOrder:
        """An order, not placed yet; `orig` is the one that it replaces."""
        return NewOrder(
            cl_ord_id=self._ids.next(),
            account=ACCOUNT,
            strategy=StrategyID("desk"),
            venue=self.subject.venue,
            symbol=self.symbol,
            side=side,
            ord_type=ord_type,
            order_qty=qty,
            price=price,
            created_ns=self.host.runtime.clock.wall_ns(),
            reply_to=DESK,
            time_in_force=time_in_force,
            exec_inst=exec_inst,
            orig_cl_ord_id=orig,
        )

    def place(self, order: NewOrder) -> ClOrdID:
        """Through the router and every gate, as all orders go."""
        self.host.runtime.deliver(ROUTER, order)
        return order.cl_ord_id

    def place_batch(self, *orders: NewOrder) -> None:
        """In one message."""
        self.host.runtime.deliver(ROUTER, OrderBatch(orders))

    def cancel(self, cl_ord_id: ClOrdID) -> None:
        self._tell_account(CancelOrder(cl_ord_id, ACCOUNT, self.subject.venue, self.symbol, DESK))

    def amend(self, cl_ord_id: ClOrdID, order_qty: Decimal) -> None:
        self._tell_account(AmendOrder(cl_ord_id, ACCOUNT, self.subject.venue, self.symbol, order_qty, DESK))

    def change(self, cl_ord_id: ClOrdID, order_qty: Decimal, price: Decimal | None = None) -> None:
        """Ask for any terms, through the router and every gate."""
        amend = AmendOrder(
            cl_ord_id,
            ACCOUNT,
            self.subject.venue,
            self.symbol,
            order_qty,
            DESK,
            price,
            self._ids.next(),
            StrategyID("desk"),
            self.host.runtime.clock.wall_ns(),
        )
        self.host.runtime.deliver(ROUTER, amend)

    def cancel_all(self) -> None:
        self._tell_account(CancelAll(ACCOUNT, self.subject.venue, DESK))

    def _tell_account(self, message: Message) -> None:
        self.host.runtime.deliver(account_path(ACCOUNT, self.subject.venue), message)

    def queue_before(self, cl_ord_id: ClOrdID) -> Decimal:
        """What must be sold until it is this buy order's turn."""
        before = Decimal(0)
        for level in self.market.book.bids:
            for order in level.queue:
                if order.cl_ord_id == cl_ord_id:
                    return before
                before += order.open_qty
        raise AssertionError(f"{cl_ord_id} does not rest at the venue")

    async def broke(self) -> Decimal:
        """Take all free money of the account away; how much that was."""
        free, _ = self.sim.balances(ACCOUNT)[self.instrument.quote]
        self.sim.deposit(ACCOUNT, self.instrument.quote, -free)
        await self.agreement()
        return free

    async def flat(self) -> None:
        """Sell what is held, or buy back what is owed, so that a contract's position is closed."""
        held = self.held_at_venue()
        if self.instrument.product is Product.LINEAR and held:
            side = Side.SELL if held > 0 else Side.BUY
            closing = self.place(self.order(side, abs(held), self.through(side, Decimal("0.03"))))
            await self.status(closing, OrdStatus.FILLED)

    async def tidy(self) -> None:
        """After a case: no faults, no orders, and both sides agree."""
        self.sim.faults.clear()
        await self.ready()
        if self.sim.open_orders(ACCOUNT):
            self.cancel_all()
        with trio.fail_after(PATIENCE_S):
            while self.sim.open_orders(ACCOUNT):  # noqa: ASYNC110 - the venue's books have no event for it
                await trio.sleep(0.01)
        await self.flat()
        await self.agreement()

    # ---- what others do -----------------------------------------------------------------------------------------

    @contextmanager
    def nobody_else(self) -> Iterator[None]:
        """Others stand still, so that what rests in their way is filled by nobody but `trade_outside`."""
        street = self.sim.generator
        assert street is not None
        street.is_still = True
        try:
            yield
        finally:
            street.is_still = False

    def trade_outside(self, side: Side, qty: Decimal) -> None:
        """Somebody else takes liquidity."""
        self.sim.trade(self.market.symbol, _SIDES[side], qty)

    # ---- what a strategy hears ----------------------------------------------------------------------------------

    def reports(self, cl_ord_id: ClOrdID) -> list[ExecutionReport]:
        """Of one order, in the order heard."""
        return [m for m in self.heard if isinstance(m, ExecutionReport) and m.cl_ord_id == cl_ord_id]

    def fills(self, cl_ord_id: ClOrdID) -> list[ExecutionReport]:
        return [report for report in self.reports(cl_ord_id) if report.exec_type is ExecType.TRADE]

    async def status(self, cl_ord_id: ClOrdID, *wanted: OrdStatus) -> ExecutionReport:
        """Wait until the order has one of these states; its last report."""

        def found() -> ExecutionReport | None:
            reports = self.reports(cl_ord_id)
            return reports[-1] if reports and reports[-1].ord_status in wanted else None

        return await self._until(found, f"{cl_ord_id} to be {' or '.join(s.name for s in wanted)}")

    async def refusal(self, cl_ord_id: ClOrdID) -> OrderRefused:
        """Wait until the engine says that the order did not come to life."""

        def found() -> OrderRefused | None:
            refused = [m for m in self.heard if isinstance(m, OrderRefused) and m.cl_ord_id == cl_ord_id]
            return refused[-1] if refused else None

        return await self._until(found, f"a refusal of {cl_ord_id}")

    async def placing(self) -> str:
        """The venue's name for the request that places an order, as the simulator counts it: seen by placing one."""
        if self._placing is None:
            before = Counter(self.sim.venue.requests)
            probe = self.place(self.order(Side.BUY, self.small, self.away(Side.BUY)))
            await self.status(probe, OrdStatus.NEW)
            made = self.sim.venue.requests - before
            names = [name for name, count in made.items() if count == 1 and "order" in name.lower()]
            assert names, f"no request looks like a new order: {made}"
            self._placing = names[0]
            self.cancel(probe)
            await self.status(probe, OrdStatus.CANCELED)
        return self._placing

    async def end(self, cl_ord_id: ClOrdID, within_s: float = PATIENCE_S) -> ExecutionReport | OrderRefused:
        """Wait until the order is over; the last that was said of it."""

        def found() -> ExecutionReport | OrderRefused | None:
            ends = [m for m in self.heard if isinstance(m, OrderRefused | ExecutionReport) and m.cl_ord_id == cl_ord_id]
            last = ends[-1] if ends else None
            over = isinstance(last, OrderRefused) or (last is not None and last.ord_status.is_final)
            return last if over else None

        return await self._until(found, f"the end of {cl_ord_id}", within_s)

    async def came_to_nothing(self, cl_ord_id: ClOrdID) -> None:
        """Wait until the order is over without a fill: refused, rejected, canceled or expired."""

        await self.end(cl_ord_id)
        assert not self.fills(cl_ord_id)

    async def order_qty(self, cl_ord_id: ClOrdID, qty: Decimal) -> ExecutionReport:
        """Wait until the order's total quantity is that."""

        def found() -> ExecutionReport | None:
            reports = self.reports(cl_ord_id)
            return reports[-1] if reports and reports[-1].order_qty == qty else None

        return await self._until(found, f"{cl_ord_id} to be for {qty}")

    async def terms(self, cl_ord_id: ClOrdID, qty: Decimal, price: Decimal) -> ExecutionReport:
        """Wait until the order has this total and price, and no change of it is on its way."""

        def found() -> ExecutionReport | None:
            reports = self.reports(cl_ord_id)
            last = reports[-1] if reports else None
            if last is None or last.ord_status is OrdStatus.PENDING_REPLACE:
                return None
            return last if (last.order_qty, last.price) == (qty, price) else None

        return await self._until(found, f"{cl_ord_id} to be for {qty} at {price}")

    async def cancel_reject(self, cl_ord_id: ClOrdID) -> CancelRejected:
        """Wait for the refusal of a cancel or an amend."""

        def found() -> CancelRejected | None:
            refused = [m for m in self.heard if isinstance(m, CancelRejected) and m.cl_ord_id == cl_ord_id]
            return refused[-1] if refused else None

        return await self._until(found, f"a rejected cancel of {cl_ord_id}")

    async def heard_after(self, count: int, kind: type[Heard], within_s: float = PATIENCE_S) -> Heard:
        """Wait for a message of this kind among those heard after the first `count`."""

        def found() -> Heard | None:
            return next((m for m in self.heard[count:] if isinstance(m, kind)), None)

        return await self._until(found, f"a {kind.__name__}", within_s)

    async def quote(self) -> Quote:
        """The top of book that the engine has proven, once it is the venue's."""

        def found() -> Quote | None:
            quotes = [m for m in self.heard if isinstance(m, Quote)]
            last = quotes[-1] if quotes else None
            return last if last is not None and (last.bid_px, last.ask_px) == (self.bid, self.ask) else None

        return await self._until(found, "a quote that is the venue's own top of book")

    async def _until(self, look: Callable[[], Heard | None], what: str, within_s: float = PATIENCE_S) -> Heard:
        with trio.move_on_after(within_s):
            while (found := look()) is None:  # noqa: ASYNC110 - an event for each of these would be longer than the test
                await trio.sleep(0.005)
            return found
        told = "\n".join(f"  {m}" for m in self.heard if not isinstance(m, Quote))
        raise AssertionError(f"waited {within_s} s for {what}; heard:\n{told}\nnot ready: {self._not_ready()}")

    def _not_ready(self) -> Mapping[str, str]:
        return {c.path: c.unready_reason for c in self.host.runtime.cells() if not c.ready}

    # ---- what the engine and the venue believe ------------------------------------------------------------------

    async def ready(self, within_s: float = PATIENCE_S) -> None:
        """Wait until every actor's gate is open."""
        with trio.move_on_after(within_s):
            for cell in self.host.runtime.cells():
                await self.host.runtime.wait_ready(cell.path)
            return
        raise AssertionError(f"not ready after {within_s} s: {self._not_ready()}")

    async def picture(self) -> AccountPicture:
        """What the engine believes of the account."""
        found = await self.host.runtime.ask(account_path(ACCOUNT, self.subject.venue), AccountQuery(), _ASK_NS)
        assert isinstance(found, AccountPicture)
        return found

    async def agreement(self, within_s: float = PATIENCE_S) -> None:
        """Wait until engine and venue agree on orders, balances and positions; fails with the differences."""
        last = ["never compared"]
        with trio.move_on_after(within_s):
            while last:
                await self.ready()
                last = self._differences(await self.picture())
                await trio.sleep(0.02)
        assert last == []

    def _differences(self, picture: AccountPicture) -> list[str]:
        found = []
        believed = {order.cl_ord_id: order.cum_qty for order in picture.open_orders}
        real = {order.cl_ord_id: order.cum_qty for order in self.sim.open_orders(ACCOUNT)}
        if believed != real:
            found.append(f"open orders {believed} at the engine, {real} at the venue")
        totals = {b.asset: b.free + b.locked for b in picture.balances}
        for asset, (free, locked) in self.sim.balances(ACCOUNT).items():
            if totals.get(asset, Decimal(0)) != free + locked:
                found.append(f"{asset}: {totals.get(asset)} at the engine, {free + locked} at the venue")
        held = sum((p.qty for p in picture.positions if p.symbol == self.symbol), Decimal(0))
        if held != self.held_at_venue():
            found.append(f"position {held} at the engine, {self.held_at_venue()} at the venue")
        return found

    def held_at_venue(self) -> Decimal:
        """Net quantity of all fills at the venue, less the fees that were taken in what is traded."""
        net = Decimal(0)
        for fill in self.sim.account(ACCOUNT).fills.get(self.market.symbol, []):
            net += fill.trade.qty if fill.side is SimSide.BUY else -fill.trade.qty
            if self.instrument.product is Product.SPOT and fill.commission_asset == self.instrument.base:
                net -= fill.commission
        return net

    def audit(self) -> None:
        """The journal against the venue's books: every order's intent and every fill once, no order sent twice."""
        records = [stored.record for stored in read(self.data / "journal")]
        trades = [r.trade_id for r in records if isinstance(r, ExecutionReport) and r.exec_type is ExecType.TRADE]
        assert len(trades) == len(set(trades)), "a fill is twice in the journal"
        at_venue = sum(len(rows) for rows in self.sim.account(ACCOUNT).fills.values())
        assert len(trades) == at_venue, f"{len(trades)} fills in the journal, {at_venue} at the venue"
        intents = [r.order.cl_ord_id for r in records if isinstance(r, OrderIntent)]
        assert len(intents) == len(set(intents)), "an intent is twice in the journal"
        for cl_ord_id in intents:
            assert self.sim.arrivals(cl_ord_id).seen <= 1, f"{cl_ord_id} reached the venue more than once"


def needs(capability: object, why: str) -> None:
    """Skip the case where the venue cannot do it."""
    if not capability:
        pytest.skip(f"unsupported: {why}")
