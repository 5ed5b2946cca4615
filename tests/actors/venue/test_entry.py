"""Order entry against the simulator: both paths, every way to lose an answer, and nothing ever sent twice."""

from __future__ import annotations

import random
from decimal import Decimal

import attrs
import pytest
import trio

from actors.venue.settings import MS, EntrySettings
from protocols.enums import DoubtReason, ExecType, OrdRejReason, OrdStatus, OrdType, Side
from protocols.ids import AccountID
from protocols.orders import (
    ExecutionReport,
    NotSent,
    OrderInDoubt,
    RequestSent,
    SubmitAmend,
    SubmitCancelAll,
    SubmitCancels,
    SubmitOrder,
    VenueCancelReject,
    VenueReject,
)
from protocols.reconcile import entry_path
from protocols.venue import SessionRules
from tests.actors.venue.spot import (
    ACCOUNT,
    BTC,
    CLOCK,
    ENTRY,
    MASTER,
    PRIVATE,
    SUB,
    VENUE,
    server,
    sessions,
    simulator_config,
)
from tools.simulator import Fault, FaultKind


@pytest.mark.req("R003", "R056", "R077", "R088", "R268")
@pytest.mark.parametrize("hmac", [False, True])
async def test_an_order_goes_over_the_socket_and_comes_back_as_reports(hmac: bool) -> None:
    async with sessions(only=(ENTRY,), hmac=hmac) as spot:
        await spot.trading()
        cl_ord_id = spot.submit(spot.order())
        sent = await spot.account.one(RequestSent)
        report = await spot.account.one(ExecutionReport)
        assert (sent.cl_ord_id, report.cl_ord_id) == (cl_ord_id, cl_ord_id)
        assert report.ord_status is OrdStatus.NEW
        assert sent.settles_ns > sent.sent_ns
        assert [order.cl_ord_id for order in spot.sim.open_orders("master")] == [cl_ord_id]
        spot.cancel(cl_ord_id)
        canceled = await spot.account.one(ExecutionReport, lambda each: each.exec_type is ExecType.CANCELED)
        assert canceled.cl_ord_id == cl_ord_id
        assert spot.sim.open_orders("master") == []
        assert spot.sim.arrivals(cl_ord_id).seen == 1
        assert spot.world.inspect(ENTRY)["by_rest"] == 0


async def test_the_fills_of_a_reply_come_before_its_report() -> None:
    async with sessions(only=(ENTRY,)) as spot:
        await spot.trading()
        spot.submit(spot.order(ord_type=OrdType.MARKET))
        last = await spot.account.one(ExecutionReport, lambda each: each.exec_type is not ExecType.TRADE)
        reports = spot.account.of(ExecutionReport)
        assert last.ord_status is OrdStatus.FILLED
        assert reports[-1] is last
        assert sum(each.last_qty for each in reports[:-1]) == last.cum_qty


async def test_a_reject_of_the_venue_is_said_with_its_reason() -> None:
    async with sessions(only=(ENTRY,)) as spot:
        await spot.trading()
        spot.submit(spot.order(qty="20"))
        rejected = await spot.account.one(VenueReject)
        assert rejected.reason is OrdRejReason.INSUFFICIENT_BALANCE
        spot.cancel(spot.ids.next())
        assert (await spot.account.one(VenueCancelReject)).order_gone


@pytest.mark.req("R268")
async def test_an_amend_makes_the_order_smaller_and_a_cancel_of_all_ends_it() -> None:
    async with sessions(only=(ENTRY, PRIVATE)) as spot:
        await spot.trading()
        await spot.world.ready(PRIVATE)
        cl_ord_id = spot.submit(spot.order(qty="0.004"))
        order_id = (await spot.account.one(ExecutionReport)).order_id
        spot.world.tell(ENTRY, SubmitAmend(cl_ord_id, order_id, BTC, Decimal("0.003"), ACCOUNT))
        smaller = await spot.account.one(ExecutionReport, lambda each: each.order_qty == Decimal("0.003"))
        assert smaller.cl_ord_id == cl_ord_id
        spot.world.tell(ENTRY, SubmitCancelAll(BTC, ACCOUNT))
        await spot.account.one(ExecutionReport, lambda each: each.exec_type is ExecType.CANCELED)
        assert spot.sim.open_orders("master") == []


