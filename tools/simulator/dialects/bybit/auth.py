"""Who is asking, and is the signature right (section 2).

REST signs `timestamp + key + recv_window + payload`, where the payload is the query or the body byte for byte as it was
sent.  A socket signs `GET/realtime` and a moment that must still lie ahead.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tools.simulator.core.accounts import AccountBook, ApiKey, KeyKind
from tools.simulator.core.clock import MS
from tools.simulator.dialects.bybit.errors import VenueError, bad_key, bad_parameter, bad_signature, bad_time

DEFAULT_WINDOW_MS = 5_000
AHEAD_MS = 1_000
"""How far a client's clock may run ahead, whatever its window."""


def check_time(timestamp: str | None, window: str | None, now_ns: int) -> None:
    """`server - window <= timestamp < server + 1000`.  Raises 10001 for no number, 10002 for the wrong time."""
    now_ms = now_ns // MS
    if not timestamp or not (timestamp.isascii() and timestamp.isdigit()):
        raise bad_time(0, now_ms, DEFAULT_WINDOW_MS)
    if window and not (window.isascii() and window.isdigit()):
        raise bad_parameter("recv_window must be a number of milliseconds")
    stamp_ms, window_ms = int(timestamp), int(window) if window else DEFAULT_WINDOW_MS
    if not now_ms - window_ms <= stamp_ms < now_ms + AHEAD_MS:
        raise bad_time(stamp_ms, now_ms, window_ms)


def verify_request(accounts: AccountBook, headers: dict[str, str], payload: str, now_ns: int) -> ApiKey:
    """The key of a REST request.  Raises HTTP 401 without headers, 10003, 10002 or 10004.

    `headers` has lower-case names; `payload` is the raw query (GET) or the raw body (POST).
    """
    api_key, signature = headers.get("x-bapi-api-key"), headers.get("x-bapi-sign")
    if not api_key or not signature:
        raise VenueError(10003, "API key or signature header is missing.", status=401)
    key = _known(accounts, api_key)
    timestamp, window = headers.get("x-bapi-timestamp"), headers.get("x-bapi-recv-window", "")
    check_time(timestamp, window, now_ns)
    verify(key, f"{timestamp}{api_key}{window}{payload}".encode(), signature)
    return key


def verify_logon(accounts: AccountBook, api_key: str, expires: str, signature: str, now_ns: int) -> ApiKey:
    """The key of a socket's `auth`.  Raises 10003, 10004, and 10001 for a moment that has passed."""
    key = _known(accounts, api_key)
    if not (expires.isascii() and expires.isdigit()):
        raise bad_parameter("expires must be a number of milliseconds")
    if int(expires) <= now_ns // MS:
        raise VenueError(10001, "Params Error: expires has passed already")
    verify(key, f"GET/realtime{expires}".encode(), signature)
    return key


def _known(accounts: AccountBook, api_key: str) -> ApiKey:
    key = accounts.keys.get(api_key)
    if key is None or not key.enabled:
        raise bad_key()
    return key


def verify(key: ApiKey, data: bytes, signature: str) -> None:
    """Raises 10004 where the signature does not belong to the data and the key."""
    if key.kind is KeyKind.HMAC:
        expected = hmac.new(key.secret.encode(), data, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), signature.lower().encode("utf-8", "replace")):
            raise bad_signature()
        return
    try:
        public = load_pem_public_key(key.secret.encode())
        raw = base64.b64decode(signature, validate=True)
        if not isinstance(public, RSAPublicKey):
            raise bad_signature()  # the venue knows HMAC and RSA
        public.verify(raw, data, PKCS1v15(), SHA256())
    except (InvalidSignature, UnsupportedAlgorithm, binascii.Error, ValueError, TypeError):
        raise bad_signature() from None
