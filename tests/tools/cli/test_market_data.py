"""`bulkhead record`, `download` and `data check` as people run them."""

from __future__ import annotations

import gzip
import json
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.judges.conftest import RunningSimulator, simulator_process
from tests.tools.cli.support import BULKHEAD, PATIENCE_S, REPO_ROOT, bulkhead


@pytest.fixture(scope="module")
def venue() -> Iterator[RunningSimulator]:
    with simulator_process("upbit", "--rate", "200") as running:
        yield running


def origins(venue: RunningSimulator) -> list[str]:
    return ["--rest-url", venue.rest, "--stream-url", venue.rest.replace("http", "ws", 1)]


def recorder(venue: RunningSimulator, folder: Path, *words: str) -> subprocess.Popen[str]:
    command = [*BULKHEAD, "record", "upbit", "KRW-BTC", "--out", str(folder), *origins(venue), *words]
    return subprocess.Popen(
        command, cwd=REPO_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_for(folder: Path, size: int) -> Path:
    """The part, once it has so many bytes."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for path in folder.glob("*.part"):
            if path.stat().st_size >= size:
                return path
        time.sleep(0.02)
    raise AssertionError(f"nothing of {size} bytes in {folder}")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_recording_ends_cleanly(venue: RunningSimulator, how: signal.Signals, tmp_path: Path) -> None:
    with recorder(venue, tmp_path) as process:
        wait_for(tmp_path, 2000)
        process.send_signal(how)
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    (path,) = tmp_path.iterdir()
    assert out.splitlines()[-1] == str(path)
    assert "frames" in out.splitlines()[0]
    said = bulkhead("data", "check", str(path))
    assert (said.code, said.out.split()[0]) == (0, "ok")


def test_a_killed_recording_is_saved_as_far_as_it_was_flushed(venue: RunningSimulator, tmp_path: Path) -> None:
    with recorder(venue, tmp_path) as process:
        part = wait_for(tmp_path, 4000)
        process.kill()
        process.communicate()
    said = bulkhead("data", "check", str(tmp_path))
    assert said.code == 1
    assert "error torn" in said.out
    whole = part.with_name(part.name.removesuffix(".part"))
    said = bulkhead("data", "check", "--repair", str(part))
    assert (said.code, f"as {whole}" in said.out) == (1, True)
    assert bulkhead("data", "check", str(whole)).code == 0
    assert len(gzip.decompress(whole.read_bytes()).splitlines()) > 10
    again = bulkhead("data", "check", "--repair", str(part))
    assert (again.code, "move the file" in again.err) == (1, True)


def full_disk() -> None:
    """In a child: no file may be longer than this, and a write beyond it fails as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))


def on_full_disk(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*BULKHEAD, *words], cwd=REPO_ROOT, capture_output=True, text=True, timeout=PATIENCE_S, preexec_fn=full_disk
    )


def test_a_recording_onto_a_full_disk_ends_and_what_was_written_is_saved(
    venue: RunningSimulator, tmp_path: Path
) -> None:
    said = on_full_disk("record", "upbit", "KRW-BTC", "--plain", "--out", str(tmp_path), *origins(venue))
    assert said.returncode == 1
    assert f"cannot write to {tmp_path}: " in said.stderr
    assert "data check --repair" in said.stderr
    (part,) = tmp_path.iterdir()
    assert part.stat().st_size <= 40_000
    repaired = bulkhead("data", "check", "--repair", str(tmp_path))
    assert "torn: `bulkhead data check --repair` saves the whole lines" in repaired.out
    saved = part.with_name(part.name.removesuffix(".part"))
    assert bulkhead("data", "check", str(saved)).code == 0
    assert 0 < saved.stat().st_size <= part.stat().st_size


def test_a_download_onto_a_full_disk_goes_on_when_there_is_room(venue: RunningSimulator, tmp_path: Path) -> None:
    words = ["download", "upbit", "KRW-BTC", "--from", "2d", "--rest-url", venue.rest, "--out"]
    path = tmp_path / "bars.csv"
    said = on_full_disk(*words, str(path))
    assert said.returncode == 1
    assert f"cannot write {path}: " in said.stderr
    assert "goes on where it was" in said.stderr
    assert not path.exists()
    went_on = bulkhead(*words, str(path))
    assert (went_on.code, "continued" in went_on.out) == (0, True)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert path.stat().st_size > 40_000
    assert bulkhead("data", "check", str(path)).code == 0


def test_a_recording_of_a_time_in_json(venue: RunningSimulator, tmp_path: Path) -> None:
    words = ["--for", "1s", "--channel", "book", "--plain", "--json"]
    said = bulkhead("record", "upbit", "KRW-BTC", "--out", str(tmp_path), *origins(venue), *words)
    assert said.code == 0, said.err
    (name,) = said.json["files"]
    assert Path(name).suffix == ".jsonl"
    assert said.json["messages"].keys() == {"BookSnapshot"}
    assert said.json["frames"] == sum('"recv"' in line for line in Path(name).read_text().splitlines())


