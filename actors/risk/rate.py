"""Order rate over sliding windows of a second and of a minute, in constant memory.

Time is cut into buckets.  An order stops counting when its whole bucket has left the window, so a count is never lower
than that of an exact sliding window, and at most one bucket stricter: 20 ms of the second, 1.2 s of the minute.
"""

from __future__ import annotations

__all__ = ["Pace", "Window"]

SECOND_NS = 1_000_000_000
BUCKETS = 50


class Window:
    """Orders of the last `window_ns`."""

    __slots__ = ("_newest", "counts", "place", "total", "width_ns")

    def __init__(self, window_ns: int) -> None:
        self.width_ns = window_ns // BUCKETS
        # One more than fills the window: the newest bucket is only partly over.
        self.counts = [0] * (BUCKETS + 1)
        self.place = 0
        """Index of the newest bucket."""
        self.total = 0
        self._newest = 0

    def advance(self, now_ns: int) -> None:
        """Drop what has left the window."""
        newest = now_ns // self.width_ns
        if newest <= self._newest:
            return
        counts = self.counts
        for bucket in range(max(self._newest, newest - len(counts)) + 1, newest + 1):
            place = bucket % len(counts)
            self.total -= counts[place]
            counts[place] = 0
        self._newest = newest
        self.place = newest % len(counts)


class Pace:
    """Orders in the last second and in the last minute; time is monotonic ns."""

    __slots__ = ("minute", "next_ns", "second")

    def __init__(self) -> None:
        self.second = Window(SECOND_NS)
        self.minute = Window(60 * SECOND_NS)
        self.next_ns = 0
        """From here on the counts are out of date: call `advance`."""

    def advance(self, now_ns: int) -> None:
        """Bring both counts up to `now_ns`."""
        width_ns = self.second.width_ns
        self.next_ns = (now_ns // width_ns + 1) * width_ns
        self.second.advance(now_ns)
        self.minute.advance(now_ns)

    def add(self) -> None:
        """Count one order at the time of the last `advance`."""
        second, minute = self.second, self.minute
        second.counts[second.place] += 1
        second.total += 1
        minute.counts[minute.place] += 1
        minute.total += 1
