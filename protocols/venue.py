"""The venue interface: what a sixth venue has to supply, and nothing more.

A venue is a *codec*: commands in -> bytes out, bytes in -> typed events out.  It neither sleeps nor connects, reads no
clock and draws no random number; the sessions in `actors/venue` run every codec alike and decide by `Capabilities`,
never by a venue's name.  Times are wall-clock nanoseconds of *our* clock unless a name says `venue_ns`.

Any input gives events or `RemoteProtocolError`, nothing else.  An unknown enum value becomes `UnrecognizedMessage`.

One file because it is one contract: who writes a venue reads it from top to bottom.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol, runtime_checkable

import attrs

from protocols.base import Event, Message, message
from protocols.enums import Channel as Channel
from protocols.enums import OrdRejReason, OrdType, Side
from protocols.errors import Unrecognized
from protocols.ids import AccountID, ClOrdID, OrderID, Symbol, TradeID, Venue
from protocols.instruments import Instrument
from protocols.market import BookDelta, BookSnapshot, Candle, Level, Ticker
from protocols.orders import ExecutionReport, NewOrder
from protocols.positions import Balance, VenuePosition


class Lane(enum.IntEnum):
    """Priority of a request when a venue's budget is short; lower goes first."""

    CANCEL = 0
    REDUCE = 1
    NEW = 2
    QUERY = 3


@attrs.frozen(kw_only=True)
class Capabilities:
    """What a venue can do; printed by `bulkhead venues`, used instead of venue names."""

    ws_order_entry: bool
    ws_logon: bool
    """A session can be logged on once, so that orders need no signature of their own."""
    amend_keeps_priority: bool
    cancel_replace: bool
    cancel_all_symbol: bool
    cancel_all_account: bool
    batch_size_max: int
    dead_man_switch: bool
    hedge_mode: bool
    private_snapshot_on_subscribe: bool
    request_window: bool
    """Requests carry a deadline after which the venue refuses them, so that doubt has an end."""
    query_by_cl_ord_id: bool
    post_only: bool
    reduce_only: bool
    market_by_quote: bool
    cl_ord_id_reusable: bool
    """The venue forgets ids of finished orders: a blind resend could make a second order."""
    ws_cancel_all: bool = True
    """A mass cancel is an operation of the order-entry connection too, not of REST alone."""
    fills_from_trade_id: bool = True
    """Own trades can be asked for from a trade id on; where not, by time (`fills_request(since_ns=...)`)."""
    fills_by_time: bool = True
    """There is a list of own trades; where not, `fills_request` needs an order id: fills are shown with it alone."""
    market_buy_by_qty: bool = True
    """A MARKET order can buy a quantity; where not, a buy that must fill now is a LIMIT with IOC."""
    cancel_batch_max: int = 1
    """Orders that one request can cancel (`BatchCodec.rest_cancel_orders`)."""
    subscriptions_add: bool = True
    """Subscribe frames add up; where not, each replaces all before it: give `subscribe` the whole wanted set."""
    channels: frozenset[Channel] = frozenset(
        {Channel.BOOK, Channel.BOOK_TICKER, Channel.TRADES, Channel.TICKER, Channel.CANDLES_1M}
    )
    """Public streams that there are."""
    server_time: bool = True
    """The venue tells its clock to the millisecond; where not, `decode_time` is good to a second: nothing needs it."""
    amends: bool = True
    """A resting order's quantity can be changed; where not, an amend is refused before it is sent."""
    amend_needs_terms: bool = False
    """An amend states side, price and quantity anew (`AmendsByTerms`): `amend_order` knows too little."""
    amends_price: bool = False
    """A resting order's price can be changed in place too, and its quantity raised (`AmendsByTerms`); it may lose its
    place in the queue."""
    candles_max: int = 200
    """Bars that one `candles_request` can have."""
    listen_key: bool = False
    """The private stream is addressed by a key from REST (`ListenKeys`) and needs no subscription."""
    ws_batches: bool = False
    """Batches are operations of the order-entry connection too (`BatchCodec.new_orders`), not of REST alone."""
    dead_man_by_symbol: bool = False
    """The dead-man switch is armed for each symbol; where not, for the whole account."""
    positions: bool = False
    """The venue keeps contract positions (`KnowsPositions`)."""
    triggers: frozenset[OrdType] = frozenset()
    """Orders that it keeps until a price is reached; an instrument may take fewer (`Instrument.ord_types`)."""
    wallet: str = ""
    """Name of the wallet that several products of one key share; "": the money is this venue's alone."""


