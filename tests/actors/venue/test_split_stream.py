"""Conditional orders of a venue that keeps them in a service of their own, and tells of them on a second connection.

They are placed and canceled by REST while the socket is up, wait under an id of that service, and go on as another
order; whatever is lost meanwhile is found by asking both places.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import attrs
import pytest

from protocols.enums import ExecInst, OrdStatus, OrdType, Side
from protocols.ids import ClOrdID
from protocols.venue import SplitsPrivateStream
from protocols.venues.okx.algos import ALGO_PREFIX
from protocols.venues.registry import VenueOptions
from tests.actors.venue.anywhere import ACCOUNT, Anywhere, anywhere, connections
from tools.simulator import FaultKind, Simulator

SWAP = "okx-swap"
both = pytest.mark.parametrize("kind", ["okx-spot", SWAP])


def business(here: Anywhere) -> str:
    """The simulator's word for the sockets that tell of algo orders."""
    codec = here.codecs["private"]
    assert isinstance(codec, SplitsPrivateStream)
    (path,) = codec.further_private_paths()
    return here.sim.venue.kind_of(path)


def stop(here: Anywhere, trigger: Decimal) -> ClOrdID:
    """A stop that buys at the market."""
    order = here.order(ord_type=OrdType.STOP, stop_px=trigger)
    (cl_ord_id,) = here.place(attrs.evolve(order, price=None))
    return cl_ord_id


