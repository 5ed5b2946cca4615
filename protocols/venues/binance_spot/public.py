"""Binance Spot's public side: market streams and unsigned REST (reference sections 6, 11, 12 and 13).

A combined stream message names its stream first, so the name is cut out of the text and picks a decoder that
parses, checks and builds in one pass.  Whatever does not fit that pass (acknowledgements, raw messages, shutdown
notices, words we do not know, garbage) is looked at again, slowly and completely.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from protocols.base import Message
from protocols.enums import Side
from protocols.errors import RemoteProtocolError, Unrecognized
from protocols.ids import Symbol, Venue
from protocols.instruments import Instrument
from protocols.market import BookDelta, BookSnapshot, BookTicker, Candle, Ticker, Trade
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
    StreamTerminated,
    UnrecognizedMessage,
    Usage,
    VenueError,
)
from protocols.venues.binance_common.nulls import without_nulls
from protocols.venues.binance_common.requests import decoded
from protocols.venues.binance_common.streams import (
    CANDLE_SUFFIX,
    INTERVALS,
    bar_of,
    bars_of,
    check_levels,
    control_frames,
    control_reply,
    interval_text,
    klines_span,
    ticker_of,
    ticker_of_row,
)
from protocols.venues.binance_spot import wire
from protocols.venues.binance_spot.book import BinanceSpotSequencer
from protocols.venues.binance_spot.endpoints import PRODUCTION, STREAM_RULES, Endpoints
from protocols.venues.binance_spot.errors import classify
from protocols.venues.binance_spot.instruments import instruments_of
from protocols.venues.binance_spot.limits import WEIGHT, depth_weight, limits_of, tickers_weight, usage_of_headers
from protocols.venues.binance_spot.requests import public_request, refusal_of
from protocols.venues.values import REFUSED, amount, stamp_ns

__all__ = ["CAPABILITIES", "VENUE", "BinanceSpotPublic"]

VENUE = Venue("binance-spot")
_SUFFIX: Mapping[Channel, str] = {
    Channel.BOOK: "@depth@100ms",
    Channel.BOOK_TICKER: "@bookTicker",
    Channel.TRADES: "@trade",
    Channel.TICKER: "@ticker",
    **CANDLE_SUFFIX,
}
CAPABILITIES = Capabilities(
    ws_order_entry=True,
    ws_logon=True,
    amend_keeps_priority=True,
    cancel_replace=True,
    cancel_all_symbol=True,
    cancel_all_account=False,
    batch_size_max=1,
    dead_man_switch=False,
    hedge_mode=False,
    private_snapshot_on_subscribe=False,
    request_window=True,
    query_by_cl_ord_id=True,
    post_only=True,
    reduce_only=False,
    market_by_quote=True,
    cl_ord_id_reusable=True,
    channels=frozenset(_SUFFIX),
    candles_max=1000,
)

KLINES_MAX = 1000
_KNOWN_STREAMS_MAX = 4096
_PREFIX = b'{"stream":"'
_NAME_AT = len(_PREFIX)

_Build = Callable[[Any, int, int], Sequence[Message]]


class BinanceSpotPublic:
    """`protocols.venue.PublicCodec`.  `book_depth`: levels of a book snapshot (1000 weigh 50, 5000 weigh 250)."""

    venue = VENUE
    capabilities: Capabilities = CAPABILITIES
    rules: SessionRules = STREAM_RULES

    def __init__(self, endpoints: Endpoints = PRODUCTION, book_depth: int = 1000) -> None:
        self.endpoints = endpoints
        self._book_depth = book_depth
        self._paths = endpoints.paths
        self._by_suffix: Mapping[str, tuple[msgspec.json.Decoder[Any], _Build]] = {
            "depth": (msgspec.json.Decoder(wire.DepthFrame), self._depth),
            "trade": (msgspec.json.Decoder(wire.TradeFrame), self._trade),
            "aggTrade": (msgspec.json.Decoder(wire.AggTradeFrame), self._trade),
            "bookTicker": (msgspec.json.Decoder(wire.BookTickerFrame), self._book_ticker),
            "kline": (msgspec.json.Decoder(wire.KlineFrame), self._kline),
            "ticker": (msgspec.json.Decoder(wire.TickerFrame), self._ticker),
        }
        self._by_event: Mapping[str, tuple[type, _Build]] = {
            "depthUpdate": (wire.DepthUpdate, self._depth),
            "trade": (wire.TradeEvent, self._trade),
            "aggTrade": (wire.AggTradeEvent, self._trade),
            "kline": (wire.KlineEvent, self._kline),
            "24hrTicker": (wire.TickerEvent, self._ticker),
        }
        self._by_stream: dict[bytes, tuple[msgspec.json.Decoder[Any], _Build]] = {}
        self._time = msgspec.json.Decoder(wire.ServerTime)
        self._exchange_info = msgspec.json.Decoder(wire.ExchangeInfo)
        self._snapshot = msgspec.json.Decoder(wire.DepthSnapshot)
        self._klines = msgspec.json.Decoder(tuple[wire.Kline, ...])
        self._tickers = msgspec.json.Decoder(wire.TickerRow | tuple[wire.TickerRow, ...])

    # ---- streams -----------------------------------------------------------------------------------------------

    def stream_path(self) -> str:
        """The combined form; streams are added by `subscribe`."""
        return self._paths.stream

    def subscribe(self, wanted: Sequence[tuple[Channel, Symbol]], request_id: int) -> Sequence[Frame]:
        """SUBSCRIBE frames; the n-th has the id `request_id + n`."""
        return _stream_frames("SUBSCRIBE", wanted, request_id)

    def unsubscribe(self, unwanted: Sequence[tuple[Channel, Symbol]], request_id: int) -> Sequence[Frame]:
        """UNSUBSCRIBE frames, numbered likewise."""
        return _stream_frames("UNSUBSCRIBE", unwanted, request_id)

    def decode(self, raw: str | bytes, received_ns: int, connection: int) -> Sequence[Message | Reply]:
        """Events of one message.  Raises RemoteProtocolError, nothing else."""
        try:
            if isinstance(raw, str):
                raw = raw.encode()
            if raw.startswith(_PREFIX):
                name = raw[_NAME_AT : raw.find(b'"', _NAME_AT)]
                known = self._by_stream.get(name) or self._learn(name)
                if known is not None:
                    decoder, build = known
                    try:
                        return build(decoder.decode(raw).data, received_ns, connection)
                    except msgspec.ValidationError:
                        return self._decode_any(raw, received_ns, connection)
            return self._decode_any(raw, received_ns, connection)
        except REFUSED as error:
            raise RemoteProtocolError(f"stream message refused: {error}: {raw[:200]!r}") from error

    def _learn(self, name: bytes) -> tuple[msgspec.json.Decoder[Any], _Build] | None:
        """The decoder for a stream by the kind in its name, `<symbol>@<kind>[_<interval>][@<speed>]`."""
        kind = name.decode().partition("@")[2].partition("@")[0].partition("_")[0]
        found = self._by_suffix.get(kind)
        if found is not None:
            if len(self._by_stream) >= _KNOWN_STREAMS_MAX:
                self._by_stream.clear()
            self._by_stream[name] = found
        return found

    def _decode_any(self, raw: bytes, received_ns: int, connection: int) -> Sequence[Message | Reply]:
        """The slow and complete way: by what the message is, not by how it is written."""
        whole = msgspec.json.decode(raw)
        if not isinstance(whole, dict):
            raise RemoteProtocolError(f"not an object: {raw[:200]!r}")
        data = whole.get("data", whole.get("event", whole))
        if not isinstance(data, dict):
            raise RemoteProtocolError(f"no event in {raw[:200]!r}")
        name = data.get("e")
        if isinstance(name, str):
            if name == "serverShutdown":
                return (StreamTerminated(VENUE, "the venue is shutting this connection down", announced=True),)
            known = self._by_event.get(name)
            if known is not None:
                event_type, build = known
                return build(msgspec.convert(without_nulls(data), event_type), received_ns, connection)
            return (_unrecognized("e", name, raw),)
        if name is None and "u" in data and "B" in data:
            return self._book_ticker(
                msgspec.convert(without_nulls(data), wire.BookTickerEvent), received_ns, connection
            )
        if "id" in whole and ("result" in whole or "code" in whole or "error" in whole):
            return (control_reply(whole),)
        stream = whole.get("stream")
        if isinstance(stream, str):
            return (_unrecognized("stream", stream, raw),)
        raise RemoteProtocolError(f"neither event nor reply: {raw[:200]!r}")

    def _depth(self, data: wire.DepthUpdate, received_ns: int, connection: int) -> Sequence[Message]:
        first_id, last_id, bids, asks = data.first_id, data.last_id, data.bids, data.asks
        if first_id > last_id:
            raise RemoteProtocolError(f"depth of {data.symbol}: U {first_id} is after u {last_id}")
        check_levels(bids)
        check_levels(asks)
        event_ns = stamp_ns(data.event_time)
        symbol = Symbol(data.symbol)
        return (BookDelta(VENUE, symbol, first_id, last_id, -1, bids, asks, event_ns, received_ns, connection),)

    def _trade(
        self, data: wire.TradeEvent | wire.AggTradeEvent, received_ns: int, connection: int
    ) -> Sequence[Message]:
        return (
            Trade(
                VENUE,
                Symbol(data.symbol),
                str(data.trade_id),
                amount(data.price),
                amount(data.qty),
                Side.SELL if data.buyer_is_maker else Side.BUY,
                stamp_ns(data.time),
                received_ns,
            ),
        )

    def _book_ticker(self, data: wire.BookTickerEvent, received_ns: int, connection: int) -> Sequence[Message]:
        return (
            BookTicker(
                VENUE,
                Symbol(data.symbol),
                amount(data.bid_px),
                amount(data.bid_qty),
                amount(data.ask_px),
                amount(data.ask_qty),
                data.update_id,
                0,  # the venue says no time here
                received_ns,
            ),
        )

    def _kline(self, data: wire.KlineEvent, received_ns: int, connection: int) -> Sequence[Message]:
        bar = data.bar
        interval_ns = INTERVALS.get(bar.interval)
        if interval_ns is None:
            return (UnrecognizedMessage(VENUE, (Unrecognized("kline.i", bar.interval),), ""),)
        return (bar_of(VENUE, data.symbol, bar, interval_ns, received_ns),)

    def _ticker(self, data: wire.TickerEvent, received_ns: int, connection: int) -> Sequence[Message]:
        return (ticker_of(VENUE, data, received_ns),)

    # ---- REST --------------------------------------------------------------------------------------------------

    def time_request(self) -> HttpRequest:
        """`GET /api/v3/time`."""
        return public_request(self._paths.time, (), WEIGHT["time"])

    def decode_time(self, reply: HttpReply) -> int:
        """The venue's clock, ns."""
        return stamp_ns(decoded(self._time, reply).serverTime)

    def instruments_request(self, symbols: Sequence[Symbol]) -> HttpRequest:
        """`GET /api/v3/exchangeInfo`; no symbols means all."""
        params = [("showPermissionSets", "false")]
        if symbols:
            params.insert(0, ("symbols", msgspec.json.encode(list(symbols)).decode()))
        return public_request(self._paths.exchange_info, params, WEIGHT["exchangeInfo"])

    def decode_instruments(self, reply: HttpReply) -> tuple[Sequence[Instrument], Sequence[Limit]]:
        """All instruments of the answer, and the limits of this IP and account."""
        info = decoded(self._exchange_info, reply)
        try:
            return instruments_of(VENUE, info.symbols), limits_of(info.rateLimits)
        except REFUSED as error:
            raise RemoteProtocolError(f"exchangeInfo refused: {error}") from error

    def snapshot_request(self, symbol: Symbol, depth: int) -> HttpRequest:
        """`GET /api/v3/depth` with `depth` levels a side, at most 5000."""
        depth = min(max(depth, 1), 5000)
        params = (("symbol", symbol), ("limit", str(depth)))
        return public_request(self._paths.depth, params, depth_weight(depth))

    def decode_snapshot(self, symbol: Symbol, reply: HttpReply, connection: int) -> BookSnapshot:
        """The book as of `lastUpdateId`; the answer itself does not name its symbol."""
        book = decoded(self._snapshot, reply)
        check_levels(book.bids)
        check_levels(book.asks)
        return BookSnapshot(VENUE, symbol, book.lastUpdateId, book.bids, book.asks, reply.received_ns, connection)

    def sequencer(self, symbol: Symbol) -> BookSequencer:
        """Section 13 for one symbol."""
        return BinanceSpotSequencer(self._book_depth)

    def candles_request(self, symbol: Symbol, interval_ns: int, limit: int, end_ns: int | None = None) -> HttpRequest:
        """`GET /api/v3/klines`, one bar more than asked for, because the newest is still open."""
        params = (("symbol", symbol), ("interval", interval_text(interval_ns)), *klines_span(limit, KLINES_MAX, end_ns))
        return public_request(self._paths.klines, params, WEIGHT["klines"])

    def decode_candles(self, symbol: Symbol, interval_ns: int, reply: HttpReply) -> Sequence[Candle]:
        """Bars that had ended when the request was sent, oldest first."""
        return bars_of(VENUE, symbol, interval_ns, decoded(self._klines, reply), reply)

    def tickers_request(self, symbols: Sequence[Symbol]) -> HttpRequest:
        """`GET /api/v3/ticker/24hr`; many symbols are dear."""
        if len(symbols) == 1:
            params = (("symbol", str(symbols[0])),)
        else:
            params = (("symbols", msgspec.json.encode(list(symbols)).decode()),)
        return public_request(self._paths.tickers, params, tickers_weight(len(symbols)))

    def decode_tickers(self, reply: HttpReply) -> Sequence[Ticker]:
        """One row for one symbol, else a list."""
        found = decoded(self._tickers, reply)
        rows = found if isinstance(found, tuple) else (found,)
        return tuple(ticker_of_row(VENUE, row, reply.received_ns) for row in rows)

    def usage(self, reply: HttpReply) -> Sequence[Usage]:
        """Weight and order counts in the reply's headers."""
        return usage_of_headers(reply.headers)

    def error(self, reply: HttpReply) -> VenueError | None:
        """The classified refusal; a failure inside the venue is BUSY, because nothing here changes anything."""
        refusal = refusal_of(reply, order=False)
        return None if refusal is None else classify(refusal)


def _stream_frames(method: str, streams: Sequence[tuple[Channel, Symbol]], request_id: int) -> Sequence[Frame]:
    return control_frames(method, [symbol.lower() + _SUFFIX[channel] for channel, symbol in streams], request_id)


def _unrecognized(field: str, raw: str, message: bytes) -> UnrecognizedMessage:
    return UnrecognizedMessage(VENUE, (Unrecognized(field, raw[:100]),), message[:2000].decode("utf-8", "replace"))
