"""The order's life, as messages.

    strategy --NewOrder--> router --RoutedOrder--> firm gate --FirmApproved--> account gate
             --RiskApproved--> account --Append(OrderAccepted..., forward=SubmitOrder)--> journal
             --SubmitOrder--> order entry --> venue

    strategy --AmendOrder--> router --RoutedAmend--> firm gate --FirmApprovedAmend--> account gate
             --RiskApprovedAmend--> account --Append(AmendIntent, forward=SubmitAmend)--> journal --> ...

    venue --> private stream, order entry --ExecutionReport/OrderReply--> account --Append--> journal
          --ExecutionReport--> strategy, gates, portfolio

Only `RiskApproved` makes an account send an order, and only a gate makes a `RiskApproved`.  Refusals travel as
`OrderRefused` to the strategy and to both gates, so that what was reserved is released.  An order is changed in one of
two ways (FIX OrderCancelReplaceRequest), by what its venue can do:

* in place (`AmendOrder`): it keeps its ClOrdID.  Less quantity at the same price goes straight to the account, because
  it cannot add risk; all else passes the gates, which reserve the larger of both until `AmendClosed`;
* by another order (`NewOrder.orig_cl_ord_id`): the old one is canceled and the new one made in one request, which is
  not all or nothing.  Both are reserved in full, and each has its own end.

Quantities are base units (contracts on derivatives), prices are quote units, times are wall-clock nanoseconds UTC.
"""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from protocols.base import Command, Event, RefusalReason, message
from protocols.enums import (
    CxlRejReason,
    CxlRejResponseTo,
    DoubtReason,
    ExecInst,
    ExecType,
    Liquidity,
    OrdRejReason,
    OrdStatus,
    OrdType,
    Side,
    TimeInForce,
)
from protocols.ids import MANUAL, AccountID, ClOrdID, OrderID, Path, StrategyID, Symbol, TradeID, Venue

ZERO = Decimal(0)
SOME_AMEND = -1
"""For `VenueCancelReject.amend`."""

FIRM_GATE: Path = "/risk/firm"
ROUTER: Path = "/router"


def account_gate(account: AccountID) -> Path:
    """Address of the risk gate of one account."""
    return f"/risk/{account}"


def account_path(account: AccountID, venue: Venue) -> Path:
    """Address of the actor that owns one account's orders on one venue."""
    return f"/accounts/{account}/{venue}/account"


_REFUSAL = {
    RefusalReason.MAILBOX_FULL: OrdRejReason.OVERLOADED,
    RefusalReason.NOT_READY: OrdRejReason.NOT_READY,
    RefusalReason.ACTOR_DOWN: OrdRejReason.NOT_READY,
    RefusalReason.NO_SUCH_ACTOR: OrdRejReason.NO_ROUTE,
    RefusalReason.POISON: OrdRejReason.NOT_READY,
}


@message
class NewOrder(Command):
    """FIX NewOrderSingle: what a strategy (or the operator) wants.  `venue` empty: the router chooses."""

    cl_ord_id: ClOrdID
    account: AccountID
    strategy: StrategyID
    venue: Venue
    symbol: Symbol
    side: Side
    ord_type: OrdType
    order_qty: Decimal
    price: Decimal | None
    created_ns: int
    reply_to: Path
    time_in_force: TimeInForce = TimeInForce.GTC
    exec_inst: ExecInst = ExecInst.NONE
    stop_px: Decimal | None = None
    parent: ClOrdID | None = None
    orig_cl_ord_id: ClOrdID | None = None
    """FIX 41: the live order that this one replaces, on the same side of the same symbol; None: it replaces none.  Only
    where `capabilities.cancel_replace`."""

    def refusals(self, reason: RefusalReason, by: str) -> tuple[tuple[str, OrderRefused], ...]:
        return refuse(self, _REFUSAL[reason], f"{by}: {reason.value}")


