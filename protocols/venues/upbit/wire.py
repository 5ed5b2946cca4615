"""The venue's JSON as msgspec structs: field names are the venue's long ones, `rename` maps the short form to them.

Streams write numbers as JSON numbers, REST writes strings for what is ours and numbers for what is public; documents
and recordings disagree about some fields, so every amount is a Decimal that takes either, exactly as it was written: no
float is ever made.  Streams write null where REST leaves a field out.  Only what is used is declared.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

Stamp = Annotated[int, Meta(ge=0)]
"""Milliseconds since the epoch."""
Text = Annotated[str, Meta(min_length=1, max_length=64)]
"""A name that we go on to use as a key: markets, currencies, ids."""
Name = Annotated[str, Meta(max_length=64)]
"""As `Text`, or nothing."""
SequentialID = Annotated[int, Meta(ge=0)] | Annotated[str, Meta(min_length=1, max_length=32)]
"""17 digits since 2026, above 2**53; quoted in some recordings, bare in others."""


# ---- public streams, long names (sections 6.4 to 6.7) ----------------------------------------------------------


class Unit(Struct, gc=False):
    """One line of a book: the n-th best ask beside the n-th best bid."""

    ask_price: Decimal
    bid_price: Decimal
    ask_size: Decimal
    bid_size: Decimal


class OrderBook(Struct, tag_field="type", tag="orderbook", gc=False):
    """`orderbook`: a full picture, always."""

    code: Text
    timestamp: Stamp
    orderbook_units: tuple[Unit, ...]
    level: Decimal | None = None


class Trade(Struct, tag_field="type", tag="trade", gc=False):
    """`trade`: one fill; `ask_bid` is the taker's side."""

    code: Text
    trade_timestamp: Stamp
    trade_price: Decimal
    trade_volume: Decimal
    ask_bid: str
    sequential_id: SequentialID


class Ticker(Struct, tag_field="type", tag="ticker", gc=False):
    """`ticker`: open, high, low and change are those of the day, which begins at 00:00 UTC."""

    code: Text
    timestamp: Stamp
    trade_price: Decimal | None = None
    trade_volume: Decimal | None = None
    opening_price: Decimal | None = None
    high_price: Decimal | None = None
    low_price: Decimal | None = None
    prev_closing_price: Decimal | None = None
    acc_trade_volume_24h: Decimal | None = None
    acc_trade_price_24h: Decimal | None = None


class Candle(Struct, gc=False):
    """`candle.<unit>`: the bar under way, about once a second while there are trades; the last one counts."""

    type: str
    code: Text
    candle_date_time_utc: str
    opening_price: Decimal
    high_price: Decimal
    low_price: Decimal
    trade_price: Decimal
    candle_acc_trade_volume: Decimal


# ---- public streams, short names (section 6.10) ----------------------------------------------------------------


class SimpleUnit(Struct, gc=False, rename={"ask_price": "ap", "bid_price": "bp", "ask_size": "as", "bid_size": "bs"}):
    ask_price: Decimal
    bid_price: Decimal
    ask_size: Decimal
    bid_size: Decimal


class SimpleOrderBook(
    Struct,
    tag_field="ty",
    tag="orderbook",
    gc=False,
    rename={"code": "cd", "timestamp": "tms", "orderbook_units": "obu", "level": "lv"},
):
    code: Text
    timestamp: Stamp
    orderbook_units: tuple[SimpleUnit, ...]
    level: Decimal | None = None


class SimpleTrade(
    Struct,
    tag_field="ty",
    tag="trade",
    gc=False,
    rename={
        "code": "cd",
        "trade_timestamp": "ttms",
        "trade_price": "tp",
        "trade_volume": "tv",
        "ask_bid": "ab",
        "sequential_id": "sid",
    },
):
    code: Text
    trade_timestamp: Stamp
    trade_price: Decimal
    trade_volume: Decimal
    ask_bid: str
    sequential_id: SequentialID


