"""Candles against a plain grouping of the same trades."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.market.candles import MAX_FLAT_BARS, SECOND_NS, CandleBuilder, join
from protocols.enums import Side
from protocols.ids import Symbol, Venue
from protocols.market import Candle, Trade

D = Decimal
VENUE, SYMBOL = Venue("test-venue"), Symbol("BTCUSDT")
MINUTE_NS = 60 * SECOND_NS


def trade(at_ns: int, price: int | str = 100, qty: int | str = 1) -> Trade:
    return Trade(VENUE, SYMBOL, str(at_ns), Decimal(price), Decimal(qty), Side.BUY, at_ns, at_ns)


def build(trades: Sequence[Trade], interval_ns: int) -> tuple[list[Candle], CandleBuilder]:
    builder = CandleBuilder(VENUE, SYMBOL, interval_ns)
    return [candle for item in trades for candle in builder.add(item)], builder


trade_lists = st.lists(
    st.tuples(st.integers(0, 90 * SECOND_NS), st.integers(1, 10_000), st.integers(1, 50)), min_size=1, max_size=80
)


def sequence_of(rows: list[tuple[int, int, int]]) -> list[Trade]:
    """Trades in time order: the first number of each row is the time since the one before."""
    at_ns, trades = 1_700_000_000 * SECOND_NS, []
    for wait_ns, cents, qty in rows:
        at_ns += wait_ns
        trades.append(trade(at_ns, str(Decimal(cents) / 100), qty))
    return trades


@given(trade_lists, st.sampled_from([SECOND_NS, 15 * SECOND_NS, MINUTE_NS]))
def test_bars_are_the_grouping_of_the_trades(rows: list[tuple[int, int, int]], interval_ns: int) -> None:
    trades = sequence_of(rows)
    bars, builder = build(trades, interval_ns)
    groups: dict[int, list[Trade]] = {}
    for item in trades:
        groups.setdefault(item.event_ns // interval_ns * interval_ns, []).append(item)
    forming = builder.forming()
    assert forming is not None
    assert not forming.closed
    for bar in [*bars, forming]:
        group = groups.pop(bar.open_ns, None)
        if group is None:
            assert bar.volume == 0
            assert bar.open == bar.high == bar.low == bar.close
            continue
        prices = [item.price for item in group]
        assert (bar.open, bar.close) == (prices[0], prices[-1])
        assert (bar.high, bar.low) == (max(prices), min(prices))
        assert bar.volume == sum(item.qty for item in group)
    assert groups == {}


@given(trade_lists, st.sampled_from([SECOND_NS, 15 * SECOND_NS]))
def test_bars_follow_each_other_without_a_hole_and_continue_the_price(
    rows: list[tuple[int, int, int]], interval_ns: int
) -> None:
    bars, builder = build(sequence_of(rows), interval_ns)
    forming = builder.forming()
    assert forming is not None
    for one, two in pairwise([*bars, forming]):
        assert two.open_ns == one.open_ns + interval_ns
        assert two.volume or two.open == one.close
    assert all(bar.closed for bar in bars)
    assert [bar.has_gap for bar in bars] == [True] * min(1, len(bars)) + [False] * (len(bars) - 1)


@given(trade_lists, st.lists(st.integers(0, 60 * SECOND_NS), max_size=20))
def test_closing_by_time_gives_the_same_bars_as_closing_by_trades(
    rows: list[tuple[int, int, int]], grace: list[int]
) -> None:
    trades = sequence_of(rows)
    wanted, _ = build(trades, MINUTE_NS)
    builder = CandleBuilder(VENUE, SYMBOL, MINUTE_NS)
    found = []
    for index, item in enumerate(trades):
        found += builder.add(item)
        following = trades[index + 1].event_ns if index + 1 < len(trades) else item.event_ns
        for wait in grace:
            # any moment up to the next trade may close bars, and no moment may change them
            found += builder.close_until(min(item.event_ns + wait, following))
    assert found == wanted


def test_a_closed_bar_stays_closed() -> None:
    bars, builder = build([trade(0), trade(MINUTE_NS)], MINUTE_NS)
    assert len(bars) == 1
    assert builder.add(trade(MINUTE_NS - 1, 999, 9)) == []
    assert builder.late_trades == 1
    assert builder.add(trade(2 * MINUTE_NS))[0].high == 100


def test_trades_out_of_order_inside_a_bar_count() -> None:
    bars, _ = build([trade(10, 100), trade(5, 90), trade(MINUTE_NS, 95)], MINUTE_NS)
    assert (bars[0].low, bars[0].close, bars[0].volume) == (D(90), D(90), D(2))


def test_an_interruption_marks_every_bar_it_touches() -> None:
    builder = CandleBuilder(VENUE, SYMBOL, MINUTE_NS)
    marks = []
    for minute in range(6):
        marks += [bar.has_gap for bar in builder.add(trade(minute * MINUTE_NS))]
        if minute == 2:
            builder.interrupt()
        if minute == 3:
            builder.resume()
    # bar 0 began before we listened; 2 and 3 lived through the interruption; 4 began after it
    assert marks == [True, False, True, True, False]


def test_history_makes_the_next_bar_the_forming_one() -> None:
    bars, _ = build([trade(0), trade(MINUTE_NS)], MINUTE_NS)
    builder = CandleBuilder(VENUE, SYMBOL, MINUTE_NS)
    builder.continue_from(bars)
    closed = builder.add(trade(3 * MINUTE_NS, 120))
    assert [(bar.open_ns, bar.close, bar.has_gap) for bar in closed] == [
        (MINUTE_NS, D(100), True),
        (2 * MINUTE_NS, D(100), False),
    ]


def test_a_hole_of_days_is_not_filled() -> None:
    builder = CandleBuilder(VENUE, SYMBOL, SECOND_NS)
    builder.add(trade(0))
    closed = builder.add(trade((MAX_FLAT_BARS + 2) * SECOND_NS, 70))
    assert len(closed) == 1
    forming = builder.forming()
    assert forming is not None
    assert (forming.open, forming.has_gap) == (D(70), True)


def test_nothing_to_close_before_the_first_trade() -> None:
    builder = CandleBuilder(VENUE, SYMBOL, SECOND_NS)
    assert builder.close_until(10 * SECOND_NS) == []
    assert builder.forming() is None


@pytest.mark.parametrize("interval_ns", [0, -1])
def test_an_impossible_interval_is_refused(interval_ns: int) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        CandleBuilder(VENUE, SYMBOL, interval_ns)


@given(trade_lists)
def test_joined_bars_equal_bars_built_at_once(rows: list[tuple[int, int, int]]) -> None:
    trades = sequence_of(rows)
    parts, _ = build(trades, 5 * SECOND_NS)
    wholes, _ = build(trades, 15 * SECOND_NS)
    by_open = {bar.open_ns: bar for bar in wholes}
    for bar in join(parts, 15 * SECOND_NS):
        assert bar == by_open.get(bar.open_ns, bar)


def test_joining_marks_holes_and_leaves_the_ends_out() -> None:
    parts, _ = build([trade(second * SECOND_NS) for second in range(1, 12)], SECOND_NS)
    del parts[4]
    joined = join(parts, 3 * SECOND_NS)
    assert [(bar.open_ns // SECOND_NS, bar.volume, bar.has_gap) for bar in joined] == [
        (3, D(2), True),
        (6, D(3), False),
    ]
    assert join([], SECOND_NS) == []
    assert join(parts, SECOND_NS) == parts
    with pytest.raises(ValueError, match="do not add up"):
        join(parts, SECOND_NS + 1)
