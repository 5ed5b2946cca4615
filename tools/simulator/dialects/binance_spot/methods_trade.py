"""Order requests: place, test, cancel, cancel-replace, amend (section 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.simulator.core.model import Order, OrdStatus, Reject, RejectReason
from tools.simulator.dialects.binance_common.gateway import Call, Method, Security
from tools.simulator.dialects.binance_common.params import Params
from tools.simulator.dialects.binance_spot import errors, filters, render
from tools.simulator.dialects.binance_spot.errors import VenueError
from tools.simulator.dialects.binance_spot.methods_market import market_of
from tools.simulator.dialects.binance_spot.orders import OrderReader, response_kind

if TYPE_CHECKING:
    from tools.simulator.dialects.binance_spot.venue import BinanceSpot

MAX_AMENDS = 10


def _read_order(venue: BinanceSpot, call: Call) -> Order:
    market = market_of(venue, call.params)
    return OrderReader(venue, call.params, venue.infos[market.symbol], call.account).read()


def _check_filters(venue: BinanceSpot, order: Order) -> None:
    filters.check(order, venue.infos[order.symbol], venue.exchange.markets[order.symbol], venue.clock.now_ns())


def _submit(venue: BinanceSpot, order: Order, response: str, unit: int) -> dict[str, Any]:
    fills = venue.exchange.submit(order)
    return render.new_order(order, response, fills, unit)


def place(venue: BinanceSpot, call: Call) -> Any:
    order = _read_order(venue, call)
    response = response_kind(call.params, order)
    call.params.finish()
    _check_filters(venue, order)
    return _submit(venue, order, response, call.unit)


def test_order(venue: BinanceSpot, call: Call) -> Any:
    """Everything but the matching engine; the name is the venue's."""
    order = _read_order(venue, call)
    response_kind(call.params, order)
    rates = call.params.boolean("computeCommissionRates")
    call.params.finish()
    _check_filters(venue, order)
    if not rates:
        return {}
    account = call.account
    nothing = {"maker": render.ZERO8, "taker": render.ZERO8}
    return {
        "standardCommissionForOrder": {
            "maker": f"{account.maker_rate:.8f}",
            "taker": f"{account.taker_rate:.8f}",
        },
        "specialCommissionForOrder": nothing,
        "taxCommissionForOrder": nothing,
        "discount": {
            "enabledForAccount": False,
            "enabledForSymbol": False,
            "discountAsset": "BNB",
            "discount": render.ZERO8,
        },
    }


def _test_weight(params: Params) -> int:
    return 20 if params.values.get("computeCommissionRates", "").lower() == "true" else 1


def find_order(venue: BinanceSpot, call: Call, *, id_name: str, client_name: str, mismatch: VenueError) -> Order | None:
    """The order that the two id parameters point at; None where there is none.

    With both, the venue's id is searched and the client id must belong to it (7.2). Raises -1102 without any.
    """
    params = call.params
    order_id, client_id = params.integer(id_name), params.text(client_name)
    if order_id is None and client_id is None:
        raise VenueError(
            -1102,
            f"Param '{client_name}' or '{id_name}' must be sent, but both were empty/null!",
        )
    order = venue.exchange.find(call.account, market_of(venue, params).symbol, order_id, client_id)
    if order is not None and order_id is not None and client_id not in (None, order.cl_ord_id):
        raise mismatch
    return order


def _check_restriction(params: Params, order: Order) -> None:
    wanted = params.text("cancelRestrictions")
    if wanted is None:
        return
    allowed = {"ONLY_NEW": OrdStatus.NEW, "ONLY_PARTIALLY_FILLED": OrdStatus.PARTIALLY_FILLED}
    if wanted not in allowed:
        raise VenueError(-1145, "Invalid cancelRestrictions")
    if order.is_live and order.ord_status is not allowed[wanted]:
        raise Reject(RejectReason.CANCEL_RESTRICTION, order)


