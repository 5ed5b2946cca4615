"""Exposure of one scope: positions plus what live orders could still add, kept by increments.

Per account, venue and symbol there is a `Row` with two `Leg`s, BUY and SELL.  A leg's `net` is where the position
would stand, seen from its side, if all live orders of that side filled and none of the other::

    BUY net  =  position + live buys          SELL net  =  live sells - position

No subset of fills can carry the position further than the larger of the two, so that is the row's worst case.  Its
worth is counted with what a fill may cost at most (`value_px` of each order, fixed at approval) and never below the
present mark.  A leg whose net is not above zero can only reduce.

An amend that may raise risk reserves the larger of the order's terms and of what it asks for, in quantity and in worth,
until it is over; both its prices count as resting meanwhile.  An order that replaces another is an order like any
other, reserved beside the one that it replaces.

What is reserved at approval is released by fills, cancels, rejects and refusals; an order in doubt has none of these
and stays reserved.  A fill moves quantity from the leg to the position: the worst case never grows by it.

Events may come twice, late, out of order, and around a picture that already contains them:

* an order's fills are counted by its `cum_qty`, so a repeated or overtaken report adds nothing;
* a report that was received before the account's picture was taken moves no position, unless its order is in the
  picture with less filled;
* orders and amends that were approved here but not yet seen by the account when it took its picture (in flight) stay
  reserved;
* what an order's terms are is told by reports that are newer than the picture, and by the end of each amend, which is
  known by its id: the end of another one gives nothing back.

One file because every increment has to be read beside the one that takes it back.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import attrs

from actors.risk.limits import Bounds, Limits
from actors.risk.market import Market
from protocols.enums import FINAL_STATUSES, ExecType, OrdRejReason, OrdType, Side
from protocols.ids import AccountID, StrategyID, Symbol, Venue
from protocols.instruments import Instrument
from protocols.market import Quote
from protocols.orders import AmendClosed, ExecutionReport, NewOrder
from protocols.positions import AccountPicture, OpenOrder

__all__ = ["Breach", "Exposure", "Leg", "LiveOrder", "Repeats", "Row", "SymbolTotal", "worth_of"]

ZERO = Decimal(0)

FINISHED_KEPT = 10_000
"""At least so many finished orders are remembered, so that a late or repeated report of theirs counts once."""

_BUY, _TRADE, _LIMIT = Side.BUY, ExecType.TRADE, OrdType.LIMIT
_RESTATEMENTS = (ExecType.REPLACED, ExecType.RESTATED)
_CORRECTIONS = (ExecType.TRADE_CANCEL, ExecType.TRADE_CORRECT)
_FINAL = tuple(FINAL_STATUSES)  # found by identity; a set would hash the member by name, in Python

Why = OrdRejReason


class SymbolTotal:
    """Worst cases of one symbol over all rows of the scope, with the limits on them."""

    __slots__ = (
        "high",
        "low",
        "max_order_notional",
        "max_order_qty",
        "max_position_notional",
        "max_position_qty",
        "notional",
        "qty",
    )

    def __init__(self, bounds: Bounds) -> None:
        self.max_order_qty = bounds.max_order_qty
        self.max_order_notional = bounds.max_order_notional
        self.max_position_qty = bounds.max_position_qty
        self.max_position_notional = bounds.max_position_notional
        self.low = 1 - bounds.price_band
        self.high = 1 + bounds.price_band
        self.qty = ZERO
        """Base units."""
        self.notional = ZERO


@attrs.frozen
class Breach:
    """A limit that an order would break."""

    reason: OrdRejReason
    limit: str
    value: Decimal | int
    bound: Decimal | int


class Repeats:
    """The newest decision of one strategy on one side, and how often in a row it was made."""

    __slots__ = ("count", "ord_type", "order_qty", "price", "since_ns")

    def __init__(self) -> None:
        self.order_qty = ZERO
        self.price: Decimal | None = None
        self.ord_type: OrdType | None = None
        self.since_ns = 0
        self.count = 0

    def begin(self, order: NewOrder, since_ns: int) -> None:
        """A decision that differs from the one before."""
        self.order_qty = order.order_qty
        self.price = order.price
        self.ord_type = order.ord_type
        self.since_ns = since_ns
        self.count = 0


class Leg:
    """One side of a row; see the module text."""

    __slots__ = ("cost", "is_buy", "net", "qty", "row", "value", "worth")

    def __init__(self, row: Row, *, is_buy: bool) -> None:
        self.row = row
        self.is_buy = is_buy
        self.qty = ZERO
        """Reserved: what live orders of this side may still trade."""
        self.value = ZERO
        """What those trades may cost at most."""
        self.net = ZERO
        self.cost = ZERO
        """`value` and what is held, seen from this side, at the mark."""
        self.worth = ZERO


class Row:
    """Exposure of one account in one market."""

    __slots__ = (
        "account",
        "buy",
        "buy_repeats",
        "fallback_px",
        "mark",
        "market",
        "orders",
        "position",
        "qty",
        "sell",
        "sell_repeats",
        "unvalued",
        "worth",
    )

    def __init__(self, account: AccountID, market: Market) -> None:
        self.account = account
        self.market = market
        self.position = ZERO
        self.mark = ZERO
        """Worth of one contract: by the newest quote, or by what we last knew; 0 when nothing is known."""
        self.buy = Leg(self, is_buy=True)
        self.sell = Leg(self, is_buy=False)
        self.orders = 0
        self.qty = ZERO
        """Worst case in contracts."""
        self.worth = ZERO
        """Worst case in the limits' currency."""
        self.unvalued = False
        """There is exposure here and nothing to value it with."""
        self.fallback_px = ZERO
        """Values the row until the first quote."""
        self.buy_repeats: dict[StrategyID, Repeats] = {}
        """Newest decision per strategy; kept by the gate's breaker."""
        self.sell_repeats: dict[StrategyID, Repeats] = {}


