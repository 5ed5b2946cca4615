"""The instrument lists (reference section 4): rules, units, rounding; and the real lists of 2022."""

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
from protocols.instruments import Instrument, InstrumentStatus, Product
from protocols.venues.okx import OkxPublic
from protocols.venues.okx.limits import DOCUMENTED
from tests.protocols.okx.frames import RECEIVED_NS, SPOT_ROW, STAMP_NS, SWAP, SWAP_ROW, codec, new_order, reply, rest

D = Decimal
ROWS = {Product.SPOT: SPOT_ROW, Product.LINEAR: SWAP_ROW}


def instruments(product: Product, *rows: dict[str, Any]) -> tuple[Instrument, ...]:
    got, limits = OkxPublic(product).decode_instruments(reply(rest(list(rows))))
    assert limits == DOCUMENTED[product]
    return tuple(got)


def one(product: Product, **changes: Any) -> Instrument:
    (instrument,) = instruments(product, ROWS[product] | changes)
    return instrument


def test_a_swap_counts_contracts() -> None:
    swap = one(Product.LINEAR)
    assert (swap.venue, swap.symbol, swap.product) == ("okx-swap", "BTC-USDT-SWAP", Product.LINEAR)
    assert (swap.base, swap.quote, swap.contract_size, swap.venue_code) == ("BTC", "USDT", D("0.01"), 10459)
    assert (swap.qty_step, swap.min_qty, swap.max_qty, swap.market_max_qty) == (
        D("0.01"), D("0.01"), D("100000000"), D("35000"),
    )  # fmt: skip
    assert (swap.price_step(D(60000)), swap.max_open_orders) == (D("0.1"), 500)


def test_two_and_a_half_contracts_at_60000_are_1500_dollars() -> None:
    swap = one(Product.LINEAR)
    assert D("2.5") * swap.contract_size == D("0.025")
    limited = Instrument(**({name: getattr(swap, name) for name in slots()} | {"max_notional": D("1499.99")}))
    violation = limited.check_notional(D("2.5"), D(60000), OrdType.LIMIT)
    assert violation is not None
    assert (violation.reason, "1500 USDT" in violation.text) == (OrdRejReason.MAX_ORDER_NOTIONAL, True)


def slots() -> list[str]:
    return [field.name for field in Instrument.__attrs_attrs__]


def test_the_multiplier_counts_too() -> None:
    assert one(Product.LINEAR, ctVal="10", ctMult="0.1").contract_size == 1
    assert one(Product.LINEAR, ctVal="0.1000", ctMult="").contract_size == D("0.1")


def test_spot_counts_coins() -> None:
    spot = one(Product.SPOT)
    assert (spot.venue, spot.base, spot.quote, spot.contract_size) == ("okx-spot", "BTC", "USDT", D(1))
    assert (spot.qty_step, spot.min_qty, spot.max_qty) == (D("0.00000001"), D("0.00001"), D("9999999999"))
    assert spot.market_max_qty == 0  # the venue's bound is in USDT
    assert spot.min_notional == 0


@pytest.mark.parametrize("product", ROWS)
def test_rounding(product: Product) -> None:
    instrument = one(product, tickSz="0.5", lotSz="0.010")
    assert instrument.round_price(D("60000.7"), Side.BUY) == D("60000.5")
    assert instrument.round_price(D("60000.7"), Side.SELL) == D("60001.0")
    assert str(instrument.round_qty(D("1.239"))) == "1.23"
    violation = instrument.check_qty(D("1.235"), OrdType.LIMIT)
    assert violation is not None
    assert "multiple of 0.01" in violation.text
    assert instrument.check_price(D("60000.5")) is None
    assert instrument.check_price(D("60000.7")) is not None


@pytest.mark.parametrize("product", ROWS)
@pytest.mark.parametrize(
    "state, status",
    [("live", "TRADING"), ("post_only", "CANCEL_ONLY")]
    + [(word, "HALTED") for word in ("suspend", "rebase", "preopen", "test", "settling", "expired", "", "next_year")],
)
def test_only_live_is_tradable(product: Product, state: str, status: str) -> None:
    assert one(product, state=state).status is InstrumentStatus[status]


def test_other_products_in_a_list_are_left_out() -> None:
    inverse = SWAP_ROW | {"instId": "BTC-USD-SWAP", "ctType": "inverse", "ctVal": "100", "ctValCcy": "USD"}
    rows = [SPOT_ROW, SWAP_ROW, inverse, SWAP_ROW | {"instType": "FUTURES"}]
    assert [row.symbol for row in instruments(Product.LINEAR, *rows)] == ["BTC-USDT-SWAP"]
    assert [row.symbol for row in instruments(Product.SPOT, *rows)] == ["BTC-USDT"]


def test_the_family_is_never_cut_from_a_name() -> None:
    swap = one(Product.LINEAR, instId="BTC-USD_UM-SWAP", settleCcy="USD")
    assert (swap.symbol, swap.base, swap.quote) == ("BTC-USD_UM-SWAP", "BTC", "USD")


def test_bounds_without_a_value_do_not_exist() -> None:
    swap = one(Product.LINEAR, maxLmtSz="", maxMktSz="")
    assert (swap.max_qty, swap.market_max_qty) == (D(0), D(0))


def test_a_null_number_is_none_and_leaves_a_known_one() -> None:
    unnumbered = one(Product.LINEAR, instIdCode=None)
    assert unnumbered.venue_code == 0
    private = codec(codes={})
    private.learn([one(Product.LINEAR)])
    private.learn([unnumbered])
    frame = private.new_order(new_order(), "r1", STAMP_NS, logged_on=True)
    assert json.loads(frame.text)["args"][0]["instIdCode"] == 10459


