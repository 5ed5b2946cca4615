"""One REST call of a session: permission, then the request, then what the venue says about limits, bans and clocks.

    calls = RestCalls(self.ctx, http, limiter, clock, codec, account)
    reply, error = await calls.call(lambda: codec.balances_request(self.clock.stamp_ns(self.ctx.now_ns)))

The request is made twice: once to know its cost, once more after permission, so that it is signed at the moment of
sending and does not age in the limiter's queue.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from actors.venue.http import HttpClient
from actors.venue.messages import BlockedByVenue, ClockSuspected, Costs, Permit, PermitQuery, PermitSettled
from actors.venue.settings import MS, SECOND
from protocols.errors import VenueUnavailable
from protocols.ids import Path
from protocols.venue import Disposition, HttpReply, HttpRequest, Lane, Scope, Usage, VenueError
from supervisors.actor import AskError, Context

PATIENCE_NS = 10 * SECOND
"""How long a call waits for its turn, unless its caller says otherwise."""


_OF_ALL = ("weight", "raw")
"""What every request costs, whatever it asks: no bucket of its own."""


class NotPermitted(VenueUnavailable):
    """The limiter gave no permission in time: surely not sent."""


class RestCodec(Protocol):
    """The part of a codec that every REST reply passes."""

    @property
    def venue(self) -> str: ...

    def usage(self, reply: HttpReply) -> Sequence[Usage]: ...

    def error(self, reply: HttpReply) -> VenueError | None: ...


class RestCalls:
    """REST as one session uses it."""

    def __init__(
        self, ctx: Context, http: HttpClient, limiter: Path, clock: Path, codec: RestCodec, account: str = ""
    ) -> None:
        self._ctx = ctx
        self._http = http
        self._limiter = limiter
        self._clock = clock
        self._codec = codec
        self._account = account

    async def call(
        self,
        make: Callable[[], HttpRequest],
        patience_ns: int = PATIENCE_NS,
        symbol: str = "",
        permitted: Callable[[HttpRequest], None] | None = None,
    ) -> tuple[HttpReply, VenueError | None]:
        """Send one request that changes nothing.  Raises VenueUnavailable (NotPermitted among them), OutcomeUnknown.

        `permitted` is told the request when it goes out.
        """
        draft = make()
        costs = costs_of(draft)
        permit = await self.permit(draft.lane, costs, patience_ns, symbol)
        request = make()
        if permitted is not None:
            permitted(request)
        return await self.send(permit, costs, request)

    async def permit(self, lane: Lane, costs: Costs, patience_ns: int, symbol: str = "") -> Permit:
        """Wait for permission; NotPermitted when there is none in time."""
        query = PermitQuery(lane, costs, self._account, patience_ns, self._codec.venue, symbol)
        try:
            permit = await self._ctx.ask(self._limiter, query, patience_ns + 100 * MS)
        except AskError as error:
            raise NotPermitted(str(error)) from error
        assert isinstance(permit, Permit)
        return permit

    async def send(self, permit: Permit, costs: Costs, request: HttpRequest) -> tuple[HttpReply, VenueError | None]:
        """Send under a permission that is at hand, and report what became of it.

        Nothing is reported of a request that nobody waits for any longer, or whose answer was lost: it may reach the
        venue yet, after others that have told its count, so the limiter has to go on counting it as on its way.
        """
        try:
            reply = await self._http.request(request)
        except VenueUnavailable:
            self.settle(permit, unused=costs)
            raise
        self.settle(permit, used=costs, usage=tuple(self._codec.usage(reply)), sent_ns=reply.sent_ns)
        error = self._codec.error(reply)
        if error is not None:
            self.note(error, costs)
        return reply, error

    def settle(
        self,
        permit: Permit,
        *,
        used: Costs = (),
        unused: Costs = (),
        usage: tuple[Usage, ...] = (),
        sent_ns: int = 0,
    ) -> None:
        """Tell the limiter what became of a permission."""
        self._ctx.send(
            self._limiter, PermitSettled(permit.number, self._account, used, unused, usage, sent_ns, self._codec.venue)
        )

    def note(self, error: VenueError, costs: Costs) -> None:
        """Tell those concerned about a ban or a refused time stamp; `costs`: of the request that was refused."""
        if error.disposition in (Disposition.RATE_LIMITED, Disposition.BANNED):
            self._ctx.send(self._limiter, blocked_by(error, self._account, costs))
        elif error.disposition is Disposition.CLOCK:
            self._ctx.send(self._clock, ClockSuspected(error.text))


def blocked_by(error: VenueError, account: str, costs: Costs) -> BlockedByVenue:
    """What the limiter must know: a ban of the address, of all or of one bucket, or an account's empty bucket."""
    if error.scope is Scope.ADDRESS:
        return BlockedByVenue(error.until_ns, error.text, costs=tuple((name, 1) for name in error.buckets))
    own = tuple((name, cost) for name, cost in costs if cost and name not in _OF_ALL)
    return BlockedByVenue(error.until_ns, error.text, account, own or costs)


def costs_of(request: HttpRequest) -> Costs:
    """What a REST request costs, apart from order counts."""
    own = ((request.group, request.units),) if request.group else ()
    return (("weight", request.weight), ("raw", 1), *own)
