"""The shipped market-maker replaces its quotes while actors crash, sockets are cut and replies are lost.

Whatever was on its way then: in the end engine and venue agree, no order reached the venue twice, every fill is in the
journal once, and each replacing order stands there with the cancel of the one that it replaces.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import trio

from actors.journal.replay import read
from protocols.ids import AccountID
from protocols.journal import CancelIntent, OrderIntent, Record
from protocols.orders import FIRM_GATE, ExecutionReport, account_gate, account_path
from protocols.reconcile import entry_path
from tests.scenarios.support import VENUE, Trading, audit, trading
from tools.simulator import Fault, FaultKind

MASTER = AccountID("master")
REPLACING = "order.cancelReplace"
FAULTS = (FaultKind.LOST_REPLY, FaultKind.CUT_AFTER, FaultKind.CUT_BEFORE)
VICTIMS = (account_path(MASTER, VENUE), entry_path(MASTER, VENUE), account_gate(MASTER), FIRM_GATE)


async def replaced(run: Trading, more: int, within_s: float = 60) -> None:
    """Wait until the venue has seen so many more requests that replace an order."""
    wanted = run.sim.venue.requests[REPLACING] + more
    with trio.fail_after(within_s):
        while run.sim.venue.requests[REPLACING] < wanted:  # noqa: ASYNC110 - the simulator's counts have no event
            await trio.sleep(0.01)


@pytest.mark.slow
@pytest.mark.req("R268")
async def test_quotes_are_replaced_through_faults_and_crashes(tmp_path: Path) -> None:
    async with trading(tmp_path, overrides={"strategies.maker-btc.params.requote_bps": "0.1"}) as run:
        await run.all_ready()
        await replaced(run, 5)
        for kind in FAULTS:
            run.sim.strike(Fault(kind=kind, match=REPLACING, count=1))
            await replaced(run, 3)
        for path in VICTIMS:
            await replaced(run, 1)
            run.host.runtime.cell(path).sabotage("now")
            await run.all_ready()
        await replaced(run, 3)
        sim = run.sim
    assert [order for name in ("master", "sub1") for order in sim.open_orders(name)] == []
    assert audit(sim, tmp_path) == []
    records = [stored.record for stored in read(tmp_path / "journal")]
    replacing = {r.order.cl_ord_id: r.order.orig_cl_ord_id for r in records if isinstance(r, OrderIntent)}
    replacing = {new: old for new, old in replacing.items() if old is not None}
    assert len(replacing) >= 10
    told = {r.cl_ord_id: r.orig_cl_ord_id for r in records if isinstance(r, ExecutionReport)}
    assert all(told[new] == old for new, old in replacing.items() if new in told)
    assert any(new in told for new in replacing)
    assert_written_together(records)


def assert_written_together(records: list[Record]) -> None:
    """The cancel of the old order follows the intent of the new one, with nothing in between."""
    for record, following in pairwise(records):
        if isinstance(record, OrderIntent) and record.order.orig_cl_ord_id is not None:
            assert isinstance(following, CancelIntent)
            assert following.cl_ord_id == record.order.orig_cl_ord_id
