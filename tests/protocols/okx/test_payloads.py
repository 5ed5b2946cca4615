"""Every recorded or documented payload: what is in scope becomes the right typed event, the rest is named here.

The files come from other projects' tests: some are captures, most are the venue's documentation examples.
"""

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

from protocols.base import Message
from protocols.enums import ExecType, Liquidity, OrdStatus, OrdType
from protocols.errors import RemoteProtocolError
from protocols.ids import Symbol
from protocols.instruments import Product
from protocols.market import BookDelta, BookSnapshot, BookTicker, Candle, Ticker, Trade
from protocols.orders import ExecutionReport
from protocols.positions import Balance, BalancesChanged
from protocols.venue import OrderState, Reply, UnrecognizedMessage
from protocols.venues.okx import OkxPublic
from protocols.venues.okx.encode import LOGIN_ID
from tests.protocols.okx.frames import RECEIVED_NS, codec, reply

D = Decimal
X = Symbol("X")
PUBLIC = {product: OkxPublic(product) for product in (Product.SPOT, Product.LINEAR)}
PRIVATE = {product: codec(product) for product in (Product.SPOT, Product.LINEAR)}
MINUTE = 60_000_000_000

# Endpoints that we never ask, grouped as the source groups them.
OUT_OF_SCOPE_PATHS = {
    "/api/v5/account/account-level-switch-preset", "/api/v5/account/account-position-risk",
    "/api/v5/account/bills", "/api/v5/account/bills-archive", "/api/v5/account/config", "/api/v5/account/greeks",
    "/api/v5/account/interest-accrued", "/api/v5/account/leverage-info", "/api/v5/account/max-avail-size",
    "/api/v5/account/max-loan", "/api/v5/account/max-size", "/api/v5/account/max-withdrawal",
    "/api/v5/account/position/margin-balance", "/api/v5/account/positions-history",
    "/api/v5/account/set-auto-repay", "/api/v5/account/set-leverage", "/api/v5/account/spot-borrow-repay-history",
    "/api/v5/account/spot-manual-borrow-repay", "/api/v5/affiliate/invitee/detail",
    "/api/v5/asset/asset-valuation", "/api/v5/asset/bills-history", "/api/v5/asset/currencies",
    "/api/v5/asset/deposit-address", "/api/v5/asset/deposit-history", "/api/v5/asset/transfer",
    "/api/v5/asset/transfer-state", "/api/v5/asset/withdrawal-history", "/api/v5/asset/withdrawal-lightning",
    "/api/v5/finance/savings/balance", "/api/v5/trade/easy-convert-currency-list",
    "/api/v5/trade/easy-convert-history",
    "/api/v5/market/block-ticker", "/api/v5/market/index-components", "/api/v5/market/index-tickers",
    "/api/v5/market/history-trades", "/api/v5/market/mark-price-candles", "/api/v5/market/open-oracle",
    "/api/v5/public/block-trades", "/api/v5/public/convert-contract-coin",
    "/api/v5/public/delivery-exercise-history", "/api/v5/public/estimated-price",
    "/api/v5/public/estimated-settlement-info", "/api/v5/public/funding-rate-history",
    "/api/v5/public/insurance-fund", "/api/v5/public/interest-rate-loan-quota", "/api/v5/public/mark-price",
    "/api/v5/public/open-interest", "/api/v5/public/position-tiers", "/api/v5/public/price-limit",
    "/api/v5/public/settlement-history", "/api/v5/public/underlying",
    "/api/v5/public/vip-interest-rate-loan-quota", "/api/v5/support/announcement-types",
    "/api/v5/support/announcements",
    "/api/v5/rubik/stat/contracts/long-short-account-ratio", "/api/v5/rubik/stat/contracts/open-interest-volume",
    "/api/v5/rubik/stat/margin/loan-ratio", "/api/v5/rubik/stat/option/open-interest-volume",
    "/api/v5/rubik/stat/option/open-interest-volume-expiry", "/api/v5/rubik/stat/option/taker-block-volume",
    "/api/v5/rubik/stat/taker-volume", "/api/v5/rubik/stat/trading-data/support-coin",
    # closing by command, the venue's own counts of us
    "/api/v5/trade/account-rate-limit", "/api/v5/trade/close-position",
}  # fmt: skip
# Channels that we never subscribe to.
UNRECOGNIZED_CHANNELS = {
    "account-greeks", "algo-advance", "balance_and_position", "books5", "candle1D", "deposit-info", "estimated-price",
    "fills", "funding-rate", "liquidation-warning", "mark-price", "mark-price-candle1D", "open-interest",
    "opt-summary", "price-limit", "sprd-orders",
}  # fmt: skip
PRIVATE_CHANNELS = {
    "account", "account-greeks", "algo-advance", "balance_and_position", "deposit-info", "fills",
    "liquidation-warning", "orders", "orders-algo", "positions", "sprd-orders",
}  # fmt: skip


