"""Price steps by price, market and date (reference section 4), and markets as instruments."""

from __future__ import annotations

import gzip
import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.enums import OrdRejReason, OrdType, Side
from protocols.errors import RemoteProtocolError
from protocols.ids import Symbol
from protocols.instruments import Instrument, InstrumentStatus, PriceStep, Product, floor_to
from protocols.venue import HttpReply
from protocols.venues.upbit import VENUE, UpbitPublic
from protocols.venues.upbit.instruments import price_steps
from protocols.venues.upbit.limits import DOCUMENTED
from tests.protocols.upbit.frames import CHANCE, RECEIVED_NS, codec, reply

D = Decimal
CODEC = UpbitPublic()
KST = timezone(timedelta(hours=9))


def kst_ns(year: int, month: int, day: int) -> int:
    """Midnight in Seoul."""
    return int(datetime(year, month, day, tzinfo=KST).timestamp()) * 1_000_000_000


def instrument(market: str = "KRW-BTC", at_ns: int = RECEIVED_NS, **more: Any) -> Instrument:
    answer = reply([{"market": market} | more])
    (found,), limits = CODEC.decode_instruments(attrs.evolve(answer, received_ns=at_ns))
    assert limits == DOCUMENTED
    return found


def test_every_rule_that_an_instrument_holds() -> None:
    found = instrument()
    assert found == Instrument(
        venue=VENUE,
        symbol=Symbol("KRW-BTC"),
        product=Product.SPOT,
        base="BTC",
        quote="KRW",
        status=InstrumentStatus.TRADING,
        price_steps=price_steps(Symbol("KRW-BTC"), RECEIVED_NS),
        min_price=D("0.00000001"),
        qty_step=D("0.00000001"),
        min_notional=D(5000),
        max_notional=D(1_000_000_000),
        max_notional_applies_to_market=True,
        ord_types=frozenset({OrdType.LIMIT, OrdType.MARKET}),
    )


FLOORS = [
    ("155772345", "155772000"), ("999999", "999500"), ("654321", "654000"), ("123456", "123400"), ("99999", "99950"),
    ("10005", "10000"), ("9999", "9995"), ("5003", "5000"), ("4321", "4321"), ("999.9", "999"), ("99.99", "99.9"),
    ("9.999", "9.99"), ("0.99999", "0.999"), ("0.012345", "0.0123"), ("0.00012345", "0.000123"),
    ("0.0000012345", "0.00000123"),
]  # fmt: skip


@pytest.mark.parametrize("price, floor", FLOORS)
def test_the_floors_of_the_reference(price: str, floor: str) -> None:
    found = instrument()
    assert found.round_price(D(price), Side.BUY) == D(floor)
    assert found.check_price(D(floor)) is None


BANDS_2025 = [
    ("0.000001", "0.00000001"), ("0.00001", "0.0000001"), ("0.0001", "0.000001"), ("0.001", "0.00001"),
    ("0.01", "0.0001"), ("0.1", "0.001"), ("1", "0.01"), ("10", "0.1"), ("100", "1"), ("1000", "1"), ("5000", "5"),
    ("10000", "10"), ("50000", "50"), ("100000", "100"), ("500000", "500"), ("1000000", "1000"),
    ("155000000", "1000"),
]  # fmt: skip
BANDS_2024 = [
    ("0.00001", "0.00000001"), ("0.0001", "0.0000001"), ("0.001", "0.000001"), ("0.01", "0.00001"), ("0.1", "0.0001"),
    ("1", "0.001"), ("10", "0.01"), ("100", "0.1"), ("1000", "1"), ("10000", "10"), ("100000", "50"),
    ("500000", "100"), ("1000000", "500"), ("2000000", "1000"),
]  # fmt: skip


@pytest.mark.parametrize(
    "at_ns, price, step",
    [(kst_ns(2025, 7, 31), *row) for row in BANDS_2025] + [(kst_ns(2025, 7, 31) - 1, *row) for row in BANDS_2024],
)
def test_every_band_of_both_tables(at_ns: int, price: str, step: str) -> None:
    found = instrument("KRW-XRP", at_ns)
    assert found.price_step(D(price)) == D(step)


