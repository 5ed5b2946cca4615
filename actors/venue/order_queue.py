"""New orders that wait for a permit: small limits are leased in small pieces, and orders come in bursts.

One that has waited too long is refused, never silently dropped.  A cancel of one that still waits ends it here: it
would reach the venue before the order that it is meant for.
"""

from __future__ import annotations

import attrs

from actors.venue.outcomes import Change, Outcomes
from protocols.enums import OrdRejReason
from protocols.ids import ClOrdID
from protocols.orders import SubmitCancel, SubmitCancels, SubmitOrder

WAITING_MAX = 256
NO_ROOM = "no room in the venue's limits in time"


class OrderQueue:
    """Orders without a permit, oldest first."""

    __slots__ = ("_orders", "_outcomes")

    def __init__(self, outcomes: Outcomes) -> None:
        self._outcomes = outcomes
        self._orders: dict[ClOrdID, tuple[SubmitOrder, int]] = {}
        """With the moment since which each waits (monotonic)."""

    def __len__(self) -> int:
        return len(self._orders)

    def add(self, message: SubmitOrder, monotonic_ns: int) -> None:
        """Wait from now on; refused when too many do."""
        if len(self._orders) < WAITING_MAX:
            self._orders[message.order.cl_ord_id] = (message, monotonic_ns)
        else:
            text = f"{NO_ROOM}: {WAITING_MAX} orders wait for a permit"
            self._outcomes.refuse(message, OrdRejReason.RATE_LIMITED, text)

    def take(self, most: int) -> list[SubmitOrder]:
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
            return None if self._call_off(message.cl_ord_id) else message
        if isinstance(message, SubmitCancels):
            orders = tuple(order for order in message.orders if not self._call_off(order[0]))
            return attrs.evolve(message, orders=orders) if orders else None
        return message

    def _call_off(self, cl_ord_id: ClOrdID) -> bool:
        waiting = self._orders.pop(cl_ord_id, None)
        if waiting is not None:
            self._outcomes.refuse(waiting[0], OrdRejReason.NOT_SENT, "canceled before it had left")
        return waiting is not None
