"""Every recorded payload of this venue: what is in scope decodes to its type, what is not is listed here by name."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from protocols.enums import ExecType, OrdStatus, OrdType
from protocols.ids import Symbol
from protocols.instruments import Product
from protocols.market import BookDelta, BookSnapshot, BookTicker, Candle, Ticker, Trade
from protocols.orders import ExecutionReport
from protocols.positions import BalancesChanged, VenuePosition
from protocols.venue import Disposition, OrderState, Reply, UnrecognizedMessage
from protocols.venues.bybit import BybitPrivate
from tests.protocols.bybit.frames import LINEAR, RECEIVED_NS, SPOT, codec, public, reply

X = Symbol("X")
MS = 1_000_000
MINUTE_NS = 60_000_000_000
PRODUCTS = {"spot": SPOT, "linear": LINEAR}
CODECS: dict[Product, BybitPrivate] = {product: codec(product) for product in PRODUCTS.values()}

# REST routes that nothing here asks for, by path or by its beginning.
OUT_OF_SCOPE = (
    "/v5/asset/", "/v5/broker/", "/v5/user/", "/v5/spot-lever-token/", "/v5/spot-margin-trade/", "/v5/spread/",
    "/v5/system/status",
    "/v5/account/quick-repayment", "/v5/account/set-collateral-switch",
    "/v5/account/set-collateral-switch-batch", "/v5/account/set-hedging-mode", "/v5/account/set-limit-px-action",
    "/v5/account/set-margin-mode", "/v5/account/trade-info-for-analysis", "/v5/account/transaction-log",
    "/v5/market/historical-volatility", "/v5/market/index-price-kline", "/v5/market/insurance",
    "/v5/market/premium-index-price-kline", "/v5/market/price-limit", "/v5/market/risk-limit",
    "/v5/order/disconnected-cancel-all", "/v5/order/spot-borrow-check",
    "/v5/position/add-margin", "/v5/position/set-risk-limit", "/v5/position/set-tpsl-mode",
)  # fmt: skip
# Topics that we never subscribe to.
OUT_OF_SCOPE_TOPICS = {"allLiquidation", "priceLimit", "trade", "greeks", "spread", "execution.fast"}
# Products that these codecs do not carry out.
OTHER_CATEGORIES = {"inverse", "option", "combination"}


def lines(data_dir: Path, *name: str) -> Iterator[dict[str, Any]]:
    path = data_dir.joinpath("bybit", *name)
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return (json.loads(line) for line in raw.splitlines() if line.strip())


def check_rest(path: str, body: dict[str, Any]) -> str:
    """Decode one REST answer as the codec's caller would; the name of what it was."""
    answer = reply(body)
    result = body.get("result", {})
    rows = result.get("list", []) if isinstance(result, dict) else []
    category = result.get("category", "linear") if isinstance(result, dict) else ""
    match path:
        case "/v5/market/instruments-info" | "/v5/account/instruments-info":
            if category in OTHER_CATEGORIES:
                return "other product"
            found, _ = public(PRODUCTS[category]).decode_instruments(answer)
            assert [one.symbol for one in found] == [row["symbol"] for row in rows]
        case "/v5/market/orderbook":
            book = public(SPOT).decode_snapshot(Symbol(result["s"]), answer, 1)
            assert (book.last_id, len(book.bids), len(book.asks)) == (result["u"], len(result["b"]), len(result["a"]))
        case "/v5/market/kline":
            candles = public(PRODUCTS[category]).decode_candles(X, MINUTE_NS, answer)
            assert [candle.open_ns for candle in candles] == sorted(int(row[0]) * MS for row in rows)
        case "/v5/market/tickers":
            if category in OTHER_CATEGORIES:
                return "other product"
            tickers = public(PRODUCTS[category]).decode_tickers(answer)
            assert [(one.symbol, one.last_px) for one in tickers] == [
                (row["symbol"], Decimal(row["lastPrice"])) for row in rows
            ]
        case "/v5/account/info":
            assert CODECS[LINEAR].decode_account_kind(answer) == ""
        case "/v5/account/wallet-balance":
            balances = CODECS[LINEAR].decode_balances(answer)
            assert [one.asset for one in balances] == [coin["coin"] for row in rows for coin in row["coin"]]
        case "/v5/order/realtime":
            order = CODECS[LINEAR].decode_order_status(answer)
            assert isinstance(order, ExecutionReport)
            assert order.order_id == rows[0]["orderId"]
        case "/v5/execution/list":
            fills = CODECS[LINEAR].decode_fills(X, answer)
            assert {fill.trade_id for fill in fills} == {row["execId"] for row in rows}
            assert all(fill.exec_type is ExecType.TRADE and fill.last_qty > 0 for fill in fills)
        case "/v5/position/list":
            positions = CODECS[LINEAR].decode_positions(answer)
            assert [abs(one.qty) for one in positions] == [Decimal(row["size"]) for row in rows]
        case "/v5/order/create" | "/v5/order/amend" | "/v5/order/cancel":
            state = CODECS[LINEAR].decode_rest_order("1", answer).report
            assert isinstance(state, OrderState)
            assert (state.order_id, state.cl_ord_id) == (result["orderId"], result["orderLinkId"])
        case "/v5/order/cancel-all":
            assert CODECS[LINEAR].decode_rest_order("1", answer).payload == {"orders": len(rows)}
        case "/v5/order/cancel-batch":
            first, second = CODECS[SPOT].decode_rest_order("1", answer).parts
            assert first.report is not None
            assert second.error is not None
            assert second.error.disposition is Disposition.NOT_FOUND
        case _:
            assert path.startswith(OUT_OF_SCOPE), path
            return "out of scope"
    return path


