"""The account's questions and settings (sections 10, 12): orders, fills, wallet, positions, leverage, modes, fees."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tools.simulator.core import contracts, margin
from tools.simulator.core.accounts import Account
from tools.simulator.core.clock import DAY, MS
from tools.simulator.core.model import MarginMode, Order, PositionSide
from tools.simulator.dialects.bybit import methods_market, render
from tools.simulator.dialects.bybit.errors import LINEAR, SPOT, VenueError, bad_parameter, wrong_position_index
from tools.simulator.dialects.bybit.events import DeadMan
from tools.simulator.dialects.bybit.exits import read_exits
from tools.simulator.dialects.bybit.gateway import Call, Method
from tools.simulator.dialects.bybit.instruments import CATEGORIES, SETTLE_COINS, Instrument, plain
from tools.simulator.dialects.bybit.orders import POSITION_SIDES
from tools.simulator.dialects.bybit.paging import page
from tools.simulator.dialects.bybit.params import Params
from tools.simulator.dialects.bybit.terms import terms_of
from tools.simulator.dialects.bybit.wallet import coin_row, position_row, wallet_row

if TYPE_CHECKING:
    from tools.simulator.dialects.bybit.venue import Bybit

RECENT_CLOSED_MAX = 500
WINDOW_NS = 7 * DAY
UNFILLED_KEPT_NS = DAY
"""Orders that ended without a fill are shown for a day, others for longer."""
MARGIN_MODES = ("ISOLATED_MARGIN", "REGULAR_MARGIN", "PORTFOLIO_MARGIN")


# ---- orders and fills ----------------------------------------------------------------------------------------


def _scoped(venue: Bybit, call: Call, *, need_scope: bool) -> list[Instrument]:
    """The instruments that symbol, base coin or settlement coin mean.  Contracts must name one of them here."""
    params = call.params
    category, symbol = params.category(), params.text("symbol")
    base, settle = params.text("baseCoin"), params.text("settleCoin")
    if category not in CATEGORIES:
        return []
    if symbol:
        return [methods_market.find(venue, category, symbol)]
    if need_scope and category == LINEAR and not (base or settle):
        raise bad_parameter("symbol, baseCoin or settleCoin is required")
    return [
        each
        for each in venue.infos.values()
        if each.category == category and base in ("", each.base) and (category == SPOT or settle in ("", each.settle))
    ]


def _all_orders(venue: Bybit, account: Account) -> list[Order]:
    """Newest first, those among them that never worked."""
    orders = [*account.orders, *venue.events.refused[account]]
    return sorted(orders, key=lambda order: order.order_id, reverse=True)


def _order_page(venue: Bybit, call: Call, orders: Iterable[Order]) -> Any:
    chosen, cursor = page(list(orders), call.params, default=20, most=50, token=lambda order: order.venue_id)
    rows = [render.order_row(order, venue.infos[order.symbol], stream=False) for order in chosen]
    return {"category": call.params.category(), "nextPageCursor": cursor, "list": rows}


def _named(venue: Bybit, call: Call) -> list[Order] | None:
    """The one order that the request names; None where it names none."""
    params = call.params
    if "orderId" not in params and "orderLinkId" not in params:
        return None
    order = venue.find_order(call.account, params.category(), params.text("orderId"), params.text("orderLinkId"))
    return [] if order is None else [order]


def _fits(order: Order, params: Params) -> bool:
    wanted = params.text("orderFilter")
    terms = terms_of(order)
    if not wanted:
        return True
    if terms.category == SPOT:
        return terms.order_filter == wanted
    return order.is_conditional is (wanted == "StopOrder")


def realtime(venue: Bybit, call: Call) -> Any:
    """Working orders; with `openOnly=1` the last that have ended; a named one whatever its state."""
    params = call.params
    named = _named(venue, call)
    if named is not None:
        return _order_page(venue, call, named)
    keys = {each.key for each in _scoped(venue, call, need_scope=True)}
    closed = params.integer("openOnly", 0) != 0
    orders = [
        order
        for order in _all_orders(venue, call.account)
        if order.symbol in keys and order.is_live is not closed and _fits(order, params)
    ]
    return _order_page(venue, call, orders[:RECENT_CLOSED_MAX] if closed else orders)


def history(venue: Bybit, call: Call) -> Any:
    """Ended orders of the last days, or of a window of at most seven."""
    params, now = call.params, venue.clock.now_ns()
    named = _named(venue, call)
    if named is not None:
        return _order_page(venue, call, [order for order in named if not order.is_live])
    keys = {each.key for each in _scoped(venue, call, need_scope=False)}
    start, end = _window(params, now)
    status = params.text("orderStatus")
    orders = [
        order
        for order in _all_orders(venue, call.account)
        if order.symbol in keys
        and not order.is_live
        and start <= order.transact_ns <= end
        and (order.cum_qty or order.update_ns > now - UNFILLED_KEPT_NS)
        and _fits(order, params)
        and status in ("", render.order_row(order, venue.infos[order.symbol], stream=False)["orderStatus"])
    ]
    return _order_page(venue, call, orders)


def _window(params: Params, now_ns: int) -> tuple[int, int]:
    """Start and end; with one of them the other is seven days away.  Raises 10001 for a longer span."""
    start, end = params.integer("startTime", 0) * MS, params.integer("endTime", 0) * MS
    if not start and not end:
        return now_ns - WINDOW_NS, now_ns + DAY
    start = start or end - WINDOW_NS
    end = (end + MS - 1) if end else start + WINDOW_NS
    if end - start > WINDOW_NS + MS:
        raise bad_parameter("startTime and endTime must be within 7 days")
    return start, end


def executions(venue: Bybit, call: Call) -> Any:
    """Fills (and funding), newest first."""
    params = call.params
    symbols = {each.symbol for each in _scoped(venue, call, need_scope=False)}
    category, kind = params.category(), params.text("execType")
    order_id, link = params.text("orderId"), params.text("orderLinkId")
    start, end = _window(params, venue.clock.now_ns())
    if order_id or link:
        start, end = 0, 1 << 62
    rows = [
        row
        for row in reversed(venue.events.executions[call.account])
        if row["category"] == category
        and row["symbol"] in symbols
        and order_id in ("", row["orderId"])
        and link in ("", row["orderLinkId"])
        and kind in ("", row["execType"])
        and start <= int(row["execTime"]) * MS <= end
    ]
    chosen, cursor = page(rows, params, default=50, most=100, token=lambda row: f"{row['execId']}@{row['orderId']}")
    shown = [{name: value for name, value in row.items() if name != "category"} for row in chosen]
    return {"category": category, "nextPageCursor": cursor, "list": shown}


# ---- wallet and positions ------------------------------------------------------------------------------------


def wallet_balance(venue: Bybit, call: Call) -> Any:
    call.params.choice("accountType", ("UNIFIED",))
    wanted = call.params.text("coin")
    coins = set(wanted.split(",")) if wanted else set(call.account.balances)
    return {"list": [wallet_row(venue, call.account, coins)]}


def coins_balance(venue: Bybit, call: Call) -> Any:
    """The same by coin, as the asset endpoints show it."""
    kind = call.params.choice("accountType", ("UNIFIED", "FUND"))
    rows = []
    for coin in sorted(call.account.balances) if kind == "UNIFIED" else ():
        row = coin_row(venue, call.account, coin)
        rows.append({"coin": coin, "walletBalance": row["walletBalance"], "transferBalance": "", "bonus": "0"})
    return {"memberId": str(call.account.uid), "accountType": kind, "balance": rows}


def positions(venue: Bybit, call: Call) -> Any:
    """With a symbol also when flat; by settlement coin those that are held."""
    params, account = call.params, call.account
    category, symbol = params.category(), params.text("symbol")
    if category == SPOT:
        raise bad_parameter("category spot has no positions")
    held = []
    for instrument in _scoped(venue, call, need_scope=True):
        sides = (PositionSide.LONG, PositionSide.SHORT) if account.hedge else (PositionSide.BOTH,)
        here = [account.position(instrument.key, side) for side in sides]
        held += [position for position in here if symbol or position.qty]
    chosen, cursor = page(held, params, default=20, most=200, token=lambda each: f"{each.symbol}{each.side.value}")
    rows = [position_row(venue, position, stream=False) for position in chosen]
    return {"category": category, "nextPageCursor": cursor, "list": rows}


def set_leverage(venue: Bybit, call: Call) -> Any:
    """Raises 110043 where it is so already, which a client should take for a success."""
    params, account = call.params, call.account
    instrument, _ = methods_market.named(venue, call)
    if instrument.is_spot:
        raise bad_parameter("category invalid")
    buy, sell = params.decimal("buyLeverage"), params.decimal("sellLeverage")
    if not buy or not sell:
        raise bad_parameter("leverage invalid")
    isolated = account.margin(instrument.key).mode is MarginMode.ISOLATED
    if buy != sell and not (account.hedge and isolated):
        raise bad_parameter("buy leverage and sell leverage must be equal")
    if buy < 1 or buy > instrument.max_leverage or (instrument.leverage_step and buy % instrument.leverage_step):
        raise VenueError(110013, "cannot set leverage due to risk limit")
    if account.margin(instrument.key).leverage == buy:
        raise VenueError(110043, "leverage not modified")
    contracts.set_leverage(venue.exchange, account, instrument.key, buy)
    return {}


def switch_mode(venue: Bybit, call: Call) -> Any:
    """One-way (0) or hedge (3).  Here the mode is the account's, whatever symbol or coin is named."""
    params, account = call.params, call.account
    if params.category() != LINEAR:
        raise bad_parameter("category invalid")
    if "symbol" in params:
        methods_market.find(venue, LINEAR, params.text("symbol"))
    elif params.text("coin") not in SETTLE_COINS:
        raise bad_parameter("symbol or coin is required")
    mode = params.integer("mode", -1) if "mode" in params else -1
    if mode not in (0, 3):
        raise bad_parameter("mode invalid")
    hedge = mode == 3
    if hedge is account.hedge:
        raise VenueError(110025, "Position mode is not modified")
    if margin.has_business(account)[1]:
        raise VenueError(110024, "You have an existing position, so position mode cannot be switched")
    if any(venue.infos[order.symbol].category == LINEAR for order in account.open_orders.values()):
        raise VenueError(110028, "You have existing open orders, so position mode cannot be switched")
    contracts.set_hedge(venue.exchange, account, hedge)
    return {}


