"""Actors are killed at random moments of a trading session: nothing is lost, doubled or traded blind.

Each kind of actor dies `KILLS` times (BULKHEAD_CHAOS_KILLS; 100 in the long run of the acceptance, fewer by default),
at once or in the middle of a message, while the others keep trading.  Checked at every kill: exactly the group of the
restart strategy got a new epoch.  Checked all the time: no limit is exceeded.  Checked at the end: orders, positions,
balances and every single fill equal the venue's books, and no ClOrdID reached the venue twice.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from protocols.control import ExposurePicture, ExposureQuery
from protocols.ids import Path as Address
from supervisors.actor import AskError
from supervisors.cell import Cell
from supervisors.spec import Strategy
from supervisors.supervisor import Supervisor
from tests.scenarios.support import ACCOUNTS, Trading, audit, fill_count, trading
from tools.simulator import GeneratorConfig, LimitConfig, SimulatorConfig, demo_account

KILLS = int(os.environ.get("BULKHEAD_CHAOS_KILLS", "12"))
SEED = int(os.environ.get("BULKHEAD_CHAOS_SEED", "1"))

KINDS: dict[str, str] = {
    "control socket": "/control",
    "journal": "/journal",
    "daily files": "/files",
    "limiter": "/venues/binance-spot/limiter",
    "clock": "/venues/binance-spot/clock",
    "rest": "/venues/binance-spot/rest",
    "instruments": "/venues/binance-spot/instruments",
    "book": "/venues/binance-spot/books/ETHUSDT",
    "candles": "/venues/binance-spot/candles/BTCUSDT",
    "public stream": "/venues/binance-spot/public",
    "portfolio": "/portfolio",
    "firm gate": "/risk/firm",
    "account gate": "/risk/sub1",
    "reconciler": "/accounts/sub1/binance-spot/reconciler",
    "private stream": "/accounts/sub1/binance-spot/private",
    "order entry": "/accounts/sub1/binance-spot/entry",
    "account": "/accounts/sub1/binance-spot/account",
    "router": "/router",
    "strategy": "/strategies/maker-alt",
}

BUSY = SimulatorConfig(
    symbols=("BTCUSDT", "ETHUSDT", "SOLUSDT"),
    accounts=tuple(demo_account(name) for name in ACCOUNTS),
    market=GeneratorConfig(events_per_s=150.0),
    limits=LimitConfig(
        weight_per_minute=10**8,
        raw_per_5_minutes=10**8,
        orders_per_10_seconds=10**6,
        orders_per_day=10**8,
        connections_per_5_minutes=10**6,
    ),
)
PATIENT: dict[str, object] = {
    "supervision.max_restarts": 1000,
    "supervision.within_s": 1,
    "supervision.backoff_first_ms": 1,
    "supervision.backoff_max_ms": 20,
}


def cells_of(node: Cell | Supervisor) -> Iterator[Cell]:
    if isinstance(node, Cell):
        yield node
    else:
        for child in node.children:
            yield from cells_of(child.node)


def restart_group(root: Supervisor, path: Address) -> set[Address]:
    """Addresses that a crash of `path` restarts, by the restart strategies on the way."""
    for _, node in root.walk():
        if not isinstance(node, Supervisor):
            continue
        for index, child in enumerate(node.children):
            if isinstance(child.node, Cell) and child.node.path == path:
                chosen = {
                    Strategy.ONE_FOR_ONE: [child],
                    Strategy.ONE_FOR_ALL: node.children,
                    Strategy.REST_FOR_ONE: node.children[index:],
                }[node.spec.strategy]
                return {cell.path for member in chosen for cell in cells_of(member.node)}
    raise AssertionError(f"no actor at {path}")


async def watch_limits(run: Trading, broken: list[str]) -> None:
    """Every gate, all the time: what is used is never above what is allowed."""
    while True:
        for scope in ("firm", *ACCOUNTS):
            try:
                shown = await run.host.runtime.ask(f"/risk/{scope}", ExposureQuery(), 500_000_000)
            except AskError:
                continue  # resyncing: it approves nothing
            assert isinstance(shown, ExposurePicture)
            broken += [
                f"{scope}: {name} {used} of {allowed}" for name, used, allowed in shown.limit_use if used > allowed
            ]
        await trio.sleep(0.02)


async def kill(cell: Cell, where: str) -> None:
    """End the incarnation; one that gets no mail to die on dies at once after a moment."""
    epoch = cell.epoch
    cell.sabotage(where)
    with trio.fail_after(30):
        for patience in range(100_000):
            if cell.epoch != epoch:
                return
            if patience == 50:
                cell.sabotage("now")
            await trio.sleep(0.002)


@pytest.mark.slow
@pytest.mark.req("R008", "R107")
@pytest.mark.parametrize("kind", KINDS)
async def test_killed_again_and_again(kind: str, tmp_path: Path) -> None:
    path = KINDS[kind]
    dice = random.Random(f"{SEED}/{kind}")
    broken: list[str] = []
    overrides = PATIENT | {"strategies.tfpe.enabled": kind == "candles"}  # bars are kept only for who reads them
    async with trading(tmp_path, BUSY, overrides) as run:
        await run.all_ready()
        await run.fills(2)
        runtime, root = run.host.runtime, run.host.the_root
        group = restart_group(root, path)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch_limits, run, broken)
            for _ in range(KILLS):
                await trio.sleep(dice.uniform(0.0, 0.08))
                before = {cell.path: cell.epoch for cell in runtime.cells()}
                await kill(runtime.cell(path), dice.choice(("now", "before", "after")))
                await run.all_ready(150)  # a limiter that dies often is careful: it may wait for the next minute
                restarted = {cell.path for cell in runtime.cells() if cell.epoch != before[cell.path]}
                assert restarted == group
            traded = fill_count(run.sim)
            await run.fills(traded + 2)
            nursery.cancel_scope.cancel()
        assert broken == []
        await run.agreement()
        sim = run.sim
    assert [order for name in ACCOUNTS for order in sim.open_orders(name)] == []
    assert audit(sim, tmp_path) == []
