"""Reading a journal without writing to it: what `bulkhead replay` and the audits stand on.

    for stored in read(directory, key=account_key("main", "binance-spot")):
        ...
    state = fold(read(directory), start, lambda state, stored: apply(state, stored.record))

Reading is safe beside a running engine: an unfinished last line is where reading stops, and every line before it is
checked.  `verify` checks everything and decodes every record; `repair_tail` is the one function here that writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import attrs

from actors.journal.disk import Disk
from actors.journal.home import JournalHome, cut_off
from actors.journal.records import HEADER_KIND, fault_of, head_of, stored_of
from actors.journal.segments import DamagedJournal, Scanner, Torn, list_segments
from protocols.canonical import state_hash
from protocols.errors import JournalError
from protocols.journal import RunStarted, RunStopped, StateSnapshot, Stored

State = TypeVar("State")


def read(
    directory: Path, *, key: str | None = None, since: int = 0, until: int | None = None, disk: Disk | None = None
) -> Iterator[Stored]:
    """Records in order, of one key or of all, with numbers from `since` to `until` (both included).

    JournalError at the first damaged line, or for a record that this version does not understand.
    """
    for entry in Scanner(directory, disk if disk is not None else Disk(), since):
        if until is not None and entry.seq > until:
            return
        if entry.seq >= since and entry.kind != HEADER_KIND and (key is None or entry.key == key):
            yield stored_of(entry.line, head_of(entry.line))


def fold(records: Iterable[Stored], state: State, apply: Callable[[State, Stored], State]) -> State:
    """The state after all records."""
    for stored in records:
        state = apply(state, stored)
    return state


@attrs.frozen
class Verification:
    """A journal whose every line checks, and every record of which this version understands."""

    segments: int
    records: int
    """Lines, segment headers included: also the number of the last one."""
    runs: int
    unfinished_runs: int
    """Process lives without an orderly end, the running one included."""
    keys: tuple[tuple[str, int], ...]
    """Records by key, sorted."""
    crc: str
    """Of the last line: two copies of one journal agree on it."""
    torn: str
    """An unfinished write at the end, which the next start will cut off; "" when there is none."""


def verify(directory: Path, disk: Disk | None = None) -> Verification:
    """Check and decode everything; JournalError names the place of the first thing that is wrong."""
    scanner = Scanner(directory, disk if disk is not None else Disk())
    keys: dict[str, int] = {}
    runs = ended = 0
    for entry in scanner:
        if entry.kind == HEADER_KIND:
            continue
        record = stored_of(entry.line, head_of(entry.line)).record
        keys[entry.key] = keys.get(entry.key, 0) + 1
        if isinstance(record, RunStarted):
            runs += 1
        elif isinstance(record, RunStopped):
            ended += 1
        elif isinstance(record, StateSnapshot) and state_hash(record.state) != record.state_hash:
            raise JournalError(
                f"record {entry.seq}: the snapshot of {entry.key} is not the state that its hash {record.state_hash} "
                "was made from"
            )
    return Verification(
        scanner.segments,
        scanner.records,
        runs,
        runs - ended,
        tuple(sorted(keys.items())),
        scanner.tail.crc if scanner.tail is not None else "",
        str(scanner.torn) if scanner.torn is not None else "",
    )


def repair_tail(directory: Path, disk: Disk | None = None) -> str:
    """Cut off damage at the very end of the newest segment, keeping the bytes in a `.torn` file; says what it did.

    JournalError when good records stand behind the damage (that is no tail: put the file back from a copy), or when an
    engine is using the directory.
    """
    disk = disk if disk is not None else Disk()
    home = JournalHome(directory, disk=disk)
    home.acquire()
    try:
        return _repair(directory, disk)
    finally:
        home.forget_newest()
        home.close()


def _repair(directory: Path, disk: Disk) -> str:
    scanner = Scanner(directory, disk)
    try:
        for _ in scanner:
            pass
    except DamagedJournal as damage:
        segment = damage.segment
        newest = list_segments(directory, disk)[-1]
        rest = disk.read(segment.path, damage.offset)
        behind = [line for line in rest.split(b"\n")[1:] if line and fault_of(line) is None]
        if behind or newest != segment:
            raise JournalError(
                f"{segment.path}: good records stand behind the damage at byte {damage.offset}; cutting there would "
                "lose them. Put the file back from a copy"
            ) from damage
        torn = Torn(segment, damage.offset, len(rest))
    else:
        if scanner.torn is None:
            return f"{directory}: nothing to repair, {scanner.records} records check"
        torn = scanner.torn
    cut_off(torn, disk)
    return f"cut off {torn}; the bytes are kept beside it"
