"""What a venue family must bring so that the simulator can be it: the `Dialect` protocol and the `Family` record.

One family is one process on one port: `binance-spot`, `binance-usdm`, `bybit`, `okx`, `upbit`.  It lives in a package
`tools/simulator/dialects/<package>` whose module `family` holds one `FAMILY: Family`.  `core.families` knows the names
and imports a family only when it is asked for.

**How a dialect works.** `Family.instruments` says what is listed, `Family.build` gets the `Parts` (exchange with its
markets open, clock, faults, scheduler, limits) and returns the `Dialect`.  It is a `Listener` of the exchange (or owns
some): what happens there it renders at once, publishing public messages on `hub` and private ones through `user_data`.
Requests it runs through `core.delivery.perform`, so that every request fault of `core.faults` works on every venue.

**Markets.** `SymbolSpec.symbol` is the *market key*: unique among everything that one family lists, and what
`Exchange.markets`, `Order.symbol`, `Trade.symbol`, `Position.symbol`, the generator, the replay and `/sim/...` use.
`SymbolSpec.name` is what the venue calls it on the wire.  Where the venue's names are unique (Binance, OKX's `instId`,
Upbit) the two are equal.  Where they are not (Bybit lists BTCUSDT as spot and as linear) the key is `category:name`
(`spot:BTCUSDT`, `linear:BTCUSDT`) and `SymbolSpec.category` holds the category.  `Exchange.market_of(category, name)`
finds a market by the wire's words.  `SimulatorConfig.symbols` may give a key, or a bare name for all of its categories
(`core.families.select` does that for `Family.instruments`).

**Quantities.** Orders, books and trades count what the venue's wire counts: coins, or contracts where
`SymbolSpec.contract_size` is not one (OKX swaps).  Money is `price * qty * contract_size`, see `SymbolSpec.amount`.

**Order numbers.** `Order.order_id` is an integer.  It counts per symbol, or over all symbols where
`Family.shared_order_ids`.  A venue whose ids look otherwise (UUID, digits) sets `Exchange.name_order`, a function from
the order to its text, in `build`; the text is then `Order.venue_id` and `Exchange.by_venue_id` finds the order.

**Memory.** What an order is about, and the exchange does not know, belongs into `Order.extra` (plain values, and attrs
classes and enums of this package): `core.keeper` writes it with the order.  What else must outlive the process a
dialect declares by `core.memory.Remembers`.

**Time.** Everything is nanoseconds, from `Parts.clock`.  Nothing of a dialect sleeps: `Parts.scheduler.after(seconds,
action)` calls later, `tick` is called every 100 ms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import attrs

from tools.simulator.core.accounts import Account
from tools.simulator.core.capture import ReplayCodec, Scan
from tools.simulator.core.clock import Clock
from tools.simulator.core.exchange import Exchange
from tools.simulator.core.faults import FaultPlan
from tools.simulator.core.hub import Hub
from tools.simulator.core.latency import Latency
from tools.simulator.core.live import LiveConfig, LiveFeed
from tools.simulator.core.model import SymbolSpec
from tools.simulator.core.net import WsConnection
from tools.simulator.core.private import PrivateChannel
from tools.simulator.core.scheduler import Scheduler
from tools.simulator.core.server import HttpRequest, HttpResponse


@attrs.define
class Arrival:
    """What became of one client order id: how often a new order with it arrived, how often it was accepted."""

    seen: int = 0
    accepted: int = 0


class Instrument(Protocol):
    """One listed symbol.  A dialect's own class holds more: the venue's raw object, filters, brackets."""

    @property
    def spec(self) -> SymbolSpec: ...

    @property
    def start_px(self) -> Decimal:
        """Where a generated market starts when nobody says otherwise."""
        ...


@attrs.frozen(kw_only=True)
class Parts:
    """What a dialect is built from.  The exchange's markets are open, its accounts come afterwards."""

    exchange: Exchange
    instruments: Sequence[Any]  # what `Family.instruments` returned
    clock: Clock
    faults: FaultPlan
    scheduler: Scheduler
    limits: Any  # an object of `Family.limits`
    latency: Latency
    seed: int = 0


