"""Limits (reference section 3): every request names its bucket."""

from __future__ import annotations

from decimal import Decimal

import pytest

from protocols.enums import OrdType
from protocols.ids import OrderID, Symbol
from protocols.instruments import Product
from protocols.venue import HttpRequest, Lane, Scope
from protocols.venues.okx import OkxPublic
from protocols.venues.okx.limits import DOCUMENTED as BY_PRODUCT
from protocols.venues.okx.limits import PER_WINDOW, WINDOW_NS
from tests.protocols.okx.frames import CL_ORD_ID, STAMP_NS, SWAP, codec, new_order, reply, rest

PUBLIC, PRIVATE = OkxPublic(Product.LINEAR), codec()
DOCUMENTED = BY_PRODUCT[Product.LINEAR]


def next_list() -> HttpRequest:
    following = PRIVATE.continuation(PRIVATE.open_orders_request(None, STAMP_NS), reply(rest([])), STAMP_NS)
    assert following is not None
    return following


READS: dict[str, HttpRequest] = {
    "time": PUBLIC.time_request(),
    "instruments": PUBLIC.instruments_request([]),
    "books": PUBLIC.snapshot_request(SWAP, 400),
    "candles": PUBLIC.candles_request(SWAP, 60_000_000_000, 10),
    "history-candles": PUBLIC.candles_request(SWAP, 60_000_000_000, 10, 1),
    "tickers": PUBLIC.tickers_request([SWAP]),
    "order-details": PRIVATE.order_status_request(CL_ORD_ID, None, SWAP, STAMP_NS),
    "order-algo-details": PRIVATE.order_status_request(CL_ORD_ID, OrderID("A1"), SWAP, STAMP_NS),
    "orders-algo-pending": next_list(),
    "orders-pending": PRIVATE.open_orders_request(None, STAMP_NS),
    "fills": PRIVATE.fills_request(SWAP, STAMP_NS),
    "fills-history": PRIVATE.fills_request(SWAP, STAMP_NS, since_ns=0),
    "balance": PRIVATE.balances_request(STAMP_NS),
    "positions": PRIVATE.positions_request(STAMP_NS),
    "account-config": PRIVATE.position_mode_request(STAMP_NS),
}


def test_the_windows() -> None:
    assert not any(limit.aligned for limit in DOCUMENTED)
    limits = {limit.name: limit for limit in DOCUMENTED}
    assert {limits[name].limit for name in ("orders", "amends", "cancels")} == {60}
    assert {limits[name].scope for name in ("orders", "amends", "cancels", "batch-orders")} == {Scope.SYMBOL}
    assert (limits["account"].limit, limits["account"].scope) == (1000, Scope.PRODUCT)
    assert {"orders", "amends", "batch-orders", "amend-batch-orders"} == set(limits["account"].groups)
    assert "account" not in {limit.name for limit in BY_PRODUCT[Product.SPOT]}, "spot is exempt"
    assert {limits[name].limit for name in ("order-algo", "cancel-algos")} == {20}
    assert (limits["connections"].limit, limits["connections"].interval_ns) == (3, 1_000_000_000)
    assert WINDOW_NS == 2_000_000_000


@pytest.mark.parametrize("name", PER_WINDOW)
def test_a_read_counts_in_the_bucket_of_its_endpoint(name: str) -> None:
    request = READS[name]
    assert (request.weight, request.group, request.units, request.lane) == (0, name, 1, Lane.QUERY)
    (limit,) = (limit for limit in DOCUMENTED if limit.name == name)
    signed = "OK-ACCESS-KEY" in request.headers
    assert (limit.limit, limit.scope) == (PER_WINDOW[name], Scope.ACCOUNT if signed else Scope.ADDRESS)


def test_every_read_has_a_bucket() -> None:
    assert READS.keys() == PER_WINDOW.keys()


def test_commands_weigh_nothing_and_name_their_bucket() -> None:
    commands = [
        PRIVATE.rest_new_order(new_order(), STAMP_NS),
        PRIVATE.rest_cancel_order(CL_ORD_ID, None, SWAP, STAMP_NS),
        PRIVATE.rest_new_orders([new_order(), new_order()], STAMP_NS),
        PRIVATE.rest_new_orders([new_order()], STAMP_NS),
        PRIVATE.rest_cancel_orders([(CL_ORD_ID, None, SWAP)], STAMP_NS),
        PRIVATE.rest_new_order(new_order(ord_type=OrdType.STOP, stop_px=Decimal(1)), STAMP_NS),
        PRIVATE.rest_cancel_order(CL_ORD_ID, OrderID("A1"), SWAP, STAMP_NS),
        PRIVATE.dead_man_request(None, 0, STAMP_NS),
    ]
    assert {one.weight for one in commands} == {0}
    assert [one.group for one in commands] == [
        "orders", "cancels", "batch-orders", "orders", "cancels", "order-algo", "cancel-algos", "cancel-all-after",
    ]  # fmt: skip
    assert {one.group for one in commands} < {limit.name for limit in DOCUMENTED}
    assert PRIVATE.rest_new_orders([new_order(), new_order()], STAMP_NS).units == 2


def test_the_venue_says_nothing_about_usage() -> None:
    assert PUBLIC.usage(reply({})) == PRIVATE.usage(reply({})) == ()


def test_a_snapshot_has_at_most_400_levels() -> None:
    for depth, sent in ((0, 1), (1, 1), (400, 400), (5000, 400)):
        assert PUBLIC.snapshot_request(Symbol("X"), depth).query == f"instId=X&sz={sent}"