def check_public(frame: dict[str, Any], product: Product) -> str:
    events = list(public(product).decode(msgspec.json.encode(frame), RECEIVED_NS, 1))
    kind = frame["topic"].partition(".")[0]
    assert any(isinstance(event, UnrecognizedMessage) for event in events) == (kind in OUT_OF_SCOPE_TOPICS)
    return type(events[0]).__name__


def check_private(frame: dict[str, Any]) -> list[str]:
    """What each product's codec makes of a frame: every row must be an event of exactly one of them."""
    raw = msgspec.json.encode(frame)
    names = []
    for product, private in CODECS.items():
        for event in private.decode_private(raw, RECEIVED_NS):
            assert isinstance(event, ExecutionReport | BalancesChanged | VenuePosition | UnrecognizedMessage)
            if product is LINEAR or not isinstance(event, BalancesChanged | UnrecognizedMessage):
                names.append(type(event).__name__)
    return names


def test_jkorf(data_dir: Path) -> None:
    seen: Counter[str] = Counter()
    for line in lines(data_dir, "payloads", "jkorf.jsonl"):
        frames = {frame["dir"]: frame["json"] for frame in line["frames"]}
        if line["kind"] == "endpoint":
            seen[check_rest(line["path"], frames["response"])] += 1
        elif line["kind"] == "socket":
            (logged_on,) = CODECS[LINEAR].decode_entry(msgspec.json.encode(frames["recv"]), RECEIVED_NS)
            assert logged_on == Reply("|1|", payload={"op": "auth"})
            (answered,) = CODECS[LINEAR].decode_entry(msgspec.json.encode(frames["event"]), RECEIVED_NS)
            assert isinstance(answered, Reply)
            assert answered.report is not None
            assert answered.report.order_id == frames["event"]["data"]["orderId"]
            seen["order on the socket"] += 1
        elif "/Private/" in line["source"]:
            for frame in (one["json"] for one in line["frames"] if one["dir"] == "recv"):
                (answered,) = CODECS[LINEAR].decode_private(msgspec.json.encode(frame), RECEIVED_NS)
                assert answered == Reply(frame["req_id"], payload={"op": frame["op"]})
            names = check_private(frames["event"])
            assert names or frames["event"]["data"][0].get("category") in OTHER_CATEGORIES
            seen.update(names or ["other product"])
        else:
            product = SPOT if "/Spot/" in line["source"] else LINEAR
            (answered,) = public(product).decode(msgspec.json.encode(frames["recv"]), RECEIVED_NS, 1)
            assert answered == Reply("|1|", payload={"op": "subscribe"})
            seen[check_public(frames["event"], product)] += 1
    assert seen == EXPECTED_JKORF


EXPECTED_JKORF = {
    "/v5/account/info": 1,
    "/v5/account/instruments-info": 1,
    "/v5/account/wallet-balance": 1,
    "/v5/market/instruments-info": 2,
    "/v5/order/amend": 1,
    "/v5/order/cancel": 1,
    "/v5/order/cancel-all": 1,
    "/v5/order/cancel-batch": 1,
    "/v5/order/create": 1,
    "ExecutionReport": 1,
    "Trade": 1,
    "UnrecognizedMessage": 4,
    "order on the socket": 1,
    "other product": 3,
    "out of scope": 56,
}