@pytest.mark.req("R005", "R007", "R008", "R057", "R089")
async def test_accounts_have_their_own_connections_and_no_order_reaches_another() -> None:
    """Two accounts trade at the same moment; one is killed again and again, the other does not notice."""
    both, other = (MASTER, SUB), entry_path(SUB, VENUE)
    async with sessions(only=(ENTRY, PRIVATE), accounts=both) as spot:
        await spot.trading()
        await spot.trading(other)
        placed: dict[AccountID, list[str]] = {account: [] for account in both}
        for number in range(12):
            for account in both:
                placed[account].append(spot.submit(spot.order(account=account)))
            if number % 3 == 2:
                await spot.world.kill(other)
                await spot.trading(other)
        for cl_ord_id in placed[MASTER]:
            await spot.account.one(ExecutionReport, lambda each, wanted=cl_ord_id: each.cl_ord_id == wanted)  # type: ignore[misc]
        for account in both:
            seen = {report.cl_ord_id for report in spot.accounts[account].of(ExecutionReport)}
            assert seen <= set(placed[account])
            assert {order.cl_ord_id for order in spot.sim.orders(account)} <= set(placed[account])
        assert spot.world.runtime.cell(ENTRY).epoch == 1
        assert spot.world.inspect(ENTRY)["losses"] == 0
        assert spot.world.runtime.cell(other).epoch == 5


# ---- answers that do not come -------------------------------------------------------------------------------------


@pytest.mark.req("R001", "R056")
async def test_a_reply_that_is_lost_puts_the_order_in_doubt_and_it_is_not_sent_again() -> None:
    settings = EntrySettings(reply_timeout_ns=200 * MS)
    async with sessions(only=(ENTRY,), entry=settings) as spot:
        await spot.trading()
        spot.sim.strike(Fault(kind=FaultKind.LOST_REPLY, match="order.place", count=1))
        cl_ord_id = spot.submit(spot.order())
        doubt = await spot.account.one(OrderInDoubt)
        assert (doubt.cl_ord_id, doubt.cancel, doubt.reason) == (cl_ord_id, False, DoubtReason.NO_REPLY)
        spot.world.tell(ENTRY, SubmitOrder(spot.order(), ACCOUNT))
        await spot.account.one(ExecutionReport)
        assert spot.sim.arrivals(cl_ord_id).seen == 1


async def test_a_late_reply_is_still_evidence() -> None:
    settings = EntrySettings(reply_timeout_ns=150 * MS)
    async with sessions(only=(ENTRY,), entry=settings) as spot:
        await spot.trading()
        spot.sim.strike(Fault(kind=FaultKind.DELAY_REPLY, match="order.place", delay_ms=500, count=1))
        cl_ord_id = spot.submit(spot.order())
        await spot.account.one(OrderInDoubt)
        report = await spot.account.one(ExecutionReport)
        assert report.cl_ord_id == cl_ord_id
        assert spot.world.inspect(ENTRY)["late"] == 1


@pytest.mark.req("R001")
@pytest.mark.parametrize("kind", [FaultKind.CUT_AFTER, FaultKind.CUT_BEFORE])
async def test_a_socket_cut_after_sending_leaves_doubt_and_no_second_request(kind: FaultKind) -> None:
    async with sessions(only=(ENTRY,)) as spot:
        await spot.trading()
        spot.sim.strike(Fault(kind=kind, match="order.place", count=1))
        cl_ord_id = spot.submit(spot.order())
        doubt = await spot.account.one(OrderInDoubt)
        assert (doubt.cl_ord_id, doubt.reason) == (cl_ord_id, DoubtReason.CONNECTION_LOST)
        await spot.trading()
        spot.submit(spot.order())
        await spot.account.one(ExecutionReport)
        arrivals = spot.sim.arrivals(cl_ord_id)
        assert arrivals.seen <= 1, "by REST it would have come a second time"
        assert arrivals.accepted == (1 if kind is FaultKind.CUT_AFTER else 0)


