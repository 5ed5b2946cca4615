"""What an account may ask and order (section 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.simulator.core.clock import DAY, SECOND
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.model import Order, OrdStatus, Side
from tools.simulator.dialects.upbit import errors, private, steps
from tools.simulator.dialects.upbit.errors import VenueError
from tools.simulator.dialects.upbit.gateway import Call, Method
from tools.simulator.dialects.upbit.orders import order_of, replacement_of, ticket_of, wish_of
from tools.simulator.dialects.upbit.params import Params
from tools.simulator.dialects.upbit.render import iso_kst, text

if TYPE_CHECKING:
    from tools.simulator.dialects.upbit.venue import Upbit

CANCEL_BATCH_MAX, CANCEL_ALL_MAX, CANCEL_ALL_DEFAULT = 20, 300, 20
BY_ID_MAX, OPEN_PAGE_MAX, CLOSED_MAX, CLOSED_DEFAULT = 100, 100, 1000, 100
CLOSED_WINDOW_NS = 7 * DAY
PAIRS_MAX = 20


# ---- the account -----------------------------------------------------------------------------------------------


def accounts(venue: Upbit, call: Call) -> Any:
    """Everything that the account holds; what it does not hold is not in the list."""
    return [_asset(venue, call, asset) for asset, balance in call.account.balances.items() if balance.total]


def _asset(venue: Upbit, call: Call, asset: str) -> dict[str, Any]:
    balance = call.account.balance(asset)
    return {
        "currency": asset,
        "balance": text(balance.free),
        "locked": text(balance.locked),
        "avg_buy_price": text(venue.average_price(call.account, asset)),
        "avg_buy_price_modified": False,
        "unit_currency": "KRW",
    }


def chance(venue: Upbit, call: Call) -> Any:
    """Fees and bounds of this account in one market."""
    market = venue.exchange.markets.get(call.params.require("market"))
    if market is None:
        raise errors.no_such_market()
    spec, account = market.spec, call.account
    least, most = text(steps.MIN_TOTAL.get(spec.quote, ZERO)), steps.MAX_TOTAL.get(spec.quote)
    common = ["best_fok", "best_ioc", "limit", "limit_fok", "limit_ioc"]
    return {
        "bid_fee": text(account.taker_rate),
        "ask_fee": text(account.taker_rate),
        "maker_bid_fee": text(account.maker_rate),
        "maker_ask_fee": text(account.maker_rate),
        "market": {
            "id": market.symbol,
            "name": f"{spec.base}/{spec.quote}",
            "order_types": ["limit"],
            "order_sides": ["ask", "bid"],
            "bid_types": [*common, "price"],
            "ask_types": [*common, "market"],
            "bid": {"currency": spec.quote, "min_total": least},
            "ask": {"currency": spec.base, "min_total": least},
            **({} if most is None else {"max_total": text(most)}),
            "state": "active" if spec.trading else "offline",
        },
        "bid_account": _asset(venue, call, spec.quote),
        "ask_account": _asset(venue, call, spec.base),
    }


# ---- new orders ------------------------------------------------------------------------------------------------


def place(venue: Upbit, call: Call) -> Any:
    """The answer shows the order as it was taken in, before it met the book."""
    wish = wish_of(venue, call.params)
    if wish.identifier is not None:
        venue.use_identifier(call.account, wish.identifier)
    order = order_of(venue, wish, call.account)
    venue.exchange.submit(order)
    return venue.accepted_row(order)


def test_order(venue: Upbit, call: Call) -> Any:
    """Everything but the matching engine: an order that cannot be found afterwards."""
    wish = wish_of(venue, call.params)
    if wish.identifier is not None and venue.is_used(call.account, wish.identifier):
        raise errors.duplicated()
    order = order_of(venue, wish, call.account)
    return private.order_row(order, fresh=True) | {
        "uuid": venue.nameless_id(),
        "created_at": iso_kst(venue.clock.now_ns()),
    }


# ---- cancels ---------------------------------------------------------------------------------------------------


def _find(venue: Upbit, call: Call, uuid_name: str = "uuid", identifier_name: str = "identifier") -> Order:
    """The order that one of the two names. Raises 404, or 400 where neither is given."""
    uuid, identifier = call.params.text(uuid_name), call.params.text(identifier_name)
    if uuid is None and identifier is None:
        raise errors.validation(f"{uuid_name} or {identifier_name}")
    found = venue.find(call.account, uuid=uuid, identifier=identifier)
    if found is None:
        raise errors.order_not_found()
    return found


def cancel(venue: Upbit, call: Call) -> Any:
    """A request to cancel: the answer shows the order as it still is."""
    order = _find(venue, call)
    if not order.is_live:
        raise errors.order_not_found()
    row = private.order_row(order)
    venue.cancel_soon(order)
    return row


def _cancel_many(venue: Upbit, orders: list[Order], missing: list[dict[str, Any]]) -> Any:
    taken = [order for order in orders if order.is_live]
    gone = [order for order in orders if not order.is_live]
    rows = [_name(order) for order in taken]
    for order in taken:
        venue.cancel_soon(order)
    failed = [*(_name(order) for order in gone), *missing]
    return {
        "success": {"count": len(rows), "orders": rows},
        "failed": {"count": len(failed), "orders": failed},
    }


def _name(order: Order) -> dict[str, Any]:
    ticket = ticket_of(order)
    row = {"uuid": order.venue_id, "market": order.symbol}
    return row if ticket.identifier is None else row | {"identifier": ticket.identifier}


def cancel_by_id(venue: Upbit, call: Call) -> Any:
    """Up to 20 orders, named by the venue's ids or by the client's."""
    found, missing = _by_ids(venue, call, CANCEL_BATCH_MAX)
    return _cancel_many(venue, found, missing)


def _by_ids(venue: Upbit, call: Call, most: int) -> tuple[list[Order], list[dict[str, Any]]]:
    uuids, identifiers = call.params.array("uuids"), call.params.array("identifiers")
    if bool(uuids) == bool(identifiers):
        raise errors.validation("uuids[] or identifiers[]", "must be given, and not both")
    if len(uuids or identifiers) > most:
        raise errors.validation("uuids[] or identifiers[]", f"must be {most} at most")
    found: list[Order] = []
    missing: list[dict[str, Any]] = []
    for uuid in uuids:
        order = venue.find(call.account, uuid=uuid)
        found.append(order) if order is not None else missing.append({"uuid": uuid})
    for identifier in identifiers:
        order = venue.find(call.account, identifier=identifier)
        found.append(order) if order is not None else missing.append({"identifier": identifier})
    return found, missing


def cancel_open(venue: Upbit, call: Call) -> Any:
    """Many at once: 20 unless asked for more, 300 at most."""
    params = call.params
    side = params.choice("cancel_side", ("all", "bid", "ask"), "all")
    pairs, quotes = params.listed("pairs"), params.listed("quote_currencies")
    excluded = set(params.listed("excluded_pairs"))
    if pairs and quotes:
        raise VenueError("invalid_parameter", "pairs and quote_currencies exclude each other.")
    if len(pairs) > PAIRS_MAX or len(excluded) > PAIRS_MAX:
        raise VenueError("invalid_parameter", f"At most {PAIRS_MAX} pairs.")
    if unknown := [pair for pair in pairs if pair not in venue.exchange.markets]:
        raise VenueError("notfoundmarket", f"There is no market {unknown[0]}.")
    newest = params.choice("order_by", ("desc", "asc"), "desc") == "desc"
    count = params.count("count", CANCEL_ALL_DEFAULT, CANCEL_ALL_MAX)
    wanted_side = {"all": None, "bid": Side.BUY, "ask": Side.SELL}[side]
    chosen = [
        order
        for order in call.account.open_orders.values()
        if (wanted_side is None or order.side is wanted_side)
        and (not pairs or order.symbol in pairs)
        and (not quotes or venue.exchange.markets[order.symbol].spec.quote in quotes)
        and order.symbol not in excluded
    ]
    chosen.sort(key=lambda order: order.order_id, reverse=newest)
    return _cancel_many(venue, chosen[:count], [])


def cancel_and_new(venue: Upbit, call: Call) -> Any:
    """The new order is made when the cancel has been carried out, and only if it was this cancel that ended the old."""
    old = _find(venue, call, "prev_order_uuid", "prev_order_identifier")
    if not old.is_live:
        raise errors.order_not_found()
    wish = replacement_of(call.params, old, venue.exchange.markets[old.symbol])
    if wish.identifier is not None:
        venue.use_identifier(call.account, wish.identifier)
    new = order_of(venue, wish, call.account)
    new.extra["uuid"] = venue.nameless_id()
    new.extra["remain_only"] = call.params.text("new_volume") == "remain_only"
    row = private.order_row(old) | {"new_order_uuid": new.extra["uuid"]}
    if wish.identifier is not None:
        row["new_order_identifier"] = wish.identifier
    venue.cancel_soon(old, then=new)
    return row


# ---- reads -----------------------------------------------------------------------------------------------------


def one_order(venue: Upbit, call: Call) -> Any:
    """The only answer that shows fills."""
    return private.order_row(_find(venue, call), trades=True)


def orders_by_id(venue: Upbit, call: Call) -> Any:
    """Up to 100 orders; what is not there is left out."""
    market = call.params.text("market")
    newest = call.params.choice("order_by", ("desc", "asc"), "desc") == "desc"
    found, _ = _by_ids(venue, call, BY_ID_MAX)
    chosen = [order for order in found if market is None or order.symbol == market]
    return _rows(chosen, newest)


def _rows(orders: list[Order], newest: bool) -> list[dict[str, Any]]:
    orders.sort(key=lambda order: (order.transact_ns, order.order_id), reverse=newest)
    return [private.order_row(order) for order in orders]


def _states(params: Params, allowed: tuple[str, ...], default: tuple[str, ...]) -> set[str]:
    single = params.text("state")
    states = params.array("states") or ([single] if single is not None else list(default))
    if set(states) - set(allowed):
        raise errors.validation("states[]", f"must be of {', '.join(allowed)}")
    return set(states)


def open_orders(venue: Upbit, call: Call) -> Any:
    """By pages; without `states[]` only those that wait."""
    params = call.params
    states = _states(params, ("wait", "watch"), ("wait",))
    return _page(call, [order for order in call.account.open_orders.values() if "wait" in states])


def _page(call: Call, orders: list[Order]) -> list[dict[str, Any]]:
    params = call.params
    market = params.text("market")
    limit = params.count("limit", OPEN_PAGE_MAX, OPEN_PAGE_MAX)
    start = (params.count("page", 1, 10**9) - 1) * limit
    rows = _rows(
        [order for order in orders if market is None or order.symbol == market],
        params.choice("order_by", ("desc", "asc"), "desc") == "desc",
    )
    return rows[start : start + limit]


def closed_orders(venue: Upbit, call: Call) -> Any:
    """A window of at most seven days over the time at which orders were made."""
    params = call.params
    states = _states(params, ("done", "cancel"), ("done", "cancel"))
    start_ns, end_ns = params.moment_ns("start_time", zone=True), params.moment_ns("end_time", zone=True)
    now_ns = venue.clock.now_ns() + SECOND
    if start_ns is None:
        end_ns = now_ns if end_ns is None else end_ns
        start_ns = end_ns - CLOSED_WINDOW_NS
    elif end_ns is None:
        end_ns = start_ns + CLOSED_WINDOW_NS
    if not 0 <= end_ns - start_ns <= CLOSED_WINDOW_NS:
        raise VenueError("invalid_parameter", "The window must be seven days at most.")
    market = params.text("market")
    chosen = [
        order
        for order in call.account.orders
        if private.state_of(order) in states
        and order.ord_status is not OrdStatus.REJECTED
        and start_ns <= order.transact_ns <= end_ns
        and (market is None or order.symbol == market)
    ]
    newest = params.choice("order_by", ("desc", "asc"), "desc") == "desc"
    return _rows(chosen, newest)[: params.count("limit", CLOSED_DEFAULT, CLOSED_MAX)]


def old_list(venue: Upbit, call: Call) -> Any:
    """`GET /v1/orders`, deprecated since 2024-06 and still answered: orders of one state, by pages."""
    states = _states(call.params, ("wait", "watch", "done", "cancel"), ("wait",))
    return _page(call, [order for order in call.account.orders if private.state_of(order) in states])


def _method(name: str, verb: str, path: str, handler: Any, group: str = "default", **more: Any) -> Method:
    return Method(name=name, verb=verb, path=f"/v1/{path}", group=group, handler=handler, **more)


METHODS = [
    _method("account.status", "GET", "accounts", accounts),
    _method("chance", "GET", "orders/chance", chance),
    _method("order.place", "POST", "orders", place, "order", trades=True, status=201),
    _method("order.test", "POST", "orders/test", test_order, "order-test", trades=True, status=201),
    _method("order.cancelReplace", "POST", "orders/cancel_and_new", cancel_and_new, "order", trades=True, status=201),
    _method("order.cancel", "DELETE", "order", cancel, trades=True),
    _method("orders.cancel", "DELETE", "orders/uuids", cancel_by_id, trades=True),
    _method("openOrders.cancelAll", "DELETE", "orders/open", cancel_open, "order-cancel-all", trades=True),
    _method("order.status", "GET", "order", one_order),
    _method("orders.status", "GET", "orders/uuids", orders_by_id),
    _method("openOrders.status", "GET", "orders/open", open_orders),
    _method("allOrders", "GET", "orders/closed", closed_orders),
    _method("allOrders", "GET", "orders", old_list),
]
