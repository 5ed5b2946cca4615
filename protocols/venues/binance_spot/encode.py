"""Commands as WebSocket API frames (reference sections 2.2, 4, 7 and 8).

One table of parameters per command (`*_params`) serves the WebSocket and REST.  On the WebSocket a logged-on session
needs no signature, and most orders are limit or market orders: those are written by a template that holds everything
but the numbers.  `tests/protocols/binance_spot/test_encode.py` holds template and table against each other.

Amounts are JSON strings (a number would be signed as the venue chooses to print it), times are JSON numbers.
"""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec

from protocols.enums import ExecInst, OrdType, Side, TimeInForce
from protocols.errors import LocalProtocolError
from protocols.ids import ClOrdID, OrderID, Symbol, parse_cl_ord_id
from protocols.orders import NewOrder
from protocols.venue import Frame, Lane, Signer
from protocols.venues.binance_common.frames import ApiFrames, legal_request_id
from protocols.venues.binance_spot.limits import WEIGHT
from protocols.venues.binance_spot.reports import CANCEL_SUFFIX
from protocols.venues.binance_spot.requests import Params, order_id_number
from protocols.venues.values import amount_text

__all__ = [
    "STP_MODES",
    "FrameEncoder",
    "amend_params",
    "cancel_params",
    "order_params",
    "query_params",
    "replace_params",
]

STP_MODES = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT", "TRANSFER")
_CL_ORD_ID = re.compile(r"[a-zA-Z0-9_-]{1,36}", re.ASCII)

_BUY = Side.BUY
_LIMIT, _MARKET = OrdType.LIMIT, OrdType.MARKET
_GTC, _IOC, _FOK = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK
_NONE, _POST_ONLY = ExecInst.NONE, ExecInst.POST_ONLY
_TYPES = {
    OrdType.LIMIT: "LIMIT",
    OrdType.MARKET: "MARKET",
    OrdType.STOP: "STOP_LOSS",
    OrdType.STOP_LIMIT: "STOP_LOSS_LIMIT",
    OrdType.TAKE_PROFIT: "TAKE_PROFIT",
    OrdType.TAKE_PROFIT_LIMIT: "TAKE_PROFIT_LIMIT",
}
_PRICED = frozenset({OrdType.LIMIT, OrdType.STOP_LIMIT, OrdType.TAKE_PROFIT_LIMIT})
_TRIGGERED = frozenset({OrdType.STOP, OrdType.STOP_LIMIT, OrdType.TAKE_PROFIT, OrdType.TAKE_PROFIT_LIMIT})


# ---- parameters ------------------------------------------------------------------------------------------------


def order_params(order: NewOrder, stp_mode: str) -> Params:
    """The parameters of a new order.  Raises LocalProtocolError naming the field that the venue could not take."""
    ord_type = order.ord_type
    venue_type = _venue_type(order)
    params = [
        ("symbol", order.symbol),
        ("side", order.side.value),
        ("type", venue_type),
        ("newClientOrderId", legal_cl_ord_id(order.cl_ord_id)),
        ("quantity", amount_text(order.order_qty, "order_qty")),
    ]
    if ord_type in _PRICED:
        if order.price is None:
            raise LocalProtocolError(f"price is missing; a {ord_type.value} order needs one")
        params.append(("price", amount_text(order.price, "price")))
        if venue_type != "LIMIT_MAKER":
            params.append(("timeInForce", _time_in_force(order.time_in_force)))
    if ord_type in _TRIGGERED:
        if order.stop_px is None:
            raise LocalProtocolError(f"stop_px is missing; a {ord_type.value} order needs one")
        params.append(("stopPrice", amount_text(order.stop_px, "stop_px")))
    params += [("newOrderRespType", "FULL"), ("selfTradePreventionMode", stp_mode)]
    return params


def cancel_params(cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol) -> Params:
    """By the venue's id where it is known, which is fastest and survives renames; else by ours.

    A cancel renames the order: for ids of our own making we choose the new name, so that a later query by the
    venue's id still leads back to the original (`reports.original_id`).
    """
    params = [("symbol", str(symbol)), _identity(cl_ord_id, order_id)]
    if parse_cl_ord_id(cl_ord_id) is not None:
        params.append(("newClientOrderId", cl_ord_id + CANCEL_SUFFIX))
    return params


def replace_params(cl_ord_id: ClOrdID, order_id: OrderID | None, new: NewOrder, stp_mode: str) -> Params:
    """`new` in place of an order of which nothing has been filled (section 8.5).

    STOP_ON_FAILURE: no new order where the old one could not be canceled.  ONLY_NEW: the venue would not take what the
    old order traded meanwhile off the new quantity, so a fill that overtakes the request makes it fail instead.
    """
    if new.cl_ord_id == cl_ord_id:
        raise LocalProtocolError(f"cl_ord_id was {cl_ord_id!r}, a replacing order needs one of its own")
    name, value = _identity(cl_ord_id, order_id)
    params = [
        *order_params(new, stp_mode),
        ("cancelReplaceMode", "STOP_ON_FAILURE"),
        (f"cancel{name[0].upper()}{name[1:]}", value),
        ("cancelRestrictions", "ONLY_NEW"),
    ]
    if parse_cl_ord_id(cl_ord_id) is not None:
        params.append(("cancelNewClientOrderId", cl_ord_id + CANCEL_SUFFIX))
    return params


