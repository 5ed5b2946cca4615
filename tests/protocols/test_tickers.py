"""Tickers of all five codecs: one meaning and one unit for each field, whatever the venue and the channel."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.enums import Channel, Source, StatsPeriod
from protocols.errors import RemoteProtocolError
from protocols.ids import Symbol, Venue
from protocols.instruments import Product
from protocols.market import CANDLE_CHANNELS, CANDLE_LENGTHS_NS, Ticker
from protocols.venue import HttpReply, PublicCodec
from protocols.venues.binance_spot import BinanceSpotPublic
from protocols.venues.binance_usdm import BinanceUsdmPublic
from protocols.venues.bybit import BybitPublic
from protocols.venues.bybit.tickers import CONNECTIONS_KEPT, MergedTickers
from protocols.venues.bybit.wire import TickerFrame, TickerRow
from protocols.venues.okx import OkxPublic
from protocols.venues.upbit import UpbitPublic
from tests.protocols.hostile import inputs

D = Decimal
NOW_NS = 1_790_000_000_000_000_000
SPOT, LINEAR = Product.SPOT, Product.LINEAR
CODECS: dict[str, PublicCodec] = {
    "binance-spot": BinanceSpotPublic(),
    "binance-usdm": BinanceUsdmPublic(),
    "bybit-spot": BybitPublic(SPOT),
    "bybit-linear": BybitPublic(LINEAR),
    "okx-spot": OkxPublic(SPOT),
    "okx-swap": OkxPublic(LINEAR),
    "upbit": UpbitPublic(),
}


def answer(body: object) -> HttpReply:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return HttpReply(200, {}, raw, NOW_NS - 1_000_000, NOW_NS)


def tickers(codec: PublicCodec, raw: str | bytes, connection: int = 1) -> list[Ticker]:
    return [event for event in codec.decode(raw, NOW_NS, connection) if isinstance(event, Ticker)]


def lines(path: Path) -> Iterator[dict[str, Any]]:
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return (json.loads(line) for line in raw.splitlines() if line.strip())


def by_rest(streamed: list[Ticker]) -> list[Ticker]:
    """The same, if REST had said it."""
    assert {ticker.source for ticker in streamed} == {Source.STREAM}
    return [attrs.evolve(ticker, source=Source.REST) for ticker in streamed]


def close_to(value: Decimal | None, stated: str, places: int) -> bool:
    """Equal as far as the venue's rounding goes: it may round or cut."""
    return value is not None and abs(value - D(stated)) < D(10) ** -places


# ---- units, against what the venues state themselves -----------------------------------------------------------


@pytest.mark.req("R332", "R338")
def test_the_change_is_a_fraction_where_binance_writes_per_cent(data_dir: Path) -> None:
    path = data_dir / "binance_spot" / "rest" / "tickers_BTC_ETH_2026-02-08.json.gz"
    rows = json.loads(gzip.decompress(path.read_bytes()))
    found = CODECS["binance-spot"].decode_tickers(answer(rows))
    assert len(found) == len(rows) == 2
    for ticker, row in zip(found, rows, strict=True):
        assert ticker.change_px == D(row["priceChange"])
        assert close_to(ticker.change_rate, str(D(row["priceChangePercent"]) / 100), 5)
        assert (ticker.volume, ticker.turnover) == (D(row["volume"]), D(row["quoteVolume"]))
        assert ticker.period is StatsPeriod.ROLLING_24H


@pytest.mark.req("R332", "R338")
def test_the_change_is_a_fraction_as_bybit_writes_it(data_dir: Path) -> None:
    path = data_dir / "bybit" / "rest" / "tickers_BTC_ETH_2026-02-08.json.gz"
    rows = json.loads(gzip.decompress(path.read_bytes()))["result"]["list"]
    found = CODECS["bybit-spot"].decode_tickers(answer(gzip.decompress(path.read_bytes())))
    assert len(found) == len(rows) > 100
    for ticker, row in zip(found, rows, strict=True):
        assert close_to(ticker.change_rate, row["price24hPcnt"], 4)


