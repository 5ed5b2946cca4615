"""The actor: what runs behind a bulkhead.

An actor owns its state.  Others reach it by sending messages to its path; it reaches others through its `Context`.
Two kinds share one class:

* a *decision* actor implements `receive` (and `answer`): plain synchronous state changes, no await, no clock, no I/O.
  Everything it sends while it handles one message leaves only when the handler has returned: a handler that raises
  has sent nothing, so the message can be given to the next incarnation.
* a *session* actor implements `run` as well: it holds a socket, a file or a child process, and may await.

Life of one incarnation::

    factory() -> started() -> [ready] -> receive(...)* / run() -> stopped(reason)

`started` is the resync: restore from the journal, reconcile with the venue.  Only when it has returned (or, with
`READY_WHEN = ReadyWhen.TOLD`, when the actor calls `ctx.set_ready()`) does the ready gate open; until then commands
to the actor are refused, events wait in its mailbox.  With `ReadyWhen.TOLD` messages are delivered after `started`
although the gate is shut, because the proof arrives as messages (a book needs deltas to become ready).

Minimal actor::

    class Counter(Actor):
        def __init__(self) -> None:
            self.seen = 0

        def receive(self, message: Message) -> None:
            self.seen += 1

        def inspect(self) -> Mapping[str, object]:
            return {"seen": self.seen}
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

from protocols.base import Event, Message, Query, message
from protocols.ids import Path

GROUP_RESTART = "restarted with a sibling"
"""Reason of a stop that a start follows at once: what is only for the next start of the process can be left undone."""


class ReadyWhen(enum.Enum):
    """Who opens the ready gate."""

    STARTED = "started"
    TOLD = "told"


@message
class Down(Event):
    """A watched actor is not there: crashed, stopped or resyncing."""

    path: Path
    epoch: int
    reason: str
    running: bool = False
    """Its incarnation goes on, and only its gate is shut."""


@message
class Up(Event):
    """A watched actor is ready."""

    path: Path
    epoch: int


class AskError(Exception):
    """An `ask` got no answer: the receiver is not ready, down, too slow, or crashed on it."""


class Later:
    """An answer that `Actor.answer` gives later (or has given already): call `resolve` or `fail` once."""

    __slots__ = ("_deliver", "_outcome")

    def __init__(self) -> None:
        self._deliver: Callable[[object, str | None], None] | None = None
        self._outcome: tuple[object, str | None] | None = None

    def bind(self, deliver: Callable[[object, str | None], None]) -> None:
        """Called by the runtime; what was said before is delivered now."""
        self._deliver = deliver
        if self._outcome is not None:
            deliver(*self._outcome)

    def resolve(self, value: object) -> None:
        """Answer."""
        self._say(value, None)

    def fail(self, text: str) -> None:
        """The asker gets AskError(text)."""
        self._say(None, text)

    def _say(self, value: object, error: str | None) -> None:
        if self._outcome is None:
            self._outcome = (value, error)
            if self._deliver is not None:
                self._deliver(value, error)


class Timer(Protocol):
    """A message that will come back to its actor; cancelled with the incarnation."""

    def cancel(self) -> None: ...


class Context(Protocol):
    """What an actor may do.  Synchronous parts are safe in `receive`; the `async` ones only in `started` and `run`."""

    @property
    def path(self) -> Path: ...

    @property
    def epoch(self) -> int:
        """Incarnation of this actor, from 1; carried by every message that it sends."""
        ...

    @property
    def sender(self) -> Path:
        """Who sent the message in hand ("" outside actors)."""
        ...

    @property
    def sender_epoch(self) -> int:
        """The sender's incarnation when it sent."""
        ...

    @property
    def now_ns(self) -> int:
        """Wall clock, ns UTC, as of the message in hand (sessions: now)."""
        ...

    @property
    def monotonic_ns(self) -> int:
        """Monotonic time, ns: for durations and deadlines."""
        ...

    def flush(self) -> None:
        """For sessions: let everyone who has mail handle it now, in this step, instead of in the next one."""
        ...

    def send(self, to: Path, message: Message) -> None:
        """Never blocks, never silently loses: overflow and unreadiness follow the message's `delivery`."""
        ...

    def after(self, delay_ns: int, message: Message) -> Timer:
        """Deliver `message` to this actor after `delay_ns`."""
        ...

    def watch(self, path: Path) -> None:
        """From now on get `Down` and `Up` of `path` (at once, with the present state)."""
        ...

    def set_ready(self) -> None:
        """Open the ready gate: the state is verified."""
        ...

    def set_unready(self, reason: str) -> None:
        """Shut the ready gate: the state is not verified any more."""
        ...

    def note(self, what: str, text: str) -> None:
        """Say what an operator should find in the log although no gate moved: `connect_failed`, `request_failed`."""
        ...

    def random(self) -> float:
        """A number in [0, 1) from this actor's seeded stream: jitter, never money."""
        ...

    async def ask(self, to: Path, query: Query, timeout_ns: int) -> Any:
        """The receiver's answer; AskError when there is none within `timeout_ns`."""
        ...

    async def send_wait(self, to: Path, message: Message) -> None:
        """For sessions: wait for room in a full mailbox instead of overflowing it."""
        ...

    async def wait_ready(self, path: Path, within_ns: int | None = None) -> bool:
        """Wait until another actor's ready gate is open; False when it is not within `within_ns` (None: for ever)."""
        ...

    async def sleep(self, duration_ns: int) -> None:
        """Sleep on the engine's clock."""
        ...


class Actor:
    """Base of all actors; every hook has a harmless default."""

    READY_WHEN: ClassVar[ReadyWhen] = ReadyWhen.STARTED
    ctx: Context
    """Set by the runtime before `started`."""

    async def started(self) -> None:
        """Resync: restore and verify.  An exception here is a crash and is retried with back-off."""

    def receive(self, message: Message) -> None:
        """Handle one message.  Synchronous; an exception ends this incarnation."""

    def batch_done(self) -> None:
        """Called once after each drained batch of messages, in the same step: group work (one write, one sync).

        Sends made here leave together when it has returned, like those of `receive`.
        """

    def answer(self, query: Query) -> object:
        """Answer one query, in order with the messages; may return `Later`."""
        raise NotImplementedError(f"{type(self).__name__} does not answer {type(query).__name__}")

    async def run(self) -> None:
        """Session work beside the mailbox; returning ends it, an exception ends the incarnation."""

    async def stopped(self, reason: str) -> None:
        """Orderly end: release what the actor holds.  Not called after a crash of the process."""

    def inspect(self) -> Mapping[str, object]:
        """State summary for the console: small, plain values, no secrets."""
        return {}
