"""The WebSocket API, limits, clock, keys, and what may go wrong with a request (sections 2, 3, 4, 5, 10, 17.1)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.simulator.binance_usdm.kit import SYMBOL, price, rest_of, running, ws_api_of
from tests.simulator.wire import until
from tools.simulator import Fault, FaultKind
from tools.simulator.core.families import load
from tools.simulator.dialects.binance_usdm.limits import UsdmLimits


async def test_orders_by_a_logged_on_session() -> None:
    async with running() as sim, ws_api_of(sim) as api:
        assert "userDataStream" not in (await api.logon())["result"]
        terms = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010"}
        placed = await api.timed("order.place", **terms, price=price(sim, -500), newClientOrderId="w1")
        assert (placed["status"], placed["result"]["clientOrderId"]) == (200, "w1")
        kinds = [(row["rateLimitType"], row["interval"], row["count"]) for row in placed["rateLimits"]]
        assert ("ORDERS", "SECOND", 1) in kinds
        assert ("ORDERS", "MINUTE", 1) in kinds
        change = {"symbol": SYMBOL, "side": "BUY", "origClientOrderId": "w1", "quantity": "0.020"}
        changed = await api.timed("order.modify", **change, price=price(sim, -400))
        assert changed["result"]["origQty"] == "0.020"
        assert (await api.timed("order.status", symbol=SYMBOL, origClientOrderId="w1"))["result"]["status"] == "NEW"
        ended = await api.timed("order.cancel", symbol=SYMBOL, origClientOrderId="w1")
        assert ended["result"]["status"] == "CANCELED"
        refused = await api.timed("order.cancel", symbol=SYMBOL, origClientOrderId="w1")
        assert (refused["status"], refused["error"]["code"]) == (400, -2011)


async def test_signed_requests_without_a_session() -> None:
    async with running() as sim, ws_api_of(sim) as api:
        terms = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "0.010"}
        placed = await api.ask("order.place", **api.hmac_params(**terms))
        assert placed["status"] == 200
        balances = await api.ask("v2/account.balance", **api.hmac_params())
        assert {row["asset"] for row in balances["result"]} >= {"USDT"}
        positions = await api.ask("v2/account.position", **api.hmac_params(symbol=SYMBOL))
        assert positions["result"][0]["positionAmt"] == "0.010"
        key = await api.ask("userDataStream.start", apiKey=api.keys.hmac_key)
        assert len(key["result"]["listenKey"]) == 64
        stop = {"algoType": "CONDITIONAL", "symbol": SYMBOL, "side": "SELL", "type": "STOP_MARKET"}
        placed = await api.ask("algoOrder.place", **api.hmac_params(**stop, quantity="0.010", triggerPrice="80000.0"))
        ended = await api.ask("algoOrder.cancel", **api.hmac_params(algoId=placed["result"]["algoId"]))
        assert ended["result"]["code"] == "200"


@pytest.mark.parametrize(
    "method", ["openOrders", "batchOrders.place", "order.test", "leverage.set", "algoOrder.status"]
)
async def test_what_is_rest_only_is_unknown_here(method: str) -> None:
    async with running() as sim, ws_api_of(sim) as api:
        refused = await api.ask(method)
        assert (refused["status"], refused["error"]["code"]) == (400, -1020)


async def test_keys_clocks_and_signatures() -> None:
    async with (
        running() as sim,
        rest_of(sim) as rest,
        httpx.AsyncClient(base_url=sim.rest_url, trust_env=False) as bare,
    ):
        assert (await bare.get("/fapi/v1/openOrders")).json()["code"] == -2014
        headers = {"X-MBX-APIKEY": "a" * 64}
        assert (await bare.get("/fapi/v1/openOrders", headers=headers)).json()["code"] == -2015
        headers = {"X-MBX-APIKEY": rest.keys.hmac_key}
        wrong = f"timestamp={rest.now_ms()}&signature=00"
        assert (await bare.get(f"/fapi/v1/openOrders?{wrong}", headers=headers)).json()["code"] == -1022
        rest.now_ms = lambda: sim.clock.now_ns() // 1_000_000 - 6_000
        assert await rest.code("GET", "openOrders") == -1021
        assert (await bare.get("/fapi/v1/nothing")).status_code == 404
        assert (await bare.get("/api/v3/time")).status_code == 404


async def test_headers_and_counters() -> None:
    async with running() as sim, rest_of(sim) as rest:
        order = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010"}
        first = await rest.send("POST", "order", **order, price=price(sim, -500))
        assert (first.headers["x-mbx-order-count-10s"], first.headers["x-mbx-order-count-1m"]) == ("1", "1")
        used = int(first.headers["x-mbx-used-weight-1m"])
        asked = await rest.send("GET", "openOrders")
        assert int(asked.headers["x-mbx-used-weight-1m"]) == used + 40
        batch = await rest.send("POST", "batchOrders", batchOrders="[]")
        assert batch.status_code == 400
        again = await rest.send("POST", "order", **order, price=price(sim, -500))
        counts = again.headers["x-mbx-order-count-10s"], again.headers["x-mbx-order-count-1m"]
        assert counts == ("7", "3")  # a batch counts five and one


async def test_order_limits_refuse_with_the_time_to_come_back() -> None:
    async with running(limits=UsdmLimits(orders_per_minute=2)) as sim, rest_of(sim) as rest:
        for _ in range(2):
            await rest.limit("BUY", "0.010", price(sim, -500))
        order = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "0.010"}
        refused = await rest.send("POST", "order", **order)
        assert (refused.status_code, refused.json()["code"]) == (429, -1015)
        assert 1 <= int(refused.headers["retry-after"]) <= 60


async def test_weight_refuses_and_a_ban_drops_sockets() -> None:
    async with running(limits=UsdmLimits(weight_per_minute=50)) as sim, rest_of(sim) as rest, ws_api_of(sim) as api:
        assert (await rest.send("GET", "openOrders")).status_code == 200
        refused = await rest.send("GET", "openOrders")
        assert (refused.status_code, refused.json()["code"]) == (429, -1003)
        assert (await api.ask("depth", symbol=SYMBOL))["status"] == 429
        sim.strike(Fault(kind=FaultKind.BAN, match="time", delay_ms=60_000))
        async with httpx.AsyncClient(base_url=sim.rest_url, trust_env=False) as client:
            banned = await client.get("/fapi/v1/time")
        assert (banned.status_code, banned.json()["code"]) == (418, -1003)
        await until(lambda: not sim.server.sockets)


@pytest.mark.parametrize(
    "fault, status, code, executed",
    [
        (Fault(kind=FaultKind.ERROR_AFTER, match="order.place"), 503, -1000, True),
        (Fault(kind=FaultKind.ERROR_BEFORE, match="order.place"), 503, -1000, False),
        (Fault(kind=FaultKind.TIMEOUT_EXECUTED, match="order.place"), 503, -1007, True),
        (Fault(kind=FaultKind.TIMEOUT_LOST, match="order.place"), 503, -1007, False),
        (Fault(kind=FaultKind.RATE_LIMIT, match="order.place", delay_ms=1000), 429, -1003, False),
    ],
)
async def test_answers_that_tell_little(fault: Fault, status: int, code: int, *, executed: bool) -> None:
    async with running() as sim, rest_of(sim) as rest:
        order: dict[str, Any] = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "0.010"}
        sim.strike(fault)
        answer = await rest.send("POST", "order", **order, newClientOrderId="doubtful")
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert sim.arrivals("doubtful").seen == 1
        assert (sim.arrivals("doubtful").accepted == 1) is executed


async def test_a_revoked_key_ends_its_session_and_its_listen_key() -> None:
    async with running() as sim, rest_of(sim) as rest, ws_api_of(sim) as api:
        await api.logon()
        sim.strike(Fault(kind=FaultKind.REVOKE_KEY, match=api.keys.ed25519_key))
        told = await api.reply(None)
        assert (told["status"], told["error"]["code"]) == (401, -2015)
        assert (await rest.keyed("PUT")).json()["code"] == -1125


async def test_pings_are_those_of_this_product() -> None:
    """Section 2: every three minutes, and ten for the pong; on Spot twenty seconds and one minute."""
    assert (load("binance-usdm").ping_every_s, load("binance-usdm").pong_within_s) == (180, 600)
    assert (load("binance-spot").ping_every_s, load("binance-spot").pong_within_s) == (20, 60)
