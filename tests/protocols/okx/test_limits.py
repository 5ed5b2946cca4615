"""Limits (reference section 3): the folded budget keeps every endpoint's own."""

from __future__ import annotations

import pytest

from protocols.ids import Symbol
from protocols.instruments import Product
from protocols.venue import HttpRequest, Lane
from protocols.venues.okx import OkxPublic
from protocols.venues.okx.limits import DOCUMENTED, ORDERS_WINDOW_NS, PER_WINDOW, READ_BUDGET, WEIGHT
from tests.protocols.okx.frames import CL_ORD_ID, STAMP_NS, SWAP, codec, new_order, reply

PUBLIC, PRIVATE = OkxPublic(Product.LINEAR), codec()
READS: dict[str, HttpRequest] = {
    "time": PUBLIC.time_request(),
    "instruments": PUBLIC.instruments_request([]),
    "books": PUBLIC.snapshot_request(SWAP, 400),
    "candles": PUBLIC.candles_request(SWAP, 60_000_000_000, 10),
    "history-candles": PUBLIC.candles_request(SWAP, 60_000_000_000, 10, 1),
    "tickers": PUBLIC.tickers_request([SWAP]),
    "order": PRIVATE.order_status_request(CL_ORD_ID, None, SWAP, STAMP_NS),
    "orders-pending": PRIVATE.open_orders_request(None, STAMP_NS),
    "fills": PRIVATE.fills_request(SWAP, STAMP_NS),
    "fills-history": PRIVATE.fills_request(SWAP, STAMP_NS, since_ns=0),
    "balance": PRIVATE.balances_request(STAMP_NS),
    "positions": PRIVATE.positions_request(STAMP_NS),
    "account-config": PRIVATE.position_mode_request(STAMP_NS),
}


def test_the_windows() -> None:
    assert [(one.name, one.interval_ns, one.limit) for one in DOCUMENTED] == [
        ("weight", 2_000_000_000, READ_BUDGET), ("orders", 2_000_000_000, 60), ("connections", 1_000_000_000, 3),
    ]  # fmt: skip
    assert ORDERS_WINDOW_NS == 2_000_000_000


@pytest.mark.parametrize("name", PER_WINDOW)
def test_whoever_keeps_the_budget_keeps_the_limit(name: str) -> None:
    request = READS[name]
    assert (request.weight, request.group, request.lane) == (WEIGHT[name], name, Lane.QUERY)
    assert READ_BUDGET // request.weight <= PER_WINDOW[name]
    assert READ_BUDGET // request.weight >= PER_WINDOW[name] * 0.9


def test_every_read_has_a_weight() -> None:
    assert READS.keys() == PER_WINDOW.keys() == WEIGHT.keys()


def test_commands_weigh_nothing_and_name_their_bucket() -> None:
    commands = [
        PRIVATE.rest_new_order(new_order(), STAMP_NS),
        PRIVATE.rest_cancel_order(CL_ORD_ID, None, SWAP, STAMP_NS),
        PRIVATE.rest_new_orders([new_order()], STAMP_NS),
        PRIVATE.dead_man_request(None, 0, STAMP_NS),
    ]
    assert [one.weight for one in commands] == [0] * 4
    assert [one.group for one in commands] == ["order", "cancel-order", "batch-orders", "cancel-all-after"]


def test_the_venue_says_nothing_about_usage() -> None:
    assert PUBLIC.usage(reply({})) == PRIVATE.usage(reply({})) == ()


def test_a_snapshot_has_at_most_400_levels() -> None:
    for depth, sent in ((0, 1), (1, 1), (400, 400), (5000, 400)):
        assert PUBLIC.snapshot_request(Symbol("X"), depth).query == f"instId=X&sz={sent}"
