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

from protocols.enums import ExecType, OrdStatus
from protocols.errors import RemoteProtocolError
from protocols.ids import Symbol
from protocols.market import BookDelta, BookSnapshot, BookTicker, Candle, Ticker, Trade
from protocols.orders import ExecutionReport
from protocols.positions import BalancesChanged, VenuePosition
from protocols.venue import OrderState, Reply, UnrecognizedMessage
from protocols.venues.binance_usdm import BinanceUsdmPublic
from tests.protocols.binance_usdm.frames import RECEIVED_NS, codec, reply

PUBLIC, PRIVATE = BinanceUsdmPublic(), codec()
X = Symbol("X")
INTERVAL_NS = 60_000_000_000

# REST routes that nothing here asks for, by path: statistics, downloads, conversions, and other ways to the same facts.
OUT_OF_SCOPE_PATHS = {
    "/fapi/v1/adlQuantile",
    "/fapi/v1/aggTrades",
    "/fapi/v1/assetIndex",
    "/fapi/v1/commissionRate",
    "/fapi/v1/convert/acceptQuote",
    "/fapi/v1/convert/getQuote",
    "/fapi/v1/feeBurn",
    "/fapi/v1/fundingInfo",
    "/fapi/v1/fundingRate",
    "/fapi/v1/income/asyn",
    "/fapi/v1/income/asyn/id",
    "/fapi/v1/indexInfo",
    "/fapi/v1/indexPriceKlines",
    "/fapi/v1/listenKey",
    "/fapi/v1/markPriceKlines",
    "/fapi/v1/openInterest",
    "/fapi/v1/order/asyn",
    "/fapi/v1/orderAmendment",
    "/fapi/v1/positionMargin",
    "/fapi/v1/positionMargin/history",
    "/fapi/v1/premiumIndex",
    "/fapi/v1/premiumIndexKlines",
    "/fapi/v1/rateLimit/order",
    "/fapi/v1/symbolConfig",
    "/fapi/v1/ticker/bookTicker",
    "/fapi/v1/ticker/price",
    "/fapi/v1/trade/asyn",
    "/fapi/v1/trade/asyn/id",
    "/fapi/v1/trades",
    "/fapi/v2/account",
    "/fapi/v2/ticker/price",
}
OUT_OF_SCOPE_PREFIXES = ("/futures/data/", "/sapi/")
# Streams that we never subscribe to.
UNRECOGNIZED_STREAMS = {"!assetIndex@arr", "!contractInfo"}
UNRECOGNIZED_KINDS = {"compositeIndex", "forceOrder", "markPrice"}


def lines(data_dir: Path, *name: str) -> Iterator[dict[str, Any]]:
    path = data_dir.joinpath("binance_usdm", *name)
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return (json.loads(line) for line in raw.splitlines())


def check_order(answer: dict[str, Any]) -> None:
    """One order of an answer to an order request."""
    got = PRIVATE.decode_rest_order("1", reply(answer))
    assert got.error is None, got.error
    assert got.report is not None
    expected = f"A{answer['algoId']}" if "algoId" in answer else str(answer["orderId"])
    assert got.report.order_id == expected
    assert got.report.cl_ord_id == answer.get("clientAlgoId", answer.get("clientOrderId"))


