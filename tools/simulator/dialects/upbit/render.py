"""The exchange's facts in the venue's words (sections 4 to 7): markets, books, trades, candles, tickers.

REST writes what is public in numbers and names the pair `market`; streams name it `code`. Dates of a ticker are UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import attrs

from tools.simulator.core.candles import Candle, CandleStore
from tools.simulator.core.clock import DAY, MINUTE, MS, SECOND
from tools.simulator.core.decimals import ZERO, ceil_to, floor_to
from tools.simulator.core.market import Market
from tools.simulator.core.model import Side, Trade
from tools.simulator.dialects.upbit import steps
from tools.simulator.dialects.upbit.steps import KST

LEVELS = 30
DEPTHS = (1, 5, 15, 30)
_RATE_UNIT = Decimal("0.0000000001")

MINUTE_UNITS = (1, 3, 5, 10, 15, 30, 60, 240)
STREAM_CANDLES = {"1s": SECOND} | {f"{count}m": count * MINUTE for count in MINUTE_UNITS}
"""Bars of the streams, after `candle.`."""


def num(value: Decimal) -> Decimal:
    """The same number without trailing zeros and without an exponent above zero."""
    value = value.normalize()
    return value.quantize(Decimal(1)) if value.as_tuple().exponent > 0 else value  # type: ignore[operator]


def text(value: Decimal) -> str:
    """A number as what is an account's is written: plain, without trailing zeros."""
    return format(num(value), "f")


