"""Whatever is lost, doubled or overtaken on the way: what the book publishes as proven is the venue's truth."""

from __future__ import annotations

from decimal import Decimal

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.market import BookDelta, GapOpened, Level, StreamUp
from tests.actors.book.world import VENUE, BookWorld

# Bids stay below 100 and asks above, so that the true book is never crossed.
bid = st.tuples(st.just("bids"), st.tuples(st.integers(90, 99).map(Decimal), st.integers(0, 3).map(Decimal)))
ask = st.tuples(st.just("asks"), st.tuples(st.integers(101, 110).map(Decimal), st.integers(0, 3).map(Decimal)))
diff = st.lists(st.one_of(bid, ask), min_size=1, max_size=4)
fault = st.sampled_from(["pass"] * 6 + ["drop", "twice", "late", "reconnect"])

Step = tuple[list[tuple[str, Level]], str, int]


async def play(steps: list[Step]) -> BookWorld:
    """Run the stream with its faults; a snapshot request is answered `lag` ids behind the venue's newest."""
    world = BookWorld()
    await world.start()
    connection = 1
    world.give(StreamUp("/public", VENUE, connection, 0))
    held: BookDelta | None = None
    for changes, what, lag in steps:
        delta = world.truth.update(changes, connection)
        if what == "reconnect":
            connection += 1
            held = None
            check(world, world.give(StreamUp("/public", VENUE, connection, 0)))
            continue  # what was said between the connections is lost
        if what == "late" and held is None:
            held = delta
            continue
        if what != "drop":
            deliver(world, delta)
            if what == "twice":
                deliver(world, delta)
        if held is not None:
            deliver(world, held)
            held = None
        check(world, world.advance(100))
        answer(world, lag, connection)
    # Faults are over: a few clean diffs must bring a proven book again.
    for _ in range(400):
        if not world.is_open:
            break
        deliver(world, world.truth.update([("bids", (Decimal(95), Decimal(1)))], connection))
        check(world, world.advance(100))
        answer(world, 0, connection)
    return world


def deliver(world: BookWorld, delta: BookDelta) -> None:
    """Hand over a diff; a hole in front of it must be found by it."""
    last_id = world.actor.inspect()["last_id"]
    assert isinstance(last_id, int)
    was_open = world.is_open
    told = world.give(delta)
    check(world, told)
    if not was_open and delta.first_id > last_id + 1:
        assert any(isinstance(message, GapOpened) for message in told)


def answer(world: BookWorld, lag: int, connection: int) -> None:
    requests, world.requests = world.requests, []
    for _ in requests:
        at_id = max(world.truth.last_id - lag, 100)
        check(world, world.give(world.truth.snapshot(at_id, connection)))


def check(world: BookWorld, told: list) -> None:
    world.check_quotes(told)
    # Ready and "no gap" are the same thing at every step.
    assert world.ctx.ready is not world.is_open


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(diff, fault, st.integers(0, 6)), max_size=60))
def test_proven_quotes_are_true_and_the_book_heals(steps: list[Step]) -> None:
    world = trio.run(play, steps)
    assert not world.is_open
    truth = world.truth.history[world.actor.inspect()["last_id"]]  # type: ignore[index]  # an int
    assert dict(world.actor.book.bids.top(99)) == truth["bids"]
    assert dict(world.actor.book.asks.top(99)) == truth["asks"]
