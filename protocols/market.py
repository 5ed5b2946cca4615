"""Market data as messages: what a venue said about its market, and whether it is proven continuous."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import attrs

from protocols.base import Event, MarketData, Query, message
from protocols.enums import Channel, GapReason, Quality, Side, Source, StatsPeriod
from protocols.ids import Path, Symbol, Venue

Level = tuple[Decimal, Decimal]
"""(price, quantity); quantity 0 removes the level."""

BOOK_STREAM = "book"
"""`GapOpened.stream` of a symbol's book."""
TRADE_STREAM = "trades"
"""`GapOpened.stream` of a symbol's trades where they are lost alone: who counts them cares, who prices does not."""

_MINUTE_NS = 60_000_000_000
CANDLE_CHANNELS: Mapping[int, Channel] = {
    1_000_000_000: Channel.CANDLES_1S,
    _MINUTE_NS: Channel.CANDLES_1M,
    3 * _MINUTE_NS: Channel.CANDLES_3M,
    5 * _MINUTE_NS: Channel.CANDLES_5M,
    10 * _MINUTE_NS: Channel.CANDLES_10M,
    15 * _MINUTE_NS: Channel.CANDLES_15M,
    30 * _MINUTE_NS: Channel.CANDLES_30M,
    60 * _MINUTE_NS: Channel.CANDLES_1H,
    120 * _MINUTE_NS: Channel.CANDLES_2H,
    240 * _MINUTE_NS: Channel.CANDLES_4H,
    360 * _MINUTE_NS: Channel.CANDLES_6H,
    720 * _MINUTE_NS: Channel.CANDLES_12H,
    1440 * _MINUTE_NS: Channel.CANDLES_1D,
}
"""The stream of bars of each length, by the length in ns."""
CANDLE_LENGTHS_NS: Mapping[Channel, int] = {channel: length for length, channel in CANDLE_CHANNELS.items()}


@message
class BookDelta(Event):
    """A change of some levels.  Sequenced: losing one is a gap, so it is never conflated.

    `first_id..last_id` is the venue's update range; `prev_id` is the predecessor's last id where the venue says it
    (Binance USDT-M `pu`, OKX `prevSeqId`), else -1.
    """

    venue: Venue
    symbol: Symbol
    first_id: int
    last_id: int
    prev_id: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    event_ns: int
    received_ns: int
    connection: int
    """Number of the venue connection that carried it."""
    checksum: int = 0
    """What the venue says about the book after it, where it says that; 0: nothing."""


@message
class BookSnapshot(Event):
    """A whole book as of `last_id`, from REST or from the stream itself."""

    venue: Venue
    symbol: Symbol
    last_id: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    received_ns: int
    connection: int = 0
    event_ns: int = 0
    """The venue's clock; 0 where it does not say."""
    checksum: int = 0


@message
class SnapshotRequest(Event):
    """A book asks its venue's REST session for a fresh snapshot."""

    symbol: Symbol
    depth: int
    reply_to: Path
    connection: int = 0
    """Stream connection in use when it was asked for; the snapshot repeats it."""


@message
class SnapshotFailed(Event):
    """No snapshot came; the book asks again after its own back-off."""

    symbol: Symbol
    text: str


@message
class Resync(Event):
    """A book asks the public session to subscribe its symbol anew, which heals a stream that begins with a snapshot.

    Done within the venue's budget for that; asking twice is asking once.
    """

    symbol: Symbol
    text: str
    """Why, for the log."""


@message
class Quote(MarketData):
    """Best bid and ask.  `proven`: from a book whose sequence is continuous; 0 quantities mean an empty side."""

    venue: Venue
    symbol: Symbol
    bid_px: Decimal
    bid_qty: Decimal
    ask_px: Decimal
    ask_qty: Decimal
    event_ns: int
    received_ns: int
    update_id: int
    proven: bool = True
    quality: Quality = Quality.GOOD
    """STALE: trades or tickers are ahead of the book; if no change follows soon, it is not proven any more."""
    age_ns: int = 0
    """How long ago the venue last spoke of this book."""

    @property
    def conflation_key(self) -> tuple[str, ...]:
        return ("quote", self.venue, self.symbol)

    @property
    def mid(self) -> Decimal:
        """The middle of best bid and ask."""
        return (self.bid_px + self.ask_px) / 2


@message
class BookTicker(Event):
    """The venue's own best bid and ask stream: a second source to compare a book with.

    Never conflated: whether a ticker is the last one of some ids can only be told when none is missing.
    """

    venue: Venue
    symbol: Symbol
    bid_px: Decimal
    bid_qty: Decimal
    ask_px: Decimal
    ask_qty: Decimal
    update_id: int
    event_ns: int
    received_ns: int


@message
class Depth(MarketData):
    """The best levels of a book, best first; an empty side has none.  `quality` says whether it is proven."""

    venue: Venue
    symbol: Symbol
    event_ns: int
    """The venue's clock as of the last change; 0 where it does not say."""
    received_ns: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    update_id: int
    source: Source = Source.STREAM
    quality: Quality = Quality.GOOD

    @property
    def conflation_key(self) -> tuple[str, ...]:
        return ("depth", self.venue, self.symbol)


