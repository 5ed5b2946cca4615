"""Filters of exchangeInfo that mean the same on every product: the grids of prices and quantities."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Protocol

from protocols.instruments import PriceStep, plain
from protocols.venues.values import ZERO, amount

__all__ = ["exact", "grid_rules"]


class GridFilter(Protocol):
    """The fields of the three filters; absent ones are "0"."""

    minPrice: str
    maxPrice: str
    tickSize: str
    minQty: str
    maxQty: str
    stepSize: str


def grid_rules(name: str, rule: GridFilter) -> dict[str, Any] | None:
    """The Instrument fields that PRICE_FILTER, LOT_SIZE and MARKET_LOT_SIZE set; None for another filter."""
    match name:
        case "PRICE_FILTER":
            return {
                "price_steps": (PriceStep(ZERO, exact(rule.tickSize)),),
                "min_price": exact(rule.minPrice),
                "max_price": exact(rule.maxPrice),
            }
        case "LOT_SIZE":
            return {
                "qty_step": exact(rule.stepSize),
                "min_qty": exact(rule.minQty),
                "max_qty": exact(rule.maxQty),
            }
        case "MARKET_LOT_SIZE":
            return {
                "market_qty_step": exact(rule.stepSize),
                "market_min_qty": exact(rule.minQty),
                "market_max_qty": exact(rule.maxQty),
            }
        case _:
            return None


def exact(text: str) -> Decimal:
    """A step or bound without the trailing zeros that would show up in every rounded price."""
    return Decimal(plain(amount(text)))
