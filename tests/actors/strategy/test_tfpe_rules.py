"""Each of TFPE's seven conditions, on both sides of its border."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.strategy.tfpe_rules import BarValues, SizingBasis, TfpeParams, entry_notional, evaluate
from protocols.enums import Side

D = Decimal
PARAMS = TfpeParams()

NOTHING = BarValues(
    close=D(100),
    trend=1,
    trend_width_pct=D(10),
    channel_position=D("0.35"),
    channel_middle=D(100),
    adx=D(30),
    rsi=D(50),
    atr=D(1),
    ema=D(90),
    volume_ratio=D(1),
    momentum_pct=D(0),
    swing_high=D(100),
    swing_low=D(90),
)
"""No condition holds: the close is at the swing's high, far from its EMA."""


def values(**changes: Any) -> BarValues:
    exact: dict[str, Any] = {name: D(v) if isinstance(v, str) else v for name, v in changes.items()}
    return attrs.evolve(NOTHING, **exact)


def points(**changes: Any) -> set[str]:
    known = {"momentum", "fibonacci", "rsi", "rsi_extreme", "ema_distance", "volume", "price_position"}
    return set(evaluate(values(**changes), PARAMS).reasons) & known


def test_nothing_holds_to_begin_with() -> None:
    evaluation = evaluate(NOTHING, PARAMS)
    assert (evaluation.side, evaluation.direction, evaluation.score) == (None, None, 0)
    assert evaluation.text == "score 0: no direction, score below 4"


@pytest.mark.parametrize(
    "condition, holds, fails",
    [
        ("momentum", {"momentum_pct": "2.01"}, {"momentum_pct": "2"}),
        ("momentum", {"momentum_pct": "-2.01"}, {"momentum_pct": "-2"}),
        ("fibonacci", {"close": "96.18"}, {"close": "96.19"}),
        ("fibonacci", {"close": "92.14"}, {"close": "92.13"}),
        ("fibonacci", {"trend": -1, "close": "93.82"}, {"trend": -1, "close": "93.81"}),
        ("fibonacci", {"trend": -1, "close": "97.86"}, {"trend": -1, "close": "97.87"}),
        ("rsi", {"channel_position": "0.29", "rsi": "40"}, {"channel_position": "0.30", "rsi": "40"}),
        ("rsi", {"channel_position": "0.29", "rsi": "40"}, {"channel_position": "0.29", "rsi": "40.1"}),
        ("rsi", {"channel_position": "0.40", "rsi": "45"}, {"channel_position": "0.39", "rsi": "45"}),
        ("rsi", {"channel_position": "0.60", "rsi": "45"}, {"channel_position": "0.61", "rsi": "45"}),
        ("rsi", {"channel_position": "0.50", "rsi": "45"}, {"channel_position": "0.50", "rsi": "45.1"}),
        (
            "rsi",
            {"trend": -1, "channel_position": "0.71", "rsi": "60"},
            {"trend": -1, "channel_position": "0.70", "rsi": "60"},
        ),
        (
            "rsi",
            {"trend": -1, "channel_position": "0.50", "rsi": "55"},
            {"trend": -1, "channel_position": "0.50", "rsi": "54.9"},
        ),
        ("rsi_extreme", {"trend_width_pct": "4.9", "rsi": "29.9"}, {"trend_width_pct": "5", "rsi": "29.9"}),
        ("rsi_extreme", {"trend_width_pct": "4.9", "rsi": "70.1"}, {"trend_width_pct": "4.9", "rsi": "70"}),
        ("ema_distance", {"ema": "98.5"}, {"ema": "98.49"}),
        ("ema_distance", {"ema": "101.5"}, {"ema": "101.51"}),
        ("volume", {"volume_ratio": "1.5"}, {"volume_ratio": "1.49"}),
        (
            "price_position",
            {"channel_position": "0.29", "rsi": "40"},
            {"channel_position": "0.50", "rsi": "40"},
        ),
        (
            "price_position",
            {"trend": -1, "channel_position": "0.71", "rsi": "60"},
            {"trend": -1, "channel_position": "0.50", "rsi": "60"},
        ),
    ],
)
def test_condition(condition: str, holds: dict[str, Any], fails: dict[str, Any]) -> None:
    assert condition in points(**holds)
    assert condition not in points(**fails)


def test_a_swing_without_height_is_no_retracement() -> None:
    assert "fibonacci" not in points(swing_high="100", swing_low="100")


LONG = {"channel_position": "0.2", "rsi": "35", "ema": "100", "volume_ratio": "2"}


def test_an_entry_needs_direction_points_and_strength() -> None:
    assert evaluate(values(**LONG), PARAMS).side is Side.BUY
    weak = evaluate(values(**LONG, adx="24.99"), PARAMS)
    assert (weak.side, weak.direction, weak.score) == (None, Side.BUY, 4)
    assert "adx 25.0 below 25" in weak.text
    few = evaluate(values(**{**LONG, "volume_ratio": "1"}), PARAMS)
    assert (few.side, few.score) == (None, 3)
    assert evaluate(values(**{**LONG, "volume_ratio": "1"}), attrs.evolve(PARAMS, threshold=3)).side is Side.BUY


