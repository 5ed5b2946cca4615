"""Commands as fields and as WebSocket frames (reference sections 2.2, 2.4, 5, 6, 7, 8 and 13).

One table of fields per command serves WebSocket and REST; the two differ in how they name the instrument: REST by
`instId`, the WebSocket by `instIdCode`, a number that the instrument list tells and that demo and production do not
share.  A symbol without a known number is refused here, before it is sent.

Amounts are JSON strings.  Place and amend bear `expTime`, after which the venue discards them; cancels cannot.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import msgspec

from protocols.enums import ExecInst, OrdType, Side, TimeInForce
from protocols.errors import ConfigError, LocalProtocolError
from protocols.ids import ClOrdID, OrderID, Symbol
from protocols.instruments import Instrument, Product
from protocols.orders import NewOrder
from protocols.venue import Frame, Lane
from protocols.venues.okx.limits import BATCH_MAX
from protocols.venues.values import amount_text

__all__ = [
    "LOGIN_ID",
    "PLACES",
    "STP_MODES",
    "TRADE_MODES",
    "InstrumentCodes",
    "OrderRules",
    "PendingAcks",
    "amend_fields",
    "cancel_fields",
    "check_batch",
    "op_frame",
    "topic_frames",
]

Fields = dict[str, str | int | bool]

STP_MODES = ("cancel_maker", "cancel_taker", "cancel_both")
TRADE_MODES: Mapping[Product, tuple[str, ...]] = {
    Product.SPOT: ("cash", "cross", "isolated"),
    Product.LINEAR: ("cross", "isolated"),
}
"""What `tdMode` may be, the default first; which one is right follows from the account's mode (section 5.1)."""

LOGIN_ID = "login"
"""Stands for the number that the venue does not repeat in the answer to a login."""
PLACES = 18
TOPICS_PER_FRAME = 400
"""A subscribe frame may have 64 KB and a topic takes some 60 bytes; 480 such requests an hour are allowed."""
_PENDING_MAX = 64

_NAME = re.compile(r"[A-Za-z0-9]{1,32}", re.ASCII)
_REQUEST_ID = re.compile(r"[A-Za-z0-9]{1,32}", re.ASCII)
_NONE, _POST_ONLY, _REDUCE_ONLY = ExecInst.NONE, ExecInst.POST_ONLY, ExecInst.REDUCE_ONLY
_LIFETIMES = {TimeInForce.GTC: "limit", TimeInForce.IOC: "ioc", TimeInForce.FOK: "fok"}


# ---- fields ----------------------------------------------------------------------------------------------------


