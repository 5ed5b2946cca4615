"""The rows of a budget: how full one limit of one scope is, by the two ways in which venues count; see `budget`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

import attrs

from protocols.venue import Lane, Limit

GUARD_NS = 20_000_000
"""What was counted stands this much longer than its window: clocks are read at different moments."""
ANSWERS_KEPT_NS = 60_000_000_000
"""The venue's count in an answer to an older request only raises ours."""


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
    venue: str = ""
    """Product of the family, for limits that each counts for itself; "" where there is one."""
    symbol: str = ""
    """For limits that each instrument has; "" shares one bucket."""


@attrs.define(eq=False)
class Grant:
    """A permission, and what is left of it until it is settled."""

    number: int
    ticket: Ticket
    granted_ns: int
    until_ns: int
    open: dict[str, int]
    """Per name: permitted, and neither finished nor given back."""
    rows: tuple[Row, ...] = ()
    """Where it counts."""


class _Base:
    """What both kinds of rows are told."""

    def __init__(
        self, limit: Limit, names: tuple[str, ...], scope: str, born_ns: int, assumed: int, edge_ns: int
    ) -> None:
        """`assumed` was used by somebody before `born_ns`, as far as we know."""
        self.interval_ns = limit.interval_ns
        self.limit = limit.limit
        self.names = names
        self.title = f"{limit.name}/{limit.interval_ns / 1e9:g}s{'/' + scope if scope else ''}"
        self._born_ns = born_ns
        self._assumed = assumed
        self._edge_ns = edge_ns


@attrs.define(eq=False)
class _Cell:
    """One window of an aligned row."""

    start_ns: int
    used: int = 0
    """At least what the venue has counted or may still count in this window."""
    assumed: int = 0
    """Part of it that is a guess about who was here before us."""
    grants: dict[int, Grant] = attrs.Factory(dict)
    """By number: those of which something is not answered, and may still be counted here."""
    answered: deque[tuple[int, int, int]] = attrs.Factory(deque)
    """When, number of the grant, how much: answered of late."""


class AlignedRow(_Base):
    """Windows that begin at multiples of their length on the venue's clock."""

    def __init__(
        self, limit: Limit, names: tuple[str, ...], scope: str, born_ns: int, assumed: int, edge_ns: int
    ) -> None:
        super().__init__(limit, names, scope, born_ns, assumed, edge_ns)
        self._cells: dict[int, _Cell] = {}

    def used(self, from_ns: int, until_ns: int) -> int:
        """The fullest of the windows that [from_ns, until_ns] touches."""
        return max((cell.used for cell in self._touched(from_ns, until_ns)), default=0)

    def charge(self, grant: Grant, cost: int, from_ns: int, until_ns: int) -> None:
        """Count a permission in every window in which it may arrive."""
        for cell in self._touched(from_ns, until_ns):
            cell.used += cost
            cell.grants[grant.number] = grant

    def settle(self, grant: Grant, amount: int, now_ns: int, *, give_back: bool) -> None:
        """What was answered stays in its windows; what was not used leaves them."""
        is_over = not any(grant.open.get(name, 0) for name in self.names)
        for cell in self._cells.values():
            if grant.number not in cell.grants:
                continue
            if give_back:
                cell.used -= amount
            else:
                cell.answered.append((now_ns, grant.number, amount))
                while cell.answered[0][0] < now_ns - ANSWERS_KEPT_NS:
                    cell.answered.popleft()
            if is_over:
                del cell.grants[grant.number]

    def correct(self, used: int, sent_ns: int, now_ns: int, number: int = 0) -> None:
        """The venue's count, as of a request that was sent at `sent_ns`; `number`: the grant of that request.

        What was answered before `sent_ns` is in it.  So the window holds at most this, what is on its way, and what was
        answered since: less than we thought where fills give orders back, more where somebody else is at work.
        """
        if sent_ns // self.interval_ns != now_ns // self.interval_ns:
            return  # the count may be that of the window before
        (cell,) = self._touched(now_ns, now_ns)
        on_the_way = sum(
            max(grant.open.get(name, 0) for name in self.names)
            for grant in cell.grants.values()
            if grant.until_ns + self._edge_ns >= sent_ns  # else it was counted by then, if it ever left
        )
        since = sum(amount for at_ns, of, amount in cell.answered if at_ns >= sent_ns and of != number)
        is_sure = (sent_ns - self._edge_ns) // self.interval_ns == (now_ns + self._edge_ns) // self.interval_ns
        if is_sure and now_ns - sent_ns < ANSWERS_KEPT_NS:
            cell.used, cell.assumed = used + on_the_way + since, 0
        else:
            cell.used = max(cell.used, used + on_the_way)

    def shift(self, by_ns: int) -> None:
        """Our picture of the venue's clock has moved: its windows are where that clock says, what happened is not."""
        for cell in self._cells.values():
            cell.answered = deque((at_ns + by_ns, number, amount) for at_ns, number, amount in cell.answered)

    def forget_before(self, now_ns: int) -> bool:
        """Drop the windows that are over; True when there were any."""
        oldest = now_ns - now_ns % self.interval_ns
        over = [start for start in self._cells if start < oldest]
        for start in over:
            del self._cells[start]
        return bool(over)

    def held(self) -> Iterator[int]:
        """Numbers of the grants that may still be counted."""
        for cell in self._cells.values():
            yield from cell.grants

    def _touched(self, from_ns: int, until_ns: int) -> Iterator[_Cell]:
        start = from_ns - from_ns % self.interval_ns
        while start <= until_ns:
            cell = self._cells.get(start)
            if cell is None:
                unseen = start <= self._born_ns < start + self.interval_ns
                assumed = self._assumed if unseen else 0
                cell = self._cells[start] = _Cell(start, assumed, assumed)
            yield cell
            start += self.interval_ns


