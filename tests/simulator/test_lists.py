"""Order lists in the matching engine: who locks, who expires, who is woken."""

from __future__ import annotations

import pytest

from tests.simulator.exchange_kit import D, Kit
from tests.simulator.test_exchange import set_last
from tools.simulator.core import lists, outside
from tools.simulator.core.accounts import Account
from tools.simulator.core.lists import OrderList
from tools.simulator.core.model import OrdStatus, OrdType, Reject, RejectReason, StpMode


def oco(kit: Kit, account: Account) -> OrderList:
    """Sell one: take profit at 110, stop at 90."""
    made = OrderList(list_id=1, symbol="BTCUSDT", account=account, cl_list_id="l", contingency="OCO")
    made.legs = [
        kit.order(account, "SELL", "1", ord_type=OrdType.STOP_LOSS, stop_px=D("90"), cl_ord_id="stop"),
        kit.order(account, "SELL", "1", "110", ord_type=OrdType.LIMIT_MAKER, cl_ord_id="profit"),
    ]
    lists.submit_oco(kit.exchange, made)
    return made


def test_oco_locks_once_and_the_traded_leg_expires_its_twin() -> None:
    kit = Kit(rate="0")
    a, b = kit.account("a", btc="1"), kit.account("b")
    set_last(kit, "100")
    made = oco(kit, a)
    assert (a.balance("BTC").free, a.balance("BTC").locked) == (D(0), D(1))
    kit.place(b, "BUY", "0.4", "110")
    stop, profit = made.legs
    assert (stop.ord_status, stop.expiry_reason) == (OrdStatus.EXPIRED, "OCO_TRIGGER")
    assert (profit.ord_status, made.order_status) == (OrdStatus.PARTIALLY_FILLED, "EXECUTING")
    kit.place(b, "BUY", "0.6", "110")
    assert made.order_status == "ALL_DONE"
    assert kit.heard.lists == [("EXEC_STARTED", "EXECUTING"), ("ALL_DONE", "ALL_DONE")]
    assert (a.balance("BTC").locked, a.balance("USDT").free) == (D(0), D(1_000_110))


def test_oco_stop_takes_over_the_lock_when_it_triggers() -> None:
    kit = Kit(rate="0")
    a = kit.account("a", btc="1")
    set_last(kit, "100")
    made = oco(kit, a)
    outside.quote(kit.exchange, "BTCUSDT", made.legs[0].side.opposite, D(1), D("89"))
    set_last(kit, "90")
    stop, profit = made.legs
    assert (stop.ord_status, profit.ord_status) == (OrdStatus.FILLED, OrdStatus.EXPIRED)
    assert (a.balance("BTC").total, a.balance("BTC").locked) == (D(0), D(0))
    assert made.is_done


def test_a_triggered_stop_limit_leg_rests_with_the_lock() -> None:
    kit = Kit(rate="0")
    a, b = kit.account("a", btc="1"), kit.account("b")
    set_last(kit, "100")
    made = OrderList(list_id=1, symbol="BTCUSDT", account=a, cl_list_id="l", contingency="OCO")
    stop = kit.order(a, "SELL", "1", "95", ord_type=OrdType.STOP_LOSS_LIMIT, stop_px=D("90"), cl_ord_id="stop")
    made.legs = [stop, kit.order(a, "SELL", "1", "110", ord_type=OrdType.LIMIT_MAKER, cl_ord_id="profit")]
    lists.submit_oco(kit.exchange, made)
    set_last(kit, "90")
    assert kit.asks() == [("95", "1")]
    assert (a.balance("BTC").free, a.balance("BTC").locked) == (D(0), D(1))
    kit.place(b, "BUY", "1", "95")
    assert made.is_done
    assert (a.balance("BTC").total, a.balance("USDT").free) == (D(0), D(1_000_095))


