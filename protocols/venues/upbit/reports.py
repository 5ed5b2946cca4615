"""The venue's words about our orders, as `ExecutionReport`s (reference sections 5, 6.8, 7 and 10).

* Streams say BID/ASK and `order_type`, REST says bid/ask and `ord_type`; REST times are text, stream times are numbers.
* A partial fill is no state: `wait` with an executed volume is PARTIALLY_FILLED.
* Orders by amount (`price`, and `best` on the bid side) have no volume: what they executed is all that is known of
  their size.  A `price` order usually ends in `cancel`, because some change is left over: with fills that is FILLED.
* What self-trade prevention removed is not a fill.  It is taken off `order_qty`, so that `order_qty - cum_qty` stays
  what may still trade.
* Fees are in the quote currency.  REST says one fee for the whole order: it is shared out over the fills by their
  value, to the last digit of the sum.

`strategy` is not known here; it is "" until the account has looked the order up.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal

from protocols.enums import ExecType, Liquidity, OrdStatus, OrdType, Side
from protocols.errors import RemoteProtocolError
from protocols.ids import AccountID, ClOrdID, OrderID, StrategyID, Symbol, TradeID, Venue
from protocols.orders import ExecutionReport
from protocols.venue import OrderState
from protocols.venues.upbit.wire import AnyMyOrder, OrderRow
from protocols.venues.values import ZERO, checked_amount, stamp_ns
from protocols.venues.words import translated

__all__ = ["Reports", "iso_ns", "iso_text"]

NO_STRATEGY = StrategyID("")
SIDES = {"bid": Side.BUY, "ask": Side.SELL, "BID": Side.BUY, "ASK": Side.SELL}
ORD_TYPES = {
    "limit": OrdType.LIMIT,
    "price": OrdType.MARKET,
    "market": OrdType.MARKET,
    "best": OrdType.MARKET,  # at the best opposite price: no price of its own
}
STATUSES = {
    "wait": OrdStatus.NEW,
    "watch": OrdStatus.SUSPENDED,
    "done": OrdStatus.FILLED,
    "cancel": OrdStatus.CANCELED,
}
_EXEC_TYPES = {
    OrdStatus.NEW: ExecType.NEW,
    OrdStatus.SUSPENDED: ExecType.SUSPENDED,
    OrdStatus.CANCELED: ExecType.CANCELED,
}
"""What a change of state is; the others are told by fills, and their state is a state (ORDER_STATUS)."""

_TRADE, _RESTATED, _ORDER_STATUS = ExecType.TRADE, ExecType.RESTATED, ExecType.ORDER_STATUS
_NEW, _FILLED, _PARTIALLY_FILLED, _CANCELED = (
    OrdStatus.NEW,
    OrdStatus.FILLED,
    OrdStatus.PARTIALLY_FILLED,
    OrdStatus.CANCELED,
)
_LIQUIDITY = {True: Liquidity.MAKER, False: Liquidity.TAKER, None: Liquidity.UNKNOWN}
_CREATED = 201
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FEE_STEP = Decimal("0.00000001")


def iso_ns(text: str, *, utc: bool = False) -> int:
    """A time as ISO text; `utc`: it has no zone and is UTC.  Otherwise a zone must be there (REST writes +09:00)."""
    if len(text) > 40:
        raise RemoteProtocolError(f"not a time: {text[:40]!r}")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RemoteProtocolError(f"not a time: {text!r}") from None
    if (moment.tzinfo is None) is not utc:
        raise RemoteProtocolError(f"a time {'with' if utc else 'without'} a zone: {text!r}")
    micros = ((moment.replace(tzinfo=UTC) if utc else moment) - _EPOCH) // timedelta(microseconds=1)
    if not 0 <= micros < 9 * 10**15:
        raise RemoteProtocolError(f"time out of range: {text!r}")
    return micros * 1000


def iso_text(time_ns: int) -> str:
    """A time as the venue takes it in queries of candles: ISO, UTC, rounded up to the second."""
    moment = _EPOCH + timedelta(seconds=-(-time_ns // 1_000_000_000))
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class Reports:
    """Builds the reports of one account.  Raises RemoteProtocolError and UnknownWord, nothing else."""

    __slots__ = ("_account", "_venue")

    def __init__(self, venue: Venue, account: AccountID) -> None:
        self._venue = venue
        self._account = account

    # ---- stream ------------------------------------------------------------------------------------------------

    def of_event(self, event: AnyMyOrder, received_ns: int) -> ExecutionReport:
        """`myOrder`."""
        side = translated(SIDES, "ask_bid", event.ask_bid)
        ord_type = translated(ORD_TYPES, "order_type", event.order_type)
        state = event.state
        rest = event.remaining_volume
        volume = None if state == "trade" else event.volume  # a fill's says nothing of the order
        cum_qty = _executed(event.executed_volume, volume, rest, event.prevented_volume)
        by_amount = _is_by_amount(event.order_type, side)
        price = None if event.price is None else checked_amount(event.price) or None
        exec_type, status, text = _ORDER_STATUS, _NEW, ""
        last_qty = last_px = fee = ZERO
        trade_id, fee_asset, liquidity, transact_ms = None, "", Liquidity.UNKNOWN, event.timestamp
        if state == "trade" or state == "prevented":
            if state == "trade":
                price = None  # it is that of the match; the order's own is not said
                last_qty, last_px = _said(event.volume, "volume"), _said(event.price, "price")
                if last_qty:
                    exec_type, trade_id = _TRADE, _trade_id(event.trade_uuid)
                    fee = _said(event.trade_fee, "trade_fee")
                    fee_asset = event.code.partition("-")[0]
                    liquidity = _LIQUIDITY[event.is_maker]
                else:
                    last_px = ZERO  # a trade of nothing: the state counts, there is no fill
                transact_ms = transact_ms if event.trade_timestamp is None else event.trade_timestamp
            else:
                exec_type, text = _RESTATED, "self-trade prevention"
            if cum_qty:
                status = _FILLED if rest is not None and not rest and not by_amount else _PARTIALLY_FILLED
        else:
            status = _status(translated(STATUSES, "state", state), event.order_type, cum_qty)
            exec_type = _EXEC_TYPES.get(status, _ORDER_STATUS)
        if by_amount:
            order_qty = cum_qty
        elif rest is not None:
            order_qty = cum_qty + checked_amount(rest)
        else:
            order_qty = max(_said(volume, "remaining_volume") - _or_zero(event.prevented_volume), cum_qty)
        return ExecutionReport(
            ClOrdID(event.identifier or ""),
            OrderID(event.uuid),
            self._account,
            NO_STRATEGY,
            self._venue,
            Symbol(event.code),
            side,
            exec_type,
            status,
            order_qty,
            cum_qty,
            stamp_ns(transact_ms),
            received_ns,
            ord_type,
            price if event.order_type == "limit" else None,
            last_qty,
            last_px,
            _spent(event, cum_qty),
            trade_id,
            fee,
            fee_asset,
            liquidity,
            trade_id or "",
            text,
        )

    # ---- REST --------------------------------------------------------------------------------------------------

    def of_reply(self, row: OrderRow, status: int, received_ns: int) -> OrderState:
        """The order in the answer to a request about it.

        201 is a new order.  Anything else is the order as it was when a cancel was taken: the venue calls it live and
        will report its end, so a live state there is a bare acknowledgement.
        """
        ord_status = _status_of(row)
        cl_ord_id, order_id, symbol = ClOrdID(row.identifier or ""), OrderID(row.uuid), Symbol(row.market)
        exec_type = _EXEC_TYPES.get(ord_status, _ORDER_STATUS)
        report = self._state(row, exec_type, ord_status, received_ns)
        if status != _CREATED and not ord_status.is_final:
            return OrderState(cl_ord_id, order_id, symbol, None)
        return OrderState(cl_ord_id, order_id, symbol, report, (), report.transact_ns)

    def of_query(self, row: OrderRow, received_ns: int) -> ExecutionReport:
        """An order of a query, type ORDER_STATUS."""
        return self._state(row, _ORDER_STATUS, _status_of(row), received_ns)

    def of_trades(self, row: OrderRow, received_ns: int) -> tuple[ExecutionReport, ...]:
        """The fills of one order, oldest first, with running totals; the last of a filled order is FILLED."""
        state = self.of_query(row, received_ns)
        fee_asset = row.market.partition("-")[0]
        trades = sorted(
            ((iso_ns(one.created_at), index, one) for index, one in enumerate(row.trades or ())),
            key=lambda item: item[:2],
        )
        fees = _shared(
            _said(row.paid_fee, "paid_fee") if trades else ZERO,
            [checked_amount(one.funds) for _, _, one in trades],
            self._share(row, state.cum_qty),
        )
        fills = []
        cum_qty = cum_quote = ZERO
        for (at_ns, _, one), fee in zip(trades, fees, strict=True):
            last_qty, last_px = checked_amount(one.volume), checked_amount(one.price)
            if not last_qty:
                continue
            cum_qty += last_qty
            cum_quote += checked_amount(one.funds)
            whole = state.ord_status is _FILLED and cum_qty >= state.cum_qty
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
                    _FILLED if whole else _PARTIALLY_FILLED,
                    state.order_qty,
                    cum_qty,
                    at_ns,
                    received_ns,
                    state.ord_type,
                    state.price,
                    last_qty,
                    last_px,
                    cum_quote,
                    TradeID(one.uuid),
                    fee,
                    fee_asset,
                    Liquidity.UNKNOWN,
                    one.uuid,
                )
            )
        return tuple(fills)

    def _share(self, row: OrderRow, cum_qty: Decimal) -> Decimal:
        """Which part of the order's fills is listed: 1 unless the list is shorter than the order."""
        listed = sum((checked_amount(one.volume) for one in row.trades or ()), ZERO)
        return listed / cum_qty if cum_qty > listed else Decimal(1)

    def _state(self, row: OrderRow, exec_type: ExecType, status: OrdStatus, received_ns: int) -> ExecutionReport:
        cum_qty = _executed(row.executed_volume, row.volume, row.remaining_volume, row.prevented_volume)
        side = translated(SIDES, "side", row.side)
        if row.volume is not None:
            order_qty = max(checked_amount(row.volume) - _or_zero(row.prevented_volume), cum_qty)
        elif _is_by_amount(row.ord_type, side):
            order_qty = cum_qty  # no more is known
        else:
            order_qty = cum_qty + _said(row.remaining_volume, "volume")
        if row.executed_funds is None:
            cum_quote = sum((checked_amount(one.funds) for one in row.trades or ()), ZERO)
        else:
            cum_quote = checked_amount(row.executed_funds)
        return ExecutionReport(
            ClOrdID(row.identifier or ""),
            OrderID(row.uuid),
            self._account,
            NO_STRATEGY,
            self._venue,
            Symbol(row.market),
            side,
            exec_type,
            status,
            order_qty,
            cum_qty,
            max((iso_ns(one.created_at) for one in row.trades or ()), default=iso_ns(row.created_at)),
            received_ns,
            translated(ORD_TYPES, "ord_type", row.ord_type),
            checked_amount(row.price) or None if row.price is not None and row.ord_type == "limit" else None,
            cum_quote=cum_quote,
        )


