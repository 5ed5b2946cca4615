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
from protocols.venues.okx import OkxPrivate, signer_for
from protocols.venues.okx.public import venue_of

ACCOUNT = AccountID("master")
SPOT, SWAP = Symbol("BTC-USDT"), Symbol("BTC-USDT-SWAP")
SYMBOLS = {Product.SPOT: SPOT, Product.LINEAR: SWAP}
CODES = {SPOT: 10457, SWAP: 10459}
CL_ORD_ID = ClOrdIDs("master", "maker", 1_767_225_600, 3).next()
STAMP_NS = 1_767_225_600_123_456_789
RECEIVED_NS = 1_767_225_600_200_000_000

KEY = "11111111-2222-3333-4444-555555555555"
SECRET = "BULKHEADDEMOSECRET0123456789ABCD"
PASSPHRASE = "bulkheadPass1"


def codec(product: Product = Product.LINEAR, **settings: Any) -> OkxPrivate:
    settings.setdefault("codes", CODES)
    return OkxPrivate(ACCOUNT, signer_for(KEY, f"{SECRET}:{PASSPHRASE}"), product, **settings)


def new_order(product: Product = Product.LINEAR, **changes: Any) -> NewOrder:
    fields: dict[str, Any] = {
        "cl_ord_id": CL_ORD_ID,
        "account": ACCOUNT,
        "strategy": StrategyID("maker"),
        "venue": venue_of(product),
        "symbol": SYMBOLS[product],
        "side": Side.BUY,
        "ord_type": OrdType.LIMIT,
        "order_qty": Decimal("1.5"),
        "price": Decimal("60000.0"),
        "created_ns": STAMP_NS,
        "reply_to": "/strategies/maker",
    }
    return NewOrder(**(fields | changes))


def reply(body: object, status: int = 200) -> HttpReply:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return HttpReply(status, {}, raw, RECEIVED_NS - 1_000_000, RECEIVED_NS)


def rest(data: object, code: str = "0", msg: str = "") -> dict[str, Any]:
    """The envelope of a REST answer (section 2.3)."""
    return {"code": code, "msg": msg, "data": data, "inTime": "1767225600123456", "outTime": "1767225600125001"}


def pushed(channel: str, data: object, **more: Any) -> bytes:
    """A data frame of a private channel."""
    return msgspec.json.encode({"arg": {"channel": channel, "instType": "SWAP", "uid": "77"}, "data": data} | more)


def public_frame(channel: str, data: object, symbol: str = SWAP, **more: Any) -> bytes:
    return msgspec.json.encode({"arg": {"channel": channel, "instId": symbol}, "data": data} | more)


def order_row(**changes: Any) -> dict[str, Any]:
    """A row of the `orders` channel (section 8.1): a part-fill unless changed; None takes a key out."""
    row: dict[str, Any] = {
        "instType": "SWAP", "instId": "BTC-USDT-SWAP", "ordId": "2510789768709120", "clOrdId": CL_ORD_ID, "tag": "",
        "px": "60000", "sz": "1", "ordType": "post_only", "side": "buy", "posSide": "net", "tdMode": "cross",
        "tgtCcy": "", "state": "partially_filled", "accFillSz": "0.4", "avgPx": "60000", "fillSz": "0.4",
        "fillPx": "60000", "tradeId": "981", "fillTime": "1767225600200", "execType": "M", "fillFee": "-0.048",
        "fillFeeCcy": "USDT", "fillPnl": "0", "fee": "-0.048", "feeCcy": "USDT", "rebate": "0", "rebateCcy": "USDT",
        "pnl": "0", "lever": "5", "reduceOnly": "false", "source": "", "cancelSource": "", "amendSource": "",
        "category": "normal", "algoId": "", "algoClOrdId": "", "reqId": "", "amendResult": "",
        "stpMode": "cancel_maker", "tradeQuoteCcy": "", "notionalUsd": "600", "code": "0", "msg": "",
        "cTime": "1767225600130", "uTime": "1767225600201",
    }  # fmt: skip
    row |= changes
    return {key: value for key, value in row.items() if value is not None}


NO_FILL = {
    "accFillSz": "0", "avgPx": "0", "fillSz": "0", "fillPx": "", "tradeId": "", "fillTime": "", "execType": "",
    "fillFee": "0", "fillFeeCcy": "", "fee": "0", "state": "live",
}  # fmt: skip


def rest_order(**changes: Any) -> dict[str, Any]:
    """The same order as a query shows it before any fill (section 8.1)."""
    return {
        "instId": "BTC-USDT-SWAP", "instType": "SWAP", "ordId": "2510789768709120", "clOrdId": CL_ORD_ID,
        "state": "live", "side": "buy", "ordType": "limit", "accFillSz": "0", "avgPx": "", "fillSz": "0",
        "fillPx": "", "tradeId": "", "fee": "0", "feeCcy": "USDT", "px": "60000", "sz": "1",
        "cTime": "1767225600130", "uTime": "1767225600130",
    } | changes  # fmt: skip


