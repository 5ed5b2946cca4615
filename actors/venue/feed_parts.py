"""What the feeds of a public session and the session itself know of each other."""

from __future__ import annotations

import ssl
from typing import Protocol

import attrs

from actors.venue.said import Item
from actors.venue.settings import ReconnectSettings, TransportSettings
from actors.venue.wants import Stream
from protocols.ids import Path
from protocols.venue import PublicCodec, UnrecognizedMessage
from supervisors.actor import Context


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
