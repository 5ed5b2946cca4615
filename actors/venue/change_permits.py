"""Permits for cancels and amends: asked for when one is needed, where new orders have theirs in stock.

Most venues count them (OKX 60 in 2 s for each instrument, Bybit 10 to 20 a second), and most of the time few are
needed: a stock would be renewed all day for nothing.  Asking costs one hop within the same step while there is room; a
change waits in its turn while there is none, and is given back when it has waited too long.  Where the venue counts
nothing of the kind, the first answer is good for a million of them.

Cancels and amends have a queue each: an amend that waits must not hold up a cancel.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import attrs

from actors.venue.leases import Lease, Leases
from actors.venue.messages import LeaseWanted, PermitSettled
from actors.venue.outcomes import Change
from protocols.control import LimiterLease
from protocols.ids import AccountID, Path, Venue
from protocols.orders import SubmitAmend, SubmitCancels

CANCELS, AMENDS = "cancels", "amends"


@attrs.frozen
class _Waiting:
    message: Change
    units: int
    since_ns: int
    """Monotonic."""


@attrs.define(eq=False)
class _Kind:
    """One queue and what is at hand for it."""

    leases: Leases
    waiting: deque[_Waiting] = attrs.Factory(deque)
    asked: bool = False


class ChangePermits:
    """See the module text; `venue` and `account` are whose limits count, `reply_to` is who asks."""

    def __init__(self, account: AccountID, venue: Venue) -> None:
        self._account = account
        self._venue = venue
        self._kinds = {name: _Kind(Leases(name, venue)) for name in (CANCELS, AMENDS)}

    def take(self, message: Change, now_ns: int, monotonic_ns: int) -> tuple[Lease, ...]:
        """Permits for a change that may leave now; () when it waits from now on."""
        kind = self._kinds[_kind_of(message)]
        units = _units_of(message)
        found = () if kind.waiting else _take(kind.leases, units, now_ns)
        if not found:
            kind.waiting.append(_Waiting(message, units, monotonic_ns))
        return found

    def put_back(self, leases: tuple[Lease, ...], message: Change) -> None:
        """The change did not leave."""
        for lease in leases:
            self._kinds[_kind_of(message)].leases.put_back(lease)

    def add(self, lease: LimiterLease) -> bool:
        """The limiter's answer; False when it is about something else."""
        kind = self._kinds.get(lease.kind)
        if kind is None:
            return False
        kind.asked = False
        kind.leases.add(lease)
        return True

    def release(self, now_ns: int) -> Iterator[tuple[Change, tuple[Lease, ...]]]:
        """The changes whose turn it is, with their permits."""
        for kind in self._kinds.values():
            while kind.waiting:
                found = _take(kind.leases, kind.waiting[0].units, now_ns)
                if not found:
                    break
                yield kind.waiting.popleft().message, found

    def wishes(self, reply_to: Path, *, again: bool = False) -> Iterator[LeaseWanted]:
        """What to ask the limiter for, one question at a time; `again`: whoever was asked is gone."""
        for name, kind in self._kinds.items():
            if kind.waiting and (again or not kind.asked):
                kind.asked = True
                units = kind.waiting[0].units
                yield LeaseWanted(self._account, name, units, reply_to, self._venue, exact=True)

    def overdue(self, before_ns: int) -> Iterator[Change]:
        """The changes that wait since before this moment (monotonic): they are given up."""
        for kind in self._kinds.values():
            while kind.waiting and kind.waiting[0].since_ns < before_ns:
                yield kind.waiting.popleft().message

    def settle(self, now_ns: int) -> Iterator[PermitSettled]:
        """Reports of what became of the permits."""
        for kind in self._kinds.values():
            yield from kind.leases.settle(self._account, now_ns)

    @property
    def waiting(self) -> dict[str, int]:
        """For the console."""
        return {name: len(kind.waiting) for name, kind in self._kinds.items()}


def _take(leases: Leases, units: int, now_ns: int) -> tuple[Lease, ...]:
    """All of them, or none."""
    found: list[Lease] = []
    for _ in range(units):
        lease = leases.take(now_ns)
        if lease is None:
            for taken in found:
                leases.put_back(taken)
            return ()
        found.append(lease)
    return tuple(found)


def _kind_of(message: Change) -> str:
    return AMENDS if isinstance(message, SubmitAmend) else CANCELS


def _units_of(message: Change) -> int:
    """A request for several orders takes a permit for each."""
    return len(message.orders) if isinstance(message, SubmitCancels) else 1
