"""JSON that is the same on every product of the venue."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta, Struct

Stamp = Annotated[int, Meta(ge=0)]
UpdateID = Annotated[int, Meta(ge=0, lt=2**62)]
Text = Annotated[str, Meta(min_length=1, max_length=64)]
"""A name that we go on to use as a key: symbols, assets, ids."""
Row = tuple[str, Decimal]


class AggTradeEvent(
    Struct,
    tag_field="e",
    tag="aggTrade",
    gc=False,
    rename={"symbol": "s", "trade_id": "a", "price": "p", "qty": "q", "time": "T", "buyer_is_maker": "m"},
):
    """`@aggTrade`: the fills of one taker order at one price."""

    symbol: Text
    trade_id: UpdateID
    price: str
    qty: str
    time: Stamp
    buyer_is_maker: bool


class TradeEvent(
    Struct,
    tag_field="e",
    tag="trade",
    gc=False,
    rename={
        "symbol": "s",
        "trade_id": "t",
        "price": "p",
        "qty": "q",
        "time": "T",
        "buyer_is_maker": "m",
        "kind": "X",
    },
):
    """`@trade`: one fill; ids grow by 1 per symbol.  On Futures it is not documented, and `kind` is MARKET, or an
    execution outside the book."""

    symbol: Text
    trade_id: UpdateID
    price: str
    qty: str
    time: Stamp
    buyer_is_maker: bool
    kind: str = "MARKET"


class Bar(
    Struct,
    gc=False,
    rename={
        "open_time": "t",
        "interval": "i",
        "open": "o",
        "high": "h",
        "low": "l",
        "close": "c",
        "volume": "v",
        "closed": "x",
    },
):
    """The `k` of a kline message."""

    open_time: Stamp
    interval: str
    open: str
    high: str
    low: str
    close: str
    volume: str
    closed: bool


class KlineEvent(Struct, tag_field="e", tag="kline", gc=False, rename={"symbol": "s", "bar": "k"}):
    """`@kline_<interval>`: the bar under way, and once more when it closes."""

    symbol: Text
    bar: Bar


class TickerEvent(
    Struct,
    tag_field="e",
    tag="24hrTicker",
    gc=False,
    rename={
        "event_time": "E",
        "symbol": "s",
        "last_px": "c",
        "last_qty": "Q",
        "open_px": "o",
        "high_px": "h",
        "low_px": "l",
        "volume": "v",
        "turnover": "q",
        "bid_px": "b",
        "bid_qty": "B",
        "ask_px": "a",
        "ask_qty": "A",
        "product": "st",
    },
):
    """`@ticker`: the last 24 hours.  Best bid and ask on Spot alone, `st` on Futures alone."""

    event_time: Stamp
    symbol: Text
    last_px: str
    last_qty: str = ""
    open_px: str = ""
    high_px: str = ""
    low_px: str = ""
    volume: str = ""
    turnover: str = ""
    bid_px: str = ""
    bid_qty: str = ""
    ask_px: str = ""
    ask_qty: str = ""
    product: int = 1


class TickerRow(Struct, gc=False):
    """A row of `ticker/24hr`: what the stream says, in long names; the change in per cent is not read."""

    symbol: Text
    closeTime: Stamp
    lastPrice: str
    lastQty: str = ""
    openPrice: str = ""
    highPrice: str = ""
    lowPrice: str = ""
    volume: str = ""
    quoteVolume: str = ""
    bidPrice: str = ""
    bidQty: str = ""
    askPrice: str = ""
    askQty: str = ""


Event = TypeVar("Event")


class StreamFrame(Struct, Generic[Event], gc=False):
    """A message of a combined stream."""

    data: Event


class RateLimit(Struct, gc=False):
    """A row of `rateLimits`: with `limit` in exchangeInfo, with `count` in replies.

    Everything has a default, because a kind unknown to us may lack any of it and must not cost us the order reply
    that carries it.
    """

    rateLimitType: str = ""
    interval: str = ""
    intervalNum: Annotated[int, Meta(ge=1, le=100_000)] = 1
    limit: Stamp = 0
    count: Stamp | None = None


class ErrorData(Struct, gc=False):
    """What a refusal for a limit adds on the WebSocket API."""

    serverTime: Stamp | None = None
    retryAfter: Stamp | None = None


class ErrorRow(Struct, gc=False):
    """The venue's error object: bare in REST, inside `error` on the WebSocket API.

    `data` differs by code, and one that cannot be read must not cost us the code: it is decoded apart.
    """

    code: Annotated[int, Meta(ge=-(10**9), le=10**9)] | None = None
    msg: str = ""
    data: msgspec.Raw = msgspec.Raw()


class ServerTime(Struct, gc=False):
    serverTime: Stamp


class DepthSnapshot(Struct, gc=False):
    lastUpdateId: UpdateID
    bids: tuple[Row, ...]
    asks: tuple[Row, ...]


class Kline(Struct, array_like=True, gc=False):
    """A row of klines.  What follows the end of the bar is not read, however much of it there is."""

    open_time: Stamp
    open: str
    high: str
    low: str
    close: str
    volume: str
    close_time: Stamp


class FilterName(Struct, gc=False):
    """What is read of a filter before it is known whether the rest can be."""

    filterType: str


FILTER_NAME = msgspec.json.Decoder(FilterName)
