"""2xx: what can be done with an order."""

from __future__ import annotations

from decimal import Decimal

from protocols.control import SetTradingState
from protocols.enums import (
    CxlRejReason,
    ExecInst,
    ExecType,
    Liquidity,
    OrdRejReason,
    OrdStatus,
    OrdType,
    Side,
    TimeInForce,
    TradingState,
)
from protocols.ids import ClOrdID
from protocols.instruments import Product
from protocols.orders import account_gate
from tests.conformance.case import case
from tests.conformance.desk import ACCOUNT, Desk, needs


async def _resting(desk: Desk, side: Side = Side.BUY) -> ClOrdID:
    """An order that rests away from the market."""
    cl_ord_id = desk.place(desk.order(side, desk.small, desk.away(side)))
    await desk.status(cl_ord_id, OrdStatus.NEW)
    return cl_ord_id


async def _bought(desk: Desk, qty: Decimal) -> ClOrdID:
    """A buy that has filled."""
    cl_ord_id = desk.place(desk.order(Side.BUY, qty, desk.through(Side.BUY)))
    await desk.status(cl_ord_id, OrdStatus.FILLED)
    return cl_ord_id


@case(201, "an order away from the market rests at the venue under our id")
async def rests(desk: Desk) -> None:
    cl_ord_id = await _resting(desk)
    report = desk.reports(cl_ord_id)[-1]
    assert report.order_id, "the venue's own id is known"
    assert report.leaves_qty == report.order_qty == desk.small
    (order,) = desk.sim.open_orders("alpha")
    assert (order.cl_ord_id, order.price, order.order_qty) == (cl_ord_id, report.price, report.order_qty)
    assert desk.sim.arrivals(cl_ord_id).accepted == 1


@case(202, "a resting order is canceled")
async def canceled(desk: Desk) -> None:
    cl_ord_id = await _resting(desk, Side.SELL if desk.subject.parts.product is Product.LINEAR else Side.BUY)
    desk.cancel(cl_ord_id)
    report = await desk.status(cl_ord_id, OrdStatus.CANCELED)
    assert report.cum_qty == report.leaves_qty == 0
    assert not desk.sim.open_orders("alpha")


@case(203, "an order through the market fills, and each fill says price, quantity, fee and number")
async def fills(desk: Desk) -> None:
    cl_ord_id = await _bought(desk, desk.small)
    rows = desk.fills(cl_ord_id)
    assert sum((row.last_qty for row in rows), Decimal(0)) == desk.small
    assert all(row.trade_id and row.last_px > 0 and row.fee_asset for row in rows)
    assert all(row.fee > 0 and row.liquidity is Liquidity.TAKER for row in rows)
    at_venue = {fill.trade.price for fill in desk.sim.account("alpha").fills[desk.market.symbol]}
    assert {row.last_px for row in rows} <= at_venue


@case(204, "a part fills at once, the rest rests and fills as a maker")
async def partial_fill(desk: Desk) -> None:
    with desk.nobody_else():
        offered = desk.asked_qty()
        cl_ord_id = desk.place(desk.order(Side.BUY, offered + desk.small, desk.ask))
        report = await desk.status(cl_ord_id, OrdStatus.PARTIALLY_FILLED)
        assert (report.cum_qty, report.leaves_qty) == (offered, desk.small)
        desk.trade_outside(Side.SELL, desk.small)
    report = await desk.status(cl_ord_id, OrdStatus.FILLED)
    assert report.cum_qty == offered + desk.small
    assert {row.liquidity for row in desk.fills(cl_ord_id)} == {Liquidity.TAKER, Liquidity.MAKER}


@case(205, "immediate-or-cancel: what does not fill at once is gone")
async def immediate_or_cancel(desk: Desk) -> None:
    with desk.nobody_else():
        offered = desk.asked_qty()
        order = desk.order(Side.BUY, offered + desk.small, desk.ask, time_in_force=TimeInForce.IOC)
        desk.place(order)
        report = await desk.status(order.cl_ord_id, OrdStatus.CANCELED, OrdStatus.EXPIRED)
    assert (report.cum_qty, report.leaves_qty) == (offered, Decimal(0))


