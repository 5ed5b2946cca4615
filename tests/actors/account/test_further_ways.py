"""What further venues taught the account: acknowledgements that say nothing, orders that change their name, cancels of
many, contract positions, wallets that two venues show.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest

from actors.account.positions import Differences
from actors.account.reconcile import moved_by_others
from actors.account.settings import SECOND, AccountSettings
from actors.account.state import AccountState
from protocols.enums import AlarmKind, CxlRejReason, DoubtReason, ExecType, OrdRejReason, OrdStatus, Side
from protocols.ids import MANUAL, AccountID, ClOrdID, OrderID, Symbol, Venue
from protocols.instruments import Product
from protocols.journal import AlarmRaised, DoubtOpened, PositionCorrected, SymbolDefined
from protocols.orders import (
    FIRM_GATE,
    CancelAll,
    CancelRejected,
    NewOrder,
    NotSent,
    OrderRefused,
    RequestAcknowledged,
    SubmitAmend,
    SubmitCancel,
    SubmitCancels,
)
from protocols.positions import Balance, PositionsListed, VenuePosition
from protocols.reconcile import Reconciled
from tests.actors.account.rig import BTCUSDT, ENTRY, STRATEGY, STRATEGY_PATH, Rig, dec
from tests.actors.account.venue import ACCOUNT, SYMBOL, VENUE

PERP = attrs.evolve(BTCUSDT, product=Product.LINEAR, contract_size=dec("0.01"))


def acknowledge(rig: Rig, order: NewOrder, *, cancel: bool = False) -> None:
    """The venue has received a request."""
    now_ns = rig.ctx.now_ns
    rig.tell(RequestAcknowledged(order.cl_ord_id, None, cancel, now_ns, now_ns + 10 * SECOND))


# ---- acknowledgements ---------------------------------------------------------------------------------------------


def test_an_acknowledged_order_without_a_report_is_asked_for_after_a_moment() -> None:
    rig = Rig()
    rig.up()
    order = rig.new_order()
    rig.arrive()  # its report is lost
    acknowledge(rig, order)
    assert rig.status(order) is OrdStatus.PENDING_NEW
    assert not rig.queries
    rig.advance(2)
    assert {query.order.cl_ord_id for query in rig.queries} == {order.cl_ord_id}
    rig.answer_queries()
    assert rig.status(order) is OrdStatus.NEW
    rig.assert_replays()


def test_a_report_in_time_needs_no_question() -> None:
    rig = Rig()
    rig.up()
    order = rig.new_order()
    report = rig.arrive()
    acknowledge(rig, order)
    rig.tell(report)
    acknowledge(rig, order)
    rig.advance(5)
    assert not rig.queries


def test_an_acknowledged_cancel_without_an_end_is_in_doubt_until_its_deadline() -> None:
    """The venue took it and the order goes on: once it can take effect no more, the cancel has failed."""
    rig = Rig()
    rig.up()
    order = rig.placed()
    rig.cancel(order)
    rig.requests.clear()
    acknowledge(rig, order, cancel=True)
    rig.advance(2)
    (doubt,) = [record for record in rig.records if isinstance(record, DoubtOpened)]
    assert (doubt.cancel, doubt.reason) == (True, DoubtReason.NO_REPORT)
    for _ in range(25):
        rig.answer_queries()
        rig.advance(1)
    assert rig.status(order) is OrdStatus.NEW
    (rejected,) = rig.heard(STRATEGY_PATH, CancelRejected)
    assert isinstance(rejected, CancelRejected)
    assert rejected.reason is CxlRejReason.VENUE


def test_what_the_venue_has_no_words_for_is_said_to_be_unsupported() -> None:
    rig = Rig()
    rig.up()
    order = rig.placed("2")
    rig.amend(order, "1")
    (submit,) = rig.requests
    assert isinstance(submit, SubmitAmend)
    assert (submit.side, submit.price) == (Side.BUY, dec(100))
    rig.tell(NotSent(order.cl_ord_id, True, OrdRejReason.UNSUPPORTED, "the venue amends nothing", amend=1))
    (rejected,) = rig.heard(STRATEGY_PATH, CancelRejected)
    assert isinstance(rejected, CancelRejected)
    assert rejected.reason is CxlRejReason.UNSUPPORTED


# ---- many at once -------------------------------------------------------------------------------------------------


def _submitted(rig: Rig) -> list[Any]:
    return [message for to, message in rig.told if to == ENTRY] + list(rig.requests)


@pytest.mark.parametrize("confirmed", [True, False])
def test_many_cancels_of_a_symbol_are_one_message(confirmed: bool) -> None:
    """It says "all" only if the venue has confirmed them all: what is on its way could arrive after it."""
    rig = Rig(AccountSettings(mass_cancel_min=3))
    rig.up()
    orders = [rig.placed() for _ in range(3)]
    if not confirmed:
        orders.append(rig.new_order())
        rig.requests.clear()
    rig.tell(CancelAll(ACCOUNT, VENUE, STRATEGY_PATH))
    (submit,) = _submitted(rig)
    assert isinstance(submit, SubmitCancels)
    assert [cl_ord_id for cl_ord_id, _ in submit.orders] == [order.cl_ord_id for order in orders]
    assert submit.whole is confirmed
    assert {rig.status(order) for order in orders} == {OrdStatus.PENDING_CANCEL}
    rig.assert_replays()


def test_few_cancels_go_one_by_one() -> None:
    rig = Rig(AccountSettings(mass_cancel_min=3))
    rig.up()
    for _ in range(2):
        rig.placed()
    rig.tell(CancelAll(ACCOUNT, VENUE, STRATEGY_PATH))
    assert [type(message) for message in _submitted(rig)] == [SubmitCancel, SubmitCancel]


def test_a_part_of_the_live_orders_is_not_all_of_them() -> None:
    """An order of the owner's rests beside ours: a request for "all" would cancel it too."""
    rig = Rig(AccountSettings(mass_cancel_min=2))
    rig.up()
    rig.placed()
    rig.new_order()
    report = rig.arrive()
    rig.tell(report)
    rig.tell(attrs.evolve(report, cl_ord_id=ClOrdID("owner-1"), order_id=OrderID("999999")))
    rig.tell(CancelAll(ACCOUNT, VENUE, STRATEGY_PATH, SYMBOL, STRATEGY))
    (submit,) = _submitted(rig)
    assert len(submit.orders) == 2
    assert not submit.whole


