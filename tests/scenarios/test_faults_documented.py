"""What an operator meets sooner or later: each fault has the outcome that `docs/operator.md` promises.

The engine is the real command in a process of its own, and what breaks it is real: a full disk, a read-only mount, a
damaged file, a wrong key.  The words that are looked for are read from the document's table, so the two cannot differ.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from protocols.ids import account_code, parse_cl_ord_id
from tests.scenarios.processes import (
    Engine,
    Process,
    SimulatorProcess,
    audit_files,
    audit_journal,
    bulkhead,
    disagreements,
    simulator,
)
from tools.simulator import derive_credentials

ALL_READY = "trading: all"
TITLE = "## When something is wrong"
PATIENCE_S = 60


@attrs.frozen
class Row:
    """One row of the document's table."""

    says: tuple[str, ...]
    exit_code: int | None


def row(repo_root: Path, fault: str) -> Row:
    """The row of a fault; fails when the document has none."""
    text = (repo_root / "docs/operator.md").read_text().partition(TITLE)[2]
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[0] == fault:
            return Row(tuple(re.findall(r"`([^`]+)`", cells[2])), int(cells[3]) if cells[3] else None)
    raise AssertionError(f"docs/operator.md has no row {fault!r}")


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[SimulatorProcess]:
    with simulator(tmp_path, "--rate", "100") as process:
        yield process


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], capture_output=True, text=True, check=False
    )
    if mount.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {mount.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill_up(disk: Path) -> Path:
    """Take the last byte."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for chunk in (b"x" * 65_536, b"x" * 512, b"x"):
            try:
                while True:
                    file.write(chunk)
            except OSError:
                continue  # full for pieces of this size
    return filler


def until(reached: Callable[[], bool], process: Process) -> None:
    """Wait for something that no line announces."""
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline, process.said()
        assert process.popen.poll() is None, process.said()
        time.sleep(0.1)


def trades(sim: SimulatorProcess, process: Process, count: int = 3) -> None:
    """Until the venue has seen a few more orders of ours."""
    wanted = len(sim.books().arrivals) + count
    until(lambda: len(sim.books().arrivals) >= wanted, process)


def arrivals_of(account: str, sim: SimulatorProcess) -> list[str]:
    """Orders of this account that the venue has seen."""
    made = {cl_ord_id: parse_cl_ord_id(cl_ord_id) for cl_ord_id in sim.books().arrivals}
    return [text for text, parts in made.items() if parts is None or parts.account_code == account_code(account)]


def ended(process: Process, expected: Row) -> str:
    """It ends by itself, with the documented code and words."""
    code = process.wait(PATIENCE_S)
    said = process.said()
    assert code == expected.exit_code, said
    for words in expected.says:
        assert words in said, said
    assert "Traceback" not in said
    return said


def stops_clean(engine: Engine, sim: SimulatorProcess, process: Process) -> None:
    """Stopped in order; journal, daily files, engine and venue agree."""
    assert process.stop() == 0, process.said()
    books = sim.books()
    assert [order for orders in books.open_orders.values() for order in orders] == []
    assert disagreements(books, engine.pictures()) == []
    assert audit_journal(books, engine.journal) == []
    assert audit_files(books, engine) == []


# ---- the disk --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.req("R102", "R139", "R325")
def test_disk_full_stops_new_orders_and_nothing_else(
    small_disk: Path, sim: SimulatorProcess, tmp_path: Path, repo_root: Path
) -> None:
    expected = row(repo_root, "disk full while trading")
    engine = Engine.prepare(tmp_path, sim.port, small_disk / "data")
    with engine.running() as process:
        process.wait_for(ALL_READY)
        trades(sim, process)
        filler = fill_up(small_disk)
        process.wait_for(expected.says[0])
        until(lambda: not any(sim.books().open_orders.values()), process)  # the quotes that rested were canceled
        before = len(sim.books().arrivals)
        time.sleep(2)
        assert len(sim.books().arrivals) == before
        journal = json.loads(engine.command("inspect", "/journal", "--json").stdout)
        assert journal["state"]["healthy"] is False
        assert journal["restarts"] == []
        filler.unlink()
        process.wait_for(expected.says[1])
        trades(sim, process)
        stops_clean(engine, sim, process)


def test_disk_full_at_the_start(small_disk: Path, sim: SimulatorProcess, tmp_path: Path, repo_root: Path) -> None:
    engine = Engine.prepare(tmp_path, sim.port, small_disk / "data")
    fill_up(small_disk)
    with engine.running() as process:
        said = ended(process, row(repo_root, "disk full at the start"))
    assert str(small_disk) in said
    assert sim.books().arrivals == {}


def test_data_folder_on_a_read_only_disk(small_disk: Path, tmp_path: Path, repo_root: Path) -> None:
    engine = Engine.prepare(tmp_path, 1, small_disk / "data")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with engine.running() as process:
        said = ended(process, row(repo_root, "data folder cannot be written"))
    assert "Read-only file system" in said


def test_data_folder_that_belongs_to_somebody_else(tmp_path: Path, repo_root: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    engine = Engine.prepare(tmp_path, 1, closed / "data")
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere; the read-only disk stands in")
    with engine.running() as process:
        said = ended(process, row(repo_root, "data folder cannot be written"))
    assert "Permission denied" in said


def test_data_folder_that_is_a_file(tmp_path: Path, repo_root: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    engine = Engine.prepare(tmp_path, 1)
    with engine.running() as process:
        said = ended(process, row(repo_root, "data folder cannot be written"))
    assert str(tmp_path / "data") in said


# ---- the journal -----------------------------------------------------------------------------------------------------


def newest_segment(engine: Engine) -> Path:
    return sorted(engine.journal.glob("*.jsonl"))[-1]


@pytest.mark.slow
def test_journal_with_an_unfinished_last_line(sim: SimulatorProcess, tmp_path: Path, repo_root: Path) -> None:
    expected = row(repo_root, "unfinished last line in the journal")
    engine = Engine.prepare(tmp_path, sim.port)
    with engine.running() as process:
        process.wait_for(ALL_READY)
        trades(sim, process)
        process.kill()
    segment = newest_segment(engine)
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-20])
    with engine.running() as process:
        said = process.wait_for(ALL_READY)
        trades(sim, process)
        stops_clean(engine, sim, process)
    assert expected.says[0] in said
    (torn,) = engine.journal.glob("*.torn")
    assert whole[:-20].endswith(torn.read_bytes())
    assert torn.name.startswith(segment.name)


@pytest.mark.slow
def test_journal_with_a_damaged_line(sim: SimulatorProcess, tmp_path: Path, repo_root: Path) -> None:
    engine = Engine.prepare(tmp_path, sim.port)
    with engine.running() as process:
        process.wait_for(ALL_READY)
        trades(sim, process)
        stops_clean(engine, sim, process)
    segment = newest_segment(engine)
    lines = segment.read_bytes().splitlines(keepends=True)
    middle = len(lines) // 2
    line = bytearray(lines[middle])
    line[len(line) // 2] ^= 1
    damaged = b"".join([*lines[:middle], bytes(line), *lines[middle + 1 :]])
    segment.write_bytes(damaged)
    arrivals = sim.books().arrivals
    with engine.running() as process:
        said = ended(process, row(repo_root, "damaged line in the journal"))
    assert f"{segment}, line {middle + 1}" in said
    assert segment.read_bytes() == damaged
    assert sim.books().arrivals == arrivals
    replay = engine.command("replay", "--journal", str(engine.journal))
    assert replay.returncode == 1
    assert f"{segment}, line {middle + 1}" in replay.stderr


@pytest.mark.slow
def test_second_engine_on_one_data_folder(sim: SimulatorProcess, tmp_path: Path, repo_root: Path) -> None:
    engine = Engine.prepare(tmp_path, sim.port)
    second_place = tmp_path / "second"
    second_place.mkdir()
    with engine.running() as first:
        first.wait_for(ALL_READY)
        with attrs.evolve(engine, folder=second_place).running() as second:
            said = ended(second, row(repo_root, "second engine on one data folder"))
        assert f"pid {first.popen.pid}" in said
        status = engine.command("status")
        assert status.returncode == 0, status.stderr
        assert "0 restarts" in status.stdout
        trades(sim, first)
        stops_clean(engine, sim, first)


# ---- keys, clock, network --------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.req("R102", "R144")
def test_key_refused_by_the_venue(sim: SimulatorProcess, tmp_path: Path, repo_root: Path) -> None:
    expected = row(repo_root, "key refused by the venue")
    engine = Engine.prepare(tmp_path, sim.port, engine__drain_timeout_ms=1_000)
    somebody_elses = derive_credentials("nobody").ed25519_private_pem
    wrong = attrs.evolve(engine, env={**engine.env, "MASTER_SECRET": somebody_elses})
    with wrong.running() as process:
        said = process.wait_for(expected.says[0])
        for words in expected.says:
            assert words in said
        assert "-1022" in said
        assert "account master" in said
        until(lambda: "not ready: /accounts/master" in engine.command("status").stdout, process)
        connections = sim.ask("state")["accepted_connections"]
        time.sleep(3)
        status = engine.command("status").stdout
        assert "0 restarts" in status, "a wrong key is nothing that restarts repair"
        assert sim.ask("state")["accepted_connections"] - connections < 20
        assert somebody_elses not in process.said()
        assert process.stop() == 0
    assert arrivals_of("master", sim) == [], "only the accounts whose keys are right may trade"
    with engine.running() as process:
        process.wait_for(ALL_READY)
        trades(sim, process)
        stops_clean(engine, sim, process)


def test_key_that_cannot_be_found(tmp_path: Path, repo_root: Path) -> None:
    engine = Engine.prepare(tmp_path, 1)
    without = attrs.evolve(engine, env={**engine.env, "SUB1_SECRET": ""})
    with without.running() as process:
        said = ended(process, row(repo_root, "key cannot be found"))
    assert "accounts.sub1.keys.binance-spot.secret_env" in said


@pytest.mark.slow
@pytest.mark.parametrize("skew_ms", [5_000, -5_000])
def test_clock_that_is_seconds_off(skew_ms: int, sim: SimulatorProcess, tmp_path: Path, repo_root: Path) -> None:
    """Wrong from the start; and while trading it steps by five seconds more.  (Forward at the venue, which is backward
    here: the venue's own stamps must go on rising, whatever becomes of ours.)"""
    expected = row(repo_root, "clock is seconds off")

    def offset_ms() -> int:
        shown = json.loads(engine.command("inspect", "/venues/binance-spot/clock", "--json").stdout)
        return round(shown["state"][expected.says[1]])

    sim.strike(kind="clock_skew", delay_ms=skew_ms)
    engine = Engine.prepare(tmp_path, sim.port)
    with engine.running() as process:
        process.wait_for(ALL_READY)
        assert abs(offset_ms() - skew_ms) < 1_000
        trades(sim, process)
        sim.strike(kind="clock_skew", delay_ms=skew_ms + 5_000)
        until(lambda: abs(offset_ms() - skew_ms - 5_000) < 1_000, process)
        trades(sim, process)
        stops_clean(engine, sim, process)


@pytest.mark.slow
@pytest.mark.req("R139")
def test_venue_not_reachable_at_the_start(sim: SimulatorProcess, tmp_path: Path, repo_root: Path) -> None:
    expected = row(repo_root, "venue not reachable")
    engine = Engine.prepare(tmp_path, sim.port)
    sim.kill()
    with engine.running() as process:
        for words in expected.says:
            process.wait_for(words)
        time.sleep(3)
        assert process.popen.poll() is None, process.said()
        with simulator(tmp_path, "--rate", "100", port=sim.port) as back:
            process.wait_for(ALL_READY)
            trades(back, process)
            stops_clean(engine, back, process)


# ---- the configuration -----------------------------------------------------------------------------------------------


@pytest.mark.req("R143")
@pytest.mark.parametrize("where", ["file", "environment"])
def test_unknown_key_in_the_configuration(where: str, tmp_path: Path, repo_root: Path) -> None:
    expected = row(repo_root, "unknown key in the configuration")
    engine = Engine.prepare(tmp_path, 1)
    if where == "file":
        text = engine.profile.read_text()
        engine.profile.write_text(text.replace("max_open_orders", "max_open_order", 1))
        named = (str(engine.profile), "max_open_order: unknown key", "Did you mean `max_open_orders`")
    else:
        engine = attrs.evolve(engine, env={**engine.env, "BULKHEAD__JOURNAL__SINK": "os"})
        named = ("BULKHEAD__JOURNAL__SINK", "[journal]", "interval_ms, segment_mb, snapshot_records, sync")
    with engine.running() as process:
        said = ended(process, expected)
    for words in named:
        assert words in said
    checked = bulkhead("config", "check", "--profile", str(engine.profile), env=engine.env)
    assert checked.returncode == expected.exit_code


def test_every_row_of_the_document_is_tested(repo_root: Path) -> None:
    """A row that no test looks for is a promise that nobody keeps."""
    text = (repo_root / "docs/operator.md").read_text().partition(TITLE)[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|")[0].strip() for line in text.splitlines() if line.startswith("| ")][1:]
    own = Path(__file__).read_text()
    assert rows
    assert [fault for fault in rows if f'row(repo_root, "{fault}")' not in own] == []
