"""Money, positions, modes, the dead-man switch, algo orders and rate limits of the simulated OKX."""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio

from tests.simulator.okx.wire import (
    SPOT,
    SWAP,
    S,
    order,
    quiet_config,
    quiet_simulator,
    rest_of,
    start_of_window,
    venue_of,
)
from tools.simulator import Side, Simulator
from tools.simulator.core.clock import TrioClock
from tools.simulator.core.model import Order, OrdStatus, OrdType
from tools.simulator.dialects.okx.limits import OkxLimits
from tools.simulator.dialects.okx.order_rows import DEAD_MAN
from tools.simulator.dialects.okx.orders import Terms, terms

D = Decimal


# --------------------------------------------------------------------------------------- money, positions
async def test_balances_show_what_is_bound() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        await rest.place(SPOT, sz="0.1", px="50000")
        (usdt,) = (await rest.one("account/balance", ccy="USDT"))["details"]
        assert (usdt["cashBal"], usdt["availBal"], usdt["frozenBal"], usdt["ordFrozen"]) == (
            "1000000", "995000", "5000", "5000",
        )  # fmt: skip
        await rest.place(SWAP, sz="10", px="50000")  # 10 contracts of 0.01 BTC at 20 times
        (usdt,) = (await rest.one("account/balance", ccy="USDT"))["details"]
        assert (usdt["cashBal"], usdt["availBal"]) == ("1000000", "994750")
        assert usdt["imr"] == "250"
        assert sim.balances("alpha")["USDT"] == (D(995000), D(5000))


async def test_contracts_in_net_mode() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        await rest.place(SWAP, ordType="market", side="sell", sz="3")
        (position,) = await rest.rows("account/positions", instType="SWAP")
        assert (position["pos"], position["posSide"], position["mgnMode"]) == ("-3", "net", "cross")
        (bill, *_) = await rest.rows("trade/fills")
        assert D(bill["fee"]) == pytest.approx(-D(bill["fillSz"]) * D(bill["fillPx"]) * D("0.01") * D("0.0005"))
        sim.mark(SWAP, D(59000))
        (position,) = await rest.rows("account/positions")
        entry = D(position["avgPx"])
        assert D(position["upl"]) == pytest.approx((entry - 59000) * 3 * D("0.01"))
        assert D(position["notionalUsd"]) == 3 * D("0.01") * 59000
        # Same direction with reduceOnly: refused; the other direction: cut to the position.
        assert (await rest.place(SWAP, side="sell", px="61000", reduceOnly=True))["sCode"] == "51170"
        closed = await rest.place(SWAP, ordType="market", side="buy", sz="5", reduceOnly=True)
        row = await rest.one("trade/order", instId=SWAP, ordId=closed["ordId"])
        assert row["accFillSz"] == "3"
        assert await rest.rows("account/positions") == []
        assert row["pnl"] != "0"


async def test_two_legs_in_long_short_mode() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        assert (await rest.post("account/set-position-mode", {"posMode": "long_short_mode"})).json()["code"] == "0"
        for leg, side in (("long", "buy"), ("short", "sell")):
            assert (await rest.place(SWAP, ordType="market", side=side, posSide=leg, sz="2"))["sCode"] == "0"
        legs = {row["posSide"]: row for row in await rest.rows("account/positions")}
        assert {leg: row["pos"] for leg, row in legs.items()} == {"long": "2", "short": "2"}
        assert (await rest.place(SWAP, ordType="market", side="sell", posSide="long", sz="1"))["sCode"] == "0"
        legs = {row["posSide"]: row["pos"] for row in await rest.rows("account/positions")}
        assert legs == {"long": "1", "short": "2"}
        busy = (await rest.post("account/set-position-mode", {"posMode": "net_mode"})).json()
        assert busy["code"] == "59000"
        for leg in ("long", "short"):
            body = {"instId": SWAP, "mgnMode": "cross", "posSide": leg}
            assert (await rest.post("trade/close-position", body)).json()["code"] == "0"
        assert await rest.rows("account/positions") == []
        assert sim.positions("alpha") == []


async def test_leverage_changes_what_is_bound() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        body = {"instId": SWAP, "lever": "5", "mgnMode": "cross"}
        assert (await rest.post("account/set-leverage", body)).json()["data"][0]["lever"] == "5"
        await rest.place(SWAP, ordType="market", sz="10")
        (position,) = await rest.rows("account/positions")
        assert position["lever"] == "5"
        assert D(position["imr"]) == pytest.approx(D(position["notionalUsd"]) / 5)
        assert (await rest.post("account/set-leverage", body | {"lever": "101"})).json()["code"] == "51000"
        assert (await rest.post("account/set-leverage", body | {"instId": SPOT})).json()["code"] == "51000"
        assert sim.account("alpha").margin(SWAP).leverage == 5


