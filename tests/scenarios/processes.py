"""The engine and the simulator as processes of their own, as an operator runs them.

    with simulator(tmp_path) as sim:
        engine = Engine.prepare(tmp_path, sim.port)
        with engine.running() as process:
            process.wait_for("trading: all")
            process.kill()                       # SIGKILL: nothing is flushed, nothing is said

What the venue believes comes from the simulator's own endpoints (`Books`), what the engine believes from its journal.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import httpx

from actors.journal.replay import read
from config import render
from protocols.enums import ExecType
from protocols.ids import parse_cl_ord_id
from protocols.journal import OrderIntent
from protocols.orders import ExecutionReport
from protocols.positions import AccountPicture
from tests.scenarios.support import ACCOUNTS, VENUE, config_for
from tools.cli.journal import fold_accounts

BULKHEAD = str(Path(sys.executable).parent / "bulkhead")
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
_POLL_S = 0.02
UNLIMITED = tuple(
    part
    for name in ("weight", "raw", "connections", "orders10s", "orders1d")
    for part in ("--limit", f"{name}=100000000")
)
"""A test restarts and trades more often than any venue would like."""


def bulkhead(
    *arguments: str, env: Mapping[str, str] | None = None, within_s: float = 60
) -> subprocess.CompletedProcess[str]:
    """One `bulkhead` command, to its end."""
    whole = {**os.environ, **(env or {})}
    return subprocess.run(
        [BULKHEAD, *arguments], env=whole, capture_output=True, text=True, timeout=within_s, check=False
    )


# ---- a process whose words are kept ------------------------------------------------------------------------------


class Process:
    """A child that writes to a file, so that it never waits for us and its last words outlive it."""

    def __init__(self, command: Sequence[str], words: Path, env: Mapping[str, str] | None = None) -> None:
        self.words = words
        with words.open("ab") as out:
            self._from = out.tell()
            self.popen = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=out, stderr=out, env={**os.environ, **(env or {})}
            )

    def said(self) -> str:
        """Everything since this process began."""
        with self.words.open("rb") as file:
            file.seek(self._from)
            return file.read().decode(errors="replace")

    def wait_for(self, text: str, within_s: float = 60) -> str:
        """Wait until it has said `text`; everything that it said."""
        deadline = time.monotonic() + within_s
        while text not in (said := self.said()):
            assert self.popen.poll() is None, f"ended with {self.popen.returncode} and said:\n{said}"
            assert time.monotonic() < deadline, f"did not say {text!r} within {within_s} s, but:\n{said}"
            time.sleep(_POLL_S)
        return said

    def wait(self, within_s: float = 60) -> int:
        """Its exit code."""
        return self.popen.wait(within_s)

    def stop(self, within_s: float = 60) -> int:
        """Ctrl-C, and the exit code."""
        self.popen.send_signal(signal.SIGINT)
        return self.wait(within_s)

    def kill(self) -> None:
        """SIGKILL."""
        self.popen.kill()
        self.popen.wait()

    def close(self) -> None:
        """Whatever became of it, it is over now."""
        if self.popen.poll() is None:
            self.kill()
        assert self.popen.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.popen.stdin.close()


# ---- the simulator -------------------------------------------------------------------------------------------------


@attrs.frozen
class Books:
    """What the venue knows, as plain values."""

    open_orders: Mapping[str, Mapping[str, Decimal]]
    """Account -> ClOrdID -> CumQty."""
    fills: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]
    """Account -> symbol -> executions."""
    balances: Mapping[str, Mapping[str, tuple[Decimal, Decimal]]]
    arrivals: Mapping[str, tuple[int, int]]
    """ClOrdID -> times seen as a new order, times accepted."""

    def fill_count(self) -> int:
        """Executions of all accounts."""
        return sum(len(rows) for symbols in self.fills.values() for rows in symbols.values())


class SimulatorProcess(Process):
    """The venue, which lives on whatever becomes of the engine."""

    port = 0

    @property
    def url(self) -> str:
        """Of REST and of the simulator's own endpoints."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str) -> Any:
        """GET one of the simulator's own endpoints."""
        return httpx.get(f"{self.url}/sim/{path}", trust_env=False, timeout=30).raise_for_status().json()

    def strike(self, **fault: object) -> None:
        """Put a fault in force, or do it now."""
        httpx.post(f"{self.url}/sim/fault", json=fault, trust_env=False, timeout=30).raise_for_status()

    def books(self) -> Books:
        """Everything that the engine's state is compared with."""
        state = self.ask("state")
        live = {"NEW", "PARTIALLY_FILLED", "PENDING_NEW"}
        return Books(
            open_orders={
                name: {o["cl_ord_id"]: Decimal(o["cum_qty"]) for o in row["orders"] if o["ord_status"] in live}
                for name, row in state["accounts"].items()
            },
            fills=self.ask("fills"),
            balances={
                name: {asset: (Decimal(free), Decimal(locked)) for asset, (free, locked) in row["balances"].items()}
                for name, row in state["accounts"].items()
            },
            arrivals={cl_ord_id: (seen, accepted) for cl_ord_id, (seen, accepted) in state["arrivals"].items()},
        )


