"""Public facts as the venue writes them (section 8): prints, bars, tickers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tools.simulator.core.candles import Candle
from tools.simulator.core.clock import MINUTE, MS
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.market import Market
from tools.simulator.core.model import Trade
from tools.simulator.dialects.bybit.bands import edges_of
from tools.simulator.dialects.bybit.books import sequence
from tools.simulator.dialects.bybit.instruments import Instrument, plain

_CENT = Decimal("0.01")


def trade_row(trade: Trade, market: Market, instrument: Instrument, trade_id: str, direction: str) -> dict[str, Any]:
    """A row of `publicTrade`; the side is the taker's."""
    row: dict[str, Any] = {
        "T": trade.time_ns // MS,
        "s": instrument.symbol,
        "S": "Sell" if trade.buyer_is_maker else "Buy",
        "v": instrument.qty(trade.qty),
        "p": instrument.px(trade.price),
    }
    if not instrument.is_spot:
        row["L"] = direction
    return row | {"i": trade_id, "BT": False, "RPI": False, "seq": sequence(market)}


def recent_row(trade: Trade, instrument: Instrument, trade_id: str) -> dict[str, Any]:
    """The same print as REST tells it."""
    return {
        "execId": trade_id,
        "symbol": instrument.symbol,
        "price": instrument.px(trade.price),
        "size": instrument.qty(trade.qty),
        "side": "Sell" if trade.buyer_is_maker else "Buy",
        "time": str(trade.time_ns // MS),
        "isBlockTrade": False,
        "isRPITrade": False,
    }


def direction(price: Decimal, before: Decimal, last: str) -> str:
    """`tickDirection`: whether the price rose, fell, or stayed after a rise or a fall."""
    if price > before:
        return "PlusTick"
    if price < before:
        return "MinusTick"
    return "ZeroMinusTick" if "Minus" in last else "ZeroPlusTick"


def kline_row(candle: Candle, instrument: Instrument) -> list[str]:
    """`[start, open, high, low, close, volume, turnover]`."""
    prices = (candle.open, candle.high, candle.low, candle.close)
    return [
        str(candle.open_ns // MS),
        *(instrument.px(price) for price in prices),
        instrument.qty(candle.volume) if candle.volume else "0",
        plain(candle.quote_volume),
    ]


def kline_event(candle: Candle, interval: str, instrument: Instrument, now_ns: int) -> dict[str, Any]:
    """The row of `kline.{interval}.{symbol}`; its prices show no idle zeros, as recorded."""
    return {
        "start": candle.open_ns // MS,
        "end": (candle.open_ns + candle.interval_ns) // MS - 1,
        "interval": interval,
        "open": plain(candle.open),
        "close": plain(candle.close),
        "high": plain(candle.high),
        "low": plain(candle.low),
        "volume": instrument.qty(candle.volume) if candle.volume else "0",
        "turnover": plain(candle.quote_volume),
        "confirm": now_ns > candle.close_ns,
        "timestamp": now_ns // MS,
    }


def ticker(market: Market, instrument: Instrument, now_ns: int, *, interest: Decimal, direction: str) -> dict[str, Any]:
    """The day's statistics with the best prices of both sides.

    `interest`: open contracts, one side counted; `direction`: the last print's `tickDirection`.
    """
    candle = market.candles.window(market.time_ns(now_ns))
    px, last = instrument.px, market.last_px
    opened = candle.open if candle else last
    row: dict[str, Any] = {
        "symbol": instrument.symbol,
        "lastPrice": px(last),
        "prevPrice24h": px(opened),
        "price24hPcnt": f"{(last - opened) / opened if opened else ZERO:.{4 if instrument.is_spot else 6}f}",
        "highPrice24h": px(candle.high if candle else last),
        "lowPrice24h": px(candle.low if candle else last),
        "turnover24h": plain(candle.quote_volume if candle else ZERO),
        "volume24h": plain(candle.volume if candle else ZERO),
    }
    top = market.top()
    sides = {
        "bid1Price": px(top.bid) if top.bid is not None else "",
        "bid1Size": instrument.qty(top.bid_qty),
        "ask1Price": px(top.ask) if top.ask is not None else "",
        "ask1Size": instrument.qty(top.ask_qty),
    }
    if instrument.is_spot:
        return row | sides | {"usdIndexPrice": px(last) if instrument.quote in ("USDT", "USDC") else ""}
    hour = market.candles.window(market.time_ns(now_ns), 60 * MINUTE)
    return (
        row
        | {
            "tickDirection": direction,
            "prevPrice1h": px(hour.open if hour else last),
            "fundingIntervalHour": "8",
            "fundingCap": instrument.raw.get("upperFundingRate", ""),
            "preOpenPrice": "",
            "preQty": "",
            "curPreListingPhase": "",
        }
        | contract_facts(market, instrument, interest)
        | sides
    )


def contract_facts(market: Market, instrument: Instrument, interest: Decimal) -> dict[str, Any]:
    """Mark, index, funding and open interest of a contract."""
    return {
        "markPrice": instrument.px(market.mark_px),
        "indexPrice": instrument.px(market.index_px or market.mark_px),
        "openInterest": plain(2 * interest),
        "openInterestValue": plain((2 * interest * market.mark_px).quantize(_CENT)),
        "singleOpenInterest": plain(interest),
        "singleOpenInterestValue": plain((interest * market.mark_px).quantize(_CENT)),
        "fundingRate": plain(market.funding_rate),
        "nextFundingTime": str(market.next_funding_ns // MS),
    }


def price_limit(market: Market, instrument: Instrument) -> dict[str, str]:
    """The band's edges."""
    edges = edges_of(market, instrument)
    if edges is None:
        return {"buyLmt": "", "sellLmt": ""}
    return {"buyLmt": instrument.px(edges[1]), "sellLmt": instrument.px(edges[0])}
