"""What a venue still lets us send: its windows, corrected by what it says, shared by priority.

Pure arithmetic: time arrives as an argument (the *venue's* wall clock, ns), nothing is sent, nothing waits for real.

There are two kinds of limits (`protocols.venue.Limit`).  Where a venue counts in windows that are *aligned* to its
clock (binance-spot section 5: 10 s windows start at :00, :10, ...), a row has a cell for every window that a permission
may touch (`AlignedRow`)::

    row (weight, 60 s) ->  cell 12:00  used 310 of 6000
                           cell 12:01  used   4 of 6000     (asked at 12:00:59.9, may arrive in the next window)

Where nobody knows when its windows begin, or it fills a bucket by and by, there may never be more than the limit in
*any* stretch of that length: what was counted stands from its permission until one length after its answer
(`SlidingRow`).  This needs no clock, and costs one round trip of each window.

A limit counts for the address, or for each account, product or symbol (`protocols.venue.Scope`); the budget of a family
of venues has them all, so that one permission is one decision.

Promises (`tests/actors/venue/test_budget.py` proves the first two on random runs):

* Whatever is permitted, in no window does what arrives exceed the limit, provided that a request leaves while its
  permission is valid and is counted at most `early_ns` before and `edge_ns` after that by our picture of the
  venue's clock.
* Lanes: CANCEL may use all of a limit, REDUCE, NEW and QUERY only their share, so that a cancel never waits for the
  others.  Within a lane the askers take turns: accounts on one address share it fairly.
* The venue's own count takes the place of ours, with what it cannot have in it yet: downwards too, where a window
  surely is the one that it speaks of (fills give orders back, binance-spot section 5), else upwards only.
* During a ban nothing is permitted, whatever the lane.  A refusal that concerns one account alone stops only what that
  account wants of the buckets that the refused request counted in; a ban of one bucket (REST) stops everybody's use of
  that one, and nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

import attrs

from actors.venue.budget_rows import AlignedRow, Grant, Row, SlidingRow, Ticket
from protocols.errors import LocalProtocolError
from protocols.venue import Lane, Limit, Scope, Usage

__all__ = ["SHARES", "Budget", "Grant", "Ticket"]

SHARES: Mapping[Lane, Fraction] = {
    Lane.CANCEL: Fraction(1),
    Lane.REDUCE: Fraction(95, 100),
    Lane.NEW: Fraction(85, 100),
    Lane.QUERY: Fraction(70, 100),
}
"""How full a window may get by requests of each lane."""

ASSUMED_WINDOW_MAX_NS = 60_000_000_000
START_NS = 2_000_000_000
"""A process takes longer to start: what an earlier one spent of shorter windows is over."""
LEASE_NS = 500_000_000
"""How long permits of a sliding limit are leased; nobody else has them meanwhile."""

_BY_PRODUCT = (Scope.PRODUCT, Scope.SYMBOL)
_LimitKey = tuple[str, str, int]
"""Venue ("" where all of the family count together), name, interval."""


@attrs.frozen
class _Stated:
    """A limit in force, and the names of costs that count in it."""

    limit: Limit
    names: tuple[str, ...]


class Budget:
    """The limits of one family of venues on one address."""

    def __init__(
        self,
        limits: Sequence[Limit],
        *,
        edge_ns: int,
        early_ns: int = 0,
        shares: Mapping[Lane, Fraction] = SHARES,
        assumed: Fraction = Fraction(0),
    ) -> None:
        """`edge_ns`: how late, after the permission ended, a request may still be counted (transit + clock error).
        `early_ns`: how far behind our picture of it the venue's clock may be.
        `assumed`: part of the windows in which this budget begins that is taken as used, because an earlier process
        on this address may have spent it.  Windows longer than a minute are left to the venue's own counts.
        """
        self._edge_ns = edge_ns
        self._early_ns = early_ns
        self._shares = shares
        self._assumed = assumed
        self._born_ns: int | None = None
        self._told: dict[str, tuple[Limit, ...]] = {}
        """By venue."""
        self._limits: dict[_LimitKey, _Stated] = {}
        self._rows: dict[tuple[_LimitKey, str], Row] = {}
        self._owners: dict[tuple[_LimitKey, str], str] = {}
        """Accounts of the rows that count for one."""
        self._grants: dict[int, Grant] = {}
        self._lanes: dict[Lane, dict[str, deque[Ticket]]] = {lane: {} for lane in Lane}
        self._number = 0
        self._assumed_from_ns = 0
        """Shorter windows are not taken as used."""
        self.blocked_until_ns = 0
        self._blocks: dict[tuple[str | None, str], int] = {}
        """By account (None: all) and name of what counts: nothing of it before that time."""
        self.granted = 0
        self._state_limits(limits, "")

    def shift(self, by_ns: int) -> None:
        """Our picture of the venue's clock has moved by so much: what was counted, is waited for or is forbidden keeps
        its place in time.  Windows that the venue aligns to its clock are where that clock says."""
        for row in self._rows.values():
            row.shift(by_ns)
        for askers in self._lanes.values():
            for queue in askers.values():
                for ticket in queue:
                    ticket.expires_ns += by_ns
        for grant in self._grants.values():
            grant.granted_ns += by_ns
            grant.until_ns += by_ns
        if self.blocked_until_ns:
            self.blocked_until_ns += by_ns
        self._blocks = {key: until_ns + by_ns for key, until_ns in self._blocks.items()}

    def continue_after(self, incarnation: int) -> None:
        """This budget follows so many others of this process: they spent of short windows, too, and numbered grants."""
        self._number = max(self._number, incarnation << 32)
        if not incarnation:
            self._assumed_from_ns = START_NS

    # ---- what the venue says ------------------------------------------------------------------------------------

    def set_limits(self, limits: Sequence[Limit], now_ns: int, venue: str = "") -> None:
        """The venue's own limits replace all that we had of it; counts stay.  A limit of 0 is no limit."""
        self._state_limits(limits, venue)
        for (key, scope), row in list(self._rows.items()):
            stated = self._limits.get(key)
            if stated is None:
                del self._rows[key, scope]
                self._owners.pop((key, scope), None)
            else:
                row.limit, row.names = stated.limit.limit, stated.names
        self._forget(now_ns)

    def _state_limits(self, limits: Sequence[Limit], venue: str) -> None:
        self._told[venue] = tuple(limits)
        self._limits = {}
        for teller, told in self._told.items():
            for limit in told:
                if not limit.limit:
                    continue
                key = (teller if limit.scope in _BY_PRODUCT else "", limit.name, limit.interval_ns)
                known = self._limits.get(key)
                if known is None or limit.limit < known.limit.limit:
                    self._limits[key] = _Stated(limit, (limit.name, *limit.groups))

    def correct(
        self, account: str, usage: Sequence[Usage], sent_ns: int, now_ns: int, venue: str = "", number: int = 0
    ) -> None:
        """Take over the venue's counts.  `sent_ns`: when the request was sent whose answer says so, `number` its
        permission, if it had one of its own."""
        for count in usage:
            for key, stated in self._limits.items():
                matches = count.name in stated.names and count.interval_ns == stated.limit.interval_ns
                if matches and self._is_of(key, venue):
                    row = self._row(key, stated, Ticket("", account, Lane.QUERY, {}, 0, venue=venue), now_ns)
                    row.correct(count.used, sent_ns, now_ns, number)

    def block(self, until_ns: int) -> bool:
        """Nothing may be sent before `until_ns`; True when that is later than known before."""
        if until_ns <= self.blocked_until_ns:
            return False
        self.blocked_until_ns = until_ns
        return True

    def block_buckets(self, account: str | None, names: Iterable[str], until_ns: int) -> bool:
        """The venue refuses one account alone (None: all): nothing that counts as one of `names` before `until_ns`.
        True when that is later than known before."""
        is_news = False
        for name in names:
            if until_ns > self._blocks.get((account, name), 0):
                self._blocks[account, name] = until_ns
                is_news = True
        return is_news

    # ---- asking -------------------------------------------------------------------------------------------------

    def ask(self, ticket: Ticket) -> None:
        """Queue a wish.  LocalProtocolError when it could never be permitted."""
        for key, stated in self._limits.items():
            cost = _cost(stated.names, ticket.costs) if self._is_of(key, ticket.venue) else 0
            if cost > self._ceiling(stated.limit.limit, ticket.lane):
                raise LocalProtocolError(
                    f"a request of {ticket.asker} costs {cost} {stated.limit.name}, more than its share of "
                    f"{stated.limit.limit} in {stated.limit.interval_ns / 1e9:g} s"
                )
        self._lanes[ticket.lane].setdefault(ticket.asker, deque()).append(ticket)

    def grant(self, now_ns: int) -> tuple[list[Grant], list[Ticket]]:
        """Permit what can be permitted now, most urgent lane first; also the wishes whose time is over."""
        self._forget(now_ns)
        granted: list[Grant] = []
        expired: list[Ticket] = []
        scarce: set[int] = set()
        for lane in Lane:
            askers = self._lanes[lane]
            self._expire(askers, now_ns, expired)
            if now_ns < self.blocked_until_ns:
                continue
            stuck: set[str] = set()
            while len(stuck) < len(askers):
                for asker in list(askers):
                    if asker in stuck:
                        continue
                    ticket = askers[asker][0]
                    lacking = self._lacking(ticket, now_ns, scarce)
                    if lacking or self._is_blocked(ticket):
                        stuck.add(asker)
                        scarce |= lacking
                        continue
                    askers[asker].popleft()
                    queue = askers.pop(asker)
                    if queue:
                        askers[asker] = queue  # to the end: the next asker's turn
                    granted.append(self._charge(ticket, now_ns))
        return granted, expired

    def next_chance_ns(self, now_ns: int) -> int | None:
        """When to call `grant` again although nothing else happens; None when nobody waits."""
        waiting = [ticket for askers in self._lanes.values() for queue in askers.values() for ticket in queue]
        if not waiting:
            return None
        chances = [*(ticket.expires_ns for ticket in waiting), *self._blocks.values()]
        if now_ns < self.blocked_until_ns:
            chances.append(self.blocked_until_ns)
        names = {name for ticket in waiting for name in ticket.costs}
        for stated in self._limits.values():
            if stated.limit.aligned and names.intersection(stated.names):
                interval_ns = stated.limit.interval_ns
                chances.append(now_ns - now_ns % interval_ns + interval_ns)
        for row in self._rows.values():
            if isinstance(row, SlidingRow) and names.intersection(row.names):
                chances += row.next_release_ns(now_ns)
        return min(chances)

    # ---- afterwards ---------------------------------------------------------------------------------------------

    def finish(self, number: int, costs: Mapping[str, int], now_ns: int) -> None:
        """The venue has answered this part of a permission: it is in the venue's count by now."""
        self._settle(number, costs, now_ns, give_back=False)

    def give_back(self, number: int, costs: Mapping[str, int], now_ns: int) -> None:
        """This part of a permission was surely not used."""
        self._settle(number, costs, now_ns, give_back=True)

    def _settle(self, number: int, costs: Mapping[str, int], now_ns: int, *, give_back: bool) -> None:
        grant = self._grants.get(number)
        if grant is None:
            return  # its windows are over
        before = dict(grant.open)
        for name, amount in costs.items():
            if name in grant.open:
                grant.open[name] -= min(amount, grant.open[name])
        for row in grant.rows:
            settled = _cost(row.names, before) - _cost(row.names, grant.open)
            if settled:
                row.settle(grant, settled, now_ns, give_back=give_back)
        if not any(grant.open.values()):
            del self._grants[number]

    def picture(self, now_ns: int) -> dict[str, object]:
        """What is used of each limit, for the console."""
        self._forget(now_ns)
        used = {row.title: [row.used(now_ns, now_ns), row.limit] for row in self._rows.values()}
        waiting = {lane.name: sum(len(q) for q in self._lanes[lane].values()) for lane in Lane}
        return {
            "used": used,
            "waiting": waiting,
            "blocked_until_ns": self.blocked_until_ns,
            "granted": self.granted,
            "accounts": self._accounts(now_ns),
        }

    def _accounts(self, now_ns: int) -> dict[str, dict[str, object]]:
        """The same for each account alone: its own rows, what it waits for, what the venue refuses it."""
        owners = filter(None, self._owners.values())
        accounts = dict.fromkeys([*owners, *(account for account, _ in self._blocks if account is not None)])
        tickets = [ticket for askers in self._lanes.values() for queue in askers.values() for ticket in queue]
        return {
            account or "public": {
                "used": {
                    row.title: [row.used(now_ns, now_ns), row.limit]
                    for key, row in self._rows.items()
                    if self._owners.get(key) == account
                },
                "waiting": sum(ticket.account == account for ticket in tickets),
                "blocked": {name: until_ns for (of, name), until_ns in self._blocks.items() if of == account},
            }
            for account in accounts
        }

    def room(self, ticket: Ticket, now_ns: int) -> int:
        """How much of a wish's limits could be had at once by its lane; 0 when it concerns no limit."""
        rooms = [
            self._ceiling(row.limit, ticket.lane) - row.used(now_ns - self._early_ns, now_ns + self._edge_ns)
            for row in self._concerned(ticket, now_ns)
        ]
        return max(0, min(rooms, default=0))

    def most(self, ticket: Ticket) -> int:
        """What a wish's lane could ever have at once."""
        concerned = [
            self._ceiling(stated.limit.limit, ticket.lane)
            for key, stated in self._limits.items()
            if self._is_of(key, ticket.venue) and _cost(stated.names, ticket.costs)
        ]
        return min(concerned, default=0)

    def hold_ns(self, ticket: Ticket, now_ns: int) -> int | None:
        """How long a lease should be valid, so that it counts in one window only; None: no limit concerns it."""
        rows = list(self._concerned(ticket, now_ns))
        ends = [row.interval_ns - now_ns % row.interval_ns for row in rows if isinstance(row, AlignedRow)]
        if any(isinstance(row, SlidingRow) for row in rows):
            ends.append(LEASE_NS + self._edge_ns + 1)
        return min(ends) - self._edge_ns - 1 if ends else None

    # ---- inside -------------------------------------------------------------------------------------------------

    def _is_of(self, key: _LimitKey, venue: str) -> bool:
        return not key[0] or not venue or key[0] == venue

    def _ceiling(self, limit: int, lane: Lane) -> int:
        return max(int(limit * self._shares[lane]), min(limit, 1))

    def _row(self, key: _LimitKey, stated: _Stated, ticket: Ticket, now_ns: int) -> Row:
        limit = stated.limit
        scope = _scope(limit.scope, ticket)
        row = self._rows.get((key, scope))
        if row is None:
            if self._born_ns is None:
                self._born_ns = now_ns
            spent = self._assumed_from_ns < limit.interval_ns <= ASSUMED_WINDOW_MAX_NS
            assumed = int(limit.limit * self._assumed) if spent else 0
            make = AlignedRow if limit.aligned else SlidingRow
            title = f"{key[0]}/{scope}" if key[0] else scope
            row = make(limit, stated.names, title, self._born_ns, assumed, self._edge_ns)
            self._rows[key, scope] = row
            if limit.scope is not Scope.ADDRESS:
                self._owners[key, scope] = ticket.account
        return row

    def _concerned(self, ticket: Ticket, now_ns: int) -> Iterator[Row]:
        for key, stated in self._limits.items():
            if self._is_of(key, ticket.venue) and _cost(stated.names, ticket.costs):
                yield self._row(key, stated, ticket, now_ns)

    def _is_blocked(self, ticket: Ticket) -> bool:
        return bool(self._blocks) and any(
            (account, name) in self._blocks for account in (ticket.account, None) for name in ticket.costs
        )

    def _lacking(self, ticket: Ticket, now_ns: int, scarce: set[int]) -> set[int]:
        """The rows that have no room for this wish, or whose room an earlier one waits for, by identity."""
        until_ns = now_ns + ticket.hold_ns + self._edge_ns
        lacking = set()
        for row in self._concerned(ticket, now_ns):
            ceiling = self._ceiling(row.limit, ticket.lane)
            used = row.used(now_ns - self._early_ns, until_ns)
            if id(row) in scarce or used + _cost(row.names, ticket.costs) > ceiling:
                lacking.add(id(row))
        return lacking

    def _charge(self, ticket: Ticket, now_ns: int) -> Grant:
        self._number += 1
        self.granted += 1
        rows = tuple(self._concerned(ticket, now_ns))
        grant = Grant(self._number, ticket, now_ns, now_ns + ticket.hold_ns, dict(ticket.costs), rows)
        for row in rows:
            row.charge(grant, _cost(row.names, ticket.costs), now_ns - self._early_ns, grant.until_ns + self._edge_ns)
        self._grants[grant.number] = grant
        return grant

    def _expire(self, askers: dict[str, deque[Ticket]], now_ns: int, expired: list[Ticket]) -> None:
        for asker, queue in list(askers.items()):
            late = [ticket for ticket in queue if ticket.expires_ns <= now_ns]
            if late:
                expired += late
                rest = deque(ticket for ticket in queue if ticket.expires_ns > now_ns)
                if rest:
                    askers[asker] = rest
                else:
                    del askers[asker]

    def _forget(self, now_ns: int) -> None:
        """Drop windows and refusals that are over, and grants that no row holds any more."""
        if self._blocks:
            self._blocks = {key: until_ns for key, until_ns in self._blocks.items() if until_ns > now_ns}
        some_over = False
        for row in self._rows.values():
            some_over |= row.forget_before(now_ns - self._early_ns if isinstance(row, AlignedRow) else now_ns)
        if some_over:
            held = {number for row in self._rows.values() for number in row.held()}
            for number in [number for number in self._grants if number not in held]:
                del self._grants[number]


def _cost(names: Sequence[str], costs: Mapping[str, int]) -> int:
    """What counts in a limit: one thing may bear several of its names."""
    return max((costs.get(name, 0) for name in names), default=0)


def _scope(scope: Scope, ticket: Ticket) -> str:
    if scope is Scope.ADDRESS:
        return ""
    if scope is Scope.SYMBOL:
        return f"{ticket.account}/{ticket.symbol}" if ticket.symbol else ticket.account
    return ticket.account