async def test_isolated_margin() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        await rest.place(SWAP, ordType="market", sz="10", tdMode="isolated")
        (position,) = await rest.rows("account/positions")
        assert position["mgnMode"] == "isolated"
        before = D(position["margin"])
        body = {"instId": SWAP, "posSide": "net", "type": "add", "amt": "100"}
        assert (await rest.post("account/position/margin-balance", body)).json()["code"] == "0"
        (position,) = await rest.rows("account/positions")
        assert D(position["margin"]) == before + 100
        assert (await rest.place(SWAP, tdMode="cross"))["sCode"] == "51000"  # one mode at a time here
        assert sim.open_orders("alpha") == []


async def test_the_dead_man_switch(autojump_clock: trio.testing.MockClock) -> None:
    """10 to 120 s, 0 to disarm; a newer call replaces the older; orders end with source 20."""

    sim = Simulator(quiet_config(), TrioClock())
    sim.open_market()
    venue, account = venue_of(sim), sim.account("alpha")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sim.scheduler.run)
        orders = []
        for tag in ("", "mine"):
            made = Order(
                symbol=SPOT,
                account=account,
                cl_ord_id=venue.nameless(),
                side=Side.BUY,
                ord_type=OrdType.LIMIT,
                price=D(50000),
                order_qty=D("0.1"),
            )
            made.extra["okx"] = Terms(inst_type="SPOT", td_mode="cash", ord_type="limit", tag=tag)
            sim.exchange.submit(made)
            orders.append(made)
        assert venue.dead_man.arm(account, "mine", 10) == sim.clock.now_ns() + 10 * S
        venue.dead_man.arm(account, "", 20)
        await trio.sleep(9)
        assert all(made.is_live for made in orders)
        await trio.sleep(2)
        assert [made.is_live for made in orders] == [True, False]  # the timer of the tag
        venue.dead_man.arm(account, "", 20)  # set anew at 11 s
        await trio.sleep(10)
        assert orders[0].is_live
        await trio.sleep(11)
        assert (orders[0].ord_status, terms(orders[0]).cancel_source) == (OrdStatus.CANCELED, DEAD_MAN)
        nursery.cancel_scope.cancel()


async def test_the_dead_man_switch_by_rest() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        (armed,) = (await rest.post("trade/cancel-all-after", {"timeOut": "30"})).json()["data"]
        assert int(armed["triggerTime"]) - int(armed["ts"]) == 30  # in seconds
        (off,) = (await rest.post("trade/cancel-all-after", {"timeOut": "0"})).json()["data"]
        assert off["triggerTime"] == "0"
        for wrong in ("5", "121", "-1"):
            assert (await rest.post("trade/cancel-all-after", {"timeOut": wrong})).json()["code"] == "51000"
        assert (await rest.post("trade/mass-cancel", {"instType": "OPTION", "instFamily": "BTC-USD"})).json()[
            "code"
        ] == "51010"
        assert sim.venue.requests["cancel-all-after"] == 5


# ---------------------------------------------------------------------------------------------- algo orders
async def test_a_stop_fires_and_its_order_names_it() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        await rest.place(SWAP, ordType="market", sz="2")
        body = {
            "instId": SWAP, "tdMode": "cross", "side": "sell", "ordType": "conditional", "sz": "2",
            "slTriggerPx": "59980", "slOrdPx": "-1", "reduceOnly": True, "algoClOrdId": "stop1",
        }  # fmt: skip
        placed = await rest.item("trade/order-algo", body)
        assert placed["sCode"] == "0"
        (pending,) = await rest.rows("trade/orders-algo-pending", ordType="conditional")
        assert (pending["algoId"], pending["state"], pending["slTriggerPx"]) == (placed["algoId"], "live", "59980")
        sim.trade(SWAP, Side.SELL, D(1000), D(59970))
        fired = await rest.one("trade/order-algo", algoId=placed["algoId"])
        assert (fired["state"], fired["actualSide"]) == ("effective", "sl")
        child = await rest.one("trade/order", instId=SWAP, ordId=fired["ordId"])
        assert (child["algoId"], child["algoClOrdId"], child["source"], child["clOrdId"]) == (
            placed["algoId"], "stop1", "7", "",
        )  # fmt: skip
        assert await rest.rows("trade/orders-algo-pending", ordType="conditional") == []


@pytest.mark.parametrize(
    "changes, source",
    [
        ({"ordType": "trigger", "triggerPx": "59980", "orderPx": "-1"}, "6"),
        ({"ordType": "oco", "tpTriggerPx": "62000", "tpOrdPx": "-1", "slTriggerPx": "59980", "slOrdPx": "-1"}, "7"),
        ({"ordType": "move_order_stop", "callbackRatio": "0.0002"}, "25"),
    ],
)
async def test_every_kind_of_trigger(changes: dict[str, str], source: str) -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        body = {"instId": SPOT, "tdMode": "cash", "side": "sell", "sz": "0.01"} | changes
        placed = await rest.item("trade/order-algo", body)
        assert placed["sCode"] == "0", placed
        sim.trade(SPOT, Side.SELL, D(100), D(59970))
        (row, *_) = await rest.rows("trade/orders-history", instType="SPOT")
        assert (row["algoId"], row["source"], row["side"]) == (placed["algoId"], source, "sell")


