"""Bybit's public side: market streams and unsigned REST (reference sections 3, 5 and 8).

A frame's topic picks a decoder that parses, checks and builds in one pass.  Where the topic is written first it is cut
out of the text; the order of keys is the venue's whim, so otherwise the frame is looked through for it.  Frames without
a topic answer requests.

A level-1 book is a snapshot each time and becomes a `BookTicker`.  Its counter is its own and cannot be compared with
that of a deeper book, so `update_id` is 0: no id that a book has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import msgspec

from protocols.base import Message
from protocols.enums import CONDITIONAL_TYPES, Side, Source
from protocols.errors import ConfigError, LocalProtocolError, RemoteProtocolError, Unrecognized
from protocols.ids import Symbol, Venue
from protocols.instruments import Instrument, Product
from protocols.market import CANDLE_LENGTHS_NS, BookDelta, BookSnapshot, BookTicker, Candle, Level, Ticker, Trade
from protocols.venue import (
    BookSequencer,
    Capabilities,
    Channel,
    Frame,
    HttpReply,
    HttpRequest,
    Limit,
    Reply,
    SessionRules,
    UnrecognizedMessage,
    Usage,
    VenueError,
)
from protocols.venues.bybit import wire
from protocols.venues.bybit.answers import control_reply, decoded, page_of, refusal_of
from protocols.venues.bybit.book import DEPTHS, RESTARTED, BybitSequencer
from protocols.venues.bybit.encode import CATEGORIES, control_frame
from protocols.venues.bybit.endpoints import PRODUCTION, STREAM_RULES, WALLET, Endpoints
from protocols.venues.bybit.errors import classify
from protocols.venues.bybit.instruments import ORD_TYPES, instruments_of
from protocols.venues.bybit.limits import BATCH_MAX, CANCELS_MAX, DOCUMENTED
from protocols.venues.bybit.reports import time_ns
from protocols.venues.bybit.requests import encoded, public_request
from protocols.venues.bybit.tickers import MergedTickers, ticker_of
from protocols.venues.values import REFUSED, ZERO, Levels, amount, stamp_ns

__all__ = ["CAPABILITIES", "VENUES", "BybitPublic"]

VENUES: Mapping[Product, Venue] = {Product.SPOT: Venue("bybit-spot"), Product.LINEAR: Venue("bybit-linear")}
_S = 1_000_000_000
_MINUTE, _HOUR, _DAY = 60 * _S, 3600 * _S, 86_400 * _S
INTERVALS: Mapping[str, int] = {
    "1": _MINUTE,
    "3": 3 * _MINUTE,
    "5": 5 * _MINUTE,
    "15": 15 * _MINUTE,
    "30": 30 * _MINUTE,
    "60": _HOUR,
    "120": 2 * _HOUR,
    "240": 4 * _HOUR,
    "360": 6 * _HOUR,
    "720": 12 * _HOUR,
    "D": _DAY,
    "W": 7 * _DAY,
}
"""Bars of fixed length; the venue's `M` has none."""
_INTERVAL_TEXT = {length: text for text, length in INTERVALS.items()}
_CANDLE_PREFIX: Mapping[Channel, str] = {
    channel: f"kline.{_INTERVAL_TEXT[length]}."
    for channel, length in CANDLE_LENGTHS_NS.items()
    if length in _INTERVAL_TEXT
}
_CHANNELS = frozenset({Channel.BOOK, Channel.BOOK_TICKER, Channel.TRADES, Channel.TICKER, *_CANDLE_PREFIX})

