"""TFPE as a strategy: entries, exits, memory, and a year of real bars."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import pytest

from actors.market.candles import join
from actors.strategy.base import FLAT
from actors.strategy.tfpe import Series, Tfpe
from actors.strategy.tfpe_rules import BarValues, StopMode, TfpeParams
from protocols.control import Signal, TradingStateIs
from protocols.enums import ExecInst, OrdStatus, TradingState
from protocols.instruments import Product
from protocols.market import Candle
from protocols.orders import NewOrder
from tests.actors.strategy.bench import BTC, SECOND_NS, VENUE, Bench, OrdType, Side, TimeInForce, candle, held, quote

D = Decimal
MINUTE_NS = 60 * SECOND_NS
START_NS = 1_700_000_040 * SECOND_NS // (4 * MINUTE_NS) * (4 * MINUTE_NS)

EAGER = TfpeParams(
    entry_interval_s=60,
    trend_interval_s=240,
    warmup_bars=8,
    donchian_period=3,
    adx_period=2,
    rsi_period=3,
    atr_period=3,
    ema_period=3,
    volume_period=3,
    momentum_period=3,
    swing_period=3,
    threshold=1,
    adx_min=D(0),
    rsi_pullback_long=D(69),
    rsi_middle_long=D(69),
    rsi_pullback_short=D(31),
    rsi_middle_short=D(31),
    position_low=D("1.01"),
    position_high=D("-0.01"),
    range_width_pct=D(0),
    cooldown_s=600,
    capital=D(10_000),
)
"""Small windows, and every bar of the trend's direction is an entry."""


class Play:
    """A bench whose market zigzags: two up, one down (or the other way round)."""

    def __init__(self, params: TfpeParams = EAGER, *, product: Product = Product.SPOT, up: bool = True) -> None:
        self.bench = Bench(lambda: Tfpe(params), product=product)
        self.up = up
        self.price = D(1_000)
        self.count = 0
        self.trend: list[Candle] = []

    async def begin(self, bars: int = 20) -> None:
        await self.bench.start()
        self.show(self.price)
        self.bars(bars)

    def bars(self, count: int, **how: Any) -> None:
        for _ in range(count):
            self.bar(**how)

    def bar(self, **how: Any) -> None:
        """One more bar; the quote follows, and the trend bar comes before the entry bar that ends with it."""
        step = D(2) if self.count % 2 == 0 else D(-1)
        opened, self.price = self.price, self.price + (step if self.up else -step)
        high, low = max(opened, self.price) + D("0.5"), min(opened, self.price) - D("0.5")
        open_ns = START_NS + self.count * MINUTE_NS
        bar = candle(open_ns, (opened, high, low, self.price), 10, **how)
        self.bench.ctx.now_ns = open_ns + MINUTE_NS
        self.count += 1
        self.trend.append(bar)
        self.show(self.price)
        if len(self.trend) == 4:
            self.bench.tell(*join(self.trend, 4 * MINUTE_NS))
            self.trend.clear()
        self.bench.tell(bar)

    def show(self, price: Decimal | str) -> None:
        """The market stands around `price`, half a cent each way."""
        self.bench.tell(quote(D(price) - D("0.01"), D(price) + D("0.01")))

    @property
    def track(self) -> Any:
        return self.bench.code._tracks[BTC]

    def signals(self) -> list[Signal]:
        return self.bench.records(Signal)

    async def restart(self) -> None:
        self.bench.records(Signal)
        self.bench.now_ns = self.bench.ctx.now_ns
        await self.bench.start()
        self.show(self.price)


async def entered(params: TfpeParams = EAGER, **how: Any) -> tuple[Play, NewOrder]:
    """A play whose entry has been filled."""
    play = Play(params, **how)
    await play.begin(0)
    for _ in range(40):
        play.bar()
        orders = play.bench.new_orders()
        if orders:
            play.bench.fill(orders[0], px=play.price)
            return play, orders[0]
    raise AssertionError("no entry in 40 bars")


# ---- entries -------------------------------------------------------------------------------------------------------


