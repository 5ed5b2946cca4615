"""The venue's JSON as msgspec structs: field names are ours, `rename` maps them to the venue's letters.

The letters mean other things than on Spot (`ap`, `T`, `cr`), so hardly any struct is shared.  Keys come in case pairs
(`S`/`s`, `X`/`x`), so they are matched as written.  Only what is used is declared.  What the venue has begun or ceased
to send within the last year (`st`, `avgPrice`, `cumQuote`, `modifyId`) has a default; so has what it sends as null.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from protocols.venues.binance_common.wire import ErrorRow, RateLimit, Row, Stamp, Text, UpdateID

COIN_M = 2
"""Value of `st` in rows of COIN-M, which come on all-market streams since June 2026."""


# ---- market streams (section 13) -------------------------------------------------------------------------------


class DepthUpdate(
    Struct,
    tag_field="e",
    tag="depthUpdate",
    gc=False,
    rename={
        "event_time": "E",
        "symbol": "s",
        "first_id": "U",
        "last_id": "u",
        "prev_id": "pu",
        "bids": "b",
        "asks": "a",
        "product": "st",
    },
):
    """`@depth`: absolute quantities of changed levels; `prev_id` is the `last_id` of the event before."""

    event_time: Stamp
    symbol: Text
    first_id: UpdateID
    last_id: UpdateID
    prev_id: UpdateID
    bids: tuple[Row, ...]
    asks: tuple[Row, ...]
    product: int = 1


class BookTickerEvent(
    Struct,
    tag_field="e",
    tag="bookTicker",
    gc=False,
    rename={
        "update_id": "u",
        "event_time": "E",
        "symbol": "s",
        "bid_px": "b",
        "bid_qty": "B",
        "ask_px": "a",
        "ask_qty": "A",
        "product": "st",
    },
):
    """`@bookTicker`: unlike Spot's it has `e` and times."""

    update_id: UpdateID
    event_time: Stamp
    symbol: Text
    bid_px: str
    bid_qty: str
    ask_px: str
    ask_qty: str
    product: int = 1


# ---- user data (section 15) ------------------------------------------------------------------------------------


class OrderEvent(
    Struct,
    gc=False,
    rename={
        "symbol": "s",
        "client_order_id": "c",
        "side": "S",
        "order_type": "o",
        "original_type": "ot",
        "execution_type": "x",
        "order_status": "X",
        "order_id": "i",
        "trade_id": "t",
        "transaction_time": "T",
        "quantity": "q",
        "price": "p",
        "last_quantity": "l",
        "cumulative_quantity": "z",
        "last_price": "L",
        "commission": "n",
        "commission_asset": "N",
        "is_maker": "m",
        "expiry_reason": "er",
        "position_side": "ps",
    },
):
    """The `o` of ORDER_TRADE_UPDATE: one change to one order of the account."""

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
    trade_id: int = 0
    commission: str | None = None
    commission_asset: str | None = None
    is_maker: bool = False
    original_type: str = ""
    expiry_reason: str | int | None = None
    position_side: str = "BOTH"


class OrderTradeUpdate(
    Struct, tag_field="e", tag="ORDER_TRADE_UPDATE", gc=False, rename={"order": "o", "event_time": "E"}
):
    event_time: Stamp
    order: OrderEvent


class BalanceChange(Struct, gc=False, rename={"asset": "a", "wallet": "wb", "cross_wallet": "cw"}):
    """A row of `B`: absolute."""

    asset: Text
    wallet: str
    cross_wallet: str


class PositionChange(
    Struct,
    gc=False,
    rename={"symbol": "s", "qty": "pa", "entry_px": "ep", "unrealized": "up", "position_side": "ps"},
):
    """A row of `P`: absolute and signed."""

    symbol: Text
    qty: str
    entry_px: str
    unrealized: str
    position_side: str = "BOTH"


class AccountChange(Struct, gc=False, rename={"reason": "m", "balances": "B", "positions": "P"}):
    reason: str = ""
    balances: tuple[BalanceChange, ...] = ()
    positions: tuple[PositionChange, ...] = ()


class AccountUpdate(Struct, tag_field="e", tag="ACCOUNT_UPDATE", gc=False, rename={"event_time": "E", "change": "a"}):
    """Only the balances and positions that changed."""

    event_time: Stamp
    change: AccountChange


class AlgoEvent(
    Struct,
    gc=False,
    rename={
        "client_id": "caid",
        "algo_id": "aid",
        "symbol": "s",
        "side": "S",
        "order_type": "o",
        "quantity": "q",
        "status": "X",
        "price": "p",
        "child_id": "ai",
        "executed": "aq",
        "reason": "rm",
    },
):
    """The `o` of ALGO_UPDATE: one change to one conditional order."""

    client_id: str
    algo_id: UpdateID
    symbol: Text
    side: str
    order_type: str
    quantity: str
    status: str
    price: str = "0"
    child_id: str | int | None = ""
    executed: str | None = ""
    reason: str | None = ""