NAUTILUS_REST = {
    "http_get_account_info": "/v5/account/info",
    "http_get_executions": "/v5/execution/list",
    "http_get_instruments_linear_symbol_type": "/v5/market/instruments-info",
    "http_get_klines_linear": "/v5/market/kline",
    "http_get_order_partially_filled_rejected": "/v5/order/realtime",
    "http_get_orderbook": "/v5/market/orderbook",
    "http_get_positions": "/v5/position/list",
    "http_get_positions_with_open_time": "/v5/position/list",
    "http_get_wallet_balance": "/v5/account/wallet-balance",
    "http_get_wallet_balance_spot_short": "/v5/account/wallet-balance",
}
NAUTILUS_OUT_OF_SCOPE = {
    "http_get_instruments_inverse", "http_get_instruments_inverse_symbol_type",
    "http_get_instruments_option", "http_get_instruments_option_symbol_id", "http_get_user_escrow_sub_members",
    "http_get_user_query_api", "http_get_user_sub_members", "http_post_user_update_master_api",
    "http_post_user_update_sub_api",
}  # fmt: skip
NAUTILUS_EVENTS = {
    "ws_account_execution": "ExecutionReport",
    "ws_account_execution_adl": "ExecutionReport",
    "ws_account_execution_fast": "UnrecognizedMessage",
    "ws_account_execution_fast_envelope_id": "UnrecognizedMessage",
    "ws_account_order_filled": "ExecutionReport",
    "ws_account_order_limit_if_touched": "ExecutionReport",
    "ws_account_order_market_if_touched": "ExecutionReport",
    "ws_account_order_sell_market_if_touched": "ExecutionReport",
    "ws_account_order_stop_limit": "ExecutionReport",
    "ws_account_position": "VenuePosition",
    "ws_account_position_short": "VenuePosition",
    "ws_account_wallet": "BalancesChanged",
    "ws_account_wallet_locked_exceeds_total": "BalancesChanged",
}
NAUTILUS_PUBLIC = {
    "ws_kline": "Candle",
    "ws_public_trade": "UnrecognizedMessage",  # a topic that never was: trade.linear.BTCUSDT
    "ws_orderbook_delta": "UnrecognizedMessage",  # level 1 has sent no deltas since 2025-03-20
    "ws_orderbook_snapshot": "BookTicker",
    "ws_ticker_linear": "Ticker",
    "ws_ticker_option": "Ticker",
}
CONDITIONAL = {
    "ws_account_order_limit_if_touched": OrdType.TAKE_PROFIT_LIMIT,
    "ws_account_order_market_if_touched": OrdType.TAKE_PROFIT,
    "ws_account_order_sell_market_if_touched": OrdType.TAKE_PROFIT,
    "ws_account_order_stop_limit": OrdType.STOP_LIMIT,
}


def test_nautilus(data_dir: Path) -> None:
    seen: set[str] = set()
    for line in lines(data_dir, "payloads", "nautilus.jsonl"):
        name = Path(line["source"]).stem
        seen.add(name)
        body = json.loads(line["raw"])
        raw = line["raw"].encode()
        if name in NAUTILUS_REST:
            check_rest(NAUTILUS_REST[name], body)
        elif name in NAUTILUS_EVENTS:
            assert set(check_private(body)) == {NAUTILUS_EVENTS[name]}, name
        elif name in NAUTILUS_PUBLIC:
            (event, *_) = public(LINEAR).decode(raw, RECEIVED_NS, 1)
            assert type(event).__name__ == NAUTILUS_PUBLIC[name], name
        elif name in ("ws_auth_success", "ws_auth_failure", "ws_order_response", "ws_subscription_ack"):
            decode = CODECS[LINEAR].decode_entry if name == "ws_order_response" else CODECS[LINEAR].decode_private
            (answered,) = decode(raw, RECEIVED_NS)
            assert isinstance(answered, Reply)
            assert (answered.error is not None) == (name == "ws_auth_failure")
        elif name == "ws_account_position_with_open_time":  # a row without its frame
            frame = {"topic": "position", "creationTime": 1, "data": [body]}
            assert check_private(frame) == ["VenuePosition"]
        else:
            assert name in NAUTILUS_OUT_OF_SCOPE, name
    assert len(seen) == 43


