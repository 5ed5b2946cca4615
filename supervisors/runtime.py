"""The runtime: addresses, delivery, and the pump that lets actors handle their mail.

Delivery puts a letter into the receiver's mailbox and marks the receiver as having mail.  The *pump* then takes the
marked cells in turn, each for at most its batch, until nobody has mail: a whole order path of six actors runs in one
scheduler step, without a task switch (4-5 us each) per hop.  After `PUMP_BUDGET` messages it gives way, so that
sockets and timers are never starved.  Everything is deterministic: cells are served in the order in which mail came.

Nothing sent is lost silently.  A letter ends in exactly one of: handled, conflated by a newer one of its key, refused
to its sender, waiting in a mailbox, or set aside as a dead letter with the reason.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import attrs
import trio

from protocols.base import Command, Delivery, Message, Query, RefusalReason
from protocols.ids import Path
from supervisors.actor import AskError
from supervisors.cell import Cell, Phase
from supervisors.clock import Clock, SystemClock
from supervisors.ends import ActorStuck, DeadLetter, MailboxOverflow
from supervisors.mailbox import Letter, Put
from supervisors.ports import Port
from supervisors.timers import Timers

PUMP_BUDGET = 128
"""Messages in one scheduler step, about 1 ms of work: what a socket may have to wait while everything is busy."""

_DEAD_LETTERS = 1000


@attrs.frozen
class Lifecycle:
    """Something happened to an actor: starting, waiting (not ready, for another reason than before), ready, unready,
    paused, resumed, crash, poison, restarted (by order), normal, shutdown, escalation; or what it says itself
    (`Context.note`)."""

    at_ns: int
    path: Path
    epoch: int
    what: str
    text: str


class Runtime:
    """One per process (or per simulated world)."""

    def __init__(self, *, clock: Clock | None = None, seed: int | None = None) -> None:
        self.clock: Clock = clock if clock is not None else SystemClock()
        self._seed = seed if seed is not None else random.SystemRandom().getrandbits(64)
        self._cells: dict[Path, Cell] = {}
        self._ready: deque[Cell] = deque()
        self._mail = trio.Event()
        self._pumping = False
        self.outbox: list[tuple[Path, Message]] = []
        """What the handler in progress has sent; leaves only when it returns."""
        self.timers = Timers(self)
        self.dead_letters: deque[DeadLetter] = deque(maxlen=_DEAD_LETTERS)
        self.dead_letter_count = 0
        self.observers: list[Callable[[Lifecycle], None]] = []
        self.busy_cell: Cell | None = None
        """Whose handlers are running now; the watchdog's thread reads it."""
        self.tick_ns = 0
        """Monotonic time at which the running batch began, within a pump."""
        self.steps = 0

    # ---- addresses ---------------------------------------------------------------------------------------------

    def register(self, cell: Cell) -> None:
        """Give a cell its address; ValueError when the address is taken."""
        if cell.path in self._cells:
            raise ValueError(f"{cell.path} is taken")
        self._cells[cell.path] = cell

    def unregister(self, cell: Cell) -> None:
        """The child is gone for good; what waits for it is returned or set aside."""
        self._cells.pop(cell.path, None)
        for letter in cell.leftovers():
            self._undeliverable(letter, cell.path, RefusalReason.NO_SUCH_ACTOR)

    def find(self, path: Path) -> Cell | None:
        """The cell at an address, or None."""
        return self._cells.get(path)

    def cell(self, path: Path) -> Cell:
        """The cell at an address; KeyError with the address when there is none."""
        cell = self._cells.get(path)
        if cell is None:
            raise KeyError(f"no actor at {path}")
        return cell

    def cells(self) -> Iterable[Cell]:
        """All cells, in order of registration."""
        return list(self._cells.values())

    # ---- delivery ----------------------------------------------------------------------------------------------

    def deliver(self, to: Path, message: Message, sender: Path = "", epoch: int = 0, port: Port | None = None) -> None:
        """Put a message into a mailbox, or do what its family says when that is not possible."""
        cell = self._cells.get(to)
        letter: Letter = (message, sender, epoch, port)
        if cell is None:
            self._undeliverable(letter, to, RefusalReason.NO_SUCH_ACTOR)
            return
        if message.delivery is Delivery.COMMAND and not cell.ready and not self._may_pass(cell, message):
            down = cell.phase in (Phase.CRASHED, Phase.STOPPED, Phase.NEW)
            self._undeliverable(letter, to, RefusalReason.ACTOR_DOWN if down else RefusalReason.NOT_READY)
            return
        pumping = self._pumping
        outcome = cell.mailbox.put(letter, in_step=pumping)
        if outcome is Put.TAKEN:
            if cell.flowing and not cell.scheduled:
                cell.scheduled = True
                self._ready.append(cell)
                if pumping:
                    cell.oldest_since_ns = self.tick_ns
                else:
                    cell.oldest_since_ns = self.clock.monotonic_ns()
                    self._mail.set()
        elif outcome is Put.FULL:
            self._undeliverable(letter, to, RefusalReason.MAILBOX_FULL)
        elif outcome is Put.OVERFLOW:
            self.set_aside(cell, letter, "mailbox overflow", "", tuple(cell.recent))
            cell.crash(MailboxOverflow(f"{to}: more than {cell.mailbox.hard_limit} events are waiting"))

    @staticmethod
    def _may_pass(cell: Cell, message: Message) -> bool:
        """What only reduces risk, or asks for what is not verified, reaches an actor whose ready gate is shut."""
        return isinstance(message, Command | Query) and message.passes_shut_gate and cell.phase is Phase.RUNNING

    def post_outbox(self, cell: Cell) -> None:
        """Deliver what handlers sent, now that they have returned.

        The common case, an event (or a command that may be delivered) to an actor that is served in this step, is
        spelled out: it is half of all hops' cost.  Everything else goes through `deliver`, which means the same.
        """
        path, epoch, outbox, cells = cell.path, cell.epoch, self.outbox, self._cells
        for to, message in outbox:
            target = cells.get(to)
            if target is not None and target.flowing:
                mailbox = target.mailbox
                bundle = mailbox.bundle
                delivery = message.delivery
                if delivery is Delivery.EVENT:
                    room = mailbox.hard_limit
                else:
                    room = mailbox.capacity if delivery is Delivery.COMMAND and target.ready else 0
                if mailbox.waiting is None and len(bundle) < room:
                    bundle.append((message, path, epoch, None))
                    if not target.scheduled:
                        target.scheduled = True
                        target.oldest_since_ns = self.tick_ns
                        self._ready.append(target)
                    continue
            self.deliver(to, message, path, epoch)
        outbox.clear()

    def _undeliverable(self, letter: Letter, to: Path, reason: RefusalReason) -> None:
        message, _, _, port = letter
        if port is not None:
            cell = self._cells.get(to)
            why = f" ({cell.unready_reason})" if cell is not None and cell.unready_reason else ""
            port.deliver(None, f"{to}: {reason.value}{why}")
            return
        if isinstance(message, Command):
            refusals = message.refusals(reason, to)
            for path, refusal in refusals:
                self.deliver(path, refusal, to)
            if refusals:
                return
        self._dead(letter, to, reason.value, "", ())

    def set_aside(self, cell: Cell, letter: Letter, reason: str, trace: str, recent: tuple[Message, ...]) -> None:
        """A message that its actor cannot handle: keep it as a dead letter, tell the sender of a command."""
        self._dead(letter, cell.path, reason, trace, recent)
        self.observe(cell, "poison", f"{type(letter[0]).__name__}: {reason}")
        if isinstance(letter[0], Command):
            for path, refusal in letter[0].refusals(RefusalReason.POISON, cell.path):
                self.deliver(path, refusal, cell.path, cell.epoch)

    def _dead(self, letter: Letter, to: Path, reason: str, trace: str, recent: tuple[Message, ...]) -> None:
        self.dead_letter_count += 1
        self.dead_letters.append(DeadLetter(self.clock.wall_ns(), to, letter[1], letter[0], reason, trace, recent))

    # ---- the pump ----------------------------------------------------------------------------------------------

    def schedule(self, cell: Cell) -> None:
        """The cell may have mail: serve it in the next turn of the pump."""
        if not cell.scheduled:
            cell.scheduled = True
            self._ready.append(cell)
            if not self._pumping:
                self._mail.set()

    def pump(self) -> None:
        """Serve everyone who has mail, until nobody has or the budget is spent.  Re-entrant calls do nothing."""
        if self._pumping:
            return
        self._pumping = True
        ready = self._ready
        budget = PUMP_BUDGET
        self.tick_ns = self.clock.monotonic_ns()
        try:
            while ready and budget > 0:
                cell = ready.popleft()
                cell.scheduled = False
                if cell.flowing:
                    try:
                        budget -= cell.drain(cell.spec.batch)
                    except ActorStuck as late:  # raised between the handler's return and the end of the batch
                        cell.interrupted(late)
                    if cell.mailbox.depth:
                        self.schedule(cell)
        finally:
            self._pumping = False
        self.steps += 1
        if ready:
            self._mail.set()

    async def run(self) -> None:
        """Pump and fire timers for ever; runs beside the root supervisor."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.timers.run)
            while True:
                await self._mail.wait()
                self._mail = trio.Event()
                self.pump()
                await trio.lowlevel.checkpoint()

    # ---- questions ---------------------------------------------------------------------------------------------

    async def ask(self, to: Path, query: Query, timeout_ns: int, sender: Path = "", epoch: int = 0) -> Any:
        """Send a question and wait for the answer; AskError when there is none within `timeout_ns`."""
        port = Port()
        self.deliver(to, query, sender, epoch, port)
        with trio.move_on_after(timeout_ns / 1e9):
            return await port.wait()
        raise AskError(f"{to} did not answer {type(query).__name__} within {timeout_ns / 1e9:g} s")

    async def wait_ready(self, path: Path) -> None:
        """Wait until the actor's ready gate is open; KeyError when there is no such actor."""
        cell = self.cell(path)
        while not cell.ready:
            await cell.ready_event.wait()
        await trio.lowlevel.checkpoint()

    # ---- odds and ends -----------------------------------------------------------------------------------------

    def random_stream(self, name: str) -> random.Random:
        """A stream of its own per name, so that one draw more in one actor disturbs no other."""
        return random.Random(f"{self._seed}/{name}")

    def observe(self, cell: Cell, what: str, text: str) -> None:
        """Tell the observers (log, journal notary) about a step in a cell's life."""
        if self.observers:
            event = Lifecycle(self.clock.wall_ns(), cell.path, cell.epoch, what, text)
            for observer in self.observers:
                observer(event)
