"""The filters of section 6, in exact decimal arithmetic, each with its own code."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tools.simulator.core import margin
from tools.simulator.core.market import Market
from tools.simulator.core.model import Order, OrdType
from tools.simulator.dialects.binance_common.errors import VenueError
from tools.simulator.dialects.binance_usdm.symbols import SymbolInfo

MOST_CONDITIONAL = 200  # over all symbols


def check(order: Order, info: SymbolInfo, market: Market) -> None:
    """All filters of the symbol on a new order. Raises VenueError."""
    if order.ord_type is not OrdType.MARKET:
        check_price(order.price, info)
        _percent(order, info, market)
    check_qty(order.order_qty, info.filters.get("LOT_SIZE"))
    if order.ord_type is OrdType.MARKET:
        check_qty(order.order_qty, info.filters.get("MARKET_LOT_SIZE"))
        _counterparty(order, info, market)
    _notional(order, info, market)
    _count(order, info, market)


def check_price(price: Decimal, info: SymbolInfo) -> None:
    """Raises -4001, -4002, -4013 or -4014."""
    rule = info.filters.get("PRICE_FILTER")
    if price <= 0:
        raise VenueError(-4001, "Price less than 0.")
    if rule is None:
        return
    low, high, tick = rule["minPrice"], rule["maxPrice"], rule["tickSize"]
    if high and price > high:
        raise VenueError(-4002, "Price greater than max price.")
    if low and price < low:
        raise VenueError(-4013, "Price less than min price.")
    if tick and (price - low) % tick:
        raise VenueError(-4014, "Price not increased by tick size.")


def check_qty(qty: Decimal, rule: dict[str, Any] | None) -> None:
    """Raises -4003, -4004, -4005 or -4023."""
    if qty <= 0:
        raise VenueError(-4003, "Quantity less than or equal to zero.")
    if rule is None:
        return
    low, high, step = rule["minQty"], rule["maxQty"], rule["stepSize"]
    if qty < low:
        raise VenueError(-4004, "Quantity less than min quantity.")
    if high and qty > high:
        raise VenueError(-4005, "Quantity greater than max quantity.")
    if step and (qty - low) % step:
        raise VenueError(-4023, "Qty not increased by step size.")


def _percent(order: Order, info: SymbolInfo, market: Market) -> None:
    """One-sided, around the mark price."""
    rule = info.filters.get("PERCENT_PRICE")
    if rule is None or not market.mark_px:
        return
    high, low = market.mark_px * rule["multiplierUp"], market.mark_px * rule["multiplierDown"]
    if order.is_buy and order.price > high:
        raise VenueError(-4016, f"Limit price can't be higher than {info.price(high)}.")
    if not order.is_buy and order.price < low:
        raise VenueError(-4024, f"Limit price can't be lower than {info.price(low)}.")


def _counterparty(order: Order, info: SymbolInfo, market: Market) -> None:
    """A market order must not meet a price outside of the band."""
    rule = info.filters.get("PERCENT_PRICE")
    best = market.book.facing(order).best_tradable()
    if rule is None or best is None or not market.mark_px:
        return
    high, low = market.mark_px * rule["multiplierUp"], market.mark_px * rule["multiplierDown"]
    if (order.is_buy and best.price > high) or (not order.is_buy and best.price < low):
        text = "The counterparty's best price does not meet the PERCENT_PRICE filter limit."
        raise VenueError(-4131, text)


def _notional(order: Order, info: SymbolInfo, market: Market) -> None:
    """Orders that only reduce are exempt; a market order counts at the mark price."""
    rule = info.filters.get("MIN_NOTIONAL")
    if rule is None or margin.reduces(order):
        return
    price = market.mark_px if order.ord_type is OrdType.MARKET else order.price
    if price * order.order_qty < rule["notional"]:
        text = f"Order's notional must be no smaller than {rule['notional']} (unless you choose reduce only)."
        raise VenueError(-4164, text)


def _count(order: Order, info: SymbolInfo, market: Market) -> None:
    rule = info.filters.get("MAX_NUM_ORDERS")
    if rule is None:
        return
    mine = sum(1 for other in market.open_orders.values() if other.account is order.account)
    if mine >= int(rule["limit"]):
        raise VenueError(-2025, "Reach max open order limit.")
