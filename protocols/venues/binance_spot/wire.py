"""The venue's JSON as msgspec structs: field names are ours, `rename` maps them to the venue's letters.

Keys come in case pairs (`C`/`c`, `I`/`i`, `Z`/`z`), so they are matched as written.  Only what is used is declared;
msgspec skips the rest without building it.  Fields that the venue shows "only when they apply" have defaults; a
missing field without default, a wrong type or a wrong `e` is refused.  Amounts in depth messages are decoded to
Decimal by msgspec (there are dozens in each); all others stay text until somebody needs the number.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from protocols.venues.binance_common.wire import ErrorRow, RateLimit, Row, Stamp, Text, UpdateID

# ---- public streams (section 12) -------------------------------------------------------------------------------


class DepthUpdate(
    Struct,
    tag_field="e",
    tag="depthUpdate",
    gc=False,
    rename={"event_time": "E", "symbol": "s", "first_id": "U", "last_id": "u", "bids": "b", "asks": "a"},
):
    """`@depth`: absolute quantities of the levels that changed between two update ids, both included."""

    event_time: Stamp
    symbol: Text
    first_id: UpdateID
    last_id: UpdateID
    bids: tuple[Row, ...]
    asks: tuple[Row, ...]


class BookTickerEvent(
    Struct,
    gc=False,
    rename={"update_id": "u", "symbol": "s", "bid_px": "b", "bid_qty": "B", "ask_px": "a", "ask_qty": "A"},
):
    """`@bookTicker`: neither `e` nor a time."""

    update_id: UpdateID
    symbol: Text
    bid_px: str
    bid_qty: str
    ask_px: str
    ask_qty: str


class ServerShutdown(Struct, tag_field="e", tag="serverShutdown", gc=False):
    """The venue is about to close this connection."""


# ---- user data (section 14) ------------------------------------------------------------------------------------


class ExecutionReportEvent(
    Struct,
    tag_field="e",
    tag="executionReport",
    gc=False,
    rename={
        "symbol": "s",
        "client_order_id": "c",
        "original_client_order_id": "C",
        "side": "S",
        "order_type": "o",
        "execution_type": "x",
        "order_status": "X",
        "reject_reason": "r",
        "expiry_reason": "eR",
        "order_id": "i",
        "execution_id": "I",
        "trade_id": "t",
        "transaction_time": "T",
        "quantity": "q",
        "price": "p",
        "last_quantity": "l",
        "cumulative_quantity": "z",
        "last_price": "L",
        "cumulative_quote": "Z",
        "commission": "n",
        "commission_asset": "N",
        "is_maker": "m",
        "prevented_quantity": "A",
    },
):
    """`executionReport`: one change to one of our orders."""

    symbol: Text
    client_order_id: str
    side: str
    order_type: str
    execution_type: str
    order_status: str
    order_id: UpdateID
    transaction_time: Stamp
    quantity: str
    price: str
    last_quantity: str
    cumulative_quantity: str
    last_price: str
    trade_id: int = -1
    execution_id: int = -1
    original_client_order_id: str = ""
    reject_reason: str = "NONE"
    expiry_reason: str = ""
    cumulative_quote: str = "0"
    commission: str | None = "0"
    commission_asset: str | None = None
    is_maker: bool = False
    prevented_quantity: str = "0"


class BalanceRow(Struct, gc=False, rename={"asset": "a", "free": "f", "locked": "l"}):
    asset: Text
    free: str
    locked: str


class AccountPositionEvent(
    Struct,
    tag_field="e",
    tag="outboundAccountPosition",
    gc=False,
    rename={"event_time": "E", "updated": "u", "balances": "B"},
):
    """`outboundAccountPosition`: absolute balances of the assets that may have changed."""

    event_time: Stamp
    updated: Stamp
    balances: tuple[BalanceRow, ...]


class BalanceUpdateEvent(Struct, tag_field="e", tag="balanceUpdate", gc=False):
    """`balanceUpdate`: a deposit, withdrawal or transfer as a delta; the absolute numbers come as well."""


class ExternalLockUpdateEvent(Struct, tag_field="e", tag="externalLockUpdate", gc=False):
    """`externalLockUpdate`: something outside trading locked or freed a part; as above."""


class ListStatusEvent(Struct, tag_field="e", tag="listStatus", gc=False):
    """`listStatus`: an order list changed; its members report for themselves."""


class StreamTerminatedEvent(Struct, tag_field="e", tag="eventStreamTerminated", gc=False):
    """`eventStreamTerminated`: no more user data on this subscription."""


UserEvent = (
    ExecutionReportEvent
    | AccountPositionEvent
    | BalanceUpdateEvent
    | ExternalLockUpdateEvent
    | ListStatusEvent
    | StreamTerminatedEvent
    | ServerShutdown
)


# ---- replies (sections 2.2, 8 and 10) --------------------------------------------------------------------------


class FillRow(Struct, gc=False):
    """A row of `fills` in a FULL reply."""

    price: str
    qty: str
    commission: str
    commissionAsset: str
    tradeId: int


class AmendedOrder(Struct, gc=False):
    """An amend reply's order: its fields are named unlike those of every other order reply."""

    symbol: Text
    orderId: UpdateID
    clientOrderId: str
    status: str
    type: str
    side: str
    price: str
    executedQty: str
    qty: str = ""
    origQty: str = ""
    origClientOrderId: str = ""
    preventedQty: str = ""
    preventedQuantity: str = "0"
    cumulativeQuoteQty: str = ""
    cummulativeQuoteQty: str = "0"