def test_a_venue_that_says_nothing_is_a_failure(tmp_path: Path) -> None:
    nobody = ["--rest-url", "http://127.0.0.1:9", "--stream-url", "ws://127.0.0.1:9"]
    said = bulkhead("record", "upbit", "KRW-BTC", "--out", str(tmp_path), "--for", "1s", *nobody)
    assert (said.code, "nothing was heard, no file was kept" in said.err) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_a_download_tells_what_it_has(venue: RunningSimulator, tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    since = _days_ago(2)
    words = ["download", "upbit", "KRW-BTC", "--interval", "1h", "--from", since, "--rest-url", venue.rest]
    said = bulkhead(*words, "--out", str(path))
    assert said.code == 0, said.err
    assert said.out.startswith(f"{path}: ")
    assert said.out.splitlines()[-1] == "no gap"
    assert bulkhead(*words, "--out", str(path)).code == 4  # it is there
    said = bulkhead(*words, "--out", str(path), "--overwrite", "--json")
    assert said.json["bars"] == len(path.read_text().splitlines()) - 1
    said = bulkhead("download", "upbit", "KRW-NONE", "--from", since, "--out", str(tmp_path / "x.csv"), "--rest-url",
                    venue.rest)  # fmt: skip
    assert (said.code, "refuses KRW-NONE" in said.err, "fix:" in said.err) == (1, True, True)


def test_an_interrupted_download_goes_on(tmp_path: Path) -> None:
    with simulator_process("upbit", "--request-latency", "200", "--rate", "0.01") as slow:
        words = [*BULKHEAD, "download", "upbit", "KRW-BTC", "--from", "3d", "--to", "2d", "--interval", "3m"]
        words += ["--rest-url", slow.rest, "--out", str(tmp_path / "bars.csv")]
        with subprocess.Popen(
            words, cwd=REPO_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            while not (tmp_path / "bars.csv.state").exists():
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, "run the same command again" in err) == (1, True)
        again = subprocess.run(words, cwd=REPO_ROOT, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (again.returncode, ", continued" in again.stdout, "480 bars" in again.stdout) == (0, True, True)


def _days_ago(days: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() - days * 86_400))


@pytest.mark.parametrize("words, code, text", [
    (("download", "upbit", "KRW-BTC", "--from", "yesterday", "--out", "x.csv"), 2, "not a time"),
    (("download", "upbit", "KRW-BTC", "--from", "2026-01-01", "--interval", "x", "--out", "x.csv"), 2, "length of"),
    (("download", "upbit", "KRW-BTC", "--from", "2026-01-01", "--out", "x.doc"), 4, "must end in"),
    (("download", "upbit", "KRW-BTC", "--from", "2026-01-02", "--to", "2026-01-01", "--out", "x.csv"), 4, "--from"),
    (("download", "mtgox", "BTC", "--from", "2026-01-01", "--out", "x.csv"), 2, "mtgox"),
    (("record", "upbit"), 2, "SYMBOL"),
    (("record", "upbit", "KRW-BTC", "--for", "soon"), 2, "not a duration"),
    (("record", "upbit", "KRW-BTC", "--channel", "book_ticker"), 4, "no channel"),
    (("record", "upbit", "KRW-BTC", "--environment", "moon"), 4, "no environment"),
    (("data", "check", "no-such-file.csv"), 2, "does not exist"),
])  # fmt: skip
def test_wrong_usage_names_what_is_wrong(words: tuple[str, ...], code: int, text: str) -> None:
    said = bulkhead(*words)
    assert (said.code, text in said.err) == (code, True), said.err


def test_the_proof_of_books_is_told(data_dir: Path) -> None:
    said = bulkhead("data", "check", str(data_dir / "okx" / "ws" / "2022-05-13_books_btcusdt.jsonl.gz"))
    assert (said.code, said.out.count("\n")) == (0, 3)
    assert "290 of 290 book messages proven: 290 by the venue's checksum\n" in said.out
    said = bulkhead("data", "check", str(data_dir / "binance_spot/ws/2021-10-12_4sym_with_rest_snapshots.jsonl.gz"))
    assert "4 told nothing new; best prices equal in 48 of 48 comparisons\n" in said.out


def test_a_folder_stands_for_its_files(tmp_path: Path) -> None:
    assert bulkhead("data", "check", str(tmp_path)).code == 1
    rows = "".join(f"{number * 60_000},10,12,9,11,5\n" for number in (1, 2, 3, 6, 7))
    (tmp_path / "a.csv").write_text("open_time_ms,open,high,low,close,volume\n" + rows)
    (tmp_path / "notes.txt").write_text("not market data")
    said = bulkhead("data", "check", str(tmp_path))
    assert said.code == 0
    assert "remark gap: line 5: 2 missing after 180000" in said.out
    strict = bulkhead("data", "check", "--strict", str(tmp_path), "--json")
    assert strict.code == 1
    (row,) = [json.loads(line) for line in strict.out.splitlines()]
    assert (row["ok"], row["found"], row["counts"]) == (True, {"gap": 1}, {"bars": 5, "missing": 2})
