"""What Bybit's refusals mean, keyed by (product, code) (reference sections 4, 7 and 11).

Two questions decide: what is it, and was the request one that changes orders?  A read that failed inside the venue is
asked again; an order request that failed inside the venue may have been carried out, so its outcome is UNKNOWN.

The HTTP status is 200 for nearly everything; `retCode` decides.  Readings that differ from a plain reject on purpose:

* a code that is not listed is UNKNOWN for an order request: some of the venue's codes are timeouts, and new ones come;
* a duplicate client order id is UNKNOWN: our ids are unique for ever, so the order with this id *is* this order;
* "already as you want it" (leverage, position mode, stops) is a success;
* HTTP 403 is the firewall's: too many requests from this address, unless it names the country.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from protocols.enums import OrdRejReason
from protocols.instruments import Product
from protocols.venue import Disposition, Scope, VenueError
from protocols.venues.bybit.limits import IP_SILENCE_NS

__all__ = ["NOTHING_TO_CHANGE", "RESTARTING", "Refusal", "classify", "control_error"]

_S = 1_000_000_000
_WAIT_MAX_NS = 600 * _S
"""A limit's reset that lies further ahead than the longest silence that the venue asks for is taken for that."""
_DEFAULT_WAIT_NS = 1 * _S
"""The buckets refill every second."""

NOTHING_TO_CHANGE = frozenset({110025, 110026, 110027, 110043, 34040})
RESTARTING = 10019
"""The trade socket's service restarts: it takes nothing new here, what it has is unaffected."""

_D, _R = Disposition, OrdRejReason
_Meaning = tuple[Disposition, OrdRejReason]


@attrs.frozen(kw_only=True)
class Refusal:
    """A refusal as it came, whatever carried it."""

    product: Product
    status: int
    """HTTP status; 200 on a socket."""
    code: int | None
    """`retCode`; None: the body was not the venue's envelope (a firewall's page, a gateway's)."""
    text: str
    order: bool
    """True when the request could change orders."""
    received_ns: int
    reset_ms: int | None = None
    """`X-Bapi-Limit-Reset-Timestamp`, by the venue's clock."""
    server_time_ms: int | None = None
    """The venue's clock when it answered, which turns the above into our clock."""


def _all(disposition: Disposition, reason: OrdRejReason, codes: Iterable[int]) -> dict[int, _Meaning]:
    return dict.fromkeys(codes, (disposition, reason))


# Codes of the gateway, the same for all products.
_COMMON: Mapping[int, _Meaning] = {
    **_all(_D.CLOCK, _R.CLOCK, (10002, -1)),
    **_all(_D.AUTH, _R.AUTH, (10003, 10004, 10005, 10007, 10010, 10028, 33004, -2015)),
    **_all(_D.AUTH, _R.AUTH, (10009, 10024, 10027, 10029)),  # region and compliance: a person has to act
    **_all(_D.RATE_LIMITED, _R.RATE_LIMITED, (10006, 10403, 10429, 20003, 429, 30035)),
    **_all(_D.UNKNOWN, _R.VENUE, (10000, 10016, RESTARTING, 3400214)),
    **_all(_D.UNKNOWN, _R.DUPLICATE_CL_ORD_ID, (10014,)),
    **_all(_D.BUSY, _R.OVERLOADED, (40004,)),
    **_all(_D.BUG, _R.UNSUPPORTED, (10001, 10404, 20006)),
    **_all(_D.REJECTED, _R.BAD_PRICE, (30208, 30209)),
}
_CONTRACTS: Mapping[int, _Meaning] = {
    **_all(_D.NOT_FOUND, _R.VENUE, (110001,)),
    **_all(_D.ALREADY_FINAL, _R.VENUE, (110008, 110010)),
    **_all(_D.UNKNOWN, _R.DUPLICATE_CL_ORD_ID, (110072,)),
    **_all(_D.BUSY, _R.OVERLOADED, (110079,)),
    **_all(
        _D.REJECTED,
        _R.INSUFFICIENT_BALANCE,
        (110004, 110006, 110007, 110012, 110014, 110044, 110045, 110052),
    ),
    # 110092 and 110093: the trigger price has been reached already.
    **_all(_D.REJECTED, _R.BAD_PRICE, (110003, 110092, 110093, 110120, 110121)),
    **_all(_D.REJECTED, _R.BAD_QUANTITY, (110017, 110064)),
    **_all(_D.REJECTED, _R.MAX_OPEN_ORDERS, (110009, 110020)),
    **_all(_D.REJECTED, _R.MAX_POSITION, (110021,)),
    **_all(_D.REJECTED, _R.MIN_NOTIONAL, (110094,)),
    **_all(_D.REJECTED, _R.WOULD_TAKE, (110103,)),
    **_all(_D.BUG, _R.UNSUPPORTED, (110024, 110028, 110029)),  # position mode: the configuration is wrong
    **_all(_D.REJECTED, _R.AUTH, (110123, 110124, 110125)),  # an agreement to be signed by a person
    **_all(_D.AUTH, _R.AUTH, (110132,)),
}
_SPOT: Mapping[int, _Meaning] = {
    **_all(_D.NOT_FOUND, _R.VENUE, (170143, 170213)),
    **_all(_D.ALREADY_FINAL, _R.VENUE, (170139, 170142, 181017)),
    **_all(_D.UNKNOWN, _R.DUPLICATE_CL_ORD_ID, (170141,)),
    **_all(_D.UNKNOWN, _R.VENUE, (170007, 170032, 170035, 170146, 170147, 170310)),
    **_all(_D.BUSY, _R.OVERLOADED, (170190, 170191, 170212)),
    **_all(_D.RATE_LIMITED, _R.RATE_LIMITED, (170005, 170222)),
    **_all(_D.REJECTED, _R.INSUFFICIENT_BALANCE, (170033, 170131)),
    **_all(_D.REJECTED, _R.VENUE, (170151, 170210)),
    **_all(_D.BUG, _R.UNSUPPORTED, (170115, 170116, 170117, 170121, 170202)),  # a word that spot does not know
    **_all(_D.REJECTED, _R.BAD_PRICE, (170132, 170133, 170134, 170148)),
    **_all(_D.REJECTED, _R.PRICE_BAND, (170192, 170193, 170194, 170381, 170382)),
    **_all(_D.REJECTED, _R.BAD_QUANTITY, (170124, 170136, 170137)),
    **_all(_D.REJECTED, _R.MIN_NOTIONAL, (170140,)),
    **_all(_D.REJECTED, _R.MAX_OPEN_ORDERS, (170810,)),
    **_all(_D.REJECTED, _R.WOULD_TAKE, (170217, 170218)),
}
# A unified account trades both, and its margin checks answer in the words of either: the product's own words first.
_MEANINGS: Mapping[tuple[Product, int], _Meaning] = {
    **{(Product.SPOT, code): meaning for table in (_CONTRACTS, _SPOT, _COMMON) for code, meaning in table.items()},
    **{(Product.LINEAR, code): meaning for table in (_SPOT, _CONTRACTS, _COMMON) for code, meaning in table.items()},
}
_OF_THE_ACCOUNT = frozenset({10006, 20003, 30035, 170005, 170222})
"""A bucket of the account is empty (section 4.2); what is counted for the address says 10403 or HTTP 403."""
_CONTROLS = frozenset({"auth", "subscribe", "unsubscribe", "ping", "pong"})
_BLOCKED_COUNTRY = ("country", "region", "restricted location")