def test_canceling_one_leg_cancels_the_list() -> None:
    kit = Kit()
    a = kit.account("a", btc="1")
    set_last(kit, "100")
    made = oco(kit, a)
    kit.exchange.cancel(made.legs[0], "gone")
    assert [leg.ord_status for leg in made.legs] == [OrdStatus.CANCELED, OrdStatus.CANCELED]
    assert made.is_done
    assert a.balance("BTC").free == 1


def test_oco_without_the_money_changes_nothing() -> None:
    kit = Kit()
    a = kit.account("a", btc="0.5")
    set_last(kit, "100")
    with pytest.raises(Reject) as caught:
        oco(kit, a)
    assert caught.value.reason is RejectReason.INSUFFICIENT_BALANCE
    assert not a.open_orders
    assert not kit.exchange.lists
    assert a.balance("BTC").free == D("0.5")


def test_prevented_oco_leg_takes_its_twin_along() -> None:
    kit = Kit()
    a = kit.account("a")
    set_last(kit, "100")
    made = oco(kit, a)
    kit.place(a, "BUY", "1", "110", stp_mode=StpMode.EXPIRE_MAKER)
    assert [leg.ord_status for leg in made.legs] == [OrdStatus.EXPIRED, OrdStatus.EXPIRED_IN_MATCH]
    assert made.is_done
    assert a.balance("BTC").locked == 0


def otoco(kit: Kit, account: Account, price: str = "100") -> OrderList:
    """Buy one, then sell it at 120 or stop it at 80."""
    made = OrderList(list_id=2, symbol="BTCUSDT", account=account, cl_list_id="l", contingency="OTO")
    made.working = kit.order(account, "BUY", "1", price, cl_ord_id="working")
    made.legs = [
        made.working,
        kit.order(account, "SELL", "1", ord_type=OrdType.STOP_LOSS, stop_px=D("80"), cl_ord_id="below"),
        kit.order(account, "SELL", "1", "120", ord_type=OrdType.LIMIT_MAKER, cl_ord_id="above"),
    ]
    lists.submit_oto(kit.exchange, made)
    return made


def test_pending_legs_wait_for_the_whole_working_order() -> None:
    kit = Kit(rate="0")
    a, b = kit.account("a", btc="0"), kit.account("b")
    set_last(kit, "100")
    made = otoco(kit, a, "99")
    assert [leg.ord_status for leg in made.legs[1:]] == [OrdStatus.PENDING_NEW] * 2
    kit.place(b, "SELL", "0.5", "99")
    assert made.legs[2].ord_status is OrdStatus.PENDING_NEW
    kit.place(b, "SELL", "0.5", "99")
    assert [leg.ord_status for leg in made.legs] == [OrdStatus.FILLED, OrdStatus.NEW, OrdStatus.NEW]
    assert a.balance("BTC").locked == 1
    kit.place(b, "BUY", "1", "120")
    assert made.is_done
    assert a.balance("USDT").free == 1_000_021


def test_pending_leg_without_money_expires_as_rejected() -> None:
    kit = Kit(rate="0.001")  # the fee leaves less than the pending sell needs
    a, b = kit.account("a", btc="0"), kit.account("b")
    set_last(kit, "100")
    made = otoco(kit, a, "99")
    kit.place(b, "SELL", "1", "99")
    assert [leg.expiry_reason for leg in made.legs[1:]] == ["REJECTED", "REJECTED"]
    assert made.is_done


def test_pending_legs_go_with_a_working_order_that_ends() -> None:
    kit = Kit()
    a = kit.account("a")
    set_last(kit, "100")
    made = otoco(kit, a, "99")
    kit.place(a, "SELL", "1", "99", stp_mode=StpMode.EXPIRE_MAKER)
    assert [leg.expiry_reason for leg in made.legs[1:]] == ["OTO_PHASE_ONE_EXPIRED"] * 2
    other = otoco(kit, a, "98")
    kit.exchange.cancel(other.legs[0], "x")
    assert {leg.ord_status for leg in other.legs} == {OrdStatus.CANCELED}
