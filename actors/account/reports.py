"""What the venue says about an order, judged: the account's own version of it, or why there is none.

Reports of one order come by three roads (stream, reply, query) in any order, any number of times, and some not at all.
`judge` makes of each the report that goes into the journal and to all readers.  There `cum_qty` and `ord_status` are
those of the order after the report, so readers see quantities that never fall and a status that never goes back; a
report that changes nothing becomes `DUPLICATE`.

Fills first, then the end: a report that ends an order while it counts more than the trades that we hold is `HELD` until
those have come, because whoever hears that an order is over acts on the position at once.  Nothing is ever booked from
a cumulative quantity: what is missing is fetched (P5).
"""

from __future__ import annotations

import enum
from decimal import Decimal

from actors.account.order import FILL_TYPES, MEANING, Order, next_status
from actors.account.orders import Orders
from protocols.enums import ExecType, OrdStatus, OrdType
from protocols.ids import OrderID, TradeID
from protocols.orders import ExecutionReport

ZERO = Decimal(0)

_TRADE, _NEW, _REPLACED, _RESTATED = ExecType.TRADE, ExecType.NEW, ExecType.REPLACED, ExecType.RESTATED
_ORDER_STATUS = ExecType.ORDER_STATUS
_TELLS_TERMS = (_NEW, _REPLACED, _RESTATED)


class Verdict(enum.Enum):
    """Why a report does not go into the journal."""

    DUPLICATE = "duplicate"
    """It tells nothing that we did not know."""
    HELD = "held"
    """It ends the order, and trades that it counts have not come yet."""
    TOO_OLD = "too_old"
    """Older than our memory of fills: nobody can say whether it was applied."""
    NO_TRADE_ID = "no_trade_id"
    """A fill without an id could not be recognised when it comes again; the order is queried instead."""


def judge(order: Order, report: ExecutionReport, orders: Orders, claimed: Decimal) -> ExecutionReport | Verdict:
    """The account's version of `report` about `order`; `claimed` is the most that the venue ever said was filled."""
    kind = report.exec_type
    request = order.request
    if kind is _TRADE:
        trade_id = report.trade_id or TradeID(report.exec_id)
        if not trade_id:
            return Verdict.NO_TRADE_ID
        if (request.symbol, trade_id) in orders.fills:
            return Verdict.DUPLICATE
        if orders.fills_horizon and report.transact_ns < orders.fills_horizon.get(request.symbol, 0):
            return Verdict.TOO_OLD
        cum_qty = order.cum_qty + report.last_qty
        cum_quote = order.cum_quote + report.last_qty * report.last_px
        order_qty = order.order_qty
        if cum_qty > order_qty and order.is_manual:
            order_qty = cum_qty  # its total was never ours to know
        if order.amend_qty is not None and cum_qty >= order_qty:
            order_qty, status = _full_while_amending(order, report, cum_qty)
        else:
            status = next_status(order.ord_status, kind, cum_qty, order_qty)
        # Written out, because this is the path of every trade; `_report` says the same for the others.
        return ExecutionReport(
            request.cl_ord_id,
            report.order_id or order.order_id or OrderID(""),
            request.account,
            request.strategy,
            request.venue,
            request.symbol,
            request.side,
            kind,
            status,
            order_qty,
            cum_qty,
            report.transact_ns,
            report.received_ns,
            request.ord_type,
            order.price,
            report.last_qty,
            report.last_px,
            cum_quote,
            trade_id,
            report.fee,
            report.fee_asset,
            report.liquidity,
            report.exec_id,
            report.text,
            report.poss_dup,
            report.leg,
            request.orig_cl_ord_id,
        )
    if kind in FILL_TYPES:
        return _judge_correction(order, report, orders)
    if kind is _ORDER_STATUS:
        kind = _meaning(order, report)
    if order.amend_qty is not None and kind in _TELLS_TERMS:
        kind = _REPLACED if _confirms_amend(order, report, kind) else _RESTATED if kind is _REPLACED else kind
    if kind is _REPLACED and order.amend_qty is not None:
        order_qty, price = order.amend_qty, order.price if report.price is None else report.price
    else:
        order_qty, price = _terms(order, report, kind)
    if kind is _NEW and order.order_id is not None and order_qty > order.order_qty:
        kind = _RESTATED  # whoever only hears of smaller quantities must hear of this one
    status = next_status(order.ord_status, kind, order.cum_qty, order_qty)
    if kind is _ORDER_STATUS and not order.finished_ns:
        status = OrdStatus.FILLED
    if status is order.ord_status:
        if (
            order_qty == order.order_qty
            and price == order.price
            and (order.order_id is not None or not report.order_id)
            and not order.is_renamed_by(report.order_id)
            and order.doubt is None
            and (kind is not _REPLACED or order.amend_qty is None)
        ):
            return Verdict.DUPLICATE
    elif status.is_final and (claimed > order.cum_qty or report.cum_qty > order.cum_qty):
        return Verdict.HELD
    return _report(order, report, kind, status, order_qty, price, order.cum_qty, order.cum_quote, None)