def lines(data_dir: Path, *name: str) -> Iterator[dict[str, Any]]:
    path = data_dir.joinpath("okx", *name)
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return (json.loads(line) for line in raw.splitlines())


def product_of(rows: list[dict[str, Any]]) -> Product:
    return Product.LINEAR if rows and rows[0].get("instType") == "SWAP" else Product.SPOT


def check_rest(path: str, body: dict[str, Any]) -> str:
    """Decode one REST answer as the codec's caller would; the name of what it was."""
    rows = body["data"]
    match path:
        case "/api/v5/public/time":
            assert PUBLIC[Product.SPOT].decode_time(reply(body)) == int(rows[0]["ts"]) * 1_000_000
        case "/api/v5/market/books" if "seqId" not in rows[0]:
            with pytest.raises(RemoteProtocolError, match="seqId"):
                PUBLIC[Product.SPOT].decode_snapshot(X, reply(body), 1)
            return "book of a time without sequence numbers"
        case "/api/v5/market/books":
            book = PUBLIC[Product.SPOT].decode_snapshot(X, reply(body), 1)
            assert book.last_id == rows[0]["seqId"]
            assert [[str(p), str(q)] for p, q in book.bids] == [row[:2] for row in rows[0]["bids"]]
            assert len(book.asks) == len(rows[0]["asks"])
        case "/api/v5/market/candles" | "/api/v5/market/history-candles":
            candles = PUBLIC[Product.SPOT].decode_candles(X, MINUTE, reply(body))
            assert len(candles) == sum(row[8] == "1" for row in rows)
        case "/api/v5/market/ticker" | "/api/v5/market/tickers":
            tickers = PUBLIC[Product.SPOT].decode_tickers(reply(body))
            assert [(one.symbol, one.last_px) for one in tickers] == [(row["instId"], D(row["last"])) for row in rows]
        case "/api/v5/public/instruments":
            product = product_of(rows)
            instruments, _ = PUBLIC[product].decode_instruments(reply(body))
            wanted = [row["instId"] for row in rows if product is Product.SPOT or row["ctType"] == "linear"]
            assert [one.symbol for one in instruments] == ([] if rows[0]["instType"] == "OPTION" else wanted)
        case "/api/v5/account/balance":
            balances = PRIVATE[Product.SPOT].decode_balances(reply(body))
            details = rows[0]["details"]
            assert [(one.asset, one.total) for one in balances] == [(row["ccy"], D(row["cashBal"])) for row in details]
            assert all(isinstance(one, Balance) for one in balances)
        case "/api/v5/account/positions":
            positions = PRIVATE[Product.LINEAR].decode_positions(reply(body))
            assert len(positions) == sum(row["instType"] == "SWAP" for row in rows)
        case "/api/v5/trade/orders-pending" | "/api/v5/trade/orders-history" | "/api/v5/trade/orders-history-archive":
            orders = PRIVATE[product_of(rows)].decode_open_orders(reply(body))
            assert [one.order_id for one in orders] == [row["ordId"] for row in rows]
            assert all(one.exec_type is ExecType.ORDER_STATUS for one in orders)
            assert [one.cum_qty for one in orders] == [D(row["accFillSz"]) for row in rows]
        case "/api/v5/trade/fills":
            fills = PRIVATE[Product.SPOT].decode_fills(X, reply(body))
            assert [fill.trade_id for fill in fills] == [row["tradeId"] for row in rows]
            assert [fill.fee for fill in fills] == [-D(row["fee"] or 0) for row in rows]
        case (
            "/api/v5/trade/order"
            | "/api/v5/trade/amend-order"
            | "/api/v5/trade/cancel-order"
            | "/api/v5/trade/batch-orders"
            | "/api/v5/trade/amend-batch-orders"
            | "/api/v5/trade/cancel-batch-orders"
        ):
            got = PRIVATE[Product.SPOT].decode_rest_order("1", reply(body))
            answers = got.parts or (got,)
            assert [one.report.order_id for one in answers if one.report] == [row["ordId"] for row in rows]
        case "/api/v5/trade/order-algo" | "/api/v5/trade/cancel-algos" if "sCode" in rows[0]:
            got = PRIVATE[Product.LINEAR].decode_rest_order("1", reply(body))
            assert got.report is not None
            assert got.report.order_id == f"A{rows[0]['algoId']}"
            return f"answer of {path}"
        case "/api/v5/trade/order-algo" | "/api/v5/trade/orders-algo-history" | "/api/v5/trade/orders-algo-pending":
            return check_algos(path, rows, body)
        case "/api/v5/trade/cancel-all-after":
            when = PRIVATE[Product.SPOT].decode_cancel_all_after(reply(body))
            assert when == int(rows[0]["triggerTime"]) * 1_000_000_000
        case _:
            assert path in OUT_OF_SCOPE_PATHS, path
            return "out of scope"
    return path


