"""One sentence: any input gives events or `RemoteProtocolError`, nothing else, and no event holds an absurd number."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import RemoteProtocolError
from protocols.ids import Symbol
from protocols.orders import ExecutionReport
from protocols.venue import Disposition, HttpReply, HttpRequest, Reply, VenueError
from tests.protocols.bybit.frames import (
    LINEAR,
    RECEIVED_NS,
    SPOT,
    STAMP_NS,
    acked,
    answer,
    codec,
    coin_row,
    envelope,
    execution_row,
    listed,
    order_row,
    position_row,
    pushed,
    refused,
    wallet_row,
)
from tests.protocols.bybit.frames import public as public_codec
from tests.protocols.bybit.test_instruments import CONTRACT, PAIR
from tests.protocols.bybit.test_private import ITEMS, OUTCOMES
from tests.protocols.bybit.test_public import EVENTS
from tests.protocols.hostile import JSON, as_json, check_sane, mutated_bytes

PUBLIC = [public_codec(product) for product in (SPOT, LINEAR)]
PRIVATE = [codec(product) for product in (SPOT, LINEAR)]
X = Symbol("X")
MINUTE_NS = 60_000_000_000

STREAM_FRAMES = [msgspec.json.encode(frame) for _, frame, _ in EVENTS] + [
    b'{"success":true,"ret_msg":"subscribe","conn_id":"x","req_id":"s1","op":"subscribe"}',
    b'{"success":false,"ret_msg":"error:handler not found","conn_id":"x","req_id":"s1","op":"subscribe"}',
    b'{"success":true,"ret_msg":"pong","conn_id":"x","op":"ping"}',
    b'{"topic":"tickers.BTCUSDT","type":"delta","data":{"symbol":"BTCUSDT"},"cs":1,"ts":1}',
]
PRIVATE_FRAMES = [
    pushed("order", order_row(), order_row(category="spot", orderStatus="Filled")),
    pushed("order.spot", order_row(stopOrderType="Stop", triggerDirection=1)),
    pushed("execution", execution_row(), execution_row(execType="Funding"), execution_row(category="spot")),
    pushed("wallet", wallet_row(coin_row())),
    pushed("position", position_row(), position_row(side="Sell", positionIdx=2)),
    b'{"success":true,"ret_msg":"","op":"auth","conn_id":"c1"}',
    b'{"req_id":"p1","op":"pong","args":["1767225600300"],"conn_id":"x"}',
]
ORDER_ANSWERS = [
    answer(acked()),
    answer(acked(), "order.cancel"),
    answer({"list": ITEMS}, "order.create-batch", retExtInfo=OUTCOMES),
]
ENTRY_FRAMES = [
    *ORDER_ANSWERS,
    answer({}, retCode=10006, retMsg="Too many visits"),
    answer({}, retCode=10019, retMsg="restarting"),
    b'{"retCode":0,"retMsg":"OK","op":"pong","data":["1767225600300"],"connId":"c2-1"}',
    b'{"retCode":10004,"retMsg":"Invalid sign","op":"auth","connId":"c2"}',
]
REST_BODIES = [
    msgspec.json.encode(body)
    for body in (
        envelope(acked()),
        envelope({"list": ITEMS}, retExtInfo=OUTCOMES),
        envelope({"list": [{"orderId": "1", "orderLinkId": "a"}], "success": "1"}),
        listed(order_row(), cursor="a%3Db"),
        listed(execution_row(), execution_row(execType="Funding")),
        listed(position_row()),
        listed(CONTRACT),
        listed(PAIR, category="spot"),
        envelope({"list": [wallet_row(coin_row())]}),
        envelope({"s": "X", "b": [["60000", "1"]], "a": [["60001", "2"]], "u": 7, "seq": 9, "ts": 1, "cts": 1}),
        envelope({"category": "linear", "list": [["1767225480000", "1", "4", "0.5", "2", "10", "20"]]}),
        envelope({"timeSecond": "1767225600", "timeNano": "1767225600123456789"}),
        refused(10006),
        refused(110001),
    )
]

# ---- how inputs go wrong -----------------------------------------------------------------------------------------

WEIRD: list[Any] = [
    None, True, False, 0, -1, 2**31, 2**63, 2**64, 10**40, 1.5, "", "x", "NaN", "sNaN1", "Infinity", "-Infinity",
    "1e999999999", "0E-999999999", "1E+999999", "-0", "-1", "1_0", " 1", "１", "9" * 100, "0." + "0" * 100 + "1",
    "é\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), "\x00", [], {}, [[]], {"op": "auth"}, "Buy",
    "orderbook.1.X", "snapshot", "linear",
]  # fmt: skip
KEYS = ["topic", "op", "data", "list", "result", "retCode", "category", "u", "s"]


@st.composite
def mutated_json(draw: st.DrawFn, frames: list[bytes]) -> bytes:
    """A golden frame with one to three of its values replaced, taken out, renamed or doubled."""
    whole = msgspec.json.decode(draw(st.sampled_from(frames)))
    for _ in range(draw(st.integers(1, 3))):
        node = whole
        while isinstance(node, dict | list) and node:
            key = draw(st.sampled_from(sorted(node))) if isinstance(node, dict) else draw(st.integers(0, len(node) - 1))
            child = node[key]
            if isinstance(child, dict | list) and child and draw(st.booleans()):
                node = child
                continue
            match draw(st.integers(0, 3)):
                case 0:
                    del node[key]
                case 1 if isinstance(node, dict):
                    node[draw(st.sampled_from([*node, *KEYS]))] = node.pop(key)
                case 2 if isinstance(node, list):
                    node.append(copy.deepcopy(child))
                case _:
                    node[key] = copy.deepcopy(draw(st.sampled_from(WEIRD) | JSON))
            break
    return as_json(whole)


def inputs(frames: list[bytes]) -> st.SearchStrategy[bytes]:
    return mutated_json(frames) | mutated_bytes(frames) | st.binary(max_size=60) | JSON.map(as_json)


# ---- what must hold ----------------------------------------------------------------------------------------------


def accepted(read: Callable[[], object]) -> None:
    try:
        got = read()
    except RemoteProtocolError:
        return
    check_sane(got)


@given(inputs(STREAM_FRAMES))
@settings(max_examples=200)
def test_streams(raw: bytes) -> None:
    for public in PUBLIC:
        accepted(partial(public.decode, raw, RECEIVED_NS, 1))


@given(inputs(PRIVATE_FRAMES))
@settings(max_examples=200)
def test_private_frames(raw: bytes) -> None:
    for private in PRIVATE:
        accepted(partial(private.decode_private, raw, RECEIVED_NS))


@given(inputs(ENTRY_FRAMES))
@settings(max_examples=200)
def test_entry_frames(raw: bytes) -> None:
    for private in PRIVATE:
        accepted(partial(private.decode_entry, raw, RECEIVED_NS))


@given(inputs(STREAM_FRAMES + PRIVATE_FRAMES + ENTRY_FRAMES))
@settings(max_examples=100)
def test_frames_of_another_socket(raw: bytes) -> None:
    accepted(lambda: PUBLIC[0].decode(raw, RECEIVED_NS, 1))
    accepted(lambda: PRIVATE[0].decode_private(raw, RECEIVED_NS))
    accepted(lambda: PRIVATE[1].decode_entry(raw, RECEIVED_NS))


@given(st.text(max_size=80))
@settings(max_examples=50)
def test_any_text(raw: str) -> None:
    accepted(lambda: PUBLIC[0].decode(raw, RECEIVED_NS, 1))
    accepted(lambda: PRIVATE[0].decode_private(raw, RECEIVED_NS))
    accepted(lambda: PRIVATE[0].decode_entry(raw, RECEIVED_NS))


HEADERS = st.dictionaries(
    st.sampled_from(["X-Bapi-Limit", "X-Bapi-Limit-Status", "x-bapi-limit-reset-timestamp", "Timenow"])
    | st.text(max_size=20),
    st.text(max_size=20) | st.integers().map(str),
    max_size=4,
)
REQUESTS: list[HttpRequest] = [
    PRIVATE[1].open_orders_request(None, STAMP_NS),
    PRIVATE[1].fills_request(X, STAMP_NS, since_ns=0),
    PRIVATE[1].order_status_request(order_row()["orderLinkId"], None, X, STAMP_NS),
    PUBLIC[1].instruments_request([]),
]


@given(inputs(REST_BODIES), st.sampled_from([200, 200, 200, 201, 302, 400, 403, 404, 429, 500]), HEADERS)
@settings(max_examples=200)
def test_rest_answers(body: bytes, status: int, headers: dict[str, str]) -> None:
    reply = HttpReply(status, headers, body, RECEIVED_NS, RECEIVED_NS)
    for public, private in zip(PUBLIC, PRIVATE, strict=True):
        reads: list[Callable[[], object]] = [
            partial(public.decode_time, reply),
            partial(public.decode_instruments, reply),
            partial(public.decode_snapshot, X, reply, 1),
            partial(public.decode_candles, X, MINUTE_NS, reply),
            partial(private.decode_order_status, reply),
            partial(private.decode_open_orders, reply),
            partial(private.decode_fills, X, reply),
            partial(private.decode_balances, reply),
            partial(private.decode_positions, reply),
            *(partial(public.continuation, request, reply, STAMP_NS) for request in REQUESTS),
            *(partial(private.continuation, request, reply, STAMP_NS) for request in REQUESTS),
        ]
        for read in reads:
            accepted(read)
        order = private.decode_rest_order("1", reply)
        assert isinstance(order, Reply)
        check_sane(order)
        for error in (public.error(reply), private.error(reply)):
            assert error is None or isinstance(error, VenueError)
            assert error is not None or 200 <= status < 300
        check_sane(private.usage(reply))


@given(mutated_json(ORDER_ANSWERS))
@settings(max_examples=200)
def test_a_spoiled_order_reply_never_looks_like_a_refusal(raw: bytes) -> None:
    """A reply that we cannot read must leave its order in doubt, or live: rejecting it would lose a live order."""
    whole = json.loads(raw)
    if not isinstance(whole, dict) or type(whole.get("retCode")) is not int or whole["retCode"] != 0:
        return
    try:
        events = PRIVATE[1].decode_entry(raw, RECEIVED_NS)
    except RemoteProtocolError:
        return
    for event in events:
        if isinstance(event, Reply) and event.error is not None:
            assert event.error.disposition in (Disposition.UNKNOWN, Disposition.BUSY)


@pytest.mark.parametrize("zero", ["0E-999999999", "0e999999999"])
def test_a_zero_with_an_absurd_exponent_is_plain_zero(zero: str) -> None:
    """`format(Decimal("0E-999999999"), "f")` would write a gigabyte."""
    (event,) = PRIVATE[1].decode_private(pushed("order", order_row(cumExecQty=zero, cumExecValue=zero)), RECEIVED_NS)
    assert isinstance(event, ExecutionReport)
    assert (str(event.cum_qty), str(event.cum_quote)) == ("0", "0")
