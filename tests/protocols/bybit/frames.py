"""Golden frames and makers of commands.  All frames here are written by us after the reference; values are invented."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from protocols.enums import OrdType, Side
from protocols.ids import AccountID, ClOrdIDs, StrategyID, Symbol
from protocols.instruments import Product
from protocols.orders import NewOrder
from protocols.venue import HttpReply
from protocols.venues.bybit import VENUES, BybitPrivate, BybitPublic, signer_for

ACCOUNT = AccountID("master")
SYMBOL = Symbol("BTCUSDT")
CL_ORD_ID = ClOrdIDs("master", "maker", 1_790_000_000, 3).next()
ORDER_ID = "7e0a0b6e-0000-4000-8000-0000000000a1"
KEY, SECRET = "bulkheadDemoKey01", "bulkheadDemoSecret0123456789abcdef"
"""The pair of the reference's vectors."""
STAMP_MS = 1_767_225_600_123
STAMP_NS = STAMP_MS * 1_000_000 + 456_789
RECEIVED_NS = 1_767_225_600_500_000_000
SPOT, LINEAR = Product.SPOT, Product.LINEAR


def codec(product: Product = LINEAR, **settings: Any) -> BybitPrivate:
    return BybitPrivate(ACCOUNT, signer_for(KEY, SECRET), product, **settings)


def public(product: Product = LINEAR, **settings: Any) -> BybitPublic:
    return BybitPublic(product, **settings)


def new_order(product: Product = LINEAR, **changes: Any) -> NewOrder:
    fields: dict[str, Any] = {
        "cl_ord_id": CL_ORD_ID,
        "account": ACCOUNT,
        "strategy": StrategyID("maker"),
        "venue": VENUES[product],
        "symbol": SYMBOL,
        "side": Side.BUY,
        "ord_type": OrdType.LIMIT,
        "order_qty": Decimal("0.001"),
        "price": Decimal(60000),
        "created_ns": STAMP_NS,
        "reply_to": "/strategies/maker",
    }
    return NewOrder(**(fields | changes))


def reply(body: object, status: int = 200, headers: dict[str, str] | None = None) -> HttpReply:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return HttpReply(status, headers or {}, raw, RECEIVED_NS - 1_000_000, RECEIVED_NS)


def envelope(result: object, **changes: Any) -> dict[str, Any]:
    """A REST success."""
    whole = {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": 1767225600456}
    return whole | changes


def refused(code: int, text: str = "no") -> dict[str, Any]:
    return envelope({}, retCode=code, retMsg=text)


def listed(*rows: dict[str, Any], cursor: str | None = "", category: str = "linear") -> dict[str, Any]:
    """A REST success with a page of rows."""
    return envelope({"category": category, "nextPageCursor": cursor, "list": list(rows)})


def order_row(**changes: Any) -> dict[str, Any]:
    """An order row of the stream (section 9.1); None takes a key out."""
    row: dict[str, Any] = {
        "category": "linear", "symbol": "BTCUSDT", "orderId": ORDER_ID, "orderLinkId": CL_ORD_ID, "side": "Buy",
        "orderType": "Limit", "timeInForce": "PostOnly", "price": "60000", "qty": "0.001", "leavesQty": "0.001",
        "leavesValue": "60", "cumExecQty": "0", "cumExecValue": "0", "avgPrice": "", "orderStatus": "New",
        "cancelType": "UNKNOWN", "rejectReason": "EC_NoError", "positionIdx": 0, "reduceOnly": False,
        "closeOnTrigger": False, "stopOrderType": "", "triggerPrice": "", "takeProfit": "", "stopLoss": "",
        "smpType": "None", "smpGroup": "0", "cumFeeDetail": {}, "closedPnl": "0", "createdTime": "1767225600135",
        "updatedTime": "1767225600137",
    }  # fmt: skip
    row |= changes
    return {key: value for key, value in row.items() if value is not None}


def execution_row(**changes: Any) -> dict[str, Any]:
    """A fill of the stream (section 9.2)."""
    row: dict[str, Any] = {
        "category": "linear", "symbol": "BTCUSDT", "orderId": ORDER_ID, "orderLinkId": CL_ORD_ID, "side": "Buy",
        "orderPrice": "60000", "orderQty": "0.001", "leavesQty": "0.0006", "execId": "e-1", "execPrice": "59999",
        "execQty": "0.0004", "execValue": "24", "execFee": "0.0048", "feeCurrency": "USDT", "feeRate": "0.0002",
        "execTime": "1767225600200", "isMaker": True, "execType": "Trade", "execPnl": "0", "closedSize": "0",
        "createType": "CreateByUser", "orderType": "Limit", "stopOrderType": "UNKNOWN", "seq": 7961638726,
        "isLeverage": "0",
    }  # fmt: skip
    row |= changes
    return {key: value for key, value in row.items() if value is not None}


def position_row(**changes: Any) -> dict[str, Any]:
    """A position of the stream (section 9.3)."""
    return {
        "category": "linear", "symbol": "BTCUSDT", "side": "Buy", "size": "0.0004", "positionIdx": 0,
        "entryPrice": "60000", "markPrice": "60010", "liqPrice": "", "leverage": "5", "positionValue": "24",
        "unrealisedPnl": "0.004", "positionStatus": "Normal", "adlRankIndicator": 2, "seq": 7961638726,
        "createdTime": "1700000000000", "updatedTime": "1767225600201",
    } | changes  # fmt: skip


def wallet_row(*coins: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The unified wallet (section 9.4)."""
    return {
        "accountType": "UNIFIED", "totalEquity": "10000.5", "totalWalletBalance": "10000", "coin": list(coins),
    } | changes  # fmt: skip


def coin_row(**changes: Any) -> dict[str, Any]:
    return {
        "coin": "USDT", "equity": "10000.5", "walletBalance": "10000", "locked": "0", "spotBorrow": "0",
        "totalOrderIM": "7.2", "totalPositionIM": "4.8", "unrealisedPnl": "0.5",
    } | changes  # fmt: skip


def pushed(topic: str, *rows: dict[str, Any]) -> bytes:
    """A frame of the private socket."""
    return msgspec.json.encode({"id": "m1", "topic": topic, "creationTime": 1767225600140, "data": rows})


HEADER = {
    "X-Bapi-Limit": "10",
    "X-Bapi-Limit-Status": "9",
    "X-Bapi-Limit-Reset-Timestamp": "1767225600900",
    "Traceid": "t1",
    "Timenow": "1767225600201",
}


def answer(data: object, op: str = "order.create", **changes: Any) -> bytes:
    """An answer of the trade socket (section 7)."""
    whole = {
        "reqId": "p1", "retCode": 0, "retMsg": "OK", "op": op, "data": data, "retExtInfo": {}, "header": HEADER,
        "connId": "c2-1",
    } | changes  # fmt: skip
    return msgspec.json.encode(whole)


def acked(**changes: Any) -> dict[str, Any]:
    return {"orderId": ORDER_ID, "orderLinkId": CL_ORD_ID} | changes
