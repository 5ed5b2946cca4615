"""Rows of public data (sections 4 and 7), the same by REST and on the streams."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tools.simulator.core.candles import Candle
from tools.simulator.core.clock import DAY, MINUTE, SECOND
from tools.simulator.core.decimals import ZERO, floor_to
from tools.simulator.core.market import AggTrade, Market
from tools.simulator.core.model import Trade
from tools.simulator.dialects.okx.instruments import SPOT, OkxInstrument
from tools.simulator.dialects.okx.text import ms, plain

HOUR = 60 * MINUTE
BARS: dict[str, int] = {
    "1s": SECOND, "1m": MINUTE, "3m": 3 * MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE, "30m": 30 * MINUTE,
    "1H": HOUR, "2H": 2 * HOUR, "4H": 4 * HOUR, "6H": 6 * HOUR, "12H": 12 * HOUR, "1D": DAY, "2D": 2 * DAY,
    "3D": 3 * DAY, "1W": 7 * DAY, "1M": 30 * DAY,
    "6Hutc": 6 * HOUR, "12Hutc": 12 * HOUR, "1Dutc": DAY, "2Dutc": 2 * DAY, "3Dutc": 3 * DAY, "1Wutc": 7 * DAY,
    "1Mutc": 30 * DAY,
}  # fmt: skip
"""Months are of thirty days: nothing here is old enough for the difference to show."""
HONG_KONG = frozenset({"6H", "12H", "1D", "2D", "3D", "1W", "1M"})
"""Bars that begin at 16:00 UTC, midnight in Hong Kong."""
FUNDING_NS = 8 * HOUR


def bar_shift(bar: str) -> int:
    """How much earlier than at UTC midnight a bar's days begin."""
    return 8 * HOUR if bar in HONG_KONG else 0