@attrs.frozen(kw_only=True)
class Expectation:
    """How soon a sound subscription of a public channel speaks.  What is silent for longer is dead, whatever pongs say.

    The first two are the venue's promises, kept for each symbol even when nothing happens in it: broken, they prove
    the death of that subscription, and its readers are told.  The last is a suspicion, because a symbol may be quiet:
    the connection is replaced by one with the same subscriptions, with overlap, so that nobody misses anything, and
    each time that this changes nothing the patience doubles.
    """

    first_ns: int = 0
    """From the venue's confirmation to the first message; 0: no promise."""
    repeat_ns: int = 0
    """From one message to the next; 0: no promise."""
    quiet_ns: int = 300_000_000_000
    """Without a promise: from confirmation to first message, and between two messages of the whole channel."""


@attrs.frozen(kw_only=True)
class SessionRules:
    """Liveness of the venue's connections."""

    connection_age_max_ns: int
    """The venue closes older connections; replace before."""
    server_ping_interval_ns: int
    """0: the venue sends none and expects ours."""
    silence_max_ns: int
    """No byte for this long means that the connection is dead, whatever the socket says."""
    client_ping_interval_ns: int
    """0: we need not ping."""
    messages_per_s_max: int
    """Frames we may send on one connection; 0: no such rule."""
    subscriptions_max: int
    request_timeout_ns: int
    """Longest that the venue itself works on a request before it gives up."""
    messages_per_min_max: int = 0
    """As `messages_per_s_max`, for the minute; 0: no such rule."""
    requests_per_h_max: int = 0
    """As `messages_per_s_max`, for the hour, counting only subscriptions, their ends and logons; 0: no such rule."""
    connect_weight: int = 0
    """What one attempt to connect costs of the address's `weight`."""
    books_max: int = 0
    """As `subscriptions_max`, for books alone; 0: no such rule."""
    expectations: Mapping[Channel, Expectation] = attrs.field(factory=dict)
    """What public channels promise; a channel that is not named promises nothing (`Expectation()`)."""


class Scope(enum.Enum):
    """What a rate limit counts for."""

    ADDRESS = "address"
    """Everything that comes from one IP address, on all products of the family."""
    ACCOUNT = "account"
    """One account, on all products of the family."""
    PRODUCT = "product"
    """One account on this product alone."""
    SYMBOL = "symbol"
    """One account in one instrument."""


@attrs.frozen
class Limit:
    """One window of a venue's rate limit."""

    name: str
    """`weight`, `raw`, `connections`, what order entry leases (`orders`, `amends`, `cancels`), or an
    `HttpRequest.group`."""
    interval_ns: int
    limit: int
    scope: Scope = attrs.field(
        default=attrs.Factory(lambda self: Scope.ACCOUNT if self.name == "orders" else Scope.ADDRESS, takes_self=True)
    )
    aligned: bool = True
    """The windows begin at multiples of the interval on the venue's clock; False: nobody knows where they begin."""
    groups: tuple[str, ...] = ()
    """Further names of what counts here: the groups of REST requests that share the bucket."""


@message
class Usage:
    """What the venue says we have used in one window, from a reply's headers or `rateLimits`."""

    name: str
    interval_ns: int
    used: int


