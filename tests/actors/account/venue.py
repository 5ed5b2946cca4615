"""A venue in fifty facts: orders, fills, balances, and the reports that it makes of them.

Pure and synchronous.  Nothing here delivers anything: the world around it decides what arrives, when, how often.
Own trades and balances are what the account under test is compared with in the end.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs

from protocols.enums import ExecType, OrdStatus, OrdType, Side
from protocols.ids import AccountID, ClOrdID, OrderID, StrategyID, Symbol, TradeID, Venue
from protocols.orders import ExecutionReport, NewOrder
from protocols.positions import Balance

ACCOUNT = AccountID("main")
VENUE = Venue("sim")
SYMBOL = Symbol("BTCUSDT")
ZERO = Decimal(0)
MS = 1_000_000


@attrs.define
class VenueOrder:
    """One order as the venue has it."""

    cl_ord_id: ClOrdID
    order_id: OrderID
    symbol: Symbol
    side: Side
    order_qty: Decimal
    price: Decimal | None
    status: OrdStatus
    updated_ns: int
    fills: list[ExecutionReport] = attrs.field(factory=list)

    @property
    def cum_qty(self) -> Decimal:
        return sum((fill.last_qty for fill in self.fills), ZERO)

    @property
    def is_live(self) -> bool:
        return not self.status.is_final


class TinyVenue:
    """Its clock is a counter of ms: every change has a time of its own."""

    def __init__(self, start_ns: int, base: Decimal = Decimal(10), quote: Decimal = Decimal(1_000_000)) -> None:
        self.now_ns = start_ns
        self.orders: dict[ClOrdID, VenueOrder] = {}
        self.trades: list[ExecutionReport] = []
        self.base, self.quote = base, quote
        self.placed: list[ClOrdID] = []
        self._number = 0

    def _tick(self) -> int:
        self.now_ns += MS
        return self.now_ns

    def _next(self) -> str:
        self._number += 1
        return str(self._number)

    def report(self, order: VenueOrder, exec_type: ExecType, **more: Any) -> ExecutionReport:
        """The order as it is now, as the stream or a query would say it: without our strategy's name."""
        report = ExecutionReport(
            order.cl_ord_id,
            order.order_id,
            ACCOUNT,
            StrategyID(""),
            VENUE,
            order.symbol,
            order.side,
            exec_type,
            order.status,
            order.order_qty,
            order.cum_qty,
            order.updated_ns,
            order.updated_ns + MS,
            OrdType.LIMIT,
            order.price,
        )
        return attrs.evolve(report, **more) if more else report

    def place(self, order: NewOrder) -> ExecutionReport:
        """A new order arrives and works from now on."""
        assert order.cl_ord_id not in self.orders, f"{order.cl_ord_id} was sent twice"
        self.placed.append(order.cl_ord_id)
        return self.place_by_hand(order.cl_ord_id, order.side, order.order_qty, order.price, order.symbol)

    def place_by_hand(
        self, cl_ord_id: str, side: Side, qty: Decimal, price: Decimal | None, symbol: Symbol = SYMBOL
    ) -> ExecutionReport:
        """An order of the owner's own."""
        placed = VenueOrder(
            ClOrdID(cl_ord_id), OrderID(self._next()), symbol, side, qty, price, OrdStatus.NEW, self._tick()
        )
        self.orders[placed.cl_ord_id] = placed
        return self.report(placed, ExecType.NEW)

    def fill(
        self, cl_ord_id: str, qty: Decimal, px: Decimal, fee: Decimal = ZERO, fee_asset: str = ""
    ) -> ExecutionReport:
        """A trade."""
        order = self.orders[ClOrdID(cl_ord_id)]
        assert order.is_live, "the venue fills live orders only"
        order.updated_ns = self._tick()
        cum_qty = order.cum_qty + qty
        order.status = OrdStatus.FILLED if cum_qty >= order.order_qty else OrdStatus.PARTIALLY_FILLED
        trade = self.report(
            order,
            ExecType.TRADE,
            cum_qty=cum_qty,
            last_qty=qty,
            last_px=px,
            trade_id=TradeID(self._next()),
            fee=fee,
            fee_asset=fee_asset,
        )
        order.fills.append(trade)
        self.trades.append(trade)
        self.base += order.side.sign * qty
        self.quote -= order.side.sign * qty * px
        self.base -= fee if fee_asset == "BTC" else ZERO
        self.quote -= fee if fee_asset == "USDT" else ZERO
        return trade

    def cancel(self, cl_ord_id: str) -> ExecutionReport | None:
        """The end of a live order; None when it is not live (any more)."""
        return self._end(cl_ord_id, OrdStatus.CANCELED, ExecType.CANCELED)

    def expire(self, cl_ord_id: str) -> ExecutionReport | None:
        return self._end(cl_ord_id, OrdStatus.EXPIRED, ExecType.EXPIRED)

    def _end(self, cl_ord_id: str, status: OrdStatus, exec_type: ExecType) -> ExecutionReport | None:
        order = self.orders.get(ClOrdID(cl_ord_id))
        if order is None or not order.is_live:
            return None
        order.status, order.updated_ns = status, self._tick()
        return self.report(order, exec_type)

    def amend(self, cl_ord_id: str, qty: Decimal, price: Decimal | None = None) -> ExecutionReport | None:
        """Another total, or another price; None when that is not possible, or would change nothing."""
        order = self.orders.get(ClOrdID(cl_ord_id))
        if order is None or not order.is_live or not order.cum_qty < qty:
            return None
        price = order.price if price is None else price
        if (qty, price) == (order.order_qty, order.price):
            return None
        order.order_qty, order.price, order.updated_ns = qty, price, self._tick()
        return self.report(order, ExecType.REPLACED)

    def replace(self, cl_ord_id: str, new: NewOrder) -> tuple[ExecutionReport, ExecutionReport] | None:
        """One order in place of another; None when the old one cannot be canceled, and then nothing is made."""
        ended = self.cancel(cl_ord_id)
        return None if ended is None else (ended, self.place(new))

    def status(self, cl_ord_id: str, order_id: OrderID | None) -> ExecutionReport | None:
        """Answer of a query; None: not found."""
        order = self.orders.get(ClOrdID(cl_ord_id))
        if order is None:
            order = next((known for known in self.orders.values() if known.order_id == order_id), None)
        return self.report(order, ExecType.ORDER_STATUS) if order is not None else None

    def history(
        self, order_id: OrderID | None = None, after: TradeID | None = None, since_ns: int = 0
    ) -> tuple[ExecutionReport, ...]:
        """Own trades as the history tells them: no client id, no totals."""
        return tuple(
            attrs.evolve(trade, cl_ord_id=ClOrdID(""), order_qty=ZERO, cum_qty=ZERO, ord_status=OrdStatus.NEW)
            for trade in self.trades
            if (order_id is None or trade.order_id == order_id)
            and (after is None or int(trade.trade_id or 0) > int(after))
            and trade.transact_ns >= since_ns
        )

    def balances(self) -> tuple[Balance, ...]:
        """All balances; what rests is not locked here, because totals are what is compared."""
        return tuple(
            Balance(ACCOUNT, VENUE, asset, total, ZERO, self.now_ns)
            for asset, total in (("BTC", self.base), ("USDT", self.quote))
        )