async def test_refused_algo_orders() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        base = {"instId": SPOT, "tdMode": "cash", "side": "sell", "sz": "0.01"}
        for changes, code in (
            ({"ordType": "conditional"}, "51000"),
            ({"ordType": "oco", "slTriggerPx": "59000"}, "51000"),
            ({"ordType": "trigger"}, "50014"),
            ({"ordType": "trigger", "triggerPx": "59000.01"}, "51150"),
            ({"ordType": "move_order_stop"}, "50014"),
            ({"ordType": "twap"}, "51000"),
            ({"ordType": "conditional", "slTriggerPx": "59000", "sz": "0.000000001"}, "51121"),
        ):
            assert (await rest.item("trade/order-algo", base | changes))["sCode"] == code, changes
        assert (await rest.item("trade/cancel-algos", [{"instId": SPOT, "algoId": "77"}]))["sCode"] == "51400"
        assert sim.exchange.algos.by_id == {}


async def test_an_order_brings_its_stops_along() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        attached = [{"tpTriggerPx": "62000", "tpOrdPx": "-1", "slTriggerPx": "58000", "slOrdPx": "-1"}]
        placed = await rest.place(SWAP, ordType="market", sz="1", attachAlgoOrds=attached)
        assert placed["sCode"] == "0"
        (algo,) = await rest.rows("trade/orders-algo-pending", ordType="oco")
        assert (algo["side"], algo["sz"], algo["tpTriggerPx"], algo["slTriggerPx"]) == ("sell", "1", "62000", "58000")
        assert algo["reduceOnly"] == "true"
        assert len(sim.positions("alpha")) == 1


# --------------------------------------------------------------------------------------------------- limits
async def test_orders_are_limited_by_user_and_instrument() -> None:
    """60 in two seconds, each kind of request and each instrument for itself."""
    limits = OkxLimits(orders_per_2s=3, connections_per_s=0)
    async with quiet_simulator(limits=limits) as sim, rest_of(sim) as rest, rest_of(sim, "beta") as other:
        await start_of_window(sim)
        answers = [await rest.post("trade/order", order(clOrdId=f"n{number}")) for number in range(4)]
        assert [answer.json()["code"] for answer in answers] == ["0", "0", "0", "50011"]
        assert answers[-1].status_code == 429
        assert (await rest.place(SWAP))["sCode"] == "0"
        assert (await other.place(SPOT))["sCode"] == "0"
        assert (await rest.item("trade/cancel-order", {"instId": SPOT, "clOrdId": "n0"}))["sCode"] == "0"
        batch = (await rest.post("trade/batch-orders", [order(SPOT), order(SPOT)])).json()
        assert batch["code"] == "0"  # a bucket of its own


async def test_a_batch_of_one_counts_as_a_single_order() -> None:
    limits = OkxLimits(orders_per_2s=1, connections_per_s=0)
    async with quiet_simulator(limits=limits) as sim, rest_of(sim) as rest:
        await start_of_window(sim)
        assert (await rest.post("trade/batch-orders", [order()])).json()["code"] == "0"
        assert (await rest.post("trade/order", order())).json()["code"] == "50011"


async def test_contracts_of_an_account_are_limited_besides() -> None:
    limits = OkxLimits(account_orders_per_2s=2, connections_per_s=0)
    async with quiet_simulator(limits=limits) as sim, rest_of(sim) as rest:
        await start_of_window(sim)
        codes = [(await rest.post("trade/order", order(SWAP))).json()["code"] for _ in range(3)]
        assert codes == ["0", "0", "50061"]
        assert (await rest.post("trade/order", order(SPOT))).json()["code"] == "0"  # spot is exempt


async def test_reads_are_limited_by_endpoint() -> None:
    async with quiet_simulator(limits=OkxLimits(connections_per_s=0)) as sim, rest_of(sim) as rest:
        await start_of_window(sim)
        codes = [(await rest.get("account/config")).json()["code"] for _ in range(6)]
        assert codes == ["0"] * 5 + ["50011"]
        assert (await rest.get("account/balance")).json()["code"] == "0"
        public = [(await rest.public("public/time")).status_code for _ in range(11)]
        assert public == [200] * 10 + [429]
        kinds = [(await rest.public("public/instruments", instType="SPOT")).status_code for _ in range(21)]
        assert kinds[19:] == [200, 429]
        assert (await rest.public("public/instruments", instType="SWAP")).status_code == 200
        assert venue_of(sim).buckets.refused == 3
