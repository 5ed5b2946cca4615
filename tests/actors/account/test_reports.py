"""What an account makes of the venue's reports: who hears what, whose order it is, and what is in doubt."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest

from actors.account.desk import AskOrder
from actors.account.settings import SECOND
from protocols.base import Message
from protocols.enums import AlarmKind, DoubtReason, ExecType, OrdRejReason, OrdStatus, Side
from protocols.ids import MANUAL, AccountID, ClOrdID, ClOrdIDs, OrderID, StrategyID, TradeID, Venue
from protocols.journal import (
    AlarmRaised,
    CancelClosed,
    CancelIntent,
    DoubtClosed,
    DoubtOpened,
)
from protocols.orders import (
    ExecutionReport,
    NotSent,
    OrderInDoubt,
    OrderNotFound,
    VenueReject,
)
from protocols.reconcile import OrderFound
from tests.actors.account.rig import STRATEGY, STRATEGY_PATH, Rig, dec
from tests.actors.account.venue import ACCOUNT, SYMBOL


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.up()
    rig.told.clear()
    return rig


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


def test_a_trade_that_was_taken_back_is_not_corrected_any_more(rig: Rig) -> None:
    order = rig.placed()
    fill = rig.venue.fill(order.cl_ord_id, dec("0.3"), dec(100))
    rig.tell(fill)
    bust = attrs.evolve(fill, exec_type=ExecType.TRADE_CANCEL, cum_qty=Decimal(0), transact_ns=fill.transact_ns + 1)
    rig.tell(bust)
    late = attrs.evolve(fill, exec_type=ExecType.TRADE_CORRECT, last_px=dec(90), transact_ns=fill.transact_ns + 2)
    rig.tell(late)
    rig.state.apply(attrs.evolve(late, cum_qty=Decimal(0)))  # also where a journal holds it
    assert rig.state.ledger.net_qty(SYMBOL) == 0
    assert rig.state.orders.by_cl_ord_id[order.cl_ord_id].cum_qty == 0


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
    assert rig.status(order) is OrdStatus.FILLED
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
    assert rig.status(order) is OrdStatus.REJECTED
    rig.assert_as_the_venue_says()


def test_a_restarted_account_doubts_what_was_on_its_way(rig: Rig) -> None:
    resting, canceling, amending = rig.placed(), rig.placed(), rig.placed()
    rig.cancel(canceling)
    rig.amend(amending, "0.5")
    unanswered = rig.new_order()
    rig.crash()
    doubts = {
        order.cl_ord_id: tuple(doubt and doubt.reason for doubt in (order.doubt, order.cancel_doubt, order.amend_doubt))
        for order in rig.state.orders.live.values()
    }
    assert doubts == {
        resting.cl_ord_id: (None, None, None),
        canceling.cl_ord_id: (None, DoubtReason.RESTARTED, None),
        amending.cl_ord_id: (None, None, DoubtReason.RESTARTED),
        unanswered.cl_ord_id: (DoubtReason.RESTARTED, None, None),
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
    assert rig.status(order) is OrdStatus.NEW
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
