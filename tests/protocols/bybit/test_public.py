"""Streams and public REST: each shape of sections 3, 5 and 8."""

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
from protocols.instruments import Product
from protocols.market import BookDelta, BookSnapshot, BookTicker, Candle, Trade
from protocols.venue import Channel, Disposition, HttpRequest, Lane, Reply, UnrecognizedMessage
from protocols.venues.bybit import VENUES, BybitPublic
from protocols.venues.bybit.book import BybitSequencer
from tests.protocols.bybit.frames import LINEAR, RECEIVED_NS, SPOT, STAMP_NS, SYMBOL, envelope, listed, public, reply

D = Decimal
MS = 1_000_000
MINUTE_NS = 60_000_000_000
CODEC = public(LINEAR)
VENUE = VENUES[LINEAR]

DELTA: dict[str, Any] = {
    "topic": "orderbook.200.BTCUSDT", "type": "delta", "ts": 1767225600130,
    "data": {"s": "BTCUSDT", "b": [["60000.10", "0"]], "a": [["60001.00", "1.5"]], "u": 18521289, "seq": 7961638725},
    "cts": 1767225600128,
}  # fmt: skip
TRADES: dict[str, Any] = {
    "topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": 1767225600132,
    "data": [
        {"T": 1767225600130, "s": "BTCUSDT", "S": "Buy", "v": "0.001", "p": "60000.10", "L": "PlusTick",
         "i": "20f43950-d8dd-5b31-9112-a178eb6023af", "BT": False, "RPI": False, "seq": 1783284617},
        {"T": 1767225600131, "s": "BTCUSDT", "S": "Sell", "v": "2", "p": "60000", "L": "MinusTick", "i": "2290000001",
         "BT": False, "RPI": True, "seq": 1783284618},
    ],
}  # fmt: skip
KLINE: dict[str, Any] = {
    "topic": "kline.1.BTCUSDT", "type": "snapshot", "ts": 1767225600132,
    "data": [{"start": 1767225600000, "end": 1767225659999, "interval": "1", "open": "60000", "close": "60002",
              "high": "60003", "low": "59999", "volume": "1.5", "turnover": "90000", "confirm": True,
              "timestamp": 1767225660001}],
}  # fmt: skip

EVENTS: list[tuple[str, dict[str, Any], tuple[Message, ...]]] = [
    (
        "delta",
        DELTA,
        (
            BookDelta(
                VENUE, SYMBOL, 18521289, 18521289, -1, ((D("60000.1"), D(0)),), ((D(60001), D("1.5")),),
                1767225600128 * MS, RECEIVED_NS, 4,
            ),
        ),
    ),
    (
        "snapshot",
        DELTA | {"type": "snapshot", "data": DELTA["data"] | {"b": [["60000.10", "2"]]}},
        (
            BookSnapshot(
                VENUE, SYMBOL, 18521289, ((D("60000.1"), D(2)),), ((D(60001), D("1.5")),), RECEIVED_NS, 4,
                1767225600128 * MS,
            ),
        ),
    ),
    (
        "level 1",
        DELTA | {"topic": "orderbook.1.BTCUSDT", "type": "snapshot", "data": DELTA["data"] | {"b": [["60000.1", "2"]]}},
        (
            BookTicker(
                VENUE, SYMBOL, D("60000.1"), D(2), D(60001), D("1.5"), 0, 1767225600128 * MS, RECEIVED_NS
            ),
        ),
    ),
    (
        "trades",
        TRADES,
        (
            Trade(
                VENUE, SYMBOL, "20f43950-d8dd-5b31-9112-a178eb6023af", D("60000.1"), D("0.001"), Side.BUY,
                1767225600130 * MS, RECEIVED_NS,
            ),
            Trade(VENUE, SYMBOL, "2290000001", D(60000), D(2), Side.SELL, 1767225600131 * MS, RECEIVED_NS),
        ),
    ),
    (
        "candle",
        KLINE,
        (Candle(VENUE, SYMBOL, MINUTE_NS, 1767225600000 * MS, D(60000), D(60003), D(59999), D(60002), D("1.5"), True,
                received_ns=RECEIVED_NS, source=Source.STREAM),),
    ),
]  # fmt: skip


