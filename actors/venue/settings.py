"""What the sessions of one venue must be told: addresses and limits of patience.

Durations are nanoseconds.  The tree builder makes these from the configuration; no session reads a configuration.
"""

from __future__ import annotations

from pathlib import Path

import attrs

MS = 1_000_000
SECOND = 1_000 * MS


@attrs.frozen(kw_only=True)
class VenueEndpoints:
    """Where a venue is.  The codec adds the path; plain `ws://` and `http://` are accepted on loopback only."""

    rest_url: str
    """`https://host[:port]`."""
    stream_url: str
    """`wss://host[:port]` of the public streams."""
    entry_url: str
    """`wss://host[:port]` of order entry; "" where orders go by REST alone."""
    private_url: str = attrs.field(default=attrs.Factory(lambda self: self.entry_url, takes_self=True))
    """`wss://host[:port]` of the account's private stream."""
    ca_file: Path | None = None
    """Certificates to trust instead of the system's (a private CA); verification itself cannot be switched off."""


@attrs.frozen(kw_only=True)
class TransportSettings:
    """Patience and sizes of one connection."""

    connect_timeout_ns: int = 5 * SECOND
    """Name resolution, TCP, TLS and the WebSocket handshake together."""
    close_timeout_ns: int = 1 * SECOND
    message_bytes_max: int = 4 * 1024 * 1024
    unsent_bytes_max: int = 256 * 1024
    """What may wait for the kernel before sending is refused."""
    read_ahead_bytes_max: int = 4 * 1024 * 1024
    """What may be read while the owner is stalled, so that pings are answered."""
    http_timeout_ns: int = 10 * SECOND
    """Reading one REST answer."""
    http_response_bytes_max: int = 64 * 1024 * 1024


@attrs.frozen(kw_only=True)
class ReconnectSettings:
    """When to try again after a connection ended."""

    first_jitter_ns: int = 250 * MS
    """The first retry comes at once, within this jitter, so that many sessions do not come as one."""
    backoff_ns: int = 500 * MS
    """Before the second retry; then it doubles."""
    backoff_max_ns: int = 30 * SECOND
    refused_floor_ns: int = 30 * SECOND
    """At least, after the venue asked for patience (403, 418, 429); a Retry-After that asks for more is obeyed."""
    key_refused_ns: int = 60 * SECOND
    """Before a key that the venue refused is tried again: a person has to act first."""
    stable_after_ns: int = 10 * SECOND
    """A connection that lived this long makes the next failure a first one."""
    overlap_ns: int = 2 * SECOND
    """How long the old connection is still read after its planned successor is subscribed."""
    age_margin_ns: int = 600 * SECOND
    """Replace this long before the venue's age limit."""
    handshake_timeout_ns: int = 5 * SECOND
    """Answer to a logon or a subscription."""
    pong_timeout_ns: int = 1 * SECOND
    """A connection that owes an answer and then does not send a byte within this time after a ping is ended."""
    quiet_probe_ns: int = 5 * SECOND
    """A connection of an account that is silent for so long is pinged; 0: never."""
    quiet_patience_ns: int = 3 * SECOND
    """It is ended when not a byte comes for this long after that ping."""


@attrs.frozen(kw_only=True)
class EntrySettings:
    """Order entry of one account."""

    request_window_ns: int = 2 * SECOND
    """The window (recvWindow) that the codec puts into requests; the end of doubt is computed from it."""
    skew_ns: int = 1 * SECOND
    """Allowance for the error of the clock offset when the end of doubt is computed."""
    reply_timeout_ns: int = 3 * SECOND
    """No reply for this long puts the order in doubt."""
    order_age_max_ns: int = 2 * SECOND
    """An order older than this is stale: whoever waits for it may already have given it up."""
    stamp_margin_ns: int = 20 * MS
    """Requests are stamped this much behind the venue's clock: being ahead is tolerated far less than being behind."""
    permit_timeout_ns: int = 3 * SECOND
    """Longest wait for the limiter; a full window of the venues that count by seconds is over by then.  An order is not
    sent when it has become older than `order_age_max_ns` meanwhile."""
    rest_workers: int = 4
    dead_man_ns: int = 0
    """The venue cancels our orders when it has not heard us for so long, where it can; 0: it is not asked to."""
