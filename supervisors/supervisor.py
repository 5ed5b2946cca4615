"""The supervisor: starts its children in order, repairs what crashes, stops everything in reverse.

Semantics are those of Erlang/OTP (`docs/supervision.md` has the table).  Differences, each on purpose:

* a restart may be delayed (back-off with jitter), OTP restarts at once;
* a child that ends without an error is a failure when it is permanent: a silent end must not go unnoticed;
* readiness is separate from being started: siblings start without waiting, gates and `depends_on` do the waiting.

Each child runs in a scope of its own that is shielded from the supervisor's cancellation, so that stopping in reverse
order is really in order even when the whole program is being cancelled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypeAlias

import trio

from protocols.ids import Path
from supervisors.actor import GROUP_RESTART
from supervisors.cell import Cell
from supervisors.ends import Exit, ExitKind, OrderedRestart
from supervisors.runtime import Lifecycle, Runtime
from supervisors.spec import Restart, Strategy, SupervisorSpec, validate


class Escalation(Exception):
    """The restart budget of a supervisor is spent."""


class RestartBudget:
    """Sliding-window arithmetic over monotonic times: one restart more than allowed means giving up."""

    def __init__(self, restarts: int, within_ns: int) -> None:
        self._restarts = restarts
        self._within_ns = within_ns
        self._times: list[int] = []

    def allows(self, now_ns: int) -> bool:
        """Book a restart at `now_ns`; False when it is one too many."""
        self._times = [t for t in self._times if now_ns - t < self._within_ns]
        self._times.append(now_ns)
        return len(self._times) <= self._restarts

    @property
    def used(self) -> int:
        """Restarts in the window, as of the last call."""
        return len(self._times)


class _Child:
    """One child's slot: the actor cell or nested supervisor, and where it is."""

    def __init__(self, node: Cell | Supervisor, restart: Restart, shutdown_ns: int) -> None:
        self.node = node
        self.restart = restart
        self.shutdown_ns = shutdown_ns
        self.running = False
        self.restart_at_ns: int | None = None
        self.attempts = 0
        self.started_ns = 0
        self.scope = trio.CancelScope(shield=True)
        self.done = trio.Event()
        self.gone = False


_Note: TypeAlias = "tuple[_Child, Exit] | None"
"""The end of a child, or None: stop."""


