"""Limits and usage (reference section 5)."""

from __future__ import annotations

import msgspec
import pytest

from protocols.venue import Limit, Usage
from protocols.venues.binance_common.wire import RateLimit
from protocols.venues.binance_usdm.limits import (
    DOCUMENTED,
    WEIGHT,
    depth_weight,
    klines_weight,
    stated_limits,
    usage_of_headers,
    usage_of_rows,
)
from tests.protocols.binance_usdm.frames import RATE_LIMITS

SECOND = 1_000_000_000
ROWS = msgspec.convert(RATE_LIMITS, tuple[RateLimit, ...])


def test_limits_are_the_venues_own() -> None:
    assert stated_limits(ROWS) == DOCUMENTED
    assert (
        Limit("weight", 60 * SECOND, 2400),
        Limit("orders", 10 * SECOND, 300),
        Limit("orders", 60 * SECOND, 1200),
    ) == DOCUMENTED


def test_usage_of_a_reply_and_of_headers() -> None:
    used = (Usage("weight", 60 * SECOND, 41), Usage("orders", 10 * SECOND, 3), Usage("orders", 60 * SECOND, 7))
    headers = {"X-MBX-USED-WEIGHT-1M": "41", "X-MBX-ORDER-COUNT-10S": "3", "x-mbx-order-count-1m": "7", "Date": "x"}
    assert usage_of_rows(ROWS) == usage_of_headers(headers) == used


@pytest.mark.parametrize("levels, weight", [(5, 2), (50, 2), (100, 5), (500, 10), (1000, 20)])
def test_a_snapshot_weighs_by_its_depth(levels: int, weight: int) -> None:
    assert depth_weight(levels) == weight


@pytest.mark.parametrize("rows, weight", [(99, 1), (100, 2), (499, 2), (500, 5), (1000, 5), (1001, 10), (1500, 10)])
def test_klines_weigh_by_their_number(rows: int, weight: int) -> None:
    assert klines_weight(rows) == weight


def test_cancels_cost_weight_and_no_order_count() -> None:
    assert (WEIGHT["order.place"], WEIGHT["order.modify"], WEIGHT["order.cancel"]) == (0, 0, 1)
    assert WEIGHT["batchOrders"] == 5
    assert WEIGHT["countdownCancelAll"] == 10
