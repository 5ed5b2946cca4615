"""Conditional orders: the algo service (reference sections 5.7 and 14).

A conditional order has two lives.  It waits in the algo service under an id of that service, in lists and on a channel
of its own; once triggered it is `effective`, and the engine has an ordinary order, its *child*, with another id.

Ids: the venue's id of a waiting order begins with `ALGO_PREFIX`, so that a cancel or a query knows where to go; without
it one must ask at both places, and `ALGO_NAME` before our id means the algo service.  Our id is the algo's
`algoClOrdId`.  A child repeats it beside the `algoId`, whatever client id it has of its own; so to us it is the same
order, which changes its venue's id when it is triggered (`Children`).

A STOP is `conditional` with a stop loss, a TAKE_PROFIT one with a take profit, and never `trigger`: that one would fire
at its price from whichever side the market comes, where a stop that is already passed must be refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TypeVar

from protocols.enums import ExecInst, ExecType, OrdStatus, OrdType, TimeInForce
from protocols.errors import ConfigError, LocalProtocolError
from protocols.ids import AccountID, ClOrdID, OrderID, StrategyID, Symbol, Venue
from protocols.instruments import Product
from protocols.orders import ExecutionReport, NewOrder
from protocols.venues.okx.encode import PLACES, Fields, OrderRules, legal_cl_ord_id, order_id_number
from protocols.venues.okx.wire import AlgoRow, OrderRow
from protocols.venues.okx.words import LEGS, SIDES, counts_money, number, price_or_none, stamp_of
from protocols.venues.values import ZERO, amount_text
from protocols.venues.words import translated

__all__ = [
    "ALGO_NAME",
    "ALGO_PREFIX",
    "CONDITIONAL",
    "LISTED",
    "TRIGGER_PRICES",
    "AlgoReports",
    "AlgoRules",
    "Children",
    "Conditionals",
    "algo_order_id",
    "cancel_algo_fields",
    "is_algo",
    "query_algo_params",
]

Link = TypeVar("Link")

ALGO_PREFIX = "A"
ALGO_NAME = "algo#"
"""Begins a client id that is to be looked for in the algo service; `#` is legal in no client id."""
CHILDREN_MAX = 10_000
TRIGGER_PRICES = ("last", "mark", "index")
AT_MARKET = "-1"
LISTED = ("conditional", "oco", "trigger", "move_order_stop")
"""Kinds that are listed as `ExecutionReport`s, each with a request of its own; the others split into many orders."""
_LEGS_OF: Mapping[OrdType, str] = {
    OrdType.STOP: "sl",
    OrdType.STOP_LIMIT: "sl",
    OrdType.TAKE_PROFIT: "tp",
    OrdType.TAKE_PROFIT_LIMIT: "tp",
}
CONDITIONAL = frozenset(_LEGS_OF)
_LIMITED = frozenset({OrdType.STOP_LIMIT, OrdType.TAKE_PROFIT_LIMIT})
_KINDS = {
    "conditional": OrdType.STOP,
    "oco": OrdType.STOP,
    "trigger": OrdType.STOP,
    "move_order_stop": OrdType.TRAILING_STOP,
}
_WITH_PRICE = {OrdType.STOP: OrdType.STOP_LIMIT, OrdType.TAKE_PROFIT: OrdType.TAKE_PROFIT_LIMIT}
_MANY_CHILDREN = ("13", "34")
"""`source` of orders that are one of several of their algo order (TWAP and iceberg, chase)."""
_LIVE, _EFFECTIVE = "live", ("effective", "partially_effective")
_STATUSES = {
    _LIVE: OrdStatus.NEW,
    "pause": OrdStatus.NEW,
    "effective": OrdStatus.NEW,
    "partially_effective": OrdStatus.NEW,
    "canceled": OrdStatus.CANCELED,
    "order_failed": OrdStatus.REJECTED,
    "partially_failed": OrdStatus.REJECTED,
}
_ENDS = {OrdStatus.CANCELED: ExecType.CANCELED, OrdStatus.REJECTED: ExecType.REJECTED}


# ---- out -------------------------------------------------------------------------------------------------------


class AlgoRules:
    """How conditional orders of one account are written; `trigger_by` is the price that they watch."""

    __slots__ = ("_product", "_rules", "_trigger_by")

    def __init__(self, product: Product, rules: OrderRules, trigger_by: str) -> None:
        if trigger_by not in TRIGGER_PRICES:
            raise ConfigError(f"trigger_by was {trigger_by!r}, must be one of {', '.join(TRIGGER_PRICES)}")
        self._product = product
        self._rules = rules
        self._trigger_by = trigger_by

    def fields(self, order: NewOrder) -> Fields:
        """The body of `order-algo`.  Raises LocalProtocolError naming the field that the venue could not take."""
        leg = _LEGS_OF[order.ord_type]
        if order.time_in_force is not TimeInForce.GTC:
            raise LocalProtocolError(f"time_in_force was {order.time_in_force.value}, a conditional order has GTC")
        if order.exec_inst & ~ExecInst.REDUCE_ONLY:
            raise LocalProtocolError(f"exec_inst was {order.exec_inst}, a conditional order knows REDUCE_ONLY")
        if order.exec_inst and self._product is Product.SPOT:
            raise LocalProtocolError("exec_inst was REDUCE_ONLY, which spot does not have")
        if order.stop_px is None:
            raise LocalProtocolError(f"stop_px is missing; a {order.ord_type.value} order needs one")
        price = AT_MARKET
        if order.ord_type in _LIMITED:
            if order.price is None:
                raise LocalProtocolError(f"price is missing; a {order.ord_type.value} order needs one")
            price = amount_text(order.price, "price", PLACES)
        return {
            "instId": str(order.symbol),
            **self._rules.position_fields(order),
            "ordType": "conditional",
            "sz": amount_text(order.order_qty, "order_qty", PLACES),
            "algoClOrdId": legal_cl_ord_id(order.cl_ord_id),
            f"{leg}TriggerPx": amount_text(order.stop_px, "stop_px", PLACES),
            f"{leg}TriggerPxType": self._trigger_by,
            f"{leg}OrdPx": price,
            # Without it a buy at the market counts quote money.
            **({"tgtCcy": "base_ccy"} if self._product is Product.SPOT and price == AT_MARKET else {}),
        }


def is_algo(cl_ord_id: ClOrdID, order_id: OrderID | None) -> bool:
    """Whether these ids lead to the algo service."""
    return cl_ord_id.startswith(ALGO_NAME) if order_id is None else order_id.startswith(ALGO_PREFIX)


def algo_order_id(algo_id: str) -> OrderID:
    """Our name for the algo service's number."""
    return OrderID(f"{ALGO_PREFIX}{algo_id}")


