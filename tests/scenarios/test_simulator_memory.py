"""The bundled simulator remembers: a paper account outlives the run, whatever ended it.

First the simulator alone, killed while a client trades: what it acknowledged is there when it comes back.  Then the
whole engine with its own simulator, killed (with and without the simulator) and started again in the same folder: the
venue and the journal tell one story, and nothing is left unexplained.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from actors.journal.replay import read
from config import load_config
from protocols.enums import ExecType
from protocols.journal import PositionCorrected, UnexplainedChanged
from protocols.orders import ExecutionReport
from tests.scenarios.processes import Books, Engine, Process, bulkhead, disagreements
from tests.scenarios.support import ACCOUNTS
from tests.simulator.upbit.kit import checked, query_of, token
from tools.engine.simulator_child import state_file
from tools.simulator import Simulator, SimulatorConfig, derive_credentials

SEED = int(os.environ.get("BULKHEAD_KILLS_SEED", "1"))
PATIENCE_S = 60


# ---- the simulator alone -----------------------------------------------------------------------------------------


@contextmanager
def upbit(folder: Path, *arguments: str) -> Iterator[tuple[Process, int, list[dict[str, Any]]]]:
    """The process, its port, and what it has said by the time it serves."""
    command = [
        *(sys.executable, "-m", "tools.simulator", "--venue", "upbit", "--json", "--port", "0", "--until-stdin-closes"),
        *("--symbols", "KRW-BTC", "--rate", "0.001", "--burst-every", "0", "--demo-account", "alpha"),
        *("--state", str(folder / "upbit.sqlite"), "--limit", "orders=0", "--limit", "default=0", *arguments),
    ]
    process = Process(command, folder / "simulator.txt")
    try:
        said = [json.loads(line) for line in process.wait_for('"ready"').splitlines()]
        yield process, said[-1]["port"], said
    finally:
        process.close()


class Client:
    """One account's requests; synchronous, because what an asynchronous client leaves behind on a cut is a warning."""

    def __init__(self, port: int) -> None:
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=PATIENCE_S)
        self._keys = derive_credentials("alpha")

    def ask(self, verb: str, path: str, *pairs: tuple[str, str]) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token(self._keys, list(pairs))}"}
        if verb == "POST":
            return self.http.post(f"/v1/{path}", json=dict(pairs), headers=headers)
        return self.http.request(verb, f"/v1/{path}?{query_of(list(pairs))}", headers=headers)

    def order(self, name: str) -> dict[str, Any] | None:
        answer = self.ask("GET", "order", ("identifier", name))
        return None if answer.status_code == 404 else checked(answer)


def trade(client: Client, told: dict[str, dict[str, Any]], asked: set[str], prefix: str) -> None:
    """Trade until the venue is gone; `told` gets the last word on each order, `asked` every id that was sent."""
    resting = (("price", "150000000"), ("volume", "0.001"))
    taking = (("price", "160000000"), ("volume", "0.0002"))
    for number in itertools.count():
        name = f"{prefix}{number}"
        asked.add(name)
        terms = (("market", "KRW-BTC"), ("side", "bid"), ("ord_type", "limit"), ("identifier", name))
        try:
            told[name] = checked(client.ask("POST", "orders", *terms, *(taking if number % 3 == 1 else resting)))
            if number % 3 == 2:
                answer = client.ask("DELETE", "order", ("identifier", name))
                told[name] = {**checked(answer), "canceled": answer.status_code == 200}
            else:
                row = client.order(name)
                assert row is not None
                told[name] = row
        except httpx.TransportError:
            return


@pytest.mark.slow
def test_what_the_simulator_acknowledged_outlives_a_kill(tmp_path: Path) -> None:
    dice = random.Random(SEED)
    told: dict[str, dict[str, Any]] = {}
    asked: set[str] = set()
    for life in range(6):
        with upbit(tmp_path) as (process, port, said):
            state = next(row for row in said if row["event"] == "state")
            assert state["said"].startswith("restored 1 accounts" if life else "begins anew")
            client = Client(port)
            with client.http:
                check(client, told, asked)
                killer = threading.Timer(dice.uniform(0.05, 0.6), process.kill)
                killer.start()
                trade(client, told, asked, f"life{life}-")
                killer.join()
    assert told


