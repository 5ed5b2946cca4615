"""Sequence rules of the diff-depth stream (reference section 14).

A diff says `U..u` and `pu`, the `u` of the diff before it.  The ids jump: `U` is not `previous u + 1`, so continuity is
proven by `pu` alone::

    buffer diffs -> snapshot (lastUpdateId) -> drop diffs with u < lastUpdateId
                 -> the next must satisfy U <= lastUpdateId <= u -> then every diff: pu == id, id := u

The first diff after a snapshot is judged by the letter: one with `pu == lastUpdateId` would continue it just as well,
but the documents do not say so, and a newer snapshot costs little.
"""

from __future__ import annotations

from collections import deque

from protocols.market import BookDelta, BookSnapshot
from protocols.venue import Bridge, Verdict

__all__ = ["DEPTHS", "BinanceUsdmSequencer"]

DEPTHS = (5, 10, 20, 50, 100, 500, 1000)
"""Levels that a snapshot can have."""
UNSYNCED = -1

# Resolved once: a member access on an Enum class costs more than the comparison it serves.
_APPLY, _IGNORE, _BUFFER, _GAP = Verdict.APPLY, Verdict.IGNORE, Verdict.BUFFER, Verdict.GAP
_TOO_OLD = Bridge(Verdict.TOO_OLD)
_NOT_NEEDED = Bridge(Verdict.IGNORE)


class BinanceUsdmSequencer:
    """`protocols.venue.BookSequencer` for one symbol.

    `buffer_max` bounds what is kept while a snapshot is under way.  When it is reached the oldest diff goes, which
    loses nothing but time: the snapshot must then be a newer one.
    """

    __slots__ = ("_bridged", "_buffer", "_buffer_max", "_last_id", "snapshot_depth")

    def __init__(self, snapshot_depth: int = 1000, buffer_max: int = 20_000) -> None:
        if snapshot_depth not in DEPTHS:
            raise ValueError(f"snapshot_depth must be one of {DEPTHS}, was {snapshot_depth}")
        if buffer_max < 1:
            raise ValueError(f"buffer_max must be at least 1, was {buffer_max}")
        self.snapshot_depth = snapshot_depth
        self._buffer: deque[BookDelta] = deque()
        self._buffer_max = buffer_max
        self._last_id = UNSYNCED
        self._bridged = False

    @property
    def synced(self) -> bool:
        """True while the book equals the venue's as of `last_id`."""
        return self._last_id != UNSYNCED

    @property
    def last_id(self) -> int:
        """The `u` of the last diff applied, or the snapshot's id; -1 while not synced."""
        return self._last_id

    @property
    def buffered(self) -> int:
        """How many diffs wait for a snapshot."""
        return len(self._buffer)

    def on_delta(self, delta: BookDelta) -> Verdict:
        """Step 5; step 4 for the first diff after a snapshot that stood alone; step 1 while there is no base."""
        last_id = self._last_id
        if last_id == UNSYNCED:
            return self._keep(delta)
        if delta.prev_id == last_id and self._bridged:
            self._last_id = delta.last_id
            return _APPLY
        if delta.last_id < last_id or (self._bridged and delta.last_id == last_id):
            return _IGNORE
        if not self._bridged and delta.first_id <= last_id:
            self._bridged = True
            self._last_id = delta.last_id
            return _APPLY
        # The diff that showed the hole is the first one of the new beginning.
        self.reset()
        self._buffer.append(delta)
        return _GAP

    def on_snapshot(self, snapshot: BookSnapshot) -> Bridge:
        """Steps 3 and 4.  Without any buffered diff that reaches it (a quiet symbol) the snapshot stands alone."""
        if self._last_id != UNSYNCED:
            return _NOT_NEEDED
        buffer = self._buffer
        base = snapshot.last_id
        replay = tuple(delta for delta in buffer if delta.last_id >= base)
        if replay and replay[0].first_id > base:
            return _TOO_OLD
        # What is buffered is continuous (see _keep), so the first of `replay` carries all the others.
        self._bridged = bool(replay)
        self._last_id = replay[-1].last_id if replay else base
        buffer.clear()
        return Bridge(_APPLY, replay)

    def reset(self) -> None:
        """Start over at step 1."""
        self._last_id = UNSYNCED
        self._bridged = False
        self._buffer.clear()

    def _keep(self, delta: BookDelta) -> Verdict:
        """Buffer a diff; after a hole in the buffer only what follows the hole can still be bridged."""
        buffer = self._buffer
        if buffer:
            tail = buffer[-1].last_id
            if delta.prev_id != tail:
                if delta.last_id <= tail:
                    return _IGNORE
                buffer.clear()
            elif len(buffer) >= self._buffer_max:
                buffer.popleft()
        buffer.append(delta)
        return _BUFFER
