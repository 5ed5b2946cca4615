"""A live market: one simulator follows another, which stands for the real venue, over real sockets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
import trio

from tools.simulator import (
    Fault,
    FaultKind,
    GeneratorConfig,
    LimitConfig,
    LiveConfig,
    Side,
    Simulator,
    SimulatorConfig,
    demo_account,
    open_simulator,
)
from tools.simulator.cli import build_config, build_parser
from tools.simulator.core.live import FeedBroken, fetch

SYMBOLS = ("BTCUSDT", "ETHUSDT")
UPSTREAM = SimulatorConfig(
    symbols=SYMBOLS, market=GeneratorConfig(events_per_s=60.0), limits=LimitConfig(weight_per_minute=10**6)
)


@asynccontextmanager
async def following(upstream: Simulator) -> AsyncIterator[Simulator]:
    """A simulator on the upstream's market, its books open."""
    config = SimulatorConfig(
        symbols=SYMBOLS,
        market=LiveConfig(rest_url=upstream.rest_url, stream_url=upstream.stream_url),
        accounts=(demo_account("alpha"),),
    )
    async with open_simulator(config) as sim:
        assert sim.live is not None
        with trio.fail_after(20):
            await sim.live.opened.wait()
        yield sim


def tops(sim: Simulator, symbol: str) -> tuple[Decimal | None, Decimal | None]:
    top = sim.exchange.markets[symbol].top()
    return top.bid, top.ask


async def agreed(sim: Simulator, upstream: Simulator) -> None:
    """Wait until both books are at the same update with the same top."""
    with trio.fail_after(20):
        for symbol in SYMBOLS:
            ours, theirs = sim.exchange.markets[symbol], upstream.exchange.markets[symbol]
            while ours.update_id != theirs.update_id or tops(sim, symbol) != tops(upstream, symbol):  # noqa: ASYNC110
                await trio.sleep(0.01)


async def test_the_books_are_those_of_the_upstream_venue() -> None:
    async with open_simulator(UPSTREAM) as upstream, following(upstream) as sim:
        assert sim.live is not None
        frames = sim.live.frames
        await agreed(sim, upstream)
        with trio.fail_after(20):
            while sim.live.frames < frames + 100:  # noqa: ASYNC110 - a counter has no event
                await trio.sleep(0.01)
        await agreed(sim, upstream)
        assert sim.live.progress()["connections"] == 1
        assert sim.live.progress()["failure"] == ""


async def test_users_trade_against_the_live_book_and_the_upstream_never_hears_of_it() -> None:
    async with open_simulator(UPSTREAM) as upstream, following(upstream) as sim:
        account = sim.account("alpha")
        before = sim.balances("alpha")["BTC"][0]
        bid, ask = tops(sim, "BTCUSDT")
        assert bid is not None
        assert ask is not None
        sim.trade("BTCUSDT", Side.BUY, Decimal("0.001"))  # somebody else's print here does not touch the account
        assert account.fills == {}
        assert sim.balances("alpha")["BTC"][0] == before
        assert upstream.exchange.accounts.by_name == {}


@pytest.mark.parametrize("kind", [FaultKind.CUT_NOW, FaultKind.DROP])
async def test_a_broken_stream_is_followed_again_from_a_new_snapshot(kind: FaultKind) -> None:
    async with open_simulator(UPSTREAM) as upstream, following(upstream) as sim:
        assert sim.live is not None
        if kind is FaultKind.CUT_NOW:
            upstream.cut_connections("streams")
        else:
            upstream.strike(Fault(kind=FaultKind.DROP, match="*@depth*", count=1))
        with trio.fail_after(20):
            while sim.live.connections < 2 or sim.live.failure:  # noqa: ASYNC110 - a counter has no event
                await trio.sleep(0.01)
        await agreed(sim, upstream)


async def test_own_trade_ids_go_on_after_a_break() -> None:
    async with open_simulator(UPSTREAM) as upstream, following(upstream) as sim:
        assert sim.live is not None
        market = sim.exchange.markets["BTCUSDT"]
        first = market.next_trade_id()
        upstream.cut_connections("streams")
        with trio.fail_after(20):
            while sim.live.connections < 2 or sim.live.failure:  # noqa: ASYNC110 - a counter has no event
                await trio.sleep(0.01)
        assert market.next_trade_id() > first


async def test_the_command_line_takes_the_instruments_from_the_upstream_venue() -> None:
    async with open_simulator(UPSTREAM) as upstream:
        arguments = ["--symbols", "BTCUSDT", "--live-rest", upstream.rest_url, "--live-stream", upstream.stream_url]
        options = build_parser().parse_args(arguments)
        config = await trio.to_thread.run_sync(build_config, options)
        assert isinstance(config.market, LiveConfig)
        assert config.exchange_info is not None
        listed = json.loads(await trio.Path(config.exchange_info).read_text())
        assert [row["symbol"] for row in listed["symbols"]] == ["BTCUSDT"]


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["--live-rest", "http://127.0.0.1:1"], "belong together"),
        (["--live-rest", "http://127.0.0.1:1", "--live-stream", "ws://127.0.0.1:1"], "--live-rest: http://127.0.0.1:1"),
        (["--live-rest", "file:///etc", "--live-stream", "ws://x"], "must begin with http"),
        (["--live-rest", "http://x", "--live-stream", "ws://x", "--capture", "x.gz"], "exclude each other"),
    ],
)
def test_an_unusable_upstream_is_named(arguments: list[str], complaint: str) -> None:
    with pytest.raises(ValueError) as caught:
        build_config(build_parser().parse_args(arguments))
    assert complaint in str(caught.value)


def test_a_local_file_is_no_address(tmp_path: Path) -> None:
    with pytest.raises(FeedBroken, match="must begin with http"):
        fetch(tmp_path.as_uri())
