"""A venue announces that an instrument's steps will change: the list is read again when they have."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.venue import instruments
from actors.venue.settings import MS
from protocols.control import InstrumentsChanged
from protocols.reconcile import InstrumentsQuery, instruments_path
from supervisors.clock import SystemClock
from tests.actors.venue.anywhere import anywhere
from tools.simulator import Simulator
from tools.simulator.dialects.okx.venue import OkxVenue


async def test_the_list_is_read_again_when_an_announced_change_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instruments, "AFTER_CHANGE_NS", 100 * MS)
    change_ms = SystemClock.wall_ns() // MS + 2_000

    def announce(sim: Simulator) -> None:
        assert isinstance(sim.venue, OkxVenue)
        raw = sim.venue.instruments["BTC-USDT-SWAP"].raw
        raw["upcChg"] = [{"param": "tickSz", "newValue": "0.5", "effTime": str(change_ms)}]

    async with anywhere("okx-swap", tmp_path, before=announce) as here:
        path = instruments_path(here.venue)
        assert here.instrument.changes_ns == change_ms * MS
        assert isinstance(here.sim.venue, OkxVenue)
        raw = here.sim.venue.instruments["BTC-USDT-SWAP"].raw
        raw |= {"tickSz": "0.5", "upcChg": []}
        await here.until(lambda: here.world.inspect(path)["loads"] == 2, "the list to be read again")
        assert SystemClock.wall_ns() >= change_ms * MS, "not before"
        told = await here.world.ask(path, InstrumentsQuery())
        assert isinstance(told, InstrumentsChanged)
        (instrument,) = told.instruments
        assert (str(instrument.price_steps[0].step), instrument.changes_ns) == ("0.5", 0)