def decode(frame: object, codec: BybitPublic = CODEC) -> list[Message | Reply]:
    raw = frame if isinstance(frame, bytes | str) else msgspec.json.encode(frame)
    return list(codec.decode(raw, RECEIVED_NS, 4))


@pytest.mark.parametrize("name, frame, expected", EVENTS, ids=[row[0] for row in EVENTS])
class TestEveryEvent:
    def test_as_it_comes(self, name: str, frame: dict[str, Any], expected: tuple[Message, ...]) -> None:
        for _ in ("learned", "known"):
            assert tuple(decode(frame)) == expected
        assert tuple(decode(msgspec.json.encode(frame).decode())) == expected

    def test_in_any_order_of_keys(self, name: str, frame: dict[str, Any], expected: tuple[Message, ...]) -> None:
        assert tuple(decode(dict(sorted(frame.items(), reverse=True)))) == expected
        assert tuple(decode(json.dumps(dict(reversed(frame.items())), indent=1))) == expected

    def test_with_fields_of_next_year(self, name: str, frame: dict[str, Any], expected: tuple[Message, ...]) -> None:
        data = frame["data"]
        more = [row | {"zz": {"a": [1]}} for row in data] if isinstance(data, list) else data | {"zz": None}
        assert tuple(decode(frame | {"data": more, "zz": 1.5})) == expected


class TestBooks:
    def test_a_restart_is_a_whole_book_whatever_it_is_called(self) -> None:
        (event,) = decode(DELTA | {"data": DELTA["data"] | {"u": 1}})
        assert isinstance(event, BookSnapshot)
        assert (event.last_id, event.bids, event.asks) == (1, (), ((D(60001), D("1.5")),))

    def test_without_engine_time_the_sending_time_counts(self) -> None:
        (event,) = decode({key: value for key, value in DELTA.items() if key != "cts"})
        assert isinstance(event, BookDelta)
        assert event.event_ns == 1767225600130 * MS

    def test_an_empty_side_of_level_1(self) -> None:
        frame = DELTA | {"topic": "orderbook.1.BTCUSDT", "type": "snapshot", "data": DELTA["data"] | {"b": []}}
        (event,) = decode(frame)
        assert isinstance(event, BookTicker)
        assert (event.bid_px, event.bid_qty, event.ask_px) == (D(0), D(0), D(60001))

    def test_the_same_topic_of_the_two_products_is_two_venues(self) -> None:
        for product in (SPOT, LINEAR):
            (event,) = decode(DELTA, public(product))
            assert isinstance(event, BookDelta)
            assert event.venue == VENUES[product]

    @pytest.mark.parametrize(
        "changes",
        [{"b": [["NaN", "1"]]}, {"b": [["1", "Infinity"]]}, {"a": [["-1", "1"]]}, {"a": [["1", "1e99"]]}, {"u": -1},
         {"u": "7"}, {"s": "ETHUSDT"}, {"b": [["1"]]}, {"b": None}],
    )  # fmt: skip
    def test_impossible_books_are_refused(self, changes: dict[str, Any]) -> None:
        with pytest.raises(RemoteProtocolError):
            decode(DELTA | {"data": DELTA["data"] | changes})

    def test_a_topic_without_symbol_is_refused(self) -> None:
        with pytest.raises(RemoteProtocolError, match="symbol"):
            decode(DELTA | {"topic": "orderbook.200"})


