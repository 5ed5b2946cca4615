"""The venue's JSON as msgspec structs, with its own field names; public streams spell them in single letters.

Only what is used is declared; msgspec skips the rest without building it, so that fields which the venue adds several
times a year cost nothing.  Numbers are strings and `""` means "no value".  Amounts in book messages are decoded to
Decimal by msgspec (there are dozens in each); all others stay text until somebody needs the number.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

Stamp = Annotated[int, Meta(ge=0)]
UpdateID = Annotated[int, Meta(ge=0, lt=2**62)]
Text = Annotated[str, Meta(min_length=1, max_length=64)]
"""A name that we go on to use as a key: symbols, coins, ids."""
Row = tuple[str, Decimal]
Maybe = str | None
"""Text that may be absent, `""` or null, which all mean that there is none."""


# ---- public streams (section 8) --------------------------------------------------------------------------------


class Head(Struct, gc=False):
    """What tells the kinds of frames apart; the order of keys means nothing."""

    topic: str = ""


class Book(
    Struct,
    gc=False,
    rename={"symbol": "s", "bids": "b", "asks": "a", "update_id": "u", "sequence": "seq"},
):
    """The data of a book message, also the answer of REST."""

    symbol: Text
    bids: tuple[Row, ...]
    asks: tuple[Row, ...]
    update_id: UpdateID
    sequence: int | None = -1
    cts: Stamp | None = 0
    """REST; streams have it beside the data."""
    ts: Stamp | None = 0


class BookFrame(Struct, gc=False):
    """`orderbook.{depth}.{symbol}`.  `cts`: when the matching engine did it; `ts`: when it was sent."""

    topic: str
    type: str
    ts: Stamp
    data: Book
    cts: Stamp | None = 0


class PublicTrade(
    Struct,
    gc=False,
    rename={"time": "T", "symbol": "s", "side": "S", "qty": "v", "price": "p", "trade_id": "i"},
):
    """One row of `publicTrade.{symbol}`; the side is the taker's."""

    time: Stamp
    symbol: Text
    side: str
    qty: str
    price: str
    trade_id: Text


class TradeFrame(Struct, gc=False):
    """Up to 1024 trades; says "snapshot" and is an increment."""

    topic: str
    data: tuple[PublicTrade, ...]


class Bar(Struct, gc=False):
    """One row of `kline.{interval}.{symbol}`; only `confirm` means closed."""

    start: Stamp
    interval: str
    open: str
    close: str
    high: str
    low: str
    volume: str
    confirm: bool


class KlineFrame(Struct, gc=False):
    topic: str
    data: tuple[Bar, ...]


class TickerRow(
    Struct,
    gc=False,
    rename={
        "last_px": "lastPrice",
        "bid_px": "bid1Price",
        "bid_qty": "bid1Size",
        "ask_px": "ask1Price",
        "ask_qty": "ask1Size",
        "base_px": "prevPrice24h",
        "high_px": "highPrice24h",
        "low_px": "lowPrice24h",
        "volume": "volume24h",
        "turnover": "turnover24h",
    },
):
    """`tickers.{symbol}` and a row of its REST list.  None: not said, which in a delta means unchanged."""

    symbol: Text
    last_px: str | None = None
    bid_px: str | None = None
    bid_qty: str | None = None
    ask_px: str | None = None
    ask_qty: str | None = None
    base_px: str | None = None
    high_px: str | None = None
    low_px: str | None = None
    volume: str | None = None
    turnover: str | None = None


class TickerFrame(Struct, gc=False):
    topic: str
    type: str
    ts: Stamp
    data: TickerRow
    cs: Stamp | None = 0
    """Grows from frame to frame; 0 where the venue leaves it out."""


# ---- REST: the envelope and public answers (sections 2, 3, 5) ----------------------------------------------------


class Outcome(Struct, gc=False):
    """The part of the envelope that says what became of a request; `retMsg` of a success may be anything."""

    retCode: int
    retMsg: Maybe = ""
    time: Stamp | None = 0


class ServerTime(Struct, gc=False):
    timeNano: str


class TickerList(Struct, gc=False):
    category: str
    list: tuple[TickerRow, ...]


class TickersAnswer(Struct, gc=False):
    result: TickerList
    time: Stamp


class TimeAnswer(Struct, gc=False):
    result: ServerTime


class BookAnswer(Struct, gc=False):
    result: Book


class PriceFilter(Struct, gc=False):
    tickSize: str
    minPrice: Maybe = ""
    maxPrice: Maybe = ""


class LotSizeFilter(Struct, gc=False):
    """Spot and contracts name different rules; `minOrderQty` of spot is deprecated."""

    qtyStep: Maybe = ""
    basePrecision: Maybe = ""
    minOrderQty: Maybe = ""
    maxOrderQty: Maybe = ""
    maxMktOrderQty: Maybe = ""
    minNotionalValue: Maybe = ""
    minOrderAmt: Maybe = ""
    maxLimitOrderQty: Maybe = ""
    maxMarketOrderQty: Maybe = ""


class InstrumentRow(Struct, gc=False):
    symbol: Text
    status: str
    baseCoin: Text
    quoteCoin: Text
    priceFilter: PriceFilter
    lotSizeFilter: LotSizeFilter


class InstrumentList(Struct, gc=False):
    category: str
    list: tuple[InstrumentRow, ...]


class InstrumentsAnswer(Struct, gc=False):
    result: InstrumentList


Kline = tuple[Text, str, str, str, str, str, str]
"""[start, open, high, low, close, volume, turnover], newest first."""


