"""Orders: place, amend, cancel, in batches too; what is open, what was, and its fills (sections 5, 6, 10 and 12)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from tools.simulator.core.clock import DAY, MS, SECOND
from tools.simulator.core.model import Order, Reject, RejectReason
from tools.simulator.dialects.okx import order_rows
from tools.simulator.dialects.okx.errors import OkxError, bad_param, empty, from_reject
from tools.simulator.dialects.okx.gateway import Call, Method, Security, each
from tools.simulator.dialects.okx.instruments import INST_TYPES, SPOT
from tools.simulator.dialects.okx.limits import BATCH_MAX, Demand
from tools.simulator.dialects.okx.order_rows import Bill
from tools.simulator.dialects.okx.orders import OrderReader, check_size, client_id, inside_band, instrument_of, terms
from tools.simulator.dialects.okx.params import Params
from tools.simulator.dialects.okx.text import ms

if TYPE_CHECKING:
    from tools.simulator.dialects.okx.venue import OkxVenue

UNFILLED_KEPT_NS = 2 * 3600 * SECOND
"""An order that was canceled without a fill is forgotten after this time."""
WEEK_NS, FILLS_NS = 7 * DAY, 3 * DAY
STATES = ("live", "partially_filled", "filled", "canceled", "mmp_canceled")


def result(venue: OkxVenue, order: Order) -> dict[str, Any]:
    """Accepted by the gateway; what becomes of it is told on the channel."""
    return {
        "ordId": order.venue_id,
        "clOrdId": client_id(order),
        "tag": terms(order).tag,
        "ts": ms(venue.clock.now_ns()),
        "sCode": "0",
        "sMsg": "",
        "subCode": "",
    }


# ------------------------------------------------------------------------------------------------- changes
def place(venue: OkxVenue, call: Call) -> list[Any]:
    def one(params: Params) -> dict[str, Any]:
        instrument = instrument_of(venue, params, by_code=call.by_code)
        order = OrderReader(venue, call.account, instrument, params).read()
        submit(venue, order)
        return result(venue, order)

    return each(call, one)


def submit(venue: OkxVenue, order: Order) -> None:
    """Enter an order. One that must not take and would is accepted, and then canceled (5.1). Raises Reject."""
    try:
        venue.exchange.submit(order)
    except Reject as reject:
        if reject.reason is not RejectReason.WOULD_MATCH:
            raise
        venue.keep_unborn(order)


def find(venue: OkxVenue, call: Call, params: Params) -> Order | None:
    """By `ordId`, which wins, or `clOrdId`: of an id used again the newest. Raises OkxError 51000 without either."""
    instrument = instrument_of(venue, params, by_code=call.by_code)
    order_id, cl_ord_id = params.text("ordId"), params.text("clOrdId")
    if not order_id and not cl_ord_id:
        raise OkxError("51000", "Parameter ordId or clOrdId is required")
    if order_id:
        order = venue.exchange.by_venue_id.get(order_id)
        if order is None or order.account is not call.account or order.symbol != instrument.inst_id:
            return None
        return order if venue.exists(order) else None
    return venue.exchange.last_by_cl.get((call.account.name, instrument.inst_id, cl_ord_id))


def cancel(venue: OkxVenue, call: Call) -> list[Any]:
    def one(params: Params) -> dict[str, Any]:
        order = find(venue, call, params)
        if order is None or not order.is_live:
            raise OkxError("51400")
        venue.cancel(order, order_rows.BY_USER)
        return result(venue, order)

    return each(call, one)


def amend(venue: OkxVenue, call: Call) -> list[Any]:
    """What is wrong with the request is refused; what only the engine can refuse comes on the channel (5.2)."""

    def one(params: Params) -> dict[str, Any]:
        order = find(venue, call, params)
        if order is None or not order.is_live:
            raise OkxError("51503")
        size, price = params.decimal("newSz"), params.decimal("newPx")
        request_id = params.name("reqId")
        if size is None and price is None:
            raise empty("newSz or newPx")
        instrument = venue.instruments[order.symbol]
        if size is not None:
            check_size(instrument, size, market=False)
        if price is not None:
            if not price or order.limit_px is None:
                raise bad_param("newPx")
            if price % instrument.tick:
                raise OkxError("51150")
            market, move = venue.exchange.markets[order.symbol], params.text("pxAmendType") == "1"
            price = inside_band(instrument, market, order.side, price, move=move)
        kept = terms(order)
        kept.req_id, kept.amend_source, kept.amend_result = request_id, "1", order_rows.AMEND_DONE
        try:
            venue.exchange.replace(order, price=price, qty=size, keeps_place=True)
        except Reject as reject:
            if reject.reason is RejectReason.AMEND_NO_CHANGE:
                venue.events.order_state(order)
            else:
                _amend_failed(venue, order, from_reject(reject), cancel=params.flag("cxlOnFail"))
        finally:
            kept.req_id = kept.amend_source = kept.amend_result = kept.code = kept.msg = ""
        return result(venue, order) | {"reqId": request_id}

    return each(call, one)


def _amend_failed(venue: OkxVenue, order: Order, error: OkxError, *, cancel: bool) -> None:
    """The order keeps its terms (-1), or goes with the amend (1)."""
    kept = terms(order)
    if cancel:
        kept.amend_result = order_rows.AMEND_CANCELED
        venue.cancel(order, order_rows.BY_USER, code=error.code, msg=error.msg)
    else:
        kept.amend_result, kept.code, kept.msg = order_rows.AMEND_FAILED, error.code, error.msg
        venue.events.order_state(order)


def cancel_all_after(venue: OkxVenue, call: Call) -> list[Any]:
    """The dead-man switch: 0 to disarm, or 10 to 120 s (5.6)."""
    seconds = call.params.integer("timeOut")
    if seconds is None:
        raise empty("timeOut")
    if seconds != 0 and not 10 <= seconds <= 120:
        raise bad_param("timeOut")
    tag = call.params.tag()
    now = venue.clock.now_ns()
    trigger_ns = venue.dead_man.arm(call.account, tag, seconds)
    return [{"triggerTime": str(trigger_ns // SECOND), "tag": tag, "ts": str(now // SECOND)}]


def mass_cancel(venue: OkxVenue, call: Call) -> list[Any]:
    """For options of market makers only, which are not carried out here (5.5)."""
    if call.params.choice("instType", INST_TYPES) != "OPTION":
        raise bad_param("instType")
    raise OkxError("51010")


def close_position(venue: OkxVenue, call: Call) -> list[Any]:
    """A market order of the whole position, after its closing orders where `autoCxl` says so (5.5)."""
    params = call.params
    instrument = instrument_of(venue, params, by_code=False)
    if not instrument.is_swap:
        raise OkxError("51001")
    params.choice("mgnMode", ("cross", "isolated"))
    hedged = call.account.hedge
    side = params.choice("posSide", ("long", "short") if hedged else ("net",), None if hedged else "net")
    order = venue.closing_order(call.account, instrument, side)
    if order is None:
        raise OkxError("51023", "Position does not exist")
    reducing = [
        one
        for one in call.account.open_orders.values()
        if one.symbol == instrument.inst_id and one.side is order.side and one.position_side is order.position_side
    ]
    if reducing and not params.flag("autoCxl"):
        raise OkxError("51115", "Cancel all pending close orders before liquidation")
    for one in reducing:
        venue.cancel(one, order_rows.BY_USER)
    terms(order).tag = params.tag()
    submit(venue, order)
    return [
        {
            "instId": instrument.inst_id,
            "posSide": side,
            "clOrdId": params.text("clOrdId"),
            "tag": params.text("tag"),
        }
    ]


# ------------------------------------------------------------------------------------------------- queries
def _row(venue: OkxVenue, order: Order) -> dict[str, Any]:
    fills = venue.fills_of(order)
    return order_rows.order_row(
        order, venue.instruments[order.symbol], last=fills[-1].fill if fills else None, channel=False
    )


def _remembered(venue: OkxVenue, order: Order) -> bool:
    """Canceled orders without a fill are gone after two hours."""
    if order.is_live or order.cum_qty:
        return True
    return venue.clock.now_ns() - order.update_ns < UNFILLED_KEPT_NS


def order_details(venue: OkxVenue, call: Call) -> list[Any]:
    order = find(venue, call, call.params)
    if order is None or not _remembered(venue, order):
        raise OkxError("51603")
    return [_row(venue, order)]


def _chosen(venue: OkxVenue, call: Call, orders: Iterable[Order], *, by: Callable[[Order], int]) -> list[Any]:
    """Filtered, newest first, one page: `after` an id means older, `before` newer (10)."""
    params = call.params
    kind = params.choice("instType", INST_TYPES, "")
    state, ord_type, inst_id = params.text("state"), params.text("ordType"), params.text("instId")
    family = params.text("instFamily") or params.text("uly")
    if state and state not in STATES:
        raise bad_param("state")
    begin, end = params.integer("begin"), params.integer("end")
    after, before = params.integer("after"), params.integer("before")
    rows = []
    for order in sorted(orders, key=by, reverse=True):
        kept, instrument = terms(order), venue.instruments[order.symbol]
        if (
            (kind and kept.inst_type != kind)
            or (inst_id and order.symbol != inst_id)
            or (family and instrument.family != family)
            or (state and order_rows.state_of(order) != state)
            or (ord_type and kept.ord_type not in ord_type.split(","))
            or (begin is not None and order.transact_ns // MS < begin)
            or (end is not None and order.transact_ns // MS > end)
            or (after is not None and by(order) >= after)
            or (before is not None and by(order) <= before)
        ):
            continue
        rows.append(_row(venue, order))
    return rows[: params.limit()]


def _number(order: Order) -> int:
    return int(order.venue_id)


def orders_pending(venue: OkxVenue, call: Call) -> list[Any]:
    """All kinds of instruments in one list."""
    return _chosen(venue, call, call.account.open_orders.values(), by=_number)


def _finished(venue: OkxVenue, call: Call, span_ns: int | None) -> list[Any]:
    since = 0 if span_ns is None else venue.clock.now_ns() - span_ns
    orders = [
        order
        for order in call.account.orders
        if not order.is_live and order.update_ns >= since and _remembered(venue, order)
    ]
    return _chosen(venue, call, orders, by=_number)


def orders_history(venue: OkxVenue, call: Call) -> list[Any]:
    """Seven days. The kind of instrument must be said."""
    call.params.require("instType")
    return _finished(venue, call, WEEK_NS)


def orders_history_archive(venue: OkxVenue, call: Call) -> list[Any]:
    call.params.require("instType")
    return _finished(venue, call, None)


def _fills(venue: OkxVenue, call: Call, span_ns: int | None) -> list[Any]:
    """Newest first, paged by bill id."""
    params = call.params
    kind = params.choice("instType", INST_TYPES, "")
    inst_id, order_id = params.text("instId"), params.text("ordId")
    family = params.text("instFamily") or params.text("uly")
    begin, end = params.integer("begin"), params.integer("end")
    after, before = params.integer("after"), params.integer("before")
    since = 0 if span_ns is None else venue.clock.now_ns() - span_ns

    def wanted(bill: Bill) -> bool:
        instrument, time_ns = venue.instruments[bill.order.symbol], bill.fill.trade.time_ns
        return (
            time_ns >= since
            and kind in ("", instrument.inst_type)
            and inst_id in ("", bill.order.symbol)
            and order_id in ("", bill.order.venue_id)
            and family in ("", instrument.family)
            and (begin is None or time_ns // MS >= begin)
            and (end is None or time_ns // MS <= end)
            and (after is None or bill.bill_id < after)
            and (before is None or bill.bill_id > before)
        )

    found = [bill for bill in reversed(venue.bills(call.account)) if wanted(bill)]
    return [order_rows.fill_row(bill, venue.instruments[bill.order.symbol]) for bill in found[: params.limit()]]


def fills(venue: OkxVenue, call: Call) -> list[Any]:
    """Three days."""
    return _fills(venue, call, FILLS_NS)


def fills_history(venue: OkxVenue, call: Call) -> list[Any]:
    """Three months, of one kind of instrument."""
    call.params.require("instType")
    return _fills(venue, call, None)


def account_rate_limit(venue: OkxVenue, call: Call) -> list[Any]:
    """The lowest tier: no fill ratio is computed."""
    return [
        {
            "accRateLimit": str(venue.limits.account_orders_per_2s),
            "fillRatio": "",
            "mainFillRatio": "",
            "nextAccRateLimit": "",
            "ts": ms(venue.clock.now_ns()),
        }
    ]


# -------------------------------------------------------------------------------------------------- limits
def _order_demands(venue: OkxVenue, call: Call) -> Iterable[Demand]:
    """Per user and instrument; a batch of one counts as a single request; contracts in all besides (3)."""
    limits, kind = venue.limits, call.method.op.removeprefix("batch-").removesuffix("s")
    single = len(call.items) == 1
    limit = limits.orders_per_2s if single else limits.batch_orders_per_2s
    counts: dict[str, int] = {}
    contracts = 0
    for params in call.items:
        name = params.text("instIdCode" if call.by_code else "instId")
        found = venue.by_code.get(int(name)) if call.by_code and name.isdigit() else venue.instruments.get(name)
        inst_id = name if found is None else found.inst_id
        counts[inst_id] = counts.get(inst_id, 0) + 1
        contracts += found is not None and found.inst_type != SPOT
    bucket = _BUCKETS[kind] if single else f"batch-{_BUCKETS[kind]}"
    demands = [
        Demand((bucket, call.account.name, inst_id), limit, amount=amount)
        for inst_id, amount in counts.items()
        if limit
    ]
    if contracts and call.method.deadline and limits.account_orders_per_2s:
        key = ("account-orders", call.account.name)
        demands.append(Demand(key, limits.account_orders_per_2s, amount=contracts, code="50061"))
    return demands


_BUCKETS = {"order": "place", "amend-order": "amend", "cancel-order": "cancel"}


def _order_method(op: str, path: str, handler: Any, *, batch: int = 1, deadline: bool = True) -> Method:
    return Method(
        name=op,
        handler=handler,
        rest=("POST", f"/api/v5/trade/{path}"),
        security=Security.TRADE,
        demands=_order_demands,
        batch=batch,
        op=op,
        places=handler is place,
        deadline=deadline,
        orders=True,
    )


def _timer_demands(venue: OkxVenue, call: Call) -> Iterable[Demand]:
    if not venue.limits.reads_percent:
        return ()
    return (Demand(("cancel-all-after", call.account.name, call.params.text("tag")), 1, window_ns=SECOND),)


def _account_limit_demands(venue: OkxVenue, call: Call) -> Iterable[Demand]:
    if not venue.limits.reads_percent:
        return ()
    return (Demand(("account-rate-limit", call.account.name), 1, window_ns=SECOND),)


def _get(name: str, handler: Any, limit: int) -> Method:
    return Method(name=name, handler=handler, rest=("GET", f"/api/v5/trade/{name}"), limit=limit)


METHODS = (
    _order_method("order", "order", place),
    _order_method("batch-orders", "batch-orders", place, batch=BATCH_MAX),
    _order_method("amend-order", "amend-order", amend),
    _order_method("batch-amend-orders", "amend-batch-orders", amend, batch=BATCH_MAX),
    _order_method("cancel-order", "cancel-order", cancel, deadline=False),
    _order_method("batch-cancel-orders", "cancel-batch-orders", cancel, batch=BATCH_MAX, deadline=False),
    Method(
        name="mass-cancel",
        handler=mass_cancel,
        rest=("POST", "/api/v5/trade/mass-cancel"),
        security=Security.TRADE,
        limit=5,
        op="mass-cancel",
    ),
    Method(
        name="cancel-all-after",
        handler=cancel_all_after,
        rest=("POST", "/api/v5/trade/cancel-all-after"),
        security=Security.TRADE,
        demands=_timer_demands,
    ),
    Method(
        name="close-position",
        handler=close_position,
        rest=("POST", "/api/v5/trade/close-position"),
        security=Security.TRADE,
        limit=20,
    ),
    Method(name="order-details", handler=order_details, rest=("GET", "/api/v5/trade/order"), limit=60),
    _get("orders-pending", orders_pending, 60),
    _get("orders-history", orders_history, 40),
    _get("orders-history-archive", orders_history_archive, 20),
    _get("fills", fills, 60),
    _get("fills-history", fills_history, 10),
    Method(
        name="account-rate-limit",
        handler=account_rate_limit,
        rest=("GET", "/api/v5/trade/account-rate-limit"),
        demands=_account_limit_demands,
    ),
)
