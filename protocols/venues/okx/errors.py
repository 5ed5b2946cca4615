"""What OKX's refusals mean (reference sections 3 and 11).

A refusal is a code of five digits, as text, at the top of the answer or in an item's `sCode`, there with an optional
suffix (`51008_1000`) that says why and is not needed to act.  HTTP 200 carries most of them.  What a code means is
keyed by (product, code): `BY_PRODUCT` first, then `BY_CODE`, which holds for every product.

Two questions decide: what is it, and was the request one that changes orders?  A read that failed inside the venue
is asked again; an order request that failed inside the venue may have been carried out, so its outcome is UNKNOWN.

Readings that differ from a plain reject on purpose:

* a used client order id is UNKNOWN: our ids are unique for ever, so the order with this id *is* this order;
* 51400 does not tell filled from canceled: ALREADY_FINAL means "ask why";
* "already under way" (51410, 51416, 51513) is UNKNOWN, because the earlier request may still have its effect;
* 50013 (busy) on an order is UNKNOWN, on a read it is BUSY.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import attrs

from protocols.enums import OrdRejReason
from protocols.instruments import Product
from protocols.venue import Disposition, Scope, VenueError

__all__ = ["BY_CODE", "BY_PRODUCT", "LOGIN_CODES", "Refusal", "classify", "not_understood"]

_S = 1_000_000_000
_D, _R = Disposition, OrdRejReason

Meaning = tuple[Disposition, OrdRejReason]


@attrs.frozen(kw_only=True)
class Refusal:
    """A refusal as it came, whatever carried it."""

    status: int
    """HTTP status; 200 for what came on a WebSocket."""
    code: str
    """"": the answer was not the venue's (a firewall's page, a gateway's)."""
    text: str
    order: bool
    """True when the request could change orders."""
    received_ns: int


def _all(codes: str, disposition: Disposition, reason: OrdRejReason) -> Iterable[tuple[str, Meaning]]:
    """Codes and ranges of codes, separated by blanks."""
    for part in codes.split():
        first, _, last = part.partition("-")
        for number in range(int(first), int(last or first) + 1):
            yield str(number), (disposition, reason)


BY_CODE: Mapping[str, Meaning] = dict(
    (
        # clock; a deadline that was over when the request came says the same: surely not accepted, measure again
        *_all("50102 50112 60004 60006", _D.CLOCK, _R.CLOCK),
        *_all("50036", _D.CLOCK, _R.STALE),
        # authentication
        *_all("50035 50100 50101 50103-50111 50113 50114 50119-50121", _D.AUTH, _R.AUTH),
        *_all("60005 60007 60009 60011 60024 60031 60032", _D.AUTH, _R.AUTH),
        # rate
        *_all("50011 50040 60014 60023", _D.RATE_LIMITED, _R.RATE_LIMITED),
        *_all("50061 51113 51115", _D.RATE_LIMITED, _R.ORDER_RATE),
        *_all("50013", _D.UNKNOWN, _R.OVERLOADED),
        # nobody knows whether the engine did it
        *_all("50001 50004 50026 51054 51149 51412 63999 64007", _D.UNKNOWN, _R.VENUE),
        *_all("51410 51416 51513", _D.UNKNOWN, _R.VENUE),
        # the request waited too long at the venue: surely not accepted
        *_all("50037", _D.REJECTED, _R.STALE),
        # client order id in use
        *_all("50042 51011 51016 51065 51068", _D.UNKNOWN, _R.DUPLICATE_CL_ORD_ID),
        # no such live order
        *_all("51400-51402 51405 51503 51509 51510", _D.ALREADY_FINAL, _R.VENUE),
        *_all("51063 51603", _D.NOT_FOUND, _R.VENUE),
        # instrument
        *_all("51001 51015", _D.REJECTED, _R.UNKNOWN_INSTRUMENT),
        *_all("50033 51021 51022 51027-51029 51087 51155", _D.REJECTED, _R.NOT_TRADABLE),
        # requests that we built wrongly
        *_all("50002 50014 50024 51000 51003 51407 60012 60013 60019 60033", _D.BUG, _R.UNSUPPORTED),
        *_all("60008 60018 60028 64000-64004", _D.BUG, _R.UNSUPPORTED),
        # size and price
        *_all("51005 51007 51101 51121 51122 51185 51201-51203", _D.REJECTED, _R.BAD_QUANTITY),
        *_all("51020 51120 54051", _D.REJECTED, _R.MIN_NOTIONAL),
        *_all("51116 51150 54084 54085", _D.REJECTED, _R.BAD_PRICE),
        *_all("51006 51135-51138", _D.REJECTED, _R.PRICE_BAND),
        # limits
        *_all("51004", _D.REJECTED, _R.MAX_POSITION),
        *_all("51025 51102-51107 51174 54031", _D.REJECTED, _R.MAX_OPEN_ORDERS),
        # balance
        *_all("51008 51017 51131", _D.REJECTED, _R.INSUFFICIENT_BALANCE),
        # reduce-only
        *_all("51112 51134 51148 51165 51169 51170 51205 51206", _D.REJECTED, _R.REDUCE_ONLY_MODE),
        # post-only
        *_all("51511", _D.REJECTED, _R.WOULD_TAKE),
        # account mode: configuration
        *_all("51010 51037 51041 50072 51133 51139 51209-51214 51298", _D.BUG, _R.UNSUPPORTED),
        *_all("51070 51071", _D.BUG, _R.UNSUPPORTED),
        # not in demo trading
        *_all("50038", _D.REJECTED, _R.UNSUPPORTED),
        # frozen account or cooling-off
        *_all("50007 50009 50017-50023 50027-50029", _D.REJECTED, _R.NOT_TRADABLE),
        *_all("51009 51024 51030-51032 54094 54109", _D.REJECTED, _R.NOT_TRADABLE),
        # maintenance
        *_all("50046 50062", _D.MAINTENANCE, _R.NOT_READY),
    )
)
BY_PRODUCT: Mapping[tuple[Product, str], Meaning] = {
    # On spot these say that we sent a field of contracts; on contracts that there is nothing to reduce.
    (Product.LINEAR, "51133"): (_D.REJECTED, _R.REDUCE_ONLY_MODE),
    (Product.LINEAR, "51139"): (_D.REJECTED, _R.REDUCE_ONLY_MODE),
    # Contracts count positions where spot counts money.
    (Product.SPOT, "51004"): (_D.REJECTED, _R.MAX_ORDER_QTY),
}

