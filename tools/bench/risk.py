"""What the full gate costs: the firm's and the account's decision on one order, state populated.

The state is that of a busy engine: 20 symbols with quotes, filters and positions, 200 open orders over two accounts.
`us` is the full gate: the firm's and the account's decision on one order, reservation included.  `actors_us` is
the same as messages through both actors (`RoutedOrder` -> `FirmApproved` -> `RiskApproved`), clock readings included.
Outside the measured time the oldest order is released again, so that the state keeps its size.
"""

from __future__ import annotations

import gc
import time
from collections import deque
from decimal import Decimal

from actors.risk.actor import AccountGate, FirmGate
from actors.risk.limits import AccountLimits, FirmLimits, SymbolLimits
from protocols.control import InstrumentsChanged
from protocols.enums import OrdRejReason, OrdType, Side
from protocols.ids import AccountID, ClOrdIDs, StrategyID, Symbol, Venue
from protocols.instruments import Instrument, InstrumentStatus, PriceStep, Product
from protocols.market import Quote
from protocols.orders import FIRM_GATE, FirmApproved, NewOrder, OrderRefused, RiskApproved, RoutedOrder, account_gate
from protocols.positions import AccountPicture, AccountResynced, Position
from supervisors.clock import SystemClock
from supervisors.testing import RecordingContext
from tools.bench.timing import microseconds

__all__ = ["bench_risk"]

VENUE = Venue("binance-spot")
ACCOUNTS = (AccountID("master"), AccountID("second"))
CLOCK = SystemClock()
STRATEGY = StrategyID("maker")
SYMBOLS = tuple(Symbol(f"C{number:02d}USDT") for number in range(20))
OPEN_ORDERS = 200
WARM_UP = 2_000
ZERO = Decimal(0)
NEVER = 10**12


