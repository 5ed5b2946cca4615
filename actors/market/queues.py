"""What waits for a slow reader: bounded always, and never a hole that is not marked.

* State (tickers, books): a newer picture of a symbol replaces the one that waits, so at most one for each symbol waits,
  in the order in which the symbols first came.
* Events (trades, closed bars): the oldest goes when the place is full, and the next of the same symbol that the reader
  gets says so (`Quality.GAP`).
"""

from __future__ import annotations

from collections import deque
from typing import Protocol, TypeVar

import attrs

from protocols.enums import Quality
from protocols.ids import Symbol, Venue
from protocols.market import Candle, Depth, Ticker, Trade

EVENTS_MAX = 1_024
"""Trades or bars that wait for one reader."""

Picture = Ticker | Depth
Happening = Trade | Candle
T = TypeVar("T")
_Key = tuple[Venue, Symbol]


class Waiting(Protocol[T]):
    """What both queues can do."""

    lost: int
    """Pictures that were replaced, or events that were dropped, before the reader came."""

    def put(self, item: T) -> None: ...

    def take(self) -> T | None:
        """The next, or None when nothing waits."""
        ...

    def __len__(self) -> int: ...


class Newest:
    """Of state."""

    __slots__ = ("_waiting", "lost")

    def __init__(self) -> None:
        self._waiting: dict[_Key, Picture] = {}
        self.lost = 0

    def put(self, item: Picture) -> None:
        """Take the place of what waits of the same symbol."""
        key = (item.venue, item.symbol)
        if key in self._waiting:
            self.lost += 1
        self._waiting[key] = item

    def take(self) -> Picture | None:
        """The symbol that has waited longest."""
        if not self._waiting:
            return None
        return self._waiting.pop(next(iter(self._waiting)))

    def __len__(self) -> int:
        return len(self._waiting)


class Every:
    """Of events."""

    __slots__ = ("_holes", "_most", "_waiting", "lost")

    def __init__(self, most: int = EVENTS_MAX) -> None:
        if most < 1:
            raise ValueError(f"most was {most}, must be at least 1")
        self._most = most
        self._waiting: deque[Happening] = deque()
        self._holes: set[_Key] = set()
        """Symbols of which something was dropped since the reader last got one."""
        self.lost = 0

    def put(self, item: Happening) -> None:
        """Wait at the end; the oldest goes when there is no room."""
        if len(self._waiting) >= self._most:
            dropped = self._waiting.popleft()
            self._holes.add((dropped.venue, dropped.symbol))
            self.lost += 1
        self._waiting.append(item)

    def take(self) -> Happening | None:
        """The oldest, marked when others of its symbol were dropped before it."""
        if not self._waiting:
            return None
        item = self._waiting.popleft()
        if self._holes:
            key = (item.venue, item.symbol)
            if key in self._holes:
                self._holes.discard(key)
                return attrs.evolve(item, quality=item.quality | Quality.GAP)
        return item

    def __len__(self) -> int:
        return len(self._waiting)
