"""exchangeInfo to instruments: our own example, and the recorded answers of 2021 and 2025 (section 6)."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from protocols.enums import OrdRejReason, OrdType, Side, TimeInForce
from protocols.errors import RemoteProtocolError
from protocols.ids import Symbol
from protocols.instruments import Instrument, InstrumentStatus, PriceStep, Product
from protocols.venue import Limit
from protocols.venues.binance_usdm import VENUE, BinanceUsdmPublic
from tests.protocols.binance_usdm.frames import reply

D = Decimal
SECOND = 1_000_000_000
CODEC = BinanceUsdmPublic()

BTCUSDT: dict[str, Any] = {
    "symbol": "BTCUSDT", "pair": "BTCUSDT", "contractType": "PERPETUAL", "deliveryDate": 4133404800000,
    "onboardDate": 1569398400000, "status": "TRADING", "maintMarginPercent": "2.5", "requiredMarginPercent": "5",
    "baseAsset": "BTC", "quoteAsset": "USDT", "marginAsset": "USDT", "pricePrecision": 2, "quantityPrecision": 3,
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "261.10", "maxPrice": "809484", "tickSize": "0.10"},
        {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.001", "maxQty": "120", "stepSize": "0.001"},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MIN_NOTIONAL", "notional": "50"},
        {"filterType": "PERCENT_PRICE", "multiplierUp": "1.05", "multiplierDown": "0.95", "multiplierDecimal": "4"},
        {"filterType": "OF_NEXT_YEAR", "limit": {"a": "shape of its own"}},
    ],
    "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET",
                   "TRAILING_STOP_MARKET"],
    "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD", "RPI"],
}  # fmt: skip


def instrument(**changes: Any) -> Instrument:
    (found,), _ = CODEC.decode_instruments(reply({"symbols": [BTCUSDT | changes]}))
    return found


def test_every_rule_that_an_instrument_holds() -> None:
    assert instrument() == Instrument(
        venue=VENUE,
        symbol=Symbol("BTCUSDT"),
        product=Product.LINEAR,
        base="BTC",
        quote="USDT",
        status=InstrumentStatus.TRADING,
        price_steps=(PriceStep(D(0), D("0.1")),),
        min_price=D("261.1"),
        max_price=D(809484),
        qty_step=D("0.001"),
        min_qty=D("0.001"),
        max_qty=D(1000),
        market_qty_step=D("0.001"),
        market_min_qty=D("0.001"),
        market_max_qty=D(120),
        min_notional=D(50),
        contract_size=D(1),
        bid_multiplier_up=D("1.05"),
        ask_multiplier_down=D("0.95"),
        max_open_orders=200,
        ord_types=frozenset(OrdType) - {OrdType.TRAILING_STOP},
        times_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK}),
    )


def test_the_step_is_the_filters_not_the_precisions() -> None:
    assert instrument().round_price(D("90000.17"), Side.BUY) == D("90000.1")
    assert instrument().round_price(D("90000.17"), Side.SELL) == D("90000.2")
    assert instrument().round_qty(D("0.0129")) == D("0.012")


def test_the_band_is_one_sided_around_the_mark_price() -> None:
    one, mark = instrument(), D(1000)
    assert one.check_reference(D(1), Side.BUY, mark) is None
    assert one.check_reference(D(1050), Side.BUY, mark) is None
    assert one.check_reference(D(5000), Side.SELL, mark) is None
    for price, side in ((D(1051), Side.BUY), (D(949), Side.SELL)):
        violation = one.check_reference(price, side, mark)
        assert violation is not None
        assert violation.reason is OrdRejReason.PRICE_BAND


@pytest.mark.parametrize(
    "changes, status",
    [
        ({"status": "PENDING_TRADING"}, InstrumentStatus.HALTED),
        ({"status": "PRE_DELIVERING"}, InstrumentStatus.HALTED),
        ({"status": "SETTLING"}, InstrumentStatus.HALTED),
        ({"status": "CLOSE"}, InstrumentStatus.HALTED),
        ({"status": "OF_NEXT_YEAR"}, InstrumentStatus.HALTED),
        ({"contractType": "CURRENT_QUARTER"}, InstrumentStatus.TRADING),
        ({"contractType": "TRADIFI_PERPETUAL"}, InstrumentStatus.TRADING),
        ({"contractType": "OF_NEXT_YEAR"}, InstrumentStatus.HALTED),
        ({"contractType": ""}, InstrumentStatus.HALTED),
    ],
)
def test_only_known_contracts_that_trade_are_tradable(changes: dict[str, Any], status: InstrumentStatus) -> None:
    assert instrument(**changes).status is status


@pytest.mark.parametrize(
    "rule",
    [
        {"filterType": "PRICE_FILTER", "minPrice": "0.0001", "maxPrice": "0", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "minQty": "0.015", "maxQty": "0", "stepSize": "0.01"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.015", "maxQty": "0", "stepSize": "0.01"},
    ],
)
def test_where_the_two_forms_of_the_grid_differ_nothing_is_traded(rule: dict[str, Any]) -> None:
    assert instrument(filters=[rule]).status is InstrumentStatus.HALTED


def test_absent_filters_are_absent_rules() -> None:
    bare = instrument(filters=[])
    assert bare.status is InstrumentStatus.TRADING
    assert bare.check_price(D("0.123456789")) is None
    assert bare.check_qty(D("0.123456789"), OrdType.MARKET) is None
    assert bare.check_notional(D("0.00000001"), D("0.00000001"), OrdType.LIMIT) is None


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-1", "1e30", "", "x"])
def test_impossible_rules_are_refused(text: str) -> None:
    for name, field in (("PRICE_FILTER", "tickSize"), ("LOT_SIZE", "stepSize"), ("MIN_NOTIONAL", "notional")):
        with pytest.raises(RemoteProtocolError):
            instrument(filters=[{"filterType": name, field: text}])


@pytest.mark.parametrize("rule", [5, {}, {"filterType": 5}, {"filterType": "PRICE_FILTER", "tickSize": 5}])
def test_rules_of_another_shape_are_refused(rule: object) -> None:
    with pytest.raises(RemoteProtocolError, match="exchangeInfo"):
        instrument(filters=[rule])


def test_a_contract_of_no_kind_is_not_tradable() -> None:
    row = {name: value for name, value in BTCUSDT.items() if name not in ("contractType", "marginAsset")}
    (found,), _ = CODEC.decode_instruments(reply({"symbols": [row]}))
    assert found.status is InstrumentStatus.HALTED


@pytest.mark.parametrize("key", ["symbol", "status", "baseAsset", "quoteAsset", "filters"])
def test_a_row_without_its_fields_is_refused(key: str) -> None:
    row = {name: value for name, value in BTCUSDT.items() if name != key}
    with pytest.raises(RemoteProtocolError):
        CODEC.decode_instruments(reply({"symbols": [row]}))


# ---- recorded answers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, symbols, tradable",
    [("exchange_info_2021-07-22.json.gz", 122, 121), ("exchange_info_2025-08-07_25sym.json", 25, 25)],
)
def test_recorded_answers(data_dir: Path, name: str, symbols: int, tradable: int) -> None:
    path = data_dir / "binance_usdm" / "rest" / name
    raw = gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
    found, limits = CODEC.decode_instruments(reply(raw))
    instruments = {one.symbol: one for one in found}
    rows = msgspec.json.decode(raw)["symbols"]
    assert len(instruments) == len(rows) == symbols
    assert sum(one.status is InstrumentStatus.TRADING for one in found) == tradable
    assert Limit("weight", 60 * SECOND, 2400) in limits
    for row in rows:
        one = instruments[row["symbol"]]
        filters = {rule["filterType"]: rule for rule in row["filters"]}
        assert one.price_steps[0].step == D(filters["PRICE_FILTER"]["tickSize"])
        assert one.max_price == D(filters["PRICE_FILTER"]["maxPrice"])
        assert (one.qty_step, one.min_qty) == (D(filters["LOT_SIZE"]["stepSize"]), D(filters["LOT_SIZE"]["minQty"]))
        assert one.market_max_qty == D(filters["MARKET_LOT_SIZE"]["maxQty"])
        assert one.min_notional == D(filters["MIN_NOTIONAL"]["notional"])
        assert one.bid_multiplier_up == D(filters["PERCENT_PRICE"]["multiplierUp"])
        assert one.ask_multiplier_down == D(filters["PERCENT_PRICE"]["multiplierDown"])
        assert one.max_open_orders == filters["MAX_NUM_ORDERS"]["limit"]
        assert (one.base, one.quote) == (row["baseAsset"], row["quoteAsset"])
        assert OrdType.LIMIT in one.ord_types
