"""Streams of the backbone: counted by reader, marked where they are doubtful, going on whatever restarts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.market.api import MarketData, Stream
from protocols.backbone import DESK
from protocols.enums import Channel, GapReason, Quality, Source
from protocols.errors import NoSuchChannel, UnknownSymbol
from protocols.market import GapOpened
from protocols.reconcile import book_path
from tests.actors.market.world import (
    BTC,
    CHANNELS,
    ETH,
    MARKET,
    MINUTE_NS,
    PUBLIC,
    SECOND_NS,
    VENUE,
    XRP,
    Stage,
    bar,
    depth,
    down,
    now_ns,
    staged,
    ticker,
    trade,
    up,
)

D = Decimal
TICKER, TRADES = (Channel.TICKER, BTC), (Channel.TRADES, BTC)


# ---- counted by reader -----------------------------------------------------------------------------------------


@pytest.mark.req("R327", "R343")
async def test_the_first_reader_subscribes_and_the_last_one_unsubscribes(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        first, second = stage.market.stream_ticker([BTC]), stage.market.stream_ticker([BTC, ETH])
        await stage.world.settle()
        assert set(stage.script.wants) == {TICKER, (Channel.TICKER, ETH)}
        await second.aclose()
        await stage.world.settle()
        assert set(stage.script.wants) == {TICKER}, "the other one still reads BTC"
        await first.aclose()
        await first.aclose()
        await stage.world.settle()
        assert stage.script.wants == {}
        assert stage.readers.topics() == ()
        assert stage.home.wanted() == []


async def leave_by_break(stage: Stage) -> None:
    async for _ in stage.market.stream_ticker([BTC]):
        break


async def leave_by_aclosing(stage: Stage) -> None:
    async with aclosing(stage.market.stream_ticker([BTC])) as stream:
        await anext(stream)


async def leave_by_cancel(stage: Stage) -> None:
    stream = stage.market.stream_ticker([BTC])
    await anext(stream)
    with trio.move_on_after(1) as scope:
        await anext(stream)
    assert scope.cancelled_caught
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def leave_by_an_error(stage: Stage) -> None:
    async def fail() -> None:
        async for item in stage.market.stream_ticker([BTC]):
            raise ZeroDivisionError(item.symbol)

    with pytest.raises(ZeroDivisionError):
        await fail()


async def leave_by_throwing(stage: Stage) -> None:
    stream = stage.market.stream_ticker([BTC])
    with pytest.raises(ZeroDivisionError):
        await stream.athrow(ZeroDivisionError())


async def leave_without_reading(stage: Stage) -> None:
    stage.market.stream_ticker([BTC])
    await trio.lowlevel.checkpoint()


@pytest.mark.req("R327", "R343")
@pytest.mark.parametrize(
    "leave",
    [
        leave_by_break,
        leave_by_aclosing,
        leave_by_cancel,
        leave_by_an_error,
        leave_by_throwing,
        leave_without_reading,
    ],
)
async def test_however_a_reader_leaves_it_unsubscribes(
    leave: Callable[[Stage], Any], autojump_clock: MockClock
) -> None:
    async with staged() as stage, trio.open_nursery() as nursery:

        async def speak() -> None:
            while TICKER not in stage.script.wants:  # noqa: ASYNC110 - the script has no event
                await trio.sleep(0.01)
            await stage.say(ticker())

        nursery.start_soon(speak)
        await leave(stage)
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await stage.world.settle()
        assert stage.script.wants == {}
        assert stage.home.wanted() == []


@pytest.mark.req("R328", "R345")
async def test_streams_of_different_kinds_of_a_symbol_are_counted_apart(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        streams: list[Stream[Any]] = [
            stage.market.stream_ticker([BTC]),
            stage.market.stream_trades([BTC]),
            stage.market.stream_candles([BTC], MINUTE_NS),
            stage.market.stream_orderbook([BTC]),
        ]
        await stage.world.settle()
        assert set(stage.script.wants) == {TICKER, TRADES}
        assert stage.script.depths == {BTC: {MARKET}}
        await streams[1].aclose()
        await stage.world.settle()
        assert TRADES in stage.script.wants, "the bars need them"
        await streams[2].aclose()
        await streams[3].aclose()
        await stage.world.settle()
        assert set(stage.script.wants) == {TICKER}
        assert stage.script.depths == {BTC: set()}


@pytest.mark.req("R329")
async def test_several_symbols_in_one_stream(autojump_clock: MockClock) -> None:
    async with staged() as stage, stage.market.stream_ticker([BTC, f"{VENUE}:{ETH}", BTC]) as stream:
        await stage.world.settle()
        await stage.say(ticker(BTC, "1"), ticker(ETH, "2"))
        assert [(await anext(stream)).symbol for _ in range(2)] == [BTC, ETH]
        assert stream.statistics().waiting == 0


async def test_a_further_reader_is_told_at_once_what_was_said_last(autojump_clock: MockClock) -> None:
    async with staged() as stage, stage.market.stream_ticker([BTC]) as first:
        await stage.world.settle()
        await stage.say(ticker(last="42"))
        assert (await anext(first)).last_px == 42
        async with stage.market.stream_ticker([BTC]) as second:
            assert (await anext(second)).last_px == 42


@pytest.mark.req("R342", "R348")
async def test_a_slow_reader_gets_the_newest_and_marks_for_what_it_missed(autojump_clock: MockClock) -> None:
    async with (
        staged() as stage,
        stage.market.stream_ticker([BTC]) as tickers,
        stage.market.stream_trades([BTC], 3) as trades,
    ):
        await stage.world.settle()
        for number in range(10):
            await stage.say(ticker(last=str(number + 1)), trade(number=number))
        assert (await anext(tickers)).last_px == 10
        assert tickers.statistics().waiting == 0
        got = [await anext(trades) for _ in range(3)]
        assert [one.trade_id for one in got] == ["7", "8", "9"]
        assert [one.quality for one in got] == [Quality.GAP, Quality.GOOD, Quality.GOOD]
        assert (trades.statistics().taken, trades.statistics().lost) == (3, 7)


# ---- one record shape ------------------------------------------------------------------------------------------


@pytest.mark.req("R331")
async def test_every_record_says_where_it_is_from_and_when(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        market = stage.market
        stage.script.bars = [bar(n * MINUTE_NS) for n in range(3)]
        async with market.stream_ticker([BTC]) as tickers, market.stream_trades([BTC]) as trades:
            await stage.world.settle()
            await stage.say(ticker(), trade())
            records: list[Any] = [
                await anext(tickers),
                await anext(trades),
                await market.get_orderbook(BTC),
                await market.get_ticker(BTC, max_age_ns=0),
                (await market.get_candles(BTC, MINUTE_NS))[-1],
            ]
        assert [record.source for record in records] == [Source.STREAM, Source.STREAM, *[Source.REST] * 3]
        for record in records:
            assert (record.venue, record.symbol, record.quality) == (VENUE, BTC, Quality.GOOD)
            assert isinstance(record.event_ns, int)
            assert isinstance(record.received_ns, int)


# ---- not proven data is marked -----------------------------------------------------------------------------------


@pytest.mark.req("R350", "R394")
async def test_an_interrupted_ticker_is_repeated_as_unproven_until_the_stream_speaks_again(
    autojump_clock: MockClock,
) -> None:
    async with staged() as stage, stage.market.stream_ticker([BTC]) as stream:
        await stage.world.settle()
        await stage.say(ticker(last="1"))
        assert (await anext(stream)).quality is Quality.GOOD
        await stage.say(down(Channel.TICKER))
        doubtful = await anext(stream)
        assert (doubtful.last_px, doubtful.quality) == (D(1), Quality.UNPROVEN)
        await stage.say(up(Channel.TICKER), ticker(last="2"))
        assert (await anext(stream)).quality is Quality.GOOD


@pytest.mark.req("R328", "R394")
async def test_a_book_that_is_not_proven_is_marked_and_comes_back(autojump_clock: MockClock) -> None:
    async with staged() as stage, stage.market.stream_orderbook([BTC]) as stream:
        assert (await anext(stream)).quality is Quality.GOOD
        await stage.say(GapOpened("book", VENUE, BTC, GapReason.SEQUENCE, "a hole", 0))
        assert (await anext(stream)).quality is Quality.UNPROVEN
        await stage.say(depth(bid=98))
        again = await anext(stream)
        assert (again.bids[0][0], again.quality) == (D(98), Quality.GOOD)


@pytest.mark.req("R342")
async def test_the_first_trade_after_a_hole_says_so(autojump_clock: MockClock) -> None:
    async with staged() as stage, stage.market.stream_trades([BTC, ETH]) as stream:
        await stage.world.settle()
        await stage.say(trade(number=1), down(Channel.TRADES), up(Channel.TRADES), trade(number=2), trade(number=3))
        await stage.say(trade(ETH, number=1))
        got = [await anext(stream) for _ in range(4)]
        assert [one.quality for one in got] == [Quality.GOOD, Quality.GAP, Quality.GOOD, Quality.GOOD]


# ---- bars --------------------------------------------------------------------------------------------------------


async def test_bars_are_built_from_trades_by_the_venues_clock(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        start = now_ns() - now_ns() % MINUTE_NS
        stage.script.bars = [bar(start - MINUTE_NS)]
        async with stage.market.stream_candles([BTC], MINUTE_NS) as stream:
            await stage.world.settle()
            stage.script.bars.append(bar(start, 77))
            await stage.say(trade(price=5, at_ns=start + 10 * SECOND_NS))
            await stage.say(trade(price=6, at_ns=start + 70 * SECOND_NS), trade(price=9, at_ns=start + 80 * SECOND_NS))
            await stage.say(trade(price=7, at_ns=start + 130 * SECOND_NS), trade(price=1, at_ns=start + 90 * SECOND_NS))
            first = await anext(stream)
            assert (first.open_ns, first.close, first.source) == (start, D(77), Source.REST), (
                "its beginning was not heard"
            )
            second = await anext(stream)
            assert (second.open, second.high, second.low, second.close) == (D(6), D(9), D(6), D(9))
            assert (second.volume, second.source, second.quality) == (D(2), Source.BUILT, Quality.GOOD)
            assert stage.inspect()["late_trades"] == 1
            await trio.sleep(70)
            third = await anext(stream)
            assert (third.open_ns, third.close) == (start + 2 * MINUTE_NS, D(7)), "time closes what no trade closes"


async def test_a_bar_with_a_hole_that_the_venue_cannot_heal_is_marked(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        start = now_ns() - now_ns() % MINUTE_NS
        stage.script.bars = [bar(start - MINUTE_NS)]
        async with stage.market.stream_candles([BTC], MINUTE_NS) as stream:
            await stage.world.settle()
            stage.script.bars.append(bar(start))
            await stage.say(trade(at_ns=start + 61 * SECOND_NS))
            assert (await anext(stream)).open_ns == start
            await stage.say(down(Channel.TRADES), up(Channel.TRADES), trade(at_ns=start + 121 * SECOND_NS))
            marked = await anext(stream)
            assert (marked.open_ns, marked.has_gap, marked.quality) == (start + MINUTE_NS, True, Quality.GAP)


# ---- restarts ----------------------------------------------------------------------------------------------------


@pytest.mark.req("R345", "R370")
@pytest.mark.parametrize("victim", [MARKET, DESK, PUBLIC, book_path(VENUE, BTC), f"/venues/{VENUE}/rest"])
async def test_streams_outlive_a_restart_of_anything_beneath_them(victim: str, autojump_clock: MockClock) -> None:
    async with staged() as stage:
        market = stage.market
        async with market.stream_ticker([BTC]) as tickers, market.stream_orderbook([BTC]) as books:
            await stage.world.settle()
            await stage.say(ticker(last="1"))
            assert (await anext(tickers)).last_px == 1
            assert (await anext(books)).symbol == BTC
            with trio.fail_after(3):  # virtual seconds: whatever waits on purpose, to start again or to ask again
                await stage.crash(victim)
                assert stage.script.wants == {TICKER: {MARKET}}
                assert stage.script.depths == {BTC: {MARKET}}
                await stage.say(ticker(last="2"), depth(bid=50))
                while (await anext(tickers)).last_px != 2:
                    pass
                while (await anext(books)).bids[0][0] != 50:
                    pass
        await stage.world.settle()
        assert stage.script.wants == {}, "and they still end"


async def test_what_only_a_crashed_incarnation_listened_to_is_over(autojump_clock: MockClock) -> None:
    async with staged() as stage, trio.open_nursery() as nursery:
        stage.script.rest_down = "away"
        nursery.start_soon(partial(stage.market.get_ticker, BTC, max_age_ns=0))
        await trio.sleep(3)
        assert TICKER in stage.script.wants
        stage.script.rest_down = ""
        await stage.crash(MARKET)
        assert stage.script.wants == {}


# ---- what there is not -------------------------------------------------------------------------------------------


async def first_of(market: MarketData, symbol: str) -> Any:
    async with market.stream_ticker([symbol]) as stream:
        return await anext(stream)


@pytest.mark.req("R356")
async def test_a_symbol_that_the_venue_does_not_have_ends_the_stream(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        with pytest.raises(UnknownSymbol, match="upbit: 404 Code not found"):
            await first_of(stage.market, "upbit:KRW-NOPE")
        await stage.world.settle()
        assert stage.script.wants == {}, "nothing was ever subscribed for it"
        assert stage.readers.topics() == ()


async def test_a_symbol_that_is_not_configured_is_streamed_once_the_venue_knows_it(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        stage.script.rest_down = "away"
        async with stage.market.stream_ticker([f"{VENUE}:{XRP}"]) as stream:
            await trio.sleep(5)
            assert stage.script.wants == {}, "not proven to exist yet"
            stage.script.rest_down = ""
            await trio.sleep(30)
            assert set(stage.script.wants) == {(Channel.TICKER, XRP)}
            await stage.say(ticker(XRP, "3"))
            assert (await anext(stream)).last_px == 3


async def test_a_book_that_is_not_kept_says_which_key_to_change(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        async with stage.market.stream_orderbook([f"{VENUE}:{XRP}"]) as stream:
            with pytest.raises(NoSuchChannel, match=r"add it to venues\.upbit\.symbols"):
                await anext(stream)
        async with stage.market.stream_candles([BTC], 1) as candles:
            with pytest.raises(NoSuchChannel, match="interval_ns was 1"):
                await anext(candles)


async def test_a_venue_without_tickers(autojump_clock: MockClock) -> None:
    channels = [channel for channel in CHANNELS if channel is not Channel.TICKER]
    async with staged(channels=channels) as stage, stage.market.stream_ticker([BTC]) as stream:
        with pytest.raises(NoSuchChannel, match="upbit has no stream of ticker"):
            await anext(stream)


async def test_names_that_could_mean_several_or_none(autojump_clock: MockClock) -> None:
    async with staged() as stage:
        market = MarketData(stage.world.runtime, stage.home, {VENUE: (BTC,), "other": (BTC,)})  # type: ignore[dict-item]
        with pytest.raises(UnknownSymbol, match="could be that of other, upbit: write the venue before it"):
            market.resolve(BTC)
        with pytest.raises(UnknownSymbol, match="is in no venue's configuration"):
            market.resolve(XRP)
        with pytest.raises(UnknownSymbol, match="there is no venue 'okx' here, but other, upbit"):
            market.resolve("okx:BTC-USDT")
        assert market.resolve("other:X") == ("other", "X")
        with pytest.raises(UnknownSymbol, match="symbols was empty"):
            market.stream_ticker([])
        with pytest.raises(TypeError, match="must be a list"):
            market.stream_ticker(BTC)


@pytest.mark.req("R350")
async def test_what_the_checks_find_is_told_and_kept(autojump_clock: MockClock) -> None:
    async with staged() as stage, stage.market.stream_ticker([BTC]) as stream:
        await stage.world.settle()
        await stage.say(ticker(last="100"))
        await stage.say(ticker(last="200"))
        assert (await anext(stream)).quality is Quality.JUMP
        assert [(one.symbol, one.quality) for one in stage.home.flags] == [(BTC, Quality.JUMP)]
        assert stage.inspect()["flags"] == {"jump": 1}
        assert any("jump" in event.text for event in stage.world.diary.events if event.what == "market_data_flagged")
