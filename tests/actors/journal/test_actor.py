"""The actor: written first, then forwarded, in order; one write a batch; answers from what it wrote."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.journal.actor import JournalActor
from actors.journal.catalog import answer_from
from actors.journal.disk import Disk
from actors.journal.home import JournalHome
from actors.journal.replay import read
from config.schema import SyncPolicy
from protocols.base import Message, Query
from protocols.canonical import state_hash
from protocols.errors import JournalError
from protocols.journal import (
    JOURNAL,
    Append,
    AppendRefused,
    CancelIntent,
    FlushQuery,
    JournalStatistics,
    OrderIntent,
    Record,
    ReplayAnswer,
    ReplayQuery,
    RunStarted,
    RunStopped,
    StateSnapshot,
)
from protocols.orders import SubmitOrder
from supervisors.actor import Actor, AskError, Later
from supervisors.runtime import Runtime
from supervisors.spec import ChildSpec, SupervisorSpec
from supervisors.supervisor import run_tree
from tests.actors.journal.samples import (
    ACCOUNT,
    ENTRY,
    KEY,
    START_NS,
    SUBJECT,
    Bench,
    fact,
    fill,
    intent,
    order,
    plain,
    until,
)
from tests.strategies import records


class CountingDisk(Disk):
    """The real disk; counts writes and syncs."""

    def __init__(self) -> None:
        self.writes = 0
        self.syncs = 0

    def write(self, fd: int, data: bytes) -> int:
        self.writes += 1
        return super().write(fd, data)

    def sync(self, fd: int) -> None:
        self.syncs += 1
        super().sync(fd)


def started(directory: Path, *, disk: Disk | None = None, memory_records: int = 10_000, **options: Any) -> Bench:
    bench = Bench(JournalHome(directory, disk=disk, memory_records=memory_records), **options)
    trio.run(bench.actor.started)
    return bench


def snapshot(state: str = "{}") -> StateSnapshot:
    return StateSnapshot(state, state_hash(state), START_NS)


def on_disk(directory: Path, key: str | None = KEY) -> list[Record]:
    return [stored.record for stored in read(directory, key=key)]


# ---- the order path --------------------------------------------------------------------------------------------------


def test_an_intent_is_in_the_file_before_its_order_leaves(directory: Path) -> None:
    bench = started(directory)
    bench.actor.receive(intent(1))
    assert bench.ctx.take() == [], "nothing may leave before the write"
    assert on_disk(directory) == []

    class Watching(list[Any]):
        def append(self, sent: Any) -> None:
            assert on_disk(directory) == [OrderIntent(order(1), START_NS)]
            super().append(sent)

    bench.ctx.sent = Watching()
    bench.actor.batch_done()
    assert bench.ctx.sent == [(ENTRY, SubmitOrder(order(1), ACCOUNT))]


def test_a_batch_is_one_write_and_leaves_in_order(directory: Path) -> None:
    disk = CountingDisk()
    bench = started(directory, disk=disk)
    before = disk.writes
    sent = bench.give(intent(1), fact(1), intent(2), plain(fill(7)), fact(2))
    assert disk.writes == before + 1
    assert sent == [pair for append in (intent(1), fact(1), intent(2), fact(2)) for pair in append.forward]
    assert disk.syncs == 0
    assert len(on_disk(directory)) == 5


def test_an_append_without_records_only_forwards(directory: Path) -> None:
    disk = CountingDisk()
    bench = started(directory, disk=disk)
    before = disk.writes
    message = CancelIntent(order(1).cl_ord_id, START_NS)
    assert bench.give(Append(KEY, SUBJECT, (), (("/x", message),), ACCOUNT)) == [("/x", message)]
    assert disk.writes == before
    assert bench.give() == []


def test_other_messages_are_none_of_its_business(directory: Path) -> None:
    assert started(directory).give(fill(1)) == []


def test_stamps_never_go_back(directory: Path) -> None:
    bench = started(directory)
    bench.give(fact(1))
    bench.ctx.now_ns -= 3_600_000_000_000
    bench.give(fact(2))
    bench.ctx.now_ns += 7_200_000_000_000
    bench.give(fact(3))
    stamps = [stored.written_ns for stored in read(directory)]
    assert stamps == sorted(stamps)
    assert stamps[-1] == START_NS + 3_600_000_000_000


def test_what_cannot_be_said_is_given_back_and_disturbs_nobody(directory: Path) -> None:
    bench = started(directory)
    bad = plain(CancelIntent(order(9).cl_ord_id, object()))  # type: ignore[arg-type]
    sent = bench.give(fact(1), bad, fact(2))
    assert [message for _, message in sent if not isinstance(message, AppendRefused)] == [fill(1), fill(2)]
    ((to, refused),) = [pair for pair in sent if isinstance(pair[1], AppendRefused)]
    assert to == ACCOUNT
    assert isinstance(refused, AppendRefused)
    assert refused.records == bad.records
    assert "cannot be written" in refused.text
    assert on_disk(directory) == [fill(1), fill(2)]


# ---- replay ----------------------------------------------------------------------------------------------------------


def test_an_answer_is_the_newest_snapshot_and_what_came_after(directory: Path) -> None:
    bench = started(directory)
    run = bench.actor.run_number
    assert bench.actor.answer(ReplayQuery(KEY)) == ReplayAnswer(run, None, ())
    bench.give(plain(fill(1)), plain(fill(2), key="other"))
    assert bench.actor.answer(ReplayQuery(KEY)) == ReplayAnswer(run, None, (fill(1),))
    bench.give(plain(snapshot(), fill(3)), plain(snapshot('{"a":1}')), plain(fill(4)))
    assert bench.actor.answer(ReplayQuery(KEY)) == ReplayAnswer(run, snapshot('{"a":1}'), (fill(4),))
    assert bench.actor.answer(ReplayQuery("other")) == ReplayAnswer(run, None, (fill(2),))


def test_a_new_process_answers_from_the_snapshot_in_the_files(directory: Path) -> None:
    bench = started(directory, memory_records=3)
    bench.give(*(fact(number) for number in range(5)), plain(snapshot()), fact(9))
    bench.home.close()
    bench = started(directory, memory_records=3)
    assert bench.actor.answer(ReplayQuery(KEY)) == ReplayAnswer(bench.actor.run_number, snapshot(), (fill(9),))


def test_an_answer_has_what_came_in_the_same_batch(directory: Path) -> None:
    bench = started(directory)
    bench.actor.receive(intent(1))
    answer = bench.actor.answer(ReplayQuery(KEY))
    assert isinstance(answer, ReplayAnswer)
    assert answer.records == (OrderIntent(order(1), START_NS),)
    assert bench.ctx.take() == list(intent(1).forward), "and it has left, in order"


def test_other_questions_are_an_error(directory: Path) -> None:
    with pytest.raises(NotImplementedError, match="JournalActor does not answer Query"):
        started(directory).actor.answer(Query())


steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["a", "b"]), st.lists(records, min_size=1, max_size=3)),
        st.just("batch"),
        st.just("restart"),
        st.just("new process"),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(script=steps, memory_records=st.sampled_from([2, 10_000]))
def test_live_restarted_and_replayed_answers_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, script: list[Any], memory_records: int
) -> None:
    """Whatever was appended, an incarnation that saw it, one that did not, and a reader of the files agree."""
    directory = tmp_path_factory.mktemp("same") / "journal"
    model: dict[str, list[Record]] = {"a": [], "b": []}
    home = JournalHome(directory, segment_bytes=2000, memory_records=memory_records)
    bench = Bench(home)
    trio.run(bench.actor.started)
    for step in script:
        if step == "batch":
            bench.actor.batch_done()
        elif step in ("restart", "new process"):
            bench.actor.batch_done()
            if step == "new process":
                home.close()
                home = JournalHome(directory, segment_bytes=2000, memory_records=memory_records)
            bench = Bench(home)
            trio.run(bench.actor.started)
        else:
            key, appended = step
            bench.actor.receive(plain(*appended, key=key))
            model[key] += appended
    for key, expected in model.items():
        wanted = answer_from(bench.actor.run_number, expected)
        assert trio.run(answered, bench, ReplayQuery(key)) == wanted
        assert answer_from(bench.actor.run_number, on_disk(directory, key)) == wanted
    home.close()


async def answered(bench: Bench, query: Query) -> object:
    """The answer, also when it comes later."""
    answer = bench.actor.answer(query)
    if not isinstance(answer, Later):
        return answer
    box: list[object] = []
    answer.bind(lambda value, error: box.append(value if error is None else AskError(error)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.actor.run)
        await until(lambda: bool(box))
        nursery.cancel_scope.cancel()
    return box[0]


def test_keys_that_nobody_snapshots_do_not_fill_the_memory(directory: Path) -> None:
    bench = started(directory, memory_records=10)
    for number in range(30):
        bench.give(fact(number))
    sizes = bench.actor.inspect()["keys"]
    assert sizes == {"engine": 1, KEY: -1}
    answer = trio.run(answered, bench, ReplayQuery(KEY))
    assert isinstance(answer, ReplayAnswer)
    assert answer.records == tuple(fill(number) for number in range(30))
    bench.give(plain(snapshot()), fact(31))
    assert bench.actor.answer(ReplayQuery(KEY)) == ReplayAnswer(bench.actor.run_number, snapshot(), (fill(31),))


# ---- start, stop, restart --------------------------------------------------------------------------------------------


def test_an_orderly_end_is_recorded_and_synced(directory: Path) -> None:
    disk = CountingDisk()
    bench = started(directory, disk=disk, build="1.2.3", config_hash="abc")
    bench.actor.receive(fact(1))
    trio.run(bench.actor.stopped, "operator")
    run = bench.actor.run_number
    assert bench.ctx.take() == list(fact(1).forward)
    assert on_disk(directory, "engine") == [
        RunStarted(run, "1.2.3", "abc", START_NS),
        RunStopped(run, "operator", START_NS),
    ]
    assert disk.syncs == 1
    JournalHome(directory).open(START_NS)


def test_a_second_incarnation_is_told_nothing_but_the_files_and_checks_them(directory: Path) -> None:
    bench = started(directory)
    bench.give(fact(1))
    again = Bench(bench.home)
    trio.run(again.actor.started)
    assert again.actor.run_number == bench.actor.run_number + 1
    again.give(fact(2))
    assert on_disk(directory) == [fill(1), fill(2)]


@pytest.mark.parametrize("meddle", ["appended", "cut", "changed", "next"])
def test_a_second_incarnation_does_not_trust_its_cache_when_the_files_differ(directory: Path, meddle: str) -> None:
    bench = started(directory)
    bench.give(fact(1), fact(2))
    path = directory / "000000000001.jsonl"
    content = path.read_bytes()
    if meddle == "appended":
        path.write_bytes(content + b'{"half')
    elif meddle == "cut":
        path.write_bytes(content[:-9])
    elif meddle == "changed":
        path.write_bytes(content[:-30] + b"x" + content[-29:])
    else:
        (directory / "000000000005.jsonl").write_bytes(b"")
    again = Bench(bench.home)
    if meddle == "changed":
        with pytest.raises(JournalError, match=r"line 4 .*the checksum says"):
            trio.run(again.actor.started)
        return
    trio.run(again.actor.started)
    assert again.actor.answer(ReplayQuery(KEY)).records == (  # type: ignore[attr-defined]
        (fill(1),) if meddle == "cut" else (fill(1), fill(2))
    )
    assert again.home.torn is not None


def test_a_vanished_file_is_missed_by_the_second_incarnation(directory: Path) -> None:
    bench = started(directory)
    (directory / "000000000001.jsonl").unlink()
    with pytest.raises(JournalError, match=r"000000000001\.jsonl was written and is missing"):
        trio.run(Bench(bench.home).actor.started)


# ---- sync policies ---------------------------------------------------------------------------------------------------


class SlowDisk(CountingDisk):
    """Syncs only when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = trio.Event()
        self.waiting = 0

    def sync(self, fd: int) -> None:
        self.waiting += 1
        trio.from_thread.run(self.gate.wait)
        super().sync(fd)


