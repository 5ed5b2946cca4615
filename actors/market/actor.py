"""The candle actor: `/venues/<venue>/candles/<symbol>` turns one symbol's trades into bars for its readers.

At the start it asks the venue's REST session for history, so that a strategy need not wait for days until its
indicators are warm; from then on it builds from the trades that the book publishes.  Readers get closed bars only, the
longer interval first when several end together, each once, in order.

The bar in which we began to listen, and every bar during which the stream was interrupted, is incomplete.  Such a bar
is held back while the venue is asked for its own version (`actors.market.bars`).

Bars are closed by the venue's clock, estimated as the newest trade's event time plus what has passed here since: no
clock comparison is needed, and a recording at any speed works like the real thing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

from actors.market.bars import Bars
from actors.market.candles import SECOND_NS, join
from actors.market.paging import fetch_pages
from actors.market.tape import Tape
from protocols.backbone import Unanswered
from protocols.base import Event, Message, Query, message
from protocols.enums import GapReason, Quality
from protocols.ids import Path, Symbol, Venue
from protocols.market import Candle, GapClosed, GapOpened, Subscribe, Trade, Unsubscribe
from protocols.reconcile import CandlesQuery, book_path, rest_path
from supervisors.actor import Actor, AskError, Later

GRACE_NS = 2 * SECOND_NS
"""How long after its end a bar waits for a late trade of its own."""
ASK_TIMEOUT_NS = 10 * SECOND_NS
MARGIN_NS = SECOND_NS // 2
START_ATTEMPTS = 3
HEAL_PAUSE_NS = SECOND_NS

HISTORY_INTERVALS_S = (86_400, 43_200, 28_800, 21_600, 14_400, 7_200, 3_600, 1_800, 900, 300, 180, 60, 1)
"""Intervals that venues keep history of, longest first; others are joined from the longest that divides them."""
HISTORY_MAX = 1_000
"""Of the venue's bars that are fetched at once, in several requests where one brings fewer."""

REPEATED_BARS = 10
"""Newest bars of the history that are sent to the readers at the start: those that ended while this actor was down are
news to them, the others they know by `open_ns`."""

TRADES_LOST = frozenset(
    {GapReason.STARTING, GapReason.DISCONNECTED, GapReason.STALE, GapReason.OVERFLOW, GapReason.VENUE_RESET}
)
"""Gaps in which trades may be missing; a hole in the book's own sequence (SEQUENCE, CROSSED) loses none."""


def source_interval_ns(interval_ns: int) -> int:
    """The venue interval that bars of `interval_ns` can be joined from."""
    for seconds in HISTORY_INTERVALS_S:
        if interval_ns % (seconds * SECOND_NS) == 0:
            return seconds * SECOND_NS
    raise ValueError(f"interval_ns was {interval_ns}, must be a whole number of seconds")


@message
class GraceOver(Event):
    """Time to close bars that no trade has closed."""


@message
class BarsFetched(Event):
    """The venue's own version of recent bars of one interval; empty when it could not be asked."""

    interval_ns: int
    bars: tuple[Candle, ...]