async def test_nothing_happens_before_the_warm_up() -> None:
    play = Play(attrs.evolve(EAGER, warmup_bars=30))
    await play.begin(29)
    assert play.bench.new_orders() == []
    assert play.signals() == []
    play.bars(3)
    assert len(play.bench.new_orders()) == 1


@pytest.mark.req("R179")
async def test_an_entry_is_immediate_bounded_in_price_and_sized_by_the_stop() -> None:
    play = Play(attrs.evolve(EAGER, stop_atr=D(30)))
    await play.begin(0)
    while not (orders := play.bench.new_orders()):
        play.bar()
    (order,) = orders
    ask, bound = play.price + D("0.01"), D("1.005")
    assert (order.side, order.ord_type, order.time_in_force) == (Side.BUY, OrdType.LIMIT, TimeInForce.IOC)
    assert order.price is not None
    assert ask < order.price <= ask * bound
    atr = play.track.pending.atr
    cost_of_stop = order.order_qty * 30 * atr
    assert cost_of_stop <= EAGER.capital * EAGER.max_risk_per_trade
    assert cost_of_stop > EAGER.capital * EAGER.max_risk_per_trade * D("0.98")
    assert [signal.kind for signal in play.signals()][-1] == "entry"


async def test_the_margin_bounds_the_order_when_the_stop_is_near() -> None:
    _, order = await entered()
    assert order.price is not None
    assert order.order_qty * order.price <= EAGER.capital * EAGER.size


async def test_stop_and_target_come_from_the_fill_and_the_signals_atr() -> None:
    play = Play()
    await play.begin(0)
    while not (orders := play.bench.new_orders()):
        play.bar()
    atr = play.track.pending.atr
    play.bench.fill(orders[0], orders[0].order_qty / 2, px="1001")
    play.bench.fill(orders[0], px="1003")
    plan = play.track.plan
    assert (plan.stop, plan.target) == (1002 - D("1.5") * atr, 1002 + 5 * atr)
    assert play.track.pending is None


async def test_a_bar_with_a_gap_and_a_market_without_proof_open_nothing() -> None:
    play = Play()
    await play.begin(0)
    play.bars(20, has_gap=True)
    assert play.bench.new_orders() == []
    play.bench.open_gap()
    play.bars(3)
    assert play.bench.new_orders() == []
    assert any("no proven quote" in signal.text for signal in play.signals())


async def test_an_unfilled_entry_waits_a_bar() -> None:
    play = Play()
    await play.begin(0)
    while not (orders := play.bench.new_orders()):
        play.bar()
    play.bench.end(orders[0], OrdStatus.EXPIRED)
    assert play.track.plan is None
    play.bar()
    assert play.bench.new_orders() == []
    play.bars(2)
    assert len(play.bench.new_orders()) == 1


async def test_a_refused_entry_waits_a_bar() -> None:
    play = Play()
    await play.begin(0)
    while not (orders := play.bench.new_orders()):
        play.bar()
    play.bench.refuse(orders[0])
    play.bench.ctx.advance(SECOND_NS)
    play.bar()
    assert play.bench.new_orders() == []
    play.bars(2)
    assert len(play.bench.new_orders()) == 1


async def test_spot_has_no_shorts_and_derivatives_have() -> None:
    play = Play(up=False)
    await play.begin(30)
    assert play.bench.new_orders() == []
    assert "no shorts on spot" in play.signals()[-1].text
    play, order = await entered(product=Product.LINEAR, up=False)
    assert order.side is Side.SELL
    assert order.order_qty * play.price > EAGER.capital * EAGER.size, "leverage counts on derivatives"
    plan = play.track.plan
    assert plan.target < play.bench.code.position(BTC).avg_px < plan.stop


# ---- exits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason, beyond", [("stop", D("-0.01")), ("target", D("0.02"))])
async def test_a_quote_beyond_the_stop_or_the_target_ends_the_position(reason: str, beyond: Decimal) -> None:
    play, order = await entered()
    plan = play.track.plan
    edge = getattr(plan, reason)
    play.show(edge + D("0.02") if reason == "stop" else edge - D("0.02"))
    assert play.bench.new_orders() == []
    play.show(edge + beyond)
    (exit_,) = play.bench.new_orders()
    assert (exit_.side, exit_.ord_type, exit_.order_qty) == (Side.SELL, OrdType.MARKET, order.order_qty)
    play.show(edge + beyond)
    assert play.bench.new_orders() == [], "one exit at a time"
    play.bench.fill(exit_, px=edge)
    assert play.bench.code.position(BTC) == FLAT
    assert (play.track.plan, play.track.exiting) == (None, "")
    last = play.signals()[-1]
    assert (last.kind, last.text) == ("exit", reason)


