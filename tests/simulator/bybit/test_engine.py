"""The engine at work on the simulated Bybit, where that needs more than at other venues: orders that wait on spot."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import cast

import attrs
import pytest
import trio

from actors.account.settings import AccountSettings
from actors.venue.settings import MS
from protocols.enums import ExecType, OrdStatus, OrdType, Side
from protocols.ids import StrategyID, Symbol
from protocols.orders import AmendOrder, CancelAll, NewOrder, OrderRefused, RiskApprovedAmend
from protocols.venue import HttpRequest
from protocols.venues.bybit import BybitPrivate
from protocols.venues.registry import VenueOptions
from tests.actors.venue.anywhere import ACCOUNT, DESK, MAKER, PROMPT, Anywhere, anywhere
from tools.simulator import Simulator
from tools.simulator.dialects.bybit.venue import Bybit

KINDS = ("bybit-spot", "bybit-linear")
AUDITING: AccountSettings = attrs.evolve(PROMPT, audit_ns=500 * MS)


def waiting(here: Anywhere) -> NewOrder:
    """A market buy that waits for the middle of the offers to be gone."""
    offers = here.depth(Side.SELL)
    order = here.order(ord_type=OrdType.STOP, stop_px=offers[len(offers) // 2][0])
    return attrs.evolve(order, price=None)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_waiting_order_is_canceled(kind: str, tmp_path: Path) -> None:
    async with anywhere(kind, tmp_path, account=AUDITING) as here:
        (one, other) = here.place(waiting(here), waiting(here))
        for each in (one, other):
            await here.status(each, OrdStatus.NEW)
        here.cancel(one)
        await here.status(one, OrdStatus.CANCELED)
        here.cancel_all()
        await here.status(other, OrdStatus.CANCELED)
        assert here.sim.open_orders(ACCOUNT) == []
        await here.agreement()


async def test_a_waiting_order_of_spot_is_canceled_after_a_reconnect(tmp_path: Path) -> None:
    """What the reconciliation shows of it names its kind too."""
    async with anywhere("bybit-spot", tmp_path, account=AUDITING) as here:
        (order,) = here.place(waiting(here))
        await here.status(order, OrdStatus.NEW)
        here.sim.cut_connections()
        await here.ready()
        here.cancel(order)
        ended = await here.status(order, OrdStatus.CANCELED)
        assert not ended.cum_qty
        assert here.sim.open_orders(ACCOUNT) == []
        await here.agreement()


async def test_a_triggered_order_of_spot_stays_ours(tmp_path: Path) -> None:
    async with anywhere("bybit-spot", tmp_path, account=AUDITING, lax=True) as here:
        (order,) = here.place(waiting(here))
        named = (await here.status(order, OrdStatus.NEW)).order_id
        offers = here.depth(Side.SELL)
        here.outside(Side.BUY, sum((qty for _, qty in offers[: len(offers) // 2 + 1]), here.small))
        ended = await here.status(order, OrdStatus.FILLED)
        assert named == f"StopOrder:{ended.order_id}"
        await here.agreement()
        assert not (await here.picture()).open_orders


@pytest.mark.parametrize("hedge", [False, True])
async def test_the_position_mode_is_asked_for_before_there_is_a_position(hedge: bool, tmp_path: Path) -> None:
    """Symbol by symbol: the venue has no question about the account's."""

    def otherwise(sim: Simulator) -> None:
        sim.account(ACCOUNT).hedge = not hedge

    options = VenueOptions(request_window_ms=800, hedge_mode=hedge)
    async with anywhere("bybit-linear", tmp_path, options=options, before=otherwise, wait=False) as here:
        wanted = f"venues.bybit-linear.hedge_mode is {str(hedge).lower()}: set it to {str(not hedge).lower()}"
        await here.until(lambda: wanted in here.not_ready().get(here.account, ""), "the mode to be refused")
        assert here.sim.positions(ACCOUNT) == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_classic_account_is_never_ready(kind: str, tmp_path: Path) -> None:
    def classic(sim: Simulator) -> None:
        cast(Bybit, sim.venue).classic.add(ACCOUNT)

    async with anywhere(kind, tmp_path, before=classic, wait=False) as here:
        wanted = f"account {ACCOUNT} at {kind} is a classic account"
        await here.until(lambda: wanted in here.not_ready().get(here.account, ""), "the account to be refused")
        cast(Bybit, here.sim.venue).classic.clear()
        await here.ready()
        assert await here.resting()


