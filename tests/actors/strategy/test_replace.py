"""`Strategy.replace`: the venue's capabilities decide how an order gets other terms."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from actors.strategy.base import Strategy
from protocols.control import TradingStateIs
from protocols.enums import CxlRejReason, CxlRejResponseTo, ExecType, OrdRejReason, OrdStatus, TradingState
from protocols.ids import ClOrdID
from protocols.orders import ROUTER, CancelRejected, NewOrder
from protocols.positions import AccountResynced
from protocols.venue import Capabilities
from protocols.venues.registry import VENUES
from tests.actors.strategy.bench import ACCOUNT, BTC, VENUE, Bench, D, Side, TimeInForce, held, quote, resting
from tests.actors.strategy.test_actor import ACCOUNT_PATH

PLAIN = attrs.evolve(VENUES["binance-spot"].capabilities, amends=False, amends_price=False, cancel_replace=False)
IN_PLACE = attrs.evolve(PLAIN, amends=True, amends_price=True)
BY_ORDER = attrs.evolve(PLAIN, amends=True, cancel_replace=True)


async def started(able: Capabilities | None) -> Bench:
    bench = Bench(Strategy, capabilities=able)
    await bench.start()
    bench.tell(quote("99", "101"))
    return bench


def rested(bench: Bench, qty: str = "2", price: str = "98", side: Side = Side.BUY, **how: Any) -> NewOrder:
    """A limit order that the venue has confirmed."""
    bench.code.limit(BTC, side, D(qty), D(price), **how)
    (order,) = bench.new_orders()
    bench.ack(order)
    return order


async def test_in_place_by_the_gates_under_its_own_name() -> None:
    bench = await started(IN_PLACE)
    order = rested(bench)
    assert bench.code.replace(order.cl_ord_id, qty=D(3), price=D("98.509")) == order.cl_ord_id
    ((to, amend),) = bench.amends()
    assert to == ROUTER
    assert (amend.order_qty, amend.price, amend.cl_ord_id) == (D(3), D("98.50"), order.cl_ord_id), "the passive side"
    assert amend.request_id not in ("", order.cl_ord_id)
    assert bench.code.replace(order.cl_ord_id, qty=D(4)) is None, "one change at a time"
    changed = attrs.evolve(bench.report(order, ExecType.REPLACED, OrdStatus.NEW), order_qty=D(3), price=D("98.5"))
    bench.tell(changed)
    (mine,) = bench.code.open_orders(BTC)
    assert (mine.order_qty, mine.price, mine.replacing) == (D(3), D("98.5"), "")
    assert bench.code.replace(order.cl_ord_id, price=D(97)) == order.cl_ord_id
    ((_, second),) = bench.amends()
    assert (second.order_qty, second.price) == (D(3), D(97))
    assert second.request_id != amend.request_id


@pytest.mark.parametrize("able", [IN_PLACE, BY_ORDER])
async def test_less_at_the_same_price_goes_straight_to_the_account_in_every_state(able: Capabilities) -> None:
    bench = await started(able)
    order = rested(bench)
    bench.tell(TradingStateIs("firm", TradingState.REDUCING, "test"))
    assert bench.code.replace(order.cl_ord_id, qty=D(1)) == order.cl_ord_id
    ((to, amend),) = bench.amends()
    assert (to, amend.order_qty, amend.price, amend.request_id) == (ACCOUNT_PATH, D(1), None, "")


async def test_by_another_order_that_names_the_one_which_it_replaces() -> None:
    bench = await started(BY_ORDER)
    order = rested(bench, post_only=True)
    bench.fill(order, "0.5", "98")
    new_id = bench.code.replace(order.cl_ord_id, price=D("98.2"))
    (new,) = bench.new_orders()
    assert new.cl_ord_id == new_id != order.cl_ord_id
    assert (new.orig_cl_ord_id, new.order_qty, new.price) == (order.cl_ord_id, D("1.5"), D("98.2"))
    assert (new.exec_inst, new.time_in_force, new.side) == (order.exec_inst, TimeInForce.GTC, Side.BUY)
    assert bench.code.replace(order.cl_ord_id, price=D(97)) is None
    bench.end(order)
    bench.ack(new)
    (mine,) = bench.code.open_orders(BTC)
    assert mine.cl_ord_id == new_id


async def test_a_refused_replacement_can_be_tried_again_after_the_hold_off() -> None:
    bench = await started(BY_ORDER)
    order = rested(bench)
    bench.code.replace(order.cl_ord_id, price=D(97))
    (new,) = bench.new_orders()
    rejected = CancelRejected(order.cl_ord_id, CxlRejReason.VENUE, "not now", CxlRejResponseTo.REPLACE)
    bench.tell(rejected)
    bench.refuse(new, OrdRejReason.NOT_SENT)
    (mine,) = bench.code.open_orders(BTC)
    assert (mine.cl_ord_id, mine.replacing, mine.canceling) == (order.cl_ord_id, "", False)
    assert bench.code.replace(order.cl_ord_id, price=D(97)) is None, "held off"
    bench.advance(0.2)
    assert bench.code.replace(order.cl_ord_id, price=D(97)) is not None
    bench.code.cancel(order.cl_ord_id)
    assert [cancel.cl_ord_id for cancel in bench.cancels()] == [order.cl_ord_id], "its cancel is not held up"


async def test_a_refusal_by_a_gate_frees_the_old_order_too() -> None:
    bench = await started(BY_ORDER)
    order = rested(bench)
    bench.code.replace(order.cl_ord_id, price=D(97))
    (new,) = bench.new_orders()
    bench.refuse(new)
    assert [mine.replacing for mine in bench.code.open_orders(BTC)] == [""]


async def test_a_refused_amend_holds_off_and_leaves_the_order() -> None:
    bench = await started(IN_PLACE)
    order = rested(bench)
    bench.code.replace(order.cl_ord_id, qty=D(3))
    bench.tell(CancelRejected(order.cl_ord_id, CxlRejReason.RISK, "max_exposure", CxlRejResponseTo.REPLACE))
    (mine,) = bench.code.open_orders(BTC)
    assert (mine.order_qty, mine.replacing) == (D(2), "")
    assert not bench.code.can_trade(BTC)
    assert bench.actor.inspect()["last_refusal"] == "risk: max_exposure"


async def test_what_cannot_be_replaced_now() -> None:
    bench = await started(IN_PLACE)
    assert bench.code.replace(ClOrdID("whose"), price=D(97)) is None
    bench.code.limit(BTC, Side.BUY, D(2), D(98))
    (unconfirmed,) = bench.new_orders()
    assert bench.code.replace(unconfirmed.cl_ord_id, price=D(97)) is None
    bench.ack(unconfirmed)
    bench.fill(unconfirmed, "1")
    assert bench.code.replace(unconfirmed.cl_ord_id, qty=D(1)) is None, "so much is filled: cancel it"
    assert bench.code.replace(unconfirmed.cl_ord_id) == unconfirmed.cl_ord_id, "nothing to do"
    assert bench.code.replace(unconfirmed.cl_ord_id, qty=D("0.0001")) is None
    bench.code.cancel(unconfirmed.cl_ord_id)
    assert bench.code.replace(unconfirmed.cl_ord_id, price=D(97)) is None
    bench.cancels()
    assert not bench.amends()


@pytest.mark.parametrize("able", [PLAIN, None])
async def test_a_venue_that_can_do_neither_is_left_in_peace(able: Capabilities | None) -> None:
    bench = await started(able)
    order = rested(bench)
    assert bench.code.replace(order.cl_ord_id, price=D(97)) is None
    assert not bench.amends()
    assert not bench.new_orders()


async def test_while_reducing_only_what_closes_may_be_replaced() -> None:
    bench = Bench(Strategy, capabilities=IN_PLACE)
    bench.positions = (held("3", "99"),)
    await bench.start()
    bench.tell(quote("99", "101"))
    buying, closing = rested(bench), rested(bench, "2", "103", Side.SELL)
    bench.tell(TradingStateIs("firm", TradingState.REDUCING, "test"))
    assert bench.code.replace(buying.cl_ord_id, qty=D(3)) is None
    assert bench.code.replace(closing.cl_ord_id, qty=D(4)) is None, "two more than the two that rest are four"
    assert bench.code.replace(closing.cl_ord_id, qty=D(3), price=D(102)) == closing.cl_ord_id


async def test_after_a_restart_the_picture_says_what_is_on_its_way() -> None:
    bench = await started(BY_ORDER)
    order = rested(bench, post_only=True)
    bench.open_orders = (resting(order, amend_qty=D(3), amend_id="r9"),)
    await bench.start()
    (mine,) = bench.code.open_orders(BTC)
    assert (mine.replacing, mine.exec_inst, mine.time_in_force) == ("r9", order.exec_inst, TimeInForce.GTC)
    bench.open_orders = ()
    before = attrs.evolve(bench.picture(), made=(0, 0))
    bench.actor._made = (1, 5)
    bench.tell(AccountResynced(ACCOUNT, VENUE, before, ""))
    assert bench.code.open_orders(BTC) == (mine,), "a picture older than the one begun with is not taken"
