"""What the signers of all venues share: the public half of a key, and no way out for the other half.

A signer keeps a keyed object, not the secret; it has no repr of it and cannot be pickled or copied.  What is signed,
and how a signature is written, is each venue's own.
"""

from __future__ import annotations

import hmac
from typing import NoReturn

from protocols.errors import ConfigError

__all__ = ["HmacSigner", "SecretHolder"]


class SecretHolder:
    """Base of all signers; `can_logon` is whether the venue takes this kind of key for a session."""

    __slots__ = ("api_key",)

    can_logon = False

    def __init__(self, api_key: str) -> None:
        if not api_key or not api_key.isascii() or not api_key.isprintable():
            raise ConfigError("api_key must be printable ASCII text and not empty; copy it again from the venue")
        self.api_key = api_key

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of key {self.api_key[:4]}...>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} holds a secret and is neither copied nor pickled")


class HmacSigner(SecretHolder):
    """HMAC with the secret's text as its key, written as lower-case hex; `digest` as `hashlib` names it."""

    __slots__ = ("_mac",)

    def __init__(self, api_key: str, secret: str, digest: str = "sha256") -> None:
        super().__init__(api_key)
        if not secret:
            raise ConfigError("the secret is empty; copy it again from the venue")
        self._mac = hmac.new(secret.encode(), digestmod=digest)

    def sign(self, payload: bytes) -> str:
        """Two hexadecimal digits for each byte of the MAC."""
        return self.mac(payload).hex()

    def mac(self, payload: bytes) -> bytes:
        """The MAC itself."""
        mac = self._mac.copy()
        mac.update(payload)
        return mac.digest()