def candles(
    market: Market, bar: str, now_ns: int, *, start_ns: int | None, end_ns: int | None, limit: int
) -> list[Candle]:
    """Bars whose open time lies in [start, end], oldest first; the newest `limit` of them.

    Days of Hong Kong are counted by moving every minute by eight hours, and back.
    """
    span, shift = BARS[bar], bar_shift(bar)
    store = market.candles
    if not shift:
        found = store.series(span, now_ns=now_ns, start_ns=None, end_ns=end_ns, limit=limit)
    else:
        # The store aligns to UTC; hours are the largest unit that both calendars share.
        until = None if end_ns is None else end_ns + span
        hours = store.series(HOUR, now_ns=now_ns, start_ns=None, end_ns=until, limit=limit * span // HOUR)
        found = []
        for hour in hours:
            open_ns = (hour.open_ns + shift) // span * span - shift
            if found and found[-1].open_ns == open_ns:
                found[-1].absorb(hour)
            else:
                hour.open_ns, hour.interval_ns = open_ns, span
                found.append(hour)
        found = [one for one in found if end_ns is None or one.open_ns <= end_ns]
    newest = now_ns if end_ns is None else min(now_ns, end_ns)
    while found and found[-1].open_ns + span <= newest:  # nothing has traded since
        close = found[-1].close
        found.append(Candle(found[-1].open_ns + span, span, close, close, close, close))
    return [one for one in found if start_ns is None or one.open_ns >= start_ns][-limit:]


def candle_row(instrument: OkxInstrument, candle: Candle, now_ns: int) -> list[str]:
    """`[ts, open, high, low, close, vol, volCcy, volCcyQuote, confirm]`; volumes as the venue counts them (7)."""
    volume, in_ccy, in_quote = volumes(instrument, candle)
    return [
        ms(candle.open_ns),
        plain(candle.open),
        plain(candle.high),
        plain(candle.low),
        plain(candle.close),
        plain(volume),
        plain(in_ccy),
        plain(in_quote),
        "1" if now_ns > candle.close_ns else "0",
    ]


def volumes(instrument: OkxInstrument, candle: Candle | None) -> tuple[Decimal, Decimal, Decimal]:
    """`vol`, `volCcy` and `volCcyQuote`: contracts, coins and money; of spot coins and twice money."""
    if candle is None:
        return ZERO, ZERO, ZERO
    if instrument.inst_type == SPOT:
        return candle.volume, candle.quote_volume, candle.quote_volume
    return candle.volume, candle.volume * instrument.contract_size, candle.quote_volume


def ticker(instrument: OkxInstrument, market: Market, now_ns: int) -> dict[str, Any]:
    """24 hours; the open of the UTC day and of the one that begins at 16:00 UTC."""
    at_ns = market.time_ns(now_ns)
    day = market.candles.window(at_ns)
    top = market.top()
    last = market.trades[-1] if market.trades else None
    volume, in_ccy, _ = volumes(instrument, day)
    price = market.last_px
    return {
        "instType": instrument.inst_type,
        "instId": instrument.inst_id,
        "last": plain(price),
        "lastSz": plain(last.qty if last else ZERO),
        "askPx": plain(top.ask) if top.ask is not None else "",
        "askSz": plain(top.ask_qty) if top.ask is not None else "",
        "bidPx": plain(top.bid) if top.bid is not None else "",
        "bidSz": plain(top.bid_qty) if top.bid is not None else "",
        "open24h": plain(day.open if day else price),
        "high24h": plain(day.high if day else price),
        "low24h": plain(day.low if day else price),
        "sodUtc0": plain(_open_of_day(market, at_ns, 0)),
        "sodUtc8": plain(_open_of_day(market, at_ns, 8 * HOUR)),
        "volCcy24h": plain(in_ccy),
        "vol24h": plain(volume),
        "ts": ms(now_ns),
    }


def _open_of_day(market: Market, now_ns: int, shift: int) -> Decimal:
    start = (now_ns + shift) // DAY * DAY - shift
    candle = market.candles.window(now_ns, max(now_ns - start, MINUTE))
    return candle.open if candle else market.last_px


def trade(market: Market, one: Trade) -> dict[str, Any]:
    """One fill, as `trades-all` and REST tell it."""
    return {
        "instId": market.spec.name,
        "tradeId": str(one.trade_id),
        "px": plain(one.price),
        "sz": plain(one.qty),
        "side": taker_side(one.buyer_is_maker),
        "ts": ms(one.time_ns),
        "source": "0",
    }


def aggregate(market: Market, one: AggTrade) -> dict[str, Any]:
    """What one taker traded at one price: `tradeId` is the last of `count`."""
    return {
        "instId": market.spec.name,
        "tradeId": str(one.last_id),
        "px": plain(one.price),
        "sz": plain(one.qty),
        "side": taker_side(one.buyer_is_maker),
        "ts": ms(one.time_ns),
        "count": str(one.last_id - one.first_id + 1),
        "source": "0",
        "seqId": market.update_id,
    }


def taker_side(buyer_is_maker: bool) -> str:
    return "sell" if buyer_is_maker else "buy"


def price_limit(instrument: OkxInstrument, market: Market, now_ns: int) -> dict[str, Any]:
    """The highest price of a buy and the lowest of a sell."""
    highest, lowest = band(instrument, market)
    return {
        "instType": instrument.inst_type,
        "instId": instrument.inst_id,
        "buyLmt": plain(highest),
        "sellLmt": plain(lowest),
        "ts": ms(now_ns),
        "enabled": bool(highest),
    }


def band(instrument: OkxInstrument, market: Market) -> tuple[Decimal, Decimal]:
    """Around the last price, in whole ticks; zeros before there is one."""
    price = market.last_px
    if not price:
        return ZERO, ZERO
    return floor_to(price * (1 + instrument.band), instrument.tick), floor_to(
        price * (1 - instrument.band), instrument.tick
    )


def funding(instrument: OkxInstrument, now_ns: int, rate: Decimal) -> dict[str, Any]:
    """The rate of the funding that comes next, every eight hours."""
    due = now_ns - now_ns % FUNDING_NS + FUNDING_NS
    return {
        "instType": instrument.inst_type,
        "instId": instrument.inst_id,
        "method": "current_period",
        "formulaType": "withRate",
        "fundingRate": plain(rate),
        "nextFundingRate": "",
        "fundingTime": ms(due),
        "nextFundingTime": ms(due + FUNDING_NS),
        "prevFundingTime": ms(due - FUNDING_NS),
        "minFundingRate": "-0.015",
        "maxFundingRate": "0.015",
        "interestRate": "0.0001",
        "impactValue": "20000",
        "settState": "settled",
        "settFundingRate": plain(rate),
        "premium": "0",
        "ts": ms(now_ns),
    }
