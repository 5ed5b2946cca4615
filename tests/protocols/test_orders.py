"""Orders as messages: who hears of a refusal, and what an order may still trade."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from protocols import reconcile
from protocols.base import RefusalReason
from protocols.enums import CxlRejReason, ExecType, OrdRejReason, OrdStatus, OrdType, Side
from protocols.ids import AccountID, ClOrdID, OrderID, StrategyID, Symbol, Venue
from protocols.market import Quote
from protocols.orders import (
    AmendOrder,
    CancelOrder,
    CancelRejected,
    ExecutionReport,
    FirmApproved,
    NewOrder,
    OrderBatch,
    OrderRefused,
    RiskApproved,
    RoutedOrder,
    account_gate,
    account_path,
    refuse,
)

D = Decimal
ACCOUNT, VENUE, SYMBOL = AccountID("master"), Venue("binance-spot"), Symbol("BTCUSDT")


def order(number: int = 1) -> NewOrder:
    return NewOrder(
        cl_ord_id=ClOrdID(f"id{number}"),
        account=ACCOUNT,
        strategy=StrategyID("maker"),
        venue=VENUE,
        symbol=SYMBOL,
        side=Side.BUY,
        ord_type=OrdType.LIMIT,
        order_qty=D(1),
        price=D(10),
        created_ns=1,
        reply_to=f"/strategies/{number}",
    )


REASONS = {
    RefusalReason.MAILBOX_FULL: OrdRejReason.OVERLOADED,
    RefusalReason.NOT_READY: OrdRejReason.NOT_READY,
    RefusalReason.ACTOR_DOWN: OrdRejReason.NOT_READY,
    RefusalReason.NO_SUCH_ACTOR: OrdRejReason.NO_ROUTE,
    RefusalReason.POISON: OrdRejReason.NOT_READY,
}


@pytest.mark.parametrize("reason", RefusalReason)
@pytest.mark.parametrize("wrap", [lambda one: one, RoutedOrder, FirmApproved, RiskApproved])
def test_strategy_and_both_gates_hear_of_an_order_that_never_left(wrap: Any, reason: RefusalReason) -> None:
    told = wrap(order()).refusals(reason, "/router")
    assert [path for path, _ in told] == ["/strategies/1", "/risk/firm", "/risk/master"]
    expected = OrderRefused(
        ClOrdID("id1"), ACCOUNT, StrategyID("maker"), VENUE, SYMBOL, REASONS[reason], f"/router: {reason.value}"
    )
    assert {id(message) for _, message in told} == {id(told[0][1])}
    assert told[0][1] == expected
    assert told == refuse(order(), REASONS[reason], f"/router: {reason.value}")


def test_each_order_of_a_batch_is_refused_for_itself() -> None:
    told = OrderBatch((order(1), order(2))).refusals(RefusalReason.MAILBOX_FULL, "/router")
    assert [path for path, _ in told] == [
        "/strategies/1", "/risk/firm", "/risk/master", "/strategies/2", "/risk/firm", "/risk/master",
    ]  # fmt: skip
    assert OrderBatch(()).refusals(RefusalReason.MAILBOX_FULL, "/router") == ()


def test_a_cancel_or_amend_that_was_not_delivered_is_rejected_to_its_sender() -> None:
    cancel = CancelOrder(ClOrdID("id1"), ACCOUNT, VENUE, SYMBOL, "/strategies/1")
    amend = AmendOrder(ClOrdID("id1"), ACCOUNT, VENUE, SYMBOL, D(1), "/strategies/1")
    for command in (cancel, amend):
        ((path, told),) = command.refusals(RefusalReason.ACTOR_DOWN, "/accounts/x")
        assert path == "/strategies/1"
        assert isinstance(told, CancelRejected)
        assert (told.cl_ord_id, told.reason) == ("id1", CxlRejReason.NOT_READY)
        assert "/accounts/x" in told.text


@pytest.mark.parametrize("status", OrdStatus)
def test_a_finished_order_leaves_nothing(status: OrdStatus) -> None:
    report = ExecutionReport(
        ClOrdID("id1"), OrderID("1"), ACCOUNT, StrategyID(""), VENUE, SYMBOL, Side.SELL, ExecType.ORDER_STATUS, status,
        D(10), D(4), 1, 2,
    )  # fmt: skip
    assert report.leaves_qty == (0 if status.is_final else 6)
    assert status.is_final == (status.name in {"FILLED", "CANCELED", "REJECTED", "EXPIRED"})


def test_addresses() -> None:
    assert account_gate(ACCOUNT) == "/risk/master"
    assert account_path(ACCOUNT, VENUE) == "/accounts/master/binance-spot/account"


@pytest.mark.parametrize(
    "address, path",
    [
        (reconcile.reconciler_path(ACCOUNT, VENUE), "/accounts/master/binance-spot/reconciler"),
        (reconcile.entry_path(ACCOUNT, VENUE), "/accounts/master/binance-spot/entry"),
        (reconcile.private_path(ACCOUNT, VENUE), "/accounts/master/binance-spot/private"),
        (reconcile.limiter_path(VENUE), "/venues/binance-spot/limiter"),
        (reconcile.clock_path(VENUE), "/venues/binance-spot/clock"),
        (reconcile.instruments_path(VENUE), "/venues/binance-spot/instruments"),
        (reconcile.rest_path(VENUE), "/venues/binance-spot/rest"),
        (reconcile.public_path(VENUE), "/venues/binance-spot/public"),
        (reconcile.book_path(VENUE, SYMBOL), "/venues/binance-spot/books/BTCUSDT"),
    ],
)
def test_addresses_of_a_venues_actors(address: str, path: str) -> None:
    assert address == path


def test_sides() -> None:
    assert (Side.BUY.sign, Side.SELL.sign) == (1, -1)
    assert (Side.BUY.opposite, Side.SELL.opposite) == (Side.SELL, Side.BUY)


def test_quotes_replace_quotes_of_the_same_symbol_only() -> None:
    def quote(symbol: str) -> Quote:
        return Quote(VENUE, Symbol(symbol), D(9), D(1), D(11), D(1), 1, 2, 3)

    assert quote("A").conflation_key == quote("A").conflation_key
    assert quote("A").conflation_key != quote("B").conflation_key
    assert quote("A").mid == 10
