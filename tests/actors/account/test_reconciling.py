"""Coming back: the venue's picture, the ready gate, audits, balances."""

from __future__ import annotations

import attrs
import pytest

from actors.account.actor import ReconcileDue
from actors.account.orders import FillRow, Retention
from actors.account.reconcile import CLOCK_MARGIN_NS, fills_since
from actors.account.settings import SECOND
from actors.account.state import AccountState
from protocols.enums import AlarmKind, ExecType, OrdStatus, Side
from protocols.ids import MANUAL, ClOrdID, OrderID, Symbol, TradeID
from protocols.journal import AlarmRaised, UnexplainedChanged
from protocols.positions import AccountPicture, AccountQuery, AccountResynced, Balance, BalancesChanged
from protocols.reconcile import ReconcileFailed
from supervisors.actor import Up
from tests.actors.account.rig import PRIVATE, START_NS, STRATEGY, STRATEGY_PATH, Rig, dec
from tests.actors.account.venue import ACCOUNT, SYMBOL, VENUE

AUDIT_S = 60


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.up()
    return rig


def alarms(rig: Rig) -> list[AlarmKind]:
    return [record.kind for record in rig.records if isinstance(record, AlarmRaised)]


# ---- the ready gate -----------------------------------------------------------------------------------------------


def test_the_gate_opens_when_the_venues_picture_is_ours_and_shuts_when_the_stream_is_lost() -> None:
    rig = Rig()
    assert not rig.ctx.ready
    assert rig.ctx.watched == [PRIVATE]
    rig.tell(Up(PRIVATE, 1))
    assert not rig.ctx.ready
    rig.reconcile()
    assert rig.ctx.ready
    rig.down()
    assert not rig.ctx.ready
    assert "connection lost" in rig.ctx.unready_reason
    rig.up()
    assert rig.ctx.ready


def test_all_who_must_know_hear_that_the_account_is_whole_after_they_heard_what_was_missed(rig: Rig) -> None:
    order = rig.placed()
    rig.venue.fill(order.cl_ord_id, dec("0.4"), dec(100))
    rig.told.clear()
    rig.down()
    rig.up()
    for path in ("/risk/firm", "/risk/main", STRATEGY_PATH):
        kinds = [type(message).__name__ for to, message in rig.told if to == path]
        assert kinds == ["ExecutionReport", "AccountResynced"]
    (resynced,) = rig.heard("/portfolio", AccountResynced)
    assert isinstance(resynced, AccountResynced)
    assert resynced.picture.positions[0].qty == dec("0.4")
    assert resynced.picture.open_orders[0].cum_qty == dec("0.4")


def test_what_a_picture_contains_can_be_told_from_what_comes_after_it(rig: Rig) -> None:
    order = rig.placed()
    fill = rig.venue.fill(order.cl_ord_id, dec("0.4"), dec(100))
    rig.tell(fill)
    picture = rig.actor.answer(AccountQuery(hashed=True))
    assert isinstance(picture, AccountPicture)
    assert picture == attrs.evolve(rig.state.picture(), state_hash=picture.state_hash, made=picture.made)
    assert fill.received_ns < picture.taken_ns <= fill.received_ns + 1
    assert picture.state_hash == rig.state.hash()


