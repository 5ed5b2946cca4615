"""Price levels of one book.

A side is a dict of quantities and a sorted list of its prices.  On the 11-minute BTCUSDT capture (46 changed levels a
message, about 2,000 levels a side) that takes 18 us a message; `sortedcontainers.SortedDict` takes 32 us, 1.7 times as
long.  Both read alike, so the faster one is used.

Levels are set to absolute quantities, as venues send them: 0 removes, and removing an unknown level is normal.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from decimal import Decimal

from protocols.market import Level

__all__ = ["BookSide", "OrderBook"]

ZERO = Decimal(0)
EMPTY: Level = (ZERO, ZERO)


class BookSide:
    """Bids or asks."""

    __slots__ = ("_is_bid", "_prices", "_quantities")

    def __init__(self, *, is_bid: bool) -> None:
        self._is_bid = is_bid
        self._quantities: dict[Decimal, Decimal] = {}
        self._prices: list[Decimal] = []
        """Ascending on both sides."""

    def load(self, levels: Iterable[Level]) -> None:
        """Replace everything."""
        self._quantities = {price: qty for price, qty in levels if qty}
        self._prices = sorted(self._quantities)

    def apply(self, levels: Iterable[Level]) -> None:
        """Set each level to its quantity; 0 removes it."""
        quantities, prices = self._quantities, self._prices
        for price, qty in levels:
            if qty:
                if price not in quantities:
                    insort(prices, price)
                quantities[price] = qty
            elif quantities.pop(price, None) is not None:
                del prices[bisect_left(prices, price)]

    def clear(self) -> None:
        """Forget everything."""
        self._quantities.clear()
        self._prices.clear()

    def best(self) -> Level:
        """The best level; (0, 0) when the side is empty."""
        if not self._prices:
            return EMPTY
        price = self._prices[-1 if self._is_bid else 0]
        return price, self._quantities[price]

    def top(self, count: int) -> tuple[Level, ...]:
        """The best `count` levels, best first."""
        prices = self._prices[: -count - 1 : -1] if self._is_bid else self._prices[:count]
        return tuple((price, self._quantities[price]) for price in prices)

    def __len__(self) -> int:
        return len(self._prices)


class OrderBook:
    """Both sides of one symbol."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = BookSide(is_bid=True)
        self.asks = BookSide(is_bid=False)

    def load(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Replace the book by a snapshot's levels."""
        self.bids.load(bids)
        self.asks.load(asks)

    def apply(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Apply one delta's levels."""
        self.bids.apply(bids)
        self.asks.apply(asks)

    def clear(self) -> None:
        """Forget everything."""
        self.bids.clear()
        self.asks.clear()

    def best(self) -> tuple[Level, Level]:
        """Best bid and best ask."""
        return self.bids.best(), self.asks.best()
