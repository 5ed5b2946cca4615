"""Order permits in stock: what order entry holds of the limiter's budget, so that an order needs no question.

A lease is a block of permits that is valid until a moment (it belongs to a window of the venue's limit).  Entry takes
one permit an order, asks for the next block before the stock runs low or out of date, and reports what became of each
block: answered (the venue has counted it) or unused (given back).
"""

from __future__ import annotations

from collections import deque

import attrs

from actors.venue.messages import LeaseWanted, PermitSettled
from actors.venue.settings import MS, SECOND
from protocols.control import LimiterLease
from protocols.ids import AccountID, Path
from protocols.venue import Usage

RENEW_BEFORE_NS = 300 * MS
WISH_LOST_NS = 5 * SECOND
"""An answer that did not come for this long will not come."""
PERMITS_MAX = 100_000


@attrs.define(eq=False)
class Lease:
    """One block of permits."""

    number: int
    until_ns: int
    left: int
    size: int
    out: int = 0
    """Taken and not yet answered."""
    finished: int = 0
    """Answered since the last report."""


class Leases:
    """All blocks at hand, oldest first."""

    __slots__ = ("_blocks", "_kind", "_usage", "_usage_sent_ns", "_venue", "_wished_at_ns", "left")

    def __init__(self, kind: str, venue: str = "") -> None:
        """`venue`: the product, where several share one limiter."""
        self._kind = kind
        self._venue = venue
        self._blocks: deque[Lease] = deque()
        self._wished_at_ns: int | None = None
        self._usage: tuple[Usage, ...] = ()
        self._usage_sent_ns = 0
        self.left = 0

    def add(self, lease: LimiterLease) -> None:
        """The limiter's answer."""
        self._wished_at_ns = None
        if lease.permits:
            self._blocks.append(Lease(lease.number, lease.until_ns, lease.permits, lease.permits))
            self.left += lease.permits

    def take(self, now_ns: int) -> Lease | None:
        """One permit, or None when there is no valid one."""
        for block in self._blocks:
            if block.left and now_ns < block.until_ns:
                block.left -= 1
                block.out += 1
                self.left -= 1
                return block
        return None

    def put_back(self, block: Lease) -> None:
        """The permit just taken was not used."""
        block.left += 1
        block.out -= 1
        self.left += 1

    def low(self, now_ns: int) -> bool:
        """True when the next block should be asked for."""
        valid = size = 0
        for block in self._blocks:
            if now_ns < block.until_ns - RENEW_BEFORE_NS:
                valid += block.left
                size = max(size, block.size)
        return valid * 2 <= size

    def wish(self, account: AccountID, reply_to: Path, monotonic_ns: int) -> LeaseWanted | None:
        """The question to send, or None while one is on its way."""
        if self._wished_at_ns is not None and monotonic_ns - self._wished_at_ns < WISH_LOST_NS:
            return None
        self._wished_at_ns = monotonic_ns
        return LeaseWanted(account, self._kind, PERMITS_MAX, reply_to, self._venue)

    def forget_wish(self) -> None:
        """Whoever was asked is gone."""
        self._wished_at_ns = None

    def note_usage(self, usage: tuple[Usage, ...], sent_ns: int) -> None:
        """The venue's newest count; passed on with the next report."""
        self._usage, self._usage_sent_ns = usage, sent_ns

    def settle(self, account: AccountID, now_ns: int) -> list[PermitSettled]:
        """Reports about all blocks since the last call; blocks that are over are dropped."""
        reports = []
        for block in list(self._blocks):
            unused = 0
            if now_ns >= block.until_ns and block.left:
                unused, block.left = block.left, 0
                self.left -= unused
            if block.finished or unused:
                block.out -= block.finished
                used = ((self._kind, block.finished),) if block.finished else ()
                back = ((self._kind, unused),) if unused else ()
                reports.append(PermitSettled(block.number, account, used, back, (), 0, self._venue))
                block.finished = 0
            if now_ns >= block.until_ns and not block.out:
                self._blocks.remove(block)
        if self._usage:
            reports.append(PermitSettled(0, account, (), (), self._usage, self._usage_sent_ns, self._venue))
            self._usage = ()
        return reports
