"""One implementation of private stream, order entry, reconciler and account on every venue: the same orders, the same
ends.  What a venue lacks is a skip with the reason, what it does its own way shows in its capabilities.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from protocols.enums import CxlRejReason, OrdStatus, Side
from protocols.orders import CancelRejected
from tests.actors.venue.anywhere import KINDS, anywhere

pytestmark = pytest.mark.parametrize("kind", KINDS)


async def test_an_order_lives_and_ends(kind: str, tmp_path: Path) -> None:
    """Placed, amended where that is possible, canceled; one that fills in part; a cancel that comes too late."""
    async with anywhere(kind, tmp_path) as here:
        order = await here.resting(qty=here.small * 2)
        here.amend(order, here.small)
        if here.parts.capabilities.amends:
            await here.until(lambda: here.reports(order)[-1].order_qty == here.small, "the amend")
        else:
            refused = await here.heard.one(CancelRejected)
            assert refused.reason is CxlRejReason.UNSUPPORTED
        here.cancel(order)
        await here.status(order, OrdStatus.CANCELED)

        (part,) = here.place(here.order(price=here.top(Side.BUY)))
        await here.status(part, OrdStatus.NEW)
        half = here.instrument.round_qty(here.small / 2)
        here.outside(Side.SELL, here.ahead_of(part) + half)
        partial = await here.status(part, OrdStatus.PARTIALLY_FILLED)
        assert partial.cum_qty == half
        here.cancel(part)
        ended = await here.status(part, OrdStatus.CANCELED)
        assert ended.cum_qty == half

        done = await here.bought()
        here.cancel(done)
        late = await here.heard.one(CancelRejected, lambda each: each.cl_ord_id == done)
        assert late.reason is CxlRejReason.TOO_LATE
        await here.agreement()
