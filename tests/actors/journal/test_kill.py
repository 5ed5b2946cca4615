"""kill -9 at random moments of a real process: nothing that was acknowledged is lost, and the files check."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from actors.journal.replay import read, verify
from config.schema import SyncPolicy
from protocols.journal import OrderIntent
from tests.actors.journal.samples import KEY

LIVES = 110


@pytest.mark.slow
@pytest.mark.parametrize("policy", [SyncPolicy.OS, SyncPolicy.ALWAYS])
def test_a_killed_engine_loses_nothing_that_it_acknowledged(
    directory: Path, repo_root: Path, policy: SyncPolicy
) -> None:
    command = [sys.executable, "-m", "tests.actors.journal.killing", str(directory), policy.value, str(LIVES)]
    lives = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100, cwd=repo_root)
    assert lives.returncode == 0, lives.stderr
    acknowledged = lives.stdout.split()
    report = verify(directory)
    assert report.runs == report.unfinished_runs == LIVES
    assert report.segments > 1
    records = [stored.record for stored in read(directory, key=KEY)]
    written = [record.order.cl_ord_id for record in records if isinstance(record, OrderIntent)]
    assert len(written) == len(set(written)), "written twice"
    lost = set(acknowledged) - set(written)
    assert lost == set(), f"{len(lost)} of {len(acknowledged)} acknowledged orders lost"
    assert len(acknowledged) > 10 * LIVES
