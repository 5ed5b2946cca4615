"""The limiter: one per family of venues and egress address, asked before anything is sent.

Venues count per IP address, so all accounts share this actor, and so do the products of an exchange that counts them
together; what is counted for each account or product it counts apart (`budget.py` holds the arithmetic).  One actor for
both, because one request may need room in both, and must get both or neither.

A session asks with `PermitQuery` and is answered when it is its turn; order entry holds *leases* of permits instead,
renewed ahead, so that an order passes without a hop.  Signing happens after permission: a stamp does not age in this
queue.

A ban (429, 418, 403) reported by any session stops all of them until the time that the venue named; order entry, which
does not ask for each order, is told by `VenueBlocked`.  Where the ban is of REST alone, only what asks for REST waits.
Bans outlive this actor, and this process: `bans.py`.  What the venue refuses one account because of the account's own
bucket stops that account's use of that bucket, and nobody else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from actors.venue.bans import Ban, BanRecord
from actors.venue.budget import Budget, Grant, Ticket
from actors.venue.messages import BlockedByVenue, LeaseWanted, LimitsKnown, Permit, PermitQuery, PermitSettled
from actors.venue.settings import MS, SECOND
from protocols.base import Event, Message, Query, message
from protocols.control import ClockOffset, LimiterLease, VenueBlocked
from protocols.errors import LocalProtocolError
from protocols.ids import Path, Venue
from protocols.venue import Lane, Limit
from supervisors.actor import Actor, Later, Timer
from supervisors.statistics import Histogram

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
LEASE_LEAST = 4
"""But so many, where a limit is small."""
LEASE_SHORTEST_NS = 500 * MS
LEASE_LANES = {"orders": Lane.NEW, "amends": Lane.REDUCE, "cancels": Lane.CANCEL}
"""An amend goes before new orders whatever it asks for: most take a quote out of harm's way."""
LEASE_UNLIMITED = 1_000_000
BLOCK_UNSTATED_NS = 60 * SECOND
"""Wait after a 429 that does not say how long."""


@message
class _Wake(Event):
    """A window has turned, a ban is over, or a wish has waited too long."""


