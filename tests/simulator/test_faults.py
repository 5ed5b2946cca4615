"""Faults on demand: each does what it says, once, and is counted."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio_websocket import ConnectionClosed, WebSocketConnection

from tests.simulator.wire import PATIENCE_S, binance, quiet_config, rest_of, running, until, ws_api_of
from tools.simulator import Fault, FaultKind, Latency, Simulator, open_simulator
from tools.simulator.core.faults import CONNECT, EVENT, IMMEDIATE, PUBLIC, REQUEST, FaultPlan
from tools.simulator.core.hub import Message
from tools.simulator.core.model import OrdStatus

FAR_BUY = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.001",
    "price": "80000.00",
}


def order(cl_ord_id: str) -> dict[str, Any]:
    return {**FAR_BUY, "newClientOrderId": cl_ord_id}


async def closed(ws: WebSocketConnection) -> None:
    """Read until the connection ends, as it must."""

    async def drain() -> None:
        while True:
            await ws.get_message()

    with trio.fail_after(PATIENCE_S):
        with pytest.raises(ConnectionClosed):
            await drain()


def status_of(sim: Simulator, cl_ord_id: str) -> OrdStatus | None:
    found = sim.order_by_cl_ord_id("alpha", cl_ord_id)
    return None if found is None else found.ord_status


async def test_lost_reply_executes_and_reports_but_does_not_answer() -> None:
    async with running() as sim, ws_api_of(sim) as api:
        await api.ready()
        sim.strike(Fault(kind=FaultKind.LOST_REPLY, match="order.place"))
        lost = await api.send("order.place", **order("lost"), timestamp=api.now_ms())
        await api.event("executionReport", c="lost")
        reply = await api.timed("order.place", **order("next"))
        assert reply["status"] == 200
        with pytest.raises(trio.TooSlowError), trio.fail_after(0):
            await api.reply(lost)
        assert status_of(sim, "lost") is OrdStatus.NEW
        assert (sim.arrivals("lost").seen, sim.arrivals("lost").accepted) == (1, 1)


async def test_late_accept_appears_later_without_a_reply() -> None:
    async with running() as sim, ws_api_of(sim) as api:
        await api.ready()
        sim.strike(Fault(kind=FaultKind.LATE_ACCEPT, match="order.place", delay_ms=50))
        await api.send("order.place", **order("late"), timestamp=api.now_ms())
        early = await api.timed("order.status", symbol="BTCUSDT", origClientOrderId="late")
        assert early["error"]["code"] == -2013
        await api.event("executionReport", c="late")
        found = await api.timed("order.status", symbol="BTCUSDT", origClientOrderId="late")
        assert found["result"]["status"] == "NEW"


@pytest.mark.parametrize(
    "kind,first",
    [
        (FaultKind.EVENT_FIRST, "executionReport"),
        (FaultKind.DELAY_REPLY, "executionReport"),
        (FaultKind.REPLY_FIRST, "reply"),
    ],
)
async def test_reply_and_event_in_either_order(kind: FaultKind, first: str) -> None:
    async with running() as sim, ws_api_of(sim) as api:
        await api.ready()
        api.order_of_arrival.clear()
        sim.strike(Fault(kind=kind, match="order.place", delay_ms=20))
        request = await api.send("order.place", **order("race"), timestamp=api.now_ms())
        await api.event("executionReport", c="race")
        await api.reply(request)
        assert api.order_of_arrival[0] == first


@pytest.mark.parametrize(
    "kind,executed,http_status,code",
    [
        (FaultKind.ERROR_BEFORE, False, 503, -1000),
        (FaultKind.ERROR_AFTER, True, 503, -1000),
        (FaultKind.TIMEOUT_LOST, False, 503, -1007),
        (FaultKind.TIMEOUT_EXECUTED, True, 503, -1007),
    ],
)
async def test_server_errors_with_and_without_execution(
    kind: FaultKind, executed: bool, http_status: int, code: int
) -> None:
    async with running() as sim, rest_of(sim) as rest:
        sim.strike(Fault(kind=kind, match="order.place"))
        response = await rest.signed("POST", "order", **order("doubt"))
        assert (response.status_code, response.json()["code"]) == (http_status, code)
        assert (status_of(sim, "doubt") is not None) == executed
        assert sim.arrivals("doubt").seen == 1
        assert sim.faults.counts == {kind.value: 1}


@pytest.mark.parametrize("kind,executed", [(FaultKind.CUT_BEFORE, False), (FaultKind.CUT_AFTER, True)])
async def test_connection_cut_around_the_order(kind: FaultKind, executed: bool) -> None:
    async with running() as sim:
        sim.strike(Fault(kind=kind, match="order.place", count=2))
        async with rest_of(sim) as rest:
            with pytest.raises(httpx.TransportError):
                await rest.signed("POST", "order", **order("cut-rest"))
        async with ws_api_of(sim) as api:
            await api.ready()
            await api.send("order.place", **order("cut-ws"), timestamp=api.now_ms())
            await closed(api.ws)
        assert (status_of(sim, "cut-rest") is not None) == executed
        assert (status_of(sim, "cut-ws") is not None) == executed


async def test_rate_limit_and_ban_on_demand() -> None:
    async with running() as sim, rest_of(sim) as rest:
        sim.strike(Fault(kind=FaultKind.RATE_LIMIT, match="ping", delay_ms=5_000))
        limited = await rest.public("ping")
        assert limited.status_code == 429
        assert 1 <= int(limited.headers["retry-after"]) <= 5
        assert (await rest.public("time")).status_code == 429
        binance(sim).peer_limits("127.0.0.1").blocked_until_ns = 0
        async with ws_api_of(sim) as api:
            await api.ask("time")
            sim.strike(Fault(kind=FaultKind.BAN, match="ping", delay_ms=60_000))
            assert (await rest.public("ping")).status_code == 418
            await closed(api.ws)


async def test_private_events_lost_doubled_and_late() -> None:
    async with running() as sim, ws_api_of(sim) as api:
        await api.ready()
        sim.strike(Fault(kind=FaultKind.EVENT_DROP, match="executionReport:NEW"))
        await api.timed("order.place", **order("unheard"))
        assert (await api.event("outboundAccountPosition"))["B"]
        sim.strike(Fault(kind=FaultKind.EVENT_DUPLICATE, match="executionReport:*"))
        await api.timed("order.place", **order("twice"))
        first, second = await api.event("executionReport"), await api.event("executionReport")
        assert first == second
        assert first["c"] == "twice"
        sim.strike(Fault(kind=FaultKind.EVENT_DELAY, match="executionReport:*", delay_ms=20))
        api.order_of_arrival.clear()
        await api.timed("order.place", **order("late"))
        assert (await api.event("executionReport"))["c"] == "late"
        assert api.order_of_arrival.index("outboundAccountPosition") < api.order_of_arrival.index("executionReport")


async def test_connections_refused_cut_and_silenced() -> None:
    async with running() as sim:
        sim.strike(Fault(kind=FaultKind.REFUSE, match="ws-api"))
        stream = await trio.open_tcp_stream("127.0.0.1", sim.port)
        async with stream:
            await stream.send_all(b"GET /ws-api/v3 HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")
            with pytest.raises(trio.BrokenResourceError), trio.fail_after(PATIENCE_S):
                await stream.receive_some()
        sim.strike(Fault(kind=FaultKind.CUT_AFTER_BYTES, match="rest", after=40))
        async with rest_of(sim) as rest:
            with pytest.raises(httpx.TransportError):
                await rest.public("exchangeInfo")
            assert (await rest.public("ping")).status_code == 200
        async with ws_api_of(sim) as api:
            await api.ask("time")
            sim.strike(Fault(kind=FaultKind.HALF_OPEN_NOW, match="ws-api"))
            await api.send("time")
            with trio.move_on_after(0.1) as waiting:
                await api.ws.get_message()
            assert waiting.cancelled_caught  # neither an answer nor an end
            sim.cut_connections("ws-api")
            with pytest.raises(ConnectionClosed), trio.fail_after(PATIENCE_S):
                await api.ws.get_message()
        assert sim.faults.counts == {"refuse": 1, "cut_after_bytes": 1, "half_open_now": 1, "cut_now": 1}


async def test_nobody_listens_for_a_while() -> None:
    async with running() as sim:
        sim.strike(Fault(kind=FaultKind.REFUSE_FOR, delay_ms=200))
        refused = False
        with trio.fail_after(PATIENCE_S):
            while not refused:
                try:
                    (await trio.open_tcp_stream("127.0.0.1", sim.port)).socket.close()
                except OSError:
                    refused = True
                await trio.sleep(0.005)
            while refused:
                try:
                    (await trio.open_tcp_stream("127.0.0.1", sim.port)).socket.close()
                    refused = False
                except OSError:
                    await trio.sleep(0.01)
        async with rest_of(sim) as rest:
            assert (await rest.public("ping")).status_code == 200


async def test_clock_skew_moves_the_venues_time() -> None:
    async with running() as sim, rest_of(sim) as rest:
        honest = rest.now_ms()
        sim.strike(Fault(kind=FaultKind.CLOCK_SKEW, delay_ms=5_500))
        shown = (await rest.public("time")).json()["serverTime"]
        assert shown - honest >= 5_500
        late = await rest.signed("GET", "account", timestamp=honest)
        assert late.json()["code"] == -1021


async def test_a_request_that_was_held_up_for_too_long_is_refused_before_the_engine() -> None:
    """Section 3: the second check costs weight and counts as an order, the first counts nothing."""
    async with running() as sim, rest_of(sim) as rest:
        sim.strike(Fault(kind=FaultKind.DELAY_REQUEST, match="order.place", delay_ms=1_000))

        async def let_time_pass() -> None:
            await until(lambda: binance(sim).requests["order.place"] == 1)
            sim.strike(Fault(kind=FaultKind.CLOCK_SKEW, delay_ms=60_000))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(let_time_pass)
            held_up = await rest.signed("POST", "order", **order("late"), recvWindow=30_000)
        assert held_up.json()["code"] == -1021
        limits = binance(sim).order_limits(sim.account("alpha"))
        assert limits.long.used(sim.clock.now_ns()) == 1
        early = await rest.signed("POST", "order", **order("early"), timestamp=rest.now_ms() - 6_000)
        assert early.json()["code"] == -1021
        assert limits.long.used(sim.clock.now_ns()) == 1
        assert sim.orders("alpha") == []


async def test_latency_delays_but_keeps_answers() -> None:
    latency = Latency(request_ms=(5, 10), reply_ms=(5, 10), event_ms=5, market_ms=5)
    async with running(latency=latency) as sim, ws_api_of(sim) as api:
        await api.ready()
        reply = await api.timed("order.place", **order("slow"))
        assert reply["status"] == 200
        await api.event("executionReport", c="slow")


async def test_requests_of_one_connection_arrive_in_order_whatever_their_latency() -> None:
    async with running(latency=Latency(request_ms=(0, 20), seed=3)) as sim, ws_api_of(sim) as api:
        await api.logon()
        requests = []
        for number in range(10):
            requests.append(await api.send("order.place", **order(f"n{number}"), timestamp=api.now_ms()))
            where = {"symbol": "BTCUSDT", "origClientOrderId": f"n{number}", "timestamp": api.now_ms()}
            requests.append(await api.send("order.cancel", **where))
        assert [(await api.reply(request))["status"] for request in requests] == [200] * 20


async def test_a_client_that_does_not_read_is_dropped_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.simulator.core.net.OUTBOX_FRAMES", 100)
    async with running() as sim, ws_api_of(sim) as api:
        deaf = await trio.open_tcp_stream("127.0.0.1", sim.port)
        async with deaf:
            await deaf.send_all(
                b"GET /ws/btcusdt@trade HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            await until(lambda: sim.venue.hub.wanted("btcusdt@trade"))
            [session] = binance(sim).market_sessions
            for _ in range(200):
                sim.venue.hub.publish(Message("btcusdt@trade", b"x" * 100_000))
                await trio.lowlevel.checkpoint()
            assert session.connection.overflowed
        assert (await api.ask("time"))["status"] == 200


async def test_garbage_ends_one_connection_and_no_other() -> None:
    async with running() as sim, ws_api_of(sim) as api:
        for garbage in (
            b"\x00\x01\x02\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"POST /api/v3/order HTTP/1.1\r\n\r\n",
            b"x" * 70_000,
        ):
            stream = await trio.open_tcp_stream("127.0.0.1", sim.port)
            async with stream:
                try:
                    await stream.send_all(garbage)
                    await stream.send_eof()
                    with trio.fail_after(PATIENCE_S):
                        while await stream.receive_some():
                            pass
                except trio.BrokenResourceError:
                    pass  # reset while we were still sending
        assert (await api.ask("time"))["status"] == 200


async def test_a_bug_in_one_connection_is_recorded_and_contained(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_simulator(quiet_config()) as sim:
        boom = binance(sim).methods.by_name["ping"]

        def broken(*_: Any) -> Any:
            raise RuntimeError("handler bug")

        monkeypatch.setitem(
            binance(sim).methods.by_path, ("GET", "/api/v3/ping"), __import__("attrs").evolve(boom, handler=broken)
        )
        async with rest_of(sim) as rest:
            with pytest.raises(httpx.TransportError):
                await rest.public("ping")
            assert (await rest.public("time")).status_code == 200
        await until(lambda: sim.server.failures)
        assert "handler bug" in sim.server.failures[0]


# --------------------------------------------------------------------------------------------------- the plan
def test_groups_cover_every_kind_once() -> None:
    groups = [PUBLIC, EVENT, CONNECT, REQUEST, IMMEDIATE]
    assert sum(len(group) for group in groups) == len(FaultKind)
    assert frozenset().union(*groups) == frozenset(FaultKind)


@given(st.integers(0, 5), st.integers(1, 5), st.integers(0, 30))
def test_skip_and_count_are_exact(skip: int, count: int, messages: int) -> None:
    plan = FaultPlan([Fault(kind=FaultKind.DROP, skip=skip, count=count)])
    struck = [n for n in range(messages) if plan.take(PUBLIC, "btcusdt@trade") is not None]
    assert struck == list(range(skip, min(messages, skip + count)))
    assert plan.counts["drop"] == len(struck)


def test_probability_is_repeatable() -> None:
    def draw() -> list[bool]:
        plan = FaultPlan([Fault(kind=FaultKind.DROP, count=None, probability=0.3)], seed=5)
        return [plan.take(PUBLIC, "s") is not None for _ in range(200)]

    assert draw() == draw()
    assert 20 < sum(draw()) < 120


def test_rules_can_be_lifted_and_are_matched_by_account() -> None:
    plan = FaultPlan()
    rule = plan.add(Fault(kind=FaultKind.LOST_REPLY, match="order.*", account="alpha", count=None))
    assert plan.take(REQUEST, "order.place", account="beta") is None
    assert plan.take(REQUEST, "order.place", account="alpha") is rule
    assert plan.active() == [rule]
    assert plan.remove(rule.fault_id)
    assert not plan.remove(rule.fault_id)
    assert plan.take(REQUEST, "order.place", account="alpha") is None
    with pytest.raises(ValueError, match="acts at once"):
        plan.add(Fault(kind=FaultKind.CUT_NOW))


@pytest.mark.parametrize(
    "text,message",
    [
        ("explode", "kinds are"),
        ("drop,colour=red", "is not one of"),
        ("drop,count=0", "count >= 1"),
        ("drop,probability=2", "0..1"),
    ],
)
def test_fault_texts_are_checked(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Fault.parse(text)


def test_fault_text_is_read() -> None:
    fault = Fault.parse("drop,match=*@depth*,count=forever,probability=0.5,skip=2")
    assert (fault.kind, fault.match, fault.count, fault.probability, fault.skip) == (
        FaultKind.DROP,
        "*@depth*",
        None,
        0.5,
        2,
    )
