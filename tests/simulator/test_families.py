"""Several families behind one protocol: who there is, what they list, and what none of them may get wrong."""

from __future__ import annotations

import json
from decimal import Decimal

import httpx
import pytest
import trio

from tools.simulator import GeneratorConfig, ManualClock, Side, Simulator, SimulatorConfig, demo_account, open_simulator
from tools.simulator.cli import build_config, build_parser, main
from tools.simulator.core import families
from tools.simulator.core.clock import SECOND
from tools.simulator.core.model import Order, OrdType

FAMILIES = ("binance-spot", "binance-usdm", "bybit", "okx", "upbit")


def test_all_five_families_are_here() -> None:
    assert families.available() == FAMILIES
    assert [families.load(name).name for name in FAMILIES] == list(FAMILIES)


def test_an_unknown_family_is_refused_with_those_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no such family here; there are binance-spot, binance-usdm"):
        Simulator(SimulatorConfig(venue="kraken"))
    assert main(["--venue", "kraken"]) == 2
    assert "binance-usdm" in capsys.readouterr().err


@pytest.mark.parametrize("name", FAMILIES)
def test_what_a_family_promises_before_it_runs(name: str) -> None:
    """Market keys are unique, the usual symbols are listed, demo accounts can pay, limits have their names."""
    family = families.load(name)
    everything = family.instruments((), None)
    keys = [each.spec.symbol for each in everything]
    assert len(set(keys)) == len(keys)
    assert {each.spec.symbol for each in family.instruments(family.default_symbols, None)} <= set(keys)
    for each in everything:
        assert each.start_px > 0
        assert each.start_px % each.spec.tick_at(each.start_px) == 0
    with pytest.raises(ValueError, match="NOPE"):
        family.instruments(("NOPE",), None)
    assert all(amount > 0 for amount in family.balances.values())
    for word in family.limit_names:
        config = build_config(build_parser().parse_args(["--venue", name, "--limit", f"{word}=7"]))
        assert getattr(config.limits, family.limit_names[word]) == 7


@pytest.mark.parametrize("name", FAMILIES)
def test_a_generated_market_is_a_function_of_seed_and_time(name: str) -> None:
    def run(seed: int) -> list[tuple[str, str, str]]:
        clock = ManualClock()
        sim = Simulator(SimulatorConfig(venue=name, seed=seed, market=GeneratorConfig(events_per_s=100)), clock)
        sim.open_market()
        sim.advance(clock.now_ns() + 3 * SECOND)
        return [
            (market.symbol, f"{trade.price:f}", f"{trade.qty:f}")
            for market in sim.exchange.markets.values()
            for trade in market.trades
        ]

    first = run(1)
    assert len(first) > 20
    assert run(1) == first
    assert run(2) != first


@pytest.mark.parametrize("name", FAMILIES)
def test_street_prices_lie_on_the_grid_that_holds_where_they_are(name: str) -> None:
    clock = ManualClock()
    sim = Simulator(SimulatorConfig(venue=name, market=GeneratorConfig(events_per_s=200)), clock)
    sim.open_market()
    sim.advance(clock.now_ns() + 2 * SECOND)
    for market in sim.exchange.markets.values():
        for side in (Side.BUY, Side.SELL):
            for price, qty in market.depth(side, 1000):
                assert price % market.spec.tick_at(price) == 0
                assert qty % market.spec.step_size == 0


@pytest.mark.parametrize("name", FAMILIES)
async def test_every_family_answers_its_admin_and_its_own_paths(name: str) -> None:
    config = SimulatorConfig(venue=name, accounts=(demo_account("alpha"),))
    async with open_simulator(config) as sim, httpx.AsyncClient(base_url=sim.rest_url, trust_env=False) as client:
        state = (await client.get("/sim/state")).json()
        assert state["venue"] == name
        assert set(state["markets"]) == set(sim.exchange.markets)
        market = next(iter(sim.exchange.markets.values()))
        trade = {"symbol": market.symbol, "side": "BUY", "qty": f"{market.spec.step_size:f}"}
        before = len(market.trades)
        assert (await client.post("/sim/trade", json=trade)).status_code == 200
        assert len(market.trades) > before
        assert (await client.get("/nothing/here")).status_code in (401, 404)
        assert sim.urls["rest"] == sim.rest_url
        assert all(url.startswith(("http://", "ws://")) for url in sim.urls.values())
        assert sim.server.failures == []


def test_a_name_of_two_markets_must_be_told_apart() -> None:
    sim = Simulator(SimulatorConfig(venue="bybit", symbols=("BTCUSDT",)))
    assert set(sim.exchange.markets) == {"spot:BTCUSDT", "linear:BTCUSDT"}
    with pytest.raises(ValueError, match="names 2 markets; there are"):
        sim.trade("BTCUSDT", Side.BUY, Decimal(1))
    assert sim.market_key("spot:BTCUSDT") == "spot:BTCUSDT"


async def test_contracts_are_moved_by_hand_over_the_admin() -> None:
    """Mark price, funding, liquidation."""
    config = SimulatorConfig(venue="binance-usdm", symbols=("BTCUSDT",), accounts=(demo_account("alpha"),))
    async with open_simulator(config) as sim, httpx.AsyncClient(base_url=sim.rest_url, trust_env=False) as client:
        account = sim.account("alpha")
        account.position("BTCUSDT").qty = Decimal("0.1")
        account.position("BTCUSDT").entry_px = Decimal(90_000)

        async def post(path: str, **body: str) -> int:
            return (await client.post(f"/sim/{path}", content=json.dumps(body))).status_code

        assert await post("mark", symbol="BTCUSDT", price="90000") == 200
        before = account.balance("USDT").free
        assert await post("funding", symbol="BTCUSDT", rate="0.001") == 200
        assert account.balance("USDT").free == before - 9
        assert await post("liquidate", account="alpha", symbol="BTCUSDT") == 200
        assert sim.positions("alpha") == []
        assert await post("liquidate", account="alpha", symbol="BTCUSDT") == 400
        await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_venue_that_comes_back_repeats_no_number(name: str) -> None:
    """A client that has stored the fills of the first would take those of the second for known."""

    def numbers(first_id: int) -> set[str]:
        config = SimulatorConfig(venue=name, first_id=first_id, market=GeneratorConfig())
        sim = Simulator(config, ManualClock())
        sim.open_market()
        found = set()
        for market in sim.exchange.markets.values():
            order = Order(symbol=market.symbol, account=None, cl_ord_id="", side=Side.BUY, ord_type=OrdType.MARKET)
            sim.exchange.number(market, order)
            sim.trade(market.symbol, Side.BUY, market.spec.step_size * 10)
            found |= {
                f"order {market.symbol} {order.order_id}",
                f"trade {market.symbol} {market.trades[-1].trade_id}",
                f"update {market.symbol} {market.update_id}",
            }
        return found

    before, after = numbers(1), numbers(1_790_000_000_000)
    assert len(before) == len(after)
    assert not before & after
