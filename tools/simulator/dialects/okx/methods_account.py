"""The account: money, positions, modes, leverage, fees (section 9)."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tools.simulator.core import contracts, margin
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.model import MarginMode
from tools.simulator.dialects.okx import account_rows
from tools.simulator.dialects.okx.account_rows import MODES
from tools.simulator.dialects.okx.errors import OkxError, bad_param, empty
from tools.simulator.dialects.okx.gateway import Call, Method, Security
from tools.simulator.dialects.okx.instruments import INST_TYPES, SPOT, OkxInstrument
from tools.simulator.dialects.okx.methods_public import of_type
from tools.simulator.dialects.okx.orders import POSITION_SIDES, instrument_of
from tools.simulator.dialects.okx.params import Params
from tools.simulator.dialects.okx.text import ms, plain

if TYPE_CHECKING:
    from tools.simulator.dialects.okx.venue import OkxVenue

CURRENCIES_MAX = 20


def _wanted(params: Params) -> list[str]:
    return [name for name in params.text("ccy").split(",") if name]


def balance(venue: OkxVenue, call: Call) -> list[Any]:
    """The account, with every currency that is not zero, or those asked for."""
    account, ex = call.account, venue.exchange
    wanted = _wanted(call.params)
    if len(wanted) > CURRENCIES_MAX:
        raise bad_param("ccy")
    assets = [asset for asset in account_rows.assets_of(account) if not wanted or asset in wanted]
    details = [account_rows.detail(ex, account, asset) for asset in assets]
    return [account_rows.account_row(ex, account, details, venue.clock.now_ns())]


def positions(venue: OkxVenue, call: Call) -> list[Any]:
    """What is not flat; an instrument asked for by name shows its flat position, too."""
    params, account = call.params, call.account
    kind = params.choice("instType", INST_TYPES, "")
    names = [name for name in params.text("instId").split(",") if name]
    ids = [name for name in params.text("posId").split(",") if name]
    rows = []
    for position in account.positions.values():
        instrument = venue.instruments[position.symbol]
        if (
            (position.qty or position.symbol in names)
            and kind in ("", instrument.inst_type)
            and (not names or position.symbol in names)
        ):
            row = account_rows.position_row(venue.exchange, position, instrument, venue.clock.now_ns())
            if not ids or row["posId"] in ids:
                rows.append(row)
    return rows


def config(venue: OkxVenue, call: Call) -> list[Any]:
    account = call.account
    settings = venue.settings(account)
    key = call.key
    assert key is not None
    return [
        {
            "uid": str(account.uid),
            "mainUid": str(account.uid),
            "acctLv": settings.acct_lv,
            "posMode": "long_short_mode" if account.hedge else "net_mode",
            "autoLoan": False,
            "acctStpMode": "cancel_maker",
            "greeksType": "PA",
            "level": f"VIP{settings.vip}" if settings.vip else "Lv1",
            "levelTmp": "",
            "ctIsoMode": "automatic",
            "mgnIsoMode": "automatic",
            "spotOffsetType": "",
            "stgyType": "0",
            "roleType": "0",
            "traderInsts": [],
            "spotRoleType": "0",
            "spotTraderInsts": [],
            "opAuth": "0",
            "kycLv": "3",
            "label": account.name,
            "ip": "",
            "perm": "read_only,trade" if key.can_trade else "read_only",
            "liquidationGear": "-1",
            "enableSpotBorrow": False,
            "spotBorrowAutoRepay": False,
            "feeType": "0",
            "settleCcy": "USDT",
            "settleCcyList": ["USDT"],
            "type": "0",
        }
    ]


def _idle(venue: OkxVenue, call: Call) -> None:
    """Modes change only without orders and positions of contracts."""
    account = call.account
    busy = any(venue.instruments[symbol].is_swap for symbol, _ in account.open_orders)
    if busy or account_rows.held(account):
        raise OkxError("59000")


def set_position_mode(venue: OkxVenue, call: Call) -> list[Any]:
    word = call.params.choice("posMode", ("long_short_mode", "net_mode"))
    if word == "long_short_mode" and venue.settings(call.account).acct_lv == "4":
        raise OkxError("51041", "Portfolio margin accounts have the net mode only")
    if (word == "long_short_mode") is not call.account.hedge:
        _idle(venue, call)
        contracts.set_hedge(venue.exchange, call.account, word == "long_short_mode")
    return [{"posMode": word}]


def set_account_level(venue: OkxVenue, call: Call) -> list[Any]:
    word = call.params.choice("acctLv", ("1", "2", "3", "4"))
    _idle(venue, call)
    if word == "4" and call.account.hedge:
        raise OkxError("51041", "Portfolio margin accounts have the net mode only")
    venue.settings(call.account).acct_lv = word
    return [{"acctLv": word}]


def _contract(venue: OkxVenue, params: Params) -> OkxInstrument:
    instrument = instrument_of(venue, params, by_code=False)
    if not instrument.is_swap:
        raise bad_param("instId")
    return instrument


def set_leverage(venue: OkxVenue, call: Call) -> list[Any]:
    """Of a contract. A side is named only where margin is isolated and both sides exist."""
    params, account = call.params, call.account
    instrument = _contract(venue, params)
    mode = params.choice("mgnMode", tuple(MODES.values()))
    lever = params.decimal("lever")
    if lever is None:
        raise empty("lever")
    if not 1 <= lever <= instrument.max_lever:
        raise OkxError("51000", f"Parameter lever error: it must be 1 to {instrument.max_lever}")
    side = params.choice("posSide", tuple(POSITION_SIDES), "")
    if mode == "isolated" and account.hedge and side not in ("long", "short"):
        raise bad_param("posSide")
    before = account.margin(instrument.inst_id).leverage
    account.margin(instrument.inst_id).leverage = lever
    if margin.wallet(venue.exchange, account, instrument.quote).available < 0 and lever < before:
        account.margin(instrument.inst_id).leverage = before
        raise OkxError("59108", "Your account leverage is too low and has insufficient margin")
    contracts.set_leverage(venue.exchange, account, instrument.inst_id, lever)
    return [{"instId": instrument.inst_id, "lever": plain(lever), "mgnMode": mode, "posSide": side}]


def leverage_info(venue: OkxVenue, call: Call) -> list[Any]:
    mode = call.params.choice("mgnMode", tuple(MODES.values()))
    rows = []
    for name in call.params.require("instId").split(","):
        instrument = venue.instruments.get(name)
        if instrument is None:
            raise OkxError("51001")
        lever = plain(call.account.margin(name).leverage) if instrument.is_swap else str(instrument.max_lever)
        sides = ("long", "short") if call.account.hedge and instrument.is_swap else ("net",)
        rows += [{"ccy": "", "instId": name, "mgnMode": mode, "posSide": side, "lever": lever} for side in sides]
    return rows


def margin_balance(venue: OkxVenue, call: Call) -> list[Any]:
    """Add to or take from the margin of an isolated position."""
    params = call.params
    instrument = _contract(venue, params)
    side = params.choice("posSide", tuple(POSITION_SIDES))
    kind = params.choice("type", ("add", "reduce"))
    amount = params.decimal("amt")
    if not amount:
        raise empty("amt")
    position = call.account.positions.get((instrument.inst_id, POSITION_SIDES[side]))
    isolated = call.account.margin(instrument.inst_id).mode is MarginMode.ISOLATED
    if position is None or not position.qty or not isolated:
        raise OkxError("51023", "Position does not exist")
    if not contracts.add_isolated(venue.exchange, position, amount if kind == "add" else -amount):
        raise OkxError("59301", "Margin adjustment failed for exceeding the max limit")
    lever = call.account.margin(instrument.inst_id).leverage
    return [
        {
            "instId": instrument.inst_id,
            "posSide": side,
            "type": kind,
            "amt": plain(amount),
            "ccy": instrument.quote,
            "leverage": plain(lever),
        }
    ]


def trade_fee(venue: OkxVenue, call: Call) -> list[Any]:
    """Negative is commission; the rows by `groupId` count (9)."""
    params, account = call.params, call.account
    kind = params.choice("instType", INST_TYPES)
    category = SPOT if kind == "MARGIN" else kind
    maker, taker = (plain(-account.rate(category, maker=maker)) for maker in (True, False))
    groups = sorted({str(one.raw.get("groupId", "1")) for one in of_type(venue, params)})
    spot = kind in (SPOT, "MARGIN")
    return [
        {
            "category": "1",
            "level": f"VIP{venue.settings(account).vip}" if venue.settings(account).vip else "Lv1",
            "instType": kind,
            "maker": maker if spot else "",
            "taker": taker if spot else "",
            "makerU": "" if spot else maker,
            "takerU": "" if spot else taker,
            "makerUSDC": "",
            "takerUSDC": "",
            "delivery": "",
            "exercise": "",
            "ruleType": "normal",
            "feeGroup": [{"groupId": group, "maker": maker, "taker": taker} for group in groups],
            "fiat": [],
            "ts": ms(venue.clock.now_ns()),
        }
    ]


def account_instruments(venue: OkxVenue, call: Call) -> list[Any]:
    """What this account may trade."""
    return [one.raw for one in of_type(venue, call.params) if one.carried_out]


def max_size(venue: OkxVenue, call: Call) -> list[Any]:
    """How much a new order could be, at the last price."""
    rows = []
    for name in call.params.require("instId").split(","):
        instrument = venue.instruments.get(name)
        if instrument is None:
            raise OkxError("51001")
        buy, sell = _room(venue, call, instrument)
        rows.append({"ccy": instrument.quote, "instId": name, "maxBuy": plain(buy), "maxSell": plain(sell)})
    return rows


def _room(venue: OkxVenue, call: Call, instrument: OkxInstrument) -> tuple[Decimal, Decimal]:
    price = venue.exchange.markets[instrument.inst_id].last_px
    free = max(ZERO, margin.wallet(venue.exchange, call.account, instrument.quote).available)
    if not price:
        return ZERO, ZERO
    if instrument.is_swap:
        free *= call.account.margin(instrument.inst_id).leverage
    buy = free / (price * instrument.contract_size) // instrument.lot * instrument.lot
    if instrument.is_swap:
        return buy, buy
    return buy, call.account.balance(instrument.base).free // instrument.lot * instrument.lot


def currencies(venue: OkxVenue, call: Call) -> list[Any]:
    """Of the funding side, which holds nothing here: clients load this list before they trade."""
    names = {one.base for one in venue.instruments.values()} | {one.quote for one in venue.instruments.values()}
    wanted = _wanted(call.params)
    return [
        {
            "ccy": name,
            "name": name,
            "chain": f"{name}-Simulated",
            "logoLink": "",
            "canDep": False,
            "canWd": False,
            "canInternal": False,
            "mainNet": True,
            "minDep": "0",
            "minWd": "0",
            "maxWd": "0",
            "minFee": "0",
            "maxFee": "0",
            "fee": "0",
            "wdTickSz": "8",
            "wdQuota": "0",
            "usedWdQuota": "0",
            "minInternal": "0",
        }
        for name in sorted(names)
        if not wanted or name in wanted
    ]


def funding_balances(venue: OkxVenue, call: Call) -> list[Any]:
    """All money is in the trading account."""
    return []


def _get(name: str, path: str, handler: Any, limit: int) -> Method:
    return Method(name=name, handler=handler, rest=("GET", f"/api/v5/{path}"), limit=limit)


def _set(name: str, path: str, handler: Any, limit: int) -> Method:
    return Method(
        name=name, handler=handler, rest=("POST", f"/api/v5/account/{path}"), security=Security.TRADE, limit=limit
    )


METHODS = (
    _get("balance", "account/balance", balance, 10),
    _get("positions", "account/positions", positions, 10),
    _get("config", "account/config", config, 5),
    _get("account-instruments", "account/instruments", account_instruments, 20),
    _get("leverage-info", "account/leverage-info", leverage_info, 20),
    _get("max-size", "account/max-size", max_size, 20),
    _get("trade-fee", "account/trade-fee", trade_fee, 5),
    _get("currencies", "asset/currencies", currencies, 12),
    _get("funding-balances", "asset/balances", funding_balances, 12),
    _set("set-position-mode", "set-position-mode", set_position_mode, 5),
    _set("set-account-level", "set-account-level", set_account_level, 5),
    _set("set-leverage", "set-leverage", set_leverage, 20),
    _set("margin-balance", "position/margin-balance", margin_balance, 20),
)
