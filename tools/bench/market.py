"""What the market-data backbone does on this machine: delay, reconnection, recovery, cache, memory, idle CPU.

Venues are the bundled simulators; where speed or memory of the engine is measured they are processes of their own.

    delay      from the venue's clock in a message to the reader's hands, for tickers, books and trades of Upbit
    reconnect  from a reset of the stream connections until every subscribed stream of every symbol speaks again
    recovery   from the crash of each actor on the way until every stream speaks and a question is answered again
    cache      the scenario of `CACHE`: how many reads are answered from memory, and how much faster
    memory     what the process grows by for 200 symbols on five exchanges, all streamed
    idle       processor time of the same process while the markets are quiet
"""

from __future__ import annotations

import gc
import gzip
import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trio

from actors.market.api import MarketData, Stream
from config import load_config
from protocols.backbone import DESK, ChannelChoice, market_path
from protocols.enums import Quality
from protocols.errors import UnknownSymbol
from protocols.ids import Symbol, Venue
from protocols.reconcile import book_path, public_path, rest_path
from tools.engine.feed import open_host
from tools.engine.host import Host
from tools.simulator import GeneratorConfig, SimulatorConfig, open_simulator

__all__ = ["bench_market"]

UPBIT = Venue("upbit")
PAIR = ("KRW-BTC", "KRW-ETH")
RESETS, RIGS = 30, 3
CRASHES = 5
CACHE = {"askers": 4, "pause_ms": 10, "seconds": 10}
"""Four askers, each of whom wants the ticker of one of the known symbols every 10 ms, two thirds of the time one of the
two that are streamed as well."""
SYMBOLS_EACH = 40
WIDE = ("binance-spot", "binance-usdm", "bybit-linear", "okx-spot", "upbit")
QUIET_RATE = 0.1
"""Events a second and symbol: a market in which next to nothing happens."""


def bench_market(data: Path | None, seconds: float) -> dict[str, object]:
    """All sections.  `data`: folder with recorded instrument lists; without it the simulators' own symbols are used."""
    return {
        **trio.run(_wide, data, min(seconds, 20.0)),
        "delay_ms": trio.run(_delays, min(seconds, 20.0)),
        "reconnect_ms": trio.run(_reconnects),
        "recovery_ms": trio.run(_recoveries),
        "cache": trio.run(_cache),
    }


# ---- rigs --------------------------------------------------------------------------------------------------------


@contextmanager
def _process(family: str, rate: float, more: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """A simulator in a process of its own; the addresses that it prints when it is ready."""
    command = [sys.executable, "-m", "tools.simulator", "--venue", family, "--port", "0", "--json"]
    command += ["--until-stdin-closes", "--rate", str(rate), "--burst-every", "0", *more]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the simulator of {family} did not start: {' '.join(command)}")
        try:
            yield json.loads(line)
        finally:
            process.stdin.close()
            process.terminate()


def _at(venue: str, rest: str, port: int) -> dict[str, object]:
    url = f"ws://127.0.0.1:{port}"
    return {
        f"venues.{venue}.rest_url": rest,
        f"venues.{venue}.stream_url": url,
        f"venues.{venue}.entry_url": url,
    }


@asynccontextmanager
async def _engine(venues: Iterable[str], overrides: Mapping[str, object]) -> AsyncIterator[Host]:
    with TemporaryDirectory(prefix="bulkhead-bench-") as folder:
        chosen = set(venues)
        given: dict[str, object] = {"data.dir": folder, "simulator.enabled": False, **overrides}
        given |= {f"venues.{name}.enabled": name in chosen for name in load_config("market").venues}
        async with open_host("market", (), given) as host:
            yield host


async def _proven(stream: Stream[Any], symbols: Iterable[str], within_s: float = 60) -> None:
    """Until each symbol (`venue:symbol`) has said something that is proven; RuntimeError names those that have not."""
    missing = set(symbols)
    with trio.move_on_after(within_s):
        while missing:
            item = await anext(stream)
            if not item.quality & ~Quality.GAP:
                missing.discard(f"{item.venue}:{item.symbol}")
    if missing:
        raise RuntimeError(f"{len(missing)} streams were not proven within {within_s:g} s: {sorted(missing)[:20]}")


def _quantiles(samples: Sequence[float]) -> dict[str, float]:
    ordered = sorted(samples)
    last = len(ordered) - 1
    return {
        "n": len(ordered),
        **{name: round(ordered[round(last * q)], 3) for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))},
        "max": round(ordered[-1], 3),
    }


