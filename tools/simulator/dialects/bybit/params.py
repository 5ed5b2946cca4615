"""Reading the parameters of a request, wherever they came in: query, JSON body, or the arguments of a socket.

Numbers are sent as strings; some clients send JSON numbers, which the venue takes as well.  Parameters that nobody
asked for are ignored, as they are there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import unquote_plus

from tools.simulator.dialects.bybit.errors import VenueError, bad_parameter
from tools.simulator.dialects.bybit.instruments import CATEGORIES

_DECIMAL = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?", re.ASCII)
_LINK_ID = re.compile(r"[A-Za-z0-9_-]{1,36}", re.ASCII)
KNOWN_CATEGORIES = (*CATEGORIES, "inverse", "option")


def query_values(query: str) -> dict[str, str]:
    """Percent-decoded names and values; of a name that comes twice the last counts."""
    values: dict[str, str] = {}
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            values[unquote_plus(name)] = unquote_plus(value)
    return values


class Params:
    """The parameters of one request, or of one member of a batch."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def __contains__(self, name: str) -> bool:
        return self.values.get(name) not in (None, "")

    def text(self, name: str) -> str:
        """The value as text, "" where there is none.  Raises 10001 for a list or an object."""
        value = self.values.get(name)
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str | int | float | Decimal):
            return str(value)
        raise bad_parameter(f"{name} invalid")

    def require(self, name: str) -> str:
        """The value.  Raises 10001 where there is none."""
        value = self.text(name)
        if not value:
            raise bad_parameter(f"{name} is required")
        return value

    def decimal(self, name: str) -> Decimal | None:
        """A plain number that is not negative, None where there is none.  Raises 10001."""
        value = self.text(name)
        if not value:
            return None
        if _DECIMAL.fullmatch(value) is None:
            raise bad_parameter(f"{name} invalid")
        return Decimal(value)

    def signed(self, name: str) -> Decimal:
        """A plain number that may be negative.  Raises 10001 for another, and for none."""
        value = self.require(name)
        if _DECIMAL.fullmatch(value.removeprefix("-")) is None:
            raise bad_parameter(f"{name} invalid")
        return Decimal(value)

    def integer(self, name: str, default: int) -> int:
        """A whole number that is not negative.  Raises 10001."""
        value = self.text(name)
        if not value:
            return default
        if not (value.isascii() and value.isdigit() and len(value) <= 19):
            raise bad_parameter(f"{name} invalid")
        return int(value)

    def limit(self, default: int, most: int) -> int:
        """How many rows: 1 to `most`; more than that is cut, as the venue does."""
        return min(max(self.integer("limit", default), 1), most)

    def boolean(self, name: str) -> bool:
        """False where there is none.  Raises 10001 for what is neither."""
        value = self.text(name).lower()
        if value not in ("", "true", "false", "0", "1"):
            raise bad_parameter(f"{name} invalid")
        return value in ("true", "1")

    def choice(self, name: str, allowed: tuple[str, ...], default: str = "") -> str:
        """One of some words.  Raises 10001 for another, and for none where there is no default."""
        value = self.text(name) or default
        if value not in allowed:
            raise bad_parameter(f"{name} invalid")
        return value

    def category(self, *, default: str = "") -> str:
        """The product.  Raises 10001."""
        return self.choice("category", KNOWN_CATEGORIES, default)

    def link_id(self) -> str:
        """The client's own id, "" where there is none.  Raises 10001 for one that is too long or has other letters."""
        value = self.text("orderLinkId")
        if value and _LINK_ID.fullmatch(value) is None:
            raise VenueError(10001, "params error: orderLinkId must be 1 to 36 letters, digits, - or _")
        return value
