"""Testing tools for actors, shipped with the product: drive a decision actor without a runtime.

`RecordingContext` keeps what an actor sends, lets the test move the time and answers `ask` from a table.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from protocols.base import Message, Query
from protocols.ids import Path
from supervisors.actor import Actor, AskError


class RecordedTimer:
    """A timer of a `RecordingContext`."""

    def __init__(self, at_ns: int, message: Message) -> None:
        self.at_ns = at_ns
        self.message = message
        self.cancelled = False

    def cancel(self) -> None:
        """It will not fire."""
        self.cancelled = True


class RecordingContext:
    """A `Context` for tests: `sent` holds (path, message) in order, `advance` fires timers into the actor."""

    def __init__(self, actor: Actor, path: Path = "/test", now_ns: int = 1_700_000_000_000_000_000) -> None:
        self.path = path
        self.epoch = 1
        self.sender = ""
        self.sender_epoch = 1
        self.now_ns = now_ns
        self.monotonic_ns = 0
        self.sent: list[tuple[Path, Message]] = []
        self.timers: list[RecordedTimer] = []
        self.watched: list[Path] = []
        self.notes: list[tuple[str, str]] = []
        self.ready = False
        self.unready_reason = ""
        self.unready: set[Path] = set()
        """Who is never ready; everybody else is at once."""
        self.answers: dict[type[Query], Callable[[Path, Any], object]] = {}
        self._actor = actor
        self._random = random.Random(0)
        actor.ctx = self

    def flush(self) -> None:
        return None

    def send(self, to: Path, message: Message) -> None:
        self.sent.append((to, message))

    def after(self, delay_ns: int, message: Message) -> RecordedTimer:
        timer = RecordedTimer(self.monotonic_ns + delay_ns, message)
        self.timers.append(timer)
        return timer

    def watch(self, path: Path) -> None:
        self.watched.append(path)

    def set_ready(self) -> None:
        self.ready = True

    def set_unready(self, reason: str) -> None:
        self.ready = False
        self.unready_reason = reason

    def note(self, what: str, text: str) -> None:
        self.notes.append((what, text))

    def random(self) -> float:
        return self._random.random()

    async def ask(self, to: Path, query: Query, timeout_ns: int) -> Any:
        handler = self.answers.get(type(query))
        if handler is None:
            raise AskError(f"{to} gives no answer to {type(query).__name__} in this test")
        return handler(to, query)

    async def send_wait(self, to: Path, message: Message) -> None:
        self.send(to, message)

    async def wait_ready(self, path: Path, within_ns: int | None = None) -> bool:
        if path not in self.unready:
            return True
        assert within_ns is not None, f"{path} is not ready in this test: this would wait for ever"
        self.advance(within_ns)
        return False

    async def sleep(self, duration_ns: int) -> None:
        self.advance(duration_ns)

    def advance(self, duration_ns: int) -> None:
        """Move both clocks and give due timers to the actor, in order of their times."""
        self.now_ns += duration_ns
        self.monotonic_ns += duration_ns
        due = sorted((t for t in self.timers if t.at_ns <= self.monotonic_ns), key=lambda t: t.at_ns)
        self.timers = [t for t in self.timers if t.at_ns > self.monotonic_ns]
        for timer in due:
            if not timer.cancelled:
                self._actor.receive(timer.message)

    def take(self) -> list[tuple[Path, Message]]:
        """What was sent since the last call."""
        taken, self.sent = self.sent, []
        return taken
