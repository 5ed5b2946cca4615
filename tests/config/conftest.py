"""The fixture that writes configurations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.config.support import MINIMAL


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write MINIMAL, with replacements, as a file."""

    def writer(*replacements: tuple[str, str], extra: str = "", name: str = "mine.toml") -> Path:
        text = MINIMAL
        for old, new in replacements:
            assert old in text, old
            text = text.replace(old, new, 1)
        path = tmp_path / name
        path.write_text(text + extra, encoding="utf-8")
        return path

    return writer
