"""The venue's words and numbers, one by one, as ours."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from protocols.enums import Side
from protocols.errors import RemoteProtocolError
from protocols.venues.values import ZERO, amount, signed_amount, stamp_ns

__all__ = [
    "LEGS",
    "SIDES",
    "cost",
    "counts_money",
    "number",
    "price_or_none",
    "signed_number",
    "stamp_of",
]

SIDES = {"buy": Side.BUY, "sell": Side.SELL}
LEGS: Mapping[str, Side | None] = {"net": None, "": None, "long": Side.BUY, "short": Side.SELL}


def stamp_of(text: str) -> int:
    """A time in milliseconds as text, in nanoseconds; 0 for ""."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise RemoteProtocolError(f"not a time: {text[:40]!r}")
    return stamp_ns(int(text))


def number(text: str) -> Decimal:
    """An amount; 0 where it does not apply."""
    return amount(text) if text else ZERO


def signed_number(text: str) -> Decimal:
    """As `number`, which may be negative."""
    return signed_amount(text) if text else ZERO


def price_or_none(text: str) -> Decimal | None:
    """The limit price; the venue writes "", "0" or "-1" for none."""
    return None if text in ("", "-1") else amount(text) or None


def counts_money(inst_type: str, side: str, target: str) -> bool:
    """Whether the size of a market order is quote money: where it is said, and by default a buy's on spot (5.1)."""
    return target == "quote_ccy" or (not target and side == "buy" and inst_type in ("SPOT", "MARGIN"))


def cost(fee: str) -> Decimal:
    """The venue's fee, which is negative when we pay, as a cost."""
    paid = signed_number(fee)
    return -paid if paid else ZERO
