"""Keys for simulated accounts, derived from a name and a seed.

They open nothing but a simulator that was started with the same seed, so both sides of a demo can make them
without passing a file around.
"""

from __future__ import annotations

import hashlib

import attrs
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tools.simulator.core.accounts import KeyKind


@attrs.frozen(kw_only=True)
class Credentials:
    """What a client needs to act for one simulated account: two keys, one of each modern kind."""

    name: str
    hmac_key: str
    hmac_secret: str = attrs.field(repr=False)
    ed25519_key: str
    ed25519_private_pem: str = attrs.field(repr=False)
    ed25519_public_pem: str
    passphrase: str = attrs.field(default="", repr=False)
    """Part of every key, on the venues that ask for one (OKX)."""

    def keys(self) -> list[tuple[str, KeyKind, str]]:
        """Key, kind, and what the venue keeps of it."""
        return [
            (self.hmac_key, KeyKind.HMAC, self.hmac_secret),
            (self.ed25519_key, KeyKind.ED25519, self.ed25519_public_pem),
        ]


def derive_credentials(name: str, seed: int = 1) -> Credentials:
    """The same name and seed always give the same keys."""

    def digest(purpose: str) -> bytes:
        return hashlib.sha256(f"bulkhead simulator/{seed}/{name}/{purpose}".encode()).digest()

    private = Ed25519PrivateKey.from_private_bytes(digest("ed25519"))
    private_pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public_pem = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return Credentials(
        name=name,
        hmac_key=digest("hmac key").hex(),
        hmac_secret=digest("hmac secret").hex(),
        ed25519_key=digest("ed25519 key").hex(),
        ed25519_private_pem=private_pem.decode(),
        ed25519_public_pem=public_pem.decode(),
        passphrase=digest("passphrase").hex()[:16],
    )
