"""Order entry and orders that replace another: one request, two orders, each with its own answer."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest

from actors.venue.order_queue import OrderQueue
from actors.venue.outcomes import Outcomes
from protocols.enums import ExecType, OrdRejReason
from protocols.ids import ClOrdID, OrderID
from protocols.orders import (
    ExecutionReport,
    NewOrder,
    NotSent,
    OrderInDoubt,
    RequestSent,
    SubmitAmend,
    SubmitCancel,
    SubmitCancels,
    SubmitOrder,
    SubmitReplace,
    VenueCancelReject,
    VenueReject,
)
from supervisors.actor import Actor
from supervisors.testing import RecordingContext
from tests.actors.venue.spot import ACCOUNT, BTC, CLOCK, ENTRY, LIMITER, PRIVATE, Spot, sessions
from tools.simulator import Fault, FaultKind

REPLACE = "order.cancelReplace"


async def resting(spot: Spot) -> tuple[NewOrder, OrderID]:
    """An order that the venue has confirmed, and the venue's name for it."""
    order = spot.order()
    spot.submit(order)
    return order, (await spot.account.one(ExecutionReport)).order_id


def replace(spot: Spot, old: NewOrder, order_id: OrderID | None, **changes: object) -> NewOrder:
    new = attrs.evolve(spot.order(), orig_cl_ord_id=old.cl_ord_id, **changes)  # type: ignore[arg-type]
    spot.world.tell(ENTRY, SubmitReplace(new, order_id, ACCOUNT))
    return new


@pytest.mark.parametrize("by_rest", [False, True])
async def test_each_half_of_the_answer_goes_to_its_own_order(by_rest: bool) -> None:
    async with sessions(only=(ENTRY,)) as spot:
        await spot.trading()
        old, order_id = await resting(spot)
        if by_rest:
            spot.world.actor(ENTRY)._keeper.current.socket.abort("cut by the test")
        new = replace(spot, old, order_id)
        ended = await spot.account.one(ExecutionReport, lambda each: each.exec_type is ExecType.CANCELED)
        made = await spot.account.one(ExecutionReport, lambda each: each.cl_ord_id == new.cl_ord_id)
        assert (ended.cl_ord_id, made.exec_type) == (old.cl_ord_id, ExecType.NEW)
        assert {sent.cl_ord_id for sent in spot.account.of(RequestSent)} == {old.cl_ord_id, new.cl_ord_id}
        assert [order.cl_ord_id for order in spot.sim.open_orders("master")] == [new.cl_ord_id]
        assert spot.world.inspect(ENTRY)["by_rest"] == int(by_rest)


@pytest.mark.parametrize("by_rest", [False, True])
async def test_an_old_order_that_is_gone_leaves_no_new_one(by_rest: bool) -> None:
    async with sessions(only=(ENTRY,)) as spot:
        await spot.trading()
        old, order_id = await resting(spot)
        spot.cancel(old.cl_ord_id)
        await spot.account.one(ExecutionReport, lambda each: each.exec_type is ExecType.CANCELED)
        if by_rest:
            spot.world.actor(ENTRY)._keeper.current.socket.abort("cut by the test")
        new = replace(spot, old, order_id)
        gone = await spot.account.one(VenueCancelReject)
        refused = await spot.account.one(VenueReject)
        assert (gone.cl_ord_id, gone.order_gone) == (old.cl_ord_id, True)
        assert refused.cl_ord_id == new.cl_ord_id
        assert not spot.sim.open_orders("master")


async def test_a_new_order_that_the_venue_refuses_does_not_hide_the_end_of_the_old_one() -> None:
    async with sessions(only=(ENTRY,)) as spot:
        await spot.trading()
        old, order_id = await resting(spot)
        new = replace(spot, old, order_id, order_qty=Decimal(100))
        refused = await spot.account.one(VenueReject)
        assert (refused.cl_ord_id, refused.reason) == (new.cl_ord_id, OrdRejReason.INSUFFICIENT_BALANCE)
        ended = await spot.account.one(ExecutionReport, lambda each: each.exec_type is ExecType.CANCELED)
        assert ended.cl_ord_id == old.cl_ord_id


@pytest.mark.parametrize("kind", [FaultKind.CUT_AFTER, FaultKind.LOST_REPLY])
async def test_a_replacement_that_left_and_was_not_answered_puts_both_in_doubt(kind: FaultKind) -> None:
    async with sessions(only=(ENTRY, PRIVATE)) as spot:
        await spot.trading()
        old, order_id = await resting(spot)
        spot.sim.strike(Fault(kind=kind, match=REPLACE, count=1))
        new = replace(spot, old, order_id)
        doubts = await spot.account.wait_for(OrderInDoubt, 2)
        assert [(doubt.cl_ord_id, doubt.cancel) for doubt in doubts] == [(old.cl_ord_id, True), (new.cl_ord_id, False)]
        assert spot.sim.arrivals(new.cl_ord_id).seen == 1


async def test_a_replacement_is_never_sent_twice() -> None:
    async with sessions(only=(ENTRY,)) as spot:
        await spot.trading()
        old, order_id = await resting(spot)
        new = replace(spot, old, order_id)
        await spot.account.one(ExecutionReport, lambda each: each.cl_ord_id == new.cl_ord_id)
        spot.world.tell(ENTRY, SubmitReplace(new, order_id, ACCOUNT))
        doubts = await spot.account.wait_for(OrderInDoubt, 2)
        assert {doubt.cl_ord_id for doubt in doubts} == {old.cl_ord_id, new.cl_ord_id}
        assert spot.sim.arrivals(new.cl_ord_id).seen == 1


