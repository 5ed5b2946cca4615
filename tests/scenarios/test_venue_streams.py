"""Public session, REST session and books of every kind of venue against its simulator: nothing here knows a venue.

The figures of a reconnect are printed, not asserted: `BULKHEAD_CUTS` says how often each venue's connections are reset
(default 2; to measure: 40).
"""

from __future__ import annotations

import os
import statistics
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import attrs
import pytest
import trio

from actors.book.actor import BookActor, BookSettings
from actors.venue.http import HttpClient
from actors.venue.limiter import LimiterActor
from actors.venue.public import PublicStreamActor
from actors.venue.rest import RestActor
from actors.venue.settings import MS, ReconnectSettings, TransportSettings, VenueEndpoints
from protocols.base import Message
from protocols.enums import GapReason
from protocols.ids import Path, Symbol, Venue
from protocols.instruments import Product
from protocols.market import GapClosed, GapOpened, Quote
from protocols.reconcile import book_path, clock_path, limiter_path, public_path, rest_path
from protocols.venue import RoutesStreams
from protocols.venues.registry import VENUES, VenueOptions
from supervisors.actor import Actor
from supervisors.clock import SystemClock
from tests.actors.venue.world import World, running
from tools.simulator import Fault, FaultKind, GeneratorConfig, Simulator, SimulatorConfig, open_simulator

CUTS = int(os.environ.get("BULKHEAD_CUTS", "2"))
KINDS = tuple(VENUES)
BOOKS = 2
PATIENCE_S = 30
STABLE_NS = 50 * MS
"""Each reset meets a connection that counts as stable, as one in ten seconds would."""
TRANSPORT = TransportSettings(close_timeout_ns=200 * MS)
PAUSE_S = 0.7
"""Between resets: a venue counts how often one connects (okx-v5 section 3: three times a second)."""


class Watched(BookActor):
    """Writes down what it publishes."""

    def __init__(self, log: list[Message], *parts: object, **more: object) -> None:
        super().__init__(*parts, **more)  # type: ignore[arg-type]
        self._log = log

    def _tell(self, message: Message) -> None:
        self._log.append(message)
        super()._tell(message)


@attrs.define
class Market:
    """One kind of venue and its running simulator."""

    kind: str
    sim: Simulator
    symbols: tuple[Symbol, ...]
    log: dict[Symbol, list[Message]]

    @property
    def venue(self) -> Venue:
        return Venue(self.kind)

    def gaps(self, symbol: Symbol) -> list[GapOpened]:
        """All but the one with which every book begins."""
        return [m for m in self.log[symbol] if isinstance(m, GapOpened) and m.reason is not GapReason.STARTING]

    def cut(self) -> None:
        """Reset all public connections."""
        codec = VENUES[self.kind].public(VenueOptions())
        paths = set(codec.stream_paths().values()) if isinstance(codec, RoutesStreams) else {codec.stream_path()}
        for connections in {self.sim.venue.kind_of(path) for path in paths}:
            self.sim.cut_connections(connections)

    def proven(self, world: World) -> bool:
        return all(world.runtime.cell(book_path(self.venue, symbol)).ready for symbol in self.symbols)

    def stays_true(self) -> bool:
        """Between the ends of a gap nothing is quoted, and what is quoted is not crossed."""
        for log in self.log.values():
            is_open = True
            for message in log:
                if isinstance(message, Quote):
                    crossed = message.bid_qty and message.ask_qty and message.bid_px >= message.ask_px
                    if is_open or crossed or not message.proven:
                        return False
                elif isinstance(message, GapOpened | GapClosed):
                    is_open = isinstance(message, GapOpened)
        return True


@asynccontextmanager
async def markets(*kinds: str) -> AsyncIterator[tuple[World, list[Market]]]:
    """The sessions and books of some venues in one runtime."""
    factories: dict[Path, Callable[[], Actor]] = {}
    found: list[Market] = []
    async with AsyncExitStack() as stack:
        for kind in kinds:
            parts = VENUES[kind]
            config = SimulatorConfig(venue=parts.family, market=GeneratorConfig(events_per_s=60.0, burst_every_s=0.0))
            sim = await stack.enter_async_context(open_simulator(config))
            linear = parts.product is Product.LINEAR
            listed = [each.spec.name for each in sim.exchange.markets.values() if each.spec.is_linear is linear]
            symbols = tuple(Symbol(name) for name in listed[:BOOKS])
            market = Market(kind, sim, symbols, {symbol: [] for symbol in symbols})
            client = HttpClient(sim.rest_url, TRANSPORT, now_ns=SystemClock.wall_ns)
            http = await stack.enter_async_context(client)
            factories |= _actors(market, http)
            found.append(market)
        async with running(factories) as world:
            with trio.fail_after(PATIENCE_S):
                while not all(market.proven(world) for market in found):  # noqa: ASYNC110
                    await trio.sleep(0.01)
            yield world, found


