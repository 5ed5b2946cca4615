"""What the public codecs of the venue's products share: the way of a stream message, and the unsigned requests that
differ in their paths alone.

A combined stream message names its stream first, so the name is cut out of the text and picks a decoder that parses,
checks and builds in one pass.  Whatever does not fit that pass (acknowledgements, raw messages, words we do not know,
garbage) is looked at again, slowly and completely: that is each product's own (`_decode_any`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from protocols.base import Message
from protocols.enums import Side
from protocols.errors import RemoteProtocolError, Unrecognized
from protocols.ids import Symbol, Venue
from protocols.market import BookSnapshot, Candle, Ticker, Trade
from protocols.venue import Capabilities, HttpReply, HttpRequest, Reply, UnrecognizedMessage, Usage, VenueError
from protocols.venues.binance_common.limits import usage_of_headers
from protocols.venues.binance_common.refusals import Refusal
from protocols.venues.binance_common.requests import decoded, public_request, refusal_of
from protocols.venues.binance_common.shapes import usual
from protocols.venues.binance_common.streams import INTERVALS, bar_of, bars_of, ticker_of_row
from protocols.venues.binance_common.wire import (
    AggTradeEvent,
    DepthSnapshot,
    Kline,
    KlineEvent,
    ServerTime,
    TickerRow,
    TradeEvent,
)
from protocols.venues.values import REFUSED, Levels, amount, stamp_ns
from protocols.venues.words import UnknownWord

__all__ = ["Build", "PublicSide", "stream_kind"]

_KNOWN_STREAMS_MAX = 4096
_PREFIX = b'{"stream":"'
_NAME_AT = len(_PREFIX)
_MANY = ("@arr", "@arr@1s")
"""Ends of the names of streams about many symbols."""
TIME_WEIGHT = 1

Build = Callable[[Any, int, int], Sequence[Message]]
"""Events of a decoded message, of the time at which it came and of its connection.  Raises UnknownWord."""


class PublicSide:
    """Base of the public codecs.

    `kinds`: decoder (of a `StreamFrame`) and builder of each kind of stream; `events`: type and builder by the event's
    own name.
    """

    venue: Venue
    capabilities: Capabilities

    def __init__(
        self,
        time_path: str,
        kinds: Mapping[str, tuple[msgspec.json.Decoder[Any], Build]],
        events: Mapping[str, tuple[type, Build]],
    ) -> None:
        self._time_path = time_path
        self._levels = Levels()
        self._by_kind = kinds
        self._by_event: Mapping[str, tuple[type, Build]] = events
        self._by_stream: dict[bytes, tuple[msgspec.json.Decoder[Any], Build]] = {}
        self._time = msgspec.json.Decoder(ServerTime)
        self._snapshot = msgspec.json.Decoder(DepthSnapshot)
        self._klines = msgspec.json.Decoder(tuple[Kline, ...])
        self._tickers = msgspec.json.Decoder(TickerRow | tuple[TickerRow, ...])

    # ---- streams -----------------------------------------------------------------------------------------------

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
        except UnknownWord as unknown:
            assert isinstance(raw, bytes)
            return (self._unrecognized(unknown.what.field, unknown.what.raw, raw),)
        except REFUSED as error:
            raise RemoteProtocolError(f"stream message refused: {error}: {raw[:200]!r}") from error

    def _of_rows(
        self, rows: list[Any], stream: object, raw: bytes, received_ns: int, connection: int
    ) -> Sequence[Message]:
        """A message about many symbols: the events of its rows, if all are of a kind that is read."""
        if not rows and not (isinstance(stream, str) and stream.endswith(_MANY)):
            raise RemoteProtocolError(f"no event in {raw[:200]!r}")
        events: list[Message] = []
        for row in usual(rows):
            name = row.get("e") if isinstance(row, dict) else None
            known = self._by_event.get(name) if isinstance(name, str) else None
            if known is None:
                field, word = ("stream", stream) if isinstance(stream, str) else ("e", str(name))
                return (self._unrecognized(field, word, raw),)
            event_type, build = known
            try:
                events += build(msgspec.convert(row, event_type), received_ns, connection)
            except UnknownWord as unknown:
                events.append(self._unrecognized(unknown.what.field, unknown.what.raw, raw))
        return events

    def _decode_any(self, raw: bytes, received_ns: int, connection: int) -> Sequence[Message | Reply]:
        """By what the message is, not by how it is written."""
        raise NotImplementedError

    def _learn(self, name: bytes) -> tuple[msgspec.json.Decoder[Any], Build] | None:
        """The decoder for a stream by the kind in its name."""
        found = self._by_kind.get(stream_kind(name.decode()))
        if found is not None:
            if len(self._by_stream) >= _KNOWN_STREAMS_MAX:
                self._by_stream.clear()
            self._by_stream[name] = found
        return found

    def _trade(self, data: TradeEvent | AggTradeEvent, received_ns: int, connection: int) -> Sequence[Message]:
        return (
            Trade(
                self.venue,
                Symbol(data.symbol),
                str(data.trade_id),
                amount(data.price),
                amount(data.qty),
                Side.SELL if data.buyer_is_maker else Side.BUY,
                stamp_ns(data.time),
                received_ns,
            ),
        )

    def _kline(self, data: KlineEvent, received_ns: int, connection: int) -> Sequence[Message]:
        interval_ns = INTERVALS.get(data.bar.interval)
        if interval_ns is None:
            raise UnknownWord("kline.i", data.bar.interval)
        return (bar_of(self.venue, data.symbol, data.bar, interval_ns, received_ns),)

    def _unrecognized(self, field: str, raw: str, message: bytes) -> UnrecognizedMessage:
        text = message[:2000].decode("utf-8", "replace")
        return UnrecognizedMessage(self.venue, (Unrecognized(field, raw[:100]),), text)

    # ---- REST --------------------------------------------------------------------------------------------------

    def time_request(self) -> HttpRequest:
        """The venue's clock."""
        return public_request(self._time_path, (), TIME_WEIGHT)

    def decode_time(self, reply: HttpReply) -> int:
        """The venue's clock, ns."""
        return stamp_ns(decoded(self._time, reply).serverTime)

    def decode_snapshot(self, symbol: Symbol, reply: HttpReply, connection: int) -> BookSnapshot:
        """The book as of `lastUpdateId`; the answer itself does not name its symbol."""
        book = decoded(self._snapshot, reply)
        bids, asks = self._levels.of(book.bids), self._levels.of(book.asks)
        return BookSnapshot(self.venue, symbol, book.lastUpdateId, bids, asks, reply.received_ns, connection)

    def decode_candles(self, symbol: Symbol, interval_ns: int, reply: HttpReply) -> Sequence[Candle]:
        """Bars that had ended when the request was sent, oldest first."""
        return bars_of(self.venue, symbol, interval_ns, decoded(self._klines, reply), reply)

    def decode_tickers(self, reply: HttpReply) -> Sequence[Ticker]:
        """One row for one symbol, else a list."""
        found = decoded(self._tickers, reply)
        rows = found if isinstance(found, tuple) else (found,)
        return tuple(ticker_of_row(self.venue, row, reply.received_ns) for row in rows)

    def usage(self, reply: HttpReply) -> Sequence[Usage]:
        """Weight and order counts in the reply's headers."""
        return usage_of_headers(reply.headers)

    def error(self, reply: HttpReply) -> VenueError | None:
        """The classified refusal; a failure inside the venue is BUSY, because nothing here changes anything."""
        refusal = refusal_of(reply, order=False)
        return None if refusal is None else self._classify(refusal)

    def _classify(self, refusal: Refusal) -> VenueError:
        """By the product's own table."""
        raise NotImplementedError


def stream_kind(stream: str) -> str:
    """The kind in a stream's name, `<symbol>@<kind>[_<interval>][@<speed>]`."""
    return stream.partition("@")[2].partition("@")[0].partition("_")[0]
