"""Plain orders, modifications, batches, cancels, the dead-man switch (sections 7, 9, 11, 16)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
import trio

from tests.simulator.binance_usdm.kit import SYMBOL, price, rest_of, running
from tests.simulator.wire import until
from tools.simulator import Side


async def test_place_query_cancel() -> None:
    async with running() as sim, rest_of(sim) as rest:
        placed = await rest.limit("BUY", "0.010", price(sim, -500), newClientOrderId="a/b:c.1")
        assert (placed["status"], placed["clientOrderId"], placed["executedQty"]) == ("NEW", "a/b:c.1", "0.000")
        assert not {"avgPrice", "cumQuote"} & set(placed)
        found = await rest.ask("GET", "order", symbol=SYMBOL, origClientOrderId="a/b:c.1")
        assert (found["orderId"], found["avgPrice"]) == (placed["orderId"], "0.00000")
        assert [row["orderId"] for row in await rest.ask("GET", "openOrders")] == [placed["orderId"]]
        ended = await rest.ask("DELETE", "order", symbol=SYMBOL, orderId=placed["orderId"])
        assert (ended["status"], ended["clientOrderId"]) == ("CANCELED", "a/b:c.1")
        assert await rest.code("DELETE", "order", symbol=SYMBOL, orderId=placed["orderId"]) == -2011
        assert await rest.code("GET", "openOrder", symbol=SYMBOL, orderId=placed["orderId"]) == -2013
        assert (sim.arrivals("a/b:c.1").seen, sim.arrivals("a/b:c.1").accepted) == (1, 1)


async def test_ack_says_nothing_about_fills() -> None:
    async with running() as sim, rest_of(sim) as rest:
        placed = await rest.market("BUY", "0.010", newOrderRespType="ACK")
        assert (placed["status"], placed["executedQty"]) == ("NEW", "0.000")
        found = await rest.ask("GET", "order", symbol=SYMBOL, orderId=placed["orderId"])
        assert (found["status"], found["executedQty"]) == ("FILLED", "0.010")


@pytest.mark.parametrize(
    "changes, code",
    [
        ({"type": "STOP_MARKET", "stopPrice": "80000"}, -4120),
        ({"type": "TRAILING_STOP_MARKET"}, -4120),
        ({"type": "NOPE"}, -1116),
        ({"side": "HOLD"}, -1117),
        ({"symbol": "NOPEUSDT"}, -1121),
        ({"timeInForce": ""}, -1105),
        ({"timeInForce": "DAY"}, -1115),
        ({"positionSide": "LONG"}, -4061),
        ({"price": "80000.05"}, -4014),
        ({"price": "80000.005"}, -1111),
        ({"quantity": "0.0105"}, -1111),
        ({"quantity": "0"}, -4003),
        ({"quantity": "5000"}, -4005),
        ({"price": "9999999.0"}, -4002),
        ({"side": "SELL", "price": "60000.0"}, -4024),
        ({"price": "120000.0"}, -4016),
        ({"quantity": "0.001", "price": "85000.0"}, None),
        ({"quantity": "0.001", "price": "40000.0"}, -4164),
        ({"reduceOnly": "true"}, -2022),
        ({"quantity": "400", "price": "89000.0"}, -2027),
        ({"timeInForce": "GTX", "price": "91000.0"}, -5022),
        ({"timeInForce": "FOK"}, -5021),
        ({"timeInForce": "GTD"}, -5040),
        ({"priceMatch": "QUEUE"}, -5037),
        ({"newClientOrderId": "no blanks here"}, -1100),
        ({"selfTradePreventionMode": "DECREMENT"}, -5039),
        ({"somethingElse": "1"}, -1104),
    ],
)
async def test_refusals_in_the_venues_words(changes: dict[str, Any], code: int | None) -> None:
    order = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "quantity": "0.010", "price": "89000.0"}
    async with running() as sim, rest_of(sim) as rest:
        answer = await rest.send("POST", "order", **{"timeInForce": "GTC"} | order | changes)
        assert answer.json().get("code") == code
        assert len(sim.open_orders("alpha")) == (code is None)


async def test_a_client_id_is_unique_among_open_orders() -> None:
    async with running() as sim, rest_of(sim) as rest:
        first = await rest.limit("BUY", "0.010", price(sim, -500), newClientOrderId="x")
        again = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "0.01", "newClientOrderId": "x"}
        assert await rest.code("POST", "order", **again) == -4116
        await rest.ask("DELETE", "order", symbol=SYMBOL, orderId=first["orderId"])
        assert (await rest.ask("POST", "order", **again))["orderId"] > first["orderId"]
        assert (sim.arrivals("x").seen, sim.arrivals("x").accepted) == (3, 2)


async def test_post_only_by_queue_price_and_immediate_lifetimes() -> None:
    async with running() as sim, rest_of(sim) as rest:
        best_bid = sim.exchange.markets[SYMBOL].top().bid
        joined = await rest.ask(
            "POST",
            "order",
            symbol=SYMBOL,
            side="BUY",
            type="LIMIT",
            timeInForce="GTX",
            quantity="0.010",
            priceMatch="QUEUE",
        )
        assert (Decimal(joined["price"]), joined["priceMatch"], joined["timeInForce"]) == (best_bid, "QUEUE", "GTX")
        ended = await rest.limit("BUY", "0.010", price(sim, -50), timeInForce="IOC")
        assert (ended["status"], ended["timeInForce"]) == ("EXPIRED", "IOC")


async def test_modify_restates_and_loses_its_place() -> None:
    async with running() as sim, rest_of(sim) as rest, rest_of(sim, "beta") as other:
        where = price(sim, -500)
        mine = await rest.limit("BUY", "0.020", where)
        theirs = await other.limit("BUY", "0.020", where)
        terms = {"symbol": SYMBOL, "side": "BUY", "orderId": mine["orderId"], "price": where}
        changed = await rest.ask("PUT", "order", **terms, quantity="0.010", modifyId=7)
        assert (changed["origQty"], changed["modifyId"], changed["clientOrderId"]) == (
            "0.010",
            7,
            mine["clientOrderId"],
        )
        assert await rest.code("PUT", "order", **terms, quantity="0.010") == -5027
        sim.trade(SYMBOL, Side.SELL, _down_to(sim, where, "0.020"), Decimal(where))
        assert (await other.ask("GET", "order", symbol=SYMBOL, orderId=theirs["orderId"]))["status"] == "FILLED"
        assert (await rest.ask("GET", "order", symbol=SYMBOL, orderId=mine["orderId"]))["executedQty"] == "0.000"
        [row] = await rest.ask("GET", "orderAmendment", symbol=SYMBOL, orderId=mine["orderId"])
        assert row["amendment"]["origQty"] == {"before": "0.020", "after": "0.010"}


def _down_to(sim: Any, where: str, beyond: str) -> Decimal:
    """What stands in front of a bid, and so much of it."""
    bids = sim.exchange.markets[SYMBOL].depth(Side.BUY, 1000)
    return sum((qty for px, qty in bids if px > Decimal(where)), Decimal(beyond))


async def test_modify_cancels_where_the_venue_does() -> None:
    """Not above what has traded, and a post-only order whose new price would cross (9.1)."""
    async with running() as sim, rest_of(sim) as rest:
        where = price(sim, -300)
        partly = await rest.limit("BUY", "0.020", where)
        sim.trade(SYMBOL, Side.SELL, _down_to(sim, where, "0.005"), Decimal(where))
        found = await rest.ask("GET", "order", symbol=SYMBOL, orderId=partly["orderId"])
        assert found["status"] == "PARTIALLY_FILLED"
        terms = {"symbol": SYMBOL, "side": "BUY", "orderId": partly["orderId"], "price": where}
        ended = await rest.ask("PUT", "order", **terms, quantity="0.005")
        assert (ended["status"], ended["executedQty"]) == ("CANCELED", "0.005")
        maker = await rest.limit("BUY", "0.010", price(sim, -300), timeInForce="GTX")
        crossing = {"symbol": SYMBOL, "side": "BUY", "orderId": maker["orderId"], "quantity": "0.010"}
        assert (await rest.ask("PUT", "order", **crossing, price=price(sim, 20)))["status"] == "CANCELED"
        assert await rest.code("PUT", "order", **crossing, price=price(sim, -20)) == -2013


async def test_batches_answer_item_by_item() -> None:
    async with running() as sim, rest_of(sim) as rest:
        good = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
        good |= {"price": price(sim, -500), "newClientOrderId": "b1"}
        bad = good | {"quantity": "0", "newClientOrderId": "b2"}
        stop = good | {"type": "STOP", "newClientOrderId": "b3"}
        rows = await rest.ask("POST", "batchOrders", batchOrders=json.dumps([good, bad, stop]))
        assert [row.get("code", row.get("status")) for row in rows] == ["NEW", -4003, -4120]
        assert [sim.arrivals(f"b{n}").seen for n in (1, 2, 3)] == [1, 1, 1]
        changes = [
            {"symbol": SYMBOL, "side": "BUY", "origClientOrderId": "b1", "quantity": "0.02", "price": good["price"]}
        ]
        assert (await rest.ask("PUT", "batchOrders", batchOrders=json.dumps(changes)))[0]["origQty"] == "0.020"
        assert await rest.code("POST", "batchOrders", batchOrders=json.dumps([good] * 6)) == -4082
        ended = await rest.ask("DELETE", "batchOrders", symbol=SYMBOL, origClientOrderIdList='["b1","nope"]')
        assert [row.get("code", row.get("status")) for row in ended] == ["CANCELED", -2011]


async def test_cancel_all_spares_conditional_orders() -> None:
    async with running() as sim, rest_of(sim) as rest:
        await rest.limit("BUY", "0.010", price(sim, -500))
        stop = {"algoType": "CONDITIONAL", "symbol": SYMBOL, "side": "SELL", "type": "STOP_MARKET"}
        await rest.ask("POST", "algoOrder", **stop, quantity="0.010", triggerPrice="80000.0")
        assert (await rest.ask("DELETE", "allOpenOrders", symbol=SYMBOL))["code"] == 200
        assert await rest.ask("GET", "openOrders", symbol=SYMBOL) == []
        assert len(await rest.ask("GET", "openAlgoOrders", symbol=SYMBOL)) == 1
        assert (await rest.ask("DELETE", "algoOpenOrders", symbol=SYMBOL))["code"] == 200
        assert await rest.ask("GET", "openAlgoOrders") == []


async def test_dead_man_switch_cancels_unless_told_again() -> None:
    async with running() as sim, rest_of(sim) as rest:
        await rest.limit("BUY", "0.010", price(sim, -500))
        answer = await rest.ask("POST", "countdownCancelAll", symbol=SYMBOL, countdownTime=60_000)
        assert answer == {"symbol": SYMBOL, "countdownTime": "60000"}
        await rest.ask("POST", "countdownCancelAll", symbol=SYMBOL, countdownTime=0)
        await trio.sleep(0.3)
        assert len(sim.open_orders("alpha")) == 1
        await rest.ask("POST", "countdownCancelAll", symbol=SYMBOL, countdownTime=100)
        await until(lambda: not sim.open_orders("alpha"))


async def test_a_hand_does_not_trade_with_itself() -> None:
    async with running() as sim, rest_of(sim) as rest:
        top = sim.exchange.markets[SYMBOL].top()
        assert top.ask is not None
        inside = f"{top.ask - Decimal('0.1'):.1f}"
        for mode, maker_ends, taker_ends in (
            ("EXPIRE_TAKER", "NEW", "EXPIRED_IN_MATCH"),
            ("EXPIRE_MAKER", "EXPIRED_IN_MATCH", "FILLED"),
        ):
            resting = await rest.limit("SELL", "0.010", inside)
            taker = await rest.market("BUY", "0.010", selfTradePreventionMode=mode)
            found = await rest.ask("GET", "order", symbol=SYMBOL, orderId=resting["orderId"])
            assert (found["status"], taker["status"]) == (maker_ends, taker_ends)
            await rest.ask("DELETE", "allOpenOrders", symbol=SYMBOL)


async def test_history_by_time_and_by_id() -> None:
    async with running() as sim, rest_of(sim) as rest:
        first = await rest.market("BUY", "0.010")
        second = await rest.market("SELL", "0.010")
        rows = await rest.ask("GET", "allOrders", symbol=SYMBOL, orderId=second["orderId"])
        assert [row["orderId"] for row in rows] == [second["orderId"]]
        fills = await rest.ask("GET", "userTrades", symbol=SYMBOL, orderId=first["orderId"])
        assert sum(Decimal(row["qty"]) for row in fills) == Decimal("0.010")
        newer = await rest.ask("GET", "userTrades", symbol=SYMBOL, fromId=fills[-1]["id"] + 1)
        assert {row["orderId"] for row in newer} == {second["orderId"]}
        assert await rest.code("GET", "userTrades", symbol=SYMBOL, fromId=1, startTime=1) == -1128
        assert await rest.code("GET", "allOrders", symbol=SYMBOL, startTime=0, endTime=10**12) == -4165
