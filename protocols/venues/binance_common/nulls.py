"""Fields that come as null.

The venue shows many fields "only when they apply"; some of its pages and older connections write null instead.  Both
say the same, so a message that does not fit is read once more without them.  A field that must be there is missing
then, and the message is refused as before.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

__all__ = ["decode", "without_nulls"]

Decoded = TypeVar("Decoded")


def decode(decoder: msgspec.json.Decoder[Decoded], raw: str | bytes) -> Decoded:
    """What `decoder` makes of a message, nulls or not.  Raises what the decoder raises."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        try:
            return decoder.decode(msgspec.json.encode(without_nulls(msgspec.json.decode(raw))))
        except msgspec.MsgspecError:
            raise error from None


def without_nulls(value: Any) -> Any:
    """Decoded JSON without the members of objects that are null; those of lists stay."""
    if isinstance(value, dict):
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [without_nulls(inner) for inner in value]
    return value
