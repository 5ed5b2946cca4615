"""What order entry says of our requests, and what an account makes of it.

A request was surely not sent, refused, taken without more words, or nobody knows.  An answer may come late and more
than once: what it is about, the order, its cancel or one of its amends, is found first, and one about what is over is
counted and changes nothing.  Every method is one decision, see `core`.
"""

from __future__ import annotations

from actors.account.commands import Commands
from actors.account.desk import Forward, ReportsDue
from actors.account.order import Order
from protocols.enums import CxlRejReason, CxlRejResponseTo, DoubtReason, ExecType, OrdRejReason, OrdStatus
from protocols.ids import ClOrdID, OrderID
from protocols.journal import CancelClosed, DoubtOpened, OrderClosed
from protocols.orders import (
    FIRM_GATE,
    SOME_AMEND,
    AmendClosed,
    CancelRejected,
    ExecutionReport,
    NotSent,
    OrderInDoubt,
    RequestAcknowledged,
    VenueCancelReject,
    VenueReject,
    refuse,
)


def _is_amends(order: Order, number: int) -> bool | None:
    """Which change on its way an answer is about: True the amend, False the cancel, None neither.

    `number` says which amend it answers, 0 that it answers a cancel.  Both may be on their way, and an answer may come
    late: one to what is over says nothing about what came after it.
    """
    if number:
        return True if order.amend_qty is not None and number == order.amends else None
    return False if order.ord_status is OrdStatus.PENDING_CANCEL else None


