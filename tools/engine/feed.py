"""An engine for its market data alone, inside one's own Trio program.

    async with open_market("market", venues=["upbit"]) as market:
        async for ticker in market.stream_ticker(["KRW-BTC"]):
            print(ticker.last_px)

`docs/market-data.md` says more.  The engine ends with the block, in order; what it needs of disk is a folder.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from actors.market.api import MarketData
from config import load_config
from protocols.reconcile import public_path, rest_path
from tools.engine.host import Host

START_S, END_S = 20, 30


@asynccontextmanager
async def open_market(
    profile: str | Path = "market",
    *,
    venues: Sequence[str] = (),
    overrides: Mapping[str, object] | None = None,
    data: Path | None = None,
) -> AsyncIterator[MarketData]:
    """Run the engine of a profile (or file) and hand out its market data.

    `venues`: only these of the profile; `overrides`: values by dotted key; `data`: folder for its journal and logs, by
    default one that is gone afterwards.  Venues that are there within some seconds are waited for; one that is not is
    tried on, and its data cannot be had meanwhile.  ConfigError names the key that is wrong.
    """
    with tempfile.TemporaryDirectory(prefix="bulkhead-") as spare:
        given: dict[str, object] = {"data.dir": str(data or spare), **(overrides or {})}
        async with open_host(profile, venues, given) as host:
            with trio.move_on_after(START_S):
                for venue in host.plan.venues:
                    await host.runtime.wait_ready(rest_path(venue))
                    await host.runtime.wait_ready(public_path(venue))
            yield host.market


@asynccontextmanager
async def open_host(
    profile: str | Path, venues: Sequence[str] = (), overrides: Mapping[str, object] | None = None
) -> AsyncIterator[Host]:
    """The engine itself, running; stopped in order at the end of the block."""
    given = dict(overrides or {})
    if venues:
        known = load_config(profile, overrides=given).venues
        given |= {f"venues.{name}.enabled": name in venues for name in known}
    host = Host.prepare(load_config(profile, overrides=given), os.environ)
    async with trio.open_nursery() as nursery:
        await nursery.start(host.run)
        try:
            yield host
        finally:
            host.stop("its market data is needed no more")
            with trio.move_on_after(END_S, shield=True):
                await host.ended.wait()
            nursery.cancel_scope.cancel()
