"""Order requests: place, test, modify, cancel, batches, cancel all, dead-man switch (sections 7, 9)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from tools.simulator.core import matching
from tools.simulator.core.model import Order, OrdType, Reject, RejectReason, Side, StpMode
from tools.simulator.dialects.binance_common.errors import VenueError, missing, unknown_order
from tools.simulator.dialects.binance_common.gateway import Call, Method, Security
from tools.simulator.dialects.binance_common.params import Params, text_of
from tools.simulator.dialects.binance_usdm import filters, render
from tools.simulator.dialects.binance_usdm.methods_market import info_of, market_of
from tools.simulator.dialects.binance_usdm.orders import OrderReader, check_fillable, response_kind

if TYPE_CHECKING:
    from tools.simulator.dialects.binance_usdm.venue import BinanceUsdm

MOST_PLACED, MOST_CANCELED, MOST_AMENDS = 5, 10, 10_000
DONE = {"code": 200, "msg": "The operation of cancel all open order is done."}


def _read(venue: BinanceUsdm, call: Call) -> tuple[Order, str]:
    """The order that the parameters describe, through all filters."""
    market = market_of(venue, call.params)
    info = info_of(venue, market)
    order = OrderReader(venue, call.params, info, call.account).read()
    response = response_kind(call.params)
    call.params.finish()
    filters.check(order, info, market)
    return order, response


def place(venue: BinanceUsdm, call: Call) -> Any:
    order, response = _read(venue, call)
    venue.protect(order)
    venue.check_notional(order)
    check_fillable(venue.exchange.markets[order.symbol], order)
    venue.exchange.submit(order)
    return render.placed(order, venue.infos[order.symbol], response)


def test_order(venue: BinanceUsdm, call: Call) -> Any:
    """Everything but the matching engine; the name is the venue's."""
    order, _ = _read(venue, call)
    return render.placed(order, venue.infos[order.symbol], "RESULT")


def find_order(venue: BinanceUsdm, call: Call) -> Order | None:
    """The order of `orderId`, which prevails, or of `origClientOrderId`. Raises -1102 without any."""
    params = call.params
    order_id, client_id = params.integer("orderId"), params.text("origClientOrderId")
    if order_id is None and client_id is None:
        text = "Param 'origClientOrderId' or 'orderid' must be sent, but both were empty/null!"
        raise VenueError(-1102, text)
    return venue.exchange.find(call.account, market_of(venue, params).symbol, order_id, client_id)


def modify(venue: BinanceUsdm, call: Call) -> Any:
    """Section 9.1: all terms anew, and the place in the queue is lost."""
    params, market = call.params, market_of(venue, call.params)
    info = info_of(venue, market)
    side = params.choice("side", Side, (-1117, "Invalid side."))
    if side is None:
        raise missing("side")
    order = find_order(venue, call)
    modify_id, reduce_only = params.integer("modifyId"), params.boolean("reduceOnly")
    params.text("positionSide")
    qty = params.decimal("quantity", precision=info.qty_precision)
    if qty is None:
        raise missing("quantity")
    if order is None or not order.is_live:
        raise VenueError(-2013, "Order does not exist.")
    wanted = Order(symbol=order.symbol, account=order.account, cl_ord_id="", side=order.side, ord_type=OrdType.LIMIT)
    OrderReader(venue, params, info, call.account).price(wanted, wanted=True)
    params.text("newOrderRespType")
    params.finish()
    if order.ord_type is not OrdType.LIMIT or side is not order.side:
        raise VenueError(-5025, "Only limit order is supported.")
    if reduce_only and not order.reduce_only:
        raise VenueError(-5047, "The reduceOnly of a modification needs a reduce-only order.")
    if order.amends >= MOST_AMENDS:
        raise VenueError(-5026, f"Exceed maximum modify order limit. Current number is {order.amends}.")
    wanted.reduce_only, wanted.order_qty, wanted.position_side = order.reduce_only, qty, order.position_side
    venue.protect(wanted)
    filters.check(attrs.evolve(wanted, account=None), info, market)
    return _apply(venue, order, wanted, modify_id)


def _apply(venue: BinanceUsdm, order: Order, wanted: Order, modify_id: int | None) -> Any:
    """Carry the modification out, or cancel the order where the venue does."""
    info, market = venue.infos[order.symbol], venue.exchange.markets[order.symbol]
    if (wanted.price, wanted.order_qty) == (order.price, order.order_qty):
        raise Reject(RejectReason.AMEND_NO_CHANGE, order)
    crossing = order.post_only and matching.would_match(market, wanted)
    if crossing or wanted.order_qty <= order.cum_qty:
        venue.exchange.cancel(order)
        return render.changed(order, info, modify_id)
    before = (order.price, order.order_qty)
    order.extra["modify_id"] = modify_id
    venue.exchange.replace(order, price=wanted.price, qty=wanted.order_qty)
    order.stp_mode = StpMode.NONE  # a modified order loses its mode (7)
    venue.note_amendment(order, before)
    return render.changed(order, info, modify_id)


