"""A trading session from start to end: everything becomes ready, trades, agrees with the venue, and stops clean."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.journal.replay import read
from protocols.journal import ENGINE_KEY, ActorRestarted
from tests.scenarios.support import audit, trading


@pytest.mark.req("R003", "R006", "R008")
async def test_two_accounts_trade_and_agree_with_the_venue(tmp_path: Path) -> None:
    async with trading(tmp_path) as run:
        await run.all_ready()
        await run.fills(20)
        sim = run.sim
    assert [order for name in ("master", "sub1") for order in sim.open_orders(name)] == []
    assert audit(sim, tmp_path) == []


async def test_ends_out_of_turn_are_in_the_journal(tmp_path: Path) -> None:
    async with trading(tmp_path) as run:
        await run.all_ready()
        run.host.runtime.cell("/router").sabotage("now")
        run.host.runtime.cell("/portfolio").restart("the test")
        await run.all_ready()
    ended = [stored.record for stored in read(tmp_path / "journal", key=ENGINE_KEY)]
    found = {(record.path, record.epoch, record.cause) for record in ended if isinstance(record, ActorRestarted)}
    assert ("/router", 1, "crash: ChaosCrash: crash on request") in found
    assert any(path == "/portfolio" and epoch == 1 and "the test" in cause for path, epoch, cause in found)
