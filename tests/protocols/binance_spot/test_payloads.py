"""Every recorded payload of this venue: what is in scope decodes to its type, what is not is listed here by name."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from protocols.enums import ExecType
from protocols.ids import Symbol
from protocols.market import BookDelta, BookSnapshot, BookTicker, Candle, Trade
from protocols.orders import ExecutionReport
from protocols.positions import Balance, BalancesChanged
from protocols.venue import OrderState, Reply, UnrecognizedMessage
from protocols.venues.binance_spot import BinanceSpotPublic
from tests.protocols.binance_spot.frames import RECEIVED_NS, codec, reply

PUBLIC, PRIVATE = BinanceSpotPublic(), codec()
X = Symbol("X")
INTERVAL_NS = 60_000_000_000

# REST routes that nothing here asks for, by path.
OUT_OF_SCOPE_PATHS = {
    "/api/v3/account/commission",
    "/api/v3/rateLimit/order",
    "/api/v3/aggTrades",
    "/api/v3/allOrders",
    "/api/v3/avgPrice",
    "/api/v3/historicalTrades",
    "/api/v3/openOrderList",
    "/api/v3/order/test",
    "/api/v3/referencePrice",
    "/api/v3/ticker/bookTicker",
    "/api/v3/ticker/price",
    "/api/v3/trades",
    "/api/v3/uiKlines",
    "/api/v3/userDataStream",
}
# WebSocket API methods whose answers are not about orders of ours, or which we never call: a payload at most.
PAYLOAD_METHODS = {
    "trades.aggregate", "trades.recent", "trades.historical", "ticker.book", "ticker.24hr", "avgPrice", "exchangeInfo",
    "klines", "uiKlines", "myPreventedMatches", "orderList.status", "openOrderLists.status",
    "userDataStream.subscribe.signature",
}  # fmt: skip
# Streams that we never subscribe to.
UNRECOGNIZED_STREAMS = {"depth5@100ms", "ticker_1h"}


def lines(data_dir: Path, *name: str) -> Iterator[dict[str, Any]]:
    path = data_dir.joinpath("binance_spot", *name)
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return (json.loads(line) for line in raw.splitlines())


def orders_in(answer: object) -> list[ExecutionReport]:
    """Every report that a REST order answer carries."""
    got = PRIVATE.decode_rest_order("1", reply(answer))
    assert got.error is None, got.error
    return [] if got.report is None or got.report.report is None else [got.report.report, *got.report.fills]


def check_replace(got: Reply, answer: dict[str, Any]) -> None:
    """Both halves of a cancel-replace are the orders that the answer shows."""
    ids = [part.report.order_id for part in got.parts if part.report is not None]
    assert ids == [str(answer[half]["orderId"]) for half in ("cancelResponse", "newOrderResponse")]


def check_rest(method: str, path: str, answer: Any) -> str:
    """Decode one REST answer as the codec's caller would; the name of what it was."""
    match method, path:
        case "GET", "/api/v3/time":
            assert PUBLIC.decode_time(reply(answer)) == answer["serverTime"] * 1_000_000
        case "GET", "/api/v3/depth":
            book = PUBLIC.decode_snapshot(X, reply(answer), 1)
            assert len(book.bids) == len(answer["bids"])
        case "GET", "/api/v3/klines":
            candles = PUBLIC.decode_candles(X, INTERVAL_NS, reply(answer))
            assert [candle.open_ns for candle in candles] == [row[0] * 1_000_000 for row in answer]
            assert all(candle.closed for candle in candles)
        case "GET", "/api/v3/ticker/24hr":
            rows = answer if isinstance(answer, list) else [answer]
            tickers = PUBLIC.decode_tickers(reply(answer))
            assert [(one.symbol, one.last_px) for one in tickers] == [
                (row["symbol"], Decimal(row["lastPrice"])) for row in rows
            ]
        case "GET", "/api/v3/exchangeInfo":
            assert PUBLIC.decode_instruments(reply(answer))[0][0].symbol == answer["symbols"][0]["symbol"]
        case "GET", "/api/v3/account":
            balances = PRIVATE.decode_balances(reply(answer))
            assert [one.asset for one in balances] == [row["asset"] for row in answer["balances"]]
            assert all(isinstance(one, Balance) for one in balances)
        case "GET", "/api/v3/order":
            order = PRIVATE.decode_order_status(reply(answer))
            assert isinstance(order, ExecutionReport)
            assert order.order_id == str(answer["orderId"])
        case "GET", "/api/v3/openOrders" | "/api/v3/allOrders":
            orders = PRIVATE.decode_open_orders(reply(answer))
            assert [order.order_id for order in orders] == [str(row["orderId"]) for row in answer]
        case "GET", "/api/v3/myTrades":
            fills = PRIVATE.decode_fills(X, reply(answer))
            assert [fill.trade_id for fill in fills] == [str(row["id"]) for row in answer]
            assert all(fill.exec_type is ExecType.TRADE and fill.last_qty > 0 for fill in fills)
        case "POST" | "DELETE", "/api/v3/order":
            first, *fills = orders_in(answer)
            assert first.order_id == str(answer["orderId"])
            assert len(fills) == len(answer.get("fills", []))
        case "PUT", "/api/v3/order/amend/keepPriority":
            (first,) = orders_in(answer)
            assert first.order_id == str(answer["amendedOrder"]["orderId"])
        case "POST", "/api/v3/order/cancelReplace":
            check_replace(PRIVATE.decode_rest_order("1", reply(answer)), answer["data"])
        case "DELETE", "/api/v3/openOrders":
            orders_canceled = sum(len(row.get("orderReports", [row])) for row in answer)
            assert PRIVATE.decode_rest_order("1", reply(answer)).payload == {"orders": orders_canceled}
        case (
            "POST" | "DELETE",
            "/api/v3/orderList" | "/api/v3/orderList/oco" | "/api/v3/orderList/oto" | "/api/v3/orderList/otoco",
        ):
            expected = {"orders": len(answer["orderReports"])}
            assert PRIVATE.decode_rest_order("1", reply(answer)).payload == expected
        case _:
            assert path in OUT_OF_SCOPE_PATHS or (method, path) == ("GET", "/api/v3/orderList")
            return "out of scope"
    return path


