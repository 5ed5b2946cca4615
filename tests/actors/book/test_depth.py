"""Readers of a book's best levels: told after each change, never of a book that is not proven."""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio

from protocols.market import Depth, GapClosed, GapOpened, StreamDown, StreamUp, UnwatchDepth, WatchDepth
from protocols.reconcile import public_path
from tests.actors.book.world import SYMBOL, VENUE, BookWorld

READER = "/market/reader"
PUBLIC = public_path(VENUE)


def feed(world: BookWorld, price: int, qty: int) -> None:
    """One bid of the venue changes."""
    world.actor.receive(world.truth.update([("bids", (Decimal(price), Decimal(qty)))]))


def told(world: BookWorld) -> list[Depth | GapOpened | GapClosed]:
    found = [m for to, m in world.ctx.take() if to == READER]
    assert all(isinstance(m, Depth | GapOpened | GapClosed) for m in found), "no quotes, no trades"
    return found  # type: ignore[return-value]  # the line above has checked it


@pytest.fixture
def world() -> BookWorld:
    """A book that is proven and has one reader of two levels a side."""
    world = BookWorld()
    trio.run(world.start)
    world.actor.receive(StreamUp(PUBLIC, VENUE, 1, 0))
    feed(world, 98, 2)
    world.actor.receive(world.truth.snapshot())
    world.ctx.take()
    world.actor.receive(WatchDepth(SYMBOL, READER, 2))
    return world


@pytest.mark.req("R328")
def test_the_best_levels_at_once_and_after_each_change_even_below_the_top(world: BookWorld) -> None:
    (first,) = told(world)
    assert isinstance(first, Depth)
    assert first.bids == ((Decimal(99), Decimal(1)), (Decimal(98), Decimal(2)))
    feed(world, 98, 5)
    (second,) = told(world)
    assert isinstance(second, Depth)
    assert second.bids[1] == (Decimal(98), Decimal(5))
    assert second.update_id == first.update_id + 1
    feed(world, 97, 1)
    (third,) = told(world)
    assert isinstance(third, Depth)
    assert len(third.bids) == 2


@pytest.mark.req("R328")
def test_a_gap_is_told_and_no_level_before_it_is_closed(world: BookWorld) -> None:
    told(world)
    world.actor.receive(StreamDown(PUBLIC, VENUE, 1, 0, "reset by peer"))
    (gap,) = told(world)
    assert isinstance(gap, GapOpened)
    world.actor.receive(WatchDepth(SYMBOL, READER, 2))
    assert told(world) == [gap], "whoever asks while the book is not proven gets the gap"


def test_no_more_after_leaving(world: BookWorld) -> None:
    told(world)
    world.actor.receive(UnwatchDepth(SYMBOL, READER))
    feed(world, 98, 5)
    assert told(world) == []


def test_a_quiet_book_repeats_its_levels(world: BookWorld) -> None:
    told(world)
    world.ctx.advance(3_000_000_000)
    assert all(isinstance(m, Depth) for m in told(world))
