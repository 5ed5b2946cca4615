"""What the frames of a capture say about books: the venue's own rules and judges, run over what was recorded.

The recorder asks it when a snapshot is needed; the check asks it whether something is missing or wrong, and how many of
a book's messages were proven.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Sequence

import attrs

from actors.book.levels import OrderBook
from actors.book.oracle import TickerOracle
from protocols.base import Message
from protocols.errors import RemoteProtocolError
from protocols.ids import Symbol
from protocols.market import BookDelta, BookSnapshot, BookTicker, Quote, Trade
from protocols.venue import BookSequencer, ChecksBooks, HttpReply, PublicCodec, Reply, UnrecognizedMessage, Verdict
from tools.history.oracles import UNNUMBERED, BestPriceNumbers, Misstep, Proof, UnnumberedBook

__all__ = ["Event", "Happening", "Tally", "Witness"]

_TRADES_KEPT = 10_000


class Happening(enum.Enum):
    """What a message has shown."""

    GAP = "gap"
    """Something between this message and the one before it is missing."""
    BACKWARDS = "backwards"
    """It is older than the one before it, by the venue's own numbers."""
    WRONG = "wrong"
    """The venue's own judge, a checksum or its best prices, says that the book is another."""
    CROSSED = "crossed"
    """A proven book whose best bid is not below its best ask."""
    UNREADABLE = "unreadable"
    """A message that the codec refuses."""
    UNRECOGNIZED = "unrecognized"
    """A message with a word that the codec does not know."""
    DUPLICATE = "duplicate"
    """A trade or a change of a book that was told before on the same connection."""


@attrs.frozen
class Event:
    """One finding, and where it was made."""

    what: Happening
    symbol: str
    text: str


@attrs.define
class Tally:
    """How many messages of books there were, and what became of them; the rest was not proven."""

    messages: int = 0
    proven: Counter[Proof] = attrs.Factory(Counter)
    spare: int = 0
    """Said nothing that a proven book did not know: older than its snapshot, repeated."""
    compared: int = 0
    """Best prices that the venue stated for the very state of a book."""
    equal: int = 0

    def add(self, other: Tally) -> None:
        """Both together."""
        self.messages += other.messages
        self.proven += other.proven
        self.spare += other.spare
        self.compared += other.compared
        self.equal += other.equal


