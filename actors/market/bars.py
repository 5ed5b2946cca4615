"""Bars of one symbol and one length, from trades, each told once and in order, holes healed by the venue's own version.

`CandleBuilder` says what the trades say.  A bar that may lack trades is held back here while the venue is asked for its
own version; later bars wait behind it, because order matters more than a second.  Only when the venue has failed to
say it `HEAL_ATTEMPTS` times is the bar told as it is, with `has_gap`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from actors.market.candles import CandleBuilder
from protocols.ids import Symbol, Venue
from protocols.market import Candle, Trade

HEAL_ATTEMPTS = 5


class Bars:
    """`history`: closed bars that are kept."""

    __slots__ = ("_attempts", "_builder", "_held", "_last_ns", "closed", "interval_ns")

    def __init__(self, venue: Venue, symbol: Symbol, interval_ns: int, history: int) -> None:
        self.interval_ns = interval_ns
        self._builder = CandleBuilder(venue, symbol, interval_ns)
        self._held: deque[Candle] = deque()
        self._attempts = 0
        self._last_ns = -1
        """Opening of the newest bar that is told, or held."""
        self.closed: deque[Candle] = deque(maxlen=history)
        """What was told, and the history before it; oldest first."""

    @property
    def held(self) -> int:
        """Bars that wait for the venue's version of the first of them."""
        return len(self._held)

    @property
    def late_trades(self) -> int:
        """Trades that came after their bar was closed; they changed nothing."""
        return self._builder.late_trades

    def start(self, history: Sequence[Candle]) -> None:
        """Go on after the venue's bars; the one under way was not heard from its beginning."""
        self.closed.extend(history)
        self._last_ns = history[-1].open_ns if history else -1
        self._builder.continue_from(history)

    def interrupt(self) -> None:
        """From here on trades may be missing."""
        self._builder.interrupt()

    def doubt(self) -> None:
        """The bar under way may lack a trade."""
        self._builder.doubt()

    def resume(self) -> None:
        """Trades are complete again."""
        self._builder.resume()

    def add(self, trade: Trade, *, after_hole: bool = False) -> list[Candle]:
        """Take a trade; the bars that can be told now.  `after_hole`: others may be missing before it."""
        if after_hole:
            closed = self._builder.add_after_hole(trade)
            # Bars of a clock that was wrong have not happened; what was told of it stays told.
            if any(bar.open_ns > trade.event_ns for bar in self._held):
                self._held = deque(bar for bar in self._held if bar.open_ns <= trade.event_ns - self.interval_ns)
                newest = self._held or self.closed
                self._last_ns = newest[-1].open_ns if newest else -1
        else:
            closed = self._builder.add(trade)
        return self._tell(closed) if closed else closed

    def close_until(self, venue_ns: int) -> list[Candle]:
        """The venue's clock has passed `venue_ns`; the bars that can be told now."""
        closed = self._builder.close_until(venue_ns)
        return self._tell(closed) if closed else closed

    def heal(self, theirs: Iterable[Candle]) -> list[Candle]:
        """The venue's version of recent bars (none: it could not be asked); the bars that can be told now."""
        known = {bar.open_ns: bar for bar in theirs if not bar.has_gap}
        told: list[Candle] = []
        self._attempts += 1
        while self._held:
            bar = self._held[0]
            if bar.has_gap:
                healed = known.get(bar.open_ns)
                if healed is None and self._attempts < HEAL_ATTEMPTS:
                    break
                bar = healed or bar
            self._held.popleft()
            told.append(bar)
        else:
            self._attempts = 0
        self.closed.extend(told)
        return told

    def _tell(self, bars: Sequence[Candle]) -> list[Candle]:
        told: list[Candle] = []
        for bar in bars:
            if bar.open_ns <= self._last_ns:
                continue  # each once, also after the clock went back
            self._last_ns = bar.open_ns
            if bar.has_gap or self._held:
                self._held.append(bar)
            else:
                told.append(bar)
        self.closed.extend(told)
        return told
