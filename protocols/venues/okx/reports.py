"""The venue's words about our orders, as `ExecutionReport`s (reference sections 5, 8.1, 12 and 14).

Identity: the client order id stays with an order.  An order without one (made on the web) gets a name of its own from
the venue's id, `okx<ordId>`, so that two of them are not taken for one.  What an algo order made bears that one's name
(`algos`).

Fills: a message of the channel has at most one, with its own fee; a message without `tradeId` is a state, not a fill,
also when it says `filled`.  In REST the same fields mean the last fill, and are not read.  Fees are ours as costs: the
venue's sign is the other way round.

Quantities are coins on spot and contracts on swaps.  An order in quote money (a web user's market buy) says its size
in money; its `order_qty` is what has been filled.

`strategy` is not known here; it is "" until the account has looked the order up.
"""

from __future__ import annotations

from decimal import Decimal

from protocols.enums import ExecType, Liquidity, OrdStatus, OrdType
from protocols.errors import RemoteProtocolError
from protocols.ids import AccountID, ClOrdID, OrderID, StrategyID, Symbol, TradeID, Venue, amend_number
from protocols.orders import SOME_AMEND, ExecutionReport, VenueCancelReject
from protocols.venue import OrderState
from protocols.venues.okx.algos import Children, algo_order_id, nameless
from protocols.venues.okx.wire import AckRow, FillRow, OrderRow
from protocols.venues.okx.words import LEGS, SIDES, cost, counts_money, number, price_or_none, stamp_of
from protocols.venues.values import ZERO, amount
from protocols.venues.words import translated

__all__ = ["CANCEL_SOURCES", "Reports"]

NO_STRATEGY = StrategyID("")
ORD_TYPES = {
    "limit": OrdType.LIMIT,
    "market": OrdType.MARKET,
    "post_only": OrdType.LIMIT,
    "ioc": OrdType.LIMIT,
    "fok": OrdType.LIMIT,
    "optimal_limit_ioc": OrdType.MARKET,
    "rpi": OrdType.LIMIT,
    "elp": OrdType.LIMIT,
    "mmp": OrdType.LIMIT,
    "mmp_and_post_only": OrdType.LIMIT,
    "op_fok": OrdType.LIMIT,
    "conditional": OrdType.STOP,
    "oco": OrdType.STOP,
    "trigger": OrdType.STOP,
    "move_order_stop": OrdType.TRAILING_STOP,
}
STATUSES = {
    "live": OrdStatus.NEW,
    "partially_filled": OrdStatus.PARTIALLY_FILLED,
    "filled": OrdStatus.FILLED,
    "canceled": OrdStatus.CANCELED,
    "mmp_canceled": OrdStatus.CANCELED,
}
WOULD_TAKE = "31"
CANCEL_SOURCES = {
    "0": "by the system",
    "1": "by the user",
    "2": "liquidation",
    "3": "liquidation",
    "4": "risk control",
    "6": "risk control",
    "7": "risk control",
    "9": "risk control",
    "10": "delivery or risk control",
    "13": "fill-or-kill could not be filled",
    "14": "rest of immediate-or-cancel",
    "15": "beyond the price limit",
    "17": "its position was closed",
    "20": "dead-man switch",
    "21": "its position was closed",
    "22": "reduce-only",
    "23": "reduce-only",
    "27": "price moved more than 5 %",
    WOULD_TAKE: "post-only would take",
    "32": "self-trade prevention",
    "33": "met more than 1000 orders",
    "36": "the other leg of the pair was triggered",
    "37": "the other leg of the pair was triggered",
    "38": "market maker protection",
    "39": "market maker protection",
    "42": "chase order ended",
    "43": "index price",
    "44": "collateral",
    "45": "retail price improvement",
    "46": "delta",
}
_LIQUIDITIES = {"M": Liquidity.MAKER, "T": Liquidity.TAKER}
_NEW, _TRADE, _CANCELED = ExecType.NEW, ExecType.TRADE, ExecType.CANCELED
_REPLACED, _ORDER_STATUS = ExecType.REPLACED, ExecType.ORDER_STATUS
_STATUS_CANCELED, _PARTIALLY_FILLED = OrdStatus.CANCELED, OrdStatus.PARTIALLY_FILLED
AMEND_DONE, AMEND_FAILED, AMEND_CANCELED = "0", "-1", "1"
_OUR_AMEND = ("", "1")
"""`amendSource` of what nobody changed, or we; the others are changes by the venue (section 8.1)."""


