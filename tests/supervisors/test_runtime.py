"""Delivery: what becomes of a message in every case, and that a handler is atomic."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from protocols.base import Message, Query
from supervisors.actor import Actor, AskError, Down, Later, ReadyWhen, Up
from supervisors.cell import Phase
from supervisors.ends import ActorStuck, ChaosCrash
from supervisors.inspection import dead_letters, picture, tree
from supervisors.mailbox import Mailbox, Put
from supervisors.spec import SECOND_NS, Backoff, ChildSpec, SupervisorSpec
from tests.supervisors.support import Boom, Do, HowMany, Note, Recorder, Refused, Tick, Undo, recorder, running


def spec_of(*children: ChildSpec) -> SupervisorSpec:
    return SupervisorSpec(name="", children=children, backoff=Backoff(base_ns=1, max_ns=1))


# ---- order, atomicity, redelivery ----------------------------------------------------------------


@pytest.mark.req("R344")
async def test_messages_of_one_sender_arrive_in_order_through_a_chain(autojump_clock: MockClock) -> None:
    log: list[Message] = []
    spec = spec_of(
        ChildSpec(name="a", factory=recorder([], "/b"), batch=3),
        ChildSpec(name="b", factory=recorder([], "/c"), batch=2),
        ChildSpec(name="c", factory=recorder(log)),
    )
    async with running(spec) as world:
        await world.ready("/a", "/b", "/c")
        for number in range(5000):
            world.send("/a", Note(number))
        await world.settle()
        assert log == [Note(n) for n in range(5000)]


async def test_a_handler_that_raises_has_sent_nothing(autojump_clock: MockClock) -> None:
    log: list[Message] = []
    spec = spec_of(
        ChildSpec(name="a", factory=recorder([], "/b"), poison_after=1), ChildSpec(name="b", factory=recorder(log))
    )
    async with running(spec) as world:
        await world.ready("/a", "/b")
        world.send("/a", Note(1))
        world.send("/a", Boom())
        world.send("/a", Note(2))
        await world.settle()
        assert log == [Note(1), Note(2)]
        assert Boom not in world.runtime.cell("/b").counts  # it never left, whatever /b would have made of it


async def test_a_crash_loses_no_message_and_poison_is_set_aside_with_its_trace(autojump_clock: MockClock) -> None:
    log: list[Message] = []
    async with running(spec_of(ChildSpec(name="a", factory=recorder(log), poison_after=3))) as world:
        await world.ready("/a")
        for message in (Note(1), Boom(5), Note(2), Note(3)):
            world.send("/a", message)
        await world.settle()
        await trio.sleep(1)
        assert log == [Note(1), Note(2), Note(3)]
        assert world.epoch("/a") == 4  # three crashes on the same message
        (letter,) = dead_letters(world.runtime)
        assert letter.message == Boom(5)
        assert "boom 5" in letter.trace
        assert letter.recent[0] == Note(1)
        assert world.diary.lines("poison") == ["poison /a"]


@pytest.mark.parametrize("where", ["before", "after"])
async def test_an_ordered_crash_keeps_the_message(where: str, autojump_clock: MockClock) -> None:
    log: list[Message] = []
    sink: list[Message] = []
    spec = spec_of(ChildSpec(name="a", factory=recorder(log, "/b")), ChildSpec(name="b", factory=recorder(sink)))
    async with running(spec) as world:
        await world.ready("/a", "/b")
        world.runtime.cell("/a").sabotage(where)
        world.send("/a", Note(1))
        world.send("/a", Note(2))
        await world.settle()
        await world.ready("/a")
        assert sink == [Note(1), Note(2)]  # each effect exactly once
        assert world.epoch("/a") == 2
        assert not dead_letters(world.runtime)


async def test_sabotage_says_what_it_accepts(autojump_clock: MockClock) -> None:
    async with running(spec_of(ChildSpec(name="a", factory=recorder([])))) as world:
        with pytest.raises(ValueError, match="now, before or after"):
            world.runtime.cell("/a").sabotage("sometime")


async def test_a_crash_in_batch_done_takes_back_what_it_sent(autojump_clock: MockClock) -> None:
    log: list[Message] = []

    class Batcher(Recorder):
        broken = True

        def batch_done(self) -> None:
            self.ctx.send("/b", Note(99))
            if Batcher.broken:
                Batcher.broken = False
                raise RuntimeError("batch broke")

    spec = spec_of(ChildSpec(name="a", factory=lambda: Batcher([])), ChildSpec(name="b", factory=recorder(log)))
    async with running(spec) as world:
        await world.ready("/a", "/b")
        world.send("/a", Note(1))
        await world.settle()
        assert log == []
        world.send("/a", Note(2))
        await world.settle()
        assert log == [Note(99)]


# ---- refusal -------------------------------------------------------------------------------------


class Slow(Actor):
    """Becomes ready only when told."""

    READY_WHEN = ReadyWhen.TOLD

    def receive(self, message: Message) -> None:
        if message == Note(1):
            self.ctx.set_ready()
        if message == Note(0):
            self.ctx.set_unready("resyncing")


async def test_not_ready_refuses_commands_and_keeps_events(
    autojump_clock: MockClock,
) -> None:
    log: list[Message] = []
    spec = spec_of(ChildSpec(name="caller", factory=recorder(log)), ChildSpec(name="slow", factory=Slow))
    async with running(spec) as world:
        await world.ready("/caller")
        world.send("/slow", Do(1, "/caller"))
        world.send("/slow", Note(1))
        await world.settle()
        world.send("/slow", Do(2, "/caller"))
        world.send("/slow", Note(0))
        await world.settle()
        world.send("/slow", Do(3, "/caller"))
        await world.settle()
        assert log == [Refused(1, "not_ready"), Refused(3, "not_ready")]


async def test_what_only_reduces_risk_passes_a_shut_gate_but_not_into_the_void(autojump_clock: MockClock) -> None:
    log: list[Message] = []

    class Unready(Slow):
        def receive(self, message: Message) -> None:
            super().receive(message)
            log.append(message)

    async with running(spec_of(ChildSpec(name="slow", factory=Unready))) as world:
        world.send("/slow", Do(1, "/nobody"))
        world.send("/slow", Undo(2))
        await world.settle()
        assert log == [Undo(2)]
        world.runtime.cell("/slow").sabotage("now")
        world.send("/slow", Undo(3))
        assert [d.message for d in dead_letters(world.runtime)][-1] == Undo(3)


async def test_a_command_to_a_full_mailbox_is_refused_and_events_still_fit(autojump_clock: MockClock) -> None:
    log: list[Message] = []
    done: list[Message] = []
    spec = spec_of(
        ChildSpec(name="caller", factory=recorder(log)), ChildSpec(name="busy", factory=recorder(done), capacity=3)
    )
    async with running(spec) as world:
        await world.ready("/caller", "/busy")
        world.runtime.cell("/busy").set_paused(True)
        for number in range(5):
            world.send("/busy", Do(number, "/caller"))
        world.send("/busy", Note(9))
        await world.settle()
        assert log == [Refused(3, "mailbox_full"), Refused(4, "mailbox_full")]
        assert done == []
        world.runtime.cell("/busy").set_paused(False)
        await world.settle()
        assert done == [Do(0, "/caller"), Do(1, "/caller"), Do(2, "/caller"), Note(9)]


async def test_a_command_to_nobody_and_to_the_dead_is_refused(autojump_clock: MockClock) -> None:
    log: list[Message] = []

    class NeverUp(Recorder):
        async def started(self) -> None:
            raise RuntimeError("cannot start")

    spec = SupervisorSpec(
        name="",
        backoff=Backoff(base_ns=100 * SECOND_NS, max_ns=100 * SECOND_NS),
        children=(ChildSpec(name="caller", factory=recorder(log)), ChildSpec(name="dead", factory=lambda: NeverUp([]))),
    )
    async with running(spec) as world:
        world.send("/nobody", Do(1, "/caller"))
        world.send("/dead", Do(2, "/caller"))
        await world.settle()
        assert log == [Refused(1, "no_such_actor"), Refused(2, "actor_down")]
        world.send("/nobody", Note(1))
        assert [(d.to, d.reason) for d in dead_letters(world.runtime)] == [("/nobody", "no_such_actor")]


async def test_a_poisonous_command_is_refused_to_its_caller(autojump_clock: MockClock) -> None:
    log: list[Message] = []

    class Fragile(Recorder):
        def receive(self, message: Message) -> None:
            raise RuntimeError("cannot do")

    spec = spec_of(ChildSpec(name="caller", factory=recorder(log)), ChildSpec(name="f", factory=lambda: Fragile([])))
    async with running(spec) as world:
        await world.ready("/caller", "/f")
        world.send("/f", Do(1, "/caller"))
        await trio.sleep(1)
        assert log == [Refused(1, "poison")]


async def test_more_events_than_the_hard_limit_end_the_actor_instead_of_the_memory(autojump_clock: MockClock) -> None:
    log: list[Message] = []
    spec = spec_of(ChildSpec(name="a", factory=recorder(log), capacity=2, hard_limit=4))
    async with running(spec) as world:
        await world.ready("/a")
        for number in range(5):
            world.send("/a", Note(number))
        await trio.sleep(1)
        assert "MailboxOverflow" in world.runtime.cell("/a").restarts[0].cause
        assert log == [Note(n) for n in range(4)]
        assert [d.message for d in dead_letters(world.runtime)] == [Note(4)]


async def test_market_data_conflates_to_the_newest_per_key_in_place(autojump_clock: MockClock) -> None:
    log: list[Message] = []
    async with running(spec_of(ChildSpec(name="a", factory=recorder(log)))) as world:
        await world.ready("/a")
        world.runtime.cell("/a").set_paused(True)
        for message in (Tick("x", 1), Note(1), Tick("y", 1), Tick("x", 2), Tick("x", 3)):
            world.send("/a", message)
        world.runtime.cell("/a").set_paused(False)
        await world.settle()
        assert log == [Tick("x", 3), Note(1), Tick("y", 1)]
        assert picture(world.runtime, "/a").mailbox["conflated"] == 2


# ---- questions, watching, timers -----------------------------------------------------------------


async def test_ask_answers_in_order_with_messages(autojump_clock: MockClock) -> None:
    async with running(spec_of(ChildSpec(name="a", factory=recorder([])))) as world:
        await world.ready("/a")
        world.send("/a", Note(1))
        world.send("/a", Note(2))
        assert await world.runtime.ask("/a", HowMany(), SECOND_NS) == 2


async def test_ask_fails_with_the_reason(autojump_clock: MockClock) -> None:
    class Bad(Recorder):
        def answer(self, query: Query) -> object:
            raise RuntimeError("no idea")

    class Silent(Recorder):
        def answer(self, query: Query) -> object:
            return Later()

    spec = spec_of(
        ChildSpec(name="bad", factory=lambda: Bad([])),
        ChildSpec(name="silent", factory=lambda: Silent([])),
        ChildSpec(name="slow", factory=Slow),
    )
    async with running(spec) as world:
        await world.ready("/bad", "/silent")
        for path, reason in [
            ("/bad", "crashed on the question"),
            ("/silent", "did not answer HowMany within 1 s"),
            ("/slow", "not_ready"),
            ("/nobody", "no_such_actor"),
        ]:
            with pytest.raises(AskError, match=reason):
                await world.runtime.ask(path, HowMany(), SECOND_NS)
        await world.ready("/bad")
        assert world.epoch("/bad") == 2


async def test_a_later_answer_and_a_later_failure_reach_the_asker(autojump_clock: MockClock) -> None:
    kept: list[Later] = []

    class Deferring(Recorder):
        def answer(self, query: Query) -> object:
            kept.append(Later())
            return kept[-1]

    async with running(spec_of(ChildSpec(name="a", factory=lambda: Deferring([])))) as world:
        await world.ready("/a")

        async def resolve(fail: bool) -> None:
            await trio.sleep(0.5)
            kept[-1].fail("changed my mind") if fail else kept[-1].resolve(42)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(resolve, False)
            assert await world.runtime.ask("/a", HowMany(), SECOND_NS) == 42
        async with trio.open_nursery() as nursery:
            nursery.start_soon(resolve, True)
            with pytest.raises(AskError, match="changed my mind"):
                await world.runtime.ask("/a", HowMany(), SECOND_NS)


async def test_an_answer_given_before_the_handler_returned_is_not_lost(autojump_clock: MockClock) -> None:
    class Eager(Recorder):
        def answer(self, query: Query) -> object:
            later = Later()
            later.resolve(7)
            later.fail("only the first word counts")
            return later

    async with running(spec_of(ChildSpec(name="a", factory=lambda: Eager([])))) as world:
        await world.ready("/a")
        assert await world.runtime.ask("/a", HowMany(), SECOND_NS) == 7


async def test_a_default_actor_answers_no_query(autojump_clock: MockClock) -> None:
    async with running(spec_of(ChildSpec(name="a", factory=Actor))) as world:
        await world.ready("/a")
        with pytest.raises(AskError, match="does not answer HowMany"):
            await world.runtime.ask("/a", HowMany(), SECOND_NS)


async def test_watchers_hear_down_and_up_with_epochs(autojump_clock: MockClock) -> None:
    log: list[Message] = []

    class Watcher(Recorder):
        async def started(self) -> None:
            self.ctx.watch("/target")

    spec = spec_of(
        ChildSpec(name="target", factory=recorder([]), poison_after=1),
        ChildSpec(name="w", factory=lambda: Watcher(log), depends_on=("/target",)),
    )
    async with running(spec) as world:
        await world.ready("/w")
        world.send("/target", Boom())
        await trio.sleep(1)
        assert log[0] == Up("/target", 1)
        assert isinstance(log[1], Down)
        assert log[1].epoch == 1
        assert "boom" in log[1].reason
        assert log[-1] == Up("/target", 2)
        assert picture(world.runtime, "/target").links["watched_by"] == ("/w",)
        # a watcher that died is forgotten
        world.runtime.cell("/w").sabotage("now")
        await trio.sleep(1)
        before = len(log)
        world.send("/target", Boom(2))
        await trio.sleep(1)
        assert sum(isinstance(m, Down) for m in log[before:]) == 1


async def test_watchers_can_tell_a_shut_gate_from_an_end_also_when_the_gate_was_shut_before(
    autojump_clock: MockClock,
) -> None:
    log: list[Message] = []

    class Watcher(Recorder):
        async def started(self) -> None:
            self.ctx.watch("/target")

    spec = spec_of(
        ChildSpec(name="target", factory=recorder([]), poison_after=1),
        ChildSpec(name="w", factory=lambda: Watcher(log), depends_on=("/target",)),
    )
    async with running(spec) as world:
        await world.ready("/w")
        target = world.runtime.cell("/target")
        target.set_unready(target.epoch, "no connection")
        await trio.sleep(1)
        assert log[-1] == Down("/target", 1, "no connection", running=True)
        world.send("/target", Boom())
        await trio.sleep(1)
        ended = [message for message in log if isinstance(message, Down) and not message.running]
        assert [(down.epoch, "boom" in down.reason) for down in ended] == [(1, True)]
        assert log[-1:] == [Up("/target", 2)]


async def test_timers_come_back_in_order_and_die_with_their_incarnation(autojump_clock: MockClock) -> None:
    log: list[Message] = []

    class Sleeper(Recorder):
        async def started(self) -> None:
            for delay_s, number in ((3, 3), (1, 1), (2, 2), (1, 11)):
                self.ctx.after(delay_s * SECOND_NS, Note(number * 100 + self.ctx.epoch))
            self.ctx.after(SECOND_NS // 2, Note(-1)).cancel()

    async with running(spec_of(ChildSpec(name="a", factory=lambda: Sleeper(log)))) as world:
        await world.ready("/a")
        await trio.sleep(1.5)
        world.runtime.cell("/a").sabotage("now")
        await trio.sleep(10)
        assert log == [Note(101), Note(1101), Note(102), Note(1102), Note(202), Note(302)]


# ---- readiness -----------------------------------------------------------------------------------


async def test_dependants_wait_behind_the_ready_gate(autojump_clock: MockClock) -> None:
    log: list[Message] = []
    spec = spec_of(
        ChildSpec(name="after", factory=recorder(log), depends_on=("/slow",)), ChildSpec(name="slow", factory=Slow)
    )
    async with running(spec) as world:
        await world.settle()
        assert world.runtime.cell("/after").unready_reason == "waiting for /slow"
        world.send("/slow", Note(1))
        await world.ready("/after")


async def test_a_resync_that_fails_is_tried_again_and_only_then_opens_the_gate(autojump_clock: MockClock) -> None:
    tries: list[int] = []

    class Resyncing(Recorder):
        async def started(self) -> None:
            tries.append(self.ctx.epoch)
            if len(tries) < 3:
                raise RuntimeError("venue says no")

    async with running(spec_of(ChildSpec(name="a", factory=lambda: Resyncing([])))) as world:
        await world.ready("/a")
        assert tries == [1, 2, 3]
        record = world.runtime.cell("/a").restarts[-1]
        assert "venue says no" in record.cause
        assert record.recovery_ns is not None


async def test_ready_may_be_told_before_started_returns(autojump_clock: MockClock) -> None:
    class Early(Slow):
        async def started(self) -> None:
            self.ctx.set_ready()

    async with running(spec_of(ChildSpec(name="a", factory=Early))) as world:
        await world.ready("/a")
        assert world.runtime.cell("/a").ready


async def test_a_former_incarnation_can_neither_send_nor_open_the_gate(autojump_clock: MockClock) -> None:
    log: list[Message] = []
    spec = spec_of(ChildSpec(name="a", factory=recorder([])), ChildSpec(name="b", factory=recorder(log)))
    async with running(spec) as world:
        await world.ready("/a", "/b")
        old = world.runtime.cell("/a").ctx
        assert old is not None
        world.runtime.cell("/a").sabotage("now")
        await trio.sleep(1)
        world.runtime.cell("/a").set_unready(2, "testing")
        old.send("/b", Note(1))
        old.set_ready()
        old.set_unready("old news")
        await world.settle()
        assert log == []
        assert not world.runtime.cell("/a").ready
        assert world.runtime.cell("/a").unready_reason == "testing"


# ---- sessions ------------------------------------------------------------------------------------


async def test_a_session_sends_waits_for_room_and_flushes(autojump_clock: MockClock) -> None:
    log: list[Message] = []
    seen: list[tuple[str, int]] = []

    class Session(Actor):
        async def run(self) -> None:
            await self.ctx.wait_ready("/sink")
            for number in range(10):
                await self.ctx.send_wait("/sink", Note(number))
            self.ctx.flush()
            seen.append(("after flush", len(log)))
            await self.ctx.sleep(SECOND_NS)
            assert self.ctx.now_ns > 0
            assert 0 <= self.ctx.random() < 1
            seen.append(("asked", await self.ctx.ask("/sink", HowMany(), SECOND_NS)))
            await trio.sleep_forever()

    spec = spec_of(
        ChildSpec(name="s", factory=Session), ChildSpec(name="sink", factory=recorder(log), capacity=2, batch=1)
    )
    async with running(spec) as world:
        await trio.sleep(2)
        assert log == [Note(n) for n in range(10)]
        assert seen == [("after flush", 10), ("asked", 10)]
        assert world.runtime.cell("/sink").mailbox.high_water <= 3


async def test_sender_and_time_are_visible_while_handling(autojump_clock: MockClock) -> None:
    seen: list[tuple[str, int, bool]] = []

    class Looker(Recorder):
        def receive(self, message: Message) -> None:
            now = self.ctx.now_ns
            seen.append((self.ctx.sender, self.ctx.sender_epoch, now == self.ctx.now_ns))

    spec = spec_of(ChildSpec(name="a", factory=recorder([], "/b")), ChildSpec(name="b", factory=lambda: Looker([])))
    async with running(spec) as world:
        await world.ready("/a", "/b")
        world.send("/a", Note(1))
        await world.settle()
        assert seen == [("/a", 1, True)]


# ---- console -------------------------------------------------------------------------------------


async def test_tap_copies_messages_live_and_forgets_closed_readers(autojump_clock: MockClock) -> None:
    async with running(spec_of(ChildSpec(name="a", factory=recorder([])))) as world:
        await world.ready("/a")
        send, receive = trio.open_memory_channel[tuple[int, str, Message]](2)
        world.runtime.cell("/a").listen(send)
        for number in range(3):
            world.send("/a", Note(number))
        await world.settle()
        assert [receive.receive_nowait()[2] for _ in range(2)] == [Note(0), Note(1)]  # the third did not fit
        receive.close()
        world.send("/a", Note(4))
        await world.settle()
        assert not world.runtime.cell("/a").special


async def test_inspection_shows_mailbox_counts_times_restarts_and_state(autojump_clock: MockClock) -> None:
    async with running(spec_of(ChildSpec(name="a", factory=recorder([]), poison_after=1))) as world:
        await world.ready("/a")
        for number in range(5):
            world.send("/a", Note(number))
        world.send("/a", Boom())
        await trio.sleep(1)
        shown = picture(world.runtime, "/a")
        assert shown.counts == {"Note": 5, "Boom": 1}
        assert shown.handling_ns["count"] == 6
        assert shown.restarts[0].cause == "RuntimeError: boom 0"
        assert shown.state == {"handled": 0}
        assert shown.mailbox["high_water"] >= 5
        rows = tree(world.root)
        assert [(r.name, r.kind) for r in rows] == [("root", "supervisor"), ("a", "Recorder")]
        assert rows[1].restarts == 1
        with pytest.raises(KeyError, match="no actor at /nobody"):
            picture(world.runtime, "/nobody")


async def test_an_interruption_just_after_the_handler_ends_the_actor_and_not_the_engine(
    autojump_clock: MockClock,
) -> None:
    log: list[Message] = []

    class Late(dict[type[Message], int]):
        """Counters that raise as the watchdog's interruption would: outside the handler."""

        def __missing__(self, key: type[Message]) -> int:
            raise ActorStuck

    async with running(spec_of(ChildSpec(name="a", factory=recorder(log)))) as world:
        await world.ready("/a")
        cell = world.runtime.cell("/a")
        counts, cell.counts = cell.counts, Late()  # type: ignore[assignment]
        world.send("/a", Note(1))
        await world.settle()
        cell.counts = counts
        await world.ready("/a")
        world.send("/a", Note(2))
        await world.settle()
        assert (cell.epoch, log[-1]) == (2, Note(2))