@pytest.mark.req("R332", "R338")
def test_the_change_of_upbit_counts_from_the_close_of_the_day_before(data_dir: Path) -> None:
    seen = 0
    for line in lines(data_dir / "upbit" / "ws" / "messages_default_2026-08-13.jsonl"):
        if line["dir"] == "recv" and line["json"]["type"] == "ticker":
            row = line["json"]
            (ticker,) = tickers(CODECS["upbit"], json.dumps(row))
            assert ticker.change_px == D(row["signed_change_price"])
            assert close_to(ticker.change_rate, str(row["signed_change_rate"]), 9)
            assert ticker.period is StatsPeriod.UTC_DAY
            assert ticker.volume == D(str(row["acc_trade_volume_24h"]))
            assert ticker.bid_px is ticker.ask_px is None
            seen += 1
    assert seen == 2


@pytest.mark.req("R332", "R391")
def test_stream_and_rest_of_upbit_give_the_same_record(data_dir: Path) -> None:
    rows = [
        line["json"]
        for line in lines(data_dir / "upbit" / "ws" / "messages_default_2026-08-13.jsonl")
        if line["dir"] == "recv" and line["json"]["type"] == "ticker"
    ]
    for row in rows:
        rest = {"market": row["code"], **{name: value for name, value in row.items() if name != "code"}}
        assert by_rest(tickers(CODECS["upbit"], json.dumps(row))) == list(
            CODECS["upbit"].decode_tickers(answer([rest]))
        )


@pytest.mark.req("R332", "R391")
def test_stream_and_rest_of_okx_give_the_same_record(data_dir: Path) -> None:
    seen = 0
    for line in lines(data_dir / "okx" / "ws" / "messages_spot_2026-08.jsonl"):
        frame = line["json"]
        if line["dir"] == "recv" and frame.get("arg", {}).get("channel") == "tickers" and "data" in frame:
            rest = {"code": "0", "msg": "", "data": frame["data"]}
            streamed = tickers(CODECS["okx-spot"], json.dumps(frame))
            assert by_rest(streamed) == list(CODECS["okx-spot"].decode_tickers(answer(rest)))
            seen += 1
    assert seen == 4


BINANCE_STREAM = {
    "e": "24hrTicker", "E": 1790000000000, "s": "BTCUSDT", "p": "1.0", "P": "1.000", "c": "101.0", "Q": "2",
    "o": "100.0", "h": "110.0", "l": "90.0", "v": "1000", "q": "100500", "b": "100.9", "B": "3", "a": "101.1", "A": "4",
}  # fmt: skip
BINANCE_ROW = {
    "symbol": "BTCUSDT", "priceChange": "1.0", "priceChangePercent": "1.000", "lastPrice": "101.0", "lastQty": "2",
    "openPrice": "100.0", "highPrice": "110.0", "lowPrice": "90.0", "volume": "1000", "quoteVolume": "100500",
    "bidPrice": "100.9", "bidQty": "3", "askPrice": "101.1", "askQty": "4", "closeTime": 1790000000000,
}  # fmt: skip


@pytest.mark.req("R332", "R391")
def test_stream_and_rest_of_binance_give_the_same_record() -> None:
    codec = CODECS["binance-spot"]
    (streamed,) = tickers(codec, json.dumps({"stream": "btcusdt@ticker", "data": BINANCE_STREAM}))
    assert list(codec.decode_tickers(answer(BINANCE_ROW))) == by_rest([streamed])
    assert streamed.change_rate == D("0.01")
    assert (streamed.bid_px, streamed.ask_qty, streamed.event_ns) == (D("100.9"), D(4), NOW_NS)
    without = {name: value for name, value in BINANCE_STREAM.items() if name not in "bBaA"}
    (futures,) = tickers(CODECS["binance-usdm"], json.dumps({"stream": "btcusdt@ticker", "data": without | {"st": 1}}))
    assert (futures.last_px, futures.bid_px, futures.ask_qty) == (D("101.0"), None, None)
    assert not tickers(CODECS["binance-usdm"], json.dumps({"stream": "x@ticker", "data": without | {"st": 2}}))


