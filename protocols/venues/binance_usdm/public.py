"""Binance USDT-M Futures' public side: market streams and unsigned REST (reference sections 1, 6, 11, 13 and 14).

Streams live on two routes, so there are two connections: `stream_paths` says which channel is served where, and one
`subscribe` must not mix them, because the venue would acknowledge the strays and never send them.

A combined stream message names its stream first, so the name is cut out of the text and picks a decoder that parses,
checks and builds in one pass.  Partial books and RPI books have the same `e` as diffs: only the stream's name tells
them apart, so a `depthUpdate` without a name, or under another one, is never taken for a diff.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from protocols.base import Message
from protocols.enums import Side
from protocols.errors import ConfigError, LocalProtocolError, RemoteProtocolError, Unrecognized
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
    UnrecognizedMessage,
    Usage,
    VenueError,
)
from protocols.venues.binance_common.nulls import without_nulls
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
from protocols.venues.binance_usdm import wire
from protocols.venues.binance_usdm.book import DEPTHS, BinanceUsdmSequencer
from protocols.venues.binance_usdm.endpoints import PRODUCTION, STREAM_RULES, Endpoints
from protocols.venues.binance_usdm.errors import classify
from protocols.venues.binance_usdm.instruments import instruments_of
from protocols.venues.binance_usdm.limits import (
    WEIGHT,
    depth_weight,
    klines_weight,
    stated_limits,
    tickers_weight,
    usage_of_headers,
)
from protocols.venues.binance_usdm.requests import decoded, public_request, refusal_of
from protocols.venues.values import REFUSED, amount, stamp_ns

__all__ = ["CAPABILITIES", "VENUE", "BinanceUsdmPublic"]

VENUE = Venue("binance-usdm")
_SUFFIX: Mapping[Channel, str] = {
    Channel.BOOK: "@depth@100ms",
    Channel.BOOK_TICKER: "@bookTicker",
    Channel.TRADES: "@aggTrade",
    Channel.TICKER: "@ticker",
    **{channel: suffix for channel, suffix in CANDLE_SUFFIX.items() if channel is not Channel.CANDLES_1S},
}
_ON_PUBLIC_ROUTE = frozenset({Channel.BOOK, Channel.BOOK_TICKER})
CAPABILITIES = Capabilities(
    ws_order_entry=True,
    ws_logon=True,
    amend_keeps_priority=False,
    cancel_replace=False,
    cancel_all_symbol=True,
    cancel_all_account=False,
    batch_size_max=5,
    dead_man_switch=True,
    hedge_mode=True,
    private_snapshot_on_subscribe=False,
    request_window=True,
    query_by_cl_ord_id=True,
    post_only=True,
    reduce_only=True,
    market_by_quote=False,
    cl_ord_id_reusable=True,
    ws_cancel_all=False,
    cancel_batch_max=10,
    amend_needs_terms=True,
    amends_price=True,
    listen_key=True,
    dead_man_by_symbol=True,
    positions=True,
    channels=frozenset(_SUFFIX),
    candles_max=1500,
)

KLINES_MAX = 1500
_ONE_SECOND = 1_000_000_000
_KNOWN_STREAMS_MAX = 4096
_PREFIX = b'{"stream":"'
_NAME_AT = len(_PREFIX)

_Build = Callable[[Any, int, int], Sequence[Message]]


class BinanceUsdmPublic:
    """`protocols.venue.PublicCodec`.  `book_depth`: levels of a book snapshot, one of `book.DEPTHS` (1000 weigh 20)."""

    venue = VENUE
    capabilities: Capabilities = CAPABILITIES
    rules: SessionRules = STREAM_RULES

    def __init__(self, endpoints: Endpoints = PRODUCTION, book_depth: int = 1000) -> None:
        if book_depth not in DEPTHS:
            raise ConfigError(f"book_depth was {book_depth}, must be one of {', '.join(map(str, DEPTHS))}")
        self.endpoints = endpoints
        self._book_depth = book_depth
        self._paths = endpoints.paths
        self._by_kind: Mapping[str, tuple[msgspec.json.Decoder[Any], _Build]] = {
            "depth": (msgspec.json.Decoder(wire.DepthFrame), self._depth),
            "trade": (msgspec.json.Decoder(wire.TradeFrame), self._trade),
            "aggTrade": (msgspec.json.Decoder(wire.AggTradeFrame), self._agg_trade),
            "bookTicker": (msgspec.json.Decoder(wire.BookTickerFrame), self._book_ticker),
            "kline": (msgspec.json.Decoder(wire.KlineFrame), self._kline),
            "ticker": (msgspec.json.Decoder(wire.TickerFrame), self._ticker),
        }
        self._by_event: Mapping[str, tuple[type, _Build]] = {
            "trade": (wire.TradeEvent, self._trade),
            "aggTrade": (wire.AggTradeEvent, self._agg_trade),
            "bookTicker": (wire.BookTickerEvent, self._book_ticker),
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
        """The route of the books; the other channels are elsewhere, see `stream_paths`."""
        return self._paths.stream_public

    def stream_paths(self) -> Mapping[Channel, str]:
        """The path that serves each channel: one connection for each that is different."""
        paths = self._paths
        return {
            channel: paths.stream_public if channel in _ON_PUBLIC_ROUTE else paths.stream_market for channel in _SUFFIX
        }

    def subscribe(self, wanted: Sequence[tuple[Channel, Symbol]], request_id: int) -> Sequence[Frame]:
        """SUBSCRIBE frames for one connection; the n-th has the id `request_id + n`.

        Raises LocalProtocolError when `wanted` belongs on more than one connection.
        """
        return self._control("SUBSCRIBE", wanted, request_id)

    def unsubscribe(self, unwanted: Sequence[tuple[Channel, Symbol]], request_id: int) -> Sequence[Frame]:
        """UNSUBSCRIBE frames, numbered likewise."""
        return self._control("UNSUBSCRIBE", unwanted, request_id)

    def _control(self, method: str, streams: Sequence[tuple[Channel, Symbol]], request_id: int) -> Sequence[Frame]:
        routes = self.stream_paths()
        if len({routes[channel] for channel, _ in streams}) > 1:
            names = ", ".join(sorted({channel.value for channel, _ in streams}))
            raise LocalProtocolError(f"channels {names} are served on different connections; see stream_paths")
        return control_frames(method, [symbol.lower() + _SUFFIX[channel] for channel, symbol in streams], request_id)

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
        """The decoder for a stream by the kind in its name."""
        found = self._by_kind.get(_kind(name.decode()))
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
        stream = whole.get("stream")
        data = whole.get("data", whole)
        name = data.get("e") if isinstance(data, dict) else None
        if isinstance(name, str):
            known = self._by_event.get(name)
            if known is not None:
                event_type, build = known
                return build(msgspec.convert(without_nulls(data), event_type), received_ns, connection)
            if name == "depthUpdate" and isinstance(stream, str) and _kind(stream) == "depth":
                return self._depth(msgspec.convert(without_nulls(data), wire.DepthUpdate), received_ns, connection)
            if isinstance(stream, str):
                return (_unrecognized("stream", stream, raw),)
            return (_unrecognized("e", name, raw),)
        if "id" in whole and ("result" in whole or "code" in whole or "error" in whole):
            return (control_reply(whole),)
        if isinstance(stream, str):
            return (_unrecognized("stream", stream, raw),)
        raise RemoteProtocolError(f"neither event nor reply: {raw[:200]!r}")

    def _depth(self, data: wire.DepthUpdate, received_ns: int, connection: int) -> Sequence[Message]:
        if data.product == wire.COIN_M:
            return ()
        first_id, last_id, bids, asks = data.first_id, data.last_id, data.bids, data.asks
        if first_id > last_id:
            raise RemoteProtocolError(f"depth of {data.symbol}: U {first_id} is after u {last_id}")
        check_levels(bids)
        check_levels(asks)
        return (
            BookDelta(
                VENUE,
                Symbol(data.symbol),
                first_id,
                last_id,
                data.prev_id,
                bids,
                asks,
                stamp_ns(data.event_time),
                received_ns,
                connection,
            ),
        )

    def _trade(self, data: wire.TradeEvent, received_ns: int, connection: int) -> Sequence[Message]:
        if data.kind != "MARKET":
            # An execution outside the book (insurance fund, ADL): no price of the market.
            return (UnrecognizedMessage(VENUE, (Unrecognized("trade.X", data.kind[:100]),), ""),)
        return self._agg_trade(data, received_ns, connection)

    def _agg_trade(
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
        if data.product == wire.COIN_M:
            return ()
        return (
            BookTicker(
                VENUE,
                Symbol(data.symbol),
                amount(data.bid_px),
                amount(data.bid_qty),
                amount(data.ask_px),
                amount(data.ask_qty),
                data.update_id,
                stamp_ns(data.event_time),
                received_ns,
            ),
        )

    def _kline(self, data: wire.KlineEvent, received_ns: int, connection: int) -> Sequence[Message]:
        interval_ns = INTERVALS.get(data.bar.interval)
        if interval_ns is None:
            return (UnrecognizedMessage(VENUE, (Unrecognized("kline.i", data.bar.interval[:100]),), ""),)
        return (bar_of(VENUE, data.symbol, data.bar, interval_ns, received_ns),)

    def _ticker(self, data: wire.TickerEvent, received_ns: int, connection: int) -> Sequence[Message]:
        return () if data.product == wire.COIN_M else (ticker_of(VENUE, data, received_ns),)

    # ---- REST --------------------------------------------------------------------------------------------------

    def time_request(self) -> HttpRequest:
        """`GET /fapi/v1/time`.  The `serverTime` inside exchangeInfo is to be ignored."""
        return public_request(self._paths.time, (), WEIGHT["time"])

    def decode_time(self, reply: HttpReply) -> int:
        """The venue's clock, ns."""
        return stamp_ns(decoded(self._time, reply).serverTime)

    def instruments_request(self, symbols: Sequence[Symbol]) -> HttpRequest:
        """`GET /fapi/v1/exchangeInfo`, which always lists all symbols."""
        return public_request(self._paths.exchange_info, (), WEIGHT["exchangeInfo"])

    def decode_instruments(self, reply: HttpReply) -> tuple[Sequence[Instrument], Sequence[Limit]]:
        """All instruments of the answer, and the limits of this IP and account."""
        info = decoded(self._exchange_info, reply)
        try:
            return instruments_of(VENUE, info.symbols), stated_limits(info.rateLimits)
        except REFUSED as error:
            raise RemoteProtocolError(f"exchangeInfo refused: {error}") from error

    def snapshot_request(self, symbol: Symbol, depth: int) -> HttpRequest:
        """`GET /fapi/v1/depth` with at least `depth` levels a side, at most 1000."""
        levels = next((one for one in DEPTHS if one >= depth), DEPTHS[-1])
        params = (("symbol", symbol), ("limit", str(levels)))
        return public_request(self._paths.depth, params, depth_weight(levels))

    def decode_snapshot(self, symbol: Symbol, reply: HttpReply, connection: int) -> BookSnapshot:
        """The book as of `lastUpdateId`; the answer itself does not name its symbol."""
        book = decoded(self._snapshot, reply)
        check_levels(book.bids)
        check_levels(book.asks)
        return BookSnapshot(VENUE, symbol, book.lastUpdateId, book.bids, book.asks, reply.received_ns, connection)

    def sequencer(self, symbol: Symbol) -> BookSequencer:
        """Section 14 for one symbol."""
        return BinanceUsdmSequencer(self._book_depth)

    def candles_request(self, symbol: Symbol, interval_ns: int, limit: int, end_ns: int | None = None) -> HttpRequest:
        """`GET /fapi/v1/klines`, one bar more than asked for, because the newest is still open."""
        if interval_ns == _ONE_SECOND:
            raise LocalProtocolError(f"interval_ns was {interval_ns}, the shortest bar of this product is a minute")
        span = klines_span(limit, KLINES_MAX, end_ns)
        params = (("symbol", symbol), ("interval", interval_text(interval_ns)), *span)
        return public_request(self._paths.klines, params, klines_weight(int(span[0][1])))

    def decode_candles(self, symbol: Symbol, interval_ns: int, reply: HttpReply) -> Sequence[Candle]:
        """Bars that had ended when the request was sent, oldest first."""
        return bars_of(VENUE, symbol, interval_ns, decoded(self._klines, reply), reply)

    def tickers_request(self, symbols: Sequence[Symbol]) -> HttpRequest:
        """`GET /fapi/v1/ticker/24hr`: one symbol, or all of them."""
        params = (("symbol", str(symbols[0])),) if len(symbols) == 1 else ()
        return public_request(self._paths.tickers, params, tickers_weight(len(symbols)))

    def decode_tickers(self, reply: HttpReply) -> Sequence[Ticker]:
        """One row for one symbol, else a list.  Best bid and ask are not in it."""
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


def _kind(stream: str) -> str:
    """The kind in a stream's name, `<symbol>@<kind>[_<interval>][@<speed>]`."""
    return stream.partition("@")[2].partition("@")[0].partition("_")[0]


def _unrecognized(field: str, raw: str, message: bytes) -> UnrecognizedMessage:
    return UnrecognizedMessage(VENUE, (Unrecognized(field, raw[:100]),), message[:2000].decode("utf-8", "replace"))
