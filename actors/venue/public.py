"""The public stream session: market data of all symbols of one venue, each message to its book and to its readers.

What is wanted is state of this actor, not of a connection.  It is spread over *feeds* (`actors.venue.feed`): one for
each path that the venue serves channels on, and further ones where a connection takes only so many subscriptions.
After every connect a feed sends its whole set, a change sends the difference, or the whole set anew where the venue
knows no difference; a feed of which nothing is wanted is closed.

Everything is decided by `Capabilities`, `SessionRules` and the optional protocols of the codec (`RoutesStreams`,
`KeepsAlive`, `ListsSubscriptions`); no venue is known by name.

Books are told about holes in *their* stream (`StreamDown`, `StreamUp` with a new connection number), readers about
holes in theirs.  A book whose stream begins with a snapshot asks for another by `Resync`; a budget of tokens for the
whole venue keeps a storm of gaps from becoming a storm of requests: what waits for a token goes out in one request.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

import trio

from actors.venue.backoff import TokenBucket
from actors.venue.feed import Feed
from actors.venue.feed_parts import FeedParts
from actors.venue.said import Item
from actors.venue.settings import SECOND, ReconnectSettings, TransportSettings, VenueEndpoints
from actors.venue.wants import Stream, Wants
from protocols.base import Message
from protocols.enums import Channel
from protocols.ids import Path, Symbol
from protocols.market import (
    BookDelta,
    BookSnapshot,
    BookTicker,
    Candle,
    Resync,
    StreamDown,
    StreamUp,
    Subscribe,
    Trade,
    Unsubscribe,
)
from protocols.reconcile import book_path
from protocols.venue import PublicCodec, RoutesStreams, UnrecognizedMessage
from supervisors.actor import Actor, ReadyWhen

CHANNELS = (Channel.BOOK, Channel.BOOK_TICKER, Channel.TRADES)
"""What a book lives on, as far as the venue has it."""
RESYNC_BURST = 20
RESYNC_INTERVAL_NS = 15 * SECOND
"""Beyond the burst: two requests every 15 s are what the strictest venue allows (okx-v5 section 3: 480 an hour); what
else is subscribed and ended on a connection counts with it (`SessionRules.requests_per_h_max`)."""

_SUMMED = frozenset(
    {"connects", "losses", "replacements", "failures_in_a_row", "subscribed", "silences", "resyncs", "twice", "others"}
)


class PublicStreamActor(Actor):
    """Ready means connected and subscribed to everything that is wanted."""

    READY_WHEN = ReadyWhen.TOLD

    def __init__(
        self,
        codec: PublicCodec,
        endpoints: VenueEndpoints,
        symbols: Sequence[Symbol],
        *,
        limiter: Path,
        channels: Sequence[Channel] = CHANNELS,
        candles_to: Path | None = None,
        transport: TransportSettings | None = None,
        reconnect: ReconnectSettings | None = None,
        tls: ssl.SSLContext | None = None,
        wants: Wants | None = None,
        resync_burst: int = RESYNC_BURST,
        resync_interval_ns: int = RESYNC_INTERVAL_NS,
    ) -> None:
        """`symbols` are always wanted, for their books; `Subscribe` adds streams as long as they have a reader.

        `wants`: the readers so far; the caller keeps it, so that they survive this incarnation.
        """
        self._codec = codec
        self._base_url = endpoints.stream_url.rstrip("/")
        self._limiter = limiter
        self._channels = tuple(channel for channel in channels if channel in codec.capabilities.channels)
        self._candles_to = candles_to
        self._transport = transport or TransportSettings()
        self._reconnect = reconnect or ReconnectSettings()
        self._tls = tls
        self._fixed = frozenset((channel, symbol) for symbol in symbols for channel in self._channels)
        self._wants = wants if wants is not None else Wants()
        self._resyncs = TokenBucket(resync_burst, resync_interval_ns)
        self._paths = codec.stream_paths() if isinstance(codec, RoutesStreams) else {}
        self._nursery: trio.Nursery | None = None
        self._feeds: list[Feed] = []
        self._feed_of: dict[Stream, Feed] = {}
        self._books: dict[Symbol, Path] = {}
        """By symbol: the books that are fed."""
        self._refused: dict[Stream, str] = {}
        self._connections = 0
        self._counts = {"deltas": 0, "snapshots": 0, "trades": 0, "tickers": 0, "candles": 0}
        self._unrecognized: deque[UnrecognizedMessage] = deque(maxlen=10)
        self._unrecognized_count = 0
        self._list_books()

    # ---- who wants what -----------------------------------------------------------------------------------------

    def receive(self, message: Message) -> None:
        if isinstance(message, Subscribe):
            self._add_reader(message)
        elif isinstance(message, Unsubscribe):
            self._wants.remove(message.channels or self._channels, message.symbol, message.reader)
        elif isinstance(message, Resync):
            self._resync(message)
            return
        else:
            raise TypeError(f"the public stream does not understand {type(message).__name__}")
        self._list_books()
        self._spread()

    def _add_reader(self, wish: Subscribe) -> None:
        """A stream that is carried already is up for its new reader at once."""
        venue = self._codec.venue
        for channel in wish.channels or self._channels:
            stream = (channel, wish.symbol)
            if channel not in self._codec.capabilities.channels:
                self.ctx.note("no_such_channel", f"{venue} has no {channel.value} stream of {wish.symbol}")
                continue
            self._refused.pop(stream, None)
            self._wants.add((channel,), wish.symbol, wish.reader)
            feed = self._feed_of.get(stream)
            connection = feed.carried_by(stream) if feed is not None else None
            if connection is not None:
                self.ctx.send(wish.reader, self._up(stream, connection))

    def _resync(self, wish: Resync) -> None:
        feed = self._feed_of.get((Channel.BOOK, wish.symbol))
        if feed is not None and feed.carried_by((Channel.BOOK, wish.symbol)) is not None:
            self.ctx.note("resync", f"{self._codec.venue} {wish.symbol}: {wish.text}")
            feed.resync((Channel.BOOK, wish.symbol))

    def _wanted(self) -> set[Stream]:
        return {*self._fixed, *self._wants.streams()} - self._refused.keys()

    def _list_books(self) -> None:
        """A book is fed as long as somebody wants its symbol's book."""
        symbols = [symbol for channel, symbol in self._wanted() if channel is Channel.BOOK]
        self._books = {symbol: book_path(self._codec.venue, symbol) for symbol in symbols}

    # ---- feeds --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._spread()
            await trio.sleep_forever()

    async def stopped(self, reason: str) -> None:
        async with trio.open_nursery() as nursery:
            for feed in self._feeds:
                nursery.start_soon(feed.aclose)

    def _spread(self) -> None:
        """Give every wanted stream a feed, and close the feeds that have none left.  A stream stays where it is."""
        if self._nursery is None:
            return
        wanted = self._wanted()
        changed: set[Feed] = set()
        for stream in [stream for stream in self._feed_of if stream not in wanted]:
            feed = self._feed_of.pop(stream)
            feed.wanted.discard(stream)
            changed.add(feed)
        for stream in sorted(wanted - self._feed_of.keys(), key=lambda each: (each[1], each[0].value)):
            feed = self._feed_with_room(stream[0], self._nursery)
            feed.wanted.add(stream)
            self._feed_of[stream] = feed
            changed.add(feed)
        for feed in changed:
            if feed.wanted:
                feed.adjust()
            else:
                self._feeds.remove(feed)
                feed.close()
        self.feed_changed()

    def _feed_with_room(self, channel: Channel, nursery: trio.Nursery) -> Feed:
        rules = self._codec.rules
        url = self._base_url + (self._paths.get(channel) or self._codec.stream_path())
        for feed in self._feeds:
            if feed.url != url or (rules.subscriptions_max and len(feed.wanted) >= rules.subscriptions_max):
                continue
            is_book = channel is Channel.BOOK and rules.books_max
            if not is_book or sum(each is Channel.BOOK for each, _ in feed.wanted) < rules.books_max:
                return feed
        parts = FeedParts(
            ctx=self.ctx,
            codec=self._codec,
            limiter=self._limiter,
            transport=self._transport,
            reconnect=self._reconnect,
            tls=self._tls,
        )
        feed = Feed(self, parts, url)
        self._feeds.append(feed)
        nursery.start_soon(feed.run)
        return feed

    # ---- what the feeds say -------------------------------------------------------------------------------------

    def next_connection(self) -> int:
        self._connections += 1
        return (self.ctx.epoch << 20) + self._connections

    def feed_changed(self) -> None:
        failures = list(dict.fromkeys(feed.failure for feed in self._feeds if not feed.up))
        if failures:
            self.ctx.set_unready("; ".join(failures))
        else:
            self.ctx.set_ready()

    def deliver(self, stream: Stream, item: Item) -> None:
        """To the symbol's book, and what is no change of a book to the stream's readers, too."""
        kind = type(item)
        if kind is BookDelta or kind is BookSnapshot:
            self._counts["deltas" if kind is BookDelta else "snapshots"] += 1
            path = self._books.get(item.symbol)
            if path is not None:
                self.ctx.send(path, item)
            return
        told: Path | None = None
        if kind is Trade or kind is BookTicker:
            self._counts["trades" if kind is Trade else "tickers"] += 1
            told = self._books.get(item.symbol)
        elif kind is Candle:
            self._counts["candles"] += 1
            told = self._candles_to
        if told is not None:
            self.ctx.send(told, item)
        for reader in self._wants.readers(*stream):
            if reader != told:
                self.ctx.send(reader, item)

    def stream_up(self, stream: Stream, connection: int) -> None:
        up = self._up(stream, connection)
        for path in self._listeners(stream):
            self.ctx.send(path, up)

    def stream_down(self, stream: Stream, connection: int, text: str) -> None:
        channel, symbol = stream
        down = StreamDown(self.ctx.path, self._codec.venue, connection, self.ctx.now_ns, text, (channel,), symbol)
        for path in self._listeners(stream):
            self.ctx.send(path, down)

    def _up(self, stream: Stream, connection: int) -> StreamUp:
        channel, symbol = stream
        return StreamUp(self.ctx.path, self._codec.venue, connection, self.ctx.now_ns, (channel,), symbol)

    def _listeners(self, stream: Stream) -> Iterable[Path]:
        """The readers of a stream, and its symbol's book: of its own stream, and of trades that fail by themselves."""
        channel, symbol = stream
        listeners = dict.fromkeys(self._wants.readers(*stream))
        if channel is Channel.BOOK:
            # Also when nobody wants it any more: the book must not go on as if it were fed.
            listeners[book_path(self._codec.venue, symbol)] = None
        elif channel is Channel.TRADES and symbol in self._books:
            book_feed = self._feed_of.get((Channel.BOOK, symbol))
            if book_feed is not None and book_feed is not self._feed_of.get(stream):
                listeners[self._books[symbol]] = None
        return listeners

    def refused(self, stream: Stream, text: str) -> None:
        """Kept out of what is wanted until somebody asks for it again; the other streams go on."""
        self.ctx.note("subscription_refused", f"{stream[0].value} of {stream[1]}: {text}")
        self._refused[stream] = text
        self._list_books()
        self._spread()

    def unrecognized(self, item: UnrecognizedMessage) -> None:
        self._unrecognized_count += 1
        self._unrecognized.append(item)

    def resync_pause_ns(self) -> int:
        return self._resyncs.take(self.ctx.monotonic_ns)

    def inspect(self) -> Mapping[str, object]:
        pictures = [feed.inspect() for feed in self._feeds]
        picture: dict[str, object] = dict(pictures[0]) if pictures else {}
        for other in pictures[1:]:
            for key, value in other.items():
                known = picture.get(key)
                if isinstance(value, int) and isinstance(known, int) and key in _SUMMED:
                    picture[key] = known + value
        return {
            **picture,
            **self._counts,
            "connected": all(each["connected"] for each in pictures),
            "silent": [name for feed in self._feeds for name in feed.silent()],
            "failure": "; ".join(dict.fromkeys(str(each["failure"]) for each in pictures if each["failure"])),
            "feeds": {f"{feed.url} {number}": len(feed.wanted) for number, feed in enumerate(self._feeds, 1)},
            "wanted": len(self._wanted()),
            "refused": {f"{channel.value} of {symbol}": text for (channel, symbol), text in self._refused.items()},
            "unrecognized": self._unrecognized_count,
            "last_unrecognized": [item.raw[:200] for item in self._unrecognized],
        }
