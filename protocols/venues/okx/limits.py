"""Rate limits (reference section 3): what the venue allows, endpoint by endpoint.

OKX counts in windows of two seconds, nobody knows where they begin, and it tells nothing: there is no header to correct
a count with.  Public endpoints are counted for the address, the account's reads for the user.  Placing, amending and
canceling have a bucket each for every user and *instrument*, shared by REST and WebSocket; and all contracts that are
placed or amended count in one more for the account, of which spot is exempt.  A batch has a bucket of its own, unless
it is a batch of one.

`HttpRequest.group` is the name of a bucket.
"""

from __future__ import annotations

from collections.abc import Mapping

from protocols.instruments import Product
from protocols.venue import Limit, Scope

__all__ = [
    "ALGO_ORDERS_MAX",
    "BATCH_MAX",
    "COMMANDS",
    "DOCUMENTED",
    "LIMITS_AS_OF",
    "OPEN_ORDERS_MAX",
    "PER_WINDOW",
    "SINGLE",
    "WINDOW_NS",
]

_S = 1_000_000_000
WINDOW_NS = 2 * _S
BATCH_MAX = 20
OPEN_ORDERS_MAX = 500
"""Per instrument; 4000 per user."""
ALGO_ORDERS_MAX = 100
"""Take-profits and stops, per instrument."""

PER_WINDOW: Mapping[str, int] = {
    "time": 10,
    "instruments": 20,
    "books": 40,
    "candles": 40,  # assumed: the reference does not state it
    "history-candles": 20,  # assumed
    "tickers": 20,  # assumed as well, for one symbol and for all
    "order-details": 60,
    "order-algo-details": 20,
    "orders-algo-pending": 20,  # assumed: the reference states it for placing and canceling
    "orders-pending": 60,
    "fills": 60,
    "fills-history": 10,  # assumed: the reference does not state it
    "balance": 10,
    "positions": 10,
    "account-config": 5,
}
"""Requests that a reading endpoint takes in two seconds."""
_OF_THE_ADDRESS = ("time", "instruments", "books", "candles", "history-candles", "tickers")

COMMANDS: Mapping[str, str] = {
    "order": "orders",
    "amend-order": "amends",
    "cancel-order": "cancels",
}
"""Last part of a command's path -> its bucket, where order entry by WebSocket leases of it; the others bear the path's
own name."""
SINGLE: Mapping[str, str] = {
    "batch-orders": "order",
    "amend-batch-orders": "amend-order",
    "cancel-batch-orders": "cancel-order",
}
"""Whose bucket a batch of one counts in."""

LIMITS_AS_OF = "2026-08-22"
_EVERYWHERE = (
    *(
        Limit(name, WINDOW_NS, allowed, Scope.ADDRESS if name in _OF_THE_ADDRESS else Scope.ACCOUNT, aligned=False)
        for name, allowed in PER_WINDOW.items()
    ),
    *(Limit(name, WINDOW_NS, 60, Scope.SYMBOL, aligned=False) for name in COMMANDS.values()),
    *(
        Limit(name, WINDOW_NS, 300, Scope.SYMBOL, aligned=False)
        for name in ("batch-orders", "amend-batch-orders", "cancel-batch-orders")
    ),
    *(Limit(name, WINDOW_NS, 20, Scope.ACCOUNT, aligned=False) for name in ("order-algo", "cancel-algos")),
    Limit("cancel-all-after", _S, 1, Scope.ACCOUNT, aligned=False),
    Limit("connections", _S, 3, aligned=False),
)
_CHANGES = ("orders", "amends", "batch-orders", "amend-batch-orders")
DOCUMENTED: Mapping[Product, tuple[Limit, ...]] = {
    Product.SPOT: _EVERYWHERE,
    Product.LINEAR: (
        *_EVERYWHERE,
        # The lowest tier: from VIP5 on the ratio of what is filled raises it.
        Limit("account", WINDOW_NS, 1000, Scope.PRODUCT, aligned=False, groups=_CHANGES),
    ),
}
