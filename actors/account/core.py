"""What an account decides: commands and venue events in, records out.

Every method is one decision.  It changes the state only by applying the records that it sends to the journal, in the
same order, so live and replayed states are the same.  What a record causes outside travels as `forward` of its Append.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import attrs

from actors.account.answers import Answers
from actors.account.desk import AskStranger, Forward
from actors.account.order import FILL_TYPES, Order
from actors.account.reports import Verdict, is_live, judge
from actors.account.watch import PROOFS, Watch
from protocols.enums import AlarmKind, CxlRejReason, DoubtReason, ExecType, OrdRejReason, OrdStatus
from protocols.ids import MANUAL, ClOrdID, OrderID, StrategyID, account_code, parse_cl_ord_id
from protocols.journal import DoubtClosed
from protocols.orders import FIRM_GATE, ExecutionReport, OrderNotFound, refuse
from protocols.positions import PORTFOLIO, BalancesChanged, PositionsListed, VenuePosition
from protocols.reconcile import OrderFound

ZERO = Decimal(0)

_DUPLICATE = Verdict.DUPLICATE


class AccountCore(Answers):
    """The decisions of one account on one venue; those that others ask for are in `commands`, and what order entry says
    of our requests in `answers`."""

    # ---- what the venue says -----------------------------------------------------------------------------------

    def report(self, report: ExecutionReport) -> None:
        """One report from the stream, a reply or a query: apply what is new, once."""
        state = self.state
        order = state.orders.by_cl_ord_id.get(report.cl_ord_id)
        if order is None or report.account != self.account:
            order = self._owner(report)
            if order is None:
                return
        watch = self.watches.get(order.request.cl_ord_id) if self.watches else None
        judged = judge(order, report, state.orders, watch.claimed if watch is not None else ZERO)
        if isinstance(judged, Verdict):
            if judged is _DUPLICATE and watch is None and report.cum_qty <= order.cum_qty and not order.closed_by_us:
                self.counts["duplicate"] += 1  # every report that comes by reply and by stream
            else:
                self._not_applied(order, report, judged)
            return
        if order.doubt is not None:
            settled = DoubtClosed(order.cl_ord_id, f"report {report.exec_type.value}", self.ctx.now_ns)
            self.record(self.subjects(order.symbol)[0], settled)
        cum_qty = order.cum_qty
        if order.closed_by_us and is_live(report):
            self._came_back(order)
        if judged.order_id != order.order_id:
            self._end_phantom(order, judged.order_id)
        amend_id = order.amend_id
        was_amending = order.amend_qty is not None
        entry = state.execution(judged, order)
        reply_to = order.request.reply_to
        forward: Forward
        if reply_to:
            forward = ((FIRM_GATE, judged), (self.gate, judged), (reply_to, judged))
        else:
            forward = ((FIRM_GATE, judged), (self.gate, judged))
        if was_amending and order.amend_qty is None and not order.finished_ns:
            self.amenders.pop(order.request.cl_ord_id, None)
            if amend_id:
                forward = (*forward, *self._amend_closed(order, amend_id))
        orders_subject, trades_subject = self._subjects.get(judged.symbol) or self.subjects(judged.symbol)
        if entry is None:
            self.append(orders_subject, (judged,), forward)
        else:
            self.movements += 1
            self.append(trades_subject, (judged,), (*forward, (PORTFOLIO, state.ledger.position(entry))))
        self.applied += 1
        self._heed(order, report, watch, cum_qty)

    def _heed(self, order: Order, report: ExecutionReport, watch: Watch | None, cum_qty: Decimal) -> None:
        """What follows from a report that was applied; `cum_qty` is what was filled before it."""
        if cum_qty <= order.order_qty < order.cum_qty:
            text = f"{order.cum_qty} filled of {order.order_qty}"
            self.alarm(AlarmKind.OVERFILL, order.cl_ord_id, text)
        if report.cum_qty > order.cum_qty or order.closed_by_us or watch is not None:
            self._follow_up(order, report, watch)
        elif order.finished_ns and (self.cancelers or self.amenders):
            self.tidy(order)
        if self.state.orders.replacements and order.ord_status is OrdStatus.FILLED:
            self._end_replacement(order)
        if self.strangers:
            self._recognize(order)

    def _end_replacement(self, old: Order) -> None:
        """An order that was filled could not be canceled, so nothing was made in its place (`ReplacesOrders`)."""
        new = self.state.orders.replacements.get(old.cl_ord_id)
        if new is not None:
            self._close(new, OrdRejReason.NOTHING_TO_REPLACE, f"order {old.cl_ord_id} was filled first")

    def _end_phantom(self, order: Order, order_id: OrderID) -> None:
        """What we took for an order of the owner's is this one: nobody may count it any more."""
        phantom = self.state.orders.phantom(order, order_id)
        if phantom is None:
            return
        self.drop_watch(phantom.cl_ord_id)
        self.cancelers.pop(phantom.cl_ord_id, None)
        self.amenders.pop(phantom.cl_ord_id, None)
        self.counts["phantom"] += 1
        text = f"is {order.cl_ord_id}, which the venue calls {order_id} from now on"
        told = tuple(pair for pair in refuse(phantom.request, OrdRejReason.VENUE, text) if pair[0])
        self.append(self.subjects(order.symbol)[0], (), told)

    def _owner(self, report: ExecutionReport) -> Order | None:
        """The order of a report whose ClOrdID we do not know: found by the venue's id, or adopted."""
        if report.account != self.account or report.venue != self.venue:
            self.counts["foreign"] += 1
            return None
        orders = self.state.orders
        order = orders.find(report.cl_ord_id, report.symbol, report.order_id)
        if order is not None:
            return order
        refused = self._why_not_adopted(report)
        if refused:
            self.counts[refused] += 1
            return None
        if not report.cl_ord_id and report.exec_type is ExecType.TRADE:
            self.meet_stranger(report)
            return None
        return self._adopt(report)

    def _why_not_adopted(self, report: ExecutionReport) -> str:
        """A report of no known order may be an old one of a forgotten order; "" when it is news."""
        orders = self.state.orders
        if not report.cl_ord_id and not report.order_id:
            return "nameless"
        if (report.symbol, report.trade_id) in orders.fills:
            return Verdict.DUPLICATE.value
        if report.exec_type is ExecType.ORDER_STATUS:
            return ""  # the answer of a query is never old
        horizon = orders.fills_horizon if report.exec_type in FILL_TYPES else orders.orders_horizon
        return Verdict.TOO_OLD.value if report.transact_ns < horizon.get(report.symbol, 0) else ""

    def introduce(self, report: ExecutionReport) -> None:
        """An order that works, or has worked, at the venue: know it and its id before its fills come."""
        order = self.state.orders.find(report.cl_ord_id, report.symbol, report.order_id)
        if order is None or order.order_id is None:
            self.report(attrs.evolve(report, exec_type=ExecType.ORDER_STATUS, ord_status=OrdStatus.NEW, cum_qty=ZERO))

    def _adopt(self, report: ExecutionReport) -> Order:
        """Take in an order that we do not know: the owner's own (MANUAL), or ours from before our memory.

        It begins as a working order without fills; the report itself follows and is judged like any other.
        """
        if report.symbol not in self.state.ledger.symbols:
            self.define(report.symbol, self.ctx.now_ns)
        cl_ord_id = report.cl_ord_id or ClOrdID(f"x-{report.symbol}-{report.order_id}")
        order_qty = max(report.order_qty, report.cum_qty, report.last_qty)
        began = attrs.evolve(
            report,
            cl_ord_id=cl_ord_id,
            strategy=self._strategy_of(cl_ord_id),
            exec_type=ExecType.NEW,
            ord_status=OrdStatus.NEW,
            order_qty=order_qty,
            cum_qty=ZERO,
            cum_quote=ZERO,
            last_qty=ZERO,
            last_px=ZERO,
            trade_id=None,
            fee=ZERO,
            fee_asset="",
        )
        self.record(self.subjects(report.symbol)[0], began, ((FIRM_GATE, began), (self.gate, began)))
        self.counts["adopted"] += 1
        order = self.state.orders.by_cl_ord_id[cl_ord_id]
        self._recognize(order)
        return order

    def _recognize(self, order: Order) -> None:
        """Fills that came before their order was known are its own, now that the venue's id is."""
        stranger = self.strangers.pop((order.symbol, order.order_id or OrderID("")), None)
        if stranger is not None:
            for fill in stranger.fills:
                self.report(fill)

    def ask_stranger(self, timer: AskStranger) -> None:
        """Ask again whose these fills are; after some times they are the owner's (MANUAL)."""
        stranger = self.strangers.get((timer.symbol, timer.order_id))
        if stranger is None:
            return
        if stranger.asked < self.settings.fills_attempts:
            self.ask_about(stranger)
        else:
            self._adopt(stranger.fills[0])

    def _strategy_of(self, cl_ord_id: ClOrdID) -> StrategyID:
        parts = parse_cl_ord_id(cl_ord_id)
        if parts is None or parts.account_code != account_code(self.account):
            return MANUAL
        return self.owners.get(parts.strategy_code, MANUAL)

    def _not_applied(self, order: Order, report: ExecutionReport, verdict: Verdict) -> None:
        self.counts[verdict.value] += 1
        if verdict is Verdict.NO_TRADE_ID:
            self.ask_once(order)
        watch = self.watches.get(order.cl_ord_id)
        if verdict is Verdict.HELD:
            watch = watch or self.watch(order)
            watch.held = report
        self._follow_up(order, report, watch)

    def _follow_up(self, order: Order, report: ExecutionReport, watch: Watch | None) -> None:
        """The rarer consequences of a report."""
        if report.cum_qty > order.cum_qty and report.exec_type is not ExecType.TRADE_CANCEL:
            watch = watch or self.watches.get(order.cl_ord_id) or self.open_watch(order)
            watch.claimed = max(watch.claimed, report.cum_qty)
            self.arm(watch, order)
        if order.closed_by_us and is_live(report):
            self.ctx.send(self.entry, self.submit_cancel(order))
        if watch is not None:
            if report.exec_type is ExecType.TRADE_CANCEL:
                watch.claimed = min(watch.claimed, order.cum_qty)
            held = watch.held
            if held is not None and watch.claimed <= order.cum_qty:
                watch.held = None
                self.report(held)
        self.tidy(order)

    def _came_back(self, order: Order) -> None:
        """An order that we had declared over works at the venue: it is canceled, loudly."""
        text = f"{order.cl_ord_id} was over for us and works at the venue"
        self.alarm(AlarmKind.ORDER_CAME_BACK, order.cl_ord_id, text)

    def venue_position(self, position: VenuePosition) -> None:
        """The venue's statement of one contract position; the newest one stays."""
        if position.account != self.account or position.venue != self.venue:
            self.counts["foreign"] += 1
            return
        key = (position.symbol, position.leg)
        known = self.held.get(key)
        if known is not None and known.updated_ns > position.updated_ns:
            self.counts[Verdict.TOO_OLD.value] += 1
            return
        if known is None or known.qty != position.qty:
            self.movements += 1
        if position.qty:
            self.held[key] = position
        else:
            self.held.pop(key, None)

    def positions_pictured(self, positions: Sequence[VenuePosition]) -> None:
        """All that is not flat, asked for while nothing moved: whatever the stream had said is older."""
        self.held = {(position.symbol, position.leg): position for position in positions}

    def positions_listed(self, listed: PositionsListed) -> None:
        """The venue has named all that it holds: what it did not name is flat."""
        for key in [key for key in self.held if key[0] not in listed.symbols]:
            del self.held[key]
            self.movements += 1

    def balances_changed(self, changed: BalancesChanged) -> bool:
        """The venue's statement of balances; False when it told nothing new."""
        if not self.state.balances.has_news(changed):
            self.counts["duplicate"] += 1
            return False
        self.record(self.positions_subject, changed)
        self.movements += 1
        self.applied += 1
        return True

    def order_found(self, found: OrderFound) -> None:
        """A query's answer: missing fills first, then the status."""
        self.introduce(found.report)
        movements = self.movements
        for fill in found.fills:
            self.report(fill)
        self.audit_wanted = self.audit_wanted or self.movements > movements
        self.report(found.report)
        order = self.state.orders.find(found.report.cl_ord_id, found.report.symbol, found.report.order_id)
        watch = self.watches.get(order.cl_ord_id) if order is not None else None
        if order is None or watch is None:
            return
        watch.once = False
        watch.not_found = 0
        if is_live(found.report):
            self._end_doubts_of_changes(order, found.asked_ns or self.ctx.now_ns)
        if watch.claimed > order.cum_qty:
            watch.fruitless += 1
            if watch.fruitless >= self.settings.fills_attempts:
                self._give_up_fills(order, watch)
        self.tidy(order)

    def _end_doubts_of_changes(self, order: Order, asked_ns: int) -> None:
        """The order works as we know it, asked after the last moment at which a change could have come into force."""
        if order.cancel_doubt is not None and asked_ns > order.cancel_doubt.settles_ns:
            self._cancel_failed(order, CxlRejReason.VENUE, "the cancel never took effect")
        if order.amend_doubt is not None and asked_ns > order.amend_doubt.settles_ns:
            self._amend_failed(order, CxlRejReason.VENUE, "the amend never took effect")

    def _give_up_fills(self, order: Order, watch: Watch) -> None:
        """The venue counts trades that it cannot show: end the order without them, and say so."""
        text = f"the venue counts {watch.claimed} filled and shows trades for {order.cum_qty}"
        held, watch.held, watch.claimed = watch.held, None, ZERO
        self.alarm(AlarmKind.FILLS_MISSING, order.cl_ord_id, text)
        if held is not None:
            self.report(attrs.evolve(held, cum_qty=order.cum_qty))

    def order_not_found(self, answer: OrderNotFound) -> None:
        """The venue does not know an order: proof only after the deadline, twice, with the stream up."""
        order = self._live(answer.cl_ord_id)
        if order is None:
            return
        if order.doubt is None:
            settles_ns = self.ctx.now_ns + self.settings.settle_ns
            self.open_doubt(order, DoubtReason.VENUE_UNKNOWN, answer.asked_ns, settles_ns)
            return
        watch = self.watch(order)
        if answer.asked_ns <= order.doubt.settles_ns or not self.stream_up:
            return
        watch.not_found += 1
        if watch.not_found < PROOFS:
            self.arm(watch, order)
        elif order.order_id is None:
            self._close(order, OrdRejReason.NEVER_ARRIVED, f"the venue said {PROOFS} times that it has no such order")
        else:
            text = f"the venue had confirmed it as {order.order_id} and does not know it any more"
            self._close(order, OrdRejReason.VENUE, text)
            self.alarm(AlarmKind.ORDER_VANISHED, order.cl_ord_id, text)
