"""What waits for a slow reader: bounded, conflated or marked, never silently holed."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.market.queues import Every, Newest
from protocols.enums import Quality, Side
from protocols.ids import Symbol, Venue
from protocols.market import Candle, Ticker, Trade

VENUE = Venue("v")
SYMBOLS = [Symbol(name) for name in "ABC"]
ONE = Decimal(1)

# What happens: a symbol's item comes, or the reader (None) takes one.
STEPS = st.lists(st.one_of(st.none(), st.sampled_from(SYMBOLS)), max_size=200)


def ticker(symbol: Symbol, number: int) -> Ticker:
    return Ticker(VENUE, symbol, number, number)


def trade(symbol: Symbol, number: int) -> Trade:
    return Trade(VENUE, symbol, str(number), ONE, ONE, Side.BUY, number, number)


@pytest.mark.req("R342", "R348")
@given(STEPS)
def test_state_is_conflated_by_symbol(steps: list[Symbol | None]) -> None:
    """A naive model: the newest of each symbol, in the order in which the waiting ones first came."""
    queue, model, put, taken = Newest(), dict[Symbol, int](), 0, 0
    for number, symbol in enumerate(steps):
        if symbol is not None:
            queue.put(ticker(symbol, number))
            model[symbol] = number
            put += 1
        else:
            item = queue.take()
            if not model:
                assert item is None
                continue
            first = next(iter(model))
            assert item is not None
            assert (item.symbol, item.event_ns) == (first, model.pop(first))
            taken += 1
        assert len(queue) == len(model) <= len(SYMBOLS)
        assert queue.lost == put - taken - len(queue)


@pytest.mark.req("R342", "R348")
@given(STEPS, st.integers(1, 5))
def test_events_are_dropped_oldest_first_and_every_hole_is_marked(steps: list[Symbol | None], most: int) -> None:
    """Whoever adds up what he got and what the marks say has all: a mark stands exactly where something is missing."""
    queue = Every(most)
    sent: dict[Symbol, int] = dict.fromkeys(SYMBOLS, 0)
    got: dict[Symbol, int] = dict.fromkeys(SYMBOLS, 0)
    for symbol in steps:
        if symbol is not None:
            sent[symbol] += 1
            queue.put(trade(symbol, sent[symbol]))
        else:
            item = queue.take()
            if item is not None:
                assert isinstance(item, Trade)
                number = int(item.trade_id)
                is_next = number == got[item.symbol] + 1
                assert number > got[item.symbol], "in order, none twice"
                assert (Quality.GAP in item.quality) == (not is_next)
                got[item.symbol] = number
        assert len(queue) <= most
    assert queue.lost + len(queue) + _taken(sent, queue, got, steps) == sum(sent.values())


def _taken(sent: dict[Symbol, int], queue: Every, got: dict[Symbol, int], steps: list[Symbol | None]) -> int:
    """How many the reader got, replayed on a list."""
    waiting, taken, most = 0, 0, queue._most
    for symbol in steps:
        if symbol is not None:
            waiting = min(most, waiting + 1)
        elif waiting:
            waiting -= 1
            taken += 1
    return taken


@pytest.mark.req("R342")
def test_a_bar_after_dropped_ones_is_marked_too() -> None:
    queue = Every(1)
    for minute in range(3):
        queue.put(Candle(VENUE, SYMBOLS[0], 60, minute, ONE, ONE, ONE, ONE, ONE, closed=True))
    bar = queue.take()
    assert isinstance(bar, Candle)
    assert (bar.open_ns, bar.quality, queue.lost) == (2, Quality.GAP, 2)
    assert queue.take() is None


def test_there_must_be_room_for_something() -> None:
    with pytest.raises(ValueError, match="most was 0"):
        Every(0)
