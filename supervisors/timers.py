"""Messages that come back later: one heap and one task for all actors of a runtime."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import trio

from protocols.base import Message

if TYPE_CHECKING:
    from supervisors.cell import Cell
    from supervisors.runtime import Runtime


class CellTimer:
    """One pending message; it dies with the incarnation that asked for it."""

    __slots__ = ("cell", "epoch", "message")

    def __init__(self, cell: Cell, message: Message) -> None:
        self.cell: Cell | None = cell
        self.epoch = cell.epoch
        self.message: Message | None = message

    def cancel(self) -> None:
        """It will not come."""
        self.cell = self.message = None


class Timers:
    """Ordered by due time, then by age: equal deadlines fire in the order in which they were set."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._heap: list[tuple[int, int, CellTimer]] = []
        self._count = 0
        self._changed = trio.Event()

    def add(self, delay_ns: int, cell: Cell, message: Message) -> CellTimer:
        """Deliver `message` to `cell` after `delay_ns` (at once when it is not positive)."""
        timer = CellTimer(cell, message)
        self._count += 1
        due_ns = self._runtime.clock.monotonic_ns() + max(0, delay_ns)
        heapq.heappush(self._heap, (due_ns, self._count, timer))
        if self._heap[0][2] is timer:
            self._changed.set()
        return timer

    def drop(self, cell: Cell, epoch: int) -> None:
        """Forget all timers of an incarnation that ended."""
        for _, _, timer in self._heap:
            if timer.cell is cell and timer.epoch <= epoch:
                timer.cancel()

    async def run(self) -> None:
        """Fire due timers for ever."""
        clock = self._runtime.clock
        while True:
            self._changed = trio.Event()
            while self._heap and (self._heap[0][2].message is None or self._heap[0][0] <= clock.monotonic_ns()):
                self._fire(heapq.heappop(self._heap)[2])
            wait_s = (self._heap[0][0] - clock.monotonic_ns()) / 1e9 if self._heap else float("inf")
            with trio.move_on_after(max(0.0, wait_s)):
                await self._changed.wait()

    def _fire(self, timer: CellTimer) -> None:
        cell, message = timer.cell, timer.message
        if cell is not None and message is not None and cell.epoch == timer.epoch:
            self._runtime.deliver(cell.path, message, cell.path, cell.epoch)
