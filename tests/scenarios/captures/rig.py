"""The engine's public session, REST session and books of one venue, on the real runtime, against a player."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
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
from protocols.venue import Limit, PublicCodec
from protocols.venues.binance_spot.public import BinanceSpotPublic
from protocols.venues.binance_usdm.public import BinanceUsdmPublic
from protocols.venues.bybit import BybitPublic
from protocols.venues.okx import OkxPublic
from protocols.venues.upbit.public import UpbitPublic
from supervisors.actor import Actor
from supervisors.clock import SystemClock
from tests.actors.venue.world import World, running
from tests.scenarios.captures.player import Accident, Happened, Player, serving
from tests.scenarios.captures.recordings import Base, Recording, Top

PATIENCE_S = 60
NEVER = 1 << 62
QUICK = ReconnectSettings(first_jitter_ns=10 * MS, backoff_ns=20 * MS, backoff_max_ns=100 * MS)
"""Losses come many times faster here than anywhere else, so everything may be as quick to repair."""
EAGER = BookSettings(settled_ns=0, retry_min_ns=5 * MS, retry_max_ns=50 * MS)
QUIET_NS = 50 * MS
"""A quiet symbol's snapshot by REST; one of the stream comes by itself."""
NO_LIMITS = (Limit("weight", 60_000_000_000, 10**9), Limit("raw", 60_000_000_000, 10**9))
TRANSPORT = TransportSettings(close_timeout_ns=200 * MS)

CODECS: dict[str, Callable[[], PublicCodec]] = {
    "binance-spot": BinanceSpotPublic,
    "binance-usdm": BinanceUsdmPublic,
    "bybit-spot": lambda: BybitPublic(Product.SPOT),
    "bybit-linear": lambda: BybitPublic(Product.LINEAR),
    "okx-spot": lambda: OkxPublic(Product.SPOT, checksums=True),
    "upbit": UpbitPublic,
}


class WatchedBook(BookActor):
    """Writes down everything that it publishes, in order: a reader's mailbox would keep only the newest quote."""

    def __init__(self, log: list[Message], *parts: object, **more: object) -> None:
        super().__init__(*parts, **more)  # type: ignore[arg-type]
        self._log = log

    def _tell(self, message: Message) -> None:
        self._log.append(message)
        super()._tell(message)


@attrs.define
class Play:
    """One recording that was played, and what the books said."""

    player: Player
    world: World
    venue: Venue
    log: dict[str, list[Message]]

    def book(self, symbol: str) -> BookActor | None:
        actor = self.world.runtime.cell(book_path(self.venue, Symbol(symbol))).actor
        assert actor is None or isinstance(actor, BookActor)
        return actor

    def healed(self, symbol: str) -> bool:
        """The book is proven, and has read everything that was sent of it."""
        book = self.book(symbol)
        if book is None:
            return False
        picture = book.inspect()
        return bool(picture["proven"]) and int(str(picture["last_id"])) >= self.player.truth.last_ids[symbol]

    async def to_the_end(self) -> None:
        """Play, and wait until every book has taken its last message."""
        await self.player.run()
        truth = self.player.truth
        with trio.fail_after(PATIENCE_S):
            while any(self._last_id(symbol) != last_id for symbol, last_id in truth.last_ids.items()):  # noqa: ASYNC110
                await trio.sleep(0.005)

    def _last_id(self, symbol: str) -> object:
        book = self.book(symbol)
        return None if book is None else book.inspect()["last_id"]

    def quotes(self, symbol: str) -> list[Quote]:
        return [message for message in self.log[symbol] if isinstance(message, Quote)]

    def gaps(self, symbol: str) -> list[GapOpened]:
        """All but the first, with which every book begins."""
        opened = [message for message in self.log[symbol] if isinstance(message, GapOpened)]
        assert opened[0].reason is GapReason.STARTING
        return opened[1:]

    def counted(self, name: str) -> int:
        """A figure of the books, summed."""
        total = 0
        for symbol in self.log:
            book = self.book(symbol)
            assert book is not None
            value = book.inspect()[name]
            assert isinstance(value, int)
            total += value
        return total


