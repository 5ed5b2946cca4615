"""Fail the build when the tests no longer cover what they promised to cover.

Two gates, both declared in pyproject.toml under `[tool.bulkhead.coverage]`:

- `overall`: the percentage of lines and branches that the whole suite must reach;
- `complete`: files (glob patterns relative to the repository) in which no line and no branch may be missed.
  They hold what decides about money: order state, ledger, risk, journal, supervision.

A pattern that matches no measured file is itself a failure: a renamed file must not slip out of its gate.

    coverage json -o coverage.json && python -m tools.coverage_gates coverage.json
"""

from __future__ import annotations

import fnmatch
import sys
import tomllib
from pathlib import Path

import attrs
import msgspec

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
# How many misses of one file are spelled out; the rest is in `coverage report`.
SHOWN = 8


class Summary(msgspec.Struct):
    """The counts that coverage gives for one file or for everything."""

    percent_covered: float


class FileReport(msgspec.Struct):
    """What was missed in one file: line numbers, and branches as (from line, to line)."""

    summary: Summary
    missing_lines: list[int]
    missing_branches: list[tuple[int, int]] = msgspec.field(default_factory=list)


class Report(msgspec.Struct):
    """The part of `coverage json` that the gates read."""

    files: dict[str, FileReport]
    totals: Summary


@attrs.frozen(kw_only=True)
class Gates:
    """What is demanded: a percentage overall, and the patterns of the files without any miss."""

    overall: float
    complete: tuple[str, ...]


def load_gates(pyproject: Path = PYPROJECT) -> Gates:
    """Read the gates; KeyError or TypeError with the missing key where the table is not complete."""
    table = tomllib.loads(pyproject.read_text(encoding="utf-8"))["tool"]["bulkhead"]["coverage"]
    return Gates(overall=float(table["overall"]), complete=tuple(table["complete"]))


def failures(report: Report, gates: Gates) -> list[str]:
    """Every way in which the report falls short, as lines for a person; empty when it passes."""
    found: list[str] = []
    if report.totals.percent_covered < gates.overall:
        found.append(f"overall: {report.totals.percent_covered:.2f} % covered, {gates.overall:g} % demanded")
    for pattern in gates.complete:
        matching = sorted(path for path in report.files if fnmatch.fnmatchcase(path, pattern))
        if not matching:
            found.append(f"{pattern}: matches no measured file; correct the pattern in pyproject.toml")
        found.extend(line for path in matching for line in _misses(path, report.files[path]))
    return found


def _misses(path: str, file: FileReport) -> list[str]:
    """At most one line per kind of miss in a file that should have none."""
    found = []
    if file.missing_lines:
        found.append(f"{path}: lines never run: {_some([str(line) for line in file.missing_lines])}")
    if file.missing_branches:
        # Coverage writes a negative target for leaving the function that starts on that line.
        jumps = [f"{a}->{'exit' if b < 0 else b}" for a, b in file.missing_branches]
        found.append(f"{path}: branches never taken: {_some(jumps)}")
    return found


def _some(items: list[str]) -> str:
    rest = len(items) - SHOWN
    return ", ".join(items[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def main(argv: list[str]) -> int:
    """Check the report named by the only argument; 0 passed, 1 fell short, 2 wrong use."""
    if len(argv) != 1:
        print("usage: python -m tools.coverage_gates COVERAGE_JSON", file=sys.stderr)
        return 2
    path = Path(argv[0])
    try:
        report = msgspec.json.decode(path.read_bytes(), type=Report)
    except (OSError, msgspec.DecodeError) as error:
        print(f"coverage gates: cannot read {path}: {error}; write it with `coverage json`", file=sys.stderr)
        return 2
    gates = load_gates()
    found = failures(report, gates)
    for line in found:
        print(f"coverage gate: {line}", file=sys.stderr)
    if not found:
        print(
            f"coverage gates: passed ({report.totals.percent_covered:.2f} % overall, "
            f"{len(gates.complete)} patterns without a miss)"
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
