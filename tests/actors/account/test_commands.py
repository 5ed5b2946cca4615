"""What an account does with commands, and with what order entry says about them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest

from actors.account.desk import AskOrder
from actors.account.settings import SECOND
from protocols.base import Message
from protocols.control import Drain, Drained, InstrumentsChanged
from protocols.enums import AlarmKind, CxlRejReason, DoubtReason, ExecType, OrdRejReason, OrdStatus, Side
from protocols.ids import MANUAL, AccountID, ClOrdID, ClOrdIDs, OrderID, StrategyID, Symbol, TradeID, Venue
from protocols.instruments import Product
from protocols.journal import (
    AlarmRaised,
    AppendRefused,
    CancelClosed,
    CancelIntent,
    DoubtClosed,
    DoubtOpened,
    OrderClosed,
    OrderIntent,
    SymbolDefined,
)
from protocols.orders import (
    AmendOrder,
    CancelAll,
    CancelOrder,
    CancelRejected,
    ExecutionReport,
    NewOrder,
    NotSent,
    OrderInDoubt,
    OrderNotFound,
    OrderRefused,
    RequestSent,
    RiskApproved,
    SubmitAmend,
    SubmitCancel,
    SubmitOrder,
    VenueCancelReject,
    VenueReject,
)
from protocols.reconcile import OrderFound
from tests.actors.account.rig import BTCUSDT, PATH, STRATEGY, STRATEGY_PATH, Rig, dec
from tests.actors.account.venue import ACCOUNT, SYMBOL, VENUE


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.up()
    rig.told.clear()
    return rig


def refusals(rig: Rig) -> list[OrdRejReason]:
    """Why the strategy's orders never left; both gates must have heard the same."""
    heard = {path: list(rig.heard(path, OrderRefused)) for path in (STRATEGY_PATH, "/risk/firm", "/risk/main")}
    assert heard[STRATEGY_PATH] == heard["/risk/firm"] == heard["/risk/main"]
    return [m.reason for m in heard[STRATEGY_PATH] if isinstance(m, OrderRefused)]


def cancel_rejects(rig: Rig, path: str = STRATEGY_PATH) -> list[CxlRejReason]:
    return [m.reason for m in rig.heard(path, CancelRejected) if isinstance(m, CancelRejected)]


def status_of(rig: Rig, order: NewOrder) -> OrdStatus:
    return rig.state.orders.by_cl_ord_id[order.cl_ord_id].ord_status


def order_gone(order: NewOrder) -> VenueCancelReject:
    return VenueCancelReject(order.cl_ord_id, "-2011", "Unknown order sent.", True)


# ---- new orders ---------------------------------------------------------------------------------------------------


def test_an_approved_order_is_recorded_and_sent_with_its_symbol_described_once(rig: Rig) -> None:
    first, second = rig.new_order(), rig.new_order()
    kinds = [type(record) for record in rig.records if isinstance(record, SymbolDefined | OrderIntent)]
    assert kinds == [SymbolDefined, OrderIntent, OrderIntent]
    assert rig.requests == [SubmitOrder(first, PATH), SubmitOrder(second, PATH)]
    rig.assert_replays()


@pytest.mark.req("R005")
@pytest.mark.parametrize(
    "change, reason",
    [
        ({"account": AccountID("other")}, OrdRejReason.NO_ROUTE),
        ({"venue": Venue("other")}, OrdRejReason.NO_ROUTE),
        ({"symbol": Symbol("NOPEUSDT")}, OrdRejReason.UNKNOWN_INSTRUMENT),
    ],
)
def test_an_order_that_is_not_for_us_does_not_leave(rig: Rig, change: dict[str, Any], reason: OrdRejReason) -> None:
    rig.new_order(**change)
    strategy = [m for m in rig.heard(STRATEGY_PATH, OrderRefused) if isinstance(m, OrderRefused)]
    assert [refused.reason for refused in strategy] == [reason]
    assert not rig.requests


def test_a_stale_order_is_refused(rig: Rig) -> None:
    rig.new_order(created_ns=rig.ctx.now_ns - 2 * SECOND - 1)
    assert refusals(rig) == [OrdRejReason.STALE]
    rig.new_order(created_ns=rig.ctx.now_ns - 2 * SECOND)
    assert len(rig.requests) == 1


def test_a_cl_ord_id_is_used_once(rig: Rig) -> None:
    order = rig.new_order()
    rig.tell(RiskApproved(order))
    assert refusals(rig) == [OrdRejReason.DUPLICATE_CL_ORD_ID]
    rig.tell(rig.arrive())
    rig.tell(rig.venue.fill(order.cl_ord_id, dec(1), dec(100)))
    rig.tell(RiskApproved(order))
    assert len(refusals(rig)) == 2
    assert not rig.requests


def test_an_inverse_contract_is_not_traded() -> None:
    rig = Rig(instruments=[attrs.evolve(BTCUSDT, product=Product.INVERSE)])
    rig.up()
    rig.new_order()
    assert refusals(rig) == [OrdRejReason.UNKNOWN_INSTRUMENT]


