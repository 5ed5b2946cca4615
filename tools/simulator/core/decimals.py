"""Exact arithmetic on prices and quantities.

All money in the simulator is `Decimal`; nothing is ever a binary float. The helpers round in a named
direction, because "rounded" alone never says who pays the difference.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

ZERO = Decimal(0)
ONE = Decimal(1)

# Balances and commissions are kept to eight decimals, as every asset of the default list is.
ASSET_UNIT = Decimal("0.00000001")


def text8(value: Decimal) -> str:
    """Plain decimal text with exactly eight fractional digits: `61837.63000000`."""
    return f"{value:.8f}"


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of `step` that is not above `value`; `value` itself where the step is zero."""
    if not step:
        return value
    return (value / step).to_integral_value(ROUND_FLOOR) * step


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """The smallest multiple of `step` that is not below `value`; `value` itself where the step is zero."""
    if not step:
        return value
    return (value / step).to_integral_value(ROUND_CEILING) * step


def quote_floor(price: Decimal, qty: Decimal) -> Decimal:
    """What `qty` costs at `price`, cut to the asset unit: the amount that changes hands in a fill."""
    return (price * qty).quantize(ASSET_UNIT, ROUND_FLOOR)


def quote_ceil(price: Decimal, qty: Decimal) -> Decimal:
    """What must be reserved for `qty` at `price`, so that any sequence of partial fills is covered."""
    return (price * qty).quantize(ASSET_UNIT, ROUND_CEILING)


def fee_floor(amount: Decimal, rate: Decimal) -> Decimal:
    """Commission on `amount` at `rate`, cut to the asset unit."""
    return (amount * rate).quantize(ASSET_UNIT, ROUND_FLOOR)