@asynccontextmanager
async def playing(recording: Recording, accidents: dict[int, Accident], hold: int = 1) -> AsyncIterator[Play]:
    """The sessions and books of a recording's venue; the play has not begun."""
    venue, symbols = Venue(recording.venue), [Symbol(symbol) for symbol in recording.symbols]
    log: dict[str, list[Message]] = {symbol: [] for symbol in symbols}
    books = {("book", str(symbol)) for symbol in symbols}
    player = Player(
        recording,
        accidents,
        hold=hold,
        healed=lambda symbol: play.healed(symbol),
        ready=lambda: books <= {name for listener in player.listeners for name in listener.wants},
    )
    by_rest = any(isinstance(step, Base) for step in (*recording.before, *recording.steps))
    settings = attrs.evolve(EAGER, quiet_ns=QUIET_NS) if by_rest else EAGER
    async with serving(player) as (stream_url, rest_url), reading(venue, log, stream_url, rest_url, settings) as world:
        play = Play(player, world, venue, log)
        yield play


@asynccontextmanager
async def reading(
    venue: Venue, log: dict[str, list[Message]], stream_url: str, rest_url: str, settings: BookSettings = EAGER
) -> AsyncIterator[World]:
    """The sessions of a venue, and a book that writes into `log` for each of its symbols."""
    codec, limiter = CODECS[venue](), limiter_path(venue)
    symbols = [Symbol(symbol) for symbol in log]
    endpoints = VenueEndpoints(rest_url=rest_url, stream_url=stream_url, entry_url=stream_url)
    async with HttpClient(rest_url, TRANSPORT, now_ns=SystemClock.wall_ns) as http:
        factories: dict[Path, Callable[[], Actor]] = {
            limiter: lambda: LimiterActor(venue, NO_LIMITS),
            rest_path(venue): lambda: RestActor(
                codec, http, limiter=limiter, clock=clock_path(venue), snapshot_burst=10**6
            ),
            public_path(venue): lambda: PublicStreamActor(
                codec,
                endpoints,
                symbols,
                limiter=limiter,
                transport=TRANSPORT,
                reconnect=QUICK,
                resync_burst=10**6,
            ),
        }
        for symbol in symbols:
            factories[book_path(venue, symbol)] = lambda symbol=symbol: WatchedBook(  # type: ignore[misc]
                log[symbol], venue, symbol, codec.sequencer(symbol), settings=settings
            )
        async with running(factories) as world:
            yield world


# ---- places of accidents -----------------------------------------------------------------------------------------


def places(
    recording: Recording, dice: random.Random, most: int, hold: int, kinds: list[Accident]
) -> dict[int, Accident]:
    """At most `most` places drawn by lot, each far enough from the one before that this one has been healed by then.

    The first frames of a book are spared, and the last: there is none after them to notice.
    """
    begun: dict[str, int] = {}
    """By symbol: the id that its book begins with; a snapshot of REST has what some later frames say."""
    frames: dict[str, list[int]] = {}
    for number, step in enumerate((*recording.before, *recording.steps), -len(recording.before)):
        if isinstance(step, Base):
            begun.setdefault(step.symbol, step.change.last_id)
        elif number >= 0 and step.change is not None and step.change.last_id > begun.get(step.symbol, NEVER):
            frames.setdefault(step.symbol, []).append(number)
        elif step.change is not None and step.change.whole:
            begun.setdefault(step.symbol, step.change.last_id)
    over: dict[int, int] = {}
    """By place: the step at which an accident there is over."""
    for steps in frames.values():
        over |= {steps[at]: steps[at + hold + 2] for at in range(2, len(steps) - hold - 3)}
    drawn: list[int] = []
    free = 0
    for number in sorted(dice.sample(sorted(over), min(len(over), 3 * most))):
        if number > free:
            drawn.append(number)
            free = over[number]
    return {number: dice.choice(kinds) for number in dice.sample(drawn, min(len(drawn), most))}


