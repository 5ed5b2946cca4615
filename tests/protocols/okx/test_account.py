"""What an account makes of this venue's words: facts in any order end in one truth (sections 8.1, 12 and 14)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.enums import ExecType, OrdStatus
from protocols.ids import amend_request_id
from protocols.instruments import Product
from protocols.orders import ExecutionReport, NewOrder, VenueCancelReject
from protocols.venue import Reply
from protocols.venues.okx import OkxPrivate, signer_for
from tests.actors.account.rig import START_NS, STRATEGY_PATH, Rig
from tests.actors.account.venue import ACCOUNT, SYMBOL, VENUE
from tests.protocols.okx.frames import KEY, NO_FILL, PASSPHRASE, SECRET, answer, item, order_row, pushed

D = Decimal
START_MS = START_NS // 1_000_000
CODEC = OkxPrivate(ACCOUNT, signer_for(KEY, f"{SECRET}:{PASSPHRASE}"), Product.SPOT)


@pytest.fixture
def rig() -> Rig:
    return ready()


def ready() -> Rig:
    rig = Rig()
    rig.up()
    rig.told.clear()
    return rig


def frame(order: NewOrder, at_ms: int, state: str, filled: str = "0", **more: Any) -> bytes:
    """A message of the `orders` channel without a fill."""
    stamp = str(START_MS + at_ms)
    row = order_row(**NO_FILL) | {
        "instType": "SPOT", "instId": SYMBOL, "ordId": "9001", "clOrdId": order.cl_ord_id, "ordType": "limit",
        "sz": "1", "px": "100", "state": state, "accFillSz": filled, "avgPx": "100" if D(filled) else "0",
        "cTime": str(START_MS), "uTime": stamp,
    }  # fmt: skip
    return pushed("orders", [row | more])


def fill(order: NewOrder, at_ms: int, trade_id: str, qty: str, filled: str, state: str) -> bytes:
    stamp = str(START_MS + at_ms)
    return frame(
        order, at_ms, state, filled, tradeId=trade_id, fillSz=qty, fillPx="100", fillTime=stamp, execType="M",
        fillFee="0", fillFeeCcy="USDT",
    )  # fmt: skip


def say(rig: Rig, raw: bytes) -> None:
    """One frame of the private socket reaches the account (whose venue has another name in this rig)."""
    for event in CODEC.decode_private(raw, rig.ctx.now_ns):
        if isinstance(event, ExecutionReport):
            rig.tell(attrs.evolve(event, venue=VENUE))
        else:
            assert isinstance(event, VenueCancelReject)
            rig.tell(event)


def heard(rig: Rig) -> list[tuple[ExecType, OrdStatus]]:
    reports = rig.heard(STRATEGY_PATH, ExecutionReport)
    return [(one.exec_type, one.ord_status) for one in reports if isinstance(one, ExecutionReport)]


def life(order: NewOrder) -> list[bytes]:
    """Two fills; the venue says the second twice, and the end once more without it."""
    return [
        frame(order, 1, "live"),
        fill(order, 2, "77", "0.4", "0.4", "partially_filled"),
        fill(order, 3, "78", "0.6", "1", "filled"),
        fill(order, 3, "78", "0.6", "1", "filled"),
        frame(order, 4, "filled", "1"),
    ]


def test_an_acknowledgement_says_nothing_that_the_account_would_hear(rig: Rig) -> None:
    order = rig.new_order()
    (got,) = CODEC.decode_entry(answer(item(clOrdId=order.cl_ord_id)), START_NS)
    assert isinstance(got, Reply)
    assert got.report is not None
    assert (got.report.report, got.report.fills) == (None, ())


def test_a_life_in_the_venues_order(rig: Rig) -> None:
    order = rig.new_order()
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
    say(rig, frame(order, 1, "canceled", cancelSource="31", ordType="post_only"))
    assert heard(rig) == [(ExecType.REJECTED, OrdStatus.REJECTED)]


def test_a_fill_and_the_end_in_one_message_are_both_heard(rig: Rig) -> None:
    order = rig.new_order()
    say(rig, frame(order, 1, "live"))
    say(rig, fill(order, 2, "77", "0.4", "0.4", "canceled"))
    assert heard(rig)[-2:] == [
        (ExecType.TRADE, OrdStatus.PARTIALLY_FILLED),
        (ExecType.CANCELED, OrdStatus.CANCELED),
    ]
    assert rig.state.ledger.net_qty(SYMBOL) == D("0.4")


def test_an_end_waits_for_the_fills_that_it_counts(rig: Rig) -> None:
    order = rig.new_order()
    say(rig, frame(order, 1, "live"))
    say(rig, frame(order, 3, "canceled", "0.4", cancelSource="1"))
    assert rig.status(order) is not OrdStatus.CANCELED
    say(rig, fill(order, 2, "77", "0.4", "0.4", "partially_filled"))
    assert heard(rig)[-2:] == [
        (ExecType.TRADE, OrdStatus.PARTIALLY_FILLED),
        (ExecType.CANCELED, OrdStatus.CANCELED),
    ]
    assert rig.state.ledger.net_qty(SYMBOL) == D("0.4")


def test_a_confirmed_amendment_is_a_working_order_with_the_new_quantity(rig: Rig) -> None:
    order = rig.new_order()
    say(rig, frame(order, 1, "live"))
    rig.amend(order, "0.5")
    say(rig, frame(order, 2, "live", sz="0.5", amendResult="0", reqId="1x1"))
    assert heard(rig)[-1][0] is ExecType.REPLACED
    ours = rig.state.orders.by_cl_ord_id[order.cl_ord_id]
    assert (ours.order_qty, ours.leaves_qty) == (D("0.5"), D("0.5"))


def test_a_failed_amendment_leaves_the_order_as_it_was(rig: Rig) -> None:
    order = rig.new_order()
    say(rig, frame(order, 1, "live"))
    rig.amend(order, "0.5")
    say(
        rig,
        frame(order, 2, "live", amendResult="-1", reqId=amend_request_id("1x1", 1), msg="the order is being filled"),
    )
    ours = rig.state.orders.by_cl_ord_id[order.cl_ord_id]
    assert (ours.order_qty, ours.leaves_qty, rig.status(order)) == (D(1), D(1), OrdStatus.NEW)
