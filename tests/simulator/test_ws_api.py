"""The WebSocket API over a real loopback socket, spoken by trio-websocket."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
import trio
from trio_websocket import ConnectionClosed, ConnectionRejected

from tests.simulator.wire import PATIENCE_S, best, now_of, open_ws, rest_of, running, sign_hmac, ws_api_of
from tools.simulator import Fault, FaultKind, LimitConfig, ServerConfig, Side

LIMIT_BUY = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.00100"}


async def test_logon_status_logout() -> None:
    async with running() as sim, ws_api_of(sim) as api:
        before = (await api.ask("session.status"))["result"]
        assert before["apiKey"] is None
        assert before["userDataStream"] is None
        result = (await api.logon())["result"]
        assert result["apiKey"] == api.keys.ed25519_key
        assert result["userDataStream"] is False
        assert (await api.ask("userDataStream.subscribe"))["result"] == {"subscriptionId": 0}
        assert (await api.ask("session.status"))["result"]["userDataStream"] is True
        assert (await api.ask("session.subscriptions"))["result"] == [{"subscriptionId": 0}]
        assert (await api.ask("session.logout"))["result"]["apiKey"] is None
        assert (await api.event("eventStreamTerminated"))["e"] == "eventStreamTerminated"
        refused = await api.timed("account.status")
        assert refused["error"]["code"] == -1102


async def test_logon_refusals() -> None:
    async with running() as sim, ws_api_of(sim) as api:
        stamp = api.now_ms()
        wrong_key = await api.ask("session.logon", apiKey="a" * 64, timestamp=stamp, signature="00")
        assert (wrong_key["status"], wrong_key["error"]["code"]) == (401, -2015)
        key = api.keys.ed25519_key
        wrong_signature = await api.ask("session.logon", apiKey=key, timestamp=stamp, signature="AAAA")
        assert (wrong_signature["status"], wrong_signature["error"]["code"]) == (400, -1022)
        late = await api.ask("session.logon", apiKey=key, timestamp=stamp - 6000, signature="AAAA")
        assert (late["status"], late["error"]["code"]) == (400, -1021)
        hmac_key = await api.ask("session.logon", **api.hmac_params())
        assert hmac_key["status"] == 400
        bad_format = await api.ask("session.logon", apiKey="!", timestamp=stamp, signature="AAAA")
        assert bad_format["error"]["code"] == -2014


async def test_order_life_with_events() -> None:
    async with running() as sim, ws_api_of(sim) as api:
        await api.ready()
        bid, _ = best(sim)
        placed = await api.timed("order.place", **LIMIT_BUY, price=bid, newClientOrderId="life-1")
        assert placed["status"] == 200
        assert placed["result"]["status"] == "NEW"
        assert placed["result"]["fills"] == []
        kinds = {row["rateLimitType"] for row in placed["rateLimits"]}
        assert kinds == {"ORDERS", "REQUEST_WEIGHT"}
        new = await api.event("executionReport", c="life-1", x="NEW")
        assert (new["X"], new["w"], new["t"], new["N"]) == ("NEW", True, -1, None)
        position = await api.event("outboundAccountPosition")
        assert [row["a"] for row in position["B"]] == ["USDT"]

        sim.trade("BTCUSDT", Side.SELL, Decimal(1), Decimal(bid))
        traded = await api.event("executionReport", c="life-1", x="TRADE")
        assert traded["X"] == "FILLED"
        assert traded["m"] is True
        assert (traded["z"], traded["l"], traded["N"]) == ("0.00100000", "0.00100000", "BTC")
        assert traded["n"] == "0.00000100"
        rows = (await api.timed("myTrades", symbol="BTCUSDT"))["result"]
        assert [row["id"] for row in rows] == [traded["t"]]
        found = (await api.timed("order.status", symbol="BTCUSDT", origClientOrderId="life-1"))["result"]
        assert (found["status"], found["executedQty"]) == ("FILLED", "0.00100000")
        refused = await api.timed("order.cancel", symbol="BTCUSDT", origClientOrderId="life-1")
        assert (refused["error"]["code"], refused["error"]["msg"]) == (-2011, "Unknown order sent.")


async def test_cancel_renames_the_order() -> None:
    async with running() as sim, ws_api_of(sim) as api:
        await api.ready()
        await api.timed("order.place", **LIMIT_BUY, price="80000.00", newClientOrderId="before")
        canceled = (
            await api.timed("order.cancel", symbol="BTCUSDT", origClientOrderId="before", newClientOrderId="after")
        )["result"]
        assert (canceled["origClientOrderId"], canceled["clientOrderId"]) == ("before", "after")
        assert canceled["status"] == "CANCELED"
        event = await api.event("executionReport", x="CANCELED")
        assert (event["c"], event["C"]) == ("after", "before")
        gone = await api.timed("order.status", symbol="BTCUSDT", origClientOrderId="before")
        assert gone["error"]["code"] == -2013
        by_id = await api.timed("order.status", symbol="BTCUSDT", orderId=canceled["orderId"])
        assert by_id["result"]["clientOrderId"] == "after"


async def test_client_ids_are_unique_among_open_orders_only() -> None:
    async with running() as sim, ws_api_of(sim) as api:
        await api.ready()
        first = await api.timed("order.place", **LIMIT_BUY, price="80000.00", newClientOrderId="same")
        again = await api.timed("order.place", **LIMIT_BUY, price="80000.00", newClientOrderId="same")
        assert (again["error"]["code"], again["error"]["msg"]) == (-2010, "Duplicate order sent.")
        await api.timed("order.cancel", symbol="BTCUSDT", orderId=first["result"]["orderId"])
        third = await api.timed("order.place", **LIMIT_BUY, price="80000.00", newClientOrderId="same")
        assert third["status"] == 200
        assert (sim.arrivals("same").seen, sim.arrivals("same").accepted) == (3, 2)


async def test_hmac_signed_requests_need_no_session() -> None:
    async with running() as sim, ws_api_of(sim) as api:
        placed = await api.ask("order.place", **api.hmac_params(**LIMIT_BUY, price="80000.00"))
        assert placed["status"] == 200
        spoiled = api.hmac_params(**LIMIT_BUY, price="80000.00") | {"quantity": "0.00200"}
        assert (await api.ask("order.place", **spoiled))["error"]["code"] == -1022
        subscribed = await api.ask("userDataStream.subscribe.signature", **api.hmac_params())
        assert subscribed["result"] == {"subscriptionId": 0}
        again = await api.ask("userDataStream.subscribe.signature", **api.hmac_params())
        assert again["error"]["code"] == -2035
        await api.ask("openOrders.cancelAll", **api.hmac_params(symbol="BTCUSDT"))
        assert (await api.event("executionReport", x="CANCELED"))["X"] == "CANCELED"
        assert (await api.ask("userDataStream.unsubscribe"))["result"] == {}


async def test_explicit_key_overrides_the_session() -> None:
    async with running() as sim, ws_api_of(sim) as api:
        await api.logon()
        other = sim.credentials("beta")
        stamp = now_of(sim)()
        signature = sign_hmac(other.hmac_secret, f"apiKey={other.hmac_key}&timestamp={stamp}")
        reply = await api.ask("account.status", apiKey=other.hmac_key, timestamp=stamp, signature=signature)
        assert reply["result"]["uid"] == sim.account("beta").uid


async def test_envelope_edges() -> None:
    async with running() as sim, ws_api_of(sim) as api:
        await api.ws.send_message("{not json")
        assert (await api.reply(None))["error"]["code"] == -1135
        await api.ws.send_message(json.dumps({"id": "text", "method": "v3/time"}))
        assert (await api.reply("text"))["result"]["serverTime"] > 0
        await api.ws.send_message(json.dumps({"id": "x", "method": "no.such"}))
        assert (await api.reply("x"))["error"]["code"] == -1020
        quiet = await api.ask("time", returnRateLimits=False)
        assert "rateLimits" not in quiet


async def test_rate_limits_can_be_switched_off_and_microseconds_on() -> None:
    async with running() as sim, ws_api_of(sim, query="?returnRateLimits=false&timeUnit=MICROSECOND") as api:
        reply = await api.ask("time")
        assert "rateLimits" not in reply
        assert reply["result"]["serverTime"] > 10**15


async def test_server_pings_and_drops_the_deaf() -> None:
    server = ServerConfig(ping_every_s=0.02, pong_within_s=0.05)
    async with running(server=server) as sim:
        async with ws_api_of(sim) as api:
            await trio.sleep(0.2)  # trio-websocket answers pings by itself: several rounds pass
            assert (await api.ask("time"))["status"] == 200
        deaf = await trio.open_tcp_stream("127.0.0.1", sim.port)
        await deaf.send_all(
            b"GET /ws-api/v3 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        with trio.fail_after(PATIENCE_S):
            try:
                while await deaf.receive_some():
                    pass
            except trio.BrokenResourceError:
                pass  # a reset, as meant
        await deaf.aclose()


async def test_connection_lifetime_and_shutdown_notice() -> None:
    async with running(server=ServerConfig(lifetime_s=0.05)) as sim, ws_api_of(sim) as api:
        with trio.fail_after(PATIENCE_S):
            with pytest.raises(ConnectionClosed) as caught:
                await api.ws.get_message()
        assert caught.value.reason is not None
        assert caught.value.reason.code == 1000
    async with running() as sim, ws_api_of(sim) as api:
        await api.ask("time")
        sim.strike(Fault(kind=FaultKind.SHUTDOWN_NOTICE))
        assert (await api.event("serverShutdown"))["e"] == "serverShutdown"
        assert "subscriptionId" not in api.envelopes[-1]


async def test_revoked_key_is_told_once_without_id() -> None:
    async with running() as sim, ws_api_of(sim) as api:
        await api.ready()
        sim.strike(Fault(kind=FaultKind.REVOKE_KEY, match=api.keys.ed25519_key))
        notice = await api.reply(None)
        assert (notice["status"], notice["error"]["code"]) == (401, -2015)
        assert (await api.timed("account.status"))["status"] == 400


async def test_order_limit_over_the_socket() -> None:
    async with running(limits=LimitConfig(orders_per_10_seconds=2, orders_per_day=0)) as sim, ws_api_of(sim) as api:
        await api.ready()
        replies = [
            await api.timed("order.place", **LIMIT_BUY, price="80000.00", newClientOrderId=f"n{n}") for n in range(6)
        ]
        refused = [reply for reply in replies if reply["status"] == 429]
        assert refused, "five orders cannot fit a limit of two, wherever the window ends"
        assert refused[0]["error"]["code"] == -1015
        assert refused[0]["error"]["data"]["retryAfter"] > refused[0]["error"]["data"]["serverTime"]


async def test_unknown_path_is_not_upgraded() -> None:
    async with running() as sim:
        try:
            async with open_ws(sim, "/ws-api/v2"):
                raise AssertionError("must be refused")
        except* ConnectionRejected as group:
            [rejected] = group.exceptions
            assert isinstance(rejected, ConnectionRejected)
            assert rejected.status_code == 404


async def test_raw_requests_are_counted_on_rest_alone() -> None:
    """Section 5: weight and orders are shared by both ways, the number of requests is limited on REST."""
    async with running(limits=LimitConfig(raw_per_5_minutes=2)) as sim, ws_api_of(sim) as api, rest_of(sim) as rest:
        for _ in range(4):
            assert (await api.ask("time"))["status"] == 200
        assert [(await rest.public("time")).status_code for _ in range(3)] == [200, 200, 429]