def test_instruments_that_come_later_open_their_symbols() -> None:
    rig = Rig(instruments=[])
    rig.up()
    rig.new_order()
    assert refusals(rig) == [OrdRejReason.UNKNOWN_INSTRUMENT]
    rig.tell(InstrumentsChanged(VENUE, (BTCUSDT,)))
    rig.new_order()
    assert len(rig.requests) == 1


def test_an_intent_that_the_journal_refuses_was_never_made(rig: Rig) -> None:
    rig.new_order()
    before = rig.state.text()
    rig.refuse_intents = "disk full"
    refused = rig.new_order()
    assert refusals(rig) == [OrdRejReason.JOURNAL]
    assert rig.state.text() == before
    assert len(rig.requests) == 1
    rig.refuse_intents = ""
    rig.tell(RiskApproved(refused))
    assert len(rig.requests) == 2, "its id was not used up"
    rig.assert_replays()


def test_a_refused_intent_takes_its_cancel_with_it_and_facts_cannot_be_refused_away(rig: Rig) -> None:
    order = rig.new_order()
    rig.doubt(order)
    rig.cancel(order)
    intent = next(record for record in rig.records if isinstance(record, OrderIntent))
    rig.records.remove(intent)
    rig.tell(AppendRefused((intent,), "disk full"))
    assert refusals(rig) == [OrdRejReason.JOURNAL]
    assert not rig.actor.core.watches
    rig.assert_replays()
    rig.tell(AppendRefused((intent,), "disk full"))
    rig.requests.clear()
    placed = rig.placed()
    confirmed = next(r for r in rig.records if isinstance(r, OrderIntent) and r.order == placed)
    rig.tell(AppendRefused((confirmed,), "too late"))
    assert status_of(rig, placed) is OrdStatus.NEW
    assert len(refusals(rig)) == 1


def test_a_snapshot_that_contains_a_refused_intent_is_replaced() -> None:
    rig = Rig()
    rig.up()
    order = rig.new_order()
    rig.actor._snapshot()
    rig.pump()
    intent = next(record for record in rig.records if isinstance(record, OrderIntent))
    rig.tell(AppendRefused((intent,), "disk full"))
    rig.crash()
    assert order.cl_ord_id not in rig.state.orders.by_cl_ord_id


# ---- what order entry says about new orders -----------------------------------------------------------------------


def test_sent_changes_nothing(rig: Rig) -> None:
    order = rig.new_order()
    before = rig.state.text()
    rig.tell(RequestSent(order.cl_ord_id, rig.ctx.now_ns, rig.ctx.now_ns + 5))
    assert rig.state.text() == before


def test_a_request_that_did_not_leave_and_a_reject_end_the_order(rig: Rig) -> None:
    not_sent, rejected, silent = rig.new_order(), rig.new_order(), rig.new_order()
    rig.tell(NotSent(not_sent.cl_ord_id, False, OrdRejReason.CLOCK, "the venue's clock is not known"))
    rig.tell(VenueReject(rejected.cl_ord_id, OrdRejReason.INSUFFICIENT_BALANCE, "-2010", "no money"))
    rig.tell(VenueReject(silent.cl_ord_id, OrdRejReason.VENUE, "", "no"))
    assert refusals(rig) == [OrdRejReason.CLOCK, OrdRejReason.INSUFFICIENT_BALANCE, OrdRejReason.VENUE]
    texts = [m.text for m in rig.heard(STRATEGY_PATH, OrderRefused) if isinstance(m, OrderRefused)]
    assert texts[1:] == ["-2010: no money", "no"]
    assert not rig.state.orders.live
    assert [type(record) for record in rig.records].count(OrderClosed) == 3
    rig.tell(VenueReject(silent.cl_ord_id, OrdRejReason.VENUE, "", "no"))
    assert rig.actor.core.counts["duplicate"] == 1
    rig.tell(VenueReject(ClOrdID("whose"), OrdRejReason.VENUE, "", "no"))
    assert rig.actor.core.counts["unknown_order"] == 1
    rig.assert_replays()


def test_a_refusal_of_a_confirmed_order_is_a_contradiction_and_asked_about(rig: Rig) -> None:
    order = rig.placed()
    rig.tell(NotSent(order.cl_ord_id, False, OrdRejReason.NOT_SENT, "?"))
    rig.tell(VenueReject(order.cl_ord_id, OrdRejReason.VENUE, "-2010", "Duplicate order sent."))
    assert status_of(rig, order) is OrdStatus.NEW
    assert rig.actor.core.counts["contradicted"] == 2
    assert rig.answer_queries() == 1
    assert not rig.actor.core.watches