def utc(time_ns: int) -> datetime:
    return datetime.fromtimestamp(time_ns // SECOND, UTC)


def iso_kst(time_ns: int) -> str:
    """As `created_at`: Korean time with its zone, to the second."""
    return utc(time_ns).astimezone(KST).isoformat()


def taker_word(trade: Trade) -> str:
    return "ASK" if trade.buyer_is_maker else "BID"


# ---- books -----------------------------------------------------------------------------------------------------


def supported_levels(market: Market, at_ns: int) -> list[str]:
    """By how much prices can be grouped: KRW pairs alone, ten, a hundred and a thousand units."""
    if market.spec.quote != "KRW":
        return ["0"]
    step = steps.step_of(market.symbol, market.last_px, at_ns)
    return ["0", *(text(step * factor) for factor in (10, 100, 1000))]


def book(market: Market, now_ns: int, level: Decimal = ZERO, count: int = LEVELS) -> dict[str, Any]:
    """The picture of a book: the fields that REST and streams share. A side that ends early goes on with zeros."""
    sides = [_side(market, side, level, count) for side in (Side.SELL, Side.BUY)]
    asks, bids = ([*side, *[(ZERO, ZERO)] * (max(map(len, sides)) - len(side))] for side in sides)
    return {
        "total_ask_size": num(sum((qty for _, qty in asks), ZERO)),
        "total_bid_size": num(sum((qty for _, qty in bids), ZERO)),
        "orderbook_units": [
            {"ask_price": num(ask), "bid_price": num(bid), "ask_size": num(ask_qty), "bid_size": num(bid_qty)}
            for (ask, ask_qty), (bid, bid_qty) in zip(asks, bids, strict=True)
        ],
        "timestamp": now_ns // MS,
        "level": num(level),
    }


def _side(market: Market, side: Side, level: Decimal, count: int) -> list[tuple[Decimal, Decimal]]:
    if not level:
        return market.depth(side, count)
    rounded = floor_to if side is Side.BUY else ceil_to
    grouped: dict[Decimal, Decimal] = {}
    for price, qty in market.depth(side, 100_000):
        at = rounded(price, level)
        if at not in grouped and len(grouped) == count:
            break
        grouped[at] = grouped.get(at, ZERO) + qty
    return list(grouped.items())


# ---- trades ----------------------------------------------------------------------------------------------------


class Sequence:
    """The venue's trade ids: 17 digits, the millisecond and a count within it; unique in a market, not in order."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}  # by market: the last one given

    def next(self, symbol: str, time_ns: int) -> int:
        given = max(time_ns // MS * 10_000, self._ids.get(symbol, 0) + 1)
        self._ids[symbol] = given
        return given


@attrs.frozen(kw_only=True)
class Print:
    """A public trade with the id that the venue gave it and the book's top right after it."""

    trade: Trade
    sequential_id: int
    previous_close: Decimal


def trade_row(one: Print) -> dict[str, Any]:
    """As `trades/ticks` shows it."""
    trade = one.trade
    moment = utc(trade.time_ns)
    return {
        "market": trade.symbol,
        "trade_date_utc": moment.strftime("%Y-%m-%d"),
        "trade_time_utc": moment.strftime("%H:%M:%S"),
        "timestamp": trade.time_ns // MS,
        "trade_price": num(trade.price),
        "trade_volume": num(trade.qty),
        "prev_closing_price": num(one.previous_close),
        "change_price": num(trade.price - one.previous_close),
        "ask_bid": taker_word(trade),
        "sequential_id": one.sequential_id,
    }


def trade_event(one: Print, market: Market, now_ns: int, stream_type: str) -> dict[str, Any]:
    """As the `trade` stream tells it."""
    trade, top = one.trade, market.top()
    moment = utc(trade.time_ns)
    return {
        "type": "trade",
        "code": trade.symbol,
        "timestamp": now_ns // MS,
        "trade_date": moment.strftime("%Y-%m-%d"),
        "trade_time": moment.strftime("%H:%M:%S"),
        "trade_timestamp": trade.time_ns // MS,
        "trade_price": num(trade.price),
        "trade_volume": num(trade.qty),
        "ask_bid": taker_word(trade),
        "prev_closing_price": num(one.previous_close),
        "change": _change(trade.price - one.previous_close),
        "change_price": num(abs(trade.price - one.previous_close)),
        "sequential_id": one.sequential_id,
        "best_ask_price": num(top.ask or ZERO),
        "best_ask_size": num(top.ask_qty),
        "best_bid_price": num(top.bid or ZERO),
        "best_bid_size": num(top.bid_qty),
        "stream_type": stream_type,
    }


def _change(difference: Decimal) -> str:
    return "RISE" if difference > 0 else "FALL" if difference < 0 else "EVEN"


# ---- candles ---------------------------------------------------------------------------------------------------


def _week(time_ns: int) -> int:
    """Monday, 00:00 UTC; the epoch was a Thursday."""
    return time_ns - (time_ns - 4 * DAY) % (7 * DAY)


def _month(time_ns: int) -> int:
    return int(utc(time_ns).replace(day=1, hour=0, minute=0, second=0).timestamp()) * SECOND


def _year(time_ns: int) -> int:
    return int(utc(time_ns).replace(month=1, day=1, hour=0, minute=0, second=0).timestamp()) * SECOND


PERIODS: dict[str, Callable[[int], int]] = {"weeks": _week, "months": _month, "years": _year}
"""Bars that do not begin at a multiple of their length since the epoch."""


def start_of(interval_ns: int) -> Callable[[int], int]:
    return lambda time_ns: time_ns - time_ns % interval_ns


def bars(store: CandleStore, begin: Callable[[int], int], before_ns: int, *, seconds: bool) -> Iterator[Candle]:
    """Bars that began before a moment, newest first. Where nobody traded there is none."""
    bar: Candle | None = None
    for source in reversed(store.seconds if seconds else store.minutes):
        opened = begin(source.open_ns)
        if opened >= before_ns:
            continue
        if bar is not None and bar.open_ns == opened:
            newer, bar = bar, attrs.evolve(source, open_ns=opened)
            bar.absorb(newer)
            continue
        if bar is not None:
            yield bar
        bar = attrs.evolve(source, open_ns=opened)
    if bar is not None:
        yield bar


def candle_fields(bar: Candle, last_ns: int) -> dict[str, Any]:
    """What REST and streams share; `last_ns` is the time of the bar's last trade, or of its end."""
    opened = utc(bar.open_ns)
    return {
        "candle_date_time_utc": opened.strftime("%Y-%m-%dT%H:%M:%S"),
        "candle_date_time_kst": opened.astimezone(KST).strftime("%Y-%m-%dT%H:%M:%S"),
        "opening_price": num(bar.open),
        "high_price": num(bar.high),
        "low_price": num(bar.low),
        "trade_price": num(bar.close),
        "timestamp": last_ns // MS,
        "candle_acc_trade_price": num(bar.quote_volume),
        "candle_acc_trade_volume": num(bar.volume),
    }


# ---- tickers ---------------------------------------------------------------------------------------------------


@attrs.define
class _Base:
    """What a market did before the minute that is under way."""

    minute_ns: int
    day: Candle | None
    last_24h: Candle | None
    previous_close: Decimal
    highest: tuple[Decimal, int]
    lowest: tuple[Decimal, int]


class Statistics:
    """Day and 24 h figures of one market: summed once a minute, with the open minute added at each look."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._base: _Base | None = None

    def previous_close(self, now_ns: int) -> Decimal:
        """The last price of the day before (UTC); the first price known where there is none."""
        return self._at(now_ns).previous_close

    def _at(self, now_ns: int) -> _Base:
        minute_ns = now_ns - now_ns % MINUTE
        base = self._base
        if base is None or base.minute_ns != minute_ns:
            base = self._base = self._summed(minute_ns)
        return base

    def _summed(self, minute_ns: int) -> _Base:
        store, day_ns = self._market.candles.minutes, minute_ns - minute_ns % DAY
        day: Candle | None = None
        window: Candle | None = None
        close = opened = ZERO
        high = low = (self._market.last_px, minute_ns)
        for source in reversed(store):
            if source.open_ns >= minute_ns:
                opened = source.open
                continue
            if source.open_ns >= day_ns:
                day = _joined(source, day)
            elif not close:
                close = source.close
            if source.open_ns >= minute_ns - DAY:
                window = _joined(source, window)
            opened = source.open
            high = max(high, (source.high, source.open_ns), key=lambda pair: pair[0])
            low = min(low, (source.low, source.open_ns), key=lambda pair: pair[0])
        return _Base(minute_ns, day, window, close or opened or self._market.last_px, high, low)

    def fields(self, now_ns: int) -> dict[str, Any]:
        """What REST and the `ticker` stream share."""
        market, base = self._market, self._at(now_ns)
        current = market.candles.minutes[-1] if market.candles.minutes else None
        if current is not None and current.open_ns < base.minute_ns:
            current = None
        day = _joined(base.day, current)
        window = _joined(base.last_24h, current)
        last = market.trades[-1] if market.trades else None
        price, close = market.last_px, base.previous_close
        change = price - close
        rate = (change / close).quantize(_RATE_UNIT) if close else ZERO
        high = max(base.highest, (day.high, now_ns) if day else base.highest, key=lambda pair: pair[0])
        low = min(base.lowest, (day.low, now_ns) if day else base.lowest, key=lambda pair: pair[0])
        return {
            "opening_price": num(day.open if day else price),
            "high_price": num(day.high if day else price),
            "low_price": num(day.low if day else price),
            "trade_price": num(price),
            "prev_closing_price": num(close),
            "change": _change(change),
            "change_price": num(abs(change)),
            "signed_change_price": num(change),
            "change_rate": num(abs(rate)),
            "signed_change_rate": num(rate),
            "trade_volume": num(last.qty if last else ZERO),
            "acc_trade_volume": num(day.volume if day else ZERO),
            "acc_trade_volume_24h": num(window.volume if window else ZERO),
            "acc_trade_price": num(day.quote_volume if day else ZERO),
            "acc_trade_price_24h": num(window.quote_volume if window else ZERO),
            "trade_timestamp": (last.time_ns if last else now_ns) // MS,
            "highest_52_week_price": num(high[0]),
            "highest_52_week_date": utc(high[1]).strftime("%Y-%m-%d"),
            "lowest_52_week_price": num(low[0]),
            "lowest_52_week_date": utc(low[1]).strftime("%Y-%m-%d"),
            "timestamp": now_ns // MS,
        }

    def row(self, now_ns: int) -> dict[str, Any]:
        """As `GET /v1/ticker` shows it."""
        fields = self.fields(now_ns)
        moment = utc(fields["trade_timestamp"] * MS)
        korean = moment.astimezone(KST)
        return {
            "market": self._market.symbol,
            "trade_date": moment.strftime("%Y%m%d"),
            "trade_time": moment.strftime("%H%M%S"),
            "trade_date_kst": korean.strftime("%Y%m%d"),
            "trade_time_kst": korean.strftime("%H%M%S"),
            **fields,
        }

    def event(self, now_ns: int, stream_type: str) -> dict[str, Any]:
        """As the `ticker` stream tells it."""
        fields = self.fields(now_ns)
        moment = utc(fields["trade_timestamp"] * MS)
        last = self._market.trades[-1] if self._market.trades else None
        base = self._at(now_ns)
        minutes = self._market.candles.minutes
        current = minutes[-1] if minutes and minutes[-1].open_ns >= base.minute_ns else None
        day = _joined(base.day, current)
        bought = day.taker_buy_base if day else ZERO
        return {
            "type": "ticker",
            "code": self._market.symbol,
            **fields,
            "ask_bid": taker_word(last) if last else "BID",
            "trade_date": moment.strftime("%Y%m%d"),
            "trade_time": moment.strftime("%H%M%S"),
            "acc_ask_volume": num(day.volume - bought if day else ZERO),
            "acc_bid_volume": num(bought),
            "market_state": "ACTIVE",
            "delisting_date": None,
            "stream_type": stream_type,
        }


def _joined(older: Candle | None, newer: Candle | None) -> Candle | None:
    if older is None or newer is None:
        return older if newer is None else attrs.evolve(newer)
    both = attrs.evolve(older)
    both.absorb(newer)
    return both
