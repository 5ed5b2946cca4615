"""What the journal does when the disk does not: orders stop, facts flow, and it comes back by itself.

A full disk is a real small tmpfs, a limit on file size is the kernel's, an unwritable directory is met by a process
without rights.  Only errors that no disk gives on request (fdatasync, a cut that fails) come from a `Disk` that fails.
"""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.journal.disk import Disk
from actors.journal.home import JournalHome
from actors.journal.replay import read, verify
from config.schema import SyncPolicy
from protocols.base import Message
from protocols.errors import JournalError
from protocols.journal import (
    AppendRefused,
    CancelIntent,
    FlushQuery,
    JournalState,
    OrderIntent,
    Record,
    ReplayAnswer,
    ReplayQuery,
    RunStopped,
)
from supervisors.actor import Later
from tests.actors.journal.samples import ACCOUNT, KEY, START_NS, Bench, fact, fill, intent, order, plain, until

READER = "/risk/firm"


def started(directory: Path, disk: Disk | None = None, segment_bytes: int = 1 << 20, **options: Any) -> Bench:
    bench = Bench(JournalHome(directory, disk=disk, segment_bytes=segment_bytes), readers=[READER], **options)
    try:
        trio.run(bench.actor.started)
    except JournalError:
        bench.home.close()
        raise
    return bench


def records(directory: Path) -> list[Record]:
    return [stored.record for stored in read(directory, key=KEY)]


def refusals(sent: list[tuple[str, Message]]) -> list[AppendRefused]:
    return [message for to, message in sent if isinstance(message, AppendRefused) and to == ACCOUNT]


def states(sent: list[tuple[str, Message]]) -> list[JournalState]:
    return [message for to, message in sent if isinstance(message, JournalState) and to == READER]


def fill_up(directory: Path) -> Path:
    """Leave no byte free on this file system."""
    ballast = directory / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
    return ballast


# ---- a full disk -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [SyncPolicy.OS, SyncPolicy.INTERVAL])
def test_a_full_disk_stops_orders_and_nothing_else_and_heals(small_disk: Path, policy: SyncPolicy) -> None:
    directory = small_disk / "journal"
    bench = started(directory, sync=policy)
    bench.give(intent(1), fact(1))
    ballast = fill_up(small_disk)
    number, sent = 2, bench.give(intent(2))
    while not refusals(sent):  # the last page of the file still has room
        number += 1
        sent = bench.give(intent(number))
    (refused,) = refusals(sent)
    assert refused.records == (OrderIntent(order(number), START_NS),)
    assert "No space left on device" in refused.text
    assert [message for to, message in sent if to != ACCOUNT and to != READER] == [], "the order must not leave"
    (state,) = states(sent)
    assert not state.healthy
    assert str(directory) in state.text
    assert bench.actor.inspect()["healthy"] is False
    # facts flow, cancels flow, orders are refused without touching the disk
    sent = bench.give(fact(500), intent(501), plain(CancelIntent(order(1).cl_ord_id, START_NS)))
    assert sent[0][1] == AppendRefused(intent(501).records, refused.text)
    assert sent[1:] == list(fact(500).forward)
    assert bench.actor.inspect()["backlog_records"] == 2
    answer = bench.actor.answer(ReplayQuery(KEY))
    assert isinstance(answer, ReplayAnswer)
    assert answer.records[-2:] == (fill(500), CancelIntent(order(1).cl_ord_id, START_NS))
    # still full: it keeps trying
    bench.ctx.advance(1_000_000_000)
    assert bench.ctx.take() == []
    assert bench.actor.inspect()["healthy"] is False
    # space again: it comes back by itself
    ballast.unlink()
    bench.ctx.advance(1_000_000_000)
    (state,) = states(bench.ctx.take())
    assert state.healthy
    assert "could not write for 2.000 s" in state.text
    assert bench.give(intent(600)) == list(intent(600).forward)
    written = records(directory)
    assert written[-3:] == [fill(500), CancelIntent(order(1).cl_ord_id, START_NS), OrderIntent(order(600), START_NS)]
    assert OrderIntent(order(number), START_NS) not in written
    assert OrderIntent(order(501), START_NS) not in written
    outages = [s.record for s in read(directory, key="engine") if isinstance(s.record, JournalState)]
    assert [outage.healthy for outage in outages] == [True]
    assert "2 facts were kept" in outages[0].text
    trio.run(bench.actor.stopped, "end")
    assert verify(directory).unfinished_runs == 0