class Dialect(Protocol):
    """A venue over one exchange, as Simulator, Front, Admin, Server, Generator, Replay and LiveFeed see it."""

    @property
    def hub(self) -> Hub:
        """Public streams.  Publish a `Message` under a name of your own, e.g. `btcusdt@depth@100ms`,
        `linear/orderbook.50.BTCUSDT`: public faults (`drop`, `delay`, `duplicate`, `reorder`) match this name.  A
        message that belongs to a sequence says its first and last id in `Message.ids`."""
        ...

    @property
    def user_data(self) -> PrivateChannel:
        """Private events, through the fault plan (`event_drop`, `event_duplicate`, `event_delay`)."""
        ...

    @property
    def arrivals(self) -> dict[str, Arrival]:
        """By client order id.  `seen` counts each new order that reached the venue, refused or not, before anything is
        checked; `accepted` each that became an order.  The exactly-once tests read it."""
        ...

    @property
    def requests(self) -> Counter[str]:
        """By method name (the subject that request faults match), as they arrived."""
        ...

    history_of: Callable[[str], None] | None
    """Set by the simulator of a generated market.  Call it with a market key before candles are read: it invents those
    of the days before the start."""

    # -------------------------------------------------------------------------------- the server's calls
    def kind_of(self, path: str) -> str:
        """What connection faults are matched with.  "rest", "streams" (public), "private" (user data that has a socket
        of its own) and "ws-api" (order entry); a venue may add words of its own, e.g. "business"."""
        ...

    async def http(self, request: HttpRequest) -> HttpResponse:
        """One REST request, the venue's errors and 404s included.  Never raises for anything a client did."""
        ...

    def refuse_websocket(self, connection: WsConnection) -> HttpResponse | None:
        """None to accept the upgrade.  `connection` has target (path and query), peer and headers (lower case).

        What the address itself subscribes to must be in force when this returns, since the client may act at once;
        `connection.session` keeps what `websocket` will serve, `connection.at_end` what is to be undone at the end.
        """
        ...

    async def websocket(self, connection: WsConnection) -> None:
        """Serve until it ends.  Raises ConnectionClosed, which the server expects."""
        ...

    # ------------------------------------------------------------------------------------ the simulator's
    def begin(self) -> None:
        """The books are open: publish changes from here on."""
        ...

    def tick(self, now_ns: int) -> None:
        """Every 100 ms of the venue's clock, on the grid: depth, candles, tickers, the clock-driven streams."""
        ...

    def urls(self, http: str, ws: str) -> dict[str, str]:
        """All base addresses by name, from `http://host:port` and `ws://host:port`.  "rest" is always there; "streams",
        "private", "ws_api" where the venue has them: what an operator would write into the engine's configuration."""
        ...

    def revoke_key(self, api_key: str) -> None:
        """The key stops working and its sessions learn it the venue's way.  Raises ValueError for an unknown key."""
        ...

    def announce_shutdown(self, then_close_after_s: float) -> None:
        """Say, where the venue has words for it, that connections are about to end; then end the WebSockets."""
        ...

    def deposited(self, account: Account, asset: str, amount: Decimal) -> None:
        """Money came in (or went out, negative): tell the account's private streams."""
        ...

    def state(self) -> dict[str, Any]:
        """What `/sim/state` should show beyond what is the same everywhere; `{}` is fine."""
        ...

    # ------------------------------------------------------------------------------------ recorded and live
    def replay_codec(self) -> ReplayCodec:
        """What the frames of a recording of this venue mean.  Asked for once, for a recorded or live market."""
        ...

    def live_feed(self, config: LiveConfig) -> LiveFeed:
        """Follow the real venue's public streams.  Raises ValueError where this family cannot."""
        ...


@attrs.frozen(kw_only=True)
class Family:
    """One venue family: everything that must be known before it runs."""

    name: str
    title: str
    """For people: `Binance USDT-M Futures`."""
    build: Callable[[Parts], Dialect]
    instruments: Callable[[tuple[str, ...], Path | None], Sequence[Instrument]]
    """From wanted market keys or names (empty: all there are) and perhaps a file with the venue's own list.  A path may
    be a folder or a list of one category; what it may be is the family's to document.  Raises ValueError naming an
    unknown symbol."""
    default_symbols: tuple[str, ...]
    scan: Callable[[Path], Scan]
    """A capture's market keys and recorded REST snapshots; `core.capture.scan_capture` with a suitable `symbol_of`."""
    book_streams: str
    """A shell pattern of the names of those streams that tell changes of a book: where `--gap-probability` strikes."""
    limits: Callable[..., Any]
    """An attrs class of integers, 0 = off.  `limits()` is what the venue allows; the command line's `--limit NAME=N`
    sets a field, by its name or by one of `limit_names`."""
    limit_names: dict[str, str] = attrs.Factory(dict)
    """Short word -> field."""
    balances: dict[str, Decimal]
    """Of a demo account."""
    maker_rate: Decimal = Decimal("0.001")
    taker_rate: Decimal = Decimal("0.001")
    rates: dict[str, tuple[Decimal, Decimal]] = attrs.Factory(dict)
    """Category -> maker's and taker's rate, where a category has its own."""
    ping_every_s: float = 20.0
    """Server pings on WebSockets; 0 where the venue sends none and the client must."""
    pong_within_s: float = 60.0
    """How long it waits for the pong."""
    shared_order_ids: bool = False
    live_instruments_url: Callable[[LiveConfig, tuple[str, ...]], str | tuple[str, ...]] | None = None
    """Where the real venue lists these symbols, in several lists where it has categories (`instruments` then gets the
    folder with the answers); None where there is no live feed."""
