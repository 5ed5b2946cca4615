"""The two doors between exact amounts and indicator floats."""

from __future__ import annotations

import math
from decimal import Decimal


def as_float(value: Decimal) -> float:
    """A price or volume on its way into an indicator."""
    return float(value)


def to_decimal(value: float) -> Decimal:
    """An indicator's value on its way to a decision: twelve significant digits, so that the last bits of a float,
    which differ between ways to add the same numbers, decide nothing.  ValueError for NaN and infinities."""
    if not math.isfinite(value):
        raise ValueError(f"indicator value was {value}, must be finite")
    return Decimal(format(value, ".12g"))