@pytest.mark.parametrize(
    "frame, field, word",
    [
        ({"topic": "insurance.USDT", "type": "delta", "data": {"symbol": "BTCUSDT"}}, "topic", "insurance.USDT"),
        ({"topic": "moon.BTCUSDT", "data": []}, "topic", "moon.BTCUSDT"),
        (DELTA | {"topic": "orderbook.full.BTCUSDT"}, "topic", "orderbook.full.BTCUSDT"),
        ({"topic": "orderbook.rpi.BTCUSDT", "data": {"b": [["1", "2", "3"]]}}, "topic", "orderbook.rpi.BTCUSDT"),
        (DELTA | {"type": "patch"}, "type", "patch"),
        (DELTA | {"topic": "orderbook.1.BTCUSDT"}, "type", "a delta of level 1"),
        (TRADES | {"data": [TRADES["data"][0] | {"S": "Both"}]}, "S", "Both"),
        (KLINE | {"data": [KLINE["data"][0] | {"interval": "M"}]}, "interval", "M"),
    ],
)
def test_words_that_we_do_not_know_are_kept(frame: dict[str, Any], field: str, word: str) -> None:
    (event,) = decode(frame)
    assert isinstance(event, UnrecognizedMessage)
    assert [(what.field, what.raw) for what in event.what] == [(field, word)]
    assert (event.venue, json.loads(event.raw)) == (VENUE, frame)


def test_an_unknown_word_costs_its_neighbours_nothing() -> None:
    first, second = TRADES["data"]
    kinds = [type(event) for event in decode(TRADES | {"data": [first, first | {"S": "?"}, second]})]
    assert kinds == [Trade, UnrecognizedMessage, Trade]


def test_more_topics_than_are_remembered_are_still_read() -> None:
    codec, bare = public(), {key: value for key, value in KLINE.items() if key != "topic"}
    for number in range(4100):
        (event,) = decode({"topic": f"kline.1.S{number}", **bare}, codec)
        assert isinstance(event, Candle)
        assert event.symbol == f"S{number}"


class TestControlFrames:
    """Every shape of section 8's table."""

    @pytest.mark.parametrize(
        "frame, request_id",
        [
            ({"success": True, "ret_msg": "subscribe", "conn_id": "x", "req_id": "s1", "op": "subscribe"}, "s1"),
            ({"success": True, "ret_msg": "", "conn_id": "x", "req_id": "s1", "op": "subscribe"}, "s1"),
            ({"success": True, "ret_msg": "", "conn_id": "x", "op": "unsubscribe"}, ""),
        ],
    )
    def test_subscriptions(self, frame: dict[str, Any], request_id: str) -> None:
        (answered,) = decode(frame)
        assert answered == Reply(request_id, payload={"op": frame["op"]})

    @pytest.mark.parametrize(
        "frame, request_id",
        [
            ({"success": True, "ret_msg": "pong", "conn_id": "x", "op": "ping"}, ""),
            ({"success": True, "ret_msg": "pong", "conn_id": "x", "req_id": "p1", "op": "ping"}, "p1"),
            ({"args": ["1767225600130"], "op": "pong"}, ""),
            ({"req_id": "p1", "op": "pong", "args": ["1767225600130"], "conn_id": "x"}, "p1"),
        ],
    )
    def test_pongs(self, frame: dict[str, Any], request_id: str) -> None:
        assert decode(frame) == [Reply(request_id, payload={"pong": True})]

    def test_a_refused_subscription(self) -> None:
        text = "error:handler not found,topic:orderbook.200.NOPE"
        (answered,) = decode({"success": False, "ret_msg": text, "conn_id": "x", "req_id": "s1", "op": "subscribe"})
        assert isinstance(answered, Reply)
        assert answered.error is not None
        assert (answered.error.disposition, answered.error.text) == (Disposition.BUG, text)

    @pytest.mark.parametrize("raw", ["", "{", "[]", "7", "null", '"x"', "{}", '{"op":5}', '{"op":"x"}', '{"topic":5}'])
    def test_what_is_neither_event_nor_reply_is_refused(self, raw: str) -> None:
        with pytest.raises(RemoteProtocolError):
            decode(raw)


