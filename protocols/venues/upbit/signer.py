"""Authentication (reference section 2): a JWT of its own for every request, signed with HMAC.

A token names the access key, a nonce that is never used twice, and the SHA-512 of the request's parameters as text.
There is no timestamp: the nonce alone stands against replay.  HS512 is what the venue recommends; it takes HS256 too.

Example::

    signer = signer_for(access_key, secret_key)
    signer.token(nonce, "market=KRW-BTC&side=bid")      # "" when the request has no parameters
"""

from __future__ import annotations

import base64
import hashlib

import msgspec

from protocols.errors import ConfigError
from protocols.venues.signers import HmacSigner

__all__ = ["JwtSigner", "signer_for"]

_DIGESTS = {"HS512": "sha512", "HS256": "sha256"}


class JwtSigner(HmacSigner):
    """`protocols.venue.Signer`; `algorithm` is HS512 or HS256."""

    __slots__ = ("_header", "algorithm")

    def __init__(self, api_key: str, secret: str, algorithm: str = "HS512") -> None:
        digest = _DIGESTS.get(algorithm)
        if digest is None:
            raise ConfigError(f"the JWT algorithm was {algorithm!r}, must be one of {', '.join(_DIGESTS)}")
        super().__init__(api_key, secret, digest)  # the text itself: it is not base64
        self.algorithm = algorithm
        self._header = _base64url(msgspec.json.encode({"alg": algorithm, "typ": "JWT"}))

    def sign(self, payload: bytes) -> str:
        """The MAC as base64url without padding."""
        return _base64url(self.mac(payload))

    def token(self, nonce: str, text: str) -> str:
        """The JWT of one request whose parameters read `text`."""
        claims = {"access_key": self.api_key, "nonce": nonce}
        if text:
            claims["query_hash"] = hashlib.sha512(text.encode()).hexdigest()
            claims["query_hash_alg"] = "SHA512"
        signed = f"{self._header}.{_base64url(msgspec.json.encode(claims))}"
        return f"{signed}.{self.sign(signed.encode())}"


def signer_for(api_key: str, secret: str) -> JwtSigner:
    """The signer of one key.  Raises ConfigError without any part of the secret in its text."""
    return JwtSigner(api_key, secret.strip())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
