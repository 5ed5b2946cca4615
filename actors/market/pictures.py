"""Single pictures: what is answered at once from memory, and what is asked of REST or awaited from a stream.

==============  =====================================================================================
AUTO            memory while fresh; else REST, for half of the asker's patience; else the stream
REST_ONLY       memory while REST's answer is fresh; else REST
WEBSOCKET_ONLY  memory while the stream is fresh; else the stream's next word
==============  =====================================================================================

Who asks the same at the same time shares one request, which ends when the patience of the first asker does.  The answer
is never an exception and never invented: it is a picture with its flags, or `Unanswered` with the reason.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import attrs

from actors.market.bars import Bars
from actors.market.memory import Memory, cut, topic_of
from protocols.backbone import (
    Answer,
    BarsQuery,
    ChannelChoice,
    DepthQuery,
    StreamKind,
    TickerQuery,
    Topic,
    Unanswered,
    UnansweredReason,
)
from protocols.ids import Symbol
from protocols.market import Candle, Depth, Ticker
from supervisors.actor import Context, Later

Job = Callable[[], Awaitable[None]]
PictureQuery = TickerQuery | DepthQuery | BarsQuery
LEVELS_MAX = 5_000
LIMIT_MAX = 10_000
FLIGHTS_MAX = 1_024
"""Different questions that are under way at once."""


class Host(Protocol):
    """What the backbone does for single pictures."""

    ctx: Context

    def start_job(self, job: Job) -> None: ...
    def impossible(self, topic: Topic) -> Unanswered | None: ...
    def is_known(self, symbol: Symbol) -> bool: ...
    def bars(self, topic: Topic) -> tuple[Bars | None, bool]: ...
    async def listen(self, topic: Topic, deadline_ns: int) -> Ticker | Depth | None: ...
    async def tickers(self, symbols: Sequence[Symbol], deadline_ns: int) -> dict[Symbol, Ticker] | Unanswered: ...
    async def depth(self, symbol: Symbol, levels: int, deadline_ns: int) -> Depth | Unanswered: ...
    async def history(self, query: BarsQuery, deadline_ns: int) -> tuple[Candle, ...] | Unanswered: ...


@attrs.define
class _Flight:
    """A question that was asked, of REST or of a stream."""

    since_ns: int
    """Monotonic."""
    awaits: str
    waiting: list[Later] = attrs.Factory(list)
    """Who wants the answer."""


class Pictures:
    """Of one venue."""

    def __init__(self, host: Host, memory: Memory) -> None:
        self._host = host
        self._memory = memory
        self._flights: dict[tuple[object, ...], _Flight] = {}
        self._answered = 0
        self._unanswered = 0
        self._shared = 0

    def answer(self, query: PictureQuery) -> Answer | Later:
        """At once, or later."""
        at_hand = self._at_hand(query)
        if at_hand is not None:
            self._count(at_hand, 1)
            return at_hand
        question = _question(query)
        flight = self._flights.get(question)
        if flight is not None:
            self._shared += 1
        elif len(self._flights) >= FLIGHTS_MAX:
            self._unanswered += 1
            text = f"{FLIGHTS_MAX} other questions are under way at {self._host.ctx.path}"
            return Unanswered(UnansweredReason.TOO_LATE, text)
        else:
            flight = self._flights[question] = _Flight(self._host.ctx.monotonic_ns, "its turn")
            self._host.start_job(lambda: self._fly(query, question, flight))
        later = Later()
        flight.waiting.append(later)
        return later

    def awaited(self, query: PictureQuery) -> str:
        """What the answer to a question waits for; "" when it is not under way."""
        flight = self._flights.get(_question(query))
        if flight is None:
            return ""
        return f"{flight.awaits}, for {(self._host.ctx.monotonic_ns - flight.since_ns) / 1e9:.1f} s"

    async def _fly(self, query: PictureQuery, question: tuple[object, ...], flight: _Flight) -> None:
        found = await self._ask(query, flight)
        del self._flights[question]
        self._count(found, len(flight.waiting))
        for later in flight.waiting:
            later.resolve(found)

    def _count(self, answer: Answer, askers: int) -> None:
        if isinstance(answer, Unanswered):
            self._unanswered += askers
        else:
            self._answered += askers

    # ---- at hand ------------------------------------------------------------------------------------------------

    def _at_hand(self, query: PictureQuery) -> Answer | None:
        if isinstance(query, BarsQuery):
            return _mistake("limit", query.limit, LIMIT_MAX) or self._bars_at_hand(query)
        now_ns = self._host.ctx.monotonic_ns
        if isinstance(query, TickerQuery):
            return self._memory.find(_topic(query), query.choice, query.max_age_ns, now_ns)
        mistake = _mistake("levels", query.levels, LEVELS_MAX)
        if mistake is not None or query.levels > self._memory.levels:
            return mistake
        depth = self._memory.find(_topic(query), query.choice, query.max_age_ns, now_ns)
        return cut(depth, query.levels) if isinstance(depth, Depth) else None

    def _bars_at_hand(self, query: BarsQuery) -> Answer | None:
        """Those that are built here, or the last answer while no newer bar can have closed."""
        topic = (StreamKind.CANDLES, query.symbol, query.interval_ns)
        bars, is_whole = self._host.bars(topic)
        if query.choice is ChannelChoice.WEBSOCKET_ONLY and bars is None:
            text = f"no bars of {query.symbol} are streamed at {query.interval_ns} ns; stream_candles makes them"
            return Unanswered(UnansweredReason.NO_SUCH_CHANNEL, text)
        if bars is not None and query.choice is not ChannelChoice.REST_ONLY:
            is_enough = is_whole and len(bars.closed) >= query.limit
            if is_enough or query.choice is ChannelChoice.WEBSOCKET_ONLY:
                self._memory.at_hand += 1
                return tuple(bars.closed)[-query.limit :]
        return self._memory.find_bars(topic, query.limit, self._host.ctx.monotonic_ns)

    # ---- asked --------------------------------------------------------------------------------------------------

    async def _ask(self, query: PictureQuery, flight: _Flight) -> Answer:
        flight.awaits = "an answer of REST"
        deadline_ns = flight.since_ns + query.patience_ns
        if isinstance(query, BarsQuery):
            return await self._host.history(query, deadline_ns)
        why: Unanswered | None = None
        if query.choice is not ChannelChoice.WEBSOCKET_ONLY:
            alone = query.choice is ChannelChoice.REST_ONLY
            found = await self._by_rest(query, deadline_ns if alone else deadline_ns - query.patience_ns // 2)
            if not isinstance(found, Unanswered) or alone or found.reason is UnansweredReason.NO_SUCH_SYMBOL:
                return found
            why = found
        flight.awaits = "the stream's next word" + (f" (REST: {why.text})" if why else "")
        return await self._by_stream(query, deadline_ns, why)

    async def _by_rest(self, query: TickerQuery | DepthQuery, deadline_ns: int) -> Ticker | Depth | Unanswered:
        if isinstance(query, DepthQuery):
            return await self._host.depth(query.symbol, query.levels, deadline_ns)
        found = await self._host.tickers((query.symbol,), deadline_ns)
        return found if isinstance(found, Unanswered) else found[query.symbol]

    async def _by_stream(
        self, query: TickerQuery | DepthQuery, deadline_ns: int, why: Unanswered | None
    ) -> Ticker | Depth | Unanswered:
        topic = _topic(query)
        impossible = self._host.impossible(topic)
        if impossible is not None:
            return why or impossible
        heard = await self._host.listen(topic, deadline_ns)
        if heard is not None:
            return cut(heard, query.levels) if isinstance(heard, Depth) and isinstance(query, DepthQuery) else heard
        if why is None and not self._host.is_known(query.symbol):
            return Unanswered(UnansweredReason.NO_SUCH_SYMBOL, f"nothing shows that there is a {query.symbol}")
        text = f"the stream has said nothing about {query.symbol} in time" + (f"; REST: {why.text}" if why else "")
        return Unanswered(UnansweredReason.TOO_LATE, text)

    def inspect(self) -> Mapping[str, object]:
        """Figures for the console."""
        memory = self._memory
        reads = memory.hits + memory.misses
        return {
            "pictures": len(memory),
            "hits": memory.hits,
            "misses": memory.misses,
            "hit_rate": f"{100 * memory.hits / reads:.1f} %" if reads else "",
            "answered": self._answered,
            "unanswered": self._unanswered,
            "shared": self._shared,
        }


def _question(query: PictureQuery) -> tuple[object, ...]:
    """What is asked, whoever asks and for how long."""
    if isinstance(query, BarsQuery):
        return (BarsQuery, query.symbol, query.interval_ns, query.limit, query.choice)
    return (type(query), query.symbol, query.levels if isinstance(query, DepthQuery) else 0, query.choice)


def _topic(query: TickerQuery | DepthQuery) -> Topic:
    kind = StreamKind.TICKER if isinstance(query, TickerQuery) else StreamKind.BOOK
    return topic_of(kind, query.symbol)


def _mistake(field: str, value: int, most: int) -> Unanswered | None:
    if 0 < value <= most:
        return None
    return Unanswered(UnansweredReason.NO_SUCH_CHANNEL, f"{field} was {value}, must be 1 to {most}")
