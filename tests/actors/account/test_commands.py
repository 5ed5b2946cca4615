"""What an account does with commands, and with what order entry says about them."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from actors.account.settings import SECOND
from protocols.control import Drain, Drained, InstrumentsChanged
from protocols.enums import AlarmKind, CxlRejReason, OrdRejReason, OrdStatus, Side
from protocols.ids import AccountID, ClOrdID, Symbol, Venue
from protocols.instruments import Product
from protocols.journal import (
    AlarmRaised,
    AppendRefused,
    OrderClosed,
    OrderIntent,
    SymbolDefined,
)
from protocols.orders import (
    AmendOrder,
    CancelAll,
    CancelOrder,
    CancelRejected,
    NewOrder,
    NotSent,
    OrderRefused,
    RequestSent,
    RiskApproved,
    SubmitAmend,
    SubmitCancel,
    SubmitOrder,
    VenueCancelReject,
    VenueReject,
)
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


def order_gone(order: NewOrder) -> VenueCancelReject:
    return VenueCancelReject(order.cl_ord_id, "-2011", "Unknown order sent.", True)


# ---- new orders ---------------------------------------------------------------------------------------------------


def test_an_approved_order_is_recorded_and_sent_with_its_symbol_described_once(rig: Rig) -> None:
    first, second = rig.new_order(), rig.new_order()
    kinds = [type(record) for record in rig.records if isinstance(record, SymbolDefined | OrderIntent)]
    assert kinds == [SymbolDefined, OrderIntent, OrderIntent]
    assert rig.requests == [SubmitOrder(first, PATH), SubmitOrder(second, PATH)]
    rig.assert_replays()


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
    assert rig.status(placed) is OrdStatus.NEW
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
    assert rig.status(order) is OrdStatus.NEW
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
    assert rig.status(order) is OrdStatus.REJECTED


# ---- cancels ------------------------------------------------------------------------------------------------------


def test_a_cancel_is_recorded_sent_and_confirmed(rig: Rig) -> None:
    order = rig.placed()
    rig.cancel(order)
    assert rig.status(order) is OrdStatus.PENDING_CANCEL
    theirs = rig.venue.orders[order.cl_ord_id]
    assert rig.requests == [SubmitCancel(order.cl_ord_id, theirs.order_id, SYMBOL, PATH)]
    for answer in rig.process(rig.requests.pop()):
        rig.tell(answer)
    assert rig.status(order) is OrdStatus.CANCELED
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
    assert rig.status(order) is OrdStatus.PENDING_CANCEL


def test_a_refused_cancel_brings_the_order_back_and_its_sender_hears(rig: Rig) -> None:
    order = rig.placed()
    rig.tell(CancelOrder(order.cl_ord_id, ACCOUNT, VENUE, SYMBOL, "/console"))
    rig.tell(VenueCancelReject(order.cl_ord_id, "", "not now", False))
    assert rig.status(order) is OrdStatus.NEW
    assert cancel_rejects(rig, "/console") == [CxlRejReason.VENUE]
    assert not rig.queries
    rig.cancel(order)
    rig.tell(NotSent(order.cl_ord_id, True, OrdRejReason.NOT_SENT, "socket down"))
    assert cancel_rejects(rig) == [CxlRejReason.NOT_SENT]
    assert rig.status(order) is OrdStatus.NEW
    rig.assert_replays()


def test_order_gone_is_asked_about_because_filled_and_canceled_look_alike(rig: Rig) -> None:
    """F14: a fill races the cancel; the venue answers "unknown order"."""
    order = rig.placed()
    rig.cancel(order)
    rig.venue.fill(order.cl_ord_id, dec(1), dec(100))
    rig.tell(order_gone(order))
    assert cancel_rejects(rig) == [CxlRejReason.TOO_LATE]
    assert rig.status(order) is OrdStatus.NEW
    assert rig.answer_queries() == 1
    assert rig.status(order) is OrdStatus.FILLED
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
    assert rig.status(order) is OrdStatus.PENDING_CANCEL, "it may still take effect"
    rig.advance(20)
    rig.answer_queries()
    assert rig.status(order) is OrdStatus.NEW
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


def test_an_amend_reduces_the_order_once_the_venue_says_so(rig: Rig) -> None:
    order = rig.placed()
    rig.amend(order, "0.6")
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
    rig.amend(order, "0.5")
    replaced = rig.venue.amend(order.cl_ord_id, dec("0.5"))
    assert replaced is not None
    rig.tell(rig.venue.fill(order.cl_ord_id, dec("0.5"), dec(100)))
    assert rig.status(order) is OrdStatus.PENDING_REPLACE
    rig.tell(replaced)
    assert rig.status(order) is OrdStatus.FILLED
    assert not [record for record in rig.records if isinstance(record, AlarmRaised)]


def test_amends_that_cannot_be(rig: Rig) -> None:
    rig.tell(AmendOrder(ClOrdID("whose"), ACCOUNT, VENUE, SYMBOL, dec(1), STRATEGY_PATH))
    unconfirmed = rig.new_order()
    rig.amend(unconfirmed, "0.5")
    rig.tell(rig.arrive())
    order = rig.placed()
    rig.amend(order, "1")
    rig.amend(order, "0.5")
    rig.amend(order, "0.4")
    rig.tell(rig.venue.fill(order.cl_ord_id, dec("0.4"), dec(100)))
    rig.amend(order, "0.3")
    assert cancel_rejects(rig) == [
        CxlRejReason.UNKNOWN_ORDER,
        CxlRejReason.NOT_READY,
        CxlRejReason.UNSUPPORTED,
        CxlRejReason.ALREADY_PENDING,
        CxlRejReason.TOO_LATE,
    ]


def test_with_cancel_and_amend_on_their_way_each_refusal_ends_its_own(rig: Rig) -> None:
    order = rig.placed()
    rig.amend(order, "0.5")
    rig.cancel(order)
    rig.tell(VenueCancelReject(order.cl_ord_id, "-2038", "no amend", False, amend=1))
    ours = rig.state.orders.by_cl_ord_id[order.cl_ord_id]
    assert (ours.ord_status, ours.amend_qty) == (OrdStatus.PENDING_CANCEL, None)
    rig.tell(VenueCancelReject(order.cl_ord_id, "-2011", "no cancel", False))
    assert ours.ord_status is OrdStatus.NEW
    rig.assert_replays()


def test_an_amend_in_doubt_ends_with_its_confirmation(rig: Rig) -> None:
    order = rig.placed()
    rig.amend(order, "0.5")
    rig.doubt(order, amend=1)
    assert rig.state.orders.by_cl_ord_id[order.cl_ord_id].in_doubt
    replaced = rig.venue.amend(order.cl_ord_id, dec("0.5"))
    assert replaced is not None
    rig.tell(replaced)
    ours = rig.state.orders.by_cl_ord_id[order.cl_ord_id]
    assert (ours.in_doubt, ours.ord_status) == (False, OrdStatus.NEW)
    assert not rig.actor.core.watches


@pytest.mark.req("R224")
def test_an_order_is_created_modified_and_canceled(rig: Rig) -> None:
    order = rig.placed("1")
    ours = rig.state.orders.by_cl_ord_id[order.cl_ord_id]
    rig.amend(order, "0.6")
    for answer in rig.process(rig.requests.pop(0)):
        rig.tell(answer)
    assert (ours.order_qty, ours.ord_status) == (dec("0.6"), OrdStatus.NEW)
    rig.cancel(order)
    for answer in rig.process(rig.requests.pop(0)):
        rig.tell(answer)
    assert ours.ord_status is OrdStatus.CANCELED
    rig.assert_as_the_venue_says()


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
    assert rig.status(order) is OrdStatus.CANCELED


def test_a_drain_with_nothing_to_do_is_done_at_once(rig: Rig) -> None:
    rig.tell(Drain("stop"), sender="/engine")
    assert rig.heard("/engine", Drained) == [Drained(PATH)]


def test_a_drain_from_outside_the_tree_is_answered_to_nobody(rig: Rig) -> None:
    rig.tell(Drain("stop"), sender="")
    assert not rig.told
    rig.new_order()
    assert refusals(rig) == [OrdRejReason.DRAINING]
