"""The limiter: one per venue and egress address, asked before anything is sent.

Venues count per IP address, so all accounts share this actor (`budget.py` holds the arithmetic).  A session asks with
`PermitQuery` and is answered when it is its turn; order entry holds a *lease* of order permits instead, renewed ahead,
so that an order passes without a hop.  Signing happens after permission: a stamp does not age in this queue.

A ban (429, 418) reported by any session stops all of them until the time that the venue named; order entry, which
does not ask for each order, is told by `VenueBlocked`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from actors.venue.budget import Budget, Grant, Ticket
from actors.venue.messages import BlockedByVenue, LeaseWanted, LimitsKnown, Permit, PermitQuery, PermitSettled
from actors.venue.settings import MS, SECOND
from protocols.base import Event, Message, Query, message
from protocols.control import ClockOffset, LimiterLease, VenueBlocked
from protocols.ids import Path, Venue
from protocols.venue import Lane, Limit
from supervisors.actor import Actor, Later, Timer

EDGE_NS = 1 * SECOND
"""A request may be counted this long after its permission ended."""
EARLY_NS = 250 * MS
"""Error of the clock offset that the windows tolerate."""
ASSUMED = Fraction(1, 2)
"""Of a window whose beginning we have not seen, this part is taken as used by whoever ran before."""
CAUTIOUS = (
    Limit("weight", 60 * SECOND, 600),
    Limit("orders", 10 * SECOND, 20),
    Limit("connections", 300 * SECOND, 60),
)
"""Assumed until the venue has stated its limits: enough for asking, below every venue that we know."""
LEASE_PART = 4
"""A lease takes at most this fraction (1/n) of what is free."""
LEASE_SHORTEST_NS = 500 * MS
LEASE_UNLIMITED = 1_000_000
BLOCK_UNSTATED_NS = 60 * SECOND
"""Wait after a 429 that does not say how long."""


@message
class _Wake(Event):
    """A window has turned, a ban is over, or a wish has waited too long."""


class LimiterActor(Actor):
    """Permits, leases and bans of one venue."""

    def __init__(self, venue: Venue, limits: Sequence[Limit] = CAUTIOUS, readers: Sequence[Path] = ()) -> None:
        """`limits`: what to assume until `LimitsKnown` comes.  `readers` are told about bans (`VenueBlocked`)."""
        self._venue = venue
        self._readers = tuple(readers)
        self._budget = Budget(limits, edge_ns=EDGE_NS, early_ns=EARLY_NS, assumed=ASSUMED)
        self._offset_ns = 0
        self._waiting: dict[int, Later | LeaseWanted] = {}
        """By identity of the ticket."""
        self._wake: Timer | None = None
        self._wake_at_ns = 0
        self._expired = 0

    # ---- messages -----------------------------------------------------------------------------------------------

    def receive(self, message: Message) -> None:
        kind = type(message)
        if kind is PermitSettled:
            assert isinstance(message, PermitSettled)
            self._settle(message)
        elif kind is LeaseWanted:
            assert isinstance(message, LeaseWanted)
            self._lease(message)
        elif kind is BlockedByVenue:
            assert isinstance(message, BlockedByVenue)
            self._block(message)
        elif kind is ClockOffset:
            assert isinstance(message, ClockOffset)
            self._offset_ns = message.offset_ns
        elif kind is LimitsKnown:
            assert isinstance(message, LimitsKnown)
            self._budget.set_limits(message.limits, self._venue_ns)
        elif kind is _Wake:
            self._wake = None
            self._announce_open()
        else:
            raise TypeError(f"the limiter does not understand {kind.__name__}")
        self._grant()

    def answer(self, query: Query) -> object:
        if not isinstance(query, PermitQuery):
            return super().answer(query)
        later = Later()
        ticket = Ticket(
            asker=self.ctx.sender,
            account=query.account,
            lane=query.lane,
            costs=dict(query.costs),
            expires_ns=self._venue_ns + query.patience_ns,
        )
        self._budget.ask(ticket)
        self._waiting[id(ticket)] = later
        self._grant()
        return later

    @property
    def _venue_ns(self) -> int:
        return self.ctx.now_ns + self._offset_ns

    # ---- permits and leases -------------------------------------------------------------------------------------

    def _grant(self) -> None:
        now_ns = self._venue_ns
        granted, expired = self._budget.grant(now_ns)
        for grant in granted:
            wish = self._waiting.pop(id(grant.ticket))
            if isinstance(wish, Later):
                wish.resolve(Permit(grant.number))
            else:
                self._give_lease(wish, grant)
        for ticket in expired:
            self._expired += 1
            wish = self._waiting.pop(id(ticket))
            if isinstance(wish, Later):
                wish.fail(f"{self.ctx.path}: {self._why_not(now_ns)}")
            else:
                self.ctx.send(wish.reply_to, LimiterLease(wish.kind, 0, self.ctx.now_ns))
        self._set_wake(now_ns)

    def _why_not(self, now_ns: int) -> str:
        if now_ns < self._budget.blocked_until_ns:
            return f"the venue has blocked us for {(self._budget.blocked_until_ns - now_ns) / SECOND:.1f} s more"
        return "no room in the venue's limits in time"

    def _lease(self, wanted: LeaseWanted) -> None:
        now_ns = self._venue_ns
        end_ns = self._budget.window_end_ns(wanted.kind, now_ns)
        if end_ns is None:
            lease = LimiterLease(wanted.kind, LEASE_UNLIMITED, self.ctx.now_ns + BLOCK_UNSTATED_NS)
            self.ctx.send(wanted.reply_to, lease)
            return
        hold_ns = end_ns - now_ns - EDGE_NS - 1
        if hold_ns < LEASE_SHORTEST_NS:  # the window is nearly over: a lease that counts in this one and the next
            hold_ns = LEASE_SHORTEST_NS
        room = self._budget.room(wanted.kind, wanted.account, Lane.NEW, now_ns)
        permits = max(1, min(wanted.permits_max, room // LEASE_PART))
        ticket = Ticket(
            asker=wanted.reply_to,
            account=wanted.account,
            lane=Lane.NEW,
            costs={wanted.kind: permits},
            expires_ns=now_ns + 2 * EDGE_NS,
            hold_ns=hold_ns,
        )
        self._budget.ask(ticket)
        self._waiting[id(ticket)] = wanted

    def _give_lease(self, wanted: LeaseWanted, grant: Grant) -> None:
        permits = grant.ticket.costs[wanted.kind]
        until_ns = grant.until_ns - self._offset_ns
        self.ctx.send(wanted.reply_to, LimiterLease(wanted.kind, permits, until_ns, grant.number))

    def _settle(self, settled: PermitSettled) -> None:
        if settled.used:
            self._budget.finish(settled.number, dict(settled.used))
        if settled.unused:
            self._budget.give_back(settled.number, dict(settled.unused))
        if settled.usage:
            self._budget.correct(settled.account, settled.usage, settled.sent_ns + self._offset_ns, self._venue_ns)

    # ---- bans ---------------------------------------------------------------------------------------------------

    def _block(self, blocked: BlockedByVenue) -> None:
        until_ns = blocked.until_ns or self.ctx.now_ns + BLOCK_UNSTATED_NS
        if self._budget.block(until_ns + self._offset_ns):
            self.ctx.note("blocked", f"for {(until_ns - self.ctx.now_ns) // MS} ms: {blocked.text}")
            for reader in self._readers:
                self.ctx.send(reader, VenueBlocked(self._venue, until_ns, blocked.text))

    def _announce_open(self) -> None:
        if self._budget.blocked_until_ns and self._venue_ns >= self._budget.blocked_until_ns:
            self._budget.blocked_until_ns = 0
            for reader in self._readers:
                self.ctx.send(reader, VenueBlocked(self._venue, 0, "open again"))

    def _set_wake(self, now_ns: int) -> None:
        chances = [self._budget.next_chance_ns(now_ns), self._budget.blocked_until_ns or None]
        at_ns = min((chance for chance in chances if chance is not None), default=None)
        if at_ns is None or (self._wake is not None and self._wake_at_ns <= at_ns):
            return
        if self._wake is not None:
            self._wake.cancel()
        self._wake_at_ns = at_ns
        self._wake = self.ctx.after(max(at_ns - now_ns, MS), _Wake())

    def inspect(self) -> Mapping[str, object]:
        return {**self._budget.picture(self._venue_ns), "expired": self._expired, "offset_ns": self._offset_ns}
