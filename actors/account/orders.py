"""All orders of one account, and every fill that was ever applied as far back as memory is kept.

Live orders stay for ever.  Finished ones stay indexed for a while (`Retention`), so that a late fill finds its owner;
fills stay known by (symbol, trade id), so that one that is delivered again is recognised.  What falls out of memory
leaves a horizon behind: a report that is older than the oldest thing we can still recognise is not applied, because
nobody could say any more whether it had been.  Memory is bounded by counts, whatever the rate of trading.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from decimal import Decimal

import attrs

from actors.account.order import Order
from protocols.enums import ExecType, OrdStatus, Side
from protocols.errors import InvariantViolation
from protocols.ids import AccountID, ClOrdID, OrderID, StrategyID, Symbol, TradeID, Venue
from protocols.orders import ExecutionReport

ZERO = Decimal(0)

FillKey = tuple[Symbol, TradeID]


@attrs.frozen(kw_only=True)
class Retention:
    """How long finished orders and applied fills are kept; whichever bound is reached first."""

    finished_max: int = attrs.field(default=1_000, validator=attrs.validators.ge(1))
    finished_ns: int = attrs.field(default=24 * 3600 * 1_000_000_000, validator=attrs.validators.ge(1))
    fills_max: int = attrs.field(default=2_000, validator=attrs.validators.ge(1))


@attrs.frozen
class FillRow:
    """One remembered fill in a snapshot: of its report, what is needed to recognise it and to take it back."""

    cl_ord_id: ClOrdID
    order_id: OrderID
    account: AccountID
    strategy: StrategyID
    venue: Venue
    symbol: Symbol
    side: Side
    exec_type: ExecType
    transact_ns: int
    last_qty: Decimal
    last_px: Decimal
    trade_id: TradeID
    fee: Decimal
    fee_asset: str

    @classmethod
    def of(cls, fill: ExecutionReport) -> FillRow:
        """The row of a remembered report."""
        return cls(
            fill.cl_ord_id,
            fill.order_id,
            fill.account,
            fill.strategy,
            fill.venue,
            fill.symbol,
            fill.side,
            fill.exec_type,
            fill.transact_ns,
            fill.last_qty,
            fill.last_px,
            fill.trade_id or TradeID(""),
            fill.fee,
            fill.fee_asset,
        )

    def report(self) -> ExecutionReport:
        """The report again, as far as it is needed."""
        return ExecutionReport(
            self.cl_ord_id,
            self.order_id,
            self.account,
            self.strategy,
            self.venue,
            self.symbol,
            self.side,
            self.exec_type,
            OrdStatus.NEW,
            ZERO,
            ZERO,
            self.transact_ns,
            0,
            last_qty=self.last_qty,
            last_px=self.last_px,
            trade_id=self.trade_id,
            fee=self.fee,
            fee_asset=self.fee_asset,
        )


class Orders:
    """The orders, by our id and the venue's; and the fills."""

    __slots__ = (
        "_fill_order",
        "_retention",
        "by_cl_ord_id",
        "by_order_id",
        "fills",
        "fills_horizon",
        "finished",
        "last_fill",
        "live",
        "orders_horizon",
        "replacements",
    )

    def __init__(self, retention: Retention) -> None:
        self._retention = retention
        self.by_cl_ord_id: dict[ClOrdID, Order] = {}
        self.by_order_id: dict[tuple[Symbol, OrderID], Order] = {}
        self.live: dict[ClOrdID, Order] = {}
        self.replacements: dict[ClOrdID, Order] = {}
        """Orders that are to replace another and are not confirmed yet, by the id of the one that they replace."""
        self.finished: deque[Order] = deque()
        """In the order in which they finished."""
        self.fills: dict[FillKey, ExecutionReport] = {}
        """What was applied: a TRADE, what corrected it, or the TRADE_CANCEL that took it back or will when it comes."""
        self._fill_order: deque[FillKey] = deque()
        self.fills_horizon: dict[Symbol, int] = {}
        """Venue time of the newest forgotten fill: older ones cannot be told from new ones."""
        self.orders_horizon: dict[Symbol, int] = {}
        """Time at which the newest forgotten order finished."""
        self.last_fill: dict[Symbol, tuple[int, TradeID]] = {}
        """Newest fill of each symbol in the venue's order: where its history is continued."""

    def find(self, cl_ord_id: str, symbol: Symbol, order_id: OrderID | None) -> Order | None:
        """By our id, else by the venue's: a report may lack ours, or carry one that a cancel has made up."""
        order = self.by_cl_ord_id.get(ClOrdID(cl_ord_id))
        if order is None and order_id:
            order = self.by_order_id.get((symbol, order_id))
        return order

    def matching(self, symbol: Symbol | None, strategy: StrategyID | None) -> Iterator[Order]:
        """Live orders of a symbol and a strategy, oldest first; None matches all.

        A walk over what is live: there are hundreds of those at most, and an index would cost every order.
        """
        for order in self.live.values():
            request = order.request
            if (symbol is None or request.symbol == symbol) and (strategy is None or request.strategy == strategy):
                yield order

    def add(self, order: Order) -> None:
        """A new order of ours, or one found at the venue."""
        self.by_cl_ord_id[order.request.cl_ord_id] = order
        self.live[order.request.cl_ord_id] = order
        if order.request.orig_cl_ord_id is not None:
            self.replacements[order.request.orig_cl_ord_id] = order

    def forget(self, order: Order) -> None:
        """As if it had never been: its intent did not become durable, so it never left."""
        del self.by_cl_ord_id[order.request.cl_ord_id]
        del self.live[order.request.cl_ord_id]
        self._no_replacement(order)

    def _no_replacement(self, order: Order) -> None:
        orig = order.request.orig_cl_ord_id
        if orig is not None and self.replacements.get(orig) is order:
            del self.replacements[orig]

    def phantom(self, order: Order, order_id: OrderID) -> Order | None:
        """The order that we took for the owner's, and that `order` turns out to be: the venue told of it first under a
        name of its own (a conditional order's child)."""
        other = self.by_order_id.get((order.request.symbol, order_id))
        if other is None or other is order or not other.is_manual or other.finished_ns or other.cum_qty:
            return None
        return other

    def name(self, order: Order, order_id: OrderID) -> None:
        """The venue's id of an order became known, or changed; the old one still leads to it."""
        phantom = self.phantom(order, order_id)
        if phantom is not None:
            self.forget(phantom)
        if order.order_id is not None:
            order.former_ids += (order.order_id,)
        order.order_id = order_id
        self.by_order_id[order.request.symbol, order_id] = order
        if self.replacements:
            self._no_replacement(order)

    def finish(self, order: Order, at_ns: int) -> None:
        """An order became final: from live to finished, and the oldest finished ones out of memory."""
        order.finished_ns = at_ns
        order.doubt = order.cancel_doubt = None
        if order.amend_qty is not None:
            order.end_amend()
        del self.live[order.request.cl_ord_id]
        if self.replacements:
            self._no_replacement(order)
        finished, retention = self.finished, self._retention
        finished.append(order)
        oldest_ns = at_ns - retention.finished_ns
        while len(finished) > retention.finished_max or finished[0].finished_ns < oldest_ns:
            self._evict(finished.popleft())

    def _evict(self, order: Order) -> None:
        symbol = order.request.symbol
        del self.by_cl_ord_id[order.request.cl_ord_id]
        if order.order_id is not None:
            for order_id in (order.order_id, *order.former_ids):
                del self.by_order_id[symbol, order_id]
        if order.finished_ns > self.orders_horizon.get(symbol, 0):
            self.orders_horizon[symbol] = order.finished_ns

    def note(self, fill: ExecutionReport, trade_id: TradeID) -> None:
        """A fill is being applied: from now on it is known.  The oldest known ones go out of memory."""
        symbol, transact_ns = fill.symbol, fill.transact_ns
        key = (symbol, trade_id)
        fills, order = self.fills, self._fill_order
        if key not in fills:
            order.append(key)
        fills[key] = fill
        last = self.last_fill.get(symbol)
        if (
            last is None
            or transact_ns > last[0]
            or (transact_ns == last[0] and (len(trade_id), trade_id) > (len(last[1]), last[1]))
        ):
            self.last_fill[symbol] = (transact_ns, trade_id)
        while len(order) > self._retention.fills_max:
            old = fills.pop(order.popleft())
            horizon = self.fills_horizon
            if old.transact_ns > horizon.get(old.symbol, 0):
                horizon[old.symbol] = old.transact_ns

    def restore(self, orders: list[Order], finished: list[ClOrdID], fills: list[FillRow]) -> None:
        """Fill an empty instance from a snapshot's parts."""
        for order in orders:
            self.by_cl_ord_id[order.request.cl_ord_id] = order
            if order.order_id is not None:
                for order_id in (order.order_id, *order.former_ids):
                    self.by_order_id[order.request.symbol, order_id] = order
            if not order.finished_ns:
                self.live[order.request.cl_ord_id] = order
                if order.request.orig_cl_ord_id is not None and order.order_id is None:
                    self.replacements[order.request.orig_cl_ord_id] = order
        self.finished.extend(self.by_cl_ord_id[cl_ord_id] for cl_ord_id in finished)
        for row in fills:
            self.fills[row.symbol, row.trade_id] = row.report()
            self._fill_order.append((row.symbol, row.trade_id))

    def check(self) -> None:
        """Every order and every index; InvariantViolation says which does not fit."""
        for cl_ord_id, order in self.by_cl_ord_id.items():
            order.check()
            if order.request.cl_ord_id != cl_ord_id:
                raise InvariantViolation(f"order {order.request.cl_ord_id} is filed under {cl_ord_id}")
            if (cl_ord_id in self.live) is order.is_final:
                raise InvariantViolation(
                    f"order {cl_ord_id} is {order.ord_status.value}, live: {cl_ord_id in self.live}"
                )
        if len(self.live) + len(self.finished) != len(self.by_cl_ord_id):
            raise InvariantViolation(
                f"{len(self.live)} live and {len(self.finished)} finished of {len(self.by_cl_ord_id)} orders"
            )
        for orig, order in self.replacements.items():
            if order.order_id is not None or order.cl_ord_id not in self.live or order.request.orig_cl_ord_id != orig:
                raise InvariantViolation(f"order {order.cl_ord_id} is not to replace {orig} any more")
        for (symbol, order_id), order in self.by_order_id.items():
            if (
                order_id not in (order.order_id, *order.former_ids)
                or order.symbol != symbol
                or order.cl_ord_id not in self.by_cl_ord_id
            ):
                raise InvariantViolation(f"venue id {order_id} of {symbol} leads to {order.cl_ord_id}")
        self._check_fills()

    def _check_fills(self) -> None:
        if len(self.fills) != len(self._fill_order) or set(self.fills) != set(self._fill_order):
            raise InvariantViolation(f"{len(self.fills)} fills, {len(self._fill_order)} in order of arrival")
        sums: dict[ClOrdID, Decimal] = {}
        for (symbol, trade_id), fill in self.fills.items():
            if (fill.symbol, fill.trade_id) != (symbol, trade_id) or fill.last_qty < 0:
                raise InvariantViolation(f"fill {symbol} {trade_id}: {fill}")
            if fill.exec_type is not ExecType.TRADE_CANCEL:
                sums[fill.cl_ord_id] = sums.get(fill.cl_ord_id, ZERO) + fill.last_qty
        for cl_ord_id, order in self.by_cl_ord_id.items():
            known = sums.get(cl_ord_id, ZERO)
            forgotten = order.symbol in self.fills_horizon
            if known > order.cum_qty or (known != order.cum_qty and not forgotten):
                raise InvariantViolation(f"order {cl_ord_id}: cum_qty {order.cum_qty}, fills add up to {known}")
        for symbol, (transact_ns, _) in self.last_fill.items():
            if transact_ns < self.fills_horizon.get(symbol, 0):
                raise InvariantViolation(f"last fill of {symbol} at {transact_ns} is behind the horizon")
