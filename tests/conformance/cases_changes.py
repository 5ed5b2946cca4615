"""2xx, 4xx: orders that are changed in place, and orders that replace another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from decimal import Decimal

from protocols.enums import CxlRejReason, CxlRejResponseTo, ExecInst, OrdRejReason, OrdStatus, Side
from protocols.ids import ClOrdID
from protocols.orders import ExecutionReport
from tests.conformance.case import case
from tests.conformance.desk import ACCOUNT, PATIENCE_S, Desk, needs
from tools.simulator import Fault, FaultKind

_NO_PRICE = "a resting order's price cannot be changed in place"
_NO_REPLACE = "no request cancels one order and makes another"


async def _resting(desk: Desk, qty: Decimal | None = None, part: str = "0.02") -> ClOrdID:
    """A buy that rests away from the market."""
    qty = desk.small if qty is None else qty
    cl_ord_id = desk.place(desk.order(Side.BUY, qty, desk.away(Side.BUY, Decimal(part))))
    await desk.status(cl_ord_id, OrdStatus.NEW)
    return cl_ord_id


def _at_venue(desk: Desk) -> list[tuple[str, Decimal | None, Decimal]]:
    return [(order.cl_ord_id, order.price, order.order_qty) for order in desk.sim.open_orders(ACCOUNT)]


async def _name_of(desk: Desk, action: Callable[[], Awaitable[object]]) -> str:
    """The venue's name for the one request about an order that an action makes, as the simulator counts it."""
    before = Counter(desk.sim.venue.requests)
    await action()
    made = desk.sim.venue.requests - before
    names = [name for name, count in made.items() if count == 1 and ("order" in name.lower() or "amend" in name)]
    assert names, f"no request looks like a change of an order: {made}"
    return names[0]


# ---- in place -----------------------------------------------------------------------------------------------------


@case(219, "an amend moves the price, and the order keeps its name")
async def reprice(desk: Desk) -> None:
    needs(desk.subject.can.amends_price, _NO_PRICE)
    cl_ord_id = await _resting(desk)
    price = desk.away(Side.BUY, Decimal("0.03"))
    desk.change(cl_ord_id, desk.small, price)
    report = await desk.terms(cl_ord_id, desk.small, price)
    assert report.leaves_qty == desk.small
    assert _at_venue(desk) == [(cl_ord_id, price, desk.small)]


@case(220, "an amend makes the order larger, at another price")
async def enlarge(desk: Desk) -> None:
    needs(desk.subject.can.amends_price, _NO_PRICE)
    cl_ord_id = await _resting(desk)
    price = desk.away(Side.BUY, Decimal("0.03"))
    desk.change(cl_ord_id, desk.small * 2, price)
    await desk.terms(cl_ord_id, desk.small * 2, price)
    assert _at_venue(desk) == [(cl_ord_id, price, desk.small * 2)]


@case(221, "the new total of an amend contains what is filled")
async def amend_after_a_fill(desk: Desk) -> None:
    needs(desk.subject.can.amends_price, _NO_PRICE)
    price = desk.away(Side.BUY, Decimal(0))
    cl_ord_id = desk.place(desk.order(Side.BUY, desk.small * 2, price))
    await desk.status(cl_ord_id, OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED)
    desk.trade_outside(Side.SELL, desk.queue_before(cl_ord_id) + desk.small)
    filled = (await desk.status(cl_ord_id, OrdStatus.PARTIALLY_FILLED)).cum_qty
    lower = desk.away(Side.BUY, Decimal("0.02"))
    desk.change(cl_ord_id, desk.small * 3, lower)
    report = await desk.terms(cl_ord_id, desk.small * 3, lower)
    assert report.cum_qty >= filled
    (order,) = desk.sim.open_orders(ACCOUNT)
    assert order.open_qty == desk.small * 3 - report.cum_qty


