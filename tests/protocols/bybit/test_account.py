"""What an account makes of this venue's words: facts in any order end in one truth (sections 6, 9 and 14)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.base import Message
from protocols.enums import ExecType, OrdStatus
from protocols.orders import ExecutionReport, NewOrder
from protocols.venue import Reply
from protocols.venues.bybit import BybitPrivate, signer_for
from tests.actors.account.rig import START_NS, STRATEGY_PATH, Rig
from tests.actors.account.venue import ACCOUNT, SYMBOL, VENUE
from tests.protocols.bybit.frames import KEY, SECRET, SPOT, acked, answer, execution_row, order_row, pushed

D = Decimal
START_MS = START_NS // 1_000_000
CODEC = BybitPrivate(ACCOUNT, signer_for(KEY, SECRET), SPOT)


@pytest.fixture
def rig() -> Rig:
    return ready()


def ready() -> Rig:
    rig = Rig()
    rig.up()
    rig.told.clear()
    return rig


def order_frame(order: NewOrder, at_ms: int, status: str, filled: str = "0", **more: Any) -> bytes:
    row = order_row(
        category="spot", orderId="7e0a", orderLinkId=order.cl_ord_id, qty="1", price="100", orderStatus=status,
        cumExecQty=filled, cumExecValue=str(D(filled) * 100), updatedTime=str(START_MS + at_ms),
    )  # fmt: skip
    return pushed("order", row | more)


def fill_frame(order: NewOrder, at_ms: int, name: str, qty: str, leaves: str) -> bytes:
    row = execution_row(
        category="spot", orderId="7e0a", orderLinkId=order.cl_ord_id, execId=name, execQty=qty, execPrice="100",
        orderQty="1", leavesQty=leaves, orderPrice="100", execTime=str(START_MS + at_ms), execFee="0",
    )  # fmt: skip
    return pushed("execution", row)


def say(rig: Rig, raw: bytes) -> None:
    """One frame of the private socket reaches the account (whose venue has another name in this rig)."""
    for event in CODEC.decode_private(raw, rig.ctx.now_ns):
        assert isinstance(event, ExecutionReport)
        rig.tell(attrs.evolve(event, venue=VENUE))


def acknowledge(order: NewOrder) -> Message | Reply:
    """The trade socket's answer: it says nothing that the account would hear."""
    (got,) = CODEC.decode_entry(answer(acked(orderLinkId=order.cl_ord_id)), START_NS)
    assert isinstance(got, Reply)
    assert got.report is not None
    assert (got.report.report, got.report.fills) == (None, ())
    return got


def heard(rig: Rig) -> list[tuple[ExecType, OrdStatus]]:
    reports = rig.heard(STRATEGY_PATH, ExecutionReport)
    return [(one.exec_type, one.ord_status) for one in reports if isinstance(one, ExecutionReport)]


def life(order: NewOrder) -> list[bytes]:
    """Two fills, and the second `Filled` of a cancel that came too late."""
    return [
        order_frame(order, 1, "New"),
        fill_frame(order, 2, "e-1", "0.4", "0.6"),
        order_frame(order, 2, "PartiallyFilled", "0.4"),
        fill_frame(order, 3, "e-2", "0.6", "0"),
        order_frame(order, 3, "Filled", "1"),
        order_frame(order, 4, "Filled", "1", cancelType="CancelByUser", rejectReason="EC_OrigClOrdIDDoesNotExist"),
    ]


def test_a_life_in_the_venues_order(rig: Rig) -> None:
    order = rig.new_order()
    acknowledge(order)
    for raw in life(order):
        say(rig, raw)
    assert heard(rig) == [
        (ExecType.NEW, OrdStatus.NEW),
        (ExecType.TRADE, OrdStatus.PARTIALLY_FILLED),
        (ExecType.TRADE, OrdStatus.FILLED),
    ]
    assert rig.last_position().qty == 1


@given(st.data())
@settings(max_examples=60)
def test_the_same_facts_in_any_order_and_number_end_the_same(data: st.DataObject) -> None:
    rig = ready()
    order = rig.new_order()
    frames = life(order)
    more = data.draw(st.lists(st.sampled_from(range(len(frames))), max_size=4))
    for number in data.draw(st.permutations([*range(len(frames)), *more])):
        say(rig, frames[number])
    assert rig.status(order) is OrdStatus.FILLED
    assert rig.state.ledger.net_qty(SYMBOL) == 1
    assert [kind for kind, _ in heard(rig)].count(ExecType.TRADE) == 2


def test_post_only_that_would_have_taken_is_rejected_after_its_acknowledgement(rig: Rig) -> None:
    order = rig.new_order()
    acknowledge(order)
    say(rig, order_frame(order, 1, "Cancelled", rejectReason="EC_PostOnlyWillTakeLiquidity"))
    assert heard(rig) == [(ExecType.REJECTED, OrdStatus.REJECTED)]


def test_an_end_waits_for_the_fills_that_it_counts(rig: Rig) -> None:
    order = rig.new_order()
    say(rig, order_frame(order, 1, "New"))
    say(rig, order_frame(order, 3, "PartiallyFilledCanceled", "0.4", cancelType="CancelByUser"))
    assert rig.status(order) is not OrdStatus.CANCELED
    say(rig, fill_frame(order, 2, "e-1", "0.4", "0.6"))
    assert heard(rig)[-2:] == [
        (ExecType.TRADE, OrdStatus.PARTIALLY_FILLED),
        (ExecType.CANCELED, OrdStatus.CANCELED),
    ]
    assert rig.state.ledger.net_qty(SYMBOL) == D("0.4")


def test_a_confirmed_amendment_is_a_working_order_with_the_new_quantity(rig: Rig) -> None:
    order = rig.new_order()
    say(rig, order_frame(order, 1, "New"))
    rig.amend(order, "0.5")
    say(rig, order_frame(order, 2, "New", qty="0.5"))
    assert heard(rig)[-1][0] is ExecType.REPLACED
    ours = rig.state.orders.by_cl_ord_id[order.cl_ord_id]
    assert (ours.order_qty, ours.leaves_qty) == (D("0.5"), D("0.5"))
