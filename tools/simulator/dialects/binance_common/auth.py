"""Who is asking, and is the signature right (sections 3 and 4).

REST signs the text as it was sent, percent-encoding included. The WebSocket API signs all parameters but the
signature, sorted by name, without percent-encoding.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from urllib.parse import unquote

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from tools.simulator.core.accounts import ApiKey, KeyKind
from tools.simulator.dialects.binance_common.errors import VenueError, bad_signature, illegal, missing

_SIGNATURE = re.compile(r"&?signature=([^&]*)")
_API_KEY = re.compile(r"^[A-Za-z0-9]{6,128}$")
_RECV_WINDOW = re.compile(r"^\d{1,5}(\.\d{1,3})?$")

MAX_RECV_WINDOW_US = 60_000_000
DEFAULT_RECV_WINDOW_US = 5_000_000
AHEAD_US = 1_000_000
OUTSIDE = "Timestamp for this request is outside of the recvWindow."
MICROSECONDS_FROM = 10**14  # a timestamp this large cannot be milliseconds of this century


def rest_payload(query: str, body: str) -> tuple[str, str | None]:
    """What a REST request signs, and its signature: query and body joined with no separator (4.1)."""
    signature: str | None = None
    parts: list[str] = []
    for raw in (query, body):
        found = _SIGNATURE.search(raw)
        if found and signature is None:
            signature = unquote(found.group(1))
            raw = raw[: found.start()] + raw[found.end() :]
        parts.append(raw)
    return "".join(parts), signature


def ws_payload(params: dict[str, str]) -> str:
    """What a WebSocket API request signs: sorted by name, UTF-8 as it is (4.1)."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")


def check_key_format(api_key: str) -> None:
    """Raises -2014 for text that cannot be a key."""
    if not _API_KEY.match(api_key):
        raise VenueError(-2014, "API-key format invalid.", status=401)


def verify(key: ApiKey, payload: str, signature: str) -> None:
    """Raises -1022 where the signature does not belong to the payload and the key."""
    data = payload.encode()
    if key.kind is KeyKind.HMAC:
        expected = hmac.new(key.secret.encode(), data, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, signature.lower().encode("ascii", "replace").decode()):
            raise bad_signature()
        return
    try:
        raw = base64.b64decode(signature, validate=True)
        public = load_public_key(key.secret)
        if isinstance(public, Ed25519PublicKey):
            public.verify(raw, data)
        else:
            public.verify(raw, data, PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, binascii.Error, ValueError, TypeError):
        raise bad_signature() from None


def load_public_key(text: str) -> Ed25519PublicKey | RSAPublicKey:
    """A PEM public key, or only its base64 body. Raises ValueError, or TypeError for another kind."""
    pem = text.strip()
    if "BEGIN" not in pem:
        pem = f"-----BEGIN PUBLIC KEY-----\n{pem}\n-----END PUBLIC KEY-----"
    try:
        public = serialization.load_pem_public_key(pem.encode())
    except UnsupportedAlgorithm as error:
        raise ValueError(f"public key: {error}") from None
    if not isinstance(public, Ed25519PublicKey | RSAPublicKey):
        raise TypeError("public key: neither Ed25519 nor RSA")
    return public


def check_time(timestamp: str | None, recv_window: str | None, received_ns: int) -> None:
    """The first of the venue's clock checks, at receipt (section 3). Raises -1102, -1100, -1131 or -1021."""
    stamp_us, window_us = _times(timestamp, recv_window)
    now_us = received_ns // 1000
    if stamp_us >= now_us + AHEAD_US:
        raise VenueError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now_us - stamp_us > window_us:
        raise VenueError(-1021, OUTSIDE)


def check_age(timestamp: str | None, recv_window: str | None, now_ns: int, refusal: VenueError) -> None:
    """The check before the matching engine: a request that was held up on the way may be too old by now."""
    stamp_us, window_us = _times(timestamp, recv_window)
    if now_ns // 1000 - stamp_us > window_us:
        raise refusal


def _times(timestamp: str | None, recv_window: str | None) -> tuple[int, int]:
    """When the request was signed and how long it holds, in microseconds."""
    if not timestamp:
        raise missing("timestamp")
    if not timestamp.isdigit():
        raise illegal("timestamp", "^[0-9]{1,20}$")
    window_us = DEFAULT_RECV_WINDOW_US
    if recv_window is not None:
        if not _RECV_WINDOW.match(recv_window):
            raise illegal("recvWindow", r"^\d{1,5}(\.\d{1,3})?$")
        whole, _, part = recv_window.partition(".")
        window_us = int(whole) * 1000 + int(part.ljust(3, "0") or 0)
        if window_us > MAX_RECV_WINDOW_US:
            raise VenueError(-1131, "recvWindow must be less than 60000")
    stamp = int(timestamp)
    return stamp if stamp >= MICROSECONDS_FROM else stamp * 1000, window_us
