"""Refusals as they came, and until when the venue wants to be left alone.  What they mean is each product's own."""

from __future__ import annotations

import re

import attrs
import msgspec

from protocols.enums import OrdRejReason
from protocols.venue import Disposition, Scope, VenueError
from protocols.venues.binance_common.shapes import decode
from protocols.venues.binance_common.wire import ErrorData, ErrorRow
from protocols.venues.values import REFUSED

__all__ = ["Refusal", "is_ban", "refusal_of_frame", "venue_error"]

_S = 1_000_000_000
_BAN_MAX_NS = 3 * 86_400 * _S
"""The longest ban that the venue documents; a larger number is taken for this."""
_BANNED_UNTIL = re.compile(r"banned until ([0-9]{13})")
# Without the venue's own word: the length of the window that was exceeded, or the shortest ban.
_DEFAULT_WAIT_NS = {Disposition.RATE_LIMITED: 60 * _S, Disposition.BANNED: 120 * _S}
_TOO_MANY_ORDERS = -1015
_DATA = msgspec.json.Decoder(ErrorData)


@attrs.frozen(kw_only=True)
class Refusal:
    """A refusal as it came, whatever carried it."""

    status: int
    """HTTP status, or the `status` of a WebSocket API reply, which uses the same numbers."""
    code: int | None
    """None: the venue's error object has none, or there was no such object."""
    text: str
    order: bool
    """True when the request could change orders."""
    received_ns: int
    retry_after_s: str | None = None
    """REST: header `Retry-After`, seconds."""
    retry_after_ms: int | None = None
    """WebSocket API: `error.data.retryAfter`, epoch milliseconds of the venue's clock."""
    page: bool = False
    """The text is not the venue's but that of a page: a firewall's, a gateway's."""
    server_time_ms: int | None = None
    """WebSocket API: `error.data.serverTime`, which turns the above into our clock."""


def refusal_of_frame(status: int, error: ErrorRow | None, received_ns: int) -> Refusal:
    """The refusal in a reply of the WebSocket API, which carries order requests."""
    if error is None:
        return Refusal(status=status, code=None, text="", order=True, received_ns=received_ns)
    try:
        data = decode(_DATA, bytes(error.data))
    except REFUSED:
        data = ErrorData()
    return Refusal(
        status=status,
        code=error.code,
        text=error.msg,
        order=True,
        received_ns=received_ns,
        retry_after_ms=data.retryAfter,
        server_time_ms=data.serverTime,
    )


def is_ban(text: str) -> bool:
    """Whether a "too many requests" names the end of a ban."""
    return _BANNED_UNTIL.search(text.lower()) is not None


def venue_error(refusal: Refusal, disposition: Disposition, reason: OrdRejReason) -> VenueError:
    """A refusal with its meaning.  A read that failed inside the venue changed nothing: it is asked again.

    Too many orders concern the account that sent them; request weight concerns everything on this address.
    """
    if disposition is Disposition.UNKNOWN and not refusal.order:
        disposition = Disposition.BUSY
    code = "" if refusal.code is None else str(refusal.code)
    text = refusal.text or f"HTTP {refusal.status}"
    scope = Scope.ACCOUNT if refusal.code == _TOO_MANY_ORDERS else Scope.ADDRESS
    return VenueError(disposition, code, text[:500], reason, _until_ns(refusal, disposition), scope)


def _until_ns(refusal: Refusal, disposition: Disposition) -> int:
    """When we may send again, by our clock; 0 for what is no limit.  The header counts seconds, the frame names a
    moment."""
    if disposition not in _DEFAULT_WAIT_NS:
        return 0
    now = refusal.received_ns
    seconds, moment = refusal.retry_after_s, refusal.retry_after_ms
    if moment is None and (banned := _BANNED_UNTIL.search(refusal.text.lower())):
        moment = int(banned.group(1))
    if seconds is not None and seconds.isascii() and seconds.isdigit() and len(seconds) <= 15:
        wait_ns = int(seconds) * _S
    elif moment is not None:
        venue_now = refusal.server_time_ms
        wait_ns = moment * 1_000_000 - (now if venue_now is None else venue_now * 1_000_000)
    elif refusal.code == _TOO_MANY_ORDERS:
        wait_ns = 10 * _S
    else:
        wait_ns = _DEFAULT_WAIT_NS[disposition]
    return now + min(max(wait_ns, 0), _BAN_MAX_NS)
