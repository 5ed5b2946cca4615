"""Files of captures: what is written can be read by anybody, and a kill loses nothing that was flushed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.history.captures import CaptureFile, Direction, Torn, read, salvage
from tools.simulator.core.capture import read_lines

LINES = st.lists(
    st.tuples(st.integers(0, 2**62), st.text(min_size=1, max_size=8), st.sampled_from(Direction), st.text(max_size=60)),
    max_size=20,
)


@given(lines=LINES, suffix=st.sampled_from([".jsonl", ".jsonl.gz"]))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, lines: list, suffix: str) -> None:
    path = tmp_path_factory.mktemp("captures") / f"one{suffix}"
    capture = CaptureFile(path)
    for ts_ns, conn, direction, raw in lines:
        capture.write(ts_ns, conn, direction, raw, "wss://example.org/x")
    assert capture.close() == path
    ours = [json.loads(text) for _, text in read(path)]
    assert [(one["ts_ns"], one["conn"], one["dir"], one["raw"]) for one in ours] == [
        (ts_ns, conn, direction.value, raw) for ts_ns, conn, direction, raw in lines
    ]
    assert all(("url" in one) is (one["dir"] != "recv") for one in ours)
    assert list(read_lines(path)) == ours  # the simulator reads it, too
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_a_kill_loses_nothing_that_was_flushed(tmp_path: Path, suffix: str) -> None:
    capture = CaptureFile(tmp_path / f"one{suffix}")
    for number in range(1000):
        capture.write(number, "c", Direction.RECV, f"frame {number} " + "x" * (number % 97))
        if number == 899:
            capture.flush()
    part = tmp_path / f"one{suffix}.part"
    torn = tmp_path / f"torn{suffix}"
    torn.write_bytes(part.read_bytes())  # as a killed process leaves it
    seen, ended = _read_to_the_tear(torn)
    assert ended is (suffix == ".jsonl")  # a plain file may end at the end of a line, by luck
    assert seen[:900] == list(range(900))
    whole = tmp_path / f"whole{suffix}"
    assert salvage(torn, whole) == len(seen)
    assert [record["ts_ns"] for record in read_lines(whole)] == seen
    capture.close()


def _read_to_the_tear(path: Path) -> tuple[list[int], bool]:
    """Times of all lines, and whether the end looked like one."""
    seen: list[int] = []
    try:
        for _, text in read(path):
            seen.append(json.loads(text)["ts_ns"])
    except Torn:
        return seen, False
    return seen, True


def test_a_line_without_its_end_is_torn(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text('{"ts_ns":1,"conn":"c","dir":"recv","raw":"x"}\n{"ts_ns":2')
    with pytest.raises(Torn, match="line 2"):
        list(read(path))


def test_what_is_no_gzip_is_torn_and_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl.gz"
    path.write_bytes(b"hello")
    with pytest.raises(Torn, match="gzip"):
        list(read(path))


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    """The trailer's checksum stands for the whole."""
    path = tmp_path / "one.jsonl.gz"
    data = bytearray(gzip.compress(b'{"ts_ns":1,"conn":"c","dir":"recv","raw":"x"}\n' * 50))
    data[-6] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(Torn):
        list(read(path))


def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text("precious")
    with pytest.raises(FileExistsError):
        CaptureFile(path)
    (tmp_path / "two.jsonl.part").write_text("precious")
    with pytest.raises(FileExistsError):
        CaptureFile(tmp_path / "two.jsonl")
    assert path.read_text() == "precious"