@attrs.define
class PendingAmend:
    """An amend that was approved and is not over: the order has the terms that were, or those that it asks for."""

    request_id: str
    price: Decimal
    value_px: Decimal
    was_qty: Decimal
    """The order's own terms, as far as we have heard."""
    was_px: Decimal | None
    was_value_px: Decimal


class LiveOrder:
    """A reservation: an order that may still trade, as far as we can prove."""

    __slots__ = ("amend", "cum_qty", "key", "leg", "order_qty", "reported", "resting_px", "value_px")

    def __init__(self, key: str, leg: Leg, order_qty: Decimal, value_px: Decimal, resting_px: Decimal | None) -> None:
        self.key = key
        self.leg = leg
        self.order_qty = order_qty
        """While an amend is on its way, the larger of both; so is `value_px`."""
        self.cum_qty = ZERO
        self.value_px = value_px
        self.resting_px = resting_px
        """Where a LIMIT order may rest; None for all others."""
        self.reported = False
        """The account has been heard about it; False: in flight."""
        self.amend: PendingAmend | None = None

    @property
    def leaves_qty(self) -> Decimal:
        """What may still trade; 0 after an overfill."""
        leaves_qty = self.order_qty - self.cum_qty
        return leaves_qty if leaves_qty > ZERO else ZERO


def worth_of(net: Decimal, cost: Decimal, mark: Decimal) -> Decimal:
    """What a leg with a net above zero could be worth: its cost, but never less than its net at the mark."""
    floor = net * mark
    return cost if cost > floor else floor


