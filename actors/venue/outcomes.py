"""What the account hears about a request, whichever way it left: sent, refused by us, answered, or in doubt.

The two paths of order entry (socket and REST) share this, so that one rule decides what a venue's answer means:

==========================  ==========================  =========================================
answer                      to a new order              to a cancel or an amend
==========================  ==========================  =========================================
success                     fills, then the report      fills, then the report
refused                     VenueReject                 VenueCancelReject
not found, already final    in doubt: it was there      VenueCancelReject, order_gone
unknown                     in doubt                    in doubt
no more than "received"     RequestAcknowledged         RequestAcknowledged
==========================  ==========================  =========================================

A request that replaces an order is a cancel of the old one and a new order at once: each half of the answer goes to its
own order.  One refusal of the whole is a refusal of both halves; that the old order is gone is said of the old one, and
means of the new one that it was not made.

A request may be about several orders (a batch, a mass cancel).  Each of them hears its own part of the answer; where
the answer has no parts it is the answer to all, and parts that do not match the request prove nothing.
"""

from __future__ import annotations

import enum

import attrs

from actors.venue.calls import blocked_by
from actors.venue.leases import Lease
from actors.venue.links import Link
from actors.venue.messages import ClockSuspected
from protocols.enums import DoubtReason, OrdRejReason
from protocols.ids import ClOrdID, OrderID, Path
from protocols.orders import (
    NotSent,
    OrderInDoubt,
    RequestAcknowledged,
    RequestSent,
    SubmitAmend,
    SubmitCancel,
    SubmitCancelAll,
    SubmitCancels,
    SubmitOrder,
    SubmitReplace,
    VenueCancelReject,
    VenueReject,
)
from protocols.venue import Disposition, OrderState, Reply, Scope, VenueError
from supervisors.actor import Actor
from supervisors.statistics import Histogram


@attrs.frozen
class OrderGroup:
    """New orders that leave in one request."""

    members: tuple[SubmitOrder, ...]

    @property
    def reply_to(self) -> Path:
        return self.members[0].reply_to


Change = SubmitCancel | SubmitCancels | SubmitAmend | SubmitCancelAll
Submit = SubmitOrder | OrderGroup | SubmitReplace | Change

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

    cl_ord_ids: tuple[ClOrdID, ...]
    """Of the orders that it is about; one "" when it is about all of a symbol."""
    is_order: bool
    reply_to: Path
    sent_ns: int
    sent_mono_ns: int
    settles_ns: int
    way: Way
    link: Link | None = None
    leases: tuple[Lease, ...] = ()
    amend: int = 0
    """Which of the order's amends it is; 0: it is none."""
    halves: tuple[Pending, Pending] | None = None
    """Of a replacement: the cancel of the old order, and the new order."""


