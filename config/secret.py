"""A value that must never be shown.

A `Secret` has no text form, compares in constant time, cannot be pickled or copied into a message by accident, and
gives its value only to who asks for it by name:

    secret = Secret("...")
    repr(secret)        # Secret(hidden)
    secret.reveal()     # for the signer, and for nobody else

Strings cannot be wiped from memory in CPython; what this type prevents is printing, logging and serializing.
"""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret:
    """A secret text; only `reveal` gives it away."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """The secret itself.  Callers hold it no longer than one signature takes."""
        return self.__value

    def __repr__(self) -> str:
        return "Secret(hidden)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__value.encode(), other.__value.encode())

    def __hash__(self) -> NoReturn:
        raise TypeError("a Secret cannot be a key: its hash would depend on its value")

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled or copied")
