"""A seeded market: quotes, trades, bursts, on the same book as the users' orders.

Each symbol has a hidden fair price that wanders. Street orders gather around it, are cancelled, and are swept
when the fair price moves through them; a user's resting order in the way is filled like any other, in its turn.
Everything is a discrete event with a time of its own, so the same seed and the same times give the same market
to the byte, at any speed. Sizes and prices are counted in whole steps and ticks.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from decimal import Decimal

import attrs
import trio

from tools.simulator.core.candles import Candle
from tools.simulator.core.clock import MINUTE, MS, SECOND
from tools.simulator.core.decimals import ZERO, ceil_to, floor_to
from tools.simulator.core.exchange import Exchange
from tools.simulator.core.market import Market
from tools.simulator.core.model import Order, OrdType, Side, TimeInForce

TICK_NS = 100 * MS  # the grid on which dialects publish depth
POLL_S = 0.005  # how often the live driver catches up with the clock
LATE_NS = TICK_NS  # what the live driver is later with than this does not happen any more


@attrs.frozen(kw_only=True)
class GeneratorConfig:
    """How lively the market is. Rates are events a second and symbol."""

    seed: int = 1
    events_per_s: float = 40.0
    burst_every_s: float = 30.0  # mean time between bursts; 0 = none
    burst_for_s: float = 1.0
    burst_factor: float = 10.0
    levels: int = 60  # how many price levels each side is kept filled to
    history_minutes: int = 15_000  # invented one-minute candles before the start, made when first asked for


class SymbolModel:
    """One symbol's street: a fair price, and the orders that were put around it."""

    def __init__(self, ex: Exchange, market: Market, start_px: Decimal, config: GeneratorConfig) -> None:
        self._ex = ex
        self.market = market
        self._config = config
        self._random = random.Random(f"{config.seed}/{market.symbol}")
        self._tick = market.spec.tick_size
        self._step = market.spec.step_size
        self.fair = int(start_px / self._tick)
        self.start_px = start_px
        # A grain is about a fifth of a basis point: the natural distance between quotes.
        self._grain = max(1, self.fair // 50_000)
        # A typical order has the same worth whatever the price.
        worth = market.spec.order_worth / market.spec.contract_size
        self._unit_qty = max(1, int(worth / (start_px * self._step))) if start_px > 1 else 5_000
        self._street: list[Order] = []
        self._burst_until_ns = 0
        market.last_px = start_px

    # ------------------------------------------------------------------------------------- building blocks
    def _size(self) -> Decimal:
        """Many small, few large."""
        steps = 1 + int(self._random.expovariate(1.0) * self._unit_qty)
        if self._random.random() < 0.03:
            steps *= 10
        return steps * self._step

    def _price(self, side: Side, ticks: int) -> Decimal:
        """Where the step depends on the price, on the grid that holds there, away from the other side."""
        price, spec = ticks * self._tick, self.market.spec
        if spec.tick_rule is None:
            return price
        step = spec.tick_at(price)
        return max(step, floor_to(price, step)) if side is Side.BUY else ceil_to(price, step)

    def _place(self, side: Side, ticks: int, qty: Decimal) -> None:
        """A street order that rests; one that would cross is put behind the other side's best."""
        book = self.market.book
        facing = (book.asks if side is Side.BUY else book.bids).best()
        if facing is not None:
            gap = int(self.market.spec.tick_at(facing.price) / self._tick)
            best = int(facing.price / self._tick)
            ticks = min(ticks, best - gap) if side is Side.BUY else max(ticks, best + gap)
        if ticks < 1:
            return
        order = Order(
            symbol=self.market.symbol,
            account=None,
            cl_ord_id="",
            side=side,
            ord_type=OrdType.LIMIT,
            price=self._price(side, ticks),
            order_qty=qty,
        )
        self._ex.submit(order)
        self._street.append(order)

    def _pull(self, index: int) -> None:
        """Cancel one street order (or forget it where it has traded)."""
        street = self._street
        order = street[index]
        street[index] = street[-1]
        street.pop()
        if order.is_live:
            self._ex.cancel_street(order)

    def take(self, side: Side, qty: Decimal, limit_ticks: int | None = None) -> None:
        """A street order that trades at once."""
        self._ex.submit(
            Order(
                symbol=self.market.symbol,
                account=None,
                cl_ord_id="",
                side=side,
                ord_type=OrdType.MARKET if limit_ticks is None else OrdType.LIMIT,
                time_in_force=TimeInForce.IOC,
                price=ZERO if limit_ticks is None else limit_ticks * self._tick,
                order_qty=qty,
            )
        )

    # --------------------------------------------------------------------------------------------- events
    def open(self) -> None:
        """Fill the empty book."""
        for side in (Side.BUY, Side.SELL):
            self._refill(side)

    def _refill(self, side: Side) -> None:
        book_side = self.market.book.bids if side is Side.BUY else self.market.book.asks
        sign = -1 if side is Side.BUY else 1
        for distance in range(self._config.levels):
            if len(book_side) >= self._config.levels:
                return
            jitter = self._random.randrange(self._grain)
            self._place(side, self.fair + sign * ((distance + 1) * self._grain + jitter), self._size())

    def step(self, now_ns: int) -> int:
        """One event; returns the time of the next."""
        draw = self._random.random()
        if draw < 0.45:
            side = Side.BUY if self._random.random() < 0.5 else Side.SELL
            sign = -1 if side is Side.BUY else 1
            distance = self._grain // 2 + int(self._random.expovariate(0.12) * self._grain)
            self._place(side, self.fair + sign * distance, self._size())
        elif draw < 0.72:
            if self._street:
                self._pull(self._random.randrange(len(self._street)))
        elif draw < 0.87:
            side = Side.BUY if self._random.random() < 0.5 else Side.SELL
            self.take(side, self._size())
        else:
            self._wander()
        self._keep_shape()
        rate = self._config.events_per_s
        if now_ns < self._burst_until_ns:
            rate *= self._config.burst_factor
        elif self._config.burst_every_s and self._random.random() < 1 / (rate * self._config.burst_every_s):
            self._burst_until_ns = now_ns + int(self._config.burst_for_s * SECOND)
        return now_ns + max(1, int(self._random.expovariate(rate) * SECOND))

    def _wander(self) -> None:
        """The fair price moves; what now stands on the wrong side of it is swept."""
        self.fair = max(100 * self._grain, self.fair + int(self._random.gauss(0, 2.2) * self._grain))
        book = self.market.book
        for side, levels in ((Side.BUY, book.asks), (Side.SELL, book.bids)):
            limit = self.fair * self._tick
            qty = ZERO
            for level in levels:
                if not levels.crosses(level.price, limit):
                    break
                qty += level.tradable
            if qty > 0:
                self.take(side, qty, self.fair)

    def _keep_shape(self) -> None:
        """Both sides stay filled, and the street does not grow without end."""
        for side, levels in ((Side.BUY, self.market.book.bids), (Side.SELL, self.market.book.asks)):
            if len(levels) < self._config.levels // 2:
                self._refill(side)
        while len(self._street) > 6 * self._config.levels:
            self._pull(self._random.randrange(len(self._street)))

    # -------------------------------------------------------------------------------------------- history
    def invent_history(self, now_ns: int) -> None:
        """One-minute candles that end at the present price, walking back in time. Done once."""
        rng = random.Random(f"{self._config.seed}/{self.market.symbol}/history")
        store = self.market.candles
        end = store.minutes[0].open_ns if store.minutes else now_ns - now_ns % MINUTE
        close = int((store.minutes[0].open if store.minutes else self.start_px) / self._tick)
        history: list[Candle] = []
        for index in range(1, self._config.history_minutes + 1):
            opened = max(100 * self._grain, close + int(rng.gauss(0, 25) * self._grain))
            high = max(opened, close) + int(rng.expovariate(0.1) * self._grain)
            low = max(1, min(opened, close) - int(rng.expovariate(0.1) * self._grain))
            volume = (1 + int(rng.expovariate(0.02) * self._unit_qty)) * self._step
            quote = self.market.spec.amount(close * self._tick, volume)
            share = Decimal(rng.randrange(20, 80)) / 100
            history.append(
                Candle(
                    end - index * MINUTE,
                    MINUTE,
                    opened * self._tick,
                    high * self._tick,
                    low * self._tick,
                    close * self._tick,
                    volume,
                    quote,
                    1 + rng.randrange(200),
                    floor_to(volume * share, self._step),
                    (quote * share).quantize(Decimal("0.00000001")),
                )
            )
            close = opened
        store.prepend(history[::-1])


class Generator:
    """The generated market of all symbols: a queue of timed events."""

    def __init__(self, ex: Exchange, prices: dict[str, Decimal], config: GeneratorConfig) -> None:
        self.config = config
        self._ex = ex
        self.models = {symbol: SymbolModel(ex, ex.markets[symbol], price, config) for symbol, price in prices.items()}
        self._queue: list[tuple[int, int, str]] = []
        self._sequence = 0
        self.on_tick: list[Callable[[int], None]] = []
        self.is_still = False
        """The street does nothing of its own for now: what a user's order meets stays as it is."""
        self._historic: set[str] = set()

    def start(self) -> None:
        """Open the books and plan the first events. To be called once."""
        now = self._true_ns()
        for symbol, model in self.models.items():
            model.open()
            self._plan(now + MS, symbol)
        self._plan(now - now % TICK_NS + TICK_NS, "")

    def _true_ns(self) -> int:
        """The market's own time: a skewed venue clock changes the stamps, not the pace."""
        return self._ex.clock.now_ns() - self._ex.clock.skew_ns

    def _plan(self, time_ns: int, symbol: str) -> None:
        self._sequence += 1
        heapq.heappush(self._queue, (time_ns, self._sequence, symbol))

    def run_until(self, now_ns: int, move_clock: Callable[[int], None] | None = None) -> None:
        """Let everything happen that is due. `move_clock` is called with each event's time beforehand."""
        while self._queue[0][0] <= now_ns:
            time_ns, _, symbol = heapq.heappop(self._queue)
            if move_clock is not None:
                move_clock(time_ns)
            if symbol:
                self._plan(time_ns + TICK_NS if self.is_still else self.models[symbol].step(time_ns), symbol)
            else:
                for action in self.on_tick:
                    action(time_ns + self._ex.clock.skew_ns)
                self._plan(time_ns + TICK_NS, "")
        if move_clock is not None:
            move_clock(now_ns)

    def history(self, symbol: str) -> None:
        """Make sure the symbol has candles from before the start."""
        if symbol not in self._historic and symbol in self.models:
            self._historic.add(symbol)
            self.models[symbol].invent_history(self._ex.clock.now_ns())

    def skip_until(self, now_ns: int) -> None:
        """Put off to `now_ns` what is due before it, with the market as it stands."""
        if self._queue[0][0] < now_ns:
            tick_ns = now_ns - now_ns % TICK_NS + TICK_NS
            self._queue = [
                (time_ns if time_ns >= now_ns else now_ns if symbol else tick_ns, sequence, symbol)
                for time_ns, sequence, symbol in self._queue
            ]
            heapq.heapify(self._queue)

    async def run(self) -> None:
        """Follow the exchange's clock for ever.

        A machine that is too slow for the market gets a slower market: to make up for lost time would take the time
        of everything else in this program, and so lose more of it.
        """
        while True:
            now_ns = self._true_ns()
            self.skip_until(now_ns - LATE_NS)
            self.run_until(now_ns)
            await trio.sleep(POLL_S)
