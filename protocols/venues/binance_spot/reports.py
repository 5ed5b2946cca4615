"""The venue's words about our orders, as `ExecutionReport`s (reference sections 7.2 to 7.4, 8, 10, 14.1 and 18).

Identity: a cancel renames the client order id, and the rename is undone here.  An event has the original in `C`, a
reply in `origClientOrderId`; a later query has neither, so our cancels ask for a name of our choice, the original
with `CANCEL_SUFFIX`, which no id of ours can end with.

Quantities: what self-trade prevention consumed is not a fill.  It is taken off `order_qty`, so that
`order_qty - cum_qty` stays what may still trade.

`strategy` is not known here; it is "" until the account has looked the order up.
"""

from __future__ import annotations

from decimal import Decimal

from protocols.enums import ExecType, Liquidity, OrdStatus, OrdType, Side
from protocols.errors import RemoteProtocolError
from protocols.ids import AccountID, ClOrdID, OrderID, StrategyID, Symbol, TradeID, Venue, parse_cl_ord_id
from protocols.orders import ExecutionReport
from protocols.venue import OrderState
from protocols.venues.binance_spot.wire import AmendedOrder, ExecutionReportEvent, OrderRow, TradeRow
from protocols.venues.values import ZERO, amount, signed_amount, stamp_ns
from protocols.venues.words import UnknownWord, translated

__all__ = ["CANCEL_SUFFIX", "Reports", "original_id"]

CANCEL_SUFFIX = "-x"
NO_STRATEGY = StrategyID("")
PREVENTED_MAX = 10_000
"""Orders whose prevented quantity is remembered; the oldest is forgotten first."""

SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
ORD_TYPES = {
    "LIMIT": OrdType.LIMIT,
    "LIMIT_MAKER": OrdType.LIMIT,
    "MARKET": OrdType.MARKET,
    "STOP_LOSS": OrdType.STOP,
    "STOP_LOSS_LIMIT": OrdType.STOP_LIMIT,
    "TAKE_PROFIT": OrdType.TAKE_PROFIT,
    "TAKE_PROFIT_LIMIT": OrdType.TAKE_PROFIT_LIMIT,
}
STATUSES = {
    "NEW": OrdStatus.NEW,
    "PENDING_NEW": OrdStatus.PENDING_NEW,
    "PARTIALLY_FILLED": OrdStatus.PARTIALLY_FILLED,
    "FILLED": OrdStatus.FILLED,
    "CANCELED": OrdStatus.CANCELED,
    "PENDING_CANCEL": OrdStatus.PENDING_CANCEL,
    "REJECTED": OrdStatus.REJECTED,
    "EXPIRED": OrdStatus.EXPIRED,
    "EXPIRED_IN_MATCH": OrdStatus.EXPIRED,
}
EXEC_TYPES = {
    "NEW": ExecType.NEW,
    "CANCELED": ExecType.CANCELED,
    "REPLACED": ExecType.REPLACED,
    "REJECTED": ExecType.REJECTED,
    "TRADE": ExecType.TRADE,
    "EXPIRED": ExecType.EXPIRED,
    "TRADE_PREVENTION": ExecType.RESTATED,
}
# What a reply says happened, by the status that it reports.  Fills are told by the reply's `fills` and by events.
_EXEC_TYPE_OF_REPLY = {
    OrdStatus.NEW: ExecType.NEW,
    OrdStatus.PENDING_NEW: ExecType.PENDING_NEW,
    OrdStatus.CANCELED: ExecType.CANCELED,
    OrdStatus.REJECTED: ExecType.REJECTED,
    OrdStatus.EXPIRED: ExecType.EXPIRED,
}
_TRADE, _RESTATED, _EXPIRED, _ORDER_STATUS = (
    ExecType.TRADE,
    ExecType.RESTATED,
    ExecType.EXPIRED,
    ExecType.ORDER_STATUS,
)
_STATUS_EXPIRED, _STATUS_FILLED, _PARTIALLY_FILLED = OrdStatus.EXPIRED, OrdStatus.FILLED, OrdStatus.PARTIALLY_FILLED
_MAKER, _TAKER, _UNKNOWN = Liquidity.MAKER, Liquidity.TAKER, Liquidity.UNKNOWN


def original_id(client_order_id: str, original: str = "") -> ClOrdID:
    """The client order id that the order was placed with.  Older connections write the word "null" for no original."""
    if original not in ("", "null"):
        return ClOrdID(original)
    if client_order_id.endswith(CANCEL_SUFFIX):
        ours = client_order_id.removesuffix(CANCEL_SUFFIX)
        if parse_cl_ord_id(ours) is not None:
            return ClOrdID(ours)
    return ClOrdID(client_order_id)


