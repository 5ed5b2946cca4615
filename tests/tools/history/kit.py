"""Simulators, recordings and small files for the tests of market data on disk."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from protocols.ids import Symbol
from protocols.venues.registry import VENUES
from supervisors.clock import SystemClock
from tools.history.record import RecordConfig, Recorder
from tools.simulator import GeneratorConfig, Simulator, SimulatorConfig, open_simulator

PATIENCE_S = 120  # how long a test waits for what must come; it is not a measurement
MINUTE_NS = 60_000_000_000
LIVELY = GeneratorConfig(events_per_s=300, burst_every_s=0)
SYMBOLS: dict[str, tuple[str, ...]] = {
    "binance-spot": ("BTCUSDT", "ETHUSDT"),
    "binance-usdm": ("BTCUSDT", "ETHUSDT"),
    "bybit-spot": ("BTCUSDT", "ETHUSDT"),
    "bybit-linear": ("BTCUSDT", "ETHUSDT"),
    "okx-spot": ("BTC-USDT", "ETH-USDT"),
    "okx-swap": ("BTC-USDT-SWAP", "ETH-USDT-SWAP"),
    "upbit": ("KRW-BTC", "KRW-ETH"),
}


def simulated(kind: str, **more: Any) -> SimulatorConfig:
    """A lively market of the family that plays a kind of venue."""
    settings: dict[str, Any] = {"venue": VENUES[kind].family, "market": LIVELY}
    return SimulatorConfig(**(settings | more))


def origins(sim: Simulator) -> dict[str, Any]:
    """Where a recorder or a download finds it."""
    return {"rest_url": sim.rest_url, "stream_url": f"ws://127.0.0.1:{sim.port}"}


@asynccontextmanager
async def recording(kind: str, sim: Simulator, folder: Path, **more: Any) -> AsyncIterator[Recorder]:
    """A recorder that runs for the length of the block and has closed its files after it."""
    symbols = tuple(Symbol(one) for one in more.pop("symbols", SYMBOLS[kind]))
    recorder = Recorder(RecordConfig(kind=kind, symbols=symbols, folder=folder, **origins(sim), **more))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(recorder.run)
        yield recorder
        recorder.stop()


async def until(reached: Callable[[], bool]) -> None:
    with trio.fail_after(PATIENCE_S):
        while not reached():  # noqa: ASYNC110  what is looked at are counters
            await trio.sleep(0.01)


@asynccontextmanager
async def venue_of(kind: str, **more: Any) -> AsyncIterator[Simulator]:
    """A simulator that had no bug when the block ends."""
    async with open_simulator(simulated(kind, **more)) as sim:
        yield sim
        assert sim.server.failures == []


def lines_of(path: Path) -> list[dict[str, Any]]:
    """A capture, read by nothing of ours."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt") as file:
        return [json.loads(line) for line in file]


def write_lines(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def now_ns() -> int:
    return SystemClock.wall_ns()