async def test_always_releases_only_what_the_disk_has_and_groups_what_waits(directory: Path) -> None:
    disk = SlowDisk()
    bench = Bench(JournalHome(directory, disk=disk), sync=SyncPolicy.ALWAYS)
    disk.gate.set()
    await bench.actor.started()
    assert disk.syncs == 0, "a start does not wait for the disk"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.actor.run)
        await until(lambda: disk.syncs == 1)
        disk.gate, disk.waiting = trio.Event(), 0
        assert bench.give(intent(1)) == []
        await until(lambda: disk.waiting > 0)
        for number in range(2, 50):
            assert bench.give(intent(number)) == []
        gate, disk.gate = disk.gate, trio.Event()
        disk.gate.set()
        gate.set()
        await until(lambda: len(bench.ctx.sent) == 49)
        nursery.cancel_scope.cancel()
    assert bench.ctx.take() == [pair for number in range(1, 50) for pair in intent(number).forward]
    assert disk.syncs == 3, "one for the first, one for all that came meanwhile"


async def test_always_forwards_nothing_before_the_sync_has_returned(directory: Path) -> None:
    disk = SlowDisk()
    disk.gate.set()
    bench = Bench(JournalHome(directory, disk=disk), sync=SyncPolicy.ALWAYS)
    await bench.actor.started()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.actor.run)
        await until(lambda: disk.syncs == 1)
        disk.gate, disk.waiting = trio.Event(), 0
        bench.give(intent(1))
        await until(lambda: disk.waiting > 0)
        assert bench.ctx.sent == []
        assert on_disk(directory) == [OrderIntent(order(1), START_NS)]
        disk.gate.set()
        await until(lambda: bool(bench.ctx.sent))
        nursery.cancel_scope.cancel()


