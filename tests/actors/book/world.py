"""A venue's book in a test: the truth, the diffs that describe it, and the snapshots that a REST session would bring.

Update ids are consecutive; each id changes one level.  A diff covers the ids of some consecutive updates, with each
changed level at its final quantity, as the venue sends it.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from actors.book.actor import BookActor, BookSettings
from protocols.base import Message
from protocols.ids import Symbol, Venue
from protocols.market import BookDelta, BookSnapshot, GapClosed, GapOpened, Level, Quote, Resync, SnapshotRequest
from protocols.venue import BookSequencer
from protocols.venues.binance_spot.book import BinanceSpotSequencer
from supervisors.testing import RecordingContext

VENUE = Venue("binance-spot")
SYMBOL = Symbol("BTCUSDT")
READER = "/strategies/reader"
REST = f"/venues/{VENUE}/rest"
PUBLIC = f"/venues/{VENUE}/public"
MS = 1_000_000
START_NS = 1_700_000_000_000_000_000

Sides = dict[str, dict[Decimal, Decimal]]


def levels(side: dict[Decimal, Decimal], *, best_high: bool) -> tuple[Level, ...]:
    """A naive side as levels, best first."""
    return tuple((price, side[price]) for price in sorted(side, reverse=best_high))


def naive_top(book: Sides) -> tuple[Level, Level]:
    """Best bid and ask of a naive book; (0, 0) for an empty side."""
    empty = (Decimal(0), Decimal(0))
    bid = max(book["bids"], default=None)
    ask = min(book["asks"], default=None)
    return (
        empty if bid is None else (bid, book["bids"][bid]),
        empty if ask is None else (ask, book["asks"][ask]),
    )


def naive_apply(book: Sides, bids: Iterable[Level], asks: Iterable[Level]) -> None:
    """Set levels in a naive book."""
    for name, changes in (("bids", bids), ("asks", asks)):
        for price, qty in changes:
            if qty:
                book[name][price] = qty
            else:
                book[name].pop(price, None)


class TrueBook:
    """The venue's own book with its whole history by update id."""

    def __init__(self, first_id: int = 100) -> None:
        self.book: Sides = {"bids": {Decimal(99): Decimal(1)}, "asks": {Decimal(101): Decimal(1)}}
        self.last_id = first_id
        self.history: dict[int, Sides] = {}
        self._remember()

    def _remember(self) -> None:
        self.history[self.last_id] = {name: dict(side) for name, side in self.book.items()}

    def update(self, changes: Iterable[tuple[str, Level]], connection: int = 1, received_ns: int = 0) -> BookDelta:
        """Apply one update id per change; the diff that covers them."""
        first_id = self.last_id + 1
        changed: dict[str, dict[Decimal, Decimal]] = {"bids": {}, "asks": {}}
        for name, (price, qty) in changes:
            self.last_id += 1
            naive_apply(self.book, [(price, qty)] if name == "bids" else [], [(price, qty)] if name == "asks" else [])
            changed[name][price] = qty
            self._remember()
        return BookDelta(
            VENUE,
            SYMBOL,
            first_id,
            self.last_id,
            -1,
            tuple(changed["bids"].items()),
            tuple(changed["asks"].items()),
            received_ns,
            received_ns,
            connection,
        )

    def snapshot(self, at_id: int | None = None, connection: int = 1) -> BookSnapshot:
        """The whole book as of an id."""
        at_id = self.last_id if at_id is None else at_id
        book = self.history[at_id]
        bids, asks = levels(book["bids"], best_high=True), levels(book["asks"], best_high=False)
        return BookSnapshot(VENUE, SYMBOL, at_id, bids, asks, 0, connection)

    def top(self, at_id: int) -> tuple[Level, Level]:
        """Best bid and ask as of an id."""
        return naive_top(self.history[at_id])


class BookWorld:
    """A book actor with its context; keeps what readers were told."""

    def __init__(
        self,
        settings: BookSettings | None = None,
        sequencer: BookSequencer | None = None,
        subscribers: dict[str, None] | None = None,
    ) -> None:
        self.truth = TrueBook()
        self.actor = BookActor(
            VENUE,
            SYMBOL,
            sequencer or BinanceSpotSequencer(),
            [READER],
            settings=settings or BookSettings(settled_ns=0),
            subscribers=subscribers,
        )
        self.ctx = RecordingContext(self.actor, f"/venues/{VENUE}/books/{SYMBOL}", START_NS)
        self.told: list[Message] = []
        self.requests: list[SnapshotRequest] = []
        self.resyncs: list[Resync] = []
        self.sent: list[tuple[str, Message]] = []
        """Everything, to whomever."""

    async def start(self) -> None:
        """As the runtime does."""
        await self.actor.started()
        self.collect()

    def give(self, message: Message) -> list[Message]:
        """Hand the actor a message; what readers were told because of it."""
        self.actor.receive(message)
        return self.collect()

    def advance(self, milliseconds: int) -> list[Message]:
        """Let time pass; what readers were told meanwhile."""
        self.ctx.advance(milliseconds * MS)
        return self.collect()

    def collect(self) -> list[Message]:
        """Sort what was sent since the last call."""
        new = []
        for to, message in self.ctx.take():
            self.sent.append((to, message))
            if isinstance(message, SnapshotRequest):
                assert to == REST
                self.requests.append(message)
            elif isinstance(message, Resync):
                assert to == PUBLIC
                self.resyncs.append(message)
            elif to == READER:
                new.append(message)
        self.told += new
        return new

    def is_ready(self) -> bool:
        """The ready gate is open."""
        return self.ctx.ready

    @property
    def is_open(self) -> bool:
        """A gap was announced and not closed."""
        gaps = [message for message in self.told if isinstance(message, GapOpened | GapClosed)]
        return bool(gaps) and isinstance(gaps[-1], GapOpened)

    def check_quotes(self, told: Iterable[Message]) -> None:
        """Every quote that was published as proven is the truth of its update id."""
        for message in told:
            if isinstance(message, Quote):
                assert message.proven
                assert ((message.bid_px, message.bid_qty), (message.ask_px, message.ask_qty)) == self.truth.top(
                    message.update_id
                )
