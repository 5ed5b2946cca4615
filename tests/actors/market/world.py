"""A venue made of actors that do what a test says, under the real runtime on virtual time, with the real backbone."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from typing import ClassVar

import attrs
import trio

from actors.market.api import MarketData
from actors.market.backbone import MarketActor
from actors.market.breaker import BreakerSettings
from actors.market.desk import DeskActor, DeskHome
from actors.market.readers import Readers
from actors.market.settings import MarketSettings
from protocols.backbone import RestBookQuery, RestTickersQuery, Unanswered, market_path
from protocols.base import Message, Query
from protocols.enums import Channel, Side, Source
from protocols.ids import Symbol, Venue
from protocols.market import (
    CANDLE_CHANNELS,
    BookSnapshot,
    Candle,
    Depth,
    StreamDown,
    StreamUp,
    Subscribe,
    Ticker,
    Trade,
    Unsubscribe,
    UnwatchDepth,
    WatchDepth,
)
from protocols.reconcile import CandlesQuery, book_path, public_path, rest_path
from protocols.venue import Disposition, VenueError
from supervisors.actor import Actor, Later, ReadyWhen
from supervisors.clock import TrioClock
from supervisors.spec import ChildSpec, SupervisorSpec
from tests.supervisors.support import World, running

VENUE = Venue("upbit")
BTC, ETH, XRP = Symbol("KRW-BTC"), Symbol("KRW-ETH"), Symbol("KRW-XRP")
"""BTC and ETH are configured; XRP exists besides, nothing else does."""
SECOND_NS, MINUTE_NS = 1_000_000_000, 60_000_000_000
MARKET, PUBLIC, REST = market_path(VENUE), public_path(VENUE), rest_path(VENUE)
ONE = Decimal(1)


@attrs.define
class Script:
    """What the venue does, and what it was asked; outlives its actors."""

    wants: dict[tuple[Channel, Symbol], set[str]] = attrs.field(factory=dict)
    """Readers at the public session, as it keeps them over its restarts."""
    depths: dict[Symbol, set[str]] = attrs.field(factory=dict)
    asked: list[Query] = attrs.field(factory=list)
    rest_down: str = ""
    """Why REST fails; "" while it works."""
    rest_silent: bool = False
    """REST does not answer at all."""
    rest_px: Decimal = Decimal(100)
    at_ns: int | None = None
    """Venue time of what REST says; None: now."""
    bars: list[Candle] = attrs.field(factory=list)
    page: int = 200
    """Bars that the venue gives in one answer."""
    silent_from: int | None = None
    """No question about bars is answered from this one on (counted from 0)."""
    mute: set[Symbol] = attrs.field(factory=set)
    """Symbols about which REST does not answer."""
    listed: set[Symbol] = attrs.field(factory=lambda: {BTC, ETH, XRP})
    """Those that exist."""
    answer_s: float = 0.0
    """How long REST takes."""
    held_back: Unanswered | None = None
    """What the session says instead of asking the venue."""


class Public(Actor):
    """The session: keeps who wants what; the test speaks for the venue."""

    def __init__(self, script: Script) -> None:
        self._script = script

    def receive(self, message: Message) -> None:
        wants = self._script.wants
        assert isinstance(message, Subscribe | Unsubscribe)
        for channel in message.channels:
            readers = wants.setdefault((channel, message.symbol), set())
            if isinstance(message, Subscribe):
                readers.add(message.reader)
                self.ctx.send(message.reader, StreamUp(PUBLIC, VENUE, 1, 0, (channel,), message.symbol))
            else:
                readers.discard(message.reader)
                if not readers:
                    del wants[channel, message.symbol]


class Rest(Actor):
    """The REST session, as the script says."""

    def __init__(self, script: Script) -> None:
        self._script = script

    def answer(self, query: Query) -> object:
        script = self._script
        script.asked.append(query)
        later = Later()
        if script.rest_silent:
            return later
        if script.rest_down:
            later.fail(script.rest_down)
            return later
        if script.answer_s:
            self._nursery.start_soon(self._answer_later, query, later)
            return later
        return self._said(query)

    async def run(self) -> None:
        async with trio.open_nursery() as self._nursery:
            await trio.sleep_forever()

    async def _answer_later(self, query: Query, later: Later) -> None:
        await trio.sleep(self._script.answer_s)
        later.resolve(self._said(query))

    def _said(self, query: Query) -> object:
        script, later = self._script, Later()
        now_ns = TrioClock().wall_ns()
        at_ns = now_ns if script.at_ns is None else script.at_ns
        symbols = query.symbols if isinstance(query, RestTickersQuery) else (query.symbol,)  # type: ignore[attr-defined]
        if script.held_back is not None:
            return script.held_back
        if script.mute.intersection(symbols):
            return later
        if any(symbol not in script.listed for symbol in symbols):
            return VenueError(Disposition.NOT_FOUND, "404", "Code not found")
        if isinstance(query, RestTickersQuery):
            return tuple(
                Ticker(VENUE, symbol, at_ns, now_ns, last_px=script.rest_px, source=Source.REST) for symbol in symbols
            )
        if isinstance(query, RestBookQuery):
            bids = tuple((Decimal(99 - n), ONE) for n in range(query.levels))
            asks = ((Decimal(101), ONE),)
            return BookSnapshot(VENUE, query.symbol, 7, bids, asks, now_ns, event_ns=script.at_ns or 0)
        assert isinstance(query, CandlesQuery)
        asked = sum(isinstance(one, CandlesQuery) for one in script.asked) - 1
        if script.silent_from is not None and asked >= script.silent_from:
            return later
        end_ns = query.end_ns
        bars = [one for one in script.bars if end_ns is None or one.open_ns < end_ns]
        found = bars[-min(query.limit, script.page) :]
        return tuple(attrs.evolve(one, symbol=query.symbol) for one in found)


class Book(Actor):
    """A book: ready means proven, which the test decides."""

    READY_WHEN: ClassVar[ReadyWhen] = ReadyWhen.TOLD

    def __init__(self, script: Script, symbol: Symbol) -> None:
        self._script = script
        self._symbol = symbol

    async def started(self) -> None:
        self._script.depths.pop(self._symbol, None)
        self.ctx.set_ready()

    def receive(self, message: Message) -> None:
        readers = self._script.depths.setdefault(self._symbol, set())
        if isinstance(message, WatchDepth):
            readers.add(message.reader)
            self.ctx.send(message.reader, depth(self._symbol))
        elif isinstance(message, UnwatchDepth):
            readers.discard(message.reader)


def now_ns() -> int:
    return TrioClock().wall_ns()


def ticker(symbol: Symbol = BTC, last: str = "100", at_ns: int | None = None) -> Ticker:
    return Ticker(VENUE, symbol, now_ns() if at_ns is None else at_ns, now_ns(), last_px=Decimal(last))


_numbers = itertools.count(1)


def trade(symbol: Symbol = BTC, price: int = 100, at_ns: int | None = None, number: int | None = None) -> Trade:
    at_ns = now_ns() if at_ns is None else at_ns
    number = next(_numbers) if number is None else number
    return Trade(VENUE, symbol, str(number), Decimal(price), ONE, Side.BUY, at_ns, now_ns())


def depth(symbol: Symbol = BTC, bid: int = 99) -> Depth:
    return Depth(VENUE, symbol, now_ns(), now_ns(), ((Decimal(bid), ONE),), ((Decimal(101), ONE),), 1)


def bar(open_ns: int, close: int = 100, interval_ns: int = MINUTE_NS) -> Candle:
    px = Decimal(close)
    return Candle(VENUE, BTC, interval_ns, open_ns, px, px, px, px, ONE, closed=True, source=Source.REST)


def up(channel: Channel, symbol: Symbol = BTC, connection: int = 2) -> StreamUp:
    return StreamUp(PUBLIC, VENUE, connection, now_ns(), (channel,), symbol)


def down(channel: Channel, symbol: Symbol = BTC) -> StreamDown:
    return StreamDown(PUBLIC, VENUE, 1, now_ns(), "reset by peer", (channel,), symbol)


@attrs.define
class Stage:
    """Everything that runs."""

    world: World
    script: Script
    market: MarketData
    home: DeskHome
    readers: Readers

    async def say(self, *messages: Message) -> None:
        """The venue's session (or a book) says something to the backbone."""
        for message in messages:
            self.world.send(MARKET, message)
        await self.world.settle()

    async def crash(self, path: str) -> None:
        """An actor ends badly and is there again."""
        epoch = self.world.epoch(path)
        self.world.runtime.cell(path).sabotage("now")
        await self.world.settle()
        await self.world.ready(path)
        assert self.world.epoch(path) == epoch + 1
        await self.world.settle()

    def inspect(self) -> dict[str, object]:
        actor = self.world.runtime.cell(MARKET).actor
        assert actor is not None
        return dict(actor.inspect())

    def asked(self, kind: type[Query]) -> int:
        return sum(isinstance(query, kind) for query in self.script.asked)


