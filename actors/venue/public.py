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
from protocols.base import Message
from protocols.errors import LocalProtocolError, VenueUnavailable
from protocols.ids import Path, Symbol
from protocols.market import BookDelta, BookTicker, Candle, StreamDown, StreamUp, Subscribe, Trade, Unsubscribe
from protocols.reconcile import book_path
from protocols.venue import Channel, Disposition, Frame, PublicCodec, Reply, StreamTerminated, UnrecognizedMessage
from supervisors.actor import Actor, ReadyWhen

CHANNELS = (Channel.BOOK, Channel.BOOK_TICKER, Channel.TRADES)

Stream = tuple[Channel, Symbol]

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
    ) -> None:
        """`symbols` are always wanted; `Subscribe` adds others as long as they have a reader."""
        self._codec = codec
        self._url = endpoints.stream_url.rstrip("/") + codec.stream_path()
        self._limiter = limiter
        self._channels = tuple(channels)
        self._candles_to = candles_to
        self._transport = transport or TransportSettings()
        self._reconnect = reconnect or ReconnectSettings()
        self._tls = tls
        self._fixed = frozenset(symbols)
        self._readers: dict[Symbol, set[Path]] = {}
        self._books: dict[Symbol, Path] = {}
        self._subscribed: dict[int, set[Stream]] = {}
        """By number of the link."""
        self._changed = trio.Event()
        self._pacer = Pacer(max(1, codec.rules.messages_per_s_max - 1))  # one is left for the pong
        self._replies = Replies()
        self._request_id = 0
        self._overlap: Overlap | None = None
        self._keeper: LinkKeeper | None = None
        self._counts = {"deltas": 0, "trades": 0, "tickers": 0, "candles": 0, "others": 0, "twice": 0}
        self._unrecognized: deque[UnrecognizedMessage] = deque(maxlen=10)
        self._unrecognized_count = 0
        for symbol in symbols:
            self._books[symbol] = book_path(codec.venue, symbol)

    # ---- who wants what -----------------------------------------------------------------------------------------

    def receive(self, message: Message) -> None:
        if isinstance(message, Subscribe):
            self._readers.setdefault(message.symbol, set()).add(message.reader)
            self._books[message.symbol] = book_path(self._codec.venue, message.symbol)
        elif isinstance(message, Unsubscribe):
            readers = self._readers.get(message.symbol, set())
            readers.discard(message.reader)
            if not readers:
                self._readers.pop(message.symbol, None)
        else:
            raise TypeError(f"the public stream does not understand {type(message).__name__}")
        self._changed.set()

    def _wanted(self) -> set[Stream]:
        symbols = self._fixed | set(self._readers)
        return {(channel, symbol) for symbol in symbols for channel in self._channels}

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
                        self._dispatch(item)
                else:
                    self._other(item)

    def _dispatch(self, item: object) -> None:
        assert isinstance(item, BookDelta | Trade | BookTicker)
        path = self._books.get(item.symbol)
        if path is None:
            self._counts["others"] += 1
            return
        if self._overlap is not None and self._overlap.is_second(item):
            self._counts["twice"] += 1
            return
        kind = type(item)
        self._counts["deltas" if kind is BookDelta else "trades" if kind is Trade else "tickers"] += 1
        self.ctx.send(path, item)

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
        elif isinstance(item, Candle) and self._candles_to is not None:
            self._counts["candles"] += 1
            self.ctx.send(self._candles_to, item)
        else:
            self._counts["others"] += 1

    def not_opened(self, text: str) -> None:
        self.ctx.set_unready(text)

    def link_up(self, link: Link) -> None:
        self._overlap = None
        self._tell_books(StreamUp(self.ctx.path, self._codec.venue, link.epoch, self.ctx.now_ns))
        self.ctx.set_ready()

    def link_switched(self, old: Link, new: Link) -> None:
        """Nothing is missing; the old link is still read, what it says second is filtered."""

    def link_down(self, link: Link, text: str) -> None:
        self.ctx.set_unready(text)
        self._tell_books(StreamDown(self.ctx.path, self._codec.venue, link.epoch, self.ctx.now_ns, text))

    def link_over(self, link: Link) -> None:
        self._subscribed.pop(link.number, None)
        if len(self._subscribed) <= 1:
            self._overlap = None

    def owes(self, link: Link) -> bool:
        return False

    def _tell_books(self, event: StreamUp | StreamDown) -> None:
        for path in self._books.values():
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
