"""Signatures (reference section 2): HMAC-SHA-256 as base64, over a text that the caller puts together.

The passphrase is no signing secret: it travels in clear with every request, so a codec may read it.

Example::

    signer = signer_for(api_key, "SECRET:passphrase")
    signer.sign(b"2026-01-01T00:00:00.123ZGET/api/v5/account/config")
"""

from __future__ import annotations

import base64

from protocols.errors import ConfigError
from protocols.venues.signers import HmacSigner

__all__ = ["OkxSigner", "signer_for"]


class OkxSigner(HmacSigner):
    """`protocols.venue.Signer` with the passphrase that OKX wants beside the key."""

    __slots__ = ("passphrase",)

    can_logon = True

    def __init__(self, api_key: str, secret: str, passphrase: str) -> None:
        super().__init__(api_key, secret)
        if not passphrase or not passphrase.isascii() or not passphrase.isprintable():
            raise ConfigError("the passphrase must be printable ASCII text and not empty; copy it again from the venue")
        self.passphrase = passphrase

    def sign(self, payload: bytes) -> str:
        """Base64 of 32 bytes."""
        return base64.b64encode(self.mac(payload)).decode()


def signer_for(api_key: str, secret: str) -> OkxSigner:
    """The signer of `<secret>:<passphrase>`, which is how both fit where other venues have one secret.

    The secret has no colon, the passphrase may.  Raises ConfigError, whose text holds no part of either.
    """
    key, colon, passphrase = secret.strip().partition(":")
    if not colon:
        raise ConfigError("OKX needs a passphrase: write the secret as <secret>:<passphrase>")
    return OkxSigner(api_key, key, passphrase)