TOPICS = {
    Channel.BOOK: "orderbook.50.BTCUSDT",
    Channel.BOOK_TICKER: "orderbook.1.BTCUSDT",
    Channel.TRADES: "publicTrade.BTCUSDT",
    Channel.TICKER: "tickers.BTCUSDT",
    Channel.CANDLES_1M: "kline.1.BTCUSDT",
    Channel.CANDLES_4H: "kline.240.BTCUSDT",
    Channel.CANDLES_1D: "kline.D.BTCUSDT",
}


class TestSubscribing:
    def test_topics_of_each_channel(self) -> None:
        wanted = [(channel, SYMBOL) for channel in TOPICS]
        (frame,) = public(book_depth=50).subscribe(wanted, 7)
        assert json.loads(frame.text) == {
            "req_id": "7",
            "op": "subscribe",
            "args": list(TOPICS.values()),
        }
        assert (frame.request_id, frame.lane) == ("7", Lane.QUERY)

    @pytest.mark.parametrize("product", [SPOT, LINEAR])
    def test_ten_topics_a_request(self, product: Product) -> None:
        wanted = [(Channel.TRADES, Symbol(f"S{number}USDT")) for number in range(25)]
        frames = public(product).unsubscribe(wanted, 100)
        assert [frame.request_id for frame in frames] == ["100", "101", "102"]
        bodies = [json.loads(frame.text) for frame in frames]
        assert [len(body["args"]) for body in bodies] == [10, 10, 5]
        assert {body["op"] for body in bodies} == {"unsubscribe"}
        assert [topic for body in bodies for topic in body["args"]] == [f"publicTrade.S{n}USDT" for n in range(25)]

    def test_nothing_wanted_nothing_sent(self) -> None:
        assert list(CODEC.subscribe([], 1)) == []

    def test_keep_alive(self) -> None:
        assert json.loads(CODEC.keep_alive("p1").text) == {"req_id": "p1", "op": "ping", "reqId": "p1"}

    def test_paths_and_sequencer(self) -> None:
        assert public(SPOT).stream_path() == "/v5/public/spot"
        assert public(LINEAR).stream_path() == "/v5/public/linear"
        rules = public(book_depth=1000).sequencer(SYMBOL)
        assert isinstance(rules, BybitSequencer)
        assert rules.snapshot_depth == 1000

    def test_impossible_settings(self) -> None:
        with pytest.raises(ConfigError, match="book_depth was 500"):
            public(book_depth=500)
        with pytest.raises(ConfigError, match="INVERSE"):
            public(Product.INVERSE)


