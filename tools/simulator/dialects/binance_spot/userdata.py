"""The private stream: account events to every subscription of the account (section 14).

A request's own events can be held until its reply has been queued, or the other way round; which of the two comes
first is not promised by the venue, so the simulator can do both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

import orjson

from tools.simulator.core.accounts import Account
from tools.simulator.core.exchange import Listener
from tools.simulator.core.faults import EVENT, FaultKind, FaultPlan
from tools.simulator.core.lists import OrderList
from tools.simulator.core.model import ExecType, Execution, Order
from tools.simulator.core.scheduler import Scheduler
from tools.simulator.dialects.binance_spot import render


class UserSession(Protocol):
    """A connection that may hold subscriptions."""

    unit: int

    def send_event(self, subscription_id: int, event: bytes) -> None: ...


Held = list[tuple[Account, str, dict[int, bytes]]]


class UserData(Listener):
    """Renders what the exchange reports and delivers it to the subscribers."""

    def __init__(self, faults: FaultPlan, scheduler: Scheduler, now_ns: Callable[[], int]) -> None:
        self._faults = faults
        self._scheduler = scheduler
        self._now_ns = now_ns
        self._subscribers: dict[Account, dict[tuple[UserSession, int], None]] = {}
        self._held: Held | None = None
        self.sent: Counter[str] = Counter()
        self.delay_s = 0.0
        self.on_first_fill: Callable[[Account, bool], None] | None = None

    # -------------------------------------------------------------------------------- subscriptions
    def subscribe(self, account: Account, session: UserSession, subscription_id: int) -> None:
        self._subscribers.setdefault(account, {})[session, subscription_id] = None

    def unsubscribe(self, account: Account, session: UserSession, subscription_id: int) -> None:
        listeners = self._subscribers.get(account)
        if listeners is not None:
            listeners.pop((session, subscription_id), None)
            if not listeners:
                del self._subscribers[account]

    def count(self, account: Account) -> int:
        return len(self._subscribers.get(account, ()))

    # --------------------------------------------------------------------------- what the exchange says
    def on_execution(self, order: Order, execution: Execution) -> None:
        account = order.account
        if account is None:
            return
        if execution.exec_type is ExecType.TRADE and not order.counted_fill:
            order.counted_fill = True
            if self.on_first_fill is not None and execution.fill is not None:
                self.on_first_fill(account, execution.fill.is_maker)
        if account in self._subscribers:
            self._emit(
                account,
                f"executionReport:{execution.exec_type.value}",
                lambda unit: render.execution_report(order, execution, unit),
            )

    def on_balances(self, account: Account, assets: set[str]) -> None:
        if account in self._subscribers:
            now = self._now_ns()
            self._emit(
                account,
                "outboundAccountPosition",
                lambda unit: render.account_position(account, assets, now, unit),
            )

    def on_list(self, order_list: OrderList) -> None:
        if order_list.account in self._subscribers:
            now = self._now_ns()
            self._emit(
                order_list.account,
                f"listStatus:{order_list.status_type}",
                lambda unit: render.list_status(order_list, now, unit),
            )

    def balance_update(self, account: Account, asset: str, delta: str) -> None:
        """A deposit or withdrawal: the only balance change that is told as a difference."""
        now = self._now_ns()
        self._emit(
            account,
            "balanceUpdate",
            lambda unit: {
                "e": "balanceUpdate",
                "E": now // unit,
                "a": asset,
                "d": delta,
                "T": now // unit,
            },
        )

    # -------------------------------------------------------------------------------------- delivery
    def hold(self) -> None:
        """Keep what follows until `release` takes it."""
        self._held = []

    def release(self) -> Held:
        """What was held since `hold`; nothing is held any more."""
        held, self._held = self._held, None
        return held or []

    def deliver(self, held: Held) -> None:
        for account, subject, bodies in held:
            self._pass(account, subject, bodies)

    def _emit(self, account: Account, subject: str, build: Callable[[int], dict[str, object]]) -> None:
        units = {session.unit for session, _ in self._subscribers.get(account, ())}
        bodies = {unit: orjson.dumps(build(unit)) for unit in units}
        if self._held is not None:
            self._held.append((account, subject, bodies))
        else:
            self._pass(account, subject, bodies)

    def _pass(self, account: Account, subject: str, bodies: dict[int, bytes]) -> None:
        """Through the fault plan to every subscription."""
        self.sent[subject] += 1
        fault = self._faults.take(EVENT, subject, account=account.name)
        if fault is not None and fault.kind is FaultKind.EVENT_DROP:
            return
        if fault is not None and fault.kind is FaultKind.EVENT_DELAY:
            self._scheduler.after(fault.delay_ms / 1000, lambda: self._send(account, bodies))
            return
        if self.delay_s:
            self._scheduler.after(self.delay_s, lambda: self._send(account, bodies))
        else:
            self._send(account, bodies)
        if fault is not None and fault.kind is FaultKind.EVENT_DUPLICATE:
            self._send(account, bodies)

    def _send(self, account: Account, bodies: dict[int, bytes]) -> None:
        for session, subscription_id in list(self._subscribers.get(account, ())):
            body = bodies.get(session.unit)
            if body is not None:
                session.send_event(subscription_id, body)
