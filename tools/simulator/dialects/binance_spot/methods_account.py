"""Queries of one account: balances, orders, fills, commission, limits (section 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.simulator.core.clock import DAY, MS
from tools.simulator.core.decimals import text8
from tools.simulator.core.model import Fill, Order
from tools.simulator.dialects.binance_common.gateway import Call, Method, Security
from tools.simulator.dialects.binance_common.params import Params
from tools.simulator.dialects.binance_spot import errors, render
from tools.simulator.dialects.binance_spot.errors import VenueError, bad_combination
from tools.simulator.dialects.binance_spot.methods_market import get, market_of
from tools.simulator.dialects.binance_spot.methods_trade import find_order

if TYPE_CHECKING:
    from tools.simulator.dialects.binance_spot.venue import BinanceSpot


def status(venue: BinanceSpot, call: Call) -> Any:
    omit = call.params.boolean("omitZeroBalances")
    call.params.finish()
    return render.account(call.account, omit_zero=bool(omit), unit=call.unit)


def order_status(venue: BinanceSpot, call: Call) -> Any:
    market_of(venue, call.params)
    order = find_order(
        venue,
        call,
        id_name="orderId",
        client_name="origClientOrderId",
        mismatch=VenueError(-2039, "Client order ID is not correct for this order ID."),
    )
    call.params.finish()
    if order is None:
        raise errors.no_such_order()
    return render.query(order, call.unit)


def open_orders(venue: BinanceSpot, call: Call) -> Any:
    symbol = None if "symbol" not in call.params else market_of(venue, call.params).symbol
    call.params.finish()
    return [
        render.query(order, call.unit)
        for order in call.account.open_orders.values()
        if symbol is None or order.symbol == symbol
    ]


def _span(params: Params) -> tuple[int | None, int | None]:
    """Start and end in nanoseconds. Raises -1127 for more than a day."""
    start, end = params.integer("startTime"), params.integer("endTime")
    if start is not None and end is not None and (end - start) * MS > DAY:
        raise VenueError(-1127, "More than 24 hours between startTime and endTime.")
    start_ns = None if start is None else start * MS
    end_ns = None if end is None else end * MS + MS - 1
    if start_ns is not None and end_ns is None:
        end_ns = start_ns + DAY
    return start_ns, end_ns


def _within(time_ns: int, start_ns: int | None, end_ns: int | None) -> bool:
    return (start_ns is None or time_ns >= start_ns) and (end_ns is None or time_ns <= end_ns)


def all_orders(venue: BinanceSpot, call: Call) -> Any:
    params = call.params
    market = market_of(venue, params)
    first, limit = params.integer("orderId"), params.limit(500, 1000)
    start_ns, end_ns = _span(params)
    params.finish()
    rows: list[Order] = [
        order
        for order in call.account.orders
        if order.symbol == market.symbol
        and (first is None or order.order_id >= first)
        and (first is not None or _within(order.update_ns, start_ns, end_ns))
    ]
    rows = rows[:limit] if first is not None or start_ns is not None else rows[-limit:]
    return [render.query(order, call.unit) for order in rows]


def my_trades(venue: BinanceSpot, call: Call) -> Any:
    params = call.params
    market = market_of(venue, params)
    order_id, first = params.integer("orderId"), params.integer("fromId")
    limit = params.limit(500, 1000)
    start_ns, end_ns = _span(params)
    params.finish()
    if order_id is not None and (start_ns is not None or end_ns is not None):
        raise bad_combination()
    if first is not None and (start_ns is not None or end_ns is not None):
        raise bad_combination()
    rows: list[Fill] = [
        fill
        for fill in call.account.fills.get(market.symbol, [])
        if (order_id is None or fill.order_id == order_id)
        and (first is None or fill.trade.trade_id >= first)
        and _within(fill.trade.time_ns, start_ns, end_ns)
    ]
    rows = rows[:limit] if first is not None or start_ns is not None else rows[-limit:]
    return [render.my_trade(fill, call.unit) for fill in rows]


def amendments(venue: BinanceSpot, call: Call) -> Any:
    params = call.params
    market = market_of(venue, params)
    order_id = params.integer("orderId")
    if order_id is None:
        raise errors.missing("orderId")
    first, limit = params.integer("fromExecutionId"), params.limit(500, 1000)
    params.finish()
    order = venue.exchange.find(call.account, market.symbol, order_id, None)
    rows = [] if order is None else venue.amendments(order)
    return [
        {
            "symbol": market.symbol,
            "orderId": order_id,
            "executionId": row.exec_id,
            "origClientOrderId": row.old_cl_ord_id,
            "newClientOrderId": row.new_cl_ord_id,
            "origQty": text8(row.old_qty),
            "newQty": text8(row.new_qty),
            "time": row.time_ns // call.unit,
        }
        for row in rows
        if first is None or row.exec_id >= first
    ][:limit]


def prevented_matches(venue: BinanceSpot, call: Call) -> Any:
    params = call.params
    market = market_of(venue, params)
    match_id, order_id = params.integer("preventedMatchId"), params.integer("orderId")
    first, limit = params.integer("fromPreventedMatchId"), params.limit(500, 1000)
    params.finish()
    if match_id is None and order_id is None:
        raise bad_combination()
    return [
        row.body(call.unit)
        for row in venue.prevented(call.account, market.symbol)
        if (match_id is None or row.match_id == match_id)
        and (order_id is None or order_id in (row.taker_id, row.maker_id))
        and (first is None or row.match_id >= first)
    ][:limit]


def allocations(venue: BinanceSpot, call: Call) -> Any:
    """Smart order routing is not offered here, so nobody has any."""
    market_of(venue, call.params)
    for name in ("startTime", "endTime", "fromAllocationId", "limit", "orderId"):
        call.params.text(name)
    call.params.finish()
    return []


def commission(venue: BinanceSpot, call: Call) -> Any:
    market = market_of(venue, call.params)
    call.params.finish()
    account = call.account
    nothing = dict.fromkeys(("maker", "taker", "buyer", "seller"), render.ZERO8)
    standard = nothing | {"maker": text8(account.maker_rate), "taker": text8(account.taker_rate)}
    return {
        "symbol": market.symbol,
        "standardCommission": standard,
        "specialCommission": nothing,
        "taxCommission": nothing,
        "discount": {
            "enabledForAccount": False,
            "enabledForSymbol": False,
            "discountAsset": "BNB",
            "discount": render.ZERO8,
        },
    }


def order_limits(venue: BinanceSpot, call: Call) -> Any:
    call.params.finish()
    return venue.order_limit_state(call.account)


def my_filters(venue: BinanceSpot, call: Call) -> Any:
    market = market_of(venue, call.params)
    call.params.finish()
    return {
        "exchangeFilters": [],
        "symbolFilters": venue.infos[market.symbol].raw["filters"],
        "assetFilters": [],
    }


def _open_weight(params: Params) -> int:
    return 6 if "symbol" in params else 80


def _trades_weight(params: Params) -> int:
    return 5 if "orderId" in params else 20


def _prevented_weight(params: Params) -> int:
    return 2 if "preventedMatchId" in params else 20


SIGNED = Security.SIGNED
METHODS = [
    Method(name="account.status", handler=status, weight=20, security=SIGNED, rest=get("account")),
    Method(name="order.status", handler=order_status, weight=4, security=SIGNED, rest=get("order")),
    Method(
        name="openOrders.status",
        handler=open_orders,
        weight=_open_weight,
        security=SIGNED,
        rest=get("openOrders"),
    ),
    Method(name="allOrders", handler=all_orders, weight=20, security=SIGNED, rest=get("allOrders")),
    Method(name="myTrades", handler=my_trades, weight=_trades_weight, security=SIGNED, rest=get("myTrades")),
    Method(
        name="order.amendments",
        handler=amendments,
        weight=4,
        security=SIGNED,
        rest=get("order/amendments"),
    ),
    Method(
        name="myPreventedMatches",
        handler=prevented_matches,
        weight=_prevented_weight,
        security=SIGNED,
        rest=get("myPreventedMatches"),
    ),
    Method(name="myAllocations", handler=allocations, weight=20, security=SIGNED, rest=get("myAllocations")),
    Method(
        name="account.commission",
        handler=commission,
        weight=20,
        security=SIGNED,
        rest=get("account/commission"),
    ),
    Method(
        name="account.rateLimits.orders",
        handler=order_limits,
        weight=40,
        security=SIGNED,
        rest=get("rateLimit/order"),
    ),
    Method(name="myFilters", handler=my_filters, weight=40, security=SIGNED, rest=get("myFilters")),
]
