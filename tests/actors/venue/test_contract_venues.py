"""What venues of contracts need besides: positions that are the venue's too, their mode, orders that change their name,
the dead-man switch, the listen key.
"""

from __future__ import annotations

import logging
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import attrs
import pytest

from actors.account.settings import AccountSettings
from actors.venue.settings import MS, SECOND
from protocols.enums import AlarmKind, ExecInst, OrdStatus, OrdType, Side
from protocols.ids import MANUAL, StrategyID
from protocols.journal import JOURNAL, AlarmRaised, PositionCorrected, ReplayQuery, account_key
from protocols.orders import CancelAll
from protocols.positions import AccountResynced
from protocols.venues.registry import VENUES, VenueOptions
from tests.actors.venue.anywhere import ACCOUNT, DESK, ENTERS, KINDS, MAKER, PROMPT, Anywhere, anywhere, connections
from tools.simulator import FaultKind, Simulator
from tools.simulator.core.model import PositionSide

CONTRACTS = tuple(kind for kind in KINDS if VENUES[kind].capabilities.positions)
AUDITING: AccountSettings = attrs.evolve(PROMPT, audit_ns=500 * MS)

contracts = pytest.mark.parametrize("kind", CONTRACTS)


def linear_key(sim: Simulator) -> str:
    """The first contract's market."""
    return next(key for key, market in sim.exchange.markets.items() if market.spec.is_linear)


def given(qty: str, px: str = "50000", side: PositionSide = PositionSide.BOTH, *, hedge: bool = False) -> Any:
    """An account that holds a position before we come."""

    def hold(sim: Simulator) -> None:
        account = sim.account(ACCOUNT)
        account.hedge = hedge
        position = account.position(linear_key(sim), side)
        position.qty, position.entry_px = Decimal(qty), Decimal(px)
        position.update_ns = sim.clock.now_ns()

    return hold


async def _records(here: Anywhere, kind: type[Any]) -> list[Any]:
    answer = await here.world.ask(JOURNAL, ReplayQuery(account_key(ACCOUNT, here.venue)))
    return [record for record in answer.records if isinstance(record, kind)]


# ---- positions ----------------------------------------------------------------------------------------------------


@pytest.mark.req("R274")
@contracts
async def test_a_position_from_before_us_is_taken_over_without_alarm(kind: str, tmp_path: Path) -> None:
    async with anywhere(kind, tmp_path, before=given("2"), account=AUDITING, lax=True) as here:
        await here.until(lambda: bool(here.world.inspect(here.account)["positions"]), "the position to be taken over")
        picture = await here.picture()
        (position,) = [each for each in picture.positions if each.qty]
        assert here.world.inspect(here.account)["alarms"] == 0
        assert (position.strategy, position.qty, position.avg_px) == (MANUAL, Decimal(2), Decimal(50000))
        assert not position.realized
        (stated,) = picture.venue_positions
        assert (stated.qty, stated.leg) == (Decimal(2), None)
        assert not await _records(here, AlarmRaised)
        (taken,) = await _records(here, PositionCorrected)
        assert taken.first


@pytest.mark.req("R274")
@contracts
async def test_a_position_that_our_fills_do_not_add_up_to_raises_an_alarm_and_becomes_ours(
    kind: str, tmp_path: Path
) -> None:
    """Somebody moves a position past us: seen twice, told, taken over as nobody's, and told to gates and portfolio."""
    async with anywhere(kind, tmp_path, account=AUDITING, lax=True) as here:
        await here.bought()
        await here.agreement()
        rounds = here.world.inspect(here.account)["attempt"]  # before its first comparison nothing can differ
        await here.until(lambda: here.world.inspect(here.account)["attempt"] > rounds + 1, "an audit")
        resyncs = len(here.gate.of(AccountResynced))
        position = here.sim.account(ACCOUNT).position(here.market.symbol, PositionSide.BOTH)
        more = here.instrument.qty_step * 3
        position.qty += more
        await here.until(lambda: here.world.inspect(here.account)["alarms"] == 1, "the alarm")
        (alarm,) = await _records(here, AlarmRaised)
        assert (alarm.kind, alarm.subject) == (AlarmKind.POSITION_DIFFERS, here.symbol)
        picture = await here.picture()
        held = {each.strategy: each.qty for each in picture.positions}
        assert held == {MAKER: here.small, MANUAL: more}
        assert [each.qty for each in picture.venue_positions] == [here.small + more]
        assert len(here.gate.of(AccountResynced)) > resyncs
        assert here.gate.of(AccountResynced)[-1].picture.positions == picture.positions
        rounds = here.world.inspect(here.account)["attempt"]
        await here.until(lambda: here.world.inspect(here.account)["attempt"] > rounds + 1, "more audits")
        assert here.world.inspect(here.account)["alarms"] == 1


