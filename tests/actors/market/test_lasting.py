"""What the backbone costs in the long run and what its memory saves, on virtual time: nothing here is a stopwatch."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.market.api import Stream
from actors.market.settings import MarketSettings
from protocols.backbone import ChannelChoice
from protocols.enums import Channel
from protocols.ids import Symbol
from protocols.market import Depth, Ticker, Trade
from tests.actors.market.world import (
    BTC,
    MARKET,
    MINUTE_NS,
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

REST = ChannelChoice.REST_ONLY


@pytest.mark.req("R372")
async def test_a_read_from_memory_does_not_wait_for_the_venue(autojump_clock: MockClock) -> None:
    """The venue takes 100 ms for an answer; what is remembered costs none of them."""
    async with staged() as stage:
        start = now_ns() - now_ns() % MINUTE_NS
        stage.script.bars = [bar(start + n * MINUTE_NS) for n in range(-10, 0)]
        stage.script.answer_s = 0.1
        await trio.sleep(5)
        reads: list[Callable[[], Awaitable[object]]] = [
            lambda: stage.market.get_ticker(BTC, REST),
            lambda: stage.market.get_orderbook(BTC, REST),
            lambda: stage.market.get_candles(BTC, MINUTE_NS, 5, REST),
        ]
        for read in reads:
            assert await took(read) == pytest.approx(0.1)
            assert await took(read) == 0


async def took(read: Callable[[], Awaitable[object]]) -> float:
    """Virtual seconds."""
    began = trio.current_time()
    await read()
    return trio.current_time() - began


@pytest.mark.req("R368")
async def test_what_the_venue_says_is_read_in_the_same_moment(autojump_clock: MockClock) -> None:
    """Nothing on the way from the session to the reader waits for a timer: what a reader is late by is the network's
    and the processor's, and the record's own times say how much."""
    async with (
        staged() as stage,
        stage.market.stream_ticker([BTC]) as tickers,
        stage.market.stream_orderbook([BTC]) as books,
        stage.market.stream_trades([BTC]) as trades,
    ):
        await anext(books)
        streams: list[Stream[Any]] = [tickers, books, trades]
        said: list[Ticker | Depth | Trade] = [ticker(), depth(bid=98), trade()]
        for stream, item in zip(streams, said, strict=True):
            began = trio.current_time()
            stage.world.send(MARKET, item)
            heard = await anext(stream)
            assert trio.current_time() == began
            assert (heard.event_ns, heard.received_ns) == (item.event_ns, item.received_ns)


@pytest.mark.req("R375")
async def test_hours_of_comings_and_goings_leave_nothing_behind(autojump_clock: MockClock) -> None:
    """Readers, interruptions, crashes and single reads of many symbols, over and over: as many objects as before."""
    symbols = tuple(Symbol(f"KRW-{number}") for number in range(10))
    async with staged(MarketSettings(history=20), symbols=(BTC, *symbols)) as stage:
        stage.script.listed |= set(symbols)
        start = now_ns() - now_ns() % MINUTE_NS
        stage.script.bars = [bar(start - MINUTE_NS)]
        for _ in range(3):
            await busy_hour(stage, symbols)
        before = await objects(stage)
        for _ in range(3):
            await busy_hour(stage, symbols)
        after = await objects(stage)
        assert after - before < 30, "of some 50,000: not one for each reader, trade or read"
        assert stage.script.wants == {}


async def busy_hour(stage: Stage, symbols: tuple[Symbol, ...]) -> None:
    market = stage.market
    async with (
        market.stream_ticker(symbols) as tickers,
        market.stream_trades(symbols),
        market.stream_candles(symbols, MINUTE_NS),
        market.stream_orderbook(symbols[:5]),
    ):
        await stage.world.settle()
        for symbol in symbols:
            await stage.say(ticker(symbol), trade(symbol), trade(symbol), depth(symbol))
            await stage.say(down(Channel.TRADES, symbol), up(Channel.TRADES, symbol), trade(symbol))
        await anext(tickers)
        await trio.sleep(30)
        await stage.crash(MARKET)
    for symbol in symbols:
        await market.get_ticker(symbol)
        await market.get_orderbook(symbol)
    stage.script.asked.clear()
    await trio.sleep(3_600)


async def objects(stage: Stage) -> int:
    """What is alive, after everything bounded by number has been filled."""
    await stage.world.settle()
    for cell in stage.world.runtime.cells():
        cell.restarts.clear()  # the histories are bounded, and not full yet
        cell.recent.clear()
    stage.world.runtime.dead_letters.clear()
    gc.collect()
    return len(gc.get_objects())
