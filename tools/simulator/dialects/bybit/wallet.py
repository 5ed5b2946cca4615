"""The unified wallet and the positions as the venue writes them (sections 9.3, 9.4 and 12).

Spot and contracts share one wallet: spot orders lock coins, contracts bind margin of their settlement coin.  Coins are
valued at their last price in USDT, or nothing where no market tells it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tools.simulator.core import margin
from tools.simulator.core.accounts import Account, Position
from tools.simulator.core.clock import MS
from tools.simulator.core.decimals import ASSET_UNIT, ZERO
from tools.simulator.core.model import MarginMode
from tools.simulator.dialects.bybit.instruments import plain
from tools.simulator.dialects.bybit.terms import INDEX

if TYPE_CHECKING:
    from tools.simulator.dialects.bybit.venue import Bybit

DOLLARS = ("USDT", "USDC")
_CENT = Decimal("0.00000001")


def usd_px(venue: Bybit, coin: str) -> Decimal:
    """What one coin is worth in USDT."""
    if coin in DOLLARS:
        return Decimal(1)
    for key in (f"spot:{coin}USDT", f"linear:{coin}USDT", f"spot:{coin}USDC"):
        market = venue.exchange.markets.get(key)
        if market is not None and market.last_px:
            return market.last_px
    return ZERO


def coin_row(venue: Bybit, account: Account, coin: str) -> dict[str, Any]:
    """One coin of the wallet."""
    purse = margin.wallet(venue.exchange, account, coin)
    realized = sum(
        (position.realized for position in account.positions.values() if venue.infos[position.symbol].settle == coin),
        ZERO,
    )
    equity = purse.equity
    return {
        "coin": coin,
        "equity": plain(equity),
        "usdValue": plain((equity * usd_px(venue, coin)).quantize(_CENT)),
        "walletBalance": plain(purse.balance),
        "locked": plain(purse.spot_locked),
        "spotHedgingQty": "0",
        "spotBorrow": "0",
        "borrowAmount": "0",
        "accruedInterest": "0",
        "totalOrderIM": plain(purse.order_margin.quantize(ASSET_UNIT)),
        "totalPositionIM": plain(purse.position_margin.quantize(ASSET_UNIT)),
        "totalPositionMM": plain(purse.maintenance.quantize(ASSET_UNIT)),
        "unrealisedPnl": plain(purse.unrealized.quantize(ASSET_UNIT)),
        "cumRealisedPnl": plain(realized),
        "bonus": "0",
        "collateralSwitch": True,
        "marginCollateral": True,
        "colRes": "0",
        "availableToWithdraw": "",
        "availableToBorrow": "",
    }


def wallet_row(venue: Bybit, account: Account, coins: set[str]) -> dict[str, Any]:
    """The account's totals over all coins, and rows of `coins`."""
    totals = dict.fromkeys(("wallet", "upl", "im", "mm", "available"), ZERO)
    for coin in account.balances:
        price = usd_px(venue, coin)
        purse = margin.wallet(venue.exchange, account, coin)
        totals["wallet"] += purse.balance * price
        totals["upl"] += purse.unrealized * price
        totals["im"] += (purse.order_margin + purse.position_margin) * price
        totals["mm"] += purse.maintenance * price
        totals["available"] += purse.available * price
    equity = totals["wallet"] + totals["upl"]

    def usd(value: Decimal) -> str:
        return plain(value.quantize(_CENT))

    def rate(value: Decimal) -> str:
        return plain((value / equity).quantize(Decimal("0.0001"))) if equity > 0 else "0"

    return {
        "accountType": "UNIFIED",
        "accountLTV": "0",
        "accountIMRate": rate(totals["im"]),
        "accountMMRate": rate(totals["mm"]),
        "totalEquity": usd(equity),
        "totalWalletBalance": usd(totals["wallet"]),
        "totalMarginBalance": usd(equity),
        "totalAvailableBalance": usd(max(totals["available"], ZERO)),
        "totalPerpUPL": usd(totals["upl"]),
        "totalInitialMargin": usd(totals["im"]),
        "totalMaintenanceMargin": usd(totals["mm"]),
        "coin": [coin_row(venue, account, coin) for coin in sorted(coins)],
    }


def position_row(venue: Bybit, position: Position, *, stream: bool) -> dict[str, Any]:
    """One position: unsigned size, side "" when flat.  The stream says `entryPrice` where REST says `avgPrice`."""
    instrument, market = venue.infos[position.symbol], venue.exchange.markets[position.symbol]
    account, qty = position.account, position.qty
    value = abs(qty) * position.entry_px
    liquidation = margin.liquidation_px(venue.exchange, position)
    net = position.opened_realized - position.fees + position.funding
    row: dict[str, Any] = {"category": "linear"} if stream else {}
    row |= {
        "positionIdx": INDEX[position.side],
        "riskId": 1,
        "riskLimitValue": "2000000",
        "symbol": instrument.symbol,
        "side": "" if not qty else "Buy" if qty > 0 else "Sell",
        "size": instrument.qty(abs(qty)) if qty else "0",
        "entryPrice" if stream else "avgPrice": plain(position.entry_px.quantize(_CENT)) if qty else "0",
        "positionValue": plain(value.quantize(_CENT)) if qty else "",
        "tradeMode": 1 if account.margin(position.symbol).mode is MarginMode.ISOLATED else 0,
        "autoAddMargin": 0,
        "positionStatus": "Normal",
        "leverage": plain(account.margin(position.symbol).leverage),
        "markPrice": instrument.px(market.mark_px),
        "liqPrice": instrument.px(liquidation) if liquidation else "",
        "bustPrice": "",
        "positionIM": plain(margin.position_margin(market, position).quantize(_CENT)),
        "positionMM": plain(margin.maintenance(market, position).quantize(_CENT)),
        "positionIMByMp": plain(margin.position_margin(market, position).quantize(_CENT)),
        "positionMMByMp": plain(margin.maintenance(market, position).quantize(_CENT)),
        "positionBalance": "0",
        "takeProfit": venue.exits.shown(position, "takeProfit"),
        "stopLoss": venue.exits.shown(position, "stopLoss"),
        "tpslMode": "Full",
        "trailingStop": "0",
        "sessionAvgPrice": "",
        "unrealisedPnl": plain(margin.unrealized(market, position).quantize(_CENT)) if qty else "",
        "curRealisedPnl": plain(net),
        "cumRealisedPnl": plain(position.realized),
        "adlRankIndicator": 2 if qty else 0,
        "isReduceOnly": False,
        "mmrSysUpdatedTime": "",
        "leverageSysUpdatedTime": "",
        "breakEvenPrice": "",
        "openTime": position.opened_ns // MS,
        "createdTime": str(position.opened_ns // MS),
        "updatedTime": str(position.update_ns // MS),
        "seq": venue.sequence(market) if position.opened_ns else -1,
    }
    return row
