"""docs/history.md: every command that it shows runs, in its order, and ends well."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import msgspec
import pytest

from tests.judges.conftest import simulator_process
from tests.tools.cli.support import PATIENCE_S, REPO_ROOT
from tools.history.candles import COLUMNS
from tools.history.captures import Line
from tools.history.check import FIXES, check

DOCUMENT = REPO_ROOT / "docs" / "history.md"
PORT = "9446"


def commands() -> list[str]:
    """The lines behind `$` in blocks of consoles."""
    blocks = re.findall(r"```console\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def test_its_commands_run(tmp_path: Path) -> None:
    shown = commands()
    assert shown[0] == f"bulkhead sim --venue upbit --port {PORT} &"
    assert len(shown) == 7
    path = f"{REPO_ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
    with simulator_process("upbit") as venue:
        for command in shown[1:]:
            said = subprocess.run(
                command.replace(PORT, str(venue.port)), shell=True, cwd=tmp_path, env=os.environ | {"PATH": path},
                capture_output=True, text=True, timeout=PATIENCE_S,
            )  # fmt: skip
            assert said.returncode == 0, f"{command}\n{said.stdout}{said.stderr}"
    assert sorted(os.listdir(tmp_path)) == ["btc.csv", "btc.csv.gz", "captures", "checked.jsonl"]


@pytest.mark.req("R359")
def test_the_columns_of_candles_and_the_fields_of_captures_are_explained() -> None:
    """What the page tells is what is written, in its order."""
    text = DOCUMENT.read_text()
    fields = tuple(field.name for field in msgspec.structs.fields(Line))
    for head, names in (("column", COLUMNS), ("field", fields)):
        rows = text.partition(f"| {head} |")[2].partition("\n\n")[0]
        told = [
            name for row in re.findall(r"^\| ([^|]+) \|", rows, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
        ]
        assert told == list(names), head


def test_every_word_of_the_check_is_explained() -> None:
    used = {word for words in FIXES.values() for word in words}
    table = DOCUMENT.read_text().partition("| word |")[2]
    assert used == set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    assert check.__doc__