CAPABILITIES: Mapping[Product, Capabilities] = {
    product: Capabilities(
        ws_order_entry=True,
        ws_logon=True,
        amend_keeps_priority=False,  # not documented: assumed lost
        amends_price=True,
        cancel_replace=False,
        cancel_all_symbol=True,
        cancel_all_account=True,
        batch_size_max=BATCH_MAX[product],
        dead_man_switch=False,  # institutions alone may use it
        hedge_mode=product is Product.LINEAR,
        private_snapshot_on_subscribe=False,
        request_window=True,
        query_by_cl_ord_id=True,
        post_only=True,
        reduce_only=product is Product.LINEAR,
        market_by_quote=product is Product.SPOT,
        cl_ord_id_reusable=True,  # for how long an id stays taken is not documented
        ws_cancel_all=False,
        fills_from_trade_id=False,
        cancel_batch_max=CANCELS_MAX[product],
        ws_batches=True,
        positions=product is Product.LINEAR,
        wallet=WALLET,
        channels=_CHANNELS,
        candles_max=1000,
        triggers=ORD_TYPES[product] & CONDITIONAL_TYPES,
    )
    for product in VENUES
}
TOPICS_PER_FRAME = 10
"""The rule on spot; elsewhere small groups as well, because one bad topic may cost all of its request (assumed)."""
KLINES_MAX = 1000
INSTRUMENTS_MAX = 1000
_KNOWN_TOPICS_MAX = 4096
_PREFIX = b'{"topic":"'
_TOPIC_AT = len(_PREFIX)
_SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}

_Build = Callable[[Any, bytes, int, int], Sequence[Message]]


def capabilities_of(product: Product, endpoints: Endpoints = PRODUCTION) -> Capabilities:
    """What the venue can do in this environment: demo trading has no order entry by WebSocket, no batches of spot."""
    able = CAPABILITIES[product]
    if endpoints.trade:
        return able
    able = attrs.evolve(able, ws_order_entry=False, ws_batches=False)
    return attrs.evolve(able, batch_size_max=1, cancel_batch_max=1) if product is Product.SPOT else able


