"""Rate limits (reference section 5): what requests weigh, what the venue allows, what it says we used.

All windows are fixed and aligned to the clock.  Weight is counted per IP over REST and WebSocket API together,
orders per account over everything.  `ORDERS` counts unfilled orders: fills give some of it back, cancels nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from protocols.venue import Limit
from protocols.venues.binance_common.limits import stated_limits, usage_of_headers, usage_of_rows
from protocols.venues.binance_common.wire import RateLimit

__all__ = [
    "DOCUMENTED",
    "WEIGHT",
    "WEIGHT_AS_OF",
    "limits_of",
    "tickers_weight",
    "usage_of_headers",
    "usage_of_rows",
]

_S = 1_000_000_000

CONNECTIONS = Limit("connections", 300 * _S, 300)
"""Per IP; REST does not state it."""

DOCUMENTED = (
    Limit("weight", 60 * _S, 6_000),
    Limit("raw", 300 * _S, 300_000),
    Limit("orders", 10 * _S, 50),
    Limit("orders", 86_400 * _S, 160_000),
    CONNECTIONS,
)
"""As of the date below; what holds until the venue's own answer is here."""

WEIGHT_AS_OF = "2026-04-02"
WEIGHT: Mapping[str, int] = {
    "time": 1,
    "exchangeInfo": 20,
    "klines": 2,
    "account": 20,
    "order.status": 4,
    "openOrders.symbol": 6,
    "openOrders.all": 80,
    "myTrades.order": 5,
    "myTrades": 20,
    "session": 2,
    # Order-path requests weigh nothing when they succeed; refused ones 1 (an amend 4), which the reply's counts tell.
    "order.place": 0,
    "order.cancel": 0,
    "openOrders.cancelAll": 0,
    "order.cancelReplace": 0,
    "order.amend": 4,
}


def depth_weight(levels: int) -> int:
    """Weight of a snapshot with so many levels."""
    return 5 if levels <= 100 else 25 if levels <= 500 else 50 if levels <= 1000 else 250


def tickers_weight(symbols: int) -> int:
    """Weight of `ticker/24hr` for so many symbols."""
    return 2 if symbols <= 20 else 40 if symbols <= 100 else 80


def limits_of(rows: Iterable[RateLimit]) -> tuple[Limit, ...]:
    """The limits that `exchangeInfo` states, and the connection limit; kinds unknown to us are left out."""
    found = stated_limits(rows)
    return found if any(limit.name == "connections" for limit in found) else (*found, CONNECTIONS)
