"""Positions, margin, modes, money and the algo service over REST (sections 8, 12, 18)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.simulator.binance_usdm.kit import SYMBOL, price, rest_of, running, user_data
from tests.simulator.wire import until
from tools.simulator import Side

STOP = {"algoType": "CONDITIONAL", "symbol": SYMBOL, "side": "SELL", "type": "STOP_MARKET"}


async def test_a_fill_makes_a_position_and_costs_commission() -> None:
    async with running() as sim, rest_of(sim) as rest:
        assert await rest.position() is None
        await rest.market("BUY", "0.050")
        row = await rest.position()
        assert (row["positionAmt"], row["marginAsset"]) == ("0.050", "USDT")
        fills = await rest.ask("GET", "userTrades", symbol=SYMBOL)
        value = sum(Decimal(fill["price"]) * Decimal(fill["qty"]) for fill in fills)
        assert Decimal(row["entryPrice"]) == pytest.approx(value / Decimal("0.050"), abs=Decimal("1e-6"))
        paid = sum(Decimal(fill["commission"]) for fill in fills)
        assert paid == pytest.approx(value * Decimal("0.0005"), abs=Decimal("1e-6"))
        wallet = await rest.wallet()
        assert Decimal(wallet["balance"]) == Decimal(1_000_000) - paid
        assert Decimal(wallet["availableBalance"]) < Decimal(wallet["balance"])
        account = await rest.ask("GET", "/fapi/v3/account")
        assert [each["symbol"] for each in account["positions"]] == [SYMBOL]
        assert account["totalWalletBalance"] == wallet["balance"]


async def test_closing_books_profit_and_income() -> None:
    async with running() as sim, rest_of(sim) as rest:
        await rest.market("BUY", "0.050")
        closed = await rest.market("SELL", "0.100", reduceOnly="true")
        assert (closed["executedQty"], closed["status"]) == ("0.050", "EXPIRED")
        assert await rest.position() is None
        fills = await rest.ask("GET", "userTrades", symbol=SYMBOL)
        profit = sum(Decimal(fill["realizedPnl"]) for fill in fills)
        assert profit < 0  # bought at the ask, sold at the bid
        rows = await rest.ask("GET", "income", symbol=SYMBOL, limit=1000)
        by_kind = {kind: sum(Decimal(row["income"]) for row in rows if row["incomeType"] == kind) for kind in KINDS}
        assert by_kind["REALIZED_PNL"] == profit
        assert Decimal((await rest.wallet())["balance"]) == Decimal(1_000_000) + sum(by_kind.values())


KINDS = ("REALIZED_PNL", "COMMISSION", "FUNDING_FEE")


async def test_margin_is_insufficient_and_leverage_decides() -> None:
    async with running() as sim, rest_of(sim) as rest:
        assert (await rest.ask("POST", "leverage", symbol=SYMBOL, leverage=1))["leverage"] == 1
        terms = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": price(sim, -100)}
        assert await rest.code("POST", "order", **terms, quantity="12") == -2019
        await rest.ask("POST", "leverage", symbol=SYMBOL, leverage=10)
        await rest.ask("POST", "order", **terms, quantity="12")
        assert await rest.code("POST", "leverage", symbol=SYMBOL, leverage=1) == -2028
        assert await rest.code("POST", "leverage", symbol=SYMBOL, leverage=126) == -4028
        [config] = await rest.ask("GET", "symbolConfig", symbol=SYMBOL)
        assert (config["leverage"], config["marginType"]) == (10, "CROSSED")
        bracket = await rest.ask("GET", "leverageBracket", symbol=SYMBOL)
        for lower, upper in zip(bracket["brackets"], bracket["brackets"][1:], strict=False):
            at = lower["notionalCap"]
            from_below = at * lower["maintMarginRatio"] - lower["cum"]
            assert at * upper["maintMarginRatio"] - upper["cum"] == pytest.approx(from_below)


async def test_modes_change_only_when_nothing_is_open() -> None:
    async with running() as sim, rest_of(sim) as rest:
        assert await rest.code("POST", "positionSide/dual", dualSidePosition="false") == -4059
        order = await rest.limit("BUY", "0.010", price(sim, -500))
        assert await rest.code("POST", "positionSide/dual", dualSidePosition="true") == -4067
        assert await rest.code("POST", "marginType", symbol=SYMBOL, marginType="ISOLATED") == -4047
        await rest.ask("DELETE", "order", symbol=SYMBOL, orderId=order["orderId"])
        await rest.market("BUY", "0.010")
        assert await rest.code("POST", "positionSide/dual", dualSidePosition="true") == -4068
        assert await rest.code("POST", "marginType", symbol=SYMBOL, marginType="ISOLATED") == -4048
        await rest.market("SELL", "0.010")
        await rest.ask("POST", "positionSide/dual", dualSidePosition="true")
        assert await rest.ask("GET", "positionSide/dual") == {"dualSidePosition": True}


async def test_hedge_mode_needs_a_side_and_closes_by_it() -> None:
    async with running() as sim, rest_of(sim) as rest:
        await rest.ask("POST", "positionSide/dual", dualSidePosition="true")
        plain = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "0.010"}
        assert await rest.code("POST", "order", **plain) == -4061
        assert await rest.code("POST", "order", **plain, positionSide="LONG", reduceOnly="true") == -1106
        assert await rest.code("POST", "order", **plain, positionSide="SHORT") == -2022
        await rest.market("BUY", "0.020", positionSide="LONG")
        await rest.market("SELL", "0.010", positionSide="SHORT")
        long, short = await rest.position("LONG"), await rest.position("SHORT")
        assert (long["positionAmt"], short["positionAmt"]) == ("0.020", "-0.010")
        await rest.market("SELL", "0.020", positionSide="LONG")
        await rest.market("BUY", "0.010", positionSide="SHORT")
        assert await rest.position("LONG") is None


async def test_isolated_margin_moves_in_and_out() -> None:
    async with running() as sim, rest_of(sim) as rest:
        assert await rest.code("POST", "positionMargin", symbol=SYMBOL, amount="10", type=1) == -4049
        await rest.ask("POST", "marginType", symbol=SYMBOL, marginType="ISOLATED")
        assert await rest.code("POST", "marginType", symbol=SYMBOL, marginType="ISOLATED") == -4046
        assert await rest.code("POST", "positionMargin", symbol=SYMBOL, amount="10", type=1) == -4054
        await rest.market("BUY", "0.100")
        before = Decimal((await rest.position())["isolatedWallet"])
        await rest.ask("POST", "positionMargin", symbol=SYMBOL, amount="100", type=1)
        assert Decimal((await rest.position())["isolatedWallet"]) == before + 100
        assert await rest.code("POST", "positionMargin", symbol=SYMBOL, amount="5000", type=2) == -4051
        wallet = await rest.wallet()
        assert Decimal(wallet["balance"]) - Decimal(wallet["crossWalletBalance"]) == before + 100


# ------------------------------------------------------------------------------------------ algo service
async def test_a_stop_fires_its_child_and_finishes() -> None:
    async with running() as sim, rest_of(sim) as rest:
        await rest.market("BUY", "0.010")
        trigger = price(sim, -100)
        placed = await rest.ask(
            "POST", "algoOrder", **STOP, quantity="0.010", triggerPrice=trigger, clientAlgoId="sl-1"
        )
        assert (placed["algoStatus"], placed["clientAlgoId"], placed["orderType"]) == ("NEW", "sl-1", "STOP_MARKET")
        assert await rest.ask("GET", "openOrders", symbol=SYMBOL) == []
        waiting = await rest.ask("GET", "algoOrder", clientAlgoId="sl-1")
        assert (waiting["actualOrderId"], waiting["triggerTime"]) == ("", 0)
        sim.trade(SYMBOL, Side.SELL, Decimal(30), Decimal(trigger) - 20)
        done = await rest.ask("GET", "algoOrder", algoId=placed["algoId"])
        assert (done["algoStatus"], done["actualQty"]) == ("FINISHED", "0.010")
        child = await rest.ask("GET", "order", symbol=SYMBOL, orderId=done["actualOrderId"])
        assert (child["status"], child["origType"]) == ("FILLED", "STOP_MARKET")
        assert await rest.position() is None


async def test_a_stop_is_refused_only_at_its_trigger() -> None:
    """No margin check before (8): an accepted stop is no protection yet."""
    async with running() as sim, rest_of(sim) as rest:
        await rest.ask("POST", "leverage", symbol=SYMBOL, leverage=1)
        terms = {"algoType": "CONDITIONAL", "symbol": SYMBOL, "side": "BUY", "type": "STOP_MARKET"}
        placed = await rest.ask(
            "POST", "algoOrder", **terms, quantity="100", triggerPrice="95000.0", workingType="MARK_PRICE"
        )
        sim.mark(SYMBOL, Decimal(95001))
        found = await rest.ask("GET", "algoOrder", algoId=placed["algoId"])
        assert found["algoStatus"] == "REJECTED"


async def test_close_position_takes_the_size_of_the_position() -> None:
    async with running() as sim, rest_of(sim) as rest:
        await rest.market("BUY", "0.010")
        both = {"closePosition": "true", "triggerPrice": "88000.0", "workingType": "MARK_PRICE"}
        assert await rest.code("POST", "algoOrder", **STOP, **both, quantity="0.010") == -4137
        assert await rest.code("POST", "algoOrder", **STOP, **both, reduceOnly="true") == -4138
        await rest.ask("POST", "algoOrder", **STOP, **both)
        await rest.market("BUY", "0.020")
        sim.mark(SYMBOL, Decimal(87999))
        assert await rest.position() is None


async def test_a_trailing_stop_follows_the_best_price() -> None:
    async with running() as sim, rest_of(sim) as rest:
        await rest.market("BUY", "0.010")
        terms = STOP | {"type": "TRAILING_STOP_MARKET", "quantity": "0.010", "workingType": "MARK_PRICE"}
        assert await rest.code("POST", "algoOrder", **terms, callbackRate="25") == -2007
        placed = await rest.ask("POST", "algoOrder", **terms, callbackRate="1")
        for mark in (90500, 91000, 90200):
            sim.mark(SYMBOL, Decimal(mark))
        assert (await rest.ask("GET", "algoOrder", algoId=placed["algoId"]))["algoStatus"] == "NEW"
        sim.mark(SYMBOL, Decimal(90089))
        assert (await rest.ask("GET", "algoOrder", algoId=placed["algoId"]))["algoStatus"] == "FINISHED"


@pytest.mark.parametrize(
    "changes, code",
    [
        ({"triggerPrice": "95000.0"}, -2021),
        ({"type": "TAKE_PROFIT_MARKET", "triggerPrice": "85000.0"}, -2021),
        ({"type": "LIMIT"}, -1116),
        ({"workingType": "INDEX"}, -4031),
        ({"algoType": "VP"}, -1130),
        ({"type": "STOP"}, -1102),
        ({"triggerPrice": "85000.05"}, -4014),
    ],
)
async def test_conditional_orders_are_refused(changes: dict[str, Any], code: int) -> None:
    async with running() as sim, rest_of(sim) as rest:
        request = STOP | {"quantity": "0.010", "triggerPrice": "85000.0"} | changes
        assert await rest.code("POST", "algoOrder", **request) == code


async def test_a_liquidated_account_gets_an_order_of_the_venues() -> None:
    async with running() as sim, rest_of(sim) as rest:
        await rest.market("BUY", "0.100")
        row = await rest.position()
        assert Decimal(row["liquidationPrice"]) == 0  # a rich account has none
        sim.deposit("alpha", "USDT", Decimal(-999_000))
        at = Decimal((await rest.position())["liquidationPrice"])
        assert 70_000 < at < 90_000
        async with user_data(sim, rest) as events:
            sim.mark(SYMBOL, at + 30)
            [warned] = (await events.next("MARGIN_CALL"))["p"]
            assert (warned["s"], warned["mt"], warned["pa"]) == (SYMBOL, "CROSSED", "0.100")
            assert sim.positions("alpha")
        sim.mark(SYMBOL, at - 1)
        await until(lambda: not sim.positions("alpha"))
        [forced] = await rest.ask("GET", "forceOrders", symbol=SYMBOL)
        assert forced["clientOrderId"].startswith("autoclose-")


async def test_funding_is_paid_and_told() -> None:
    async with running() as sim, rest_of(sim) as rest:
        await rest.market("BUY", "0.100")
        before = Decimal((await rest.wallet())["balance"])
        sim.mark(SYMBOL, Decimal(90_000))
        sim.fund(SYMBOL, Decimal("0.0001"))
        assert Decimal((await rest.wallet())["balance"]) == before - Decimal("0.9")
        [row] = await rest.ask("GET", "income", incomeType="FUNDING_FEE")
        assert row["income"] == "-0.90000000"