def refuse(order: NewOrder, reason: OrdRejReason, text: str) -> tuple[tuple[Path, OrderRefused], ...]:
    """The three who must hear that `order` will never leave: its maker and both gates."""
    refused = OrderRefused(order.cl_ord_id, order.account, order.strategy, order.venue, order.symbol, reason, text)
    return ((order.reply_to, refused), (FIRM_GATE, refused), (account_gate(order.account), refused))


@message
class RoutedOrder(Command):
    """A NewOrder whose venue is decided."""

    order: NewOrder

    def refusals(self, reason: RefusalReason, by: str) -> tuple[tuple[str, OrderRefused], ...]:
        return self.order.refusals(reason, by)


@message
class FirmApproved(Command):
    """Passed the firm-wide gate; its exposure is reserved there."""

    order: NewOrder

    def refusals(self, reason: RefusalReason, by: str) -> tuple[tuple[str, OrderRefused], ...]:
        return self.order.refusals(reason, by)


@message
class RiskApproved(Command):
    """Passed every gate: the only thing that an account will send."""

    order: NewOrder

    def refusals(self, reason: RefusalReason, by: str) -> tuple[tuple[str, OrderRefused], ...]:
        return self.order.refusals(reason, by)


@message
class OrderRefused(Event):
    """An order that never left the engine."""

    cl_ord_id: ClOrdID
    account: AccountID
    strategy: StrategyID
    venue: Venue
    symbol: Symbol
    reason: OrdRejReason
    text: str


@message
class CancelOrder(Command):
    """FIX OrderCancelRequest, sent to the account.  Cancels need no gate: they only reduce."""

    passes_shut_gate: ClassVar[bool] = True

    cl_ord_id: ClOrdID
    account: AccountID
    venue: Venue
    symbol: Symbol
    reply_to: Path

    def refusals(self, reason: RefusalReason, by: str) -> tuple[tuple[str, CancelRejected], ...]:
        text = f"{by}: {reason.value}"
        return ((self.reply_to, CancelRejected(self.cl_ord_id, CxlRejReason.NOT_READY, text)),)


@message
class CancelAll(Command):
    """Cancel every live order of the account that matches; None matches everything."""

    passes_shut_gate: ClassVar[bool] = True

    account: AccountID
    venue: Venue
    reply_to: Path
    symbol: Symbol | None = None
    strategy: StrategyID | None = None


@message
class AmendOrder(Command):
    """FIX OrderCancelReplaceRequest in place: the order keeps its ClOrdID.

    Sent to the account when it asks for less quantity at the same price; to the router (with a `request_id`) for
    everything else, which takes a venue with `capabilities.amends_price`.
    """

    cl_ord_id: ClOrdID
    account: AccountID
    venue: Venue
    symbol: Symbol
    order_qty: Decimal
    """The new total, CumQty included."""
    reply_to: Path
    price: Decimal | None = None
    """None: as it is."""
    request_id: str = ""
    """Names this request, once for ever (`ClOrdIDs` makes it), so that gates give back what they reserved for it and
    nothing else."""
    strategy: StrategyID = MANUAL
    created_ns: int = 0
    """0: not stated, never stale."""

    def refusals(self, reason: RefusalReason, by: str) -> tuple[tuple[str, CancelRejected | AmendClosed], ...]:
        return refuse_amend(self, CxlRejReason.NOT_READY, f"{by}: {reason.value}")


def refuse_amend(
    amend: AmendOrder, reason: CxlRejReason, text: str, gates: tuple[Path, ...] = ()
) -> tuple[tuple[Path, CancelRejected | AmendClosed], ...]:
    """Those who must hear that `amend` changes nothing: its maker, and the gates that let this very message pass."""
    rejected = CancelRejected(amend.cl_ord_id, reason, text, CxlRejResponseTo.REPLACE)
    closed = AmendClosed(amend.cl_ord_id, amend.account, amend.venue, amend.request_id)
    return ((amend.reply_to, rejected), *((gate, closed) for gate in gates))


