"""Several venues as an operator runs them: real processes, one venue dead at the start, one killed and revived.

The others' books must show no hole because of it, and what comes back must come back by itself.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.processes import BULKHEAD, Process
from tools.cli.client import Client

VENUES = ("binance-spot", "bybit-linear", "okx-spot", "okx-swap", "upbit")
SUBSET = ",".join(VENUES)
NOWHERE = ("rest_url=http://127.0.0.1:9", "stream_url=ws://127.0.0.1:9", "entry_url=ws://127.0.0.1:9")
"""Port 9 discards, where anybody listens at all."""


class Console:
    """What an operator's commands ask, at one engine."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "data" / "control.sock"
        self.env = {"BULKHEAD__DATA__DIR": str(folder / "data")}

    def ask(self, verb: str, **words: object) -> Any:
        """One answer of the control socket."""
        with Client(self.socket) as client:
            return client.call(verb, **words)

    def actor(self, path: str) -> Any:
        """What one actor shows."""
        return self.ask("actor", path=path)["state"]

    def venues(self) -> dict[str, dict[str, Any]]:
        """Each venue's row of `bulkhead status`."""
        return {row["venue"]: row for row in self.ask("status")["venues"]}

    def until(self, holds: Callable[[], bool], what: str, within_s: float = 40) -> None:
        """Wait until it holds."""
        deadline = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < deadline, f"{what}: not within {within_s} s; {self.ask('status')}"
            time.sleep(0.2)

    def wait_for_quotes(self, venues: set[str]) -> None:
        """Wait until an order of ours has been seen at each of these."""
        seen: set[str] = set()

        def all_seen() -> bool:
            seen.update(row["venue"] for row in self.ask("orders"))
            return seen >= venues

        self.until(all_seen, f"a maker to quote at each of {', '.join(sorted(venues))}")
        assert seen == venues


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(tmp_path)


@pytest.fixture
def engine(tmp_path: Path, console: Console) -> Iterator[Callable[..., Process]]:
    """Start `bulkhead run` with these words; killed at the end if it is still there."""
    running: list[Process] = []

    def start(*words: str) -> Process:
        command = [BULKHEAD, "run", "--plain", "--profile", "five-venues", "--venues", SUBSET, *words]
        running.append(Process(command, tmp_path / "engine.txt", console.env))
        return running[-1]

    yield start
    for process in running:
        process.close()


@pytest.mark.req("R090", "R220")
@pytest.mark.slow
def test_a_venue_that_is_killed_comes_back_by_itself_and_no_other_notices(
    console: Console, engine: Callable[..., Process]
) -> None:
    process = engine()
    process.wait_for("trading: all")
    before = console.venues()
    assert set(before) == set(VENUES)
    pid = console.actor("/simulator/okx")["pid"]
    os.kill(pid, signal.SIGKILL)
    console.until(lambda: not console.venues()["okx-swap"]["ready"], "the loss to be seen", 15)
    console.until(lambda: all(row["ready"] for row in console.venues().values()), "all venues to be up again")
    after = console.venues()
    for venue in ("binance-spot", "bybit-linear", "upbit"):
        assert after[venue]["gaps"] == before[venue]["gaps"], f"a hole in the books of {venue}"
    for venue in ("okx-spot", "okx-swap"):
        assert after[venue]["gaps"] > before[venue]["gaps"], f"the books of {venue} cannot have been whole"
    assert console.actor("/simulator/okx")["pid"] != pid
    console.wait_for_quotes(set(VENUES))
    crashes = {row["path"] for row in console.ask("events") if row["what"] in ("crash", "escalation")}
    assert crashes == {"/simulator/okx"}, "a venue's death is nobody else's crash"
    assert process.stop() == 0, process.said()


@pytest.mark.req("R363")
@pytest.mark.slow
def test_a_venue_that_is_dead_from_the_start_keeps_no_other_from_trading(
    console: Console, engine: Callable[..., Process]
) -> None:
    dead = [word for url in NOWHERE for word in ("--set", f"venues.upbit.{url}")]
    key = ("--set", "accounts.master.keys.upbit.source=env")
    names = ("--set", "accounts.master.keys.upbit.api_key_env=K", "--set", "accounts.master.keys.upbit.secret_env=S")
    console.env |= {"K": "key", "S": "secret"}
    process = engine(*dead, *key, *names)
    process.wait_for("ready /risk/firm")
    alive = set(VENUES) - {"upbit"}
    console.wait_for_quotes(alive)
    rows = console.venues()
    assert not rows["upbit"]["ready"]
    assert rows["upbit"]["why"]
    assert all(rows[venue]["ready"] for venue in alive)
    assert console.actor("/risk/firm")["unproven"] == ["/accounts/master/upbit/account"]
    (account,) = console.ask("risk")[1:]
    assert account["state"] == "active"
    assert {row["venue"] for row in console.ask("balances")} == alive  # one that is down hides no other's
    assert process.stop() == 0, process.said()
    assert "no orders left open" in process.said()