async def test_a_segment_may_fill_up_while_it_is_synced(directory: Path) -> None:
    disk = SlowDisk()
    disk.gate.set()
    bench = Bench(JournalHome(directory, disk=disk, segment_bytes=3000), sync=SyncPolicy.ALWAYS)
    await bench.actor.started()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.actor.run)
        await until(lambda: disk.syncs == 1)
        disk.gate, disk.waiting = trio.Event(), 0
        bench.give(intent(1))
        await until(lambda: disk.waiting > 0)
        for number in range(2, 20):
            bench.give(intent(number))
        assert bench.actor.statistics().segment != "000000000001.jsonl"
        assert bench.ctx.sent == []
        disk.gate.set()
        await until(lambda: len(bench.ctx.sent) == 19)
        nursery.cancel_scope.cancel()
    assert bench.actor.inspect()["healthy"] is True


def test_a_disk_that_is_too_slow_for_the_orders_refuses_them(directory: Path) -> None:
    bench = started(directory, sync=SyncPolicy.ALWAYS, backlog_records=20)
    for number in range(19):  # the segment's header and the run's record wait as well
        assert bench.give(intent(number)) == []
    ((to, refused),) = bench.give(intent(99), fact(99))
    assert to == ACCOUNT
    assert isinstance(refused, AppendRefused)
    assert refused.text == "21 records wait for the disk: it is too slow"
    assert on_disk(directory)[-1] == fill(99)


