"""Parameters as the venue reads them (sections 2 and 5): an ordered list of names and texts.

A query is percent-decoded; array names keep their brackets (`states[]`). A body is a JSON object whose values count as
the text that they have in the body, so a number is not read as a number here. The list is also what `query_hash` is
the hash of.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import unquote, unquote_plus

from tools.simulator.core.clock import MS
from tools.simulator.dialects.upbit.errors import VenueError, public_request, validation

Pairs = list[tuple[str, str]]

_DECIMAL = re.compile(r"\d{1,20}(\.\d{1,20})?", re.ASCII)
_INTEGER = re.compile(r"\d{1,18}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def query_pairs(query: str) -> Pairs:
    """The pairs of a query string, percent-decoded. A plus stays a plus, as in the text that is hashed."""
    parts = (part.partition("=") for part in query.split("&") if part)
    return [(unquote(name), unquote(value)) for name, _, value in parts]


def form_pairs(body: bytes) -> Pairs:
    """The pairs of a form, where a plus is a space."""
    parts = (part.partition("=") for part in body.decode("utf-8", "replace").split("&") if part)
    return [(unquote_plus(name), unquote_plus(value)) for name, _, value in parts]


def body_pairs(body: bytes) -> Pairs:
    """The pairs of a JSON object, in its order. Raises VenueError for anything that is none."""
    if not body:
        return []
    try:
        read = json.loads(body, parse_int=str, parse_float=str, parse_constant=str)
    except ValueError:
        raise validation("body", "is not JSON") from None
    if not isinstance(read, dict):
        raise validation("body", "must be a JSON object")
    pairs: Pairs = []
    for name, value in read.items():
        if isinstance(value, list):
            pairs += [(name if name.endswith("[]") else f"{name}[]", _text(one)) for one in value]
        elif value is not None:
            pairs.append((name, _text(value)))
    return pairs


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        raise validation("body", "must hold plain values")
    return value


def hash_text(pairs: Pairs) -> str:
    """What `query_hash` is the hash of."""
    return "&".join(f"{name}={value}" for name, value in pairs)


class Params:
    """The parameters of one request. A refusal carries a number where the request is `public`, else a word."""

    def __init__(self, pairs: Pairs, *, public: bool) -> None:
        self.pairs = pairs
        self.public = public
        self._last = dict(pairs)

    def __contains__(self, name: str) -> bool:
        return name in self._last

    def wrong(self, name: str, text: str = "is missing or not valid") -> VenueError:
        """The refusal of one parameter."""
        return public_request(f"{name} {text}") if self.public else validation(name, text)

    def text(self, name: str) -> str | None:
        """The value; None where it was not sent or is empty."""
        return self._last.get(name) or None

    def require(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise public_request() if self.public else validation(name)
        return value

    def array(self, name: str) -> list[str]:
        """All values of `name[]`."""
        return [value for key, value in self.pairs if key == f"{name}[]" and value]

    def listed(self, name: str) -> list[str]:
        """A list, separated by commas or in several parameters of one name; empty where it was not sent."""
        texts = [value for key, value in self.pairs if key == name]
        return [part.strip() for text in texts for part in text.split(",") if part.strip()]

    def decimal(self, name: str) -> Decimal | None:
        """A plain positive number."""
        value = self.text(name)
        if value is None:
            return None
        if not _DECIMAL.fullmatch(value) or not Decimal(value):
            raise self.wrong(name, "must be a number above zero")
        return Decimal(value)

    def count(self, name: str, default: int, most: int) -> int:
        """A whole number from 1, cut to what the venue gives at most."""
        value = self.text(name)
        if value is None:
            return default
        if not _INTEGER.fullmatch(value) or not int(value):
            raise self.wrong(name, "must be a whole number above zero")
        return min(int(value), most)

    def flag(self, name: str) -> bool:
        return (self.text(name) or "").lower() == "true"

    def choice(self, name: str, words: tuple[str, ...], default: str | None = None) -> str:
        """One of `words`."""
        value = self.text(name) or default
        if value not in words:
            raise self.wrong(name, f"must be one of {', '.join(words)}")
        assert value is not None
        return value

    def moment_ns(self, name: str, *, zone: bool) -> int | None:
        """A time as milliseconds or ISO text. Without a zone it is UTC, or refused where `zone` is asked for."""
        value = self.text(name)
        if value is None:
            return None
        if _INTEGER.fullmatch(value):
            return int(value) * MS
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            raise self.wrong(name, "must be a time, in ISO 8601 or milliseconds") from None
        if moment.tzinfo is None:
            if zone:
                raise self.wrong(name, "must say its zone")
            moment = moment.replace(tzinfo=UTC)
        since = moment - _EPOCH
        return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000