class OrderRules:
    """How new orders of one account and product are written.

    `hedged`: the account is in long_short_mode, where every order names its leg.  A reduce-only order then closes the
    opposite leg, any other opens its own.
    """

    __slots__ = ("_hedged", "_product", "_stp_mode", "_trade_mode")

    def __init__(self, product: Product, trade_mode: str, stp_mode: str, *, hedged: bool) -> None:
        if trade_mode not in TRADE_MODES[product]:
            raise ConfigError(f"trade_mode was {trade_mode!r}, must be one of {', '.join(TRADE_MODES[product])}")
        if stp_mode not in STP_MODES:
            raise ConfigError(f"stp_mode was {stp_mode!r}, must be one of {', '.join(STP_MODES)}")
        if hedged and product is Product.SPOT:
            raise ConfigError("hedged was true; spot has no position sides")
        self._product = product
        self._trade_mode = trade_mode
        self._stp_mode = stp_mode
        self._hedged = hedged

    def fields(self, order: NewOrder) -> Fields:
        """All but the instrument.  Raises LocalProtocolError naming the field that the venue could not take."""
        spot = self._product is Product.SPOT
        ord_type = self._ord_type(order)
        fields: Fields = {
            **self.position_fields(order),
            "ordType": ord_type,
            "sz": amount_text(order.order_qty, "order_qty", PLACES),
            "clOrdId": legal_cl_ord_id(order.cl_ord_id),
            "stpMode": self._stp_mode,
        }
        if ord_type != "market":
            if order.price is None:
                raise LocalProtocolError("price is missing; a LIMIT order needs one")
            fields["px"] = amount_text(order.price, "price", PLACES)
        elif spot:
            # Without these a buy counts quote money, and the venue shrinks what the balance does not cover.
            fields["tgtCcy"] = "base_ccy"
            fields["banAmend"] = True
        return fields

    def position_fields(self, order: NewOrder) -> Fields:
        """Margin mode, side and leg: what every kind of order has to say."""
        fields: Fields = {"tdMode": self._trade_mode, "side": "buy" if order.side is Side.BUY else "sell"}
        reduces = bool(order.exec_inst & _REDUCE_ONLY)
        if self._hedged:
            fields["posSide"] = "long" if (order.side is Side.BUY) is not reduces else "short"
        elif reduces:
            fields["reduceOnly"] = True
        return fields

    def _ord_type(self, order: NewOrder) -> str:
        exec_inst = order.exec_inst
        if exec_inst & _REDUCE_ONLY and self._product is Product.SPOT:
            raise LocalProtocolError("exec_inst was REDUCE_ONLY, which spot does not have")
        rest = exec_inst & ~_REDUCE_ONLY
        if rest not in (_NONE, _POST_ONLY):
            raise LocalProtocolError(f"exec_inst was {exec_inst}, OKX knows POST_ONLY and REDUCE_ONLY")
        if order.ord_type is OrdType.MARKET:
            if rest is not _NONE:
                raise LocalProtocolError("POST_ONLY needs ord_type LIMIT and time_in_force GTC")
            return "market"
        if order.ord_type is not OrdType.LIMIT:
            raise LocalProtocolError(f"ord_type was {order.ord_type.value}; here that is no order of the engine's")
        lifetime = _LIFETIMES.get(order.time_in_force)
        if lifetime is None:
            raise LocalProtocolError(f"time_in_force was {order.time_in_force.value}, OKX has GTC, IOC and FOK")
        if rest is _POST_ONLY:
            if lifetime != "limit":
                raise LocalProtocolError("POST_ONLY needs ord_type LIMIT and time_in_force GTC")
            return "post_only"
        if lifetime == "fok" and self._stp_mode == "cancel_both":
            raise LocalProtocolError("time_in_force was FOK, which OKX does not combine with stp_mode cancel_both")
        return lifetime


def cancel_fields(cl_ord_id: ClOrdID, order_id: OrderID | None) -> Fields:
    """By the venue's id where it is known, which wins anyway; else by ours."""
    if order_id is not None:
        return {"ordId": order_id_number(order_id)}
    return {"clOrdId": legal_cl_ord_id(cl_ord_id)}


def amend_fields(
    cl_ord_id: ClOrdID, order_id: OrderID | None, order_qty: Decimal, request_id: str, price: Decimal | None = None
) -> Fields:
    """A new total quantity, filled part included, and perhaps price.  Should it fail later, the order keeps its terms.

    The venue's terms are of the order, whatever its side is, so no side is said.
    """
    fields = cancel_fields(cl_ord_id, order_id)
    fields |= {"newSz": amount_text(order_qty, "order_qty", PLACES), "cxlOnFail": False}
    if price is not None:
        fields["newPx"] = amount_text(price, "price", PLACES)
    if request_id:
        fields["reqId"] = request_id
    return fields


def legal_cl_ord_id(cl_ord_id: ClOrdID) -> ClOrdID:
    """The id itself.  Raises LocalProtocolError for one that the venue refuses (section 13)."""
    if _NAME.fullmatch(cl_ord_id) is None:
        raise LocalProtocolError(f"cl_ord_id was {cl_ord_id!r}, must be 1 to 32 letters and digits")
    return cl_ord_id


