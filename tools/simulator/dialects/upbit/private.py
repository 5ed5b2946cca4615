"""An account's orders and balances in the venue's words: REST rows, and the streams `myOrder` and `myAsset`.

REST writes texts and leaves out what is not there, streams write numbers and null (section 7). A partial fill is no
state. In a stream's `trade` event price and volume are those of the fill (section 6.8).
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs

from tools.simulator.core.accounts import Account
from tools.simulator.core.clock import MS, Clock
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.exchange import Listener
from tools.simulator.core.model import ExecType, Execution, Fill, Order, OrdStatus, Trade
from tools.simulator.core.private import PrivateChannel
from tools.simulator.dialects.upbit.orders import Ticket, ticket_of
from tools.simulator.dialects.upbit.render import iso_kst, num, text
from tools.simulator.dialects.upbit.words import Form

_AVERAGE_UNIT = Decimal("0.00000001")
_FINAL = frozenset({OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.EXPIRED, OrdStatus.EXPIRED_IN_MATCH})


def made_up_uuid(*parts: object) -> str:
    """A UUID (version 4 in form) that is the same for the same parts."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=16).digest()
    return str(uuid.UUID(bytes=digest, version=4))


def trade_uuid(trade: Trade) -> str:
    """Both sides of a trade show the same."""
    return made_up_uuid("trade", trade.symbol, trade.trade_id, trade.time_ns)


def state_of(order: Order) -> str:
    """`wait`, `done` or `cancel`: a market buy that could not spend the last of its amount ends as `cancel`."""
    if order.is_live:
        return "wait"
    ticket = ticket_of(order)
    if order.ord_status is not OrdStatus.FILLED:
        return "cancel"
    if ticket.by_amount and ticket.price is not None and order.cum_quote < ticket.price:
        return "cancel"
    return "done"


def _fees(order: Order, ticket: Ticket) -> tuple[Decimal, Decimal]:
    """Paid, and still reserved."""
    paid = sum((fill.commission for fill in ticket.fills), ZERO)
    if not order.is_buy or not order.is_live:
        return paid, ZERO
    left = order.price * order.open_qty * ticket.fee_rate if order.price else ticket.reserved_fee - paid
    return paid, max(left, ZERO)


# ---- REST ------------------------------------------------------------------------------------------------------


def order_row(order: Order, *, trades: bool = False, fresh: bool = False) -> dict[str, Any]:
    """An order as REST shows it; `fresh`: as it was taken in, before it met the book."""
    ticket = ticket_of(order)
    paid, left = (ZERO, ticket.reserved_fee) if fresh else _fees(order, ticket)
    executed = ZERO if fresh else order.cum_qty
    row: dict[str, Any] = {
        "uuid": order.venue_id,
        "market": order.symbol,
        "side": "bid" if order.is_buy else "ask",
        "ord_type": ticket.ord_type,
        "price": _optional(ticket.price),
        "state": "wait" if fresh else state_of(order),
        "created_at": iso_kst(order.transact_ns),
        "volume": _optional(ticket.volume),
        "remaining_volume": None if ticket.volume is None else text(ticket.volume if fresh else _remaining(order)),
        "executed_volume": text(executed),
        "executed_funds": text(ZERO if fresh else order.cum_quote),
        "reserved_fee": text(ticket.reserved_fee),
        "remaining_fee": text(left),
        "paid_fee": text(paid),
        "locked": text(_first_lock(order, ticket) if fresh else order.locked),
        "trades_count": 0 if fresh else len(ticket.fills),
        "time_in_force": ticket.time_in_force,
        "identifier": ticket.identifier,
        "smp_type": ticket.smp_type,
        "prevented_volume": text(ZERO if fresh else order.prevented_qty),
        "prevented_locked": text(ZERO if fresh else ticket.prevented_locked),
    }
    if trades:
        row["trades"] = [_trade_row(order, fill) for fill in ticket.fills]
    return {name: value for name, value in row.items() if value is not None}


def _optional(value: Decimal | None) -> str | None:
    return None if value is None else text(value)


def _remaining(order: Order) -> Decimal:
    """What was neither filled nor prevented, whatever became of it."""
    return order.open_qty


def _first_lock(order: Order, ticket: Ticket) -> Decimal:
    if not order.is_buy:
        return ticket.volume or ZERO
    total = (ticket.price or ZERO) * (ticket.volume if ticket.volume is not None else 1)
    return total + ticket.reserved_fee


def _trade_row(order: Order, fill: Fill) -> dict[str, Any]:
    trade = fill.trade
    return {
        "market": order.symbol,
        "uuid": trade_uuid(trade),
        "price": text(trade.price),
        "volume": text(trade.qty),
        "funds": text(trade.quote_qty),
        "trend": "down" if trade.buyer_is_maker else "up",
        "created_at": iso_kst(trade.time_ns),
        "side": "bid" if order.is_buy else "ask",
    }


