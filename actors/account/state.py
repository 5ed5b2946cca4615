"""The account as the sum of its records.

`apply` is the only thing that changes it, and it decides nothing: what a record says has been decided when it was
written.  Applied live and applied again in replay, the same records give the same state, byte for byte (`text`).  An
`ExecutionReport` in the journal is the account's own version of the venue's words (`reports.judge`): its `ord_status`,
`cum_qty` and `cum_quote` are those of the order after it, so applying it is copying.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import attrs
import msgspec

from actors.account.balances import Balances
from actors.account.ledger import Entry, Ledger
from actors.account.order import FILL_TYPES, Doubt, Order
from actors.account.orders import FillRow, Orders, Retention
from protocols.canonical import canonical_json, state_hash
from protocols.enums import CxlRejResponseTo, ExecType, OrdStatus
from protocols.errors import InvariantViolation, JournalError
from protocols.ids import MANUAL, AccountID, ClOrdID, StrategyID, Symbol, TradeID, Venue
from protocols.journal import (
    AlarmRaised,
    AmendIntent,
    CancelClosed,
    CancelIntent,
    DoubtClosed,
    DoubtOpened,
    OrderClosed,
    OrderIntent,
    PositionCorrected,
    Record,
    StateSnapshot,
    SymbolDefined,
    UnexplainedChanged,
)
from protocols.orders import ExecutionReport, NewOrder
from protocols.positions import AccountPicture, Balance, BalancesChanged, VenuePosition

ZERO = Decimal(0)
FORMAT = 1
"""Of `AccountSnapshot`; a snapshot with another number is refused."""

_TRADE, _TRADE_CANCEL, _REPLACED, _RESTATED = (
    ExecType.TRADE,
    ExecType.TRADE_CANCEL,
    ExecType.REPLACED,
    ExecType.RESTATED,
)
_ENDING = frozenset({ExecType.CANCELED, ExecType.REJECTED, ExecType.EXPIRED})


@attrs.frozen
class AccountSnapshot:
    """The state as one value, in plain rows."""

    format: int
    account: AccountID
    venue: Venue
    born_ns: int
    newest_received_ns: int
    alarms: int
    orders: list[Order]
    finished: list[ClOrdID]
    fills: list[FillRow]
    fills_horizon: dict[Symbol, int]
    orders_horizon: dict[Symbol, int]
    last_fill: dict[Symbol, tuple[int, TradeID]]
    entries: list[Entry]
    symbols: list[SymbolDefined]
    balances: list[Balance]
    unexplained: dict[str, Decimal]
    positions_compared: bool = False


_DECODER = msgspec.json.Decoder(AccountSnapshot)


class AccountState:
    """Orders, positions and balances of one account on one venue."""

    __slots__ = (
        "_apply",
        "account",
        "alarms",
        "balances",
        "born_ns",
        "ledger",
        "newest_received_ns",
        "orders",
        "positions_compared",
        "unexplained",
        "venue",
    )

    def __init__(self, account: AccountID, venue: Venue, retention: Retention) -> None:
        self.account = account
        self.venue = venue
        self.orders = Orders(retention)
        self.ledger = Ledger(account, venue)
        self.balances = Balances()
        self.unexplained: dict[str, Decimal] = {}
        """Per asset, what the venue held beyond our fills at the last comparison."""
        self.positions_compared = False
        """The venue's contract positions were compared with ours before: a difference is none that we began with."""
        self.alarms = 0
        self.born_ns = 0
        """Time of the first record: our account of the fills is complete from here on."""
        self.newest_received_ns = 0
        self._apply: Mapping[type, Callable[[Any], object]] = {
            OrderIntent: self.order_intent,
            ExecutionReport: self.execution,
            CancelIntent: self.cancel_intent,
            BalancesChanged: self.balances_changed,
            OrderClosed: self.order_closed,
            AmendIntent: self.amend_intent,
            CancelClosed: self.cancel_closed,
            DoubtOpened: self.doubt_opened,
            DoubtClosed: self.doubt_closed,
            SymbolDefined: self.symbol_defined,
            UnexplainedChanged: self.unexplained_changed,
            PositionCorrected: self.position_corrected,
            AlarmRaised: self.alarm_raised,
        }

    def apply(self, record: Record) -> None:
        """One record, live or in replay.  JournalError for a kind that has no place in an account's stream."""
        handler = self._apply.get(type(record))
        if handler is None:
            raise JournalError(f"a {type(record).__name__} is in the stream of account {self.account}/{self.venue}")
        handler(record)

    # ---- intents -----------------------------------------------------------------------------------------------

    def order_intent(self, record: OrderIntent) -> Order:
        """An order of ours begins."""
        request = record.order
        order = Order(request, record.accepted_ns, request.order_qty, request.price)
        self.orders.add(order)
        if not self.born_ns:
            self.born_ns = record.accepted_ns
        return order

    def intent_refused(self, record: OrderIntent) -> bool:
        """Take back an intent that never became durable; False when there is nothing to take back."""
        order = self.orders.live.get(record.order.cl_ord_id)
        if order is None or order.order_id is not None:
            return False
        self.orders.forget(order)
        return True

    def cancel_intent(self, record: CancelIntent) -> None:
        """A cancel goes out.  Unknown and finished orders are passed over: their intent was refused, or they ended."""
        order = self.orders.live.get(record.cl_ord_id)
        if order is not None:
            order.ord_status = OrdStatus.PENDING_CANCEL
            order.cancel_doubt = None

    def cancel_refused(self, record: CancelIntent) -> bool:
        """Take back the cancel of a replacement that never became durable; False when there is nothing to take back."""
        order = self.orders.live.get(record.cl_ord_id)
        if order is None or order.ord_status is not OrdStatus.PENDING_CANCEL:
            return False
        order.ord_status = order.resumed_status()
        return True

    def amend_intent(self, record: AmendIntent) -> None:
        """A change of the terms goes out."""
        order = self.orders.live.get(record.cl_ord_id)
        if order is not None:
            order.begin_amend(record.order_qty, record.price, record.request_id)

    def amend_refused(self, record: AmendIntent) -> bool:
        """Take back an amend that never became durable; False when there is nothing to take back."""
        order = self.orders.live.get(record.cl_ord_id)
        if order is None or order.amend_qty is None or order.amend_id != record.request_id:
            return False
        self._end_amend(order)
        order.amends -= 1
        return True

    def _end_amend(self, order: Order) -> None:
        order.end_amend()
        if order.ord_status is OrdStatus.PENDING_REPLACE:
            order.ord_status = order.resumed_status()

    def cancel_closed(self, record: CancelClosed) -> None:
        """The cancel or the amend on its way ended without effect."""
        order = self.orders.live.get(record.rejected.cl_ord_id)
        if order is None:
            return
        is_amends = record.rejected.response_to is CxlRejResponseTo.REPLACE
        if order.amend_qty is not None and (is_amends or order.ord_status is OrdStatus.PENDING_REPLACE):
            self._end_amend(order)
        elif order.ord_status is OrdStatus.PENDING_CANCEL:
            order.cancel_doubt = None
            order.ord_status = order.resumed_status()

    # ---- certainty ---------------------------------------------------------------------------------------------

    def doubt_opened(self, record: DoubtOpened) -> None:
        """The fate of a request is unknown."""
        order = self.orders.live.get(record.cl_ord_id)
        if order is None:
            return
        doubt = Doubt(record.reason, record.since_ns, record.settles_ns)
        if not record.cancel:
            order.doubt = doubt
        elif order.amend_qty is not None and (record.amend or order.ord_status is OrdStatus.PENDING_REPLACE):
            order.amend_doubt = doubt
        elif order.ord_status is OrdStatus.PENDING_CANCEL:
            order.cancel_doubt = doubt

    def doubt_closed(self, record: DoubtClosed) -> None:
        """The venue's evidence settled it."""
        order = self.orders.live.get(record.cl_ord_id)
        if order is None:
            return
        if not record.cancel:
            order.doubt = None
        elif record.amend:
            order.amend_doubt = None
        else:
            order.cancel_doubt = None

    def order_closed(self, record: OrderClosed) -> None:
        """The end of an order without a venue report."""
        order = self.orders.live.get(record.cl_ord_id)
        if order is None:
            return
        order.closed_by_us = True
        order.ord_status = OrdStatus.REJECTED if order.order_id is None else OrdStatus.CANCELED
        self.orders.finish(order, record.at_ns)
        order.check_end()

    # ---- facts -------------------------------------------------------------------------------------------------

    def execution(self, report: ExecutionReport, order: Order | None = None) -> Entry | None:
        """A judged report; the position entry that it moved.  An unknown order comes into being here."""
        orders = self.orders
        if order is None:
            order = orders.by_cl_ord_id.get(report.cl_ord_id)
            if order is None:
                order = self._adopt(report)
        order_id = report.order_id
        if order_id != order.order_id and order_id and (order.order_id is None or order.is_renamed_by(order_id)):
            orders.name(order, order_id)
        kind = report.exec_type
        entry = None
        if kind in FILL_TYPES:
            entry = self._book(report)
        else:
            if report.transact_ns > order.terms_ns:
                order.terms_ns = report.transact_ns
            if kind is _REPLACED or kind is _RESTATED:
                order.price = report.price
                if kind is _REPLACED:
                    order.end_amend()
            elif kind in _ENDING:
                order.closed_by_us = False
        order.order_qty = report.order_qty
        order.cum_qty = report.cum_qty
        order.cum_quote = report.cum_quote
        if report.received_ns > self.newest_received_ns:
            self.newest_received_ns = report.received_ns
        status = report.ord_status
        if status is not order.ord_status:
            order.ord_status = status
            if status.is_final:
                orders.finish(order, report.transact_ns or report.received_ns or 1)
                order.check_end()
        return entry

    def _adopt(self, report: ExecutionReport) -> Order:
        """An order that we did not make: the owner's own, or one whose record fell out of memory."""
        request = NewOrder(
            report.cl_ord_id,
            self.account,
            report.strategy,
            self.venue,
            report.symbol,
            report.side,
            report.ord_type,
            report.order_qty,
            report.price,
            report.transact_ns,
            "",
        )
        order = Order(request, report.received_ns, report.order_qty, report.price)
        self.orders.add(order)
        if not self.born_ns:
            self.born_ns = report.received_ns
        return order

    def _book(self, report: ExecutionReport) -> Entry | None:
        """Apply a fill and know it from now on, in one step (P4); again and again has no further effect (P6)."""
        trade_id = report.trade_id
        if trade_id is None:
            raise JournalError(f"a {report.exec_type.value} of {report.cl_ord_id} has no trade id")
        orders = self.orders
        known = orders.fills.get((report.symbol, trade_id))
        if report.exec_type is not _TRADE:
            return self._book_correction(report, trade_id, known)
        if known is not None:
            return None
        orders.note(report, trade_id)
        return self._move(report, trade_id)

    def _book_correction(
        self, report: ExecutionReport, trade_id: TradeID, known: ExecutionReport | None
    ) -> Entry | None:
        """Take a trade back, or replace it.  One that has not come yet will be known, and not booked, when it does."""
        entry = None
        if known is not None:
            if known.exec_type is _TRADE_CANCEL:
                return None
            entry = self._move(known, trade_id, undo=True)
        self.orders.note(report, trade_id)
        return entry if report.exec_type is _TRADE_CANCEL else self._move(report, trade_id)

    def _move(self, fill: ExecutionReport, trade_id: TradeID, *, undo: bool = False) -> Entry:
        return self.ledger.book(
            fill.symbol,
            fill.strategy,
            fill.side,
            fill.last_qty,
            fill.last_px,
            fill.fee,
            fill.fee_asset,
            fill.transact_ns,
            trade_id,
            undo=undo,
        )

    def symbol_defined(self, record: SymbolDefined) -> None:
        """What a symbol's fills move."""
        self.ledger.define(record)
        if not self.born_ns:
            self.born_ns = record.at_ns

    def balances_changed(self, record: BalancesChanged) -> None:
        """The venue's statement."""
        self.balances.apply(record)
        if not self.born_ns:
            self.born_ns = record.event_ns

    def unexplained_changed(self, record: UnexplainedChanged) -> None:
        """The remainder of one asset, as compared."""
        self.unexplained[record.asset] = record.qty

    def position_corrected(self, record: PositionCorrected) -> None:
        """What the venue holds of a contract beyond our fills is nobody's strategy's from now on."""
        self.positions_compared = True
        if record.delta:
            self.ledger.correct(record.symbol, MANUAL, record.delta, record.px, record.at_ns)

    def alarm_raised(self, record: AlarmRaised) -> None:
        """Counted, so that the console shows it after a restart too."""
        self.alarms += 1

    # ---- as one value ------------------------------------------------------------------------------------------

    def text(self) -> str:
        """Canonical JSON of everything; equal states have equal texts."""
        orders = self.orders
        return canonical_json(
            AccountSnapshot(
                FORMAT,
                self.account,
                self.venue,
                self.born_ns,
                self.newest_received_ns,
                self.alarms,
                list(orders.by_cl_ord_id.values()),
                [order.request.cl_ord_id for order in orders.finished],
                [FillRow.of(fill) for fill in orders.fills.values()],
                orders.fills_horizon,
                orders.orders_horizon,
                orders.last_fill,
                list(self.ledger.entries.values()),
                list(self.ledger.symbols.values()),
                list(self.balances),
                self.unexplained,
                self.positions_compared,
            )
        )

    def hash(self) -> str:
        """SHA-256 of `text`."""
        return state_hash(self.text())

    def snapshot(self, at_ns: int) -> StateSnapshot:
        """For the journal."""
        text = self.text()
        return StateSnapshot(text, state_hash(text), at_ns)

    def restore(self, snapshot: StateSnapshot) -> None:
        """Fill this empty state from a snapshot; JournalError when it is damaged or somebody else's."""
        where = f"snapshot of account {self.account}/{self.venue}"
        if state_hash(snapshot.state) != snapshot.state_hash:
            raise JournalError(f"{where}: the text does not have the hash that was written with it")
        try:
            parts = _DECODER.decode(snapshot.state)
        except (msgspec.DecodeError, ValueError) as error:
            raise JournalError(f"{where}: {error}") from error
        if (parts.format, parts.account, parts.venue) != (FORMAT, self.account, self.venue):
            raise JournalError(f"{where}: is format {parts.format} of {parts.account}/{parts.venue}")
        self.born_ns, self.newest_received_ns, self.alarms = parts.born_ns, parts.newest_received_ns, parts.alarms
        self.orders.restore(parts.orders, parts.finished, parts.fills)
        self.orders.fills_horizon.update(parts.fills_horizon)
        self.orders.orders_horizon.update(parts.orders_horizon)
        self.orders.last_fill.update(parts.last_fill)
        for entry in parts.entries:
            self.ledger.entries[entry.symbol, entry.strategy] = entry
        for symbol in parts.symbols:
            self.ledger.define(symbol)
        for balance in parts.balances:
            self.balances.by_asset[balance.asset] = balance
        self.unexplained.update(parts.unexplained)
        self.positions_compared = parts.positions_compared

    def picture(
        self,
        strategy: StrategyID | None = None,
        *,
        hashed: bool = False,
        venue_positions: tuple[VenuePosition, ...] = (),
        made: tuple[int, int] = (0, 0),
    ) -> AccountPicture:
        """What others may know; `strategy` narrows orders and positions to its own."""
        return AccountPicture(
            self.account,
            self.venue,
            tuple(order.picture() for order in self.orders.matching(None, strategy)),
            tuple(self.ledger.positions(strategy)),
            tuple(self.balances),
            self.hash() if hashed else "",
            self.newest_received_ns + 1,
            venue_positions,
            made,
        )

    def check(self) -> None:
        """Every field against every rule that we know; InvariantViolation says what is wrong."""
        self.orders.check()
        self.ledger.check()
        self.balances.check()
        for order in self.orders.by_cl_ord_id.values():
            request = order.request
            if (request.account, request.venue) != (self.account, self.venue):
                raise InvariantViolation(f"order {order.cl_ord_id} is {request.account}'s on {request.venue}")
        booked = {
            (fill.symbol, fill.strategy) for fill in self.orders.fills.values() if fill.exec_type is not _TRADE_CANCEL
        }
        if not booked <= set(self.ledger.entries):
            raise InvariantViolation(f"fills without a position: {booked - set(self.ledger.entries)}")
        if self.alarms < 0 or self.born_ns < 0 or self.newest_received_ns < 0:
            raise InvariantViolation(f"alarms {self.alarms}, born {self.born_ns}, newest {self.newest_received_ns}")
        if not all(qty.is_finite() for qty in self.unexplained.values()):
            raise InvariantViolation(f"unexplained {self.unexplained}")
