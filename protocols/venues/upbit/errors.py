"""What Upbit's refusals mean (reference sections 6.3, 8 and 11), keyed by (area, name).

Refusals of what is ours carry a word, those of public requests a number, those of a stream a word of their own; 404,
418, 429 and 500 promise no name, and their body need not be JSON.  So the name decides first and the status second,
except that 418, 429 and 5xx mean what they mean whatever the body says.

Readings that differ from a plain reject on purpose:

* `duplicated_identifier` is UNKNOWN: identifiers are unique for the life of the account and ours are made once, so an
  earlier request of ours *was* received.  The order must be asked for, not given up.
* `nonce_used` is UNKNOWN for an order: somebody has seen this very request before.
* a name that we do not know is UNKNOWN for an order: it is rejected only if asking finds nothing.
* `invalid_post_only` says that the order would take: our orders never combine post-only with what it excludes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from protocols.enums import OrdRejReason
from protocols.venue import Disposition, Scope, VenueError

__all__ = ["Refusal", "classify", "stream_error"]

_S = 1_000_000_000
_BAN_MAX_NS = 3 * 86_400 * _S
"""A longer ban is taken for this."""
_BAN_DEFAULT_NS = 120 * _S
"""When the body does not say."""

_D, _R = Disposition, OrdRejReason
_Meaning = tuple[Disposition, OrdRejReason]


@attrs.frozen(kw_only=True)
class Refusal:
    """A refusal as it came."""

    status: int
    name: str | int | None
    """None: the body was not the venue's error object."""
    text: str
    order: bool
    """True when the request could change orders."""
    received_ns: int
    retry_after_s: str | None = None


_EXCHANGE: Mapping[str, _Meaning] = {
    "invalid_query_payload": (_D.BUG, _R.AUTH),  # our hash is not the hash of what we sent
    "jwt_verification": (_D.AUTH, _R.AUTH),
    "expired_access_key": (_D.AUTH, _R.AUTH),
    "nonce_used": (_D.UNKNOWN, _R.AUTH),
    "no_authorization_ip": (_D.AUTH, _R.AUTH),
    "no_authorization_token": (_D.AUTH, _R.AUTH),
    "out_of_scope": (_D.AUTH, _R.AUTH),
    "insufficient_funds_ask": (_D.REJECTED, _R.INSUFFICIENT_BALANCE),
    "insufficient_funds_bid": (_D.REJECTED, _R.INSUFFICIENT_BALANCE),
    "under_min_total_ask": (_D.REJECTED, _R.MIN_NOTIONAL),
    "under_min_total_bid": (_D.REJECTED, _R.MIN_NOTIONAL),
    "invalid_price_ask": (_D.REJECTED, _R.BAD_PRICE),
    "invalid_price_bid": (_D.REJECTED, _R.BAD_PRICE),
    "over_krw_funds_bid": (_D.REJECTED, _R.MAX_ORDER_NOTIONAL),
    "create_ask_error": (_D.REJECTED, _R.VENUE),
    "create_bid_error": (_D.REJECTED, _R.VENUE),
    "invalid_post_only": (_D.REJECTED, _R.WOULD_TAKE),
    "validation_error": (_D.BUG, _R.UNSUPPORTED),
    "invalid_parameter": (_D.BUG, _R.UNSUPPORTED),
    "invalid_time_in_force": (_D.BUG, _R.UNSUPPORTED),
    "query_parameter_not_supported": (_D.BUG, _R.UNSUPPORTED),
    "bad_request": (_D.BUG, _R.UNSUPPORTED),
    "notfoundmarket": (_D.BUG, _R.UNKNOWN_INSTRUMENT),
    "duplicated_identifier": (_D.UNKNOWN, _R.DUPLICATE_CL_ORD_ID),
    "market_offline": (_D.MAINTENANCE, _R.NOT_TRADABLE),
    "order_not_found": (_D.NOT_FOUND, _R.VENUE),
    "pocket_not_found": (_D.NOT_FOUND, _R.AUTH),
    "currency_not_found": (_D.NOT_FOUND, _R.UNKNOWN_INSTRUMENT),
    "open_api_withdraw_locked": (_D.REJECTED, _R.VENUE),
    "internal_server_error": (_D.UNKNOWN, _R.VENUE),
}
"""By name, in lower case."""