async def test_a_filter_that_refuses_the_whole_leaves_the_old_order() -> None:
    async with sessions(only=(ENTRY,)) as spot:
        await spot.trading()
        old, order_id = await resting(spot)
        new = replace(spot, old, order_id, order_qty=Decimal(8_000))
        kept, refused = await spot.account.one(VenueCancelReject), await spot.account.one(VenueReject)
        assert (kept.cl_ord_id, kept.order_gone) == (old.cl_ord_id, False)
        assert (refused.cl_ord_id, refused.reason) == (new.cl_ord_id, OrdRejReason.MIN_NOTIONAL)
        assert [order.cl_ord_id for order in spot.sim.open_orders("master")] == [old.cl_ord_id]


async def test_what_can_not_leave_is_refused_for_both() -> None:
    async with sessions(only=(ENTRY,)) as spot:
        await spot.trading()
        old, order_id = await resting(spot)
        new = replace(spot, old, order_id, created_ns=1)
        stale = await spot.account.wait_for(NotSent, 2)
        assert [(each.cl_ord_id, each.cancel, each.reason) for each in stale] == [
            (old.cl_ord_id, True, OrdRejReason.STALE),
            (new.cl_ord_id, False, OrdRejReason.STALE),
        ]
        assert [order.cl_ord_id for order in spot.sim.open_orders("master")] == [old.cl_ord_id]


async def test_an_amend_that_the_venue_has_no_words_for_says_so_and_which_it_was() -> None:
    async with sessions(only=(ENTRY,)) as spot:
        await spot.trading()
        old, order_id = await resting(spot)
        qty, price = old.order_qty, (old.price or Decimal(0)) + 1
        amend = SubmitAmend(old.cl_ord_id, order_id, BTC, qty, ACCOUNT, old.side, price, is_free=True, number=3)
        spot.world.tell(ENTRY, amend)
        refused = await spot.account.one(NotSent)
        assert (refused.reason, refused.cancel, refused.amend) == (OrdRejReason.UNSUPPORTED, True, 3)
        assert "binance-spot" in refused.text


# ---- what waits for a permit --------------------------------------------------------------------------------------


class _Nobody(Actor):
    """Whom the outcomes speak for."""


def waiting(spot_order: NewOrder) -> tuple[OrderQueue, RecordingContext, SubmitReplace]:
    actor = _Nobody()
    ctx = RecordingContext(actor, ENTRY)
    queue = OrderQueue(Outcomes(actor, limiter=LIMITER, clock=CLOCK, settle_after_ns=1))
    message = SubmitReplace(spot_order, OrderID("7"), ACCOUNT)
    queue.add(message, 0)
    return queue, ctx, message


@pytest.fixture
def new() -> NewOrder:
    from tests.actors.risk.world import order

    return attrs.evolve(order(), cl_ord_id=ClOrdID("new"), orig_cl_ord_id=ClOrdID("old"))


@pytest.mark.parametrize("canceled", ["new", "old"])
def test_a_cancel_of_either_order_ends_a_replacement_that_waits_and_goes_to_the_old_one(
    new: NewOrder, canceled: str
) -> None:
    queue, ctx, _ = waiting(new)
    left = queue.without_waiting(
        SubmitCancel(ClOrdID(canceled), None if canceled == "new" else OrderID("7"), BTC, ACCOUNT)
    )
    assert left == SubmitCancel(ClOrdID("old"), OrderID("7"), BTC, ACCOUNT)
    ((to, refused),) = ctx.take()
    assert isinstance(refused, NotSent)
    assert (to, refused.cl_ord_id, refused.cancel) == (ACCOUNT, "new", False), (
        "the old one hears the answer to its cancel"
    )
    assert not len(queue)


def test_a_cancel_of_many_names_the_old_one_once(new: NewOrder) -> None:
    queue, ctx, _ = waiting(new)
    queue.add(SubmitOrder(attrs.evolve(new, cl_ord_id=ClOrdID("plain"), orig_cl_ord_id=None), ACCOUNT), 0)
    names = tuple((ClOrdID(name), OrderID("7") if name == "old" else None) for name in ("old", "new", "plain", "other"))
    left = queue.without_waiting(SubmitCancels(BTC, names, True, ACCOUNT))
    assert isinstance(left, SubmitCancels)
    assert left.orders == ((ClOrdID("old"), OrderID("7")), (ClOrdID("new"), None), (ClOrdID("other"), None))
    assert [message.cl_ord_id for _, message in ctx.take() if isinstance(message, NotSent)] == ["new", "plain"]


def test_a_replacement_that_waited_too_long_is_refused_for_both(new: NewOrder) -> None:
    queue, ctx, message = waiting(new)
    assert queue.take(5) == [message]
    queue.add(message, 0)
    queue.give_up(1)
    refused = [told for _, told in ctx.take() if isinstance(told, NotSent)]
    assert [(each.cl_ord_id, each.cancel) for each in refused] == [("old", True), ("new", False)]
