"""The simulated Bybit's orders: what is refused with which code, what is acknowledged and ends otherwise."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.bybit.kit import LINEAR, SPOT, best, bybit, private_of, quiet_config, rest_of
from tools.simulator import Side, open_simulator
from tools.simulator.dialects.bybit.instruments import default_instruments
from tools.simulator.dialects.bybit.limits import BybitLimits

UNLIMITED = BybitLimits(endpoint_buckets=0)


def order(category: str, **changed: Any) -> dict[str, Any]:
    base = {"category": category, "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01"}
    return {name: value for name, value in (base | {"price": "60000"} | changed).items() if value is not None}


@pytest.mark.parametrize(
    "category, changed, code",
    [
        ("spot", {"symbol": "NOPE"}, 170121),
        ("linear", {"symbol": "NOPE"}, 10001),
        ("option", {}, 10001),
        ("spot", {"side": "buy"}, 170117),
        ("linear", {"side": None}, 10001),
        ("spot", {"orderType": "Stop"}, 170116),
        ("spot", {"timeInForce": "GTD"}, 170115),
        ("linear", {"timeInForce": "GTD"}, 10001),
        ("spot", {"qty": "0.0000001"}, 170137),
        ("spot", {"qty": "0.00001"}, 170140),
        ("spot", {"qty": "300"}, 170124),
        ("spot", {"price": "60000.01"}, 170134),
        ("spot", {"price": "90000"}, 170193),
        ("spot", {"side": "Sell", "price": "40000"}, 170194),
        ("spot", {"qty": "20"}, 170131),
        ("spot", {"orderType": "Market", "qty": "1.00000001", "price": None}, 170148),
        ("spot", {"orderType": "Market", "qty": "1", "price": None}, 170140),
        ("spot", {"triggerPrice": "70000"}, 170202),
        ("linear", {"qty": "0.0005"}, 10001),
        ("linear", {"qty": "0"}, 10001),
        ("linear", {"qty": "2000"}, 10001),
        ("linear", {"price": "60000.05"}, 10001),
        ("linear", {"price": "3000000"}, 110003),
        ("linear", {"qty": "0.001", "price": "1000"}, 110094),
        ("linear", {"qty": "1000"}, 110007),
        ("linear", {"positionIdx": 1}, 10001),
        ("linear", {"reduceOnly": True}, 110017),
        ("linear", {"qty": "0", "orderType": "Market", "reduceOnly": True, "closeOnTrigger": True}, 110017),
        ("linear", {"triggerPrice": "70000"}, 10001),
        ("linear", {"triggerPrice": "60000", "triggerDirection": 1}, 110092),
        ("linear", {"triggerPrice": "70000", "triggerDirection": 2}, 110093),
        ("linear", {"orderLinkId": "x" * 37}, 10001),
        ("linear", {"orderLinkId": "no blanks"}, 10001),
        ("spot", {"takeProfit": "70000"}, 10001),
        ("linear", {"takeProfit": "50000"}, 10001),
        ("linear", {"stopLoss": "70000"}, 10001),
        ("linear", {"takeProfit": "70000", "tpslMode": "Partial"}, 10001),
        ("linear", {"slippageTolerance": "5"}, 10001),
        ("linear", {"smpType": "CancelAll"}, 10001),
    ],
)
async def test_refusals(category: str, changed: dict[str, Any], code: int) -> None:
    """Nothing has changed after any of them."""
    async with open_simulator(quiet_config()) as sim, rest_of(sim) as rest:
        assert await rest.refused("order/create", **order(category, **changed)) == code
        assert sim.orders("alpha") == []
        assert all(locked == 0 for _, locked in sim.balances("alpha").values())


@pytest.mark.parametrize("category, taken", [("spot", 170141), ("linear", 110072)])
async def test_a_client_id_is_used_once(category: str, taken: int) -> None:
    async with open_simulator(quiet_config()) as sim, rest_of(sim) as rest, rest_of(sim, "beta") as other:
        await rest.do("order/create", **order(category, orderLinkId="mine"))
        assert await rest.refused("order/create", **order(category, orderLinkId="mine")) == taken
        await rest.do("order/cancel", category=category, symbol="BTCUSDT", orderLinkId="mine")
        assert await rest.refused("order/create", **order(category, orderLinkId="mine")) == taken  # also afterwards
        await other.do("order/create", **order(category, orderLinkId="mine"))
        assert (sim.arrivals("mine").seen, sim.arrivals("mine").accepted) == (4, 2)


@pytest.mark.parametrize("category, gone, ended", [("spot", 170213, 170142), ("linear", 110001, 110010)])
async def test_cancel(category: str, gone: int, ended: int) -> None:
    async with open_simulator(quiet_config()) as sim, rest_of(sim) as rest:
        order_id = await rest.order(category, "Buy", "0.01", "60000")
        named = {"category": category, "symbol": "BTCUSDT"}
        assert await rest.refused("order/cancel", **named) == 10001
        assert await rest.refused("order/cancel", **named, orderId="nothing") == gone
        assert await rest.refused("order/cancel", category=category, symbol="ETHUSDT", orderId=order_id) == gone
        await rest.do("order/cancel", **named, orderId=order_id)
        assert await rest.refused("order/cancel", **named, orderId=order_id) == ended
        shown = await rest.shown(category, order_id)
        assert (shown["orderStatus"], shown["cancelType"], shown["leavesQty"]) == ("Cancelled", "CancelByUser", "0")
        filled = await rest.order(category, "Buy", "0.01")
        final = 170139 if category == "spot" else 110008
        assert await rest.refused("order/cancel", **named, orderId=filled) == final


async def test_amend() -> None:
    async with open_simulator(quiet_config()) as sim, rest_of(sim) as rest:
        bid, _ = best(sim, LINEAR)
        order_id = await rest.order("linear", "Buy", "0.020", str(bid))
        named = {"category": "linear", "symbol": "BTCUSDT", "orderId": order_id}
        assert await rest.refused("order/amend", **named, qty="0.020") == 10001  # nothing would change
        await rest.do("order/amend", **named, qty="0.030", price=str(bid - 1))
        shown = await rest.shown("linear", order_id)
        assert (shown["qty"], shown["price"], shown["orderStatus"]) == ("0.030", f"{bid - 1:.2f}", "New")
        assert await rest.refused("order/amend", **named, qty="500") == 110007
        assert (await rest.shown("linear", order_id))["qty"] == "0.030"
        await rest.do("order/amend", **named, price=str(bid + 1))
        sim.trade(LINEAR, Side.SELL, Decimal("0.010"), bid + 1)
        assert (await rest.shown("linear", order_id))["orderStatus"] == "PartiallyFilled"
        assert await rest.refused("order/amend", **named, qty="0.010") == 110064
        await rest.do("order/amend", **named, qty="0.011")  # the total, with what is filled
        assert (await rest.shown("linear", order_id))["leavesQty"] == "0.001"


async def test_post_only_is_acknowledged_and_then_told_to_have_been_canceled() -> None:
    for category, key in (("spot", SPOT), ("linear", LINEAR)):
        async with open_simulator(quiet_config()) as sim, rest_of(sim) as rest, private_of(sim, "order") as stream:
            _, ask = best(sim, key)
            fields = order(category, price=str(ask), timeInForce="PostOnly", orderLinkId="p")
            order_id = (await rest.do("order/create", **fields))["orderId"]
            row = await stream.row("order", orderLinkId="p")
            assert (row["orderId"], row["orderStatus"]) == (order_id, "Cancelled")
            assert row["rejectReason"] == "EC_PostOnlyWillTakeLiquidity"
            assert (await rest.shown(category, order_id))["cumExecQty"] == "0"
            assert sim.arrivals("p").accepted == 0


async def test_ioc_fok_and_market_remainders() -> None:
    async with open_simulator(quiet_config(limits=UNLIMITED)) as sim, rest_of(sim) as rest:
        _, ask = best(sim, SPOT)
        there = sim.exchange.markets[SPOT].depth(Side.SELL, 1)[0][1]
        ioc = await rest.order("spot", "Buy", str(there + 1), str(ask), timeInForce="IOC")
        shown = await rest.shown("spot", ioc)
        assert (shown["orderStatus"], Decimal(shown["cumExecQty"])) == ("PartiallyFilledCanceled", there)
        assert shown["rejectReason"] == "EC_NoImmediateQtyToFill"
        fok = await rest.order("spot", "Buy", "10", str(ask), timeInForce="FOK")
        shown = await rest.shown("spot", fok)
        assert (shown["orderStatus"], shown["cumExecQty"]) == ("Cancelled", "0")
        there = sim.exchange.markets[LINEAR].depth(Side.SELL, 1)[0][1]
        _, ask = best(sim, LINEAR)
        ioc = await rest.order("linear", "Buy", str(there + 1), str(ask), timeInForce="IOC")
        shown = await rest.shown("linear", ioc)
        assert (shown["orderStatus"], Decimal(shown["cumExecQty"])) == ("Cancelled", there)  # the word hides the fill


async def test_spot_market_orders_count_in_quote_or_base() -> None:
    async with open_simulator(quiet_config(limits=UNLIMITED)) as sim, rest_of(sim) as rest:
        spend = order("spot", orderType="Market", qty="1000", price=None)
        by_quote = (await rest.do("order/create", **spend))["orderId"]
        shown = await rest.shown("spot", by_quote)
        assert shown["qty"] == "1000"
        assert Decimal(990) < Decimal(shown["cumExecValue"]) <= Decimal(1000)
        by_base = await rest.order("spot", "Buy", "0.01")
        assert (await rest.shown("spot", by_base))["cumExecQty"] == "0.01"
        sell = order("spot", side="Sell", orderType="Market", qty="0.01", price=None)
        sold = (await rest.do("order/create", **sell))["orderId"]
        assert (await rest.shown("spot", sold))["cumExecQty"] == "0.01"  # a sell counts in base
        rows = (await rest.ask("execution/list", "category=spot&symbol=BTCUSDT"))["list"]
        assert {row["side"]: row["feeCurrency"] for row in rows} == {"Buy": "BTC", "Sell": "USDT"}


async def test_prices_far_through_the_market_move_into_the_band_on_contracts() -> None:
    async with open_simulator(quiet_config()) as sim, rest_of(sim) as rest:
        order_id = await rest.order("linear", "Buy", "0.001", "90000")
        last = sim.exchange.markets[LINEAR].last_px
        assert Decimal((await rest.shown("linear", order_id))["price"]) <= last * Decimal("1.06")


async def test_conditional_contracts() -> None:
    async with open_simulator(quiet_config()) as sim, rest_of(sim) as rest, private_of(sim, "order") as stream:
        last = sim.exchange.markets[LINEAR].last_px
        trigger: dict[str, Any] = {"triggerPrice": str(last + 50), "triggerDirection": 1, "orderLinkId": "stop"}
        order_id = await rest.order("linear", "Buy", "0.01", **trigger)
        shown = await rest.shown("linear", order_id)
        assert (shown["orderStatus"], shown["stopOrderType"], shown["triggerBy"]) == (
            "Untriggered",
            "Stop",
            "LastPrice",
        )
        assert (
            Decimal((await rest.ask("account/wallet-balance", "accountType=UNIFIED"))["list"][0]["totalInitialMargin"])
            == 0
        )
        await rest.do("order/amend", category="linear", symbol="BTCUSDT", orderId=order_id, triggerPrice=str(last + 20))
        sim.trade(LINEAR, Side.BUY, Decimal(100), last + 60)
        words = [(await stream.row("order", orderId=order_id))["orderStatus"] for _ in range(4)]
        assert words[:2] == ["Untriggered", "Untriggered"]
        assert words[2:] == ["Triggered", "New"]
        assert (await stream.row("order", orderId=order_id, orderStatus="Filled"))["cumExecQty"] == "0.010"
        waiting = await rest.order("linear", "Sell", "0.01", triggerPrice="100000", triggerDirection=1)
        await rest.do("order/cancel", category="linear", symbol="BTCUSDT", orderId=waiting)
        assert (await rest.shown("linear", waiting))["orderStatus"] == "Deactivated"


async def test_a_triggered_order_without_margin_is_rejected_then() -> None:
    async with open_simulator(quiet_config()) as sim, rest_of(sim) as rest, private_of(sim, "order") as stream:
        last = sim.exchange.markets[LINEAR].last_px
        more: dict[str, Any] = {"triggerPrice": str(last + 20), "triggerDirection": 1}
        order_id = await rest.order("linear", "Buy", "149", **more)  # it binds nothing while it waits
        sim.deposit("alpha", "USDT", Decimal(-999_000))
        sim.trade(LINEAR, Side.BUY, Decimal(100), last + 60)
        assert (await stream.row("order", orderStatus="Rejected"))["orderId"] == order_id
        assert sim.open_orders("alpha") == []


async def test_a_resting_reduction_goes_with_its_position() -> None:
    async with open_simulator(quiet_config()) as sim, rest_of(sim) as rest:
        await rest.order("linear", "Buy", "0.02")
        resting = await rest.order("linear", "Sell", "0.02", "68000", reduceOnly=True)
        await rest.order("linear", "Sell", "0.02")
        shown = await rest.shown("linear", resting)
        assert (shown["orderStatus"], shown["cancelType"]) == ("Cancelled", "CancelByReduceOnly")


async def test_a_trigger_may_watch_the_mark_price() -> None:
    async with open_simulator(quiet_config()) as sim, rest_of(sim) as rest:
        last = sim.exchange.markets[LINEAR].last_px
        sim.mark(LINEAR, last - 100)
        trigger: dict[str, Any] = {"triggerPrice": str(last - 50), "triggerBy": "MarkPrice"}
        sell = order("linear", side="Sell", orderType="Market", price=None, **trigger)
        assert await rest.refused("order/create", **sell, triggerDirection=2) == 110093  # the mark is below already
        order_id = (await rest.do("order/create", **sell, triggerDirection=1))["orderId"]
        sim.trade(LINEAR, Side.SELL, Decimal(1))  # the last price is above it all the time
        assert (await rest.shown("linear", order_id))["orderStatus"] == "Untriggered"
        sim.mark(LINEAR, last - 40)
        assert (await rest.shown("linear", order_id))["orderStatus"] == "Filled"


async def test_a_spot_cancel_must_say_that_it_means_a_conditional_order() -> None:
    async with open_simulator(quiet_config()) as sim, rest_of(sim) as rest:
        order_id = await rest.order("spot", "Buy", "0.01", "60000", triggerPrice="64000", orderFilter="StopOrder")
        named = {"category": "spot", "symbol": "BTCUSDT", "orderId": order_id}
        assert await rest.refused("order/cancel", **named) == 170213
        await rest.do("order/cancel-all", category="spot")
        await rest.do("order/cancel-batch", category="spot", request=[named | {"orderFilter": "StopOrder"}])
        assert len(sim.open_orders("alpha")) == 1
        await rest.do("order/cancel", **named, orderFilter="StopOrder")
        assert sim.open_orders("alpha") == []


async def test_a_triggered_spot_order_is_an_order_like_all() -> None:
    async with open_simulator(quiet_config()) as sim, rest_of(sim) as rest:
        last = sim.exchange.markets[SPOT].last_px
        waiting = {"triggerPrice": str(last + 20), "orderFilter": "StopOrder"}
        order_id = await rest.order("spot", "Buy", "0.01", "60000", **waiting)
        sim.trade(SPOT, Side.BUY, Decimal(100), last + 60)
        assert (await rest.shown("spot", order_id))["orderStatus"] == "New"
        named = {"category": "spot", "symbol": "BTCUSDT", "orderId": order_id}
        assert await rest.refused("order/cancel", **named, orderFilter="StopOrder") == 170213
        await rest.do("order/cancel", **named)


async def test_a_post_only_order_has_a_bound_of_its_own(tmp_path: Path) -> None:
    """`postOnlyMaxLimitOrderSize` instead of `maxLimitOrderQty` (section 5)."""
    row = default_instruments()[0].raw
    lots = row["lotSizeFilter"] | {"maxLimitOrderQty": "1", "postOnlyMaxLimitOrderSize": "2"}
    answer = {"result": {"category": "spot", "list": [row | {"lotSizeFilter": lots}]}}
    (tmp_path / "instruments_spot.json").write_text(json.dumps(answer))
    config = quiet_config(symbols=("spot:BTCUSDT",), exchange_info=tmp_path)
    async with open_simulator(config) as sim, rest_of(sim) as rest:
        for qty, lifetime, code in (("1.5", "GTC", 170124), ("2.5", "PostOnly", 170124)):
            large = order("spot", qty=qty, timeInForce=lifetime)
            assert await rest.refused("order/create", **large) == code
        await rest.do("order/create", **order("spot", qty="1.5", timeInForce="PostOnly"))


@pytest.mark.parametrize(
    "mode, taker, maker",
    [
        ("CancelMaker", "New", "Cancelled"),
        ("CancelTaker", "Cancelled", "New"),
        ("CancelBoth", "Cancelled", "Cancelled"),
        ("None", "Filled", "Filled"),
    ],
)
async def test_self_match_prevention(mode: str, taker: str, maker: str) -> None:
    """The taker's setting decides."""
    async with open_simulator(quiet_config()) as sim, rest_of(sim) as rest:
        bid, _ = best(sim, SPOT)
        price = str(bid + 1)
        resting = await rest.order("spot", "Buy", "0.01", price)
        crossing = await rest.order("spot", "Sell", "0.01", price, smpType=mode)
        for order_id, status in ((crossing, taker), (resting, maker)):
            shown = await rest.shown("spot", order_id)
            assert shown["orderStatus"] == status
            assert shown["cancelType"] == ("CancelBySmp" if status == "Cancelled" else "UNKNOWN")


