"""Public streams of a generated market (section 8): what the exchange and the clock make them say.

A recorded or live market brings its own messages; then this module only answers REST and sends the snapshots of new
subscriptions, from what the recording has shown so far (`replay`).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Protocol

import orjson

from tools.simulator.core.clock import MS, SECOND, Clock
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.hub import Hub, Message
from tools.simulator.core.listener import Listener
from tools.simulator.core.market import AggTrade, Market
from tools.simulator.core.model import Trade
from tools.simulator.dialects.bybit import render_market
from tools.simulator.dialects.bybit.books import BookTopics, sequence
from tools.simulator.dialects.bybit.instruments import Instrument
from tools.simulator.dialects.bybit.topics import INTERVALS, hub_name, split

TICKER_KINDS = ("symbol", "bid1Price", "bid1Size", "ask1Price", "ask1Size")

PRICE_LIMIT_NS = 300 * MS


class Recorded(Protocol):
    """What a recorded market has shown so far."""

    def snapshot(self, name: str) -> bytes | None:
        """The book of a topic, as a snapshot message; None before the first recorded one."""
        ...


class PublicStreams(Listener):
    """Renders public messages for topics that somebody listens to."""

    def __init__(self, markets: dict[str, Market], infos: dict[str, Instrument], hub: Hub, clock: Clock) -> None:
        self._markets = markets
        self._infos = infos
        self._hub = hub
        self._clock = clock
        self._books = {key: BookTopics(market, infos[key], hub, clock.now_ns) for key, market in markets.items()}
        self._tickers: dict[str, dict[str, Any]] = {}  # hub name -> what was published last
        self._printed: dict[str, tuple[Decimal, str]] = {}  # market key -> price and direction of the last print
        self._open_klines: dict[str, int] = {}
        self.interest: Callable[[str], Decimal] = lambda key: ZERO
        """Open contracts of a market, one side counted."""
        self.recorded: Recorded | None = None
        self.recorded_ids: dict[tuple[str, int], str] = {}
        """Market key and our number of a recorded print -> the venue's own id."""

    def first_message(self, category: str, topic: str) -> bytes | None:
        """What a new subscriber gets at once: book and ticker as snapshots.  To be asked before he is in the hub."""
        kind, detail, symbol = split(topic)
        key, name = f"{category}:{symbol}", hub_name(category, topic)
        market = self._markets[key]
        if not market.publishes_queue:
            return None if self.recorded is None else self.recorded.snapshot(name)
        if kind == "orderbook":
            return self._books[key].snapshot(detail)
        if kind == "tickers":
            row = self._ticker(market, name)
            return self._ticker_frame(topic, "snapshot", row, market)
        return None

    def book_answer(self, market: Market, limit: int) -> dict[str, Any]:
        """The REST book."""
        return self._books[market.symbol].answer(limit)

    # --------------------------------------------------------------------------- what the exchange says
    def on_trades(self, market: Market, trades: list[Trade], aggregates: list[AggTrade]) -> None:
        instrument = self._infos[market.symbol]
        topic = f"publicTrade.{instrument.symbol}"
        rows = [self._trade_row(market, instrument, trade) for trade in trades]
        name = hub_name(instrument.category, topic)
        if self._hub.wanted(name):
            frame = self._head(topic, "snapshot", instrument) | {"data": rows}
            self._hub.publish(Message(name, orjson.dumps(frame)))

    def on_book(self, market: Market) -> None:
        if market.publishes_queue:
            self._books[market.symbol].flush(self._clock.now_ns())

    def _head(self, topic: str, kind: str, instrument: Instrument) -> dict[str, Any]:
        """How a frame begins; the order of keys differs by product, as recorded."""
        stamp = self._clock.now_ns() // MS
        if instrument.is_spot:
            return {"topic": topic, "ts": stamp, "type": kind}
        return {"topic": topic, "type": kind, "ts": stamp}

    def _trade_row(self, market: Market, instrument: Instrument, trade: Trade) -> dict[str, Any]:
        price, before = self._printed.get(market.symbol, (trade.price, ""))
        word = render_market.direction(trade.price, price, before)
        self._printed[market.symbol] = (trade.price, word)
        return render_market.trade_row(trade, market, instrument, self.trade_id(instrument, trade.trade_id), word)

    def trade_id(self, instrument: Instrument, number: int) -> str:
        """A print's id: a UUID for contracts, digits for spot, the recording's own where there is one."""
        recorded = self.recorded_ids.get((instrument.key, number))
        if recorded is not None:
            return recorded
        if instrument.is_spot:
            return f"2{instrument.index:06d}{number:012d}"
        return f"{instrument.index:08x}-0000-5000-9000-{number:012x}"

    def recent_trade(self, trade: Trade, instrument: Instrument) -> dict[str, Any]:
        """One row of the REST answer."""
        return render_market.recent_row(trade, instrument, self.trade_id(instrument, trade.trade_id))

    # ------------------------------------------------------------------------------- what the clock does
    def tick(self, now_ns: int) -> None:
        """Every 100 ms: what the pauses have held back, and tickers; with every tenth the bars."""
        second = now_ns % SECOND < 100 * MS
        for market in self._markets.values():
            if market.publishes_queue:
                self._books[market.symbol].flush(now_ns)
        for name in self._hub.streams():
            category, _, topic = name.partition("/")
            kind, detail, symbol = split(topic)
            listened = self._markets[f"{category}:{symbol}"]
            if not listened.publishes_queue:
                continue
            if kind == "tickers":
                self._publish_ticker(listened, name, topic)
            elif kind == "priceLimit" and now_ns % PRICE_LIMIT_NS < 100 * MS:
                row = render_market.price_limit(listened, self._infos[listened.symbol])
                frame = {"topic": topic, "data": {"symbol": symbol, **row}, "ts": now_ns // MS}
                self._hub.publish(Message(name, orjson.dumps(frame)))
            elif kind == "kline" and second:
                self._kline(name, topic, listened, detail, now_ns)

    def _ticker(self, market: Market, name: str) -> dict[str, Any]:
        """The ticker that the next message is compared with: of now, where nobody has listened so far."""
        row = self._tickers.get(name)
        if row is None or not self._hub.wanted(name):
            row = self._tickers[name] = self._ticker_now(market)
        return row

    def ticker(self, market: Market, instrument: Instrument, now_ns: int) -> dict[str, Any]:
        """The whole ticker, as REST tells it."""
        _, word = self._printed.get(market.symbol, (ZERO, "ZeroPlusTick"))
        return render_market.ticker(market, instrument, now_ns, interest=self.interest(market.symbol), direction=word)

    def _ticker_now(self, market: Market) -> dict[str, Any]:
        instrument = self._infos[market.symbol]
        row = self.ticker(market, instrument, self._clock.now_ns())
        if instrument.is_spot:
            for word in TICKER_KINDS[1:]:
                del row[word]  # the stream of spot has no best prices (section 8.3)
        return row

    def _publish_ticker(self, market: Market, name: str, topic: str) -> None:
        """Contracts tell what changed, spot always everything."""
        before, now = self._ticker(market, name), self._ticker_now(market)
        changed = {word: value for word, value in now.items() if before.get(word) != value}
        if not changed:
            return
        self._tickers[name] = now
        if self._infos[market.symbol].is_spot:
            data = self._ticker_frame(topic, "snapshot", now, market)
        else:
            data = self._ticker_frame(topic, "delta", {"symbol": now["symbol"], **changed}, market)
        self._hub.publish(Message(name, data))

    def _ticker_frame(self, topic: str, kind: str, row: dict[str, Any], market: Market) -> bytes:
        stamp = self._clock.now_ns() // MS
        if self._infos[market.symbol].is_spot:
            return orjson.dumps({"topic": topic, "ts": stamp, "type": kind, "cs": sequence(market), "data": row})
        return orjson.dumps({"topic": topic, "type": kind, "data": row, "cs": sequence(market), "ts": stamp})

    def _kline(self, name: str, topic: str, market: Market, interval: str, now_ns: int) -> None:
        """The open bar each second; before it one that has just closed, with `confirm`."""
        span, instrument = INTERVALS[interval], self._infos[market.symbol]
        current = market.candles.latest(span, now_ns)
        if current is None:
            return
        before = self._open_klines.get(name)
        self._open_klines[name] = current.open_ns
        bars = [current]
        if before is not None and before != current.open_ns:
            until = current.open_ns - 1
            bars = [*market.candles.series(span, now_ns=now_ns, start_ns=before, end_ns=until, limit=10), current]
        for bar in bars:
            row = render_market.kline_event(bar, interval, instrument, now_ns)
            frame = {"topic": topic, "data": [row], "ts": now_ns // MS, "type": "snapshot"}
            if instrument.is_spot:
                frame = {"type": "snapshot"} | frame
            self._hub.publish(Message(name, orjson.dumps(frame)))