def add_margin(venue: Bybit, call: Call) -> Any:
    """Money into an isolated position's margin, or (negative) out of it."""
    params, account = call.params, call.account
    instrument, _ = methods_market.named(venue, call)
    if instrument.is_spot:
        raise bad_parameter("category invalid")
    amount = params.signed("margin")
    index = params.integer("positionIdx", 0)
    if index not in (0, 1, 2) or (index != 0) is not account.hedge:
        raise wrong_position_index()
    position = account.position(instrument.key, POSITION_SIDES[index])
    if not position.qty or account.margin(instrument.key).mode is not MarginMode.ISOLATED:
        raise bad_parameter("the position is not there or not isolated")
    if not contracts.add_isolated(venue.exchange, position, amount):
        raise VenueError(110007, "ab not enough for new order")
    return {"category": instrument.category, **position_row(venue, position, stream=False)}


def trading_stop(venue: Bybit, call: Call) -> Any:
    """Take-profit and stop-loss of a position.  Raises 34040 where they are so already."""
    params = call.params
    instrument, _ = methods_market.named(venue, call)
    if instrument.is_spot:
        raise bad_parameter("category invalid")
    index = params.integer("positionIdx", 0)
    if index not in (0, 1, 2) or (index != 0) is not call.account.hedge:
        raise wrong_position_index()
    exits = read_exits(params, instrument)
    if not exits:
        raise bad_parameter("takeProfit or stopLoss is required")
    position = call.account.position(instrument.key, POSITION_SIDES[index])
    venue.exits.change(position, exits)
    venue.events.told_position(position)
    return {}


