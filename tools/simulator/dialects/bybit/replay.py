"""What recorded Bybit frames mean: books, prints, mark prices, and what subscribers get.

The recorded text goes on as it is.  A recording holds no REST snapshots: a topic's own snapshot opens its book, and who
subscribes later gets a snapshot of what the recording has shown until then, under the counter it has reached.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import attrs
import msgspec
import orjson

from tools.simulator.core import contracts, outside
from tools.simulator.core.clock import MS
from tools.simulator.core.hub import Message
from tools.simulator.core.market import Market
from tools.simulator.core.model import Trade
from tools.simulator.dialects.bybit.topics import category_of, hub_name, split

if TYPE_CHECKING:
    from tools.simulator.dialects.bybit.venue import Bybit

OWN_TRADE_IDS = 9_000_000_000_000
"""Users' own fills are numbered far above the recorded prints."""
IDS_KEPT = 20_000

Texts = dict[Decimal, tuple[str, str]]


class _Book(msgspec.Struct):
    s: str
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]
    u: int
    seq: int = 0


class _BookFrame(msgspec.Struct):
    topic: str
    type: str
    data: _Book
    ts: int = 0
    cts: int = 0


class _Trade(msgspec.Struct):
    T: int
    s: str
    S: str
    v: str
    p: str
    i: str


class _TradeFrame(msgspec.Struct):
    data: list[_Trade]


class _Ticker(msgspec.Struct):
    symbol: str
    markPrice: str = ""
    indexPrice: str = ""


class _TickerFrame(msgspec.Struct):
    data: _Ticker


class _Head(msgspec.Struct):
    topic: str = ""


@attrs.define
class _Shown:
    """One topic as a subscriber sees it: levels in the recording's own writing."""

    topic: str
    bids: Texts = attrs.Factory(dict)
    asks: Texts = attrs.Factory(dict)
    update_id: int = 0
    sequence: int = 0
    ts: int = 0
    cts: int = 0


class BybitReplay:
    """Implements `core.capture.ReplayCodec` for this venue, and tells the streams what was shown."""

    def __init__(self, venue: Bybit) -> None:
        self._venue = venue
        self._exchange = venue.exchange
        self._head = msgspec.json.Decoder(_Head)
        self._book = msgspec.json.Decoder(_BookFrame)
        self._trades = msgspec.json.Decoder(_TradeFrame)
        self._ticker = msgspec.json.Decoder(_TickerFrame)
        self._shown: dict[str, _Shown] = {}
        self._deepest: dict[str, int] = {}  # market key -> the depth that feeds its book
        self._number = 0
        self.strict = False
        """Of a live market: refuse a delta that does not follow.  A recording is told as it is."""
        venue.streams.recorded = self
        for market in self._exchange.markets.values():
            market.start_trade_ids(OWN_TRADE_IDS)

    def snapshots_taken(self) -> int:
        """Subscriptions to books, and books asked for by REST: either heals a subscriber."""
        return sum(self._venue.snapshots.values())

    def open_book(self, symbol: str, raw: str) -> None:
        """Recordings of this venue bring their snapshots in the stream."""

    def snapshot(self, name: str) -> bytes | None:
        """See `streams.Recorded`."""
        shown = self._shown.get(name)
        if shown is None:
            return None
        data = {
            "s": split(shown.topic)[2],
            "b": [shown.bids[price] for price in sorted(shown.bids, reverse=True)],
            "a": [shown.asks[price] for price in sorted(shown.asks)],
            "u": shown.update_id,
            "seq": shown.sequence,
        }
        frame = {"topic": shown.topic, "type": "snapshot", "ts": shown.ts, "data": data, "cts": shown.cts}
        return orjson.dumps(frame)

    def has_book(self, key: str) -> bool:
        """Has a book of this market been shown?"""
        return key in self._deepest

    def apply(self, raw: str, url: str = "") -> Message | None:
        """Keep books, prints and mark prices, fill users, and hand the text on."""
        category, topic = category_of(url), self._head.decode(raw).topic
        kind, detail, symbol = split(topic)
        market = self._exchange.markets.get(f"{category}:{symbol}")
        if not topic or market is None:
            return None
        name, ids = hub_name(category, topic), None
        if kind == "orderbook":
            ids = self._apply_book(name, market, int(detail), raw)
        elif kind == "publicTrade":
            self._apply_trades(market, raw)
        elif kind == "tickers" and market.spec.is_linear:
            self._apply_ticker(market, raw)
        return Message(name, raw.encode(), None, ids)

    def _apply_book(self, name: str, market: Market, depth: int, raw: str) -> tuple[int, int] | None:
        """Change the shown topic, and the market's book where this is its deepest; a delta's counter."""
        frame = self._book.decode(raw)
        data = frame.data
        whole = frame.type == "snapshot" or data.u == 1
        shown = self._shown.get(name)
        if shown is None:
            shown = self._shown[name] = _Shown(frame.topic)
        if whole:
            shown.bids, shown.asks = {}, {}
        elif self.strict and data.u != shown.update_id + 1:
            raise ValueError(f"{name}: update {data.u} follows {shown.update_id}")
        for texts, rows in ((shown.bids, data.b), (shown.asks, data.a)):
            for price, qty in rows:
                if Decimal(qty):
                    texts[Decimal(price)] = (price, qty)
                else:
                    texts.pop(Decimal(price), None)
        shown.update_id, shown.sequence, shown.ts, shown.cts = data.u, data.seq, frame.ts, frame.cts
        self._deepest[market.symbol] = max(depth, self._deepest.get(market.symbol, 0))
        if depth == self._deepest[market.symbol]:
            self._feed(market, data, whole=whole)
        return None if whole else (data.u, data.u)

    def _feed(self, market: Market, data: _Book, *, whole: bool) -> None:
        for side, rows in ((market.book.bids, data.b), (market.book.asks, data.a)):
            if whole:
                side.clear_displayed()
            for price, qty in rows:
                side.set_displayed(Decimal(price), Decimal(qty))
        market.update_id = data.u
        top = market.top()
        if not market.last_px and top.bid is not None:
            market.last_px = top.bid
        outside.recorded_book_moved(self._exchange, market)

    def _apply_trades(self, market: Market, raw: str) -> None:
        names = self._venue.streams.recorded_ids
        for row in self._trades.decode(raw).data:
            self._number += 1
            names[market.symbol, self._number] = row.i
            price, qty = Decimal(row.p), Decimal(row.v)
            outside.recorded_trade(
                self._exchange,
                Trade(
                    symbol=market.symbol,
                    trade_id=self._number,
                    price=price,
                    qty=qty,
                    quote_qty=market.spec.amount(price, qty),
                    time_ns=row.T * MS,
                    buyer_is_maker=row.S == "Sell",
                ),
            )
        while len(names) > IDS_KEPT:
            del names[next(iter(names))]

    def _apply_ticker(self, market: Market, raw: str) -> None:
        data = self._ticker.decode(raw).data
        if data.markPrice:
            index = Decimal(data.indexPrice) if data.indexPrice else None
            contracts.pin_mark(self._exchange, market.symbol, Decimal(data.markPrice), index)