# ---- another name -------------------------------------------------------------------------------------------------


def test_an_order_that_the_venue_calls_by_a_new_id_stays_one_order() -> None:
    """Both ids lead to it, the new one is used, a late report under the old one does not set it back."""
    rig = Rig()
    rig.up()
    order = rig.new_order()
    report = rig.arrive()
    parent = attrs.evolve(report, order_id=OrderID("A7"))
    rig.tell(parent)
    child = attrs.evolve(report, transact_ns=report.transact_ns + 1)
    rig.tell(child)
    entry = rig.state.orders.by_cl_ord_id[order.cl_ord_id]
    assert (entry.order_id, entry.former_ids) == (report.order_id, (OrderID("A7"),))
    rig.tell(attrs.evolve(parent, exec_type=ExecType.ORDER_STATUS, transact_ns=report.transact_ns + 2))
    assert entry.order_id == report.order_id
    for order_id in (report.order_id, OrderID("A7")):
        assert rig.state.orders.find(ClOrdID("someone"), SYMBOL, order_id) is entry
    rig.assert_replays()
    rig.crash()
    assert rig.state.orders.by_order_id[SYMBOL, OrderID("A7")].cl_ord_id == order.cl_ord_id


def test_an_order_taken_for_the_owners_that_turns_out_to_be_ours_is_counted_once() -> None:
    """The venue told of the child before it said whose it is: gates release what they had reserved for it."""
    rig = Rig()
    rig.up()
    order = rig.new_order()
    report = rig.arrive()
    rig.tell(attrs.evolve(report, order_id=OrderID("A7")))
    rig.tell(attrs.evolve(report, cl_ord_id=ClOrdID("venue-made-this"), transact_ns=report.transact_ns + 1))
    assert len(rig.state.orders.live) == 2
    rig.tell(attrs.evolve(report, transact_ns=report.transact_ns + 2))
    assert list(rig.state.orders.live) == [order.cl_ord_id]
    (ended,) = [each for each in rig.heard(FIRM_GATE, OrderRefused) if isinstance(each, OrderRefused)]
    assert ended.cl_ord_id == "venue-made-this"
    late = attrs.evolve(report, cl_ord_id=ClOrdID("venue-made-this"), transact_ns=report.transact_ns + 3)
    rig.tell(late)
    assert list(rig.state.orders.live) == [order.cl_ord_id], "its own name still leads to ours"
    rig.assert_replays()


