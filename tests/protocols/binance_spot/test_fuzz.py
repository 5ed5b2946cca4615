"""One sentence: any input gives events or `RemoteProtocolError`, nothing else, and no event holds an absurd number."""

from __future__ import annotations

import copy
import json
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
from protocols.venue import Disposition, HttpReply, Reply, VenueError
from protocols.venues.binance_spot import BinanceSpotPublic
from tests.protocols.binance_spot.frames import (
    RATE_LIMITS,
    RECEIVED_NS,
    amended,
    answer,
    canceled,
    codec,
    execution_report,
    failure,
    order_row,
    placed,
    user_data,
)
from tests.protocols.binance_spot.test_instruments import BTCUSDT
from tests.protocols.binance_spot.test_public import EVENTS, kline_row

PUBLIC, PRIVATE = BinanceSpotPublic(), codec()
X = Symbol("X")
SECOND = 1_000_000_000

FILL = {"price": "89998.0", "qty": "0.0004", "commission": "0.0000004", "commissionAsset": "BTC", "tradeId": 5551}
MY_TRADE = {
    "symbol": "BTCUSDT", "id": 5551, "orderId": 9001, "price": "90000.0", "qty": "0.0004", "quoteQty": "36.0",
    "commission": "0.0000004", "commissionAsset": "BTC", "time": 1790000000500, "isBuyer": True, "isMaker": True,
}  # fmt: skip
STREAM_FRAMES = [msgspec.json.encode({"stream": name, "data": data}) for name, data, _ in EVENTS] + [
    b'{"result":null,"id":1}',
    b'{"code":2,"msg":"Invalid request","id":1}',
    b'{"e":"serverShutdown","E":1790000000000}',
]
API_FRAMES = [
    execution_report(),
    execution_report(x="TRADE_PREVENTION", A="0.0003"),
    user_data({"e": "outboundAccountPosition", "E": 1, "u": 1, "B": [{"a": "BTC", "f": "1.0", "l": "0.0"}]}),
    user_data({"e": "balanceUpdate", "E": 1790000000200, "a": "USDT", "d": "-100.0", "T": 1790000000190}),
    user_data({"e": "eventStreamTerminated", "E": 1790000004000}),
    answer(placed(fills=[FILL]), rateLimits=RATE_LIMITS),
    answer(canceled()),
    answer(amended()),
    answer([canceled(), {"orderListId": 42, "orderReports": [canceled()]}]),
    answer({"subscriptionId": 0}),
    failure(-2010, "Account has insufficient balance for requested action."),
    failure(-1003, "Way too much; IP banned until 1790000060000.", 429, data={"serverTime": 1, "retryAfter": 2}),
    failure(-2015, "Invalid API-key", 401, None),
]
REST_BODIES = [
    msgspec.json.encode(body)
    for body in (
        placed(fills=[FILL]), canceled(), amended(), order_row(), [order_row()], [MY_TRADE], [kline_row(1)],
        {"balances": [{"asset": "BTC", "free": "1.0", "locked": "0.0"}], "updateTime": 1},
        {"lastUpdateId": 160, "bids": [["89999.99", "10"]], "asks": [["90000.01", "1"]]},
        {"symbols": [BTCUSDT], "rateLimits": RATE_LIMITS}, {"serverTime": 1790000000123},
        {"code": -2013, "msg": "Order does not exist."},
    )
]  # fmt: skip

# ---- how inputs go wrong -----------------------------------------------------------------------------------------

