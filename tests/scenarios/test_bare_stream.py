"""A stream that leaves out the picture that it should begin with: books get theirs by REST (okx-v5 section 7.1)."""

from __future__ import annotations

from functools import partial

import pytest
import trio

from actors.book.actor import BookSettings
from tests.scenarios import test_venue_streams as streams
from tools.simulator import Fault, FaultKind
from tools.simulator.dialects.okx.venue import OkxVenue


async def test_books_of_a_stream_without_pictures_are_proven_by_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    patience_ns = 500_000_000
    monkeypatch.setattr(streams, "BookSettings", partial(BookSettings, snapshot_timeout_ns=patience_ns))
    async with streams.markets("okx-spot") as (world, (market,)):
        market.sim.strike(Fault(kind=FaultKind.DROP, match="snapshot:*", count=1_000_000))
        assert isinstance(market.sim.venue, OkxVenue)
        told = market.sim.venue.snapshots
        asked = sum(told.values())
        market.cut()
        with trio.fail_after(streams.PATIENCE_S):
            while market.proven(world):  # noqa: ASYNC110 - there is nobody to tell us
                await trio.sleep(0.002)
            while not market.proven(world):  # noqa: ASYNC110
                await trio.sleep(0.01)
        assert sum(told.values()) > asked, "REST was asked"
        assert market.stays_true()