# ---- contract positions -------------------------------------------------------------------------------------------


def position(qty: str, px: str = "100", leg: Side | None = None, at_ns: int = 1) -> VenuePosition:
    zero = Decimal(0)
    return VenuePosition(ACCOUNT, VENUE, SYMBOL, leg, dec(qty), dec(px), zero, zero, dec(1), zero, at_ns)


class Held(Rig):
    """A rig whose venue keeps contract positions: `held` of them, beside what the fills say."""

    held: tuple[VenuePosition, ...] = ()

    def __init__(self, settings: AccountSettings | None = None) -> None:
        super().__init__(settings, instruments=(PERP,))

    def picture(self, request: Any) -> Reconciled:
        return attrs.evolve(super().picture(request), positions=self.held)

    def audits(self, times: int) -> None:
        for _ in range(times):
            while not self.reconciles:
                self.advance(1)
            self.reconcile()

    def alarms(self) -> list[AlarmRaised]:
        return [record for record in self.records if isinstance(record, AlarmRaised)]

    def owned(self) -> dict[str, Decimal]:
        return {entry.strategy: entry.qty for entry in self.state.ledger.entries.values() if entry.qty}


def test_what_was_held_before_us_is_nobodys_and_no_alarm() -> None:
    rig = Held()
    rig.held = (position("3", "120"),)
    rig.up()
    assert rig.owned() == {MANUAL: dec(3)}
    assert rig.state.ledger.average_px(SYMBOL) == dec(120)
    assert not rig.alarms()
    rig.assert_replays()


def test_a_first_look_without_a_difference_makes_the_next_difference_an_alarm() -> None:
    rig = Held()
    rig.up()
    rig.held = (position("-2"),)
    rig.audits(1)
    assert not rig.alarms(), "once is no proof: fills and positions are fetched one after the other"
    rig.audits(1)
    (alarm,) = rig.alarms()
    assert (alarm.kind, alarm.subject) == (AlarmKind.POSITION_DIFFERS, SYMBOL)
    assert rig.owned() == {MANUAL: dec(-2)}
    rig.audits(3)
    assert len(rig.alarms()) == 1
    rig.assert_replays()


def test_both_positions_of_hedge_mode_count_together() -> None:
    rig = Held()
    rig.held = (position("5", leg=Side.BUY), position("-5", "110", leg=Side.SELL))
    rig.up()
    assert rig.owned() == {}
    assert len(rig.actor.core.held) == 2


def test_by_policy_a_difference_is_told_once_and_left() -> None:
    rig = Held(AccountSettings(correct_positions=False))
    rig.up()
    rig.held = (position("1"),)
    rig.audits(5)
    assert len(rig.alarms()) == 1
    assert rig.owned() == {}
    rig.held = ()
    rig.audits(2)
    rig.held = (position("1"),)
    rig.audits(2)
    assert len(rig.alarms()) == 2, "it was gone in between"


def test_a_position_in_a_symbol_that_we_do_not_know_is_told() -> None:
    rig = Held()
    rig.held = (attrs.evolve(position("1"), symbol=Symbol("ETHUSDT")),)
    rig.up()
    (alarm,) = rig.alarms()
    assert alarm.subject == "ETHUSDT"
    assert rig.owned() == {}


def test_the_stream_states_positions_and_an_older_statement_is_not_believed() -> None:
    rig = Held()
    rig.up()
    rig.tell(position("2", at_ns=20))
    rig.tell(position("1", at_ns=10))
    assert [each.qty for each in rig.actor.core.held.values()] == [dec(2)]
    rig.tell(PositionsListed(ACCOUNT, VENUE, (), 30))
    assert not rig.actor.core.held
    rig.tell(attrs.evolve(position("2", at_ns=40), account=AccountID("other")))
    assert not rig.actor.core.held


