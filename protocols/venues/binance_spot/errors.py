"""What Binance Spot's refusals mean (reference sections 15 and 16.1).

Two questions decide: what is it, and was the request one that changes orders?  A read that failed inside the venue
is asked again; an order request that failed inside the venue may have been carried out, so its outcome is UNKNOWN.
Codes -1010, -2010, -2011 and -2038 are decided by their text, by prefix, whatever the case.

Three readings differ from a plain reject on purpose:

* "Duplicate order sent." is UNKNOWN: our ids are unique for ever, so an open order with this id *is* this order.
* "Unknown order sent." does not tell filled from canceled: ALREADY_FINAL means "ask why".
* any 5xx on an order request is UNKNOWN, whatever code its body carries.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from protocols.enums import OrdRejReason
from protocols.venue import Disposition, VenueError
from protocols.venues.binance_common.refusals import Refusal, is_ban, venue_error

__all__ = ["Refusal", "classify"]

_D, _R = Disposition, OrdRejReason


# Refusals whose code alone decides.  Codes that are not listed: a 4xx with a code is a certain refusal.
_BY_CODE: Mapping[int, tuple[Disposition, OrdRejReason]] = {
    -1002: (_D.AUTH, _R.AUTH),
    -1003: (_D.RATE_LIMITED, _R.RATE_LIMITED),
    -1008: (_D.BUSY, _R.OVERLOADED),
    -1010: (_D.REJECTED, _R.VENUE),
    -1013: (_D.REJECTED, _R.VENUE),
    -1014: (_D.BUG, _R.UNSUPPORTED),
    -1015: (_D.RATE_LIMITED, _R.ORDER_RATE),
    -1016: (_D.MAINTENANCE, _R.NOT_READY),
    -1020: (_D.BUG, _R.UNSUPPORTED),
    -1021: (_D.CLOCK, _R.CLOCK),
    -1022: (_D.AUTH, _R.AUTH),
    -1034: (_D.RATE_LIMITED, _R.RATE_LIMITED),
    -1112: (_D.REJECTED, _R.VENUE),
    -1121: (_D.BUG, _R.UNKNOWN_INSTRUMENT),
    -1220: (_D.REJECTED, _R.NOT_TRADABLE),
    -2010: (_D.REJECTED, _R.VENUE),
    -2011: (_D.ALREADY_FINAL, _R.VENUE),
    -2013: (_D.NOT_FOUND, _R.VENUE),
    -2014: (_D.AUTH, _R.AUTH),
    -2015: (_D.AUTH, _R.AUTH),
    -2016: (_D.REJECTED, _R.NOT_TRADABLE),
    -2021: (_D.UNKNOWN, _R.VENUE),
    -2022: (_D.REJECTED, _R.VENUE),
    -2026: (_D.ALREADY_FINAL, _R.VENUE),
    -2035: (_D.BUG, _R.VENUE),
    -2036: (_D.BUG, _R.VENUE),
    -2038: (_D.REJECTED, _R.VENUE),
    -2039: (_D.REJECTED, _R.VENUE),
    -2042: (_D.MAINTENANCE, _R.VENUE),
    -2043: (_D.REJECTED, _R.NO_REFERENCE_PRICE),
}
# Malformed requests: ours to repair, never to repeat.
_BUG_CODES = frozenset(
    {-1033, -1035, *range(-1106, -1099), -1108, -1111, *range(-1119, -1113), -1120, -1122, -1125, -1127, -1128}
    | {-1130, -1134, -1135, -1139, -1145, -1151, -1152, -1153, -1155, -1161, -1221, *range(-1225, -1221)}
    | {-1158, -1160, -1165, -1166, -1168, *range(-1191, -1168), -1194, *range(-1199, -1195), -1210, -1211}
)
# Nobody knows whether the engine did it.
_UNKNOWN_CODES = frozenset({-1000, -1001, -1006, -1007})

_TEXT_CODES = frozenset({-1010, -2010, -2011, -2038})
_BY_TEXT: tuple[tuple[str, Disposition, OrdRejReason], ...] = (
    ("account has insufficient balance", _D.REJECTED, _R.INSUFFICIENT_BALANCE),
    ("order would immediately match and take", _D.REJECTED, _R.WOULD_TAKE),
    ("unknown order sent", _D.ALREADY_FINAL, _R.VENUE),
    ("duplicate order sent", _D.UNKNOWN, _R.DUPLICATE_CL_ORD_ID),
    ("market is closed", _D.REJECTED, _R.NOT_TRADABLE),
    ("order would trigger immediately", _D.REJECTED, _R.BAD_PRICE),
    ("order was not canceled due to cancel restrictions", _D.REJECTED, _R.VENUE),
    ("the relationship of the prices for the orders is not correct", _D.REJECTED, _R.BAD_PRICE),
    ("this action is disabled on this account", _D.REJECTED, _R.AUTH),
    ("this account may not place or cancel orders", _D.REJECTED, _R.AUTH),
    ("this symbol is not permitted for this account", _D.REJECTED, _R.NOT_TRADABLE),
    ("this symbol is restricted for this account", _D.REJECTED, _R.NOT_TRADABLE),
    ("price * qty is zero or less", _D.REJECTED, _R.BAD_QUANTITY),
    ("icebergqty exceeds qty", _D.REJECTED, _R.BAD_QUANTITY),
    ("unsupported order combination", _D.REJECTED, _R.UNSUPPORTED),
    ("order amend (quantity increase) is not supported", _D.REJECTED, _R.BAD_QUANTITY),
    ("the requested action would change no state; rejecting", _D.REJECTED, _R.BAD_QUANTITY),
    ("order book liquidity is too low", _D.REJECTED, _R.VENUE),
)
_FILTER = re.compile(r"filter failure: ([A-Z_]+)", re.IGNORECASE)
_BY_FILTER: Mapping[str, OrdRejReason] = {
    "PRICE_FILTER": _R.BAD_PRICE,
    "PERCENT_PRICE": _R.PRICE_BAND,
    "PERCENT_PRICE_BY_SIDE": _R.PRICE_BAND,
    "LOT_SIZE": _R.BAD_QUANTITY,
    "MARKET_LOT_SIZE": _R.BAD_QUANTITY,
    "ICEBERG_PARTS": _R.BAD_QUANTITY,
    "MIN_NOTIONAL": _R.MIN_NOTIONAL,
    "NOTIONAL": _R.MIN_NOTIONAL,
    "MAX_POSITION": _R.MAX_POSITION,
    "MAX_ASSET": _R.MAX_ORDER_QTY,
    "TRAILING_DELTA": _R.BAD_PRICE,
}


def classify(refusal: Refusal) -> VenueError:
    """What a refusal means for the request that it answers."""
    return venue_error(refusal, *_meaning(refusal))


def _meaning(refusal: Refusal) -> tuple[Disposition, OrdRejReason]:
    code, status = refusal.code, refusal.status
    if status == 418:
        return _D.BANNED, _R.RATE_LIMITED
    if code in _UNKNOWN_CODES or (status >= 500 and refusal.order):
        return _D.UNKNOWN, _R.VENUE
    if code is None:
        return _by_status(status)
    if code == -1003 and is_ban(refusal.text):
        return _D.BANNED, _R.RATE_LIMITED
    if code == -1013:
        return _D.REJECTED, _filter_reason(refusal.text)
    if code in _TEXT_CODES:
        lowered = refusal.text.lower()
        for prefix, disposition, reason in _BY_TEXT:
            if lowered.startswith(prefix):
                return disposition, reason
    if code in _BUG_CODES:
        return _D.BUG, _R.UNSUPPORTED
    meaning = _BY_CODE.get(code)
    return meaning if meaning is not None else _by_status(status, known_code=True)


def _by_status(status: int, *, known_code: bool = False) -> tuple[Disposition, OrdRejReason]:
    """By HTTP status alone (section 2.1)."""
    if status >= 500:
        return _D.UNKNOWN, _R.VENUE
    if status == 429:
        return _D.RATE_LIMITED, _R.RATE_LIMITED
    if status == 401:
        return _D.AUTH, _R.AUTH
    if status in (404, 410):
        return _D.BUG, _R.UNSUPPORTED
    if status == 403 or known_code:
        return _D.REJECTED, _R.VENUE  # the firewall answers before the API
    return _D.UNKNOWN, _R.VENUE  # a reply that cannot be read proves nothing


def _filter_reason(text: str) -> OrdRejReason:
    match = _FILTER.match(text)
    if match is None:
        return _R.UNSUPPORTED if "self-trade prevention" in text else _R.VENUE
    name = match.group(1).upper()
    if "MAX_NUM_" in name:
        return _R.MAX_OPEN_ORDERS
    return _BY_FILTER.get(name, _R.VENUE)
