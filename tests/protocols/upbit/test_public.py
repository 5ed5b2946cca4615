"""Public messages and answers to typed events (reference sections 3, 4 and 6)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from protocols.base import Message
from protocols.enums import Side, Source
from protocols.errors import LocalProtocolError, RemoteProtocolError, Unrecognized
from protocols.ids import Symbol
from protocols.market import BookSnapshot, Candle, Trade
from protocols.venue import Disposition, Lane, Reply, UnrecognizedMessage, Usage
from protocols.venues.upbit import VENUE, UpbitPublic
from protocols.venues.upbit.book import UpbitSequencer
from tests.protocols.upbit.frames import (
    CANDLE,
    ERROR,
    ETH,
    LISTED,
    ORDER_BOOK,
    RECEIVED_NS,
    SIMPLE_CANDLE,
    SIMPLE_ORDER_BOOK,
    SIMPLE_TRADE,
    STATUS,
    SYMBOL,
    TRADE,
    refusal,
    reply,
)

D = Decimal
MS, SECOND = 1_000_000, 1_000_000_000
MINUTE = 60 * SECOND
CODEC = UpbitPublic()

THE_BOOK = BookSnapshot(
    VENUE,
    SYMBOL,
    1767225600160,
    ((D(155772000), D("0.2")), (D(155771000), D("4.9"))),
    ((D(155773000), D("0.4")), (D(155774000), D("3.8"))),
    RECEIVED_NS,
    4,
    1767225600160 * MS,
)
THE_TRADE = Trade(
    VENUE, SYMBOL, "17672256001300001", D(155772000), D("0.0012"), Side.BUY, 1767225600130 * MS, RECEIVED_NS
)
THE_CANDLE = Candle(
    VENUE, SYMBOL, MINUTE, 1767225600 * SECOND, D(155770000), D(155780000), D(155760000), D(155772000), D("1.25"),
    False, received_ns=RECEIVED_NS, source=Source.STREAM,
)  # fmt: skip


def decode(raw: bytes | str) -> Message | Reply:
    (event,) = CODEC.decode(raw, RECEIVED_NS, 4)
    return event


def changed(raw: bytes, **changes: Any) -> bytes:
    whole = json.loads(raw)
    return json.dumps({key: value for key, value in (whole | changes).items() if value is not ...}).encode()


@pytest.mark.parametrize(
    "raw, event",
    [
        (ORDER_BOOK, THE_BOOK), (SIMPLE_ORDER_BOOK, THE_BOOK), (TRADE, THE_TRADE), (SIMPLE_TRADE, THE_TRADE),
        (CANDLE, THE_CANDLE), (SIMPLE_CANDLE, THE_CANDLE),
    ],
)  # fmt: skip
def test_long_and_short_names_say_the_same(raw: bytes, event: Message) -> None:
    assert decode(raw) == event
    assert decode(raw.decode()) == event  # text frames are taken as well
    reordered = dict(reversed(json.loads(raw, parse_float=str).items()))
    assert decode(json.dumps(reordered)) == event  # the type need not come first, numbers may be quoted


def test_lists_of_messages() -> None:
    """JSON_LIST and SIMPLE_LIST."""
    events = CODEC.decode(b"[" + TRADE + b",\n " + SIMPLE_ORDER_BOOK + b"," + CANDLE + b"]", RECEIVED_NS, 4)
    assert list(events) == [THE_TRADE, THE_BOOK, THE_CANDLE]
    assert CODEC.decode(b"[]", RECEIVED_NS, 4) == []


class TestTrades:
    @pytest.mark.parametrize("written", [17866130860480001, "17866130860480001"])
    def test_ids_above_2_to_the_53_stay_exact(self, written: object) -> None:
        """As a float this id would end in 0."""
        event = decode(changed(TRADE, sequential_id=written))
        assert isinstance(event, Trade)
        assert event.trade_id == "17866130860480001"
        assert int(float(event.trade_id)) != int(event.trade_id)

    def test_the_taker_sold(self) -> None:
        event = decode(changed(TRADE, ask_bid="ASK"))
        assert isinstance(event, Trade)
        assert event.aggressor is Side.SELL

    def test_an_unknown_side_is_kept_as_it_came(self) -> None:
        event = decode(changed(TRADE, ask_bid="BOTH"))
        assert isinstance(event, UnrecognizedMessage)
        assert event.what == (Unrecognized("trade.ask_bid", "BOTH"),)
        assert '"BOTH"' in event.raw

    def test_numbers_are_exact(self) -> None:
        event = decode(TRADE.replace(b'"trade_volume":0.0012', b'"trade_volume":0.10000000000000000001'))
        assert isinstance(event, Trade)
        assert str(event.qty) == "0.10000000000000000001"


class TestBooks:
    def test_empty_places_are_no_levels(self) -> None:
        units = [
            {"ask_price": 3, "bid_price": 2, "ask_size": 1, "bid_size": 1},
            {"ask_price": 4, "bid_price": 0, "ask_size": 1, "bid_size": 0},
            {"ask_price": 5, "bid_price": 1, "ask_size": 0, "bid_size": 0.0},
        ]
        event = decode(changed(ORDER_BOOK, orderbook_units=units))
        assert isinstance(event, BookSnapshot)
        assert event.bids == ((D(2), D(1)),)
        assert event.asks == ((D(3), D(1)), (D(4), D(1)))

    def test_a_market_without_orders_is_an_empty_book(self) -> None:
        event = decode(changed(ORDER_BOOK, orderbook_units=[]))
        assert isinstance(event, BookSnapshot)
        assert (event.bids, event.asks) == ((), ())

    @pytest.mark.parametrize("level", [0, 0.0, "0", None, ...])
    def test_level_0_is_the_book(self, level: object) -> None:
        assert isinstance(decode(changed(ORDER_BOOK, level=level)), BookSnapshot)

    @pytest.mark.parametrize("level", [10000, "10000", 0.1])
    def test_grouped_prices_are_no_book(self, level: object) -> None:
        """A book of prices rounded to 10,000 KRW would be quoted as if it were the market."""
        event = decode(changed(ORDER_BOOK, level=level))
        assert isinstance(event, UnrecognizedMessage)
        assert event.what[0].field == "orderbook.level"

    @pytest.mark.parametrize(
        "unit",
        [
            {"ask_price": 0, "bid_price": 2, "ask_size": 1, "bid_size": 1},
            {"ask_price": 3, "bid_price": 0, "ask_size": 1, "bid_size": 1},
            {"ask_price": -3, "bid_price": 2, "ask_size": 1, "bid_size": 1},
            {"ask_price": -3, "bid_price": 2, "ask_size": 0, "bid_size": 1},
            {"ask_price": 3, "bid_price": 2, "ask_size": -1, "bid_size": 1},
            {"ask_price": "NaN", "bid_price": 2, "ask_size": 1, "bid_size": 1},
            {"ask_price": 3, "bid_price": "1e999999999", "ask_size": 1, "bid_size": 1},
            {"ask_price": 3, "bid_price": 2, "ask_size": "Infinity", "bid_size": 1},
            {"ask_price": 3, "bid_price": 2, "ask_size": 1},
        ],
    )
    def test_impossible_levels(self, unit: dict[str, Any]) -> None:
        with pytest.raises(RemoteProtocolError):
            decode(changed(ORDER_BOOK, orderbook_units=[unit]))


class TestCandles:
    @pytest.mark.parametrize(
        "unit, interval_ns",
        [("1s", SECOND), ("1m", MINUTE), ("3m", 3 * MINUTE), ("5m", 5 * MINUTE), ("10m", 10 * MINUTE),
         ("15m", 15 * MINUTE), ("30m", 30 * MINUTE), ("60m", 60 * MINUTE), ("240m", 240 * MINUTE)],
    )  # fmt: skip
    def test_every_unit(self, unit: str, interval_ns: int) -> None:
        event = decode(changed(CANDLE, type=f"candle.{unit}"))
        assert isinstance(event, Candle)
        assert (event.interval_ns, event.closed) == (interval_ns, False)

    def test_an_unknown_unit_is_kept_as_it_came(self) -> None:
        event = decode(changed(CANDLE, type="candle.7m"))
        assert isinstance(event, UnrecognizedMessage)
        assert event.what == (Unrecognized("type", "candle.7m"),)

    @pytest.mark.parametrize("text", ["yesterday", "2026-01-01T00:00:00+09:00", "0001-01-01T00:00:00", "9" * 50, ""])
    def test_impossible_times(self, text: str) -> None:
        with pytest.raises(RemoteProtocolError):
            decode(changed(CANDLE, candle_date_time_utc=text))


def test_streams_that_we_never_ask_for_are_shown_as_unrecognized() -> None:
    for raw in (b'{"type":"indicator","code":"KRW-BTC"}', b'{"ty":"indicator"}'):
        assert isinstance(decode(raw), UnrecognizedMessage)


# ---- what is not a stream ----------------------------------------------------------------------------------------


def test_errors_name_no_request() -> None:
    event = decode(ERROR)
    assert isinstance(event, Reply)
    assert event.request_id == ""
    assert event.error is not None
    assert (event.error.disposition, event.error.code) == (Disposition.BUG, "WRONG_FORMAT")


@pytest.mark.parametrize(
    "raw", [LISTED, b'{"mthd":"LIST_SUBSCRIPTIONS","rslt":[{"type":"trade","codes":["KRW-BTC"],"level":0}],"tck":"7"}']
)
def test_the_list_of_subscriptions_answers_its_ticket(raw: bytes) -> None:
    listed = [{"type": "trade", "codes": ["KRW-BTC"], "level": 0}]
    assert decode(raw) == Reply("7", payload={"subscriptions": listed})


def test_the_answer_to_a_text_ping_settles_nothing() -> None:
    assert decode(STATUS) == Reply("", payload={"status": "UP"})


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"7", b"null", b"{}", b'{"type":', b'{"type":5}', b'{"type":"trade"}', b'{"ty":"orderbook"}',
     b"\xff\xff",
     b'{"error":"x"}', b'{"error":{}}', b'{"status":5}',
     b'{"error":{"name":null}}', b'{"method":"LIST_SUBSCRIPTIONS"}', b"[7]", b"[[]]", "\ud800",
     b'{"type":"orderbook","code":' + b"[" * 100_000, b'{"x":' * 100_000, b"[" * 100_000,
     changed(TRADE, trade_price="NaN"), changed(TRADE, trade_timestamp=-1), changed(TRADE, trade_timestamp=10**14 - 1),
     changed(TRADE, sequential_id=1.5), changed(TRADE, code=""), changed(ORDER_BOOK, timestamp=2**62)],
)  # fmt: skip
def test_garbage_is_refused(raw: bytes | str) -> None:
    with pytest.raises(RemoteProtocolError):
        CODEC.decode(raw, RECEIVED_NS, 4)


# ---- REST --------------------------------------------------------------------------------------------------------


def test_requests() -> None:
    ticks, markets = CODEC.instruments_request([SYMBOL, ETH]), CODEC.instruments_request([])
    assert (ticks.path, ticks.query) == ("/v1/orderbook/instruments", "markets=KRW-BTC%2CKRW-ETH")
    assert (markets.path, markets.query, markets.group) == ("/v1/market/all", "is_details=true", "market")
    book = CODEC.snapshot_request(SYMBOL, 1000)
    assert (book.path, book.query, book.group) == (
        "/v1/orderbook",
        "markets=KRW-BTC&level=0&count=30",
        "orderbook",
    )
    assert CODEC.snapshot_request(SYMBOL, 0).query.endswith("count=1")
    bars = CODEC.candles_request(SYMBOL, 15 * MINUTE, 100)
    assert (bars.path, bars.query, bars.group) == ("/v1/candles/minutes/15", "market=KRW-BTC&count=101", "candle")
    assert CODEC.candles_request(SYMBOL, SECOND, 10**6).query.endswith("count=200")
    assert CODEC.candles_request(SYMBOL, 24 * 60 * MINUTE, 1).path == "/v1/candles/days"
    for request in (ticks, markets, book, bars, CODEC.time_request()):
        assert (request.method, request.weight, request.lane) == ("GET", 1, Lane.QUERY)
        assert not request.headers
        assert not request.body
    assert CODEC.stream_path() == "/websocket/v1"
    assert isinstance(CODEC.sequencer(SYMBOL), UpbitSequencer)


def test_an_interval_that_the_venue_lacks_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="interval_ns"):
        CODEC.candles_request(SYMBOL, 2 * MINUTE, 10)


def test_the_clock_is_the_middle_of_the_second_of_the_date_header() -> None:
    for name in ("Date", "date"):
        assert CODEC.decode_time(reply([], headers={name: "Thu, 01 Jan 2026 00:00:07 GMT"})) == (
            1767225607 * SECOND + SECOND // 2
        )


@pytest.mark.parametrize("date", ["", "today", "Thu, 01 Foo 2026 00:00:07 GMT", "Thu, 99 Jan 2026 00:00:07 GMT"])
def test_no_clock_in_the_answer(date: str) -> None:
    with pytest.raises(RemoteProtocolError):
        CODEC.decode_time(reply([], headers={"Date": date}))


def rest_book(**changes: Any) -> list[dict[str, Any]]:
    unit = {"ask_price": 155773000, "bid_price": 155772000, "ask_size": 0.4, "bid_size": 0.2}
    return [{"market": "KRW-BTC", "timestamp": 1767225600160, "orderbook_units": [unit], "level": 0} | changes]


def test_snapshot() -> None:
    assert CODEC.decode_snapshot(SYMBOL, reply(rest_book()), 4) == BookSnapshot(
        VENUE,
        SYMBOL,
        1767225600160,
        ((D(155772000), D("0.2")),),
        ((D(155773000), D("0.4")),),
        RECEIVED_NS,
        4,
        1767225600160 * MS,
    )


@pytest.mark.parametrize(
    "body", [[], rest_book(market="KRW-ETH"), rest_book() * 2, rest_book(level=1000), rest_book(timestamp=-1), {}]
)
def test_a_snapshot_that_is_not_the_book_asked_for(body: object) -> None:
    with pytest.raises(RemoteProtocolError):
        CODEC.decode_snapshot(SYMBOL, reply(body), 4)


def candle_row(minute: int, **changes: Any) -> dict[str, Any]:
    return {
        "market": "KRW-BTC", "candle_date_time_utc": f"2026-09-21T14:{minute:02}:00",
        "candle_date_time_kst": f"2026-09-21T23:{minute:02}:00", "opening_price": 1.0, "high_price": 3.0,
        "low_price": 0.5, "trade_price": 2.0, "timestamp": 1, "candle_acc_trade_price": 9.0,
        "candle_acc_trade_volume": 100.25, "unit": 1,
    } | changes  # fmt: skip


def test_only_bars_that_had_ended_are_candles_oldest_first() -> None:
    """The answer was sent at 14:13:20; bars come newest first; 14:10 had no trade, so there is no bar."""
    candles = CODEC.decode_candles(SYMBOL, MINUTE, reply([candle_row(minute) for minute in (13, 12, 11, 9)]))
    base = 1_790_000_000 * SECOND - 13 * MINUTE - 20 * SECOND
    assert [(candle.open_ns - base) // MINUTE for candle in candles] == [9, 11, 12]
    assert candles[0] == Candle(VENUE, SYMBOL, MINUTE, base + 9 * MINUTE, D(1), D(3), D("0.5"), D(2), D("100.25"), True,
        received_ns=RECEIVED_NS, source=Source.REST,
    )  # fmt: skip


def test_candles_of_another_market_are_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="KRW-ETH"):
        CODEC.decode_candles(Symbol("KRW-ETH"), MINUTE, reply([candle_row(1)]))


def test_usage_and_errors() -> None:
    answer = reply(rest_book(), headers={"Remaining-Req": "group=orderbook; min=599; sec=7"})
    assert CODEC.usage(answer) == (Usage("orderbook", SECOND, 3),)
    assert CODEC.error(answer) is None
    error = CODEC.error(refusal(404, 404, "Code not found"))
    assert error is not None
    assert error.disposition is Disposition.NOT_FOUND
    for read in (
        lambda: CODEC.decode_snapshot(SYMBOL, refusal(404, 404), 4),
        lambda: CODEC.decode_candles(SYMBOL, MINUTE, refusal(404, 404)),
        lambda: CODEC.decode_instruments(refusal(404, 404)),
        lambda: CODEC.decode_time(refusal(404, 404)),
    ):
        with pytest.raises(RemoteProtocolError, match="HTTP 404"):
            read()


def test_raw_of_an_unrecognized_message_is_bounded() -> None:
    event = decode(msgspec.json.encode({"type": "x" * 5000}))
    assert isinstance(event, UnrecognizedMessage)
    assert len(event.raw) == 2000
    assert len(event.what[0].raw) == 100
