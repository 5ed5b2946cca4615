"""The venue's words about our orders, fills, coins and positions (reference sections 6, 9 and 14).

Three kinds of facts come in three ways and agree only in the end: an *order* row is a picture of the order and never a
fill; an *execution* row is a fill and nothing else; an acknowledgement says that a request was received.  So order rows
become ORDER_STATUS reports while the order works or when it is filled (its fills are told by executions alone) and name
what ended it otherwise; the account infers the rest, a confirmed amendment among it.

The status word does not decide alone: an order that ended with fills was not rejected, one that is filled to the end
was not canceled, and one that was canceled because it would have taken is a reject.

A spot order that waits for its trigger bears the words of its kind before the venue's id (`waiting`), and the bare id
from the trigger on: a new name, which the account takes over as it does at venues that rename.

`strategy` is not known here; it is "" until the account has looked the order up.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from protocols.enums import ExecType, Liquidity, OrdStatus, OrdType, Side
from protocols.errors import RemoteProtocolError
from protocols.ids import AccountID, ClOrdID, OrderID, StrategyID, Symbol, TradeID, Venue
from protocols.instruments import Product
from protocols.orders import ExecutionReport
from protocols.positions import Balance, VenuePosition
from protocols.venues.bybit.endpoints import WALLET
from protocols.venues.bybit.waiting import waiting_id
from protocols.venues.bybit.wire import CoinRow, ExecutionRow, Maybe, OrderRow, PositionRow
from protocols.venues.values import ZERO, amount, signed_amount, stamp_ns
from protocols.venues.words import UnknownWord, translated

__all__ = ["FILL_TYPES", "ORDER_TYPES", "Reports", "time_ns"]

NO_STRATEGY = StrategyID("")

SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}
STATUSES = {
    "New": OrdStatus.NEW,
    "Untriggered": OrdStatus.NEW,
    "Triggered": OrdStatus.NEW,
    "PartiallyFilled": OrdStatus.PARTIALLY_FILLED,
    "Filled": OrdStatus.FILLED,
    "Cancelled": OrdStatus.CANCELED,
    "PartiallyFilledCanceled": OrdStatus.CANCELED,
    "Deactivated": OrdStatus.CANCELED,
    "Rejected": OrdStatus.REJECTED,
}
ORDER_TYPES = {"Limit": OrdType.LIMIT, "Market": OrdType.MARKET}
_STOP_OF = {OrdType.LIMIT: OrdType.STOP_LIMIT, OrdType.MARKET: OrdType.STOP}
_PROFIT_OF = {OrdType.LIMIT: OrdType.TAKE_PROFIT_LIMIT, OrdType.MARKET: OrdType.TAKE_PROFIT}
_PLAIN = frozenset({None, "", "UNKNOWN"})
_STOP_WORDS = frozenset({"StopLoss", "PartialStopLoss"})
_PROFIT_WORDS = frozenset({"TakeProfit", "PartialTakeProfit"})
_RISES_TO, _FALLS_TO = 1, 2

FILL_TYPES: Mapping[str, bool] = {
    "Trade": True,
    "AdlTrade": True,
    "BustTrade": True,
    "BlockTrade": True,
    "MovePosition": True,
    "FutureSpread": True,
    "Delivery": True,
    "Funding": False,
    "Settle": False,
    "CorporateAction": False,
}
"""Whether an execution of this type moves the position by its quantity; the others move money alone."""

NO_ERROR = frozenset({None, "", "EC_NoError"})
WOULD_TAKE = "EC_PostOnlyWillTakeLiquidity"
_NOT_CANCELED = _PLAIN

_EXEC_TYPES = {OrdStatus.CANCELED: ExecType.CANCELED, OrdStatus.REJECTED: ExecType.REJECTED}
_FILLED_SOME = frozenset({OrdStatus.PARTIALLY_FILLED, OrdStatus.FILLED})
_TRADE, _ORDER_STATUS = ExecType.TRADE, ExecType.ORDER_STATUS
_NEW, _PARTIALLY_FILLED, _FILLED, _CANCELED, _REJECTED = (
    OrdStatus.NEW,
    OrdStatus.PARTIALLY_FILLED,
    OrdStatus.FILLED,
    OrdStatus.CANCELED,
    OrdStatus.REJECTED,
)
_LEGS = {0: None, None: None, 1: Side.BUY, 2: Side.SELL}
_NO_SIDE = frozenset({"", "None"})
_LIQUIDITY = {True: Liquidity.MAKER, False: Liquidity.TAKER, None: Liquidity.UNKNOWN}


class Reports:
    """Builds the reports of one account and product.  Raises RemoteProtocolError and UnknownWord, nothing else."""

    __slots__ = ("_account", "_product", "_venue")

    def __init__(self, venue: Venue, product: Product, account: AccountID) -> None:
        self._venue = venue
        self._product = product
        self._account = account

    def of_order(self, row: OrderRow, received_ns: int, *, query: bool = False) -> ExecutionReport:
        """An order as the stream pushes it, or as a query shows it (then always ORDER_STATUS)."""
        side = translated(SIDES, "side", row.side)
        word = translated(STATUSES, "orderStatus", row.orderStatus)
        order_qty, cum_qty = _number(row.qty), _number(row.cumExecQty)
        if not cum_qty and word in _FILLED_SOME:
            raise UnknownWord("cumExecQty", f"{row.cumExecQty} of an order that is {row.orderStatus}")
        status = _status(word, order_qty, cum_qty, row.rejectReason)
        is_base = self._is_in_base(row.orderType, side, row.marketUnit)
        ord_type = _ord_type(row, side)
        order_id = row.orderId
        if self._product is Product.SPOT and row.orderStatus == "Untriggered":
            order_id = waiting_id(row.stopOrderType, order_id)
        return ExecutionReport(
            ClOrdID(row.orderLinkId or ""),
            OrderID(order_id),
            self._account,
            NO_STRATEGY,
            self._venue,
            Symbol(row.symbol),
            side,
            _ORDER_STATUS if query else _EXEC_TYPES.get(status, _ORDER_STATUS),
            status,
            order_qty if is_base else ZERO,
            cum_qty,
            time_ns(row.updatedTime or row.createdTime),
            received_ns,
            ord_type,
            # Of a market order the venue shows the price that protects it.
            None if row.orderType == "Market" else _number(row.price) or None,
            cum_quote=_number(row.cumExecValue),
            text=_text(row),
            leg=_leg(row.positionIdx),
        )

    def of_execution(self, row: ExecutionRow, received_ns: int) -> ExecutionReport | None:
        """A fill, type TRADE; None for what moves no position (funding and its like, whose money the wallet tells)."""
        if not translated(FILL_TYPES, "execType", row.execType):
            return None
        side = translated(SIDES, "side", row.side)
        order_qty = cum_qty = ZERO
        status = _PARTIALLY_FILLED
        if row.orderQty and row.leavesQty and self._is_in_base(row.orderType, side, row.marketUnit):
            order_qty = amount(row.orderQty)
            leaves_qty = amount(row.leavesQty)
            cum_qty = max(order_qty - leaves_qty, ZERO)
            if cum_qty and not leaves_qty:
                status = _FILLED
        last_qty = amount(row.execQty)
        if not last_qty:
            raise UnknownWord("execQty", f"{row.execQty} of {row.execType} {row.execId}")
        ord_type = ORDER_TYPES.get(row.orderType or "", OrdType.LIMIT)
        return ExecutionReport(
            ClOrdID(row.orderLinkId or ""),
            OrderID(row.orderId),
            self._account,
            NO_STRATEGY,
            self._venue,
            Symbol(row.symbol),
            side,
            _TRADE,
            status,
            order_qty,
            cum_qty,
            time_ns(row.execTime),
            received_ns,
            ord_type,
            None if ord_type is OrdType.MARKET else _number(row.orderPrice) or None,
            last_qty=last_qty,
            last_px=amount(row.execPrice),
            trade_id=TradeID(row.execId),
            fee=signed_amount(row.execFee) if row.execFee else ZERO,
            fee_asset=row.feeCurrency or self._settle_coin(row.symbol),
            liquidity=_LIQUIDITY[row.isMaker],
            exec_id=row.execId,
            text="" if row.execType == "Trade" else row.execType,
        )

    def of_coin(self, row: CoinRow, updated_ns: int) -> Balance:
        """One coin of the unified wallet: spot orders lock it, contracts tie it up as margin.

        The whole is `walletBalance`, borrowed coins included.  Margin may exceed it, because other coins stand in for
        it: then all of it is locked.
        """
        if not row.walletBalance:
            raise RemoteProtocolError(f"balance of {row.coin}: no walletBalance")
        total = signed_amount(row.walletBalance)
        locked = _number(row.locked)
        if self._product is not Product.SPOT:
            locked += _number(row.totalOrderIM) + _number(row.totalPositionIM)
        locked = min(locked, max(total, ZERO))
        return Balance(self._account, self._venue, row.coin, total - locked, locked, updated_ns, WALLET)

    def of_position(self, row: PositionRow) -> VenuePosition:
        """A contract position, signed."""
        size = _number(row.size)
        if row.side not in _NO_SIDE:
            if not row.size:
                raise RemoteProtocolError(f"position in {row.symbol}: no size")
            size *= translated(SIDES, "side", row.side).sign
        elif size:
            raise RemoteProtocolError(f"a position of {size} {row.symbol} on no side")
        return VenuePosition(
            self._account,
            self._venue,
            Symbol(row.symbol),
            _leg(row.positionIdx),
            size,
            _number(row.entryPrice or row.avgPrice),
            _number(row.markPrice),
            _number(row.liqPrice),
            _number(row.leverage),
            signed_amount(row.unrealisedPnl) if row.unrealisedPnl else ZERO,
            time_ns(row.updatedTime),
        )

    def _is_in_base(self, order_type: Maybe, side: Side, market_unit: Maybe) -> bool:
        """False where the order's quantity is, or may be, an amount of quote: a spot market buy that says nothing else.

        Then the quantity is left unsaid (0): the account knows what it ordered.
        """
        if self._product is not Product.SPOT or order_type != "Market" or market_unit == "baseCoin":
            return True
        return side is Side.SELL and not market_unit

    def _settle_coin(self, symbol: str) -> str:
        """The fee's coin where the venue does not name it (before 2025-09-18); on spot it cannot be told."""
        if self._product is Product.SPOT:
            return ""
        return "USDT" if "USDT" in symbol else "USDC"


