"""What a state file's rows say of each thing, and how an exchange is made whole from them.

Orders are written without what they are tied to (account, list, conditional order): ties are made again when all things
are there.  Rows of markets that are not listed this time are passed over and stay in the file.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs

from tools.simulator.core.accounts import Account, Balance, MarginSettings, Position
from tools.simulator.core.algos import Algo, AlgoLeg
from tools.simulator.core.exchange import Exchange
from tools.simulator.core.images import Forgotten, Unreadable, fill_key, live, made, parts_of, plain
from tools.simulator.core.lists import OrderList
from tools.simulator.core.market import Market
from tools.simulator.core.memory import Memory
from tools.simulator.core.model import Fill, Order, OrdStatus, PositionSide
from tools.simulator.core.statefile import Row

__all__ = [
    "SKIP",
    "Logged",
    "Restored",
    "Restorer",
    "account_image",
    "algo_image",
    "list_image",
    "market_image",
    "numbers_image",
    "order_image",
    "position_image",
]

SKIP = 1_000_000
"""Numbers that are left out at a restart: more than a market uses between two of its rows."""
_ORDER_TIES = frozenset({"account", "order_list", "algo", "extra"})
_LIST_TIES = frozenset({"account", "legs", "working"})
_ALGO_TIES = frozenset({"account", "legs", "child", "fired", "extra"})
_ACCOUNT_PARTS = ("uid", "maker_rate", "taker_rate", "rates", "trade_group", "hedge", "default_leverage", "update_ns")


@attrs.frozen(kw_only=True)
class Restored:
    """What was found, for people."""

    accounts: int
    open_orders: int
    closed_orders: int
    trades: int
    unlisted: int
    """Open orders of markets that are not listed this time: they wait in the file."""

    def __str__(self) -> str:
        waiting = f"; {self.unlisted} open orders of markets that are not listed wait" if self.unlisted else ""
        return (
            f"{self.accounts} accounts, {self.open_orders} open and {self.closed_orders} closed orders, "
            f"{self.trades} trades{waiting}"
        )


@attrs.define(eq=False)
class Logged:
    """How far one log has been written."""

    name: str
    """Its key, as text."""
    count: int = 0
    last: Any = None

    def fresh(self, items: list[Any]) -> list[Any]:
        """What follows the item that was written last."""
        if self.last is None:
            return items
        for index in range(len(items) - 1, -1, -1):
            if items[index] is self.last:
                return items[index + 1 :]
        return items


# ---- writing ---------------------------------------------------------------------------------------------------


def account_image(account: Account) -> dict[str, Any]:
    return {
        "balances": {asset: [str(each.free), str(each.locked)] for asset, each in account.balances.items()},
        "settings": {symbol: parts_of(each) for symbol, each in account.settings.items()},
        "v": {name: plain(getattr(account, name)) for name in _ACCOUNT_PARTS},
    }


def position_image(position: Position) -> dict[str, Any]:
    return {"account": position.account.name, "v": parts_of(position, frozenset({"account"}))}


def order_image(order: Order, *, refused: bool = False) -> dict[str, Any]:
    assert order.account is not None
    image: dict[str, Any] = {"account": order.account.name, "v": parts_of(order, _ORDER_TIES)}
    if order.extra:
        image["extra"] = plain(order.extra)
    return image | {"refused": True} if refused else image


def list_image(order_list: OrderList) -> dict[str, Any]:
    working = order_list.working
    return {
        "account": order_list.account.name,
        "v": parts_of(order_list, _LIST_TIES),
        "legs": [leg.order_id for leg in order_list.legs],
        "working": None if working is None else working.order_id,
    }


def algo_image(algo: Algo) -> dict[str, Any]:
    """Its legs bring their orders along; the one that was set free is an order by itself."""
    legs = [
        {"v": parts_of(leg, frozenset({"order"})), "order": None if leg is algo.fired else order_image(leg.order)}
        for leg in algo.legs
    ]
    return {
        "account": algo.account.name,
        "v": parts_of(algo, _ALGO_TIES),
        "legs": legs,
        "fired": None if algo.fired is None else algo.legs.index(algo.fired),
        "fired_order": None if algo.fired is None else order_image(algo.fired.order),
        "child": None if algo.child is None else algo.child.order_id,
        "extra": plain(algo.extra),
    }


def market_image(market: Market) -> dict[str, Any]:
    return {"last_px": str(market.last_px), "numbers": market.numbers()}


def numbers_image(ex: Exchange) -> dict[str, int]:
    return {"order": ex.last_order_id, "list": ex.last_list_id, "algo": ex.algos.last_id}


# ---- reading ---------------------------------------------------------------------------------------------------


class Restorer:
    """Makes one exchange whole, which has its markets and nothing else.

    Raises Unreadable, Forgotten, or what wrong words raise: KeyError, TypeError, ValueError, AttributeError.
    """

    def __init__(
        self, ex: Exchange, memory: Memory, logged: dict[tuple[str, Any], Logged], rows: dict[str, list[Row]]
    ) -> None:
        self._ex = ex
        self._memory = memory
        self._logged = logged
        self._rows = rows
        self._fills: dict[tuple[Any, ...], Fill] = {}
        self._orders: dict[tuple[str, int], Order] = {}
        self._refused: list[Order] = []
        self._unlisted = 0

    def restore(self) -> Restored:
        self._accounts()
        self._read_fills()
        self._read_orders()
        for row in self._of("list"):
            self._list(row.value)
        for row in self._of("algo"):
            self._algo(row.value)
        self._read_extras()
        self._enter()
        self._numbers()
        self._read_memory()
        return Restored(
            accounts=len(self._of("account")),
            open_orders=sum(order.is_live for order in self._orders.values()),
            closed_orders=sum(not order.is_live for order in self._orders.values()),
            trades=len(self._fills),
            unlisted=self._unlisted,
        )

    def _of(self, kind: str) -> list[Row]:
        return self._rows.get(kind, [])

    def _account(self, name: str) -> Account:
        return self._ex.accounts.by_name[name]

    def resolve(self, reference: tuple[Any, ...]) -> Any:
        """Raises Forgotten."""
        kind, *key = reference
        found: Any = None
        if kind == "account":
            found = self._ex.accounts.by_name.get(key[0])
        elif kind == "order":
            found = self._orders.get((key[0], key[1]))
        elif kind == "fill":
            found = self._fills.get(reference)
        elif kind == "position":
            found = self._account(key[0]).positions.get((key[1], PositionSide[key[2]]))
        elif kind == "list":
            found = self._ex.lists.get(key[0])
        elif kind == "algo":
            found = self._ex.algos.by_id.get(key[0])
        if found is None:
            raise Forgotten(str(reference))
        return found

    # ------------------------------------------------------------------------------------------- accounts
    def _accounts(self) -> None:
        for row in self._of("account"):
            parts = {name: live(each, self.resolve) for name, each in row.value["v"].items()}
            account = Account(name=row.key, **parts)
            account.balances = {
                asset: Balance(_money(free), _money(locked)) for asset, (free, locked) in row.value["balances"].items()
            }
            account.settings = {
                symbol: made(MarginSettings, each, self.resolve) for symbol, each in row.value["settings"].items()
            }
            self._ex.accounts.by_name[row.key] = account
        for row in self._of("position"):
            account = self._account(row.value["account"])
            position: Position = made(Position, row.value["v"], self.resolve, account=account)
            if position.symbol in self._ex.markets:
                account.positions[position.symbol, position.side] = position

    def _read_fills(self) -> None:
        for row in self._of("fill"):
            fill: Fill = made(Fill, row.value["v"], self.resolve)
            self._fills[fill_key(fill)] = fill
            self._account(row.value["account"]).fills.setdefault(fill.trade.symbol, []).append(fill)

    # --------------------------------------------------------------------------------------------- orders
    def _read_orders(self) -> None:
        for row in self._of("order"):
            order = self._order(row.value)
            if order.symbol in self._ex.markets:
                self._orders[order.symbol, order.order_id] = order
            else:
                self._unlisted += order.is_live

    def _order(self, image: dict[str, Any]) -> Order:
        order: Order = made(Order, image["v"], self.resolve, account=self._account(image["account"]))
        return order

    def _read_extras(self) -> None:
        """What the dialect put beside an order may refer to fills, and to other orders."""
        for row in self._of("order"):
            order = self._orders.get((row.value["v"]["symbol"], row.value["v"]["order_id"]))
            if order is not None:
                order.extra.update(live(row.value.get("extra", {"m": []}), self.resolve))
                if row.value.get("refused"):
                    self._refused.append(self._orders.pop((order.symbol, order.order_id)))

    def _list(self, image: dict[str, Any]) -> None:
        order_list: OrderList = made(OrderList, image["v"], self.resolve, account=self._account(image["account"]))
        symbol = order_list.symbol
        order_list.legs = [self._orders[symbol, leg] for leg in image["legs"] if (symbol, leg) in self._orders]
        if symbol not in self._ex.markets or not order_list.legs:
            return
        if image["working"] is not None:
            order_list.working = self._orders.get((symbol, image["working"]))
        for leg in order_list.legs:
            leg.order_list = order_list
        self._ex.lists[order_list.list_id] = order_list

    def _algo(self, image: dict[str, Any]) -> None:
        if image["v"]["symbol"] not in self._ex.markets:
            return
        symbol, child = image["v"]["symbol"], image["child"]
        found = None if child is None else self._orders.get((symbol, child))
        legs = []
        for number, row in enumerate(image["legs"]):
            if number == image["fired"]:
                order = found or self._loose(image["fired_order"])
            else:
                order = self._loose(row["order"])
            legs.append(made(AlgoLeg, row["v"], self.resolve, order=order))
        algo: Algo = made(
            Algo, image["v"], self.resolve, account=self._account(image["account"]), legs=tuple(legs), child=found
        )
        if image["fired"] is not None:
            algo.fired = legs[image["fired"]]
            algo.fired.order.algo = algo
        algo.extra.update(live(image["extra"], self.resolve))
        self._ex.algos.by_id[algo.algo_id] = algo
        if algo.is_open:
            self._ex.markets[symbol].algos[algo.algo_id] = algo

    def _loose(self, image: dict[str, Any]) -> Order:
        """An order that is none yet."""
        order = self._order(image)
        order.extra.update(live(image.get("extra", {"m": []}), self.resolve))
        return order

    def _enter(self) -> None:
        """Every order into the places where it is looked for, those that rest into the book, as they stood there."""
        for order in self._orders.values():
            self._ex.remember_again(order)
        resting = [order for order in self._orders.values() if order.is_live and order.is_working]
        for order in sorted(resting, key=lambda each: each.place):
            self._ex.markets[order.symbol].book.side_of(order).add(order)
        for order in self._orders.values():
            if order.is_live and not order.is_working and order.ord_status is not OrdStatus.PENDING_NEW:
                self._ex.markets[order.symbol].stops[order.order_id] = order

    # -------------------------------------------------------------------------------------------- numbers
    def _numbers(self) -> None:
        for row in self._of("market"):
            market = self._ex.markets.get(row.key)
            if market is not None:
                market.last_px = _money(row.value["last_px"])
                market.go_on_from({name: number + SKIP for name, number in row.value["numbers"].items()})
        for row in self._of("numbers"):
            ex, said = self._ex, row.value
            ex.last_order_id = max(ex.last_order_id, said["order"] + SKIP)
            ex.last_list_id, ex.algos.last_id = said["list"] + SKIP, said["algo"] + SKIP

    # ------------------------------------------------------------------------------------ what the dialect knows
    def _read_memory(self) -> None:
        for row in self._of("log"):
            self._logged_again(row)
        for row in self._of("value"):
            if row.key in self._memory.values:
                self._memory.values[row.key][1](live(row.value, self.resolve))
        self._memory.rebuild(self._refused)

    def _logged_again(self, row: Row) -> None:
        name = row.value["log"]
        log = self._memory.logs.get(name)
        if log is None:
            return
        _, _, rest = row.key.partition("/")
        text, _, number = rest.rpartition("/")
        try:
            key = live(row.value["key"], self.resolve)
            item = live(row.value["item"], self.resolve)
        except Forgotten:
            return
        log.setdefault(key, []).append(item)
        logged = self._logged.setdefault((name, key), Logged(text))
        logged.count, logged.last = int(number) + 1, item


def _money(text: str) -> Decimal:
    value = Decimal(text)
    if not value.is_finite():
        raise Unreadable(f"{text!r} is no amount")
    return value
