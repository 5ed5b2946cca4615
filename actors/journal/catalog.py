"""What each key needs for recovery: its newest snapshot and the records since, kept at hand.

Owners write a `StateSnapshot` of their key now and then, so the records since stay few and an actor that restarts gets
them without a file being read.  A key that has more than `limit` of them (nobody snapshots it, or a burst came first)
is *spilled*: the catalog forgets the records, remembers where they begin, and the reader takes them from the segments.

Records that came in live are kept as they are; records found by a scan are kept as lines and decoded when somebody
asks.  Round trip through a line gives an equal object, so the two are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from actors.journal.records import decode_line
from actors.journal.segments import Entry
from protocols.journal import Record, ReplayAnswer, StateSnapshot

_SNAPSHOT_KIND = StateSnapshot.__name__


class KeyStream:
    """The newest snapshot of one key and everything after it."""

    __slots__ = ("since", "since_seq", "snapshot", "spilled")

    def __init__(self, since_seq: int) -> None:
        self.snapshot: Record | bytes | None = None
        self.since: list[Record | bytes] = []
        self.since_seq = since_seq
        """Of the snapshot, or of the first record when there is none."""
        self.spilled = False

    def restart(self, snapshot: Record | bytes, seq: int) -> None:
        """What stood before the snapshot is not needed any more."""
        self.snapshot = snapshot
        self.since = []
        self.since_seq = seq
        self.spilled = False


class Catalog:
    """All keys of a journal.  `seq` is the last record that it has seen."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._streams: dict[str, KeyStream] = {}

    def add(self, key: str, first_seq: int, records: Sequence[Record]) -> None:
        """Records just written, with consecutive numbers."""
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = KeyStream(first_seq)
        seq = first_seq
        for record in records:
            if type(record) is StateSnapshot:
                stream.restart(record, seq)
            elif not stream.spilled:
                stream.since.append(record)
            seq += 1
        if len(stream.since) > self._limit:
            self._spill(stream)

    def add_scanned(self, entry: Entry) -> None:
        """A record found in a file."""
        stream = self._streams.get(entry.key)
        if stream is None:
            stream = self._streams[entry.key] = KeyStream(entry.seq)
        if entry.kind == _SNAPSHOT_KIND:
            stream.restart(entry.line, entry.seq)
        elif not stream.spilled:
            stream.since.append(entry.line)
            if len(stream.since) > self._limit:
                self._spill(stream)

    def _spill(self, stream: KeyStream) -> None:
        stream.since = []
        stream.spilled = True

    def spilled_since(self, key: str) -> int | None:
        """The record from which the segments must be read to rebuild `key`; None when memory has all of it."""
        stream = self._streams.get(key)
        return stream.since_seq if stream is not None and stream.spilled else None

    def records(self, key: str) -> Iterator[Record]:
        """Snapshot (if any) and records since, of a key that is not spilled; nothing for an unknown one."""
        stream = self._streams.get(key)
        if stream is None:
            return
        if stream.snapshot is not None:
            yield _decoded(stream.snapshot)
        for record in stream.since:
            yield _decoded(record)

    def sizes(self) -> dict[str, int]:
        """Records since the snapshot, by key; -1 where they are only in the files."""
        return {key: -1 if stream.spilled else len(stream.since) for key, stream in self._streams.items()}


def _decoded(record: Record | bytes) -> Record:
    return decode_line(record).record if isinstance(record, bytes) else record


def answer_from(run: int, records: Iterator[Record] | Sequence[Record]) -> ReplayAnswer:
    """The newest snapshot among `records`, and what came after it."""
    snapshot: StateSnapshot | None = None
    since: list[Record] = []
    for record in records:
        if isinstance(record, StateSnapshot):
            snapshot = record
            since = []
        else:
            since.append(record)
    return ReplayAnswer(run, snapshot, tuple(since))
