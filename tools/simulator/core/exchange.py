"""The exchange: accepts, matches, cancels and amends orders, and tells a listener what happened.

Synchronous and deterministic: the only input besides the calls is the clock. A call either raises `Reject` and
has changed nothing, or has done all it will do when it returns: trades, triggered stops, expired list legs and
released money included. The listener is called while that happens, in the order in which it happened.

    >>> exchange = Exchange(ManualClock())
    >>> exchange.add_market(SymbolSpec(symbol="BTCUSDT", base="BTC", quote="USDT",
    ...                                tick_size=Decimal("0.01"), step_size=Decimal("0.00001")))
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tools.simulator.core import lists, margin, matching, replacing, triggers
from tools.simulator.core.accounts import Account, AccountBook, Position
from tools.simulator.core.algos import AlgoBook
from tools.simulator.core.clock import Clock
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.listener import Listener as Listener
from tools.simulator.core.listener import Moved
from tools.simulator.core.listener import WalletChange as WalletChange
from tools.simulator.core.lists import OrderList
from tools.simulator.core.market import Market
from tools.simulator.core.model import (
    PRICELESS,
    ExecType,
    Execution,
    Fill,
    Order,
    OrdStatus,
    OrdType,
    Reject,
    RejectReason,
    SymbolSpec,
    TimeInForce,
    Trade,
)
from tools.simulator.core.settlement import lock_needed, release, required_lock, reserve

REPORTED_REJECTS = frozenset({RejectReason.INSUFFICIENT_BALANCE, RejectReason.WOULD_MATCH, RejectReason.WOULD_TRIGGER})


class Exchange:
    """All markets and all orders of one venue."""

    def __init__(self, clock: Clock, *, shared_order_ids: bool = False, first_id: int = 1) -> None:
        """`first_id`: where the venue's numbers begin; a venue that comes back as another must not repeat them."""
        self.clock = clock
        self.shared_order_ids = shared_order_ids
        self.name_order: Callable[[Order], str] = lambda order: str(order.order_id)
        self.by_venue_id: dict[str, Order] = {}  # filled where order ids are shared by all symbols
        self._first_id = first_id
        self.last_order_id = first_id - 1  # of ids that all symbols share
        self.accounts = AccountBook()
        self.markets: dict[str, Market] = {}
        self.listeners: list[Listener] = []
        self.lists: dict[int, OrderList] = {}
        self.orders: dict[tuple[str, int], Order] = {}  # (symbol, order id), user orders only
        self.open_by_cl: dict[tuple[str, str, str], Order] = {}  # (account, symbol, client id)
        self.last_by_cl: dict[tuple[str, str, str], Order] = {}  # newest bearer of the id, open or not
        self.last_list_id = 0
        self.algos = AlgoBook(self)
        self.name_liquidation: Callable[[Position], str] = lambda position: f"liquidation-{position.update_ns}"
        self.after_action: list[Callable[[], None]] = []  # done when the action's consequences are
        self._touched: dict[Account, set[str]] = {}
        self._moved: dict[Account, Moved] = {}
        self._prints: list[Trade] = []
        self.activations: list[Order] = []  # pending legs of lists whose working order has filled

    # -------------------------------------------------------------------------------------- set-up
    def add_market(self, spec: SymbolSpec, *, publishes_queue: bool = True) -> Market:
        """Open a symbol. Raises ValueError where it exists."""
        if spec.symbol in self.markets:
            raise ValueError(f"symbol {spec.symbol} is listed already")
        market = Market(spec, publishes_queue=publishes_queue, first_id=self._first_id)
        self.markets[spec.symbol] = market
        return market

    def market_of(self, category: str, name: str) -> Market | None:
        """The market that the wire's words mean; None where there is none."""
        market = self.markets.get(name if not category else f"{category}:{name}") or self.markets.get(name)
        return market if market is not None and market.spec.category == category else None

    def next_list_id(self) -> int:
        self.last_list_id += 1
        return self.last_list_id

    # --------------------------------------------------------------------------------------- intake
    def submit(self, order: Order) -> list[Fill]:
        """Take a new order in and do all that follows; returns the fills it made as taker.

        Raises Reject: duplicate id among the open orders, insufficient balance, a post-only order that would
        match, a stop that would trigger, a market that is closed.
        """
        market = self.markets[order.symbol]
        try:
            self.check_new(market, order)
            self.lock_new(market, order)
        except Reject as reject:
            self.report_rejected(market, reject)
            raise
        self.admit(market, order)
        fills = self.enter(market, order)
        self.finish_action(market)
        return fills

    def check_new(self, market: Market, order: Order, *, ignore_market: bool = False) -> None:
        """Everything that can be refused before money is looked at."""
        if not market.spec.trading:
            raise Reject(RejectReason.MARKET_CLOSED, order)
        account = order.account
        if account is not None and (account.name, order.symbol, order.cl_ord_id) in self.open_by_cl:
            raise Reject(RejectReason.DUPLICATE_CL_ORD_ID, order)
        if order.ord_type not in PRICELESS and order.price * order.order_qty <= 0:
            raise Reject(RejectReason.ZERO_NOTIONAL, order)
        if ignore_market:
            return
        if order.is_conditional and triggers.would_trigger(market, order):
            raise Reject(RejectReason.WOULD_TRIGGER, order)
        post_only = order.post_only or order.ord_type is OrdType.LIMIT_MAKER
        if post_only and matching.would_match(market, order):
            raise Reject(RejectReason.WOULD_MATCH, order)

    def lock_new(self, market: Market, order: Order) -> None:
        """Reserve the money (for a contract: see that there is margin), or reject."""
        if market.spec.is_linear:
            if not order.is_conditional and "liquidation" not in order.extra:
                margin.check_order(self, market, order)
            return
        if order.quote_order_qty:
            order.order_qty = matching.qty_for_quote(market, order)
        if order.account is None:
            return
        if market.spec.fee_in_quote and order.is_buy:
            order.lock_rate = order.account.taker_rate
        cost = matching.market_cost(market, order) if order.ord_type in PRICELESS else ZERO
        needed = required_lock(order, cost)
        asset = market.spec.quote if order.is_buy else market.spec.base
        if not margin.can_spend(self, order.account, asset, needed) or not reserve(order, market.spec, needed):
            raise Reject(RejectReason.INSUFFICIENT_BALANCE, order)
        self.touch_balance(order)

    def admit(self, market: Market, order: Order, *, status: OrdStatus = OrdStatus.NEW) -> None:
        """Give the order its id, remember it, and report it as new."""
        now = self.clock.now_ns()
        self.number(market, order)
        order.transact_ns = order.update_ns = now
        order.ord_status = status
        if order.account is not None:
            self._remember(market, order)
        if status is OrdStatus.NEW and not order.is_conditional:
            order.is_working, order.working_ns = True, now
        self.report(market, order, ExecType.NEW)

    def number(self, market: Market, order: Order) -> None:
        """Give the order its number."""
        if self.shared_order_ids:
            self.last_order_id += 1
            order.order_id = self.last_order_id
        else:
            order.order_id = market.next_order_id()
        if order.account is not None:
            order.venue_id = self.name_order(order)
            if self.shared_order_ids:
                self.by_venue_id[order.venue_id] = order

    def _remember(self, market: Market, order: Order) -> None:
        account = order.account
        assert account is not None
        key = (account.name, order.symbol, order.cl_ord_id)
        self.open_by_cl[key] = self.last_by_cl[key] = order
        self.orders[order.symbol, order.order_id] = order
        account.orders.append(order)
        account.open_orders[order.symbol, order.order_id] = order
        market.open_orders[order.order_id] = order

    def remember_again(self, order: Order) -> None:
        """Find an order of an earlier run wherever orders are looked for; nobody is told."""
        account = order.account
        assert account is not None
        key = (account.name, order.symbol, order.cl_ord_id)
        self.last_by_cl[key] = self.orders[order.symbol, order.order_id] = order
        account.orders.append(order)
        if self.shared_order_ids:
            self.by_venue_id[order.venue_id] = order
        if order.is_live:
            self.open_by_cl[key] = account.open_orders[order.symbol, order.order_id] = order
            self.markets[order.symbol].open_orders[order.order_id] = order

    def enter(self, market: Market, order: Order) -> list[Fill]:
        """Let an admitted order act: wait for its trigger, or match and then rest or expire."""
        if order.is_conditional and not order.is_working:
            market.stops[order.order_id] = order
            triggers.start_trailing(market, order, self.clock.now_ns())
            return []
        now = self.clock.now_ns()
        is_fok = order.time_in_force is TimeInForce.FOK and order.ord_type not in PRICELESS
        if is_fok and matching.fillable_qty(market, order) < order.open_qty:
            self.expire(market, order, "UNFILLED_FOK_ORDER_EXPIRED")
            return []
        fills = matching.match(self, market, order, now)
        if order.is_live and market.spec.is_linear and order.account is not None and not margin.tradable_qty(order):
            self.expire(market, order, "REDUCE_ONLY")
        elif order.is_live:
            self._rest_or_expire(market, order)
        return fills

    def _rest_or_expire(self, market: Market, order: Order) -> None:
        if order.ord_type in PRICELESS:
            self.expire(market, order, "INSUFFICIENT_LIQUIDITY")
        elif order.time_in_force is TimeInForce.IOC:
            self.expire(market, order, "UNFILLED_IOC_QUANTITY_EXPIRED")
        else:
            if order.iceberg_qty:
                order.visible_qty = min(order.iceberg_qty, order.open_qty)
            market.book.side_of(order).add(order)
            market.touch(order.side, order.price)

    # --------------------------------------------------------------------------------------- changes
    def cancel(self, order: Order, new_cl_ord_id: str | None = None) -> None:
        """Cancel one live order, which takes `new_cl_ord_id` where one is given. Raises Reject for a final order."""
        if not order.is_live:
            raise Reject(RejectReason.UNKNOWN_ORDER, order)
        new_cl_ord_id = order.cl_ord_id if new_cl_ord_id is None else new_cl_ord_id
        market = self.markets[order.symbol]
        if order.order_list is not None:
            lists.cancel(self, order.order_list, {order.order_id: new_cl_ord_id})
        else:
            self.cancel_one(market, order, new_cl_ord_id)
        self.finish_action(market)

    def cancel_street(self, order: Order) -> None:
        """The street takes one of its own orders back; nobody is told but the public book."""
        market = self.markets[order.symbol]
        self.take_off(market, order)
        order.ord_status = OrdStatus.CANCELED
        self.finish_action(market)

    def cancel_one(self, market: Market, order: Order, new_cl_ord_id: str) -> None:
        """The cancel itself, without list consequences and without closing the action."""
        original = order.cl_ord_id
        self.take_off(market, order)
        self.rename(order, new_cl_ord_id)
        order.ord_status = OrdStatus.CANCELED
        self.finalize(market, order)
        self.report(market, order, ExecType.CANCELED, orig_cl_ord_id=original)

    def amend(self, order: Order, new_qty: Decimal, new_cl_ord_id: str) -> int:
        """Shrink a live order in place, keeping its priority. Returns the execution id.

        An amend to what has already traded, or less, ends the order. Raises Reject.
        """
        if not order.is_live:
            raise Reject(RejectReason.UNKNOWN_ORDER, order)
        if new_qty == order.order_qty:
            raise Reject(RejectReason.AMEND_NO_CHANGE, order)
        if new_qty > order.order_qty:
            raise Reject(RejectReason.AMEND_INCREASE, order)
        market = self.markets[order.symbol]
        original = order.cl_ord_id
        order.amends += 1
        if new_cl_ord_id != original:
            self.rename(order, new_cl_ord_id)
        if new_qty <= order.cum_qty + order.prevented_qty:
            self.take_off(market, order)
            self.expire(market, order, "")
        else:
            order.order_qty = new_qty
            order.update_ns = self.clock.now_ns()
            order.visible_qty = min(order.visible_qty, order.open_qty)
            release(order, lock_needed(order))
            self.touch_balance(order)
            if order.is_working:
                market.touch(order.side, order.price)
            self.report(market, order, ExecType.REPLACED, orig_cl_ord_id=original)
            if order.order_list is not None:
                lists.announce(self, order.order_list, "UPDATED")
        exec_id = market.last_exec_id
        self.finish_action(market)
        return exec_id

    def replace(
        self,
        order: Order,
        *,
        price: Decimal | None = None,
        qty: Decimal | None = None,
        stop_px: Decimal | None = None,
        cl_ord_id: str | None = None,
        keeps_place: bool = False,
    ) -> list[Fill]:
        """Change a live order in place, see `core.replacing.replace`.  Raises Reject."""
        return replacing.replace(
            self, order, price=price, qty=qty, stop_px=stop_px, cl_ord_id=cl_ord_id, keeps_place=keeps_place
        )

    def expire_resting(self, market: Market, order: Order, reason: str) -> None:
        """The venue takes a waiting or resting order back."""
        self.take_off(market, order)
        self.expire(market, order, reason)

    def expire(self, market: Market, order: Order, reason: str) -> None:
        """End an order that is not (or no longer) on the book."""
        order.ord_status = OrdStatus.EXPIRED
        order.expiry_reason = reason
        self.finalize(market, order)
        self.report(market, order, ExecType.EXPIRED, expiry_reason=reason)
        lists.member_ended(self, order)

    def take_off(self, market: Market, order: Order) -> None:
        """Remove an order from wherever it waits: the book, the stops, or a list's pending legs."""
        if market.stops.pop(order.order_id, None) is not None or order.ord_status is OrdStatus.PENDING_NEW:
            return
        market.book.side_of(order).remove(order)
        market.touch(order.side, order.price)

    def rename(self, order: Order, new_cl_ord_id: str) -> None:
        """The order is known by its new id only; looking up the old one finds nothing."""
        account = order.account
        assert account is not None
        old = (account.name, order.symbol, order.cl_ord_id)
        self.open_by_cl.pop(old, None)
        if self.last_by_cl.get(old) is order:
            del self.last_by_cl[old]
        order.cl_ord_id = new_cl_ord_id
        key = (account.name, order.symbol, new_cl_ord_id)
        self.last_by_cl[key] = order
        if order.is_live:
            self.open_by_cl[key] = order

    def finalize(self, market: Market, order: Order) -> None:
        """An order has reached its last status: give back its money and its place among the open ones."""
        order.update_ns = self.clock.now_ns()
        if order.quote_order_qty:
            order.order_qty = order.cum_qty
        release(order)
        self.touch_balance(order)
        account = order.account
        if account is None:
            return
        if order.algo is not None:
            self.algos.child_ended(order.algo)
        self.open_by_cl.pop((account.name, order.symbol, order.cl_ord_id), None)
        account.open_orders.pop((order.symbol, order.order_id), None)
        market.open_orders.pop(order.order_id, None)

    # ------------------------------------------------------------------- called by the matching engine
    def print_trade(self, market: Market, trade: Trade) -> None:
        """A print of a market that publishes its own trades becomes public with the action's end."""
        if market.publishes_queue:
            market.record_trade(trade)
            market.note_price(trade.price)
            self._prints.append(trade)

    def report_fill(self, market: Market, order: Order, fill: Fill | None) -> None:
        """One side of a print is booked: report it and do what a fill entails."""
        if order.account is None:
            return
        if not order.is_live:
            self.finalize(market, order)
        self.touch_balance(order)
        assert fill is not None
        self.touch_asset(order.account, fill.commission_asset)
        if market.spec.fee_in_quote and order.is_buy:  # else what was received is what the commission was taken from
            self.touch_asset(order.account, market.spec.base)
        self.report(market, order, ExecType.TRADE, fill=fill)
        lists.member_traded(self, order)

    def after_prevention(self, market: Market, order: Order) -> None:
        """A self-trade was prevented: release what the prevented part had locked."""
        if order.is_live:
            release(order, lock_needed(order))
            self.touch_balance(order)
        else:
            self.finalize(market, order)
            lists.member_ended(self, order)

    # ------------------------------------------------------------------------------------- reporting
    def report(self, market: Market, order: Order, exec_type: ExecType, **details: Any) -> None:
        """Tell the listeners one change of one order."""
        exec_id = market.next_exec_id()
        if order.account is None or not self.listeners:
            return
        execution = Execution(exec_id=exec_id, exec_type=exec_type, time_ns=self.clock.now_ns(), **details)
        for listener in self.listeners:
            listener.on_execution(order, execution)

    def report_rejected(self, market: Market, reject: Reject) -> None:
        """A refusal that only the matching engine can decide uses up an order id and reaches the account."""
        order = reject.order
        if order is None or reject.reason not in REPORTED_REJECTS:
            return
        order.ord_status = OrdStatus.REJECTED
        self.number(market, order)
        order.transact_ns = order.update_ns = self.clock.now_ns()
        self.report(market, order, ExecType.REJECTED, ord_rej_reason=reject.reason)

    def touch_balance(self, order: Order) -> None:
        """The balance this order is paid from may have changed."""
        if order.account is not None and order.locked_asset:
            self.touch_asset(order.account, order.locked_asset)

    def touch_asset(self, account: Account, asset: str) -> None:
        account.update_ns = self.clock.now_ns()
        self._touched.setdefault(account, set()).add(asset)

    def touch_position(
        self, position: Position, reason: str, asset: str, change: Decimal, *, rate: Decimal = ZERO
    ) -> None:
        """A position, or the wallet because of it, has changed by `change`."""
        moved = self._moved.setdefault(position.account, Moved(reason))
        moved.positions[position] = None
        moved.balances[asset] = moved.balances.get(asset, ZERO) + change
        moved.symbol, moved.rate = position.symbol, rate
        if change:
            self.touch_asset(position.account, asset)

    def _set_off(self, market: Market) -> bool:
        """One round of consequences: what prices woke, pending legs, reduce-only orders with nothing left to close."""
        paths = triggers.take_paths(market)
        stops = [] if paths is None else triggers.due(market, paths, self.clock.now_ns())
        algos = [] if paths is None else self.algos.due(market, paths)
        for order in stops:
            if order.order_id in market.stops:  # not expired meanwhile by its own OCO twin
                self._activate_stop(market, order)
        for algo, leg in algos:
            self.algos.fire(market, algo, leg)
        waiting, self.activations = self.activations, []
        for order in waiting:
            lists.activate(self, order)
        void = self._without_position(market) if self._moved else []
        for order in void:
            self.expire_resting(market, order, "REDUCE_ONLY")
        return bool(stops or algos or waiting or void)

    def _without_position(self, market: Market) -> list[Order]:
        """Resting orders that only reduce and whose position is closed."""
        return [
            order
            for account in self._moved
            for order in account.open_orders.values()
            if order.symbol == market.symbol
            and order.is_working
            and margin.reduces(order)
            and not margin.reducible(order)
        ]

    def finish_action(self, market: Market) -> None:
        """Do what the action set off, then publish balances, positions, prints and the book."""
        while self._set_off(market):
            pass
        later, self.after_action = self.after_action, []
        for action in later:
            action()
        moved, self._moved = self._moved, {}
        prints, self._prints = self._prints, []
        touched, self._touched = self._touched, {}
        aggregates = market.aggregate(prints) if prints else []
        for listener in self.listeners:
            for account, assets in touched.items():
                listener.on_balances(account, assets)
            for account, change in moved.items():
                listener.on_wallet(account, change.told(self.clock.now_ns()))
            if prints:
                listener.on_trades(market, prints, aggregates)
            listener.on_book(market)

    def _activate_stop(self, market: Market, order: Order) -> None:
        """The trigger price was met: from now on it is an ordinary market or limit order."""
        market.stops.pop(order.order_id, None)
        account, before = order.account, ZERO
        if market.spec.is_linear and account is not None:
            before = margin.order_margin(market, account)  # while it waited it bound nothing
        order.is_working, order.working_ns = True, self.clock.now_ns()
        lists.member_triggered(self, order)
        if market.spec.is_linear:
            try:
                if order.close_position:
                    order.order_qty = margin.reducible(order)
                margin.check_order(self, market, order, before)
            except Reject as reject:
                order.ord_status = OrdStatus.REJECTED
                self.finalize(market, order)
                self.report(market, order, ExecType.REJECTED, ord_rej_reason=reject.reason)
                return
        self.report(market, order, ExecType.NEW)
        self.enter(market, order)

    # ---------------------------------------------------------------------------------------- lookup
    def find(self, account: Account, symbol: str, order_id: int | None, cl_ord_id: str | None) -> Order | None:
        """An order of this account by venue id or, without one, by client id; None where there is none."""
        if order_id is not None:
            order = self.orders.get((symbol, order_id))
            return order if order is not None and order.account is account else None
        return self.last_by_cl.get((account.name, symbol, cl_ord_id or ""))
