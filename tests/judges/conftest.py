"""A real simulator process for clients that bring an event loop of their own.

def test_balance(running_simulator):
    venue = running_simulator("bybit")
    client = ccxt.bybit({"apiKey": venue.keys["hmac_key"], "secret": venue.keys["hmac_secret"]})
    client.urls["api"] = ...  # only the base address changes: venue.urls["rest"], ["streams"], ...
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest

ACCOUNT = "judge"
_ROOT = Path(__file__).resolve().parents[2]
_PATIENCE_S = 20


class Admin:
    """The `/sim/` endpoints of one process, synchronously."""

    def __init__(self, rest_url: str) -> None:
        self._client = httpx.Client(base_url=rest_url, trust_env=False, timeout=10)

    def get(self, path: str) -> Any:
        """`get("state")`, `get("fills")`, ..."""
        return self._answer("GET", path, None)

    def post(self, path: str, **body: Any) -> Any:
        """`post("trade", symbol="BTCUSDT", side="BUY", qty="1")`, `post("fault", kind="drop", ...)`."""
        return self._answer("POST", path, body)

    def _answer(self, verb: str, path: str, body: dict[str, Any] | None) -> Any:
        answer = self._client.request(verb, f"/sim/{path}", json=body)
        if answer.status_code != httpx.codes.OK:
            raise AssertionError(f"{verb} /sim/{path}: {answer.status_code} {answer.text}")
        return answer.json()

    def close(self) -> None:
        self._client.close()


@attrs.frozen
class RunningSimulator:
    """One family's process, its addresses, and the keys of its one account."""

    family: str
    urls: dict[str, str]  # "rest", "streams", "private", "ws_api", as far as the venue has them
    keys: dict[str, str]  # hmac_key, hmac_secret, ed25519_key, ed25519_private_pem, passphrase
    port: int
    admin: Admin
    account: str = ACCOUNT

    @property
    def rest(self) -> str:
        return self.urls["rest"]


@contextmanager
def simulator_process(family: str, *options: str) -> Iterator[RunningSimulator]:
    """`python -m tools.simulator --venue FAMILY` on a free port until the block ends."""
    command = [sys.executable, "-m", "tools.simulator", "--venue", family, "--port", "0", "--json", "--show-keys"]
    command += ["--demo-account", ACCOUNT, "--until-stdin-closes", *options]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        line = process.stdout.readline()
        if not line:
            raise AssertionError(
                f"the simulator of {family} ended with {process.wait(_PATIENCE_S)} before it was ready"
            )
        ready = json.loads(line)
        urls = {name: value for name, value in ready.items() if isinstance(value, str) and "://" in value}
        admin = Admin(urls["rest"])
        try:
            yield RunningSimulator(family, urls, ready["keys"][ACCOUNT], ready["port"], admin)
            failures = admin.get("state")["failures"]
            assert failures == [], "the simulator had a bug: " + failures[0]
        finally:
            admin.close()
            process.stdin.close()
            try:
                process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture
def running_simulator() -> Iterator[Callable[..., RunningSimulator]]:
    """`running_simulator(family, *command_line_options)`; every process ends with the test."""
    with ExitStack() as stack:
        yield lambda family, *options: stack.enter_context(simulator_process(family, *options))


@pytest.fixture(scope="module")
def shared_simulator() -> Iterator[Callable[..., RunningSimulator]]:
    """The same for a whole module: one process for each combination of arguments."""
    started: dict[tuple[str, ...], RunningSimulator] = {}
    with ExitStack() as stack:

        def get(family: str, *options: str) -> RunningSimulator:
            key = (family, *options)
            if key not in started:
                started[key] = stack.enter_context(simulator_process(family, *options))
            return started[key]

        yield get