def test_an_order_that_was_refused_and_works_all_the_same_is_canceled_until_it_is_gone(rig: Rig) -> None:
    order = rig.new_order()
    rig.tell(VenueReject(order.cl_ord_id, OrdRejReason.VENUE, "-1", "no"))
    accepted = rig.arrive()
    rig.tell(accepted)
    rig.tell(accepted)
    assert [type(request) for request in rig.requests] == [SubmitCancel, SubmitCancel]
    alarms = [record.kind for record in rig.records if isinstance(record, AlarmRaised)]
    assert alarms == [AlarmKind.ORDER_CAME_BACK]
    canceled = rig.venue.cancel(order.cl_ord_id)
    assert canceled is not None
    rig.tell(canceled)
    rig.tell(order_gone(order))
    rig.tell(accepted)
    assert len(rig.requests) == 2 + 1, "until the venue's own end is known"
    assert status_of(rig, order) is OrdStatus.REJECTED


# ---- cancels ------------------------------------------------------------------------------------------------------


@pytest.mark.req("R224")
def test_a_cancel_is_recorded_sent_and_confirmed(rig: Rig) -> None:
    order = rig.placed()
    rig.cancel(order)
    assert status_of(rig, order) is OrdStatus.PENDING_CANCEL
    theirs = rig.venue.orders[order.cl_ord_id]
    assert rig.requests == [SubmitCancel(order.cl_ord_id, theirs.order_id, SYMBOL, PATH)]
    for answer in rig.process(rig.requests.pop()):
        rig.tell(answer)
    assert status_of(rig, order) is OrdStatus.CANCELED
    rig.assert_replays()


def test_cancels_that_cannot_be(rig: Rig) -> None:
    rig.tell(CancelOrder(ClOrdID("whose"), ACCOUNT, VENUE, SYMBOL, STRATEGY_PATH))
    order = rig.placed()
    rig.cancel(order)
    rig.cancel(order)
    for answer in rig.process(rig.requests.pop()):
        rig.tell(answer)
    rig.cancel(order)
    assert cancel_rejects(rig) == [CxlRejReason.UNKNOWN_ORDER, CxlRejReason.ALREADY_PENDING, CxlRejReason.TOO_LATE]


def test_a_cancel_before_the_confirmation_goes_by_our_id(rig: Rig) -> None:
    order = rig.new_order()
    rig.cancel(order)
    submit = rig.requests[-1]
    assert isinstance(submit, SubmitCancel)
    assert submit.order_id is None
    rig.tell(rig.arrive())
    assert status_of(rig, order) is OrdStatus.PENDING_CANCEL


def test_a_refused_cancel_brings_the_order_back_and_its_sender_hears(rig: Rig) -> None:
    order = rig.placed()
    rig.tell(CancelOrder(order.cl_ord_id, ACCOUNT, VENUE, SYMBOL, "/console"))
    rig.tell(VenueCancelReject(order.cl_ord_id, "", "not now", False))
    assert status_of(rig, order) is OrdStatus.NEW
    assert cancel_rejects(rig, "/console") == [CxlRejReason.VENUE]
    assert not rig.queries
    rig.cancel(order)
    rig.tell(NotSent(order.cl_ord_id, True, OrdRejReason.NOT_SENT, "socket down"))
    assert cancel_rejects(rig) == [CxlRejReason.NOT_SENT]
    assert status_of(rig, order) is OrdStatus.NEW
    rig.assert_replays()


def test_order_gone_is_asked_about_because_filled_and_canceled_look_alike(rig: Rig) -> None:
    """F14: a fill races the cancel; the venue answers "unknown order"."""
    order = rig.placed()
    rig.cancel(order)
    rig.venue.fill(order.cl_ord_id, dec(1), dec(100))
    rig.tell(order_gone(order))
    assert cancel_rejects(rig) == [CxlRejReason.TOO_LATE]
    assert status_of(rig, order) is OrdStatus.NEW
    assert rig.answer_queries() == 1
    assert status_of(rig, order) is OrdStatus.FILLED
    assert rig.state.ledger.net_qty(SYMBOL) == 1
    rig.assert_as_the_venue_says()


def test_a_refusal_of_a_cancel_that_is_over_is_a_contradiction(rig: Rig) -> None:
    order = rig.placed()
    rig.tell(VenueCancelReject(order.cl_ord_id, "-2011", "Unknown order sent.", True))
    assert cancel_rejects(rig) == []
    assert rig.actor.core.counts["contradicted"] == 1
    assert len(rig.queries) == 1
    rig.tell(order_gone(order))
    assert len(rig.queries) == 2
    rig.doubt(order, cancel=True)
    assert rig.actor.core.counts["contradicted"] == 3


def test_a_cancel_in_doubt_may_go_again_and_ends_by_evidence(rig: Rig) -> None:
    order = rig.placed()
    rig.cancel(order)
    rig.requests.clear()
    rig.doubt(order, cancel=True)
    assert rig.state.orders.by_cl_ord_id[order.cl_ord_id].in_doubt
    rig.cancel(order)
    assert len(rig.requests) == 1
    assert not rig.state.orders.by_cl_ord_id[order.cl_ord_id].in_doubt
    rig.requests.clear()
    rig.doubt(order, cancel=True, settles_in_s=15)
    rig.advance(2)
    rig.answer_queries()
    assert status_of(rig, order) is OrdStatus.PENDING_CANCEL, "it may still take effect"
    rig.advance(20)
    rig.answer_queries()
    assert status_of(rig, order) is OrdStatus.NEW
    assert cancel_rejects(rig) == [CxlRejReason.VENUE]
    assert not rig.actor.core.watches
    rig.assert_replays()


