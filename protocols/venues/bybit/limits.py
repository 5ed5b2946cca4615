"""Rate limits (reference section 4): what the venue allows, what a reply says is left.

Requests are counted per IP over five seconds, whatever they ask.  Order requests are counted per account, endpoint and
second besides, REST and WebSocket together, the products apart; a batch takes as many as it has orders.  There are no
weights, and nobody knows when a second begins.
"""

from __future__ import annotations

from collections.abc import Mapping

from protocols.instruments import Product
from protocols.venue import Limit, Scope, Usage

__all__ = [
    "BATCH_MAX",
    "BATCH_MAX_AS_OF",
    "CANCELS_MAX",
    "DOCUMENTED",
    "GROUPS",
    "IP_SILENCE_NS",
    "LIMITS_AS_OF",
    "OPEN_ORDERS_MAX",
    "bucket_of",
    "usage_of",
]

_S = 1_000_000_000

LIMITS_AS_OF = "2026-05-21"
ORDERS_PER_S = {Product.SPOT: 20, Product.LINEAR: 10}
"""`order/create` of the default tier; amending is 10 a second on both, queries are 50."""
AMENDS_PER_S = 10
READS_PER_S = 50
GROUPS: Mapping[str, str] = {
    "/v5/order/create": "orders",
    "/v5/order/amend": "amends",
    "/v5/order/cancel": "cancels",
}
"""Path -> its bucket, where order entry by WebSocket leases of it; other endpoints are buckets by their own names."""
_READS = (
    "/v5/order/realtime",
    "/v5/order/history",
    "/v5/execution/list",
    "/v5/position/list",
    "/v5/account/info",
    "/v5/account/wallet-balance",
)
_BATCHES = ("/v5/order/create-batch", "/v5/order/amend-batch", "/v5/order/cancel-batch")

DOCUMENTED: Mapping[Product, tuple[Limit, ...]] = {
    product: (
        Limit("raw", 5 * _S, 600, aligned=False),
        Limit("orders", _S, orders, Scope.PRODUCT, aligned=False),
        Limit("amends", _S, AMENDS_PER_S, Scope.PRODUCT, aligned=False),
        Limit("cancels", _S, orders, Scope.PRODUCT, aligned=False),
        Limit("/v5/order/cancel-all", _S, orders, Scope.PRODUCT, aligned=False),
        *(Limit(path, _S, orders, Scope.PRODUCT, aligned=False) for path in _BATCHES),
        *(Limit(path, _S, READS_PER_S, Scope.ACCOUNT, aligned=False) for path in _READS),
        Limit("connections", 300 * _S, 500, aligned=False),
    )
    for product, orders in ORDERS_PER_S.items()
}
"""What the venue documents; it has no request that tells its limits."""
_DOCUMENTED_SIZES = {
    product: {limit.name: limit.limit for limit in limits if limit.interval_ns == _S}
    for product, limits in DOCUMENTED.items()
}
IP_SILENCE_NS = 600 * _S
"""After "access too frequent" no REST request may be sent for this long."""

BATCH_MAX_AS_OF = "2026-08-25"
BATCH_MAX = {Product.SPOT: 10, Product.LINEAR: 20}
CANCELS_MAX = {product: min(most, ORDERS_PER_S[product]) for product, most in BATCH_MAX.items()}
"""Of a larger batch the bucket of the default tier would never take the tail, and a cancel must not fail for that."""

OPEN_ORDERS_MAX = {Product.SPOT: (500, 30), Product.LINEAR: (500, 10)}
"""Working orders and, among them, conditional ones: per symbol; on spot the first counts all symbols together."""


def bucket_of(op: str) -> str:
    """The bucket of an operation of the trade socket, `order.create`: it is REST's."""
    path = f"/v5/{op.replace('.', '/')}"
    return GROUPS.get(path, path)


def usage_of(name: str, header: Mapping[str, object], product: Product) -> tuple[Usage, ...]:
    """How much of a bucket is used, from `X-Bapi-Limit` and `X-Bapi-Limit-Status` (what is left), in any case."""
    documented = _DOCUMENTED_SIZES[product].get(name)
    words = {word.lower(): value for word, value in header.items()}
    limit, left = _count(words.get("x-bapi-limit")), _count(words.get("x-bapi-limit-status"))
    if documented is None or limit is None or left is None or left > limit:
        return ()
    # Tiers above the default have larger buckets: what counts for ours is how much of it is gone.
    return (Usage(name, _S, max(0, documented - left)),)


def _count(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 9:
        return int(value)
    return None
