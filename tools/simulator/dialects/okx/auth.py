"""Who is asking, and is the signature right (section 2).

REST signs `timestamp + METHOD + path?query + body` as they travel; a login on a WebSocket signs its own text. Both
are HMAC-SHA-256 in base64, and both want the passphrase of the key beside it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tools.simulator.core.accounts import ApiKey
from tools.simulator.core.clock import MS, SECOND
from tools.simulator.dialects.okx.errors import OkxError

WINDOW_NS = 30 * SECOND
LOGIN_TARGET = "GET/users/self/verify"
_ISO = re.compile(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$")
_SECONDS = re.compile(r"^\d{1,12}(\.\d{1,6})?$")
_HEADERS = (
    ("ok-access-key", "50103"),
    ("ok-access-passphrase", "50104"),
    ("ok-access-sign", "50106"),
    ("ok-access-timestamp", "50107"),
)


def signature(secret: str, payload: str) -> str:
    """Base64 of 32 bytes."""
    return base64.b64encode(hmac.new(secret.encode(), payload.encode(), hashlib.sha256).digest()).decode()


def _refused(code: str) -> OkxError:
    return OkxError(code, status=401)


def iso_ns(text: str) -> int:
    """`2026-01-01T00:00:00.123Z` in nanoseconds. Raises OkxError 50112."""
    if not _ISO.match(text):
        raise _refused("50112")
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
    except ValueError:
        raise _refused("50112") from None
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * SECOND + moment.microsecond * 1000


def verify_rest(
    keys: Mapping[str, ApiKey], headers: Mapping[str, str], method: str, target: str, body: str, now_ns: int
) -> ApiKey:
    """The key that signed this request. Raises OkxError with the venue's code for what is wrong, HTTP status 401."""
    found = []
    for name, code in _HEADERS:
        value = headers.get(name, "")
        if not value:
            raise _refused(code)
        found.append(value)
    name, passphrase, sign, stamp = found
    at_ns = iso_ns(stamp)
    key = keys.get(name)
    if key is None or not key.enabled:
        raise _refused("50111")
    if abs(now_ns - at_ns) > WINDOW_NS:
        raise _refused("50102")
    if not hmac.compare_digest(signature(key.secret, f"{stamp}{method}{target}{body}").encode(), sign.encode()):
        raise _refused("50113")
    if not hmac.compare_digest(key.passphrase.encode(), passphrase.encode()):
        raise _refused("50105")
    return key


def verify_login(keys: Mapping[str, ApiKey], arg: Any, now_ns: int) -> ApiKey:
    """The key of a `login`, whose time is in *seconds* (2.2). Raises OkxError 600xx."""
    if not isinstance(arg, dict):
        raise OkxError("60013")
    name, passphrase, sign = (str(arg.get(field, "")) for field in ("apiKey", "passphrase", "sign"))
    stamp = str(arg.get("timestamp", ""))
    if not _SECONDS.match(stamp):
        raise OkxError("60004")
    key = keys.get(name)
    if key is None or not key.enabled:
        raise OkxError("60005")
    if abs(now_ns - int(float(stamp) * 1000) * MS) > WINDOW_NS:
        raise OkxError("60006")
    if not hmac.compare_digest(signature(key.secret, f"{stamp}{LOGIN_TARGET}").encode(), sign.encode()):
        raise OkxError("60007")
    if not hmac.compare_digest(key.passphrase.encode(), passphrase.encode()):
        raise OkxError("60024")
    return key