class Outcomes:
    """Speaks to the account for one order entry actor, and counts what it says."""

    def __init__(self, actor: Actor, *, limiter: Path, clock: Path, settle_after_ns: int, account: str = "") -> None:
        self._actor = actor
        self._limiter = limiter
        self._clock = clock
        self._settle_after_ns = settle_after_ns
        self._account = account
        self.blocked_until_ns = 0
        """Wall clock until which the venue wants nothing from us."""
        self._emptied_until_ns = {True: 0, False: 0}
        """Until when the account's own bucket is empty: that of new orders, that of their changes."""
        self.latency = {way: Histogram() for way in Way}
        self.counts = dict.fromkeys(("sent", "acked", "rejected", "not_sent", "in_doubt", "late", "unmatched"), 0)
        self.refusals: dict[str, int] = {}

    def sent(
        self, message: Submit, way: Way, now_ns: int, link: Link | None = None, leases: tuple[Lease, ...] = ()
    ) -> Pending:
        """A request that leaves now; announced separately."""
        kind = type(message)
        pending = Pending(
            ids_of(message),
            kind is SubmitOrder or kind is OrderGroup,
            message.reply_to,
            now_ns,
            self._actor.ctx.monotonic_ns,
            now_ns + self._settle_after_ns,
            way,
            link,
            leases,
        )
        if isinstance(message, SubmitAmend):
            pending.amend = message.number
        elif isinstance(message, SubmitReplace):
            old, new = pending.cl_ord_ids
            pending.halves = (
                attrs.evolve(pending, cl_ord_ids=(old,)),
                attrs.evolve(pending, cl_ord_ids=(new,), is_order=True),
            )
        return pending

    def announce(self, pending: Pending) -> None:
        """Tell the account that it left."""
        ctx = self._actor.ctx
        for cl_ord_id in pending.cl_ord_ids:
            self.counts["sent"] += 1
            ctx.send(pending.reply_to, RequestSent(cl_ord_id, pending.sent_ns, pending.settles_ns))

    def refuse(self, message: Submit, reason: OrdRejReason, text: str) -> None:
        """It surely did not leave."""
        new_ids = new_ids_of(message)
        amend = message.number if isinstance(message, SubmitAmend) else 0
        for cl_ord_id in ids_of(message):
            self.counts["not_sent"] += 1
            self.refusals[reason.value] = self.refusals.get(reason.value, 0) + 1
            not_sent = NotSent(cl_ord_id, cl_ord_id not in new_ids, reason, text, amend)
            self._actor.ctx.send(message.reply_to, not_sent)

    def doubt(self, pending: Pending, reason: DoubtReason) -> None:
        """It left, or may have, and no answer that can be trusted came."""
        for part in pending.halves or (pending,):
            for cl_ord_id in part.cl_ord_ids:
                self._doubt(part, cl_ord_id, reason)

    def _doubt(self, pending: Pending, cl_ord_id: ClOrdID, reason: DoubtReason) -> None:
        self.counts["in_doubt"] += 1
        ctx = self._actor.ctx
        ctx.send(
            pending.reply_to,
            OrderInDoubt(cl_ord_id, not pending.is_order, reason, ctx.now_ns, pending.settles_ns, pending.amend),
        )

    def duplicate(self, message: SubmitOrder | SubmitReplace, now_ns: int) -> None:
        """This ClOrdID was given to a wire before: never again; the venue knows what became of it."""
        settles_ns = now_ns + self._settle_after_ns
        for cl_ord_id in ids_of(message):
            self.counts["in_doubt"] += 1
            cancel = cl_ord_id != message.order.cl_ord_id
            doubt = OrderInDoubt(cl_ord_id, cancel, DoubtReason.RESTARTED, now_ns, settles_ns)
            self._actor.ctx.send(message.reply_to, doubt)

    def answered(self, pending: Pending, reply: Reply) -> None:
        """The venue's answer, timed and passed on."""
        self.latency[pending.way].record(self._actor.ctx.monotonic_ns - pending.sent_mono_ns)
        cl_ord_ids = pending.cl_ord_ids
        error, parts = reply.error, reply.parts
        if pending.halves is not None:
            self._replaced(pending.halves, reply)
        elif error is not None:
            self._note(error, pending)
            for cl_ord_id in cl_ord_ids:
                self._refused(pending, cl_ord_id, error)
        elif len(cl_ord_ids) == 1 and not parts:
            self._accepted(pending, cl_ord_ids[0], reply.report)
        elif parts and len(parts) == len(cl_ord_ids):
            for cl_ord_id, part in zip(cl_ord_ids, parts, strict=True):
                if part.error is not None:
                    self._note(part.error, pending)
                    self._refused(pending, cl_ord_id, part.error)
                else:
                    self._accepted(pending, cl_ord_id, part.report)
        elif pending.is_order or parts or reply.report is not None:
            self.doubt(pending, DoubtReason.VENUE_UNKNOWN)
        else:
            for cl_ord_id in cl_ord_ids:  # a mass cancel that the venue has taken
                self._accepted(pending, cl_ord_id, None)

    def _replaced(self, halves: tuple[Pending, Pending], reply: Reply) -> None:
        """The answer to a replacement: each half for its own order."""
        error, parts = reply.error, reply.parts
        if error is not None:
            self._note(error, halves[1])  # it left under the permit of a new order
            parts = (Reply("", error=error), Reply("", error=_of_the_new(error)))
        if len(parts) != len(halves):
            parts = (_UNREADABLE, _UNREADABLE)
        for half, part in zip(halves, parts, strict=True):
            (cl_ord_id,) = half.cl_ord_ids
            if part.error is None:
                self._accepted(half, cl_ord_id, part.report)
                continue
            if error is None:
                self._note(part.error, half)
            self._refused(half, cl_ord_id, part.error)

    def _accepted(self, pending: Pending, cl_ord_id: ClOrdID, state: OrderState | None) -> None:
        self.counts["acked"] += 1
        ctx = self._actor.ctx
        if state is None or state.report is None:
            self._acknowledged(pending, cl_ord_id, state.order_id or None if state is not None else None)
        if state is None:
            return
        for fill in state.fills:
            ctx.send(pending.reply_to, fill)
        if state.report is not None:
            ctx.send(pending.reply_to, state.report)
            if pending.amend:  # the report may tell other terms than those asked for: then it settles nothing
                self._acknowledged(pending, cl_ord_id, state.order_id or None)

    def _acknowledged(self, pending: Pending, cl_ord_id: ClOrdID, order_id: OrderID | None) -> None:
        ctx = self._actor.ctx
        acknowledged = RequestAcknowledged(
            cl_ord_id, order_id, not pending.is_order, ctx.now_ns, pending.settles_ns, pending.amend
        )
        ctx.send(pending.reply_to, acknowledged)

    def _refused(self, pending: Pending, cl_ord_id: ClOrdID, error: VenueError) -> None:
        disposition = error.disposition
        if disposition is Disposition.UNKNOWN or (pending.is_order and disposition in _GONE):
            self._doubt(pending, cl_ord_id, DoubtReason.VENUE_UNKNOWN)
            return
        self.counts["rejected"] += 1
        ctx = self._actor.ctx
        if pending.is_order:
            reason = _REASONS.get(disposition, error.reason)
            ctx.send(pending.reply_to, VenueReject(cl_ord_id, reason, error.code, error.text))
        else:
            gone = disposition in _GONE
            ctx.send(pending.reply_to, VenueCancelReject(cl_ord_id, error.code, error.text, gone, pending.amend))

    def _note(self, error: VenueError, pending: Pending) -> None:
        """A ban stops this actor at once, and all others through the limiter; an empty bucket of the account's own
        stops what counts in it: no cancel waits because there were too many orders."""
        ctx = self._actor.ctx
        if error.disposition in (Disposition.RATE_LIMITED, Disposition.BANNED):
            if error.scope is Scope.ADDRESS:
                if not error.buckets:  # else the limiter, which REST requests ask, knows what must wait
                    self.blocked_until_ns = max(self.blocked_until_ns, error.until_ns)
            else:
                known_ns = self._emptied_until_ns[pending.is_order]
                self._emptied_until_ns[pending.is_order] = max(known_ns, error.until_ns)
            kinds = ("orders",) if pending.is_order else ("amends", "cancels")
            ctx.send(self._limiter, blocked_by(error, self._account, tuple((kind, 1) for kind in kinds)))
        elif error.disposition is Disposition.CLOCK:
            ctx.send(self._clock, ClockSuspected(error.text))

    def blocked_for_ns(self, message: Submit, now_ns: int) -> int:
        """How long the venue still refuses such requests; below 1: it does not."""
        is_order = isinstance(message, SubmitOrder | OrderGroup | SubmitReplace)
        return max(self.blocked_until_ns, self._emptied_until_ns[is_order]) - now_ns

    def inspect(self) -> dict[str, object]:
        """For the console."""
        return {
            **self.counts,
            "refusals": dict(self.refusals),
            "blocked_until_ns": self.blocked_until_ns,
            "ack_ns": {way.value: histogram.summary() for way, histogram in self.latency.items()},
        }


