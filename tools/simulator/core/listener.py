"""What the exchange says: the interface that a dialect overrides."""

from __future__ import annotations

from decimal import Decimal

import attrs

from tools.simulator.core.accounts import Account, Position
from tools.simulator.core.algos import Algo
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.lists import OrderList
from tools.simulator.core.market import AggTrade, Market
from tools.simulator.core.model import Execution, Order, Trade


@attrs.frozen(kw_only=True)
class WalletChange:
    """What one action did to the money and the positions of one account."""

    reason: str  # "ORDER", "FUNDING", "TRANSFER", "MARGIN", "ADJUSTMENT"
    time_ns: int
    balances: dict[str, Decimal]  # asset -> change of the wallet, commission and profit included
    positions: tuple[Position, ...] = ()  # those that changed
    symbol: str = ""  # of a funding payment
    rate: Decimal = ZERO  # of a funding payment


@attrs.define
class Moved:
    """What `WalletChange` is made of, while the action runs."""

    reason: str
    balances: dict[str, Decimal] = attrs.Factory(dict)
    positions: dict[Position, None] = attrs.Factory(dict)
    symbol: str = ""
    rate: Decimal = ZERO

    def told(self, now_ns: int) -> WalletChange:
        return WalletChange(
            reason=self.reason,
            time_ns=now_ns,
            balances=self.balances,
            positions=tuple(self.positions),
            symbol=self.symbol,
            rate=self.rate,
        )


class Listener:
    """What a dialect overrides to hear the exchange. Calls are synchronous; render at once, keep nothing."""

    def on_execution(self, order: Order, execution: Execution) -> None:
        """One change of one order of an account (never of the street)."""

    def on_balances(self, account: Account, assets: set[str]) -> None:
        """These balances may have changed in the action that just ended."""

    def on_list(self, order_list: OrderList) -> None:
        """An order list began, changed or ended."""

    def on_algo(self, algo: Algo) -> None:
        """A conditional order of `core.algos` began to wait, fired or ended; its status says which."""

    def on_trades(self, market: Market, trades: list[Trade], aggregates: list[AggTrade]) -> None:
        """The public prints of the action that just ended."""

    def on_book(self, market: Market) -> None:
        """The book may have changed."""

    def on_wallet(self, account: Account, change: WalletChange) -> None:
        """Contracts only: an action that ended has moved balances or positions.  Once an action and account, after
        `on_execution` and `on_balances`.  Absolute values are in the account; the change says which, why, how much."""

    def on_settings(self, account: Account, symbol: str) -> None:
        """Leverage or margin mode of a symbol changed (or, with an empty symbol, the position mode)."""

    def on_mark(self, market: Market) -> None:
        """The mark price of a linear market moved."""
