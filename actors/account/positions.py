"""Contract positions: the venue's, and what our fills add up to.

The venue nets all strategies and, in one-way mode, both directions; so what is compared is the net quantity of a symbol
(the sum of its two positions in hedge mode).  The first comparison of an account finds what it held before us: that is
taken over without alarm.  From then on a difference is one that should never be; it is believed when it is seen twice
with nothing in flight, because orders, fills and positions of one answer are fetched one after the other.

What is taken over is MANUAL: nobody's strategy, but in the account's exposure.  Its price is the venue's average where
the account then holds more of the same direction, and ours where it holds less, so that no profit is made up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

import attrs

from actors.account.state import AccountState
from protocols.ids import Symbol
from protocols.instruments import plain
from protocols.positions import VenuePosition

ZERO = Decimal(0)


@attrs.frozen
class Difference:
    """What the venue holds of a symbol beyond our fills."""

    symbol: Symbol
    delta: Decimal
    """Contracts, signed."""
    px: Decimal
    first: bool
    text: str


class Differences:
    """Finds differences; remembers what it saw once and wants to see again, and what it has told."""

    __slots__ = ("_seen", "_told")

    def __init__(self) -> None:
        self._seen: dict[Symbol, Decimal] = {}
        """Differences seen once."""
        self._told: dict[Symbol, Decimal] = {}
        """Differences that were told and, by policy or for want of the instrument, not corrected."""

    def compare(self, state: AccountState, positions: Iterable[VenuePosition]) -> Iterator[Difference]:
        """Differences that are certain now.  Call it only when nothing was in flight."""
        theirs: dict[Symbol, Decimal] = {}
        cost: dict[Symbol, Decimal] = {}
        for position in positions:
            theirs[position.symbol] = theirs.get(position.symbol, ZERO) + position.qty
            cost[position.symbol] = cost.get(position.symbol, ZERO) + position.qty * position.entry_px
        ours = state.ledger.contracts()
        first = not state.positions_compared
        for symbol in sorted({*theirs, *ours, *self._seen, *self._told}):
            held, booked = theirs.get(symbol, ZERO), ours.get(symbol, ZERO)
            delta = held - booked
            if not delta:
                self._seen.pop(symbol, None)
                self._told.pop(symbol, None)
            elif first or (self._seen.get(symbol) == delta and self._told.get(symbol) != delta):
                self._seen.pop(symbol, None)
                self._told[symbol] = delta
                text = f"{symbol}: the venue holds {plain(held)}, our fills add up to {plain(booked)}"
                px = _price(state, symbol, held, booked, cost.get(symbol, ZERO))
                yield Difference(symbol, delta, px, first, text)
            elif self._told.get(symbol) != delta:
                self._seen[symbol] = delta

    def pending(self) -> bool:
        """Whether a difference was seen once and should be looked at again soon."""
        return bool(self._seen)


def _price(state: AccountState, symbol: Symbol, held: Decimal, booked: Decimal, cost: Decimal) -> Decimal:
    """At what the difference is taken over."""
    average = state.ledger.average_px(symbol)
    if held and (not booked or ((held > 0) is (booked > 0) and abs(held) > abs(booked)) or not average):
        return max(cost / held, ZERO)
    return average