_UNREADABLE = Reply("", error=VenueError(Disposition.UNKNOWN, "", "the answer to a replacement has two parts"))


def _of_the_new(error: VenueError) -> VenueError:
    """What a refusal of a whole replacement says about the new order: an old one that is gone cannot be replaced."""
    if error.disposition not in _GONE:
        return error
    return VenueError(Disposition.REJECTED, error.code, error.text, OrdRejReason.NOTHING_TO_REPLACE)


def orig_of(message: SubmitReplace) -> ClOrdID:
    """The order that is to be replaced."""
    orig = message.order.orig_cl_ord_id
    assert orig is not None, f"{message.order.cl_ord_id} replaces nothing"
    return orig


def new_ids_of(message: Submit) -> tuple[ClOrdID, ...]:
    """Of the orders that a request would make."""
    if isinstance(message, SubmitReplace):
        return (message.order.cl_ord_id,)
    return ids_of(message) if isinstance(message, SubmitOrder | OrderGroup) else ()


def ids_of(message: Submit) -> tuple[ClOrdID, ...]:
    """The orders that a request is about; one "" when it is about all of a symbol."""
    if isinstance(message, SubmitOrder):
        return (message.order.cl_ord_id,)
    if isinstance(message, SubmitCancel | SubmitAmend):
        return (message.cl_ord_id,)
    if isinstance(message, SubmitReplace):
        return (orig_of(message), message.order.cl_ord_id)
    if isinstance(message, OrderGroup):
        return tuple(member.order.cl_ord_id for member in message.members)
    if isinstance(message, SubmitCancels):
        return tuple(cl_ord_id for cl_ord_id, _ in message.orders)
    return (ClOrdID(""),)
