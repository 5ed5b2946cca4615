"""Candles from trades: one bar a venue-time interval, closed once, holes marked.

A bar belongs to the venue's clock: `open_ns` is the trade's event time rounded down to the interval.  It is closed by
the first trade of a later interval, or by `close_until` when the venue's clock has surely passed its end (the grace
timer of `CandleActor`).  What was closed stays closed: a late trade is counted and dropped, because a strategy has
acted on the bar already.  Intervals without a trade give flat bars at the last price with volume 0.

`has_gap` says that trades of the bar may be missing: it began before we listened, or the stream was interrupted.

    builder = CandleBuilder(venue, symbol, 60 * SECOND_NS)
    for trade in trades:
        for candle in builder.add(trade):
            ...                                  # closed bars, oldest first
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from protocols.ids import Symbol, Venue
from protocols.market import Candle, Trade

SECOND_NS = 1_000_000_000
ZERO = Decimal(0)

MAX_FLAT_BARS = 5_000
"""A hole longer than this many intervals is not filled with flat bars: the history has to be fetched anew."""


class CandleBuilder:
    """Builds the bars of one symbol and one interval."""

    def __init__(self, venue: Venue, symbol: Symbol, interval_ns: int) -> None:
        if interval_ns <= 0:
            raise ValueError(f"interval_ns was {interval_ns}, must be positive")
        self._venue = venue
        self._symbol = symbol
        self.interval_ns = interval_ns
        self._open_ns: int | None = None
        """Start of the forming bar; None before the first trade and without history."""
        self._open = self._high = self._low = self._close = ZERO
        self._volume = ZERO
        self._traded = False
        """The forming bar has a trade of its own."""
        self._bar_has_gap = True
        self._interrupted = False
        self.late_trades = 0

    def continue_from(self, history: Sequence[Candle]) -> None:
        """The forming bar is the one after `history`; its beginning was not heard, so it has a gap."""
        if history:
            last = history[-1]
            self._begin(last.open_ns + self.interval_ns, last.close, has_gap=True)

    def add_after_hole(self, trade: Trade) -> list[Candle]:
        """As `add`, and every bar from the forming one to that of the trade may lack others; it may lie before it."""
        if self._open_ns is not None and trade.event_ns < self._open_ns:
            self._open_ns = None  # the clock was wrong until now, and so is the forming bar
        was_interrupted = self._interrupted
        self.interrupt()
        closed = self.add(trade)
        self._interrupted = was_interrupted
        return closed

    def doubt(self) -> None:
        """The forming bar may lack a trade."""
        self._bar_has_gap = True

    def interrupt(self) -> None:
        """From here on trades may be missing."""
        self._interrupted = True
        self._bar_has_gap = True

    def resume(self) -> None:
        """Trades are complete again; the forming bar keeps its mark."""
        self._interrupted = False

    def add(self, trade: Trade) -> list[Candle]:
        """Take one trade; the bars that it closes, oldest first."""
        opens_ns = trade.event_ns - trade.event_ns % self.interval_ns
        if self._open_ns is None:
            self._begin(opens_ns, trade.price, has_gap=True)
            closed: list[Candle] = []
        elif opens_ns < self._open_ns:
            self.late_trades += 1
            return []
        else:
            closed = self._advance_to(opens_ns, trade.price)
        price = trade.price
        if not self._traded:
            self._open = self._high = self._low = price
            self._traded = True
        elif price > self._high:
            self._high = price
        elif price < self._low:
            self._low = price
        self._close = price
        self._volume += trade.qty
        return closed

    def close_until(self, venue_ns: int) -> list[Candle]:
        """Close every bar that ends at or before `venue_ns`."""
        if self._open_ns is None:
            return []
        return self._advance_to(venue_ns - venue_ns % self.interval_ns, self._close)

    def forming(self) -> Candle | None:
        """The bar in progress, not closed."""
        return None if self._open_ns is None else self._candle(self._open_ns, closed=False)

    def _advance_to(self, opens_ns: int, price: Decimal) -> list[Candle]:
        """Close the forming bar and the empty ones before `opens_ns`; a hole too long starts over at `price`."""
        assert self._open_ns is not None
        closed: list[Candle] = []
        if (opens_ns - self._open_ns) // self.interval_ns > MAX_FLAT_BARS:
            closed.append(self._candle(self._open_ns, closed=True))
            self._begin(opens_ns, price, has_gap=True)
            return closed
        while self._open_ns < opens_ns:
            closed.append(self._candle(self._open_ns, closed=True))
            self._begin(self._open_ns + self.interval_ns, self._close, has_gap=self._interrupted)
        return closed

    def _begin(self, open_ns: int, price: Decimal, *, has_gap: bool) -> None:
        self._open_ns = open_ns
        self._open = self._high = self._low = self._close = price
        self._volume = ZERO
        self._traded = False
        self._bar_has_gap = has_gap

    def _candle(self, open_ns: int, *, closed: bool) -> Candle:
        return Candle(
            venue=self._venue,
            symbol=self._symbol,
            interval_ns=self.interval_ns,
            open_ns=open_ns,
            open=self._open,
            high=self._high,
            low=self._low,
            close=self._close,
            volume=self._volume,
            closed=closed,
            has_gap=self._bar_has_gap,
        )


def join(bars: Sequence[Candle], interval_ns: int) -> list[Candle]:
    """Closed bars of `interval_ns` made of shorter ones, oldest first; incomplete intervals at either end are left out.

    A hole among the parts marks the bar.  ValueError when the parts do not divide the interval.
    """
    if not bars:
        return []
    part_ns = bars[0].interval_ns
    if interval_ns % part_ns:
        raise ValueError(f"bars of {part_ns} ns do not add up to {interval_ns} ns")
    if part_ns == interval_ns:
        return list(bars)
    groups: dict[int, list[Candle]] = {}
    for bar in bars:
        groups.setdefault(bar.open_ns - bar.open_ns % interval_ns, []).append(bar)
    first, last = bars[0], bars[-1]
    joined = []
    for open_ns, parts in groups.items():
        if open_ns >= first.open_ns and open_ns + interval_ns <= last.open_ns + part_ns:
            joined.append(_joined(open_ns, interval_ns, parts))
    return joined


def _joined(open_ns: int, interval_ns: int, parts: Sequence[Candle]) -> Candle:
    complete = len(parts) == interval_ns // parts[0].interval_ns
    # A part without trades repeats an older price, which is no price of this interval unless nothing traded in it.
    traded = [part for part in parts if part.volume] or list(parts)
    return Candle(
        venue=parts[0].venue,
        symbol=parts[0].symbol,
        interval_ns=interval_ns,
        open_ns=open_ns,
        open=traded[0].open,
        high=max(part.high for part in traded),
        low=min(part.low for part in traded),
        close=traded[-1].close,
        volume=sum((part.volume for part in parts), ZERO),
        closed=True,
        has_gap=not complete or any(part.has_gap for part in parts),
    )