class SimpleTicker(
    Struct,
    tag_field="ty",
    tag="ticker",
    gc=False,
    rename={
        "code": "cd",
        "timestamp": "tms",
        "trade_price": "tp",
        "trade_volume": "tv",
        "opening_price": "op",
        "high_price": "hp",
        "low_price": "lp",
        "prev_closing_price": "pcp",
        "acc_trade_volume_24h": "atv24h",
        "acc_trade_price_24h": "atp24h",
    },
):
    code: Text
    timestamp: Stamp
    trade_price: Decimal | None = None
    trade_volume: Decimal | None = None
    opening_price: Decimal | None = None
    high_price: Decimal | None = None
    low_price: Decimal | None = None
    prev_closing_price: Decimal | None = None
    acc_trade_volume_24h: Decimal | None = None
    acc_trade_price_24h: Decimal | None = None


class SimpleCandle(
    Struct,
    gc=False,
    rename={
        "type": "ty",
        "code": "cd",
        "candle_date_time_utc": "cdttmu",
        "opening_price": "op",
        "high_price": "hp",
        "low_price": "lp",
        "trade_price": "tp",
        "candle_acc_trade_volume": "catv",
    },
):
    type: str
    code: Text
    candle_date_time_utc: str
    opening_price: Decimal
    high_price: Decimal
    low_price: Decimal
    trade_price: Decimal
    candle_acc_trade_volume: Decimal


AnyOrderBook = OrderBook | SimpleOrderBook
AnyTrade = Trade | SimpleTrade
AnyTicker = Ticker | SimpleTicker
AnyCandle = Candle | SimpleCandle


# ---- private streams (sections 6.8 to 6.10) --------------------------------------------------------------------


class MyOrder(Struct, tag_field="type", tag="myOrder", gc=False):
    """`myOrder`: one change to one order.  In state `trade`, `price` and `volume` are the fill's, else the order's."""

    code: Text
    uuid: Text
    ask_bid: str
    order_type: str
    state: str
    timestamp: Stamp
    trade_uuid: Name | None = None
    price: Decimal | None = None
    avg_price: Decimal | None = None
    volume: Decimal | None = None
    remaining_volume: Decimal | None = None
    executed_volume: Decimal | None = None
    executed_funds: Decimal | None = None
    trade_fee: Decimal | None = None
    is_maker: bool | None = None
    identifier: Name | None = None
    prevented_volume: Decimal | None = None
    trade_timestamp: Stamp | None = None


class SimpleMyOrder(
    Struct,
    tag_field="ty",
    tag="myOrder",
    gc=False,
    rename={
        "code": "cd",
        "uuid": "uid",
        "ask_bid": "ab",
        "order_type": "ot",
        "state": "s",
        "timestamp": "tms",
        "trade_uuid": "tuid",
        "price": "p",
        "avg_price": "ap",
        "volume": "v",
        "remaining_volume": "rv",
        "executed_volume": "ev",
        "executed_funds": "ef",
        "trade_fee": "tf",
        "is_maker": "im",
        "identifier": "id",
        "prevented_volume": "pv",
        "trade_timestamp": "ttms",
    },
):
    code: Text
    uuid: Text
    ask_bid: str
    order_type: str
    state: str
    timestamp: Stamp
    trade_uuid: Name | None = None
    price: Decimal | None = None
    avg_price: Decimal | None = None
    volume: Decimal | None = None
    remaining_volume: Decimal | None = None
    executed_volume: Decimal | None = None
    executed_funds: Decimal | None = None
    trade_fee: Decimal | None = None
    is_maker: bool | None = None
    identifier: Name | None = None
    prevented_volume: Decimal | None = None
    trade_timestamp: Stamp | None = None


class Asset(Struct, gc=False):
    """A row of myAsset, and of `GET /v1/accounts`: `balance` is what is free, `locked` is not in it."""

    currency: Text
    balance: Decimal
    locked: Decimal


class SimpleAsset(Struct, gc=False, rename={"currency": "cu", "balance": "b", "locked": "l"}):
    currency: Text
    balance: Decimal
    locked: Decimal


