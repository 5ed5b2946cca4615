"""The venue's words about our orders, fills, coins and positions (reference sections 7, 8, 11, 12 and 15).

Orders of the venue's own (liquidation, auto-deleveraging, delisting) move our position without any order of ours: their
fills are TRADE reports like all others, whatever execution type and status the venue writes; `text` says who did it.

A conditional order has two lives: in the algo service under its own id, and, once triggered, in the engine as a *child*
with an order id of its own.  Whether the child bears our client id is not documented, so the link that the algo service
states (`ai`, `actualOrderId`) is remembered, and what the child does is reported under the id of its parent.  Events of
the two services come in no order of their own: a child that is heard of first (an *orphan*) waits for its link, a few
seconds at most, or its fills would be taken for somebody else's.  FINISHED means that the child ended, filled or not:
the executed quantity decides.

Nothing here says for whom an order was: `strategy` is "" until the account has looked the order up.
"""

from __future__ import annotations

from decimal import Decimal

from protocols.enums import ExecType, Liquidity, OrdStatus, OrdType, Side
from protocols.errors import RemoteProtocolError
from protocols.ids import AccountID, ClOrdID, OrderID, StrategyID, Symbol, TradeID, Venue
from protocols.orders import ExecutionReport
from protocols.positions import Balance, VenuePosition
from protocols.venue import OrderState
from protocols.venues.binance_usdm.encode import ALGO_PREFIX
from protocols.venues.binance_usdm.wire import (
    AlgoUpdate,
    BalanceChange,
    BalanceRow,
    OrderEvent,
    OrderRow,
    PositionChange,
    PositionRow,
    TradeRow,
)
from protocols.venues.values import ZERO, amount, signed_amount, stamp_ns
from protocols.venues.words import translated

__all__ = ["Reports"]

NO_STRATEGY = StrategyID("")
ORPHAN_PATIENCE_NS = 5_000_000_000
"""How long the link of a triggered order may come after the order's own events."""
ORPHANS_MAX = 1_000
"""Events that wait for a link; the next ones are told at once."""
CHILDREN_MAX = 10_000
"""Links that are remembered; conditional orders that are open are 200 at most."""

SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
ORD_TYPES = {
    "LIMIT": OrdType.LIMIT,
    "MARKET": OrdType.MARKET,
    "STOP_MARKET": OrdType.STOP,
    "STOP": OrdType.STOP_LIMIT,
    "TAKE_PROFIT_MARKET": OrdType.TAKE_PROFIT,
    "TAKE_PROFIT": OrdType.TAKE_PROFIT_LIMIT,
    "TRAILING_STOP_MARKET": OrdType.TRAILING_STOP,
    "LIQUIDATION": OrdType.LIMIT,
}
STATUSES = {
    "NEW": OrdStatus.NEW,
    "PARTIALLY_FILLED": OrdStatus.PARTIALLY_FILLED,
    "FILLED": OrdStatus.FILLED,
    "CANCELED": OrdStatus.CANCELED,
    "REJECTED": OrdStatus.REJECTED,
    "EXPIRED": OrdStatus.EXPIRED,
    "EXPIRED_IN_MATCH": OrdStatus.EXPIRED,
}
_VENUES_OWN = {"NEW_INSURANCE": OrdStatus.NEW, "NEW_ADL": OrdStatus.NEW}
"""Further statuses of the venue's own orders."""
EXEC_TYPES = {
    "NEW": ExecType.NEW,
    "CANCELED": ExecType.CANCELED,
    "EXPIRED": ExecType.EXPIRED,
    "TRADE": ExecType.TRADE,
    "AMENDMENT": ExecType.REPLACED,
}
ALGO_STATUSES = {
    "NEW": OrdStatus.NEW,
    "TRIGGERING": OrdStatus.NEW,
    "TRIGGERED": OrdStatus.NEW,
    "FINISHED": OrdStatus.FILLED,
    "CANCELED": OrdStatus.CANCELED,
    "REJECTED": OrdStatus.REJECTED,
    "EXPIRED": OrdStatus.EXPIRED,
}
_CALCULATED = "CALCULATED"
_OF_THE_ENGINE = frozenset({"LIMIT", "MARKET"})
_CONDITIONAL = frozenset(ORD_TYPES) - _OF_THE_ENGINE - {"LIQUIDATION"}
_OWNERS = (
    ("autoclose-", "liquidation"),
    ("adl_autoclose", "auto-deleveraging"),
    ("settlement_autoclose-", "settlement"),
)
_EXPIRY_TEXTS = {
    "1": "self-trade prevention",
    "2": "rest of an IOC order",
    "3": "rest of an IOC order after self-trade prevention",
    "4": "knocked out by another reduce-only order",
    "5": "liquidation",
    "6": "its position is gone",
    "7": "delisting",
    "8": "its parent expired",
    "9": "rest of a MARKET order",
}
# What a reply says happened, by the status that it reports.  Fills are told by events.
_EXEC_TYPE_OF_REPLY = {
    OrdStatus.NEW: ExecType.NEW,
    OrdStatus.CANCELED: ExecType.CANCELED,
    OrdStatus.REJECTED: ExecType.REJECTED,
    OrdStatus.EXPIRED: ExecType.EXPIRED,
}
_TRADE, _ORDER_STATUS = ExecType.TRADE, ExecType.ORDER_STATUS
_NEW, _PARTIALLY_FILLED, _FILLED, _CANCELED = (
    OrdStatus.NEW,
    OrdStatus.PARTIALLY_FILLED,
    OrdStatus.FILLED,
    OrdStatus.CANCELED,
)
_MAKER, _TAKER, _UNKNOWN = Liquidity.MAKER, Liquidity.TAKER, Liquidity.UNKNOWN
_LEGS = {"BOTH": None, "LONG": Side.BUY, "SHORT": Side.SELL}


