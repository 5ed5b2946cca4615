"""The shape of a configuration: one attrs class a section, one field a key.

Durations are integers whose name carries the unit (`_ms`, `_s`); amounts of money are `Decimal`, written in TOML as
text in quotes (a float would have lost digits already); kinds are enums.  Bounds stand beside the field they bound
(`within`), the rules between fields are in `config.rules`.  A field without a default must be given: risk limits have
none, because a limit that was forgotten must not become a limit that was never meant.

Example::

    [accounts.master]
    venues = ["binance-spot"]

    [accounts.master.keys.binance-spot]
    source = "env"
    kind = "ed25519"
    api_key_env = "MASTER_API_KEY"
    secret_env = "MASTER_PRIVATE_KEY"
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs

from config.venues import KINDS, KeyKind, KindFacts, VenueKind

__all__ = [
    "SIMULATOR",
    "AccountConfig",
    "Config",
    "ControlConfig",
    "DataConfig",
    "Display",
    "EngineConfig",
    "JournalConfig",
    "KeyConfig",
    "KeyKind",
    "KeySource",
    "LimitsConfig",
    "LogConfig",
    "LogLevel",
    "MarketSource",
    "Origin",
    "RiskConfig",
    "SimulatorConfig",
    "StrategyConfig",
    "SupervisionConfig",
    "SymbolLimits",
    "SyncPolicy",
    "VenueConfig",
    "VenueKind",
    "plain",
    "within",
]

SIMULATOR = "simulator"
"""The environment of the bundled simulator, at whatever port it got; may stand for any URL, too."""


class Display(enum.Enum):
    """What `bulkhead run` shows."""

    LIVE = "live"
    PLAIN = "plain"


class SyncPolicy(enum.Enum):
    """When the journal forces its bytes to the disk."""

    OS = "os"
    """Left to the operating system: a crash of the process loses nothing, a power cut up to half a minute."""
    INTERVAL = "interval"
    """Every `interval_ms`, beside the order path."""
    ALWAYS = "always"
    """Before an order may leave."""


class LogLevel(enum.Enum):
    """Least severity that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class MarketSource(enum.Enum):
    """Where the simulator's market comes from."""

    GENERATED = "generated"
    """A seeded generator: quotes, trades, bursts and gaps."""
    CAPTURE = "capture"
    """A recorded capture file, see `SimulatorConfig.capture`."""
    LIVE = "live"
    """The public streams of the real venue: paper trading."""


class KeySource(enum.Enum):
    """Where an account's key for one venue is kept."""

    DEMO = "demo"
    """Made at start and given to the simulator; worth nothing anywhere else."""
    ENV = "env"
    """In two environment variables."""
    FILE = "file"
    """In a file that only its owner may read (mode 0600)."""


def within(*, low: int | Decimal | None = None, high: int | Decimal | None = None) -> Mapping[str, object]:
    """Field metadata: the value must lie in [low, high]; checked when it is read, reported with its key."""
    return {"low": low, "high": high}


HIDDEN: Mapping[str, object] = {"hidden": True}
"""Field metadata: the value appears in no error text, because people paste secrets into such fields by mistake."""


@attrs.frozen(kw_only=True)
class EngineConfig:
    """`[engine]`"""

    name: str = "bulkhead"
    """What this engine is called in its log and by `bulkhead status --json`."""
    timezone: str = "Asia/Seoul"
    """Zone of every time that people read, and of the day that daily files and limits follow."""
    display: Display = Display.LIVE
    drain_timeout_ms: int = attrs.field(default=10_000, metadata=within(low=0, high=600_000))
    """How long an orderly stop waits for resting orders to be canceled."""


@attrs.frozen(kw_only=True)
class DataConfig:
    """`[data]`"""

    dir: Path = Path("data")
    """Journal, logs, snapshots, reports; a relative path starts at the working directory."""


@attrs.frozen(kw_only=True)
class JournalConfig:
    """`[journal]`"""

    sync: SyncPolicy = SyncPolicy.INTERVAL
    interval_ms: int = attrs.field(default=50, metadata=within(low=1, high=60_000))
    segment_mb: int = attrs.field(default=64, metadata=within(low=1, high=4_096))
    snapshot_records: int = attrs.field(default=1_000, metadata=within(low=100, high=10_000_000))
    """Records of one key after which its state is written whole, so that recovery reads little."""


