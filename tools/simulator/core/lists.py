"""Order lists: one-cancels-other, and one-triggers-other with a single leg or an OCO behind it.

Both legs of an OCO are paid out of one reservation. It lies with the leg that can trade first (the one on the
book) and moves to the other when that one triggers. When a leg trades or triggers, its twin expires. A pending
leg waits for the working order to fill completely and is entered with fresh money then; if that is refused it
expires, and it expires with the working order when that one ends unfilled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from tools.simulator.core.decimals import ZERO
from tools.simulator.core.model import ExecType, Order, OrdStatus, Reject, RejectReason
from tools.simulator.core.settlement import lock_needed, release, required_lock, reserve

if TYPE_CHECKING:
    from tools.simulator.core.accounts import Account
    from tools.simulator.core.exchange import Exchange
    from tools.simulator.core.market import Market


@attrs.define(eq=False, kw_only=True)
class OrderList:
    """A group of orders of one symbol and account that live and die together."""

    list_id: int
    symbol: str
    account: Account
    cl_list_id: str
    contingency: str  # "OCO" or "OTO"
    legs: list[Order] = attrs.Factory(list)  # the working order first, where there is one
    working: Order | None = None
    status_type: str = "EXEC_STARTED"
    order_status: str = "EXECUTING"
    transact_ns: int = 0
    reject_reason: str = "NONE"

    @property
    def pending(self) -> list[Order]:
        return [leg for leg in self.legs if leg is not self.working]

    @property
    def is_done(self) -> bool:
        return self.order_status != "EXECUTING"


def submit_oco(ex: Exchange, order_list: OrderList) -> None:
    """Enter both legs of an OCO at once. Raises Reject and changes nothing where a leg is refused."""
    market = ex.markets[order_list.symbol]
    try:
        for leg in order_list.legs:
            ex.check_new(market, leg)
        _check_ids(order_list.legs)
        _lock_shared(ex, market, order_list.legs)
    except Reject as reject:
        ex.report_rejected(market, reject)
        raise
    _open(ex, order_list)
    for leg in order_list.legs:
        ex.admit(market, leg)
    _enter_all(ex, market, order_list.legs)
    ex.finish_action(market)


def submit_oto(ex: Exchange, order_list: OrderList) -> None:
    """Enter the working order; the others are admitted as PENDING_NEW and wait. Raises Reject."""
    market = ex.markets[order_list.symbol]
    working = order_list.working
    assert working is not None
    try:
        ex.check_new(market, working)
        for leg in order_list.pending:
            ex.check_new(market, leg, ignore_market=True)
        _check_ids(order_list.legs)
        ex.lock_new(market, working)
    except Reject as reject:
        ex.report_rejected(market, reject)
        raise
    _open(ex, order_list)
    ex.admit(market, working)
    for leg in order_list.pending:
        ex.admit(market, leg, status=OrdStatus.PENDING_NEW)
    ex.enter(market, working)
    ex.finish_action(market)


def _check_ids(legs: list[Order]) -> None:
    if len({leg.cl_ord_id for leg in legs}) != len(legs):
        raise Reject(RejectReason.DUPLICATE_CL_ORD_ID, legs[0])


def _lock_shared(ex: Exchange, market: Market, legs: list[Order]) -> Order:
    """One reservation, large enough for either leg, held by the one that is on the book. Raises Reject."""
    holder = next((leg for leg in legs if not leg.is_conditional), legs[0])
    amount = max(required_lock(leg, lock_needed(leg)) for leg in legs)
    for leg in legs:
        leg.locked_asset = market.spec.quote if leg.is_buy else market.spec.base
    if not reserve(holder, market.spec, amount):
        raise Reject(RejectReason.INSUFFICIENT_BALANCE, holder)
    ex.touch_balance(holder)
    return holder


def _open(ex: Exchange, order_list: OrderList) -> None:
    order_list.transact_ns = ex.clock.now_ns()
    ex.lists[order_list.list_id] = order_list
    for leg in order_list.legs:
        leg.order_list = order_list
    announce(ex, order_list, "EXEC_STARTED")


def announce(ex: Exchange, order_list: OrderList, status_type: str) -> None:
    """Tell the listeners the list's state."""
    order_list.status_type = status_type
    order_list.transact_ns = ex.clock.now_ns()
    for listener in ex.listeners:
        listener.on_list(order_list)