@case(222, "an amend that a limit forbids never leaves the engine, and the order rests as it was")
async def amend_beyond_a_limit(desk: Desk) -> None:
    cl_ord_id = await _resting(desk)
    before = _at_venue(desk)
    off_grid = desk.away(Side.BUY) + desk.instrument.price_step(desk.bid) / 2
    desk.change(cl_ord_id, desk.small, off_grid)
    refused = await desk.cancel_reject(cl_ord_id)
    assert (refused.reason, refused.response_to) == (CxlRejReason.RISK, CxlRejResponseTo.REPLACE)
    assert "bad_price" in refused.text
    assert _at_venue(desk) == before


@case(223, "an amend to a price that trades, trades")
async def amend_through(desk: Desk) -> None:
    needs(desk.subject.can.amends_price, _NO_PRICE)
    cl_ord_id = await _resting(desk)
    desk.change(cl_ord_id, desk.small, desk.through(Side.BUY))
    report = await desk.status(cl_ord_id, OrdStatus.FILLED)
    assert report.cum_qty == desk.small


@case(224, "where prices cannot be changed in place, an amend of one is refused in words")
async def no_reprice(desk: Desk) -> None:
    needs(not desk.subject.can.amends_price, "a resting order's price can be changed in place")
    cl_ord_id = await _resting(desk)
    before = _at_venue(desk)
    desk.change(cl_ord_id, desk.small, desk.away(Side.BUY, Decimal("0.03")))
    refused = await desk.cancel_reject(cl_ord_id)
    assert (refused.reason, refused.response_to) == (CxlRejReason.UNSUPPORTED, CxlRejResponseTo.REPLACE)
    assert desk.subject.venue.split("-")[0] in refused.text
    assert _at_venue(desk) == before
    desk.cancel(cl_ord_id)
    await desk.status(cl_ord_id, OrdStatus.CANCELED)


# ---- by another order ---------------------------------------------------------------------------------------------


@case(225, "an order takes the place of another, and says which")
async def replace(desk: Desk) -> None:
    needs(desk.subject.can.cancel_replace, _NO_REPLACE)
    old = await _resting(desk)
    price = desk.away(Side.BUY, Decimal("0.03"))
    new = desk.place(desk.order(Side.BUY, desk.small * 2, price, orig=old))
    await desk.status(old, OrdStatus.CANCELED)
    report = await desk.status(new, OrdStatus.NEW)
    assert report.orig_cl_ord_id == old
    assert _at_venue(desk) == [(new, price, desk.small * 2)]
    assert (desk.sim.arrivals(new).seen, desk.sim.arrivals(new).accepted) == (1, 1)


@case(226, "a replacing order that the venue does not take: each of the two has its own end")
async def replace_refused(desk: Desk) -> None:
    needs(desk.subject.can.cancel_replace and desk.subject.can.post_only, _NO_REPLACE)
    old = await _resting(desk)
    taking = desk.order(Side.BUY, desk.small, desk.through(Side.BUY), exec_inst=ExecInst.POST_ONLY, orig=old)
    new = desk.place(taking)
    await desk.came_to_nothing(new)
    await desk.agreement()
    left = {name for name, _, _ in _at_venue(desk)}
    assert left <= {old}, "either the old order is left, or none"
    if not left:
        await desk.status(old, OrdStatus.CANCELED)


@case(227, "an order that fills before it can be replaced leaves no new one")
async def replace_filled(desk: Desk) -> None:
    needs(desk.subject.can.cancel_replace, _NO_REPLACE)
    old = await _resting(desk, part="0")
    desk.trade_outside(Side.SELL, desk.queue_before(old) + desk.small)
    new = desk.place(desk.order(Side.BUY, desk.small, desk.away(Side.BUY, Decimal("0.03")), orig=old))
    await desk.status(old, OrdStatus.FILLED)
    await desk.came_to_nothing(new)
    assert not _at_venue(desk)


