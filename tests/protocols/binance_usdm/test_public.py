"""Streams and public REST: each shape of sections 11 and 13."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from protocols.base import Message
from protocols.enums import Side, Source
from protocols.errors import ConfigError, LocalProtocolError, RemoteProtocolError
from protocols.ids import Symbol
from protocols.market import BookDelta, BookSnapshot, BookTicker, Candle, Ticker, Trade
from protocols.venue import Channel, Disposition, Lane, Reply, UnrecognizedMessage, Usage
from protocols.venues.binance_usdm import DEMO, VENUE, BinanceUsdmPublic
from tests.protocols.binance_usdm.frames import RECEIVED_NS, SYMBOL, reply

D = Decimal
MS = 1_000_000
SECOND = 1_000_000_000
CODEC = BinanceUsdmPublic()
ETH = Symbol("ETHUSDT")

DEPTH = {
    "e": "depthUpdate", "E": 1790000000101, "T": 1790000000099, "s": "BTCUSDT", "ps": "BTCUSDT", "U": 157, "u": 160,
    "pu": 149, "b": [["89999.9", "1.200"]], "a": [["90000.1", "0"]], "st": 1,
}  # fmt: skip
AGG_TRADE = {
    "e": "aggTrade", "E": 1790000000101, "s": "BTCUSDT", "a": 777, "p": "90000.0", "q": "0.5", "nq": "0.4", "f": 100,
    "l": 105, "T": 1790000000100, "m": False, "st": 1,
}  # fmt: skip
TRADE = {
    "e": "trade", "E": 1790000000101, "T": 1790000000100, "s": "BTCUSDT", "t": 12345, "p": "90000.0", "q": "0.5",
    "X": "MARKET", "m": True,
}  # fmt: skip
BOOK_TICKER = {
    "e": "bookTicker", "u": 400900217, "s": "BTCUSDT", "ps": "BTCUSDT", "b": "89999.9", "B": "1.2", "a": "90000.0",
    "A": "0.75", "T": 1790000000100, "E": 1790000000101, "st": 1,
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
    149,
    ((D("89999.9"), D("1.2")),),
    ((D("90000.1"), D(0)),),
    1790000000101 * MS,
    RECEIVED_NS,
    4,
)
PRICE, QTY, AT = D(90000), D("0.5"), 1790000000100 * MS
BAR = (SECOND * 60, 1789999980000 * MS, D(1), D(3), D("0.5"), D(2), D(100), False)
EVENTS: list[tuple[str, dict[str, Any], Message]] = [
    ("btcusdt@depth@100ms", DEPTH, DELTA),
    ("btcusdt@depth", DEPTH, DELTA),
    ("btcusdt@aggTrade", AGG_TRADE, Trade(VENUE, SYMBOL, "777", PRICE, QTY, Side.BUY, AT, RECEIVED_NS)),
    ("btcusdt@trade", TRADE, Trade(VENUE, SYMBOL, "12345", PRICE, QTY, Side.SELL, AT, RECEIVED_NS)),
    (
        "btcusdt@bookTicker",
        BOOK_TICKER,
        BookTicker(VENUE, SYMBOL, D("89999.9"), D("1.2"), PRICE, D("0.75"), 400900217, AT + MS, RECEIVED_NS),
    ),
    ("btcusdt@kline_1m", KLINE, Candle(VENUE, SYMBOL, *BAR, received_ns=RECEIVED_NS, source=Source.STREAM)),
]


def decode(stream: str | None, data: object) -> Message | Reply:
    raw = msgspec.json.encode(data if stream is None else {"stream": stream, "data": data})
    (event,) = CODEC.decode(raw, RECEIVED_NS, 4)
    return event


@pytest.mark.parametrize("stream, data, expected", EVENTS)
def test_events(stream: str, data: dict[str, Any], expected: Message) -> None:
    assert decode(stream, data) == expected
    turned = msgspec.json.encode({"data": data, "stream": stream})
    assert CODEC.decode(turned, RECEIVED_NS, 4) == (expected,)
    assert CODEC.decode(turned.decode(), RECEIVED_NS, 4) == (expected,)
    assert decode(stream, data | {"new": {"key": [1]}}) == expected


@pytest.mark.parametrize("stream, data, expected", EVENTS)
def test_what_came_with_the_integration_of_coin_m_may_be_absent(
    stream: str, data: dict[str, Any], expected: Message
) -> None:
    assert decode(stream, {key: value for key, value in data.items() if key not in ("st", "ps")}) == expected


@pytest.mark.parametrize("stream, data", [("!bookTicker", BOOK_TICKER), ("btcusd_perp@depth@100ms", DEPTH)])
def test_rows_of_coin_m_are_dropped(stream: str, data: dict[str, Any]) -> None:
    raw = msgspec.json.encode({"stream": stream, "data": data | {"st": 2, "s": "BTCUSD_PERP"}})
    assert CODEC.decode(raw, RECEIVED_NS, 4) == ()


@pytest.mark.parametrize("stream", ["btcusdt@depth5", "btcusdt@depth20@100ms", "btcusdt@rpiDepth@500ms", None])
def test_a_partial_book_is_never_taken_for_a_diff(stream: str | None) -> None:
    """All of them say `depthUpdate`; applying one as a diff would leave stale levels in the book."""
    event = decode(stream, DEPTH)
    assert isinstance(event, UnrecognizedMessage)
    assert event.what[0].raw == (stream or "depthUpdate")


def test_an_execution_outside_the_book_is_no_trade_of_the_market() -> None:
    event = decode("btcusdt@trade", TRADE | {"X": "INSURANCE_FUND"})
    assert isinstance(event, UnrecognizedMessage)
    assert (event.what[0].field, event.what[0].raw) == ("trade.X", "INSURANCE_FUND")
    assert json.loads(event.raw)["data"]["t"] == 12345
    (bare,) = CODEC.decode(msgspec.json.encode(TRADE | {"X": "ADL"}), RECEIVED_NS, 4)
    assert isinstance(bare, UnrecognizedMessage)
    assert '"ADL"' in bare.raw


def test_a_row_that_we_do_not_know_costs_the_others_nothing() -> None:
    rows = [TRADE | {"X": "ADL"}, TRADE]
    told, trade = CODEC.decode(msgspec.json.encode({"stream": "!trade@arr", "data": rows}), RECEIVED_NS, 4)
    assert isinstance(told, UnrecognizedMessage)
    assert isinstance(trade, Trade)


@pytest.mark.parametrize(
    "stream, data",
    [
        ("btcusdt@markPrice@1s", {"e": "markPriceUpdate", "E": 1, "s": "BTCUSDT", "p": "1"}),
        ("btcusdt@forceOrder", {"e": "forceOrder", "E": 1, "o": {}}),
        ("!markPrice@arr@1s", [{"e": "markPriceUpdate", "E": 1, "s": "BTCUSDT", "p": "1"}]),
        ("!miniTicker@arr", [{"e": "24hrMiniTicker", "E": 1, "s": "BTCUSDT", "c": "1"}]),
        ("!contractInfo", {"e": "contractInfo", "E": 1}),
        ("btcusdt@moon", {"phase": "full"}),
    ],
)
def test_streams_that_we_do_not_know_are_kept_and_told(stream: str, data: object) -> None:
    event = decode(stream, data)
    assert isinstance(event, UnrecognizedMessage)
    assert event.what[0].raw == stream
    assert stream in event.raw


def test_arrays_are_read_row_by_row_without_those_of_coin_m() -> None:
    """Since June 2026 rows of COIN-M are among them (section 13)."""
    row = {"e": "24hrTicker", "E": 1790000000000, "s": "BTCUSDT", "c": "90000.0"}
    rows = [row | {"st": 1}, row | {"s": "BTCUSD_PERP", "st": 2}, row | {"s": "ETHUSDT"}]
    for whole in ({"stream": "!ticker@arr", "data": rows}, rows):
        found = CODEC.decode(msgspec.json.encode(whole), RECEIVED_NS, 1)
        assert [one.symbol for one in found if isinstance(one, Ticker)] == ["BTCUSDT", "ETHUSDT"]
    assert list(CODEC.decode(b'{"stream":"!ticker@arr","data":[]}', RECEIVED_NS, 1)) == []


def test_acknowledgements() -> None:
    assert decode(None, {"result": None, "id": 7}) == Reply("7", payload={"result": None})
    refused = decode(None, {"error": {"code": 2, "msg": "Invalid request"}, "id": 7})
    assert isinstance(refused, Reply)
    assert refused.error is not None
    assert refused.error.disposition is Disposition.BUG


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "[]",
        "{}",
        '{"stream":"btcusdt@depth","data":{"e":"depthUpdate"}}',
        '{"stream":"btcusdt@depth","data":5}x',
        json.dumps({"stream": "btcusdt@depth", "data": DEPTH | {"U": 161}}),
        json.dumps({"stream": "btcusdt@depth", "data": DEPTH | {"pu": None}}),
        json.dumps({"stream": "btcusdt@depth", "data": DEPTH | {"b": [["NaN", "1"]]}}),
        json.dumps({"stream": "btcusdt@aggTrade", "data": AGG_TRADE | {"p": "-1"}}),
    ],
)
def test_garbage_is_refused(raw: str) -> None:
    with pytest.raises(RemoteProtocolError):
        CODEC.decode(raw, RECEIVED_NS, 4)


class TestSubscriptions:
    def test_books(self) -> None:
        wanted = [(Channel.BOOK, SYMBOL), (Channel.BOOK_TICKER, ETH)]
        (frame,) = CODEC.subscribe(wanted, 7)
        assert json.loads(frame.text) == {
            "method": "SUBSCRIBE",
            "params": ["btcusdt@depth@100ms", "ethusdt@bookTicker"],
            "id": 7,
        }
        assert (frame.request_id, frame.weight, frame.lane) == ("7", 0, Lane.QUERY)
        (frame,) = CODEC.unsubscribe(wanted, 8)
        assert json.loads(frame.text)["method"] == "UNSUBSCRIBE"

    def test_trades_and_candles(self) -> None:
        (frame,) = CODEC.subscribe([(Channel.TRADES, SYMBOL), (Channel.CANDLES_1M, SYMBOL)], 1)
        assert json.loads(frame.text)["params"] == ["btcusdt@aggTrade", "btcusdt@kline_1m"]

    def test_channels_of_different_routes_do_not_go_into_one_frame(self) -> None:
        """The venue would acknowledge both and never send one of them."""
        mixed = [(Channel.BOOK, SYMBOL), (Channel.TRADES, SYMBOL)]
        with pytest.raises(LocalProtocolError, match="book, trades"):
            CODEC.subscribe(mixed, 1)
        (frame,) = BinanceUsdmPublic(DEMO).subscribe(mixed, 1)  # one route there
        assert len(json.loads(frame.text)["params"]) == 2

    def test_many_streams_are_split_over_numbered_frames(self) -> None:
        wanted = [(Channel.BOOK, Symbol(f"S{n}USDT")) for n in range(450)]
        frames = CODEC.subscribe(wanted, 5)
        assert [json.loads(frame.text)["id"] for frame in frames] == [5, 6, 7]
        assert sum(len(json.loads(frame.text)["params"]) for frame in frames) == 450


def kline_row(open_s: int) -> list[object]:
    return [open_s * 1000, "1.0", "3.0", "0.5", "2.0", "100", open_s * 1000 + 59_999, "1", 9, "1", "1", "0"]


class TestRest:
    def test_time(self) -> None:
        request = CODEC.time_request()
        assert (request.method, request.path, request.query, request.weight) == ("GET", "/fapi/v1/time", "", 1)
        assert CODEC.decode_time(reply({"serverTime": 1790000000123})) == 1790000000123 * MS

    def test_instruments(self) -> None:
        request = CODEC.instruments_request([SYMBOL])
        assert (request.path, request.query, request.weight) == ("/fapi/v1/exchangeInfo", "", 1)

    @pytest.mark.parametrize("depth, limit, weight", [(1, 5, 2), (100, 100, 5), (101, 500, 10), (9999, 1000, 20)])
    def test_snapshot_request(self, depth: int, limit: int, weight: int) -> None:
        request = CODEC.snapshot_request(SYMBOL, depth)
        assert (request.path, request.query) == ("/fapi/v1/depth", f"symbol=BTCUSDT&limit={limit}")
        assert request.weight == weight

    def test_snapshot(self) -> None:
        body = {"lastUpdateId": 160, "E": 1, "T": 1, "bids": [["89999.9", "10"]], "asks": [["90000.1", "1"]]}
        bids, asks = ((D("89999.9"), D(10)),), ((D("90000.1"), D(1)),)
        assert CODEC.decode_snapshot(SYMBOL, reply(body), 4) == BookSnapshot(
            VENUE, SYMBOL, 160, bids, asks, RECEIVED_NS, 4
        )

    def test_symbols_of_other_scripts_are_encoded(self) -> None:
        assert CODEC.snapshot_request(Symbol("币安人生USDT"), 5).query.startswith("symbol=%E5%B8%81")

    def test_candles(self) -> None:
        request = CODEC.candles_request(SYMBOL, 60 * SECOND, 500)
        assert (request.path, request.weight) == ("/fapi/v1/klines", 5)
        assert request.query == "symbol=BTCUSDT&interval=1m&limit=501"
        assert CODEC.candles_request(SYMBOL, 60 * SECOND, 5000).query.endswith("limit=1500")
        rows = [kline_row(1789999920), kline_row(1789999980)]
        (closed,) = CODEC.decode_candles(SYMBOL, 60 * SECOND, reply(rows))
        assert (closed.open_ns, closed.closed) == (1789999920 * SECOND, True)

    @pytest.mark.parametrize("interval_ns", [SECOND, 7 * SECOND])
    def test_intervals_that_the_venue_lacks(self, interval_ns: int) -> None:
        with pytest.raises(LocalProtocolError, match="interval_ns"):
            CODEC.candles_request(SYMBOL, interval_ns, 1)

    def test_usage_and_error(self) -> None:
        assert CODEC.usage(reply({}, headers={"X-MBX-USED-WEIGHT-1M": "5"})) == (Usage("weight", 60 * SECOND, 5),)
        assert CODEC.error(reply({})) is None
        error = CODEC.error(reply({"code": -1000, "msg": "x"}, 500))
        assert error is not None
        assert error.disposition is Disposition.BUSY


def test_impossible_settings_are_configuration_errors() -> None:
    with pytest.raises(ConfigError, match="book_depth"):
        BinanceUsdmPublic(book_depth=300)
    assert BinanceUsdmPublic(book_depth=500).sequencer(SYMBOL).snapshot_depth == 500
