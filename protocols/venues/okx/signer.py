"""Signatures (reference section 2): HMAC-SHA-256 as base64, over a text that the caller puts together.

A signer keeps a keyed object, not the secret; it has no repr of it, cannot be pickled, copied or compared by value.
The passphrase is no signing secret: it travels in clear with every request, so a codec may read it.

Example::

    signer = signer_for(api_key, "SECRET:passphrase")
    signer.sign(b"2026-01-01T00:00:00.123ZGET/api/v5/account/config")
"""

from __future__ import annotations

import base64
import hmac
from typing import NoReturn

from protocols.errors import ConfigError

__all__ = ["OkxSigner", "signer_for"]


class OkxSigner:
    """`protocols.venue.Signer` with the passphrase that OKX wants beside the key."""

    __slots__ = ("_mac", "api_key", "passphrase")

    can_logon = True

    def __init__(self, api_key: str, secret: str, passphrase: str) -> None:
        for field, text in (("api_key", api_key), ("passphrase", passphrase)):
            if not text or not text.isascii() or not text.isprintable():
                raise ConfigError(
                    f"the {field} must be printable ASCII text and not empty; copy it again from the venue"
                )
        if not secret:
            raise ConfigError("the secret is empty; copy it again from the venue")
        self.api_key = api_key
        self.passphrase = passphrase
        self._mac = hmac.new(secret.encode(), digestmod="sha256")

    def sign(self, payload: bytes) -> str:
        """Base64 of 32 bytes."""
        mac = self._mac.copy()
        mac.update(payload)
        return base64.b64encode(mac.digest()).decode()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of key {self.api_key[:4]}...>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} holds a secret and is neither copied nor pickled")


def signer_for(api_key: str, secret: str) -> OkxSigner:
    """The signer of `<secret>:<passphrase>`, which is how both fit where other venues have one secret.

    The secret has no colon, the passphrase may.  Raises ConfigError, whose text holds no part of either.
    """
    key, colon, passphrase = secret.strip().partition(":")
    if not colon:
        raise ConfigError("OKX needs a passphrase: write the secret as <secret>:<passphrase>")
    return OkxSigner(api_key, key, passphrase)