async def test_positions_one_way() -> None:
    async with open_simulator(quiet_config(limits=UNLIMITED)) as sim, rest_of(sim) as rest:

        async def position() -> dict[str, Any]:
            (row,) = (await rest.ask("position/list", "category=linear&symbol=BTCUSDT"))["list"]
            return dict(row)

        assert ((await position())["side"], (await position())["size"], (await position())["seq"]) == ("", "0", -1)
        await rest.order("linear", "Buy", "0.02")
        assert ((await position())["side"], (await position())["size"]) == ("Buy", "0.020")
        await rest.order("linear", "Sell", "0.05")
        assert ((await position())["side"], (await position())["size"]) == ("Sell", "0.030")
        await rest.order("linear", "Buy", "1", reduceOnly=True)  # no more than there is
        assert ((await position())["side"], (await position())["size"]) == ("", "0")
        assert (await rest.ask("position/list", "category=linear&settleCoin=USDT"))["list"] == []
        rows = (await rest.ask("execution/list", "category=linear&symbol=BTCUSDT"))["list"]
        assert sum(Decimal(row["closedSize"]) for row in rows) == Decimal("0.05")


async def test_hedge_mode() -> None:
    async with open_simulator(quiet_config(limits=UNLIMITED)) as sim, rest_of(sim) as rest:
        mode = {"category": "linear", "coin": "USDT"}
        assert await rest.refused("position/switch-mode", **mode, mode=0) == 110025
        waiting = await rest.order("linear", "Buy", "0.01", "60000")
        assert await rest.refused("position/switch-mode", **mode, mode=3) == 110028
        await rest.do("order/cancel", category="linear", symbol="BTCUSDT", orderId=waiting)
        await rest.do("position/switch-mode", **mode, mode=3)
        assert await rest.refused("order/create", **order("linear")) == 10001  # which leg?
        await rest.order("linear", "Buy", "0.02", positionIdx=1)
        await rest.order("linear", "Sell", "0.03", positionIdx=2)
        rows = (await rest.ask("position/list", "category=linear&symbol=BTCUSDT"))["list"]
        assert [(row["positionIdx"], row["side"], row["size"]) for row in rows] == [
            (1, "Buy", "0.020"),
            (2, "Sell", "0.030"),
        ]
        assert await rest.refused("position/switch-mode", **mode, mode=0) == 110024
        await rest.order("linear", "Sell", "0.02", positionIdx=1, reduceOnly=True)
        await rest.order("linear", "Buy", "0.03", positionIdx=2, reduceOnly=True)
        await rest.do("position/switch-mode", **mode, mode=0)


