"""Queries of one account: orders, fills, money, positions, income, limits; listen keys (sections 11, 12, 15.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.simulator.core.clock import DAY, MS
from tools.simulator.core.model import Fill, MarginMode, Order
from tools.simulator.dialects.binance_common.errors import VenueError, bad_combination, no_such_order
from tools.simulator.dialects.binance_common.gateway import Call, Method, Security
from tools.simulator.dialects.binance_common.params import Params
from tools.simulator.dialects.binance_usdm import errors, render
from tools.simulator.dialects.binance_usdm.methods_market import info_of, market_of
from tools.simulator.dialects.binance_usdm.methods_trade import find_order

if TYPE_CHECKING:
    from tools.simulator.dialects.binance_usdm.venue import BinanceUsdm

WINDOW = 7 * DAY


def order_status(venue: BinanceUsdm, call: Call) -> Any:
    order = find_order(venue, call)
    call.params.finish()
    if order is None:
        raise no_such_order()
    return render.queried(order, venue.infos[order.symbol])


def open_order(venue: BinanceUsdm, call: Call) -> Any:
    """Open ones only: a filled or canceled order does not exist here."""
    order = find_order(venue, call)
    call.params.finish()
    if order is None or not order.is_live:
        raise no_such_order()
    return render.queried(order, venue.infos[order.symbol])


def open_orders(venue: BinanceUsdm, call: Call) -> Any:
    symbol = market_of(venue, call.params).symbol if "symbol" in call.params else None
    call.params.finish()
    return [
        render.queried(order, venue.infos[order.symbol])
        for order in call.account.open_orders.values()
        if symbol is None or order.symbol == symbol
    ]


def _span(params: Params) -> tuple[int | None, int | None]:
    """Start and end in nanoseconds; a start alone means seven days. Raises -4165 for more."""
    start, end = params.integer("startTime"), params.integer("endTime")
    if start is not None and end is not None and (end - start) * MS > WINDOW:
        raise VenueError(-4165, "Invalid time interval, maximum is 7 days.")
    start_ns = None if start is None else start * MS
    end_ns = None if end is None else end * MS + MS - 1
    return start_ns, start_ns + WINDOW if start_ns is not None and end_ns is None else end_ns


def _within(time_ns: int, start_ns: int | None, end_ns: int | None) -> bool:
    return (start_ns is None or time_ns >= start_ns) and (end_ns is None or time_ns <= end_ns)


def all_orders(venue: BinanceUsdm, call: Call) -> Any:
    params = call.params
    symbol = market_of(venue, params).symbol if "symbol" in params else None
    first, limit = params.integer("orderId"), params.limit(500, 1000)
    start_ns, end_ns = _span(params)
    params.finish()
    rows: list[Order] = [
        order
        for order in call.account.orders
        if (symbol is None or order.symbol == symbol)
        and (first is None or order.order_id >= first)
        and (first is not None or _within(order.update_ns, start_ns, end_ns))
    ]
    rows = rows[:limit] if first is not None or start_ns is not None else rows[-limit:]
    return [render.queried(order, venue.infos[order.symbol]) for order in rows]


def user_trades(venue: BinanceUsdm, call: Call) -> Any:
    params = call.params
    market = market_of(venue, params)
    order_id, first = params.integer("orderId"), params.integer("fromId")
    limit = params.limit(500, 1000)
    start_ns, end_ns = _span(params)
    params.finish()
    if first is not None and (start_ns is not None or end_ns is not None):
        raise bad_combination()
    rows: list[Fill] = [
        fill
        for fill in call.account.fills.get(market.symbol, [])
        if (order_id is None or fill.order_id == order_id)
        and (first is None or fill.trade.trade_id >= first)
        and _within(fill.trade.time_ns, start_ns, end_ns)
    ]
    rows = rows[:limit] if first is not None or start_ns is not None else rows[-limit:]
    return [render.user_trade(fill, info_of(venue, market)) for fill in rows]


def amendments(venue: BinanceUsdm, call: Call) -> Any:
    params = call.params
    order = find_order(venue, call)
    for ignored in ("startTime", "endTime"):
        params.integer(ignored)
    limit = params.limit(50, 100)
    params.finish()
    if order is None:
        raise no_such_order()
    return venue.amendments(order)[-limit:][::-1]


# ------------------------------------------------------------------------------------- money and positions
def balances(venue: BinanceUsdm, call: Call) -> Any:
    call.params.finish()
    return [render.balance(venue.exchange, call.account, asset, new=True) for asset in sorted(call.account.balances)]


def _positions(venue: BinanceUsdm, call: Call, symbol: str | None, *, everything: bool) -> list[Any]:
    account = call.account
    names = [symbol] if symbol is not None else list(venue.exchange.markets)
    return [
        position
        for name in names
        if everything or render.is_shown(venue.exchange, account, name)
        for position in render.position_rows(account, name)
    ]


def account_status(venue: BinanceUsdm, call: Call) -> Any:
    """v3: positions only where there is something."""
    return _account(venue, call, everything=False)


def account_status_v2(venue: BinanceUsdm, call: Call) -> Any:
    """v2: all symbols, with leverage and margin type, and what the account may do."""
    body = _account(venue, call, everything=True)
    account = call.account
    for row in body["positions"]:
        settings = account.margin(row["symbol"])
        position = next(each for each in render.position_rows(account, row["symbol"]))
        row |= {
            "leverage": str(settings.leverage),
            "isolated": settings.mode is MarginMode.ISOLATED,
            "entryPrice": render.position_risk(venue.exchange, position, venue.infos[row["symbol"]])["entryPrice"],
            "maxNotional": "0",
            "positionInitialMargin": row["initialMargin"],
            "openOrderInitialMargin": "0",
        }
    return body | {
        "feeTier": 0,
        "canTrade": account.can_trade,
        "canDeposit": True,
        "canWithdraw": False,
        "updateTime": 0,
        "multiAssetsMargin": venue.multi_assets(account),
        "tradeGroupId": account.trade_group,
    }


def _account(venue: BinanceUsdm, call: Call, *, everything: bool) -> dict[str, Any]:
    call.params.finish()
    account, ex = call.account, venue.exchange
    return render.account_totals(ex, account) | {
        "assets": [render.asset_row(ex, account, asset) for asset in sorted(account.balances)],
        "positions": [
            render.account_position(ex, position, venue.infos[position.symbol])
            for position in _positions(venue, call, None, everything=everything)
        ],
    }


def position_risk(venue: BinanceUsdm, call: Call) -> Any:
    symbol = market_of(venue, call.params).symbol if "symbol" in call.params else None
    call.params.finish()
    return [
        render.position_risk(venue.exchange, position, venue.infos[position.symbol])
        for position in _positions(venue, call, symbol, everything=False)
    ]


def position_risk_v2(venue: BinanceUsdm, call: Call) -> Any:
    symbol = market_of(venue, call.params).symbol if "symbol" in call.params else None
    call.params.finish()
    return [
        render.position_risk_v2(venue.exchange, position, venue.infos[position.symbol])
        for position in _positions(venue, call, symbol, everything=True)
    ]


def income(venue: BinanceUsdm, call: Call) -> Any:
    """Profit, commission and funding, oldest first."""
    params = call.params
    symbol = market_of(venue, params).symbol if "symbol" in params else None
    kind, limit = params.text("incomeType"), params.limit(100, 1000)
    start_ns, end_ns = params.integer("startTime"), params.integer("endTime")
    params.text("page")
    params.finish()
    rows = [
        row
        for row in venue.ledger(call.account)
        if (symbol is None or row["symbol"] == symbol)
        and (kind is None or row["incomeType"] == kind)
        and (start_ns is None or row["time"] >= start_ns)
        and (end_ns is None or row["time"] <= end_ns)
    ]
    return rows[-limit:] if start_ns is None else rows[:limit]


def commission(venue: BinanceUsdm, call: Call) -> Any:
    market = market_of(venue, call.params)
    call.params.finish()
    return {
        "symbol": market.symbol,
        "makerCommissionRate": f"{call.account.maker_rate:f}",
        "takerCommissionRate": f"{call.account.taker_rate:f}",
        "rpiCommissionRate": "0.00005",
    }


def order_limits(venue: BinanceUsdm, call: Call) -> Any:
    call.params.finish()
    names = ("rateLimitType", "interval", "intervalNum", "limit")
    return [{name: row[name] for name in names} for row in venue.order_limit_state(call.account)]


def force_orders(venue: BinanceUsdm, call: Call) -> Any:
    """What the venue closed by force."""
    params = call.params
    symbol = market_of(venue, params).symbol if "symbol" in params else None
    for ignored in ("autoCloseType", "startTime", "endTime"):
        params.text(ignored)
    limit = params.limit(50, 100)
    params.finish()
    found = [
        order for order in call.account.orders if order.extra.get("liquidation") and symbol in (None, order.symbol)
    ]
    return [render.queried(order, venue.infos[order.symbol]) for order in found[-limit:]]


# --------------------------------------------------------------------------------------------- listen keys
def open_key(venue: BinanceUsdm, call: Call) -> Any:
    key = venue.listen_keys.open(call.account, venue.clock.now_ns())
    return {"listenKey": key.text}


def keep_key(venue: BinanceUsdm, call: Call) -> Any:
    key = venue.listen_keys.of(call.account)
    if key is None:
        raise errors.listen_key_unknown()
    venue.listen_keys.open(call.account, venue.clock.now_ns())
    return {"listenKey": key.text}


def close_key(venue: BinanceUsdm, call: Call) -> Any:
    key = venue.listen_keys.of(call.account)
    if key is not None:
        venue.close_key(key)
    return {}


def _weight(params: Params) -> int:
    return 1 if "symbol" in params else 40


def _forced_weight(params: Params) -> int:
    return 20 if "symbol" in params else 50


def _query(path: str, handler: Any, weight: Any, *, name: str | None = None) -> Method:
    """A signed GET; it is on the WebSocket API where it has a name of its own."""
    full = f"/fapi/{path}" if path.startswith("v") else f"/fapi/v1/{path}"
    ws_name = path if name is None else name
    return Method(
        name=ws_name, handler=handler, weight=weight, security=Security.SIGNED, rest=("GET", full), ws=name is not None
    )


def _key_method(name: str, handler: Any, verb: str) -> Method:
    return Method(name=name, handler=handler, security=Security.KEY, rest=(verb, "/fapi/v1/listenKey"))


METHODS = [
    _query("order", order_status, 1, name="order.status"),
    _query("openOrder", open_order, 1),
    _query("openOrders", open_orders, _weight),
    _query("allOrders", all_orders, 5),
    _query("userTrades", user_trades, 5),
    _query("orderAmendment", amendments, 1),
    _query("forceOrders", force_orders, _forced_weight),
    _query("v3/balance", balances, 5, name="v2/account.balance"),
    _query("v2/balance", balances, 10, name="account.balance"),
    _query("v3/account", account_status, 5, name="v2/account.status"),
    _query("v2/account", account_status_v2, 10, name="account.status"),
    _query("v3/positionRisk", position_risk, 5, name="v2/account.position"),
    _query("v2/positionRisk", position_risk_v2, 10, name="account.position"),
    _query("income", income, 30),
    _query("commissionRate", commission, 20),
    _query("rateLimit/order", order_limits, 1),
    _key_method("userDataStream.start", open_key, "POST"),
    _key_method("userDataStream.ping", keep_key, "PUT"),
    _key_method("userDataStream.stop", close_key, "DELETE"),
]
