"""Order requests (sections 6 and 7): create, amend, cancel, their batches, cancel-all, the dead-man switch.

What is answered is an acknowledgement of receipt.  Here the matching engine has decided by then, but nothing of that is
in the answer; the private stream tells it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tools.simulator.core.accounts import Account
from tools.simulator.core.clock import MS
from tools.simulator.core.model import Order, OrdStatus, Reject, RejectReason
from tools.simulator.dialects.bybit.errors import (
    SPOT,
    VenueError,
    already_final,
    bad_parameter,
    from_reject,
    no_such_order,
    not_permitted,
)
from tools.simulator.dialects.bybit.events import DeadMan
from tools.simulator.dialects.bybit.gateway import Call, Method, draw
from tools.simulator.dialects.bybit.instruments import CATEGORIES
from tools.simulator.dialects.bybit.orders import read_order
from tools.simulator.dialects.bybit.params import Params
from tools.simulator.dialects.bybit.terms import filter_word, link_id, terms_of

if TYPE_CHECKING:
    from tools.simulator.dialects.bybit.venue import Bybit

BATCH_MAX = {"spot": 10, "linear": 20}
CANCEL_ALL_MAX = 500
DCP_WINDOW_S = (3, 300)

One = Callable[["Bybit", Params, str, Account], Order]


def served(params: Params) -> str:
    """The product of an order request.  Raises 10001 for one that is not served."""
    category = params.category()
    if category not in CATEGORIES:
        raise bad_parameter(f"category {category} is not served by this simulator")
    return category


def _ack(order: Order) -> dict[str, str]:
    return {"orderId": order.venue_id, "orderLinkId": link_id(order)}


# ---- one order -----------------------------------------------------------------------------------------------


def create_one(venue: Bybit, params: Params, category: str, account: Account) -> Order:
    """Raises VenueError or Reject.  A PostOnly order that would take is received all the same: the stream tells."""
    order = read_order(venue, params, category, account)
    try:
        venue.exchange.submit(order)
    except Reject as reject:
        if reject.reason is not RejectReason.WOULD_MATCH:
            raise
    return order


def amend_one(venue: Bybit, params: Params, category: str, account: Account) -> Order:
    order = find_order(venue, params, category, account)
    venue.amend(order, params)
    return order


def cancel_one(venue: Bybit, params: Params, category: str, account: Account) -> Order:
    order = find_order(venue, params, category, account)
    # On spot a cancel must say that it means a conditional order, or it looks among the others.
    if category == SPOT and filter_word(order) != (params.text("orderFilter") or "Order"):
        raise no_such_order(category)
    terms_of(order).cancel_type = "CancelByUser"
    venue.exchange.cancel(order, order.cl_ord_id)
    return order


def cancel_in_batch(venue: Bybit, params: Params, category: str, account: Account) -> Order:
    """As `cancel_one`, but a member of a batch cannot say which kind of orders it means."""
    plain = {name: value for name, value in params.values.items() if name != "orderFilter"}
    return cancel_one(venue, Params(plain), category, account)


def find_order(venue: Bybit, params: Params, category: str, account: Account) -> Order:
    """A working order by the venue's id or, without one, by the client's.  Raises for one that is none or has ended."""
    symbol = params.require("symbol")
    if "orderId" not in params and "orderLinkId" not in params:
        raise bad_parameter("orderId or orderLinkId is required")
    order = venue.find_order(account, category, params.text("orderId"), params.text("orderLinkId"))
    if order is None or order.symbol != f"{category}:{symbol}":
        raise no_such_order(category)
    if not order.is_live:
        raise already_final(category, filled=order.ord_status is OrdStatus.FILLED)
    return order


def _single(one: One) -> Callable[[Bybit, Call], Any]:
    def handler(venue: Bybit, call: Call) -> Any:
        return _ack(one(venue, call.params, served(call.params), call.account))

    return handler


# ---- several -------------------------------------------------------------------------------------------------


def _batch(one: One, action: str) -> Callable[[Bybit, Call], Any]:
    """Each member succeeds or fails on its own; those that the bucket no longer holds fail with 10006."""

    def handler(venue: Bybit, call: Call) -> Any:
        category = served(call.params)
        members = call.params.values.get("request")
        if not isinstance(members, list) or not members or not all(isinstance(each, dict) for each in members):
            raise bad_parameter("request is required")
        if len(members) > BATCH_MAX[category]:
            raise bad_parameter(f"request must have 1 to {BATCH_MAX[category]} members")
        passing = draw(venue, action, category, call, len(members))
        rows, outcomes = [], []
        for number, member in enumerate(members):
            row, outcome = _member(venue, one, Params(member), category, call.account, passes=number < passing)
            rows.append(row)
            outcomes.append(outcome)
        call.ext = {"list": outcomes}
        return {"list": rows}

    return handler


def _member(
    venue: Bybit, one: One, params: Params, category: str, account: Account, *, passes: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        if not passes:
            raise VenueError(10006, "Too many visits. Exceeded the API Rate Limit.")
        order = one(venue, params, category, account)
    except Reject as reject:
        error = from_reject(reject, category)
    except VenueError as refusal:
        error = refusal
    else:
        row = {"category": category, "symbol": params.text("symbol"), **_ack(order)}
        return row | {"createAt": str(order.transact_ns // MS)}, {"code": 0, "msg": "OK"}
    symbol = str(params.values.get("symbol", ""))
    named = {"orderId": "", "orderLinkId": str(params.values.get("orderLinkId", ""))}
    row = {"category": category, "symbol": symbol, **named, "createAt": ""}
    return row, {"code": error.code, "msg": error.msg}


def cancel_all(venue: Bybit, call: Call) -> Any:
    """By symbol, else base coin, else settlement coin; contracts must name one of them."""
    params = call.params
    category = served(params)
    symbol, base, settle = params.text("symbol"), params.text("baseCoin"), params.text("settleCoin")
    if category != SPOT and not (symbol or base or settle):
        raise bad_parameter("symbol, baseCoin or settleCoin is required")
    wanted_filter, stop_type = params.text("orderFilter"), params.text("stopOrderType")
    chosen = []
    for order in call.account.open_orders.values():
        instrument, terms = venue.infos[order.symbol], terms_of(order)
        if terms.category != category:
            continue
        if symbol:
            fits = instrument.symbol == symbol
        elif base:
            fits = instrument.base == base
        else:
            fits = not settle or instrument.settle == settle
        if category == SPOT and filter_word(order) != (wanted_filter or "Order"):
            fits = False
        if category != SPOT and (wanted_filter == "StopOrder" or stop_type) and not order.is_conditional:
            fits = False
        if fits:
            chosen.append(order)
    canceled = []
    for order in chosen[:CANCEL_ALL_MAX]:
        if order.is_live:
            terms_of(order).cancel_type = "CancelByUser"
            venue.exchange.cancel(order, order.cl_ord_id)
            canceled.append(_ack(order))
    return {"list": canceled, "success": "1"}


def set_dcp(venue: Bybit, call: Call) -> Any:
    """The dead-man switch's window; institutions alone may set it."""
    if call.account.name not in venue.institutions:
        raise not_permitted()
    products = tuple(product for product, _ in DeadMan.PRODUCTS.values())
    product = call.params.choice("product", products, "OPTIONS")
    window = call.params.integer("timeWindow", 0)
    if not DCP_WINDOW_S[0] <= window <= DCP_WINDOW_S[1]:
        raise bad_parameter("timeWindow must be 3 to 300")
    venue.dcp.windows[call.account, product] = window
    return {}


def _order_method(op: str, handler: Callable[[Bybit, Call], Any], action: str, *, batch: bool = False) -> Method:
    return Method(name=f"order.{op}", verb="POST", path=f"/v5/order/{op}", handler=handler, action=action, batch=batch)


METHODS = [
    _order_method("create", _single(create_one), "create"),
    _order_method("amend", _single(amend_one), "amend"),
    _order_method("cancel", _single(cancel_one), "cancel"),
    _order_method("cancel-all", cancel_all, "cancel-all"),
    _order_method("create-batch", _batch(create_one, "create-batch"), "create-batch", batch=True),
    _order_method("amend-batch", _batch(amend_one, "amend-batch"), "amend-batch", batch=True),
    _order_method("cancel-batch", _batch(cancel_in_batch, "cancel-batch"), "cancel-batch", batch=True),
    Method(
        name="order.disconnected-cancel-all",
        verb="POST",
        path="/v5/order/disconnected-cancel-all",
        handler=set_dcp,
        rate=5,
    ),
]
TRADE_OPS = ("create", "amend", "cancel", "create-batch", "amend-batch", "cancel-batch")
