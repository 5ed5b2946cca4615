"""Shapes of one message that say the same.

The venue shows many fields "only when they apply"; some of its pages and older connections write null instead.  Rows of
a book had a third, empty element for years.  A message that does not fit is read once more in its usual shape.  A field
that must be there is missing then, and the message is refused as before.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

__all__ = ["decode", "usual"]

Decoded = TypeVar("Decoded")
_BOOK_SIDES = frozenset({"bids", "asks", "b", "a"})


def decode(decoder: msgspec.json.Decoder[Decoded], raw: str | bytes) -> Decoded:
    """What `decoder` makes of a message in any of its shapes.  Raises what the decoder raises."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        try:
            return decoder.decode(msgspec.json.encode(usual(msgspec.json.decode(raw))))
        except msgspec.MsgspecError:
            raise error from None


def usual(value: Any) -> Any:
    """Decoded JSON without the members of objects that are null, and without empty third elements in rows of a book."""
    if isinstance(value, dict):
        return {name: _usual_member(name, inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [usual(inner) for inner in value]
    return value


def _usual_member(name: str, value: Any) -> Any:
    if name in _BOOK_SIDES and isinstance(value, list):
        return [row[:2] if isinstance(row, list) and row[2:] == [[]] else usual(row) for row in value]
    return usual(value)