class TestRest:
    @pytest.mark.parametrize(
        "request_, path, query",
        [
            (CODEC.time_request(), "/v5/market/time", ""),
            (CODEC.instruments_request([]), "/v5/market/instruments-info", "category=linear&limit=1000"),
            (public(SPOT).instruments_request([]), "/v5/market/instruments-info", "category=spot"),
            (CODEC.instruments_request([SYMBOL]), "/v5/market/instruments-info", "category=linear&symbol=BTCUSDT"),
            (
                CODEC.instruments_request([SYMBOL, Symbol("ETHUSDT")]),
                "/v5/market/instruments-info",
                "category=linear&limit=1000",
            ),
            (CODEC.snapshot_request(SYMBOL, 5000), "/v5/market/orderbook", "category=linear&symbol=BTCUSDT&limit=1000"),
            (
                public(SPOT).candles_request(SYMBOL, MINUTE_NS, 10),
                "/v5/market/kline",
                "category=spot&symbol=BTCUSDT&interval=1&limit=11",
            ),
        ],
    )
    def test_requests(self, request_: HttpRequest, path: str, query: str) -> None:
        assert (request_.method, request_.path, request_.query) == ("GET", path, query)
        assert (request_.body, request_.headers, request_.lane) == ("", {}, Lane.QUERY)

    def test_time_in_nanoseconds(self) -> None:
        got = CODEC.decode_time(reply(envelope({"timeSecond": "1767225600", "timeNano": "1767225600123456789"})))
        assert got == 1767225600123456789

    @pytest.mark.parametrize("text", ["", "x", "1767225600", "9" * 19, "１７６７２２５６００１２３４５６７８９"])
    def test_no_time(self, text: str) -> None:
        with pytest.raises(RemoteProtocolError):
            CODEC.decode_time(reply(envelope({"timeNano": text})))

    def test_snapshot(self) -> None:
        body = {"s": "BTCUSDT", "b": [["60000", "1"]], "a": [["60001", "2"]], "u": 7, "seq": 9, "ts": 1, "cts": 1}
        got = CODEC.decode_snapshot(SYMBOL, reply(envelope(body)), 3)
        assert got == BookSnapshot(VENUE, SYMBOL, 7, ((D(60000), D(1)),), ((D(60001), D(2)),), RECEIVED_NS, 3)
        with pytest.raises(RemoteProtocolError, match="instead of"):
            CODEC.decode_snapshot(Symbol("ETHUSDT"), reply(envelope(body)), 3)

    def test_candles_are_closed_and_oldest_first(self) -> None:
        starts = [1767225600000, 1767225540000, 1767225480000]  # the first is under way at RECEIVED_NS
        rows = [[str(start), "1", "4", "0.5", "2", "10", "20"] for start in starts]
        got = CODEC.decode_candles(SYMBOL, MINUTE_NS, reply(envelope({"category": "linear", "list": rows})))
        assert [candle.open_ns for candle in got] == [1767225480000 * MS, 1767225540000 * MS]
        assert got[0] == Candle(
            VENUE,
            SYMBOL,
            MINUTE_NS,
            1767225480000 * MS,
            D(1),
            D(4),
            D("0.5"),
            D(2),
            D(10),
            True,
            received_ns=RECEIVED_NS,
            source=Source.REST,
        )

    def test_a_candle_without_a_time_is_refused(self) -> None:
        for start in ("", "soon", "9" * 20, "-1", "１７６７"):
            with pytest.raises(RemoteProtocolError):
                CODEC.decode_candles(
                    SYMBOL, MINUTE_NS, reply(envelope({"list": [[start, "1", "4", "0.5", "2", "10", "20"]]}))
                )

    def test_an_interval_that_the_venue_lacks(self) -> None:
        with pytest.raises(LocalProtocolError, match="interval_ns was 7"):
            CODEC.candles_request(SYMBOL, 7, 10)

    def test_a_refusal_is_no_answer(self) -> None:
        refusal = reply(envelope({}, retCode=10001, retMsg="params error"))
        error = CODEC.error(refusal)
        assert error is not None
        assert (error.disposition, error.code) == (Disposition.BUG, "10001")
        with pytest.raises(RemoteProtocolError, match="10001"):
            CODEC.decode_time(refusal)

    def test_a_failure_inside_the_venue_is_asked_again(self) -> None:
        for answer in (reply(envelope({}, retCode=10016)), reply(b"<html>", 502)):
            error = CODEC.error(answer)
            assert error is not None
            assert error.disposition is Disposition.BUSY

    def test_success_is_no_error_whatever_its_text(self) -> None:
        for text in ("OK", "success", "", "SUCCESS"):
            assert CODEC.error(reply(envelope({}, retMsg=text))) is None
        assert list(CODEC.usage(reply(envelope({})))) == []

    def test_pages_of_instruments(self) -> None:
        first = CODEC.instruments_request([])
        second = CODEC.continuation(first, reply(listed({"symbol": "A"}, cursor="a%3Db")), STAMP_NS)
        assert second is not None
        assert second.query == "category=linear&limit=1000&cursor=a%3Db"
        third = CODEC.continuation(second, reply(listed({"symbol": "A"}, cursor="c&d")), STAMP_NS)
        assert third is not None
        assert third.query == "category=linear&limit=1000&cursor=c%26d"
        assert CODEC.continuation(third, reply(listed(cursor="")), STAMP_NS) is None
        assert CODEC.continuation(CODEC.time_request(), reply(envelope({})), STAMP_NS) is None
