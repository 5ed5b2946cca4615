"""The watchdog: finds actors that have stopped making progress.

Two kinds of standstill exist, and each has its own guard:

* a handler that does not return holds the whole loop, so only another *thread* can see it.  After `warn_ns` it dumps
  the loop's stack to the log; after `break_ns` it raises `ActorStuck` inside the handler, which ends that actor
  through its supervisor (works for Python code; a call that hangs inside C is only reported).
* an actor whose mail is not being taken (its task waits for something that never comes) is seen by the `patrol` task:
  oldest letter older than `age_ns` while the actor is running and not paused.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import traceback
from collections.abc import Callable

import attrs
import trio

from supervisors.cell import Phase
from supervisors.ends import ActorStuck
from supervisors.runtime import Runtime


@attrs.frozen
class WatchdogSettings:
    """Limits of progress."""

    poll_ns: int = 20_000_000
    warn_ns: int = 250_000_000
    break_ns: int = 2_000_000_000
    age_ns: int = 10_000_000_000
    """Oldest letter in the mailbox of a running actor."""
    starting_ns: int = 0
    """Longest `started`; 0: unlimited, because a venue may be away for hours."""


class NoProgress(Exception):
    """The actor's mail grew older than allowed."""


class LoopWatchdog:
    """A daemon thread that watches the loop's thread.  `report` is called from that thread: it must be thread-safe."""

    def __init__(self, runtime: Runtime, settings: WatchdogSettings, report: Callable[[str, str], None]) -> None:
        self._runtime = runtime
        self._settings = settings
        self._report = report
        self._loop_thread = threading.get_ident()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="bulkhead-watchdog", daemon=True)
        self.stalls = 0
        self.interrupts = 0

    def start(self) -> None:
        """Call from the loop's own thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        reported = 0
        interrupted = 0
        while not self._stop.wait(self._settings.poll_ns / 1e9):
            cell, since_ns = self._runtime.busy_cell, self._runtime.tick_ns
            if cell is None:
                continue
            busy_ns = self._runtime.clock.monotonic_ns() - since_ns
            if busy_ns > self._settings.warn_ns and reported != since_ns:
                reported = since_ns
                self.stalls += 1
                self._report(cell.path, self._stack())
            if busy_ns > self._settings.break_ns and interrupted != since_ns:
                interrupted = since_ns
                self.interrupts += 1
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self._loop_thread), ctypes.py_object(ActorStuck)
                )

    def _stack(self) -> str:
        frame = sys._current_frames().get(self._loop_thread)
        return "".join(traceback.format_stack(frame)) if frame is not None else ""


async def patrol(runtime: Runtime, settings: WatchdogSettings) -> None:
    """End every running actor whose oldest letter is too old; its supervisor brings it back."""
    while True:
        await trio.sleep(settings.age_ns / 4e9)
        now_ns = runtime.clock.monotonic_ns()
        for cell in runtime.cells():
            if cell.phase is not Phase.RUNNING or cell.paused or not cell.mailbox.depth:
                continue
            age_ns = now_ns - cell.oldest_since_ns
            if age_ns > settings.age_ns:
                cell.crash(NoProgress(f"{cell.path}: oldest letter waits for {age_ns / 1e9:.1f} s"))
