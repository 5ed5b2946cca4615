"""Every filter of the reference's section 6.1, on the numbers around its edge."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.simulator.exchange_kit import D, Kit
from tools.simulator.core.model import Order, OrdType, Trade
from tools.simulator.dialects.binance_spot import filters
from tools.simulator.dialects.binance_spot.errors import VenueError
from tools.simulator.dialects.binance_spot.symbols import SymbolInfo

PRICE = {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000", "tickSize": "0.01"}
LOT = {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "100", "stepSize": "0.001"}


def info(*more: dict[str, Any]) -> SymbolInfo:
    raw = {
        "symbol": "BTCUSDT",
        "status": "TRADING",
        "baseAsset": "BTC",
        "quoteAsset": "USDT",
        "filters": [PRICE, LOT, *more],
    }
    return SymbolInfo.from_raw(raw)


def verdict(kit: Kit, order: Order, *rules: dict[str, Any]) -> str | None:
    """Which filter refuses the order; None where all let it pass."""
    try:
        filters.check(order, info(*rules), kit.market, kit.clock.now_ns())
    except VenueError as error:
        return error.msg.removeprefix("Filter failure: ")
    return None


def kit_at(price: str) -> Kit:
    """A market whose last five minutes averaged to this price."""
    kit = Kit()
    kit.market.record_trade(
        Trade(
            symbol="BTCUSDT",
            trade_id=1,
            price=D(price),
            qty=D(1),
            quote_qty=D(price),
            time_ns=kit.clock.now_ns(),
            buyer_is_maker=False,
        )
    )
    return kit


@pytest.mark.parametrize(
    "price,qty,expected",
    [
        ("100.01", "1", None),
        ("100.015", "1", "PRICE_FILTER"),
        ("0.005", "1", "PRICE_FILTER"),
        ("1000.01", "1", "PRICE_FILTER"),
        ("1000", "0.001", None),
        ("100", "0.0005", "LOT_SIZE"),
        ("100", "0.0015", "LOT_SIZE"),
        ("100", "100.001", "LOT_SIZE"),
    ],
)
def test_price_and_lot(price: str, qty: str, expected: str | None) -> None:
    kit = Kit()
    assert verdict(kit, kit.order(None, "BUY", qty, price)) == expected


def test_stop_price_is_held_to_the_price_filter() -> None:
    kit = Kit()
    order = kit.order(None, "BUY", "1", ord_type=OrdType.STOP_LOSS, stop_px=D("100.001"))
    assert verdict(kit, order) == "PRICE_FILTER"


@pytest.mark.parametrize("qty,expected", [("5", None), ("5.001", "MARKET_LOT_SIZE")])
def test_market_lot_is_an_extra_limit(qty: str, expected: str | None) -> None:
    kit = kit_at("100")
    rule = {"filterType": "MARKET_LOT_SIZE", "minQty": "0", "maxQty": "5", "stepSize": "0"}
    assert verdict(kit, kit.order(None, "BUY", qty), rule) == expected
    assert verdict(kit, kit.order(None, "BUY", qty, "100"), rule) is None


@pytest.mark.parametrize(
    "side,price,expected",
    [
        ("BUY", "150", None),
        ("BUY", "150.01", "PERCENT_PRICE_BY_SIDE"),
        ("BUY", "49.99", "PERCENT_PRICE_BY_SIDE"),
        ("SELL", "150.01", None),
        ("SELL", "80", None),
        ("SELL", "79.99", "PERCENT_PRICE_BY_SIDE"),
    ],
)
def test_percent_price_by_side(side: str, price: str, expected: str | None) -> None:
    rule = {
        "filterType": "PERCENT_PRICE_BY_SIDE",
        "bidMultiplierUp": "1.5",
        "bidMultiplierDown": "0.5",
        "askMultiplierUp": "2",
        "askMultiplierDown": "0.8",
        "avgPriceMins": 5,
    }
    kit = kit_at("100")
    assert verdict(kit, kit.order(None, side, "1", price), rule) == expected


def test_percent_price_of_2021() -> None:
    rule = {"filterType": "PERCENT_PRICE", "multiplierUp": "2", "multiplierDown": "0.5", "avgPriceMins": 5}
    kit = kit_at("100")
    assert verdict(kit, kit.order(None, "SELL", "1", "200"), rule) is None
    assert verdict(kit, kit.order(None, "SELL", "1", "200.01"), rule) == "PERCENT_PRICE"
    assert verdict(Kit(), kit.order(None, "SELL", "1", "900"), rule) is None  # no print, no reference


NOTIONAL = {
    "filterType": "NOTIONAL",
    "minNotional": "10",
    "applyMinToMarket": True,
    "maxNotional": "1000",
    "applyMaxToMarket": False,
    "avgPriceMins": 5,
}


@pytest.mark.parametrize(
    "qty,price,expected",
    [
        ("0.1", "100", None),
        ("0.099", "100", "NOTIONAL"),
        ("10", "100", None),
        ("10.001", "100", "NOTIONAL"),
        ("0.1", None, None),
        ("0.099", None, "NOTIONAL"),
        ("99", None, None),  # the maximum does not apply to market orders here
    ],
)
def test_notional(qty: str, price: str | None, expected: str | None) -> None:
    kit = kit_at("100")
    assert verdict(kit, kit.order(None, "BUY", qty, price), NOTIONAL) == expected


def test_a_rule_of_zero_is_switched_off() -> None:
    """Section 6: a filter may be absent, a rule's value may be 0."""
    kit = kit_at("100")
    dear = kit.order(None, "BUY", "99", "999")
    assert verdict(kit, dear, NOTIONAL | {"maxNotional": "0"}) is None
    lot = {"filterType": "MARKET_LOT_SIZE", "minQty": "0", "maxQty": "0", "stepSize": "0"}
    assert verdict(kit, kit.order(None, "BUY", "0.001"), lot) is None
    band = {"filterType": "PERCENT_PRICE", "multiplierUp": "0", "multiplierDown": "0.5", "avgPriceMins": 5}
    assert verdict(kit, dear, band) is None
    assert verdict(kit, kit.order(None, "BUY", "1", "49"), band) == "PERCENT_PRICE"


