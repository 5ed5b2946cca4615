"""What a venue still lets us send: fixed windows on its clock, corrected by what it says, shared by priority.

Pure arithmetic: time arrives as an argument (the *venue's* wall clock, ns), nothing is sent, nothing waits for real.

A venue counts in windows that are aligned to its clock (binance-spot section 5: 10 s windows start at :00, :10, ...).
Each limit is one row; each row has a cell for every window that a permission may touch::

    row (weight, 60 s) ->  cell 12:00  used 310 of 6000
                           cell 12:01  used   4 of 6000     (asked at 12:00:59.9, may arrive in the next window)

Promises (`tests/actors/venue/test_budget.py` proves the first two on random runs):

* Whatever is permitted, in no window does what arrives exceed the limit, provided that a request leaves while its
  permission is valid and is counted at most `early_ns` before and `edge_ns` after that by our picture of the
  venue's clock.
* Lanes: CANCEL may use all of a limit, REDUCE, NEW and QUERY only their share, so that a cancel never waits for the
  others.  Within a lane the askers take turns: accounts on one address share it fairly.
* The venue's own count corrects ours upwards only.
* During a ban nothing is permitted, whatever the lane.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

import attrs

from protocols.errors import LocalProtocolError
from protocols.venue import Lane, Limit, Usage

SHARES: Mapping[Lane, Fraction] = {
    Lane.CANCEL: Fraction(1),
    Lane.REDUCE: Fraction(95, 100),
    Lane.NEW: Fraction(85, 100),
    Lane.QUERY: Fraction(70, 100),
}
"""How full a window may get by requests of each lane."""

PER_ACCOUNT = frozenset({"orders"})
"""Limits that a venue counts for each account; all others are counted for the IP address."""

ASSUMED_WINDOW_MAX_NS = 60_000_000_000


@attrs.define
class Ticket:
    """A wish to send: how much of each limit it costs, for whom, and how long the permission would be used."""

    asker: str
    account: str
    lane: Lane
    costs: Mapping[str, int]
    expires_ns: int
    """Venue clock; not granted by then, it is given back."""
    hold_ns: int = 0
    """The permission stays valid this long: 0 for a request that leaves at once, more for a lease."""


@attrs.define(eq=False)
class Grant:
    """A permission, and what is left of it until it is settled."""

    number: int
    ticket: Ticket
    granted_ns: int
    until_ns: int
    open: dict[str, int]
    """Per limit: permitted, and neither finished nor given back."""


@attrs.define(eq=False)
class _Cell:
    """One window of one row."""

    start_ns: int
    used: int = 0
    """At least what the venue has counted or may still count in this window."""
    grants: list[Grant] = attrs.Factory(list)
    """Those that may still be counted here."""


@attrs.define(eq=False)
class _Row:
    """One limit of one scope (an account, or the address)."""

    name: str
    interval_ns: int
    limit: int
    scope: str
    born_ns: int
    """The window that holds this moment began without us."""
    assumed: int
    cells: dict[int, _Cell] = attrs.Factory(dict)

    def touched(self, from_ns: int, until_ns: int) -> Iterator[_Cell]:
        """The cells of all windows that [from_ns, until_ns] touches."""
        start = from_ns - from_ns % self.interval_ns
        while start <= until_ns:
            cell = self.cells.get(start)
            if cell is None:
                unseen = start <= self.born_ns < start + self.interval_ns
                cell = self.cells[start] = _Cell(start, self.assumed if unseen else 0)
            yield cell
            start += self.interval_ns

    def forget_before(self, now_ns: int) -> bool:
        """Drop the windows that are over; True when there were any."""
        oldest = now_ns - now_ns % self.interval_ns
        over = [start for start in self.cells if start < oldest]
        for start in over:
            del self.cells[start]
        return bool(over)


class Budget:
    """The limits of one venue on one address."""

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
        self._limits = {(limit.name, limit.interval_ns): limit.limit for limit in limits if limit.limit}
        self._edge_ns = edge_ns
        self._early_ns = early_ns
        self._shares = shares
        self._assumed = assumed
        self._born_ns: int | None = None
        self._rows: dict[tuple[str, int, str], _Row] = {}
        self._grants: dict[int, Grant] = {}
        self._lanes: dict[Lane, dict[str, deque[Ticket]]] = {lane: {} for lane in Lane}
        self._number = 0
        self.blocked_until_ns = 0
        self.granted = 0

    # ---- what the venue says ------------------------------------------------------------------------------------

    def set_limits(self, limits: Sequence[Limit], now_ns: int) -> None:
        """The venue's own limits replace all that we had; counts stay.  A limit of 0 is no limit."""
        self._limits = {(limit.name, limit.interval_ns): limit.limit for limit in limits if limit.limit}
        for key, row in list(self._rows.items()):
            stated = self._limits.get((row.name, row.interval_ns))
            if stated is None:
                del self._rows[key]
            else:
                row.limit = stated
        self._forget(now_ns)

    def correct(self, account: str, usage: Sequence[Usage], sent_ns: int, now_ns: int) -> None:
        """Take over the venue's counts, upwards only.  `sent_ns`: when the request was sent whose answer says so."""
        for count in usage:
            limit = self._limits.get((count.name, count.interval_ns))
            if limit is None:
                continue
            if sent_ns - sent_ns % count.interval_ns != now_ns - now_ns % count.interval_ns:
                continue  # the count may be that of the window before
            row = self._row(count.name, count.interval_ns, account, now_ns)
            (cell,) = row.touched(now_ns, now_ns)
            on_the_way = sum(grant.open.get(row.name, 0) for grant in cell.grants)
            cell.used = max(cell.used, count.used + on_the_way)

    def block(self, until_ns: int) -> bool:
        """Nothing may be sent before `until_ns`; True when that is later than known before."""
        if until_ns <= self.blocked_until_ns:
            return False
        self.blocked_until_ns = until_ns
        return True

    # ---- asking -------------------------------------------------------------------------------------------------

    def ask(self, ticket: Ticket) -> None:
        """Queue a wish.  LocalProtocolError when it could never be permitted."""
        for (name, interval_ns), limit in self._limits.items():
            cost = ticket.costs.get(name, 0)
            if cost > self._ceiling(limit, ticket.lane):
                raise LocalProtocolError(
                    f"a request of {ticket.asker} costs {cost} {name}, more than its share of "
                    f"{limit} in {interval_ns / 1e9:g} s"
                )
        self._lanes[ticket.lane].setdefault(ticket.asker, deque()).append(ticket)

    def withdraw(self, asker: str) -> None:
        """Forget all wishes of an asker that has gone."""
        for askers in self._lanes.values():
            askers.pop(asker, None)

    def grant(self, now_ns: int) -> tuple[list[Grant], list[Ticket]]:
        """Permit what can be permitted now, most urgent lane first; also the wishes whose time is over."""
        self._forget(now_ns)
        granted: list[Grant] = []
        expired: list[Ticket] = []
        scarce: set[tuple[str, int, str]] = set()
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
                    if lacking:
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
        soonest = min(ticket.expires_ns for ticket in waiting)
        names = {name for ticket in waiting for name in ticket.costs}
        for name, interval_ns in self._limits:
            if name in names:
                soonest = min(soonest, now_ns - now_ns % interval_ns + interval_ns)
        if now_ns < self.blocked_until_ns < soonest:
            soonest = self.blocked_until_ns
        return soonest

    # ---- afterwards ---------------------------------------------------------------------------------------------

    def finish(self, number: int, costs: Mapping[str, int]) -> None:
        """The venue has answered this part of a permission: it is in the venue's count by now."""
        self._settle(number, costs, give_back=False)

    def give_back(self, number: int, costs: Mapping[str, int]) -> None:
        """This part of a permission was surely not used."""
        self._settle(number, costs, give_back=True)

    def _settle(self, number: int, costs: Mapping[str, int], *, give_back: bool) -> None:
        grant = self._grants.get(number)
        if grant is None:
            return  # its windows are over
        for name, amount in costs.items():
            settled = min(amount, grant.open.get(name, 0))
            if settled:
                grant.open[name] -= settled
                if give_back:
                    for row in self._rows.values():
                        if row.name == name:
                            for cell in row.cells.values():
                                if grant in cell.grants:
                                    cell.used -= settled
        if not any(grant.open.values()):
            del self._grants[number]

    def picture(self, now_ns: int) -> dict[str, object]:
        """What is used of each limit, for the console."""
        self._forget(now_ns)
        used = {
            f"{row.name}/{row.interval_ns // 1_000_000_000}s{'/' + row.scope if row.scope else ''}": [
                max((cell.used for cell in row.touched(now_ns, now_ns)), default=0),
                row.limit,
            ]
            for row in self._rows.values()
        }
        waiting = {lane.name: sum(len(q) for q in self._lanes[lane].values()) for lane in Lane}
        return {"used": used, "waiting": waiting, "blocked_until_ns": self.blocked_until_ns, "granted": self.granted}

    def room(self, name: str, account: str, lane: Lane, now_ns: int) -> int:
        """How much of a limit could be had at once by this lane; 0 when the limit is unknown."""
        rooms = [
            self._ceiling(limit, lane) - cell.used
            for (limit_name, interval_ns), limit in self._limits.items()
            if limit_name == name
            for cell in self._row(name, interval_ns, account, now_ns).touched(
                now_ns - self._early_ns, now_ns + self._edge_ns
            )
        ]
        return max(0, min(rooms, default=0))

    def window_end_ns(self, name: str, now_ns: int) -> int | None:
        """End of the shortest window of this limit; None when the venue has no such limit."""
        intervals = [interval_ns for limit_name, interval_ns in self._limits if limit_name == name]
        if not intervals:
            return None
        interval_ns = min(intervals)
        return now_ns - now_ns % interval_ns + interval_ns

    # ---- inside -------------------------------------------------------------------------------------------------

    def _ceiling(self, limit: int, lane: Lane) -> int:
        return max(int(limit * self._shares[lane]), min(limit, 1))

    def _row(self, name: str, interval_ns: int, account: str, now_ns: int) -> _Row:
        scope = account if name in PER_ACCOUNT else ""
        key = (name, interval_ns, scope)
        row = self._rows.get(key)
        if row is None:
            if self._born_ns is None:
                self._born_ns = now_ns
            limit = self._limits[name, interval_ns]
            assumed = int(limit * self._assumed) if interval_ns <= ASSUMED_WINDOW_MAX_NS else 0
            row = self._rows[key] = _Row(name, interval_ns, limit, scope, self._born_ns, assumed)
        return row

    def _concerned(self, ticket: Ticket, now_ns: int) -> Iterator[tuple[_Row, int]]:
        for name, interval_ns in self._limits:
            cost = ticket.costs.get(name, 0)
            if cost:
                yield self._row(name, interval_ns, ticket.account, now_ns), cost

    def _lacking(self, ticket: Ticket, now_ns: int, scarce: set[tuple[str, int, str]]) -> set[tuple[str, int, str]]:
        """Keys of the rows that have no room for this wish, or whose room an earlier one waits for."""
        until_ns = now_ns + ticket.hold_ns + self._edge_ns
        lacking = set()
        for row, cost in self._concerned(ticket, now_ns):
            key = (row.name, row.interval_ns, row.scope)
            ceiling = self._ceiling(row.limit, ticket.lane)
            if key in scarce or any(
                cell.used + cost > ceiling for cell in row.touched(now_ns - self._early_ns, until_ns)
            ):
                lacking.add(key)
        return lacking

    def _charge(self, ticket: Ticket, now_ns: int) -> Grant:
        self._number += 1
        self.granted += 1
        grant = Grant(self._number, ticket, now_ns, now_ns + ticket.hold_ns, dict(ticket.costs))
        for row, cost in self._concerned(ticket, now_ns):
            for cell in row.touched(now_ns - self._early_ns, grant.until_ns + self._edge_ns):
                cell.used += cost
                cell.grants.append(grant)
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
        some_over = False
        for row in self._rows.values():
            some_over |= row.forget_before(now_ns - self._early_ns)
        if not some_over:
            return
        held = {grant.number for row in self._rows.values() for cell in row.cells.values() for grant in cell.grants}
        for number in [number for number in self._grants if number not in held]:
            del self._grants[number]
