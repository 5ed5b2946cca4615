"""3xx: what the engine believes of the account."""

from __future__ import annotations

from decimal import Decimal

import trio

from protocols.enums import OrdStatus, Side
from protocols.instruments import Product
from protocols.reconcile import private_path
from tests.conformance.case import case
from tests.conformance.desk import ACCOUNT, Desk
from tools.simulator import Fault, FaultKind


async def _round(desk: Desk) -> None:
    """Buy and sell back half."""
    bought = desk.place(desk.order(Side.BUY, desk.small, desk.through(Side.BUY)))
    await desk.status(bought, OrdStatus.FILLED)
    half = desk.instrument.round_qty(desk.small / 2)
    sold = desk.place(desk.order(Side.SELL, half, desk.through(Side.SELL)))
    await desk.status(sold, OrdStatus.FILLED)


@case(301, "balances, positions and open orders equal the venue's, to the last digit")
async def agreement(desk: Desk) -> None:
    await _round(desk)
    resting = desk.place(desk.order(Side.BUY, desk.small, desk.away(Side.BUY)))
    await desk.status(resting, OrdStatus.NEW)
    await desk.agreement()


@case(302, "what fills while the private stream is gone is found once it is back, and once only")
async def private_cut(desk: Desk) -> None:
    with desk.nobody_else():
        resting = desk.place(desk.order(Side.BUY, desk.small, desk.bid))
        await desk.status(resting, OrdStatus.NEW)
        desk.sim.cut_connections("private")
        desk.sim.cut_connections("ws-api")
        desk.trade_outside(Side.SELL, desk.queue_before(resting) + desk.small)
    report = await desk.status(resting, OrdStatus.FILLED)
    assert report.cum_qty == desk.small
    await desk.agreement()
    assert sum((row.last_qty for row in desk.fills(resting)), Decimal(0)) == desk.small


@case(303, "money that comes in from outside is seen")
async def deposit(desk: Desk) -> None:
    desk.sim.deposit(ACCOUNT, desk.instrument.quote, Decimal(1_000))
    await desk.agreement()


@case(304, "a position of contracts is the venue's own")
async def position(desk: Desk) -> None:
    if desk.instrument.product is not Product.LINEAR:
        await _round(desk)
    else:
        await desk.flat()
        sold = desk.place(desk.order(Side.SELL, desk.small, desk.through(Side.SELL)))
        await desk.status(sold, OrdStatus.FILLED)
        assert desk.held_at_venue() == -desk.small
    await desk.agreement()


@case(305, "the private stream's actor crashes: it comes back, and nothing is missing")
async def private_restart(desk: Desk) -> None:
    with desk.nobody_else():
        resting = desk.place(desk.order(Side.BUY, desk.small, desk.bid))
        await desk.status(resting, OrdStatus.NEW)
        cell = desk.host.runtime.cell(private_path(ACCOUNT, desk.subject.venue))
        epoch = cell.epoch
        cell.sabotage("now")
        desk.trade_outside(Side.SELL, desk.queue_before(resting) + desk.small)
    with trio.fail_after(20):
        while cell.epoch == epoch:  # noqa: ASYNC110 - an observer would be longer than this line
            await trio.sleep(0.01)
    await desk.status(resting, OrdStatus.FILLED)
    await desk.agreement()


@case(306, "events of the account are lost while everything stays connected: asking finds the truth")
async def events_lost(desk: Desk) -> None:
    desk.sim.strike(Fault(kind=FaultKind.EVENT_DROP, count=4))
    placed = desk.place(desk.order(Side.BUY, desk.small, desk.through(Side.BUY)))
    await desk.status(placed, OrdStatus.FILLED)
    await desk.tidy()
