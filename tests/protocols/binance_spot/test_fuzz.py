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
from tests.protocols.hostile import HEADERS, check_sane, harmless, inputs, mutated_json

PUBLIC, PRIVATE = BinanceSpotPublic(), codec()
X = Symbol("X")
SECOND = 1_000_000_000

FILL = {"price": "89998.0", "qty": "0.0004", "commission": "0.0000004", "commissionAsset": "BTC", "tradeId": 5551}
MY_TRADE = {
    "symbol": "BTCUSDT", "id": 5551, "orderId": 9001, "price": "90000.0", "qty": "0.0004", "quoteQty": "36.0",
    "commission": "0.0000004", "commissionAsset": "BTC", "time": 1790000000500, "isBuyer": True, "isMaker": True,
}  # fmt: skip
REPLACED = {
    "cancelResult": "SUCCESS", "newOrderResult": "SUCCESS", "cancelResponse": canceled(), "newOrderResponse": placed(),
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
    answer(REPLACED),
    failure(-2021, "Order cancel-replace partially failed.", 409, data=REPLACED | {"newOrderResult": "FAILURE"}),
    failure(-2010, "Account has insufficient balance for requested action."),
    failure(-1003, "Way too much; IP banned until 1790000060000.", 429, data={"serverTime": 1, "retryAfter": 2}),
    failure(-2015, "Invalid API-key", 401, None),
]
REST_BODIES = [
    msgspec.json.encode(body)
    for body in (
        placed(fills=[FILL]), canceled(), amended(), REPLACED, order_row(), [order_row()], [MY_TRADE], [kline_row(1)],
        {"balances": [{"asset": "BTC", "free": "1.0", "locked": "0.0"}], "updateTime": 1},
        {"lastUpdateId": 160, "bids": [["89999.99", "10"]], "asks": [["90000.01", "1"]]},
        {"symbols": [BTCUSDT], "rateLimits": RATE_LIMITS}, {"serverTime": 1790000000123},
        {"code": -2013, "msg": "Order does not exist."},
    )
]  # fmt: skip


@given(inputs(STREAM_FRAMES))
@settings(max_examples=400)
def test_streams(raw: bytes) -> None:
    assert harmless(lambda: PUBLIC.decode(raw, RECEIVED_NS, 1))


@given(inputs(API_FRAMES))
@settings(max_examples=600)
def test_api_frames(raw: bytes) -> None:
    assert harmless(lambda: PRIVATE.decode_entry(raw, RECEIVED_NS))
    assert harmless(lambda: PRIVATE.decode_private(raw, RECEIVED_NS))


@given(st.text(max_size=80))
def test_any_text(raw: str) -> None:
    assert harmless(lambda: PUBLIC.decode(raw, RECEIVED_NS, 1))
    assert harmless(lambda: PRIVATE.decode_entry(raw, RECEIVED_NS))


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
        assert harmless(read)
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
