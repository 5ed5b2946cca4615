"""The engine replaces orders on the simulated Upbit (reference section 5.3): what becomes of the two, whatever happens.

The venue's answer promises the new order a name and nothing more; what it is silent about, the engine has to find out.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import trio

from protocols.enums import OrdRejReason, OrdStatus, Side
from tests.conformance.desk import ACCOUNT
from tests.conformance.rig import conformity
from tests.conformance.subjects import SUBJECTS
from tests.simulator.upbit.kit import PATIENCE_S
from tools.simulator.dialects.upbit.limits import UpbitLimits

UPBIT = next(subject for subject in SUBJECTS if subject.kind == "upbit")


async def test_one_order_in_place_of_another(tmp_path: Path) -> None:
    async with conformity(UPBIT, tmp_path) as desk:
        old = desk.place(desk.order(Side.BUY, desk.small, desk.away(Side.BUY)))
        await desk.status(old, OrdStatus.NEW)
        price = desk.away(Side.BUY, Decimal("0.03"))
        new = desk.place(desk.order(Side.BUY, desk.small * 2, price, orig=old))
        await desk.status(old, OrdStatus.CANCELED)
        shown = await desk.status(new, OrdStatus.NEW)
        assert (shown.order_qty, shown.price) == (desk.small * 2, price)
        await desk.tidy()


async def test_an_order_that_fills_before_it_is_replaced(tmp_path: Path) -> None:
    """Section 14.11: the venue has named a new order all the same, which never comes to be."""
    async with conformity(UPBIT, tmp_path, limits=UpbitLimits(cancel_after_ms=300)) as desk:
        with desk.nobody_else():
            price = desk.bid + desk.instrument.price_step(desk.bid)
            old = desk.place(desk.order(Side.BUY, desk.small, price))
            await desk.status(old, OrdStatus.NEW)
            new = desk.place(desk.order(Side.BUY, desk.small, desk.away(Side.BUY), orig=old))
            with trio.fail_after(PATIENCE_S):
                while not desk.sim.venue.requests["order.cancelReplace"]:  # noqa: ASYNC110 - the venue has no event for it
                    await trio.sleep(0.01)
            desk.trade_outside(Side.SELL, desk.small)
            await desk.status(old, OrdStatus.FILLED)
            refused = await desk.refusal(new)
            assert refused.reason is OrdRejReason.NOTHING_TO_REPLACE
            assert desk.sim.open_orders(ACCOUNT) == []
        await desk.tidy()