@pytest.mark.parametrize("kind", [FaultKind.ERROR_AFTER, FaultKind.TIMEOUT_EXECUTED])
async def test_an_answer_that_says_unknown_is_doubt(kind: FaultKind) -> None:
    async with sessions(only=(ENTRY,)) as spot:
        await spot.trading()
        spot.sim.strike(Fault(kind=kind, match="order.place", count=1, delay_ms=10))
        cl_ord_id = spot.submit(spot.order())
        doubt = await spot.account.one(OrderInDoubt)
        assert (doubt.cl_ord_id, doubt.reason) == (cl_ord_id, DoubtReason.VENUE_UNKNOWN)


async def test_a_cancel_that_timed_out_is_in_doubt_and_may_be_sent_again() -> None:
    settings = EntrySettings(reply_timeout_ns=150 * MS)
    async with sessions(only=(ENTRY,), entry=settings) as spot:
        await spot.trading()
        cl_ord_id = spot.submit(spot.order())
        await spot.account.one(ExecutionReport)
        spot.sim.strike(Fault(kind=FaultKind.LOST_REPLY, match="order.cancel", count=1))
        spot.cancel(cl_ord_id)
        doubt = await spot.account.one(OrderInDoubt)
        assert doubt.cancel
        spot.cancel(cl_ord_id)
        assert (await spot.account.one(VenueCancelReject)).order_gone, "the first one was carried out"


# ---- the second path ----------------------------------------------------------------------------------------------


@pytest.mark.req("R001", "R063", "R079")
async def test_with_the_socket_down_an_order_goes_over_rest() -> None:
    async with sessions(only=(ENTRY,)) as spot:
        await spot.trading()
        spot.sim.strike(Fault(kind=FaultKind.REFUSE, match="ws-api"))
        spot.sim.cut_connections("ws-api")
        await spot.world.until(lambda: not spot.world.inspect(ENTRY)["connected"])
        cl_ord_id = spot.submit(spot.order())
        assert (await spot.account.one(RequestSent)).cl_ord_id == cl_ord_id
        assert (await spot.account.one(ExecutionReport)).cl_ord_id == cl_ord_id
        spot.cancel(cl_ord_id)
        await spot.account.one(ExecutionReport, lambda each: each.exec_type is ExecType.CANCELED)
        inspected = spot.world.inspect(ENTRY)
        assert inspected["by_rest"] == 2
        assert inspected["ack_ns"]["rest"]["count"] == 2
        assert spot.sim.arrivals(cl_ord_id).seen == 1


@pytest.mark.req("R001")
@pytest.mark.parametrize("kind", [FaultKind.CUT_AFTER, FaultKind.ERROR_AFTER, FaultKind.LOST_REPLY])
async def test_rest_that_may_have_arrived_is_doubt(kind: FaultKind) -> None:
    async with sessions(only=(ENTRY,)) as spot:
        await spot.trading()
        spot.sim.strike(Fault(kind=FaultKind.REFUSE, match="ws-api"))
        spot.sim.cut_connections("ws-api")
        await spot.world.until(lambda: not spot.world.inspect(ENTRY)["connected"])
        spot.sim.strike(Fault(kind=kind, match="order.place", count=1))
        cl_ord_id = spot.submit(spot.order())
        doubt = await spot.account.one(OrderInDoubt)
        assert doubt.cl_ord_id == cl_ord_id
        assert spot.account.of(RequestSent)
        assert spot.sim.arrivals(cl_ord_id).seen == 1


