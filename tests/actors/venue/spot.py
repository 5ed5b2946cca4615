"""All venue sessions of Binance Spot and one account, on the real runtime, against the simulator's real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal

import attrs

from actors.venue.clock import ClockActor, ClockSettings
from actors.venue.entry import OrderEntryActor
from actors.venue.http import HttpClient
from actors.venue.instruments import InstrumentsActor
from actors.venue.limiter import LimiterActor
from actors.venue.private import PrivateStreamActor
from actors.venue.public import PublicStreamActor
from actors.venue.reconciler import ReconcilerActor
from actors.venue.rest import RestActor
from actors.venue.sent import SentOnce
from actors.venue.settings import MS, EntrySettings, ReconnectSettings, TransportSettings, VenueEndpoints
from actors.venue.wants import Wants
from protocols.enums import OrdType, Side, TimeInForce
from protocols.ids import AccountID, ClOrdID, ClOrdIDs, Path, StrategyID, Symbol, Venue
from protocols.orders import NewOrder, SubmitCancel, SubmitOrder, account_path
from protocols.reconcile import (
    book_path,
    clock_path,
    entry_path,
    instruments_path,
    limiter_path,
    private_path,
    public_path,
    reconciler_path,
    rest_path,
)
from protocols.venue import SessionRules, Signer
from protocols.venues.binance_spot.private import BinanceSpotPrivate
from protocols.venues.binance_spot.public import BinanceSpotPublic
from protocols.venues.binance_spot.signer import HmacSigner, signer_for
from supervisors.actor import Actor
from supervisors.clock import SystemClock
from tests.actors.venue.world import Inbox, Probe, World, running
from tools.simulator import GeneratorConfig, ServerConfig, Simulator, SimulatorConfig, demo_account, open_simulator
from tools.simulator import Side as SimSide

VENUE = Venue("binance-spot")
MASTER, SUB = AccountID("master"), AccountID("sub1")
BTC, ETH = Symbol("BTCUSDT"), Symbol("ETHUSDT")

LIMITER, CLOCK, INSTRUMENTS = limiter_path(VENUE), clock_path(VENUE), instruments_path(VENUE)
REST, PUBLIC = rest_path(VENUE), public_path(VENUE)
PRIVATE, ENTRY, RECONCILER = private_path(MASTER, VENUE), entry_path(MASTER, VENUE), reconciler_path(MASTER, VENUE)
ACCOUNT = account_path(MASTER, VENUE)
READER = "/reader"

QUICK = ReconnectSettings(
    first_jitter_ns=10 * MS,
    backoff_ns=20 * MS,
    backoff_max_ns=100 * MS,
    refused_floor_ns=200 * MS,
    stable_after_ns=50 * MS,
    overlap_ns=300 * MS,
    handshake_timeout_ns=1_000 * MS,
)
TRANSPORT = TransportSettings(connect_timeout_ns=2_000 * MS, close_timeout_ns=200 * MS, http_timeout_ns=1_500 * MS)
CLOCKS = ClockSettings(probe_interval_ns=200 * MS, retry_interval_ns=50 * MS, watch_interval_ns=50 * MS)


def simulator_config(**changes: object) -> SimulatorConfig:
    """A quiet market of two symbols and one account."""
    config = SimulatorConfig(
        symbols=(BTC, ETH),
        accounts=(demo_account(MASTER), demo_account(SUB)),
        market=GeneratorConfig(events_per_s=40.0, burst_every_s=0.0),
    )
    return attrs.evolve(config, **changes)  # type: ignore[arg-type]


@attrs.define
class Spot:
    """The running sessions and what they said."""

    sim: Simulator
    world: World
    account: Inbox
    """What the master account's actor got."""
    accounts: dict[AccountID, Inbox]
    reader: Inbox
    books: dict[Symbol, Inbox]
    ids: ClOrdIDs

    async def trading(self, entry: Path = ENTRY) -> None:
        """Wait until order entry is connected, has permits and knows the clock."""
        wanted = ("connected", "permits", "clock_usable")
        await self.world.until(lambda: all(self.world.inspect(entry)[name] for name in wanted))

    def order(
        self,
        side: Side = Side.BUY,
        price: str = "",
        qty: str = "0.001",
        ord_type: OrdType = OrdType.LIMIT,
        account: AccountID = MASTER,
    ) -> NewOrder:
        """A limit order far from the market, unless a price is given; a MARKET order has none."""
        market = self.sim.exchange.markets[BTC]
        rests = (market.depth(SimSide.BUY, 1)[0][0] * Decimal("0.9")).quantize(Decimal(1))
        return NewOrder(
            self.ids.next(),
            account,
            StrategyID("mm"),
            VENUE,
            BTC,
            side,
            ord_type,
            Decimal(qty),
            None if ord_type is OrdType.MARKET else Decimal(price) if price else rests,
            SystemClock.wall_ns(),
            READER,
            TimeInForce.GTC,
        )

    def submit(self, order: NewOrder) -> ClOrdID:
        """Hand an order to order entry, as the journal does."""
        to = account_path(order.account, VENUE)
        self.world.tell(entry_path(order.account, VENUE), SubmitOrder(order, to))
        return order.cl_ord_id

    def cancel(self, cl_ord_id: ClOrdID) -> None:
        self.world.tell(ENTRY, SubmitCancel(cl_ord_id, None, BTC, ACCOUNT))