def check_rest(method: str, path: str, answer: Any) -> str:
    """Decode one REST answer as the codec's caller would; the name of what it was."""
    match method, path:
        case "GET", "/fapi/v1/time":
            assert PUBLIC.decode_time(reply(answer)) == answer["serverTime"] * 1_000_000
        case "GET", "/fapi/v1/depth":
            book = PUBLIC.decode_snapshot(X, reply(answer), 1)
            assert len(book.bids) == len(answer["bids"])
        case "GET", "/fapi/v1/klines":
            candles = PUBLIC.decode_candles(X, INTERVAL_NS, reply(answer))
            assert [candle.open_ns for candle in candles] == [row[0] * 1_000_000 for row in answer]
        case "GET", "/fapi/v1/ticker/24hr":
            rows = answer if isinstance(answer, list) else [answer]
            tickers = PUBLIC.decode_tickers(reply(answer))
            assert [(one.symbol, one.last_px) for one in tickers] == [
                (row["symbol"], Decimal(row["lastPrice"])) for row in rows
            ]
        case "GET", "/fapi/v1/exchangeInfo":
            assert PUBLIC.decode_instruments(reply(answer))[0][0].symbol == answer["symbols"][0]["symbol"]
        case "GET", "/fapi/v3/balance":
            balances = PRIVATE.decode_balances(reply(answer))
            assert [one.total for one in balances] == [Decimal(row["balance"]) for row in answer]
        case "GET", "/fapi/v3/positionRisk":
            positions = PRIVATE.decode_positions(reply(answer))
            assert [one.qty for one in positions] == [Decimal(row["positionAmt"]) for row in answer]
        case ("GET", "/fapi/v1/positionSide/dual"):
            assert PRIVATE.decode_position_mode(reply(answer)) is answer["dualSidePosition"]
        case "GET", "/fapi/v1/order" | "/fapi/v1/openOrder" | "/fapi/v1/algoOrder":
            order = PRIVATE.decode_order_status(reply(answer))
            assert isinstance(order, ExecutionReport)
            assert order.order_id in (str(answer.get("orderId")), answer.get("actualOrderId"))
        case "GET", "/fapi/v1/openOrders" | "/fapi/v1/allOrders" | "/fapi/v1/openAlgoOrders" | "/fapi/v1/allAlgoOrders":
            orders = PRIVATE.decode_open_orders(reply(answer))
            assert [one.cl_ord_id for one in orders] == [
                row.get("clientAlgoId", row.get("clientOrderId")) for row in answer
            ]
        case "POST" | "PUT" | "DELETE", "/fapi/v1/order" | "/fapi/v1/algoOrder":
            check_order(answer)
        case "POST" | "DELETE", "/fapi/v1/batchOrders":
            parts = PRIVATE.decode_rest_order("1", reply(answer)).parts
            assert len(parts) == len(answer)
            for part, row in zip(parts, answer, strict=True):
                assert (part.error is not None) == ("code" in row)
                assert (part.report is not None) == ("orderId" in row)
        case "DELETE", "/fapi/v1/allOpenOrders":
            assert PRIVATE.decode_rest_order("1", reply(answer)).payload == answer
        case "POST", "/fapi/v1/countdownCancelAll":
            assert PRIVATE.decode_rest_order("1", reply(answer)).payload == answer
        case "POST", "/fapi/v1/positionSide/dual":
            assert PRIVATE.decode_rest_order("1", reply(answer)).error is None
        case _:
            assert path in OUT_OF_SCOPE_PATHS or path.startswith(OUT_OF_SCOPE_PREFIXES), (method, path)
            return "out of scope"
    return path


# ---- answers and streams of jkorf --------------------------------------------------------------------------------


def check_api_frame(frame: dict[str, Any]) -> str:
    (answered,) = PRIVATE.decode_entry(msgspec.json.encode(frame), RECEIVED_NS)
    assert isinstance(answered, Reply)
    assert answered.error is None
    assert bool(answered.usage) == ("rateLimits" in frame)
    result = frame["result"]
    if isinstance(result, dict) and result.keys() & {"orderId", "algoId"}:
        assert isinstance(answered.report, OrderState)
        assert answered.report.report is not None
        return "order"
    assert answered.payload is not None
    return "payload"


def check_stream(frame: dict[str, Any]) -> str:
    (event,) = PUBLIC.decode(msgspec.json.encode(frame), RECEIVED_NS, 1)
    kind = frame["stream"].partition("@")[2].partition("@")[0]
    unknown = frame["stream"] in UNRECOGNIZED_STREAMS or kind in UNRECOGNIZED_KINDS
    assert isinstance(event, UnrecognizedMessage) == unknown
    return type(event).__name__


USER_EVENTS: dict[str, tuple[type, ...]] = {
    "ACCOUNT_UPDATE": (BalancesChanged, VenuePosition, VenuePosition, VenuePosition),
    "ALGO_UPDATE": (ExecutionReport,),
    "ACCOUNT_CONFIG_UPDATE": (UnrecognizedMessage,),
    "MARGIN_CALL": (UnrecognizedMessage,),
    "STRATEGY_UPDATE": (),
    "TRADE_LITE": (),
}


def test_jkorf(data_dir: Path) -> None:
    seen: Counter[str] = Counter()
    for line in lines(data_dir, "payloads", "jkorf.jsonl"):
        frames = {frame["dir"]: frame["json"] for frame in line["frames"]}
        if line["kind"] == "endpoint":
            seen[check_rest(line["method"], line["path"], frames["response"])] += 1
        elif line["kind"] == "socket":
            seen[check_api_frame(frames["event"])] += 1
        elif frames["event"]["stream"] == "123":  # a listen key
            acknowledged = PRIVATE.decode_private(msgspec.json.encode(frames["recv"]), RECEIVED_NS)
            assert acknowledged == (Reply("|1|", payload={"result": None}),)
            events = PRIVATE.decode_private(msgspec.json.encode(frames["event"]), RECEIVED_NS)
            name = frames["event"]["data"]["e"]
            assert tuple(type(event) for event in events) == USER_EVENTS[name]
            seen[name] += 1
        else:
            seen[check_stream(frames["event"])] += 1
    assert sum(seen.values()) == 84
    assert seen["/fapi/v1/order"] == 4
    assert seen["/fapi/v1/algoOrder"] == 3
    assert seen["/fapi/v1/batchOrders"] == 2
    assert seen["order"] == 4
    assert seen["payload"] == 7
    assert seen["BookDelta"] == seen["BookTicker"] == 1
    assert seen["UnrecognizedMessage"] == 5
    assert seen["ACCOUNT_CONFIG_UPDATE"] == 2


