"""A whole simulated venue: exchange, market, dialect and server, as one object.

    async with open_simulator(SimulatorConfig(accounts=(demo_account("alpha"),))) as sim:
        async with httpx.AsyncClient(base_url=sim.rest_url) as client:
            ...
        assert sim.arrivals("my-order-1").seen == 1

The same object is what a test reads and breaks things with: it answers directly, without a socket.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import trio

from tools.simulator.admin import Admin, Front
from tools.simulator.core import outside
from tools.simulator.core.accounts import Account, KeyKind
from tools.simulator.core.capture import CaptureConfig, Replay, scan_capture
from tools.simulator.core.clock import MS, Clock, SystemClock
from tools.simulator.core.exchange import Exchange
from tools.simulator.core.faults import IMMEDIATE, Fault, FaultKind, FaultPlan
from tools.simulator.core.generator import TICK_NS, Generator, GeneratorConfig
from tools.simulator.core.latency import Latency
from tools.simulator.core.limits import LimitConfig
from tools.simulator.core.live import LiveConfig, LiveFeed
from tools.simulator.core.model import Fill, Order, Side
from tools.simulator.core.scheduler import Scheduler
from tools.simulator.core.server import Server, ServerConfig
from tools.simulator.credentials import Credentials, derive_credentials
from tools.simulator.dialects.binance_spot.replay import SpotReplay
from tools.simulator.dialects.binance_spot.symbols import (
    DEFAULT_PRICES,
    SymbolInfo,
    default_symbols,
    load_symbols,
)
from tools.simulator.dialects.binance_spot.venue import Arrival, BinanceSpot

DEMO_BALANCES = {
    "USDT": Decimal(1_000_000),
    "USDC": Decimal(1_000_000),
    "BTC": Decimal(20),
    "ETH": Decimal(500),
    "BNB": Decimal(1_000),
    "SOL": Decimal(5_000),
}


@attrs.frozen(kw_only=True)
class AccountConfig:
    """One account that exists from the start."""

    name: str
    balances: dict[str, Decimal] = attrs.field(factory=lambda: dict(DEMO_BALANCES))
    keys: tuple[tuple[str, KeyKind, str], ...] = ()  # API key, kind, secret or public key
    maker_rate: Decimal = Decimal("0.001")
    taker_rate: Decimal = Decimal("0.001")
    trade_group: int = -1


def demo_account(name: str, *, seed: int = 1, balances: dict[str, Decimal] | None = None) -> AccountConfig:
    """An account with the keys of `derive_credentials(name, seed)`."""
    return AccountConfig(
        name=name,
        balances=dict(DEMO_BALANCES if balances is None else balances),
        keys=tuple(derive_credentials(name, seed).keys()),
    )


@attrs.frozen(kw_only=True)
class SimulatorConfig:
    """Everything that can be chosen. The defaults give a lively generated market on a free port."""

    seed: int = 1
    server: ServerConfig = attrs.field(factory=ServerConfig)
    market: GeneratorConfig | CaptureConfig | LiveConfig = attrs.field(factory=GeneratorConfig)
    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "ETHBTC")
    exchange_info: Path | None = None  # the venue's own answer instead of the built-in list
    prices: dict[str, Decimal] = attrs.field(factory=dict)  # where generated symbols start
    accounts: tuple[AccountConfig, ...] = ()
    limits: LimitConfig = attrs.field(factory=LimitConfig)
    latency: Latency = attrs.field(factory=Latency)
    faults: tuple[Fault, ...] = ()


class Simulator:
    """One running venue. Build it with `open_simulator` or `serve`."""

    def __init__(self, config: SimulatorConfig, clock: Clock | None = None) -> None:
        self.config = config
        self.clock: Clock = clock if clock is not None else SystemClock()
        self.faults = FaultPlan(seed=config.seed)
        self.scheduler = Scheduler()
        self.exchange = Exchange(self.clock)
        self.stopping = trio.Event()
        capture = config.market if isinstance(config.market, CaptureConfig) else None
        infos = _chosen_symbols(config, capture)
        for info in infos:
            self.exchange.add_market(info.spec, publishes_queue=isinstance(config.market, GeneratorConfig))
        self.venue = BinanceSpot(
            self.exchange,
            infos,
            clock=self.clock,
            faults=self.faults,
            scheduler=self.scheduler,
            limits=config.limits,
            latency=config.latency,
            seed=config.seed,
        )
        self.venue.hub.delay_s = config.latency.market_ms / 1000
        self.venue.user_data.delay_s = config.latency.event_ms / 1000
        for account in config.accounts:
            self.create_account(account)
        self.server = Server(Front(self.venue, Admin(self)), self.faults, config.server)
        self.generator: Generator | None = None
        self.replay: Replay | None = None
        self.live: LiveFeed | None = None
        if isinstance(config.market, GeneratorConfig):
            prices = {info.spec.symbol: _start_price(config, info) for info in infos}
            market = attrs.evolve(config.market, seed=config.market.seed * 1_000_003 + config.seed)
            self.generator = Generator(self.exchange, prices, market)
            self.generator.on_tick.append(self.venue.streams.tick)
            self.venue.history_of = self.generator.history
        elif isinstance(config.market, CaptureConfig):
            self.replay = Replay(self.venue.hub, SpotReplay(self.venue), config.market)
        else:
            names = tuple(info.spec.symbol for info in infos)
            self.live = LiveFeed(self.venue.hub, SpotReplay(self.venue), config.market, names)
        for fault in config.faults:
            self.strike(fault)

    # ------------------------------------------------------------------------------------------ running
    def open_market(self) -> None:
        """Fill the books. `run` does it; a test that drives a virtual clock by hand calls it itself."""
        if self.generator is not None:
            self.generator.start()
        elif self.replay is not None:
            self.replay.prepare()
        self.venue.streams.begin()

    async def run(self, task_status: trio.TaskStatus[Simulator] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled or stopped; started once the port is open."""
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

    async def _tick_for_ever(self) -> None:
        """A replay has no events of its own for candles and statistics; the clock gives them."""
        while True:
            now = self.clock.now_ns()
            await trio.sleep((TICK_NS - now % TICK_NS) / 1e9)
            self.venue.streams.tick(self.clock.now_ns() // TICK_NS * TICK_NS)

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
    def stream_url(self) -> str:
        """Market streams: append `/ws/<stream>` or `/stream?streams=...`."""
        return f"ws://{self.config.server.host}:{self.port}"

    @property
    def ws_api_url(self) -> str:
        return f"{self.stream_url}/ws-api/v3"

    # ------------------------------------------------------------------------------------------ handles
    def create_account(self, config: AccountConfig) -> Account:
        """Open an account with its keys. Raises ValueError for names or keys that are taken."""
        account = self.exchange.accounts.create(
            config.name,
            config.balances,
            maker_rate=config.maker_rate,
            taker_rate=config.taker_rate,
            trade_group=config.trade_group,
        )
        for api_key, kind, secret in config.keys:
            self.exchange.accounts.add_key(account, api_key, kind, secret)
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
        outside.trade(self.exchange, symbol, side, qty, price)

    def quote(self, symbol: str, side: Side, qty: Decimal, price: Decimal) -> None:
        """Somebody else's order rests in the book (generated market), or the displayed quantity of a price
        becomes `qty` (replayed market)."""
        outside.quote(self.exchange, symbol, side, qty, price)

    def deposit(self, account: str, asset: str, amount: Decimal) -> None:
        """Money comes in (or goes out, negative). Raises ValueError where it is not there."""
        holder = self.account(account)
        if holder.balance(asset).free + amount < 0:
            raise ValueError(f"{account} has {holder.balance(asset).free} {asset} free, cannot take {-amount}")
        holder.credit(asset, amount)
        self.venue.user_data.balance_update(holder, asset, f"{amount:.8f}")

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


def _chosen_symbols(config: SimulatorConfig, capture: CaptureConfig | None) -> list[SymbolInfo]:
    """The instruments to list. A capture brings its own names. Raises ValueError for unknown ones."""
    wanted = list(config.symbols)
    if capture is not None:
        wanted = scan_capture(capture.path).symbols
    if config.exchange_info is not None:
        return load_symbols(config.exchange_info, set(wanted) if wanted else None)
    known = {info.spec.symbol: info for info in default_symbols()}
    missing = [symbol for symbol in wanted if symbol not in known]
    if missing:
        raise ValueError(
            f"no built-in instrument {', '.join(missing)}; known are {', '.join(known)}, or give exchange_info"
        )
    return [known[symbol] for symbol in wanted]


def _start_price(config: SimulatorConfig, info: SymbolInfo) -> Decimal:
    symbol = info.spec.symbol
    found = config.prices.get(symbol) or DEFAULT_PRICES.get(symbol)
    return found if found is not None else info.spec.tick_size * 100_000


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
