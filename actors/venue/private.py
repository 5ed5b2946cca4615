"""The private stream of one account: executions and balances, as they happen.

Ready means connected, authenticated and subscribed.  The gate shuts at any loss, because a private stream has no
sequence number: whoever needs it (the account) watches the gate and fetches the venue's picture after each opening.

Executions are never dropped: when the account's mailbox is full, this session waits and reads no further, but its
transport reads ahead meanwhile, so that the venue's pings are answered.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Mapping

import trio

from actors.venue.clock import VenueClock
from actors.venue.links import Link, LinkKeeper
from actors.venue.settings import MS, ReconnectSettings, TransportSettings, VenueEndpoints
from actors.venue.signing import SigningSession
from protocols.base import Message
from protocols.control import ClockOffset
from protocols.ids import Path
from protocols.orders import account_path
from protocols.venue import PrivateCodec, Reply, StreamTerminated, UnrecognizedMessage
from supervisors.actor import Actor, ReadyWhen

STAMP_MARGIN_NS = 20 * MS


class PrivateStreamActor(Actor):
    """Forwards the account's events to its account actor."""

    READY_WHEN = ReadyWhen.TOLD

    def __init__(
        self,
        codec: PrivateCodec,
        endpoints: VenueEndpoints,
        *,
        limiter: Path,
        clock: Path,
        account: Path | None = None,
        transport: TransportSettings | None = None,
        reconnect: ReconnectSettings | None = None,
        tls: ssl.SSLContext | None = None,
        stamp_margin_ns: int = STAMP_MARGIN_NS,
    ) -> None:
        """`account`: who gets the events; default the account actor of the codec's account and venue."""
        self._codec = codec
        self._url = endpoints.private_url.rstrip("/") + codec.private_path()
        self._limiter = limiter
        self._clock_path = clock
        self._account = account or account_path(codec.account, codec.venue)
        self._transport = transport or TransportSettings()
        self._reconnect = reconnect or ReconnectSettings()
        self._tls = tls
        self._clock = VenueClock(stamp_margin_ns)
        self._keeper: LinkKeeper | None = None
        self._events = 0
        self._unmatched = 0
        self._unrecognized: deque[UnrecognizedMessage] = deque(maxlen=10)
        self._unrecognized_count = 0

    def receive(self, message: Message) -> None:
        if not isinstance(message, ClockOffset):
            raise TypeError(f"the private stream does not understand {type(message).__name__}")
        self._clock.update(message)

    async def run(self) -> None:
        self._session = SigningSession(self.ctx, self._codec, self._clock_path, self._clock)
        self._keeper = LinkKeeper(
            ctx=self.ctx,
            session=self,
            url=self._url,
            rules=self._codec.rules,
            transport=self._transport,
            reconnect=self._reconnect,
            tls=self._tls,
            limiter=self._limiter,
            account=self._codec.account,
        )
        self.ctx.set_unready("not connected yet: it needs the venue's clock first")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._session.learn_clock)
            await self._clock.wait_usable()
            await self._keeper.run()

    async def stopped(self, reason: str) -> None:
        if self._keeper is not None:
            await self._keeper.aclose()

    # ---- hooks of the keeper ------------------------------------------------------------------------------------

    async def prepare(self, link: Link) -> None:
        await self._session.log_on(link)
        await self._session.subscribe(link)

    async def take(self, link: Link, raws: list[bytes]) -> None:
        received_ns = self.ctx.now_ns
        events: list[Message] = []
        for raw in raws:
            for item in self._codec.decode_private(raw, received_ns):
                if isinstance(item, Reply):
                    if not self._session.settle(item):
                        self._unmatched += 1
                elif isinstance(item, StreamTerminated):
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

    def not_opened(self, text: str) -> None:
        self.ctx.set_unready(text)

    def link_up(self, link: Link) -> None:
        self.ctx.set_ready()

    def link_switched(self, old: Link, new: Link) -> None:
        """Both were subscribed at the same time: nothing is missing, the gate stays open."""

    def link_down(self, link: Link, text: str) -> None:
        self.ctx.set_unready(text)

    def link_over(self, link: Link) -> None:
        """Nothing is kept per link."""

    def owes(self, link: Link) -> bool:
        return False

    def inspect(self) -> Mapping[str, object]:
        links = self._keeper.inspect() if self._keeper is not None else {}
        return {
            **links,
            "events": self._events,
            "unmatched_replies": self._unmatched,
            "unrecognized": self._unrecognized_count,
            "last_unrecognized": [item.raw[:200] for item in self._unrecognized],
        }
