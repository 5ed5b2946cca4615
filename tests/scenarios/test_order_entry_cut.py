"""A request has left, and then something goes wrong: the venue alone decides what became of the order.

For each fault three orders are placed: one that rests, one that trades at once, and one that trades at once while the
private stream loses its reports, so that only asking helps.  Each time: the order ends as the simulator says, it
reached the venue once and no more, what doubt there was is written down and settled by evidence, and both gates kept
its exposure reserved for as long as nobody knew.

The windows after which a missing order is proven missing are as short here as the simulator's honesty allows; with the
venue's own they are ten seconds longer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import attrs
import pytest
import trio

from actors.journal.replay import read
from protocols.base import Message
from protocols.control import ExposurePicture, ExposureQuery
from protocols.enums import OrdRejReason, OrdStatus, OrdType, Side
from protocols.ids import AccountID, ClOrdID, ClOrdIDs, StrategyID, Symbol
from protocols.journal import DoubtClosed, DoubtOpened, OrderClosed
from protocols.orders import FIRM_GATE, ROUTER, ExecutionReport, NewOrder, OrderRefused, account_gate
from protocols.venues.binance_spot import BinanceSpotPrivate
from protocols.venues.binance_spot.endpoints import WS_API_RULES
from supervisors.actor import Actor
from supervisors.spec import ChildSpec
from tests.scenarios.support import ACCOUNTS, VENUE, Trading, audit, config_for
from tests.simulator.wire import binance
from tools.engine.host import Host
from tools.simulator import Fault, FaultKind, GeneratorConfig, SimulatorConfig, demo_account, open_simulator
from tools.simulator.dialects.binance_spot.wsapi import WsApiSession

MS = 1_000_000
MASTER, SYMBOL = AccountID("master"), Symbol("BTCUSDT")
DESK = "/desk"
GATES = (FIRM_GATE, account_gate(MASTER))
QTY = Decimal("0.01")
WINDOW_MS, VENUE_TIMEOUT_MS, SKEW_MS, REPLY_MS = 800, 400, 100, 600
PATIENCE_S = 30
QUIET = {f"strategies.{name}.enabled": False for name in ("tfpe", "maker-btc", "maker-alt")}
PLACING = "order.place"


class Desk(Actor):
    """Places orders for the test and keeps what it hears of them."""

    def __init__(self, heard: list[Message]) -> None:
        self._heard = heard

    def receive(self, message: Message) -> None:
        self._heard.append(message)


@attrs.define
class Trader:
    """Orders of the test, each placed while a fault waits for it."""

    run: Trading
    heard: list[Message]
    ids: ClOrdIDs
    placed: list[ClOrdID] = attrs.Factory(list)

    def heard_of(self, cl_ord_id: ClOrdID) -> list[ExecutionReport | OrderRefused]:
        """What the order's maker was told."""
        return [m for m in self.heard if isinstance(m, ExecutionReport | OrderRefused) and m.cl_ord_id == cl_ord_id]

    def place(self, *, crossing: bool) -> ClOrdID:
        """A buy order three percent below the market, or one percent through it."""
        top = self.run.sim.exchange.markets[SYMBOL].top()
        assert top.bid is not None
        assert top.ask is not None
        price = (top.ask * Decimal("1.01") if crossing else top.bid * Decimal("0.97")).quantize(Decimal("0.01"))
        runtime = self.run.host.runtime
        order = NewOrder(
            cl_ord_id=self.ids.next(),
            account=MASTER,
            strategy=StrategyID("maker-btc"),
            venue=VENUE,
            symbol=SYMBOL,
            side=Side.BUY,
            ord_type=OrdType.LIMIT,
            order_qty=QTY,
            price=price,
            created_ns=runtime.clock.wall_ns(),
            reply_to=DESK,
        )
        runtime.deliver(ROUTER, order)
        self.placed.append(order.cl_ord_id)
        return order.cl_ord_id

    async def fate_of_one(self, *, crossing: bool, silent: bool) -> tuple[ClOrdID, ExecutionReport | OrderRefused]:
        """Place one and wait for its end; meanwhile its whole quantity must stay reserved at every gate.

        `silent`: the private stream will not tell of it, so there is a time in which nobody knows.
        """
        expected = OrdStatus.FILLED if crossing else OrdStatus.NEW
        held = [each + QTY for each in self._reserved()]
        cl_ord_id = self.place(crossing=crossing)
        was_reserved = False
        with trio.fail_after(PATIENCE_S):
            while True:
                reserved = self._reserved()
                was_reserved = was_reserved or reserved == held
                if was_reserved and reserved != held:
                    await self._hears_of(cl_ord_id)
                said = self.heard_of(cl_ord_id)
                if said:
                    assert was_reserved or not silent
                    if isinstance(said[-1], OrderRefused) or said[-1].ord_status is expected:
                        return cl_ord_id, said[-1]
                # At first after each step of anybody: a machine that stands still must not hide the reservation.
                await trio.sleep(0.005 if was_reserved else 0)

    async def _hears_of(self, cl_ord_id: ClOrdID) -> None:
        """Gates let go on the report that the maker gets, too: it may be read a moment later there."""
        with trio.move_on_after(1):
            while not self.heard_of(cl_ord_id):  # noqa: ASYNC110 - a list, no event
                await trio.sleep(0.005)
        assert self.heard_of(cl_ord_id), "exposure was let go before anybody knew"

    def _reserved(self) -> list[Decimal]:
        """What each gate holds back for buying BTC, at one and the same moment."""
        found = []
        for gate in GATES:
            actor = self.run.host.runtime.cell(gate).actor
            assert actor is not None
            picture = actor.answer(ExposureQuery())
            assert isinstance(picture, ExposurePicture)
            rows = [row for row in picture.rows if (row.account, row.symbol) == (MASTER, SYMBOL)]
            found.append(sum((row.reserved_buy for row in rows), Decimal(0)))
        return found

    def entry_session(self) -> WsApiSession:
        """The venue's end of the account's order entry: its other session has the user data subscription."""
        own = [
            each
            for each in binance(self.run.sim).sessions
            if isinstance(each, WsApiSession)
            and each.key is not None
            and each.key.account.name == MASTER
            and not each.subscriptions
        ]
        return max(own, key=lambda each: each.connection.connection_id)


