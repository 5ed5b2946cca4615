"""The private stream of one account: executions, balances and positions, as they happen.

Ready means connected, authenticated and subscribed.  The gate shuts at any loss, because a private stream has no
sequence number: whoever needs it (the account) watches the gate and fetches the venue's picture after each opening.

How the venue knows whose stream it is differs, and the codec says how: a logon frame, headers of the upgrade request
(`SignsUpgrade`), or a listen key in the address (`capabilities.listen_key`, see `listen_keys`).  A key that dies leaves
its connection open and silent, so the end of the key is the end of the connection.

Some venues split the stream over several connections (`SplitsPrivateStream`).  Each is kept open for itself; the stream
is whole, and ready, while all of them are.

A sound private stream may be silent for minutes, and so is a half-open one: it is pinged when it is quiet.

Executions are never dropped: when the account's mailbox is full, this session waits and reads no further, but its
transport reads ahead meanwhile, so that the venue's pings are answered.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Mapping

import trio

from actors.venue.calls import RestCalls
from actors.venue.clock import VenueClock
from actors.venue.http import HttpClient
from actors.venue.links import Dial, Link, LinkKeeper
from actors.venue.listen_keys import ListenKeyKeeper
from actors.venue.settings import MS, ReconnectSettings, TransportSettings, VenueEndpoints
from actors.venue.signing import SigningSession
from protocols.base import Message
from protocols.control import ClockOffset
from protocols.errors import ConfigError
from protocols.ids import Path
from protocols.orders import account_path
from protocols.venue import (
    ListenKeys,
    PrivateCodec,
    Reply,
    SplitsPrivateStream,
    StreamTerminated,
    UnrecognizedMessage,
)
from supervisors.actor import Actor, ReadyWhen

STAMP_MARGIN_NS = 20 * MS


class PrivateStreamActor(Actor):
    """Forwards the account's events to its account actor."""

    READY_WHEN = ReadyWhen.TOLD

    def __init__(
        self,
        codec: PrivateCodec,
        endpoints: VenueEndpoints,
        http: HttpClient | None = None,
        *,
        limiter: Path,
        clock: Path,
        account: Path | None = None,
        transport: TransportSettings | None = None,
        reconnect: ReconnectSettings | None = None,
        tls: ssl.SSLContext | None = None,
        stamp_margin_ns: int = STAMP_MARGIN_NS,
    ) -> None:
        """`account`: who gets the events; default the account actor of the codec's account and venue.

        `http` is signed REST, needed where the stream is addressed by a listen key (ConfigError without it).
        """
        if codec.capabilities.listen_key and http is None:
            raise ConfigError(f"http is missing: the private stream of {codec.venue} gets its address by REST")
        self._codec = codec
        self._origin = endpoints.private_url.rstrip("/")
        self._http = http
        self._limiter = limiter
        self._clock_path = clock
        self._account = account or account_path(codec.account, codec.venue)
        self._transport = transport or TransportSettings()
        self._reconnect = reconnect or ReconnectSettings()
        self._tls = tls
        self._clock = VenueClock(stamp_margin_ns)
        self._streams: tuple[_Stream, ...] = ()
        self._listen_key: ListenKeyKeeper | None = None
        self._events = 0
        self._unmatched = 0
        self._unrecognized: deque[UnrecognizedMessage] = deque(maxlen=10)
        self._unrecognized_count = 0

    def receive(self, message: Message) -> None:
        if not isinstance(message, ClockOffset):
            raise TypeError(f"the private stream does not understand {type(message).__name__}")
        self._clock.update(message)

    async def run(self) -> None:
        codec = self._codec
        further = codec.further_private_paths() if isinstance(codec, SplitsPrivateStream) else ()
        self._streams = tuple(self._stream(number, path) for number, path in enumerate(("", *further)))
        first = self._streams[0].session
        self.ctx.set_unready("not connected yet: it needs the venue's clock first")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(first.learn_clock)
            if codec.capabilities.listen_key:
                assert self._http is not None
                assert isinstance(codec, ListenKeys)
                calls = RestCalls(self.ctx, self._http, self._limiter, self._clock_path, codec, codec.account)
                self._listen_key = ListenKeyKeeper(self.ctx, codec, calls, first, self._key_died)
                nursery.start_soon(self._listen_key.refresh_for_ever)
            await self._clock.wait_usable()
            for stream in self._streams:
                nursery.start_soon(stream.keeper.run)

    def _stream(self, number: int, further: str) -> _Stream:
        """One of the connections; `further` is its path where it is not the first."""
        codec, origin = self._codec, self._origin
        session = SigningSession(self.ctx, codec, self._clock_path, self._clock, mark="x" * (number + 1))
        stream = _Stream(self, session, further)
        url = origin + (further or codec.private_path())
        stream.keeper = LinkKeeper(
            ctx=self.ctx,
            session=stream,
            url=url,
            rules=codec.rules,
            transport=self._transport,
            reconnect=self._reconnect,
            tls=self._tls,
            limiter=self._limiter,
            account=codec.account,
            dial=(lambda: session.dial(url)) if further else self._dial,
            keep_alive=session.keep_alive_text if session.keeps_alive else None,
            probe_quiet=True,
            refusal=codec.error,
        )
        return stream

    async def stopped(self, reason: str) -> None:
        for stream in self._streams:
            await stream.keeper.aclose()

    async def _dial(self) -> Dial:
        """The address of one attempt; a listen key in it is a secret."""
        shown = self._origin + self._codec.private_path()
        if self._listen_key is None:
            return await self._streams[0].session.dial(shown)
        path = await self._listen_key.path()
        return Dial(self._origin + path, shown)

    def _key_died(self, text: str) -> None:
        """Nothing comes over a connection whose key is dead, and what happened since is lost: a loss like any other."""
        link = self._streams[0].keeper.current
        if link is not None:
            link.socket.abort(text)

    # ---- what the connections tell -----------------------------------------------------------------------------

    async def prepare(self, link: Link, session: SigningSession, further: str) -> None:
        """Log on and subscribe."""
        if self._listen_key is not None:
            return  # the address has said everything
        await session.log_on(link)
        await session.subscribe(link, further)

    async def take(self, link: Link, session: SigningSession, raws: list[bytes]) -> None:
        """Messages of one socket read."""
        received_ns = self.ctx.now_ns
        events: list[Message] = []
        for raw in raws:
            for item in self._codec.decode_private(raw, received_ns):
                if isinstance(item, Reply):
                    if not session.settle(item):
                        self._unmatched += 1
                elif isinstance(item, StreamTerminated) and item.announced:
                    for stream in self._streams:
                        if stream.session is session:
                            stream.keeper.replace(link)  # with overlap: nothing is missed
                elif isinstance(item, StreamTerminated):
                    if self._listen_key is not None:
                        self._listen_key.forget()
                    link.socket.abort(f"the venue ended the stream: {item.text}")
                elif isinstance(item, UnrecognizedMessage):
                    self._unrecognized_count += 1
                    self._unrecognized.append(item)
                else:
                    events.append(item)
        if events:
            await self._forward(link, events)

    async def _forward(self, link: Link, events: list[Message]) -> None:
        self._events += len(events)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.socket.read_ahead)
            for event in events:
                await self.ctx.send_wait(self._account, event)
            nursery.cancel_scope.cancel()

    def link_up(self) -> None:
        """One connection is prepared; the stream is whole when all are."""
        if all(stream.keeper.current is not None for stream in self._streams):
            self.ctx.set_ready()

    def inspect(self) -> Mapping[str, object]:
        links = self._streams[0].keeper.inspect() if self._streams else {}
        keys = self._listen_key.inspect() if self._listen_key is not None else {}
        further = {stream.further: stream.keeper.inspect() for stream in self._streams[1:]}
        return {
            **links,
            **keys,
            **({"further": further} if further else {}),
            "events": self._events,
            "unmatched_replies": self._unmatched,
            "unrecognized": self._unrecognized_count,
            "last_unrecognized": [item.raw[:200] for item in self._unrecognized],
        }


class _Stream:
    """One connection of an account's stream: the hooks of its keeper."""

    keeper: LinkKeeper

    def __init__(self, actor: PrivateStreamActor, session: SigningSession, further: str) -> None:
        self._actor = actor
        self.session = session
        self.further = further

    async def prepare(self, link: Link) -> None:
        await self._actor.prepare(link, self.session, self.further)

    async def take(self, link: Link, raws: list[bytes]) -> None:
        await self._actor.take(link, self.session, raws)

    def not_opened(self, text: str) -> None:
        self._actor.ctx.set_unready(text)

    def link_up(self, link: Link) -> None:
        self._actor.link_up()

    def link_switched(self, old: Link, new: Link) -> None:
        """Both were subscribed at the same time: nothing is missing, the gate stays open."""

    def link_down(self, link: Link, text: str) -> None:
        self._actor.ctx.set_unready(text)

    def link_over(self, link: Link) -> None:
        """Nothing is kept per link."""

    def owes(self, link: Link) -> bool:
        return False
