"""Any interleaving, loss, duplication and reordering of venue events, and a crash between any two of them.

A naive model (`TinyVenue`) says what is true.  The world in between delivers its reports as hypothesis pleases; when
the faults stop, the account must agree with the venue in every order, fill and position, and its records must make the
same state again.
"""

from __future__ import annotations

from decimal import Decimal

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from actors.account.orders import Retention
from actors.account.settings import AccountSettings
from protocols.base import Message
from protocols.enums import DoubtReason, Side
from protocols.ids import ClOrdID
from protocols.orders import (
    AmendOrder,
    ExecutionReport,
    NewOrder,
    OrderInDoubt,
    RequestSent,
    SubmitAmend,
    SubmitOrder,
    SubmitReplace,
)
from protocols.reconcile import QueryFailed, ReconcileFailed
from tests.actors.account.rig import START_NS, STRATEGY_PATH, Request, Rig
from tests.actors.account.venue import ACCOUNT, MS, SYMBOL, VENUE

QTYS = st.sampled_from([Decimal("0.1"), Decimal("0.3"), Decimal("0.5"), Decimal(1)])
PRICES = st.sampled_from([Decimal(90), Decimal("99.5"), Decimal(100), Decimal("110.25")])
SIDES = st.sampled_from(list(Side))
FEES = st.sampled_from(
    [(Decimal(0), ""), (Decimal("0.001"), "BTC"), (Decimal("0.1"), "USDT"), (Decimal("0.01"), "BNB")]
)

SMALL = AccountSettings(snapshot_records=7, snapshot_interval_ns=0)