def classify(refusal: Refusal) -> VenueError:
    """What a refusal means for the request that it answers."""
    disposition, reason = _meaning(refusal)
    if not refusal.order and disposition is _D.UNKNOWN:
        disposition = _D.BUSY  # a read changes nothing: ask again
    code = "" if refusal.code is None else str(refusal.code)
    text = refusal.text or f"HTTP {refusal.status}"
    scope = Scope.ACCOUNT if refusal.code in _OF_THE_ACCOUNT else Scope.ADDRESS
    # The firewall's silence is for REST (section 11): the sockets, and the orders on them, go on.
    buckets = ("raw",) if disposition is _D.BANNED else ()
    return VenueError(disposition, code, text[:500], reason, _until_ns(refusal, disposition), scope, buckets)


def _meaning(refusal: Refusal) -> _Meaning:
    code = refusal.code
    if code is None or refusal.status >= 500:
        return _by_status(refusal)
    if code == 10003 and "session" in refusal.text.lower():
        return _D.BUSY, _R.OVERLOADED  # too many sessions of this account, says the same code on the trade socket
    meaning = _MEANINGS.get((refusal.product, code))
    return meaning if meaning is not None else _by_status(refusal)


def _by_status(refusal: Refusal) -> _Meaning:
    """By HTTP status alone; a reply that cannot be read proves nothing."""
    status = refusal.status
    if status == 403:
        lowered = refusal.text.lower()
        if any(word in lowered for word in _BLOCKED_COUNTRY):
            return _D.AUTH, _R.AUTH
        return _D.BANNED, _R.RATE_LIMITED
    if status == 401:
        return _D.AUTH, _R.AUTH
    if status == 429:
        return _D.RATE_LIMITED, _R.RATE_LIMITED
    if status in (404, 405, 410):
        return _D.BUG, _R.UNSUPPORTED
    return _D.UNKNOWN, _R.VENUE


def _until_ns(refusal: Refusal, disposition: Disposition) -> int:
    """When we may send again, by our clock."""
    now = refusal.received_ns
    if disposition is _D.BANNED:
        return now + IP_SILENCE_NS
    if disposition is not _D.RATE_LIMITED:
        return 0
    if refusal.reset_ms is None:
        return now + _DEFAULT_WAIT_NS
    venue_now_ns = now if refusal.server_time_ms is None else refusal.server_time_ms * 1_000_000
    return now + min(max(refusal.reset_ms * 1_000_000 - venue_now_ns, 0), _WAIT_MAX_NS)


def control_error(op: str, code: int | None, text: str, product: Product, received_ns: int) -> VenueError:
    """A refused logon, subscription or other control frame; most of them carry a text and no code.

    Under a name that is no control's it may be about an order, and is read like that.
    """
    order = op not in _CONTROLS
    lowered = text.lower()
    if op == "auth" and "expire" in lowered and "key" not in lowered:
        # The signed moment had passed, whatever the code: the private socket has none, the trade socket 10001.
        return VenueError(_D.CLOCK, str(code or ""), text[:500], _R.CLOCK)
    if code or order:
        return classify(
            Refusal(product=product, status=200, code=code or None, text=text, order=order, received_ns=received_ns)
        )
    if op == "auth" or "auth" in lowered:
        disposition, reason = _D.AUTH, _R.AUTH
    else:
        disposition, reason = _D.BUG, _R.UNSUPPORTED
    return VenueError(disposition, "", text[:500], reason)
