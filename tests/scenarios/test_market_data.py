"""The market-data backbone over real sockets: an engine for its data alone, on the venues' simulators.

Speeds are measured by `bulkhead bench market`; here it is proven that it works, and that what breaks comes back.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from config import load_config
from protocols.backbone import DESK, ChannelChoice, market_path
from protocols.enums import Quality, Source
from protocols.ids import Symbol, Venue
from protocols.market import Candle, Depth, Ticker, Trade
from protocols.reconcile import book_path, public_path, rest_path
from tools.engine.feed import open_host
from tools.engine.host import Host
from tools.simulator import Fault, FaultKind, GeneratorConfig, Simulator, SimulatorConfig, open_simulator

UPBIT, BTC = Venue("upbit"), Symbol("KRW-BTC")
FAMILIES = {
    "binance-spot": ("binance-spot",),
    "binance-usdm": ("binance-usdm",),
    "bybit": ("bybit-spot", "bybit-linear"),
    "okx": ("okx-spot", "okx-swap"),
    "upbit": ("upbit",),
}
SECOND_NS = 1_000_000_000
PATIENT_NS = 30 * SECOND_NS
HANGS_S = 90
"""After so long something hangs, also on a machine that has other things to do."""
LIVELY = GeneratorConfig(events_per_s=80.0)


@attrs.define
class Feed:
    """An engine for its market data, and the venues that it reads."""

    host: Host
    sims: Mapping[str, Simulator]

    @property
    def market(self) -> Any:
        return self.host.market

    def inspect(self, path: str) -> dict[str, Any]:
        actor = self.host.runtime.cell(path).actor
        return dict(actor.inspect()) if actor is not None else {}

    def crash(self, path: str) -> None:
        self.host.runtime.cell(path).sabotage("now")


@asynccontextmanager
async def feeding(data: Path, *families: str) -> AsyncIterator[Feed]:
    """The `market` profile on simulators of these families."""
    async with AsyncExitStack() as stack:
        sims: dict[str, Simulator] = {}
        overrides: dict[str, object] = {"data.dir": str(data), "simulator.enabled": False}
        for family in families:
            sim = sims[family] = await stack.enter_async_context(
                open_simulator(SimulatorConfig(venue=family, market=LIVELY))
            )
            for venue in FAMILIES[family]:
                overrides |= {
                    f"venues.{venue}.rest_url": sim.rest_url,
                    f"venues.{venue}.stream_url": f"ws://127.0.0.1:{sim.port}",
                    f"venues.{venue}.entry_url": f"ws://127.0.0.1:{sim.port}",
                }
        chosen = [venue for family in families for venue in FAMILIES[family]]
        overrides |= {f"venues.{name}.enabled": name in chosen for name in load_config("market").venues}
        host = await stack.enter_async_context(open_host("market", (), overrides))
        yield Feed(host, sims)


async def first(stream: Any, count: int = 1) -> list[Any]:
    """The first good items of a stream, which ends here."""
    found: list[Any] = []
    async with stream:
        with trio.fail_after(HANGS_S):
            async for item in stream:
                if not item.quality & ~Quality.GAP:
                    found.append(item)
                if len(found) == count:
                    return found
    raise AssertionError("the stream has ended")


@pytest.mark.req("R327", "R328", "R330", "R335", "R367", "R381", "R384")
async def test_every_stream_of_upbit(tmp_path: Path) -> None:
    async with feeding(tmp_path, "upbit") as feed:
        market = feed.market
        symbols = ["KRW-BTC", "KRW-ETH"]
        tickers = await first(market.stream_ticker(["KRW-BTC"]), 3)
        assert all(isinstance(one, Ticker) and one.symbol == BTC and one.source is Source.STREAM for one in tickers)
        books = await first(market.stream_orderbook(symbols), 10)
        assert {one.symbol for one in books} == set(symbols)
        assert all(isinstance(one, Depth) and one.bids[0][0] < one.asks[0][0] for one in books)
        trades = await first(market.stream_trades(symbols), 10)
        assert all(isinstance(one, Trade) and one.price > 0 for one in trades)
        bars = await first(market.stream_candles(["KRW-BTC"], SECOND_NS), 3)
        assert all(isinstance(one, Candle) and one.closed for one in bars)
        opened = [one.open_ns for one in bars]
        assert opened == [opened[0] + n * SECOND_NS for n in range(3)]
        with trio.fail_after(HANGS_S):
            while feed.inspect(market_path(UPBIT))["streams"]:  # noqa: ASYNC110 - no event for the end of a wish
                await trio.sleep(0.01)


@pytest.mark.req("R092", "R333", "R337", "R356", "R376")
@pytest.mark.parametrize("family", FAMILIES)
async def test_every_venue_by_every_channel(family: str, tmp_path: Path) -> None:
    """One record shape and one unit, whatever the venue and whatever the channel: the two must agree."""
    async with feeding(tmp_path, family) as feed:
        market = feed.market
        for venue, plan in feed.host.plan.venues.items():
            symbol = f"{venue}:{plan.symbols[0]}"
            with trio.fail_after(5 * HANGS_S):
                asked = await market.get_ticker(symbol, ChannelChoice.REST_ONLY, max_age_ns=0, patience_ns=PATIENT_NS)
                streamed = await market.get_ticker(symbol, ChannelChoice.WEBSOCKET_ONLY, patience_ns=PATIENT_NS)
                book = await market.get_orderbook(symbol, ChannelChoice.REST_ONLY, levels=5, patience_ns=PATIENT_NS)
                live = await market.get_orderbook(
                    symbol, ChannelChoice.WEBSOCKET_ONLY, levels=5, patience_ns=PATIENT_NS
                )
                bars = await market.get_candles(symbol, 60 * SECOND_NS, 3, patience_ns=PATIENT_NS)
            assert (asked.source, streamed.source) == (Source.REST, Source.STREAM), venue
            assert (asked.venue, asked.symbol) == (streamed.venue, streamed.symbol) == (venue, plan.symbols[0])
            for name in ("last_px", "open_px", "base_px", "high_px", "low_px"):
                one, other = getattr(asked, name), getattr(streamed, name)
                assert one is not None, (venue, name)
                assert other is not None, (venue, name)
                assert abs(one - other) <= one / 20, (venue, name, one, other)
            # The simulated day begins with the simulator, so its volume only grows.
            assert asked.volume is not None, venue
            assert streamed.volume is not None, venue
            assert asked.volume <= streamed.volume, venue
            assert asked.change_rate is not None
            assert abs(asked.change_rate) < 1
            middle = (live.bids[0][0] + live.asks[0][0]) / 2
            assert abs(middle - asked.last_px) < middle / 20, venue
            assert abs(book.bids[0][0] - live.bids[0][0]) < middle / 20, venue
            assert len(live.bids) == len(book.bids) == 5
            assert all(bar.source is Source.REST and bar.received_ns > 0 for bar in bars)


@pytest.mark.req("R271", "R376")
async def test_repeated_reads_are_answered_from_memory(tmp_path: Path) -> None:
    """A hundred reads in a row meet the end of what was fresh once a second, and no more often."""
    async with feeding(tmp_path, "binance-spot") as feed:
        requests = feed.sims["binance-spot"].venue.requests
        for read in (feed.market.get_ticker, feed.market.get_orderbook):
            await read("BTCUSDT", ChannelChoice.REST_ONLY, max_age_ns=0, patience_ns=PATIENT_NS)
            before, began = dict(requests), trio.current_time()
            for _ in range(100):
                found = await read("BTCUSDT", ChannelChoice.REST_ONLY, patience_ns=PATIENT_NS)
                assert found.source is Source.REST
            more = {name: count - before.get(name, 0) for name, count in requests.items()}
            asked = sum(count for name, count in more.items() if "ticker" in name or "depth" in name)
            assert asked <= 5 + trio.current_time() - began, more


@pytest.mark.req("R339")
async def test_at_its_end_no_connection_no_task_and_no_file_is_left(tmp_path: Path) -> None:
    """Also of streams that their readers never closed."""
    tasks, sockets = trio.lowlevel.current_statistics().tasks_living, held("socket:")
    async with feeding(tmp_path, "upbit") as feed:
        streams = [
            feed.market.stream_ticker(["KRW-BTC"]),
            feed.market.stream_orderbook(["KRW-BTC"]),
            feed.market.stream_trades(["KRW-BTC"]),
            feed.market.stream_candles(["KRW-BTC"], SECOND_NS),
        ]
        await good_again(streams[0], {"KRW-BTC"})
        await good_again(streams[1], {"KRW-BTC"})
        assert held("socket:") > sockets
        assert held(str(tmp_path))
    assert trio.lowlevel.current_statistics().tasks_living == tasks
    assert held("socket:") == sockets
    assert not held(str(tmp_path))


def held(what: str) -> set[str]:
    """What this process has open of a kind."""
    folder = Path("/proc/self/fd")
    links = [os.readlink(folder / name) for name in os.listdir(folder) if (folder / name).is_symlink()]
    return {link for link in links if link.startswith(what)}


async def good_again(stream: Any, kinds: set[str]) -> None:
    """Wait until each of these symbols has said something that is proven."""
    with trio.fail_after(HANGS_S):
        while kinds:
            item = await anext(stream)
            if not item.quality & ~Quality.GAP:
                kinds.discard(item.symbol)


@pytest.mark.req("R345", "R383")
async def test_after_a_reset_every_subscription_is_there_again(tmp_path: Path) -> None:
    async with feeding(tmp_path, "upbit") as feed:
        market, symbols = feed.market, ["KRW-BTC", "KRW-ETH"]
        async with (
            market.stream_ticker(symbols) as tickers,
            market.stream_orderbook(symbols) as books,
            market.stream_trades(symbols) as trades,
        ):
            for stream in (tickers, books, trades):
                await good_again(stream, set(symbols))
            for _ in range(3):
                feed.sims["upbit"].cut_connections("streams")
                with trio.fail_after(HANGS_S):
                    async for item in books:
                        if item.quality is Quality.UNPROVEN:
                            break
                    async for trade in trades:
                        if trade.quality is Quality.GAP:
                            break
                for stream in (tickers, books, trades):
                    await good_again(stream, set(symbols))


@pytest.mark.req("R345", "R385")
@pytest.mark.parametrize(
    "victim",
    [market_path(UPBIT), DESK, public_path(UPBIT), rest_path(UPBIT), book_path(UPBIT, BTC)],
)
async def test_after_a_crash_of_anything_the_streams_go_on(victim: str, tmp_path: Path) -> None:
    async with feeding(tmp_path, "upbit") as feed:
        market = feed.market
        async with market.stream_ticker(["KRW-BTC"]) as tickers, market.stream_orderbook(["KRW-BTC"]) as books:
            for stream in (tickers, books):
                await good_again(stream, {"KRW-BTC"})
            epoch = feed.host.runtime.cell(victim).epoch
            feed.crash(victim)
            await trio.sleep(0.05)
            with trio.fail_after(HANGS_S):
                await feed.host.runtime.wait_ready(victim)
                for stream in (tickers, books):
                    while len(stream._outlet.waiting):
                        await anext(stream)  # what was said before
                    await good_again(stream, {"KRW-BTC"})
                await market.get_ticker("KRW-BTC", max_age_ns=0)
            assert feed.host.runtime.cell(victim).epoch == epoch + 1


@pytest.mark.req("R336", "R357", "R376", "R385")
async def test_when_rest_fails_the_stream_answers_and_when_both_fail_nothing_is_invented(tmp_path: Path) -> None:
    async with feeding(tmp_path, "upbit") as feed:
        market, sim = feed.market, feed.sims["upbit"]
        await market.get_ticker("KRW-BTC")
        sim.strike(Fault(kind=FaultKind.ERROR_BEFORE, match="ticker", count=1_000))
        with trio.fail_after(HANGS_S):
            found = await market.get_ticker("KRW-BTC", max_age_ns=0)
        assert found.source is Source.STREAM
        with pytest.raises(Exception, match="upbit: "):
            await market.get_ticker("KRW-BTC", ChannelChoice.REST_ONLY, max_age_ns=0)
        assert "opened" in feed.inspect(market_path(UPBIT))["breakers"]["tickers"]
        assert feed.inspect(market_path(UPBIT))["rest_failed"] >= 1


@pytest.mark.req("R379")
async def test_what_happens_to_the_data_is_in_the_engines_log_in_its_one_form(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with feeding(tmp_path, "upbit") as feed:
        await feed.market.get_ticker("KRW-BTC", patience_ns=PATIENT_NS)
        feed.sims["upbit"].strike(Fault(kind=FaultKind.ERROR_BEFORE, match="ticker", count=1))
        await feed.market.get_ticker("KRW-BTC", max_age_ns=0, patience_ns=PATIENT_NS)
        feed.crash(market_path(UPBIT))
        await feed.market.get_ticker("KRW-BTC", max_age_ns=0, patience_ns=PATIENT_NS)
        feed.sims["upbit"].cut_connections("streams")
        async with feed.market.stream_ticker(["KRW-BTC"]) as tickers:
            await good_again(tickers, {"KRW-BTC"})
    lines = logged(tmp_path)
    assert all({"t", "event", "level"} <= line.keys() for line in lines)
    said = {(line["event"], line.get("path")) for line in lines}
    assert {
        ("actor_request_failed", rest_path(UPBIT)),
        ("actor_crash", market_path(UPBIT)),
        ("actor_connection_lost", public_path(UPBIT)),
        ("actor_connected", public_path(UPBIT)),
    } <= said
    assert capfd.readouterr() == ("", "")


def logged(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in folder.rglob("engine.jsonl") for line in path.read_text().splitlines()]
