"""exchangeInfo to instruments: our own example, and the recorded answers of 2021, 2024 and 2025 (section 6)."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from protocols.enums import OrdRejReason, OrdType, Side
from protocols.errors import RemoteProtocolError
from protocols.ids import Symbol
from protocols.instruments import Instrument, InstrumentStatus, PriceStep, Product
from protocols.venue import Limit
from protocols.venues.binance_spot import VENUE, BinanceSpotPublic
from tests.protocols.binance_spot.frames import reply

D = Decimal
SECOND = 1_000_000_000
CODEC = BinanceSpotPublic()

BTCUSDT: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "OF_NEXT_YEAR"],
    "isSpotTradingAllowed": True,
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01000000", "maxPrice": "1000000.00000000",
         "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": "120.00000000", "stepSize": "0.00000000"},
        {"filterType": "PERCENT_PRICE_BY_SIDE", "bidMultiplierUp": "5", "bidMultiplierDown": "0.2",
         "askMultiplierUp": "6", "askMultiplierDown": "0.3", "avgPriceMins": 5},
        {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True,
         "maxNotional": "9000000.00000000", "applyMaxToMarket": False, "avgPriceMins": 5},
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
        {"filterType": "ICEBERG_PARTS", "limit": 100},
        {"filterType": "OF_NEXT_YEAR", "tickSize": {"a": "shape of its own"}},
    ],
}  # fmt: skip


def instrument(**changes: Any) -> Instrument:
    (found,), _ = CODEC.decode_instruments(reply({"symbols": [BTCUSDT | changes]}))
    return found


def test_every_rule_that_an_instrument_holds() -> None:
    assert instrument() == Instrument(
        venue=VENUE,
        symbol=Symbol("BTCUSDT"),
        product=Product.SPOT,
        base="BTC",
        quote="USDT",
        status=InstrumentStatus.TRADING,
        price_steps=(PriceStep(D(0), D("0.01")),),
        min_price=D("0.01"),
        max_price=D(1000000),
        qty_step=D("0.00001"),
        min_qty=D("0.00001"),
        max_qty=D(9000),
        market_qty_step=D(0),
        market_min_qty=D(0),
        market_max_qty=D(120),
        min_notional=D(5),
        min_notional_applies_to_market=True,
        max_notional=D(9000000),
        max_notional_applies_to_market=False,
        bid_multiplier_up=D(5),
        bid_multiplier_down=D("0.2"),
        ask_multiplier_up=D(6),
        ask_multiplier_down=D("0.3"),
        max_open_orders=200,
        max_algo_orders=5,
        ord_types=frozenset({OrdType.LIMIT, OrdType.MARKET, OrdType.STOP_LIMIT}),
    )


def test_bounds_read_as_plain_numbers() -> None:
    """1E+6 in a refusal's text would puzzle its reader."""
    assert str(instrument().max_price) == "1000000"
    assert str(instrument().price_steps[0].step) == "0.01"


@pytest.mark.parametrize(
    "changes, status",
    [
        ({"status": "TRADING"}, InstrumentStatus.TRADING),
        ({"status": "CANCEL_ONLY"}, InstrumentStatus.CANCEL_ONLY),
        ({"status": "HALT"}, InstrumentStatus.HALTED),
        ({"status": "BREAK"}, InstrumentStatus.HALTED),
        ({"status": "END_OF_DAY"}, InstrumentStatus.HALTED),
        ({"status": "OF_NEXT_YEAR"}, InstrumentStatus.HALTED),
        ({"isSpotTradingAllowed": False}, InstrumentStatus.HALTED),
    ],
)
def test_only_trading_is_tradable(changes: dict[str, Any], status: InstrumentStatus) -> None:
    assert instrument(**changes).status is status


def test_absent_filters_are_absent_rules() -> None:
    bare = instrument(filters=[])
    assert bare.check_price(D("0.123456789")) is None
    assert bare.check_qty(D("0.123456789"), OrdType.MARKET) is None
    assert bare.check_notional(D("0.00000001"), D("0.00000001"), OrdType.LIMIT) is None
    assert bare.check_reference(D(1), Side.BUY, D(100)) is None


def test_the_old_filters_set_the_same_rules() -> None:
    old = instrument(
        filters=[
            {"filterType": "PERCENT_PRICE", "multiplierUp": "5", "multiplierDown": "0.2", "avgPriceMins": 5},
            {"filterType": "MIN_NOTIONAL", "minNotional": "10.0", "applyToMarket": False, "avgPriceMins": 5},
        ]
    )
    assert (old.bid_multiplier_up, old.ask_multiplier_up) == (D(5), D(5))
    assert (old.bid_multiplier_down, old.ask_multiplier_down) == (D("0.2"), D("0.2"))
    assert (old.min_notional, old.min_notional_applies_to_market) == (D(10), False)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-1", "1e30", "", "x"])
