"""Numbers and times of venues: what is accepted reads back exactly, what is absurd is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.venues.values import AMOUNT_END, Levels, amount, amount_text, signed_amount, stamp_ns

D = Decimal
ABSURD = [
    "", " ", "x", "1.2.3", "--1", "NaN", "sNaN", "NaN123", "Infinity", "inf", "1e20", "1E+999999999", "1E-19",
    "1E-999999999", "9" * 49, "0." + "0" * 47 + "1", "\x00", "1\n2",
]  # fmt: skip


@given(st.decimals(min_value=0, max_value=10**11, places=8))
def test_amounts_read_exactly(value: Decimal) -> None:
    assert amount(format(value, "f")) == value
    assert signed_amount("-" + format(value, "f")) == -value


@pytest.mark.parametrize("text", [*ABSURD, "-1", "-0.00000001"])
def test_absurd_amounts_are_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        amount(text)


@pytest.mark.parametrize("text", ABSURD)
def test_absurd_signed_amounts_are_refused(text: str) -> None:
    for written in (text, "-" + text):
        with pytest.raises(RemoteProtocolError):
            signed_amount(written)


@pytest.mark.parametrize("text", ["0", "0.00000000", "0E-999999", "0E+999999", "-0", "00"])
def test_every_zero_is_the_same_plain_zero(text: str) -> None:
    assert str(amount(text)) == "0"


@given(st.text(max_size=60))
def test_any_text_is_an_amount_or_refused(text: str) -> None:
    try:
        value = amount(text)
    except RemoteProtocolError:
        return
    assert 0 <= value < AMOUNT_END
    assert len(format(value, "f")) < 80


@pytest.mark.parametrize(
    "stamp, ns",
    [
        (0, 0),
        (1_790_000_000_123, 1_790_000_000_123_000_000),
        (8_999_999_999_999, 8_999_999_999_999_000_000),
        (100_000_000_000_000, 100_000_000_000_000_000),
        (1_790_000_000_123_456, 1_790_000_000_123_456_000),
    ],
)
def test_times_in_either_unit(stamp: int, ns: int) -> None:
    assert stamp_ns(stamp) == ns


@given(st.integers())
def test_a_time_fits_64_bits_or_is_refused(stamp: int) -> None:
    try:
        ns = stamp_ns(stamp)
    except RemoteProtocolError:
        return
    assert 0 <= ns < 2**63


@pytest.mark.parametrize("stamp", [-1, 9 * 10**12, 10**14 - 1, 9 * 10**15, 10**30])
def test_absurd_times_are_refused(stamp: int) -> None:
    with pytest.raises(RemoteProtocolError, match="time"):
        stamp_ns(stamp)


@given(st.decimals(min_value="0.00000001", max_value=10**11, places=8))
def test_what_we_write_reads_back(value: Decimal) -> None:
    for spelled in (value, value.normalize(), value * D("1.0000")):
        text = amount_text(spelled, "price")
        assert D(text) == value
        assert "E" not in text
        assert len(text.partition(".")[2]) <= 8
        assert amount(text) == value


@pytest.mark.parametrize(
    "value", ["0", "-1", "NaN", "sNaN", "Infinity", "-Infinity", "1E+20", "1E-19", "0.000000001", "1.123456789"]
)
def test_what_no_venue_could_read_is_refused_by_name(value: str) -> None:
    with pytest.raises(LocalProtocolError, match="stop_px was"):
        amount_text(D(value), "stop_px")


def test_places_are_the_venues() -> None:
    assert amount_text(D("0.0123456789"), "price", places=10) == "0.0123456789"
    with pytest.raises(LocalProtocolError, match="more than 2 decimals"):
        amount_text(D("0.123"), "price", places=2)


# ---- levels of a book ---------------------------------------------------------------------------------------------

TICKS = st.integers(1, 400).map(lambda ticks: f"{Decimal(ticks) / 100:.8f}")
QUANTITIES = st.integers(0, 10**6).map(lambda steps: Decimal(steps).scaleb(-3))


@given(st.lists(st.lists(st.tuples(TICKS, QUANTITIES), max_size=30), max_size=20), st.integers(1, 50))
def test_levels_are_what_was_written_however_few_texts_are_kept(
    messages: list[list[tuple[str, Decimal]]], texts_max: int
) -> None:
    levels = Levels(texts_max)
    for rows in messages:
        assert levels.of(rows) == tuple((Decimal(price), qty) for price, qty in rows)


def test_a_price_seen_before_is_the_same_object() -> None:
    levels = Levels()
    ((first, _),) = levels.of([("61837.63000000", Decimal(1))])
    ((again, _),) = levels.of([("61837.63000000", Decimal(2))])
    assert again is first


@pytest.mark.parametrize("price", ["0", "0.00000000", "-1", "NaN", "Infinity", "1E+20", "1E-19", "", "x", "1" * 49])
def test_an_impossible_price_of_a_level_is_refused_every_time(price: str) -> None:
    levels = Levels()
    for _ in range(2):
        with pytest.raises(RemoteProtocolError):
            levels.of([("1.5", Decimal(1)), (price, Decimal(1))])


@pytest.mark.parametrize("qty", ["-1", "NaN", "sNaN", "Infinity", "1E+20", "1E-19"])
def test_an_impossible_quantity_of_a_level_is_refused(qty: str) -> None:
    with pytest.raises(RemoteProtocolError):
        Levels().of([("1.5", Decimal(1)), ("1.6", Decimal(qty))])


def test_a_quantity_of_zero_is_a_plain_zero() -> None:
    ((_, qty),) = Levels().of([("1.5", Decimal("0E-999999"))])
    assert str(qty) == "0"
