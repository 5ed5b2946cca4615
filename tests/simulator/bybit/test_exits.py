"""Take-profit and stop-loss of the simulated Bybit's contract positions: attached to orders, set, fired and cleared."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.simulator.bybit.kit import LINEAR, Rest, best, private_of, quiet_config, rest_of
from tools.simulator import Side, open_simulator
from tools.simulator.dialects.bybit.limits import BybitLimits

UNLIMITED = BybitLimits(endpoint_buckets=0)
STOP = {"category": "linear", "symbol": "BTCUSDT"}


async def waiting(rest: Rest) -> dict[str, dict[str, Any]]:
    """The venue's exits that wait, by their kind."""
    rows = (await rest.ask("order/realtime", "category=linear&symbol=BTCUSDT"))["list"]
    return {row["stopOrderType"]: row for row in rows if row["orderStatus"] == "Untriggered"}


async def position(rest: Rest) -> dict[str, Any]:
    (row,) = (await rest.ask("position/list", "category=linear&symbol=BTCUSDT"))["list"]
    return dict(row)


async def test_attached_exits_begin_with_the_position_and_end_with_it() -> None:
    async with (
        open_simulator(quiet_config(limits=UNLIMITED)) as sim,
        rest_of(sim) as rest,
        private_of(sim, "order") as stream,
    ):
        bid, _ = best(sim, LINEAR)
        order_id = await rest.order(
            "linear", "Buy", "0.02", str(bid + 1), takeProfit=str(bid + 30), stopLoss=str(bid - 900)
        )
        assert (await rest.shown("linear", order_id))["takeProfit"] == f"{bid + 30:.2f}"
        assert await waiting(rest) == {}  # the order rests: there is no position yet
        sim.trade(LINEAR, Side.SELL, Decimal("0.01"), bid + 1)
        exits = await waiting(rest)
        assert {kind: (row["side"], row["qty"], row["triggerDirection"]) for kind, row in exits.items()} == {
            "TakeProfit": ("Sell", "0.010", 1),
            "StopLoss": ("Sell", "0.010", 2),
        }
        assert ((await position(rest))["takeProfit"], (await position(rest))["stopLoss"]) == (
            f"{bid + 30:.2f}",
            f"{bid - 900:.2f}",
        )
        sim.trade(LINEAR, Side.SELL, Decimal("0.01"), bid + 1)
        assert {row["qty"] for row in (await waiting(rest)).values()} == {"0.020"}  # they follow the position
        sim.trade(LINEAR, Side.BUY, Decimal(100), bid + 80)
        left = await stream.row("order", stopOrderType="TakeProfit", orderStatus="Filled")
        assert (left["cumExecQty"], left["createType"], left["orderLinkId"]) == ("0.020", "CreateByTakeProfit", "")
        cleared = await stream.row("order", stopOrderType="StopLoss", orderStatus="Deactivated")
        assert cleared["cancelType"] == "CancelByTpSlTsClear"
        assert ((await position(rest))["size"], await waiting(rest)) == ("0", {})


async def test_exits_set_on_the_position() -> None:
    async with open_simulator(quiet_config(limits=UNLIMITED)) as sim, rest_of(sim) as rest:
        last = sim.exchange.markets[LINEAR].last_px
        assert await rest.refused("position/trading-stop", **STOP, takeProfit=str(last + 500)) == 10001  # no position
        await rest.order("linear", "Sell", "0.02")
        assert await rest.refused("position/trading-stop", **STOP) == 10001
        assert await rest.refused("position/trading-stop", **STOP, takeProfit=str(last + 500)) == 10001  # a short's
        assert await rest.refused("position/trading-stop", **STOP, trailingStop="50") == 10001
        wanted = {"takeProfit": str(last - 500), "stopLoss": str(last + 500), "slTriggerBy": "MarkPrice"}
        await rest.do("position/trading-stop", **STOP, **wanted)
        assert await rest.refused("position/trading-stop", **STOP, **wanted) == 34040
        exits = await waiting(rest)
        assert {kind: (row["side"], row["triggerBy"]) for kind, row in exits.items()} == {
            "TakeProfit": ("Buy", "LastPrice"),
            "StopLoss": ("Buy", "MarkPrice"),
        }
        await rest.do("position/trading-stop", **STOP, takeProfit="0")
        assert set(await waiting(rest)) == {"StopLoss"}
        sim.mark(LINEAR, last + 600)
        assert ((await position(rest))["size"], await waiting(rest)) == ("0", {})


async def test_a_position_that_turns_around_loses_its_exits() -> None:
    async with open_simulator(quiet_config(limits=UNLIMITED)) as sim, rest_of(sim) as rest:
        last = sim.exchange.markets[LINEAR].last_px
        await rest.order("linear", "Buy", "0.02", takeProfit=str(last + 900))
        assert set(await waiting(rest)) == {"TakeProfit"}
        await rest.order("linear", "Sell", "0.05", stopLoss=str(last + 800))
        assert (await position(rest))["side"] == "Sell"
        exits = await waiting(rest)
        assert {kind: (row["side"], row["qty"]) for kind, row in exits.items()} == {"StopLoss": ("Buy", "0.030")}


async def test_attached_exits_can_be_amended() -> None:
    async with open_simulator(quiet_config()) as sim, rest_of(sim) as rest, private_of(sim, "order") as stream:
        order_id = await rest.order("linear", "Buy", "0.02", "60000", takeProfit="66000")
        named = {"category": "linear", "symbol": "BTCUSDT", "orderId": order_id}
        await rest.do("order/amend", **named, takeProfit="67000", stopLoss="59000")
        shown = await rest.shown("linear", order_id)
        assert (shown["takeProfit"], shown["stopLoss"]) == ("67000.00", "59000.00")
        assert await stream.row("order", orderId=order_id, stopLoss="59000.00")
        await rest.do("order/amend", **named, takeProfit="0", qty="0.03")
        shown = await rest.shown("linear", order_id)
        assert (shown["takeProfit"], shown["stopLoss"], shown["qty"]) == ("", "59000.00", "0.030")
        assert await rest.refused("order/amend", **named, stopLoss="61000") == 10001
