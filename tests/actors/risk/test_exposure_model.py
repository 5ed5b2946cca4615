"""Exposure under every interleaving: never above a limit, never below the truth, always equal to a plain recount.

The machine plays accounts and venue: orders are approved, accepted, refused, filled in parts and canceled.  What the
gate hears of it comes late, twice, and around pictures that contain it already; the gate restarts and is rebuilt.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.risk.limits import FirmLimits
from protocols.enums import ExecType, OrdRejReason, Side
from protocols.ids import AccountID, Symbol
from protocols.orders import ExecutionReport, NewOrder, OrderRefused
from protocols.positions import AccountPicture
from tests.actors.risk.world import (
    BTC,
    ETH,
    MASTER,
    NOW_NS,
    SECOND,
    VENUE,
    D,
    GateWorld,
    only,
    open_order,
    order,
    picture,
    position,
    report,
    wide,
)

ZERO = D(0)
MAX_POSITION = D(12)
MAX_EXPOSURE = D(2_000)
BAND = D("0.1")
Key = tuple[AccountID, Symbol]


@attrs.define
class Known:
    """An approved order as it really is."""

    wish: NewOrder
    value_px: Decimal
    cum: Decimal = ZERO
    accepted: bool = False
    final: bool = False

    @property
    def leaves(self) -> Decimal:
        return D(0) if self.final else self.wish.order_qty - self.cum


class ExposureMachine(RuleBasedStateMachine):
    """See the module text."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = NOW_NS
        self.marks = {BTC: D(101), ETH: D(101)}
        self.moved = False
        self.known: dict[str, Known] = {}
        self.positions: dict[Key, Decimal] = {}
        self.channel: deque[ExecutionReport | OrderRefused | AccountPicture] = deque()
        """From the accounts to the gate."""
        self.delivered: list[ExecutionReport | OrderRefused] = []
        self.newest_ns = dict.fromkeys((MASTER, SECOND), NOW_NS)

    @initialize()
    def begin(self) -> None:
        self.world = self.fresh_gate()

    def fresh_gate(self) -> GateWorld:
        limits = wide(
            symbols=only(max_order_qty=D(6), max_position_qty=MAX_POSITION),
            max_exposure=MAX_EXPOSURE,
            price_band=BAND,
            max_quote_age_ns=10**18,
        )
        world = GateWorld(FirmLimits(**limits), "firm")
        for symbol, mark in self.marks.items():
            world.quote(symbol, str(mark - 2), str(mark))
        return world

    # ---- the world ---------------------------------------------------------------------------------------------

    @rule(
        account=st.sampled_from([MASTER, SECOND]),
        symbol=st.sampled_from([BTC, ETH]),
        side=st.sampled_from(list(Side)),
        qty=st.integers(1, 7),
        price=st.one_of(st.none(), st.integers(94, 106), st.just(300)),
    )
    def place(self, account: AccountID, symbol: Symbol, side: Side, qty: int, price: int | None) -> None:
        wish = order(side, D(qty), None if price is None else D(price), account=account, symbol=symbol)
        row = self.world.exposure.row(account, self.world.exposure.market(VENUE, symbol))
        same_side = row.buy.qty if side is Side.BUY else row.sell.qty
        closes = -side.sign * row.position
        reducing = same_side + qty <= closes
        refusal = self.world.ask(wish)
        if reducing:
            assert refusal is None, f"a reduction was refused: {refusal}"
        if refusal is None:
            self.known[wish.cl_ord_id] = Known(wish, self.worst_price(wish))

    def worst_price(self, wish: NewOrder) -> Decimal:
        mark = self.marks[wish.symbol]
        return mark * (1 + BAND) if wish.price is None else max(wish.price, mark)

    def some(self, data: st.DataObject, *, accepted: bool) -> Known | None:
        orders = [known for known in self.known.values() if not known.final and known.accepted is accepted]
        return data.draw(st.sampled_from(orders)) if orders else None

    def tell(self, message: ExecutionReport | OrderRefused) -> None:
        self.channel.append(message)

    def stamp(self, account: AccountID) -> int:
        self.clock += 1
        self.newest_ns[account] = self.clock
        return self.clock

    @rule(data=st.data())
    def accept(self, data: st.DataObject) -> None:
        known = self.some(data, accepted=False)
        if known is not None:
            known.accepted = True
            self.tell(report(known.wish, received_ns=self.stamp(known.wish.account)))

    @rule(data=st.data())
    def refuse(self, data: st.DataObject) -> None:
        known = self.some(data, accepted=False)
        if known is not None:
            known.final = True
            wish = known.wish
            self.tell(
                OrderRefused(
                    wish.cl_ord_id, wish.account, wish.strategy, wish.venue, wish.symbol, OrdRejReason.NOT_SENT, ""
                )
            )

    @rule(data=st.data(), share=st.integers(1, 7))
    def trade(self, data: st.DataObject, share: int) -> None:
        known = self.some(data, accepted=True)
        if known is None:
            return
        wish = known.wish
        last = min(D(share), known.leaves)
        known.cum += last
        known.final = known.cum == wish.order_qty
        key = (wish.account, wish.symbol)
        self.positions[key] = self.positions.get(key, D(0)) + wish.side.sign * last
        self.tell(report(wish, ExecType.TRADE, known.cum, last, received_ns=self.stamp(wish.account)))

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        known = self.some(data, accepted=True)
        if known is not None:
            known.final = True
            stamp = self.stamp(known.wish.account)
            self.tell(report(known.wish, ExecType.CANCELED, known.cum, received_ns=stamp))

    @rule(symbol=st.sampled_from([BTC, ETH]), mark=st.integers(90, 112))
    def market_moves(self, symbol: Symbol, mark: int) -> None:
        self.moved = self.moved or mark != self.marks[symbol]
        self.marks[symbol] = D(mark)
        self.world.quote(symbol, str(mark - 2), str(mark))

    # ---- what the gate hears -----------------------------------------------------------------------------------

    @rule(count=st.integers(1, 8))
    def deliver(self, count: int) -> None:
        for _ in range(min(count, len(self.channel))):
            self.hear(self.channel.popleft())

    def hear(self, message: ExecutionReport | OrderRefused | AccountPicture) -> None:
        exposure = self.world.exposure
        if isinstance(message, AccountPicture):
            exposure.rebuild(message, message.taken_ns)
            return
        self.delivered.append(message)
        if isinstance(message, ExecutionReport):
            exposure.report(message)
        else:
            exposure.release(message.cl_ord_id)

    @precondition(lambda self: self.delivered)
    @rule(data=st.data())
    def hear_again(self, data: st.DataObject) -> None:
        message = data.draw(st.sampled_from(self.delivered))
        if isinstance(message, ExecutionReport):
            self.world.exposure.report(message)
        else:
            self.world.exposure.release(message.cl_ord_id)

    def taken(self, account: AccountID) -> AccountPicture:
        """The account's picture of itself now; orders in flight have not reached it."""
        orders = [k for k in self.known.values() if k.wish.account == account and k.accepted and not k.final]
        return picture(
            tuple(open_order(known.wish, known.cum) for known in orders),
            tuple(
                position(qty, symbol, account) for (owner, symbol), qty in self.positions.items() if owner == account
            ),
            self.newest_ns[account] + 1,
            account,
        )

    @rule(account=st.sampled_from([MASTER, SECOND]), overtakes=st.booleans())
    def account_resyncs(self, account: AccountID, overtakes: bool) -> None:
        """Its picture comes in order with its reports, or before those that are on their way."""
        taken = self.taken(account)
        if overtakes:
            self.channel = deque(
                message
                for message in self.channel
                if not (isinstance(message, AccountPicture) and message.account == account)
            )
            self.hear(taken)
        else:
            self.channel.append(taken)

    @rule()
    def gate_restarts(self) -> None:
        """Approved orders have reached their accounts; the pictures overtake the reports that are on their way."""
        for known in self.known.values():
            if not known.accepted and not known.final:
                known.accepted = True
                self.tell(report(known.wish, received_ns=self.stamp(known.wish.account)))
        self.channel = deque(message for message in self.channel if not isinstance(message, AccountPicture))
        self.delivered.clear()  # what a former incarnation heard is not repeated to this one
        self.world = self.fresh_gate()
        for account in (MASTER, SECOND):
            taken = self.taken(account)
            self.world.exposure.rebuild(taken, taken.taken_ns)
        for known in self.known.values():
            known.value_px = self.worst_price(known.wish)

    # ---- what must hold ----------------------------------------------------------------------------------------

    def recount(self) -> dict[Key, dict[str, Any]]:
        """The plain way: from all orders and positions, each time anew."""
        rows: dict[Key, dict[str, Any]] = {}
        for account in (MASTER, SECOND):
            for symbol in (BTC, ETH):
                live = [
                    k
                    for k in self.known.values()
                    if (k.wish.account, k.wish.symbol) == (account, symbol) and not k.final
                ]
                held, mark = self.positions.get((account, symbol), D(0)), self.marks[symbol]
                row: dict[str, Any] = {"position": held, "orders": len(live)}
                for side in Side:
                    orders = [known for known in live if known.wish.side is side]
                    qty = sum((known.leaves for known in orders), D(0))
                    cost = sum((known.leaves * known.value_px for known in orders), D(0)) + side.sign * held * mark
                    net = qty + side.sign * held
                    row[side.value] = qty
                    row[f"net {side.value}"] = net
                    row[f"worth {side.value}"] = max(cost, net * mark) if net > 0 else D(0)
                row["worst"] = max(row["net BUY"], row["net SELL"])
                row["worth"] = max(row["worth BUY"], row["worth SELL"])
                rows[account, symbol] = row
        return rows

    @invariant()
    def limits_hold_in_truth(self) -> None:
        rows = self.recount()
        for symbol in (BTC, ETH):
            assert rows[MASTER, symbol]["worst"] + rows[SECOND, symbol]["worst"] <= MAX_POSITION
        if not self.moved:
            # A mark that moves lifts exposure without an order; nothing that a gate decides does.
            assert sum(row["worth"] for row in rows.values()) <= MAX_EXPOSURE

    @invariant()
    def belief_is_never_below_truth(self) -> None:
        exposure = self.world.exposure
        for (account, symbol), row in self.recount().items():
            believed = exposure.row(account, exposure.market(VENUE, symbol))
            assert believed.qty >= row["worst"]

    @precondition(lambda self: not self.channel)
    @invariant()
    def belief_is_the_truth_once_everything_is_heard(self) -> None:
        exposure = self.world.exposure
        rows = self.recount()
        for (account, symbol), row in rows.items():
            believed = exposure.row(account, exposure.market(VENUE, symbol))
            assert believed.position == row["position"]
            assert believed.orders == row["orders"]
            assert (believed.buy.qty, believed.sell.qty) == (row["BUY"], row["SELL"])
            assert (believed.qty, believed.worth) == (row["worst"], row["worth"])
        assert exposure.worth == sum(row["worth"] for row in rows.values())
        live = {key: known for key, known in self.known.items() if not known.final}
        assert set(exposure.orders) == set(live)
        for symbol in (BTC, ETH):
            total = exposure.totals[symbol]
            assert total.qty == rows[MASTER, symbol]["worst"] + rows[SECOND, symbol]["worst"]
            assert total.notional == rows[MASTER, symbol]["worth"] + rows[SECOND, symbol]["worth"]
            market = exposure.market(VENUE, symbol)
            for side, resting in ((Side.BUY, market.own_buys), (Side.SELL, market.own_sells)):
                assert resting == sorted(
                    known.wish.price
                    for known in live.values()
                    if known.wish.symbol == symbol and known.wish.side is side and known.wish.price is not None
                )


ExposureMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)
TestExposure = pytest.mark.req("R038")(ExposureMachine.TestCase)