class SlidingRow(_Base):
    """Never more than the limit in any stretch of its length, wherever the venue's windows begin."""

    def __init__(
        self, limit: Limit, names: tuple[str, ...], scope: str, born_ns: int, assumed: int, edge_ns: int
    ) -> None:
        super().__init__(limit, names, scope, born_ns, assumed, edge_ns)
        self._open: dict[int, list[int]] = {}
        """Number of a grant -> how much of it is not settled, and when it will have been counted at the latest."""
        self._counted: deque[tuple[int, int]] = deque()
        """(stands until, how much), oldest first."""
        self._sum = 0
        if assumed:
            self._count(assumed, born_ns)

    def used(self, from_ns: int, until_ns: int) -> int:
        """All that stands; the moments do not matter."""
        return self._sum

    def charge(self, grant: Grant, cost: int, from_ns: int, until_ns: int) -> None:
        """It stands from now on."""
        self._open[grant.number] = [cost, until_ns]
        self._sum += cost

    def settle(self, grant: Grant, amount: int, now_ns: int, *, give_back: bool) -> None:
        """What was answered stands for one length more; what was not used is free at once."""
        waiting = self._open.get(grant.number)
        if waiting is None:
            return
        waiting[0] -= amount
        self._sum -= amount
        if not waiting[0]:
            del self._open[grant.number]
        if not give_back:
            self._count(amount, now_ns)

    def correct(self, used: int, sent_ns: int, now_ns: int, number: int = 0) -> None:
        """The venue counts more than we do: somebody else uses this limit."""
        missing = used - self._sum
        if missing > 0:
            self._count(missing, now_ns)

    def forget_before(self, now_ns: int) -> bool:
        """Drop what no window holds any more; True when there was any.  Silence counts as counted."""
        silent = [(number, waiting) for number, waiting in self._open.items() if waiting[1] < now_ns]
        for number, (amount, latest_ns) in silent:
            del self._open[number]
            self._sum -= amount
            self._count(amount, latest_ns)
        over = bool(silent)
        while self._counted and self._counted[0][0] <= now_ns:
            self._sum -= self._counted.popleft()[1]
            over = True
        return over

    def shift(self, by_ns: int) -> None:
        """Our picture of the venue's clock has moved; what happened has not."""
        self._counted = deque((until_ns + by_ns, amount) for until_ns, amount in self._counted)
        for waiting in self._open.values():
            waiting[1] += by_ns

    def held(self) -> Iterator[int]:
        """Numbers of the grants that are not settled."""
        yield from self._open

    def next_release_ns(self, now_ns: int) -> list[int]:
        """When something leaves, if anything will: a moment after which there is more room."""
        moments = [self._counted[0][0]] if self._counted else []
        moments += [waiting[1] + 1 for waiting in self._open.values()]
        return [max(min(moments), now_ns + 1)] if moments else []

    def _count(self, amount: int, at_ns: int) -> None:
        until_ns = at_ns + self.interval_ns + GUARD_NS
        if self._counted and self._counted[-1][0] > until_ns:
            until_ns = self._counted[-1][0]  # the clock went back: keep the order, and stay on the safe side
        self._counted.append((until_ns, amount))
        self._sum += amount


Row = AlignedRow | SlidingRow