_STREAM: Mapping[str, _Meaning] = {
    "INVALID_AUTH": (_D.AUTH, _R.AUTH),
    "WRONG_FORMAT": (_D.BUG, _R.UNSUPPORTED),
    "NO_TICKET": (_D.BUG, _R.UNSUPPORTED),
    "NO_TYPE": (_D.BUG, _R.UNSUPPORTED),
    "NO_CODES": (_D.BUG, _R.UNSUPPORTED),
    "INVALID_PARAM": (_D.BUG, _R.UNSUPPORTED),
    "TOO_MANY_REQUEST": (_D.RATE_LIMITED, _R.RATE_LIMITED),
}

_DURATION = re.compile(
    r"(\d{1,9})\s*(?:(milliseconds?|ms)|(seconds?|secs?|s|초)|(minutes?|mins?|m|분)|(hours?|h|시간))(?![a-z])",
    re.IGNORECASE,
)
_UNIT_NS = (0, 0, 1_000_000, _S, 60 * _S, 3600 * _S)
"""By group of the pattern."""


def classify(refusal: Refusal) -> VenueError:
    """What a REST refusal means for the request that it answers."""
    disposition, reason = _meaning(refusal)
    if not refusal.order and disposition is _D.UNKNOWN:
        disposition = _D.BUSY  # a read changes nothing: ask again
    code = "" if refusal.name is None else str(refusal.name)[:100]
    text = refusal.text or f"HTTP {refusal.status}"
    # 429 is about a group of the pocket or, of public requests, of the address; 418 is about all (section 3).
    scope = Scope.ACCOUNT if disposition is _D.RATE_LIMITED else Scope.ADDRESS
    return VenueError(disposition, code, text[:500], reason, _until_ns(refusal, disposition), scope)


def stream_error(name: str, text: str, received_ns: int) -> VenueError:
    """An `error` message of a stream; the venue says neither which request nor for how long."""
    disposition, reason = _STREAM.get(name, (_D.BUG, _R.UNSUPPORTED))
    until_ns = _next_second(received_ns) if disposition is _D.RATE_LIMITED else 0
    return VenueError(disposition, name[:100], text[:500], reason, until_ns)


def _meaning(refusal: Refusal) -> _Meaning:
    status, name = refusal.status, refusal.name
    if status == 418:
        return _D.BANNED, _R.RATE_LIMITED
    if status == 429:
        return _D.RATE_LIMITED, _R.RATE_LIMITED
    if status >= 500:
        return _D.UNKNOWN, _R.VENUE
    if isinstance(name, str):
        known = _EXCHANGE.get(name.lower())
        if known is not None:
            return known
    if status == 404:
        return _D.NOT_FOUND, _R.VENUE
    if status == 401:
        return _D.AUTH, _R.AUTH
    if refusal.order:
        return _D.UNKNOWN, _R.VENUE  # proves nothing until the order was asked for
    if isinstance(name, int):
        return _D.BUG, _R.UNSUPPORTED  # public requests: we asked wrongly
    return (_D.BUSY if name is None and status < 400 else _D.REJECTED), _R.VENUE


def _until_ns(refusal: Refusal, disposition: Disposition) -> int:
    """When we may send again, by our clock: the next second, or when the ban that the body states is over."""
    now = refusal.received_ns
    if disposition is _D.RATE_LIMITED:
        return _next_second(now)
    if disposition is not _D.BANNED:
        return 0
    seconds = refusal.retry_after_s
    if found := _DURATION.search(refusal.text):
        wait_ns = int(found.group(1)) * _UNIT_NS[found.lastindex or 0]
    elif seconds is not None and seconds.isascii() and seconds.isdigit() and len(seconds) <= 15:
        wait_ns = int(seconds) * _S
    else:
        wait_ns = _BAN_DEFAULT_NS
    return now + min(max(wait_ns, _S), _BAN_MAX_NS)


def _next_second(now_ns: int) -> int:
    """Windows are whole seconds of the venue's clock, which is not ours: one second from now is surely another."""
    return now_ns + _S
