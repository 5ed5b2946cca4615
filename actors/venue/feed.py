"""One feed of the public session: a connection, its successors, and the streams that they carry.

A venue's streams can need several connections: channels are served on different paths, and a connection takes only so
many subscriptions.  Each feed keeps one alive, whatever happens to the others, and knows for each stream which
connection *carries* it::

    subscribed --confirmed, or the first message--> carried (reader: StreamUp) --connection lost--> (reader: StreamDown)

A planned replacement tells nobody anything.  While two connections overlap, a stream passes to the newer one when that
speaks or is confirmed, and until then the older one carries it; a loss on either side is a hole only for the streams
that the lost one carried.  What both say is passed on once:

* trades and best prices are told by their ids;
* changes of a book go through twice, because the book's own sequence check knows them, but
* where a stream begins with a snapshot, the two connections may number differently, so a book reads one of them at a
  time: the older until the newer's snapshot, from which on it reads the newer.  Before and after are whole books.

**Silence.**  A pong proves a socket, not a subscription: one on the wrong route, or of a name that the venue does not
know, is acknowledged and says nothing for ever.  So each subscription has a timer for its first message, each channel
an expectation (`SessionRules.expectations`).  A broken promise of the venue costs the stream its readers' trust at
once; a mere suspicion does not, for symbols may be quiet.  Either way the connection is replaced, with overlap, and
more and more seldom while that does not help.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import attrs
import trio

from actors.venue.backoff import Pacer
from actors.venue.feed_parts import FeedOwner, FeedParts, Line
from actors.venue.links import Link, LinkKeeper
from actors.venue.said import Item, Overlap, stream_of
from actors.venue.settings import SECOND
from actors.venue.silence import Silence
from actors.venue.transport import Backlogged
from actors.venue.wants import Stream
from protocols.enums import Channel
from protocols.errors import LocalProtocolError, VenueUnavailable
from protocols.market import CANDLE_CHANNELS, BookSnapshot
from protocols.venue import (
    Disposition,
    Frame,
    KeepsAlive,
    ListsSubscriptions,
    Reply,
    StreamTerminated,
    UnrecognizedMessage,
    VenueError,
)

_PICTURES = frozenset({Channel.TICKER, *CANDLE_CHANNELS.values()})
"""Each message stands for itself and may be older than what another connection has said: only the carrier's counts."""

PREPARE_TIMEOUT_NS = 120 * SECOND
"""A thousand streams at a venue's own pace; each answer has its own, shorter time."""
_FRAMES_OF_A_CHANGE = 4
"""What is ended, what begins, and the list of both, where that proves it."""
_LONG_S = 3.0
"""A connection that may not be written to for so long is replaced; the rules for a second never take it."""
_OUR_BUG = (Disposition.BUG, Disposition.REJECTED, Disposition.NOT_FOUND)


