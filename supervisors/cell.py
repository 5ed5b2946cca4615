"""The cell: what the supervisor keeps of an actor across its incarnations.

A cell owns the address, the mailbox, the epoch counter, the counters shown on the console, and the memory of crashes.
The actor itself, with all its state, is made anew for each incarnation: nothing of a crashed one leaks into the next.

Handlers run in the runtime's pump (`runtime.py`), many actors in one scheduler step; lifecycle (`started`, `run`,
`stopped`) runs in a task of the actor's own.  A handler that raises ends the incarnation through that task, never the
pump and never the sender.
"""

from __future__ import annotations

import enum
import traceback
from collections import defaultdict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs
import trio

from protocols.base import Message, Query
from protocols.ids import Path
from supervisors.actor import Actor, Down, Later, ReadyWhen, Up
from supervisors.context import CellContext
from supervisors.ends import ActorStuck, ChaosCrash, Exit, ExitKind, OrderedRestart, RestartRecord, describe, unwrap
from supervisors.mailbox import Letter, Mailbox
from supervisors.spec import ChildSpec
from supervisors.statistics import Histogram

if TYPE_CHECKING:
    from supervisors.runtime import Runtime

_RECENT = 16
_HISTORY = 50


class Phase(enum.Enum):
    """Where an incarnation is in its life."""

    NEW = "new"
    STARTING = "starting"
    RUNNING = "running"
    CRASHED = "crashed"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Cell:
    """One supervised actor; see the module text."""

    def __init__(self, path: Path, spec: ChildSpec, runtime: Runtime) -> None:
        self.path = path
        self.spec = spec
        self.runtime = runtime
        self.mailbox = Mailbox(spec.capacity, spec.hard_limit)
        self.phase = Phase.NEW
        self.ready = False
        self.unready_reason = "not started"
        self.paused = False
        self.flowing = False
        """Messages may be handled now: running and not paused."""
        self.special = False
        """Taps or an ordered crash: the drain takes the slow way."""
        self.scheduled = False
        self.epoch = 0
        self.actor: Actor | None = None
        self.ctx: CellContext | None = None
        self.ready_event = trio.Event()
        self.watchers: dict[Path, int] = {}
        self.taps: list[trio.MemorySendChannel[tuple[int, Path, Message]]] = []
        # counters over all incarnations
        self.counts: defaultdict[type[Message], int] = defaultdict(int)
        self.handling = Histogram()
        self.handled = 0
        self.restarts: deque[RestartRecord] = deque(maxlen=_HISTORY)
        self.restart_count = 0
        self.recent: deque[Message] = deque(maxlen=_RECENT)
        self.oldest_since_ns = 0
        # the crash in progress
        self._crash: Exception | None = None
        self._wake = trio.Event()
        self._down_since_ns: int | None = None
        self._suspect: Letter | None = None
        self._suspect_crashes = 0
        self._redeliver: Letter | None = None
        self._stop_reason: str | None = None
        self._sabotage: str | None = None
        self._told_early = False
        self._batch_done: Callable[[], None] | None = None
        """The actor's own `batch_done`, if it has one."""

    # ---- the hot path ------------------------------------------------------------------------------------------

    def is_in(self, phase: Phase) -> bool:
        """Whether the incarnation is in this phase now; a call, because every await may change it."""
        return self.phase is phase

    def _set_phase(self, phase: Phase) -> None:
        self.phase = phase
        self.flowing = phase is Phase.RUNNING and not self.paused

    def set_paused(self, paused: bool) -> None:
        """Hold the mail (it waits, nothing is lost) or let it flow again."""
        self.paused = paused
        self._set_phase(self.phase)
        self.runtime.observe(self, "paused" if paused else "resumed", "")
        if not paused:
            self.runtime.schedule(self)

    def listen(self, tap: trio.MemorySendChannel[tuple[int, Path, Message]]) -> None:
        """Copy every message from now on to `tap` (time, sender, message) until its receiver closes."""
        self.taps.append(tap)
        self.special = True

    def drain(self, limit: int) -> int:
        """Handle up to `limit` messages; returns how many.  Called by the pump only.

        What the handlers send is collected in the runtime's outbox and posted once, at the end; a handler that raises
        takes back only its own part.  Durations are measured over the batch and booked as its average: with one
        message in hand, which is what latency means, the figure is exact.
        """
        runtime, mailbox = self.runtime, self.mailbox
        actor, ctx = self.actor, self.ctx
        assert actor is not None
        assert ctx is not None
        counts, recent, outbox = self.counts, self.recent, runtime.outbox
        receive, bundle = actor.receive, mailbox.bundle
        done = 0
        depth = mailbox.depth
        if depth > mailbox.high_water:
            mailbox.high_water = depth
        runtime.busy_cell = self
        while done < limit and self.flowing:
            letter = self._redeliver
            if letter is None:
                if not bundle:
                    refilled = mailbox.refill()
                    if refilled is None:
                        break
                    bundle = refilled
                letter = bundle.popleft()
                if type(letter) is not tuple:
                    letter = mailbox.newest(letter)
            else:
                self._redeliver = None
            done += 1
            mark = len(outbox)
            message = letter[0]
            ctx.letter = letter
            ctx.stamp_ns = 0
            counts[type(message)] += 1
            recent.append(message)
            try:
                if self.special:
                    self._handle_specially(letter, actor, ctx)
                elif letter[3] is None:
                    receive(message)
                else:
                    self._answer(actor, letter)
            except Exception as error:  # noqa: BLE001 - the one place where a handler's crash becomes its actor's end
                del outbox[mark:]
                self._crashed_on(letter, error)
        if self._batch_done is not None and done and self.flowing:
            mark = len(outbox)
            try:
                self._batch_done()
            except Exception as error:  # noqa: BLE001 - as above
                del outbox[mark:]
                self.crash(error)
        ctx.stamp_ns = -1
        runtime.busy_cell = None
        if done:
            began = runtime.tick_ns
            runtime.tick_ns = self.oldest_since_ns = ended = runtime.clock.monotonic_ns()
            each_ns = (ended - began) // done if done > 1 else ended - began
            handling = self.handling
            handling.buckets[each_ns.bit_length()] += done
            if each_ns > handling.largest:
                handling.largest = each_ns
            self.handled += done
        if mailbox.room is not None:
            mailbox.tell_room()
        if outbox:
            runtime.post_outbox(self)
        return done

    def interrupted(self, error: ActorStuck) -> None:
        """The watchdog's interruption came just after the handler had returned: what it sent counts, then it ends."""
        self.runtime.busy_cell = None
        self.runtime.post_outbox(self)
        assert self.ctx is not None
        self.ctx.stamp_ns = -1
        self.crash(error)

    def _handle_specially(self, letter: Letter, actor: Actor, ctx: CellContext) -> None:
        """The rare cases: somebody listens in, or a crash was ordered."""
        if self.taps:
            self._tap(ctx, letter[0])
        if self._sabotage is not None:
            self._break_down(letter, actor)
        if letter[3] is None:
            actor.receive(letter[0])
        else:
            self._answer(actor, letter)

    def _answer(self, actor: Actor, letter: Letter) -> None:
        query, port = letter[0], letter[3]
        assert isinstance(query, Query)
        assert port is not None
        answer = actor.answer(query)
        if isinstance(answer, Later):
            answer.bind(port.deliver)
        else:
            port.deliver(answer)

    def _tap(self, ctx: CellContext, message: Message) -> None:
        now_ns = ctx.now_ns
        for tap in list(self.taps):
            try:
                tap.send_nowait((now_ns, ctx.sender, message))
            except trio.WouldBlock:
                continue  # a slow reader of a live view misses lines; the actor must not notice
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self.taps.remove(tap)
        self.special = bool(self.taps) or self._sabotage is not None

    # ---- readiness ---------------------------------------------------------------------------------------------

    def set_ready(self, epoch: int) -> None:
        """Open the gate, unless the caller is a former incarnation."""
        if epoch != self.epoch or self.ready:
            return
        if self.phase is Phase.STARTING:
            self._told_early = True
            return
        if self.phase is not Phase.RUNNING:
            return
        self.ready = True
        self.unready_reason = ""
        self.ready_event.set()
        if self._down_since_ns is not None:
            recovery_ns = self.runtime.clock.monotonic_ns() - self._down_since_ns
            self._down_since_ns = None
            self.restarts[-1] = attrs.evolve(self.restarts[-1], recovery_ns=recovery_ns)
        self.runtime.observe(self, "ready", "")
        self._tell_watchers()

    def set_unready(self, epoch: int, reason: str) -> None:
        """Shut the gate; what depends on the actor waits or is refused."""
        if epoch != self.epoch:
            return
        news, self.unready_reason = reason != self.unready_reason, reason
        if not self.ready:
            if news:
                self.runtime.observe(self, "waiting", reason)
            return
        self.ready = False
        self.ready_event = trio.Event()
        self.runtime.observe(self, "unready", reason)
        self._tell_watchers()

    def _say_gone(self, reason: str) -> None:
        """The incarnation ends.  Who watches is told also when the gate was shut before: that meant something else."""
        was_ready = self.ready
        self.set_unready(self.epoch, reason)
        if not was_ready:
            self._tell_watchers()

    def _tell_watchers(self) -> None:
        for path, epoch in list(self.watchers.items()):
            watcher = self.runtime.find(path)
            if watcher is None or watcher.epoch != epoch or watcher.phase in (Phase.CRASHED, Phase.STOPPED):
                del self.watchers[path]
                continue
            self.runtime.deliver(path, self.presence(), self.path, self.epoch)

    def presence(self) -> Up | Down:
        """The present state as a watcher is told."""
        if self.ready:
            return Up(self.path, self.epoch)
        return Down(self.path, self.epoch, self.unready_reason, self.phase is Phase.RUNNING)

    # ---- crashes -----------------------------------------------------------------------------------------------

    def crash(self, error: Exception) -> None:
        """End this incarnation because of `error`; its own task carries the news to the supervisor."""
        if self.phase not in (Phase.RUNNING, Phase.STARTING):
            return
        self._set_phase(Phase.CRASHED)
        self._crash = error
        self._wake.set()
        self._note_down()
        self._say_gone(f"crashed: {describe(error)}")

    def restart(self, who: str) -> None:
        """End this incarnation by order; the next one follows at once."""
        self.crash(OrderedRestart(f"ordered by {who}"))

    def sabotage(self, where: str) -> None:
        """Crash on request: `now`, or `before`/`after` the handler of the next message."""
        if where == "now":
            self.crash(ChaosCrash("crash on request"))
        elif where in ("before", "after"):
            self._sabotage = where
            self.special = True
        else:
            raise ValueError(f"where must be now, before or after, was {where!r}")

    def _break_down(self, letter: Letter, actor: Actor) -> None:
        where, self._sabotage = self._sabotage, None
        self.special = bool(self.taps)
        if where == "after" and letter[3] is None:
            actor.receive(letter[0])
        raise ChaosCrash(f"crash on request, {where} the handler")

    def _crashed_on(self, letter: Letter, error: Exception) -> None:
        port = letter[3]
        if port is not None:
            port.deliver(None, f"{self.path} crashed on the question: {describe(error)}")
        elif isinstance(error, ChaosCrash):
            self._redeliver = letter  # the message is not to blame
        else:
            self._suspect_crashes = self._suspect_crashes + 1 if self._suspect is letter else 1
            self._suspect = letter
            if self._suspect_crashes < self.spec.poison_after:
                self._redeliver = letter
            else:
                self._suspect = None
                self._set_aside(letter, error)
        self.crash(error)

    def _set_aside(self, letter: Letter, error: Exception) -> None:
        trace = "".join(traceback.format_exception(error))
        recent = tuple(self.recent)[:-1]
        self.runtime.set_aside(self, letter, f"poison: {describe(error)}", trace, recent)

    def _note_down(self) -> None:
        if self._down_since_ns is None:
            self._down_since_ns = self.runtime.clock.monotonic_ns()

    def leftovers(self) -> list[Letter]:
        """What waits for an actor that will not come back, the letter that ended it first."""
        redeliver, self._redeliver = self._redeliver, None
        return [*([redeliver] if redeliver is not None else []), *self.mailbox.purge()]

    # ---- one incarnation ---------------------------------------------------------------------------------------

    async def live(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> Exit:
        """Run one incarnation to its end.  Runs in the supervisor's nursery under a shielded scope."""
        self.epoch += 1
        self._crash, self._stop_reason, self._wake = None, None, trio.Event()
        self._sabotage, self._told_early = None, False
        self.unready_reason = "starting"
        self._set_phase(Phase.STARTING)
        self.runtime.observe(self, "starting", "")
        task_status.started()
        try:
            actor = self.spec.factory()
            self.actor = actor
            self.ctx = actor.ctx = CellContext(self, self.runtime, self.epoch)
            self._batch_done = actor.batch_done if type(actor).batch_done is not Actor.batch_done else None
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._start, actor, nursery)
                await self._wake.wait()
                if (crash := self._pending_crash()) is not None:
                    raise crash
                await self._stop(actor)
                nursery.cancel_scope.cancel()
            end = self._orderly_end()
        except Exception as error:  # noqa: BLE001 - the bulkhead itself
            end = Exit(ExitKind.CRASH, unwrap(error))
        self._close(end)
        return end

    def _pending_crash(self) -> Exception | None:
        return self._crash

    def _orderly_end(self) -> Exit:
        return Exit(ExitKind.SHUTDOWN if self._stop_reason else ExitKind.NORMAL)

    async def _start(self, actor: Actor, nursery: trio.Nursery) -> None:
        for path in self.spec.depends_on:
            self.unready_reason = f"waiting for {path}"
            await self.runtime.wait_ready(path)
        self.unready_reason = "resyncing"
        await actor.started()
        if not self.is_in(Phase.STARTING):
            return  # crashed or stopped meanwhile
        self._set_phase(Phase.RUNNING)
        if actor.READY_WHEN is ReadyWhen.STARTED or self._told_early:
            self.set_ready(self.epoch)
        self.runtime.schedule(self)
        if type(actor).run is not Actor.run:
            await actor.run()
            if self.is_in(Phase.RUNNING) and self._stop_reason is None:
                self._stop_reason = ""
                self._wake.set()

    def request_stop(self, reason: str) -> None:
        """Ask for an orderly end; `live` returns when it is done."""
        if self._stop_reason is None:
            self._stop_reason = reason
            self._wake.set()

    async def _stop(self, actor: Actor) -> None:
        """Finish the mailbox, then let the actor release what it holds; bounded by the spec's deadline."""
        with trio.move_on_after(self.spec.shutdown_ns / 1e9):
            if self.flowing:
                self.runtime.schedule(self)
                while self.mailbox.depth and self.flowing:
                    await trio.lowlevel.checkpoint()
            if self.is_in(Phase.RUNNING):
                self.set_unready(self.epoch, "stopping")
                self._set_phase(Phase.STOPPING)
                await actor.stopped(self._stop_reason or "finished")

    def _close(self, end: Exit) -> None:
        """Book the end of an incarnation; runs exactly once for each."""
        crashed = end.kind is ExitKind.CRASH
        if self.phase is not Phase.CRASHED:
            self._note_down()
            self._set_phase(Phase.STOPPED)
            self._say_gone(end.cause)
        self._set_phase(Phase.CRASHED if crashed else Phase.STOPPED)
        if self.ctx is not None:
            self.ctx.close()
        trace = "".join(traceback.format_exception(end.error)) if end.error is not None else ""
        self.restarts.append(RestartRecord(self.runtime.clock.wall_ns(), self.epoch, end.cause, trace, None))
        ordered = isinstance(end.error, OrderedRestart)
        self.runtime.observe(self, "restarted" if ordered else end.kind.value, str(end.error) if ordered else end.cause)
        self.actor = None