def test_shorts_mirror_longs() -> None:
    short = evaluate(values(trend=-1, channel_position="0.8", rsi="65", ema="100", volume_ratio="2"), PARAMS)
    assert (short.side, short.reasons) == (Side.SELL, ("rsi", "ema_distance", "volume", "price_position"))


def test_an_extreme_in_a_narrow_range_goes_against_the_trend() -> None:
    against = evaluate(values(trend=1, trend_width_pct="3", rsi="75", channel_position="0.9"), PARAMS)
    assert (against.direction, against.score) == (Side.SELL, 2)


def test_signed_momentum_counts_only_with_the_trend() -> None:
    signed = attrs.evolve(PARAMS, momentum_signed=True)
    assert "momentum" in evaluate(values(trend=-1, momentum_pct="-3"), signed).reasons
    assert "momentum" not in evaluate(values(trend=1, momentum_pct="-3"), signed).reasons


percent = st.decimals(min_value=0, max_value=100, places=2)


@given(
    rsi=percent,
    position=st.decimals(min_value=0, max_value=1, places=3),
    trend=st.sampled_from([1, -1]),
    width=percent,
)
def test_the_two_direction_rules_never_contradict_with_the_defaults(
    rsi: Decimal, position: Decimal, trend: int, width: Decimal
) -> None:
    """Choice T7: when both give their point, they mean the same side."""
    bar = values(rsi=rsi, channel_position=position, trend=trend, trend_width_pct=width)
    with_range = evaluate(bar, PARAMS)
    without = evaluate(attrs.evolve(bar, trend_width_pct=D(100)), PARAMS)
    if {"rsi", "rsi_extreme"} <= set(with_range.reasons):
        assert with_range.direction is without.direction


@given(
    position=st.decimals(min_value=0, max_value=1, places=3),
    low=st.integers(1, 10_000),
    height=st.integers(1, 1_000),
)
def test_with_equal_windows_the_retracement_is_a_part_of_the_channel(position: Decimal, low: int, height: int) -> None:
    """Choice T2: the trailing swing makes the condition the same as a channel position in [0.214, 0.618]."""
    close = low + position * height
    bar = values(close=close, channel_position=position, swing_low=D(low), swing_high=D(low + height))
    assert ("fibonacci" in evaluate(bar, PARAMS).reasons) == (D("0.214") <= position <= D("0.618"))


def test_the_entry_is_the_smaller_of_margin_and_risk() -> None:
    """Worked example of the strategy reference, section 5.1: 24,000 by margin, 22,222 by risk."""
    params = TfpeParams(capital=D(10_000))
    by_risk = entry_notional(params, D("0.0045"), leverage=10)
    assert by_risk.quantize(D(1)) == 22_222
    assert (by_risk / 60_000).quantize(D("0.001")) == D("0.370")
    assert entry_notional(params, D("0.001"), leverage=10) == 24_000
    assert entry_notional(params, D("0.001"), leverage=1) == 2_400
    notional = attrs.evolve(params, sizing_basis=SizingBasis.NOTIONAL)
    assert entry_notional(notional, D("0.001"), leverage=10) == 2_400


@pytest.mark.parametrize(
    "wrong, text",
    [
        ({"trend_interval_s": 900}, "trend_interval_s must be above"),
        ({"trend_interval_s": 1000}, "must be a multiple"),
        ({"threshold": 0}, "threshold must be from 1 to 7"),
        ({"stop_atr": D(0)}, "stop_atr and target_atr"),
        ({"size": D(2)}, "size in"),
        ({"leverage": 0}, "leverage must be at least 1"),
        ({"max_risk_per_trade": D(0)}, "max_risk_per_trade"),
        ({"entry_slippage_pct": D(100)}, "entry_slippage_pct"),
        ({"cooldown_s": -1}, "must not be negative"),
        ({"fibonacci_low": D(1)}, "fibonacci_low"),
        ({"ema_period": 1}, "every period"),
        ({"rsi_oversold": D(56)}, "rsi_oversold must be below"),
        ({"rsi_overbought": D(44)}, "rsi_overbought must be above"),
    ],
)
def test_impossible_parameters_are_refused(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        TfpeParams(**wrong)


@pytest.mark.req("R179")
def test_the_defaults_are_the_demanded_numbers() -> None:
    assert (PARAMS.leverage, PARAMS.size, PARAMS.threshold) == (10, D("0.24"), 4)
    assert (PARAMS.stop_atr, PARAMS.target_atr, PARAMS.adx_min) == (D("1.5"), D(5), D(25))
    assert (PARAMS.entry_interval_s, PARAMS.trend_interval_s, PARAMS.cooldown_s) == (900, 14_400, 14_400)
