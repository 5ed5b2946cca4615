"""Private channels and order entry by WebSocket on the simulated OKX."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.simulator.okx.wire import (
    SPOT,
    SWAP,
    S,
    ended,
    order,
    private_socket,
    quiet_config,
    quiet_simulator,
    rest_of,
    socket_to,
    start_of_window,
    venue_of,
)
from tools.simulator import GeneratorConfig, Side, Simulator
from tools.simulator.core.clock import ManualClock
from tools.simulator.dialects.okx.limits import OkxLimits
from tools.simulator.dialects.okx.private import Subscription

D = Decimal
LIVELY = GeneratorConfig(events_per_s=60, burst_every_s=0)


# ----------------------------------------------------------------------------------------- private channels
async def test_orders_begin_without_a_picture_and_tell_each_fill() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        await rest.place(SPOT, px="50000")
        async with private_socket(sim, "orders") as socket:
            bids = (await rest.public("market/books", instId=SPOT, sz="1")).json()["data"][0]["bids"]
            price = D(bids[0][0]) + D("0.1")
            await rest.place(SPOT, px=str(price), sz="0.4", clOrdId="maker")
            live = (await socket.push("orders"))["data"][0]
            assert (live["clOrdId"], live["state"], live["avgPx"], live["fillSz"], live["tradeId"]) == (
                "maker", "live", "0", "0", "",
            )  # fmt: skip
            sim.trade(SPOT, Side.SELL, D("0.1"), price)
            part = (await socket.push("orders"))["data"][0]
            assert (part["state"], part["accFillSz"], part["fillSz"], part["execType"]) == (
                "partially_filled", "0.1", "0.1", "M",
            )  # fmt: skip
            assert (part["fillFee"], part["fillFeeCcy"]) == ("-0.00008", "BTC")
            sim.trade(SPOT, Side.SELL, D("0.3"), price)
            full = (await socket.push("orders"))["data"][0]
            assert (full["state"], full["accFillSz"], full["fillSz"], full["fee"]) == (
                "filled",
                "0.4",
                "0.3",
                "-0.00032",
            )
            assert full["tradeId"] != part["tradeId"]


async def test_a_crossing_post_only_order_shows_only_its_end() -> None:
    async with quiet_simulator() as sim, private_socket(sim, "orders") as socket, rest_of(sim) as rest:
        placed = await rest.place(SWAP, ordType="post_only", px="61000")
        row = (await socket.push("orders"))["data"][0]
        assert (row["ordId"], row["state"], row["cancelSource"]) == (placed["ordId"], "canceled", "31")
        await rest.place(SWAP, clOrdId="next")
        assert (await socket.push("orders"))["data"][0]["clOrdId"] == "next"


async def test_amends_answer_on_the_channel() -> None:
    async with quiet_simulator() as sim, private_socket(sim, "orders") as socket, rest_of(sim) as rest:
        await rest.place(SPOT, clOrdId="a1")
        await socket.push("orders")

        async def amend(**changes: Any) -> Any:
            body = {"instId": SPOT, "clOrdId": "a1"} | changes
            assert (await rest.item("trade/amend-order", body))["sCode"] == "0"
            return (await socket.push("orders"))["data"][0]

        done = await amend(newSz="0.2", reqId="r1")
        assert (done["amendResult"], done["reqId"], done["sz"], done["amendSource"]) == ("0", "r1", "0.2", "1")
        failed = await amend(newSz="5000", reqId="r2")
        assert (failed["amendResult"], failed["reqId"], failed["sz"], failed["state"]) == ("-1", "r2", "0.2", "live")
        assert (failed["code"], bool(failed["msg"])) == ("51008", True)
        gone = await amend(newSz="5000", reqId="r3", cxlOnFail=True)
        assert (gone["amendResult"], gone["state"]) == ("1", "canceled")


async def test_topics_are_filtered() -> None:
    async with quiet_simulator() as sim, socket_to(sim, "private") as socket, rest_of(sim) as rest:
        await socket.login()
        await socket.subscribe({"channel": "orders", "instType": "SWAP", "instFamily": "BTC-USDT"})
        await rest.place(SPOT, clOrdId="spot")
        await rest.place(SWAP, clOrdId="swap")
        push = await socket.push("orders")
        assert push["arg"] == {"channel": "orders", "instType": "SWAP", "instFamily": "BTC-USDT", "uid": "1"}
        assert push["data"][0]["clOrdId"] == "swap"
        async with rest_of(sim, "beta") as other:
            await other.place(SWAP, clOrdId="others")
        await rest.place(SWAP, clOrdId="mine")
        assert (await socket.push("orders"))["data"][0]["clOrdId"] == "mine"


async def test_money_begins_with_a_picture_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.simulator.dialects.okx.private.PAGE_ROWS", 2)
    async with quiet_simulator() as sim, socket_to(sim, "private") as socket, rest_of(sim) as rest:
        await socket.login()
        await socket.subscribe({"channel": "account", "extraParams": '{"updateInterval":"0"}'})
        pages = [await socket.push("account") for _ in range(3)]
        assert [(page["curPage"], page["lastPage"]) for page in pages] == [(1, False), (2, False), (3, True)]
        assert {page["eventType"] for page in pages} == {"snapshot"}
        told = [detail["ccy"] for page in pages for detail in page["data"][0]["details"]]
        assert sorted(told) == ["BTC", "ETH", "SOL", "USDC", "USDT"]
        await rest.place(SPOT, sz="0.1", px="50000")
        event = await socket.push("account")
        (detail,) = event["data"][0]["details"]
        assert (event["eventType"], detail["ccy"], detail["availBal"]) == ("event_update", "USDT", "995000")
        await rest.place(SWAP, px="50000", sz="10")
        (detail,) = (await socket.push("account"))["data"][0]["details"]
        assert (detail["cashBal"], detail["availBal"]) == ("1000000", "994750")


async def test_positions_are_listed_and_end_with_zero() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        await rest.place(SWAP, ordType="market", sz="2")
        async with private_socket(sim, "positions", "balance_and_position") as socket:
            pictures = [body for body in socket.heard if body.get("arg", {}).get("channel") == "positions"]
            listed = next(body for body in pictures if "data" in body)
            assert (listed["eventType"], listed["lastPage"], listed["data"][0]["pos"]) == ("snapshot", True, "2")
            await rest.place(SWAP, ordType="market", side="sell", sz="2")
            event = await socket.push("positions")
            assert (event["eventType"], event["data"][0]["pos"], event["data"][0]["avgPx"]) == ("event_update", "0", "")
            both = (await socket.push("balance_and_position"))["data"][0]
            assert (both["eventType"], both["balData"][0]["ccy"], both["posData"][0]["pos"]) == ("filled", "USDT", "0")
            assert {trade["instId"] for trade in both["trades"]} == {SWAP}
            sim.fund(SWAP, D("0.0001"))
            sim.deposit("alpha", "USDT", D(5))
            moved = (await socket.push("balance_and_position"))["data"][0]
            assert (moved["eventType"], moved["balData"][0]["ccy"]) == ("transferred", "USDT")


async def test_funding_and_liquidation_are_told() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        await rest.place(SWAP, ordType="market", sz="2")
        async with private_socket(sim, "orders", "balance_and_position") as socket:
            sim.fund(SWAP, D("0.001"))
            paid = (await socket.push("balance_and_position"))["data"][0]
            assert paid["eventType"] == "funding_fee"
            sim.liquidate("alpha", SWAP)
            row = (await socket.until(lambda body: body.get("data", [{}])[0].get("state") == "filled"))["data"][0]
            assert (row["category"], row["side"], row["clOrdId"] != "") == ("full_liquidation", "sell", True)
            assert (await socket.push("balance_and_position"))["data"][0]["eventType"] == "liquidation"


async def test_algo_orders_have_a_channel_on_the_business_path() -> None:
    async with quiet_simulator() as sim, socket_to(sim, "business") as socket, rest_of(sim) as rest:
        await socket.login()
        await socket.subscribe({"channel": "orders-algo", "instType": "ANY"})
        body = {
            "instId": SPOT, "tdMode": "cash", "side": "sell", "ordType": "conditional", "sz": "0.01",
            "slTriggerPx": "59980", "slOrdPx": "-1",
        }  # fmt: skip
        placed = await rest.item("trade/order-algo", body)
        waiting = (await socket.push("orders-algo"))["data"][0]
        assert (waiting["algoId"], waiting["state"]) == (placed["algoId"], "live")
        sim.trade(SPOT, Side.SELL, D(100), D(59970))
        fired = (await socket.push("orders-algo"))["data"][0]
        assert (fired["state"], fired["ordId"] != "") == ("effective", True)


async def test_regular_pictures_unless_events_alone_are_asked_for() -> None:
    sim = Simulator(quiet_config(), ManualClock())
    sim.open_market()
    venue = venue_of(sim)

    class Speaker:
        def __init__(self) -> None:
            self.heard: list[Any] = []

        def send(self, body: bytes) -> None:
            self.heard.append(json.loads(body))

    quiet, chatty = Speaker(), Speaker()
    account = sim.account("alpha")
    for speaker, extra in ((quiet, '{"updateInterval":"0"}'), (chatty, None)):
        venue.private.add(Subscription.of(speaker, account, "account", {"channel": "account", "extraParams": extra}))
    now = sim.clock.now_ns() // (5 * S) * 5 * S
    venue.private.tick(now + 5 * S)
    assert (len(quiet.heard), len(chatty.heard)) == (1, 2)
    assert chatty.heard[1]["eventType"] == "snapshot"


async def test_more_than_a_hundred_private_topics_end_the_connection() -> None:
    """Section 3: close 4003."""
    async with quiet_simulator() as sim, socket_to(sim, "private") as socket:
        await socket.login()
        topics = [{"channel": "orders", "instType": "ANY", "instId": f"X{number}"} for number in range(101)]
        await socket.subscribe(*topics[:100])
        await socket.say({"op": "subscribe", "args": topics[:1]})  # once more what it has
        await socket.event("subscribe")
        await socket.say({"op": "subscribe", "args": topics[100:]})
        assert (await ended(socket))[0] == 4003


# ----------------------------------------------------------------------------------------- orders by socket
def code_of(sim: Simulator, inst_id: str) -> int:
    return venue_of(sim).instruments[inst_id].code


async def test_orders_by_socket_name_instruments_by_number() -> None:
    async with quiet_simulator() as sim, private_socket(sim, "orders") as socket:
        args = order(SWAP, instIdCode=code_of(sim, SWAP), instId=SPOT, clOrdId="w1")  # instId is not looked at
        await socket.say({"id": "p1", "op": "order", "args": [args]})
        answer = await socket.answer("p1")
        assert (answer["op"], answer["code"], answer["data"][0]["sCode"]) == ("order", "0", "0")
        assert int(answer["inTime"]) < int(answer["outTime"])
        assert sim.open_orders("alpha")[0].symbol == SWAP
        for wrong, code in (({"instIdCode": None}, "50014"), ({"instIdCode": 1}, "51001")):
            await socket.say({"id": "p2", "op": "order", "args": [args | wrong]})
            answer = await socket.answer("p2")
            assert (answer["code"], answer["data"][0]["sCode"]) == ("1", code)
        amended = {"instIdCode": code_of(sim, SWAP), "clOrdId": "w1", "newSz": "2"}
        await socket.say({"id": "m1", "op": "amend-order", "args": [amended]})
        assert (await socket.answer("m1"))["code"] == "0"
        await socket.say(
            {"id": "c1", "op": "cancel-order", "args": [{"instIdCode": code_of(sim, SWAP), "clOrdId": "w1"}]}
        )
        assert (await socket.answer("c1"))["code"] == "0"
        assert sim.open_orders("alpha") == []


async def test_batches_by_socket() -> None:
    async with quiet_simulator() as sim, private_socket(sim) as socket:
        spot: dict[str, Any] = {"instIdCode": code_of(sim, SPOT)}
        args = [order(**spot, clOrdId="b1"), order(**spot, clOrdId="b2", sz="1000"), order(**spot, clOrdId="b3")]
        await socket.say({"id": "p1", "op": "batch-orders", "args": args})
        answer = await socket.answer("p1")
        assert (answer["code"], [row["sCode"] for row in answer["data"]]) == ("2", ["0", "51008", "0"])
        await socket.say({"id": "m1", "op": "batch-amend-orders", "args": [spot | {"clOrdId": "b1", "newSz": "0.2"}]})
        assert (await socket.answer("m1"))["code"] == "0"
        gone = [spot | {"clOrdId": name} for name in ("b1", "b2", "b3")]
        await socket.say({"id": "c1", "op": "batch-cancel-orders", "args": gone})
        answer = await socket.answer("c1")
        assert (answer["code"], [row["sCode"] for row in answer["data"]]) == ("2", ["0", "51400", "0"])


async def test_format_errors_of_orders_stand_at_the_top() -> None:
    async with quiet_simulator() as sim, private_socket(sim) as socket, socket_to(sim, "business") as business:
        await socket.say({"id": "p1", "op": "order", "args": "x"})
        assert await socket.answer("p1") | {"inTime": "", "outTime": ""} == {
            "id": "p1", "op": "order", "code": "60013", "msg": "Invalid args", "data": [], "inTime": "", "outTime": "",
        }  # fmt: skip
        await socket.say({"id": "p-1", "op": "order", "args": [order()]})
        assert (await socket.answer("p-1"))["code"] == "60033"
        await socket.say({"op": "order", "args": [order()]})
        assert (await socket.answer(""))["code"] == "60033"
        too_many = [order(instIdCode=code_of(sim, SPOT))] * 2
        await socket.say({"id": "p3", "op": "order", "args": too_many})
        assert (await socket.answer("p3"))["code"] == "60013"
        await business.login()
        await business.say({"id": "p4", "op": "order", "args": [order()]})
        assert (await business.answer("p4"))["code"] == "60012"
        assert sim.orders("alpha") == []


async def test_deadlines_by_socket() -> None:
    async with quiet_simulator() as sim, private_socket(sim) as socket:
        args = [order(instIdCode=code_of(sim, SPOT))]
        past = str(sim.clock.now_ns() // 1_000_000 - 1)
        await socket.say({"id": "p1", "op": "order", "args": args, "expTime": past})
        answer = await socket.answer("p1")
        assert (answer["code"], answer["data"]) == ("50036", [])
        await socket.say({"id": "p2", "op": "order", "args": args, "expTime": "soon"})
        assert (await socket.answer("p2"))["code"] == "60013"
        assert sim.orders("alpha") == []


async def test_both_ways_share_the_limits() -> None:
    """Trading limits are shared between REST and WebSocket (3)."""
    limits = OkxLimits(orders_per_2s=2, connections_per_s=0)
    async with quiet_simulator(limits=limits) as sim, private_socket(sim) as socket, rest_of(sim) as rest:
        await start_of_window(sim)
        await rest.place(SPOT)
        for number, code in ((1, "0"), (2, "50011")):
            await socket.say({"id": f"p{number}", "op": "order", "args": [order(instIdCode=code_of(sim, SPOT))]})
            assert (await socket.answer(f"p{number}"))["code"] == code
