"""Fixtures that every test may use.

Recorded market data is large and not ours to ship, so it stays outside the repository. Tests reach it through
`data_dir`, which finds the folder by the environment variable BULKHEAD_DATA or beside the checkout, and skips
the test with the reason where neither exists.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

REPO_ROOT = Path(__file__).resolve().parent.parent
DEFAULT_DATA = REPO_ROOT.parent / "shared" / "data"

# No deadline for an example: how fast this machine is today is no property of the code. The blob lets a failure
# be repeated anywhere with `@reproduce_failure`.
settings.register_profile("bulkhead", deadline=None, print_blob=True)
settings.load_profile("bulkhead")


class NetworkForbidden(BaseException):
    """A test tried to reach another machine.  No code under test can take it for an error of the venue's."""


def _is_here(host: object) -> bool:
    if host in (None, "", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.decode() if isinstance(host, bytes) else str(host))
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _guard(event: str, arguments: tuple[object, ...]) -> None:
    """Everything that a test needs runs on this machine; what goes anywhere else is a mistake, or a slow failure."""
    if event == "socket.getaddrinfo" and not _is_here(arguments[0]):
        raise NetworkForbidden(f"a test asked for the address of {arguments[0]!r}; tests use loopback only")
    if event == "socket.connect":
        address = arguments[1]
        if isinstance(address, tuple) and not _is_here(address[0]):
            raise NetworkForbidden(f"a test connected to {address[0]!r}; tests use loopback only")


sys.addaudithook(_guard)


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
