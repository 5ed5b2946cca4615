"""What a venue says in its public streams: which stream an item belongs to, and whether it was said before."""

from __future__ import annotations

from collections.abc import Mapping

from actors.venue.wants import Stream
from protocols.enums import Channel
from protocols.ids import Symbol
from protocols.market import CANDLE_CHANNELS, BookDelta, BookSnapshot, BookTicker, Candle, Ticker, Trade

Item = BookDelta | BookSnapshot | BookTicker | Trade | Ticker | Candle

_CHANNELS: Mapping[type, Channel] = {
    BookDelta: Channel.BOOK,
    BookSnapshot: Channel.BOOK,
    Trade: Channel.TRADES,
    BookTicker: Channel.BOOK_TICKER,
    Ticker: Channel.TICKER,
}


class Overlap:
    """What was said while two links carried the same streams."""

    def __init__(self) -> None:
        self._trades: set[tuple[Symbol, str]] = set()
        self._tickers: dict[Symbol, int] = {}

    def is_second(self, item: Item) -> bool:
        """True when the other link has said this already (a book is judged by its own sequence check)."""
        if isinstance(item, Trade):
            key = (item.symbol, item.trade_id)
            if key in self._trades:
                return True
            self._trades.add(key)
        elif isinstance(item, BookTicker) and item.update_id:
            if item.update_id <= self._tickers.get(item.symbol, -1):
                return True
            self._tickers[item.symbol] = item.update_id
        return False


def stream_of(item: object) -> Stream | None:
    """The stream that an item belongs to; None for what is of no stream."""
    channel = _CHANNELS.get(type(item))
    if channel is None:
        if not isinstance(item, Candle):
            return None
        channel = CANDLE_CHANNELS.get(item.interval_ns)
        if channel is None:
            return None
    return channel, item.symbol  # type: ignore[attr-defined]  # every class of `_CHANNELS`, and Candle, has one