CHANNELS = (Channel.BOOK, Channel.TRADES, Channel.TICKER, *CANDLE_CHANNELS.values())


@asynccontextmanager
async def staged(
    settings: MarketSettings | None = None,
    channels: Iterable[Channel] = CHANNELS,
    symbols: tuple[Symbol, ...] = (BTC, ETH),
    script: Script | None = None,
) -> AsyncIterator[Stage]:
    """The backbone of one venue, warm, with its desk and its face."""
    script = script or Script()
    home, readers, kept = DeskHome(), Readers(), tuple(channels)
    settings = settings or MarketSettings(breaker=BreakerSettings(failures=3))

    def backbone() -> Actor:
        return MarketActor(VENUE, symbols, kept, readers, settings=settings)

    books = SupervisorSpec(
        name="books", children=tuple(ChildSpec(name=each, factory=partial(Book, script, each)) for each in symbols)
    )
    venue = SupervisorSpec(
        name=VENUE,
        children=(
            ChildSpec(name="rest", factory=lambda: Rest(script)),
            books,
            ChildSpec(name="public", factory=lambda: Public(script)),
        ),
    )
    spec = SupervisorSpec(
        name="",
        children=(
            SupervisorSpec(name="venues", children=(venue,)),
            SupervisorSpec(
                name="market",
                children=(
                    ChildSpec(name=VENUE, factory=backbone),
                    ChildSpec(name="desk", factory=lambda: DeskActor(home, (VENUE,))),
                ),
            ),
        ),
    )
    assert book_path(VENUE, BTC) == f"/venues/{VENUE}/books/{BTC}"
    async with running(spec) as world:
        await world.ready(MARKET, "/market/desk")
        await world.settle()
        yield Stage(world, script, MarketData(world.runtime, home, {VENUE: symbols}), home, readers)