# ---- streams ---------------------------------------------------------------------------------------------------


@attrs.frozen
class Selection:
    """What one socket wants of its account, and in which form: subscribers of one selection get the same bytes."""

    form: Form
    orders: bool = False
    codes: frozenset[str] = frozenset()  # empty: all markets
    assets: bool = False


def order_event(order: Order, state: str, fill: Fill | None, now_ns: int) -> dict[str, Any]:
    """One change of an order; `fill` with state `trade` alone."""
    ticket = ticket_of(order)
    paid, left = _fees(order, ticket)
    average = (order.cum_quote / order.cum_qty).quantize(_AVERAGE_UNIT) if order.cum_qty else ZERO
    price, volume = (ticket.price, ticket.volume) if fill is None else (fill.trade.price, fill.trade.qty)
    return {
        "type": "myOrder",
        "code": order.symbol,
        "uuid": order.venue_id,
        "ask_bid": "BID" if order.is_buy else "ASK",
        "order_type": ticket.ord_type,
        "state": state,
        "trade_uuid": None if fill is None else trade_uuid(fill.trade),
        "price": None if price is None else num(price),
        "avg_price": num(average),
        "volume": None if volume is None else num(volume),
        "remaining_volume": None if ticket.by_amount else num(_remaining(order)),
        "executed_volume": num(order.cum_qty),
        "trades_count": len(ticket.fills),
        "reserved_fee": num(ticket.reserved_fee),
        "remaining_fee": num(left),
        "paid_fee": num(paid),
        "locked": num(order.locked),
        "executed_funds": num(order.cum_quote),
        "time_in_force": ticket.time_in_force,
        "trade_fee": None if fill is None else num(fill.commission),
        "is_maker": None if fill is None else fill.is_maker,
        "identifier": ticket.identifier,
        "smp_type": ticket.smp_type,
        "prevented_volume": num(order.prevented_qty),
        "prevented_locked": num(ticket.prevented_locked),
        "trade_timestamp": None if fill is None else fill.trade.time_ns // MS,
        "order_timestamp": order.transact_ns // MS,
        "timestamp": now_ns // MS,
        "stream_type": "REALTIME",
    }


class PrivateStreams(Listener):
    """Renders what the exchange reports for the sockets that want it."""

    def __init__(self, channel: PrivateChannel, clock: Clock) -> None:
        self._channel = channel
        self._clock = clock
        self.told = 0

    def on_execution(self, order: Order, execution: Execution) -> None:
        if order.account is None or execution.exec_type is ExecType.REJECTED:
            return
        ticket, kind = ticket_of(order), execution.exec_type
        if kind is ExecType.TRADE:
            assert execution.fill is not None
            ticket.fills.append(execution.fill)
            self._tell(order, "trade", execution.fill)
        elif kind is ExecType.TRADE_PREVENTION:
            price = order.price * (1 + ticket.fee_rate) if order.is_buy else Decimal(1)
            ticket.prevented_locked += execution.prevented_qty * price
            self._tell(order, "prevented")
        elif kind is ExecType.NEW:
            self._tell(order, "wait")
            return
        if order.ord_status in _FINAL:
            self._tell(order, state_of(order))

    def on_balances(self, account: Account, assets: set[str]) -> None:
        self.assets_changed(account, assets)

    def assets_changed(self, account: Account, assets: set[str]) -> None:
        """`myAsset`: the currencies that changed, and no others."""
        now_ns = self._clock.now_ns()
        self.told += 1
        event = {
            "type": "myAsset",
            "asset_uuid": made_up_uuid("asset", account.name, self.told),
            "assets": [
                {
                    "currency": asset,
                    "balance": num(account.balance(asset).free),
                    "locked": num(account.balance(asset).locked),
                }
                for asset in sorted(assets)
            ],
            "asset_timestamp": now_ns // MS,
            "timestamp": now_ns // MS,
            "stream_type": "REALTIME",
        }
        self._emit(account, "myAsset", event, lambda wanted: wanted.assets)

    def _tell(self, order: Order, state: str, fill: Fill | None = None) -> None:
        assert order.account is not None
        if not self._channel.wanted(order.account):
            return
        event = order_event(order, state, fill, self._clock.now_ns())
        code = order.symbol
        self._emit(
            order.account,
            f"myOrder:{state}",
            event,
            lambda wanted: wanted.orders and (not wanted.codes or code in wanted.codes),
        )

    def _emit(self, account: Account, subject: str, event: dict[str, Any], wants: Callable[[Selection], bool]) -> None:
        if not self._channel.wanted(account):
            return
        kind = subject.partition(":")[0]
        self._channel.emit(account, subject, lambda variant: variant.form.text(event, kind) if wants(variant) else None)
