"""The class that a trading strategy derives from.

A strategy decides; everything else is done for it.  It is told what happened by *hooks* (`on_quote`, `on_candle`,
`on_fill`, ...) and acts through *helpers* (`buy`, `sell`, `cancel`, ...).  It is plain synchronous code: no await, no
clock, no file, no random number.  Time is `self.now_ns`.  The same messages give the same orders, which is what makes
a backtest worth its name.

    class Dip(Strategy):
        def on_candle(self, candle):
            if candle.close < candle.open and self.position(candle.symbol).qty == 0:
                self.buy(candle.symbol, Decimal("0.01"), price=candle.close)

Promises of the engine to a strategy:

* Nothing is delivered before its instruments, positions and resting orders are known, so `position` and `open_orders`
  are true from `on_start` on, also after a restart.
* `quote` is None whenever the book is not proven continuous: what has no price cannot be priced by accident.
* An order helper returns None when the order may not go out now: paused, draining, halted, the account away, a hold-off
  after a refusal, or a size that the venue's filters forbid.  It never raises for these.
* A refused order starts a growing hold-off for its symbol and ends with `on_resume`: no hot loop can be written.
* What `save` was last given comes back in `on_restore` after any restart, from the journal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Protocol

import attrs

from protocols.enums import ExecInst, OrdStatus, OrdType, Side, TimeInForce, TradingState
from protocols.ids import AccountID, ClOrdID, StrategyID, Symbol, Venue
from protocols.instruments import Instrument
from protocols.market import Candle, Quote, Trade
from protocols.orders import CancelRejected, ExecutionReport, OrderRefused

ZERO = Decimal(0)


@attrs.frozen
class NoParams:
    """Parameters of a strategy that has none."""


@attrs.frozen
class Holding:
    """What a strategy holds of one symbol: signed base units after fees taken in the base asset, average price."""

    qty: Decimal = ZERO
    avg_px: Decimal = ZERO


FLAT = Holding()


@attrs.define
class OwnOrder:
    """An order of this strategy that is live, or on its way."""

    cl_ord_id: ClOrdID
    symbol: Symbol
    side: Side
    ord_type: OrdType
    order_qty: Decimal
    price: Decimal | None
    created_ns: int
    cum_qty: Decimal = ZERO
    ord_status: OrdStatus = OrdStatus.PENDING_NEW
    canceling: bool = False
    """A cancel is on its way."""
    cancel_after_ns: int = 0
    """A refused cancel is not repeated before this time."""
    time_in_force: TimeInForce | None = None
    """None: not known, because only reports told of it (an order of an earlier life); no other can replace it."""
    exec_inst: ExecInst = ExecInst.NONE
    replacing: str = ""
    """The amend that is on its way, or the order that is to replace this one; "": neither."""

    @property
    def leaves_qty(self) -> Decimal:
        """What may still trade."""
        return ZERO if self.ord_status.is_final else self.order_qty - self.cum_qty


class Desk(Protocol):
    """What a strategy's actor does for it; a test may bring its own."""

    strategy: StrategyID
    account: AccountID
    venue: Venue
    symbols: tuple[Symbol, ...]
    trading_state: TradingState

    @property
    def now_ns(self) -> int: ...
    def instrument(self, symbol: Symbol) -> Instrument: ...
    def quote(self, symbol: Symbol) -> Quote | None: ...
    def position(self, symbol: Symbol) -> Holding: ...
    def open_orders(self, symbol: Symbol | None) -> tuple[OwnOrder, ...]: ...
    def can_trade(self, symbol: Symbol) -> bool: ...
    def submit(
        self,
        symbol: Symbol,
        side: Side,
        ord_type: OrdType,
        qty: Decimal,
        price: Decimal | None,
        time_in_force: TimeInForce,
        exec_inst: ExecInst,
    ) -> ClOrdID | None: ...
    def replace(self, cl_ord_id: ClOrdID, qty: Decimal | None, price: Decimal | None) -> ClOrdID | None: ...
    def cancel(self, cl_ord_id: ClOrdID) -> None: ...
    def timer(self, delay_ns: int, key: str) -> None: ...
    def save(self, state: Mapping[str, Any]) -> None: ...
    def signal(self, symbol: Symbol, side: Side | None, kind: str, price: Decimal, text: str) -> None: ...


