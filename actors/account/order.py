"""One order and the table of its states.

The table says where an order stands after each kind of report, in FIX's words: status (FIX 39) down, what happened
(ExecType, FIX 150) across.  A cell is a status, or one of the rules of `Outcome`.  Everything else about states is a
consequence of four sentences:

* quantities move by fills only: `cum_qty` is the sum of trades whose ids we hold, never a number that somebody states;
* a final status (FILLED, CANCELED, REJECTED, EXPIRED) never changes again, a late fill moves quantities alone;
* an order leaves a pending status (PENDING_CANCEL, PENDING_REPLACE) by the venue's word or by a refusal of the request;
* certainty is not a status: FIX has no word for "we do not know", so `doubt` stands beside `ord_status`.

`docs/order-states.md` is printed from this table (`table_text`), and a test holds the two together.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

import attrs

from protocols.enums import DoubtReason, ExecType, OrdStatus
from protocols.errors import InvariantViolation
from protocols.ids import MANUAL, ClOrdID, OrderID, StrategyID, Symbol
from protocols.orders import NewOrder
from protocols.positions import OpenOrder

ZERO = Decimal(0)


class Outcome(enum.Enum):
    """What a cell of the table says when it is not simply a status."""

    STAY = "stays"
    BY_QUANTITY = "NEW, PARTIALLY_FILLED or FILLED, by quantity"
    UNTIL_FILLED = "stays, or FILLED when nothing is left"


_STAY, _BY_QUANTITY, _UNTIL_FILLED = Outcome.STAY, Outcome.BY_QUANTITY, Outcome.UNTIL_FILLED

_ENDS = {
    ExecType.CANCELED: OrdStatus.CANCELED,
    ExecType.REJECTED: OrdStatus.REJECTED,
    ExecType.EXPIRED: OrdStatus.EXPIRED,
}
_WORKING: Mapping[ExecType, OrdStatus | Outcome] = {
    ExecType.PENDING_NEW: _STAY,
    ExecType.NEW: _STAY,
    ExecType.TRADE: _BY_QUANTITY,
    ExecType.TRADE_CANCEL: _BY_QUANTITY,
    ExecType.TRADE_CORRECT: _BY_QUANTITY,
    ExecType.REPLACED: _BY_QUANTITY,
    ExecType.RESTATED: _BY_QUANTITY,
    ExecType.SUSPENDED: OrdStatus.SUSPENDED,
    ExecType.ORDER_STATUS: _STAY,
    **_ENDS,
}
_PENDING: Mapping[ExecType, OrdStatus | Outcome] = {
    ExecType.PENDING_NEW: _STAY,
    ExecType.NEW: _STAY,
    ExecType.TRADE: _UNTIL_FILLED,
    ExecType.TRADE_CANCEL: _STAY,
    ExecType.TRADE_CORRECT: _UNTIL_FILLED,
    ExecType.REPLACED: _UNTIL_FILLED,
    ExecType.RESTATED: _UNTIL_FILLED,
    ExecType.SUSPENDED: _STAY,
    ExecType.ORDER_STATUS: _STAY,
    **_ENDS,
}
_FINAL: Mapping[ExecType, OrdStatus | Outcome] = dict.fromkeys(ExecType, _STAY)

TRANSITIONS: Mapping[OrdStatus, Mapping[ExecType, OrdStatus | Outcome]] = MappingProxyType(
    {
        OrdStatus.PENDING_NEW: {**_WORKING, ExecType.NEW: _BY_QUANTITY},
        OrdStatus.NEW: _WORKING,
        OrdStatus.PARTIALLY_FILLED: _WORKING,
        OrdStatus.SUSPENDED: {**_WORKING, ExecType.NEW: _BY_QUANTITY},
        OrdStatus.PENDING_CANCEL: _PENDING,
        OrdStatus.PENDING_REPLACE: {**_PENDING, ExecType.REPLACED: _BY_QUANTITY},
        OrdStatus.FILLED: _FINAL,
        OrdStatus.CANCELED: _FINAL,
        OrdStatus.REJECTED: _FINAL,
        OrdStatus.EXPIRED: _FINAL,
    }
)
"""The order state machine.  ORDER_STATUS (the answer of a query) is read as what it means before the table is asked:
see `MEANING`."""

MEANING: Mapping[OrdStatus, ExecType] = MappingProxyType(
    {
        OrdStatus.PENDING_NEW: ExecType.PENDING_NEW,
        OrdStatus.NEW: ExecType.NEW,
        OrdStatus.PARTIALLY_FILLED: ExecType.NEW,
        OrdStatus.PENDING_CANCEL: ExecType.NEW,
        OrdStatus.PENDING_REPLACE: ExecType.NEW,
        OrdStatus.SUSPENDED: ExecType.SUSPENDED,
        OrdStatus.FILLED: ExecType.ORDER_STATUS,
        OrdStatus.CANCELED: ExecType.CANCELED,
        OrdStatus.REJECTED: ExecType.REJECTED,
        OrdStatus.EXPIRED: ExecType.EXPIRED,
    }
)
"""What an ORDER_STATUS report with this status tells about the order, apart from quantities.  FILLED has no ExecType of
its own that would not move quantities, so it stays ORDER_STATUS and ends the order once its trades are known."""

FILL_TYPES = frozenset({ExecType.TRADE, ExecType.TRADE_CANCEL, ExecType.TRADE_CORRECT})
"""What moves quantities."""


# Looking a member up on its class costs more than the comparison itself, so what the order path needs is bound here.
_NEW, _PARTIALLY_FILLED, _FILLED = OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED, OrdStatus.FILLED


_AMENDING = (OrdStatus.PENDING_REPLACE, OrdStatus.PENDING_CANCEL)
"""An amend is on its way; a cancel may have been sent after it."""


def working_status(cum_qty: Decimal, order_qty: Decimal) -> OrdStatus:
    """Status of an order that works at the venue, by how much of it is done."""
    if not cum_qty:
        return _NEW
    return _FILLED if cum_qty >= order_qty else _PARTIALLY_FILLED


def next_status(status: OrdStatus, exec_type: ExecType, cum_qty: Decimal, order_qty: Decimal) -> OrdStatus:
    """The table, with the quantities as they are *after* the report."""
    outcome = TRANSITIONS[status][exec_type]
    if outcome is _STAY:
        return status
    if outcome is _BY_QUANTITY:
        return working_status(cum_qty, order_qty)
    if outcome is _UNTIL_FILLED:
        return _FILLED if cum_qty >= order_qty else status
    assert isinstance(outcome, OrdStatus)
    return outcome


def table_text() -> str:
    """The state machine as a Markdown table: one row a status, one column an ExecType."""
    kinds = [kind for kind in ExecType if kind is not ExecType.ORDER_STATUS]
    lines = [
        "| from \\ report | " + " | ".join(kind.value for kind in kinds) + " |",
        "|---" * (len(kinds) + 1) + "|",
    ]
    for status, row in TRANSITIONS.items():
        lines.append(f"| **{status.value}** | " + " | ".join(row[kind].value for kind in kinds) + " |")
    return "\n".join(lines) + "\n"


@attrs.frozen
class Doubt:
    """We do not know what the venue did with a request; only its evidence ends this."""

    reason: DoubtReason
    since_ns: int
    settles_ns: int
    """Wall clock after which the request can no longer take effect, so that "not found" begins to be proof."""


@attrs.define(eq=False)
class Order:
    """One order as its records made it.  Changed by `AccountState.apply` and by nothing else.

    Quantities are base units (contracts on derivatives), prices quote units, times wall-clock ns.
    """

    request: NewOrder
    """As the strategy wanted it; made up from the venue's words for an order that is not ours."""
    accepted_ns: int
    order_qty: Decimal
    """Total quantity now: the request's until an amend is confirmed."""
    price: Decimal | None
    ord_status: OrdStatus = OrdStatus.PENDING_NEW
    order_id: OrderID | None = None
    cum_qty: Decimal = ZERO
    cum_quote: Decimal = ZERO
    """Sum of quantity times price over the fills."""
    terms_ns: int = 0
    """Venue time of the report that last set `order_qty` and `price`: older ones do not set them back."""
    doubt: Doubt | None = None
    """About the order itself."""
    cancel_doubt: Doubt | None = None
    """About the cancel that is on its way."""
    amend_qty: Decimal | None = None
    """Total quantity asked for by an amend that is on its way; None: none is."""
    closed_by_us: bool = False
    """Ended without a report of the venue: refused, not sent, or proven never to have arrived."""
    finished_ns: int = 0
    former_ids: tuple[OrderID, ...] = ()
    """The venue's ids before `order_id`: a conditional order that is triggered goes on under another one."""
    amend_price: Decimal | None = None
    """Price asked for by that amend; None: as it is."""
    amend_id: str = ""
    """Its `request_id`, when it went through the gates: they wait to hear of its end."""
    amend_doubt: Doubt | None = None
    """About that amend."""
    amends: int = 0
    """Amends so far; the last one is the one on its way, if one is."""

    def is_renamed_by(self, order_id: OrderID) -> bool:
        """Whether the venue calls this order by a new id."""
        return (
            order_id != self.order_id
            and self.order_id is not None
            and bool(order_id)
            and not self.finished_ns
            and order_id not in self.former_ids
        )

    @property
    def cl_ord_id(self) -> ClOrdID:
        return self.request.cl_ord_id

    @property
    def symbol(self) -> Symbol:
        return self.request.symbol

    @property
    def strategy(self) -> StrategyID:
        return self.request.strategy

    @property
    def is_final(self) -> bool:
        return self.finished_ns != 0

    @property
    def is_manual(self) -> bool:
        """True for an order that none of our strategies made."""
        return self.request.strategy == MANUAL

    @property
    def in_doubt(self) -> bool:
        return self.doubt is not None or self.cancel_doubt is not None or self.amend_doubt is not None

    @property
    def leaves_qty(self) -> Decimal:
        """FIX 151: what may still trade, by the larger of what is and what an amend asks for."""
        order_qty = self.order_qty
        if self.amend_qty is not None and self.amend_qty > order_qty:
            order_qty = self.amend_qty
        if self.finished_ns or self.cum_qty >= order_qty:
            return ZERO
        return order_qty - self.cum_qty

    @property
    def avg_px(self) -> Decimal:
        """FIX 6: from cumulative notional, never stored rounded; 0 before the first fill."""
        return self.cum_quote / self.cum_qty if self.cum_qty else ZERO

    def begin_amend(self, order_qty: Decimal, price: Decimal | None, request_id: str) -> None:
        """An amend goes out."""
        self.amends += 1
        self.amend_qty, self.amend_price, self.amend_id, self.amend_doubt = order_qty, price, request_id, None
        self.ord_status = OrdStatus.PENDING_REPLACE

    def end_amend(self) -> None:
        """The amend on its way is over, with effect or without; the status is the caller's business."""
        self.amend_qty = self.amend_price = self.amend_doubt = None
        self.amend_id = ""

    def asked_for(self, order_qty: Decimal, price: Decimal | None) -> bool:
        """Whether these terms are those that the amend on its way asks for."""
        if price is None:
            return order_qty == self.amend_qty and self.amend_price is None
        return order_qty == self.amend_qty and price == (self.price if self.amend_price is None else self.amend_price)

    def resumed_status(self) -> OrdStatus:
        """Status once a cancel or amend that was on its way has ended without effect."""
        if self.amend_qty is not None:
            return OrdStatus.PENDING_REPLACE
        if self.order_id is None:
            return OrdStatus.PENDING_NEW
        return _PARTIALLY_FILLED if self.cum_qty else _NEW

    def picture(self) -> OpenOrder:
        """The order as others see it."""
        request = self.request
        return OpenOrder(
            request.cl_ord_id,
            self.order_id,
            request.account,
            request.venue,
            request.symbol,
            request.strategy,
            request.side,
            request.ord_type,
            self.order_qty,
            self.price,
            self.cum_qty,
            self.ord_status,
            request.time_in_force,
            request.exec_inst,
            self.in_doubt,
            request.created_ns,
            self.amend_qty,
            self.amend_price,
            self.amend_id,
            request.orig_cl_ord_id,
        )

    def check(self) -> None:
        """Every field against every rule (I4, I5); InvariantViolation names the order and the fields."""
        wrong = self._contradiction()
        if wrong:
            raise InvariantViolation(f"order {self.request.cl_ord_id}: {wrong}")

    def check_end(self) -> None:
        """What costs nothing to look at whenever an order ends; the rest, when that is wrong."""
        if not self.ord_status.is_final or self.cum_qty < 0 or self.order_qty < 0:
            self.check()

    def _contradiction(self) -> str:
        final = self.ord_status.is_final
        wrong = ""
        if final != self.is_final:
            wrong = f"finished_ns is {self.finished_ns} while ord_status is {self.ord_status.value}"
        elif self.cum_qty < 0 or self.order_qty < 0 or (self.price is not None and self.price < 0):
            wrong = f"negative: cum_qty {self.cum_qty}, order_qty {self.order_qty}, price {self.price}"
        elif not self.cum_qty and self.cum_quote:
            wrong = f"cum_quote is {self.cum_quote} with nothing filled"
        elif not final and self.amend_qty is None and self.cum_qty and self.cum_qty >= self.order_qty:
            wrong = f"cum_qty {self.cum_qty} of {self.order_qty}, and still {self.ord_status.value}"
        elif self.ord_status is OrdStatus.NEW and self.cum_qty:
            wrong = f"NEW with cum_qty {self.cum_qty}"
        elif self.ord_status is OrdStatus.PARTIALLY_FILLED and not self.cum_qty:
            wrong = "PARTIALLY_FILLED with nothing filled"
        elif self.ord_status is OrdStatus.PENDING_REPLACE and self.amend_qty is None:
            wrong = "PENDING_REPLACE without an amend"
        elif self.cancel_doubt is not None and self.ord_status is not OrdStatus.PENDING_CANCEL:
            wrong = f"doubt about a cancel while {self.ord_status.value}"
        elif self.amend_qty is None and (self.amend_price is not None or self.amend_id or self.amend_doubt is not None):
            wrong = f"no amend, and price {self.amend_price}, id {self.amend_id!r}, doubt {self.amend_doubt} of one"
        elif self.amend_qty is not None and self.ord_status not in _AMENDING:
            wrong = f"an amend to {self.amend_qty} while {self.ord_status.value}"
        elif final and (self.in_doubt or self.amend_qty is not None):
            wrong = f"final with doubt {self.doubt}, {self.cancel_doubt}, amend {self.amend_qty}"
        elif self.closed_by_us and not final:
            wrong = "closed by us and not final"
        elif self.accepted_ns < 0 or self.terms_ns < 0 or self.order_id == "":
            wrong = f"accepted_ns {self.accepted_ns}, terms_ns {self.terms_ns}, order_id {self.order_id!r}"
        return wrong
