"""How an account holds its positions: leverage, margin type, position mode, and what the venue says of them (12)."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tools.simulator.core import contracts, margin
from tools.simulator.core.model import MarginMode, PositionSide
from tools.simulator.dialects.binance_common.errors import VenueError, missing
from tools.simulator.dialects.binance_common.gateway import Call, Method, Security
from tools.simulator.dialects.binance_common.params import Params
from tools.simulator.dialects.binance_usdm.methods_market import market_of
from tools.simulator.dialects.binance_usdm.symbols import brackets, largest_notional

if TYPE_CHECKING:
    from tools.simulator.dialects.binance_usdm.venue import BinanceUsdm

SUCCESS = {"code": 200, "msg": "success"}
_MODES = {"ISOLATED": MarginMode.ISOLATED, "CROSSED": MarginMode.CROSS}


def set_leverage(venue: BinanceUsdm, call: Call) -> Any:
    market, leverage = market_of(venue, call.params), call.params.integer("leverage")
    call.params.finish()
    if leverage is None:
        raise missing("leverage")
    if not 1 <= leverage <= brackets()[0]["initialLeverage"]:
        raise VenueError(-4028, f"Leverage {leverage} is not valid")
    account = call.account
    settings = account.margin(market.symbol)
    _, held = margin.has_business(account, market.symbol)
    if held and settings.mode is MarginMode.ISOLATED and leverage < settings.leverage:
        text = "Leverage reduction is not supported in Isolated Margin Mode with open positions."
        raise VenueError(-4161, text)
    before, settings.leverage = settings.leverage, Decimal(leverage)
    short = margin.wallet(venue.exchange, account, market.spec.settle).available < 0
    settings.leverage = before
    if short and leverage < before:
        raise VenueError(-2028, "Leverage is smaller than permitted: insufficient margin balance.")
    contracts.set_leverage(venue.exchange, account, market.symbol, Decimal(leverage))
    cap = str(largest_notional(Decimal(leverage)))
    return {"leverage": leverage, "maxNotionalValue": cap, "symbol": market.symbol}


def set_margin_type(venue: BinanceUsdm, call: Call) -> Any:
    market, word = market_of(venue, call.params), call.params.require("marginType")
    call.params.finish()
    mode = _MODES.get(word)
    if mode is None:
        raise VenueError(-1130, "Data sent for parameter 'marginType' is not valid.")
    if call.account.margin(market.symbol).mode is mode:
        raise VenueError(-4046, "No need to change margin type.")
    if venue.multi_assets(call.account) and mode is MarginMode.ISOLATED:
        raise VenueError(-4168, "Unable to adjust to isolated-margin mode under the Multi-Assets mode.")
    orders, held = margin.has_business(call.account, market.symbol)
    if orders:
        raise VenueError(-4047, "Margin type cannot be changed if there exists open orders.")
    if held:
        raise VenueError(-4048, "Margin type cannot be changed if there exists position.")
    contracts.set_margin_mode(venue.exchange, call.account, market.symbol, mode)
    return dict(SUCCESS)


def position_margin(venue: BinanceUsdm, call: Call) -> Any:
    params, market = call.params, market_of(venue, call.params)
    side = params.choice("positionSide", PositionSide, (-4060, "Invalid position side.")) or PositionSide.BOTH
    amount, kind = params.decimal("amount"), params.integer("type")
    params.finish()
    if amount is None or kind not in (1, 2):
        raise missing("amount" if amount is None else "type")
    position = call.account.position(market.symbol, side)
    if call.account.margin(market.symbol).mode is not MarginMode.ISOLATED:
        raise VenueError(-4049, "Add margin only support for isolated position.")
    if not position.qty:
        raise VenueError(-4054, "Cannot add position margin: position is 0.")
    if not contracts.add_isolated(venue.exchange, position, amount if kind == 1 else -amount):
        if kind == 1:
            raise VenueError(-4050, "Cross balance insufficient.")
        raise VenueError(-4051, "Isolated balance insufficient.")
    return {"amount": float(amount), "code": 200, "msg": "Successfully modify position margin.", "type": kind}


def set_position_mode(venue: BinanceUsdm, call: Call) -> Any:
    hedge = call.params.boolean("dualSidePosition")
    call.params.finish()
    if hedge is None:
        raise missing("dualSidePosition")
    if hedge == call.account.hedge:
        raise VenueError(-4059, "No need to change position side.")
    orders, held = margin.has_business(call.account)
    if orders or venue.exchange.algos.of(call.account):
        raise VenueError(-4067, "Position side cannot be changed if there exists open orders.")
    if held:
        raise VenueError(-4068, "Position side cannot be changed if there exists position.")
    contracts.set_hedge(venue.exchange, call.account, hedge)
    return dict(SUCCESS)


def get_position_mode(venue: BinanceUsdm, call: Call) -> Any:
    call.params.finish()
    return {"dualSidePosition": call.account.hedge}


def set_multi_assets(venue: BinanceUsdm, call: Call) -> Any:
    joined = call.params.boolean("multiAssetsMargin")
    call.params.finish()
    if joined is None:
        raise missing("multiAssetsMargin")
    if joined == venue.multi_assets(call.account):
        raise VenueError(-4171, "No need to change multi-assets mode.")
    venue.set_multi_assets(call.account, joined)
    return dict(SUCCESS)


def get_multi_assets(venue: BinanceUsdm, call: Call) -> Any:
    call.params.finish()
    return {"multiAssetsMargin": venue.multi_assets(call.account)}


def account_config(venue: BinanceUsdm, call: Call) -> Any:
    call.params.finish()
    account = call.account
    return {
        "feeTier": 0,
        "canTrade": account.can_trade,
        "canDeposit": True,
        "canWithdraw": False,
        "dualSidePosition": account.hedge,
        "updateTime": 0,
        "multiAssetsMargin": venue.multi_assets(account),
        "tradeGroupId": account.trade_group,
    }


def _names(venue: BinanceUsdm, params: Params) -> list[str]:
    if "symbol" in params:
        return [market_of(venue, params).symbol]
    return list(venue.exchange.markets)


def symbol_config(venue: BinanceUsdm, call: Call) -> Any:
    """The source for leverage and margin type, which v3 positions leave out."""
    names = _names(venue, call.params)
    call.params.finish()
    rows = []
    for name in names:
        settings = call.account.margin(name)
        rows.append(
            {
                "symbol": name,
                "marginType": "ISOLATED" if settings.mode is MarginMode.ISOLATED else "CROSSED",
                "isAutoAddMargin": False,
                "leverage": int(settings.leverage),
                "maxNotionalValue": str(largest_notional(settings.leverage)),
            }
        )
    return rows


def leverage_bracket(venue: BinanceUsdm, call: Call) -> Any:
    """An object with a symbol, a list without one."""
    names, many = _names(venue, call.params), "symbol" not in call.params
    call.params.finish()
    rows = [{"symbol": name, "brackets": brackets()} for name in names]
    return rows if many else rows[0]


def adl_quantile(venue: BinanceUsdm, call: Call) -> Any:
    names = _names(venue, call.params)
    call.params.finish()
    sides = ("LONG", "SHORT", "HEDGE") if call.account.hedge else ("LONG", "SHORT", "BOTH")
    return [{"symbol": name, "adlQuantile": dict.fromkeys(sides, 0)} for name in names]


def fee_burn(venue: BinanceUsdm, call: Call) -> Any:
    """Commission is always paid in the margin asset here."""
    call.params.finish()
    return {"feeBurn": False}


def trading_status(venue: BinanceUsdm, call: Call) -> Any:
    call.params.text("symbol")
    call.params.finish()
    return {"updateTime": venue.clock.now_ns() // 1_000_000, "indicators": {}}


def _weight(params: Params) -> int:
    return 1 if "symbol" in params else 10


def _method(verb: str, path: str, handler: Any, weight: Any = 1) -> Method:
    security = Security.SIGNED if verb == "GET" else Security.TRADE
    name = f"{path}.{'get' if verb == 'GET' else 'set'}"
    return Method(
        name=name, handler=handler, weight=weight, security=security, rest=(verb, f"/fapi/v1/{path}"), ws=False
    )


METHODS = [
    _method("POST", "leverage", set_leverage),
    _method("POST", "marginType", set_margin_type),
    _method("POST", "positionMargin", position_margin),
    _method("POST", "positionSide/dual", set_position_mode),
    _method("GET", "positionSide/dual", get_position_mode, 30),
    _method("POST", "multiAssetsMargin", set_multi_assets),
    _method("GET", "multiAssetsMargin", get_multi_assets, 30),
    _method("GET", "accountConfig", account_config, 5),
    _method("GET", "symbolConfig", symbol_config, 5),
    _method("GET", "leverageBracket", leverage_bracket),
    _method("GET", "adlQuantile", adl_quantile, 5),
    _method("GET", "feeBurn", fee_burn, 30),
    _method("GET", "apiTradingStatus", trading_status, _weight),
]
