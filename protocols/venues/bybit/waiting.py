"""Spot orders that wait for their trigger (reference sections 6.1 and 6.3).

On spot a cancel is understood of the working orders alone, unless `orderFilter` says which kind of waiting order is
meant; one that says nothing is answered "not found" while the order lives.  So the kind is part of the order's name
here: a waiting order's id is `<orderFilter>:<id>`, its id after the trigger is the bare one.  Whoever cancels by the
name that was told last says the right thing, after a restart too.  Contracts need nothing of this.

Acknowledgements name an order without its kind, so the codec that sent the order keeps the kind until it has gone.
"""

from __future__ import annotations

from protocols.ids import ClOrdID, OrderID

__all__ = ["FILTERS", "STOP_ORDER", "WaitingOrders", "bare_id", "filter_of", "waiting_id"]

STOP_ORDER = "StopOrder"
"""A conditional order that locks nothing before its trigger; one of kind `tpslOrder` locks at once."""
FILTERS = ("Order", STOP_ORDER, "tpslOrder")
"""What a mass cancel on spot has to name one after the other; `Order` are those that work."""
_OF_KIND = {kind: kind for kind in ("tpslOrder", "OcoOrder", "BidirectionalTpslOrder")}
_SEPARATOR = ":"
_KEPT = 1024


def waiting_id(kind: str | None, order_id: str) -> OrderID:
    """The name of a waiting order; `kind` is the row's `stopOrderType`."""
    return OrderID(f"{_OF_KIND.get(kind or '', STOP_ORDER)}{_SEPARATOR}{order_id}")


def filter_of(order_id: OrderID) -> str:
    """`orderFilter` of the order with this name; "": it needs none."""
    return order_id.rpartition(_SEPARATOR)[0]


def bare_id(order_id: OrderID) -> OrderID:
    """The id as the venue knows it."""
    return OrderID(order_id.rpartition(_SEPARATOR)[2])


class WaitingOrders:
    """Kinds of the waiting orders that one codec sent or heard named, the newest 1024, by ClOrdID."""

    __slots__ = ("_filters",)

    def __init__(self) -> None:
        self._filters: dict[ClOrdID, str] = {}

    def placed(self, cl_ord_id: ClOrdID) -> None:
        """A conditional order is about to be sent."""
        self._keep(cl_ord_id, STOP_ORDER)

    def called(self, cl_ord_id: ClOrdID, order_id: OrderID | None) -> str:
        """`orderFilter` for an order that somebody calls by these names; the venue's id decides where it is known."""
        if order_id is None:
            return self._filters.get(cl_ord_id, "")
        word = filter_of(order_id)
        if word:
            self._keep(cl_ord_id, word)
        else:
            self._filters.pop(cl_ord_id, None)
        return word

    def acknowledged(self, cl_ord_id: ClOrdID, order_id: OrderID) -> OrderID:
        """The name of an order of which an acknowledgement tells the bare id."""
        word = self._filters.get(cl_ord_id) if order_id else None
        return order_id if word is None else OrderID(f"{word}{_SEPARATOR}{order_id}")

    def _keep(self, cl_ord_id: ClOrdID, word: str) -> None:
        self._filters[cl_ord_id] = word
        if len(self._filters) > _KEPT:
            del self._filters[next(iter(self._filters))]