class KlineList(Struct, gc=False):
    list: tuple[Kline, ...]


class KlinesAnswer(Struct, gc=False):
    result: KlineList


# ---- orders, fills, balances, positions (sections 6, 9 and 12) ---------------------------------------------------


class OrderRow(Struct, gc=False):
    """An order, on the stream and in queries; `category` is said on the stream alone."""

    symbol: Text
    orderId: Text
    side: str
    orderType: str
    orderStatus: str
    orderLinkId: Maybe = ""
    category: Maybe = ""
    price: Maybe = ""
    qty: Maybe = ""
    cumExecQty: Maybe = ""
    cumExecValue: Maybe = ""
    rejectReason: Maybe = ""
    cancelType: Maybe = ""
    stopOrderType: Maybe = ""
    triggerDirection: int | None = 0
    triggerPrice: Maybe = ""
    lastPriceOnCreated: Maybe = ""
    marketUnit: Maybe = ""
    positionIdx: int | None = 0
    createdTime: Maybe = ""
    updatedTime: Maybe = ""


class ExecutionRow(Struct, gc=False):
    """A fill, or something else that the venue keeps in the same list (`execType`)."""

    symbol: Text
    orderId: str
    side: str
    execId: Text
    execType: str
    execPrice: str
    execQty: str
    execTime: str
    category: Maybe = ""
    orderLinkId: Maybe = ""
    orderType: Maybe = ""
    orderPrice: Maybe = ""
    orderQty: Maybe = ""
    leavesQty: Maybe = ""
    execFee: Maybe = ""
    feeCurrency: Maybe = ""
    isMaker: bool | None = None
    marketUnit: Maybe = ""
    seq: int | None = -1


class CoinRow(Struct, gc=False):
    coin: Text
    walletBalance: Maybe = ""
    locked: Maybe = ""
    totalOrderIM: Maybe = ""
    totalPositionIM: Maybe = ""


class WalletRow(Struct, gc=False):
    coin: tuple[CoinRow, ...]
    accountType: Maybe = ""


class PositionRow(Struct, gc=False):
    """A contract position: `size` has no sign, `side` is "" when flat.

    REST says `avgPrice` where the stream says `entryPrice`.
    """

    symbol: Text
    side: str
    size: str
    category: Maybe = ""
    positionIdx: int | None = 0
    entryPrice: Maybe = ""
    avgPrice: Maybe = ""
    markPrice: Maybe = ""
    liqPrice: Maybe = ""
    leverage: Maybe = ""
    unrealisedPnl: Maybe = ""
    updatedTime: Maybe = ""


class PrivateFrame(Struct, gc=False):
    """A frame of the private socket that carries data; the rows are read one by one, by category."""

    topic: str
    data: tuple[msgspec.Raw, ...]
    creationTime: Stamp | None = 0


class CategoryOnly(Struct, gc=False):
    category: Maybe = ""


class OrderList(Struct, gc=False):
    list: tuple[OrderRow, ...]
    nextPageCursor: Maybe = ""


class OrdersAnswer(Struct, gc=False):
    result: OrderList


class ExecutionList(Struct, gc=False):
    list: tuple[ExecutionRow, ...]
    nextPageCursor: Maybe = ""


class ExecutionsAnswer(Struct, gc=False):
    result: ExecutionList


class WalletList(Struct, gc=False):
    list: tuple[WalletRow, ...]


class WalletAnswer(Struct, gc=False):
    result: WalletList
    time: Stamp | None = None


class AccountInfo(Struct, gc=False):
    unifiedMarginStatus: int


class AccountInfoAnswer(Struct, gc=False):
    result: AccountInfo


class PositionList(Struct, gc=False):
    list: tuple[PositionRow, ...]


class PositionsAnswer(Struct, gc=False):
    result: PositionList


class Page(Struct, gc=False):
    """What every list says about its end; `list` is there to see whether it is empty."""

    list: tuple[msgspec.Raw, ...] = ()
    nextPageCursor: Maybe = ""


class PageAnswer(Struct, gc=False):
    result: Page


# ---- answers to order requests (sections 6 and 7) ----------------------------------------------------------------


class OrderRef(Struct, gc=False):
    """An acknowledgement of receipt: which order, and nothing about its state."""

    orderId: Maybe = ""
    orderLinkId: Maybe = ""
    symbol: Maybe = ""


class OrderResult(Struct, gc=False):
    """The result of one order request, of a batch (`list`) or of a mass cancel (`list` and `success`)."""

    orderId: Maybe = ""
    orderLinkId: Maybe = ""
    list: tuple[OrderRef, ...] | None = None
    success: Maybe = ""


class ItemOutcome(Struct, gc=False):
    code: int
    msg: Maybe = ""


class ItemOutcomes(Struct, gc=False, frozen=True):
    """What became of the members of a batch, in their order."""

    list: tuple[ItemOutcome, ...] | None = None


class OrderAnswer(Struct, gc=False):
    """Answer of REST: the envelope and the result."""

    result: OrderResult
    retExtInfo: ItemOutcomes | None = None
    time: Stamp | None = None


class TradeFrameHead(Struct, gc=False):
    """Answer of the trade socket; `data` is read only when the request succeeded."""

    op: str
    retCode: int
    reqId: Maybe = ""
    retMsg: Maybe = ""
    header: object = None
    """Names and values, which say how much of a bucket is left; whatever else it is says nothing."""
    data: msgspec.Raw = msgspec.Raw(b"{}")
    retExtInfo: msgspec.Raw = msgspec.Raw(b"{}")
