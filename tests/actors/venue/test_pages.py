"""Answers in pages and parts: every question of the reconciler is asked to its end, on every venue that has ends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import trio

from protocols.enums import Side
from protocols.ids import MANUAL, ClOrdID
from protocols.venue import ContinuesAnswers
from tests.actors.venue.anywhere import ONE_EACH, anywhere, connections, parts_of
from tools.simulator import FaultKind

PAGES: Mapping[str, tuple[str, ...]] = {
    "bybit": ("protocols.venues.bybit.requests.ORDERS_MAX", "protocols.venues.bybit.requests.EXECUTIONS_MAX"),
    "okx": ("protocols.venues.okx.queries.PAGE_ROWS",),
    "upbit": ("protocols.venues.upbit.private.OPEN_ORDERS_PAGE",),
}
"""How many rows a page has, by family: made small, so that a few orders fill several."""
SMALL = 3
PAGED = tuple(kind for kind in ONE_EACH if parts_of(kind).family in PAGES)


@pytest.mark.parametrize("kind", PAGED)
async def test_orders_and_fills_on_later_pages_are_found(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the owner places while our stream is gone, we learn from the lists alone: three pages of each."""
    for name in PAGES[parts_of(kind).family]:
        monkeypatch.setattr(name, SMALL)
    async with anywhere(kind, tmp_path, lax=True) as here:
        assert isinstance(here.codecs["reconciler"], ContinuesAnswers)
        ours = await here.resting()
        here.strike(FaultKind.REFUSE, connections(here, "private"), count=None)
        here.sim.cut_connections(connections(here, "private"))
        await here.until(lambda: here.account in here.not_ready(), "the account to notice")
        for number in range(2 * SMALL + 1):
            await here.by_hand(here.order(cl_ord_id=ClOrdID(f"ownerrests{number}")))
            await here.by_hand(here.order(price=here.through(Side.BUY), cl_ord_id=ClOrdID(f"ownerbuys{number}")))
            await trio.sleep(0.25)  # the owner's program keeps the venue's limits
        here.sim.faults.clear()
        await here.ready()
        await here.agreement()
        picture = await here.picture()
        assert len(picture.open_orders) == 2 * SMALL + 2
        assert ours in {order.cl_ord_id for order in picture.open_orders}
        (held,) = [each for each in picture.positions if each.qty]
        assert held.strategy == MANUAL
        assert here.world.inspect(here.account)["fills_kept"] >= 2 * SMALL + 1