def check_api_frame(method: str, frame: dict[str, Any]) -> str:
    events = PRIVATE.decode_entry(msgspec.json.encode(frame), RECEIVED_NS)
    answered = events[-1]
    assert isinstance(answered, Reply)
    assert answered.usage
    assert answered.error is None
    if method in PAYLOAD_METHODS:
        assert answered.payload is not None
        return "payload"
    result = frame["result"]
    if "orderReports" in result:
        assert [event.order_id for event in events[:-1] if isinstance(event, ExecutionReport)] == [
            str(row["orderId"]) for row in result["orderReports"]
        ]
        return "list"
    if method == "order.cancelReplace":
        check_replace(answered, result)
        return "replace"
    assert isinstance(answered.report, OrderState)
    order = result.get("amendedOrder", result)
    assert answered.report.order_id == str(order["orderId"])
    assert len(answered.report.fills) == len(order.get("fills", []))
    return "order"


def check_stream(frame: dict[str, Any]) -> type:
    (event,) = PUBLIC.decode(msgspec.json.encode(frame), RECEIVED_NS, 1)
    kind = frame["stream"].partition("@")[2]
    assert isinstance(event, UnrecognizedMessage) == (kind in UNRECOGNIZED_STREAMS)
    return type(event)


def test_jkorf(data_dir: Path) -> None:
    seen: Counter[str] = Counter()
    for line in lines(data_dir, "payloads", "jkorf.jsonl"):
        frames = {frame["dir"]: frame["json"] for frame in line["frames"]}
        if line["kind"] == "endpoint":
            if not line["path"].startswith("/api/v3"):
                seen["other product"] += 1
            else:
                seen[check_rest(line["method"], line["path"], frames["response"])] += 1
        elif line["kind"] == "socket":
            seen[check_api_frame(frames["send"]["method"], frames["event"])] += 1
        elif "stream" in frames["event"]:
            (acknowledged,) = PUBLIC.decode(msgspec.json.encode(frames["recv"]), RECEIVED_NS, 1)
            assert acknowledged == Reply("|1|", payload={"result": None})
            seen[check_stream(frames["event"]).__name__] += 1
        else:
            seen[check_api_frame(frames["send"]["method"], frames["recv"])] += 1
            events = PRIVATE.decode_private(msgspec.json.encode(frames["event"]), RECEIVED_NS)
            seen[type(events[0]).__name__ if events else "dropped"] += 1
    assert seen["order"] == 3
    assert seen["list"] == 2
    assert seen["ExecutionReport"] == seen["BalancesChanged"] == seen["BookTicker"] == seen["Trade"] == 1
    assert seen["dropped"] == 2
    assert seen["UnrecognizedMessage"] == 2
    assert seen["Ticker"] == 1
    assert sum(seen.values()) == 109 + 4  # the four private subscriptions are two frames each


