"""What each refusal means: the reference's table (section 11), row by row, and the socket's (section 7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from protocols.enums import OrdRejReason
from protocols.instruments import Product
from protocols.venue import Disposition, VenueError
from protocols.venues.bybit.answers import refusal_of
from protocols.venues.bybit.errors import NOTHING_TO_CHANGE, Refusal, classify, control_error
from tests.protocols.bybit.frames import LINEAR, RECEIVED_NS, SPOT, refused, reply

D, R = Disposition, OrdRejReason
SECOND = 1_000_000_000
MS = 1_000_000
BOTH = (SPOT, LINEAR)


def meaning(code: int | None, product: Product = LINEAR, **changes: Any) -> VenueError:
    fields: dict[str, Any] = {"status": 200, "text": "no", "order": True, "received_ns": RECEIVED_NS}
    return classify(Refusal(product=product, code=code, **(fields | changes)))


TABLE: Mapping[Disposition, tuple[int, ...]] = {
    D.CLOCK: (10002, -1),
    D.AUTH: (10003, 10004, 10005, 10007, 10010, 10028, 33004, -2015, 10009, 10024, 10027, 10029, 110132),
    D.RATE_LIMITED: (10006, 10429, 10403, 20003, 429, 170005, 170222, 30035),
    D.UNKNOWN: (10000, 10016, 10019, 170007, 170032, 170035, 170146, 170147, 170310, 3400214, 10014, 110072, 170141),
    D.NOT_FOUND: (110001, 170143, 170213),
    D.ALREADY_FINAL: (110008, 110010, 170139, 170142, 181017),
    D.BUSY: (110079, 170190, 170191, 170212, 40004),
    D.BUG: (10001, 10404, 20006, 110024, 110028, 110029, 170115, 170116, 170117, 170121, 170202),
    D.REJECTED: (
        110004, 110006, 110007, 110012, 110014, 110044, 110045, 110052, 170033, 170131, 110003, 110017, 110020, 110009,
        110021, 110094, 110120, 110121, 170124, 170132, 170133, 170134, 170136, 170137, 170140, 170148, 170192, 170193,
        170194, 170381, 170382, 30208, 30209, 170218, 170217, 110103, 110123, 110124, 110125, 170810, 110064,
        110092, 110093, 170151, 170210,
    ),
}  # fmt: skip
CODES = [(disposition, code) for disposition, codes in TABLE.items() for code in codes]


@pytest.mark.parametrize("disposition, code", CODES)
@pytest.mark.parametrize("product", BOTH)
def test_every_code_of_the_table(product: Product, disposition: Disposition, code: int) -> None:
    got = meaning(code, product)
    assert (got.disposition, got.code, got.text) == (disposition, str(code), "no")


@pytest.mark.parametrize(
    "code, reason",
    [
        (170131, R.INSUFFICIENT_BALANCE), (110007, R.INSUFFICIENT_BALANCE), (110094, R.MIN_NOTIONAL),
        (170140, R.MIN_NOTIONAL), (170218, R.WOULD_TAKE), (110020, R.MAX_OPEN_ORDERS), (110003, R.BAD_PRICE),
        (170136, R.BAD_QUANTITY), (170193, R.PRICE_BAND), (10006, R.RATE_LIMITED), (110072, R.DUPLICATE_CL_ORD_ID),
    ],
)  # fmt: skip
def test_reasons(code: int, reason: OrdRejReason) -> None:
    assert meaning(code).reason is reason


@pytest.mark.parametrize("code", sorted(NOTHING_TO_CHANGE))
def test_as_it_is_already_is_a_success(code: int) -> None:
    assert refusal_of(reply(refused(code)), LINEAR, order=True) is None


def test_a_code_of_next_year_proves_nothing() -> None:
    assert meaning(987654).disposition is D.UNKNOWN
    assert meaning(987654, order=False).disposition is D.BUSY


@pytest.mark.parametrize("code", [10016, 10000, 170146])
def test_a_read_that_failed_inside_is_asked_again(code: int) -> None:
    assert meaning(code, order=False).disposition is D.BUSY


def test_too_many_sessions_are_no_bad_key() -> None:
    assert meaning(10003, text="Too many sessions under the same UID").disposition is D.BUSY
    assert meaning(10003, text="API key is invalid").disposition is D.AUTH


class TestByStatus:
    @pytest.mark.parametrize(
        "status, text, disposition",
        [
            (401, "", D.AUTH),
            (403, "access too frequent", D.BANNED),
            (403, "<html>Forbidden</html>", D.BANNED),
            (403, "block access from your country", D.AUTH),
            (404, "", D.BUG),
            (429, "", D.RATE_LIMITED),
            (500, "", D.UNKNOWN),
            (502, "<html>", D.UNKNOWN),
            (504, "", D.UNKNOWN),
            (302, "", D.UNKNOWN),
            (200, "not the venue's envelope", D.UNKNOWN),
        ],
    )
    def test_without_a_code(self, status: int, text: str, disposition: Disposition) -> None:
        got = meaning(None, status=status, text=text)
        assert (got.disposition, got.code) == (disposition, "")
        assert got.text

    def test_a_server_error_wins_over_its_code(self) -> None:
        assert meaning(110007, status=500).disposition is D.UNKNOWN

    def test_a_code_wins_over_the_firewalls_status(self) -> None:
        assert meaning(10004, status=403).disposition is D.AUTH


class TestUntil:
    def test_the_reset_header_by_the_venues_clock(self) -> None:
        got = meaning(10006, reset_ms=1767225600900, server_time_ms=1767225600201)
        assert got.until_ns == RECEIVED_NS + 699 * MS

    def test_without_the_venues_clock_ours_has_to_do(self) -> None:
        assert meaning(10006, reset_ms=1767225600900).until_ns == 1767225600900 * MS

    @pytest.mark.parametrize("reset_ms, wait_ns", [(None, SECOND), (1767225600000, 0), (9999999999999, 600 * SECOND)])
    def test_bounds(self, reset_ms: int | None, wait_ns: int) -> None:
        got = meaning(10006, reset_ms=reset_ms, server_time_ms=1767225600201)
        assert got.until_ns == RECEIVED_NS + wait_ns

    def test_an_address_that_asked_too_often_is_silent_for_ten_minutes(self) -> None:
        assert meaning(None, status=403, text="access too frequent").until_ns == RECEIVED_NS + 600 * SECOND

    def test_others_need_not_wait(self) -> None:
        assert meaning(110007, reset_ms=9999999999999).until_ns == 0

    def test_it_is_read_from_the_answers_headers(self) -> None:
        headers = {"x-bapi-limit-reset-timestamp": "1767225601456"}
        refusal = refusal_of(reply(refused(10006), headers=headers), LINEAR, order=True)
        assert refusal is not None
        assert (refusal.reset_ms, refusal.server_time_ms) == (1767225601456, 1767225600456)
        assert classify(refusal).until_ns == RECEIVED_NS + SECOND


class TestControlFrames:
    @pytest.mark.parametrize(
        "op, code, text, disposition",
        [
            ("auth", 10003, "Invalid apikey", D.AUTH),
            ("auth", 10004, "error sign", D.AUTH),
            ("auth", None, "error:signature error", D.AUTH),
            ("auth", None, "Params Error, request expired", D.CLOCK),
            ("subscribe", None, "Request not authorized", D.AUTH),
            ("subscribe", None, "error:handler not found", D.BUG),
            ("subscribe", 10016, "busy", D.BUSY),
            ("order.of-next-year", 10016, "busy", D.UNKNOWN),
            ("order.of-next-year", None, "no", D.UNKNOWN),
        ],
    )
    def test_logon_and_subscription(self, op: str, code: int | None, text: str, disposition: Disposition) -> None:
        got = control_error(op, code, text, LINEAR, RECEIVED_NS)
        assert (got.disposition, got.text) == (disposition, text)
