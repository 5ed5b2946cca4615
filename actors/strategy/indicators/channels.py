"""Extremes and changes over a window: Donchian, Ichimoku, momentum, volume ratio, realized volatility."""

from __future__ import annotations

import math
from collections import deque
from typing import Literal

import attrs

from actors.strategy.indicators.averages import SMA, Lag


class _Extreme:
    """Largest (or smallest) of the last `period` values by a monotonic queue: constant work on average."""

    __slots__ = ("_count", "_period", "_queue", "_sign")

    def __init__(self, period: int, sign: Literal[1, -1]) -> None:
        if period < 1:
            raise ValueError(f"period was {period}, must be at least 1")
        self._period = period
        self._sign = sign
        self._queue: deque[tuple[int, float]] = deque()
        self._count = 0

    def update(self, x: float) -> float | None:
        """Take one value."""
        queue, signed = self._queue, self._sign * x
        while queue and self._sign * queue[-1][1] <= signed:
            queue.pop()
        queue.append((self._count, x))
        self._count += 1
        if queue[0][0] <= self._count - 1 - self._period:
            queue.popleft()
        return queue[0][1] if self._count >= self._period else None


@attrs.frozen
class Channel:
    """Highest high and lowest low of a window."""

    upper: float
    lower: float

    @property
    def middle(self) -> float:
        """Half way between them."""
        return (self.upper + self.lower) / 2

    def position(self, price: float) -> float:
        """Where `price` is: 0 at the lower edge, 1 at the upper; 0.5 in a channel without width."""
        width = self.upper - self.lower
        return (price - self.lower) / width if width else 0.5


class Donchian:
    """The channel of the last `period` bars, the newest included."""

    __slots__ = ("_highest", "_lowest", "value")

    def __init__(self, period: int) -> None:
        self._highest = _Extreme(period, 1)
        self._lowest = _Extreme(period, -1)
        self.value: Channel | None = None

    def update(self, high: float, low: float) -> Channel | None:
        """Take one bar."""
        upper, lower = self._highest.update(high), self._lowest.update(low)
        if upper is not None and lower is not None:
            self.value = Channel(upper, lower)
        return self.value


@attrs.frozen
class IchimokuLines:
    """The lines of one bar; the spans are those valid *at* the bar, computed `displacement` bars before."""

    tenkan: float
    kijun: float
    span_a: float | None
    span_b: float | None

    @property
    def cloud_top(self) -> float | None:
        """The higher span."""
        return None if self.span_a is None or self.span_b is None else max(self.span_a, self.span_b)

    @property
    def cloud_bottom(self) -> float | None:
        """The lower span."""
        return None if self.span_a is None or self.span_b is None else min(self.span_a, self.span_b)


class Ichimoku:
    """Tenkan and kijun are middles of 9 and 26 bars; A is their mean, B the middle of 52, both drawn 26 bars ahead."""

    __slots__ = ("_kijun", "_later_a", "_later_b", "_slow", "_tenkan", "value")

    def __init__(self, tenkan: int = 9, kijun: int = 26, slow: int = 52, displacement: int = 26) -> None:
        self._tenkan, self._kijun, self._slow = Donchian(tenkan), Donchian(kijun), Donchian(slow)
        self._later_a, self._later_b = Lag(displacement), Lag(displacement)
        self.value: IchimokuLines | None = None

    def update(self, high: float, low: float) -> IchimokuLines | None:
        """Take one bar."""
        tenkan, kijun = self._tenkan.update(high, low), self._kijun.update(high, low)
        slow = self._slow.update(high, low)
        if tenkan is not None and kijun is not None:
            span_a = self._later_a.update((tenkan.middle + kijun.middle) / 2)
            span_b = self._later_b.update(slow.middle) if slow is not None else None
            self.value = IchimokuLines(tenkan.middle, kijun.middle, span_a, span_b)
        return self.value


class Momentum:
    """Change against the value `period` bars ago, in percent, with its sign."""

    __slots__ = ("_lag", "value")

    def __init__(self, period: int) -> None:
        self._lag = Lag(period)
        self.value: float | None = None

    def update(self, x: float) -> float | None:
        """Take one close."""
        before = self._lag.update(x)
        if before is not None:
            self.value = (x / before - 1) * 100 if before else 0.0
        return self.value


class Ratio:
    """A value over the mean of the last `period` of them, itself included; 0 when the mean is 0."""

    __slots__ = ("_mean", "value")

    def __init__(self, period: int) -> None:
        self._mean = SMA(period)
        self.value: float | None = None

    def update(self, x: float) -> float | None:
        """Take one value."""
        mean = self._mean.update(x)
        if mean is not None:
            self.value = x / mean if mean else 0.0
        return self.value


class RealizedVolatility:
    """Standard deviation (n - 1) of the last `period` log returns, annualized by `bars_per_year`."""

    __slots__ = ("_before", "_returns", "_scale", "value")

    def __init__(self, period: int, bars_per_year: float) -> None:
        if period < 2:
            raise ValueError(f"period was {period}, must be at least 2")
        self._returns: deque[float] = deque(maxlen=period)
        self._scale = math.sqrt(bars_per_year)
        self._before: float | None = None
        self.value: float | None = None

    def update(self, x: float) -> float | None:
        """Take one close (above 0)."""
        if self._before is not None:
            self._returns.append(math.log(x / self._before))
            if len(self._returns) == self._returns.maxlen:
                mean = math.fsum(self._returns) / len(self._returns)
                squares = math.fsum((r - mean) ** 2 for r in self._returns)
                self.value = math.sqrt(squares / (len(self._returns) - 1)) * self._scale
        self._before = x
        return self.value
