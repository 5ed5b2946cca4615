"""The filters of section 6, in exact decimal arithmetic. Each failure is `-1013 Filter failure: <NAME>`.

A rule whose value is 0 is switched off.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Any

from tools.simulator.core.clock import MINUTE
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.market import Market
from tools.simulator.core.model import CONDITIONAL, PRICELESS, Order, OrdType
from tools.simulator.dialects.binance_spot.errors import filter_failure
from tools.simulator.dialects.binance_spot.symbols import SymbolInfo


def average_price(market: Market, minutes: int, now_ns: int) -> Decimal:
    """Volume-weighted over the last minutes; the last price where nothing traded (6.1)."""
    candle = market.candles.window(market.time_ns(now_ns), minutes * MINUTE)
    if candle is None or not candle.volume:
        return market.last_px
    return candle.quote_volume / candle.volume


def check(order: Order, info: SymbolInfo, market: Market, now_ns: int) -> None:
    """All filters of the symbol on a new order. Raises VenueError -1013."""
    filters = info.filters
    _price(order, filters.get("PRICE_FILTER"))
    if not order.quote_order_qty:
        _lot(order.order_qty, filters.get("LOT_SIZE"), "LOT_SIZE")
        if order.ord_type is OrdType.MARKET:
            _lot(order.order_qty, filters.get("MARKET_LOT_SIZE"), "MARKET_LOT_SIZE")
    if order.iceberg_qty:
        _iceberg(order, filters)
    _trailing(order, filters.get("TRAILING_DELTA"))
    _percent_price(order, filters, market, now_ns)
    _notional(order, filters, market, now_ns)
    _counts(order, filters, market)
    _position(order, filters.get("MAX_POSITION"), info, market)


def _price(order: Order, rule: dict[str, Any] | None) -> None:
    if rule is None:
        return
    prices = [order.stop_px] if order.stop_px else []
    if order.ord_type not in PRICELESS:
        prices.append(order.price)
    for price in prices:
        low, high, tick = rule["minPrice"], rule["maxPrice"], rule["tickSize"]
        if (low and price < low) or (high and price > high) or (tick and price % tick):
            raise filter_failure("PRICE_FILTER")


def _lot(qty: Decimal, rule: dict[str, Any] | None, name: str) -> None:
    if rule is None:
        return
    low, high, step = rule["minQty"], rule["maxQty"], rule["stepSize"]
    if qty <= 0 or (low and qty < low) or (high and qty > high) or (step and qty % step):
        raise filter_failure(name)


def _iceberg(order: Order, filters: dict[str, dict[str, Any]]) -> None:
    _lot(order.iceberg_qty, filters.get("LOT_SIZE"), "LOT_SIZE")
    rule = filters.get("ICEBERG_PARTS")
    if rule is not None:
        parts = (order.order_qty / order.iceberg_qty).to_integral_value(ROUND_CEILING)
        if parts > int(rule["limit"]):
            raise filter_failure("ICEBERG_PARTS")


def _trailing(order: Order, rule: dict[str, Any] | None) -> None:
    if rule is None or not order.trailing_delta:
        return
    stop = order.ord_type in (OrdType.STOP_LOSS, OrdType.STOP_LOSS_LIMIT)
    side = "Above" if stop == order.is_buy else "Below"
    if not rule[f"minTrailing{side}Delta"] <= order.trailing_delta <= rule[f"maxTrailing{side}Delta"]:
        raise filter_failure("TRAILING_DELTA")


def _percent_price(order: Order, filters: dict[str, dict[str, Any]], market: Market, now_ns: int) -> None:
    if order.ord_type in PRICELESS:
        return
    for name, prefix in (
        ("PERCENT_PRICE", "multiplier"),
        ("PERCENT_PRICE_BY_SIDE", "bidMultiplier" if order.is_buy else "askMultiplier"),
    ):
        rule = filters.get(name)
        if rule is None:
            continue
        reference = average_price(market, int(rule["avgPriceMins"]), now_ns)
        if not reference:
            continue
        down, up = rule[f"{prefix}Down"], rule[f"{prefix}Up"]
        if (down and order.price < reference * down) or (up and order.price > reference * up):
            raise filter_failure(name)


def _value(order: Order, minutes: int, market: Market, now_ns: int) -> Decimal:
    """What the order is worth: at its price, or for a market order at the average."""
    if order.quote_order_qty:
        return order.quote_order_qty
    price = order.price if order.ord_type not in PRICELESS else order.stop_px
    return order.order_qty * (price or average_price(market, minutes, now_ns))


def _notional(order: Order, filters: dict[str, dict[str, Any]], market: Market, now_ns: int) -> None:
    is_market = order.ord_type in PRICELESS
    old = filters.get("MIN_NOTIONAL")
    if old is not None and (not is_market or old.get("applyToMarket", True)):
        value = _value(order, int(old.get("avgPriceMins", 5)), market, now_ns)
        if value < old["minNotional"]:
            raise filter_failure("MIN_NOTIONAL")
    rule = filters.get("NOTIONAL")
    if rule is None:
        return
    value = _value(order, int(rule.get("avgPriceMins", 5)), market, now_ns)
    if (not is_market or rule["applyMinToMarket"]) and value < rule["minNotional"]:
        raise filter_failure("NOTIONAL")
    most = rule["maxNotional"]
    if most and (not is_market or rule["applyMaxToMarket"]) and value > most:
        raise filter_failure("NOTIONAL")


def _counts(order: Order, filters: dict[str, dict[str, Any]], market: Market) -> None:
    account = order.account
    limits = (
        ("MAX_NUM_ORDERS", "maxNumOrders", True),
        ("MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders", order.is_conditional),
        ("MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders", bool(order.iceberg_qty)),
    )
    for name, field, applies in limits:
        rule = filters.get(name)
        if rule is None or not applies or account is None:
            continue
        open_count = 0
        for other in market.open_orders.values():
            if other.account is not account:
                continue
            if name == "MAX_NUM_ALGO_ORDERS" and (other.ord_type not in CONDITIONAL or other.is_working):
                continue
            if name == "MAX_NUM_ICEBERG_ORDERS" and not other.iceberg_qty:
                continue
            open_count += 1
        if open_count >= int(rule[field]):
            raise filter_failure(name)


def _position(order: Order, rule: dict[str, Any] | None, info: SymbolInfo, market: Market) -> None:
    account = order.account
    if rule is None or account is None or not order.is_buy:
        return
    open_buys = sum(
        (other.leaves_qty for other in market.open_orders.values() if other.account is account and other.is_buy),
        ZERO,
    )
    if account.balance(info.spec.base).total + open_buys + order.order_qty > rule["maxPosition"]:
        raise filter_failure("MAX_POSITION")


def check_lists(info: SymbolInfo, open_lists: int) -> None:
    """One more order list on the symbol?"""
    rule = info.filters.get("MAX_NUM_ORDER_LISTS")
    if rule is not None and open_lists >= int(rule["maxNumOrderLists"]):
        raise filter_failure("MAX_NUM_ORDER_LISTS")