def test_a_batch_that_does_not_fit_leaves_no_part_of_itself(small_disk: Path) -> None:
    directory = small_disk / "journal"
    bench = started(directory)
    sent = bench.give(*(fact(number) for number in range(400)))
    assert states(sent)[0].healthy is False
    assert len([pair for pair in sent if pair[0] != READER]) == 400
    assert records(directory) == []
    assert bench.actor.inspect()["backlog_records"] == 400


def start_until_refused(directory: Path) -> None:
    """The last page of the file takes some more runs."""
    for _ in range(200):
        started(directory).home.close()


def test_a_start_on_a_full_disk_says_so(small_disk: Path) -> None:
    ballast = fill_up(small_disk)
    with pytest.raises(JournalError, match=r"No space left on device.*Free space"):
        started(small_disk / "journal")
    ballast.unlink()
    bench = started(small_disk / "journal")
    bench.give(fact(1))
    bench.home.close()
    ballast = fill_up(small_disk)
    with pytest.raises(JournalError, match=r"the run cannot be recorded \(No space left on device\)"):
        start_until_refused(small_disk / "journal")
    ballast.unlink()
    assert records(small_disk / "journal") == [fill(1)]


def test_an_end_on_a_full_disk_tells_what_was_not_written(small_disk: Path) -> None:
    directory = small_disk / "journal"
    bench = started(directory)
    fill_up(small_disk)
    number = 0
    while bench.actor.inspect()["healthy"]:
        number += 1
        bench.give(fact(number))
    with pytest.raises(JournalError, match=r"1 facts could not be written before the end .*No space left"):
        trio.run(bench.actor.stopped, "end")
    assert records(directory) == [fill(n) for n in range(1, number)]


def test_a_full_disk_at_a_new_segment_lets_the_old_one_grow(small_disk: Path) -> None:
    directory = small_disk / "journal"
    bench = started(directory, segment_bytes=6000)
    bench.give(*(fact(number) for number in range(4)))
    inodes: list[Path] = []
    path = directory / "000000000001.jsonl"
    while path.stat().st_size < 5000:
        bench.give(fact(99))
    try:
        while True:  # a tmpfs runs out of inodes too
            extra = small_disk / f"inode{len(inodes)}"
            extra.touch()
            inodes.append(extra)
    except OSError:
        pass  # that is the end we wanted: nothing can be created any more
    bench.give(*(fact(number) for number in range(4, 12)))
    assert [p.name for p in directory.glob("*.jsonl")] == [path.name]
    assert bench.actor.inspect()["healthy"] is True
    for extra in inodes:
        extra.unlink()
    bench.give(*(fact(number) for number in range(12, 20)))
    assert len(list(directory.glob("*.jsonl"))) > 1
    bench.home.close()
    assert verify(directory).torn == ""


def test_more_facts_than_can_be_kept_end_the_actor(small_disk: Path) -> None:
    bench = started(small_disk / "journal", backlog_records=10)
    fill_up(small_disk)
    number = 0
    while bench.actor.inspect()["backlog_records"] != 10:
        bench.give(fact(number))
        number += 1
    with pytest.raises(JournalError, match="11 facts wait for the disk, more than can be kept: cannot write"):
        bench.give(fact(number))