async def test_if_a_bar_holds_both_the_stop_comes_first() -> None:
    play, _ = await entered()
    plan = play.track.plan
    wide = (play.price, plan.target + 1, plan.stop - 1, play.price)
    play.bench.tell(candle(START_NS + play.count * MINUTE_NS, wide, 10))
    assert play.signals()[-1].text == "stop"


async def test_an_exit_is_repeated_until_nothing_is_left() -> None:
    play, order = await entered()
    play.show(play.track.plan.stop - 1)
    (first,) = play.bench.new_orders()
    play.bench.fill(first, "1.5", px=play.price)
    play.bench.end(first, OrdStatus.EXPIRED)
    (second,) = play.bench.new_orders()
    assert second.order_qty == order.order_qty - D("1.5")
    play.bench.refuse(second)
    assert play.bench.new_orders() == []
    play.bench.ctx.advance(SECOND_NS)
    (third,) = play.bench.new_orders()
    play.bench.end(third, OrdStatus.EXPIRED)
    assert play.bench.new_orders() == [], "nobody took it: at once again would be a hot loop"
    play.bench.ctx.advance(2 * SECOND_NS)
    (fourth,) = play.bench.new_orders()
    play.bench.fill(fourth, px=play.price)
    assert play.track.plan is None


async def test_what_is_too_small_to_sell_does_not_block_the_next_entry() -> None:
    play, _ = await entered()
    play.show(play.track.plan.stop - 1)
    (exit_,) = play.bench.new_orders()
    play.bench.fill(exit_, exit_.order_qty - D("0.001"), px=play.price)
    play.bench.end(exit_, OrdStatus.EXPIRED)
    assert play.bench.new_orders() == [], "0.001 is below the least order value"
    assert play.track.plan is None
    assert play.track.exiting == ""


@pytest.mark.req("R179")
async def test_after_an_exit_the_symbol_rests() -> None:
    play, _ = await entered()
    play.show(play.track.plan.stop - 1)
    (exit_,) = play.bench.new_orders()
    play.bench.fill(exit_, px=play.price)
    play.bars(9)
    assert play.bench.new_orders() == []
    play.bars(4)
    assert len(play.bench.new_orders()) == 1


async def test_a_frozen_stop_stays_and_a_ratchet_only_tightens() -> None:
    play, _ = await entered()
    before = play.track.plan.stop
    play.bars(4)
    assert play.track.plan.stop == before
    play, _ = await entered(attrs.evolve(EAGER, stop_mode=StopMode.RATCHET))
    stops = [play.track.plan.stop]
    for _ in range(6):
        play.bar()
        stops.append(play.track.plan.stop)
    assert stops == sorted(stops)
    assert stops[-1] > stops[0]


async def test_optional_exits_middle_time_and_short_signal() -> None:
    play, _ = await entered(attrs.evolve(EAGER, exit_on_middle=True, stop_atr=D(50), target_atr=D(50)))
    play.up = False
    play.bars(3)
    assert [s.text for s in play.signals() if s.kind == "exit"] == ["middle"]
    play, _ = await entered(attrs.evolve(EAGER, max_holding_s=180, stop_atr=D(50), target_atr=D(50)))
    play.bars(2)
    assert [s.text for s in play.signals() if s.kind == "exit"] == []
    play.bars(2)
    assert [s.text for s in play.signals() if s.kind == "exit"] == ["time"]
    play, _ = await entered(attrs.evolve(EAGER, stop_atr=D(50), target_atr=D(50)))
    play.up = False
    play.bars(30)
    assert [s.text for s in play.signals() if s.kind == "exit"] == ["short signal"]