def test_notional_of_a_quote_amount_is_the_amount() -> None:
    kit = kit_at("100")
    assert verdict(kit, kit.order(None, "BUY", "0", quote_order_qty=D("9.99")), NOTIONAL) == "NOTIONAL"
    assert verdict(kit, kit.order(None, "BUY", "0", quote_order_qty=D("10")), NOTIONAL) is None


@pytest.mark.parametrize("to_market,expected", [(True, "MIN_NOTIONAL"), (False, None)])
def test_min_notional_of_2021(to_market: bool, expected: str | None) -> None:
    rule = {"filterType": "MIN_NOTIONAL", "minNotional": "10", "applyToMarket": to_market, "avgPriceMins": 5}
    kit = kit_at("100")
    assert verdict(kit, kit.order(None, "BUY", "0.099"), rule) == expected
    assert verdict(kit, kit.order(None, "BUY", "0.099", "100"), rule) == "MIN_NOTIONAL"


@pytest.mark.parametrize("iceberg,expected", [("0.1", None), ("0.09", "ICEBERG_PARTS"), ("0.0005", "LOT_SIZE")])
def test_iceberg_parts(iceberg: str, expected: str | None) -> None:
    rule = {"filterType": "ICEBERG_PARTS", "limit": 10}
    kit = Kit()
    assert verdict(kit, kit.order(None, "BUY", "1", "100", iceberg_qty=D(iceberg)), rule) == expected


