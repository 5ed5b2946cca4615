"""What is said to and by the market-data backbone (`actors/market`): who wants what, and how it is answered.

One actor a venue, `/market/<venue>`, owns everything that readers know about that venue's market.  A reader, which is
an actor, says `StreamWanted` and gets `Ticker`, `Depth`, `Trade` or `Candle` until `StreamUnwanted`; a single picture
is asked for by `TickerQuery`, `DepthQuery` or `BarsQuery`.  The answer to a query is the data, or `Unanswered` with the
reason: a market that cannot be had is an expected outcome, never a price of 0.
"""

from __future__ import annotations

from typing import TypeAlias

import attrs

from protocols.base import Event, Query, message
from protocols.enums import Quality, Word
from protocols.ids import Path, Symbol, Venue
from protocols.market import Candle, Depth, Ticker
from protocols.reconcile import READ_PATIENCE_NS

DESK: Path = "/market/desk"
"""Address of the actor that serves readers who are no actors."""


def market_path(venue: Venue) -> Path:
    """Address of the backbone of one venue."""
    return f"/market/{venue}"


class ChannelChoice(Word):
    """Where a single picture may come from."""

    AUTO = "auto"
    """Memory while a stream or an answer there is fresh, else REST, else the WebSocket."""
    REST_ONLY = "rest_only"
    WEBSOCKET_ONLY = "websocket_only"


class StreamKind(Word):
    """What can be streamed."""

    TICKER = "ticker"
    BOOK = "book"
    TRADES = "trades"
    CANDLES = "candles"


Topic: TypeAlias = "tuple[StreamKind, Symbol, int]"
"""One stream of one venue; the last is the length of the bars in ns, 0 for what has none."""


@message
class StreamWanted(Event):
    """A reader wants a stream; idempotent, holds until `StreamUnwanted`, also over restarts of the backbone."""

    topic: Topic
    reader: Path


@message
class StreamUnwanted(Event):
    """The reader wants it no more."""

    topic: Topic
    reader: Path


@message
class StreamRefused(Event):
    """There is no such stream: nothing will come, and nobody needs to unsubscribe."""

    venue: Venue
    topic: Topic
    why: Unanswered


@message
class DataFlagged(Event):
    """A check found something, for the first time in an episode; `quality` GOOD: what it found before is over."""

    venue: Venue
    symbol: Symbol
    kind: StreamKind
    quality: Quality
    text: str
    at_ns: int


@message
class DemandChanged(Event):
    """The wishes of the readers outside of the actors have changed: compare."""


# ---- single pictures -------------------------------------------------------------------------------------------


class UnansweredReason(Word):
    """Why there is no data."""

    NO_SUCH_SYMBOL = "no_such_symbol"
    NO_SUCH_CHANNEL = "no_such_channel"
    """The venue, or this engine's configuration, has no such stream or history."""
    VENUE_DOWN = "venue_down"
    CIRCUIT_OPEN = "circuit_open"
    """Not even asked, because the venue has failed too often."""
    TOO_LATE = "too_late"
    """Nothing came before the deadline."""


@attrs.frozen
class Unanswered:
    """No data, and why."""

    reason: UnansweredReason
    text: str


@message
class TickerQuery(Query):
    """The newest `Ticker` of a symbol, not older than `max_age_ns` (None: what the backbone holds fresh)."""

    symbol: Symbol
    choice: ChannelChoice
    max_age_ns: int | None
    patience_ns: int


@message
class DepthQuery(Query):
    """The newest `Depth` of a symbol with at most `levels` a side."""

    symbol: Symbol
    levels: int
    choice: ChannelChoice
    max_age_ns: int | None
    patience_ns: int


@message
class BarsQuery(Query):
    """The newest `limit` closed bars, oldest first: a tuple of `Candle`, fewer when the venue has fewer."""

    symbol: Symbol
    interval_ns: int
    limit: int
    choice: ChannelChoice
    patience_ns: int


@message
class AwaitedQuery(Query):
    """What the answer to a question waits for at this moment, in words; "" when it was not asked, or is answered."""

    about: TickerQuery | DepthQuery | BarsQuery


@message
class WarmUp(Event):
    """Fetch the tickers of these symbols into the cache, in as few requests as the venue allows."""

    symbols: tuple[Symbol, ...]


# ---- to the public REST session --------------------------------------------------------------------------------


# An answer of `Unanswered` means that the venue was not asked: no free place, no permit of the limiter in time.


@message
class RestTickersQuery(Query):
    """Ask `/venues/{venue}/rest` for tickers: a tuple of `Ticker`, the venue's refusal, or `Unanswered`."""

    symbols: tuple[Symbol, ...]
    patience_ns: int = READ_PATIENCE_NS


@message
class RestBookQuery(Query):
    """Ask `/venues/{venue}/rest` for a book: a `BookSnapshot`, the venue's refusal, or `Unanswered`."""

    symbol: Symbol
    levels: int
    patience_ns: int = READ_PATIENCE_NS


Answer: TypeAlias = "Ticker | Depth | tuple[Candle, ...] | Unanswered"
