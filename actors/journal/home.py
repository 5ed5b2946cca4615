"""What outlives an incarnation of the journal's actor: the directory lock, the open segment, the catalog.

The files are the state; what is kept here is a cache of them.  A new incarnation takes it over only when the newest
segment ends exactly where the cache says, with exactly the record that the cache says; otherwise everything is read
and checked again.  So a journal that restarts inside its process is back in microseconds, and one that starts with its
process has checked every line.

    home = JournalHome(data / "journal")
    opening = home.open(now_ns)          # JournalError: damaged, in use, or not writable
    if opening.torn: print(opening.torn) # an unfinished write was cut off and kept in a `.torn` file
"""

from __future__ import annotations

import os
from pathlib import Path

import attrs

from actors.journal.catalog import Catalog
from actors.journal.disk import Disk
from actors.journal.records import HEADER_KIND, decode_line
from actors.journal.segments import LOCK_NAME, Scanner, Segment, Tail, Torn, segment_name
from actors.journal.writer import Writer
from protocols.errors import JournalError
from protocols.journal import RunStarted

SEGMENT_BYTES = 64 * 1024 * 1024
MEMORY_RECORDS = 10_000
"""Records of one key that are kept at hand; more are read from the files when they are wanted."""

_RUN_KIND = RunStarted.__name__


@attrs.frozen
class Opening:
    """What `JournalHome.open` found."""

    records: int
    """Lines checked; 0 when the cache was good."""
    run: int
    """Of the last process life; 0 when this is the first."""
    torn: Torn | None
    """The unfinished write that was cut off, if any."""


class JournalHome:
    """One journal directory in one process; see the module text."""

    def __init__(
        self,
        directory: Path,
        *,
        disk: Disk | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        memory_records: int = MEMORY_RECORDS,
    ) -> None:
        self.directory = directory
        self.disk = disk if disk is not None else Disk()
        self.catalog = Catalog(memory_records)
        self.torn: Torn | None = None
        """What the last full scan cut off."""
        self.run = 0
        """The newest run in the journal."""
        self._segment_bytes = segment_bytes
        self._memory_records = memory_records
        self._lock: int | None = None
        self._writer: Writer | None = None
        self._known: tuple[Segment, int, int, int, bytes] | None = None
        """The fields of the `Tail` that the catalog has seen; a plain tuple, made anew for every batch."""

    @property
    def writer(self) -> Writer:
        """The open segment; only after `open`."""
        assert self._writer is not None
        return self._writer

    def acquire(self) -> None:
        """Make the directory and lock it for this process; idempotent.  JournalError when another one has it."""
        if self._lock is not None:
            return
        try:
            self.disk.make_directory(self.directory)
            self._lock = self.disk.lock(self.directory / LOCK_NAME)
        except OSError as error:
            raise JournalError(
                f"{self.directory}: {os.strerror(error.errno or 0)}. The journal needs a directory that it can write: "
                "set data.dir (BULKHEAD__DATA__DIR) to one, or correct its owner"
            ) from error
        if self._lock is None:
            raise JournalError(
                f"{self.directory} is in use by another engine ({self._lock_note() or 'unknown process'}): stop that "
                "one first, or give this one a data.dir of its own"
            )

    def open(self, now_ns: int) -> Opening:
        """Everything checked, the torn tail cut off, ready to append.  JournalError says why not and what to do."""
        self.acquire()
        former, self._writer = self._writer, None
        if former is not None:
            former.close()
        try:
            return self._take_over() or self._scan(now_ns)
        except OSError as error:
            self.close()
            raise JournalError(
                f"{self.directory}: {error.strerror or error}: the journal cannot be opened. Free space, or correct "
                "the owner and mode of what is in it"
            ) from error
        except JournalError:
            self.close()
            raise

    def _take_over(self) -> Opening | None:
        """Go on where the last incarnation stopped, when the files end exactly there."""
        known = Tail(*self._known) if self._known is not None else None
        if known is None or not self._ends_as(known):
            return None
        self._writer = Writer.after(self.directory, self.disk, known, self._segment_bytes)
        return Opening(0, self.run, None)

    def _ends_as(self, known: Tail) -> bool:
        path = known.segment.path
        length = len(known.last_line) + 1
        if not path.exists() or self.disk.size(path) != known.size:
            return False
        following = self.directory / segment_name(known.seq + 1)
        return not following.exists() and self.disk.read(path, known.size - length) == known.last_line + b"\n"

    def _scan(self, now_ns: int) -> Opening:
        self.catalog = catalog = Catalog(self._memory_records)
        self.run = 0
        scanner = Scanner(self.directory, self.disk)
        for entry in scanner:
            if entry.kind == HEADER_KIND:
                continue
            catalog.add_scanned(entry)
            if entry.kind == _RUN_KIND:
                self._note_run(entry.line)
        self._require_newest(scanner.tail)
        self.torn = scanner.torn
        if scanner.torn is not None:
            cut_off(scanner.torn, self.disk)
        if scanner.tail is None:
            self._writer = Writer.first(self.directory, self.disk, now_ns, self._segment_bytes)
        else:
            self._writer = Writer.after(self.directory, self.disk, scanner.tail, self._segment_bytes)
        self.note_tail()
        return Opening(scanner.records, self.run, scanner.torn)

    def _note_run(self, line: bytes) -> None:
        record = decode_line(line).record
        assert isinstance(record, RunStarted)
        self.run = max(self.run, record.run)

    # ---- the newest segment is noted in the lock file, so that its loss is seen -----------------------------------

    def note_tail(self) -> None:
        """The catalog now holds everything that the writer wrote."""
        writer = self.writer
        if self._known is None or self._known[0] is not writer.segment:
            self._note_segment(writer.segment)
        self._known = (writer.segment, writer.size, writer.seq, writer.written_ns, writer.last_line)

    def _note_segment(self, segment: Segment) -> None:
        assert self._lock is not None
        try:
            self.disk.note(self._lock, f"pid {os.getpid()} segment {segment.name}\n")
        except OSError:
            pass  # a full disk; the note is one more safeguard, and the next segment writes it again

    def _lock_note(self) -> str:
        try:
            return self.disk.read(self.directory / LOCK_NAME).decode(errors="replace").strip()
        except OSError:
            return ""

    def _require_newest(self, tail: Tail | None) -> None:
        noted = self._lock_note().partition(" segment ")[2]
        newest = "" if tail is None else tail.segment.name
        if noted > newest:
            raise JournalError(
                f"{self.directory}: segment {noted} was written and is missing, the newest is {newest or 'none'}. Put "
                f"it back; if it is lost for good, `bulkhead replay --repair` goes on without it"
            )

    def forget_newest(self) -> None:
        """An operator has said that a missing newest segment is lost for good; only with the lock held."""
        assert self._lock is not None
        self.disk.note(self._lock, f"pid {os.getpid()}\n")

    def close(self) -> None:
        """Give file and lock back; the next `open` reads everything again."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._known = None
        if self._lock is not None:
            self.disk.close(self._lock)
            self._lock = None


def cut_off(torn: Torn, disk: Disk) -> None:
    """Keep the bytes of an unfinished write in a `.torn` file beside the segment, and cut them off."""
    path = torn.segment.path
    if torn.length:
        kept = path.with_name(f"{path.name}.{torn.offset}.torn")
        disk.write_whole(kept, disk.read(path, torn.offset))
    if torn.offset:
        disk.truncate(path, torn.offset)
    else:
        disk.remove(path)