class Supervisor:
    """Runs one `SupervisorSpec`; nested supervisors are children like any other."""

    def __init__(self, spec: SupervisorSpec, runtime: Runtime, parent: Path = "") -> None:
        if not parent:
            validate(spec)
        self.spec = spec
        self.runtime = runtime
        self.path: Path = parent if spec.name == "" else f"{parent}/{spec.name}"
        self._budget = RestartBudget(spec.intensity.restarts, spec.intensity.within_ns)
        self._random = runtime.random_stream(f"{self.path}@supervisor")
        self.escalations = 0
        self.running = False
        self._stop_reason = ""
        self._notes: trio.MemorySendChannel[_Note] | None = None
        self._nursery: trio.Nursery | None = None
        self.children: list[_Child] = []
        for child in spec.children:
            if isinstance(child, SupervisorSpec):
                nested = Supervisor(child, runtime, self.path)
                self.children.append(_Child(nested, child.restart, 60_000_000_000))
            else:
                cell = Cell(f"{self.path}/{child.name}", child, runtime)
                runtime.register(cell)
                self.children.append(_Child(cell, child.restart, child.shutdown_ns))

    # ---- life --------------------------------------------------------------------------------------------------

    async def live(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> Exit:
        """Run until stopped (SHUTDOWN) or until the restart budget is spent (ESCALATION).

        `task_status` is told when every child has begun to start, in order.
        """
        send, notes = trio.open_memory_channel[_Note](math.inf)
        self._notes = send
        self._stop_reason = "shutdown"
        self._budget = RestartBudget(self.spec.intensity.restarts, self.spec.intensity.within_ns)
        end = Exit(ExitKind.SHUTDOWN)
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self.running = True
            try:
                for child in self.children:
                    await trio.lowlevel.checkpoint_if_cancelled()
                    await self._start(child)
                task_status.started()
                await self._supervise(notes)
            except Escalation as error:
                self.escalations += 1
                end = Exit(ExitKind.ESCALATION, error)
                self._announce(str(error))
            finally:
                self.running = False
                with trio.CancelScope(shield=True):
                    await self._stop_children([c for c in reversed(self.children) if c.running], self._stop_reason)
        return end

    def request_stop(self, reason: str) -> None:
        """Ask for an orderly end of the whole subtree; every actor in it hears the reason."""
        if self._notes is not None and self.running:
            self._stop_reason = reason
            self._notes.send_nowait(None)

    async def _supervise(self, notes: trio.MemoryReceiveChannel[_Note]) -> None:
        while True:
            due_ns = min((c.restart_at_ns for c in self.children if c.restart_at_ns is not None), default=None)
            wait_s = float("inf")
            if due_ns is not None:
                wait_s = max(0.0, (due_ns - self.runtime.clock.monotonic_ns()) / 1e9)
            if wait_s == 0.0:
                await self._start_due()
                continue
            with trio.move_on_after(wait_s):
                note = await notes.receive()
                if note is None:
                    return
                await self._ended(*note)

    # ---- children ----------------------------------------------------------------------------------------------

    async def _start(self, child: _Child) -> None:
        assert self._nursery is not None
        child.restart_at_ns = None
        child.running = True
        child.started_ns = self.runtime.clock.monotonic_ns()
        child.scope = trio.CancelScope(shield=True)
        child.done = trio.Event()
        with trio.CancelScope(shield=True):  # a start that is canceled half-way would wait for ever for its child
            await self._nursery.start(self._run_child, child, name=child.node.path)

    async def _run_child(self, child: _Child, task_status: trio.TaskStatus[None]) -> None:
        end = Exit(ExitKind.SHUTDOWN)
        try:
            with child.scope:
                end = await child.node.live(task_status)
        finally:
            child.running = False
            child.done.set()
        if self._notes is not None and self.running and end.kind is not ExitKind.SHUTDOWN:
            self._notes.send_nowait((child, end))

    async def _start_due(self) -> None:
        now_ns = self.runtime.clock.monotonic_ns()
        for child in self.children:
            if child.restart_at_ns is not None and child.restart_at_ns <= now_ns:
                await self._start(child)

    async def _stop_children(self, children: list[_Child], reason: str) -> None:
        """Stop in the order given, one after the other, each within its deadline."""
        for child in children:
            child.node.request_stop(reason)
            with trio.move_on_after(child.shutdown_ns / 1e9):
                await child.done.wait()
            if not child.done.is_set():
                child.scope.cancel()
                await child.done.wait()

    # ---- repair ------------------------------------------------------------------------------------------------

    async def _ended(self, child: _Child, end: Exit) -> None:
        if child.running or child.restart_at_ns is not None:
            return  # the end of an incarnation that a group restart has replaced already
        abnormal = end.kind is not ExitKind.NORMAL
        if child.restart is Restart.TEMPORARY or (child.restart is Restart.TRANSIENT and not abnormal):
            self._forget(child)
            return
        now_ns = self.runtime.clock.monotonic_ns()
        ordered = isinstance(end.error, OrderedRestart)
        if not ordered and not self._budget.allows(now_ns):
            raise Escalation(
                f"{self.path or '/'}: {child.node.path} ended ({end.cause}), more than "
                f"{self.spec.intensity.restarts} restarts within {self.spec.intensity.within_ns / 1e9:g} s"
            )
        group = self._group(child)
        stop = [c for c in reversed(group) if c is not child and c.running]
        await self._stop_children(stop, GROUP_RESTART)
        if ordered or now_ns - child.started_ns > self.spec.backoff.calm_ns:
            child.attempts = 0
        child.attempts += 1
        delay_ns = self.spec.backoff.delay_ns(child.attempts, self._random.random())
        restart_at_ns = self.runtime.clock.monotonic_ns() + delay_ns
        for member in group:
            if member is not child and member.restart is Restart.TEMPORARY:
                self._forget(member)
            else:
                member.restart_at_ns = restart_at_ns
                _count_restart(member.node)
        await self._start_due()

    def _group(self, child: _Child) -> list[_Child]:
        if self.spec.strategy is Strategy.ONE_FOR_ONE:
            return [child]
        alive = [c for c in self.children if not c.gone]
        if self.spec.strategy is Strategy.ONE_FOR_ALL:
            return alive
        return alive[alive.index(child) :]

    def _forget(self, child: _Child) -> None:
        child.gone = True
        self.children.remove(child)
        if isinstance(child.node, Cell):
            self.runtime.unregister(child.node)

    def _announce(self, text: str) -> None:
        event = Lifecycle(self.runtime.clock.wall_ns(), self.path or "/", 0, "escalation", text)
        for observer in self.runtime.observers:
            observer(event)
        for path, message in self.spec.on_escalation:
            self.runtime.deliver(path, message, self.path or "/")

    # ---- looking in --------------------------------------------------------------------------------------------

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Cell | Supervisor]]:
        """The subtree in start order with depths, for the console."""
        yield depth, self
        for child in self.children:
            if isinstance(child.node, Supervisor):
                yield from child.node.walk(depth + 1)
            else:
                yield depth + 1, child.node

    def statistics(self) -> dict[str, object]:
        """Strategy and restart budget, for the console."""
        return {
            "strategy": self.spec.strategy.value,
            "restarts_in_window": self._budget.used,
            "restarts_max": self.spec.intensity.restarts,
            "within_s": self.spec.intensity.within_ns / 1e9,
            "escalations": self.escalations,
            "money": self.spec.money.value,
        }


def _count_restart(node: Cell | Supervisor) -> None:
    if isinstance(node, Cell):
        node.restart_count += 1


async def run_tree(
    spec: SupervisorSpec,
    runtime: Runtime,
    *,
    on_started: Callable[[Supervisor], None] | None = None,
    task_status: trio.TaskStatus[Supervisor] = trio.TASK_STATUS_IGNORED,
) -> Exit:
    """Run a tree to its end: SHUTDOWN after `request_stop`, ESCALATION when the root's budget is spent."""
    root = Supervisor(spec, runtime)
    if on_started is not None:
        on_started(root)
    delivery = trio.CancelScope(shield=True)  # a canceled tree stops in order, which takes mail

    async def deliver() -> None:
        with delivery:
            await runtime.run()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(deliver)
        task_status.started(root)
        try:
            end = await root.live()
        finally:
            delivery.cancel()
    return end