def check_algos(path: str, rows: list[dict[str, Any]], body: dict[str, Any]) -> str:
    """Those of swaps; a triggered one is left to the order that it made."""
    got = PRIVATE[Product.LINEAR].decode_open_orders(reply(body))
    waiting = [row for row in rows if row["instType"] == "SWAP" and row["state"] == "live"]
    assert [(one.order_id, one.cl_ord_id) for one in got] == [
        (f"A{row['algoId']}", row["algoClOrdId"]) for row in waiting
    ]
    assert [one.order_qty for one in got] == [D(row["sz"] or 0) for row in waiting]
    assert all(one.exec_type is ExecType.ORDER_STATUS for one in got)
    return path if waiting else f"{path} of {rows[0]['instType']} {rows[0]['state']}"


def check_stream(frame: dict[str, Any]) -> str:
    """One frame of any connection; the name of the event, or of the channel that is out of scope."""
    channel = frame["arg"]["channel"]
    rows = frame["data"]
    if channel in UNRECOGNIZED_CHANNELS and channel != "candle1D":
        decoder = PRIVATE[Product.SPOT].decode_private if channel in PRIVATE_CHANNELS else None
        raw = msgspec.json.encode(frame)
        (event,) = decoder(raw, RECEIVED_NS) if decoder else PUBLIC[Product.SPOT].decode(raw, RECEIVED_NS, 1)
        assert isinstance(event, UnrecognizedMessage)
        assert (event.what[0].field, event.what[0].raw) == ("channel", channel)
        assert event.raw == raw.decode()[:2000]
        return f"unrecognized {channel}"
    if channel in PRIVATE_CHANNELS:
        events = PRIVATE[product_of(rows)].decode_private(msgspec.json.encode(frame), RECEIVED_NS)
        return check_private(channel, rows, events)
    (event,) = PUBLIC[Product.SPOT].decode(msgspec.json.encode(frame), RECEIVED_NS, 1)
    if channel == "candle1D":  # bars that begin at 16:00 UTC
        assert isinstance(event, UnrecognizedMessage)
        return f"unrecognized {channel}"
    row = rows[0]
    if isinstance(event, BookSnapshot | BookDelta):
        assert (event.symbol, event.last_id) == (frame["arg"]["instId"], row["seqId"])
        assert (len(event.bids), len(event.asks)) == (len(row["bids"]), len(row["asks"]))
    elif isinstance(event, BookTicker):
        assert (event.update_id, str(event.bid_px), str(event.ask_qty)) == (
            row["seqId"], row["bids"][0][0], row["asks"][0][1],
        )  # fmt: skip
    elif isinstance(event, Candle):
        assert (event.open_ns, event.closed) == (int(row[0]) * 1_000_000, row[8] == "1")
        assert (event.close, event.volume) == (D(row[4]), D(row[5]))
    elif isinstance(event, Ticker):
        assert (event.symbol, event.last_px, event.ask_qty) == (row["instId"], D(row["last"]), D(row["askSz"]))
    else:
        assert isinstance(event, Trade)
        assert (event.trade_id, event.price, event.aggressor.value.lower()) == (
            row["tradeId"], D(row["px"]), row["side"],
        )  # fmt: skip
    return type(event).__name__


