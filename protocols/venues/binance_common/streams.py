"""Market streams: control frames, bars and level checks that are the same on every product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from protocols.enums import Source
from protocols.errors import LocalProtocolError
from protocols.ids import Symbol, Venue
from protocols.market import CANDLE_LENGTHS_NS, Candle, Ticker
from protocols.venue import Channel, Disposition, Frame, HttpReply, Lane, Reply, VenueError
from protocols.venues.binance_common.wire import Bar, Kline, TickerEvent, TickerRow
from protocols.venues.values import amount, amount_or_none, price_or_none, stamp_ns

__all__ = [
    "CANDLE_SUFFIX",
    "INTERVALS",
    "bar_of",
    "bars_of",
    "control_frames",
    "control_reply",
    "interval_text",
    "klines_span",
    "stream_error",
    "ticker_of",
    "ticker_of_row",
]

_S = 1_000_000_000
_MINUTE, _HOUR, _DAY = 60 * _S, 3600 * _S, 86_400 * _S
INTERVALS: Mapping[str, int] = {
    "1s": _S,
    "1m": _MINUTE,
    "3m": 3 * _MINUTE,
    "5m": 5 * _MINUTE,
    "15m": 15 * _MINUTE,
    "30m": 30 * _MINUTE,
    "1h": _HOUR,
    "2h": 2 * _HOUR,
    "4h": 4 * _HOUR,
    "6h": 6 * _HOUR,
    "8h": 8 * _HOUR,
    "12h": 12 * _HOUR,
    "1d": _DAY,
    "3d": 3 * _DAY,
    "1w": 7 * _DAY,
}
"""Bars of fixed length; the venue's `1M` has none.  `1s` exists on Spot alone."""
_INTERVAL_TEXT = {length: text for text, length in INTERVALS.items()}
CANDLE_SUFFIX: Mapping[Channel, str] = {
    channel: f"@kline_{_INTERVAL_TEXT[length]}"
    for channel, length in CANDLE_LENGTHS_NS.items()
    if length in _INTERVAL_TEXT
}
"""Ends of the names of the streams of bars."""
STREAMS_PER_FRAME = 200
"""Streams in one SUBSCRIBE; the venue states no bound, and its frames must not grow without one."""


def interval_text(interval_ns: int) -> str:
    """The venue's name of a bar length.  Raises LocalProtocolError for one that it does not have."""
    text = _INTERVAL_TEXT.get(interval_ns)
    if text is None:
        raise LocalProtocolError(f"interval_ns was {interval_ns}, the venue has {', '.join(INTERVALS)}")
    return text


def klines_span(limit: int, most: int, end_ns: int | None) -> tuple[tuple[str, str], ...]:
    """The parameters that say how many bars, and until when: those that open before `end_ns`.

    Without an end one more than asked for, because the newest bar is still open.
    """
    rows = ("limit", str(min(max(limit, 1) + (end_ns is None), most)))
    return (rows,) if end_ns is None else (rows, ("endTime", str(-(-end_ns // 1_000_000) - 1)))


def bar_of(venue: Venue, symbol: str, bar: Bar, interval_ns: int, received_ns: int) -> Candle:
    """The `k` of a kline message."""
    return Candle(
        venue,
        Symbol(symbol),
        interval_ns,
        stamp_ns(bar.open_time),
        amount(bar.open),
        amount(bar.high),
        amount(bar.low),
        amount(bar.close),
        amount(bar.volume),
        bar.closed,
        received_ns=received_ns,
        source=Source.STREAM,
    )


def bars_of(
    venue: Venue, symbol: Symbol, interval_ns: int, rows: Sequence[Kline], reply: HttpReply
) -> tuple[Candle, ...]:
    """The rows of a klines answer that had ended when the request was sent, oldest first."""
    return tuple(
        Candle(
            venue,
            symbol,
            interval_ns,
            stamp_ns(row.open_time),
            amount(row.open),
            amount(row.high),
            amount(row.low),
            amount(row.close),
            amount(row.volume),
            closed=True,
            received_ns=reply.received_ns,
            source=Source.REST,
        )
        for row in rows
        if stamp_ns(row.close_time) < reply.sent_ns
    )


def ticker_of(venue: Venue, data: TickerEvent, received_ns: int) -> Ticker:
    """A message of `@ticker`."""
    return Ticker(
        venue,
        Symbol(data.symbol),
        stamp_ns(data.event_time),
        received_ns,
        last_px=price_or_none(data.last_px),
        last_qty=amount_or_none(data.last_qty),
        bid_px=price_or_none(data.bid_px),
        bid_qty=amount_or_none(data.bid_qty),
        ask_px=price_or_none(data.ask_px),
        ask_qty=amount_or_none(data.ask_qty),
        open_px=price_or_none(data.open_px),
        base_px=price_or_none(data.open_px),
        high_px=price_or_none(data.high_px),
        low_px=price_or_none(data.low_px),
        volume=amount_or_none(data.volume),
        turnover=amount_or_none(data.turnover),
    )


def ticker_of_row(venue: Venue, row: TickerRow, received_ns: int) -> Ticker:
    """A row of `ticker/24hr`."""
    return Ticker(
        venue,
        Symbol(row.symbol),
        stamp_ns(row.closeTime),
        received_ns,
        last_px=price_or_none(row.lastPrice),
        last_qty=amount_or_none(row.lastQty),
        bid_px=price_or_none(row.bidPrice),
        bid_qty=amount_or_none(row.bidQty),
        ask_px=price_or_none(row.askPrice),
        ask_qty=amount_or_none(row.askQty),
        open_px=price_or_none(row.openPrice),
        base_px=price_or_none(row.openPrice),
        high_px=price_or_none(row.highPrice),
        low_px=price_or_none(row.lowPrice),
        volume=amount_or_none(row.volume),
        turnover=amount_or_none(row.quoteVolume),
        source=Source.REST,
    )


def control_frames(method: str, names: Sequence[str], request_id: int) -> Sequence[Frame]:
    """SUBSCRIBE or UNSUBSCRIBE frames; the n-th has the id `request_id + n`."""
    frames = []
    for number, start in enumerate(range(0, len(names), STREAMS_PER_FRAME), request_id):
        body = {"method": method, "params": names[start : start + STREAMS_PER_FRAME], "id": number}
        frames.append(Frame(msgspec.json.encode(body).decode(), str(number), 0, Lane.QUERY))
    return frames


def control_reply(whole: dict[str, Any]) -> Reply:
    """The answer to a control frame, in its old (`code`, `msg`) and its new form (`error`)."""
    number = whole["id"]
    request_id = "" if number is None else str(number)[:64]
    error = whole.get("error", whole)
    if isinstance(error, dict) and "code" in error:
        return Reply(request_id, error=stream_error(str(error["code"])[:20], str(error.get("msg", ""))))
    return Reply(request_id, payload={"result": whole.get("result")})


def stream_error(code: str, text: str) -> VenueError:
    """A refused SUBSCRIBE or other control frame: its codes 0 to 3 all say that we built it wrongly."""
    return VenueError(Disposition.BUG, code, text[:500])
