"""One sentence: any input gives events or `RemoteProtocolError`, nothing else, and no event holds an absurd number."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import RemoteProtocolError
from protocols.ids import Symbol
from protocols.venue import Disposition, HttpReply, Reply, VenueError
from protocols.venues.binance_usdm import BinanceUsdmPublic
from tests.protocols.binance_usdm.frames import (
    BALANCE_ROW,
    LISTEN_KEY,
    RATE_LIMITS,
    RECEIVED_NS,
    account_event,
    algo_event,
    algo_row,
    answer,
    codec,
    failure,
    order_event,
    order_row,
    placed,
    position_row,
    trade_row,
)
from tests.protocols.binance_usdm.test_instruments import BTCUSDT
from tests.protocols.binance_usdm.test_public import EVENTS, kline_row
from tests.protocols.hostile import HEADERS, check_sane, harmless, inputs, mutated_json

PUBLIC, PRIVATE = BinanceUsdmPublic(), codec()
X = Symbol("X")
SECOND = 1_000_000_000

STREAM_FRAMES = [msgspec.json.encode({"stream": name, "data": data}) for name, data, _ in EVENTS] + [
    b'{"result":null,"id":1}',
    b'{"error":{"code":2,"msg":"Invalid request"},"id":1}',
]
USER_FRAMES = [
    order_event(),
    order_event(c="autoclose-1", x="CALCULATED", X="NEW"),
    algo_event(),
    algo_event(X="FINISHED", ai="88937381063", aq="0.010"),
    account_event(),
    msgspec.json.encode({"e": "listenKeyExpired", "E": 1, "listenKey": LISTEN_KEY}),
    msgspec.json.encode({"stream": LISTEN_KEY, "data": msgspec.Raw(order_event())}),
    b'{"result":null,"id":1}',
]
API_FRAMES = [
    answer(placed(), rateLimits=RATE_LIMITS),
    answer(placed(modifyId=7)),
    answer(algo_row()),
    answer({"algoId": 1, "clientAlgoId": "b", "code": "200", "msg": "success"}),
    answer([BALANCE_ROW]),
    failure(-2019, "Margin is insufficient."),
    failure(-1003, "Way too many; IP banned until 1790000060000.", 429, data={"serverTime": 1, "retryAfter": 2}),
    failure(-2015, "Invalid API-key", 401, None),
]
REST_BODIES = [
    msgspec.json.encode(body)
    for body in (
        placed(), order_row(), [order_row(), algo_row()], algo_row(actualOrderId="7", actualQty="1"), [trade_row()],
        [kline_row(1)], [BALANCE_ROW], [position_row()], {"dualSidePosition": True}, {"listenKey": LISTEN_KEY},
        {"lastUpdateId": 160, "bids": [["89999.9", "10"]], "asks": [["90000.1", "1"]]},
        {"symbols": [BTCUSDT], "rateLimits": RATE_LIMITS}, {"serverTime": 1790000000123},
        {"code": -2013, "msg": "Order does not exist."}, {"code": 200, "msg": "success"},
        [placed(), {"code": -2022, "msg": "ReduceOnly Order is rejected."}],
        {"symbol": "BTCUSDT", "countdownTime": "1000"},
    )
]  # fmt: skip


@given(inputs(STREAM_FRAMES))
@settings(max_examples=200)
def test_streams(raw: bytes) -> None:
    assert harmless(lambda: PUBLIC.decode(raw, RECEIVED_NS, 1))


@given(inputs(USER_FRAMES))
@settings(max_examples=200)
def test_user_events(raw: bytes) -> None:
    assert harmless(lambda: codec().decode_private(raw, RECEIVED_NS))


@given(inputs(API_FRAMES))
@settings(max_examples=200)
def test_api_frames(raw: bytes) -> None:
    assert harmless(lambda: PRIVATE.decode_entry(raw, RECEIVED_NS))


@given(st.text(max_size=80))
def test_any_text(raw: str) -> None:
    assert harmless(lambda: PUBLIC.decode(raw, RECEIVED_NS, 1))
    assert harmless(lambda: PRIVATE.decode_entry(raw, RECEIVED_NS))
    assert harmless(lambda: PRIVATE.decode_private(raw, RECEIVED_NS))


@given(inputs(REST_BODIES), st.sampled_from([200, 200, 200, 201, 302, 400, 404, 418, 429, 500, 503]), HEADERS)
@settings(max_examples=200)
def test_rest_answers(body: bytes, status: int, headers: dict[str, str]) -> None:
    reply = HttpReply(status, headers, body, RECEIVED_NS, RECEIVED_NS)
    private = codec()
    for read in (
        lambda: PUBLIC.decode_time(reply),
        lambda: PUBLIC.decode_instruments(reply),
        lambda: PUBLIC.decode_snapshot(X, reply, 1),
        lambda: PUBLIC.decode_candles(X, 60 * SECOND, reply),
        lambda: private.decode_order_status(reply),
        lambda: private.decode_open_orders(reply),
        lambda: private.decode_fills(X, reply),
        lambda: private.decode_balances(reply),
        lambda: private.decode_positions(reply),
        lambda: private.decode_position_mode(reply),
        lambda: private.decode_listen_key(reply),
    ):
        assert harmless(read)
    order = private.decode_rest_order("1", reply)
    assert isinstance(order, Reply)
    check_sane(order)
    for error in (PUBLIC.error(reply), private.error(reply)):
        assert (error is None) == (200 <= status < 300)
        assert error is None or isinstance(error, VenueError)
    check_sane(private.usage(reply))


@given(mutated_json([answer(placed()), answer(placed(modifyId=7)), answer(algo_row())]))
@settings(max_examples=200)
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


@given(mutated_json([frame for frame in USER_FRAMES if LISTEN_KEY.encode() in frame]))
@settings(max_examples=200)
def test_no_event_and_no_refusal_repeats_the_listen_key(raw: bytes) -> None:
    whole = json.loads(raw)
    if not isinstance(whole, dict) or LISTEN_KEY not in (whole.get("stream"), whole.get("listenKey")):
        return  # spoiled until it was no key any more
    try:
        told = str(PRIVATE.decode_private(raw, RECEIVED_NS))
    except RemoteProtocolError as error:
        told = str(error)
    assert LISTEN_KEY not in told


@pytest.mark.parametrize("name", ["0E-999999999", "0e999999999"])
def test_a_zero_with_an_absurd_exponent_is_plain_zero(name: str) -> None:
    """`format(Decimal("0E-999999999"), "f")` would write a gigabyte."""
    (event,) = PRIVATE.decode_private(order_event(p=name, z=name, n=name), RECEIVED_NS)
    for field in ("cum_qty", "fee"):
        assert str(getattr(event, field)) == "0"