@case(228, "where no request replaces an order, it is refused in words, and the order rests")
async def no_replace(desk: Desk) -> None:
    needs(not desk.subject.can.cancel_replace, "a request cancels one order and makes another")
    old = await _resting(desk)
    new = desk.place(desk.order(Side.BUY, desk.small, desk.away(Side.BUY, Decimal("0.03")), orig=old))
    refused = await desk.refusal(new)
    assert refused.reason is OrdRejReason.UNSUPPORTED
    assert [name for name, _, _ in _at_venue(desk)] == [old]
    desk.cancel(old)
    await desk.status(old, OrdStatus.CANCELED)


# ---- what goes wrong ----------------------------------------------------------------------------------------------


@case(410, "the connection breaks after an amend has left: the order's terms at the venue decide")
async def amend_cut(desk: Desk) -> None:
    needs(desk.subject.can.amends_price, _NO_PRICE)
    cl_ord_id = await _resting(desk)
    first, second = desk.away(Side.BUY, Decimal("0.03")), desk.away(Side.BUY, Decimal("0.025"))

    async def once() -> None:
        desk.change(cl_ord_id, desk.small * 2, first)
        await desk.terms(cl_ord_id, desk.small * 2, first)

    name = await _name_of(desk, once)
    await desk.ready()
    desk.sim.strike(Fault(kind=FaultKind.CUT_AFTER, match=name))
    desk.change(cl_ord_id, desk.small * 3, second)
    await desk.terms(cl_ord_id, desk.small * 3, second)
    assert _at_venue(desk) == [(cl_ord_id, second, desk.small * 3)]
    await desk.agreement(within_s=3 * PATIENCE_S)


@case(411, "the connection breaks after a replacement has left: both orders are asked for")
async def replace_cut(desk: Desk) -> None:
    needs(desk.subject.can.cancel_replace, _NO_REPLACE)
    await _replaced_under(desk, FaultKind.CUT_AFTER)


@case(412, "the reply to a replacement is lost")
async def replace_reply_lost(desk: Desk) -> None:
    needs(desk.subject.can.cancel_replace, _NO_REPLACE)
    await _replaced_under(desk, FaultKind.LOST_REPLY)


@case(413, "the connection breaks before a replacement was taken: the old order is left, and nothing is sent twice")
async def replace_never_arrived(desk: Desk) -> None:
    needs(desk.subject.can.cancel_replace, _NO_REPLACE)
    old, new = await _replaced_with(desk, FaultKind.CUT_BEFORE)
    end = await desk.end(new, within_s=3 * PATIENCE_S)
    assert not isinstance(end, ExecutionReport)
    assert desk.sim.arrivals(new).accepted == 0
    assert [name for name, _, _ in _at_venue(desk)] == [old]


async def _replaced_under(desk: Desk, kind: FaultKind) -> None:
    old, new = await _replaced_with(desk, kind)
    await desk.status(new, OrdStatus.NEW)
    await desk.status(old, OrdStatus.CANCELED)
    assert [name for name, _, _ in _at_venue(desk)] == [new]
    assert (desk.sim.arrivals(new).seen, desk.sim.arrivals(new).accepted) == (1, 1)


async def _replaced_with(desk: Desk, kind: FaultKind) -> tuple[ClOrdID, ClOrdID]:
    """A replacement while a fault waits for it."""
    price = desk.away(Side.BUY, Decimal("0.03"))
    before = await _resting(desk)

    async def once() -> None:
        await desk.status(desk.place(desk.order(Side.BUY, desk.small, price, orig=before)), OrdStatus.NEW)

    name = await _name_of(desk, once)
    old = await _resting(desk)
    desk.cancel(next(name for name, _, _ in _at_venue(desk) if name != old))  # type: ignore[arg-type]
    await desk.agreement()
    desk.sim.strike(Fault(kind=kind, match=name))
    return old, desk.place(desk.order(Side.BUY, desk.small, price, orig=old))
