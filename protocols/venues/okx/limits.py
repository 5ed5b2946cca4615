"""Rate limits (reference section 3): what the venue allows, endpoint by endpoint.

OKX counts in windows of two seconds, nobody knows where they begin, and it tells nothing: there is no header to correct
a count with.  Public endpoints are counted for the address, the account's reads for the user.  Placing, amending and
canceling have a bucket each for every user and *instrument*, shared by REST and WebSocket; and all that is placed or
amended counts in one more for the account.

`HttpRequest.group` is the name of a bucket.
"""

from __future__ import annotations

from collections.abc import Mapping

from protocols.venue import Limit, Scope

__all__ = [
    "BATCH_MAX",
    "COMMANDS",
    "DOCUMENTED",
    "LIMITS_AS_OF",
    "OPEN_ORDERS_MAX",
    "PER_WINDOW",
    "WINDOW_NS",
]

_S = 1_000_000_000
WINDOW_NS = 2 * _S
BATCH_MAX = 20
OPEN_ORDERS_MAX = 500
"""Per instrument; 4000 per user."""

PER_WINDOW: Mapping[str, int] = {
    "time": 10,
    "instruments": 20,
    "books": 40,
    "candles": 40,  # assumed: the reference does not state it
    "history-candles": 20,  # assumed
    "tickers": 20,  # assumed as well, for one symbol and for all
    "order-details": 60,
    "orders-pending": 60,
    "fills": 60,
    "fills-history": 10,  # assumed: the reference does not state it
    "balance": 10,
    "positions": 10,
    "account-config": 5,  # assumed: the reference does not state it
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

LIMITS_AS_OF = "2026-08-22"
DOCUMENTED = (
    *(
        Limit(name, WINDOW_NS, allowed, Scope.ADDRESS if name in _OF_THE_ADDRESS else Scope.ACCOUNT, aligned=False)
        for name, allowed in PER_WINDOW.items()
    ),
    *(Limit(name, WINDOW_NS, 60, Scope.SYMBOL, aligned=False) for name in COMMANDS.values()),
    *(
        Limit(name, WINDOW_NS, 300, Scope.SYMBOL, aligned=False)
        for name in ("batch-orders", "amend-batch-orders", "cancel-batch-orders")
    ),
    Limit("account", WINDOW_NS, 1000, Scope.ACCOUNT, aligned=False, groups=("orders", "amends", "batch-orders")),
    Limit("cancel-all-after", _S, 1, Scope.ACCOUNT, aligned=False),
    Limit("connections", _S, 3, aligned=False),
)