def check_private(channel: str, rows: list[dict[str, Any]], events: Any) -> str:
    if channel == "account":
        (changed,) = events
        assert isinstance(changed, BalancesChanged)
        details = rows[0]["details"]
        assert [(one.asset, one.total) for one in changed.balances] == [(r["ccy"], D(r["cashBal"])) for r in details]
        return "BalancesChanged"
    if channel == "orders-algo":
        return check_algo_events(rows, events)
    if not events:
        assert rows[0]["instType"] in ("OPTION", "FUTURES")
        return f"{channel} of {rows[0]['instType']}"
    assert all(isinstance(event, Message) for event in events)
    (event,) = events
    assert isinstance(event, ExecutionReport)
    row = rows[0]
    assert (event.order_id, event.cum_qty) == (row["ordId"], D(row["accFillSz"]))
    if row["tradeId"]:
        assert (event.exec_type, event.trade_id) == (ExecType.TRADE, row["tradeId"])
        assert (event.last_qty, event.last_px) == (D(row["fillSz"]), D(row["fillPx"]))
        assert event.fee == -D(row.get("fillFee") or row["fee"])
        assert event.liquidity is (Liquidity.MAKER if row["execType"] == "M" else Liquidity.TAKER)
    else:
        assert event.exec_type is not ExecType.TRADE
        assert event.trade_id is None
    return "ExecutionReport"


def check_algo_events(rows: list[dict[str, Any]], events: Any) -> str:
    """States that the reference does not name are kept as they are."""
    known = {"live": ExecType.NEW, "canceled": ExecType.CANCELED}
    for row, event in zip(rows, events, strict=True):
        if row["state"] in known:
            assert (event.exec_type, event.order_id) == (known[row["state"]], f"A{row['algoId']}")
            assert event.cl_ord_id == (row["algoClOrdId"] or f"okxA{row['algoId']}")
            price = row["ordPx"] or row.get("slOrdPx") or row["tpOrdPx"]
            assert event.price == (None if price == "-1" else D(price))
            assert event.order_qty == (0 if row.get("tgtCcy") == "quote_ccy" else D(row["sz"]))
        else:
            assert event.what[0].field == "state"
    return f"{len(events)} algo orders"


def test_jkorf(data_dir: Path) -> None:
    seen: Counter[str] = Counter()
    for line in lines(data_dir, "payloads", "jkorf.jsonl"):
        frames = {frame["dir"]: frame["json"] for frame in line["frames"]}
        if line["kind"] == "endpoint":
            seen[check_rest(line["path"], frames["response"])] += 1
        elif line["kind"] == "socket":
            check_login(frames["recv"])
            (got,) = PRIVATE[Product.SPOT].decode_entry(msgspec.json.encode(frames["event"]), RECEIVED_NS)
            assert isinstance(got, Reply)
            assert isinstance(got.report, OrderState)
            assert got.request_id == frames["send"]["id"]
            assert got.report.order_id == frames["event"]["data"][0]["ordId"]
            seen["order reply"] += 1
        else:
            for frame in line["frames"]:
                if frame["dir"] == "recv":
                    check_ack(frame["json"])
            seen[check_stream(frames["event"])] += 1
    assert sum(seen.values()) == 105
    assert seen["order reply"] == 2
    assert seen["ExecutionReport"] == 0
    assert seen["BalancesChanged"] == seen["Trade"] == seen["BookSnapshot"] == seen["positions of FUTURES"] == 1
    assert seen["out of scope"] == len(OUT_OF_SCOPE_PATHS)
    assert seen["1 algo orders"] == 1


