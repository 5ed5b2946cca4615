"""The public trades of one symbol: each told once, what is odd about one said, and a clock that no single one moves.

*Once*: venues repeat trades (the last one after a new subscription, some during an overlap); a repeated one would
count twice in a bar, so it ends here.

*The clock*: bars are closed by the venue's clock, which is the newest trade's event time plus what has passed here
since.  One trade from the future would close every bar until then, and make all that follow too late for theirs.  So a
trade that leaps ahead by more than `LEAP_NS` is passed on with its mark but moves nothing, and the bar under way may
lack it; only when `LEAPS_BELIEVED` in a row agree is it the clock that has changed, and every bar in between has a
hole.  In the same way a clock comes back that the first trade of all has led astray.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal

from protocols.enums import Quality
from protocols.market import Trade

SECOND_NS = 1_000_000_000
KEPT = 256
"""Newest trades whose ids are known."""
LEAP_NS = 300 * SECOND_NS
"""A recording is told faster than it happened, and quiet symbols have minutes without a trade."""
LEAPS_BELIEVED = 3
JUMP = Decimal("0.1")
"""As a fraction of the price before."""


class Tape:
    """See the module text.  Times of ours are monotonic ns."""

    __slots__ = ("_ids", "_leaps", "_leapt_to_ns", "_order", "_price", "at_ns", "event_ns", "is_new_clock", "repeated")

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._order: deque[str] = deque()
        self._price: Decimal | None = None
        self._leaps = self._leapt_to_ns = 0
        self.event_ns = 0
        """Of the newest trade that moved the clock; 0 before the first."""
        self.at_ns = 0
        """When that came."""
        self.is_new_clock = False
        """The last trade was one leap too many: the clock is another, and what lies between is unknown."""
        self.repeated = 0

    def judge(self, trade: Trade, at_ns: int) -> Quality | None:
        """What is odd about it; None when it was told before.  LEAP: do not build a bar from it."""
        if trade.trade_id in self._ids:
            self.repeated += 1
            return None
        self._ids.add(trade.trade_id)
        self._order.append(trade.trade_id)
        if len(self._order) > KEPT:
            self._ids.discard(self._order.popleft())
        found = Quality.GOOD
        before, self._price = self._price, trade.price
        if before is not None and before != trade.price and abs(trade.price - before) > JUMP * before:
            found |= Quality.JUMP
        return found | self._time(trade.event_ns, at_ns)

    def _time(self, event_ns: int, at_ns: int) -> Quality:
        self.is_new_clock = False
        ahead_ns = event_ns - self.now_ns(at_ns)
        if self.event_ns and abs(ahead_ns) > LEAP_NS:
            self._leaps = self._leaps + 1 if abs(event_ns - self._leapt_to_ns) <= LEAP_NS else 1
            self._leapt_to_ns = event_ns
            if self._leaps < LEAPS_BELIEVED:
                return Quality.LEAP if ahead_ns > 0 else Quality.BACKWARD
            self.is_new_clock = True
        elif event_ns < self.event_ns:
            return Quality.BACKWARD
        self._leaps = 0
        self.event_ns, self.at_ns = event_ns, at_ns
        return Quality.GOOD

    def now_ns(self, at_ns: int) -> int:
        """The venue's clock now; 0 before the first trade."""
        return self.event_ns + (at_ns - self.at_ns) if self.event_ns else 0
