"""The venue's words about our orders, as `ExecutionReport`s (reference sections 5, 8.1, 12 and 14).

Identity: the client order id stays with an order.  An order without one (made on the web) gets a name of its own from
the venue's id, `okx<ordId>`, so that two of them are not taken for one.

Fills: a message of the channel has at most one, with its own fee; a message without `tradeId` is a state, not a fill,
also when it says `filled`.  In REST the same fields mean the last fill, and are not read.  Fees are ours as costs: the
venue's sign is the other way round.

Quantities are coins on spot and contracts on swaps.  An order in quote money (a web user's market buy) says its size
in money; its `order_qty` is what has been filled.

`strategy` is not known here; it is "" until the account has looked the order up.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TypeVar

from protocols.enums import ExecType, Liquidity, OrdStatus, OrdType, Side
from protocols.errors import RemoteProtocolError, Unrecognized
from protocols.ids import AccountID, ClOrdID, OrderID, StrategyID, Symbol, TradeID, Venue
from protocols.orders import ExecutionReport, VenueCancelReject
from protocols.positions import Balance, VenuePosition
from protocols.venue import OrderState
from protocols.venues.okx.endpoints import WALLET
from protocols.venues.okx.wire import AccountRow, AckRow, FillRow, OrderRow, PositionRow
from protocols.venues.values import ZERO, amount, signed_amount, stamp_ns

__all__ = ["CANCEL_SOURCES", "Reports", "UnknownWord", "stamp_of"]

Word = TypeVar("Word")

NO_STRATEGY = StrategyID("")
NAMELESS = "okx"

SIDES = {"buy": Side.BUY, "sell": Side.SELL}
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
    "13": "fill-or-kill could not be filled",
    "14": "rest of immediate-or-cancel",
    "15": "beyond the price limit",
    "20": "dead-man switch",
    "22": "reduce-only",
    "23": "reduce-only",
    "27": "price moved more than 5 %",
    WOULD_TAKE: "post-only would take",
    "32": "self-trade prevention",
    "33": "met more than 1000 orders",
}
_LEGS: Mapping[str, Side | None] = {"net": None, "": None, "long": Side.BUY, "short": Side.SELL}
_LIQUIDITIES = {"M": Liquidity.MAKER, "T": Liquidity.TAKER}
_NEW, _TRADE, _CANCELED = ExecType.NEW, ExecType.TRADE, ExecType.CANCELED
_REPLACED, _ORDER_STATUS = ExecType.REPLACED, ExecType.ORDER_STATUS
_STATUS_CANCELED, _PARTIALLY_FILLED = OrdStatus.CANCELED, OrdStatus.PARTIALLY_FILLED
AMEND_DONE, AMEND_FAILED = "0", "-1"


class UnknownWord(Exception):
    """A word of the venue's that our vocabulary lacks; becomes an `UnrecognizedMessage` at the codec's edge."""

    def __init__(self, field: str, raw: str) -> None:
        super().__init__(f"{field}={raw}")
        self.what = Unrecognized(field, raw[:100])


def stamp_of(text: str) -> int:
    """A time in milliseconds as text, in nanoseconds; 0 for ""."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise RemoteProtocolError(f"not a time: {text[:40]!r}")
    return stamp_ns(int(text))


