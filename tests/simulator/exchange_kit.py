"""A small exchange for tests of the matching engine: one symbol, coarse steps, a listener that keeps what it hears."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tools.simulator.core.accounts import Account
from tools.simulator.core.clock import ManualClock
from tools.simulator.core.exchange import Exchange, Listener
from tools.simulator.core.lists import OrderList
from tools.simulator.core.market import AggTrade, Market
from tools.simulator.core.model import (
    ExecType,
    Execution,
    Order,
    OrdStatus,
    OrdType,
    Side,
    SymbolSpec,
    Trade,
)

D = Decimal
SPEC = SymbolSpec(symbol="BTCUSDT", base="BTC", quote="USDT", tick_size=D("0.01"), step_size=D("0.001"))


class Recorder(Listener):
    """Everything the exchange said, in order, as values that do not change afterwards."""

    def __init__(self) -> None:
        self.executions: list[tuple[str, ExecType, OrdStatus, Execution]] = []
        self.lists: list[tuple[str, str]] = []
        self.prints: list[Trade] = []
        self.aggregates: list[AggTrade] = []
        self.touched: list[tuple[str, frozenset[str]]] = []

    def on_execution(self, order: Order, execution: Execution) -> None:
        self.executions.append((order.cl_ord_id, execution.exec_type, order.ord_status, execution))

    def on_balances(self, account: Account, assets: set[str]) -> None:
        self.touched.append((account.name, frozenset(assets)))

    def on_list(self, order_list: OrderList) -> None:
        self.lists.append((order_list.status_type, order_list.order_status))

    def on_trades(self, market: Market, trades: list[Trade], aggregates: list[AggTrade]) -> None:
        self.prints += trades
        self.aggregates += aggregates

    def story(self, cl_ord_id: str) -> list[str]:
        """What happened to one order: `["NEW", "TRADE", "CANCELED"]`."""
        return [kind.value for name, kind, _, _ in self.executions if name == cl_ord_id]


class Kit:
    """One exchange, its clock and its recorder."""

    def __init__(self, *, publishes_queue: bool = True, rate: str = "0.001") -> None:
        self.clock = ManualClock()
        self.exchange = Exchange(self.clock)
        self.market = self.exchange.add_market(SPEC, publishes_queue=publishes_queue)
        self.heard = Recorder()
        self.exchange.listeners.append(self.heard)
        self._rate = D(rate)
        self._next = 0

    def account(self, name: str, *, usdt: str = "1000000", btc: str = "1000", group: int = -1) -> Account:
        return self.exchange.accounts.create(
            name,
            {"USDT": D(usdt), "BTC": D(btc)},
            maker_rate=self._rate,
            taker_rate=self._rate,
            trade_group=group,
        )

    def order(
        self,
        account: Account | None,
        side: str,
        qty: str,
        price: str | None = None,
        *,
        ord_type: OrdType = OrdType.LIMIT,
        cl_ord_id: str | None = None,
        **more: Any,
    ) -> Order:
        """Build an order; a client id is made where none is given."""
        self._next += 1
        return Order(
            symbol=SPEC.symbol,
            account=account,
            cl_ord_id=cl_ord_id or f"o{self._next}",
            side=Side(side),
            ord_type=OrdType.MARKET if price is None and ord_type is OrdType.LIMIT else ord_type,
            price=D(price or "0"),
            order_qty=D(qty),
            **more,
        )

    def place(self, account: Account | None, side: str, qty: str, price: str | None = None, **more: Any) -> Order:
        """Build and submit."""
        order = self.order(account, side, qty, price, **more)
        self.clock.advance(1_000_000)
        self.exchange.submit(order)
        return order

    def bids(self) -> list[tuple[str, str]]:
        return [(f"{price:f}", f"{qty:f}") for price, qty in self.market.depth(Side.BUY, 100)]

    def asks(self) -> list[tuple[str, str]]:
        return [(f"{price:f}", f"{qty:f}") for price, qty in self.market.depth(Side.SELL, 100)]
