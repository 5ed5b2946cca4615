"""Moving averages."""

from __future__ import annotations

import enum
import math
from collections import deque


class EmaSeed(enum.Enum):
    """How an EMA begins; both agree once settled."""

    SMA = "sma"
    """With the mean of its first N values (TA-Lib): the value appears with the N-th bar."""
    FIRST = "first"
    """With its first value (pandas `adjust=False`): only for replaying results that were made so."""


def _positive(period: int) -> int:
    if period < 1:
        raise ValueError(f"period was {period}, must be at least 1")
    return period


class SMA:
    """Mean of the last `period` values.

    The running sum is made anew every `period` values: constant work on average, and rounding cannot pile up.
    """

    __slots__ = ("_sum", "_until_exact", "_window", "value")

    def __init__(self, period: int) -> None:
        self._window: deque[float] = deque(maxlen=_positive(period))
        self._sum = 0.0
        self._until_exact = period
        self.value: float | None = None

    def update(self, x: float) -> float | None:
        """Take one value; the mean, or None before there are `period` of them."""
        window = self._window
        period = window.maxlen or 1
        if len(window) == period:
            self._sum -= window[0]
        window.append(x)
        self._sum += x
        self._until_exact -= 1
        if self._until_exact <= 0:
            self._sum = math.fsum(window)
            self._until_exact = period
        if len(window) == period:
            self.value = self._sum / period
        return self.value


class EMA:
    """Exponential average, weight 2 / (period + 1) for the newest value."""

    __slots__ = ("_alpha", "_seed", "value")

    def __init__(self, period: int, seed: EmaSeed = EmaSeed.SMA) -> None:
        self._alpha = 2.0 / (_positive(period) + 1)
        self._seed: SMA | None = SMA(period) if seed is EmaSeed.SMA else SMA(1)
        self.value: float | None = None

    def update(self, x: float) -> float | None:
        """Take one value."""
        if self.value is not None:
            self.value += self._alpha * (x - self.value)
        elif self._seed is not None:
            self.value = self._seed.update(x)
            if self.value is not None:
                self._seed = None
        return self.value


class Wilder:
    """Wilder's smoothing: the mean of the first `period` values, then (old (N - 1) + x) / N."""

    __slots__ = ("_period", "_seed", "value")

    def __init__(self, period: int) -> None:
        self._period = _positive(period)
        self._seed: SMA | None = SMA(period)
        self.value: float | None = None

    def update(self, x: float) -> float | None:
        """Take one value."""
        if self.value is not None:
            self.value += (x - self.value) / self._period
        elif self._seed is not None:
            self.value = self._seed.update(x)
            if self.value is not None:
                self._seed = None
        return self.value


class WMA:
    """Linearly weighted average: weights 1..N, the newest heaviest; running sums, made anew every `period` values."""

    __slots__ = ("_divisor", "_sum", "_until_exact", "_weighted", "_window", "value")

    def __init__(self, period: int) -> None:
        self._window: deque[float] = deque(maxlen=_positive(period))
        self._divisor = period * (period + 1) / 2
        self._sum = 0.0
        self._weighted = 0.0
        self._until_exact = period
        self.value: float | None = None

    def update(self, x: float) -> float | None:
        """Take one value."""
        window = self._window
        period = window.maxlen or 1
        if len(window) == period:
            self._weighted += period * x - self._sum
            self._sum += x - window[0]
            window.append(x)
        else:
            window.append(x)
            self._weighted += len(window) * x
            self._sum += x
        self._until_exact -= 1
        if self._until_exact <= 0:
            self._sum = math.fsum(window)
            self._weighted = math.fsum(weight * item for weight, item in enumerate(window, 1))
            self._until_exact = period
        if len(window) == period:
            self.value = self._weighted / self._divisor
        return self.value


class Lag:
    """The value `distance` updates ago."""

    __slots__ = ("_window",)

    def __init__(self, distance: int) -> None:
        self._window: deque[float] = deque(maxlen=distance + 1)

    def update(self, x: float) -> float | None:
        """Take one value; the old one, or None before there is one."""
        self._window.append(x)
        return self._window[0] if len(self._window) == self._window.maxlen else None


class HMA:
    """Hull's average: WMA over sqrt(N) of twice WMA(N / 2) minus WMA(N); both derived periods truncated."""

    __slots__ = ("_fast", "_slow", "_smooth", "value")

    def __init__(self, period: int) -> None:
        if period < 2:
            raise ValueError(f"period was {period}, must be at least 2")
        self._fast = WMA(period // 2)
        self._slow = WMA(period)
        self._smooth = WMA(math.isqrt(period))
        self.value: float | None = None

    def update(self, x: float) -> float | None:
        """Take one value."""
        fast, slow = self._fast.update(x), self._slow.update(x)
        if fast is not None and slow is not None:
            self.value = self._smooth.update(2 * fast - slow)
        return self.value


class ZLHMA:
    """Zero-lag Hull: HMA plus what it gained over the last (N - 1) // 2 bars."""

    __slots__ = ("_hma", "_lag", "value")

    def __init__(self, period: int) -> None:
        self._hma = HMA(period)
        self._lag = Lag((period - 1) // 2)
        self.value: float | None = None

    def update(self, x: float) -> float | None:
        """Take one value."""
        hull = self._hma.update(x)
        if hull is not None:
            before = self._lag.update(hull)
            if before is not None:
                self.value = 2 * hull - before
        return self.value


class DEMA:
    """Double exponential average: 2 EMA - EMA(EMA)."""

    __slots__ = ("_again", "_once", "value")

    def __init__(self, period: int, seed: EmaSeed = EmaSeed.SMA) -> None:
        self._once = EMA(period, seed)
        self._again = EMA(period, seed)
        self.value: float | None = None

    def update(self, x: float) -> float | None:
        """Take one value."""
        once = self._once.update(x)
        if once is not None:
            again = self._again.update(once)
            if again is not None:
                self.value = 2 * once - again
        return self.value


class ZLEMA:
    """Zero-lag EMA: the EMA of 2 x minus the x of (N - 1) // 2 bars ago."""

    __slots__ = ("_ema", "_lag", "_unlagged_start", "value")

    def __init__(self, period: int, seed: EmaSeed = EmaSeed.SMA) -> None:
        self._ema = EMA(period, seed)
        self._lag = Lag((_positive(period) - 1) // 2)
        # The pandas form has no older value at the start and takes x itself.
        self._unlagged_start = seed is EmaSeed.FIRST
        self.value: float | None = None

    def update(self, x: float) -> float | None:
        """Take one value."""
        before = self._lag.update(x)
        if before is None and self._unlagged_start:
            before = x
        if before is not None:
            self.value = self._ema.update(2 * x - before)
        return self.value
