"""From the crash of an actor to its open ready gate, state rebuilt and verified, without venue I/O.

The order path of `world.py` with some hundred orders behind it and live state in every actor; each actor is crashed
`crashes` times while orders flow.  The time is the cell's own: from the end of the incarnation to ready again, which
includes the journal's replay, the questions to other actors and the reconciliation with the in-process venue.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import trio

from actors.strategy.base import Strategy
from protocols.enums import Side
from protocols.ids import Path as Address
from protocols.journal import JOURNAL
from protocols.orders import FIRM_GATE, ROUTER, ExecutionReport, account_gate, account_path
from protocols.reconcile import book_path, entry_path, instruments_path, private_path, reconciler_path
from supervisors.runtime import Runtime
from supervisors.statistics import exact_percentiles
from tools.bench import world
from tools.bench.orders import Flood

_PAIR = (world.ACCOUNT, world.VENUE)
ACTORS: Mapping[str, Address] = {
    "journal": JOURNAL,
    "portfolio": "/portfolio",
    "firm_gate": FIRM_GATE,
    "account_gate": account_gate(world.ACCOUNT),
    "router": ROUTER,
    "reconciler": reconciler_path(*_PAIR),
    "private": private_path(*_PAIR),
    "entry": entry_path(*_PAIR),
    "account": account_path(*_PAIR),
    "instruments": instruments_path(world.VENUE),
    "book": book_path(world.VENUE, world.SYMBOL),
    "strategy": world.STRATEGY_PATH,
}


class Trickle(Strategy):
    """An order every two milliseconds, so that crashes meet state and mail but never a flood."""

    def __init__(self, counter: list[int]) -> None:
        super().__init__()
        self._counter = counter

    def on_start(self) -> None:
        self.timer(2_000_000, "next")

    def on_timer(self, key: str) -> None:
        self.timer(2_000_000, "next")
        sells = self.position(world.SYMBOL).qty > 0
        price = Flood.ASK if sells else Flood.BID
        self.limit(world.SYMBOL, Side.SELL if sells else Side.BUY, world.QTY, price)

    def on_fill(self, report: ExecutionReport) -> None:
        self._counter[0] += 1


def bench_restart(crashes: int = 200) -> dict[str, object]:
    """`{"n", "ms": {p50, p99, p999, max}, "by_actor": {actor: {...}}}`"""
    with tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as folder:
        samples = trio.run(_measure, Path(folder), crashes)
    everything = [sample for rows in samples.values() for sample in rows]
    return {
        "n": len(everything),
        "ms": exact_percentiles(everything, 1_000_000),
        "by_actor": {actor: exact_percentiles(rows, 1_000_000) for actor, rows in samples.items()},
    }


async def _measure(folder: Path, crashes: int) -> dict[str, list[int]]:
    counter = [0]
    samples: dict[str, list[int]] = {}
    async with world.order_path(folder, lambda: Trickle(counter)) as (runtime, _):
        await _trade(runtime, counter, 300)
        for actor, path in ACTORS.items():
            samples[actor] = []
            for _ in range(crashes):
                runtime.cell(path).sabotage("now")
                samples[actor].append(await _recovery_ns(runtime, path))
                await _all_ready(runtime)
                world.say_price(runtime)
            await _trade(runtime, counter, 20)
    return samples


async def _recovery_ns(runtime: Runtime, path: Address) -> int:
    cell = runtime.cell(path)
    with trio.fail_after(30):
        await runtime.wait_ready(path)
    recovery_ns = cell.restarts[-1].recovery_ns
    assert recovery_ns is not None
    return recovery_ns


async def _all_ready(runtime: Runtime) -> None:
    with trio.fail_after(30):
        for cell in runtime.cells():
            await runtime.wait_ready(cell.path)


async def _trade(runtime: Runtime, counter: list[int], orders: int) -> None:
    """Let some orders live their life."""
    wanted = counter[0] + orders
    with trio.fail_after(60):
        while counter[0] < wanted:
            await _all_ready(runtime)
            world.say_price(runtime)
            await trio.sleep(0.01)
