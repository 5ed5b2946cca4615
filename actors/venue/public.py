"""The public stream session: market data of all symbols of one venue, each message to its book.

The wanted subscriptions are state of this actor, not of a connection: after every connect the whole set is sent, a
change sends the difference, always within the venue's message rate.  Books are told about holes (`StreamDown`,
`StreamUp` with a new connection number); a planned replacement of the connection makes none, its overlap delivers
some messages twice: trades and tickers are filtered here, deltas by the books' sequence check.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

import trio

from actors.venue.links import Link, LinkKeeper, Replies
from actors.venue.settings import SECOND, ReconnectSettings, TransportSettings, VenueEndpoints
from actors.venue.wants import Stream, Wants
from protocols.base import Message
from protocols.errors import LocalProtocolError, VenueUnavailable
from protocols.ids import Path, Symbol
from protocols.market import (
    CANDLE_CHANNELS,
    BookDelta,
    BookTicker,
    Candle,
    StreamDown,
    StreamUp,
    Subscribe,
    Ticker,
    Trade,
    Unsubscribe,
)
from protocols.reconcile import book_path
from protocols.venue import Channel, Disposition, Frame, PublicCodec, Reply, StreamTerminated, UnrecognizedMessage
from supervisors.actor import Actor, ReadyWhen

CHANNELS = (Channel.BOOK, Channel.BOOK_TICKER, Channel.TRADES)
"""What a book lives on, as far as the venue has it."""

_OUR_BUG = (Disposition.BUG, Disposition.REJECTED, Disposition.NOT_FOUND)


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
    ) -> None:
        """`symbols` are always wanted, for their books; `Subscribe` adds streams as long as they have a reader.

        `wants`: the readers so far; the caller keeps it, so that they survive this incarnation.
        """
        self._codec = codec
        self._url = endpoints.stream_url.rstrip("/") + codec.stream_path()
        self._limiter = limiter
        self._channels = tuple(channel for channel in channels if channel in codec.capabilities.channels)
        self._candles_to = candles_to
        self._transport = transport or TransportSettings()
        self._reconnect = reconnect or ReconnectSettings()
        self._tls = tls
        self._fixed = frozenset((channel, symbol) for symbol in symbols for channel in self._channels)
        self._wants = wants if wants is not None else Wants()
        self._books: dict[Symbol, Path] = {}
        """By symbol: the books that are fed."""
        self._subscribed: dict[int, set[Stream]] = {}
        """By number of the link."""
        self._changed = trio.Event()
        self._pacer = Pacer(max(1, codec.rules.messages_per_s_max - 1))  # one is left for the pong
        self._replies = Replies()
        self._request_id = 0
        self._overlap: Overlap | None = None
        self._keeper: LinkKeeper | None = None
        self._counts = {"deltas": 0, "trades": 0, "tickers": 0, "statistics": 0, "candles": 0, "others": 0, "twice": 0}
        self._unrecognized: deque[UnrecognizedMessage] = deque(maxlen=10)
        self._unrecognized_count = 0
        self._list_books()

    # ---- who wants what -----------------------------------------------------------------------------------------

    def receive(self, message: Message) -> None:
        if isinstance(message, Subscribe):
            channels = self._served(message.channels or self._channels, message.symbol)
            self._wants.add(channels, message.symbol, message.reader)
        elif isinstance(message, Unsubscribe):
            self._wants.remove(message.channels or self._channels, message.symbol, message.reader)
        else:
            raise TypeError(f"the public stream does not understand {type(message).__name__}")
        self._list_books()
        self._changed.set()

    def _served(self, channels: Sequence[Channel], symbol: Symbol) -> list[Channel]:
        """Those that the venue has; asking for another is said in the log and has no effect."""
        served = [channel for channel in channels if channel in self._codec.capabilities.channels]
        for channel in channels:
            if channel not in served:
                self.ctx.note("no_such_channel", f"{self._codec.venue} has no {channel.value} stream of {symbol}")
        return served

    def _wanted(self) -> set[Stream]:
        return {*self._fixed, *self._wants.streams()}

    def _list_books(self) -> None:
        """A book is fed as long as somebody wants its symbol's book."""
        venue = self._codec.venue
        self._books = {
            symbol: book_path(venue, symbol) for channel, symbol in self._wanted() if channel is Channel.BOOK
        }

    async def run(self) -> None:
        self._keeper = LinkKeeper(
            ctx=self.ctx,
            session=self,
            url=self._url,
            rules=self._codec.rules,
            transport=self._transport,
            reconnect=self._reconnect,
            tls=self._tls,
            limiter=self._limiter,
        )
        self.ctx.set_unready("not connected yet")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._follow_changes, self._keeper)
            await self._keeper.run()

    async def stopped(self, reason: str) -> None:
        if self._keeper is not None:
            await self._keeper.aclose()

    async def _follow_changes(self, keeper: LinkKeeper) -> None:
        while True:
            await self._changed.wait()
            self._changed = trio.Event()
            link = keeper.current
            if link is None:
                continue  # the next link subscribes to everything that is wanted by then
            try:
                with trio.fail_after(self._reconnect.handshake_timeout_ns / SECOND):
                    await self._adjust(link)
            except (trio.TooSlowError, VenueUnavailable) as error:
                link.socket.abort(f"subscription not confirmed: {error}")

    async def _adjust(self, link: Link) -> None:
        """Send what the link's subscriptions lack or have too much, and wait until it is confirmed."""
        has = self._subscribed.setdefault(link.number, set())
        wanted = self._wanted()
        new, old = _ordered(wanted - has), _ordered(has - wanted)
        frames = [*self._frames(new, old)]
        for frame in frames:
            self._replies.expect(frame.request_id)
            await self._pacer.wait()
            await link.socket.send(frame.text)
        for frame in frames:
            self._check(await self._replies.wait(frame.request_id))
        has |= set(new)
        has -= set(old)

    def _frames(self, new: list[Stream], old: list[Stream]) -> Iterable[Frame]:
        for build, streams in ((self._codec.subscribe, new), (self._codec.unsubscribe, old)):
            if streams:
                frames = build(streams, self._request_id + 1)
                self._request_id += len(frames)
                yield from frames

    def _check(self, reply: Reply) -> None:
        error = reply.error
        if error is None:
            return
        text = f"{self._codec.venue} refuses a subscription: {error.code} {error.text}"
        if error.disposition in _OUR_BUG:
            raise LocalProtocolError(text)
        raise VenueUnavailable(text)

    # ---- hooks of the keeper ------------------------------------------------------------------------------------

    async def prepare(self, link: Link) -> None:
        if self._keeper is not None and self._keeper.current is not None:
            self._overlap = Overlap()  # from before the first message of the new link
        await self._adjust(link)

    async def take(self, link: Link, raws: list[bytes]) -> None:
        received_ns = self.ctx.now_ns
        decode, epoch = self._codec.decode, link.epoch
        # A first link is not in use before it is up; a successor's messages count from its first on.
        forward = link.usable or (self._keeper is not None and self._keeper.current is not None)
        for raw in raws:
            for item in decode(raw, received_ns, epoch):
                kind = type(item)
                if kind is BookDelta or kind is Trade or kind is BookTicker:
                    if forward:
                        self._dispatch(item)  # type: ignore[arg-type]
                else:
                    self._other(item)

    def _dispatch(self, item: BookDelta | Trade | BookTicker) -> None:
        """To the symbol's book, and what is no change of a book to its readers, too."""
        kind = type(item)
        if self._overlap is not None and self._overlap.is_second(item):
            self._counts["twice"] += 1
            return
        path = self._books.get(item.symbol)
        if path is not None:
            self.ctx.send(path, item)
        if kind is BookDelta:
            self._counts["deltas"] += 1
            return
        channel = Channel.TRADES if kind is Trade else Channel.BOOK_TICKER
        self._counts["trades" if kind is Trade else "tickers"] += 1
        self._forward(channel, item.symbol, item, path)

    def _forward(self, channel: Channel, symbol: Symbol, item: Message, told: Path | None = None) -> None:
        """To all readers of a stream but the one that has it already."""
        for reader in self._wants.readers(channel, symbol):
            if reader != told:
                self.ctx.send(reader, item)

    def _other(self, item: object) -> None:
        if isinstance(item, Reply):
            if not self._replies.settle(item):
                self._counts["others"] += 1
        elif isinstance(item, StreamTerminated):
            assert self._keeper is not None
            self._keeper.replace()
        elif isinstance(item, UnrecognizedMessage):
            self._unrecognized_count += 1
            self._unrecognized.append(item)
        elif isinstance(item, Candle):
            self._counts["candles"] += 1
            if self._candles_to is not None:
                self.ctx.send(self._candles_to, item)
            channel = CANDLE_CHANNELS.get(item.interval_ns)
            if channel is not None:
                self._forward(channel, item.symbol, item, self._candles_to)
        elif isinstance(item, Ticker):
            self._counts["statistics"] += 1
            self._forward(Channel.TICKER, item.symbol, item)
        else:
            self._counts["others"] += 1

    def not_opened(self, text: str) -> None:
        self.ctx.set_unready(text)

    def link_up(self, link: Link) -> None:
        self._overlap = None
        self._tell_readers(StreamUp(self.ctx.path, self._codec.venue, link.epoch, self.ctx.now_ns))
        self.ctx.set_ready()

    def link_switched(self, old: Link, new: Link) -> None:
        """Nothing is missing; the old link is still read, what it says second is filtered."""

    def link_down(self, link: Link, text: str) -> None:
        self.ctx.set_unready(text)
        self._tell_readers(StreamDown(self.ctx.path, self._codec.venue, link.epoch, self.ctx.now_ns, text))

    def link_over(self, link: Link) -> None:
        self._subscribed.pop(link.number, None)
        if len(self._subscribed) <= 1:
            self._overlap = None

    def owes(self, link: Link) -> bool:
        return False

    def _tell_readers(self, event: StreamUp | StreamDown) -> None:
        """To books and to whoever else reads this connection's streams."""
        listeners = dict.fromkeys(self._books.values())
        for channel, symbol in self._wants.streams():
            listeners |= dict.fromkeys(self._wants.readers(channel, symbol))
        for path in listeners:
            self.ctx.send(path, event)

    def inspect(self) -> Mapping[str, object]:
        links = self._keeper.inspect() if self._keeper is not None else {}
        return {
            **links,
            **self._counts,
            "wanted": len(self._wanted()),
            "unrecognized": self._unrecognized_count,
            "last_unrecognized": [item.raw[:200] for item in self._unrecognized],
        }


class Overlap:
    """What was said while two links carried the same streams."""

    def __init__(self) -> None:
        self._trades: set[tuple[Symbol, str]] = set()
        self._tickers: dict[Symbol, int] = {}

    def is_second(self, item: BookDelta | Trade | BookTicker) -> bool:
        """True when the other link has said this already (a delta is judged by the book's own sequence check)."""
        if isinstance(item, Trade):
            key = (item.symbol, item.trade_id)
            if key in self._trades:
                return True
            self._trades.add(key)
        elif isinstance(item, BookTicker):
            if item.update_id <= self._tickers.get(item.symbol, -1):
                return True
            self._tickers[item.symbol] = item.update_id
        return False


class Pacer:
    """At most `per_s` messages in any second."""

    def __init__(self, per_s: int) -> None:
        self._sent: deque[float] = deque(maxlen=per_s)

    async def wait(self) -> None:
        """Wait for one's turn."""
        if len(self._sent) == self._sent.maxlen:
            await trio.sleep_until(self._sent[0] + 1.001)
        self._sent.append(trio.current_time())


def _ordered(streams: set[Stream]) -> list[Stream]:
    """Symbol by symbol, always in the same order."""
    return sorted(streams, key=lambda stream: (stream[1], stream[0].value))