def cancel(venue: BinanceUsdm, call: Call) -> Any:
    market_of(venue, call.params)
    order = find_order(venue, call)
    call.params.finish()
    if order is None:
        raise unknown_order()
    venue.exchange.cancel(order)
    return render.changed(order, venue.infos[order.symbol])


def cancel_all(venue: BinanceUsdm, call: Call) -> Any:
    """Plain orders of one symbol; conditional ones stay (8)."""
    market = market_of(venue, call.params)
    call.params.finish()
    venue.cancel_plain(call.account, market.symbol)
    return dict(DONE)


def countdown(venue: BinanceUsdm, call: Call) -> Any:
    """Section 9.4: each symbol has its own switch."""
    market, time_ms = market_of(venue, call.params), call.params.integer("countdownTime")
    if time_ms is None:
        raise missing("countdownTime")
    call.params.finish()
    venue.set_countdown(call.account, market.symbol, time_ms)
    return {"symbol": market.symbol, "countdownTime": str(time_ms)}


# ------------------------------------------------------------------------------------------------ batches
def _items(venue: BinanceUsdm, call: Call) -> list[Call]:
    """The single requests of a batch. Raises -1130 or -4082."""
    text = call.params.require("batchOrders")
    call.params.finish()
    try:
        rows = json.loads(text, parse_float=str)
        found = [{str(name): text_of(value) for name, value in row.items()} for row in rows]
    except (ValueError, AttributeError, TypeError):
        raise VenueError(-1130, "Data sent for parameter 'batchOrders' is not valid.") from None
    if not 1 <= len(found) <= MOST_PLACED:
        raise VenueError(-4082, "Invalid number of batch orders.")
    return [attrs.evolve(call, params=venue.params(row)) for row in found]


def batch_ids(params: Params) -> list[str]:
    """The client ids in a batch of new orders, as far as it can be read."""
    try:
        rows = json.loads(params.values.get("batchOrders", "[]"))
        return [str(row["newClientOrderId"]) for row in rows if "newClientOrderId" in row]
    except (ValueError, TypeError):
        return []


def _each(venue: BinanceUsdm, calls: list[Call], run: Callable[[BinanceUsdm, Call], Any]) -> list[Any]:
    """Every item by itself: an order, or the error that it got."""
    results: list[Any] = []
    for call in calls:
        try:
            results.append(run(venue, call))
        except Reject as reject:
            results.append(venue.from_reject(reject).body())
        except VenueError as error:
            results.append(error.body())
    return results


def place_batch(venue: BinanceUsdm, call: Call) -> Any:
    return _each(venue, _items(venue, call), place)


def modify_batch(venue: BinanceUsdm, call: Call) -> Any:
    return _each(venue, _items(venue, call), modify)


def cancel_batch(venue: BinanceUsdm, call: Call) -> Any:
    """Up to ten orders of one symbol, by the venue's ids or by the client's."""
    params = call.params
    symbol = market_of(venue, params).symbol
    for name in ("orderIdList", "origClientOrderIdList"):  # one widely used client writes them in lower case
        if name.lower() in params and name not in params:
            params.values[name] = params.values.pop(name.lower())
    ids, names = params.text("orderIdList"), params.text("origClientOrderIdList")
    params.finish()
    if (ids is None) == (names is None):
        raise missing("orderIdList")
    try:
        chosen = json.loads(ids or names or "")
    except ValueError:
        raise VenueError(-1130, "Data sent for parameter 'orderIdList' is not valid.") from None
    if not isinstance(chosen, list) or not 1 <= len(chosen) <= MOST_CANCELED:
        raise VenueError(-4082, "Invalid number of batch orders.")
    field = "orderId" if ids is not None else "origClientOrderId"
    values = [Params({"symbol": symbol, field: text_of(each)}) for each in chosen]
    return _each(venue, [attrs.evolve(call, params=each) for each in values], cancel)


def rest(verb: str, path: str) -> tuple[str, str]:
    return (verb, f"/fapi/v1/{path}")


def _order(name: str, handler: Any, verb: str, path: str, *, ws: bool = True, **more: Any) -> Method:
    return Method(
        name=name,
        handler=handler,
        security=Security.TRADE,
        rest=rest(verb, path),
        ws=ws,
        orders_back=False,
        **more,
    )


METHODS = [
    _order("order.place", place, "POST", "order", weight=0, orders=1),
    _order("order.modify", modify, "PUT", "order", weight=0, orders=1),
    _order("order.cancel", cancel, "DELETE", "order"),
    _order("order.test", test_order, "POST", "order/test", ws=False),
    _order("batchOrders.place", place_batch, "POST", "batchOrders", ws=False, weight=5, orders=5, order_requests=1),
    _order("batchOrders.modify", modify_batch, "PUT", "batchOrders", ws=False, weight=5, orders=5, order_requests=1),
    _order("batchOrders.cancel", cancel_batch, "DELETE", "batchOrders", ws=False),
    _order("allOpenOrders.cancel", cancel_all, "DELETE", "allOpenOrders", ws=False),
    _order("countdownCancelAll", countdown, "POST", "countdownCancelAll", ws=False, weight=10),
]
