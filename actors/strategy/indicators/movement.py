"""Range, direction and momentum of price: ATR, RSI, directional movement, MACD."""

from __future__ import annotations

import enum

import attrs

from actors.strategy.indicators.averages import DEMA, EMA, SMA, ZLEMA, EmaSeed, Wilder

Smoother = Wilder | SMA
Average = EMA | DEMA | ZLEMA


class Smoothing(enum.Enum):
    """How RSI, ATR and directional movement are averaged.  Not a detail: on a random walk ADX(14) reaches 25 in 32 %
    of bars with Wilder's smoothing and in 61 % with simple means."""

    WILDER = "wilder"
    SMA = "sma"

    def make(self, period: int) -> Smoother:
        """A fresh smoother."""
        return Wilder(period) if self is Smoothing.WILDER else SMA(period)


class AdxSeed(enum.Enum):
    """How Wilder's sums of directional movement begin; equal after some 150 bars."""

    TALIB = "talib"
    """With N - 1 values and one smoothing step, as TA-Lib does."""
    TEXTBOOK = "textbook"
    """With N values."""


class MaKind(enum.Enum):
    """Which average a MACD is made of."""

    EMA = "ema"
    DEMA = "dema"
    ZLEMA = "zlema"

    def make(self, period: int, seed: EmaSeed) -> Average:
        """A fresh average."""
        kinds: dict[str, type[Average]] = {"ema": EMA, "dema": DEMA, "zlema": ZLEMA}
        return kinds[self.value](period, seed)


class ATR:
    """Average true range; the true range needs the close before, so the first value comes with bar `period`."""

    __slots__ = ("_close", "_smooth", "value")

    def __init__(self, period: int, smoothing: Smoothing = Smoothing.WILDER) -> None:
        self._smooth = smoothing.make(period)
        self._close: float | None = None
        self.value: float | None = None

    def update(self, high: float, low: float, close: float) -> float | None:
        """Take one bar."""
        if self._close is not None:
            self.value = self._smooth.update(true_range(high, low, self._close))
        self._close = close
        return self.value


def true_range(high: float, low: float, close_before: float) -> float:
    """The bar's range, extended to the close before it."""
    return max(high - low, abs(high - close_before), abs(low - close_before))


class RSI:
    """100 G / (G + L) of the averaged gains and losses; 50 when there were neither."""

    __slots__ = ("_before", "_gains", "_losses", "value")

    def __init__(self, period: int, smoothing: Smoothing = Smoothing.WILDER) -> None:
        self._gains = smoothing.make(period)
        self._losses = smoothing.make(period)
        self._before: float | None = None
        self.value: float | None = None

    def update(self, x: float) -> float | None:
        """Take one close."""
        if self._before is not None:
            change = x - self._before
            gain = self._gains.update(max(change, 0.0))
            loss = self._losses.update(max(-change, 0.0))
            if gain is not None and loss is not None:
                both = gain + loss
                # A running sum may leave a rounding error of either sign where the exact sum is 0.
                self.value = min(100.0, max(0.0, 100.0 * gain / both)) if both > 0 else 50.0
        self._before = x
        return self.value


class _WilderSum:
    """Sum of the first `seed_count` values, then sum - sum / N + x."""

    __slots__ = ("_left", "_period", "_total")

    def __init__(self, period: int, seed_count: int) -> None:
        self._period = period
        self._left = seed_count
        self._total = 0.0

    def update(self, x: float) -> float:
        """Take one value; the sum so far."""
        if self._left > 0:
            self._left -= 1
            self._total += x
        else:
            self._total += x - self._total / self._period
        return self._total


class _SimpleSum:
    """Sum of the last `period` values."""

    __slots__ = ("_mean", "_period")

    def __init__(self, period: int) -> None:
        self._period = period
        self._mean = SMA(period)

    def update(self, x: float) -> float:
        """Take one value; the sum, meaningful from the `period`-th value on."""
        mean = self._mean.update(x)
        return 0.0 if mean is None else mean * self._period


@attrs.frozen
class Directional:
    """Directional movement of one bar, in percent; `adx` comes N - 1 bars after the two DIs."""

    plus_di: float
    minus_di: float
    adx: float | None


class ADX:
    """Wilder's directional movement: +DI, -DI from bar N on, ADX from bar 2 N - 1 on."""

    __slots__ = ("_adx", "_bar", "_count", "_minus", "_period", "_plus", "_ranges", "value")

    def __init__(self, period: int, seed: AdxSeed = AdxSeed.TALIB, smoothing: Smoothing = Smoothing.WILDER) -> None:
        if period < 2:
            raise ValueError(f"period was {period}, must be at least 2")
        self._period = period
        self._adx = smoothing.make(period)
        self._bar: tuple[float, float, float] | None = None
        self._count = 0
        count = period - 1 if seed is AdxSeed.TALIB else period

        def total() -> _WilderSum | _SimpleSum:
            return _WilderSum(period, count) if smoothing is Smoothing.WILDER else _SimpleSum(period)

        self._plus, self._minus, self._ranges = total(), total(), total()
        self.value: Directional | None = None

    def update(self, high: float, low: float, close: float) -> Directional | None:
        """Take one bar."""
        if self._bar is not None:
            high_before, low_before, close_before = self._bar
            up, down = high - high_before, low_before - low
            plus = self._plus.update(up if up > down and up > 0 else 0.0)
            minus = self._minus.update(down if down > up and down > 0 else 0.0)
            ranges = self._ranges.update(true_range(high, low, close_before))
            self._count += 1
            if self._count >= self._period:
                self.value = self._directional(plus, minus, ranges)
        self._bar = (high, low, close)
        return self.value

    def _directional(self, plus: float, minus: float, ranges: float) -> Directional:
        plus_di = 100.0 * plus / ranges if ranges else 0.0
        minus_di = 100.0 * minus / ranges if ranges else 0.0
        both = plus_di + minus_di
        dx = 100.0 * abs(plus_di - minus_di) / both if both else 0.0
        return Directional(plus_di, minus_di, self._adx.update(dx))


@attrs.frozen
class Macd:
    """A MACD line and, once it is there, its signal line."""

    line: float
    signal: float | None

    @property
    def histogram(self) -> float | None:
        """Line minus signal."""
        return None if self.signal is None else self.line - self.signal


class MACD:
    """Fast minus slow average of `kind`; the signal line is a plain EMA of the MACD line."""

    __slots__ = ("_fast", "_signal", "_slow", "value")

    def __init__(
        self, fast: int, slow: int, signal: int, kind: MaKind = MaKind.DEMA, seed: EmaSeed = EmaSeed.SMA
    ) -> None:
        self._fast = kind.make(fast, seed)
        self._slow = kind.make(slow, seed)
        self._signal = EMA(signal, seed)
        self.value: Macd | None = None

    def update(self, x: float) -> Macd | None:
        """Take one close."""
        fast, slow = self._fast.update(x), self._slow.update(x)
        if fast is not None and slow is not None:
            self.value = Macd(fast - slow, self._signal.update(fast - slow))
        return self.value