def _cancel(venue: BinanceSpot, order: Order, new_id: str | None, unit: int) -> Any:
    """Cancel one order, or the whole list it belongs to."""
    original = order.cl_ord_id
    order_list = order.order_list
    originals = {} if order_list is None else {leg.order_id: leg.cl_ord_id for leg in order_list.legs}
    venue.exchange.cancel(order, new_id or venue.random_id())
    if order_list is not None:
        return list_report(order_list, originals, unit)
    return render.canceled(order, original, unit)


def list_report(order_list: Any, originals: dict[int, str], unit: int) -> dict[str, Any]:
    """A list with the cancel reports of its legs."""
    body = render.list_head(order_list, unit)
    body["orderReports"] = [
        render.canceled(leg, originals.get(leg.order_id, leg.cl_ord_id), unit) for leg in order_list.legs
    ]
    return body


def cancel(venue: BinanceSpot, call: Call) -> Any:
    params = call.params
    market_of(venue, params)
    new_id = params.client_id("newClientOrderId")
    params.text("cancelRestrictions")
    order = find_order(venue, call, id_name="orderId", client_name="origClientOrderId", mismatch=errors.unknown_order())
    params.finish()
    if order is None:
        raise errors.unknown_order()
    _check_restriction(params, order)
    return _cancel(venue, order, new_id, call.unit)


def cancel_all(venue: BinanceSpot, call: Call) -> Any:
    market = market_of(venue, call.params)
    call.params.finish()
    mine = [order for order in market.open_orders.values() if order.account is call.account]
    # Canceling one leg cancels its whole list, so an order may have gone by the time its turn comes.
    reports = [_cancel(venue, order, None, call.unit) for order in mine if order.is_live]
    if not reports:
        raise errors.unknown_order()
    return reports


def cancel_replace(venue: BinanceSpot, call: Call) -> Any:
    """Cancel one order, then place another: two steps, no transaction (8.5)."""
    params = call.params
    mode = params.require("cancelReplaceMode")
    if mode not in ("STOP_ON_FAILURE", "ALLOW_FAILURE"):
        raise VenueError(-1130, "Data sent for parameter 'cancelReplaceMode' is not valid.")
    exceeded_mode = params.text("orderRateLimitExceededMode") or "DO_NOTHING"
    cancel_id = params.client_id("cancelNewClientOrderId")
    params.text("cancelRestrictions")
    new = _read_order(venue, call)
    response = response_kind(params, new)
    old = find_order(
        venue,
        call,
        id_name="cancelOrderId",
        client_name="cancelOrigClientOrderId",
        mismatch=errors.unknown_order(),
    )
    params.finish()
    filter_error = _filter_error(venue, new)
    if filter_error is not None and mode == "STOP_ON_FAILURE":
        raise filter_error
    exceeded: VenueError | None = None
    try:
        venue.check_order_count(call.account, 1)
    except VenueError as error:
        if exceeded_mode != "CANCEL_ONLY":
            raise
        exceeded = error
    venue.count_orders(call.account, 1)

    cancel_body: Any
    canceled = False
    try:
        if old is None:
            raise errors.unknown_order()
        _check_restriction(params, old)
        cancel_body = _cancel(venue, old, cancel_id, call.unit)
        canceled = True
    except Reject as reject:
        cancel_body = errors.from_reject(reject).body()
    except VenueError as error:
        cancel_body = error.body()
    if not canceled and mode == "STOP_ON_FAILURE":
        raise _replace_error(False, "NOT_ATTEMPTED", cancel_body, None)
    try:
        refused = exceeded or filter_error
        if refused is not None:
            raise refused
        new_body = _submit(venue, new, response, call.unit)
    except Reject as reject:
        raise _replace_error(canceled, "FAILURE", cancel_body, errors.from_reject(reject).body()) from None
    except VenueError as error:
        raise _replace_error(canceled, "FAILURE", cancel_body, error.body()) from None
    if not canceled:
        raise _replace_error(False, "SUCCESS", cancel_body, new_body)
    return {
        "cancelResult": "SUCCESS",
        "newOrderResult": "SUCCESS",
        "cancelResponse": cancel_body,
        "newOrderResponse": new_body,
    }


