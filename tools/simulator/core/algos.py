"""Conditional orders of venues that keep them apart from orders: own ids, own states, and a child when they fire.

An `Algo` waits with one leg, or two of which the first to be met wins (a take-profit and a stop).  It binds nothing and
is not checked until then; its leg's order is submitted when it fires, and may be refused there:

    NEW -> TRIGGERING -> TRIGGERED -> FINISHED          the child ended, filled or not
                      -> REJECTED                       the child was refused
    NEW -> CANCELED | EXPIRED

Venues whose conditional orders keep their number when they wake (Bybit, Binance Spot) use orders of a conditional
`OrdType` instead (`core.triggers`).
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any

import attrs

from tools.simulator.core import margin
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.market import Market
from tools.simulator.core.model import Order, PriceKind, Reject, RejectReason

if TYPE_CHECKING:
    from tools.simulator.core.accounts import Account
    from tools.simulator.core.exchange import Exchange


class AlgoStatus(Enum):
    NEW = "NEW"
    TRIGGERING = "TRIGGERING"
    TRIGGERED = "TRIGGERED"
    FINISHED = "FINISHED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"


@attrs.define(eq=False, kw_only=True)
class AlgoLeg:
    """One trigger and the order it sets free.  Trailing: `callback` is the distance as a fraction of the price."""

    order: Order  # a template that becomes the child; its symbol, side, type, quantity, prices
    rises: bool  # fires when the price is at or above `trigger_px`, else at or below
    trigger_px: Decimal = ZERO
    trigger_by: PriceKind = PriceKind.LAST
    callback: Decimal = ZERO  # trailing by a fraction; 0 = not by that
    spread: Decimal = ZERO  # trailing by a price distance; 0 = not by that
    activation_px: Decimal = ZERO  # where a trailing leg begins to follow; 0 = at once
    extreme_px: Decimal = ZERO  # the best price since then; 0 = not following yet

    @property
    def trails(self) -> bool:
        return bool(self.callback or self.spread)

    def met(self, price: Decimal) -> bool:
        """Does this price fire the leg?  A trailing leg follows it, too."""
        if not self.trails:
            return price >= self.trigger_px if self.rises else price <= self.trigger_px
        if not self.extreme_px:
            # A rising (buy) leg follows the market down, so it begins at or below its activation price.
            begun = not self.activation_px or (
                price <= self.activation_px if self.rises else price >= self.activation_px
            )
            if begun:
                self.extreme_px = price
            return False
        self.extreme_px = min(self.extreme_px, price) if self.rises else max(self.extreme_px, price)
        distance = self.spread or self.extreme_px * self.callback
        self.trigger_px = self.extreme_px + distance if self.rises else self.extreme_px - distance
        return price >= self.trigger_px if self.rises else price <= self.trigger_px


@attrs.define(eq=False, kw_only=True)
class Algo:
    """One conditional order."""

    account: Account
    symbol: str
    cl_algo_id: str
    legs: tuple[AlgoLeg, ...]
    close_position: bool = False  # the child takes the size of the position
    algo_id: int = 0
    status: AlgoStatus = AlgoStatus.NEW
    fired: AlgoLeg | None = None
    child: Order | None = None
    reason: RejectReason | None = None  # why the child was refused
    created_ns: int = 0
    updated_ns: int = 0
    triggered_ns: int = 0
    extra: dict[str, Any] = attrs.Factory(dict)  # what the dialect wants to remember

    @property
    def is_open(self) -> bool:
        return self.status is AlgoStatus.NEW


class AlgoBook:
    """All conditional orders of one venue."""

    def __init__(self, ex: Exchange) -> None:
        self._ex = ex
        self.last_id = 0
        self.by_id: dict[int, Algo] = {}

    def place(self, algo: Algo) -> Algo:
        """Let it wait.  The dialect has checked the request; `would_fire` tells whether it would fire at once."""
        self.last_id += 1
        algo.algo_id = self.last_id
        algo.created_ns = algo.updated_ns = self._ex.clock.now_ns()
        self.by_id[algo.algo_id] = algo
        market = self._ex.markets[algo.symbol]
        market.algos[algo.algo_id] = algo
        for leg in algo.legs:
            if leg.trails and not leg.activation_px:
                leg.extreme_px = market.price_of(leg.trigger_by)
        self._announce(algo)
        return algo

    def would_fire(self, algo: Algo) -> bool:
        """Is a trigger price met already?"""
        market = self._ex.markets[algo.symbol]
        return any(
            not leg.trails and bool(market.price_of(leg.trigger_by)) and leg.met(market.price_of(leg.trigger_by))
            for leg in algo.legs
        )

    def cancel(self, algo: Algo, status: AlgoStatus = AlgoStatus.CANCELED) -> None:
        """Raises Reject where it waits no longer."""
        if not algo.is_open:
            raise Reject(RejectReason.UNKNOWN_ORDER)
        self._end(algo, status)

    def of(self, account: Account, symbol: str = "") -> list[Algo]:
        """Those that wait, oldest first."""
        return [
            algo
            for algo in self.by_id.values()
            if algo.account is account and algo.is_open and (not symbol or algo.symbol == symbol)
        ]

    def find(self, account: Account, algo_id: int | None, cl_algo_id: str | None) -> Algo | None:
        """By number, or the newest bearer of the client's id."""
        if algo_id is not None:
            found = self.by_id.get(algo_id)
            return found if found is not None and found.account is account else None
        for algo in reversed(self.by_id.values()):
            if algo.account is account and algo.cl_algo_id == cl_algo_id:
                return algo
        return None

    # ------------------------------------------------------------------------------- called by the exchange
    def due(self, market: Market, paths: dict[PriceKind, list[Decimal]]) -> list[tuple[Algo, AlgoLeg]]:
        """Those that the prices since the last look fire, oldest first."""
        found = []
        for algo in market.algos.values():
            leg = next((leg for leg in algo.legs if any(leg.met(price) for price in paths[leg.trigger_by])), None)
            if leg is not None:
                found.append((algo, leg))
        return found

    def fire(self, market: Market, algo: Algo, leg: AlgoLeg) -> None:
        """The trigger was met: submit the child."""
        if not algo.is_open:
            return
        market.algos.pop(algo.algo_id, None)
        algo.fired = leg
        algo.status = AlgoStatus.TRIGGERING
        algo.triggered_ns = algo.updated_ns = self._ex.clock.now_ns()
        self._announce(algo)
        order = leg.order
        order.algo = algo
        if algo.close_position:
            order.close_position = True
            order.order_qty = margin.reducible(order)
        if algo.close_position and not order.order_qty:
            self._end(algo, AlgoStatus.EXPIRED)
            return
        try:
            self._ex.check_new(market, order)
            self._ex.lock_new(market, order)
        except Reject as reject:
            algo.reason = reject.reason
            self._end(algo, AlgoStatus.REJECTED)
            return
        algo.child = order
        algo.status = AlgoStatus.TRIGGERED
        self._ex.admit(market, order)
        algo.updated_ns = self._ex.clock.now_ns()
        self._announce(algo)
        self._ex.enter(market, order)

    def child_ended(self, algo: Algo) -> None:
        """Whatever the child's end was."""
        if algo.status is AlgoStatus.TRIGGERED:
            self._ex.after_action.append(lambda: self._end(algo, AlgoStatus.FINISHED))

    def _end(self, algo: Algo, status: AlgoStatus) -> None:
        self._ex.markets[algo.symbol].algos.pop(algo.algo_id, None)
        algo.status = status
        algo.updated_ns = self._ex.clock.now_ns()
        self._announce(algo)

    def _announce(self, algo: Algo) -> None:
        for listener in self._ex.listeners:
            listener.on_algo(algo)