async def test_leverage_and_margin_mode() -> None:
    async with open_simulator(quiet_config()) as sim, rest_of(sim) as rest:
        named = {"category": "linear", "symbol": "BTCUSDT"}
        await rest.do("position/set-leverage", **named, buyLeverage="5", sellLeverage="5")
        assert await rest.refused("position/set-leverage", **named, buyLeverage="5", sellLeverage="5") == 110043
        assert await rest.refused("position/set-leverage", **named, buyLeverage="5", sellLeverage="6") == 10001
        assert await rest.refused("position/set-leverage", **named, buyLeverage="500", sellLeverage="500") == 110013
        await rest.order("linear", "Buy", "0.1")
        (row,) = (await rest.ask("position/list", "category=linear&symbol=BTCUSDT"))["list"]
        assert Decimal(row["positionIM"]) == pytest.approx(Decimal(row["positionValue"]) / 5, rel=Decimal("0.01"))
        assert await rest.refused("account/set-margin-mode", setMarginMode="ISOLATED_MARGIN") == 3400045
        await rest.order("linear", "Sell", "0.1")
        await rest.do("account/set-margin-mode", setMarginMode="ISOLATED_MARGIN")
        assert (await rest.ask("account/info"))["marginMode"] == "ISOLATED_MARGIN"


