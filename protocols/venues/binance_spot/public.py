"""Binance Spot's public side: market streams and unsigned REST (reference sections 6, 11, 12 and 13).

`binance_common.public` says how a message of a stream is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from protocols.base import Message
from protocols.enums import CONDITIONAL_TYPES
from protocols.errors import RemoteProtocolError
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
    StreamTerminated,
    VenueError,
)
from protocols.venues.binance_common.public import Build, PublicSide
from protocols.venues.binance_common.refusals import Refusal
from protocols.venues.binance_common.requests import decoded
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
from protocols.venues.binance_spot import wire
from protocols.venues.binance_spot.book import BinanceSpotSequencer
from protocols.venues.binance_spot.endpoints import PRODUCTION, STREAM_RULES, Endpoints
from protocols.venues.binance_spot.errors import classify
from protocols.venues.binance_spot.instruments import instruments_of
from protocols.venues.binance_spot.limits import WEIGHT, depth_weight, limits_of, tickers_weight
from protocols.venues.binance_spot.requests import public_request
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
    triggers=CONDITIONAL_TYPES,
)

KLINES_MAX = 1000


class BinanceSpotPublic(PublicSide):
    """`protocols.venue.PublicCodec`.  `book_depth`: levels of a book snapshot (1000 weigh 50, 5000 weigh 250)."""

    venue = VENUE
    capabilities: Capabilities = CAPABILITIES
    rules: SessionRules = STREAM_RULES

    def __init__(self, endpoints: Endpoints = PRODUCTION, book_depth: int = 1000) -> None:
        self.endpoints = endpoints
        self._book_depth = book_depth
        self._paths = endpoints.paths
        decoder = msgspec.json.Decoder
        kinds: dict[str, tuple[msgspec.json.Decoder[Any], Build]] = {
            "depth": (decoder(StreamFrame[wire.DepthUpdate]), self._depth),
            "trade": (decoder(StreamFrame[TradeEvent]), self._trade),
            "aggTrade": (decoder(StreamFrame[AggTradeEvent]), self._trade),
            "bookTicker": (decoder(StreamFrame[wire.BookTickerEvent]), self._book_ticker),
            "kline": (decoder(StreamFrame[KlineEvent]), self._kline),
            "ticker": (decoder(StreamFrame[TickerEvent]), self._ticker),
        }
        events: dict[str, tuple[type, Build]] = {
            "depthUpdate": (wire.DepthUpdate, self._depth),
            "trade": (TradeEvent, self._trade),
            "aggTrade": (AggTradeEvent, self._trade),
            "kline": (KlineEvent, self._kline),
            "24hrTicker": (TickerEvent, self._ticker),
        }
        super().__init__(endpoints.paths.time, kinds, events)
        self._exchange_info = msgspec.json.Decoder(wire.ExchangeInfo)

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

    def _decode_any(self, raw: bytes, received_ns: int, connection: int) -> Sequence[Message | Reply]:
        """The slow and complete way: by what the message is, not by how it is written."""
        whole = msgspec.json.decode(raw)
        if isinstance(whole, list):
            return self._of_rows(whole, None, raw, received_ns, connection)
        if not isinstance(whole, dict):
            raise RemoteProtocolError(f"not an object: {raw[:200]!r}")
        data = next((inner for name in ("data", "event") if (inner := whole.get(name)) is not None), whole)
        if isinstance(data, list):
            return self._of_rows(data, whole.get("stream"), raw, received_ns, connection)
        if not isinstance(data, dict):
            raise RemoteProtocolError(f"no event in {raw[:200]!r}")
        data = usual(data)
        name = data.get("e")
        if isinstance(name, str):
            if name == "serverShutdown":
                return (StreamTerminated(VENUE, "the venue is shutting this connection down", announced=True),)
            known = self._by_event.get(name)
            if known is not None:
                event_type, build = known
                return build(msgspec.convert(data, event_type), received_ns, connection)
            return (self._unrecognized("e", name, raw),)
        if name is None and "u" in data and "B" in data:
            return self._book_ticker(msgspec.convert(data, wire.BookTickerEvent), received_ns, connection)
        if "id" in whole and ("result" in whole or "code" in whole or "error" in whole):
            return (control_reply(whole),)
        stream = whole.get("stream")
        if isinstance(stream, str):
            return (self._unrecognized("stream", stream, raw),)
        raise RemoteProtocolError(f"neither event nor reply: {raw[:200]!r}")

    def _depth(self, data: wire.DepthUpdate, received_ns: int, connection: int) -> Sequence[Message]:
        first_id, last_id = data.first_id, data.last_id
        if first_id > last_id:
            raise RemoteProtocolError(f"depth of {data.symbol}: U {first_id} is after u {last_id}")
        bids, asks = self._levels.of(data.bids), self._levels.of(data.asks)
        event_ns = stamp_ns(data.event_time)
        symbol = Symbol(data.symbol)
        return (BookDelta(VENUE, symbol, first_id, last_id, -1, bids, asks, event_ns, received_ns, connection),)

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

    def _ticker(self, data: TickerEvent, received_ns: int, connection: int) -> Sequence[Message]:
        return (ticker_of(VENUE, data, received_ns),)

    # ---- REST --------------------------------------------------------------------------------------------------

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

    def sequencer(self, symbol: Symbol) -> BookSequencer:
        """Section 13 for one symbol."""
        return BinanceSpotSequencer(self._book_depth)

    def candles_request(self, symbol: Symbol, interval_ns: int, limit: int, end_ns: int | None = None) -> HttpRequest:
        """`GET /api/v3/klines`, one bar more than asked for, because the newest is still open."""
        params = (("symbol", symbol), ("interval", interval_text(interval_ns)), *klines_span(limit, KLINES_MAX, end_ns))
        return public_request(self._paths.klines, params, WEIGHT["klines"])

    def tickers_request(self, symbols: Sequence[Symbol]) -> HttpRequest:
        """`GET /api/v3/ticker/24hr`; many symbols are dear."""
        if len(symbols) == 1:
            params = (("symbol", str(symbols[0])),)
        else:
            params = (("symbols", msgspec.json.encode(list(symbols)).decode()),)
        return public_request(self._paths.tickers, params, tickers_weight(len(symbols)))

    def _classify(self, refusal: Refusal) -> VenueError:
        return classify(refusal)


def _stream_frames(method: str, streams: Sequence[tuple[Channel, Symbol]], request_id: int) -> Sequence[Frame]:
    return control_frames(method, [symbol.lower() + _SUFFIX[channel] for channel, symbol in streams], request_id)