# ---- files of nautilus -------------------------------------------------------------------------------------------

NAUTILUS_REST: dict[str, tuple[str, str]] = {
    "balance": ("GET", "/fapi/v3/balance"),
    "order_response": ("POST", "/fapi/v1/order"),
    "position_risk": ("GET", "/fapi/v3/positionRisk"),
    "http_futures_account_position_side_dual": ("GET", "/fapi/v1/positionSide/dual"),
    "http_futures_account_positions_hedge": ("GET", "/fapi/v3/positionRisk"),
    "http_futures_account_positions_one_way": ("GET", "/fapi/v3/positionRisk"),
    "http_futures_market_exchange_info": ("GET", "/fapi/v1/exchangeInfo"),
    "http_futures_market_klines": ("GET", "/fapi/v1/klines"),
    "http_futures_market_ticker_24hr": ("GET", "/fapi/v1/ticker/24hr"),
}
NAUTILUS_OUT_OF_SCOPE = {
    "account_info_v2", "http_futures_account_symbol_config", "http_futures_market_agg_trades",
    "http_futures_market_asset_index", "http_futures_market_blvt_nav_kline", "http_futures_market_book_ticker",
    "http_futures_market_funding_rate", "http_futures_market_global_long_short_account_ratio",
    "http_futures_market_index_price_klines", "http_futures_market_mark_price_klines",
    "http_futures_market_open_interest", "http_futures_market_ticker_price",
    "http_futures_market_top_long_short_account_ratio", "http_futures_wallet_commission_rate_btcusdt",
    "http_futures_wallet_commission_rate_btcusdt_quarterly", "http_futures_wallet_commission_rate_ethusdt",
}  # fmt: skip
NAUTILUS_STREAMS: dict[str, tuple[str, type]] = {
    "book_ticker_stream": ("bnbusdt@bookTicker", BookTicker),
    "depth_update_stream": ("btcusdt@depth", BookDelta),
    "kline_stream_closed": ("btcusdt@kline_1m", Candle),
    "trade_stream": ("btcusdt@trade", Trade),
    "liquidation_stream": ("btcusdt@forceOrder", UnrecognizedMessage),
    "mark_price_stream": ("btcusdt@markPrice", UnrecognizedMessage),
    "ticker_stream": ("btcusdt@ticker", Ticker),
    "ws_futures_book_ticker": ("bnbusdt@bookTicker", BookTicker),
    "ws_futures_depth_diff_update": ("btcusdt@depth@0ms", BookDelta),
    "ws_futures_depth_update": ("btcusdt@depth5", UnrecognizedMessage),  # a partial book that says depthUpdate
}
T, S, N = ExecType.TRADE, ExecType.ORDER_STATUS, ExecType.NEW
NAUTILUS_ORDERS: dict[str, tuple[ExecType, OrdStatus, str]] = {
    "algo_update_canceled": (ExecType.CANCELED, OrdStatus.CANCELED, "0"),
    "algo_update_new": (N, OrdStatus.NEW, "0"),
    "ws_futures_algo_update_triggering": (S, OrdStatus.NEW, "0"),
    "ws_futures_algo_update_triggered": (S, OrdStatus.NEW, "0"),
    "ws_futures_algo_update_finished": (S, OrdStatus.FILLED, "0"),
    "ws_futures_algo_update_finished_canceled": (S, OrdStatus.CANCELED, "0"),
    "order_update_adl": (T, OrdStatus.FILLED, "0.005"),
    "order_update_calculated": (T, OrdStatus.FILLED, "0.014"),
    "order_update_calculated_pending": (S, OrdStatus.NEW, "0"),
    "order_update_new": (N, OrdStatus.NEW, "0"),
    "order_update_settlement": (T, OrdStatus.FILLED, "0.010"),
    "order_update_trade": (T, OrdStatus.PARTIALLY_FILLED, "0.001"),
    "order_update_trade_partial": (T, OrdStatus.PARTIALLY_FILLED, "0.001"),
    "ws_futures_order_update_adl": (T, OrdStatus.FILLED, "1"),
    "ws_futures_order_update_adl_filled": (T, OrdStatus.FILLED, "1"),
    "ws_futures_order_update_liquidation_zero_qty": (S, OrdStatus.FILLED, "0"),
    "ws_futures_order_update_new_limit_if_touched_price_match": (N, OrdStatus.NEW, "0"),
    "ws_futures_order_update_new_price_match": (N, OrdStatus.NEW, "0"),
    "ws_futures_order_update_new_reduce_only_qty": (N, OrdStatus.NEW, "0"),
    "ws_futures_order_update_new_stop_limit_price_match": (N, OrdStatus.NEW, "0"),
    "ws_futures_order_update_settlement": (T, OrdStatus.FILLED, "0.05"),
    "ws_futures_order_update_trade_reduce_only_qty": (T, OrdStatus.FILLED, "1"),
}
NAUTILUS_DROPPED = {"trade_lite", "ws_futures_trade_lite"}


