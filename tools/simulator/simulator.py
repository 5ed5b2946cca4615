"""A whole simulated venue: exchange, market, dialect and server, as one object.

    async with open_simulator(SimulatorConfig(accounts=(demo_account("alpha"),))) as sim:
        async with httpx.AsyncClient(base_url=sim.rest_url) as client:
            ...
        assert sim.arrivals("my-order-1").seen == 1

The same object is what a test reads and breaks things with: it answers directly, without a socket.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import trio

from tools.simulator.admin import Admin, Front
from tools.simulator.core import contracts, families, outside
from tools.simulator.core.accounts import Account, KeyKind, Position
from tools.simulator.core.capture import CaptureConfig, Replay
from tools.simulator.core.clock import MS, Clock, SystemClock
from tools.simulator.core.dialect import Arrival, Dialect, Family, Instrument, Parts
from tools.simulator.core.exchange import Exchange
from tools.simulator.core.faults import IMMEDIATE, Fault, FaultKind, FaultPlan
from tools.simulator.core.generator import TICK_NS, Generator, GeneratorConfig
from tools.simulator.core.keeper import Keeper
from tools.simulator.core.latency import Latency
from tools.simulator.core.live import LiveConfig, LiveFeed
from tools.simulator.core.model import Fill, Order, PositionSide, Side
from tools.simulator.core.scheduler import Scheduler
from tools.simulator.core.server import Server, ServerConfig
from tools.simulator.core.statefile import StateError, start_afresh
from tools.simulator.credentials import Credentials, derive_credentials

DEFAULT_VENUE = "binance-spot"


@attrs.frozen(kw_only=True)
class AccountConfig:
    """One account that exists from the start."""

    name: str
    balances: dict[str, Decimal] | None = None  # None: those of the family's demo accounts
    keys: tuple[tuple[str, KeyKind, str], ...] = ()  # API key, kind, secret or public key
    passphrase: str = ""  # of all keys, on the venues that ask for one
    maker_rate: Decimal | None = None  # None, as for the taker: the family's usual one
    taker_rate: Decimal | None = None
    trade_group: int = -1


def demo_account(name: str, *, seed: int = 1, balances: dict[str, Decimal] | None = None) -> AccountConfig:
    """An account with the keys of `derive_credentials(name, seed)`."""
    credentials = derive_credentials(name, seed)
    return AccountConfig(
        name=name,
        balances=None if balances is None else dict(balances),
        keys=tuple(credentials.keys()),
        passphrase=credentials.passphrase,
    )


@attrs.frozen(kw_only=True)
class SimulatorConfig:
    """Everything that can be chosen. The defaults give a lively generated market on a free port."""

    venue: str = DEFAULT_VENUE  # the family, see `core.families`
    seed: int = 1
    first_id: int = 1  # where the venue's numbers of orders, trades and updates begin
    server: ServerConfig = attrs.field(factory=ServerConfig)
    market: GeneratorConfig | CaptureConfig | LiveConfig = attrs.field(factory=GeneratorConfig)
    symbols: tuple[str, ...] | None = None  # market keys or names; None: the family's usual ones; empty: all there are
    exchange_info: Path | None = None  # the venue's own answer instead of the built-in list
    prices: dict[str, Decimal] = attrs.field(factory=dict)  # where generated symbols start, by market key or name
    accounts: tuple[AccountConfig, ...] = ()
    limits: Any = None  # an object of the family's limits class; None: what the venue allows
    latency: Latency = attrs.field(factory=Latency)
    faults: tuple[Fault, ...] = ()
    state: Path | None = None  # file in which the venue remembers its accounts; None: it forgets them
    fresh: bool = False  # put the file aside and begin anew


class Simulator:
    """One running venue. Build it with `open_simulator` or `serve`."""

    venue: Dialect

    def __init__(self, config: SimulatorConfig, clock: Clock | None = None) -> None:
        self.config = config
        self.family = families.load(config.venue)
        self.clock: Clock = clock if clock is not None else SystemClock()
        self.faults = FaultPlan(seed=config.seed)
        self.scheduler = Scheduler()
        self.exchange = Exchange(self.clock, shared_order_ids=self.family.shared_order_ids, first_id=config.first_id)
        self.stopping = trio.Event()
        instruments = _chosen_instruments(self.family, config)
        for each in instruments:
            self.exchange.add_market(each.spec, publishes_queue=isinstance(config.market, GeneratorConfig))
        self.venue = self.family.build(
            Parts(
                exchange=self.exchange,
                instruments=instruments,
                clock=self.clock,
                faults=self.faults,
                scheduler=self.scheduler,
                limits=self.family.limits() if config.limits is None else config.limits,
                latency=config.latency,
                seed=config.seed,
            )
        )
        self.venue.hub.delay_s = config.latency.market_ms / 1000
        self.venue.user_data.delay_s = config.latency.event_ms / 1000
        self.keeper = None if config.state is None else self._open_state(config.state)
        self.restored = None if self.keeper is None else self.keeper.restore()
        self.failure: StateError | None = None
        for account in config.accounts:
            self.create_account(account)
        front = Front(self.venue, Admin(self))
        self.server = Server(
            front,
            self.faults,
            config.server,
            ping_every_s=self.family.ping_every_s,
            pong_within_s=self.family.pong_within_s,
            before_send=None if self.keeper is None else self._write_state,
        )
        self.generator: Generator | None = None
        self.replay: Replay | None = None
        self.live: LiveFeed | None = None
        self._choose_market(config, instruments)
        for fault in config.faults:
            self.strike(fault)

    def _open_state(self, path: Path) -> Keeper:
        """Raises StateError where the file cannot be used."""
        if self.config.fresh:
            start_afresh(path)
        return Keeper(path, self.family.name, self.exchange, self.venue)

    def _write_state(self, *, now_ns: int | None = None) -> None:
        """What has changed goes to disk.  A venue that cannot write ends, and nobody hears of what it did not write."""
        assert self.keeper is not None
        if self.failure is not None:
            raise self.failure
        try:
            self.keeper.flush() if now_ns is None else self.keeper.tick(now_ns)
        except StateError as error:
            self.failure = error
            self.stop()
            raise

    def _choose_market(self, config: SimulatorConfig, instruments: Sequence[Instrument]) -> None:
        if isinstance(config.market, GeneratorConfig):
            prices = {
                each.spec.symbol: self.exchange.markets[each.spec.symbol].last_px or _start_price(config, each)
                for each in instruments
            }
            market = attrs.evolve(config.market, seed=config.market.seed * 1_000_003 + config.seed)
            self.generator = Generator(self.exchange, prices, market)
            self.generator.on_tick.append(self._tick)
            self.venue.history_of = self.generator.history
        elif isinstance(config.market, CaptureConfig):
            self.replay = Replay(self.venue.hub, self.venue.replay_codec(), config.market, self.family.scan)
        else:
            self.live = self.venue.live_feed(config.market)

    def _tick(self, now_ns: int) -> None:
        """Every 100 ms."""
        contracts.tick(self.exchange, now_ns)
        self.venue.tick(now_ns)
        if self.keeper is not None and self.failure is None:
            with suppress(StateError):  # kept as `failure`, and the end of the run
                self._write_state(now_ns=now_ns)

    # ------------------------------------------------------------------------------------------ running
    def open_market(self) -> None:
        """Fill the books. `run` does it; a test that drives a virtual clock by hand calls it itself."""
        if self.generator is not None:
            self.generator.start()
        elif self.replay is not None:
            self.replay.prepare()
        self.venue.begin()

    async def run(self, task_status: trio.TaskStatus[Simulator] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled or stopped; started once the port is open.  Raises StateError where the state file can
        no longer be written."""
        try:
            await self._run(task_status)
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the state file, with everything in it."""
        if self.keeper is None:
            return
        keeper, self.keeper = self.keeper, None
        keeper.close(write=self.failure is None)

    async def _run(self, task_status: trio.TaskStatus[Simulator]) -> None:
        self.open_market()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.scheduler.run)
            await nursery.start(self.server.run)
            if self.generator is not None:
                nursery.start_soon(self.generator.run)
            elif self.replay is not None:
                nursery.start_soon(self.replay.run)
                nursery.start_soon(self._tick_for_ever)
            elif self.live is not None:
                nursery.start_soon(self.live.run)
                nursery.start_soon(self._tick_for_ever)
            task_status.started(self)
            await self.stopping.wait()
            nursery.cancel_scope.cancel()
        if self.failure is not None:
            raise self.failure

    async def _tick_for_ever(self) -> None:
        """A replay has no events of its own for candles and statistics; the clock gives them."""
        while True:
            now = self.clock.now_ns()
            await trio.sleep((TICK_NS - now % TICK_NS) / 1e9)
            self._tick(self.clock.now_ns() // TICK_NS * TICK_NS)

    def advance(self, until_ns: int) -> None:
        """Let a generated market run to a time, moving a manual clock event by event. For tests."""
        assert self.generator is not None, "only a generated market can be advanced by hand"
        setter = getattr(self.clock, "set", None)
        self.generator.run_until(until_ns, setter)

    def stop(self) -> None:
        """End `run`."""
        self.stopping.set()

    # ---------------------------------------------------------------------------------------- addresses
    @property
    def port(self) -> int:
        return self.server.port

    @property
    def rest_url(self) -> str:
        return f"http://{self.config.server.host}:{self.port}"

    @property
    def urls(self) -> dict[str, str]:
        """All of the venue's addresses by name: "rest", "streams", "private", "ws_api", as far as it has them."""
        return self.venue.urls(self.rest_url, f"ws://{self.config.server.host}:{self.port}")

    @property
    def stream_url(self) -> str:
        """Public streams.  On Binance append `/ws/<stream>` or `/stream?streams=...`."""
        return self.urls["streams"]

    @property
    def ws_api_url(self) -> str:
        """Order entry by WebSocket."""
        return self.urls["ws_api"]

    # ------------------------------------------------------------------------------------------ handles
    def create_account(self, config: AccountConfig) -> Account:
        """Open an account with its keys. Raises ValueError for names or keys that are taken.

        One that the state file remembers keeps its money; keys and rates are those that are given.
        """
        account = self._remembered(config) or self._opened(config)
        if config.maker_rate is None and config.taker_rate is None:
            account.rates.update(self.family.rates)
        for api_key, kind, secret in config.keys:
            self.exchange.accounts.add_key(account, api_key, kind, secret, passphrase=config.passphrase)
        if self.keeper is not None:
            self.keeper.touch(account)
        return account

    def _remembered(self, config: AccountConfig) -> Account | None:
        """An account of an earlier run to which nobody has the keys yet."""
        accounts = self.exchange.accounts
        found = accounts.by_name.get(config.name)
        if self.restored is None or found is None or any(key.account is found for key in accounts.keys.values()):
            return None
        family = self.family
        found.maker_rate = family.maker_rate if config.maker_rate is None else config.maker_rate
        found.taker_rate = family.taker_rate if config.taker_rate is None else config.taker_rate
        found.trade_group = config.trade_group
        return found

    def _opened(self, config: AccountConfig) -> Account:
        family = self.family
        account = self.exchange.accounts.create(
            config.name,
            family.balances if config.balances is None else config.balances,
            maker_rate=family.maker_rate if config.maker_rate is None else config.maker_rate,
            taker_rate=family.taker_rate if config.taker_rate is None else config.taker_rate,
            trade_group=config.trade_group,
        )
        account.update_ns = self.clock.now_ns()
        return account

    def account(self, name: str) -> Account:
        """Raises KeyError with the names that exist."""
        found = self.exchange.accounts.by_name.get(name)
        if found is None:
            raise KeyError(f"no account {name!r}; there are {', '.join(self.exchange.accounts.by_name)}")
        return found

    def credentials(self, name: str) -> Credentials:
        """Of an account made by `demo_account` with this simulator's seed."""
        return derive_credentials(name, self.config.seed)

    def orders(self, account: str) -> list[Order]:
        """All orders the account ever had, oldest first."""
        return list(self.account(account).orders)

    def open_orders(self, account: str) -> list[Order]:
        return list(self.account(account).open_orders.values())

    def fills(self, account: str, symbol: str) -> list[Fill]:
        return list(self.account(account).fills.get(symbol, []))

    def positions(self, account: str) -> list[Position]:
        """Those that are not flat."""
        return [position for position in self.account(account).positions.values() if position.qty]

    def balances(self, account: str) -> dict[str, tuple[Decimal, Decimal]]:
        """Asset -> (free, locked)."""
        return {asset: (balance.free, balance.locked) for asset, balance in self.account(account).balances.items()}

    def order_by_cl_ord_id(self, account: str, cl_ord_id: str) -> Order | None:
        """The newest order that bears the id now, on any symbol."""
        for order in reversed(self.account(account).orders):
            if order.cl_ord_id == cl_ord_id:
                return order
        return None

    def arrivals(self, cl_ord_id: str) -> Arrival:
        """How often a new order with this id reached the venue, and how often it was accepted."""
        return self.venue.arrivals.get(cl_ord_id, Arrival())

    def trade(self, symbol: str, side: Side, qty: Decimal, price: Decimal | None = None) -> None:
        """Somebody else trades: takes liquidity from the book, users' resting orders included.

        In a replayed market this is a print at `price` (the last price where none is given) that only users see.
        """
        outside.trade(self.exchange, self.market_key(symbol), side, qty, price)

    def quote(self, symbol: str, side: Side, qty: Decimal, price: Decimal) -> None:
        """Somebody else's order rests in the book (generated market), or the displayed quantity of a price
        becomes `qty` (replayed market)."""
        outside.quote(self.exchange, self.market_key(symbol), side, qty, price)

    def mark(self, symbol: str, price: Decimal) -> None:
        """The mark price of a contract is this from now on."""
        contracts.pin_mark(self.exchange, self.market_key(symbol), price)

    def fund(self, symbol: str, rate: Decimal) -> None:
        """Funding is paid now, at this rate."""
        contracts.fund(self.exchange, self.market_key(symbol), rate)

    def liquidate(self, account: str, symbol: str, side: PositionSide = PositionSide.BOTH) -> None:
        """The venue closes a position by force. Raises ValueError where there is none."""
        key = self.market_key(symbol)
        if contracts.liquidate(self.exchange, self.account(account).position(key, side)) is None:
            raise ValueError(f"{account} has no {side.value} position in {key}")

    def market_key(self, symbol: str) -> str:
        """The market that a key, or a name that only one market has, means. Raises ValueError."""
        if symbol in self.exchange.markets:
            return symbol
        found = [key for key, market in self.exchange.markets.items() if market.spec.name == symbol]
        if len(found) != 1:
            raise ValueError(
                f"symbol {symbol!r} names {len(found)} markets; there are {', '.join(self.exchange.markets)}"
            )
        return found[0]

    def deposit(self, account: str, asset: str, amount: Decimal) -> None:
        """Money comes in (or goes out, negative). Raises ValueError where it is not there."""
        holder = self.account(account)
        if holder.balance(asset).free + amount < 0:
            raise ValueError(f"{account} has {holder.balance(asset).free} {asset} free, cannot take {-amount}")
        holder.credit(asset, amount)
        holder.update_ns = self.clock.now_ns()
        if self.keeper is not None:
            self.keeper.touch(holder)
        self.venue.deposited(holder, asset, amount)

    # ------------------------------------------------------------------------------------------- faults
    def strike(self, fault: Fault) -> Fault:
        """Put a fault in force, or do it now where its kind is an immediate one."""
        if fault.kind not in IMMEDIATE:
            return self.faults.add(fault)
        kind = fault.kind
        self.faults.note(kind)
        if kind is FaultKind.CLOCK_SKEW:
            self.clock.skew_ns = fault.delay_ms * MS
        elif kind is FaultKind.REFUSE_FOR:
            self.server.refuse_for(fault.delay_ms / 1000)
        elif kind is FaultKind.REVOKE_KEY:
            self.venue.revoke_key(fault.match)
        elif kind is FaultKind.SHUTDOWN_NOTICE:
            self.venue.announce_shutdown(fault.delay_ms / 1000)
        else:
            for stream in self.server.matching(fault.match):
                if kind is FaultKind.CUT_NOW:
                    stream.reset()
                else:
                    stream.go_silent()
        return fault

    def cut_connections(self, kind: str = "*") -> None:
        """Reset all live connections of a kind: "rest", "streams", "ws-api" or all."""
        self.strike(Fault(kind=FaultKind.CUT_NOW, match=kind))

    def state(self) -> dict[str, Any]:
        """Everything as plain values; what `/sim/state` shows."""
        return Admin(self).state()

    async def wait_replayed(self) -> None:
        """Until the capture's last frame has been handed to the sockets."""
        assert self.replay is not None, "this simulator's market is generated, nothing is replayed"
        await self.replay.done.wait()


def _chosen_instruments(family: Family, config: SimulatorConfig) -> Sequence[Instrument]:
    """What to list. A capture brings its own names. Raises ValueError for unknown ones."""
    wanted = family.default_symbols if config.symbols is None else config.symbols
    if isinstance(config.market, CaptureConfig):
        wanted = tuple(family.scan(config.market.path).symbols)
    return family.instruments(wanted, config.exchange_info)


def _start_price(config: SimulatorConfig, instrument: Instrument) -> Decimal:
    spec = instrument.spec
    return config.prices.get(spec.symbol) or config.prices.get(spec.name) or instrument.start_px


async def serve(
    config: SimulatorConfig,
    *,
    clock: Clock | None = None,
    task_status: trio.TaskStatus[Simulator] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run one simulator: `sim = await nursery.start(serve, config)`."""
    await Simulator(config, clock).run(task_status)


@asynccontextmanager
async def open_simulator(
    config: SimulatorConfig | None = None, *, clock: Clock | None = None
) -> AsyncIterator[Simulator]:
    """A simulator that serves while the block runs."""
    simulator = Simulator(config if config is not None else SimulatorConfig(), clock)
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.run)
        yield simulator
        nursery.cancel_scope.cancel()