class Reports:
    """Builds the reports of one account.  Raises RemoteProtocolError and UnknownWord, nothing else."""

    __slots__ = ("_account", "_venue")

    def __init__(self, venue: Venue, account: AccountID) -> None:
        self._venue = venue
        self._account = account

    # ---- orders ------------------------------------------------------------------------------------------------

    def of_update(self, row: OrderRow, received_ns: int) -> tuple[ExecutionReport | VenueCancelReject, ...]:
        """A row of the `orders` channel: one report, or two when a fill and the end come together.

        An amend that was acknowledged can fail later; only this row says so, and it is a refusal.
        """
        status = _status_of(row)
        last_qty = _number(row.fillSz)
        if not row.tradeId or row.tradeId == "0" or not last_qty:
            state = self._state(row, _kind_of(row, status), status, received_ns)
            if row.amendResult == AMEND_FAILED:
                return (VenueCancelReject(_name(row), row.code[:20], _why(row), order_gone=False), state)
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
        if not row.ordId:
            raise RemoteProtocolError("an acknowledgement without ordId")
        # The answer does not name the instrument; who asked knows it.
        return OrderState(ClOrdID(row.clOrdId), OrderID(row.ordId), Symbol(""), None, (), stamp_of(row.ts))

    def of_fill(self, row: FillRow, received_ns: int) -> ExecutionReport:
        """A row of the own-trade history, type TRADE.  The venue does not say the order's quantity there."""
        return ExecutionReport(
            ClOrdID(row.clOrdId),
            OrderID(row.ordId),
            self._account,
            NO_STRATEGY,
            self._venue,
            Symbol(row.instId),
            _word(SIDES, "side", row.side),
            _TRADE,
            _PARTIALLY_FILLED,
            ZERO,
            ZERO,
            stamp_of(row.fillTime or row.ts),
            received_ns,
            last_qty=amount(row.fillSz),
            last_px=amount(row.fillPx),
            trade_id=TradeID(row.tradeId),
            fee=_cost(row.fee),
            fee_asset=row.feeCcy,
            liquidity=_LIQUIDITIES.get(row.execType, Liquidity.UNKNOWN),
            leg=_word(_LEGS, "posSide", row.posSide),
        )

    def _trade(self, row: OrderRow, status: OrdStatus, last_qty: Decimal, received_ns: int) -> ExecutionReport:
        cum_qty = amount(row.accFillSz)
        fee, fee_asset = row.fillFee, row.fillFeeCcy
        if not fee and cum_qty == last_qty:
            fee, fee_asset = row.fee, row.feeCcy  # the first fill: its fee is the whole
        return ExecutionReport(
            _name(row),
            OrderID(row.ordId),
            self._account,
            NO_STRATEGY,
            self._venue,
            Symbol(row.instId),
            _word(SIDES, "side", row.side),
            _TRADE,
            status,
            _order_qty(row, cum_qty),
            cum_qty,
            stamp_of(row.fillTime or row.uTime),
            received_ns,
            _word(ORD_TYPES, "ordType", row.ordType),
            _price(row.px),
            last_qty,
            amount(row.fillPx),
            cum_qty * _number(row.avgPx),
            TradeID(row.tradeId),
            _cost(fee),
            fee_asset,
            _LIQUIDITIES.get(row.execType, Liquidity.UNKNOWN),
            text="" if row.category in ("", "normal") else f"category {row.category[:40]}",
            leg=_word(_LEGS, "posSide", row.posSide),
        )

    def _state(self, row: OrderRow, exec_type: ExecType, status: OrdStatus, received_ns: int) -> ExecutionReport:
        cum_qty = amount(row.accFillSz)
        return ExecutionReport(
            _name(row),
            OrderID(row.ordId),
            self._account,
            NO_STRATEGY,
            self._venue,
            Symbol(row.instId),
            _word(SIDES, "side", row.side),
            exec_type,
            status,
            _order_qty(row, cum_qty),
            cum_qty,
            stamp_of(row.uTime or row.cTime),
            received_ns,
            _word(ORD_TYPES, "ordType", row.ordType),
            _price(row.px),
            cum_quote=cum_qty * _number(row.avgPx),
            text=_why(row),
            leg=_word(_LEGS, "posSide", row.posSide),
        )

    # ---- account -----------------------------------------------------------------------------------------------

    def of_account(self, row: AccountRow) -> tuple[Balance, ...]:
        """Money of an account row: what is there (`cashBal`), and what of it is not available.

        Profit that is not realized is left out: it is no money yet, and it would move with every price.
        """
        balances = []
        for detail in row.details:
            total, available = _signed_number(detail.cashBal), _signed_number(detail.availBal)
            free = min(total, available)
            updated_ns = stamp_of(detail.uTime or row.uTime)
            balances.append(Balance(self._account, self._venue, detail.ccy, free, total - free, updated_ns, WALLET))
        return tuple(balances)

    def of_position(self, row: PositionRow) -> VenuePosition:
        """One position in contracts; in long_short_mode `pos` is positive and `posSide` says which leg."""
        leg = _word(_LEGS, "posSide", row.posSide)
        qty = _signed_number(row.pos)
        if leg is not None:
            qty = abs(qty) * leg.sign
        return VenuePosition(
            self._account,
            self._venue,
            Symbol(row.instId),
            leg,
            qty,
            _number(row.avgPx),
            _number(row.markPx),
            _number(row.liqPx),
            _number(row.lever),
            _signed_number(row.upl),
            stamp_of(row.uTime),
        )


def _status_of(row: OrderRow) -> OrdStatus:
    """The state; a post-only order that would have taken was never in the book, so its end is a rejection."""
    status = _word(STATUSES, "state", row.state)
    if status is _STATUS_CANCELED and row.cancelSource == WOULD_TAKE and not amount(row.accFillSz):
        return OrdStatus.REJECTED
    return status


def _kind_of(row: OrderRow, status: OrdStatus) -> ExecType:
    """What happened, of an update without a fill."""
    if status is _STATUS_CANCELED:
        return _CANCELED
    if status is OrdStatus.REJECTED:
        return ExecType.REJECTED
    if row.amendResult == AMEND_DONE:
        return _REPLACED
    return _NEW if status is OrdStatus.NEW and not row.amendResult else _ORDER_STATUS


def _why(row: OrderRow) -> str:
    if row.amendResult not in ("", AMEND_DONE):
        return f"amend failed ({row.amendResult[:10]}): {row.msg[:200]}"
    if not row.cancelSource:
        return ""
    words = CANCEL_SOURCES.get(row.cancelSource, "by the venue")
    return f"{words} (cancelSource {row.cancelSource[:10]})"


def _name(row: OrderRow) -> ClOrdID:
    return ClOrdID(row.clOrdId or row.algoClOrdId or NAMELESS + row.ordId)


def _order_qty(row: OrderRow, cum_qty: Decimal) -> Decimal:
    return cum_qty if row.tgtCcy == "quote_ccy" and row.ordType == "market" else amount(row.sz)


def _price(text: str) -> Decimal | None:
    """The limit price; the venue writes "", "0" or "-1" for none."""
    return None if text in ("", "-1") else amount(text) or None


def _number(text: str) -> Decimal:
    return amount(text) if text else ZERO


def _signed_number(text: str) -> Decimal:
    return signed_amount(text) if text else ZERO


def _cost(fee: str) -> Decimal:
    """The venue's fee, which is negative when we pay, as a cost."""
    paid = _signed_number(fee)
    return -paid if paid else ZERO


def _word(words: Mapping[str, Word], field: str, raw: str) -> Word:
    try:
        return words[raw]
    except KeyError:
        raise UnknownWord(field, raw) from None
