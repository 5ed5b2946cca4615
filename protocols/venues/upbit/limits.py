"""Rate limits (reference section 3): what the venue allows, what a reply says is left.

Public requests are counted per IP and group in fixed seconds, requests of an account per pocket and group.  Every REST
answer tells how many are left in its group.  The WebSocket tells nothing: connections and frames are ours to count.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from protocols.venue import Limit, Usage

__all__ = ["DOCUMENTED", "GROUPS", "LIMITS_AS_OF", "usage_of_headers"]

_S = 1_000_000_000

LIMITS_AS_OF = "2026-08-21"
GROUPS: Mapping[str, Limit] = {
    limit.name: limit
    for limit in (
        Limit("market", _S, 10),
        Limit("candle", _S, 10),
        Limit("trade", _S, 10),
        Limit("ticker", _S, 10),
        Limit("orderbook", _S, 10),
        Limit("default", _S, 30),
        Limit("order", _S, 12),  # 8 until 2026-08-21
        Limit("order-test", _S, 8),
        Limit("order-cancel-all", 2 * _S, 1),
    )
}
"""Buckets by the names that the venue gives them; `HttpRequest.group` is one of these."""

DOCUMENTED = (
    Limit("weight", _S, 10),
    Limit("orders", _S, 12),
    Limit("connections", _S, 5),
)
"""For a limiter that knows one bucket of requests: the smallest one, so that no group can be exceeded."""

_PART = re.compile(r"\s*([a-z]+)\s*=\s*([a-z0-9-]{1,40})\s*", re.IGNORECASE)
_OUR_NAMES = {"order": "orders"}


def usage_of_headers(headers: Mapping[str, str]) -> tuple[Usage, ...]:
    """`Remaining-Req: group=default; min=1800; sec=29`, by name, in any order; `min` means nothing any more.

    A group unknown to us is left out: without its size, what is left of it says nothing about what was used.
    """
    for name, value in headers.items():
        if name.lower() == "remaining-req":
            parts = {key.lower(): text for key, text in _PART.findall(value[:200])}
            limit, left = GROUPS.get(parts.get("group", "")), parts.get("sec", "")
            if limit is not None and left.isascii() and left.isdigit():
                used = max(0, limit.limit - int(left))
                return (Usage(_OUR_NAMES.get(limit.name, limit.name), limit.interval_ns, used),)
    return ()
