"""The error table (reference sections 6.3 and 8), the rules of doubt (section 11) and the waits (section 3)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.enums import OrdRejReason
from protocols.venue import Disposition, HttpReply, VenueError
from protocols.venues.upbit import UpbitPublic
from protocols.venues.upbit.errors import Refusal, classify, stream_error
from tests.protocols.upbit.frames import RECEIVED_NS, codec, refusal, reply

D, R = Disposition, OrdRejReason
SECOND = 1_000_000_000
DAY = 86_400 * SECOND
NOW = RECEIVED_NS


def refused(name: str | int | None, status: int = 400, text: str = "", order: bool = True, **more: Any) -> VenueError:
    return classify(Refusal(status=status, name=name, text=text, order=order, received_ns=NOW, **more))


TABLE = [
    (400, "insufficient_funds_ask", D.REJECTED, R.INSUFFICIENT_BALANCE),
    (400, "insufficient_funds_bid", D.REJECTED, R.INSUFFICIENT_BALANCE),
    (400, "under_min_total_ask", D.REJECTED, R.MIN_NOTIONAL),
    (400, "under_min_total_bid", D.REJECTED, R.MIN_NOTIONAL),
    (400, "invalid_price_ask", D.REJECTED, R.BAD_PRICE),
    (400, "invalid_price_bid", D.REJECTED, R.BAD_PRICE),
    (400, "over_krw_funds_bid", D.REJECTED, R.MAX_ORDER_NOTIONAL),
    (400, "create_ask_error", D.REJECTED, R.VENUE),
    (400, "create_bid_error", D.REJECTED, R.VENUE),
    (400, "invalid_post_only", D.REJECTED, R.WOULD_TAKE),
    (400, "validation_error", D.BUG, R.UNSUPPORTED),
    (400, "invalid_parameter", D.BUG, R.UNSUPPORTED),
    (400, "invalid_time_in_force", D.BUG, R.UNSUPPORTED),
    (400, "QUERY_PARAMETER_NOT_SUPPORTED", D.BUG, R.UNSUPPORTED),
    (400, "bad_request", D.BUG, R.UNSUPPORTED),
    (400, "notfoundmarket", D.BUG, R.UNKNOWN_INSTRUMENT),
    (404, "currency_not_found", D.NOT_FOUND, R.UNKNOWN_INSTRUMENT),
    (401, "invalid_query_payload", D.BUG, R.AUTH),
    (401, "jwt_verification", D.AUTH, R.AUTH),
    (401, "expired_access_key", D.AUTH, R.AUTH),
    (401, "no_authorization_ip", D.AUTH, R.AUTH),
    (401, "no_authorization_token", D.AUTH, R.AUTH),
    (401, "out_of_scope", D.AUTH, R.AUTH),
    (403, "out_of_scope", D.AUTH, R.AUTH),
    (404, "pocket_not_found", D.NOT_FOUND, R.AUTH),
    (401, "of_next_year", D.AUTH, R.AUTH),
    (401, None, D.AUTH, R.AUTH),
    (403, "market_offline", D.MAINTENANCE, R.NOT_TRADABLE),
    (403, "open_api_withdraw_locked", D.REJECTED, R.VENUE),
    (404, "order_not_found", D.NOT_FOUND, R.VENUE),
    (404, "of_next_year", D.NOT_FOUND, R.VENUE),
    (404, None, D.NOT_FOUND, R.VENUE),
]


@pytest.mark.parametrize("status, name, disposition, reason", TABLE)
@pytest.mark.parametrize("order", [True, False])
def test_the_table(status: int, name: str | None, disposition: Disposition, reason: OrdRejReason, order: bool) -> None:
    error = refused(name, status, "whatever the text", order)
    assert (error.disposition, error.reason) == (disposition, reason)
    assert (error.code, error.text, error.until_ns) == (name or "", "whatever the text", 0)


@pytest.mark.parametrize(
    "status, name",
    [
        (500, "internal_server_error"), (500, None), (500, "invalid_price_bid"), (502, None), (503, None), (504, None),
        (400, "internal_server_error"), (400, "duplicated_identifier"), (401, "nonce_used"), (400, "of_next_year"),
        (403, "of_next_year"), (400, None), (302, None), (0, None),
    ],
)  # fmt: skip
def test_an_order_whose_fate_is_open_is_asked_for(status: int, name: str | None) -> None:
    """Section 8: only a name that we know refuses an order; a 5xx may have carried it out, whatever it says."""
    assert refused(name, status).disposition is D.UNKNOWN


def test_a_duplicated_identifier_says_that_the_order_was_received() -> None:
    assert refused("duplicated_identifier").reason is R.DUPLICATE_CL_ORD_ID


@pytest.mark.parametrize(
    "status, name, disposition",
    [(500, None, D.BUSY), (502, None, D.BUSY), (401, "nonce_used", D.BUSY), (400, 400, D.BUG), (404, 404, D.NOT_FOUND),
     (400, "of_next_year", D.REJECTED), (403, None, D.REJECTED), (302, None, D.BUSY)],
)  # fmt: skip
def test_reads_change_nothing(status: int, name: str | int | None, disposition: Disposition) -> None:
    assert refused(name, status, order=False).disposition is disposition


class TestWaits:
    @pytest.mark.parametrize("name", [None, "too_many_requests", "invalid_price_bid", 429])
    def test_429_waits_for_another_second(self, name: str | int | None) -> None:
        error = refused(name, 429)
        assert (error.disposition, error.until_ns) == (D.RATE_LIMITED, NOW + SECOND)

    @pytest.mark.parametrize(
        "text, seconds",
        [
            ("Blocked. Try again after 90 seconds.", 90),
            ("IP 203.0.113.4 has been blocked for 5 minutes", 300),
            ("blocked for 1 hour", 3600),
            ("요청이 차단되었습니다. 60초 후 다시 시도", 60),
            ("3분 동안 차단", 180),
            ("2시간 동안 차단", 7200),
            ('{"until":"45s"}', 45),
            ("wait 2500 ms", 2.5),
            ("wait 20 milliseconds", 1),  # never less than a second
            ("99999999 hours", 3 * 86_400),
            ("no duration here", 120),
            ("4 had been, 12 months", 120),
            ("", 120),
        ],
    )
    def test_a_ban_lasts_as_long_as_the_body_says(self, text: str, seconds: float) -> None:
        error = refused(None, 418, text)
        assert error.disposition is D.BANNED
        assert error.until_ns == NOW + int(seconds * SECOND)

    def test_a_ban_may_be_told_by_the_header(self) -> None:
        assert refused(None, 418, "", retry_after_s="30").until_ns == NOW + 30 * SECOND
        assert refused(None, 418, "", retry_after_s="soon").until_ns == NOW + 120 * SECOND
        assert refused(None, 418, "", retry_after_s="9" * 15).until_ns == NOW + 3 * DAY

    @given(st.text(max_size=60), st.text(max_size=20), st.sampled_from([418, 429]))
    def test_no_wait_is_absurd(self, text: str, header: str, status: int) -> None:
        error = refused(None, status, text, retry_after_s=header)
        assert NOW + SECOND <= error.until_ns <= NOW + 3 * DAY


@pytest.mark.parametrize(
    "name, disposition",
    [("INVALID_AUTH", D.AUTH), ("WRONG_FORMAT", D.BUG), ("NO_TICKET", D.BUG), ("NO_TYPE", D.BUG), ("NO_CODES", D.BUG),
     ("INVALID_PARAM", D.BUG), ("TOO_MANY_REQUEST", D.RATE_LIMITED), ("OF_NEXT_YEAR", D.BUG)],
)  # fmt: skip
def test_errors_of_a_stream(name: str, disposition: Disposition) -> None:
    error = stream_error(name, "text", NOW)
    assert (error.disposition, error.code, error.text) == (disposition, name, "text")
    assert error.until_ns == (NOW + SECOND if disposition is D.RATE_LIMITED else 0)


class TestBodies:
    """Section 8: an error body may be anything."""

    def test_the_documented_form(self) -> None:
        error = codec().error(refusal("insufficient_funds_bid", text="not enough"))
        assert error == VenueError(D.REJECTED, "insufficient_funds_bid", "not enough", R.INSUFFICIENT_BALANCE)

    def test_a_number_for_a_name(self) -> None:
        error = UpbitPublic().error(refusal(404, 404, "Code not found"))
        assert error == VenueError(D.NOT_FOUND, "404", "Code not found", R.VENUE)

    @pytest.mark.parametrize(
        "body", [b"", b"<html>502 Bad Gateway</html>", b"{}", b"[]", b'{"error":"x"}', b'{"error":{}}', b"\xff\xfe"]
    )
    def test_anything_else_is_judged_by_its_status(self, body: bytes) -> None:
        error = codec().error(reply(body, 502))
        assert error is not None
        assert (error.disposition, error.code) == (D.UNKNOWN, "")
        assert error.text
        read = UpbitPublic().error(reply(body, 502))
        assert read is not None
        assert read.disposition is D.BUSY

    def test_a_success_is_no_error(self) -> None:
        assert codec().error(reply([], 201)) is None
        assert UpbitPublic().error(reply([])) is None

    def test_a_ban_in_a_page_of_text(self) -> None:
        error = codec().error(reply(b"Blocked for 10 seconds", 418, {"Retry-After": "99"}))
        assert error is not None
        assert error.until_ns == NOW + 10 * SECOND

    @pytest.mark.parametrize("name", ["Retry-After", "retry-after"])
    def test_a_ban_in_a_header(self, name: str) -> None:
        error = codec().error(reply(b"<html>", 418, {"Date": "x", name: "99"}))
        assert error is not None
        assert error.until_ns == NOW + 99 * SECOND


@pytest.mark.parametrize("body, name, text", [
    (b'{"error":{"name":"insufficient_funds_bid","message":null,"extra":[1]}}', "insufficient_funds_bid", "HTTP 400"),
    (b'{"error":{"name":"insufficient_funds_bid"}}', "insufficient_funds_bid", "HTTP 400"),
    (b'{"error":{"name":null,"message":"why"}}', "", "why"),
    (b'{"error":{"message":"why"}}', "", "why"),
])  # fmt: skip
def test_error_objects_that_lack_something(body: bytes, name: str, text: str) -> None:
    """Section 8: the name decides, whatever else is missing; without one nothing is proven."""
    error = codec().error(HttpReply(400, {}, body, NOW, NOW))
    assert error is not None
    assert (error.code, error.text) == (name, text)
    assert error.disposition is (D.REJECTED if name else D.UNKNOWN)
