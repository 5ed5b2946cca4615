"""Orders about which the venue has to be asked, and when.

A watch is open while an order is in doubt, while the venue counts more of it than we hold trades for, or when a refused
cancel says that the order is gone.  The venue is asked 1, 2, 5 and 10 s after the trouble began, then every 10 s, and
at the moment when the doubt can be settled at all.

"Not found" is proof only under two conditions (`binance-spot` 16.2): the request can no longer be accepted
(`settles_ns` has passed when we asked), and the venue said so twice in a row while the private stream was up.  A fresh
order that is not found was overtaken by our question (P8).

Watches are not part of the state: what they are about is, or comes back with the next reconciliation.
"""

from __future__ import annotations

from decimal import Decimal

import attrs

from actors.account.order import Order
from protocols.ids import ClOrdID
from protocols.orders import ExecutionReport
from supervisors.actor import Timer

ZERO = Decimal(0)
_MS = 1_000_000
_SECOND = 1_000_000_000

STEPS_NS = (1 * _SECOND, 2 * _SECOND, 5 * _SECOND, 10 * _SECOND)
EVERY_NS = 10 * _SECOND
CONFIRM_NS = 1 * _SECOND
PROOFS = 2
"""So many "not found" in a row settle a doubt."""


@attrs.define(eq=False)
class Watch:
    """Why and since when one order is watched."""

    cl_ord_id: ClOrdID
    since_ns: int
    number: int
    """Tells this watch's timer from an older one's."""
    claimed: Decimal = ZERO
    """The most that the venue said was filled."""
    held: ExecutionReport | None = None
    """The order's end, waiting for its trades."""
    not_found: int = 0
    """In a row, each of them proof."""
    fruitless: int = 0
    """Answers that did not bring the missing trades."""
    once: bool = False
    """Asked for another reason; the first answer ends it."""
    timer: Timer | None = None

    def is_needed(self, order: Order) -> bool:
        """Whether anything is still to be asked."""
        if self.claimed > order.cum_qty:
            return True
        return not order.finished_ns and (self.once or self.held is not None or order.in_doubt)


def settles_ns(order: Order) -> int:
    """When the doubts of an order can be settled; 0 without doubt."""
    return max(
        order.doubt.settles_ns if order.doubt is not None else 0,
        order.cancel_doubt.settles_ns if order.cancel_doubt is not None else 0,
        order.amend_doubt.settles_ns if order.amend_doubt is not None else 0,
    )


def next_query_in(watch: Watch, order: Order, now_ns: int) -> int:
    """Time from now to the next question."""
    if watch.not_found:
        return CONFIRM_NS
    elapsed = max(now_ns - watch.since_ns, 0)
    delay = EVERY_NS - elapsed % EVERY_NS
    for step in STEPS_NS:
        if elapsed < step:
            delay = step - elapsed
            break
    settles = settles_ns(order) - now_ns
    if 0 <= settles < delay:
        delay = settles + _MS
    return delay
