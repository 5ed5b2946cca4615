"""A live market: one simulated USDT-M Futures follows another, which stands for the real venue, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import trio

from tests.simulator.binance_usdm.kit import SYMBOL, quiet_config, rest_of
from tests.simulator.wire import until
from tools.simulator import Fault, FaultKind, GeneratorConfig, LiveConfig, Simulator, demo_account, open_simulator
from tools.simulator.cli import build_config, build_parser
from tools.simulator.core.market import Top
from tools.simulator.dialects.binance_usdm.limits import UsdmLimits

# Slow enough that a book stands still while its last change is on its way.
UPSTREAM = quiet_config(
    market=GeneratorConfig(events_per_s=6.0, burst_every_s=0.0), limits=UsdmLimits(weight_per_minute=0), accounts=()
)


@asynccontextmanager
async def following(upstream: Simulator) -> AsyncIterator[Simulator]:
    """A simulator on the upstream's market, its books open."""
    market = LiveConfig(rest_url=upstream.rest_url, stream_url=upstream.stream_url)
    async with open_simulator(quiet_config(market=market, accounts=(demo_account("alpha"),))) as sim:
        assert sim.live is not None
        with trio.fail_after(20):
            await sim.live.opened.wait()
        yield sim
        assert sim.server.failures == upstream.server.failures == []


def top(sim: Simulator) -> Top:
    return sim.exchange.markets[SYMBOL].top()


async def test_book_mark_and_prints_are_those_of_the_upstream_venue() -> None:
    async with open_simulator(UPSTREAM) as upstream, following(upstream) as sim:
        assert sim.live is not None
        live = sim.live
        await until(lambda: live.frames > 30)
        await until(lambda: top(sim) == top(upstream))
        theirs = upstream.exchange.markets[SYMBOL]
        await until(lambda: sim.exchange.markets[SYMBOL].mark_px == theirs.mark_px)
        assert sim.live.progress()["connections"] == 1
        assert sim.exchange.markets[SYMBOL].trades


async def test_a_taker_gets_the_live_book_and_the_upstream_never_hears_of_it() -> None:
    async with open_simulator(UPSTREAM) as upstream, following(upstream) as sim, rest_of(sim) as rest:
        bought = await rest.market("BUY", "0.010")
        assert bought["status"] == "FILLED"
        assert Decimal((await rest.position())["positionAmt"]) == Decimal("0.010")
        assert not upstream.exchange.orders


async def test_a_lost_diff_begins_anew() -> None:
    async with open_simulator(UPSTREAM) as upstream, following(upstream) as sim:
        # Two, because the snapshot may have been younger than the first.
        upstream.strike(Fault(kind=FaultKind.DROP, match="btcusdt@depth@100ms", count=2))
        await until(lambda: sim.live is not None and sim.live.connections >= 2)
        await until(lambda: top(sim) == top(upstream))


async def test_the_command_line_takes_the_instruments_from_upstream() -> None:
    async with open_simulator(UPSTREAM) as upstream:
        words = ["--venue", "binance-usdm", "--live-rest", upstream.rest_url, "--live-stream", upstream.stream_url]
        options = build_parser().parse_args([*words, "--symbols", SYMBOL])
        config = await trio.to_thread.run_sync(build_config, options)
        assert (config.venue, config.symbols) == ("binance-usdm", (SYMBOL,))
        assert config.exchange_info is not None
