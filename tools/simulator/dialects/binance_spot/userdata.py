"""The private stream: account events to every subscription of the account (section 14)."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from tools.simulator.core.accounts import Account
from tools.simulator.core.exchange import Listener
from tools.simulator.core.faults import FaultPlan
from tools.simulator.core.lists import OrderList
from tools.simulator.core.model import ExecType, Execution, Order
from tools.simulator.core.private import PrivateChannel
from tools.simulator.core.scheduler import Scheduler
from tools.simulator.dialects.binance_spot import render


class UserData(PrivateChannel, Listener):
    """Renders what the exchange reports, for each time unit that a subscriber asked for."""

    def __init__(self, faults: FaultPlan, scheduler: Scheduler, now_ns: Callable[[], int]) -> None:
        super().__init__(faults, scheduler)
        self._now_ns = now_ns
        self.on_first_fill: Callable[[Account, bool], None] | None = None

    # --------------------------------------------------------------------------- what the exchange says
    def on_execution(self, order: Order, execution: Execution) -> None:
        account = order.account
        if account is None:
            return
        if execution.exec_type is ExecType.TRADE and not order.counted_fill:
            order.counted_fill = True
            if self.on_first_fill is not None and execution.fill is not None:
                self.on_first_fill(account, execution.fill.is_maker)
        if self.wanted(account):
            self._emit(
                account,
                f"executionReport:{execution.exec_type.value}",
                lambda unit: render.execution_report(order, execution, unit),
            )

    def on_balances(self, account: Account, assets: set[str]) -> None:
        if self.wanted(account):
            now = self._now_ns()
            self._emit(
                account,
                "outboundAccountPosition",
                lambda unit: render.account_position(account, assets, now, unit),
            )

    def on_list(self, order_list: OrderList) -> None:
        if self.wanted(order_list.account):
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

    def _emit(self, account: Account, subject: str, build: Callable[[int], dict[str, object]]) -> None:
        self.emit(account, subject, lambda unit: orjson.dumps(build(unit)))