def test_nautilus_meanings(data_dir: Path) -> None:
    bodies = {Path(line["source"]).stem: line["raw"] for line in lines(data_dir, "payloads", "nautilus.jsonl")}
    rejected = CODECS[LINEAR].decode_order_status(reply(bodies["http_get_order_partially_filled_rejected"].encode()))
    assert isinstance(rejected, ExecutionReport)
    assert (rejected.ord_status, rejected.cum_qty, rejected.text) == (
        OrdStatus.CANCELED,
        Decimal("0.005"),
        "INSUFFICIENT_MARGIN",
    )
    (adl,) = CODECS[LINEAR].decode_private(bodies["ws_account_execution_adl"], RECEIVED_NS)
    assert isinstance(adl, ExecutionReport)
    assert (adl.text, adl.last_qty, adl.cl_ord_id) == ("AdlTrade", Decimal("0.5"), "")
    (short,) = CODECS[LINEAR].decode_private(bodies["ws_account_position_short"], RECEIVED_NS)
    assert isinstance(short, VenuePosition)
    assert short.qty < 0
    (wallet,) = CODECS[LINEAR].decode_private(bodies["ws_account_wallet_locked_exceeds_total"], RECEIVED_NS)
    assert isinstance(wallet, BalancesChanged)
    assert (wallet.balances[0].free, wallet.balances[0].locked) == (Decimal(0), Decimal(100))
    for name, ord_type in CONDITIONAL.items():
        (order,) = CODECS[LINEAR].decode_private(bodies[name], RECEIVED_NS)
        assert isinstance(order, ExecutionReport)
        assert (order.ord_type, order.ord_status) == (ord_type, OrdStatus.NEW), name


def test_gct_private_frames(data_dir: Path) -> None:
    seen: Counter[str] = Counter()
    for frame in lines(data_dir, "payloads", "gct_wsAuth.jsonl"):
        seen.update(f"{frame['topic']}: {name}" for name in check_private(frame) or ["none"])
    assert seen == EXPECTED_GCT


EXPECTED_GCT = {
    "execution: ExecutionReport": 1,
    "greeks: UnrecognizedMessage": 1,
    "order: ExecutionReport": 1,
    "order: none": 1,
    "position: VenuePosition": 1,
    "wallet: BalancesChanged": 2,
}


def test_recorded_rest_answers(data_dir: Path) -> None:
    folder = data_dir / "bybit" / "rest"
    book = json.loads(gzip.decompress((folder / "order_book_BTC_USDT_2026-02-08.json.gz").read_bytes()))
    assert check_rest("/v5/market/orderbook", book) == "/v5/market/orderbook"
    tickers = json.loads(gzip.decompress((folder / "tickers_BTC_ETH_2026-02-08.json.gz").read_bytes()))
    assert check_rest("/v5/market/tickers", tickers) == "/v5/market/tickers"


# ---- captures ----------------------------------------------------------------------------------------------------

CONNECTIONS = {"BYBIT.ws.1.0": LINEAR, "BYBIT.ws.2": LINEAR, "BYBIT.ws.3": SPOT}


@pytest.mark.parametrize(
    "name, expected",
    [
        (
            "2026-08-09_btcusdt_dogeusdt_v5.jsonl.gz",
            {BookSnapshot: 3, BookDelta: 1091, Candle: 51, Reply: 24, Ticker: 390},
        ),
        ("2025-06-13_orderbook1_linear.jsonl.gz", {BookTicker: 198, Reply: 4}),
    ],
)
def test_every_frame_of_the_captures(data_dir: Path, name: str, expected: dict[type, int]) -> None:
    codecs = {connection: public(product) for connection, product in CONNECTIONS.items()}
    seen: Counter[type] = Counter()
    trade_rows = 0
    for line in lines(data_dir, "ws", name):
        if line["dir"] != "recv":
            continue
        frame = json.loads(line["raw"])
        for event in codecs[line["conn"]].decode(line["raw"].encode(), line["ts_ns"], 1):
            seen[type(event)] += 1
            if isinstance(event, Ticker):
                data = frame["data"]
                assert event.symbol == data["symbol"]
                assert event.bid_px == Decimal(data["bid1Price"]) if "bid1Price" in data else True
                assert event.last_px == Decimal(data["lastPrice"]) if "lastPrice" in data else event.last_px
            elif isinstance(event, Candle):
                row = {row["start"] * MS: row for row in frame["data"]}[event.open_ns]
                assert (event.close, event.closed) == (Decimal(row["close"]), row["confirm"])

            elif isinstance(event, Trade):
                rows = {row["i"]: row for row in frame["data"]}
                assert (event.price, event.qty) == (
                    Decimal(rows[event.trade_id]["p"]),
                    Decimal(rows[event.trade_id]["v"]),
                )
                assert event.event_ns == rows[event.trade_id]["T"] * MS
            elif isinstance(event, Reply):
                assert event.payload == {"op": "subscribe"}
        if frame.get("topic", "").startswith("publicTrade."):
            trade_rows += len(frame["data"])
    assert seen.pop(Trade, 0) == trade_rows
    assert seen == expected