@case(206, "fill-or-kill: what does not fill whole does not fill at all")
async def fill_or_kill(desk: Desk) -> None:
    with desk.nobody_else():
        order = desk.order(Side.BUY, desk.asked_qty() + desk.small, desk.ask, time_in_force=TimeInForce.FOK)
        desk.place(order)
        await desk.came_to_nothing(order.cl_ord_id)


@case(207, "a post-only order that would take does not trade; one that would not rests")
async def post_only(desk: Desk) -> None:
    needs(desk.subject.can.post_only, "no post-only orders")
    taking = desk.order(Side.BUY, desk.small, desk.through(Side.BUY), exec_inst=ExecInst.POST_ONLY)
    desk.place(taking)
    await desk.came_to_nothing(taking.cl_ord_id)
    resting = desk.order(Side.BUY, desk.small, desk.away(Side.BUY), exec_inst=ExecInst.POST_ONLY)
    desk.place(resting)
    await desk.status(resting.cl_ord_id, OrdStatus.NEW)


@case(208, "a market order fills")
async def market(desk: Desk) -> None:
    side = Side.BUY
    if not desk.subject.can.market_buy_by_qty:
        await _bought(desk, desk.small)
        side = Side.SELL
    qty = desk.small / 2 if side is Side.SELL else desk.small
    order = desk.order(side, desk.instrument.round_qty(qty, OrdType.MARKET), None, ord_type=OrdType.MARKET)
    desk.place(order)
    report = await desk.status(order.cl_ord_id, OrdStatus.FILLED)
    assert report.cum_qty == order.order_qty


@case(209, "an amend makes the order smaller, and what rests is that")
async def amend(desk: Desk) -> None:
    needs(desk.subject.can.amends, "orders cannot be amended")
    cl_ord_id = await _resting(desk)
    smaller = desk.instrument.round_qty(desk.small / 2)
    desk.amend(cl_ord_id, smaller)
    report = await desk.order_qty(cl_ord_id, smaller)
    assert report.leaves_qty == smaller
    (order,) = desk.sim.open_orders("alpha")
    assert order.open_qty == smaller


@case(210, "several orders in one message: each has its own fate")
async def batch(desk: Desk) -> None:
    good = [desk.order(Side.BUY, desk.small, desk.away(Side.BUY, Decimal(part) / 100)) for part in (2, 3)]
    bad = desk.order(Side.BUY, desk.small, desk.away(Side.BUY) + desk.instrument.price_step(desk.bid) / 2)
    desk.place_batch(good[0], bad, good[1])
    for order in good:
        await desk.status(order.cl_ord_id, OrdStatus.NEW)
    refused = await desk.refusal(bad.cl_ord_id)
    assert refused.reason is OrdRejReason.BAD_PRICE
    assert len(desk.sim.open_orders("alpha")) == 2


@case(211, "cancel-all leaves nothing")
async def cancel_all(desk: Desk) -> None:
    orders = [desk.order(Side.BUY, desk.small, desk.away(Side.BUY, Decimal(part) / 100)) for part in (2, 3, 4)]
    for order in orders:
        desk.place(order)
    for order in orders:
        await desk.status(order.cl_ord_id, OrdStatus.NEW)
    desk.cancel_all()
    for order in orders:
        await desk.status(order.cl_ord_id, OrdStatus.CANCELED)
    assert not desk.sim.open_orders("alpha")


@case(212, "a reduce-only order reduces; one that would open does not trade")
async def reduce_only(desk: Desk) -> None:
    needs(desk.subject.can.reduce_only, "no reduce-only orders")
    await desk.flat()
    opening = desk.order(Side.SELL, desk.small, desk.through(Side.SELL), exec_inst=ExecInst.REDUCE_ONLY)
    desk.place(opening)
    await desk.came_to_nothing(opening.cl_ord_id)
    await _bought(desk, desk.small)
    closing = desk.order(Side.SELL, desk.small, desk.through(Side.SELL), exec_inst=ExecInst.REDUCE_ONLY)
    desk.place(closing)
    await desk.status(closing.cl_ord_id, OrdStatus.FILLED)
    assert desk.held_at_venue() == 0


