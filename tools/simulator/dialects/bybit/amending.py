"""Amending a working order (section 6.2): price, total quantity, trigger.  What is not said stays."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from tools.simulator.core.model import Order, Reject, RejectReason
from tools.simulator.dialects.bybit.errors import VenueError, bad_parameter
from tools.simulator.dialects.bybit.exits import check_sides, read_exits
from tools.simulator.dialects.bybit.orders import OrderReader, refuse_unserved
from tools.simulator.dialects.bybit.params import Params
from tools.simulator.dialects.bybit.terms import terms_of

if TYPE_CHECKING:
    from tools.simulator.dialects.bybit.venue import Bybit


def amend(venue: Bybit, order: Order, params: Params) -> None:
    """Raises VenueError, or Reject where money does not suffice; then nothing has changed.

    The order's place in the queue is lost, unless only its quantity shrinks.
    """
    instrument, account = venue.infos[order.symbol], order.account
    assert account is not None
    refuse_unserved(params, instrument)
    reader = OrderReader(venue, params, instrument, account)
    terms = terms_of(order)
    qty, price, trigger = params.decimal("qty"), params.decimal("price"), params.decimal("triggerPrice")
    if qty is not None:
        if order.quote_order_qty:
            raise bad_parameter("qty of an order by amount cannot be amended")
        qty = reader.legal_total(order, qty)
    if price is not None:
        if terms.order_type == "Market":
            raise bad_parameter("price of a market order cannot be amended")
        price = reader.legal_limit(order, price)
    if trigger is not None:
        if not order.is_conditional or terms.triggered:
            raise bad_parameter("triggerPrice of an order that waits for none cannot be amended")
        trigger = reader.legal_price(trigger)
    _check_value(order, qty, price, instrument.min_value)
    exits = {} if instrument.is_spot else read_exits(params, instrument)
    if exits:
        check_sides(exits, price or order.price or order.stop_px, is_long=order.is_buy)
        kept = terms.attached | exits
        terms.attached = {name: each for name, each in kept.items() if each.price}
        if qty is None and price is None and trigger is None:
            venue.events.told_again(order)
            return
    shrinks = price in (None, order.price) and trigger is None and qty is not None and qty < order.order_qty
    before = terms.qty, terms.price
    if qty is not None:
        terms.qty = instrument.qty(qty)
    if price is not None:
        terms.price = instrument.px(price)
    try:
        venue.exchange.replace(order, price=price, qty=qty, stop_px=trigger, keeps_place=shrinks)
    except Reject as reject:
        terms.qty, terms.price = before
        if reject.reason is RejectReason.AMEND_NO_CHANGE:
            text = "The order remains unchanged as the parameters entered match the existing ones."
            raise VenueError(10001, text) from None
        raise


def _check_value(order: Order, qty: Decimal | None, price: Decimal | None, least: Decimal) -> None:
    """The least value holds for the amended order as for a new one."""
    new_qty, new_price = qty or order.order_qty, price or order.price
    if new_price and not order.reduce_only and new_qty * new_price < least:
        code = 170140 if terms_of(order).category == "spot" else 110094
        raise VenueError(code, "Order does not meet minimum order value")
