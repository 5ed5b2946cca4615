"""The reconciler against the simulator: a whole picture or none, and what became of one order."""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio

from actors.venue import reconciler
from actors.venue.settings import SECOND
from protocols.enums import ExecType, OrdStatus, OrdType, Side
from protocols.ids import OrderID, TradeID
from protocols.orders import ExecutionReport, OrderNotFound
from protocols.reconcile import (
    BelievedOrder,
    FillsSince,
    OrderFound,
    QueryFailed,
    QueryOrder,
    Reconcile,
    Reconciled,
    ReconcileFailed,
)
from tests.actors.venue.spot import ACCOUNT, BTC, ENTRY, ETH, RECONCILER, Spot, sessions
from tools.simulator import Fault, FaultKind


def reconcile(spot: Spot, attempt: int = 1, *, believed: tuple[BelievedOrder, ...] = (), since: str = "") -> None:
    """Ask for the picture; `since` a trade id of BTCUSDT, or "" for everything."""
    hour_ago_ns = spot.world.runtime.clock.wall_ns() - 3600 * SECOND
    fills = (
        FillsSince(BTC, TradeID(since) if since else None, hour_ago_ns),
        FillsSince(ETH, None, hour_ago_ns),
    )
    spot.world.tell(RECONCILER, Reconcile(attempt, believed, fills, ACCOUNT))


def is_filled(report: ExecutionReport) -> bool:
    """The report of a whole order, not of one of its trades."""
    return report.ord_status is OrdStatus.FILLED and report.exec_type is not ExecType.TRADE


async def traded(spot: Spot, times: int) -> list[ExecutionReport]:
    """Market orders that fill; returns their trades."""
    for done in range(1, times + 1):
        spot.submit(spot.order(ord_type=OrdType.MARKET))
        await spot.account.wait_for(ExecutionReport, done, is_filled)
    return [each for each in spot.account.of(ExecutionReport) if each.exec_type is ExecType.TRADE]


@pytest.mark.req("R015", "R086", "R132", "R269")
async def test_the_picture_is_what_the_venue_has() -> None:
    async with sessions(only=(ENTRY, RECONCILER)) as spot:
        await spot.trading()
        resting = spot.submit(spot.order())
        gone = spot.submit(spot.order())
        placed = await spot.account.wait_for(ExecutionReport, 2)
        order_ids = {report.cl_ord_id: report.order_id for report in placed}
        spot.cancel(gone)
        await spot.account.one(ExecutionReport, lambda each: each.exec_type is ExecType.CANCELED)
        fills = await traded(spot, 1)
        never = spot.ids.next()
        reconcile(
            spot, believed=tuple(BelievedOrder(each, order_ids.get(each), BTC) for each in (resting, gone, never))
        )
        picture = await spot.account.one(Reconciled)
        assert [order.cl_ord_id for order in picture.open_orders] == [resting]
        assert [(order.cl_ord_id, order.ord_status) for order in picture.statuses] == [(gone, OrdStatus.CANCELED)]
        assert [order.cl_ord_id for order in picture.not_found] == [never]
        assert [fill.trade_id for fill in picture.fills] == [fill.trade_id for fill in fills]
        balances = {row.asset: (row.free, row.locked) for row in picture.balances}
        assert balances == {a: b for a, b in spot.sim.balances("master").items() if any(b)}
        assert picture.attempt == 1