class Answers(Commands):
    """The decisions about what became of our requests."""

    def report(self, report: ExecutionReport) -> None:
        """What the venue says of an order; see `core`."""
        raise NotImplementedError

    def not_sent(self, event: NotSent) -> None:
        """A request surely did not leave: the order never was, or the cancel had no effect."""
        order = self._live(event.cl_ord_id)
        if order is None:
            return
        if event.cancel:
            unsupported = event.reason is OrdRejReason.UNSUPPORTED
            reason = CxlRejReason.UNSUPPORTED if unsupported else CxlRejReason.NOT_SENT
            self._change_failed(order, reason, event.text, event.amend)
        elif order.order_id is not None:
            self.counts["contradicted"] += 1
        else:
            self._close(order, event.reason, event.text)

    def venue_reject(self, event: VenueReject) -> None:
        """The venue surely refused a new order.  A confirmed order cannot be refused any more: ask what it means."""
        order = self._live(event.cl_ord_id)
        if order is None:
            return
        if order.order_id is not None:
            self.counts["contradicted"] += 1
            self.ask_once(order)
        else:
            self._close(order, event.reason, f"{event.code}: {event.text}" if event.code else event.text)

    def acknowledged(self, event: RequestAcknowledged) -> None:
        """The venue has received a request; what became of it is for a report to say, which may have come before."""
        order = self.state.orders.live.get(event.cl_ord_id)
        self.counts["acknowledged"] += 1
        if order is not None and self._awaits(order, event):
            self.await_report(event)

    def _awaits(self, order: Order, event: RequestAcknowledged) -> bool:
        if event.cancel:
            is_amends = _is_amends(order, event.amend)
            if is_amends is None:
                return False
            return (order.amend_doubt if is_amends else order.cancel_doubt) is None
        return order.order_id is None and order.doubt is None

    def reports_due(self, timer: ReportsDue) -> None:
        """Whatever was acknowledged and not reported for too long has a fate that we do not know: ask."""
        now_ns, patience_ns = self.ctx.now_ns, self.settings.report_patience_ns
        while self.awaited:
            key = next(iter(self.awaited))
            event = self.awaited[key]
            left_ns = event.at_ns + patience_ns - now_ns
            order = self.state.orders.live.get(event.cl_ord_id)
            if order is not None and self._awaits(order, event):
                if left_ns > 0:
                    self.ctx.after(left_ns, ReportsDue())
                    return
                self.counts["unreported"] += 1
                self.audit_wanted = True
                if event.cancel:
                    amend = bool(_is_amends(order, event.amend))
                    reason = DoubtReason.NO_REPORT
                    self.open_doubt(order, reason, event.at_ns, event.settles_ns, cancel=True, amend=amend)
                else:
                    self.ask_once(order)
            del self.awaited[key]

    def venue_cancel_reject(self, event: VenueCancelReject) -> None:
        """A cancel or amend had no effect.  If the venue says that the order is gone, its query tells where to."""
        order = self._live(event.cl_ord_id)
        if order is None:
            return
        if event.amend == SOME_AMEND:
            self._some_amend_failed(order)
            return
        reason = CxlRejReason.TOO_LATE if event.order_gone else CxlRejReason.VENUE
        self._change_failed(order, reason, f"{event.code}: {event.text}" if event.code else event.text, event.amend)
        if event.order_gone and not order.finished_ns:
            self.ask_once(order)

    def _some_amend_failed(self, order: Order) -> None:
        """It may be an earlier one than the one on its way, whose reservation must not go with it: ask."""
        if order.amend_qty is None:
            self.counts["contradicted"] += 1
        elif order.amend_doubt is None:
            now_ns = self.ctx.now_ns
            settles_ns = now_ns + self.settings.settle_ns
            self.open_doubt(order, DoubtReason.VENUE_UNKNOWN, now_ns, settles_ns, cancel=True, amend=True)

    def in_doubt(self, event: OrderInDoubt) -> None:
        """Nobody knows what the venue did with a request; a report that came meanwhile knows better."""
        order = self._live(event.cl_ord_id)
        if order is None:
            return
        is_amends = _is_amends(order, event.amend) if event.cancel else False
        is_over = is_amends is None if event.cancel else order.order_id is not None
        if is_over:
            self.counts["contradicted"] += 1
            return
        amend = bool(is_amends)
        self.open_doubt(order, event.reason, event.since_ns, event.settles_ns, cancel=event.cancel, amend=amend)

    def open_doubt(
        self,
        order: Order,
        reason: DoubtReason,
        since_ns: int,
        settles_ns: int,
        *,
        cancel: bool = False,
        amend: bool = False,
    ) -> None:
        """From now on the order's fate is asked for; its exposure counts as live (I8)."""
        self.counts["doubts"] += 1
        opened = DoubtOpened(order.cl_ord_id, cancel, reason, since_ns, settles_ns, amend)
        self.record(self.subjects(order.symbol)[0], opened)
        self.watch(order)

    def doubt_what_was_on_its_way(self) -> None:
        """A restart: nobody knows what became of requests whose answers were on their way to the one before."""
        now_ns = self.ctx.now_ns
        settles_ns, reason = now_ns + self.settings.settle_ns, DoubtReason.RESTARTED
        for order in list(self.state.orders.live.values()):
            if order.order_id is None and order.doubt is None:
                self.open_doubt(order, reason, now_ns, settles_ns)
            if order.amend_qty is not None and order.amend_doubt is None:
                self.open_doubt(order, reason, now_ns, settles_ns, cancel=True, amend=True)
            if order.ord_status is OrdStatus.PENDING_CANCEL and order.cancel_doubt is None:
                self.open_doubt(order, reason, now_ns, settles_ns, cancel=True)
            if order.in_doubt:
                self.watch(order)

    def _live(self, cl_ord_id: ClOrdID) -> Order | None:
        """The live order that an answer is about; others are counted, because a report may have been faster."""
        orders = self.state.orders
        order = orders.live.get(cl_ord_id)
        if order is None:
            self.counts["duplicate" if cl_ord_id in orders.by_cl_ord_id else "unknown_order"] += 1
        else:
            self.applied += 1
        return order

    def _close(self, order: Order, reason: OrdRejReason, text: str) -> None:
        """End an order without a report of the venue; everybody hears of it as of a refusal."""
        closed = OrderClosed(order.cl_ord_id, reason, text, self.ctx.now_ns)
        self.record(self.subjects(order.symbol)[0], closed, refuse(order.request, reason, text))
        self.tidy(order)

    def _change_failed(self, order: Order, reason: CxlRejReason, text: str, number: int) -> None:
        """A cancel, or the amend of this number, ended without effect."""
        is_amends = _is_amends(order, number)
        if is_amends is None:
            self.counts["contradicted"] += 1
        elif is_amends:
            self._amend_failed(order, reason, text)
        else:
            self._cancel_failed(order, reason, text)

    def _cancel_failed(self, order: Order, reason: CxlRejReason, text: str) -> None:
        is_half = order.cl_ord_id in self.state.orders.replacements
        response_to = CxlRejResponseTo.REPLACE if is_half else CxlRejResponseTo.CANCEL
        rejected = CancelRejected(order.cl_ord_id, reason, text, response_to)
        reply_to = self.cancelers.pop(order.cl_ord_id, order.request.reply_to)
        forward: Forward = ((reply_to, rejected),) if reply_to else ()
        self.record(self.subjects(order.symbol)[0], CancelClosed(rejected, self.ctx.now_ns), forward)
        self.tidy(order)

    def _amend_failed(self, order: Order, reason: CxlRejReason, text: str) -> None:
        rejected = CancelRejected(order.cl_ord_id, reason, text, CxlRejResponseTo.REPLACE)
        reply_to = self.amenders.pop(order.cl_ord_id, order.request.reply_to)
        forward: Forward = ((reply_to, rejected),) if reply_to else ()
        if order.amend_id:
            forward = (*forward, *self._amend_closed(order, order.amend_id))
        self.record(self.subjects(order.symbol)[0], CancelClosed(rejected, self.ctx.now_ns), forward)
        if order.cum_qty >= order.order_qty:
            self._filled_after_all(order)
        self.tidy(order)

    def _filled_after_all(self, order: Order) -> None:
        """Without the larger quantity that an amend asked for, there is nothing left to trade."""
        request = order.request
        full = ExecutionReport(
            request.cl_ord_id,
            order.order_id or OrderID(""),
            self.account,
            request.strategy,
            self.venue,
            request.symbol,
            request.side,
            ExecType.ORDER_STATUS,
            OrdStatus.FILLED,
            order.order_qty,
            order.cum_qty,
            order.terms_ns,
            self.state.newest_received_ns,
            request.ord_type,
            order.price,
        )
        self.report(full)

    def _amend_closed(self, order: Order, request_id: str) -> Forward:
        """What tells the gates that an amend is over, and which terms the order has."""
        closed = AmendClosed(order.cl_ord_id, self.account, self.venue, request_id, order.order_qty, order.price)
        return ((FIRM_GATE, closed), (self.gate, closed))
