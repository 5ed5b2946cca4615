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
import hmac
from typing import NoReturn

import msgspec

from protocols.errors import ConfigError

__all__ = ["JwtSigner", "signer_for"]

_DIGESTS = {"HS512": "sha512", "HS256": "sha256"}


class JwtSigner:
    """Holds a keyed object, not the secret, and has no way out for it; `protocols.venue.Signer`.

    `algorithm` is HS512 or HS256.
    """

    __slots__ = ("_header", "_mac", "algorithm", "api_key")

    can_logon = False

    def __init__(self, api_key: str, secret: str, algorithm: str = "HS512") -> None:
        if not api_key or not api_key.isascii() or not api_key.isprintable():
            raise ConfigError("api_key must be printable ASCII text and not empty; copy it again from the venue")
        if not secret:
            raise ConfigError("the secret key is empty; copy it again from the venue")
        digest = _DIGESTS.get(algorithm)
        if digest is None:
            raise ConfigError(f"the JWT algorithm was {algorithm!r}, must be one of {', '.join(_DIGESTS)}")
        self.api_key = api_key
        self.algorithm = algorithm
        self._mac = hmac.new(secret.encode(), digestmod=digest)  # the text itself: it is not base64
        self._header = _base64url(msgspec.json.encode({"alg": algorithm, "typ": "JWT"}))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of key {self.api_key[:4]}...>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} holds a secret and is neither copied nor pickled")

    def sign(self, payload: bytes) -> str:
        """The MAC as base64url without padding."""
        mac = self._mac.copy()
        mac.update(payload)
        return _base64url(mac.digest())

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