async def test_funding_is_an_execution_and_no_fill() -> None:
    async with (
        open_simulator(quiet_config()) as sim,
        rest_of(sim) as rest,
        private_of(sim, "execution", "wallet") as stream,
    ):
        await rest.order("linear", "Buy", "0.1")
        await stream.row("execution", execType="Trade")
        sim.fund(LINEAR, Decimal("0.001"))
        row = await stream.row("execution", execType="Funding")
        mark = sim.exchange.markets[LINEAR].mark_px
        assert Decimal(row["execFee"]) == pytest.approx(mark * Decimal("0.1") * Decimal("0.001"))  # positive: paid
        assert (row["orderType"], row["feeRate"]) == ("UNKNOWN", "0.001")
        kinds = [
            row["execType"] for row in (await rest.ask("execution/list", "category=linear&symbol=BTCUSDT"))["list"]
        ]
        assert kinds[0] == "Funding"
        only = (await rest.ask("execution/list", "category=linear&symbol=BTCUSDT&execType=Trade"))["list"]
        assert {row["execType"] for row in only} == {"Trade"}


async def test_liquidation_is_an_order_of_the_venues() -> None:
    async with (
        open_simulator(quiet_config()) as sim,
        rest_of(sim) as rest,
        private_of(sim, "order", "execution") as stream,
    ):
        await rest.order("linear", "Buy", "0.1")
        sim.liquidate("alpha", LINEAR)
        row = await stream.row("execution", execType="BustTrade")
        assert (row["createType"], row["side"], row["orderLinkId"]) == ("CreateByLiq", "Sell", row["orderLinkId"])
        assert sim.positions("alpha") == []


