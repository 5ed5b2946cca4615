"""The decision of a gate: may this order leave?  Pure: state and an order in, a refusal (or nothing) out.

`RiskGate.decide` returns None for an order that may pass, and has then reserved its exposure in the same step, so that
orders decided one after the other can never exceed a limit together.  Otherwise it returns a `Refusal` that names the
limit, the value and the bound.

What an order must pass:

===================  ====================================================================================
any order            not HALTED, journal healthy, ClOrdID new, instrument known and tradable, and in the
                     firm's gate, which sees it first: numbers that the venue can accept
a *reducing* order   nothing else, except that without a limit price it needs a proven reference price
any other order      ACTIVE, not draining, proven reference, price band, size, position, exposure, open
                     orders, rate, day's count; in the account's gate: not a repetition; in the firm's
                     gate: no crossing of our own orders
===================  ====================================================================================

An amend that may raise risk is decided as the order would be that it makes of the old one (`decide_amend`): the same
rules in the same order, for the larger of both.  One that only makes an order smaller passes whatever the state.

An order is *reducing* when it cannot make the position larger whatever happens to the live orders of its side: all of
them and itself together are not more than the position they close.  Reductions always pass the limits: a limit that
keeps somebody in a position would be a danger of its own.

The path of an order that passes is kept short on purpose (see `tools/bench/risk.py`): few calls, no allocation but the
reservation, texts only for refusals.
"""

from __future__ import annotations

from decimal import Decimal

import attrs

from actors.risk.exposure import Exposure, Leg, LiveOrder, Repeats, Row
from actors.risk.limits import AccountLimits, FirmLimits, Limits
from actors.risk.market import Market
from actors.risk.rate import Pace
from protocols.control import ExposurePicture, ExposureRow
from protocols.enums import CxlRejReason, ExecInst, OrdRejReason, OrdType, Side, TimeInForce, TradingState
from protocols.instruments import Instrument, Product, Violation, plain
from protocols.orders import AmendOrder, NewOrder

__all__ = ["DAY_NS", "AmendRefusal", "Refusal", "RiskGate"]

ZERO = Decimal(0)
DAY_NS = 86_400 * 1_000_000_000

Why = OrdRejReason

# Resolved once: a member access on an Enum class costs as much as the comparison it serves.
_ACTIVE, _HALTED = TradingState.ACTIVE, TradingState.HALTED
_BUY = Side.BUY
_MARKET, _LIMIT = OrdType.MARKET, OrdType.LIMIT
_PRICED = (OrdType.LIMIT, OrdType.STOP_LIMIT, OrdType.TAKE_PROFIT_LIMIT)
_TRIGGERED = (OrdType.STOP, OrdType.STOP_LIMIT, OrdType.TAKE_PROFIT, OrdType.TAKE_PROFIT_LIMIT)


@attrs.frozen
class Refusal:
    """Why an order may not leave."""

    reason: OrdRejReason
    text: str


@attrs.frozen
class AmendRefusal:
    """Why an amend may not leave."""

    reason: CxlRejReason
    text: str


