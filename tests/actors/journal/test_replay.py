"""Reading without an engine: verify, repair, and the same state from a replay as live."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.journal.disk import Disk
from actors.journal.home import JournalHome
from actors.journal.replay import Verification, fold, read, repair_tail, verify
from actors.journal.segments import segment_name
from protocols.canonical import canonical_json, state_hash
from protocols.enums import ExecInst, Side
from protocols.errors import JournalError
from protocols.journal import StateSnapshot, Stored
from tests.actors.journal.samples import KEY, START_NS, Bench, fact, fill, intent, order, plain


def made(directory: Path, facts: int = 5, *, end: bool = False, segment_bytes: int = 1 << 20) -> Path:
    """A journal; its newest segment."""
    bench = Bench(JournalHome(directory, segment_bytes=segment_bytes))
    trio.run(bench.actor.started)
    for number in range(facts):
        bench.give(fact(number))
    if end:
        trio.run(bench.actor.stopped, "end")
    else:
        bench.home.close()
    return max(directory.glob("*.jsonl"))


def digest(state: str, stored: Stored) -> str:
    return state_hash(state + canonical_json(stored.record))


# ---- one text for one state ------------------------------------------------------------------------------------------


def test_equal_states_have_equal_texts() -> None:
    assert (
        canonical_json({"b": 1, "a": (Side.BUY, ExecInst.POST_ONLY | ExecInst.REDUCE_ONLY)}) == '{"a":["BUY",3],"b":1}'
    )
    assert canonical_json({"a": 1, "b": 2}) == canonical_json({"b": 2, "a": 1})
    assert canonical_json(order(1)) == canonical_json(order(1)) != canonical_json(order(2))
    assert state_hash("{}") == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    with pytest.raises(TypeError):
        canonical_json(object())


@settings(max_examples=30, deadline=None)
@given(batches=st.lists(st.integers(1, 5), max_size=12), segment_bytes=st.sampled_from([1500, 4000, 1 << 20]))
def test_a_replay_folds_what_was_folded_live(
    tmp_path_factory: pytest.TempPathFactory, batches: list[int], segment_bytes: int
) -> None:
    directory = tmp_path_factory.mktemp("fold") / "journal"
    bench = Bench(JournalHome(directory, segment_bytes=segment_bytes))
    trio.run(bench.actor.started)
    live = ""
    number = 0
    for size in batches:
        appends = []
        for _ in range(size):
            number += 1
            appends += [intent(number), fact(number)]
        for append in appends:
            for record in append.records:
                live = digest(live, Stored(0, 0, KEY, "", record))
        bench.give(*appends)
    assert fold(read(directory, key=KEY), "", digest) == live
    assert fold(read(directory, key=KEY), "", digest) == live, "and once more"
    bench.home.close()


def test_reading_beside_a_running_engine_stops_at_the_unfinished_line(directory: Path) -> None:
    newest = made(directory)
    with newest.open("ab") as file:
        file.write(b'{"seq":8,"t":17')
    assert len(list(read(directory))) == 6
    assert newest.read_bytes().endswith(b'"t":17'), "a reader changes nothing"


# ---- verify ----------------------------------------------------------------------------------------------------------


def test_a_sound_journal_is_described(directory: Path) -> None:
    made(directory, 12, end=True, segment_bytes=4000)
    made(directory, 3, segment_bytes=4000)
    report = verify(directory)
    records = sum(path.read_bytes().count(b"\n") for path in directory.glob("*.jsonl"))
    segments = len(list(directory.glob("*.jsonl")))
    newest = max(directory.glob("*.jsonl")).read_bytes()
    assert report == Verification(segments, records, 2, 1, ((KEY, 15), ("engine", 3)), newest[-11:-3].decode(), "")


def test_an_unfinished_write_is_told_and_left_alone(directory: Path) -> None:
    newest = made(directory)
    os.truncate(newest, newest.stat().st_size - 5)
    report = verify(directory)
    assert report.records == 6
    assert "bytes of an unfinished write after byte" in report.torn


def test_an_empty_directory_is_an_empty_journal(tmp_path: Path) -> None:
    assert verify(tmp_path) == Verification(0, 0, 0, 0, (), "", "")


def test_a_snapshot_that_is_not_what_it_says_is_named(directory: Path) -> None:
    bench = Bench(JournalHome(directory))
    trio.run(bench.actor.started)
    bench.give(plain(StateSnapshot("{}", state_hash("{}"), START_NS)))
    verify(directory)
    bench.give(plain(StateSnapshot('{"a":1}', state_hash("{}"), START_NS)))
    with pytest.raises(JournalError, match=f"record 4: the snapshot of {KEY} is not the state that its hash 44136f"):
        verify(directory)
    bench.home.close()


# ---- repair ----------------------------------------------------------------------------------------------------------


def test_there_is_nothing_to_repair_in_a_sound_journal(directory: Path) -> None:
    newest = made(directory)
    content = newest.read_bytes()
    assert repair_tail(directory) == f"{directory}: nothing to repair, 7 records check"
    assert newest.read_bytes() == content


def test_an_unfinished_write_is_cut_off_and_kept(directory: Path) -> None:
    newest = made(directory)
    os.truncate(newest, newest.stat().st_size - 5)
    told = repair_tail(directory)
    assert told.startswith(f"cut off {newest}: ")
    assert told.endswith("the bytes are kept beside it")
    assert [stored.record for stored in read(directory, key=KEY)] == [fill(n) for n in range(4)]
    assert len(list(directory.glob("*.torn"))) == 1


@pytest.mark.parametrize("bad_lines", [1, 2])
def test_damage_at_the_very_end_is_cut_off_when_asked(directory: Path, bad_lines: int) -> None:
    """The start refuses it, because the record may have been acknowledged; a person may decide otherwise."""
    newest = made(directory)
    lines = newest.read_bytes().splitlines(keepends=True)
    for number in range(-bad_lines, 0):
        lines[number] = lines[number].replace(b'"side":"BUY"', b'"side":"SELL"')
    newest.write_bytes(b"".join(lines))
    with pytest.raises(JournalError, match="bulkhead replay --repair"):
        JournalHome(directory).open(START_NS)
    repair_tail(directory)
    assert [stored.record for stored in read(directory, key=KEY)] == [fill(n) for n in range(5 - bad_lines)]
    home = JournalHome(directory)
    home.open(START_NS)
    home.close()


def test_damage_with_good_records_behind_it_is_not_touched(directory: Path) -> None:
    newest = made(directory)
    lines = newest.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b'"side":"BUY"', b'"side":"SELL"')
    newest.write_bytes(b"".join(lines))
    content = newest.read_bytes()
    with pytest.raises(JournalError, match=r"good records stand behind the damage at byte \d+; .*Put the file back"):
        repair_tail(directory)
    assert newest.read_bytes() == content


def test_damage_in_an_older_segment_is_not_touched(directory: Path) -> None:
    made(directory, 12, segment_bytes=4000)
    path = directory / segment_name(1)
    path.write_bytes(path.read_bytes()[:-40] + b"x" * 39 + b"\n")
    with pytest.raises(JournalError, match="good records stand behind the damage"):
        repair_tail(directory)


def test_a_newest_segment_that_is_lost_for_good_is_given_up(directory: Path) -> None:
    made(directory, 12, segment_bytes=4000).unlink()
    with pytest.raises(JournalError, match="if it is lost for good, `bulkhead replay --repair` goes on without it"):
        JournalHome(directory).open(START_NS)
    repair_tail(directory)
    home = JournalHome(directory)
    home.open(START_NS)
    home.close()


def test_a_journal_in_use_is_not_repaired(directory: Path, tmp_path: Path) -> None:
    bench = Bench(JournalHome(directory))
    trio.run(bench.actor.started)
    with pytest.raises(JournalError, match="in use by another engine"):
        repair_tail(directory)
    copy = tmp_path / "copy"
    shutil.copytree(directory, copy)
    assert "nothing to repair" in repair_tail(copy, Disk())
    bench.home.close()