async def test_fills_continue_after_the_last_known_trade_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of two rows is taken for a full one, so that the paging is at work."""
    monkeypatch.setattr(reconciler, "PAGE_SURELY_LAST", 2)
    async with sessions(only=(ENTRY, RECONCILER)) as spot:
        await spot.trading()
        fills = await traded(spot, 4)
        first = fills[0].trade_id
        assert first is not None
        reconcile(spot, since=first)
        picture = await spot.account.one(Reconciled)
        assert [fill.trade_id for fill in picture.fills] == [fill.trade_id for fill in fills[1:]]
        reconcile(spot, 2)
        everything = await spot.account.one(Reconciled, lambda each: each.attempt == 2)
        assert [fill.trade_id for fill in everything.fills] == [fill.trade_id for fill in fills]


async def test_one_failed_question_makes_no_picture_and_the_next_attempt_does() -> None:
    async with sessions(only=(RECONCILER,)) as spot:
        await spot.world.until(lambda: bool(spot.world.inspect(RECONCILER)))
        spot.sim.strike(Fault(kind=FaultKind.ERROR_BEFORE, match="account.status", count=1))
        reconcile(spot)
        failed = await spot.account.one(ReconcileFailed)
        assert failed.attempt == 1
        assert not spot.account.of(Reconciled)
        reconcile(spot, 2)
        assert (await spot.account.one(Reconciled)).attempt == 2


async def test_a_new_attempt_replaces_the_one_in_progress() -> None:
    async with sessions(only=(RECONCILER,)) as spot:
        spot.sim.strike(Fault(kind=FaultKind.DELAY_REPLY, match="openOrders.status", delay_ms=700, count=1))
        reconcile(spot, 1)
        await spot.world.until(lambda: bool(spot.world.inspect(RECONCILER)["in_progress"]))
        await trio.sleep(0.2)
        reconcile(spot, 2)
        assert (await spot.account.one(Reconciled)).attempt == 2
        assert len(spot.account.of(Reconciled)) == 1


async def test_a_query_finds_the_order_with_its_fills() -> None:
    async with sessions(only=(ENTRY, RECONCILER)) as spot:
        await spot.trading()
        (fill,) = await traded(spot, 1)
        spot.world.tell(RECONCILER, QueryOrder(BelievedOrder(fill.cl_ord_id, None, BTC), ACCOUNT))
        found = await spot.account.one(OrderFound)
        assert 0 < found.asked_ns < found.report.received_ns
        assert (found.report.cl_ord_id, found.report.ord_status) == (fill.cl_ord_id, OrdStatus.FILLED)
        assert [each.trade_id for each in found.fills] == [fill.trade_id]
        assert found.report.cum_qty == Decimal("0.001")


async def test_a_query_by_the_venues_id_finds_a_canceled_order() -> None:
    async with sessions(only=(ENTRY, RECONCILER)) as spot:
        await spot.trading()
        cl_ord_id = spot.submit(spot.order(side=Side.BUY))
        report = await spot.account.one(ExecutionReport)
        spot.cancel(cl_ord_id)
        await spot.account.one(ExecutionReport, lambda each: each.exec_type is ExecType.CANCELED)
        spot.world.tell(RECONCILER, QueryOrder(BelievedOrder(cl_ord_id, report.order_id, BTC), ACCOUNT))
        assert (await spot.account.one(OrderFound)).report.ord_status is OrdStatus.CANCELED


async def test_an_order_that_our_own_cancel_renamed_is_found_without_the_venues_id() -> None:
    async with sessions(only=(ENTRY, RECONCILER)) as spot:
        await spot.trading()
        cl_ord_id = spot.submit(spot.order(side=Side.BUY))
        await spot.account.one(ExecutionReport)
        spot.cancel(cl_ord_id)
        await spot.account.one(ExecutionReport, lambda each: each.exec_type is ExecType.CANCELED)
        spot.world.tell(RECONCILER, QueryOrder(BelievedOrder(cl_ord_id, None, BTC), ACCOUNT))
        found = await spot.account.one(OrderFound)
        assert (found.report.cl_ord_id, found.report.ord_status) == (cl_ord_id, OrdStatus.CANCELED)


async def test_a_query_says_not_found_with_the_time_it_asked() -> None:
    async with sessions(only=(RECONCILER,)) as spot:
        before = spot.world.runtime.clock.wall_ns()
        spot.world.tell(RECONCILER, QueryOrder(BelievedOrder(spot.ids.next(), None, BTC), ACCOUNT))
        missing = await spot.account.one(OrderNotFound)
        assert missing.asked_ns >= before


@pytest.mark.req("R141")
@pytest.mark.parametrize("kind", [FaultKind.ERROR_BEFORE, FaultKind.CUT_BEFORE, FaultKind.LOST_REPLY])
async def test_a_query_that_failed_is_no_evidence(kind: FaultKind) -> None:
    async with sessions(only=(RECONCILER,)) as spot:
        spot.sim.strike(Fault(kind=kind, match="order.status", count=1))
        cl_ord_id = spot.ids.next()
        spot.world.tell(RECONCILER, QueryOrder(BelievedOrder(cl_ord_id, OrderID("12345"), BTC), ACCOUNT))
        assert (await spot.account.one(QueryFailed)).cl_ord_id == cl_ord_id
        assert not spot.account.of(OrderNotFound)
