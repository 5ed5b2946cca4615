"""Every recorded payload of this venue: what is in scope decodes to its type, what is not is listed here by name."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from protocols.enums import ExecType, OrdStatus, Side
from protocols.errors import RemoteProtocolError
from protocols.ids import Symbol
from protocols.market import BookSnapshot, Ticker, Trade
from protocols.orders import ExecutionReport
from protocols.venue import UnrecognizedMessage
from protocols.venues.upbit import UpbitPublic
from tests.protocols.upbit.frames import RECEIVED_NS, codec, reply

PUBLIC, PRIVATE = UpbitPublic(), codec()
SECOND = 1_000_000_000
MINUTE = 60 * SECOND

# REST routes that nothing here asks for, by path.
OUT_OF_SCOPE_PATHS: frozenset[str] = frozenset()
# Streams that we never subscribe to.
UNRECOGNIZED_STREAMS: frozenset[str] = frozenset()
# Definitions of the examples that are about nothing we do (deposits, withdrawals, keys), or that nothing asks for.
OUT_OF_SCOPE_EXAMPLES = {"Wallet", "Withdraw", "Deposit", "TradeTicks", "Trade", "APIKey"}


def lines(data_dir: Path, *name: str) -> Iterator[dict[str, Any]]:
    path = data_dir.joinpath("upbit", *name)
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return (json.loads(line) for line in raw.splitlines())


def check_stream(frame: dict[str, Any]) -> str:
    (event,) = PUBLIC.decode(msgspec.json.encode(frame), RECEIVED_NS, 1)
    kind = frame.get("type", frame.get("ty"))
    if isinstance(event, UnrecognizedMessage):
        assert kind in UNRECOGNIZED_STREAMS
    elif isinstance(event, BookSnapshot):
        units = frame["orderbook_units"]
        assert event.symbol == frame["code"]
        assert event.last_id == frame["timestamp"]
        assert [float(price) for price, _ in event.asks] == [unit["ask_price"] for unit in units]
        assert [float(qty) for _, qty in event.bids] == [unit["bid_size"] for unit in units]
    elif isinstance(event, Ticker):
        assert (event.symbol, event.event_ns) == (frame["code"], frame["timestamp"] * 1_000_000)
        assert event.last_px == Decimal(frame["trade_price"])
    else:
        assert isinstance(event, Trade)
        assert event.trade_id == str(frame["sequential_id"])
        assert event.aggressor is (Side.BUY if frame["ask_bid"] == "BID" else Side.SELL)
        assert event.event_ns == frame["trade_timestamp"] * 1_000_000
    return type(event).__name__


def test_jkorf(data_dir: Path) -> None:
    seen: Counter[str] = Counter()
    for line in lines(data_dir, "payloads", "jkorf.jsonl"):
        frames = {frame["dir"]: frame["json"] for frame in line["frames"]}
        if line["kind"] == "subscription":
            seen[check_stream(frames["event"])] += 1
            continue
        answer = frames["response"]
        match line["path"]:
            case "/v1/candles/seconds":
                (bar,) = PUBLIC.decode_candles(Symbol("KRW-BTC"), SECOND, reply(answer))
                assert bar.close == Decimal(145759000)
            case "/v1/orderbook":
                # Recorded with level 10000: grouped prices must not pass for the book.
                with pytest.raises(RemoteProtocolError, match="grouped"):
                    PUBLIC.decode_snapshot(Symbol("KRW-BTC"), reply(answer), 1)
                book = PUBLIC.decode_snapshot(Symbol("KRW-BTC"), reply([answer[0] | {"level": 0}]), 1)
                assert len(book.bids) == len(book.asks) == 30
            case "/v1/orderbook/instruments" | "/v1/market/all":
                found, _ = PUBLIC.decode_instruments(reply(answer))
                assert [one.symbol for one in found] == ["KRW-BTC", "KRW-ETH"]
            case "/v1/ticker":
                tickers = PUBLIC.decode_tickers(reply(answer))
                assert [one.symbol for one in tickers] == [row["market"] for row in answer]
            case path:
                assert path in OUT_OF_SCOPE_PATHS
        seen[line["path"]] += 1
    assert seen == {
        "BookSnapshot": 1, "Trade": 1, "Ticker": 1, "/v1/candles/seconds": 1, "/v1/orderbook": 1,
        "/v1/orderbook/instruments": 1, "/v1/market/all": 1, "/v1/ticker": 1,
    }  # fmt: skip


def test_messages_of_2026(data_dir: Path) -> None:
    seen = Counter(
        check_stream(line["json"])
        for line in lines(data_dir, "ws", "messages_default_2026-08-13.jsonl")
        if line["dir"] == "recv"
    )
    assert seen == {"BookSnapshot": 2, "Trade": 2, "Ticker": 2}


def test_two_fills(data_dir: Path) -> None:
    reports = [
        event
        for line in lines(data_dir, "payloads", "myorder_two_fills.jsonl")
        if line["dir"] == "recv"
        for event in PRIVATE.decode_private(msgspec.json.encode(line["json"]), RECEIVED_NS)
    ]
    first, second = reports
    assert isinstance(first, ExecutionReport)
    assert isinstance(second, ExecutionReport)
    assert first.exec_type is second.exec_type is ExecType.TRADE
    assert (first.last_qty, first.cum_qty, first.order_qty) == (Decimal(40), Decimal(40), Decimal(100))
    assert (second.last_qty, second.cum_qty, second.order_qty) == (Decimal(60), Decimal(100), Decimal(100))
    assert (first.ord_status, second.ord_status) == (OrdStatus.PARTIALLY_FILLED, OrdStatus.FILLED)
    assert first.trade_id != second.trade_id
    assert first.fee + second.fee == Decimal("0.04")
    assert first.fee_asset == "SGD"


def test_rest_examples(data_dir: Path) -> None:
    """The swagger examples of 2019 to 2021: older fields, and times in two spellings."""
    examples = json.loads((data_dir / "upbit" / "payloads" / "rest_schema_examples.json").read_bytes())
    seen = set()
    for name, body in examples.items():
        match name:
            case "Account":
                (balance,) = PRIVATE.decode_balances(reply([body]))
                assert (balance.asset, balance.free) == ("KRW", Decimal(1000000))
            case "Order" | "NewOrder" | "OrderInfo":
                found = PRIVATE.decode_order_status(reply(body))
                assert isinstance(found, ExecutionReport)
                assert (found.ord_status, found.cum_qty, found.side) == (OrdStatus.FILLED, Decimal(1), Side.SELL)
                fills = PRIVATE.decode_fills(Symbol("KRW-BTC"), reply(body))
                assert len(fills) == len(body.get("trades", []))
                assert sum(fill.fee for fill in fills) in (0, Decimal("2140.0"))
            case "OrderChance":
                ((instrument,), _) = PUBLIC.decode_instruments(reply([{"market": "KRW-BTC"}]))
                told, fees = PRIVATE.decode_chance(instrument, reply(body))
                assert (told.min_notional, told.max_notional, fees.bid) == (
                    Decimal(1000),
                    Decimal(100_000_000),
                    Decimal("0.0015"),
                )
            case "MarketInfo":
                assert PUBLIC.decode_instruments(reply([body]))[0][0].symbol == body["market"]
            case "Orderbook":
                book = PUBLIC.decode_snapshot(Symbol(body["market"]), reply([body]), 1)
                assert len(book.bids) == len(body["orderbook_units"])
            case "Ticker":
                (ticker,) = PUBLIC.decode_tickers(reply([body]))
                assert ticker.last_px == Decimal(str(body["trade_price"]))
            case "CandleMinutes" | "CandleDays":
                bars = PUBLIC.decode_candles(Symbol(body["market"]), MINUTE, reply([body]))
                assert bars[0].close == Decimal(str(body["trade_price"]))
            case "Error":
                error = PRIVATE.error(reply(body, 400))
                assert error is not None
                assert error.code == body["error"]["name"]
            case _:
                assert name in OUT_OF_SCOPE_EXAMPLES, name
        seen.add(name)
    assert len(seen) == 17
    assert seen > OUT_OF_SCOPE_EXAMPLES


@pytest.mark.parametrize(
    "name, minutes, count",
    [
        ("candles_1m_20200220_170000-20200220_202000.json.gz", 1, 200),
        ("candles_3m_20200220_000000-20200220_100000.json.gz", 3, 200),
        ("candles_3m_20200220_170000-20200220_200000.json.gz", 3, 60),
    ],
)
def test_recorded_candles(data_dir: Path, name: str, minutes: int, count: int) -> None:
    body = gzip.decompress((data_dir / "upbit" / "rest" / name).read_bytes())
    rows = json.loads(body, parse_float=Decimal)
    bars = PUBLIC.decode_candles(Symbol("KRW-BTC"), minutes * MINUTE, reply(body))
    assert len(bars) == len(rows) == count
    assert [bar.open_ns for bar in bars] == sorted(bar.open_ns for bar in bars)
    assert {(after.open_ns - before.open_ns) % (minutes * MINUTE) for before, after in pairwise(bars)} == {0}
    newest_first = sorted(rows, key=lambda row: row["candle_date_time_utc"], reverse=True)
    for bar, row in zip(reversed(bars), newest_first, strict=True):
        assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (
            row["opening_price"], row["high_price"], row["low_price"], row["trade_price"],
            row["candle_acc_trade_volume"],
        )  # fmt: skip
        assert bar.low <= bar.open <= bar.high
        # The venue's stamp of the bar's last change lies within the bar, or hardly (1.8 s) after it.
        assert bar.open_ns <= row["timestamp"] * 1_000_000 < bar.open_ns + minutes * MINUTE + 5 * SECOND


def test_every_frame_of_the_capture(data_dir: Path) -> None:
    seen: Counter[type] = Counter()
    ids: dict[str, list[int]] = {}
    for line in lines(data_dir, "ws", "2021-04-17_simple_first21s.jsonl.gz"):
        if line["dir"] != "recv":
            continue
        raw = json.loads(line["raw"], parse_float=Decimal)
        (event,) = PUBLIC.decode(line["raw"].encode(), line["ts_ns"], 1)
        if isinstance(event, Trade):
            assert (event.symbol, event.trade_id, event.price, event.qty) == (
                raw["cd"], str(raw["sid"]), raw["tp"], raw["tv"],
            )  # fmt: skip
            ids.setdefault(event.symbol, []).append(int(event.trade_id))
        else:
            assert isinstance(event, BookSnapshot)
            assert [qty for _, qty in event.asks] == [unit["as"] for unit in raw["obu"]]
        seen[type(event)] += 1
    assert seen == {Trade: 138, BookSnapshot: 93}
    # Ids are unique within a market, and not in order: they may not be used as a sequence.
    assert all(len(set(one)) == len(one) for one in ids.values())
    assert sum(after < before for one in ids.values() for before, after in pairwise(one)) == 3
