"""A venue that remembers: accounts, orders, trades and numbers, written before anybody hears of them.

The keeper listens to the exchange and notes what an action touched.  The server calls `flush` before it lets a byte
out, so what a client was told is on disk whatever becomes of the process, and actions that nobody has heard of yet are
written together.  Public market data is not kept: a market that comes back goes on from its last price with numbers
that lie a good deal further on.

What a dialect knows beyond the exchange it declares as a `Memory`; what it can make out again from orders and trades it
rebuilds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.simulator.core import restoring
from tools.simulator.core.accounts import Account
from tools.simulator.core.algos import Algo
from tools.simulator.core.exchange import Exchange
from tools.simulator.core.images import Forgotten, Unreadable, fill_key, parts_of, plain
from tools.simulator.core.listener import Listener, WalletChange
from tools.simulator.core.lists import OrderList
from tools.simulator.core.market import Market
from tools.simulator.core.memory import Memory, Remembers
from tools.simulator.core.model import ExecType, Execution, Fill, Order, RejectReason
from tools.simulator.core.restoring import Restored
from tools.simulator.core.statefile import Row, StateFile, json_text

__all__ = ["Keeper"]

KEPT = {"order": 5_000, "fill": 20_000, "log": 20_000, "list": 1_000, "algo": 1_000}
"""Of what is over, the newest."""
MARKETS_EVERY_NS = 1_000_000_000


class Keeper(Listener):
    """Notes changes and writes them; `restore` first, once."""

    def __init__(self, path: Path, family: str, exchange: Exchange, dialect: object) -> None:
        self._ex = exchange
        self._file = StateFile(path, family, KEPT)
        self._memory = dialect.memory() if isinstance(dialect, Remembers) else Memory()
        self.dirty = False
        self._accounts: dict[Account, None] = {}
        self._orders: dict[Order, None] = {}
        self._lists: dict[OrderList, None] = {}
        self._algos: dict[Algo, None] = {}
        self._fills: list[tuple[Account, Fill]] = []
        self._markets: dict[Market, None] = {}
        self._written: dict[tuple[str, str], str] = {}  # of rows that are made again and again: what they say
        self._logged: dict[tuple[str, Any], restoring.Logged] = {}  # by name and key of a log
        self._refused: set[Order] = set()
        self._markets_due_ns = 0
        exchange.listeners.append(self)

    @property
    def path(self) -> Path:
        return self._file.path

    # ------------------------------------------------------------------------------- what the exchange says
    def on_execution(self, order: Order, execution: Execution) -> None:
        assert order.account is not None
        if (
            execution.exec_type is ExecType.REJECTED
            and self._ex.orders.get((order.symbol, order.order_id)) is not order
        ):
            if execution.ord_rej_reason is not RejectReason.WOULD_MATCH:
                return
            self._refused.add(order)
        self._orders[order] = None
        self._markets[self._ex.markets[order.symbol]] = None
        if execution.fill is not None:
            self._fills.append((order.account, execution.fill))
        self.touch(order.account)

    def on_balances(self, account: Account, assets: set[str]) -> None:
        self.touch(account)

    def on_wallet(self, account: Account, change: WalletChange) -> None:
        for order in account.open_orders.values():
            if order.is_conditional and not order.is_working:
                self._orders[order] = None  # it may follow the size of its position
        self.touch(account)

    def on_settings(self, account: Account, symbol: str) -> None:
        self.touch(account)

    def on_list(self, order_list: OrderList) -> None:
        self._lists[order_list] = None
        self.dirty = True

    def on_algo(self, algo: Algo) -> None:
        self._algos[algo] = None
        self.dirty = True

    def touch(self, account: Account) -> None:
        """Something of the account has changed."""
        self._accounts[account] = None
        self.dirty = True

    def tick(self, now_ns: int) -> None:
        """Every 100 ms: what trails a price moves silently, and markets go on without anybody's doing."""
        if now_ns >= self._markets_due_ns:
            self._markets_due_ns = now_ns + MARKETS_EVERY_NS
            for market in self._ex.markets.values():
                self._markets[market] = None
                self._orders |= {order: None for order in market.stops.values() if order.trailing_delta}
                self._algos |= {algo: None for algo in market.algos.values() if any(leg.trails for leg in algo.legs)}
            self.dirty = True
        self.flush()

    # ---------------------------------------------------------------------------------------------- writing
    def flush(self) -> None:
        """Write what has changed.  Raises StateError, and has then written nothing."""
        if not self.dirty:
            return
        rows = [row for row in self._rows() if self._is_news(row)]
        if rows:
            self._file.write(rows)
        self._accounts, self._orders, self._lists, self._algos, self._markets = {}, {}, {}, {}, {}
        self._fills = []
        self.dirty = False

    def close(self, *, write: bool = True) -> None:
        """Write the rest, and let the file go."""
        try:
            if write:
                self.flush()
        finally:
            self._file.close()

    def _is_news(self, row: Row) -> bool:
        """Rows of these kinds are made whenever something near them changes."""
        if row.kind not in ("account", "position", "market", "value", "numbers"):
            return True
        text = json_text(row.value)
        if self._written.get((row.kind, row.key)) == text:
            return False
        self._written[row.kind, row.key] = text
        return True

    def _rows(self) -> Iterator[Row]:
        for account in self._accounts:
            yield Row("account", account.name, restoring.account_image(account))
            for position in account.positions.values():
                key = f"{account.name}/{position.symbol}/{position.side.name}"
                yield Row("position", key, restoring.position_image(position))
        for account, fill in self._fills:
            key = "/".join(map(str, fill_key(fill)[1:]))
            yield Row("fill", key, {"account": account.name, "v": parts_of(fill)}, over=True)
        for order in self._orders:
            image = restoring.order_image(order, refused=order in self._refused)
            yield Row("order", f"{order.symbol}/{order.order_id}", image, over=not order.is_live)
        for order_list in self._lists:
            yield Row("list", str(order_list.list_id), restoring.list_image(order_list), over=order_list.is_done)
        for algo in self._algos:
            over = not algo.is_open and (algo.child is None or not algo.child.is_live)
            yield Row("algo", str(algo.algo_id), restoring.algo_image(algo), over=over)
        for market in self._markets:
            yield Row("market", market.symbol, restoring.market_image(market))
        yield Row("numbers", "venue", restoring.numbers_image(self._ex))
        for name, (read, _) in self._memory.values.items():
            yield Row("value", name, plain(read()))
        yield from self._log_rows()

    def _log_rows(self) -> Iterator[Row]:
        """The items that came since the last time.  A log that lost its oldest still holds what was written last."""
        for name, log in self._memory.logs.items():
            for key, items in log.items():
                if not items:
                    continue
                logged = self._logged.get((name, key))
                if logged is None:
                    logged = self._logged[name, key] = restoring.Logged(json_text(plain(key)))
                for item in logged.fresh(items):
                    value = {"log": name, "key": plain(key), "item": plain(item)}
                    yield Row("log", f"{name}/{logged.name}/{logged.count}", value, over=True)
                    logged.count += 1
                logged.last = items[-1]

    # ---------------------------------------------------------------------------------------------- reading
    def restore(self) -> Restored | None:
        """Give the exchange and the dialect back what the file holds; None for a new file.  Raises StateError."""
        rows: dict[str, list[Row]] = {}
        for row in self._file.load():
            rows.setdefault(row.kind, []).append(row)
        if "account" not in rows:
            return None
        try:
            return restoring.Restorer(self._ex, self._memory, self._logged, rows).restore()
        except (Unreadable, Forgotten, KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._file.unreadable(f"{type(error).__name__}: {error}") from error
