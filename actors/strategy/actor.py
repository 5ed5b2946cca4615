"""The strategy actor: `/strategies/<name>` runs one `Strategy` behind its own bulkhead.

At each (re)start it asks the journal for the process's run and for what the strategy saved, the venue for instruments,
the account for orders and positions, and the candle actors for history; the strategy hears of it by `on_restore`,
`on_history` and `on_start`.  From there on it is told what happens, and its orders leave by the router with ClOrdIDs
made of account, strategy, run and incarnation.

It keeps the strategy calm: nothing goes out while draining, paused, halted, while the account is away, or in the
hold-off after a refusal (which doubles up to `HOLD_MAX_NS`, and ends by a timer, so that no strategy can loop); and no
quote is shown while its book is not proven.

One file because it is one state with two faces: what the actor is told, and what its strategy may do with it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import attrs

from actors.strategy.base import ZERO, Holding, OwnOrder, Strategy
from actors.strategy.blotter import Blotter
from protocols.base import Event, Message, message
from protocols.control import Drain, Drained, InstrumentsChanged, PauseStrategy, Signal, TradingStateIs
from protocols.enums import CxlRejResponseTo, ExecInst, OrdStatus, OrdType, Side, TimeInForce, TradingState
from protocols.ids import AccountID, ClOrdID, ClOrdIDs, Path, StrategyID, Symbol, Venue
from protocols.instruments import Instrument, InstrumentStatus
from protocols.journal import (
    JOURNAL,
    Append,
    ReplayAnswer,
    ReplayQuery,
    StateSnapshot,
    SymbolHalted,
    signals_key,
    strategy_key,
)
from protocols.market import TRADE_STREAM, Candle, GapClosed, GapOpened, Quote, Subscribe, Trade
from protocols.orders import (
    ROUTER,
    AmendOrder,
    CancelOrder,
    CancelRejected,
    ExecutionReport,
    NewOrder,
    OrderRefused,
    account_path,
)
from protocols.positions import AccountPicture, AccountQuery, AccountResynced
from protocols.reconcile import CandlesQuery, InstrumentsQuery, book_path, candles_path, instruments_path
from protocols.venue import Capabilities
from supervisors.actor import Actor, Down, Up

ASK_TIMEOUT_NS = 10_000_000_000
HOLD_FIRST_NS = 100_000_000
HOLD_MAX_NS = 10_000_000_000
DRAIN_CHECK_NS = 250_000_000

_STRICTNESS = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}


@message
class TimerDue(Event):
    """A timer of the strategy."""

    key: str


@message
class HoldOver(Event):
    """A hold-off may be over."""

    symbol: Symbol


@message
class DrainCheck(Event):
    """Are the resting orders gone?"""


class StrategyActor(Actor):
    """Runs the strategy that `make` builds; also its `Desk`."""

    def __init__(
        self,
        strategy: StrategyID,
        account: AccountID,
        venue: Venue,
        symbols: Sequence[Symbol],
        make: Callable[[], Strategy],
        capabilities: Capabilities | None = None,
    ) -> None:
        """`capabilities` of the venue decide how an order is replaced; None: not at all."""
        self._able = capabilities
        self.strategy = strategy
        self.account = account
        self.venue = venue
        self.symbols = tuple(symbols)
        self.trading_state = TradingState.ACTIVE
        self._code = make()
        self._code.desk = self
        self._account_path = account_path(account, venue)
        self._blotter = Blotter(strategy, self.symbols)
        self._ids: ClOrdIDs | None = None
        self._instruments: dict[Symbol, Instrument] = {}
        self._quotes: dict[Symbol, Quote] = {}
        self._unproven: dict[Symbol, set[str]] = {symbol: {"no quote yet"} for symbol in self.symbols}
        """Why a symbol's book is not proven; an empty set is proven."""
        self._intervals_ns = frozenset(self._code.bars())
        self._newest_bar: dict[tuple[Symbol, int], int] = {}
        self._states: dict[str, TradingState] = {}
        self._halted_symbols: set[Symbol] = set()
        self._made = (0, 0)
        """Which picture the blotter was made from: an older one may still wait in the mailbox."""
        self._account_up = False
        self._paused = False
        self._draining = False
        self._drain_asked_by: Path = ""
        self._drained = False
        self._hold_until_ns: dict[Symbol, int] = {}
        self._hold_step_ns: dict[Symbol, int] = {}
        self._saved = ""
        self._sent = self._refused = self._fills = 0
        self._last_refusal = ""
        self._handlers: dict[type[Message], Callable[[Any], None]] = {
            Quote: self._on_quote,
            ExecutionReport: self._on_execution,
            Trade: self._on_trade,
            Candle: self._on_candle,
            OrderRefused: self._on_order_refused,
            CancelRejected: self._on_cancel_rejected,
            GapOpened: self._on_gap_opened,
            GapClosed: self._on_gap_closed,
            Up: self._on_up,
            Down: self._on_down,
            AccountResynced: self._on_account_resynced,
            InstrumentsChanged: self._on_instruments,
            SymbolHalted: self._on_symbol_halted,
            TradingStateIs: self._on_trading_state,
            PauseStrategy: self._on_pause,
            Drain: self._on_drain,
            DrainCheck: self._on_drain_check,
            TimerDue: self._on_timer,
            HoldOver: self._on_hold_over,
        }

    # ---- resync ------------------------------------------------------------------------------------------------

    async def started(self) -> None:
        """Restore and verify everything that a decision may rest on, then let the strategy begin."""
        ctx = self.ctx
        await ctx.wait_ready(JOURNAL)
        replay: ReplayAnswer = await ctx.ask(JOURNAL, ReplayQuery(strategy_key(self.strategy)), ASK_TIMEOUT_NS)
        self._ids = ClOrdIDs(self.account, self.strategy, replay.run, ctx.epoch)
        await ctx.wait_ready(instruments_path(self.venue))
        known: InstrumentsChanged = await ctx.ask(instruments_path(self.venue), InstrumentsQuery(), ASK_TIMEOUT_NS)
        self._on_instruments(known)
        for symbol in self.symbols:
            if symbol not in self._instruments:
                raise LookupError(
                    f"{self.venue} has no instrument {symbol}; check [strategies.{self.strategy}] symbols"
                )
        if replay.snapshot is not None:
            self._saved = replay.snapshot.state
            self._code.on_restore(json.loads(self._saved))
        await self._read_history()
        await ctx.wait_ready(self._account_path)
        picture: AccountPicture = await ctx.ask(self._account_path, AccountQuery(self.strategy), ASK_TIMEOUT_NS)
        self._blotter.take_picture(picture, ctx.now_ns)
        self._made = picture.made
        self._account_up = True
        ctx.watch(self._account_path)
        for symbol in self.symbols:
            ctx.watch(book_path(self.venue, symbol))
        self._code.on_start()

    async def _read_history(self) -> None:
        # Longer bars first, as they come in live: a short bar may look at the long one that ended with it.
        for interval_ns, count in sorted(self._code.bars().items(), reverse=True):
            for symbol in self.symbols:
                path = candles_path(self.venue, symbol)
                await self.ctx.wait_ready(path)
                # At least one bar, so that an old one that is repeated later is known to be old.
                query = CandlesQuery(symbol, interval_ns, max(count, 1))
                bars: tuple[Candle, ...] = await self.ctx.ask(path, query, ASK_TIMEOUT_NS)
                if bars:
                    self._newest_bar[symbol, interval_ns] = bars[-1].open_ns
                self._code.on_history(symbol, interval_ns, bars[-count:] if count else ())
                self.ctx.send(path, Subscribe(symbol, self.ctx.path))

    # ---- messages ----------------------------------------------------------------------------------------------

    def receive(self, message: Message) -> None:
        handler = self._handlers.get(type(message))
        if handler is not None:
            handler(message)

    def _on_quote(self, quote: Quote) -> None:
        reasons = self._unproven.get(quote.symbol)
        if reasons is None:
            return
        if not quote.proven or not quote.bid_qty or not quote.ask_qty:
            self._unprove(quote.symbol, "quote")
            return
        self._quotes[quote.symbol] = quote
        if reasons:
            reasons.discard("quote")
            reasons.discard("no quote yet")
            if reasons:
                return
            self._code.on_gap(quote.symbol, opened=False)
        self._code.on_quote(quote)

    def _on_trade(self, trade: Trade) -> None:
        if trade.symbol in self._unproven:
            self._code.on_trade(trade)

    def _on_candle(self, candle: Candle) -> None:
        """Each closed bar once; a bar whose predecessors never came is marked."""
        if candle.interval_ns not in self._intervals_ns or candle.symbol not in self._unproven:
            return
        key = (candle.symbol, candle.interval_ns)
        newest_ns = self._newest_bar.get(key)
        if newest_ns is not None and candle.open_ns <= newest_ns:
            return
        self._newest_bar[key] = candle.open_ns
        if newest_ns is not None and candle.open_ns != newest_ns + candle.interval_ns and not candle.has_gap:
            candle = attrs.evolve(candle, has_gap=True)
        self._code.on_candle(candle)

    def _on_execution(self, report: ExecutionReport) -> None:
        filled = self._blotter.apply(report)
        if report.ord_status is OrdStatus.REJECTED:
            self._hold(report.symbol)
        else:
            self._hold_step_ns.pop(report.symbol, None)
        self._code.on_execution(report)
        if filled:
            self._fills += 1
            self._code.on_fill(report)
        if self._draining:
            self._on_drain_check(None)

    def _on_order_refused(self, refused: OrderRefused) -> None:
        if self._blotter.refused(refused.cl_ord_id) is None:
            return
        self._refused += 1
        self._last_refusal = f"{refused.reason.value}: {refused.text}"
        self._hold(refused.symbol)
        self._code.on_order_refused(refused)
        if self._draining:
            self._on_drain_check(None)

    def _on_cancel_rejected(self, rejected: CancelRejected) -> None:
        order = self._blotter.live.get(rejected.cl_ord_id)
        if rejected.response_to is CxlRejResponseTo.REPLACE and order is not None:
            if order.replacing not in self._blotter.live:  # else the refusal of the new order holds it off
                self._hold(order.symbol)
            self._last_refusal = f"{rejected.reason.value}: {rejected.text}"
        self._blotter.cancel_rejected(rejected, self.ctx.now_ns)
        self._code.on_cancel_rejected(rejected)

    def _on_account_resynced(self, resynced: AccountResynced) -> None:
        if (resynced.account, resynced.venue) == (self.account, self.venue) and resynced.picture.made >= self._made:
            self._made = resynced.picture.made
            self._blotter.take_picture(resynced.picture, self.ctx.now_ns)

    def _on_instruments(self, changed: InstrumentsChanged) -> None:
        if changed.venue != self.venue:
            return
        before = self._instruments
        self._instruments = before | {i.symbol: i for i in changed.instruments if i.symbol in self._unproven}
        self._blotter.learn(self._instruments)
        for symbol, instrument in self._instruments.items():
            if symbol in before and before[symbol].status is not instrument.status and self.can_trade(symbol):
                self._code.on_resume(symbol)

    def _on_symbol_halted(self, halted: SymbolHalted) -> None:
        if halted.venue == self.venue and halted.symbol in self._unproven:
            (self._halted_symbols.add if halted.halted else self._halted_symbols.discard)(halted.symbol)
            if not halted.halted:
                self._code.on_resume(halted.symbol)

    def _on_timer(self, due: TimerDue) -> None:
        self._code.on_timer(due.key)

    # ---- proof of the market -----------------------------------------------------------------------------------

    def _on_gap_opened(self, gap: GapOpened) -> None:
        if gap.stream == TRADE_STREAM:
            return  # nothing is priced from trades
        for symbol in self._touched(gap.venue, gap.symbol):
            self._unprove(symbol, f"gap in {gap.stream}")

    def _on_gap_closed(self, gap: GapClosed) -> None:
        for symbol in self._touched(gap.venue, gap.symbol):
            self._prove(symbol, f"gap in {gap.stream}")

    def _touched(self, venue: Venue, symbol: Symbol | None) -> Sequence[Symbol]:
        if venue != self.venue:
            return ()
        return self.symbols if symbol is None else (symbol,) if symbol in self._unproven else ()

    def _unprove(self, symbol: Symbol, reason: str) -> None:
        reasons = self._unproven[symbol]
        was_proven = not reasons
        reasons.add(reason)
        self._quotes.pop(symbol, None)
        if was_proven:
            self._code.on_gap(symbol, opened=True)

    def _prove(self, symbol: Symbol, reason: str) -> None:
        """The reason is gone; the next proven quote opens the book again."""
        reasons = self._unproven[symbol]
        if reason in reasons:
            reasons.discard(reason)
            reasons.add("no quote yet")

    def _on_up(self, up: Up) -> None:
        if up.path == self._account_path:
            self._account_up = True
            self._resume()
            return
        for symbol in self.symbols:
            if up.path == book_path(self.venue, symbol):
                self.ctx.send(up.path, Subscribe(symbol, self.ctx.path))
                self._prove(symbol, "book down")

    def _on_down(self, down: Down) -> None:
        if down.path == self._account_path:
            self._account_up = False
            return
        for symbol in self.symbols:
            if down.path == book_path(self.venue, symbol):
                self._unprove(symbol, "book down")

    # ---- halts, pauses, the end --------------------------------------------------------------------------------

    def _on_trading_state(self, announced: TradingStateIs) -> None:
        if announced.scope not in ("firm", self.account):
            return
        self._states[announced.scope] = announced.state
        state = max(self._states.values(), key=_STRICTNESS.__getitem__)
        if state is not self.trading_state:
            self.trading_state = state
            if state is TradingState.HALTED:
                self._code.cancel_all()
            self._code.on_state(state)
            if state is TradingState.ACTIVE:
                self._resume()

    def _on_pause(self, pause: PauseStrategy) -> None:
        if pause.strategy == self.strategy and pause.paused != self._paused:
            self._paused = pause.paused
            if not pause.paused:
                self._resume()

    def _resume(self) -> None:
        for symbol in self.symbols:
            if self.can_trade(symbol):
                self._code.on_resume(symbol)

    def _on_drain(self, drain: Drain) -> None:
        self._drain_asked_by = self.ctx.sender or self._drain_asked_by
        if not self._draining:
            self._draining = True
            self._code.on_stop()
        self._drained = False
        self._on_drain_check(None)
        if not self._drained:
            self.ctx.after(DRAIN_CHECK_NS, DrainCheck())

    def _on_drain_check(self, check: DrainCheck | None) -> None:
        """Cancel what rests; say so once when nothing does.  Only the timer's own check starts the next one."""
        if self._drained:
            return
        if not self._blotter.live:
            self._drained = True
            if self._drain_asked_by:
                self.ctx.send(self._drain_asked_by, Drained(self.ctx.path))
            return
        self._code.cancel_all()
        if check is not None:
            self.ctx.after(DRAIN_CHECK_NS, check)

    # ---- hold-off after refusals -------------------------------------------------------------------------------

    def _hold(self, symbol: Symbol) -> None:
        step_ns = min(HOLD_MAX_NS, 2 * self._hold_step_ns.get(symbol, HOLD_FIRST_NS // 2))
        self._hold_step_ns[symbol] = step_ns
        until_ns = self.ctx.monotonic_ns + step_ns
        if until_ns > self._hold_until_ns.get(symbol, 0):
            self._hold_until_ns[symbol] = until_ns
            self.ctx.after(step_ns, HoldOver(symbol))

    def _on_hold_over(self, over: HoldOver) -> None:
        if self._hold_until_ns.get(over.symbol, 0) <= self.ctx.monotonic_ns:
            self._hold_until_ns.pop(over.symbol, None)
            if self.can_trade(over.symbol):
                self._code.on_resume(over.symbol)

    # ---- the desk ----------------------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        return self.ctx.now_ns

    def instrument(self, symbol: Symbol) -> Instrument:
        return self._instruments[symbol]

    def quote(self, symbol: Symbol) -> Quote | None:
        return None if self._unproven[symbol] else self._quotes.get(symbol)

    def position(self, symbol: Symbol) -> Holding:
        return self._blotter.holding(symbol)

    def open_orders(self, symbol: Symbol | None) -> tuple[OwnOrder, ...]:
        return self._blotter.open_orders(symbol)

    def can_trade(self, symbol: Symbol) -> bool:
        return (
            self._account_up
            and not self._draining
            and not self._paused
            and self.trading_state is not TradingState.HALTED
            and self._hold_until_ns.get(symbol, 0) <= self.ctx.monotonic_ns
            and symbol not in self._halted_symbols
            and self._instruments[symbol].status is InstrumentStatus.TRADING
        )

    def submit(
        self,
        symbol: Symbol,
        side: Side,
        ord_type: OrdType,
        qty: Decimal,
        price: Decimal | None,
        time_in_force: TimeInForce,
        exec_inst: ExecInst,
    ) -> ClOrdID | None:
        """Round, check the venue's filters, send to the router; None when nothing may go out now."""
        if not self.can_trade(symbol):
            return None
        instrument = self._instruments[symbol]
        qty = instrument.round_qty(qty, ord_type)
        if price is not None:
            price = instrument.round_price(price, side)
        if not self._fits(instrument, side, ord_type, qty, price):
            return None
        if self.trading_state is TradingState.REDUCING and not self._reduces(symbol, side, qty):
            return None
        own = OwnOrder(self._next_id(), symbol, side, ord_type, qty, price, self.now_ns)
        own.time_in_force, own.exec_inst = time_in_force, exec_inst
        return self._place(own, time_in_force)

    def _next_id(self) -> ClOrdID:
        assert self._ids is not None
        return self._ids.next()

    def _place(self, own: OwnOrder, time_in_force: TimeInForce, orig_cl_ord_id: ClOrdID | None = None) -> ClOrdID:
        order = NewOrder(
            own.cl_ord_id,
            self.account,
            self.strategy,
            self.venue,
            own.symbol,
            own.side,
            own.ord_type,
            own.order_qty,
            own.price,
            own.created_ns,
            self.ctx.path,
            time_in_force,
            own.exec_inst,
            orig_cl_ord_id=orig_cl_ord_id,
        )
        self._blotter.add(own)
        self._sent += 1
        self.ctx.send(ROUTER, order)
        return own.cl_ord_id

    def replace(self, cl_ord_id: ClOrdID, qty: Decimal | None, price: Decimal | None) -> ClOrdID | None:
        """Other terms for a resting limit order, in place or by another order, as the venue can; None: not now."""
        order, able = self._blotter.live.get(cl_ord_id), self._able
        if order is None or able is None or order.price is None or order.ord_type is not OrdType.LIMIT:
            return None
        if order.canceling or order.replacing or order.ord_status is OrdStatus.PENDING_NEW:
            return None
        instrument = self._instruments[order.symbol]
        total = order.order_qty if qty is None else instrument.round_qty(qty)
        new_px = order.price if price is None else instrument.round_price(price, order.side)
        if total <= order.cum_qty:
            return None
        if new_px == order.price and total == order.order_qty:
            return cl_ord_id
        if new_px == order.price and total < order.order_qty and able.amends:
            return self._amend(order, total, None)
        if not self.can_trade(order.symbol):
            return None
        if able.amends_price:
            more = max(total - order.order_qty, ZERO)
            return self._amend(order, total, new_px) if self._may_grow(order, instrument, total, new_px, more) else None
        left = total - order.cum_qty
        if not able.cancel_replace or order.time_in_force is None:
            self._last_refusal = f"{self.venue} cannot give order {cl_ord_id} other terms"
            return None
        if not self._may_grow(order, instrument, left, new_px, left):
            return None
        new = OwnOrder(self._next_id(), order.symbol, order.side, order.ord_type, left, new_px, self.now_ns)
        new.time_in_force, new.exec_inst = order.time_in_force, order.exec_inst
        order.replacing = new.cl_ord_id
        return self._place(new, order.time_in_force, cl_ord_id)

    def _may_grow(self, order: OwnOrder, instrument: Instrument, qty: Decimal, price: Decimal, more: Decimal) -> bool:
        """Whether these terms are legal at the venue, and allowed in the present state."""
        if not self._fits(instrument, order.side, order.ord_type, qty, price):
            return False
        return self.trading_state is not TradingState.REDUCING or self._reduces(order.symbol, order.side, more)

    def _amend(self, order: OwnOrder, total: Decimal, price: Decimal | None) -> ClOrdID:
        """In place: straight to the account when it only makes the order smaller (`price` None), else by the gates."""
        to, request_id = (ROUTER, self._next_id()) if price is not None else (self._account_path, "")
        order.replacing = request_id or "amend"
        self.ctx.send(
            to,
            AmendOrder(
                order.cl_ord_id,
                self.account,
                self.venue,
                order.symbol,
                total,
                self.ctx.path,
                price,
                request_id,
                self.strategy,
                self.ctx.now_ns,
            ),
        )
        return order.cl_ord_id

    def _fits(self, instrument: Instrument, side: Side, ord_type: OrdType, qty: Decimal, price: Decimal | None) -> bool:
        reference = price
        if reference is None:
            quote = self.quote(instrument.symbol)
            if quote is not None:
                reference = quote.ask_px if side is Side.BUY else quote.bid_px
        violation = instrument.check_qty(qty, ord_type)
        if violation is None and price is not None:
            violation = instrument.check_price(price)
        if violation is None and reference is not None:
            violation = instrument.check_notional(qty, reference, ord_type)
        if violation is not None:
            self._last_refusal = f"{violation.reason.value}: {violation.text}"
        return violation is None

    def _reduces(self, symbol: Symbol, side: Side, qty: Decimal) -> bool:
        held = self._blotter.holding(symbol).qty * -side.sign
        resting = sum((o.leaves_qty for o in self._blotter.open_orders(symbol) if o.side is side), ZERO)
        return qty + resting <= held

    def cancel(self, cl_ord_id: ClOrdID) -> None:
        order = self._blotter.live.get(cl_ord_id)
        if order is None or order.canceling or self.ctx.now_ns < order.cancel_after_ns:
            return
        order.canceling = True
        self.ctx.send(self._account_path, CancelOrder(cl_ord_id, self.account, self.venue, order.symbol, self.ctx.path))

    def timer(self, delay_ns: int, key: str) -> None:
        self.ctx.after(delay_ns, TimerDue(key))

    def save(self, state: Mapping[str, Any]) -> None:
        """Journal `state` when it differs from what the journal has."""
        text = json.dumps(state, sort_keys=True, separators=(",", ":"), allow_nan=False)
        if text == self._saved:
            return
        self._saved = text
        digest = hashlib.sha256(text.encode()).hexdigest()
        snapshot = StateSnapshot(text, digest, self.ctx.now_ns)
        subject = f"strategies.{self.strategy}"
        self.ctx.send(JOURNAL, Append(strategy_key(self.strategy), subject, (snapshot,), (), self.ctx.path))

    def signal(self, symbol: Symbol, side: Side | None, kind: str, price: Decimal, text: str) -> None:
        signal = Signal(self.strategy, self.account, self.venue, symbol, side, kind, price, text, self.ctx.now_ns)
        subject = f"signals.{self.venue}.{symbol}"
        self.ctx.send(JOURNAL, Append(signals_key(self.strategy), subject, (signal,), (), self.ctx.path))

    def inspect(self) -> Mapping[str, object]:
        return {
            "strategy": type(self._code).__name__,
            "account": self.account,
            "symbols": list(self.symbols),
            "state": self.trading_state.value,
            "paused": self._paused,
            "draining": self._draining,
            "account_up": self._account_up,
            "positions": {s: str(self.position(s).qty) for s in self.symbols},
            "open_orders": len(self._blotter.live),
            "unproven": {s: sorted(reasons) for s, reasons in self._unproven.items() if reasons},
            "held_off": sorted(self._hold_until_ns),
            "sent": self._sent,
            "fills": self._fills,
            "refused": self._refused,
            "last_refusal": self._last_refusal,
        }
