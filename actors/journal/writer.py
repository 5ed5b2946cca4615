"""Appends whole batches to the newest segment, and undoes what it could not finish.

`append` makes one `write` of one batch.  When it fails in the middle (a full disk writes the first half), the file is
cut back to the last whole record before the error goes up; when even the cut fails, nothing more is written until it
succeeds, because a record behind a torn one would be damage.  A full segment is followed by the next one, whose header
continues it; if that cannot be created, the old one just grows.

Forcing data to the disk takes milliseconds and is done by whoever owns the writer, in a worker thread: `sync_job` says
what is to be synced, `SyncJob.run` does it, `synced` books the result.  After a failed sync nobody knows what the disk
has, so the owner must not trust this writer's file any more.
"""

from __future__ import annotations

from pathlib import Path

import attrs

from actors.journal.disk import Disk
from actors.journal.records import SCHEMA_VERSION, SegmentHeader, encode_line
from actors.journal.segments import Segment, Tail, segment_name

HEADER_KEY = ""
HEADER_SUBJECT = "journal"


@attrs.frozen
class SyncJob:
    """Files to force to the disk; made and booked by the writer's owner, run in any thread."""

    seq: int
    segments: tuple[Segment, ...]
    """Files that have something which may not be on the disk yet; the newest one last.  By name, not by descriptor:
    the writer may turn to the next segment, and close this one, while the job runs."""
    directory: Path | None
    """Set when a segment has been created whose name may not be on the disk yet."""
    disk: Disk

    def run(self) -> None:
        """OSError when the disk could not take it."""
        for segment in self.segments:
            self.disk.sync_file(segment.path)
        if self.directory is not None:
            self.disk.sync_directory(self.directory)


class Writer:
    """The newest segment, open for appending."""

    def __init__(self, directory: Path, disk: Disk, tail: Tail, fd: int, segment_bytes: int) -> None:
        self._directory = directory
        self._disk = disk
        self._segment_bytes = segment_bytes
        self._rotate_at = segment_bytes
        self._fd = fd
        self._finished: list[Segment] = []
        self._named: Segment | None = None
        self._torn = False
        self._stray: Path | None = None
        self.segment = tail.segment
        self.size = tail.size
        self.seq = tail.seq
        """The last record written."""
        self.written_ns = tail.written_ns
        self.last_line = tail.last_line
        self.synced_seq = 0
        self.bytes_written = 0

    @classmethod
    def first(cls, directory: Path, disk: Disk, now_ns: int, segment_bytes: int) -> Writer:
        """A new journal: create its first segment; OSError when that is not possible."""
        tail, fd = _create(directory, disk, None, now_ns)
        return cls(directory, disk, tail, fd, segment_bytes)

    @classmethod
    def after(cls, directory: Path, disk: Disk, tail: Tail, segment_bytes: int) -> Writer:
        """Go on behind the last whole record."""
        return cls(directory, disk, tail, disk.append_to(tail.segment.path), segment_bytes)

    @property
    def tail(self) -> Tail:
        """Where the journal ends now."""
        return Tail(self.segment, self.size, self.seq, self.written_ns, self.last_line)

    def append(self, data: bytes, last_line: bytes, seq: int, written_ns: int) -> None:
        """Write a batch of whole lines whose last one is `last_line` (with its newline) and has the number `seq`.

        OSError when not all of it could be written; then none of it is in the file.
        """
        if self._torn or self._stray is not None:
            self._mend()
        fd, disk = self._fd, self._disk
        try:
            written = disk.write(fd, data)
            if written != len(data):
                disk.write_all(fd, data[written:])
        except OSError:
            self._torn = True
            self._mend_if_possible()
            raise
        self.size += len(data)
        self.bytes_written += len(data)
        self.seq = seq
        self.written_ns = written_ns
        self.last_line = last_line[:-1]
        if self.size >= self._rotate_at:
            self._rotate()

    def _mend(self) -> None:
        if self._torn:
            self._disk.truncate(self.segment.path, self.size)
            self._torn = False
        if self._stray is not None:
            self._disk.remove(self._stray)
            self._stray = None

    def _mend_if_possible(self) -> None:
        try:
            self._mend()
        except OSError:
            pass  # not now; the caller hears of the first error, and the next append begins with mending

    def _rotate(self) -> None:
        try:
            tail, fd = _create(self._directory, self._disk, self.tail, self.written_ns)
        except OSError:
            self._stray = self._directory / segment_name(self.seq + 1)
            self._mend_if_possible()
            self._rotate_at = self.size + self._segment_bytes // 8
            return
        self._finished.append(self.segment)
        self._disk.close(self._fd)
        self._fd = fd
        self._rotate_at = self._segment_bytes
        self.segment, self.size, self.seq, self.last_line = tail.segment, tail.size, tail.seq, tail.last_line
        self.bytes_written += tail.size

    # ---- durability --------------------------------------------------------------------------------------------

    @property
    def unsynced(self) -> int:
        """Records that a power cut may take."""
        return self.seq - self.synced_seq

    def sync_job(self) -> SyncJob:
        """Everything written so far, to be forced to the disk.  One job at a time."""
        directory = self._directory if self._named != self.segment else None
        return SyncJob(self.seq, (*self._finished, self.segment), directory, self._disk)

    def synced(self, job: SyncJob) -> None:
        """The job has succeeded.  What was written while it ran is for the next one."""
        self.synced_seq = job.seq
        self._named = job.segments[-1]
        del self._finished[: len(job.segments) - 1]

    def close(self) -> None:
        """Give the descriptor back."""
        self._disk.close(self._fd)


def _create(directory: Path, disk: Disk, before: Tail | None, now_ns: int) -> tuple[Tail, int]:
    """A new segment with its header; OSError leaves at most a file without a whole header behind."""
    seq = 1 if before is None else before.seq + 1
    header = SegmentHeader(
        SCHEMA_VERSION,
        "" if before is None else before.segment.name,
        "" if before is None else before.crc,
    )
    segment = Segment(seq, directory / segment_name(seq))
    line = encode_line(seq, now_ns, HEADER_KEY, HEADER_SUBJECT, header)
    fd = disk.create(segment.path)
    try:
        disk.write_all(fd, line)
    except OSError:
        disk.close(fd)
        raise
    return Tail(segment, len(line), seq, now_ns, line[:-1]), fd
