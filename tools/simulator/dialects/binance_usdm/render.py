"""Orders, fills, positions and balances as the venue writes them (sections 7, 8, 11, 12).

Prices and quantities carry as many decimals as the symbol's precisions say, money eight.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tools.simulator.core import margin
from tools.simulator.core.accounts import Account, Position
from tools.simulator.core.algos import Algo
from tools.simulator.core.clock import MS
from tools.simulator.core.decimals import ZERO, text8
from tools.simulator.core.exchange import Exchange
from tools.simulator.core.model import Fill, MarginMode, Order, OrdStatus, OrdType, PositionSide, Side
from tools.simulator.dialects.binance_usdm.symbols import SymbolInfo


def status_of(order: Order) -> str:
    """The venue has no REJECTED: a refused order never comes into being."""
    return OrdStatus.EXPIRED.value if order.ord_status is OrdStatus.REJECTED else order.ord_status.value


def lifetime(order: Order) -> str:
    """GTX, GTD and RPI are words that only the dialect remembers."""
    return str(order.extra.get("tif", order.time_in_force.value))


def type_of(order: Order) -> str:
    return "MARKET" if order.ord_type is OrdType.MARKET else "LIMIT"


def orig_type(order: Order) -> str:
    return str(order.extra.get("orig_type", type_of(order)))


def average_px(order: Order) -> Decimal:
    return order.cum_quote / order.cum_qty if order.cum_qty else ZERO


def _common(order: Order, info: SymbolInfo) -> dict[str, Any]:
    return {
        "orderId": order.order_id,
        "symbol": order.symbol,
        "status": status_of(order),
        "clientOrderId": order.cl_ord_id,
        "price": info.price(order.price),
        "origQty": info.qty(order.order_qty),
        "executedQty": info.qty(order.cum_qty),
        "timeInForce": lifetime(order),
        "type": type_of(order),
        "reduceOnly": order.reduce_only,
        "closePosition": order.close_position,
        "side": order.side.value,
        "positionSide": order.position_side.value,
        "stopPrice": info.price(order.stop_px),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": orig_type(order),
        "priceMatch": order.extra.get("price_match", "NONE"),
        "selfTradePreventionMode": order.stp_mode.value,
        "goodTillDate": order.extra.get("good_till", 0),
        "updateTime": order.update_ns // MS,
    }


def placed(order: Order, info: SymbolInfo, response: str) -> dict[str, Any]:
    """The answer to a new order, since July 2026 without average price and quote amount (7)."""
    body = _common(order, info)
    if response == "ACK":
        body |= {"status": "NEW", "executedQty": info.qty(ZERO)}
    return body | {"cumQty": body["executedQty"]}


def changed(order: Order, info: SymbolInfo, modify_id: int | None = None) -> dict[str, Any]:
    """The answer to a cancel or a modification."""
    body = _common(order, info) | {"pair": order.symbol, "cumQty": info.qty(order.cum_qty)}
    return body if modify_id is None else body | {"modifyId": modify_id}


def queried(order: Order, info: SymbolInfo) -> dict[str, Any]:
    """An order as queries show it, with average price and quote amount (11)."""
    return _common(order, info) | {
        "avgPrice": f"{average_px(order):.{info.price_precision + 3}f}",
        "cumQuote": f"{order.cum_quote:.{info.price_precision + 3}f}",
        "time": order.transact_ns // MS,
    }


def user_trade(fill: Fill, info: SymbolInfo) -> dict[str, Any]:
    trade = fill.trade
    return {
        "buyer": fill.side is Side.BUY,
        "maker": fill.is_maker,
        "commission": text8(fill.commission),
        "commissionAsset": fill.commission_asset,
        "id": trade.trade_id,
        "orderId": fill.order_id,
        "price": info.price(trade.price),
        "qty": info.qty(trade.qty),
        "quoteQty": text8(trade.quote_qty),
        "realizedPnl": text8(fill.realized),
        "side": fill.side.value,
        "positionSide": fill.position_side.value,
        "symbol": trade.symbol,
        "time": trade.time_ns // MS,
    }


# -------------------------------------------------------------------------------------------- algo orders
def algo(found: Algo, info: SymbolInfo) -> dict[str, Any]:
    """The answer to a new conditional order (8)."""
    leg, extra = found.legs[0], found.extra
    order = leg.order
    return {
        "algoId": found.algo_id,
        "clientAlgoId": found.cl_algo_id,
        "algoType": "CONDITIONAL",
        "orderType": extra["type"],
        "symbol": found.symbol,
        "side": order.side.value,
        "positionSide": order.position_side.value,
        "timeInForce": lifetime(order),
        "quantity": info.qty(order.order_qty),
        "algoStatus": found.status.value,
        "triggerPrice": info.price(leg.trigger_px),
        "price": info.price(order.price),
        "icebergQuantity": None,
        "selfTradePreventionMode": order.stp_mode.value,
        "workingType": extra["working_type"],
        "priceMatch": order.extra.get("price_match", "NONE"),
        "closePosition": found.close_position,
        "priceProtect": extra["price_protect"],
        "reduceOnly": order.reduce_only,
        "activatePrice": info.price(leg.activation_px) if leg.activation_px else "",
        "callbackRate": f"{leg.callback * 100:.1f}" if leg.callback else "",
        "createTime": found.created_ns // MS,
        "updateTime": found.updated_ns // MS,
        "triggerTime": found.triggered_ns // MS,
        "goodTillDate": order.extra.get("good_till", 0),
    }


def algo_query(found: Algo, info: SymbolInfo) -> dict[str, Any]:
    """The same with what became of its child."""
    child = found.child
    return algo(found, info) | {
        "actualOrderId": "" if child is None else str(child.order_id),
        "actualPrice": f"{ZERO if child is None else average_px(child):.5f}",
        "actualQty": info.qty(ZERO if child is None else child.cum_qty),
        "actualType": "" if child is None else type_of(child),
    }


# ------------------------------------------------------------------------------------ account and positions
def is_shown(ex: Exchange, account: Account, symbol: str) -> bool:
    """Only symbols with a position or an open order appear: absence means flat (12)."""
    orders, held = margin.has_business(account, symbol)
    return orders or held


def position_rows(account: Account, symbol: str) -> list[Position]:
    """One row in one-way mode, in hedge mode those of the sides that are held (both where neither is)."""
    if not account.hedge:
        return [account.position(symbol)]
    sides = [account.position(symbol, side) for side in (PositionSide.LONG, PositionSide.SHORT)]
    return [each for each in sides if each.qty] or sides


def position_risk(ex: Exchange, position: Position, info: SymbolInfo) -> dict[str, Any]:
    """A row of `v3/positionRisk`."""
    market, account = ex.markets[position.symbol], position.account
    isolated = account.margin(position.symbol).mode is MarginMode.ISOLATED
    margin_of_orders = margin.order_margin(market, account)
    initial = margin.position_margin(market, position)
    value = margin.notional(market, position)
    fees = position.fees / abs(position.qty) if position.qty else ZERO
    even = position.entry_px + fees if position.qty > 0 else position.entry_px - fees
    unrealized = margin.unrealized(market, position)
    return {
        "symbol": position.symbol,
        "positionSide": position.side.value,
        "positionAmt": info.qty(position.qty),
        "entryPrice": _px(position.entry_px),
        "breakEvenPrice": _px(even if position.qty else ZERO),
        "markPrice": text8(market.mark_px),
        "unRealizedProfit": text8(unrealized),
        "liquidationPrice": _px(margin.liquidation_px(ex, position)),
        "isolatedMargin": text8(position.isolated_wallet + unrealized) if isolated else "0",
        "notional": text8(value if position.qty >= 0 else -value),
        "marginAsset": market.spec.settle,
        "isolatedWallet": text8(position.isolated_wallet) if isolated else "0",
        "initialMargin": text8(initial + margin_of_orders),
        "maintMargin": text8(margin.maintenance(market, position)),
        "positionInitialMargin": text8(initial),
        "openOrderInitialMargin": text8(margin_of_orders),
        "adl": 0 if not position.qty else 2,
        "bidNotional": text8(_side_notional(account, position.symbol, Side.BUY)),
        "askNotional": text8(_side_notional(account, position.symbol, Side.SELL)),
        "updateTime": position.update_ns // MS,
    }


def position_risk_v2(ex: Exchange, position: Position, info: SymbolInfo) -> dict[str, Any]:
    """A row of the older `v2/positionRisk`: leverage and margin type in it."""
    settings = position.account.margin(position.symbol)
    isolated = settings.mode is MarginMode.ISOLATED
    row = position_risk(ex, position, info)
    names = ("symbol", "positionSide", "positionAmt", "entryPrice", "breakEvenPrice", "markPrice", "unRealizedProfit")
    return {
        name: row[name] for name in (*names, "liquidationPrice", "isolatedMargin", "notional", "isolatedWallet")
    } | {
        "leverage": str(settings.leverage),
        "marginType": "isolated" if isolated else "cross",
        "isAutoAddMargin": "false",
        "maxNotionalValue": "0",
    }


def _side_notional(account: Account, symbol: str, side: Side) -> Decimal:
    return sum(
        (
            order.price * order.open_qty
            for order in account.open_orders.values()
            if order.symbol == symbol and order.side is side
        ),
        ZERO,
    )


def _px(value: Decimal) -> str:
    """Averages have more decimals than prices."""
    return f"{value:.8f}".rstrip("0").rstrip(".") if value else "0.0"


def balance(ex: Exchange, account: Account, asset: str, *, new: bool) -> dict[str, Any]:
    """A row of `balance`: v3, or v2 and the WebSocket's, which are the same here."""
    purse = margin.wallet(ex, account, asset)
    return {
        "accountAlias": f"sim{account.uid}",
        "asset": asset,
        "balance": text8(purse.balance),
        "crossWalletBalance": text8(purse.balance - purse.isolated),
        "crossUnPnl": text8(purse.cross_unrealized),
        "availableBalance": text8(max(ZERO, purse.available)),
        "maxWithdrawAmount": text8(max(ZERO, min(purse.available, purse.balance - purse.isolated))),
        "marginAvailable": True,
        "updateTime": account.update_ns // MS,
    }


