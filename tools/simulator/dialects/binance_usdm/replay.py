"""What recorded USDT-M frames mean: book, prints, marks, and what subscribers get."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from tools.simulator.core import contracts, outside
from tools.simulator.core.clock import MS
from tools.simulator.core.hub import Message
from tools.simulator.core.market import AggTrade
from tools.simulator.core.model import Trade

if TYPE_CHECKING:
    from tools.simulator.dialects.binance_usdm.venue import BinanceUsdm

# The user's own fills in a replayed market are numbered far above the recorded trades, whose ids stay theirs.
OWN_TRADE_IDS = 9_000_000_000_000
_PARTIAL = ("depth5", "depth10", "depth20")


class _Snapshot(msgspec.Struct):
    lastUpdateId: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class _Depth(msgspec.Struct):
    U: int
    u: int
    pu: int
    s: str
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]


class _Trade(msgspec.Struct):
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


class _Aggregate(msgspec.Struct):
    s: str
    a: int
    p: str
    q: str
    f: int
    l: int  # noqa: E741  the venue's name
    T: int
    m: bool


class _Mark(msgspec.Struct):
    s: str
    p: str
    i: str
    r: str = "0"


class UsdmReplay:
    """Keeps a replayed market's book and prints."""

    def __init__(self, venue: BinanceUsdm) -> None:
        self._venue = venue
        self._exchange = venue.exchange
        self._depth = msgspec.json.Decoder(_Depth)
        self._trade = msgspec.json.Decoder(_Trade)
        self._aggregate = msgspec.json.Decoder(_Aggregate)
        self._with_trades: set[str] = set()
        self._opened: set[str] = set()

    def snapshots_taken(self) -> int:
        return sum(self._venue.snapshots.values())

    def open_book(self, symbol: str, raw: str) -> None:
        """Start the book from a recorded depth snapshot."""
        market = self._exchange.markets[symbol]
        found = msgspec.json.decode(raw, type=_Snapshot)
        market.book.bids.clear_displayed()
        market.book.asks.clear_displayed()
        for side, levels in ((market.book.bids, found.bids), (market.book.asks, found.asks)):
            for price, qty in levels:
                side.set_displayed(Decimal(price), Decimal(qty))
        market.update_id = found.lastUpdateId
        if symbol not in self._opened:  # a live market opens its books again after a break; its fills go on counting
            self._opened.add(symbol)
            market.start_trade_ids(OWN_TRADE_IDS)
        top = market.top()
        if not market.last_px and top.bid is not None:
            market.last_px = top.bid

    def apply(self, raw: str, url: str = "") -> Message | None:
        """Keep the book, let users' orders trade, and hand the recorded text on as it is."""
        if not raw.startswith('{"stream":"'):
            return None
        end = raw.index('"', 11)
        stream = raw[11:end]
        data = raw[raw.index(":", end) + 1 : -1]
        kind = stream.partition("@")[2]
        ids: tuple[int, int] | None = None
        previous: int | None = None
        if kind.partition("@")[0] == "depth":
            ids, previous = self._apply_depth(data)
        elif kind == "trade":
            self._apply_trade(data)
        elif kind == "aggTrade":
            self._apply_aggregate(data)
        elif kind.startswith("markPrice"):
            self._apply_mark(data)
        return Message(stream, data.encode(), raw.encode(), ids, previous)

    def _apply_depth(self, data: str) -> tuple[tuple[int, int], int]:
        """Change the book, unless it is newer already; the message's first and last update id, and the one before."""
        event = self._depth.decode(data)
        ids = (event.U, event.u), event.pu
        market = self._exchange.markets.get(event.s)
        if market is None or event.u < market.update_id:
            return ids
        for side, levels in ((market.book.bids, event.b), (market.book.asks, event.a)):
            for price, qty in levels:
                side.set_displayed(Decimal(price), Decimal(qty))
        market.update_id = event.u
        outside.recorded_book_moved(self._exchange, market)
        return ids

    def _apply_trade(self, data: str) -> None:
        event = self._trade.decode(data)
        self._with_trades.add(event.s)
        self._record(event.s, event.t, event.p, event.q, event.T, event.m)

    def _apply_aggregate(self, data: str) -> None:
        event = self._aggregate.decode(data)
        market = self._exchange.markets.get(event.s)
        if market is None:
            return
        market.agg_trades.append(
            AggTrade(
                agg_id=event.a,
                price=Decimal(event.p),
                qty=Decimal(event.q),
                first_id=event.f,
                last_id=event.l,
                time_ns=event.T * MS,
                buyer_is_maker=event.m,
            )
        )
        if event.s not in self._with_trades:  # where both are recorded, each print must count once
            self._record(event.s, event.l, event.p, event.q, event.T, event.m)

    def _apply_mark(self, data: str) -> None:
        rows = json.loads(data)
        for event in msgspec.convert(rows if isinstance(rows, list) else [rows], list[_Mark]):
            if event.s in self._exchange.markets:
                self._exchange.markets[event.s].funding_rate = Decimal(event.r or "0")
                contracts.pin_mark(self._exchange, event.s, Decimal(event.p), Decimal(event.i))

    def _record(self, symbol: str, trade_id: int, price: str, qty: str, time_ms: int, maker: bool) -> None:
        market = self._exchange.markets.get(symbol)
        if market is None:
            return
        px, size = Decimal(price), Decimal(qty)
        outside.recorded_trade(
            self._exchange,
            Trade(
                symbol=symbol,
                trade_id=trade_id,
                price=px,
                qty=size,
                quote_qty=market.spec.amount(px, size),
                time_ns=time_ms * MS,
                buyer_is_maker=maker,
            ),
        )
