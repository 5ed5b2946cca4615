"""What an account does when it is told to: place, cancel, amend.

Every method is one decision, see `core`.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.account.desk import Desk
from actors.account.order import Order
from protocols.enums import CxlRejReason, OrdRejReason, OrdStatus
from protocols.ids import Path, StrategyID, Symbol
from protocols.instruments import Product
from protocols.journal import AmendIntent, CancelIntent, OrderIntent, Record, SymbolDefined
from protocols.orders import (
    AmendOrder,
    CancelOrder,
    CancelRejected,
    RiskApproved,
    SubmitAmend,
    SubmitCancel,
    SubmitCancels,
    SubmitOrder,
    refuse,
)

PENDING = (OrdStatus.PENDING_CANCEL, OrdStatus.PENDING_REPLACE)


class Commands(Desk):
    """The decisions that others ask for."""

    def approve(self, approved: RiskApproved) -> None:
        """An order that passed every gate: refuse it, or make its intent durable and send it."""
        order = approved.order
        now_ns = self.ctx.now_ns
        if (
            order.cl_ord_id in self.state.orders.by_cl_ord_id
            or now_ns - order.created_ns > self.settings.stale_ns
            or self.draining
            or order.account != self.account
            or order.venue != self.venue
        ):
            self._refuse(approved, *self._objection(approved, now_ns))
            return
        if order.symbol not in self.state.ledger.symbols and not self.define(order.symbol, now_ns):
            text = f"{self.ctx.path} knows no instrument {order.symbol}"
            self._refuse(approved, OrdRejReason.UNKNOWN_INSTRUMENT, text)
            return
        intent = OrderIntent(order, now_ns)
        self.state.order_intent(intent)
        self.append(self.subjects(order.symbol)[0], (intent,), ((self.entry, SubmitOrder(order, self.ctx.path)),))

    def _objection(self, approved: RiskApproved, now_ns: int) -> tuple[OrdRejReason, str]:
        order = approved.order
        if order.account != self.account or order.venue != self.venue:
            return OrdRejReason.NO_ROUTE, f"{self.ctx.path} is not the way to {order.account}/{order.venue}"
        if order.cl_ord_id in self.state.orders.by_cl_ord_id:
            return OrdRejReason.DUPLICATE_CL_ORD_ID, f"{order.cl_ord_id} was used before"
        if self.draining:
            return OrdRejReason.DRAINING, f"{self.ctx.path} takes no new orders"
        age_ms = (now_ns - order.created_ns) // 1_000_000
        return OrdRejReason.STALE, f"made {age_ms} ms ago, at most {self.settings.stale_ns // 1_000_000} ms allowed"

    def _refuse(self, approved: RiskApproved, reason: OrdRejReason, text: str) -> None:
        self.counts[f"refused {reason.value}"] += 1
        for path, refused in refuse(approved.order, reason, text):
            self.ctx.send(path, refused)

    def define(self, symbol: Symbol, now_ns: int) -> bool:
        """Record what a symbol's fills move; False when we do not know."""
        instrument = self.instruments.get(symbol)
        if instrument is None or instrument.product is Product.INVERSE:
            return False
        self.record(
            self.subjects(symbol)[0],
            SymbolDefined(
                self.venue,
                symbol,
                instrument.product,
                instrument.base,
                instrument.quote,
                instrument.contract_size,
                now_ns,
            ),
        )
        return True

    def knows(self, symbol: Symbol) -> bool:
        """Whether a symbol's fills can be booked; one that is met for the first time is defined."""
        return symbol in self.state.ledger.symbols or self.define(symbol, self.ctx.now_ns)

    def intents_refused(self, records: tuple[Record, ...], text: str) -> None:
        """The journal could not make these durable: they never left, and are forgotten."""
        for record in records:
            if type(record) is OrderIntent and self.state.intent_refused(record):
                self.drop_watch(record.order.cl_ord_id)
                self.cancelers.pop(record.order.cl_ord_id, None)
                for path, refused in refuse(record.order, OrdRejReason.JOURNAL, text):
                    self.ctx.send(path, refused)

    def cancel_order(self, command: CancelOrder) -> None:
        """Cancel one order, unless it is over or a cancel is on its way already (one in doubt may go again)."""
        order = self.state.orders.by_cl_ord_id.get(command.cl_ord_id)
        if order is None:
            self._reject(command, CxlRejReason.UNKNOWN_ORDER, f"{self.ctx.path} has no such order")
        elif order.finished_ns:
            self._reject(command, CxlRejReason.TOO_LATE, f"the order is {order.ord_status.value}")
        elif order.ord_status is OrdStatus.PENDING_CANCEL and order.cancel_doubt is None:
            self._reject(command, CxlRejReason.ALREADY_PENDING, "a cancel is on its way")
        else:
            self.cancel((order,), command.reply_to)

    def cancel(self, orders: Sequence[Order], reply_to: Path) -> None:
        """Send a cancel for each of these live orders."""
        for order in orders:
            self.cancelers[order.cl_ord_id] = reply_to
            self.record(
                self.subjects(order.symbol)[0],
                CancelIntent(order.cl_ord_id, self.ctx.now_ns),
                ((self.entry, self.submit_cancel(order)),),
            )
            self.tidy(order)

    def cancel_together(self, orders: Sequence[Order], reply_to: Path) -> None:
        """Cancel many: those of one symbol in one message, so that the venue can be told in few requests."""
        by_symbol: dict[Symbol, list[Order]] = {}
        for order in orders:
            by_symbol.setdefault(order.symbol, []).append(order)
        for symbol, group in by_symbol.items():
            if len(group) < self.settings.mass_cancel_min:
                self.cancel(group, reply_to)
                continue
            live = sum(1 for _ in self.state.orders.matching(symbol, None))
            # What the venue has not confirmed may reach it after a request that means "all".
            whole = live == len(group) and all(order.order_id is not None for order in group)
            names = tuple((order.cl_ord_id, order.order_id) for order in group)
            intents = tuple(CancelIntent(order.cl_ord_id, self.ctx.now_ns) for order in group)
            for order, intent in zip(group, intents, strict=True):
                self.cancelers[order.cl_ord_id] = reply_to
                self.state.cancel_intent(intent)
            submit = SubmitCancels(symbol, names, whole, self.ctx.path)
            self.append(self.subjects(symbol)[0], intents, ((self.entry, submit),))
            for order in group:
                self.tidy(order)

    def submit_cancel(self, order: Order) -> SubmitCancel:
        """The request that cancels it."""
        return SubmitCancel(order.cl_ord_id, order.order_id, order.symbol, self.ctx.path)

    def cancelable(self, symbol: Symbol | None, strategy: StrategyID | None) -> list[Order]:
        """Live orders that match and have no cancel on its way."""
        return [
            order
            for order in self.state.orders.matching(symbol, strategy)
            if order.ord_status is not OrdStatus.PENDING_CANCEL or order.cancel_doubt is not None
        ]

    def amend_order(self, command: AmendOrder) -> None:
        """Reduce an order's quantity.  Only a confirmed order can be amended, and only to less than it is."""
        order = self.state.orders.by_cl_ord_id.get(command.cl_ord_id)
        if order is None:
            self._reject(command, CxlRejReason.UNKNOWN_ORDER, f"{self.ctx.path} has no such order")
        elif order.finished_ns or command.order_qty <= order.cum_qty:
            self._reject(
                command, CxlRejReason.TOO_LATE, f"the order is {order.ord_status.value}, {order.cum_qty} are filled"
            )
        elif order.ord_status in PENDING:
            self._reject(command, CxlRejReason.ALREADY_PENDING, f"the order is {order.ord_status.value}")
        elif order.order_id is None or order.doubt is not None:
            self._reject(command, CxlRejReason.NOT_READY, "the venue has not confirmed the order yet")
        elif command.order_qty >= order.order_qty:
            text = f"order_qty was {command.order_qty}, must be less than {order.order_qty}"
            self._reject(command, CxlRejReason.UNSUPPORTED, text)
        else:
            self.cancelers[order.cl_ord_id] = command.reply_to
            submit = SubmitAmend(
                order.cl_ord_id,
                order.order_id,
                order.symbol,
                command.order_qty,
                self.ctx.path,
                order.request.side,
                order.price,
            )
            self.record(
                self.subjects(order.symbol)[0],
                AmendIntent(order.cl_ord_id, command.order_qty, self.ctx.now_ns),
                ((self.entry, submit),),
            )

    def _reject(self, command: CancelOrder | AmendOrder, reason: CxlRejReason, text: str) -> None:
        self.ctx.send(command.reply_to, CancelRejected(command.cl_ord_id, reason, text))