class CandleActor(Actor):
    """Bars of one symbol in several intervals."""

    def __init__(
        self,
        venue: Venue,
        symbol: Symbol,
        intervals_ns: Iterable[int],
        readers: Iterable[Path] = (),
        *,
        history: int = HISTORY_MAX,
    ) -> None:
        """`history`: closed bars kept for each interval, and fetched at the start."""
        intervals = sorted(set(intervals_ns), reverse=True)
        if not intervals:
            raise ValueError("intervals_ns was empty, must name at least one interval")
        self._venue = venue
        self._symbol = symbol
        self._sources = {interval: source_interval_ns(interval) for interval in intervals}
        self._bars = {interval: Bars(venue, symbol, interval, history) for interval in intervals}
        self._readers: dict[Path, None] = dict.fromkeys(readers)
        self._history = history
        self._gaps: set[str] = set()
        self._tape = Tape()
        self._published = 0
        self._no_history = ""

    # ---- start: history ----------------------------------------------------------------------------------------

    async def started(self) -> None:
        """Fetch history; without it the actor starts cold and says so, because the trades are still worth having."""
        await self.ctx.wait_ready(rest_path(self._venue))
        for interval_ns, bars in self._bars.items():
            history = await self._fetch_patiently(interval_ns)
            bars.start(history)
            self._repeat(list(history)[-REPEATED_BARS:])
        self.ctx.send(book_path(self._venue, self._symbol), Subscribe(self._symbol, self.ctx.path))
        self.ctx.after(GRACE_NS, GraceOver())

    def _repeat(self, bars: Sequence[Candle]) -> None:
        """All but the newest are too old to decide upon, which is what their mark says."""
        for bar in bars[:-1]:
            self._tell(attrs.evolve(bar, has_gap=True))
        for bar in bars[-1:]:
            self._tell(bar)

    async def _fetch_patiently(self, interval_ns: int) -> Sequence[Candle]:
        for attempt in range(START_ATTEMPTS):
            try:
                bars = await self._fetch(interval_ns, self._history)
                self._no_history = ""
                return bars
            except AskError as error:
                self._no_history = str(error)
                await self.ctx.sleep(HEAL_PAUSE_NS << attempt)
        return ()

    async def _fetch(self, interval_ns: int, count: int) -> Sequence[Candle]:
        source_ns = self._sources[interval_ns]

        async def page(limit: int, end_ns: int | None) -> object:
            query = CandlesQuery(self._symbol, source_ns, limit, end_ns, ASK_TIMEOUT_NS)
            return await self.ctx.ask(rest_path(self._venue), query, ASK_TIMEOUT_NS + MARGIN_NS)

        bars = await fetch_pages(page, min(HISTORY_MAX, (count + 1) * (interval_ns // source_ns)))
        if isinstance(bars, Unanswered):
            raise AskError(bars.text)
        assert isinstance(bars, tuple)
        return join(bars, interval_ns)

    async def run(self) -> None:
        """Ask the venue for bars that are held back because of a gap."""
        while True:
            await self.ctx.sleep(HEAL_PAUSE_NS)
            for interval_ns, bars in self._bars.items():
                if bars.held:
                    try:
                        theirs = tuple(await self._fetch(interval_ns, bars.held + 1))
                    except AskError:
                        theirs = ()
                    self.ctx.send(self.ctx.path, BarsFetched(interval_ns, theirs))

    # ---- messages ----------------------------------------------------------------------------------------------

    def receive(self, message: Message) -> None:
        if isinstance(message, Trade):
            self._on_trade(message)
        elif isinstance(message, GraceOver):
            self._close_by_time()
            self.ctx.after(min(GRACE_NS, min(self._bars)), message)
        elif isinstance(message, GapOpened):
            if message.reason in TRADES_LOST:
                self._gaps.add(message.stream)
                for bars in self._bars.values():
                    bars.interrupt()
        elif isinstance(message, GapClosed):
            self._gaps.discard(message.stream)
            if not self._gaps:
                for bars in self._bars.values():
                    bars.resume()
        elif isinstance(message, BarsFetched):
            self._publish(self._bars[message.interval_ns].heal(message.bars))
        elif isinstance(message, Subscribe):
            self._readers[message.reader] = None
        elif isinstance(message, Unsubscribe):
            self._readers.pop(message.reader, None)

    def _on_trade(self, trade: Trade) -> None:
        odd = self._tape.judge(trade, self.ctx.monotonic_ns)
        if odd is None:
            return
        for bars in self._bars.values():
            if Quality.LEAP in odd:
                bars.doubt()
            else:
                self._publish(bars.add(trade, after_hole=self._tape.is_new_clock))

    def answer(self, query: Query) -> object:
        """`CandlesQuery`: the newest closed bars of an interval that this actor builds."""
        if not isinstance(query, CandlesQuery):
            return super().answer(query)
        kept = self._bars.get(query.interval_ns)
        if query.symbol != self._symbol or kept is None:
            refusal = Later()  # the asker's mistake is no reason to crash
            refusal.fail(f"{self.ctx.path} builds no bars of {query.symbol} at {query.interval_ns} ns")
            return refusal
        bars = [bar for bar in kept.closed if query.end_ns is None or bar.open_ns < query.end_ns]
        return tuple(bars[-query.limit :]) if query.limit > 0 else ()

    def _close_by_time(self) -> None:
        if not self._tape.event_ns:
            return
        venue_ns = self._tape.now_ns(self.ctx.monotonic_ns) - GRACE_NS
        for bars in self._bars.values():
            self._publish(bars.close_until(venue_ns))

    def _publish(self, told: Sequence[Candle]) -> None:
        for bar in told:
            self._published += 1
            self._tell(bar)

    def _tell(self, bar: Candle) -> None:
        for reader in self._readers:
            self.ctx.send(reader, bar)

    def inspect(self) -> Mapping[str, object]:
        return {
            "symbol": self._symbol,
            "bars": {f"{ns / SECOND_NS:g} s": len(bars.closed) for ns, bars in self._bars.items()},
            "held": sum(bars.held for bars in self._bars.values()),
            "repeated_trades": self._tape.repeated,
            "late_trades": max(bars.late_trades for bars in self._bars.values()),
            "published": self._published,
            "open_gaps": sorted(self._gaps),
            "no_history": self._no_history,
            "readers": list(self._readers),
        }
