"""Orders that are changed in place, and orders that replace another: what the account makes of them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from actors.account.settings import SECOND
from actors.account.state import AccountState
from protocols.base import RefusalReason
from protocols.enums import (
    AlarmKind,
    CxlRejReason,
    CxlRejResponseTo,
    DoubtReason,
    ExecType,
    OrdRejReason,
    OrdStatus,
    OrdType,
    Side,
)
from protocols.errors import InvariantViolation
from protocols.ids import ClOrdID
from protocols.journal import AlarmRaised, AmendIntent, CancelIntent, DoubtClosed, DoubtOpened, OrderIntent
from protocols.orders import (
    FIRM_GATE,
    SOME_AMEND,
    AmendClosed,
    AmendOrder,
    CancelAll,
    CancelRejected,
    ExecutionReport,
    NewOrder,
    NotSent,
    OrderInDoubt,
    OrderRefused,
    RequestAcknowledged,
    RiskApprovedAmend,
    SubmitAmend,
    SubmitCancel,
    SubmitReplace,
    VenueCancelReject,
    account_gate,
)
from protocols.positions import AccountQuery
from protocols.reconcile import OrderFound
from tests.actors.account.rig import STRATEGY_PATH, Rig, dec
from tests.actors.account.venue import ACCOUNT, SYMBOL, VENUE

GATE = account_gate(ACCOUNT)


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.up()
    return rig


def answer(rig: Rig) -> None:
    """The oldest request arrives, and its answer comes."""
    for message in rig.process(rig.requests.pop(0)):
        rig.tell(message)


def terms(rig: Rig, order: NewOrder) -> tuple[OrdStatus, Decimal, Decimal | None]:
    ours = rig.state.orders.by_cl_ord_id[order.cl_ord_id]
    return ours.ord_status, ours.order_qty, ours.price


def closed(rig: Rig, gate: str = GATE) -> list[AmendClosed]:
    return [message for message in rig.heard(gate, AmendClosed) if isinstance(message, AmendClosed)]


def rejected(rig: Rig) -> list[tuple[CxlRejReason, CxlRejResponseTo]]:
    heard = [m for m in rig.heard(STRATEGY_PATH, CancelRejected) if isinstance(m, CancelRejected)]
    return [(message.reason, message.response_to) for message in heard]


def no_overfill(rig: Rig) -> None:
    assert not [record for record in rig.records if isinstance(record, AlarmRaised)]


# ---- in place -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("qty, px", [("2", "100"), ("1", "101.5"), ("0.5", "99"), ("3", "102")])
def test_an_approved_amend_asks_for_any_terms_and_the_gates_hear_of_its_end(rig: Rig, qty: str, px: str) -> None:
    order = rig.placed("1", "100")
    amend = rig.change(order, qty, px)
    submit = rig.requests[0]
    assert isinstance(submit, SubmitAmend)
    assert (submit.order_qty, submit.price, submit.is_free, submit.number) == (dec(qty), dec(px), True, 1)
    assert terms(rig, order) == (OrdStatus.PENDING_REPLACE, dec(1), dec(100))
    (pictured,) = rig.state.picture().open_orders
    assert (pictured.amend_qty, pictured.amend_id) == (dec(qty), amend.request_id)
    answer(rig)
    assert terms(rig, order) == (OrdStatus.NEW, dec(qty), dec(px))
    end = AmendClosed(order.cl_ord_id, ACCOUNT, VENUE, amend.request_id, dec(qty), dec(px))
    assert (closed(rig), closed(rig, FIRM_GATE)) == ([end], [end])
    report = rig.heard(STRATEGY_PATH, ExecutionReport)[-1]
    assert isinstance(report, ExecutionReport)
    assert (report.exec_type, report.order_qty, report.price) == (ExecType.REPLACED, dec(qty), dec(px))
    rig.assert_replays()


@pytest.mark.parametrize("qty, px", [("2", None), ("1", "101"), ("0.5", "99")])
def test_what_adds_risk_does_not_pass_without_the_gates(rig: Rig, qty: str, px: str | None) -> None:
    order = rig.placed()
    price = None if px is None else dec(px)
    rig.tell(AmendOrder(order.cl_ord_id, ACCOUNT, VENUE, SYMBOL, dec(qty), STRATEGY_PATH, price, "r1"))
    assert rejected(rig) == [(CxlRejReason.UNSUPPORTED, CxlRejResponseTo.REPLACE)]
    assert not closed(rig), "no gate has let it pass, and none must give back what it reserved for another"
    assert not rig.requests


def test_an_approved_amend_that_cannot_be_is_told_to_the_gates(rig: Rig) -> None:
    unconfirmed = rig.new_order()
    rig.change(unconfirmed, "2")
    rig.tell(rig.arrive())
    rig.change(unconfirmed, "1")
    stop = rig.new_order(ord_type=OrdType.STOP_LIMIT, stop_px=dec(99))
    rig.tell(rig.arrive())
    rig.change(stop, "2")
    order = rig.placed()
    late = AmendOrder(order.cl_ord_id, ACCOUNT, VENUE, SYMBOL, dec(2), STRATEGY_PATH, None, "late", created_ns=1)
    rig.tell(RiskApprovedAmend(late))
    rig.change(order, "2")
    rig.change(order, "3")
    assert rejected(rig) == [
        (CxlRejReason.NOT_READY, CxlRejResponseTo.REPLACE),
        (CxlRejReason.UNSUPPORTED, CxlRejResponseTo.REPLACE),
        (CxlRejReason.UNSUPPORTED, CxlRejResponseTo.REPLACE),
        (CxlRejReason.STALE, CxlRejResponseTo.REPLACE),
        (CxlRejReason.ALREADY_PENDING, CxlRejResponseTo.REPLACE),
    ]
    assert len(closed(rig)) == 5
    assert all(message.order_qty is None for message in closed(rig)), "the terms are as they were"
    (sent,) = rig.requests
    assert isinstance(sent, SubmitAmend)


def test_a_refused_amend_leaves_the_order_as_it_was(rig: Rig) -> None:
    order = rig.placed()
    amend = rig.change(order, "2", "101")
    rig.tell(VenueCancelReject(order.cl_ord_id, "-5027", "no need to modify", False, amend=1))
    assert terms(rig, order) == (OrdStatus.NEW, dec(1), dec(100))
    assert closed(rig) == [AmendClosed(order.cl_ord_id, ACCOUNT, VENUE, amend.request_id, dec(1), dec(100))]
    assert rejected(rig) == [(CxlRejReason.VENUE, CxlRejResponseTo.REPLACE)]
    rig.change(order, "2")
    rig.tell(NotSent(order.cl_ord_id, True, OrdRejReason.UNSUPPORTED, "the venue changes no price", amend=2))
    assert rejected(rig)[-1] == (CxlRejReason.UNSUPPORTED, CxlRejResponseTo.REPLACE)
    assert rig.state.orders.by_cl_ord_id[order.cl_ord_id].amends == 2
    rig.assert_replays()


@pytest.mark.parametrize("is_canceling", [False, True])
@pytest.mark.parametrize("is_done", [False, True])
def test_a_refusal_of_nobody_knows_which_amend_ends_none_but_is_a_reason_to_ask(
    rig: Rig, is_done: bool, is_canceling: bool
) -> None:
    """It may be about an earlier one: what is reserved for the one on its way stays until the venue has told."""
    order = rig.placed()
    amend = rig.change(order, "3")
    if is_canceling:
        rig.cancel(order)
    if is_done:
        rig.venue.amend(order.cl_ord_id, dec(3))  # its confirmation is late
    unnamed = VenueCancelReject(order.cl_ord_id, "51503", "too late", False, amend=SOME_AMEND)
    for _ in range(2):
        rig.tell(unnamed)
    ours = rig.state.orders.by_cl_ord_id[order.cl_ord_id]
    assert ours.ord_status is (OrdStatus.PENDING_CANCEL if is_canceling else OrdStatus.PENDING_REPLACE)
    assert (ours.amend_id, ours.cancel_doubt) == (amend.request_id, None)
    assert (closed(rig), rejected(rig)) == ([], [])
    rig.advance(60)
    rig.answer_queries()
    (over,) = closed(rig)
    assert (over.request_id, over.order_qty) == (amend.request_id, dec(3) if is_done else dec(1))
    rig.assert_replays()


def test_a_refusal_of_an_amend_when_none_is_on_its_way_is_a_contradiction(rig: Rig) -> None:
    order = rig.placed()
    rig.cancel(order)
    rig.tell(VenueCancelReject(order.cl_ord_id, "51503", "too late", False, amend=SOME_AMEND))
    assert rig.actor.core.counts["contradicted"] == 1
    assert (rig.status(order), rejected(rig)) == (OrdStatus.PENDING_CANCEL, [])


def test_answers_to_an_amend_before_this_one_say_nothing_about_it(rig: Rig) -> None:
    order = rig.placed()
    rig.change(order, "2")
    first = rig.venue.amend(order.cl_ord_id, dec(2))
    assert first is not None
    rig.tell(first)
    second = rig.change(order, "3")
    now_ns = rig.ctx.now_ns
    rig.tell(first)  # by its second road
    rig.tell(VenueCancelReject(order.cl_ord_id, "", "late", False, amend=1))
    rig.tell(NotSent(order.cl_ord_id, True, OrdRejReason.NOT_SENT, "late", amend=1))
    rig.tell(OrderInDoubt(order.cl_ord_id, True, DoubtReason.NO_REPLY, now_ns, now_ns + 1, amend=1))
    rig.tell(RequestAcknowledged(order.cl_ord_id, None, True, now_ns, now_ns + 1, amend=1))
    rig.tell(VenueCancelReject(order.cl_ord_id, "-2011", "a cancel of before", False))
    rig.advance(3)
    ours = rig.state.orders.by_cl_ord_id[order.cl_ord_id]
    assert (ours.ord_status, ours.amend_qty, ours.amend_id) == (OrdStatus.PENDING_REPLACE, dec(3), second.request_id)
    assert not ours.in_doubt
    assert len(closed(rig)) == 1


def test_a_confirmation_with_other_terms_than_asked_for_is_a_restatement(rig: Rig) -> None:
    order = rig.placed("1")
    rig.change(order, "3", "101")
    cut = rig.venue.amend(order.cl_ord_id, dec(2), dec(101))
    assert cut is not None
    rig.tell(cut)
    assert terms(rig, order) == (OrdStatus.PENDING_REPLACE, dec(2), dec(101))
    assert not closed(rig), "the gates keep the three that were asked for"
    now_ns = rig.ctx.now_ns
    rig.tell(RequestAcknowledged(order.cl_ord_id, None, True, now_ns, now_ns + 5 * SECOND, amend=1))
    for _ in range(20):
        rig.advance(1)
        rig.answer_queries()
    assert terms(rig, order) == (OrdStatus.NEW, dec(2), dec(101))
    assert [message.order_qty for message in closed(rig)] == [dec(2)]
    rig.assert_replays()


def test_an_amend_in_doubt_is_settled_by_the_terms_at_the_venue(rig: Rig) -> None:
    took, lost = rig.placed("1", "100"), rig.placed("1", "100")
    rig.change(took, "2", "101")
    rig.change(lost, "2", "101")
    rig.venue.amend(took.cl_ord_id, dec(2), dec(101))
    rig.requests.clear()
    for order in (took, lost):
        now_ns = rig.ctx.now_ns
        rig.tell(OrderInDoubt(order.cl_ord_id, True, DoubtReason.NO_REPLY, now_ns, now_ns + 15 * SECOND, amend=1))
    rig.advance(2)
    rig.answer_queries()
    assert terms(rig, took) == (OrdStatus.NEW, dec(2), dec(101))
    assert terms(rig, lost) == (OrdStatus.PENDING_REPLACE, dec(1), dec(100)), "it may still arrive"
    assert [message.cl_ord_id for message in closed(rig)] == [took.cl_ord_id]
    for _ in range(20):
        rig.advance(1)
        rig.answer_queries()
    assert terms(rig, lost) == (OrdStatus.NEW, dec(1), dec(100))
    assert [message.order_qty for message in closed(rig)] == [dec(2), dec(1)]
    assert not rig.actor.core.watches
    rig.assert_replays()


def test_an_answer_asked_for_too_early_proves_nothing(rig: Rig) -> None:
    order = rig.placed()
    rig.change(order, "2")
    rig.cancel(order)
    now_ns = rig.ctx.now_ns
    for number in (1, 0):
        rig.tell(OrderInDoubt(order.cl_ord_id, True, DoubtReason.NO_REPLY, now_ns, now_ns + SECOND, number))
    rig.advance(5)
    found = rig.venue.status(order.cl_ord_id, None)
    assert found is not None
    rig.tell(OrderFound(found, (), now_ns + SECOND))
    ours = rig.state.orders.by_cl_ord_id[order.cl_ord_id]
    assert (ours.amend_qty, ours.ord_status) == (dec(2), OrdStatus.PENDING_CANCEL)
    rig.tell(OrderFound(found, (), now_ns + SECOND + 1))
    assert (ours.amend_qty, ours.ord_status) == (None, OrdStatus.NEW)
    assert rejected(rig) == [
        (CxlRejReason.VENUE, CxlRejResponseTo.CANCEL),
        (CxlRejReason.VENUE, CxlRejResponseTo.REPLACE),
    ]
    rig.assert_replays()


def test_after_a_crash_an_amend_on_its_way_is_in_doubt_and_in_the_picture(rig: Rig) -> None:
    order = rig.placed("1", "100")
    amend = rig.change(order, "2", "101")
    rig.cancel(order)
    rig.crash()
    ours = rig.state.orders.by_cl_ord_id[order.cl_ord_id]
    assert ours.ord_status is OrdStatus.PENDING_CANCEL
    assert ours.amend_doubt is not None
    assert ours.amend_doubt.reason is DoubtReason.RESTARTED
    assert ours.cancel_doubt is not None
    picture = rig.actor.answer(AccountQuery(unproven=True))
    (pictured,) = picture.open_orders  # type: ignore[attr-defined]  # the answer of this query
    assert (pictured.amend_qty, pictured.amend_price, pictured.amend_id) == (dec(2), dec(101), amend.request_id)
    rig.requests.clear()
    rig.venue.amend(order.cl_ord_id, dec(2), dec(101))
    rig.up()
    assert terms(rig, order) == (OrdStatus.PENDING_CANCEL, dec(2), dec(101))
    rig.settle(30)
    rig.assert_as_the_venue_says()
    rig.assert_replays()


def test_fills_beyond_the_old_total_are_no_overfill_while_a_larger_one_is_on_its_way(rig: Rig) -> None:
    order = rig.placed("1")
    rig.change(order, "3")
    replaced = rig.venue.amend(order.cl_ord_id, dec(3))
    assert replaced is not None
    rig.tell(rig.venue.fill(order.cl_ord_id, dec(1), dec(100)))
    assert rig.status(order) is OrdStatus.PENDING_REPLACE, "full by what we know, and the venue does not call it so"
    rig.tell(rig.venue.fill(order.cl_ord_id, dec(1), dec(100)))
    assert rig.status(order) is OrdStatus.PENDING_REPLACE
    assert rig.state.orders.by_cl_ord_id[order.cl_ord_id].leaves_qty == 1
    rig.tell(replaced)
    assert terms(rig, order)[:2] == (OrdStatus.PARTIALLY_FILLED, dec(3))
    rig.tell(rig.venue.fill(order.cl_ord_id, dec(1), dec(100)))
    assert rig.status(order) is OrdStatus.FILLED
    no_overfill(rig)
    rig.assert_replays()


def test_an_order_that_is_filled_before_its_amend_is_over_at_once(rig: Rig) -> None:
    order = rig.placed("1")
    rig.change(order, "3")
    rig.tell(rig.venue.fill(order.cl_ord_id, dec(1), dec(100)))
    assert rig.status(order) is OrdStatus.FILLED, "the venue itself calls it so, with the old total"
    answer(rig)
    no_overfill(rig)


def test_trades_without_a_status_and_a_refused_amend_end_the_order(rig: Rig) -> None:
    order = rig.placed("1")
    rig.change(order, "3")
    rig.venue.fill(order.cl_ord_id, dec(1), dec(100))
    (trade,) = rig.venue.history()
    rig.tell(trade)
    assert rig.status(order) is OrdStatus.PENDING_REPLACE
    rig.tell(VenueCancelReject(order.cl_ord_id, "-2013", "Order does not exist.", True, amend=1))
    assert rig.status(order) is OrdStatus.FILLED
    last = rig.heard(STRATEGY_PATH, ExecutionReport)[-1]
    assert isinstance(last, ExecutionReport)
    assert last.ord_status is OrdStatus.FILLED
    no_overfill(rig)
    rig.assert_replays()


def test_an_amend_that_the_journal_cannot_write_never_was(rig: Rig) -> None:
    order = rig.placed()
    rig.refuse_intents = "no space left"
    amend = rig.change(order, "2")
    assert terms(rig, order) == (OrdStatus.NEW, dec(1), dec(100))
    assert not rig.requests
    assert rejected(rig) == [(CxlRejReason.JOURNAL, CxlRejResponseTo.REPLACE)]
    assert closed(rig) == [AmendClosed(order.cl_ord_id, ACCOUNT, VENUE, amend.request_id)]
    rig.amend(order, "0.5")
    assert isinstance(rig.requests[0], SubmitAmend), "a reduction needs no disk"
    rig.assert_replays()


def test_f15_the_runtime_that_refuses_an_approved_amend_tells_both_gates() -> None:
    amend = AmendOrder(ClOrdID("c"), ACCOUNT, VENUE, SYMBOL, dec(2), STRATEGY_PATH, None, "r")
    told = RiskApprovedAmend(amend).refusals(RefusalReason.NOT_READY, "/accounts/main/sim/account")
    assert [to for to, _ in told] == [STRATEGY_PATH, FIRM_GATE, GATE]
    assert [to for to, _ in amend.refusals(RefusalReason.NOT_READY, "/router")] == [STRATEGY_PATH]


# ---- by another order ---------------------------------------------------------------------------------------------


def test_an_order_in_place_of_another_is_one_write_and_one_request(rig: Rig) -> None:
    old = rig.placed("1", "100")
    new = rig.replace(old, "2", "101")
    intents = rig.records[-2:]
    assert [type(intent) for intent in intents] == [OrderIntent, CancelIntent]
    (submit,) = rig.requests
    assert isinstance(submit, SubmitReplace)
    assert (submit.order, submit.old_order_id) == (new, rig.venue.orders[old.cl_ord_id].order_id)
    assert (rig.status(old), rig.status(new)) == (OrdStatus.PENDING_CANCEL, OrdStatus.PENDING_NEW)
    answer(rig)
    assert (rig.status(old), rig.status(new)) == (OrdStatus.CANCELED, OrdStatus.NEW)
    reports = [m for m in rig.heard(STRATEGY_PATH, ExecutionReport) if isinstance(m, ExecutionReport)]
    assert [(r.cl_ord_id, r.orig_cl_ord_id) for r in reports[-2:]] == [
        (old.cl_ord_id, None),
        (new.cl_ord_id, old.cl_ord_id),
    ]
    rig.tell(rig.venue.fill(new.cl_ord_id, dec(1), dec(101)))
    trade = rig.heard(STRATEGY_PATH, ExecutionReport)[-1]
    assert isinstance(trade, ExecutionReport)
    assert trade.orig_cl_ord_id == old.cl_ord_id
    assert not rig.state.orders.replacements
    rig.assert_as_the_venue_says()
    rig.assert_replays()


def test_a_new_order_that_was_not_attempted_leaves_the_old_one(rig: Rig) -> None:
    old = rig.placed()
    new = rig.replace(old)
    order_id = rig.venue.orders[old.cl_ord_id].order_id
    rig.requests.clear()
    rig.tell(VenueCancelReject(old.cl_ord_id, "-2011", "Order was not canceled due to cancel restrictions.", False))
    rig.tell(NotSent(new.cl_ord_id, False, OrdRejReason.NOT_SENT, "not attempted"))
    assert (rig.status(old), rig.status(new)) == (OrdStatus.NEW, OrdStatus.REJECTED)
    assert rejected(rig) == [(CxlRejReason.VENUE, CxlRejResponseTo.REPLACE)]
    for gate in (FIRM_GATE, GATE, STRATEGY_PATH):
        (refused,) = rig.heard(gate, OrderRefused)
        assert isinstance(refused, OrderRefused)
        assert refused.cl_ord_id == new.cl_ord_id
    again = rig.replace(old)
    submit = rig.requests[0]
    assert isinstance(submit, SubmitReplace)
    assert (submit.order.cl_ord_id, submit.old_order_id) == (again.cl_ord_id, order_id)
    rig.assert_replays()


def test_an_old_order_that_was_filled_first_leaves_no_new_one(rig: Rig) -> None:
    old = rig.placed("1")
    new = rig.replace(old)
    rig.tell(rig.venue.fill(old.cl_ord_id, dec(1), dec(100)))
    assert (rig.status(old), rig.status(new)) == (OrdStatus.FILLED, OrdStatus.REJECTED)
    (refused,) = rig.heard(GATE, OrderRefused)
    assert isinstance(refused, OrderRefused)
    assert (refused.cl_ord_id, refused.reason) == (new.cl_ord_id, OrdRejReason.NOTHING_TO_REPLACE)
    answer(rig)  # the venue says the same, later
    assert (rig.status(old), rig.status(new)) == (OrdStatus.FILLED, OrdStatus.REJECTED)
    no_overfill(rig)
    rig.assert_as_the_venue_says()
    rig.assert_replays()


def test_an_old_order_that_fills_in_part_is_canceled_for_the_rest(rig: Rig) -> None:
    old = rig.placed("2")
    new = rig.replace(old, "1")
    rig.tell(rig.venue.fill(old.cl_ord_id, dec(1), dec(100)))
    assert rig.status(new) is OrdStatus.PENDING_NEW
    answer(rig)
    assert (rig.status(old), rig.status(new)) == (OrdStatus.CANCELED, OrdStatus.NEW)


@pytest.mark.parametrize("arrived", [True, False])
def test_both_halves_of_a_replacement_in_doubt_are_asked_for(rig: Rig, arrived: bool) -> None:
    old = rig.placed()
    new = rig.replace(old, "2")
    request = rig.requests.pop(0)
    if arrived:
        rig.process(request)
    now_ns = rig.ctx.now_ns
    for order, cancel in ((old, True), (new, False)):
        doubt = OrderInDoubt(order.cl_ord_id, cancel, DoubtReason.CONNECTION_LOST, now_ns, now_ns + 15 * SECOND)
        rig.tell(doubt)
    rig.advance(2)
    assert {query.order.cl_ord_id for query in rig.queries} == {old.cl_ord_id, new.cl_ord_id}
    assert len(rig.state.picture().open_orders) == 2, "both may fill"
    for _ in range(25):
        rig.answer_queries()
        rig.advance(1)
    expected = (OrdStatus.CANCELED, OrdStatus.NEW) if arrived else (OrdStatus.NEW, OrdStatus.REJECTED)
    assert (rig.status(old), rig.status(new)) == expected
    rig.assert_as_the_venue_says()
    rig.assert_replays()


@pytest.mark.parametrize("arrived", [True, False])
def test_a_crash_with_a_replacement_on_its_way(rig: Rig, arrived: bool) -> None:
    old = rig.placed()
    new = rig.replace(old, "2")
    request = rig.requests.pop(0)
    if arrived:
        rig.process(request)
    rig.crash()
    assert rig.state.orders.replacements[old.cl_ord_id].cl_ord_id == new.cl_ord_id
    assert len(rig.state.picture().open_orders) == 2
    rig.up()
    rig.settle(45)
    expected = (OrdStatus.CANCELED, OrdStatus.NEW) if arrived else (OrdStatus.NEW, OrdStatus.REJECTED)
    assert (rig.status(old), rig.status(new)) == expected
    rig.assert_as_the_venue_says()
    rig.assert_replays()


def test_what_cannot_be_replaced(rig: Rig) -> None:
    old = rig.placed()
    unconfirmed = rig.new_order()
    rig.requests.clear()
    canceling = rig.placed()
    rig.cancel(canceling)
    rig.requests.clear()
    rig.new_order(orig_cl_ord_id=ClOrdID("whose"))
    rig.replace(unconfirmed)
    rig.replace(canceling)
    rig.new_order(side=Side.SELL, orig_cl_ord_id=old.cl_ord_id)
    ended = rig.placed()
    rig.tell(rig.venue.fill(ended.cl_ord_id, dec(1), dec(100)))
    rig.replace(ended)
    refused = [m for m in rig.heard(GATE, OrderRefused) if isinstance(m, OrderRefused)]
    assert {message.reason for message in refused} == {OrdRejReason.NOTHING_TO_REPLACE}
    assert len(refused) == 5
    assert not rig.requests
    assert rig.status(old) is OrdStatus.NEW


def test_the_journal_refuses_both_intents_of_a_replacement(rig: Rig) -> None:
    old = rig.placed()
    rig.refuse_intents = "no space left"
    new = rig.replace(old)
    assert rig.status(old) is OrdStatus.NEW
    assert new.cl_ord_id not in rig.state.orders.by_cl_ord_id
    assert rejected(rig) == [(CxlRejReason.JOURNAL, CxlRejResponseTo.REPLACE)]
    assert not rig.requests
    assert not rig.state.orders.replacements
    rig.assert_replays()


def test_a_cancel_of_everything_means_an_order_that_is_being_replaced_too(rig: Rig) -> None:
    old = rig.placed()
    new = rig.replace(old)
    rig.tell(CancelAll(ACCOUNT, VENUE, STRATEGY_PATH))
    cancels = [request.cl_ord_id for request in rig.requests if isinstance(request, SubmitCancel)]
    assert cancels == [old.cl_ord_id, new.cl_ord_id]
    rig.tell(VenueCancelReject(old.cl_ord_id, "-2022", "refused", False))
    rig.tell(NotSent(new.cl_ord_id, False, OrdRejReason.NOT_SENT, "not attempted"))
    rig.requests.pop(0)
    rig.settle(5)
    assert rig.status(old) is OrdStatus.CANCELED
    rig.assert_as_the_venue_says()


def test_a_replacement_that_works_after_all_is_canceled_and_halts(rig: Rig) -> None:
    """Against its contract the venue made a new order although the old one was filled."""
    old = rig.placed("1")
    new = rig.replace(old, "2")
    rig.tell(rig.venue.fill(old.cl_ord_id, dec(1), dec(100)))
    rig.requests.clear()
    rig.tell(rig.venue.place(new))
    alarms = [record.kind for record in rig.records if isinstance(record, AlarmRaised)]
    assert alarms == [AlarmKind.ORDER_CAME_BACK]
    (cancel,) = rig.requests
    assert isinstance(cancel, SubmitCancel)
    assert cancel.cl_ord_id == new.cl_ord_id


def test_an_intent_of_an_old_journal_is_read_as_a_reduction(rig: Rig) -> None:
    order = rig.placed()
    rig.state.apply(AmendIntent(order.cl_ord_id, dec("0.5"), 1))
    ours = rig.state.orders.by_cl_ord_id[order.cl_ord_id]
    assert (ours.amend_qty, ours.amend_price, ours.amend_id) == (dec("0.5"), None, "")


def test_a_snapshot_remembers_what_is_to_be_replaced(rig: Rig) -> None:
    old, amended = rig.placed(), rig.placed()
    new = rig.replace(old)
    rig.change(amended, "2", "101")
    restored = AccountState(ACCOUNT, VENUE, rig.settings.retention)
    restored.restore(rig.state.snapshot(rig.ctx.now_ns))
    assert restored.text() == rig.state.text()
    assert restored.orders.replacements[old.cl_ord_id].cl_ord_id == new.cl_ord_id
    assert restored.orders.live[amended.cl_ord_id].amend_price == dec(101)


def test_an_acknowledged_amend_and_an_acknowledged_cancel_are_awaited_each(rig: Rig) -> None:
    order = rig.placed()
    rig.change(order, "2")
    rig.cancel(order)
    now_ns = rig.ctx.now_ns
    for number in (1, 0):
        rig.tell(RequestAcknowledged(order.cl_ord_id, None, True, now_ns, now_ns + 5 * SECOND, number))
    rig.advance(2)
    ours = rig.state.orders.by_cl_ord_id[order.cl_ord_id]
    assert ours.amend_doubt is not None
    assert ours.cancel_doubt is not None
    assert ours.amend_doubt.reason is ours.cancel_doubt.reason is DoubtReason.NO_REPORT


def test_the_venue_is_asked_at_the_moment_when_an_amend_can_be_settled(rig: Rig) -> None:
    order = rig.placed()
    rig.change(order, "2")
    now_ns = rig.ctx.now_ns
    rig.tell(OrderInDoubt(order.cl_ord_id, True, DoubtReason.NO_REPLY, now_ns, now_ns + 12 * SECOND, 1))
    rig.advance(11)
    rig.queries.clear()
    rig.advance(1)
    assert not rig.queries
    rig.ctx.advance(2_000_000)
    rig.pump()
    assert [query.order.cl_ord_id for query in rig.queries] == [order.cl_ord_id]


def test_words_about_an_order_that_nobody_knows_change_nothing(rig: Rig) -> None:
    before, nobody = rig.state.text(), ClOrdID("nobody")
    assert not rig.state.cancel_refused(CancelIntent(nobody, 1))
    assert not rig.state.amend_refused(AmendIntent(nobody, dec(1), 1, None, "r"))
    rig.state.doubt_closed(DoubtClosed(nobody, "it is over", 1))
    assert rig.state.text() == before


def test_an_order_that_is_filed_as_a_replacement_and_is_none_is_noticed(rig: Rig) -> None:
    orders = rig.state.orders
    orders.replacements[ClOrdID("nobody")] = orders.live[rig.placed().cl_ord_id]
    with pytest.raises(InvariantViolation, match="not to replace nobody"):
        orders.check()


def test_the_end_of_an_amends_doubt_leaves_the_amend_on_its_way(rig: Rig) -> None:
    order = rig.placed()
    rig.change(order, "2", "101")
    live = rig.state.orders.live[order.cl_ord_id]
    rig.state.doubt_opened(DoubtOpened(order.cl_ord_id, True, DoubtReason.NO_REPLY, 1, 2, amend=True))
    assert live.amend_doubt is not None
    rig.state.doubt_closed(DoubtClosed(order.cl_ord_id, "the venue was asked", 3, cancel=True, amend=True))
    assert live.amend_doubt is None
    assert live.amend_qty == dec(2)
