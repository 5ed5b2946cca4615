"""Who is asking (section 2): a JSON Web Token of its own for every request.

The token names the access key and a nonce that may never come twice, and says the hash of the parameters where there
are any. There is no timestamp and no window: the nonce alone stands against replay.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import uuid
from typing import Any

from tools.simulator.core.accounts import AccountBook, ApiKey
from tools.simulator.dialects.upbit import errors
from tools.simulator.dialects.upbit.params import Pairs, hash_text

ALGORITHMS = {"HS512": hashlib.sha512, "HS256": hashlib.sha256}


class Gate:
    """Verifies tokens and remembers every nonce of every key."""

    def __init__(self, accounts: AccountBook) -> None:
        self._accounts = accounts
        self._nonces: set[tuple[str, str]] = set()

    def admit(self, authorization: str | None, pairs: Pairs) -> ApiKey:
        """The key of a request with these parameters. Raises VenueError."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise errors.no_token()
        signed, claims, algorithm, signature = _parts(token.strip())
        key = self._accounts.keys.get(str(claims.get("access_key", "")))
        if key is None:
            raise errors.bad_key()
        expected = hmac.new(key.secret.encode(), signed, ALGORITHMS[algorithm]).digest()
        if not hmac.compare_digest(expected, signature):
            raise errors.bad_token("wrong signature")
        if not key.enabled:
            raise errors.expired_key()
        self._check_hash(claims, pairs)
        self._use_nonce(key, claims.get("nonce"))
        return key

    def key_of(self, authorization: str | None) -> ApiKey | None:
        """Whose token this looks like, before anything is verified: faults may be meant for one account."""
        try:
            claims = _parts((authorization or "").partition(" ")[2].strip())[1]
        except errors.VenueError:
            return None
        return self._accounts.keys.get(str(claims.get("access_key", "")))

    @staticmethod
    def _check_hash(claims: dict[str, Any], pairs: Pairs) -> None:
        said, algorithm = claims.get("query_hash"), claims.get("query_hash_alg")
        if not pairs:
            if said is not None:
                raise errors.bad_payload()
            return
        if algorithm != "SHA512" or not isinstance(said, str):
            raise errors.bad_payload()
        if said.lower() != hashlib.sha512(hash_text(pairs).encode()).hexdigest():
            raise errors.bad_payload()

    def _use_nonce(self, key: ApiKey, nonce: Any) -> None:
        try:
            uuid.UUID(nonce)
        except (ValueError, TypeError, AttributeError):
            raise errors.bad_token("nonce must be a UUID") from None
        if (key.api_key, nonce) in self._nonces:
            raise errors.nonce_used()
        self._nonces.add((key.api_key, nonce))


def _parts(token: str) -> tuple[bytes, dict[str, Any], str, bytes]:
    """What was signed, the claims, the algorithm, the signature. Raises jwt_verification."""
    pieces = token.split(".")
    if len(pieces) != 3:
        raise errors.bad_token("not three parts")
    try:
        head, claims = (json.loads(_unpadded(piece)) for piece in pieces[:2])
        signature = _unpadded(pieces[2])
    except (ValueError, binascii.Error):
        raise errors.bad_token("not base64url JSON") from None
    if not isinstance(head, dict) or not isinstance(claims, dict):
        raise errors.bad_token("header and claims must be objects")
    algorithm = head.get("alg")
    if algorithm not in ALGORITHMS:
        raise errors.bad_token(f"alg must be one of {', '.join(ALGORITHMS)}")
    return f"{pieces[0]}.{pieces[1]}".encode(), claims, algorithm, signature


def _unpadded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
