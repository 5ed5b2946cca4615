"""The generated market: repeatable to the byte, never crossed, continuous, alive."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulator.wire import binance
from tools.simulator import GeneratorConfig, ManualClock, SimulatorConfig, demo_account
from tools.simulator.core.clock import MINUTE, MS, SECOND
from tools.simulator.core.generator import LATE_NS, TICK_NS
from tools.simulator.core.hub import Message
from tools.simulator.core.model import Order, OrdStatus, OrdType, Side, StpMode
from tools.simulator.simulator import Simulator

SYMBOLS = ("BTCUSDT", "DOGEUSDT", "ETHBTC")


class Tape:
    """A subscriber that keeps everything."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []

    def deliver(self, message: Message) -> None:
        self.messages.append((message.stream, message.data))

    async def room(self, frames: int) -> None:
        """Never in anybody's way."""


async def tape_of(
    seed: int, seconds: int, *, steps: int = 1, symbols: tuple[str, ...] = SYMBOLS, burst_every_s: float = 2
) -> tuple[Tape, Simulator]:
    """Run a simulator on a manual clock, in one go or in many small steps."""
    market = GeneratorConfig(events_per_s=60, burst_every_s=burst_every_s, history_minutes=100)
    config = SimulatorConfig(seed=seed, symbols=symbols, market=market, accounts=(demo_account("alpha"),))
    sim = Simulator(config, ManualClock())
    sim.open_market()
    tape = Tape()
    for symbol in symbols:
        for kind in ("trade", "aggTrade", "depth@100ms", "depth", "bookTicker", "kline_1s", "kline_1m"):
            sim.venue.hub.subscribe(f"{symbol.lower()}@{kind}", tape)
    start = sim.clock.now_ns()
    for step in range(1, steps + 1):
        sim.advance(start + seconds * SECOND * step // steps)
    return tape, sim


async def test_same_seed_same_bytes_at_any_pace() -> None:
    one, _ = await tape_of(3, 8)
    two, _ = await tape_of(3, 8, steps=97)
    other, _ = await tape_of(4, 8)
    assert one.messages == two.messages
    assert one.messages != other.messages
    assert len(one.messages) > 1_000


async def test_depth_is_continuous_and_the_book_never_crossed() -> None:
    import json

    tape, sim = await tape_of(5, 10)
    last: dict[str, int] = {}
    trades: dict[str, int] = {}
    for stream, data in tape.messages:
        message: dict[str, Any] = json.loads(data)
        if "@depth" in stream:
            assert message["U"] == last.get(stream, message["U"] - 1) + 1
            assert message["u"] >= message["U"]
            last[stream] = message["u"]
        elif stream.endswith("@trade"):
            assert message["t"] == trades.get(stream, message["t"] - 1) + 1
            trades[stream] = message["t"]
        elif stream.endswith("@bookTicker"):
            assert Decimal(message["b"]) < Decimal(message["a"])
    assert len(last) == 2 * len(SYMBOLS)
    assert len(trades) == len(SYMBOLS)
    for symbol in SYMBOLS:
        market = sim.exchange.markets[symbol]
        assert len(market.book.bids) >= 20
        assert len(market.book.asks) >= 20
        spec = market.spec
        for side in (Side.BUY, Side.SELL):
            for price, qty in market.depth(side, 1000):
                assert price % spec.tick_size == 0
                assert qty % spec.step_size == 0
                assert qty > 0


async def test_bursts_happen() -> None:
    _, sim = await tape_of(1, 60, symbols=("BTCUSDT",), burst_every_s=12)
    per_second: dict[int, int] = {}
    for trade in sim.exchange.markets["BTCUSDT"].trades:
        per_second[trade.time_ns // SECOND] = per_second.get(trade.time_ns // SECOND, 0) + 1
    usual = sorted(per_second.values())[len(per_second) // 2]
    assert max(per_second.values()) > 3 * usual


async def test_closed_candles_are_published_once_each() -> None:
    import json

    tape, _ = await tape_of(2, 20, symbols=("BTCUSDT",))
    closed = [
        json.loads(data)["k"]
        for stream, data in tape.messages
        if stream == "btcusdt@kline_1s" and json.loads(data)["k"]["x"]
    ]
    opens = [candle["t"] for candle in closed]
    assert opens == sorted(set(opens))
    assert len(opens) >= 15


async def test_history_joins_the_present() -> None:
    _, sim = await tape_of(6, 70, symbols=("BTCUSDT",))
    market = sim.exchange.markets["BTCUSDT"]
    binance(sim).need_history("BTCUSDT")
    binance(sim).need_history("BTCUSDT")
    candles = list(market.candles.minutes)
    assert len(candles) >= 101
    for before, after in pairwise(candles[:101]):
        assert after.open_ns - before.open_ns == MINUTE
        assert before.close == after.open
        assert before.low <= min(before.open, before.close) <= max(before.open, before.close) <= before.high


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_users_join_the_street_in_their_turn(seed: int) -> None:
    """A resting user order is filled by the market's own motion, and the money adds up."""
    import trio

    async def run() -> None:
        _, sim = await tape_of(seed, 1, symbols=("BTCUSDT",))
        market = sim.exchange.markets["BTCUSDT"]
        account = sim.account("alpha")
        start = {asset: balance.total for asset, balance in account.balances.items()}
        for _ in range(20):
            top = market.top()
            assert top.bid is not None
            assert top.ask is not None
            for side, price in ((Side.BUY, top.bid), (Side.SELL, top.ask)):
                sim.exchange.submit(
                    Order(
                        symbol="BTCUSDT",
                        account=account,
                        cl_ord_id=f"{side.value}{sim.clock.now_ns()}",
                        side=side,
                        ord_type=OrdType.LIMIT,
                        price=price,
                        order_qty=Decimal("0.01"),
                        stp_mode=StpMode.EXPIRE_MAKER,
                    )
                )
            sim.advance(sim.clock.now_ns() + 500 * MS)
            new_top = market.top()
            assert new_top.bid is None or new_top.ask is None or new_top.bid < new_top.ask
        fills = account.fills.get("BTCUSDT", [])
        for order in list(account.open_orders.values()):
            sim.exchange.cancel(order, "x" + order.cl_ord_id)
        assert all(balance.locked == 0 for balance in account.balances.values())
        bought = sum((f.trade.qty for f in fills if f.side is Side.BUY), Decimal(0))
        sold = sum((f.trade.qty for f in fills if f.side is Side.SELL), Decimal(0))
        fees = sum((f.commission for f in fills if f.commission_asset == "BTC"), Decimal(0))
        assert account.balance("BTC").free == start["BTC"] + bought - sold - fees
        assert {o.ord_status for o in account.orders} <= set(OrdStatus) - {OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED}

    trio.run(run)


@pytest.mark.parametrize("symbol", ["BTCUSDT", "DOGEUSDT", "ETHBTC"])
async def test_prices_stay_near_their_start(symbol: str) -> None:
    _, sim = await tape_of(8, 30, symbols=(symbol,))
    market = sim.exchange.markets[symbol]
    start = {"BTCUSDT": Decimal(90_000), "DOGEUSDT": Decimal("0.15"), "ETHBTC": Decimal("0.0333")}[symbol]
    assert abs(market.last_px / start - 1) < Decimal("0.05")


async def test_what_a_slow_machine_has_missed_does_not_happen_later() -> None:
    """After a stall of a minute: no more than usual happens at once, the depth goes on where it was, on its grid."""
    import json

    tape, sim = await tape_of(6, 2)
    usual, ids = len(tape.messages), {}
    for stream, data in tape.messages:
        if stream.endswith("@depth@100ms"):
            ids[stream] = json.loads(data)["u"]
    tape.messages.clear()
    assert sim.generator is not None
    stalled_ns = sim.clock.now_ns() + 60 * SECOND
    sim.generator.skip_until(stalled_ns - LATE_NS)
    sim.advance(stalled_ns + 2 * SECOND)
    assert usual / 4 < len(tape.messages) < usual * 4
    times = []
    for stream, data in tape.messages:
        message = json.loads(data)
        if stream.endswith("@depth@100ms"):
            assert message["U"] == ids[stream] + 1
            ids[stream] = message["u"]
            times.append(message["E"])
    assert times[0] * MS >= stalled_ns - LATE_NS
    assert all(time * MS % TICK_NS == 0 for time in times)
