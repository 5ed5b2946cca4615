"""Order entry's second path, REST: for requests of which the socket has surely not taken a byte, and for those that the
socket has no words for.  At a venue without order entry by WebSocket it is the only one.

A request that REST could not send either is `NotSent`; one that may have left and was not answered is in doubt.
`RequestSent` is said only when that is known, so that a refused connection never looks like a sent order.
"""

from __future__ import annotations

import trio

from actors.venue.calls import NotPermitted, RestCalls, costs_of
from actors.venue.commands import Commands, one_by_one
from actors.venue.messages import Costs, Permit
from actors.venue.outcomes import OrderGroup, Outcomes, Pending, Submit, Way
from actors.venue.sent import SentOnce
from actors.venue.settings import EntrySettings
from actors.venue.signing import SigningSession
from protocols.enums import DoubtReason, OrdRejReason
from protocols.errors import LocalProtocolError, OutcomeUnknown, RemoteProtocolError, VenueUnavailable
from protocols.orders import SubmitCancels, SubmitOrder, SubmitReplace
from protocols.venue import HttpReply, HttpRequest, Reply, VenueError
from supervisors.actor import Context

QUEUE_MAX = 256


class RestPath:
    """A bounded queue of requests and the workers that send them."""

    def __init__(self, commands: Commands, settings: EntrySettings, sent: SentOnce, outcomes: Outcomes) -> None:
        self._commands = commands
        self._settings = settings
        self._sent = sent
        self._outcomes = outcomes
        self._jobs, self._work = trio.open_memory_channel[Submit](QUEUE_MAX)
        self.used = 0

    def take(self, message: Submit) -> None:
        """Queue a request, or refuse it when too many wait."""
        try:
            self._jobs.send_nowait(message)
        except trio.WouldBlock:
            self._outcomes.refuse(message, OrdRejReason.OVERLOADED, f"{QUEUE_MAX} requests wait for REST")

    async def worker(self, ctx: Context, calls: RestCalls, session: SigningSession) -> None:
        """Send what is queued, one after the other; several workers may run."""
        async for job in self._work:
            await self._carry_out(job, ctx, calls, session)
            ctx.flush()

    async def _carry_out(self, job: Submit, ctx: Context, calls: RestCalls, session: SigningSession) -> None:
        try:
            draft = self._commands.request(job, session.stamp_ns())
        except LocalProtocolError as error:
            self._unsayable(job, error)
            return
        costs = _costs(job, draft)
        try:
            permit = await calls.permit(draft.lane, costs, self._settings.permit_timeout_ns)
        except NotPermitted as error:
            self._not_permitted(job, ctx, error)
            return
        if self._may_leave(job, ctx, session):
            request = self._commands.request(job, session.stamp_ns())  # signed now, after permission
            await self._send(job, ctx, calls, session, permit, costs, request)
        else:
            calls.settle(permit, unused=costs)

    def _not_permitted(self, job: Submit, ctx: Context, error: NotPermitted) -> None:
        """A batch may be more than its bucket ever holds: while its orders are young, its halves try for themselves."""
        members = job.members if isinstance(job, OrderGroup) else ()
        oldest_ns = ctx.now_ns - self._settings.order_age_max_ns
        if not members or any(member.order.created_ns < oldest_ns for member in members):
            self._outcomes.refuse(job, OrdRejReason.RATE_LIMITED, str(error))
            return
        half = len(members) // 2
        for part in (members[:half], members[half:]):
            self.take(OrderGroup(part) if len(part) > 1 else part[0])

    def _unsayable(self, job: Submit, error: LocalProtocolError) -> None:
        """The venue has no words for it; of a batch perhaps for its members."""
        if isinstance(job, OrderGroup):
            for member in job.members:
                self.take(member)
        elif isinstance(job, SubmitCancels) and not job.whole:
            for cancel in one_by_one(job):
                self.take(cancel)
        else:
            self._outcomes.refuse(job, OrdRejReason.UNSUPPORTED, str(error))

    def _may_leave(self, job: Submit, ctx: Context, session: SigningSession) -> bool:
        """The last look before the wire: time has passed since the request was queued."""
        if not session.clock.usable:
            self._outcomes.refuse(job, OrdRejReason.CLOCK, "the venue's clock is not known: nothing can be signed")
            return False
        members: tuple[SubmitOrder | SubmitReplace, ...] = ()
        if isinstance(job, OrderGroup):
            members = job.members
        elif isinstance(job, SubmitOrder | SubmitReplace):
            members = (job,)
        now_ns = ctx.now_ns
        oldest_ns = now_ns - self._settings.order_age_max_ns
        if any(member.order.created_ns < oldest_ns for member in members):
            self._outcomes.refuse(job, OrdRejReason.STALE, "waited too long for the REST path")
            return False
        repeated = [member for member in members if not self._sent.first_time(member.order.cl_ord_id)]
        if not repeated:
            return True
        for member in members:
            if member in repeated:
                self._outcomes.duplicate(member, now_ns)
            else:  # the group leaves without it
                self._sent.take_back(member.order.cl_ord_id)
                self.take(member)
        return False

    async def _send(
        self,
        job: Submit,
        ctx: Context,
        calls: RestCalls,
        session: SigningSession,
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
        try:
            reply, refusal = await self._go_on(job, calls, session, request, reply, refusal)
        except (VenueUnavailable, OutcomeUnknown, RemoteProtocolError):
            outcomes.doubt(pending, DoubtReason.NO_REPLY)  # a part of it was carried out
            return
        self._answered(job, pending, reply, refusal)

    def _answered(self, job: Submit, pending: Pending, reply: HttpReply, refusal: VenueError | None) -> None:
        if refusal is not None and pending.halves is None:  # a replacement that was refused in part says so in parts
            self._outcomes.answered(pending, Reply("", error=refusal))
            return
        try:
            self._outcomes.answered(pending, self._commands.decode(job, reply))
        except RemoteProtocolError:
            self._outcomes.doubt(pending, DoubtReason.VENUE_UNKNOWN)

    async def _go_on(
        self,
        job: Submit,
        calls: RestCalls,
        session: SigningSession,
        request: HttpRequest,
        reply: HttpReply,
        refusal: VenueError | None,
    ) -> tuple[HttpReply, VenueError | None]:
        """The further requests of a mass cancel; the last answer stands for all, a refusal ends them."""
        while refusal is None:
            following = self._commands.next_request(job, request, reply, session.stamp_ns())
            if following is None:
                break
            costs = costs_of(following)
            permit = await calls.permit(following.lane, costs, self._settings.permit_timeout_ns)
            signed = self._commands.next_request(job, request, reply, session.stamp_ns())
            assert signed is not None
            request = signed
            reply, refusal = await calls.send(permit, costs, request)
        return reply, refusal


def _costs(job: Submit, request: HttpRequest) -> Costs:
    """What a request costs; orders are counted besides weight."""
    orders = 1 if isinstance(job, SubmitOrder | SubmitReplace) else 0
    if isinstance(job, OrderGroup):
        orders = len(job.members)
    return (*costs_of(request), ("orders", orders)) if orders else costs_of(request)
