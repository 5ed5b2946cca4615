"""The README of a codec leads to every one of its files, and to none that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

VENUES = Path(__file__).resolve().parents[2] / "protocols" / "venues"


@pytest.mark.parametrize("readme", sorted(VENUES.glob("*/README.md")), ids=lambda path: path.parent.name)
def test_each_file_has_its_row(readme: Path) -> None:
    rows = [line.split("|")[1] for line in readme.read_text().splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+\.py)`", row)}
    assert named == {path.name for path in readme.parent.glob("*.py")} - {"__init__.py"}