@case(213, "an order that the account cannot pay for is refused with the reason")
async def insufficient(desk: Desk) -> None:
    money = await desk.broke()
    order = desk.order(Side.BUY, desk.small, desk.away(Side.BUY))
    desk.place(order)
    refused = await desk.refusal(order.cl_ord_id)
    desk.sim.deposit("alpha", desk.instrument.quote, money)
    assert refused.reason is OrdRejReason.INSUFFICIENT_BALANCE, refused
    assert desk.sim.arrivals(order.cl_ord_id).accepted == 0


@case(214, "an order off the grid never leaves the engine, and the refusal names the field")
async def off_grid(desk: Desk) -> None:
    price = desk.away(Side.BUY) + desk.instrument.price_step(desk.bid) / 2
    order = desk.order(Side.BUY, desk.small, price)
    desk.place(order)
    refused = await desk.refusal(order.cl_ord_id)
    assert refused.reason is OrdRejReason.BAD_PRICE
    assert "price" in refused.text
    assert desk.sim.arrivals(order.cl_ord_id).seen == 0


@case(215, "a cancel that comes too late is refused, and the fill stands")
async def cancel_race(desk: Desk) -> None:
    cl_ord_id = await _bought(desk, desk.small)
    desk.cancel(cl_ord_id)
    refused = await desk.cancel_reject(cl_ord_id)
    assert refused.reason in (CxlRejReason.TOO_LATE, CxlRejReason.UNKNOWN_ORDER)
    assert desk.reports(cl_ord_id)[-1].ord_status is OrdStatus.FILLED


@case(216, "a cancel of an order that nobody knows is refused")
async def cancel_unknown(desk: Desk) -> None:
    never_placed = desk.order(Side.BUY, desk.small, desk.away(Side.BUY)).cl_ord_id
    desk.cancel(never_placed)
    refused = await desk.cancel_reject(never_placed)
    assert refused.reason is CxlRejReason.UNKNOWN_ORDER


@case(217, "somebody else's trade fills a resting order")
async def maker(desk: Desk) -> None:
    with desk.nobody_else():
        price = desk.ask - desk.instrument.price_step(desk.ask)
        order = desk.order(Side.BUY, desk.small, max(price, desk.bid))
        desk.place(order)
        await desk.status(order.cl_ord_id, OrdStatus.NEW)
        desk.trade_outside(Side.SELL, desk.queue_before(order.cl_ord_id) + desk.small)
    report = await desk.status(order.cl_ord_id, OrdStatus.FILLED)
    assert report.exec_type in (ExecType.TRADE, ExecType.ORDER_STATUS)
    assert {row.liquidity for row in desk.fills(order.cl_ord_id)} == {Liquidity.MAKER}


@case(218, "what a limit or a halt of the account forbids never leaves the engine")
async def limited(desk: Desk) -> None:
    far = desk.order(Side.BUY, desk.small, desk.instrument.round_price(desk.ask * 2, Side.BUY))
    desk.place(far)
    assert (await desk.refusal(far.cl_ord_id)).reason is OrdRejReason.PRICE_BAND
    gate = account_gate(ACCOUNT)
    desk.host.runtime.deliver(gate, SetTradingState(ACCOUNT, TradingState.HALTED, "the desk", "the case"))
    halted = desk.order(Side.BUY, desk.small, desk.away(Side.BUY))
    desk.place(halted)
    assert (await desk.refusal(halted.cl_ord_id)).reason is OrdRejReason.HALTED
    desk.host.runtime.deliver(gate, SetTradingState(ACCOUNT, TradingState.ACTIVE, "the desk", "the case"))
    free = desk.place(desk.order(Side.BUY, desk.small, desk.away(Side.BUY)))
    await desk.status(free, OrdStatus.NEW)
    assert [desk.sim.arrivals(order.cl_ord_id).seen for order in (far, halted)] == [0, 0]