@attrs.define
class _Book:
    rule: BookSequencer
    checks: ChecksBooks | None
    levels: OrderBook = attrs.Factory(OrderBook)
    oracle: TickerOracle = attrs.Factory(TickerOracle)
    waiting: int = 0
    """Changes that wait for a snapshot."""
    last: BookDelta | None = None
    """The latest change since the stream's picture."""
    last_at: int = 0
    """Place of that change or picture."""
    proven_at: int = 0
    """Place of the latest message that was proven."""
    lost_at: int = 0
    """Place of the first message that could not be, since then."""

    def lose(self) -> None:
        """What follows continues nothing; the rule has started over."""
        self.waiting = 0
        self.oracle.clear()


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
        self._books: dict[Symbol, _Book] = {}
        self._trades: dict[Symbol, dict[str, None]] = {}  # the latest ids, oldest first
        self._numbers = BestPriceNumbers()
        self._tally = Tally()
        self._place = 0

    @property
    def has_books(self) -> bool:
        """Whether any book was spoken of."""
        return bool(self._books)

    @property
    def tally(self) -> Tally:
        """Of all books."""
        whole = attrs.evolve(self._tally, proven=self._tally.proven.copy())
        for book in self._books.values():
            oracle = book.oracle
            whole.add(Tally(compared=oracle.compared, equal=oracle.compared - oracle.disagreed))
        return whole

    def unproven(self) -> dict[Symbol, int]:
        """Books that are not proven now, and the place of the message since which that is so."""
        books = self._books.items()
        return {symbol: book.lost_at for symbol, book in books if book.lost_at or not book.rule.synced}

    def take(self, raw: bytes, received_ns: int, place: int = 0, *, again: bool = False) -> list[Event]:
        """One received frame.  `place` is where it stands; `again`: the same came at this very moment before."""
        self._place = place
        try:
            messages: Sequence[Message | Reply] = self.codec.decode(raw, received_ns, 1)
        except RemoteProtocolError as error:
            return [Event(Happening.UNREADABLE, "", str(error)[:200])]
        if again and not all(isinstance(message, Reply) for message in messages):
            return [Event(Happening.DUPLICATE, "", "the same frame of the same moment stands above")]
        found = self._best_prices(raw)
        for message in messages:
            self.counts[type(message).__name__] += 1
            found += self._one(message)
        return found

    def snapshot(self, symbol: Symbol, reply: HttpReply, place: int = 0) -> list[Event]:
        """One recorded REST snapshot."""
        self._place = place
        try:
            message = self.codec.decode_snapshot(symbol, reply, 1)
        except RemoteProtocolError as error:
            return [Event(Happening.UNREADABLE, symbol, str(error)[:200])]
        return self._snapshot(message, by_rest=True)

    def lost(self) -> None:
        """The connection ended: what comes after it continues nothing."""
        self.unbridged.clear()
        self.answered.clear()
        self._numbers = BestPriceNumbers()
        for book in self._books.values():
            book.rule.reset()
            book.lose()
            book.last, book.last_at = None, 0

    def _one(self, message: Message | Reply) -> list[Event]:
        if isinstance(message, BookDelta):
            return self._delta(message)
        if isinstance(message, BookSnapshot):
            return self._snapshot(message)
        if isinstance(message, BookTicker):
            return self._ticker(message)
        if isinstance(message, Trade):
            return self._trade(message)
        if isinstance(message, Reply):
            self.answered.add(message.request_id)
        elif isinstance(message, UnrecognizedMessage):
            return [Event(Happening.UNRECOGNIZED, "", message.raw[:200])]
        return []

    # ---- books -------------------------------------------------------------------------------------------------

    def _book(self, symbol: Symbol, last_id: int) -> _Book:
        """The first message tells whether its book has numbers."""
        book = self._books.get(symbol)
        if book is None:
            rule = self.codec.sequencer(symbol)
            checks = rule if isinstance(rule, ChecksBooks) else None
            book = self._books[symbol] = _Book(UnnumberedBook() if last_id == UNNUMBERED else rule, checks)
        return book

    def _delta(self, delta: BookDelta) -> list[Event]:
        book, tally = self._book(delta.symbol, delta.last_id), self._tally
        tally.messages += 1
        before, book.last = book.last, delta
        before_at, book.last_at = book.last_at, self._place
        if before is not None and _is_same(before, delta):
            tally.spare += 1
            return [Event(Happening.DUPLICATE, delta.symbol, f"change {delta.first_id}..{delta.last_id}")]
        verdict = book.rule.on_delta(delta)
        found = []
        if verdict is Verdict.GAP or not (before is None or _continues(before, delta)):
            text = f"{delta.first_id}..{delta.last_id} does not continue the book{_after(before_at)}"
            found.append(Event(Happening.GAP, delta.symbol, text))
        if verdict is Verdict.APPLY:
            book.levels.apply(delta.bids, delta.asks)
            found += self._judge(delta.symbol, book, delta.checksum, Proof.SEQUENCE) or self._top(book, delta)
        elif book.rule.synced:
            tally.spare += 1
        else:
            self._wait(delta.symbol, book, verdict)
        return found

    def _wait(self, symbol: Symbol, book: _Book, verdict: Verdict) -> None:
        """A change that a snapshot must come for."""
        book.lost_at = book.lost_at or self._place
        if verdict is Verdict.GAP:
            book.lose()
        if book.rule.snapshot_depth:
            self.unbridged[symbol] = None
        book.waiting += verdict is Verdict.BUFFER or (verdict is Verdict.GAP and book.rule.snapshot_depth > 0)

    def _snapshot(self, snapshot: BookSnapshot, *, by_rest: bool = False) -> list[Event]:
        book, tally = self._book(snapshot.symbol, snapshot.last_id), self._tally
        tally.messages += 1
        reached = book.rule.last_id
        bridge = book.rule.on_snapshot(snapshot)
        if bridge.verdict is Verdict.GAP:
            book.lose()
            book.lost_at = book.lost_at or self._place
            text = f"the snapshot {snapshot.last_id} does not continue the book"
            return [Event(Happening.GAP, snapshot.symbol, text)]
        if bridge.verdict is not Verdict.APPLY:
            tally.spare += bridge.verdict is Verdict.IGNORE
            if by_rest or snapshot.last_id >= reached:
                return []
            text = f"the picture {snapshot.last_id} comes after {reached}"
            return [Event(Happening.BACKWARDS, snapshot.symbol, text)]
        self.unbridged.pop(snapshot.symbol, None)
        if not by_rest:
            book.last, book.last_at = None, self._place  # the stream begins anew
        tally.proven[Proof.SEQUENCE] += len(bridge.replay)
        tally.spare += max(0, book.waiting - len(bridge.replay))
        book.waiting = 0
        book.oracle.clear()
        book.levels.load(snapshot.bids, snapshot.asks)
        checksum = snapshot.checksum
        for delta in bridge.replay:
            book.levels.apply(delta.bids, delta.asks)
            checksum = delta.checksum
        return self._judge(snapshot.symbol, book, checksum, Proof.PICTURE)

    def _judge(self, symbol: Symbol, book: _Book, stated: int, proof: Proof) -> list[Event]:
        """The book after a message that the rule let through."""
        checks, levels = book.checks, book.levels
        if stated and checks is not None:
            count = checks.checksum_levels
            if not checks.checksum_holds(levels.bids.top(count), levels.asks.top(count), stated):
                since = f"it did at line {book.proven_at}" if book.proven_at else "and none did before"
                return self._refute(symbol, book, f"the venue's checksum {stated} does not hold, {since}")
            proof = Proof.CHECKSUM
        elif proof is Proof.SEQUENCE and isinstance(book.rule, UnnumberedBook):
            book.lost_at = book.lost_at or self._place  # neither number nor checksum
            return []
        self._tally.proven[proof] += 1
        book.proven_at, book.lost_at = self._place, 0
        (bid, _), (ask, _) = levels.best()
        if not bid or not ask or bid < ask:
            return []
        return [Event(Happening.CROSSED, symbol, f"best bid {bid}, best ask {ask}")]

    def _refute(self, symbol: Symbol, book: _Book, text: str) -> list[Event]:
        """The book is not the venue's, and nothing that follows mends it but a snapshot."""
        book.rule.reset()
        book.lose()
        book.lost_at = self._place
        if book.rule.snapshot_depth:
            self.unbridged[symbol] = None
        return [Event(Happening.WRONG, symbol, text)]

    # ---- best prices -------------------------------------------------------------------------------------------

    def _top(self, book: _Book, delta: BookDelta) -> list[Event]:
        """What the venue says of the best prices after these changes may be there already."""
        best = (*book.levels.bids.best(), *book.levels.asks.best())
        quote = Quote(delta.venue, delta.symbol, *best, delta.event_ns, delta.received_ns, delta.last_id)
        book.oracle.top(delta.first_id, delta.last_id, quote)
        return self._ask_oracle(delta.symbol, book)

    def _ticker(self, ticker: BookTicker) -> list[Event]:
        book = self._books.get(ticker.symbol)
        if book is None:
            return []
        book.oracle.ticker(ticker)
        return self._ask_oracle(ticker.symbol, book)

    def _ask_oracle(self, symbol: Symbol, book: _Book) -> list[Event]:
        if not book.oracle.refutes:
            return []
        return self._refute(symbol, book, "the venue's own best prices were others twice in a row")

    def _best_prices(self, raw: bytes) -> list[Event]:
        """Pictures of the best prices alone, where they are numbered."""
        step = self._numbers.step(raw)
        if step is None:
            return []
        self._tally.messages += 1
        if step.misstep is None:
            self._tally.proven[Proof.SEQUENCE] += 1
            return []
        what = Happening.GAP if step.misstep is Misstep.MISSING else Happening.BACKWARDS
        return [Event(what, step.symbol, step.text)]

    # ---- trades ------------------------------------------------------------------------------------------------

    def _trade(self, trade: Trade) -> list[Event]:
        known = self._trades.setdefault(trade.symbol, {})
        if trade.trade_id in known:
            return [Event(Happening.DUPLICATE, trade.symbol, f"trade {trade.trade_id}")]
        known[trade.trade_id] = None
        if len(known) > _TRADES_KEPT:
            del known[next(iter(known))]
        return []


def _is_same(before: BookDelta, delta: BookDelta) -> bool:
    """Equal in everything that the venue says; without numbers nothing can be said of two that change nothing."""
    return (
        delta.last_id == before.last_id
        and delta.event_ns == before.event_ns
        and delta.bids == before.bids
        and delta.asks == before.asks
        and bool(delta.last_id != UNNUMBERED or delta.bids or delta.asks)
    )


def _continues(before: BookDelta, delta: BookDelta) -> bool:
    """By the numbers alone: rules pass over holes that a snapshot fills, and those in what waits for one."""
    if delta.prev_id != UNNUMBERED:
        return delta.prev_id == before.last_id
    return delta.first_id <= before.last_id + 1


def _after(place: int) -> str:
    """What is missing stood behind this line."""
    return f"; its message before is line {place}" if place else ""
