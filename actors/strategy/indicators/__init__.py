"""Incremental indicators: one number in, one number (or not yet a number) out, constant work a bar.

Definitions, warm-up lengths and reference values are those of the strategy reference, section 9; the names of the
smoothing methods are the field's own.  Every indicator gives None until it is warmed up: a value that is not there
yet must never look like 0.

Indicators are statistics, so they compute in floats, and floats stay in this package: candles enter through
`as_float`, and what a strategy decides with leaves through `to_decimal`.
"""

from __future__ import annotations

from actors.strategy.indicators.averages import DEMA, EMA, HMA, SMA, WMA, ZLEMA, ZLHMA, EmaSeed, Wilder
from actors.strategy.indicators.channels import (
    Channel,
    Donchian,
    Ichimoku,
    IchimokuLines,
    Momentum,
    Ratio,
    RealizedVolatility,
)
from actors.strategy.indicators.movement import ADX, ATR, MACD, RSI, AdxSeed, Directional, MaKind, Smoothing
from actors.strategy.indicators.numbers import as_float, to_decimal

__all__ = [
    "ADX",
    "ATR",
    "DEMA",
    "EMA",
    "HMA",
    "MACD",
    "RSI",
    "SMA",
    "WMA",
    "ZLEMA",
    "ZLHMA",
    "AdxSeed",
    "Channel",
    "Directional",
    "Donchian",
    "EmaSeed",
    "Ichimoku",
    "IchimokuLines",
    "MaKind",
    "Momentum",
    "Ratio",
    "RealizedVolatility",
    "Smoothing",
    "Wilder",
    "as_float",
    "to_decimal",
]
