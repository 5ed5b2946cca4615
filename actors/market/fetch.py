"""Asking a venue's REST session under a breaker, a retry budget and a deadline.

What comes back is the answer, or `Unanswered`: a venue that is away is an expected outcome.  A refusal by a venue that
is well (no such symbol) closes the breaker like any answer, because the endpoint works; what our own session or limiter
held back says nothing about the venue and moves no breaker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import attrs
import trio

from actors.market.breaker import Breaker, BreakerSettings, RetryBudget
from actors.market.candles import join
from actors.market.paging import PAGES_MAX, fetch_pages, pages_needed
from protocols.backbone import RestBookQuery, RestTickersQuery, Unanswered, UnansweredReason
from protocols.enums import Source
from protocols.ids import Path, Symbol, Venue
from protocols.market import BookSnapshot, Candle, Depth, Ticker
from protocols.reconcile import CandlesQuery
from protocols.venue import VenueError
from supervisors.actor import AskError, Context

FAIR_NS = 1_000_000_000
"""Who gives an answer less time than this cannot blame the venue for coming too late."""
EARLIER_NS = 50_000_000
"""How much sooner than its asker the session gives up."""
PAUSE_NS = 100_000_000
"""Before the first retry; doubles, with jitter."""

RestQuery = RestTickersQuery | RestBookQuery | CandlesQuery


class RestDoor:
    """REST of one venue, for all endpoints that the backbone uses."""

    def __init__(
        self, ctx: Context, rest: Path, breaker: BreakerSettings | None = None, budget: RetryBudget | None = None
    ) -> None:
        self._ctx = ctx
        self._rest = rest
        self._settings = breaker or BreakerSettings()
        self._budget = budget or RetryBudget()
        self._breakers: dict[str, Breaker] = {}
        self.asked = 0
        self.failed = 0
        self.failure = ""
        """The last one."""

    async def ask(self, endpoint: str, query: RestQuery, deadline_ns: int) -> Any:
        """The session's answer, or `Unanswered`; never later than `deadline_ns` (monotonic)."""
        breaker = self._breakers.setdefault(endpoint, Breaker(self._settings))
        self._budget.requested()
        pause_ns = PAUSE_NS
        text = ""
        while True:
            left_ns = deadline_ns - self._ctx.monotonic_ns
            if left_ns <= 0:
                return Unanswered(UnansweredReason.TOO_LATE, f"no time is left for {endpoint}{_because(text)}")
            if not await self._is_open(left_ns):
                return Unanswered(UnansweredReason.VENUE_DOWN, f"{self._rest} is not ready")
            left_ns = deadline_ns - self._ctx.monotonic_ns
            if not breaker.allows(self._ctx.monotonic_ns):
                why = f"{endpoint} has failed too often{_because(text or self.failure)}"
                return Unanswered(UnansweredReason.CIRCUIT_OPEN, why)
            found = await self._try(breaker, query, left_ns)
            if not isinstance(found, AskError):
                return self._judge(found)
            text = str(found)
            left_ns = deadline_ns - self._ctx.monotonic_ns
            if left_ns > 0 and (left_ns <= pause_ns or not self._budget.take()):
                return Unanswered(UnansweredReason.VENUE_DOWN, text)
            await self._ctx.sleep(pause_ns // 2 + int(pause_ns * self._ctx.random()) // 2)
            pause_ns *= 2

    async def _is_open(self, left_ns: int) -> bool:
        """A session of ours that is just starting is waited for: that is no failure of the venue."""
        with trio.move_on_after(left_ns / 1e9):
            await self._ctx.wait_ready(self._rest)
            return True
        return False

    async def _try(self, breaker: Breaker, query: RestQuery, left_ns: int) -> object:
        """One attempt, settled with the breaker however it ends; the error is a value here."""
        self.asked += 1
        began_ns = self._ctx.monotonic_ns
        settle: Callable[[], None] = breaker.abandoned
        try:
            # The session gives up a little earlier than we do: it can say what it was waiting for.
            patient = attrs.evolve(query, patience_ns=max(left_ns - min(left_ns // 20, EARLIER_NS), 1))
            found: object = await self._ctx.ask(self._rest, patient, left_ns)
            if not isinstance(found, Unanswered):
                settle = breaker.succeeded
        except AskError as error:
            found = error
            self.failed += 1
            self.failure = str(error)
            took_ns = self._ctx.monotonic_ns - began_ns
            if took_ns < left_ns * 9 // 10 or left_ns >= FAIR_NS:
                settle = partial(breaker.failed, self._ctx.monotonic_ns)
        finally:
            settle()
        return found

    @staticmethod
    def _judge(found: object) -> object:
        if isinstance(found, VenueError):
            return Unanswered(UnansweredReason.NO_SUCH_SYMBOL, f"{found.code} {found.text}".strip())
        return found

    def inspect(self) -> Mapping[str, object]:
        """Figures, and the state of each breaker."""
        now_ns = self._ctx.monotonic_ns
        return {
            "rest_asked": self.asked,
            "rest_failed": self.failed,
            "rest_failure": self.failure,
            "rest_retries": self._budget.spent,
            "breakers": {
                name: f"{breaker.state(now_ns).value}, opened {breaker.opened}"
                for name, breaker in self._breakers.items()
            },
        }


class VenueRest:
    """What the backbone asks one venue's REST for, in our words."""

    def __init__(self, venue: Venue, door: RestDoor, lengths_ns: Iterable[int], candles_max: int) -> None:
        """`lengths_ns`: bars that the venue has; `candles_max`: how many one request brings."""
        self._venue = venue
        self.door = door
        self._lengths = tuple(lengths_ns)
        self._candles_max = candles_max

    async def tickers(self, symbols: Sequence[Symbol], deadline_ns: int) -> dict[Symbol, Ticker] | Unanswered:
        """Those that the venue has; NO_SUCH_SYMBOL when it has none of them."""
        found = await self.door.ask("tickers", RestTickersQuery(tuple(symbols)), deadline_ns)
        if isinstance(found, Unanswered):
            return found
        wanted = set(symbols)
        rows = {ticker.symbol: ticker for ticker in found if ticker.symbol in wanted}
        if not rows:
            return Unanswered(UnansweredReason.NO_SUCH_SYMBOL, f"{self._venue} has no {', '.join(symbols)}")
        return rows

    async def depth(self, symbol: Symbol, levels: int, deadline_ns: int) -> Depth | Unanswered:
        """At most `levels` a side."""
        found = await self.door.ask("book", RestBookQuery(symbol, levels), deadline_ns)
        if isinstance(found, Unanswered):
            return found
        assert isinstance(found, BookSnapshot)
        bids, asks = found.bids[:levels], found.asks[:levels]
        return Depth(
            self._venue, symbol, found.event_ns, found.received_ns, bids, asks, found.last_id, source=Source.REST
        )

    async def bars(
        self, symbol: Symbol, interval_ns: int, count: int, deadline_ns: int
    ) -> tuple[Candle, ...] | Unanswered:
        """The newest closed bars, oldest first, joined from shorter ones where the venue has none of this length.

        In as many requests as it takes, each under breaker and limits, all of them before `deadline_ns`.
        """
        source_ns = max((length for length in self._lengths if interval_ns % length == 0), default=0)
        if not source_ns:
            text = f"{self._venue} has no bars that {interval_ns} ns can be made of"
            return Unanswered(UnansweredReason.NO_SUCH_CHANNEL, text)
        parts = interval_ns // source_ns
        rows = count if parts == 1 else (count + 1) * parts
        pages = pages_needed(rows, self._candles_max)
        if pages > PAGES_MAX:
            text = (
                f"{count} bars take {pages} requests of {self._candles_max} bars each, and {PAGES_MAX} are allowed: "
                "ask for fewer, or fetch them once with `bulkhead download`"
            )
            return Unanswered(UnansweredReason.NO_SUCH_CHANNEL, text)

        async def page(limit: int, end_ns: int | None) -> object:
            query = CandlesQuery(symbol, source_ns, min(self._candles_max, limit), end_ns)
            return await self.door.ask("candles", query, deadline_ns)

        found = await fetch_pages(page, rows)
        if isinstance(found, Unanswered):
            return found
        assert isinstance(found, tuple)
        return tuple(join(found, interval_ns))[-count:]


def _because(text: str) -> str:
    return f": {text}" if text else ""