def _state_with(*fills: tuple[str, str]) -> AccountState:
    """A state that holds contracts by fills of (quantity, price)."""
    state = AccountState(ACCOUNT, VENUE, AccountSettings().retention)
    state.apply(SymbolDefined(VENUE, SYMBOL, Product.LINEAR, "BTC", "USDT", dec("0.01"), 1))
    for number, (qty, px) in enumerate(fills):
        state.ledger.correct(SYMBOL, MANUAL, dec(qty), dec(px), number + 1)
    state.positions_compared = True
    return state


@pytest.mark.parametrize(
    "ours, theirs, px",
    [
        ((("2", "100"),), "5", "130"),  # more of the same: at the venue's average
        ((("4", "100"),), "1", "100"),  # less: at ours, no profit is made up
        ((("4", "100"),), "", "100"),  # gone
        ((("4", "100"),), "-2", "100"),  # turned
        ((), "-3", "130"),
    ],
)
def test_a_difference_is_taken_over_at_a_price_that_makes_no_profit(
    ours: tuple[tuple[str, str], ...], theirs: str, px: str
) -> None:
    state, differences = _state_with(*ours), Differences()
    held = (position(theirs, "130"),) if theirs else ()
    assert not list(differences.compare(state, held))
    assert differences.pending()
    (found,) = differences.compare(state, held)
    assert found.px == dec(px)
    realized = state.ledger.correct(SYMBOL, MANUAL, found.delta, found.px, 9)
    if (dec(theirs or 0) > 0) is (sum(dec(qty) for qty, _ in ours) > 0):
        assert realized.cash + realized.cost == 0


def test_a_correction_of_contracts_counts_their_size() -> None:
    state = _state_with(("3", "100"))
    (entry,) = state.ledger.entries.values()
    assert entry.cost == dec(3)
    state.apply(PositionCorrected(ACCOUNT, VENUE, SYMBOL, dec(-3), dec(100), False, 5))
    assert (entry.qty, entry.cash + entry.cost) == (dec(0), dec(0))


def test_a_correction_can_be_the_first_that_an_account_hears_of_a_contract() -> None:
    state = AccountState(ACCOUNT, VENUE, AccountSettings().retention)
    state.apply(SymbolDefined(VENUE, SYMBOL, Product.LINEAR, "BTC", "USDT", dec(1), 1))
    state.apply(PositionCorrected(ACCOUNT, VENUE, SYMBOL, dec(-3), dec(100), False, 5))
    ((key, entry),) = state.ledger.entries.items()
    assert (key, entry.qty) == ((SYMBOL, MANUAL), dec(-3))


# ---- wallets ------------------------------------------------------------------------------------------------------


def test_money_that_contracts_or_another_venue_move_is_not_compared() -> None:
    state = AccountState(ACCOUNT, VENUE, AccountSettings().retention)

    def have(asset: str, wallet: str = "") -> None:
        state.balances.by_asset[asset] = Balance(ACCOUNT, VENUE, asset, dec(1), dec(0), 1, wallet)

    have("BTC")
    have("USDT")
    assert moved_by_others(state, {SYMBOL: BTCUSDT}) == set()
    assert moved_by_others(state, {SYMBOL: PERP}) == {"BTC", "USDT"}
    have("USDT", "unified")
    assert moved_by_others(state, {SYMBOL: BTCUSDT}) == {"USDT"}, "coins are moved by our spot fills alone"


def test_the_venue_of_a_statement_is_looked_at() -> None:
    rig = Held()
    rig.up()
    rig.tell(attrs.evolve(position("2"), venue=Venue("elsewhere")))
    assert rig.actor.core.counts["foreign"] == 1


# ---- a stream that loses things -----------------------------------------------------------------------------------


def test_what_asking_finds_and_the_stream_has_not_told_brings_an_audit() -> None:
    """An event is lost, perhaps others with it, such as one of money: the venue's whole picture is asked for soon."""
    rig = Rig()
    rig.up()
    order = rig.new_order()
    rig.arrive()
    acknowledge(rig, order)
    assert not rig.reconciles
    rig.advance(3)
    assert rig.queries
    assert len(rig.reconciles) == 1
    rig.reconcile()
    rig.advance(10)
    assert not rig.reconciles, "once is enough"