@pytest.mark.req("R338")
def test_contracts_have_no_turnover_where_okx_counts_coins() -> None:
    row = {"instId": "BTC-USDT-SWAP", "last": "60000", "ts": "1790000000000", "vol24h": "500", "volCcy24h": "5"}
    frame = {"arg": {"channel": "tickers", "instId": "BTC-USDT-SWAP"}, "data": [row]}
    (swap,) = tickers(CODECS["okx-swap"], json.dumps(frame))
    (spot,) = tickers(CODECS["okx-spot"], json.dumps(frame))
    assert (swap.volume, swap.turnover) == (D(500), None)
    assert (spot.volume, spot.turnover) == (D(500), D(5))


@pytest.mark.req("R338", "R356")
def test_what_is_missing_is_none_and_never_zero() -> None:
    empty = BINANCE_STREAM | {"b": "0.00000000", "B": "0.00000000", "c": "0.00000000", "v": "0.00000000"}
    (ticker,) = tickers(CODECS["binance-spot"], json.dumps({"stream": "x@ticker", "data": empty}))
    assert (ticker.bid_px, ticker.last_px, ticker.change_px, ticker.change_rate) == (None, None, None, None)
    assert ticker.volume == 0, "nothing traded is a fact"
    row = {"instId": "A-B", "last": "", "ts": "1790000000000", "bidPx": "", "open24h": ""}
    (bare,) = CODECS["okx-spot"].decode_tickers(answer({"code": "0", "data": [row]}))
    assert bare == Ticker(Venue("okx-spot"), Symbol("A-B"), NOW_NS, NOW_NS, source=Source.REST)


# ---- Bybit's deltas ----------------------------------------------------------------------------------------------


@pytest.mark.req("R332")
def test_bybit_deltas_are_merged_over_the_capture(data_dir: Path) -> None:
    """A naive model beside it: a dictionary that is updated by each frame."""
    codecs = {"BYBIT.ws.2": BybitPublic(LINEAR), "BYBIT.ws.3": BybitPublic(SPOT)}
    model: dict[tuple[str, str], dict[str, str]] = {}
    deltas = 0
    for line in lines(data_dir / "bybit" / "ws" / "2026-08-09_btcusdt_dogeusdt_v5.jsonl.gz"):
        if line["dir"] != "recv" or '"tickers.' not in line["raw"]:
            continue
        frame = json.loads(line["raw"])
        if "topic" not in frame:
            continue
        row = model.setdefault((line["conn"], frame["topic"]), {})
        if frame["type"] == "snapshot":
            row.clear()
        row |= frame["data"]
        deltas += frame["type"] == "delta"
        (ticker,) = tickers(codecs[line["conn"]], line["raw"])
        wanted = [row.get(name) for name in ("lastPrice", "bid1Price", "bid1Size", "ask1Price", "prevPrice24h")]
        found = [ticker.last_px, ticker.bid_px, ticker.bid_qty, ticker.ask_px, ticker.base_px]
        assert found == [None if text is None else D(text) for text in wanted]
        assert ticker.event_ns == frame["ts"] * 1_000_000
    assert deltas > 300


def frame_of(kind: str, cs: int, **row: str) -> TickerFrame:
    return TickerFrame("tickers.X", kind, 1_790_000_000_000, TickerRow("X", **row), cs)


def test_a_delta_without_snapshot_or_out_of_turn_says_nothing() -> None:
    merged = MergedTickers()
    assert merged.merge(frame_of("delta", 5, last_px="1"), 1) is None
    assert merged.merge(frame_of("snapshot", 6, last_px="1", volume="9"), 1) is not None
    after = merged.merge(frame_of("delta", 7, last_px="2"), 1)
    assert after is not None
    assert (after.last_px, after.volume) == ("2", "9")
    assert merged.merge(frame_of("delta", 6, last_px="3"), 1) is None
    assert merged.merge(frame_of("delta", 8, last_px="4"), 2) is None, "another connection has a snapshot of its own"