WEIRD: list[Any] = [
    None, True, False, 0, -1, 2**31, 2**63, 2**64, 10**40, 1.5, "", "x", "NaN", "sNaN1", "Infinity", "-Infinity",
    "1e999999999", "0E-999999999", "1E+999999", "-0", "-1", "1_0", " 1", "１", "9" * 100, "0." + "0" * 100 + "1",
    "é\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), "\x00", [], {}, [[]], {"e": "trade"}, "TRADE",
]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def as_json(value: object) -> bytes:
    """Unlike msgspec, which knows no integers beyond 64 bits."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


@st.composite
def mutated_json(draw: st.DrawFn, frames: list[bytes]) -> bytes:
    """A golden frame with one to three of its values replaced, taken out, renamed or doubled."""
    whole = msgspec.json.decode(draw(st.sampled_from(frames)))
    for _ in range(draw(st.integers(1, 3))):
        node = whole
        while True:
            if not isinstance(node, dict | list) or not node:
                break
            key = draw(st.sampled_from(sorted(node))) if isinstance(node, dict) else draw(st.integers(0, len(node) - 1))
            child = node[key]
            if isinstance(child, dict | list) and child and draw(st.booleans()):
                node = child
                continue
            match draw(st.integers(0, 3)):
                case 0:
                    del node[key]
                case 1 if isinstance(node, dict):
                    node[draw(st.sampled_from([*node, "e", "id", "event", "data", "stream"]))] = node.pop(key)
                case 2 if isinstance(node, list):
                    node.append(copy.deepcopy(child))
                case _:
                    node[key] = copy.deepcopy(draw(st.sampled_from(WEIRD) | JSON))
            break
    return as_json(whole)


@st.composite
def mutated_bytes(draw: st.DrawFn, frames: list[bytes]) -> bytes:
    """A golden frame with a slice of its bytes cut, doubled or overwritten."""
    raw = draw(st.sampled_from(frames))
    start = draw(st.integers(0, len(raw)))
    end = draw(st.integers(start, min(len(raw), start + 12)))
    filling = draw(
        st.sampled_from([b"", raw[start:end] * 2, b"\xff", b"\x00", b'"', b"}", b"]", b"[" * 2000, b"9" * 400])
    )
    return raw[:start] + filling + raw[end:]


def inputs(frames: list[bytes]) -> st.SearchStrategy[bytes]:
    return mutated_json(frames) | mutated_bytes(frames) | st.binary(max_size=60) | JSON.map(as_json)


# ---- what must hold ----------------------------------------------------------------------------------------------


def check_sane(value: object) -> None:
    """No number in an event is absurd; Decimals can be written out in full, times fit 64 bits of nanoseconds."""
    if isinstance(value, Decimal):
        assert value.is_finite()
        assert abs(value) < Decimal(10) ** 22
        assert not value or abs(value) >= Decimal("1E-18")
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
@settings(max_examples=400)
def test_streams(raw: bytes) -> None:
    accepted(lambda: PUBLIC.decode(raw, RECEIVED_NS, 1))


@given(inputs(API_FRAMES))
@settings(max_examples=600)
def test_api_frames(raw: bytes) -> None:
    accepted(lambda: PRIVATE.decode_entry(raw, RECEIVED_NS))
    accepted(lambda: PRIVATE.decode_private(raw, RECEIVED_NS))


@given(st.text(max_size=80))
def test_any_text(raw: str) -> None:
    accepted(lambda: PUBLIC.decode(raw, RECEIVED_NS, 1))
    accepted(lambda: PRIVATE.decode_entry(raw, RECEIVED_NS))


HEADERS = st.dictionaries(
    st.sampled_from(["Retry-After", "X-MBX-USED-WEIGHT-1M", "x-mbx-order-count-10s", "X-MBX-USED-WEIGHT-99999S"])
    | st.text(max_size=20),
    st.text(max_size=20) | st.integers().map(str),
    max_size=4,
)


@given(inputs(REST_BODIES), st.sampled_from([200, 200, 200, 201, 302, 400, 404, 418, 429, 500]), HEADERS)
@settings(max_examples=400)
def test_rest_answers(body: bytes, status: int, headers: dict[str, str]) -> None:
    reply = HttpReply(status, headers, body, RECEIVED_NS, RECEIVED_NS)
    for read in (
        lambda: PUBLIC.decode_time(reply),
        lambda: PUBLIC.decode_instruments(reply),
        lambda: PUBLIC.decode_snapshot(X, reply, 1),
        lambda: PUBLIC.decode_candles(X, 60 * SECOND, reply),
        lambda: PRIVATE.decode_order_status(reply),
        lambda: PRIVATE.decode_open_orders(reply),
        lambda: PRIVATE.decode_fills(X, reply),
        lambda: PRIVATE.decode_balances(reply),
    ):
        accepted(read)
    order = PRIVATE.decode_rest_order("1", reply)
    assert isinstance(order, Reply)
    check_sane(order)
    for error in (PUBLIC.error(reply), PRIVATE.error(reply)):
        assert (error is None) == (200 <= status < 300)
        assert error is None or isinstance(error, VenueError)
    check_sane(PRIVATE.usage(reply))


@given(mutated_json([answer(placed()), answer(canceled()), answer(amended())]))
@settings(max_examples=400)
def test_a_spoiled_order_reply_never_looks_like_a_refusal(raw: bytes) -> None:
    """A reply that we cannot read must leave its order in doubt, or live: rejecting it would lose a live order."""
    whole = json.loads(raw)
    if not isinstance(whole, dict) or whole.get("status") != 200 or "error" in whole:
        return
    try:
        events = PRIVATE.decode_entry(raw, RECEIVED_NS)
    except RemoteProtocolError:
        return
    for event in events:
        if isinstance(event, Reply) and event.error is not None:
            assert event.error.disposition is Disposition.UNKNOWN


@pytest.mark.parametrize("name", ["0E-999999999", "0e999999999"])
def test_a_zero_with_an_absurd_exponent_is_plain_zero(name: str) -> None:
    """`format(Decimal("0E-999999999"), "f")` would write a gigabyte."""
    (event,) = PRIVATE.decode_private(execution_report(p=name, z=name, Z=name, n=name), RECEIVED_NS)
    for field in ("cum_qty", "cum_quote", "fee"):
        assert str(getattr(event, field)) == "0"
