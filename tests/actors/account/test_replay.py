"""Snapshots, replay, and bookkeeping that must not be wrong."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import attrs
import pytest
import trio

from actors.account.desk import Stranger
from actors.account.orders import Orders, Retention
from actors.account.settings import SECOND, AccountSettings
from actors.account.state import AccountState
from protocols.base import Query
from protocols.canonical import state_hash
from protocols.control import InstrumentsChanged
from protocols.enums import CxlRejReason, DoubtReason, ExecType, OrdRejReason, OrdStatus, Side
from protocols.errors import InvariantViolation, JournalError
from protocols.ids import MANUAL, AccountID, ClOrdID, OrderID
from protocols.journal import (
    AmendIntent,
    CancelClosed,
    CancelIntent,
    DoubtClosed,
    DoubtOpened,
    OrderClosed,
    RunStarted,
    StateSnapshot,
)
from protocols.orders import CancelRejected, ExecutionReport, OrderRefused, RiskApproved, VenueReject
from protocols.reconcile import InstrumentsQuery, Reconcile
from supervisors.actor import GROUP_RESTART
from tests.actors.account.rig import (
    BTCUSDT,
    START_NS,
    STRATEGY_PATH,
    Rig,
    dec,
    rebuilt,
    replay_answer,
)
from tests.actors.account.venue import ACCOUNT, SYMBOL, VENUE

AUDIT_S = 60


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.up()
    return rig


# ---- snapshots and replay -----------------------------------------------------------------------------------------


@pytest.mark.req("R242")
def test_snapshots_come_after_so_many_records_and_as_many_as_rows_and_so_much_time() -> None:
    rig = Rig(AccountSettings(snapshot_records=5, snapshot_interval_ns=2 * SECOND))
    rig.up()

    def snapshots() -> int:
        return sum(isinstance(record, StateSnapshot) for record in rig.records)

    assert snapshots() == 0
    for _ in range(10):
        rig.new_order()
    assert snapshots() == 1
    for _ in range(10):
        rig.new_order()
    assert snapshots() == 1, "not twice within the interval"
    rig.advance(3)
    rig.new_order()
    assert snapshots() == 2
    rig.advance(3)
    for _ in range(8):
        rig.new_order()
    assert snapshots() == 2, "not before there were half as many records as rows"
    for _ in range(20):
        rig.new_order()
    assert snapshots() == 3
    rig.assert_replays()


@pytest.mark.req("R124")
def test_an_orderly_stop_leaves_a_snapshot_and_nothing_to_replay(rig: Rig) -> None:
    rig.placed()
    trio.run(rig.actor.stopped, "stop")
    rig.pump()
    assert isinstance(rig.records[-1], StateSnapshot)
    assert replay_answer(rig.records).records == ()
    rig.assert_replays()
    records = len(rig.records)
    trio.run(rig.actor.stopped, GROUP_RESTART)
    rig.pump()
    assert len(rig.records) == records, "whoever starts again at once has the records at hand"


@pytest.mark.req("R175")
def test_replay_from_any_snapshot_point_gives_the_live_state() -> None:
    rig = Rig()
    rig.up()
    order = rig.placed()
    texts: list[tuple[int, StateSnapshot]] = []
    steps: list[Callable[[], object]] = [
        lambda: rig.tell(rig.venue.fill(order.cl_ord_id, dec("0.3"), dec(100), dec("0.1"), "BNB")),
        lambda: rig.cancel(order),
        lambda: rig.doubt(order, cancel=True),
        lambda: rig.tell(rig.venue.place_by_hand("web", Side.SELL, dec(1), None)),
        lambda: rig.new_order(),
        lambda: rig.settle(30),
        lambda: rig.crash(),
        lambda: rig.up(),
    ]
    for step in steps:
        texts.append((len(rig.records), rig.state.snapshot(1)))
        step()
    live = rig.state.text()
    for at, snapshot in texts:
        state = AccountState(ACCOUNT, VENUE, rig.settings.retention)
        state.restore(snapshot)
        assert state.text() == snapshot.state
        for record in rig.records[at:]:
            state.apply(record)
        assert state.text() == live
        assert state.hash() == rig.state.hash()


def test_a_snapshot_that_cannot_be_trusted_stops_the_start() -> None:
    state = AccountState(ACCOUNT, VENUE, Retention())
    good = state.snapshot(1)
    for bad, says in (
        (attrs.evolve(good, state=good.state + " "), "hash"),
        (AccountState(AccountID("other"), VENUE, Retention()).snapshot(1), "other"),
    ):
        with pytest.raises(JournalError, match=says):
            AccountState(ACCOUNT, VENUE, Retention()).restore(bad)
    text = '{"format": 1}'
    with pytest.raises(JournalError, match="missing required field"):
        state.restore(StateSnapshot(text, state_hash(text), 1))


def test_a_record_that_has_no_place_in_the_stream_stops_the_start() -> None:
    state = AccountState(ACCOUNT, VENUE, Retention())
    with pytest.raises(JournalError, match="RunStarted"):
        state.apply(RunStarted(1, "b", "c", 1))


def test_records_about_orders_that_are_not_live_change_nothing(rig: Rig) -> None:
    order = rig.placed()
    rig.tell(rig.venue.fill(order.cl_ord_id, dec(1), dec(100)))
    state = rebuilt(replay_answer(rig.records), rig.settings)
    before = state.text()
    for cl_ord_id in (order.cl_ord_id, ClOrdID("whose")):
        rejected = CancelRejected(cl_ord_id, CxlRejReason.VENUE, "")
        for record in (
            CancelIntent(cl_ord_id, 1),
            AmendIntent(cl_ord_id, dec(1), 1),
            CancelClosed(rejected, 1),
            DoubtOpened(cl_ord_id, False, DoubtReason.NO_REPLY, 1, 2),
            DoubtClosed(cl_ord_id, "", 1),
            OrderClosed(cl_ord_id, OrdRejReason.VENUE, "", 1),
        ):
            state.apply(record)
    assert state.text() == before


def test_records_that_came_too_late_for_their_order_change_nothing(rig: Rig) -> None:
    order = rig.placed()
    state, ours = rig.state, rig.state.orders.by_cl_ord_id[order.cl_ord_id]
    state.apply(DoubtOpened(order.cl_ord_id, True, DoubtReason.NO_REPLY, 1, 2))
    assert ours.cancel_doubt is None, "no cancel is on its way"
    state.apply(CancelClosed(CancelRejected(order.cl_ord_id, CxlRejReason.VENUE, ""), 1))
    assert ours.ord_status is OrdStatus.NEW
    state.apply(CancelIntent(order.cl_ord_id, 1))
    state.apply(DoubtOpened(order.cl_ord_id, True, DoubtReason.NO_REPLY, 1, 2))
    state.apply(DoubtClosed(order.cl_ord_id, "", 1, cancel=True))
    assert ours.cancel_doubt is None


def test_a_fill_that_is_in_the_journal_twice_counts_once_and_one_without_id_stops_the_start(rig: Rig) -> None:
    order = rig.placed()
    rig.tell(rig.venue.fill(order.cl_ord_id, dec("0.4"), dec(100)))
    record = rig.records[-1]
    assert isinstance(record, ExecutionReport)
    before = rig.state.text()
    rig.state.apply(record)
    assert rig.state.text() == before
    with pytest.raises(JournalError, match="no trade id"):
        rig.state.apply(attrs.evolve(record, trade_id=None))


def test_instruments_are_asked_for_at_the_start() -> None:
    rig = Rig(instruments=[])
    rig.ctx.answers[InstrumentsQuery] = lambda path, query: InstrumentsChanged(VENUE, (BTCUSDT,))
    trio.run(rig.actor.started)
    assert set(rig.actor.core.instruments) == {SYMBOL}


# ---- bookkeeping that must not be wrong ---------------------------------------------------------------------------


def test_finished_orders_leave_by_age_too() -> None:
    rig = Rig(AccountSettings(retention=Retention(finished_ns=10 * SECOND)))
    rig.up()
    first = rig.placed()
    rig.tell(rig.venue.fill(first.cl_ord_id, dec(1), dec(100)))
    rig.advance(11)
    second = rig.placed()
    rig.tell(rig.venue.fill(second.cl_ord_id, dec(1), dec(100)))
    assert list(rig.state.orders.by_cl_ord_id) == [second.cl_ord_id]
    rig.assert_replays()


def test_an_order_closed_by_us_leaves_no_trace_of_a_venue_id() -> None:
    rig = Rig(AccountSettings(retention=Retention(finished_max=1)))
    rig.up()
    for _ in range(2):
        rig.tell(VenueReject(rig.new_order().cl_ord_id, OrdRejReason.VENUE, "", "no"))
    assert len(rig.state.orders.by_cl_ord_id) == 1
    assert rig.state.orders.by_order_id == {}
    assert len(rig.heard(STRATEGY_PATH, OrderRefused)) == 2


def test_reports_older_than_our_memory_are_not_applied_but_the_venues_answers_are() -> None:
    rig = Rig(AccountSettings(retention=Retention(finished_max=1, fills_max=1)))
    rig.up()
    old = rig.venue.place_by_hand("old", Side.BUY, dec(1), dec(50))
    resting = rig.placed("3")
    missed = rig.venue.fill(resting.cl_ord_id, dec(1), dec(100))
    for _ in range(2):
        rig.tell(rig.venue.fill(resting.cl_ord_id, dec("0.5"), dec(100)))
        order = rig.placed()
        rig.tell(rig.venue.fill(order.cl_ord_id, dec(1), dec(100)))
    rig.tell(missed)
    assert rig.actor.core.counts["too_old"] == 1
    assert rig.state.orders.by_cl_ord_id[resting.cl_ord_id].cum_qty == 1
    rig.tell(old)
    assert rig.actor.core.counts["too_old"] == 2
    assert old.cl_ord_id not in rig.state.orders.by_cl_ord_id
    rig.tell(rig.venue.report(rig.venue.orders[old.cl_ord_id], ExecType.ORDER_STATUS))
    assert rig.state.orders.by_cl_ord_id[old.cl_ord_id].is_manual
    rig.venue.place_by_hand("older", Side.BUY, dec(1), dec(50))
    rig.venue.orders[ClOrdID("older")].updated_ns = old.transact_ns
    rig.down()
    rig.up()
    assert ClOrdID("older") in rig.state.orders.live


def test_orders_may_leave_memory_in_another_order_than_the_venue_ended_them() -> None:
    rig = Rig(AccountSettings(retention=Retention(finished_max=1)))
    rig.up()
    first, second, third = rig.placed(), rig.placed(), rig.placed()
    ends = [rig.venue.cancel(order.cl_ord_id) for order in (first, second, third)]
    for end in (ends[1], ends[0], ends[2]):
        assert end is not None
        rig.tell(end)
    assert ends[1] is not None
    assert rig.state.orders.orders_horizon == {SYMBOL: ends[1].transact_ns}


def test_our_account_of_fills_begins_with_the_first_record_of_any_kind() -> None:
    rig = Rig()
    rig.tell(RiskApproved(rig.new_order()))
    for record in rig.records:
        state = AccountState(ACCOUNT, VENUE, Retention())
        state.apply(record)
        assert state.born_ns == START_NS, record


def test_a_watch_of_an_order_that_fell_out_of_memory_ends() -> None:
    rig = Rig(AccountSettings(retention=Retention(finished_max=1)))
    rig.up()
    order = rig.placed()
    fill = rig.venue.fill(order.cl_ord_id, dec(1), dec(100))
    rig.tell(attrs.evolve(fill, cum_qty=dec(2)))
    assert order.cl_ord_id in rig.actor.core.watches
    other = rig.placed()
    rig.actor.receive(rig.venue.fill(other.cl_ord_id, dec(1), dec(100)))
    rig.pump()
    assert order.cl_ord_id in rig.actor.core.watches
    rig.ctx.advance(SECOND)
    assert order.cl_ord_id not in rig.actor.core.watches
    rig.actor.check_invariants()


@pytest.mark.parametrize(
    "break_it",
    [
        lambda o: o.by_cl_ord_id.__setitem__("zz", o.by_cl_ord_id.pop(next(iter(o.by_cl_ord_id)))),
        lambda o: o.live.clear(),
        lambda o: o.finished.append(next(iter(o.live.values()))),
        lambda o: o.by_order_id.__setitem__((SYMBOL, "99"), next(iter(o.live.values()))),
        lambda o: o.fills.clear(),
        lambda o: setattr(next(iter(o.fills.values())), "last_qty", dec(-1)),
        lambda o: setattr(next(iter(o.fills.values())), "last_qty", dec("0.1")),
        lambda o: setattr(next(iter(o.fills.values())), "last_qty", dec(3)),
        lambda o: o.fills_horizon.__setitem__(SYMBOL, 2**62),
    ],
)
def test_impossible_indexes_are_noticed(rig: Rig, break_it: object) -> None:
    order = rig.placed()
    rig.tell(rig.venue.fill(order.cl_ord_id, dec("0.4"), dec(100)))
    orders: Orders = rig.state.orders
    assert callable(break_it)
    break_it(orders)
    with pytest.raises(InvariantViolation):
        orders.check()


@pytest.mark.parametrize(
    "break_it",
    [
        lambda s: setattr(s, "account", "other"),
        lambda s: s.ledger.entries.clear(),
        lambda s: setattr(s, "alarms", -1),
        lambda s: s.unexplained.__setitem__("BTC", Decimal("NaN")),
    ],
)
def test_an_impossible_state_is_noticed(rig: Rig, break_it: object) -> None:
    order = rig.placed()
    rig.tell(rig.venue.fill(order.cl_ord_id, dec("0.4"), dec(100)))
    assert callable(break_it)
    break_it(rig.state)
    with pytest.raises(InvariantViolation):
        rig.actor.check_invariants()


@pytest.mark.parametrize("what", ["needless watch", "unwatched doubt", "canceler", "stranger"])
def test_what_stands_beside_the_state_is_checked_too(rig: Rig, what: str) -> None:
    order = rig.placed()
    doubtful = rig.new_order()
    rig.doubt(doubtful)
    core = rig.actor.core
    if what == "needless watch":
        core.watches[order.cl_ord_id] = core.watches[doubtful.cl_ord_id]
    elif what == "unwatched doubt":
        core.watches.clear()
    elif what == "canceler":
        core.cancelers[ClOrdID("whose")] = "/x"
    else:
        core.strangers[SYMBOL, OrderID("9")] = Stranger(SYMBOL, OrderID("9"))
    with pytest.raises(InvariantViolation):
        rig.actor.check_invariants()


def test_other_questions_are_not_answered(rig: Rig) -> None:
    class Other(Query):
        pass

    with pytest.raises(NotImplementedError):
        rig.actor.answer(Other())


def test_the_first_report_of_a_symbol_may_be_the_first_record() -> None:
    state = AccountState(ACCOUNT, VENUE, Retention())
    rig = Rig(instruments=[])
    state.apply(attrs.evolve(rig.venue.place_by_hand("web", Side.BUY, dec(1), dec(1)), strategy=MANUAL))
    assert state.born_ns
    assert state.orders.by_cl_ord_id[ClOrdID("web")].ord_status is OrdStatus.NEW


def test_a_reconcile_request_names_what_is_believed(rig: Rig) -> None:
    order, doubtful = rig.placed(), rig.new_order()
    rig.doubt(doubtful)
    rig.advance(AUDIT_S)
    (request,) = rig.reconciles
    assert isinstance(request, Reconcile)
    assert {believed.cl_ord_id for believed in request.believed} == {order.cl_ord_id, doubtful.cl_ord_id}
    assert [since.symbol for since in request.fills_since] == [SYMBOL]