class MyAsset(Struct, tag_field="type", tag="myAsset", gc=False):
    """`myAsset`: the currencies that changed, absolute."""

    assets: tuple[Asset, ...]
    asset_timestamp: Stamp
    timestamp: Stamp


class SimpleMyAsset(
    Struct,
    tag_field="ty",
    tag="myAsset",
    gc=False,
    rename={"assets": "ast", "asset_timestamp": "asttms", "timestamp": "tms"},
):
    assets: tuple[SimpleAsset, ...]
    asset_timestamp: Stamp
    timestamp: Stamp


AnyMyOrder = MyOrder | SimpleMyOrder
AnyMyAsset = MyAsset | SimpleMyAsset


# ---- errors (sections 6.3 and 8) -------------------------------------------------------------------------------


class ErrorRow(Struct, gc=False):
    """`name` is a word for what is ours, a number for what is public."""

    name: str | int | None = None
    message: str | None = None


class ErrorBody(Struct, gc=False):
    error: ErrorRow


# ---- REST answers ----------------------------------------------------------------------------------------------


class RestOrderBook(Struct, gc=False):
    market: Text
    timestamp: Stamp
    orderbook_units: tuple[Unit, ...]
    level: Decimal | None = None


class RestTicker(Struct, gc=False):
    """A row of `/v1/ticker`: what the stream says, with `market` instead of `code`."""

    market: Text
    timestamp: Stamp
    trade_price: Decimal | None = None
    trade_volume: Decimal | None = None
    opening_price: Decimal | None = None
    high_price: Decimal | None = None
    low_price: Decimal | None = None
    prev_closing_price: Decimal | None = None
    acc_trade_volume_24h: Decimal | None = None
    acc_trade_price_24h: Decimal | None = None


class RestCandle(Struct, gc=False):
    market: Text
    candle_date_time_utc: str
    opening_price: Decimal
    high_price: Decimal
    low_price: Decimal
    trade_price: Decimal
    candle_acc_trade_volume: Decimal


class Market(Struct, gc=False):
    """A row of market/all, or of orderbook/instruments, which alone says the step at the present price."""

    market: Text
    tick_size: Decimal | None = None


class TradeRow(Struct, gc=False):
    """A row of an order's `trades`: a fill without its fee."""

    uuid: Text
    price: Decimal
    volume: Decimal
    funds: Decimal
    created_at: str


class OrderRow(Struct, gc=False):
    """An order wherever REST shows one; `trades` come with `GET /v1/order` alone, `new_order_*` with a replacement."""

    uuid: Text
    market: Text
    side: str
    ord_type: str
    state: str
    created_at: str
    price: Decimal | None = None
    volume: Decimal | None = None
    remaining_volume: Decimal | None = None
    executed_volume: Decimal | None = None
    executed_funds: Decimal | None = None
    paid_fee: Decimal | None = None
    identifier: Name | None = None
    prevented_volume: Decimal | None = None
    trades: tuple[TradeRow, ...] | None = None
    new_order_uuid: Name | None = None
    new_order_identifier: Name | None = None


class BulkOrder(Struct, gc=False):
    uuid: Name = ""
    market: Name = ""
    identifier: Name | None = None


class BulkPart(Struct, gc=False):
    orders: tuple[BulkOrder, ...]


class Bulk(Struct, gc=False):
    """The answer to a request that cancels several orders."""

    success: BulkPart
    failed: BulkPart


class ChanceSide(Struct, gc=False):
    min_total: Decimal | None = None


class ChanceMarket(Struct, gc=False):
    id: Text
    bid: ChanceSide
    ask: ChanceSide
    bid_types: tuple[str, ...] | None = None
    ask_types: tuple[str, ...] | None = None
    max_total: Decimal | None = None
    state: str = ""


class Chance(Struct, gc=False):
    """`GET /v1/orders/chance`: what this account may do on one market."""

    market: ChanceMarket
    bid_fee: Decimal
    ask_fee: Decimal
    maker_bid_fee: Decimal | None = None
    maker_ask_fee: Decimal | None = None


Rows = tuple[msgspec.Raw, ...]
