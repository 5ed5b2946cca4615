"""Public channels (section 7): what the exchange and the clock make them say.

A stream of the hub is `<channel>:<instId>` (`books:BTC-USDT`, `candle1m:BTC-USDT-SWAP`), which is what public faults
match; a message is the whole frame with its `arg`. What a recording brings itself is passed on as it is, see `replay`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import orjson

from tools.simulator.core.clock import MS, SECOND, Clock
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.exchange import Listener
from tools.simulator.core.hub import Hub, Message
from tools.simulator.core.market import AggTrade, Market, Top
from tools.simulator.core.model import Side, Trade
from tools.simulator.dialects.okx import public_rows
from tools.simulator.dialects.okx.depth import CHANNELS, TICK_BY_TICK, Chain, best, rows
from tools.simulator.dialects.okx.instruments import OkxInstrument
from tools.simulator.dialects.okx.text import ms, plain

CANDLE = "candle"
SNAPSHOT_CHANNELS = ("bbo-tbt", "books5")
BY_INSTRUMENT = frozenset({
    *CHANNELS, *SNAPSHOT_CHANNELS, "tickers", "trades", "mark-price", "index-tickers", "funding-rate",
    "open-interest", "price-limit",
})  # fmt: skip
"""Channels of the public connection that are asked for by `instId`."""
BY_TYPE = frozenset({"instruments", "liquidation-orders", "status"})
"""Channels of the public connection that are not."""
BUSINESS = "trades-all"
SLOW = {"mark-price": 1, "index-tickers": 1, "price-limit": 1, "open-interest": 3, "funding-rate": 30}
"""Every so many seconds."""
LEVELS = {"bbo-tbt": 1, "books5": 5}


def stream_of(channel: str, inst_id: str) -> str:
    return f"{channel}:{inst_id}"


def frame(channel: str, inst_id: str, data: list[Any], **more: Any) -> bytes:
    """A push."""
    return orjson.dumps({"arg": {"channel": channel, "instId": inst_id}, **more, "data": data})


def bar_of(channel: str) -> str | None:
    """The bar of a candle channel; None for any other."""
    bar = channel.removeprefix(CANDLE)
    return bar if bar != channel and bar in public_rows.BARS else None


class PublicStreams(Listener):
    """Renders what somebody listens to."""

    def __init__(
        self, markets: dict[str, Market], instruments: Iterable[OkxInstrument], hub: Hub, clock: Clock
    ) -> None:
        self._markets = markets
        self._instruments = {one.inst_id: one for one in instruments}
        self._hub = hub
        self._clock = clock
        self._chains: dict[tuple[str, str], Chain] = {}
        self._tops: dict[str, Top] = {}
        self._fives: dict[str, tuple[Any, Any]] = {}
        self._tickers: dict[str, dict[str, Any]] = {}
        self._open_bars: dict[str, int] = {}
        self.funding_of: Callable[[str], Decimal] = lambda _: ZERO
        self.mark_of: Callable[[str], Decimal] = lambda inst_id: markets[inst_id].last_px
        self.interest_of: Callable[[str], Decimal] = lambda _: ZERO

    def begin(self) -> None:
        """Publish changes from here on. To be called when the books are open."""
        for market in self._markets.values():
            market.dirty.clear()

    # --------------------------------------------------------------------------- what the exchange says
    def on_trades(self, market: Market, trades: list[Trade], aggregates: list[AggTrade]) -> None:
        inst_id = market.symbol
        if self._hub.wanted(stream_of("trades", inst_id)):
            for aggregate in aggregates:
                self._send("trades", inst_id, [public_rows.aggregate(market, aggregate)])
        if self._hub.wanted(stream_of(BUSINESS, inst_id)):
            for trade in trades:
                self._send(BUSINESS, inst_id, [public_rows.trade(market, trade)])

    def on_book(self, market: Market) -> None:
        if not market.publishes_queue:
            return  # a recording speaks for itself
        self._collect(market)
        self.best_prices(market)
        for channel in TICK_BY_TICK:
            self._push_update(channel, market.symbol)

    def best_prices(self, market: Market, seq_id: int | None = None) -> None:
        """`bbo-tbt`, where it changed."""
        stream = stream_of("bbo-tbt", market.symbol)
        if not self._hub.wanted(stream):
            self._tops.pop(market.symbol, None)
            return
        top = market.top()
        if top != self._tops.get(market.symbol):
            self._tops[market.symbol] = top
            self._hub.publish(Message(stream, self._picture("bbo-tbt", market, seq_id)))

    def _picture(self, channel: str, market: Market, seq_id: int | None = None) -> bytes:
        levels = LEVELS[channel]
        row: dict[str, Any] = {
            "asks": rows(best(market, Side.SELL, levels)),
            "bids": rows(best(market, Side.BUY, levels)),
            "instId": market.spec.name,
            "ts": ms(self._clock.now_ns()),
            "seqId": market.update_id if seq_id is None else seq_id,
        }
        if channel == "bbo-tbt":
            del row["instId"]
        return frame(channel, market.spec.name, [row])

    # --------------------------------------------------------------------------------------- the chains
    def _collect(self, market: Market) -> None:
        """Hand what changed to every chain of this instrument."""
        if market.dirty:
            for channel in CHANNELS:
                chain = self._chains.get((channel, market.symbol))
                if chain is not None:
                    chain.note(market.dirty)
            market.dirty.clear()

    def _push_update(self, channel: str, inst_id: str) -> None:
        chain = self._chains.get((channel, inst_id))
        if chain is None:
            return
        stream = stream_of(channel, inst_id)
        if not self._hub.wanted(stream):
            del self._chains[channel, inst_id]
            return
        previous = chain.seq_id
        row = chain.update(self._clock.now_ns())
        if row is not None:
            body = frame(channel, inst_id, [row], action="update")
            ids = (previous, row["seqId"]) if row["seqId"] != previous else None
            self._hub.publish(Message(stream, body, ids=ids))

    def book_snapshot(self, channel: str, market: Market) -> bytes:
        """The picture for a new subscriber: first everybody is told what has changed, then he begins there.

        To be called when he is on the hub's list already, but does not listen yet.
        """
        self._collect(market)
        self._push_update(channel, market.symbol)
        chain = self._chains.get((channel, market.symbol))
        now = self._clock.now_ns()
        if chain is None:
            chain = self._chains[channel, market.symbol] = Chain(market, CHANNELS[channel], now)
        return frame(channel, market.spec.name, [chain.snapshot(now)], action="snapshot")

    # ------------------------------------------------------------------------------- what the clock does
    def tick(self, now_ns: int) -> None:
        """Every 100 ms: books and tickers; with every tenth the slower channels."""
        for market in self._markets.values():
            if not market.publishes_queue:
                continue
            self._collect(market)
            for channel in CHANNELS:
                self._push_update(channel, market.symbol)
            self.five_levels(market)
            self._ticker(market, now_ns)
        if now_ns % SECOND < 100 * MS:
            for stream in self._hub.streams():
                self._slow(stream, now_ns)

    def five_levels(self, market: Market) -> None:
        """`books5`, where it changed."""
        stream = stream_of("books5", market.symbol)
        if not self._hub.wanted(stream):
            return
        now = (market.depth(Side.BUY, 5), market.depth(Side.SELL, 5))
        if now != self._fives.get(market.symbol):
            self._fives[market.symbol] = now
            self._hub.publish(Message(stream, self._picture("books5", market)))

    def _ticker(self, market: Market, now_ns: int) -> None:
        if not self._hub.wanted(stream_of("tickers", market.symbol)):
            return
        row = public_rows.ticker(self._instruments[market.symbol], market, now_ns)
        before = self._tickers.get(market.symbol)
        if before is None or any(before[name] != value for name, value in row.items() if name != "ts"):
            self._tickers[market.symbol] = row
            self._send("tickers", market.symbol, [row])

    def _slow(self, stream: str, now_ns: int) -> None:
        channel, _, inst_id = stream.partition(":")
        if inst_id not in self._instruments:
            return
        every = SLOW.get(channel)
        if every is not None and (now_ns // SECOND) % every == 0:
            self._send(channel, inst_id, [self.slow_row(channel, inst_id, now_ns)])
        elif bar_of(channel) is not None:
            self._candle(channel, inst_id, now_ns)

    def slow_row(self, channel: str, inst_id: str, now_ns: int) -> dict[str, Any]:
        """The row of one of the `SLOW` channels."""
        instrument, market = self._instruments[inst_id], self._markets[inst_id]
        name = {"instType": instrument.inst_type, "instId": inst_id}
        if channel == "price-limit":
            return public_rows.price_limit(instrument, market, now_ns)
        if channel == "funding-rate":
            return public_rows.funding(instrument, now_ns, self.funding_of(inst_id))
        if channel == "open-interest":
            contracts = self.interest_of(inst_id)
            coins = contracts * instrument.contract_size
            money = coins * self.mark_of(inst_id)
            return {
                **name,
                "oi": plain(contracts),
                "oiCcy": plain(coins),
                "oiUsd": plain(money),
                "ts": ms(now_ns),
            }
        price = plain(self.mark_of(inst_id))
        if channel == "mark-price":
            return {**name, "markPx": price, "ts": ms(now_ns)}
        return {
            "instId": inst_id,
            "idxPx": price,
            "high24h": price,
            "low24h": price,
            "open24h": price,
            "sodUtc0": price,
            "sodUtc8": price,
            "ts": ms(now_ns),
        }

    def _candle(self, channel: str, inst_id: str, now_ns: int) -> None:
        """The bar that is open, every second; before it, one that has just closed."""
        bar = channel.removeprefix(CANDLE)
        market, instrument = self._markets[inst_id], self._instruments[inst_id]
        at_ns = market.time_ns(now_ns)
        found = public_rows.candles(market, bar, at_ns, start_ns=None, end_ns=None, limit=2)
        current = market.candles.latest(public_rows.BARS[bar], at_ns)
        if public_rows.bar_shift(bar) or current is None:
            current = found[-1] if found else None
        if current is None:
            return
        stream = stream_of(channel, inst_id)
        before = self._open_bars.get(stream)
        self._open_bars[stream] = current.open_ns
        for closed in found:
            if before is not None and before <= closed.open_ns < current.open_ns:
                self._send(channel, inst_id, [public_rows.candle_row(instrument, closed, at_ns)])
        self._send(channel, inst_id, [public_rows.candle_row(instrument, current, at_ns)])

    # --------------------------------------------------------------------------------------- first words
    def greeting(self, channel: str, inst_id: str) -> bytes | None:
        """What a new subscriber of a channel of whole pictures gets at once."""
        market, now = self._markets[inst_id], self._clock.now_ns()
        if channel == "tickers" and market.last_px:
            return frame(channel, inst_id, [public_rows.ticker(self._instruments[inst_id], market, now)])
        if channel in SNAPSHOT_CHANNELS:
            top = market.top()
            return None if top.bid is None and top.ask is None else self._picture(channel, market)
        if channel in SLOW:
            return frame(channel, inst_id, [self.slow_row(channel, inst_id, now)])
        bar = bar_of(channel)
        if bar is not None:
            at_ns = market.time_ns(now)
            found = public_rows.candles(market, bar, at_ns, start_ns=None, end_ns=None, limit=1)
            if found:
                return frame(channel, inst_id, [public_rows.candle_row(self._instruments[inst_id], found[-1], at_ns)])
        return None

    def _send(self, channel: str, inst_id: str, data: list[Any]) -> None:
        self._hub.publish(Message(stream_of(channel, inst_id), frame(channel, inst_id, data)))