@pytest.fixture
def quick_venue(monkeypatch: pytest.MonkeyPatch) -> None:
    """A venue that says of itself that it drops what it has not begun within `VENUE_TIMEOUT_MS`."""
    rules = attrs.evolve(WS_API_RULES, request_timeout_ns=VENUE_TIMEOUT_MS * MS)
    monkeypatch.setattr(BinanceSpotPrivate, "rules", rules)


@asynccontextmanager
async def trader(data: Path) -> AsyncIterator[Trader]:
    """Simulator and engine without strategies; everything is ready."""
    settings = SimulatorConfig(
        symbols=("BTCUSDT", "ETHUSDT", "SOLUSDT"),
        accounts=tuple(demo_account(name) for name in ACCOUNTS),
        market=GeneratorConfig(events_per_s=20.0),
    )
    async with open_simulator(settings) as sim, trio.open_nursery() as nursery:
        limits = {f"venues.{VENUE}.recv_window_ms": WINDOW_MS, f"venues.{VENUE}.request_timeout_ms": REPLY_MS}
        config, env = config_for(sim.port, data, **QUIET, **limits)
        host = Host.prepare(config, env)
        venue = host.plan.venues[VENUE]
        entry = attrs.evolve(venue.entry, reply_timeout_ns=REPLY_MS * MS, skew_ns=SKEW_MS * MS)
        heard: list[Message] = []
        host.plan = attrs.evolve(
            host.plan,
            venues={VENUE: attrs.evolve(venue, entry=entry)},
            extra=(ChildSpec(name="desk", factory=lambda: Desk(heard)),),
        )
        await nursery.start(host.run)
        trading = Trading(sim, host, data)
        await trading.all_ready()
        yield Trader(trading, heard, ClOrdIDs("master", "maker-btc", 1, 1))
        host.stop("the test is over")
        with trio.move_on_after(PATIENCE_S, shield=True):
            await host.ended.wait()


def doubts(data: Path) -> tuple[set[ClOrdID], set[ClOrdID]]:
    """Orders whose doubt the journal opened, and whose it settled: by the order's state or by its absence."""
    records = [stored.record for stored in read(data / "journal")]
    opened = {record.cl_ord_id for record in records if isinstance(record, DoubtOpened) and not record.cancel}
    closed = {record.cl_ord_id for record in records if isinstance(record, DoubtClosed) and not record.cancel}
    closed |= {record.cl_ord_id for record in records if isinstance(record, OrderClosed)}
    return opened, closed


