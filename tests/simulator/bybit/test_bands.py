"""The price band of the simulated Bybit (section 5): what it is, what it does to orders, and who may choose (10)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.simulator.bybit.kit import LINEAR, SPOT, bybit, quiet_config, rest_of, socket_of
from tools.simulator import open_simulator
from tools.simulator.dialects.bybit.bands import band_of, edges_of

BOTH = pytest.mark.parametrize("category", ["spot", "linear"])


@BOTH
async def test_the_band_is_told_by_rest_and_stream(category: str) -> None:
    key = SPOT if category == "spot" else LINEAR
    config = quiet_config()
    async with open_simulator(config) as sim, rest_of(sim) as rest, socket_of(sim, f"/v5/public/{category}") as socket:
        market, instrument = sim.exchange.markets[key], bybit(sim).infos[key]
        band, edges = band_of(market, instrument), edges_of(market, instrument)
        assert band is not None
        assert edges is not None
        ratio = Decimal(instrument.raw["riskParameters"]["priceLimitRatioX"])
        assert band == (market.last_px * (1 - ratio), market.last_px * (1 + ratio))
        assert band[0] <= edges[0] < edges[0] + instrument.tick < band[1]
        assert all(price % instrument.tick == 0 for price in edges)
        told = await rest.ask("market/price-limit", f"category={category}&symbol=BTCUSDT")
        assert (Decimal(told["sellLmt"]), Decimal(told["buyLmt"])) == edges
        assert (await socket.subscribe("priceLimit.BTCUSDT"))["success"] is True
        frame = await socket.topic("priceLimit.BTCUSDT")
        assert frame["data"] == {name: told[name] for name in ("symbol", "buyLmt", "sellLmt")}


@BOTH
@pytest.mark.parametrize("side", ["Buy", "Sell"])
async def test_an_account_chooses_whether_prices_are_moved(category: str, side: str) -> None:
    """Spot begins with refusing, contracts with moving."""
    async with open_simulator(quiet_config()) as sim, rest_of(sim) as rest:
        told = await rest.ask("market/price-limit", f"category={category}&symbol=BTCUSDT")
        edge = Decimal(told["buyLmt" if side == "Buy" else "sellLmt"])
        beyond = edge * (Decimal("1.01") if side == "Buy" else Decimal("0.99"))
        wanted: dict[str, Any] = {
            "category": category, "symbol": "BTCUSDT", "side": side, "orderType": "Limit", "qty": "0.01",
            "price": str(beyond.quantize(Decimal("0.1"))), "timeInForce": "IOC",
        }  # fmt: skip
        code = 110003 if category == "linear" else 170193 if side == "Buy" else 170194
        for moves in (category == "linear", category == "spot", category == "linear"):
            if moves:
                order_id = (await rest.do("order/create", **wanted))["orderId"]
                shown = await rest.shown(category, order_id)
                assert abs(Decimal(shown["price"]) - edge) < 100  # the band has moved with the trade
                assert Decimal(shown["price"]) != Decimal(wanted["price"])
            else:
                assert await rest.refused("order/create", **wanted) == code
            await rest.do("account/set-limit-px-action", category=category, modifyEnable=not moves)
        assert await rest.refused("account/set-limit-px-action", category=category) == 10001


async def test_money_into_an_isolated_position_and_out() -> None:
    async with open_simulator(quiet_config()) as sim, rest_of(sim) as rest:
        named = {"category": "linear", "symbol": "BTCUSDT"}
        assert await rest.refused("position/add-margin", **named, margin="10") == 10001  # nothing is there
        await rest.do("account/set-margin-mode", setMarginMode="ISOLATED_MARGIN")
        await rest.order("linear", "Buy", "0.1")
        before = sim.account("alpha").position(LINEAR).isolated_wallet
        row = await rest.do("position/add-margin", **named, margin="100")
        assert (row["symbol"], row["side"], row["size"]) == ("BTCUSDT", "Buy", "0.100")
        assert sim.account("alpha").position(LINEAR).isolated_wallet == before + 100
        await rest.do("position/add-margin", **named, margin="-50")
        assert sim.account("alpha").position(LINEAR).isolated_wallet == before + 50
        assert await rest.refused("position/add-margin", **named, margin="-1000000") == 110007
        for wrong in ("", "1e3", "--1"):
            assert await rest.refused("position/add-margin", **named, margin=wrong) == 10001
