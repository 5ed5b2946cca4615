"""One account on any venue: its real sessions, account actor and journal, against the simulator's real sockets.

Nothing here knows a venue: codecs, signers and limits come from the registry, the instrument from the venue's own list,
the words for requests from what the simulator counts.  The test stands where strategy, gates and portfolio would.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path as FilePath
from typing import Any

import attrs
import trio

from actors.account.actor import AccountActor
from actors.account.settings import AccountSettings
from actors.journal.actor import JournalActor
from actors.journal.home import JournalHome
from actors.venue.clock import ClockActor
from actors.venue.entry import OrderEntryActor
from actors.venue.http import HttpClient
from actors.venue.instruments import InstrumentsActor
from actors.venue.limiter import LimiterActor
from actors.venue.private import PrivateStreamActor
from actors.venue.reconciler import ReconcilerActor
from actors.venue.sent import SentOnce
from actors.venue.settings import MS, SECOND, EntrySettings, ReconnectSettings, VenueEndpoints
from protocols.control import InstrumentsChanged
from protocols.enums import ExecInst, ExecType, OrdStatus, OrdType, Side, TimeInForce
from protocols.ids import AccountID, ClOrdID, ClOrdIDs, Path, StrategyID, Symbol, Venue
from protocols.instruments import Instrument, Product, ceil_to
from protocols.journal import JOURNAL
from protocols.orders import (
    FIRM_GATE,
    AmendOrder,
    CancelAll,
    CancelOrder,
    ExecutionReport,
    NewOrder,
    OrderRefused,
    RiskApproved,
    account_gate,
    account_path,
)
from protocols.positions import PORTFOLIO, AccountPicture, AccountQuery
from protocols.reconcile import (
    InstrumentsQuery,
    clock_path,
    entry_path,
    instruments_path,
    limiter_path,
    private_path,
    reconciler_path,
)
from protocols.venue import ListenKeys, PrivateCodec, SessionRules
from protocols.venues.registry import VENUES, VenueOptions, VenueParts
from supervisors.actor import Actor
from supervisors.clock import SystemClock
from tests.actors.venue.spot import CLOCKS, QUICK, TRANSPORT
from tests.actors.venue.world import Inbox, Probe, World, running
from tools.simulator import Fault, FaultKind, GeneratorConfig, Simulator, SimulatorConfig, demo_account, open_simulator
from tools.simulator import Side as SimSide
from tools.simulator.core import families
from tools.simulator.core.market import Market

ACCOUNT = AccountID("alpha")
MAKER = StrategyID("maker")
DESK = "/desk"
KINDS = tuple(kind for kind, parts in VENUES.items() if parts.family in families.available())
"""Every kind of venue that has a simulator."""
ONE_EACH = tuple({VENUES[kind].family: kind for kind in KINDS}.values())
"""One kind of each family: for what two products of one exchange do alike."""
PROMPT = AccountSettings(
    report_patience_ns=300 * MS, audit_ns=60 * SECOND, reconcile_first_retry_ns=100 * MS, settle_ns=1 * SECOND
)
ENTERS = EntrySettings(request_window_ns=800 * MS, skew_ns=100 * MS, reply_timeout_ns=500 * MS)
_SIDES = {Side.BUY: SimSide.BUY, Side.SELL: SimSide.SELL}
_PATIENCE_S = 15


def parts_of(kind: str) -> VenueParts:
    """The registry's row."""
    return VENUES[kind]


