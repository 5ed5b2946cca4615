"""Binance USDT-M Futures' public side: market streams and unsigned REST (reference sections 1, 6, 11, 13 and 14).

Streams live on two routes, so there are two connections: `stream_paths` says which channel is served where, and one
`subscribe` must not mix them, because the venue would acknowledge the strays and never send them.

Partial books and RPI books have the same `e` as diffs: only the stream's name tells
them apart, so a `depthUpdate` without a name, or under another one, is never taken for a diff.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from protocols.base import Message
from protocols.enums import CONDITIONAL_TYPES
from protocols.errors import ConfigError, LocalProtocolError, RemoteProtocolError
from protocols.ids import Symbol, Venue
from protocols.instruments import Instrument
from protocols.market import BookDelta, BookTicker
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
    VenueError,
)
from protocols.venues.binance_common.public import Build, PublicSide, stream_kind
from protocols.venues.binance_common.refusals import Refusal
from protocols.venues.binance_common.shapes import usual
from protocols.venues.binance_common.streams import (
    CANDLE_SUFFIX,
    control_frames,
    control_reply,
    interval_text,
    klines_span,
    ticker_of,
)
from protocols.venues.binance_common.wire import AggTradeEvent, KlineEvent, StreamFrame, TickerEvent, TradeEvent
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
)
from protocols.venues.binance_usdm.requests import decoded, public_request
from protocols.venues.values import REFUSED, amount, stamp_ns
from protocols.venues.words import UnknownWord

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
    triggers=CONDITIONAL_TYPES,
)

KLINES_MAX = 1500
_ONE_SECOND = 1_000_000_000


class BinanceUsdmPublic(PublicSide):
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
        decoder = msgspec.json.Decoder
        kinds: dict[str, tuple[msgspec.json.Decoder[Any], Build]] = {
            "depth": (decoder(StreamFrame[wire.DepthUpdate]), self._depth),
            "trade": (decoder(StreamFrame[TradeEvent]), self._trade_of_kind),
            "aggTrade": (decoder(StreamFrame[AggTradeEvent]), self._trade),
            "bookTicker": (decoder(StreamFrame[wire.BookTickerEvent]), self._book_ticker),
            "kline": (decoder(StreamFrame[KlineEvent]), self._kline),
            "ticker": (decoder(StreamFrame[TickerEvent]), self._ticker),
        }
        events: dict[str, tuple[type, Build]] = {
            "trade": (TradeEvent, self._trade_of_kind),
            "aggTrade": (AggTradeEvent, self._trade),
            "bookTicker": (wire.BookTickerEvent, self._book_ticker),
            "kline": (KlineEvent, self._kline),
            "24hrTicker": (TickerEvent, self._ticker),
        }
        super().__init__(endpoints.paths.time, kinds, events)
        self._exchange_info = msgspec.json.Decoder(wire.ExchangeInfo)

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

    def _decode_any(self, raw: bytes, received_ns: int, connection: int) -> Sequence[Message | Reply]:
        """The slow and complete way: by what the message is, not by how it is written."""
        whole = msgspec.json.decode(raw)
        if isinstance(whole, list):
            return self._of_rows(whole, None, raw, received_ns, connection)
        if not isinstance(whole, dict):
            raise RemoteProtocolError(f"not an object: {raw[:200]!r}")
        stream = whole.get("stream")
        data = usual(whole if whole.get("data") is None else whole["data"])
        if isinstance(data, list):
            return self._of_rows(data, stream, raw, received_ns, connection)
        name = data.get("e") if isinstance(data, dict) else None
        if isinstance(name, str):
            known = self._by_event.get(name)
            if known is not None:
                event_type, build = known
                return build(msgspec.convert(data, event_type), received_ns, connection)
            if name == "depthUpdate" and isinstance(stream, str) and stream_kind(stream) == "depth":
                return self._depth(msgspec.convert(data, wire.DepthUpdate), received_ns, connection)
            if isinstance(stream, str):
                return (self._unrecognized("stream", stream, raw),)
            return (self._unrecognized("e", name, raw),)
        if "id" in whole and ("result" in whole or "code" in whole or "error" in whole):
            return (control_reply(whole),)
        if isinstance(stream, str):
            return (self._unrecognized("stream", stream, raw),)
        raise RemoteProtocolError(f"neither event nor reply: {raw[:200]!r}")

    def _depth(self, data: wire.DepthUpdate, received_ns: int, connection: int) -> Sequence[Message]:
        if data.product == wire.COIN_M:
            return ()
        first_id, last_id = data.first_id, data.last_id
        if first_id > last_id:
            raise RemoteProtocolError(f"depth of {data.symbol}: U {first_id} is after u {last_id}")
        bids, asks = self._levels.of(data.bids), self._levels.of(data.asks)
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

    def _trade_of_kind(self, data: TradeEvent, received_ns: int, connection: int) -> Sequence[Message]:
        if data.kind != "MARKET":
            # An execution outside the book (insurance fund, ADL): no price of the market.
            raise UnknownWord("trade.X", data.kind)
        return self._trade(data, received_ns, connection)

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

    def _ticker(self, data: TickerEvent, received_ns: int, connection: int) -> Sequence[Message]:
        return () if data.product == wire.COIN_M else (ticker_of(VENUE, data, received_ns),)

    # ---- REST --------------------------------------------------------------------------------------------------

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

    def tickers_request(self, symbols: Sequence[Symbol]) -> HttpRequest:
        """`GET /fapi/v1/ticker/24hr`: one symbol, or all of them."""
        params = (("symbol", str(symbols[0])),) if len(symbols) == 1 else ()
        return public_request(self._paths.tickers, params, tickers_weight(len(symbols)))

    def _classify(self, refusal: Refusal) -> VenueError:
        return classify(refusal)
