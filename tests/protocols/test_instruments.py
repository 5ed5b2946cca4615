"""Rounding and filter rules, on the reference's examples and as properties."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.enums import OrdRejReason, OrdType, Side
from protocols.ids import Symbol, Venue
from protocols.instruments import (
    Instrument,
    InstrumentStatus,
    PriceStep,
    Product,
    Violation,
    ceil_to,
    floor_to,
    plain,
)

D = Decimal
ZERO = D(0)
BUY, SELL = Side.BUY, Side.SELL
LIMIT, MARKET = OrdType.LIMIT, OrdType.MARKET


def instrument(**changes: Any) -> Instrument:
    fields: dict[str, Any] = {
        "venue": Venue("v"),
        "symbol": Symbol("BTCUSDT"),
        "product": Product.SPOT,
        "base": "BTC",
        "quote": "USDT",
        "status": InstrumentStatus.TRADING,
        "price_steps": (PriceStep(ZERO, D("0.01")),),
        "min_price": D("0.01"),
        "max_price": D(1000000),
        "qty_step": D("0.00001"),
        "min_qty": D("0.00001"),
        "max_qty": D(9000),
        "min_notional": D(5),
    }
    return Instrument(**(fields | changes))


BTC = instrument()
# Steps like those of a won market: coarser as prices grow; each bound is a multiple of both its steps.
TABLE = instrument(
    price_steps=(
        PriceStep(ZERO, D("0.01")),
        PriceStep(D(10), D("0.1")),
        PriceStep(D(100), D(1)),
        PriceStep(D(1000), D(5)),
        PriceStep(D(10000), D(10)),
    ),
    min_price=ZERO,
    max_price=ZERO,
)

PRICES = st.decimals(min_value="0.00000001", max_value=10**9, places=8)
STEPS = st.sampled_from([D("0.00000001"), D("0.00001"), D("0.0025"), D("0.01"), D("0.5"), D(1), D(5), D(1000)])


# ---- rounding ----------------------------------------------------------------------------------------------------


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=10), STEPS)
def test_floor_and_ceil_enclose_the_value_on_the_grid(value: Decimal, step: Decimal) -> None:
    low, high = floor_to(value, step), ceil_to(value, step)
    assert low % step == 0
    assert high % step == 0
    assert low <= value <= high
    assert high - low == (0 if value % step == 0 else step)
    assert floor_to(low, step) == ceil_to(low, step) == low


@given(PRICES)
def test_no_step_is_no_rounding(value: Decimal) -> None:
    assert floor_to(value, ZERO) == ceil_to(value, ZERO) == value


@pytest.mark.req("R351")
@given(PRICES, st.sampled_from([BTC, TABLE]), st.sampled_from(Side))
def test_a_price_is_rounded_to_the_passive_side(price: Decimal, on: Instrument, side: Side) -> None:
    passive = on.round_price(price, side)
    aggressive = on.round_price(price, side, aggressive=True)
    assert (passive - price) * side.sign <= 0 <= (aggressive - price) * side.sign
    assert abs(aggressive - passive) <= on.price_step(price)
    assert on.round_price(passive, side) == passive
    for rounded in (passive, aggressive):
        violation = on.check_price(rounded)
        assert violation is None or "multiple" not in violation.text


@given(st.decimals(min_value=0, max_value=10**6, places=10), st.sampled_from([LIMIT, MARKET]), STEPS, STEPS)
def test_a_quantity_is_never_rounded_up(qty: Decimal, ord_type: OrdType, step: Decimal, market_step: Decimal) -> None:
    on = instrument(qty_step=step, market_qty_step=market_step, max_qty=ZERO, min_qty=ZERO)
    rounded = on.round_qty(qty, ord_type)
    coarser = max(step, market_step) if ord_type is MARKET else step
    assert rounded <= qty < rounded + coarser
    assert rounded % coarser == 0


def test_the_examples_of_the_reference() -> None:
    assert BTC.round_qty(D("0.123456789")) == D("0.12345")
    assert BTC.round_price(D("26123.456"), BUY) == D("26123.45")
    assert BTC.round_price(D("26123.456"), SELL) == D("26123.46")
    assert instrument(qty_step=D("0.001")).round_qty(D("0.0009")) == 0


@pytest.mark.parametrize(
    "price, step",
    [("0.005", "0.01"), ("9.99", "0.01"), ("10", "0.1"), ("99.9", "0.1"), ("100", "1"), ("1000", "5"), ("50000", "10")],
)
def test_the_step_depends_on_the_price(price: str, step: str) -> None:
    assert TABLE.price_step(D(price)) == D(step)


# ---- filters -----------------------------------------------------------------------------------------------------


def reason(violation: Violation | None) -> OrdRejReason | None:
    return None if violation is None else violation.reason


@given(st.integers(1, 9 * 10**8), st.sampled_from([LIMIT, MARKET]))
def test_what_is_on_the_grid_and_within_bounds_passes(count: int, ord_type: OrdType) -> None:
    assert BTC.check_qty(count * BTC.qty_step, ord_type) is None


@given(PRICES)
def test_a_price_passes_exactly_when_it_is_on_the_grid_and_within_bounds(price: Decimal) -> None:
    legal = D("0.01") <= price <= 1000000 and price % D("0.01") == 0
    assert (BTC.check_price(price) is None) is legal


@pytest.mark.parametrize(
    "qty, ord_type, changes, says",
    [
        ("0", LIMIT, {}, "at least"),
        ("-1", LIMIT, {"min_qty": ZERO}, "at least"),
        ("0.000001", LIMIT, {}, "at least 0.00001"),
        ("9000.00001", LIMIT, {}, "at most 9000"),
        ("0.000015", LIMIT, {}, "multiple of 0.00001"),
        ("121", MARKET, {"market_max_qty": D(120)}, "at most 120"),
        ("0.5", MARKET, {"market_min_qty": D(1)}, "at least 1"),
        ("1.5", MARKET, {"market_qty_step": D(1)}, "multiple of 1"),
    ],
)
def test_impossible_quantities(qty: str, ord_type: OrdType, changes: dict[str, Any], says: str) -> None:
    violation = instrument(**changes).check_qty(D(qty), ord_type)
    assert violation is not None
    assert violation.reason is OrdRejReason.BAD_QUANTITY
    assert qty in violation.text
    assert says in violation.text


def test_market_rules_bind_market_orders_alone() -> None:
    on = instrument(market_max_qty=D(120), market_qty_step=D(1))
    assert on.check_qty(D("121.5"), LIMIT) is None
    assert on.check_qty(D(120), MARKET) is None


@pytest.mark.parametrize(
    "price, says",
    [
        ("0", "at least 0.01"),
        ("-5", "at least"),
        ("0.001", "at least 0.01"),
        ("1000000.01", "at most"),
        ("1.005", "multiple"),
    ],
)
def test_impossible_prices(price: str, says: str) -> None:
    violation = BTC.check_price(D(price), "stop_px")
    assert violation is not None
    assert violation.reason is OrdRejReason.BAD_PRICE
    assert violation.text.startswith(f"stop_px was {price}, must be")
    assert says in violation.text


def test_value_of_an_order() -> None:
    on = instrument(max_notional=D(100))
    assert reason(on.check_notional(D("0.00005"), D(90000), LIMIT)) is OrdRejReason.MIN_NOTIONAL
    assert on.check_notional(D("0.0001"), D(50000), LIMIT) is None
    assert reason(on.check_notional(D("0.01"), D(90000), LIMIT)) is OrdRejReason.MAX_ORDER_NOTIONAL
    assert reason(on.check_notional(D("0.00005"), D(90000), MARKET)) is OrdRejReason.MIN_NOTIONAL
    assert on.check_notional(D("0.01"), D(90000), MARKET) is None
    exempt = instrument(min_notional_applies_to_market=False, max_notional=D(1), max_notional_applies_to_market=True)
    assert reason(exempt.check_notional(D("0.00005"), D(90000), MARKET)) is OrdRejReason.MAX_ORDER_NOTIONAL
    contract = instrument(contract_size=D("0.001"))
    assert reason(contract.check_notional(D(1), D(4999), LIMIT)) is OrdRejReason.MIN_NOTIONAL
    assert contract.check_notional(D(1), D(5000), LIMIT) is None


def test_the_venues_band_around_its_reference_price() -> None:
    on = instrument(
        bid_multiplier_up=D("1.1"), bid_multiplier_down=D("0.5"), ask_multiplier_up=D(2), ask_multiplier_down=D("0.9")
    )
    assert on.check_reference(D(110), BUY, D(100)) is None
    assert reason(on.check_reference(D("110.01"), BUY, D(100))) is OrdRejReason.PRICE_BAND
    assert reason(on.check_reference(D("49.99"), BUY, D(100))) is OrdRejReason.PRICE_BAND
    assert on.check_reference(D("110.01"), SELL, D(100)) is None
    assert reason(on.check_reference(D(89), SELL, D(100))) is OrdRejReason.PRICE_BAND
    assert reason(on.check_reference(D(201), SELL, D(100))) is OrdRejReason.PRICE_BAND
    assert instrument().check_reference(D(1000), BUY, D(1)) is None


# ---- text --------------------------------------------------------------------------------------------------------


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=8) | st.integers(-(10**9), 10**9).map(D))
def test_plain_text_reads_back_without_exponent_or_trailing_zeros(value: Decimal) -> None:
    text = plain(value)
    assert D(text) == value
    assert "E" not in text
    assert not ("." in text and text.endswith(("0", ".")))
    assert text != "-0"


@pytest.mark.parametrize(
    "value, text", [("1E+3", "1000"), ("1E-8", "0.00000001"), ("0E-8", "0"), ("-0.00", "0"), ("5.10", "5.1")]
)
def test_plain_text(value: str, text: str) -> None:
    assert plain(D(value)) == text