@attrs.frozen
class Case:
    """One fault, and whether an order that meets it is at the venue afterwards."""

    kind: FaultKind
    accepted: bool
    delay_ms: int = 0


CASES = {
    "reply lost": Case(FaultKind.LOST_REPLY, True),
    "accepted late": Case(FaultKind.LATE_ACCEPT, True, 500),
    "answered late": Case(FaultKind.DELAY_REPLY, True, REPLY_MS + 200),
    "connection cut after": Case(FaultKind.CUT_AFTER, True),
    "connection cut before": Case(FaultKind.CUT_BEFORE, False),
    "5xx after execution": Case(FaultKind.ERROR_AFTER, True),
    "status unknown, executed": Case(FaultKind.TIMEOUT_EXECUTED, True, 200),
    "status unknown, lost": Case(FaultKind.TIMEOUT_LOST, False, 200),
}


@pytest.mark.slow
@pytest.mark.req("R001", "R141")
@pytest.mark.usefixtures("quick_venue")
@pytest.mark.parametrize("by_rest", [False, True], ids=["websocket", "rest"])
@pytest.mark.parametrize("name", CASES)
async def test_the_order_ends_as_the_venue_says(name: str, by_rest: bool, tmp_path: Path) -> None:
    case = CASES[name]
    async with trader(tmp_path) as desk:
        sim = desk.run.sim
        if by_rest:
            sim.strike(Fault(kind=FaultKind.REFUSE, match="ws-api", count=None))
        for crossing, silent in ((False, False), (True, False), (True, True)):
            await entry_socket(desk, connected=not by_rest)
            sim.strike(Fault(kind=case.kind, match=PLACING, delay_ms=case.delay_ms))
            if silent:
                sim.strike(Fault(kind=FaultKind.EVENT_DROP, match="executionReport*", count=None))  # of any part
            cl_ord_id, end = await desk.fate_of_one(crossing=crossing, silent=silent or not case.accepted)
            found = sim.order_by_cl_ord_id(MASTER, cl_ord_id)
            arrival = sim.arrivals(cl_ord_id)
            assert (arrival.seen, arrival.accepted) == (1, int(case.accepted))
            if case.accepted:
                assert isinstance(end, ExecutionReport)
                assert found is not None
                assert (found.ord_status.name, found.cum_qty) == (end.ord_status.name, end.cum_qty)
            else:
                assert isinstance(end, OrderRefused)
                assert end.reason is OrdRejReason.NEVER_ARRIVED
                assert found is None
        sim.faults.clear()
        await desk.run.agreement()
        placed = desk.placed
    assert audit(sim, tmp_path) == []
    opened, closed = doubts(tmp_path)
    assert placed[-1] in opened, "its reports were lost: only doubt can have found it"
    assert closed == opened


@pytest.mark.slow
@pytest.mark.req("R001", "R090")
@pytest.mark.usefixtures("quick_venue")
async def test_a_half_open_socket_swallows_one_order_and_is_replaced(tmp_path: Path) -> None:
    """No reply, no pong: the order is proven never to have arrived, and the next one has a new socket."""
    async with trader(tmp_path) as desk:
        sim = desk.run.sim
        session = desk.entry_session()
        session.connection.stream.go_silent()
        cl_ord_id, end = await desk.fate_of_one(crossing=False, silent=True)
        assert isinstance(end, OrderRefused)
        assert end.reason is OrdRejReason.NEVER_ARRIVED
        assert sim.arrivals(cl_ord_id).seen == 0
        assert desk.entry_session() is not session
        cl_ord_id, end = await desk.fate_of_one(crossing=True, silent=False)
        assert isinstance(end, ExecutionReport)
        assert (sim.arrivals(cl_ord_id).seen, sim.arrivals(cl_ord_id).accepted) == (1, 1)
        await desk.run.agreement()
        first = desk.placed[0]
    assert audit(sim, tmp_path) == []
    assert doubts(tmp_path) == ({first}, {first})


async def entry_socket(desk: Trader, *, connected: bool) -> None:
    """Until order entry has a socket, or has none; the private stream keeps its own."""
    cell = desk.run.host.runtime.cell(f"/accounts/{MASTER}/{VENUE}/entry")
    assert cell.actor is not None
    if not connected and cell.actor.inspect()["connected"]:
        desk.entry_session().connection.reset()
    with trio.fail_after(PATIENCE_S):
        while cell.actor.inspect()["connected"] is not connected:  # noqa: ASYNC110 - the console's view, no event
            await trio.sleep(0.01)