def amend_params(cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol, order_qty: Decimal) -> Params:
    """A smaller total quantity; the client id is sent along because the venue would invent a new one."""
    return [
        ("symbol", symbol),
        _identity(cl_ord_id, order_id),
        ("newQty", amount_text(order_qty, "order_qty")),
        ("newClientOrderId", legal_cl_ord_id(cl_ord_id)),
    ]


def query_params(cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol) -> Params:
    """One order, by the venue's id where it is known."""
    return [("symbol", symbol), _identity(cl_ord_id, order_id)]


def legal_cl_ord_id(cl_ord_id: ClOrdID) -> ClOrdID:
    """The id itself.  Raises LocalProtocolError for one that the venue refuses (section 7.2)."""
    if _CL_ORD_ID.fullmatch(cl_ord_id) is None:
        raise LocalProtocolError(f"cl_ord_id was {cl_ord_id!r}, must be 1 to 36 letters, digits, '-' or '_'")
    return cl_ord_id


def _identity(cl_ord_id: ClOrdID, order_id: OrderID | None) -> tuple[str, str]:
    if order_id is not None:
        return "orderId", order_id_number(order_id)
    return "origClientOrderId", legal_cl_ord_id(cl_ord_id)


def _venue_type(order: NewOrder) -> str:
    venue_type = _TYPES.get(order.ord_type)
    if venue_type is None:
        raise LocalProtocolError(f"ord_type was {order.ord_type.value}, which Binance Spot cannot be asked for here")
    if order.exec_inst is _NONE:
        return venue_type
    if order.exec_inst is not _POST_ONLY:
        raise LocalProtocolError(f"exec_inst was {order.exec_inst}, Binance Spot knows POST_ONLY alone")
    if order.ord_type is not _LIMIT or order.time_in_force is not _GTC:
        raise LocalProtocolError("POST_ONLY needs ord_type LIMIT and time_in_force GTC")
    return "LIMIT_MAKER"


def _time_in_force(time_in_force: TimeInForce) -> str:
    if time_in_force not in (_GTC, _IOC, _FOK):
        raise LocalProtocolError(f"time_in_force was {time_in_force.value}, Binance Spot has GTC, IOC and FOK")
    return time_in_force.value


# ---- frames ----------------------------------------------------------------------------------------------------


class FrameEncoder(ApiFrames):
    """Writes the frames of one account's WebSocket API connections."""

    __slots__ = ("_heads", "_limit_tails", "_maker_tail", "_market_tail", "_stp_mode")

    def __init__(self, signer: Signer, recv_window_ms: int, stp_mode: str) -> None:
        super().__init__(signer, recv_window_ms)
        self._stp_mode = stp_mode
        self._heads: dict[Symbol, tuple[str, str]] = {}
        # What follows the numbers and is the same for all orders of one type and lifetime.
        end = (
            f'"newOrderRespType":"FULL","selfTradePreventionMode":"{stp_mode}",'
            f'"recvWindow":{recv_window_ms},"timestamp":'
        )
        self._limit_tails = tuple(f'","type":"LIMIT","timeInForce":"{tif.value}",{end}' for tif in (_GTC, _IOC, _FOK))
        self._maker_tail = f'","type":"LIMIT_MAKER",{end}'
        self._market_tail = f'","type":"MARKET",{end}'

    def new_order(self, order: NewOrder, request_id: str, stamp_ms: int, *, logged_on: bool) -> Frame:
        """`order.place`."""
        if logged_on:
            tail = self._tail(order)
            if tail is not None:
                heads = self._heads.get(order.symbol) or self._learn(order.symbol)
                cl_ord_id = order.cl_ord_id
                if not (cl_ord_id.isalnum() and cl_ord_id.isascii() and len(cl_ord_id) <= 36):
                    legal_cl_ord_id(cl_ord_id)
                if not (request_id.isalnum() and request_id.isascii()):
                    legal_request_id(request_id)
                price = order.price
                numbers = amount_text(order.order_qty, "order_qty")
                if price is not None and tail is not self._market_tail:
                    numbers = f'{numbers}","price":"{amount_text(price, "price")}'
                text = (
                    f'{{"id":"{request_id}{heads[0] if order.side is _BUY else heads[1]}{cl_ord_id}'
                    f'","quantity":"{numbers}{tail}{stamp_ms}}}}}'
                )
                return Frame(text, request_id, 0, Lane.NEW)
        params = order_params(order, self._stp_mode)
        return self.request(
            "order.place", params, request_id, stamp_ms, WEIGHT["order.place"], Lane.NEW, logged_on=logged_on
        )

    def _tail(self, order: NewOrder) -> str | None:
        """The constant end of the frame, or None for what the template does not know (or must refuse)."""
        ord_type = order.ord_type
        if ord_type is _LIMIT:
            if order.price is None:
                return None
            time_in_force = order.time_in_force
            if order.exec_inst is _NONE:
                if time_in_force is _GTC:
                    return self._limit_tails[0]
                if time_in_force is _IOC:
                    return self._limit_tails[1]
                if time_in_force is _FOK:
                    return self._limit_tails[2]
            elif order.exec_inst is _POST_ONLY and time_in_force is _GTC:
                return self._maker_tail
        elif ord_type is _MARKET and order.exec_inst is _NONE:
            return self._market_tail
        return None

    def _learn(self, symbol: Symbol) -> tuple[str, str]:
        """The constant beginning of the frame for one symbol, BUY and SELL."""
        name = msgspec.json.encode(symbol).decode()
        middle = f'","method":"order.place","params":{{"symbol":{name},"side":"'
        end = '","newClientOrderId":"'
        heads = (f"{middle}BUY{end}", f"{middle}SELL{end}")
        self._heads[symbol] = heads
        return heads
