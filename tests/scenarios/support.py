"""The whole engine against the venue simulator, over real loopback sockets.

`trading(...)` runs both in one Trio loop: the simulator's books and accounts can be read directly and compared with
what the engine believes.  `differences` is the comparison: an empty list means that nothing was lost, doubled or
traded blind.  It uses the simulator's own records and the engine's journal, not the engine's word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import attrs
import trio

from actors.journal.replay import read
from config import Config, load_config
from protocols.enums import ExecType
from protocols.ids import AccountID, Venue, parse_cl_ord_id
from protocols.journal import OrderIntent
from protocols.orders import ExecutionReport, account_path
from protocols.positions import AccountPicture, AccountQuery
from tools.engine.host import Host
from tools.simulator import Simulator, SimulatorConfig, demo_account, derive_credentials, open_simulator

VENUE = Venue("binance-spot")
ACCOUNTS = ("master", "sub1")
_ASK_NS = 2_000_000_000


def config_for(port: int, data: Path, **overrides: object) -> tuple[Config, dict[str, str]]:
    """The demo's configuration, pointed at a simulator that runs already; and the environment with its keys."""
    env: dict[str, str] = {}
    given: dict[str, object] = {
        "simulator.enabled": False,
        "data.dir": str(data),
        f"venues.{VENUE}.rest_url": f"http://127.0.0.1:{port}",
        f"venues.{VENUE}.stream_url": f"ws://127.0.0.1:{port}",
        f"venues.{VENUE}.entry_url": f"ws://127.0.0.1:{port}",
        "strategies.tfpe.enabled": False,
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
    return load_config("demo", overrides={**given, **overrides}), env


@attrs.define
class Trading:
    """A simulator and an engine that trades on it."""

    sim: Simulator
    host: Host
    data: Path

    async def all_ready(self, within_s: float = 30) -> None:
        """Wait until every actor's ready gate is open."""
        with trio.move_on_after(within_s):
            for cell in self.host.runtime.cells():
                await self.host.runtime.wait_ready(cell.path)
            return
        waiting = {c.path: c.unready_reason for c in self.host.runtime.cells() if not c.ready}
        raise AssertionError(f"not ready after {within_s} s: {waiting}")

    async def fills(self, at_least: int, within_s: float = 30) -> None:
        """Wait until the venue has executed so many of our orders."""
        with trio.fail_after(within_s):
            while fill_count(self.sim) < at_least:  # noqa: ASYNC110 - the simulator's books have no event for it
                await trio.sleep(0.01)

    async def picture(self, account: str) -> AccountPicture:
        """What the engine believes of one account."""
        path = account_path(AccountID(account), VENUE)
        found = await self.host.runtime.ask(path, AccountQuery(), _ASK_NS)
        assert isinstance(found, AccountPicture)
        return found

    async def agreement(self, within_s: float = 20) -> None:
        """Wait until engine and venue agree on everything; fails with the differences."""
        last = ["never compared"]
        with trio.move_on_after(within_s):
            while last:
                await trio.sleep(0.05)
                last = await self.differences()
        assert last == []

    async def differences(self) -> list[str]:
        """Everything in which the engine's belief differs from the venue's books."""
        await self.all_ready()
        found: list[str] = []
        for account in ACCOUNTS:
            found += compare(self.sim, account, await self.picture(account))
        return found


def fill_count(sim: Simulator) -> int:
    """Executions of all accounts at the venue."""
    return sum(len(fills) for name in ACCOUNTS for fills in sim.account(name).fills.values())


def compare(sim: Simulator, account: str, picture: AccountPicture) -> list[str]:
    """One account's picture against the simulator's books."""
    found: list[str] = []
    believed = {order.cl_ord_id: order.cum_qty for order in picture.open_orders}
    real = {order.cl_ord_id: order.cum_qty for order in sim.open_orders(account)}
    if believed != real:
        found.append(f"{account}: open orders {believed} at the engine, {real} at the venue")
    held: dict[str, Decimal] = {}
    for position in picture.positions:
        held[position.symbol] = held.get(position.symbol, Decimal(0)) + position.qty
    for symbol, fills in sim.account(account).fills.items():
        market = symbol.removesuffix("USDT")
        net = Decimal(0)
        for fill in fills:
            net += fill.trade.qty if fill.side.name == "BUY" else -fill.trade.qty
            if fill.commission_asset == market:
                net -= fill.commission
        ours = held.get(symbol, Decimal(0))
        if ours != net:
            found.append(f"{account} {symbol}: position {ours} at the engine, {net} by the venue's fills")
    balances = {b.asset: (b.free, b.locked) for b in picture.balances}
    for asset, (free, locked) in sim.balances(account).items():
        if balances.get(asset, (Decimal(0), Decimal(0))) != (free, locked):
            found.append(
                f"{account} {asset}: balance {balances.get(asset)} at the engine, {(free, locked)} at the venue"
            )
    return found


def audit(sim: Simulator, data: Path) -> list[str]:
    """The journal against the venue's books, after the run: I1 no lost fill, I2 no duplicate order, I3 intent first."""
    found: list[str] = []
    intents: Counter[str] = Counter()
    fills: dict[str, Counter[tuple[str, str]]] = {name: Counter() for name in ACCOUNTS}
    for stored in read(data / "journal"):
        record = stored.record
        if isinstance(record, OrderIntent):
            intents[record.order.cl_ord_id] += 1
        elif isinstance(record, ExecutionReport) and record.exec_type is ExecType.TRADE:
            assert record.trade_id is not None
            fills[record.account][record.symbol, record.trade_id] += 1
    found += [f"{cl_ord_id}: {count} intents" for cl_ord_id, count in intents.items() if count != 1]
    for cl_ord_id, arrival in sim.venue.arrivals.items():
        if arrival.seen != 1:
            found.append(f"{cl_ord_id}: reached the venue {arrival.seen} times as a new order")
        if parse_cl_ord_id(cl_ord_id) is not None and cl_ord_id not in intents:
            found.append(f"{cl_ord_id}: at the venue, but its intent is not in the journal")
    for name in ACCOUNTS:
        real = Counter(
            (symbol, str(fill.trade.trade_id)) for symbol, rows in sim.account(name).fills.items() for fill in rows
        )
        found += [
            f"{name}: fill {key} is {fills[name][key]} times in the journal" for key in real if fills[name][key] != 1
        ]
        found += [f"{name}: fill {key} is in the journal only" for key in fills[name] if key not in real]
    return found


@asynccontextmanager
async def trading(
    data: Path, sim_config: SimulatorConfig | None = None, overrides: Mapping[str, object] | None = None
) -> AsyncIterator[Trading]:
    """Simulator and engine, running; the engine is stopped in order at the end."""
    sim_config = sim_config or SimulatorConfig(
        symbols=("BTCUSDT", "ETHUSDT", "SOLUSDT"), accounts=tuple(demo_account(name) for name in ACCOUNTS)
    )
    async with open_simulator(sim_config) as sim, engine(sim, data, overrides) as host:
        yield Trading(sim, host, data)


@asynccontextmanager
async def engine(sim: Simulator, data: Path, overrides: Mapping[str, object] | None = None) -> AsyncIterator[Host]:
    """An engine on a simulator that runs already."""
    config, env = config_for(sim.port, data, **(overrides or {}))
    host = Host.prepare(config, env)
    async with trio.open_nursery() as nursery:
        await nursery.start(host.run)
        try:
            yield host
        finally:
            host.stop("the test is over")
            with trio.move_on_after(30, shield=True):
                await host.ended.wait()
