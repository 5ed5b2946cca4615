"""instruments-info to instruments: our own examples and the recorded lists of 2026-08-09 (section 5)."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from protocols.enums import OrdRejReason, OrdType, Side
from protocols.errors import RemoteProtocolError
from protocols.ids import Symbol
from protocols.instruments import Instrument, InstrumentStatus, PriceStep, Product
from protocols.venues.bybit import VENUES
from protocols.venues.bybit.limits import DOCUMENTED
from tests.protocols.bybit.frames import LINEAR, SPOT, envelope, listed, public, reply

D = Decimal

CONTRACT: dict[str, Any] = {
    "symbol": "BTCUSDT", "contractType": "LinearPerpetual", "status": "Trading", "baseCoin": "BTC",
    "quoteCoin": "USDT", "settleCoin": "USDT", "priceScale": "2",
    "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
    "priceFilter": {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": "0.10"},
    "lotSizeFilter": {"minOrderQty": "0.001", "maxOrderQty": "1190.000", "maxMktOrderQty": "500.000",
                      "qtyStep": "0.001", "minNotionalValue": "5"},
    "fundingInterval": 480, "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"}, "symbolId": 5,
}  # fmt: skip
PAIR: dict[str, Any] = {
    "symbol": "BTCUSDT", "status": "Trading", "baseCoin": "BTC", "quoteCoin": "USDT", "marginTrading": "utaOnly",
    "lotSizeFilter": {"basePrecision": "0.000001", "quotePrecision": "0.0000001", "minOrderQty": "0.00005",
                      "minOrderAmt": "5", "maxLimitOrderQty": "83", "maxMarketOrderQty": "41",
                      "postOnlyMaxLimitOrderSize": "60000"},
    "priceFilter": {"tickSize": "0.01"}, "stTag": "0",
}  # fmt: skip
ROWS = {SPOT: PAIR, LINEAR: CONTRACT}
CATEGORY = {SPOT: "spot", LINEAR: "linear"}


def instrument(product: Product, **changes: Any) -> Instrument:
    answer = reply(listed(ROWS[product] | changes, category=CATEGORY[product]))
    (found,), limits = public(product).decode_instruments(answer)
    assert limits == DOCUMENTED[product]
    return found


def test_every_rule_of_a_contract() -> None:
    assert instrument(LINEAR) == Instrument(
        venue=VENUES[LINEAR],
        symbol=Symbol("BTCUSDT"),
        product=LINEAR,
        base="BTC",
        quote="USDT",
        status=InstrumentStatus.TRADING,
        price_steps=(PriceStep(D(0), D("0.1")),),
        min_price=D("0.1"),
        max_price=D("1999999.8"),
        qty_step=D("0.001"),
        min_qty=D("0.001"),
        max_qty=D(1190),
        market_max_qty=D(500),
        min_notional=D(5),
        max_open_orders=500,
        max_algo_orders=10,
        ord_types=frozenset(OrdType) - {OrdType.TRAILING_STOP},
    )


def test_every_rule_of_a_pair() -> None:
    """The least quantity of spot is outdated: the value decides."""
    assert instrument(SPOT) == Instrument(
        venue=VENUES[SPOT],
        symbol=Symbol("BTCUSDT"),
        product=SPOT,
        base="BTC",
        quote="USDT",
        status=InstrumentStatus.TRADING,
        price_steps=(PriceStep(D(0), D("0.01")),),
        qty_step=D("0.000001"),
        max_qty=D(83),
        market_max_qty=D(41),
        min_notional=D(5),
        max_open_orders=500,
        max_algo_orders=30,
        ord_types=frozenset(OrdType) - {OrdType.TRAILING_STOP},
    )


def test_bounds_read_as_plain_numbers() -> None:
    assert str(instrument(LINEAR).max_qty) == "1190"
    assert str(instrument(LINEAR).price_steps[0].step) == "0.1"


class TestRounding:
    """The rules at work: passive prices, quantities never up, the bounds of each order type."""

    def test_prices(self) -> None:
        contract = instrument(LINEAR)
        assert contract.round_price(D("60000.07"), Side.BUY) == D(60000)
        assert contract.round_price(D("60000.07"), Side.SELL) == D("60000.1")
        assert contract.check_price(D("60000.07")) is not None
        assert contract.check_price(D("0.05")) is not None

    def test_quantities(self) -> None:
        assert instrument(LINEAR).round_qty(D("0.0019")) == D("0.001")
        assert instrument(SPOT).round_qty(D("0.0000019"), OrdType.MARKET) == D("0.000001")

    @pytest.mark.parametrize(
        "product, qty, ord_type, is_legal",
        [
            (LINEAR, "0.001", OrdType.LIMIT, True),
            (LINEAR, "0.0005", OrdType.LIMIT, False),
            (LINEAR, "1190", OrdType.LIMIT, True),
            (LINEAR, "1190.001", OrdType.LIMIT, False),
            (LINEAR, "500.001", OrdType.MARKET, False),
            (SPOT, "0.000001", OrdType.LIMIT, True),
            (SPOT, "0.0000015", OrdType.LIMIT, False),
            (SPOT, "83", OrdType.LIMIT, True),
            (SPOT, "41.1", OrdType.MARKET, False),
        ],
    )
    def test_bounds(self, product: Product, qty: str, ord_type: OrdType, is_legal: bool) -> None:
        violation = instrument(product).check_qty(D(qty), ord_type)
        assert (violation is None) is is_legal
        assert violation is None or violation.reason is OrdRejReason.BAD_QUANTITY

    @pytest.mark.parametrize("product", [SPOT, LINEAR])
    def test_least_value(self, product: Product) -> None:
        one = instrument(product)
        assert one.check_notional(D("0.0001"), D(49999), OrdType.LIMIT) is not None
        assert one.check_notional(D("0.0001"), D(50000), OrdType.LIMIT) is None


@pytest.mark.parametrize("product", [SPOT, LINEAR])
@pytest.mark.parametrize("word", ["PreLaunch", "PendingOpen", "Delivering", "Closed", "OfNextYear", ""])
def test_only_trading_is_tradable(product: Product, word: str) -> None:
    assert instrument(product, status=word).status is InstrumentStatus.HALTED


def test_an_absent_bound_is_no_rule() -> None:
    one = instrument(LINEAR, lotSizeFilter={"qtyStep": "1", "maxOrderQty": ""}, priceFilter={"tickSize": "0.5"})
    assert (one.min_qty, one.max_qty, one.min_notional, one.max_price) == (D(0), D(0), D(0), D(0))
    assert one.check_qty(D(10**9), OrdType.MARKET) is None


def test_a_spot_list_of_the_time_before_there_were_two_bounds() -> None:
    lots = {"basePrecision": "0.000001", "minOrderAmt": "1", "maxOrderQty": "71.7"}
    one = instrument(SPOT, lotSizeFilter=lots)
    assert one.max_qty == D("71.7")
    assert one.check_qty(D(72), OrdType.MARKET) is not None


def test_fields_of_next_year_are_ignored() -> None:
    assert instrument(LINEAR, fullName="Bitcoin", tags=["x"], marketRegion=None) == instrument(LINEAR)


@pytest.mark.parametrize(
    "changes",
    [{"priceFilter": {"tickSize": "NaN"}}, {"priceFilter": {"tickSize": "-1"}}, {"priceFilter": {}}, {"symbol": ""},
     {"lotSizeFilter": {"qtyStep": "1e999999"}}, {"baseCoin": None}],
)  # fmt: skip
def test_impossible_rules_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError):
        instrument(LINEAR, **changes)


def test_instruments_of_another_product_are_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="'spot' instead of 'linear'"):
        public(LINEAR).decode_instruments(reply(listed(PAIR, category="spot")))
    with pytest.raises(RemoteProtocolError):
        public(LINEAR).decode_instruments(reply(envelope({})))


@pytest.mark.parametrize("product, count", [(SPOT, 557), (LINEAR, 800)])
def test_the_recorded_lists(data_dir: Path, product: Product, count: int) -> None:
    name = f"instruments_{CATEGORY[product]}_2026-08-09.json.gz"
    raw = gzip.decompress((data_dir / "bybit" / "rest" / name).read_bytes())
    found, _ = public(product).decode_instruments(reply(raw))
    rows = {row["symbol"]: row for row in json.loads(raw)["result"]["list"]}
    assert len(found) == len(rows) == count
    quotes = Counter(one.quote for one in found)
    assert quotes["USDT"] > 300
    for one in found:
        row = rows[one.symbol]
        lots = row["lotSizeFilter"]
        assert one.status is InstrumentStatus.TRADING
        assert one.price_steps[0].step == D(row["priceFilter"]["tickSize"]) > 0
        assert one.qty_step == D(lots["qtyStep" if product is LINEAR else "basePrecision"]) > 0
        least = "minNotionalValue" if product is LINEAR else "minOrderAmt"
        assert one.min_notional == D(lots[least])
        # A legal order exists: the least value, rounded up to the grid at a price on the grid.
        price = one.price_steps[0].step * 1000
        qty = max(one.min_qty, one.round_qty(one.min_notional / price) + one.qty_step)
        assert one.check_price(price) is None or price > one.max_price
        assert one.check_notional(qty, price, OrdType.LIMIT) is None
