"""Sequence rules of the diff-depth stream (reference section 13).

A diff says `U..u`: all updates from the venue's first to its last id are in it.  The stream has no predecessor id
and no checksum, so the ids are the only proof of continuity::

    buffer diffs -> snapshot (lastUpdateId) -> drop diffs with u <= lastUpdateId
                 -> the next must satisfy U <= lastUpdateId + 1 <= u -> then every diff: U <= id + 1, id := u

The documents word the bridge as "lastUpdateId lies within [U; u]"; after the drop the first diff may begin exactly
at `lastUpdateId + 1`, so the +1 form is used, which is also the rule of every later diff.
"""

from __future__ import annotations

from collections import deque

from protocols.market import BookDelta, BookSnapshot
from protocols.venue import Bridge, Verdict

__all__ = ["BinanceSpotSequencer"]

UNSYNCED = -1

# Resolved once: a member access on an Enum class costs more than the comparison it serves.
_APPLY, _IGNORE, _BUFFER, _GAP = Verdict.APPLY, Verdict.IGNORE, Verdict.BUFFER, Verdict.GAP
_TOO_OLD = Bridge(Verdict.TOO_OLD)
_NOT_NEEDED = Bridge(Verdict.IGNORE)


class BinanceSpotSequencer:
    """`protocols.venue.BookSequencer` for one Binance Spot symbol.

    `buffer_max` bounds what is kept while a snapshot is under way.  When it is reached the oldest diff goes, which
    loses nothing but time: the snapshot must then be a newer one.
    """

    __slots__ = ("_buffer", "_buffer_max", "_last_id", "snapshot_depth")

    def __init__(self, snapshot_depth: int = 1000, buffer_max: int = 20_000) -> None:
        if not 1 <= snapshot_depth <= 5000:
            raise ValueError(f"snapshot_depth must be 1 to 5000, was {snapshot_depth}")
        if buffer_max < 1:
            raise ValueError(f"buffer_max must be at least 1, was {buffer_max}")
        self.snapshot_depth = snapshot_depth
        self._buffer: deque[BookDelta] = deque()
        self._buffer_max = buffer_max
        self._last_id = UNSYNCED

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
        """Step 6, or step 1 while there is no base."""
        last_id = self._last_id
        if last_id == UNSYNCED:
            return self._keep(delta)
        if delta.last_id < last_id:
            return _IGNORE
        if delta.first_id > last_id + 1:
            # The diff that showed the hole is the first one of the new beginning: its U is the new U0.
            self._last_id = UNSYNCED
            self._buffer.clear()
            self._buffer.append(delta)
            return _GAP
        self._last_id = delta.last_id
        return _APPLY

    def on_snapshot(self, snapshot: BookSnapshot) -> Bridge:
        """Steps 3 to 5.  Without any buffered diff (a quiet symbol) the snapshot stands alone."""
        if self._last_id != UNSYNCED:
            return _NOT_NEEDED
        buffer = self._buffer
        base = snapshot.last_id
        if buffer and base < buffer[0].first_id:
            return _TOO_OLD
        replay = tuple(delta for delta in buffer if delta.last_id > base)
        # What is buffered is continuous (see _keep) and begins at or before `base`, so the first of `replay`
        # begins at or before base + 1.
        self._last_id = replay[-1].last_id if replay else base
        buffer.clear()
        return Bridge(_APPLY, replay)

    def reset(self) -> None:
        """Start over at step 1."""
        self._last_id = UNSYNCED
        self._buffer.clear()

    def _keep(self, delta: BookDelta) -> Verdict:
        """Buffer a diff; after a hole in the buffer only what follows the hole can still be bridged."""
        buffer = self._buffer
        if buffer:
            tail = buffer[-1].last_id
            if delta.last_id < tail:
                return _IGNORE
            if delta.first_id > tail + 1:
                buffer.clear()
            elif len(buffer) >= self._buffer_max:
                buffer.popleft()
        buffer.append(delta)
        return _BUFFER
