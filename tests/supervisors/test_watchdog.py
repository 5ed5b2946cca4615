"""Standstill: a handler that does not return, and mail that nobody takes.  Real time: a thread is involved."""

from __future__ import annotations

import time

import trio

from protocols.base import Message
from supervisors.clock import SystemClock
from supervisors.ends import Exit
from supervisors.runtime import Runtime
from supervisors.spec import ChildSpec, SupervisorSpec
from supervisors.supervisor import Supervisor, run_tree
from supervisors.watchdog import LoopWatchdog, WatchdogSettings, patrol
from tests.supervisors.support import Note, Recorder, recorder

MS = 1_000_000


class Spinner(Recorder):
    """Loops for ever on Note(0), until somebody interrupts it."""

    spins = 0

    def receive(self, message: Message) -> None:
        if message == Note(0) and Spinner.spins == 0:
            Spinner.spins += 1
            while True:
                time.sleep(0)
        super().receive(message)


async def test_a_stuck_handler_is_reported_with_its_stack_and_broken_out_of() -> None:
    log: list[Message] = []
    reports: list[tuple[str, str]] = []
    runtime = Runtime(clock=SystemClock(), seed=1)
    spec = SupervisorSpec(
        name="",
        children=(ChildSpec(name="spin", factory=lambda: Spinner(log)), ChildSpec(name="other", factory=recorder(log))),
    )
    settings = WatchdogSettings(poll_ns=5 * MS, warn_ns=30 * MS, break_ns=120 * MS)
    watchdog = LoopWatchdog(runtime, settings, lambda path, stack: reports.append((path, stack)))
    async with trio.open_nursery() as nursery:
        root: Supervisor = await nursery.start(_run, spec, runtime)
        await runtime.wait_ready("/spin")
        await runtime.wait_ready("/other")
        watchdog.start()
        runtime.deliver("/spin", Note(0))
        runtime.deliver("/other", Note(5))
        with trio.fail_after(30):
            await runtime.wait_ready("/other")
            while Note(0) not in log or Note(5) not in log:  # noqa: ASYNC110 - two actors, no common event
                await trio.sleep(0.01)
        watchdog.stop()
        root.request_stop("test over")
    path, stack = reports[0]
    assert path == "/spin"
    assert "while True" in stack or "time.sleep(0)" in stack
    assert watchdog.interrupts == 1
    assert runtime.cell("/spin").epoch == 2
    assert "ActorStuck" in runtime.cell("/spin").restarts[0].cause
    assert runtime.cell("/other").epoch == 1


async def test_old_mail_ends_the_actor() -> None:
    log: list[Message] = []
    runtime = Runtime(clock=SystemClock(), seed=1)
    spec = SupervisorSpec(name="", children=(ChildSpec(name="a", factory=recorder(log)),))
    async with trio.open_nursery() as nursery:
        root: Supervisor = await nursery.start(_run, spec, runtime)
        await runtime.wait_ready("/a")
        nursery.start_soon(patrol, runtime, WatchdogSettings(age_ns=40 * MS))
        cell = runtime.cell("/a")
        cell.set_paused(True)
        runtime.deliver("/a", Note(1))
        await trio.sleep(0.1)
        assert cell.epoch == 1  # paused on purpose is no standstill
        cell.paused = False  # but mail that does not flow is
        with trio.fail_after(30):
            while cell.epoch == 1:  # noqa: ASYNC110 - the epoch has no event
                await trio.sleep(0.01)
            await runtime.wait_ready("/a")
        assert "NoProgress" in cell.restarts[0].cause
        root.request_stop("test over")
        await trio.sleep(0.05)
        nursery.cancel_scope.cancel()
    assert log == [Note(1)]


async def _run(
    spec: SupervisorSpec, runtime: Runtime, task_status: trio.TaskStatus[Supervisor] = trio.TASK_STATUS_IGNORED
) -> Exit:
    return await run_tree(spec, runtime, task_status=task_status)