class AlgoUpdate(
    Struct,
    tag_field="e",
    tag="ALGO_UPDATE",
    gc=False,
    rename={"event_time": "E", "transaction_time": "T", "order": "o"},
):
    event_time: Stamp
    transaction_time: Stamp
    order: AlgoEvent


class ListenKeyExpired(Struct, tag_field="e", tag="listenKeyExpired", gc=False):
    """The connection stays open and silent after this."""


class TradeLite(Struct, tag_field="e", tag="TRADE_LITE", gc=False):
    """An early copy of a fill without commission and total: ORDER_TRADE_UPDATE tells the same in full."""


class StrategyUpdate(Struct, tag_field="e", tag="STRATEGY_UPDATE", gc=False):
    """The venue's own grid strategies."""


class GridUpdate(Struct, tag_field="e", tag="GRID_UPDATE", gc=False):
    """Deprecated."""


class TriggerReject(Struct, tag_field="e", tag="CONDITIONAL_ORDER_TRIGGER_REJECT", gc=False):
    """Deprecated since December 2025: ALGO_UPDATE says it."""


UserEvent = (
    OrderTradeUpdate
    | AccountUpdate
    | AlgoUpdate
    | ListenKeyExpired
    | TradeLite
    | StrategyUpdate
    | GridUpdate
    | TriggerReject
)


# ---- replies (sections 7 to 11) --------------------------------------------------------------------------------


class OrderRow(Struct, gc=False):
    """Whatever the venue answers with that may be an order, plain (`orderId`) or conditional (`algoId`).

    Anything else (a logon, a countdown) has neither.  Quantities of plain orders have no default: a report must not say
    0 where the venue said nothing.  In an answer to a batch a member may be an error (`code`, `msg`);
    a positive code is a success, and the answer to an algo cancel writes it as text.
    """

    symbol: str = ""
    orderId: UpdateID | None = None
    clientOrderId: str = ""
    side: str = ""
    type: str = ""
    origType: str = ""
    status: str = ""
    price: str = "0"
    origQty: str | None = None
    executedQty: str | None = None
    cumQuote: str = "0"
    avgPrice: str = "0"
    time: Stamp = 0
    updateTime: Stamp = 0
    modifyId: int | None = None
    algoId: UpdateID | None = None
    clientAlgoId: str = ""
    orderType: str = ""
    quantity: str | None = ""
    algoStatus: str = ""
    actualOrderId: str | int | None = ""
    actualQty: str | None = ""
    createTime: Stamp = 0
    countdownTime: str | int | None = None
    code: int | str = 0
    msg: str = ""
    positionSide: str = "BOTH"


class ApiFrame(Struct, gc=False):
    """Any frame of the WebSocket API: a reply, or a notice about the key (`id` null).  User data never comes here."""

    id: str | int | None = None
    status: int | None = None
    result: OrderRow | tuple[OrderRow, ...] | None = None
    error: ErrorRow | None = None
    rateLimits: tuple[RateLimit, ...] = ()


# ---- REST answers ----------------------------------------------------------------------------------------------


class TradeRow(Struct, gc=False):
    """A row of userTrades."""

    symbol: Text
    id: UpdateID
    orderId: UpdateID
    side: str
    price: str
    qty: str
    commission: str
    commissionAsset: str
    time: Stamp
    maker: bool
    positionSide: str = "BOTH"


class BalanceRow(Struct, gc=False):
    """A row of v3/balance."""

    asset: Text
    balance: str
    crossWalletBalance: str
    updateTime: Stamp = 0


class PositionRow(Struct, gc=False):
    """A row of v3/positionRisk."""

    symbol: Text
    positionAmt: str
    entryPrice: str
    markPrice: str
    unRealizedProfit: str
    liquidationPrice: str = "0"
    leverage: str = "0"
    positionSide: str = "BOTH"
    updateTime: Stamp = 0


class PositionMode(Struct, gc=False):
    dualSidePosition: bool


class ListenKey(Struct, gc=False):
    listenKey: Text | None = None


class Filter(Struct, gc=False):
    """All filters at once; a field that the filter lacks, and a value of 0, means that there is no such rule."""

    filterType: str
    minPrice: str = "0"
    maxPrice: str = "0"
    tickSize: str = "0"
    minQty: str = "0"
    maxQty: str = "0"
    stepSize: str = "0"
    notional: str = "0"
    multiplierUp: str = "0"
    multiplierDown: str = "0"
    limit: Stamp = 0


class SymbolRow(Struct, gc=False):
    """A row of exchangeInfo."""

    symbol: Text
    status: str
    baseAsset: Text
    quoteAsset: Text
    filters: tuple[msgspec.Raw, ...]
    contractType: str = ""
    orderTypes: tuple[str, ...] = ()
    timeInForce: tuple[str, ...] = ("GTC", "IOC", "FOK")


class ExchangeInfo(Struct, gc=False):
    symbols: tuple[SymbolRow, ...]
    rateLimits: tuple[RateLimit, ...] = ()