class Feed:
    """See the module text.  `wanted` is the owner's to change, followed by `adjust`."""

    def __init__(self, owner: FeedOwner, parts: FeedParts, url: str) -> None:
        self.url = url
        self.wanted: set[Stream] = set()
        self.up = False
        self.failure = "not connected yet"
        self._owner = owner
        self._ctx = parts.ctx
        self._codec = parts.codec
        self._rules = parts.codec.rules
        self._reconnect = parts.reconnect
        self._lists = isinstance(parts.codec, ListsSubscriptions)
        self._alive: KeepsAlive | None = parts.codec if isinstance(parts.codec, KeepsAlive) else None
        self._keeper = LinkKeeper(
            ctx=parts.ctx,
            session=self,
            url=url,
            # A keep-alive in the venue's own words is this feed's business, because its answer is a message.
            rules=self._rules if self._alive is None else attrs.evolve(self._rules, client_ping_interval_ns=0),
            transport=parts.transport,
            reconnect=parts.reconnect,
            tls=parts.tls,
            limiter=parts.limiter,
            prepare_timeout_ns=PREPARE_TIMEOUT_NS,
            refusal=parts.codec.error,
        )
        self._nursery: trio.Nursery | None = None
        self._lines: dict[int, Line] = {}
        """By number of the link."""
        self._carrier: dict[Stream, Line] = {}
        self._pictured: set[Stream] = set()
        """Books whose stream began with a snapshot."""
        self._overlap: Overlap | None = None
        self._changed = trio.Event()
        self._asked = trio.Event()
        self._opened = trio.Event()
        self._again: set[Stream] = set()
        """To be subscribed anew."""
        self._request_id = 0
        self._replacing = False
        self._silence = Silence(self._rules.expectations)
        self.silences = 0
        self.resyncs = 0
        self.twice = 0
        self.others = 0

    # ---- commands of the owner ----------------------------------------------------------------------------------

    def adjust(self) -> None:
        """`wanted` is another."""
        self._changed.set()

    def resync(self, stream: Stream) -> None:
        """Subscribe one stream anew, as soon as the budget allows."""
        if stream in self.wanted:
            self._again.add(stream)
            self._asked.set()

    def carried_by(self, stream: Stream) -> int | None:
        """Number of the connection that carries a stream; None while none does."""
        line = self._carrier.get(stream)
        return None if line is None else line.connection

    async def run(self) -> None:
        """Until `close`."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._follow_changes)
            nursery.start_soon(self._follow_requests)
            nursery.start_soon(self._watch)
            await self._keeper.run()
            nursery.cancel_scope.cancel()

    def close(self) -> None:
        """Nothing is wanted of it any more."""
        if self._nursery is not None:
            self._nursery.start_soon(self.aclose)

    async def aclose(self) -> None:
        """Close the connection politely; the feed ends."""
        await self._keeper.aclose()
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    # ---- subscriptions ------------------------------------------------------------------------------------------

    async def _follow_changes(self) -> None:
        while True:
            await self._changed.wait()
            self._changed = trio.Event()
            await self._adjust_current(frozenset())

    async def _follow_requests(self) -> None:
        """Requests that come while one waits for the budget go with it, in the same frames."""
        while True:
            await self._asked.wait()
            await self._ctx.sleep(self._owner.resync_pause_ns())
            while self._keeper.current is None:
                await self._opened.wait()
            self._asked = trio.Event()
            again, self._again = frozenset(self._again), set()
            self.resyncs += len(again)
            if again:
                await self._adjust_current(again)

    async def _adjust_current(self, again: frozenset[Stream]) -> None:
        link = self._keeper.current
        if link is None:
            return  # the next link subscribes to everything that is wanted by then
        line = self._line(link)
        if line.pacer.left_s(_FRAMES_OF_A_CHANGE) > _LONG_S:
            # This connection may say no more for a while.  A new one may, and takes over everything without a hole.
            self._ctx.note("requests_used_up", self.url)
            self._keeper.replace(link)
            return
        try:
            await self._adjust(line, again)
        except (VenueUnavailable, Backlogged) as error:
            link.socket.abort(f"subscription not confirmed: {error}")

    async def _adjust(self, line: Line, again: frozenset[Stream] = frozenset()) -> None:
        """Send what the line's subscriptions lack or have too much, and wait until it is confirmed."""
        async with line.lock:
            wanted = set(self.wanted)
            renewed = again & line.has & wanted
            if not self._codec.capabilities.subscriptions_add:
                if wanted and (wanted != line.has or renewed):
                    self._forget(line, line.has - wanted)
                    await self._subscribe(line, wanted, renewed)
                return
            unwanted = line.has - wanted
            self._forget(line, unwanted)
            if unwanted | renewed:
                self._check(await self._exchange(line, self._codec.unsubscribe, unwanted | renewed))
            await self._subscribe(line, (wanted - line.has) | renewed, renewed)

    async def _subscribe(self, line: Line, new: set[Stream], renewed: Iterable[Stream] = ()) -> None:
        if not new:
            return
        for stream in renewed:
            line.confirmed.pop(stream, None)
            line.heard.pop(stream, None)
        line.has |= new
        error = await self._exchange(line, self._codec.subscribe, new)
        if error is not None and error.disposition in _OUR_BUG and self._codec.capabilities.subscriptions_add:
            await self._find_refused(line, new, error)
        else:
            self._check(error)
            self._confirm(line, new)

    async def _find_refused(self, line: Line, new: set[Stream], error: VenueError) -> None:
        """One stream that the venue does not know may have cost all of its request: halve it to find that one."""
        if len(new) == 1:
            (stream,) = new
            self._forget(line, new)
            self._owner.refused(stream, f"{self._codec.venue} refuses it: {error.code} {error.text}")
            return
        await self._exchange(line, self._codec.unsubscribe, new)  # whatever was taken of it; its errors say nothing
        streams = _ordered(new)
        middle = len(streams) // 2
        await self._subscribe(line, set(streams[:middle]))
        await self._subscribe(line, set(streams[middle:]))

    async def _exchange(
        self, line: Line, build: Callable[[Sequence[Stream], int], Sequence[Frame]], streams: set[Stream]
    ) -> VenueError | None:
        """Send frames and wait for all answers; the first refusal.  VenueUnavailable when an answer does not come."""
        frames = [*build(_ordered(streams), self._request_id + 1)]
        self._request_id += len(frames)
        if self._lists and frames and not frames[-1].request_id:
            self._request_id += 1
            assert isinstance(self._codec, ListsSubscriptions)
            frames.append(self._codec.list_subscriptions(str(self._request_id)))  # proves that the others were read
        awaited = [frame.request_id for frame in frames if frame.request_id]
        for request_id in awaited:
            line.replies.expect(request_id)
        error: VenueError | None = None
        for frame in frames:
            await line.turn()
            with self._in_time():
                await line.link.socket.send(frame.text)
        with self._in_time():
            for request_id in awaited:
                reply = await line.replies.wait(request_id)
                error = error or reply.error
        return error

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        """What the venue, and not our own pace, takes long over."""
        with trio.move_on_after(self._reconnect.handshake_timeout_ns / SECOND) as patience:
            yield
        if patience.cancelled_caught:
            raise VenueUnavailable(f"{self.url}: no answer to a subscription in time")

    def _check(self, error: VenueError | None) -> None:
        if error is None:
            return
        text = f"{self._codec.venue} refuses a subscription: {error.code} {error.text}"
        if error.disposition in _OUR_BUG:
            raise LocalProtocolError(text)
        raise VenueUnavailable(text)

    # ---- who carries what ---------------------------------------------------------------------------------------

    def _confirm(self, line: Line, streams: Iterable[Stream]) -> None:
        """The venue has taken these subscriptions."""
        now_ns = self._ctx.monotonic_ns
        for stream in streams:
            if stream not in line.has:
                continue
            line.confirmed[stream] = now_ns
            carrier = self._carrier.get(stream)
            if carrier is None or (carrier.connection < line.connection and stream not in self._pictured):
                self._carry(stream, line)

    def _carry(self, stream: Stream, line: Line) -> None:
        is_new = stream not in self._carrier
        self._carrier[stream] = line
        if is_new:
            self._owner.stream_up(stream, line.connection)

    def _drop(self, stream: Stream, line: Line, text: str) -> None:
        if self._carrier.get(stream) is line:
            del self._carrier[stream]
            self._pictured.discard(stream)
            self._owner.stream_down(stream, line.connection, text)

    def _forget(self, line: Line, streams: Iterable[Stream]) -> None:
        """These are not asked of the line any more."""
        for stream in list(streams):
            line.has.discard(stream)
            line.confirmed.pop(stream, None)
            line.heard.pop(stream, None)
            self._silence.forget(stream)
            self._drop(stream, line, "nobody wants it any more")

    def _passes(self, stream: Stream, item: Item, line: Line) -> bool:
        """Whether what a line says is passed on; the line may come to carry the stream by it."""
        carrier = self._carrier.get(stream)
        if carrier is not line:
            if carrier is None:
                if line.retired:
                    return False
                self._carry(stream, line)
            elif carrier.connection < line.connection:
                if stream in self._pictured and type(item) is not BookSnapshot:
                    return False
                self._carry(stream, line)
            elif stream in self._pictured or stream[0] in _PICTURES:
                return False
        if type(item) is BookSnapshot:
            self._pictured.add(stream)
            self._again.discard(stream)  # it has what a new subscription would bring
        return self._overlap is None or not self._overlap.is_second(item)

    # ---- hooks of the keeper ------------------------------------------------------------------------------------

    def _line(self, link: Link) -> Line:
        line = self._lines.get(link.number)
        if line is None:
            # One of each is left for the pong.
            rules = self._rules
            pacer = Pacer(rules.messages_per_s_max - 1, rules.messages_per_min_max - 1, rules.requests_per_h_max)
            line = self._lines[link.number] = Line(link, self._owner.next_connection(), pacer)
            line.kept_alive_ns = self._ctx.monotonic_ns
        return line

    async def prepare(self, link: Link) -> None:
        if self._keeper.current is not None:
            self._overlap = Overlap()  # from before the first message of the new link
        await self._adjust(self._line(link))

    async def take(self, link: Link, raws: list[bytes]) -> None:
        received_ns, now_ns = self._ctx.now_ns, self._ctx.monotonic_ns
        line, decode, deliver = self._line(link), self._codec.decode, self._owner.deliver
        for raw in raws:
            for item in decode(raw, received_ns, line.connection):
                stream = stream_of(item)
                if stream is None:
                    self._other(line, item)
                elif stream not in line.has:
                    self.others += 1  # the end of what was unsubscribed
                else:
                    line.heard[stream] = now_ns
                    if self._silence.is_near:
                        self._silence.heard(stream)
                    # What has a stream is an `Item`; asking again would cost each message an isinstance of a union.
                    if self._passes(stream, item, line):  # type: ignore[arg-type]
                        deliver(stream, item)  # type: ignore[arg-type]
                    else:
                        self.twice += 1

    def _other(self, line: Line, item: object) -> None:
        if isinstance(item, Reply):
            if line.replies.settle(item) or (item.error is not None and line.replies.fail(item)):
                return
            line.owes_pong = False
            if item.error is not None:
                self._ctx.note("stream_error", f"{self.url}: {item.error.code} {item.error.text}")
        elif isinstance(item, StreamTerminated):
            self._keeper.replace(line.link)
        elif isinstance(item, UnrecognizedMessage):
            self._owner.unrecognized(item)
        else:
            self.others += 1

    def not_opened(self, text: str) -> None:
        self.failure = text
        self._owner.feed_changed()

    def link_up(self, link: Link) -> None:
        self._overlap = None
        self._replacing = False
        self.up, self.failure = True, ""
        self._opened.set()
        self._opened = trio.Event()
        self._changed.set()  # what was changed while it was prepared
        self._owner.feed_changed()

    def link_switched(self, old: Link, new: Link) -> None:
        """Nothing is missing; the old link is still read."""
        self._line(old).retired = True
        self._replacing = False
        self._changed.set()

    def link_down(self, link: Link, text: str) -> None:
        self.up, self.failure = False, text
        self._replacing = False
        self._owner.feed_changed()

    def link_over(self, link: Link) -> None:
        line = self._lines.pop(link.number, None)
        if line is not None:
            for stream in line.has:
                self._drop(stream, line, str(link.socket.ended))
        if len(self._lines) <= 1:
            self._overlap = None

    def owes(self, link: Link) -> bool:
        return False

    # ---- silence ------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        known = [each for rule in self._rules.expectations.values() for each in attrs.astuple(rule) if each]
        tick_ns = min([SECOND, *(each // 4 for each in (*known, self._rules.client_ping_interval_ns) if each)])
        while True:
            await self._ctx.sleep(max(tick_ns, SECOND // 100))
            for line in list(self._lines.values()):
                self._keep_alive(line)
            link = self._keeper.current
            if link is not None and not self._replacing:
                self._judge(self._line(link))

    def _keep_alive(self, line: Line) -> None:
        """The venue's own ping.  Its answer settles nothing; one that has not come when the next is due never comes."""
        now_ns = self._ctx.monotonic_ns
        if self._alive is None or now_ns - line.kept_alive_ns < self._rules.client_ping_interval_ns:
            return
        if line.owes_pong:
            line.link.socket.abort(f"{self.url}: our keep-alive was not answered")
            return
        line.kept_alive_ns, line.owes_pong = now_ns, True
        self._request_id += 1
        try:
            line.link.socket.send_nowait(self._alive.keep_alive(str(self._request_id)).text)
        except (VenueUnavailable, Backlogged) as error:
            line.link.socket.abort(str(error))
        else:
            line.pacer.count()

    def _judge(self, line: Line) -> None:
        silent = self._silence.judge(line.confirmed, line.heard, self._ctx.monotonic_ns)
        if not silent:
            return
        text = f"{self.url}: acknowledged but silent: {silent.names()}"
        self.silences += 1
        self._ctx.note("silent_subscription", text)
        for stream in silent.dead:
            self._drop(stream, line, text)
        self._replacing = True
        self._keeper.replace(line.link)
        self._ctx.flush()

    def silent(self) -> list[str]:
        """Streams and channels that were silent for too long and have not spoken since."""
        return self._silence.names()

    def inspect(self) -> Mapping[str, object]:
        """For the console."""
        picture = dict(self._keeper.inspect())
        current = self._keeper.current
        if current is not None:
            picture["connection"] = self._line(current).connection
        return {
            **picture,
            "subscribed": len(self._carrier),
            "silences": self.silences,
            "resyncs": self.resyncs,
            "twice": self.twice,
            "others": self.others,
        }


def _ordered(streams: Iterable[Stream]) -> list[Stream]:
    """Symbol by symbol, always in the same order."""
    return sorted(streams, key=lambda stream: (stream[1], stream[0].value))
