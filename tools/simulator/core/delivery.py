"""Between a request and its reply: where the fault plan may strike.

`perform` runs one request and passes its outcome to a `Link`, the way back to the client: a WebSocket, or a waiting
HTTP response (`Waiting`).  Whatever the plan says (lost reply, late accept, 5xx after execution, ...) is done here and
nowhere else, so all transports of all venues fail alike; only the words of the failures are the venue's own (`Desk`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import attrs
import trio

from tools.simulator.core.clock import MS, Clock
from tools.simulator.core.faults import REQUEST, Fault, FaultKind, FaultPlan
from tools.simulator.core.latency import Latency
from tools.simulator.core.private import PrivateChannel
from tools.simulator.core.scheduler import Scheduler
from tools.simulator.core.server import Fate

NEVER_RUN = frozenset(
    {
        FaultKind.ERROR_BEFORE,
        FaultKind.TIMEOUT_LOST,
        FaultKind.RATE_LIMIT,
        FaultKind.BAN,
        FaultKind.CUT_BEFORE,
    }
)

Result = TypeVar("Result")
Said = TypeVar("Said", covariant=True)
Asked = TypeVar("Asked", contravariant=True)


class Link(Protocol[Asked]):
    """The way back to who asked.  Exactly one of the three is called, once."""

    def reply(self, outcome: Asked) -> None: ...

    def silence(self) -> None: ...

    def cut(self) -> None: ...


class Waiting(Generic[Result]):
    """An HTTP client waits for its response; the link sets what becomes of it.

    waiting: Waiting[Outcome] = Waiting()
    perform(desk, job, waiting)
    await waiting.done.wait()
    if waiting.outcome is None:
        return HttpResponse(fate=waiting.fate)
    """

    def __init__(self) -> None:
        self.outcome: Result | None = None
        self.fate = Fate.SEND
        self.done = trio.Event()

    def reply(self, outcome: Result) -> None:
        self.outcome = outcome
        self.done.set()

    def silence(self) -> None:
        self.fate = Fate.SILENT
        self.done.set()

    def cut(self) -> None:
        self.fate = Fate.RESET
        self.done.set()


@attrs.define
class Line:
    """One connection delivers in order, however long each of its requests takes: the time until it is busy."""

    last_due: float = 0.0


@attrs.frozen
class Job(Generic[Result]):
    """One request."""

    subject: str
    """The method's name: what request faults match."""
    account: str
    """Whose request it looks like before anything is verified, or "": faults may be meant for one account."""
    peer: str
    run: Callable[[], Result]
    """Execute it, to its end.  Never raises for anything the client did."""
    line: Line | None = None
    """Of a WebSocket."""


class Desk(Protocol[Said]):
    """What delivery needs of a dialect: its parts, and its words for what goes wrong."""

    @property
    def clock(self) -> Clock: ...

    @property
    def faults(self) -> FaultPlan: ...

    @property
    def scheduler(self) -> Scheduler: ...

    @property
    def latency(self) -> Latency: ...

    @property
    def user_data(self) -> PrivateChannel: ...

    def internal_error(self, status: int) -> Said:
        """The venue's 5xx (`error_before`, `error_after`)."""
        ...

    def unknown_outcome(self) -> Said:
        """ "Execution status unknown" (`timeout_executed`, `timeout_lost`)."""
        ...

    def blocked(self, peer: str, until_ns: int, *, ban: bool) -> Said:
        """Refuse this address until then (`rate_limit`, `ban`); the words of the refusal."""
        ...

    def drop_sockets(self, peer: str) -> None:
        """An address is banned: its open WebSockets go."""
        ...


def perform(desk: Desk[Result], job: Job[Result], link: Link[Result]) -> None:
    """Run the request, with the configured latency on the way in."""
    delay_s = desk.latency.request_s()
    if not delay_s:
        _perform(desk, job, link)
        return
    due = trio.current_time() + delay_s
    if job.line is not None:
        due = job.line.last_due = max(due, job.line.last_due)
    desk.scheduler.at(due, lambda: _perform(desk, job, link))


def _perform(desk: Desk[Result], job: Job[Result], link: Link[Result]) -> None:
    fault = desk.faults.take(REQUEST, job.subject, account=job.account)
    if fault is None:
        desk.user_data.hold()
        try:
            outcome = job.run()
        finally:
            events = desk.user_data.release()
        delay_s = desk.latency.reply_s()
        if delay_s:
            desk.scheduler.after(delay_s, lambda: link.reply(outcome))
        else:
            link.reply(outcome)
        desk.user_data.deliver(events)
    elif fault.kind in NEVER_RUN:
        _refuse(desk, fault, job, link)
    elif fault.kind is FaultKind.DELAY_REQUEST:
        desk.scheduler.after(fault.delay_ms / 1000, lambda: link.reply(job.run()))
    elif fault.kind is FaultKind.LATE_ACCEPT:
        link.silence()

        def accept() -> None:
            job.run()

        desk.scheduler.after(fault.delay_ms / 1000, accept)
    else:
        _run_badly(desk, fault, job, link)


def _refuse(desk: Desk[Result], fault: Fault, job: Job[Result], link: Link[Result]) -> None:
    """Faults that keep the request away from the engine."""
    if fault.kind is FaultKind.CUT_BEFORE:
        link.cut()
    elif fault.kind is FaultKind.ERROR_BEFORE:
        link.reply(desk.internal_error(fault.status))
    elif fault.kind is FaultKind.TIMEOUT_LOST:
        timeout = desk.unknown_outcome()
        desk.scheduler.after(fault.delay_ms / 1000, lambda: link.reply(timeout))
    else:
        ban = fault.kind is FaultKind.BAN
        until = desk.clock.now_ns() + max(fault.delay_ms, 1000) * MS
        link.reply(desk.blocked(job.peer, until, ban=ban))
        if ban:
            desk.drop_sockets(job.peer)


def _run_badly(desk: Desk[Result], fault: Fault, job: Job[Result], link: Link[Result]) -> None:
    """Faults that let the request take effect and spoil what follows."""
    delay_s = fault.delay_ms / 1000
    desk.user_data.hold()
    try:
        outcome = job.run()
    finally:
        events = desk.user_data.release()
    kind = fault.kind
    if kind is FaultKind.REPLY_FIRST:
        link.reply(outcome)
        desk.scheduler.after(delay_s, lambda: desk.user_data.deliver(events))
        return
    desk.user_data.deliver(events)
    if kind is FaultKind.LOST_REPLY:
        link.silence()
    elif kind is FaultKind.CUT_AFTER:
        link.cut()
    elif kind is FaultKind.ERROR_AFTER:
        link.reply(desk.internal_error(fault.status))
    elif kind is FaultKind.TIMEOUT_EXECUTED:
        timeout = desk.unknown_outcome()
        desk.scheduler.after(delay_s, lambda: link.reply(timeout))
    elif kind is FaultKind.DELAY_REPLY:
        desk.scheduler.after(delay_s, lambda: link.reply(outcome))
    else:  # EVENT_FIRST
        link.reply(outcome)
