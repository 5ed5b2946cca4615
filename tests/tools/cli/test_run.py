"""`bulkhead run` from its start to its end: against a simulator that outlives it and can be asked afterwards.

The engine is a process of its own, told what to do by signals, as a terminal and a service manager do it.
"""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from actors.journal.replay import read, verify
from protocols.journal import OrderIntent, RunStopped, StateSnapshot
from tests.scenarios.support import ACCOUNTS, VENUE, audit, fill_count
from tests.tools.cli.support import BULKHEAD, PATIENCE_S, REPO_ROOT, Engine, bulkhead, environment
from tools.cli.run import _ends
from tools.simulator import Simulator, SimulatorConfig, demo_account, derive_credentials, open_simulator
from tools.simulator.core.faults import Fault, FaultKind
from tools.simulator.core.server import ServerConfig

pytestmark = pytest.mark.slow


def settings_for(port: int) -> tuple[list[str], dict[str, str]]:
    """Words and environment that point the demo at a simulator which runs already."""
    env: dict[str, str] = {}
    given = {
        "simulator.enabled": "false",
        f"venues.{VENUE}.rest_url": f"http://127.0.0.1:{port}",
        f"venues.{VENUE}.stream_url": f"ws://127.0.0.1:{port}",
        f"venues.{VENUE}.entry_url": f"ws://127.0.0.1:{port}",
    }
    for account in ACCOUNTS:
        keys = derive_credentials(account)
        ed25519 = account == "master"
        name = account.upper()
        env[f"{name}_KEY"] = keys.ed25519_key if ed25519 else keys.hmac_key
        env[f"{name}_SECRET"] = keys.ed25519_private_pem if ed25519 else keys.hmac_secret
        where = f"accounts.{account}.keys.{VENUE}"
        given |= {
            f"{where}.source": "env",
            f"{where}.kind": "ed25519" if ed25519 else "hmac",
            f"{where}.api_key_env": f"{name}_KEY",
            f"{where}.secret_env": f"{name}_SECRET",
        }
    return [word for key, value in given.items() for word in ("--set", f"{key}={value}")], env


def config_of(port: int) -> SimulatorConfig:
    """A market for the demo's strategies; port 0 takes a free one."""
    return SimulatorConfig(
        symbols=("BTCUSDT", "ETHUSDT", "SOLUSDT"),
        accounts=tuple(demo_account(name) for name in ACCOUNTS),
        server=ServerConfig(port=port),
    )


@asynccontextmanager
async def trading(data: Path, *words: str) -> AsyncIterator[tuple[Simulator, Engine]]:
    """A simulator in this process and an engine in another, with orders resting and some fills behind it."""
    async with open_simulator(config_of(0)) as sim:
        given, env = settings_for(sim.port)
        engine = Engine(data, *given, *words, env=env)
        try:
            await until(engine, lambda: fill_count(sim) >= 2 and resting(sim))
            yield sim, engine
        finally:
            engine.kill()


def resting(sim: Simulator) -> list[str]:
    """Orders that rest at the venue, of all accounts."""
    return [order.cl_ord_id for name in ACCOUNTS for order in sim.open_orders(name)]


async def until(engine: Engine, condition: object) -> None:
    """Wait for the other process; fail with what it said when it does not come, or ends."""
    assert callable(condition)
    with trio.move_on_after(PATIENCE_S):
        while not condition():
            if engine.process.poll() is not None:
                break
            await trio.sleep(0.02)
        else:
            return
    raise AssertionError(f"it did not happen:\n{engine.out}\n{engine.err}")


async def until_quiet(sim: Simulator) -> None:
    """Wait until the venue has no connection of ours any more."""
    with trio.fail_after(PATIENCE_S):
        while sim.state()["connections"]:  # noqa: ASYNC110 - the simulator has no event for it
            await trio.sleep(0.02)


def everything_in(folder: Path) -> bytes:
    """What all files hold."""
    written = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert len(written) > 6
    return b"".join(written)


async def ended(engine: Engine) -> int:
    """Its exit code; the simulator goes on meanwhile."""
    with trio.fail_after(PATIENCE_S):
        while (code := engine.process.poll()) is None:  # noqa: ASYNC110 - the other process has no event for us
            await trio.sleep(0.02)
    return code


