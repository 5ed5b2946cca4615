"""The book actor `/venues/<venue>/books/<symbol>`: levels in, proven quotes out.

Nothing is published as proven that is not.  The venue's sequencer decides about every delta before a level is touched;
whatever breaks the proof opens a *gap*: readers are told (`GapOpened`), the ready gate shuts, and this symbol alone is
synchronized again::

    GAP --StreamUp, delta or time--> snapshot asked --bridged, not crossed--> PROVEN (GapClosed, Quote...)
     ^                                    | failed, too old: again after a growing pause           |
     +--- hole in the ids, crossed, stale, wrong checksum, connection lost, ticker disagrees ------+

Where the venue's stream begins with a snapshot, the snapshot is asked of the public session (`Resync`: this symbol is
subscribed anew), else of REST.  Snapshots that the stream sends of its own accord are taken at any time.

*Stale* is proven, not guessed from silence: a trade or a ticker beyond the book came, and no delta followed it in time.
A symbol in which nothing happens is not stale while its connection lives; its quote is then repeated at each heartbeat,
with its age, so that readers can tell a quiet book from a dead one.

*The ticker as oracle*: the venue states best bid and ask on a stream of its own; two disagreements in a row cost the
book its proof (`actors.book.oracle`).  So does a checksum that does not hold, where the venue states one.

Trades can come on a connection of their own.  When that is lost the book goes on, and only the trades have a gap
(stream `trades`): who counts them is told, who prices from the book need not care.

One file because every handler moves the one state of the proof.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import attrs

from actors.book.depth import DepthReaders
from actors.book.levels import OrderBook
from actors.book.oracle import TickerOracle
from protocols.base import Event, Message, message
from protocols.enums import Channel, GapReason, Quality
from protocols.ids import Path, Symbol, Venue
from protocols.market import (
    BOOK_STREAM,
    TRADE_STREAM,
    BookDelta,
    BookSnapshot,
    BookTicker,
    GapClosed,
    GapOpened,
    Quote,
    Resync,
    SnapshotFailed,
    SnapshotRequest,
    StreamDown,
    StreamUp,
    Subscribe,
    Trade,
    Unsubscribe,
    UnwatchDepth,
    WatchDepth,
)
from protocols.reconcile import public_path, rest_path
from protocols.venue import BookSequencer, Bridge, ChecksBooks, Verdict
from supervisors.actor import Actor, Down, ReadyWhen, Up

__all__ = ["BookActor", "BookSettings"]

_MS = 1_000_000
_S = 1_000 * _MS

_APPLY, _BUFFER, _GAP = Verdict.APPLY, Verdict.BUFFER, Verdict.GAP

_GOOD, _STALE = Quality.GOOD, Quality.STALE

_UNKNOWN = -1


@attrs.frozen(kw_only=True)
class BookSettings:
    """Timing of one book; all in ns."""

    max_age_ns: int = 5 * _S
    """A delta must follow other news of the symbol within this time, else the book is stale."""
    heartbeat_ns: int = 1 * _S
    """An unchanged quote is repeated this often."""
    tick_ns: int = 500 * _MS
    snapshot_timeout_ns: int = 15 * _S
    retry_min_ns: int = 500 * _MS
    """First pause before asking for a snapshot again; doubles up to `retry_max_ns`."""
    retry_max_ns: int = 30 * _S
    quiet_ns: int = 2 * _S
    """After this long without a delta the snapshot of a quiet symbol is asked for."""
    settled_ns: int = 10 * _S
    """A book that was proven for this long has earned an immediate resync."""


@message
class _Tick(Event):
    """Time to look at staleness and heartbeat."""


@message
class _Ask(Event):
    """Ask for a snapshot, unless a later attempt was made or the book is proven."""

    attempt: int


class BookActor(Actor):
    """One symbol's book; ready means proven."""

    READY_WHEN = ReadyWhen.TOLD

    def __init__(
        self,
        venue: Venue,
        symbol: Symbol,
        sequencer: BookSequencer,
        readers: Iterable[Path] = (),
        *,
        settings: BookSettings | None = None,
        stream: Path | None = None,
        subscribers: dict[Path, None] | None = None,
    ) -> None:
        """`readers` always get what is published; `Subscribe` adds others.  `stream`: the public session.

        `subscribers`: the others so far; the caller keeps them, so that they survive this incarnation.
        """
        self.book = OrderBook()
        self._venue = venue
        self._symbol = symbol
        self._sequencer = sequencer
        self._subscribers = subscribers if subscribers is not None else {}
        self._readers = dict.fromkeys(readers) | self._subscribers
        self._depths = DepthReaders(venue, symbol, self.book)
        self._settings = settings or BookSettings()
        self._stream = stream if stream is not None else public_path(venue)
        self._rest = rest_path(venue)
        self._checks = sequencer if isinstance(sequencer, ChecksBooks) else None

        self._connection = _UNKNOWN
        """Number of the newest connection that was announced."""
        self._floor = _UNKNOWN
        """Deltas of connections below it are void."""
        self._is_live = False
        self._gap: GapOpened | None = None
        self._proven_since_ns = 0
        self._quote: Quote | None = None
        self._quoted_at_ns = 0

        self._attempt = 0
        self._asked = False
        self._failures = 0
        self._has_buffered = False
        self._held: BookSnapshot | None = None
        """A snapshot that nothing ties to this connection yet; the next delta decides."""

        self._behind_since_ns: int | None = None
        """Monotonic time of the oldest news that no delta has followed."""
        self._event_ns = 0
        self._covered = (0, 0)
        """Ids of the last delta applied."""
        self._oracle = TickerOracle()
        self._trades_gap: GapOpened | None = None
        self._heard_ns = 0
        """Monotonic time at which the stream last spoke of this book."""
        self._counts = dict.fromkeys(("applied", "ignored", "buffered", "void", "gaps", "snapshots", "resyncs"), 0)
        self._handlers: dict[type[Message], Callable[[Any], None]] = {
            BookDelta: self._on_delta,
            BookTicker: self._on_ticker,
            Trade: self._on_trade,
            BookSnapshot: self._on_snapshot,
            SnapshotFailed: self._on_snapshot_failed,
            _Tick: self._on_tick,
            _Ask: self._on_ask,
            StreamUp: self._on_stream_up,
            StreamDown: self._on_stream_down,
            Subscribe: self._on_subscribe,
            Unsubscribe: self._on_unsubscribe,
            WatchDepth: self._on_watch_depth,
            UnwatchDepth: self._on_unwatch_depth,
            Up: self._on_up,
            Down: self._on_down,
        }

    async def started(self) -> None:
        """Say that nothing is proven yet; the proof comes as messages.

        The session answers the subscription by `StreamUp` if it had the stream before we came (back).
        """
        self._open_gap(GapReason.STARTING, "not synchronized yet")
        self.ctx.watch(self._stream)
        self.ctx.send(self._stream, Subscribe(self._symbol, self.ctx.path, (Channel.BOOK,)))
        self.ctx.after(self._settings.tick_ns, _Tick())

    def receive(self, message: Message) -> None:
        """Dispatch by type; KeyError for a message that no book understands."""
        self._handlers[type(message)](message)

    # ---- deltas -----------------------------------------------------------------------------------------------

    def _on_delta(self, delta: BookDelta) -> None:
        if delta.connection < self._floor:
            self._counts["void"] += 1
            return
        self._is_live = True
        self._heard_ns = self.ctx.monotonic_ns
        verdict = self._sequencer.on_delta(delta)
        if verdict is _APPLY:
            self._behind_since_ns = None
            self.book.apply(delta.bids, delta.asks)
            self._counts["applied"] += 1
            self._covered = (delta.first_id, delta.last_id)
            self._event_ns = delta.event_ns
            if delta.checksum and not self._checksum_holds(delta.checksum):
                return
            self._publish(delta.received_ns)
            if self._depths:
                self._send_depths(delta.received_ns)
            self._await_judgment()
        elif verdict is _BUFFER:
            self._counts["buffered"] += 1
            self._has_buffered = True
            held, self._held = self._held, None
            if held is not None:
                self._bridge(held)
            elif not self._asked:
                self._ask()
        elif verdict is _GAP:
            self._has_buffered = True
            text = f"update {delta.first_id} came, {self._covered[1] + 1} was expected"
            self._lose(GapReason.SEQUENCE, text, reset=False)
        else:
            self._counts["ignored"] += 1
            if self._gap is not None and not self._asked:
                self._ask()  # changes come, and the snapshot before them was missed

    def _checksum_holds(self, stated: int) -> bool:
        """False costs the book its proof; nothing of it was published."""
        checks = self._checks
        if checks is None:
            return True
        book, count = self.book, checks.checksum_levels
        if checks.checksum_holds(book.bids.top(count), book.asks.top(count), stated):
            return True
        self._lose(GapReason.CHECKSUM, f"the checksum {stated} of the venue does not hold at {self._covered[1]}")
        return False

    def _publish(self, received_ns: int) -> None:
        """Publish the top if it changed; a crossed book is never published."""
        (bid_px, bid_qty), (ask_px, ask_qty) = self.book.best()
        last = self._quote
        if (
            last is not None
            and bid_px == last.bid_px
            and ask_px == last.ask_px
            and bid_qty == last.bid_qty
            and ask_qty == last.ask_qty
        ):
            return
        if bid_px >= ask_px and bid_qty and ask_qty:
            self._lose(GapReason.CROSSED, f"best bid {bid_px} is not below best ask {ask_px}")
            return
        self._send_quote(bid_px, bid_qty, ask_px, ask_qty, received_ns)

    def _send_quote(
        self, bid_px: Decimal, bid_qty: Decimal, ask_px: Decimal, ask_qty: Decimal, received_ns: int
    ) -> None:
        quote = self._quote = Quote(
            self._venue,
            self._symbol,
            bid_px,
            bid_qty,
            ask_px,
            ask_qty,
            self._event_ns,
            received_ns,
            self._sequencer.last_id,
            True,
            _GOOD if self._behind_since_ns is None else _STALE,
            self.ctx.monotonic_ns - self._heard_ns,
        )
        self._quoted_at_ns = self.ctx.monotonic_ns
        self._tell(quote)

    def _send_depths(self, received_ns: int) -> None:
        """The best levels to whoever wants them, as long as they are proven."""
        if self._gap is None:
            for reader, depth in self._depths.changed(self._event_ns, received_ns, self._sequencer.last_id):
                self.ctx.send(reader, depth)

    def _tell_gap(self, gap: GapOpened | GapClosed) -> None:
        self._tell(gap)
        for reader in self._depths:
            if reader not in self._readers:
                self.ctx.send(reader, gap)

    def _tell(self, message: Message) -> None:
        send = self.ctx.send
        for reader in self._readers:
            send(reader, message)

    # ---- snapshots --------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        """Ask for a snapshot now; without an answer in time ask again."""
        self._attempt += 1
        self._asked = True
        depth = self._sequencer.snapshot_depth
        if depth:
            connection = max(self._connection, 0)
            self.ctx.send(self._rest, SnapshotRequest(self._symbol, depth, self.ctx.path, connection))
        else:
            self._ask_session()
        self.ctx.after(self._settings.snapshot_timeout_ns, _Ask(self._attempt))

    def _ask_session(self) -> None:
        self._counts["resyncs"] += 1
        gap = self._gap
        self.ctx.send(self._stream, Resync(self._symbol, "" if gap is None else f"{gap.reason.value}: {gap.text}"))

    def _ask_later(self) -> None:
        """Ask again after a pause that grows with each failure, spread by chance."""
        settings = self._settings
        pause_ns = min(settings.retry_min_ns << min(self._failures, 30), settings.retry_max_ns)
        self._failures += 1
        self._asked = True
        self._attempt += 1
        self.ctx.after(pause_ns // 2 + int(pause_ns * self.ctx.random()) // 2, _Ask(self._attempt))

    def _on_ask(self, asked: _Ask) -> None:
        if asked.attempt == self._attempt and self._gap is not None:
            self._ask()

    def _on_snapshot(self, snapshot: BookSnapshot) -> None:
        if not self._sequencer.snapshot_depth:
            if snapshot.connection < self._floor:
                self._counts["void"] += 1
                return
            self._is_live = True  # it is of the stream itself
        elif not self._is_live:
            return  # an answer from before the connection was lost
        elif not self._has_buffered and snapshot.connection != self._connection:
            # Nothing shows that it was taken while this connection delivered; the first delta will.  A quiet symbol
            # has none, and asks again.
            self._held = snapshot
            self._attempt += 1
            self.ctx.after(self._settings.quiet_ns, _Ask(self._attempt))
            return
        self._bridge(snapshot)

    def _on_snapshot_failed(self, failed: SnapshotFailed) -> None:
        if self._gap is not None:
            self._ask_later()

    def _bridge(self, snapshot: BookSnapshot) -> None:
        bridge = self._sequencer.on_snapshot(snapshot)
        if bridge.verdict is _APPLY:
            self._load(snapshot, bridge)
        elif bridge.verdict is Verdict.TOO_OLD:
            self._ask_later()

    def _load(self, snapshot: BookSnapshot, bridge: Bridge) -> None:
        self._counts["snapshots"] += 1
        self._heard_ns = self.ctx.monotonic_ns
        self._behind_since_ns = None
        self._event_ns = snapshot.event_ns or self._event_ns
        checksum = snapshot.checksum
        book = self.book
        book.load(snapshot.bids, snapshot.asks)
        for delta in bridge.replay:
            book.apply(delta.bids, delta.asks)
            self._event_ns, checksum = delta.event_ns, delta.checksum
        self._covered = (snapshot.last_id + 1, self._sequencer.last_id)
        if checksum and not self._checksum_holds(checksum):
            return
        (bid_px, bid_qty), (ask_px, ask_qty) = book.best()
        if bid_px >= ask_px and bid_qty and ask_qty:
            text = f"best bid {bid_px} is not below best ask {ask_px} in the snapshot"
            self._lose(GapReason.CROSSED, text)
            return
        if self._gap is None:
            self._publish(snapshot.received_ns)
        else:
            self._close_gap()
            self._send_quote(bid_px, bid_qty, ask_px, ask_qty, self.ctx.now_ns)
        self._send_depths(snapshot.received_ns)
        self._await_judgment()

    # ---- gaps -------------------------------------------------------------------------------------------------

    def _open_gap(self, reason: GapReason, text: str) -> None:
        if self._gap is not None:
            return
        self._counts["gaps"] += 1
        self._gap = GapOpened(BOOK_STREAM, self._venue, self._symbol, reason, text, self.ctx.now_ns)
        self._quote = None
        self._oracle.clear()
        self._behind_since_ns = None
        self.ctx.set_unready(f"{reason.value}: {text}")
        self._tell_gap(self._gap)

    def _close_gap(self) -> None:
        gap, self._gap = self._gap, None
        self._asked = False
        self._attempt += 1  # what still waits to ask must not
        self._proven_since_ns = self.ctx.monotonic_ns
        self.ctx.set_ready()
        if gap is not None:
            self._tell_gap(GapClosed(BOOK_STREAM, self._venue, self._symbol, gap.since_ns, self.ctx.now_ns))

    def _lose(self, reason: GapReason, text: str, *, reset: bool = True) -> None:
        """The proof is gone while the connection lives: tell, and synchronize again.

        `reset`: also forget what the sequencer holds; after a hole it has begun anew by itself.
        """
        was_proven = self._gap is None
        self._open_gap(reason, text)
        self._forget(reset=reset)
        settled = was_proven and self.ctx.monotonic_ns - self._proven_since_ns >= self._settings.settled_ns
        if settled:
            self._failures = 0
        if self._failures:
            self._ask_later()
        else:
            self._failures = 1
            self._ask()

    def _forget(self, *, reset: bool) -> None:
        self.book.clear()
        self._held = None
        self._asked = False
        if reset:
            self._sequencer.reset()
            self._has_buffered = False

    # ---- connection -------------------------------------------------------------------------------------------

    def _on_stream_up(self, up: StreamUp) -> None:
        if up.channels and Channel.BOOK not in up.channels:
            self._trades_up(up)
            return
        if self._is_live and up.connection == self._connection:
            return
        self._disconnected("a new connection took over")
        self._connection = self._floor = up.connection
        self._await_first_delta()

    def _on_stream_down(self, down: StreamDown) -> None:
        if down.channels and Channel.BOOK not in down.channels:
            self._trades_down(down)
        elif down.connection >= self._connection:
            self._disconnected(down.text)
            self._floor = down.connection + 1

    def _trades_down(self, down: StreamDown) -> None:
        """Trades come on another connection than the book, and that one was lost."""
        if self._trades_gap is None:
            reason = GapReason.DISCONNECTED
            self._trades_gap = GapOpened(TRADE_STREAM, self._venue, self._symbol, reason, down.text, self.ctx.now_ns)
            self._tell(self._trades_gap)

    def _trades_up(self, up: StreamUp) -> None:
        gap, self._trades_gap = self._trades_gap, None
        if gap is not None:
            self._tell(GapClosed(TRADE_STREAM, self._venue, self._symbol, gap.since_ns, self.ctx.now_ns))

    def _on_up(self, up: Up) -> None:
        """That the session is connected says nothing about this stream; `StreamUp` does."""

    def _on_down(self, down: Down) -> None:
        """A session that runs says itself whose streams it has lost; one that is gone has lost all."""
        if not down.running:
            self._disconnected(f"{down.path}: {down.reason}")

    def _disconnected(self, text: str) -> None:
        """Whatever was said so far is void, and an answer to an older question too."""
        self._open_gap(GapReason.DISCONNECTED, text)
        self._forget(reset=True)
        self._is_live = False
        self._attempt += 1

    def _await_first_delta(self) -> None:
        """The first delta asks for the snapshot (an earlier one would be too old); a quiet symbol has none.

        A stream that begins with a snapshot is given the same time to send it.
        """
        self._is_live = True
        self._attempt += 1
        self.ctx.after(self._settings.quiet_ns, _Ask(self._attempt))

    # ---- other news of the symbol -----------------------------------------------------------------------------

    def _on_trade(self, trade: Trade) -> None:
        self._tell(trade)
        self._news()

    def _on_ticker(self, ticker: BookTicker) -> None:
        if self._gap is None:  # else there is nothing to judge, and no end of tickers to keep
            self._oracle.ticker(ticker)
        if ticker.update_id > self._covered[1]:
            self._news()

    def _news(self) -> None:
        """Something happened that a delta must follow."""
        if self._gap is None and self._behind_since_ns is None:
            self._behind_since_ns = self.ctx.monotonic_ns

    def _await_judgment(self) -> None:
        """The top is that of the ids covered now: what did the venue say about it?"""
        quote = self._quote
        if quote is not None:  # None: the delta has just cost the book its proof
            self._oracle.top(*self._covered, quote)
            if self._oracle.refutes:
                self._lose(GapReason.SEQUENCE, "the book disagrees with the venue's own best bid and ask")

    # ---- time -------------------------------------------------------------------------------------------------

    def _on_tick(self, _: _Tick) -> None:
        settings, now = self._settings, self.ctx.monotonic_ns
        self.ctx.after(settings.tick_ns, _Tick())
        quote = self._quote
        if self._gap is not None or quote is None:
            return
        behind_ns = 0 if self._behind_since_ns is None else now - self._behind_since_ns
        if behind_ns > settings.max_age_ns:
            seconds = behind_ns / _S
            self._lose(GapReason.STALE, f"no delta for {seconds:.1f} s although the symbol trades")
            if self._sequencer.snapshot_depth:
                self._ask_session()  # a snapshot alone would not make the stream speak again
        elif now - self._quoted_at_ns >= settings.heartbeat_ns:
            self._send_quote(quote.bid_px, quote.bid_qty, quote.ask_px, quote.ask_qty, self.ctx.now_ns)
            for reader, depth in self._depths.repeated(self.ctx.now_ns):
                self.ctx.send(reader, depth)

    # ---- readers ----------------------------------------------------------------------------------------------

    def _on_subscribe(self, wish: Subscribe) -> None:
        """A new reader is told at once where the book stands."""
        self._readers[wish.reader] = self._subscribers[wish.reader] = None
        if self._trades_gap is not None:
            self.ctx.send(wish.reader, self._trades_gap)
        if self._gap is not None:
            self.ctx.send(wish.reader, self._gap)
        elif self._quote is not None:
            self.ctx.send(wish.reader, self._quote)

    def _on_unsubscribe(self, wish: Unsubscribe) -> None:
        self._subscribers.pop(wish.reader, None)
        self._readers.pop(wish.reader, None)

    def _on_watch_depth(self, wish: WatchDepth) -> None:
        """As `_on_subscribe`, with levels."""
        self._depths.add(wish.reader, wish.levels)
        if self._gap is not None:
            self.ctx.send(wish.reader, self._gap)
        else:
            self._send_depths(self.ctx.now_ns)

    def _on_unwatch_depth(self, wish: UnwatchDepth) -> None:
        self._depths.remove(wish.reader)

    def inspect(self) -> Mapping[str, object]:
        """State summary for the console."""
        (bid_px, bid_qty), (ask_px, ask_qty) = self.book.best()
        gap = self._gap
        return {
            "symbol": self._symbol,
            "proven": gap is None,
            "gap": "" if gap is None else f"{gap.reason.value}: {gap.text}",
            "bid": f"{bid_px} x {bid_qty}",
            "ask": f"{ask_px} x {ask_qty}",
            "levels": f"{len(self.book.bids)} + {len(self.book.asks)}",
            "last_id": self._sequencer.last_id,
            "connection": self._connection,
            "readers": list(self._readers),
            **self._counts,
            "compared": self._oracle.compared,
            "disagreed": self._oracle.disagreed,
        }
