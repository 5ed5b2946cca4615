"""Order entry's second path: REST, for requests of which the socket has surely not taken a byte.

A request that REST could not send either is `NotSent`; one that may have left and was not answered is in doubt.
`RequestSent` is said only when that is known, so that a refused connection never looks like a sent order.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from actors.venue.calls import NotPermitted, RestCalls, costs_of
from actors.venue.messages import Costs, Permit
from actors.venue.outcomes import Outcomes, Submit, Way
from actors.venue.sent import SentOnce
from actors.venue.settings import EntrySettings
from actors.venue.signing import SigningSession
from protocols.enums import DoubtReason, ExecInst, OrdRejReason
from protocols.errors import OutcomeUnknown, RemoteProtocolError, VenueUnavailable
from protocols.orders import SubmitAmend, SubmitCancel, SubmitCancelAll, SubmitOrder
from protocols.venue import HttpRequest, Lane, PrivateCodec, Reply
from supervisors.actor import Context

QUEUE_MAX = 256


class RestPath:
    """A bounded queue of requests and the workers that send them."""

    def __init__(self, codec: PrivateCodec, settings: EntrySettings, sent: SentOnce, outcomes: Outcomes) -> None:
        self._codec = codec
        self._settings = settings
        self._sent = sent
        self._outcomes = outcomes
        self._jobs, self._work = trio.open_memory_channel[SubmitOrder | SubmitCancel](QUEUE_MAX)
        self.used = 0

    def take(self, message: Submit) -> None:
        """The socket cannot send this: queue it, or refuse what REST cannot do."""
        if isinstance(message, SubmitAmend | SubmitCancelAll):
            self._outcomes.refuse(message, OrdRejReason.NOT_SENT, "order entry is not connected")
            return
        try:
            self._jobs.send_nowait(message)
        except trio.WouldBlock:
            text = f"order entry is not connected and {QUEUE_MAX} requests wait for REST"
            self._outcomes.refuse(message, OrdRejReason.OVERLOADED, text)

    async def worker(self, ctx: Context, calls: RestCalls, session: SigningSession) -> None:
        """Send what is queued, one after the other; several workers may run."""
        async for job in self._work:
            make, lane, counted = self._request(job, session)
            costs: Costs = (*costs_of(make()), *counted)
            try:
                permit = await calls.permit(lane, costs, self._settings.permit_timeout_ns)
            except NotPermitted as error:
                self._outcomes.refuse(job, OrdRejReason.RATE_LIMITED, str(error))
                ctx.flush()
                continue
            if self._may_leave(job, ctx, session):
                await self._send(job, ctx, calls, permit, costs, make())  # signed now, after permission
            else:
                calls.settle(permit, unused=costs)
            ctx.flush()

    def _may_leave(self, job: SubmitOrder | SubmitCancel, ctx: Context, session: SigningSession) -> bool:
        """The last look before the wire: time has passed since the request was queued."""
        if not session.clock.usable:
            self._outcomes.refuse(job, OrdRejReason.CLOCK, "the venue's clock is not known: nothing can be signed")
            return False
        if isinstance(job, SubmitCancel):
            return True
        now_ns = ctx.now_ns
        if now_ns - job.order.created_ns > self._settings.order_age_max_ns:
            self._outcomes.refuse(job, OrdRejReason.STALE, "waited too long for the REST path")
            return False
        if not self._sent.first_time(job.order.cl_ord_id):
            self._outcomes.duplicate(job, now_ns)
            return False
        return True

    async def _send(
        self,
        job: SubmitOrder | SubmitCancel,
        ctx: Context,
        calls: RestCalls,
        permit: Permit,
        costs: Costs,
        request: HttpRequest,
    ) -> None:
        outcomes = self._outcomes
        pending = outcomes.sent(job, Way.REST, ctx.now_ns)
        try:
            reply, refusal = await calls.send(permit, costs, request)
        except VenueUnavailable as failure:
            outcomes.refuse(job, OrdRejReason.NOT_SENT, str(failure))
            return
        except OutcomeUnknown:
            self.used += 1
            outcomes.announce(pending)
            outcomes.doubt(pending, DoubtReason.NO_REPLY)
            return
        self.used += 1
        outcomes.announce(pending)
        if refusal is not None:
            outcomes.answered(pending, Reply("", error=refusal))
            return
        try:
            outcomes.answered(pending, self._codec.decode_rest_order("", reply))
        except RemoteProtocolError:
            outcomes.doubt(pending, DoubtReason.VENUE_UNKNOWN)

    def _request(
        self, job: SubmitOrder | SubmitCancel, session: SigningSession
    ) -> tuple[Callable[[], HttpRequest], Lane, Costs]:
        """How to make the request (and sign it), its lane, and what it costs besides weight."""
        codec = self._codec
        if isinstance(job, SubmitCancel):
            cancel = job
            return (
                lambda: codec.rest_cancel_order(cancel.cl_ord_id, cancel.order_id, cancel.symbol, session.stamp_ns()),
                Lane.CANCEL,
                (),
            )
        order = job.order
        lane = Lane.REDUCE if ExecInst.REDUCE_ONLY in order.exec_inst else Lane.NEW
        return (lambda: codec.rest_new_order(order, session.stamp_ns())), lane, (("orders", 1),)
