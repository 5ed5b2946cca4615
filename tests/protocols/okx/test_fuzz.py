"""One sentence: any input gives events or `RemoteProtocolError`, nothing else, and no event holds an absurd number."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import RemoteProtocolError
from protocols.ids import Symbol
from protocols.instruments import Product
from protocols.market import BookDelta
from protocols.venue import Disposition, HttpReply, Reply, VenueError
from protocols.venues.okx import OkxPublic
from tests.protocols.hostile import JSON, as_json, mutated_bytes
from tests.protocols.okx.frames import (
    BTC,
    CANDLE,
    NO_FILL,
    RECEIVED_NS,
    REFUSED_ITEM,
    SPOT_ROW,
    STAMP_NS,
    SWAP_ROW,
    TRADE,
    USDT,
    account_row,
    answer,
    book_row,
    codec,
    fill_row,
    item,
    order_row,
    position_row,
    public_frame,
    pushed,
    reply,
    rest,
    rest_order,
)

PUBLIC, PRIVATE = OkxPublic(Product.LINEAR), codec()
SPOT = OkxPublic(Product.SPOT)
X = Symbol("X")
MINUTE = 60_000_000_000
TICKER = {"asks": [["60001", "4", "0", "13"]], "bids": [["60000", "2", "0", "12"]], "ts": "1767225600130", "seqId": 7}

STREAM_FRAMES = [
    public_frame("books", [book_row()], action="update"),
    public_frame("books", [book_row(prevSeqId=-1)], action="snapshot"),
    public_frame("bbo-tbt", [TICKER]),
    public_frame("trades", [TRADE, TRADE]),
    public_frame("candle1m", [CANDLE]),
    public_frame("tickers", [{}]),
    b'{"id":"1","event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"a4d3ae55"}',
    b'{"id":"1","event":"error","code":"60018","msg":"wrong","connId":"a4d3ae55"}',
    b'{"event":"notice","code":"64008","msg":"soon","connId":"a4d3ae55"}',
    b"pong",
]
PRIVATE_FRAMES = [
    pushed(
        "orders",
        [
            order_row(),
            order_row(**NO_FILL),
            order_row(state="canceled", cancelSource="14"),
            order_row(**NO_FILL, amendResult="-1"),
        ],
    ),
    pushed("account", [account_row(USDT, BTC)], eventType="snapshot", curPage=1, lastPage=True),
    pushed("positions", [position_row()], eventType="snapshot", curPage=1, lastPage=True),
    pushed("positions", [position_row(posSide="long")], eventType="event_update"),
    answer(item()),
    answer(REFUSED_ITEM, code="1"),
    answer(item(), REFUSED_ITEM, op="batch-orders", code="2"),
    answer(code="60013", request_id="", msg="Invalid args"),
    b'{"event":"login","code":"0","msg":"","connId":"a4d3ae55"}',
    b'{"event":"error","code":"60009","msg":"Login failed.","connId":"a4d3ae55"}',
]
REST_BODIES = [
    msgspec.json.encode(body)
    for body in (
        rest([item()]), rest([REFUSED_ITEM], "1"), rest([item(), REFUSED_ITEM], "2"), rest([rest_order()]),
        rest([fill_row(), fill_row(billId="1")]), rest([account_row(USDT, BTC)]), rest([position_row()]),
        rest([TICKER]), rest([CANDLE, [*CANDLE[:8], "1"]]), rest([SWAP_ROW, SPOT_ROW]), rest([{"ts": "1767225600123"}]),
        rest([{"triggerTime": "1767225630"}]), rest([], "51603", "Order does not exist"),
        rest([rest_order()] * 100),
    )
]  # fmt: skip

# ---- how inputs go wrong -----------------------------------------------------------------------------------------

WEIRD: list[Any] = [
    None, True, False, 0, -1, 2**31, 2**63, 2**64, 10**40, 1.5, "", "x", "NaN", "sNaN1", "Infinity", "-Infinity",
    "1e999999999", "0E-999999999", "1E+999999", "-0", "-1", "1_0", " 1", "１", "9" * 100, "0." + "0" * 100 + "1",
    "é\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), "\x00", [], {}, [[]], {"channel": "trades"},
    "snapshot", "filled", "0", "2",
]  # fmt: skip
NAMES = ["arg", "data", "event", "op", "id", "code", "action", "channel", "instId"]


@st.composite
def mutated_json(draw: st.DrawFn, frames: list[bytes]) -> bytes:
    """A golden frame with one to three of its values replaced, taken out, renamed or doubled."""
    whole = msgspec.json.decode(draw(st.sampled_from([frame for frame in frames if frame != b"pong"])))
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
                    node[draw(st.sampled_from([*node, *NAMES]))] = node.pop(key)
                case 2 if isinstance(node, list):
                    node.append(copy.deepcopy(child))
                case _:
                    node[key] = copy.deepcopy(draw(st.sampled_from(WEIRD) | JSON))
            break
    return as_json(whole)


def inputs(frames: list[bytes]) -> st.SearchStrategy[bytes]:
    return mutated_json(frames) | mutated_bytes(frames) | st.binary(max_size=60) | JSON.map(as_json)


# ---- what must hold ----------------------------------------------------------------------------------------------


def check_sane(value: object) -> None:
    """No number in an event is absurd; Decimals can be written out in full, times fit 64 bits of nanoseconds."""
    if isinstance(value, Decimal):
        assert value.is_finite()
        assert abs(value) < Decimal(10) ** 41  # a product of two amounts at most
        assert not value or abs(value) >= Decimal("1E-37")
    elif isinstance(value, float):
        assert math.isfinite(value)
    elif attrs.has(cls := type(value)):
        for field in attrs.fields(cls):
            inner = getattr(value, field.name)
            check_sane(inner)
            if field.name.endswith("_ns"):
                assert 0 <= inner < 2**63
    elif isinstance(value, tuple | list):
        for inner in value:
            check_sane(inner)


def accepted(read: Callable[[], object]) -> None:
    try:
        got = read()
    except RemoteProtocolError:
        return
    check_sane(got)


@given(inputs(STREAM_FRAMES))
@settings(max_examples=200)
def test_streams(raw: bytes) -> None:
    accepted(lambda: PUBLIC.decode(raw, RECEIVED_NS, 1))


@given(inputs(PRIVATE_FRAMES))
@settings(max_examples=200)
def test_private_frames(raw: bytes) -> None:
    accepted(lambda: PRIVATE.decode_entry(raw, RECEIVED_NS))
    accepted(lambda: PRIVATE.decode_private(raw, RECEIVED_NS))


@given(st.text(max_size=80))
def test_any_text(raw: str) -> None:
    accepted(lambda: PUBLIC.decode(raw, RECEIVED_NS, 1))
    accepted(lambda: PRIVATE.decode_entry(raw, RECEIVED_NS))


@given(inputs(REST_BODIES), st.sampled_from([200, 200, 200, 201, 302, 400, 401, 404, 429, 500]))
@settings(max_examples=200)
def test_rest_answers(body: bytes, status: int) -> None:
    got = HttpReply(status, {}, body, RECEIVED_NS, RECEIVED_NS)
    open_orders = PRIVATE.open_orders_request(None, STAMP_NS)
    for read in (
        lambda: PUBLIC.decode_time(got),
        lambda: PUBLIC.decode_instruments(got),
        lambda: SPOT.decode_instruments(got),
        lambda: PUBLIC.decode_snapshot(X, got, 1),
        lambda: PUBLIC.decode_candles(X, MINUTE, got),
        lambda: PRIVATE.decode_order_status(got),
        lambda: PRIVATE.decode_open_orders(got),
        lambda: PRIVATE.decode_fills(X, got),
        lambda: PRIVATE.decode_balances(got),
        lambda: PRIVATE.decode_positions(got),
        lambda: PRIVATE.decode_cancel_all_after(got),
        lambda: PRIVATE.continuation(open_orders, got, STAMP_NS),
    ):
        accepted(read)
    order = PRIVATE.decode_rest_order("1", got)
    assert isinstance(order, Reply)
    check_sane(order)
    for error in (PUBLIC.error(got), PRIVATE.error(got)):
        assert error is None or isinstance(error, VenueError)
        if not 200 <= status < 300:
            assert error is not None


@given(mutated_json([answer(item()), answer(item(), op="cancel-order"), answer(item(), item(), op="batch-orders")]))
@settings(max_examples=200)
def test_a_spoiled_order_reply_never_looks_like_a_refusal(raw: bytes) -> None:
    """A reply that we cannot read must leave its order in doubt, or live: rejecting it would lose a live order."""
    try:
        events = PRIVATE.decode_entry(raw, RECEIVED_NS)
    except RemoteProtocolError:
        return
    for event in events:
        if isinstance(event, Reply):
            for part in (event, *event.parts):
                assert part.error is None or part.error.disposition is Disposition.UNKNOWN


@given(mutated_json([msgspec.json.encode(rest([item()]))]))
@settings(max_examples=100)
def test_nor_does_a_spoiled_rest_answer(body: bytes) -> None:
    got = PRIVATE.decode_rest_order("1", HttpReply(200, {}, body, RECEIVED_NS, RECEIVED_NS))
    for part in (got, *got.parts):
        assert part.error is None or part.error.disposition is Disposition.UNKNOWN


@pytest.mark.parametrize("name", ["0E-999999999", "0e999999999"])
def test_a_zero_with_an_absurd_exponent_is_plain_zero(name: str) -> None:
    """`format(Decimal("0E-999999999"), "f")` would write a gigabyte."""
    row = order_row(**(NO_FILL | {"accFillSz": name, "avgPx": name, "px": name}))
    (event,) = PRIVATE.decode_private(pushed("orders", [row]), RECEIVED_NS)
    for field in ("cum_qty", "cum_quote"):
        assert str(getattr(event, field)) == "0"
    assert PRIVATE.error(reply(rest([]))) is None


@pytest.mark.parametrize("name", ["0E-999999999", "0e999999999"])
def test_a_removed_level_has_a_plain_quantity(name: str) -> None:
    (event,) = PUBLIC.decode(
        public_frame("books", [book_row(bids=[["60000", name, "0", "0"]])], action="update"), RECEIVED_NS, 1
    )
    assert isinstance(event, BookDelta)
    assert str(event.bids[0][1]) == "0"