@pytest.mark.parametrize(
    "changes",
    [{"tickSz": "x"}, {"lotSz": "-1"}, {"ctVal": ""}, {"ctVal": "0"}, {"settleCcy": ""}, {"ctValCcy": ""},
     {"instId": ""}, {"instIdCode": -1}, {"instIdCode": "10459"}, {"minSz": "Infinity"}],
)  # fmt: skip
def test_impossible_rows_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError):
        one(Product.LINEAR, **changes)


def test_requests() -> None:
    public = OkxPublic(Product.LINEAR)
    assert public.instruments_request([]).query == "instType=SWAP"
    assert public.instruments_request([SWAP]).query == "instType=SWAP&instId=BTC-USDT-SWAP"
    assert public.instruments_request([SWAP, SWAP]).query == "instType=SWAP"
    assert OkxPublic(Product.SPOT).instruments_request([]).query == "instType=SPOT"


# ---- the lists of 2022-05-13 -------------------------------------------------------------------------------------


def recorded(data_dir: Path, name: str) -> dict[str, Any]:
    path = data_dir / "okx" / "rest" / f"instruments_{name}_2022-05-13.json.gz"
    whole: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return whole


@pytest.mark.parametrize("product, name, count", [(Product.SPOT, "SPOT", 513), (Product.LINEAR, "SWAP", 126)])
def test_the_real_lists(data_dir: Path, product: Product, name: str, count: int) -> None:
    body = recorded(data_dir, name)
    rows = {row["instId"]: row for row in body["data"] if name == "SPOT" or row["ctType"] == "linear"}
    got, _ = OkxPublic(product).decode_instruments(reply(body))
    assert len(got) == len(rows) == count
    states: Counter[InstrumentStatus] = Counter()
    for instrument in got:
        row = rows[instrument.symbol]
        states[instrument.status] += 1
        assert instrument.status is InstrumentStatus.TRADING or row["state"] != "live"
        assert instrument.price_steps[0].step == D(row["tickSz"])
        assert instrument.qty_step == D(row["lotSz"])
        assert instrument.check_qty(D(row["minSz"]), OrdType.LIMIT) is None
        assert instrument.check_qty(instrument.qty_step + D(row["maxLmtSz"]), OrdType.LIMIT) is not None
        if product is Product.LINEAR:
            assert instrument.contract_size == D(row["ctVal"]) * D(row["ctMult"])
            assert instrument.base == row["ctValCcy"] == row["uly"].partition("-")[0]
            assert instrument.quote == row["settleCcy"]
        # The grid's own points are on the grid.
        price = instrument.price_steps[0].step * 12_345
        assert instrument.check_price(instrument.round_price(price, Side.BUY)) is None
        assert instrument.round_price(price, Side.BUY) == price
    assert states[InstrumentStatus.TRADING] > 0.9 * count


@pytest.mark.parametrize("name", ["FUTURES", "OPTION_BTC-USD", "OPTION_ETH-USD"])
def test_lists_of_other_products_are_empty_for_us(data_dir: Path, name: str) -> None:
    body = recorded(data_dir, name)
    assert len(body["data"]) > 100
    for product in ROWS:
        assert OkxPublic(product).decode_instruments(reply(body))[0] == ()


@pytest.mark.parametrize("field", ["tickSz", "lotSz", "minSz"])
@pytest.mark.parametrize("product", list(ROWS))
def test_without_its_steps_nothing_is_tradable(product: Product, field: str) -> None:
    """No step would let every price and quantity seem right."""
    assert one(product, **{field: ""}).status is InstrumentStatus.HALTED


def test_announced_changes_are_dated() -> None:
    """Section 4: `upcChg`.  What is over when we read it is in the list already."""
    now_ms, ms = RECEIVED_NS // 1_000_000, 1_000_000
    times = [now_ms - 1, now_ms + 60_000, now_ms + 5_000]
    changes = [{"param": "tickSz", "newValue": "0.01", "effTime": str(at)} for at in times]
    assert one(Product.LINEAR, upcChg=changes).changes_ns == (now_ms + 5_000) * ms
    assert one(Product.LINEAR, upcChg=changes[:1]).changes_ns == 0
    assert one(Product.LINEAR, upcChg=[{"param": "tickSz"}]).changes_ns == 0
    assert one(Product.SPOT).changes_ns == 0
    with pytest.raises(RemoteProtocolError):
        one(Product.LINEAR, upcChg=[{"effTime": "soon"}])


@pytest.mark.parametrize("product", list(ROWS))
def test_conditional_orders(product: Product) -> None:
    """Section 3: 100 take-profits and stops an instrument."""
    instrument = one(product)
    assert instrument.max_algo_orders == 100
    assert {OrdType.STOP, OrdType.TAKE_PROFIT_LIMIT} < instrument.ord_types
    assert OrdType.TRAILING_STOP not in instrument.ord_types


@pytest.mark.parametrize("changes", [{"ctVal": ""}, {"settleCcy": ""}, {"ctValCcy": None}, {"lotSz": "soon"}])
def test_one_that_is_not_tradable_may_be_half_empty(changes: dict[str, Any]) -> None:
    """What is announced or over costs nobody the list; of a tradable one the same is refused."""
    row = SWAP_ROW | {"instId": "NEW-USDT-SWAP"} | changes
    for state in ("preopen", "suspend", "expired", "test", "rebase", "settling"):
        assert [one.symbol for one in instruments(Product.LINEAR, row | {"state": state}, SWAP_ROW)] == [SWAP]
    for state in ("live", "post_only"):
        with pytest.raises(RemoteProtocolError):
            instruments(Product.LINEAR, row | {"state": state}, SWAP_ROW)
