"""Commands as parameters (reference sections 5 and 9), and subscriptions as frames (section 6.1).

Orders go by REST alone.  What the venue has no word for raises LocalProtocolError before anything is signed:

* a market order *buys* for an amount of quote and *sells* a quantity of base; a NewOrder says a quantity, so MARKET is
  for SELL only, and a buy that must fill at once is a LIMIT with IOC;
* no stop, take-profit, reduce-only, close-position, DAY or GTD order, and no amendment.

Self-trade prevention is stated with every order, because what the venue does when it is not has changed before
(2026-11-09); a post-only order leaves it out, because the two exclude each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from protocols.enums import ExecInst, OrdType, Side, TimeInForce
from protocols.errors import LocalProtocolError
from protocols.ids import ClOrdID, OrderID, Symbol
from protocols.orders import NewOrder
from protocols.venue import Channel, Frame, Lane
from protocols.venues.upbit.requests import Pairs, legal_code
from protocols.venues.values import amount_text

__all__ = [
    "CANCEL_ALL_MAX",
    "CANCEL_BATCH_MAX",
    "SMP_TYPES",
    "cancel_all_pairs",
    "cancel_batch_pairs",
    "identity",
    "list_frame",
    "order_pairs",
    "private_frame",
    "replace_pairs",
    "stream_frame",
]

SMP_TYPES = ("none", "cancel_maker", "cancel_taker", "reduce")
CANCEL_BATCH_MAX = 20
CANCEL_ALL_MAX = 300

_TYPES = {
    Channel.TRADES: "trade",
    Channel.BOOK: "orderbook",
    Channel.TICKER: "ticker",
    Channel.CANDLES_1S: "candle.1s",
    Channel.CANDLES_1M: "candle.1m",
    Channel.CANDLES_3M: "candle.3m",
    Channel.CANDLES_5M: "candle.5m",
    Channel.CANDLES_10M: "candle.10m",
    Channel.CANDLES_15M: "candle.15m",
    Channel.CANDLES_30M: "candle.30m",
    Channel.CANDLES_1H: "candle.60m",
    Channel.CANDLES_4H: "candle.240m",
}
CHANNELS = frozenset(_TYPES)
_NEW_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}", re.ASCII)
_KNOWN_ID = re.compile(r"[!-~]{1,64}", re.ASCII)
_TIMES_IN_FORCE = {TimeInForce.GTC: None, TimeInForce.IOC: "ioc", TimeInForce.FOK: "fok"}


# ---- orders ----------------------------------------------------------------------------------------------------


def order_pairs(order: NewOrder, smp_type: str) -> Pairs:
    """The parameters of a new order.  Raises LocalProtocolError naming the field that the venue could not take."""
    ord_type, time_in_force, post_only = _kind(order)
    pairs = [
        ("market", str(legal_code(order.symbol))),
        ("side", "bid" if order.side is Side.BUY else "ask"),
        ("ord_type", ord_type),
        ("volume", amount_text(order.order_qty, "order_qty")),
    ]
    if ord_type == "limit":
        pairs.append(("price", amount_text(_price(order), "price")))
    if time_in_force is not None:
        pairs.append(("time_in_force", time_in_force))
    if not post_only:
        pairs.append(("smp_type", smp_type))
    pairs.append(("identifier", legal_cl_ord_id(order.cl_ord_id)))
    return pairs


def replace_pairs(cl_ord_id: ClOrdID, order_id: OrderID | None, new: NewOrder, smp_type: str) -> Pairs:
    """Cancel one order and place `new` once it is gone: same market, same side, at the end of the queue."""
    ord_type, time_in_force, post_only = _kind(new)
    name, value = identity(cl_ord_id, order_id)
    pairs = [
        ("prev_order_uuid" if name == "uuid" else "prev_order_identifier", value),
        ("new_ord_type", ord_type),
        ("new_volume", amount_text(new.order_qty, "order_qty")),
    ]
    if ord_type == "limit":
        pairs.append(("new_price", amount_text(_price(new), "price")))
    if time_in_force is not None:
        pairs.append(("new_time_in_force", time_in_force))
    if not post_only:
        pairs.append(("new_smp_type", smp_type))
    pairs.append(("new_identifier", legal_cl_ord_id(new.cl_ord_id)))
    return pairs


def identity(cl_ord_id: ClOrdID, order_id: OrderID | None) -> tuple[str, str]:
    """How an order is named to the venue: by its own id where that is known."""
    if order_id is not None:
        if _KNOWN_ID.fullmatch(order_id) is None:
            raise LocalProtocolError(f"order_id was {order_id!r}, must be 1 to 64 printable characters")
        return "uuid", str(order_id)
    if _KNOWN_ID.fullmatch(cl_ord_id) is None:
        raise LocalProtocolError(f"cl_ord_id was {cl_ord_id!r}, must be 1 to 64 printable characters")
    return "identifier", str(cl_ord_id)


def cancel_batch_pairs(orders: Sequence[tuple[ClOrdID, OrderID | None, Symbol]]) -> Pairs:
    """Up to 20 orders, all by the venue's ids or all by ours: the venue takes one kind in a request."""
    if not 1 <= len(orders) <= CANCEL_BATCH_MAX:
        raise LocalProtocolError(f"{len(orders)} orders to cancel, must be 1 to {CANCEL_BATCH_MAX} in one request")
    by_venue_id = all(order_id is not None for _, order_id, _ in orders)
    name = "uuids[]" if by_venue_id else "identifiers[]"
    return [(name, identity(cl_ord_id, order_id if by_venue_id else None)[1]) for cl_ord_id, order_id, _ in orders]


