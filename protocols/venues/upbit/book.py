"""Sequence rules of the order book stream (reference section 6.6).

There is nothing to be continuous: no sequence number, no checksum, no change.  Every message is a full picture of the
market at `timestamp`, so each of them proves itself and heals whatever was lost before it::

    picture with a time not before the last one -> replace the book      older -> ignore

Equal times may differ, and the later arrival wins.  What cannot be seen is that a picture is missing: such a book is
old, not wrong, and its age is the reader's business.

Times are the venue's own and could be set back; a book that waited for the old time to come again would stand still.
One connection delivers in order, so `older_max` older pictures in a row on the connection of the last one are believed:
then it was the last time that was wrong.  Another connection, which may lag, is never believed against it.
"""

from __future__ import annotations

from protocols.market import BookDelta, BookSnapshot
from protocols.venue import Bridge, Verdict

__all__ = ["UpbitSequencer"]

UNSYNCED = -1

_APPLY = Bridge(Verdict.APPLY)
_OLDER = Bridge(Verdict.IGNORE)


class UpbitSequencer:
    """`protocols.venue.BookSequencer` for one Upbit market; ids are the venue's times in milliseconds."""

    __slots__ = ("_connection", "_last_id", "_older", "_older_max", "snapshot_depth")

    def __init__(self, older_max: int = 10) -> None:
        if older_max < 1:
            raise ValueError(f"older_max must be at least 1, was {older_max}")
        self.snapshot_depth = 0
        self._older_max = older_max
        self._older = 0
        self._last_id = UNSYNCED
        self._connection = UNSYNCED

    @property
    def synced(self) -> bool:
        """True once there is a picture."""
        return self._last_id != UNSYNCED

    @property
    def last_id(self) -> int:
        """Time of the picture, ms; -1 while there is none."""
        return self._last_id

    def on_delta(self, delta: BookDelta) -> Verdict:
        """The venue sends no changes: one that comes all the same proves that the book is not what we think."""
        if self._last_id == UNSYNCED:
            return Verdict.IGNORE
        self.reset()
        return Verdict.GAP

    def on_snapshot(self, snapshot: BookSnapshot) -> Bridge:
        """APPLY, or IGNORE for an older picture (an answer of REST, or a second connection that lags)."""
        if snapshot.last_id < self._last_id:
            if snapshot.connection != self._connection:
                return _OLDER
            self._older += 1
            if self._older < self._older_max:
                return _OLDER
        self._older = 0
        self._last_id = snapshot.last_id
        self._connection = snapshot.connection
        return _APPLY

    def reset(self) -> None:
        """Forget the picture."""
        self._last_id = UNSYNCED
        self._older = 0
