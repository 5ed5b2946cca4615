"""TFPE, the strategy: what the rules decide on each closed bar, and what becomes of the position.

* A decision is made on the close of an entry bar, from closed bars only; the trend is the last *closed* trend bar's.
* An entry is an immediate-or-cancel limit order that may reach `entry_slippage_pct` beyond the best price.
* Stop and target are fixed from the average entry price and the ATR of the signal's bar, and stay (or only tighten,
  `stop_mode`).  They are watched on each proven quote and on each closed bar (the stop first), and end the position by
  a market order, which is repeated until nothing is left that the venue would take.
* One position a symbol; after a fill and after an exit the symbol rests for `cooldown_s`; a refused or unfilled entry
  waits for the next bar but one.
* On spot there are no shorts: a short signal ends a long position and opens nothing; leverage is 1.
* Plan, pending entry and rest are saved in the journal, so that a restart in the middle of a position keeps its stop.
  A position without a plan (its memory is gone) gets one from the next bar's ATR: it is never left without a stop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import attrs

from actors.strategy.base import ZERO, Strategy
from actors.strategy.indicators import ADX, ATR, EMA, RSI, Donchian, Momentum, Ratio, as_float, to_decimal
from actors.strategy.tfpe_rules import BarValues, Evaluation, StopMode, TfpeParams, entry_notional, evaluate
from protocols.enums import OrdType, Side, TimeInForce
from protocols.ids import ClOrdID, Symbol
from protocols.instruments import Product
from protocols.market import Candle, Quote
from protocols.orders import ExecutionReport, OrderRefused

SECOND_NS = 1_000_000_000
HISTORY_BARS = 1_000
RETRY_NS = SECOND_NS
"""Pause before an exit that nothing traded against is sent again."""


@attrs.frozen
class Plan:
    """How a position ends."""

    side: Side
    stop: Decimal
    target: Decimal
    atr: Decimal
    entered_ns: int


@attrs.frozen
class Pending:
    """An entry that is on its way."""

    cl_ord_id: ClOrdID
    side: Side
    atr: Decimal


class Series:
    """The indicators of one symbol."""

    def __init__(self, params: TfpeParams) -> None:
        self._channel = Donchian(params.donchian_period)
        self._swing = Donchian(params.swing_period)
        self._adx = ADX(params.adx_period)
        self._rsi = RSI(params.rsi_period)
        self._atr = ATR(params.atr_period)
        self._ema = EMA(params.ema_period)
        self._volume = Ratio(params.volume_period)
        self._momentum = Momentum(params.momentum_period)
        self._trend_channel = Donchian(params.donchian_period)
        self._trend_close: float | None = None
        self._close = ZERO
        self.bars = 0

    def add_trend(self, candle: Candle) -> None:
        """Take one closed trend bar."""
        self._trend_channel.update(as_float(candle.high), as_float(candle.low))
        self._trend_close = as_float(candle.close)

    def add_entry(self, candle: Candle) -> None:
        """Take one closed entry bar."""
        high, low, close = as_float(candle.high), as_float(candle.low), as_float(candle.close)
        self._channel.update(high, low)
        self._swing.update(high, low)
        self._adx.update(high, low, close)
        self._rsi.update(close)
        self._atr.update(high, low, close)
        self._ema.update(close)
        self._volume.update(as_float(candle.volume))
        self._momentum.update(close)
        self._close = candle.close
        self.bars += 1

    @property
    def atr(self) -> Decimal | None:
        """Average true range of the newest bar."""
        return None if self._atr.value is None else to_decimal(self._atr.value)

    @property
    def middle(self) -> Decimal | None:
        """Middle of the entry channel."""
        return None if self._channel.value is None else to_decimal(self._channel.value.middle)

    def values(self) -> BarValues | None:
        """What the rules look at, or None while any of it is not warmed up."""
        channel, swing, directional = self._channel.value, self._swing.value, self._adx.value
        trend, trend_close = self._trend_channel.value, self._trend_close
        rsi, atr, ema = self._rsi.value, self._atr.value, self._ema.value
        ratio, momentum = self._volume.value, self._momentum.value
        if channel is None or swing is None or directional is None or directional.adx is None:
            return None
        if trend is None or not trend_close or rsi is None or atr is None or ema is None:
            return None
        if ratio is None or momentum is None:
            return None
        return BarValues(
            close=self._close,
            trend=1 if trend_close > trend.middle else -1,
            trend_width_pct=to_decimal(100 * (trend.upper - trend.lower) / trend_close),
            channel_position=to_decimal(channel.position(as_float(self._close))),
            channel_middle=to_decimal(channel.middle),
            adx=to_decimal(directional.adx),
            rsi=to_decimal(rsi),
            atr=to_decimal(atr),
            ema=to_decimal(ema),
            volume_ratio=to_decimal(ratio),
            momentum_pct=to_decimal(momentum),
            swing_high=to_decimal(swing.upper),
            swing_low=to_decimal(swing.lower),
        )


@attrs.define
class Track:
    """One symbol's state beside its indicators."""

    series: Series
    plan: Plan | None = None
    pending: Pending | None = None
    exiting: str = ""
    """Why the position is being closed; "" while it is not."""
    rests_until_ns: int = 0
    skip_bars: int = 0
    """Bars that may not open a position."""


