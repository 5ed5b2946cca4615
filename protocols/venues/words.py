"""The words of a venue: ours by a table, or kept as they came, for every codec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from protocols.errors import Unrecognized

__all__ = ["UnknownWord", "translated"]

Word = TypeVar("Word")


class UnknownWord(Exception):
    """A word of the venue's that our vocabulary lacks; becomes an `UnrecognizedMessage` at the codec's edge."""

    def __init__(self, field: str, raw: str) -> None:
        super().__init__(f"{field}={raw[:100]}")
        self.what = Unrecognized(field, raw[:100])


def translated(words: Mapping[str, Word], field: str, raw: str) -> Word:
    """Our word for the venue's.  Raises UnknownWord."""
    try:
        return words[raw]
    except KeyError:
        raise UnknownWord(field, raw) from None
