"""Signatures (reference section 2): HMAC-SHA-256 as lower-case hex, RSA as base64.

What is signed is decided by the caller: REST signs `timestamp + key + recv_window + payload`, where the payload is the
query as sent or the body as sent; a socket signs `GET/realtime` and a moment in the near future, once.

Example::

    signer = signer_for(api_key, secret_text)      # a PEM private key, else an HMAC secret
    signer.sign(b"GET/realtime1767225610123")
"""

from __future__ import annotations

import base64

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from protocols.errors import ConfigError
from protocols.venue import Signer
from protocols.venues import signers
from protocols.venues.signers import SecretHolder

__all__ = ["HmacSigner", "RsaSigner", "signer_for"]


class HmacSigner(signers.HmacSigner):
    """HMAC-SHA-256: the keys that the venue makes itself."""

    __slots__ = ()

    can_logon = True
    """Both kinds of key authenticate a socket, after which its requests carry no signature."""


class RsaSigner(SecretHolder):
    """RSA with PKCS#1 v1.5 and SHA-256: the keys whose public half was given to the venue."""

    __slots__ = ("_key",)

    can_logon = True

    def __init__(self, api_key: str, key: RSAPrivateKey) -> None:
        super().__init__(api_key)
        if key.key_size < 2048:
            raise ConfigError(f"the RSA key has {key.key_size} bits, at least 2048 are needed; make a new key")
        self._key = key

    def sign(self, payload: bytes) -> str:
        """Base64 of as many bytes as the key has."""
        return base64.b64encode(self._key.sign(payload, PKCS1v15(), SHA256())).decode()


def signer_for(api_key: str, secret: str) -> Signer:
    """The signer that fits a secret: a PEM private key (RSA, without passphrase), else an HMAC secret.

    Raises ConfigError for a PEM text that is no such key.  No error text holds any part of the secret.
    """
    text = secret.strip()
    if not text.startswith("-----BEGIN"):
        return HmacSigner(api_key, text)
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, RSAPrivateKey):
        return RsaSigner(api_key, key)
    raise ConfigError("the PEM text is not an unencrypted RSA private key; export it as PKCS#8 PEM")
