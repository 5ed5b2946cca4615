"""Actors and a harness for the runtime's tests: everything runs on virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import ClassVar

import trio
import trio.testing

from protocols.base import Command, Event, MarketData, Message, Query, RefusalReason, message
from supervisors.actor import Actor, Down, Up
from supervisors.clock import TrioClock
from supervisors.ends import Exit
from supervisors.runtime import Lifecycle, Runtime
from supervisors.spec import SupervisorSpec
from supervisors.supervisor import Supervisor, run_tree


@message
class Note(Event):
    """An event with a number."""

    number: int


@message
class Tick(MarketData):
    """Market data of one key."""

    key: str
    number: int

    @property
    def conflation_key(self) -> tuple[str, ...]:
        return ("tick", self.key)


@message
class Refused(Event):
    """What the caller of `Do` gets back."""

    number: int
    reason: str


@message
class Do(Command):
    """A command with a caller."""

    number: int
    reply_to: str

    def refusals(self, reason: RefusalReason, by: str) -> tuple[tuple[str, Message], ...]:
        return ((self.reply_to, Refused(self.number, reason.value)),)


@message
class Undo(Command):
    """A command that only reduces risk."""

    passes_shut_gate: ClassVar[bool] = True
    number: int


@message
class Boom(Event):
    """Makes a Recorder crash each time it is handled."""

    number: int = 0


@message
class HowMany(Query):
    """How many messages did you handle?"""


class Recorder(Actor):
    """Keeps what it gets in a list that outlives it, and crashes on `Boom`."""

    def __init__(self, log: list[Message], forward: str = "") -> None:
        self.log = log
        self.forward = forward
        self.handled = 0

    def receive(self, message: Message) -> None:
        if self.forward and not isinstance(message, Up | Down):
            self.ctx.send(self.forward, message)
        match message:
            case Boom(number=number):
                raise RuntimeError(f"boom {number}")
        self.handled += 1
        self.log.append(message)

    def answer(self, query: Query) -> object:
        return self.handled

    def inspect(self) -> Mapping[str, object]:
        return {"handled": self.handled}


class Diary:
    """Lifecycle events in order, for assertions about who was started, stopped and crashed."""

    def __init__(self) -> None:
        self.events: list[Lifecycle] = []

    def __call__(self, event: Lifecycle) -> None:
        self.events.append(event)

    def lines(self, *what: str) -> list[str]:
        """`what path` of the wanted kinds."""
        return [f"{e.what} {e.path}" for e in self.events if e.what in what]

    def clear(self) -> None:
        self.events.clear()


class World:
    """A running tree."""

    def __init__(self, runtime: Runtime, root: Supervisor, diary: Diary) -> None:
        self.runtime = runtime
        self.root = root
        self.diary = diary
        self.end: Exit | None = None
        self.ended = trio.Event()

    def send(self, to: str, message: Message) -> None:
        self.runtime.deliver(to, message)

    def epoch(self, path: str) -> int:
        return self.runtime.cell(path).epoch

    async def settle(self) -> None:
        """Let everything that can happen now happen."""
        await trio.testing.wait_all_tasks_blocked()

    async def ready(self, *paths: str) -> None:
        with trio.fail_after(60):
            for path in paths:
                await self.runtime.wait_ready(path)


@asynccontextmanager
async def running(spec: SupervisorSpec, seed: int = 1) -> AsyncIterator[World]:
    """The tree, running on virtual time; stopped in order at the end."""
    runtime = Runtime(clock=TrioClock(), seed=seed)
    diary = Diary()
    runtime.observers.append(diary)
    async with trio.open_nursery() as nursery:
        holder: list[World] = []
        started = trio.Event()

        def note(root: Supervisor) -> None:
            holder.append(World(runtime, root, diary))
            started.set()

        async def run() -> None:
            end = await run_tree(spec, runtime, on_started=note)
            holder[0].end = end
            holder[0].ended.set()

        nursery.start_soon(run)
        await started.wait()
        world = holder[0]
        await world.settle()
        yield world
        world.root.request_stop("test over")
        with trio.fail_after(120):
            await world.ended.wait()


def recorder(log: list[Message], forward: str = "") -> Callable[[], Actor]:
    """A factory of Recorders that share `log`."""
    return lambda: Recorder(log, forward)