class AnyWeather(RuleBasedStateMachine):
    """`mail` is what the venue said and nobody has delivered yet."""

    def __init__(self) -> None:
        super().__init__()
        self.rig = Rig(SMALL)
        self.mail: list[Message] = []
        self.manual = 0

    @initialize()
    def connect(self) -> None:
        self.rig.up()

    # ---- what we do --------------------------------------------------------------------------------------------

    @rule(qty=QTYS, px=PRICES, side=SIDES)
    def new_order(self, qty: Decimal, px: Decimal, side: Side) -> None:
        self.rig.new_order(str(qty), str(px), side)

    @precondition(lambda self: self.live())
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.rig.cancel(data.draw(st.sampled_from(self.live())))

    @precondition(lambda self: self.live())
    @rule(data=st.data(), share=st.sampled_from([Decimal("0.5"), Decimal("0.8")]))
    def amend(self, data: st.DataObject, share: Decimal) -> None:
        order = data.draw(st.sampled_from(self.live()))
        self.rig.tell(AmendOrder(order.cl_ord_id, ACCOUNT, VENUE, SYMBOL, order.order_qty * share, STRATEGY_PATH))

    @precondition(lambda self: self.live())
    @rule(data=st.data(), share=st.sampled_from([Decimal("0.5"), Decimal(1), Decimal(2)]), px=PRICES)
    def change(self, data: st.DataObject, share: Decimal, px: Decimal) -> None:
        order = data.draw(st.sampled_from(self.live()))
        self.rig.change(order, str(order.order_qty * share), str(px))

    @precondition(lambda self: self.live())
    @rule(data=st.data(), qty=QTYS, px=PRICES)
    def replace(self, data: st.DataObject, qty: Decimal, px: Decimal) -> None:
        order = data.draw(st.sampled_from(self.live()))
        self.rig.replace(order, str(qty), str(px))

    # ---- what the wire does ------------------------------------------------------------------------------------

    @precondition(lambda self: self.rig.requests)
    @rule()
    def arrive(self) -> None:
        request = self.rig.requests.pop(0)
        now_ns = self.rig.ctx.now_ns
        for cl_ord_id, _, _ in self.about(request):
            self.rig.tell(RequestSent(cl_ord_id, now_ns, now_ns + 15_000 * MS))
        self.mail += self.rig.process(request)

    @precondition(lambda self: self.rig.requests)
    @rule()
    def lose_request(self) -> None:
        """It left and never arrived: order entry sees no reply."""
        self.no_reply(self.rig.requests.pop(0))

    @precondition(lambda self: self.rig.requests)
    @rule()
    def lose_reply(self) -> None:
        """It arrived, the reply is lost: in doubt, and the stream may still tell."""
        request = self.rig.requests.pop(0)
        self.mail += self.rig.process(request)
        self.no_reply(request)

    @precondition(lambda self: self.mail)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        self.rig.tell(self.mail.pop(data.draw(st.integers(0, len(self.mail) - 1))))

    @precondition(lambda self: self.mail)
    @rule(data=st.data())
    def deliver_and_keep(self, data: st.DataObject) -> None:
        """A duplicate will come."""
        self.rig.tell(data.draw(st.sampled_from(self.mail)))

    @precondition(lambda self: self.mail)
    @rule(data=st.data())
    def lose_mail(self, data: st.DataObject) -> None:
        self.mail.pop(data.draw(st.integers(0, len(self.mail) - 1)))

    # ---- what the venue does -----------------------------------------------------------------------------------

    @precondition(lambda self: self.theirs())
    @rule(data=st.data(), px=PRICES, fee=FEES, whole=st.booleans())
    def fill(self, data: st.DataObject, px: Decimal, fee: tuple[Decimal, str], whole: bool) -> None:
        cl_ord_id = data.draw(st.sampled_from(self.theirs()))
        order = self.rig.venue.orders[cl_ord_id]
        rest = order.order_qty - order.cum_qty
        self.mail.append(self.rig.venue.fill(cl_ord_id, rest if whole else rest / 2, px, *fee))

    @precondition(lambda self: self.theirs())
    @rule(data=st.data())
    def expire(self, data: st.DataObject) -> None:
        report = self.rig.venue.expire(data.draw(st.sampled_from(self.theirs())))
        assert report is not None
        self.mail.append(report)

    @rule(qty=QTYS, side=SIDES)
    def by_hand(self, qty: Decimal, side: Side) -> None:
        """The owner trades too."""
        self.manual += 1
        self.mail.append(self.rig.venue.place_by_hand(f"web-{self.manual}", side, qty, Decimal(100)))

    # ---- time and faults ---------------------------------------------------------------------------------------

    @rule(seconds=st.integers(1, 20))
    def wait(self, seconds: int) -> None:
        self.rig.advance(seconds)

    @precondition(lambda self: self.rig.queries)
    @rule(fails=st.booleans())
    def answer_query(self, fails: bool) -> None:
        query = self.rig.queries.pop(0)
        self.rig.tell(QueryFailed(query.order.cl_ord_id, "503") if fails else self.rig.answer_query(query))

    @precondition(lambda self: self.rig.reconciles)
    @rule(fails=st.booleans())
    def answer_reconcile(self, fails: bool) -> None:
        request = self.rig.reconciles.pop(0)
        self.rig.tell(ReconcileFailed(request.attempt, "503") if fails else self.rig.picture(request))

    @precondition(lambda self: self.rig.reconciles)
    @rule()
    def slow_reconcile(self) -> None:
        """The picture is taken now and delivered after everything that the venue says until then."""
        self.mail.append(self.rig.picture(self.rig.reconciles.pop(0)))

    @rule()
    def reconnect(self) -> None:
        self.rig.down()
        self.rig.up()

    @rule()
    def lose_stream(self) -> None:
        self.rig.down()

    @rule()
    def crash(self) -> None:
        self.rig.assert_replays()
        self.rig.crash()

    # ---- what must hold in the end -----------------------------------------------------------------------------

    def teardown(self) -> None:
        self.mail.clear()  # the stream was cut: what was on its way is lost
        self.rig.down()
        self.rig.up()
        self.rig.settle(45)
        self.rig.assert_as_the_venue_says()
        self.rig.assert_replays()
        assert not any(order.in_doubt for order in self.rig.state.orders.live.values()), "doubt ends (I21)"
        assert not self.rig.actor.core.watches
        assert not self.rig.actor.core.strangers
        self.rig.down()
        self.rig.up()
        self.rig.assert_as_the_venue_says()

    # ---- helpers -----------------------------------------------------------------------------------------------

    def live(self) -> list[NewOrder]:
        return [order.request for order in self.rig.state.orders.live.values()]

    def about(self, request: Request) -> list[tuple[ClOrdID, bool, int]]:
        """The orders of a request: for each whether it is a cancel (or an amend), and which amend."""
        if isinstance(request, SubmitOrder):
            return [(request.order.cl_ord_id, False, 0)]
        if isinstance(request, SubmitReplace):
            assert request.order.orig_cl_ord_id is not None
            return [(request.order.orig_cl_ord_id, True, 0), (request.order.cl_ord_id, False, 0)]
        return [(request.cl_ord_id, True, request.number if isinstance(request, SubmitAmend) else 0)]

    def no_reply(self, request: Request) -> None:
        now_ns = self.rig.ctx.now_ns
        for cl_ord_id, cancel, number in self.about(request):
            settles_ns = now_ns + 15_000 * MS
            self.rig.tell(OrderInDoubt(cl_ord_id, cancel, DoubtReason.NO_REPLY, now_ns, settles_ns, number))

    def theirs(self) -> list[ClOrdID]:
        return [order.cl_ord_id for order in self.rig.venue.orders.values() if order.is_live]