@pytest.mark.parametrize("kind", KINDS)
async def test_our_orders_do_not_trade_with_each_other(kind: str, tmp_path: Path) -> None:
    """The taker's setting decides: the resting order goes."""
    async with anywhere(kind, tmp_path, account=AUDITING, events_per_s=0.001) as here:  # nobody else trades
        (resting,) = here.place(here.order(price=here.top(Side.BUY) + here.instrument.price_steps[0].step))
        working = await here.status(resting, OrdStatus.NEW)
        (crossing,) = here.place(here.order(Side.SELL, price=working.price))
        ended = await here.status(resting, OrdStatus.CANCELED)
        assert (ended.cum_qty, ended.text) == (Decimal(0), "CancelBySmp")
        await here.status(crossing, OrdStatus.NEW)
        here.cancel(crossing)
        await here.agreement()


@pytest.mark.parametrize("environment", ["production", "demo"])
async def test_more_cancels_than_the_venue_takes_in_a_second(environment: str, tmp_path: Path) -> None:
    """Of one strategy, so that no mass cancel means the same: in batches that the bucket holds, one a second.

    Demo trading has no trade socket.
    """
    options = VenueOptions(request_window_ms=800, environment=environment)
    async with anywhere("bybit-linear", tmp_path, account=AUDITING, options=options) as here:
        kept, *_ = here.place(attrs.evolve(here.order(), strategy=StrategyID("other")))
        others = []
        for _ in range(3):  # as many at once as new orders may be
            placed = here.place(*(here.order() for _ in range(5)))
            for each in placed:
                await here.status(each, OrdStatus.NEW)
            others += placed
            await trio.sleep(1)
        while len(here.sim.open_orders(ACCOUNT)) > 1:  # a busy machine may make the permits late: ask again
            here.world.tell(here.account, CancelAll(ACCOUNT, here.venue, DESK, strategy=MAKER))
            with trio.move_on_after(5):
                for order in others:
                    await here.status(order, OrdStatus.CANCELED)
        assert [each.cl_ord_id for each in here.sim.open_orders(ACCOUNT)] == [kept]
        assert here.sim.venue.requests["order.cancel-batch"] >= 2


@pytest.mark.parametrize("kind", KINDS)
async def test_a_price_is_amended_and_a_quantity_raised_in_place(kind: str, tmp_path: Path) -> None:
    async with anywhere(kind, tmp_path, account=AUDITING) as here:
        order = await here.resting()
        named = here.reports(order)[-1].order_id
        wanted = here.small * 3, here.away(Side.BUY, "0.02")
        request = AmendOrder(
            order, ACCOUNT, here.venue, here.symbol, wanted[0], DESK, wanted[1], here.ids.next(), MAKER
        )
        here.world.tell(here.account, RiskApprovedAmend(request))
        await here.until(lambda: here.reports(order)[-1].exec_type is ExecType.REPLACED, "the new terms")
        (shown,) = here.sim.open_orders(ACCOUNT)
        assert (shown.venue_id, shown.order_qty, shown.price) == (named, *wanted)
        told = here.reports(order)[-1]
        assert (told.order_qty, told.price) == wanted
        await here.agreement()


async def test_more_orders_by_rest_than_the_venue_takes_in_a_second(tmp_path: Path) -> None:
    """A batch that its bucket can never hold goes in parts; demo trading has REST alone."""
    options = VenueOptions(request_window_ms=800, environment="demo")
    async with anywhere("bybit-linear", tmp_path, account=AUDITING, options=options) as here:
        orders = here.place(*(here.order() for _ in range(16)))
        for order in orders:
            await here.end_or_rest(order)
        # A busy machine may make permits late; none was refused because the batch was too large.
        assert not [each for each in here.heard.of(OrderRefused) if "more than its share" in each.text]
        assert here.sim.venue.requests["order.create-batch"]


async def test_a_symbol_that_is_no_longer_listed_has_no_position_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = set()

    def gone(codec: BybitPrivate, symbol: Symbol, stamp_venue_ns: int) -> HttpRequest:
        asked.add(symbol)
        return codec.positions_request(stamp_venue_ns, Symbol("GONEUSDT"))

    monkeypatch.setattr(BybitPrivate, "position_mode_of_request", gone)
    async with anywhere("bybit-linear", tmp_path) as here:  # and ready
        assert asked == {here.symbol}
        assert here.sim.venue.requests["position.list"]


async def test_orders_and_a_waiting_one_are_canceled_together(tmp_path: Path) -> None:
    """No batch of spot has a word for the waiting one: all go one by one."""
    async with anywhere("bybit-spot", tmp_path, account=AUDITING) as here:
        orders = here.place(here.order(), waiting(here), here.order())
        for order in orders:
            await here.status(order, OrdStatus.NEW)
        here.cancel_all()
        for order in orders:
            await here.status(order, OrdStatus.CANCELED)
        assert here.sim.open_orders(ACCOUNT) == []
        assert here.sim.venue.requests["order.cancel"] == 3