def test_old_connections_are_forgotten() -> None:
    merged = MergedTickers()
    for connection in range(CONNECTIONS_KEPT + 1):
        merged.merge(frame_of("snapshot", 1, last_px="1"), connection)
    assert merged.merge(frame_of("delta", 2, last_px="2"), 0) is None
    assert merged.merge(frame_of("delta", 2, last_px="2"), CONNECTIONS_KEPT) is not None


# ---- requests ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "venue, symbols, path, query",
    [
        ("binance-spot", ["BTCUSDT"], "/api/v3/ticker/24hr", "symbol=BTCUSDT"),
        ("binance-spot", ["A", "B"], "/api/v3/ticker/24hr", "symbols=%5B%22A%22%2C%22B%22%5D"),
        ("binance-usdm", ["BTCUSDT"], "/fapi/v1/ticker/24hr", "symbol=BTCUSDT"),
        ("binance-usdm", ["A", "B"], "/fapi/v1/ticker/24hr", ""),
        ("bybit-spot", ["BTCUSDT"], "/v5/market/tickers", "category=spot&symbol=BTCUSDT"),
        ("bybit-linear", ["A", "B"], "/v5/market/tickers", "category=linear"),
        ("okx-spot", ["BTC-USDT"], "/api/v5/market/ticker", "instId=BTC-USDT"),
        ("okx-swap", ["A", "B"], "/api/v5/market/tickers", "instType=SWAP"),
        ("upbit", ["KRW-BTC", "KRW-ETH"], "/v1/ticker", "markets=KRW-BTC%2CKRW-ETH"),
    ],
)
def test_requests(venue: str, symbols: list[str], path: str, query: str) -> None:
    request = CODECS[venue].tickers_request([Symbol(symbol) for symbol in symbols])
    assert (request.method, request.path, request.query) == ("GET", path, query)


@pytest.mark.parametrize("venue", CODECS)
def test_every_length_of_candles_that_a_venue_streams_is_asked_for_and_read_by_the_same_name(venue: str) -> None:
    codec = CODECS[venue]
    lengths = {CANDLE_LENGTHS_NS[channel] for channel in codec.capabilities.channels if channel in CANDLE_LENGTHS_NS}
    assert Channel.TICKER in codec.capabilities.channels
    assert CANDLE_LENGTHS_NS[Channel.CANDLES_1M] in lengths
    texts = {codec.subscribe([(CANDLE_CHANNELS[length], Symbol("KRW-BTC"))], 1)[0].text for length in lengths}
    assert len(texts) == len(lengths)


# ---- any input gives events or RemoteProtocolError --------------------------------------------------------------

FRAMES = {
    "binance-spot": json.dumps({"stream": "btcusdt@ticker", "data": BINANCE_STREAM}),
    "binance-usdm": json.dumps({"stream": "btcusdt@ticker", "data": BINANCE_STREAM}),
    "bybit-linear": json.dumps(
        {"topic": "tickers.X", "type": "snapshot", "ts": 1, "cs": 1, "data": {"symbol": "X", "lastPrice": "1"}}
    ),
    "okx-spot": json.dumps(
        {"arg": {"channel": "tickers", "instId": "X"}, "data": [{"instId": "X", "last": "1", "ts": "1"}]}
    ),
    "upbit": json.dumps({"type": "ticker", "code": "KRW-BTC", "trade_price": 1, "timestamp": 1, "trade_volume": 0.5}),
}


@given(st.data())
@pytest.mark.parametrize("venue", FRAMES)
def test_spoiled_tickers(venue: str, data: st.DataObject) -> None:
    raw = data.draw(inputs([FRAMES[venue].encode()]))
    try:
        events = CODECS[venue].decode(raw, NOW_NS, 1)
    except RemoteProtocolError:
        return
    for event in events:
        if isinstance(event, Ticker):
            assert all(
                value is None or value > 0 for value in (event.last_px, event.bid_px, event.ask_px, event.base_px)
            )
