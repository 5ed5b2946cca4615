"""What recorded Binance frames mean: book, prints, and what subscribers get."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from tools.simulator.core import outside
from tools.simulator.core.clock import MS
from tools.simulator.core.hub import Message
from tools.simulator.core.market import AggTrade, Market
from tools.simulator.core.model import Trade

if TYPE_CHECKING:
    from tools.simulator.dialects.binance_common.venue import BinanceVenue

# The user's own fills in a replayed market are numbered far above the recorded trades, whose ids stay theirs.
OWN_TRADE_IDS = 9_000_000_000_000
_PREFIX = '{"stream":"'


class _Level(msgspec.Struct, array_like=True):
    """A row of a book; for years it had a third, empty element."""

    price: str
    qty: str


class _Depth(msgspec.Struct):
    U: int
    u: int
    s: str
    b: list[_Level]
    a: list[_Level]
    pu: int | None = None  # on Futures alone


class _Trade(msgspec.Struct):
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool
    X: str = "MARKET"  # on Futures alone: MARKET, or an execution outside the book


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
    bids: list[_Level]
    asks: list[_Level]


class BinanceReplay:
    """Implements `core.capture.ReplayCodec`.  A product says which diffs its book has, and what else it reads."""

    first_unknown: ClassVar[int]  # a diff is news where its last id is at least the book's plus this

    def __init__(self, venue: BinanceVenue) -> None:
        self._venue = venue
        self._exchange = venue.exchange
        self._depth = msgspec.json.Decoder(_Depth)
        self._trade = msgspec.json.Decoder(_Trade)
        self._aggregate = msgspec.json.Decoder(_AggTrade)
        self._snapshot = msgspec.json.Decoder(_Snapshot)
        self._with_trades: set[str] = set()
        self._opened: set[str] = set()

    def snapshots_taken(self) -> int:
        return sum(self._venue.snapshots.values())

    def open_book(self, symbol: str, raw: str) -> None:
        """The first recorded snapshot is the book from the start; earlier diffs are then simply too old."""
        snapshot = self._snapshot.decode(raw)
        market = self._exchange.markets[symbol]
        market.book.bids.clear_displayed()
        market.book.asks.clear_displayed()
        self._display(market, snapshot.bids, snapshot.asks)
        market.update_id = snapshot.lastUpdateId
        if symbol not in self._opened:  # a live market opens its books again after a break; its fills go on counting
            self._opened.add(symbol)
            market.start_trade_ids(OWN_TRADE_IDS)
        top = market.top()
        if not market.last_px and top.bid is not None:
            market.last_px = top.bid

    @staticmethod
    def _display(market: Market, bids: list[_Level], asks: list[_Level]) -> None:
        for side, levels in ((market.book.bids, bids), (market.book.asks, asks)):
            for level in levels:
                side.set_displayed(Decimal(level.price), Decimal(level.qty))

    def apply(self, raw: str, url: str = "") -> Message | None:
        """Keep the book, let users' orders trade, and hand the recorded text on as it is.

        A frame that is no stream message (an acknowledgement, say) is dropped.
        """
        if not raw.startswith(_PREFIX):
            return None
        end = raw.index('"', len(_PREFIX))
        stream = raw[len(_PREFIX) : end]
        data = raw[raw.index(":", end) + 1 : -1]
        kind = stream.partition("@")[2]
        ids: tuple[int, int] | None = None
        previous: int | None = None
        if kind.partition("@")[0] == "depth":  # not a partial book, nor one with retail orders
            ids, previous = self._apply_depth(data)
        elif kind == "trade":
            self._apply_trade(data)
        elif kind == "aggTrade":
            self._apply_aggregate(data)
        else:
            self._apply_other(kind, data)
        return Message(stream, data.encode(), raw.encode(), ids, previous)

    def _apply_other(self, kind: str, data: str) -> None:
        """Streams that one product alone has."""

    def _apply_depth(self, data: str) -> tuple[tuple[int, int], int | None]:
        """Change the book, unless it is newer already; the message's first and last update id, and the one before."""
        event = self._depth.decode(data)
        ids = (event.U, event.u), event.pu
        market = self._exchange.markets.get(event.s)
        if market is None or event.u < market.update_id + self.first_unknown:
            return ids
        self._display(market, event.b, event.a)
        market.update_id = event.u
        outside.recorded_book_moved(self._exchange, market)
        return ids

    def _apply_trade(self, data: str) -> None:
        event = self._trade.decode(data)
        if event.X == "MARKET":
            self._with_trades.add(event.s)
            self._record(event.s, event.t, event)

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
            self._record(event.s, event.l, event)

    def _record(self, symbol: str, trade_id: int, event: Any) -> None:
        market = self._exchange.markets.get(symbol)
        if market is None:
            return
        px, size = Decimal(event.p), Decimal(event.q)
        outside.recorded_trade(
            self._exchange,
            Trade(
                symbol=symbol,
                trade_id=trade_id,
                price=px,
                qty=size,
                quote_qty=market.spec.amount(px, size),
                time_ns=event.T * MS,
                buyer_is_maker=event.m,
            ),
        )
