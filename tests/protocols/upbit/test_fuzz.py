"""One sentence: any input gives events or `RemoteProtocolError`, nothing else, and no event holds an absurd number."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import RemoteProtocolError
from protocols.ids import Symbol
from protocols.venue import Disposition, HttpReply, Reply, VenueError
from protocols.venues.upbit import UpbitPublic
from tests.protocols.hostile import JSON, as_json, check_sane, mutated_bytes
from tests.protocols.upbit.frames import (
    CHANCE,
    CL_ORD_ID,
    PRIVATE_FRAMES,
    RECEIVED_NS,
    STREAM_FRAMES,
    SYMBOL,
    UUID,
    codec,
    order_row,
    trade_row,
)
from tests.protocols.upbit.test_private import BULK
from tests.protocols.upbit.test_public import candle_row, rest_book

PUBLIC, PRIVATE = UpbitPublic(), codec()
SECOND = 1_000_000_000
((INSTRUMENT,), _) = PUBLIC.decode_instruments(HttpReply(200, {}, b'[{"market":"KRW-BTC"}]', 1, 1))

REST_BODIES = [
    msgspec.json.encode(body)
    for body in (
        order_row(), order_row(state="done", executed_volume="0.0001", trades=[trade_row(), trade_row(uuid="t2")]),
        [order_row()], order_row(new_order_uuid="u", new_order_identifier="i"), BULK, CHANCE, rest_book(),
        [candle_row(1), candle_row(3)], [{"market": "KRW-BTC", "tick_size": "1000"}],
        [{"currency": "KRW", "balance": "1.0", "locked": "0"}], {"error": {"name": "order_not_found", "message": "x"}},
        {"error": {"name": 404, "message": "x"}},
    )
]  # fmt: skip

# ---- how inputs go wrong -----------------------------------------------------------------------------------------

WEIRD: list[Any] = [
    None, True, False, 0, -1, 2**31, 2**63, 2**64, 10**40, 1.5, 1e-30, 1e300, "", "x", "NaN", "sNaN1", "Infinity",
    "-Infinity", "1e999999999", "0E-999999999", "1E+999999", "-0", "-1", "1_0", " 1", "１", "9" * 100,
    "0." + "0" * 100 + "1", "\x00", [], {}, [[]], {"type": "trade"}, "trade", "2026-13-01T00:00:00+09:00",
    "9999-12-31T23:59:59.999999-12:00", "0001-01-01T00:00:00+14:00",
]  # fmt: skip


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
                    node[draw(st.sampled_from([*node, "type", "ty", "error", "method", "status"]))] = node.pop(key)
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
    accepted(lambda: PUBLIC.decode(raw, RECEIVED_NS, 1))


@given(inputs(PRIVATE_FRAMES))
@settings(max_examples=200)
def test_private_streams(raw: bytes) -> None:
    accepted(lambda: PRIVATE.decode_private(raw, RECEIVED_NS))
    accepted(lambda: PRIVATE.decode_entry(raw, RECEIVED_NS))


@given(st.text(max_size=80))
@settings(max_examples=100)
def test_any_text(raw: str) -> None:
    accepted(lambda: PUBLIC.decode(raw, RECEIVED_NS, 1))
    accepted(lambda: PRIVATE.decode_private(raw, RECEIVED_NS))


HEADERS = st.dictionaries(
    st.sampled_from(["Retry-After", "Remaining-Req", "remaining-req", "Date"]) | st.text(max_size=20),
    st.text(max_size=30)
    | st.integers().map(str)
    | st.sampled_from(["group=order; min=1; sec=-5", "Thu, 31 Feb 2026 00:00:00 GMT", "Thu, 01 Jan 0001 00:00:00 GMT"]),
    max_size=4,
)


@given(inputs(REST_BODIES), st.sampled_from([200, 200, 200, 201, 302, 400, 404, 418, 429, 500]), HEADERS)
@settings(max_examples=200)
def test_rest_answers(body: bytes, status: int, headers: dict[str, str]) -> None:
    reply = HttpReply(status, headers, body, RECEIVED_NS, RECEIVED_NS)
    for read in (
        lambda: PUBLIC.decode_time(reply),
        lambda: PUBLIC.decode_instruments(reply),
        lambda: PUBLIC.decode_snapshot(SYMBOL, reply, 1),
        lambda: PUBLIC.decode_candles(SYMBOL, 60 * SECOND, reply),
        lambda: PUBLIC.decode_tickers(reply),
        lambda: PRIVATE.decode_order_status(reply),
        lambda: PRIVATE.decode_open_orders(reply),
        lambda: PRIVATE.decode_fills(SYMBOL, reply),
        lambda: PRIVATE.decode_balances(reply),
        lambda: PRIVATE.decode_chance(INSTRUMENT, reply),
        lambda: PRIVATE.continuation(PRIVATE.open_orders_request(Symbol("KRW-BTC"), 1), reply, 2),
        lambda: PRIVATE.continuation(PRIVATE.rest_cancel_all(SYMBOL, 1), reply, 2),
    ):
        accepted(read)
    order = PRIVATE.decode_rest_order("1", reply)
    cancels = PRIVATE.decode_rest_cancels("1", reply, [(CL_ORD_ID, UUID, SYMBOL)])
    assert isinstance(order, Reply)
    check_sane(order)
    check_sane(cancels)
    for error in (PUBLIC.error(reply), PRIVATE.error(reply)):
        assert (error is None) == (200 <= status < 300)
        assert error is None or isinstance(error, VenueError)
    check_sane(PRIVATE.usage(reply))


@given(mutated_json([msgspec.json.encode(order_row()), msgspec.json.encode(BULK)]), st.sampled_from([200, 201]))
@settings(max_examples=200)
def test_a_spoiled_order_reply_never_looks_like_a_refusal(raw: bytes, status: int) -> None:
    """A reply that we cannot read must leave its order in doubt, or live: rejecting it would lose a live order."""
    answer = PRIVATE.decode_rest_order("1", HttpReply(status, {}, raw, RECEIVED_NS, RECEIVED_NS))
    assert answer.error is None or answer.error.disposition is Disposition.UNKNOWN
