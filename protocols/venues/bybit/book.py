"""Sequence rules of the order book stream (reference section 8.1).

A topic begins with a snapshot, then deltas follow; every message has a counter `u` of its topic::

    snapshot (u) -> every delta: u + 1 -> ...        a snapshot in mid-stream replaces the book

There is no predecessor id and no checksum, so the counter is the only proof.  The documents promise "plus one" for the
full book alone; on the depth topics it holds in every recording that we have, and it is demanded here: should the venue
ever skip a number, the price is a new subscription, while the other reading would price orders from a book with a hole.
A counter that goes back is corruption, not something old: deltas of one connection cannot overtake each other.  Only
the exact repetition of the last delta says nothing new.

A book of 1000 levels shares its counter with the REST book, so it can be healed by a snapshot from there; deltas are
buffered until it comes.  For the other depths the stream must be subscribed again (`snapshot_depth` is 0).
"""

from __future__ import annotations

from collections import deque

from protocols.market import BookDelta, BookSnapshot
from protocols.venue import Bridge, Verdict

__all__ = ["DEPTHS", "BybitSequencer"]

DEPTHS = (50, 200, 1000)
"""Levels a side of the topics that have deltas (since 2025-09-11)."""
REST_DEPTH = 1000
RESTARTED = 1
"""The counter's first value: the venue's service has restarted and sends the whole book."""
UNSYNCED = -1

# Resolved once: a member access on an Enum class costs more than the comparison it serves.
_APPLY, _IGNORE, _BUFFER, _GAP = Verdict.APPLY, Verdict.IGNORE, Verdict.BUFFER, Verdict.GAP
_TOO_OLD = Bridge(Verdict.TOO_OLD)
_NOT_NEEDED = Bridge(Verdict.IGNORE)


class BybitSequencer:
    """`protocols.venue.BookSequencer` for one Bybit symbol and depth.

    `buffer_max` bounds what is kept while a snapshot is under way; the oldest goes first, which asks for a newer one.
    """

    __slots__ = ("_buffer", "_buffer_max", "_last", "_last_id", "snapshot_depth")

    def __init__(self, depth: int = 200, buffer_max: int = 20_000) -> None:
        if depth not in DEPTHS:
            raise ValueError(f"depth must be one of {DEPTHS}, was {depth}")
        if buffer_max < 1:
            raise ValueError(f"buffer_max must be at least 1, was {buffer_max}")
        self.snapshot_depth = depth if depth == REST_DEPTH else 0
        self._buffer: deque[BookDelta] = deque()
        self._buffer_max = buffer_max
        self._last_id = UNSYNCED
        self._last: BookDelta | None = None

    @property
    def synced(self) -> bool:
        """True while the book equals the venue's as of `last_id`."""
        return self._last_id != UNSYNCED

    @property
    def last_id(self) -> int:
        """The `u` of the last message applied; -1 while not synced."""
        return self._last_id

    @property
    def buffered(self) -> int:
        """How many deltas wait for a snapshot."""
        return len(self._buffer)

    def on_delta(self, delta: BookDelta) -> Verdict:
        """APPLY the next, IGNORE the last once more, anything else is a GAP; without a base BUFFER or IGNORE."""
        last_id = self._last_id
        if last_id == UNSYNCED:
            return self._keep(delta)
        if delta.last_id == last_id + 1:
            self._last_id = delta.last_id
            self._last = delta
            return _APPLY
        if delta.last_id == last_id and _same(self._last, delta):
            return _IGNORE
        self.reset()
        self._keep(delta)  # the delta that showed the hole is the first of the new beginning
        return _GAP

    def on_snapshot(self, snapshot: BookSnapshot) -> Bridge:
        """Replace the book; the buffered deltas that a REST snapshot does not have follow."""
        base = snapshot.last_id
        if self.snapshot_depth and self._last_id > base > RESTARTED:
            # An answer of REST that the stream has overtaken.  Were it the stream's own, the next delta would tell.
            return _NOT_NEEDED
        # A counter that began anew has nothing to do with what was buffered.
        replay = () if base == RESTARTED else tuple(delta for delta in self._buffer if delta.last_id > base)
        if replay and replay[0].last_id != base + 1:
            return _TOO_OLD
        # What is buffered is continuous (see _keep).
        self._buffer.clear()
        self._last = replay[-1] if replay else None
        self._last_id = replay[-1].last_id if replay else base
        return Bridge(_APPLY, replay)

    def reset(self) -> None:
        """Start over: wait for a snapshot."""
        self._last_id = UNSYNCED
        self._last = None
        self._buffer.clear()

    def _keep(self, delta: BookDelta) -> Verdict:
        """Buffer a delta; after a hole in the buffer only what follows the hole can still be bridged."""
        if not self.snapshot_depth:
            return _IGNORE  # the stream's own snapshot comes after it and has it
        buffer = self._buffer
        if buffer:
            if _same(buffer[-1], delta):
                return _IGNORE
            if delta.last_id != buffer[-1].last_id + 1:
                buffer.clear()
            elif len(buffer) >= self._buffer_max:
                buffer.popleft()
        buffer.append(delta)
        return _BUFFER


def _same(last: BookDelta | None, delta: BookDelta) -> bool:
    """True for the same message once more: equal in everything that the venue says."""
    return (
        last is not None
        and last.last_id == delta.last_id
        and last.event_ns == delta.event_ns
        and last.bids == delta.bids
        and last.asks == delta.asks
    )