@attrs.frozen(kw_only=True)
class ControlConfig:
    """`[control]`"""

    socket: Path | None = None
    """Unix socket of the control plane, mode 0600; default `control.sock` in the data folder."""


@attrs.frozen(kw_only=True)
class LogConfig:
    """`[log]`"""

    level: LogLevel = LogLevel.INFO


@attrs.frozen(kw_only=True)
class SimulatorConfig:
    """`[simulator]`: the bundled venue, run as a child process when `enabled`."""

    enabled: bool = False
    market: MarketSource = MarketSource.GENERATED
    seed: int = attrs.field(default=1, metadata=within(low=0))
    speed: Decimal = attrs.field(default=Decimal(1), metadata=within(low=Decimal("0.01"), high=Decimal(100_000)))
    """Times the recorded speed."""
    capture: Path | None = None
    """A `capture-jsonl v1` file; needed when `market = "capture"`."""
    port: int = attrs.field(default=0, metadata=within(low=0, high=65_535))
    """0: any free port of the loopback interface."""
    order_latency_ms: int = attrs.field(default=0, metadata=within(low=0, high=60_000))
    """From the request's arrival to its acceptance."""
    stream_latency_ms: int = attrs.field(default=0, metadata=within(low=0, high=60_000))
    """From an event to its message on the streams."""
    latency_jitter_ms: int = attrs.field(default=0, metadata=within(low=0, high=60_000))
    """At most so much more than `order_latency_ms`, at random."""
    maker_fee: Decimal = attrs.field(default=Decimal("0.001"), metadata=within(low=-1, high=1))
    taker_fee: Decimal = attrs.field(default=Decimal("0.001"), metadata=within(low=-1, high=1))
    """Parts of an order's value; a negative one is a rebate."""
    balances: Mapping[str, Mapping[str, Decimal]] = attrs.field(factory=dict)
    """Account -> asset -> free amount when it is opened."""
    remember: bool = True
    """Accounts, orders and trades outlive the run, in `simulator/` of the data folder."""
    fresh: bool = False
    """Put aside what is remembered and begin anew."""


@attrs.frozen(kw_only=True)
class VenueConfig:
    """`[venues.<kind>]`: one venue.  Its name is its kind: orders, files and actor paths bear it.

    Where it is, is said by an environment (dated URLs, see `bulkhead venues NAME`); a URL given here wins.
    """

    kind: VenueKind
    enabled: bool = True
    environment: str = SIMULATOR
    """`simulator`, or an environment of the venue: production, demo, testnet, ..."""
    orders: str = ""
    """Environment of everything that bears a signature; default `environment`.  Paper trading: `simulator`."""
    rest_url: str = ""
    """Public REST: instruments, book snapshots, candle history."""
    stream_url: str = ""
    """Public streams."""
    entry_url: str = ""
    """Order entry by WebSocket."""
    private_url: str = ""
    """The account's private stream; default `entry_url`."""
    private_rest_url: str = ""
    """Signed REST; default `rest_url`, unless `orders` says otherwise."""
    symbols: tuple[str, ...]
    recv_window_ms: int = attrs.field(default=5_000, metadata=within(low=1, high=60_000))
    """How long after its stamp the venue may still accept a request; after it, doubt can end."""
    hedge_mode: bool = False
    """The accounts hold both sides of a contract; must be what they are set to at the venue."""
    trade_mode: str = ""
    """How contracts are margined, in the venue's word (OKX: cash, cross, isolated)."""
    book_depth: int = attrs.field(default=0, metadata=within(low=0, high=5_000))
    """Levels of a book; 0: the venue's usual number."""
    connect_timeout_ms: int = attrs.field(default=5_000, metadata=within(low=100, high=60_000))
    request_timeout_ms: int = attrs.field(default=5_000, metadata=within(low=100, high=60_000))

    @property
    def facts(self) -> KindFacts:
        """What is fixed for this kind."""
        return KINDS[self.kind]

    @property
    def signed_environment(self) -> str:
        """Where orders go, unless a URL says otherwise."""
        return self.orders or self.environment

    @property
    def places(self) -> Mapping[str, str]:
        """Key of each URL -> the URL in force, or the name of the environment that it is taken from."""
        return {
            "rest_url": self.rest_url or self.environment,
            "stream_url": self.stream_url or self.environment,
            "entry_url": self.entry_url or self.signed_environment,
            "private_url": self.private_url or self.entry_url or self.signed_environment,
            "private_rest_url": self.private_rest_url or self.orders or self.rest_url or self.environment,
        }

    @property
    def needs_simulator(self) -> bool:
        """True when some connection goes to the bundled simulator."""
        return SIMULATOR in self.places.values()

    @property
    def trades_on_simulator(self) -> bool:
        """True when no order can reach the real venue."""
        places = self.places
        return all(places[key] == SIMULATOR for key in ("entry_url", "private_url", "private_rest_url"))


