"""What recorded Binance Spot frames mean: book, prints, and what subscribers get."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from tools.simulator.core import outside
from tools.simulator.core.clock import MS
from tools.simulator.core.decimals import quote_floor
from tools.simulator.core.exchange import Exchange
from tools.simulator.core.hub import Message
from tools.simulator.core.market import AggTrade
from tools.simulator.core.model import Trade

if TYPE_CHECKING:
    from tools.simulator.dialects.binance_spot.venue import BinanceSpot

# The user's own fills in a replayed market are numbered far above the recorded trades, whose ids stay theirs.
OWN_TRADE_IDS = 9_000_000_000_000


class _Depth(msgspec.Struct):
    U: int
    u: int
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


class _AggTrade(msgspec.Struct):
    s: str
    a: int
    p: str
    q: str
    f: int
    l: int  # noqa: E741  the venue's own name
    T: int
    m: bool


class _Snapshot(msgspec.Struct):
    lastUpdateId: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class SpotReplay:
    """Implements `core.capture.ReplayCodec` for this venue."""

    def __init__(self, venue: BinanceSpot) -> None:
        self._venue = venue
        self._exchange: Exchange = venue.exchange
        self._depth = msgspec.json.Decoder(_Depth)
        self._trade = msgspec.json.Decoder(_Trade)
        self._aggregate = msgspec.json.Decoder(_AggTrade)
        self._snapshot = msgspec.json.Decoder(_Snapshot)
        self._streams: dict[str, str] = {}  # recorded stream name -> kind
        self._with_trades: set[str] = set()
        self._opened: set[str] = set()

    def snapshots_taken(self) -> int:
        return sum(self._venue.snapshots.values())

    def open_book(self, symbol: str, raw: str) -> None:
        """The first recorded snapshot is the book from the start; earlier diffs are then simply too old."""
        snapshot = self._snapshot.decode(raw)
        market = self._exchange.markets[symbol]
        for side, levels in ((market.book.bids, snapshot.bids), (market.book.asks, snapshot.asks)):
            side.clear_displayed()
            for price, qty in levels:
                side.set_displayed(Decimal(price), Decimal(qty))
        market.update_id = snapshot.lastUpdateId
        if symbol not in self._opened:  # a live market opens its books again after a break; its fills go on counting
            self._opened.add(symbol)
            market.start_trade_ids(OWN_TRADE_IDS)
        top = market.top()
        if not market.last_px and top.bid is not None:
            market.last_px = top.bid

    def apply(self, raw: str, url: str = "") -> Message | None:
        """Keep the book, let users' orders trade, and hand the recorded text on as it is.

        A frame that is no stream message (an acknowledgement, say) is dropped.
        """
        if not raw.startswith('{"stream":"'):
            return None
        end = raw.index('"', 11)
        stream = raw[11:end]
        data = raw[raw.index(":", end) + 1 : -1]
        kind = stream.partition("@")[2]
        ids: tuple[int, int] | None = None
        if kind.startswith("depth"):
            ids = self._apply_depth(data)
        elif kind == "trade":
            self._apply_trade(data)
        elif kind == "aggTrade":
            self._apply_aggregate(data)
        return Message(stream, data.encode(), raw.encode(), ids)

    def _apply_depth(self, data: str) -> tuple[int, int]:
        """Change the book, unless it is newer already; the message's first and last update id."""
        event = self._depth.decode(data)
        ids = (event.U, event.u)
        market = self._exchange.markets.get(event.s)
        if market is None or event.u <= market.update_id:
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
        price, qty = Decimal(event.p), Decimal(event.q)
        market.agg_trades.append(
            AggTrade(
                agg_id=event.a,
                price=price,
                qty=qty,
                first_id=event.f,
                last_id=event.l,
                time_ns=event.T * MS,
                buyer_is_maker=event.m,
            )
        )
        if event.s not in self._with_trades:  # where both are recorded, each print must count once
            self._record(event.s, event.l, event.p, event.q, event.T, event.m)

    def _record(self, symbol: str, trade_id: int, price: str, qty: str, time_ms: int, maker: bool) -> None:
        if symbol not in self._exchange.markets:
            return
        px, size = Decimal(price), Decimal(qty)
        outside.recorded_trade(
            self._exchange,
            Trade(
                symbol=symbol,
                trade_id=trade_id,
                price=px,
                qty=size,
                quote_qty=quote_floor(px, size),
                time_ns=time_ms * MS,
                buyer_is_maker=maker,
            ),
        )
