"""Rate limits (reference section 5): what requests weigh, what the venue allows, what it says we used.

All windows are fixed and aligned to the clock.  Weight is counted per IP over REST and WebSocket API together,
orders per account over everything.  `ORDERS` counts unfilled orders: fills give some of it back, cancels nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from protocols.venue import Limit, Usage
from protocols.venues.binance_spot.wire import RateLimit

__all__ = [
    "DOCUMENTED",
    "WEIGHT",
    "WEIGHT_AS_OF",
    "WEIGHT_IF_REFUSED",
    "limits_of",
    "usage_of_headers",
    "usage_of_rows",
]

_S = 1_000_000_000
_INTERVAL_NS = {"SECOND": _S, "MINUTE": 60 * _S, "HOUR": 3600 * _S, "DAY": 86_400 * _S}
_LETTER_NS = {"S": _S, "M": 60 * _S, "H": 3600 * _S, "D": 86_400 * _S}
_NAMES = {"REQUEST_WEIGHT": "weight", "ORDERS": "orders", "RAW_REQUESTS": "raw", "CONNECTIONS": "connections"}
_HEADER = re.compile(r"x-mbx-(used-weight|order-count)-([0-9]{1,5})([smhd])", re.IGNORECASE)
_HEADER_NAMES = {"used-weight": "weight", "order-count": "orders"}

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
    # Order-path requests weigh nothing when they succeed.
    "order.place": 0,
    "order.cancel": 0,
    "openOrders.cancelAll": 0,
    "order.amend": 4,
}
WEIGHT_IF_REFUSED = 1
"""What a refused order-path request is charged (an amend 4): a burst of rejects burns weight."""


def depth_weight(levels: int) -> int:
    """Weight of a snapshot with so many levels."""
    return 5 if levels <= 100 else 25 if levels <= 500 else 50 if levels <= 1000 else 250


def limits_of(rows: Iterable[RateLimit]) -> tuple[Limit, ...]:
    """The limits that `exchangeInfo` states, and the connection limit; kinds unknown to us are left out."""
    found = [
        Limit(_NAMES[row.rateLimitType], _INTERVAL_NS[row.interval] * row.intervalNum, row.limit)
        for row in rows
        if row.rateLimitType in _NAMES and row.interval in _INTERVAL_NS
    ]
    if all(limit.name != "connections" for limit in found):
        found.append(CONNECTIONS)
    return tuple(found)


def usage_of_rows(rows: Iterable[RateLimit]) -> tuple[Usage, ...]:
    """The counts in a WebSocket API reply."""
    return tuple(
        Usage(_NAMES[row.rateLimitType], _INTERVAL_NS[row.interval] * row.intervalNum, row.count)
        for row in rows
        if row.count is not None and row.rateLimitType in _NAMES and row.interval in _INTERVAL_NS
    )


def usage_of_headers(headers: Mapping[str, str]) -> tuple[Usage, ...]:
    """The counts in a REST reply's `X-MBX-USED-WEIGHT-1M` and `X-MBX-ORDER-COUNT-10S` headers, in any case."""
    found = []
    for name, value in headers.items():
        match = _HEADER.fullmatch(name)
        if match is not None and value.isascii() and value.isdigit() and len(value) <= 15:
            kind, number, letter = match.groups()
            interval_ns = int(number) * _LETTER_NS[letter.upper()]
            found.append(Usage(_HEADER_NAMES[kind.lower()], interval_ns, int(value)))
    return tuple(found)