async def test_derivatives_are_closed_by_reduce_only_orders() -> None:
    play, _ = await entered(product=Product.LINEAR)
    play.show(play.track.plan.stop - 1)
    (exit_,) = play.bench.new_orders()
    assert exit_.exec_inst is ExecInst.REDUCE_ONLY


async def test_a_halt_delays_the_exit_and_the_release_sends_it() -> None:
    play, _ = await entered()
    play.bench.tell(TradingStateIs("firm", TradingState.HALTED, "operator"))
    play.show(play.track.plan.stop - 1)
    assert play.bench.new_orders() == []
    play.bench.tell(TradingStateIs("firm", TradingState.ACTIVE, "released"))
    assert len(play.bench.new_orders()) == 1


# ---- memory --------------------------------------------------------------------------------------------------------


async def test_a_restart_in_the_middle_of_a_position_keeps_its_plan_and_its_rest() -> None:
    play, order = await entered()
    plan, rest = play.track.plan, play.track.rests_until_ns
    play.bench.positions = (held_position(play),)
    await play.restart()
    assert (play.track.plan, play.track.rests_until_ns) == (plan, rest)
    play.show(plan.stop - 1)
    (exit_,) = play.bench.new_orders()
    assert exit_.order_qty == order.order_qty


async def test_a_restart_while_the_entry_is_on_its_way_finds_the_fill() -> None:
    play = Play()
    await play.begin(0)
    while not (orders := play.bench.new_orders()):
        play.bar()
    atr = play.track.pending.atr
    play.bench.cum[orders[0].cl_ord_id] = orders[0].order_qty
    play.bench.positions = (held_position(play, orders[0].order_qty, play.price),)
    await play.restart()
    assert play.track.pending is None
    assert play.track.plan.stop == play.price - D("1.5") * atr


async def test_a_restart_in_the_middle_of_an_exit_goes_on_with_it() -> None:
    play, _ = await entered()
    play.bench.positions = (held_position(play),)
    play.show(play.track.plan.stop - 1)
    assert len(play.bench.new_orders()) == 1
    await play.restart()
    play.bench.ctx.advance(SECOND_NS)
    play.show(play.price)
    assert len(play.bench.new_orders()) == 1


async def test_a_position_whose_memory_is_gone_gets_a_stop_with_the_next_bar() -> None:
    play, _ = await entered()
    play.bench.positions = (held_position(play),)
    play.bench.records(Signal)
    play.bench.saved = None
    play.bench.now_ns = play.bench.ctx.now_ns
    await play.bench.start()
    play.show(play.price)
    play.bars(5)
    assert play.track.plan is not None
    assert play.track.plan.stop < play.price


async def test_a_plan_whose_position_is_gone_is_dropped() -> None:
    play, _ = await entered()
    play.bench.positions = ()
    await play.restart()
    assert play.track.plan is None


def held_position(play: Play, qty: Decimal | None = None, avg_px: Decimal | None = None) -> Any:
    holding = play.bench.code.position(BTC)
    return held(str(qty or holding.qty), str(avg_px or holding.avg_px))


# ---- a year of real bars ------------------------------------------------------------------------------------------

QUARTER_NS = 900 * SECOND_NS


def real_bars(data_dir: Path, count: int) -> list[Candle]:
    path = data_dir / "binance_spot" / "ohlcv" / "BTCUSDT_15m_2023.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = csv.reader(file)
        next(rows)
        return [
            candle(int(row[0]) * 1_000_000, row[1:5], row[5], interval_ns=QUARTER_NS)
            for row, _ in zip(rows, range(count), strict=False)
        ]


def with_trend_bars(bars: Sequence[Candle]) -> list[Candle]:
    """The 4 h bars, each before the quarter hour that ends with it."""
    trend = {bar.open_ns + 16 * QUARTER_NS: bar for bar in join(bars, 16 * QUARTER_NS)}
    merged: list[Candle] = []
    for bar in bars:
        longer = trend.get(bar.open_ns + QUARTER_NS)
        if longer is not None:
            merged.append(attrs.evolve(longer, has_gap=False))
        merged.append(bar)
    return merged


