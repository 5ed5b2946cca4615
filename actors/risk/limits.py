"""Limits of one scope: what a gate lets pass.

Every limit defaults to zero, and zero refuses: an order can trade only where somebody wrote down how much.  A symbol
that is not in `symbols` has no limits and therefore cannot be traded.  "No limit" must be said: `UNLIMITED`::

    AccountLimits(
        max_order_notional=Decimal(10_000),
        max_position_notional=Decimal(50_000),
        max_exposure=Decimal(100_000),
        max_open_orders=50,
        max_orders_per_s=20,
        max_orders_per_minute=300,
        max_orders_per_day=20_000,
        max_repeats=10,
        price_band=Decimal("0.05"),
        max_quote_age_ns=5 * SECOND_NS,
        symbols={Symbol("BTCUSDT"): SymbolLimits(max_order_qty=Decimal(1), max_position_qty=Decimal(3))},
    )

Quantities are base units.  Notionals are in `currency`; `rates` says what one unit of another quote asset is worth in
it, and a symbol whose quote asset has no rate cannot be valued and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import attrs

from protocols.ids import Symbol

__all__ = ["UNLIMITED", "AccountLimits", "FirmLimits", "Limits", "SymbolLimits"]

ZERO = Decimal(0)
SECOND_NS = 1_000_000_000

UNLIMITED = Decimal("Infinity")
"""A limit that never refuses; only ever written by hand."""


def _not_negative(_: object, attribute: attrs.Attribute[Any], value: Decimal | int | None) -> None:
    if value is not None and not value >= 0:
        raise ValueError(f"{attribute.name} was {value}, must not be negative; 0 allows nothing")


def _fraction(_: object, attribute: attrs.Attribute[Any], value: Decimal | None) -> None:
    if value is not None and not 0 <= value <= 1:
        raise ValueError(f"{attribute.name} was {value}, must be a fraction from 0 to 1")


@attrs.frozen(kw_only=True)
class SymbolLimits:
    """What is allowed in one symbol, summed over the scope's accounts and venues.  None: the scope's own value."""

    max_order_qty: Decimal = attrs.field(default=ZERO, validator=_not_negative)
    max_position_qty: Decimal = attrs.field(default=ZERO, validator=_not_negative)
    """Either side, worst case: what is held plus what live orders could add."""
    max_order_notional: Decimal | None = attrs.field(default=None, validator=_not_negative)
    max_position_notional: Decimal | None = attrs.field(default=None, validator=_not_negative)
    price_band: Decimal | None = attrs.field(default=None, validator=_fraction)


@attrs.frozen(kw_only=True)
class Limits:
    """All limits of one scope; see the module text."""

    max_order_notional: Decimal = attrs.field(default=ZERO, validator=_not_negative)
    """Of one order."""
    max_position_notional: Decimal = attrs.field(default=ZERO, validator=_not_negative)
    """Of one symbol, worst case."""
    max_exposure: Decimal = attrs.field(default=ZERO, validator=_not_negative)
    """Sum of the symbols' worst cases, longs and shorts added up (gross)."""
    max_open_orders: int = attrs.field(default=0, validator=_not_negative)
    """Live and doubtful orders together."""
    max_orders_per_s: int = attrs.field(default=0, validator=_not_negative)
    max_orders_per_minute: int = attrs.field(default=0, validator=_not_negative)
    max_orders_per_day: int = attrs.field(default=0, validator=_not_negative)
    """UTC day.  Going beyond it trips the breaker."""
    price_band: Decimal = attrs.field(default=ZERO, validator=_fraction)
    """Furthest that a limit price may be from the middle of a proven quote, as a fraction of it."""
    max_quote_age_ns: int = attrs.field(default=0, validator=_not_negative)
    """A quote older than this is no reference."""
    symbols: Mapping[Symbol, SymbolLimits] = attrs.field(factory=dict)
    currency: str = "USDT"
    """Unit of all notionals."""
    rates: Mapping[str, Decimal] = attrs.field(factory=dict)
    """Quote asset -> its worth in `currency`, to be set on the safe (high) side."""

    def rate(self, asset: str) -> Decimal:
        """What one unit of a quote asset is worth in `currency`; 0 when nobody said."""
        return Decimal(1) if asset == self.currency else self.rates.get(asset, ZERO)

    def bounds(self, symbol: Symbol) -> Bounds:
        """The limits in force for one symbol; all zero for a symbol that nobody allowed."""
        own = self.symbols.get(symbol)
        if own is None:
            return Bounds(ZERO, ZERO, ZERO, ZERO, ZERO)
        return Bounds(
            own.max_order_qty,
            own.max_position_qty,
            self.max_order_notional if own.max_order_notional is None else own.max_order_notional,
            self.max_position_notional if own.max_position_notional is None else own.max_position_notional,
            self.price_band if own.price_band is None else own.price_band,
        )


@attrs.frozen(kw_only=True)
class FirmLimits(Limits):
    """Limits over all accounts together."""

    allow_self_cross: bool = False
    """True leaves crossing own orders to the venues' self-trade prevention."""


@attrs.frozen(kw_only=True)
class AccountLimits(Limits):
    """Limits of one account over all its venues."""

    max_repeats: int = attrs.field(default=0, validator=_not_negative)
    """How often a strategy may make the very same decision within `repeat_window_ns`.  Beyond it the breaker trips."""
    repeat_window_ns: int = attrs.field(default=60 * SECOND_NS, validator=_not_negative)


@attrs.frozen
class Bounds:
    """The limits of one symbol, resolved."""

    max_order_qty: Decimal
    max_position_qty: Decimal
    max_order_notional: Decimal
    max_position_notional: Decimal
    price_band: Decimal
