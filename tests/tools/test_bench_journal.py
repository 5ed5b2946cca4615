"""The journal's benchmark measures every policy, on the disk that it is told to, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.schema import SyncPolicy
from tools.bench.journal import bench_journal


@pytest.mark.req("R308")
def test_every_policy_is_measured(tmp_path: Path) -> None:
    result: dict[str, Any] = bench_journal(0.2, tmp_path)
    assert set(result["by_sync"]) == {policy.value for policy in SyncPolicy}
    assert result["n"] == sum(row["n"] for row in result["by_sync"].values())
    for row in result["by_sync"].values():
        assert set(row["append_us"]) == {"p50", "p99", "p999", "max"}
        assert row["append_us"]["p50"] > 0
        assert row["records_per_s"] > 0
        assert 300 < row["bytes_per_record"] < 1000
    assert list(tmp_path.iterdir()) == []
