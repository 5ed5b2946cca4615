"""What Binance USDT-M Futures' refusals mean (reference sections 16 and 17.1).

The numbers are those of this product alone: -2026 here is an order type, on Spot an archived order.  As everywhere, a
read that failed inside the venue is asked again, an order request that failed inside it may have been carried out.

Readings that differ from a plain reject on purpose:

* a 503 has four meanings, told apart by its text: one is UNKNOWN, three are certain failures (BUSY).  The text counts
  in the venue's error object alone: the page of a gateway proves nothing.
* -4116 (duplicate client id) is UNKNOWN: our ids are unique for ever, so the open order with this id *is* this order.
* -2011 does not tell filled from canceled: ALREADY_FINAL means "ask why".
* "no need to change ..." is OK: things are as we wished.
* refusals of the account's state ("only reduce-only", a region's rules) reject one order; they do not say that the key
  is wrong, or the position could not be closed any more.
"""

from __future__ import annotations

from collections.abc import Mapping

from protocols.enums import OrdRejReason
from protocols.venue import Disposition, VenueError
from protocols.venues.binance_common.refusals import Refusal, is_ban, venue_error

__all__ = ["Refusal", "classify"]

_D, _R = Disposition, OrdRejReason
_Meaning = tuple[Disposition, OrdRejReason]

_THROTTLED = -1008
_INTERNAL = -1001
# Nobody knows whether the engine did it.
_UNKNOWN_CODES = frozenset({-1000, -1006, -1007})
# The certain failures among the 503s, by the beginning of their text (section 17.1).
_FAILED_TEXTS = ("service unavailable", "internal error; unable to process your request")


def _table(*rows: tuple[_Meaning, tuple[int, ...]]) -> Mapping[int, _Meaning]:
    return {code: meaning for meaning, codes in rows for code in codes}


# Codes that are not listed: a 4xx with a code is a certain refusal.
_BY_CODE = _table(
    ((_D.AUTH, _R.AUTH), (-1002, -1011, -1022, -1099, -2014, -2015, -2017)),
    ((_D.RATE_LIMITED, _R.RATE_LIMITED), (-1003,)),
    ((_D.RATE_LIMITED, _R.ORDER_RATE), (-1015,)),
    ((_D.BUSY, _R.OVERLOADED), (_THROTTLED, -4117, -5043)),
    ((_D.MAINTENANCE, _R.NOT_READY), (-1016,)),
    ((_D.CLOCK, _R.CLOCK), (-1021, -5028)),
    ((_D.BUG, _R.UNKNOWN_INSTRUMENT), (-1121,)),
    ((_D.NOT_FOUND, _R.VENUE), (-1125, -2013)),
    ((_D.ALREADY_FINAL, _R.VENUE), (-2011, -2012)),
    ((_D.UNKNOWN, _R.DUPLICATE_CL_ORD_ID), (-4116,)),
    ((_D.UNKNOWN, _R.VENUE), (-4083,)),
    ((_D.OK, _R.VENUE), (-4046, -4059, -4171, -5027)),
    ((_D.REJECTED, _R.INSUFFICIENT_BALANCE), (-2018, -2019, -4044, -4050, -4051, -4118)),
    ((_D.REJECTED, _R.WOULD_TAKE), (-5022,)),
    ((_D.REJECTED, _R.BAD_PRICE), (-2021, -4001, -4002, -4013, -4014, -4135, -4142, -4183, -4184, -4210, -4211)),
    ((_D.REJECTED, _R.BAD_QUANTITY), (-4003, -4004, -4005, -4023, -1111)),
    ((_D.REJECTED, _R.PRICE_BAND), (-4016, -4024, -4131)),
    ((_D.REJECTED, _R.MIN_NOTIONAL), (-4164, -5029)),
    ((_D.REJECTED, _R.MAX_POSITION), (-2027, -2028)),
    ((_D.REJECTED, _R.MAX_OPEN_ORDERS), (-2025, -4045)),
    ((_D.REJECTED, _R.REDUCE_ONLY_MODE), (-4087, -4105, -4106, -4107, -4189, -4400, -4401)),
    ((_D.REJECTED, _R.AUTH), (-4088, -4109, -4192, *range(-4209, -4201), -4402, -4403)),
    ((_D.REJECTED, _R.NOT_TRADABLE), (-2023, -4139, -4140, -4141, -4144, -5024)),
    ((_D.BUG, _R.UNSUPPORTED), (-1014, -1020, -1023, *range(-1106, -1099), -1108, -1109, -1110)),
    ((_D.BUG, _R.UNSUPPORTED), (*range(-1120, -1111), -1122, -1123, -1124, *range(-1130, -1125), -1136)),
    ((_D.BUG, _R.UNSUPPORTED), (-2026, -4015, -4028, -4031, -4060, -4061, -4062, -4082, -4084, -4120)),
    ((_D.BUG, _R.UNSUPPORTED), (-4137, -4138, -4165, -5025, -5039, -5040, -5047)),
)


def classify(refusal: Refusal) -> VenueError:
    """What a refusal means for the request that it answers."""
    return venue_error(refusal, *_meaning(refusal))


def _meaning(refusal: Refusal) -> _Meaning:
    code, status = refusal.code, refusal.status
    if status == 418:
        return _D.BANNED, _R.RATE_LIMITED
    if code == _THROTTLED:
        return _D.BUSY, _R.OVERLOADED  # certain failure, whatever the status
    if code == _INTERNAL or status >= 500:
        failed = status in (503, 400) and not refusal.page and refusal.text.lower().startswith(_FAILED_TEXTS)
        return (_D.BUSY, _R.OVERLOADED) if failed else (_D.UNKNOWN, _R.VENUE)
    if code in _UNKNOWN_CODES or status == 408:
        return _D.UNKNOWN, _R.VENUE
    if code is None:
        return _by_status(status)
    if code == -1003 and is_ban(refusal.text):
        return _D.BANNED, _R.RATE_LIMITED
    meaning = _BY_CODE.get(code)
    return meaning if meaning is not None else _by_status(status, known_code=True)


def _by_status(status: int, *, known_code: bool = False) -> _Meaning:
    """By HTTP status alone (section 2)."""
    if status == 429:
        return _D.RATE_LIMITED, _R.RATE_LIMITED
    if status == 401:
        return _D.AUTH, _R.AUTH
    if status in (404, 410):
        return _D.BUG, _R.UNSUPPORTED
    if status == 403 or known_code:
        return _D.REJECTED, _R.VENUE  # the firewall answers before the API
    return _D.UNKNOWN, _R.VENUE  # a reply that cannot be read proves nothing