@message
class RoutedAmend(Command):
    """An AmendOrder that may raise risk, on its way to the firm's gate."""

    amend: AmendOrder

    def refusals(self, reason: RefusalReason, by: str) -> tuple[tuple[str, CancelRejected | AmendClosed], ...]:
        return self.amend.refusals(reason, by)


@message
class FirmApprovedAmend(Command):
    """Passed the firm-wide gate; the larger of old and new terms is reserved there."""

    amend: AmendOrder

    def refusals(self, reason: RefusalReason, by: str) -> tuple[tuple[str, CancelRejected | AmendClosed], ...]:
        return refuse_amend(self.amend, CxlRejReason.NOT_READY, f"{by}: {reason.value}", (FIRM_GATE,))


@message
class RiskApprovedAmend(Command):
    """Passed every gate: the only amend beyond a smaller quantity that an account will send."""

    amend: AmendOrder

    def refusals(self, reason: RefusalReason, by: str) -> tuple[tuple[str, CancelRejected | AmendClosed], ...]:
        gates = (FIRM_GATE, account_gate(self.amend.account))
        return refuse_amend(self.amend, CxlRejReason.NOT_READY, f"{by}: {reason.value}", gates)


@message
class AmendClosed(Event):
    """An amend that went through the gates is over: what they reserved for it beyond the order's terms is free.

    `order_qty` and `price` are those of the order from now on; None when the amend never reached its account, which
    leaves them as they were.  The order's own end needs no such message.
    """

    cl_ord_id: ClOrdID
    account: AccountID
    venue: Venue
    request_id: str
    order_qty: Decimal | None = None
    price: Decimal | None = None


@message
class OrderBatch(Command):
    """Several orders in one message; each is decided on its own, results are partial."""

    orders: tuple[NewOrder, ...]

    def refusals(self, reason: RefusalReason, by: str) -> tuple[tuple[str, OrderRefused], ...]:
        return tuple(pair for order in self.orders for pair in order.refusals(reason, by))


@message
class CancelRejected(Event):
    """FIX OrderCancelReject: of a cancel, or of an amend."""

    cl_ord_id: ClOrdID
    reason: CxlRejReason
    text: str
    response_to: CxlRejResponseTo = CxlRejResponseTo.CANCEL


# ---- account -> journal -> order entry ------------------------------------------------------------------------


@message
class SubmitOrder(Event):
    """Write this order to the venue.  Its intent is already in the journal; the answer is an `OrderReply`."""

    order: NewOrder
    reply_to: Path


@message
class SubmitCancel(Event):
    """Write this cancel.  `order_id` when the venue's id is known (a cancel may rename the client id)."""

    cl_ord_id: ClOrdID
    order_id: OrderID | None
    symbol: Symbol
    reply_to: Path


@message
class SubmitAmend(Event):
    """Write this change of an order's terms; side and price are for venues that want all terms said anew."""

    cl_ord_id: ClOrdID
    order_id: OrderID | None
    symbol: Symbol
    order_qty: Decimal
    reply_to: Path
    side: Side | None = None
    price: Decimal | None = None
    is_free: bool = False
    """More than a smaller quantity: another price, or a larger quantity (`capabilities.amends_price`)."""
    number: int = 0
    """Of the order's amends, counted from 1; what is heard about it says the same (`amend`)."""


@message
class SubmitReplace(Event):
    """Write one request that ends one order and makes another (`capabilities.cancel_replace`); the intents of both are
    in the journal.  Each order hears its own part of the answer."""

    order: NewOrder
    """The new one; the old one is its `orig_cl_ord_id`."""
    old_order_id: OrderID | None
    reply_to: Path


@message
class SubmitCancels(Event):
    """Cancel these live orders of one symbol, in as few requests as the venue takes."""

    symbol: Symbol
    orders: tuple[tuple[ClOrdID, OrderID | None], ...]
    """Their names, by us and (where known) by the venue."""
    whole: bool
    """They are all orders of the symbol that we know of: a request for "all" means the same."""
    reply_to: Path


