"""Positions from fills: exact sums, average cost, fees in any asset, and nothing created or lost."""

from __future__ import annotations

from decimal import Decimal

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from actors.account.ledger import TAIL, Ledger, fold
from protocols.enums import Side
from protocols.errors import InvariantViolation
from protocols.ids import StrategyID, Symbol, TradeID
from protocols.instruments import Product
from protocols.journal import SymbolDefined
from protocols.positions import Position
from tests.actors.account.venue import ACCOUNT, SYMBOL, VENUE

ZERO = Decimal(0)
ONE, TWO = StrategyID("one"), StrategyID("two")
QTYS = st.decimals(min_value="0.001", max_value="50", places=3)
PRICES = st.decimals(min_value="0.01", max_value="70000", places=2)
FEES = st.one_of(
    st.just((ZERO, "")),
    st.tuples(st.decimals(min_value="0", max_value="0.001", places=6), st.just("BTC")),
    st.tuples(st.decimals(min_value="-1", max_value="1", places=4), st.just("USDT")),
    st.tuples(st.decimals(min_value="0", max_value="1", places=4), st.just("BNB")),
)
FILLS = st.lists(st.tuples(st.sampled_from(Side), QTYS, PRICES, FEES), max_size=3 * TAIL)


def a_ledger(product: Product = Product.SPOT, contract_size: str = "1") -> Ledger:
    ledger = Ledger(ACCOUNT, VENUE)
    ledger.define(SymbolDefined(VENUE, SYMBOL, product, "BTC", "USDT", Decimal(contract_size), 1))
    return ledger


def book(
    ledger: Ledger,
    side: Side,
    qty: str | Decimal,
    px: str | Decimal,
    fee: tuple[str | Decimal, str] = (ZERO, ""),
    *,
    at: int,
    strategy: StrategyID = ONE,
    undo: bool = False,
) -> Position:
    """One fill; its trade id is its time, so that the venue's order is the order of `at`."""
    entry = ledger.book(
        SYMBOL, strategy, side, Decimal(qty), Decimal(px), Decimal(fee[0]), fee[1], at, TradeID(str(at)), undo=undo
    )
    ledger.check()
    return ledger.position(entry)


BUY, SELL = Side.BUY, Side.SELL


def test_contracts_are_what_is_held_of_them_by_all_strategies_and_spot_is_none() -> None:
    ledger = a_ledger(Product.LINEAR)
    coin = Symbol("ETHUSDT")
    ledger.define(SymbolDefined(VENUE, coin, Product.SPOT, "ETH", "USDT", Decimal(1), 1))
    book(ledger, BUY, "3", "100", at=1)
    book(ledger, SELL, "1", "100", at=2, strategy=StrategyID("other"))
    ledger.book(coin, ONE, BUY, Decimal(5), Decimal(10), ZERO, "", 3, TradeID("3"), undo=False)
    assert ledger.contracts() == {SYMBOL: Decimal(2)}


@pytest.mark.parametrize(
    "fills, qty, avg_px, realized",
    [
        pytest.param([(BUY, "1", "100")], "1", "100", "0", id="opening"),
        pytest.param([(BUY, "1", "100"), (BUY, "3", "120")], "4", "115", "0", id="growing"),
        pytest.param([(BUY, "2", "100"), (SELL, "1", "130")], "1", "100", "30", id="shrinking"),
        pytest.param([(BUY, "2", "100"), (SELL, "2", "90")], "0", "0", "-20", id="closing"),
        pytest.param([(BUY, "1", "100"), (SELL, "3", "110")], "-2", "110", "10", id="turning"),
        pytest.param([(SELL, "2", "100"), (BUY, "1", "80")], "-1", "100", "20", id="short"),
        pytest.param([(SELL, "1", "100"), (BUY, "1", "80"), (BUY, "1", "70")], "1", "70", "20", id="short, flat, long"),
    ],
)
def test_average_cost(fills: list[tuple[Side, str, str]], qty: str, avg_px: str, realized: str) -> None:
    ledger = a_ledger()
    positions = [book(ledger, *fill, at=number) for number, fill in enumerate(fills, start=1)]
    position = positions[-1]
    assert (position.qty, position.avg_px, position.realized) == (Decimal(qty), Decimal(avg_px), Decimal(realized))