@contextlib.contextmanager
def simulator(folder: Path, *arguments: str, port: int = 0) -> Iterator[SimulatorProcess]:
    """`python -m tools.simulator` with the demo's accounts; ends with the block."""
    accounts = [part for name in ACCOUNTS for part in ("--demo-account", name)]
    command = [
        *(sys.executable, "-m", "tools.simulator", "--json", "--until-stdin-closes", "--port", str(port)),
        *("--symbols", ",".join(SYMBOLS), *accounts, *UNLIMITED, *arguments),
    ]
    process = SimulatorProcess(command, folder / "simulator.txt")
    try:
        said = process.wait_for('"ready"')
        process.port = json.loads(said.splitlines()[0])["port"]
        yield process
    finally:
        process.close()


# ---- the engine ----------------------------------------------------------------------------------------------------


@attrs.frozen
class Engine:
    """A profile and the environment with its keys; may be run many times on the same data folder."""

    folder: Path
    data: Path
    profile: Path
    env: Mapping[str, str]

    @classmethod
    def prepare(cls, folder: Path, port: int, data: Path | None = None, **overrides: object) -> Engine:
        """The demo's engine on a simulator that runs elsewhere; `overrides` by dotted key, `__` for the dot."""
        data = data if data is not None else folder / "data"
        given = {name.replace("__", "."): value for name, value in overrides.items()}
        config, env = config_for(port, data, **given)
        profile = folder / "engine.toml"
        profile.write_text(render(config))
        return cls(folder, data, profile, env)

    @contextlib.contextmanager
    def running(self, *arguments: str) -> Iterator[Process]:
        """`bulkhead run --plain`; killed at the end of the block if it is still there."""
        command = [BULKHEAD, "run", "--plain", "--profile", str(self.profile), *arguments]
        process = Process(command, self.folder / "engine.txt", self.env)
        try:
            yield process
        finally:
            process.close()

    def command(self, *arguments: str, within_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Another `bulkhead` command with the same data folder and keys."""
        return bulkhead(*arguments, env={**self.env, "BULKHEAD__DATA__DIR": str(self.data)}, within_s=within_s)

    @property
    def journal(self) -> Path:
        """The journal's folder."""
        return self.data / "journal"

    def replayed(self) -> dict[str, Any]:
        """`bulkhead replay --json`: the hashes; fails when the journal does not check."""
        done = self.command("replay", "--json", "--journal", str(self.journal))
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert isinstance(said, dict)
        return said

    def pictures(self) -> dict[str, AccountPicture]:
        """What the engine believed when it ended, rebuilt from its journal alone."""
        return {key.split("/")[1]: replay.state.picture(None) for key, replay in fold_accounts(self.journal).items()}

    def trade_lines(self) -> list[dict[str, Any]]:
        """Every line of every `trades.jsonl`."""
        files = sorted((self.data / "logs").glob("*/*/*/trades.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]


# ---- the comparison --------------------------------------------------------------------------------------------------


def disagreements(books: Books, pictures: Mapping[str, AccountPicture]) -> list[str]:
    """Everything in which the engine's belief differs from the venue's books."""
    found: list[str] = []
    for account in ACCOUNTS:
        picture = pictures[account]
        believed = {str(order.cl_ord_id): order.cum_qty for order in picture.open_orders}
        if believed != books.open_orders[account]:
            found.append(f"{account}: open orders {believed}, at the venue {books.open_orders[account]}")
        held: Counter[str] = Counter()
        for position in picture.positions:
            held[position.symbol] += position.qty  # type: ignore[assignment]  # a Counter adds Decimals as well
        for symbol, fills in books.fills[account].items():
            net = net_of(symbol, fills)
            if held[symbol] != net:
                found.append(f"{account} {symbol}: position {held[symbol]}, by the venue's fills {net}")
        balances = {balance.asset: (balance.free, balance.locked) for balance in picture.balances}
        for asset, real in books.balances[account].items():
            if balances.get(asset, (Decimal(0), Decimal(0))) != real:
                found.append(f"{account} {asset}: balance {balances.get(asset)}, at the venue {real}")
    return found


def net_of(symbol: str, fills: Sequence[Mapping[str, Any]]) -> Decimal:
    """What executions leave in the base asset, commissions paid in it included."""
    base, net = symbol.removesuffix("USDT"), Decimal(0)
    for fill in fills:
        net += Decimal(fill["qty"]) if fill["side"] == "BUY" else -Decimal(fill["qty"])
        if fill["commission_asset"] == base:
            net -= Decimal(fill["commission"])
    return net


def audit_journal(books: Books, journal: Path) -> list[str]:
    """No fill lost or doubled, no order sent twice, no order without its intent written before."""
    found: list[str] = []
    intents: Counter[str] = Counter()
    booked: Counter[tuple[str, str, str]] = Counter()
    for stored in read(journal):
        record = stored.record
        if isinstance(record, OrderIntent):
            intents[record.order.cl_ord_id] += 1
        elif isinstance(record, ExecutionReport) and record.exec_type is ExecType.TRADE:
            booked[record.account, record.symbol, str(record.trade_id)] += 1
    found += [f"{cl_ord_id}: {count} intents" for cl_ord_id, count in intents.items() if count != 1]
    for cl_ord_id, (seen, _) in books.arrivals.items():
        if seen != 1:
            found.append(f"{cl_ord_id}: reached the venue {seen} times as a new order")
        if parse_cl_ord_id(cl_ord_id) is not None and cl_ord_id not in intents:
            found.append(f"{cl_ord_id}: at the venue, but its intent is not in the journal")
    return found + miscounted(books, booked, "the journal")


def audit_files(books: Books, engine: Engine) -> list[str]:
    """Every execution once in the daily files."""
    lines = Counter((row["account"], row["symbol"], str(row["trade_id"])) for row in engine.trade_lines())
    return miscounted(books, lines, "trades.jsonl")


def miscounted(books: Books, booked: Counter[tuple[str, str, str]], where: str) -> list[str]:
    """Executions that are not exactly once in `booked` (account, symbol, trade id)."""
    real = {
        (account, symbol, str(fill["trade_id"]))
        for account, symbols in books.fills.items()
        for symbol, fills in symbols.items()
        for fill in fills
    }
    return [f"fill {key} is {booked[key]} times in {where}" for key in sorted(real) if booked[key] != 1] + [
        f"fill {key} is in {where} only" for key in sorted(booked) if key not in real
    ]


__all__ = [
    "BULKHEAD",
    "VENUE",
    "Books",
    "Engine",
    "Process",
    "SimulatorProcess",
    "audit_files",
    "audit_journal",
    "bulkhead",
    "disagreements",
    "simulator",
]