# ---- delay -------------------------------------------------------------------------------------------------------


async def _delays(seconds: float) -> dict[str, object]:
    """The venue writes whole milliseconds, so up to one of them is rounding."""
    found: dict[str, list[float]] = {"ticker": [], "orderbook": [], "trades": []}
    with _process("upbit", 40.0) as sim:
        async with _engine([UPBIT], _at(UPBIT, sim["rest"], sim["port"])) as host, trio.open_nursery() as nursery:
            market, clock = host.market, host.runtime.clock

            async def read(name: str, stream: Stream[Any]) -> None:
                await _proven(stream, [f"{UPBIT}:{symbol}" for symbol in PAIR])
                async for item in stream:
                    found[name].append((clock.wall_ns() - item.event_ns) / 1e6)

            nursery.start_soon(read, "ticker", market.stream_ticker(PAIR))
            nursery.start_soon(read, "orderbook", market.stream_orderbook(PAIR))
            nursery.start_soon(read, "trades", market.stream_trades(PAIR))
            await trio.sleep(2)
            for samples in found.values():
                samples.clear()
            await trio.sleep(seconds)
            nursery.cancel_scope.cancel()
    return {name: _quantiles(samples) for name, samples in found.items()}


# ---- reconnection and recovery -----------------------------------------------------------------------------------


class _Listeners:
    """One reader for each kind of stream, and when each symbol last said something that is proven."""

    def __init__(self, market: MarketData, nursery: trio.Nursery) -> None:
        self._heard: dict[tuple[str, Symbol], float] = {}
        self._news = trio.Event()
        streams: dict[str, Stream[Any]] = {
            "ticker": market.stream_ticker(PAIR),
            "orderbook": market.stream_orderbook(PAIR),
            "trades": market.stream_trades(PAIR),
        }
        self._wanted = {(name, Symbol(symbol)) for name in streams for symbol in PAIR}
        for name, stream in streams.items():
            nursery.start_soon(self._read, name, stream)

    async def _read(self, name: str, stream: Stream[Any]) -> None:
        async for item in stream:
            if not item.quality & ~Quality.GAP:
                self._heard[name, item.symbol] = trio.current_time()
                self._news.set()

    async def all_after(self, moment: float) -> None:
        """Until every stream of every symbol has spoken after a moment."""
        while any(self._heard.get(key, -1.0) <= moment for key in self._wanted):
            self._news = trio.Event()
            await self._news.wait()


@asynccontextmanager
async def _listening() -> AsyncIterator[tuple[Any, Host, _Listeners]]:
    """Upbit in this process, so that it can be cut off, with all streams read."""
    config = SimulatorConfig(venue="upbit", market=GeneratorConfig(events_per_s=60.0, burst_every_s=0.0))
    async with (
        open_simulator(config) as sim,
        _engine([UPBIT], _at(UPBIT, sim.rest_url, sim.port)) as host,
        trio.open_nursery() as nursery,
    ):
        listeners = _Listeners(host.market, nursery)
        await listeners.all_after(0.0)
        yield sim, host, listeners
        nursery.cancel_scope.cancel()