class OrderRow(Struct, gc=False):
    """Whatever the venue answers with that may be an order: ACK, RESULT, FULL, a cancel, a query, an amend, a list.

    An order has `orderId`; anything else (a logon, a subscription) leaves it None.  Its quantities have no default: a
    report of an order must not say 0 where the venue said nothing.  The answer to a cancel-replace has
    two orders, either of which may be a refusal (`code`, `msg`); where it did not wholly succeed it is the `data` of an
    error.
    """

    symbol: str = ""
    orderId: UpdateID | None = None
    clientOrderId: str = ""
    origClientOrderId: str = ""
    transactTime: Stamp = 0
    updateTime: Stamp = 0
    time: Stamp = 0
    price: str = "0"
    origQty: str | None = None
    executedQty: str | None = None
    cummulativeQuoteQty: str = "0"
    status: str = ""
    type: str = ""
    side: str = ""
    preventedQuantity: str = "0"
    expiryReason: str = ""
    fills: tuple[FillRow, ...] = ()
    amendedOrder: AmendedOrder | None = None
    orderReports: tuple[OrderRow, ...] = ()
    cancelResult: str = ""
    newOrderResult: str = ""
    cancelResponse: OrderRow | None = None
    newOrderResponse: OrderRow | None = None
    data: OrderRow | None = None
    """REST has been seen to put the two orders of a successful cancel-replace where an error has them."""
    code: int = 0
    msg: str = ""


class ApiFrame(Struct, gc=False):
    """Any frame of the WebSocket API: a reply, an event, or the notice that the key was revoked (`id` null)."""

    id: str | int | None = None
    status: int | None = None
    result: OrderRow | tuple[OrderRow, ...] | None = None
    error: ErrorRow | None = None
    rateLimits: tuple[RateLimit, ...] = ()
    event: UserEvent | None = None


# ---- REST answers ----------------------------------------------------------------------------------------------


class TradeRow(Struct, gc=False):
    """A row of myTrades."""

    symbol: Text
    id: UpdateID
    orderId: UpdateID
    price: str
    qty: str
    commission: str
    commissionAsset: str
    time: Stamp
    isBuyer: bool
    isMaker: bool


class AccountBalance(Struct, gc=False):
    asset: Text
    free: str
    locked: str


class AccountStatus(Struct, gc=False):
    balances: tuple[AccountBalance, ...]
    updateTime: Stamp = 0


class Filter(Struct, gc=False):
    """All filters at once; a field that the filter lacks, and a value of 0, means that there is no such rule."""

    filterType: str
    minPrice: str = "0"
    maxPrice: str = "0"
    tickSize: str = "0"
    minQty: str = "0"
    maxQty: str = "0"
    stepSize: str = "0"
    minNotional: str = "0"
    maxNotional: str = "0"
    applyToMarket: bool = True
    applyMinToMarket: bool = True
    applyMaxToMarket: bool = False
    multiplierUp: str = "0"
    multiplierDown: str = "0"
    bidMultiplierUp: str = "0"
    bidMultiplierDown: str = "0"
    askMultiplierUp: str = "0"
    askMultiplierDown: str = "0"
    maxNumOrders: Stamp = 0
    maxNumAlgoOrders: Stamp = 0


class SymbolRow(Struct, gc=False):
    """A row of exchangeInfo."""

    symbol: Text
    status: str
    baseAsset: Text
    quoteAsset: Text
    orderTypes: tuple[str, ...]
    filters: tuple[msgspec.Raw, ...]
    isSpotTradingAllowed: bool = True


class ExchangeInfo(Struct, gc=False):
    symbols: tuple[SymbolRow, ...]
    rateLimits: tuple[RateLimit, ...] = ()