async def test_interval_forwards_at_once_and_syncs_beside(directory: Path) -> None:
    disk = CountingDisk()
    bench = Bench(JournalHome(directory, disk=disk), sync=SyncPolicy.INTERVAL, interval_ns=5_000_000)
    await bench.actor.started()
    before = disk.syncs
    slept: list[int] = []

    async def sleep(duration_ns: int) -> None:
        slept.append(duration_ns)
        await trio.lowlevel.checkpoint()

    bench.ctx.sleep = sleep  # type: ignore[method-assign]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.actor.run)
        for number in range(3):
            assert bench.give(intent(number)) == list(intent(number).forward)
        await until(lambda: bool(slept))
        assert disk.syncs == before + 1
        assert slept == [5_000_000]
        assert bench.actor.statistics().unsynced_records == 0
        nursery.cancel_scope.cancel()


@pytest.mark.req("R325")
async def test_a_disk_that_takes_for_ever_to_sync_holds_no_order_up(directory: Path) -> None:
    disk = SlowDisk()
    bench = Bench(JournalHome(directory, disk=disk), sync=SyncPolicy.INTERVAL)
    await bench.actor.started()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.actor.run)
        await until(lambda: disk.waiting > 0)
        for number in range(50):
            assert bench.give(intent(number)) == list(intent(number).forward)
        assert disk.syncs == 0, "still waiting"
        disk.gate.set()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("policy", list(SyncPolicy))
