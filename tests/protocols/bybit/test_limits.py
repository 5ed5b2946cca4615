"""Limits and usage (reference section 4)."""

from __future__ import annotations

import attrs
import pytest

from protocols.instruments import Product
from protocols.venue import Limit, Scope, Usage
from protocols.venues.bybit.limits import BATCH_MAX, DOCUMENTED, IP_SILENCE_NS, bucket_of, usage_of
from tests.protocols.bybit.frames import HEADER, LINEAR, SPOT, codec, envelope, new_order, reply

SECOND = 1_000_000_000


@pytest.mark.parametrize("product, orders", [(SPOT, 20), (LINEAR, 10)])
def test_documented_limits(product: Product, orders: int) -> None:
    limits = {limit.name: limit for limit in DOCUMENTED[product]}
    assert limits["raw"] == Limit("raw", 5 * SECOND, 600, aligned=False)
    assert limits["orders"] == Limit("orders", SECOND, orders, Scope.PRODUCT, aligned=False)
    assert limits["connections"].limit == 500
    assert (limits["amends"].limit, limits["cancels"].limit) == (10, orders)
    # Reads are one bucket for both products, orders each product's own.
    assert {limit.scope for limit in DOCUMENTED[product] if limit.limit == 50} == {Scope.ACCOUNT}


@pytest.mark.parametrize("product", [SPOT, LINEAR])
def test_every_signed_request_names_a_bucket_that_there_is(product: Product) -> None:
    private = codec(product)
    names = {limit.name for limit in DOCUMENTED[product]}
    order = new_order(product)
    requests = [
        (private.rest_new_order(order, 1), "orders", 1),
        (private.rest_cancel_order(order.cl_ord_id, None, order.symbol, 1), "cancels", 1),
        (private.rest_new_orders([order, order], 1), "/v5/order/create-batch", 2),
        (private.balances_request(1), "/v5/account/wallet-balance", 1),
        (private.open_orders_request(None, 1), "/v5/order/realtime", 1),
    ]
    for request, group, units in requests:
        assert (request.group, request.units) == (group, units)
        assert group in names


def test_batches_and_silence() -> None:
    assert BATCH_MAX == {SPOT: 10, LINEAR: 20}
    assert IP_SILENCE_NS == 600 * SECOND


@pytest.mark.parametrize("write", [str, str.lower, str.upper])
def test_usage_is_what_is_gone_of_the_bucket(write: type[str]) -> None:
    header = {write(name): value for name, value in HEADER.items()}
    assert usage_of("orders", header, LINEAR) == (Usage("orders", SECOND, 1),)


@pytest.mark.parametrize(
    "limit, left, used",
    [("10", "0", 10), ("10", "10", 0), ("40", "39", 0), ("40", "4", 6)],
    ids=["empty", "full", "a larger tier", "a larger tier, used"],
)
def test_a_larger_bucket_counts_against_ours_when_it_runs_out(limit: str, left: str, used: int) -> None:
    header = {"X-Bapi-Limit": limit, "X-Bapi-Limit-Status": left}
    assert usage_of("orders", header, LINEAR) == (Usage("orders", SECOND, used),)


@pytest.mark.parametrize(
    "header",
    [{}, {"X-Bapi-Limit": "10"}, {"X-Bapi-Limit": "10", "X-Bapi-Limit-Status": "11"},
     {"X-Bapi-Limit": "ten", "X-Bapi-Limit-Status": "9"}, {"X-Bapi-Limit": "10", "X-Bapi-Limit-Status": "-1"},
     {"X-Bapi-Limit": "9" * 40, "X-Bapi-Limit-Status": "1"}],
)  # fmt: skip
def test_what_cannot_be_read_says_nothing(header: dict[str, str]) -> None:
    assert usage_of("orders", header, LINEAR) == ()


def test_operations_of_the_socket_draw_from_the_buckets_of_rest() -> None:
    assert [bucket_of(f"order.{op}") for op in ("create", "amend", "cancel", "cancel-batch")] == [
        "orders",
        "amends",
        "cancels",
        "/v5/order/cancel-batch",
    ]


@pytest.mark.parametrize("product, size", [(SPOT, 20), (LINEAR, 10)])
def test_an_answer_of_rest_tells_of_its_requests_bucket(product: Product, size: int) -> None:
    headers = {"x-bapi-limit": str(size), "x-bapi-limit-status": "7"}
    for group, used in (("orders", size - 7), ("/v5/order/create-batch", size - 7), ("/v5/order/realtime", 43)):
        answered = attrs.evolve(reply(envelope({}), headers=headers), group=group)
        left = {} if used != 43 else {"x-bapi-limit": "50"}
        told = codec(product).usage(attrs.evolve(answered, headers=headers | left))
        assert told == (Usage(group, SECOND, used),)
    assert codec(product).usage(reply(envelope({}), headers=headers)) == ()
