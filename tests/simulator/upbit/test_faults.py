"""Every kind of fault strikes on every channel of this venue."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx
import pytest
import trio
from trio_websocket import ConnectionClosed

from tests.simulator.upbit.kit import PATIENCE_S, Rest, quiet_venue, refusal, rest_of, socket_of
from tools.simulator import Fault, FaultKind, Simulator
from tools.simulator.core.model import Side

TERMS = {"market": "KRW-BTC", "side": "bid", "ord_type": "limit", "price": "150000000", "volume": "0.001"}


async def attempt(rest: Rest, name: str, timeout_s: float = 0.5) -> httpx.Response | None:
    """Place; None where no answer came, or the connection broke."""
    with trio.move_on_after(timeout_s):
        try:
            return await rest.post("orders", **TERMS, identifier=name)
        except httpx.TransportError:
            return None
    return None


async def settled(rest: Rest, name: str) -> str | None:
    """What asking afterwards finds."""
    answer = await rest.get("order", ("identifier", name))
    return None if answer.status_code == 404 else str(answer.json()["state"])


@pytest.mark.parametrize("kind, status, found", [
    (FaultKind.LOST_REPLY, None, "wait"),
    (FaultKind.CUT_AFTER, None, "wait"),
    (FaultKind.CUT_BEFORE, None, None),
    (FaultKind.ERROR_BEFORE, 503, None),
    (FaultKind.ERROR_AFTER, 503, "wait"),
    (FaultKind.TIMEOUT_EXECUTED, 504, "wait"),
    (FaultKind.TIMEOUT_LOST, 504, None),
    (FaultKind.DELAY_REPLY, 201, "wait"),
    (FaultKind.DELAY_REQUEST, 201, "wait"),
    (FaultKind.EVENT_FIRST, 201, "wait"),
    (FaultKind.REPLY_FIRST, 201, "wait"),
])  # fmt: skip
async def test_request_faults(kind: FaultKind, status: int | None, found: str | None) -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        sim.strike(Fault(kind=kind, match="order.place", delay_ms=20))
        answer = await attempt(rest, "x")
        assert (None if answer is None else answer.status_code) == status
        assert await settled(rest, "x") == found
        assert sim.arrivals("x").seen == 1
        assert sim.arrivals("x").accepted == (found is not None)


async def test_a_late_acceptance() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        sim.strike(Fault(kind=FaultKind.LATE_ACCEPT, match="order.place", delay_ms=600))
        assert await attempt(rest, "late") is None
        assert await settled(rest, "late") is None
        with trio.fail_after(PATIENCE_S):
            while await settled(rest, "late") is None:  # noqa: ASYNC110  only asking tells
                await trio.sleep(0.02)


async def test_a_gateways_page_is_no_error_of_the_venue() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        sim.strike(Fault(kind=FaultKind.TIMEOUT_LOST, match="account.status"))
        answer = await rest.get("accounts")
        assert (answer.status_code, answer.content) == (504, b"")
        sim.strike(Fault(kind=FaultKind.ERROR_BEFORE, match="account.status", status=500))
        assert refusal(await rest.get("accounts")) == (500, "internal_server_error")


async def test_a_fault_may_be_meant_for_one_account() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest, rest_of(sim, "beta") as other:
        sim.strike(Fault(kind=FaultKind.ERROR_BEFORE, match="order.place", account="beta"))
        answer = await attempt(rest, "a")
        assert answer is not None
        assert answer.status_code == 201
        answer = await attempt(other, "b")
        assert answer is not None
        assert answer.status_code == 503


@pytest.mark.parametrize("kind, counts", [
    (FaultKind.DROP, [0, 1]), (FaultKind.DUPLICATE, [2, 1]), (FaultKind.DELAY, [1, 1]),
])  # fmt: skip
async def test_public_faults(kind: FaultKind, counts: list[int]) -> None:
    async with quiet_venue() as sim, socket_of(sim) as socket:
        await socket.say({"type": "trade", "codes": ["KRW-BTC"], "is_only_realtime": True})
        await socket.say({"method": "LIST_SUBSCRIPTIONS"})
        await socket.next()
        sim.strike(Fault(kind=kind, match="trade:KRW-BTC", delay_ms=30))
        for number in (1, 2):
            sim.trade("KRW-BTC", Side.BUY, Decimal("0.0001") * number)
        seen = [(await socket.next())["trade_volume"] for _ in range(sum(counts))]
        assert [seen.count(Decimal("0.0001") * number) for number in (1, 2)] == counts


async def test_reordered_pictures_say_their_time() -> None:
    async with quiet_venue() as sim, socket_of(sim) as socket:
        await socket.say({"type": "orderbook", "codes": ["KRW-BTC"], "is_only_realtime": True})
        await socket.say({"method": "LIST_SUBSCRIPTIONS"})
        await socket.next()
        sim.strike(Fault(kind=FaultKind.REORDER, match="orderbook:*"))
        for _ in range(2):
            sim.trade("KRW-BTC", Side.BUY, Decimal("0.0001"))
            await trio.sleep(0.25)
        stamps = [(await socket.next())["timestamp"] for _ in range(2)]
        assert stamps == sorted(stamps, reverse=True)
        assert stamps[0] > stamps[1]


@pytest.mark.parametrize("kind, states", [
    (FaultKind.EVENT_DROP, ["trade", "done"]), (FaultKind.EVENT_DUPLICATE, ["wait", "wait", "trade", "done"]),
    (FaultKind.EVENT_DELAY, ["trade", "done", "wait"]),
])  # fmt: skip
async def test_event_faults(kind: FaultKind, states: list[str]) -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest, socket_of(sim, "alpha") as socket:
        await socket.say({"type": "myOrder"})
        sim.strike(Fault(kind=kind, match="myOrder:wait", delay_ms=50))
        price, _ = sim.exchange.markets["KRW-BTC"].depth(Side.SELL, 1)[0]
        await rest.place(price=str(price))
        assert [(await socket.next())["state"] for _ in states] == states


async def test_events_can_be_made_to_follow_their_reply() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest, socket_of(sim, "alpha") as socket:
        await socket.say({"type": "myOrder"})
        sim.strike(Fault(kind=FaultKind.REPLY_FIRST, match="order.place", delay_ms=150))
        arrived: list[str] = []

        async def watch() -> None:
            await socket.until(type="myOrder")
            arrived.append("event")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await rest.place()
            arrived.append("reply")
        assert arrived == ["reply", "event"]


@pytest.mark.parametrize("kind", ["streams", "private"])
@pytest.mark.parametrize("how", [FaultKind.CUT_NOW, FaultKind.HALF_OPEN_NOW])
async def test_sockets_are_cut_and_fall_silent(kind: str, how: FaultKind) -> None:
    account = "alpha" if kind == "private" else None
    part: dict[str, Any] = {"type": "trade", "codes": ["KRW-BTC"]} if account is None else {"type": "myOrder"}
    async with quiet_venue() as sim, rest_of(sim) as rest, socket_of(sim, account) as socket:
        await socket.say(part, {"method": "LIST_SUBSCRIPTIONS"})
        await socket.until_key("result")
        sim.strike(Fault(kind=how, match=kind))
        await make_noise(sim, rest)
        with trio.move_on_after(0.3) as waiting:
            try:
                await socket.ws.get_message()
            except ConnectionClosed:
                assert how is FaultKind.CUT_NOW
        assert waiting.cancelled_caught is (how is FaultKind.HALF_OPEN_NOW)


async def make_noise(sim: Simulator, rest: Rest) -> None:
    sim.trade("KRW-BTC", Side.BUY, Decimal("0.0001"))
    await rest.place()


async def test_connections_refused() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        sim.strike(Fault(kind=FaultKind.REFUSE, match="rest"))
        with pytest.raises(httpx.TransportError):
            await rest.get("accounts")
        assert (await rest.get("accounts")).status_code == 200