def test_impossible_rules_are_refused(text: str) -> None:
    for name, field in (("PRICE_FILTER", "tickSize"), ("LOT_SIZE", "stepSize"), ("NOTIONAL", "minNotional")):
        with pytest.raises(RemoteProtocolError):
            instrument(filters=[{"filterType": name, field: text}])


@pytest.mark.parametrize(
    "rule",
    [
        5,
        {},
        {"filterType": 5},
        {"filterType": "PRICE_FILTER", "tickSize": 5},
        {"filterType": "LOT_SIZE", "minQty": None},
    ],
)
def test_rules_of_another_shape_are_refused(rule: object) -> None:
    with pytest.raises(RemoteProtocolError, match="exchangeInfo"):
        instrument(filters=[rule])


@pytest.mark.parametrize("key", ["symbol", "status", "baseAsset", "quoteAsset", "orderTypes", "filters"])
def test_a_row_without_its_fields_is_refused(key: str) -> None:
    row = {name: value for name, value in BTCUSDT.items() if name != key}
    with pytest.raises(RemoteProtocolError):
        CODEC.decode_instruments(reply({"symbols": [row]}))


def test_the_filters_hold_on_the_reference_examples() -> None:
    """Section 6.2, and the rejects that the venue gives at 6.1."""
    btc = instrument()
    assert btc.round_qty(D("0.123456789")) == D("0.12345")
    assert btc.round_price(D("26123.456"), Side.BUY) == D("26123.45")
    assert btc.round_price(D("26123.456"), Side.SELL) == D("26123.46")
    small = btc.check_notional(D("0.00001"), D("90000"), OrdType.LIMIT)
    assert small is not None
    assert small.reason is OrdRejReason.MIN_NOTIONAL
    coarse = btc.check_qty(D("0.000015"), OrdType.LIMIT)
    assert coarse is not None
    assert coarse.reason is OrdRejReason.BAD_QUANTITY


# ---- recorded answers --------------------------------------------------------------------------------------------


def recorded(data_dir: Path, name: str) -> tuple[dict[str, Any], dict[Symbol, Instrument], tuple[Limit, ...]]:
    path = data_dir / "binance_spot" / "rest" / name
    raw = gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
    instruments, limits = CODEC.decode_instruments(reply(raw))
    return msgspec.json.decode(raw), {one.symbol: one for one in instruments}, tuple(limits)


@pytest.mark.parametrize(
    "name, symbols, tradable, weight",
    [
        # 40 symbols of 2021 are TRADING but not on spot: leveraged tokens
        ("exchange_info_2021-10-12.json.gz", 1695, 1222, 1200),
        ("exchange_info_testnet_2024-09-08.json.gz", 1248, 1248, 6000),
        ("exchange_info_2025-08-07_25sym.json", 25, 12, 6000),
    ],
)
def test_recorded_answers(data_dir: Path, name: str, symbols: int, tradable: int, weight: int) -> None:
    raw, instruments, limits = recorded(data_dir, name)
    assert len(instruments) == len(raw["symbols"]) == symbols
    assert sum(one.status is InstrumentStatus.TRADING for one in instruments.values()) == tradable
    assert Limit("weight", 60 * SECOND, weight) in limits
    for row in raw["symbols"]:
        one = instruments[row["symbol"]]
        filters = {rule["filterType"]: rule for rule in row["filters"]}
        assert one.price_steps[0].step == D(filters["PRICE_FILTER"]["tickSize"])
        assert one.max_price == D(filters["PRICE_FILTER"]["maxPrice"])
        assert (one.qty_step, one.min_qty) == (D(filters["LOT_SIZE"]["stepSize"]), D(filters["LOT_SIZE"]["minQty"]))
        value = filters.get("NOTIONAL") or filters["MIN_NOTIONAL"]
        assert one.min_notional == D(value["minNotional"])
        band = filters.get("PERCENT_PRICE_BY_SIDE") or filters["PERCENT_PRICE"]
        assert one.bid_multiplier_up == D(band.get("bidMultiplierUp", band.get("multiplierUp")))
        assert one.max_open_orders == filters["MAX_NUM_ORDERS"]["maxNumOrders"]
        assert (one.base, one.quote) == (row["baseAsset"], row["quoteAsset"])
        assert OrdType.LIMIT in one.ord_types
