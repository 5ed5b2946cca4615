"""What one strategy has at the venue: its live orders and its positions, kept from the account's reports.

The account is the owner of the truth; the blotter is the strategy's copy, so that a decision needs no question.  It is
made from a *picture* (the account's answer at the start, and after each of its resyncs) and the reports since.

A report may be older than the picture although it arrives after it, because mail waits while a strategy restarts.
What the picture contains is never counted again: a fill of an order in the picture counts when it raises the quantity
that the picture gave; a fill of an order that the picture does not list counts when it was received after it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from decimal import Decimal

from actors.strategy.base import FLAT, Holding, OwnOrder
from protocols.enums import CxlRejReason, CxlRejResponseTo, ExecType
from protocols.ids import ClOrdID, StrategyID, Symbol
from protocols.instruments import Instrument, Product
from protocols.orders import CancelRejected, ExecutionReport
from protocols.positions import AccountPicture

ZERO = Decimal(0)

ENDED_KEPT = 1_000
"""Finished orders that are remembered for late fills."""
CANCEL_PAUSE_NS = 500_000_000
"""A refused cancel is not repeated before this has passed."""
LOST_AFTER_NS = 10_000_000_000
"""An order of this age that the account does not know will never be known: it ended before the account saw it."""


class Blotter:
    """Live orders and holdings of one strategy."""

    def __init__(self, strategy: StrategyID, symbols: Collection[Symbol]) -> None:
        self._strategy = strategy
        self.live: dict[ClOrdID, OwnOrder] = {}
        self._ended: OrderedDict[ClOrdID, OwnOrder] = OrderedDict()
        self._holdings: dict[Symbol, Holding] = dict.fromkeys(symbols, FLAT)
        self._pictured: dict[ClOrdID, Decimal] = {}
        """CumQty that the picture gave for the orders in it."""
        self._unpictured: set[ClOrdID] = set()
        """Orders sent before the picture that are not in it: on their way then, or finished already."""
        self._picture_ns = 0
        self._spot_bases: dict[Symbol, str] = {}

    def learn(self, instruments: Mapping[Symbol, Instrument]) -> None:
        """Which fees make a holding smaller: those in the base asset, on spot."""
        self._spot_bases = {s: i.base for s, i in instruments.items() if i.product is Product.SPOT}

    def holding(self, symbol: Symbol) -> Holding:
        """What is held of the symbol."""
        return self._holdings.get(symbol, FLAT)

    def open_orders(self, symbol: Symbol | None) -> tuple[OwnOrder, ...]:
        """Live orders, oldest first."""
        return tuple(order for order in self.live.values() if symbol is None or order.symbol == symbol)

    def add(self, order: OwnOrder) -> None:
        """An order that is on its way."""
        self.live[order.cl_ord_id] = order

    def take_picture(self, picture: AccountPicture, now_ns: int) -> None:
        """Start over from the account's picture; orders that cannot have reached the account yet stay."""
        before = self.live
        self.live, self._ended, self._pictured = {}, OrderedDict(), {}
        self._unpictured = set()
        self._picture_ns = now_ns
        for theirs in picture.open_orders:
            if theirs.strategy == self._strategy:
                known = before.pop(theirs.cl_ord_id, None)
                self._pictured[theirs.cl_ord_id] = theirs.cum_qty
                self.live[theirs.cl_ord_id] = OwnOrder(
                    cl_ord_id=theirs.cl_ord_id,
                    symbol=theirs.symbol,
                    side=theirs.side,
                    ord_type=theirs.ord_type,
                    order_qty=theirs.order_qty,
                    price=theirs.price,
                    created_ns=theirs.created_ns,
                    cum_qty=theirs.cum_qty,
                    ord_status=theirs.ord_status,
                    canceling=known is not None and known.canceling,
                    time_in_force=theirs.time_in_force,
                    exec_inst=theirs.exec_inst,
                    replacing=theirs.amend_id or (known.replacing if known is not None else ""),
                )
        for order in before.values():
            if order.cum_qty == 0 and now_ns - order.created_ns < LOST_AFTER_NS:
                self.live[order.cl_ord_id] = order
                self._unpictured.add(order.cl_ord_id)
        self._holdings = dict.fromkeys(self._holdings, FLAT)
        for position in picture.positions:
            if position.strategy == self._strategy:
                self._holdings[position.symbol] = Holding(position.qty, position.avg_px)

    def apply(self, report: ExecutionReport) -> bool:
        """Take one report; True when it is a fill that counts."""
        counts = report.exec_type is ExecType.TRADE and self._is_new(report)
        order = self.live.get(report.cl_ord_id) or self._ended.get(report.cl_ord_id)
        if order is None and not report.ord_status.is_final and report.received_ns > self._picture_ns:
            order = self._adopted(report)
        if order is not None:
            self._update(order, report)
        if counts:
            self._fill(report)
        return counts

    def refused(self, cl_ord_id: ClOrdID) -> OwnOrder | None:
        """An order that never left the engine is forgotten; the one that it was to replace may be changed again."""
        for order in self.live.values():
            if order.replacing == cl_ord_id:
                order.replacing = ""
        return self.live.pop(cl_ord_id, None)

    def cancel_rejected(self, rejected: CancelRejected, now_ns: int) -> None:
        """The cancel may be repeated after a pause; an old order that the account does not know is gone."""
        order = self.live.get(rejected.cl_ord_id)
        if order is None:
            return
        if rejected.response_to is CxlRejResponseTo.REPLACE:
            order.replacing = ""
        else:
            order.canceling = False
            order.cancel_after_ns = now_ns + CANCEL_PAUSE_NS
        if rejected.reason is CxlRejReason.UNKNOWN_ORDER and now_ns - order.created_ns >= LOST_AFTER_NS:
            del self.live[order.cl_ord_id]

    def _is_new(self, report: ExecutionReport) -> bool:
        pictured = self._pictured.get(report.cl_ord_id)
        if pictured is not None:
            return report.cum_qty > pictured
        known = report.cl_ord_id in self.live or report.cl_ord_id in self._ended
        if known and report.cl_ord_id not in self._unpictured:
            return True  # sent after the picture; no clock needed, which may step
        return report.received_ns > self._picture_ns

    def _adopted(self, report: ExecutionReport) -> OwnOrder:
        """An order of an earlier incarnation that had not reached the account when the picture was made."""
        order = OwnOrder(
            cl_ord_id=report.cl_ord_id,
            symbol=report.symbol,
            side=report.side,
            ord_type=report.ord_type,
            order_qty=report.order_qty,
            price=report.price,
            created_ns=report.transact_ns,
        )
        self.live[order.cl_ord_id] = order
        return order

    def _update(self, order: OwnOrder, report: ExecutionReport) -> None:
        order.order_qty = report.order_qty
        if report.exec_type is ExecType.REPLACED:
            order.price, order.replacing = report.price, ""
        elif report.exec_type is ExecType.RESTATED:
            order.price = report.price
        order.cum_qty = max(order.cum_qty, report.cum_qty)
        if order.ord_status.is_final:
            return  # a late fill moves quantities, never a final status
        order.ord_status = report.ord_status
        if report.ord_status.is_final:
            del self.live[order.cl_ord_id]
            self._ended[order.cl_ord_id] = order
            if len(self._ended) > ENDED_KEPT:
                self._ended.popitem(last=False)

    def _fill(self, report: ExecutionReport) -> None:
        held = self.holding(report.symbol)
        change = report.side.sign * report.last_qty
        if report.fee and report.fee_asset == self._spot_bases.get(report.symbol):
            change -= report.fee
        qty = held.qty + change
        if qty == 0:
            self._holdings[report.symbol] = FLAT
        elif held.qty == 0 or (held.qty > 0) != (qty > 0):
            self._holdings[report.symbol] = Holding(qty, report.last_px)
        elif abs(qty) > abs(held.qty):
            cost = held.avg_px * held.qty + report.last_px * (qty - held.qty)
            self._holdings[report.symbol] = Holding(qty, cost / qty)
        else:
            self._holdings[report.symbol] = Holding(qty, held.avg_px)