EXECUTION_REPORTS = {
    "binance_us": (ExecType.TRADE, "0.00042"),
    "canceled": (ExecType.CANCELED, "0"),
    "custom_client_id": (ExecType.TRADE, "0.5"),
    "expired": (ExecType.EXPIRED, "0"),
    "new": (ExecType.NEW, "0"),
    "new_limit_if_touched_price_match": (ExecType.NEW, "0"),
    "new_price_match": (ExecType.NEW, "0"),
    "new_stop_limit_price_match": (ExecType.NEW, "0"),
    "pending_cancel": (ExecType.CANCELED, "0"),
    "rejected": (ExecType.REJECTED, "0"),
    "trade": (ExecType.TRADE, "0.5"),
    "trade_l_zero_new": (ExecType.ORDER_STATUS, "0"),
    "trade_l_zero_partial": (ExecType.ORDER_STATUS, "0"),
}
NAUTILUS_REST: dict[str, tuple[str, str]] = {
    "all_orders_response": ("GET", "/api/v3/allOrders"),
    "cancel_open_orders_response": ("DELETE", "/api/v3/openOrders"),
    "depth_response": ("GET", "/api/v3/depth"),
    "exchange_info_response": ("GET", "/api/v3/exchangeInfo"),
    "klines_response": ("GET", "/api/v3/klines"),
    "ticker_24hr_response": ("GET", "/api/v3/ticker/24hr"),
    "new_order_full_response": ("POST", "/api/v3/order"),
    "open_orders_response": ("GET", "/api/v3/openOrders"),
    "server_time_response": ("GET", "/api/v3/time"),
    "http_spot_market_depth": ("GET", "/api/v3/depth"),
    "http_spot_market_klines": ("GET", "/api/v3/klines"),
    "http_spot_wallet_account": ("GET", "/api/v3/account"),
}
NAUTILUS_OUT_OF_SCOPE = {
    "ticker_price_response", "trades_response", "http_spot_market_avg_price",
    "http_spot_market_ping", "http_spot_market_ticker_price", "http_spot_market_trades", "http_wallet_trading_fee",
    "http_wallet_trading_fees",
}  # fmt: skip


def test_nautilus(data_dir: Path) -> None:
    seen: set[str] = set()
    for line in lines(data_dir, "payloads", "nautilus.jsonl"):
        name = Path(line["source"]).stem
        seen.add(name)
        body = json.loads(line["raw"])
        if name in NAUTILUS_REST:
            check_rest(*NAUTILUS_REST[name], body)
        elif "execution_report" in name:
            # Older connections had other envelopes: the event itself is the same.
            event = body.get("data", body.get("event", body))
            (got,) = PRIVATE.decode_private(msgspec.json.encode({"subscriptionId": 0, "event": event}), RECEIVED_NS)
            kind = name.partition("execution_report_")[2]
            if kind == "calculated":  # a word of the futures protocol
                assert isinstance(got, UnrecognizedMessage)
                continue
            assert isinstance(got, ExecutionReport)
            exec_type, last_qty = EXECUTION_REPORTS[kind]
            assert (got.exec_type, got.last_qty) == (exec_type, Decimal(last_qty))
            assert got.order_id == str(event["i"])
        elif name.endswith("_wrapped"):
            got_all = PRIVATE.decode_private(line["raw"].encode(), RECEIVED_NS)
            assert [type(got) for got in got_all] == ([BalancesChanged] if "position" in name else [])
        elif name.startswith("ws_spot"):
            assert isinstance(PUBLIC.decode(line["raw"], RECEIVED_NS, 1)[0], Trade)
        else:
            assert name in NAUTILUS_OUT_OF_SCOPE
    assert len(seen) == 40
    assert seen >= NAUTILUS_REST.keys() | NAUTILUS_OUT_OF_SCOPE


