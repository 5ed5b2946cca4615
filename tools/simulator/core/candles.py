"""Candles and volume statistics, built from prints.

One-minute candles are the base; longer intervals are sums of them, so that every interval agrees with every
other by construction. One-second candles are kept for a short while, because venues offer them too.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal

import attrs

from tools.simulator.core.clock import DAY, MINUTE, SECOND
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.model import Trade

MINUTES_KEPT = 60_000  # about 41 days
SECONDS_KEPT = 1_000


@attrs.define(slots=True)
class Candle:
    """Open, high, low, close and volumes of [open_ns, open_ns + interval_ns)."""

    open_ns: int
    interval_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = ZERO
    quote_volume: Decimal = ZERO
    trades: int = 0
    taker_buy_base: Decimal = ZERO
    taker_buy_quote: Decimal = ZERO
    first_id: int = -1  # trade ids; -1 where nothing traded
    last_id: int = -1

    @property
    def close_ns(self) -> int:
        """The last nanosecond that belongs to the candle."""
        return self.open_ns + self.interval_ns - 1

    def absorb(self, other: Candle) -> None:
        """Extend by a later candle."""
        self.high = max(self.high, other.high)
        self.low = min(self.low, other.low)
        self.close = other.close
        self.volume += other.volume
        self.quote_volume += other.quote_volume
        self.trades += other.trades
        self.taker_buy_base += other.taker_buy_base
        self.taker_buy_quote += other.taker_buy_quote
        if self.first_id == -1:
            self.first_id = other.first_id
        self.last_id = max(self.last_id, other.last_id)


class CandleStore:
    """Rolling candles of one symbol."""

    def __init__(self) -> None:
        self.minutes: deque[Candle] = deque(maxlen=MINUTES_KEPT)
        self.seconds: deque[Candle] = deque(maxlen=SECONDS_KEPT)

    def add(self, trade: Trade) -> None:
        """Count one print."""
        time_ns, price, qty, quote_qty = trade.time_ns, trade.price, trade.qty, trade.quote_qty
        for candles, interval in ((self.seconds, SECOND), (self.minutes, MINUTE)):
            open_ns = time_ns - time_ns % interval
            if candles and candles[-1].open_ns >= open_ns:
                candle = candles[-1]
            else:
                candle = Candle(open_ns, interval, price, price, price, price, first_id=trade.trade_id)
                candles.append(candle)
            candle.high = max(candle.high, price)
            candle.low = min(candle.low, price)
            candle.close = price
            candle.volume += qty
            candle.quote_volume += quote_qty
            candle.trades += 1
            candle.last_id = trade.trade_id
            if not trade.buyer_is_maker:
                candle.taker_buy_base += qty
                candle.taker_buy_quote += quote_qty

    def prepend(self, history: list[Candle]) -> None:
        """Put older one-minute candles in front (invented history of a generated market)."""
        self.minutes.extendleft(reversed(history))

    def series(
        self, interval_ns: int, *, now_ns: int, start_ns: int | None, end_ns: int | None, limit: int
    ) -> list[Candle]:
        """Candles whose open time lies in [start_ns, end_ns], oldest first.

        With a start the first `limit` of them, without one the last `limit`. Minutes without a print have no
        candle of their own; most venues print a flat one, so gaps are filled with the previous close, the open
        minute's own included.
        """
        base = self.seconds if interval_ns < MINUTE else self.minutes
        last_open = self._align(min(now_ns, end_ns) if end_ns is not None else now_ns, interval_ns)
        first_open = last_open - (limit - 1) * interval_ns
        if start_ns is not None:
            first_open = self._align(start_ns + interval_ns - 1, interval_ns)
        chosen: list[Candle] = []
        for source in reversed(base):
            if source.open_ns < first_open:
                break
            if source.open_ns < last_open + interval_ns:
                chosen.append(source)
        result: list[Candle] = []
        for source in reversed(chosen):
            open_ns = self._align(source.open_ns, interval_ns)
            if result and result[-1].open_ns == open_ns:
                result[-1].absorb(source)
                continue
            if result:
                result.extend(self._flat(result[-1], open_ns, interval_ns))
            result.append(attrs.evolve(source, open_ns=open_ns, interval_ns=interval_ns))
        if result:
            result.extend(self._flat(result[-1], last_open + interval_ns, interval_ns))
        return result[:limit] if start_ns is not None else result[-limit:]

    def latest(self, interval_ns: int, now_ns: int) -> Candle | None:
        """The candle that is open now: flat at the last close while nothing has traded in it yet.

        None before the very first print.
        """
        start = self._align(now_ns, interval_ns)
        found: Candle | None = None
        for source in reversed(self.seconds if interval_ns < MINUTE else self.minutes):
            if source.open_ns < start:
                if found is None:
                    close = source.close
                    return Candle(start, interval_ns, close, close, close, close)
                break
            if found is None:
                found = attrs.evolve(source, open_ns=start, interval_ns=interval_ns)
            else:
                newer, found = found, attrs.evolve(source, open_ns=start, interval_ns=interval_ns)
                found.absorb(newer)
        return found

    def window(self, now_ns: int, span_ns: int = DAY) -> Candle | None:
        """One candle over the last `span_ns`; None where nothing traded in it."""
        start = now_ns - span_ns
        total: Candle | None = None
        for source in reversed(self.minutes):
            if source.open_ns < start:
                break
            if total is None:
                total = attrs.evolve(source)
            else:
                newer, total = total, attrs.evolve(source)
                total.absorb(newer)
        if total is not None:
            total.interval_ns = span_ns
        return total

    @staticmethod
    def _align(time_ns: int, interval_ns: int) -> int:
        """Weeks start on Monday (the epoch was a Thursday), everything else at a multiple since the epoch."""
        offset = 4 * DAY if interval_ns == 7 * DAY else 0
        return time_ns - (time_ns - offset) % interval_ns

    @staticmethod
    def _flat(previous: Candle, until_ns: int, interval_ns: int) -> list[Candle]:
        close = previous.close
        first = previous.open_ns + interval_ns
        return [
            Candle(open_ns, interval_ns, close, close, close, close) for open_ns in range(first, until_ns, interval_ns)
        ]
