"""Fixtures that every test may use.

Recorded market data is large and not ours to ship, so it stays outside the repository. Tests reach it through
`data_dir`, which finds the folder by the environment variable BULKHEAD_DATA or beside the checkout, and skips
the test with the reason where neither exists.
"""

from __future__ import annotations

import functools
import os
import socket
import sys
from pathlib import Path
from typing import Any

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


NOBODYS = (".invalid", ".test", ".localhost")
"""Names that are never anybody's (RFC 6761)."""


def _is_name_here(host: object) -> bool:
    name = host.decode() if isinstance(host, bytes) else str(host or "")
    return name in ("", "localhost") or name.endswith(NOBODYS) or _is_address_here(name)


@functools.lru_cache
def _is_address_here(address: str) -> bool:
    """An address that can be bound is this machine's own."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address.partition("%")[0], 0))
    except OSError:
        return False
    return True


def _guard(event: str, arguments: tuple[Any, ...]) -> None:
    """Everything that a test needs runs on this machine; what goes anywhere else is a mistake, or a slow failure."""
    if event == "socket.getaddrinfo" and not _is_name_here(arguments[0]):
        raise NetworkForbidden(f"a test asked for the address of {arguments[0]!r}; tests use loopback only")
    if event == "socket.connect":
        sock, address = arguments
        is_network = sock.family in (socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_STREAM
        if is_network and not _is_address_here(address[0]):
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