@pytest.mark.req("R230")
def test_a_fee_in_the_base_asset_makes_the_holding_smaller_as_it_does_at_the_venue() -> None:
    position = book(a_ledger(), BUY, "1", "100", ("0.001", "BTC"), at=1)
    assert (position.qty, position.avg_px) == (Decimal("0.999"), Decimal(100))
    assert position.realized == Decimal("-0.1"), "the fee is a loss at the price of the fill"
    assert position.fees == (("BTC", Decimal("0.001")),)


def test_a_fee_in_the_quote_asset_is_realized_and_one_in_a_third_asset_is_listed() -> None:
    ledger = a_ledger()
    book(ledger, BUY, "1", "100", ("0.2", "USDT"), at=1)
    position = book(ledger, BUY, "1", "100", ("0.003", "BNB"), at=2)
    assert (position.qty, position.avg_px, position.realized) == (Decimal(2), Decimal(100), Decimal("-0.2"))
    assert position.fees == (("BNB", Decimal("0.003")), ("USDT", Decimal("0.2")))


def test_a_symbol_that_nobody_described_keeps_its_fees_apart() -> None:
    ledger = Ledger(ACCOUNT, VENUE)
    position = book(ledger, BUY, "1", "100", ("0.001", "BTC"), at=1)
    assert (position.qty, position.fees) == (Decimal(1), (("BTC", Decimal("0.001")),))
    assert ledger.explained() == {}


def test_contracts_are_worth_their_size() -> None:
    ledger = a_ledger(Product.LINEAR, "0.01")
    book(ledger, BUY, "5", "60000", ("0.5", "BTC"), at=1)
    position = book(ledger, SELL, "2", "61000", ("1", "USDT"), at=2)
    assert (position.qty, position.avg_px) == (Decimal(3), Decimal(60000))
    assert position.realized == Decimal("2") * 1000 * Decimal("0.01") - 1
    assert ledger.explained() == {}, "no coins move on derivatives"


@given(FILLS)
@settings(deadline=None)
def test_zero_sum_cash_holdings_and_fees_balance_exactly(
    fills: list[tuple[Side, Decimal, Decimal, tuple[Decimal, str]]],
) -> None:
    """I20: what went out came in, and profit from fills equals profit from marks plus flows."""
    ledger = a_ledger()
    base = quote = bnb = ZERO
    for number, (side, qty, px, (fee, asset)) in enumerate(fills, start=1):
        book(ledger, side, qty, px, (fee, asset), at=number, strategy=ONE if number % 2 else TWO)
        base += side.sign * qty - (fee if asset == "BTC" else ZERO)
        quote -= side.sign * qty * px + (fee if asset == "USDT" else ZERO)
        bnb -= fee if asset == "BNB" else ZERO
    moved = ledger.explained()
    assert (moved.get("BTC", ZERO), moved.get("USDT", ZERO), moved.get("BNB", ZERO)) == (base, quote, bnb)
    assert ledger.net_qty(SYMBOL) == base
    mark = Decimal("1234.56")
    profit = sum((p.realized + p.qty * (mark - p.avg_px) for p in ledger.positions()), ZERO)
    assert abs(profit - (quote + base * mark)) < Decimal("1e-12")


@given(st.lists(st.tuples(st.sampled_from(Side), QTYS, PRICES), min_size=1, max_size=12), st.data())
@settings(deadline=None)
def test_fills_are_associative(fills: list[tuple[Side, Decimal, Decimal]], data: st.DataObject) -> None:
    """One fill, or the same in pieces at its price: the same position."""
    whole, pieces = a_ledger(), a_ledger()
    for number, (side, qty, px) in enumerate(fills, start=1):
        first = data.draw(st.decimals(min_value=0, max_value=qty, places=3))
        book(whole, side, qty, px, at=10 * number)
        for at, part in ((10 * number, first), (10 * number + 1, qty - first)):
            book(pieces, side, part, px, at=at)
    (one,), (many,) = whole.positions(), pieces.positions()
    assert one.qty == many.qty
    assert abs(one.avg_px - many.avg_px) < Decimal("1e-15")
    assert abs(one.realized - many.realized) < Decimal("1e-12")


