"""Supervisor semantics, row by row of the table in docs/supervision.md."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from protocols.base import Message
from protocols.enums import MoneyPolicy
from supervisors.actor import Actor
from supervisors.cell import Phase
from supervisors.clock import TrioClock
from supervisors.ends import ExitKind
from supervisors.runtime import Runtime
from supervisors.spec import (
    SECOND_NS,
    Backoff,
    ChildSpec,
    Intensity,
    Restart,
    SpecError,
    Strategy,
    SupervisorSpec,
    actor_specs,
    validate,
)
from supervisors.supervisor import RestartBudget, Supervisor, run_tree
from tests.supervisors.support import Boom, HowMany, Note, Recorder, recorder, running


class Worker(Actor):
    """A session that ends, or crashes, when told to."""

    def __init__(self, orders: dict[str, str], name: str) -> None:
        self.orders = orders
        self.name = name
        self.told = trio.Event()

    def receive(self, message: Message) -> None:
        self.told.set()

    async def run(self) -> None:
        await self.told.wait()
        if self.orders.get(self.name) == "crash":
            raise RuntimeError("worker crashed")


def three(strategy: Strategy, restarts: tuple[Restart, Restart, Restart] | None = None) -> SupervisorSpec:
    kinds = restarts or (Restart.PERMANENT,) * 3
    return SupervisorSpec(
        name="",
        strategy=strategy,
        children=tuple(
            ChildSpec(name=name, factory=recorder([]), restart=kind, poison_after=1)
            for name, kind in zip("abc", kinds, strict=True)
        ),
    )


@pytest.mark.req("R091")
@pytest.mark.parametrize(
    "strategy, restarted",
    [
        (Strategy.ONE_FOR_ONE, {"/b"}),
        (Strategy.ONE_FOR_ALL, {"/a", "/b", "/c"}),
        (Strategy.REST_FOR_ONE, {"/b", "/c"}),
    ],
)
async def test_a_crash_restarts_exactly_the_group(
    strategy: Strategy, restarted: set[str], autojump_clock: MockClock
) -> None:
    async with running(three(strategy)) as world:
        await world.ready("/a", "/b", "/c")
        world.send("/b", Boom())
        await world.settle()
        await world.ready("/a", "/b", "/c")
        assert {p for p in ("/a", "/b", "/c") if world.epoch(p) == 2} == restarted
        assert {p for p in ("/a", "/b", "/c") if world.epoch(p) == 1} == {"/a", "/b", "/c"} - restarted


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
async def test_group_members_stop_in_reverse_and_start_in_order(strategy: Strategy, autojump_clock: MockClock) -> None:
    async with running(three(strategy)) as world:
        await world.ready("/a", "/b", "/c")
        world.diary.clear()
        world.send("/a", Boom())
        await world.settle()
        assert world.diary.lines("crash", "shutdown", "starting") == [
            "crash /a",
            "shutdown /c",
            "shutdown /b",
            "starting /a",
            "starting /b",
            "starting /c",
        ]


async def test_the_whole_tree_stops_in_reverse_order(autojump_clock: MockClock) -> None:
    spec = SupervisorSpec(
        name="",
        children=(
            ChildSpec(name="first", factory=recorder([])),
            SupervisorSpec(
                name="middle",
                children=(ChildSpec(name="x", factory=recorder([])), ChildSpec(name="y", factory=recorder([]))),
            ),
            ChildSpec(name="last", factory=recorder([])),
        ),
    )
    async with running(spec) as world:
        await world.ready("/first", "/middle/y", "/last")
        world.diary.clear()
        world.root.request_stop("test")
        await world.ended.wait()
        assert world.diary.lines("shutdown") == [
            "shutdown /last",
            "shutdown /middle/y",
            "shutdown /middle/x",
            "shutdown /first",
        ]
        assert world.end is not None
        assert world.end.kind is ExitKind.SHUTDOWN


@pytest.mark.parametrize("restart", list(Restart))
@pytest.mark.parametrize("ending", ["return", "crash"])
async def test_restart_type_against_kind_of_exit(restart: Restart, ending: str, autojump_clock: MockClock) -> None:
    orders = {"w": ending}
    spec = SupervisorSpec(
        name="", children=(ChildSpec(name="w", factory=lambda: Worker(orders, "w"), restart=restart),)
    )
    expected = {
        (Restart.PERMANENT, "return"): True,
        (Restart.PERMANENT, "crash"): True,
        (Restart.TRANSIENT, "return"): False,
        (Restart.TRANSIENT, "crash"): True,
        (Restart.TEMPORARY, "return"): False,
        (Restart.TEMPORARY, "crash"): False,
    }[(restart, ending)]
    async with running(spec) as world:
        await world.ready("/w")
        world.send("/w", Note(1))
        await world.settle()
        if expected:
            await world.ready("/w")
            assert world.epoch("/w") == 2
        else:
            assert world.runtime.find("/w") is None
        what = "normal" if ending == "return" else "crash"
        assert world.diary.lines(what) == [f"{what} /w"]


async def test_a_temporary_sibling_is_stopped_with_the_group_and_never_restarted(autojump_clock: MockClock) -> None:
    kinds = (Restart.PERMANENT, Restart.TEMPORARY, Restart.PERMANENT)
    async with running(three(Strategy.ONE_FOR_ALL, kinds)) as world:
        await world.ready("/a", "/b", "/c")
        world.send("/a", Boom())
        await world.settle()
        await world.ready("/a", "/c")
        assert world.runtime.find("/b") is None
        world.send("/c", Boom())
        await world.settle()
        await world.ready("/a", "/c")
        assert (world.epoch("/a"), world.epoch("/c")) == (3, 3)


async def test_one_restart_more_than_the_intensity_escalates_to_the_parent(autojump_clock: MockClock) -> None:
    told: list[Message] = []
    inner = SupervisorSpec(
        name="inner",
        intensity=Intensity(restarts=2, within_ns=10 * SECOND_NS),
        backoff=Backoff(base_ns=1, max_ns=1),
        money=MoneyPolicy.CANCEL,
        on_escalation=(("/safe", Note(7)),),
        children=(
            ChildSpec(name="bad", factory=recorder([]), poison_after=1),
            ChildSpec(name="good", factory=recorder([])),
        ),
    )
    spec = SupervisorSpec(name="", children=(ChildSpec(name="safe", factory=recorder(told)), inner))
    async with running(spec) as world:
        for number in range(3):
            await world.ready("/inner/bad")
            world.send("/inner/bad", Boom(number))
            await world.settle()
            await trio.sleep(0.01)
        await world.ready("/inner/bad", "/inner/good")
        assert world.epoch("/inner/bad") == 4  # three incarnations and the one that the parent started
        assert world.epoch("/inner/good") == 2  # restarted with its supervisor
        assert world.epoch("/safe") == 1
        assert world.diary.lines("escalation") == ["escalation /inner"]
        assert [m for m in told if isinstance(m, Note)] == [Note(7)]


async def test_the_same_number_of_crashes_spread_over_time_does_not_escalate(autojump_clock: MockClock) -> None:
    inner = SupervisorSpec(
        name="inner",
        intensity=Intensity(restarts=1, within_ns=SECOND_NS),
        children=(ChildSpec(name="bad", factory=recorder([]), poison_after=1),),
    )
    async with running(SupervisorSpec(name="", children=(inner,))) as world:
        for number in range(5):
            await world.ready("/inner/bad")
            world.send("/inner/bad", Boom(number))
            await world.settle()
            await trio.sleep(30)
        assert world.diary.lines("escalation") == []
        assert world.epoch("/inner/bad") == 6


async def test_escalation_of_the_root_ends_the_tree(autojump_clock: MockClock) -> None:
    spec = SupervisorSpec(
        name="",
        intensity=Intensity(restarts=0),
        children=(ChildSpec(name="a", factory=recorder([])), ChildSpec(name="b", factory=recorder([]))),
    )
    async with running(spec) as world:
        await world.ready("/a", "/b")
        world.send("/a", Boom())
        await world.ended.wait()
        assert world.end is not None
        assert world.end.kind is ExitKind.ESCALATION
        assert "more than 0 restarts" in world.end.cause
        assert world.runtime.cell("/b").phase is Phase.STOPPED


async def test_a_child_that_does_not_stop_is_cancelled_after_its_deadline(autojump_clock: MockClock) -> None:
    class Stubborn(Recorder):
        async def stopped(self, reason: str) -> None:
            await trio.sleep_forever()

    spec = SupervisorSpec(
        name="", children=(ChildSpec(name="s", factory=lambda: Stubborn([]), shutdown_ns=3 * SECOND_NS),)
    )
    async with running(spec) as world:
        await world.ready("/s")
        began = trio.current_time()
        world.root.request_stop("test")
        await world.ended.wait()
        assert trio.current_time() - began == pytest.approx(3.0, abs=0.5)


async def test_a_crash_while_stopping_does_not_keep_the_tree_from_ending(autojump_clock: MockClock) -> None:
    class BadEnd(Recorder):
        async def stopped(self, reason: str) -> None:
            raise RuntimeError("cannot even stop")

    spec = SupervisorSpec(name="", children=(ChildSpec(name="s", factory=lambda: BadEnd([])),))
    async with running(spec) as world:
        await world.ready("/s")
        world.root.request_stop("test")
        await world.ended.wait()
        assert world.diary.lines("crash") == ["crash /s"]


async def test_restarts_back_off_and_calm_resets_them(autojump_clock: MockClock) -> None:
    spec = SupervisorSpec(
        name="",
        intensity=Intensity(restarts=100, within_ns=SECOND_NS),
        backoff=Backoff(base_ns=SECOND_NS, max_ns=8 * SECOND_NS, calm_ns=60 * SECOND_NS),
        children=(ChildSpec(name="a", factory=recorder([]), poison_after=1),),
    )
    async with running(spec) as world:
        delays = []
        for number in range(6):
            await world.ready("/a")
            world.send("/a", Boom(number))
            began = trio.current_time()
            await world.settle()
            await world.ready("/a")
            delays.append(trio.current_time() - began)
        assert delays[0] == 0
        for delay, full in zip(delays[1:], [1, 2, 4, 8, 8], strict=True):
            assert full / 2 <= delay <= full
        await trio.sleep(61)
        world.send("/a", Boom(99))
        began = trio.current_time()
        await world.settle()
        await world.ready("/a")
        assert trio.current_time() == began


async def test_a_sibling_that_crashes_during_a_group_restart_comes_back_once(autojump_clock: MockClock) -> None:
    async with running(three(Strategy.ONE_FOR_ALL)) as world:
        await world.ready("/a", "/b", "/c")
        world.send("/a", Boom())
        world.send("/b", Boom())
        await world.settle()
        await trio.sleep(1)
        await world.ready("/a", "/b", "/c")
        assert {world.epoch(p) for p in ("/a", "/b", "/c")} <= {2, 3}
        assert len({world.epoch(p) for p in ("/a", "/c")}) == 1


async def test_a_failing_factory_is_a_crash_like_any_other(autojump_clock: MockClock) -> None:
    attempts: list[int] = []

    def factory() -> Actor:
        attempts.append(1)
        if len(attempts) < 3:
            raise RuntimeError("cannot be built")
        return Recorder([])

    spec = SupervisorSpec(
        name="", backoff=Backoff(base_ns=1, max_ns=1), children=(ChildSpec(name="a", factory=factory),)
    )
    async with running(spec) as world:
        await world.ready("/a")
        assert len(attempts) == 3


async def test_state_does_not_leak_into_the_next_incarnation(autojump_clock: MockClock) -> None:
    async with running(three(Strategy.ONE_FOR_ONE)) as world:
        await world.ready("/a")
        world.send("/a", Note(1))
        await world.settle()
        first = world.runtime.cell("/a").actor
        world.send("/a", Boom())
        await world.settle()
        await world.ready("/a")
        second = world.runtime.cell("/a").actor
        assert isinstance(second, Recorder)
        assert second is not first
        assert second.handled == 0


async def test_cancelling_the_whole_program_still_stops_in_reverse_order(autojump_clock: MockClock) -> None:
    stops: list[str] = []

    def child(name: str) -> Callable[[], Actor]:
        class Child(Recorder):
            async def stopped(self, reason: str) -> None:
                await trio.sleep(0.1)
                stops.append(name)

        return lambda: Child([])

    spec = SupervisorSpec(name="", children=tuple(ChildSpec(name=n, factory=child(n)) for n in "abc"))
    with trio.CancelScope() as program:
        async with running(spec) as world:
            await world.ready("/a", "/b", "/c")
            program.cancel()
            await trio.lowlevel.checkpoint()
    assert stops == ["c", "b", "a"]


async def test_actors_can_still_ask_each_other_while_a_canceled_program_stops(autojump_clock: MockClock) -> None:
    answers: list[object] = []

    class Curious(Recorder):
        async def stopped(self, reason: str) -> None:
            answers.append(await self.ctx.ask("/last", HowMany(), SECOND_NS))

    children = (
        ChildSpec(name="last", factory=recorder([])),
        ChildSpec(name="first", factory=lambda: Curious([])),
    )
    with trio.CancelScope() as program:
        async with running(SupervisorSpec(name="", children=children)) as world:
            await world.ready("/first", "/last")
            program.cancel()
            await trio.lowlevel.checkpoint()
    assert answers == [0]


@pytest.mark.parametrize("steps", range(12))
async def test_a_tree_that_is_canceled_while_it_starts_ends(steps: int, autojump_clock: MockClock) -> None:
    inner = SupervisorSpec(name="in", children=(ChildSpec(name="a", factory=recorder([])),))
    spec = SupervisorSpec(name="", children=(inner, ChildSpec(name="b", factory=recorder([]))))
    runtime = Runtime(clock=TrioClock(), seed=1)
    program, over = trio.CancelScope(), trio.Event()
    roots: list[Supervisor] = []

    async def run() -> None:
        with program:
            await run_tree(spec, runtime, on_started=roots.append)
        over.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
        program.cancel()
        await trio.testing.wait_all_tasks_blocked()
        ended = over.is_set()
        for _, node in roots[0].walk() if roots else ():
            node.request_stop("test over")  # a tree that did not end would keep the test from failing
    assert ended


@pytest.mark.parametrize(
    "spec, complaint",
    [
        (SupervisorSpec(name="x y", children=()), "name 'x y'"),
        (SupervisorSpec(name="", children=(), intensity=Intensity(-1, 1)), "intensity"),
        (SupervisorSpec(name="", children=(), backoff=Backoff(base_ns=0)), "backoff"),
        (SupervisorSpec(name="", children=(ChildSpec(name="/", factory=recorder([])),)), "name '/'"),
        (SupervisorSpec(name="", children=(ChildSpec(name="a", factory=recorder([]), capacity=0),)), "capacity"),
        (SupervisorSpec(name="", children=(ChildSpec(name="a", factory=recorder([])),) * 2), "two children"),
        (
            SupervisorSpec(name="", children=(SupervisorSpec(name="in", children=(), intensity=Intensity(1, 0)),)),
            "/in: intensity",
        ),
    ],
)
def test_impossible_specifications_are_refused_before_anything_starts(spec: SupervisorSpec, complaint: str) -> None:
    with pytest.raises(SpecError) as caught:
        validate(spec)
    assert complaint in str(caught.value)


def test_actor_specs_lists_addresses_in_start_order() -> None:
    spec = SupervisorSpec(
        name="",
        children=(
            ChildSpec(name="a", factory=recorder([])),
            SupervisorSpec(name="s", children=(ChildSpec(name="b", factory=recorder([])),)),
        ),
    )
    assert [path for path, _ in actor_specs(spec)] == ["/a", "/s/b"]


@given(
    st.lists(st.integers(min_value=0, max_value=100), max_size=40),
    st.integers(min_value=0, max_value=5),
    st.integers(min_value=1, max_value=20),
)
def test_restart_budget_equals_naive_counting(gaps: list[int], restarts: int, within: int) -> None:
    budget = RestartBudget(restarts, within)
    now, seen = 0, []
    for gap in gaps:
        now += gap
        seen.append(now)
        naive = sum(1 for t in seen if now - t < within) <= restarts
        assert budget.allows(now) is naive


@given(st.integers(min_value=1, max_value=200), st.floats(min_value=0, max_value=1, exclude_max=True))
def test_backoff_stays_within_its_bounds(attempt: int, fraction: float) -> None:
    backoff = Backoff(base_ns=1000, max_ns=64_000)
    delay = backoff.delay_ns(attempt, fraction)
    if attempt == 1:
        assert delay == 0
    else:
        full = min(64_000, 1000 * 2 ** (attempt - 2))
        assert full / 2 - 1 <= delay <= full
