"""Rows about orders and fills (sections 5, 8.1, 8.2 and 12).

The same names mean different things on the `orders` channel, where they speak of this update, and in REST, where they
speak of the last fill; and an order without a fill has the average price "0" there and "" here.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs

from tools.simulator.core.decimals import ZERO
from tools.simulator.core.model import ExecType, Execution, Fill, Order, OrdStatus
from tools.simulator.dialects.okx.instruments import SPOT, OkxInstrument
from tools.simulator.dialects.okx.orders import client_id, terms
from tools.simulator.dialects.okx.text import ms, plain

STATES = {
    OrdStatus.PENDING_NEW: "live",
    OrdStatus.NEW: "live",
    OrdStatus.PARTIALLY_FILLED: "partially_filled",
    OrdStatus.FILLED: "filled",
}
"""Everything else is `canceled`: there is no word for a rejection (14)."""
BY_USER, FOK, IOC_REST, DEAD_MAN, REDUCE_ONLY, WOULD_TAKE, SELF_TRADE = "1", "13", "14", "20", "22", "31", "32"
AMEND_DONE, AMEND_FAILED, AMEND_CANCELED = "0", "-1", "1"


@attrs.frozen
class Bill:
    """One fill of an account, in the order of the account's bills."""

    bill_id: int
    order: Order
    fill: Fill


def state_of(order: Order) -> str:
    return STATES.get(order.ord_status, "canceled")


def average(order: Order, instrument: OkxInstrument) -> Decimal:
    if not order.cum_qty:
        return ZERO
    price = order.cum_quote / (order.cum_qty * instrument.contract_size)
    return price.quantize(instrument.tick / 10_000).normalize()


def order_row(
    order: Order, instrument: OkxInstrument, *, last: Fill | None, channel: bool, last_px: Decimal = ZERO
) -> dict[str, Any]:
    """An order. `last` is the fill of this update on the channel, the last of all in REST."""
    kept = terms(order)
    priced = order.limit_px is not None
    cost = plain(-order.commission) if order.commission else "0"
    fee_ccy = order.commission_asset or (
        instrument.quote if instrument.inst_type != SPOT else (instrument.base if order.is_buy else instrument.quote)
    )
    filled = bool(order.cum_qty)
    row: dict[str, Any] = {
        "instType": kept.inst_type,
        "instId": order.symbol,
        "ordId": order.venue_id,
        "clOrdId": client_id(order),
        "tag": kept.tag,
        "ccy": "",
        "px": plain(order.price) if priced else "",
        "pxUsd": "",
        "pxVol": "",
        "pxType": "",
        "sz": kept.size if order.quote_order_qty else plain(order.order_qty),
        "ordType": kept.ord_type,
        "side": _side(order),
        "posSide": kept.pos_side,
        "tdMode": kept.td_mode,
        "tgtCcy": kept.tgt_ccy,
        "state": state_of(order),
        "accFillSz": plain(order.cum_qty),
        "avgPx": plain(average(order, instrument)) if filled else ("0" if channel else ""),
        "fillSz": plain(last.trade.qty) if last else "0",
        "fillPx": plain(last.trade.price) if last else "",
        "tradeId": str(last.trade.trade_id) if last else "",
        "fillTime": ms(last.trade.time_ns) if last else "",
        "fee": cost,
        "feeCcy": fee_ccy,
        "rebate": "0",
        "rebateCcy": fee_ccy,
        "pnl": plain(order.realized),
        "lever": kept.lever,
        "reduceOnly": "true" if kept.reduce_only else "false",
        "source": kept.source,
        "cancelSource": kept.cancel_source,
        "category": kept.category,
        "algoId": kept.algo_id,
        "algoClOrdId": kept.algo_cl_ord_id,
        "attachAlgoClOrdId": "",
        "attachAlgoOrds": list(kept.attached),
        "linkedAlgoOrd": {"algoId": ""},
        "isTpLimit": "false",
        "quickMgnType": "",
        "stpId": "",
        "stpMode": kept.stp_mode,
        "tpTriggerPx": "",
        "tpTriggerPxType": "",
        "tpOrdPx": "",
        "slTriggerPx": "",
        "slTriggerPxType": "",
        "slOrdPx": "",
        "tradeQuoteCcy": kept.quote_ccy,
        "cTime": ms(order.transact_ns),
        "uTime": ms(order.update_ns),
    }
    if not channel:
        row["cancelSourceReason"] = ""
        return row
    notional = order.order_qty * instrument.contract_size * (order.price if priced else last_px)
    return row | {
        "execType": _exec_type(last),
        "fillFee": plain(-last.commission) if last else "0",
        "fillFeeCcy": last.commission_asset if last else "",
        "fillPnl": plain(last.realized) if last else "0",
        "fillNotionalUsd": plain(last.trade.quote_qty) if last else "",
        "fillMarkPx": "",
        "notionalUsd": plain(notional),
        "amendSource": kept.amend_source,
        "reqId": kept.req_id,
        "amendResult": kept.amend_result,
        "lastPx": plain(last_px),
        "code": kept.code or "0",
        "msg": kept.msg,
    }