def test_nautilus(data_dir: Path) -> None:
    private = codec()
    seen: set[str] = set()
    for line in lines(data_dir, "payloads", "nautilus.jsonl"):
        name = Path(line["source"]).stem
        seen.add(name)
        raw = line["raw"].encode()
        if name in NAUTILUS_REST:
            check_rest(*NAUTILUS_REST[name], json.loads(raw))
        elif name in NAUTILUS_STREAMS:
            stream, kind = NAUTILUS_STREAMS[name]
            (event,) = PUBLIC.decode(msgspec.json.encode({"stream": stream, "data": json.loads(raw)}), RECEIVED_NS, 1)
            assert type(event) is kind, name
        elif name in NAUTILUS_ORDERS:
            (report,) = private.decode_private(raw, RECEIVED_NS)
            assert isinstance(report, ExecutionReport)
            exec_type, status, last_qty = NAUTILUS_ORDERS[name]
            assert (report.exec_type, report.ord_status) == (exec_type, status), name
            assert report.last_qty == Decimal(last_qty)
        elif name in NAUTILUS_DROPPED:
            assert private.decode_private(raw, RECEIVED_NS) == ()
        else:
            assert name in NAUTILUS_OUT_OF_SCOPE, name
    everything = (NAUTILUS_REST, NAUTILUS_STREAMS, NAUTILUS_ORDERS, NAUTILUS_DROPPED, NAUTILUS_OUT_OF_SCOPE)
    assert seen == {name for names in everything for name in names}


def test_recorded_rest_answers(data_dir: Path) -> None:
    seen: Counter[str] = Counter()
    for line in lines(data_dir, "rest", "http_recorded.jsonl.gz"):
        answer = line["response"]
        if isinstance(answer, dict) and "code" in answer:
            with pytest.raises(RemoteProtocolError):
                PUBLIC.decode_time(reply(answer, 400))
            error = PUBLIC.error(reply(answer, 400))
            assert error is not None
            assert error.code == str(answer["code"])
            seen["refusal"] += 1
            continue
        seen[check_rest(line["method"], line["route"], answer)] += 1
    assert seen["/fapi/v1/klines"] == 4
    assert seen["/fapi/v1/depth"] == 2
    assert seen["/fapi/v1/time"] == 1
    assert seen["refusal"] == 1
    assert sum(seen.values()) == 43


# ---- captures ----------------------------------------------------------------------------------------------------

Check = Callable[[Any, dict[str, Any]], bool]
SAME: dict[type, Check] = {
    BookDelta: lambda event, data: (
        (event.symbol, event.first_id, event.last_id, event.prev_id) == (data["s"], data["U"], data["u"], data["pu"])
        and list(event.bids) == [(Decimal(price), Decimal(qty)) for price, qty in data["b"]]
        and len(event.asks) == len(data["a"])
    ),
    BookTicker: lambda event, data: (
        (event.update_id, event.symbol, event.bid_px, event.ask_qty, event.event_ns)
        == (data["u"], data["s"], Decimal(data["b"]), Decimal(data["A"]), data["E"] * 1_000_000)
    ),
    Trade: lambda event, data: (event.trade_id, event.price) == (str(data.get("t", data.get("a"))), Decimal(data["p"])),
    Candle: lambda event, data: event.open_ns == data["k"]["t"] * 1_000_000,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, expected, snapshots",
    [
        (
            "2021-07-22_4sym_with_rest_snapshots.jsonl.gz",
            {BookDelta: 764, BookTicker: 613, Trade: 91, Candle: 67},
            4,
        ),
        ("2024-08-08_btcusdt_6min.jsonl.gz", {BookDelta: 6551, BookTicker: 66089, Trade: 21313}, 1),
    ],
)
def test_every_frame_of_the_captures(data_dir: Path, name: str, expected: dict[type, int], snapshots: int) -> None:
    codec_ = BinanceUsdmPublic()
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
