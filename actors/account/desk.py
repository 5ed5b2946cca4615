"""What every decision of an account stands on: its state, the way to the journal, and whom to ask about what.

`record` is the only way by which the state changes: apply, write, and deliver what rides on it.  Watches (`watch.py`)
are kept here: opened, armed, asked and dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import attrs

from actors.account.order import Order
from actors.account.settings import AccountSettings
from actors.account.state import AccountState
from actors.account.watch import STEPS_NS, Watch, next_query_in
from protocols.base import Event, Message, message
from protocols.control import SetTradingState
from protocols.enums import AlarmKind, Side, TradingState
from protocols.errors import InvariantViolation
from protocols.ids import AccountID, ClOrdID, OrderID, Path, StrategyID, Symbol, Venue
from protocols.ids import strategy_code as code_of
from protocols.instruments import Instrument
from protocols.journal import JOURNAL, AlarmRaised, Append, Record, account_key
from protocols.orders import ExecutionReport, RequestAcknowledged, account_gate
from protocols.positions import VenuePosition
from protocols.reconcile import BelievedOrder, QueryOrder, entry_path, reconciler_path
from supervisors.actor import Context

Forward = tuple[tuple[Path, Message], ...]

_ALARMS_THAT_HALT = (AlarmKind.OVERFILL, AlarmKind.ORDER_CAME_BACK)


@message
class AskOrder(Event):
    """Timer of a watch: ask the venue about this order now."""

    cl_ord_id: ClOrdID
    number: int


@message
class AskStranger(Event):
    """Timer: ask the venue again whose order this is; void when that is known."""

    symbol: Symbol
    order_id: OrderID


@message
class ReportsDue(Event):
    """Timer: see whether what the venue acknowledged has been reported."""


@attrs.define(eq=False)
class Stranger:
    """Fills of the venue's history whose order we do not know: the history has the venue's id of it only.

    It may be the owner's, or one of ours whose confirmation has not come yet, so the venue is asked for its name.
    """

    symbol: Symbol
    order_id: OrderID
    fills: list[ExecutionReport] = attrs.field(factory=list)
    asked: int = 0


class Desk:
    """State, journal and watches of one account on one venue."""

    ctx: Context
    """Set before the first message."""

    def __init__(
        self, account: AccountID, venue: Venue, settings: AccountSettings, strategies: Sequence[StrategyID]
    ) -> None:
        self.account = account
        self.venue = venue
        self.settings = settings
        self.state = AccountState(account, venue, settings.retention)
        self.instruments: Mapping[Symbol, Instrument] = {}
        self.watches: dict[ClOrdID, Watch] = {}
        self.counts: Counter[str] = Counter()
        """What became of the venue's events that were not applied, and why (I22)."""
        self.applied = 0
        self.records = 0
        """Appended in this incarnation."""
        self.movements = 0
        """Fills and statements of balances so far: equal numbers mean that nothing moved in between."""
        self.draining = False
        self.stream_up = False
        self.audit_wanted = False
        """Asking has told what the private stream should have told: it may have lost more, of orders and of money."""
        self.owners = {code_of(strategy): strategy for strategy in strategies}
        self._key = account_key(account, venue)
        self.gate = account_gate(account)
        self.entry = entry_path(account, venue)
        self._reconciler = reconciler_path(account, venue)
        self._subjects: dict[Symbol, tuple[str, str]] = {}
        self.cancelers: dict[ClOrdID, Path] = {}
        """Who wants to hear of a cancel that has no effect."""
        self.amenders: dict[ClOrdID, Path] = {}
        """Who wants to hear of an amend that has no effect."""
        self.strangers: dict[tuple[Symbol, OrderID], Stranger] = {}
        self.awaited: dict[tuple[ClOrdID, int], RequestAcknowledged] = {}
        """Requests that the venue has acknowledged, oldest first, until a look finds that they were reported."""
        self.held: dict[tuple[Symbol, Side | None], VenuePosition] = {}
        """Contract positions as the venue last stated them."""
        self._watch_number = 0

    # ---- the way out -------------------------------------------------------------------------------------------

    def append(self, subject: str, records: tuple[Record, ...], forward: Forward) -> None:
        """Write records that have been applied, then deliver `forward`."""
        self.records += len(records)
        self.ctx.send(JOURNAL, Append(self._key, subject, records, forward, self.ctx.path))

    def record(self, subject: str, record: Record, forward: Forward = ()) -> None:
        """Apply one record and write it."""
        self.state.apply(record)
        self.append(subject, (record,), forward)

    def subjects(self, symbol: Symbol) -> tuple[str, str]:
        """Journal subjects of a symbol's orders and of its trades."""
        known = self._subjects.get(symbol)
        if known is None:
            known = self._subjects[symbol] = (f"orders.{self.venue}.{symbol}", f"trades.{self.venue}.{symbol}")
        return known

    @property
    def positions_subject(self) -> str:
        """Journal subject of balances and snapshots."""
        return f"positions.{self.venue}"

    def alarm(self, kind: AlarmKind, subject: str, text: str) -> None:
        """Record what should never happen.  When our quantities cannot be trusted the account is halted with it."""
        forward: Forward = ()
        if kind in _ALARMS_THAT_HALT:
            halt = SetTradingState(self.account, TradingState.HALTED, self.ctx.path, f"{kind.value}: {text}")
            forward = ((self.gate, halt),)
        self.ctx.note("alarm", f"{kind.value}: {text if text.startswith(subject) else f'{subject}: {text}'}")
        self.record(self.positions_subject, AlarmRaised(self.ctx.path, kind, subject, text, self.ctx.now_ns), forward)

    # ---- asking ------------------------------------------------------------------------------------------------

    def watch(self, order: Order) -> Watch:
        """See that the venue is asked about this order."""
        watch = self.watches.get(order.cl_ord_id) or self.open_watch(order)
        self.arm(watch, order)
        return watch

    def open_watch(self, order: Order) -> Watch:
        """Begin to watch an order; whoever opens it arms it."""
        self._watch_number += 1
        watch = self.watches[order.cl_ord_id] = Watch(order.cl_ord_id, self.ctx.now_ns, self._watch_number)
        return watch

    def arm(self, watch: Watch, order: Order) -> None:
        """Set the timer of the next question."""
        if watch.timer is not None:
            watch.timer.cancel()
        delay_ns = next_query_in(watch, order, self.ctx.now_ns)
        watch.timer = self.ctx.after(delay_ns, AskOrder(watch.cl_ord_id, watch.number))

    def drop_watch(self, cl_ord_id: ClOrdID) -> None:
        """Nothing is to be asked any more."""
        watch = self.watches.pop(cl_ord_id, None)
        if watch is not None and watch.timer is not None:
            watch.timer.cancel()

    def ask_once(self, order: Order) -> None:
        """Ask now, and again until there is an answer."""
        watch = self.watches.get(order.cl_ord_id) or self.open_watch(order)
        watch.once = True
        self._ask(order)
        self.arm(watch, order)

    def await_report(self, acknowledged: RequestAcknowledged) -> None:
        """See to it that a report follows."""
        if not self.awaited:
            self.ctx.after(self.settings.report_patience_ns, ReportsDue())
        self.awaited[acknowledged.cl_ord_id, acknowledged.amend] = acknowledged

    def _ask(self, order: Order) -> None:
        believed = BelievedOrder(order.cl_ord_id, order.order_id, order.symbol, order.cum_qty)
        self.ctx.send(self._reconciler, QueryOrder(believed, self.ctx.path))

    def meet_stranger(self, fill: ExecutionReport) -> None:
        """Keep a fill until its order is known, and ask whose it is."""
        key = (fill.symbol, fill.order_id)
        stranger = self.strangers.get(key)
        if stranger is None:
            stranger = self.strangers[key] = Stranger(*key)
            self.ask_about(stranger)
        if all(known.trade_id != fill.trade_id for known in stranger.fills):
            stranger.fills.append(fill)
        self.counts["stranger"] += 1

    def ask_about(self, stranger: Stranger) -> None:
        """Ask the venue for an order by the venue's id."""
        stranger.asked += 1
        believed = BelievedOrder(ClOrdID(""), stranger.order_id, stranger.symbol)
        self.ctx.send(self._reconciler, QueryOrder(believed, self.ctx.path))
        again = AskStranger(stranger.symbol, stranger.order_id)
        self.ctx.after(STEPS_NS[min(stranger.asked, len(STEPS_NS)) - 1], again)

    def ask_order(self, timer: AskOrder) -> None:
        """A watch's time has come."""
        watch = self.watches.get(timer.cl_ord_id)
        order = self.state.orders.by_cl_ord_id.get(timer.cl_ord_id)
        if watch is None or watch.number != timer.number:
            return
        if order is None:  # finished, and out of memory by now
            self.drop_watch(timer.cl_ord_id)
            return
        self._ask(order)
        self.arm(watch, order)

    def tidy(self, order: Order) -> None:
        """Drop what a change of the order has made needless."""
        cl_ord_id = order.cl_ord_id
        if order.finished_ns:
            self.cancelers.pop(cl_ord_id, None)
            self.amenders.pop(cl_ord_id, None)
        watch = self.watches.get(cl_ord_id)
        if watch is not None and not watch.is_needed(order):
            self.drop_watch(cl_ord_id)

    def stream_lost(self) -> None:
        """The private stream is down: what "not found" meant so far is no proof."""
        self.stream_up = False
        for watch in self.watches.values():
            watch.not_found = 0

    def check(self) -> None:
        """State and what stands beside it; InvariantViolation says what is wrong."""
        self.state.check()
        live = self.state.orders.live
        for cl_ord_id, watch in self.watches.items():
            order = self.state.orders.by_cl_ord_id.get(cl_ord_id)
            if order is None or not watch.is_needed(order) or watch.timer is None:
                raise InvariantViolation(f"watch of {cl_ord_id} without need: {watch}")
        for cl_ord_id, order in live.items():
            if order.in_doubt and cl_ord_id not in self.watches:
                raise InvariantViolation(f"order {cl_ord_id} is in doubt and nobody asks")
        for key, stranger in self.strangers.items():
            if key in self.state.orders.by_order_id or not stranger.fills:
                raise InvariantViolation(f"order {key} is known, and its fills wait: {stranger}")
        asked = {*self.cancelers, *self.amenders}
        if not asked <= set(live):
            raise InvariantViolation(f"cancels or amends of finished orders: {asked - set(live)}")
