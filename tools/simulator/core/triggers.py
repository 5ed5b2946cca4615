"""Stop, take-profit and trailing orders: when the last price wakes them.

The trigger source is the last trade unless the order names another. A stop-loss buy and a take-profit sell wake when
it rises to the stop price, the other two when it falls to it. A trailing order follows the best price since its start
and wakes when the price comes back by its distance (basis points).
"""

from __future__ import annotations

from decimal import Decimal

from tools.simulator.core.market import Market
from tools.simulator.core.model import Order, OrdType, PriceKind

_RISING = {
    (OrdType.STOP_LOSS, True),
    (OrdType.STOP_LOSS_LIMIT, True),
    (OrdType.TAKE_PROFIT, False),
    (OrdType.TAKE_PROFIT_LIMIT, False),
}
BASIS = Decimal(10_000)


def wakes_on_rise(order: Order) -> bool:
    """True where the order waits for a higher price."""
    if order.trigger_rises is not None:
        return order.trigger_rises
    return (order.ord_type, order.is_buy) in _RISING


def _reached(order: Order, price: Decimal) -> bool:
    return price >= order.stop_px if wakes_on_rise(order) else price <= order.stop_px


def would_trigger(market: Market, order: Order) -> bool:
    """Is the stop price already met? Such an order is refused. A market without a print has no opinion."""
    price = market.price_of(order.trigger_by)
    return bool(order.stop_px) and bool(price) and _reached(order, price)


def start_trailing(market: Market, order: Order, now_ns: int) -> None:
    """Without a stop price a trailing order starts with the price of now."""
    if order.trailing_delta and not order.stop_px and market.last_px:
        order.trail_px, order.trailing_ns = market.last_px, now_ns


def _trail(order: Order, price: Decimal, now_ns: int) -> bool:
    """Follow one price; True where the order wakes."""
    if not order.trail_px:
        if not order.stop_px or _reached(order, price):
            order.trail_px, order.trailing_ns = price, now_ns
        return False
    distance = order.trailing_delta / BASIS
    if order.is_buy:
        order.trail_px = min(order.trail_px, price)
        return price >= order.trail_px * (1 + distance)
    order.trail_px = max(order.trail_px, price)
    return price <= order.trail_px * (1 - distance)


def take_paths(market: Market) -> dict[PriceKind, list[Decimal]] | None:
    """The prices since the last call, which forgets them; None where there are none."""
    if not any(market.paths.values()):
        return None
    paths, market.paths = market.paths, {kind: [] for kind in PriceKind}
    return paths


def due(market: Market, paths: dict[PriceKind, list[Decimal]], now_ns: int) -> list[Order]:
    """The orders that these prices wake, oldest first."""
    woken: list[Order] = []
    for order in market.stops.values():
        for price in paths[order.trigger_by]:
            if _trail(order, price, now_ns) if order.trailing_delta else _reached(order, price):
                woken.append(order)
                break
    return woken
