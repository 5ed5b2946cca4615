"""Single pictures: the choice of the channel, memory, breaker, budget and deadlines."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
import trio
from trio.testing import MockClock

from actors.market.breaker import BreakerSettings
from actors.market.settings import MarketSettings
from protocols.backbone import ChannelChoice, RestBookQuery, RestTickersQuery
from protocols.enums import Channel, Quality, Source
from protocols.errors import CircuitOpen, NoSuchChannel, TooLate, UnknownSymbol, VenueUnavailable
from protocols.reconcile import CandlesQuery
from tests.actors.market.world import (
    BTC,
    ETH,
    MARKET,
    MINUTE_NS,
    SECOND_NS,
    VENUE,
    XRP,
    Script,
    Stage,
    bar,
    depth,
    down,
    now_ns,
    staged,
    ticker,
    trade,
)

AUTO, REST, STREAM = ChannelChoice.AUTO, ChannelChoice.REST_ONLY, ChannelChoice.WEBSOCKET_ONLY
D = Decimal


async def cold(stage: Stage) -> None:
    """Let the warm-up grow old."""
    await trio.sleep(5)
    stage.script.asked.clear()


# ---- memory ------------------------------------------------------------------------------------------------------


@pytest.mark.req("R354")
async def test_the_start_warms_the_cache_in_one_request(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        assert stage.asked(RestTickersQuery) == 1
        for symbol in (BTC, ETH):
            assert (await stage.market.get_ticker(symbol)).source is Source.REST
        assert stage.asked(RestTickersQuery) == 1
        assert stage.inspect()["hits"] == 2
        stage.market.warm_up([f"{VENUE}:{XRP}", BTC])
        await stage.world.settle()
        assert stage.asked(RestTickersQuery) == 2
        await stage.market.get_ticker(f"{VENUE}:{XRP}")
        assert stage.asked(RestTickersQuery) == 2


@pytest.mark.req("R208", "R263", "R335", "R352")
async def test_a_fresh_answer_serves_everybody_until_it_is_too_old(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        await cold(stage)
        for _ in range(10):
            await stage.market.get_ticker(BTC)
        assert stage.asked(RestTickersQuery) == 1
        await trio.sleep(1)
        await stage.market.get_ticker(BTC)
        assert stage.asked(RestTickersQuery) == 2
        await stage.market.get_ticker(BTC, max_age_ns=0)
        assert stage.asked(RestTickersQuery) == 3


@pytest.mark.req("R335", "R353")
async def test_a_fresh_stream_answers_from_memory(autojump_clock: MockClock) -> None:
    async with staged() as stage, stage.market.stream_ticker([BTC]):
        await cold(stage)
        await stage.say(ticker(last="7"))
        found = await stage.market.get_ticker(BTC)
        assert (found.last_px, found.source) == (D(7), Source.STREAM)
        await stage.say(ticker(last="8"))
        assert (await stage.market.get_ticker(BTC)).last_px == 8, "an update replaces what was remembered"
        assert stage.script.asked == []
        await stage.say(down(Channel.TICKER))
        assert (await stage.market.get_ticker(BTC)).source is Source.REST, "an interrupted stream answers nothing"


@pytest.mark.req("R262")
async def test_who_asks_the_same_at_the_same_time_shares_one_request(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        await cold(stage)
        found = []

        async def ask() -> None:
            found.append(await stage.market.get_ticker(BTC))

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ask)
        assert len(found) == 20
        assert stage.asked(RestTickersQuery) == 1
        assert stage.inspect()["shared"] == 19


@pytest.mark.req("R371")
async def test_of_repeated_reads_more_than_four_in_five_come_from_memory(autojump_clock: MockClock) -> None:
    """Four askers, each of whom wants a ticker every 10 ms: two of the symbols are streamed as well, one is not."""
    chance = random.Random(1)
    wanted = (BTC, ETH, f"{VENUE}:{XRP}")
    async with staged() as stage, stage.market.stream_ticker([BTC, ETH]):
        await cold(stage)
        before = stage.inspect()

        async def ask() -> None:
            for _ in range(1_000):
                await stage.market.get_ticker(chance.choice(wanted))
                await trio.sleep(0.01)

        async def speak() -> None:
            while True:
                await stage.say(ticker(BTC), ticker(ETH))
                await trio.sleep(0.2)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(speak)
            async with trio.open_nursery() as askers:
                for _ in range(4):
                    askers.start_soon(ask)
            nursery.cancel_scope.cancel()
        hits, misses = (int(str(stage.inspect()[name])) - int(str(before[name])) for name in ("hits", "misses"))
        assert hits + misses == 4_000
        assert hits / 4_000 > 0.8


# ---- the choice of the channel -----------------------------------------------------------------------------------


@pytest.mark.req("R333", "R334", "R382")
async def test_rest_only_asks_rest_although_a_stream_is_fresh(autojump_clock: MockClock) -> None:
    async with staged() as stage, stage.market.stream_ticker([BTC]):
        await cold(stage)
        await stage.say(ticker())
        assert (await stage.market.get_ticker(BTC, REST)).source is Source.REST
        stage.script.rest_down = "away"
        with pytest.raises(VenueUnavailable, match="away"):
            await stage.market.get_ticker(BTC, REST, max_age_ns=0)


@pytest.mark.req("R333", "R334", "R382")
async def test_websocket_only_waits_for_the_stream_and_never_asks_rest(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        await cold(stage)
        async with trio.open_nursery() as nursery:

            async def speak() -> None:
                await trio.sleep(1)
                await stage.say(ticker(last="5"))

            nursery.start_soon(speak)
            found = await stage.market.get_ticker(BTC, STREAM)
        assert (found.last_px, found.source) == (D(5), Source.STREAM)
        assert stage.script.asked == []
        await trio.sleep(5)
        assert (Channel.TICKER, BTC) in stage.script.wants, "who asks once asks again"
        await trio.sleep(10)
        assert stage.script.wants == {}, "but not for ever"
        with pytest.raises(TooLate, match="the stream has said nothing about KRW-BTC in time"):
            await stage.market.get_ticker(BTC, STREAM, patience_ns=SECOND_NS)


@pytest.mark.req("R333", "R335", "R336", "R382")
async def test_auto_asks_rest_first_and_listens_when_rest_fails(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        await cold(stage)
        assert (await stage.market.get_ticker(BTC, AUTO)).source is Source.REST
        assert stage.script.wants == {}
        stage.script.rest_down = "away"
        async with trio.open_nursery() as nursery:

            async def speak() -> None:
                await trio.sleep(3)
                await stage.say(ticker(last="5"))

            nursery.start_soon(speak)
            found = await stage.market.get_ticker(BTC, AUTO, max_age_ns=0)
        assert (found.last_px, found.source) == (D(5), Source.STREAM)
        with pytest.raises(TooLate, match=r"in time; REST: .*away"):
            await stage.market.get_ticker(ETH, AUTO, max_age_ns=0)


@pytest.mark.req("R333")
async def test_auto_leaves_half_of_the_patience_to_the_stream(autojump_clock: MockClock) -> None:
    async with staged(script=Script(rest_silent=True)) as stage:
        async with trio.open_nursery() as nursery:

            async def speak() -> None:
                await trio.sleep(3)
                await stage.say(depth())

            nursery.start_soon(speak)
            began = trio.current_time()
            found = await stage.market.get_orderbook(BTC, patience_ns=4 * SECOND_NS)
        assert found.source is Source.STREAM
        assert trio.current_time() - began < 4


@pytest.mark.req("R328", "R333")
async def test_books_by_every_choice(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        await cold(stage)
        by_rest = await stage.market.get_orderbook(BTC, REST, levels=3)
        assert (len(by_rest.bids), by_rest.source, by_rest.update_id) == (3, Source.REST, 7)
        streamed = await stage.market.get_orderbook(BTC, STREAM)
        assert streamed.source is Source.STREAM
        stage.script.asked.clear()
        assert (await stage.market.get_orderbook(BTC, levels=1)).source is Source.STREAM
        assert stage.script.asked == []
        deep = await stage.market.get_orderbook(BTC, levels=100)
        assert (len(deep.bids), deep.source) == (100, Source.REST), "a stream has no so many levels"
        assert len((await stage.market.get_orderbook(BTC, REST, levels=5)).bids) == 5
        assert stage.asked(RestBookQuery) == 1, "the deep one serves the shallow one"
        with pytest.raises(NoSuchChannel, match=r"add it to venues\.upbit\.symbols"):
            await stage.market.get_orderbook(f"{VENUE}:{XRP}", STREAM)
        with pytest.raises(NoSuchChannel, match="levels was 0, must be 1 to 5000"):
            await stage.market.get_orderbook(BTC, levels=0)


# ---- candles -----------------------------------------------------------------------------------------------------


async def test_candles_are_kept_until_a_newer_bar_can_have_closed(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        start = now_ns() - now_ns() % MINUTE_NS
        stage.script.bars = [bar(start + n * MINUTE_NS) for n in range(-10, 0)]
        got = await stage.market.get_candles(BTC, MINUTE_NS, 5)
        assert [one.open_ns for one in got] == [start + n * MINUTE_NS for n in range(-5, 0)]
        assert await stage.market.get_candles(BTC, MINUTE_NS, 3) == got[-3:]
        assert stage.asked(CandlesQuery) == 1
        assert len(await stage.market.get_candles(BTC, MINUTE_NS, 8)) == 8, "more than is remembered"
        assert stage.asked(CandlesQuery) == 2
        await trio.sleep(61)
        stage.script.bars.append(bar(start))
        assert (await stage.market.get_candles(BTC, MINUTE_NS, 3))[-1].open_ns == start
        assert stage.asked(CandlesQuery) == 3


async def test_candles_that_are_streamed_answer_from_memory(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        start = now_ns() - now_ns() % MINUTE_NS
        stage.script.bars = [bar(start - MINUTE_NS)]
        with pytest.raises(NoSuchChannel, match="stream_candles makes them"):
            await stage.market.get_candles(BTC, MINUTE_NS, 1, STREAM)
        async with stage.market.stream_candles([BTC], MINUTE_NS):
            await stage.world.settle()
            await stage.say(trade(at_ns=start + SECOND_NS))
            stage.script.asked.clear()
            assert (await stage.market.get_candles(BTC, MINUTE_NS, 1, STREAM))[0].open_ns == start - MINUTE_NS
            assert (await stage.market.get_candles(BTC, MINUTE_NS, 1))[0].open_ns == start - MINUTE_NS
            assert stage.script.asked == []


async def test_bars_that_the_venue_does_not_have_are_joined_from_shorter_ones(autojump_clock: MockClock) -> None:
    async with staged(channels=[Channel.CANDLES_1M]) as stage:
        start = now_ns() - now_ns() % (2 * MINUTE_NS)
        stage.script.bars = [bar(start + n * MINUTE_NS, n + 100) for n in range(-6, 0)]
        got = await stage.market.get_candles(BTC, 2 * MINUTE_NS, 2)
        assert [(one.open_ns, one.close) for one in got] == [
            (start - 4 * MINUTE_NS, D(97)),
            (start - 2 * MINUTE_NS, D(99)),
        ]
        with pytest.raises(NoSuchChannel, match="no bars that 30000000000 ns can be made of"):
            await stage.market.get_candles(BTC, 30 * SECOND_NS)
        with pytest.raises(NoSuchChannel, match="limit was 0"):
            await stage.market.get_candles(BTC, MINUTE_NS, 0)
        with pytest.raises(UnknownSymbol, match="Code not found"):
            await stage.market.get_candles("upbit:KRW-NOPE", MINUTE_NS)


# ---- when the venue fails ----------------------------------------------------------------------------------------


@pytest.mark.req("R356")
@pytest.mark.parametrize("choice", [AUTO, REST])
async def test_a_market_that_cannot_be_had_is_an_error_and_never_a_zero(
    choice: ChannelChoice, autojump_clock: MockClock
) -> None:
    async with staged(script=Script(rest_down="away"), channels=[Channel.TRADES]) as stage:
        with pytest.raises(VenueUnavailable, match=r"upbit: .*away"):
            await stage.market.get_ticker(BTC, choice)
        assert stage.inspect()["unanswered"] == 1


@pytest.mark.req("R356")
async def test_a_symbol_that_does_not_exist_is_the_askers_mistake(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        for _ in range(10):
            with pytest.raises(UnknownSymbol, match="upbit: 404 Code not found"):
                await stage.market.get_ticker("upbit:KRW-NOPE")
        assert (await stage.market.get_ticker(BTC, REST, max_age_ns=0)).last_px == 100, "the breaker is closed"


@pytest.mark.req("R357", "R385")
async def test_the_breaker_opens_rests_the_venue_and_closes_by_itself(autojump_clock: MockClock) -> None:
    settings = MarketSettings(breaker=BreakerSettings(failures=3, open_ns=20 * SECOND_NS))
    async with staged(settings) as stage:
        await cold(stage)
        stage.script.rest_down = "away"
        with pytest.raises(CircuitOpen, match="tickers has failed too often: away"):
            await stage.market.get_ticker(BTC, REST)
        assert stage.asked(RestTickersQuery) == 3, "one question and two retries"
        assert stage.inspect()["breakers"] == {"tickers": "open, opened 1"}
        for _ in range(50):
            with pytest.raises(CircuitOpen):
                await stage.market.get_ticker(BTC, REST)
        assert stage.asked(RestTickersQuery) == 3, "an open breaker asks nothing"
        await stage.market.get_orderbook(BTC, STREAM)
        stage.script.rest_down = ""
        await trio.sleep(20)
        assert stage.inspect()["breakers"] == {"tickers": "half_open, opened 1"}
        assert (await stage.market.get_ticker(BTC, REST)).source is Source.REST
        assert stage.inspect()["breakers"] == {"tickers": "closed, opened 1"}


@pytest.mark.req("R357")
async def test_retries_are_a_share_of_the_requests_whoever_asks(autojump_clock: MockClock) -> None:
    settings = MarketSettings(breaker=BreakerSettings(failures=10**9))
    async with staged(settings) as stage:
        await cold(stage)
        stage.script.rest_down = "away"
        for _ in range(100):
            with pytest.raises(VenueUnavailable):
                await stage.market.get_ticker(BTC, REST)
        assert 100 <= stage.asked(RestTickersQuery) <= 100 + 10 + 101 / 5


@pytest.mark.parametrize("choice", list(ChannelChoice))
async def test_every_call_ends_at_its_deadline(choice: ChannelChoice, autojump_clock: MockClock) -> None:
    async with staged(script=Script(rest_silent=True)) as stage:
        began = trio.current_time()
        with pytest.raises(TooLate):
            await stage.market.get_ticker(BTC, choice, patience_ns=3 * SECOND_NS)
        assert 3 <= trio.current_time() - began < 4


async def test_an_impatient_asker_does_not_cut_short_a_patient_one(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        await cold(stage)
        stage.script.rest_silent = True
        async with trio.open_nursery() as nursery:

            async def hurry() -> None:
                with pytest.raises(TooLate):
                    await stage.market.get_ticker(BTC, REST, patience_ns=SECOND_NS)
                stage.script.rest_silent = False

            nursery.start_soon(hurry)
            await trio.sleep(0.1)
            assert (await stage.market.get_ticker(BTC, REST)).last_px == 100


async def test_a_question_outlives_a_restart_of_whom_it_was_put_to(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        await cold(stage)
        stage.script.rest_silent = True
        async with trio.open_nursery() as nursery:

            async def break_it() -> None:
                await trio.sleep(0.5)
                stage.script.rest_silent = False
                await stage.crash(MARKET)

            nursery.start_soon(break_it)
            assert (await stage.market.get_ticker(BTC, REST)).last_px == 100


# ---- doubt -------------------------------------------------------------------------------------------------------


@pytest.mark.req("R350", "R356")
async def test_rest_that_contradicts_the_stream_is_told_and_both_are_flagged(autojump_clock: MockClock) -> None:
    async with staged() as stage, stage.market.stream_ticker([BTC]) as stream:
        await stage.world.settle()
        await stage.say(ticker(last="100"))
        await anext(stream)
        stage.script.rest_px = D(110)
        asked = await stage.market.get_ticker(BTC, REST, max_age_ns=0)
        assert (asked.last_px, asked.quality) == (D(110), Quality.DEVIATES)
        await stage.say(ticker(last="100"))
        streamed = await anext(stream)
        assert (streamed.last_px, streamed.quality) == (D(100), Quality.DEVIATES)
        assert [one.quality for one in stage.home.flags] == [Quality.DEVIATES]


@pytest.mark.req("R350")
async def test_streams_are_audited_by_rest_now_and_then(autojump_clock: MockClock) -> None:
    async with staged() as stage, stage.market.stream_ticker([BTC, ETH]) as stream:
        await cold(stage)
        stage.script.rest_px = D(200)
        for _ in range(80):
            await trio.sleep(1)
            await stage.say(ticker(last="100"))
            await stage.say(ticker(ETH, "100"))
        assert stage.asked(RestTickersQuery) == 2
        flagged = {(await anext(stream)).symbol for _ in range(2)}
        assert flagged == {BTC, ETH}
        assert {one.symbol for one in stage.home.flags if one.quality is Quality.DEVIATES} == {BTC, ETH}