TestAnyWeather = AnyWeather.TestCase
TestAnyWeather.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


@st.composite
def days(draw: st.DrawFn) -> list[ExecutionReport]:
    """Reports of a few orders as the venue made them, in its order; all orders are over in the end."""
    rig = Rig()
    reports: list[ExecutionReport] = []
    for number in range(draw(st.integers(1, 3))):
        name = f"w{number}"
        qty, side = draw(QTYS), draw(SIDES)
        reports.append(rig.venue.place_by_hand(name, side, qty, Decimal(100)))
        for _ in range(draw(st.integers(0, 3))):
            order = rig.venue.orders[ClOrdID(name)]
            reports.append(rig.venue.fill(name, (order.order_qty - order.cum_qty) / 2, draw(PRICES), *draw(FEES)))
        end = draw(st.sampled_from(["fill", "cancel", "expire"]))
        if end == "fill":
            order = rig.venue.orders[ClOrdID(name)]
            reports.append(rig.venue.fill(name, order.order_qty - order.cum_qty, draw(PRICES), *draw(FEES)))
        else:
            ended = rig.venue.cancel(name) if end == "cancel" else rig.venue.expire(name)
            assert ended is not None
            reports.append(ended)
    return reports


def facts(rig: Rig) -> tuple[object, ...]:
    """Everything but the account's own bookkeeping of when it heard what."""
    orders = sorted(
        (o.cl_ord_id, o.ord_status.value, o.order_id, o.order_qty, o.cum_qty, o.cum_quote)
        for o in rig.state.orders.by_cl_ord_id.values()
    )
    positions = sorted(
        (p.symbol, p.strategy, p.qty, p.avg_px, p.realized, p.fees) for p in rig.state.ledger.positions()
    )
    return (*orders, *positions)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_every_order_of_delivery_gives_the_same_final_state(data: st.DataObject) -> None:
    reports = data.draw(days())
    straight = Rig()
    straight.up()
    for report in reports:
        straight.tell(report)
    shuffled = data.draw(st.permutations(reports))
    again = data.draw(st.lists(st.sampled_from(reports), max_size=5))
    other = Rig()
    other.up()
    for report in [*shuffled, *again]:
        other.tell(report)
    assert facts(other) == facts(straight)
    assert not other.actor.core.watches, "nothing is left to ask"
    other.assert_replays()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_memory_stays_bounded_and_a_flood_of_old_reports_changes_nothing(data: st.DataObject) -> None:
    """Reports of orders and fills that fell out of memory are recognised as old and not applied again."""
    retention = Retention(finished_max=2, fills_max=3)
    rig = Rig(AccountSettings(retention=retention))
    rig.up()
    reports: list[ExecutionReport] = []
    for number in range(6):
        side = data.draw(SIDES)
        reports.append(rig.venue.place_by_hand(f"w{number}", side, Decimal(1), Decimal(100)))
        rig.tell(reports[-1])
        reports.append(rig.venue.fill(f"w{number}", Decimal(1), data.draw(PRICES)))
        rig.tell(reports[-1])
    before = rig.state.text()
    assert len(rig.state.orders.finished) == 2
    assert len(rig.state.orders.fills) == 3
    newest_forgotten = reports[-2 * 3 - 1]
    for report in data.draw(st.permutations(reports)):
        if report is not newest_forgotten:
            rig.tell(report)
    assert rig.state.text() == before
    assert rig.state.ledger.net_qty(SYMBOL) == sum((t.side.sign for t in rig.venue.trades), Decimal(0))


def test_crash_after_every_single_message_of_a_day_loses_and_doubles_nothing() -> None:
    """The same day again and again, with the crash one message later each time."""
    for crash_at in range(14):
        rig = Rig(SMALL)
        rig.up()
        step = 0

        def after(rig: Rig = rig, crash_at: int = crash_at) -> None:
            nonlocal step
            if step == crash_at:
                rig.crash()
                rig.up()
            step += 1

        first, second = rig.new_order("1"), rig.new_order("2", "101", Side.SELL)
        after()
        for order in (first, second):
            for message in rig.process(rig.requests.pop(0)):
                after()
                rig.tell(message)
                after()
            half = rig.venue.fill(order.cl_ord_id, order.order_qty / 2, Decimal(100), Decimal("0.001"), "BTC")
            after()
            rig.tell(half)
            after()
        rig.cancel(first)
        after()
        answers = rig.process(rig.requests.pop(0)) if rig.requests else []
        after()
        for message in answers:
            rig.tell(message)
        after()
        rig.settle(40)
        rig.down()
        rig.up()
        rig.assert_as_the_venue_says()
        rig.assert_replays()
        assert rig.now_ns >= START_NS