def check_login(frame: dict[str, Any]) -> None:
    assert PRIVATE[Product.SPOT].decode_private(msgspec.json.encode(frame), RECEIVED_NS) == (
        Reply(LOGIN_ID, payload={"event": "login"}),
    )


def check_ack(frame: dict[str, Any]) -> None:
    if frame["event"] == "login":
        check_login(frame)
        return
    expected = (Reply("", payload={"event": "subscribe"}),)
    raw = msgspec.json.encode(frame)
    assert PUBLIC[Product.SPOT].decode(raw, RECEIVED_NS, 1) == expected
    assert PRIVATE[Product.SPOT].decode_private(raw, RECEIVED_NS) == expected


NAUTILUS_REST = {
    "http_get_account_balance": "/api/v5/account/balance",
    "http_get_candlesticks": "/api/v5/market/candles",
    "http_get_instruments_option": "/api/v5/public/instruments",
    "http_get_instruments_spot": "/api/v5/public/instruments",
    "http_get_instruments_swap": "/api/v5/public/instruments",
    "http_get_order_book": "/api/v5/market/books",
    "http_get_orders_history": "/api/v5/trade/orders-history",
    "http_get_orders_pending": "/api/v5/trade/orders-pending",
    "http_get_orders_pending_with_attached_tp_sl": "/api/v5/trade/orders-pending",
    "http_get_orders_algo_history": "/api/v5/trade/orders-algo-history",
    "http_get_orders_algo_pending": "/api/v5/trade/orders-algo-pending",
    "http_get_orders_algo_pending_attached_oco": "/api/v5/trade/orders-algo-pending",
    "http_get_orders_algo_pending_close_fraction": "/api/v5/trade/orders-algo-pending",
}
NAUTILUS_ROWS = {
    # A row without its envelope.
    "http_balance_detail_new_fields": "balance",
    "http_balance_detail_old_fields": "balance",
    "http_place_order_response": "/api/v5/trade/order",
    "http_transaction_detail": "/api/v5/trade/fills",
    "http_transaction_detail_empty_fee": "/api/v5/trade/fills",
}
NAUTILUS_OUT_OF_SCOPE = {
    "common_optional_string_to_u64", "http_get_account_positions-history", "http_get_funding_rate_history",
    "http_get_index_price", "http_get_mark_price", "http_get_option_summary", "http_get_position_tiers",
    "http_get_spread_trades", "http_get_trade_fee_response", "http_set_position_mode_response", "ws_opt_summary",
}  # fmt: skip
NAUTILUS_STREAMS = {
    "ws_account": "BalancesChanged", "ws_account_empty": "BalancesChanged", "ws_bbo_tbt": "BookTicker",
    "ws_books_snapshot": "BookSnapshot", "ws_candle": "unrecognized candle1D", "ws_orders": "ExecutionReport",
    "ws_orders_adl": "ExecutionReport", "ws_orders_algo": "5 algo orders",
    "ws_orders_liquidation": "ExecutionReport", "ws_orders_optimal_limit_ioc": "ExecutionReport",
    "ws_orders_option": "orders of OPTION", "ws_orders_trigger": "ExecutionReport",
    "ws_sprd_orders": "unrecognized sprd-orders", "ws_trades": "Trade",
}  # fmt: skip


def test_nautilus(data_dir: Path) -> None:
    seen: set[str] = set()
    for line in lines(data_dir, "payloads", "nautilus.jsonl"):
        name = Path(line["source"]).stem
        seen.add(name)
        body = json.loads(line["raw"])
        if name in NAUTILUS_REST:
            check_rest(NAUTILUS_REST[name], body)
        elif name in NAUTILUS_ROWS:
            rows = [body] if NAUTILUS_ROWS[name] != "balance" else [{"details": [body], "uTime": "1"}]
            path = NAUTILUS_ROWS[name].replace("balance", "/api/v5/account/balance")
            check_rest(path, {"code": "0", "msg": "", "data": rows})
        elif name in NAUTILUS_STREAMS:
            assert check_stream(body) == NAUTILUS_STREAMS[name]
        else:
            assert name in NAUTILUS_OUT_OF_SCOPE, name
    assert len(seen) == 43
    assert seen == NAUTILUS_REST.keys() | NAUTILUS_ROWS.keys() | NAUTILUS_STREAMS.keys() | NAUTILUS_OUT_OF_SCOPE


