"""The market-data backbone of one venue, `/market/<venue>`: streams counted by reader, single pictures from wherever
they are fresh, everything with its source, its times and what is wrong with it.

Streams.  A reader says `StreamWanted`; the first one makes this actor subscribe at the venue's public session, the
last one's `StreamUnwanted` ends that.  The wishes live in `Readers`, outside of this incarnation, as those of the
session live in its `Wants`: whichever of the two restarts, the streams go on.  Books come from the book actors, which
prove them; bars are built here from trades (`actors.market.bars`).

Pictures.  `TickerQuery`, `DepthQuery` and `BarsQuery` are answered from memory while that is fresh, else by REST or by
listening to the stream for a while (`actors.market.pictures`).

Nothing is repaired: what the checks find (`actors.market.checks`) becomes a flag of the picture and a `DataFlagged`; a
stream that is interrupted repeats its last picture as UNPROVEN, and the first trade after a hole says GAP.

One file because it is one actor; everything of it that can be told apart has a module of its own beside this.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import attrs
import trio

from actors.market.actor import GRACE_NS
from actors.market.bars import Bars
from actors.market.fetch import RestDoor, VenueRest
from actors.market.memory import Memory, topic_of
from actors.market.pictures import Job, PictureQuery, Pictures
from actors.market.readers import Readers
from actors.market.settings import SECOND_NS, MarketSettings
from actors.market.tape import Tape
from actors.market.upstream import Stream, Upstream, stream_of
from protocols.backbone import (
    AwaitedQuery,
    BarsQuery,
    DataFlagged,
    StreamKind,
    StreamRefused,
    StreamUnwanted,
    StreamWanted,
    Topic,
    Unanswered,
    UnansweredReason,
    WarmUp,
)
from protocols.base import Event, Message, Query, message
from protocols.enums import Channel, Quality
from protocols.ids import Symbol, Venue
from protocols.market import (
    CANDLE_LENGTHS_NS,
    Candle,
    Depth,
    GapClosed,
    GapOpened,
    StreamDown,
    StreamUp,
    Subscribe,
    Ticker,
    Trade,
    Unsubscribe,
    UnwatchDepth,
    WatchDepth,
)
from protocols.reconcile import book_path, public_path, rest_path
from supervisors.actor import Actor, Down, Up

BACKGROUND_NS = 10 * SECOND_NS
"""Deadline of what nobody waits for."""
HISTORY_ATTEMPTS = 3
AUDITED_BARS = 5

_TICKER, _BOOK, _TRADES, _CANDLES = StreamKind.TICKER, StreamKind.BOOK, StreamKind.TRADES, StreamKind.CANDLES


@message
class _Tick(Event):
    """Time to close bars that no trade has closed."""


@message
class _Left(Event):
    """A stream that a single picture needed has been listened to for long enough."""

    topic: Topic


class MarketActor(Actor):
    """See the module text."""

    def __init__(
        self,
        venue: Venue,
        symbols: Iterable[Symbol],
        channels: Iterable[Channel],
        readers: Readers,
        *,
        candles_max: int = 200,
        settings: MarketSettings | None = None,
    ) -> None:
        """`symbols`: those of the configuration, which have books and need no proof that they exist.

        `channels` and `candles_max`: the venue's capabilities.  `readers`: kept by the caller over restarts.
        """
        self._venue = venue
        self._configured = tuple(symbols)
        self._channels = frozenset(channels)
        self._candles_max = candles_max
        self._readers = readers
        self._settings = settings or MarketSettings()
        self._public = public_path(venue)
        self._known = set(self._configured)
        """Symbols that surely exist."""
        self._unproven: dict[Topic, None] = {}
        """Wanted streams of symbols of which that is not known yet."""
        self._upstream = Upstream()
        self._memory = Memory(venue, self._settings)
        self._bars: dict[Topic, Bars] = {}
        self._tapes: dict[Symbol, Tape] = {}
        self._heard: dict[Topic, trio.Event] = {}
        """Single pictures wait for these."""
        self._pictures = Pictures(self, self._memory)
        self._nursery: trio.Nursery | None = None
        self._early: list[Job] = []
        """Jobs that came before this actor ran."""
        self._healing: set[Topic] = set()
        self._listened: dict[Topic, int] = {}
        """Streams that single pictures need, and until when (monotonic)."""
        self._flags: deque[DataFlagged] = deque(maxlen=50)
        self._counts = dict.fromkeys(
            ("tickers", "depths", "trades", "repeated", "odd_trades", "bars", "gaps", "flagged"), 0
        )
        self._handlers = self._by_type()

    def _by_type(self) -> dict[type[Message], Callable[[Any], None]]:
        return {
            Depth: self._on_depth,
            Ticker: self._on_ticker,
            Trade: self._on_trade,
            StreamUp: self._on_stream_up,
            StreamDown: self._on_stream_down,
            GapOpened: self._on_gap_opened,
            GapClosed: self._on_gap_closed,
            StreamWanted: self._on_wanted,
            StreamUnwanted: self._on_unwanted,
            Up: self._on_up,
            Down: self._on_down,
            WarmUp: self._on_warm_up,
            _Tick: self._on_tick,
            _Left: self._on_left,
        }

    async def started(self) -> None:
        """Go on with the wishes that there are; what this actor itself had listened to is over."""
        door = RestDoor(self.ctx, rest_path(self._venue), self._settings.breaker)
        lengths = [CANDLE_LENGTHS_NS[channel] for channel in self._channels if channel in CANDLE_LENGTHS_NS]
        self._rest = VenueRest(self._venue, door, lengths, self._candles_max)
        self.ctx.watch(self._public)
        over = [topic for topic in self._readers.topics() if self._readers.remove(topic, self.ctx.path)]
        for topic in self._readers.topics():
            self._open(topic)
        for topic in over:
            self._unsubscribe(topic)
        if self._configured:
            self._on_warm_up(WarmUp(self._configured))
        self.ctx.after(self._settings.tick_ns, _Tick())

    def receive(self, message: Message) -> None:
        """Dispatch by type; KeyError for a message that no backbone understands."""
        self._handlers[type(message)](message)

    # ---- who wants what -----------------------------------------------------------------------------------------

    def _on_wanted(self, wish: StreamWanted) -> None:
        """A further reader of a stream is told at once what it said last."""
        topic = wish.topic
        impossible = self.impossible(topic)
        if impossible is not None:
            self.ctx.send(wish.reader, StreamRefused(self._venue, topic, impossible))
        elif self._readers.add(topic, wish.reader):
            self._open(topic)
        else:
            last = self._memory.last(topic)
            if last is not None:
                self.ctx.send(wish.reader, last)

    def _on_unwanted(self, wish: StreamUnwanted) -> None:
        if self._readers.remove(wish.topic, wish.reader):
            self._close(wish.topic)

    def impossible(self, topic: Topic) -> Unanswered | None:
        """Why there can be no such stream, as far as that is known without asking."""
        kind, symbol, interval_ns = topic
        if kind is _BOOK:
            if symbol in self._configured:
                return None
            text = f"the book of {symbol} is not kept: add it to venues.{self._venue}.symbols"
        elif kind is _CANDLES and (interval_ns <= 0 or interval_ns % SECOND_NS):
            text = f"interval_ns was {interval_ns}, must be a whole number of seconds"
        elif stream_of(topic)[0] not in self._channels:
            text = f"{self._venue} has no stream of {kind.value}"
        else:
            return None
        return Unanswered(UnansweredReason.NO_SUCH_CHANNEL, text)

    def _open(self, topic: Topic) -> None:
        kind, symbol, _ = topic
        if symbol not in self._known:
            self._unproven[topic] = None
            self.start_job(lambda: self._verify(symbol))
        elif kind is _BOOK:
            self.ctx.watch(book_path(self._venue, symbol))
        elif kind is _CANDLES:
            self.start_job(lambda: self._begin_bars(topic))
        else:
            self._subscribe(topic)

    def _close(self, topic: Topic) -> None:
        kind, symbol, _ = topic
        self._unproven.pop(topic, None)
        self._bars.pop(topic, None)
        self._memory.forget(topic)
        if kind is _BOOK:
            self.ctx.send(book_path(self._venue, symbol), UnwatchDepth(symbol, self.ctx.path))
        else:
            self._unsubscribe(topic)

    def _subscribe(self, topic: Topic) -> None:
        stream = self._upstream.need(topic)
        if stream is not None:
            self.ctx.send(self._public, Subscribe(stream[1], self.ctx.path, (stream[0],)))

    def _unsubscribe(self, topic: Topic) -> None:
        """The session serves what it was asked for until it is told otherwise, also by an incarnation before this."""
        stream = self._upstream.release(topic)
        if stream is not None and stream[0] is Channel.TRADES:
            self._tapes.pop(stream[1], None)
        if stream is not None and topic[0] is not _BOOK:
            self.ctx.send(self._public, Unsubscribe(stream[1], self.ctx.path, (stream[0],)))

    async def _verify(self, symbol: Symbol) -> None:
        """Ask the venue whether a symbol exists before anything is subscribed for it."""
        why = await self._find(symbol, self._background())
        topics = [topic for topic in self._unproven if topic[1] == symbol]
        if why is not None and why.reason is not UnansweredReason.NO_SUCH_SYMBOL:
            if topics:
                await self.ctx.sleep(self._settings.verify_pause_ns)
                self.start_job(lambda: self._verify(symbol))
            return
        for topic in topics:
            self._unproven.pop(topic, None)
            if why is None:
                self._open(topic)
            else:
                for reader in self._readers.drop(topic):
                    self.ctx.send(reader, StreamRefused(self._venue, topic, why))
                self._wake(topic)

    async def _find(self, symbol: Symbol, deadline_ns: int) -> Unanswered | None:
        """None when the symbol exists."""
        if symbol in self._known:
            return None
        found = await self.tickers((symbol,), deadline_ns)
        return found if isinstance(found, Unanswered) else None

    # ---- what the streams say -----------------------------------------------------------------------------------

    def _on_ticker(self, ticker: Ticker) -> None:
        self._counts["tickers"] += 1
        self._tell(_TICKER, ticker)

    def _on_depth(self, depth: Depth) -> None:
        self._counts["depths"] += 1
        self._tell(_BOOK, depth)

    def _tell(self, kind: StreamKind, said: Ticker | Depth) -> None:
        picture, news = self._memory.streamed(said, self.ctx.now_ns, self.ctx.monotonic_ns)
        topic = topic_of(kind, picture.symbol)
        self._send(topic, picture)
        if news:
            self._flag(news)
        self._wake(topic)

    def _on_trade(self, trade: Trade) -> None:
        symbol = trade.symbol
        tape = self._tapes.get(symbol)
        if tape is None:
            tape = self._tapes[symbol] = Tape()
        odd = tape.judge(trade, self.ctx.monotonic_ns)
        if odd is None:
            self._counts["repeated"] += 1
            return
        self._counts["trades"] += 1
        if symbol in self._upstream.holes:
            self._upstream.holes.discard(symbol)
            odd |= Quality.GAP
        if odd:
            trade = attrs.evolve(trade, quality=trade.quality | odd)
            if odd is not Quality.GAP:
                self._counts["odd_trades"] += 1
        self._send(topic_of(_TRADES, symbol), trade)
        for topic in self._upstream.topics((Channel.TRADES, symbol)):
            bars = self._bars.get(topic)
            if bars is None:
                continue
            if Quality.LEAP in odd:
                bars.doubt()
            else:
                self._publish(topic, bars.add(trade, after_hole=tape.is_new_clock))

    def _send(self, topic: Topic, item: Message) -> None:
        own = self.ctx.path
        for reader in self._readers.of(topic):
            if reader != own:
                self.ctx.send(reader, item)

    def _flag(self, news: Iterable[DataFlagged]) -> None:
        for one in news:
            self._counts["flagged"] += 1
            self._flags.append(one)
            self.ctx.note("market_data_flagged", f"{self._venue} {one.text}")
            for topic in self._readers.topics():
                if topic[:2] == (one.kind, one.symbol):
                    self._send(topic, one)

    # ---- interruptions ------------------------------------------------------------------------------------------

    def _on_stream_down(self, down: StreamDown) -> None:
        for stream in self._upstream.named(down):
            self._interrupt(stream, down.text)

    def _on_stream_up(self, up: StreamUp) -> None:
        for stream in self._upstream.named(up):
            if self._upstream.resume(stream):
                self._memory.begin_anew(topic_of(_TICKER, stream[1]))
            if stream[0] is Channel.TRADES:
                for bars in self._bars_of(stream[1]):
                    bars.resume()

    def _interrupt(self, stream: Stream, text: str) -> None:
        self._counts["gaps"] += self._upstream.interrupt(stream, text)
        if stream[0] is Channel.TICKER:
            self._doubt(topic_of(_TICKER, stream[1]))
        else:
            for bars in self._bars_of(stream[1]):
                bars.interrupt()

    def _doubt(self, topic: Topic) -> None:
        """Repeat the last picture as what it is now: the last that was known."""
        doubtful = self._memory.doubt(topic, self.ctx.monotonic_ns)
        if doubtful is not None:
            self._send(topic, doubtful)

    def _on_gap_opened(self, gap: GapOpened) -> None:
        if gap.symbol is not None:
            self._counts["gaps"] += 1
            self._doubt(topic_of(_BOOK, gap.symbol))

    def _on_gap_closed(self, gap: GapClosed) -> None:
        """The proven levels come by themselves."""

    def _on_up(self, up: Up) -> None:
        """A book is proven (again): have its levels.  The session's streams say themselves when they are up."""
        if up.path != self._public:
            symbol = Symbol(up.path.rpartition("/")[2])
            if topic_of(_BOOK, symbol) in self._readers:
                self.ctx.send(up.path, WatchDepth(symbol, self.ctx.path, self._settings.levels))

    def _on_down(self, down: Down) -> None:
        if down.path != self._public:
            self._doubt(topic_of(_BOOK, Symbol(down.path.rpartition("/")[2])))
        elif not down.running:
            for stream in self._upstream:
                self._interrupt(stream, f"{down.path}: {down.reason}")

    # ---- bars ---------------------------------------------------------------------------------------------------

    def _bars_of(self, symbol: Symbol) -> list[Bars]:
        return [bars for (_, each, _), bars in self._bars.items() if each == symbol]

    async def _begin_bars(self, topic: Topic) -> None:
        """History, then trades: so the bar under way is known to be incomplete, and nothing is missed after it."""
        history: tuple[Candle, ...] = ()
        for _ in range(HISTORY_ATTEMPTS):
            found = await self._rest.bars(topic[1], topic[2], self._settings.history, self._background())
            if isinstance(found, tuple):
                history = found
                break
            await self.ctx.sleep(self._settings.heal_pause_ns)
        if topic in self._readers and topic not in self._bars:
            bars = self._bars[topic] = Bars(self._venue, topic[1], topic[2], self._settings.history)
            bars.start(history)
            self._subscribe(topic)

    async def _heal(self) -> None:
        """Each symbol by itself: one that the venue does not answer about keeps no other waiting."""
        while True:
            await self.ctx.sleep(self._settings.heal_pause_ns)
            for topic, bars in self._bars.items():
                if bars.held and topic not in self._healing:
                    self._healing.add(topic)
                    self.start_job(partial(self._heal_bars, topic, bars))

    async def _heal_bars(self, topic: Topic, bars: Bars) -> None:
        found = await self._rest.bars(topic[1], topic[2], bars.held + 1, self._background())
        self._healing.discard(topic)
        if self._bars.get(topic) is bars:
            self._publish(topic, bars.heal(found if isinstance(found, tuple) else ()))

    def _on_tick(self, tick: _Tick) -> None:
        now_ns = self.ctx.monotonic_ns
        for topic, bars in self._bars.items():
            tape = self._tapes.get(topic[1])
            if tape is not None and tape.event_ns:
                self._publish(topic, bars.close_until(tape.now_ns(now_ns) - GRACE_NS))
        self.ctx.after(self._settings.tick_ns, tick)

    def _publish(self, topic: Topic, told: Iterable[Candle]) -> None:
        for bar in told:
            self._counts["bars"] += 1
            quality = bar.quality | Quality.GAP if bar.has_gap else bar.quality
            self._send(topic, attrs.evolve(bar, quality=quality, received_ns=bar.received_ns or self.ctx.now_ns))

    # ---- single pictures ----------------------------------------------------------------------------------------

    def answer(self, query: Query) -> object:
        """From memory at once when that is fresh, else later; see `actors.market.pictures`."""
        if isinstance(query, PictureQuery):
            return self._pictures.answer(query)
        if isinstance(query, AwaitedQuery):
            return self._pictures.awaited(query.about)
        return super().answer(query)

    def bars(self, topic: Topic) -> tuple[Bars | None, bool]:
        """The bars that are built here, and whether all that closed are told and nothing is missing."""
        bars = self._bars.get(topic)
        return bars, bars is not None and not bars.held and (Channel.TRADES, topic[1]) not in self._upstream.down

    async def listen(self, topic: Topic, deadline_ns: int) -> Ticker | Depth | None:
        """Wait for the stream's next word, and keep listening for a while: who asks once asks again."""
        if self._readers.add(topic, self.ctx.path):
            self._open(topic)
        if topic not in self._listened:
            self.ctx.after(self._settings.linger_ns, _Left(topic))
        linger_ns = self.ctx.monotonic_ns + self._settings.linger_ns
        self._listened[topic] = max(self._listened.get(topic, 0), deadline_ns, linger_ns)
        while True:
            heard = self._memory.heard(topic, self.ctx.monotonic_ns)
            left_ns = deadline_ns - self.ctx.monotonic_ns
            if heard is not None or left_ns <= 0 or topic not in self._readers:
                return heard
            event = self._heard.setdefault(topic, trio.Event())
            with trio.move_on_after(left_ns / SECOND_NS):
                await event.wait()

    def _wake(self, topic: Topic) -> None:
        event = self._heard.pop(topic, None)
        if event is not None:
            event.set()

    def _on_left(self, left: _Left) -> None:
        left_ns = self._listened[left.topic] - self.ctx.monotonic_ns
        if left_ns > 0:  # it was needed again meanwhile
            self.ctx.after(left_ns, left)
            return
        del self._listened[left.topic]
        if self._readers.remove(left.topic, self.ctx.path):
            self._close(left.topic)

    async def tickers(self, symbols: Sequence[Symbol], deadline_ns: int) -> dict[Symbol, Ticker] | Unanswered:
        """By REST, judged, compared with the streams, remembered."""
        found = await self._rest.tickers(symbols, deadline_ns)
        if isinstance(found, Unanswered):
            return found
        for symbol, said in found.items():
            self._known.add(symbol)
            found[symbol], news = self._memory.asked_ticker(said, self.ctx.now_ns, self.ctx.monotonic_ns)
            self._flag(news)
        return found

    async def depth(self, symbol: Symbol, levels: int, deadline_ns: int) -> Depth | Unanswered:
        """As `tickers`."""
        found = await self._rest.depth(symbol, levels, deadline_ns)
        if isinstance(found, Unanswered):
            return found
        self._known.add(symbol)
        depth, news = self._memory.asked_depth(found, levels, self.ctx.now_ns, self.ctx.monotonic_ns)
        self._flag(news)
        return depth

    async def history(self, query: BarsQuery, deadline_ns: int) -> tuple[Candle, ...] | Unanswered:
        """As `tickers`: bars that the venue closed."""
        why = await self._find(query.symbol, deadline_ns)
        if why is not None:
            return why
        found = await self._rest.bars(query.symbol, query.interval_ns, query.limit, deadline_ns)
        if isinstance(found, tuple) and found:
            topic = (_CANDLES, query.symbol, query.interval_ns)
            found = self._compare(topic, found)
            self._memory.asked_bars(topic, query.limit, found, self.ctx.now_ns, self.ctx.monotonic_ns)
        return found

    def _compare(self, topic: Topic, found: tuple[Candle, ...]) -> tuple[Candle, ...]:
        """The venue's bars beside those that are built here: where they differ, its bar says so."""
        bars = self._bars.get(topic)
        if bars is not None:
            found, news = self._memory.checks.bars(bars.closed, found, self.ctx.now_ns)
            self._flag(news)
        return found

    def is_known(self, symbol: Symbol) -> bool:
        """It surely exists."""
        return symbol in self._known

    # ---- work ---------------------------------------------------------------------------------------------------

    def _background(self) -> int:
        return self.ctx.monotonic_ns + BACKGROUND_NS

    def start_job(self, job: Job) -> None:
        """Do it beside everything else; an exception in it ends this incarnation."""
        if self._nursery is None:
            self._early.append(job)
        else:
            self._nursery.start_soon(job)

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for job in (self._heal, self._audit, *self._early):
                nursery.start_soon(job)
            self._early.clear()

    def _on_warm_up(self, wish: WarmUp) -> None:
        self.start_job(lambda: self._warm(wish.symbols))

    async def _warm(self, symbols: tuple[Symbol, ...]) -> None:
        await self.tickers(symbols, self._background())

    async def _audit(self) -> None:
        """Compare what is streamed (tickers, and bars that are built here) with REST, one after the other."""
        turn = 0
        while True:
            await self.ctx.sleep(self._settings.audit_ns)
            streamed = [topic for topic in self._readers.topics() if topic[0] in (_TICKER, _CANDLES)]
            if not streamed:
                continue
            turn += 1
            kind, symbol, interval_ns = topic = streamed[turn % len(streamed)]
            if kind is _TICKER:
                await self.tickers((symbol,), self._background())
            else:
                found = await self._rest.bars(symbol, interval_ns, AUDITED_BARS, self._background())
                if isinstance(found, tuple):
                    self._compare(topic, found)

    def inspect(self) -> Mapping[str, object]:
        """State summary for the console."""
        memory = self._memory
        return {
            "streams": {_name(topic): len(self._readers.of(topic)) for topic in self._readers.topics()},
            "interrupted": {f"{stream[0].value} {stream[1]}": text for stream, text in self._upstream.down.items()},
            "flags": dict(memory.checks.counts),
            "last_flags": [one.text for one in list(self._flags)[-5:]],
            "bars_held": sum(bars.held for bars in self._bars.values()),
            "late_trades": sum(bars.late_trades for bars in self._bars.values()),
            **self._counts,
            **self._pictures.inspect(),
            **self._rest.door.inspect(),
        }


def _name(topic: Topic) -> str:
    kind, symbol, interval_ns = topic
    return f"{kind.value} {symbol}" + (f" {interval_ns / SECOND_NS:g} s" if interval_ns else "")
