"""Reading a new order out of a request (section 7): what it must have, may have and must not have."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from tools.simulator.core import matching
from tools.simulator.core.accounts import Account
from tools.simulator.core.clock import MS
from tools.simulator.core.market import Market
from tools.simulator.core.model import (
    Order,
    OrdType,
    PositionSide,
    Reject,
    RejectReason,
    Side,
    StpMode,
    TimeInForce,
)
from tools.simulator.dialects.binance_common.errors import VenueError, missing, not_required
from tools.simulator.dialects.binance_common.params import IdRule, Params
from tools.simulator.dialects.binance_usdm import errors
from tools.simulator.dialects.binance_usdm.symbols import ORDER_TYPES, SymbolInfo

if TYPE_CHECKING:
    from tools.simulator.dialects.binance_usdm.venue import BinanceUsdm

CONDITIONAL_TYPES = frozenset(ORDER_TYPES) - {"LIMIT", "MARKET"}
RESPONSES = ("ACK", "RESULT")
GOOD_TILL_AHEAD_MS, GOOD_TILL_MOST_MS = 600_000, 253_402_300_799_000
_LEVELS = {"": 1, "_5": 5, "_10": 10, "_20": 20}
_PRICE_MATCHES = frozenset(kind + level for kind in ("OPPONENT", "QUEUE") for level in _LEVELS)


class UsdmParams(Params):
    """Client ids may hold dots, colons and slashes here."""

    id_rule: ClassVar[IdRule] = IdRule(r"^[\.A-Z\:/a-z0-9_-]{1,36}$", re.compile(r"^[\.A-Z:/a-z0-9_-]{1,36}$"))


class OrderReader:
    """Reads the parts of an order that plain and conditional orders have in common, and then the plain rest."""

    def __init__(self, venue: BinanceUsdm, params: Params, info: SymbolInfo, account: Account) -> None:
        self._venue = venue
        self._params = params
        self._info = info
        self._account = account

    def read(self) -> Order:
        """A plain order. Raises VenueError naming the first parameter that is wrong."""
        params = self._params
        kind = params.require("type")
        if kind in CONDITIONAL_TYPES:
            raise errors.use_algo_service()
        if kind not in ("LIMIT", "MARKET"):
            raise VenueError(-1116, "Invalid orderType.")
        order = self.base("newClientOrderId", OrdType(kind))
        qty = self.quantity()
        if qty is None:
            raise missing("quantity")
        order.order_qty = qty
        self.price(order, wanted=kind == "LIMIT")
        self.lifetime(order, wanted=kind == "LIMIT")
        for ignored in ("closePosition", "priceProtect"):
            if params.boolean(ignored):
                raise not_required(ignored)
        for plain in ("stopPrice", "workingType"):
            params.text(plain)
        return order

    def base(self, id_name: str, ord_type: OrdType) -> Order:
        """Who, which way, under which id."""
        params = self._params
        params.require("side")
        side = params.choice("side", Side, (-1117, "Invalid side."))
        assert side is not None
        order = Order(
            symbol=self._info.spec.symbol,
            account=self._account,
            cl_ord_id=params.client_id(id_name) or self._venue.random_id(),
            side=side,
            ord_type=ord_type,
            stp_mode=self._stp_mode(),
            position_side=self._position_side(),
        )
        reduce_only = params.boolean("reduceOnly")
        if reduce_only and order.position_side is not PositionSide.BOTH:
            raise not_required("reduceonly")
        order.reduce_only = bool(reduce_only)
        return order

    def _position_side(self) -> PositionSide:
        """Hedge mode must name its side, one-way mode must not."""
        side = self._params.choice("positionSide", PositionSide, (-4060, "Invalid position side."))
        if (side in (None, PositionSide.BOTH)) == self._account.hedge:
            raise errors.side_does_not_match()
        return side or PositionSide.BOTH

    def _stp_mode(self) -> StpMode:
        complaint = (-5039, "Invalid self trade prevention mode.")
        mode = self._params.choice("selfTradePreventionMode", StpMode, complaint)
        if mode in (StpMode.DECREMENT, StpMode.TRANSFER):
            raise VenueError(*complaint)
        return mode or StpMode.EXPIRE_MAKER

    def quantity(self) -> Decimal | None:
        return self._params.decimal("quantity", precision=self._info.qty_precision)

    def price(self, order: Order, *, wanted: bool) -> None:
        """A price, or a rule by which the venue takes one from its book."""
        params = self._params
        price = params.decimal("price", precision=self._info.price_precision)
        match = params.text("priceMatch")
        if match == "NONE":
            match = None
        if match is not None:
            if match not in _PRICE_MATCHES or price is not None:
                raise VenueError(-5037, "Invalid price match.")
            order.extra["price_match"] = match
            price = self._matched(order, match)
        if not wanted:
            if price:
                raise not_required("price")
            return
        if price is None:
            raise missing("price")
        order.price = price

    def _matched(self, order: Order, match: str) -> Decimal:
        """The n-th best price of the other side, or of its own."""
        kind, _, level = match.partition("_")
        depth = int(level or 1)
        book = self._venue.exchange.markets[order.symbol]
        side = order.side.opposite if kind == "OPPONENT" else order.side
        levels = book.depth(side, depth)
        if not levels:
            raise VenueError(-5038, "No depth matches this price match.")
        return levels[-1][0]

    def lifetime(self, order: Order, *, wanted: bool, default: str | None = None) -> None:
        """GTC, IOC, FOK, and the ones that are of this venue: GTX, GTD, RPI."""
        params = self._params
        word = params.text("timeInForce") or default
        if word is not None and word not in ("GTC", "IOC", "FOK", "GTX", "GTD", "RPI"):
            raise VenueError(-1115, "Invalid timeInForce.")
        till = params.integer("goodTillDate")
        if not wanted:
            return
        if word is None:
            raise missing("timeInForce")
        if word == "GTD":
            self._good_till(order, till)
        order.extra["tif"] = word
        order.post_only = word in ("GTX", "RPI")
        order.time_in_force = TimeInForce(word) if word in ("IOC", "FOK") else TimeInForce.GTC
        if word in ("FOK", "GTX"):
            order.stp_mode = StpMode.NONE  # it is effective for the other lifetimes only

    def _good_till(self, order: Order, till: int | None) -> None:
        now_ms = self._venue.clock.now_ns() // MS
        if till is None or not now_ms + GOOD_TILL_AHEAD_MS < till < GOOD_TILL_MOST_MS:
            raise VenueError(-5040, "The goodTillDate must be greater than the current time plus 600 seconds.")
        order.extra["good_till"] = till // 1000 * 1000


def check_fillable(market: Market, order: Order) -> None:
    """A fill-or-kill order that cannot be filled does not come into being. Raises Reject."""
    if order.time_in_force is TimeInForce.FOK and matching.fillable_qty(market, order) < order.open_qty:
        raise Reject(RejectReason.NOT_FILLABLE, order)


def response_kind(params: Params) -> str:
    """ACK, or RESULT as asked."""
    chosen = params.text("newOrderRespType") or "ACK"
    if chosen not in RESPONSES:
        raise VenueError(-1130, "Data sent for parameter 'newOrderRespType' is not valid.")
    return chosen