def cancel_algo_fields(cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol) -> Fields:
    """One item of `cancel-algos`."""
    return {"instId": str(symbol), **dict(query_algo_params(cl_ord_id, order_id))}


def query_algo_params(cl_ord_id: ClOrdID, order_id: OrderID | None) -> tuple[tuple[str, str]]:
    """By the service's id where it is known, else by ours."""
    if order_id is not None:
        return (("algoId", order_id_number(OrderID(order_id.removeprefix(ALGO_PREFIX)))),)
    return (("algoClOrdId", legal_cl_ord_id(ClOrdID(cl_ord_id.removeprefix(ALGO_NAME)))),)


class Conditionals:
    """Conditional orders that were written here: their cancels must know, before the venue's id says so."""

    __slots__ = ("_names",)

    def __init__(self) -> None:
        self._names: dict[ClOrdID, None] = {}

    def add(self, cl_ord_id: ClOrdID) -> None:
        """One more; the oldest is forgotten when there are too many."""
        if len(self._names) >= CHILDREN_MAX:
            del self._names[next(iter(self._names))]
        self._names[cl_ord_id] = None

    def __contains__(self, cl_ord_id: ClOrdID) -> bool:
        return cl_ord_id in self._names


# ---- in --------------------------------------------------------------------------------------------------------


class Children:
    """Which order of the engine belongs to which algo order, as far as one connection has heard.

    The oldest are forgotten first.
    """

    __slots__ = ("_children", "_names", "_parents")

    def __init__(self) -> None:
        self._names: dict[str, ClOrdID] = {}
        """By `algoId`: what we call the order."""
        self._children: dict[str, str] = {}
        """By `algoId`: the `ordId` of what it made."""
        self._parents: dict[str, ClOrdID] = {}
        """By `ordId` of a child: what we call the order."""

    def child_of(self, algo_id: str) -> str:
        """The `ordId` of what it made; "" while that is not known."""
        return self._children.get(algo_id, "")

    def parent_of(self, order_id: str) -> ClOrdID | None:
        """What we call the order, if it is a child."""
        return self._parents.get(order_id)

    def meet(self, algo_id: str, name: ClOrdID, child: str) -> None:
        """An algo order as its service tells of it; `child` "" while it waits."""
        _bounded(self._names)[algo_id] = name
        if child:
            self._adopt(algo_id, name, child)

    def name_of(self, row: OrderRow) -> ClOrdID | None:
        """What we call an order of the engine, if an algo order made it and no other."""
        if row.source in _MANY_CHILDREN:
            return None
        algo_id = row.algoId or (row.linkedAlgoOrd.algoId if row.linkedAlgoOrd is not None else "")
        name = self._names.get(algo_id)
        if row.algoId:
            name = ClOrdID(row.algoClOrdId) if row.algoClOrdId else name or nameless(algo_order_id(algo_id))
        elif name is None and not row.clOrdId and row.algoClOrdId:
            return ClOrdID(row.algoClOrdId)
        if name is None:
            return self._parents.get(row.ordId)
        self._adopt(algo_id, name, row.ordId)
        return name

    def _adopt(self, algo_id: str, name: ClOrdID, child: str) -> None:
        if self._children.get(algo_id) == child:
            return
        _bounded(self._children)[algo_id] = child
        _bounded(self._parents)[child] = name