class RiskGate:
    """Limits, exposure, trading state and counters of one scope (`firm` or an account id)."""

    def __init__(self, scope: str, limits: FirmLimits | AccountLimits) -> None:
        self.scope = scope
        self.limits: Limits = limits
        self._firm = limits if isinstance(limits, FirmLimits) else None
        self._account = limits if isinstance(limits, AccountLimits) else None
        self._no_self_cross = self._firm is not None and not self._firm.allow_self_cross
        self.exposure = Exposure(limits, own_prices=self._no_self_cross)
        self.state = TradingState.ACTIVE
        self.draining = False
        self.journal_healthy = True
        self.tripped = ""
        """Set by the breaker: why this scope must stop adding risk.  Who owns the gate acts on it and clears it."""
        self.orders_today = 0
        self.day = 0
        """UTC day that `orders_today` belongs to, days since the epoch."""
        self._day_ends_ns = 0
        self._pace = Pace()
        self._max_quote_age_ns = limits.max_quote_age_ns

    # ---- the decision -----------------------------------------------------------------------------------------

    def decide(self, order: NewOrder, now_ns: int, monotonic_ns: int) -> Refusal | None:
        """None: the order may pass and is reserved.  `now_ns` wall clock, `monotonic_ns` for durations."""
        if self.state is _HALTED or not self.journal_healthy:
            return self._refuse_all()
        exposure = self.exposure
        key = order.cl_ord_id
        if key in exposure.orders or key in exposure.finished or key in exposure.finished_before:
            return Refusal(Why.DUPLICATE_CL_ORD_ID, f"cl_ord_id {order.cl_ord_id} was used before")
        market = exposure.markets.get((order.venue, order.symbol))
        if market is None or market.instrument is None:
            return Refusal(Why.UNKNOWN_INSTRUMENT, f"{order.symbol} is not known on {order.venue}")
        proven = monotonic_ns - market.proven_at_ns <= self._max_quote_age_ns
        if self._firm is not None:
            refusal = refuse_impossible(order, market, market.instrument, proven)
            if refusal is not None:
                return refusal
        self._catch_up(now_ns, monotonic_ns)

        row = market.rows.get(order.account) or exposure.row(order.account, market)
        leg = row.buy if order.side is _BUY else row.sell
        if leg.net + order.order_qty <= ZERO:
            if not proven and order.ord_type not in _PRICED:
                return self._unproven(market, "an order without a limit price")
            exposure.reserve_reducing(order, leg, worst_price(order, market))
        else:
            refusal = self._refuse_risk(order, row, market.instrument, proven, monotonic_ns)
            if refusal is not None:
                return refusal
            breach = exposure.reserve(order, leg, worst_price(order, market))
            if breach is not None:
                return exceeds(breach.reason, breach.limit, breach.value, breach.bound)
        self.orders_today += 1
        self._pace.add()
        return None

    def decide_amend(self, amend: AmendOrder, now_ns: int, monotonic_ns: int) -> AmendRefusal | None:
        """None: the amend may pass, and the larger of both terms is reserved."""
        live = self.exposure.orders.get(amend.cl_ord_id)
        if live is None:
            return AmendRefusal(CxlRejReason.UNKNOWN_ORDER, f"{self.scope} knows no live order {amend.cl_ord_id}")
        leg, row, market = live.leg, live.leg.row, live.leg.row.market
        if (row.account, market.venue, market.symbol) != (amend.account, amend.venue, amend.symbol):
            text = f"order {live.key} is of account {row.account} in {market.symbol} on {market.venue}"
            return AmendRefusal(CxlRejReason.UNKNOWN_ORDER, text)
        if live.amend is not None:
            return AmendRefusal(CxlRejReason.ALREADY_PENDING, "an amend of this order is on its way")
        if amend.price in (None, live.resting_px) and amend.order_qty <= live.order_qty:
            return None
        if not amend.request_id:
            return AmendRefusal(CxlRejReason.UNSUPPORTED, "an amend that may raise risk needs a request_id")
        if live.resting_px is None or market.instrument is None:
            return AmendRefusal(CxlRejReason.UNSUPPORTED, "only the terms of a LIMIT order can be changed")
        price = live.resting_px if amend.price is None else amend.price
        wish = _as_order(amend, leg, price, market)
        refusal = self._refuse_amended(wish, live, now_ns, monotonic_ns)
        if refusal is None:
            more_qty = max(amend.order_qty, live.order_qty) - live.order_qty
            breach = self.exposure.reserve_amend(
                live,
                amend.request_id,
                amend.order_qty,
                price,
                worst_price(wish, market),
                limited=leg.net + more_qty > ZERO,
            )
            if breach is not None:
                refusal = exceeds(breach.reason, breach.limit, breach.value, breach.bound)
        if refusal is not None:
            return AmendRefusal(CxlRejReason.RISK, f"{refusal.reason.value}: {refusal.text}")
        self.orders_today += 1
        self._pace.add()
        return None

    def _refuse_amended(self, wish: NewOrder, live: LiveOrder, now_ns: int, monotonic_ns: int) -> Refusal | None:
        """All but the limits on exposure, for the order that the amend would make."""
        leg, row, market = live.leg, live.leg.row, live.leg.row.market
        assert market.instrument is not None
        if self.state is _HALTED or not self.journal_healthy:
            return self._refuse_all()
        proven = monotonic_ns - market.proven_at_ns <= self._max_quote_age_ns
        if self._firm is not None:
            refusal = refuse_impossible(wish, market, market.instrument, proven)
            if refusal is not None:
                return refusal
        self._catch_up(now_ns, monotonic_ns)
        if leg.net + max(wish.order_qty - live.order_qty, ZERO) <= ZERO:
            return None
        return self._refuse_risk(wish, row, market.instrument, proven, monotonic_ns)

    def _catch_up(self, now_ns: int, monotonic_ns: int) -> None:
        """What is counted by time begins anew when its time has come."""
        if monotonic_ns >= self._pace.next_ns:
            self._pace.advance(monotonic_ns)
        if now_ns >= self._day_ends_ns:
            self.count_day(now_ns // DAY_NS, 0)

    def _refuse_all(self) -> Refusal:
        """Why nothing but a cancel or a smaller quantity may leave, not even a reduction."""
        if self.state is _HALTED:
            return Refusal(Why.HALTED, f"{self.scope} is halted")
        return Refusal(Why.JOURNAL, "the journal cannot write, so no order may leave")

    def _refuse_risk(
        self, order: NewOrder, row: Row, instrument: Instrument, proven: bool, monotonic_ns: int
    ) -> Refusal | None:
        """What only an order that adds risk must satisfy, but for the limits on exposure."""
        market = row.market
        if not proven or self.state is not _ACTIVE or self.draining or not market.unit or self.exposure.unvalued:
            return self._refuse_state(market)
        return self._refuse_price(order, market, instrument) or self._refuse_pace(order, row, monotonic_ns)

    def _refuse_state(self, market: Market) -> Refusal:
        """Why nothing that adds risk may leave now."""
        if self.draining:
            return Refusal(Why.DRAINING, "the engine is stopping: only reductions may leave")
        if self.state is not _ACTIVE:
            return Refusal(Why.REDUCE_ONLY_MODE, f"{self.scope} is {self.state.value}: only reductions may leave")
        if not market.unit:
            return Refusal(Why.UNSUPPORTED, f"{market.symbol} cannot be valued in {self.limits.currency}")
        if self.exposure.unvalued:
            return Refusal(
                Why.NO_REFERENCE_PRICE, f"{self.exposure.unvalued} position(s) of {self.scope} have no price"
            )
        return self._unproven(market, "an order that adds risk")

    def _unproven(self, market: Market, what: str) -> Refusal:
        gaps = sorted(market.gaps | market.venue_gaps)
        why = f"gap open in {', '.join(gaps)}" if gaps else "no quote, or it is too old"
        return Refusal(Why.NO_REFERENCE_PRICE, f"{what} needs a proven price of {market.symbol}: {why}")

    def _refuse_price(self, order: NewOrder, market: Market, instrument: Instrument) -> Refusal | None:
        """Our price band; in the firm's gate also the venue's, and our own resting orders."""
        price = order.price
        if order.ord_type in _PRICED:
            assert price is not None
            low, high, center = market.low, market.high, market.mid
            if order.stop_px is not None:
                center = order.stop_px
                low, high = center * market.total.low, center * market.total.high
            if not low <= price <= high:
                text = f"price was {price}, must be from {plain(low)} to {plain(high)} (around {plain(center)})"
                return Refusal(Why.PRICE_BAND, text)
            if self._firm is not None and (instrument.bid_multiplier_up or instrument.ask_multiplier_up):
                violation = instrument.check_reference(price, order.side, market.mid)
                if violation is not None:
                    return _refusal(violation)
        if self._no_self_cross and (market.own_buys or market.own_sells):
            return refuse_self_cross(order, market)
        return None

    def _refuse_pace(self, order: NewOrder, row: Row, monotonic_ns: int) -> Refusal | None:
        """Order rate, and the breaker that ends a runaway."""
        limits, pace = self.limits, self._pace
        if pace.second.total >= limits.max_orders_per_s:
            return exceeds(Why.ORDER_RATE, "max_orders_per_s", pace.second.total + 1, limits.max_orders_per_s)
        if pace.minute.total >= limits.max_orders_per_minute:
            return exceeds(Why.ORDER_RATE, "max_orders_per_minute", pace.minute.total + 1, limits.max_orders_per_minute)
        if self.orders_today >= limits.max_orders_per_day:
            allowed = limits.max_orders_per_day
            return self._trip(exceeds(Why.ORDER_RATE, "max_orders_per_day", self.orders_today + 1, allowed))
        if self._account is not None:
            return self._refuse_repetition(order, row, monotonic_ns, self._account)
        return None

    def _refuse_repetition(self, order: NewOrder, row: Row, monotonic_ns: int, limits: AccountLimits) -> Refusal | None:
        repeats_of_side = row.buy_repeats if order.side is _BUY else row.sell_repeats
        repeats = repeats_of_side.get(order.strategy)
        if repeats is None:
            repeats = repeats_of_side[order.strategy] = Repeats()
        if (
            repeats.order_qty != order.order_qty
            or repeats.price != order.price
            or repeats.ord_type is not order.ord_type
            or monotonic_ns - repeats.since_ns > limits.repeat_window_ns
        ):
            repeats.begin(order, monotonic_ns)
        repeats.count += 1
        if repeats.count > limits.max_repeats:
            text = f"max_repeats of {order.strategy}"
            return self._trip(exceeds(Why.ORDER_RATE, text, repeats.count, limits.max_repeats))
        return None

    def _trip(self, refusal: Refusal) -> Refusal:
        self.tripped = f"breaker: {refusal.text}"
        return refusal

    # ---- control ----------------------------------------------------------------------------------------------

    def count_day(self, day: int, orders_today: int) -> None:
        """Count the orders of `day` (UTC, days since the epoch) from `orders_today` on."""
        self.day = day
        self.orders_today = orders_today
        self._day_ends_ns = (day + 1) * DAY_NS

    def reset_breaker(self) -> None:
        """A considered release: what the breaker counted starts anew."""
        self.tripped = ""
        self.orders_today = 0
        for row in self.exposure.rows():
            row.buy_repeats.clear()
            row.sell_repeats.clear()

    def picture(self, monotonic_ns: int) -> ExposurePicture:
        """What this gate believes, and how much of each limit is used."""
        limits, exposure, pace = self.limits, self.exposure, self._pace
        pace.advance(monotonic_ns)
        rows = tuple(
            ExposureRow(
                row.account,
                row.market.venue,
                row.market.symbol,
                row.position,
                row.buy.qty,
                row.sell.qty,
                row.worth,
            )
            for row in exposure.rows()
        )
        counts = (
            ("max_open_orders", len(exposure.orders), limits.max_open_orders),
            ("max_orders_per_s", pace.second.total, limits.max_orders_per_s),
            ("max_orders_per_minute", pace.minute.total, limits.max_orders_per_minute),
            ("max_orders_per_day", self.orders_today, limits.max_orders_per_day),
        )
        use = [("max_exposure", exposure.worth_with_unproven(), limits.max_exposure)]
        use += [(name, Decimal(used), Decimal(allowed)) for name, used, allowed in counts]
        for symbol, total in exposure.totals.items():
            use.append((f"max_position_qty {symbol}", total.qty, total.max_position_qty))
            use.append((f"max_position_notional {symbol}", total.notional, total.max_position_notional))
        return ExposurePicture(self.scope, self.state, rows, len(exposure.orders), tuple(use))


def _as_order(amend: AmendOrder, leg: Leg, price: Decimal, market: Market) -> NewOrder:
    """The order that an amend would make of the one that rests."""
    return NewOrder(
        amend.cl_ord_id,
        amend.account,
        amend.strategy,
        amend.venue,
        amend.symbol,
        _BUY if leg.is_buy else Side.SELL,
        _LIMIT,
        amend.order_qty,
        price,
        amend.created_ns,
        amend.reply_to,
        next(iter(market.times_in_force), TimeInForce.GTC),
    )


def exceeds(reason: OrdRejReason, limit: str, value: Decimal | int, bound: Decimal | int) -> Refusal:
    """A refusal that names limit, value and bound."""
    shown = plain(value) if isinstance(value, Decimal) else str(value)
    most = plain(bound) if isinstance(bound, Decimal) else str(bound)
    return Refusal(reason, f"{limit} would be {shown}, must be at most {most}")


def _refusal(violation: Violation) -> Refusal:
    return Refusal(violation.reason, violation.text)


def refuse_impossible(order: NewOrder, market: Market, instrument: Instrument, proven: bool) -> Refusal | None:
    """Whether the venue could accept the order's kind and numbers at all (`binance-spot` section 6)."""
    ord_type = order.ord_type
    if market.halted or not market.trading:
        return Refusal(Why.NOT_TRADABLE, f"{order.symbol} on {order.venue} takes no orders now")
    if ord_type not in market.ord_types:
        return Refusal(Why.UNSUPPORTED, f"{order.venue} takes no {ord_type.value} orders in {order.symbol}")
    if order.time_in_force not in market.times_in_force and ord_type is not _MARKET:
        return Refusal(Why.UNSUPPORTED, f"{order.venue} takes no {order.time_in_force.value} orders in {order.symbol}")
    if instrument.product is Product.INVERSE:
        return Refusal(Why.UNSUPPORTED, f"{order.symbol} is an inverse contract, which the limits cannot value")
    qty, price = order.order_qty, order.price
    if ord_type is _LIMIT and price is not None and qty.is_finite() and price.is_finite() and market.fits(qty, price):
        return None
    if not qty.is_finite():
        return Refusal(Why.BAD_QUANTITY, f"order_qty was {qty}, must be a number")
    violation = instrument.check_qty(qty, ord_type)
    if violation is not None:
        return _refusal(violation)
    if ord_type in _PRICED:
        if price is None or not price.is_finite():
            return Refusal(Why.BAD_PRICE, f"price was {price}, must be a number in a {ord_type.value} order")
        violation = instrument.check_price(price)
    else:
        price = market.mid if proven else None
    closes = instrument.product is not Product.SPOT and ExecInst.REDUCE_ONLY in order.exec_inst
    if violation is None and price is not None and not closes:  # venues let the rest of a position go, however small
        violation = instrument.check_notional(qty, price, ord_type)
    if violation is None and ord_type in _TRIGGERED:
        if order.stop_px is None or not order.stop_px.is_finite():
            return Refusal(Why.BAD_PRICE, f"stop_px was {order.stop_px}, must be a number in a {ord_type.value} order")
        violation = instrument.check_price(order.stop_px, "stop_px")
    return None if violation is None else _refusal(violation)


def worst_price(order: NewOrder, market: Market) -> Decimal:
    """The most that one contract of the order may cost, in the limits' currency.

    A limit order: its price, but never less than the mark.  One without a limit: as far beyond the ask (or its
    trigger) as a limit order may be priced.
    """
    mark = market.mark
    if order.ord_type in _PRICED:
        assert order.price is not None
        cost = order.price * market.unit
        return cost if cost > mark else mark
    start = mark
    if order.stop_px is not None and order.stop_px * market.unit > start:
        start = order.stop_px * market.unit
    return start * market.total.high


def refuse_self_cross(order: NewOrder, market: Market) -> Refusal | None:
    """An order that could trade with one of our own, of any account.  Triggered orders rest in no book yet."""
    is_buy = order.side is _BUY
    price = order.price
    if order.ord_type is _MARKET:
        price = market.ask * market.total.high if is_buy else market.mid * market.total.low
    elif order.ord_type is not _LIMIT:
        return None
    assert price is not None
    own = market.crossed_by(is_buy, price)
    if own is None:
        return None
    return Refusal(Why.SELF_CROSS, f"{order.side.value} at {plain(price)} would cross our own order at {plain(own)}")
