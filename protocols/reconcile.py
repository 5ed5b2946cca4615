"""Between an account and its reconciler: what the account believes, and what the venue says.

The reconciler does the REST work and decides nothing; the account compares and turns differences into events.
"""

from __future__ import annotations

from decimal import Decimal

import attrs

from protocols.base import Event, Query, message
from protocols.ids import AccountID, ClOrdID, OrderID, Path, Symbol, TradeID, Venue
from protocols.orders import ExecutionReport, OrderNotFound
from protocols.positions import Balance, VenuePosition

READ_PATIENCE_NS = 10_000_000_000
"""How long a read of public REST waits where its asker does not say otherwise."""


def reconciler_path(account: AccountID, venue: Venue) -> Path:
    """Address of the session that queries one account's orders, fills and balances."""
    return f"/accounts/{account}/{venue}/reconciler"


def entry_path(account: AccountID, venue: Venue) -> Path:
    """Address of one account's order entry."""
    return f"/accounts/{account}/{venue}/entry"


def private_path(account: AccountID, venue: Venue) -> Path:
    """Address of one account's private stream; ready means connected and subscribed."""
    return f"/accounts/{account}/{venue}/private"


def limiter_path(venue: Venue) -> Path:
    """Address of the limiter that all of a venue's sessions on one IP share."""
    return f"/venues/{venue}/limiter"


def clock_path(venue: Venue) -> Path:
    """Address of the actor that measures the venue's clock."""
    return f"/venues/{venue}/clock"


def instruments_path(venue: Venue) -> Path:
    """Address of the actor that knows the venue's instruments."""
    return f"/venues/{venue}/instruments"


def rest_path(venue: Venue) -> Path:
    """Address of the public REST session (book snapshots, candle history)."""
    return f"/venues/{venue}/rest"


def public_path(venue: Venue) -> Path:
    """Address of the public stream session."""
    return f"/venues/{venue}/public"


def book_path(venue: Venue, symbol: Symbol) -> Path:
    """Address of one symbol's order book, which publishes quotes, trades and gaps to its readers."""
    return f"/venues/{venue}/books/{symbol}"


def candles_path(venue: Venue, symbol: Symbol) -> Path:
    """Address of the actor that builds one symbol's candles."""
    return f"/venues/{venue}/candles/{symbol}"


@attrs.frozen
class BelievedOrder:
    """An order that the account thinks is live or in doubt."""

    cl_ord_id: ClOrdID
    order_id: OrderID | None
    symbol: Symbol
    cum_qty: Decimal = Decimal(0)
    """What we have trades for: where a venue lists trades by order alone, those of this order are asked for when the
    venue counts more."""


@attrs.frozen
class FillsSince:
    """Where to continue a symbol's fill history: after `trade_id`, or from `since_ns` when there is none."""

    symbol: Symbol
    trade_id: TradeID | None
    since_ns: int


@message
class Reconcile(Event):
    """Account -> reconciler: fetch the venue's picture.  The answer is `Reconciled` (or `ReconcileFailed`)."""

    attempt: int
    believed: tuple[BelievedOrder, ...]
    fills_since: tuple[FillsSince, ...]
    reply_to: Path


@message
class Reconciled(Event):
    """The venue's picture, queried after the private stream was up (so nothing can fall between the two)."""

    attempt: int
    open_orders: tuple[ExecutionReport, ...]
    """All orders live at the venue, ours or not, type ORDER_STATUS."""
    statuses: tuple[ExecutionReport, ...]
    """State of each believed order that is not among `open_orders`."""
    not_found: tuple[OrderNotFound, ...]
    """Believed orders that the venue does not know (which is not yet proof that they never arrive)."""
    fills: tuple[ExecutionReport, ...]
    """Own trades, oldest first, type TRADE; `cl_ord_id` may be "": match by `order_id`."""
    balances: tuple[Balance, ...]
    asked_ns: int
    positions: tuple[VenuePosition, ...] | None = None
    """All contract positions that are not flat; None where the venue keeps none."""


@message
class ReconcileFailed(Event):
    """The venue could not be asked; the account stays not ready and asks again."""

    attempt: int
    text: str


@message
class QueryOrder(Event):
    """Account -> reconciler: what became of this order?  Answer: `OrderFound`, `OrderNotFound` or `QueryFailed`."""

    order: BelievedOrder
    reply_to: Path


@message
class OrderFound(Event):
    """The order's state at the venue, with its fills when it has any."""

    report: ExecutionReport
    fills: tuple[ExecutionReport, ...]
    asked_ns: int = 0
    """Wall clock when the question left; 0: not stated."""


@message
class QueryFailed(Event):
    """The venue could not be asked about this order."""

    cl_ord_id: ClOrdID
    text: str


@message
class InstrumentsQuery(Query):
    """Ask `/venues/{venue}/instruments` for an `InstrumentsChanged`."""


@message
class ClockQuery(Query):
    """Ask `/venues/{venue}/clock` for the newest `ClockOffset`."""


@message
class CandlesQuery(Query):
    """Ask `/venues/{venue}/rest` for the newest `limit` closed bars, oldest first (tuple of `Candle`), or for the last
    of those that open before `end_ns`; one request, so at most as many as the venue gives in one.

    What was not even sent within `patience_ns` is answered by `protocols.backbone.Unanswered`.
    """

    symbol: Symbol
    interval_ns: int
    limit: int
    end_ns: int | None = None
    patience_ns: int = READ_PATIENCE_NS