def _side(order: Order) -> str:
    return "buy" if order.is_buy else "sell"


def _exec_type(fill: Fill | None) -> str:
    return "" if fill is None else "M" if fill.is_maker else "T"


def fill_row(bill: Bill, instrument: OkxInstrument) -> dict[str, Any]:
    """An own trade of the history."""
    order, fill = bill.order, bill.fill
    kept = terms(order)
    return {
        "instType": instrument.inst_type,
        "instId": order.symbol,
        "tradeId": str(fill.trade.trade_id),
        "ordId": order.venue_id,
        "clOrdId": client_id(order),
        "billId": str(bill.bill_id),
        "subType": "1" if order.is_buy else "2",
        "tag": kept.tag,
        "fillPx": plain(fill.trade.price),
        "fillSz": plain(fill.trade.qty),
        "fillPnl": plain(fill.realized),
        "fillPxVol": "",
        "fillPxUsd": "",
        "fillMarkVol": "",
        "fillFwdPx": "",
        "fillMarkPx": "",
        "fillIdxPx": "",
        "side": _side(order),
        "posSide": kept.pos_side or "net",
        "execType": _exec_type(fill),
        "feeCcy": fill.commission_asset,
        "fee": plain(-fill.commission),
        "feeRate": "",
        "tradeQuoteCcy": kept.quote_ccy,
        "ts": ms(fill.trade.time_ns),
        "fillTime": ms(fill.trade.time_ns),
    }


def fills_push(order: Order, fill: Fill) -> dict[str, Any]:
    """A row of the `fills` channel: no fee, and the client's id only where it is a positive 64-bit number (8.2)."""
    name = client_id(order)
    numeric = name.isdigit() and 0 < int(name) < 2**63
    return {
        "instId": order.symbol,
        "fillSz": plain(fill.trade.qty),
        "fillPx": plain(fill.trade.price),
        "side": _side(order),
        "ts": ms(fill.trade.time_ns),
        "ordId": order.venue_id,
        "clOrdId": name if numeric else "",
        "tradeId": str(fill.trade.trade_id),
        "execType": _exec_type(fill),
        "count": "1",
    }


_ENDS = {
    "UNFILLED_FOK_ORDER_EXPIRED": FOK,
    "UNFILLED_IOC_QUANTITY_EXPIRED": IOC_REST,
    "INSUFFICIENT_LIQUIDITY": IOC_REST,
}


def note_end(order: Order, execution: Execution) -> None:
    """Remember why an order ended, where its end is not the user's doing."""
    kept = terms(order)
    if execution.exec_type is ExecType.REJECTED:
        kept.cancel_source = WOULD_TAKE
    elif execution.exec_type is ExecType.TRADE_PREVENTION:
        kept.cancel_source = SELF_TRADE
    elif execution.exec_type is ExecType.EXPIRED and not kept.cancel_source:
        kept.cancel_source = _ENDS.get(execution.expiry_reason, "0")
