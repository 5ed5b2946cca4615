"""The coverage gates: they pass only what was promised, and say exactly what is missing."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tools.coverage_gates import FileReport, Gates, Report, Summary, failures, load_gates, main

GATES = Gates(overall=80.0, complete=("actors/risk/*.py",))


def report(
    percent: float = 90.0,
    *,
    path: str = "actors/risk/gate.py",
    lines: list[int] | None = None,
    branches: list[tuple[int, int]] | None = None,
) -> Report:
    """A coverage report with one file in it."""
    file = FileReport(Summary(100.0), missing_lines=lines or [], missing_branches=branches or [])
    return Report(files={path: file}, totals=Summary(percent))


def test_a_report_that_meets_every_gate_passes() -> None:
    assert failures(report(), GATES) == []


def test_the_overall_gate_is_a_lower_bound() -> None:
    assert failures(report(80.0), GATES) == []
    assert failures(report(79.99), GATES) == ["overall: 79.99 % covered, 80 % demanded"]


@pytest.mark.req("R160")
def test_one_missed_line_or_branch_in_a_complete_file_fails() -> None:
    assert failures(report(lines=[12]), GATES) == ["actors/risk/gate.py: lines never run: 12"]
    assert failures(report(branches=[(12, 14), (20, -3)]), GATES) == [
        "actors/risk/gate.py: branches never taken: 12->14, 20->exit"
    ]


def test_misses_elsewhere_count_only_overall() -> None:
    both = report()
    both.files["tools/cli.py"] = FileReport(Summary(10.0), missing_lines=[1, 2, 3])
    assert failures(both, GATES) == []


def test_a_pattern_without_files_is_a_failure() -> None:
    found = failures(report(path="actors/risk2/gate.py"), GATES)
    assert found == ["actors/risk/*.py: matches no measured file; correct the pattern in pyproject.toml"]


def test_a_long_list_of_misses_is_cut_and_counted() -> None:
    (line,) = failures(report(lines=list(range(1, 21))), GATES)
    assert line.endswith("1, 2, 3, 4, 5, 6, 7, 8 and 12 more")


def test_the_repository_declares_its_gates() -> None:
    gates = load_gates()
    assert gates.overall >= 80
    assert len(gates.complete) == len(set(gates.complete))


def test_main_returns_the_verdict_as_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "coverage.json"
    path.write_bytes(msgspec.json.encode(report(1.0, path="nothing.py")))
    assert main([str(path)]) == 1
    assert "overall: 1.00 % covered" in capsys.readouterr().err


def test_main_refuses_wrong_use_with_the_fix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
    assert main([str(tmp_path / "absent.json")]) == 2
    assert "write it with `coverage json`" in capsys.readouterr().err
    broken = tmp_path / "broken.json"
    broken.write_text('{"files": {}}', encoding="utf-8")
    assert main([str(broken)]) == 2
    assert "totals" in capsys.readouterr().err
