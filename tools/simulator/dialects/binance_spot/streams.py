"""Public market streams (section 12): what the exchange and the clock make them say."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson

from tools.simulator.core.candles import Candle
from tools.simulator.core.clock import DAY, MINUTE, MS, SECOND, Clock
from tools.simulator.core.decimals import ZERO, text8
from tools.simulator.core.exchange import Listener
from tools.simulator.core.hub import Hub, Message
from tools.simulator.core.market import AggTrade, Market, Top
from tools.simulator.core.model import Side, Trade
from tools.simulator.dialects.binance_spot.filters import average_price

INTERVALS: dict[str, int] = {
    "1s": SECOND,
    "1m": MINUTE,
    "3m": 3 * MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "30m": 30 * MINUTE,
    "1h": 60 * MINUTE,
    "2h": 120 * MINUTE,
    "4h": 240 * MINUTE,
    "6h": 360 * MINUTE,
    "8h": 480 * MINUTE,
    "12h": 720 * MINUTE,
    "1d": DAY,
    "3d": 3 * DAY,
    "1w": 7 * DAY,
    "1M": 30 * DAY,  # months of thirty days: nothing here is old enough for the difference to show
}
ROLLING: dict[str, str] = {"ticker_1h": "1h", "ticker_4h": "4h", "ticker_1d": "1d"}
"""Statistics over a window that rolls, by the kind of the stream."""
_OF_THE_DAY = frozenset("xQbBaA")


class PublicStreams(Listener):
    """Renders public messages for streams that somebody listens to."""

    def __init__(self, markets: dict[str, Market], hub: Hub, clock: Clock) -> None:
        self._markets = markets
        self._hub = hub
        self._clock = clock
        self._tops: dict[str, Top] = {}
        # Per symbol and speed: the update id up to which depth was published, and what changed since.
        self._published: dict[tuple[str, str], int] = {}
        self._changed: dict[tuple[str, str], set[tuple[Side, Decimal]]] = {}
        self._open_klines: dict[str, int] = {}

    def begin(self) -> None:
        """Publish changes from here on. To be called when the books are open."""
        for market in self._markets.values():
            market.dirty.clear()
            for speed in ("@100ms", ""):
                self._published[market.symbol, speed] = market.update_id

    def replayed(self, market: Market) -> bool:
        """A replayed market's depth, tops and prints come from the recording, not from here."""
        return not market.publishes_queue

    # --------------------------------------------------------------------------- what the exchange says
    def on_trades(self, market: Market, trades: list[Trade], aggregates: list[AggTrade]) -> None:
        name = market.symbol.lower()
        if self._hub.wanted(f"{name}@trade"):
            for trade in trades:
                self._send(f"{name}@trade", trade_event(trade, self._clock.now_ns()))
        if self._hub.wanted(f"{name}@aggTrade"):
            for aggregate in aggregates:
                self._send(f"{name}@aggTrade", agg_event(market.symbol, aggregate, self._clock.now_ns()))

    def on_book(self, market: Market) -> None:
        stream = f"{market.symbol.lower()}@bookTicker"
        if self.replayed(market) or not self._hub.wanted(stream):
            return
        top = market.top()
        if top == self._tops.get(market.symbol) or top.bid is None or top.ask is None:
            return
        self._tops[market.symbol] = top
        self._send(
            stream,
            {
                "u": market.update_id,
                "s": market.symbol,
                "b": text8(top.bid),
                "B": text8(top.bid_qty),
                "a": text8(top.ask),
                "A": text8(top.ask_qty),
            },
        )

    # ------------------------------------------------------------------------------- what the clock does
    def tick(self, now_ns: int) -> None:
        """Every 100 ms: depth; with every tenth the slower streams."""
        second = now_ns % SECOND < 100 * MS
        for market in self._markets.values():
            if not self.replayed(market):
                self._depth(market, "@100ms", now_ns, send=True)
                self._depth(market, "", now_ns, send=second)
                self._partial(market, "@100ms")
                if second:
                    self._partial(market, "")
        if second:
            for stream in self._hub.streams():
                self._slow(stream, now_ns)

    def _depth(self, market: Market, speed: str, now_ns: int, *, send: bool) -> None:
        key = (market.symbol, speed)
        changed = self._changed.setdefault(key, set())
        changed |= market.dirty
        if speed == "":
            market.dirty.clear()  # both speeds have taken their copy
        first = self._published[key] + 1
        if not send or not changed:
            return
        stream = f"{market.symbol.lower()}@depth{speed}"
        if self._hub.wanted(stream):
            event = {
                "e": "depthUpdate",
                "E": now_ns // MS,
                "s": market.symbol,
                "U": first,
                "u": market.update_id,
                "b": self._levels(market, Side.BUY, changed),
                "a": self._levels(market, Side.SELL, changed),
            }
            self._hub.publish(Message(stream, orjson.dumps(event), ids=(first, market.update_id)))
        self._published[key] = market.update_id
        changed.clear()

    @staticmethod
    def _levels(market: Market, side: Side, changed: set[tuple[Side, Decimal]]) -> list[list[str]]:
        prices = sorted((price for where, price in changed if where is side), reverse=side is Side.BUY)
        return [[text8(price), text8(market.shown_at(side, price))] for price in prices]

    def _partial(self, market: Market, speed: str) -> None:
        name = market.symbol.lower()
        for depth in (5, 10, 20):
            stream = f"{name}@depth{depth}{speed}"
            if self._hub.wanted(stream):
                self._send(stream, snapshot(market, depth))

    def _slow(self, stream: str, now_ns: int) -> None:
        """Streams that are told by the second: candles, statistics, averages."""
        name, _, kind = stream.partition("@")
        market = self._markets.get(name.upper())
        if kind.startswith("kline_") and market is not None:
            interval = kind.removeprefix("kline_").partition("@")[0]
            if interval in INTERVALS:
                self._kline(stream, market, interval, now_ns)
        elif kind == "avgPrice" and market is not None:
            average = average_price(market, 5, now_ns)
            self._send(
                stream,
                {
                    "e": "avgPrice",
                    "E": now_ns // MS,
                    "s": market.symbol,
                    "i": "5m",
                    "w": text8(average),
                    "T": now_ns // MS,
                },
            )
        elif kind in ("ticker", "miniTicker") and market is not None:
            self._send(stream, ticker_event(market, now_ns, mini=kind == "miniTicker"))
        elif stream == "!miniTicker@arr":
            self._send(stream, [ticker_event(each, now_ns, mini=True) for each in self._markets.values()])
        elif kind in ROLLING and market is not None:
            self._send(stream, rolling_event(market, ROLLING[kind], now_ns))
        elif name.removeprefix("!") in ROLLING and kind == "arr":
            window = ROLLING[name.removeprefix("!")]
            self._send(stream, [rolling_event(each, window, now_ns) for each in self._markets.values()])

    def _kline(self, stream: str, market: Market, interval: str, now_ns: int) -> None:
        """The open candle, every two seconds (every second for 1s); before it, one that has just closed."""
        span = INTERVALS[interval]
        now_ns = market.time_ns(now_ns)
        current = market.candles.latest(span, now_ns)
        if current is None:
            return
        before = self._open_klines.get(stream)
        self._open_klines[stream] = current.open_ns
        if before is not None and before != current.open_ns:
            for closed in market.candles.series(
                span, now_ns=now_ns, start_ns=before, end_ns=current.open_ns - 1, limit=10
            ):
                self._send(stream, kline_event(market, interval, closed, now_ns))
        if span == SECOND or (now_ns // SECOND) % 2 == 0:
            self._send(stream, kline_event(market, interval, current, now_ns))

    def _send(self, stream: str, event: Any) -> None:
        self._hub.publish(Message(stream, orjson.dumps(event)))


def trade_event(trade: Trade, now_ns: int) -> dict[str, Any]:
    return {
        "e": "trade",
        "E": now_ns // MS,
        "s": trade.symbol,
        "t": trade.trade_id,
        "p": text8(trade.price),
        "q": text8(trade.qty),
        "T": trade.time_ns // MS,
        "m": trade.buyer_is_maker,
        "M": True,
    }


def agg_event(symbol: str, aggregate: AggTrade, now_ns: int) -> dict[str, Any]:
    return {"e": "aggTrade", "E": now_ns // MS, "s": symbol, **agg_fields(aggregate)}


def agg_fields(aggregate: AggTrade) -> dict[str, Any]:
    return {
        "a": aggregate.agg_id,
        "p": text8(aggregate.price),
        "q": text8(aggregate.qty),
        "f": aggregate.first_id,
        "l": aggregate.last_id,
        "T": aggregate.time_ns // MS,
        "m": aggregate.buyer_is_maker,
        "M": True,
    }


def snapshot(market: Market, limit: int) -> dict[str, Any]:
    """The book's best levels with the id of its last change."""
    return {
        "lastUpdateId": market.update_id,
        "bids": [[text8(price), text8(qty)] for price, qty in market.depth(Side.BUY, limit)],
        "asks": [[text8(price), text8(qty)] for price, qty in market.depth(Side.SELL, limit)],
    }


def kline_event(market: Market, interval: str, candle: Candle, now_ns: int) -> dict[str, Any]:
    return {
        "e": "kline",
        "E": now_ns // MS,
        "s": market.symbol,
        "k": {
            "t": candle.open_ns // MS,
            "T": candle.close_ns // MS,
            "s": market.symbol,
            "i": interval,
            "f": candle.first_id,
            "L": candle.last_id,
            "o": text8(candle.open),
            "c": text8(candle.close),
            "h": text8(candle.high),
            "l": text8(candle.low),
            "v": text8(candle.volume),
            "n": candle.trades,
            "x": now_ns > candle.close_ns,
            "q": text8(candle.quote_volume),
            "V": text8(candle.taker_buy_base),
            "Q": text8(candle.taker_buy_quote),
            "B": "0",
        },
    }


def rolling_event(market: Market, window: str, now_ns: int) -> dict[str, Any]:
    """The statistics of another window: the letters of the 24 h ones without quotes and what came before."""
    event = ticker_event(market, now_ns, mini=False, span_ns=INTERVALS[window])
    return {name: value for name, value in event.items() if name not in _OF_THE_DAY} | {"e": f"{window}Ticker"}


def ticker_event(market: Market, now_ns: int, *, mini: bool, span_ns: int = DAY) -> dict[str, Any]:
    """24 h statistics; `mini` leaves out changes and quotes."""
    candle = market.candles.window(market.time_ns(now_ns), span_ns)
    opened = candle.open if candle else market.last_px
    volume = candle.volume if candle else ZERO
    quote = candle.quote_volume if candle else ZERO
    event: dict[str, Any] = {
        "e": "24hrMiniTicker" if mini else "24hrTicker",
        "E": now_ns // MS,
        "s": market.symbol,
        "c": text8(market.last_px),
        "o": text8(opened),
        "h": text8(candle.high if candle else market.last_px),
        "l": text8(candle.low if candle else market.last_px),
        "v": text8(volume),
        "q": text8(quote),
    }
    if mini:
        return event
    top = market.top()
    change = market.last_px - opened
    last = market.trades[-1] if market.trades else None
    return event | {
        "p": text8(change),
        "P": f"{change / opened * 100:.3f}" if opened else "0.000",
        "w": text8(quote / volume if volume else market.last_px),
        "x": text8(opened),
        "Q": text8(last.qty if last else ZERO),
        "b": text8(top.bid or ZERO),
        "B": text8(top.bid_qty),
        "a": text8(top.ask or ZERO),
        "A": text8(top.ask_qty),
        "O": (now_ns - span_ns) // MS,
        "C": now_ns // MS,
        "F": market.trades[0].trade_id if market.trades else -1,
        "L": last.trade_id if last else -1,
        "n": candle.trades if candle else 0,
    }
