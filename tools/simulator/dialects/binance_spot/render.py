"""Orders, fills and balances as the venue writes them (sections 8, 9, 10, 14).

Prices and quantities are text with eight decimals; times are integers in `unit` nanoseconds (1,000,000 for the
usual milliseconds, 1,000 where a client asked for microseconds).
"""

from __future__ import annotations

from typing import Any

from tools.simulator.core.accounts import Account
from tools.simulator.core.decimals import text8
from tools.simulator.core.lists import OrderList
from tools.simulator.core.model import (
    ExecType,
    Execution,
    Fill,
    Order,
    OrdStatus,
    RejectReason,
    Side,
    StpMode,
)

ZERO8 = "0.00000000"
MS_UNIT = 1_000_000

_REJECT_WORDS = {
    RejectReason.INSUFFICIENT_BALANCE: "INSUFFICIENT_BALANCES",
    RejectReason.WOULD_TRIGGER: "STOP_PRICE_WOULD_TRIGGER_IMMEDIATELY",
    RejectReason.WOULD_MATCH: "WOULD_MATCH_IMMEDIATELY",
    RejectReason.LIST_PRICES: "OCO_BAD_PRICES",
}


def list_id_of(order: Order) -> int:
    return -1 if order.order_list is None else order.order_list.list_id


def _optional(order: Order, unit: int) -> dict[str, Any]:
    """Fields that appear only where they apply."""
    fields: dict[str, Any] = {}
    if order.stop_px:
        fields["stopPrice"] = text8(order.stop_px)
    if order.iceberg_qty:
        fields["icebergQty"] = text8(order.iceberg_qty)
    if order.trailing_delta:
        fields["trailingDelta"] = order.trailing_delta
        fields["trailingTime"] = order.trailing_ns // unit if order.trailing_ns else -1
    if order.strategy_id is not None:
        fields["strategyId"] = order.strategy_id
    if order.strategy_type is not None:
        fields["strategyType"] = order.strategy_type
    if order.prevented_match_id is not None:
        fields["preventedMatchId"] = order.prevented_match_id
        fields["preventedQuantity"] = text8(order.prevented_qty)
    if order.expiry_reason:
        fields["expiryReason"] = order.expiry_reason
    return fields


def _core(order: Order, status: OrdStatus | None) -> dict[str, Any]:
    return {
        "price": text8(order.price),
        "origQty": text8(order.order_qty),
        "executedQty": text8(order.cum_qty),
        "origQuoteOrderQty": text8(order.quote_order_qty),
        "cummulativeQuoteQty": text8(order.cum_quote),
        "status": (status or order.ord_status).value,
        "timeInForce": order.time_in_force.value,
        "type": order.ord_type.value,
        "side": order.side.value,
    }


def ack(order: Order, unit: int) -> dict[str, Any]:
    """The shortest answer to a new order."""
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": list_id_of(order),
        "clientOrderId": order.cl_ord_id,
        "transactTime": order.transact_ns // unit,
    }


def new_order(
    order: Order, response: str, fills: list[Fill], unit: int, status: OrdStatus | None = None
) -> dict[str, Any]:
    """The answer to a new order: ACK, RESULT or FULL."""
    body = ack(order, unit)
    if response == "ACK":
        return body
    body |= _core(order, status)
    body["workingTime"] = order.working_ns // unit if order.working_ns else -1
    body["selfTradePreventionMode"] = order.stp_mode.value
    body |= _optional(order, unit)
    if response == "FULL":
        body["fills"] = [
            {
                "price": text8(fill.trade.price),
                "qty": text8(fill.trade.qty),
                "commission": text8(fill.commission),
                "commissionAsset": fill.commission_asset,
                "tradeId": fill.trade.trade_id,
            }
            for fill in fills
        ]
    return body


def canceled(order: Order, original: str, unit: int) -> dict[str, Any]:
    """The answer to a cancel; the order carries its new client id already."""
    return {
        "symbol": order.symbol,
        "origClientOrderId": original,
        "orderId": order.order_id,
        "orderListId": list_id_of(order),
        "clientOrderId": order.cl_ord_id,
        "transactTime": order.update_ns // unit,
        **_core(order, None),
        "selfTradePreventionMode": order.stp_mode.value,
        **_optional(order, unit),
    }


def query(order: Order, unit: int) -> dict[str, Any]:
    """An order as `order.status`, `openOrders.status` and `allOrders` show it."""
    body = {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": list_id_of(order),
        "clientOrderId": order.cl_ord_id,
        **_core(order, None),
        "stopPrice": text8(order.stop_px),
        "icebergQty": text8(order.iceberg_qty),
        "time": order.transact_ns // unit,
        "updateTime": order.update_ns // unit,
        "isWorking": order.is_working,
        "workingTime": order.working_ns // unit if order.working_ns else -1,
        "selfTradePreventionMode": order.stp_mode.value,
    }
    for name, value in _optional(order, unit).items():
        body.setdefault(name, value)
    return body


def amended(order: Order, original: str, unit: int) -> dict[str, Any]:
    """The order inside an amend's answer, whose field names differ from everywhere else."""
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": list_id_of(order),
        "origClientOrderId": original,
        "clientOrderId": order.cl_ord_id,
        "price": text8(order.price),
        "qty": text8(order.order_qty),
        "executedQty": text8(order.cum_qty),
        "preventedQty": text8(order.prevented_qty),
        "quoteOrderQty": text8(order.quote_order_qty),
        "cumulativeQuoteQty": text8(order.cum_quote),
        "status": order.ord_status.value,
        "timeInForce": order.time_in_force.value,
        "type": order.ord_type.value,
        "side": order.side.value,
        "workingTime": order.working_ns // unit if order.working_ns else -1,
        "selfTradePreventionMode": order.stp_mode.value,
    }