@message
class HttpRequest:
    """One REST request, complete: `query` is percent-encoded, in the order that was signed."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: str
    weight: int
    lane: Lane
    group: str = ""
    """Bucket of the venue that counts this request, where it has several for one account or IP."""
    units: int = 1
    """How much of that bucket it takes: the orders of a batch, where the venue counts those."""


@attrs.frozen
class HttpReply:
    """One REST answer as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent_ns: int
    received_ns: int
    group: str = ""
    """`HttpRequest.group` of the request that this answers: which bucket its headers speak of."""


@message
class Frame:
    """One WebSocket text frame to send; `request_id` is what its reply will echo ("" when there is none)."""

    text: str
    request_id: str
    weight: int = 0
    lane: Lane = Lane.NEW


class Disposition(enum.Enum):
    """What a venue's answer means for the request, keyed by (product, code) in each venue's `errors.py`."""

    OK = "ok"
    REJECTED = "rejected"
    RATE_LIMITED = "rate_limited"
    BANNED = "banned"
    CLOCK = "clock"
    AUTH = "auth"
    UNKNOWN = "unknown"
    NOT_FOUND = "not_found"
    ALREADY_FINAL = "already_final"
    BUSY = "busy"
    MAINTENANCE = "maintenance"
    BUG = "bug"


@attrs.frozen
class VenueError:
    """A venue's refusal, classified."""

    disposition: Disposition
    code: str
    text: str
    reason: OrdRejReason = OrdRejReason.VENUE
    until_ns: int = 0
    """Wall clock until which nothing may be sent (RATE_LIMITED, BANNED)."""
    scope: Scope = Scope.ADDRESS
    """Whom `until_ns` concerns: all on this address, or (ACCOUNT) whoever asked, in the buckets that it counted in."""
    buckets: tuple[str, ...] = ()
    """With ADDRESS: only what counts as one of these (`Limit.name`), as each REST request does as `raw`; (): all."""


@message
class Reply:
    """A reply on the order-entry connection, or the decoded answer of a REST order request.

    Exactly one of `report`, `error`, `payload` is set: an order's new state, a classified refusal, or the venue's
    answer to something that is not an order (logon, subscribe, ping).  The answer to a batch is a payload whose
    `parts` are the answers to its members, in the order in which they were sent: some may be refusals.
    """

    request_id: str
    report: OrderState | None = None
    error: VenueError | None = None
    payload: Mapping[str, object] | None = None
    usage: tuple[Usage, ...] = ()
    parts: tuple[Reply, ...] = ()


@message
class OrderState:
    """An order as the venue describes it in a reply or a query; the account turns it into ExecutionReports.

    `cl_ord_id` is the *original* client id even where the venue renames on cancel.
    """

    cl_ord_id: ClOrdID
    order_id: OrderID
    symbol: Symbol
    report: ExecutionReport | None
    """The full report when the venue sent one; None for a bare acknowledgement."""
    fills: tuple[ExecutionReport, ...] = ()
    transact_ns: int = 0


@message
class UnrecognizedMessage(Event):
    """Something the venue sent that our vocabulary lacks; kept, counted and shown, never guessed."""

    venue: Venue
    what: tuple[Unrecognized, ...]
    raw: str


@message
class StreamTerminated(Event):
    """The venue ended a stream or announced that it will shut the connection down."""

    venue: Venue
    text: str
    announced: bool = False
    """The connection still works: open its successor before it ends.  False: nothing more comes over it."""


@attrs.frozen
class Fill:
    """One own trade from a history query."""

    report: ExecutionReport


class Signer(Protocol):
    """Holds a secret and signs; the secret itself cannot be had from it."""

    @property
    def api_key(self) -> str: ...

    @property
    def can_logon(self) -> bool:
        """True for key kinds that the venue accepts for a session logon (Ed25519 on Binance)."""
        ...

    def sign(self, payload: bytes) -> str:
        """Signature text as the venue wants it: hex for HMAC, base64 for Ed25519."""
        ...


