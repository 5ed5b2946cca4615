"""Starting from what is on the disk: a torn tail is cut, damage stops the start and names its place."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from zlib import crc32

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.journal import segments as segments_module
from actors.journal.disk import Disk
from actors.journal.home import JournalHome
from actors.journal.records import encode_line
from actors.journal.replay import read
from actors.journal.segments import Scanner, list_segments, segment_name
from protocols.errors import JournalError
from protocols.journal import Append, ReplayQuery, RunStarted
from tests.actors.journal.samples import KEY, START_NS, SUBJECT, Bench, fact, fill, intent, plain


def written(directory: Path, *appends: Append, segment_bytes: int = 1 << 20) -> list[bytes]:
    """A journal as a killed process leaves it: RunStarted, then `appends`; its lines."""
    home = JournalHome(directory, segment_bytes=segment_bytes)
    bench = Bench(home)
    trio.run(bench.actor.started)
    for append in appends:
        bench.give(append)
    home.close()
    return [line for path in sorted(directory.glob("*.jsonl")) for line in path.read_bytes().splitlines(keepends=True)]


def opened(directory: Path, segment_bytes: int = 1 << 20) -> JournalHome:
    home = JournalHome(directory, segment_bytes=segment_bytes)
    home.open(START_NS)
    home.close()
    return home


def seqs(directory: Path) -> list[int]:
    return [stored.seq for stored in read(directory)]


def test_a_new_journal_begins_with_a_header_and_its_run(directory: Path) -> None:
    lines = written(directory, intent(1))
    assert [line.split(b'"kind":"')[1].split(b'"')[0] for line in lines] == [
        b"SegmentHeader",
        b"RunStarted",
        b"OrderIntent",
    ]
    assert segment_name(1) == "000000000001.jsonl"
    assert [s.name for s in list_segments(directory, Disk())] == ["000000000001.jsonl"]


def test_only_the_owner_can_read_it(directory: Path) -> None:
    written(directory, intent(1))
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}


def test_a_full_segment_is_followed_by_one_that_continues_it(directory: Path) -> None:
    appends = [fact(number) for number in range(40)]
    written(directory, *appends, segment_bytes=4096)
    files = list_segments(directory, Disk())
    assert len(files) > 4
    scanner = Scanner(directory, Disk())
    assert [entry.seq for entry in scanner] == list(range(1, 1 + scanner.records))
    assert scanner.segments == len(files)
    reports = [stored.record for stored in read(directory, key=KEY)]
    assert reports == [fill(number) for number in range(40)]


# ---- the torn tail -------------------------------------------------------------------------------------------------


def test_the_tail_is_cut_wherever_the_last_write_was_torn(directory: Path, tmp_path: Path) -> None:
    lines = written(directory, intent(1), fact(1))
    whole, last = b"".join(lines[:-1]), lines[-1]
    for cut in range(len(last)):
        copy = tmp_path / f"cut{cut}"
        shutil.copytree(directory, copy)
        path = copy / segment_name(1)
        path.write_bytes(whole + last[:cut])
        home = opened(copy)
        assert path.read_bytes() == whole
        if cut:
            assert home.torn is not None
            assert str(home.torn) == f"{path}: {cut} bytes of an unfinished write after byte {len(whole)}"
            assert (copy / f"{segment_name(1)}.{len(whole)}.torn").read_bytes() == last[:cut]
        else:
            assert home.torn is None
        shutil.rmtree(copy)


def test_a_tail_of_zeros_is_cut(directory: Path) -> None:
    lines = written(directory, fact(1))
    path = directory / segment_name(1)
    with path.open("ab") as file:
        file.write(bytes(5000))
    opened(directory)
    assert path.read_bytes() == b"".join(lines)


def test_writing_goes_on_behind_the_cut(directory: Path) -> None:
    written(directory, fact(1), fact(2))
    path = directory / segment_name(1)
    os.truncate(path, path.stat().st_size - 7)
    written(directory, fact(3))
    assert seqs(directory) == [2, 3, 4, 5]
    assert [s.record for s in read(directory, key=KEY)] == [fill(1), fill(3)]


@pytest.mark.parametrize("left", [b"", b'{"seq":9,"t":17000', bytes(64)], ids=["empty", "torn", "zeros"])
def test_a_segment_whose_header_was_never_finished_is_taken_away(directory: Path, left: bytes) -> None:
    lines = written(directory, fact(1))
    unborn = directory / segment_name(len(lines) + 1)
    unborn.write_bytes(left)
    home = opened(directory)
    assert not unborn.exists()
    assert home.torn is not None
    assert len(list(directory.glob("*.torn"))) == (1 if left else 0)
    written(directory, fact(2))
    assert [s.record for s in read(directory, key=KEY)] == [fill(1), fill(2)]


def test_a_first_segment_without_a_header_is_begun_again(directory: Path) -> None:
    directory.mkdir(parents=True)
    (directory / segment_name(1)).write_bytes(b'{"seq":1,')
    written(directory, fact(1))
    assert seqs(directory) == [2, 3]


# ---- damage --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of three segments, for tests that break copies of it."""
    directory = tmp_path_factory.mktemp("sound") / "journal"

    written(directory, *(fact(number) for number in range(9)), segment_bytes=2500)
    assert len(list(directory.glob("*.jsonl"))) == 3
    return directory