class Reports:
    """Builds the reports of one account.  Raises RemoteProtocolError and UnknownWord, nothing else."""

    __slots__ = ("_account", "_children", "_orphans", "_parents", "_venue")

    def __init__(self, venue: Venue, account: AccountID) -> None:
        self._venue = venue
        self._account = account
        # By symbol and order id of a child the client id of its parent; by the parent's algo id its child.
        self._parents: dict[tuple[str, str], ClOrdID] = {}
        self._children: dict[OrderID, OrderID] = {}
        # Events of children whose parents are not known yet, with the time at which they came.
        self._orphans: list[tuple[int, OrderEvent]] = []

    # ---- plain orders ------------------------------------------------------------------------------------------

    def of_update(self, event: OrderEvent, received_ns: int) -> list[ExecutionReport]:
        """What an ORDER_TRADE_UPDATE lets us tell: nothing as long as it is an orphan's."""
        report = self.of_event(event, received_ns)  # refused at once, if it is to be
        if not self._is_orphan(event) or len(self._orphans) >= ORPHANS_MAX:
            return [*self.told(received_ns), report]
        self._orphans.append((received_ns, event))
        return self.told(received_ns)

    def told(self, now_ns: int) -> list[ExecutionReport]:
        """Events of children whose parents are known by now, and of those that have waited for too long."""
        if not self._orphans:
            return []
        due_ns = now_ns - ORPHAN_PATIENCE_NS
        free = [row for row in self._orphans if row[0] <= due_ns or self._is_linked(row[1])]
        self._orphans = [row for row in self._orphans if row not in free]
        return [self.of_event(event, received_ns) for received_ns, event in free]

    def _is_orphan(self, event: OrderEvent) -> bool:
        by_trigger = event.original_type in _CONDITIONAL and event.order_type in _OF_THE_ENGINE
        return by_trigger and not self._is_linked(event)

    def _is_linked(self, event: OrderEvent) -> bool:
        return (event.symbol, str(event.order_id)) in self._parents

    def of_event(self, event: OrderEvent, received_ns: int) -> ExecutionReport:
        """The order of an ORDER_TRADE_UPDATE."""
        cum_qty, order_qty = amount(event.cumulative_quantity), amount(event.quantity)
        last_qty = amount(event.last_quantity)
        exec_type, status = _happened(event, order_qty, cum_qty, last_qty)
        last_px = fee = ZERO
        trade_id, fee_asset, liquidity, exec_id = None, "", _UNKNOWN, ""
        if exec_type is _TRADE:
            last_px = amount(event.last_price)
            if event.trade_id > 0:
                trade_id = TradeID(str(event.trade_id))
            if event.commission is not None:
                fee = signed_amount(event.commission)
            fee_asset = event.commission_asset or ""
            liquidity = _MAKER if event.is_maker else _TAKER
        else:
            last_qty = ZERO
            exec_id = f"{event.order_id}-{event.execution_type}-{event.transaction_time}-{cum_qty}"
        order_id = OrderID(str(event.order_id))
        return ExecutionReport(
            self._parent(event.symbol, order_id, event.client_order_id),
            order_id,
            self._account,
            NO_STRATEGY,
            self._venue,
            Symbol(event.symbol),
            translated(SIDES, "S", event.side),
            exec_type,
            status,
            order_qty,
            cum_qty,
            stamp_ns(event.transaction_time),
            received_ns,
            translated(ORD_TYPES, "o", event.order_type),
            amount(event.price) or None,
            last_qty,
            last_px,
            ZERO,  # the venue says an average that is rounded
            trade_id,
            fee,
            fee_asset,
            liquidity,
            exec_id,
            _text(event),
            leg=translated(_LEGS, "ps", event.position_side),
        )

    def of_reply(self, row: OrderRow, received_ns: int) -> OrderState:
        """The order in a reply to place, modify or cancel, plain or conditional.

        One in too few words to say its state is a bare acknowledgement: a state without report.
        """
        if row.algoId is not None:
            return self._algo_reply(row, received_ns)
        transact_ns = stamp_ns(row.updateTime or row.time)
        if not _says_its_state(row):
            order_id = OrderID(str(row.orderId))
            cl_ord_id = self._parent(row.symbol, order_id, row.clientOrderId)
            return OrderState(cl_ord_id, order_id, Symbol(row.symbol), None, (), transact_ns)
        status = translated(STATUSES, "status", row.status)
        exec_type = _EXEC_TYPE_OF_REPLY.get(status, _ORDER_STATUS)
        if row.modifyId is not None and not status.is_final:
            exec_type = ExecType.REPLACED
        report = self._state(row, exec_type, status, received_ns, transact_ns)
        return OrderState(report.cl_ord_id, report.order_id, report.symbol, report, (), transact_ns)

    def of_query(self, row: OrderRow, received_ns: int) -> ExecutionReport:
        """An order of a query, plain or conditional, type ORDER_STATUS."""
        if not (row.clientAlgoId if row.algoId is not None else row.clientOrderId):
            raise RemoteProtocolError(f"an order of {row.symbol} does not say its client id")
        if row.algoId is not None:
            return self._algo(row, _ORDER_STATUS, received_ns)
        status = translated(STATUSES, "status", row.status)
        return self._state(row, _ORDER_STATUS, status, received_ns, stamp_ns(row.updateTime or row.time))

    def of_trade(self, row: TradeRow, received_ns: int) -> ExecutionReport:
        """A row of userTrades, type TRADE.  The venue says neither client id nor order quantity there."""
        order_id = OrderID(str(row.orderId))
        return ExecutionReport(
            self._parent(row.symbol, order_id, ""),
            order_id,
            self._account,
            NO_STRATEGY,
            self._venue,
            Symbol(row.symbol),
            translated(SIDES, "side", row.side),
            _TRADE,
            _PARTIALLY_FILLED,
            ZERO,
            ZERO,
            stamp_ns(row.time),
            received_ns,
            last_qty=amount(row.qty),
            last_px=amount(row.price),
            trade_id=TradeID(str(row.id)),
            fee=signed_amount(row.commission),
            fee_asset=row.commissionAsset,
            liquidity=_MAKER if row.maker else _TAKER,
            leg=translated(_LEGS, "positionSide", row.positionSide),
        )

    def _state(
        self, row: OrderRow, exec_type: ExecType, status: OrdStatus, received_ns: int, transact_ns: int
    ) -> ExecutionReport:
        if row.origQty is None or row.executedQty is None or not _says_its_state(row):
            raise RemoteProtocolError(f"order {row.orderId} does not say its symbol, side, type, status or quantities")
        order_id = OrderID(str(row.orderId))
        return ExecutionReport(
            self._parent(row.symbol, order_id, row.clientOrderId),
            order_id,
            self._account,
            NO_STRATEGY,
            self._venue,
            Symbol(row.symbol),
            translated(SIDES, "side", row.side),
            exec_type,
            status,
            amount(row.origQty),
            amount(row.executedQty),
            transact_ns,
            received_ns,
            translated(ORD_TYPES, "type", row.type),
            amount(row.price) or None,
            cum_quote=amount(row.cumQuote),
            text=_owner(row.clientOrderId),
            leg=translated(_LEGS, "positionSide", row.positionSide),
        )

    # ---- conditional orders ------------------------------------------------------------------------------------

    def of_algo_event(self, event: AlgoUpdate, received_ns: int) -> ExecutionReport:
        """The order of an ALGO_UPDATE."""
        order = event.order
        row = OrderRow(
            symbol=order.symbol,
            side=order.side,
            price=order.price,
            algoId=order.algo_id,
            clientAlgoId=order.client_id,
            orderType=order.order_type,
            quantity=order.quantity,
            algoStatus=order.status,
            actualOrderId=order.child_id,
            actualQty=order.executed,
            updateTime=event.transaction_time,
            msg=order.reason or "",
        )
        return self._algo(row, None, received_ns)

    def _algo_reply(self, row: OrderRow, received_ns: int) -> OrderState:
        """A bare acknowledgement (of a cancel) has no status and gives a state without report."""
        order_id = OrderID(f"{ALGO_PREFIX}{row.algoId}")
        if not row.algoStatus:
            return OrderState(ClOrdID(row.clientAlgoId), order_id, Symbol(row.symbol), None)
        report = self._algo(row, None, received_ns)
        return OrderState(report.cl_ord_id, report.order_id, report.symbol, report, (), report.transact_ns)

    def _algo(self, row: OrderRow, exec_type: ExecType | None, received_ns: int) -> ExecutionReport:
        """`exec_type` None: whatever the status says happened."""
        status = translated(ALGO_STATUSES, "algoStatus", row.algoStatus)
        order_qty, cum_qty = amount(row.quantity or "0"), amount(row.actualQty or "0")
        child = str(row.actualOrderId or "0")
        triggered = child != "0"
        if status is _FILLED and not row.actualQty:
            status = _NEW  # the child ended, nobody said how: its own events and its query do
        elif status is _FILLED and (not cum_qty or cum_qty < order_qty):
            status = _CANCELED
        elif status is _NEW and cum_qty:
            status = _PARTIALLY_FILLED
        if exec_type is None:
            # What a child did is told by the child's own events.
            exec_type = _ORDER_STATUS if triggered or row.algoStatus != "NEW" else ExecType.NEW
            if not triggered and status.is_final:
                exec_type = _EXEC_TYPE_OF_REPLY.get(status, _ORDER_STATUS)
        if not row.symbol:
            raise RemoteProtocolError(f"conditional order {row.algoId} does not say its symbol")
        cl_ord_id = ClOrdID(row.clientAlgoId)
        order_id = OrderID(f"{ALGO_PREFIX}{row.algoId}")
        if triggered:
            order_id = self._adopt(row.symbol, child, order_id, cl_ord_id)
        return ExecutionReport(
            cl_ord_id,
            order_id,
            self._account,
            NO_STRATEGY,
            self._venue,
            Symbol(row.symbol),
            translated(SIDES, "side", row.side),
            exec_type,
            status,
            order_qty,
            cum_qty,
            stamp_ns(row.updateTime or row.createTime),
            received_ns,
            translated(ORD_TYPES, "orderType", row.orderType),
            amount(row.price) or None,
            text=f"{row.algoStatus} {row.msg}".strip() if row.algoStatus != "NEW" else "",
        )

    def engine_id(self, order_id: OrderID | None) -> OrderID | None:
        """The id to use for an order: its child's, if it is a conditional order known to have been triggered."""
        return None if order_id is None else self._children.get(order_id, order_id)

    def _adopt(self, symbol: str, child: str, parent: OrderID, cl_ord_id: ClOrdID) -> OrderID:
        """Remember whose child an order is; the oldest links are forgotten first."""
        if not (child.isascii() and child.isdigit() and len(child) <= 20):
            raise RemoteProtocolError(f"order id of a triggered order was {child[:40]!r}, must be a number")
        parents, children = self._parents, self._children
        if parent not in children and len(children) >= CHILDREN_MAX:
            del children[next(iter(children))]
            del parents[next(iter(parents))]
        parents[symbol, child] = cl_ord_id
        children[parent] = OrderID(child)
        return OrderID(child)

    def _parent(self, symbol: str, order_id: OrderID, client_order_id: str) -> ClOrdID:
        return self._parents.get((symbol, order_id)) or ClOrdID(client_order_id)

    # ---- coins and positions -----------------------------------------------------------------------------------

    def of_balance(self, row: BalanceChange | BalanceRow, updated_ns: int) -> Balance:
        """The wallet, which profits move when they are realized: `locked` is what isolated positions hold.

        What cross positions and open orders tie up is said by no event, so it is not taken off `free` anywhere.
        """
        if isinstance(row, BalanceRow):
            wallet, cross = signed_amount(row.balance), signed_amount(row.crossWalletBalance)
        else:
            wallet, cross = signed_amount(row.wallet), signed_amount(row.cross_wallet)
        locked = max(wallet - cross, ZERO)
        return Balance(self._account, self._venue, row.asset, wallet - locked, locked, updated_ns)

    def of_position_change(self, row: PositionChange, updated_ns: int) -> VenuePosition:
        """A row of ACCOUNT_UPDATE, which says neither mark price nor leverage (0)."""
        return VenuePosition(
            self._account,
            self._venue,
            Symbol(row.symbol),
            translated(_LEGS, "ps", row.position_side),
            signed_amount(row.qty),
            amount(row.entry_px),
            ZERO,
            ZERO,
            ZERO,
            signed_amount(row.unrealized),
            updated_ns,
        )

    def of_position(self, row: PositionRow) -> VenuePosition:
        """A row of v3/positionRisk, which leaves the leverage to symbolConfig (0)."""
        return VenuePosition(
            self._account,
            self._venue,
            Symbol(row.symbol),
            translated(_LEGS, "positionSide", row.positionSide),
            signed_amount(row.positionAmt),
            amount(row.entryPrice),
            amount(row.markPrice),
            max(signed_amount(row.liquidationPrice), ZERO),
            amount(row.leverage),
            signed_amount(row.unRealizedProfit),
            stamp_ns(row.updateTime),
        )