def test_cancel_all_takes_what_matches_and_has_no_cancel_on_its_way(rig: Rig) -> None:
    mine, other = rig.placed(), rig.placed()
    pending = rig.placed()
    rig.tell(rig.venue.place_by_hand("web-1", Side.BUY, dec(1), dec(90)))
    rig.cancel(pending)
    rig.requests.clear()
    rig.tell(CancelAll(ACCOUNT, VENUE, STRATEGY_PATH, Symbol("ETHUSDT"), None))
    assert not rig.requests
    rig.tell(CancelAll(ACCOUNT, VENUE, STRATEGY_PATH, SYMBOL, STRATEGY))
    assert {request.cl_ord_id for request in rig.requests if isinstance(request, SubmitCancel)} == {
        mine.cl_ord_id,
        other.cl_ord_id,
    }
    rig.tell(CancelAll(ACCOUNT, VENUE, STRATEGY_PATH))
    last = rig.requests[-1]
    assert isinstance(last, SubmitCancel)
    assert (len(rig.requests), last.cl_ord_id) == (3, "web-1"), "None matches everything, the owner's orders too"


# ---- amends -------------------------------------------------------------------------------------------------------


def amend(rig: Rig, order: NewOrder, qty: str) -> None:
    rig.tell(AmendOrder(order.cl_ord_id, ACCOUNT, VENUE, SYMBOL, Decimal(qty), STRATEGY_PATH))


def test_an_amend_reduces_the_order_once_the_venue_says_so(rig: Rig) -> None:
    order = rig.placed()
    amend(rig, order, "0.6")
    ours = rig.state.orders.by_cl_ord_id[order.cl_ord_id]
    assert (ours.ord_status, ours.order_qty, ours.amend_qty) == (OrdStatus.PENDING_REPLACE, dec(1), dec("0.6"))
    assert isinstance(rig.requests[-1], SubmitAmend)
    for answer in rig.process(rig.requests.pop()):
        rig.tell(answer)
    assert (ours.ord_status, ours.order_qty, ours.amend_qty) == (OrdStatus.NEW, dec("0.6"), None)
    rig.tell(rig.venue.fill(order.cl_ord_id, dec("0.6"), dec(100)))
    assert ours.ord_status is OrdStatus.FILLED
    rig.assert_replays()


def test_f15_a_fill_that_races_an_amend_never_exceeds_the_intended_total(rig: Rig) -> None:
    order = rig.placed()
    amend(rig, order, "0.5")
    replaced = rig.venue.amend(order.cl_ord_id, dec("0.5"))
    assert replaced is not None
    rig.tell(rig.venue.fill(order.cl_ord_id, dec("0.5"), dec(100)))
    assert status_of(rig, order) is OrdStatus.PENDING_REPLACE
    rig.tell(replaced)
    assert status_of(rig, order) is OrdStatus.FILLED
    assert not [record for record in rig.records if isinstance(record, AlarmRaised)]


def test_amends_that_cannot_be(rig: Rig) -> None:
    rig.tell(AmendOrder(ClOrdID("whose"), ACCOUNT, VENUE, SYMBOL, dec(1), STRATEGY_PATH))
    unconfirmed = rig.new_order()
    amend(rig, unconfirmed, "0.5")
    rig.tell(rig.arrive())
    order = rig.placed()
    amend(rig, order, "1")
    amend(rig, order, "0.5")
    amend(rig, order, "0.4")
    rig.tell(rig.venue.fill(order.cl_ord_id, dec("0.4"), dec(100)))
    amend(rig, order, "0.3")
    assert cancel_rejects(rig) == [
        CxlRejReason.UNKNOWN_ORDER,
        CxlRejReason.NOT_READY,
        CxlRejReason.UNSUPPORTED,
        CxlRejReason.ALREADY_PENDING,
        CxlRejReason.TOO_LATE,
    ]


def test_with_cancel_and_amend_on_their_way_a_refusal_is_the_amends_first(rig: Rig) -> None:
    order = rig.placed()
    amend(rig, order, "0.5")
    rig.cancel(order)
    rig.tell(VenueCancelReject(order.cl_ord_id, "-2038", "no amend", False))
    ours = rig.state.orders.by_cl_ord_id[order.cl_ord_id]
    assert (ours.ord_status, ours.amend_qty) == (OrdStatus.PENDING_CANCEL, None)
    rig.tell(VenueCancelReject(order.cl_ord_id, "-2011", "no cancel", False))
    assert ours.ord_status is OrdStatus.NEW
    rig.assert_replays()


def test_an_amend_in_doubt_ends_with_its_confirmation(rig: Rig) -> None:
    order = rig.placed()
    amend(rig, order, "0.5")
    rig.doubt(order, cancel=True)
    replaced = rig.venue.amend(order.cl_ord_id, dec("0.5"))
    assert replaced is not None
    rig.tell(replaced)
    ours = rig.state.orders.by_cl_ord_id[order.cl_ord_id]
    assert (ours.in_doubt, ours.ord_status) == (False, OrdStatus.NEW)
    assert not rig.actor.core.watches