def test_gct_orders(data_dir: Path) -> None:
    """A filled limit order, and the three messages of a market order in quote money: only one of them is a fill."""
    got: list[ExecutionReport] = []
    for frame in lines(data_dir, "payloads", "gct_wsOrders.jsonl"):
        assert check_stream(frame) == "ExecutionReport"
        (event,) = PRIVATE[Product.SPOT].decode_private(msgspec.json.encode(frame), RECEIVED_NS)
        assert isinstance(event, ExecutionReport)
        got.append(event)
    kinds = [(one.exec_type, one.ord_status, one.order_qty, one.last_qty, one.fee) for one in got]
    part = D("0.00038128")
    assert kinds == [
        (ExecType.TRADE, OrdStatus.FILLED, D("0.001"), D("0.001"), D("0.02522168")),
        (ExecType.NEW, OrdStatus.NEW, 0, 0, 0),
        (ExecType.TRADE, OrdStatus.PARTIALLY_FILLED, part, part, D("0.010000249968")),
        (ExecType.ORDER_STATUS, OrdStatus.FILLED, part, 0, 0),
    ]
    assert [one.cl_ord_id for one in got] == ["HamsterParty14"] + ["okx620258920632008725"] * 3
    assert {one.ord_type for one in got[1:]} == {OrdType.MARKET}


def test_gct_trades(data_dir: Path) -> None:
    assert [check_stream(frame) for frame in lines(data_dir, "payloads", "gct_wsAllTrades.jsonl")] == ["Trade"] * 2


def test_messages_of_2026(data_dir: Path) -> None:
    seen: Counter[str] = Counter()
    for line in lines(data_dir, "ws", "messages_spot_2026-08.jsonl"):
        if line["dir"] == "recv" and "event" in line["json"]:
            check_ack(line["json"])
            seen["ack"] += 1
        elif line["dir"] == "recv":
            seen[check_stream(line["json"])] += 1
    assert seen == {"ack": 5, "Ticker": 4, "Candle": 2, "Trade": 2, "unrecognized books5": 2}


def test_order_book_answer(data_dir: Path) -> None:
    path = data_dir / "okx" / "rest" / "order_book_BTC_USDT_2026-02-08.json.gz"
    assert check_rest("/api/v5/market/books", json.loads(gzip.decompress(path.read_bytes()))) == "/api/v5/market/books"


def test_tickers_answer(data_dir: Path) -> None:
    path = data_dir / "okx" / "rest" / "tickers_BTC_ETH_2026-02-08.json.gz"
    assert (
        check_rest("/api/v5/market/tickers", json.loads(gzip.decompress(path.read_bytes()))) == "/api/v5/market/tickers"
    )


# ---- captures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, expected",
    [
        ("2021-07-22_books-l2-tbt_10inst.jsonl.gz", {"Trade": 36, "ack": 30, "Ticker": 46, "old book": 1504}),
        ("2022-05-13_books_btcusdt.jsonl.gz", {"Trade": 74, "ack": 18, "Ticker": 28, "old book": 290}),
    ],
)
def test_every_frame_of_the_captures(data_dir: Path, name: str, expected: dict[str, int]) -> None:
    """Books of that time have no sequence numbers and are refused as they are; `test_book` replays them numbered."""
    seen: Counter[str] = Counter()
    for line in lines(data_dir, "ws", name):
        if line["dir"] != "recv":
            continue
        frame = json.loads(line["raw"])
        if "event" in frame:
            check_ack(frame)
            seen["ack"] += 1
            continue
        channel = frame["arg"]["channel"]
        if channel.startswith("books"):
            with pytest.raises(RemoteProtocolError, match="seqId"):
                PUBLIC[Product.SPOT].decode(line["raw"], line["ts_ns"], 1)
            seen["old book"] += 1
            continue
        for event in PUBLIC[Product.SPOT].decode(line["raw"], line["ts_ns"], 1):
            seen[type(event).__name__] += 1
    assert seen == expected
