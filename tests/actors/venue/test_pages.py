"""Answers in pages and parts: every question of the reconciler is asked to its end, on every venue that has ends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from protocols.enums import OrdStatus, Side
from protocols.venue import ContinuesAnswers
from tests.actors.venue.anywhere import ACCOUNT, KINDS, MAKER, anywhere, connections, parts_of
from tools.simulator import FaultKind

PAGES: Mapping[str, tuple[str, ...]] = {
    "bybit": ("protocols.venues.bybit.requests.ORDERS_MAX", "protocols.venues.bybit.requests.EXECUTIONS_MAX"),
    "okx": ("protocols.venues.okx.private.PAGE_ROWS",),
    "upbit": ("protocols.venues.upbit.private.OPEN_ORDERS_PAGE",),
}
"""How many rows a page has, by family: made small, so that a few orders fill several."""
SMALL = 3
PAGED = tuple(kind for kind in KINDS if parts_of(kind).family in PAGES)


@pytest.mark.parametrize("kind", PAGED)
async def test_orders_and_fills_on_later_pages_are_found(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What rests and what filled while the stream was gone takes three pages of each; all of it is found, once."""
    for name in PAGES[parts_of(kind).family]:
        monkeypatch.setattr(name, SMALL)
    async with anywhere(kind, tmp_path, lax=True) as here:
        assert isinstance(here.codecs["reconciler"], ContinuesAnswers)
        resting = [await here.resting() for _ in range(2 * SMALL + 1)]
        crossing = here.place(*(here.order(price=here.top(Side.BUY)) for _ in range(2 * SMALL + 1)))
        for cl_ord_id in crossing:
            await here.status(cl_ord_id, OrdStatus.NEW)
        here.strike(FaultKind.REFUSE, connections(here, "private"), count=2)
        here.sim.cut_connections(connections(here, "private"))
        await here.until(lambda: here.account in here.not_ready(), "the account to notice")
        here.outside(Side.SELL, here.ahead_of(crossing[-1]) + here.small)
        await here.ready()
        for cl_ord_id in crossing:
            await here.status(cl_ord_id, OrdStatus.FILLED)
        await here.agreement()
        picture = await here.picture()
        assert {order.cl_ord_id for order in picture.open_orders} == set(resting)
        held = {each.strategy for each in picture.positions if each.qty}
        assert held == {MAKER}
        assert len(here.sim.open_orders(ACCOUNT)) == len(resting)