@attrs.define(eq=False)
class Anywhere:
    """A trader's hands and eyes, and the venue's books."""

    kind: str
    sim: Simulator
    world: World
    instrument: Instrument
    market: Market
    heard: Inbox
    """By the strategy."""
    gate: Inbox
    portfolio: Inbox
    ids: ClOrdIDs
    codecs: dict[str, PrivateCodec]

    # ---- addresses ----------------------------------------------------------------------------------------------

    @property
    def venue(self) -> Venue:
        return Venue(self.kind)

    @property
    def parts(self) -> VenueParts:
        return VENUES[self.kind]

    @property
    def account(self) -> Path:
        return account_path(ACCOUNT, self.venue)

    @property
    def entry(self) -> Path:
        return entry_path(ACCOUNT, self.venue)

    @property
    def private(self) -> Path:
        return private_path(ACCOUNT, self.venue)

    @property
    def reconciler(self) -> Path:
        return reconciler_path(ACCOUNT, self.venue)

    @property
    def clock(self) -> Path:
        return clock_path(self.venue)

    @property
    def symbol(self) -> Symbol:
        return self.instrument.symbol

    # ---- prices and sizes ---------------------------------------------------------------------------------------

    def top(self, side: Side) -> Decimal:
        """The venue's best price of a side of the book."""
        ((price, *_),) = self.market.depth(_SIDES[side], 1)
        return Decimal(price)

    def depth(self, side: Side) -> list[tuple[Decimal, Decimal]]:
        """Prices and quantities of a side of the book, the best first."""
        return [(Decimal(row[0]), Decimal(row[1])) for row in self.market.depth(_SIDES[side], 1_000)]

    @property
    def small(self) -> Decimal:
        """A quantity a few times the venue's minimum."""
        instrument = self.instrument
        value = instrument.min_notional / (self.top(Side.BUY) * instrument.contract_size)
        return ceil_to(max(value, instrument.min_qty, instrument.qty_step) * 4, instrument.qty_step)

    def away(self, side: Side, part: str = "0.03") -> Decimal:
        """A price that rests."""
        price = self.top(side) * (1 - Decimal(part) if side is Side.BUY else 1 + Decimal(part))
        return self.instrument.round_price(price, side)

    def through(self, side: Side, part: str = "0.01") -> Decimal:
        """A price that trades."""
        other = Side.SELL if side is Side.BUY else Side.BUY
        price = self.top(other) * (1 + Decimal(part) if side is Side.BUY else 1 - Decimal(part))
        return self.instrument.round_price(price, side)

    # ---- commands -----------------------------------------------------------------------------------------------

    def order(
        self, side: Side = Side.BUY, qty: Decimal | None = None, price: Decimal | None = None, **more: Any
    ) -> NewOrder:
        """A LIMIT order, resting unless a price says otherwise."""
        return NewOrder(
            more.pop("cl_ord_id", None) or self.ids.next(),
            ACCOUNT,
            MAKER,
            self.venue,
            self.symbol,
            side,
            more.pop("ord_type", OrdType.LIMIT),
            qty if qty is not None else self.small,
            price if price is not None else self.away(side),
            SystemClock.wall_ns(),
            DESK,
            more.pop("time_in_force", TimeInForce.GTC),
            more.pop("exec_inst", ExecInst.NONE),
            **more,
        )

    def place(self, *orders: NewOrder) -> list[ClOrdID]:
        """Approved by the gates, all in one step."""
        for order in orders:
            self.world.runtime.deliver(self.account, RiskApproved(order), "")
        self.world.runtime.pump()
        return [order.cl_ord_id for order in orders]

    def cancel(self, cl_ord_id: ClOrdID) -> None:
        self.world.tell(self.account, CancelOrder(cl_ord_id, ACCOUNT, self.venue, self.symbol, DESK))

    def cancel_all(self) -> None:
        self.world.tell(self.account, CancelAll(ACCOUNT, self.venue, DESK))

    def amend(self, cl_ord_id: ClOrdID, qty: Decimal) -> None:
        self.world.tell(self.account, AmendOrder(cl_ord_id, ACCOUNT, self.venue, self.symbol, qty, DESK))

    async def resting(self, side: Side = Side.BUY, qty: Decimal | None = None) -> ClOrdID:
        """An order that works at the venue."""
        (cl_ord_id,) = self.place(self.order(side, qty))
        await self.status(cl_ord_id, OrdStatus.NEW)
        return cl_ord_id

    async def bought(self, qty: Decimal | None = None) -> ClOrdID:
        """An order that filled at once."""
        (cl_ord_id,) = self.place(self.order(Side.BUY, qty, self.through(Side.BUY)))
        await self.status(cl_ord_id, OrdStatus.FILLED)
        return cl_ord_id

    def outside(self, side: Side, qty: Decimal) -> None:
        """Somebody else takes liquidity."""
        self.sim.trade(self.market.symbol, _SIDES[side], qty)

    async def by_hand(self, order: NewOrder) -> None:
        """The owner orders with another program: by REST, with a name that is not ours."""
        codec = self.codecs["hand"]
        request = codec.rest_new_order(order, self.sim.clock.now_ns())
        async with HttpClient(self.sim.rest_url, TRANSPORT, now_ns=SystemClock.wall_ns) as http:
            reply = await http.request(request)
        assert codec.error(reply) is None, reply.body

    def ahead_of(self, cl_ord_id: ClOrdID) -> Decimal:
        """What must be sold until it is this buy order's turn."""
        before = Decimal(0)
        for level in self.market.book.bids:
            for order in level.queue:
                if order.cl_ord_id == cl_ord_id:
                    return before
                before += order.open_qty
        raise AssertionError(f"{cl_ord_id} does not rest at the venue")

    # ---- what is heard ------------------------------------------------------------------------------------------

    def reports(self, cl_ord_id: ClOrdID) -> list[ExecutionReport]:
        return [each for each in self.heard.of(ExecutionReport) if each.cl_ord_id == cl_ord_id]

    def fills(self, cl_ord_id: ClOrdID) -> list[ExecutionReport]:
        return [each for each in self.reports(cl_ord_id) if each.exec_type is ExecType.TRADE]

    async def status(self, cl_ord_id: ClOrdID, *wanted: OrdStatus) -> ExecutionReport:
        """Wait until the order stands there; its last report."""
        await self.until(
            lambda: bool(self.reports(cl_ord_id)) and self.reports(cl_ord_id)[-1].ord_status in wanted,
            f"{cl_ord_id} to be {[each.value for each in wanted]}",
        )
        return self.reports(cl_ord_id)[-1]

    async def refused(self, cl_ord_id: ClOrdID) -> OrderRefused:
        """Wait for a refusal, by us or by the venue at once."""
        return await self.heard.one(OrderRefused, lambda each: each.cl_ord_id == cl_ord_id)

    async def end(self, cl_ord_id: ClOrdID) -> ExecutionReport | OrderRefused:
        """Wait until the order is over."""

        def last() -> ExecutionReport | OrderRefused | None:
            said = [m for m in self.heard.messages if isinstance(m, ExecutionReport | OrderRefused)]
            of_it = [m for m in said if m.cl_ord_id == cl_ord_id]
            over = of_it and (isinstance(of_it[-1], OrderRefused) or of_it[-1].ord_status.is_final)
            return of_it[-1] if over else None

        await self.until(lambda: last() is not None, f"the end of {cl_ord_id}")
        found = last()
        assert found is not None
        return found

    async def end_or_rest(self, cl_ord_id: ClOrdID) -> OrdStatus:
        """Where an order stands once the venue has decided about it; a refusal counts as REJECTED."""

        def stands() -> OrdStatus | None:
            if any(each.cl_ord_id == cl_ord_id for each in self.heard.of(OrderRefused)):
                return OrdStatus.REJECTED
            reports = self.reports(cl_ord_id)
            return reports[-1].ord_status if reports else None

        await self.until(lambda: stands() is not None, f"a decision about {cl_ord_id}")
        found = stands()
        assert found is not None
        return found

    async def until(self, condition: Callable[[], bool], what: str = "") -> None:
        """Wait until something is so; what was heard, when it never is."""
        with trio.move_on_after(_PATIENCE_S):
            while not condition():  # noqa: ASYNC110 - there is nobody to tell us
                await trio.sleep(0.005)
            return
        raise AssertionError(
            f"waited for {what}; heard {self.heard.messages[-8:]}; entry {dict(self.world.inspect(self.entry))}; "
            f"account {dict(self.world.inspect(self.account))}; not ready {self.not_ready()}; "
            f"crashes {[event for event in self.world.events if event.what == 'crash']}"
        )

    def not_ready(self) -> dict[str, str]:
        return {cell.path: cell.unready_reason for cell in self.world.runtime.cells() if not cell.ready}

    # ---- the state ----------------------------------------------------------------------------------------------

    async def ready(self) -> None:
        """Everybody is there, and orders can leave."""
        await self.until(lambda: not self.not_ready(), "everybody to be ready")
        wanted = ("connected", "permits", "clock_usable", "learned") if self.has_socket else ("clock_usable", "learned")
        await self.until(lambda: all(self.world.inspect(self.entry)[name] for name in wanted), f"entry to be {wanted}")

    @property
    def has_socket(self) -> bool:
        return bool(self.codecs["entry"].capabilities.ws_order_entry)

    async def picture(self) -> AccountPicture:
        found = await self.world.ask(self.account, AccountQuery())
        assert isinstance(found, AccountPicture)
        return found

    async def agreement(self) -> None:
        """Live orders and position are the venue's, and no order arrived twice."""
        await self.until(lambda: not self.world.inspect(self.account)["in_doubt"], "no doubt")

        def held() -> Decimal:
            net = Decimal(0)
            for fill in self.sim.account(ACCOUNT).fills.get(self.market.symbol, []):
                net += fill.trade.qty if fill.side is SimSide.BUY else -fill.trade.qty
                if self.instrument.product is Product.SPOT and fill.commission_asset == self.instrument.base:
                    net -= fill.commission
            return net

        with trio.fail_after(_PATIENCE_S):
            while True:
                picture = await self.picture()
                live = {order.cl_ord_id for order in picture.open_orders}
                ours = sum((each.qty for each in picture.positions if each.symbol == self.symbol), Decimal(0))
                theirs = {order.cl_ord_id for order in self.sim.open_orders(ACCOUNT)}
                if (live, ours) == (theirs, held()):
                    break
                await trio.sleep(0.02)
        for message in self.heard.of(ExecutionReport):
            assert self.sim.arrivals(message.cl_ord_id).seen <= 1
        trades = [each.trade_id for each in self.heard.of(ExecutionReport) if each.exec_type is ExecType.TRADE]
        assert len(trades) == len(set(trades))

    # ---- what goes wrong ----------------------------------------------------------------------------------------

    async def placing(self) -> str:
        """The simulator's name for a request that places an order: seen by placing one."""
        before = Counter(self.sim.venue.requests)
        probe = await self.resting()
        made = self.sim.venue.requests - before
        (name,) = [name for name, count in made.items() if count == 1 and "order" in name.lower()][:1]
        self.cancel(probe)
        await self.status(probe, OrdStatus.CANCELED)
        return name

    def strike(self, kind: FaultKind, match: str = "*", **more: Any) -> Fault:
        return self.sim.strike(Fault(kind=kind, match=match, **more))


