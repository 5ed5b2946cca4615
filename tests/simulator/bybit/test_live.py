"""A live Bybit market: one simulator follows another, which stands for the venue, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
import trio

from tests.simulator.bybit.kit import LINEAR, SPOT, rest_of
from tools.simulator import (
    Fault,
    FaultKind,
    GeneratorConfig,
    LiveConfig,
    Simulator,
    SimulatorConfig,
    demo_account,
    open_simulator,
)
from tools.simulator.cli import build_config, build_parser
from tools.simulator.core.model import Side

KEYS = (SPOT, LINEAR)
UPSTREAM = SimulatorConfig(venue="bybit", symbols=KEYS, market=GeneratorConfig(events_per_s=60.0))
PATIENCE_S = 20


@asynccontextmanager
async def following(upstream: Simulator) -> AsyncIterator[Simulator]:
    """A simulator on the upstream's market, its books open."""
    config = SimulatorConfig(
        venue="bybit",
        symbols=KEYS,
        market=LiveConfig(rest_url=upstream.rest_url, stream_url=upstream.stream_url),
        accounts=(demo_account("alpha"),),
    )
    async with open_simulator(config) as sim:
        assert sim.live is not None
        with trio.fail_after(PATIENCE_S):
            await sim.live.opened.wait()
        yield sim
        assert sim.server.failures == []


def depth(sim: Simulator, key: str) -> list[list[tuple[Decimal, Decimal]]]:
    market = sim.exchange.markets[key]
    return [market.depth(side, 10) for side in Side]


async def agreed(sim: Simulator, upstream: Simulator) -> None:
    """Wait for a moment at which both show the same books."""
    with trio.fail_after(PATIENCE_S):
        for key in KEYS:
            while depth(sim, key) != depth(upstream, key):  # noqa: ASYNC110 - a book has no event
                await trio.sleep(0.002)


async def test_the_books_are_those_of_the_upstream_venue() -> None:
    async with open_simulator(UPSTREAM) as upstream, following(upstream) as sim:
        assert sim.live is not None
        await agreed(sim, upstream)
        frames = sim.live.frames
        with trio.fail_after(PATIENCE_S):
            while sim.live.frames < frames + 100:  # noqa: ASYNC110 - a counter has no event
                await trio.sleep(0.01)
        await agreed(sim, upstream)
        assert sim.live.progress()["connections"] == 2  # one socket per product
        assert sim.live.progress()["failure"] == ""
        assert sim.exchange.markets[LINEAR].mark_px > 0


async def test_a_taker_gets_the_live_book_and_the_upstream_never_hears_of_it() -> None:
    async with open_simulator(UPSTREAM) as upstream, following(upstream) as sim, rest_of(sim) as rest:
        for category, key in (("spot", SPOT), ("linear", LINEAR)):
            order_id = await rest.order(category, "Buy", "0.001")
            assert (await rest.shown(category, order_id))["orderStatus"] == "Filled"
            (fill,) = sim.fills("alpha", key)
            assert fill.trade.trade_id > 9_000_000_000_000
        assert upstream.exchange.accounts.by_name == {}
        assert not upstream.venue.arrivals


async def test_a_gap_begins_anew() -> None:
    async with open_simulator(UPSTREAM) as upstream, following(upstream) as sim:
        assert sim.live is not None
        upstream.strike(Fault(kind=FaultKind.DROP, match="linear/orderbook.200.BTCUSDT"))
        with trio.fail_after(PATIENCE_S):
            while sim.live.connections < 4:  # noqa: ASYNC110 - a counter has no event
                await trio.sleep(0.01)
        await agreed(sim, upstream)


async def test_the_command_line_takes_the_upstreams_instruments() -> None:
    async with open_simulator(UPSTREAM) as upstream:
        upstream_words = ("--live-rest", upstream.rest_url, "--live-stream", upstream.stream_url)
        options = build_parser().parse_args(["--venue", "bybit", "--symbols", ",".join(KEYS), *upstream_words])
        config = await trio.to_thread.run_sync(build_config, options)
        async with open_simulator(config) as sim:
            assert set(sim.exchange.markets) == set(KEYS)
            assert sim.live is not None
            with trio.fail_after(PATIENCE_S):
                await sim.live.opened.wait()


async def test_an_unknown_symbol_is_named() -> None:
    with pytest.raises(ValueError, match="NOPE"):
        async with open_simulator(SimulatorConfig(venue="bybit", symbols=("NOPE",))):
            pass
