"""Limits and usage (reference section 5)."""

from __future__ import annotations

import msgspec
import pytest

from protocols.venue import Limit, Usage
from protocols.venues.binance_common.wire import RateLimit
from protocols.venues.binance_spot.limits import depth_weight, limits_of, usage_of_headers, usage_of_rows

SECOND = 1_000_000_000
ROWS = msgspec.json.decode(
    b"""[
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000, "count": 41},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 50, "count": 3},
    {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 160000, "count": 77},
    {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 300000},
    {"rateLimitType": "MOON_PHASES", "interval": "MINUTE", "intervalNum": 5, "limit": 1, "count": 1},
    {"rateLimitType": "ORDERS", "interval": "FORTNIGHT", "intervalNum": 1, "limit": 1, "count": 1}
    ]""",
    type=tuple[RateLimit, ...],
)


def test_limits_are_the_venues_own_and_unknown_kinds_are_left_out() -> None:
    assert limits_of(ROWS) == (
        Limit("weight", 60 * SECOND, 6000),
        Limit("orders", 10 * SECOND, 50),
        Limit("orders", 86_400 * SECOND, 160_000),
        Limit("raw", 300 * SECOND, 300_000),
        Limit("connections", 300 * SECOND, 300),
    )


def test_a_row_without_a_number_is_no_limit() -> None:
    """A limit of 0 would stop everything for ever."""
    rows = msgspec.json.decode(b'[{"rateLimitType": "ORDERS", "interval": "DAY"}]', type=tuple[RateLimit, ...])
    assert [limit.name for limit in limits_of(rows)] == ["connections"]


def test_a_stated_connection_limit_wins() -> None:
    row = RateLimit("CONNECTIONS", "MINUTE", 5, 200)
    assert limits_of([row]) == (Limit("connections", 300 * SECOND, 200),)


def test_usage_of_a_reply() -> None:
    assert usage_of_rows(ROWS) == (
        Usage("weight", 60 * SECOND, 41),
        Usage("orders", 10 * SECOND, 3),
        Usage("orders", 86_400 * SECOND, 77),
    )


@pytest.mark.parametrize("write", [str, str.lower, str.upper])
def test_usage_of_headers_in_any_case(write: type[str]) -> None:
    headers = {
        "X-MBX-USED-WEIGHT": "9",
        "X-MBX-USED-WEIGHT-1M": "41",
        "X-MBX-ORDER-COUNT-10S": "3",
        "X-MBX-ORDER-COUNT-1D": "77",
        "X-MBX-USED-WEIGHT-1H": "500",
        "X-MBX-USED-WEIGHT-2X": "1",
        "X-MBX-ORDER-COUNT-5M": "many",
        "Content-Type": "application/json",
    }
    assert usage_of_headers({write(name): value for name, value in headers.items()}) == (
        Usage("weight", 60 * SECOND, 41),
        Usage("orders", 10 * SECOND, 3),
        Usage("orders", 86_400 * SECOND, 77),
        Usage("weight", 3600 * SECOND, 500),
    )


@pytest.mark.parametrize(
    "levels, weight", [(1, 5), (100, 5), (101, 25), (500, 25), (501, 50), (1000, 50), (1001, 250), (5000, 250)]
)
def test_a_snapshot_weighs_by_its_depth(levels: int, weight: int) -> None:
    assert depth_weight(levels) == weight