async def test_addresses_are_unique(autojump_clock: MockClock) -> None:
    async with running(spec_of(ChildSpec(name="a", factory=recorder([])))) as world:
        with pytest.raises(ValueError, match="is taken"):
            world.runtime.register(world.runtime.cell("/a"))


async def test_a_stop_lets_the_mailbox_finish_first(autojump_clock: MockClock) -> None:
    log: list[Message] = []
    async with running(spec_of(ChildSpec(name="a", factory=recorder(log), batch=1))) as world:
        await world.ready("/a")
        for number in range(300):
            world.send("/a", Note(number))
        world.root.request_stop("test")
        await world.ended.wait()
        assert len(log) == 300


async def test_ordered_crash_of_a_starting_actor_and_of_a_stopped_one(autojump_clock: MockClock) -> None:
    class Hanging(Recorder):
        async def started(self) -> None:
            if self.ctx.epoch == 1:
                await trio.sleep_forever()

    async with running(spec_of(ChildSpec(name="a", factory=lambda: Hanging([])))) as world:
        cell = world.runtime.cell("/a")
        assert cell.phase is Phase.STARTING
        cell.crash(ChaosCrash("now"))
        await world.ready("/a")
        assert world.epoch("/a") == 2


# ---- mailbox properties --------------------------------------------------------------------------


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("event"), st.integers(0, 3), st.booleans()),
            st.tuples(st.just("tick"), st.integers(0, 3), st.booleans()),
            st.tuples(st.just("command"), st.integers(0, 3), st.booleans()),
            st.tuples(st.just("take"), st.just(0), st.just(False)),
        ),
        max_size=60,
    )
)
def test_mailbox_equals_a_naive_queue(steps: list[tuple[str, int, bool]]) -> None:
    box = Mailbox(capacity=3, hard_limit=6)
    naive: list[Message] = []
    for kind, number, in_step in steps:
        if kind == "take":
            letter = box.take()
            assert (letter[0] if letter is not None else None) == (naive.pop(0) if naive else None)
            continue
        message: Message = {"event": Note(number), "tick": Tick(str(number), number), "command": Do(number, "/x")}[kind]
        outcome = box.put((message, "", 0, None), in_step=in_step)
        if kind == "tick":
            same = [i for i, m in enumerate(naive) if isinstance(m, Tick) and m.key == str(number)]
            assert outcome is (Put.CONFLATED if same else Put.TAKEN)
            if same:
                naive[same[0]] = message
            else:
                naive.append(message)
        elif len(naive) >= (6 if kind == "event" else 3):
            assert outcome is (Put.OVERFLOW if kind == "event" else Put.FULL)
        else:
            assert outcome is Put.TAKEN
            naive.append(message)
        assert box.depth == len(naive)
    assert [letter[0] for letter in box.purge()] == naive
    assert box.depth == 0


def test_a_mailbox_needs_room_for_one() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Mailbox(0)