def trigger_of(here: Anywhere) -> Decimal:
    offers = here.depth(Side.SELL)
    return offers[len(offers) // 2][0]


def pull(here: Anywhere, trigger: Decimal) -> None:
    """Somebody buys everything up to the trigger."""
    offered = sum((qty for price, qty in here.depth(Side.SELL) if price <= trigger), Decimal(0))
    here.outside(Side.BUY, offered + here.small)


@both
async def test_one_that_waits_is_canceled_in_its_service(kind: str, tmp_path: Path) -> None:
    async with anywhere(kind, tmp_path) as here:
        order = here.order(ord_type=OrdType.STOP, stop_px=trigger_of(here))
        waiting, plain = here.place(attrs.evolve(order, price=None), here.order())
        stands = await here.status(waiting, OrdStatus.NEW)
        assert stands.order_id.startswith(ALGO_PREFIX)
        await here.status(plain, OrdStatus.NEW)
        assert here.world.inspect(here.entry)["by_rest"] == 1, "the stop alone: the socket is up"
        here.cancel_all()
        for cl_ord_id in (waiting, plain):
            await here.status(cl_ord_id, OrdStatus.CANCELED)
        assert not (await here.picture()).open_orders
        assert here.sim.arrivals(waiting).seen <= 1


async def test_one_that_the_venue_refuses_ends(tmp_path: Path) -> None:
    async with anywhere(SWAP, tmp_path) as here:
        order = here.order(ord_type=OrdType.STOP, stop_px=trigger_of(here) + here.instrument.price_steps[0].step / 2)
        here.place(attrs.evolve(order, price=None))
        assert "51150" in (await here.refused(order.cl_ord_id)).text


@pytest.mark.parametrize("lost", ["private", "business"])
async def test_one_that_is_triggered_while_a_connection_is_gone_is_found(lost: str, tmp_path: Path) -> None:
    """Its service says only that it was triggered; what it made says the rest."""
    async with anywhere(SWAP, tmp_path) as here:
        trigger = trigger_of(here)
        waiting, other = stop(here, trigger), stop(here, here.depth(Side.SELL)[-1][0] * 2)
        for cl_ord_id in (waiting, other):
            await here.status(cl_ord_id, OrdStatus.NEW)
        word = business(here) if lost == "business" else connections(here, "private")
        here.strike(FaultKind.REFUSE, word, count=2)
        here.sim.cut_connections(word)
        await here.until(lambda: here.account in here.not_ready(), "the account to notice")
        pull(here, trigger)
        ended = await here.status(waiting, OrdStatus.FILLED)
        assert not ended.order_id.startswith(ALGO_PREFIX)
        await here.ready()
        await here.until(lambda: not here.world.inspect(here.account)["in_doubt"], "no doubt")
        picture = await here.picture()
        (left,) = picture.open_orders
        assert left.cl_ord_id == other
        assert sum(fill.last_qty for fill in here.fills(waiting)) == here.small


async def test_one_whose_answer_is_lost_is_found_in_its_service(tmp_path: Path) -> None:
    async with anywhere(SWAP, tmp_path) as here:
        struck = here.strike(FaultKind.LOST_REPLY, "order-algo", count=1)
        waiting = stop(here, trigger_of(here))
        await here.until(lambda: struck.fired > 0, "the answer to be lost")
        stands = await here.status(waiting, OrdStatus.NEW)
        assert stands.order_id.startswith(ALGO_PREFIX)
        here.cancel(waiting)
        await here.status(waiting, OrdStatus.CANCELED)
        await here.until(lambda: not here.world.inspect(here.account)["in_doubt"], "no doubt")


@both
async def test_a_take_profit_with_a_price_closes_what_is_held(kind: str, tmp_path: Path) -> None:
    async with anywhere(kind, tmp_path) as here:
        await here.bought()
        trigger = trigger_of(here)
        order = here.order(
            Side.SELL, price=here.away(Side.SELL, "0.2"), ord_type=OrdType.TAKE_PROFIT_LIMIT, stop_px=trigger,
            exec_inst=ExecInst.REDUCE_ONLY if here.parts.capabilities.reduce_only else ExecInst.NONE,
        )  # fmt: skip
        here.place(order)
        await here.status(order.cl_ord_id, OrdStatus.NEW)
        before = here.reports(order.cl_ord_id)[-1].order_id
        pull(here, trigger)
        await here.until(
            lambda: here.reports(order.cl_ord_id)[-1].order_id != before, "the order that the take-profit made"
        )
        here.cancel(order.cl_ord_id)
        ended = await here.status(order.cl_ord_id, OrdStatus.CANCELED)
        assert not ended.order_id.startswith(ALGO_PREFIX)
        assert here.sim.open_orders(ACCOUNT) == []


async def test_the_stream_is_whole_while_both_connections_are(tmp_path: Path) -> None:
    async with anywhere(SWAP, tmp_path) as here:
        assert list(here.world.inspect(here.private)["further"]) == ["/ws/v5/business"]
        here.strike(FaultKind.REFUSE, business(here), count=1_000)
        here.sim.cut_connections(business(here))
        await here.until(lambda: here.private in here.not_ready(), "the gate to shut")
        assert here.world.inspect(here.private)["connected"], "the other one goes on"
        here.sim.faults.clear()
        await here.ready()


async def test_one_whose_news_is_lost_is_asked_for(tmp_path: Path) -> None:
    async with anywhere(SWAP, tmp_path) as here:
        here.strike(FaultKind.EVENT_DROP, "orders-algo:*", count=1)
        waiting = stop(here, trigger_of(here))
        await here.status(waiting, OrdStatus.NEW)
        here.strike(FaultKind.EVENT_DROP, "orders-algo:*", count=1)
        here.cancel(waiting)
        await here.status(waiting, OrdStatus.CANCELED)
        await here.until(lambda: not here.world.inspect(here.account)["in_doubt"], "no doubt")


async def test_a_restarted_account_knows_what_waits_and_what_it_became(tmp_path: Path) -> None:
    async with anywhere(SWAP, tmp_path) as here:
        trigger = trigger_of(here)
        waiting = stop(here, trigger)
        await here.status(waiting, OrdStatus.NEW)
        await here.world.kill(here.account)
        await here.ready()
        (known,) = (await here.picture()).open_orders
        assert (known.cl_ord_id, known.order_id is not None) == (waiting, True)
        pull(here, trigger)
        ended = await here.status(waiting, OrdStatus.FILLED)
        assert not ended.order_id.startswith(ALGO_PREFIX)


async def test_in_hedge_mode_a_stop_closes_the_leg_that_it_protects(tmp_path: Path) -> None:
    options = VenueOptions(request_window_ms=800, hedge_mode=True)

    def hedged(sim: Simulator) -> None:
        sim.account(ACCOUNT).hedge = True

    async with anywhere(SWAP, tmp_path, options=options, before=hedged) as here:
        await here.bought()
        bids = here.depth(Side.BUY)
        trigger = bids[len(bids) // 2][0]
        order = here.order(Side.SELL, ord_type=OrdType.STOP, stop_px=trigger, exec_inst=ExecInst.REDUCE_ONLY)
        (stopped,) = here.place(attrs.evolve(order, price=None))
        waiting = await here.status(stopped, OrdStatus.NEW)
        assert waiting.leg is Side.BUY
        asked = sum((qty for price, qty in bids if price >= trigger), Decimal(0))
        here.outside(Side.SELL, asked + here.small)
        ended = await here.status(stopped, OrdStatus.FILLED)
        assert ended.leg is Side.BUY
        assert [position.qty for position in here.sim.positions(ACCOUNT) if position.qty] == []