LOGIN_CODES = frozenset({"60004", "60005", "60006", "60007", "60009", "60022", "60024", "60031", "60032"})
"""Errors that answer a login, which the venue does not number."""

_CODE = re.compile(r"[56][0-9]{4}")
_WINDOW_NS = 2 * _S
"""Every limit of the venue counts in windows of this length."""


def classify(product: Product, refusal: Refusal) -> VenueError:
    """What a refusal means for the request that it answers."""
    base = refusal.code.partition("_")[0]
    disposition, reason = _meaning(product, base, refusal.status)
    if not refusal.order and disposition is _D.UNKNOWN:
        disposition = _D.BUSY  # a read changes nothing: ask again
    until_ns = refusal.received_ns + _WINDOW_NS if disposition is _D.RATE_LIMITED else 0
    text = refusal.text or f"HTTP {refusal.status}"
    # Each endpoint has a bucket for each user or, where it is public, for the address: none is of all requests.
    scope = Scope.ACCOUNT if disposition is _D.RATE_LIMITED else Scope.ADDRESS
    return VenueError(disposition, refusal.code[:40], text[:500], reason, until_ns, scope)


def not_understood(text: str) -> VenueError:
    """An answer that cannot be read proves nothing about its order."""
    return VenueError(_D.UNKNOWN, "", f"answer not understood: {text}"[:500])


def _meaning(product: Product, code: str, status: int) -> Meaning:
    known = BY_PRODUCT.get((product, code)) or BY_CODE.get(code)
    if known is not None:
        # A failure of the venue's own stays unknown, whatever its body says.
        return known if status < 500 or known[0] is _D.MAINTENANCE else (_D.UNKNOWN, known[1])
    if status >= 500:
        return _D.UNKNOWN, _R.VENUE
    if status == 429:
        return _D.RATE_LIMITED, _R.RATE_LIMITED
    if status == 401:
        return _D.AUTH, _R.AUTH
    if status == 403:
        return _D.REJECTED, _R.VENUE  # the firewall answers before the API
    if status in (404, 405, 410):
        return _D.BUG, _R.UNSUPPORTED
    if _CODE.fullmatch(code):
        return _D.REJECTED, _R.VENUE
    return _D.UNKNOWN, _R.VENUE  # a reply that cannot be read proves nothing
