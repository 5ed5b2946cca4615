"""Limits and usage (reference section 3)."""

from __future__ import annotations

import pytest

from protocols.venue import Limit, Usage
from protocols.venues.upbit.limits import DOCUMENTED, GROUPS, usage_of_headers

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    "value, usage",
    [
        ("group=default; min=1800; sec=29", Usage("default", SECOND, 1)),
        ("sec=3; group=order; min=59", Usage("orders", SECOND, 9)),
        ("group=order-cancel-all; min=1; sec=0", Usage("order-cancel-all", 2 * SECOND, 1)),
        ("Group=candle;sec=10", Usage("candle", SECOND, 0)),
        ("group=order; sec=40; more=x", Usage("orders", SECOND, 0)),
    ],
)
def test_what_is_left_is_read_by_name(value: str, usage: Usage) -> None:
    assert usage_of_headers({"Remaining-Req": value, "Date": "x"}) == (usage,)
    assert usage_of_headers({"remaining-req": value}) == (usage,)


@pytest.mark.parametrize(
    "value", ["group=origin; min=1; sec=0", "", "group=order", "sec=5", "group=order; sec=few", "\x00;;==" * 50]
)
def test_what_says_nothing_about_our_buckets_is_left_out(value: str) -> None:
    assert usage_of_headers({"Remaining-Req": value}) == ()


def test_no_header_no_usage() -> None:
    assert usage_of_headers({"Content-Type": "application/json"}) == ()


def test_the_documented_limits() -> None:
    assert GROUPS["order"] == Limit("order", SECOND, 12)
    assert GROUPS["default"].limit == 30
    assert {GROUPS[name].limit for name in ("market", "candle", "trade", "ticker", "orderbook")} == {10}
    assert GROUPS["order-cancel-all"].interval_ns == 2 * SECOND
    # A limiter with one bucket must not exceed any group of the venue but the mass cancel's.
    weight = next(limit for limit in DOCUMENTED if limit.name == "weight")
    assert weight.limit <= min(GROUPS[name].limit for name in GROUPS if not name.startswith("order-"))
    assert Limit("connections", SECOND, 5) in DOCUMENTED