async def _reconnects() -> dict[str, float]:
    """Several engines and venues side by side, because a connection counts as sound after 10 s: before that, a further
    reset is answered by a pause that grows.

    The first attempt comes after a jitter of up to 250 ms, which most of the time that is measured here is.
    """
    took: list[float] = []
    async with AsyncExitStack() as stack:
        rigs = [await stack.enter_async_context(_listening()) for _ in range(RIGS)]

        async def reset(rig: tuple[Any, Host, _Listeners]) -> None:
            sim, _, listeners = rig
            began = trio.current_time()
            sim.cut_connections("streams")
            # What was under way is read first: only what comes over the new connection counts.
            await trio.sleep(0.02)
            await listeners.all_after(began + 0.02)
            took.append((trio.current_time() - began) * 1000)

        for _ in range(RESETS // RIGS):
            await trio.sleep(10.5)
            for rig in rigs:
                await reset(rig)
    return _quantiles(took)


async def _recoveries() -> dict[str, object]:
    victims = {
        "market": market_path(UPBIT),
        "desk": DESK,
        "public": public_path(UPBIT),
        "rest": rest_path(UPBIT),
        "book": book_path(UPBIT, Symbol(PAIR[0])),
    }
    found: dict[str, object] = {}
    worst = 0.0
    async with _listening() as (_, host, listeners):
        for name, path in victims.items():
            took = []
            for _ in range(CRASHES):
                began = trio.current_time()
                host.runtime.cell(path).sabotage("now")
                await trio.sleep(0.005)
                await host.runtime.wait_ready(path)
                await listeners.all_after(trio.current_time())
                await host.market.get_ticker(PAIR[0], max_age_ns=0)
                took.append((trio.current_time() - began) * 1000)
                await trio.sleep(10.5 / CRASHES)  # the restart budget is 5 in 30 s; calm children start over
            found[name] = round(max(took), 1)
            worst = max(worst, *took)
    return {**found, "max": round(worst, 1)}


# ---- cache -------------------------------------------------------------------------------------------------------


async def _cache() -> dict[str, object]:
    chance = random.Random(1)
    hits = misses = 0
    with _process("upbit", 20.0) as sim:
        async with _engine([UPBIT], _at(UPBIT, sim["rest"], sim["port"])) as host, trio.open_nursery() as nursery:
            market = host.market
            known = await _known_symbols(market)
            others = known[2:]
            nursery.start_soon(_drain, market.stream_ticker(PAIR))
            await trio.sleep(1)
            before = _counts(host)

            async def ask() -> None:
                until = trio.current_time() + float(CACHE["seconds"])
                while trio.current_time() < until:
                    streamed = not others or chance.random() < 2 / 3
                    await market.get_ticker(chance.choice(known[:2] if streamed else others))
                    await trio.sleep(CACHE["pause_ms"] / 1000)

            async with trio.open_nursery() as askers:
                for _ in range(CACHE["askers"]):
                    askers.start_soon(ask)
            after = _counts(host)
            hits, misses = after[0] - before[0], after[1] - before[1]
            cached = await _times(lambda: market.get_ticker(PAIR[0]), 2_000)
            asked = await _times(
                lambda: market.get_ticker(PAIR[0], ChannelChoice.REST_ONLY, max_age_ns=0), 50, pause_s=0.12
            )
            nursery.cancel_scope.cancel()
    faster = 100 * (1 - cached["p50"] / asked["p50"])
    return {
        "symbols": len(known),
        "reads": hits + misses,
        "hit_rate_percent": round(100 * hits / (hits + misses), 1),
        "cached_us": cached,
        "uncached_us": asked,
        "faster_percent": round(faster, 1),
    }


def _counts(host: Host) -> tuple[int, int]:
    actor = host.runtime.cell(market_path(UPBIT)).actor
    assert actor is not None
    picture: Mapping[str, Any] = actor.inspect()
    return picture["hits"], picture["misses"]


async def _known_symbols(market: MarketData) -> list[str]:
    """The two that are configured, and whatever else of some well-known ones this venue has."""
    found = list(PAIR)
    for name in ("XRP", "SOL", "DOGE", "ADA", "TRX", "LINK", "AVAX", "DOT"):
        try:
            await market.get_ticker(f"{UPBIT}:KRW-{name}")
        except UnknownSymbol:
            continue  # this venue has no such market
        found.append(f"{UPBIT}:KRW-{name}")
    return found


async def _drain(stream: Stream[Any]) -> None:
    async for _ in stream:
        pass


async def _times(call: Callable[[], Awaitable[object]], count: int, pause_s: float = 0.0) -> dict[str, float]:
    """Microseconds."""
    samples = []
    for _ in range(count):
        began = time.perf_counter_ns()
        await call()
        samples.append((time.perf_counter_ns() - began) / 1000)
        if pause_s:
            await trio.sleep(pause_s)
    found = _quantiles(samples)
    return {"p50": found["p50"], "p99": found["p99"]}


# ---- memory and idle ---------------------------------------------------------------------------------------------


async def _wide(data: Path | None, seconds: float) -> dict[str, object]:
    """Five exchanges, everything streamed, quiet markets: what it costs to hold and to do next to nothing."""
    lists = _lists(data)
    before = _rss_mb()
    with ExitStack() as stack:
        overrides: dict[str, object] = {}
        for venue in WIDE:
            symbols, source = lists[venue]
            family = venue.partition("-")[0] if venue in ("bybit-linear", "okx-spot") else venue
            more = ["--exchange-info", str(source), "--symbols", ",".join(symbols)] if source else []
            sim = await trio.to_thread.run_sync(stack.enter_context, _process(family, QUIET_RATE, more))
            overrides |= _at(venue, sim["rest"], sim["port"])
            overrides[f"venues.{venue}.symbols"] = ",".join(symbols)
        count = sum(len(symbols) for symbols, _ in lists.values())
        async with _engine(WIDE, overrides) as host, trio.open_nursery() as nursery:
            market = host.market
            everything = [f"{venue}:{symbol}" for venue in WIDE for symbol in lists[venue][0]]
            books = market.stream_orderbook(everything)
            await _proven(books, everything, 120)
            for stream in (books, market.stream_ticker(everything), market.stream_trades(everything)):
                nursery.start_soon(_drain, stream)
            nursery.start_soon(_drain, market.stream_candles(everything, 60_000_000_000))
            await _settled(host)
            gc.collect()
            began, used = time.perf_counter(), time.process_time()
            await trio.sleep(seconds)
            cpu = 100 * (time.process_time() - used) / (time.perf_counter() - began)
            after = _rss_mb()
            nursery.cancel_scope.cancel()
    return {
        "memory": {
            "venues": len(WIDE),
            "symbols": count,
            "before_mb": before,
            "after_mb": after,
            "data_layer_mb": round(after - before, 1),
        },
        "idle": {"symbols": count, "cpu_percent": round(cpu, 2)},
    }


async def _settled(host: Host) -> None:
    """Until the backbones ask for nothing more: every bar has its history."""
    asked, quiet = -1, 0
    while quiet < 3:
        await trio.sleep(2)
        actors = [host.runtime.cell(market_path(Venue(venue))).actor for venue in WIDE]
        pictures: list[Mapping[str, Any]] = [actor.inspect() for actor in actors if actor is not None]
        now = sum(picture["rest_asked"] for picture in pictures)
        quiet = quiet + 1 if now == asked else 0
        asked = now


def _rss_mb() -> float:
    """Of this process, now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * resource.getpagesize() / 1024 / 1024, 1)


def _lists(data: Path | None) -> dict[str, tuple[list[str], Path | None]]:
    """Symbols of each venue, and the list that a simulator takes them from."""
    if data is None:
        return {venue: (list(load_config("market").venues[venue].symbols), None) for venue in WIDE}
    spot, usdm = data / "binance_spot" / "rest", data / "binance_usdm" / "rest"
    files = {
        "binance-spot": spot / "exchange_info_testnet_2024-09-08.json.gz",
        "binance-usdm": usdm / "exchange_info_2021-07-22.json.gz",
        "bybit-linear": data / "bybit" / "rest" / "instruments_linear_2026-08-09.json.gz",
        "okx-spot": data / "okx" / "rest" / "instruments_SPOT_2022-05-13.json.gz",
        "upbit": data / "upbit" / "rest" / "market_all_2021-04-17.json.gz",
    }
    return {venue: (_symbols(venue, _read(path))[:SYMBOLS_EACH], path) for venue, path in files.items()}


def _read(path: Path) -> Any:
    return json.loads(gzip.decompress(path.read_bytes()))


def _symbols(venue: str, body: Any) -> list[str]:
    """What trades against the venue's usual quote asset, as its own list says."""
    if venue == "upbit":
        return [row["market"] for row in body if row["market"].startswith("KRW-")]
    if venue == "okx-spot":
        return [row["instId"] for row in body["data"] if row["quoteCcy"] == "USDT" and row["state"] == "live"]
    if venue == "bybit-linear":
        rows = [row for row in body["result"]["list"] if row["contractType"] == "LinearPerpetual"]
        return [row["symbol"] for row in rows if row["quoteCoin"] == "USDT"]
    rows = [row for row in body["symbols"] if row["quoteAsset"] == "USDT" and row["status"] == "TRADING"]
    return [row["symbol"] for row in rows if row.get("contractType", "PERPETUAL") == "PERPETUAL"]
