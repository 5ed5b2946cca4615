"""Commands as the venue's objects and as frames of the trade socket (reference sections 2.2, 6 and 7).

One object per command serves REST (as the body) and the socket (as the one element of `args`).  The socket is logged on
once; its requests carry a time and no signature.

Position index: 0 in one-way mode.  In hedge mode 1 is the long leg and 2 the short one; which leg an order is meant for
follows from its side and from whether it only reduces: a buy opens long and closes short.

Conditional orders of contracts say which way their trigger waits, and the venue refuses one that has been reached.  On
spot there is no such word: the last price at arrival decides, so a stop whose price has been passed already waits the
other way round.  `reports` reads back what became of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from protocols.enums import CONDITIONAL_TYPES, ExecInst, OrdType, Side, TimeInForce
from protocols.errors import ConfigError, LocalProtocolError
from protocols.ids import ClOrdID, OrderID, Symbol
from protocols.instruments import Product
from protocols.orders import NewOrder
from protocols.venue import Frame, Lane
from protocols.venues.bybit.instruments import ORD_TYPES
from protocols.venues.bybit.limits import BATCH_MAX
from protocols.venues.bybit.waiting import STOP_ORDER, WaitingOrders, bare_id
from protocols.venues.values import amount_text

__all__ = ["SMP_TYPES", "TRIGGERS", "Commands", "Fields", "control_frame", "identity", "lane_of", "trade_frame"]

Fields = dict[str, object]

CATEGORIES = {Product.SPOT: "spot", Product.LINEAR: "linear"}
SMP_TYPES = ("None", "CancelMaker", "CancelTaker", "CancelBoth")
TRIGGERS = ("LastPrice", "IndexPrice", "MarkPrice")
_CL_ORD_ID = re.compile(r"[A-Za-z0-9_-]{1,36}", re.ASCII)
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,36}", re.ASCII)
_ORDER_ID = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)

_SIDES = {Side.BUY: "Buy", Side.SELL: "Sell"}
_MARKET_TYPES = frozenset({OrdType.MARKET, OrdType.STOP, OrdType.TAKE_PROFIT})
_STOPS = frozenset({OrdType.STOP, OrdType.STOP_LIMIT})
_LIFETIMES = {TimeInForce.GTC: "GTC", TimeInForce.IOC: "IOC", TimeInForce.FOK: "FOK"}
_PLACES = 12
"""The finest steps of the venue have 10 decimals."""
_RISES_TO, _FALLS_TO = 1, 2
_NONE, _POST_ONLY, _REDUCE_ONLY, _CLOSE = (
    ExecInst.NONE,
    ExecInst.POST_ONLY,
    ExecInst.REDUCE_ONLY,
    ExecInst.CLOSE_POSITION,
)


class Commands:
    """The commands of one account and product, as objects.  Raises LocalProtocolError naming the field at fault."""

    __slots__ = ("_category", "_hedge_mode", "_product", "_smp_type", "_trigger_by", "waiting")

    def __init__(self, product: Product, *, hedge_mode: bool, smp_type: str | None, trigger_by: str) -> None:
        if product not in CATEGORIES:
            raise ConfigError(f"product was {product.value}, must be SPOT or LINEAR")
        if hedge_mode and product is Product.SPOT:
            raise ConfigError("hedge_mode was set for spot, which has no positions; remove it")
        if smp_type is not None and smp_type not in SMP_TYPES:
            raise ConfigError(f"smp_type was {smp_type!r}, must be one of {', '.join(SMP_TYPES)}")
        if trigger_by not in TRIGGERS:
            raise ConfigError(f"trigger_by was {trigger_by!r}, must be one of {', '.join(TRIGGERS)}")
        self._product = product
        self._category = CATEGORIES[product]
        self._hedge_mode = hedge_mode
        self._smp_type = smp_type
        self._trigger_by = trigger_by
        self.waiting = WaitingOrders()

    def new(self, order: NewOrder) -> Fields:
        """A new order, with its category."""
        return {"category": self._category, **self._order(order)}

    def cancel(self, cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol) -> Fields:
        """A cancel, by the venue's id where it is known (the venue prefers it too)."""
        return {"category": self._category, **self._canceled(cl_ord_id, order_id, symbol)}

    def amend(
        self,
        cl_ord_id: ClOrdID,
        order_id: OrderID | None,
        symbol: Symbol,
        order_qty: Decimal | None,
        price: Decimal | None = None,
        stop_px: Decimal | None = None,
    ) -> Fields:
        """New terms; the quantity is the total, what is filled included.  None leaves a term as it is."""
        fields: Fields = {"category": self._category, "symbol": symbol, **identity(cl_ord_id, order_id)}
        self.waiting.called(cl_ord_id, order_id)
        for name, field, value in (
            ("qty", "order_qty", order_qty),
            ("price", "price", price),
            ("triggerPrice", "stop_px", stop_px),
        ):
            if value is not None:
                fields[name] = amount_text(value, field, _PLACES)
        if len(fields) == 3:
            raise LocalProtocolError("an amend changes nothing; give order_qty, price or stop_px")
        return fields

    def cancel_all(self, symbol: Symbol) -> Fields:
        """All working orders of one symbol."""
        return {"category": self._category, "symbol": symbol}

    def new_batch(self, orders: Sequence[NewOrder]) -> Fields:
        """Several new orders; each succeeds or fails on its own.  On spot none may wait for a trigger."""
        request = [self._order(order) for order in orders]
        if any("orderFilter" in fields for fields in request):
            raise LocalProtocolError("a conditional spot order cannot be part of a batch; place it alone")
        return self._batch(request)

    def cancel_batch(self, orders: Sequence[tuple[ClOrdID, OrderID | None, Symbol]]) -> Fields:
        """Several cancels; each succeeds or fails on its own.  On spot none may be of an order that waits."""
        request = [self._canceled(*named) for named in orders]
        if any("orderFilter" in fields for fields in request):
            raise LocalProtocolError("a waiting spot order cannot be canceled in a batch; cancel it alone")
        return self._batch(request)

    def _canceled(self, cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol) -> Fields:
        fields: Fields = {"symbol": symbol, **identity(cl_ord_id, order_id)}
        word = self.waiting.called(cl_ord_id, order_id)
        return fields | {"orderFilter": word} if word else fields

    def _batch(self, request: Sequence[Fields]) -> Fields:
        most = BATCH_MAX[self._product]
        if not 1 <= len(request) <= most:
            raise LocalProtocolError(f"a batch had {len(request)} members, must have 1 to {most}")
        return {"category": self._category, "request": request}

    def _order(self, order: NewOrder) -> Fields:
        ord_type, product = order.ord_type, self._product
        if ord_type not in ORD_TYPES[product]:
            raise LocalProtocolError(
                f"ord_type was {ord_type.value}, which Bybit {product.value} is not asked for here"
            )
        inst = self._checked(order)
        is_market = ord_type in _MARKET_TYPES
        fields: Fields = {
            "symbol": order.symbol,
            "side": _SIDES[order.side],
            "orderType": "Market" if is_market else "Limit",
            # The whole position, whatever its size, is quantity 0.
            "qty": "0" if inst & _CLOSE else amount_text(order.order_qty, "order_qty", _PLACES),
        }
        if not is_market:
            if order.price is None:
                raise LocalProtocolError(f"price is missing; a {ord_type.value} order needs one")
            fields["price"] = amount_text(order.price, "price", _PLACES)
            fields["timeInForce"] = "PostOnly" if inst & _POST_ONLY else _lifetime(order.time_in_force)
        if product is Product.LINEAR:
            fields["positionIdx"] = self._position_idx(order.side, reduces=bool(inst & (_REDUCE_ONLY | _CLOSE)))
        elif is_market:
            fields["marketUnit"] = "baseCoin"  # else a market buy would be counted in quote
        fields["orderLinkId"] = legal_cl_ord_id(order.cl_ord_id)
        if inst & (_REDUCE_ONLY | _CLOSE):
            fields["reduceOnly"] = True
        if inst & _CLOSE:
            fields["closeOnTrigger"] = True
        if ord_type in CONDITIONAL_TYPES:
            if order.stop_px is None:
                raise LocalProtocolError(f"stop_px is missing; a {ord_type.value} order needs one")
            fields["triggerPrice"] = amount_text(order.stop_px, "stop_px", _PLACES)
            if product is Product.SPOT:
                fields["orderFilter"] = STOP_ORDER
                self.waiting.placed(order.cl_ord_id)
            else:
                fields["triggerDirection"] = _direction(ord_type, order.side)
                fields["triggerBy"] = self._trigger_by
        if self._smp_type is not None:
            fields["smpType"] = self._smp_type
        return fields

    def _checked(self, order: NewOrder) -> ExecInst:
        inst = order.exec_inst
        if inst is _NONE:
            return inst
        if self._product is Product.SPOT and inst & (_REDUCE_ONLY | _CLOSE):
            raise LocalProtocolError(f"exec_inst was {inst}, spot has no positions and knows POST_ONLY alone")
        is_market = order.ord_type in _MARKET_TYPES
        if inst & _POST_ONLY and (is_market or order.time_in_force is not TimeInForce.GTC):
            raise LocalProtocolError("POST_ONLY needs a limit order and time_in_force GTC")
        if inst & _CLOSE and not is_market:
            raise LocalProtocolError("CLOSE_POSITION needs a market order")
        return inst

    def _position_idx(self, side: Side, *, reduces: bool) -> int:
        if not self._hedge_mode:
            return 0
        return 1 if (side is Side.BUY) is not reduces else 2


