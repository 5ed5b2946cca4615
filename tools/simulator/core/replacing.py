"""Change a live order's price, quantity or trigger in place: with its priority where only the quantity shrinks and the
venue keeps it then, else as a newcomer at its price, which may trade at once.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from tools.simulator.core import margin, matching, triggers
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.model import ExecType, Fill, Order, OrdType, Reject, RejectReason
from tools.simulator.core.settlement import lock_needed, release

if TYPE_CHECKING:
    from tools.simulator.core.exchange import Exchange
    from tools.simulator.core.market import Market


def replace(
    ex: Exchange,
    order: Order,
    *,
    price: Decimal | None = None,
    qty: Decimal | None = None,
    stop_px: Decimal | None = None,
    cl_ord_id: str | None = None,
    keeps_place: bool = False,
) -> list[Fill]:
    """Give the order these values; what is None stays.  `qty` is the new total, not the rest.

    `keeps_place`: with the same price and no larger quantity it stays where it is in the queue.  Returns the fills it
    made as taker.  Raises Reject and changes nothing: UNKNOWN_ORDER (final), AMEND_NO_CHANGE, AMEND_BELOW_FILLED (the
    new quantity is not above what has traded), WOULD_MATCH (post-only), WOULD_TRIGGER, INSUFFICIENT_BALANCE,
    INSUFFICIENT_MARGIN, ZERO_NOTIONAL.  Reports REPLACED, then what follows from it.
    """
    if not order.is_live:
        raise Reject(RejectReason.UNKNOWN_ORDER, order)
    market = ex.markets[order.symbol]
    before = (order.price, order.order_qty, order.stop_px)
    after = (
        order.price if price is None else price,
        order.order_qty if qty is None else qty,
        order.stop_px if stop_px is None else stop_px,
    )
    if after == before and cl_ord_id in (None, order.cl_ord_id):
        raise Reject(RejectReason.AMEND_NO_CHANGE, order)
    if after[1] <= order.cum_qty + order.prevented_qty:
        raise Reject(RejectReason.AMEND_BELOW_FILLED, order)
    waiting = order.order_id in market.stops
    bound = margin.order_margin(market, order.account) if market.spec.is_linear and order.account else ZERO
    order.price, order.order_qty, order.stop_px = after
    try:
        _check(ex, market, order, bound, waiting=waiting)
    except Reject:
        order.price, order.order_qty, order.stop_px = before
        raise
    stays = waiting or (keeps_place and after[0] == before[0] and after[1] <= before[1])
    if not stays:
        order.price = before[0]  # it is still queued there
        market.book.side_of(order).remove(order)
        market.touch(order.side, order.price)
        order.price = after[0]
    return _carry_out(ex, market, order, cl_ord_id, stays=stays)


def _check(ex: Exchange, market: Market, order: Order, bound: Decimal, *, waiting: bool) -> None:
    """May the order stand with its new values?"""
    if order.limit_px is not None and order.price * order.order_qty <= 0:
        raise Reject(RejectReason.ZERO_NOTIONAL, order)
    if waiting and triggers.would_trigger(market, order):
        raise Reject(RejectReason.WOULD_TRIGGER, order)
    post_only = order.post_only or order.ord_type is OrdType.LIMIT_MAKER
    if not waiting and post_only and matching.would_match(market, order):
        raise Reject(RejectReason.WOULD_MATCH, order)
    if market.spec.is_linear:
        if not waiting and not margin.reduces(order):
            margin.check_order(ex, market, order, bound)
        return
    account, extra = order.account, lock_needed(order) - order.locked
    if account is not None and extra > 0:
        if not margin.can_spend(ex, account, order.locked_asset, extra):
            raise Reject(RejectReason.INSUFFICIENT_BALANCE, order)
        if not account.lock(order.locked_asset, extra):
            raise Reject(RejectReason.INSUFFICIENT_BALANCE, order)
        order.locked += extra


def _carry_out(ex: Exchange, market: Market, order: Order, cl_ord_id: str | None, *, stays: bool) -> list[Fill]:
    original = order.cl_ord_id
    if cl_ord_id is not None and cl_ord_id != original:
        ex.rename(order, cl_ord_id)
    order.amends += 1
    order.update_ns = ex.clock.now_ns()
    order.visible_qty = min(order.visible_qty, order.open_qty)
    if not market.spec.is_linear:
        release(order, lock_needed(order))
        ex.touch_balance(order)
    ex.report(market, order, ExecType.REPLACED, orig_cl_ord_id=original)
    fills: list[Fill] = []
    if not stays:
        fills = ex.enter(market, order)
    elif order.is_working:
        market.touch(order.side, order.price)
    ex.finish_action(market)
    return fills
