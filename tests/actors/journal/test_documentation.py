"""The commands that the documentation gives for reading the files, run on real files."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import trio

from actors.journal.disk import Disk
from actors.journal.exports import Exporter
from actors.journal.home import JournalHome
from actors.journal.layout import Layout
from actors.journal.reports import STATE_FORMAT, EngineState, write_state
from protocols.enums import AlarmKind
from protocols.journal import AlarmRaised
from tests.actors.journal.samples import ACCOUNT, START_NS, Bench, fact, intent, order, plain
from tests.actors.journal.test_files import picture, position

EXPECTED = [
    "look at this",
    f"{order(1).cl_ord_id}\tBUY\t0.0100\t50000.10\n{order(2).cl_ord_id}\tBUY\t0.0100\t50000.10",
    "6\tExecutionReport\tFILLED",
    "\n".join(["2023-11-15T07:13:20.000000000+09:00\tBTCUSDT\tBUY\t0.0100\t50000.1\t0.00001\tBTC"] * 2),
    "main\tBTCUSDT\t0.5\t50000.10",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that holds `data`, as an engine leaves it."""
    data = tmp_path / "data"
    bench = Bench(JournalHome(data / "journal"))
    trio.run(bench.actor.started)
    alarm = AlarmRaised(ACCOUNT, AlarmKind.OVERFILL, "b1", "look at this", START_NS)
    bench.give(intent(1), intent(2), fact(1), fact(2), plain(alarm))
    bench.home.close()
    layout = Layout(data, ZoneInfo("Asia/Seoul"))
    exporter = Exporter(layout, data / "journal")
    while exporter.step(100):
        pass
    exporter.close()
    state = EngineState(STATE_FORMAT, START_NS, layout.text(START_NS), (picture(position()),), {})
    write_state(layout, state, Disk())
    return tmp_path


def said_by(command: str, folder: Path) -> str:
    run = subprocess.run(["sh", "-c", command], cwd=folder, check=True, capture_output=True, text=True)
    return run.stdout.rstrip("\n")


@pytest.mark.req("R279")
def test_the_documented_commands_find_what_they_say(repo_root: Path, folder: Path) -> None:
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed here")
    text = (repo_root / "docs" / "journal.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    commands = block.strip().splitlines()
    assert [said_by(command, folder) for command in commands] == EXPECTED
