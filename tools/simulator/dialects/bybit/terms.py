"""What the venue remembers of an order beyond what matching needs: the words it was sent with, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from tools.simulator.core.model import Order, OrdStatus, PositionSide

if TYPE_CHECKING:
    from tools.simulator.dialects.bybit.exits import Exit

HIDDEN = "~"
"""Begins the client id of an order that was sent without one; no client may use the character."""
INDEX = {PositionSide.BOTH: 0, PositionSide.LONG: 1, PositionSide.SHORT: 2}


@attrs.define(kw_only=True)
class Terms:
    """Fields as in section 6.1, in the venue's words."""

    category: str
    order_type: str
    time_in_force: str
    qty: str
    """As sent: of a spot market buy it may be an amount of quote."""
    price: str = ""
    position_idx: int = 0
    market_unit: str = ""
    order_filter: str = ""
    smp_type: str = "None"
    trigger_by: str = ""
    trigger_direction: int = 0
    reduce_only: bool = False
    close_on_trigger: bool = False
    attached: dict[str, Exit] = attrs.Factory(dict)
    """takeProfit and stopLoss that the position gets when the order is filled."""
    stop_order_type: str = ""
    """Of the venue's own exits; "" for an order of a client's."""
    is_leverage: str = ""
    place_type: str = ""
    last_px: str = ""
    """The last price when the order was created."""
    create_type: str = "CreateByUser"
    cancel_type: str = "UNKNOWN"
    reject_reason: str = "EC_NoError"
    triggered: bool = False
    fees: dict[str, str] = attrs.Factory(dict)
    """Coin -> fee of all fills."""


def terms_of(order: Order) -> Terms:
    terms = order.extra["terms"]
    assert isinstance(terms, Terms)
    return terms


def link_id(order: Order) -> str:
    """The client's own id, "" where it gave none."""
    return "" if order.cl_ord_id.startswith(HIDDEN) else order.cl_ord_id


def status_word(order: Order) -> str:
    """The venue's `orderStatus` (section 14)."""
    status, terms = order.ord_status, terms_of(order)
    waiting = order.is_conditional and not terms.triggered
    if status is OrdStatus.NEW:
        return "Untriggered" if waiting else "New"
    if status is OrdStatus.PARTIALLY_FILLED:
        return "PartiallyFilled"
    if status is OrdStatus.FILLED:
        return "Filled"
    if waiting:
        return "Deactivated"
    if status is OrdStatus.REJECTED and terms.reject_reason == "EC_Others":
        return "Rejected"
    if order.cum_qty and terms.category == "spot":
        return "PartiallyFilledCanceled"
    return "Cancelled"


def filter_word(order: Order) -> str:
    """`orderFilter` by which a cancel finds an order on spot; after its trigger it is an order like all (assumed)."""
    terms = terms_of(order)
    return "Order" if terms.triggered else terms.order_filter


def stop_word(order: Order) -> str:
    """`stopOrderType`: "" for an order that was never conditional."""
    if not order.is_conditional:
        return ""
    if terms_of(order).stop_order_type:
        return terms_of(order).stop_order_type
    return "tpslOrder" if terms_of(order).order_filter == "tpslOrder" else "Stop"