def broken(sound: Path, directory: Path) -> Path:
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(sound, directory)
    return directory


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_anywhere_stops_the_start_and_is_named(
    sound: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    directory = broken(sound, tmp_path_factory.getbasetemp() / "flipped")
    path = data.draw(st.sampled_from(sorted(directory.glob("*.jsonl"))))
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    line = bytes(path.read_bytes()[:at]).count(b"\n") + 1
    path.write_bytes(content)
    with pytest.raises(JournalError) as caught:
        opened(directory)
    assert f"{path}, line {line} (byte " in str(caught.value)
    assert path.read_bytes() == content, "a damaged file must not be changed"


def test_a_flipped_bit_in_the_very_last_newline_is_no_torn_write(sound: Path, tmp_path: Path) -> None:
    directory = broken(sound, tmp_path / "journal")
    path = max(directory.glob("*.jsonl"))
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"\x0b")
    with pytest.raises(JournalError, match="a whole record stands here, but not its newline"):
        opened(directory)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_cut_anywhere_but_in_the_newest_segment_stops_the_start(
    sound: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    directory = broken(sound, tmp_path_factory.getbasetemp() / "shortened")
    path = data.draw(st.sampled_from(sorted(directory.glob("*.jsonl"))[:-1]))
    os.truncate(path, data.draw(st.integers(0, path.stat().st_size - 1)))
    with pytest.raises(JournalError, match=r"a file is missing or not whole|ends inside a record"):
        opened(directory)


def test_a_line_taken_out_of_the_middle_is_missed(sound: Path, tmp_path: Path) -> None:
    directory = broken(sound, tmp_path / "journal")
    path = directory / segment_name(1)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] + lines[3:]))
    with pytest.raises(JournalError, match=r"line 3 .*record 3 belongs here and 4 stands here.*put the file back"):
        opened(directory)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_each_missing_segment_is_missed(sound: Path, tmp_path: Path, number: int) -> None:
    directory = broken(sound, tmp_path / "journal")
    gone = sorted(directory.glob("*.jsonl"))[number]
    gone.unlink()
    with pytest.raises(JournalError) as caught:
        opened(directory)
    assert "missing" in str(caught.value)
    assert "Put" in str(caught.value)
    assert number == 1 or gone.name in str(caught.value)


def test_a_journal_without_any_segment_that_once_had_one_is_not_begun_again(sound: Path, tmp_path: Path) -> None:
    directory = broken(sound, tmp_path / "journal")
    for path in directory.glob("*.jsonl"):
        path.unlink()
    with pytest.raises(JournalError, match=r"was written and is missing, the newest is none"):
        opened(directory)


def test_a_segment_of_another_journal_does_not_fit(sound: Path, tmp_path: Path) -> None:
    directory = broken(sound, tmp_path / "journal")
    other = tmp_path / "other"
    written(other, *(fact(number + 100) for number in range(9)), segment_bytes=2500)
    name = sorted(p.name for p in directory.glob("*.jsonl"))[1]
    assert (other / name).exists()
    shutil.copy(other / name, directory / name)
    with pytest.raises(
        JournalError, match=r"line 1 .*it continues 000000000001.jsonl with checksum .*not of one journal"
    ):
        opened(directory)


def test_a_segment_must_begin_with_its_header(directory: Path) -> None:
    directory.mkdir(parents=True)
    (directory / segment_name(1)).write_bytes(encode_line(1, START_NS, KEY, SUBJECT, fill(1)))
    with pytest.raises(JournalError, match=r"line 1 .*the first record is a ExecutionReport, not a SegmentHeader"):
        opened(directory)


def test_a_good_checksum_over_something_else_is_damage(directory: Path) -> None:
    written(directory)
    with (directory / segment_name(1)).open("ab") as file:
        body = b'{"seq":3,"x":1'
        file.write(b'%b,"crc":"%08x"}\n' % (body, crc32(body)))
    with pytest.raises(JournalError, match=r"line 3 .*not a journal record though its checksum is right"):
        opened(directory)


def test_more_bytes_without_newline_than_a_write_has_are_damage(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(directory, fact(1))
    monkeypatch.setattr(segments_module, "TORN_MAX", 4000)
    with (directory / segment_name(1)).open("ab") as file:
        file.write(bytes(4001))
    with pytest.raises(JournalError, match="more bytes without a newline than any one write has"):
        opened(directory)


def test_files_longer_than_a_block_are_read_whole(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments_module, "_BLOCK", 100)
    written(directory, *(fact(number) for number in range(5)))
    assert seqs(directory) == [2, 3, 4, 5, 6, 7]


# ---- runs, keys, scanning from the middle ----------------------------------------------------------------------------


def test_the_run_is_never_used_twice(directory: Path) -> None:
    for _ in range(3):
        written(directory)
    runs = [stored.record.run for stored in read(directory) if isinstance(stored.record, RunStarted)]
    seconds = START_NS // 10**9
    assert runs == [seconds, seconds + 1, seconds + 2]
    bench = Bench(JournalHome(directory))
    trio.run(bench.actor.started)
    answer = bench.actor.answer(ReplayQuery(KEY))
    assert answer.run == seconds + 3 == bench.actor.run_number  # type: ignore[attr-defined]
    bench.home.close()


def test_reading_can_begin_in_the_middle(directory: Path) -> None:
    written(directory, *(fact(number) for number in range(30)), segment_bytes=2500)
    everything = list(read(directory))
    for since in (1, 2, 7, 20, 33):
        assert list(read(directory, since=since)) == [s for s in everything if s.seq >= since]
    assert list(read(directory, since=7, until=11)) == [s for s in everything if 7 <= s.seq <= 11]


def test_records_of_one_key_stand_in_order_among_others(directory: Path) -> None:
    written(directory, plain(fill(1)), plain(fill(2), key="account/b/binance-spot"), plain(fill(3)))
    assert [s.record for s in read(directory, key=KEY)] == [fill(1), fill(3)]