# ---- the account itself --------------------------------------------------------------------------------------


def info(venue: Bybit, call: Call) -> Any:
    products = {product for account, product in venue.dcp.windows if account is call.account}
    return {
        "unifiedMarginStatus": 1 if call.account.name in venue.classic else 5,
        "marginMode": venue.margin_modes.get(call.account.name, "REGULAR_MARGIN"),
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
        "updatedTime": str(call.account.update_ns // MS),
        "dcpStatus": "ON" if products else "OFF",
        "timeWindow": DeadMan.DEFAULT_S,
        "smpGroup": 0,
    }


def set_margin_mode(venue: Bybit, call: Call) -> Any:
    """Of the whole account; portfolio margin is not served."""
    mode = call.params.choice("setMarginMode", MARGIN_MODES)
    if mode == "PORTFOLIO_MARGIN":
        raise VenueError(3400045, "Set margin mode failed")
    if margin.has_business(call.account) != (False, False):
        raise VenueError(3400045, "Set margin mode failed")
    venue.set_margin_mode(call.account, mode)
    return {"reasons": []}


def set_limit_px_action(venue: Bybit, call: Call) -> Any:
    """Whether prices beyond the band are moved into it, product by product."""
    params = call.params
    category = params.choice("category", CATEGORIES)
    if "modifyEnable" not in params:
        raise bad_parameter("modifyEnable is required")
    venue.bands.choose(call.account, category, moves=params.boolean("modifyEnable"))
    return {}


def query_dcp(venue: Bybit, call: Call) -> Any:
    rows = [
        {"product": product, "dcpStatus": "ON", "timeWindow": str(window)}
        for (account, product), window in venue.dcp.windows.items()
        if account is call.account
    ]
    return {"dcpInfos": rows}


def fee_rate(venue: Bybit, call: Call) -> Any:
    """Positive is a cost."""
    rows = []
    for each in _scoped(venue, call, need_scope=False):
        rates = {maker: plain(venue.fee_rate(call.account, each, maker=maker)) for maker in (True, False)}
        rows.append(
            {"symbol": each.symbol, "baseCoin": each.base, "makerFeeRate": rates[True], "takerFeeRate": rates[False]}
        )
    return {"category": call.params.category(), "list": rows}


def api_key(venue: Bybit, call: Call) -> Any:
    """What the key may do."""
    return {
        "id": str(call.account.uid),
        "note": call.account.name,
        "apiKey": call.key.api_key,
        "readOnly": 0 if call.key.can_trade else 1,
        "secret": "",
        "permissions": {
            "ContractTrade": ["Order", "Position"],
            "Spot": ["SpotTrade"],
            "Wallet": ["AccountTransfer"],
            "Options": [],
            "Derivatives": ["DerivativesTrade"],
            "Exchange": [],
        },
        "ips": ["*"],
        "type": 1,
        "deadlineDay": 90,
        "expiredAt": "",
        "createdAt": "",
        "unified": 0,
        "uta": 1,
        "userID": call.account.uid,
        "inviterID": 0,
        "vipLevel": "No VIP",
        "mktMakerLevel": "0",
        "affiliateID": 0,
        "rsaPublicKey": "",
        "isMaster": True,
        "parentUid": "0",
    }


def coin_info(venue: Bybit, call: Call) -> Any:
    """The coins that there are; nothing can be sent away from here, so they have no chains."""
    wanted = call.params.text("coin")
    coins = sorted({coin for each in venue.infos.values() for coin in (each.base, each.quote)})
    chosen = [coin for coin in coins if wanted in ("", coin)]
    return {"rows": [{"name": coin, "coin": coin, "remainAmount": "0", "chains": []} for coin in chosen]}


def _get(name: str, path: str, handler: Any, rate: int = 50) -> Method:
    return Method(name=name, verb="GET", path=path, handler=handler, rate=rate)


def _post(name: str, path: str, handler: Any, rate: int = 10) -> Method:
    return Method(name=name, verb="POST", path=path, handler=handler, rate=rate)


METHODS = [
    _get("order.realtime", "/v5/order/realtime", realtime),
    _get("order.history", "/v5/order/history", history),
    _get("execution.list", "/v5/execution/list", executions),
    _get("account.wallet-balance", "/v5/account/wallet-balance", wallet_balance),
    _get("asset.coins-balance", "/v5/asset/transfer/query-account-coins-balance", coins_balance, 5),
    _get("account.info", "/v5/account/info", info),
    _get("account.fee-rate", "/v5/account/fee-rate", fee_rate, 5),
    _get("account.query-dcp-info", "/v5/account/query-dcp-info", query_dcp, 5),
    _get("account.instruments-info", "/v5/account/instruments-info", methods_market.instruments, 10),
    _get("position.list", "/v5/position/list", positions),
    _get("user.query-api", "/v5/user/query-api", api_key, 10),
    _get("asset.coin-info", "/v5/asset/coin/query-info", coin_info, 5),
    _post("position.set-leverage", "/v5/position/set-leverage", set_leverage),
    _post("position.trading-stop", "/v5/position/trading-stop", trading_stop),
    _post("position.switch-mode", "/v5/position/switch-mode", switch_mode),
    _post("position.add-margin", "/v5/position/add-margin", add_margin),
    _post("account.set-limit-px-action", "/v5/account/set-limit-px-action", set_limit_px_action),
    _post("account.set-margin-mode", "/v5/account/set-margin-mode", set_margin_mode, 5),
]
