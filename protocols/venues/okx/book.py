"""Sequence rules of the `books` channel, and the checksum that it once had (reference section 7.1).

Every update names its predecessor, so the stream proves its own continuity::

    snapshot (prevSeqId -1)            -> replace the book, last := seqId
    prevSeqId == last                  -> apply, last := seqId   (also when seqId < prevSeqId: a venue's reset)
    prevSeqId == last == seqId, empty  -> heartbeat, nothing
    anything else                      -> gap: drop the book, unsubscribe and subscribe

The snapshot comes with the subscription; `snapshot_depth` is 0, nothing is asked for.  The venue has announced once,
and then not done, that it would leave this snapshot out.  For that day a REST book joins the stream as well: updates
are buffered, those with seqId <= its seqId are dropped, the next must have prevSeqId <= seqId of the book < its own
(assumed; the rule is the venue's usual one).  It shows when updates come and go on coming and no snapshot was before
them: then `snapshot_depth` says that REST is to be asked, until the book has its base.

An update of the past is a gap and not merely old, because after a reset numbers begin low again: ignoring them would
freeze a book that is called proven.  What is ignored are repetitions of updates that were applied, pair for pair
(`prevSeqId`, `seqId`): two connections say the same during a planned replacement.  A second connection's snapshot
that is ahead of the book replaces it, and what the slower one still delivers of the old chain is followed to its end.
"""

from __future__ import annotations

import binascii
from collections import deque
from collections.abc import Sequence

from protocols.market import BookDelta, BookSnapshot, Level
from protocols.venue import Bridge, Verdict

__all__ = ["CHECKSUM_LEVELS", "OkxSequencer", "checksum", "checksum_holds"]

UNSYNCED = -1
REPEATS_MAX = 1024
"""Updates that are remembered to know their repetition: at 10 ms each, ten seconds of overlap."""
CHECKSUM_LEVELS = 25
REST_DEPTH = 400
BARE_UPDATES_MAX = 20
"""So many updates without a snapshot before them, two seconds of them, and REST is asked for one."""

# Resolved once: a member access on an Enum class costs more than the comparison it serves.
_APPLY, _IGNORE, _BUFFER, _GAP = Verdict.APPLY, Verdict.IGNORE, Verdict.BUFFER, Verdict.GAP
_TOO_OLD = Bridge(Verdict.TOO_OLD)
_NOT_NEEDED = Bridge(Verdict.IGNORE)