class Verdict(enum.Enum):
    """What a book does with a delta or a snapshot."""

    APPLY = "apply"
    """It continues the book: set the levels (a snapshot: replace the book, then apply the bridge's `replay`)."""
    IGNORE = "ignore"
    """It says nothing that the book does not know."""
    BUFFER = "buffer"
    """The book has no base yet; the sequencer keeps the delta until a snapshot comes."""
    GAP = "gap"
    """Something is missing: discard the book and get a snapshot.  The sequencer has already started over."""
    TOO_OLD = "too_old"
    """The snapshot does not reach the deltas at hand: fetch another; what is buffered stays."""


@attrs.frozen
class Bridge:
    """How a snapshot joins the stream; `replay` are the buffered deltas that follow it, in order (APPLY only)."""

    verdict: Verdict
    replay: tuple[BookDelta, ...] = ()


class BookSequencer(Protocol):
    """One symbol's sequence rules: decides whether a book is proven continuous, holds no levels.

    A book asks it about every delta and snapshot *before* it touches its levels.  Ids are the venue's; connections
    are the book's business: on `StreamUp` and `StreamDown` it calls `reset`.
    """

    snapshot_depth: int
    """Levels to ask for in a `SnapshotRequest`; 0 when the stream itself begins with a snapshot."""

    @property
    def synced(self) -> bool:
        """True between a snapshot that was bridged and the next gap or reset."""
        ...

    @property
    def last_id(self) -> int:
        """Update id that the book has reached; -1 while not synced."""
        ...

    def on_delta(self, delta: BookDelta) -> Verdict:
        """APPLY or IGNORE when synced, BUFFER or IGNORE when not, GAP when continuity is lost by this delta."""
        ...

    def on_snapshot(self, snapshot: BookSnapshot) -> Bridge:
        """APPLY with the deltas to replay, TOO_OLD, or IGNORE (not needed: already synced)."""
        ...

    def reset(self) -> None:
        """Forget everything, also what is buffered."""
        ...


@runtime_checkable
class ChecksBooks(Protocol):
    """A sequencer of a venue that states a checksum of the book with its messages (`BookDelta.checksum`)."""

    checksum_levels: int
    """The best levels of each side that it is made of."""

    def checksum_holds(self, bids: Sequence[Level], asks: Sequence[Level], stated: int) -> bool:
        """Whether these levels, best first, are those that `stated` (never 0) speaks of."""
        ...


class PublicCodec(Protocol):
    """Public streams and public REST of one venue and product."""

    venue: Venue
    capabilities: Capabilities
    rules: SessionRules

    def stream_path(self) -> str:
        """Path of the public stream connection."""
        ...

    def subscribe(self, wanted: Sequence[tuple[Channel, Symbol]], request_id: int) -> Sequence[Frame]:
        """Frames that add these subscriptions, split to the venue's frame limits."""
        ...

    def unsubscribe(self, unwanted: Sequence[tuple[Channel, Symbol]], request_id: int) -> Sequence[Frame]: ...

    def decode(self, raw: str | bytes, received_ns: int, connection: int) -> Sequence[Reply | Message]:
        """Events of one stream message: BookDelta, Trade, BookTicker, Candle, StreamTerminated, acks as Reply."""
        ...

    def time_request(self) -> HttpRequest: ...

    def decode_time(self, reply: HttpReply) -> int:
        """Venue time, ns."""
        ...

    def instruments_request(self, symbols: Sequence[Symbol]) -> HttpRequest: ...

    def decode_instruments(self, reply: HttpReply) -> tuple[Sequence[Instrument], Sequence[Limit]]: ...

    def snapshot_request(self, symbol: Symbol, depth: int) -> HttpRequest: ...

    def decode_snapshot(self, symbol: Symbol, reply: HttpReply, connection: int) -> BookSnapshot: ...

    def sequencer(self, symbol: Symbol) -> BookSequencer:
        """Fresh sequence rules for one symbol's book."""
        ...

    def candles_request(self, symbol: Symbol, interval_ns: int, limit: int, end_ns: int | None = None) -> HttpRequest:
        """The last `limit` bars, or the last of those that open before `end_ns`; never more than
        `capabilities.candles_max`."""
        ...

    def decode_candles(self, symbol: Symbol, interval_ns: int, reply: HttpReply) -> Sequence[Candle]:
        """Closed bars only, oldest first."""
        ...

    def tickers_request(self, symbols: Sequence[Symbol]) -> HttpRequest:
        """For at least one symbol; a venue that cannot be asked for several is asked for all."""
        ...

    def decode_tickers(self, reply: HttpReply) -> Sequence[Ticker]:
        """All that the answer holds, also those that were not asked for."""
        ...

    def usage(self, reply: HttpReply) -> Sequence[Usage]:
        """What the reply's headers say about our limits."""
        ...

    def error(self, reply: HttpReply) -> VenueError | None:
        """The classified refusal, or None for a success."""
        ...