def identity(cl_ord_id: ClOrdID, order_id: OrderID | None) -> Fields:
    """How the venue is told which order is meant."""
    if order_id is not None:
        bare = bare_id(order_id)
        if _ORDER_ID.fullmatch(bare) is None:
            raise LocalProtocolError(f"order_id was {order_id!r}, must be letters, digits or '-'")
        return {"orderId": bare}
    return {"orderLinkId": legal_cl_ord_id(cl_ord_id)}


def legal_cl_ord_id(cl_ord_id: ClOrdID) -> ClOrdID:
    """The id itself.  Raises LocalProtocolError for one that the venue refuses (section 13)."""
    if _CL_ORD_ID.fullmatch(cl_ord_id) is None:
        raise LocalProtocolError(f"cl_ord_id was {cl_ord_id!r}, must be 1 to 36 letters, digits, '-' or '_'")
    return cl_ord_id


def lane_of(order: NewOrder) -> Lane:
    """An order that can only make a position smaller goes before new risk."""
    return Lane.REDUCE if order.exec_inst & (_REDUCE_ONLY | _CLOSE) else Lane.NEW


def _lifetime(time_in_force: TimeInForce) -> str:
    text = _LIFETIMES.get(time_in_force)
    if text is None:
        raise LocalProtocolError(f"time_in_force was {time_in_force.value}, Bybit has GTC, IOC and FOK")
    return text


