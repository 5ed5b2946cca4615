"""Exposure, one event at a time; `test_exposure_model.py` mixes them."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from actors.risk import exposure as module
from protocols.enums import ExecType, OrdRejReason, OrdStatus, OrdType, Side
from protocols.ids import ClOrdID, OrderID, Symbol, Venue
from tests.actors.risk.world import (
    BTC,
    ETH,
    MASTER,
    NOW_NS,
    SECOND,
    VENUE,
    D,
    GateWorld,
    account_world,
    fill,
    firm_world,
    instrument,
    open_order,
    order,
    picture,
    position,
    quote,
    report,
)

BUY, SELL = Side.BUY, Side.SELL


@pytest.fixture
def world() -> GateWorld:
    return account_world()


def row(world: GateWorld, symbol: Symbol = BTC, account: Any = MASTER) -> Any:
    return world.exposure.row(account, world.exposure.market(VENUE, symbol))


def state(world: GateWorld) -> tuple[Any, Any, Any]:
    """(position, reserved buys, reserved sells) of the master account in BTC."""
    it = row(world)
    return it.position, it.buy.qty, it.sell.qty


# ---- reports -------------------------------------------------------------------------------------------------------


def test_fills_move_quantity_from_the_reserve_to_the_position(world: GateWorld) -> None:
    wish = world.expect_pass(order(BUY, "5"))
    world.exposure.report(report(wish))
    assert state(world) == (0, 5, 0)
    world.exposure.report(fill(wish, "2"))
    assert state(world) == (2, 3, 0)
    world.exposure.report(fill(wish, "3", "5"))
    assert state(world) == (5, 0, 0)
    assert not world.exposure.orders
    assert row(world).qty == 5


@pytest.mark.parametrize("status", [OrdStatus.CANCELED, OrdStatus.EXPIRED, OrdStatus.REJECTED])
def test_every_end_releases_what_is_left(world: GateWorld, status: OrdStatus) -> None:
    wish = world.expect_pass(order(SELL, "5"))
    world.exposure.report(fill(wish, "2"))
    world.exposure.report(report(wish, ExecType.CANCELED, "2", status=status))
    assert state(world) == (-2, 0, 0)
    assert row(world).worth == 202


def test_a_refusal_releases_everything_and_is_harmless_twice(world: GateWorld) -> None:
    wish = world.expect_pass(order(BUY, "5"))
    world.exposure.release(wish.cl_ord_id)
    world.exposure.release(wish.cl_ord_id)
    assert state(world) == (0, 0, 0)
    assert world.exposure.worth == 0


def test_an_order_in_doubt_stays_reserved(world: GateWorld) -> None:
    wish = world.expect_pass(order(BUY, "5"))
    world.exposure.report(report(wish, ExecType.ORDER_STATUS))
    assert state(world) == (0, 5, 0)


def test_a_report_that_comes_twice_counts_once(world: GateWorld) -> None:
    wish = world.expect_pass(order(BUY, "5"))
    for _ in range(3):
        world.exposure.report(fill(wish, "2"))
    assert state(world) == (2, 3, 0)
    last = fill(wish, "3", "5")
    for _ in range(3):
        world.exposure.report(last)
    assert state(world) == (5, 0, 0)


def test_fills_may_overtake_each_other_and_the_acceptance(world: GateWorld) -> None:
    wish = world.expect_pass(order(BUY, "5"))
    world.exposure.report(fill(wish, "1", "3"))
    world.exposure.report(fill(wish, "2", "2"))
    world.exposure.report(report(wish))
    assert state(world) == (3, 2, 0)


def test_a_late_fill_moves_the_position_and_not_the_end(world: GateWorld) -> None:
    wish = world.expect_pass(order(BUY, "5"))
    world.exposure.report(report(wish, ExecType.CANCELED))
    world.exposure.report(report(wish, ExecType.TRADE, "2", "2", OrdStatus.CANCELED))
    assert state(world) == (2, 0, 0)
    world.exposure.report(report(wish, ExecType.TRADE, "2", "2", OrdStatus.CANCELED))
    world.exposure.report(report(wish))
    assert state(world) == (2, 0, 0)
    assert not world.exposure.orders


def test_a_trade_without_a_total_adds_to_what_was_known(world: GateWorld) -> None:
    wish = world.expect_pass(order(BUY, "5"))
    world.exposure.report(fill(wish, "2"))
    world.exposure.report(report(wish, ExecType.TRADE, "0", "1", OrdStatus.PARTIALLY_FILLED))
    assert state(world) == (3, 2, 0)


def test_a_busted_trade_moves_the_position_back(world: GateWorld) -> None:
    wish = world.expect_pass(order(BUY, "5"))
    world.exposure.report(fill(wish, "3"))
    world.exposure.report(report(wish, ExecType.TRADE_CANCEL, "1", "2", OrdStatus.PARTIALLY_FILLED))
    assert state(world) == (1, 4, 0)
    # Also when the order is over.
    world.exposure.report(report(wish, ExecType.CANCELED, "1"))
    world.exposure.report(report(wish, ExecType.TRADE_CANCEL, "0", "1", OrdStatus.CANCELED))
    assert state(world) == (0, 0, 0)


def test_an_overfill_leaves_nothing_to_trade_and_shows_in_the_position(world: GateWorld) -> None:
    wish = world.expect_pass(order(BUY, "5"))
    world.exposure.report(report(wish, ExecType.TRADE, "6", "6", OrdStatus.PARTIALLY_FILLED))
    assert state(world) == (6, 0, 0)


def test_an_amended_order_reserves_less(world: GateWorld) -> None:
    wish = world.expect_pass(order(BUY, "5"))
    world.exposure.report(report(wish, ExecType.REPLACED, order_qty=D(3)))
    assert state(world) == (0, 3, 0)
    world.exposure.report(report(wish))  # an older report still says 5
    assert state(world) == (0, 3, 0)
    assert row(world).worth == 303


# ---- orders that this gate did not approve ---------------------------------------------------------------------------


def test_an_order_of_somebody_else_is_adopted(world: GateWorld) -> None:
    manual = order(SELL, "4", "120")
    world.exposure.report(fill(manual, "1"))
    assert state(world) == (-1, 0, 3)
    assert row(world).worth == 3 * 120 + 101
    world.exposure.report(report(manual, ExecType.CANCELED, "1"))
    assert state(world) == (-1, 0, 0)


def test_a_foreign_order_without_our_id_goes_by_the_venues(world: GateWorld) -> None:
    manual = report(order(BUY, "4"))
    world.exposure.report(attrs.evolve(manual, cl_ord_id=ClOrdID("")))
    assert list(world.exposure.orders) == [manual.order_id]


def test_a_foreign_market_order_is_valued_at_its_worst(world: GateWorld) -> None:
    world.exposure.report(report(order(BUY, "1", None)))
    assert row(world).worth == D("111.1")


def test_the_end_of_an_unknown_order_reserves_nothing(world: GateWorld) -> None:
    world.exposure.report(report(order(BUY, "4"), ExecType.CANCELED, "3"))
    assert state(world) == (0, 0, 0)
    world.exposure.report(report(order(BUY, "4"), ExecType.TRADE, "4", "1"))
    assert state(world) == (1, 0, 0)


def test_a_symbol_without_quote_is_valued_by_what_is_known(world: GateWorld) -> None:
    xrp = Symbol("XRPUSDT")
    world.exposure.set_instrument(instrument(xrp))
    world.exposure.report(fill(order(BUY, "2", "50", symbol=xrp), "1"))
    assert row(world, xrp).worth == 100
    assert world.exposure.unvalued == 0
    unpriced = attrs.evolve(report(order(BUY, "2", None, symbol=Symbol("ADAUSDT"))), last_px=D(0))
    world.exposure.report(unpriced)
    assert world.exposure.unvalued == 1


def test_old_finished_orders_are_forgotten(world: GateWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FINISHED_KEPT", 3)
    ended = [world.expect_pass(order()) for _ in range(9)]
    for wish in ended:
        world.exposure.release(wish.cl_ord_id)
        assert len(world.exposure.finished) + len(world.exposure.finished_before) <= 6
    # The newest are still known, in whichever generation; the oldest are not.
    for wish in ended[-3:]:
        world.expect_refusal(wish, OrdRejReason.DUPLICATE_CL_ORD_ID)
        world.exposure.report(report(wish))
    assert not world.exposure.orders
    world.expect_pass(ended[0])


# ---- pictures ------------------------------------------------------------------------------------------------------


def test_a_picture_replaces_what_was_believed_of_its_account_alone(world: GateWorld) -> None:
    gone = world.expect_pass(order(BUY, "5"))
    world.exposure.report(report(gone))
    other = world.expect_pass(order(BUY, "1", account=SECOND))
    live = order(SELL, "3", "102")
    world.exposure.rebuild(picture((open_order(live, "1"),), (position("7"), position("2", ETH))), NOW_NS)
    assert state(world) == (7, 0, 2)
    assert row(world, ETH).position == 2
    assert set(world.exposure.orders) == {live.cl_ord_id, other.cl_ord_id}
    world.exposure.rebuild(picture(), NOW_NS)
    assert state(world) == (0, 0, 0)
    assert list(world.exposure.orders) == [other.cl_ord_id]
    assert world.exposure.worth == 101


def test_positions_of_several_strategies_add_up(world: GateWorld) -> None:
    world.exposure.rebuild(picture(positions=(position("7"), position("-2"))), NOW_NS)
    assert state(world) == (5, 0, 0)


def test_what_is_in_flight_stays_reserved(world: GateWorld) -> None:
    wish = world.expect_pass(order(BUY, "5"))
    world.exposure.rebuild(picture(), NOW_NS)
    assert state(world) == (0, 5, 0)
    world.exposure.report(report(wish, received_ns=NOW_NS + 1))
    world.exposure.report(fill(wish, "5", received_ns=NOW_NS + 2))
    assert state(world) == (5, 0, 0)


def test_what_ended_before_the_picture_was_taken_is_not_counted_again(world: GateWorld) -> None:
    """Approved, accepted and filled; the picture contains it and overtakes the reports."""
    wish = world.expect_pass(order(BUY, "5"))
    world.exposure.rebuild(picture(positions=(position("5"),), taken_ns=NOW_NS + 10), NOW_NS + 10)
    assert state(world) == (5, 5, 0)  # not heard of yet: both, which is on the safe side
    world.exposure.report(report(wish, received_ns=NOW_NS + 1))
    world.exposure.report(fill(wish, "2", received_ns=NOW_NS + 2))
    assert state(world) == (5, 3, 0)
    world.exposure.report(fill(wish, "3", "5", received_ns=NOW_NS + 3))
    assert state(world) == (5, 0, 0)


def test_a_live_order_of_the_picture_counts_what_is_new_in_later_reports(world: GateWorld) -> None:
    live = order(BUY, "5")
    world.exposure.rebuild(picture((open_order(live, "2"),), (position("2"),), NOW_NS + 10), NOW_NS + 10)
    world.exposure.report(fill(live, "2", received_ns=NOW_NS + 1))
    assert state(world) == (2, 3, 0)
    world.exposure.report(fill(live, "1", "3", received_ns=NOW_NS + 11))
    assert state(world) == (3, 2, 0)


def test_reports_of_unknown_orders_from_before_the_picture_are_in_it(world: GateWorld) -> None:
    world.exposure.rebuild(picture(positions=(position("5"),), taken_ns=NOW_NS + 10), NOW_NS + 10)
    world.exposure.report(fill(order(BUY, "5"), "5", received_ns=NOW_NS + 9))
    world.exposure.report(report(order(BUY, "5"), received_ns=NOW_NS + 9))
    assert state(world) == (5, 0, 0)
    world.exposure.report(fill(order(BUY, "5"), "5", received_ns=NOW_NS + 10))
    assert state(world) == (10, 0, 0)


def test_a_late_fill_of_an_order_that_the_picture_dropped_counts_by_its_own_size(world: GateWorld) -> None:
    wish = world.expect_pass(order(BUY, "5"))
    world.exposure.report(fill(wish, "1"))
    # Meanwhile it was filled to 3 and canceled; the gate only hears of it by the picture.
    world.exposure.rebuild(picture(positions=(position("3"),), taken_ns=NOW_NS + 10), NOW_NS + 10)
    assert state(world) == (3, 0, 0)
    world.exposure.report(report(wish, ExecType.TRADE, "4", "1", OrdStatus.CANCELED, received_ns=NOW_NS + 11))
    assert state(world) == (4, 0, 0)


def test_an_order_keeps_its_value_through_a_picture(world: GateWorld) -> None:
    wish = world.expect_pass(order(BUY, "1", None))
    before = world.exposure.worth
    world.exposure.rebuild(picture((open_order(wish),)), NOW_NS)
    assert world.exposure.worth == before == D("111.1")


def test_a_pictures_order_without_our_id_goes_by_the_venues(world: GateWorld) -> None:
    manual = open_order(order(BUY, "2"))
    nameless = attrs.evolve(manual, cl_ord_id=ClOrdID(""))
    world.exposure.rebuild(picture((nameless,)), NOW_NS)
    assert list(world.exposure.orders) == [manual.order_id]
    bare = attrs.evolve(nameless, order_id=None)
    world.exposure.rebuild(picture((bare,)), NOW_NS)
    assert list(world.exposure.orders) == [""]
    assert manual.order_id == OrderID(f"v{manual.cl_ord_id}")


def test_own_prices_follow_orders_through_pictures() -> None:
    world = firm_world()
    live = order(SELL, "3", "102")
    stop = order(SELL, "3", "102", ord_type=OrdType.STOP_LIMIT, stop_px=D(103))
    world.exposure.rebuild(picture((open_order(live), open_order(stop))), NOW_NS)
    market = world.exposure.market(VENUE, BTC)
    assert (market.own_buys, market.own_sells) == ([], [D(102)])
    world.expect_refusal(order(BUY, price="102"), OrdRejReason.SELF_CROSS)
    world.exposure.report(report(live, ExecType.CANCELED))
    world.exposure.report(report(stop, ExecType.CANCELED))
    assert market.own_sells == []
    adopted = order(BUY, "1", "99.5")
    world.exposure.report(report(adopted))
    world.exposure.report(report(order(BUY, "1", None)))
    assert market.own_buys == [D("99.5")]


# ---- value ---------------------------------------------------------------------------------------------------------


def test_exposure_follows_the_mark(world: GateWorld) -> None:
    world.hold("5")
    world.expect_pass(order(BUY, "1", "100"))
    assert world.exposure.worth == 606
    world.quote(ask="110")
    assert world.exposure.worth == 660  # the order is worth no less than the mark either
    world.quote(bid="88", ask="90")
    assert world.exposure.worth == 450 + 101  # and no less than it may cost
    world.quote(bid="89", ask="90")
    assert world.exposure.worth == 551


def test_a_changed_contract_size_revalues_what_is_held(world: GateWorld) -> None:
    world.hold("5")
    world.expect_pass(order(BUY, "5"))
    world.exposure.set_instrument(instrument(contract_size=D(2)))
    total = world.exposure.totals[BTC]
    assert total.qty == 20
    assert total.notional == world.exposure.worth == 5 * 202 + 5 * 202


def test_totals_of_a_symbol_add_accounts() -> None:
    world = firm_world()
    world.expect_pass(order(BUY, "2"))
    world.expect_pass(order(SELL, "3", "102", account=SECOND))
    assert world.exposure.totals[BTC].qty == 5
    assert world.exposure.worth == 2 * 101 + 3 * 102


def test_totals_of_a_symbol_add_venues() -> None:
    world = firm_world()
    elsewhere = Venue("elsewhere")
    world.exposure.set_instrument(attrs.evolve(instrument(), venue=elsewhere))
    world.exposure.set_quote(attrs.evolve(quote(), venue=elsewhere), world.now_ns, world.monotonic_ns)
    world.expect_pass(order(BUY, "2"))
    world.expect_pass(order(BUY, "3", venue=elsewhere))
    assert world.exposure.totals[BTC].qty == 5
    assert world.exposure.totals[BTC].notional == 505
    world.expect_refusal(order(BUY, "996", venue=elsewhere), OrdRejReason.MAX_POSITION, "1001")


def test_gaps_and_quotes_out_of_their_order_because_quotes_are_conflated(world: GateWorld) -> None:
    """A newer quote takes the place of an older one in the mailbox, before the gap messages between them."""
    exposure, monotonic = world.exposure, world.monotonic_ns
    market = exposure.market(VENUE, BTC)
    closed_ns = world.now_ns + 100
    exposure.set_quote(quote(received_ns=closed_ns), closed_ns, monotonic)
    exposure.gap_opened(VENUE, BTC, "book")
    assert market.proven_at_ns < 0
    exposure.gap_closed(VENUE, BTC, "book", closed_ns)
    assert market.proven_at_ns == monotonic
    # A quote from before the gap does not revive.
    exposure.gap_opened(VENUE, BTC, "book")
    exposure.gap_closed(VENUE, BTC, "book", closed_ns + 1)
    assert market.proven_at_ns < 0


def test_a_gap_stays_open_until_all_streams_are_proven(world: GateWorld) -> None:
    market = world.exposure.market(VENUE, BTC)
    world.exposure.gap_opened(VENUE, BTC, "book")
    world.exposure.gap_opened(VENUE, BTC, "ticker")
    world.exposure.gap_closed(VENUE, BTC, "book", 0)
    assert market.proven_at_ns < 0
    world.exposure.gap_closed(VENUE, BTC, "ticker", 0)
    assert market.proven_at_ns > 0