class PrivateCodec(Protocol):
    """Order entry, the private stream and the account's REST queries of one venue and one account.

    `stamp_venue_ns` is the venue's clock at the moment of sending: signing happens then, never earlier.
    """

    venue: Venue
    account: AccountID
    capabilities: Capabilities
    rules: SessionRules

    def entry_path(self) -> str: ...

    def private_path(self) -> str: ...

    def logon(self, request_id: str, stamp_venue_ns: int) -> Frame | None:
        """Frame that authenticates the connection, or None when each request is signed instead."""
        ...

    def subscribe_private(self, request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame: ...

    def new_order(self, order: NewOrder, request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame: ...

    def cancel_order(
        self,
        cl_ord_id: ClOrdID,
        order_id: OrderID | None,
        symbol: Symbol,
        request_id: str,
        stamp_venue_ns: int,
        *,
        logged_on: bool,
    ) -> Frame: ...

    def amend_order(
        self,
        cl_ord_id: ClOrdID,
        order_id: OrderID | None,
        symbol: Symbol,
        order_qty: Decimal,
        request_id: str,
        stamp_venue_ns: int,
        *,
        logged_on: bool,
    ) -> Frame: ...

    def cancel_all(self, symbol: Symbol, request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame: ...

    def decode_entry(self, raw: str | bytes, received_ns: int) -> Sequence[Reply | Message]:
        """Replies and unsolicited frames of the order-entry connection."""
        ...

    def decode_private(self, raw: str | bytes, received_ns: int) -> Sequence[Reply | Message]:
        """ExecutionReport, BalancesChanged, StreamTerminated, UnrecognizedMessage; acks as Reply."""
        ...

    def rest_new_order(self, order: NewOrder, stamp_venue_ns: int) -> HttpRequest: ...

    def rest_cancel_order(
        self, cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol, stamp_venue_ns: int
    ) -> HttpRequest: ...

    def decode_rest_order(self, request_id: str, reply: HttpReply) -> Reply: ...

    def other_names(self, cl_ord_id: ClOrdID) -> Sequence[ClOrdID]:
        """Ids under which the venue may know our order after a cancel or an amend of ours renamed it."""
        ...

    def order_status_request(
        self, cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol, stamp_venue_ns: int
    ) -> HttpRequest: ...

    def decode_order_status(self, reply: HttpReply) -> ExecutionReport | VenueError:
        """The order's state as an ExecutionReport of type ORDER_STATUS, or the refusal (NOT_FOUND among them)."""
        ...

    def open_orders_request(self, symbol: Symbol | None, stamp_venue_ns: int) -> HttpRequest: ...

    def decode_open_orders(self, reply: HttpReply) -> Sequence[ExecutionReport]: ...

    def fills_request(
        self,
        symbol: Symbol,
        stamp_venue_ns: int,
        *,
        order_id: OrderID | None = None,
        from_trade_id: TradeID | None = None,
        since_ns: int | None = None,
    ) -> HttpRequest: ...

    def decode_fills(self, symbol: Symbol, reply: HttpReply) -> Sequence[ExecutionReport]:
        """Own trades, oldest first, as ExecutionReports of type TRADE ; `cl_ord_id` may be ""."""
        ...

    def balances_request(self, stamp_venue_ns: int) -> HttpRequest: ...

    def decode_balances(self, reply: HttpReply) -> Sequence[Balance]: ...

    def usage(self, reply: HttpReply) -> Sequence[Usage]: ...

    def error(self, reply: HttpReply) -> VenueError | None:
        """The classified refusal, or None for a success; asked about order requests too, so that what may have been
        executed all the same is UNKNOWN."""
        ...


# ---- what some venues need besides ------------------------------------------------------------------------------


@runtime_checkable
class KeepsAlive(Protocol):
    """A codec whose venue wants a keep-alive in its own words; a ping frame of the WebSocket would not count."""

    def keep_alive(self, request_id: str) -> Frame:
        """To be sent every `rules.client_ping_interval_ns`; answered by a `Reply` that settles nothing."""
        ...


@runtime_checkable
class SignsUpgrade(Protocol):
    """A codec whose venue authenticates a connection by its upgrade request, not by a frame."""

    def upgrade_headers(self, stamp_venue_ns: int) -> Mapping[str, str]:
        """Headers of one attempt to connect: made anew for each, because the venue refuses them twice."""
        ...


@runtime_checkable
class ListsSubscriptions(Protocol):
    """A codec whose venue acknowledges no subscription (`request_id` "" in its frames) but tells what it has."""

    def list_subscriptions(self, request_id: str) -> Frame:
        """The answer repeats `request_id` and proves that the frames before it were read."""
        ...


@runtime_checkable
class ContinuesAnswers(Protocol):
    """A codec whose venue answers in pages or in parts: an answer is whole when nothing continues it."""

    def continuation(self, request: HttpRequest, reply: HttpReply, stamp_venue_ns: int) -> HttpRequest | None:
        """The request that goes on where the answer to `request` ended; None when it was the last part.

        Every part is decoded on its own by the decoder of the first.
        """
        ...


@runtime_checkable
class BatchCodec(Protocol):
    """A codec of a venue that takes several orders in one request; at most `capabilities.batch_size_max`.

    The answer is one `Reply` with `parts`.  Frames exist where `capabilities.ws_batches` says so.
    """

    def new_orders(
        self, orders: Sequence[NewOrder], request_id: str, stamp_venue_ns: int, *, logged_on: bool
    ) -> Frame: ...

    def cancel_orders(
        self,
        orders: Sequence[tuple[ClOrdID, OrderID | None, Symbol]],
        request_id: str,
        stamp_venue_ns: int,
        *,
        logged_on: bool,
    ) -> Frame: ...

    def rest_new_orders(self, orders: Sequence[NewOrder], stamp_venue_ns: int) -> HttpRequest: ...

    def rest_cancel_orders(
        self, orders: Sequence[tuple[ClOrdID, OrderID | None, Symbol]], stamp_venue_ns: int
    ) -> HttpRequest: ...


@runtime_checkable
class RoutesStreams(Protocol):
    """A codec whose venue serves its public channels on several connections."""

    def stream_paths(self) -> Mapping[Channel, str]:
        """The path that serves each channel: one connection for each path, and no `subscribe` that mixes them."""
        ...


@runtime_checkable
class ListenKeys(Protocol):
    """A codec whose private stream is addressed by a key that REST hands out (`capabilities.listen_key`).

    The key lets anybody read the account's events: it is a secret, and so is the path that holds it.
    """

    listen_key_refresh_ns: int
    """How often the key is to be kept alive."""

    def listen_key_request(self) -> HttpRequest:
        """For a key; while one is alive the venue gives the same again."""
        ...

    def decode_listen_key(self, reply: HttpReply) -> str: ...

    def keep_listen_key_request(self, key: str) -> HttpRequest:
        """Refused as NOT_FOUND when the key is dead: get another and connect anew."""
        ...

    def close_listen_key_request(self, key: str) -> HttpRequest:
        """Ends the key for every process that uses it."""
        ...

    def private_path_of(self, key: str) -> str:
        """Path of the private stream; a dead key is accepted and stays silent."""
        ...


@runtime_checkable
class AmendsByTerms(Protocol):
    """A codec whose venue amends an order by stating its terms anew (`capabilities.amend_needs_terms`)."""

    def amend_terms(
        self,
        cl_ord_id: ClOrdID,
        order_id: OrderID | None,
        symbol: Symbol,
        side: Side,
        order_qty: Decimal,
        price: Decimal,
        request_id: str,
        stamp_venue_ns: int,
        *,
        logged_on: bool,
    ) -> Frame:
        """`order_qty` is the new total quantity, what is already filled included."""
        ...

    def rest_amend_terms(
        self,
        cl_ord_id: ClOrdID,
        order_id: OrderID | None,
        symbol: Symbol,
        side: Side,
        order_qty: Decimal,
        price: Decimal,
        stamp_venue_ns: int,
    ) -> HttpRequest: ...


@runtime_checkable
class ReplacesOrders(Protocol):
    """A codec whose venue ends one order and makes another in one request (`capabilities.cancel_replace`).

    No venue does both or nothing: the old order may end and the new one be refused, and between them there is none.
    The answer is one `Reply` with two `parts`: what became of the old order, as the answer to a cancel, and what of
    the new one, as the answer to a new order.  A new order that was never tried is refused in words that say so.
    """

    def replace_order(
        self,
        cl_ord_id: ClOrdID,
        order_id: OrderID | None,
        new: NewOrder,
        request_id: str,
        stamp_venue_ns: int,
        *,
        logged_on: bool,
    ) -> Frame:
        """`new` in place of the order of these names; nothing new is made where the old one cannot be canceled."""
        ...

    def rest_replace_order(
        self, cl_ord_id: ClOrdID, order_id: OrderID | None, new: NewOrder, stamp_venue_ns: int
    ) -> HttpRequest: ...


@runtime_checkable
class OrdersByRest(Protocol):
    """A codec whose order-entry connection has no words for some orders, which REST takes (a service of their own)."""

    def order_by_rest(self, order: NewOrder) -> bool:
        """Whether a new order can be placed by REST alone."""
        ...

    def change_by_rest(self, cl_ord_id: ClOrdID, order_id: OrderID | None) -> bool:
        """Whether the order of these names can be canceled or amended by REST alone."""
        ...


@runtime_checkable
class SplitsPrivateStream(Protocol):
    """A codec whose venue tells a part of the account's events on further connections.

    The account's stream is whole while all of them are subscribed; `decode_private` reads the frames of each.
    """

    def further_private_paths(self) -> Sequence[str]:
        """Paths beside `private_path`; empty where this product needs none."""
        ...

    def subscribe_further(self, path: str, request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame:
        """As `subscribe_private`, for the connection of one of these paths."""
        ...


@runtime_checkable
class AmendsByRest(Protocol):
    """A codec whose venue amends a quantity by REST too."""

    def rest_amend_order(
        self, cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol, order_qty: Decimal, stamp_venue_ns: int
    ) -> HttpRequest:
        """`order_qty` is the new total quantity, what is already filled included."""
        ...


@runtime_checkable
class CancelsAllByRest(Protocol):
    """A codec whose venue cancels all orders of a symbol by REST (`capabilities.cancel_all_symbol`)."""

    def rest_cancel_all(self, symbol: Symbol, stamp_venue_ns: int) -> HttpRequest:
        """Where it takes several requests, `ContinuesAnswers.continuation` says the next."""
        ...


@runtime_checkable
class CancelsByRest(Protocol):
    """A codec that can cancel several orders in one REST request, at most `capabilities.cancel_batch_max`."""

    def rest_cancel_orders(
        self, orders: Sequence[tuple[ClOrdID, OrderID | None, Symbol]], stamp_venue_ns: int
    ) -> HttpRequest: ...


@runtime_checkable
class DecodesCancels(Protocol):
    """A codec that must know which cancels were asked for to read the answer to `rest_cancel_orders`."""

    def decode_rest_cancels(
        self, request_id: str, reply: HttpReply, orders: Sequence[tuple[ClOrdID, OrderID | None, Symbol]]
    ) -> Reply:
        """One part for each of `orders`, in their order."""
        ...


@runtime_checkable
class DeadManSwitch(Protocol):
    """A codec of a venue that cancels for us when we fall silent (`capabilities.dead_man_switch`)."""

    def dead_man_request(self, symbol: Symbol | None, timeout_ns: int, stamp_venue_ns: int) -> HttpRequest:
        """To be sent again well before `timeout_ns` is over; 0 disarms.  `symbol` None: the whole account."""
        ...


@runtime_checkable
class KnowsPositions(Protocol):
    """A codec of a venue that keeps positions of its own, netted over all strategies."""

    def positions_request(self, stamp_venue_ns: int) -> HttpRequest: ...

    def decode_positions(self, reply: HttpReply) -> Sequence[VenuePosition]:
        """All that are not flat; what is absent is flat."""
        ...


@runtime_checkable
class ChecksAccountKind(Protocol):
    """A codec of a venue that keeps accounts of several kinds, not all of which its requests fit."""

    def account_kind_request(self, stamp_venue_ns: int) -> HttpRequest: ...

    def decode_account_kind(self, reply: HttpReply) -> str:
        """Why this account cannot be traded here, in words for its owner; "" when it can."""
        ...


@runtime_checkable
class SetsPositionMode(Protocol):
    """A codec of a venue whose account holds one position a symbol, or two, by a setting that orders must fit."""

    @property
    def hedge_mode(self) -> bool:
        """What this codec was told; must be what the account is set to, or orders are refused, or mean another."""
        ...


@runtime_checkable
class ChecksPositionMode(SetsPositionMode, Protocol):
    """One whose venue can be asked how the account is set."""

    def position_mode_request(self, stamp_venue_ns: int) -> HttpRequest: ...

    def decode_position_mode(self, reply: HttpReply) -> bool:
        """True in hedge mode."""
        ...


@runtime_checkable
class ChecksPositionModeBySymbol(SetsPositionMode, Protocol):
    """One whose venue keeps the mode symbol by symbol: it is asked of each that the account trades."""

    def position_mode_of_request(self, symbol: Symbol, stamp_venue_ns: int) -> HttpRequest: ...

    def decode_position_mode_of(self, reply: HttpReply) -> bool | None:
        """True in hedge mode; None where the answer does not tell."""
        ...


@runtime_checkable
class ListsClosedOrders(Protocol):
    """A codec of a venue without a list of own trades (`capabilities.fills_by_time` False)."""

    def closed_orders_request(
        self, symbol: Symbol | None, since_ns: int, until_ns: int, stamp_venue_ns: int
    ) -> HttpRequest:
        """Orders *made* in that time, at most a week, that are over; decode as open orders."""
        ...


@runtime_checkable
class LearnsInstruments(Protocol):
    """A private codec whose requests need facts of the instrument list (`Instrument.venue_code`)."""

    def learn(self, instruments: Sequence[Instrument]) -> None:
        """Before the first order, and again whenever the list has changed; what is not named stays."""
        ...
