"""The candle actor: history first, then each bar once and in order, incomplete bars mended by the venue."""

from __future__ import annotations

from decimal import Decimal

import pytest

from actors.market.actor import START_ATTEMPTS, BarsFetched, CandleActor, GraceOver, source_interval_ns
from actors.market.bars import HEAL_ATTEMPTS
from actors.market.candles import SECOND_NS
from protocols.enums import GapReason, Side
from protocols.ids import Path, Symbol, Venue
from protocols.market import Candle, GapClosed, GapOpened, Subscribe, Trade, Unsubscribe
from protocols.reconcile import CandlesQuery, book_path, candles_path
from supervisors.actor import AskError, Later
from supervisors.testing import RecordingContext

VENUE, SYMBOL = Venue("test-venue"), Symbol("BTCUSDT")
MINUTE_NS = 60 * SECOND_NS
READER: Path = "/strategies/tfpe"


def bar(minute: int, price: int = 100, interval_ns: int = MINUTE_NS) -> Candle:
    p = Decimal(price)
    return Candle(VENUE, SYMBOL, interval_ns, minute * MINUTE_NS, p, p, p, p, Decimal(1), closed=True)


def trade(minute: float, price: int = 100) -> Trade:
    at_ns = int(minute * MINUTE_NS)
    return Trade(VENUE, SYMBOL, str(at_ns), Decimal(price), Decimal(1), Side.BUY, at_ns, at_ns)


class Bench:
    """A candle actor whose venue has bars 0..9 of one minute."""

    def __init__(self, *intervals_ns: int) -> None:
        self.actor = CandleActor(VENUE, SYMBOL, intervals_ns or (MINUTE_NS,), (READER,))
        self.ctx = RecordingContext(self.actor, candles_path(VENUE, SYMBOL))
        self.history = tuple(bar(minute) for minute in range(10))
        self.asked: list[CandlesQuery] = []
        self.ctx.answers[CandlesQuery] = self._history

    def _history(self, path: Path, query: CandlesQuery) -> tuple[Candle, ...]:
        self.asked.append(query)
        return self.history

    def bars(self) -> list[Candle]:
        return [message for to, message in self.ctx.take() if to == READER and isinstance(message, Candle)]


async def test_history_is_fetched_repeated_to_readers_and_answered() -> None:
    bench = Bench()
    await bench.actor.started()
    assert (book_path(VENUE, SYMBOL), Subscribe(SYMBOL, bench.ctx.path)) in bench.ctx.sent
    repeated = bench.bars()
    assert [candle.open_ns for candle in repeated] == [candle.open_ns for candle in bench.history]
    assert [candle.has_gap for candle in repeated] == [True] * 9 + [False], "only the newest is good for a decision"
    assert bench.actor.answer(CandlesQuery(SYMBOL, MINUTE_NS, 3)) == bench.history[-3:]


