"""One symbol's order book: price levels, each a queue in order of arrival.

A level holds two kinds of liquidity. `queue` are orders that live in the simulator, first come first served.
`displayed` is a bare quantity that a recorded market shows at that price; it stands in front of the queue,
and `taken` is how much of it our takers have used up since the recording last changed it. A generated market
uses only queues, a replayed one mostly `displayed`.

    >>> side = BookSide(descending=True)          # bids
    >>> side.set_displayed(Decimal("99"), Decimal("2"))
    >>> side.best().price
    Decimal('99')
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from decimal import Decimal

import attrs
from sortedcontainers import SortedDict

from tools.simulator.core.decimals import ZERO
from tools.simulator.core.model import Order


@attrs.define(eq=False, slots=True)
class Level:
    price: Decimal
    queue: deque[Order] = attrs.Factory(deque)
    displayed: Decimal = ZERO
    taken: Decimal = ZERO

    @property
    def available(self) -> Decimal:
        """Displayed liquidity that our own takers have not used up yet."""
        return self.displayed - self.taken

    @property
    def shown(self) -> Decimal:
        """What the queue shows: icebergs only by their visible slice."""
        total = ZERO
        for order in self.queue:
            total += order.show_qty
        return total

    @property
    def tradable(self) -> Decimal:
        """All that a taker could get here, hidden parts included."""
        total = self.available
        for order in self.queue:
            total += order.open_qty
        return total


class BookSide:
    """Bids (descending) or asks (ascending), best level first."""

    def __init__(self, *, descending: bool) -> None:
        self.descending = descending
        self._levels: SortedDict = SortedDict()
        self._best_index = -1 if descending else 0
        self._places = 0

    def __len__(self) -> int:
        return len(self._levels)

    def best(self) -> Level | None:
        """The level that trades first; None when the side is empty."""
        if not self._levels:
            return None
        level: Level = self._levels.peekitem(self._best_index)[1]
        return level

    def best_tradable(self) -> Level | None:
        """The first level with something left to take (a replayed level may be used up)."""
        for level in self:
            if level.queue or level.available > 0:
                return level
        return None

    def best_displayed(self) -> Level | None:
        """The first level with recorded liquidity that is still to be had."""
        for level in self:
            if level.available > 0:
                return level
        return None

    def get(self, price: Decimal) -> Level | None:
        found: Level | None = self._levels.get(price)
        return found

    def level(self, price: Decimal) -> Level:
        """The level at `price`, made if need be."""
        found: Level | None = self._levels.get(price)
        if found is None:
            found = self._levels[price] = Level(price)
        return found

    def tidy(self, level: Level) -> None:
        """Forget a level that has nothing left."""
        if not level.queue and not level.displayed:
            self._levels.pop(level.price, None)

    def set_displayed(self, price: Decimal, qty: Decimal) -> None:
        """The recorded market now shows `qty` at `price`; fresh liquidity, so nothing of it is taken."""
        level = self._levels.get(price)
        if level is None:
            if not qty:
                return
            level = self._levels[price] = Level(price)
        level.displayed = qty
        level.taken = ZERO
        if not qty:
            self.tidy(level)

    def clear_displayed(self) -> None:
        """Drop all recorded liquidity, keep our own orders."""
        for level in list(self._levels.values()):
            level.displayed = level.taken = ZERO
            self.tidy(level)

    def __iter__(self) -> Iterator[Level]:
        """Levels, best first. Do not change the side while iterating."""
        values = self._levels.values()
        return reversed(values) if self.descending else iter(values)

    def crosses(self, price: Decimal, limit: Decimal | None) -> bool:
        """Would a taker with this limit accept `price` from this side? None accepts anything."""
        if limit is None:
            return True
        return price >= limit if self.descending else price <= limit

    def add(self, order: Order) -> None:
        """Queue an order behind all others at its price."""
        self._places += 1
        order.place = self._places
        self.level(order.price).queue.append(order)

    def remove(self, order: Order) -> None:
        """Take a resting order out. Raises KeyError where it does not rest here."""
        level = self.get(order.price)
        if level is None or order not in level.queue:
            raise KeyError(f"order {order.order_id} is not resting at {order.price}")
        level.queue.remove(order)
        self.tidy(level)

    def move_back(self, order: Order) -> None:
        """Put a resting order behind all others at its price."""
        self.level(order.price).queue.remove(order)
        self.add(order)


class Book:
    """Both sides of one symbol."""

    def __init__(self) -> None:
        self.bids = BookSide(descending=True)
        self.asks = BookSide(descending=False)

    def side_of(self, order: Order) -> BookSide:
        """Where the order rests."""
        return self.bids if order.is_buy else self.asks

    def facing(self, order: Order) -> BookSide:
        """What the order takes from."""
        return self.asks if order.is_buy else self.bids
