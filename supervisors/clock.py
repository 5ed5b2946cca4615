"""The one source of time: wall-clock nanoseconds (UTC) and monotonic nanoseconds.

Nothing else in the engine reads a clock.  `SystemClock` is real time; `TrioClock` follows `trio.current_time`, so
that a run under `trio.testing.MockClock` is on virtual time as a whole (`skew_ns` plants a wrong wall clock).
"""

from __future__ import annotations

import time
from typing import Protocol

import trio


class Clock(Protocol):
    """Both kinds of time."""

    def wall_ns(self) -> int:
        """UTC, ns since the epoch; may jump."""
        ...

    def monotonic_ns(self) -> int:
        """Never decreases; its zero means nothing."""
        ...


class SystemClock:
    """The machine's clocks."""

    wall_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)


class TrioClock:
    """Time as Trio sees it; virtual under a MockClock.  Usable only inside a Trio run."""

    def __init__(self, base_ns: int = 1_700_000_000_000_000_000) -> None:
        self._base_ns = base_ns
        self.skew_ns = 0

    def wall_ns(self) -> int:
        return self._base_ns + self.skew_ns + self.monotonic_ns()

    def monotonic_ns(self) -> int:
        return round(trio.current_time() * 1_000_000_000)