class LimiterActor(Actor):
    """Permits, leases and bans of one family of venues on one address."""

    def __init__(
        self,
        venue: Venue,
        limits: Sequence[Limit] | Mapping[Venue, Sequence[Limit]] = CAUTIOUS,
        readers: Sequence[Path] = (),
        bans: BanRecord | None = None,
    ) -> None:
        """`limits`: what to assume, of each product, until `LimitsKnown` comes.  `readers` are told about bans
        (`VenueBlocked`).  `bans` belongs to the address, not to the incarnation: give each the same one."""
        self._venue = venue
        self._readers = tuple(readers)
        self._bans = bans if bans is not None else BanRecord()
        products = limits if isinstance(limits, Mapping) else {Venue(""): limits}
        self._budget = Budget((), edge_ns=EDGE_NS, early_ns=EARLY_NS, assumed=ASSUMED)
        for product, assumed in products.items():
            self._budget.set_limits(assumed, 0, "" if len(products) == 1 else product)
        self._alone = len(products) == 1
        self._offset_ns = 0
        self._waiting: dict[int, tuple[Ticket, Later | LeaseWanted, int]] = {}
        """By identity of the ticket: what it is for, and since when it waits (monotonic)."""
        self._wake: Timer | None = None
        self._wake_at_ns = 0
        self._expired = 0
        self.waited = {lane: Histogram() for lane in Lane}
        """How long requests have waited for their turn."""

    async def started(self) -> None:
        self._budget.continue_after(self.ctx.epoch - 1)
        if self._bans.problem:
            self.ctx.note("ban_record_unreadable", self._bans.problem)
        for ban in self._bans.in_force(self.ctx.now_ns):
            self._block(BlockedByVenue(ban.until_ns, ban.text, costs=tuple((name, 1) for name in ban.names)))
        self._grant()

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
            self._budget.shift(message.offset_ns - self._offset_ns)
            self._offset_ns = message.offset_ns
        elif kind is LimitsKnown:
            assert isinstance(message, LimitsKnown)
            self._budget.set_limits(message.limits, self._venue_ns, self._product(message.venue))
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
            venue=self._product(query.venue),
            symbol=query.symbol,
        )
        try:
            self._ask(ticket, later)
        except LocalProtocolError as error:
            later.fail(f"{self.ctx.path}: {error}")  # the asker's mistake, and no reason for others to wait
        self._grant()
        return later

    def _ask(self, ticket: Ticket, wish: Later | LeaseWanted) -> None:
        self._budget.ask(ticket)
        self._waiting[id(ticket)] = (ticket, wish, self.ctx.monotonic_ns)

    def _product(self, venue: str) -> str:
        """Where there is one product, nobody has to name it."""
        return "" if self._alone else venue

    @property
    def _venue_ns(self) -> int:
        return self.ctx.now_ns + self._offset_ns

    # ---- permits and leases -------------------------------------------------------------------------------------

    def _grant(self) -> None:
        now_ns = self._venue_ns
        granted, expired = self._budget.grant(now_ns)
        for grant in granted:
            ticket, wish, since_ns = self._waiting.pop(id(grant.ticket))
            if isinstance(wish, Later) or wish.exact:  # others are stock, for which nobody waits
                self.waited[ticket.lane].record(self.ctx.monotonic_ns - since_ns)
            if isinstance(wish, Later):
                wish.resolve(Permit(grant.number))
            else:
                self._give_lease(wish, grant)
        for ticket in expired:
            self._expired += 1
            _, wish, _ = self._waiting.pop(id(ticket))
            if isinstance(wish, Later):
                wish.fail(f"{self.ctx.path}: {self._why_not(ticket)}")
            else:
                self.ctx.send(wish.reply_to, LimiterLease(wish.kind, 0, self.ctx.now_ns))
        self._set_wake(now_ns)

    def _why_not(self, ticket: Ticket) -> str:
        for ban in self._bans.in_force(self.ctx.now_ns):
            if not ban.names or any(name in ticket.costs for name in ban.names):
                left_s = (ban.until_ns - self.ctx.now_ns) / SECOND
                return f"the venue has blocked us for {left_s:.1f} s more: {ban.text}"
        return "no room in the venue's limits in time"

    def _lease(self, wanted: LeaseWanted) -> None:
        now_ns = self._venue_ns
        ticket = Ticket(
            asker=wanted.reply_to,
            account=wanted.account,
            lane=LEASE_LANES.get(wanted.kind, Lane.NEW),
            costs={wanted.kind: 1},
            expires_ns=now_ns + 2 * EDGE_NS,
            venue=self._product(wanted.venue),
            symbol=wanted.symbol,
        )
        hold_ns = self._budget.hold_ns(ticket, now_ns)
        if hold_ns is None:
            lease = LimiterLease(wanted.kind, LEASE_UNLIMITED, self.ctx.now_ns + BLOCK_UNSTATED_NS)
            self.ctx.send(wanted.reply_to, lease)
            return
        # A window that is nearly over: a lease that counts in this one and the next.
        ticket.hold_ns = max(hold_ns, LEASE_SHORTEST_NS)
        if wanted.exact:
            permits = min(wanted.permits_max, self._budget.most(ticket))
        else:
            room = self._budget.room(ticket, now_ns)
            permits = min(wanted.permits_max, max(room // LEASE_PART, min(room, LEASE_LEAST)))
        ticket.costs = {wanted.kind: max(1, permits)}
        self._ask(ticket, wanted)

    def _give_lease(self, wanted: LeaseWanted, grant: Grant) -> None:
        permits = grant.ticket.costs[wanted.kind]
        until_ns = grant.until_ns - self._offset_ns
        self.ctx.send(wanted.reply_to, LimiterLease(wanted.kind, permits, until_ns, grant.number))

    def _settle(self, settled: PermitSettled) -> None:
        if settled.used:
            self._budget.finish(settled.number, dict(settled.used), self._venue_ns)
        if settled.unused:
            self._budget.give_back(settled.number, dict(settled.unused), self._venue_ns)
        if settled.usage:
            sent_ns, product = settled.sent_ns + self._offset_ns, self._product(settled.venue)
            self._budget.correct(settled.account, settled.usage, sent_ns, self._venue_ns, product, settled.number)

    # ---- bans ---------------------------------------------------------------------------------------------------

    def _block(self, blocked: BlockedByVenue) -> None:
        until_ns = blocked.until_ns or self.ctx.now_ns + BLOCK_UNSTATED_NS
        names = tuple(name for name, cost in blocked.costs if cost)
        if blocked.account is not None:
            self.ctx.note("bucket_blocked", f"{blocked.account or 'public'}: {blocked.text}")
            self._budget.block_buckets(blocked.account, names, until_ns + self._offset_ns)
        elif names:
            if self._budget.block_buckets(None, names, until_ns + self._offset_ns):
                self._keep_ban(Ban(until_ns, blocked.text, names))
        elif self._budget.block(until_ns + self._offset_ns):
            self._keep_ban(Ban(until_ns, blocked.text))
            for reader in self._readers:
                self.ctx.send(reader, VenueBlocked(self._venue, until_ns, blocked.text))

    def _keep_ban(self, ban: Ban) -> None:
        self._bans.keep(ban)
        if self._bans.problem:
            self.ctx.note("ban_record_not_written", self._bans.problem)
        what = f"{', '.join(ban.names)} " if ban.names else ""
        self.ctx.note("blocked", f"{what}for {(ban.until_ns - self.ctx.now_ns) // MS} ms: {ban.text}")

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
        blocked, bans = self._budget.blocked_until_ns > self._venue_ns, self._bans.in_force(self.ctx.now_ns)
        return {
            **self._budget.picture(self._venue_ns),
            "blocked_until_ns": self._budget.blocked_until_ns - self._offset_ns if blocked else 0,
            "blocked_because": next((ban.text for ban in bans if not ban.names), "") if blocked else "",
            "silenced": {name: ban.until_ns for ban in bans for name in ban.names},
            "expired": self._expired,
            "waited_ns": {lane.name: histogram.summary() for lane, histogram in self.waited.items()},
            "offset_ns": self._offset_ns,
        }