class BybitPublic:
    """`protocols.venue.PublicCodec` of one product.  `book_depth`: 50, 200 or 1000 levels a side."""

    rules: SessionRules = STREAM_RULES

    def __init__(self, product: Product, endpoints: Endpoints = PRODUCTION, book_depth: int = 200) -> None:
        if product not in VENUES:
            raise ConfigError(f"product was {product.value}, must be SPOT or LINEAR")
        if book_depth not in DEPTHS:
            raise ConfigError(f"book_depth was {book_depth}, must be one of {', '.join(map(str, DEPTHS))}")
        self.product = product
        self.venue = VENUES[product]
        self.capabilities: Capabilities = capabilities_of(product, endpoints)
        self.endpoints = endpoints
        self._category = CATEGORIES[product]
        self._book_depth = book_depth
        self._levels = Levels()
        self._paths = endpoints.paths
        self._prefixes = {
            Channel.BOOK: f"orderbook.{book_depth}.",
            Channel.BOOK_TICKER: "orderbook.1.",
            Channel.TRADES: "publicTrade.",
            Channel.TICKER: "tickers.",
            **_CANDLE_PREFIX,
        }
        self._by_kind: Mapping[str, tuple[msgspec.json.Decoder[Any], _Build]] = {
            "orderbook": (msgspec.json.Decoder(wire.BookFrame), self._book),
            "publicTrade": (msgspec.json.Decoder(wire.TradeFrame), self._trades),
            "kline": (msgspec.json.Decoder(wire.KlineFrame), self._klines),
            "tickers": (msgspec.json.Decoder(wire.TickerFrame), self._ticker),
        }
        self._by_topic: dict[bytes, tuple[msgspec.json.Decoder[Any], _Build]] = {}
        self._merged = MergedTickers()
        self._head = msgspec.json.Decoder(wire.Head)
        self._time_answer = msgspec.json.Decoder(wire.TimeAnswer)
        self._instruments_answer = msgspec.json.Decoder(wire.InstrumentsAnswer)
        self._book_answer = msgspec.json.Decoder(wire.BookAnswer)
        self._klines_answer = msgspec.json.Decoder(wire.KlinesAnswer)
        self._tickers_answer = msgspec.json.Decoder(wire.TickersAnswer)

    # ---- streams -----------------------------------------------------------------------------------------------

    def stream_path(self) -> str:
        """The socket of this product; topics are added by `subscribe`."""
        return self._paths.stream[self.product]

    def subscribe(self, wanted: Sequence[tuple[Channel, Symbol]], request_id: int) -> Sequence[Frame]:
        """Subscribe frames; the n-th has the id `request_id + n`."""
        return self._topic_frames("subscribe", wanted, request_id)

    def unsubscribe(self, unwanted: Sequence[tuple[Channel, Symbol]], request_id: int) -> Sequence[Frame]:
        """Unsubscribe frames, numbered likewise."""
        return self._topic_frames("unsubscribe", unwanted, request_id)

    def keep_alive(self, request_id: str) -> Frame:
        """The venue's own ping, to be sent every 20 s."""
        return control_frame("ping", (), request_id)

    def decode(self, raw: str | bytes, received_ns: int, connection: int) -> Sequence[Message | Reply]:
        """Events of one message.  Raises RemoteProtocolError, nothing else."""
        try:
            if isinstance(raw, str):
                raw = raw.encode()
            if raw.startswith(_PREFIX):
                topic = raw[_TOPIC_AT : raw.find(b'"', _TOPIC_AT)]
            else:
                topic = self._head.decode(raw).topic.encode()
            if not topic:
                return (self._answer(raw, received_ns),)
            known = self._by_topic.get(topic) or self._learn(topic)
            if known is None:
                return (self._unrecognized("topic", topic.decode(), raw),)
            decoder, build = known
            return build(decoder.decode(raw), raw, received_ns, connection)
        except REFUSED as error:
            raise RemoteProtocolError(f"stream message refused: {error}: {raw[:200]!r}") from error

    def _learn(self, topic: bytes) -> tuple[msgspec.json.Decoder[Any], _Build] | None:
        """The decoder for a topic by its kind, `<kind>.[<detail>.]<symbol>`; the full book and its like are others."""
        kind, _, rest = topic.decode().partition(".")
        found = self._by_kind.get(kind)
        if kind == "orderbook" and not rest.partition(".")[0].isdigit():
            return None
        if found is not None:
            if len(self._by_topic) >= _KNOWN_TOPICS_MAX:
                self._by_topic.clear()
            self._by_topic[topic] = found
        return found

    def _book(self, frame: wire.BookFrame, raw: bytes, received_ns: int, connection: int) -> Sequence[Message]:
        data = frame.data
        symbol, update_id = Symbol(data.symbol), data.update_id
        _, depth, named = _parts(frame.topic)
        if named != symbol:
            raise RemoteProtocolError(f"topic {frame.topic!r} with a book of {symbol!r}")
        bids, asks = self._levels.of(data.bids), self._levels.of(data.asks)
        event_ns = stamp_ns(frame.cts or frame.ts)
        whole = frame.type == "snapshot" or update_id == RESTARTED
        if not whole and frame.type != "delta":
            return (self._unrecognized("type", frame.type, raw),)
        if depth == "1":
            if not whole:
                return (self._unrecognized("type", "a delta of level 1", raw),)
            (bid_px, bid_qty), (ask_px, ask_qty) = _best(bids), _best(asks)
            return (BookTicker(self.venue, symbol, bid_px, bid_qty, ask_px, ask_qty, 0, event_ns, received_ns),)
        if whole:
            return (self._snapshot(symbol, update_id, bids, asks, received_ns, connection, event_ns),)
        return (BookDelta(self.venue, symbol, update_id, update_id, -1, bids, asks, event_ns, received_ns, connection),)

    def _trades(self, frame: wire.TradeFrame, raw: bytes, received_ns: int, connection: int) -> Sequence[Message]:
        events: list[Message] = []
        for row in frame.data:
            side = _SIDES.get(row.side)
            if side is None:
                events.append(self._unrecognized("S", row.side, raw))
                continue
            events.append(
                Trade(
                    self.venue,
                    Symbol(row.symbol),
                    row.trade_id,
                    amount(row.price),
                    amount(row.qty),
                    side,
                    stamp_ns(row.time),
                    received_ns,
                )
            )
        return events

    def _klines(self, frame: wire.KlineFrame, raw: bytes, received_ns: int, connection: int) -> Sequence[Message]:
        symbol = Symbol(_parts(frame.topic)[2])
        events: list[Message] = []
        for bar in frame.data:
            interval_ns = INTERVALS.get(bar.interval)
            if interval_ns is None:
                events.append(self._unrecognized("interval", bar.interval, raw))
                continue
            events.append(
                Candle(
                    self.venue,
                    symbol,
                    interval_ns,
                    stamp_ns(bar.start),
                    amount(bar.open),
                    amount(bar.high),
                    amount(bar.low),
                    amount(bar.close),
                    amount(bar.volume),
                    bar.confirm,
                    received_ns=received_ns,
                    source=Source.STREAM,
                )
            )
        return events

    def _ticker(self, frame: wire.TickerFrame, raw: bytes, received_ns: int, connection: int) -> Sequence[Message]:
        if frame.topic.partition(".")[2] != frame.data.symbol:
            raise RemoteProtocolError(f"topic {frame.topic!r} with a ticker of {frame.data.symbol!r}")
        if frame.type not in ("snapshot", "delta"):
            return (self._unrecognized("type", frame.type, raw),)
        row = self._merged.merge(frame, connection)
        return () if row is None else (ticker_of(self.venue, row, frame.ts, received_ns, Source.STREAM),)

    def _answer(self, raw: bytes, received_ns: int) -> Reply:
        whole = msgspec.json.decode(raw)
        answered = control_reply(whole, "", self.product, received_ns) if isinstance(whole, dict) else None
        if answered is None:
            raise RemoteProtocolError(f"neither event nor reply: {raw[:200]!r}")
        return answered

    def _topic_frames(self, op: str, streams: Sequence[tuple[Channel, Symbol]], request_id: int) -> Sequence[Frame]:
        topics = [self._prefixes[channel] + symbol for channel, symbol in streams]
        return [
            control_frame(op, topics[start : start + TOPICS_PER_FRAME], str(number))
            for number, start in enumerate(range(0, len(topics), TOPICS_PER_FRAME), request_id)
        ]

    def _unrecognized(self, field: str, word: str, raw: bytes) -> UnrecognizedMessage:
        text = raw[:2000].decode("utf-8", "replace")
        return UnrecognizedMessage(self.venue, (Unrecognized(field, word[:100]),), text)

    # ---- REST --------------------------------------------------------------------------------------------------

    def time_request(self) -> HttpRequest:
        """`GET /v5/market/time`."""
        return public_request(self._paths.time, ())

    def decode_time(self, reply: HttpReply) -> int:
        """The venue's clock, ns."""
        text = decoded(self._time_answer, reply).result.timeNano
        if not (text.isascii() and text.isdigit() and len(text) == 19 and int(text) < 2**63):
            raise RemoteProtocolError(f"not a time: {text[:40]!r}")
        return int(text)

    def instruments_request(self, symbols: Sequence[Symbol]) -> HttpRequest:
        """`GET /v5/market/instruments-info`: one symbol, or all that trade; the venue cannot be asked for some."""
        params = [("category", self._category)]
        if len(symbols) == 1:
            params.append(("symbol", symbols[0]))
        elif self.product is not Product.SPOT:
            params.append(("limit", str(INSTRUMENTS_MAX)))
        return public_request(self._paths.instruments, params)

    def decode_instruments(self, reply: HttpReply) -> tuple[Sequence[Instrument], Sequence[Limit]]:
        """The instruments of this page (see `continuation`), and the limits that the venue documents."""
        result = decoded(self._instruments_answer, reply).result
        if result.category != self._category:
            raise RemoteProtocolError(f"instruments of {result.category!r} instead of {self._category!r}")
        return instruments_of(self.venue, self.product, result.list), DOCUMENTED[self.product]

    def continuation(self, request: HttpRequest, reply: HttpReply, stamp_venue_ns: int) -> HttpRequest | None:
        """The next page of the instruments; None for whatever else, and after the last page."""
        if request.path != self._paths.instruments:
            return None
        cursor = page_of(reply).nextPageCursor
        if not cursor:
            return None
        kept = request.query.partition("&cursor=")[0]
        return HttpRequest("GET", request.path, f"{kept}&{encoded((('cursor', cursor),))}", {}, "", 0, request.lane)

    def snapshot_request(self, symbol: Symbol, depth: int) -> HttpRequest:
        """`GET /v5/market/orderbook` with `depth` levels a side, at most 1000; its counter is that of depth 1000."""
        levels = str(min(max(depth, 1), 1000))
        return public_request(
            self._paths.order_book, (("category", self._category), ("symbol", symbol), ("limit", levels))
        )

    def decode_snapshot(self, symbol: Symbol, reply: HttpReply, connection: int) -> BookSnapshot:
        """The book as of `u`."""
        data = decoded(self._book_answer, reply).result
        if data.symbol != symbol:
            raise RemoteProtocolError(f"a book of {data.symbol!r} instead of {symbol!r}")
        bids, asks = self._levels.of(data.bids), self._levels.of(data.asks)
        return self._snapshot(symbol, data.update_id, bids, asks, reply.received_ns, connection)

    def _snapshot(
        self,
        symbol: Symbol,
        update_id: int,
        bids: tuple[Level, ...],
        asks: tuple[Level, ...],
        received_ns: int,
        connection: int,
        event_ns: int = 0,
    ) -> BookSnapshot:
        """A whole book.  A restart may be told as a delta with deletions in it, which have no place in one."""
        if not all(qty for _, qty in bids) or not all(qty for _, qty in asks):
            bids = tuple(level for level in bids if level[1])
            asks = tuple(level for level in asks if level[1])
        return BookSnapshot(self.venue, symbol, update_id, bids, asks, received_ns, connection, event_ns)

    def sequencer(self, symbol: Symbol) -> BookSequencer:
        """Section 8.1 for one symbol."""
        return BybitSequencer(self._book_depth)

    def candles_request(self, symbol: Symbol, interval_ns: int, limit: int, end_ns: int | None = None) -> HttpRequest:
        """`GET /v5/market/kline`, one bar more than asked for, because the newest is still open."""
        interval = _INTERVAL_TEXT.get(interval_ns)
        if interval is None:
            raise LocalProtocolError(f"interval_ns was {interval_ns}, the venue has {', '.join(INTERVALS)}")
        rows = str(min(max(limit, 1) + (end_ns is None), KLINES_MAX))
        params = [("category", self._category), ("symbol", symbol), ("interval", interval), ("limit", rows)]
        if end_ns is not None:
            params.append(("end", str(-(-end_ns // 1_000_000) - 1)))  # bars that open until then
        return public_request(self._paths.klines, params)

    def decode_candles(self, symbol: Symbol, interval_ns: int, reply: HttpReply) -> Sequence[Candle]:
        """Bars that had ended when the request was sent, oldest first; the venue sends the newest first."""
        bars: list[Candle] = []
        for start, open_px, high, low, close, volume, _ in reversed(decoded(self._klines_answer, reply).result.list):
            open_ns = time_ns(start)
            if open_ns + interval_ns <= reply.sent_ns:
                prices = (amount(open_px), amount(high), amount(low), amount(close))
                bars.append(
                    Candle(
                        self.venue,
                        symbol,
                        interval_ns,
                        open_ns,
                        *prices,
                        amount(volume),
                        closed=True,
                        received_ns=reply.received_ns,
                        source=Source.REST,
                    )
                )
        return tuple(bars)

    def tickers_request(self, symbols: Sequence[Symbol]) -> HttpRequest:
        """`GET /v5/market/tickers`: one symbol, or all of the product."""
        params = [("category", self._category)]
        if len(symbols) == 1:
            params.append(("symbol", str(symbols[0])))
        return public_request(self._paths.tickers, params)

    def decode_tickers(self, reply: HttpReply) -> Sequence[Ticker]:
        """All rows, as of the time of the answer: they have none of their own."""
        answer = decoded(self._tickers_answer, reply)
        if answer.result.category != self._category:
            raise RemoteProtocolError(f"tickers of {answer.result.category!r} instead of {self._category!r}")
        return tuple(
            ticker_of(self.venue, row, answer.time, reply.received_ns, Source.REST) for row in answer.result.list
        )

    def usage(self, reply: HttpReply) -> Sequence[Usage]:
        """Nothing: what is limited here is the address, and the venue does not say how much of that is used."""
        return ()

    def error(self, reply: HttpReply) -> VenueError | None:
        """The classified refusal; a failure inside the venue is BUSY, because nothing here changes anything."""
        refusal = refusal_of(reply, self.product, order=False)
        return None if refusal is None else classify(refusal)


def _parts(topic: str) -> tuple[str, str, str]:
    """`<kind>.<detail>.<symbol>`; symbols have no dots."""
    kind, _, rest = topic.partition(".")
    detail, _, symbol = rest.partition(".")
    if not symbol:
        raise RemoteProtocolError(f"topic {topic[:100]!r} names no symbol")
    return kind, detail, symbol


def _best(levels: tuple[Level, ...]) -> Level:
    """The first level; an empty side is quantity 0."""
    return levels[0] if levels else (ZERO, ZERO)