def check(client: Client, told: dict[str, dict[str, Any]], asked: set[str]) -> None:
    """Every order as it was told or further on; the money is that of the orders and trades."""
    spent, bought, locked = Decimal(0), Decimal(0), Decimal(0)
    for name in asked:
        row = client.order(name)
        if row is None:
            assert name not in told, f"{name} was acknowledged and is gone"
            continue
        if name in told:
            was = told[name]
            assert row["uuid"] == was["uuid"]
            assert Decimal(row["executed_volume"]) >= Decimal(was["executed_volume"])
            if was.get("canceled") or was["state"] != "wait":
                assert row["state"] in ("cancel", "done")
        assert sum(Decimal(fill["volume"]) for fill in row["trades"]) == Decimal(row["executed_volume"])
        spent += Decimal(row["executed_funds"]) + Decimal(row["paid_fee"])
        bought += Decimal(row["executed_volume"])
        locked += Decimal(row["locked"])
    balances = {row["currency"]: row for row in checked(client.ask("GET", "accounts"))}
    krw, btc = balances["KRW"], balances["BTC"]
    assert Decimal(krw["locked"]) == locked
    assert Decimal(krw["balance"]) + locked + spent == 1_000_000_000
    assert Decimal(btc["balance"]) == 20 + bought


def test_a_fresh_start_puts_the_old_file_aside(tmp_path: Path) -> None:
    with upbit(tmp_path) as (process, _, _):
        process.stop()
    with upbit(tmp_path, "--fresh") as (_, _, said):
        assert next(row for row in said if row["event"] == "state")["said"] == "begins anew"
    assert (tmp_path / "upbit.sqlite.before").is_file()


def test_a_damaged_file_ends_the_simulator_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "upbit.sqlite"
    path.write_bytes(b"no database" * 1000)
    done = bulkhead("sim", "--venue", "upbit", "--port", "0", "--state", str(path))
    assert done.returncode == 2
    assert f"bulkhead sim: {path}: is damaged (file is not a database); put back a copy" in done.stderr
    done = bulkhead("sim", "--fresh")
    assert done.returncode == 2
    assert "--fresh: there is nothing to put aside without --state FILE" in done.stderr


# ---- the whole engine ----------------------------------------------------------------------------------------------


def demo(folder: Path) -> Engine:
    """The shipped demo with its own simulator and two makers that trade much."""
    data = folder / "data"
    profile = folder / "demo.toml"
    shipped = Path(__file__).parents[2] / "config" / "profiles" / "demo.toml"
    quick = shipped.read_text().replace('half_spread_bps = "2"', 'half_spread_bps = "0.5"')
    profile.write_text(quick.replace('half_spread_bps = "3"', 'half_spread_bps = "0.5"'))
    return Engine(folder, data, profile, {"BULKHEAD__DATA__DIR": str(data)})


def books_of(engine: Engine) -> Books:
    """What the venue's file says, read by a simulator that never runs."""
    sim = Simulator(SimulatorConfig(state=engine.data / "simulator" / "binance-spot.sqlite"))
    try:
        state = sim.state()
        live = {"NEW", "PARTIALLY_FILLED", "PENDING_NEW"}
        return Books(
            open_orders={
                name: {o["cl_ord_id"]: Decimal(o["cum_qty"]) for o in row["orders"] if o["ord_status"] in live}
                for name, row in state["accounts"].items()
            },
            fills={
                name: {
                    symbol: [
                        {
                            "trade_id": fill.trade.trade_id,
                            "side": fill.side.value,
                            "qty": str(fill.trade.qty),
                            "commission": str(fill.commission),
                            "commission_asset": fill.commission_asset,
                        }
                        for fill in fills
                    ]
                    for symbol, fills in account.fills.items()
                }
                for name, account in sim.exchange.accounts.by_name.items()
            },
            balances={
                name: {asset: (Decimal(free), Decimal(locked)) for asset, (free, locked) in row["balances"].items()}
                for name, row in state["accounts"].items()
            },
            arrivals={},
        )
    finally:
        sim.close()