async def test_by_policy_a_difference_is_told_and_left_alone(tmp_path: Path) -> None:
    policy = attrs.evolve(AUDITING, correct_positions=False)
    async with anywhere(CONTRACTS[0], tmp_path, account=policy, lax=True) as here:
        await here.bought()
        await here.agreement()
        rounds = here.world.inspect(here.account)["attempt"]
        await here.until(lambda: here.world.inspect(here.account)["attempt"] > rounds + 1, "an audit")
        here.sim.account(ACCOUNT).position(here.market.symbol, PositionSide.BOTH).qty += here.instrument.qty_step
        await here.until(lambda: here.world.inspect(here.account)["alarms"] == 1, "the alarm")
        rounds = here.world.inspect(here.account)["attempt"]
        await here.until(lambda: here.world.inspect(here.account)["attempt"] > rounds + 1, "more audits")
        assert here.world.inspect(here.account)["alarms"] == 1, "told once"
        assert {each.strategy for each in (await here.picture()).positions} == {MAKER}


@contracts
async def test_profit_and_position_count_contracts_by_their_size(kind: str, tmp_path: Path) -> None:
    async with anywhere(kind, tmp_path) as here:
        bought = await here.bought()
        spent = sum((fill.last_qty * fill.last_px for fill in here.fills(bought)), Decimal(0))
        (sold,) = here.place(here.order(Side.SELL, price=here.through(Side.SELL), exec_inst=ExecInst.REDUCE_ONLY))
        await here.status(sold, OrdStatus.FILLED)
        got = sum((fill.last_qty * fill.last_px for fill in here.fills(sold)), Decimal(0))
        fees = sum((fill.fee for fill in (*here.fills(bought), *here.fills(sold))), Decimal(0))
        (position,) = (await here.picture()).positions
        assert not position.qty
        assert position.realized == (got - spent) * here.instrument.contract_size - fees


@contracts
async def test_an_order_that_may_only_reduce_opens_nothing(kind: str, tmp_path: Path) -> None:
    async with anywhere(kind, tmp_path) as here:
        (order,) = here.place(here.order(Side.SELL, price=here.through(Side.SELL), exec_inst=ExecInst.REDUCE_ONLY))
        await here.end(order)
        assert not here.fills(order)
        assert here.sim.positions(ACCOUNT) == []


# ---- the mode of positions ------------------------------------------------------------------------------------------


@contracts
async def test_an_account_in_another_position_mode_is_never_ready(kind: str, tmp_path: Path) -> None:
    """It is said which setting is wrong.  Where the venue cannot be asked, a position of such an account tells."""
    held = given("2", side=PositionSide.LONG, hedge=True)
    async with anywhere(kind, tmp_path, before=held, wait=False) as here:
        wanted = f"venues.{kind}.hedge_mode is false: set it to true"
        await here.until(lambda: wanted in here.not_ready().get(here.account, ""), "the mode to be refused")


@contracts
async def test_in_hedge_mode_both_positions_are_told_and_their_sum_is_ours(kind: str, tmp_path: Path) -> None:
    options = VenueOptions(request_window_ms=800, hedge_mode=True)

    def hedged(sim: Simulator) -> None:
        sim.account(ACCOUNT).hedge = True

    async with anywhere(kind, tmp_path, options=options, before=hedged, account=AUDITING, lax=True) as here:
        await here.bought(here.small * 3)
        (short,) = here.place(here.order(Side.SELL, here.small, here.through(Side.SELL)))
        await here.status(short, OrdStatus.FILLED)
        (close,) = here.place(
            here.order(Side.SELL, here.small, here.through(Side.SELL), exec_inst=ExecInst.REDUCE_ONLY)
        )
        await here.status(close, OrdStatus.FILLED)
        await here.agreement()
        rounds = here.world.inspect(here.account)["attempt"]
        await here.until(lambda: here.world.inspect(here.account)["attempt"] > rounds + 1, "an audit")
        legs = {position.leg: position.qty for position in (await here.picture()).venue_positions}
        assert legs == {Side.BUY: here.small * 2, Side.SELL: -here.small}
        assert here.world.inspect(here.account)["alarms"] == 0
        told = {report.leg for report in here.reports(short)}
        assert Side.SELL in told