class Reports:
    """Builds the reports of one account.  Raises RemoteProtocolError and UnknownWord, nothing else."""

    __slots__ = ("_account", "_children", "_venue")

    def __init__(self, venue: Venue, account: AccountID, children: Children) -> None:
        self._venue = venue
        self._account = account
        self._children = children

    # ---- orders ------------------------------------------------------------------------------------------------

    def of_update(self, row: OrderRow, received_ns: int) -> tuple[ExecutionReport | VenueCancelReject, ...]:
        """A row of the `orders` channel: one report, or two when a fill and the end come together.

        An amend that was acknowledged can fail later; only this row says so, and it is a refusal.
        """
        status = _status_of(row)
        last_qty = number(row.fillSz)
        if not row.tradeId or row.tradeId == "0" or not last_qty:
            state = self._state(row, _kind_of(row, status), status, received_ns)
            if row.amendResult == AMEND_FAILED:
                which = amend_number(row.reqId) or SOME_AMEND  # by REST, or by another program: no number of ours
                rejected = VenueCancelReject(self._name(row), row.code[:20], _why(row), order_gone=False, amend=which)
                return (rejected, state)
            return (state,)
        if status is not _STATUS_CANCELED:
            return (self._trade(row, status, last_qty, received_ns),)
        trade = self._trade(row, _PARTIALLY_FILLED, last_qty, received_ns)
        return (trade, self._state(row, _kind_of(row, status), status, received_ns))

    def of_query(self, row: OrderRow, received_ns: int) -> ExecutionReport:
        """An order of a query, type ORDER_STATUS."""
        return self._state(row, _ORDER_STATUS, _status_of(row), received_ns)

    def of_ack(self, row: AckRow) -> OrderState:
        """The gateway has accepted a request; what the engine makes of it comes by the `orders` channel."""
        # The answer does not name the instrument; who asked knows it.
        if row.algoId:
            name, order_id = ClOrdID(row.algoClOrdId), algo_order_id(row.algoId)
        elif row.ordId:
            name, order_id = ClOrdID(row.clOrdId), OrderID(row.ordId)
        else:
            raise RemoteProtocolError("an acknowledgement without ordId and algoId")
        return OrderState(name, order_id, Symbol(""), None, (), stamp_of(row.ts))

    def of_fill(self, row: FillRow, received_ns: int) -> ExecutionReport:
        """A row of the own-trade history, type TRADE.  The venue does not say the order's quantity there."""
        return ExecutionReport(
            self._children.parent_of(row.ordId) or ClOrdID(row.clOrdId),
            OrderID(row.ordId),
            self._account,
            NO_STRATEGY,
            self._venue,
            Symbol(row.instId),
            translated(SIDES, "side", row.side),
            _TRADE,
            _PARTIALLY_FILLED,
            ZERO,
            ZERO,
            stamp_of(row.fillTime or row.ts),
            received_ns,
            last_qty=amount(row.fillSz),
            last_px=amount(row.fillPx),
            trade_id=TradeID(row.tradeId),
            fee=cost(row.fee),
            fee_asset=row.feeCcy,
            liquidity=_LIQUIDITIES.get(row.execType, Liquidity.UNKNOWN),
            leg=translated(LEGS, "posSide", row.posSide),
        )

    def _name(self, row: OrderRow) -> ClOrdID:
        """Our id; a child's is that of its algo order."""
        return self._children.name_of(row) or ClOrdID(row.clOrdId) or nameless(OrderID(row.ordId))

    def _trade(self, row: OrderRow, status: OrdStatus, last_qty: Decimal, received_ns: int) -> ExecutionReport:
        cum_qty = amount(row.accFillSz)
        fee, fee_asset = row.fillFee, row.fillFeeCcy or row.feeCcy
        if not fee and cum_qty == last_qty:
            fee, fee_asset = row.fee, row.feeCcy  # the first fill: its fee is the whole
        return ExecutionReport(
            self._name(row),
            OrderID(row.ordId),
            self._account,
            NO_STRATEGY,
            self._venue,
            Symbol(row.instId),
            translated(SIDES, "side", row.side),
            _TRADE,
            status,
            _order_qty(row, cum_qty),
            cum_qty,
            stamp_of(row.fillTime or row.uTime) or received_ns,
            received_ns,
            translated(ORD_TYPES, "ordType", row.ordType),
            price_or_none(row.px),
            last_qty,
            amount(row.fillPx),
            cum_qty * number(row.avgPx),
            TradeID(row.tradeId),
            cost(fee),
            fee_asset,
            _LIQUIDITIES.get(row.execType, Liquidity.UNKNOWN),
            text=_category(row),
            leg=translated(LEGS, "posSide", row.posSide),
        )

    def _state(self, row: OrderRow, exec_type: ExecType, status: OrdStatus, received_ns: int) -> ExecutionReport:
        cum_qty = amount(row.accFillSz)
        return ExecutionReport(
            self._name(row),
            OrderID(row.ordId),
            self._account,
            NO_STRATEGY,
            self._venue,
            Symbol(row.instId),
            translated(SIDES, "side", row.side),
            exec_type,
            status,
            _order_qty(row, cum_qty),
            cum_qty,
            stamp_of(row.uTime or row.cTime) or received_ns,
            received_ns,
            translated(ORD_TYPES, "ordType", row.ordType),
            price_or_none(row.px),
            cum_quote=cum_qty * number(row.avgPx),
            text=_why(row),
            leg=translated(LEGS, "posSide", row.posSide),
        )