def order_id_number(order_id: OrderID) -> str:
    """The venue's order id, which is a number in text.  Raises LocalProtocolError for anything else."""
    if not (order_id.isascii() and order_id.isdigit()):
        raise LocalProtocolError(f"order_id was {order_id!r}, must be a number")
    return order_id


def check_batch(size: int) -> None:
    """Raises LocalProtocolError for a batch that the venue does not take."""
    if not 1 <= size <= BATCH_MAX:
        raise LocalProtocolError(f"a batch had {size} orders, must have 1 to {BATCH_MAX}")


class InstrumentCodes:
    """The numbers by which order requests on a WebSocket name instruments, of one environment."""

    __slots__ = ("_codes",)

    def __init__(self, codes: Mapping[Symbol, int]) -> None:
        self._codes: dict[Symbol, int] = {}
        for symbol, code in codes.items():
            self._set(symbol, code)

    def learn(self, instruments: Iterable[Instrument]) -> None:
        """Take over what an instrument list says; rows without a number leave what is known."""
        for instrument in instruments:
            if instrument.venue_code:
                self._set(instrument.symbol, instrument.venue_code)

    def __getitem__(self, symbol: Symbol) -> int:
        """Raises LocalProtocolError when the number is not known."""
        code = self._codes.get(symbol)
        if code is None:
            raise LocalProtocolError(
                f"symbol was {symbol!r}, whose instIdCode is not known; load the instruments first"
            )
        return code

    def _set(self, symbol: Symbol, code: int) -> None:
        if code <= 0:
            raise ConfigError(f"instIdCode of {symbol} was {code}, must be positive")
        self._codes[symbol] = code


# ---- frames ----------------------------------------------------------------------------------------------------


def op_frame(op: str, args: Sequence[Mapping[str, object]], request_id: str, lane: Lane, exp_time_ms: int = 0) -> Frame:
    """One order request."""
    body: dict[str, object] = {"id": legal_request_id(request_id), "op": op, "args": args}
    if exp_time_ms:
        body["expTime"] = str(exp_time_ms)
    return Frame(msgspec.json.encode(body).decode(), request_id, 0, lane)


def topic_frames(op: str, topics: Sequence[Mapping[str, str]], request_id: int, acks: PendingAcks) -> Sequence[Frame]:
    """Many topics a frame, because the venue counts frames; the n-th has the id `request_id + n`."""
    frames = []
    for number, start in enumerate(range(0, len(topics), TOPICS_PER_FRAME), request_id):
        part = topics[start : start + TOPICS_PER_FRAME]
        acks.expect(str(number), len(part))
        body = {"id": str(number), "op": op, "args": part}
        frames.append(Frame(msgspec.json.encode(body).decode(), str(number), 0, Lane.QUERY))
    return frames


def legal_request_id(request_id: str) -> str:
    """The id itself.  Raises LocalProtocolError for one that the venue refuses."""
    if _REQUEST_ID.fullmatch(request_id) is None:
        raise LocalProtocolError(f"request_id was {request_id!r}, must be 1 to 32 letters and digits")
    return request_id


class PendingAcks:
    """How many topics of a subscription are not confirmed yet.

    The venue confirms topic by topic, all with the id of the frame; who sent the frame wants to hear once, when all
    of it holds.  The oldest entries go when there are too many: those of connections that broke meanwhile.
    """

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left: dict[str, int] = {}

    def expect(self, request_id: str, topics: int) -> None:
        """A frame with so many topics is about to be sent."""
        if len(self._left) >= _PENDING_MAX:
            del self._left[next(iter(self._left))]
        self._left[request_id] = topics

    def confirmed(self, request_id: str) -> bool:
        """One more topic; True when that was the last, or nothing is known of such a frame."""
        left = self._left.pop(request_id, 1) - 1
        if left > 0:
            self._left[request_id] = left
            return False
        return True

    def refused(self, request_id: str) -> None:
        """The frame failed."""
        self._left.pop(request_id, None)
