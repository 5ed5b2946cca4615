"""Limits: zero refuses, nothing is assumed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from actors.risk.limits import UNLIMITED, AccountLimits, Bounds, FirmLimits, SymbolLimits
from protocols.enums import OrdRejReason
from protocols.ids import Symbol
from tests.actors.risk.world import BTC, ETH, D, GateWorld, account_world, firm_world, only, order, wide

ZERO = D(0)


@pytest.mark.parametrize("limits", [FirmLimits(), AccountLimits()])
def test_without_limits_nothing_can_be_traded(limits: FirmLimits | AccountLimits) -> None:
    world = GateWorld(limits)
    assert limits.bounds(BTC) == Bounds(ZERO, ZERO, ZERO, ZERO, ZERO)
    assert world.ask(order(qty="0.001")) is not None
    assert world.ask(order(qty="0.001", price=None)) is not None


@pytest.mark.parametrize(
    "limit",
    [
        "max_order_notional",
        "max_position_notional",
        "max_exposure",
        "max_open_orders",
        "max_orders_per_s",
        "max_orders_per_minute",
        "max_orders_per_day",
        "price_band",
        "max_quote_age_ns",
        "symbols",
    ],
)
@pytest.mark.parametrize("make", [account_world, firm_world])
def test_each_limit_alone_refuses_when_it_was_forgotten(make: type, limit: str) -> None:
    forgotten = {} if limit == "symbols" else type(wide()[limit])(0)
    world = make(**{limit: forgotten})
    world.advance(1)
    refusal = world.ask(order(qty="0.001", price="100.01"))
    assert refusal is not None, f"an order passed without {limit}"
    make().expect_pass(order(qty="0.001", price="100.01"))


def test_a_forgotten_max_repeats_refuses_too() -> None:
    account_world(max_repeats=0).expect_refusal(order(), OrdRejReason.ORDER_RATE, "max_repeats")


def test_a_symbol_without_limits_cannot_be_traded() -> None:
    world = account_world(symbols={ETH: only()[ETH]})
    assert world.ask(order(qty="0.001")) is not None
    world.expect_pass(order(symbol=ETH))


def test_unlimited_must_be_said() -> None:
    world = account_world(symbols={BTC: SymbolLimits(max_order_qty=UNLIMITED, max_position_qty=UNLIMITED)})
    world.expect_pass(order(qty="900"))


def test_a_symbols_own_limits_take_the_place_of_the_scopes() -> None:
    own = SymbolLimits(
        max_order_qty=D(1),
        max_position_qty=D(2),
        max_order_notional=D(3),
        max_position_notional=D(4),
        price_band=D("0.5"),
    )
    limits = FirmLimits(**wide(symbols={BTC: own}))
    assert limits.bounds(BTC) == Bounds(D(1), D(2), D(3), D(4), D("0.5"))
    inherited = FirmLimits(**wide()).bounds(BTC)
    assert inherited == Bounds(D(1_000), D(1_000), D(10**6), D(10**7), D("0.1"))


@pytest.mark.parametrize("name", ["max_order_notional", "max_exposure", "max_open_orders", "max_quote_age_ns"])
def test_a_negative_limit_is_an_error_that_names_it(name: str) -> None:
    with pytest.raises(ValueError) as caught:
        AccountLimits(**{name: type(wide()[name])(-1)})
    assert name in str(caught.value)
    assert "must not be negative" in str(caught.value)


@pytest.mark.parametrize("band", [D("-0.1"), D("1.1")])
def test_a_price_band_is_a_fraction(band: Decimal) -> None:
    with pytest.raises(ValueError) as caught:
        SymbolLimits(price_band=band)
    assert "price_band" in str(caught.value)


def test_rates_value_other_quote_assets() -> None:
    limits = AccountLimits(currency="USDT", rates={"BTC": D(60_000)})
    assert limits.rate("USDT") == 1
    assert limits.rate("BTC") == 60_000
    assert limits.rate("KRW") == 0
    assert limits.bounds(Symbol("NOSUCH")).max_order_qty == 0
