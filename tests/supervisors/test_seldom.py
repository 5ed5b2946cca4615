"""What happens seldom in a runtime's life, and must be right all the same."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from protocols.base import Command, Message, Query, message
from supervisors.actor import Actor, AskError, ReadyWhen
from supervisors.cell import Phase
from supervisors.clock import SystemClock
from supervisors.ends import describe
from supervisors.inspection import tree
from supervisors.ports import Port
from supervisors.runtime import PUMP_BUDGET, Runtime
from supervisors.spec import SECOND_NS, Backoff, ChildSpec, Intensity, Restart, Strategy, SupervisorSpec, validate
from supervisors.supervisor import Supervisor, run_tree
from supervisors.watchdog import WatchdogSettings, patrol
from tests.supervisors.support import Boom, Do, HowMany, Note, Recorder, Refused, Tick, recorder, running


@message
class Shout(Command):
    """A command that nobody answers for."""

    number: int


def one(factory: object, **more: object) -> SupervisorSpec:
    """A tree with one actor, `/a`."""
    return SupervisorSpec(name="", children=(ChildSpec(name="a", factory=factory, **more),))  # type: ignore[arg-type]


# ---- restarts ----------------------------------------------------------------------------------------------------


async def test_ordered_restarts_cost_no_budget_and_do_not_wait(autojump_clock: MockClock) -> None:
    spec = SupervisorSpec(
        name="",
        intensity=Intensity(restarts=1, within_ns=3600 * SECOND_NS),
        backoff=Backoff(base_ns=60 * SECOND_NS, max_ns=60 * SECOND_NS),
        children=(ChildSpec(name="a", factory=recorder([])), ChildSpec(name="b", factory=recorder([]))),
    )
    async with running(spec) as world:
        began = trio.current_time()
        for _ in range(20):
            world.runtime.cell("/a").restart("ann")
            await world.ready("/a")
        assert world.epoch("/a") == 21
        assert world.epoch("/b") == 1
        assert trio.current_time() == began
        assert world.runtime.cell("/a").restarts[-1].cause == "OrderedRestart: ordered by ann"
        assert world.diary.lines("escalation", "crash") == []
        assert [e.text for e in world.diary.events if e.what == "restarted"] == ["ordered by ann"] * 20
        world.send("/a", Boom())  # a failure still costs
        await world.settle()
        assert world.root.statistics()["restarts_in_window"] == 1


async def test_an_actor_that_is_down_cannot_be_crashed_again(autojump_clock: MockClock) -> None:
    async with running(one(recorder([]))) as world:
        cell = world.runtime.cell("/a")
        cell.restart("ann")
        cell.restart("ben")
        await world.ready("/a")
        assert [r.cause for r in cell.restarts] == ["OrderedRestart: ordered by ann"]
        assert cell.epoch == 2


async def test_what_waits_for_a_child_that_is_given_up_is_refused_or_set_aside(autojump_clock: MockClock) -> None:
    """The letter that ended it included: it would have been redelivered, had there been a next incarnation."""

    class Fragile(Recorder):
        def receive(self, message: Message) -> None:
            raise RuntimeError("boom")

    told: list[Message] = []
    spec = SupervisorSpec(
        name="",
        children=(
            ChildSpec(name="caller", factory=recorder(told)),
            ChildSpec(name="a", factory=lambda: Fragile([]), restart=Restart.TEMPORARY, batch=1),
        ),
    )
    async with running(spec) as world:
        world.send("/a", Do(1, "/caller"))
        world.send("/a", Do(2, "/caller"))
        world.send("/a", Note(3))
        await world.settle()
        assert world.runtime.find("/a") is None
        assert told == [Refused(1, "no_such_actor"), Refused(2, "no_such_actor")]
        assert [(d.to, d.message, d.reason) for d in world.runtime.dead_letters] == [("/a", Note(3), "no_such_actor")]


async def test_a_temporary_group_that_ends_is_forgotten_with_its_supervisor(autojump_clock: MockClock) -> None:
    group = SupervisorSpec(
        name="group",
        restart=Restart.TEMPORARY,
        intensity=Intensity(restarts=0, within_ns=SECOND_NS),
        children=(ChildSpec(name="a", factory=recorder([])),),
    )
    spec = SupervisorSpec(name="", children=(group, ChildSpec(name="b", factory=recorder([]))))
    async with running(spec) as world:
        world.send("/group/a", Boom())
        await world.settle()
        assert [child.node.path for child in world.root.children] == ["/b"]
        assert world.epoch("/b") == 1


# ---- one incarnation ---------------------------------------------------------------------------------------------


async def test_a_session_with_several_failures_names_them_all(autojump_clock: MockClock) -> None:
    class Double(Actor):
        async def run(self) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._fail, ValueError("one"))
                nursery.start_soon(self._fail, KeyError())

        async def _fail(self, error: Exception) -> None:
            raise error

    async with running(one(Double, restart=Restart.TEMPORARY)) as world:
        ends = [e.text for e in world.diary.events if e.what == "crash"]
        assert sorted(ends[0].split("; ")) == ["KeyError", "ValueError: one"]
    assert describe(ExceptionGroup("g", [ValueError("x")])) == "ValueError: x"


async def test_the_gate_cannot_be_opened_by_an_actor_that_is_stopping(autojump_clock: MockClock) -> None:
    class Late(Recorder):
        async def stopped(self, reason: str) -> None:
            self.ctx.set_ready()

    async with running(one(lambda: Late([]))) as world:
        cell = world.runtime.cell("/a")
        cell.request_stop("first reason")
        cell.request_stop("second reason")
        await world.settle()
        # A stop from outside is no failure: the supervisor did not ask for it and does not restart it.
        assert cell.is_in(Phase.STOPPED)
        assert not cell.ready
        assert world.diary.lines("ready") == ["ready /a"]


async def test_a_reason_that_changes_behind_a_shut_gate_is_told_once(autojump_clock: MockClock) -> None:
    class Away(Actor):
        READY_WHEN = ReadyWhen.TOLD

        async def run(self) -> None:
            for text in ("refused", "refused", "timed out"):
                self.ctx.set_unready(text)
                await self.ctx.sleep(SECOND_NS)
            self.ctx.note("connect_failed", "after three tries")
            self.ctx.set_ready()
            await trio.sleep_forever()

    async with running(one(Away)) as world:
        await world.ready("/a")
        told = [(e.what, e.text) for e in world.diary.events if e.what in ("waiting", "connect_failed", "ready")]
        assert told == [
            ("waiting", "refused"),
            ("waiting", "timed out"),
            ("connect_failed", "after three tries"),
            ("ready", ""),
        ]


async def test_a_start_that_floods_itself_is_a_crash_although_it_returns(autojump_clock: MockClock) -> None:
    class Flood(Recorder):
        floods = 0

        async def started(self) -> None:
            if Flood.floods == 0:
                Flood.floods += 1
                for number in range(5):
                    self.ctx.send("/a", Note(number))

    log: list[Message] = []
    async with running(one(lambda: Flood(log), capacity=3, hard_limit=3)) as world:
        await world.ready("/a")
        assert world.epoch("/a") == 2
        assert "MailboxOverflow" in world.runtime.cell("/a").restarts[0].cause
        await world.settle()
        assert log == [Note(0), Note(1), Note(2)]
        assert [d.message for d in world.runtime.dead_letters] == [Note(3), Note(4)]


async def test_a_session_whose_run_returns_while_it_is_stopped_ends_in_order(autojump_clock: MockClock) -> None:
    class Polite(Actor):
        def __init__(self) -> None:
            self.over = trio.Event()

        async def run(self) -> None:
            await self.over.wait()

        async def stopped(self, reason: str) -> None:
            self.over.set()
            await trio.sleep(1)

    async with running(one(Polite)) as world:
        world.root.request_stop("test")
        await world.ended.wait()
        assert world.diary.lines("shutdown", "normal", "crash") == ["shutdown /a"]


async def test_a_paused_and_a_starting_actor_can_be_stopped(autojump_clock: MockClock) -> None:
    class Waiting(Recorder):
        stops = 0

        async def started(self) -> None:
            await trio.sleep_forever()

        async def stopped(self, reason: str) -> None:
            Waiting.stops += 1

    log: list[Message] = []
    spec = SupervisorSpec(
        name="",
        children=(ChildSpec(name="a", factory=recorder(log)), ChildSpec(name="b", factory=lambda: Waiting([]))),
    )
    async with running(spec) as world:
        world.runtime.cell("/a").set_paused(True)
        world.send("/a", Note(1))
        began = trio.current_time()
        world.root.request_stop("test")
        await world.ended.wait()
        assert trio.current_time() == began
        assert world.diary.lines("shutdown") == ["shutdown /b", "shutdown /a"]
        assert log == []  # paused means paused, also at the end
        assert Waiting.stops == 0  # it has not started, so there is nothing to release


# ---- sending and asking ------------------------------------------------------------------------------------------


async def test_a_former_incarnation_that_still_runs_sends_nothing(autojump_clock: MockClock) -> None:
    contexts = []

    class Session(Recorder):
        async def run(self) -> None:
            contexts.append(self.ctx)
            await trio.sleep_forever()

    log: list[Message] = []
    spec = SupervisorSpec(
        name="",
        children=(ChildSpec(name="a", factory=lambda: Session([])), ChildSpec(name="b", factory=recorder(log))),
    )
    async with running(spec) as world:
        world.runtime.cell("/a").restart("ann")
        await world.ready("/a")
        await world.settle()
        former, present = contexts
        former.send("/b", Note(1))
        present.send("/b", Note(2))
        await world.settle()
        assert log == [Note(2)]
        assert present.monotonic_ns == world.runtime.clock.monotonic_ns()


async def test_waiting_for_room_at_nobodys_door_ends_as_a_dead_letter(autojump_clock: MockClock) -> None:
    class Session(Actor):
        async def run(self) -> None:
            await self.ctx.send_wait("/nobody", Note(1))
            await trio.sleep_forever()

    async with running(one(Session)) as world:
        assert [(d.to, d.reason) for d in world.runtime.dead_letters] == [("/nobody", "no_such_actor")]


async def test_sessions_wait_until_there_is_room_again(autojump_clock: MockClock) -> None:
    """Room is told when a batch has made some, to everybody who waits."""

    full = trio.Event()

    class Feeder(Actor):
        async def run(self) -> None:
            await full.wait()
            async with trio.open_nursery() as nursery:
                for number in range(4):
                    nursery.start_soon(self.ctx.send_wait, "/b", Note(number))

    log: list[Message] = []
    spec = SupervisorSpec(
        name="",
        children=(
            ChildSpec(name="b", factory=recorder(log), capacity=2, batch=1),
            ChildSpec(name="a", factory=Feeder, restart=Restart.TEMPORARY),
        ),
    )
    async with running(spec) as world:
        cell = world.runtime.cell("/b")
        cell.set_paused(True)
        for number in range(10, 15):
            world.send("/b", Note(number))
        full.set()
        await world.settle()
        assert cell.mailbox.depth == 5  # the feeders stand at the door
        cell.set_paused(False)
        await world.settle()
        assert log[:5] == [Note(number) for number in range(10, 15)]
        assert sorted(m.number for m in log[5:] if isinstance(m, Note)) == [0, 1, 2, 3]


async def test_a_command_whose_sender_wants_no_refusal_becomes_a_dead_letter(autojump_clock: MockClock) -> None:
    async with running(one(recorder([]))) as world:
        world.send("/nobody", Shout(1))
        assert [(d.to, d.message, d.reason) for d in world.runtime.dead_letters] == [
            ("/nobody", Shout(1), "no_such_actor")
        ]


async def test_an_answer_is_given_once(autojump_clock: MockClock) -> None:
    port = Port()
    port.deliver(1)
    port.deliver(2)
    assert await port.wait() == 1
    failed = Port()
    failed.deliver(None, "too late")
    failed.deliver(3)
    with pytest.raises(AskError, match="too late"):
        await failed.wait()


async def test_an_actor_that_is_tapped_answers_questions(autojump_clock: MockClock) -> None:
    async with running(one(recorder([]))) as world:
        send, receive = trio.open_memory_channel[tuple[int, str, Message]](10)
        world.runtime.cell("/a").listen(send)
        assert await world.runtime.ask("/a", HowMany(), SECOND_NS) == 0
        assert receive.receive_nowait()[2] == HowMany()


async def test_an_actor_that_answers_nothing_and_shows_nothing_is_still_an_actor(autojump_clock: MockClock) -> None:
    async with running(one(Actor)) as world:
        world.send("/a", Note(1))
        await world.settle()
        actor = world.runtime.cell("/a").actor
        assert actor is not None
        assert actor.inspect() == {}
        with pytest.raises(AskError, match="does not answer HowMany"):
            await world.runtime.ask("/a", HowMany(), SECOND_NS)


async def test_the_pump_does_not_start_within_itself(autojump_clock: MockClock) -> None:
    depth = [0, 0]

    class Eager(Recorder):
        def receive(self, message: Message) -> None:
            depth[0] += 1
            depth[1] = max(depth)
            self.ctx.flush()
            world.runtime.pump()
            depth[0] -= 1
            super().receive(message)

    log: list[Message] = []
    async with running(one(lambda: Eager(log))) as world:
        for number in range(3):
            world.send("/a", Note(number))
        await world.settle()
        assert log == [Note(0), Note(1), Note(2)]
        assert depth == [0, 1]


async def test_the_pump_gives_way_after_its_budget(autojump_clock: MockClock) -> None:
    """An actor that always has mail again must not keep sockets and timers from their turn."""

    class Endless(Recorder):
        def receive(self, message: Message) -> None:
            self.handled += 1
            self.ctx.send("/a", message)

    async with running(one(lambda: Endless([]))) as world:
        world.send("/a", Note(0))
        world.runtime.pump()
        first = world.runtime.cell("/a").handled
        assert first <= PUMP_BUDGET + world.runtime.cell("/a").spec.batch
        for _ in range(3):
            await trio.lowlevel.checkpoint()
        assert world.runtime.cell("/a").handled > first
        world.runtime.cell("/a").set_paused(True)


async def test_what_a_handler_sends_to_a_full_mailbox_or_a_busy_one_is_treated_like_anything_sent(
    autojump_clock: MockClock,
) -> None:
    """The shortcut for events between actors of one step must mean the same as the long way."""

    class Burst(Recorder):
        def receive(self, message: Message) -> None:
            if message == Note(0):
                for number in range(1, 5):
                    self.ctx.send("/b", Note(number))
                self.ctx.send("/b", Tick("k", 1))
                self.ctx.send("/b", Tick("k", 2))
                self.ctx.send("/b", Do(9, "/a"))
                self.ctx.send("/nobody", Note(7))
            else:
                super().receive(message)

    told: list[Message] = []
    got: list[Message] = []
    spec = SupervisorSpec(
        name="",
        children=(
            ChildSpec(name="a", factory=lambda: Burst(told)),
            ChildSpec(name="b", factory=recorder(got), capacity=3, hard_limit=3),
        ),
    )
    async with running(spec) as world:
        world.send("/b", Note(-1))  # waits in the channel when the burst comes
        world.send("/a", Note(0))
        await world.settle()
        await world.ready("/b")
        await world.settle()
        numbers = [m.number for m in got if isinstance(m, Note)]
        lost = [d.message for d in world.runtime.dead_letters]
        assert Note(7) in lost
        assert sorted([*numbers, *(m.number for m in lost if isinstance(m, Note) and m != Note(7))]) == [-1, 1, 2, 3, 4]
        assert [m for m in got if isinstance(m, Tick)] in ([], [Tick("k", 2)])
        assert len(told) == 1
        assert isinstance(told[0], Refused)


@pytest.mark.parametrize("capacity, handled, refused", [(10, [1, 2], []), (2, [1], [2])])
async def test_every_family_may_be_sent_by_a_handler(
    capacity: int, handled: list[int], refused: list[int], autojump_clock: MockClock
) -> None:
    class Mixed(Recorder):
        def receive(self, message: Message) -> None:
            if message == Note(0):
                self.ctx.send("/b", Note(1))
                self.ctx.send("/b", Do(1, "/a"))
                self.ctx.send("/b", Tick("k", 1))
                self.ctx.send("/b", Do(2, "/a"))
                self.ctx.send("/b", Tick("k", 2))
                self.ctx.send("/b", Note(2))
            else:
                super().receive(message)

    told: list[Message] = []
    got: list[Message] = []
    spec = SupervisorSpec(
        name="",
        children=(
            ChildSpec(name="a", factory=lambda: Mixed(told)),
            ChildSpec(name="b", factory=recorder(got), capacity=capacity),
        ),
    )
    async with running(spec) as world:
        world.send("/a", Note(0))
        await world.settle()
        assert [m.number for m in got if isinstance(m, Do)] == handled
        assert [m for m in got if not isinstance(m, Do)] == [Note(1), Tick("k", 2), Note(2)]  # the newest, in its place
        assert [m.number for m in told if isinstance(m, Refused)] == refused


# ---- addresses and timers ----------------------------------------------------------------------------------------


async def test_nested_groups_are_walked_and_named_in_start_order(autojump_clock: MockClock) -> None:
    inner = SupervisorSpec(name="inner", children=(ChildSpec(name="a", factory=recorder([])),))
    outer = SupervisorSpec(name="outer", strategy=Strategy.REST_FOR_ONE, children=(inner,))
    spec = SupervisorSpec(
        name="",
        children=(
            SupervisorSpec(name="", title="first", children=(outer,)),
            SupervisorSpec(name="", title="second", children=(ChildSpec(name="b", factory=recorder([])),)),
        ),
    )
    async with running(spec) as world:
        assert [(row.depth, row.name, row.path) for row in tree(world.root)] == [
            (0, "root", "/"),
            (1, "first", "/"),
            (2, "outer", "/outer"),
            (3, "inner", "/outer/inner"),
            (4, "a", "/outer/inner/a"),
            (1, "second", "/"),
            (2, "b", "/b"),
        ]


def test_nameless_groups_may_stand_side_by_side_but_addresses_stay_unique() -> None:
    def group(name: str) -> SupervisorSpec:
        return SupervisorSpec(name="", children=(ChildSpec(name=name, factory=Actor),))

    validate(SupervisorSpec(name="", children=(group("a"), group("b"))))
    with pytest.raises(ValueError, match="/a is taken"):
        Supervisor(SupervisorSpec(name="", children=(group("a"), group("a"))), Runtime(clock=SystemClock()))


async def test_timers_of_one_actor_survive_the_end_of_another(autojump_clock: MockClock) -> None:
    class Delayed(Recorder):
        async def started(self) -> None:
            self.ctx.after(5 * SECOND_NS, Note(self.ctx.epoch))

    logs: dict[str, list[Message]] = {"a": [], "b": []}
    spec = SupervisorSpec(
        name="",
        children=tuple(ChildSpec(name=n, factory=lambda n=n: Delayed(logs[n])) for n in "ab"),  # type: ignore[misc]
    )
    async with running(spec) as world:
        await trio.sleep(1)
        world.runtime.cell("/a").restart("ann")
        await trio.sleep(10)
        assert logs == {"a": [Note(2)], "b": [Note(1)]}


async def test_the_patrol_lets_young_mail_wait(autojump_clock: MockClock) -> None:
    class Slow(Actor):
        """Its mail waits because it is starting; then it flows."""

        async def started(self) -> None:
            await trio.sleep(3)

    async with running(one(Slow)) as world, trio.open_nursery() as nursery:
        nursery.start_soon(patrol, world.runtime, WatchdogSettings(age_ns=4 * SECOND_NS))
        cell = world.runtime.cell("/a")
        await world.ready("/a")
        cell.set_paused(True)
        world.send("/a", Note(1))
        await trio.sleep(60)  # waiting on purpose
        cell.paused = False  # and now by mistake: it waits, but its time begins only now
        cell.oldest_since_ns = world.runtime.clock.monotonic_ns()
        await trio.sleep(2)
        assert cell.epoch == 1
        await trio.sleep(5)
        assert cell.epoch == 2
        nursery.cancel_scope.cancel()


async def test_a_tree_can_be_started_by_whoever_wants_no_notice(autojump_clock: MockClock) -> None:
    runtime = Runtime()
    async with trio.open_nursery() as nursery:
        root: Supervisor = await nursery.start(_run, one(Actor), runtime)
        await runtime.wait_ready("/a")
        root.request_stop("test")
    assert runtime.cell("/a").is_in(Phase.STOPPED)


async def _run(
    spec: SupervisorSpec, runtime: Runtime, task_status: trio.TaskStatus[Supervisor] = trio.TASK_STATUS_IGNORED
) -> None:
    await run_tree(spec, runtime, task_status=task_status)


def test_a_query_is_a_command_to_the_runtime() -> None:
    """A question to somebody who is not ready is refused, not kept."""
    assert Query.delivery.value == "command"