def _bounded(links: dict[str, Link]) -> dict[str, Link]:
    if len(links) >= CHILDREN_MAX:
        del links[next(iter(links))]
    return links


def nameless(order_id: OrderID) -> ClOrdID:
    """What we call an order to which its maker gave no name."""
    return ClOrdID(f"okx{order_id}")


class AlgoReports:
    """Builds the reports of one account's algo orders.  Raises RemoteProtocolError and UnknownWord, nothing else."""

    __slots__ = ("_account", "_children", "_venue")

    def __init__(self, venue: Venue, account: AccountID, children: Children) -> None:
        self._venue = venue
        self._account = account
        self._children = children

    def of_update(self, row: AlgoRow, received_ns: int) -> ExecutionReport:
        """A row of the channel.  What a child does is told by the child itself, on another connection."""
        status = translated(_STATUSES, "state", row.state)
        exec_type = ExecType.NEW if row.state == _LIVE else _ENDS.get(status, ExecType.ORDER_STATUS)
        return self._report(row, exec_type, status, received_ns)

    def of_query(self, row: AlgoRow, received_ns: int) -> ExecutionReport | None:
        """An algo order of a query, type ORDER_STATUS; None when its child must be asked instead."""
        report = self._report(row, ExecType.ORDER_STATUS, translated(_STATUSES, "state", row.state), received_ns)
        return None if self.child_of(row) else report

    def child_of(self, row: AlgoRow) -> str:
        """The `ordId` of the order that it made; "" for none."""
        if row.state not in _EFFECTIVE:
            return ""
        return row.ordId or (row.ordIdList[0] if len(row.ordIdList) == 1 else "")

    def _report(self, row: AlgoRow, exec_type: ExecType, status: OrdStatus, received_ns: int) -> ExecutionReport:
        ord_type, price = _kind_of(row)
        in_money = price is None and counts_money(row.instType, row.side, row.tgtCcy)
        order_id = algo_order_id(row.algoId)
        name = ClOrdID(row.algoClOrdId) if row.algoClOrdId else nameless(order_id)
        self._children.meet(row.algoId, name, self.child_of(row))
        known = self._children.child_of(row.algoId)
        if known and status.is_final:  # what it made goes on, and says itself how it ends
            exec_type, status = ExecType.ORDER_STATUS, OrdStatus.NEW
        return ExecutionReport(
            name,
            OrderID(known) if known else order_id,
            self._account,
            StrategyID(""),
            self._venue,
            Symbol(row.instId),
            translated(SIDES, "side", row.side),
            exec_type,
            status,
            ZERO if in_money else number(row.sz),
            ZERO,
            stamp_of(row.uTime or row.cTime) or received_ns,
            received_ns,
            ord_type,
            price,
            text=_text_of(row),
            leg=translated(LEGS, "posSide", row.posSide),
        )


def _kind_of(row: AlgoRow) -> tuple[OrdType, Decimal | None]:
    """Type and limit price.  Of two legs the stop gives the type, and there is no one price."""
    ord_type = translated(_KINDS, "ordType", row.ordType)
    text = row.ordPx
    if row.ordType in ("conditional", "oco"):
        stops, takes = bool(row.slTriggerPx), bool(row.tpTriggerPx)
        if takes and not stops:
            ord_type, text = OrdType.TAKE_PROFIT, row.tpOrdPx
        else:
            text = "" if takes else row.slOrdPx
    price = price_or_none(text)
    return (ord_type if price is None else _WITH_PRICE.get(ord_type, ord_type)), price


def _text_of(row: AlgoRow) -> str:
    if row.state == _LIVE:
        return ""
    failed = "" if row.failCode in ("", "0") else f" (failCode {row.failCode[:20]})"
    return f"algo order {row.state}{failed}"
