"""One symbol's public state: book, prints, counters, candles.

The exchange changes it; market sources feed it; dialects read it and publish what became dirty. A market either
publishes the queue of its book (generated market: user orders are part of what the public sees) or leaves the
public picture to a recording (`publishes_queue` false: user orders are invisible and only take and give).
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING

import attrs

from tools.simulator.core.book import Book, Level
from tools.simulator.core.candles import CandleStore
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.model import Order, PriceKind, Side, SymbolSpec, Trade

if TYPE_CHECKING:
    from tools.simulator.core.algos import Algo

_COUNTERS = (
    "update_id",
    "_next_order_id",
    "_next_trade_id",
    "_next_exec_id",
    "_next_agg_id",
    "_next_prevented_id",
)
TRADES_KEPT = 5_000  # enough for the largest public query of every dialect


@attrs.frozen(slots=True, kw_only=True)
class AggTrade:
    """Fills of one taker at one price, printed as one."""

    agg_id: int
    price: Decimal
    qty: Decimal
    first_id: int
    last_id: int
    time_ns: int
    buyer_is_maker: bool


@attrs.frozen(slots=True)
class Top:
    """Best bid and ask with their shown quantities; None for an empty side."""

    bid: Decimal | None
    bid_qty: Decimal
    ask: Decimal | None
    ask_qty: Decimal


class Market:
    """Everything public about one symbol, and the orders waiting for its price."""

    def __init__(self, spec: SymbolSpec, *, publishes_queue: bool = True, first_id: int = 1) -> None:
        self.spec = spec
        self.symbol = spec.symbol
        self._first_id = first_id
        self.publishes_queue = publishes_queue
        self.book = Book()
        self.last_px = ZERO
        self.update_id = first_id
        self.dirty: set[tuple[Side, Decimal]] = set()
        self.trades: deque[Trade] = deque(maxlen=TRADES_KEPT)
        self.agg_trades: deque[AggTrade] = deque(maxlen=TRADES_KEPT)
        self.candles = CandleStore()
        self.stops: dict[int, Order] = {}  # conditional orders that wait for their trigger, by order id
        self.open_orders: dict[int, Order] = {}
        self.algos: dict[int, Algo] = {}  # conditional orders of venues that keep them apart, that wait
        self.paths: dict[PriceKind, list[Decimal]] = {kind: [] for kind in PriceKind}  # since triggers were looked at
        self.index_px = ZERO  # of a linear market, as the next four
        self.funding_rate = Decimal("0.0001")
        self.next_funding_ns = 0
        self.mark_pinned = False  # given by a recording or by hand
        self._mark_px = ZERO
        self._next_order_id = first_id
        self._next_trade_id = first_id
        self._next_exec_id = first_id
        self._next_agg_id = first_id
        self._next_prevented_id = 1

    # ------------------------------------------------------------------------------------- counters
    def next_order_id(self) -> int:
        """Order ids are unique within the symbol only, as on the venues that number this way."""
        self._next_order_id += 1
        return self._next_order_id

    def next_trade_id(self) -> int:
        self._next_trade_id += 1
        return self._next_trade_id

    def start_trade_ids(self, first: int) -> None:
        """A replayed market keeps the recording's trade ids apart from those of the user's own fills.

        Those of an earlier run are not given again: where the numbers began then is below where they begin now.
        """
        self._next_trade_id = max(self._next_trade_id, first + self._first_id - 1)

    def next_exec_id(self) -> int:
        self._next_exec_id += 1
        return self._next_exec_id

    @property
    def last_exec_id(self) -> int:
        return self._next_exec_id

    def next_prevented_id(self) -> int:
        self._next_prevented_id += 1
        return self._next_prevented_id

    def numbers(self) -> dict[str, int]:
        """All counters, by name."""
        return {name: getattr(self, name) for name in _COUNTERS}

    def go_on_from(self, numbers: dict[str, int]) -> None:
        """No number that is not above these is given any more.  Raises KeyError for a counter that is missing."""
        for name in _COUNTERS:
            setattr(self, name, max(getattr(self, name), numbers[name]))

    # ----------------------------------------------------------------------------------------- book
    def touch(self, side: Side, price: Decimal) -> None:
        """The shown quantity at a price changed: one more update id, one more dirty level."""
        if self.publishes_queue:
            self.update_id += 1
            self.dirty.add((side, price))

    def shown_qty(self, level: Level) -> Decimal:
        return level.shown if self.publishes_queue else level.displayed

    def shown_at(self, side: Side, price: Decimal) -> Decimal:
        """What the public book shows at a price now; zero where there is no level."""
        level = (self.book.bids if side is Side.BUY else self.book.asks).get(price)
        return ZERO if level is None else self.shown_qty(level)

    def depth(self, side: Side, limit: int) -> list[tuple[Decimal, Decimal]]:
        """The best `limit` levels of the public book."""
        levels: list[tuple[Decimal, Decimal]] = []
        for level in self.book.bids if side is Side.BUY else self.book.asks:
            qty = self.shown_qty(level)
            if qty > 0:
                levels.append((level.price, qty))
                if len(levels) >= limit:
                    break
        return levels

    def top(self) -> Top:
        """Best bid and ask as the public sees them."""
        bids, asks = self.depth(Side.BUY, 1), self.depth(Side.SELL, 1)
        return Top(
            bids[0][0] if bids else None,
            bids[0][1] if bids else ZERO,
            asks[0][0] if asks else None,
            asks[0][1] if asks else ZERO,
        )

    # --------------------------------------------------------------------------------------- prints
    def time_ns(self, now_ns: int) -> int:
        """The time that candles and statistics are told for: a recording has a time of its own."""
        if self.publishes_queue or not self.trades:
            return now_ns
        return self.trades[-1].time_ns

    def record_trade(self, trade: Trade) -> None:
        """Keep a public print, move the last price and the candles."""
        self.trades.append(trade)
        self.last_px = trade.price
        self.candles.add(trade)

    def note_price(self, price: Decimal, kind: PriceKind = PriceKind.LAST) -> None:
        """A price that waiting orders must look at when the action ends."""
        if self.stops or self.algos:
            self.paths[kind].append(price)

    @property
    def mark_px(self) -> Decimal:
        """What positions are valued at: the mark price, before there is one the last price."""
        return self._mark_px or self.last_px

    def move_mark(self, price: Decimal) -> bool:
        """The mark price is this now; False where it was already."""
        if price == self._mark_px or price <= 0:
            return False
        self._mark_px = price
        if not self.mark_pinned or not self.index_px:
            self.index_px = price
        self.note_price(price, PriceKind.MARK)
        self.note_price(self.index_px, PriceKind.INDEX)
        return True

    def fair_px(self) -> Decimal:
        """The middle one of best bid, best ask and last price: no single print moves it far."""
        top = self.top()
        prices = sorted(price for price in (top.bid, top.ask, self.last_px or None) if price is not None)
        return prices[len(prices) // 2] if prices else ZERO

    def price_of(self, kind: PriceKind) -> Decimal:
        """Zero where there is none yet."""
        if kind is PriceKind.LAST:
            return self.last_px
        return self.mark_px if kind is PriceKind.MARK else self.index_px or self.mark_px

    def aggregate(self, trades: list[Trade]) -> list[AggTrade]:
        """Group one taker's consecutive prints of one price, remember and return them."""
        result: list[AggTrade] = []
        start = 0
        for end in range(1, len(trades) + 1):
            if end < len(trades) and trades[end].price == trades[start].price:
                continue
            group = trades[start:end]
            self._next_agg_id += 1
            result.append(
                AggTrade(
                    agg_id=self._next_agg_id,
                    price=group[0].price,
                    qty=sum((trade.qty for trade in group), ZERO),
                    first_id=group[0].trade_id,
                    last_id=group[-1].trade_id,
                    time_ns=group[-1].time_ns,
                    buyer_is_maker=group[0].buyer_is_maker,
                )
            )
            start = end
        self.agg_trades.extend(result)
        return result
