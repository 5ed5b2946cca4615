"""The private stream: ready only when subscribed, nothing dropped, honest about keys."""

from __future__ import annotations

import attrs
import pytest
import trio

from actors.venue.settings import SECOND
from protocols.enums import ExecType
from protocols.orders import ExecutionReport
from protocols.positions import BalancesChanged
from protocols.venue import SessionRules
from protocols.venues.binance_spot.signer import HmacSigner
from supervisors.actor import Down, Up
from tests.actors.venue.spot import ACCOUNT, ENTRY, MASTER, PRIVATE, sessions, simulator_config
from tools.simulator import Fault, FaultKind


@pytest.mark.req("R007", "R015", "R269")
@pytest.mark.parametrize("hmac", [False, True])
async def test_the_account_hears_of_its_orders_and_balances(hmac: bool) -> None:
    async with sessions(only=(PRIVATE, ENTRY), hmac=hmac) as spot:
        await spot.world.ready(PRIVATE)
        await spot.trading()
        cl_ord_id = spot.submit(spot.order())
        reports = await spot.account.wait_for(ExecutionReport, 2, lambda report: report.exec_type is ExecType.NEW)
        assert {report.cl_ord_id for report in reports} == {cl_ord_id}, "one by the reply, one by the stream"
        await spot.account.one(BalancesChanged)


@pytest.mark.req("R090", "R345")
async def test_the_gate_shuts_at_a_loss_and_opens_when_subscribed_again() -> None:
    async with sessions(only=(PRIVATE,)) as spot:
        await spot.world.ready(PRIVATE)
        watcher = spot.world.runtime.cell(ACCOUNT)
        assert watcher.ctx is not None
        watcher.ctx.watch(PRIVATE)
        await spot.account.one(Up)
        spot.sim.cut_connections("ws-api")
        await spot.account.one(Down)
        await spot.account.wait_for(Up, 2)
        order = [type(message) for message in spot.account.messages if isinstance(message, Up | Down)]
        assert order == [Up, Down, Up]
        spot.sim.deposit(MASTER, "USDT", spot.order().order_qty)


async def test_a_planned_replacement_keeps_the_gate_open_and_loses_nothing() -> None:
    def short_lived(rules: SessionRules) -> SessionRules:
        return attrs.evolve(rules, connection_age_max_ns=1 * SECOND)

    async with sessions(only=(PRIVATE, ENTRY), rules=short_lived) as spot:
        await spot.world.ready(PRIVATE)
        await spot.trading()
        wanted = []
        while spot.world.inspect(PRIVATE)["replacements"] < 2 or spot.world.inspect(ENTRY)["replacements"] < 2:
            wanted.append(spot.submit(spot.order()))
            await trio.sleep(0.1)
        for cl_ord_id in wanted:
            await spot.account.wait_for(ExecutionReport, 2, lambda each, wanted=cl_ord_id: each.cl_ord_id == wanted)  # type: ignore[misc]
            assert spot.sim.arrivals(cl_ord_id).seen == 1
        assert spot.world.inspect(PRIVATE)["losses"] == 0
        assert [event for event in spot.world.events if event.path == PRIVATE and event.what == "unready"] == []


@pytest.mark.req("R087")
async def test_an_announced_end_is_answered_with_a_new_connection_before_the_old_one_goes() -> None:
    """Both are read for a while, so the account hears everything and its gate stays open."""
    async with sessions(only=(PRIVATE, ENTRY)) as spot:
        await spot.world.ready(PRIVATE)
        await spot.trading()
        spot.sim.strike(Fault(kind=FaultKind.SHUTDOWN_NOTICE, delay_ms=2_000))
        wanted = []
        while spot.world.inspect(PRIVATE)["replacements"] < 1:
            wanted.append(spot.submit(spot.order()))
            await trio.sleep(0.05)
        for cl_ord_id in wanted:
            await spot.account.wait_for(ExecutionReport, 2, lambda each, wanted=cl_ord_id: each.cl_ord_id == wanted)  # type: ignore[misc]
        assert spot.world.inspect(PRIVATE)["losses"] == 0
        assert [event for event in spot.world.events if event.path == PRIVATE and event.what == "unready"] == []


async def test_executions_wait_for_a_full_account_and_are_all_delivered() -> None:
    """The account is paused, its mailbox fills (64 in this tree); when it goes on, nothing is missing."""
    async with sessions(simulator_config(), only=(PRIVATE, ENTRY)) as spot:
        await spot.world.ready(PRIVATE)
        await spot.trading()
        account = spot.world.runtime.cell(ACCOUNT)
        account.set_paused(True)
        before = len(spot.account.messages)
        ids = []
        for _ in range(60):
            ids.append(spot.submit(spot.order()))
            await trio.sleep(0.02)
        await spot.world.until(lambda: account.mailbox.depth >= 64)
        assert len(spot.account.messages) == before
        account.set_paused(False)
        sent = [each for each in ids if spot.sim.arrivals(each).accepted]
        for cl_ord_id in sent:
            await spot.account.wait_for(ExecutionReport, 2, lambda each, wanted=cl_ord_id: each.cl_ord_id == wanted)  # type: ignore[misc]
        assert len(sent) > 30


@pytest.mark.req("R144")
async def test_a_wrong_key_is_said_in_the_venues_words_and_not_tried_again_soon() -> None:
    """A key that is refused is nothing that a restart repairs: the actor stays, unready, and crashes nobody."""
    wrong = HmacSigner("x" * 64, "y" * 64)
    async with sessions(only=(PRIVATE,), signer=wrong) as spot:
        cell = spot.world.runtime.cell(PRIVATE)
        await spot.world.until(lambda: f"accounts.{MASTER}.keys" in cell.unready_reason)
        await trio.sleep(0.5)
        assert spot.world.inspect(PRIVATE)["connects"] == 1
        assert spot.world.crashes(PRIVATE) == []


async def test_a_key_revoked_in_mid_session_shuts_the_gate_with_the_reason() -> None:
    async with sessions(only=(PRIVATE,)) as spot:
        await spot.world.ready(PRIVATE)
        cell = spot.world.runtime.cell(PRIVATE)
        spot.sim.strike(Fault(kind=FaultKind.REVOKE_KEY, match=spot.sim.credentials(MASTER).ed25519_key))
        await spot.world.until(lambda: not cell.ready)
        assert "refuses the key" in cell.unready_reason
        await trio.sleep(0.5)
        assert spot.world.inspect(PRIVATE)["connects"] == 1
        assert spot.world.crashes(PRIVATE) == []
