"""What markets, venues and readers do to the backbone on a bad day."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from functools import partial

import pytest
import trio
from trio.testing import MockClock

from actors.market.breaker import BreakerSettings
from actors.market.paging import PAGES_MAX, fetch_pages
from actors.market.settings import MarketSettings
from actors.market.tape import KEPT, LEAP_NS, LEAPS_BELIEVED, Tape
from protocols.backbone import ChannelChoice, StreamKind, Unanswered, UnansweredReason
from protocols.enums import Channel, Quality, Source
from protocols.errors import NoSuchChannel, TooLate, VenueUnavailable
from protocols.ids import Symbol
from protocols.reconcile import CandlesQuery
from tests.actors.market.world import (
    BTC,
    ETH,
    MARKET,
    MINUTE_NS,
    SECOND_NS,
    XRP,
    Script,
    bar,
    depth,
    down,
    now_ns,
    staged,
    ticker,
    trade,
    up,
)

REST, STREAM = ChannelChoice.REST_ONLY, ChannelChoice.WEBSOCKET_ONLY
D = Decimal


# ---- more bars than one answer holds -----------------------------------------------------------------------------


async def test_candles_come_in_as_many_requests_as_it_takes(autojump_clock: MockClock) -> None:
    async with staged(script=Script(page=150)) as stage:
        start = now_ns() - now_ns() % MINUTE_NS
        stage.script.bars = [bar(start + n * MINUTE_NS) for n in range(-1_000, 0)]
        got = await stage.market.get_candles(BTC, MINUTE_NS, 420)
        assert [one.open_ns for one in got] == [start + n * MINUTE_NS for n in range(-420, 0)]
        assert stage.asked(CandlesQuery) == 3
        wide = await stage.market.get_candles(BTC, 7 * MINUTE_NS, 100)
        assert [one.interval_ns for one in wide] == [7 * MINUTE_NS] * 100
        assert not any(one.has_gap for one in wide)


async def test_a_venue_that_has_fewer_gives_what_it_has(autojump_clock: MockClock) -> None:
    async with staged(script=Script(page=50)) as stage:
        start = now_ns() - now_ns() % MINUTE_NS
        stage.script.bars = [bar(start + n * MINUTE_NS) for n in range(-120, 0)]
        assert len(await stage.market.get_candles(BTC, MINUTE_NS, 1_000)) == 120
        stage.script.bars = []
        assert await stage.market.get_candles(BTC, 5 * MINUTE_NS, 1_000) == ()


async def test_a_part_of_the_bars_is_no_answer(autojump_clock: MockClock) -> None:
    """The second page cannot be had: an error, in time, and never a hole at the old end."""
    async with staged(script=Script(page=100)) as stage:
        start = now_ns() - now_ns() % MINUTE_NS
        stage.script.bars = [bar(start + n * MINUTE_NS) for n in range(-300, 0)]
        stage.script.silent_from = 1 + stage.asked(CandlesQuery)
        began = trio.current_time()
        with pytest.raises(VenueUnavailable, match=r"upbit did not answer within 3 s: .*CandlesQuery"):
            await stage.market.get_candles(BTC, MINUTE_NS, 300, patience_ns=3 * SECOND_NS)
        assert trio.current_time() - began < 4


async def test_too_many_pages_are_refused_with_what_to_do_instead(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        most = 200 * PAGES_MAX
        with pytest.raises(NoSuchChannel, match=rf"take {PAGES_MAX + 1} requests of 200 .* `bulkhead download`"):
            await stage.market.get_candles(BTC, 49 * MINUTE_NS, most // 49 + 1)
        assert stage.asked(CandlesQuery) == 0


async def test_a_venue_that_repeats_its_newest_page_for_ever_is_asked_twice() -> None:
    asked: list[int | None] = []

    async def page(limit: int, end_ns: int | None) -> object:
        asked.append(end_ns)
        return (bar(0), bar(MINUTE_NS))

    assert await fetch_pages(page, 1_000) == (bar(0), bar(MINUTE_NS))
    assert asked == [None, 0]


# ---- trades ------------------------------------------------------------------------------------------------------


async def test_a_repeated_trade_is_told_and_counted_once(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        start = now_ns() - now_ns() % MINUTE_NS
        stage.script.bars = [bar(start - MINUTE_NS), bar(start)]
        async with stage.market.stream_candles([BTC], MINUTE_NS) as bars, stage.market.stream_trades([BTC]) as trades:
            await stage.world.settle()
            await stage.say(trade(at_ns=start + SECOND_NS))
            one = trade(at_ns=start + 61 * SECOND_NS)
            await stage.say(one, one, down(Channel.TRADES), up(Channel.TRADES), one)
            await stage.say(trade(at_ns=start + 121 * SECOND_NS))
            told = [await anext(trades) for _ in range(3)]
            assert [item.event_ns - start for item in told] == [n * SECOND_NS for n in (1, 61, 121)]
            assert stage.inspect()["repeated"] == 2
            stage.script.bars.append(bar(start + MINUTE_NS))
            await anext(bars)
            assert (await anext(bars)).volume == 1


async def test_one_trade_from_the_future_closes_nothing(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        start = now_ns() - now_ns() % MINUTE_NS
        stage.script.bars = [bar(start - MINUTE_NS)]
        async with stage.market.stream_candles([BTC], MINUTE_NS) as bars, stage.market.stream_trades([BTC]) as trades:
            await stage.world.settle()
            stage.script.bars += [bar(start), bar(start + MINUTE_NS, 5)]
            await stage.say(trade(at_ns=start + SECOND_NS), trade(at_ns=start + 61 * SECOND_NS))
            await stage.say(trade(at_ns=start + 3_600 * SECOND_NS))
            await stage.say(trade(at_ns=start + 70 * SECOND_NS), trade(at_ns=start + 121 * SECOND_NS))
            assert [(await anext(trades)).quality for _ in range(5)][2] is Quality.LEAP
            await anext(bars)
            second = await anext(bars)
            assert (second.open_ns - start, second.source, second.close) == (MINUTE_NS, Source.REST, D(5)), (
                "it may lack the trade, so the venue's own version is told"
            )
            assert stage.inspect()["late_trades"] == 0


async def test_a_clock_that_really_leaps_is_believed_and_leaves_a_hole(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        start = now_ns() - now_ns() % MINUTE_NS
        stage.script.bars = [bar(start - MINUTE_NS)]
        async with stage.market.stream_candles([BTC], MINUTE_NS) as bars:
            await stage.world.settle()
            await stage.say(trade(at_ns=start + SECOND_NS))
            for n in range(LEAPS_BELIEVED):
                await stage.say(trade(at_ns=start + LEAP_NS + 60 * SECOND_NS + n))
            await stage.say(trade(at_ns=start + LEAP_NS + 120 * SECOND_NS))
            told = [await anext(bars) for _ in range(7)]
            assert [one.open_ns for one in told] == [start + n * MINUTE_NS for n in range(7)]
            assert all(one.has_gap for one in told)


async def test_a_first_trade_from_the_future_does_not_stop_the_bars(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        start = now_ns() - now_ns() % MINUTE_NS
        stage.script.bars = [bar(start - MINUTE_NS)]
        async with stage.market.stream_candles([BTC], MINUTE_NS) as bars:
            await stage.world.settle()
            stage.script.bars.append(bar(start))
            await stage.say(trade(at_ns=start + 7_200 * SECOND_NS))
            for second in (1, 2, 3, 61, 62, 121):
                await stage.say(trade(at_ns=start + second * SECOND_NS))
            first, second_bar = await anext(bars), await anext(bars)
            assert (first.open_ns, second_bar.open_ns) == (start, start + MINUTE_NS)
            assert (second_bar.volume, second_bar.has_gap) == (D(2), False)


async def test_leaps_to_different_times_are_not_believed() -> None:
    tape = Tape()
    tape.judge(trade(at_ns=SECOND_NS), 0)
    for hours in range(1, 3 * LEAPS_BELIEVED):
        assert tape.judge(trade(at_ns=hours * 3_600 * SECOND_NS), 0) is Quality.LEAP
    assert tape.now_ns(0) == SECOND_NS


async def test_only_so_many_ids_are_kept() -> None:
    tape = Tape()
    for number in range(3 * KEPT):
        assert tape.judge(trade(number=number, at_ns=number), number) is Quality.GOOD
    assert tape.judge(trade(number=3 * KEPT - KEPT, at_ns=10**6), 0) is None
    assert tape.judge(trade(number=0, at_ns=10**6), 10**6) is not None, "too long ago to be known"


async def test_what_is_odd_about_a_trade_is_said() -> None:
    tape = Tape()
    assert tape.judge(trade(price=100, at_ns=1_000), 0) is Quality.GOOD
    assert tape.judge(trade(price=111, at_ns=1_000), 0) is Quality.JUMP
    assert tape.judge(trade(price=111, at_ns=999), 0) is Quality.BACKWARD
    assert tape.judge(trade(price=111, at_ns=1_000 + LEAP_NS + 1), 0) is Quality.LEAP
    assert tape.judge(trade(price=111, at_ns=1_000 + LEAP_NS + 1), 1) is Quality.GOOD, "so much time has passed"


# ---- REST beside what was built ------------------------------------------------------------------------------------


@pytest.mark.req("R350")
async def test_bars_of_rest_that_differ_from_those_of_trades_are_flagged(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        start = now_ns() - now_ns() % MINUTE_NS
        stage.script.bars = [bar(start - MINUTE_NS), bar(start)]
        async with stage.market.stream_candles([BTC], MINUTE_NS) as bars:
            await stage.world.settle()
            for minute in range(4):
                await stage.say(trade(at_ns=start + (minute * 60 + 1) * SECOND_NS))
            for _ in range(3):
                await anext(bars)
            stage.script.bars += [bar(start + MINUTE_NS), bar(start + 2 * MINUTE_NS, 101)]
            got = await stage.market.get_candles(BTC, MINUTE_NS, 4, REST)
            assert [one.quality for one in got] == [Quality.GOOD] * 3 + [Quality.DEVIATES]
            assert got[-1].close == 101, "said, not repaired"
            await stage.world.settle()
            assert [(one.kind, one.quality) for one in stage.home.flags] == [(StreamKind.CANDLES, Quality.DEVIATES)]
            stage.script.bars[-1] = bar(start + 2 * MINUTE_NS)
            await trio.sleep(300)
            assert not any(one.quality for one in await stage.market.get_candles(BTC, MINUTE_NS, 4, REST))
            await stage.world.settle()
            assert stage.home.flags[-1].quality is Quality.GOOD


@pytest.mark.req("R350")
async def test_a_book_of_rest_that_contradicts_the_streamed_one_is_flagged(autojump_clock: MockClock) -> None:
    async with staged() as stage, stage.market.stream_orderbook([BTC]) as books:
        await anext(books)
        stage.script.at_ns = now_ns()
        assert (await stage.market.get_orderbook(BTC, REST, max_age_ns=0)).quality is Quality.GOOD
        await stage.say(depth(bid=50))
        await anext(books)
        asked = await stage.market.get_orderbook(BTC, REST, max_age_ns=0)
        assert (asked.bids[0][0], asked.quality) == (D(99), Quality.DEVIATES)
        await stage.say(depth(bid=50))
        assert Quality.DEVIATES in (await anext(books)).quality


# ---- many readers ------------------------------------------------------------------------------------------------


@pytest.mark.req("R343")
async def test_hundreds_of_readers_come_are_cancelled_in_the_middle_and_outlive_crashes(
    autojump_clock: MockClock,
) -> None:
    async with staged() as stage:
        heard = [0] * 300

        async def read(number: int) -> None:
            async with stage.market.stream_ticker([BTC, ETH]) as stream:
                async for _ in stream:
                    heard[number] += 1

        async with trio.open_nursery() as nursery:
            scopes = [trio.CancelScope() for _ in heard]

            async def cancellable(number: int) -> None:
                with scopes[number]:
                    await read(number)

            for number in range(len(heard)):
                nursery.start_soon(cancellable, number)
            await stage.world.settle()
            assert stage.script.wants[Channel.TICKER, BTC] == {MARKET}, "one subscription for all"
            await stage.say(ticker(), ticker(ETH))
            assert set(heard) == {2}
            for scope in scopes[::2]:
                scope.cancel()
            await stage.world.settle()
            for victim in (MARKET, "/market/desk"):
                await stage.crash(victim)
            before = list(heard)
            await stage.say(ticker(last="101"))
            assert all(now - was >= 1 for now, was in zip(heard[1::2], before[1::2], strict=True))
            assert heard[::2] == before[::2]
            nursery.cancel_scope.cancel()
        await stage.world.settle()
        assert stage.script.wants == {}
        assert stage.home.wanted() == []


async def test_questions_that_wait_for_a_stream_keep_nobody_else_waiting(autojump_clock: MockClock) -> None:
    symbols = tuple(Symbol(f"KRW-{number}") for number in range(100))
    async with staged(symbols=(BTC, ETH, *symbols)) as stage, trio.open_nursery() as nursery:
        stage.script.listed |= set(symbols)
        for symbol in symbols:
            nursery.start_soon(expect_late, partial(stage.market.get_ticker, symbol, STREAM))
        await trio.sleep(0.1)
        began = trio.current_time()
        assert (await stage.market.get_ticker(BTC, REST, max_age_ns=0)).source is Source.REST
        assert trio.current_time() - began < 1


async def test_questions_beyond_all_bounds_are_refused_and_the_backbone_lives(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    monkeypatch.setattr("actors.market.pictures.FLIGHTS_MAX", 10)
    async with staged() as stage, trio.open_nursery() as nursery:
        stage.script.rest_silent = True
        for levels in range(1, 11):
            nursery.start_soon(expect_late, partial(stage.market.get_orderbook, BTC, REST, levels=levels))
        await trio.sleep(0.1)
        with pytest.raises(TooLate, match="10 other questions are under way"):
            await stage.market.get_orderbook(BTC, REST, levels=11, patience_ns=SECOND_NS)
        assert stage.world.epoch(MARKET) == 1


async def expect_late(ask: Callable[[], Awaitable[object]]) -> None:
    """The question is put, and nothing comes."""
    with pytest.raises(TooLate):
        await ask()


async def test_a_stream_that_is_needed_again_is_listened_to_until_then(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        with pytest.raises(TooLate):
            await stage.market.get_ticker(BTC, STREAM, patience_ns=SECOND_NS)
        await trio.sleep(8)
        async with trio.open_nursery() as nursery:

            async def speak() -> None:
                await trio.sleep(15)
                await stage.say(ticker())

            nursery.start_soon(speak)
            assert (await stage.market.get_ticker(BTC, STREAM, patience_ns=20 * SECOND_NS)).source is Source.STREAM
        await trio.sleep(30)
        assert stage.script.wants == {}, "and no longer"


# ---- a venue that is away ------------------------------------------------------------------------------------------


async def test_a_venue_that_is_down_at_the_start_is_had_as_soon_as_it_is_there(autojump_clock: MockClock) -> None:
    async with staged(script=Script(rest_down="connection refused")) as stage:
        with pytest.raises(VenueUnavailable, match="connection refused"):
            await stage.market.get_ticker(BTC, REST)
        async with stage.market.stream_ticker(["upbit:KRW-XRP"]) as stream:
            await trio.sleep(60)
            assert stage.script.wants == {}, "nothing shows that it exists"
            stage.script.rest_down = ""
            await trio.sleep(70)
            assert (Channel.TICKER, XRP) in stage.script.wants
            await stage.say(ticker(XRP))
            assert (await anext(stream)).symbol == XRP
        assert (await stage.market.get_ticker(BTC, REST)).source is Source.REST


async def test_one_symbol_whose_hole_nobody_heals_holds_back_no_other(autojump_clock: MockClock) -> None:
    settings = MarketSettings(breaker=BreakerSettings(failures=10**9))
    async with staged(settings) as stage:
        start = now_ns() - now_ns() % MINUTE_NS
        stage.script.bars = [bar(start - MINUTE_NS)]
        async with stage.market.stream_candles([BTC, ETH], MINUTE_NS) as stream:
            await stage.world.settle()
            stage.script.mute.add(BTC)
            stage.script.bars.append(bar(start))
            await stage.say(*(trade(symbol, at_ns=start + 61 * SECOND_NS) for symbol in (BTC, ETH)))
            began = trio.current_time()
            first = await anext(stream)
            assert (first.symbol, first.open_ns) == (ETH, start)
            assert trio.current_time() - began < 3
            marked = await anext(stream)
            assert (marked.symbol, marked.quality) == (BTC, Quality.GAP)


async def test_our_own_crowd_is_no_failure_of_the_venue(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        await trio.sleep(5)
        stage.script.held_back = Unanswered(UnansweredReason.TOO_LATE, "no permit of /venues/upbit/limiter within 4 s")
        for _ in range(10):
            with pytest.raises(TooLate, match="no permit of /venues/upbit/limiter"):
                await stage.market.get_ticker(BTC, REST, max_age_ns=0, patience_ns=SECOND_NS)
        assert stage.inspect()["breakers"] == {"tickers": "closed, opened 0"}
        stage.script.held_back = None
        assert (await stage.market.get_ticker(BTC, REST, max_age_ns=0)).source is Source.REST


async def test_who_is_late_is_told_what_was_awaited(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        await trio.sleep(5)
        stage.script.rest_silent = True
        with pytest.raises(TooLate, match="/venues/upbit/rest did not answer RestTickersQuery"):
            await stage.market.get_ticker(BTC, REST, patience_ns=2 * SECOND_NS)
        with pytest.raises(
            TooLate, match=r"the stream has said nothing about KRW-BTC in time; REST: .* did not answer"
        ):
            await stage.market.get_ticker(BTC, patience_ns=2 * SECOND_NS)
        async with trio.open_nursery() as nursery:  # a question that is under way already, for much longer
            slow = partial(stage.market.get_ticker, BTC, REST, max_age_ns=0, patience_ns=30 * SECOND_NS)
            nursery.start_soon(expect_late, slow)
            await trio.sleep(0.1)
            words = r"upbit did not answer within 2 s: /market/upbit waits for an answer of REST, for 2\.\d s"
            with pytest.raises(TooLate, match=words):
                await stage.market.get_ticker(BTC, REST, max_age_ns=0, patience_ns=2 * SECOND_NS)
        stage.world.runtime.cell(MARKET).set_paused(True)
        with pytest.raises(TooLate, match=r"/market/upbit is overloaded: .* \d+ messages wait for it"):
            await stage.market.get_ticker(BTC, REST, patience_ns=2 * SECOND_NS)
