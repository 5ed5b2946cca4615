"""What the account hears about a request, whichever way it left: sent, refused by us, answered, or in doubt.

The two paths of order entry (socket and REST) share this, so that one rule decides what a venue's answer means:

==========================  ==========================  =========================================
answer                      to a new order              to a cancel or an amend
==========================  ==========================  =========================================
success                     fills, then the report      fills, then the report
refused                     VenueReject                 VenueCancelReject
not found, already final    in doubt: it was there      VenueCancelReject, order_gone
unknown                     in doubt                    in doubt
==========================  ==========================  =========================================
"""

from __future__ import annotations

import enum

import attrs

from actors.venue.leases import Lease
from actors.venue.links import Link
from actors.venue.messages import BlockedByVenue, ClockSuspected
from protocols.enums import DoubtReason, OrdRejReason
from protocols.ids import ClOrdID, Path
from protocols.orders import (
    NotSent,
    OrderInDoubt,
    RequestSent,
    SubmitAmend,
    SubmitCancel,
    SubmitCancelAll,
    SubmitOrder,
    VenueCancelReject,
    VenueReject,
)
from protocols.venue import Disposition, Reply, VenueError
from supervisors.actor import Actor
from supervisors.statistics import Histogram

Submit = SubmitOrder | SubmitCancel | SubmitAmend | SubmitCancelAll

_REASONS = {
    Disposition.RATE_LIMITED: OrdRejReason.RATE_LIMITED,
    Disposition.BANNED: OrdRejReason.RATE_LIMITED,
    Disposition.CLOCK: OrdRejReason.CLOCK,
    Disposition.AUTH: OrdRejReason.AUTH,
    Disposition.BUSY: OrdRejReason.OVERLOADED,
    Disposition.MAINTENANCE: OrdRejReason.NOT_TRADABLE,
}
"""Refusals that are not about the order; for the others the codec's own reason holds."""

_GONE = (Disposition.NOT_FOUND, Disposition.ALREADY_FINAL)


class Way(enum.Enum):
    """How a request left."""

    SOCKET = "socket"
    REST = "rest"


@attrs.define(eq=False)
class Pending:
    """A request that left (or may have) and is not answered."""

    cl_ord_id: ClOrdID
    is_order: bool
    reply_to: Path
    sent_ns: int
    sent_mono_ns: int
    settles_ns: int
    way: Way
    link: Link | None = None
    lease: Lease | None = None


class Outcomes:
    """Speaks to the account for one order entry actor, and counts what it says."""

    def __init__(self, actor: Actor, *, limiter: Path, clock: Path, settle_after_ns: int) -> None:
        self._actor = actor
        self._limiter = limiter
        self._clock = clock
        self._settle_after_ns = settle_after_ns
        self.blocked_until_ns = 0
        """Wall clock until which the venue wants nothing from us."""
        self.latency = {way: Histogram() for way in Way}
        self.counts = dict.fromkeys(("sent", "acked", "rejected", "not_sent", "in_doubt", "late", "unmatched"), 0)
        self.refusals: dict[str, int] = {}

    def sent(
        self, message: Submit, way: Way, now_ns: int, link: Link | None = None, lease: Lease | None = None
    ) -> Pending:
        """A request that leaves now; announced separately."""
        return Pending(
            id_of(message),
            type(message) is SubmitOrder,
            message.reply_to,
            now_ns,
            self._actor.ctx.monotonic_ns,
            now_ns + self._settle_after_ns,
            way,
            link,
            lease,
        )

    def announce(self, pending: Pending) -> None:
        """Tell the account that it left."""
        self.counts["sent"] += 1
        self._actor.ctx.send(pending.reply_to, RequestSent(pending.cl_ord_id, pending.sent_ns, pending.settles_ns))

    def refuse(self, message: Submit, reason: OrdRejReason, text: str) -> None:
        """It surely did not leave."""
        self.counts["not_sent"] += 1
        self.refusals[reason.value] = self.refusals.get(reason.value, 0) + 1
        cancel = not isinstance(message, SubmitOrder)
        self._actor.ctx.send(message.reply_to, NotSent(id_of(message), cancel, reason, text))

    def doubt(self, pending: Pending, reason: DoubtReason) -> None:
        """It left, or may have, and no answer that can be trusted came."""
        self.counts["in_doubt"] += 1
        ctx = self._actor.ctx
        doubt = OrderInDoubt(pending.cl_ord_id, not pending.is_order, reason, ctx.now_ns, pending.settles_ns)
        ctx.send(pending.reply_to, doubt)

    def duplicate(self, message: SubmitOrder, now_ns: int) -> None:
        """This ClOrdID was given to a wire before: never again; the venue knows what became of it."""
        self.counts["in_doubt"] += 1
        settles_ns = now_ns + self._settle_after_ns
        doubt = OrderInDoubt(message.order.cl_ord_id, False, DoubtReason.RESTARTED, now_ns, settles_ns)
        self._actor.ctx.send(message.reply_to, doubt)

    def answered(self, pending: Pending, reply: Reply) -> None:
        """The venue's answer, timed and passed on."""
        ctx = self._actor.ctx
        self.latency[pending.way].record(ctx.monotonic_ns - pending.sent_mono_ns)
        if reply.error is not None:
            self._refused(pending, reply.error)
            return
        self.counts["acked"] += 1
        state = reply.report
        if state is None:
            return  # a bare acknowledgement: the private stream tells the rest
        for fill in state.fills:
            ctx.send(pending.reply_to, fill)
        if state.report is not None:
            ctx.send(pending.reply_to, state.report)

    def _refused(self, pending: Pending, error: VenueError) -> None:
        disposition = error.disposition
        self._note(error)
        if disposition is Disposition.UNKNOWN or (pending.is_order and disposition in _GONE):
            self.doubt(pending, DoubtReason.VENUE_UNKNOWN)
            return
        self.counts["rejected"] += 1
        ctx = self._actor.ctx
        if pending.is_order:
            reason = _REASONS.get(disposition, error.reason)
            ctx.send(pending.reply_to, VenueReject(pending.cl_ord_id, reason, error.code, error.text))
        else:
            gone = disposition in _GONE
            ctx.send(pending.reply_to, VenueCancelReject(pending.cl_ord_id, error.code, error.text, gone))

    def _note(self, error: VenueError) -> None:
        """A ban stops this actor at once, and all others through the limiter."""
        ctx = self._actor.ctx
        if error.disposition in (Disposition.RATE_LIMITED, Disposition.BANNED):
            self.blocked_until_ns = max(self.blocked_until_ns, error.until_ns)
            ctx.send(self._limiter, BlockedByVenue(error.until_ns, error.text))
        elif error.disposition is Disposition.CLOCK:
            ctx.send(self._clock, ClockSuspected(error.text))

    def inspect(self) -> dict[str, object]:
        """For the console."""
        return {
            **self.counts,
            "refusals": dict(self.refusals),
            "blocked_until_ns": self.blocked_until_ns,
            "ack_ns": {way.value: histogram.summary() for way, histogram in self.latency.items()},
        }


def id_of(message: Submit) -> ClOrdID:
    """The order that a request is about; "" when it is about all of a symbol."""
    if isinstance(message, SubmitOrder):
        return message.order.cl_ord_id
    if isinstance(message, SubmitCancelAll):
        return ClOrdID("")
    return message.cl_ord_id
