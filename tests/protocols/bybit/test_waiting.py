"""Spot orders that wait for their trigger: how they are named, so that a cancel finds them (sections 6.1, 6.3, 14)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from protocols.enums import OrdStatus, OrdType
from protocols.errors import LocalProtocolError
from protocols.ids import ClOrdID, OrderID
from protocols.orders import ExecutionReport
from protocols.venue import Frame, Reply
from protocols.venues.bybit import BybitPrivate
from tests.protocols.bybit.frames import (
    CL_ORD_ID,
    LINEAR,
    ORDER_ID,
    RECEIVED_NS,
    SPOT,
    STAMP_NS,
    SYMBOL,
    acked,
    answer,
    codec,
    envelope,
    listed,
    new_order,
    order_row,
    pushed,
    reply,
)

WAITING = OrderID(f"StopOrder:{ORDER_ID}")
STOP = new_order(SPOT, ord_type=OrdType.STOP_LIMIT, stop_px=new_order().price)


def argument(frame: Frame) -> dict[str, Any]:
    (only,) = json.loads(frame.text)["args"]
    return dict(only)


def told(private: BybitPrivate, **changes: Any) -> ExecutionReport:
    row = order_row(**({"category": "spot", "stopOrderType": "Stop", "triggerPrice": "61000"} | changes))
    (event,) = private.decode_private(pushed("order", row), RECEIVED_NS)
    assert isinstance(event, ExecutionReport)
    return event


def cancel(private: BybitPrivate, order_id: OrderID | None) -> dict[str, Any]:
    return argument(private.cancel_order(CL_ORD_ID, order_id, SYMBOL, "c1", STAMP_NS, logged_on=True))


@pytest.mark.parametrize(
    "kind, word",
    [("Stop", "StopOrder"), ("tpslOrder", "tpslOrder"), ("OcoOrder", "OcoOrder"), ("OfNextYear", "StopOrder")],
)
def test_a_waiting_order_is_named_by_its_kind_and_canceled_by_that(kind: str, word: str) -> None:
    order_id = told(codec(SPOT), orderStatus="Untriggered", stopOrderType=kind).order_id
    assert order_id == f"{word}:{ORDER_ID}"
    fresh = codec(SPOT)  # as after a restart: nothing is known but the name
    assert cancel(fresh, order_id) == {
        "category": "spot", "symbol": "BTCUSDT", "orderId": ORDER_ID, "orderFilter": word,
    }  # fmt: skip
    request = fresh.rest_cancel_order(CL_ORD_ID, order_id, SYMBOL, STAMP_NS)
    assert json.loads(request.body) == cancel(fresh, order_id)
    with pytest.raises(LocalProtocolError, match="cancel it alone"):  # a batch has no word for the kind
        fresh.rest_cancel_orders([(CL_ORD_ID, order_id, SYMBOL)], STAMP_NS)
    queried = fresh.decode_open_orders(reply(listed(order_row(orderStatus="Untriggered", stopOrderType=kind))))
    assert queried[0].order_id == order_id
    assert f"orderId={ORDER_ID}" in fresh.order_status_request(CL_ORD_ID, order_id, SYMBOL, STAMP_NS).query


def test_a_conditional_order_of_spot_is_placed_alone() -> None:
    """Taken for a plain one in a batch it would trade at once."""
    with pytest.raises(LocalProtocolError, match="place it alone"):
        codec(SPOT).new_orders([new_order(SPOT), STOP], "b1", STAMP_NS, logged_on=True)
    contract = new_order(ord_type=OrdType.STOP_LIMIT, stop_px=STOP.stop_px)
    assert codec(LINEAR).rest_new_orders([contract, contract], STAMP_NS).units == 2


@pytest.mark.parametrize("word", ["Triggered", "New", "Filled", "Cancelled"])
def test_from_its_trigger_on_it_has_the_bare_name(word: str) -> None:
    private = codec(SPOT)
    order_id = told(private, orderStatus=word, cumExecQty="0.001" if word == "Filled" else "0").order_id
    assert order_id == ORDER_ID
    assert "orderFilter" not in cancel(private, order_id)


def test_contracts_need_no_kind() -> None:
    private = codec(LINEAR)
    assert told(private, category="linear", orderStatus="Untriggered").order_id == ORDER_ID
    private.new_order(new_order(ord_type=OrdType.STOP_LIMIT, stop_px=STOP.stop_px), "r", STAMP_NS, logged_on=True)
    assert "orderFilter" not in cancel(private, None)


def test_who_placed_it_knows_its_kind_before_the_venue_has_said_it() -> None:
    private = codec(SPOT)
    assert "orderFilter" not in cancel(private, None)
    private.new_order(STOP, "r1", STAMP_NS, logged_on=True)
    assert cancel(private, None)["orderFilter"] == "StopOrder"
    (received,) = private.decode_entry(answer(acked()), RECEIVED_NS)
    assert isinstance(received, Reply)
    assert received.report is not None
    assert received.report.order_id == WAITING
    by_rest = private.decode_rest_order("1", reply(envelope(acked())))
    assert by_rest.report is not None
    assert by_rest.report.order_id == WAITING
    # Called by its bare name it has been triggered: from then on the codec says no kind either.
    assert "orderFilter" not in cancel(private, OrderID(ORDER_ID))
    assert "orderFilter" not in cancel(private, None)


def test_an_acknowledged_amend_keeps_the_name() -> None:
    private = codec(SPOT)
    frame = private.amend_order(CL_ORD_ID, WAITING, SYMBOL, new_order().order_qty, "a1", STAMP_NS, logged_on=True)
    assert argument(frame)["orderId"] == ORDER_ID
    (received,) = private.decode_entry(answer(acked(), "order.amend"), RECEIVED_NS)
    assert isinstance(received, Reply)
    assert received.report is not None
    assert received.report.order_id == WAITING


def test_only_the_newest_kinds_are_remembered() -> None:
    private = codec(SPOT)
    waiting = private._commands.waiting
    for number in range(1100):
        waiting.placed(ClOrdID(f"c{number}"))
    assert waiting.called(ClOrdID("c0"), None) == ""
    assert waiting.called(ClOrdID("c1099"), None) == "StopOrder"


@pytest.mark.parametrize(
    "side, trigger, last, ord_type",
    [
        ("Buy", "61000", "60000", OrdType.STOP_LIMIT),
        ("Buy", "59000", "60000", OrdType.TAKE_PROFIT_LIMIT),
        ("Sell", "61000", "60000", OrdType.TAKE_PROFIT_LIMIT),
        ("Sell", "59000", "60000", OrdType.STOP_LIMIT),
        ("Sell", "61000", "", OrdType.STOP_LIMIT),
        ("Sell", "61000", None, OrdType.STOP_LIMIT),
    ],
)
def test_spot_waits_as_the_last_price_was(side: str, trigger: str, last: str | None, ord_type: OrdType) -> None:
    got = told(codec(SPOT), side=side, triggerPrice=trigger, lastPriceOnCreated=last, orderStatus="Untriggered")
    assert (got.ord_type, got.ord_status) == (ord_type, OrdStatus.NEW)
