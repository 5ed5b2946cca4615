"""The error table (reference section 15), the rules of doubt (16.1) and the waits (2.2 and 5)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.enums import OrdRejReason
from protocols.venue import Disposition, Scope, VenueError
from protocols.venues.binance_spot.errors import Refusal, classify

D, R = Disposition, OrdRejReason
SECOND = 1_000_000_000
NOW = 1_790_000_000 * SECOND


def refused(code: int | None, text: str = "", status: int = 400, order: bool = True, **more: Any) -> VenueError:
    return classify(Refusal(status=status, code=code, text=text, order=order, received_ns=NOW, **more))


# Every row of the table in section 15 with its category there.
CATEGORIES = {
    "A": {D.AUTH},
    "C": {D.CLOCK},
    "L": {D.RATE_LIMITED},
    "P": {D.BUG},
    "R": {D.BUSY, D.MAINTENANCE},
    "U": {D.UNKNOWN},
    "X": {D.REJECTED, D.ALREADY_FINAL, D.NOT_FOUND},
}
TABLE = [
    *((code, "U") for code in (-1000, -1001, -1006, -1007)),
    *((code, "A") for code in (-1002, -1022, -2014, -2015)),
    *((code, "L") for code in (-1003, -1015, -1034)),
    *((code, "R") for code in (-1008, -1016)),
    (-1021, "C"),
    *((code, "X") for code in (-1010, -1013, -1112, -1220, -2010, -2011, -2013, -2016, -2022, -2026, -2038, -2039)),
    (-2043, "X"),
    *((code, "P") for code in (-1014, -1020, -1033, -1035, *range(-1106, -1099), -1108, -1111)),
    *((code, "P") for code in (*range(-1119, -1113), -1120, -1121, -1122, -1125, -1127, -1128, -1130, -1134, -1135)),
    *((code, "P") for code in (-1139, -1145, -1151, -1152, -1153, -1155, -1158, -1160, -1161, -1165, -1166, -1168)),
    *((code, "P") for code in (*range(-1191, -1168), -1194, *range(-1199, -1195), -1210, -1211, *range(-1225, -1220))),
    (-2035, "P"),
]


@pytest.mark.parametrize("code, category", TABLE)
def test_the_table(code: int, category: str) -> None:
    error = refused(code, "whatever the text")
    assert error.disposition in CATEGORIES[category]
    assert error.code == str(code)
    assert error.text == "whatever the text"


@pytest.mark.parametrize("code", [-1000, -1001, -1006, -1007])
def test_a_read_that_failed_inside_the_venue_is_asked_again(code: int) -> None:
    assert refused(code, order=False).disposition is D.BUSY


@pytest.mark.parametrize("code", [None, -1000, -1008, -1013, -1016, -2010, -9999])
@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
def test_any_5xx_on_an_order_is_unknown(status: int, code: int | None) -> None:
    assert refused(code, status=status).disposition is D.UNKNOWN


@pytest.mark.parametrize("status", [500, 503])
def test_any_5xx_without_code_on_a_read_is_busy(status: int) -> None:
    assert refused(None, status=status, order=False).disposition is D.BUSY


@pytest.mark.parametrize(
    "status, disposition",
    [
        (400, D.UNKNOWN),
        (401, D.AUTH),
        (403, D.REJECTED),
        (404, D.BUG),
        (409, D.UNKNOWN),
        (410, D.BUG),
        (418, D.BANNED),
        (429, D.RATE_LIMITED),
    ],
)
def test_an_answer_without_code_is_read_by_its_status(status: int, disposition: Disposition) -> None:
    error = refused(None, status=status)
    assert (error.disposition, error.code, error.text) == (disposition, "", f"HTTP {status}")


def test_an_unlisted_code_with_a_4xx_is_a_certain_refusal() -> None:
    assert refused(-9876).disposition is D.REJECTED
    assert refused(-9876, status=429).disposition is D.RATE_LIMITED


TEXTS = {
    "Unknown order sent.": (D.ALREADY_FINAL, R.VENUE),
    "Duplicate order sent.": (D.UNKNOWN, R.DUPLICATE_CL_ORD_ID),
    "Market is closed.": (D.REJECTED, R.NOT_TRADABLE),
    "Account has insufficient balance for requested action.": (D.REJECTED, R.INSUFFICIENT_BALANCE),
    "Order would trigger immediately.": (D.REJECTED, R.BAD_PRICE),
    "Order would immediately match and take.": (D.REJECTED, R.WOULD_TAKE),
    "Order was not canceled due to cancel restrictions.": (D.REJECTED, R.VENUE),
    "The relationship of the prices for the orders is not correct.": (D.REJECTED, R.BAD_PRICE),
    "This action is disabled on this account.": (D.REJECTED, R.AUTH),
    "This account may not place or cancel orders.": (D.REJECTED, R.AUTH),
    "This symbol is not permitted for this account.": (D.REJECTED, R.NOT_TRADABLE),
    "This symbol is restricted for this account.": (D.REJECTED, R.NOT_TRADABLE),
    "Price * QTY is zero or less.": (D.REJECTED, R.BAD_QUANTITY),
    "IcebergQty exceeds QTY.": (D.REJECTED, R.BAD_QUANTITY),
    "Unsupported order combination": (D.REJECTED, R.UNSUPPORTED),
    "Order amend (quantity increase) is not supported.": (D.REJECTED, R.BAD_QUANTITY),
    "The requested action would change no state; rejecting": (D.REJECTED, R.BAD_QUANTITY),
    "Order book liquidity is too low for this pegged order.": (D.REJECTED, R.VENUE),
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("code", [-1010, -2010, -2011, -2038])
def test_texts_decide_by_prefix_and_without_case(code: int, text: str) -> None:
    for written in (text, text.upper(), text.lower() + " More words."):
        error = refused(code, written)
        assert (error.disposition, error.reason) == TEXTS[text]
        assert error.text == written


def test_a_text_means_nothing_under_another_code() -> None:
    assert refused(-1111, "Order would immediately match and take.").disposition is D.BUG


FILTERS = {
    "PRICE_FILTER": R.BAD_PRICE,
    "PERCENT_PRICE": R.PRICE_BAND,
    "PERCENT_PRICE_BY_SIDE": R.PRICE_BAND,
    "LOT_SIZE": R.BAD_QUANTITY,
    "MARKET_LOT_SIZE": R.BAD_QUANTITY,
    "ICEBERG_PARTS": R.BAD_QUANTITY,
    "MIN_NOTIONAL": R.MIN_NOTIONAL,
    "NOTIONAL": R.MIN_NOTIONAL,
    "MAX_POSITION": R.MAX_POSITION,
    "TRAILING_DELTA": R.BAD_PRICE,
    "MAX_ASSET": R.MAX_ORDER_QTY,
    **dict.fromkeys(
        ["MAX_NUM_ORDERS", "MAX_NUM_ALGO_ORDERS", "MAX_NUM_ICEBERG_ORDERS", "MAX_NUM_ORDER_AMENDS"], R.MAX_OPEN_ORDERS
    ),
    **dict.fromkeys(
        ["MAX_NUM_ORDER_LISTS", "EXCHANGE_MAX_NUM_ORDERS", "EXCHANGE_MAX_NUM_ALGO_ORDERS"], R.MAX_OPEN_ORDERS
    ),
    **dict.fromkeys(["EXCHANGE_MAX_NUM_ICEBERG_ORDERS", "EXCHANGE_MAX_NUM_ORDER_LISTS"], R.MAX_OPEN_ORDERS),
    "A_FILTER_OF_NEXT_YEAR": R.VENUE,
}


@pytest.mark.parametrize("name", FILTERS)
def test_filter_failures_have_their_reason(name: str) -> None:
    error = refused(-1013, f"Filter failure: {name}")
    assert (error.disposition, error.reason) == (D.REJECTED, FILTERS[name])


@pytest.mark.req("R084")
@pytest.mark.parametrize("name", ["NOTIONAL", "MIN_NOTIONAL"])
def test_too_small_a_notional_is_a_reject_with_its_reason(name: str) -> None:
    error = refused(-1013, f"Filter failure: {name}")
    assert (error.disposition, error.reason, error.code) == (D.REJECTED, R.MIN_NOTIONAL, "-1013")


def test_other_texts_under_1013() -> None:
    text = "This symbol does not allow the specified self-trade prevention mode."
    assert refused(-1013, text).reason is R.UNSUPPORTED
    assert refused(-1013, "Invalid quantity.").reason is R.VENUE


class TestWaits:
    """One concept, two units: the header counts seconds, the frame names an epoch in milliseconds."""

    def test_header_in_seconds(self) -> None:
        assert refused(-1003, status=429, retry_after_s="17").until_ns == NOW + 17 * SECOND

    def test_frame_in_epoch_milliseconds_by_the_venues_clock(self) -> None:
        venue_ms = NOW // 1_000_000 + 5_000
        error = refused(-1003, status=429, retry_after_ms=venue_ms + 1_500, server_time_ms=venue_ms)
        assert error.until_ns == NOW + 1_500_000_000

    def test_frame_without_server_time_is_taken_as_it_is(self) -> None:
        assert refused(-1003, status=429, retry_after_ms=NOW // 1_000_000 + 250).until_ns == NOW + 250_000_000

    def test_a_ban_names_its_end_in_its_text(self) -> None:
        text = f"Way too much request weight used; IP banned until {NOW // 1_000_000 + 120_000}. Please use WebSocket."
        for status in (418, 429, 400):
            error = refused(-1003, text, status=status)
            assert (error.disposition, error.until_ns) == (D.BANNED, NOW + 120 * SECOND)

    def test_418_is_a_ban_whatever_its_body(self) -> None:
        error = refused(None, status=418)
        assert (error.disposition, error.until_ns) == (D.BANNED, NOW + 120 * SECOND)

    def test_without_a_hint_the_window_is_waited_out(self) -> None:
        assert refused(-1003, status=429).until_ns == NOW + 60 * SECOND
        assert refused(-1015, status=429).until_ns == NOW + 10 * SECOND

    def test_too_many_orders_are_the_accounts_own_affair(self) -> None:
        assert refused(-1015, status=429).scope is Scope.ACCOUNT
        assert refused(-1003, status=429).scope is refused(None, status=418).scope is Scope.ADDRESS

    @pytest.mark.parametrize("text", ["", "-1", "soon", "1e9", "９", "1" * 40])
    def test_a_header_that_is_no_number_is_no_hint(self, text: str) -> None:
        assert refused(-1003, status=429, retry_after_s=text).until_ns == NOW + 60 * SECOND

    def test_a_moment_that_has_passed_is_now(self) -> None:
        assert refused(-1003, status=429, retry_after_ms=1).until_ns == NOW

    def test_no_wait_is_longer_than_the_longest_ban(self) -> None:
        assert refused(None, status=418, retry_after_s="999999999").until_ns == NOW + 3 * 86_400 * SECOND

    def test_only_limits_make_wait(self) -> None:
        assert refused(-2010, retry_after_s="17").until_ns == 0


@given(
    status=st.integers(0, 10_000),
    code=st.none() | st.integers(-3000, 3000),
    text=st.text(max_size=600),
    order=st.booleans(),
    retry_after_s=st.none() | st.text(max_size=30),
    retry_after_ms=st.none() | st.integers(0, 10**30),
    server_time_ms=st.none() | st.integers(0, 10**30),
)
def test_anything_is_classified(order: bool, **fields: Any) -> None:
    error = classify(Refusal(order=order, received_ns=NOW, **fields))
    assert error.disposition is not D.OK
    assert order or error.disposition is not D.UNKNOWN
    assert 0 <= error.until_ns <= NOW + 3 * 86_400 * SECOND
    assert 0 < len(error.text) <= 500
