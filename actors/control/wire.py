"""The control socket's wire format: JSON lines, one request a line, one or more replies a request.

    -> {"id": 1, "verb": "actor", "args": {"path": "/journal"}}
    <- {"id": 1, "ok": true, "result": {...}}
    <- {"id": 2, "ok": false, "error": "no actor at /nobody", "fix": "see `bulkhead inspect` for the addresses"}
    <- {"id": 3, "event": {...}}                       (a stream: `tap`, until either side closes)

Decimals are text, times are integer nanoseconds, enums are their values (flags their names).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import attrs
import msgspec

REQUEST_BYTES_MAX = 64 * 1024
"""A longer request is refused: nobody needs it."""


class Request(msgspec.Struct, forbid_unknown_fields=True):
    """One request."""

    id: int
    verb: str
    args: dict[str, Any] = {}


class Failure(Exception):
    """A request that cannot be carried out: what is wrong, and what would help."""

    def __init__(self, error: str, fix: str = "") -> None:
        super().__init__(error)
        self.error = error
        self.fix = fix


def plain(value: object) -> Any:
    """`value` as JSON-ready dictionaries, lists, text and numbers; a sum of flags is its names."""
    if isinstance(value, enum.Flag):
        return value.name or "NONE"
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    kind: type[Any] = type(value)
    if attrs.has(kind):
        return {field.name: plain(getattr(value, field.name)) for field in attrs.fields(kind)}
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=str)
    return str(value)


def line(value: Mapping[str, object]) -> bytes:
    """One line of the protocol, of plain values."""
    return msgspec.json.encode(value) + b"\n"


def parse_request(text: bytes) -> Request:
    """A request, or `Failure` that says what is wrong with it."""
    try:
        return msgspec.json.decode(text, type=Request)
    except msgspec.MsgspecError as error:
        raise Failure(f"not a request: {error}", 'send one JSON object a line: {"id": 1, "verb": "tree"}') from error
