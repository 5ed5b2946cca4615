"""Order lists: OCO, OTO, OTOCO, their cancel and their queries (section 9)."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tools.simulator.core import lists
from tools.simulator.core.clock import MS
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.lists import OrderList
from tools.simulator.core.market import Market
from tools.simulator.core.model import (
    PRICELESS,
    Order,
    OrdStatus,
    OrdType,
    Reject,
    RejectReason,
    Side,
)
from tools.simulator.dialects.binance_common.gateway import Call, Method, Security
from tools.simulator.dialects.binance_spot import errors, filters, render
from tools.simulator.dialects.binance_spot.errors import VenueError, missing
from tools.simulator.dialects.binance_spot.methods_market import market_of
from tools.simulator.dialects.binance_spot.methods_trade import list_report, rest
from tools.simulator.dialects.binance_spot.orders import OrderReader, response_kind

if TYPE_CHECKING:
    from tools.simulator.dialects.binance_spot.venue import BinanceSpot

PROFIT = frozenset({OrdType.LIMIT_MAKER, OrdType.TAKE_PROFIT, OrdType.TAKE_PROFIT_LIMIT})
STOP = frozenset({OrdType.STOP_LOSS, OrdType.STOP_LOSS_LIMIT})
BAD_PAIR = VenueError(-1158, "Order type is not supported for this leg of the order list.")


def _new_list(venue: BinanceSpot, call: Call, market: Market, contingency: str) -> OrderList:
    open_lists = {
        order.order_list.list_id
        for order in call.account.open_orders.values()
        if order.order_list is not None and order.symbol == market.symbol
    }
    filters.check_lists(venue.infos[market.symbol], len(open_lists))
    return OrderList(
        list_id=venue.exchange.next_list_id(),
        symbol=market.symbol,
        account=call.account,
        cl_list_id=call.params.client_id("listClientOrderId") or venue.random_id(),
        contingency=contingency,
    )


def _quantity(venue: BinanceSpot, call: Call, market: Market, name: str) -> Decimal:
    qty = call.params.decimal(name, precision=venue.infos[market.symbol].base_precision)
    if qty is None:
        raise missing(name)
    return qty


def _side(call: Call, name: str) -> Side:
    call.params.require(name)
    side = call.params.choice(name, Side, (-1117, "Invalid side."))
    assert side is not None
    return side


def _check_filters(venue: BinanceSpot, market: Market, legs: list[Order]) -> None:
    for leg in legs:
        filters.check(leg, venue.infos[market.symbol], market, venue.clock.now_ns())


def _trigger_px(order: Order) -> Decimal:
    """Where a leg begins to matter: its stop price, or its limit price."""
    return order.stop_px or order.price


def check_pair(above: Order, below: Order, last_px: Decimal) -> None:
    """One leg takes profit, the other stops; each on its side of the market. Raises VenueError or Reject."""
    profit, stop = (above, below) if above.side is Side.SELL else (below, above)
    if profit.ord_type not in PROFIT or stop.ord_type not in STOP:
        raise BAD_PAIR
    high, low = _trigger_px(above), _trigger_px(below)
    if last_px and ((high and high <= last_px) or (low and low >= last_px)):
        raise Reject(RejectReason.LIST_PRICES, above)


def _response(call: Call, order: Order) -> str:
    """Lists answer with RESULT unless asked otherwise; their fills are in the events only."""
    if "newOrderRespType" not in call.params:
        return "RESULT"
    chosen = response_kind(call.params, order)
    return "RESULT" if chosen == "FULL" else chosen


def _reply(order_list: OrderList, response: str, call: Call, pending: list[Order]) -> dict[str, Any]:
    """The answer to a new list. Legs that had to wait are shown waiting, whatever has happened since."""
    body = render.list_head(order_list, call.unit)
    body["listStatusType"], body["listOrderStatus"] = "EXEC_STARTED", "EXECUTING"
    body["orderReports"] = [
        render.new_order(
            leg,
            response,
            [],
            call.unit,
            OrdStatus.PENDING_NEW if leg in pending else None,
        )
        for leg in order_list.legs
    ]
    return body


def place_oco(venue: BinanceSpot, call: Call) -> Any:
    market = market_of(venue, call.params)
    side, qty = _side(call, "side"), _quantity(venue, call, market, "quantity")
    order_list = _new_list(venue, call, market, "OCO")
    reader = OrderReader(venue, call.params, venue.infos[market.symbol], call.account)
    above = reader.read("above", side=side, quantity=qty)
    below = reader.read("below", side=side, quantity=qty)
    response = _response(call, above)
    call.params.finish()
    _check_filters(venue, market, [above, below])
    check_pair(above, below, market.last_px)
    order_list.legs = [below, above]
    lists.submit_oco(venue.exchange, order_list)
    return _reply(order_list, response, call, [])


def place_old_oco(venue: BinanceSpot, call: Call) -> Any:
    """The form before 2024: a limit-maker leg and a stop leg with parameters of their own."""
    params, market = call.params, market_of(venue, call.params)
    side, qty = _side(call, "side"), _quantity(venue, call, market, "quantity")
    order_list = _new_list(venue, call, market, "OCO")
    limit_id, stop_id = (
        params.client_id(name) or venue.random_id() for name in ("limitClientOrderId", "stopClientOrderId")
    )
    price, stop_px = params.decimal("price"), params.decimal("stopPrice")
    stop_limit = params.decimal("stopLimitPrice")
    if price is None or stop_px is None:
        raise missing("price" if price is None else "stopPrice")
    tif = params.text("stopLimitTimeInForce")
    if (stop_limit is None) != (tif is None):
        raise missing("stopLimitTimeInForce" if tif is None else "stopLimitPrice")

    def leg(cl_ord_id: str, ord_type: OrdType, leg_px: Decimal) -> Order:
        return Order(
            symbol=market.symbol,
            account=call.account,
            side=side,
            order_qty=qty,
            cl_ord_id=cl_ord_id,
            ord_type=ord_type,
            price=leg_px,
        )

    profit = leg(limit_id, OrdType.LIMIT_MAKER, price)
    stop_type = OrdType.STOP_LOSS if stop_limit is None else OrdType.STOP_LOSS_LIMIT
    stop = leg(stop_id, stop_type, stop_limit or ZERO)
    stop.stop_px = stop_px
    response = _response(call, profit)
    params.finish()
    _check_filters(venue, market, [profit, stop])
    above, below = (profit, stop) if side is Side.SELL else (stop, profit)
    check_pair(above, below, market.last_px)
    order_list.legs = [stop, profit]
    lists.submit_oco(venue.exchange, order_list)
    return _reply(order_list, response, call, [])


def _working(venue: BinanceSpot, call: Call, reader: OrderReader) -> Order:
    working = reader.read("working")
    if working.ord_type not in (OrdType.LIMIT, OrdType.LIMIT_MAKER):
        raise BAD_PAIR
    return working


def place_oto(venue: BinanceSpot, call: Call) -> Any:
    market = market_of(venue, call.params)
    order_list = _new_list(venue, call, market, "OTO")
    reader = OrderReader(venue, call.params, venue.infos[market.symbol], call.account)
    working, pending = _working(venue, call, reader), reader.read("pending")
    if pending.quote_order_qty:
        raise BAD_PAIR
    return _submit_oto(venue, call, market, order_list, working, [pending])


def place_otoco(venue: BinanceSpot, call: Call) -> Any:
    market = market_of(venue, call.params)
    order_list = _new_list(venue, call, market, "OTO")
    reader = OrderReader(venue, call.params, venue.infos[market.symbol], call.account)
    working = _working(venue, call, reader)
    side, qty = _side(call, "pendingSide"), _quantity(venue, call, market, "pendingQuantity")
    above = reader.read("pendingAbove", side=side, quantity=qty)
    below = reader.read("pendingBelow", side=side, quantity=qty)
    check_pair(above, below, ZERO)
    return _submit_oto(venue, call, market, order_list, working, [below, above])


def _submit_oto(
    venue: BinanceSpot,
    call: Call,
    market: Market,
    order_list: OrderList,
    working: Order,
    pending: list[Order],
) -> Any:
    response = _response(call, working)
    call.params.finish()
    _check_filters(venue, market, [working, *(leg for leg in pending if leg.ord_type not in PRICELESS)])
    order_list.working = working
    order_list.legs = [working, *pending]
    lists.submit_oto(venue.exchange, order_list)
    return _reply(order_list, response, call, pending)


def _find_list(venue: BinanceSpot, call: Call, client_name: str) -> OrderList | None:
    list_id, client_id = call.params.integer("orderListId"), call.params.text(client_name)
    if list_id is None and client_id is None:
        raise VenueError(-1102, f"Param '{client_name}' or 'orderListId' must be sent, but both were empty/null!")
    mine = [found for found in venue.exchange.lists.values() if found.account is call.account]
    if client_id is not None and client_name == "origClientOrderId":
        return next((found for found in reversed(mine) if found.cl_list_id == client_id), None)
    for found in reversed(mine):
        if (list_id is None or found.list_id == list_id) and client_id in (None, found.cl_list_id):
            return found
    return None


def cancel(venue: BinanceSpot, call: Call) -> Any:
    market_of(venue, call.params)
    new_id = call.params.client_id("newClientOrderId")
    order_list = _find_list(venue, call, "listClientOrderId")
    call.params.finish()
    live = [] if order_list is None else [leg for leg in order_list.legs if leg.is_live]
    if order_list is None or not live:
        raise errors.unknown_order()
    originals = {leg.order_id: leg.cl_ord_id for leg in order_list.legs}
    venue.exchange.cancel(live[0], new_id or venue.random_id())
    return list_report(order_list, originals, call.unit)


def status(venue: BinanceSpot, call: Call) -> Any:
    order_list = _find_list(venue, call, "origClientOrderId")
    call.params.finish()
    if order_list is None:
        raise VenueError(-2018, "Order list does not exist.")
    return render.list_head(order_list, call.unit)


def all_lists(venue: BinanceSpot, call: Call) -> Any:
    params = call.params
    first, limit = params.integer("fromId"), params.limit(500, 1000)
    start, end = params.integer("startTime"), params.integer("endTime")
    params.finish()
    if first is not None and (start is not None or end is not None):
        raise errors.bad_combination()
    return [
        render.list_head(found, call.unit)
        for found in venue.exchange.lists.values()
        if found.account is call.account
        and (first is None or found.list_id >= first)
        and (start is None or found.transact_ns >= start * MS)
        and (end is None or found.transact_ns <= end * MS)
    ][:limit]


def open_lists(venue: BinanceSpot, call: Call) -> Any:
    call.params.finish()
    return [
        render.list_head(found, call.unit)
        for found in venue.exchange.lists.values()
        if found.account is call.account and not found.is_done
    ]


def _place(name: str, handler: Any, path: str, orders: int) -> Method:
    return Method(
        name=name,
        handler=handler,
        security=Security.TRADE,
        rest=rest("POST", path),
        free_on_success=True,
        orders=orders,
    )


METHODS = [
    _place("orderList.place.oco", place_oco, "orderList/oco", 2),
    _place("orderList.place", place_old_oco, "order/oco", 2),
    _place("orderList.place.oto", place_oto, "orderList/oto", 2),
    _place("orderList.place.otoco", place_otoco, "orderList/otoco", 3),
    Method(
        name="orderList.cancel",
        handler=cancel,
        security=Security.TRADE,
        rest=rest("DELETE", "orderList"),
        free_on_success=True,
    ),
    Method(
        name="orderList.status",
        handler=status,
        weight=4,
        security=Security.SIGNED,
        rest=rest("GET", "orderList"),
    ),
    Method(
        name="allOrderLists",
        handler=all_lists,
        weight=20,
        security=Security.SIGNED,
        rest=rest("GET", "allOrderList"),
    ),
    Method(
        name="openOrderLists.status",
        handler=open_lists,
        weight=6,
        security=Security.SIGNED,
        rest=rest("GET", "openOrderList"),
    ),
]