def _says_its_state(row: OrderRow) -> bool:
    """Whether a row of a plain order is more than an acknowledgement."""
    words = row.orderId is not None and row.symbol and row.side and row.type and row.status
    return bool(words) and row.origQty is not None and row.executedQty is not None


def _happened(event: OrderEvent, order_qty: Decimal, cum_qty: Decimal, last_qty: Decimal) -> tuple[ExecType, OrdStatus]:
    """Execution type and status.  Of the venue's own orders neither word can be relied on: the quantities decide."""
    if event.execution_type == _CALCULATED:
        if not last_qty:
            return _ORDER_STATUS, translated(STATUSES | _VENUES_OWN, "X", event.order_status)
        return _TRADE, _FILLED if cum_qty >= order_qty else _PARTIALLY_FILLED
    exec_type = translated(EXEC_TYPES, "x", event.execution_type)
    if exec_type is not _TRADE:
        return exec_type, translated(STATUSES, "X", event.order_status)
    if not last_qty:
        # A trade of nothing: the state counts, there is no fill.
        return _ORDER_STATUS, translated(STATUSES | _VENUES_OWN, "X", event.order_status)
    if event.order_status in _VENUES_OWN:
        return _TRADE, _FILLED if cum_qty >= order_qty else _PARTIALLY_FILLED
    return _TRADE, translated(STATUSES, "X", event.order_status)


def _owner(client_order_id: str) -> str:
    """Who made an order of the venue's own; "" for all others."""
    return next((owner for prefix, owner in _OWNERS if client_order_id.startswith(prefix)), "")


def _text(event: OrderEvent) -> str:
    owner = _owner(event.client_order_id)
    if owner or event.expiry_reason is None:
        return owner
    reason = str(event.expiry_reason)
    return "" if reason == "0" else _EXPIRY_TEXTS.get(reason, f"expiry reason {reason[:40]}")
