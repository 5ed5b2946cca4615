"""New orders that wait for a permit: small limits are leased in small pieces, and orders come in bursts.

One that has waited too long is refused, never silently dropped.  A cancel of one that still waits ends it here: it
would reach the venue before the order that it is meant for.  Was that one to replace another, then the cancel goes to
the other: both were to end.
"""

from __future__ import annotations

import attrs

from actors.venue.outcomes import Change, Outcomes, orig_of
from protocols.enums import OrdRejReason
from protocols.ids import ClOrdID, OrderID
from protocols.orders import SubmitCancel, SubmitCancels, SubmitOrder, SubmitReplace

Names = tuple[ClOrdID, OrderID | None]

WAITING_MAX = 256
NO_ROOM = "no room in the venue's limits in time"


class OrderQueue:
    """Orders without a permit, oldest first."""

    __slots__ = ("_orders", "_outcomes")

    def __init__(self, outcomes: Outcomes) -> None:
        self._outcomes = outcomes
        self._orders: dict[ClOrdID, tuple[SubmitOrder | SubmitReplace, int]] = {}
        """With the moment since which each waits (monotonic)."""

    def __len__(self) -> int:
        return len(self._orders)

    def add(self, message: SubmitOrder | SubmitReplace, monotonic_ns: int) -> None:
        """Wait from now on; refused when too many do."""
        if len(self._orders) < WAITING_MAX:
            self._orders[message.order.cl_ord_id] = (message, monotonic_ns)
        else:
            text = f"{NO_ROOM}: {WAITING_MAX} orders wait for a permit"
            self._outcomes.refuse(message, OrdRejReason.RATE_LIMITED, text)

    def take(self, most: int) -> list[SubmitOrder | SubmitReplace]:
        """The oldest ones: there are permits for so many."""
        return [self._orders.pop(cl_ord_id)[0] for cl_ord_id in list(self._orders)[:most]]

    def give_up(self, before_ns: int) -> None:
        """Refuse those that wait since before this moment (monotonic)."""
        for cl_ord_id, (message, since_ns) in list(self._orders.items()):
            if since_ns < before_ns:
                del self._orders[cl_ord_id]
                self._outcomes.refuse(message, OrdRejReason.RATE_LIMITED, NO_ROOM)

    def without_waiting(self, message: Change) -> Change | None:
        """A command without the orders that wait here: a cancel ends these at once.  None when nothing is left."""
        if isinstance(message, SubmitCancel):
            names = self._without_waiting(message.cl_ord_id, message.order_id)
            if names is None:
                return None
            return attrs.evolve(message, cl_ord_id=names[0], order_id=names[1])
        if isinstance(message, SubmitCancels):
            found = dict.fromkeys(self._without_waiting(*order) for order in message.orders)
            orders = tuple(names for names in found if names is not None)
            return attrs.evolve(message, orders=orders) if orders else None
        return message

    def _without_waiting(self, cl_ord_id: ClOrdID, order_id: OrderID | None) -> Names | None:
        """What is to be canceled at the venue, by its names; None when the order had not left."""
        called_off = self._call_off(cl_ord_id)
        if called_off is None:
            for new, (message, _) in list(self._orders.items()):
                if isinstance(message, SubmitReplace) and orig_of(message) == cl_ord_id:
                    self._call_off(new)
            return cl_ord_id, order_id
        return (orig_of(called_off), called_off.old_order_id) if isinstance(called_off, SubmitReplace) else None

    def _call_off(self, cl_ord_id: ClOrdID) -> SubmitOrder | SubmitReplace | None:
        waiting = self._orders.pop(cl_ord_id, None)
        if waiting is None:
            return None
        message = waiting[0]
        alone = SubmitOrder(message.order, message.reply_to)  # of a replacement the old half goes on, as a cancel
        self._outcomes.refuse(alone, OrdRejReason.NOT_SENT, "canceled before it had left")
        return message
