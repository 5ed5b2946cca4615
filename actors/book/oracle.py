"""The venue's own best bid and ask as judge of a book.

The last ticker of the ids that a change covers must equal the book's top after it.  The two streams are not in step, so
a top is judged when a ticker of later ids shows that all of its own have arrived.  Where tickers have no id of the
book's counting (`update_id` 0), nothing can be compared.
"""

from __future__ import annotations

from collections import deque

from protocols.market import BookTicker, Quote

__all__ = ["TickerOracle"]

_TICKERS_KEPT = 4_096
_TOPS_KEPT = 64
"""Changes whose tickers may still be on their way."""
_CONFIRMED = 2
"""Disagreements in a row that cost the book its proof: one may be a late ticker."""


class TickerOracle:
    """Judge of one book."""

    __slots__ = ("_in_a_row", "_tickers", "_tops", "compared", "disagreed")

    def __init__(self) -> None:
        self.compared = 0
        self.disagreed = 0
        self._in_a_row = 0
        self._tops: deque[tuple[int, int, Quote]] = deque(maxlen=_TOPS_KEPT)
        """First id, last id and top after each change that no ticker has judged yet."""
        self._tickers: deque[BookTicker] = deque(maxlen=_TICKERS_KEPT)

    @property
    def refutes(self) -> bool:
        """The book is not the venue's."""
        return self._in_a_row >= _CONFIRMED

    def clear(self) -> None:
        """The book begins anew."""
        self._tops.clear()
        self._tickers.clear()
        self._in_a_row = 0

    def ticker(self, ticker: BookTicker) -> None:
        """What the venue says."""
        if ticker.update_id:
            self._tickers.append(ticker)
            if self._tops:
                self._judge()

    def top(self, first_id: int, last_id: int, quote: Quote) -> None:
        """What the book says after the changes of these ids."""
        self._tops.append((first_id, last_id, quote))
        self._judge()

    def _judge(self) -> None:
        tickers, tops = self._tickers, self._tops
        while tops and tickers and tickers[-1].update_id > tops[0][1]:
            first_id, last_id, quote = tops.popleft()
            newest: BookTicker | None = None
            while tickers[0].update_id <= last_id:
                newest = tickers.popleft()
            if newest is not None and newest.update_id >= first_id:
                self._compare(newest, quote)

    def _compare(self, ticker: BookTicker, quote: Quote) -> None:
        self.compared += 1
        if (
            ticker.bid_px == quote.bid_px
            and ticker.bid_qty == quote.bid_qty
            and ticker.ask_px == quote.ask_px
            and ticker.ask_qty == quote.ask_qty
        ):
            self._in_a_row = 0
            return
        self.disagreed += 1
        self._in_a_row += 1