@pytest.mark.parametrize("row, below", [(BANDS_2025[n + 1], BANDS_2025[n]) for n in range(len(BANDS_2025) - 2)])
def test_a_band_begins_exactly_at_its_price(row: tuple[str, str], below: tuple[str, str]) -> None:
    found = instrument()
    assert found.price_step(D(row[0])) == D(row[1])
    assert found.price_step(D(row[0]) - D(below[1])) == D(below[1])


@pytest.mark.parametrize(
    "market, at_ns, price, step",
    [
        ("KRW-TRX", kst_ns(2024, 10, 14) - 1, "500", "0.1"),
        ("KRW-TRX", kst_ns(2024, 10, 14), "500", "1"),
        ("KRW-TRX", kst_ns(2024, 10, 14), "1500", "1"),
        ("KRW-TRX", kst_ns(2024, 10, 14), "99", "0.01"),
        ("KRW-DOGE", kst_ns(2024, 10, 14), "500", "0.1"),
        ("KRW-USDT", kst_ns(2025, 3, 21) - 1, "1400", "1"),
        ("KRW-USDT", kst_ns(2025, 3, 21), "1400", "0.5"),
        ("KRW-USDC", kst_ns(2025, 3, 21), "9999", "0.5"),
        ("KRW-USDC", kst_ns(2025, 3, 21), "10000", "10"),
        ("KRW-XRP", kst_ns(2025, 3, 21), "1400", "1"),
        ("KRW-USDT", kst_ns(2025, 7, 31), "1400", "1"),
        ("KRW-BTC", kst_ns(2019, 1, 1), "2000000", "1000"),
    ],
)
def test_the_exceptions_by_market_and_date(market: str, at_ns: int, price: str, step: str) -> None:
    assert instrument(market, at_ns).price_step(D(price)) == D(step)


@pytest.mark.parametrize("price", ["155772500", "999999.5", "1000.5", "100.1", "10.01", "1.001", "0.1001"])
def test_prices_of_the_old_tables_are_refused(price: str) -> None:
    violation = instrument().check_price(D(price))
    assert violation is not None
    assert violation.reason is OrdRejReason.BAD_PRICE


@pytest.mark.parametrize(
    "market, price, step",
    [
        ("BTC-ETH", "0.03", "0.00000001"), ("USDT-BTC", "99000", "0.01"), ("USDT-XRP", "10", "0.01"),
        ("USDT-XRP", "9.999", "0.001"), ("USDT-XRP", "0.5", "0.0001"), ("USDT-XRP", "0.05", "0.00001"),
        ("USDT-XRP", "0.005", "0.000001"), ("USDT-XRP", "0.0005", "0.0000001"), ("USDT-XRP", "0.00005", "0.00000001"),
    ],
)  # fmt: skip
def test_the_other_quote_currencies(market: str, price: str, step: str) -> None:
    assert instrument(market).price_step(D(price)) == D(step)


@pytest.mark.parametrize("market, least", [("KRW-BTC", "5000"), ("BTC-ETH", "0.00005"), ("USDT-BTC", "0.5")])
def test_the_least_value_of_an_order(market: str, least: str) -> None:
    found = instrument(market)
    assert found.check_notional(D(1), D(least), OrdType.LIMIT) is None
    violation = found.check_notional(D("0.99999999"), D(least), OrdType.LIMIT)
    assert violation is not None
    assert violation.reason is OrdRejReason.MIN_NOTIONAL


def test_the_greatest_value_of_a_krw_order() -> None:
    violation = instrument().check_notional(D(7), D(150_000_000), OrdType.MARKET)
    assert violation is not None
    assert violation.reason is OrdRejReason.MAX_ORDER_NOTIONAL


def test_quantities_have_eight_decimals() -> None:
    assert instrument().round_qty(D("0.123456789")) == D("0.12345678")


@pytest.mark.parametrize("tick", [1000, "1000", "1000.0", 1, "0.00000001"])
def test_a_step_of_the_table_leaves_the_table(tick: object) -> None:
    assert instrument(tick_size=tick).price_steps == price_steps(Symbol("KRW-BTC"), RECEIVED_NS)


