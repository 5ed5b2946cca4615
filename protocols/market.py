"""Market data as messages: what a venue said about its market, and whether it is proven continuous."""

from __future__ import annotations

from decimal import Decimal

import attrs

from protocols.base import Event, MarketData, Query, message
from protocols.enums import Channel, GapReason, Side
from protocols.ids import Path, Symbol, Venue

Level = tuple[Decimal, Decimal]
"""(price, quantity); quantity 0 removes the level."""


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
    """Epoch of the venue connection that carried it."""


@message
class BookSnapshot(Event):
    """A whole book as of `last_id`."""

    venue: Venue
    symbol: Symbol
    last_id: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    received_ns: int
    connection: int = 0


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
    """A session (re)connected and subscribed; messages of older connections are void.

    Told to books and to those who subscribed to the session.
    """

    stream: str
    venue: Venue
    connection: int
    at_ns: int
    channels: tuple[Channel, ...] = ()
    """What this connection carries, where the venue has several; empty: everything."""


@message
class StreamDown(Event):
    """A session lost its connection: there is a hole before what its channels say next."""

    stream: str
    venue: Venue
    connection: int
    at_ns: int
    text: str
    channels: tuple[Channel, ...] = ()


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
