"""Rate limits (reference section 3): what the venue allows, what a reply says is left.

Public requests are counted per IP and group in fixed seconds, requests of an account per pocket and group.  Every REST
answer tells how many are left in its group.  The WebSocket tells nothing: connections and frames are ours to count.
"""

from __future__ import annotations

from collections.abc import Mapping

from protocols.venue import Limit, Scope, Usage

__all__ = ["DOCUMENTED", "GROUPS", "LIMITS_AS_OF", "usage_of_headers"]

_S = 1_000_000_000

LIMITS_AS_OF = "2026-08-21"
GROUPS: Mapping[str, Limit] = {
    (limit.groups or (limit.name,))[0]: limit
    for limit in (
        *(Limit(name, _S, 10, aligned=False) for name in ("market", "candle", "trade", "ticker", "orderbook")),
        Limit("default", _S, 30, Scope.ACCOUNT, aligned=False),
        Limit("orders", _S, 12, Scope.ACCOUNT, aligned=False, groups=("order",)),  # 8 until 2026-08-21
        Limit("order-test", _S, 8, Scope.ACCOUNT, aligned=False),
        Limit("order-cancel-all", 2 * _S, 1, Scope.ACCOUNT, aligned=False),
    )
}
"""Buckets; `HttpRequest.group` is the venue's name of one.  Seconds are fixed, but our picture of the venue's clock is
too coarse to know where they begin."""

DOCUMENTED = (*GROUPS.values(), Limit("connections", _S, 5, aligned=False))
"""All of them.  The private connections are counted for the account, which is no more than for the address."""


def _part(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip().lower(), value.strip()


def usage_of_headers(headers: Mapping[str, str]) -> tuple[Usage, ...]:
    """`Remaining-Req: group=default; min=1800; sec=29`, by name, in any order; `min` means nothing any more.

    A group unknown to us is left out: without its size, what is left of it says nothing about what was used.
    """
    for name, value in headers.items():
        if name.lower() == "remaining-req":
            parts = dict(_part(text) for text in value[:200].split(";"))
            limit, left = GROUPS.get(parts.get("group", "").lower()), parts.get("sec", "")
            if limit is not None and left.isascii() and left.isdigit():
                used = max(0, limit.limit - int(left))
                return (Usage(limit.name, limit.interval_ns, used),)
    return ()
