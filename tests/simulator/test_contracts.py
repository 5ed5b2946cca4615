"""Linear contracts in the core: positions, profit, margin, reduce-only, funding, liquidation, conditional orders."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.simulator.core import contracts, margin
from tools.simulator.core.accounts import Account
from tools.simulator.core.algos import Algo, AlgoLeg, AlgoStatus
from tools.simulator.core.clock import ManualClock
from tools.simulator.core.exchange import Exchange
from tools.simulator.core.listener import Listener, WalletChange
from tools.simulator.core.model import (
    ExecType,
    Execution,
    MarginMode,
    MarketKind,
    Order,
    OrdStatus,
    OrdType,
    PositionSide,
    PriceKind,
    Reject,
    RejectReason,
    Side,
    SymbolSpec,
    TimeInForce,
)

SYMBOL = "BTCUSDT"


class Ears(Listener):
    def __init__(self) -> None:
        self.wallets: list[tuple[str, WalletChange]] = []
        self.executions: list[tuple[str, ExecType, str]] = []
        self.algos: list[tuple[int, AlgoStatus]] = []

    def on_wallet(self, account: Account, change: WalletChange) -> None:
        self.wallets.append((account.name, change))

    def on_execution(self, order: Order, execution: Execution) -> None:
        self.executions.append((order.cl_ord_id, execution.exec_type, order.expiry_reason))

    def on_algo(self, algo: Algo) -> None:
        self.algos.append((algo.algo_id, algo.status))


class Desk:
    """An exchange with one contract and two accounts that pay commission."""

    def __init__(self, *, contract_size: str = "1", wallet: str = "10000", rate: str = "0.0005") -> None:
        self.ex = Exchange(ManualClock())
        spec = SymbolSpec(
            symbol=SYMBOL,
            base="BTC",
            quote="USDT",
            tick_size=Decimal("0.1"),
            step_size=Decimal("0.001"),
            kind=MarketKind.LINEAR,
            contract_size=Decimal(contract_size),
        )
        self.market = self.ex.add_market(spec)
        self.ears = Ears()
        self.ex.listeners.append(self.ears)
        self._sent = 0
        for name in ("alpha", "beta"):
            fee = Decimal(rate)
            self.ex.accounts.create(name, {"USDT": Decimal(wallet)}, maker_rate=fee, taker_rate=fee)

    def account(self, name: str) -> Account:
        return self.ex.accounts.by_name[name]

    def send(self, name: str, side: str, qty: str, price: str | None = None, **fields: object) -> Order:
        self._sent += 1
        order = Order(
            symbol=SYMBOL,
            account=self.account(name),
            cl_ord_id=f"o{self._sent}",
            side=Side(side),
            ord_type=OrdType.MARKET if price is None else OrdType.LIMIT,
            price=Decimal(price or 0),
            order_qty=Decimal(qty),
            **fields,  # type: ignore[arg-type]
        )
        self.ex.submit(order)
        return order

    def cross(self, buyer: str, seller: str, qty: str, price: str) -> None:
        """The seller rests, the buyer takes."""
        self.send(seller, "SELL", qty, price)
        self.send(buyer, "BUY", qty, price, time_in_force=TimeInForce.IOC)

    def wallet(self, name: str) -> margin.Wallet:
        return margin.wallet(self.ex, self.account(name), "USDT")


def test_entry_is_averaged_profit_booked_and_commission_paid_in_quote() -> None:
    desk = Desk()
    desk.cross("alpha", "beta", "0.1", "90000")
    desk.cross("alpha", "beta", "0.3", "92000")
    position = desk.account("alpha").position(SYMBOL)
    assert (position.qty, position.entry_px) == (Decimal("0.4"), Decimal(91500))
    desk.cross("beta", "alpha", "0.1", "93000")
    assert position.realized == Decimal(150)
    assert (position.qty, position.entry_px) == (Decimal("0.3"), Decimal(91500))
    paid = (Decimal(9000) + Decimal(27600) + Decimal(9300)) * Decimal("0.0005")
    assert desk.account("alpha").balance("USDT").free == Decimal(10000) + 150 - paid


def test_one_way_position_flips_through_zero() -> None:
    desk = Desk(rate="0")
    desk.cross("alpha", "beta", "0.1", "90000")
    desk.cross("beta", "alpha", "0.25", "91000")
    position = desk.account("alpha").position(SYMBOL)
    assert (position.qty, position.entry_px, position.realized) == (Decimal("-0.15"), Decimal(91000), Decimal(100))


def test_a_contract_of_another_size_counts_its_base_units() -> None:
    desk = Desk(contract_size="0.01", rate="0.001")
    desk.cross("alpha", "beta", "10", "90000")  # ten contracts of 0.01 BTC
    assert desk.account("alpha").balance("USDT").free == Decimal(10000) - Decimal(9)
    desk.cross("beta", "alpha", "10", "91000")
    assert desk.account("alpha").position(SYMBOL).realized == Decimal(100)


def test_margin_bounds_what_may_be_opened_and_never_what_closes() -> None:
    desk = Desk(wallet="1000", rate="0")
    desk.account("alpha").margin(SYMBOL).leverage = Decimal(10)
    desk.send("alpha", "BUY", "0.1", "90000")  # binds 900
    assert desk.wallet("alpha").available == Decimal(100)
    with pytest.raises(Reject) as refused:
        desk.send("alpha", "BUY", "0.1", "90000")
    assert refused.value.reason is RejectReason.INSUFFICIENT_MARGIN
    desk.send("alpha", "SELL", "0.1", "95000")  # the other side of a one-way book binds nothing more up to 950
    assert desk.wallet("alpha").order_margin == Decimal(950)
    desk.send("beta", "SELL", "0.1", "90000")
    assert desk.wallet("alpha").order_margin == 0  # the sell now closes what the buy opened


def test_reduce_only_is_refused_flat_trimmed_and_expired_with_the_position() -> None:
    desk = Desk(rate="0")
    with pytest.raises(Reject) as refused:
        desk.send("alpha", "SELL", "0.1", "95000", reduce_only=True)
    assert refused.value.reason is RejectReason.REDUCE_ONLY
    desk.cross("alpha", "beta", "0.1", "90000")
    resting = desk.send("alpha", "SELL", "0.5", "95000", reduce_only=True)
    desk.send("beta", "BUY", "0.3", "90000")
    closing = desk.send("alpha", "SELL", "0.3", reduce_only=True)
    assert closing.cum_qty == Decimal("0.1")
    assert closing.ord_status is OrdStatus.EXPIRED
    assert desk.account("alpha").position(SYMBOL).qty == 0
    assert (resting.ord_status, resting.expiry_reason) == (OrdStatus.EXPIRED, "REDUCE_ONLY")


def test_a_resting_reduce_only_order_trades_no_more_than_the_position() -> None:
    desk = Desk(rate="0")
    desk.cross("alpha", "beta", "0.1", "90000")
    resting = desk.send("alpha", "SELL", "0.5", "90500", reduce_only=True)
    taker = desk.send("beta", "BUY", "0.4", "90500")
    assert (resting.cum_qty, taker.cum_qty) == (Decimal("0.1"), Decimal("0.1"))
    assert not resting.is_live


def test_hedge_mode_holds_both_sides_and_closes_by_side() -> None:
    desk = Desk(rate="0")
    contracts.set_hedge(desk.ex, desk.account("alpha"), True)
    desk.send("beta", "SELL", "0.2", "90000")
    desk.send("alpha", "BUY", "0.2", "90000", position_side=PositionSide.LONG)
    desk.send("beta", "BUY", "0.1", "89000")
    desk.send("alpha", "SELL", "0.1", "89000", position_side=PositionSide.SHORT)
    alpha = desk.account("alpha")
    assert alpha.position(SYMBOL, PositionSide.LONG).qty == Decimal("0.2")
    assert alpha.position(SYMBOL, PositionSide.SHORT).qty == Decimal("-0.1")
    with pytest.raises(Reject):
        desk.send("alpha", "BUY", "0.1", "80000", position_side=PositionSide.BOTH, reduce_only=True)
    desk.send("beta", "SELL", "0.1", "88000")
    desk.send("alpha", "BUY", "0.1", "88000", position_side=PositionSide.SHORT)
    assert alpha.position(SYMBOL, PositionSide.SHORT).realized == Decimal(100)


def test_funding_moves_money_from_long_to_short_at_the_mark_price() -> None:
    desk = Desk(rate="0")
    desk.cross("alpha", "beta", "0.1", "90000")
    contracts.pin_mark(desk.ex, SYMBOL, Decimal(100000))
    contracts.fund(desk.ex, SYMBOL, Decimal("0.0001"))
    assert desk.account("alpha").balance("USDT").free == Decimal(10000) - 1
    assert desk.account("beta").balance("USDT").free == Decimal(10000) + 1
    told = {name: change for name, change in desk.ears.wallets if change.reason == "FUNDING"}
    assert told["alpha"].balances == {"USDT": Decimal(-1)}
    assert told["alpha"].rate == Decimal("0.0001")


def test_an_account_without_maintenance_margin_is_closed_out() -> None:
    desk = Desk(wallet="1000", rate="0")
    desk.account("alpha").margin(SYMBOL).leverage = Decimal(10)
    desk.cross("alpha", "beta", "0.1", "90000")
    before = margin.liquidation_px(desk.ex, desk.account("alpha").position(SYMBOL))
    desk.send("beta", "BUY", "0.1", "80000")
    contracts.pin_mark(desk.ex, SYMBOL, before + 1)
    contracts.tick(desk.ex, 0)
    assert desk.account("alpha").position(SYMBOL).qty == Decimal("0.1")
    contracts.pin_mark(desk.ex, SYMBOL, before - 1)
    contracts.tick(desk.ex, 0)
    assert desk.account("alpha").position(SYMBOL).qty == 0
    assert desk.account("alpha").orders[-1].cl_ord_id.startswith("liquidation-")


def test_isolated_margin_is_set_apart_and_comes_back() -> None:
    desk = Desk(rate="0")
    alpha = desk.account("alpha")
    contracts.set_margin_mode(desk.ex, alpha, SYMBOL, MarginMode.ISOLATED)
    desk.cross("alpha", "beta", "0.2", "90000")
    assert alpha.position(SYMBOL).isolated_wallet == Decimal(900)
    assert desk.wallet("alpha").available == Decimal(9100)
    assert contracts.add_isolated(desk.ex, alpha.position(SYMBOL), Decimal(100))
    assert not contracts.add_isolated(desk.ex, alpha.position(SYMBOL), Decimal(-500))
    desk.cross("beta", "alpha", "0.1", "90000")
    assert alpha.position(SYMBOL).isolated_wallet == Decimal(500)


def _stop(desk: Desk, price: str, qty: str = "0.1", by: PriceKind = PriceKind.LAST, **fields: object) -> Algo:
    order = Order(
        symbol=SYMBOL,
        account=desk.account("alpha"),
        cl_ord_id=f"child-{price}",
        side=Side.SELL,
        ord_type=OrdType.MARKET,
        order_qty=Decimal(qty),
    )
    leg = AlgoLeg(order=order, rises=False, trigger_px=Decimal(price), trigger_by=by)
    algo = Algo(account=desk.account("alpha"), symbol=SYMBOL, cl_algo_id="stop", legs=(leg,), **fields)  # type: ignore[arg-type]
    return desk.ex.algos.place(algo)


def test_a_conditional_order_waits_fires_and_finishes_with_its_child() -> None:
    desk = Desk(rate="0")
    desk.cross("alpha", "beta", "0.1", "90000")
    algo = _stop(desk, "89000")
    desk.send("beta", "BUY", "0.1", "88000")
    desk.send("beta", "BUY", "0.05", "89000")
    desk.send("beta", "SELL", "0.01", "89000")
    assert algo.status is AlgoStatus.FINISHED
    assert algo.child is not None
    assert algo.child.cum_qty == Decimal("0.1")
    assert [status for _, status in desk.ears.algos] == [
        AlgoStatus.NEW,
        AlgoStatus.TRIGGERING,
        AlgoStatus.TRIGGERED,
        AlgoStatus.FINISHED,
    ]


def test_a_conditional_order_is_refused_only_when_it_fires() -> None:
    desk = Desk(wallet="100", rate="0")
    desk.account("alpha").margin(SYMBOL).leverage = Decimal(1)
    algo = _stop(desk, "89000", by=PriceKind.MARK)
    contracts.pin_mark(desk.ex, SYMBOL, Decimal(89500))
    assert algo.is_open
    contracts.pin_mark(desk.ex, SYMBOL, Decimal(88900))
    assert (algo.status, algo.reason) == (AlgoStatus.REJECTED, RejectReason.INSUFFICIENT_MARGIN)


def test_replace_keeps_its_place_only_where_it_may() -> None:
    desk = Desk(rate="0")
    first, second = desk.send("alpha", "BUY", "0.2", "90000"), desk.send("beta", "BUY", "0.2", "90000")
    desk.ex.replace(first, qty=Decimal("0.1"), keeps_place=True)
    level = desk.market.book.bids.best()
    assert level is not None
    assert list(level.queue) == [first, second]
    desk.ex.replace(first, qty=Decimal("0.05"))
    assert list(level.queue) == [second, first]
    desk.ex.replace(first, price=Decimal(90001))
    best = desk.market.book.bids.best()
    assert best is not None
    assert list(best.queue) == [first]
    with pytest.raises(Reject) as unchanged:
        desk.ex.replace(first, price=Decimal(90001))
    assert unchanged.value.reason is RejectReason.AMEND_NO_CHANGE


def test_a_refused_replace_changes_nothing() -> None:
    desk = Desk(wallet="1000", rate="0")
    desk.account("alpha").margin(SYMBOL).leverage = Decimal(10)
    order = desk.send("alpha", "BUY", "0.1", "90000", post_only=True)
    desk.send("beta", "SELL", "0.01", "91000")
    for change in ({"qty": Decimal(1)}, {"price": Decimal(91000)}):
        with pytest.raises(Reject):
            desk.ex.replace(order, **change)  # type: ignore[arg-type]
    assert (order.price, order.order_qty, order.is_live) == (Decimal(90000), Decimal("0.1"), True)
    assert desk.market.shown_at(Side.BUY, Decimal(90000)) == Decimal("0.1")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["alpha", "beta"]),
            st.sampled_from(["BUY", "SELL"]),
            st.integers(1, 50),
            st.integers(880, 920),
            st.booleans(),
        ),
        max_size=40,
    ),
    st.integers(800, 1000),
)
@settings(max_examples=60, deadline=None)
def test_no_money_is_made_or_lost_between_two_accounts(
    orders: list[tuple[str, str, int, int, bool]], mark: int
) -> None:
    """Whatever two accounts do with each other: positions cancel out, and so do profits at any mark price."""
    desk = Desk(wallet="1000000", rate="0.0003")
    for name, side, qty, price, reduce_only in orders:
        try:
            desk.send(name, side, str(Decimal(qty) / 1000), str(price * 100), reduce_only=reduce_only)
        except Reject as reject:
            assert reject.reason is RejectReason.REDUCE_ONLY  # noqa: PT017  nothing else may be refused here
    contracts.pin_mark(desk.ex, SYMBOL, Decimal(mark * 100))
    both = [desk.account(name) for name in ("alpha", "beta")]
    assert sum(account.position(SYMBOL).qty for account in both) == 0
    commissions = sum((fill.commission for account in both for fill in account.fills.get(SYMBOL, [])), Decimal(0))
    equity = sum((desk.wallet(account.name).equity for account in both), Decimal(0))
    assert abs(equity + commissions - 2_000_000) < Decimal("0.00001")
    for account in both:
        position = account.position(SYMBOL)
        for order in account.open_orders.values():
            assert not order.reduce_only or margin.reducible(order) > 0
        assert (position.entry_px == 0) == (position.qty == 0)
