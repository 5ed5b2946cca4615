"""A small market-maker: one bid and one ask around the middle of a proven book, leaning against its inventory.

It is shipped to keep the order path busy and honest, not to get rich: it quotes, requotes when the market moves, is
filled, leans, and pulls its quotes the moment the book is not proven.  At most one order a side and symbol is live, or
two of which one replaces the other.  A quote of which nothing is filled is moved in one request where the venue can
(`replace`), and taken away when it may not move; else a side is requoted by canceling first and placing only when the
venue has confirmed.  Either way its outstanding size is bounded by construction.  It never crosses the book (prices are
clamped to the passive side of the other best price, and orders are post-only) nor its own orders.

The inventory is signed: on spot a negative one is what was sold out of the account's own stock.
"""

from __future__ import annotations

from decimal import Decimal

import attrs

from actors.strategy.base import ZERO, OwnOrder, Strategy
from protocols.enums import CxlRejResponseTo, Side, TradingState
from protocols.ids import ClOrdID, Symbol
from protocols.instruments import Instrument
from protocols.market import Quote
from protocols.orders import CancelRejected, ExecutionReport, OrderRefused

MILLISECOND_NS = 1_000_000
BPS = Decimal(10_000)


@attrs.frozen(kw_only=True)
class MarketMakerParams:
    """`[strategies.<name>.params]` of kind `market-maker`; amounts are text in quotes."""

    order_notional: Decimal = Decimal(100)
    """Quote units of one order."""
    half_spread_bps: Decimal = Decimal(5)
    """Distance of each quote from the (leaned) middle, in hundredths of a percent."""
    max_position_notional: Decimal = Decimal(1_000)
    """Quote units of inventory, either side, at which the side that would add to it is not quoted any more."""
    lean: Decimal = Decimal(1)
    """At full inventory the middle is moved by this many half spreads."""
    requote_bps: Decimal = Decimal(1)
    """A quote this far from where it should be is replaced."""
    min_interval_ms: int = 200
    """Between two actions on one side of one symbol."""

    def __attrs_post_init__(self) -> None:
        """ValueError names what cannot be."""
        rules = (
            (self.order_notional > 0, "order_notional must be above 0"),
            (self.max_position_notional >= self.order_notional, "max_position_notional must cover one order_notional"),
            (0 < self.half_spread_bps < BPS, "half_spread_bps must be above 0 and below 10000"),
            (self.lean >= 0 and self.requote_bps >= 0, "lean and requote_bps must not be negative"),
            (self.min_interval_ms >= 0, "min_interval_ms must not be negative"),
        )
        broken = [text for holds, text in rules if not holds]
        if broken:
            raise ValueError("; ".join(broken))