# ---- draining -----------------------------------------------------------------------------------------------------


@pytest.mark.req("R122")
def test_a_drain_takes_nothing_new_cancels_ours_and_says_when_nothing_is_left(rig: Rig) -> None:
    order, stubborn = rig.placed(), rig.placed()
    rig.tell(rig.venue.place_by_hand("web-1", Side.BUY, dec(1), dec(90)))
    rig.told.clear()
    rig.tell(Drain("stop"), sender="/engine")
    assert len(rig.requests) == 2, "the owner's own order stays"
    rig.new_order()
    assert refusals(rig) == [OrdRejReason.DRAINING]
    rig.tell(VenueCancelReject(stubborn.cl_ord_id, "-1", "busy", False))
    for answer in rig.process(rig.requests.pop(0)):
        rig.tell(answer)
    assert not rig.heard("/engine", Drained)
    rig.requests.clear()
    rig.advance(1)
    assert [request.cl_ord_id for request in rig.requests if isinstance(request, SubmitCancel)] == [
        stubborn.cl_ord_id
    ], "what came back is canceled again"
    for answer in rig.process(rig.requests.pop(0)):
        rig.tell(answer)
    assert rig.heard("/engine", Drained) == [Drained(PATH)]
    rig.advance(10)
    assert len(rig.heard("/engine", Drained)) == 1
    assert status_of(rig, order) is OrdStatus.CANCELED


def test_a_drain_with_nothing_to_do_is_done_at_once(rig: Rig) -> None:
    rig.tell(Drain("stop"), sender="/engine")
    assert rig.heard("/engine", Drained) == [Drained(PATH)]


def test_a_drain_from_outside_the_tree_is_answered_to_nobody(rig: Rig) -> None:
    rig.tell(Drain("stop"), sender="")
    assert not rig.told
    rig.new_order()
    assert refusals(rig) == [OrdRejReason.DRAINING]


# ---- reports: who hears what --------------------------------------------------------------------------------------


def test_a_report_reaches_gates_and_strategy_in_the_accounts_words_and_the_portfolio_gets_the_position(
    rig: Rig,
) -> None:
    order = rig.placed()
    rig.told.clear()
    rig.tell(rig.venue.fill(order.cl_ord_id, dec("0.4"), dec(99), dec("0.0004"), "BTC"))
    assert [path for path, _ in rig.told] == ["/risk/firm", "/risk/main", STRATEGY_PATH, "/portfolio"]
    report = rig.told[2][1]
    assert isinstance(report, ExecutionReport)
    assert (report.strategy, report.cum_qty, report.cum_quote, report.ord_status) == (
        STRATEGY,
        dec("0.4"),
        dec("39.6"),
        OrdStatus.PARTIALLY_FILLED,
    )
    position = rig.last_position()
    assert (position.qty, position.avg_px, position.strategy) == (dec("0.3996"), dec(99), STRATEGY)
    assert report in rig.records, "the journal has exactly what the readers heard"


def test_f5_f6_the_same_reports_in_any_order_and_number_end_the_same(rig: Rig) -> None:
    order = rig.new_order()
    new = rig.arrive()
    first = rig.venue.fill(order.cl_ord_id, dec("0.3"), dec(100))
    second = rig.venue.fill(order.cl_ord_id, dec("0.2"), dec(101))
    canceled = rig.venue.cancel(order.cl_ord_id)
    assert canceled is not None
    for report in (canceled, second, second, new, canceled, first, new, first):
        rig.tell(report)
    ours = rig.state.orders.by_cl_ord_id[order.cl_ord_id]
    assert (ours.ord_status, ours.cum_qty, ours.leaves_qty) == (OrdStatus.CANCELED, dec("0.5"), Decimal(0))
    strategy = [m for m in rig.heard(STRATEGY_PATH, ExecutionReport) if isinstance(m, ExecutionReport)]
    assert [m.cum_qty for m in strategy] == sorted(m.cum_qty for m in strategy), "cum_qty never falls (I4)"
    assert [m.exec_type for m in strategy][-1] is ExecType.CANCELED, "fills first, then the end"
    assert rig.state.ledger.net_qty(SYMBOL) == dec("0.5")


def test_f16_a_late_fill_after_canceled_moves_quantities_only(rig: Rig) -> None:
    order = rig.placed()
    canceled = rig.venue.cancel(order.cl_ord_id)
    assert canceled is not None
    rig.tell(canceled)
    late = attrs.evolve(
        canceled,
        exec_type=ExecType.TRADE,
        ord_status=OrdStatus.PARTIALLY_FILLED,
        last_qty=dec("0.2"),
        last_px=dec(100),
        cum_qty=dec("0.2"),
        trade_id=TradeID("77"),
    )
    rig.tell(late)
    ours = rig.state.orders.by_cl_ord_id[order.cl_ord_id]
    assert (ours.ord_status, ours.cum_qty, ours.leaves_qty) == (OrdStatus.CANCELED, dec("0.2"), Decimal(0))
    assert rig.state.ledger.net_qty(SYMBOL) == dec("0.2")
    rig.assert_replays()


