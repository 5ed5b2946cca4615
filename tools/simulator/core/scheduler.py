"""Things to do later: one heap, one task, Trio's own clock (so a mock clock drives it too)."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import trio


class Scheduler:
    """Runs plain callables at their time, in order of time and then of scheduling."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = 0
        self._changed = trio.Event()

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Call `action` that much later. A delay of zero means with the scheduler's next turn."""
        self.at(trio.current_time() + seconds, action)

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Call `action` at that time of Trio's clock; actions of the same time in the order of these calls."""
        self._sequence += 1
        heapq.heappush(self._heap, (when, self._sequence, action))
        self._changed.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            self._changed = trio.Event()
            while self._heap and self._heap[0][0] <= trio.current_time():
                heapq.heappop(self._heap)[2]()
            deadline = self._heap[0][0] if self._heap else trio.current_time() + 3600
            with trio.move_on_at(deadline):
                await self._changed.wait()
