"""Fixtures that every test may use.

Recorded market data is large and not ours to ship, so it stays outside the repository. Tests reach it through
`data_dir`, which finds the folder by the environment variable BULKHEAD_DATA or beside the checkout, and skips
the test with the reason where neither exists.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

REPO_ROOT = Path(__file__).resolve().parent.parent
DEFAULT_DATA = REPO_ROOT.parent / "shared" / "data"

# No deadline for an example: how fast this machine is today is no property of the code. The blob lets a failure
# be repeated anywhere with `@reproduce_failure`.
settings.register_profile("bulkhead", deadline=None, print_blob=True)
settings.load_profile("bulkhead")


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The folder that holds pyproject.toml."""
    return REPO_ROOT


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with the recorded captures; see the README there for what each file holds."""
    configured = os.environ.get("BULKHEAD_DATA")
    folder = Path(configured) if configured else DEFAULT_DATA
    if not folder.is_dir():
        where = f"BULKHEAD_DATA={configured}" if configured else "the default ../shared/data"
        pytest.skip(f"recorded market data not found: {where} is not a folder; set BULKHEAD_DATA to it")
    return folder
