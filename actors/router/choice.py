"""Venue choice as a pure function: price, visible depth and fees in, the best offer out.

What an order would cost on a venue: the levels that it would take at once, with the taker's fee, and what of it would
rest at its limit, with the maker's fee::

    BUY 2 @ 101 on asks 100 x 1, 102 x 5, taker 0.1 %, maker 0 %
        takes 1 for 100.1, rests 1 for 101    -> 201.1

An order that cannot rest (MARKET, IOC, FOK) goes where most of it is filled, and among equals where that is cheapest.
A post-only order goes where it would not take.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

import attrs

from protocols.enums import ExecInst, OrdType, Side, TimeInForce
from protocols.ids import Venue
from protocols.market import Level
from protocols.orders import NewOrder

__all__ = ["Fees", "Offer", "Taking", "best_offer", "choose", "take"]

ZERO = Decimal(0)

_CANNOT_REST = (TimeInForce.IOC, TimeInForce.FOK)


@attrs.frozen
class Fees:
    """Fractions of the traded value; negative is a rebate."""

    maker: Decimal = ZERO
    taker: Decimal = ZERO


@attrs.frozen
class Offer:
    """What one venue shows now, best levels first; one level (the quote) is enough."""

    venue: Venue
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    fees: Fees = Fees()


@attrs.frozen
class Taking:
    """What an order would get from the visible levels."""

    qty: Decimal
    value: Decimal
    """Quote units, without fees."""

    def price(self, side: Side, fees: Fees) -> Decimal:
        """Average per unit with the taker's fee; ZeroDivisionError when nothing is had."""
        return self.value / self.qty * (1 + side.sign * fees.taker)


def take(offer: Offer, side: Side, qty: Decimal, limit: Decimal | None = None) -> Taking:
    """Go through the other side's levels up to `qty` and not beyond the `limit` price."""
    got, value = ZERO, ZERO
    for price, available in offer.asks if side is Side.BUY else offer.bids:
        if got == qty or (limit is not None and (price - limit) * side.sign > 0):
            break
        part = min(available, qty - got)
        got += part
        value += part * price
    return Taking(got, value)


def choose(order: NewOrder, offers: Iterable[Offer]) -> Offer | None:
    """The offer that serves the order best, the first among equals; None when there is none."""
    ranked = [(_rank(order, offer), place, offer) for place, offer in enumerate(offers)]
    return min(ranked)[2] if ranked else None


def best_offer(side: Side, qty: Decimal, offers: Sequence[Offer]) -> tuple[Offer, Taking] | None:
    """Where `qty` is taken best now: most of it, then cheapest; None when no venue shows anything."""
    taken = [(offer, take(offer, side, qty)) for offer in offers]
    filled = [(offer, taking) for offer, taking in taken if taking.qty]
    if not filled:
        return None
    return min(filled, key=lambda pair: (-pair[1].qty, pair[1].price(side, pair[0].fees) * side.sign))


def _rank(order: NewOrder, offer: Offer) -> tuple[Decimal, Decimal]:
    """Lower is better: (what would be refused or not filled, cost of the rest)."""
    side, qty, fees = order.side, order.order_qty, offer.fees
    limit = order.price if order.ord_type is not OrdType.MARKET else None
    taking = take(offer, side, qty, limit)
    if order.exec_inst & ExecInst.POST_ONLY:
        return (qty if taking.qty else ZERO), fees.maker
    cost = taking.value * (side.sign + fees.taker)
    missing = qty - taking.qty
    if limit is None or order.time_in_force in _CANNOT_REST:
        return missing, cost
    return ZERO, cost + missing * limit * (side.sign + fees.maker)
