"""Bars under any trades and any holes: each once, in order, and what may lack trades is healed or marked."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from actors.market.bars import HEAL_ATTEMPTS, Bars
from protocols.enums import Side
from protocols.ids import Symbol, Venue
from protocols.market import Candle, Trade

VENUE, SYMBOL, LENGTH = Venue("v"), Symbol("BTC"), 10
ONE = Decimal(1)

# ("trade", at, price) | ("until", at) | ("hole",) | ("whole",) | ("heal", how many bars the venue knows)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("trade"), st.integers(0, 15), st.integers(1, 9)),
        st.tuples(st.just("until"), st.integers(0, 25)),
        st.tuples(st.just("hole")),
        st.tuples(st.just("whole")),
        st.tuples(st.just("heal"), st.booleans()),
    ),
    max_size=60,
)


def trade(at: int, price: int) -> Trade:
    return Trade(VENUE, SYMBOL, str(at), Decimal(price), ONE, Side.BUY, at, at)


def theirs(open_ns: int) -> Candle:
    nine = Decimal(99)
    return Candle(VENUE, SYMBOL, LENGTH, open_ns, nine, nine, nine, nine, nine, closed=True)


@given(STEPS)
def test_each_bar_once_in_order_without_holes_between(steps: list[tuple[object, ...]]) -> None:
    bars, told, now, attempts = Bars(VENUE, SYMBOL, LENGTH, 1_000), list[Candle](), 0, 0
    for step in steps:
        match step:
            case ("trade", int(passed), int(price)):
                now += passed
                told += bars.add(trade(now, price))
            case ("until", int(passed)):
                now += passed
                told += bars.close_until(now)
            case ("hole",):
                bars.interrupt()
            case ("whole",):
                bars.resume()
            case ("heal", bool(known)):
                before = len(told)
                told += bars.heal([theirs(n * LENGTH) for n in range(200)] if known else [])
                attempts = 0 if not bars.held or len(told) > before else attempts + 1
                if known:
                    assert not bars.held
    opens = [bar.open_ns for bar in told]
    assert opens == sorted(set(opens))
    if opens:
        assert opens == list(range(opens[0], opens[-1] + LENGTH, LENGTH)), "no bar is left out"
    assert all(bar.closed for bar in told)
    assert list(bars.closed) == told


def test_a_bar_that_nobody_can_heal_is_told_with_its_mark() -> None:
    bars = Bars(VENUE, SYMBOL, LENGTH, 10)
    assert bars.add(trade(5, 1)) == []
    assert bars.add(trade(15, 2)) == [], "the first was not heard from its beginning"
    assert bars.add(trade(25, 3)) == [], "the second is whole and waits for the first"
    assert bars.held == 2
    for _ in range(HEAL_ATTEMPTS - 1):
        assert bars.heal([]) == []
    first, second = bars.heal([])
    assert (first.open_ns, first.has_gap, second.open_ns, second.has_gap) == (0, True, 10, False)


def test_a_late_trade_is_counted_and_changes_nothing() -> None:
    bars = Bars(VENUE, SYMBOL, LENGTH, 10)
    bars.start([theirs(0)])
    bars.add(trade(15, 2))
    bars.add(trade(25, 2))
    assert bars.add(trade(14, 9)) == []
    assert bars.late_trades == 1
    (healed,) = bars.heal([theirs(10)])
    assert healed == theirs(10)
