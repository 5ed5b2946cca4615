"""4xx: what goes wrong between us and the venue."""

from __future__ import annotations

import trio

from protocols.enums import OrdRejReason, OrdStatus, Side
from protocols.ids import ClOrdID
from protocols.orders import ExecutionReport, OrderRefused
from protocols.reconcile import clock_path
from tests.conformance.case import case
from tests.conformance.desk import PATIENCE_S, Desk, needs
from tools.simulator import Fault, FaultKind

_CLOCK_WORDS = (OrdRejReason.CLOCK, OrdRejReason.STALE, OrdRejReason.NOT_READY, OrdRejReason.NOT_SENT)


async def _fate(desk: Desk, kind: FaultKind, delay_ms: int = 0) -> tuple[ClOrdID, ExecutionReport | OrderRefused]:
    """Place an order that trades at once while a fault waits for it; its end."""
    desk.sim.strike(Fault(kind=kind, match=await desk.placing(), delay_ms=delay_ms))
    cl_ord_id = desk.place(desk.order(Side.BUY, desk.small, desk.through(Side.BUY)))
    return cl_ord_id, await desk.end(cl_ord_id, within_s=3 * PATIENCE_S)


async def _executed(desk: Desk, kind: FaultKind, delay_ms: int = 0) -> None:
    cl_ord_id, end = await _fate(desk, kind, delay_ms)
    assert isinstance(end, ExecutionReport), end
    assert end.ord_status is OrdStatus.FILLED
    arrival = desk.sim.arrivals(cl_ord_id)
    assert (arrival.seen, arrival.accepted) == (1, 1)


async def _never_arrived(desk: Desk, kind: FaultKind) -> None:
    cl_ord_id, end = await _fate(desk, kind)
    assert isinstance(end, OrderRefused), end
    assert desk.sim.arrivals(cl_ord_id).accepted == 0
    assert desk.sim.arrivals(cl_ord_id).seen <= 1


@case(401, "the reply is lost: the order ends as the venue says, and reached it once")
async def reply_lost(desk: Desk) -> None:
    await _executed(desk, FaultKind.LOST_REPLY)


@case(402, "the connection breaks after the request was taken")
async def cut_after(desk: Desk) -> None:
    await _executed(desk, FaultKind.CUT_AFTER)


@case(403, "the connection breaks before the request was taken")
async def cut_before(desk: Desk) -> None:
    await _never_arrived(desk, FaultKind.CUT_BEFORE)


@case(404, "a server error after the order was executed")
async def error_after(desk: Desk) -> None:
    await _executed(desk, FaultKind.ERROR_AFTER)


@case(405, "a server error, and nothing was executed: the order is never sent twice")
async def error_before(desk: Desk) -> None:
    await _never_arrived(desk, FaultKind.ERROR_BEFORE)


@case(406, "the venue says that we ask too often: nothing is sent before the time it names")
async def rate_limited(desk: Desk) -> None:
    placed_before = desk.sim.venue.requests[await desk.placing()]
    cl_ord_id, end = await _fate(desk, FaultKind.RATE_LIMIT, 1_500)
    assert isinstance(end, OrderRefused)
    assert end.reason in (OrdRejReason.RATE_LIMITED, OrdRejReason.VENUE)
    assert desk.sim.arrivals(cl_ord_id).accepted == 0
    desk.sim.faults.clear()
    with trio.fail_after(PATIENCE_S):
        while True:
            again = await desk.end(desk.place(desk.order(Side.BUY, desk.small, desk.through(Side.BUY))))
            if isinstance(again, ExecutionReport):
                break
            assert again.reason in (OrdRejReason.RATE_LIMITED, OrdRejReason.NOT_READY), again
            await trio.sleep(0.2)
    sent = desk.sim.venue.requests[await desk.placing()] - placed_before
    assert sent <= 4, "what is blocked is not sent; a venue that names no time is asked once a second"


@case(407, "our clock is five seconds off: it is measured again, once, and orders go on")
async def clock(desk: Desk) -> None:
    """The venue's clock stays ahead afterwards: one that steps back would make its next balances look old."""
    needs(desk.subject.can.request_window, "requests carry no time that could be wrong")
    desk.sim.strike(Fault(kind=FaultKind.CLOCK_SKEW, delay_ms=5_000))
    with trio.fail_after(3 * PATIENCE_S):
        while True:
            placed = desk.place(desk.order(Side.BUY, desk.small, desk.through(Side.BUY)))
            end = await desk.end(placed)
            if isinstance(end, ExecutionReport):
                break
            assert end.reason in _CLOCK_WORDS, end
            await trio.sleep(0.1)
    cell = desk.host.runtime.cell(clock_path(desk.subject.venue))
    assert cell.actor is not None
    picture = cell.actor.inspect()
    assert picture["suspected"], "the refusal has asked for the measurement, it did not wait for the next regular one"
    offset_ms = picture["offset_ms"]
    assert isinstance(offset_ms, int | float)
    assert 4_000 < offset_ms < 6_000


@case(408, "nobody listens at the venue for a while: the engine waits, comes back and trades")
async def venue_down(desk: Desk) -> None:
    desk.sim.strike(Fault(kind=FaultKind.REFUSE_FOR, delay_ms=1_500))
    desk.sim.cut_connections()
    await trio.sleep(0.5)
    await desk.ready(within_s=3 * PATIENCE_S)
    await desk.quote()
    placed = desk.place(desk.order(Side.BUY, desk.small, desk.through(Side.BUY)))
    await desk.status(placed, OrdStatus.FILLED)


@case(409, "the venue announces the end of the connections: they are replaced")
async def shutdown_notice(desk: Desk) -> None:
    desk.sim.strike(Fault(kind=FaultKind.SHUTDOWN_NOTICE, delay_ms=500))
    await trio.sleep(1)
    await desk.ready(within_s=3 * PATIENCE_S)
    placed = desk.place(desk.order(Side.BUY, desk.small, desk.through(Side.BUY)))
    await desk.status(placed, OrdStatus.FILLED)
