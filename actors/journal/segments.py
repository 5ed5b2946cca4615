"""Segment files: how they are named, read and checked, and what a torn tail is.

The journal is a directory of files `NNNNNNNNNNNN.jsonl`, named by the sequence number of their first record.  Every
line has the next number, so line `i` of a file (from 0) is record `name + i`, and a file that is missing, doubled or
cut leaves a gap that is seen.  The first record of each file is a `SegmentHeader` that names the file before and the
checksum of its last line.

What a crash in the middle of a write can leave behind is the *torn tail*: bytes after the last newline of the newest
file.  It is cut off at start and kept in a file `*.torn`; nothing in it was ever acknowledged.  Everything else that
does not check is *damage*: somebody's disk or hand changed what had been written, and the start stops with the place,
because a journal that guesses is worth nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import attrs

from actors.journal.disk import Disk
from actors.journal.records import fault_of, head_of, header_of, line_crc
from protocols.errors import JournalError

TORN_MAX = 16 * 1024 * 1024
"""No single write is longer (bytes); a longer tail without a newline is damage, not a torn write."""

LOCK_NAME = "lock"

_BLOCK = 1024 * 1024
"""Bytes read at a time."""

_NAME = re.compile(r"(\d{12})\.jsonl")


def segment_name(first_seq: int) -> str:
    """File name of the segment that starts with this record."""
    return f"{first_seq:012d}.jsonl"


@attrs.frozen(order=True)
class Segment:
    """One segment file, by its name."""

    first_seq: int
    path: Path = attrs.field(order=False)

    @property
    def name(self) -> str:
        return self.path.name


def list_segments(directory: Path, disk: Disk) -> list[Segment]:
    """The segments in order; other files are none of ours."""
    found = ((_NAME.fullmatch(name), name) for name in disk.names(directory))
    return sorted(Segment(int(match[1]), directory / name) for match, name in found if match is not None)


class Entry(NamedTuple):
    """One whole, undamaged record as it stands in its file, not decoded yet."""

    seq: int
    written_ns: int
    key: str
    kind: str
    line: bytes
    """Without the newline."""


@attrs.frozen
class Tail:
    """Where the newest segment ends, behind its last whole record."""

    segment: Segment
    size: int
    seq: int
    written_ns: int
    last_line: bytes
    """Without the newline."""

    @property
    def crc(self) -> str:
        """What the next segment's header will say."""
        return line_crc(self.last_line)


@attrs.frozen
class Torn:
    """A write that a crash cut short, behind `offset` of the newest segment."""

    segment: Segment
    offset: int
    length: int

    def __str__(self) -> str:
        return f"{self.segment.path}: {self.length} bytes of an unfinished write after byte {self.offset}"


class DamagedJournal(JournalError):
    """A line does not check; nothing from `offset` of `segment` on has been read."""

    def __init__(self, segment: Segment, offset: int, text: str) -> None:
        super().__init__(text)
        self.segment = segment
        self.offset = offset


class Scanner:
    """Reads all segments in order and checks every line; JournalError names the place of any damage.

    `since` starts with the segment that holds this record instead of the first one.  After the last entry, `tail` says
    where the next record belongs (None: the journal is empty), `torn` what has to be cut before, and `records` how
    many lines were good.
    """

    def __init__(self, directory: Path, disk: Disk, since: int = 0) -> None:
        self._directory = directory
        self._disk = disk
        self._since = since
        self.tail: Tail | None = None
        self.torn: Torn | None = None
        self.records = 0
        self.segments = 0

    def __iter__(self) -> Iterator[Entry]:
        segments = list_segments(self._directory, self._disk)
        if segments and self._since == 0 and segments[0].first_seq != 1:
            raise JournalError(
                f"{self._directory}: segment {segment_name(1)} is missing, the oldest is {segments[0].name}. "
                "Put the missing files back"
            )
        first = max((i for i, s in enumerate(segments) if s.first_seq <= self._since), default=0)
        for i in range(first, len(segments)):
            yield from self._segment(segments[i], segments[i + 1] if i + 1 < len(segments) else None)

    def _segment(self, segment: Segment, following: Segment | None) -> Iterator[Entry]:
        before = self.tail
        if before is not None and before.seq + 1 != segment.first_seq:
            raise JournalError(
                f"{self._directory}: {before.segment.name} ends with record {before.seq} and the next file is "
                f"{segment.name}: a file is missing or not whole. Put it back"
            )
        rest, line, offset, written_ns, expected = b"", b"", 0, 0, segment.first_seq
        while chunk := self._disk.read(segment.path, offset + len(rest), _BLOCK):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                entry = _checked(line, segment, offset, expected)
                if expected == segment.first_seq:
                    self._check_header(entry, segment)
                yield entry
                written_ns = entry.written_ns
                offset += len(line) + 1
                expected += 1
            if len(rest) > TORN_MAX:
                raise damaged(segment, offset, expected, "more bytes without a newline than any one write has")
        if expected > segment.first_seq:
            self.tail = Tail(segment, offset, expected - 1, written_ns, line)
            self.segments += 1
            self.records += expected - segment.first_seq
        if rest or expected == segment.first_seq:
            if following is not None:
                raise damaged(
                    segment, offset, expected, f"the file ends inside a record though {following.name} follows"
                )
            if fault_of(rest[:-1]) is None:
                raise damaged(segment, offset, expected, "a whole record stands here, but not its newline")
            self.torn = Torn(segment, offset, len(rest))

    def _check_header(self, entry: Entry, segment: Segment) -> None:
        try:
            header = header_of(entry.line, head_of(entry.line))
        except JournalError as error:
            raise damaged(segment, 0, segment.first_seq, str(error)) from error
        before = self.tail
        if before is not None and (header.previous, header.previous_crc) != (before.segment.name, before.crc):
            fault = (
                f"it continues {header.previous or 'nothing'} with checksum {header.previous_crc or 'none'}, but "
                f"before it stands {before.segment.name} with {before.crc}: these files are not of one journal"
            )
            raise damaged(segment, 0, segment.first_seq, fault)


def _checked(line: bytes, segment: Segment, offset: int, expected: int) -> Entry:
    fault = fault_of(line)
    if fault is not None:
        raise damaged(segment, offset, expected, fault)
    try:
        head = head_of(line)
    except JournalError as error:
        raise damaged(segment, offset, expected, str(error)) from error
    if head.seq != expected:
        raise damaged(segment, offset, expected, f"record {expected} belongs here and {head.seq} stands here")
    return Entry(head.seq, head.written_ns, head.key, head.kind, line)


def damaged(segment: Segment, offset: int, seq: int, fault: str) -> DamagedJournal:
    """The error for a line that does not check: the file, the line, the byte, the fault and what to do."""
    line = seq - segment.first_seq + 1
    return DamagedJournal(
        segment,
        offset,
        f"{segment.path}, line {line} (byte {offset}, record {seq}): {fault}. The journal is damaged and nothing is "
        "started from it: put the file back from a copy. If nothing good stands behind that place and what stands "
        "there may be lost, `bulkhead replay --repair` cuts it off",
    )
