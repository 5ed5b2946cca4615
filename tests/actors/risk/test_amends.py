"""Amends at the gates: the same rules as for new orders, the larger of both reserved, given back by name alone."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest

from actors.risk.gate import AmendRefusal
from protocols.base import RefusalReason
from protocols.enums import CxlRejReason, CxlRejResponseTo, ExecType, OrdStatus, Side, TradingState
from protocols.ids import AccountID, ClOrdID, Venue
from protocols.journal import TradingStateChanged
from protocols.orders import (
    FIRM_GATE,
    AmendClosed,
    AmendOrder,
    CancelRejected,
    FirmApprovedAmend,
    NewOrder,
    RiskApprovedAmend,
    RoutedAmend,
    account_gate,
    account_path,
)
from tests.actors.risk.test_gates import account, firm
from tests.actors.risk.world import (
    BTC,
    MAKER,
    MASTER,
    NOW_NS,
    SECOND_NS,
    STRATEGY_PATH,
    VENUE,
    D,
    GateWorld,
    account_world,
    firm_world,
    instrument,
    only,
    open_order,
    order,
    picture,
    position,
    report,
)

BUY, SELL = Side.BUY, Side.SELL


def amend(wish: NewOrder, qty: str, px: str | None = None, request_id: str = "r1", **changes: Any) -> AmendOrder:
    asked = AmendOrder(
        wish.cl_ord_id,
        MASTER,
        VENUE,
        BTC,
        D(qty),
        STRATEGY_PATH,
        None if px is None else D(px),
        request_id,
        MAKER,
        NOW_NS,
    )
    return attrs.evolve(asked, **changes) if changes else asked


def resting(world: GateWorld, side: Side = BUY, qty: str = "2", px: str = "100") -> NewOrder:
    """An order that the account has confirmed."""
    wish = world.expect_pass(order(side, qty, px))
    world.exposure.report(report(wish))
    return wish


def ask(world: GateWorld, asked: AmendOrder) -> AmendRefusal | None:
    return world.gate.decide_amend(asked, world.now_ns, world.monotonic_ns)


def refused(world: GateWorld, asked: AmendOrder, *words: str, reason: CxlRejReason = CxlRejReason.RISK) -> None:
    before = world.believed()
    refusal = ask(world, asked)
    assert refusal is not None, "it passed"
    assert refusal.reason is reason, refusal
    for word in words:
        assert word in refusal.text, refusal.text
    assert world.believed() == before, "nothing may be reserved"


def leg(world: GateWorld, side: Side = BUY) -> tuple[Decimal, Decimal]:
    """Quantity and worth that one side has reserved."""
    row = world.exposure.row(MASTER, world.exposure.market(VENUE, BTC))
    chosen = row.buy if side is BUY else row.sell
    return chosen.qty, chosen.value


def closed(wish: NewOrder, request_id: str = "r1", qty: str | None = None, px: str | None = None) -> AmendClosed:
    return AmendClosed(
        wish.cl_ord_id, MASTER, VENUE, request_id, None if qty is None else D(qty), None if px is None else D(px)
    )


@pytest.fixture
def world() -> GateWorld:
    return firm_world()


# ---- what is reserved ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "qty, px, reserved",
    [
        ("5", None, (D(5), D(505))),
        ("5", "104", (D(5), D(520))),
        ("2", "104", (D(2), D(208))),
        ("1", "104", (D(2), D(208))),  # less, and dearer: the larger of both, part by part
        ("2", "98", (D(2), D(202))),
    ],
)
def test_the_larger_of_both_is_reserved(world: GateWorld, qty: str, px: str | None, reserved: object) -> None:
    wish = resting(world)
    assert leg(world) == (D(2), D(202)), "the mark is 101"
    assert ask(world, amend(wish, qty, px)) is None
    assert leg(world) == reserved
    assert world.gate._pace.second.total == 2, "it counts in the rates"
    world.exposure.close_amend(closed(wish))
    assert leg(world) == (D(2), D(202)), "it never left: given back"


def test_a_confirmed_amend_settles_to_what_the_venue_confirmed(world: GateWorld) -> None:
    wish = resting(world)
    assert ask(world, amend(wish, "5", "104")) is None
    world.exposure.report(report(wish, ExecType.REPLACED, order_qty=D(4)))
    assert leg(world) == (D(5), D(520)), "a report alone gives nothing back"
    world.exposure.close_amend(closed(wish, qty="4", px="104"))
    assert leg(world) == (D(4), D(416))
    world.exposure.close_amend(closed(wish, qty="1", px="104"))
    assert leg(world) == (D(4), D(416)), "it is over: a second time says nothing"


def test_only_the_end_of_this_very_amend_gives_back(world: GateWorld) -> None:
    wish = resting(world)
    assert ask(world, amend(wish, "5", request_id="r2")) is None
    world.exposure.close_amend(closed(wish, "r1", "2", "100"))
    assert leg(world)[0] == 5
    refused(world, amend(wish, "6", request_id="r3"), "on its way", reason=CxlRejReason.ALREADY_PENDING)


def test_a_reduction_confirmed_meanwhile_is_what_is_left_after_a_refusal(world: GateWorld) -> None:
    wish = resting(world, qty="3")
    assert ask(world, amend(wish, "5")) is None
    world.exposure.report(report(wish, ExecType.REPLACED, order_qty=D(1)))
    assert leg(world)[0] == 5
    world.exposure.close_amend(closed(wish))
    assert leg(world)[0] == 1


def test_fills_take_from_the_larger_quantity(world: GateWorld) -> None:
    wish = resting(world)
    assert ask(world, amend(wish, "5")) is None
    row = world.exposure.row(MASTER, world.exposure.market(VENUE, BTC))
    worst = row.qty
    world.exposure.report(attrs.evolve(report(wish, ExecType.TRADE, "2", "2"), ord_status=report(wish).ord_status))
    assert (leg(world)[0], row.position, row.qty) == (D(3), D(2), worst)
    world.exposure.report(report(wish, ExecType.CANCELED, "2"))
    assert leg(world)[0] == 0
    assert not world.exposure.orders


def test_what_the_venue_or_somebody_else_restates_counts_in_both_directions(world: GateWorld) -> None:
    wish = resting(world)
    restated = attrs.evolve(report(wish, ExecType.RESTATED, order_qty=D(6)), price=D(103))
    world.exposure.report(restated)
    assert leg(world) == (D(6), D(618))
    assert world.exposure.market(VENUE, BTC).own_buys == [D(103)]


# ---- what is refused ----------------------------------------------------------------------------------------------


def test_a_reduction_passes_in_every_state_and_reserves_nothing(world: GateWorld) -> None:
    wish = resting(world)
    world.gate.state = TradingState.HALTED
    world.gate.journal_healthy = False
    assert ask(world, amend(wish, "1")) is None
    assert ask(world, amend(wish, "1", "100")) is None
    assert leg(world)[0] == 2
    refused(world, amend(wish, "3"), "halted")
    refused(world, amend(wish, "1", "99"), "halted")
    world.gate.state = TradingState.ACTIVE
    refused(world, amend(wish, "3"), "journal")


def test_the_order_that_it_makes_must_be_possible_and_within_the_band(world: GateWorld) -> None:
    wish = resting(world)
    refused(world, amend(wish, "2", "100.001"), "bad_price")
    refused(world, amend(wish, "2.0001"), "bad_quantity")
    refused(world, amend(wish, "0.001", "0.02"), "min_notional")
    refused(world, amend(wish, "2", "80"), "price_band")
    world.quote(proven=False)
    refused(world, amend(wish, "3"), "no_reference_price")


def test_an_amend_may_not_cross_an_order_of_our_own_at_either_price(world: GateWorld) -> None:
    bid, _ = resting(world, BUY, px="98"), resting(world, SELL, px="103")
    refused(world, amend(bid, "2", "103"), "self_cross")
    assert ask(world, amend(bid, "2", "102")) is None
    assert world.ask(order(SELL, "1", "102")) is not None, "the new price may rest already"
    world.exposure.close_amend(closed(bid))
    world.expect_pass(order(SELL, "1", "102"))
    assert ask(world, amend(bid, "2", "99", "r2")) is None
    assert world.exposure.market(VENUE, BTC).own_buys == [D(98), D(99)]
    world.exposure.report(report(bid, ExecType.CANCELED))
    assert world.exposure.market(VENUE, BTC).own_buys == []


@pytest.mark.parametrize(
    "limits, word",
    [
        ({"symbols": only(max_order_qty=D(4))}, "max_order_qty"),
        ({"max_order_notional": D(500)}, "max_order_notional"),
        ({"symbols": only(max_position_qty=D(4))}, "max_position_qty"),
        ({"max_position_notional": D(500)}, "max_position_notional"),
        ({"max_exposure": D(500)}, "max_exposure"),
        ({"max_orders_per_s": 1}, "max_orders_per_s"),
        ({"max_orders_per_day": 1}, "max_orders_per_day"),
    ],
)
def test_every_limit_holds_for_amends(limits: dict[str, Any], word: str) -> None:
    world = firm_world(**limits)
    wish = resting(world)
    refused(world, amend(wish, "5"), word)


def test_no_new_order_is_counted_for_an_amend() -> None:
    world = firm_world(max_open_orders=1)
    wish = resting(world)
    assert ask(world, amend(wish, "5")) is None


def test_the_breaker_counts_the_same_amend_again_and_again() -> None:
    world = account_world(max_repeats=3)
    wish = resting(world, qty="1")
    for number in range(3):
        assert ask(world, amend(wish, "2", request_id=f"r{number}")) is None
        world.exposure.close_amend(closed(wish, f"r{number}"))
    refused(world, amend(wish, "2", request_id="r3"), "max_repeats")
    assert "max_repeats" in world.gate.tripped


def test_an_order_that_closes_a_position_may_be_repriced_while_reducing(world: GateWorld) -> None:
    world.hold("5")
    closing = resting(world, SELL, "3", "102")
    world.gate.state = TradingState.REDUCING
    assert ask(world, amend(closing, "5", "101.5")) is None
    world.exposure.close_amend(closed(closing))
    refused(world, amend(closing, "6", request_id="r2"), "reduce_only_mode")


def test_amends_that_make_no_sense(world: GateWorld) -> None:
    wish = resting(world)
    triggered = world.expect_pass(order(BUY, "1", None))
    refused(world, amend(order(), "3"), "no live order", reason=CxlRejReason.UNKNOWN_ORDER)
    refused(world, amend(wish, "3", account=AccountID("other")), "is of account", reason=CxlRejReason.UNKNOWN_ORDER)
    refused(world, amend(wish, "3", request_id=""), "request_id", reason=CxlRejReason.UNSUPPORTED)
    refused(world, amend(triggered, "3"), "LIMIT", reason=CxlRejReason.UNSUPPORTED)


# ---- pictures -----------------------------------------------------------------------------------------------------


def test_a_gate_that_comes_back_reserves_for_amends_that_the_account_knows(world: GateWorld) -> None:
    wish = order(BUY, "2")
    pictured = attrs.evolve(open_order(wish), amend_qty=D(5), amend_price=D(104), amend_id="r1")
    world.exposure.rebuild(picture((pictured,)), NOW_NS)
    assert leg(world) == (D(5), D(520))
    world.exposure.close_amend(closed(wish, qty="5", px="104"))
    assert leg(world) == (D(5), D(520))


def test_an_amend_that_the_account_has_not_seen_stays_reserved(world: GateWorld) -> None:
    wish = resting(world)
    assert ask(world, amend(wish, "5", "104")) is None
    world.exposure.rebuild(picture((open_order(wish),)), NOW_NS)
    assert leg(world) == (D(5), D(520))
    assert world.exposure.market(VENUE, BTC).own_buys == [D(100), D(104)]
    world.exposure.close_amend(closed(wish))
    assert leg(world) == (D(2), D(202))


def test_reports_from_before_a_picture_change_no_terms(world: GateWorld) -> None:
    wish = order(BUY, "2")
    larger = attrs.evolve(open_order(wish), order_qty=D(8))
    world.exposure.rebuild(picture((larger,)), NOW_NS + 10)
    world.exposure.report(report(wish, received_ns=NOW_NS + 5))
    assert leg(world)[0] == 8, "it says 2, and is older than the amend that the picture contains"
    world.exposure.report(report(wish, ExecType.RESTATED, received_ns=NOW_NS + 20))
    assert leg(world)[0] == 2


def test_a_picture_older_than_the_one_known_is_not_taken(world: GateWorld) -> None:
    wish = order(BUY, "2")
    world.exposure.rebuild(attrs.evolve(picture((open_order(wish),)), made=(2, 5)), NOW_NS)
    for made in ((2, 4), (1, 90)):
        world.exposure.rebuild(attrs.evolve(picture(), made=made), NOW_NS)
        assert leg(world)[0] == 2
    world.exposure.rebuild(attrs.evolve(picture(positions=(position("1"),)), made=(3, 0)), NOW_NS)
    assert leg(world)[0] == 0


# ---- the actors ---------------------------------------------------------------------------------------------------


def test_an_amend_goes_from_gate_to_gate_to_account() -> None:
    wish = order(BUY, "2")
    first, second = firm().start(), account().start()
    for gate in (first, second):
        gate.exposure.rebuild(picture((open_order(wish),)), NOW_NS)
    asked = amend(wish, "5")
    assert first.give(RoutedAmend(asked))[0] == (account_gate(MASTER), FirmApprovedAmend(asked))
    assert second.give(FirmApprovedAmend(asked))[0] == (account_path(MASTER, VENUE), RiskApprovedAmend(asked))
    for gate in (first, second):
        gate.give(closed(wish))
        assert gate.exposure.orders[wish.cl_ord_id].leaves_qty == 2


def test_a_refused_amend_is_told_to_its_maker_and_to_the_gate_before() -> None:
    wish = order(BUY, "2")
    first, second = firm(max_exposure=D(300)).start(), account(max_exposure=D(300)).start()
    for gate in (first, second):
        gate.exposure.rebuild(picture((open_order(wish),)), NOW_NS)
    asked = amend(wish, "5")
    ((to, rejected),) = first.give(RoutedAmend(asked))
    assert isinstance(rejected, CancelRejected)
    assert (to, rejected.reason, rejected.response_to) == (STRATEGY_PATH, CxlRejReason.RISK, CxlRejResponseTo.REPLACE)
    assert "max_exposure" in rejected.text
    told = second.give(FirmApprovedAmend(asked))
    assert [to for to, _ in told] == [STRATEGY_PATH, FIRM_GATE]
    assert told[1][1] == closed(wish)
    assert second.actor.inspect()["amends_refused"] == {"risk": 1}
    stranger = amend(wish, "5", venue=Venue("elsewhere"))
    ((_, rejected),) = first.give(RoutedAmend(stranger))
    assert isinstance(rejected, CancelRejected)
    assert rejected.reason is CxlRejReason.UNKNOWN_ORDER


def test_the_breaker_of_amends_sets_reduce_only() -> None:
    gate = account(max_repeats=1).start()
    wish = order(BUY, "1")
    gate.exposure.rebuild(picture((open_order(wish),)), NOW_NS)
    gate.give(FirmApprovedAmend(amend(wish, "2")), closed(wish))
    sent = gate.give(FirmApprovedAmend(amend(wish, "2", request_id="r2")))
    assert gate.actor.gate.state is TradingState.REDUCING
    assert any(isinstance(r, TradingStateChanged) for _, m in sent for r in getattr(m, "records", ()))


@pytest.mark.parametrize(
    "message, told",
    [
        (RoutedAmend, [STRATEGY_PATH]),
        (FirmApprovedAmend, [STRATEGY_PATH, FIRM_GATE]),
        (RiskApprovedAmend, [STRATEGY_PATH, FIRM_GATE, account_gate(MASTER)]),
    ],
)
def test_what_the_runtime_refuses_is_told_to_the_gates_that_let_it_pass(message: Any, told: list[str]) -> None:
    asked = amend(order(cl_ord_id=ClOrdID("c")), "5")
    assert [to for to, _ in message(asked).refusals(RefusalReason.NOT_READY, "x")] == told


def test_contracts_are_counted_in_base_units() -> None:
    world = firm_world(symbols=only(max_order_qty=D(4), max_position_qty=D(4)))
    world.exposure.set_instrument(instrument(contract_size=D("0.1"), qty_step=D(1), min_qty=D(1), min_notional=D(0)))
    wish = resting(world, qty="20")
    refused(world, amend(wish, "41"), "max_order_qty would be 4.1")
    assert ask(world, amend(wish, "40")) is None
    world.advance(SECOND_NS)


def test_terms_that_nobody_asked_for_count_as_what_they_may_cost(world: GateWorld) -> None:
    """The venue confirmed another price than the amend's and the order's."""
    wish = resting(world)
    assert ask(world, amend(wish, "5", "104")) is None
    world.exposure.close_amend(closed(wish, qty="4", px="103"))
    assert leg(world) == (D(4), D(416))


def test_an_order_that_the_venue_made_larger_while_its_amend_is_on_its_way_counts_so(world: GateWorld) -> None:
    wish = resting(world)
    assert ask(world, amend(wish, "5", "104")) is None
    world.exposure.report(report(wish, ExecType.RESTATED, status=OrdStatus.NEW, order_qty=D(9)))
    assert leg(world)[0] == D(9)


def test_an_amend_in_a_picture_that_shows_no_price_reserves_the_order_alone(world: GateWorld) -> None:
    wish = resting(world)
    shown = attrs.evolve(open_order(wish), price=None, amend_qty=D(5), amend_id="r1", amend_price=None)
    fresh = firm_world()
    fresh.exposure.rebuild(picture((shown,)), NOW_NS)
    assert leg(fresh)[0] == D(2)
