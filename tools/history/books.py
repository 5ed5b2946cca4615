"""What the frames of a capture say about books: the venue's own sequence rules, run over what was recorded.

The recorder asks it when a snapshot is needed; the check asks it whether something is missing.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Sequence

import attrs

from actors.book.levels import OrderBook
from protocols.base import Message
from protocols.errors import RemoteProtocolError
from protocols.ids import Symbol
from protocols.market import BookDelta, BookSnapshot, Trade
from protocols.venue import BookSequencer, HttpReply, PublicCodec, Reply, UnrecognizedMessage, Verdict

__all__ = ["Event", "Happening", "Witness"]

_TRADES_KEPT = 10_000


class Happening(enum.Enum):
    """What a message has shown."""

    GAP = "gap"
    """Something between this message and the one before it is missing."""
    CROSSED = "crossed"
    """A proven book whose best bid is not below its best ask."""
    UNREADABLE = "unreadable"
    """A message that the codec refuses."""
    UNRECOGNIZED = "unrecognized"
    """A message with a word that the codec does not know."""
    DUPLICATE = "duplicate"
    """A trade that was told before on the same connection."""


@attrs.frozen
class Event:
    """One finding, and where it was made."""

    what: Happening
    symbol: str
    text: str


@attrs.define
class _Book:
    rule: BookSequencer
    levels: OrderBook = attrs.Factory(OrderBook)
    messages: int = 0
    gaps: int = 0


class Witness:
    """Follows the frames of one connection."""

    def __init__(self, codec: PublicCodec, counts: Counter[str] | None = None) -> None:
        """`counts`: where messages are counted by kind."""
        self.codec = codec
        self.counts: Counter[str] = Counter() if counts is None else counts
        self.unbridged: dict[Symbol, None] = {}
        """Books whose changes wait for a snapshot by REST, the longest first."""
        self.answered: set[str] = set()
        """Ids of requests that were answered since the connection began."""
        self.books: dict[Symbol, _Book] = {}
        self._trades: dict[Symbol, dict[str, None]] = {}  # the latest ids, oldest first

    def take(self, raw: bytes, received_ns: int) -> list[Event]:
        """One received frame."""
        try:
            messages: Sequence[Message | Reply] = self.codec.decode(raw, received_ns, 1)
        except RemoteProtocolError as error:
            return [Event(Happening.UNREADABLE, "", str(error)[:200])]
        found: list[Event] = []
        for message in messages:
            self.counts[type(message).__name__] += 1
            if isinstance(message, BookDelta):
                found += self._delta(message)
            elif isinstance(message, BookSnapshot):
                found += self._snapshot(message)
            elif isinstance(message, Trade):
                found += self._trade(message)
            elif isinstance(message, Reply):
                self.answered.add(message.request_id)
            elif isinstance(message, UnrecognizedMessage):
                found.append(Event(Happening.UNRECOGNIZED, "", message.raw[:200]))
        return found

    def snapshot(self, symbol: Symbol, reply: HttpReply) -> list[Event]:
        """One recorded REST snapshot."""
        try:
            message = self.codec.decode_snapshot(symbol, reply, 1)
        except RemoteProtocolError as error:
            return [Event(Happening.UNREADABLE, symbol, str(error)[:200])]
        return self._snapshot(message)

    def lost(self) -> None:
        """The connection ended: what comes after it continues nothing."""
        self.unbridged.clear()
        self.answered.clear()
        for book in self.books.values():
            book.rule.reset()

    def _book(self, symbol: Symbol) -> _Book:
        book = self.books.get(symbol)
        if book is None:
            book = self.books[symbol] = _Book(self.codec.sequencer(symbol))
        return book

    def _delta(self, delta: BookDelta) -> list[Event]:
        book = self._book(delta.symbol)
        book.messages += 1
        verdict = book.rule.on_delta(delta)
        if not book.rule.synced and book.rule.snapshot_depth:
            self.unbridged[delta.symbol] = None
        if verdict is Verdict.APPLY:
            book.levels.bids.apply(delta.bids)
            book.levels.asks.apply(delta.asks)
            return self._crossed(delta.symbol, book)
        if verdict is Verdict.GAP:
            return self._gap(delta.symbol, book, f"{delta.first_id}..{delta.last_id} does not continue the book")
        return []

    def _gap(self, symbol: Symbol, book: _Book, text: str) -> list[Event]:
        book.gaps += 1
        return [Event(Happening.GAP, symbol, text)]

    def _snapshot(self, snapshot: BookSnapshot) -> list[Event]:
        book = self._book(snapshot.symbol)
        book.messages += 1
        bridge = book.rule.on_snapshot(snapshot)
        if bridge.verdict is Verdict.GAP:
            return self._gap(snapshot.symbol, book, f"the snapshot {snapshot.last_id} does not continue the book")
        if bridge.verdict is not Verdict.APPLY:
            return []
        self.unbridged.pop(snapshot.symbol, None)
        book.levels.bids.load(snapshot.bids)
        book.levels.asks.load(snapshot.asks)
        for delta in bridge.replay:
            book.levels.bids.apply(delta.bids)
            book.levels.asks.apply(delta.asks)
        return self._crossed(snapshot.symbol, book)

    def _crossed(self, symbol: Symbol, book: _Book) -> list[Event]:
        (bid, _), (ask, _) = book.levels.bids.best(), book.levels.asks.best()
        if not bid or not ask or bid < ask:
            return []
        return [Event(Happening.CROSSED, symbol, f"best bid {bid}, best ask {ask}")]

    def _trade(self, trade: Trade) -> list[Event]:
        known = self._trades.setdefault(trade.symbol, {})
        if trade.trade_id in known:
            return [Event(Happening.DUPLICATE, trade.symbol, f"trade {trade.trade_id}")]
        known[trade.trade_id] = None
        if len(known) > _TRADES_KEPT:
            del known[next(iter(known))]
        return []
