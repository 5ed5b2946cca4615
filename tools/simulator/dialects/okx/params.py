"""Reading request parameters, with the venue's complaints.

Parameters of a query and of a JSON body are read by the same rules: text, where "" and null count as absent; JSON
numbers and booleans are taken for their text, because clients differ in what they send and the venue does not mind.
Parameters that the venue does not know are ignored, as it ignores them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import unquote_plus

from tools.simulator.dialects.okx.errors import OkxError, bad_json, bad_param, empty

_DECIMAL = re.compile(r"^[0-9]{1,20}(\.[0-9]{1,20})?$")
_NUMBER = re.compile(r"^-?[0-9]{1,19}$")
_NAME = re.compile(r"^[A-Za-z0-9]{1,32}$")
_TAG = re.compile(r"^[A-Za-z0-9]{1,16}$")
PAGE_ROWS = 100


def text_of(value: Any) -> str:
    """A JSON value as text: "" for what counts as absent."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def query_values(raw: str) -> dict[str, Any]:
    """The pairs of a query string, decoded."""
    values: dict[str, Any] = {}
    for part in raw.split("&"):
        if part:
            name, _, value = part.partition("=")
            values[unquote_plus(name)] = unquote_plus(value)
    return values


def body_values(raw: bytes) -> Any:
    """A JSON body: an object or a list. An empty one is an empty object. Raises OkxError 50002."""
    if not raw.strip():
        return {}
    try:
        value = json.loads(raw, parse_float=Decimal)
    except (ValueError, RecursionError):
        raise bad_json() from None
    if not isinstance(value, dict | list):
        raise bad_json()
    return value


class Params:
    """The parameters of one request, or of one order of it."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def text(self, name: str, default: str = "") -> str:
        """The value, or the default where it is absent."""
        value = self.values.get(name)
        return (value if isinstance(value, str) else text_of(value)) or default

    def require(self, name: str) -> str:
        """The value. Raises OkxError 50014 where it is absent."""
        value = self.text(name)
        if not value:
            raise empty(name)
        return value

    def decimal(self, name: str) -> Decimal | None:
        """A plain decimal number that is not negative, None where it is absent. Raises OkxError 51000."""
        value = self.text(name)
        if not value:
            return None
        if not _DECIMAL.match(value):
            raise bad_param(name)
        return Decimal(value)

    def integer(self, name: str) -> int | None:
        """Raises OkxError 51000 for text that is no whole number."""
        value = self.text(name)
        if not value:
            return None
        if not _NUMBER.match(value):
            raise bad_param(name)
        return int(value)

    def choice(self, name: str, words: Collection[str], default: str | None = None) -> str:
        """One of the words. Raises OkxError: 50014 where there is none and no default, 51000 for another word."""
        value = self.require(name) if default is None else self.text(name, default)
        if value not in words and value != default:
            raise bad_param(name)
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean, as JSON or as text."""
        value = self.text(name)
        if not value:
            return default
        if value.lower() not in ("true", "false"):
            raise bad_param(name)
        return value.lower() == "true"

    def name(self, name: str) -> str:
        """A client's id: up to 32 letters and digits (section 13). Raises OkxError 51000."""
        value = self.text(name)
        if value and not _NAME.match(value):
            raise bad_param(name)
        return value

    def tag(self) -> str:
        """Up to 16 letters and digits."""
        value = self.text("tag")
        if value and not _TAG.match(value):
            raise bad_param("tag")
        return value

    def limit(self, default: int = PAGE_ROWS, most: int = PAGE_ROWS) -> int:
        """How many rows; more than the venue gives are cut."""
        value = self.integer("limit")
        if value is None:
            return default
        if value < 1:
            raise bad_param("limit")
        return min(value, most)


def objects(value: Any, most: int) -> list[Params]:
    """The items of a batch. Raises OkxError: 50014 for none, 51000 for too many or for something else."""
    if not isinstance(value, list):
        value = [value]
    if not value or value == [{}]:
        raise empty("data")
    if len(value) > most:
        raise OkxError("51000", f"A batch may have up to {most} items")
    if not all(isinstance(item, dict) for item in value):
        raise bad_json()
    return [Params(item) for item in value]
