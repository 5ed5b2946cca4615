"""The candle actor in the real runtime, on virtual time: it asks the venue for what it missed, and comes back."""

from __future__ import annotations

from decimal import Decimal

import trio
from trio.testing import MockClock

from actors.market.actor import CandleActor
from protocols.base import Message, Query
from protocols.enums import GapReason, Side
from protocols.ids import Symbol, Venue
from protocols.market import Candle, GapClosed, GapOpened, Trade
from protocols.reconcile import CandlesQuery
from supervisors.actor import Actor, Later
from supervisors.spec import SECOND_NS, ChildSpec, SupervisorSpec
from tests.supervisors.support import running

VENUE, SYMBOL = Venue("test-venue"), Symbol("BTCUSDT")
MINUTE_NS = 60 * SECOND_NS
CANDLES = f"/venues/{VENUE}/candles"


def bar(minute: int, price: int) -> Candle:
    p = Decimal(price)
    return Candle(VENUE, SYMBOL, MINUTE_NS, minute * MINUTE_NS, p, p, p, p, Decimal(1), closed=True)


def trade(minute: float, price: int) -> Trade:
    at_ns = int(minute * MINUTE_NS)
    return Trade(VENUE, SYMBOL, str(at_ns), Decimal(price), Decimal(1), Side.BUY, at_ns, at_ns)


class Rest(Actor):
    """Answers with the bars that the venue has by now."""

    def __init__(self, bars: list[Candle]) -> None:
        self.bars = bars

    def answer(self, query: Query) -> object:
        assert isinstance(query, CandlesQuery)
        if not self.bars:
            refusal = Later()
            refusal.fail("the venue has no bars")
            return refusal
        return tuple(self.bars[-query.limit :])


class Reader(Actor):
    """Keeps what it gets."""

    def __init__(self, log: list[Message]) -> None:
        self.log = log

    def receive(self, message: Message) -> None:
        self.log.append(message)


def world_of(bars: list[Candle], log: list[Message]) -> SupervisorSpec:
    def candles() -> CandleActor:
        return CandleActor(VENUE, SYMBOL, (MINUTE_NS,), ("/reader",))

    venue = SupervisorSpec(
        name=VENUE,
        children=(
            ChildSpec(name="rest", factory=lambda: Rest(bars)),
            ChildSpec(name="candles", factory=candles),
        ),
    )
    return SupervisorSpec(
        name="",
        children=(
            ChildSpec(name="reader", factory=lambda: Reader(log)),
            SupervisorSpec(name="venues", children=(venue,)),
        ),
    )


async def test_a_bar_that_was_interrupted_is_fetched_from_the_venue(autojump_clock: MockClock) -> None:
    bars, log = [bar(0, 10), bar(1, 11)], list[Message]()
    async with running(world_of(bars, log)) as world:
        await world.ready(CANDLES)
        await world.settle()
        assert [c.open_ns for c in log if isinstance(c, Candle)] == [0, MINUTE_NS]
        world.send(CANDLES, trade(2.5, 12))
        world.send(CANDLES, trade(3, 13))
        await world.settle()
        assert len(log) == 2
        bars.append(bar(2, 99))
        await trio.sleep(3)
        assert log[2:] == [bar(2, 99)]
        world.send(CANDLES, GapOpened("public", VENUE, SYMBOL, GapReason.DISCONNECTED, "", 0))
        world.send(CANDLES, GapClosed("public", VENUE, SYMBOL, 0, 1))
        world.send(CANDLES, trade(4, 14))
        bars.append(bar(3, 98))
        await trio.sleep(3)
        assert log[3:] == [bar(3, 98)]


async def test_a_crash_gives_the_bars_that_ended_meanwhile(autojump_clock: MockClock) -> None:
    bars, log = [bar(0, 10), bar(1, 11)], list[Message]()
    async with running(world_of(bars, log)) as world:
        await world.ready(CANDLES)
        await world.settle()
        bars.append(bar(2, 12))
        world.runtime.cell(CANDLES).sabotage("now")
        await trio.sleep(1)
        await world.ready(CANDLES)
        assert world.epoch(CANDLES) == 2
        assert bar(2, 12) in log


async def test_a_venue_without_history_delays_and_does_not_prevent_the_start(autojump_clock: MockClock) -> None:
    log = list[Message]()
    async with running(world_of([], log)) as world:
        await world.ready(CANDLES)
        world.send(CANDLES, trade(2.5, 12))
        world.send(CANDLES, trade(3, 13))
        await trio.sleep(20)
        assert [(c.open_ns // MINUTE_NS, c.has_gap) for c in log if isinstance(c, Candle)] == [(2, True)]
