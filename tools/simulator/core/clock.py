"""Where the simulator gets its time from: one object, replaced in tests.

Time is an integer count of nanoseconds since the epoch, UTC. A clock may be skewed on purpose (the
`clock_skew` fault): the venue's clock is then wrong for everybody who talks to it, as a real one would be.
"""

from __future__ import annotations

import time
from typing import Protocol

import trio

MS = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND


class Clock(Protocol):
    """Anything that can tell the time. `skew_ns` is added to every answer."""

    skew_ns: int

    def now_ns(self) -> int:
        """Nanoseconds since the epoch, skew included."""
        ...


class SystemClock:
    """The machine's wall clock."""

    def __init__(self) -> None:
        self.skew_ns = 0

    def now_ns(self) -> int:
        return time.time_ns() + self.skew_ns


class ManualClock:
    """A clock that moves only when it is told to: makes a run repeatable to the byte."""

    def __init__(self, start_ns: int = 1_790_000_000 * SECOND) -> None:
        self.skew_ns = 0
        self._now_ns = start_ns

    def now_ns(self) -> int:
        return self._now_ns + self.skew_ns

    def advance(self, delta_ns: int) -> None:
        """Move forward. Going back is refused: no venue's engine ever does."""
        if delta_ns < 0:
            raise ValueError(f"a clock cannot be moved back, got {delta_ns} ns")
        self._now_ns += delta_ns

    def set(self, now_ns: int) -> None:
        """Jump to an absolute time, not before the present one."""
        self.advance(now_ns - self._now_ns)


class TrioClock:
    """Follows Trio's own clock, so that `trio.testing.MockClock` moves the venue too."""

    def __init__(self, start_ns: int = 1_790_000_000 * SECOND) -> None:
        self.skew_ns = 0
        self._start_ns = start_ns
        self._origin = trio.current_time()

    def now_ns(self) -> int:
        return self._start_ns + self.skew_ns + int((trio.current_time() - self._origin) * SECOND)