def _direction(ord_type: OrdType, side: Side) -> int:
    """A stop follows the market (a buy when it rises), taking profit goes against it."""
    return _RISES_TO if (ord_type in _STOPS) is (side is Side.BUY) else _FALLS_TO


# ---- frames ----------------------------------------------------------------------------------------------------


def trade_frame(op: str, argument: Fields, request_id: str, stamp_ms: int, recv_window: str, lane: Lane) -> Frame:
    """One request of the trade socket.  Without `reqId` its answer could not be matched."""
    body = {
        "reqId": legal_request_id(request_id),
        "header": {"X-BAPI-TIMESTAMP": str(stamp_ms), "X-BAPI-RECV-WINDOW": recv_window},
        "op": op,
        "args": (argument,),
    }
    return Frame(msgspec.json.encode(body).decode(), request_id, 0, lane)


def control_frame(op: str, args: Sequence[str | int], request_id: str) -> Frame:
    """`auth`, `subscribe`, `unsubscribe` or `ping`; public and private sockets call the id `req_id`, trade `reqId`."""
    body: Fields = {"req_id": legal_request_id(request_id), "op": op}
    if args:
        body["args"] = args
    if op in ("auth", "ping"):
        body["reqId"] = request_id
    return Frame(msgspec.json.encode(body).decode(), request_id, 0, Lane.QUERY)


def legal_request_id(request_id: str) -> str:
    """The id itself.  Raises LocalProtocolError for one that the venue refuses (section 7)."""
    if _REQUEST_ID.fullmatch(request_id) is None:
        raise LocalProtocolError(f"request_id was {request_id!r}, must be 1 to 36 letters, digits, '-' or '_'")
    return request_id