def children_of(process: Process) -> list[int]:
    """The processes that the engine has started."""
    listed = Path(f"/proc/{process.popen.pid}/task/{process.popen.pid}/children")
    return [int(pid) for pid in listed.read_text().split()]


def corrections(engine: Engine) -> list[str]:
    """What the engine could not explain after its first look at each balance."""
    found: list[str] = []
    for stored in read(engine.journal):
        record = stored.record
        known = record.first if isinstance(record, PositionCorrected) else getattr(record, "previous", 0) is None
        if isinstance(record, PositionCorrected | UnexplainedChanged) and not known:
            found.append(str(record))
    return found


def booked(engine: Engine) -> dict[tuple[str, str, str], int]:
    counts: dict[tuple[str, str, str], int] = defaultdict(int)
    for stored in read(engine.journal):
        record = stored.record
        if isinstance(record, ExecutionReport) and record.exec_type is ExecType.TRADE:
            counts[record.account, record.symbol, str(record.trade_id)] += 1
    return counts


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the engine's children in /proc")
def test_the_demo_account_outlives_every_end_of_the_engine(tmp_path: Path) -> None:
    dice = random.Random(SEED)
    engine = demo(tmp_path)
    for number in range(2):
        with engine.running() as process:
            said = process.wait_for("trading: all")
            assert ("restored 2 accounts" if number else "begins anew") in said
            time.sleep(dice.uniform(0.5, 2.5))
            victims = children_of(process) if number % 2 else []
            for pid in victims:  # the venue goes with the engine, in the middle of whatever it did
                os.kill(pid, signal.SIGKILL)
            process.kill()
    with engine.running() as process:
        process.wait_for("trading: all")
        deadline = time.monotonic() + PATIENCE_S
        while len(engine.trade_lines()) < 5:
            assert time.monotonic() < deadline, process.said()
            time.sleep(0.1)
        assert process.stop() == 0, process.said()
    books = books_of(engine)
    fills = {
        (account, symbol, str(fill["trade_id"]))
        for account, symbols in books.fills.items()
        for symbol, rows in symbols.items()
        for fill in rows
    }
    assert len(fills) >= 5
    assert disagreements(books, engine.pictures()) == []
    assert booked(engine) == dict.fromkeys(fills, 1)
    assert corrections(engine) == []
    assert [order for name in ACCOUNTS for order in books.open_orders[name]] == []


def test_who_does_not_want_a_memory_has_none(tmp_path: Path) -> None:
    given = {"data.dir": str(tmp_path)}
    assert state_file(load_config("demo", overrides=given), "upbit") == tmp_path / "simulator" / "upbit.sqlite"
    forgetful = load_config("demo", overrides={**given, "simulator.remember": False})
    assert state_file(forgetful, "upbit") is None


@pytest.mark.slow
def test_the_engine_names_a_damaged_file_before_it_starts(tmp_path: Path) -> None:
    engine = demo(tmp_path)
    path = engine.data / "simulator" / "binance-spot.sqlite"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database" * 1000)
    command = ("run", "--plain", "--profile", str(engine.profile))
    done = engine.command(*command, "--for", "1")
    assert done.returncode == 4, done.stderr
    assert f"simulator.remember: {path}: is damaged" in done.stderr
    fresh = engine.command(*command, "--for", "1", "--set", "simulator.fresh=true")
    assert fresh.returncode == 0, fresh.stderr
    assert "begins anew" in fresh.stdout