def _status_of(row: OrderRow) -> OrdStatus:
    """The state; a post-only order that would have taken was never in the book, so its end is a rejection."""
    status = translated(STATUSES, "state", row.state)
    if status is _STATUS_CANCELED and row.cancelSource == WOULD_TAKE and not amount(row.accFillSz):
        return OrdStatus.REJECTED
    return status


def _kind_of(row: OrderRow, status: OrdStatus) -> ExecType:
    """What happened, of an update without a fill."""
    if status is _STATUS_CANCELED:
        return _CANCELED
    if status is OrdStatus.REJECTED:
        return ExecType.REJECTED
    if row.amendSource not in _OUR_AMEND and row.amendResult in ("", AMEND_DONE):
        return ExecType.RESTATED
    if row.amendResult == AMEND_DONE:
        return _REPLACED
    return _NEW if status is OrdStatus.NEW and not row.amendResult else _ORDER_STATUS


def _why(row: OrderRow) -> str:
    if row.amendResult in (AMEND_FAILED, AMEND_CANCELED):
        return f"amend failed ({row.amendResult}): {row.msg[:200]}"
    if row.amendSource not in _OUR_AMEND:
        return f"changed by the venue (amendSource {row.amendSource[:10]})"
    if not row.cancelSource:
        return _category(row)
    words = CANCEL_SOURCES.get(row.cancelSource, "by the venue")
    return f"{words} (cancelSource {row.cancelSource[:10]})"


def _category(row: OrderRow) -> str:
    """Of an order that nobody placed: liquidation, auto-deleveraging, delivery."""
    return "" if row.category in ("", "normal") else f"category {row.category[:40]}"


def _order_qty(row: OrderRow, cum_qty: Decimal) -> Decimal:
    in_money = row.ordType == "market" and counts_money(row.instType, row.side, row.tgtCcy)
    return cum_qty if in_money else amount(row.sz)
