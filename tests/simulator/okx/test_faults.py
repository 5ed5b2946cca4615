"""Fault verbs on every channel of the simulated OKX: what the client sees, and what became of the order."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import trio
from trio_websocket import ConnectionClosed

from tests.simulator.okx.wire import (
    PATIENCE_S,
    SPOT,
    Socket,
    order,
    private_socket,
    quiet_simulator,
    rest_of,
    socket_to,
    venue_of,
)
from tools.simulator import Fault, FaultKind, Side, Simulator

D = Decimal
SHORT_S = 0.3
"""How long a test listens to silence."""


async def silent(socket: Socket) -> bool:
    """Nothing comes for a while."""
    with trio.move_on_after(SHORT_S):
        await socket.hear()
        return False
    return True


def by_socket(sim: Simulator, **changes: Any) -> dict[str, Any]:
    code = venue_of(sim).instruments[SPOT].code
    return {"id": "p1", "op": "order", "args": [order(instIdCode=code, clOrdId="f1", **changes)]}


def live(sim: Simulator) -> int:
    return len(sim.open_orders("alpha"))


# ------------------------------------------------------------------------------------------------ requests
@pytest.mark.parametrize(
    "kind, status, code, executed",
    [
        (FaultKind.ERROR_BEFORE, 503, "50001", False),
        (FaultKind.ERROR_AFTER, 503, "50001", True),
        (FaultKind.TIMEOUT_EXECUTED, 400, "50004", True),
        (FaultKind.TIMEOUT_LOST, 400, "50004", False),
        (FaultKind.RATE_LIMIT, 429, "50011", False),
        (FaultKind.DELAY_REPLY, 200, "0", True),
        (FaultKind.DELAY_REQUEST, 200, "0", True),
        (FaultKind.EVENT_FIRST, 200, "0", True),
        (FaultKind.REPLY_FIRST, 200, "0", True),
    ],
)
async def test_spoiled_answers_by_rest(kind: FaultKind, status: int, code: str, executed: bool) -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        sim.strike(Fault(kind=kind, match="order", delay_ms=20))
        answer = await rest.post("trade/order", order(clOrdId="f1"))
        assert (answer.status_code, answer.json()["code"], live(sim)) == (status, code, int(executed))
        assert sim.arrivals("f1").seen == 1


@pytest.mark.parametrize(
    "kind, code, executed",
    [
        (FaultKind.ERROR_BEFORE, "50001", False),
        (FaultKind.TIMEOUT_EXECUTED, "50004", True),
        (FaultKind.TIMEOUT_LOST, "50004", False),
        (FaultKind.RATE_LIMIT, "50011", False),
        (FaultKind.DELAY_REPLY, "0", True),
    ],
)
async def test_spoiled_answers_by_socket(kind: FaultKind, code: str, executed: bool) -> None:
    async with quiet_simulator() as sim, private_socket(sim) as socket:
        sim.strike(Fault(kind=kind, match="order", delay_ms=20))
        await socket.say(by_socket(sim))
        assert (await socket.answer("p1"))["code"] == code
        assert live(sim) == executed


@pytest.mark.parametrize("kind", [FaultKind.LOST_REPLY, FaultKind.LATE_ACCEPT])
async def test_answers_that_never_come(kind: FaultKind) -> None:
    async with quiet_simulator() as sim, private_socket(sim) as socket, rest_of(sim) as rest:
        sim.strike(Fault(kind=kind, match="order", delay_ms=20, count=2))
        await socket.say(by_socket(sim))
        assert await silent(socket)
        headers = rest.headers("POST", "/api/v5/trade/order", "{}")
        with pytest.raises(httpx.ReadTimeout):
            await rest.client.post("/api/v5/trade/order", content="{}", headers=headers, timeout=SHORT_S)
        assert live(sim) == 1  # the order by socket; what was sent by REST is none


@pytest.mark.parametrize("kind, executed", [(FaultKind.CUT_BEFORE, False), (FaultKind.CUT_AFTER, True)])
async def test_connections_cut_at_a_request(kind: FaultKind, executed: bool) -> None:
    async with quiet_simulator() as sim, private_socket(sim) as socket, rest_of(sim) as rest:
        sim.strike(Fault(kind=kind, match="order", count=2))
        await socket.say(by_socket(sim))
        with pytest.raises(ConnectionClosed):
            await socket.answer("p1")
        with pytest.raises(httpx.TransportError):
            await rest.post("trade/order", order())
        assert live(sim) == 2 * executed


async def test_a_ban_is_the_firewalls_page_and_drops_the_sockets() -> None:
    async with quiet_simulator() as sim, private_socket(sim) as socket, rest_of(sim) as rest:
        sim.strike(Fault(kind=FaultKind.BAN, match="balance", delay_ms=1000))
        answer = await rest.get("account/balance")
        assert answer.status_code == 403
        assert answer.text.startswith("<html>")
        with pytest.raises(ConnectionClosed):
            await socket.hear()
        assert (await rest.get("account/config")).json()["code"] == "50011"  # until it is over


async def test_a_fault_may_be_meant_for_one_account() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest, rest_of(sim, "beta") as other:
        sim.strike(Fault(kind=FaultKind.ERROR_BEFORE, match="order", account="beta"))
        assert (await rest.post("trade/order", order())).status_code == 200
        assert (await other.post("trade/order", order())).status_code == 503


# ----------------------------------------------------------------------------------------- private channels
async def test_private_events_are_lost_doubled_and_late() -> None:
    async with quiet_simulator() as sim, private_socket(sim, "orders") as socket, rest_of(sim) as rest:
        sim.strike(Fault(kind=FaultKind.EVENT_DROP, match="orders:live"))
        await rest.place(SPOT, clOrdId="lost")
        sim.strike(Fault(kind=FaultKind.EVENT_DUPLICATE, match="orders:live"))
        await rest.place(SPOT, clOrdId="twice")
        heard = [(await socket.push("orders"))["data"][0]["clOrdId"] for _ in range(2)]
        assert heard == ["twice", "twice"]
        sim.strike(Fault(kind=FaultKind.EVENT_DELAY, match="orders:live", delay_ms=150))
        await rest.place(SPOT, clOrdId="late")
        await rest.place(SPOT, clOrdId="next")
        heard = [(await socket.push("orders"))["data"][0]["clOrdId"] for _ in range(2)]
        assert heard == ["next", "late"]


@pytest.mark.parametrize("channel, subject", [("account", "account:*"), ("balance_and_position", "balance_and_*")])
async def test_events_of_money_are_lost(channel: str, subject: str) -> None:
    async with quiet_simulator() as sim, private_socket(sim, channel) as socket:
        sim.strike(Fault(kind=FaultKind.EVENT_DROP, match=subject))
        sim.deposit("alpha", "BTC", D(1))
        sim.deposit("alpha", "ETH", D(1))
        (row,) = (await socket.push(channel))["data"]
        told = row["details"] if channel == "account" else row["balData"]
        assert [each["ccy"] for each in told] == ["ETH"]


async def test_events_before_and_after_the_answer() -> None:
    async with quiet_simulator() as sim, private_socket(sim, "orders") as socket:
        for kind, first in ((FaultKind.EVENT_FIRST, "push"), (FaultKind.REPLY_FIRST, "answer")):
            sim.strike(Fault(kind=kind, match="order", delay_ms=20))
            await socket.say(by_socket(sim) | {"id": kind.value.replace("_", "")})
            messages = [await socket.hear() for _ in range(2)]
            order_of_arrival = ["answer" if "op" in message else "push" for message in messages]
            assert order_of_arrival[0] == first
            sim.exchange.cancel(sim.open_orders("alpha")[0])
            await socket.push("orders")


# ------------------------------------------------------------------------------------------ public channels
@pytest.mark.parametrize("channel", ["trades", "books", "bbo-tbt"])
async def test_public_messages_are_lost(channel: str) -> None:
    async with quiet_simulator() as sim, socket_to(sim) as socket, rest_of(sim) as rest:
        await socket.subscribe({"channel": channel, "instId": SPOT})
        picture = {} if channel == "trades" else (await socket.push(channel))["data"][0]
        sim.strike(Fault(kind=FaultKind.DROP, match=f"{channel}:{SPOT}"))
        books = (await rest.public("market/books", instId=SPOT, sz="1")).json()["data"]
        best = D(books[0]["bids"][0][0])
        for number in (1, 2):
            sim.quote(SPOT, Side.BUY, D("0.5"), best + number * D("0.1"))
            sim.trade(SPOT, Side.SELL, D("0.001"))
            await trio.sleep(0.15)
        heard = (await socket.push(channel))["data"][0]
        if channel == "trades":
            assert D(heard["px"]) == best + D("0.2")
        elif channel == "books":
            assert heard["prevSeqId"] > picture["seqId"]  # what it follows was never told
        assert sim.faults.counts["drop"] == 1


async def test_a_lost_picture() -> None:
    async with quiet_simulator() as sim, socket_to(sim) as socket:
        sim.strike(Fault(kind=FaultKind.DROP, match=f"snapshot:books:{SPOT}"))
        await socket.subscribe({"channel": "books", "instId": SPOT})
        sim.quote(SPOT, Side.BUY, D("0.5"), D(50000))
        first = await socket.push("books")
        assert (first["action"], first["data"][0]["prevSeqId"] > 0) == ("update", True)


@pytest.mark.parametrize("kind", ["streams", "private", "business", "rest"])
async def test_connections_are_refused_by_kind(kind: str) -> None:
    async with quiet_simulator() as sim:
        sim.strike(Fault(kind=FaultKind.REFUSE, match=kind))
        path = "/api/v5/public/time" if kind == "rest" else urlsplit(sim.urls[kind]).path
        upgrade = "" if kind == "rest" else "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        async with await trio.open_tcp_stream("127.0.0.1", sim.port) as stream:
            await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: sim\r\n{upgrade}\r\n".encode())
            with pytest.raises(trio.BrokenResourceError), trio.fail_after(PATIENCE_S):
                await stream.receive_some()
        assert sim.faults.counts["refuse"] == 1


async def test_sockets_are_cut_by_kind() -> None:
    async with quiet_simulator() as sim, socket_to(sim) as public, private_socket(sim) as private:
        sim.cut_connections("private")
        with pytest.raises(ConnectionClosed):
            await private.hear()
        await public.say("ping")
        assert await public.hear() == "pong"
