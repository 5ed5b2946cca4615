"""What a venue knows, as values that can be compared before and after a restart."""

from __future__ import annotations

from typing import Any

from tools.simulator.core import restoring
from tools.simulator.core.exchange import Exchange
from tools.simulator.core.images import parts_of
from tools.simulator.core.model import Order


def picture_of(ex: Exchange) -> dict[str, Any]:
    """All that is an account's: money, orders with their places, trades, positions, lists, conditional orders."""
    return {
        "accounts": {name: restoring.account_image(account) for name, account in ex.accounts.by_name.items()},
        "positions": {
            (name, symbol, side): restoring.position_image(position)
            for name, account in ex.accounts.by_name.items()
            for (symbol, side), position in account.positions.items()
            if position.update_ns  # a position that was only looked at is none
        },
        "orders": {
            name: [_order(order) for order in sorted(account.orders, key=_number)]
            for name, account in ex.accounts.by_name.items()
        },
        "open": {name: sorted(account.open_orders) for name, account in ex.accounts.by_name.items()},
        "fills": {
            name: {symbol: [parts_of(fill) for fill in fills] for symbol, fills in account.fills.items()}
            for name, account in ex.accounts.by_name.items()
        },
        "queues": {symbol: _queues(ex, symbol) for symbol in ex.markets},
        "stops": {symbol: sorted(market.stops) for symbol, market in ex.markets.items()},
        "algos": {number: restoring.algo_image(algo) for number, algo in ex.algos.by_id.items()},
        "waiting": {symbol: sorted(market.algos) for symbol, market in ex.markets.items()},
        "lists": {number: restoring.list_image(each) for number, each in ex.lists.items()},
        "by_name": {key: order.order_id for key, order in ex.open_by_cl.items()},
        "by_venue_id": sorted(
            name for name, order in ex.by_venue_id.items() if (order.symbol, order.order_id) in ex.orders
        ),
    }


def _number(order: Order) -> tuple[str, int]:
    return order.symbol, order.order_id


def _order(order: Order) -> dict[str, Any]:
    """Without its place, which is counted anew: the queues say who stands where."""
    image = restoring.order_image(order)
    image["v"].pop("place", None)
    return image


def _queues(ex: Exchange, symbol: str) -> list[tuple[str, list[int]]]:
    """Users' orders at each price, in their turn."""
    book = ex.markets[symbol].book
    levels = [*book.bids, *book.asks]
    queues = [(str(level.price), [order.order_id for order in level.queue if order.account]) for level in levels]
    return [queue for queue in queues if queue[1]]
