"""Commands as WebSocket API frames (reference sections 7 to 10).

One table of parameters per command (`*_params`) serves the WebSocket and REST.  Plain orders on a logged-on session are
written by a template: the table's constant part is encoded once per kind of order, the rest is filled in.
`tests/protocols/binance_usdm/test_encode.py` holds template and table against each other.

Two kinds of orders live in two id spaces.  *Plain* orders (LIMIT, MARKET) go to the engine; *conditional* ones wait in
the algo service and bear `ALGO_PREFIX` before the venue's id, so that a cancel or a query knows where to go.  Without
the venue's id one must ask at both: `ALGO_NAME` before our id means the algo service.

Hedge mode: REDUCE_ONLY is not sent but said by the position side, which is the side of the order when it opens and the
other one when it reduces.
"""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec

from protocols.enums import ExecInst, OrdType, Side, TimeInForce
from protocols.errors import LocalProtocolError
from protocols.ids import ClOrdID, OrderID, Symbol
from protocols.orders import NewOrder
from protocols.venue import Frame, Lane, Signer
from protocols.venues.binance_common.frames import ApiFrames, legal_request_id
from protocols.venues.binance_usdm.limits import WEIGHT
from protocols.venues.binance_usdm.requests import Params, order_id_number
from protocols.venues.values import amount_text

__all__ = [
    "ALGO_NAME",
    "ALGO_PREFIX",
    "STP_MODES",
    "WORKING_TYPES",
    "FrameEncoder",
    "OrderSettings",
    "algo_params",
    "amend_params",
    "identity",
    "is_algo",
    "is_conditional",
    "lane_of",
    "order_params",
]

STP_MODES = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH")
WORKING_TYPES = ("CONTRACT_PRICE", "MARK_PRICE")
ALGO_PREFIX = "A"
"""Begins our text of a conditional order's id, which is a number at the venue."""
ALGO_NAME = "algo#"
"""Begins a client id that is to be looked for in the algo service; `#` is legal in no client id."""
RESERVED = ("autoclose-", "adl_autoclose", "settlement_autoclose-")
"""The venue's own orders: liquidation, auto-deleveraging, delisting or delivery."""

_CL_ORD_ID = re.compile(r"[a-zA-Z0-9_-]{1,36}", re.ASCII)
"""For new orders: what all products of the venue take."""
_VENUE_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}", re.ASCII)
"""For orders that exist, perhaps somebody else's."""
_INTEGERS = frozenset({"orderId", "algoId", "modifyId"})

_PLAIN = {OrdType.LIMIT: "LIMIT", OrdType.MARKET: "MARKET"}
_CONDITIONAL = {
    OrdType.STOP: "STOP_MARKET",
    OrdType.STOP_LIMIT: "STOP",
    OrdType.TAKE_PROFIT: "TAKE_PROFIT_MARKET",
    OrdType.TAKE_PROFIT_LIMIT: "TAKE_PROFIT",
}
_PRICED = frozenset({OrdType.LIMIT, OrdType.STOP_LIMIT, OrdType.TAKE_PROFIT_LIMIT})
_LIMIT, _MARKET = OrdType.LIMIT, OrdType.MARKET
_GTC = TimeInForce.GTC
_TIMES_IN_FORCE = (TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK)
_POST_ONLY, _REDUCE_ONLY, _CLOSE_POSITION = ExecInst.POST_ONLY, ExecInst.REDUCE_ONLY, ExecInst.CLOSE_POSITION


class OrderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What an account says with every order."""

    stp_mode: str = "EXPIRE_MAKER"
    working_type: str = "CONTRACT_PRICE"
    """The price that triggers a conditional order."""
    hedge_mode: bool = False


# ---- parameters ------------------------------------------------------------------------------------------------


def order_params(order: NewOrder, settings: OrderSettings) -> Params:
    """The parameters of a plain order.  Raises LocalProtocolError naming the field that the venue could not take."""
    fixed = _plain_params(order, settings)
    params = [*fixed, ("newClientOrderId", legal_cl_ord_id(order.cl_ord_id)), _quantity(order)]
    if order.ord_type in _PRICED:
        params.append(_price(order))
    return params


def algo_params(order: NewOrder, settings: OrderSettings) -> Params:
    """The parameters of a conditional order, which since December 2025 the algo service alone takes."""
    params = [
        ("algoType", "CONDITIONAL"),
        ("symbol", order.symbol),
        ("side", order.side.value),
        ("positionSide", _position_side(order, settings)),
        ("type", _CONDITIONAL[order.ord_type]),
        ("clientAlgoId", legal_cl_ord_id(order.cl_ord_id)),
    ]
    if _CLOSE_POSITION in order.exec_inst:
        if order.ord_type in _PRICED:
            raise LocalProtocolError(
                f"exec_inst CLOSE_POSITION needs ord_type STOP or TAKE_PROFIT, was {order.ord_type}"
            )
        params.append(("closePosition", "true"))
    else:
        params.append(_quantity(order))
        if _REDUCE_ONLY in order.exec_inst and not settings.hedge_mode:
            params.append(("reduceOnly", "true"))
    if order.stop_px is None:
        raise LocalProtocolError(f"stop_px is missing; a {order.ord_type.value} order needs one")
    params.append(("triggerPrice", amount_text(order.stop_px, "stop_px")))
    if order.ord_type in _PRICED:
        params += [_price(order), ("timeInForce", _time_in_force(order))]
    elif _POST_ONLY in order.exec_inst:
        raise LocalProtocolError(f"exec_inst POST_ONLY needs an ord_type with a price, was {order.ord_type.value}")
    params += [("workingType", settings.working_type), ("selfTradePreventionMode", settings.stp_mode)]
    return params


def amend_params(
    cl_ord_id: ClOrdID,
    order_id: OrderID | None,
    symbol: Symbol,
    side: Side,
    order_qty: Decimal,
    price: Decimal,
    modify_id: int,
) -> Params:
    """A LIMIT order's terms anew; `order_qty` is the new total.  It loses its place in the queue."""
    if is_algo(cl_ord_id, order_id):
        raise LocalProtocolError("a conditional order cannot be amended; cancel it and place another")
    return [
        ("symbol", str(symbol)),
        *identity(cl_ord_id, order_id),
        ("side", side.value),
        ("quantity", amount_text(order_qty, "order_qty")),
        ("price", amount_text(price, "price")),
        ("modifyId", str(modify_id)),
    ]


def is_conditional(order: NewOrder) -> bool:
    """Whether an order goes to the algo service."""
    return order.ord_type in _CONDITIONAL


def is_algo(cl_ord_id: ClOrdID, order_id: OrderID | None) -> bool:
    """Whether these ids lead to the algo service."""
    return cl_ord_id.startswith(ALGO_NAME) if order_id is None else order_id.startswith(ALGO_PREFIX)


def identity(cl_ord_id: ClOrdID, order_id: OrderID | None) -> Params:
    """The parameter that names an existing order: by the venue's id where it is known, else by ours."""
    if is_algo(cl_ord_id, order_id):
        if order_id is not None:
            return [("algoId", order_id_number(OrderID(order_id.removeprefix(ALGO_PREFIX))))]
        return [("clientAlgoId", existing_id(ClOrdID(cl_ord_id.removeprefix(ALGO_NAME))))]
    if order_id is not None:
        return [("orderId", order_id_number(order_id))]
    return [("origClientOrderId", existing_id(cl_ord_id))]


def legal_cl_ord_id(cl_ord_id: ClOrdID) -> ClOrdID:
    """The id itself.  Raises LocalProtocolError for one that a new order must not bear."""
    if _CL_ORD_ID.fullmatch(cl_ord_id) is None:
        raise LocalProtocolError(f"cl_ord_id was {cl_ord_id!r}, must be 1 to 36 letters, digits, '-' or '_'")
    if cl_ord_id.startswith(RESERVED):
        raise LocalProtocolError(f"cl_ord_id was {cl_ord_id!r}, which the venue keeps for orders of its own")
    return cl_ord_id


def existing_id(cl_ord_id: ClOrdID) -> ClOrdID:
    """The id itself.  Raises LocalProtocolError for one that no order of the venue can bear."""
    if _VENUE_ID.fullmatch(cl_ord_id) is None:
        raise LocalProtocolError(f"cl_ord_id was {cl_ord_id!r}, must be 1 to 36 letters, digits or any of '.:/_-'")
    return cl_ord_id


def _plain_params(order: NewOrder, settings: OrderSettings) -> list[tuple[str, str]]:
    """What all orders of one kind have in common: everything but id and numbers."""
    venue_type = _PLAIN.get(order.ord_type)
    if venue_type is None:
        raise LocalProtocolError(f"ord_type was {order.ord_type.value}, which this venue cannot be asked for here")
    if _CLOSE_POSITION in order.exec_inst:
        raise LocalProtocolError(
            "exec_inst CLOSE_POSITION needs ord_type STOP or TAKE_PROFIT; reduce by quantity instead"
        )
    params = [
        ("symbol", str(order.symbol)),
        ("side", order.side.value),
        ("positionSide", _position_side(order, settings)),
        ("type", venue_type),
    ]
    if order.ord_type is _LIMIT:
        params.append(("timeInForce", _time_in_force(order)))
    elif _POST_ONLY in order.exec_inst:
        raise LocalProtocolError("exec_inst POST_ONLY needs ord_type LIMIT")
    if _REDUCE_ONLY in order.exec_inst and not settings.hedge_mode:
        params.append(("reduceOnly", "true"))
    params += [("newOrderRespType", "RESULT"), ("selfTradePreventionMode", settings.stp_mode)]
    return params


