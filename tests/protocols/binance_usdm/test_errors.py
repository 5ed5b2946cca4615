"""What refusals mean (reference sections 16 and 17.1)."""

from __future__ import annotations

import pytest

from protocols.enums import OrdRejReason
from protocols.venue import Disposition, HttpReply
from protocols.venues.binance_common.requests import refusal_of
from protocols.venues.binance_spot.errors import classify as spot_classify
from protocols.venues.binance_usdm.errors import Refusal, classify
from tests.protocols.binance_usdm.frames import RECEIVED_NS

D, R = Disposition, OrdRejReason
SECOND = 1_000_000_000


def refusal(code: int | None, text: str = "text", status: int = 400, *, order: bool = True, **more: object) -> Refusal:
    return Refusal(status=status, code=code, text=text, order=order, received_ns=RECEIVED_NS, **more)  # type: ignore[arg-type]


def meaning(code: int | None, text: str = "text", status: int = 400, *, order: bool = True) -> Disposition:
    return classify(refusal(code, text, status, order=order)).disposition


@pytest.mark.parametrize(
    "text, disposition",
    [
        ("Unknown error, please check your request or try again later.", D.UNKNOWN),
        ("Service Unavailable.", D.BUSY),
        ("Internal error; unable to process your request. Please try again.", D.BUSY),
        ("something else", D.UNKNOWN),
        ("", D.UNKNOWN),
    ],
)
def test_a_503_has_four_meanings(text: str, disposition: Disposition) -> None:
    for code in (None, -1000, -1001):
        assert meaning(code, text, 503) is disposition
    assert meaning(None, text, 503, order=False) is D.BUSY


@pytest.mark.parametrize("text", ["Service Unavailable.", "<h1>503 Service Unavailable</h1>"])
def test_a_gateways_page_proves_nothing(text: str) -> None:
    got = refusal_of(HttpReply(503, {}, text.encode(), 0, RECEIVED_NS), order=True)
    assert got is not None
    assert classify(got).disposition is D.UNKNOWN


def test_a_503_may_come_without_a_code() -> None:
    got = refusal_of(HttpReply(503, {}, b'{"msg": "Service Unavailable."}', 0, RECEIVED_NS), order=True)
    assert got is not None
    assert classify(got).disposition is D.BUSY


def test_throttling_is_a_certain_failure_whatever_the_status() -> None:
    for status in (400, 429, 503):
        got = classify(refusal(-1008, "Request throttled by system-level protection.", status))
        assert (got.disposition, got.reason) == (D.BUSY, R.OVERLOADED)


@pytest.mark.parametrize(
    "code, status", [(-1000, 400), (-1006, 400), (-1007, 408), (None, 408), (None, 500), (-1000, 502), (-2010, 500)]
)
def test_nobody_knows_what_became_of_the_order(code: int | None, status: int) -> None:
    assert meaning(code, "text", status) is D.UNKNOWN
    assert meaning(code, "text", status, order=False) is D.BUSY


def test_a_duplicate_id_is_our_own_order() -> None:
    got = classify(refusal(-4116, "ClientOrderId is duplicated."))
    assert (got.disposition, got.reason) == (D.UNKNOWN, R.DUPLICATE_CL_ORD_ID)


