"""Our own Spot codec replaces orders at the simulated venue, by both ways: each outcome of the reference's section 8.5.

The simulator knows nothing of the engine, so what the two agree on is what the reference says to both.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import attrs
import httpx
import pytest
import trio
from trio_websocket import WebSocketConnection

from protocols.enums import ExecType, OrdRejReason, OrdStatus, OrdType, Side
from protocols.ids import AccountID, ClOrdID, ClOrdIDs, OrderID, StrategyID, Symbol
from protocols.orders import NewOrder
from protocols.venue import Disposition, HttpReply, HttpRequest, Reply
from protocols.venues.binance_spot import VENUE, BinanceSpotPrivate, signer_for
from tests.simulator.wire import PATIENCE_S, best, binance, open_ws, running
from tools.simulator import Side as SimSide
from tools.simulator import Simulator

BTC = Symbol("BTCUSDT")
WAYS = ("socket", "rest")


@attrs.define
class Trader:
    """One account that speaks to the venue by one of two ways."""

    sim: Simulator
    way: str
    codec: BinanceSpotPrivate
    socket: WebSocketConnection
    http: httpx.AsyncClient
    ids: ClOrdIDs = attrs.Factory(lambda: ClOrdIDs("alpha", "s", 1_790_000_000, 1))

    @property
    def now(self) -> int:
        return self.sim.clock.now_ns()

    def order(self, price: str, qty: str = "0.01", **more: Any) -> NewOrder:
        return NewOrder(
            cl_ord_id=self.ids.next(),
            account=AccountID("alpha"),
            strategy=StrategyID("s"),
            venue=VENUE,
            symbol=BTC,
            side=Side.BUY,
            ord_type=OrdType.LIMIT,
            order_qty=Decimal(qty),
            price=Decimal(price),
            created_ns=self.now,
            reply_to="/strategies/s",
            **more,
        )

    async def send(self, request: HttpRequest) -> HttpReply:
        sent_ns = self.now
        answer = await self.http.request(
            request.method, f"{request.path}?{request.query}", headers=dict(request.headers)
        )
        return HttpReply(answer.status_code, dict(answer.headers), answer.content, sent_ns, self.now)

    async def placed(self, price: str, qty: str = "0.01") -> tuple[ClOrdID, OrderID]:
        order = self.order(price, qty)
        reply = self.codec.decode_rest_order("1", await self.send(self.codec.rest_new_order(order, self.now)))
        assert reply.report is not None
        return order.cl_ord_id, reply.report.order_id

    async def replace(self, cl_ord_id: ClOrdID, order_id: OrderID | None, new: NewOrder) -> Reply:
        if self.way == "rest":
            request = self.codec.rest_replace_order(cl_ord_id, order_id, new, self.now)
            return self.codec.decode_rest_order("r1", await self.send(request))
        frame = self.codec.replace_order(cl_ord_id, order_id, new, "r1", self.now, logged_on=False)
        await self.socket.send_message(frame.text)
        with trio.fail_after(PATIENCE_S):
            (reply,) = self.codec.decode_entry(await self.socket.get_message(), self.now)
        assert isinstance(reply, Reply)
        return reply


@asynccontextmanager
async def trading(way: str) -> AsyncIterator[Trader]:
    async with (
        running() as sim,
        open_ws(sim, "/ws-api/v3") as socket,
        httpx.AsyncClient(base_url=sim.rest_url, trust_env=False, timeout=PATIENCE_S) as http,
    ):
        keys = sim.credentials("alpha")
        codec = BinanceSpotPrivate(AccountID("alpha"), signer_for(keys.hmac_key, keys.hmac_secret))
        yield Trader(sim, way, codec, socket, http)


def open_ids(sim: Simulator) -> set[str]:
    return {order.cl_ord_id for order in sim.open_orders("alpha")}


@pytest.mark.parametrize("way", WAYS)
async def test_one_order_in_place_of_another(way: str) -> None:
    async with trading(way) as trader:
        cl_ord_id, order_id = await trader.placed("80000.00")
        for name in (order_id, None):  # by the venue's id and by ours
            new = trader.order("79000.00", "0.02")
            reply = await trader.replace(cl_ord_id, name, new)
            old, made = reply.parts
            assert old.report is not None
            assert old.report.report is not None
            assert (old.report.cl_ord_id, old.report.report.exec_type) == (cl_ord_id, ExecType.CANCELED)
            assert made.report is not None
            assert made.report.report is not None
            assert (made.report.cl_ord_id, made.report.report.ord_status) == (new.cl_ord_id, OrdStatus.NEW)
            assert open_ids(trader.sim) == {new.cl_ord_id}
            # A later query leads back to the old order by the name that we chose for it.
            for other in trader.codec.other_names(cl_ord_id):
                asked = trader.codec.order_status_request(other, None, BTC, trader.now)
                found = trader.codec.decode_order_status(await trader.send(asked))
                assert getattr(found, "cl_ord_id", found) == cl_ord_id
            cl_ord_id = new.cl_ord_id


@pytest.mark.parametrize("way", WAYS)
async def test_the_old_order_is_gone_and_nothing_new_is_made(way: str) -> None:
    async with trading(way) as trader:
        new = trader.order("79000.00")
        old, made = (await trader.replace(trader.ids.next(), None, new)).parts
        assert old.error is not None
        assert old.error.disposition is Disposition.ALREADY_FINAL
        assert made.error is not None
        assert (made.error.disposition, made.error.reason) == (Disposition.REJECTED, OrdRejReason.NOT_SENT)
        assert open_ids(trader.sim) == set()


@pytest.mark.parametrize("way", WAYS)
async def test_a_fill_that_overtakes_the_request_keeps_the_old_order(way: str) -> None:
    """The venue would not take the fill off the new quantity, so the codec lets it refuse."""
    async with trading(way) as trader:
        bid, _ = best(trader.sim)
        better = f"{Decimal(bid) + 1:.2f}"
        cl_ord_id, order_id = await trader.placed(better, "0.01")
        trader.sim.trade("BTCUSDT", SimSide.SELL, Decimal("0.004"))
        filled = trader.sim.order_by_cl_ord_id("alpha", cl_ord_id)
        assert filled is not None
        assert filled.cum_qty == Decimal("0.004")
        old, made = (await trader.replace(cl_ord_id, order_id, trader.order("79000.00"))).parts
        assert old.error is not None
        assert old.error.disposition is Disposition.REJECTED
        assert made.error is not None
        assert made.error.reason is OrdRejReason.NOT_SENT
        assert open_ids(trader.sim) == {cl_ord_id}


@pytest.mark.parametrize("way", WAYS)
async def test_the_old_order_ends_and_the_new_one_is_refused(way: str) -> None:
    async with trading(way) as trader:
        cl_ord_id, order_id = await trader.placed("80000.00")
        old, made = (await trader.replace(cl_ord_id, order_id, trader.order("79000.00", "100"))).parts
        assert old.report is not None
        assert made.error is not None
        assert made.error.reason is OrdRejReason.INSUFFICIENT_BALANCE
        assert open_ids(trader.sim) == set()


@pytest.mark.parametrize("way", WAYS)
async def test_a_filter_refuses_before_anything_is_tried(way: str) -> None:
    async with trading(way) as trader:
        cl_ord_id, order_id = await trader.placed("80000.00")
        reply = await trader.replace(cl_ord_id, order_id, trader.order("79000.001"))
        assert reply.error is not None
        assert reply.error.reason is OrdRejReason.BAD_PRICE
        assert open_ids(trader.sim) == {cl_ord_id}


@pytest.mark.parametrize("way", WAYS)
async def test_the_order_count_refuses_before_anything_is_tried(way: str) -> None:
    async with trading(way) as trader:
        cl_ord_id, order_id = await trader.placed("80000.00")
        binance(trader.sim).order_limits(trader.sim.account("alpha")).long.limit = 1
        reply = await trader.replace(cl_ord_id, order_id, trader.order("79000.00"))
        assert reply.error is not None
        assert (reply.error.disposition, reply.error.reason) == (Disposition.RATE_LIMITED, OrdRejReason.ORDER_RATE)
        assert reply.error.until_ns > trader.now
        assert open_ids(trader.sim) == {cl_ord_id}
