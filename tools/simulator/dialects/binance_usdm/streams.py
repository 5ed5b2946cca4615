"""Public market streams (section 13): what the exchange and the clock make them say.

Update ids of a generated market jump, as the venue's do: the id of a change is ten times its number, and a snapshot's
id lies between two changes, so that a client's bridge from snapshot to diffs always has a diff to stand on (14).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import orjson

from tools.simulator.core.candles import Candle
from tools.simulator.core.clock import DAY, MINUTE, MS, SECOND, Clock
from tools.simulator.core.decimals import ZERO, text8
from tools.simulator.core.exchange import Listener
from tools.simulator.core.hub import Hub, Message
from tools.simulator.core.market import AggTrade, Market, Top
from tools.simulator.core.model import Execution, Order, Side, Trade
from tools.simulator.dialects.binance_usdm.symbols import SymbolInfo

INTERVALS: dict[str, int] = {
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
SPEEDS = {"@100ms": 100 * MS, "": 250 * MS, "@500ms": 500 * MS}
STEP = 10  # between two update ids of a generated market


def update_id(market: Market, own: int) -> int:
    """The wire's id of a change; a recording's are its own."""
    return own * STEP if market.publishes_queue else own


def snapshot_id(market: Market) -> int:
    return market.update_id * STEP + STEP // 2 if market.publishes_queue else market.update_id


class PublicStreams(Listener):
    """Renders public messages for streams that somebody listens to."""

    def __init__(self, markets: dict[str, Market], infos: dict[str, SymbolInfo], hub: Hub, clock: Clock) -> None:
        self._markets = markets
        self._infos = infos
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
            for speed in SPEEDS:
                self._published[market.symbol, speed] = market.update_id

    # --------------------------------------------------------------------------- what the exchange says
    def on_trades(self, market: Market, trades: list[Trade], aggregates: list[AggTrade]) -> None:
        name, info = market.symbol.lower(), self._infos[market.symbol]
        if self._hub.wanted(f"{name}@trade"):
            for trade in trades:
                self._send(f"{name}@trade", trade_event(trade, info, self._clock.now_ns()))
        if self._hub.wanted(f"{name}@aggTrade"):
            for aggregate in aggregates:
                event = {"e": "aggTrade", "E": self._clock.now_ns() // MS, "s": market.symbol}
                self._send(f"{name}@aggTrade", event | agg_fields(aggregate, info) | {"st": 1})

    def on_book(self, market: Market) -> None:
        stream = f"{market.symbol.lower()}@bookTicker"
        if not market.publishes_queue or not self._hub.wanted(stream):
            return
        top = market.top()
        if top == self._tops.get(market.symbol) or top.bid is None or top.ask is None:
            return
        self._tops[market.symbol] = top
        self._send(stream, self._book_ticker(market, top))

    def _book_ticker(self, market: Market, top: Top) -> dict[str, Any]:
        info, now = self._infos[market.symbol], self._clock.now_ns() // MS
        return {
            "e": "bookTicker",
            "u": update_id(market, market.update_id),
            "s": market.symbol,
            "ps": market.symbol,
            "b": info.price(top.bid or ZERO),
            "B": info.qty(top.bid_qty),
            "a": info.price(top.ask or ZERO),
            "A": info.qty(top.ask_qty),
            "T": now,
            "E": now,
            "st": 1,
        }

    def on_execution(self, order: Order, execution: Execution) -> None:
        """The venue's own closing of a position is public."""
        if execution.fill is None or not order.extra.get("liquidation"):
            return
        info, trade = self._infos[order.symbol], execution.fill.trade
        body = {
            "s": order.symbol,
            "S": order.side.value,
            "o": "LIMIT",
            "f": "IOC",
            "q": info.qty(order.order_qty),
            "p": info.price(trade.price),
            "ap": info.price(trade.price),
            "X": order.ord_status.value,
            "l": info.qty(trade.qty),
            "z": info.qty(order.cum_qty),
            "T": execution.time_ns // MS,
        }
        event = {"e": "forceOrder", "E": execution.time_ns // MS, "o": body}
        for stream in (f"{order.symbol.lower()}@forceOrder", "!forceOrder@arr"):
            if self._hub.wanted(stream):
                self._send(stream, event)

    # ------------------------------------------------------------------------------- what the clock does
    def tick(self, now_ns: int) -> None:
        """Every 100 ms; each stream at its own pace."""
        due = {speed: now_ns // every != (now_ns - 100 * MS) // every for speed, every in SPEEDS.items()}
        for market in self._markets.values():
            if market.publishes_queue:
                self._collect(market)
                for speed, is_due in due.items():
                    if is_due:
                        self._depth(market, speed, now_ns)
                        self._partial(market, speed, now_ns)
        for stream in self._hub.streams():
            self._by_clock(stream, now_ns, quarter=due[""])

    def _collect(self, market: Market) -> None:
        """Every speed takes its copy of what changed."""
        for speed in SPEEDS:
            self._changed.setdefault((market.symbol, speed), set()).update(market.dirty)
        market.dirty.clear()

    def _depth(self, market: Market, speed: str, now_ns: int) -> None:
        key = (market.symbol, speed)
        changed, before = self._changed[key], self._published[key]
        if not changed:
            return
        stream = f"{market.symbol.lower()}@depth{speed}"
        if self._hub.wanted(stream):
            info = self._infos[market.symbol]
            event = self._depth_head(market, now_ns, before) | {
                "b": _levels(market, info, Side.BUY, changed),
                "a": _levels(market, info, Side.SELL, changed),
                "st": 1,
            }
            self._hub.publish(Message(stream, orjson.dumps(event), ids=(event["U"], event["u"])))
        self._published[key] = market.update_id
        changed.clear()

    @staticmethod
    def _depth_head(market: Market, now_ns: int, before: int) -> dict[str, Any]:
        return {
            "e": "depthUpdate",
            "E": now_ns // MS,
            "T": now_ns // MS,
            "s": market.symbol,
            "ps": market.symbol,
            "U": before * STEP + STEP // 2 - 1,
            "u": market.update_id * STEP,
            "pu": before * STEP,
        }

    def _partial(self, market: Market, speed: str, now_ns: int) -> None:
        """The same shape and the same word as a diff: only the stream's name tells them apart."""
        name, info = market.symbol.lower(), self._infos[market.symbol]
        for depth in (5, 10, 20):
            stream = f"{name}@depth{depth}{speed}"
            if self._hub.wanted(stream):
                rows = {
                    "b": [[info.price(px), info.qty(qty)] for px, qty in market.depth(Side.BUY, depth)],
                    "a": [[info.price(px), info.qty(qty)] for px, qty in market.depth(Side.SELL, depth)],
                    "st": 1,
                }
                self._send(stream, self._depth_head(market, now_ns, market.update_id - 1) | rows)

    def _by_clock(self, stream: str, now_ns: int, *, quarter: bool) -> None:
        """Candles every 250 ms; marks, statistics by the second."""
        name, _, kind = stream.partition("@")
        second = now_ns % SECOND < 100 * MS
        if quarter and kind.startswith(("kline_", "continuousKline_")):
            self._candle(stream, name, kind, now_ns)
        elif not second:
            return
        elif name == "!bookTicker" and (now_ns // SECOND) % 5 == 0:
            for market in self._markets.values():
                self._send(stream, self._book_ticker(market, market.top()))
        elif kind.startswith("markPrice") or stream.startswith("!markPrice@arr"):
            if stream.endswith("@1s") or (now_ns // SECOND) % 3 == 0:
                rows = [mark_event(market, now_ns) for market in self._named(name)]
                self._send_rows(stream, name, rows)
        elif kind in ("ticker", "miniTicker") or name in ("!ticker", "!miniTicker"):
            mini = "mini" in stream
            rows = [ticker_event(each, self._infos[each.symbol], now_ns, mini=mini) for each in self._named(name)]
            if name.startswith("!") or (now_ns // SECOND) % 2 == 0:
                self._send_rows(stream, name, rows)

    def _named(self, name: str) -> Iterable[Market]:
        """The market of a stream's name, or all of a `!...@arr`."""
        if name.startswith("!"):
            return self._markets.values()
        market = self._markets.get(name.upper())
        return [] if market is None else [market]

    def _send_rows(self, stream: str, name: str, rows: list[dict[str, Any]]) -> None:
        if name.startswith("!"):
            self._send(stream, rows)
        elif rows:
            self._send(stream, rows[0])

    def _candle(self, stream: str, name: str, kind: str, now_ns: int) -> None:
        """The open candle; before it, one that has just closed."""
        continuous = kind.startswith("continuous")
        market = self._markets.get(name.removesuffix("_perpetual").upper())
        interval = kind.partition("_")[2]
        span = INTERVALS.get(interval)
        if market is None or span is None:
            return
        now_ns = market.time_ns(now_ns)
        current = market.candles.latest(span, now_ns)
        if current is None:
            return
        before = self._open_klines.get(stream)
        self._open_klines[stream] = current.open_ns
        closed: list[Candle] = []
        if before is not None and before != current.open_ns:
            closed = market.candles.series(span, now_ns=now_ns, start_ns=before, end_ns=current.open_ns - 1, limit=10)
        info = self._infos[market.symbol]
        for candle in [*closed, current]:
            self._send(stream, kline_event(market, info, interval, candle, now_ns, continuous=continuous))

    def _send(self, stream: str, event: Any) -> None:
        self._hub.publish(Message(stream, orjson.dumps(event)))


def _levels(market: Market, info: SymbolInfo, side: Side, changed: set[tuple[Side, Decimal]]) -> list[list[str]]:
    prices = sorted((price for where, price in changed if where is side), reverse=side is Side.BUY)
    return [[info.price(price), info.qty(market.shown_at(side, price))] for price in prices]


def trade_event(trade: Trade, info: SymbolInfo, now_ns: int) -> dict[str, Any]:
    """Not documented, but sent (13)."""
    return {
        "e": "trade",
        "E": now_ns // MS,
        "T": trade.time_ns // MS,
        "s": trade.symbol,
        "t": trade.trade_id,
        "p": info.price(trade.price),
        "q": info.qty(trade.qty),
        "X": "MARKET",
        "m": trade.buyer_is_maker,
    }


def agg_fields(aggregate: AggTrade, info: SymbolInfo) -> dict[str, Any]:
    return {
        "a": aggregate.agg_id,
        "p": info.price(aggregate.price),
        "q": info.qty(aggregate.qty),
        "nq": info.qty(aggregate.qty),
        "f": aggregate.first_id,
        "l": aggregate.last_id,
        "T": aggregate.time_ns // MS,
        "m": aggregate.buyer_is_maker,
    }


def snapshot(market: Market, info: SymbolInfo, limit: int, now_ns: int) -> dict[str, Any]:
    """The book's best levels, with an id that the next diff bridges."""
    return {
        "lastUpdateId": snapshot_id(market),
        "E": now_ns // MS,
        "T": now_ns // MS,
        "bids": [[info.price(price), info.qty(qty)] for price, qty in market.depth(Side.BUY, limit)],
        "asks": [[info.price(price), info.qty(qty)] for price, qty in market.depth(Side.SELL, limit)],
    }


def mark_event(market: Market, now_ns: int) -> dict[str, Any]:
    mark = text8(market.mark_px)
    return {
        "e": "markPriceUpdate",
        "E": now_ns // MS,
        "s": market.symbol,
        "p": mark,
        "ap": mark,
        "i": text8(market.index_px or market.mark_px),
        "P": mark,
        "r": text8(market.funding_rate),
        "T": market.next_funding_ns // MS,
        "st": 1,
    }


def kline_event(
    market: Market, info: SymbolInfo, interval: str, candle: Candle, now_ns: int, *, continuous: bool
) -> dict[str, Any]:
    body = {
        "t": candle.open_ns // MS,
        "T": candle.close_ns // MS,
        "s": market.symbol,
        "i": interval,
        "f": candle.first_id,
        "L": candle.last_id,
        "o": info.price(candle.open),
        "c": info.price(candle.close),
        "h": info.price(candle.high),
        "l": info.price(candle.low),
        "v": info.qty(candle.volume),
        "n": candle.trades,
        "x": now_ns > candle.close_ns,
        "q": text8(candle.quote_volume),
        "V": info.qty(candle.taker_buy_base),
        "Q": text8(candle.taker_buy_quote),
        "B": "0",
    }
    if continuous:
        del body["s"]
        return {"e": "continuous_kline", "E": now_ns // MS, "ps": market.symbol, "ct": "PERPETUAL", "k": body}
    return {"e": "kline", "E": now_ns // MS, "s": market.symbol, "k": body, "st": 1}


def ticker_event(market: Market, info: SymbolInfo, now_ns: int, *, mini: bool) -> dict[str, Any]:
    """24 h statistics; no best bid and ask on this product."""
    candle = market.candles.window(market.time_ns(now_ns))
    opened = candle.open if candle else market.last_px
    volume = candle.volume if candle else ZERO
    quote = candle.quote_volume if candle else ZERO
    event: dict[str, Any] = {
        "e": "24hrMiniTicker" if mini else "24hrTicker",
        "E": now_ns // MS,
        "s": market.symbol,
        "c": info.price(market.last_px),
        "o": info.price(opened),
        "h": info.price(candle.high if candle else market.last_px),
        "l": info.price(candle.low if candle else market.last_px),
        "v": info.qty(volume),
        "q": text8(quote),
        "ps": market.symbol,
        "st": 1,
    }
    if mini:
        return event
    change = market.last_px - opened
    last = market.trades[-1] if market.trades else None
    return event | {
        "p": info.price(change),
        "P": f"{change / opened * 100:.3f}" if opened else "0.000",
        "w": info.price(quote / volume if volume else market.last_px),
        "Q": info.qty(last.qty if last else ZERO),
        "O": (now_ns - DAY) // MS,
        "C": now_ns // MS,
        "F": market.trades[0].trade_id if market.trades else -1,
        "L": last.trade_id if last else -1,
        "n": candle.trades if candle else 0,
    }
