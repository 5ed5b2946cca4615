"""Instruments: what can be traded and in which steps.

The rounding rules are those of `binance-spot` section 6.2 and hold on every venue: a quantity is never rounded up,
a price is rounded to the passive side unless the caller says otherwise, and everything is exact decimal arithmetic.
The price step may depend on the price (`price_steps`, Upbit); a constant step is a table with one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import Enum

import attrs

from protocols.enums import OrdRejReason, OrdType, Side, TimeInForce
from protocols.ids import Symbol, Venue

ZERO = Decimal(0)


class Product(Enum):
    """What kind of contract a symbol is."""

    SPOT = "SPOT"
    LINEAR = "LINEAR"
    INVERSE = "INVERSE"


class InstrumentStatus(Enum):
    """Whether the venue takes orders now.  An unknown venue word is `HALTED`: not tradable."""

    TRADING = "TRADING"
    CANCEL_ONLY = "CANCEL_ONLY"
    HALTED = "HALTED"


@attrs.frozen
class PriceStep:
    """From `from_price` upwards, prices are multiples of `step`."""

    from_price: Decimal
    step: Decimal


@attrs.frozen
class Violation:
    """Why an order's numbers are impossible on this instrument."""

    reason: OrdRejReason
    text: str


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """The greatest multiple of `step` that is not above `value`; `value` itself when `step` is 0."""
    if not step:
        return value
    return (value / step).to_integral_value(ROUND_FLOOR) * step


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """The least multiple of `step` that is not below `value`; `value` itself when `step` is 0."""
    if not step:
        return value
    return (value / step).to_integral_value(ROUND_CEILING) * step


def plain(value: Decimal) -> str:
    """Decimal text as venues want it: no exponent, no trailing zeros."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text


@attrs.frozen(kw_only=True)
class Instrument:
    """One tradable symbol of one venue with its filters; a bound of 0 means "no such rule"."""

    venue: Venue
    symbol: Symbol
    product: Product
    base: str
    quote: str
    status: InstrumentStatus
    price_steps: tuple[PriceStep, ...]
    min_price: Decimal = ZERO
    max_price: Decimal = ZERO
    qty_step: Decimal
    min_qty: Decimal = ZERO
    max_qty: Decimal = ZERO
    market_qty_step: Decimal = ZERO
    market_min_qty: Decimal = ZERO
    market_max_qty: Decimal = ZERO
    min_notional: Decimal = ZERO
    min_notional_applies_to_market: bool = True
    max_notional: Decimal = ZERO
    max_notional_applies_to_market: bool = False
    contract_size: Decimal = Decimal(1)
    """Base units per contract; 1 on spot."""
    bid_multiplier_up: Decimal = ZERO
    bid_multiplier_down: Decimal = ZERO
    ask_multiplier_up: Decimal = ZERO
    ask_multiplier_down: Decimal = ZERO
    """Allowed price relative to the reference price, per side (PERCENT_PRICE_BY_SIDE)."""
    max_open_orders: int = 0
    max_algo_orders: int = 0
    ord_types: frozenset[OrdType] = frozenset(OrdType)
    times_in_force: frozenset[TimeInForce] = frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK})
    venue_code: int = 0
    """The venue's number for the symbol, where its requests must name it so (OKX instIdCode); 0: it has none."""
    changes_ns: int = 0
    """When the venue changes these rules next, by its own announcement; 0: nothing is announced."""

    def price_step(self, price: Decimal) -> Decimal:
        """The price step in force at `price`."""
        step = self.price_steps[0].step
        for row in self.price_steps:
            if price < row.from_price:
                break
            step = row.step
        return step

    def round_price(self, price: Decimal, side: Side, *, aggressive: bool = False) -> Decimal:
        """`price` on the grid; towards the passive side of `side`, or deliberately away from it."""
        step = self.price_step(price)
        down = (side is Side.BUY) is not aggressive
        return floor_to(price, step) if down else ceil_to(price, step)

    def round_qty(self, qty: Decimal, ord_type: OrdType = OrdType.LIMIT) -> Decimal:
        """`qty` on the grid, never up; MARKET orders obey the coarser of both steps."""
        step = self.qty_step
        if ord_type is OrdType.MARKET and self.market_qty_step > step:
            step = self.market_qty_step
        return floor_to(qty, step)

    def check_qty(self, qty: Decimal, ord_type: OrdType) -> Violation | None:
        """The size rules: bounds and step."""
        bounds: Sequence[tuple[Decimal, Decimal, Decimal]] = ((self.min_qty, self.max_qty, self.qty_step),)
        if ord_type is OrdType.MARKET:
            bounds = (*bounds, (self.market_min_qty, self.market_max_qty, self.market_qty_step))
        for low, high, step in bounds:
            if qty <= 0 or (low and qty < low):
                return Violation(OrdRejReason.BAD_QUANTITY, f"order_qty was {qty}, must be at least {low or step}")
            if high and qty > high:
                return Violation(OrdRejReason.BAD_QUANTITY, f"order_qty was {qty}, must be at most {high}")
            if step and qty % step:
                return Violation(OrdRejReason.BAD_QUANTITY, f"order_qty was {qty}, must be a multiple of {step}")
        return None

    def check_price(self, price: Decimal, field: str = "price") -> Violation | None:
        """The price rules: bounds and step."""
        if price <= 0 or (self.min_price and price < self.min_price):
            return Violation(OrdRejReason.BAD_PRICE, f"{field} was {price}, must be at least {self.min_price}")
        if self.max_price and price > self.max_price:
            return Violation(OrdRejReason.BAD_PRICE, f"{field} was {price}, must be at most {self.max_price}")
        step = self.price_step(price)
        if step and price % step:
            return Violation(OrdRejReason.BAD_PRICE, f"{field} was {price}, must be a multiple of {step}")
        return None

    def check_notional(self, qty: Decimal, price: Decimal, ord_type: OrdType) -> Violation | None:
        """The value rules; `price` is the limit price, or the reference price of a MARKET order."""
        notional = qty * price * self.contract_size
        market = ord_type is OrdType.MARKET
        if self.min_notional and (self.min_notional_applies_to_market or not market) and notional < self.min_notional:
            return Violation(
                OrdRejReason.MIN_NOTIONAL,
                f"order value was {plain(notional)} {self.quote}, must be at least {plain(self.min_notional)}",
            )
        if self.max_notional and (self.max_notional_applies_to_market or not market) and notional > self.max_notional:
            return Violation(
                OrdRejReason.MAX_ORDER_NOTIONAL,
                f"order value was {plain(notional)} {self.quote}, must be at most {plain(self.max_notional)}",
            )
        return None

    def check_reference(self, price: Decimal, side: Side, reference: Decimal) -> Violation | None:
        """The venue's own price band around its reference price (PERCENT_PRICE, PERCENT_PRICE_BY_SIDE)."""
        up, down = (
            (self.bid_multiplier_up, self.bid_multiplier_down)
            if side is Side.BUY
            else (self.ask_multiplier_up, self.ask_multiplier_down)
        )
        if up and price > reference * up:
            return Violation(OrdRejReason.PRICE_BAND, f"price was {price}, venue allows at most {reference * up}")
        if down and price < reference * down:
            return Violation(OrdRejReason.PRICE_BAND, f"price was {price}, venue allows at least {reference * down}")
        return None