@pytest.mark.parametrize(
    "ord_type,side,delta,expected",
    [
        (OrdType.STOP_LOSS, "BUY", 10, None),
        (OrdType.STOP_LOSS, "BUY", 9, "TRAILING_DELTA"),
        (OrdType.STOP_LOSS, "SELL", 10, "TRAILING_DELTA"),
        (OrdType.STOP_LOSS, "SELL", 20, None),
        (OrdType.TAKE_PROFIT, "SELL", 10, None),
        (OrdType.TAKE_PROFIT, "BUY", 301, "TRAILING_DELTA"),
    ],
)
def test_trailing_delta_has_two_sides(ord_type: OrdType, side: str, delta: int, expected: str | None) -> None:
    rule = {
        "filterType": "TRAILING_DELTA",
        "minTrailingAboveDelta": 10,
        "maxTrailingAboveDelta": 200,
        "minTrailingBelowDelta": 20,
        "maxTrailingBelowDelta": 300,
    }
    kit = Kit()
    assert verdict(kit, kit.order(None, side, "1", ord_type=ord_type, trailing_delta=delta), rule) == expected


def test_open_order_counts_are_the_accounts_own() -> None:
    kit = kit_at("100")
    a, b = kit.account("a"), kit.account("b")
    kit.place(a, "BUY", "1", "90", iceberg_qty=D("0.5"))
    kit.place(a, "BUY", "1", ord_type=OrdType.STOP_LOSS, stop_px=D("110"))
    kit.place(b, "BUY", "1", "90")
    orders = {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 2}
    algo = {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 1}
    iceberg = {"filterType": "MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders": 1}
    plain = kit.order(a, "BUY", "1", "90")
    assert verdict(kit, plain, orders) == "MAX_NUM_ORDERS"
    assert verdict(kit, kit.order(b, "BUY", "1", "90"), orders) is None
    assert verdict(kit, plain, algo, iceberg) is None
    stop = kit.order(a, "BUY", "1", ord_type=OrdType.STOP_LOSS, stop_px=D("110"))
    assert verdict(kit, stop, algo) == "MAX_NUM_ALGO_ORDERS"
    hidden = kit.order(a, "BUY", "1", "90", iceberg_qty=D("0.5"))
    assert verdict(kit, hidden, iceberg) == "MAX_NUM_ICEBERG_ORDERS"


def test_max_position_counts_what_is_held_and_what_is_bid() -> None:
    kit = kit_at("100")
    a = kit.account("a", btc="2")
    kit.place(a, "BUY", "3", "90")
    rule = {"filterType": "MAX_POSITION", "maxPosition": "10"}
    assert verdict(kit, kit.order(a, "BUY", "5", "90"), rule) is None
    assert verdict(kit, kit.order(a, "BUY", "5.001", "90"), rule) == "MAX_POSITION"
    assert verdict(kit, kit.order(a, "SELL", "50", "110"), rule) is None


def test_unknown_filters_are_nobodys_business() -> None:
    kit = Kit()
    assert verdict(kit, kit.order(None, "BUY", "1", "100"), {"filterType": "FROM_THE_FUTURE", "limit": 1}) is None


def test_average_is_weighted_by_volume() -> None:
    kit = kit_at("100")
    heavy = Trade(
        symbol="BTCUSDT",
        trade_id=2,
        price=D(200),
        qty=D(3),
        quote_qty=D(600),
        time_ns=kit.clock.now_ns(),
        buyer_is_maker=True,
    )
    kit.market.record_trade(heavy)
    assert filters.average_price(kit.market, 5, kit.clock.now_ns()) == Decimal(175)


@pytest.mark.parametrize("lacking", ["symbol", "baseAsset", "filters"])
def test_a_broken_instrument_is_named(lacking: str) -> None:
    raw: dict[str, Any] = dict(info().raw)
    del raw[lacking]
    with pytest.raises(ValueError, match="exchangeInfo: symbol"):
        SymbolInfo.from_raw(raw)