async def trade_through(bars: Sequence[Candle], params: TfpeParams) -> list[tuple[int, str, str, str]]:
    """Run the strategy over bars, filling at the close; every decision that is not a `hold`."""
    bench = Bench(lambda: Tfpe(params))
    await bench.start()
    decisions = []
    for bar in bars:
        bench.ctx.now_ns = bar.open_ns + bar.interval_ns
        bench.tell(quote(bar.close - D("0.01"), bar.close + D("0.01")), bar)
        for signal in bench.records(Signal):
            if signal.kind != "hold":
                side = signal.side.value if signal.side else ""
                decisions.append((bar.open_ns, signal.kind, side, signal.text))
        for order in bench.new_orders():
            bench.fill(order, px=bar.close)
        bench.ctx.take()
    return decisions


@pytest.mark.slow
async def test_a_year_of_real_bars_gives_entries_and_exits_and_the_same_ones_again(data_dir: Path) -> None:
    bars = with_trend_bars(real_bars(data_dir, 40_000))
    decisions = await trade_through(bars, TfpeParams())
    kinds = [kind for _, kind, _, _ in decisions]
    assert kinds.count("entry") >= 50
    assert abs(kinds.count("entry") - kinds.count("exit")) <= 1
    assert all(one != two for one, two in pairwise(kinds)), "entries and exits take turns"
    assert {side for _, kind, side, _ in decisions if kind == "entry"} == {"BUY"}, "spot is long only"
    assert {text for _, kind, _, text in decisions if kind == "exit"} <= {"stop", "target", "short signal"}
    assert await trade_through(bars, TfpeParams()) == decisions


@pytest.mark.slow
async def test_the_future_does_not_change_the_past(data_dir: Path) -> None:
    bars = real_bars(data_dir, 4_000)
    cut = 2_500
    changed = bars[:cut] + [
        attrs.evolve(bar, open=bar.open * 2, high=bar.high * 2, low=bar.low * 2, close=bar.close * 2)
        for bar in bars[cut:]
    ]
    border_ns = bars[cut].open_ns
    one = await trade_through(with_trend_bars(bars), TfpeParams(threshold=3))
    two = await trade_through(with_trend_bars(changed), TfpeParams(threshold=3))
    past = [decision for decision in one if decision[0] < border_ns]
    assert past == [decision for decision in two if decision[0] < border_ns]
    assert past
    assert one != two


def test_values_on_real_bars_equal_the_definitions_computed_the_long_way(data_dir: Path) -> None:
    bars = real_bars(data_dir, 1_200)
    trends = join(bars, 16 * QUARTER_NS)
    params, series = TfpeParams(), Series(TfpeParams())
    checked = 0
    for bar in with_trend_bars(bars):
        if bar.interval_ns != QUARTER_NS:
            series.add_trend(bar)
            continue
        series.add_entry(bar)
        values = series.values()
        index = bars.index(bar) if checked % 50 == 0 else None
        checked += 1
        if values is not None and index is not None:
            closed = [t for t in trends if t.open_ns + t.interval_ns <= bar.open_ns + QUARTER_NS]
            _check(values, bars[: index + 1], closed, params)
    assert checked > 1_000


def _check(values: BarValues, bars: Sequence[Candle], trends: Sequence[Candle], params: TfpeParams) -> None:
    window, trend = bars[-params.donchian_period :], trends[-params.donchian_period :]
    upper, lower = max(b.high for b in window), min(b.low for b in window)
    trend_upper, trend_lower = max(b.high for b in trend), min(b.low for b in trend)
    close = bars[-1].close
    assert values.close == close
    assert values.trend == (1 if trend[-1].close > (trend_upper + trend_lower) / 2 else -1)
    assert float(values.trend_width_pct) == pytest.approx(float(100 * (trend_upper - trend_lower) / trend[-1].close))
    assert float(values.channel_position) == pytest.approx(float((close - lower) / (upper - lower)))
    assert float(values.momentum_pct) == pytest.approx(float((close / bars[-21].close - 1) * 100), abs=1e-8)
    mean_volume = sum((b.volume for b in bars[-20:]), D(0)) / 20
    assert float(values.volume_ratio) == pytest.approx(float(bars[-1].volume / mean_volume))
    assert (values.swing_high, values.swing_low) == (upper, lower)
    assert bars[-1].venue == VENUE
