"""Rate limits (reference section 3): what the venue allows and what requests weigh with us.

OKX counts per endpoint, in windows of two seconds, and tells nothing: there is no header to correct a count with.
Its read limits are made one budget here: the window holds `READ_BUDGET`, and a request to an endpoint that allows n
in it weighs `READ_BUDGET / n`, rounded up.  Whoever keeps the budget keeps the limit of every endpoint, whatever the
mix, at the price of not using two endpoints to the full at once.

Placing, amending and canceling have a bucket each, of 60 per user and *instrument*, shared by REST and WebSocket.
`orders` is that bucket for one instrument taken as if it were that of all: right for few symbols, careful for many.
"""

from __future__ import annotations

from collections.abc import Mapping

from protocols.venue import Limit

__all__ = [
    "BATCH_MAX",
    "DOCUMENTED",
    "LIMITS_AS_OF",
    "OPEN_ORDERS_MAX",
    "ORDERS_WINDOW_NS",
    "PER_WINDOW",
    "READ_BUDGET",
    "WEIGHT",
]

_S = 1_000_000_000
ORDERS_WINDOW_NS = 2 * _S
READ_BUDGET = 120
BATCH_MAX = 20
OPEN_ORDERS_MAX = 500
"""Per instrument; 4000 per user."""

LIMITS_AS_OF = "2026-08-22"
DOCUMENTED = (
    Limit("weight", ORDERS_WINDOW_NS, READ_BUDGET),
    Limit("orders", ORDERS_WINDOW_NS, 60),
    Limit("connections", _S, 3),
)

PER_WINDOW: Mapping[str, int] = {
    "time": 10,
    "instruments": 20,
    "books": 40,
    "candles": 40,  # assumed: the reference does not state it
    "history-candles": 20,  # assumed
    "tickers": 20,  # assumed as well, for one symbol and for all
    "order": 60,
    "orders-pending": 60,
    "fills": 60,
    "fills-history": 10,  # assumed: the reference does not state it
    "balance": 10,
    "positions": 10,
    "account-config": 5,  # assumed: the reference does not state it
}
"""Requests that an endpoint takes in two seconds."""
WEIGHT: Mapping[str, int] = {name: -(-READ_BUDGET // allowed) for name, allowed in PER_WINDOW.items()}
