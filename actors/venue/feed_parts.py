"""What a feed of a public session knows of each connection, and what session and feeds know of each other."""

from __future__ import annotations

import ssl
from typing import Protocol

import attrs
import trio

from actors.venue.backoff import Pacer
from actors.venue.links import Link
from actors.venue.replies import Replies
from actors.venue.said import Item
from actors.venue.settings import ReconnectSettings, TransportSettings
from actors.venue.wants import Stream
from protocols.errors import VenueUnavailable
from protocols.ids import Path
from protocols.venue import PublicCodec, UnrecognizedMessage
from supervisors.actor import Context


@attrs.define(eq=False)
class Line:
    """What a feed knows of one connection."""

    link: Link
    connection: int
    """Its number, which its messages carry."""
    pacer: Pacer
    has: set[Stream] = attrs.Factory(set)
    """What was asked of it."""
    confirmed: dict[Stream, int] = attrs.Factory(dict)
    """Monotonic time of the confirmation."""
    heard: dict[Stream, int] = attrs.Factory(dict)
    """Monotonic time of the newest message."""
    replies: Replies = attrs.Factory(Replies)
    lock: trio.Lock = attrs.Factory(trio.Lock)
    """One exchange of subscriptions at a time."""
    retired: bool = False
    """Replaced, and read for a while."""
    kept_alive_ns: int = 0
    owes_pong: bool = False

    async def turn(self) -> None:
        """Wait until the venue takes a further request here, and take the turn.  VenueUnavailable: it is lost."""
        while (left_s := self.pacer.left_s()) > 0 and not self.link.over.is_set():
            with trio.move_on_after(left_s):
                await self.link.over.wait()
        if self.link.over.is_set():
            raise VenueUnavailable(f"{self.link.socket.url}: lost while a subscription waited for its turn")
        self.pacer.count(request=True)


class FeedOwner(Protocol):
    """The session as its feeds see it."""

    def next_connection(self) -> int:
        """A number for a new connection, higher than all before."""
        ...

    def deliver(self, stream: Stream, item: Item) -> None: ...

    def stream_up(self, stream: Stream, connection: int) -> None:
        """A stream is carried, and was not before."""
        ...

    def stream_down(self, stream: Stream, connection: int, text: str) -> None:
        """A stream is not carried any more."""
        ...

    def feed_changed(self) -> None:
        """A feed came up, went down, or failed in another way."""
        ...

    def refused(self, stream: Stream, text: str) -> None:
        """The venue does not know this stream; do not want it any more."""
        ...

    def unrecognized(self, item: UnrecognizedMessage) -> None: ...

    def resync_pause_ns(self) -> int:
        """How long until the next resubscription may be sent; takes a token of the venue's budget."""
        ...


@attrs.frozen(kw_only=True)
class FeedParts:
    """What all feeds of a session have in common."""

    ctx: Context
    codec: PublicCodec
    limiter: Path
    transport: TransportSettings
    reconnect: ReconnectSettings
    tls: ssl.SSLContext | None