def fill_row(**changes: Any) -> dict[str, Any]:
    """A row of the own-trade history."""
    return {
        "instType": "SWAP", "instId": "BTC-USDT-SWAP", "tradeId": "981", "ordId": "2510789768709120",
        "clOrdId": CL_ORD_ID, "billId": "77001", "fillPx": "60000", "fillSz": "0.4", "side": "buy", "execType": "M",
        "feeCcy": "USDT", "fee": "-0.048", "ts": "1767225600205", "fillTime": "1767225600200",
    } | changes  # fmt: skip


def item(**changes: Any) -> dict[str, Any]:
    """One item of the answer to an order request (section 5.1)."""
    return {
        "ordId": "2510789768709120", "clOrdId": CL_ORD_ID, "tag": "", "ts": "1767225600130", "sCode": "0", "sMsg": "",
        "subCode": "",
    } | changes  # fmt: skip


REFUSED_ITEM = item(ordId="", sCode="51008", sMsg="Insufficient balance", subCode="1000")


def answer(
    *items: dict[str, Any], op: str = "order", code: str = "0", request_id: object = "p1", msg: str = ""
) -> bytes:
    """The answer to an order request on the WebSocket (section 6)."""
    return msgspec.json.encode(
        {"id": request_id, "op": op, "code": code, "msg": msg, "data": list(items),
         "inTime": "1767225600123456", "outTime": "1767225600124001"}
    )  # fmt: skip


def account_row(*details: dict[str, Any]) -> dict[str, Any]:
    return {"uTime": "1767225600300", "totalEq": "10000.5", "adjEq": "9990", "details": list(details)}


USDT = {
    "ccy": "USDT", "eq": "10000.5", "cashBal": "10000", "availBal": "9880", "availEq": "9880.5", "frozenBal": "120",
    "ordFrozen": "0", "liab": "0", "upl": "0.5", "uTime": "1767225600299",
}  # fmt: skip
BTC = USDT | {"ccy": "BTC", "cashBal": "0.5", "availBal": "0.5", "frozenBal": ""}


def position_row(**changes: Any) -> dict[str, Any]:
    return {
        "instType": "SWAP", "instId": "BTC-USDT-SWAP", "posId": "901", "posSide": "net", "mgnMode": "cross",
        "pos": "-2.5", "avgPx": "60000", "upl": "-1.2", "markPx": "60048", "liqPx": "91000", "lever": "5",
        "imr": "300", "mmr": "6", "ccy": "USDT", "notionalUsd": "1501.2", "cTime": "1767220000000",
        "uTime": "1767225600201", "pTime": "1767225600250",
    } | changes  # fmt: skip


def book_row(**changes: Any) -> dict[str, Any]:
    """An update of `books` (section 7.1)."""
    return {
        "asks": [["60001", "1.5", "0", "3"]], "bids": [["60000", "0", "0", "0"]], "ts": "1767225600130", "checksum": 0,
        "prevSeqId": 15, "seqId": 21,
    } | changes  # fmt: skip


TRADE = {
    "instId": "BTC-USDT-SWAP", "tradeId": "130639474", "px": "60000", "sz": "0.012", "side": "buy",
    "ts": "1767225600130", "count": "3", "source": "0", "seqId": 1234,
}  # fmt: skip
CANDLE = ["1767225600000", "60000", "60010", "59990", "60005", "12.3", "738000", "738000", "0"]
SWAP_ROW = {
    "instType": "SWAP", "instId": "BTC-USDT-SWAP", "instIdCode": 10459, "instFamily": "BTC-USDT", "uly": "BTC-USDT",
    "baseCcy": "", "quoteCcy": "", "settleCcy": "USDT", "ctVal": "0.01", "ctMult": "1", "ctValCcy": "BTC",
    "ctType": "linear", "tickSz": "0.1", "lotSz": "0.01", "minSz": "0.01", "lever": "100", "maxLmtSz": "100000000",
    "maxMktSz": "35000", "maxLmtAmt": "20000000", "maxMktAmt": "1000000", "state": "live", "groupId": "4",
    "listTime": "1573557408000", "expTime": "", "tradeQuoteCcyList": [], "upcChg": [],
}  # fmt: skip
SPOT_ROW = {
    "instType": "SPOT", "instId": "BTC-USDT", "instIdCode": 10457, "instFamily": "", "uly": "", "baseCcy": "BTC",
    "quoteCcy": "USDT", "settleCcy": "", "ctVal": "", "ctMult": "", "ctValCcy": "", "ctType": "", "tickSz": "0.1",
    "lotSz": "0.00000001", "minSz": "0.00001", "maxLmtSz": "9999999999", "maxMktSz": "1000000", "state": "live",
}  # fmt: skip
