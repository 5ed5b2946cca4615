"""A running tree for the tests of the venue sessions: the real runtime, real time, real sockets.

`Probe` actors stand where books, accounts and strategies would be: they keep what they get, and a test waits for what
it expects (`await probe.wait_for(...)`), never for a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import attrs
import trio

from protocols.base import Message, Query
from protocols.ids import Path
from supervisors.actor import Actor, ReadyWhen
from supervisors.clock import SystemClock
from supervisors.runtime import Lifecycle, Runtime
from supervisors.spec import Backoff, ChildSpec, Intensity, SupervisorSpec
from supervisors.supervisor import run_tree

T = TypeVar("T", bound=Message)
PATIENCE_S = 10


class Inbox:
    """What one probe has got; outlives the probe's incarnations."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.answers: dict[type[Query], Callable[[Query], object]] = {}
        self._news = trio.Event()

    def add(self, message: Message) -> None:
        self.messages.append(message)
        self._news.set()
        self._news = trio.Event()

    def of(self, kind: type[T]) -> list[T]:
        """All messages of a kind, oldest first."""
        return [message for message in self.messages if isinstance(message, kind)]

    async def wait_for(self, kind: type[T], count: int = 1, matching: Callable[[T], bool] | None = None) -> list[T]:
        """The first `count` messages of a kind that match; fails when they do not come."""
        with trio.fail_after(PATIENCE_S):
            while True:
                found = [message for message in self.of(kind) if matching is None or matching(message)]
                if len(found) >= count:
                    return found[:count]
                await self._news.wait()

    async def one(self, kind: type[T], matching: Callable[[T], bool] | None = None) -> T:
        """The first message of a kind."""
        return (await self.wait_for(kind, 1, matching))[0]


class Probe(Actor):
    """Keeps what it gets."""

    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox

    def receive(self, message: Message) -> None:
        self.inbox.add(message)

    def answer(self, query: Query) -> object:
        return self.inbox.answers[type(query)](query)


class NeverReady(Probe):
    """A probe whose gate stays shut."""

    READY_WHEN = ReadyWhen.TOLD


@attrs.define
class World:
    """The running tree."""

    runtime: Runtime
    events: list[Lifecycle]

    def tell(self, path: Path, *messages: Message, sender: Path = "") -> None:
        """Send from outside and let everyone handle it."""
        for message in messages:
            self.runtime.deliver(path, message, sender)
        self.runtime.pump()

    async def ask(self, path: Path, query: Query, timeout_ns: int = 5_000_000_000) -> Any:
        return await self.runtime.ask(path, query, timeout_ns)

    async def ready(self, path: Path) -> None:
        """Wait until an actor's gate is open."""
        with trio.fail_after(PATIENCE_S):
            await self.runtime.wait_ready(path)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so."""
        with trio.fail_after(PATIENCE_S):
            while not condition():  # noqa: ASYNC110 - there is nobody to tell us
                await trio.sleep(0.005)

    def actor(self, path: Path) -> Any:
        """The present incarnation."""
        return self.runtime.cell(path).actor

    def inspect(self, path: Path) -> Mapping[str, Any]:
        """What the actor says of itself; what it does not say (yet) is 0."""
        actor = self.actor(path)
        return defaultdict(int, actor.inspect() if actor is not None and hasattr(actor, "ctx") else {})

    def unready_reason(self, path: Path) -> str:
        return self.runtime.cell(path).unready_reason

    def crash(self, path: Path, error: Exception) -> None:
        """End the present incarnation."""
        self.runtime.cell(path).crash(error)

    async def kill(self, path: Path) -> None:
        """End the present incarnation and wait for the next one."""
        cell = self.runtime.cell(path)
        epoch = cell.epoch
        cell.crash(RuntimeError("killed by the test"))
        await self.until(lambda: cell.epoch > epoch and cell.ready)

    def crashes(self, path: Path) -> list[str]:
        return [event.text for event in self.events if event.path == path and event.what == "crash"]


def _spec(name: str, factories: Mapping[Path, Callable[[], Actor]]) -> SupervisorSpec:
    children: list[ChildSpec | SupervisorSpec] = []
    groups: dict[str, dict[Path, Callable[[], Actor]]] = {}
    for path, factory in factories.items():
        head, _, rest = path.strip("/").partition("/")
        if rest:
            groups.setdefault(head, {})[rest] = factory
        else:
            children.append(ChildSpec(name=head, factory=factory, capacity=64, hard_limit=100_000))
    children += [_spec(head, members) for head, members in groups.items()]
    return SupervisorSpec(
        name=name,
        children=tuple(children),
        intensity=Intensity(restarts=20, within_ns=10_000_000_000),
        backoff=Backoff(base_ns=1_000_000, max_ns=50_000_000),
    )


@asynccontextmanager
async def running(factories: Mapping[Path, Callable[[], Actor]]) -> AsyncIterator[World]:
    """Run these actors at these addresses, each under a one_for_one supervisor; stop them at the end."""
    runtime = Runtime(clock=SystemClock(), seed=1)
    events: list[Lifecycle] = []
    runtime.observers.append(events.append)
    async with trio.open_nursery() as nursery:
        root = await nursery.start(lambda task_status: run_tree(_spec("", factories), runtime, task_status=task_status))
        try:
            yield World(runtime, events)
        finally:
            root.request_stop("end of the test")
            with trio.move_on_after(3, shield=True):
                while nursery.child_tasks:  # noqa: ASYNC110 - the tree's end has no event of its own
                    await trio.sleep(0.005)
        nursery.cancel_scope.cancel()
