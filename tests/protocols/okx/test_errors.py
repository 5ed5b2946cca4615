"""Every code of the reference (section 11), by product; and how a refusal reaches us."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.enums import OrdRejReason
from protocols.instruments import Product
from protocols.venue import Disposition, HttpReply, Reply, VenueError
from protocols.venues.okx import OkxPublic
from protocols.venues.okx.errors import BY_CODE, BY_PRODUCT, Refusal, classify
from tests.protocols.okx.frames import RECEIVED_NS, REFUSED_ITEM, answer, codec, item, reply, rest

D, R = Disposition, OrdRejReason
PRODUCTS = [Product.SPOT, Product.LINEAR]

# The table of section 11, row by row, with what each means for an order request.
TABLE: dict[Disposition, str] = {
    D.CLOCK: "50036 50102 50112 60004 60006",
    D.AUTH: "50100 50101 50103 50104 50105 50106 50107 50108 50109 50110 50111 50113 50114 50119 50120 50121 50035 "
    "60005 60007 60009 60011 60024 60031 60032",
    D.RATE_LIMITED: "50011 50040 50061 60014 60023 51113 51115",
    D.UNKNOWN: "50013 50004 50001 50026 51054 51149 51412 63999 64007 51011 51016 51065 51068 50042 51410 51513 51416",
    D.ALREADY_FINAL: "51400 51401 51402 51405 51503 51509 51510",
    D.NOT_FOUND: "51603 51063",
    D.MAINTENANCE: "50046 50062",
    D.BUG: "51000 50014 50002 51003 51407 50024 60012 60013 60019 60033 60008 60018 60028 64000 64001 64002 64003 "
    "64004 51010 51037 51041 50072 51209 51210 51211 51212 51213 51214 51298 51070 51071",
    D.REJECTED: "50037 50038 51001 51015 51021 51022 51027 51028 51029 51087 51155 50033 51005 51006 51007 51020 51101 "
    "51116 51120 51121 51122 51135 51136 51137 51138 51150 51201 51202 51203 51185 54051 54084 54085 51025 51102 51103 "
    "51104 51105 51106 51107 51174 51004 54031 51008 51131 51017 51112 51134 51148 51165 51169 51170 51205 51206 51511 "
    "50007 50009 50017 50018 50019 50020 50021 50022 50023 50027 50028 50029 51009 51024 51030 51031 51032 54094 54109",
}
CASES = [(code, disposition) for disposition, codes in TABLE.items() for code in codes.split()]
REASONS = {
    "51008": R.INSUFFICIENT_BALANCE, "51131": R.INSUFFICIENT_BALANCE, "51121": R.BAD_QUANTITY, "51150": R.BAD_PRICE,
    "51020": R.MIN_NOTIONAL, "51120": R.MIN_NOTIONAL, "54051": R.MIN_NOTIONAL, "51006": R.PRICE_BAND,
    "51137": R.PRICE_BAND, "51174": R.MAX_OPEN_ORDERS, "51511": R.WOULD_TAKE, "51016": R.DUPLICATE_CL_ORD_ID,
    "50036": R.STALE, "51001": R.UNKNOWN_INSTRUMENT, "50061": R.ORDER_RATE, "50011": R.RATE_LIMITED,
    "51169": R.REDUCE_ONLY_MODE, "54094": R.NOT_TRADABLE,
}  # fmt: skip


def refused(code: str, *, product: Product = Product.LINEAR, order: bool = True, status: int = 200) -> VenueError:
    return classify(product, Refusal(status=status, code=code, text="why", order=order, received_ns=RECEIVED_NS))


@pytest.mark.req("R084")
@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("code, disposition", CASES)
def test_every_code_of_the_reference(product: Product, code: str, disposition: Disposition) -> None:
    error = refused(code, product=product)
    assert (error.disposition, error.code, error.text) == (disposition, code, "why")
    assert error.reason is REASONS.get(code, error.reason)


def test_nothing_in_the_table_is_missing_here() -> None:
    assert len(CASES) == len({code for code, _ in CASES})
    assert BY_CODE.keys() == {code for code, _ in CASES} | {"51133", "51139"}
    assert {code for _, code in BY_PRODUCT} <= BY_CODE.keys()


@pytest.mark.parametrize("code", ["51133", "51139"])
def test_a_code_can_mean_something_else_for_another_product(code: str) -> None:
    assert refused(code, product=Product.SPOT).disposition is D.BUG
    contracts = refused(code, product=Product.LINEAR)
    assert (contracts.disposition, contracts.reason) == (D.REJECTED, R.REDUCE_ONLY_MODE)


@pytest.mark.parametrize("code", TABLE[D.UNKNOWN].split())
def test_a_read_that_failed_inside_the_venue_is_asked_again(code: str) -> None:
    assert refused(code, order=False).disposition is D.BUSY


@pytest.mark.parametrize("code", TABLE[D.RATE_LIMITED].split())
def test_a_limit_is_over_with_its_window(code: str) -> None:
    assert refused(code).until_ns == RECEIVED_NS + 2_000_000_000


def test_others_say_no_time() -> None:
    assert refused("51008").until_ns == 0


@pytest.mark.parametrize("code", ["51008", "51008_1000", "51008_1020"])
def test_a_suffix_does_not_change_the_meaning(code: str) -> None:
    error = refused(code)
    assert (error.reason, error.code) == (R.INSUFFICIENT_BALANCE, code)


@pytest.mark.parametrize(
    "code, status, disposition",
    [
        ("51999", 200, D.REJECTED),
        ("51999", 400, D.REJECTED),
        ("51008", 500, D.UNKNOWN),
        ("51999", 502, D.UNKNOWN),
        ("50046", 503, D.MAINTENANCE),
        ("50011", 429, D.RATE_LIMITED),
        ("", 429, D.RATE_LIMITED),
        ("", 401, D.AUTH),
        ("", 403, D.REJECTED),
        ("", 404, D.BUG),
        ("", 500, D.UNKNOWN),
        ("", 200, D.UNKNOWN),
        ("", 400, D.UNKNOWN),
        ("1", 200, D.UNKNOWN),
        ("what", 200, D.UNKNOWN),
        ("5100", 200, D.UNKNOWN),
        ("５１００８", 200, D.UNKNOWN),
    ],
)
def test_by_code_then_by_status(code: str, status: int, disposition: Disposition) -> None:
    assert refused(code, status=status).disposition is disposition


@settings(max_examples=150)
@given(st.text(max_size=12) | st.integers(0, 99_999).map(str), st.integers(100, 599), st.booleans())
def test_anything_is_classified(code: str, status: int, order: bool) -> None:
    error = refused(code, status=status, order=order)
    assert len(error.code) <= 40
    assert error.disposition is not D.OK
    assert order or error.disposition is not D.UNKNOWN
    if status >= 500 and order:
        assert error.disposition in (D.UNKNOWN, D.MAINTENANCE)


# ---- how refusals reach us ---------------------------------------------------------------------------------------


def entry(raw: bytes) -> Reply:
    (got,) = codec().decode_entry(raw, RECEIVED_NS)
    assert isinstance(got, Reply)
    return got


def test_an_item_is_refused_with_its_reason_behind_the_reason() -> None:
    got = entry(answer(REFUSED_ITEM, code="1"))
    assert got.request_id == "p1"
    assert got.error == VenueError(D.REJECTED, "51008_1000", "Insufficient balance", R.INSUFFICIENT_BALANCE)
    assert codec().decode_rest_order("p1", reply(rest([REFUSED_ITEM], "1"))).error == got.error


def test_the_whole_request_is_refused() -> None:
    got = entry(answer(code="60013", request_id="", msg="Invalid args"))
    assert (got.request_id, got.error) == ("", VenueError(D.BUG, "60013", "Invalid args", R.UNSUPPORTED))
    limited = codec().decode_rest_order("p1", reply(rest([], "50011", "Too Many Requests"), 429))
    assert limited.error is not None
    assert limited.error.disposition is D.RATE_LIMITED


def test_a_result_that_the_venue_does_not_know_is_not_a_refusal() -> None:
    for body, status in (
        (rest([], "50004", "Timed out: nothing is known of its success"), 400),
        (rest([], "50001"), 503), (rest([], "50026"), 500), (b"<html>Bad gateway</html>", 502), (b"", 200),
        (rest([], "0"), 200), (rest([item(ordId="")]), 200), (rest([item(sCode="51008")]), 200),
        (rest([item()], "1"), 200), ({"code": "0"}, 200), (rest({"ordId": "1"}), 200), (rest([item(ts="soon")]), 200),
    ):  # fmt: skip
        got = codec().decode_rest_order("p1", reply(body, status))
        assert got.error is not None, body
        assert got.error.disposition is D.UNKNOWN, body


@pytest.mark.parametrize(
    "items, code",
    [([], "0"), ([], "1"), ([item(ordId="")], "0"), ([item()], "1"), ([REFUSED_ITEM], "0"), ([item(), item()], "0")],
)
def test_an_answer_that_contradicts_itself_leaves_its_order_in_doubt(items: list[dict[str, Any]], code: str) -> None:
    got = entry(answer(*items, code=code))
    assert got.error is not None
    assert (got.request_id, got.error.disposition) == ("p1", D.UNKNOWN)


def test_reads() -> None:
    public, private = OkxPublic(Product.SPOT), codec()
    good = reply(rest([]))
    assert public.error(good) is private.error(good) is None
    for body, status, of_public, of_private in (
        (rest([], "50026"), 500, D.BUSY, D.UNKNOWN),
        (rest([], "50013"), 200, D.BUSY, D.UNKNOWN),
        (rest([], "51603", "Order does not exist"), 200, D.NOT_FOUND, D.NOT_FOUND),
        (rest([], "50102"), 401, D.CLOCK, D.CLOCK),
        (b"nonsense", 200, D.BUSY, D.UNKNOWN),
    ):
        answered = reply(body, status)
        errors = [one.error(answered) for one in (public, private)]
        assert [error.disposition for error in errors if error] == [of_public, of_private]


def test_a_status_alone_makes_no_success() -> None:
    body = msgspec.json.encode(rest([]))
    error = codec().error(HttpReply(500, {}, body, 0, RECEIVED_NS))
    assert error is not None
    assert error.disposition is D.UNKNOWN