def _filter_error(venue: BinanceSpot, order: Order) -> VenueError | None:
    try:
        _check_filters(venue, order)
    except VenueError as error:
        return error
    return None


def _replace_error(canceled: bool, new_result: str, cancel_body: Any, new_body: Any) -> VenueError:
    """The five ways in which a cancel-replace does not wholly succeed."""
    data = {
        "cancelResult": "SUCCESS" if canceled else "FAILURE",
        "newOrderResult": new_result,
        "cancelResponse": cancel_body,
        "newOrderResponse": new_body,
    }
    if canceled == (new_result == "SUCCESS"):
        return VenueError(-2022, "Order cancel-replace failed.", data=data)
    if not canceled and new_result == "NOT_ATTEMPTED":
        return VenueError(-2022, "Order cancel-replace failed.", data=data)
    return VenueError(-2021, "Order cancel-replace partially failed.", status=409, data=data)


def amend(venue: BinanceSpot, call: Call) -> Any:
    params = call.params
    market = market_of(venue, params)
    info = venue.infos[market.symbol]
    params.require("newQty")
    new_qty = params.decimal("newQty", precision=info.base_precision)
    assert new_qty is not None
    new_id = params.client_id("newClientOrderId")
    order = find_order(venue, call, id_name="orderId", client_name="origClientOrderId", mismatch=errors.unknown_order())
    params.finish()
    if order is None or not order.is_live:
        raise VenueError(-2038, "Unknown order sent.")
    lot = info.filters["LOT_SIZE"]
    if new_qty <= 0 or (lot["stepSize"] and new_qty % lot["stepSize"]):
        raise errors.filter_failure("LOT_SIZE")
    rule = info.filters.get("MAX_NUM_ORDER_AMENDS", {"maxNumOrderAmends": MAX_AMENDS})
    if order.amends >= int(rule["maxNumOrderAmends"]):
        raise VenueError(-2038, "Filter failure: MAX_NUM_ORDER_AMENDS")
    original, old_qty = order.cl_ord_id, order.order_qty
    exec_id = venue.exchange.amend(order, new_qty, new_id or venue.random_id())
    venue.note_amend(order, exec_id, original, old_qty)
    body: dict[str, Any] = {
        "transactTime": order.update_ns // call.unit,
        "executionId": exec_id,
        "amendedOrder": render.amended(order, original, call.unit),
    }
    if order.order_list is not None:
        body["listStatus"] = render.list_head(order.order_list, call.unit)
    if order.ord_status is OrdStatus.EXPIRED:
        venue.refund_weight(call.peer, 4)
    return body


def rest(verb: str, path: str) -> tuple[str, str]:
    return (verb, f"/api/v3/{path}")


METHODS = [
    Method(
        name="order.place",
        handler=place,
        security=Security.TRADE,
        rest=rest("POST", "order"),
        free_on_success=True,
        orders=1,
    ),
    Method(
        name="order.test",
        handler=test_order,
        weight=_test_weight,
        security=Security.TRADE,
        rest=rest("POST", "order/test"),
    ),
    Method(
        name="order.cancel",
        handler=cancel,
        security=Security.TRADE,
        rest=rest("DELETE", "order"),
        free_on_success=True,
    ),
    Method(
        name="openOrders.cancelAll",
        handler=cancel_all,
        security=Security.TRADE,
        rest=rest("DELETE", "openOrders"),
        free_on_success=True,
    ),
    Method(
        name="order.cancelReplace",
        handler=cancel_replace,
        security=Security.TRADE,
        rest=rest("POST", "order/cancelReplace"),
        free_on_success=True,
        counts_itself=True,
    ),
    Method(
        name="order.amend.keepPriority",
        handler=amend,
        weight=4,
        security=Security.TRADE,
        rest=rest("PUT", "order/amend/keepPriority"),
    ),
]