def cancel_all_pairs(symbol: Symbol | None) -> Pairs:
    """As many as one request takes; the venue's own default is 20."""
    pairs = [("cancel_side", "all")]
    if symbol is not None:
        pairs.append(("pairs", str(legal_code(symbol))))
    pairs.append(("count", str(CANCEL_ALL_MAX)))
    return pairs


def legal_cl_ord_id(cl_ord_id: ClOrdID) -> str:
    """The id of a new order; the venue forbids to use one twice, whatever became of the first."""
    if _NEW_ID.fullmatch(cl_ord_id) is None:
        raise LocalProtocolError(f"cl_ord_id was {cl_ord_id!r}, must be 1 to 64 letters, digits, '-' or '_'")
    return cl_ord_id


def _kind(order: NewOrder) -> tuple[str, str | None, bool]:
    """The venue's order type and lifetime, and whether the order is post-only."""
    if order.time_in_force not in _TIMES_IN_FORCE:
        raise LocalProtocolError(f"time_in_force was {order.time_in_force.value}, Upbit has GTC, IOC and FOK")
    time_in_force = _TIMES_IN_FORCE[order.time_in_force]
    if order.exec_inst not in (ExecInst.NONE, ExecInst.POST_ONLY):
        raise LocalProtocolError(f"exec_inst was {order.exec_inst}, Upbit knows POST_ONLY alone")
    post_only = order.exec_inst is ExecInst.POST_ONLY
    if order.ord_type is OrdType.LIMIT:
        if post_only and time_in_force is not None:
            raise LocalProtocolError("POST_ONLY needs time_in_force GTC")
        return "limit", "post_only" if post_only else time_in_force, post_only
    if order.ord_type is not OrdType.MARKET:
        raise LocalProtocolError(f"ord_type was {order.ord_type.value}, Upbit has LIMIT and MARKET")
    if post_only or order.time_in_force is TimeInForce.FOK:
        raise LocalProtocolError("a MARKET order is neither POST_ONLY nor FOK on Upbit; use a LIMIT order")
    if order.side is Side.BUY:
        raise LocalProtocolError(
            "a MARKET BUY spends an amount of quote on Upbit and cannot buy a quantity; use LIMIT with IOC"
        )
    return "market", None, False


def _price(order: NewOrder) -> Decimal:
    if order.price is None:
        raise LocalProtocolError(f"price is missing; a {order.ord_type.value} order needs one")
    return order.price


# ---- subscriptions ---------------------------------------------------------------------------------------------


def stream_frame(wanted: Iterable[tuple[Channel, Symbol]], request_id: int) -> Frame | None:
    """The whole set in one frame, which replaces whatever the connection had; None for an empty set, which no frame
    can say.

    Books begin with a picture; trades without one, because the trade in it is old and was counted when it happened.
    """
    codes: dict[str, dict[Symbol, None]] = {}
    for channel, symbol in wanted:
        kind = _TYPES.get(channel)
        if kind is None:
            raise LocalProtocolError(f"channel was {channel.value}, Upbit has {', '.join(one.value for one in _TYPES)}")
        codes.setdefault(kind, {})[legal_code(symbol)] = None
    if not codes:
        return None
    types: list[dict[str, object]] = []
    for kind, symbols in codes.items():
        one: dict[str, object] = {"type": kind, "codes": list(symbols)}
        if kind == "trade":
            one["is_only_realtime"] = True
        types.append(one)
    return _frame([{"ticket": f"bh-{request_id}"}, *types, {"format": "DEFAULT"}], "")


def private_frame(request_id: str) -> Frame:
    """Orders and balances of all markets; `myAsset` must not name any."""
    return _frame([{"ticket": request_id}, {"type": "myOrder"}, {"type": "myAsset"}, {"format": "DEFAULT"}], "")


def list_frame(request_id: str) -> Frame:
    """What is subscribed?  The answer repeats the ticket."""
    return _frame([{"ticket": request_id}, {"method": "LIST_SUBSCRIPTIONS"}], request_id)


def _frame(body: list[dict[str, object]], request_id: str) -> Frame:
    return Frame(msgspec.json.encode(body).decode(), request_id, 0, Lane.QUERY)
