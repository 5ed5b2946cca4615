"""What risk tests share: two instruments, quotes, orders, reports, and limits that let everything pass."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import attrs

from actors.risk.gate import Refusal, RiskGate
from actors.risk.limits import AccountLimits, FirmLimits, SymbolLimits
from protocols.enums import ExecType, OrdRejReason, OrdStatus, OrdType, Side, TimeInForce
from protocols.ids import AccountID, ClOrdID, OrderID, StrategyID, Symbol, TradeID, Venue
from protocols.instruments import Instrument, InstrumentStatus, PriceStep, Product
from protocols.market import Quote
from protocols.orders import ExecutionReport, NewOrder
from protocols.positions import AccountPicture, OpenOrder, Position

VENUE = Venue("binance-spot")
BTC, ETH = Symbol("BTCUSDT"), Symbol("ETHUSDT")
MASTER, SECOND = AccountID("master"), AccountID("second")
MAKER = StrategyID("maker")
STRATEGY_PATH = "/strategies/maker"
NOW_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000
D = Decimal

_ids = itertools.count(1)


def wide(**changes: Any) -> dict[str, Any]:
    """Limits that no test reaches by accident; `changes` are what a test is about."""
    allowed = SymbolLimits(max_order_qty=D(1_000), max_position_qty=D(1_000))
    limits: dict[str, Any] = {
        "max_order_notional": D(10**6),
        "max_position_notional": D(10**7),
        "max_exposure": D(10**8),
        "max_open_orders": 1_000,
        "max_orders_per_s": 1_000,
        "max_orders_per_minute": 10_000,
        "max_orders_per_day": 100_000,
        "price_band": D("0.1"),
        "max_quote_age_ns": 10 * SECOND_NS,
        "symbols": {BTC: allowed, ETH: allowed},
    }
    return {**limits, **changes}


def only(**changes: Any) -> dict[Symbol, SymbolLimits]:
    """`symbols` with the same limits for both."""
    allowed = SymbolLimits(**{"max_order_qty": D(1_000), "max_position_qty": D(1_000), **changes})
    return {BTC: allowed, ETH: allowed}


def instrument(symbol: Symbol = BTC, **changes: Any) -> Instrument:
    values: dict[str, Any] = {
        "venue": VENUE,
        "symbol": symbol,
        "product": Product.SPOT,
        "base": symbol.removesuffix("USDT"),
        "quote": "USDT",
        "status": InstrumentStatus.TRADING,
        "price_steps": (PriceStep(D(0), D("0.01")),),
        "min_price": D("0.01"),
        "max_price": D(100_000),
        "qty_step": D("0.001"),
        "min_qty": D("0.001"),
        "max_qty": D(9_000),
        "min_notional": D("0.05"),
    }
    return Instrument(**{**values, **changes})


def quote(
    symbol: Symbol = BTC,
    bid: str = "99",
    ask: str = "101",
    received_ns: int = NOW_NS,
    qty: str = "5",
    *,
    proven: bool = True,
) -> Quote:
    return Quote(VENUE, symbol, D(bid), D(qty), D(ask), D(qty), received_ns, received_ns, 1, proven)


def order(
    side: Side = Side.BUY,
    qty: str | Decimal = "1",
    price: str | Decimal | None = "100",
    **changes: Any,
) -> NewOrder:
    """A LIMIT order, or a MARKET order when `price` is None."""
    limit = None if price is None else D(price)
    wish = NewOrder(
        ClOrdID(f"x{next(_ids)}"),
        MASTER,
        MAKER,
        VENUE,
        BTC,
        side,
        OrdType.MARKET if price is None else OrdType.LIMIT,
        D(qty),
        limit,
        NOW_NS,
        STRATEGY_PATH,
    )
    return attrs.evolve(wish, **changes) if changes else wish


def report(
    wish: NewOrder,
    exec_type: ExecType = ExecType.NEW,
    cum: str | Decimal = "0",
    last: str | Decimal = "0",
    status: OrdStatus | None = None,
    received_ns: int = NOW_NS,
    order_qty: Decimal | None = None,
) -> ExecutionReport:
    """A report on an order; the status follows from the quantities unless it is given."""
    cum_qty = D(cum)
    if status is None:
        if exec_type is ExecType.CANCELED:
            status = OrdStatus.CANCELED
        elif cum_qty >= wish.order_qty:
            status = OrdStatus.FILLED
        else:
            status = OrdStatus.PARTIALLY_FILLED if cum_qty else OrdStatus.NEW
    return ExecutionReport(
        wish.cl_ord_id,
        OrderID(f"v{wish.cl_ord_id}"),
        wish.account,
        wish.strategy,
        wish.venue,
        wish.symbol,
        wish.side,
        exec_type,
        status,
        wish.order_qty if order_qty is None else order_qty,
        cum_qty,
        received_ns,
        received_ns,
        wish.ord_type,
        wish.price,
        D(last),
        wish.price or D(100),
        trade_id=TradeID(str(cum_qty)) if exec_type is ExecType.TRADE else None,
    )


def fill(wish: NewOrder, last: str, cum: str | None = None, received_ns: int = NOW_NS) -> ExecutionReport:
    """A trade of `last`, the order's total being `cum` (default: its first)."""
    return report(wish, ExecType.TRADE, last if cum is None else cum, last, received_ns=received_ns)