def my_trade(fill: Fill, unit: int) -> dict[str, Any]:
    trade = fill.trade
    return {
        "symbol": trade.symbol,
        "id": trade.trade_id,
        "orderId": fill.order_id,
        "orderListId": fill.order_list_id,
        "price": text8(trade.price),
        "qty": text8(trade.qty),
        "quoteQty": text8(trade.quote_qty),
        "commission": text8(fill.commission),
        "commissionAsset": fill.commission_asset,
        "time": trade.time_ns // unit,
        "isBuyer": fill.side is Side.BUY,
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }


def list_head(order_list: OrderList, unit: int) -> dict[str, Any]:
    """An order list without its reports."""
    return {
        "orderListId": order_list.list_id,
        "contingencyType": order_list.contingency,
        "listStatusType": order_list.status_type,
        "listOrderStatus": order_list.order_status,
        "listClientOrderId": order_list.cl_list_id,
        "transactionTime": order_list.transact_ns // unit,
        "symbol": order_list.symbol,
        "orders": [
            {"symbol": leg.symbol, "orderId": leg.order_id, "clientOrderId": leg.cl_ord_id} for leg in order_list.legs
        ],
    }


def account(holder: Account, *, omit_zero: bool, unit: int) -> dict[str, Any]:
    rates = {"maker": text8(holder.maker_rate), "taker": text8(holder.taker_rate), "buyer": ZERO8, "seller": ZERO8}
    return {
        "makerCommission": int(holder.maker_rate * 10_000),
        "takerCommission": int(holder.taker_rate * 10_000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": rates,
        "canTrade": holder.can_trade,
        "canWithdraw": False,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": holder.update_ns // unit,
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": text8(balance.free), "locked": text8(balance.locked)}
            for asset, balance in sorted(holder.balances.items())
            if balance.total or not omit_zero
        ],
        "permissions": ["SPOT"],
        "uid": holder.uid,
    }


def execution_report(order: Order, execution: Execution, unit: int) -> dict[str, Any]:
    """Section 14.1. Letters differ by case; each name below appears exactly as the venue prints it."""
    fill = execution.fill
    trade = None if fill is None else fill.trade
    event: dict[str, Any] = {
        "e": "executionReport",
        "E": execution.time_ns // unit,
        "s": order.symbol,
        "c": order.cl_ord_id,
        "S": order.side.value,
        "o": order.ord_type.value,
        "f": order.time_in_force.value,
        "q": text8(order.order_qty),
        "p": text8(order.price),
        "P": text8(order.stop_px),
        "F": text8(order.iceberg_qty),
        "g": list_id_of(order),
        "C": execution.orig_cl_ord_id,
        "x": execution.exec_type.value,
        "X": order.ord_status.value,
        "r": "NONE" if execution.ord_rej_reason is None else _REJECT_WORDS[execution.ord_rej_reason],
        "i": order.order_id,
        "l": ZERO8 if trade is None else text8(trade.qty),
        "z": text8(order.cum_qty),
        "L": ZERO8 if trade is None else text8(trade.price),
        "n": "0" if fill is None else text8(fill.commission),
        "N": None if fill is None else fill.commission_asset,
        "T": execution.time_ns // unit,
        "t": -1 if trade is None else trade.trade_id,
        "I": execution.exec_id,
        "w": order.is_working and order.is_live,
        "m": fill is not None and fill.is_maker,
        "M": fill is not None,
        "O": order.transact_ns // unit,
        "Z": text8(order.cum_quote),
        "Y": ZERO8 if trade is None else text8(trade.quote_qty),
        "Q": text8(order.quote_order_qty),
    }
    if order.working_ns:
        event["W"] = order.working_ns // unit
    event["V"] = order.stp_mode.value if order.stp_mode is not StpMode.NONE else "NONE"
    if order.trailing_delta:
        event["d"] = order.trailing_delta
        event["D"] = order.trailing_ns // unit if order.trailing_ns else -1
    if order.strategy_id is not None:
        event["j"] = order.strategy_id
    if order.strategy_type is not None:
        event["J"] = order.strategy_type
    if execution.expiry_reason:
        event["eR"] = execution.expiry_reason
    if execution.exec_type is ExecType.TRADE_PREVENTION:
        event |= {
            "v": execution.prevented_match_id,
            "A": text8(order.prevented_qty),
            "B": text8(execution.prevented_qty),
            "u": execution.trade_group,
            "U": execution.counter_order_id,
            "Cs": execution.counter_symbol,
            "pl": text8(execution.prevented_qty),
            "pL": text8(execution.prevented_px),
            "pY": text8(execution.prevented_qty * execution.prevented_px),
        }
    return event


def list_status(order_list: OrderList, time_ns: int, unit: int) -> dict[str, Any]:
    return {
        "e": "listStatus",
        "E": time_ns // unit,
        "s": order_list.symbol,
        "g": order_list.list_id,
        "c": order_list.contingency,
        "l": order_list.status_type,
        "L": order_list.order_status,
        "r": order_list.reject_reason,
        "C": order_list.cl_list_id,
        "T": order_list.transact_ns // unit,
        "O": [{"s": leg.symbol, "i": leg.order_id, "c": leg.cl_ord_id} for leg in order_list.legs],
    }


def account_position(holder: Account, assets: set[str], time_ns: int, unit: int) -> dict[str, Any]:
    rows = []
    for asset in sorted(assets):
        balance = holder.balance(asset)
        rows.append({"a": asset, "f": text8(balance.free), "l": text8(balance.locked)})
    return {
        "e": "outboundAccountPosition",
        "E": time_ns // unit,
        "u": holder.update_ns // unit,
        "B": rows,
    }
