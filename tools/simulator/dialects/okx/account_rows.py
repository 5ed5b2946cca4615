"""Rows about money and positions (sections 8.3, 8.4 and 9)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from tools.simulator.core import margin
from tools.simulator.core.accounts import Account, Position
from tools.simulator.core.decimals import ASSET_UNIT, ZERO
from tools.simulator.core.exchange import Exchange
from tools.simulator.core.model import MarginMode, PositionSide
from tools.simulator.dialects.okx.instruments import OkxInstrument
from tools.simulator.dialects.okx.text import ms, plain

DOLLARS = frozenset({"USDT", "USDC", "USD"})
POS_SIDES = {PositionSide.BOTH: "net", PositionSide.LONG: "long", PositionSide.SHORT: "short"}
MODES = {MarginMode.CROSS: "cross", MarginMode.ISOLATED: "isolated"}


def cut(value: Decimal) -> str:
    """Computed money, to the asset unit."""
    return plain(value.quantize(ASSET_UNIT))


def in_dollars(ex: Exchange, asset: str) -> Decimal:
    """What one coin is worth on this venue; zero where nothing tells."""
    if asset in DOLLARS:
        return Decimal(1)
    for quote in ("USDT", "USDC"):
        market = ex.markets.get(f"{asset}-{quote}") or ex.markets.get(f"{asset}-{quote}-SWAP")
        if market is not None:
            return market.last_px
    return ZERO


def detail(ex: Exchange, account: Account, asset: str) -> dict[str, Any]:
    """One currency: what is there, what of it orders and positions bind."""
    purse = margin.wallet(ex, account, asset)
    available = max(ZERO, min(purse.available, purse.balance))
    imr = purse.cross_position_margin + purse.order_margin
    equity = purse.equity
    frozen = purse.balance - available
    ratio = purse.equity / purse.maintenance if purse.maintenance else None
    return {
        "ccy": asset,
        "eq": cut(equity),
        "cashBal": cut(purse.balance),
        "availBal": cut(available),
        "availEq": cut(max(ZERO, purse.available)),
        "frozenBal": cut(max(ZERO, frozen)),
        "ordFrozen": cut(purse.spot_locked + purse.order_margin),
        "disEq": cut(equity * in_dollars(ex, asset)),
        "eqUsd": cut(equity * in_dollars(ex, asset)),
        "upl": cut(purse.unrealized),
        "isoUpl": cut(purse.unrealized - purse.cross_unrealized),
        "isoEq": cut(purse.isolated),
        "imr": cut(imr),
        "mmr": cut(purse.cross_maintenance),
        "mgnRatio": "" if ratio is None else plain(ratio.quantize(Decimal("0.0001"))),
        "notionalLever": "0",
        "spotBal": cut(purse.balance),
        "liab": "0",
        "uplLiab": "0",
        "crossLiab": "0",
        "isoLiab": "0",
        "interest": "0",
        "maxLoan": "",
        "borrowFroz": "",
        "twap": "0",
        "stgyEq": "0",
        "fixedBal": "0",
        "collateralEnabled": False,
        "uTime": ms(account.update_ns),
    }


def assets_of(account: Account) -> list[str]:
    """Currencies that are not zero."""
    return [asset for asset, balance in account.balances.items() if balance.free or balance.locked]


def account_row(ex: Exchange, account: Account, details: list[dict[str, Any]], now_ns: int) -> dict[str, Any]:
    """The account as a whole, with the details of some of its currencies."""
    total, upl, imr, mmr, notional = ZERO, ZERO, ZERO, ZERO, ZERO
    for asset in assets_of(account):
        purse, price = margin.wallet(ex, account, asset), in_dollars(ex, asset)
        total += purse.equity * price
        upl += purse.unrealized * price
        imr += (purse.position_margin + purse.order_margin) * price
        mmr += purse.maintenance * price
    for position in held(account):
        notional += margin.notional(ex.markets[position.symbol], position)
    return {
        "uTime": ms(max(account.update_ns, 0) or now_ns),
        "totalEq": cut(total),
        "isoEq": "0",
        "adjEq": "",
        "availEq": "",
        "ordFroz": "",
        "imr": cut(imr),
        "mmr": cut(mmr),
        "mgnRatio": plain((total / mmr).quantize(Decimal("0.0001"))) if mmr else "",
        "notionalUsd": cut(notional),
        "upl": cut(upl),
        "borrowFroz": "",
        "details": details,
    }


def held(account: Account) -> list[Position]:
    """Positions that are not flat."""
    return [position for position in account.positions.values() if position.qty]


def position_row(ex: Exchange, position: Position, instrument: OkxInstrument, now_ns: int) -> dict[str, Any]:
    """One position, in contracts: signed in net mode, positive with a side in long_short mode."""
    market, account = ex.markets[position.symbol], position.account
    settings = account.margin(position.symbol)
    hedged = position.side is not PositionSide.BOTH
    upl = margin.unrealized(market, position)
    imr, mmr = margin.position_margin(market, position), margin.maintenance(market, position)
    flat = not position.qty
    backing = position.isolated_wallet if settings.mode is MarginMode.ISOLATED else None
    fills = account.fills.get(position.symbol)
    return {
        "instType": instrument.inst_type,
        "instId": position.symbol,
        "posId": position_id(instrument, position),
        "posSide": POS_SIDES[position.side],
        "mgnMode": MODES[settings.mode],
        "pos": plain(abs(position.qty) if hedged else position.qty),
        "availPos": plain(abs(position.qty)) if hedged else "",
        "posCcy": "",
        "baseBal": "",
        "quoteBal": "",
        "avgPx": "" if flat else plain(position.entry_px.quantize(instrument.tick / 10_000)),
        "nonSettleAvgPx": "",
        "upl": cut(upl),
        "uplRatio": plain((upl / imr).quantize(Decimal("0.00000001"))) if imr else "",
        "uplLastPx": cut(upl),
        "markPx": plain(market.mark_px),
        "last": plain(market.last_px),
        "idxPx": plain(market.index_px or market.mark_px),
        "liqPx": plain(margin.liquidation_px(ex, position).quantize(instrument.tick)),
        "bePx": "" if flat else plain(position.entry_px.quantize(instrument.tick)),
        "lever": plain(settings.leverage),
        "imr": cut(imr) if backing is None else "",
        "margin": "" if backing is None else cut(backing),
        "mgnRatio": plain((margin.wallet(ex, account, instrument.quote).equity / mmr).quantize(Decimal("0.0001")))
        if mmr
        else "",
        "mmr": cut(mmr),
        "maxSpotInUseAmt": "",
        "ccy": instrument.quote,
        "notionalUsd": cut(margin.notional(market, position)),
        "adl": "1",
        "realizedPnl": cut(position.opened_realized - position.fees + position.funding),
        "settledPnl": "",
        "pnl": cut(position.opened_realized),
        "fee": cut(-position.fees),
        "fundingFee": cut(position.funding),
        "liqPenalty": "0",
        "interest": "",
        "liab": "",
        "liabCcy": "",
        "optVal": "",
        "deltaBS": "",
        "deltaPA": "",
        "gammaBS": "",
        "gammaPA": "",
        "thetaBS": "",
        "thetaPA": "",
        "vegaBS": "",
        "vegaPA": "",
        "spotInUseAmt": "",
        "spotInUseCcy": "",
        "clSpotInUseAmt": "",
        "bizRefId": "",
        "bizRefType": "",
        "closeOrderAlgo": [],
        "tradeId": str(fills[-1].trade.trade_id) if fills else "",
        "usdPx": "1",
        "cTime": ms(position.opened_ns),
        "uTime": ms(position.update_ns),
        "pTime": ms(now_ns),
    }


def position_id(instrument: OkxInstrument, position: Position) -> str:
    """One for each account, instrument and side."""
    side = list(PositionSide).index(position.side)
    return str(position.account.uid * 100_000_000 + instrument.code * 10 + side)


def balance_data(account: Account, assets: Iterable[str]) -> list[dict[str, Any]]:
    """`balData` of `balance_and_position`."""
    return [
        {"ccy": asset, "cashBal": cut(account.balance(asset).total), "uTime": ms(account.update_ns)}
        for asset in sorted(assets)
    ]


def position_data(instrument: OkxInstrument, position: Position) -> dict[str, Any]:
    """A row of `posData` of `balance_and_position`."""
    hedged = position.side is not PositionSide.BOTH
    return {
        "posId": position_id(instrument, position),
        "tradeId": "",
        "instId": position.symbol,
        "instType": instrument.inst_type,
        "mgnMode": MODES[position.account.margin(position.symbol).mode],
        "posSide": POS_SIDES[position.side],
        "pos": plain(abs(position.qty) if hedged else position.qty),
        "ccy": instrument.quote,
        "posCcy": "",
        "avgPx": plain(position.entry_px.quantize(instrument.tick / 10_000)) if position.qty else "",
        "uTime": ms(position.update_ns),
    }