@pytest.mark.req("R121", "R122", "R124", "R125")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_drains_no_new_entry_nothing_left_resting_everything_saved(
    tmp_path: Path, number: signal.Signals
) -> None:
    async with trading(tmp_path) as (sim, engine):
        engine.send(number)
        assert await ended(engine) == 0
        assert engine.err == ""
        assert resting(sim) == []
        assert audit(sim, tmp_path) == []  # no fill lost, no order doubled, every intent before its order
        await until_quiet(sim)
    out = engine.out
    assert f"draining ({number.name}): no new entries, canceling what rests" in out
    assert f"ended by {number.name}" in out
    assert "no dead letters, no orders left open" in out
    assert verify(tmp_path / "journal").records > 10
    stored = list(read(tmp_path / "journal"))
    began = next(entry["t"] for entry in engine.log() if entry["event"] == "draining")
    accepted = [s.record.accepted_ns for s in stored if isinstance(s.record, OrderIntent)]
    assert max(accepted) <= began
    last = stored[-1].record
    assert isinstance(last, RunStopped)
    for account in ACCOUNTS:
        own = [s.record for s in stored if s.key == f"account/{account}/{VENUE}"]
        assert isinstance(own[-1], StateSnapshot)
    hashes = {bulkhead("replay", "--json", data=tmp_path).json["hash"] for _ in range(2)}
    assert len(hashes) == 1


@pytest.mark.req("R072", "R156")
async def test_no_key_is_in_anything_that_the_engine_says_or_writes(tmp_path: Path) -> None:
    """Both kinds of keys sign, one connection is cut while they do, and then everything is searched."""
    secrets = [
        *(derive_credentials("master").ed25519_private_pem.splitlines()[1:-1]),
        derive_credentials("sub1").hmac_secret,
    ]
    async with trading(tmp_path, "--set", "log.level=debug") as (sim, engine):
        sim.cut_connections()
        answers = [
            (await trio.to_thread.run_sync(engine.ask, *words)).out
            for words in (
                ("inspect", "--json"),
                ("inspect", f"/accounts/master/{VENUE}/entry", "--json"),
                ("inspect", f"/accounts/sub1/{VENUE}/private", "--json"),
                ("actor", "crash", f"/accounts/sub1/{VENUE}/entry"),
                ("inspect", f"/accounts/sub1/{VENUE}/entry", "--json"),
                ("events", "--json"),
                ("inspect", "--dead", "--json"),
            )
        ]
        await until(engine, lambda: resting(sim))
        engine.send(signal.SIGTERM)
        assert await ended(engine) == 0
    searched = everything_in(tmp_path) + "".join(answers).encode()
    assert b"OrderIntent" in searched
    for secret in secrets:
        assert len(secret) > 20
        assert secret.encode() not in searched
        assert secret[:20].encode() not in searched
    assert b"PRIVATE KEY" not in searched


@pytest.mark.req("R123")
async def test_draining_waits_for_a_limited_time_only(tmp_path: Path) -> None:
    """A venue that takes no cancels must not keep the engine from ending; the summary says what is left."""
    async with trading(tmp_path, "--set", "engine.drain_timeout_ms=700") as (sim, engine):
        sim.strike(Fault(kind=FaultKind.TIMEOUT_LOST, match="*cancel*", count=None))
        await until(engine, lambda: resting(sim))  # what rested may have been canceled just before
        engine.send(signal.SIGTERM)
        assert await ended(engine) == 0
        left = len(resting(sim))
    said = re.search(r"(\d+) orders? left open", engine.out)
    assert said is not None
    assert int(said.group(1)) >= max(left, 1)  # since then the market may have filled some, and nobody canceled any
    assert "at most 0.7 s" in engine.out


async def test_a_second_signal_does_not_wait_for_the_orders(tmp_path: Path) -> None:
    async with trading(tmp_path, "--set", "engine.drain_timeout_ms=600000") as (sim, engine):
        sim.strike(Fault(kind=FaultKind.TIMEOUT_LOST, match="*cancel*", count=None))
        await until(engine, lambda: resting(sim))
        engine.send(signal.SIGINT)
        await until(engine, lambda: "draining (SIGINT)" in engine.out)
        engine.send(signal.SIGINT)
        assert await ended(engine) == 0  # ten minutes are allowed, nobody waited for them
    records = [s.record for s in read(tmp_path / "journal")]
    assert isinstance(records[-1], RunStopped)  # the journal is flushed all the same


@pytest.mark.req("R162")
async def test_a_halt_survives_the_end_of_the_process(tmp_path: Path) -> None:
    async with trading(tmp_path) as (sim, engine):
        assert (await trio.to_thread.run_sync(engine.ask, "kill", "--cause", "end of the day")).code == 0
        await until(engine, lambda: not resting(sim))
        engine.kill()  # as kill -9
        given, env = settings_for(sim.port)
        again = Engine(tmp_path / "again", *given, "--set", f"data.dir={tmp_path}", env=env)
        try:
            await until(again, lambda: "trading: all" in again.out)
            seen = len(sim.venue.arrivals)
            shown = await trio.to_thread.run_sync(
                lambda: bulkhead("risk", "--socket", str(tmp_path / "control.sock"), "--json")
            )
            assert shown.json[0]["state"] == "halted"
            await trio.sleep(1)
            assert len(sim.venue.arrivals) == seen  # not one order reached the venue
            code = await trio.to_thread.run_sync(
                lambda: bulkhead("unkill", "--socket", str(tmp_path / "control.sock"), "--json").json["code"]
            )
            done = await trio.to_thread.run_sync(
                lambda: bulkhead("unkill", "--socket", str(tmp_path / "control.sock"), "--code", code)
            )
            assert done.out == "firm: active\n"
            await until(again, lambda: len(sim.venue.arrivals) > seen)
        finally:
            again.kill()