class OkxSequencer:
    """`protocols.venue.BookSequencer` for one OKX instrument.

    `snapshot_depth` 1 to 400 makes the book ask REST for its snapshot, 0 leaves it to the stream.  `buffer_max` bounds
    what is kept without a base; when it is reached the oldest update goes and the snapshot must be a newer one.
    """

    checksum_levels = CHECKSUM_LEVELS

    __slots__ = (
        "_bare",
        "_base",
        "_behind",
        "_buffer",
        "_buffer_max",
        "_chain",
        "_configured_depth",
        "_seen",
        "_seen_order",
        "_synced",
        "snapshot_depth",
    )

    def __init__(self, snapshot_depth: int = 0, buffer_max: int = 20_000) -> None:
        if not 0 <= snapshot_depth <= 400:
            raise ValueError(f"snapshot_depth must be 0 to 400, was {snapshot_depth}")
        if buffer_max < 1:
            raise ValueError(f"buffer_max must be at least 1, was {buffer_max}")
        self.snapshot_depth = self._configured_depth = snapshot_depth
        self._buffer: deque[BookDelta] = deque()
        self._bare = 0
        """Updates since the last picture, whatever was forgotten meanwhile."""
        self._buffer_max = buffer_max
        self._synced = False
        self._chain = UNSYNCED
        """seqId of the newest update of the stream."""
        self._base = UNSYNCED
        """seqId of a snapshot that the stream has not reached yet."""
        self._behind = UNSYNCED
        """Where a slower connection stands on the chain that a newer snapshot has overtaken."""
        self._seen: set[tuple[int, int]] = set()
        self._seen_order: deque[tuple[int, int]] = deque()

    @property
    def synced(self) -> bool:
        """True while the book equals the venue's as of `last_id`."""
        return self._synced

    @property
    def last_id(self) -> int:
        """seqId that the book has reached; -1 while not synced."""
        if not self._synced:
            return UNSYNCED
        return self._chain if self._base == UNSYNCED else self._base

    @property
    def buffered(self) -> int:
        """How many updates wait for a snapshot."""
        return len(self._buffer)

    def on_delta(self, delta: BookDelta) -> Verdict:
        """The table above; BUFFER while there is no base."""
        if not self._synced:
            return self._keep(delta)
        prev_id, seq_id = delta.prev_id, delta.last_id
        if self._base != UNSYNCED:
            return self._reach_base(delta)
        if prev_id == self._chain:
            if seq_id == prev_id and not delta.bids and not delta.asks:
                return _IGNORE
            self._chain = seq_id
            self._remember(prev_id, seq_id)
            return _APPLY
        if (prev_id, seq_id) in self._seen:
            return _IGNORE
        if prev_id == self._behind != UNSYNCED and prev_id <= seq_id <= self._chain:
            self._behind = UNSYNCED if seq_id == self._chain else seq_id
            return _IGNORE
        return self._lose(delta)

    def on_snapshot(self, snapshot: BookSnapshot) -> Bridge:
        """A picture of the stream, or of REST; APPLY with what was buffered and follows it."""
        base = snapshot.last_id
        if self._synced:
            if base <= self.last_id:
                return _NOT_NEEDED
            behind = self._chain
            self._start(base)
            self._behind = behind
            return Bridge(_APPLY)
        buffer = self._buffer
        if buffer and base < buffer[0].prev_id:
            return _TOO_OLD
        replay = tuple(delta for delta in buffer if delta.last_id > base)
        tail = buffer[-1].last_id if buffer else UNSYNCED
        buffer.clear()
        self._start(base)
        if replay:
            self._chain = tail
            for delta in replay:
                self._remember(delta.prev_id, delta.last_id)
        elif UNSYNCED != tail < base:
            self._chain, self._base = tail, base
        return Bridge(_APPLY, replay)

    def checksum_holds(self, bids: Sequence[Level], asks: Sequence[Level], stated: int) -> bool:
        """`protocols.venue.ChecksBooks`; asked only where a message states one, which is in old recordings."""
        return checksum_holds(bids, asks, stated)

    def reset(self) -> None:
        """Start over."""
        self._synced = False
        self._chain = self._base = self._behind = UNSYNCED
        self.snapshot_depth = self._configured_depth
        self._buffer.clear()
        self._forget()

    def _start(self, seq_id: int) -> None:
        self._forget()
        self._synced, self._bare = True, 0
        self.snapshot_depth = self._configured_depth
        self._chain, self._base, self._behind = seq_id, UNSYNCED, UNSYNCED

    def _reach_base(self, delta: BookDelta) -> Verdict:
        """The snapshot is ahead of the stream: follow the stream until it gets there.

        The first update after a snapshot of the stream continues the snapshot itself, whatever came before it.
        """
        prev_id, seq_id, base = delta.prev_id, delta.last_id, self._base
        if prev_id == base:
            self._chain, self._base = prev_id, UNSYNCED
            return self.on_delta(delta)
        if prev_id != self._chain or seq_id < prev_id:
            return self._lose(delta)
        self._chain = seq_id
        if seq_id < base:
            return _IGNORE
        self._base = UNSYNCED
        if seq_id == base:
            return _IGNORE
        self._remember(prev_id, seq_id)
        return _APPLY

    def _lose(self, delta: BookDelta) -> Verdict:
        """The update that showed the hole is the first one of the new beginning."""
        self.reset()
        self._keep(delta)
        return _GAP

    def _keep(self, delta: BookDelta) -> Verdict:
        """Buffer an update; after a hole or a reset only what follows it can still be bridged."""
        buffer = self._buffer
        if buffer:
            last = buffer[-1]
            if (delta.prev_id, delta.last_id) == (last.prev_id, last.last_id):
                return _IGNORE
            if delta.prev_id != last.last_id:
                buffer.clear()
            elif len(buffer) >= self._buffer_max:
                buffer.popleft()
        if delta.last_id < delta.prev_id:
            # After a reset the numbers no longer say which of two is newer.
            buffer.clear()
            return _BUFFER
        buffer.append(delta)
        self._bare += 1
        if self._bare >= BARE_UPDATES_MAX and not self.snapshot_depth:
            self.snapshot_depth = REST_DEPTH
        return _BUFFER

    def _remember(self, prev_id: int, seq_id: int) -> None:
        order = self._seen_order
        if seq_id < prev_id:
            self._forget()
            self._behind = UNSYNCED
        elif len(order) >= REPEATS_MAX:
            self._seen.discard(order.popleft())
        pair = (prev_id, seq_id)
        self._seen.add(pair)
        order.append(pair)

    def _forget(self) -> None:
        self._seen.clear()
        self._seen_order.clear()


def checksum(bids: Sequence[Level], asks: Sequence[Level]) -> int:
    """CRC-32, as a signed number, of the best 25 levels a side: `bid:qty:ask:qty:bid:...`, best first.

    The digits must be those that the venue sent, trailing zeros included; `Decimal` keeps them.  The sides take turns
    as long as both have levels, then the longer one goes on alone.
    """
    parts: list[str] = []
    for at in range(CHECKSUM_LEVELS):
        for side in (bids, asks):
            if at < len(side):
                price, qty = side[at]
                parts += (format(price, "f"), format(qty, "f"))
    number = binascii.crc32(":".join(parts).encode())
    return number - (1 << 32) if number >= 1 << 31 else number


def checksum_holds(bids: Sequence[Level], asks: Sequence[Level], stated: int) -> bool:
    """Whether a book is the one that a *recording from before 2026-06-23* states a checksum of.

    Since that day the venue sends 0, which says nothing: 0 always holds.
    """
    return not stated or checksum(bids, asks) == stated
