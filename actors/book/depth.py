"""Who reads a book's best levels, and what each of them was told last."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from actors.book.levels import OrderBook
from protocols.ids import Path, Symbol, Venue
from protocols.market import Depth

__all__ = ["DepthReaders"]


class DepthReaders:
    """Of one book.  Building the levels costs ten times as much as repeating them, so an unchanged book repeats."""

    __slots__ = ("_book", "_last", "_levels", "_symbol", "_venue")

    def __init__(self, venue: Venue, symbol: Symbol, book: OrderBook) -> None:
        self._venue = venue
        self._symbol = symbol
        self._book = book
        self._levels: dict[Path, int] = {}
        self._last: dict[int, Depth] = {}
        """By number of levels."""

    def add(self, reader: Path, levels: int) -> None:
        """From now on; asking again changes the number."""
        self._levels[reader] = max(1, levels)

    def remove(self, reader: Path) -> None:
        """No more."""
        self._levels.pop(reader, None)

    def changed(self, event_ns: int, received_ns: int, last_id: int) -> Iterator[tuple[Path, Depth]]:
        """The levels as they are now, for each reader."""
        self._last.clear()
        book = self._book
        for reader, levels in self._levels.items():
            depth = self._last.get(levels)
            if depth is None:
                bids, asks = book.bids.top(levels), book.asks.top(levels)
                depth = Depth(self._venue, self._symbol, event_ns, received_ns, bids, asks, last_id)
                self._last[levels] = depth
            yield reader, depth

    def repeated(self, received_ns: int) -> Iterator[tuple[Path, Depth]]:
        """What each reader was told last: nothing has changed since."""
        for reader, levels in self._levels.items():
            depth = self._last.get(levels)
            if depth is not None:
                yield reader, attrs.evolve(depth, received_ns=received_ns)

    def __iter__(self) -> Iterator[Path]:
        return iter(self._levels)

    def __bool__(self) -> bool:
        return bool(self._levels)