async def test_a_venue_that_is_away_at_the_start_is_named_waited_for_and_then_traded_on(tmp_path: Path) -> None:
    async with open_simulator(config_of(0)) as sim:
        port = sim.port
    given, env = settings_for(port)
    engine = Engine(tmp_path, *given, env=env)
    try:
        await until(engine, lambda: f"connect failed /venues/{VENUE}/public" in engine.out)
        assert f"127.0.0.1:{port}" in engine.out
        assert any(
            entry["event"] == "actor_connect_failed" and entry["level"] == "warning" and "refused" in entry["text"]
            for entry in engine.log()
        )
        shown = (await trio.to_thread.run_sync(engine.ask, "status", "--json")).json
        assert f"/venues/{VENUE}/public" in {row["path"] for row in shown["not_ready"]}
        said = await trio.to_thread.run_sync(engine.ask, "orders")
        assert said.code == 1  # not an empty list: nobody knows
        assert "not_ready" in said.err
        async with open_simulator(config_of(port)) as sim:
            await until(engine, lambda: fill_count(sim) > 0 and "trading: all" in engine.out)
            assert "connected /venues/" in engine.out
            engine.send(signal.SIGINT)
            assert await ended(engine) == 0
            assert audit(sim, tmp_path) == []
    finally:
        engine.kill()


async def test_who_stops_an_engine_whose_venue_is_away_need_not_wait(tmp_path: Path) -> None:
    async with open_simulator(config_of(0)) as sim:
        given, env = settings_for(sim.port)
    engine = Engine(tmp_path, *given, "--set", "engine.drain_timeout_ms=600000", env=env)
    try:
        await until(engine, lambda: "connect failed" in engine.out)
        engine.send(signal.SIGTERM)
        assert await ended(engine) == 0  # our records know of no order: there is nothing to wait for
    finally:
        engine.kill()
    assert "draining (SIGTERM)" in engine.out
    assert f"not confirmed by its venue at the end: /accounts/master/{VENUE}/account" in engine.out


def heard(given: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
    """An engine whose lines somebody reads from a pipe."""
    return subprocess.Popen(
        [*BULKHEAD, "run", "--plain", *given],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        cwd=REPO_ROOT,
    )


async def test_an_engine_whose_lines_nobody_reads_any_more_trades_on_and_ends_in_order(tmp_path: Path) -> None:
    """`bulkhead run | head -1`: what it cannot say is lost, nothing else is."""
    async with open_simulator(config_of(0)) as sim:
        given, env = settings_for(sim.port)
        process = heard(given, environment(tmp_path, **env))
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            first = await trio.to_thread.run_sync(process.stdout.readline)
            assert b"bulkhead demo" in first
            process.stdout.close()
            with trio.fail_after(PATIENCE_S):
                while fill_count(sim) < 2:  # noqa: ASYNC110 - the simulator has no event for it
                    await trio.sleep(0.02)
            process.send_signal(signal.SIGTERM)
            with trio.fail_after(PATIENCE_S):
                while process.poll() is None:  # noqa: ASYNC110 - the other process has no event for us
                    await trio.sleep(0.02)
        finally:
            process.kill()
        with process.stderr as errors:
            assert (process.wait(), errors.read()) == (0, b"")
        assert resting(sim) == []
        assert audit(sim, tmp_path) == []


@pytest.mark.parametrize("ignored", [False, True])
def test_a_closed_terminal_ends_an_engine_unless_it_was_told_to_stay(ignored: bool) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        assert (signal.SIGHUP in _ends()) is not ignored
    finally:
        signal.signal(signal.SIGHUP, before)


async def test_the_simulator_goes_with_an_engine_that_is_killed(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    try:
        await until(engine, lambda: "trading: all" in engine.out)
        shown = (await trio.to_thread.run_sync(engine.ask, "inspect", "/simulator/binance-spot", "--json")).json
        pid = shown["state"]["pid"]
        assert alive(pid)
        engine.kill()
        with trio.fail_after(PATIENCE_S):
            while alive(pid):  # noqa: ASYNC110 - a stranger's child has no event for us
                await trio.sleep(0.05)
    finally:
        engine.kill()


def alive(pid: int) -> bool:
    """Whether the process still runs; one that has ended and waits to be noticed does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in ("Z", "X")