def test_f16_a_trade_is_taken_back_and_another_corrected(rig: Rig) -> None:
    order = rig.placed()
    first = rig.venue.fill(order.cl_ord_id, dec("0.3"), dec(100))
    second = rig.venue.fill(order.cl_ord_id, dec("0.7"), dec(101))
    rig.tell(first)
    rig.tell(second)
    bust = attrs.evolve(first, exec_type=ExecType.TRADE_CANCEL, transact_ns=second.transact_ns + 1)
    correct = attrs.evolve(
        second, exec_type=ExecType.TRADE_CORRECT, last_px=dec(90), transact_ns=second.transact_ns + 2
    )
    for report in (bust, bust, correct, correct, first):
        rig.tell(report)
    ours = rig.state.orders.by_cl_ord_id[order.cl_ord_id]
    assert (ours.ord_status, ours.cum_qty, ours.cum_quote) == (OrdStatus.FILLED, dec("0.7"), dec(63))
    position = rig.last_position()
    assert (position.qty, position.avg_px, position.realized) == (dec("0.7"), dec(90), Decimal(0))
    rig.tell(attrs.evolve(correct, transact_ns=first.transact_ns, last_px=dec(1)))
    assert ours.cum_quote == 63, "an older correction does not set a newer one back"
    rig.assert_replays()


def test_a_trade_taken_back_before_it_comes_is_not_booked_when_it_does(rig: Rig) -> None:
    order = rig.placed()
    fill = rig.venue.fill(order.cl_ord_id, dec("0.3"), dec(100))
    rig.tell(attrs.evolve(fill, exec_type=ExecType.TRADE_CANCEL, cum_qty=Decimal(0)))
    rig.tell(fill)
    assert rig.state.orders.by_cl_ord_id[order.cl_ord_id].cum_qty == 0
    assert rig.state.ledger.net_qty(SYMBOL) == 0
    rig.assert_replays()


def test_a_trade_corrected_before_it_comes_is_booked_as_corrected(rig: Rig) -> None:
    order = rig.placed()
    fill = rig.venue.fill(order.cl_ord_id, dec("0.3"), dec(100))
    rig.tell(attrs.evolve(fill, exec_type=ExecType.TRADE_CORRECT, last_px=dec(90)))
    rig.tell(fill)
    ours = rig.state.orders.by_cl_ord_id[order.cl_ord_id]
    assert (ours.cum_qty, ours.cum_quote) == (dec("0.3"), dec(27))


def test_a_trade_taken_back_while_others_are_missing_lowers_what_is_waited_for(rig: Rig) -> None:
    order = rig.placed()
    first = rig.venue.fill(order.cl_ord_id, dec("0.3"), dec(100))
    rig.venue.fill(order.cl_ord_id, dec("0.2"), dec(100))
    found = rig.venue.status(order.cl_ord_id, None)
    assert found is not None
    rig.tell(first)
    rig.tell(found)
    assert rig.actor.core.watches[order.cl_ord_id].claimed == dec("0.5")
    rig.tell(attrs.evolve(first, exec_type=ExecType.TRADE_CANCEL, transact_ns=first.transact_ns + 1))
    assert order.cl_ord_id not in rig.actor.core.watches


def test_a_fill_without_an_id_is_fetched_instead(rig: Rig) -> None:
    order = rig.placed()
    fill = rig.venue.fill(order.cl_ord_id, dec("0.3"), dec(100))
    rig.tell(attrs.evolve(fill, trade_id=None))
    assert rig.state.ledger.net_qty(SYMBOL) == 0
    rig.answer_queries()
    assert rig.state.ledger.net_qty(SYMBOL) == dec("0.3")


def test_reports_of_another_account_and_of_nobody_are_counted_and_change_nothing(rig: Rig) -> None:
    order = rig.placed()
    before = rig.state.text()
    report = rig.venue.report(rig.venue.orders[order.cl_ord_id], ExecType.CANCELED)
    rig.tell(attrs.evolve(report, account=AccountID("other")))
    rig.tell(attrs.evolve(report, cl_ord_id=ClOrdID("new"), venue=Venue("other")))
    rig.tell(attrs.evolve(report, cl_ord_id=ClOrdID(""), order_id=OrderID("")))
    assert rig.state.text() == before
    assert (rig.actor.core.counts["foreign"], rig.actor.core.counts["nameless"]) == (2, 1)


# ---- orders that are not ours -------------------------------------------------------------------------------------


