"""A live market: one simulator follows another, which stands for the real venue, over real sockets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
import trio

from tests.simulator.wire import rest_of
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


async def test_a_taker_gets_the_live_book_and_the_upstream_never_hears_of_it() -> None:
    async with open_simulator(UPSTREAM) as upstream, following(upstream) as sim, rest_of(sim) as rest:
        reply = await rest.signed("POST", "order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.001")
        assert reply.status_code == 200, reply.text
        said = reply.json()
        assert (said["status"], said["executedQty"]) == ("FILLED", "0.00100000")
        (fill,) = sim.fills("alpha", "BTCUSDT")
        assert fill.trade.trade_id > 9_000_000_000_000
        assert fill.trade.price == Decimal(said["fills"][0]["price"])
        assert upstream.exchange.accounts.by_name == {}
        assert not upstream.venue.arrivals


async def test_a_maker_is_filled_when_the_upstream_market_trades_through_his_price() -> None:
    async with open_simulator(UPSTREAM) as upstream, following(upstream) as sim, rest_of(sim) as rest:
        bid, _ = tops(sim, "BTCUSDT")
        assert bid is not None
        price = (bid * Decimal("0.999")).quantize(Decimal("0.01"))
        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.001"}
        reply = await rest.signed("POST", "order", **order, price=str(price))
        assert reply.json()["status"] == "NEW", reply.text
        assert sim.fills("alpha", "BTCUSDT") == []
        upstream.trade("BTCUSDT", Side.SELL, Decimal(5_000), price * Decimal("0.99"))
        with trio.fail_after(20):
            while not sim.fills("alpha", "BTCUSDT"):  # noqa: ASYNC110 - a list has no event
                await trio.sleep(0.01)
        (fill,) = sim.fills("alpha", "BTCUSDT")
        assert fill.is_maker
        assert fill.trade.price == price


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