class Strategy:
    """Base of all strategies; override the hooks you need."""

    Params: ClassVar[type] = NoParams
    """An attrs class: the keys of `[strategies.<name>.params]`, read strictly, defaults included."""

    desk: Desk
    """Set before `on_start`; use the helpers below instead."""

    def __init__(self, params: Any = None) -> None:
        self.params: Any = params if params is not None else self.Params()

    # ---- what it needs -----------------------------------------------------------------------------------------

    def bars(self) -> Mapping[int, int]:
        """Candles wanted for each symbol: interval in ns -> number of closed bars of history before the start."""
        return {}

    # ---- hooks -------------------------------------------------------------------------------------------------

    def on_restore(self, state: Mapping[str, Any]) -> None:
        """What `save` was last given, in this life or an earlier one; before the history and `on_start`."""

    def on_history(self, symbol: Symbol, interval_ns: int, candles: Sequence[Candle]) -> None:
        """Closed bars of the past, oldest first: warm up, do not trade."""

    def on_start(self) -> None:
        """Everything is known; orders may be sent from now on."""

    def on_quote(self, quote: Quote) -> None:
        """A new best bid or ask of a proven book."""

    def on_trade(self, trade: Trade) -> None:
        """A public trade."""

    def on_candle(self, candle: Candle) -> None:
        """A closed bar, each once; `has_gap` when trades of it may be missing or bars before it were lost."""

    def on_execution(self, report: ExecutionReport) -> None:
        """The venue changed one of our orders; positions and open orders are up to date already."""

    def on_fill(self, report: ExecutionReport) -> None:
        """One of our orders traded (`last_qty` at `last_px`); called after `on_execution`."""

    def on_order_refused(self, refused: OrderRefused) -> None:
        """An order of ours never left the engine."""

    def on_cancel_rejected(self, rejected: CancelRejected) -> None:
        """A cancel, or a change (`response_to`), had no effect; the order's own report says what became of it."""

    def on_gap(self, symbol: Symbol, opened: bool) -> None:
        """The symbol's book stopped (True) or began again (False) to be proven; while it is not, `quote` is None."""

    def on_state(self, state: TradingState) -> None:
        """Halted, reduce-only or free to trade."""

    def on_resume(self, symbol: Symbol) -> None:
        """Orders of the symbol may go out again after a hold-off, a pause or the account's absence."""

    def on_timer(self, key: str) -> None:
        """A timer set by `timer` is due."""

    def on_stop(self) -> None:
        """The engine stops: resting orders are being canceled, no new one will go out."""

    # ---- helpers: what is known --------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """Wall clock, ns UTC, as of the message in hand."""
        return self.desk.now_ns

    @property
    def symbols(self) -> tuple[Symbol, ...]:
        """The symbols that this strategy was given."""
        return self.desk.symbols

    def instrument(self, symbol: Symbol) -> Instrument:
        """Steps, bounds and status of a symbol."""
        return self.desk.instrument(symbol)

    def quote(self, symbol: Symbol) -> Quote | None:
        """Best bid and ask, or None while the book is not proven or a side is empty."""
        return self.desk.quote(symbol)

    def position(self, symbol: Symbol) -> Holding:
        """What this strategy holds of the symbol (others may hold it as well)."""
        return self.desk.position(symbol)

    def open_orders(self, symbol: Symbol | None = None) -> tuple[OwnOrder, ...]:
        """Orders of this strategy that are live or on their way, oldest first."""
        return self.desk.open_orders(symbol)

    def can_trade(self, symbol: Symbol) -> bool:
        """Whether an order of the symbol would go out now."""
        return self.desk.can_trade(symbol)

    # ---- helpers: what can be done -----------------------------------------------------------------------------

    def buy(self, symbol: Symbol, qty: Decimal, price: Decimal | None = None, **how: Any) -> ClOrdID | None:
        """`limit` at `price`, or `market` without one."""
        return self._trade(symbol, Side.BUY, qty, price, how)

    def sell(self, symbol: Symbol, qty: Decimal, price: Decimal | None = None, **how: Any) -> ClOrdID | None:
        """`limit` at `price`, or `market` without one."""
        return self._trade(symbol, Side.SELL, qty, price, how)

    def _trade(
        self, symbol: Symbol, side: Side, qty: Decimal, price: Decimal | None, how: Mapping[str, Any]
    ) -> ClOrdID | None:
        if price is None:
            return self.market(symbol, side, qty, **how)
        return self.limit(symbol, side, qty, price, **how)

    def limit(
        self,
        symbol: Symbol,
        side: Side,
        qty: Decimal,
        price: Decimal,
        *,
        time_in_force: TimeInForce = TimeInForce.GTC,
        post_only: bool = False,
        reduce_only: bool = False,
    ) -> ClOrdID | None:
        """A limit order; price rounded to the passive side, quantity down.  None when it may not go out now."""
        exec_inst = _exec_inst(post_only=post_only, reduce_only=reduce_only)
        return self.desk.submit(symbol, side, OrdType.LIMIT, qty, price, time_in_force, exec_inst)

    def market(self, symbol: Symbol, side: Side, qty: Decimal, *, reduce_only: bool = False) -> ClOrdID | None:
        """A market order; quantity rounded down.  None when it may not go out now."""
        exec_inst = _exec_inst(post_only=False, reduce_only=reduce_only)
        return self.desk.submit(symbol, side, OrdType.MARKET, qty, None, TimeInForce.GTC, exec_inst)

    def replace(
        self, cl_ord_id: ClOrdID, *, qty: Decimal | None = None, price: Decimal | None = None
    ) -> ClOrdID | None:
        """Give a resting limit order another price or another total quantity (what is filled included).

        The id under which it goes on: its own where the venue changes orders in place, that of a new order where the
        venue ends one and makes another in one request; rounded as by `limit`.  None when nothing was sent: the venue
        can do neither, another change of the order is on its way, the order is not confirmed, or nothing may go out
        now.  `on_cancel_rejected` or `on_order_refused` says when it had no effect; the old order then rests as before,
        unless its own report says that it has ended.
        """
        return self.desk.replace(cl_ord_id, qty, price)

    def cancel(self, cl_ord_id: ClOrdID) -> None:
        """Ask for an order's end; harmless for one that has ended or is being canceled."""
        self.desk.cancel(cl_ord_id)

    def cancel_all(self, symbol: Symbol | None = None) -> None:
        """Cancel every open order of this strategy (on one symbol)."""
        for order in self.desk.open_orders(symbol):
            self.desk.cancel(order.cl_ord_id)

    def timer(self, delay_ns: int, key: str) -> None:
        """Have `on_timer(key)` called after `delay_ns`."""
        self.desk.timer(delay_ns, key)

    def save(self, state: Mapping[str, Any]) -> None:
        """Keep `state` (text, integers, booleans, lists, tables; amounts as text) in the journal for `on_restore`."""
        self.desk.save(state)

    def signal(self, symbol: Symbol, side: Side | None, kind: str, price: Decimal, text: str) -> None:
        """Record a decision and its reasons: `kind` is entry, exit or hold."""
        self.desk.signal(symbol, side, kind, price, text)


def _exec_inst(*, post_only: bool, reduce_only: bool) -> ExecInst:
    exec_inst = ExecInst.POST_ONLY if post_only else ExecInst.NONE
    return exec_inst | ExecInst.REDUCE_ONLY if reduce_only else exec_inst