# ---- judgment ----------------------------------------------------------------------------------------------------


def top_of(quote: Quote) -> Top:
    return (quote.bid_px, quote.bid_qty, quote.ask_px, quote.ask_qty)


def wrong_quotes(play: Play) -> list[Quote]:
    """What was published as proven and is not the true top at its id."""
    tops = play.player.truth.tops
    return [
        quote
        for symbol in play.log
        for quote in play.quotes(symbol)
        if not quote.proven or top_of(quote) not in tops.get((symbol, quote.update_id), ())
    ]


def unhealed(play: Play) -> list[str]:
    """Between the ends of a gap nothing may be quoted, and at the end none may be open."""
    found: list[str] = []
    for symbol, log in play.log.items():
        is_open = False
        for message in log:
            if isinstance(message, Quote) and is_open:
                found.append(f"{symbol} was quoted at {message.update_id} while not proven")
            elif isinstance(message, GapOpened):
                is_open = True
            elif isinstance(message, GapClosed):
                is_open = False
        if is_open and symbol in play.player.truth.books:
            found.append(f"{symbol} was not healed at the end")
    return found


def expected_gaps(play: Play) -> dict[str, list[tuple[GapReason, str]]]:
    """What each book must have said about the accidents, one gap each, by the very next message.

    A doubled frame says nothing new.  Where every frame is a whole book, none can be missing or late in it.
    """
    expected: dict[str, list[tuple[GapReason, str]]] = {symbol: [] for symbol in play.log}
    for happened in play.player.happened:
        said = expected[happened.frame.symbol]
        change = happened.frame.change
        assert change is not None
        if happened.accident is Accident.SPOIL:
            said.append((GapReason.CHECKSUM, f"at {change.last_id}"))
        elif happened.accident in (Accident.DROP, Accident.REORDER) and not change.whole:
            said.append((GapReason.SEQUENCE, f"update {happened.next_id} came"))
    return expected


def said_gaps(play: Play, expected: dict[str, list[tuple[GapReason, str]]]) -> dict[str, list[tuple[GapReason, str]]]:
    """The same of what they said, apart from cuts: those every book of the connection says."""
    return {symbol: _said(play, symbol, wanted) for symbol, wanted in expected.items()}


def _said(play: Play, symbol: str, wanted: list[tuple[GapReason, str]]) -> list[tuple[GapReason, str]]:
    by_the_letter = _by_the_letter(play, symbol)
    said: list[tuple[GapReason, str]] = []
    for gap in play.gaps(symbol):
        due = wanted[len(said)] if len(said) < len(wanted) else None
        if due is not None and gap.reason is due[0] and due[1] in gap.text:
            said.append(due)
        elif gap.reason is not GapReason.DISCONNECTED and gap not in by_the_letter:
            said.append((gap.reason, gap.text))
    return said


def _by_the_letter(play: Play, symbol: str) -> list[GapOpened]:
    """Gaps of a USDT-M book that a snapshot alone had proven: its first change follows it, and the venue's rule wants
    one that *holds* the snapshot's id (binance-usdm section 14), so a newer snapshot is fetched.  Nothing was lost."""
    found: list[GapOpened] = []
    quoted: set[int] = set()
    for message in play.log[symbol] if play.venue == "binance-usdm" else ():
        if isinstance(message, GapClosed):
            quoted.clear()
        elif isinstance(message, Quote):
            quoted.add(message.update_id)
        elif isinstance(message, GapOpened) and len(quoted) == 1:
            found.append(message)  # nothing but the snapshot was quoted
    return found


def cuts(happened: list[Happened]) -> list[str]:
    """Symbols whose connection was cut."""
    return [each.frame.symbol for each in happened if each.accident is Accident.CUT]