async def test_with_neither_path_the_order_surely_did_not_leave() -> None:
    async with sessions(only=(ENTRY,)) as spot:
        await spot.trading()
        spot.sim.strike(Fault(kind=FaultKind.REFUSE_FOR, delay_ms=60_000))
        spot.sim.cut_connections()
        await spot.world.until(lambda: not spot.world.inspect(ENTRY)["connected"])
        cl_ord_id = spot.submit(spot.order())
        refused = await spot.account.one(NotSent)
        assert (refused.cl_ord_id, refused.cancel, refused.reason) == (cl_ord_id, False, OrdRejReason.NOT_SENT)
        spot.cancel(cl_ord_id)
        spot.world.tell(ENTRY, SubmitAmend(cl_ord_id, None, BTC, Decimal(1), ACCOUNT), SubmitCancelAll(BTC, ACCOUNT))
        refusals = await spot.account.wait_for(NotSent, 4)
        assert [each.cancel for each in refusals[1:]] == [True] * 3
        assert not spot.account.of(RequestSent)


@pytest.mark.req("R001")
async def test_a_socket_that_died_unnoticed_takes_not_a_byte_and_rest_takes_over() -> None:
    """The connection ends, and an order comes before its reader has run: still one arrival, by REST."""
    async with sessions(only=(ENTRY,)) as spot:
        await spot.trading()
        spot.world.actor(ENTRY)._keeper.current.socket.abort("cut by the test")
        cl_ord_id = spot.submit(spot.order())
        assert (await spot.account.one(ExecutionReport)).cl_ord_id == cl_ord_id
        assert spot.world.inspect(ENTRY)["by_rest"] == 1
        assert spot.sim.arrivals(cl_ord_id).seen == 1


@pytest.mark.req("R056", "R090")
async def test_a_half_open_socket_is_noticed_and_what_it_owed_is_in_doubt() -> None:
    def impatient(rules: SessionRules) -> SessionRules:
        return attrs.evolve(rules, silence_max_ns=400 * MS)

    config = simulator_config(server=server(ping_every_s=0.1, pong_within_s=30))
    async with sessions(config, only=(ENTRY,), rules=impatient) as spot:
        await spot.trading()
        spot.sim.strike(Fault(kind=FaultKind.HALF_OPEN_NOW, match="ws-api"))
        cl_ord_id = spot.submit(spot.order())
        doubt = await spot.account.one(OrderInDoubt)
        assert (doubt.cl_ord_id, doubt.reason) == (cl_ord_id, DoubtReason.CONNECTION_LOST)
        await spot.trading()
        second = spot.submit(spot.order())
        assert (await spot.account.one(ExecutionReport)).cl_ord_id == second


async def test_a_pong_that_is_read_before_the_wait_for_it_begins_is_a_sign_of_life() -> None:
    """On a busy machine the reader may run first: a sound connection must not be ended for that."""
    async with sessions(only=(ENTRY,)) as spot:
        await spot.trading()
        spot.sim.strike(Fault(kind=FaultKind.HALF_OPEN_NOW, match="ws-api"))  # no other byte shall come
        keeper = spot.world.actor(ENTRY)._keeper
        link = keeper.current
        keeper.probe(link, 50 * MS)
        link.socket.statistics.bytes_in += 2  # the pong, in the moment after the ping
        await spot.world.until(lambda: not link.probed)
        assert link.usable
        assert keeper.losses == 0


