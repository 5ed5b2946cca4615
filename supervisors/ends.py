"""How incarnations end, and what is kept of it: exits, their causes, restarts, messages that were set aside."""

from __future__ import annotations

import enum

import attrs

from protocols.base import Message
from protocols.ids import Path


class ExitKind(enum.Enum):
    """How an incarnation ended."""

    NORMAL = "normal"
    """`run` returned by itself."""
    CRASH = "crash"
    SHUTDOWN = "shutdown"
    """The supervisor stopped it."""
    ESCALATION = "escalation"
    """A supervisor spent its restart budget."""


@attrs.frozen
class Exit:
    """End of one incarnation."""

    kind: ExitKind
    error: BaseException | None = None

    @property
    def cause(self) -> str:
        """One line for the console."""
        return self.kind.value if self.error is None else describe(self.error)


@attrs.frozen
class RestartRecord:
    """One end of an incarnation, and how long the actor was not ready because of it."""

    at_ns: int
    epoch: int
    cause: str
    trace: str
    recovery_ns: int | None
    """Monotonic ns from the end to ready again; None while it is still down."""


@attrs.frozen
class DeadLetter:
    """A message that could not be handled, with what is needed to understand why."""

    at_ns: int
    to: Path
    sender: Path
    message: Message
    reason: str
    trace: str
    recent: tuple[Message, ...]
    """What the actor handled before, oldest first."""


class MailboxOverflow(Exception):
    """More events came in than the mailbox's hard limit: the actor cannot keep up and must resync."""


class ChaosCrash(Exception):
    """A crash on request (console, fault injection)."""


class OrderedRestart(Exception):
    """An operator's wish: nothing has failed, so no restart budget is spent."""


class ActorStuck(Exception):
    """The watchdog interrupted a handler that did not return."""


def describe(error: BaseException) -> str:
    """`ValueError: text`, or the leaves of an exception group."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(describe(leaf) for leaf in error.exceptions)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def unwrap(error: Exception) -> Exception:
    """The one leaf of nested exception groups, or the group when there are several."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