class Exposure:
    """All rows of a scope; every change is O(1) in the number of orders, rows and symbols."""

    def __init__(self, limits: Limits, *, own_prices: bool = False) -> None:
        self._limits = limits
        self._max_exposure = limits.max_exposure
        self._max_open_orders = limits.max_open_orders
        self._own_prices = own_prices
        self.markets: dict[tuple[Venue, Symbol], Market] = {}
        self.totals: dict[Symbol, SymbolTotal] = {}
        self.orders: dict[str, LiveOrder] = {}
        # In two generations: a full one takes the place of the older, because taking single keys off the front of a
        # dict is slow (it walks over all that were taken before).
        self.finished: dict[str, Decimal] = {}
        """Key -> cum_qty of orders that ended."""
        self.finished_before: dict[str, Decimal] = {}
        self.worth = ZERO
        """Gross worst case of the whole scope."""
        self.unvalued = 0
        """Rows with exposure that has no price: while there are any, the scope's worth is not known."""
        self.whole: dict[AccountID, Decimal] = {}
        """Accounts that nobody has proven yet, each with the most that it may be worth: its own gate's limit."""
        self._unpictured: set[str] = set()
        """Orders in flight that were approved before their account's last picture, which does not show them."""
        self._pictured: dict[tuple[AccountID, Venue], int] = {}
        self._made: dict[tuple[AccountID, Venue], tuple[int, int]] = {}
        self._venue_gaps: dict[Venue, set[str]] = {}

    # ---- markets ----------------------------------------------------------------------------------------------

    def market(self, venue: Venue, symbol: Symbol) -> Market:
        """The market of a symbol, made on first sight."""
        market = self.markets.get((venue, symbol))
        if market is None:
            total = self.totals.get(symbol)
            if total is None:
                total = self.totals[symbol] = SymbolTotal(self._limits.bounds(symbol))
            gaps = self._venue_gaps.setdefault(venue, set())
            market = self.markets[venue, symbol] = Market(venue, symbol, total, gaps)
        return market

    def row(self, account: AccountID, market: Market) -> Row:
        """An account's row in a market, made on first sight."""
        row = market.rows.get(account)
        if row is None:
            row = market.rows[account] = Row(account, market)
        return row

    def rows(self) -> Iterator[Row]:
        """Every row."""
        for market in self.markets.values():
            yield from market.rows.values()

    def set_instrument(self, instrument: Instrument) -> None:
        """Take a symbol's current rules and revalue what is held of it."""
        market = self.market(instrument.venue, instrument.symbol)
        self._forget_worth(market)
        market.set_instrument(instrument, self._limits.rate(instrument.quote))
        self._revalue(market)

    def set_quote(self, quote: Quote, now_ns: int, monotonic_ns: int) -> None:
        """Take a newer quote and revalue what is held at it."""
        market = self.market(quote.venue, quote.symbol)
        if market.quote(quote, now_ns, monotonic_ns):
            self._revalue(market)

    def gap_opened(self, venue: Venue, symbol: Symbol | None, stream: str) -> None:
        """Nothing may be priced from this symbol (None: from this venue) until the gap is closed."""
        if symbol is not None:
            self.market(venue, symbol).gap_opened(stream)
            return
        self._venue_gaps.setdefault(venue, set()).add(stream)
        for market in self._markets_of(venue):
            market.doubt()

    def gap_closed(self, venue: Venue, symbol: Symbol | None, stream: str, closed_ns: int) -> None:
        """Proven again."""
        if symbol is not None:
            self.market(venue, symbol).gap_closed(stream, closed_ns)
            return
        self._venue_gaps.setdefault(venue, set()).discard(stream)
        for market in self._markets_of(venue):
            market.gap_closed(stream, closed_ns)

    def _markets_of(self, venue: Venue) -> list[Market]:
        return [market for market in self.markets.values() if market.venue == venue]

    def worth_with_unproven(self, account: AccountID | None = None, more: Decimal = ZERO) -> Decimal:
        """`worth`, with each unproven account at its whole limit; as if `more` were added to an account's worth."""
        if not self.whole:
            return self.worth + more
        known = dict.fromkeys(self.whole, ZERO)
        for row in self.rows():
            if row.account in known:
                known[row.account] += row.worth
        if account in known:
            known[account] += more
        return self.worth + more + sum((max(self.whole[one] - known[one], ZERO) for one in known), ZERO)

    # ---- reservations -----------------------------------------------------------------------------------------

    def reserve(self, order: NewOrder, leg: Leg, value_px: Decimal) -> Breach | None:
        """Count an order that adds risk as live, unless the worst case with it would break a limit."""
        row = leg.row
        market = row.market
        total = market.total
        qty = order.order_qty
        value = qty * value_px
        base_qty = qty if market.is_plain else qty * market.contract_size
        if base_qty > total.max_order_qty:
            return Breach(Why.MAX_ORDER_QTY, "max_order_qty", base_qty, total.max_order_qty)
        if value > total.max_order_notional:
            return Breach(Why.MAX_ORDER_NOTIONAL, "max_order_notional", value, total.max_order_notional)
        net = leg.net + qty
        cost = leg.cost + value
        worth = worth_of(net, cost, row.mark)
        # A leg that is not the worse one may grow up to the other for nothing.
        position, notional, gross = total.qty, total.notional, self.worth
        if net > row.qty:
            position += net - row.qty if market.is_plain else (net - row.qty) * market.contract_size
            if position > total.max_position_qty:
                return Breach(Why.MAX_POSITION, "max_position_qty", position, total.max_position_qty)
        if worth > row.worth:
            notional += worth - row.worth
            gross += worth - row.worth
            if notional > total.max_position_notional:
                return Breach(Why.MAX_POSITION, "max_position_notional", notional, total.max_position_notional)
            if self.whole:
                gross = self.worth_with_unproven(row.account, worth - row.worth)
            if gross > self._max_exposure:
                return Breach(Why.MAX_EXPOSURE, "max_exposure", gross, self._max_exposure)
        open_orders = len(self.orders)
        if open_orders >= self._max_open_orders:
            return Breach(Why.MAX_OPEN_ORDERS, "max_open_orders", open_orders + 1, self._max_open_orders)
        if row.orders >= market.max_open_orders:
            text = f"open orders on {market.venue}"
            return Breach(Why.MAX_OPEN_ORDERS, text, row.orders + 1, market.max_open_orders)

        leg.qty += qty
        leg.value += value
        leg.net, leg.cost, leg.worth = net, cost, worth
        if net > row.qty:
            row.qty, total.qty = net, position
        if worth > row.worth:
            self.worth += worth - row.worth
            row.worth, total.notional = worth, notional
        self._hold(order, leg, value_px)
        return None

    def reserve_reducing(self, order: NewOrder, leg: Leg, value_px: Decimal) -> None:
        """Count an order as live that cannot enlarge the position: it changes no worst case."""
        leg.qty += order.order_qty
        leg.net += order.order_qty
        leg.value += order.order_qty * value_px
        leg.cost += order.order_qty * value_px
        self._hold(order, leg, value_px)

    def _hold(self, order: NewOrder, leg: Leg, value_px: Decimal) -> None:
        key = order.cl_ord_id
        if order.ord_type is _LIMIT:
            self.orders[key] = LiveOrder(key, leg, order.order_qty, value_px, order.price)
            if self._own_prices and order.price is not None:
                leg.row.market.rest(leg.is_buy, order.price)
        else:
            self.orders[key] = LiveOrder(key, leg, order.order_qty, value_px, None)
        leg.row.orders += 1

    def reserve_amend(
        self, live: LiveOrder, request_id: str, order_qty: Decimal, price: Decimal, value_px: Decimal, *, limited: bool
    ) -> Breach | None:
        """Count an order by the larger of its terms and of these, unless (`limited`) that would break a limit."""
        leg, row = live.leg, live.leg.row
        most_qty, most_px = max(order_qty, live.order_qty), max(value_px, live.value_px)
        leaves_qty = max(most_qty - live.cum_qty, ZERO)
        if limited:
            market, total = row.market, row.market.total
            base_qty = order_qty * market.contract_size
            if base_qty > total.max_order_qty:
                return Breach(Why.MAX_ORDER_QTY, "max_order_qty", base_qty, total.max_order_qty)
            if order_qty * value_px > total.max_order_notional:
                value = order_qty * value_px
                return Breach(Why.MAX_ORDER_NOTIONAL, "max_order_notional", value, total.max_order_notional)
            more_qty = leaves_qty - live.leaves_qty
            more_cost = leaves_qty * most_px - live.leaves_qty * live.value_px
            breach = self._breach(row, leg.net + more_qty, leg.cost + more_cost)
            if breach is not None:
                return breach
        live.amend = PendingAmend(request_id, price, value_px, live.order_qty, live.resting_px, live.value_px)
        if self._own_prices:
            row.market.rest(leg.is_buy, price)
        self._retune(live, most_qty, most_px)
        self._settle(row)
        return None

    def _breach(self, row: Row, net: Decimal, cost: Decimal) -> Breach | None:
        """The limits on exposure, for a leg that would stand there.  `reserve`, on the path of every order, has them
        written out, because what it finds here is what it books."""
        market, total = row.market, row.market.total
        worth = worth_of(net, cost, row.mark)
        if net > row.qty:
            position = total.qty + (net - row.qty) * market.contract_size
            if position > total.max_position_qty:
                return Breach(Why.MAX_POSITION, "max_position_qty", position, total.max_position_qty)
        if worth > row.worth:
            notional = total.notional + worth - row.worth
            if notional > total.max_position_notional:
                return Breach(Why.MAX_POSITION, "max_position_notional", notional, total.max_position_notional)
            gross = self.worth_with_unproven(row.account, worth - row.worth)
            if gross > self._max_exposure:
                return Breach(Why.MAX_EXPOSURE, "max_exposure", gross, self._max_exposure)
        return None

    def close_amend(self, closed: AmendClosed) -> None:
        """An amend is over: from now on the order counts by the terms that it has."""
        live = self.orders.get(closed.cl_ord_id)
        if live is None or live.amend is None or live.amend.request_id != closed.request_id:
            return
        amend = live.amend
        order_qty, price = closed.order_qty, closed.price
        if order_qty is None or price is None:
            order_qty, price = amend.was_qty, amend.was_px
        value_px = self._value_of(live, amend, price)
        self._unrest(live)
        live.amend, live.resting_px = None, price
        self._rest(live)
        self._retune(live, order_qty, value_px)
        self._settle(live.leg.row)

    def _value_of(self, live: LiveOrder, amend: PendingAmend, price: Decimal | None) -> Decimal:
        """What one contract may cost at most, as it was reckoned when the terms with this price were approved."""
        if price == amend.price:
            return amend.value_px
        if price == amend.was_px or price is None:
            return amend.was_value_px
        return max(live.value_px, price * live.leg.row.market.unit)

    def _retune(self, live: LiveOrder, order_qty: Decimal, value_px: Decimal) -> None:
        """Count a live order by other terms; the row is settled by who calls."""
        leg = live.leg
        _reduce(leg, live.leaves_qty, live.value_px)
        live.order_qty, live.value_px = order_qty, value_px
        leaves_qty = live.leaves_qty
        leg.qty += leaves_qty
        leg.value += leaves_qty * value_px

    def _rest(self, live: LiveOrder) -> None:
        if self._own_prices and live.resting_px is not None:
            live.leg.row.market.rest(live.leg.is_buy, live.resting_px)

    def _unrest(self, live: LiveOrder) -> None:
        if self._own_prices and live.resting_px is not None:
            live.leg.row.market.unrest(live.leg.is_buy, live.resting_px)
            if live.amend is not None:
                live.leg.row.market.unrest(live.leg.is_buy, live.amend.price)

    def release(self, key: str) -> None:
        """The order ended without a report: refused, rejected, or proven never to have arrived."""
        live = self.orders.get(key)
        if live is not None:
            self._end(live)
            self._settle(live.leg.row)

    def report(self, report: ExecutionReport) -> None:
        """Take one execution report; see the module text for repeated and late ones."""
        key = report.cl_ord_id or report.order_id
        live = self.orders.get(key)
        if live is None:
            self._report_of_unknown(key, report)
            return
        live.reported = True
        leg, known_qty = live.leg, live.cum_qty
        if report.exec_type is _TRADE:
            cum_qty = _cum_qty(report, known_qty)
            restated = report.order_qty != live.order_qty
        else:
            cum_qty = report.cum_qty
            restated = report.order_qty != live.order_qty or report.exec_type in _RESTATEMENTS
        is_final = report.ord_status in _FINAL
        if cum_qty == known_qty and not is_final and not restated:
            return
        before = live.leaves_qty
        if cum_qty > known_qty or (cum_qty < known_qty and report.exec_type in _CORRECTIONS):
            live.cum_qty = cum_qty
            if not (key in self._unpictured and self._is_in_picture(report)):
                filled = cum_qty - known_qty
                leg.row.position += filled if leg.is_buy else -filled
        if is_final:
            _reduce(leg, before, live.value_px)
            self._drop(live)
        else:
            _reduce(leg, before - live.leaves_qty, live.value_px)
            if restated:
                self._restate(live, report)
        self._settle(leg.row)

    def _restate(self, live: LiveOrder, report: ExecutionReport) -> None:
        """The order has other terms, by an amend that needed no gate, by the venue, or by somebody else."""
        order_qty, price, amend = report.order_qty, report.price, live.amend
        known_qty = live.order_qty if amend is None else amend.was_qty
        is_restatement = report.exec_type in _RESTATEMENTS
        if order_qty <= ZERO or self._is_in_picture(report) or (order_qty > known_qty and not is_restatement):
            return
        if amend is not None:  # what it asks for stays reserved, and so does what the order was, if that is more
            amend.was_qty = order_qty
            if order_qty > live.order_qty:
                self._retune(live, order_qty, live.value_px)
            return
        value_px = live.value_px
        if is_restatement and live.resting_px is not None and price is not None and price != live.resting_px:
            self._unrest(live)
            live.resting_px = price
            self._rest(live)
            value_px = max(value_px, price * live.leg.row.market.unit)
        self._retune(live, order_qty, value_px)

    def _report_of_unknown(self, key: str, report: ExecutionReport) -> None:
        """An order that is not live here: finished before, or made by somebody else."""
        if self._is_in_picture(report):
            return
        row = self.row(report.account, self.market(report.venue, report.symbol))
        leg = row.buy if report.side is _BUY else row.sell
        known = self.finished.get(key, self.finished_before.get(key))
        before = known
        if before is None:
            before = report.cum_qty - report.last_qty if report.exec_type is _TRADE else report.cum_qty
            before = before if before > ZERO else ZERO
        cum_qty = _cum_qty(report, before) if report.exec_type is _TRADE else report.cum_qty
        filled = cum_qty - before
        if filled > ZERO or (filled and report.exec_type in _CORRECTIONS):
            row.position += filled if leg.is_buy else -filled
            before += filled
        if not row.fallback_px:
            row.fallback_px = report.last_px or report.price or ZERO
        if known is not None or report.ord_status in _FINAL:
            self._remember(key, before)  # a late fill moves quantities; the order stays finished
        else:
            self._adopt(key, leg, report.ord_type, report.order_qty, before, report.price, ZERO)
        self._settle(row)

    def _is_in_picture(self, report: ExecutionReport) -> bool:
        """Whether the account had this report when it took its last picture: its session stamped it before."""
        return report.received_ns < self._pictured.get((report.account, report.venue), 0)

    def _adopt(
        self,
        key: str,
        leg: Leg,
        ord_type: OrdType,
        order_qty: Decimal,
        cum_qty: Decimal,
        price: Decimal | None,
        value_px: Decimal,
    ) -> None:
        """Count a live order that was not approved by this incarnation, at its limit price or the mark."""
        row = leg.row
        if price is not None and not row.fallback_px:
            row.fallback_px = price
        if not value_px:
            market = row.market
            mark = market.mark or row.fallback_px * market.unit
            value_px = mark * market.total.high if price is None else max(price * market.unit, mark)
        live = LiveOrder(key, leg, order_qty, value_px, price if ord_type is _LIMIT else None)
        live.reported = True
        live.cum_qty = cum_qty
        self._add(live)

    # ---- rebuilding -------------------------------------------------------------------------------------------

    def rebuild(self, picture: AccountPicture, taken_ns: int) -> None:
        """Replace what is believed of one account by its picture; `taken_ns`: everything that our sessions had
        received before it (wall clock) is in it."""
        account, venue = picture.account, picture.venue
        if picture.made < self._made.get((account, venue), (0, 0)):
            return  # it waited in the mailbox of an incarnation before this one, which began with a newer one
        self._made[account, venue] = picture.made
        self._pictured[account, venue] = taken_ns
        rows = dict.fromkeys(row for row in self.rows() if row.account == account and row.market.venue == venue)
        before = {live.key: live for live in self.orders.values() if live.leg.row in rows}
        for live in before.values():
            self._end(live)
            # How much of it the picture contains is not known, so a late report of it counts by its own size.
            self.finished.pop(live.key, None)
            self.finished_before.pop(live.key, None)
        for row in rows:
            row.position = ZERO
        for position in picture.positions:
            row = self.row(account, self.market(venue, position.symbol))
            row.position += position.qty
            row.fallback_px = position.avg_px or row.fallback_px
            rows[row] = None
        for order in picture.open_orders:
            believed = before.pop(order.cl_ord_id, None)
            rows[self._from_picture(order, believed)] = None
        for live in before.values():
            if not live.reported:
                self._add(live)
                self._unpictured.add(live.key)
        for row in rows:
            self._settle(row)

    def _from_picture(self, order: OpenOrder, believed: LiveOrder | None) -> Row:
        key = order.cl_ord_id or order.order_id or ""
        row = self.row(order.account, self.market(order.venue, order.symbol))
        leg = row.buy if order.side is _BUY else row.sell
        amend = believed.amend if believed is not None else None
        value_px = ZERO
        if amend is not None and believed is not None:
            value_px = self._value_of(believed, amend, order.price)
        elif believed is not None and believed.resting_px in (None, order.price):
            value_px = believed.value_px
        self._adopt(key, leg, order.ord_type, order.order_qty, order.cum_qty, order.price, value_px)
        if order.amend_qty is not None and order.amend_id:
            self._keep_amend(key, order.amend_id, order.amend_qty, order.amend_price)
        elif amend is not None and believed is not None:  # approved, and not at the account yet
            most_qty = believed.order_qty
            self._keep_amend(key, amend.request_id, most_qty, amend.price, amend.value_px)
        return row

    def _keep_amend(
        self, key: str, request_id: str, order_qty: Decimal, price: Decimal | None, value_px: Decimal = ZERO
    ) -> None:
        """Reserve for an amend that was approved before."""
        live = self.orders[key]
        price = live.resting_px if price is None else price
        if price is not None:
            value_px = value_px or max(price * live.leg.row.market.unit, live.leg.row.market.mark)
            self.reserve_amend(live, request_id, order_qty, price, value_px, limited=False)

    # ---- increments -------------------------------------------------------------------------------------------

    def _add(self, live: LiveOrder) -> None:
        leg, leaves_qty = live.leg, live.leaves_qty
        self.orders[live.key] = live
        leg.row.orders += 1
        leg.qty += leaves_qty
        leg.value += leaves_qty * live.value_px
        self._rest(live)

    def _end(self, live: LiveOrder) -> None:
        _reduce(live.leg, live.leaves_qty, live.value_px)
        self._drop(live)

    def _drop(self, live: LiveOrder) -> None:
        key, leg = live.key, live.leg
        leg.row.orders -= 1
        del self.orders[key]
        if self._own_prices and live.resting_px is not None:
            leg.row.market.unrest(leg.is_buy, live.resting_px)
            if live.amend is not None:
                leg.row.market.unrest(leg.is_buy, live.amend.price)
        if self._unpictured:
            self._unpictured.discard(key)
        self._remember(key, live.cum_qty)

    def _remember(self, key: str, cum_qty: Decimal) -> None:
        self.finished[key] = cum_qty
        if len(self.finished) >= FINISHED_KEPT:
            self.finished_before, self.finished = self.finished, {}

    def _settle(self, row: Row) -> None:
        """Bring a row's worst case and the sums above it up to date."""
        market, buy, sell, position = row.market, row.buy, row.sell, row.position
        mark = row.mark = market.mark or row.fallback_px * market.unit
        held = position * mark
        net = buy.net = position + buy.qty
        cost = buy.cost = buy.value + held
        buy.worth = worth_of(net, cost, mark) if net > ZERO else ZERO
        qty = net
        net = sell.net = sell.qty - position
        cost = sell.cost = sell.value - held
        worth = sell.worth = worth_of(net, cost, mark) if net > ZERO else ZERO
        if net > qty:
            qty = net
        if buy.worth > worth:
            worth = buy.worth
        total = market.total
        if qty != row.qty:
            total.qty += qty - row.qty if market.is_plain else (qty - row.qty) * market.contract_size
            row.qty = qty
        if worth != row.worth:
            total.notional += worth - row.worth
            self.worth += worth - row.worth
            row.worth = worth
        unvalued = not mark and bool(qty)
        if unvalued is not row.unvalued:
            self.unvalued += 1 if unvalued else -1
            row.unvalued = unvalued

    def _forget_worth(self, market: Market) -> None:
        """Take the rows out of the sums before the size of a contract changes."""
        for row in market.rows.values():
            market.total.qty -= row.qty * market.contract_size
            market.total.notional -= row.worth
            self.worth -= row.worth
            row.qty = row.worth = ZERO

    def _revalue(self, market: Market) -> None:
        for row in market.rows.values():
            self._settle(row)


def _reduce(leg: Leg, less: Decimal, value_px: Decimal) -> None:
    """Live orders of the leg may trade `less` than before."""
    leg.qty -= less
    # An emptied leg is set to zero outright: a product that was cut to 28 digits must not leave dust behind.
    leg.value = leg.value - less * value_px if leg.qty else ZERO


def _cum_qty(report: ExecutionReport, before: Decimal) -> Decimal:
    """The order's total after this trade.  One whose total is below its own size does not state it (own-trade histories
    of some venues): it adds to what was known."""
    cum_qty = report.cum_qty
    return before + report.last_qty if cum_qty < report.last_qty else cum_qty