@message
class WatchDepth(Event):
    """A reader wants the best `levels` of a book after each change: `Depth`, and `GapOpened` and `GapClosed`.

    Told to the book; holds as long as the book's incarnation (`Context.watch` it, and ask anew on each `Up`).
    """

    symbol: Symbol
    reader: Path
    levels: int


@message
class UnwatchDepth(Event):
    """The reader wants the levels no more."""

    symbol: Symbol
    reader: Path


@message
class Ticker(MarketData):
    """What a venue says about a symbol in 24 hours, by stream or by REST.  None: it does not say; never an invented 0.

    Quantities have the unit of orders (coins, or contracts where orders are in contracts); `turnover` is in the quote
    asset.  Change is computed from `base_px` here, because venues state it in different units.
    """

    venue: Venue
    symbol: Symbol
    event_ns: int
    """The venue's clock when it said so."""
    received_ns: int
    last_px: Decimal | None = None
    last_qty: Decimal | None = None
    bid_px: Decimal | None = None
    bid_qty: Decimal | None = None
    ask_px: Decimal | None = None
    ask_qty: Decimal | None = None
    open_px: Decimal | None = None
    """First price of the period."""
    base_px: Decimal | None = None
    """Price that change is counted from: that of 24 hours ago, or the close of the day before."""
    high_px: Decimal | None = None
    low_px: Decimal | None = None
    volume: Decimal | None = None
    """Of the last 24 hours, whatever `period` says."""
    turnover: Decimal | None = None
    """As `volume`, in the quote asset."""
    period: StatsPeriod = StatsPeriod.ROLLING_24H
    source: Source = Source.STREAM
    quality: Quality = Quality.GOOD

    @property
    def conflation_key(self) -> tuple[str, ...]:
        return ("ticker", self.venue, self.symbol)

    @property
    def change_px(self) -> Decimal | None:
        """By how much the price has changed in the period."""
        if self.last_px is None or self.base_px is None:
            return None
        return self.last_px - self.base_px

    @property
    def change_rate(self) -> Decimal | None:
        """The change as a fraction: 0.01 is one per cent."""
        change = self.change_px
        return None if change is None or not self.base_px else change / self.base_px


@message
class Trade(Event):
    """A public trade; `aggressor` is the side that took liquidity."""

    venue: Venue
    symbol: Symbol
    trade_id: str
    price: Decimal
    qty: Decimal
    aggressor: Side
    event_ns: int
    received_ns: int
    source: Source = Source.STREAM
    quality: Quality = Quality.GOOD
    """GAP: trades are missing before this one."""


@message
class Candle(Event):
    """One bar.  `closed` bars are final; `open_ns` is the key."""

    venue: Venue
    symbol: Symbol
    interval_ns: int
    open_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    closed: bool
    has_gap: bool = False
    """Trades of the bar may be missing."""
    received_ns: int = 0
    """When we were told, or built it; 0: not kept."""
    source: Source = Source.BUILT
    quality: Quality = Quality.GOOD

    @property
    def event_ns(self) -> int:
        """The venue's clock at the end of the bar."""
        return self.open_ns + self.interval_ns


@message
class GapOpened(Event):
    """From here on the stream is not proven continuous: nothing may be priced from it."""

    stream: str
    venue: Venue
    symbol: Symbol | None
    reason: GapReason
    text: str
    since_ns: int


@message
class GapClosed(Event):
    """The stream is proven continuous again."""

    stream: str
    venue: Venue
    symbol: Symbol | None
    opened_ns: int
    closed_ns: int


@message
class StreamUp(Event):
    """A stream speaks (again): it is subscribed on a new connection, and messages of older ones are void.

    Each book is told of its own stream, each reader of a session's streams of his.  A planned replacement of a
    connection misses nothing and is not told.
    """

    stream: str
    venue: Venue
    connection: int
    at_ns: int
    channels: tuple[Channel, ...] = ()
    """What is up; empty: everything."""
    symbol: Symbol | None = None
    """Whose; None: of all symbols."""


@message
class StreamDown(Event):
    """A stream was lost: there is a hole before what it says next."""

    stream: str
    venue: Venue
    connection: int
    at_ns: int
    text: str
    channels: tuple[Channel, ...] = ()
    symbol: Symbol | None = None


@message
class Subscribe(Event):
    """A reader wants news of one symbol; idempotent, holds until `Unsubscribe`, also over restarts of the receiver.

    A book publishes quotes, trades and gaps, whatever `channels` says.  The public session sends what the venue says in
    these channels (empty: those of every book) as it comes: trades, tickers, candles.  Changes of a book go to the
    symbol's book alone.
    """

    symbol: Symbol
    reader: Path
    channels: tuple[Channel, ...] = ()


@message
class Unsubscribe(Event):
    """The reader wants no more of these channels (empty: of those that an empty `Subscribe` means)."""

    symbol: Symbol
    reader: Path
    channels: tuple[Channel, ...] = ()


@message
class BestPriceQuery(Query):
    """Ask the router where `qty` is had or placed best now, with fees and visible depth: a `BestPrice` or None."""

    symbol: Symbol
    side: Side
    qty: Decimal


@attrs.frozen
class BestPrice:
    """The best venue of a symbol for one size."""

    venue: Venue
    symbol: Symbol
    side: Side
    fillable: Decimal
    """How much of the size the visible levels can fill."""
    price: Decimal
    """Average per unit with the taker's fee: what a buyer pays, what a seller gets."""