def test_a_step_that_the_table_lacks_is_the_venues_word() -> None:
    """Section 4: for KRW-USDT the page and its table disagree; `orderbook/instruments` is trusted."""
    assert instrument("KRW-USDT", tick_size="0.5").price_steps == (PriceStep(D(0), D("0.5")),)
    assert instrument("KRW-USDT", tick_size="1").price_step(D(1400)) == D(1)
    assert instrument("KRW-USDC", tick_size="0.1").price_step(D(1400)) == D("0.1")  # a step of the table, elsewhere
    assert instrument("KRW-XRP", tick_size="0.1").price_step(D(1400)) == D(1)


def test_a_quote_currency_without_rules_is_not_tradable() -> None:
    found = instrument("EUR-BTC")
    assert (found.status, found.base, found.quote) == (InstrumentStatus.HALTED, "BTC", "EUR")


@pytest.mark.parametrize("market", ["KRWBTC", "-BTC", "KRW-"])
def test_a_code_that_is_no_pair_is_refused(market: str) -> None:
    with pytest.raises(RemoteProtocolError):
        instrument(market)


@given(
    st.decimals(min_value="0.00000001", max_value="300000000", places=9, allow_nan=False),
    st.sampled_from([kst_ns(2024, 5, 1), kst_ns(2025, 5, 1), RECEIVED_NS]),
    st.sampled_from(["KRW-BTC", "KRW-TRX", "KRW-USDT", "USDT-BTC", "BTC-ETH"]),
    st.sampled_from(Side),
)
def test_a_rounded_price_is_always_legal(price: Decimal, at_ns: int, market: str, side: Side) -> None:
    """Also across the border of a band, because the bands nest."""
    found = instrument(market, at_ns)
    rounded = found.round_price(price, side)
    if rounded:
        assert found.check_price(rounded) is None
    assert rounded <= price if side is Side.BUY else rounded >= price


@pytest.mark.parametrize("market, at_ns", [("KRW-BTC", RECEIVED_NS), ("KRW-USDT", kst_ns(2025, 5, 1))])
def test_the_bands_nest(market: str, at_ns: int) -> None:
    """Every border is a multiple of the step above it, or rounding up could leave the grid."""
    steps = price_steps(Symbol(market), at_ns)
    assert [row.from_price for row in steps] == sorted(row.from_price for row in steps)
    for row in steps:
        assert floor_to(row.from_price, row.step) == row.from_price


# ---- what the account is told ------------------------------------------------------------------------------------


def chance(**changes: Any) -> HttpReply:
    return reply(CHANCE | {"market": CHANCE["market"] | changes})


def test_an_account_is_told_its_own_bounds_and_fees() -> None:
    found, fees = codec().decode_chance(instrument(), chance())
    assert found == attrs.evolve(instrument(), min_notional=D(6000), max_notional=D(900_000_000))
    assert (fees.bid, fees.ask, fees.maker_bid, fees.maker_ask) == (D("0.0005"), D("0.0005"), D("0.0004"), D("0.0003"))


def test_what_is_not_told_stays() -> None:
    body = {"bid_fee": 0.001, "ask_fee": "0.002", "market": {"id": "KRW-BTC", "bid": {}, "ask": {}, "state": "active"}}
    found, fees = codec().decode_chance(instrument(), reply(body))
    assert found == instrument()
    assert (fees.maker_bid, fees.maker_ask) == (D("0.001"), D("0.002"))


@pytest.mark.parametrize("state", ["preview", "delisted", "", "of next year"])
def test_only_an_active_market_is_tradable(state: str) -> None:
    assert codec().decode_chance(instrument(), chance(state=state))[0].status is InstrumentStatus.HALTED


def test_order_types_that_the_market_has() -> None:
    found, _ = codec().decode_chance(instrument(), chance(bid_types=["limit", "price"], ask_types=["limit"]))
    assert found.ord_types == {OrdType.LIMIT}


def test_the_chance_of_another_market_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="KRW-BTC"):
        codec().decode_chance(instrument("KRW-ETH"), chance())


# ---- recordings --------------------------------------------------------------------------------------------------


def test_every_market_of_2021(data_dir: Path) -> None:
    body = gzip.decompress((data_dir / "upbit" / "rest" / "market_all_2021-04-17.json.gz").read_bytes())
    found, _ = CODEC.decode_instruments(reply(body))
    assert [one.symbol for one in found] == [row["market"] for row in json.loads(body)]
    assert len(found) == 294
    assert {one.quote for one in found} == {"KRW", "BTC", "USDT"}
    assert {one.status for one in found} == {InstrumentStatus.TRADING}
