"""Public streams (section 6): what the exchange and the clock make them say.

| stream | is told |
| --- | --- |
| `trade:KRW-BTC` | at once |
| `ticker:KRW-BTC`, `orderbook:KRW-BTC` | on the grid of 100 ms, when something happened |
| `orderbook:KRW-BTC@10000` | the same, prices grouped |
| `candle.1m:KRW-BTC` | every second in which somebody traded; the bar is told again and again, and never closed |

A message of a book is always the whole picture. Streams of a recorded market come from the recording, but for candles.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tools.simulator.core.clock import MS, SECOND, Clock
from tools.simulator.core.exchange import Listener
from tools.simulator.core.hub import Hub
from tools.simulator.core.market import AggTrade, Market
from tools.simulator.core.model import Trade
from tools.simulator.dialects.upbit import render
from tools.simulator.dialects.upbit.render import STREAM_CANDLES, Print, Sequence, Statistics
from tools.simulator.dialects.upbit.words import UpbitMessage

TYPES = ("ticker", "trade", "orderbook")
CANDLE = "candle."


class PublicStreams(Listener):
    """Renders public messages for streams that somebody listens to."""

    def __init__(
        self,
        markets: dict[str, Market],
        hub: Hub,
        clock: Clock,
        prints: defaultdict[str, deque[Print]],
        statistics: Callable[[str], Statistics],
    ) -> None:
        self._markets = markets
        self._hub = hub
        self._clock = clock
        self._prints = prints
        self._statistics = statistics
        self._sequence = Sequence()
        self._traded: set[str] = set()  # since the last tick
        self._traded_second: set[str] = set()  # since the last second
        self._recorded: dict[str, UpbitMessage] = {}  # the last of each stream of a recording

    def begin(self) -> None:
        """Publish changes from here on."""
        for market in self._markets.values():
            market.dirty.clear()

    # --------------------------------------------------------------------------- what the exchange says
    def on_trades(self, market: Market, trades: list[Trade], aggregates: list[AggTrade]) -> None:
        code = market.symbol
        close = self._statistics(code).previous_close(market.time_ns(self._clock.now_ns()))
        wanted = self._hub.wanted(f"trade:{code}")
        for trade in trades:
            one = Print(trade=trade, sequential_id=self._sequence.next(code, trade.time_ns), previous_close=close)
            self._prints[code].append(one)
            if wanted:
                self._send(f"trade:{code}", render.trade_event(one, market, self._clock.now_ns(), "REALTIME"))
        self._note(code)

    def _note(self, code: str) -> None:
        self._traded.add(code)
        self._traded_second.add(code)

    def recorded_trade(self, trade: Trade, sequential_id: int, previous_close: Decimal) -> None:
        """A print of a recording, which publishes it itself."""
        self._prints[trade.symbol].append(
            Print(trade=trade, sequential_id=sequential_id, previous_close=previous_close)
        )
        self._note(trade.symbol)

    def recorded(self, message: UpbitMessage) -> None:
        """Remember the last message of a recorded stream: who subscribes later begins with it."""
        self._recorded[message.stream] = message

    # ------------------------------------------------------------------------------- what the clock does
    def tick(self, now_ns: int) -> None:
        """Every 100 ms; with every tenth the candles."""
        books = {code for code, market in self._markets.items() if market.dirty}
        streams = self._hub.streams()
        for stream in streams:
            kind, _, rest = stream.partition(":")
            code, _, level = rest.partition("@")
            market = self._markets.get(code)
            if market is None or not market.publishes_queue:
                continue
            if kind == "orderbook" and code in books:
                self._send(stream, self._book(market, Decimal(level or 0), "REALTIME"))
            elif kind == "ticker" and code in self._traded:
                self._send(stream, self._statistics(code).event(now_ns, "REALTIME"))
        for code in books:
            self._markets[code].dirty.clear()
        self._traded.clear()
        if now_ns % SECOND < 100 * MS:
            self._candles(streams)

    def _candles(self, streams: list[str]) -> None:
        for stream in streams:
            kind, _, code = stream.partition(":")
            if kind.startswith(CANDLE) and code in self._traded_second:
                event = self._candle(kind, self._markets[code], "REALTIME")
                if event is not None:
                    self._send(stream, event)
        self._traded_second.clear()

    # --------------------------------------------------------------------------------- what they say
    def snapshot(self, stream: str) -> UpbitMessage | None:
        """How a subscription begins; None where nothing is known."""
        recorded = self._recorded.get(stream)
        if recorded is not None:
            return UpbitMessage(stream, recorded.event | {"stream_type": "SNAPSHOT"})
        kind, _, rest = stream.partition(":")
        code, _, level = rest.partition("@")
        market = self._markets[code]
        if kind.startswith(CANDLE):
            event = self._candle(kind, market, "SNAPSHOT")
        elif not market.publishes_queue:
            return None  # the recording has not spoken of it yet
        elif kind == "ticker":
            event = self._statistics(code).event(self._clock.now_ns(), "SNAPSHOT")
        elif kind == "orderbook":
            event = self._book(market, Decimal(level or 0), "SNAPSHOT")
        else:
            last = self._prints[code][-1] if self._prints[code] else None
            event = None if last is None else render.trade_event(last, market, self._clock.now_ns(), "SNAPSHOT")
        return None if event is None else UpbitMessage(stream, event)

    def _book(self, market: Market, level: Decimal, stream_type: str) -> dict[str, Any]:
        picture = render.book(market, self._clock.now_ns(), level)
        return {"type": "orderbook", "code": market.symbol, **picture, "stream_type": stream_type}

    def _candle(self, kind: str, market: Market, stream_type: str) -> dict[str, Any] | None:
        interval_ns = STREAM_CANDLES[kind.removeprefix(CANDLE)]
        now_ns = market.time_ns(self._clock.now_ns())
        found = render.bars(market.candles, render.start_of(interval_ns), now_ns + 1, seconds=interval_ns == SECOND)
        bar = next(found, None)
        if bar is None:
            return None
        last_ns = market.trades[-1].time_ns if market.trades else bar.open_ns
        fields = render.candle_fields(bar, last_ns)
        return {"type": kind, "code": market.symbol, **fields, "stream_type": stream_type}

    def _send(self, stream: str, event: dict[str, Any]) -> None:
        self._hub.publish(UpbitMessage(stream, event))