@pytest.mark.req("R129")
def test_f17_the_owners_own_order_is_adopted_under_manual(rig: Rig) -> None:
    rig.tell(rig.venue.place_by_hand("web-1", Side.SELL, dec(2), dec(100)))
    rig.tell(rig.venue.fill("web-1", dec("0.5"), dec(100)))
    (order,) = rig.state.picture().open_orders
    assert (order.strategy, order.leaves_qty, order.side) == (MANUAL, dec("1.5"), Side.SELL)
    assert rig.last_position().strategy == MANUAL
    assert rig.heard("/risk/main", ExecutionReport), "the gates count it"
    assert not rig.heard("", ExecutionReport), "and no strategy is told"
    rig.assert_replays()


@pytest.mark.req("R128", "R109")
def test_two_strategies_and_the_owner_stand_side_by_side_on_one_symbol() -> None:
    other = StrategyID("trend")
    rig = Rig(strategies=(STRATEGY, other))
    rig.up()
    rig.told.clear()
    first = rig.placed("0.3")
    rig.tell(rig.venue.fill(first.cl_ord_id, dec("0.3"), dec(100)))
    second = rig.new_order("0.1", side=Side.SELL, strategy=other, reply_to="/strategies/trend")
    rig.tell(rig.arrive())
    rig.tell(rig.venue.fill(second.cl_ord_id, dec("0.1"), dec(100)))
    rig.tell(rig.venue.place_by_hand("web", Side.BUY, dec("0.05"), dec(100)))
    rig.tell(rig.venue.fill("web", dec("0.05"), dec(100)))
    held = {position.strategy: position.qty for position in rig.state.picture().positions}
    assert held == {STRATEGY: dec("0.3"), other: dec("-0.1"), MANUAL: dec("0.05")}
    assert rig.state.ledger.net_qty(SYMBOL) == dec("0.25")
    narrowed = rig.state.picture(other)
    assert [position.strategy for position in narrowed.positions] == [other]


def test_an_order_of_ours_from_a_lost_journal_goes_to_its_strategy_by_its_id(rig: Rig) -> None:
    old = ClOrdIDs(ACCOUNT, STRATEGY, 0, 1).next()
    elsewhere = ClOrdIDs("another", STRATEGY, 0, 1).next()
    rig.tell(rig.venue.place_by_hand(old, Side.BUY, dec(1), dec(100)))
    rig.tell(rig.venue.place_by_hand(elsewhere, Side.BUY, dec(1), dec(100)))
    assert [order.strategy for order in rig.state.picture().open_orders] == [STRATEGY, MANUAL]


def test_a_report_under_another_client_id_finds_its_order_by_the_venues_id(rig: Rig) -> None:
    order = rig.placed()
    fill = rig.venue.fill(order.cl_ord_id, dec(1), dec(100))
    rig.tell(attrs.evolve(fill, cl_ord_id=ClOrdID("renamed-by-a-cancel")))
    assert status_of(rig, order) is OrdStatus.FILLED
    assert len(rig.state.orders.by_cl_ord_id) == 1


def test_a_fill_from_the_history_waits_for_the_name_of_its_order(rig: Rig) -> None:
    """It may be of an order of ours whose confirmation is still on its way: booked to nobody else meanwhile."""
    order = rig.new_order()
    confirmation = rig.arrive()
    rig.venue.fill(order.cl_ord_id, dec("0.4"), dec(100))
    (fill,) = rig.venue.history()
    rig.tell(fill)
    rig.tell(fill)
    assert rig.state.ledger.net_qty(SYMBOL) == 0
    assert [query.order.order_id for query in rig.queries] == [confirmation.order_id]
    rig.tell(confirmation)
    assert rig.state.ledger.entries[SYMBOL, STRATEGY].qty == dec("0.4")
    assert not rig.actor.core.strangers
    rig.answer_queries()
    assert rig.state.ledger.net_qty(SYMBOL) == dec("0.4")


def test_a_fill_whose_order_the_venue_never_names_is_the_owners(rig: Rig) -> None:
    rig.venue.place_by_hand("web", Side.BUY, dec(1), dec(100))
    rig.venue.fill("web", dec("0.4"), dec(100))
    rig.venue.fill("web", dec("0.1"), dec(100))
    for fill in rig.venue.history():
        rig.tell(fill)
    rig.advance(60)
    assert len(rig.queries) == rig.settings.fills_attempts
    assert rig.state.ledger.entries[SYMBOL, MANUAL].qty == dec("0.5")
    rig.advance(60)
    assert len(rig.queries) == rig.settings.fills_attempts


# ---- doubt --------------------------------------------------------------------------------------------------------


