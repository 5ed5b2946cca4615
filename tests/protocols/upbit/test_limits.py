"""Limits and usage (reference section 3)."""

from __future__ import annotations

import pytest

from protocols.ids import AccountID, ClOrdID, Symbol
from protocols.venue import Limit, Scope, Usage
from protocols.venues.upbit import UpbitPrivate, UpbitPublic, signer_for
from protocols.venues.upbit.limits import DOCUMENTED, GROUPS, usage_of_headers

SECOND = 1_000_000_000
ACCOUNT, MARKET = AccountID("master"), Symbol("KRW-BTC")
SIGNER = signer_for("key", "secret")


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
    "value",
    [
        "group=origin; min=1; sec=0",
        "",
        "group=order",
        "sec=5",
        "group=order; sec=few",
        "\x00;;==" * 50,
        "group=order_new; sec=1",
        "group=default order; sec=1",
    ],
)
def test_what_says_nothing_about_our_buckets_is_left_out(value: str) -> None:
    assert usage_of_headers({"Remaining-Req": value}) == ()


def test_no_header_no_usage() -> None:
    assert usage_of_headers({"Content-Type": "application/json"}) == ()


def test_the_documented_limits() -> None:
    assert GROUPS["order"] == Limit("orders", SECOND, 12, Scope.ACCOUNT, aligned=False, groups=("order",))
    assert GROUPS["default"].limit == 30
    assert {GROUPS[name].limit for name in ("market", "candle", "trade", "ticker", "orderbook")} == {10}
    assert GROUPS["order-cancel-all"].interval_ns == 2 * SECOND
    assert set(GROUPS.values()) < set(DOCUMENTED)
    assert Limit("connections", SECOND, 5, aligned=False) in DOCUMENTED
    # Quotation is counted for the address, everything that is signed for the account.
    of_account = {limit.name for limit in DOCUMENTED if limit.scope is Scope.ACCOUNT}
    assert of_account == {"default", "orders", "order-test", "order-cancel-all"}


def test_every_request_names_a_bucket_that_there_is() -> None:
    public, private = UpbitPublic(), UpbitPrivate(ACCOUNT, SIGNER)
    requests = [
        public.time_request(),
        public.instruments_request([]),
        public.snapshot_request(MARKET, 30),
        public.candles_request(MARKET, 60 * SECOND, 10),
        public.tickers_request([MARKET]),
        private.balances_request(1),
        private.open_orders_request(None, 1),
        private.rest_cancel_order(ClOrdID("x"), None, MARKET, 1),
    ]
    for request in requests:
        assert request.group in GROUPS, request.path