@given(FILLS.map(lambda fills: fills[: TAIL - 1]), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_fills_give_the_same_position_in_every_order_of_arrival(
    fills: list[tuple[Side, Decimal, Decimal, tuple[Decimal, str]]], random: object
) -> None:
    numbered = list(enumerate(fills, start=1))
    straight, shuffled = a_ledger(), a_ledger()
    for number, fill in numbered:
        book(straight, *fill, at=number)
    random.shuffle(numbered)  # type: ignore[attr-defined]  # hypothesis gives it as an object
    for number, fill in numbered:
        book(shuffled, *fill, at=number)
    assert list(straight.positions()) == list(shuffled.positions())


def test_a_late_fill_within_the_tail_is_folded_where_it_belongs_and_an_older_one_where_it_comes() -> None:
    ledger = a_ledger()
    for at in range(2, 2 + 2 * TAIL):
        book(ledger, BUY if at % 2 else SELL, "1", str(100 + at), at=at * 10)
    entry = ledger.entries[SYMBOL, ONE]
    assert len(entry.tail) == TAIL
    before = entry.cash
    book(ledger, BUY, "1", "50", at=1)
    assert entry.cash == before - 50
    assert entry.tail[0][0][0] == 1


@given(FILLS.filter(bool), st.data())
@settings(deadline=None)
def test_a_fill_taken_back_leaves_nothing_behind(
    fills: list[tuple[Side, Decimal, Decimal, tuple[Decimal, str]]], data: st.DataObject
) -> None:
    victim = data.draw(st.integers(max(1, len(fills) - TAIL + 1), len(fills)))
    with_undo, without = a_ledger(), a_ledger()
    for number, fill in enumerate(fills, start=1):
        book(with_undo, *fill, at=number)
        if number != victim:
            book(without, *fill, at=number)
    book(with_undo, *fills[victim - 1], at=victim, undo=True)
    entry, other = with_undo.entries[SYMBOL, ONE], without.entries.get((SYMBOL, ONE))
    assert entry.qty == (other.qty if other else ZERO)
    assert entry.cash == (other.cash if other else ZERO)
    assert {asset: fee for asset, fee in entry.fees.items() if fee} == (
        {asset: fee for asset, fee in other.fees.items() if fee} if other else {}
    )
    if len(fills) < TAIL and other is not None:
        assert entry.cost == other.cost


def test_a_fill_older_than_the_tail_is_taken_back_by_its_opposite() -> None:
    ledger = a_ledger()
    for at in range(1, 2 * TAIL + 1):
        book(ledger, BUY, "1", "100", at=at)
    position = book(ledger, BUY, "1", "100", at=1, undo=True)
    assert (position.qty, position.avg_px, position.realized) == (Decimal(2 * TAIL - 1), Decimal(100), ZERO)


def test_strategies_stand_side_by_side_and_sum_to_what_the_venue_nets() -> None:
    ledger = a_ledger()
    book(ledger, BUY, "0.3", "100", at=1, strategy=ONE)
    book(ledger, SELL, "0.1", "100", at=2, strategy=TWO)
    assert ledger.net_qty(SYMBOL) == Decimal("0.2")
    assert [position.qty for position in ledger.positions(TWO)] == [Decimal("-0.1")]
    assert ledger.net_qty(Symbol("ETHUSDT")) == 0


def test_folding_keeps_a_flat_position_free_of_cost() -> None:
    assert fold(Decimal(1), Decimal(100), Decimal(-1), Decimal(7)) == (ZERO, ZERO)
    assert fold(Decimal(2), Decimal(100), Decimal(0), Decimal(7)) == (Decimal(2), Decimal(100))


@pytest.mark.parametrize(
    "field, value",
    [
        ("symbol", "OTHER"),
        ("qty", Decimal(7)),
        ("cost", Decimal(-5)),
        ("cost", Decimal(7)),
        ("fees", {"": Decimal(1)}),
        ("updated_ns", -1),
        ("cash", Decimal("NaN")),
        ("base_cost", Decimal(1)),
        ("tail", []),
    ],
)
def test_an_impossible_entry_is_noticed(field: str, value: object) -> None:
    ledger = a_ledger()
    book(ledger, BUY, "1", "100", at=1)
    book(ledger, BUY, "1", "100", at=2)
    setattr(ledger.entries[SYMBOL, ONE], field, value)
    with pytest.raises(InvariantViolation) as caught:
        ledger.check()
    assert "one" in str(caught.value)


def test_an_entry_that_is_flat_with_cost_or_out_of_order_is_noticed() -> None:
    ledger = a_ledger()
    book(ledger, BUY, "1", "100", at=1)
    book(ledger, SELL, "1", "100", at=2)
    entry = ledger.entries[SYMBOL, ONE]
    entry.tail.reverse()
    with pytest.raises(InvariantViolation, match="not in order"):
        ledger.check()
    entry.cost = Decimal(1)
    with pytest.raises(InvariantViolation, match="flat with cost"):
        ledger.check()
