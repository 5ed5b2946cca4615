"""The failures that peers really had (P1 to P8), each as the scenario that hit them."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest

from protocols.control import SetTradingState
from protocols.enums import AlarmKind, DoubtReason, ExecType, OrdRejReason, OrdStatus, Side, TradingState
from protocols.ids import TradeID
from protocols.journal import AlarmRaised, DoubtOpened, OrderClosed, OrderIntent
from protocols.orders import ExecutionReport, OrderInDoubt, OrderNotFound, OrderRefused, SubmitCancel
from protocols.reconcile import OrderFound, QueryFailed, ReconcileFailed
from tests.actors.account.rig import STRATEGY, STRATEGY_PATH, Rig, dec
from tests.actors.account.venue import SYMBOL


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.up()
    return rig


def test_p1_timeout_then_late_acceptance_and_fill_is_an_order_and_not_an_orphan(rig: Rig) -> None:
    """nautilus_trader 4958: a submit without confirmation was declared REJECTED while the order lived."""
    order = rig.new_order()
    rig.doubt(order)
    for _ in range(4):
        rig.advance(2)
        rig.tell(OrderNotFound(order.cl_ord_id, rig.ctx.now_ns))
    assert rig.status(order) is OrdStatus.PENDING_NEW
    assert rig.state.orders.by_cl_ord_id[order.cl_ord_id].in_doubt
    assert rig.actor.core.state.picture().open_orders[0].leaves_qty == 1, "exposure counts doubt as live (I8)"
    late = rig.arrive()
    rig.tell(late)
    rig.tell(rig.venue.fill(order.cl_ord_id, dec(1), dec(100)))
    assert rig.status(order) is OrdStatus.FILLED
    assert rig.state.ledger.entries[SYMBOL, STRATEGY].qty == 1
    assert not rig.heard(STRATEGY_PATH, OrderRefused)
    rig.assert_replays()


def test_p1_even_after_the_proof_a_late_order_is_seen_canceled_and_its_fills_are_booked(rig: Rig) -> None:
    order = rig.new_order()
    rig.doubt(order, settles_in_s=15)
    while rig.status(order) is OrdStatus.PENDING_NEW:
        rig.advance(1)
        rig.answer_queries()
    assert rig.ctx.now_ns - order.created_ns > 15_000_000_000
    refusals = rig.heard(STRATEGY_PATH, OrderRefused)
    assert [refused.reason for refused in refusals if isinstance(refused, OrderRefused)] == [OrdRejReason.NEVER_ARRIVED]
    rig.tell(rig.arrive())
    cancel = rig.requests.pop()
    assert isinstance(cancel, SubmitCancel)
    assert cancel.order_id == rig.venue.orders[order.cl_ord_id].order_id
    assert rig.status(order) is OrdStatus.REJECTED, "a final status never becomes live again (I5)"
    halts = rig.heard("/risk/main", SetTradingState)
    assert [halt.state for halt in halts if isinstance(halt, SetTradingState)] == [TradingState.HALTED]
    rig.tell(rig.venue.fill(order.cl_ord_id, dec("0.4"), dec(100)))
    canceled = rig.venue.cancel(order.cl_ord_id)
    assert canceled is not None
    rig.tell(canceled)
    assert rig.status(order) is OrdStatus.REJECTED
    assert rig.state.ledger.net_qty(SYMBOL) == dec("0.4")
    rig.assert_as_the_venue_says()
    rig.assert_replays()


def test_p2_accepted_orders_survive_an_outage_in_which_nothing_can_be_asked(rig: Rig) -> None:
    """hummingbot 8457: DNS down, six accepted orders dropped as failures, an untracked short left."""
    orders = [rig.placed(side=Side.SELL) for _ in range(6)]
    rig.down()
    rig.tell(ReconcileFailed(1, "DNS"))
    for order in orders:
        rig.tell(QueryFailed(order.cl_ord_id, "DNS"))
    rig.advance(120)
    assert len(rig.state.orders.live) == 6
    fill = rig.venue.fill(orders[0].cl_ord_id, dec(1), dec(100))
    assert fill.side is Side.SELL
    rig.up()
    assert rig.ctx.ready
    assert rig.state.ledger.net_qty(SYMBOL) == -1
    assert rig.status(orders[0]) is OrdStatus.FILLED
    assert len(rig.state.orders.live) == 5
    rig.assert_as_the_venue_says()


def test_p3_lost_reply_of_a_placed_order_is_settled_by_the_query(rig: Rig) -> None:
    """hummingbot 6901, 493, 3374: reply lost, order placed, engine believed in failure."""
    order = rig.new_order()
    rig.arrive()
    rig.venue.fill(order.cl_ord_id, dec("0.3"), dec(100))
    rig.doubt(order)
    rig.advance(1)
    assert rig.answer_queries() == 1
    ours = rig.state.orders.by_cl_ord_id[order.cl_ord_id]
    assert (ours.ord_status, ours.cum_qty, ours.in_doubt) == (OrdStatus.PARTIALLY_FILLED, dec("0.3"), False)
    assert not rig.requests, "never sent twice (I2)"
    rig.advance(30)
    assert not rig.queries, "a settled doubt asks no more"


def test_p4_a_fill_is_known_and_applied_in_one_record(rig: Rig) -> None:
    """nautilus_trader PR 4522: marked as seen, crash, then the real report was suppressed."""
    order = rig.placed()
    fill = rig.venue.fill(order.cl_ord_id, dec(1), dec(100))
    before = len(rig.records)
    rig.tell(fill)
    written = rig.records[before:]
    assert [type(record) for record in written] == [ExecutionReport], "one record, so there is nothing in between"
    with_fill, without = list(rig.records), rig.records[:before]
    for records in (with_fill, without):
        rig.records = list(records)
        rig.crash()
        rig.tell(fill)  # the venue says it again
        rig.up()
        assert rig.state.ledger.net_qty(SYMBOL) == 1
        rig.assert_as_the_venue_says()


def test_p5_a_reconciliation_that_races_the_stream_books_a_fill_once(rig: Rig) -> None:
    """nautilus_trader PR 3493: an inferred fill was booked, then the real one."""
    order = rig.placed()
    fill = rig.venue.fill(order.cl_ord_id, dec("0.6"), dec(100))
    found = rig.venue.status(order.cl_ord_id, None)
    assert found is not None
    rig.tell(found)  # a query's answer counts 0.6; its trades are not known yet
    assert rig.state.ledger.net_qty(SYMBOL) == 0, "nothing is ever booked from a cumulative quantity"
    rig.tell(OrderFound(found, rig.venue.history(found.order_id)))
    assert rig.state.ledger.net_qty(SYMBOL) == dec("0.6")
    rig.tell(fill)
    assert rig.state.ledger.net_qty(SYMBOL) == dec("0.6")
    assert rig.status(order) is OrdStatus.PARTIALLY_FILLED


def test_p6_two_restarts_replay_fills_without_doubling_anything(rig: Rig) -> None:
    """nautilus_trader 3046, 3176: replayed fills failed on their own ids; a restart sent the orders again."""
    first = rig.placed()
    rig.tell(rig.venue.fill(first.cl_ord_id, dec("0.5"), dec(100)))
    second = rig.new_order()
    texts = []
    for _ in range(2):
        rig.crash()
        assert [type(request) for request in rig.requests] == [type(rig.requests[0])], "nothing was sent again"
        texts.append(rig.state.text())
    assert texts[0] == texts[1]
    assert rig.state.orders.by_cl_ord_id[second.cl_ord_id].doubt is not None
    rig.settle(5)
    rig.up()
    rig.assert_as_the_venue_says()
    assert rig.venue.placed == [first.cl_ord_id, second.cl_ord_id]


def test_p7_restart_with_an_old_cumulative_quantity_books_only_what_is_new(rig: Rig) -> None:
    """QuantDinger PR 232: the same fill booked twice from a stale baseline."""
    order = rig.placed()
    known = rig.venue.fill(order.cl_ord_id, dec("0.2"), dec(100))
    rig.tell(known)
    rig.venue.fill(order.cl_ord_id, dec("0.3"), dec(101))  # never delivered
    rig.crash()
    rig.up()
    assert rig.state.orders.by_cl_ord_id[order.cl_ord_id].cum_qty == dec("0.5")
    assert rig.state.ledger.net_qty(SYMBOL) == dec("0.5")
    rig.tell(known)
    assert rig.state.ledger.net_qty(SYMBOL) == dec("0.5")


def test_p8_not_found_for_a_fresh_order_is_no_failure(rig: Rig) -> None:
    """hummingbot 601: the query overtook the acceptance, the order was declared dead and placed again."""
    order = rig.new_order()
    rig.tell(OrderNotFound(order.cl_ord_id, rig.ctx.now_ns))
    assert rig.status(order) is OrdStatus.PENDING_NEW
    assert isinstance(rig.records[-1], DoubtOpened)
    assert rig.records[-1].reason is DoubtReason.VENUE_UNKNOWN
    rig.tell(rig.arrive())
    ours = rig.state.orders.by_cl_ord_id[order.cl_ord_id]
    assert (ours.ord_status, ours.in_doubt) == (OrdStatus.NEW, False)
    assert not rig.heard(STRATEGY_PATH, OrderRefused)


def test_never_arrived_needs_the_deadline_and_two_answers_in_a_row_with_the_stream_up(rig: Rig) -> None:
    order = rig.new_order()
    rig.doubt(order, settles_in_s=15)
    early = rig.ctx.now_ns
    for _ in range(5):
        rig.tell(OrderNotFound(order.cl_ord_id, early))
    assert rig.status(order) is OrdStatus.PENDING_NEW, "before the deadline it proves nothing"
    rig.advance(20)
    rig.tell(OrderNotFound(order.cl_ord_id, rig.ctx.now_ns))
    assert rig.status(order) is OrdStatus.PENDING_NEW, "once proves nothing"
    rig.down()
    rig.tell(OrderNotFound(order.cl_ord_id, rig.ctx.now_ns))
    rig.tell(OrderNotFound(order.cl_ord_id, rig.ctx.now_ns))
    assert rig.status(order) is OrdStatus.PENDING_NEW, "without the stream it proves nothing"
    rig.up()
    rig.tell(OrderNotFound(order.cl_ord_id, rig.ctx.now_ns))
    assert rig.status(order) is OrdStatus.REJECTED
    closed = rig.records[-1]
    assert isinstance(closed, OrderClosed)
    assert closed.reason is OrdRejReason.NEVER_ARRIVED
    assert len(rig.heard("/risk/firm", OrderRefused)) == 1
    assert len(rig.heard("/risk/main", OrderRefused)) == 1
    rig.assert_replays()


def test_the_intent_is_in_the_journal_before_the_request_leaves(rig: Rig) -> None:
    """I3: the request is forwarded by the journal, together with the record."""
    rig.ctx.take()
    order = rig.new_order()
    intents = [record for record in rig.records if isinstance(record, OrderIntent)]
    assert [intent.order for intent in intents] == [order]
    assert len(rig.requests) == 1
    assert not [message for _, message in rig.told if type(message).__name__ == "SubmitOrder"]


def test_overfill_is_booked_raises_one_alarm_and_halts_the_account(rig: Rig) -> None:
    order = rig.placed("1")
    first = rig.venue.fill(order.cl_ord_id, dec("0.8"), dec(100))
    rig.tell(first)
    excess = attrs.evolve(first, trade_id=TradeID("900"), last_qty=dec("0.5"), cum_qty=dec("1.3"))
    rig.tell(excess)
    more = attrs.evolve(excess, trade_id=TradeID("901"), last_qty=dec("0.1"), cum_qty=dec("1.4"))
    rig.tell(more)
    ours = rig.state.orders.by_cl_ord_id[order.cl_ord_id]
    assert (ours.ord_status, ours.cum_qty, ours.leaves_qty) == (OrdStatus.FILLED, dec("1.4"), Decimal(0))
    assert rig.state.ledger.net_qty(SYMBOL) == dec("1.4")
    alarms = [record for record in rig.records if isinstance(record, AlarmRaised)]
    assert [alarm.kind for alarm in alarms] == [AlarmKind.OVERFILL]
    assert len(rig.heard("/risk/main", SetTradingState)) == 1
    rig.crash()
    assert rig.state.alarms == 1, "no crash loop: the state comes back as it is"
    rig.assert_replays()


def test_fills_that_the_venue_counts_and_never_shows_end_with_an_alarm(rig: Rig) -> None:
    order = rig.placed()
    rig.venue.fill(order.cl_ord_id, dec("0.4"), dec(100))
    canceled = rig.venue.cancel(order.cl_ord_id)
    assert canceled is not None
    rig.tell(canceled)
    assert rig.status(order) is OrdStatus.NEW, "held: its fills have not come"
    found = rig.venue.status(order.cl_ord_id, None)
    assert found is not None
    for _ in range(rig.settings.fills_attempts):
        rig.tell(OrderFound(found, ()))
    assert rig.status(order) is OrdStatus.CANCELED
    alarms = [record for record in rig.records if isinstance(record, AlarmRaised)]
    assert [alarm.kind for alarm in alarms] == [AlarmKind.FILLS_MISSING]
    rig.tell(rig.venue.trades[0])
    assert rig.state.orders.by_cl_ord_id[order.cl_ord_id].cum_qty == dec("0.4")
    assert rig.state.ledger.net_qty(SYMBOL) == dec("0.4")
    assert rig.status(order) is OrdStatus.CANCELED


def test_a_confirmed_order_that_vanishes_at_the_venue_is_ended_with_an_alarm(rig: Rig) -> None:
    order = rig.placed()
    del rig.venue.orders[order.cl_ord_id]
    rig.down()
    rig.up()
    assert rig.status(order) is OrdStatus.NEW
    for _ in range(40):
        rig.advance(1)
        rig.answer_queries()
    assert rig.status(order) is OrdStatus.CANCELED
    kinds = [record.kind for record in rig.records if isinstance(record, AlarmRaised)]
    assert kinds == [AlarmKind.ORDER_VANISHED]
    assert len(rig.heard(STRATEGY_PATH, OrderRefused)) == 1


def test_a_doubt_that_a_report_has_already_answered_is_void(rig: Rig) -> None:
    order = rig.placed()
    now_ns = rig.ctx.now_ns
    rig.tell(OrderInDoubt(order.cl_ord_id, False, DoubtReason.NO_REPLY, now_ns, now_ns))
    assert not rig.state.orders.by_cl_ord_id[order.cl_ord_id].in_doubt
    assert rig.actor.core.counts["contradicted"] == 1
    assert ExecType.NEW in {report.exec_type for report in rig.records if isinstance(report, ExecutionReport)}
