"""Signatures (section 4 of both references): HMAC-SHA-256 as hex, Ed25519 and RSA as base64.

What is signed is decided by the caller: percent-encoded text in the order sent (REST), or `name=value` pairs sorted
by name and not encoded (WebSocket API).

Example::

    signer = signer_for(api_key, secret_text)      # a PEM private key, else an HMAC secret
    signer.sign(b"apiKey=...&timestamp=1700000000000")
"""

from __future__ import annotations

import base64

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from protocols.errors import ConfigError
from protocols.venue import Signer
from protocols.venues import signers
from protocols.venues.signers import SecretHolder

__all__ = ["Ed25519Signer", "HmacSigner", "RsaSigner", "signer_for"]


class HmacSigner(signers.HmacSigner):
    """HMAC-SHA-256.  The venue calls these keys deprecated and does not let them log a session on."""

    __slots__ = ()


class Ed25519Signer(SecretHolder):
    """Ed25519: the only kind of key that `session.logon` takes."""

    __slots__ = ("_key",)

    can_logon = True

    def __init__(self, api_key: str, key: Ed25519PrivateKey) -> None:
        super().__init__(api_key)
        self._key = key

    def sign(self, payload: bytes) -> str:
        """Base64 of 64 bytes."""
        return base64.b64encode(self._key.sign(payload)).decode()


class RsaSigner(SecretHolder):
    """RSA with PKCS#1 v1.5 and SHA-256; keys of 2048 to 4096 bits."""

    __slots__ = ("_key",)

    def __init__(self, api_key: str, key: RSAPrivateKey) -> None:
        super().__init__(api_key)
        if not 2048 <= key.key_size <= 4096:
            raise ConfigError(f"the RSA key has {key.key_size} bits, the venue takes 2048 to 4096; make a new key")
        self._key = key

    def sign(self, payload: bytes) -> str:
        """Base64 of as many bytes as the key has."""
        return base64.b64encode(self._key.sign(payload, PKCS1v15(), SHA256())).decode()


def signer_for(api_key: str, secret: str) -> Signer:
    """The signer that fits a secret: a PEM private key (Ed25519 or RSA, without passphrase), else an HMAC secret.

    Raises ConfigError for a PEM text that is no such key.  No error text holds any part of the secret.
    """
    text = secret.strip()
    if not text.startswith("-----BEGIN"):
        return HmacSigner(api_key, text)
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, Ed25519PrivateKey):
        return Ed25519Signer(api_key, key)
    if isinstance(key, RSAPrivateKey):
        return RsaSigner(api_key, key)
    raise ConfigError("the PEM text is not an unencrypted Ed25519 or RSA private key; export it as PKCS#8 PEM")
