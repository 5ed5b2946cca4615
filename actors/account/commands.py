"""What an account does when it is told to: place, cancel, amend, replace.

Every method is one decision, see `core`.  Two ways lead to other terms.  An amend changes the order itself: one that
can only reduce comes straight from its maker, any other as `RiskApprovedAmend`.  A replacing order is an order of its
own: its intent and the cancel of the old one are written together and leave in one request.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.account.desk import Desk
from actors.account.order import Order
from protocols.enums import CxlRejReason, CxlRejResponseTo, OrdRejReason, OrdStatus, OrdType
from protocols.ids import ClOrdID, Path, StrategyID, Symbol
from protocols.instruments import Product
from protocols.journal import AmendIntent, CancelIntent, OrderIntent, Record, SymbolDefined
from protocols.orders import (
    FIRM_GATE,
    ROUTER,
    AmendOrder,
    CancelOrder,
    CancelRejected,
    NewOrder,
    RiskApproved,
    RiskApprovedAmend,
    SubmitAmend,
    SubmitCancel,
    SubmitCancels,
    SubmitOrder,
    SubmitReplace,
    refuse,
    refuse_amend,
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
        if order.orig_cl_ord_id is not None:
            self._replace(approved, order.orig_cl_ord_id, now_ns)
            return
        intent = OrderIntent(order, now_ns)
        self.state.order_intent(intent)
        self.append(self.subjects(order.symbol)[0], (intent,), ((self.entry, SubmitOrder(order, self.ctx.path)),))

    def _replace(self, approved: RiskApproved, orig: ClOrdID, now_ns: int) -> None:
        """An order in place of another: both intents in one write, both requests in one."""
        order = approved.order
        old = self.state.orders.by_cl_ord_id.get(orig)
        objection = self._irreplaceable(old, order)
        if objection or old is None:
            self._refuse(approved, OrdRejReason.NOTHING_TO_REPLACE, objection)
            return
        intent, cancel = OrderIntent(order, now_ns), CancelIntent(orig, now_ns)
        self.state.order_intent(intent)
        self.state.cancel_intent(cancel)
        self.cancelers[orig] = order.reply_to
        submit = SubmitReplace(order, old.order_id, self.ctx.path)
        self.append(self.subjects(order.symbol)[0], (intent, cancel), ((self.entry, submit),))

    def _irreplaceable(self, old: Order | None, order: NewOrder) -> str:
        """Why `old` cannot be replaced by this order now; "" when it can."""
        orig = order.orig_cl_ord_id
        if old is None:
            return f"{self.ctx.path} has no order {orig}"
        if old.finished_ns:
            return f"order {orig} is {old.ord_status.value}"
        if old.ord_status in PENDING:
            return f"order {orig} is {old.ord_status.value}: a change of it is on its way"
        if old.order_id is None or old.doubt is not None:
            return f"the venue has not confirmed order {orig} yet"
        if (old.request.symbol, old.request.side) != (order.symbol, order.side):
            return f"order {orig} is {old.request.side.value} {old.symbol}, not {order.side.value} {order.symbol}"
        return ""

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
            if type(record) is OrderIntent:
                if self.state.intent_refused(record):
                    self.drop_watch(record.order.cl_ord_id)
                    self.cancelers.pop(record.order.cl_ord_id, None)
                    for path, refused in refuse(record.order, OrdRejReason.JOURNAL, text):
                        self.ctx.send(path, refused)
            elif type(record) is AmendIntent:
                self._amend_not_written(record, text)
            elif type(record) is CancelIntent and self.state.cancel_refused(record):
                rejected = CancelRejected(record.cl_ord_id, CxlRejReason.JOURNAL, text, CxlRejResponseTo.REPLACE)
                self._tell_canceler(self.state.orders.live[record.cl_ord_id], rejected)

    def _amend_not_written(self, record: AmendIntent, text: str) -> None:
        if self.state.amend_refused(record):
            order = self.state.orders.live[record.cl_ord_id]
            reply_to = self.amenders.pop(record.cl_ord_id, order.request.reply_to)
            amend = AmendOrder(
                record.cl_ord_id,
                self.account,
                self.venue,
                order.symbol,
                record.order_qty,
                reply_to,
                record.price,
                record.request_id,
            )
            for path, told in refuse_amend(amend, CxlRejReason.JOURNAL, text, (FIRM_GATE, self.gate)):
                self.ctx.send(path, told)
            self.tidy(order)

    def _tell_canceler(self, order: Order, rejected: CancelRejected) -> None:
        reply_to = self.cancelers.pop(order.cl_ord_id, order.request.reply_to)
        if reply_to:
            self.ctx.send(reply_to, rejected)
        self.tidy(order)

    def cancel_order(self, command: CancelOrder) -> None:
        """Cancel one order, unless it is over or a cancel is on its way already (one in doubt may go again)."""
        order = self.state.orders.by_cl_ord_id.get(command.cl_ord_id)
        if order is None:
            self._reject(command, CxlRejReason.UNKNOWN_ORDER, f"{self.ctx.path} has no such order")
        elif order.finished_ns:
            self._reject(command, CxlRejReason.TOO_LATE, f"the order is {order.ord_status.value}")
        elif not self._may_cancel(order):
            self._reject(command, CxlRejReason.ALREADY_PENDING, "a cancel is on its way")
        else:
            self.cancel((order,), command.reply_to)

    def _may_cancel(self, order: Order) -> bool:
        """Whether a cancel may go out.

        One in doubt may go again.  So may one that is half of a replacement: where the new order is refused, the old
        one stays, and who asked for its end meanwhile asked for more than that.
        """
        return (
            order.ord_status is not OrdStatus.PENDING_CANCEL
            or order.cancel_doubt is not None
            or order.cl_ord_id in self.state.orders.replacements
        )

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
        return [order for order in self.state.orders.matching(symbol, strategy) if self._may_cancel(order)]

    def amend_order(self, command: AmendOrder) -> None:
        """An amend that no gate has seen: less quantity at the same price, or it is refused."""
        self._amend(command, is_approved=False)

    def approve_amend(self, approved: RiskApprovedAmend) -> None:
        """An amend that passed every gate: any terms."""
        self._amend(approved.amend, is_approved=True)

    def _amend(self, command: AmendOrder, *, is_approved: bool) -> None:
        objection = self._amend_objection(command, is_approved=is_approved)
        if objection is not None:
            reason, text = objection
            self.counts[f"amend refused {reason.value}"] += 1
            gates = (FIRM_GATE, self.gate) if is_approved else ()
            for path, told in refuse_amend(command, reason, text, gates):
                self.ctx.send(path, told)
            return
        order = self.state.orders.live[command.cl_ord_id]
        price = None if command.price == order.price else command.price
        self.amenders[order.cl_ord_id] = command.reply_to
        submit = SubmitAmend(
            order.cl_ord_id,
            order.order_id,
            order.symbol,
            command.order_qty,
            self.ctx.path,
            order.request.side,
            order.price if price is None else price,
            price is not None or command.order_qty > order.order_qty,
            order.amends + 1,
        )
        request_id = command.request_id if is_approved else ""
        intent = AmendIntent(order.cl_ord_id, command.order_qty, self.ctx.now_ns, price, request_id)
        self.record(self.subjects(order.symbol)[0], intent, ((self.entry, submit),))

    def _amend_objection(self, command: AmendOrder, *, is_approved: bool) -> tuple[CxlRejReason, str] | None:
        """Only a confirmed order can be amended, and only while no other change of it is on its way."""
        order = self.state.orders.by_cl_ord_id.get(command.cl_ord_id)
        if order is None:
            return CxlRejReason.UNKNOWN_ORDER, f"{self.ctx.path} has no such order"
        if order.finished_ns or command.order_qty <= order.cum_qty:
            return CxlRejReason.TOO_LATE, f"the order is {order.ord_status.value}, {order.cum_qty} are filled"
        if order.ord_status in PENDING:
            return CxlRejReason.ALREADY_PENDING, f"the order is {order.ord_status.value}"
        if order.order_id is None or order.doubt is not None:
            return CxlRejReason.NOT_READY, "the venue has not confirmed the order yet"
        if command.price is None or command.price == order.price:
            if command.order_qty < order.order_qty:
                return None
            text = f"order_qty was {command.order_qty}, must be less than {order.order_qty} at the same price"
            if not is_approved or command.order_qty == order.order_qty:
                return CxlRejReason.UNSUPPORTED, text
        elif not is_approved:
            return CxlRejReason.UNSUPPORTED, f"price was {command.price}, is {order.price}: send it to {ROUTER}"
        return self._free_amend_objection(order, command)

    def _free_amend_objection(self, order: Order, command: AmendOrder) -> tuple[CxlRejReason, str] | None:
        """To an amend that may add risk."""
        if order.request.ord_type is not OrdType.LIMIT:
            text = f"a {order.request.ord_type.value} order can only be made smaller"
            return CxlRejReason.UNSUPPORTED, text
        if self.draining:
            return CxlRejReason.NOT_READY, f"{self.ctx.path} takes nothing that adds risk now"
        age_ns = self.ctx.now_ns - command.created_ns
        if command.created_ns and age_ns > self.settings.stale_ns:
            age_ms, most_ms = age_ns // 1_000_000, self.settings.stale_ns // 1_000_000
            return CxlRejReason.STALE, f"made {age_ms} ms ago, at most {most_ms} ms allowed"
        return None

    def _reject(self, command: CancelOrder, reason: CxlRejReason, text: str) -> None:
        self.ctx.send(command.reply_to, CancelRejected(command.cl_ord_id, reason, text))
