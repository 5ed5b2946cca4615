"""What an actor sees of the runtime: the real `Context`, one per incarnation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from protocols.base import Message, Query
from protocols.ids import Path
from supervisors.actor import Timer

if TYPE_CHECKING:
    from supervisors.cell import Cell
    from supervisors.mailbox import Letter
    from supervisors.runtime import Runtime


class CellContext:
    """Context of one incarnation; what it sends carries its epoch."""

    __slots__ = ("_cell", "_random", "_runtime", "epoch", "letter", "path", "stamp_ns")

    def __init__(self, cell: Cell, runtime: Runtime, epoch: int) -> None:
        self._cell = cell
        self._runtime = runtime
        self._random = runtime.random_stream(f"{cell.path}#{epoch}")
        self.path = cell.path
        self.epoch = epoch
        self.letter: Letter | None = None
        self.stamp_ns = -1
        """-1 outside handlers; 0 in a handler that has not looked at the clock; else the time it saw."""

    @property
    def sender(self) -> Path:
        return self.letter[1] if self.letter is not None else ""

    @property
    def sender_epoch(self) -> int:
        return self.letter[2] if self.letter is not None else 0

    @property
    def now_ns(self) -> int:
        stamp = self.stamp_ns
        if stamp > 0:
            return stamp
        now = self._runtime.clock.wall_ns()
        if stamp == 0:
            self.stamp_ns = now
        return now

    @property
    def monotonic_ns(self) -> int:
        return self._runtime.clock.monotonic_ns()

    def send(self, to: Path, message: Message) -> None:
        if self.stamp_ns >= 0:
            self._runtime.outbox.append((to, message))
        elif self._cell.epoch == self.epoch:
            self._runtime.deliver(to, message, self.path, self.epoch)

    def flush(self) -> None:
        if self.stamp_ns < 0:
            self._runtime.pump()

    def after(self, delay_ns: int, message: Message) -> Timer:
        return self._runtime.timers.add(delay_ns, self._cell, message)

    def watch(self, path: Path) -> None:
        target = self._runtime.cell(path)
        target.watchers[self.path] = self.epoch
        self._runtime.deliver(self.path, target.presence(), path, target.epoch)

    def set_ready(self) -> None:
        self._cell.set_ready(self.epoch)

    def set_unready(self, reason: str) -> None:
        self._cell.set_unready(self.epoch, reason)

    def note(self, what: str, text: str) -> None:
        self._runtime.observe(self._cell, what, text)

    def random(self) -> float:
        return self._random.random()

    async def ask(self, to: Path, query: Query, timeout_ns: int) -> Any:
        return await self._runtime.ask(to, query, timeout_ns, self.path, self.epoch)

    async def send_wait(self, to: Path, message: Message) -> None:
        cell = self._runtime.find(to)
        if cell is not None:
            await cell.mailbox.wait_room()
        self.send(to, message)

    async def wait_ready(self, path: Path, within_ns: int | None = None) -> bool:
        if within_ns is None:
            await self._runtime.wait_ready(path)
            return True
        cell = self._runtime.cell(path)
        with trio.move_on_after(within_ns / 1e9):
            await self._runtime.wait_ready(path)
        return cell.ready

    async def sleep(self, duration_ns: int) -> None:
        await trio.sleep(duration_ns / 1e9)

    def close(self) -> None:
        """The incarnation has ended: its timers will not fire."""
        self._runtime.timers.drop(self._cell, self.epoch)
