"""Golden frames and makers of commands.  All frames here are written by us after the reference; values are invented."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from protocols.enums import OrdType, Side
from protocols.ids import AccountID, ClOrdIDs, StrategyID, Symbol
from protocols.orders import NewOrder
from protocols.venue import HttpReply
from protocols.venues.binance_usdm import VENUE, BinanceUsdmPrivate, signer_for

ACCOUNT = AccountID("master")
SYMBOL = Symbol("BTCUSDT")
CL_ORD_ID = ClOrdIDs("master", "maker", 1_790_000_000, 3).next()
STAMP_NS = 1_790_000_000_123_456_789
RECEIVED_NS = 1_790_000_000_200_000_000
LISTEN_KEY = "a1B2" * 16
PEM = (
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIIJEYWtGBrhACmb9Dvy+qa8WEf0lQOl1s4CLIAB9m89u\n"
    "-----END PRIVATE KEY-----\n"
)


def codec(secret: str = PEM, **settings: Any) -> BinanceUsdmPrivate:
    return BinanceUsdmPrivate(ACCOUNT, signer_for("TESTKEY", secret), **settings)


def new_order(**changes: Any) -> NewOrder:
    fields: dict[str, Any] = {
        "cl_ord_id": CL_ORD_ID,
        "account": ACCOUNT,
        "strategy": StrategyID("maker"),
        "venue": VENUE,
        "symbol": SYMBOL,
        "side": Side.BUY,
        "ord_type": OrdType.LIMIT,
        "order_qty": Decimal("0.010"),
        "price": Decimal("90000.0"),
        "created_ns": STAMP_NS,
        "reply_to": "/strategies/maker",
    }
    return NewOrder(**(fields | changes))


def reply(body: object, status: int = 200, headers: dict[str, str] | None = None) -> HttpReply:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return HttpReply(status, headers or {}, raw, RECEIVED_NS - 1_000_000, RECEIVED_NS)


def order_event(**changes: Any) -> bytes:
    """ORDER_TRADE_UPDATE: the fill of section 15.2, working in part unless changed; None takes a key out."""
    order: dict[str, Any] = {
        "s": "BTCUSDT", "c": CL_ORD_ID, "S": "BUY", "o": "LIMIT", "f": "GTC", "q": "0.010", "p": "90000.0",
        "ap": "90000.0", "sp": "0", "x": "TRADE", "X": "PARTIALLY_FILLED", "i": 22542179, "l": "0.004", "z": "0.004",
        "L": "90000.0", "N": "USDT", "n": "0.14400000", "T": 1790000000900, "t": 698759, "b": "0", "a": "0", "m": True,
        "R": False, "wt": "CONTRACT_PRICE", "ot": "LIMIT", "ps": "BOTH", "cp": False, "pP": False, "si": 0, "ss": 0,
        "rp": "0", "V": "EXPIRE_MAKER", "pm": "NONE", "gtd": 0, "er": "0",
    }  # fmt: skip
    order |= changes
    order = {key: value for key, value in order.items() if value is not None}
    return msgspec.json.encode({"e": "ORDER_TRADE_UPDATE", "E": 1790000000905, "T": 1790000000900, "o": order})


NOTHING_TRADED: dict[str, Any] = {"l": "0", "L": "0", "n": None, "N": None, "t": 0, "m": False}


def algo_event(**changes: Any) -> bytes:
    """ALGO_UPDATE: a stop that waits, unless changed (section 15.5)."""
    order: dict[str, Any] = {
        "caid": CL_ORD_ID, "aid": 2146760, "at": "CONDITIONAL", "o": "STOP_MARKET", "s": "BTCUSDT", "S": "SELL",
        "ps": "BOTH", "f": "GTC", "q": "0.010", "X": "NEW", "ai": "", "ap": "0", "aq": "0", "act": "0", "tp": "85000",
        "p": "0", "V": "EXPIRE_MAKER", "wt": "MARK_PRICE", "pm": "NONE", "cp": False, "pP": False, "R": True, "tt": 0,
        "gtd": 0,
    } | changes  # fmt: skip
    return msgspec.json.encode({"e": "ALGO_UPDATE", "E": 1790000000105, "T": 1790000000100, "o": order})


def account_event(**changes: Any) -> bytes:
    """ACCOUNT_UPDATE of section 15.4."""
    change: dict[str, Any] = {
        "m": "ORDER",
        "B": [{"a": "USDT", "wb": "999.64000000", "cw": "990.00000000", "bc": "0"}],
        "P": [{"s": "BTCUSDT", "pa": "0.010", "ep": "90000.0", "bep": "90036.0", "cr": "0", "up": "-0.10",
               "mt": "cross", "iw": "0", "ps": "BOTH"}],
    } | changes  # fmt: skip
    return msgspec.json.encode({"e": "ACCOUNT_UPDATE", "E": 1790000000904, "T": 1790000000900, "a": change})


def placed(**changes: Any) -> dict[str, Any]:
    """The result of `order.place` (section 7), resting unless changed."""
    return {
        "clientOrderId": CL_ORD_ID, "cumQty": "0", "executedQty": "0", "orderId": 22542179, "origQty": "0.010",
        "price": "90000.0", "reduceOnly": False, "side": "BUY", "positionSide": "BOTH", "status": "NEW",
        "stopPrice": "0", "closePosition": False, "symbol": "BTCUSDT", "timeInForce": "GTC", "type": "LIMIT",
        "origType": "LIMIT", "updateTime": 1790000000012, "workingType": "CONTRACT_PRICE", "priceProtect": False,
        "priceMatch": "NONE", "selfTradePreventionMode": "EXPIRE_MAKER", "goodTillDate": 0,
    } | changes  # fmt: skip


def order_row(**changes: Any) -> dict[str, Any]:
    """An order as a query shows it (section 11)."""
    return placed(
        avgPrice="90000.00000", cumQuote="360.00000", executedQty="0.004", status="PARTIALLY_FILLED",
        time=1790000000012, updateTime=1790000000900,
    ) | changes  # fmt: skip


def algo_row(**changes: Any) -> dict[str, Any]:
    """A conditional order as a reply shows it (section 8)."""
    return {
        "algoId": 2146760, "clientAlgoId": CL_ORD_ID, "algoType": "CONDITIONAL", "orderType": "STOP_MARKET",
        "symbol": "BTCUSDT", "side": "SELL", "positionSide": "BOTH", "timeInForce": "GTC", "quantity": "0.010",
        "algoStatus": "NEW", "triggerPrice": "85000.0", "price": "0", "icebergQuantity": None,
        "selfTradePreventionMode": "EXPIRE_MAKER", "workingType": "MARK_PRICE", "priceMatch": "NONE",
        "closePosition": False, "priceProtect": True, "reduceOnly": True, "activatePrice": "", "callbackRate": "",
        "createTime": 1790000000100, "updateTime": 1790000000100, "triggerTime": 0, "goodTillDate": 0,
    } | changes  # fmt: skip


def trade_row(**changes: Any) -> dict[str, Any]:
    """A row of userTrades (section 11)."""
    return {
        "buyer": True, "maker": False, "commission": "0.36000000", "commissionAsset": "USDT", "id": 698759,
        "orderId": 22542179, "price": "90000.0", "qty": "0.010", "quoteQty": "900.00", "realizedPnl": "0",
        "side": "BUY", "positionSide": "BOTH", "symbol": "BTCUSDT", "time": 1790000000900,
    } | changes  # fmt: skip


def position_row(**changes: Any) -> dict[str, Any]:
    """A row of positionRisk (section 12)."""
    return {
        "symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "-0.010", "entryPrice": "90000.0",
        "breakEvenPrice": "89964.0", "markPrice": "90100.00000000", "unRealizedProfit": "-1.00000000",
        "liquidationPrice": "105000.00", "isolatedMargin": "0", "notional": "-901.00000000", "marginAsset": "USDT",
        "isolatedWallet": "0", "initialMargin": "45.05", "maintMargin": "3.604", "positionInitialMargin": "45.05",
        "openOrderInitialMargin": "0", "adl": 2, "bidNotional": "0", "askNotional": "0", "updateTime": 1790000000900,
    } | changes  # fmt: skip


BALANCE_ROW = {
    "accountAlias": "SgsR", "asset": "USDT", "balance": "1000.00000000", "crossWalletBalance": "990.00000000",
    "crossUnPnl": "0", "availableBalance": "900.00000000", "maxWithdrawAmount": "900.0", "marginAvailable": True,
    "updateTime": 1790000000900,
}  # fmt: skip
RATE_LIMITS = [
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400, "count": 41},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300, "count": 3},
    {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200, "count": 7},
]


def answer(result: object, request_id: object = "p1", **more: Any) -> bytes:
    return msgspec.json.encode({"id": request_id, "status": 200, "result": result} | more)


def failure(code: int, text: str, status: int = 400, request_id: object = "p1", **error: Any) -> bytes:
    body = {"code": code, "msg": text} | error
    return msgspec.json.encode({"id": request_id, "status": status, "error": body, "rateLimits": []})