def _private_kind(anywhere: Anywhere) -> str:
    """What the simulator calls the connections of the private stream."""
    path = anywhere.codecs["private"].private_path() or anywhere.codecs["entry"].entry_path()
    return anywhere.sim.venue.kind_of(path)


def connections(anywhere: Anywhere, of: str) -> str:
    """The simulator's word for the sockets of `private` or of `entry`."""
    if of == "private":
        return _private_kind(anywhere)
    return anywhere.sim.venue.kind_of(anywhere.codecs["entry"].entry_path())


def _first_market(parts: VenueParts, sim: Simulator) -> Market:
    linear = parts.product is Product.LINEAR
    return next(market for market in sim.exchange.markets.values() if market.spec.is_linear is linear)


def _lax(parts: VenueParts) -> object:
    """Limits a hundred times as wide: for accounts that audit far more often than a venue would like."""
    limits = families.load(parts.family).limits()
    wide = {
        field.name: 100 * getattr(limits, field.name)
        for field in attrs.fields(type(limits))
        if type(getattr(limits, field.name)) is int
    }
    return attrs.evolve(limits, **wide)


@asynccontextmanager
async def anywhere(
    kind: str,
    folder: FilePath,
    *,
    options: VenueOptions | None = None,
    entry: EntrySettings = ENTERS,
    account: AccountSettings = PROMPT,
    reconnect: ReconnectSettings = QUICK,
    rules: Callable[[SessionRules], SessionRules] = lambda rules: rules,
    secret: str = "",
    wait: bool = True,
    events_per_s: float = 2.0,
    listen_key_refresh_ns: int = 0,
    lax: bool = False,
    before: Callable[[Simulator], None] = lambda sim: None,
) -> AsyncIterator[Anywhere]:
    """Simulator, sessions, account and journal of one venue; everything is ready unless `wait` is False."""
    parts = VENUES[kind]
    venue = Venue(kind)
    config = SimulatorConfig(
        venue=parts.family,
        accounts=(demo_account(ACCOUNT),),
        market=GeneratorConfig(events_per_s=events_per_s, burst_every_s=0.0),
        limits=_lax(parts) if lax else None,
    )
    async with open_simulator(config) as sim:
        before(sim)
        chosen = options or VenueOptions(request_window_ms=800)
        keys = sim.credentials(ACCOUNT)
        signer = parts.signer(keys.hmac_key, secret or keys.hmac_secret, keys.passphrase)
        public = parts.public(chosen)
        codecs = {
            user: parts.private(ACCOUNT, signer, chosen, user) for user in ("reconciler", "private", "entry", "hand")
        }
        for codec in codecs.values():
            codec.rules = rules(attrs.evolve(codec.rules, request_timeout_ns=300 * MS))
            if listen_key_refresh_ns and isinstance(codec, ListenKeys):
                codec.listen_key_refresh_ns = listen_key_refresh_ns
        socket = f"ws://127.0.0.1:{sim.port}"
        endpoints = VenueEndpoints(
            rest_url=sim.rest_url,
            stream_url=socket,
            entry_url=socket if codecs["entry"].capabilities.ws_order_entry else "",
            private_url=socket,
        )
        market = _first_market(parts, sim)
        symbol = Symbol(market.spec.name)
        heard, gate, portfolio, others = Inbox(), Inbox(), Inbox(), Inbox()
        limiter, clock, instruments = limiter_path(venue), clock_path(venue), instruments_path(venue)
        reconciler, private, entering = (
            reconciler_path(ACCOUNT, venue),
            private_path(ACCOUNT, venue),
            entry_path(ACCOUNT, venue),
        )
        sent = SentOnce()
        home = JournalHome(folder / "journal")
        async with HttpClient(sim.rest_url, TRANSPORT, now_ns=SystemClock.wall_ns) as http:
            factories: dict[Path, Callable[[], Actor]] = {
                JOURNAL: lambda: JournalActor(home),
                FIRM_GATE: lambda: Probe(others),
                account_gate(ACCOUNT): lambda: Probe(gate),
                PORTFOLIO: lambda: Probe(portfolio),
                DESK: lambda: Probe(heard),
                limiter: lambda: LimiterActor(venue, parts.limits, readers=[entering]),
                clock: lambda: ClockActor(
                    public,
                    http,
                    limiter=limiter,
                    readers=[limiter, reconciler, private, entering],
                    settings=CLOCKS,
                ),
                instruments: lambda: InstrumentsActor(
                    public,
                    http,
                    (symbol,),
                    limiter=limiter,
                    clock=clock,
                    readers=(account_path(ACCOUNT, venue),),
                    reconnect=reconnect,
                ),
                reconciler: lambda: ReconcilerActor(codecs["reconciler"], http, limiter=limiter, clock=clock),
                private: lambda: PrivateStreamActor(
                    codecs["private"],
                    endpoints,
                    http,
                    limiter=limiter,
                    clock=clock,
                    transport=TRANSPORT,
                    reconnect=reconnect,
                ),
                entering: lambda: OrderEntryActor(
                    codecs["entry"],
                    endpoints,
                    http,
                    sent,
                    limiter=limiter,
                    clock=clock,
                    settings=entry,
                    transport=TRANSPORT,
                    reconnect=reconnect,
                    symbols=(symbol,),
                ),
                account_path(ACCOUNT, venue): lambda: AccountActor(
                    ACCOUNT, venue, (DESK,), account, strategies=(MAKER,)
                ),
            }
            async with running(factories) as world:
                await world.ready(instruments)
                known = await world.ask(instruments, InstrumentsQuery())
                assert isinstance(known, InstrumentsChanged)
                instrument = next(each for each in known.instruments if each.symbol == symbol)
                ids = ClOrdIDs(ACCOUNT, MAKER, 1, 1)
                found = Anywhere(kind, sim, world, instrument, market, heard, gate, portfolio, ids, codecs)
                if wait:
                    await found.ready()
                yield found
