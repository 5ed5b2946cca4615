"""1xx: market data."""

from __future__ import annotations

import httpx
import trio

from protocols.enums import Side
from protocols.instruments import InstrumentStatus
from protocols.market import GapClosed, GapOpened, Quote, Trade
from protocols.reconcile import book_path, clock_path
from protocols.venue import HttpReply, HttpRequest
from protocols.venues.registry import VenueOptions
from tests.conformance.case import case
from tests.conformance.desk import Desk, needs
from tools.simulator import Fault, FaultKind

_MINUTE_NS = 60_000_000_000


async def _fetch(desk: Desk, request: HttpRequest) -> HttpReply:
    async with httpx.AsyncClient(base_url=desk.sim.rest_url, trust_env=False) as client:
        query = f"?{request.query}" if request.query else ""
        answer = await client.request(
            request.method, request.path + query, headers=dict(request.headers), content=request.body or None
        )
    return HttpReply(
        answer.status_code, dict(answer.headers), answer.content, desk.sim.clock.now_ns(), desk.sim.clock.now_ns()
    )


@case(101, "the instrument list says steps, sizes and that the symbol trades")
async def instruments(desk: Desk) -> None:
    listed = desk.instrument
    assert listed.status is InstrumentStatus.TRADING
    assert listed.qty_step > 0
    assert listed.price_step(desk.bid) > 0
    assert desk.bid % listed.price_step(desk.bid) == 0, "the venue's own prices lie on the grid"
    assert listed.venue == desk.subject.venue


@case(102, "the venue's clock is read and agrees within what its precision allows")
async def server_time(desk: Desk) -> None:
    needs(desk.subject.can.server_time, "the venue tells no time that is good to a millisecond")
    cell = desk.host.runtime.cell(clock_path(desk.subject.venue))
    assert cell.actor is not None
    offset_ms = cell.actor.inspect()["offset_ms"]
    assert isinstance(offset_ms, int | float)
    assert abs(offset_ms) < 1_000


@case(103, "the book is proven and its top is the venue's")
async def book(desk: Desk) -> None:
    quote = await desk.quote()
    assert 0 < quote.bid_px < quote.ask_px


@case(104, "a trade of others reaches a reader, with its side")
async def trades(desk: Desk) -> None:
    count = len(desk.heard)
    price = desk.bid
    desk.trade_outside(Side.SELL, desk.small)
    trade = await desk.heard_after(count, Trade)
    assert (trade.symbol, trade.aggressor) == (desk.symbol, Side.SELL)
    assert trade.price <= price


@case(105, "closed candles come oldest first, on the minute")
async def candles(desk: Desk) -> None:
    codec = desk.subject.parts.public(VenueOptions())
    reply = await _fetch(desk, codec.candles_request(desk.symbol, _MINUTE_NS, 50))
    assert codec.error(reply) is None
    bars = codec.decode_candles(desk.symbol, _MINUTE_NS, reply)
    starts = [bar.open_ns for bar in bars]
    assert len(bars) >= 40
    assert starts == sorted(set(starts))
    assert all(start % _MINUTE_NS == 0 for start in starts)
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)


@case(106, "messages of the book are lost: nothing is quoted from it until it is whole again")
async def gap(desk: Desk) -> None:
    await desk.quote()
    count = len(desk.heard)
    desk.sim.strike(Fault(kind=FaultKind.DROP, count=None))
    for number in range(40):
        desk.trade_outside(Side.SELL, desk.small)
        desk.trade_outside(Side.BUY, desk.small)
        await trio.sleep(0.02)
        if number == 20:
            desk.sim.faults.clear()
    cell = desk.host.runtime.cell(book_path(desk.subject.venue, desk.symbol))
    assert cell.actor is not None
    if cell.actor.inspect()["applied"]:  # a venue of full pictures has nothing to lose
        await desk.heard_after(count, GapOpened)
        await desk.heard_after(count, GapClosed)
        opened = next(i for i, m in enumerate(desk.heard[count:]) if isinstance(m, GapOpened))
        closed = next(i for i, m in enumerate(desk.heard[count:]) if isinstance(m, GapClosed))
        between = desk.heard[count + opened : count + closed]
        assert not [m for m in between if isinstance(m, Quote)], "a quote from a book that is not proven"
    await desk.quote()


@case(107, "the public connection is cut: the book says so, comes back by itself and is right")
async def public_cut(desk: Desk) -> None:
    await desk.quote()
    count = len(desk.heard)
    desk.sim.cut_connections("streams")
    await desk.heard_after(count, GapOpened)
    await desk.heard_after(count, GapClosed)
    await desk.ready()
    await desk.quote()
