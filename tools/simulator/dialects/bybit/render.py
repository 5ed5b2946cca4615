"""Orders and fills as the venue writes them (sections 6, 9 and 12): rows that streams and queries share."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tools.simulator.core.clock import MS
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.model import Fill, Order, Side
from tools.simulator.dialects.bybit.instruments import Instrument, plain
from tools.simulator.dialects.bybit.terms import link_id, status_word, stop_word, terms_of

SIDES = {Side.BUY: "Buy", Side.SELL: "Sell"}


def order_row(order: Order, instrument: Instrument, *, stream: bool) -> dict[str, Any]:
    """One order.  `category` is said on the stream alone."""
    terms, spot = terms_of(order), instrument.is_spot
    leaves, value = _leaves(order, instrument)
    row: dict[str, Any] = {"category": terms.category} if stream else {}
    row |= {
        "symbol": instrument.symbol,
        "orderId": order.venue_id,
        "orderLinkId": link_id(order),
        "blockTradeId": "",
        "side": SIDES[order.side],
        "positionIdx": terms.position_idx,
        "orderStatus": status_word(order),
        "cancelType": terms.cancel_type,
        "rejectReason": terms.reject_reason,
        "timeInForce": terms.time_in_force,
        "isLeverage": terms.is_leverage,
        "price": terms.price or ("0" if spot else ""),
        "qty": terms.qty,
        "avgPrice": _average(order),
        "leavesQty": leaves,
        "leavesValue": value,
        "cumExecQty": instrument.qty(order.cum_qty) if order.cum_qty else "0",
        "cumExecValue": plain(order.cum_quote),
        "cumExecFee": terms.fees.get(instrument.settle or _fee_coin(order, instrument), "0"),
        "cumFeeDetail": dict(terms.fees),
        "orderType": terms.order_type,
        "stopOrderType": stop_word(order),
        "orderIv": "",
        "triggerPrice": instrument.px(order.stop_px) if order.stop_px else "",
        "triggerDirection": terms.trigger_direction,
        "triggerBy": terms.trigger_by,
        "lastPriceOnCreated": terms.last_px,
        "reduceOnly": terms.reduce_only,
        "closeOnTrigger": terms.close_on_trigger,
        "placeType": terms.place_type,
        "smpType": terms.smp_type,
        "smpGroup": "0",
        "smpOrderId": "",
        "marketUnit": terms.market_unit,
        "createType": terms.create_type,
        "feeCurrency": (_fee_coin(order, instrument) if order.cum_qty else "") if spot else "",
        "closedPnl": plain(order.realized),
        "createdTime": str(order.transact_ns // MS),
        "updatedTime": str(order.update_ns // MS),
    }
    for name, by in (("takeProfit", "tpTriggerBy"), ("stopLoss", "slTriggerBy")):
        attached = terms.attached.get(name)
        row |= (
            {name: "", by: ""} if attached is None else {name: instrument.px(attached.price), by: attached.trigger_by}
        )
    row |= {"tpLimitPrice": "", "slLimitPrice": ""}
    # Rows of spot orders have no tpslMode; clients tell the products apart by that.
    return row if spot else row | {"tpslMode": "Full" if terms.attached else ""}


def execution_row(
    order: Order, fill: Fill, instrument: Instrument, exec_id: str, sequence: int, rate: Decimal, closed: Decimal
) -> dict[str, Any]:
    """One fill.  `rate`: the fee's; `closed`: how much of a position it closed."""
    terms, trade = terms_of(order), fill.trade
    return {
        "category": terms.category,
        "symbol": instrument.symbol,
        "orderId": order.venue_id,
        "orderLinkId": link_id(order),
        "side": SIDES[fill.side],
        "orderPrice": terms.price or "0",
        "orderQty": terms.qty,
        "leavesQty": _leaves(order, instrument)[0],
        "createType": terms.create_type,
        "orderType": terms.order_type,
        "stopOrderType": stop_word(order) or "UNKNOWN",
        "execId": exec_id,
        "execPrice": instrument.px(trade.price),
        "execQty": instrument.qty(trade.qty),
        "execValue": plain(trade.quote_qty),
        "execType": "BustTrade" if terms.create_type == "CreateByLiq" else "Trade",
        "execTime": str(trade.time_ns // MS),
        "execFee": plain(fill.commission),
        "feeCurrency": fill.commission_asset,
        "feeRate": plain(rate),
        "execPnl": plain(fill.realized),
        "isMaker": fill.is_maker,
        "isLeverage": "0",
        "closedSize": plain(closed),
        "markPrice": "",
        "indexPrice": "",
        "underlyingPrice": "",
        "tradeIv": "",
        "markIv": "",
        "blockTradeId": "",
        "extraFees": "",
        "marketUnit": terms.market_unit,
        "seq": sequence,
    }


def fast_row(order: Order, fill: Fill, instrument: Instrument, exec_id: str, sequence: int) -> dict[str, Any]:
    """`execution.fast`: few fields, no fee, and no client id for makers (section 9.2)."""
    return {
        "category": instrument.category,
        "symbol": instrument.symbol,
        "execId": exec_id,
        "execPrice": instrument.px(fill.trade.price),
        "execQty": instrument.qty(fill.trade.qty),
        "orderId": order.venue_id,
        "isMaker": fill.is_maker,
        "orderLinkId": "" if fill.is_maker else link_id(order),
        "side": SIDES[fill.side],
        "execTime": str(fill.trade.time_ns // MS),
        "seq": sequence,
    }


def _average(order: Order) -> str:
    if not order.cum_qty:
        return ""
    return plain((order.cum_quote / order.cum_qty).quantize(Decimal("0.00000001")))


def _leaves(order: Order, instrument: Instrument) -> tuple[str, str]:
    """What may still trade, and what that is worth at the order's price."""
    leaves = order.leaves_qty
    if order.quote_order_qty:
        left = max(order.quote_order_qty - order.cum_quote, ZERO) if order.is_live else ZERO
        return ("0" if not leaves else instrument.qty(leaves)), plain(left)
    price = order.price or order.stop_px
    return (instrument.qty(leaves) if leaves else "0"), plain(leaves * price)


def _fee_coin(order: Order, instrument: Instrument) -> str:
    return instrument.base if order.is_buy else instrument.quote
