"""Bybit's tickers (reference section 8.3): one snapshot, then deltas in which a missing field means unchanged.

What a connection has said is merged here, connection by connection: a successor begins with a snapshot of its own
while its predecessor is still read.  A delta that has nothing to change, or is older than what was merged, says
nothing.
"""

from __future__ import annotations

import msgspec

from protocols.enums import Source
from protocols.ids import Symbol, Venue
from protocols.market import Ticker
from protocols.venues.bybit.wire import TickerFrame, TickerRow
from protocols.venues.values import amount_or_none, price_or_none, stamp_ns

__all__ = ["MergedTickers", "ticker_of"]

CONNECTIONS_KEPT = 4
"""Of a symbol: two overlap at a planned replacement, on each of two sockets."""
_FIELDS = msgspec.structs.fields(TickerRow)
_CHANGING = tuple(field.name for field in _FIELDS if field.name != "symbol")


class MergedTickers:
    """The newest whole row of each symbol and connection."""

    __slots__ = ("_rows",)

    def __init__(self) -> None:
        self._rows: dict[str, dict[int, tuple[int, TickerRow]]] = {}
        """By symbol and connection: cross sequence and row."""

    def merge(self, frame: TickerFrame, connection: int) -> TickerRow | None:
        """The row after this frame; None when the frame says nothing."""
        by_connection = self._rows.setdefault(frame.data.symbol, {})
        known = by_connection.get(connection)
        if frame.type == "snapshot":
            row = frame.data
        elif known is None or (frame.cs and frame.cs < known[0]):
            return None
        else:
            row = known[1]
            for name in _CHANGING:
                value = getattr(frame.data, name)
                if value is not None:
                    setattr(row, name, value)
        by_connection[connection] = (frame.cs or 0, row)
        while len(by_connection) > CONNECTIONS_KEPT:
            del by_connection[min(by_connection)]
        return row


def ticker_of(venue: Venue, row: TickerRow, event_ms: int, received_ns: int, source: Source) -> Ticker:
    """A whole row as of the venue's `event_ms`.  Spot's stream has neither best bid nor best ask."""
    return Ticker(
        venue,
        Symbol(row.symbol),
        stamp_ns(event_ms),
        received_ns,
        last_px=price_or_none(row.last_px),
        bid_px=price_or_none(row.bid_px),
        bid_qty=amount_or_none(row.bid_qty),
        ask_px=price_or_none(row.ask_px),
        ask_qty=amount_or_none(row.ask_qty),
        open_px=price_or_none(row.base_px),
        base_px=price_or_none(row.base_px),
        high_px=price_or_none(row.high_px),
        low_px=price_or_none(row.low_px),
        volume=amount_or_none(row.volume),
        turnover=amount_or_none(row.turnover),
        source=source,
    )