@attrs.frozen(kw_only=True)
class KeyConfig:
    """`[accounts.<name>.keys.<venue>]`: where the key is kept, never the key."""

    source: KeySource = attrs.field(metadata=HIDDEN)
    kind: KeyKind | None = attrs.field(default=None, metadata=HIDDEN)
    """Default: the venue's usual one."""
    api_key_env: str = attrs.field(default="", metadata=HIDDEN)
    secret_env: str = attrs.field(default="", metadata=HIDDEN)
    passphrase_env: str = attrs.field(default="", metadata=HIDDEN)
    """Names of environment variables (`source = "env"`); a passphrase only where the venue has one."""
    path: Path | None = attrs.field(default=None, metadata=HIDDEN)
    """Key file (`source = "file"`): line 1 the API key, the rest the secret (PEM or text); where the venue has a
    passphrase, it is the last line."""


@attrs.frozen(kw_only=True)
class AccountConfig:
    """`[accounts.<name>]`: one set of credentials; each venue keeps its own key."""

    venues: tuple[str, ...]
    keys: Mapping[str, KeyConfig] = attrs.field(factory=dict)
    enabled: bool = True
    dead_man_s: int = attrs.field(default=0, metadata=within(low=0, high=120))
    """A venue that can cancels this account's orders when it has not heard us for so long (OKX: 10 to 120 s), those of
    other programs too; 0: it is not asked to."""


ZERO = Decimal(0)


@attrs.frozen(kw_only=True)
class SymbolLimits:
    """`[risk.<scope>.symbols.<symbol>]`: what is tighter for one symbol; an absent key is no extra limit."""

    max_order_qty: Decimal | None = attrs.field(default=None, metadata=within(low=ZERO))
    """Base units."""
    max_order_notional: Decimal | None = attrs.field(default=None, metadata=within(low=ZERO))
    """USDT."""
    max_position_qty: Decimal | None = attrs.field(default=None, metadata=within(low=ZERO))
    """Base units, either side, worst case: held plus what live orders could add."""
    max_position_notional: Decimal | None = attrs.field(default=None, metadata=within(low=ZERO))
    price_band: Decimal | None = attrs.field(default=None, metadata=within(low=ZERO, high=Decimal(1)))


@attrs.frozen(kw_only=True)
class LimitsConfig:
    """`[risk.firm]` and `[risk.accounts.<name>]`: every limit must be given; 0 allows nothing."""

    max_order_notional: Decimal = attrs.field(metadata=within(low=ZERO))
    """Of one order, USDT (`RiskConfig.rates`)."""
    max_position_notional: Decimal = attrs.field(metadata=within(low=ZERO))
    """Of one symbol, worst case, USDT."""
    max_exposure: Decimal = attrs.field(metadata=within(low=ZERO))
    """Sum over all symbols, worst case, USDT."""
    max_open_orders: int = attrs.field(metadata=within(low=0, high=100_000))
    max_orders_per_s: int = attrs.field(metadata=within(low=0, high=1_000_000))
    max_orders_per_minute: int | None = attrs.field(default=None, metadata=within(low=0, high=60_000_000))
    """Absent: sixty times `max_orders_per_s`."""
    max_orders_per_day: int = attrs.field(default=1_000_000, metadata=within(low=0, high=1_000_000_000))
    """Beyond it the scope halts itself: something has run away."""
    max_repeats: int = attrs.field(default=1_000, metadata=within(low=0, high=1_000_000))
    """How often a strategy may make the very same decision within a minute; beyond it the account halts itself."""
    max_quote_age_ms: int = attrs.field(default=5_000, metadata=within(low=1, high=3_600_000))
    """An older quote is no reference price."""
    price_band: Decimal = attrs.field(metadata=within(low=ZERO, high=Decimal(1)))
    """Furthest that a limit price may be from the reference price, as a fraction of it: "0.05" is five percent."""
    symbols: Mapping[str, SymbolLimits] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class RiskConfig:
    """`[risk]`"""

    firm: LimitsConfig
    accounts: Mapping[str, LimitsConfig] = attrs.field(factory=dict)
    rates: Mapping[str, Decimal] = attrs.field(factory=dict)
    """Quote asset -> its worth in USDT, the unit of all notionals here; set it on the safe (high) side.  A symbol
    whose quote asset is neither USDT nor here cannot be valued, and is not traded."""