class _Gates:
    """Both gates of one order's way, without a runtime between them."""

    def __init__(self) -> None:
        now_ns = CLOCK.wall_ns()
        allowed = SymbolLimits(max_order_qty=Decimal(10), max_position_qty=Decimal(10_000))
        common = {
            "max_order_notional": Decimal(100_000),
            "max_position_notional": Decimal(10_000_000),
            "max_exposure": Decimal(100_000_000),
            "max_open_orders": 1_000,
            "max_orders_per_s": NEVER,
            "max_orders_per_minute": NEVER,
            "max_orders_per_day": NEVER,
            "price_band": Decimal("0.05"),
            "max_quote_age_ns": 3_600 * 10**9,
            "symbols": dict.fromkeys(SYMBOLS, allowed),
        }
        self.firm = FirmGate(FirmLimits(**common), [(account, VENUE) for account in ACCOUNTS])  # type: ignore[arg-type]
        self.accounts = {
            account: AccountGate(account, AccountLimits(**common, max_repeats=NEVER), [(account, VENUE)])  # type: ignore[arg-type]
            for account in ACCOUNTS
        }
        self.firm_ctx = RecordingContext(self.firm, FIRM_GATE, now_ns)
        self.ctxs = {a: RecordingContext(gate, account_gate(a), now_ns) for a, gate in self.accounts.items()}
        self.ids = {account: ClOrdIDs(account, STRATEGY, 1, 1) for account in ACCOUNTS}
        for ctx in (self.firm_ctx, *self.ctxs.values()):
            ctx.monotonic_ns = CLOCK.monotonic_ns()
        instruments = InstrumentsChanged(VENUE, tuple(_instrument(symbol) for symbol in SYMBOLS))
        for actor in (self.firm, *self.accounts.values()):
            actor.receive(instruments)
            for symbol in SYMBOLS:
                actor.receive(_quote(symbol, now_ns))
        for account in ACCOUNTS:
            picture = AccountPicture(account, VENUE, (), tuple(_position(account, s) for s in SYMBOLS), (), "", now_ns)
            resynced = AccountResynced(account, VENUE, picture, "")
            self.firm.receive(resynced)
            self.accounts[account].receive(resynced)

    def order(self, number: int) -> NewOrder:
        """Order `number`: all symbols, accounts and sides in turn, prices on a grid around the market."""
        account = ACCOUNTS[number % 2]
        side = Side.BUY if number // 2 % 2 else Side.SELL
        price = Decimal(100) - side.sign * Decimal(1 + number % 150) / 100
        symbol = SYMBOLS[number // 4 % len(SYMBOLS)]
        qty = Decimal("0.01")
        name = self.ids[account].next()
        return NewOrder(
            name,
            account,
            STRATEGY,
            VENUE,
            symbol,
            side,
            OrdType.LIMIT,
            qty,
            price,
            CLOCK.wall_ns(),
            "/strategies/maker",
        )

    def decide(self, order: NewOrder) -> int:
        """Both decisions on one order; the time they took, ns.  RuntimeError when it was refused."""
        firm, account = self.firm.gate.decide, self.accounts[order.account].gate.decide
        now_ns, monotonic_ns = CLOCK.wall_ns(), CLOCK.monotonic_ns()
        began = time.perf_counter_ns()
        refusal = firm(order, now_ns, monotonic_ns) or account(order, now_ns, monotonic_ns)
        took = time.perf_counter_ns() - began
        if refusal is not None:
            raise RuntimeError(f"a gate refused an order of the benchmark: {refusal}")
        return took

    def pass_through(self, order: NewOrder) -> int:
        """One order through both actors as messages; the time it took, ns.  RuntimeError when it was refused."""
        firm, firm_ctx = self.firm.receive, self.firm_ctx
        account, account_ctx = self.accounts[order.account].receive, self.ctxs[order.account]
        routed = RoutedOrder(order)
        began = time.perf_counter_ns()
        firm_ctx.now_ns, firm_ctx.monotonic_ns = CLOCK.wall_ns(), CLOCK.monotonic_ns()
        firm(routed)
        approved = firm_ctx.sent[-1][1]
        account_ctx.now_ns, account_ctx.monotonic_ns = CLOCK.wall_ns(), CLOCK.monotonic_ns()
        account(approved)
        took = time.perf_counter_ns() - began
        if type(approved) is not FirmApproved or type(account_ctx.sent[-1][1]) is not RiskApproved:
            raise RuntimeError(f"a gate refused an order of the benchmark: {approved} {account_ctx.sent}")
        firm_ctx.sent.clear()
        account_ctx.sent.clear()
        return took

    def release(self, order: NewOrder) -> None:
        """The order ends as if the venue had refused it."""
        reason = OrdRejReason.VENUE
        refused = OrderRefused(order.cl_ord_id, order.account, STRATEGY, VENUE, order.symbol, reason, "")
        self.firm.receive(refused)
        self.accounts[order.account].receive(refused)


def bench_risk(n: int) -> dict[str, object]:
    """Measure `n` orders each way; microseconds as `{"us": {"p50", "p99", "p999", "max"}, "actors_us": {...}}`."""
    gates = _Gates()
    live = deque(gates.order(number) for number in range(OPEN_ORDERS))
    for order in live:
        gates.decide(order)
    gc.collect()
    gc.freeze()
    results: dict[str, object] = {}
    number = OPEN_ORDERS
    for name, measure in (("us", gates.decide), ("actors_us", gates.pass_through)):
        samples = []
        for _ in range(WARM_UP + n):
            order = gates.order(number)
            number += 1
            samples.append(measure(order))
            live.append(order)
            gates.release(live.popleft())
        results[name] = microseconds(samples[WARM_UP:])
    gc.unfreeze()
    return results


def _instrument(symbol: Symbol) -> Instrument:
    return Instrument(
        venue=VENUE,
        symbol=symbol,
        product=Product.SPOT,
        base=symbol.removesuffix("USDT"),
        quote="USDT",
        status=InstrumentStatus.TRADING,
        price_steps=(PriceStep(ZERO, Decimal("0.01")),),
        min_price=Decimal("0.01"),
        max_price=Decimal(1_000_000),
        qty_step=Decimal("0.00001"),
        min_qty=Decimal("0.00001"),
        max_qty=Decimal(9_000),
        min_notional=Decimal("0.5"),
        max_notional=Decimal(9_000_000),
        bid_multiplier_up=Decimal(5),
        bid_multiplier_down=Decimal("0.2"),
        ask_multiplier_up=Decimal(5),
        ask_multiplier_down=Decimal("0.2"),
        max_open_orders=200,
    )


def _quote(symbol: Symbol, now_ns: int) -> Quote:
    return Quote(VENUE, symbol, Decimal("99.99"), Decimal(1), Decimal("100.01"), Decimal(1), now_ns, now_ns, 1)


def _position(account: AccountID, symbol: Symbol) -> Position:
    return Position(account, VENUE, symbol, STRATEGY, Decimal("0.5"), Decimal(100), ZERO, (), 0)
