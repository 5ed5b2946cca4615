"""Golden frames and makers of commands.  All frames here are written by us after the reference; values are invented."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

import msgspec

from protocols.enums import OrdType, Side
from protocols.ids import AccountID, ClOrdIDs, OrderID, StrategyID, Symbol
from protocols.orders import NewOrder
from protocols.venue import HttpReply, HttpRequest
from protocols.venues.upbit import VENUE, UpbitPrivate, signer_for

ACCOUNT = AccountID("master")
SYMBOL, ETH = Symbol("KRW-BTC"), Symbol("KRW-ETH")
CL_ORD_ID = ClOrdIDs("master", "maker", 1_790_000_000, 3).next()
UUID = OrderID("00000000-0000-4000-8000-0000000000aa")
TRADE_UUID = "00000000-0000-4000-8000-0000000000bb"
STAMP_NS = 1_790_000_000_123_456_789
RECEIVED_NS = 1_790_000_000_200_000_000
KEY = "bulkheadAccessKey0000000000000000000000"
SECRET = "bulkheadSecretKey000000000000000000000000000000000000000000000000"  # of the reference's vectors, no secret


def codec(**settings: Any) -> UpbitPrivate:
    return UpbitPrivate(ACCOUNT, signer_for(KEY, SECRET), **settings)


def new_order(**changes: Any) -> NewOrder:
    fields: dict[str, Any] = {
        "cl_ord_id": CL_ORD_ID,
        "account": ACCOUNT,
        "strategy": StrategyID("maker"),
        "venue": VENUE,
        "symbol": SYMBOL,
        "side": Side.BUY,
        "ord_type": OrdType.LIMIT,
        "order_qty": Decimal("0.0001"),
        "price": Decimal("155772000"),
        "created_ns": STAMP_NS,
        "reply_to": "/strategies/maker",
    }
    return NewOrder(**(fields | changes))


def reply(body: object, status: int = 200, headers: dict[str, str] | None = None) -> HttpReply:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return HttpReply(status, headers or {}, raw, RECEIVED_NS - 1_000_000, RECEIVED_NS)


def refusal(name: str | int, status: int = 400, text: str = "") -> HttpReply:
    return reply({"error": {"name": name, "message": text}}, status)


def claims(request: HttpRequest) -> dict[str, str]:
    """What the token of a request says."""
    token = request.headers["Authorization"].removeprefix("Bearer ")
    payload = token.split(".")[1]
    said: dict[str, str] = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return said


def usual(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not ...}


def order_row(**changes: Any) -> dict[str, Any]:
    """An order as REST shows it (section 5.1), resting unless changed; `...` takes a field out."""
    return usual(
        {
            "uuid": UUID, "market": "KRW-BTC", "side": "bid", "ord_type": "limit", "price": "155772000",
            "state": "wait", "created_at": "2026-01-01T09:00:00+09:00", "volume": "0.0001",
            "remaining_volume": "0.0001", "executed_volume": "0", "reserved_fee": "7.7886", "remaining_fee": "7.7886",
            "paid_fee": "0", "locked": "15584.9886", "trades_count": 0, "time_in_force": "post_only",
            "identifier": CL_ORD_ID, "smp_type": "none", "prevented_volume": "0", "prevented_locked": "0",
        } | changes
    )  # fmt: skip


def trade_row(**changes: Any) -> dict[str, Any]:
    """A fill in `GET /v1/order` (section 5.4)."""
    return {
        "market": "KRW-BTC", "uuid": TRADE_UUID, "price": "155772000", "volume": "0.00004", "funds": "6230.88",
        "trend": "down", "created_at": "2026-01-01T09:00:00.200+09:00", "side": "bid",
    } | changes  # fmt: skip


def my_order(**changes: Any) -> bytes:
    """A `myOrder` message (section 6.8): the part-fill of the reference unless changed; `...` takes a field out."""
    return msgspec.json.encode(
        usual(
            {
                "type": "myOrder", "code": "KRW-BTC", "uuid": UUID, "ask_bid": "BID", "order_type": "limit",
                "state": "trade", "trade_uuid": TRADE_UUID, "price": 155772000, "avg_price": 155772000,
                "volume": 0.00004, "remaining_volume": 0.00006, "executed_volume": 0.00004, "trades_count": 1,
                "reserved_fee": 7.7886, "remaining_fee": 4.67316, "paid_fee": 3.11544, "locked": 9350.99316,
                "executed_funds": 6230.88, "time_in_force": None, "trade_fee": 3.11544, "is_maker": True,
                "identifier": CL_ORD_ID, "smp_type": "cancel_maker", "prevented_volume": 0, "prevented_locked": 0,
                "trade_timestamp": 1767225600200, "order_timestamp": 1767225600000, "timestamp": 1767225600210,
                "stream_type": "REALTIME",
            } | changes
        )
    )  # fmt: skip


NO_TRADE = {"trade_uuid": None, "trade_fee": None, "is_maker": None, "trade_timestamp": None}

SIMPLE_MY_ORDER = (
    b'{"ty":"myOrder","cd":"KRW-BTC","uid":"00000000-0000-4000-8000-0000000000aa","ab":"ASK","ot":"market","s":"done",'
    b'"tuid":null,"p":null,"ap":155770000,"v":0.01,"rv":0,"ev":0.01,"tc":2,"rsf":0,"rmf":0,"pf":778.85,"l":0,'
    b'"ef":1557700,"tif":null,"tf":null,"im":null,"id":"bh000002","smpt":"cancel_maker","pv":0,"pl":0,'
    b'"ttms":1767225600400,"otms":1767225600300,"tms":1767225600410,"st":"REALTIME"}'
)
MY_ASSET = (
    b'{"type":"myAsset","asset_uuid":"00000000-0000-4000-8000-0000000000cc","assets":[{"currency":"KRW",'
    b'"balance":984415.0114,"locked":15584.9886}],"asset_timestamp":1767225600001,"timestamp":1767225600010,'
    b'"stream_type":"REALTIME"}'
)
SIMPLE_MY_ASSET = (
    b'{"ty":"myAsset","astuid":"00000000-0000-4000-8000-0000000000cc","ast":[{"cu":"KRW","b":984415.0114,'
    b'"l":15584.9886}],"asttms":1767225600001,"tms":1767225600010,"st":"REALTIME"}'
)
ORDER_BOOK = (
    b'{"type":"orderbook","code":"KRW-BTC","total_ask_size":4.2,"total_bid_size":5.1,"orderbook_units":[{"ask_price":'
    b'155773000,"bid_price":155772000,"ask_size":0.4,"bid_size":0.2},{"ask_price":155774000,"bid_price":155771000,'
    b'"ask_size":3.8,"bid_size":4.9}],"timestamp":1767225600160,"level":0,"stream_type":"REALTIME"}'
)
SIMPLE_ORDER_BOOK = (
    b'{"ty":"orderbook","cd":"KRW-BTC","tas":4.2,"tbs":5.1,"obu":[{"ap":155773000,"bp":155772000,"as":0.4,"bs":0.2},'
    b'{"ap":155774000,"bp":155771000,"as":3.8,"bs":4.9}],"tms":1767225600160,"lv":0,"st":"SNAPSHOT"}'
)
TRADE = (
    b'{"type":"trade","code":"KRW-BTC","trade_price":155772000,"trade_volume":0.0012,"ask_bid":"BID",'
    b'"prev_closing_price":155000000,"change":"RISE","change_price":772000,"trade_date":"2026-01-01","trade_time":'
    b'"00:00:00","trade_timestamp":1767225600130,"timestamp":1767225600155,"sequential_id":17672256001300001,'
    b'"best_ask_price":155773000,"best_ask_size":0.4,"best_bid_price":155772000,"best_bid_size":0.2,"stream_type":'
    b'"REALTIME"}'
)
SIMPLE_TRADE = (
    b'{"ty":"trade","cd":"KRW-BTC","tp":155772000,"tv":0.0012,"ab":"BID","pcp":155000000,"c":"RISE","cp":772000,'
    b'"td":"2026-01-01","ttm":"00:00:00","ttms":1767225600130,"tms":1767225600155,"sid":17672256001300001,'
    b'"bap":155773000,"bas":0.4,"bbp":155772000,"bbs":0.2,"st":"REALTIME"}'
)
CANDLE = (
    b'{"type":"candle.1m","code":"KRW-BTC","candle_date_time_utc":"2026-01-01T00:00:00","candle_date_time_kst":'
    b'"2026-01-01T09:00:00","opening_price":155770000,"high_price":155780000,"low_price":155760000,"trade_price":'
    b'155772000,"candle_acc_trade_volume":1.25,"candle_acc_trade_price":194715000,"timestamp":1767225600155,'
    b'"stream_type":"REALTIME"}'
)
SIMPLE_CANDLE = (
    b'{"ty":"candle.1m","cd":"KRW-BTC","cdttmu":"2026-01-01T00:00:00","cdttmk":"2026-01-01T09:00:00","op":155770000,'
    b'"hp":155780000,"lp":155760000,"tp":155772000,"catv":1.25,"catp":194715000,"tms":1767225600155,"st":"REALTIME"}'
)
TICKER = (
    b'{"type":"ticker","code":"KRW-BTC","trade_price":155772000,"timestamp":1767225600155,"stream_type":"REALTIME"}'
)
ERROR = b'{"error":{"name":"WRONG_FORMAT","message":"the format is wrong"}}'
STATUS = b'{"status":"UP"}'
LISTED = b'{"method":"LIST_SUBSCRIPTIONS","result":[{"type":"trade","codes":["KRW-BTC"],"level":0}],"ticket":"7"}'
STREAM_FRAMES = [
    ORDER_BOOK, SIMPLE_ORDER_BOOK, TRADE, SIMPLE_TRADE, CANDLE, SIMPLE_CANDLE, TICKER, ERROR, STATUS, LISTED,
    b"[" + TRADE + b"," + ORDER_BOOK + b"]",
]  # fmt: skip
PRIVATE_FRAMES = [
    my_order(), my_order(state="wait", **NO_TRADE), my_order(state="prevented"), SIMPLE_MY_ORDER, MY_ASSET,
    SIMPLE_MY_ASSET, ERROR, STATUS, LISTED, b"[" + my_order() + b"," + MY_ASSET + b"]",
]  # fmt: skip
CHANCE: dict[str, Any] = {
    "bid_fee": "0.0005", "ask_fee": "0.0005", "maker_bid_fee": "0.0004", "maker_ask_fee": "0.0003",
    "market": {
        "id": "KRW-BTC", "name": "BTC/KRW", "order_types": ["limit"], "order_sides": ["ask", "bid"],
        "bid_types": ["best_fok", "best_ioc", "limit", "limit_fok", "limit_ioc", "price"],
        "ask_types": ["best_fok", "best_ioc", "limit", "limit_fok", "limit_ioc", "market"],
        "bid": {"currency": "KRW", "min_total": "5000"}, "ask": {"currency": "BTC", "min_total": "6000"},
        "max_total": "900000000", "state": "active",
    },
}  # fmt: skip