async def test_cancel_all_by_its_scopes() -> None:
    async with open_simulator(quiet_config(symbols=(SPOT, LINEAR, "linear:BTCPERP"))) as sim, rest_of(sim) as rest:
        assert await rest.refused("order/cancel-all", category="linear") == 10001
        spot = await rest.order("spot", "Buy", "0.01", "60000")
        linear = await rest.order("linear", "Buy", "0.01", "60000")
        perp = (await rest.do("order/create", **order("linear", symbol="BTCPERP")))["orderId"]

        async def canceled(**scope: str) -> list[str]:
            result = await rest.do("order/cancel-all", **scope)
            assert result["success"] == "1"
            return [row["orderId"] for row in result["list"]]

        assert await canceled(category="linear", settleCoin="USDC") == [perp]
        assert await canceled(category="linear", symbol="BTCUSDT") == [linear]
        assert await canceled(category="linear", baseCoin="BTC") == []
        assert await canceled(category="spot") == [spot]


async def test_open_order_caps() -> None:
    async with open_simulator(quiet_config(limits=UNLIMITED)) as sim, rest_of(sim) as rest:
        for _ in range(10):
            await rest.order("linear", "Buy", "0.01", triggerPrice="90000", triggerDirection=1)
        more = order("linear", orderType="Market", price=None, triggerPrice="90000", triggerDirection=1)
        assert await rest.refused("order/create", **more) == 110009
        assert bybit(sim).requests["order.create"] == 11


async def test_waiting_orders_of_spot_are_capped_by_kind() -> None:
    """30 conditional orders and 30 with take-profit or stop-loss, per symbol (section 6.1)."""
    async with open_simulator(quiet_config(limits=UNLIMITED)) as sim, rest_of(sim) as rest:
        for kind in ("StopOrder", "tpslOrder"):
            waiting = order("spot", triggerPrice="90000", orderFilter=kind)
            for _ in range(30):
                await rest.do("order/create", **waiting)
            assert await rest.refused("order/create", **waiting) == 170810
        assert len(sim.open_orders("alpha")) == 60
        await rest.do("order/create", **order("spot"))