class Reports:
    """Builds the reports of one account.  Raises RemoteProtocolError and UnknownWord, nothing else."""

    __slots__ = ("_account", "_prevented", "_venue")

    def __init__(self, venue: Venue, account: AccountID) -> None:
        self._venue = venue
        self._account = account
        # What self-trade prevention took from orders that live on; events that are not about it may not repeat it.
        self._prevented: dict[tuple[str, int], str] = {}

    def of_event(self, event: ExecutionReportEvent, received_ns: int) -> ExecutionReport:
        """`executionReport` of the user data stream."""
        exec_type = EXEC_TYPES.get(event.execution_type)
        status = STATUSES.get(event.order_status)
        side = SIDES.get(event.side)
        ord_type = ORD_TYPES.get(event.order_type)
        if exec_type is None or status is None or side is None or ord_type is None:
            raise UnknownWord("executionReport", _unknown_words(event))
        cum_qty = amount(event.cumulative_quantity)
        order_qty = amount(event.quantity)
        text = event.reject_reason if event.reject_reason != "NONE" else event.expiry_reason
        if self._prevented or event.prevented_quantity != "0":
            order_qty = _without_prevented(order_qty, cum_qty, self._prevented_of(event))
        last_qty = last_px = fee = ZERO
        trade_id, fee_asset, liquidity = None, "", _UNKNOWN
        if exec_type is _TRADE:
            last_qty = amount(event.last_quantity)
            if last_qty:
                last_px = amount(event.last_price)
                if event.trade_id >= 0:
                    trade_id = TradeID(str(event.trade_id))
                if event.commission is not None:
                    fee = signed_amount(event.commission)
                fee_asset = event.commission_asset or ""
                liquidity = _MAKER if event.is_maker else _TAKER
            else:
                exec_type = _ORDER_STATUS  # a trade of nothing: the state counts, there is no fill
        elif exec_type is _RESTATED:
            text = "self-trade prevention"
            if status is _STATUS_EXPIRED:
                exec_type = _EXPIRED
        return ExecutionReport(
            original_id(event.client_order_id, event.original_client_order_id),
            OrderID(str(event.order_id)),
            self._account,
            NO_STRATEGY,
            self._venue,
            Symbol(event.symbol),
            side,
            exec_type,
            status,
            order_qty,
            cum_qty,
            stamp_ns(event.transaction_time),
            received_ns,
            ord_type,
            amount(event.price) or None,
            last_qty,
            last_px,
            _quote(event.cumulative_quote),
            trade_id,
            fee,
            fee_asset,
            liquidity,
            str(event.execution_id) if event.execution_id >= 0 else "",
            text,
        )

    def _prevented_of(self, event: ExecutionReportEvent) -> str:
        """The total that self-trade prevention has taken from the order, as far as any event has told."""
        known, key = self._prevented, (event.symbol, event.order_id)
        if event.prevented_quantity == "0":
            return known.get(key, "0")
        if key not in known and len(known) >= PREVENTED_MAX:
            del known[next(iter(known))]
        known[key] = event.prevented_quantity
        return event.prevented_quantity

    def of_reply(self, row: OrderRow, received_ns: int) -> OrderState:
        """The order in a reply to place or cancel.  A bare ACK, or too few words, give a state without report."""
        cl_ord_id, order_id = original_id(row.clientOrderId, row.origClientOrderId), _order_id(row.orderId)
        symbol, transact_ns = Symbol(row.symbol), stamp_ns(row.transactTime)
        if not _says_its_state(row):
            return OrderState(cl_ord_id, order_id, symbol, None, (), transact_ns)
        status = translated(STATUSES, "status", row.status)
        exec_type = _EXEC_TYPE_OF_REPLY.get(status, _ORDER_STATUS)
        report = self._state(row, exec_type, status, received_ns, transact_ns)
        fills = self._fills(row, report) if row.fills else ()
        return OrderState(cl_ord_id, order_id, symbol, report, fills, transact_ns)

    def of_amend(self, amended: AmendedOrder, transact_ms: int, received_ns: int) -> OrderState:
        """The order in a reply to an amend: type REPLACED, unless the amendment ended it."""
        row = OrderRow(
            symbol=amended.symbol,
            orderId=amended.orderId,
            clientOrderId=amended.clientOrderId,
            origClientOrderId=amended.origClientOrderId,
            price=amended.price,
            origQty=amended.qty or amended.origQty,
            executedQty=amended.executedQty,
            cummulativeQuoteQty=amended.cumulativeQuoteQty or amended.cummulativeQuoteQty,
            status=amended.status,
            type=amended.type,
            side=amended.side,
            preventedQuantity=amended.preventedQty or amended.preventedQuantity,
        )
        transact_ns = stamp_ns(transact_ms)
        status = translated(STATUSES, "status", row.status)
        exec_type = _EXEC_TYPE_OF_REPLY.get(status, _ORDER_STATUS) if status.is_final else ExecType.REPLACED
        report = self._state(row, exec_type, status, received_ns, transact_ns)
        return OrderState(report.cl_ord_id, report.order_id, report.symbol, report, (), transact_ns)

    def of_query(self, row: OrderRow, received_ns: int) -> ExecutionReport:
        """An order of a query, type ORDER_STATUS."""
        if not row.clientOrderId:
            raise RemoteProtocolError(f"order {row.orderId} of {row.symbol} does not say its client id")
        status = translated(STATUSES, "status", row.status)
        return self._state(row, _ORDER_STATUS, status, received_ns, stamp_ns(row.updateTime or row.time))

    def of_trade(self, row: TradeRow, received_ns: int) -> ExecutionReport:
        """A row of the own-trade history, type TRADE.  The venue says neither client id nor order quantity there."""
        return ExecutionReport(
            ClOrdID(""),
            OrderID(str(row.orderId)),
            self._account,
            NO_STRATEGY,
            self._venue,
            Symbol(row.symbol),
            Side.BUY if row.isBuyer else Side.SELL,
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
            liquidity=_MAKER if row.isMaker else _TAKER,
        )

    def _state(
        self, row: OrderRow, exec_type: ExecType, status: OrdStatus, received_ns: int, transact_ns: int
    ) -> ExecutionReport:
        if row.origQty is None or row.executedQty is None or not _says_its_state(row):
            raise RemoteProtocolError(f"order {row.orderId} does not say symbol, side, type, status or quantities")
        cum_qty = amount(row.executedQty)
        return ExecutionReport(
            original_id(row.clientOrderId, row.origClientOrderId),
            _order_id(row.orderId),
            self._account,
            NO_STRATEGY,
            self._venue,
            Symbol(row.symbol),
            translated(SIDES, "side", row.side),
            exec_type,
            status,
            _without_prevented(amount(row.origQty), cum_qty, row.preventedQuantity),
            cum_qty,
            transact_ns,
            received_ns,
            translated(ORD_TYPES, "type", row.type),
            amount(row.price) or None,
            cum_quote=_quote(row.cummulativeQuoteQty),
            text=row.expiryReason,
        )

    def _fills(self, row: OrderRow, state: ExecutionReport) -> tuple[ExecutionReport, ...]:
        """The fills of a FULL reply, with running totals; the last one has the final status of a filled order."""
        fills = []
        cum_qty = cum_quote = ZERO
        for fill in row.fills:
            last_qty, last_px = amount(fill.qty), amount(fill.price)
            cum_qty += last_qty
            cum_quote += last_qty * last_px
            whole = state.ord_status is _STATUS_FILLED and cum_qty >= state.cum_qty
            fills.append(
                ExecutionReport(
                    state.cl_ord_id,
                    state.order_id,
                    state.account,
                    NO_STRATEGY,
                    state.venue,
                    state.symbol,
                    state.side,
                    _TRADE,
                    _STATUS_FILLED if whole else _PARTIALLY_FILLED,
                    state.order_qty,
                    cum_qty,
                    state.transact_ns,
                    state.received_ns,
                    state.ord_type,
                    state.price,
                    last_qty,
                    last_px,
                    cum_quote,
                    TradeID(str(fill.tradeId)) if fill.tradeId >= 0 else None,
                    signed_amount(fill.commission),
                    fill.commissionAsset,
                    _TAKER,
                )
            )
        return tuple(fills)


def _says_its_state(row: OrderRow) -> bool:
    """Whether a row is more than an acknowledgement."""
    words = row.symbol and row.side and row.type and row.status
    return bool(words) and row.origQty is not None and row.executedQty is not None


def _unknown_words(event: ExecutionReportEvent) -> str:
    return f"x={event.execution_type} X={event.order_status} S={event.side} o={event.order_type}"


def _order_id(number: int | None) -> OrderID:
    if number is None:
        raise RemoteProtocolError("an order without orderId")
    return OrderID(str(number))


def _without_prevented(order_qty: Decimal, cum_qty: Decimal, prevented: str) -> Decimal:
    """What the order is still good for: the original quantity less what self-trade prevention took away."""
    return max(order_qty - amount(prevented), cum_qty)


def _quote(text: str) -> Decimal:
    """Quote turnover; the venue writes a negative number where it does not know (old orders)."""
    value = signed_amount(text)
    return value if value > 0 else ZERO