@pytest.mark.req("R001", "R087")
@pytest.mark.parametrize("seed", range(5))
async def test_whatever_fails_no_order_arrives_twice_and_each_has_an_end(seed: int) -> None:
    """Random faults at random orders: each order is refused, answered or in doubt, and reached the venue at most once.

    "Surely not sent" must be true: such an order was never seen there.
    """
    draw = random.Random(seed)
    kinds = [FaultKind.CUT_BEFORE, FaultKind.CUT_AFTER, FaultKind.LOST_REPLY, FaultKind.ERROR_AFTER, FaultKind.REFUSE]
    settings = EntrySettings(reply_timeout_ns=150 * MS)
    async with sessions(only=(ENTRY,), entry=settings) as spot:
        await spot.trading()
        ids = []
        for _ in range(40):
            if draw.random() < 0.3:
                kind = draw.choice(kinds)
                match = "ws-api" if kind is FaultKind.REFUSE else "order.place"
                spot.sim.strike(Fault(kind=kind, match=match, count=1))
            if draw.random() < 0.1:
                spot.sim.cut_connections("ws-api")
            if draw.random() < 0.05:
                spot.world.crash(ENTRY, RuntimeError("a bug"))
            ids.append(spot.submit(spot.order()))
            await trio.sleep(draw.random() * 0.03)
        crashed = spot.world.runtime.cell(ENTRY).epoch > 1

        def ends(cl_ord_id: str) -> list[str]:
            kinds = (NotSent, OrderInDoubt, VenueReject, ExecutionReport)
            return [
                type(m).__name__ for m in spot.account.messages if isinstance(m, kinds) and m.cl_ord_id == cl_ord_id
            ]

        if not crashed:  # what a crashed incarnation owed is the account's to find out
            await spot.world.until(lambda: all(ends(cl_ord_id) for cl_ord_id in ids))
        await spot.world.until(lambda: not spot.world.inspect(ENTRY)["in_flight"])
        for cl_ord_id in ids:
            seen = spot.sim.arrivals(cl_ord_id).seen
            assert seen <= 1, ends(cl_ord_id)
            if "NotSent" in ends(cl_ord_id):
                assert seen == 0, ends(cl_ord_id)


# ---- what must not be sent ----------------------------------------------------------------------------------------


@pytest.mark.req("R001")
async def test_the_same_order_is_never_sent_twice_not_even_by_another_incarnation() -> None:
    async with sessions(only=(ENTRY,)) as spot:
        await spot.trading()
        order = spot.order()
        spot.submit(order)
        await spot.account.one(ExecutionReport)
        spot.submit(order)
        assert (await spot.account.one(OrderInDoubt)).reason is DoubtReason.RESTARTED
        await spot.world.kill(ENTRY)
        await spot.trading()
        spot.submit(order)
        await spot.account.wait_for(OrderInDoubt, 2)
        assert spot.sim.arrivals(order.cl_ord_id).seen == 1


async def test_a_stale_order_is_not_sent() -> None:
    async with sessions(only=(ENTRY,)) as spot:
        await spot.trading()
        order = spot.order()
        order.created_ns -= 3_000 * MS  # type: ignore[misc]
        spot.submit(order)
        assert (await spot.account.one(NotSent)).reason is OrdRejReason.STALE
        assert spot.sim.arrivals(order.cl_ord_id).seen == 0


@pytest.mark.req("R010", "R056", "R355")
async def test_after_a_429_nothing_is_sent_until_the_time_that_the_venue_named() -> None:
    async with sessions(only=(ENTRY,)) as spot:
        await spot.trading()
        spot.sim.strike(Fault(kind=FaultKind.RATE_LIMIT, match="order.place", delay_ms=600, count=1))
        spot.submit(spot.order())
        assert (await spot.account.one(VenueReject)).reason in (OrdRejReason.RATE_LIMITED, OrdRejReason.ORDER_RATE)
        second = spot.submit(spot.order())
        refused = await spot.account.one(NotSent)
        assert (refused.cl_ord_id, refused.reason) == (second, OrdRejReason.RATE_LIMITED)
        assert spot.sim.arrivals(second).seen == 0
        await spot.world.until(lambda: spot.world.inspect(ENTRY)["blocked_until_ns"] == 0)
        third = spot.submit(spot.order())
        assert (await spot.account.one(ExecutionReport)).cl_ord_id == third


async def test_without_a_usable_clock_nothing_is_signed() -> None:
    async with sessions(only=(ENTRY,)) as spot:
        await spot.trading()
        spot.world.crash(CLOCK, RuntimeError("no clock"))
        actor = spot.world.actor(ENTRY)
        actor._clock._usable = False
        spot.submit(spot.order())
        assert (await spot.account.one(NotSent)).reason is OrdRejReason.CLOCK


