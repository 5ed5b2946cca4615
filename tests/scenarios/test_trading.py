"""A trading session from start to end: everything becomes ready, trades, agrees with the venue, and stops clean."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.support import audit, trading


@pytest.mark.req("R003", "R006", "R008")
async def test_two_accounts_trade_and_agree_with_the_venue(tmp_path: Path) -> None:
    async with trading(tmp_path) as run:
        await run.all_ready()
        await run.fills(20)
        sim = run.sim
    assert [order for name in ("master", "sub1") for order in sim.open_orders(name)] == []
    assert audit(sim, tmp_path) == []