@attrs.frozen(kw_only=True)
class StrategyConfig:
    """`[strategies.<name>]`: one strategy actor; the name owns its orders and positions."""

    kind: str
    """`tfpe`, `market-maker`, an entry point's name, or `path/to/file.py:ClassName`."""
    account: str
    venue: str
    symbols: tuple[str, ...]
    enabled: bool = True
    params: Mapping[str, Any] = attrs.field(factory=dict)
    """Read and checked by the strategy's own parameter class."""


@attrs.frozen(kw_only=True)
class SupervisionConfig:
    """`[supervision]`: how often things may break before the next rung of the ladder hears of it."""

    max_restarts: int = attrs.field(default=5, metadata=within(low=0, high=1_000))
    """Of one supervisor within `within_s`; one more escalates."""
    within_s: int = attrs.field(default=30, metadata=within(low=1, high=86_400))
    backoff_first_ms: int = attrs.field(default=5, metadata=within(low=0, high=60_000))
    backoff_max_ms: int = attrs.field(default=5_000, metadata=within(low=0, high=600_000))
    stop_timeout_ms: int = attrs.field(default=5_000, metadata=within(low=0, high=600_000))
    """How long one child may take to stop before it is cut off."""
    watchdog_ms: int = attrs.field(default=5_000, metadata=within(low=100, high=600_000))
    """An actor that makes no progress for this long is restarted."""
    poison_crashes: int = attrs.field(default=2, metadata=within(low=1, high=100))
    """Crashes on one message after which it is set aside."""


@attrs.frozen(kw_only=True)
class Origin:
    """Where a configuration came from; no part of its value."""

    profile: str = ""
    """Name or path as it was asked for."""
    sources: Mapping[str, str] = attrs.field(factory=dict)
    """Dotted key -> file, environment variable or override that set it; what is absent is a default."""


@attrs.frozen(kw_only=True)
class Config:
    """The whole configuration of one engine."""

    engine: EngineConfig = attrs.field(factory=EngineConfig)
    data: DataConfig = attrs.field(factory=DataConfig)
    journal: JournalConfig = attrs.field(factory=JournalConfig)
    control: ControlConfig = attrs.field(factory=ControlConfig)
    log: LogConfig = attrs.field(factory=LogConfig)
    simulator: SimulatorConfig = attrs.field(factory=SimulatorConfig)
    venues: Mapping[str, VenueConfig]
    accounts: Mapping[str, AccountConfig]
    risk: RiskConfig
    strategies: Mapping[str, StrategyConfig] = attrs.field(factory=dict)
    supervision: SupervisionConfig = attrs.field(factory=SupervisionConfig)
    origin: Origin = attrs.field(factory=Origin, eq=False, repr=False, metadata={"derived": True})

    @property
    def socket_path(self) -> Path:
        """Where the control socket is."""
        return self.control.socket or self.data.dir / "control.sock"

    def config_hash(self) -> str:
        """SHA-256 over the effective values in a canonical form: 64 hexadecimal digits."""
        text = json.dumps(plain(self), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


def plain(value: Any) -> Any:
    """`value` in dictionaries, lists, text and numbers; numerically equal amounts give equal text."""
    if attrs.has(type(value)):
        fields = (f for f in attrs.fields(type(value)) if not f.metadata.get("derived"))
        return {f.name: plain(getattr(value, f.name)) for f in fields}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, Path):
        return str(value)
    return value
