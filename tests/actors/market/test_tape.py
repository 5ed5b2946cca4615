"""Whatever a venue's trades do with time: each bar once, in order, without a hole between, and none from the future."""

from __future__ import annotations

import random
from decimal import Decimal
from itertools import pairwise

import pytest

from actors.market.bars import HEAL_ATTEMPTS, Bars
from actors.market.tape import LEAP_NS, Tape
from protocols.enums import Quality, Side
from protocols.ids import Symbol, Venue
from protocols.market import Candle, Trade

SECOND_NS, MINUTE_NS = 10**9, 60 * 10**9
VENUE, SYMBOL = Venue("upbit"), Symbol("KRW-BTC")


class Market:
    """Trades of two hundred steps, some twice, some from the future, some far too late."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.tape = Tape()
        self.bars = Bars(VENUE, SYMBOL, MINUTE_NS, 100)
        self.now_ns = 1_790_000_000 * SECOND_NS
        self.at_ns = 0
        self.told: list[Candle] = []
        self._last: Trade | None = None
        self._number = 0

    def run(self) -> list[Candle]:
        for _ in range(200):
            self._pass_time()
            self._take(self._next())
            if self.dice.random() < 0.2:
                self.told += self.bars.close_until(self.tape.now_ns(self.at_ns) - 2 * SECOND_NS)
            if self.bars.held and self.dice.random() < 0.3:
                self.told += self.bars.heal(())
        for _ in range(HEAL_ATTEMPTS + 1):
            self.told += self.bars.heal(())
        return self.told

    def _pass_time(self) -> None:
        seconds = self.dice.choice([0.0, 1.0, 5.0, 30.0, 70.0, 200.0]) if self.dice.random() < 0.3 else 2.5
        self.now_ns += int(seconds * SECOND_NS)
        self.at_ns += int(seconds * SECOND_NS)

    def _next(self) -> Trade:
        roll = self.dice.random()
        if roll < 0.05 and self._last is not None:
            return self._last
        self._number += 1
        shift_s = 0
        if roll < 0.08:
            shift_s = self.dice.choice([400, 4_000, 10**6])
        elif roll < 0.12:
            shift_s = -self.dice.choice([1, 50, 500])
        price = Decimal(self.dice.randrange(90, 110))
        event_ns = self.now_ns + shift_s * SECOND_NS
        self._last = Trade(VENUE, SYMBOL, str(self._number), price, Decimal(1), Side.BUY, event_ns, self.now_ns)
        return self._last

    def _take(self, trade: Trade) -> None:
        odd = self.tape.judge(trade, self.at_ns)
        if odd is None:
            return
        if Quality.LEAP in odd:
            self.bars.doubt()
        else:
            self.told += self.bars.add(trade, after_hole=self.tape.is_new_clock)


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_bars_keep_their_promises_whatever_the_clock_does(first: int) -> None:
    for seed in range(first, first + 50):
        market = Market(seed)
        told = market.run()
        assert all(two.open_ns - one.open_ns == MINUTE_NS for one, two in pairwise(told)), seed
        assert all(bar.open_ns <= market.now_ns + LEAP_NS for bar in told), seed


def test_what_was_told_of_a_wrong_clock_is_not_told_again() -> None:
    """The first trade of all comes from two hours ahead, and its bar is told; then the clock comes back."""
    market = Market(0)
    start_ns = market.now_ns - market.now_ns % MINUTE_NS

    def trade(minute: int, number: int) -> Trade:
        at_ns = start_ns + minute * MINUTE_NS
        return Trade(VENUE, SYMBOL, f"n{number}", Decimal(100), Decimal(1), Side.BUY, at_ns, at_ns)

    market._take(trade(120, 0))
    market.told += market.bars.close_until(start_ns + 121 * MINUTE_NS)
    for _ in range(HEAL_ATTEMPTS):
        market.told += market.bars.heal(())
    assert [bar.open_ns for bar in market.told] == [start_ns + 120 * MINUTE_NS]
    for minute in range(3, 130):
        market._take(trade(minute, minute))
    for _ in range(HEAL_ATTEMPTS):
        market.told += market.bars.heal(())
    assert [bar.open_ns for bar in market.told] == [start_ns + n * MINUTE_NS for n in range(120, 129)]