def _status(word: OrdStatus, order_qty: Decimal, cum_qty: Decimal, reason: Maybe) -> OrdStatus:
    """Final and filled quantity decide, not the word (section 14)."""
    if word is _CANCELED:
        if cum_qty and cum_qty == order_qty:
            return _FILLED
        if reason == WOULD_TAKE and not cum_qty:
            return _REJECTED
    elif word is _REJECTED and cum_qty:
        return _CANCELED
    elif word is _NEW and cum_qty:
        return _PARTIALLY_FILLED
    return word


def _ord_type(row: OrderRow, side: Side) -> OrdType:
    """Which way a conditional order waits tells a stop from taking profit; words about its kind come first."""
    plain = translated(ORDER_TYPES, "orderType", row.orderType)
    kind = row.stopOrderType
    if kind in _PLAIN:
        return plain
    if kind == "TrailingStop":
        return OrdType.TRAILING_STOP
    if kind in _PROFIT_WORDS:
        return _PROFIT_OF[plain]
    rises = None if kind in _STOP_WORDS else _rises(row)
    follows = rises is None or rises is (side is Side.BUY)
    return _STOP_OF[plain] if follows else _PROFIT_OF[plain]


def _rises(row: OrderRow) -> bool | None:
    """Whether the trigger waits for a rise: as said, else (on spot) as the last price was when the order was made."""
    if row.triggerDirection in (_RISES_TO, _FALLS_TO):
        return row.triggerDirection == _RISES_TO
    if row.triggerDirection:
        raise UnknownWord("triggerDirection", str(row.triggerDirection))
    trigger_px, last_px = _number(row.triggerPrice), _number(row.lastPriceOnCreated)
    return trigger_px > last_px if trigger_px and last_px else None


def _text(row: OrderRow) -> str:
    """Why the order is as it is, in the venue's words."""
    if row.rejectReason not in NO_ERROR:
        return (row.rejectReason or "")[:200]
    return "" if row.cancelType in _NOT_CANCELED else (row.cancelType or "")[:200]


def _leg(position_idx: int | None) -> Side | None:
    """The position that is meant; None: there is one."""
    try:
        return _LEGS[position_idx]
    except KeyError:
        raise UnknownWord("positionIdx", str(position_idx)) from None


def _number(text: Maybe) -> Decimal:
    """An amount; "" is none and counts as 0."""
    return amount(text) if text else ZERO


def time_ns(text: Maybe) -> int:
    """Milliseconds in a string; none is 0."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise RemoteProtocolError(f"not a time: {text[:40]!r}")
    return stamp_ns(int(text))