class Tfpe(Strategy):
    """Trend following with price extremes."""

    Params = TfpeParams
    params: TfpeParams

    def __init__(self, params: TfpeParams | None = None) -> None:
        super().__init__(params)
        self._entry_ns = self.params.entry_interval_s * SECOND_NS
        self._trend_ns = self.params.trend_interval_s * SECOND_NS
        self._tracks: dict[Symbol, Track] = {}

    def bars(self) -> Mapping[int, int]:
        return {self._entry_ns: HISTORY_BARS, self._trend_ns: HISTORY_BARS}

    # ---- memory ------------------------------------------------------------------------------------------------

    def on_restore(self, state: Mapping[str, Any]) -> None:
        for symbol, saved in state.items():
            track = self._track(Symbol(symbol))
            track.rests_until_ns = saved["rests_until_ns"]
            track.exiting = saved["exiting"]
            plan, pending = saved["plan"], saved["pending"]
            if plan is not None:
                stop, target, atr = Decimal(plan["stop"]), Decimal(plan["target"]), Decimal(plan["atr"])
                track.plan = Plan(Side(plan["side"]), stop, target, atr, plan["entered_ns"])
            if pending is not None:
                cl_ord_id = ClOrdID(pending["cl_ord_id"])
                track.pending = Pending(cl_ord_id, Side(pending["side"]), Decimal(pending["atr"]))

    def _remember(self) -> None:
        self.save({symbol: _saved(track) for symbol, track in self._tracks.items()})

    def _track(self, symbol: Symbol) -> Track:
        track = self._tracks.get(symbol)
        if track is None:
            track = self._tracks[symbol] = Track(Series(self.params))
        return track

    # ---- start -------------------------------------------------------------------------------------------------

    def on_history(self, symbol: Symbol, interval_ns: int, candles: Sequence[Candle]) -> None:
        series = self._track(symbol).series
        add = series.add_trend if interval_ns == self._trend_ns else series.add_entry
        for candle in candles:
            add(candle)

    def on_start(self) -> None:
        for symbol in self.symbols:
            track = self._track(symbol)
            if track.pending is not None and not self._is_open(track.pending.cl_ord_id, symbol):
                self._entry_ended(symbol, track, track.pending)
            if track.plan is not None and not self._is_held(symbol):
                track.plan, track.exiting = None, ""
            if track.exiting:
                self._close(symbol, track, track.exiting)
        self._remember()

    def _is_open(self, cl_ord_id: ClOrdID, symbol: Symbol) -> bool:
        return any(order.cl_ord_id == cl_ord_id for order in self.open_orders(symbol))

    # ---- bars --------------------------------------------------------------------------------------------------

    def on_candle(self, candle: Candle) -> None:
        track = self._track(candle.symbol)
        if candle.interval_ns == self._trend_ns:
            track.series.add_trend(candle)
            return
        track.series.add_entry(candle)
        if self._is_held(candle.symbol):
            self._manage(candle, track)
        elif track.pending is None and not track.exiting:
            self._consider(candle, track)
        self._remember()

    def _consider(self, candle: Candle, track: Track) -> None:
        """A flat symbol at the close of a bar: is there an entry?"""
        if track.skip_bars:
            track.skip_bars -= 1
            return
        values = self._settled(candle, track)
        if values is None:
            return
        evaluation = evaluate(values, self.params)
        why_not = self._why_not(candle.symbol, evaluation, track)
        if evaluation.side is None or why_not:
            text = f"{evaluation.text}{f'; {why_not}' if why_not else ''}"
            self.signal(candle.symbol, evaluation.direction, "hold", candle.close, text)
            return
        self.signal(candle.symbol, evaluation.side, "entry", candle.close, evaluation.text)
        self._enter(candle.symbol, track, evaluation.side, values)

    def _settled(self, candle: Candle, track: Track) -> BarValues | None:
        """The bar's values, if a decision may be based on them."""
        warm = track.series.bars >= self.params.warmup_bars
        return track.series.values() if warm and not candle.has_gap else None

    def _why_not(self, symbol: Symbol, evaluation: Evaluation, track: Track) -> str:
        if evaluation.side is None:
            return ""
        if self.now_ns < track.rests_until_ns:
            return "resting"
        if evaluation.side is Side.SELL and self._spot(symbol):
            return "no shorts on spot"
        if self.quote(symbol) is None:
            return "no proven quote"
        return "" if self.can_trade(symbol) else "not allowed to trade"

    def _enter(self, symbol: Symbol, track: Track, side: Side, values: BarValues) -> None:
        quote = self.quote(symbol)
        if quote is None or values.atr <= 0:
            return
        best = quote.ask_px if side is Side.BUY else quote.bid_px
        leverage = 1 if self._spot(symbol) else self.params.leverage
        notional = entry_notional(self.params, self.params.stop_atr * values.atr / best, leverage)
        limit = best * (1 + side.sign * self.params.entry_slippage_pct / 100)
        # Sized by the worst price it may pay, so that the order's value never exceeds the notional.
        qty = notional / max(best, limit)
        cl_ord_id = self.limit(symbol, side, qty, limit, time_in_force=TimeInForce.IOC)
        if cl_ord_id is not None:
            track.pending = Pending(cl_ord_id, side, values.atr)

    def _spot(self, symbol: Symbol) -> bool:
        return self.instrument(symbol).product is Product.SPOT

    # ---- the position ------------------------------------------------------------------------------------------

    def _is_held(self, symbol: Symbol) -> bool:
        """Whether there is a position that the venue would let us close; less is dust."""
        held = self.position(symbol).qty
        if held == 0:
            return False
        instrument = self.instrument(symbol)
        qty = instrument.round_qty(abs(held), OrdType.MARKET)
        if instrument.check_qty(qty, OrdType.MARKET) is not None:
            return False
        quote = self.quote(symbol)
        price = self.position(symbol).avg_px if quote is None else quote.mid
        return instrument.check_notional(qty, price, OrdType.MARKET) is None

    def _manage(self, candle: Candle, track: Track) -> None:
        """A held symbol at the close of a bar: stop first, then target, then the optional exits."""
        plan = self._planned(candle.symbol, track)
        if plan is None or track.exiting:
            return
        long = plan.side is Side.BUY
        worst, best = (candle.low, candle.high) if long else (candle.high, candle.low)
        reason = _touched(plan, worst) or _touched(plan, best) or self._optional_exit(candle, track, plan)
        if reason:
            self._close(candle.symbol, track, reason)
        elif self.params.stop_mode is StopMode.RATCHET and track.series.atr is not None:
            stop = candle.close - plan.side.sign * self.params.stop_atr * track.series.atr
            if (stop - plan.stop) * plan.side.sign > 0:
                track.plan = attrs.evolve(plan, stop=stop)

    def _optional_exit(self, candle: Candle, track: Track, plan: Plan) -> str:
        middle = track.series.middle
        if self.params.exit_on_middle and middle is not None and (candle.close - middle) * plan.side.sign < 0:
            return "middle"
        if self.params.max_holding_s and self.now_ns - plan.entered_ns >= self.params.max_holding_s * SECOND_NS:
            return "time"
        values = self._settled(candle, track)
        if values is None or plan.side is Side.SELL or not self._spot(candle.symbol):
            return ""
        return "short signal" if evaluate(values, self.params).side is Side.SELL else ""

    def _planned(self, symbol: Symbol, track: Track) -> Plan | None:
        """The position's plan; made anew when it has none."""
        if track.plan is None and track.pending is None and track.series.atr:
            side = Side.BUY if self.position(symbol).qty > 0 else Side.SELL
            track.plan = self._plan(symbol, side, track.series.atr)
        return track.plan

    def _plan(self, symbol: Symbol, side: Side, atr: Decimal) -> Plan:
        entry = self.position(symbol).avg_px
        stop = entry - side.sign * self.params.stop_atr * atr
        return Plan(side, stop, entry + side.sign * self.params.target_atr * atr, atr, self.now_ns)

    def on_quote(self, quote: Quote) -> None:
        track = self._tracks.get(quote.symbol)
        if track is None or track.plan is None or track.exiting:
            return
        reason = _touched(track.plan, quote.bid_px if track.plan.side is Side.BUY else quote.ask_px)
        if reason and self._is_held(quote.symbol):
            self._close(quote.symbol, track, reason)
            self._remember()

    def _close(self, symbol: Symbol, track: Track, reason: str) -> None:
        """Begin (or go on) to end the position."""
        held = self.position(symbol)
        side = Side.SELL if held.qty > 0 else Side.BUY
        if not track.exiting:
            track.exiting = reason
            quote = self.quote(symbol)
            self.signal(symbol, side, "exit", held.avg_px if quote is None else quote.mid, reason)
        if not self._is_held(symbol):
            self._closed(symbol, track)
        elif not self.open_orders(symbol):
            self.market(symbol, side, abs(held.qty), reduce_only=not self._spot(symbol))

    def _closed(self, symbol: Symbol, track: Track) -> None:
        track.plan, track.exiting = None, ""
        track.rests_until_ns = self.now_ns + self.params.cooldown_s * SECOND_NS
        track.skip_bars = 1

    # ---- what became of our orders -----------------------------------------------------------------------------

    def on_execution(self, report: ExecutionReport) -> None:
        track = self._track(report.symbol)
        pending = track.pending
        if pending is not None and report.cl_ord_id == pending.cl_ord_id:
            if report.ord_status.is_final:
                self._entry_ended(report.symbol, track, pending)
        elif track.exiting and report.ord_status.is_final:
            if report.cum_qty or not self._is_held(report.symbol):
                self._close(report.symbol, track, track.exiting)
            else:
                self.timer(RETRY_NS, report.symbol)  # nobody took it: at once again would be a hot loop
        self._remember()

    def _entry_ended(self, symbol: Symbol, track: Track, pending: Pending) -> None:
        track.pending = None
        if self._is_held(symbol):
            track.plan = self._plan(symbol, pending.side, pending.atr)
            track.rests_until_ns = self.now_ns + self.params.cooldown_s * SECOND_NS
        else:
            track.skip_bars = 1

    def on_order_refused(self, refused: OrderRefused) -> None:
        track = self._track(refused.symbol)
        if track.pending is not None and track.pending.cl_ord_id == refused.cl_ord_id:
            track.pending, track.skip_bars = None, 1
            self._remember()

    def on_timer(self, key: str) -> None:
        self.on_resume(Symbol(key))

    def on_resume(self, symbol: Symbol) -> None:
        track = self._tracks.get(symbol)
        if track is not None and track.exiting:
            self._close(symbol, track, track.exiting)
            self._remember()


def _touched(plan: Plan, price: Decimal) -> str:
    sign = plan.side.sign
    if (price - plan.stop) * sign <= 0:
        return "stop"
    return "target" if (price - plan.target) * sign >= 0 else ""


def _saved(track: Track) -> dict[str, Any]:
    plan, pending = track.plan, track.pending
    return {
        "rests_until_ns": track.rests_until_ns,
        "exiting": track.exiting,
        "plan": plan
        and {
            "side": plan.side.value,
            "stop": str(plan.stop),
            "target": str(plan.target),
            "atr": str(plan.atr),
            "entered_ns": plan.entered_ns,
        },
        "pending": pending and {"cl_ord_id": pending.cl_ord_id, "side": pending.side.value, "atr": str(pending.atr)},
    }