def _status_of(row: OrderRow) -> OrdStatus:
    cum_qty = _executed(row.executed_volume, row.volume, row.remaining_volume, row.prevented_volume)
    return _status(translated(STATUSES, "state", row.state), row.ord_type, cum_qty)


def _status(status: OrdStatus, ord_type: str, cum_qty: Decimal) -> OrdStatus:
    """The status that a state and what was executed amount to."""
    if not cum_qty:
        return status
    if status is _NEW:
        return _PARTIALLY_FILLED
    return _FILLED if status is _CANCELED and ord_type == "price" else status


def _is_by_amount(ord_type: str, side: Side) -> bool:
    """True for orders that spend an amount: their remaining volume says nothing."""
    return ord_type == "price" or (ord_type == "best" and side is Side.BUY)


def _or_zero(value: Decimal | None) -> Decimal:
    return ZERO if value is None else checked_amount(value)


def _said(value: Decimal | None, name: str) -> Decimal:
    """A number without which the rest would be wrong."""
    if value is None:
        raise RemoteProtocolError(f"{name} is missing")
    return checked_amount(value)


def _spent(event: AnyMyOrder, cum_qty: Decimal) -> Decimal:
    """What the fills were worth together; 0 where the event says neither that nor their average price."""
    if event.executed_funds is not None:
        return checked_amount(event.executed_funds)
    return _or_zero(event.avg_price) * cum_qty


def _executed(
    executed: Decimal | None, volume: Decimal | None, rest: Decimal | None, prevented: Decimal | None
) -> Decimal:
    """What was filled; where it is not said, what is neither left nor prevented.  Nothing would be a guess."""
    if executed is not None:
        return checked_amount(executed)
    if volume is None or rest is None:
        raise RemoteProtocolError("executed_volume is missing")
    return max(ZERO, checked_amount(volume) - checked_amount(rest) - _or_zero(prevented))


def _trade_id(text: str | None) -> TradeID:
    if not text:
        raise RemoteProtocolError("a fill without trade_uuid")
    return TradeID(text)


def _shared(paid: Decimal, funds: Sequence[Decimal], share: Decimal) -> list[Decimal]:
    """A fee shared out in proportion to `funds`; the last part takes what rounding left."""
    total = sum(funds, ZERO)
    if not total:
        return [ZERO] * len(funds)
    whole = paid if share == 1 else (paid * share).quantize(_FEE_STEP, ROUND_DOWN)
    parts = [(whole * one / total).quantize(_FEE_STEP, ROUND_DOWN) for one in funds[:-1]]
    return [*parts, whole - sum(parts, ZERO)]
