"""A live OKX market: one simulator follows another, which stands for the venue, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
import trio

from protocols.enums import Channel
from protocols.ids import Symbol
from protocols.instruments import Product
from protocols.market import BookDelta, BookSnapshot
from protocols.venue import Verdict
from protocols.venues.okx import OkxPublic
from tests.simulator.okx.wire import NO_LIMITS, PATIENCE_S, SPOT, SWAP, raw_socket, rest_of
from tools.simulator import (
    Fault,
    FaultKind,
    GeneratorConfig,
    LiveConfig,
    Side,
    Simulator,
    SimulatorConfig,
    demo_account,
    open_simulator,
)

D = Decimal
SYMBOLS = (SPOT, SWAP)
UPSTREAM = SimulatorConfig(venue="okx", symbols=SYMBOLS, market=GeneratorConfig(events_per_s=60.0), limits=NO_LIMITS)


@asynccontextmanager
async def following(upstream: Simulator) -> AsyncIterator[Simulator]:
    """A simulator on the upstream's market, its books open."""
    config = SimulatorConfig(
        venue="okx",
        symbols=SYMBOLS,
        market=LiveConfig(rest_url=upstream.rest_url, stream_url=upstream.stream_url),
        accounts=(demo_account("alpha"),),
        limits=NO_LIMITS,
    )
    async with open_simulator(config) as sim:
        assert sim.live is not None
        with trio.fail_after(PATIENCE_S):
            await sim.live.opened.wait()
        yield sim


def best(sim: Simulator, symbol: str) -> tuple[Decimal | None, Decimal | None]:
    top = sim.exchange.markets[symbol].top()
    return top.bid, top.ask


async def agreed(sim: Simulator, upstream: Simulator) -> None:
    """Wait until both show the same tops at the same number."""
    with trio.fail_after(PATIENCE_S):
        for symbol in SYMBOLS:
            assert sim.live is not None
            while best(sim, symbol) != best(upstream, symbol):  # noqa: ASYNC110 - a book has no event
                await trio.sleep(0.005)


async def test_the_books_are_those_of_the_upstream_venue() -> None:
    """And who subscribes in the middle begins with a picture that the passed-on updates continue."""
    async with open_simulator(UPSTREAM) as upstream, following(upstream) as sim, raw_socket(sim) as ws:
        await agreed(sim, upstream)
        codec = OkxPublic(Product.SPOT)
        rules = codec.sequencer(Symbol(SPOT))
        for frame in codec.subscribe([(Channel.BOOK, Symbol(SPOT))], 1):
            await ws.send_message(frame.text)
        applied = 0
        with trio.fail_after(PATIENCE_S):
            while applied < 10:
                for event in codec.decode(await ws.get_message(), 1, 1):
                    if isinstance(event, BookSnapshot):
                        assert rules.on_snapshot(event).verdict is Verdict.APPLY
                    elif isinstance(event, BookDelta):
                        assert rules.on_delta(event) is Verdict.APPLY
                        applied += 1
        assert sim.live is not None
        assert (sim.live.connections, sim.live.failure) == (1, "")


async def test_a_taker_gets_the_live_book_and_the_upstream_never_hears_of_it() -> None:
    async with open_simulator(UPSTREAM) as upstream, following(upstream) as sim, rest_of(sim) as rest:
        placed = await rest.place(SWAP, ordType="market", sz="2")
        row = await rest.one("trade/order", instId=SWAP, ordId=placed["ordId"])
        assert (row["state"], row["accFillSz"]) == ("filled", "2")
        (position,) = await rest.rows("account/positions")
        assert position["pos"] == "2"
        assert all(fill.trade.trade_id > 9_000_000_000_000 for fill in sim.fills("alpha", SWAP))
        assert not upstream.venue.arrivals


async def test_a_maker_is_filled_when_the_upstream_market_trades_through_his_price() -> None:
    async with open_simulator(UPSTREAM) as upstream, following(upstream) as sim, rest_of(sim) as rest:
        bid, _ = best(sim, SPOT)
        assert bid is not None
        price = (bid * D("0.9995")).quantize(D("0.1"))
        await rest.place(SPOT, px=str(price), sz="0.001")
        upstream.trade(SPOT, Side.SELL, D(5_000), price * D("0.999"))
        with trio.fail_after(PATIENCE_S):
            while not sim.fills("alpha", SPOT):  # noqa: ASYNC110 - a list has no event
                await trio.sleep(0.01)
        (fill,) = sim.fills("alpha", SPOT)
        assert (fill.is_maker, fill.trade.price) == (True, price)


@pytest.mark.parametrize("kind", [FaultKind.CUT_NOW, FaultKind.DROP])
async def test_a_broken_stream_is_followed_again(kind: FaultKind) -> None:
    async with open_simulator(UPSTREAM) as upstream, following(upstream) as sim:
        assert sim.live is not None
        match = "streams" if kind is FaultKind.CUT_NOW else f"books:{SPOT}"
        upstream.strike(Fault(kind=kind, match=match))
        with trio.fail_after(PATIENCE_S):
            while sim.live.connections < 2:  # noqa: ASYNC110 - a counter has no event
                await trio.sleep(0.01)
        if kind is FaultKind.DROP:
            assert "an update follows" in sim.live.failure
        await agreed(sim, upstream)