def test_what_cannot_be_said_is_found_when_the_backlog_is_written(small_disk: Path) -> None:
    directory = small_disk / "journal"
    bench = started(directory)
    ballast = fill_up(small_disk)
    number = 0
    while bench.actor.inspect()["healthy"]:
        number += 1
        bench.give(fact(number))
    bad = plain(CancelIntent(order(9).cl_ord_id, object()))  # type: ignore[arg-type]
    bench.give(bad, fact(number + 1))
    ballast.unlink()
    bench.ctx.advance(1_000_000_000)
    sent = bench.ctx.take()
    assert refusals(sent) == [AppendRefused(bad.records, refusals(sent)[0].text)]
    assert states(sent)[0].healthy
    assert records(directory) == [fill(n) for n in range(1, number + 2)]


# ---- the kernel's other refusals -------------------------------------------------------------------------------------


def in_child(work: Callable[[], str]) -> str:
    """What `work` returns in a process of its own (it may give up its rights there)."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, work().encode())
        except BaseException as error:  # noqa: BLE001 - everything must reach the parent as text
            os.write(writer, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        text = pipe.read().decode()
    os.waitpid(pid, 0)
    return text


def test_a_limit_on_file_size_is_met_like_a_full_disk(directory: Path) -> None:
    def work() -> str:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        bench = started(directory)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
        sent: list[tuple[str, Message]] = []
        number = 0
        while not refusals(sent):
            number += 1
            sent = bench.give(intent(number))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        bench.ctx.advance(1_000_000_000)
        bench.give(intent(number + 1))
        return f"{refusals(sent)[0].text} {number}"

    text, _, number = in_child(work).rpartition(" ")
    assert text.endswith("File too large")
    kept = [record.order for record in records(directory) if isinstance(record, OrderIntent)]
    assert kept == [order(n) for n in range(1, int(number) + 2) if n != int(number)]


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that any user of this machine can reach (pytest's own are for its user only)."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def test_a_directory_that_cannot_be_written_is_named_with_the_fix(open_directory: Path) -> None:
    def work() -> str:
        if os.getuid() == 0:
            os.setuid(65534)
        else:
            open_directory.chmod(0o500)
        started(open_directory / "journal")
        return "it started"

    text = in_child(work)
    assert text.startswith(f"JournalError: {open_directory}/journal: Permission denied. The journal needs a directory")
    assert "BULKHEAD__DATA__DIR" in text


def test_a_segment_that_cannot_be_read_is_named_with_the_fix(open_directory: Path) -> None:
    directory = open_directory / "journal"
    started(directory).home.close()

    def work() -> str:
        if os.getuid() == 0:
            for path in (directory, directory / "lock"):
                os.chown(path, 65534, 65534)
            os.setuid(65534)
        else:
            (directory / "000000000001.jsonl").chmod(0)
        started(directory)
        return "it started"

    assert in_child(work).startswith(f"JournalError: {directory}: Permission denied: the journal cannot be opened")


def test_a_path_through_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(JournalError, match=r"data/journal: (Not a directory|File exists)"):
        started(tmp_path / "data" / "journal")


# ---- two engines -----------------------------------------------------------------------------------------------------


def test_a_second_engine_is_refused_and_told_who_has_it(directory: Path) -> None:
    bench = started(directory)
    text = in_child(lambda: str(started(directory).actor.run_number))
    assert text.startswith(f"JournalError: {directory} is in use by another engine (pid {os.getpid()} segment 0000")
    assert "stop that one first" in text
    bench.home.close()
    assert in_child(lambda: str(started(directory).actor.run_number)) == str(bench.actor.run_number + 1)


def test_the_lock_of_a_killed_engine_is_free(directory: Path) -> None:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        started(directory)
        os.write(writer, b"x")
        signal.pause()
    assert os.read(reader, 1) == b"x"
    with pytest.raises(JournalError, match=f"pid {pid}"):
        started(directory)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    started(directory).home.close()


# ---- errors that no disk gives on request ----------------------------------------------------------------------------


class FailingDisk(Disk):
    """The real disk, but calls named in `fails` raise EIO; `short` lets a write do only its first bytes."""

    def __init__(self) -> None:
        self.fails: set[str] = set()
        self.short = 0

    def _maybe(self, call: str) -> None:
        if call in self.fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def write(self, fd: int, data: bytes) -> int:
        if self.short:
            done = super().write(fd, data[: self.short])
            self.short = 0
            self.fails.add("write")
            return done
        self._maybe("write")
        return super().write(fd, data)

    def truncate(self, path: Path, size: int) -> None:
        self._maybe("truncate")
        super().truncate(path, size)

    def sync(self, fd: int) -> None:
        self._maybe("sync")
        super().sync(fd)

    def create(self, path: Path) -> int:
        fd = super().create(path)
        if "create" in self.fails:
            os.close(fd)
        self._maybe("create")
        return fd

    def remove(self, path: Path) -> None:
        self._maybe("remove")
        super().remove(path)

    def note(self, fd: int, text: str) -> None:
        self._maybe("note")
        super().note(fd, text)

    def read(self, path: Path, offset: int = 0, length: int = -1) -> bytes:
        if path.name == "lock":
            self._maybe("read lock")
        return super().read(path, offset, length)


def test_a_short_write_is_continued(directory: Path) -> None:
    class Slow(Disk):
        def write(self, fd: int, data: bytes) -> int:
            return super().write(fd, data[:100])

    bench = started(directory, Slow())
    assert bench.give(intent(1), fact(1)) == [*intent(1).forward, *fact(1).forward]
    assert records(directory) == [OrderIntent(order(1), START_NS), fill(1)]


def test_nothing_is_written_behind_a_torn_record(directory: Path) -> None:
    """The write fails half-way, and so does taking the half back: until that succeeds nothing else is written."""
    disk = FailingDisk()
    bench = started(directory, disk)
    bench.give(fact(1))
    disk.short, disk.fails = 50, {"truncate"}
    sent = bench.give(intent(2))
    assert refusals(sent)[0].text.endswith("Input/output error")
    size = (directory / "000000000001.jsonl").stat().st_size
    disk.fails = {"truncate"}
    bench.give(fact(3))
    bench.ctx.advance(1_000_000_000)
    assert (directory / "000000000001.jsonl").stat().st_size == size
    disk.fails = set()
    bench.ctx.advance(1_000_000_000)
    assert bench.actor.inspect()["healthy"] is True
    assert records(directory) == [fill(1), fill(3)]


def test_a_half_made_segment_is_taken_away_before_anything_is_written(directory: Path) -> None:
    disk = FailingDisk()
    bench = started(directory, disk, segment_bytes=2000)
    disk.fails = {"create", "remove"}
    bench.give(fact(1), fact(2), fact(3))
    unborn = directory / "000000000006.jsonl"
    assert unborn.exists()
    assert refusals(bench.give(intent(4)))
    disk.fails = {"create"}
    bench.ctx.advance(1_000_000_000)
    assert not unborn.exists()
    disk.fails = set()
    bench.give(*(fact(number) for number in range(5, 9)))
    bench.home.close()
    assert verify(directory).segments > 1
    assert records(directory) == [fill(number) for number in (1, 2, 3, 5, 6, 7, 8)]


def test_a_header_that_cannot_be_written_is_no_new_segment(directory: Path) -> None:
    class NoHeader(FailingDisk):
        def write(self, fd: int, data: bytes) -> int:
            if b"SegmentHeader" in data:
                self._maybe("header")
            return super().write(fd, data)

    disk = NoHeader()
    bench = started(directory, disk, segment_bytes=2000)
    disk.fails = {"header"}
    bench.give(fact(1), fact(2), fact(3))
    bench.give(fact(4))
    assert [path.name for path in directory.glob("*.jsonl")] == ["000000000001.jsonl"]
    assert records(directory) == [fill(number) for number in range(1, 5)]


def test_a_note_that_cannot_be_written_is_only_a_safeguard_less(directory: Path) -> None:
    disk = FailingDisk()
    disk.fails = {"note", "read lock"}
    bench = started(directory, disk)
    assert bench.give(intent(1)) == list(intent(1).forward)


@pytest.mark.parametrize("policy", [SyncPolicy.INTERVAL, SyncPolicy.ALWAYS])
async def test_a_failed_sync_stops_orders_for_good_and_is_never_tried_again(
    directory: Path, policy: SyncPolicy
) -> None:
    disk = FailingDisk()
    bench = Bench(JournalHome(directory, disk=disk), sync=policy, readers=[READER], interval_ns=1_000_000)
    await bench.actor.started()
    disk.fails = {"sync"}
    flush = bench.actor.answer(FlushQuery())
    assert isinstance(flush, Later)
    outcome: list[str | None] = []
    flush.bind(lambda value, error: outcome.append(error))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.actor.run)
        sent = bench.give(fact(1), intent(2), fact(3))
        await until(lambda: bool(states(bench.ctx.sent)) and bool(outcome))
        sent += bench.ctx.take()
        assert outcome == ["the disk lost what it was given (Input/output error): replace it, then restart"]
        strategy = [message for to, message in sent if to.startswith("/strategies")]
        assert strategy == [fill(1), fill(3)], "facts flow"
        if policy is SyncPolicy.ALWAYS:
            assert [refused.records for refused in refusals(sent)] == [intent(2).records]
        disk.fails = set()
        sent = bench.give(intent(4), fact(5))
        assert [refused.records for refused in refusals(sent)] == [intent(4).records]
        assert [message for to, message in sent if to.startswith("/strategies")] == [fill(5)]
        before = bench.actor.statistics().unsynced_records
        flush = bench.actor.answer(FlushQuery())
        assert isinstance(flush, Later)
        flush.bind(lambda value, error: outcome.append(error))
        await until(lambda: len(outcome) == 2)
        assert bench.actor.statistics().unsynced_records == before, "a sync that works now proves nothing"
        nursery.cancel_scope.cancel()
    assert bench.actor.inspect()["healthy"] is False
    bench.ctx.advance(5_000_000_000)
    assert bench.actor.inspect()["healthy"] is False
    assert records(directory)[-1] == fill(5), "facts are still written"
    await bench.actor.stopped("end")


async def test_under_always_facts_of_a_full_disk_wait_behind_what_was_written_before(directory: Path) -> None:
    disk = FailingDisk()
    bench = Bench(JournalHome(directory, disk=disk), sync=SyncPolicy.ALWAYS, readers=[READER])
    await bench.actor.started()
    bench.ctx.take()
    bench.give(intent(1))
    disk.fails = {"write"}
    sent = bench.give(fact(2), intent(3))
    assert [pair for pair in sent if pair[0].startswith("/strategies")] == [], (
        "behind the order that waits for its sync"
    )
    assert len(refusals(sent)) == 1
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.actor.run)
        await until(lambda: len(bench.ctx.sent) == 2)
        nursery.cancel_scope.cancel()
    assert bench.ctx.take() == [*intent(1).forward, *fact(2).forward]


async def test_a_disk_that_fails_both_ways_heals_only_half(directory: Path) -> None:
    """Writing works again after a failed sync: the facts that were kept are written, orders stay refused."""
    disk = FailingDisk()
    bench = Bench(JournalHome(directory, disk=disk), sync=SyncPolicy.INTERVAL, readers=[READER], interval_ns=1)
    await bench.actor.started()
    disk.fails = {"sync"}
    bench.give(fact(1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.actor.run)
        await until(lambda: bool(states(bench.ctx.sent)))
        nursery.cancel_scope.cancel()
    disk.fails = {"write"}
    bench.give(fact(2))
    assert bench.actor.inspect()["backlog_records"] == 1
    disk.fails = set()
    bench.ctx.take()
    bench.ctx.advance(1_000_000_000)
    assert records(directory) == [fill(1), fill(2)]
    assert states(bench.ctx.take()) == []
    assert refusals(bench.give(intent(3)))
    bench.actor.receive(intent(4))
    await bench.actor.stopped("end")
    assert isinstance(next(s.record for s in reversed(list(read(directory))) if s.key == "engine"), RunStopped)
