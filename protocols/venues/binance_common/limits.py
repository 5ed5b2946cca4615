"""Counters of rate limits: what the venue allows and what it says that we used (reference sections 5).

All windows are fixed and aligned to the clock.  Weight is counted per IP over REST and WebSocket API together, orders
per account over everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from protocols.venue import Limit, Usage
from protocols.venues.binance_common.wire import RateLimit

__all__ = ["stated_limits", "usage_of_headers", "usage_of_rows"]

_S = 1_000_000_000
_INTERVAL_NS = {"SECOND": _S, "MINUTE": 60 * _S, "HOUR": 3600 * _S, "DAY": 86_400 * _S}
_LETTER_NS = {"S": _S, "M": 60 * _S, "H": 3600 * _S, "D": 86_400 * _S}
_NAMES = {"REQUEST_WEIGHT": "weight", "ORDERS": "orders", "RAW_REQUESTS": "raw", "CONNECTIONS": "connections"}
_HEADER = re.compile(r"x-mbx-(used-weight|order-count)-([0-9]{1,5})([smhd])", re.IGNORECASE)
_HEADER_NAMES = {"used-weight": "weight", "order-count": "orders"}


def stated_limits(rows: Iterable[RateLimit]) -> tuple[Limit, ...]:
    """The limits that `exchangeInfo` states; kinds unknown to us, and rows that state no number, are left out."""
    return tuple(
        Limit(_NAMES[row.rateLimitType], _INTERVAL_NS[row.interval] * row.intervalNum, row.limit)
        for row in rows
        if row.limit and row.rateLimitType in _NAMES and row.interval in _INTERVAL_NS
    )


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