def _actors(market: Market, http: HttpClient) -> dict[Path, Callable[[], Actor]]:
    venue, sim = market.venue, market.sim
    codec = VENUES[market.kind].public(VenueOptions())
    origin = f"ws://127.0.0.1:{sim.port}"
    endpoints = VenueEndpoints(rest_url=sim.rest_url, stream_url=origin, entry_url=origin)
    limiter = limiter_path(venue)
    actors: dict[Path, Callable[[], Actor]] = {
        limiter: lambda: LimiterActor(venue, VENUES[market.kind].limits),
        rest_path(venue): lambda: RestActor(
            codec, http, limiter=limiter, clock=clock_path(venue), snapshot_burst=10**6
        ),
        public_path(venue): lambda: PublicStreamActor(
            codec,
            endpoints,
            market.symbols,
            limiter=limiter,
            transport=TRANSPORT,
            reconnect=ReconnectSettings(stable_after_ns=STABLE_NS),
            resync_burst=10**6,
        ),
    }
    for symbol in market.symbols:
        actors[book_path(venue, symbol)] = lambda symbol=symbol: Watched(  # type: ignore[misc]
            market.log[symbol], venue, symbol, codec.sequencer(symbol), settings=BookSettings(settled_ns=0)
        )
    return actors


@pytest.mark.req("R015", "R345", "R383")
@pytest.mark.parametrize("kind", KINDS)
async def test_after_a_reset_every_subscription_and_every_book_comes_back(kind: str) -> None:
    async with markets(kind) as (world, (market,)):
        subscribed: list[float] = []
        proven: list[float] = []
        path = public_path(market.venue)
        before = world.inspect(path)
        for number in range(1, CUTS + 1):
            await trio.sleep(PAUSE_S)
            market.cut()
            began = trio.current_time()
            with trio.fail_after(PATIENCE_S):
                while world.inspect(path)["losses"] < number * len(before["feeds"]):  # noqa: ASYNC110
                    await trio.sleep(0.001)
                while not world.runtime.cell(path).ready:  # noqa: ASYNC110
                    await trio.sleep(0.001)
                subscribed.append(trio.current_time() - began)
                while not market.proven(world):  # noqa: ASYNC110
                    await trio.sleep(0.001)
                proven.append(trio.current_time() - began)
        assert world.inspect(path)["subscribed"] == before["wanted"]
        assert {gap.reason for symbol in market.symbols for gap in market.gaps(symbol)} == {GapReason.DISCONNECTED}
        assert market.stays_true()
        assert world.crashes(path) == []
    print(f"{kind}: {CUTS} resets; subscribed again {figures(subscribed)}, books proven again {figures(proven)}")


def figures(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    return f"p50 {statistics.median(ordered) * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms"


@pytest.mark.req("R090", "R345")
async def test_a_venue_that_dies_is_no_gap_in_the_books_of_the_others() -> None:
    """Each venue in turn: its connections are reset and nobody listens for a while; it comes back by itself."""
    async with markets("binance-spot", "binance-usdm", "bybit-linear", "okx-swap", "upbit") as (world, found):
        for victim in found:
            others = {market.kind: [len(market.gaps(symbol)) for symbol in market.symbols] for market in found}
            quotes = {market.kind: sum(map(len, market.log.values())) for market in found}
            victim.sim.strike(Fault(kind=FaultKind.REFUSE_FOR, delay_ms=400))
            victim.cut()
            with trio.fail_after(PATIENCE_S):
                while victim.proven(world):  # noqa: ASYNC110
                    await trio.sleep(0.002)
                while not victim.proven(world):  # noqa: ASYNC110
                    await trio.sleep(0.01)
                for market in found:
                    while sum(map(len, market.log.values())) <= quotes[market.kind]:  # noqa: ASYNC110
                        await trio.sleep(0.01)
            for market in found:
                if market is not victim:
                    assert [len(market.gaps(symbol)) for symbol in market.symbols] == others[market.kind], market.kind
        assert all(market.stays_true() for market in found)
