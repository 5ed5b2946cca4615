"""Numbers and times as venues write them, to ours and back, for every codec.

A venue's text is not trusted: NaN, infinities, negative amounts where none can be, and numbers far outside any market
are refused with `RemoteProtocolError`.  Exponents are bounded by that too, so that no later `format(x, "f")` can be
made to write a gigabyte of zeros.  Our own numbers are refused with `LocalProtocolError` when a venue could not read
them.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal, InvalidOperation

import msgspec

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.instruments import plain
from protocols.market import Level

ZERO = Decimal(0)
AMOUNT_MIN = Decimal("1E-18")
"""Smallest amount other than 0; the finest steps of any venue are 1E-8 to 1E-12."""
AMOUNT_END = Decimal(10) ** 20
"""Amounts are below this; the largest quote turnovers of a day are around 1E15."""
TEXT_MAX = 48
_MILLISECONDS_END = 9 * 10**12
_MICROSECONDS_FROM, _MICROSECONDS_END = 10**14, 9 * 10**15
"""Until the year 2255 in either unit, so that nanoseconds fit 64 bits; microseconds from 1973 on."""

REFUSED = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)
"""What decoding a hostile text can raise; each codec turns it into `RemoteProtocolError` at its edge."""


def amount(text: str) -> Decimal:
    """A price, quantity or balance: finite, not negative, of sane size."""
    if len(text) <= TEXT_MAX:
        try:
            value = Decimal(text)
            if AMOUNT_MIN <= value < AMOUNT_END:
                return value
            if not value:
                return ZERO
        except InvalidOperation:
            raise RemoteProtocolError(f"not a number: {text!r}") from None
    raise RemoteProtocolError(f"amount out of range: {text[:TEXT_MAX]!r}")


def checked_amount(value: Decimal) -> Decimal:
    """`amount` for what the JSON decoder has made a Decimal already (venues that write JSON numbers)."""
    try:
        if AMOUNT_MIN <= value < AMOUNT_END:
            return value
        if not value:
            return ZERO
    except InvalidOperation:
        pass  # a NaN does not compare
    raise RemoteProtocolError(f"amount out of range: {str(value)[:TEXT_MAX]!r}")


class Levels:
    """Book levels of a venue that writes prices as texts, checked; for one codec, that is, one connection's thread.

    A price comes again and again, and half of what a level costs is making its Decimal and the first hash of it, which
    the object keeps.  So the Decimal of a text that was seen is used again, for as many texts as `texts_max`.
    """

    __slots__ = ("_prices", "_texts_max")

    def __init__(self, texts_max: int = 16_384) -> None:
        self._prices: dict[str, Decimal] = {}
        self._texts_max = texts_max

    def of(self, rows: Iterable[tuple[str, Decimal]]) -> tuple[Level, ...]:
        """Price and quantity of each; quantity 0 removes a level.

        Raises RemoteProtocolError for a NaN (which does not compare), infinities, negatives and absurd sizes.
        """
        prices, low, end = self._prices, AMOUNT_MIN, AMOUNT_END
        levels = []
        try:
            for text, qty in rows:
                price = prices.get(text)
                if price is None:
                    price = self._learn(text)
                if not qty:
                    qty = ZERO  # it may come with any exponent, and would keep it
                elif not low <= qty < end:
                    raise RemoteProtocolError(f"impossible level: {price} {qty}")
                levels.append((price, qty))
        except InvalidOperation:
            raise RemoteProtocolError("a level is not a number") from None
        return tuple(levels)

    def _learn(self, text: str) -> Decimal:
        price = amount(text)
        if not price:
            raise RemoteProtocolError(f"impossible price of a level: {text!r}")
        if len(self._prices) >= self._texts_max:
            self._prices.clear()
        self._prices[text] = price
        return price


def price_or_none(value: str | Decimal | None) -> Decimal | None:
    """A price that the venue may leave out; "" and 0 mean that there is none."""
    return amount_or_none(value) or None


def amount_or_none(value: str | Decimal | None) -> Decimal | None:
    """An amount that the venue may leave out; 0 is an amount, "" is none."""
    if value is None or value == "":
        return None
    return amount(value) if isinstance(value, str) else checked_amount(value)


def signed_amount(text: str) -> Decimal:
    """An amount that may be negative: a fee that is a rebate, a sum that the venue marks as not available."""
    return -amount(text[1:]) if text.startswith("-") else amount(text)


def stamp_ns(stamp: int) -> int:
    """A venue's time in milliseconds, or in microseconds (told apart by size), as nanoseconds."""
    if 0 <= stamp < _MILLISECONDS_END:
        return stamp * 1_000_000
    if _MICROSECONDS_FROM <= stamp < _MICROSECONDS_END:
        return stamp * 1_000
    raise RemoteProtocolError(f"time out of range: {stamp}")


def amount_text(value: Decimal, field: str, places: int = 8) -> str:
    """A price or quantity for the wire: positive, no exponent, at most `places` fractional digits."""
    try:
        if AMOUNT_MIN <= value < AMOUNT_END:
            text = str(value)
            if "E" in text or len(text) - text.find(".") > places + 1:
                text = plain(value)
                if len(text.partition(".")[2]) > places:
                    raise LocalProtocolError(f"{field} was {value}, has more than {places} decimals; round it first")
            return text
    except InvalidOperation:
        # a NaN does not compare
        pass
    raise LocalProtocolError(f"{field} was {value}, must be a positive number below {AMOUNT_END}")
