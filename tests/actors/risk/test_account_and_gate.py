"""A gate and an account together, in any weather: what the gate counts is never less than what the venue may fill.

The account is the real one, with a journal and a venue around it (`tests.actors.account.rig`); the gate is the real
one.  Between them are two mailboxes that are read when hypothesis pleases.  Orders are placed, amended through the
gate and past it, replaced, canceled, filled; requests and answers are lost, late and double; account and gate crash.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal

import attrs
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.risk.gate import RiskGate
from actors.risk.limits import AccountLimits, SymbolLimits
from protocols.base import Message
from protocols.enums import CxlRejReason, DoubtReason, OrdRejReason, OrdType, Side
from protocols.ids import ClOrdID
from protocols.market import Quote
from protocols.orders import (
    AmendClosed,
    AmendOrder,
    ExecutionReport,
    NewOrder,
    OrderInDoubt,
    OrderRefused,
    RiskApproved,
    RiskApprovedAmend,
    SubmitAmend,
    SubmitCancel,
    SubmitOrder,
    SubmitReplace,
    account_gate,
    refuse,
    refuse_amend,
)
from protocols.positions import AccountPicture, AccountQuery, AccountResynced
from protocols.reconcile import OrderFound, Reconciled, ReconcileFailed
from supervisors.actor import Up
from tests.actors.account.rig import BTCUSDT, PRIVATE, START_NS, STRATEGY, STRATEGY_PATH, Request, Rig
from tests.actors.account.test_any_weather import SMALL
from tests.actors.account.venue import ACCOUNT, MS, SYMBOL, VENUE, VenueOrder

QTYS = st.sampled_from([Decimal(1), Decimal(2), Decimal(4)])
PRICES = st.sampled_from([Decimal(98), Decimal(100), Decimal(102)])
SIDES = st.sampled_from(list(Side))
GATE = account_gate(ACCOUNT)
ZERO = Decimal(0)
MAX_POSITION = Decimal(20)
SECOND_NS = 1_000 * MS
LIMITS = AccountLimits(
    max_order_notional=Decimal(10**6),
    max_position_notional=Decimal(10**7),
    max_exposure=Decimal(10**7),
    max_open_orders=1_000,
    max_orders_per_s=10**6,
    max_orders_per_minute=10**6,
    max_orders_per_day=10**6,
    max_repeats=10**6,
    price_band=Decimal("0.5"),
    max_quote_age_ns=10**18,
    symbols={SYMBOL: SymbolLimits(max_order_qty=Decimal(10), max_position_qty=MAX_POSITION)},
)


class AccountAndGate(RuleBasedStateMachine):
    """See the module text."""

    def __init__(self) -> None:
        super().__init__()
        self.rig = Rig(SMALL)
        self.mail: list[Message] = []
        """What the venue said and nobody has delivered yet."""
        self.to_account: deque[RiskApproved | RiskApprovedAmend] = deque()
        self.to_gate: deque[Message] = deque()
        self.arrived_ns = START_NS

    @initialize()
    def connect(self) -> None:
        self.gate = self.fresh_gate()
        self.rig.up()
        self.collect()
        for side in Side:
            self.resting(Decimal(2), Decimal(98 if side is Side.BUY else 102), side)

    @precondition(lambda self: len(self.theirs()) < 4 and self.rig.ctx.ready)
    @rule(qty=QTYS, px=PRICES, side=SIDES)
    def resting(self, qty: Decimal, px: Decimal, side: Side) -> None:
        """An order comes to rest as on most days."""
        self.place(qty, px, side)
        self.all_is_well()

    @rule()
    def all_is_well(self) -> None:
        """Everybody reads and answers what there is at once."""
        while self.to_account:
            self.account_reads()
        while self.rig.requests:
            self.mail += self.rig.process(self.rig.requests.pop(0))
        while self.mail:
            self.tell(self.mail.pop(0))
        while self.to_gate:
            self.gate_hears(self.to_gate.popleft())

    def fresh_gate(self) -> RiskGate:
        gate = RiskGate("main", LIMITS)
        gate.exposure.set_instrument(BTCUSDT)
        quote = Quote(VENUE, SYMBOL, Decimal(99), Decimal(5), Decimal(101), Decimal(5), START_NS, START_NS, 1, True)
        gate.exposure.set_quote(quote, START_NS, 10**10)
        return gate

    # ---- the two mailboxes -------------------------------------------------------------------------------------

    def tell(self, message: Message) -> None:
        """To the account; what sessions hear is stamped when they hear it."""
        if isinstance(message, ExecutionReport):
            message = self.stamped(message)
        elif isinstance(message, Reconciled):
            message = attrs.evolve(
                message,
                open_orders=tuple(map(self.stamped, message.open_orders)),
                statuses=tuple(map(self.stamped, message.statuses)),
                fills=tuple(map(self.stamped, message.fills)),
            )
        elif isinstance(message, OrderFound):
            fills = tuple(map(self.stamped, message.fills))
            message = attrs.evolve(message, report=self.stamped(message.report), fills=fills)
        self.rig.tell(message)
        self.collect()

    def stamped(self, report: ExecutionReport) -> ExecutionReport:
        self.arrived_ns = max(self.arrived_ns + 1, self.rig.ctx.now_ns)
        return attrs.evolve(report, received_ns=self.arrived_ns)

    def collect(self) -> None:
        """What the account sent to its gate is in the gate's mailbox."""
        for to, message in self.rig.told:
            if to == GATE:
                self.to_gate.append(message)
        self.rig.told.clear()

    @precondition(lambda self: self.to_gate)
    @rule(count=st.integers(1, 6))
    def gate_reads(self, count: int) -> None:
        for _ in range(min(count, len(self.to_gate))):
            self.gate_hears(self.to_gate.popleft())

    def gate_hears(self, message: Message) -> None:
        exposure = self.gate.exposure
        if isinstance(message, ExecutionReport):
            exposure.report(message)
        elif isinstance(message, OrderRefused):
            exposure.release(message.cl_ord_id)
        elif isinstance(message, AmendClosed):
            exposure.close_amend(message)
        elif isinstance(message, AccountResynced):
            exposure.rebuild(message.picture, message.picture.taken_ns)

    @precondition(lambda self: self.to_account)
    @rule()
    def account_reads(self) -> None:
        """What the gate let pass arrives, or is refused by the runtime while the account is not ready."""
        approved = self.to_account.popleft()
        if self.rig.ctx.ready:
            self.tell(approved)
        elif isinstance(approved, RiskApproved):
            self.to_gate += [m for to, m in refuse(approved.order, OrdRejReason.NOT_READY, "") if to == GATE]
        else:
            told = refuse_amend(approved.amend, CxlRejReason.NOT_READY, "", (GATE,))
            self.to_gate += [m for to, m in told if to == GATE]

    # ---- what a strategy does ----------------------------------------------------------------------------------

    @rule(qty=QTYS, px=PRICES, side=SIDES)
    def place(self, qty: Decimal, px: Decimal, side: Side) -> None:
        self.ask(self.an_order(qty, px, side, None))

    def an_order(self, qty: Decimal, px: Decimal, side: Side, orig: ClOrdID | None) -> NewOrder:
        return NewOrder(
            self.rig.ids.next(),
            ACCOUNT,
            STRATEGY,
            VENUE,
            SYMBOL,
            side,
            OrdType.LIMIT,
            qty,
            px,
            self.rig.ctx.now_ns,
            STRATEGY_PATH,
            orig_cl_ord_id=orig,
        )

    def ask(self, order: NewOrder) -> None:
        if self.gate.decide(order, self.rig.ctx.now_ns, 10**10) is None:
            self.to_account.append(RiskApproved(order))

    @precondition(lambda self: self.live())
    @rule(data=st.data(), qty=QTYS, px=PRICES, read=st.booleans())
    def replace(self, data: st.DataObject, qty: Decimal, px: Decimal, read: bool) -> None:
        old = data.draw(st.sampled_from(self.live()))
        self.ask(self.an_order(qty, px, old.side, old.cl_ord_id))
        if read and self.to_account:
            self.account_reads()

    @precondition(lambda self: self.live())
    @rule(
        data=st.data(),
        share=st.sampled_from(["0.5", "1", "1.5", "2"]),
        px=st.one_of(st.none(), PRICES),
        read=st.booleans(),
    )
    def amend(self, data: st.DataObject, share: str, px: Decimal | None, read: bool) -> None:
        order = data.draw(st.sampled_from(self.live()))
        amend = self.an_amend(order, order.order_qty * Decimal(share), px, self.rig.ids.next())
        if self.gate.decide_amend(amend, self.rig.ctx.now_ns, 10**10) is None:
            self.to_account.append(RiskApprovedAmend(amend))
        if read and self.to_account:
            self.account_reads()

    @precondition(lambda self: self.live() and self.rig.ctx.ready)
    @rule(data=st.data(), share=st.sampled_from(["0.5", "0.75"]))
    def reduce(self, data: st.DataObject, share: str) -> None:
        order = data.draw(st.sampled_from(self.live()))
        self.tell(self.an_amend(order, order.order_qty * Decimal(share), None, ""))

    def an_amend(self, order: NewOrder, qty: Decimal, px: Decimal | None, request_id: str) -> AmendOrder:
        now_ns = self.rig.ctx.now_ns
        return AmendOrder(order.cl_ord_id, ACCOUNT, VENUE, SYMBOL, qty, STRATEGY_PATH, px, request_id, STRATEGY, now_ns)

    @precondition(lambda self: self.live())
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.rig.cancel(data.draw(st.sampled_from(self.live())))
        self.collect()

    # ---- what the wire does ------------------------------------------------------------------------------------

    @precondition(lambda self: self.rig.requests)
    @rule(reply=st.sampled_from(["comes", "comes", "is late", "is lost", "never arrived"]))
    def arrive(self, reply: str) -> None:
        """The reply is what comes by order entry; what the stream says comes on its own."""
        request = self.rig.requests.pop(0)
        answers = self.rig.process(request) if reply != "never arrived" else []
        if reply == "is lost":
            answers = [answer for answer in answers if isinstance(answer, ExecutionReport)]
        self.mail += answers
        if reply != "comes":
            self.no_reply(request)

    def no_reply(self, request: Request) -> None:
        now_ns = self.rig.ctx.now_ns
        settles_ns = now_ns + 15 * SECOND_NS
        halves: list[tuple[ClOrdID, bool, int]]
        if isinstance(request, SubmitOrder):
            halves = [(request.order.cl_ord_id, False, 0)]
        elif isinstance(request, SubmitReplace):
            halves = [(request.order.orig_cl_ord_id or ClOrdID(""), True, 0), (request.order.cl_ord_id, False, 0)]
        elif isinstance(request, SubmitAmend):
            halves = [(request.cl_ord_id, True, request.number)]
        else:
            halves = [(request.cl_ord_id, True, 0)]
        for cl_ord_id, cancel, number in halves:
            self.tell(OrderInDoubt(cl_ord_id, cancel, DoubtReason.NO_REPLY, now_ns, settles_ns, number))

    @precondition(lambda self: self.mail)
    @rule(data=st.data(), keep=st.booleans())
    def deliver(self, data: st.DataObject, keep: bool) -> None:
        """In any order, and perhaps again later."""
        place = data.draw(st.integers(0, len(self.mail) - 1))
        self.tell(self.mail[place] if keep else self.mail.pop(place))

    @precondition(lambda self: self.mail)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        self.mail.pop(data.draw(st.integers(0, len(self.mail) - 1)))

    # ---- what the venue does -----------------------------------------------------------------------------------

    @precondition(lambda self: self.theirs())
    @rule(data=st.data(), part=st.sampled_from(["0.5", "1"]))
    def fill(self, data: st.DataObject, part: str) -> None:
        order = data.draw(st.sampled_from(self.theirs()))
        qty = (order.order_qty - order.cum_qty) * Decimal(part)
        self.mail.append(self.rig.venue.fill(order.cl_ord_id, qty, order.price or Decimal(100)))

    @precondition(lambda self: self.theirs())
    @rule(data=st.data())
    def expire(self, data: st.DataObject) -> None:
        report = self.rig.venue.expire(data.draw(st.sampled_from(self.theirs())).cl_ord_id)
        assert report is not None
        self.mail.append(report)

    # ---- time and faults ---------------------------------------------------------------------------------------

    @rule(seconds=st.integers(1, 20))
    def wait(self, seconds: int) -> None:
        """No request is on its way for longer than the venue would take it."""
        while self.rig.requests:
            self.no_reply(self.rig.requests.pop(0))
        self.rig.advance(seconds)
        self.collect()

    @precondition(lambda self: self.rig.queries)
    @rule()
    def answer_query(self) -> None:
        self.tell(self.rig.answer_query(self.rig.queries.pop(0)))

    @precondition(lambda self: self.rig.reconciles)
    @rule(fails=st.booleans())
    def answer_reconcile(self, fails: bool) -> None:
        request = self.rig.reconciles.pop(0)
        self.tell(ReconcileFailed(request.attempt, "503") if fails else self.rig.picture(request))

    @rule(kind=st.sampled_from(["stream", "account", "gate"]))
    def fault(self, kind: str) -> None:
        if kind == "stream":
            self.reconnect()
        elif kind == "account":
            self.account_crashes()
        else:
            self.gate_crashes()

    def reconnect(self) -> None:
        self.rig.down()
        self.rig.tell(Up(PRIVATE, 1))
        self.reconcile()

    def reconcile(self) -> None:
        request = self.rig.reconciles[-1]
        self.rig.reconciles.clear()
        self.tell(self.rig.picture(request))

    def account_crashes(self) -> None:
        self.rig.assert_replays()
        self.rig.crash()
        self.collect()
        self.rig.tell(Up(PRIVATE, 1))

    def gate_crashes(self) -> None:
        """It comes back with the account's picture, after everything that it had let pass; its mail waits for it."""
        while self.to_account:
            self.account_reads()
        self.gate = self.fresh_gate()
        picture = self.rig.actor.answer(AccountQuery(unproven=True))
        assert isinstance(picture, AccountPicture)
        self.gate.exposure.rebuild(picture, picture.taken_ns)

    # ---- what must hold ----------------------------------------------------------------------------------------

    @invariant()
    def the_gate_counts_all_that_may_be_filled(self) -> None:
        if not hasattr(self, "gate"):
            return
        venue = self.rig.venue
        held = sum((trade.side.sign * trade.last_qty for trade in venue.trades), ZERO)
        for side in Side:
            worst = side.sign * held + sum(self.may_fill(side).values(), ZERO)
            row = self.gate.exposure.row(ACCOUNT, self.gate.exposure.market(VENUE, SYMBOL))
            leg = row.buy if side is Side.BUY else row.sell
            assert leg.net >= worst, f"{side.value}: the gate counts {leg.net}, {worst} may be"
            assert worst <= MAX_POSITION

    def may_fill(self, side: Side) -> dict[ClOrdID, Decimal]:
        """What each order may still trade: as it is at the venue, or as a request on its way would make it."""
        leaves = {order.cl_ord_id: order.order_qty - order.cum_qty for order in self.theirs() if order.side is side}
        at_venue = {order.cl_ord_id: order for order in self.theirs()}
        for request in self.rig.requests:
            if isinstance(request, SubmitCancel):
                continue
            if isinstance(request, SubmitAmend):
                order = at_venue.get(request.cl_ord_id)
                if order is not None and order.side is side:
                    left = request.order_qty - order.cum_qty
                    leaves[order.cl_ord_id] = max(leaves[order.cl_ord_id], left)
            elif isinstance(request, SubmitReplace) and request.order.orig_cl_ord_id not in at_venue:
                continue  # nothing is made in place of an order that is over
            elif request.order.side is side:
                leaves[request.order.cl_ord_id] = request.order.order_qty
        return leaves

    def teardown(self) -> None:
        self.mail.clear()
        while self.to_account:
            self.account_reads()
        self.rig.down()
        self.rig.tell(Up(PRIVATE, 1))
        self.reconcile()
        for _ in range(45):
            while self.rig.requests:
                for answer in self.rig.process(self.rig.requests.pop(0)):
                    self.tell(answer)
            while self.rig.queries:
                self.tell(self.rig.answer_query(self.rig.queries.pop(0)))
            if self.rig.reconciles:
                self.reconcile()
            self.rig.advance(1)
            self.collect()
        self.rig.assert_as_the_venue_says()
        self.rig.assert_replays()
        while self.to_gate:
            self.gate_hears(self.to_gate.popleft())
            self.the_gate_counts_all_that_may_be_filled()
        self.the_gate_counts_exactly_what_is()

    def the_gate_counts_exactly_what_is(self) -> None:
        """Once everything is heard, nothing stays reserved for what is over."""
        exposure = self.gate.exposure
        theirs = {order.cl_ord_id: order for order in self.theirs()}
        assert set(exposure.orders) == set(theirs)
        for key, live in exposure.orders.items():
            order = theirs[ClOrdID(key)]
            assert live.amend is None
            assert (live.order_qty, live.cum_qty, live.resting_px) == (order.order_qty, order.cum_qty, order.price)
        row = exposure.row(ACCOUNT, exposure.market(VENUE, SYMBOL))
        for side, leg in ((Side.BUY, row.buy), (Side.SELL, row.sell)):
            leaves = [order.order_qty - order.cum_qty for order in theirs.values() if order.side is side]
            assert leg.qty == sum(leaves, ZERO)

    # ---- helpers -----------------------------------------------------------------------------------------------

    def live(self) -> list[NewOrder]:
        return [order.request for order in self.rig.state.orders.live.values()]

    def theirs(self) -> list[VenueOrder]:
        return [order for order in self.rig.venue.orders.values() if order.is_live]


AccountAndGate.TestCase.settings = settings(
    max_examples=120, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAccountAndGate = pytest.mark.req("R038")(AccountAndGate.TestCase)