def signer_of(sim: Simulator, account: AccountID = MASTER, *, hmac: bool = False) -> Signer:
    """The key of one of the simulator's accounts."""
    keys = sim.credentials(account)
    if hmac:
        return HmacSigner(keys.hmac_key, keys.hmac_secret)
    return signer_for(keys.ed25519_key, keys.ed25519_private_pem)


def _account(
    codec: BinanceSpotPrivate,
    endpoints: VenueEndpoints,
    http: HttpClient,
    settings: EntrySettings,
    reconnect: ReconnectSettings,
) -> dict[Path, Callable[[], Actor]]:
    """The three sessions of one account."""
    sent, account = SentOnce(), codec.account
    return {
        reconciler_path(account, VENUE): lambda: ReconcilerActor(codec, http, limiter=LIMITER, clock=CLOCK),
        private_path(account, VENUE): lambda: PrivateStreamActor(
            codec, endpoints, limiter=LIMITER, clock=CLOCK, transport=TRANSPORT, reconnect=reconnect
        ),
        entry_path(account, VENUE): lambda: OrderEntryActor(
            codec,
            endpoints,
            http,
            sent,
            limiter=LIMITER,
            clock=CLOCK,
            settings=settings,
            transport=TRANSPORT,
            reconnect=reconnect,
        ),
    }


@asynccontextmanager
async def sessions(
    config: SimulatorConfig | None = None,
    *,
    only: tuple[Path, ...] = (),
    hmac: bool = False,
    rules: Callable[[SessionRules], SessionRules] = lambda rules: rules,
    entry: EntrySettings | None = None,
    reconnect: ReconnectSettings = QUICK,
    symbols: tuple[Symbol, ...] = (BTC, ETH),
    signer: Signer | None = None,
    accounts: tuple[AccountID, ...] = (MASTER,),
) -> AsyncIterator[Spot]:
    """The simulator, all sessions (or `only` some, with limiter, clock and instruments), and probes at the ends."""
    async with open_simulator(config or simulator_config()) as sim:
        public_codec = BinanceSpotPublic()
        public_codec.rules = rules(public_codec.rules)
        endpoints = VenueEndpoints(rest_url=sim.rest_url, stream_url=sim.stream_url, entry_url=sim.stream_url)
        wants = Wants()
        reader, inboxes = Inbox(), {account: Inbox() for account in accounts}
        books = {symbol: Inbox() for symbol in symbols}
        async with HttpClient(sim.rest_url, TRANSPORT, now_ns=SystemClock.wall_ns) as http:
            signing = [LIMITER]
            for account in accounts:
                signing += [sign(account, VENUE) for sign in (entry_path, private_path, reconciler_path)]
            factories: dict[Path, Callable[[], Actor]] = {
                LIMITER: lambda: LimiterActor(
                    VENUE, readers=[p for p in signing if p.endswith("/entry") and p in factories]
                ),
                CLOCK: lambda: ClockActor(
                    public_codec,
                    http,
                    limiter=LIMITER,
                    readers=[path for path in signing if path in factories],
                    settings=CLOCKS,
                ),
                INSTRUMENTS: lambda: InstrumentsActor(
                    public_codec, http, symbols, limiter=LIMITER, clock=CLOCK, readers=(READER,), reconnect=reconnect
                ),
                REST: lambda: RestActor(public_codec, http, limiter=LIMITER, clock=CLOCK),
                PUBLIC: lambda: PublicStreamActor(
                    public_codec,
                    endpoints,
                    symbols,
                    limiter=LIMITER,
                    transport=TRANSPORT,
                    reconnect=reconnect,
                    wants=wants,
                ),
            }
            for account in accounts:
                codec = BinanceSpotPrivate(account, signer or signer_of(sim, account, hmac=hmac))
                codec.rules = rules(codec.rules)
                factories |= _account(codec, endpoints, http, entry or EntrySettings(), reconnect)
            if only:
                kinds = {path.rpartition("/")[2] for path in (LIMITER, CLOCK, INSTRUMENTS, *only)}
                factories = {path: each for path, each in factories.items() if path.rpartition("/")[2] in kinds}
            for account, inbox in inboxes.items():
                factories[account_path(account, VENUE)] = lambda inbox=inbox: Probe(inbox)  # type: ignore[misc]
            factories[READER] = lambda: Probe(reader)
            for symbol, inbox in books.items():
                factories[book_path(VENUE, symbol)] = lambda inbox=inbox: Probe(inbox)  # type: ignore[misc]
            async with running(factories) as world:
                if INSTRUMENTS not in only:
                    await world.ready(INSTRUMENTS)  # from here on the limiter knows the venue's limits
                ids = ClOrdIDs(MASTER, "mm", 1, 1)
                yield Spot(sim, world, inboxes[MASTER], inboxes, reader, books, ids)


def server(**changes: float) -> ServerConfig:
    """A simulator server with other ping times or lifetimes."""
    return ServerConfig(**changes)  # type: ignore[arg-type]
