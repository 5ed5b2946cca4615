"""Streams and public REST: each shape of sections 6, 11 and 12."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from protocols.base import Message
from protocols.enums import Side, Source
from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.ids import Symbol
from protocols.market import BookDelta, BookSnapshot, BookTicker, Candle, Ticker, Trade
from protocols.venue import Channel, Disposition, Lane, Limit, Reply, StreamTerminated, UnrecognizedMessage, Usage
from protocols.venues.binance_spot import VENUE, BinanceSpotPublic
from tests.protocols.binance_spot.frames import RECEIVED_NS, SYMBOL, reply

D = Decimal
MS = 1_000_000
SECOND = 1_000_000_000
CODEC = BinanceSpotPublic()
ETH = Symbol("ETHUSDT")

DEPTH = {
    "e": "depthUpdate", "E": 1790000000100, "s": "BTCUSDT", "U": 157, "u": 160,
    "b": [["89999.99", "10"]], "a": [["90000.01", "0"]],
}  # fmt: skip
TRADE = {
    "e": "trade", "E": 1790000000101, "s": "BTCUSDT", "t": 12345, "p": "90000.00", "q": "0.5", "T": 1790000000100,
    "m": True, "M": True,
}  # fmt: skip
AGG_TRADE = {
    "e": "aggTrade", "E": 1790000000101, "s": "BTCUSDT", "a": 777, "p": "90000.00", "q": "0.5", "f": 100, "l": 105,
    "T": 1790000000100, "m": False, "M": True,
}  # fmt: skip
BOOK_TICKER = {
    "u": 400900217, "s": "BTCUSDT", "b": "89999.99000000", "B": "1.20000000", "a": "90000.00000000", "A": "0.75000000",
}  # fmt: skip
KLINE = {
    "e": "kline", "E": 1790000000101, "s": "BTCUSDT",
    "k": {"t": 1789999980000, "T": 1790000039999, "s": "BTCUSDT", "i": "1m", "f": 1, "L": 9, "o": "1.0", "c": "2.0",
          "h": "3.0", "l": "0.5", "v": "100", "n": 9, "x": False, "q": "1", "V": "1", "Q": "1", "B": "0"},
}  # fmt: skip

DELTA = BookDelta(
    VENUE,
    SYMBOL,
    157,
    160,
    -1,
    ((D("89999.99"), D(10)),),
    ((D("90000.01"), D(0)),),
    1790000000100 * MS,
    RECEIVED_NS,
    4,
)
PRICE, QTY = D(90000), D("0.5")
EVENTS: list[tuple[str, dict[str, Any], Message]] = [
    ("btcusdt@depth@100ms", DEPTH, DELTA),
    ("btcusdt@depth", DEPTH, DELTA),
    ("btcusdt@trade", TRADE, Trade(VENUE, SYMBOL, "12345", PRICE, QTY, Side.SELL, 1790000000100 * MS, RECEIVED_NS)),
    ("btcusdt@aggTrade", AGG_TRADE, Trade(VENUE, SYMBOL, "777", PRICE, QTY, Side.BUY, 1790000000100 * MS, RECEIVED_NS)),
    (
        "btcusdt@bookTicker",
        BOOK_TICKER,
        BookTicker(VENUE, SYMBOL, D("89999.99"), D("1.2"), PRICE, D("0.75"), 400900217, 0, RECEIVED_NS),
    ),
    (
        "btcusdt@kline_1m",
        KLINE,
        Candle(
            VENUE,
            SYMBOL,
            60 * SECOND,
            1789999980000 * MS,
            D(1),
            D(3),
            D("0.5"),
            D(2),
            D(100),
            False,
            received_ns=RECEIVED_NS,
            source=Source.STREAM,
        ),
    ),
]


def test_arrays_about_many_symbols() -> None:
    """`!ticker@arr` is gone since March 2026, recordings have it; `!miniTicker@arr` says less than we read."""
    row = {"e": "24hrTicker", "E": 1790000000000, "s": "BTCUSDT", "c": "90000.0"}
    found = CODEC.decode(msgspec.json.encode({"stream": "!ticker@arr", "data": [row, row]}), RECEIVED_NS, 4)
    assert [type(one) for one in found] == [Ticker, Ticker]
    (kept,) = CODEC.decode(
        msgspec.json.encode({"stream": "!miniTicker@arr", "data": [row | {"e": "24hrMiniTicker"}]}), RECEIVED_NS, 4
    )
    assert isinstance(kept, UnrecognizedMessage)
    assert kept.what[0].raw == "!miniTicker@arr"


def decode(raw: bytes | str) -> Message | Reply:
    (event,) = CODEC.decode(raw, RECEIVED_NS, 4)
    return event


@pytest.mark.parametrize("stream, data, expected", EVENTS, ids=[row[0] for row in EVENTS])
class TestEveryEvent:
    def test_in_a_combined_stream(self, stream: str, data: dict[str, Any], expected: Message) -> None:
        raw = msgspec.json.encode({"stream": stream, "data": data})
        for _ in ("learned", "known"):
            assert decode(raw) == expected
        assert decode(raw.decode()) == expected

    def test_in_a_raw_stream(self, stream: str, data: dict[str, Any], expected: Message) -> None:
        assert decode(msgspec.json.encode(data)) == expected

    def test_however_it_is_spaced(self, stream: str, data: dict[str, Any], expected: Message) -> None:
        assert decode(json.dumps({"data": data, "stream": stream}, indent=2)) == expected

    def test_under_a_name_we_do_not_know(self, stream: str, data: dict[str, Any], expected: Message) -> None:
        assert decode(msgspec.json.encode({"stream": "btcusdt@somethingElse", "data": data})) == expected
        assert decode(msgspec.json.encode({"stream": "btcusdt@kline_1m", "data": data})) == expected

    def test_without_any_one_of_its_fields(self, stream: str, data: dict[str, Any], expected: Message) -> None:
        for key in set(data) - {"e", "M", "f", "l", "E"}:
            torn = {name: value for name, value in data.items() if name != key}
            raw = msgspec.json.encode({"stream": stream, "data": torn})
            try:
                event = decode(raw)
            except RemoteProtocolError:
                continue  # the other of the two outcomes that are allowed
            assert isinstance(event, UnrecognizedMessage)


@pytest.mark.parametrize("key", ["b", "a"])
@pytest.mark.parametrize(
    "level",
    [
        ["NaN", "1"],
        ["1", "NaN"],
        ["sNaN", "1"],
        ["Infinity", "1"],
        ["1", "-Infinity"],
        ["0", "1"],
        ["-1", "1"],
        ["1", "-1"],
        ["1e20", "1"],
        ["1", "1e400"],
        ["1E-999999999", "1"],
        ["", "1"],
        ["1"],
        ["1", "2", "3"],
        [None, "1"],
        "12",
    ],
)
def test_impossible_levels_are_refused(key: str, level: object) -> None:
    raw = msgspec.json.encode({"stream": "btcusdt@depth@100ms", "data": DEPTH | {key: [["1", "1"], level]}})
    with pytest.raises(RemoteProtocolError):
        CODEC.decode(raw, RECEIVED_NS, 4)
    book = {"lastUpdateId": 1, "bids": [], "asks": []} | {"bids" if key == "b" else "asks": [level]}
    with pytest.raises(RemoteProtocolError):
        CODEC.decode_snapshot(SYMBOL, reply(book), 4)


@pytest.mark.parametrize(
    "changes", [{"U": 161}, {"U": -1}, {"u": 2**63}, {"E": -1}, {"E": 10**18}, {"s": ""}, {"s": 5}, {"b": None}]
)
def test_impossible_deltas_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(msgspec.json.encode({"stream": "btcusdt@depth@100ms", "data": DEPTH | changes}))


def test_a_zero_quantity_of_any_spelling_removes_the_level() -> None:
    raw = msgspec.json.encode({"stream": "btcusdt@depth", "data": DEPTH | {"b": [["1", "0.00000000"], ["2", "0"]]}})
    event = decode(raw)
    assert isinstance(event, BookDelta)
    assert all(not qty for _, qty in event.bids)


def test_an_empty_side_of_the_ticker_is_zero() -> None:
    event = decode(msgspec.json.encode(BOOK_TICKER | {"b": "0.00000000", "B": "0.00000000"}))
    assert isinstance(event, BookTicker)
    assert (event.bid_px, event.bid_qty) == (D(0), D(0))


def test_names_that_are_not_ascii() -> None:
    raw = json.dumps({"stream": "１２３@depth@100ms", "data": DEPTH | {"s": "１２３"}}, ensure_ascii=False).encode()
    event = decode(raw.replace(b'{"stream": ', b'{"stream":'))
    assert isinstance(event, BookDelta)
    assert event.symbol == "１２３"


@pytest.mark.parametrize(
    "notice",
    [
        {"e": "serverShutdown", "E": 1790000000000},
        {"event": {"e": "serverShutdown", "E": 1790000000000}},
        {"stream": "btcusdt@depth", "data": {"e": "serverShutdown", "E": 1790000000000}},
    ],
    ids=["bare", "event", "combined"],
)
def test_shutdown_notice(notice: dict[str, Any]) -> None:
    raw = msgspec.json.encode(notice)
    assert isinstance(decode(raw), StreamTerminated)


@pytest.mark.parametrize(
    "stream, data",
    [
        ("btcusdt@miniTicker", {"e": "24hrMiniTicker", "s": "BTCUSDT"}),
        ("btcusdt@ticker_1h", {"e": "1hTicker", "s": "BTCUSDT"}),
        ("btcusdt@avgPrice", {"e": "avgPrice", "s": "BTCUSDT"}),
        ("btcusdt@referencePrice", {"e": "referencePrice", "s": "BTCUSDT", "r": None}),
        ("btcusdt@blockTrade", {"e": "blockTrade", "s": "BTCUSDT"}),
        ("btcusdt@depth20@100ms", {"lastUpdateId": 160, "bids": [["0.0024", "10"]], "asks": []}),
        ("btcusdt@kline_1M", KLINE | {"k": KLINE["k"] | {"i": "1M"}}),  # type: ignore[operator]
        ("btcusdt@kline_7m", KLINE | {"k": KLINE["k"] | {"i": "7m"}}),  # type: ignore[operator]
    ],
)
def test_streams_that_we_never_ask_for_are_shown_as_unrecognized(stream: str, data: dict[str, Any]) -> None:
    event = decode(msgspec.json.encode({"stream": stream, "data": data}))
    assert isinstance(event, UnrecognizedMessage)
    assert stream in event.raw


@pytest.mark.parametrize(
    "raw, request_id, code",
    [
        ({"result": None, "id": 1}, "1", None),
        ({"result": ["btcusdt@depth"], "id": "abc"}, "abc", None),
        ({"result": None, "id": None}, "", None),
        ({"code": 2, "msg": "Invalid request: unknown variant", "id": 1}, "1", "2"),
        ({"error": {"code": 3, "msg": "Invalid JSON"}, "id": 4}, "4", "3"),
    ],
)
def test_answers_to_control_frames(raw: dict[str, Any], request_id: str, code: str | None) -> None:
    event = decode(msgspec.json.encode(raw))
    assert isinstance(event, Reply)
    assert event.request_id == request_id
    if code is None:
        assert event.payload == {"result": raw["result"]}
    else:
        assert event.error is not None
        assert (event.error.code, event.error.disposition) == (code, Disposition.BUG)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"7", b"null", b"{}", b'{"stream":"', b'{"stream":"x"', b'{"stream":5,"data":{}}',
     b'{"stream":"btcusdt@depth","data":[]}', b'{"data":null}', b'{"e":5}', b"\xff\xff",
     b'{"stream":"\xff@depth","data":{}}', "\ud800", b'{"stream":"btcusdt@depth","data":' + b"[" * 100_000,
     b'{"x":' * 100_000],
)  # fmt: skip
def test_garbage_is_refused(raw: bytes | str) -> None:
    with pytest.raises(RemoteProtocolError):
        CODEC.decode(raw, RECEIVED_NS, 4)


def test_a_peer_that_invents_names_does_not_fill_the_memory() -> None:
    codec = BinanceSpotPublic()
    for number in range(10_000):
        codec.decode(msgspec.json.encode({"stream": f"x{number}@depth", "data": DEPTH}), RECEIVED_NS, 4)
    assert len(codec._by_stream) <= 4096


# ---- control frames ----------------------------------------------------------------------------------------------


def test_subscriptions() -> None:
    wanted = [(Channel.BOOK, SYMBOL), (Channel.BOOK_TICKER, SYMBOL), (Channel.TRADES, ETH), (Channel.CANDLES_1M, ETH)]
    (frame,) = CODEC.subscribe(wanted, 7)
    assert json.loads(frame.text) == {
        "method": "SUBSCRIBE",
        "params": ["btcusdt@depth@100ms", "btcusdt@bookTicker", "ethusdt@trade", "ethusdt@kline_1m"],
        "id": 7,
    }
    assert frame.request_id == "7"
    (frame,) = CODEC.unsubscribe(wanted[:1], 8)
    assert json.loads(frame.text) == {"method": "UNSUBSCRIBE", "params": ["btcusdt@depth@100ms"], "id": 8}


def test_every_channel_has_a_stream() -> None:
    channels = CODEC.capabilities.channels
    (frame,) = CODEC.subscribe([(channel, SYMBOL) for channel in channels], 1)
    assert len(set(json.loads(frame.text)["params"])) == len(channels)
    assert set(Channel) - channels == {Channel.CANDLES_10M}


def test_many_subscriptions_are_split_into_numbered_frames() -> None:
    wanted = [(Channel.TRADES, Symbol(f"S{number}")) for number in range(450)]
    frames = CODEC.subscribe(wanted, 10)
    bodies = [json.loads(frame.text) for frame in frames]
    assert [body["id"] for body in bodies] == [10, 11, 12]
    assert [frame.request_id for frame in frames] == ["10", "11", "12"]
    assert [name for body in bodies for name in body["params"]] == [f"s{number}@trade" for number in range(450)]
    assert CODEC.subscribe([], 1) == []


# ---- REST --------------------------------------------------------------------------------------------------------


def test_requests() -> None:
    time, info = CODEC.time_request(), CODEC.instruments_request([SYMBOL, Symbol("１２")])
    assert (time.method, time.path, time.query, time.weight) == ("GET", "/api/v3/time", "", 1)
    assert info.path == "/api/v3/exchangeInfo"
    assert info.query == "symbols=%5B%22BTCUSDT%22%2C%22%EF%BC%91%EF%BC%92%22%5D&showPermissionSets=false"
    assert CODEC.instruments_request([]).query == "showPermissionSets=false"
    depth = CODEC.snapshot_request(SYMBOL, 1000)
    assert (depth.path, depth.query, depth.weight) == ("/api/v3/depth", "symbol=BTCUSDT&limit=1000", 50)
    assert CODEC.snapshot_request(SYMBOL, 10**6).query == "symbol=BTCUSDT&limit=5000"
    klines = CODEC.candles_request(SYMBOL, 60 * SECOND, 100)
    assert (klines.path, klines.query) == ("/api/v3/klines", "symbol=BTCUSDT&interval=1m&limit=101")
    assert {request.lane for request in (time, info, depth, klines)} == {Lane.QUERY}
    assert all(not request.headers and not request.body for request in (time, info, depth, klines))


def test_an_interval_that_the_venue_lacks_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="interval_ns"):
        CODEC.candles_request(SYMBOL, 7 * SECOND, 10)


def test_server_time() -> None:
    assert CODEC.decode_time(reply({"serverTime": 1790000000123})) == 1790000000123 * MS
    assert CODEC.decode_time(reply({"serverTime": 1790000000123456})) == 1790000000123456 * 1000


def test_snapshot() -> None:
    body = {"lastUpdateId": 160, "bids": [["89999.99", "10"]], "asks": [["90000.01", "1"]]}
    assert CODEC.decode_snapshot(SYMBOL, reply(body), 4) == BookSnapshot(
        VENUE, SYMBOL, 160, ((D("89999.99"), D(10)),), ((D("90000.01"), D(1)),), RECEIVED_NS, 4
    )


def kline_row(open_ms: int) -> list[object]:
    return [open_ms, "1.0", "3.0", "0.5", "2.0", "100", open_ms + 59_999, "1", 9, "1", "1", "0"]


@pytest.mark.parametrize("length, more", [(7, []), (12, []), (12, ["new", None, {"x": 1}])])
def test_what_follows_the_end_of_a_bar_is_not_read(length: int, more: list[object]) -> None:
    row = kline_row(1_780_000_000_000)[:length] + more
    (candle,) = CODEC.decode_candles(SYMBOL, 60 * SECOND, reply([row]))
    assert (candle.open, candle.close, candle.volume) == (D("1.0"), D("2.0"), D(100))


def test_rows_of_a_book_in_the_shape_of_old() -> None:
    """A third, empty element: captures of the first years have it."""
    sides = {"b": [["89999.99", "10", []]], "a": [["90000.01", "0", []]]}
    event = {"e": "depthUpdate", "E": 1790000000100, "s": "BTCUSDT", "U": 157, "u": 160, **sides}
    for whole in (event, {"stream": "btcusdt@depth@100ms", "data": event}):
        (delta,) = CODEC.decode(msgspec.json.encode(whole), RECEIVED_NS, 1)
        assert isinstance(delta, BookDelta)
        assert (delta.bids, delta.asks) == (((D("89999.99"), D(10)),), ((D("90000.01"), D(0)),))
    body = {"lastUpdateId": 160, "bids": sides["b"], "asks": sides["a"]}
    assert CODEC.decode_snapshot(SYMBOL, reply(body), 1).bids == ((D("89999.99"), D(10)),)


def test_only_bars_that_had_ended_are_candles() -> None:
    minute_ms = 60_000
    now_ms = RECEIVED_NS // MS
    open_now = now_ms - now_ms % minute_ms
    rows = [kline_row(open_now - 2 * minute_ms), kline_row(open_now - minute_ms), kline_row(open_now)]
    candles = CODEC.decode_candles(SYMBOL, 60 * SECOND, reply(rows))
    assert [candle.open_ns for candle in candles] == [(open_now - 2 * minute_ms) * MS, (open_now - minute_ms) * MS]
    assert candles[0] == Candle(
        VENUE,
        SYMBOL,
        60 * SECOND,
        (open_now - 2 * minute_ms) * MS,
        D(1),
        D(3),
        D("0.5"),
        D(2),
        D(100),
        True,
        received_ns=RECEIVED_NS,
        source=Source.REST,
    )


def test_usage_and_errors() -> None:
    busy = reply(b'{"code":-1008,"msg":"overloaded"}', 503, {"X-MBX-USED-WEIGHT-1M": "9"})
    assert CODEC.usage(busy) == (Usage("weight", 60 * SECOND, 9),)
    error = CODEC.error(busy)
    assert error is not None
    assert error.disposition is Disposition.BUSY
    assert CODEC.error(reply({})) is None


@pytest.mark.parametrize("status", [200, 418, 500])
@pytest.mark.parametrize("body", [b"", b"{", b"7", b"[7]", b'{"code":-1,"msg":"x"}', b"[[1,2]]", b'{"symbols":[{}]}'])
def test_answers_that_cannot_be_read_are_refused(status: int, body: bytes) -> None:
    bad = reply(body, status)
    with pytest.raises(RemoteProtocolError):
        CODEC.decode_time(bad)
    with pytest.raises(RemoteProtocolError):
        CODEC.decode_snapshot(SYMBOL, bad, 4)
    with pytest.raises(RemoteProtocolError):
        CODEC.decode_candles(SYMBOL, 60 * SECOND, bad)
    with pytest.raises(RemoteProtocolError):
        CODEC.decode_instruments(bad)


def test_paths_and_limits_of_the_streams() -> None:
    assert CODEC.stream_path() == "/stream"
    assert CODEC.rules.messages_per_s_max == 5
    assert CODEC.rules.subscriptions_max == 1024
    assert CODEC.sequencer(SYMBOL).snapshot_depth == 1000
    assert BinanceSpotPublic(book_depth=5000).sequencer(SYMBOL).snapshot_depth == 5000


def test_limits_come_with_the_instruments() -> None:
    body = {
        "symbols": [],
        "rateLimits": [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}],
    }
    instruments, limits = CODEC.decode_instruments(reply(body))
    assert instruments == ()
    assert limits == (Limit("weight", 60 * SECOND, 6000), Limit("connections", 300 * SECOND, 300))