@message
class SubmitCancelAll(Event):
    """Cancel everything on the symbol in one request, where the venue can."""

    symbol: Symbol
    reply_to: Path


# ---- order entry, reconciler -> account ------------------------------------------------------------------------


@message
class RequestSent(Event):
    """The request's bytes were handed to the kernel: from here on only evidence settles it."""

    cl_ord_id: ClOrdID
    sent_ns: int
    settles_ns: int
    """Wall clock after which the venue can no longer accept the request (window + its own limit + skew)."""


@message
class NotSent(Event):
    """The request surely did not leave."""

    cl_ord_id: ClOrdID
    cancel: bool
    """It was a cancel or an amend."""
    reason: OrdRejReason
    text: str
    amend: int = 0
    """Which of the order's amends it was, counted from 1; 0: none."""


@message
class RequestAcknowledged(Event):
    """The venue has received a request and says no more: a report must follow by the private stream."""

    cl_ord_id: ClOrdID
    order_id: OrderID | None
    cancel: bool
    """It was a cancel or an amend."""
    at_ns: int
    settles_ns: int
    """Wall clock after which the request can take no effect any more."""
    amend: int = 0
    """Which of the order's amends it was, counted from 1; 0: none."""


@message
class OrderInDoubt(Event):
    """The request left, or may have, and no answer that can be trusted came.  Query; never resend."""

    cl_ord_id: ClOrdID
    cancel: bool
    reason: DoubtReason
    since_ns: int
    settles_ns: int
    amend: int = 0
    """Which of the order's amends it was, counted from 1; 0: none."""


@message
class VenueReject(Event):
    """The venue surely refused a new order."""

    cl_ord_id: ClOrdID
    reason: OrdRejReason
    code: str
    text: str


@message
class VenueCancelReject(Event):
    """The venue refused a cancel or an amend.  `order_gone`: it says there is no such live order; query why."""

    cl_ord_id: ClOrdID
    code: str
    text: str
    order_gone: bool
    amend: int = 0
    """Which of the order's amends it was, counted from 1; 0: a cancel; `SOME_AMEND`: an amend, nobody knows which."""


@message
class ExecutionReport(Event):
    """One venue-confirmed change to one order, from the stream, a reply or a query.  The journal stores exactly this.

    `cum_qty` and `ord_status` are the venue's; `last_*`, `trade_id`, `fee*` are set when `exec_type` is TRADE.
    """

    cl_ord_id: ClOrdID
    order_id: OrderID
    account: AccountID
    strategy: StrategyID
    venue: Venue
    symbol: Symbol
    side: Side
    exec_type: ExecType
    ord_status: OrdStatus
    order_qty: Decimal
    cum_qty: Decimal
    transact_ns: int
    received_ns: int
    ord_type: OrdType = OrdType.LIMIT
    price: Decimal | None = None
    last_qty: Decimal = ZERO
    last_px: Decimal = ZERO
    cum_quote: Decimal = ZERO
    trade_id: TradeID | None = None
    fee: Decimal = ZERO
    fee_asset: str = ""
    liquidity: Liquidity = Liquidity.UNKNOWN
    exec_id: str = ""
    text: str = ""
    poss_dup: bool = False
    leg: Side | None = None
    """Which of a symbol's two positions it moves, in hedge mode: BUY is the long one; None: there is one position."""
    orig_cl_ord_id: ClOrdID | None = None
    """FIX 41: the order that this one was made to replace.  Set by the account; codecs leave it None."""

    @property
    def leaves_qty(self) -> Decimal:
        """FIX 151: what may still trade; 0 once the status is final."""
        return ZERO if self.ord_status.is_final else self.order_qty - self.cum_qty


@message
class OrderNotFound(Event):
    """A query by ClOrdID found nothing at the venue, asked at `asked_ns` (wall clock)."""

    cl_ord_id: ClOrdID
    asked_ns: int