def position(qty: str | Decimal, symbol: Symbol = BTC, account: AccountID = MASTER, avg_px: str = "100") -> Position:
    return Position(account, VENUE, symbol, MAKER, D(qty), D(avg_px), D(0), (), NOW_NS)


def open_order(wish: NewOrder, cum: str | Decimal = "0") -> OpenOrder:
    """The order as its account shows it."""
    status = OrdStatus.PARTIALLY_FILLED if D(cum) else OrdStatus.NEW
    return OpenOrder(
        wish.cl_ord_id,
        OrderID(f"v{wish.cl_ord_id}"),
        wish.account,
        wish.venue,
        wish.symbol,
        wish.strategy,
        wish.side,
        wish.ord_type,
        wish.order_qty,
        wish.price,
        D(cum),
        status,
        TimeInForce.GTC,
        wish.exec_inst,
        False,
        NOW_NS,
    )


def picture(
    orders: tuple[OpenOrder, ...] = (),
    positions: tuple[Position, ...] = (),
    taken_ns: int = NOW_NS,
    account: AccountID = MASTER,
) -> AccountPicture:
    return AccountPicture(account, VENUE, orders, positions, (), "", taken_ns)


class GateWorld:
    """A gate with instruments and proven quotes; `ask` decides at the world's time."""

    def __init__(self, limits: FirmLimits | AccountLimits, scope: str = "scope") -> None:
        self.gate = RiskGate(scope, limits)
        self.now_ns = NOW_NS
        self.monotonic_ns = 50 * SECOND_NS
        for symbol in (BTC, ETH):
            self.gate.exposure.set_instrument(instrument(symbol))
            self.quote(symbol)

    @property
    def exposure(self) -> Any:
        return self.gate.exposure

    def quote(self, symbol: Symbol = BTC, bid: str = "99", ask: str = "101", **changes: Any) -> None:
        """A fresh quote, received now unless told otherwise."""
        changes.setdefault("received_ns", self.now_ns)
        self.gate.exposure.set_quote(quote(symbol, bid, ask, **changes), self.now_ns, self.monotonic_ns)

    def advance(self, duration_ns: int) -> None:
        self.now_ns += duration_ns
        self.monotonic_ns += duration_ns

    def ask(self, wish: NewOrder) -> Refusal | None:
        """The gate's decision."""
        return self.gate.decide(wish, self.now_ns, self.monotonic_ns)

    def expect_pass(self, wish: NewOrder) -> NewOrder:
        """An order that must pass."""
        refusal = self.ask(wish)
        assert refusal is None, refusal
        return wish

    def expect_refusal(self, wish: NewOrder, reason: OrdRejReason, *words: str) -> Refusal:
        """An order that must be refused for this reason, with these words in the text; nothing may be reserved."""
        before = self.believed()
        refusal = self.ask(wish)
        assert refusal is not None, "it passed"
        assert refusal.reason is reason, refusal
        for word in words:
            assert word in refusal.text, refusal.text
        assert self.believed() == before
        return refusal

    def hold(self, qty: str, symbol: Symbol = BTC) -> None:
        """Give the master account a position."""
        self.gate.exposure.rebuild(picture(positions=(position(qty, symbol),), taken_ns=self.now_ns), self.now_ns)

    def believed(self) -> tuple[object, ...]:
        """Everything that the exposure adds up."""
        exposure = self.gate.exposure
        rows = tuple(
            (row.account, row.market.symbol, row.position, row.buy.qty, row.sell.qty, row.qty, row.worth, row.orders)
            for row in exposure.rows()
            if row.qty or row.orders
        )
        return rows, exposure.worth, tuple(exposure.orders)


def account_world(**changes: Any) -> GateWorld:
    """An account's gate; `max_repeats` and `repeat_window_ns` go here too."""
    special = {name: changes.pop(name) for name in ("max_repeats", "repeat_window_ns") if name in changes}
    return GateWorld(AccountLimits(**wide(**changes), **{"max_repeats": 1_000, **special}), MASTER)


def firm_world(**changes: Any) -> GateWorld:
    """The firm's gate."""
    crossing = {name: changes.pop(name) for name in ("allow_self_cross",) if name in changes}
    return GateWorld(FirmLimits(**wide(**changes), **crossing), "firm")