class MarketMaker(Strategy):
    """Quotes both sides."""

    Params = MarketMakerParams
    params: MarketMakerParams

    def __init__(self, params: MarketMakerParams | None = None) -> None:
        super().__init__(params)
        self._acted_ns: dict[tuple[Symbol, Side], int] = {}
        self._waiting: set[Symbol] = set()
        """Symbols with a timer that will look again."""
        self._moving: dict[ClOrdID, ClOrdID] = {}
        """Orders that are to replace another, and which."""

    # ---- when to look ------------------------------------------------------------------------------------------

    def on_quote(self, quote: Quote) -> None:
        self._requote(quote.symbol)

    def on_execution(self, report: ExecutionReport) -> None:
        self._moving.pop(report.cl_ord_id, None)
        if report.ord_status.is_final:
            self._requote(report.symbol)

    def on_order_refused(self, refused: OrderRefused) -> None:
        """A quote that may not move must not stay where it is wrong, however long nothing new is let through."""
        old = self._moving.pop(refused.cl_ord_id, None)
        if old is not None:
            self.cancel(old)

    def on_cancel_rejected(self, rejected: CancelRejected) -> None:
        if rejected.response_to is CxlRejResponseTo.REPLACE:
            self.cancel(rejected.cl_ord_id)

    def on_resume(self, symbol: Symbol) -> None:
        self._requote(symbol)

    def on_timer(self, key: str) -> None:
        symbol = Symbol(key)
        self._waiting.discard(symbol)
        self._requote(symbol)

    def on_gap(self, symbol: Symbol, opened: bool) -> None:
        if opened:
            self.cancel_all(symbol)

    def on_state(self, state: TradingState) -> None:
        if state is not TradingState.ACTIVE:
            self.cancel_all()

    # ---- what to do --------------------------------------------------------------------------------------------

    def _requote(self, symbol: Symbol) -> None:
        quote = self.quote(symbol)
        if quote is None or not self.can_trade(symbol):
            return
        bids: list[OwnOrder] = []
        asks: list[OwnOrder] = []
        for order in self.open_orders(symbol):
            (bids if order.side is Side.BUY else asks).append(order)
        bid, ask = self._prices(symbol, quote)
        self._work(symbol, Side.BUY, bid, bids, asks, quote)
        self._work(symbol, Side.SELL, ask, asks, bids, quote)

    def _prices(self, symbol: Symbol, quote: Quote) -> tuple[Decimal, Decimal]:
        """Where the quotes belong: passive, on the price grid, at least one step apart, never through the book."""
        instrument, mid = self.instrument(symbol), quote.mid
        half = mid * self.params.half_spread_bps / BPS
        centre = mid - self._fullness(symbol, mid) * self.params.lean * half
        step = instrument.price_step(mid)
        bid = instrument.round_price(min(centre - half, quote.ask_px - step), Side.BUY)
        ask = instrument.round_price(max(centre + half, quote.bid_px + step), Side.SELL)
        return bid, max(ask, bid + step)

    def _fullness(self, symbol: Symbol, mid: Decimal) -> Decimal:
        """Inventory as a part of what is allowed, from -1 to 1."""
        value = self.position(symbol).qty * mid / self.params.max_position_notional
        return max(Decimal(-1), min(Decimal(1), value))

    def _work(
        self,
        symbol: Symbol,
        side: Side,
        price: Decimal,
        mine: list[OwnOrder],
        others: list[OwnOrder],
        quote: Quote,
    ) -> None:
        """Bring one side to `price`: leave it, move or cancel what is misplaced, or place when nothing is live."""
        if mine:
            if any(order.replacing for order in mine):
                return
            wrong = [order for order in mine if self._misplaced(order, price, quote) or len(mine) > 1]
            if not any(not order.canceling for order in wrong) or not self._may_act(symbol, side):
                return
            if len(mine) > 1 or not self._moved(mine[0], price, others, quote):
                for order in wrong:
                    self.cancel(order.cl_ord_id)
            return
        qty = self._quantity(symbol, side, price, quote.mid)
        if qty <= 0 or any(_would_cross(side, price, order) for order in others):
            return
        if self._may_act(symbol, side):
            self.limit(symbol, side, qty, price, post_only=True)

    def _moved(self, order: OwnOrder, price: Decimal, others: list[OwnOrder], quote: Quote) -> bool:
        """Whether the quote is on its way to `price` in one request."""
        qty = self._quantity(order.symbol, order.side, price, quote.mid)
        if order.cum_qty or qty <= 0 or any(_would_cross(order.side, price, other) for other in others):
            return False
        new = self.replace(order.cl_ord_id, qty=qty, price=price)
        if new is not None and new != order.cl_ord_id:
            self._moving[new] = order.cl_ord_id
        return new is not None

    def _misplaced(self, order: OwnOrder, price: Decimal, quote: Quote) -> bool:
        if order.price is None:
            return True
        return abs(order.price - price) * BPS > self.params.requote_bps * quote.mid

    def _quantity(self, symbol: Symbol, side: Side, price: Decimal, mid: Decimal) -> Decimal:
        """Size of a new order; 0 when the inventory would grow beyond its bound or no legal size exists."""
        instrument = self.instrument(symbol)
        held = self.position(symbol).qty * side.sign * mid * instrument.contract_size
        if held + self.params.order_notional > self.params.max_position_notional:
            return ZERO
        return _legal(
            instrument, instrument.round_qty(self.params.order_notional / (price * instrument.contract_size)), price
        )

    def _may_act(self, symbol: Symbol, side: Side) -> bool:
        """True when the side's interval has passed; else a timer looks again."""
        now_ns, key = self.now_ns, (symbol, side)
        left_ns = self._acted_ns.get(key, 0) + self.params.min_interval_ms * MILLISECOND_NS - now_ns
        if left_ns <= 0:
            self._acted_ns[key] = now_ns
            return True
        if symbol not in self._waiting:
            self._waiting.add(symbol)
            self.timer(left_ns, symbol)
        return False


def _would_cross(side: Side, price: Decimal, order: OwnOrder) -> bool:
    """Whether an order at `price` would trade with one of our own."""
    if order.price is None:
        return True
    return price >= order.price if side is Side.BUY else price <= order.price


def _legal(instrument: Instrument, qty: Decimal, price: Decimal) -> Decimal:
    """`qty` within the venue's bounds, or 0."""
    if instrument.max_qty and qty > instrument.max_qty:
        qty = instrument.round_qty(instrument.max_qty)
    return qty if qty >= instrument.min_qty else ZERO
