"""Market data for code that is no actor, in the same Trio program as the engine: streams to iterate over, pictures to
await.  `docs/market-data.md` shows it at work.

    async for ticker in market.stream_ticker(["upbit:KRW-BTC", "ETHUSDT"]):
        print(ticker.symbol, ticker.last_px, ticker.quality)

    book = await market.get_orderbook("okx-spot:BTC-USDT", channel=ChannelChoice.REST_ONLY)

A stream is subscribed while somebody reads it: leaving the loop, `aclose`, or a cancelled read ends it.  A slow reader
is told less, never late and never without a mark: tickers and books are replaced by newer ones while they wait, trades
and bars are dropped oldest first, and the next one says GAP.

Streams outlive restarts and reconnections of everything beneath them.  They end with an exception only when there is no
such stream.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Generic, TypeVar, cast

import attrs
import trio

from actors.market.desk import DeskHome, Item, Place
from actors.market.pictures import PictureQuery
from actors.market.queues import EVENTS_MAX, Every, Newest
from protocols.backbone import (
    DESK,
    AwaitedQuery,
    BarsQuery,
    ChannelChoice,
    DemandChanged,
    DepthQuery,
    StreamKind,
    TickerQuery,
    Unanswered,
    UnansweredReason,
    WarmUp,
    market_path,
)
from protocols.errors import BulkheadError, CircuitOpen, NoSuchChannel, TooLate, UnknownSymbol, VenueUnavailable
from protocols.ids import Path, Symbol, Venue
from protocols.market import Candle, Depth, Ticker, Trade
from supervisors.actor import AskError
from supervisors.runtime import Runtime

SECOND_NS = 1_000_000_000
PATIENCE_NS = 5 * SECOND_NS
MARGIN_NS = SECOND_NS // 2
"""What an answer that is exactly in time may take on its way here."""

SLICE_NS = SECOND_NS
"""How long one answer is waited for before the question is put again."""
RETRY_S, RETRY_MAX_S = 0.01, 0.5
"""Before a backbone that gave the question back is asked again; doubles."""
REASONS_MAX = 3
"""That an error repeats, the newest."""

T = TypeVar("T", bound=Item)

_ERRORS: Mapping[UnansweredReason, type[BulkheadError]] = {
    UnansweredReason.NO_SUCH_SYMBOL: UnknownSymbol,
    UnansweredReason.NO_SUCH_CHANNEL: NoSuchChannel,
    UnansweredReason.VENUE_DOWN: VenueUnavailable,
    UnansweredReason.CIRCUIT_OPEN: CircuitOpen,
    UnansweredReason.TOO_LATE: TooLate,
}


@attrs.frozen
class StreamStatistics:
    """Of one stream."""

    taken: int
    """Items that the reader got."""
    waiting: int
    lost: int
    """Pictures that a newer one replaced before the reader came; trades or bars that were dropped."""


class _Outlet:
    """What hangs at the desk.  It knows nothing of its stream, so that a stream which nobody holds is gone."""

    def __init__(self, runtime: Runtime, home: DeskHome, places: Sequence[Place], waiting: Newest | Every) -> None:
        self._runtime = runtime
        self._home = home
        self._places = tuple(places)
        self.waiting = waiting
        self.news = trio.Event()
        self.error: BulkheadError | None = None
        home.hang(self, self._places)
        runtime.deliver(DESK, DemandChanged())

    def put(self, item: Item) -> None:
        """Something came."""
        self.waiting.put(cast(Any, item))
        self.news.set()

    def refuse(self, venue: Venue, why: Unanswered) -> None:
        """There is no such stream; the reader gets it as an exception."""
        self.error = error_of(venue, why)
        self.news.set()

    def close(self) -> None:
        """Nothing comes any more."""
        self._home.take_away(self, self._places)
        self._runtime.deliver(DESK, DemandChanged())


class Stream(AsyncGenerator[T, None], Generic[T]):
    """An asynchronous generator; it may also be used in `async with`, which ends it for certain.

    One task reads it at a time.
    """

    def __init__(self, outlet: _Outlet) -> None:
        self._outlet = outlet
        self._is_closed = False
        self._taken = 0
        self._token = trio.lowlevel.current_trio_token()

    async def __anext__(self) -> T:
        """The next item; a read that is cancelled ends the stream."""
        if self._is_closed:
            await trio.lowlevel.checkpoint()
            raise StopAsyncIteration
        outlet = self._outlet
        try:
            while True:
                # A checkpoint also when something is there: a reader behind a fast market must not starve the rest.
                await trio.lowlevel.checkpoint()
                if outlet.error is not None:
                    raise outlet.error
                item = outlet.waiting.take()
                if item is not None:
                    self._taken += 1
                    return cast(T, item)
                outlet.news = trio.Event()
                await outlet.news.wait()
        except BaseException:  # also a cancellation: whoever stops reading, however, wants nothing any more
            self.close()
            raise

    async def asend(self, value: None) -> T:
        return await self.__anext__()

    async def athrow(
        self,
        typ: type[BaseException] | BaseException,
        val: BaseException | object = None,
        tb: TracebackType | None = None,
    ) -> T:
        """Ends the stream with the exception, as one that is raised inside a generator would."""
        self.close()
        await trio.lowlevel.checkpoint()
        raise typ if val is None else cast(BaseException, val)

    async def aclose(self) -> None:
        """End it; a second time changes nothing."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """As `aclose`, at once."""
        if not self._is_closed:
            self._is_closed = True
            self._outlet.close()

    def __del__(self) -> None:
        """Who leaves the loop by `break` holds the generator no more, and that ends it."""
        if not getattr(self, "_is_closed", True):
            self._is_closed = True
            try:
                # Not here and now: garbage may be collected in the middle of anything.
                self._token.run_sync_soon(self._outlet.close)
            except trio.RunFinishedError:
                pass  # the engine is gone, and its streams with it

    async def __aenter__(self) -> Stream[T]:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def statistics(self) -> StreamStatistics:
        """What it has told, and what it could not."""
        waiting = self._outlet.waiting
        return StreamStatistics(self._taken, len(waiting), waiting.lost)


class MarketData:
    """See the module text.

    Symbols are written as the venue writes them, with the venue before a colon where more than one could be meant:
    `upbit:KRW-BTC`.  Durations are ns.
    """

    def __init__(self, runtime: Runtime, home: DeskHome, venues: Mapping[Venue, Iterable[Symbol]]) -> None:
        """`venues`: those whose backbones run, with the symbols of their configuration."""
        self._runtime = runtime
        self._home = home
        self._venues = {venue: frozenset(symbols) for venue, symbols in venues.items()}

    # ---- streams ------------------------------------------------------------------------------------------------

    def stream_ticker(self, symbols: Sequence[str]) -> Stream[Ticker]:
        """Last price and 24 hours of each symbol, whenever the venue says something about them."""
        return Stream(self._outlet(self._places(symbols, StreamKind.TICKER), Newest()))

    def stream_orderbook(self, symbols: Sequence[str]) -> Stream[Depth]:
        """The best levels of each symbol's book after each change; UNPROVEN while the book is not continuous."""
        return Stream(self._outlet(self._places(symbols, StreamKind.BOOK), Newest()))

    def stream_trades(self, symbols: Sequence[str], waiting_max: int = EVENTS_MAX) -> Stream[Trade]:
        """Every public trade; one before which others are missing says GAP."""
        return Stream(self._outlet(self._places(symbols, StreamKind.TRADES), Every(waiting_max)))

    def stream_candles(self, symbols: Sequence[str], interval_ns: int, waiting_max: int = EVENTS_MAX) -> Stream[Candle]:
        """Each bar once, when it has closed, in order; one that lacks trades, or follows a hole, says GAP."""
        places = self._places(symbols, StreamKind.CANDLES, interval_ns)
        return Stream(self._outlet(places, Every(waiting_max)))

    # ---- single pictures ----------------------------------------------------------------------------------------

    async def get_ticker(
        self,
        symbol: str,
        channel: ChannelChoice = ChannelChoice.AUTO,
        *,
        max_age_ns: int | None = None,
        patience_ns: int = PATIENCE_NS,
    ) -> Ticker:
        """The newest ticker.  `max_age_ns` 0 asks the venue in any case.

        UnknownSymbol, NoSuchChannel for what the caller got wrong; VenueUnavailable (CircuitOpen, TooLate among them)
        when the venue cannot be had within `patience_ns`.
        """
        venue, name = self.resolve(symbol)
        return cast(Ticker, await self._ask(venue, TickerQuery(name, channel, max_age_ns, patience_ns)))

    async def get_orderbook(
        self,
        symbol: str,
        channel: ChannelChoice = ChannelChoice.AUTO,
        *,
        levels: int = 20,
        max_age_ns: int | None = None,
        patience_ns: int = PATIENCE_NS,
    ) -> Depth:
        """The best `levels` of each side; errors as those of `get_ticker`."""
        venue, name = self.resolve(symbol)
        query = DepthQuery(name, levels, channel, max_age_ns, patience_ns)
        return cast(Depth, await self._ask(venue, query))

    async def get_candles(
        self,
        symbol: str,
        interval_ns: int,
        limit: int = 100,
        channel: ChannelChoice = ChannelChoice.AUTO,
        *,
        patience_ns: int = PATIENCE_NS,
    ) -> tuple[Candle, ...]:
        """The newest closed bars, oldest first, at most as many as one request brings; errors as above."""
        venue, name = self.resolve(symbol)
        query = BarsQuery(name, interval_ns, limit, channel, patience_ns)
        return cast("tuple[Candle, ...]", await self._ask(venue, query))

    def warm_up(self, symbols: Sequence[str]) -> None:
        """Have these tickers fetched, in as few requests as the venues allow; nobody waits for it."""
        by_venue: dict[Venue, list[Symbol]] = {}
        for symbol in symbols:
            venue, name = self.resolve(symbol)
            by_venue.setdefault(venue, []).append(name)
        for venue, names in by_venue.items():
            self._runtime.deliver(market_path(venue), WarmUp(tuple(names)))

    async def _ask(self, venue: Venue, query: PictureQuery) -> object:
        """Ask the venue's backbone until the asker's patience is over; who asks again joins his own question.

        An incarnation that ends takes the question with it and tells nobody, so nobody waits long for one answer.
        """
        path, reasons = market_path(venue), dict[str, None]()
        until = trio.current_time() + query.patience_ns / SECOND_NS
        pause_s = RETRY_S
        with trio.move_on_at(until + MARGIN_NS / SECOND_NS) as patience:
            while True:
                left_ns = max(int((until - trio.current_time()) * SECOND_NS), 0)
                asked = attrs.evolve(query, patience_ns=left_ns)
                try:
                    found = await self._runtime.ask(path, asked, min(left_ns + MARGIN_NS, SLICE_NS))
                except AskError:
                    await trio.sleep(RETRY_S)
                    await self._runtime.wait_ready(path)
                    continue
                if not isinstance(found, Unanswered):
                    return found
                if found.reason is not UnansweredReason.TOO_LATE:
                    raise error_of(venue, found)
                # Perhaps only for one who had asked the same before, and less patiently.
                reasons[found.text] = None
                if trio.current_time() + pause_s >= until:
                    break
                await trio.sleep(pause_s)
                pause_s = min(2 * pause_s, RETRY_MAX_S)
        if patience.cancelled_caught:
            reasons[await self._awaited(path, query)] = None
        words = "; ".join(list(reasons)[-REASONS_MAX:])
        raise TooLate(f"{venue} did not answer within {query.patience_ns / SECOND_NS:g} s: {words}")

    async def _awaited(self, path: Path, query: PictureQuery) -> str:
        """What there was to wait for, as far as it can be told now."""
        cell = self._runtime.cell(path)
        if not cell.ready:
            return f"{path} is not ready ({cell.unready_reason})"
        try:
            awaited: str = await self._runtime.ask(path, AwaitedQuery(query), MARGIN_NS // 2)
        except AskError:
            return f"{path} is overloaded: it answers nothing, and {cell.mailbox.depth} messages wait for it"
        return f"{path} waits for {awaited}" if awaited else f"{path} gave its answer too late"

    # ---- names --------------------------------------------------------------------------------------------------

    @property
    def venues(self) -> Sequence[Venue]:
        """Those that can be asked."""
        return tuple(self._venues)

    def resolve(self, symbol: str) -> tuple[Venue, Symbol]:
        """Venue and symbol of a written one; UnknownSymbol says how to write it when it could mean several, or none."""
        before, colon, after = symbol.partition(":")
        if colon:
            if before not in self._venues:
                raise UnknownSymbol(f"{symbol!r}: there is no venue {before!r} here, but {_listed(self._venues)}")
            return Venue(before), Symbol(after)
        meant = [venue for venue, symbols in self._venues.items() if symbol in symbols]
        if not meant and len(self._venues) == 1:
            meant = list(self._venues)
        if len(meant) != 1:
            found = f"could be that of {_listed(meant)}" if meant else "is in no venue's configuration"
            example = next(iter(meant or self._venues), "venue")
            raise UnknownSymbol(f"{symbol!r} {found}: write the venue before it, such as {example}:{symbol}")
        return meant[0], Symbol(symbol)

    def _outlet(self, places: Sequence[Place], waiting: Newest | Every) -> _Outlet:
        return _Outlet(self._runtime, self._home, places, waiting)

    def _places(self, symbols: Sequence[str], kind: StreamKind, interval_ns: int = 0) -> list[Place]:
        if isinstance(symbols, str):
            raise TypeError(f"symbols was {symbols!r}, must be a list of symbols: [{symbols!r}]")
        if not symbols:
            raise UnknownSymbol("symbols was empty, must name at least one")
        resolved = dict.fromkeys(self.resolve(symbol) for symbol in symbols)
        return [(venue, (kind, name, interval_ns)) for venue, name in resolved]


def error_of(venue: Venue, why: Unanswered) -> BulkheadError:
    """The exception that says the same."""
    return _ERRORS[why.reason](f"{venue}: {why.text}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
