"""Reading request parameters the way the venue does, with its complaints (section 15, -1100..-1130).

REST parameters arrive as text, those of the WebSocket API as JSON values; both become text here, so that one set
of rules serves both. `Params` remembers what was read: a parameter that nobody read is an error of its own.
"""

from __future__ import annotations

import re
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar, TypeVar
from urllib.parse import unquote_plus

import attrs

from tools.simulator.dialects.binance_common.errors import (
    VenueError,
    empty,
    illegal,
    missing,
    too_precise,
)

E = TypeVar("E", bound=Enum)

DECIMAL_RANGE = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
INTEGER_RANGE = r"^[0-9]{1,20}$"
_DECIMAL = re.compile(DECIMAL_RANGE)
_INTEGER = re.compile(INTEGER_RANGE)

# Read by the gateway for every signed request, whatever the method does.
COMMON = frozenset({"timestamp", "recvWindow", "apiKey", "signature", "returnRateLimits"})


def text_of(value: Any) -> str:
    """A JSON value as the text that is signed: numbers in decimal, booleans in lower case."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ",".join(f'"{text_of(item)}"' for item in value) + "]"
    return "" if value is None else str(value)


def split_query(raw: str) -> list[tuple[str, str]]:
    """Percent-decoded name and value pairs of a query string or form body."""
    pairs: list[tuple[str, str]] = []
    for part in raw.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append((unquote_plus(name), unquote_plus(value)))
    return pairs


@attrs.frozen
class IdRule:
    """What a client id may look like: the pattern, and how the venue prints it."""

    printed: str
    pattern: re.Pattern[str]


SPOT_ID = IdRule(r"^[a-zA-Z0-9-_]{1,36}$", re.compile(r"^[a-zA-Z0-9\-_]{1,36}$"))


class Params:
    """The parameters of one request."""

    id_rule: ClassVar[IdRule] = SPOT_ID

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values
        self._read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def text(self, name: str) -> str | None:
        """The value, or None where it was not sent. Raises -1105 for an empty one."""
        self._read.add(name)
        value = self.values.get(name)
        if value == "":
            raise empty(name)
        return value

    def require(self, name: str) -> str:
        """The value. Raises -1102 where there is none."""
        self._read.add(name)
        value = self.values.get(name)
        if not value:
            raise missing(name)
        return value

    def decimal(self, name: str, *, precision: int = 8) -> Decimal | None:
        """A plain decimal number. Raises -1100 for anything else, -1111 for too many decimals."""
        value = self.text(name)
        if value is None:
            return None
        if not _DECIMAL.match(value):
            raise illegal(name, DECIMAL_RANGE)
        number = Decimal(value)
        exponent = number.normalize().as_tuple().exponent
        if isinstance(exponent, int) and -exponent > precision:
            raise too_precise(name)
        return number

    def integer(self, name: str) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        if not _INTEGER.match(value):
            raise illegal(name, INTEGER_RANGE)
        return int(value)

    def limit(self, default: int, most: int) -> int:
        """The usual `limit` parameter, cut to what the venue gives at most."""
        value = self.integer("limit")
        if value is None:
            return default
        if value < 1:
            raise VenueError(-1130, "Data sent for parameter 'limit' is not valid.")
        return min(value, most)

    def boolean(self, name: str) -> bool | None:
        value = self.text(name)
        if value is None:
            return None
        if value.lower() not in ("true", "false"):
            raise illegal(name, "^(true|false)$")
        return value.lower() == "true"

    def client_id(self, name: str) -> str | None:
        value = self.text(name)
        if value is not None and not self.id_rule.pattern.match(value):
            raise illegal(name, self.id_rule.printed)
        return value

    def choice(self, name: str, kind: type[E], complaint: tuple[int, str]) -> E | None:
        """One word of an enumeration. Raises the given code and text for any other."""
        value = self.text(name)
        if value is None:
            return None
        try:
            return kind(value)
        except ValueError:
            raise VenueError(*complaint) from None

    def names(self, name: str) -> list[str] | None:
        """A list of symbols: `["BTCUSDT","ETHUSDT"]`."""
        value = self.text(name)
        if value is None:
            return None
        if not re.match(r'^\["[^"]+"(,"[^"]+")*\]$', value.replace(" ", "")):
            raise VenueError(-1130, f"Data sent for parameter '{name}' is not valid.")
        return re.findall(r'"([^"]+)"', value)

    def finish(self) -> None:
        """Raises -1104 where something was sent that the method does not know."""
        unread = set(self.values) - self._read - COMMON
        if unread:
            raise VenueError(
                -1104,
                f"Not all sent parameters were read; read '{len(self.values) - len(unread)}' parameter(s) "
                f"but was sent '{len(self.values)}'.",
            )