def asset_row(ex: Exchange, account: Account, asset: str) -> dict[str, Any]:
    """A row of the account's `assets`."""
    purse = margin.wallet(ex, account, asset)
    available = text8(max(ZERO, purse.available))
    return {
        "asset": asset,
        "walletBalance": text8(purse.balance),
        "unrealizedProfit": text8(purse.unrealized),
        "marginBalance": text8(purse.equity),
        "maintMargin": text8(purse.maintenance),
        "initialMargin": text8(purse.position_margin + purse.order_margin),
        "positionInitialMargin": text8(purse.position_margin),
        "openOrderInitialMargin": text8(purse.order_margin),
        "crossWalletBalance": text8(purse.balance - purse.isolated),
        "crossUnPnl": text8(purse.cross_unrealized),
        "availableBalance": available,
        "maxWithdrawAmount": available,
        "updateTime": account.update_ns // MS,
    }


def account_position(ex: Exchange, position: Position, info: SymbolInfo) -> dict[str, Any]:
    """A row of the account's `positions`; mind the spelling of `unrealizedProfit` here."""
    risk = position_risk(ex, position, info)
    names = ("isolatedMargin", "notional", "isolatedWallet", "initialMargin", "maintMargin", "updateTime")
    return {
        "symbol": position.symbol,
        "positionSide": risk["positionSide"],
        "positionAmt": risk["positionAmt"],
        "unrealizedProfit": risk["unRealizedProfit"],
        **{name: risk[name] for name in names},
    }


def account_totals(ex: Exchange, account: Account) -> dict[str, Any]:
    """The head of the account in single-asset mode: totals in USDT (12)."""
    row = asset_row(ex, account, "USDT")
    return {
        "totalInitialMargin": row["initialMargin"],
        "totalMaintMargin": row["maintMargin"],
        "totalWalletBalance": row["walletBalance"],
        "totalUnrealizedProfit": row["unrealizedProfit"],
        "totalMarginBalance": row["marginBalance"],
        "totalPositionInitialMargin": row["positionInitialMargin"],
        "totalOpenOrderInitialMargin": row["openOrderInitialMargin"],
        "totalCrossWalletBalance": row["crossWalletBalance"],
        "totalCrossUnPnl": row["crossUnPnl"],
        "availableBalance": row["availableBalance"],
        "maxWithdrawAmount": row["maxWithdrawAmount"],
    }
