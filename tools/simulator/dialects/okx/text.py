"""Numbers and times as the venue writes them: JSON strings, decimals without an exponent, milliseconds."""

from __future__ import annotations

from decimal import Decimal

from tools.simulator.core.clock import MS


def plain(value: Decimal | None) -> str:
    """Without trailing zeros; "" for what does not apply."""
    if value is None:
        return ""
    if not value:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def digits(value: Decimal) -> str:
    """With all the digits that it came with: a recording's checksums are made over them."""
    return format(value, "f")


def ms(time_ns: int) -> str:
    return str(time_ns // MS)
