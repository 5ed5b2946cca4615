"""The engine's log: one JSON object a line, a file a day, and no harm when it cannot be written."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tools.engine.host import _LEVELS
from tools.engine.logs import EngineLog

SEOUL = ZoneInfo("Asia/Seoul")
NS = 1_000_000_000


class Wall:
    """A clock that the test moves."""

    def __init__(self, text: str) -> None:
        self.ns = int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS

    def __call__(self) -> int:
        return self.ns


def entries(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """(day's folder, entry) of everything that was written."""
    return [
        (str(path.parent.relative_to(folder)), json.loads(text))
        for path in sorted(folder.rglob("engine.jsonl"))
        for text in path.read_text().splitlines()
    ]


@pytest.mark.req("R062", "R147")
def test_a_line_has_a_time_a_name_a_level_and_the_fields_of_the_call(tmp_path: Path) -> None:
    wall = Wall("2026-03-01T00:00:00")
    log = EngineLog(tmp_path, SEOUL, "info", wall)
    log.write("warning", "actor_crash", path="/router", epoch=3, text="KeyError: 'x'\nmore", qty=Decimal("0.10"))
    log.close()
    ((_, entry),) = entries(tmp_path)
    assert entry == {
        "t": wall.ns,
        "event": "actor_crash",
        "level": "warning",
        "path": "/router",
        "epoch": 3,
        "text": "KeyError: 'x'\nmore",
        "qty": "0.10",
    }
    assert log.lines == 1
    assert log.path() == tmp_path / "2026/03/01/engine.jsonl"


def test_the_day_is_that_of_the_zone_and_each_day_has_its_file(tmp_path: Path) -> None:
    wall = Wall("2026-02-28T14:59:59")
    log = EngineLog(tmp_path, SEOUL, "info", wall)
    log.write("info", "before")
    wall.ns += NS  # midnight in Seoul
    log.write("info", "after")
    log.close()
    log.write("info", "again")  # and it can be opened again
    log.close()
    assert [(day, entry["event"]) for day, entry in entries(tmp_path)] == [
        ("2026/02/28", "before"),
        ("2026/03/01", "after"),
        ("2026/03/01", "again"),
    ]


def test_less_than_the_level_is_not_written(tmp_path: Path) -> None:
    log = EngineLog(tmp_path, SEOUL, "warning", Wall("2026-03-01T00:00:00"))
    for level in ("debug", "info", "warning", "error"):
        log.write(level, f"at_{level}")
    log.close()
    assert [entry["event"] for _, entry in entries(tmp_path)] == ["at_warning", "at_error"]


def test_the_log_is_for_its_owner_alone(tmp_path: Path) -> None:
    log = EngineLog(tmp_path / "logs", SEOUL, "info", Wall("2026-03-01T00:00:00"))
    log.write("info", "x")
    log.close()
    assert log.path().stat().st_mode & 0o777 == 0o600


def test_a_log_that_cannot_be_opened_loses_lines_and_says_how_many_later(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("in the way")
    log = EngineLog(tmp_path / "logs", SEOUL, "info", Wall("2026-03-01T00:00:00"))
    log.write("info", "one")
    log.write("error", "two")
    assert (log.lines, log.lost) == (0, 2)
    (tmp_path / "logs").unlink()
    log.write("info", "three")
    log.close()
    lost, three = (entry for _, entry in entries(tmp_path / "logs"))
    assert (lost["event"], lost["lines"]) == ("log_lines_lost", 2)
    assert lost["why"]
    assert three["event"] == "three"
    assert log.lost == 2


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no right to mount a small disk here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)


def test_a_full_disk_leaves_whole_lines_only_and_is_told_when_there_is_room(tiny_disk: Path) -> None:
    log = EngineLog(tiny_disk, SEOUL, "info", Wall("2026-03-01T00:00:00"))
    for number in range(200):
        log.write("info", "filling", number=number, text="x" * 700)
    assert 0 < log.lost < 200
    kept = [entry for _, entry in entries(tiny_disk)]  # every line parses
    assert [entry["number"] for entry in kept if "number" in entry] == list(range(log.lines))
    assert {entry["event"] for entry in kept} <= {"filling", "log_lines_lost"}  # a short line may still have fitted
    os.truncate(log.path(), 0)
    log.write("info", "room")
    log.close()
    told, room = (entry for _, entry in entries(tiny_disk))
    assert (told["event"], told["why"]) == ("log_lines_lost", "No space left on device")
    assert 0 < told["lines"] <= log.lost
    assert room["event"] == "room"


def test_the_manual_names_every_event_with_its_level(repo_root: Path) -> None:
    """What actors note, what their supervisors see, and what the host itself writes."""
    sources = [
        path.read_text(encoding="utf-8") for name in ("actors", "tools") for path in (repo_root / name).rglob("*.py")
    ]
    noted = {name for text in sources for name in re.findall(r'ctx\.note\(\s*"([a-z_]+)"', text)}
    assert {"alarm", "blocked", "connect_failed"} <= noted
    page = (
        (repo_root / "docs" / "operator.md").read_text(encoding="utf-8").partition("## Logs")[2].partition("\n## ")[0]
    )
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    told = {event: level for events, level in rows for event in re.findall(r"`([a-z_]+)`", events)}
    for what in noted | _LEVELS.keys():
        assert told.get(f"actor_{what}") == _LEVELS.get(what, "info"), what
