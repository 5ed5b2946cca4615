"""Golden frames and makers of commands.  All frames here are written by us after the reference; values are invented."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from protocols.enums import OrdType, Side
from protocols.ids import AccountID, ClOrdIDs, StrategyID, Symbol
from protocols.orders import NewOrder
from protocols.venue import HttpReply
from protocols.venues.binance_spot import VENUE, BinanceSpotPrivate, signer_for

ACCOUNT = AccountID("master")
SYMBOL = Symbol("BTCUSDT")
CL_ORD_ID = ClOrdIDs("master", "maker", 1_790_000_000, 3).next()
STAMP_NS = 1_790_000_000_123_456_789
RECEIVED_NS = 1_790_000_000_200_000_000
PEM = (
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIIJEYWtGBrhACmb9Dvy+qa8WEf0lQOl1s4CLIAB9m89u\n"
    "-----END PRIVATE KEY-----\n"
)


def codec(secret: str = PEM, **settings: Any) -> BinanceSpotPrivate:
    return BinanceSpotPrivate(ACCOUNT, signer_for("TESTKEY", secret), **settings)


def new_order(**changes: Any) -> NewOrder:
    fields: dict[str, Any] = {
        "cl_ord_id": CL_ORD_ID,
        "account": ACCOUNT,
        "strategy": StrategyID("maker"),
        "venue": VENUE,
        "symbol": SYMBOL,
        "side": Side.BUY,
        "ord_type": OrdType.LIMIT,
        "order_qty": Decimal("0.00100"),
        "price": Decimal("90000.00"),
        "created_ns": STAMP_NS,
        "reply_to": "/strategies/maker",
    }
    return NewOrder(**(fields | changes))


def reply(body: object, status: int = 200, headers: dict[str, str] | None = None) -> HttpReply:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return HttpReply(status, headers or {}, raw, RECEIVED_NS - 1_000_000, RECEIVED_NS)


def execution_report(**changes: Any) -> bytes:
    """A user-data frame: the working part-fill of section 14.1 unless changed; None takes a key out."""
    event: dict[str, Any] = {
        "e": "executionReport", "E": 1790000000013, "s": "BTCUSDT", "c": CL_ORD_ID, "S": "BUY", "o": "LIMIT",
        "f": "GTC", "q": "0.00100000", "p": "90000.00000000", "P": "0.00000000", "F": "0.00000000", "g": -1, "C": "",
        "x": "TRADE", "X": "PARTIALLY_FILLED", "r": "NONE", "i": 9001, "l": "0.00040000", "z": "0.00040000",
        "L": "90000.00000000", "n": "0.00000040", "N": "BTC", "T": 1790000000012, "t": 5551, "I": 18001, "w": True,
        "m": True, "M": True, "O": 1790000000000, "Z": "36.00000000", "Y": "36.00000000", "Q": "0.00000000",
        "W": 1790000000000, "V": "EXPIRE_MAKER",
    }  # fmt: skip
    event |= changes
    return user_data({key: value for key, value in event.items() if value is not None})


def user_data(event: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"subscriptionId": 0, "event": event})


NOTHING_TRADED = {"l": "0.00000000", "L": "0.00000000", "n": "0", "N": None, "t": -1, "m": False}


def order_row(**changes: Any) -> dict[str, Any]:
    """An order as a query shows it (section 10)."""
    return {
        "symbol": "BTCUSDT", "orderId": 9001, "orderListId": -1, "clientOrderId": CL_ORD_ID, "price": "90000.00000000",
        "origQty": "0.00100000", "executedQty": "0.00040000", "cummulativeQuoteQty": "36.00000000",
        "status": "PARTIALLY_FILLED", "timeInForce": "GTC", "type": "LIMIT", "side": "BUY", "stopPrice": "0.00000000",
        "icebergQty": "0.00000000", "time": 1790000000012, "updateTime": 1790000000500, "isWorking": True,
        "workingTime": 1790000000012, "origQuoteOrderQty": "0.00000000", "selfTradePreventionMode": "EXPIRE_MAKER",
    } | changes  # fmt: skip


def placed(**changes: Any) -> dict[str, Any]:
    """The result of `order.place` (section 8.2), resting unless changed."""
    return {
        "symbol": "BTCUSDT", "orderId": 9001, "orderListId": -1, "clientOrderId": CL_ORD_ID,
        "transactTime": 1790000000012, "price": "90000.00000000", "origQty": "0.00100000", "executedQty": "0.00000000",
        "origQuoteOrderQty": "0.00000000", "cummulativeQuoteQty": "0.00000000", "status": "NEW", "timeInForce": "GTC",
        "type": "LIMIT", "side": "BUY", "workingTime": 1790000000012, "selfTradePreventionMode": "EXPIRE_MAKER",
        "fills": [],
    } | changes  # fmt: skip


def canceled(**changes: Any) -> dict[str, Any]:
    """The result of `order.cancel` (section 8.4)."""
    return (
        placed(
            origClientOrderId=CL_ORD_ID,
            clientOrderId=f"{CL_ORD_ID}-x",
            transactTime=1790000001000,
            executedQty="0.00040000",
            cummulativeQuoteQty="36.00000000",
            status="CANCELED",
        )
        | changes
    )


def amended(**changes: Any) -> dict[str, Any]:
    """The result of `order.amend.keepPriority` (section 8.6), whose fields have names of their own."""
    return {
        "transactTime": 1790000002000,
        "executionId": 771,
        "amendedOrder": {
            "symbol": "BTCUSDT", "orderId": 9001, "orderListId": -1, "origClientOrderId": CL_ORD_ID,
            "clientOrderId": CL_ORD_ID, "price": "90000.00000000", "qty": "0.00050000", "executedQty": "0.00000000",
            "preventedQty": "0.00000000", "quoteOrderQty": "0.00000000", "cumulativeQuoteQty": "0.00000000",
            "status": "NEW", "timeInForce": "GTC", "type": "LIMIT", "side": "BUY", "workingTime": 1790000000012,
            "selfTradePreventionMode": "EXPIRE_MAKER",
        } | changes,
    }  # fmt: skip


RATE_LIMITS = [
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 50, "count": 3},
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000, "count": 41},
]


def answer(result: object, request_id: object = "p1", **more: Any) -> bytes:
    return msgspec.json.encode({"id": request_id, "status": 200, "result": result} | more)


def failure(code: int, text: str, status: int = 400, request_id: object = "p1", **error: Any) -> bytes:
    body = {"code": code, "msg": text} | error
    return msgspec.json.encode({"id": request_id, "status": status, "error": body, "rateLimits": []})