def _full_while_amending(order: Order, report: ExecutionReport, cum_qty: Decimal) -> tuple[Decimal, OrdStatus]:
    """Total and status of an order that is full by the terms that we know, while others are on their way.

    It may have more to do: then the amend came first, and its confirmation is late.  It is over when the venue calls it
    so, or when even the larger total is filled.
    """
    order_qty = order.order_qty
    most = max(order_qty, order.amend_qty or order_qty)
    if cum_qty < most and not (report.ord_status is OrdStatus.FILLED and cum_qty == order_qty):
        return max(order_qty, cum_qty), order.ord_status
    return most if cum_qty > order_qty else order_qty, next_status(order.ord_status, _TRADE, cum_qty, order_qty)


def is_live(report: ExecutionReport) -> bool:
    """Whether the report says that the order works at the venue."""
    kind = MEANING[report.ord_status] if report.exec_type is _ORDER_STATUS else report.exec_type
    return kind in (_NEW, _REPLACED, _RESTATED, ExecType.PENDING_NEW, ExecType.SUSPENDED)


def _meaning(order: Order, report: ExecutionReport) -> ExecType:
    """What a query's answer says happened; a price that we did not know of is a restatement."""
    kind = MEANING[report.ord_status]
    is_repriced = (
        kind is _NEW
        and order.request.ord_type is OrdType.LIMIT
        and report.price is not None
        and report.price != order.price
        and report.transact_ns > order.terms_ns
    )
    return _RESTATED if is_repriced else kind


def _confirms_amend(order: Order, report: ExecutionReport, kind: ExecType) -> bool:
    """Whether a report tells the terms that the amend on its way asks for, and is not from before it.

    Other terms are no answer to it, even under the name REPLACED: the same confirmation comes by several roads, and one
    of an amend before this one may come after this one was sent.
    """
    if not order.asked_for(report.order_qty, report.price):
        return False
    if report.transact_ns != order.terms_ns:
        return report.transact_ns > order.terms_ns
    return kind is _REPLACED or report.exec_type is _ORDER_STATUS


def _terms(order: Order, report: ExecutionReport, kind: ExecType) -> tuple[Decimal, Decimal | None]:
    """Total quantity and price after the report: the newest statement wins, of two at one time the smaller quantity."""
    order_qty = report.order_qty
    if order_qty <= 0 or report.transact_ns < order.terms_ns:
        return order.order_qty, order.price
    if report.transact_ns == order.terms_ns and (
        order_qty >= order.order_qty or (report.exec_type is _NEW and order.amends)
    ):
        return order.order_qty, order.price  # a NEW from before an amend, of the same millisecond, may come after it
    if kind in (_REPLACED, _RESTATED) and report.price is not None:
        return order_qty, report.price
    return order_qty, order.price


def _judge_correction(order: Order, report: ExecutionReport, orders: Orders) -> ExecutionReport | Verdict:
    """A trade that the venue took back or changed.  One that we do not know yet must not be booked when it comes."""
    kind = report.exec_type
    trade_id = report.trade_id or TradeID(report.exec_id)
    if not trade_id:
        return Verdict.NO_TRADE_ID
    known = orders.fills.get((order.request.symbol, trade_id))
    if known is not None and _is_settled(known, report):
        return Verdict.DUPLICATE
    cum_qty, cum_quote = order.cum_qty, order.cum_quote
    if known is not None:
        cum_qty -= known.last_qty
        cum_quote -= known.last_qty * known.last_px
    if kind is ExecType.TRADE_CORRECT:
        cum_qty += report.last_qty
        cum_quote += report.last_qty * report.last_px
    if not cum_qty:
        cum_quote = ZERO
    status = next_status(order.ord_status, kind, cum_qty, order.order_qty)
    return _report(order, report, kind, status, order.order_qty, order.price, cum_qty, cum_quote, trade_id)


def _is_settled(known: ExecutionReport, report: ExecutionReport) -> bool:
    """Whether the trade was taken back already, or is what the report makes of it, or something newer."""
    if known.exec_type is ExecType.TRADE_CANCEL or report.transact_ns < known.transact_ns:
        return True
    same = (known.last_qty, known.last_px, known.fee) == (report.last_qty, report.last_px, report.fee)
    return same and report.exec_type is ExecType.TRADE_CORRECT


def _report(
    order: Order,
    report: ExecutionReport,
    kind: ExecType,
    status: OrdStatus,
    order_qty: Decimal,
    price: Decimal | None,
    cum_qty: Decimal,
    cum_quote: Decimal,
    trade_id: TradeID | None,
) -> ExecutionReport:
    """The venue's words with the order's own names and quantities."""
    request = order.request
    return ExecutionReport(
        request.cl_ord_id,
        report.order_id or order.order_id or OrderID(""),
        request.account,
        request.strategy,
        request.venue,
        request.symbol,
        request.side,
        kind,
        status,
        order_qty,
        cum_qty,
        report.transact_ns,
        report.received_ns,
        request.ord_type,
        price,
        report.last_qty,
        report.last_px,
        cum_quote,
        trade_id,
        report.fee,
        report.fee_asset,
        report.liquidity,
        report.exec_id,
        report.text,
        report.poss_dup,
        report.leg,
        request.orig_cl_ord_id,
    )