def test_a_doubt_is_asked_about_at_1_2_5_10_seconds_then_every_10_and_when_it_can_be_settled(rig: Rig) -> None:
    order = rig.new_order()
    began = rig.ctx.now_ns
    rig.doubt(order, settles_in_s=27)
    asked = []
    for _ in range(60):
        rig.advance(1)
        asked += [(rig.ctx.now_ns - began) // SECOND] * len(rig.queries)
        rig.queries.clear()
    assert asked == [1, 2, 5, 10, 20, 28, 30, 40, 50, 60]


def test_evidence_closes_a_doubt_in_the_journal(rig: Rig) -> None:
    order = rig.new_order()
    rig.doubt(order)
    rig.tell(rig.arrive())
    kinds = [type(record) for record in rig.records if isinstance(record, DoubtOpened | DoubtClosed)]
    assert kinds == [DoubtOpened, DoubtClosed]
    assert not rig.actor.core.watches
    rig.assert_replays()


def test_a_second_not_found_is_asked_for_a_second_later(rig: Rig) -> None:
    order = rig.new_order()
    rig.doubt(order, settles_in_s=5)
    rig.advance(6)
    rig.queries.clear()
    rig.tell(OrderNotFound(order.cl_ord_id, rig.ctx.now_ns))
    assert not rig.queries
    rig.advance(1)
    assert len(rig.queries) == 1


def test_an_answer_about_nobody_changes_nothing(rig: Rig) -> None:
    before = rig.state.text()
    rig.tell(OrderNotFound(ClOrdID("whose"), rig.ctx.now_ns))
    assert rig.state.text() == before


def test_a_query_that_finds_an_order_we_ended_learns_its_fills(rig: Rig) -> None:
    """NEVER_ARRIVED, and then the history shows that it had arrived and was filled."""
    order = rig.new_order()
    rig.tell(VenueReject(order.cl_ord_id, OrdRejReason.VENUE, "", "no"))
    rig.arrive()
    rig.venue.fill(order.cl_ord_id, dec(1), dec(100))
    found = rig.venue.status(order.cl_ord_id, None)
    assert found is not None
    rig.tell(OrderFound(found, rig.venue.history()))
    assert rig.state.ledger.entries[SYMBOL, STRATEGY].qty == 1
    assert status_of(rig, order) is OrdStatus.REJECTED
    rig.assert_as_the_venue_says()


def test_a_restarted_account_doubts_what_was_on_its_way(rig: Rig) -> None:
    resting, canceling, amending = rig.placed(), rig.placed(), rig.placed()
    rig.cancel(canceling)
    amend(rig, amending, "0.5")
    unanswered = rig.new_order()
    rig.crash()
    doubts = {
        order.cl_ord_id: (order.doubt and order.doubt.reason, order.cancel_doubt and order.cancel_doubt.reason)
        for order in rig.state.orders.live.values()
    }
    assert doubts == {
        resting.cl_ord_id: (None, None),
        canceling.cl_ord_id: (None, DoubtReason.RESTARTED),
        amending.cl_ord_id: (None, DoubtReason.RESTARTED),
        unanswered.cl_ord_id: (DoubtReason.RESTARTED, None),
    }
    assert not rig.ctx.ready
    rig.settle(40)
    rig.up()
    rig.assert_as_the_venue_says()
    assert not any(order.in_doubt for order in rig.state.orders.live.values())


def test_answers_about_orders_that_are_over_or_unknown_are_counted(rig: Rig) -> None:
    now_ns = rig.ctx.now_ns
    rig.tell(NotSent(ClOrdID("whose"), False, OrdRejReason.NOT_SENT, ""))
    rig.tell(OrderInDoubt(ClOrdID("whose"), False, DoubtReason.NO_REPLY, now_ns, now_ns))
    assert rig.actor.core.counts["unknown_order"] == 2


def test_a_timer_of_a_watch_that_is_over_asks_nothing(rig: Rig) -> None:
    order = rig.placed()
    rig.tell(AskOrder(order.cl_ord_id, 1))
    rig.doubt(other := rig.new_order())
    rig.tell(AskOrder(other.cl_ord_id, 0))
    assert not rig.queries


def test_missing_trades_of_a_live_order_are_given_up_with_an_alarm_and_it_stays(rig: Rig) -> None:
    order = rig.placed()
    rig.venue.fill(order.cl_ord_id, dec("0.4"), dec(100))
    found = rig.venue.status(order.cl_ord_id, None)
    assert found is not None
    for _ in range(rig.settings.fills_attempts):
        rig.tell(OrderFound(found, ()))
    assert status_of(rig, order) is OrdStatus.NEW
    assert [r.kind for r in rig.records if isinstance(r, AlarmRaised)] == [AlarmKind.FILLS_MISSING]
    assert not rig.actor.core.watches


def test_unknown_messages_are_counted(rig: Rig) -> None:
    class Strange(Message):
        pass

    rig.tell(Strange())
    assert rig.actor.core.counts["ignored Strange"] == 1


def test_what_the_console_sees(rig: Rig) -> None:
    order = rig.placed()
    rig.tell(rig.venue.fill(order.cl_ord_id, dec("0.4"), dec(100)))
    rig.doubt(rig.new_order())
    seen = rig.actor.inspect()
    assert seen["live_orders"] == 2
    assert seen["in_doubt"] == 1
    assert seen["positions"] == {f"{SYMBOL}/{STRATEGY}": "0.4"}
    events = seen["events"]
    assert isinstance(events, dict)
    assert events["applied"] >= 2
    assert isinstance(rig.records[-1], DoubtOpened)
    assert DoubtReason.NO_REPLY is rig.records[-1].reason
    assert not [record for record in rig.records if isinstance(record, CancelIntent | CancelClosed)]