async def test_an_interval_that_the_venue_lacks_is_joined() -> None:
    bench = Bench(5 * 7 * MINUTE_NS, 2 * MINUTE_NS)
    await bench.actor.started()
    assert {query.interval_ns for query in bench.asked} == {5 * MINUTE_NS, MINUTE_NS}
    answer = bench.actor.answer(CandlesQuery(SYMBOL, 2 * MINUTE_NS, 100))
    assert isinstance(answer, tuple)
    assert [candle.open_ns // MINUTE_NS for candle in answer] == [0, 2, 4, 6, 8]


def test_only_whole_seconds_can_be_asked_of_a_venue() -> None:
    assert source_interval_ns(5 * SECOND_NS) == SECOND_NS
    assert source_interval_ns(4 * 3600 * SECOND_NS) == 4 * 3600 * SECOND_NS
    with pytest.raises(ValueError, match="whole number of seconds"):
        source_interval_ns(SECOND_NS // 2)
    with pytest.raises(ValueError, match="must name at least one interval"):
        CandleActor(VENUE, SYMBOL, ())


async def test_the_bar_we_came_into_is_held_until_the_venue_gives_its_own() -> None:
    bench = Bench()
    await bench.actor.started()
    bench.bars()
    bench.actor.receive(trade(10.5, 105))
    bench.actor.receive(trade(11.0, 106))
    bench.actor.receive(trade(12.0, 107))
    assert bench.bars() == []
    healed = bar(10, 999)
    bench.actor.receive(BarsFetched(MINUTE_NS, (healed,)))
    found = bench.bars()
    assert found[0] == healed
    assert [(candle.open_ns // MINUTE_NS, candle.close, candle.has_gap) for candle in found[1:]] == [
        (11, Decimal(106), False)
    ]


async def test_a_venue_that_cannot_mend_delays_a_marked_bar_and_no_more() -> None:
    bench = Bench()
    await bench.actor.started()
    bench.bars()
    bench.actor.receive(trade(10.5, 105))
    bench.actor.receive(trade(11.0, 106))
    for _ in range(HEAL_ATTEMPTS - 1):
        bench.actor.receive(BarsFetched(MINUTE_NS, ()))
        assert bench.bars() == []
    bench.actor.receive(BarsFetched(MINUTE_NS, ()))
    assert [(candle.open_ns // MINUTE_NS, candle.has_gap) for candle in bench.bars()] == [(10, True)]


async def test_an_interrupted_stream_marks_bars_but_a_hole_in_the_book_does_not() -> None:
    bench = Bench()
    await bench.actor.started()
    bench.actor.receive(trade(10.0))
    bench.actor.receive(trade(11.0))
    bench.actor.receive(BarsFetched(MINUTE_NS, (bar(10),)))
    bench.bars()
    bench.actor.receive(GapOpened("book", VENUE, SYMBOL, GapReason.SEQUENCE, "", 0))
    bench.actor.receive(trade(12.0))
    assert [candle.has_gap for candle in bench.bars()] == [False]
    bench.actor.receive(GapOpened("public", VENUE, SYMBOL, GapReason.DISCONNECTED, "", 0))
    bench.actor.receive(GapClosed("public", VENUE, SYMBOL, 0, 1))
    bench.actor.receive(trade(13.0))
    assert bench.bars() == []
    bench.actor.receive(BarsFetched(MINUTE_NS, (bar(12),)))
    assert [candle.open_ns // MINUTE_NS for candle in bench.bars()] == [12]


async def test_a_quiet_market_closes_its_bar_after_the_grace() -> None:
    bench = Bench()
    await bench.actor.started()
    bench.actor.receive(trade(10.0))
    bench.actor.receive(trade(11.0, 108))
    bench.actor.receive(BarsFetched(MINUTE_NS, (bar(10),)))
    bench.bars()
    bench.ctx.advance(60 * SECOND_NS)
    assert bench.bars() == []
    for _ in range(3):
        bench.ctx.advance(SECOND_NS)
    assert [(candle.open_ns // MINUTE_NS, candle.close) for candle in bench.bars()] == [(11, Decimal(108))]


async def test_longer_bars_come_first_when_several_end_together() -> None:
    bench = Bench(MINUTE_NS, 2 * MINUTE_NS)
    await bench.actor.started()
    bench.actor.receive(trade(10.0))
    bench.actor.receive(trade(12.0))
    for interval_ns in (MINUTE_NS, 2 * MINUTE_NS):
        bench.actor.receive(BarsFetched(interval_ns, (bar(10, interval_ns=interval_ns),)))
    bench.bars()
    bench.actor.receive(trade(13.0))
    bench.actor.receive(trade(14.0))
    ends = [(candle.open_ns + candle.interval_ns, -candle.interval_ns) for candle in bench.bars()]
    assert ends == sorted(ends)
    assert len(ends) == 3


async def test_without_history_it_starts_cold_and_says_so() -> None:
    bench = Bench()

    def refuse(path: Path, query: CandlesQuery) -> tuple[Candle, ...]:
        bench.asked.append(query)
        raise AskError("the venue does not answer")

    bench.ctx.answers[CandlesQuery] = refuse
    await bench.actor.started()
    assert len(bench.asked) == START_ATTEMPTS
    assert bench.actor.inspect()["no_history"] == "the venue does not answer"
    bench.actor.receive(trade(10.0))
    bench.actor.receive(GraceOver())
    assert bench.bars() == []


async def test_readers_come_and_go() -> None:
    bench = Bench()
    await bench.actor.started()
    bench.actor.receive(Subscribe(SYMBOL, "/other"))
    bench.actor.receive(Unsubscribe(SYMBOL, READER))
    bench.ctx.take()
    bench.actor.receive(trade(10.0))
    bench.actor.receive(trade(11.0))
    bench.actor.receive(BarsFetched(MINUTE_NS, (bar(10),)))
    assert [to for to, _ in bench.ctx.take()] == ["/other"]


async def test_a_question_about_other_bars_is_refused() -> None:
    bench = Bench()
    refusals: list[str | None] = []
    answer = bench.actor.answer(CandlesQuery(SYMBOL, 7, 1))
    assert isinstance(answer, Later)
    answer.bind(lambda value, error: refusals.append(error))
    assert refusals == [f"{bench.ctx.path} builds no bars of BTCUSDT at 7 ns"]
    assert bench.actor.answer(CandlesQuery(SYMBOL, MINUTE_NS, 0)) == ()