async def test_a_clock_refusal_measures_the_clock_anew_and_rejects_the_order() -> None:
    async with sessions(only=(ENTRY,)) as spot:
        await spot.trading()
        spot.sim.strike(Fault(kind=FaultKind.CLOCK_SKEW, delay_ms=-10_000))
        spot.submit(spot.order())
        assert (await spot.account.one(VenueReject)).reason is OrdRejReason.CLOCK
        await spot.world.until(lambda: spot.world.inspect(CLOCK)["suspected"] > 0 or spot.world.inspect(CLOCK)["steps"])
        await spot.trading()
        spot.submit(spot.order(side=Side.BUY))
        await spot.account.one(ExecutionReport)


async def test_a_venue_that_does_not_read_gets_no_more_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    """The transport's own tests fill a real socket; here its refusal meets order entry."""
    async with sessions(only=(ENTRY,)) as spot:
        await spot.trading()
        socket = spot.world.actor(ENTRY)._keeper.current.socket
        with monkeypatch.context() as patch:
            patch.setattr(socket, "_unsent", bytearray(10**6))
            order = spot.order()
            spot.submit(order)
            assert (await spot.account.one(NotSent)).reason is OrdRejReason.OVERLOADED
        spot.submit(order)
        assert (await spot.account.one(ExecutionReport)).cl_ord_id == order.cl_ord_id, "it had not left"


async def test_without_permits_an_order_is_refused_and_the_rest_goes_on() -> None:
    async with sessions(only=(ENTRY,)) as spot:
        await spot.trading()
        actor = spot.world.actor(ENTRY)
        actor._leases._blocks.clear()
        actor._leases.wish("master", ENTRY, spot.world.runtime.clock.monotonic_ns())  # one is on its way
        spot.submit(spot.order())
        assert (await spot.account.one(NotSent)).reason is OrdRejReason.RATE_LIMITED


async def test_a_cancel_of_an_order_that_waits_for_a_permit_ends_it_here() -> None:
    """It would reach the venue before its order: the order would then live, canceled by nobody."""
    async with sessions(only=(ENTRY,)) as spot:
        await spot.trading()
        actor = spot.world.actor(ENTRY)
        actor._leases._blocks.clear()
        actor._leases.left = 0
        actor._leases.wish("master", ENTRY, spot.world.runtime.clock.monotonic_ns())  # one is on its way
        first, second, third = spot.submit(spot.order()), spot.submit(spot.order()), spot.submit(spot.order())
        assert spot.world.inspect(ENTRY)["waiting"]["orders"] == 3
        spot.cancel(first)
        spot.world.tell(ENTRY, SubmitCancels(BTC, ((second, None),), False, ACCOUNT))
        refused = await spot.account.wait_for(NotSent, 2)
        assert [(each.cl_ord_id, each.cancel) for each in refused] == [(first, False), (second, False)]
        actor._leases.forget_wish()
        actor._want_lease()
        report = await spot.account.one(ExecutionReport)
        assert report.cl_ord_id == third
        assert [spot.sim.arrivals(each).seen for each in (first, second, third)] == [0, 0, 1]
        assert not spot.account.of(VenueCancelReject)


@pytest.mark.parametrize("is_lost", [False, True])
async def test_an_end_that_is_announced_more_than_once_makes_one_successor(is_lost: bool) -> None:
    """A service that restarts says so in each answer, also on the connection that was replaced for it."""
    async with sessions(only=(ENTRY,)) as spot:
        await spot.trading()
        keeper = spot.world.actor(ENTRY)._keeper
        ending = keeper.current
        keeper.replace(ending)
        if is_lost:
            ending.socket.abort("cut by the test")
            await spot.world.until(lambda: keeper.current is not ending)
            keeper.replace(ending)
        await spot.world.until(lambda: keeper.current is not None and keeper.current is not ending)
        keeper.replace(ending)
        with trio.move_on_after(0.5):
            await spot.world.until(lambda: spot.world.inspect(ENTRY)["connects"] > 2)
        assert (keeper.losses, keeper.replacements) == ((1, 0) if is_lost else (0, 1))
        assert spot.world.inspect(ENTRY)["connects"] == 2