# ---- orders that change their name ----------------------------------------------------------------------------------


@contracts
async def test_a_conditional_order_that_is_triggered_stays_ours(kind: str, tmp_path: Path) -> None:
    """At some venues it goes on as another order with another id: fills, cancel and position are still its own."""
    async with anywhere(kind, tmp_path, account=AUDITING, lax=True) as here:
        if OrdType.STOP not in here.instrument.ord_types:
            pytest.skip("unsupported: the venue's conditional orders are not sent")
        offers = here.depth(Side.SELL)
        trigger = offers[len(offers) // 2][0]
        order = here.order(ord_type=OrdType.STOP, stop_px=trigger)
        order = attrs.evolve(order, price=None)
        here.place(order)
        await here.status(order.cl_ord_id, OrdStatus.NEW, OrdStatus.SUSPENDED)
        before = (await here.picture()).open_orders[0].order_id
        offered = sum((qty for price, qty in here.depth(Side.SELL) if price <= trigger), Decimal(0))
        here.outside(Side.BUY, offered + here.small)
        ended = await here.status(order.cl_ord_id, OrdStatus.FILLED)
        await here.agreement()
        assert {each.strategy for each in (await here.picture()).positions if each.qty} == {MAKER}
        assert before
        if kind in ("binance-usdm", "okx-swap"):
            assert ended.order_id not in ("", before), "it went on as another order"
        assert not (await here.picture()).open_orders


@contracts
async def test_what_the_venue_closes_by_force_is_booked_as_nobodys(kind: str, tmp_path: Path) -> None:
    """A liquidation is an order of the venue's own: its fill moves the position, and is told, not found missing."""
    async with anywhere(kind, tmp_path, account=AUDITING, lax=True) as here:
        await here.bought()
        await here.agreement()
        here.sim.liquidate(ACCOUNT, here.market.symbol)
        await here.until(lambda: not any(each.qty for each in here.sim.positions(ACCOUNT)), "the position to be closed")
        await here.agreement()
        picture = await here.picture()
        held = {each.strategy: each.qty for each in picture.positions if each.qty}
        assert held == {MAKER: here.small, MANUAL: -here.small}
        assert not [each for each in picture.venue_positions if each.qty]
        assert not await _records(here, AlarmRaised)


async def test_a_triggered_order_whose_link_comes_late_stays_ours(tmp_path: Path) -> None:
    """Its own events come before the one that says whose it is: nothing may be booked for somebody else meanwhile."""
    kind = "binance-usdm"
    if kind not in KINDS:
        pytest.skip("unsupported: nobody plays this venue")
    async with anywhere(kind, tmp_path, account=AUDITING, lax=True) as here:
        offers = here.depth(Side.SELL)
        trigger = offers[len(offers) // 2][0]
        order = attrs.evolve(here.order(ord_type=OrdType.STOP, stop_px=trigger), price=None)
        here.place(order)
        await here.status(order.cl_ord_id, OrdStatus.NEW)
        here.strike(FaultKind.EVENT_DELAY, "ALGO_UPDATE*", count=None, delay_ms=200)
        offered = sum((qty for price, qty in here.depth(Side.SELL) if price <= trigger), Decimal(0))
        here.outside(Side.BUY, offered + here.small)
        await here.status(order.cl_ord_id, OrdStatus.FILLED)
        await here.agreement()
        assert {each.strategy for each in (await here.picture()).positions if each.qty} == {MAKER}


@contracts
@pytest.mark.parametrize("others", [0, 1])
async def test_canceling_many_reaches_plain_and_conditional_orders(kind: str, others: int, tmp_path: Path) -> None:
    """All orders of a symbol in a mass; those of one strategy in batches, which may take no conditional ones."""
    async with anywhere(kind, tmp_path, lax=True) as here:
        if OrdType.STOP not in here.instrument.ord_types:
            pytest.skip("unsupported: the venue's conditional orders are not sent")
        offers = here.depth(Side.SELL)
        stop = here.order(ord_type=OrdType.STOP, stop_px=offers[len(offers) // 2][0])
        orders = [attrs.evolve(stop, price=None), *(here.order() for _ in range(5))]
        kept = [attrs.evolve(here.order(), strategy=StrategyID("other")) for _ in range(others)]
        for order in (*orders, *kept):
            here.place(order)
            await here.status(order.cl_ord_id, OrdStatus.NEW, OrdStatus.SUSPENDED)
        here.world.tell(here.account, CancelAll(ACCOUNT, here.venue, DESK, here.symbol, MAKER))
        for order in orders:
            await here.status(order.cl_ord_id, OrdStatus.CANCELED)
        left = (await here.picture()).open_orders
        assert [each.cl_ord_id for each in left] == [order.cl_ord_id for order in kept]


# ---- the dead-man switch --------------------------------------------------------------------------------------------


async def test_the_switch_cancels_when_we_fall_silent(tmp_path: Path) -> None:
    """All connections are gone and nobody listens: the venue cancels for us, and we find that when we are back."""
    kind = "binance-usdm"
    if kind not in KINDS:
        pytest.skip("unsupported: nobody plays this venue")
    net = attrs.evolve(ENTERS, dead_man_ns=1 * SECOND)
    async with anywhere(kind, tmp_path, entry=net) as here:
        order = await here.resting()
        await here.until(lambda: _armed_ms(here, here.symbol) > 0, "the switch to be armed")
        await here.until(lambda: here.sim.venue.requests["countdownCancelAll"] >= 3, "it to be armed again")
        assert here.reports(order)[-1].ord_status is OrdStatus.NEW
        here.strike(FaultKind.REFUSE_FOR, delay_ms=1_500)
        here.sim.cut_connections()
        await here.status(order, OrdStatus.CANCELED)
        await here.ready()
        await here.agreement()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if VENUES[kind].capabilities.dead_man_switch])
async def test_the_switch_is_armed_where_it_is_wanted_and_disarmed_at_an_orderly_stop(
    kind: str, tmp_path: Path
) -> None:
    net = attrs.evolve(ENTERS, dead_man_ns=10 * SECOND)
    async with anywhere(kind, tmp_path, entry=net) as here:
        scope = here.symbol if here.parts.capabilities.dead_man_by_symbol else "account"
        await here.until(lambda: _armed_ms(here, scope) > 0, "the switch to be armed")
        sim = here.sim
        armed = sim.venue.requests.total()
    assert sim.venue.requests.total() > armed, "it was told that we go"


def _armed_ms(here: Anywhere, scope: str) -> int:
    switch = here.world.inspect(here.entry)["dead_man"]
    return int(switch["armed_ms"].get(scope, 0)) if switch else 0


# ---- the listen key -------------------------------------------------------------------------------------------------

LISTENS = tuple(kind for kind in KINDS if VENUES[kind].capabilities.listen_key)


@pytest.mark.parametrize("kind", LISTENS)
@pytest.mark.parametrize("said", [True, False])
async def test_a_listen_key_that_dies_is_replaced_and_nothing_is_lost(
    kind: str, said: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Said by the venue, or found out by the keep-alive alone; the socket stays open and silent in both cases."""
    caplog.set_level(logging.DEBUG)

    async with anywhere(kind, tmp_path, listen_key_refresh_ns=200 * MS) as here:
        venue = cast(Any, here.sim.venue)
        key = venue.listen_keys.of(here.sim.account(ACCOUNT))
        await here.until(lambda: here.world.inspect(here.private)["listen_key"]["kept_alive"] > 0, "a keep-alive")
        (resting,) = here.place(here.order(price=here.top(Side.BUY)))
        await here.status(resting, OrdStatus.NEW)
        if said:
            venue._expire_key(key)
        else:
            venue.close_key(key)
        here.outside(Side.SELL, here.ahead_of(resting) + here.small)
        await here.status(resting, OrdStatus.FILLED)
        await here.until(lambda: here.world.inspect(here.private)["listen_key"]["deaths"] == 1, "the death")
        await here.ready()
        fresh = venue.listen_keys.of(here.sim.account(ACCOUNT))
        assert fresh.text != key.text
        assert await here.resting()
        await here.agreement()
        told = f"{here.world.events} {dict(here.world.inspect(here.private))} {caplog.text} {here.heard.messages}"
        for secret in (key.text, fresh.text):
            assert secret not in told
        assert connections(here, "private") == "private"