@pytest.mark.parametrize(
    "code, disposition, reason",
    [
        (-1002, D.AUTH, R.AUTH),
        (-1003, D.RATE_LIMITED, R.RATE_LIMITED),
        (-1015, D.RATE_LIMITED, R.ORDER_RATE),
        (-1016, D.MAINTENANCE, R.NOT_READY),
        (-1021, D.CLOCK, R.CLOCK),
        (-5028, D.CLOCK, R.CLOCK),
        (-1022, D.AUTH, R.AUTH),
        (-1102, D.BUG, R.UNSUPPORTED),
        (-1111, D.REJECTED, R.BAD_QUANTITY),
        (-1116, D.BUG, R.UNSUPPORTED),
        (-1121, D.BUG, R.UNKNOWN_INSTRUMENT),
        (-1125, D.NOT_FOUND, R.VENUE),
        (-1130, D.BUG, R.UNSUPPORTED),
        (-2010, D.REJECTED, R.VENUE),
        (-2011, D.ALREADY_FINAL, R.VENUE),
        (-2013, D.NOT_FOUND, R.VENUE),
        (-2014, D.AUTH, R.AUTH),
        (-2015, D.AUTH, R.AUTH),
        (-2017, D.AUTH, R.AUTH),
        (-2018, D.REJECTED, R.INSUFFICIENT_BALANCE),
        (-2019, D.REJECTED, R.INSUFFICIENT_BALANCE),
        (-2021, D.REJECTED, R.BAD_PRICE),
        (-2022, D.REJECTED, R.VENUE),
        (-2023, D.REJECTED, R.NOT_TRADABLE),
        (-2025, D.REJECTED, R.MAX_OPEN_ORDERS),
        (-2026, D.BUG, R.UNSUPPORTED),
        (-2027, D.REJECTED, R.MAX_POSITION),
        (-4014, D.REJECTED, R.BAD_PRICE),
        (-4016, D.REJECTED, R.PRICE_BAND),
        (-4023, D.REJECTED, R.BAD_QUANTITY),
        (-4024, D.REJECTED, R.PRICE_BAND),
        (-4045, D.REJECTED, R.MAX_OPEN_ORDERS),
        (-4061, D.BUG, R.UNSUPPORTED),
        (-4082, D.BUG, R.UNSUPPORTED),
        (-4083, D.UNKNOWN, R.VENUE),
        (-4087, D.REJECTED, R.REDUCE_ONLY_MODE),
        (-4088, D.REJECTED, R.AUTH),
        (-4117, D.BUSY, R.OVERLOADED),
        (-4118, D.REJECTED, R.INSUFFICIENT_BALANCE),
        (-4120, D.BUG, R.UNSUPPORTED),
        (-4131, D.REJECTED, R.PRICE_BAND),
        (-4164, D.REJECTED, R.MIN_NOTIONAL),
        (-4202, D.REJECTED, R.AUTH),
        (-4209, D.REJECTED, R.AUTH),
        (-4400, D.REJECTED, R.REDUCE_ONLY_MODE),
        (-4531, D.REJECTED, R.VENUE),
        (-5021, D.REJECTED, R.VENUE),
        (-5022, D.REJECTED, R.WOULD_TAKE),
        (-5025, D.BUG, R.UNSUPPORTED),
        (-5043, D.BUSY, R.OVERLOADED),
        (-9999, D.REJECTED, R.VENUE),
    ],
)
def test_codes(code: int, disposition: Disposition, reason: OrdRejReason) -> None:
    got = classify(refusal(code))
    assert (got.disposition, got.reason, got.code, got.text) == (disposition, reason, str(code), "text")


@pytest.mark.parametrize("code", [-4046, -4059, -4171, -5027])
def test_things_that_are_already_as_wished_are_a_success(code: int) -> None:
    assert meaning(code) is D.OK


def test_the_same_number_means_another_thing_on_spot() -> None:
    assert spot_classify(refusal(-2026)).disposition is D.ALREADY_FINAL
    assert meaning(-2026) is D.BUG


@pytest.mark.parametrize(
    "status, disposition",
    [(403, D.REJECTED), (401, D.AUTH), (404, D.BUG), (418, D.BANNED), (429, D.RATE_LIMITED), (400, D.UNKNOWN)],
)
def test_without_a_code_the_status_decides(status: int, disposition: Disposition) -> None:
    assert meaning(None, "<html>", status) is disposition


def test_until_when() -> None:
    assert classify(refusal(-1003, status=429, retry_after_s="7")).until_ns == RECEIVED_NS + 7 * SECOND
    assert classify(refusal(-1003, status=429)).until_ns == RECEIVED_NS + 60 * SECOND
    assert classify(refusal(None, status=418)).until_ns == RECEIVED_NS + 120 * SECOND
    assert classify(refusal(-1015, status=429)).until_ns == RECEIVED_NS + 10 * SECOND
    banned = classify(refusal(-1003, "Way too many requests; IP banned until 1790000060200.", 429))
    assert (banned.disposition, banned.until_ns) == (D.BANNED, 1_790_000_060_200_000_000)
    assert classify(refusal(-2019)).until_ns == 0
