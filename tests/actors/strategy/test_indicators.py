"""Indicators against the reference series, and against their definitions computed the long way."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.strategy.indicators import (
    ADX,
    ATR,
    DEMA,
    EMA,
    HMA,
    MACD,
    RSI,
    SMA,
    WMA,
    ZLEMA,
    ZLHMA,
    AdxSeed,
    Donchian,
    EmaSeed,
    Ichimoku,
    MaKind,
    Momentum,
    Ratio,
    RealizedVolatility,
    Smoothing,
    Wilder,
    as_float,
    to_decimal,
)

Bar = tuple[float, float, float, float, float]
"""open, high, low, close, volume"""

ATS = (99, 199, 299, 399)


def reference_series(count: int = 400) -> list[Bar]:
    """The pseudo-random series of the strategy reference, section 10."""
    state = 42

    def draw() -> float:
        nonlocal state
        state = (1103515245 * state + 12345) % 2**31
        return state / 2**31

    bars: list[Bar] = []
    close = 100.0
    for _ in range(count):
        a, b, d, e = draw(), draw(), draw(), draw()
        opened = close
        close = round(opened + 2 * (a - 0.5), 2)
        high = round(max(opened, close) + 0.5 * b, 2)
        low = round(min(opened, close) - 0.5 * d, 2)
        bars.append((opened, high, low, close, float(100 + math.floor(900 * e))))
    return bars


BARS = reference_series()


def run(indicator: Any, pick: Callable[[Bar], tuple[float, ...]]) -> list[Any]:
    return [indicator.update(*pick(bar)) for bar in BARS]


def close(bar: Bar) -> tuple[float]:
    return (bar[3],)


def high_low(bar: Bar) -> tuple[float, float]:
    return bar[1], bar[2]


def high_low_close(bar: Bar) -> tuple[float, float, float]:
    return bar[1], bar[2], bar[3]


def volume(bar: Bar) -> tuple[float]:
    return (bar[4],)


def test_the_series_is_the_reference_one() -> None:
    assert [BARS[at] for at in (0, 1, 399)] == [
        (100.00, 100.42, 99.77, 100.16, 799),
        (100.16, 100.18, 99.80, 100.01, 827),
        (103.86, 104.47, 103.39, 103.97, 282),
    ]


VECTORS: list[tuple[str, Callable[[], Any], Callable[[Bar], tuple[float, ...]], Callable[[Any], Any], list[Any]]] = [
    ("SMA20", lambda: SMA(20), close, float, [103.3335, 106.1860, 108.4075, 104.2240]),
    ("EMA12", lambda: EMA(12), close, float, [102.7456, 106.0137, 109.0677, 104.3849]),
    ("EMA12 first", lambda: EMA(12, EmaSeed.FIRST), close, float, [102.7456, 106.0137, 109.0677, 104.3849]),
    ("EMA50", lambda: EMA(50), close, float, [103.0275, 105.3928, 108.6619, 104.7940]),
    ("EMA50 first", lambda: EMA(50, EmaSeed.FIRST), close, float, [103.0528, 105.3933, 108.6619, 104.7940]),
    ("EMA200", lambda: EMA(200), close, lambda v: v, [None, 102.8619, 106.1647, 105.7892]),
    ("EMA200 first", lambda: EMA(200, EmaSeed.FIRST), close, float, [101.4158, 103.3612, 106.3484, 105.8568]),
    ("WMA14", lambda: WMA(14), close, float, [102.6043, 106.1334, 109.1764, 104.5417]),
    ("HMA14", lambda: HMA(14), close, float, [101.8918, 105.4800, 109.6399, 104.4120]),
    ("ZLHMA14", lambda: ZLHMA(14), close, float, [100.6082, 103.8766, 110.2775, 103.7791]),
    ("ATR14", lambda: ATR(14), high_low_close, float, [1.0510, 0.9446, 0.9187, 1.0086]),
    ("RSI14", lambda: RSI(14), close, float, [41.3300, 48.1953, 53.6701, 46.5609]),
    (
        "+DI textbook",
        lambda: ADX(14, AdxSeed.TEXTBOOK),
        high_low_close,
        lambda v: v.plus_di,
        [15.9712, 14.8575, 18.6658, 14.3758],
    ),
    (
        "-DI textbook",
        lambda: ADX(14, AdxSeed.TEXTBOOK),
        high_low_close,
        lambda v: v.minus_di,
        [22.2782, 20.1693, 12.2914, 16.1635],
    ),
    (
        "ADX textbook",
        lambda: ADX(14, AdxSeed.TEXTBOOK),
        high_low_close,
        lambda v: v.adx,
        [15.6790, 13.6334, 17.9420, 20.8503],
    ),
    ("+DI TA-Lib", lambda: ADX(14), high_low_close, lambda v: v.plus_di, [15.9716, 14.8575, 18.6658, 14.3758]),
    ("-DI TA-Lib", lambda: ADX(14), high_low_close, lambda v: v.minus_di, [22.2783, 20.1693, 12.2914, 16.1635]),
    ("ADX TA-Lib", lambda: ADX(14), high_low_close, lambda v: v.adx, [15.6999, 13.6334, 17.9420, 20.8503]),
    ("DEMA-MACD", lambda: MACD(12, 26, 9), close, lambda v: v.line, [-0.8986, -0.3844, 0.3971, 0.3313]),
    ("DEMA-MACD signal", lambda: MACD(12, 26, 9), close, lambda v: v.signal, [-0.9164, -0.1199, 0.2572, 0.5575]),
    (
        "DEMA-MACD first",
        lambda: MACD(12, 26, 9, MaKind.DEMA, EmaSeed.FIRST),
        close,
        lambda v: v.line,
        [-0.9009, -0.3844, 0.3971, 0.3313],
    ),
    (
        "DEMA-MACD signal first",
        lambda: MACD(12, 26, 9, MaKind.DEMA, EmaSeed.FIRST),
        close,
        lambda v: v.signal,
        [-0.9187, -0.1199, 0.2572, 0.5575],
    ),
    (
        "ZLEMA-MACD",
        lambda: MACD(12, 26, 9, MaKind.ZLEMA),
        close,
        lambda v: v.line,
        [-0.4523, -0.8021, 0.2589, -0.2832],
    ),
    (
        "ZLEMA-MACD signal",
        lambda: MACD(12, 26, 9, MaKind.ZLEMA),
        close,
        lambda v: v.signal,
        [-0.3628, -0.4308, 0.4080, 0.1353],
    ),
    (
        "ZLEMA-MACD first",
        lambda: MACD(12, 26, 9, MaKind.ZLEMA, EmaSeed.FIRST),
        close,
        lambda v: v.line,
        [-0.4639, -0.8022, 0.2589, -0.2832],
    ),
    (
        "ZLEMA-MACD signal first",
        lambda: MACD(12, 26, 9, MaKind.ZLEMA, EmaSeed.FIRST),
        close,
        lambda v: v.signal,
        [-0.3798, -0.4308, 0.4080, 0.1353],
    ),
    ("tenkan", Ichimoku, high_low, lambda v: v.tenkan, [102.995, 106.230, 109.185, 104.515]),
    ("kijun", Ichimoku, high_low, lambda v: v.kijun, [104.310, 105.555, 108.185, 103.380]),
    ("span A", Ichimoku, high_low, lambda v: v.span_a, [103.8675, 105.2100, 109.9975, 104.8125]),
    ("span B", Ichimoku, high_low, lambda v: v.span_b, [101.0100, 103.4600, 108.1700, 105.1500]),
    ("Donchian upper", lambda: Donchian(20), high_low, lambda v: v.upper, [105.55, 107.95, 110.30, 105.64]),
    ("Donchian lower", lambda: Donchian(20), high_low, lambda v: v.lower, [101.31, 104.84, 106.07, 102.63]),
    ("momentum", lambda: Momentum(20), close, abs, [2.9672, 0.2455, 2.0648, 0.4250]),
    ("volume ratio", lambda: Ratio(20), volume, float, [0.5142, 1.2422, 0.7393, 0.5050]),
]


@pytest.mark.parametrize("name, make, pick, read, expected", VECTORS, ids=[row[0] for row in VECTORS])
def test_reference_vector(
    name: str, make: Callable[[], Any], pick: Callable[[Bar], Any], read: Callable[[Any], Any], expected: list[Any]
) -> None:
    values = run(make(), pick)
    for at, wanted in zip(ATS, expected, strict=True):
        if wanted is None:
            assert values[at] is None, (name, at)
        else:
            assert read(values[at]) == pytest.approx(wanted, abs=5.1e-5), (name, at)


def test_ema200_has_its_first_value_at_bar_199() -> None:
    values = run(EMA(200), close)
    assert values[198] is None
    assert values[199] == pytest.approx(102.8619, abs=5.1e-5)


def test_price_position_in_the_channel() -> None:
    channels = run(Donchian(20), high_low)
    found = [channels[at].position(BARS[at][3]) for at in ATS]
    assert found == pytest.approx([0.1698, 0.2637, 0.7494, 0.4452], abs=5.1e-5)


@pytest.mark.parametrize(
    "seed, expected",
    [
        (AdxSeed.TALIB, {27: 39.9939, 40: 26.2779, 100: 15.7562, 150: 25.6810, 200: 12.8252}),
        (AdxSeed.TEXTBOOK, {27: 39.4441, 40: 25.7945, 100: 15.7369, 150: 25.6803, 200: 12.8252}),
    ],
)
def test_adx_seeds_converge(seed: AdxSeed, expected: dict[int, float]) -> None:
    values = run(ADX(14, seed), high_low_close)
    assert {at: values[at].adx for at in expected} == pytest.approx(expected, abs=5.1e-5)


FIRST: list[tuple[Callable[[], Any], Callable[[Bar], Any], int]] = [
    (lambda: SMA(20), close, 19),
    (lambda: EMA(12), close, 11),
    (lambda: WMA(14), close, 13),
    (lambda: HMA(14), close, 15),
    (lambda: ZLHMA(14), close, 21),
    (lambda: DEMA(26), close, 50),
    (lambda: ZLEMA(26), close, 37),
    (lambda: ATR(14), high_low_close, 14),
    (lambda: RSI(14), close, 14),
    (lambda: ADX(14), high_low_close, 14),
    (lambda: Donchian(20), high_low, 19),
    (lambda: Momentum(20), close, 20),
    (lambda: Ratio(20), volume, 19),
]


@pytest.mark.parametrize("make, pick, first", FIRST)
def test_no_value_before_the_warm_up_and_one_ever_after(
    make: Callable[[], Any], pick: Callable[[Bar], Any], first: int
) -> None:
    values = run(make(), pick)
    assert all(value is None for value in values[:first])
    assert all(value is not None for value in values[first:])


def test_adx_the_signal_line_and_the_cloud_come_later() -> None:
    adx = [value.adx if value else None for value in run(ADX(14), high_low_close)]
    assert [v is None for v in adx[26:28]] == [True, False]
    dema = [value.signal if value else None for value in run(MACD(12, 26, 9), close)]
    assert [v is None for v in dema[57:59]] == [True, False]
    zlema = [value.signal if value else None for value in run(MACD(12, 26, 9, MaKind.ZLEMA), close)]
    assert [v is None for v in zlema[44:46]] == [True, False]
    cloud = [value.span_b if value else None for value in run(Ichimoku(), high_low)]
    assert [v is None for v in cloud[76:78]] == [True, False]


# ---- against the definitions, the long way ---------------------------------------------------------------------

prices = st.lists(st.integers(1, 1_000_000).map(lambda cents: cents / 100), min_size=1, max_size=120)
periods = st.integers(1, 30)


def windows(values: list[float], period: int) -> Iterator[list[float] | None]:
    for index in range(len(values)):
        yield values[index - period + 1 : index + 1] if index + 1 >= period else None


def agree(found: list[float | None], wanted: list[float | None]) -> None:
    assert [v is None for v in found] == [v is None for v in wanted]
    pairs = [(f, w) for f, w in zip(found, wanted, strict=True) if f is not None and w is not None]
    assert [f for f, _ in pairs] == pytest.approx([w for _, w in pairs], rel=1e-9, abs=1e-7)


@given(prices, periods)
def test_sma_is_the_mean_of_its_window(values: list[float], period: int) -> None:
    sma = SMA(period)
    agree([sma.update(v) for v in values], [None if w is None else sum(w) / period for w in windows(values, period)])


@given(prices, periods)
def test_wma_is_the_weighted_mean_of_its_window(values: list[float], period: int) -> None:
    wma, total = WMA(period), period * (period + 1) / 2
    wanted = [None if w is None else sum(i * v for i, v in enumerate(w, 1)) / total for w in windows(values, period)]
    agree([wma.update(v) for v in values], wanted)


@given(prices, periods)
def test_ema_and_wilder_follow_their_recursions(values: list[float], period: int) -> None:
    for average, alpha in ((EMA(period), 2 / (period + 1)), (Wilder(period), 1 / period)):
        wanted: list[float | None] = []
        for index, value in enumerate(values):
            if index + 1 < period:
                wanted.append(None)
            elif index + 1 == period:
                wanted.append(sum(values[:period]) / period)
            else:
                before = wanted[-1]
                assert before is not None
                wanted.append(before * (1 - alpha) + value * alpha)
        agree([average.update(v) for v in values], wanted)


@given(prices, st.integers(2, 30))
def test_hull_averages_are_built_from_weighted_means(values: list[float], period: int) -> None:
    def wma(series: list[float | None], n: int) -> list[float | None]:
        out: list[float | None] = []
        for i in range(len(series)):
            window = [v for v in series[max(0, i - n + 1) : i + 1] if v is not None]
            weighted = sum(w * v for w, v in enumerate(window, 1)) / (n * (n + 1) / 2)
            out.append(weighted if len(window) == n else None)
        return out

    fast, slow = wma(list(values), period // 2), wma(list(values), period)
    raw = [2 * f - s if f is not None and s is not None else None for f, s in zip(fast, slow, strict=True)]
    hull = wma(raw, math.isqrt(period))
    indicator = HMA(period)
    agree([indicator.update(v) for v in values], hull)
    lag, zero = (period - 1) // 2, ZLHMA(period)
    wanted = [
        2 * h - b if h is not None and b is not None else None for h, b in zip(hull, [None] * lag + hull, strict=False)
    ]
    agree([zero.update(v) for v in values], wanted)


@given(st.lists(st.tuples(st.integers(1, 10_000), st.integers(0, 500)), min_size=1, max_size=120), periods)
def test_donchian_is_the_extremes_of_its_window(rows: list[tuple[int, int]], period: int) -> None:
    donchian = Donchian(period)
    lows, highs = [float(low) for low, _ in rows], [float(low + add) for low, add in rows]
    found = [donchian.update(h, low) for h, low in zip(highs, lows, strict=True)]
    for channel, high, low in zip(found, windows(highs, period), windows(lows, period), strict=True):
        assert (channel is None) == (high is None)
        if channel is not None and high is not None and low is not None:
            assert (channel.upper, channel.lower) == (max(high), min(low))


@given(prices, periods)
def test_rsi_by_simple_means(values: list[float], period: int) -> None:
    rsi = RSI(period, Smoothing.SMA)
    found = [rsi.update(v) for v in values]
    for index, value in enumerate(found):
        if index < period:
            assert value is None
            continue
        changes = [b - a for a, b in pairwise(values[index - period : index + 1])]
        gain, loss = sum(c for c in changes if c > 0), -sum(c for c in changes if c < 0)
        assert value == pytest.approx(100 * gain / (gain + loss) if gain + loss else 50.0, abs=1e-6)


@given(prices, periods)
def test_rsi_stays_between_0_and_100(values: list[float], period: int) -> None:
    rsi = RSI(period)
    found = [v for v in (rsi.update(v) for v in values) if v is not None]
    assert all(0 <= v <= 100 for v in found)


def test_directional_movement_by_simple_sums_counts_the_last_bars_only() -> None:
    adx = ADX(2, smoothing=Smoothing.SMA)
    bars = [(10.0, 9.0, 9.5), (12.0, 10.0, 11.0), (13.0, 11.0, 12.0), (12.5, 9.0, 9.5)]
    found = [adx.update(*bar) for bar in bars]
    # the last two bars: +DM 1 and 0, -DM 0 and 2, TR 2 and 3.5
    assert found[0] is None
    assert found[1] is None
    assert found[3] is not None
    assert (found[3].plus_di, found[3].minus_di) == pytest.approx((100 / 5.5, 200 / 5.5))
    # DX of the last two bars: 100 and 100 / 3
    assert found[3].adx == pytest.approx((100 + 100 / 3) / 2)


def test_a_market_that_does_not_move_divides_by_nothing() -> None:
    adx, rsi, momentum, ratio = ADX(2), RSI(2), Momentum(2), Ratio(2)
    for _ in range(6):
        adx.update(5.0, 5.0, 5.0)
        rsi.update(5.0)
        momentum.update(0.0)
        ratio.update(0.0)
    assert adx.value is not None
    assert (adx.value.plus_di, adx.value.minus_di, adx.value.adx) == (0.0, 0.0, 0.0)
    assert (rsi.value, momentum.value, ratio.value) == (50.0, 0.0, 0.0)
    channel = Donchian(1).update(5.0, 5.0)
    assert channel is not None
    assert channel.position(5.0) == 0.5


def test_realized_volatility_is_the_annualized_deviation_of_log_returns() -> None:
    volatility = RealizedVolatility(3, bars_per_year=365.0)
    values = [volatility.update(x) for x in (100.0, 110.0, 99.0, 108.9)]
    returns = [math.log(1.1), math.log(0.9), math.log(1.1)]
    mean = sum(returns) / 3
    wanted = math.sqrt(sum((r - mean) ** 2 for r in returns) / 2) * math.sqrt(365)
    assert values[:3] == [None, None, None]
    assert values[3] == pytest.approx(wanted)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SMA(0),
        lambda: EMA(0),
        lambda: WMA(-1),
        lambda: HMA(1),
        lambda: Donchian(0),
        lambda: ADX(1),
        lambda: RealizedVolatility(1, 365.0),
        lambda: ZLEMA(0),
    ],
)
def test_an_impossible_period_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="period was"):
        make()


def test_the_doors_between_floats_and_decimals() -> None:
    assert as_float(Decimal("0.1")) == 0.1
    assert to_decimal(0.1 + 0.2) == Decimal("0.3")
    assert to_decimal(1e-9) == Decimal("0.000000001")
    for bad in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match="must be finite"):
            to_decimal(bad)


@given(st.floats(min_value=1e-6, max_value=1e9))
def test_leaving_the_indicators_loses_nothing_that_matters(value: float) -> None:
    assert float(to_decimal(value)) == pytest.approx(value, rel=1e-11)