def _position_side(order: NewOrder, settings: OrderSettings) -> str:
    if not settings.hedge_mode:
        return "BOTH"
    reduces = bool(order.exec_inst & (_REDUCE_ONLY | _CLOSE_POSITION))
    return "LONG" if (order.side is Side.BUY) is not reduces else "SHORT"


def _time_in_force(order: NewOrder) -> str:
    time_in_force = order.time_in_force
    if time_in_force not in _TIMES_IN_FORCE:
        raise LocalProtocolError(f"time_in_force was {time_in_force.value}, must be GTC, IOC or FOK")
    if _POST_ONLY in order.exec_inst:
        if time_in_force is not _GTC:
            raise LocalProtocolError(f"exec_inst POST_ONLY needs time_in_force GTC, was {time_in_force.value}")
        return "GTX"
    return time_in_force.value


def _quantity(order: NewOrder) -> tuple[str, str]:
    return "quantity", amount_text(order.order_qty, "order_qty")


def _price(order: NewOrder) -> tuple[str, str]:
    if order.price is None:
        raise LocalProtocolError(f"price is missing; a {order.ord_type.value} order needs one")
    return "price", amount_text(order.price, "price")


# ---- frames ----------------------------------------------------------------------------------------------------

_Kind = tuple[Symbol, Side, OrdType, TimeInForce, ExecInst]


class FrameEncoder(ApiFrames):
    """Writes the frames of one account's WebSocket API connections."""

    __slots__ = ("_heads", "_settings", "_window")

    def __init__(self, signer: Signer, recv_window_ms: int, settings: OrderSettings) -> None:
        super().__init__(signer, recv_window_ms, _INTEGERS)
        self._settings = settings
        self._heads: dict[_Kind, str] = {}
        self._window = f'","recvWindow":{recv_window_ms},"timestamp":'

    def new_order(self, order: NewOrder, request_id: str, stamp_ms: int, *, logged_on: bool) -> Frame:
        """`order.place`, or `algoOrder.place` for a conditional order."""
        ord_type = order.ord_type
        if ord_type in _CONDITIONAL:
            method, params = "algoOrder.place", algo_params(order, self._settings)
        elif logged_on:
            return self._from_template(order, request_id, stamp_ms)
        else:
            method, params = "order.place", order_params(order, self._settings)
        weight = WEIGHT["order.place"]
        return self.request(method, params, request_id, stamp_ms, weight, lane_of(order), logged_on=logged_on)

    def _from_template(self, order: NewOrder, request_id: str, stamp_ms: int) -> Frame:
        kind = (order.symbol, order.side, order.ord_type, order.time_in_force, order.exec_inst)
        head = self._heads.get(kind) or self._learn(kind, order)
        cl_ord_id = order.cl_ord_id
        if not (cl_ord_id.isalnum() and cl_ord_id.isascii() and len(cl_ord_id) <= 36):
            legal_cl_ord_id(cl_ord_id)
        if not (request_id.isalnum() and request_id.isascii()):
            legal_request_id(request_id)
        numbers = amount_text(order.order_qty, "order_qty")
        if order.ord_type is _LIMIT:
            numbers = f'{numbers}","price":"{_price(order)[1]}'
        text = f'{{"id":"{request_id}{head}{cl_ord_id}","quantity":"{numbers}{self._window}{stamp_ms}}}}}'
        return Frame(text, request_id, 0, lane_of(order))

    def _learn(self, kind: _Kind, order: NewOrder) -> str:
        """The constant part of the frame, up to the client order id."""
        fixed = msgspec.json.encode(dict(_plain_params(order, self._settings))).decode()
        head = f'","method":"order.place","params":{fixed[:-1]},"newClientOrderId":"'
        self._heads[kind] = head
        return head


def lane_of(order: NewOrder) -> Lane:
    """Orders that can only reduce go before orders that may open."""
    return Lane.REDUCE if order.exec_inst & (_REDUCE_ONLY | _CLOSE_POSITION) else Lane.NEW
