"""OKX's public side: market streams and unsigned REST (reference sections 4 and 7).

One codec serves one product.  Books, best prices and trades come on the public connection, candles on the business
connection (`stream_paths`); the frames of both are decoded alike.

A frame names its topic, which picks a decoder; a frame of a topic that we never ask for is kept as unrecognized.
The text frame `pong` answers our `ping` and is no JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

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
    Lane,
    Limit,
    Reply,
    SessionRules,
    StreamTerminated,
    UnrecognizedMessage,
    Usage,
    VenueError,
)
from protocols.venues.okx import wire
from protocols.venues.okx.book import OkxSequencer
from protocols.venues.okx.encode import PendingAcks, topic_frames
from protocols.venues.okx.endpoints import INST_TYPES, PRODUCTION, STREAM_RULES, VENUES, WALLET, Endpoints
from protocols.venues.okx.errors import Refusal, classify
from protocols.venues.okx.instruments import ORD_TYPES, instruments_of
from protocols.venues.okx.limits import BATCH_MAX, DOCUMENTED
from protocols.venues.okx.requests import public_request, refusal_of, success
from protocols.venues.okx.tickers import ticker_of
from protocols.venues.values import (
    REFUSED,
    ZERO,
    Levels,
    amount,
    stamp_ns,
)

__all__ = ["BUSINESS_CHANNELS", "INTERVALS", "PING", "PONG", "OkxPublic", "capabilities_of", "event_of", "venue_of"]

PING, PONG = "ping", b"pong"
NOTICE_OF_UPGRADE = "64008"
BOOK_LEVELS_MAX = 400
CANDLES_MAX = 300
HISTORY_CANDLES_MAX = 100  # assumed: the reference does not state it
_NO_PREDECESSOR = -1

_S = 1_000_000_000
_MINUTE, _HOUR, _DAY = 60 * _S, 3600 * _S, 86_400 * _S
INTERVALS: Mapping[str, int] = {
    "1s": _S,
    "1m": _MINUTE,
    "3m": 3 * _MINUTE,
    "5m": 5 * _MINUTE,
    "15m": 15 * _MINUTE,
    "30m": 30 * _MINUTE,
    "1H": _HOUR,
    "2H": 2 * _HOUR,
    "4H": 4 * _HOUR,
    "6Hutc": 6 * _HOUR,
    "12Hutc": 12 * _HOUR,
    "1Dutc": _DAY,
    "2Dutc": 2 * _DAY,
    "3Dutc": 3 * _DAY,
    "1Wutc": 7 * _DAY,
}
"""Bars of fixed length that begin at UTC hours and days; plain `1D` ones begin at 16:00 UTC."""
_INTERVAL_TEXT = {length: text for text, length in INTERVALS.items()}
_CANDLE = "candle"
_CANDLES = {
    channel: _CANDLE + _INTERVAL_TEXT[length]
    for channel, length in CANDLE_LENGTHS_NS.items()
    if length in _INTERVAL_TEXT
}
_CHANNELS: Mapping[Channel, str] = {
    Channel.BOOK: "books",
    Channel.BOOK_TICKER: "bbo-tbt",
    Channel.TRADES: "trades",
    Channel.TICKER: "tickers",
    **_CANDLES,
}
BUSINESS_CHANNELS = frozenset(_CANDLES)
_SIDES = {"buy": Side.BUY, "sell": Side.SELL}
_FRAME: wire.Reader[wire.Frame] = wire.Reader(wire.Frame)

_Build = Callable[[wire.Frame, bytes, int, int], Sequence[Message]]


def venue_of(product: Product) -> Venue:
    """What we call the venue and product.  Raises ConfigError for a product that is not carried out."""
    name = VENUES.get(product)
    if name is None:
        raise ConfigError(f"product was {product.value}, OKX is carried out for {', '.join(p.value for p in VENUES)}")
    return Venue(name)


def capabilities_of(product: Product) -> Capabilities:
    """What OKX can do with a product."""
    contracts = product is not Product.SPOT
    return Capabilities(
        ws_order_entry=True,
        ws_logon=True,
        amend_keeps_priority=True,
        cancel_replace=False,
        cancel_all_symbol=False,
        cancel_all_account=False,
        batch_size_max=BATCH_MAX,
        dead_man_switch=True,
        hedge_mode=contracts,
        private_snapshot_on_subscribe=False,  # balances and positions have one, orders have none
        request_window=True,
        query_by_cl_ord_id=True,
        post_only=True,
        reduce_only=contracts,
        market_by_quote=not contracts,
        cl_ord_id_reusable=True,
        ws_cancel_all=False,
        fills_from_trade_id=False,
        cancel_batch_max=BATCH_MAX,
        ws_batches=True,
        positions=contracts,
        wallet=WALLET,
        amends_price=True,
        channels=frozenset(_CHANNELS),
        candles_max=HISTORY_CANDLES_MAX,
        triggers=ORD_TYPES & CONDITIONAL_TYPES,
    )


class OkxPublic:
    """`protocols.venue.PublicCodec`, `KeepsAlive` and `RoutesStreams` for `Product.SPOT` or `Product.LINEAR`.

    `rest_snapshots`: ask REST for a book's snapshot, for the day on which the stream no longer begins with one.
    `checksums`: read the checksum of a book's messages, for recordings from before 2026-06-23; since then it is 0.
    Those of 2022 and before have no numbers besides; their messages have -1 for each.
    """

    rules: SessionRules = STREAM_RULES

    def __init__(
        self,
        product: Product,
        endpoints: Endpoints = PRODUCTION,
        *,
        rest_snapshots: bool = False,
        checksums: bool = False,
    ) -> None:
        self.venue = venue_of(product)
        self.product = product
        self.capabilities = capabilities_of(product)
        self.endpoints = endpoints
        self._paths = endpoints.paths
        self._snapshot_depth = BOOK_LEVELS_MAX if rest_snapshots else 0
        self._acks = PendingAcks()
        self._levels = Levels()
        self._by_channel: Mapping[str, _Build] = {
            "books": self._books,
            "books-l2-tbt": self._books,
            "books50-l2-tbt": self._books,
            "bbo-tbt": self._book_ticker,
            "trades": self._trades,
            "trades-all": self._trades,
            "tickers": self._tickers,
        }
        self._book_rows: wire.Reader[tuple[wire.BookRow, ...]] = (
            wire.Reader(tuple[wire.CheckedBookRow, ...]) if checksums else wire.Reader(tuple[wire.BookRow, ...])
        )
        self._snapshot_rows: wire.Reader[tuple[wire.SnapshotRow, ...]] = wire.Reader(tuple[wire.SnapshotRow, ...])
        self._trade_rows: wire.Reader[tuple[wire.PublicTradeRow, ...]] = wire.Reader(tuple[wire.PublicTradeRow, ...])
        self._ticker_rows: wire.Reader[tuple[wire.TickerRow, ...]] = wire.Reader(tuple[wire.TickerRow, ...])
        self._candle_rows: wire.Reader[tuple[wire.Candle, ...]] = wire.Reader(tuple[wire.Candle, ...])
        self._time_rows: wire.Reader[tuple[wire.TimeRow, ...]] = wire.Reader(tuple[wire.TimeRow, ...])
        self._instrument_rows: wire.Reader[tuple[wire.InstrumentRow, ...]] = wire.Reader(tuple[wire.InstrumentRow, ...])

    # ---- streams -----------------------------------------------------------------------------------------------

    def stream_path(self) -> str:
        """The public connection, which has all but candles."""
        return self._paths.public

    def stream_paths(self) -> Mapping[Channel, str]:
        """Candles come on the business connection, the rest on the public one."""
        return {
            channel: self._paths.business if channel in BUSINESS_CHANNELS else self._paths.public
            for channel in _CHANNELS
        }

    def keep_alive(self, request_id: str) -> Frame:
        """The bare text `ping`; the answer has no id."""
        return Frame(PING, "", 0, Lane.QUERY)

    def subscribe(self, wanted: Sequence[tuple[Channel, Symbol]], request_id: int) -> Sequence[Frame]:
        """Frames of many topics; the n-th has the id `request_id + n`, and one `Reply` when all its topics hold."""
        return self._topic_frames("subscribe", wanted, request_id)

    def unsubscribe(self, unwanted: Sequence[tuple[Channel, Symbol]], request_id: int) -> Sequence[Frame]:
        """Frames numbered and answered likewise."""
        return self._topic_frames("unsubscribe", unwanted, request_id)

    def _topic_frames(self, op: str, streams: Sequence[tuple[Channel, Symbol]], request_id: int) -> Sequence[Frame]:
        if len({channel in BUSINESS_CHANNELS for channel, _ in streams}) > 1:
            raise LocalProtocolError("candles and other channels were asked of one connection; see stream_paths")
        for channel, _ in streams:
            if channel not in _CHANNELS:
                raise LocalProtocolError(f"channel was {channel.value}, OKX has no such stream")
        topics = [{"channel": _CHANNELS[channel], "instId": str(symbol)} for channel, symbol in streams]
        return topic_frames(op, topics, request_id, self._acks)

    def decode(self, raw: str | bytes, received_ns: int, connection: int) -> Sequence[Message | Reply]:
        """Events of one message.  Raises RemoteProtocolError, nothing else."""
        try:
            if isinstance(raw, str):
                raw = raw.encode()
            if raw == PONG:
                return (_PONG_REPLY,)
            frame = _FRAME.decode(raw)
            if frame.event:
                return event_of(self.venue, self.product, frame, raw, received_ns, self._acks)
            if frame.arg is None:
                raise RemoteProtocolError(f"neither event nor data: {raw[:200]!r}")
            channel = frame.arg.channel
            build = self._by_channel.get(channel)
            if build is None:
                build = self._candles if channel.startswith(_CANDLE) else self._unknown_channel
            return build(frame, raw, received_ns, connection)
        except REFUSED as error:
            raise RemoteProtocolError(f"stream message refused: {error}: {raw[:200]!r}") from error

    def _books(self, frame: wire.Frame, raw: bytes, received_ns: int, connection: int) -> Sequence[Message]:
        """Pictures and changes; the topic names the instrument, the rows do not."""
        if frame.action not in ("snapshot", "update", ""):
            return (_unrecognized(self.venue, "action", frame.action, raw),)
        symbol = _symbol(frame)
        events: list[Message] = []
        for row in self._book_rows.decode(frame.data):
            bids, asks = self._levels_of(row.bids), self._levels_of(row.asks)
            seq_id, prev_id = row.seqId, row.prevSeqId
            event_ns = stamp_ns(int(row.ts))
            stated = row.checksum if isinstance(row, wire.CheckedBookRow) else 0
            if frame.action == "snapshot" or (prev_id == _NO_PREDECESSOR and not frame.action):
                events.append(
                    BookSnapshot(self.venue, symbol, seq_id, bids, asks, received_ns, connection, event_ns, stated)
                )
                continue
            first_id = min(prev_id + 1, seq_id)
            events.append(
                BookDelta(
                    self.venue,
                    symbol,
                    first_id,
                    seq_id,
                    prev_id,
                    bids,
                    asks,
                    event_ns,
                    received_ns,
                    connection,
                    stated,
                )
            )
        return events

    def _book_ticker(self, frame: wire.Frame, raw: bytes, received_ns: int, connection: int) -> Sequence[Message]:
        """Level 1; an empty side has price and quantity 0."""
        symbol, events = _symbol(frame), []
        for row in self._snapshot_rows.decode(frame.data):
            (bid_px, bid_qty), (ask_px, ask_qty) = (
                levels[0] if levels else _NO_LEVEL for levels in (self._levels_of(row.bids), self._levels_of(row.asks))
            )
            event_ns = stamp_ns(int(row.ts))
            events.append(
                BookTicker(self.venue, symbol, bid_px, bid_qty, ask_px, ask_qty, row.seqId, event_ns, received_ns)
            )
        return events

    def _trades(self, frame: wire.Frame, raw: bytes, received_ns: int, connection: int) -> Sequence[Message]:
        trades: list[Message] = []
        for row in self._trade_rows.decode(frame.data):
            side = _SIDES.get(row.side)
            if side is None:
                trades.append(_unrecognized(self.venue, "trades.side", row.side, raw))
                continue
            price, qty, event_ns = amount(row.px), amount(row.sz), stamp_ns(int(row.ts))
            trades.append(Trade(self.venue, Symbol(row.instId), row.tradeId, price, qty, side, event_ns, received_ns))
        return trades

    def _candles(self, frame: wire.Frame, raw: bytes, received_ns: int, connection: int) -> Sequence[Message]:
        channel = "" if frame.arg is None else frame.arg.channel
        interval_ns = INTERVALS.get(channel.removeprefix(_CANDLE))
        if interval_ns is None:
            return (_unrecognized(self.venue, "channel", channel, raw),)
        symbol = _symbol(frame)
        return tuple(
            self._candle(symbol, interval_ns, row, received_ns, Source.STREAM)
            for row in self._candle_rows.decode(frame.data)
        )

    def _tickers(self, frame: wire.Frame, raw: bytes, received_ns: int, connection: int) -> Sequence[Message]:
        return tuple(
            ticker_of(self.venue, self.product, row, received_ns, Source.STREAM)
            for row in self._ticker_rows.decode(frame.data)
        )

    def _unknown_channel(self, frame: wire.Frame, raw: bytes, received_ns: int, connection: int) -> Sequence[Message]:
        return (_unrecognized(self.venue, "channel", "" if frame.arg is None else frame.arg.channel, raw),)

    def _candle(self, symbol: Symbol, interval_ns: int, row: wire.Candle, received_ns: int, source: Source) -> Candle:
        return Candle(
            self.venue,
            symbol,
            interval_ns,
            stamp_ns(int(row.ts)),
            amount(row.open),
            amount(row.high),
            amount(row.low),
            amount(row.close),
            amount(row.vol),
            row.confirm == "1",
            received_ns=received_ns,
            source=source,
        )

    # ---- REST --------------------------------------------------------------------------------------------------

    def time_request(self) -> HttpRequest:
        """`GET /api/v5/public/time`."""
        return public_request(self._paths.time, (), "time")

    def decode_time(self, reply: HttpReply) -> int:
        """The venue's clock, ns."""
        return stamp_ns(int(_only(_decoded(self._time_rows, reply)).ts))

    def instruments_request(self, symbols: Sequence[Symbol]) -> HttpRequest:
        """`GET /api/v5/public/instruments` of the product; one symbol alone can be asked for, several cannot."""
        params = [("instType", INST_TYPES[self.product])]
        if len(symbols) == 1:
            params.append(("instId", str(symbols[0])))
        return public_request(self._paths.instruments, params, "instruments")

    def decode_instruments(self, reply: HttpReply) -> tuple[Sequence[Instrument], Sequence[Limit]]:
        """All instruments of the product, with their `venue_code`; the limits are those documented."""
        rows = _decoded(self._instrument_rows, reply)
        try:
            found = instruments_of(self.venue, self.product, rows, reply.received_ns)
        except REFUSED as error:
            raise RemoteProtocolError(f"instruments refused: {error}") from error
        return found, DOCUMENTED[self.product]

    def snapshot_request(self, symbol: Symbol, depth: int) -> HttpRequest:
        """`GET /api/v5/market/books` with `depth` levels a side, at most 400."""
        params = (("instId", str(symbol)), ("sz", str(min(max(depth, 1), BOOK_LEVELS_MAX))))
        return public_request(self._paths.books, params, "books")

    def decode_snapshot(self, symbol: Symbol, reply: HttpReply, connection: int) -> BookSnapshot:
        """The book as of `seqId`; the answer itself does not name its instrument."""
        book = _only(_decoded(self._snapshot_rows, reply))
        bids, asks = self._levels_of(book.bids), self._levels_of(book.asks)
        event_ns = stamp_ns(int(book.ts))
        return BookSnapshot(self.venue, symbol, book.seqId, bids, asks, reply.received_ns, connection, event_ns)

    def _levels_of(self, rows: tuple[wire.Row, ...]) -> tuple[Level, ...]:
        return self._levels.of([(row.price, row.qty) for row in rows])

    def sequencer(self, symbol: Symbol) -> BookSequencer:
        """Section 7.1 for one instrument."""
        return OkxSequencer(self._snapshot_depth)

    def candles_request(self, symbol: Symbol, interval_ns: int, limit: int, end_ns: int | None = None) -> HttpRequest:
        """`GET /api/v5/market/candles`, one bar more than asked for, because the newest is still open; with an end
        `/history-candles`, because the other one goes back a day only."""
        interval = _INTERVAL_TEXT.get(interval_ns)
        if interval is None:
            raise LocalProtocolError(f"interval_ns was {interval_ns}, the venue has {', '.join(INTERVALS)}")
        rows = min(max(limit, 1) + (end_ns is None), CANDLES_MAX if end_ns is None else HISTORY_CANDLES_MAX)
        params = (("instId", str(symbol)), ("bar", interval), ("limit", str(rows)))
        if end_ns is None:
            return public_request(self._paths.candles, params, "candles")
        before = ("after", str(-(-end_ns // 1_000_000)))  # the venue's word for older than
        return public_request(self._paths.history_candles, (*params, before), "history-candles")

    def decode_candles(self, symbol: Symbol, interval_ns: int, reply: HttpReply) -> Sequence[Candle]:
        """Bars that the venue calls closed, oldest first; it sends the newest first."""
        rows = _decoded(self._candle_rows, reply)
        bars = (self._candle(symbol, interval_ns, row, reply.received_ns, Source.REST) for row in rows)
        return tuple(sorted((bar for bar in bars if bar.closed), key=lambda bar: bar.open_ns))

    def tickers_request(self, symbols: Sequence[Symbol]) -> HttpRequest:
        """`GET /api/v5/market/ticker` for one symbol, `/tickers` for all of the product."""
        if len(symbols) == 1:
            return public_request(self._paths.ticker, (("instId", str(symbols[0])),), "tickers")
        return public_request(self._paths.tickers, (("instType", INST_TYPES[self.product]),), "tickers")

    def decode_tickers(self, reply: HttpReply) -> Sequence[Ticker]:
        """All rows of either answer."""
        rows = _decoded(self._ticker_rows, reply)
        try:
            return tuple(ticker_of(self.venue, self.product, row, reply.received_ns, Source.REST) for row in rows)
        except REFUSED as error:
            raise RemoteProtocolError(f"tickers refused: {error}") from error

    def usage(self, reply: HttpReply) -> Sequence[Usage]:
        """Nothing: the venue does not say what has been used."""
        return ()

    def error(self, reply: HttpReply) -> VenueError | None:
        """The classified refusal; a failure inside the venue is BUSY, because nothing here changes anything."""
        refusal = refusal_of(reply, order=False)
        return None if refusal is None else classify(self.product, refusal)


def event_of(
    venue: Venue,
    product: Product,
    frame: wire.Frame,
    raw: bytes,
    received_ns: int,
    acks: PendingAcks,
    *,
    order: bool = False,
) -> Sequence[Message | Reply]:
    """Events that every connection knows: confirmed topics, errors, notices.

    `order`: the connection takes orders too, and an error may be the answer to one.
    """
    name, request_id = frame.event, _id_of(frame)
    if name in ("subscribe", "unsubscribe"):
        return (Reply(request_id, payload={"event": name}),) if acks.confirmed(request_id) else ()
    if name == "error":
        acks.refused(request_id)
        refusal = Refusal(status=200, code=frame.code, text=frame.msg, order=order, received_ns=received_ns)
        return (Reply(request_id, error=classify(product, refusal)),)
    if name == "notice" and frame.code == NOTICE_OF_UPGRADE:
        return (StreamTerminated(venue, f"the venue closes this connection soon: {frame.msg[:200]}", announced=True),)
    if name == "channel-conn-count-error":
        return (StreamTerminated(venue, "the venue ended a subscription: too many connections have it"),)
    if name == "channel-conn-count":
        return ()
    return (_unrecognized(venue, "event", name, raw),)


def _id_of(frame: wire.Frame) -> str:
    return "" if frame.id is None else str(frame.id)[:64]


def _symbol(frame: wire.Frame) -> Symbol:
    name = "" if frame.arg is None else frame.arg.instId
    if not name or len(name) > 64:
        raise RemoteProtocolError(f"no instrument in the topic: {name[:80]!r}")
    return Symbol(name)


def _only(rows: Sequence[Any]) -> Any:
    if len(rows) != 1:
        raise RemoteProtocolError(f"{len(rows)} rows instead of one")
    return rows[0]


def _decoded(decoder: wire.Reader[Any], reply: HttpReply) -> Any:
    try:
        return decoder.decode(success(reply))
    except REFUSED as error:
        raise RemoteProtocolError(f"answer refused: {error}: {reply.body[:200]!r}") from error


def _unrecognized(venue: Venue, field: str, raw: str, message: bytes) -> UnrecognizedMessage:
    return UnrecognizedMessage(venue, (Unrecognized(field, raw[:100]),), message[:2000].decode("utf-8", "replace"))


_NO_LEVEL: Level = (ZERO, ZERO)
_PONG_REPLY = Reply("", payload={"event": "pong"})