def test_a_failed_reconciliation_is_tried_again_with_growing_pauses_and_the_gate_stays_shut() -> None:
    rig = Rig()
    rig.tell(Up(PRIVATE, 1))
    pauses = []
    for _ in range(9):
        request = rig.reconciles.pop()
        rig.tell(ReconcileFailed(request.attempt, "503"))
        before = rig.ctx.now_ns
        while not rig.reconciles:
            rig.advance(1)
        pauses.append((rig.ctx.now_ns - before) // SECOND)
    assert pauses[:6] == sorted(pauses[:6])
    assert pauses[0] == 1
    assert all(30 <= pause <= 38 for pause in pauses[6:]), "30 s and up to a quarter of jitter"
    assert not rig.ctx.ready
    assert "503" in rig.ctx.unready_reason
    rig.reconcile()
    assert rig.ctx.ready


def test_an_answer_that_does_not_come_is_asked_for_again() -> None:
    rig = Rig()
    rig.tell(Up(PRIVATE, 1))
    rig.reconciles.clear()
    rig.advance(61)
    assert len(rig.reconciles) == 1
    rig.reconcile()
    assert rig.ctx.ready


def test_answers_to_older_questions_are_void(rig: Rig) -> None:
    rig.down()
    rig.tell(Up(PRIVATE, 2))
    first = rig.reconciles.pop()
    rig.down()
    rig.tell(rig.picture(first))
    rig.tell(ReconcileFailed(first.attempt, "late"))
    assert not rig.ctx.ready
    assert rig.actor.core.counts["stale_answer"] == 2
    rig.tell(ReconcileDue(first.attempt))
    assert not rig.reconciles, "nothing is asked while the stream is down"


def test_a_reconciliation_takes_in_everything_that_was_missed(rig: Rig) -> None:
    """F4, F7, F12: fills, ends, confirmations and the owner's own orders, all at once, all with their owners."""
    filled, canceled, unconfirmed, lost = rig.placed(), rig.placed(), rig.new_order(), rig.new_order()
    rig.venue.fill(filled.cl_ord_id, dec("0.6"), dec(100))
    rig.venue.fill(filled.cl_ord_id, dec("0.4"), dec(101))
    rig.venue.fill(canceled.cl_ord_id, dec("0.1"), dec(100))
    rig.venue.cancel(canceled.cl_ord_id)
    rig.arrive()
    rig.venue.fill(unconfirmed.cl_ord_id, dec(1), dec(99))
    rig.requests.clear()
    rig.venue.place_by_hand("web", Side.SELL, dec(2), dec(120))
    rig.venue.fill("web", dec("0.5"), dec(120))
    rig.down()
    rig.up()
    statuses = {order.cl_ord_id: order.ord_status for order in rig.state.orders.by_cl_ord_id.values()}
    assert statuses == {
        filled.cl_ord_id: OrdStatus.FILLED,
        canceled.cl_ord_id: OrdStatus.CANCELED,
        unconfirmed.cl_ord_id: OrdStatus.FILLED,
        lost.cl_ord_id: OrdStatus.PENDING_NEW,
        "web": OrdStatus.PARTIALLY_FILLED,
    }
    assert rig.state.orders.by_cl_ord_id[lost.cl_ord_id].in_doubt, "believed and not found: doubt, not the end"
    held = {entry.strategy: entry.qty for entry in rig.state.ledger.entries.values()}
    assert held == {STRATEGY: dec("2.1"), MANUAL: dec("-0.5")}
    rig.assert_replays()
    rig.settle(40)
    assert rig.state.orders.by_cl_ord_id[lost.cl_ord_id].ord_status is OrdStatus.REJECTED
    rig.assert_as_the_venue_says()


# ---- audits -------------------------------------------------------------------------------------------------------


@pytest.mark.req("R132", "R168")
def test_f7_a_message_lost_on_a_living_stream_is_found_by_the_audit(rig: Rig) -> None:
    order = rig.placed()
    rig.venue.fill(order.cl_ord_id, dec(1), dec(100))
    rig.advance(AUDIT_S)
    assert rig.ctx.ready, "an audit does not shut the gate"
    rig.reconcile()
    assert rig.state.orders.by_cl_ord_id[order.cl_ord_id].ord_status is OrdStatus.FILLED
    assert len(rig.heard("/portfolio", AccountResynced)) == 1, "only the first"


def test_a_fill_lost_before_a_newer_one_is_found_too(rig: Rig) -> None:
    rig.venue.place_by_hand("web", Side.BUY, dec(5), dec(100))
    rig.venue.fill("web", dec(1), dec(100))
    rig.tell(rig.venue.fill("web", dec(2), dec(100)))
    rig.advance(AUDIT_S)
    rig.reconcile()
    assert rig.state.ledger.net_qty(SYMBOL) == 3


def test_an_audit_leaves_alone_what_was_sent_a_moment_ago(rig: Rig) -> None:
    order = rig.new_order()
    rig.advance(AUDIT_S)
    (request,) = rig.reconciles
    assert request.believed == ()
    rig.reconcile()
    assert not rig.state.orders.by_cl_ord_id[order.cl_ord_id].in_doubt


def test_a_failed_audit_keeps_the_gate_open(rig: Rig) -> None:
    rig.advance(AUDIT_S)
    rig.tell(ReconcileFailed(rig.reconciles.pop().attempt, "503"))
    assert rig.ctx.ready
    rig.advance(2)
    assert len(rig.reconciles) == 1


def test_history_is_continued_with_an_overlap_as_far_as_fills_are_remembered() -> None:
    state = AccountState(ACCOUNT, VENUE, Retention(fills_max=3))
    assert fills_since(state, [SYMBOL], 50 * SECOND, SECOND)[0].since_ns == 50 * SECOND - CLOCK_MARGIN_NS
    state.born_ns = 20 * SECOND
    assert fills_since(state, [SYMBOL], 50 * SECOND, SECOND)[0].since_ns == 20 * SECOND - CLOCK_MARGIN_NS

    def note(trade_id: int, at_s: int, symbol: Symbol = SYMBOL) -> None:
        fill = FillRow(
            ClOrdID("c"),
            OrderID("1"),
            ACCOUNT,
            STRATEGY,
            VENUE,
            symbol,
            Side.BUY,
            ExecType.TRADE,
            at_s * SECOND,
            dec(1),
            dec(1),
            TradeID(str(trade_id)),
            dec(0),
            "",
        )
        state.orders.note(fill.report(), fill.trade_id)

    note(11, 40)
    note(9, 30)
    asked = fills_since(state, [], 50 * SECOND, 5 * SECOND)
    assert [(row.symbol, row.trade_id) for row in asked] == [(SYMBOL, "9")]
    assert fills_since(state, [], 50 * SECOND, 60 * SECOND)[0].trade_id is None, "from the beginning"
    note(12, 41)
    note(13, 42)
    assert fills_since(state, [], 50 * SECOND, 60 * SECOND)[0].trade_id == "9", "as far as remembered"
    for trade_id in (1, 2, 3):
        note(trade_id, 45, Symbol("ETHUSDT"))
    forgotten = fills_since(state, [], 50 * SECOND, SECOND)
    assert [(row.symbol, row.trade_id) for row in forgotten] == [(SYMBOL, None), ("ETHUSDT", None)]


# ---- balances -----------------------------------------------------------------------------------------------------


def test_balances_are_recorded_once_and_duplicates_counted(rig: Rig) -> None:
    statement = BalancesChanged(
        ACCOUNT, VENUE, (Balance(ACCOUNT, VENUE, "BTC", dec(3), dec(1), START_NS + SECOND),), False, START_NS
    )
    before = rig.actor.core.counts["duplicate"]
    rig.tell(statement)
    rig.tell(statement)
    assert rig.actor.core.counts["duplicate"] == before + 1
    assert rig.state.balances.by_asset["BTC"].total == 4
    rig.assert_replays()


@pytest.mark.req("R174")
def test_a_change_behind_our_back_raises_exactly_one_alarm(rig: Rig) -> None:
    """Two strategies' worth of trading, a trade by hand, restarts: no alarm.  Then 0.02 appear: one."""
    order = rig.placed("0.3")
    rig.tell(rig.venue.fill(order.cl_ord_id, dec("0.3"), dec(100), dec("0.0003"), "BTC"))
    rig.tell(rig.venue.place_by_hand("web", Side.BUY, dec("0.05"), dec(100)))
    rig.tell(rig.venue.fill("web", dec("0.05"), dec(100), dec("0.01"), "USDT"))
    for _ in range(3):
        rig.crash()
        rig.up()
        rig.advance(AUDIT_S)
        rig.reconcile()
    assert alarms(rig) == []
    rig.venue.base += dec("0.02")
    for _ in range(10):
        rig.advance(AUDIT_S)
        if rig.reconciles:
            rig.reconcile()
    assert alarms(rig) == [AlarmKind.UNEXPLAINED]
    (changed,) = [r for r in rig.records if isinstance(r, UnexplainedChanged) and r.previous is not None]
    assert (changed.asset, changed.qty, changed.previous) == ("BTC", dec("10.02"), dec(10))
    seen = rig.actor.inspect()["unexplained"]
    assert isinstance(seen, dict)
    assert seen["BTC"] == "10.02"
    rig.assert_replays()


def test_a_difference_that_was_only_a_moment_is_no_alarm(rig: Rig) -> None:
    rig.venue.base += dec("0.02")
    rig.advance(AUDIT_S)
    rig.reconcile()
    rig.venue.base -= dec("0.02")
    rig.advance(5)
    assert len(rig.reconciles) == 1, "a difference is looked at again soon"
    rig.reconcile()
    rig.advance(AUDIT_S)
    rig.reconcile()
    assert alarms(rig) == []


def test_nothing_is_compared_while_something_moves(rig: Rig) -> None:
    order = rig.placed()
    for _ in range(4):
        rig.advance(AUDIT_S)
        request = rig.reconciles.pop()
        picture = rig.picture(request)
        rig.tell(rig.venue.fill(order.cl_ord_id, dec("0.1"), dec(100)))  # after the picture, before its delivery
        rig.tell(picture)
    assert alarms(rig) == []
    assert not [r for r in rig.records if isinstance(r, UnexplainedChanged) and r.previous is not None]