def _siblings(order: Order) -> list[Order]:
    """The legs that die when this one trades: its OCO twin, never the working order of an OTO."""
    order_list = order.order_list
    if order_list is None or order is order_list.working:
        return []
    return [leg for leg in order_list.pending if leg is not order]


def member_traded(ex: Exchange, order: Order) -> None:
    """A leg had a fill: its twin expires; a completely filled working order releases what waits for it."""
    order_list = order.order_list
    if order_list is None:
        return
    for twin in _siblings(order):
        if twin.is_live:
            _expire_leg(ex, twin, "OCO_TRIGGER")
    if order is order_list.working and order.ord_status is OrdStatus.FILLED:
        ex.activations.extend(order_list.pending)
    elif not order.is_live:
        _finish_if_over(ex, order_list)


def member_triggered(ex: Exchange, order: Order) -> None:
    """A conditional leg wakes: it takes over the shared reservation and its twin expires."""
    for twin in _siblings(order):
        if twin.is_live:
            order.locked, twin.locked = order.locked + twin.locked, ZERO
            _expire_leg(ex, twin, "OCO_TRIGGER")
    if _siblings(order):
        release(order, lock_needed(order))


def member_ended(ex: Exchange, order: Order) -> None:
    """A leg expired by itself: pending legs go with their working order, an OCO twin with its other half."""
    order_list = order.order_list
    if order_list is None or order_list.is_done:
        return
    if order is order_list.working:
        for leg in order_list.pending:
            if leg.is_live:
                _expire_leg(ex, leg, "OTO_PHASE_ONE_EXPIRED")
    for twin in _siblings(order):
        if twin.is_live:
            _expire_leg(ex, twin, "OCO_TRIGGER")
    _finish_if_over(ex, order_list)


def _expire_leg(ex: Exchange, leg: Order, reason: str) -> None:
    market = ex.markets[leg.symbol]
    ex.take_off(market, leg)
    leg.ord_status = OrdStatus.EXPIRED
    leg.expiry_reason = reason
    ex.finalize(market, leg)
    ex.report(market, leg, ExecType.EXPIRED, expiry_reason=reason)


def _finish_if_over(ex: Exchange, order_list: OrderList) -> None:
    if order_list.is_done or any(leg.is_live for leg in order_list.legs):
        return
    order_list.order_status = "ALL_DONE"
    announce(ex, order_list, "ALL_DONE")


def activate(ex: Exchange, order: Order) -> None:
    """The working order has filled: enter a pending leg now. An OCO pair shares one reservation."""
    if order.ord_status is not OrdStatus.PENDING_NEW:
        return
    market = ex.markets[order.symbol]
    assert order.order_list is not None
    legs = [leg for leg in order.order_list.pending if leg.ord_status is OrdStatus.PENDING_NEW]
    try:
        for leg in legs:
            _check_activation(ex, market, leg)
        _lock_shared(ex, market, legs)
    except Reject:
        for leg in legs:
            _expire_leg(ex, leg, "REJECTED")
        _finish_if_over(ex, order.order_list)
        return
    now = ex.clock.now_ns()
    for leg in legs:
        leg.ord_status = OrdStatus.NEW
        leg.update_ns = now
        if not leg.is_conditional:
            leg.is_working, leg.working_ns = True, now
        ex.report(market, leg, ExecType.NEW)
    _enter_all(ex, market, legs)


def _enter_all(ex: Exchange, market: Market, legs: list[Order]) -> None:
    """What waits for a price first: a leg that trades at once ends its twin, which must stand somewhere by then."""
    for leg in sorted(legs, key=lambda each: not each.is_conditional):
        if leg.is_live:
            ex.enter(market, leg)


def _check_activation(ex: Exchange, market: Market, leg: Order) -> None:
    """The rules that depend on the market are checked when a pending leg becomes real."""
    account = leg.account
    assert account is not None
    key = (account.name, leg.symbol, leg.cl_ord_id)
    held = ex.open_by_cl.pop(key, None)  # its own entry must not count as a duplicate
    try:
        ex.check_new(market, leg)
    finally:
        if held is not None:
            ex.open_by_cl[key] = held


def cancel(ex: Exchange, order_list: OrderList, new_ids: dict[int, str]) -> None:
    """Cancel every live leg. `new_ids` maps order ids to the client id the cancel gives them."""
    market = ex.markets[order_list.symbol]
    for leg in order_list.legs:
        if leg.is_live:
            ex.cancel_one(market, leg, new_ids.get(leg.order_id, leg.cl_ord_id))
    _finish_if_over(ex, order_list)
