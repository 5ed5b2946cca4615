"""The order path: how long from a strategy's call to the kernel, and how many orders a second through their whole life.

`path_us`, closed loop, one order at a time: from the strategy's `limit(...)` to the return of the system call that
hands the order's bytes to the kernel, on a real loopback WebSocket towards the venue simulator in a process (and on
a processor) of its own.
Every order is acknowledged and canceled before the next.

`orders_per_s`, open loop: through both gates, the journal and the codec, acknowledged and filled by an in-process
venue, back into account, ledger, P&L and strategy, for `seconds` on end.
"""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import trio

from actors.strategy.base import Strategy
from actors.venue.transport import WebSocket
from config import load_config
from protocols.enums import OrdStatus, Side
from protocols.ids import AccountID, StrategyID, Symbol, Venue
from protocols.orders import ExecutionReport, OrderRefused
from supervisors.clock import SystemClock
from supervisors.statistics import exact_percentiles
from supervisors.tree import StrategyPlan
from tools.bench import world
from tools.bench.venue import BENCH_ACCOUNT, simulator
from tools.engine.host import Host, calm_collector

CLOCK = SystemClock()
WARM_UP = 300


@attrs.define
class Stopwatch:
    """Times of one closed loop, shared by the strategy and the socket."""

    wanted: int
    began_ns: int = 0
    samples_ns: list[int] = attrs.Factory(list)
    refusals: list[str] = attrs.Factory(list)
    done: trio.Event = attrs.Factory(trio.Event)

    def sent(self) -> None:
        """The frame is in the kernel."""
        if self.began_ns:
            self.samples_ns.append(CLOCK.monotonic_ns() - self.began_ns)
            self.began_ns = 0


class OneByOne(Strategy):
    """Place far from the market, wait for the acknowledgement, cancel, wait for the end, again."""

    def __init__(self, watch: Stopwatch) -> None:
        super().__init__()
        self._watch = watch
        self._price = Decimal(0)

    def on_start(self) -> None:
        self.timer(200_000_000, "next")

    def on_timer(self, key: str) -> None:
        self._next()

    def on_execution(self, report: ExecutionReport) -> None:
        if report.ord_status is OrdStatus.NEW:
            self.cancel(report.cl_ord_id)
        elif report.ord_status.is_final:
            self._next()

    def on_order_refused(self, refused: OrderRefused) -> None:
        self._watch.refusals.append(f"{refused.reason.value}: {refused.text}")
        self.timer(10_000_000, "next")

    def _next(self) -> None:
        watch = self._watch
        if len(watch.samples_ns) >= watch.wanted:
            watch.done.set()
            return
        symbol = self.symbols[0]
        quote = self.quote(symbol)
        if quote is None or not self.can_trade(symbol):
            self.timer(5_000_000, "next")
            return
        price = quote.bid_px * Decimal("0.97")
        watch.began_ns = CLOCK.monotonic_ns()
        if self.limit(symbol, Side.BUY, world.QTY, price) is None:
            watch.began_ns = 0
            self.timer(5_000_000, "next")


def closed_loop(orders: int) -> Stopwatch:
    """Run the closed loop; the samples are ns."""
    watch = Stopwatch(orders + WARM_UP)
    with tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as folder, simulator() as venue:
        config = load_config("demo", overrides=venue.overrides(Path(folder)))
        host = Host.prepare(config, venue.environment())
        plan = StrategyPlan(
            name=StrategyID("probe"),
            account=AccountID(BENCH_ACCOUNT),
            venue=Venue("binance-spot"),
            symbols=(Symbol("BTCUSDT"),),
            make=lambda: OneByOne(watch),
            bars_ns=(),
        )
        host.plan = attrs.evolve(host.plan, strategies=(plan,))
        trio.run(_closed_loop, host, watch)
    del watch.samples_ns[:WARM_UP]
    return watch


async def _closed_loop(host: Host, watch: Stopwatch) -> None:
    write = WebSocket.send_nowait

    def timed(socket: WebSocket, text: str) -> bool:
        taken = write(socket, text)
        if "order.place" in text:
            watch.sent()
        return taken

    WebSocket.send_nowait = timed  # type: ignore[method-assign,assignment]
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(host.run)
            with trio.fail_after(600):
                await watch.done.wait()
            host.stop("measured")
    finally:
        WebSocket.send_nowait = write  # type: ignore[method-assign]


class Flood(Strategy):
    """Keep a window of orders under way: buy and sell in turn, a new one for each that has ended."""

    WINDOW = 512
    BID, ASK = world.PRICE - 10, world.PRICE + 10

    def __init__(self, counter: list[int]) -> None:
        super().__init__()
        self._counter = counter
        self._under_way = 0
        self._sells = False

    def on_timer(self, key: str) -> None:
        self._fill_up()

    def on_execution(self, report: ExecutionReport) -> None:
        if report.ord_status is OrdStatus.FILLED:
            self._counter[0] += 1
            self._under_way -= 1
            if self._under_way <= self.WINDOW // 2:
                self._fill_up()

    def on_order_refused(self, refused: OrderRefused) -> None:
        raise RuntimeError(f"the bench's own order was refused: {refused.reason.value} {refused.text}")

    def _fill_up(self) -> None:
        symbol = self.symbols[0]
        while self._under_way < self.WINDOW:
            side = Side.SELL if self._sells else Side.BUY
            price = self.ASK if self._sells else self.BID  # apart, or our own gate would see them cross
            if self.limit(symbol, side, world.QTY, price) is None:
                self.timer(1_000_000, "again")
                return
            self._sells = not self._sells
            self._under_way += 1


def open_loop(seconds: float) -> Mapping[str, Any]:
    """Orders per second through their whole life, and how the memory grew."""
    counter = [0]
    with tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as folder:
        return trio.run(_open_loop, Path(folder), counter, seconds)


async def _open_loop(folder: Path, counter: list[int], seconds: float) -> Mapping[str, Any]:
    async with world.order_path(folder, lambda: Flood(counter)) as (runtime, _):
        cell = runtime.cell(world.STRATEGY_PATH)
        assert cell.ctx is not None
        strategy_actor = cell.actor
        assert strategy_actor is not None
        strategy_actor.timer(0, "go")  # type: ignore[attr-defined]
        await trio.sleep(1)
        calm_collector()
        began_ns, first, rss = CLOCK.monotonic_ns(), counter[0], _rss_mb()
        middle_rss = rss
        halves = 0
        while CLOCK.monotonic_ns() - began_ns < seconds * 1e9:
            await trio.sleep(0.25)
            world.say_price(runtime)
            halves += 1
            if halves == int(seconds * 2):
                middle_rss = _rss_mb()
        elapsed_s = (CLOCK.monotonic_ns() - began_ns) / 1e9
        return {
            "orders_per_s": round((counter[0] - first) / elapsed_s),
            "seconds": round(elapsed_s, 2),
            "orders": counter[0] - first,
            "rss_mb_start": rss,
            "rss_mb_middle": middle_rss,
            "rss_mb_end": _rss_mb(),
        }


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * resource.getpagesize() / 2**20, 1)


def bench_orders(orders: int = 5_000, seconds: float = 30.0) -> dict[str, object]:
    """`{"n", "path_us": {p50, p99, p999, max}, "orders_per_s", "seconds", ...}`"""
    watch = closed_loop(orders)
    flood = open_loop(seconds)
    return {
        "n": len(watch.samples_ns),
        "path_us": exact_percentiles(watch.samples_ns, 1000),
        "refused": len(watch.refusals),
        **flood,
    }
