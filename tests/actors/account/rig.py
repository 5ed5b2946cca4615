"""An account actor with a journal, a venue and listeners around it, driven by hand.

The journal keeps records in memory and delivers `forward`; what goes to the venue waits in `requests` until the test
lets it arrive.  `crash` throws the actor away and makes a new one from the journal, as its supervisor would.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import attrs
import trio

from actors.account.actor import AccountActor
from actors.account.settings import SECOND, AccountSettings
from actors.account.state import AccountState
from actors.journal.records import decode_line, encode_line
from protocols.base import Message
from protocols.enums import DoubtReason, ExecType, OrdRejReason, OrdStatus, OrdType, Side
from protocols.ids import ClOrdIDs, Path, StrategyID
from protocols.instruments import Instrument, InstrumentStatus, PriceStep, Product
from protocols.journal import (
    JOURNAL,
    Append,
    AppendRefused,
    OrderClosed,
    Record,
    ReplayAnswer,
    ReplayQuery,
    StateSnapshot,
    needs_disk,
)
from protocols.orders import (
    AmendOrder,
    CancelOrder,
    ExecutionReport,
    NewOrder,
    OrderInDoubt,
    OrderNotFound,
    RiskApproved,
    RiskApprovedAmend,
    SubmitAmend,
    SubmitCancel,
    SubmitOrder,
    SubmitReplace,
    VenueCancelReject,
    VenueReject,
    account_path,
)
from protocols.positions import Position
from protocols.reconcile import (
    OrderFound,
    QueryOrder,
    Reconcile,
    Reconciled,
    entry_path,
    private_path,
    reconciler_path,
)
from supervisors.actor import Down, Up
from supervisors.testing import RecordingContext
from tests.actors.account.venue import ACCOUNT, SYMBOL, VENUE, TinyVenue

START_NS = 1_700_000_000_000_000_000
STRATEGY = StrategyID("maker")
STRATEGY_PATH = "/strategies/maker"
ENTRY = entry_path(ACCOUNT, VENUE)
RECONCILER = reconciler_path(ACCOUNT, VENUE)
PRIVATE = private_path(ACCOUNT, VENUE)
PATH = account_path(ACCOUNT, VENUE)

BTCUSDT = Instrument(
    venue=VENUE,
    symbol=SYMBOL,
    product=Product.SPOT,
    base="BTC",
    quote="USDT",
    status=InstrumentStatus.TRADING,
    price_steps=(PriceStep(Decimal(0), Decimal("0.01")),),
    qty_step=Decimal("0.001"),
)


def dec(text: str | int) -> Decimal:
    """A Decimal, briefly."""
    return Decimal(text)


Request = SubmitOrder | SubmitCancel | SubmitAmend | SubmitReplace


class Rig:
    """See the module text.  `up()` brings the account to its ready gate with the venue's picture."""

    def __init__(
        self,
        settings: AccountSettings | None = None,
        *,
        strategies: Sequence[StrategyID] = (STRATEGY,),
        instruments: Sequence[Instrument] = (BTCUSDT,),
        venue: TinyVenue | None = None,
    ) -> None:
        self.settings = settings or AccountSettings()
        self._strategies, self._instruments = strategies, instruments
        self.venue = venue or TinyVenue(START_NS)
        self.records: list[Record] = []
        self.requests: list[Request] = []
        self.queries: list[QueryOrder] = []
        self.reconciles: list[Reconcile] = []
        self.told: list[tuple[Path, Message]] = []
        """Everything that strategies, gates and portfolio heard, in order."""
        self.refuse_intents = ""
        """Text of the journal's trouble; "" while it writes."""
        self.incarnations = 0
        self.ids = ClOrdIDs(ACCOUNT, STRATEGY, 1, 1)
        self.now_ns = START_NS
        self.start()

    # ---- life --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """A new incarnation, from what the journal has."""
        self.incarnations += 1
        self.actor = AccountActor(
            ACCOUNT, VENUE, (STRATEGY_PATH,), self.settings, strategies=self._strategies, instruments=self._instruments
        )
        self.ctx = RecordingContext(self.actor, PATH, self.now_ns)
        self.ctx.epoch = self.incarnations
        self.ctx.answers[ReplayQuery] = lambda path, query: replay_answer(self.records)
        trio.run(self.actor.started)
        self.pump()

    def crash(self) -> None:
        """The incarnation is gone; what it had sent is not."""
        self.now_ns = self.ctx.now_ns
        self.start()

    def up(self) -> None:
        """The private stream is there; the venue's picture comes at once."""
        self.tell(Up(PRIVATE, 1))
        self.reconcile()

    def down(self) -> None:
        self.tell(Down(PRIVATE, 1, "connection lost"))

    @property
    def state(self) -> AccountState:
        return self.actor.core.state

    # ---- messages ----------------------------------------------------------------------------------------------

    def tell(self, message: Message, sender: Path = "/test") -> None:
        """One message to the account, and everything that follows from it inside the engine."""
        self.ctx.sender = sender
        self.actor.receive(message)
        self.pump()
        self.actor.check_invariants()

    def pump(self) -> None:
        """Deliver what the account sent: to the journal, and from there onwards."""
        while self.ctx.sent:
            for to, message in self.ctx.take():
                if to == JOURNAL:
                    assert isinstance(message, Append)
                    self._journal(message)
                else:
                    self._deliver(to, message)

    def _journal(self, append: Append) -> None:
        if self.refuse_intents and any(needs_disk(record) for record in append.records):
            self.actor.receive(AppendRefused(append.records, self.refuse_intents))
            return
        self.records.extend(append.records)
        for to, message in append.forward:
            self._deliver(to, message)

    def _deliver(self, to: Path, message: Message) -> None:
        if isinstance(message, Request):
            assert to == ENTRY
            self.requests.append(message)
        elif isinstance(message, QueryOrder):
            assert to == RECONCILER
            self.queries.append(message)
        elif isinstance(message, Reconcile):
            assert to == RECONCILER
            self.reconciles.append(message)
        else:
            self.told.append((to, message))

    def heard(self, path: Path, kind: type[Message]) -> list[Message]:
        """What one listener got of one kind."""
        return [message for to, message in self.told if to == path and isinstance(message, kind)]

    def advance(self, seconds: int) -> None:
        """Let time pass, second by second, with everything that timers do."""
        for _ in range(seconds):
            self.ctx.advance(SECOND)
            self.venue.now_ns = max(self.venue.now_ns, self.ctx.now_ns)
            self.pump()
            self.actor.check_invariants()

    # ---- orders ------------------------------------------------------------------------------------------------

    def new_order(self, qty: str = "1", px: str = "100", side: Side = Side.BUY, **more: Any) -> NewOrder:
        """An order of the strategy, approved by the gates."""
        order = NewOrder(
            self.ids.next(),
            ACCOUNT,
            STRATEGY,
            VENUE,
            SYMBOL,
            side,
            OrdType.LIMIT,
            Decimal(qty),
            Decimal(px),
            self.ctx.now_ns,
            STRATEGY_PATH,
        )
        order = attrs.evolve(order, **more) if more else order
        self.tell(RiskApproved(order))
        return order

    def placed(self, qty: str = "1", px: str = "100", side: Side = Side.BUY) -> NewOrder:
        """An order that the venue has accepted and we know it."""
        order = self.new_order(qty, px, side)
        self.tell(self.arrive())
        return order

    def arrive(self) -> ExecutionReport:
        """The oldest request reaches the venue, which must be a new order; its report is not delivered yet."""
        request = self.requests.pop(0)
        assert isinstance(request, SubmitOrder)
        return self.venue.place(request.order)

    def process(self, request: Request) -> list[Message]:
        """The venue handles a request; what it would answer."""
        if isinstance(request, SubmitOrder):
            return [self.venue.place(request.order)]
        if isinstance(request, SubmitReplace):
            return self._replaced(request)
        number = 0
        if isinstance(request, SubmitCancel):
            report = self.venue.cancel(request.cl_ord_id)
        else:
            number = request.number
            report = self.venue.amend(request.cl_ord_id, request.order_qty, request.price)
        if report is not None:
            return [report]
        order = self.venue.orders.get(request.cl_ord_id)
        gone = order is None or not order.is_live
        return [VenueCancelReject(request.cl_ord_id, "-2011", "Unknown order sent.", gone, number)]

    def _replaced(self, request: SubmitReplace) -> list[Message]:
        old = request.order.orig_cl_ord_id
        assert old is not None
        reports = self.venue.replace(old, request.order)
        if reports is not None:
            return list(reports)
        text = "not attempted: the old order could not be canceled"
        return [
            VenueCancelReject(old, "-2011", "Unknown order sent.", True),
            VenueReject(request.order.cl_ord_id, OrdRejReason.NOT_SENT, "", text),
        ]

    def cancel(self, order: NewOrder) -> None:
        self.tell(CancelOrder(order.cl_ord_id, ACCOUNT, VENUE, SYMBOL, STRATEGY_PATH))

    def amend(self, order: NewOrder, qty: str) -> None:
        self.tell(AmendOrder(order.cl_ord_id, ACCOUNT, VENUE, SYMBOL, Decimal(qty), STRATEGY_PATH))

    def change(self, order: NewOrder, qty: str, px: str | None = None) -> AmendOrder:
        """An amend that the gates have let pass."""
        price = None if px is None else Decimal(px)
        amend = AmendOrder(
            order.cl_ord_id,
            ACCOUNT,
            VENUE,
            SYMBOL,
            Decimal(qty),
            STRATEGY_PATH,
            price,
            self.ids.next(),
            STRATEGY,
            self.ctx.now_ns,
        )
        self.tell(RiskApprovedAmend(amend))
        return amend

    def replace(self, order: NewOrder, qty: str = "1", px: str = "101") -> NewOrder:
        """An order in place of another, approved by the gates."""
        return self.new_order(qty, px, order.side, orig_cl_ord_id=order.cl_ord_id)

    def status(self, order: NewOrder) -> OrdStatus:
        """Where we think that it stands."""
        return self.state.orders.by_cl_ord_id[order.cl_ord_id].ord_status

    def doubt(self, order: NewOrder, *, cancel: bool = False, amend: int = 0, settles_in_s: int = 15) -> None:
        """No reply came to the order, to its cancel or to the amend of this number."""
        now_ns = self.ctx.now_ns
        settles_ns = now_ns + settles_in_s * SECOND
        self.tell(OrderInDoubt(order.cl_ord_id, cancel or amend > 0, DoubtReason.NO_REPLY, now_ns, settles_ns, amend))

    # ---- the venue's answers -----------------------------------------------------------------------------------

    def answer_query(self, query: QueryOrder) -> Message:
        """What the reconciler would say now."""
        found = self.venue.status(query.order.cl_ord_id, query.order.order_id)
        if found is None:
            return OrderNotFound(query.order.cl_ord_id, self.ctx.now_ns)
        return OrderFound(found, self.venue.history(found.order_id) if found.cum_qty else ())

    def answer_queries(self) -> int:
        """Answer all that wait; how many."""
        queries, self.queries = self.queries, []
        for query in queries:
            self.tell(self.answer_query(query))
        return len(queries)

    def picture(self, request: Reconcile) -> Reconciled:
        """The venue's picture for a request."""
        venue = self.venue
        live = [order for order in venue.orders.values() if order.is_live]
        names = {order.cl_ord_id for order in live}
        statuses, not_found = [], []
        for believed in request.believed:
            if believed.cl_ord_id not in names:
                found = venue.status(believed.cl_ord_id, believed.order_id)
                if found is None:
                    not_found.append(OrderNotFound(believed.cl_ord_id, self.ctx.now_ns))
                else:
                    statuses.append(found)
        fills = [
            fill
            for since in request.fills_since
            for fill in venue.history(None, since.trade_id, 0 if since.trade_id else since.since_ns)
        ]
        return Reconciled(
            request.attempt,
            tuple(venue.report(order, ExecType.ORDER_STATUS) for order in live),
            tuple(statuses),
            tuple(not_found),
            tuple(fills),
            venue.balances(),
            self.ctx.now_ns,
        )

    def reconcile(self) -> None:
        """Answer the newest Reconcile."""
        request = self.reconciles[-1]
        self.reconciles.clear()
        self.tell(self.picture(request))

    def settle(self, seconds: int = 60) -> None:
        """The faults are over: requests arrive, queries are answered, time passes."""
        for _ in range(seconds):
            while self.requests:
                for message in self.process(self.requests.pop(0)):
                    self.tell(message)
            self.answer_queries()
            if self.reconciles:
                self.reconcile()
            self.advance(1)

    # ---- what must hold in the end -----------------------------------------------------------------------------

    def assert_as_the_venue_says(self) -> None:
        """Orders, fills, positions and balances of both sides are the same (I1, I2, I6, I7)."""
        venue, state = self.venue, self.state
        ended_by_us = {record.cl_ord_id for record in self.records if isinstance(record, OrderClosed)}
        for order in state.orders.by_cl_ord_id.values():
            theirs = venue.orders.get(order.cl_ord_id) or next(
                (known for known in venue.orders.values() if known.order_id == order.order_id), None
            )
            if theirs is None:
                assert order.is_final, f"{order.cl_ord_id} never arrived and is {order.ord_status}"
                assert not order.cum_qty
                continue
            assert order.cum_qty == theirs.cum_qty, order.cl_ord_id
            if order.cl_ord_id.startswith("x-"):
                continue  # found by its fills alone: its total, so its end, we never learned
            assert order.is_final == theirs.status.is_final, (order.cl_ord_id, order.ord_status, theirs.status)
            assert not order.is_final or order.ord_status is theirs.status or order.cl_ord_id in ended_by_us
            if theirs.is_live:
                assert (order.order_qty, order.price) == (theirs.order_qty, theirs.price), order.cl_ord_id
        for theirs in venue.orders.values():
            if not theirs.is_live and not theirs.fills and theirs.cl_ord_id not in venue.placed:
                continue  # the owner's own, gone before we saw it, and nothing traded
            assert state.orders.find(theirs.cl_ord_id, theirs.symbol, theirs.order_id) is not None, theirs
        assert len(venue.placed) == len(set(venue.placed))
        moved = sum((trade.side.sign * trade.last_qty for trade in venue.trades), Decimal(0))
        fees = sum((trade.fee for trade in venue.trades if trade.fee_asset == "BTC"), Decimal(0))
        assert state.ledger.net_qty(SYMBOL) == moved - fees

    def assert_replays(self) -> None:
        """The records give the live state, byte for byte: from the newest snapshot, and from the very first record."""
        live = self.state.text()
        assert rebuilt(replay_answer(self.records), self.settings).text() == live
        plain = [as_read_back(record) for record in self.records if not isinstance(record, StateSnapshot)]
        assert rebuilt(ReplayAnswer(1, None, tuple(plain)), self.settings).text() == live

    def last_position(self) -> Position:
        """The newest position that the portfolio heard."""
        position = self.heard("/portfolio", Position)[-1]
        assert isinstance(position, Position)
        return position


def as_read_back(record: Record) -> Record:
    """The record after a stay on the disk: a line of the journal, decoded again."""
    return decode_line(encode_line(1, 1, "account", "subject", record)).record


def replay_answer(records: Sequence[Record]) -> ReplayAnswer:
    """What the journal would answer: the newest snapshot and what came after it."""
    snapshot = None
    after: list[Record] = []
    for record in map(as_read_back, records):
        if isinstance(record, StateSnapshot):
            snapshot, after = record, []
        else:
            after.append(record)
    return ReplayAnswer(1, snapshot, tuple(after))


def rebuilt(answer: ReplayAnswer, settings: AccountSettings) -> AccountState:
    """A state from a journal's answer."""
    state = AccountState(ACCOUNT, VENUE, settings.retention)
    if answer.snapshot is not None:
        state.restore(answer.snapshot)
    for record in answer.records:
        state.apply(record)
    return state
