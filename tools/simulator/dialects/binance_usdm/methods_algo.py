"""Conditional orders: the Algo Service (section 8)."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tools.simulator.core.algos import Algo, AlgoLeg, AlgoStatus
from tools.simulator.core.clock import DAY, MS
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.model import Order, OrdType, PositionSide, PriceKind
from tools.simulator.dialects.binance_common.errors import VenueError, missing, no_such_order, unknown_order
from tools.simulator.dialects.binance_common.gateway import Call, Method, Security
from tools.simulator.dialects.binance_common.params import Params
from tools.simulator.dialects.binance_usdm import filters, render
from tools.simulator.dialects.binance_usdm.methods_market import info_of, market_of
from tools.simulator.dialects.binance_usdm.orders import CONDITIONAL_TYPES, OrderReader, response_kind

if TYPE_CHECKING:
    from tools.simulator.dialects.binance_usdm.venue import BinanceUsdm

PRICED = frozenset({"STOP", "TAKE_PROFIT"})
CLOSING = frozenset({"STOP_MARKET", "TAKE_PROFIT_MARKET"})
LOWEST_RATE, HIGHEST_RATE = Decimal("0.1"), Decimal(20)
WINDOW = 7 * DAY


def place(venue: BinanceUsdm, call: Call) -> Any:
    params = call.params
    if params.require("algoType") != "CONDITIONAL":
        raise VenueError(-1130, "Data sent for parameter 'algoType' is not valid.")
    market = market_of(venue, params)
    info = info_of(venue, market)
    kind = params.require("type")
    if kind not in CONDITIONAL_TYPES:
        raise VenueError(-1116, "Invalid orderType.")
    reader = OrderReader(venue, params, info, call.account)
    order = reader.base("clientAlgoId", OrdType.LIMIT if kind in PRICED else OrdType.MARKET)
    order.extra["orig_type"] = kind
    closes = _close_position(params, order, kind)
    qty = reader.quantity()
    if closes and qty is not None:
        raise VenueError(-4137, "Quantity must be zero with closePosition equals true.")
    if not closes:
        if qty is None:
            raise missing("quantity")
        filters.check_qty(qty, info.filters.get("LOT_SIZE"))
        order.order_qty = qty
    reader.price(order, wanted=kind in PRICED)
    reader.lifetime(order, wanted=True, default="GTC")
    leg = _leg(params, order, kind, info.price_precision)
    algo = Algo(
        account=call.account,
        symbol=market.symbol,
        cl_algo_id=order.cl_ord_id,
        legs=(leg,),
        close_position=closes,
        extra={
            "type": kind,
            "working_type": "MARK_PRICE" if leg.trigger_by is PriceKind.MARK else "CONTRACT_PRICE",
            "price_protect": bool(params.boolean("priceProtect")),
        },
    )
    response_kind(params)
    params.finish()
    if not closes:
        venue.protect(order)
    _check(venue, algo, leg, info)
    order.cl_ord_id = venue.child_id(algo)
    venue.exchange.algos.place(algo)
    venue.arrivals[algo.cl_algo_id].accepted += 1
    return render.algo(algo, info)


def _close_position(params: Params, order: Order, kind: str) -> bool:
    """Does it close the whole position at its trigger? It excludes `reduceOnly`, and two sides in hedge mode."""
    if not params.boolean("closePosition"):
        return False
    if kind not in CLOSING:
        raise VenueError(-4062, "Invalid reduce only or close position order type.")
    if order.reduce_only:
        raise VenueError(-4138, "Reduce only must be true or close position must be true, not both.")
    opens = PositionSide.LONG if order.is_buy else PositionSide.SHORT
    if order.position_side is opens:
        raise VenueError(-4062, "This order would open the position that it is to close.")
    return True


def _leg(params: Params, order: Order, kind: str, precision: int) -> AlgoLeg:
    """What it waits for."""
    source = params.text("workingType") or "CONTRACT_PRICE"
    if source not in ("MARK_PRICE", "CONTRACT_PRICE"):
        raise VenueError(-4031, "Invalid parameter working type.")
    trigger = params.decimal("triggerPrice", precision=precision)
    activation = params.decimal("activatePrice", precision=precision)
    rate = params.decimal("callbackRate", precision=2)
    by = PriceKind.MARK if source == "MARK_PRICE" else PriceKind.LAST
    if kind == "TRAILING_STOP_MARKET":
        if rate is None:
            raise missing("callbackRate")
        if not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise VenueError(-2007, "Invalid callBack rate.")
        return AlgoLeg(
            order=order, rises=order.is_buy, trigger_by=by, callback=rate / 100, activation_px=activation or ZERO
        )
    if trigger is None:
        raise missing("triggerPrice")
    rises = order.is_buy == kind.startswith("STOP")
    return AlgoLeg(order=order, rises=rises, trigger_px=trigger, trigger_by=by)


def _check(venue: BinanceUsdm, algo: Algo, leg: AlgoLeg, info: Any) -> None:
    """Prices on their grid, ids free, not met already, and not too many. Margin is not looked at before the trigger."""
    if leg.order.price:
        filters.check_price(leg.order.price, info)
    for price in (leg.trigger_px, leg.activation_px):
        if price:
            filters.check_price(price, info)
    open_ones = venue.exchange.algos.of(algo.account)
    if any(other.cl_algo_id == algo.cl_algo_id for other in open_ones):
        raise VenueError(-4116, "ClientOrderId is duplicated.")
    if len(open_ones) >= filters.MOST_CONDITIONAL:
        raise VenueError(-4045, "Reach max stop order limit.")
    last = venue.exchange.markets[algo.symbol].price_of(leg.trigger_by)
    behind = leg.activation_px and last and (leg.activation_px >= last if leg.rises else leg.activation_px <= last)
    if behind or venue.exchange.algos.would_fire(algo):
        raise VenueError(-2021, "Order would immediately trigger.")


def _find(venue: BinanceUsdm, call: Call) -> Algo | None:
    algo_id, client_id = call.params.integer("algoId"), call.params.text("clientAlgoId")
    if algo_id is None and client_id is None:
        raise VenueError(-1102, "Param 'algoId' or 'clientAlgoId' must be sent, but both were empty/null!")
    return venue.exchange.algos.find(call.account, algo_id, client_id)


def cancel(venue: BinanceUsdm, call: Call) -> Any:
    call.params.text("symbol")
    algo = _find(venue, call)
    call.params.finish()
    if algo is None or not algo.is_open:
        raise unknown_order()
    venue.exchange.algos.cancel(algo)
    return {"algoId": algo.algo_id, "clientAlgoId": algo.cl_algo_id, "code": "200", "msg": "success"}


def cancel_all(venue: BinanceUsdm, call: Call) -> Any:
    market = market_of(venue, call.params)
    call.params.finish()
    for algo in venue.exchange.algos.of(call.account, market.symbol):
        venue.exchange.algos.cancel(algo, AlgoStatus.CANCELED)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def status(venue: BinanceUsdm, call: Call) -> Any:
    algo = _find(venue, call)
    call.params.finish()
    if algo is None:
        raise no_such_order()
    return render.algo_query(algo, venue.infos[algo.symbol])


def open_orders(venue: BinanceUsdm, call: Call) -> Any:
    params = call.params
    symbol = market_of(venue, params).symbol if "symbol" in params else ""
    algo_id = params.integer("algoId")
    params.text("algoType")
    params.finish()
    return [
        render.algo_query(algo, venue.infos[algo.symbol])
        for algo in venue.exchange.algos.of(call.account, symbol)
        if algo_id is None or algo.algo_id == algo_id
    ]


def all_orders(venue: BinanceUsdm, call: Call) -> Any:
    """History; the window is shorter than seven days."""
    params = call.params
    symbol = market_of(venue, params).symbol
    first, limit = params.integer("algoId"), params.limit(500, 1000)
    start, end = params.integer("startTime"), params.integer("endTime")
    params.text("page")
    params.finish()
    if start is not None and end is not None and (end - start) * MS >= WINDOW:
        raise VenueError(-4165, "Invalid time interval, maximum is 7 days.")
    rows = [
        algo
        for algo in venue.exchange.algos.by_id.values()
        if algo.account is call.account
        and algo.symbol == symbol
        and (first is None or algo.algo_id >= first)
        and (start is None or algo.created_ns >= start * MS)
        and (end is None or algo.created_ns <= end * MS)
    ]
    return [render.algo_query(algo, venue.infos[algo.symbol]) for algo in rows[:limit]]


def _weight(params: Params) -> int:
    return 1 if "symbol" in params else 40


def _method(name: str, handler: Any, verb: str, path: str, *, ws: bool = False, **more: Any) -> Method:
    security = Security.SIGNED if verb == "GET" else Security.TRADE
    rest = (verb, f"/fapi/v1/{path}")
    return Method(name=name, handler=handler, security=security, rest=rest, ws=ws, **more)


METHODS = [
    _method("algoOrder.place", place, "POST", "algoOrder", ws=True, weight=0, orders=1, orders_back=False),
    _method("algoOrder.cancel", cancel, "DELETE", "algoOrder", ws=True),
    _method("algoOpenOrders.cancel", cancel_all, "DELETE", "algoOpenOrders"),
    _method("algoOrder.status", status, "GET", "algoOrder"),
    _method("openAlgoOrders", open_orders, "GET", "openAlgoOrders", weight=_weight),
    _method("allAlgoOrders", all_orders, "GET", "allAlgoOrders", weight=5),
]