def test_gct_streams(data_dir: Path) -> None:
    kinds: Counter[str] = Counter()
    for line in lines(data_dir, "payloads", "gct_wsHandleData.jsonl"):
        if "@" in line["stream"]:
            kinds[check_stream(line).__name__] += 1
        else:
            raw = msgspec.json.encode({"subscriptionId": 0, "event": line["data"]})
            events = PRIVATE.decode_private(raw, RECEIVED_NS)
            kinds[type(events[0]).__name__ if events else "dropped"] += 1
    assert kinds == {
        "Ticker": 1,
        "Candle": 1,
        "Trade": 1,
        "BookDelta": 1,
        "dropped": 2,
        "ExecutionReport": 1,
        "BalancesChanged": 1,
    }


def test_recorded_rest_answers(data_dir: Path) -> None:
    seen: Counter[str] = Counter()
    for line in lines(data_dir, "rest", "http_recorded.jsonl.gz"):
        if line["route"].startswith("/wapi/") or line["response"] is None:
            seen["gone or empty"] += 1
            continue
        seen[check_rest(line["method"], line["route"], line["response"])] += 1
    assert seen["/api/v3/klines"] == 9
    assert seen["/api/v3/order"] == 3
    assert seen["/api/v3/openOrders"] == seen["/api/v3/allOrders"] == 2
    assert sum(seen.values()) == 49


def test_order_book_answer(data_dir: Path) -> None:
    path = data_dir / "binance_spot" / "rest" / "order_book_BTC_USDT_2026-02-08.json.gz"
    assert check_rest("GET", "/api/v3/depth", json.loads(gzip.decompress(path.read_bytes()))) == "/api/v3/depth"


# ---- captures ----------------------------------------------------------------------------------------------------

Check = Callable[[Any, dict[str, Any]], bool]
SAME: dict[type, Check] = {
    BookDelta: lambda event, data: (
        (event.symbol, event.first_id, event.last_id) == (data["s"], data["U"], data["u"])
        and list(event.bids) == [(Decimal(price), Decimal(qty)) for price, qty in data["b"]]
        and len(event.asks) == len(data["a"])
    ),
    BookTicker: lambda event, data: (
        (event.update_id, event.symbol, event.bid_px, event.ask_qty)
        == (data["u"], data["s"], Decimal(data["b"]), Decimal(data["A"]))
    ),
    Trade: lambda event, data: (event.trade_id, event.price) == (str(data.get("t", data.get("a"))), Decimal(data["p"])),
    Candle: lambda event, data: event.open_ns == data["k"]["t"] * 1_000_000,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, expected, snapshots",
    [
        (
            "2021-10-12_4sym_with_rest_snapshots.jsonl.gz",
            {BookDelta: 177, BookTicker: 84, Trade: 2, Candle: 2},
            4,
        ),
        ("2024-08-08_btcusdt_11min.jsonl.gz", {BookDelta: 6495, BookTicker: 73174, Trade: 19904}, 1),
    ],
)
def test_every_frame_of_the_captures(data_dir: Path, name: str, expected: dict[type, int], snapshots: int) -> None:
    codec_ = BinanceSpotPublic()
    seen: Counter[type] = Counter()
    for line in lines(data_dir, "ws", name):
        if line["dir"] == "http":
            book = codec_.decode_snapshot(X, reply(line["raw"].encode()), 1)
            assert isinstance(book, BookSnapshot)
            seen[BookSnapshot] += 1
        elif line["dir"] == "recv":
            (event,) = codec_.decode(line["raw"].encode(), line["ts_ns"], 1)
            kind = type(event)
            assert SAME[kind](event, json.loads(line["raw"])["data"]), line["raw"]
            seen[kind] += 1
    assert seen == {**expected, BookSnapshot: snapshots}