def test_a_flush_is_answered_when_the_disk_has_everything(directory: Path, policy: SyncPolicy) -> None:
    disk = CountingDisk()
    bench = started(directory, disk=disk, sync=policy)
    for number in range(200):
        bench.give(fact(number))
    before = disk.syncs
    answer = trio.run(answered, bench, FlushQuery())
    assert isinstance(answer, JournalStatistics)
    assert disk.syncs == before + 1
    assert (answer.unsynced_records, answer.healthy, answer.seq) == (0, True, 202)
    assert answer.segment == "000000000001.jsonl"
    assert bench.actor.inspect()["sync"] == policy.value


def test_a_flush_covers_segments_that_are_full_already(directory: Path) -> None:
    disk = CountingDisk()
    home = JournalHome(directory, disk=disk, segment_bytes=3000)
    bench = Bench(home)
    trio.run(bench.actor.started)
    for number in range(20):
        bench.give(fact(number))
    files = len(list(directory.glob("*.jsonl")))
    assert files > 3
    trio.run(answered, bench, FlushQuery())
    assert disk.syncs == files
    trio.run(answered, bench, FlushQuery())
    assert disk.syncs == files + 1, "only the newest again"


# ---- in the runtime --------------------------------------------------------------------------------------------------


class Collector(Actor):
    """Keeps what reaches it."""

    def __init__(self, seen: list[Message]) -> None:
        self._seen = seen

    def receive(self, message: Message) -> None:
        self._seen.append(message)


@pytest.mark.parametrize("policy", list(SyncPolicy))
async def test_under_supervision_a_crash_loses_nothing_that_was_forwarded(directory: Path, policy: SyncPolicy) -> None:
    runtime = Runtime(seed=1)
    seen: list[Message] = []
    home = JournalHome(directory)
    children = (
        ChildSpec(name="journal", factory=lambda: JournalActor(home, sync=policy, interval_ns=1_000_000)),
        ChildSpec(name="collector", factory=lambda: Collector(seen)),
    )
    async with trio.open_nursery() as nursery:
        root = await nursery.start(partial(run_tree, SupervisorSpec(name="", children=children), runtime))
        await runtime.wait_ready(JOURNAL)
        with trio.fail_after(20):
            for number in range(60):
                append = Append(KEY, SUBJECT, (fill(number),), (("/collector", fill(number)),), "/collector")
                runtime.deliver(JOURNAL, append)
                if number % 20 == 10:
                    runtime.cell(JOURNAL).sabotage("now")
                    await runtime.wait_ready(JOURNAL)
                    await until(partial(lambda wanted: len(seen) > wanted, number))
            answer = await runtime.ask(JOURNAL, ReplayQuery(KEY), 10**9)
            await runtime.ask(JOURNAL, FlushQuery(), 10**9)
        root.request_stop("end of the test")
    assert seen == [fill(number) for number in range(60)]
    assert answer.records == tuple(seen)
    engine = on_disk(directory, "engine")
    runs = [record.run for record in engine if isinstance(record, RunStarted)]
    assert len(set(runs)) == len(runs) == 4
    assert isinstance(engine[-1], RunStopped)
