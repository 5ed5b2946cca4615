"""Reading a new order out of a request (section 7): what each type must have, may have and must not have."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from tools.simulator.core.accounts import Account
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.model import Order, OrdType, Side, StpMode, TimeInForce
from tools.simulator.dialects.binance_common.params import Params
from tools.simulator.dialects.binance_spot.errors import (
    VenueError,
    bad_combination,
    missing,
    not_required,
)
from tools.simulator.dialects.binance_spot.symbols import SymbolInfo

if TYPE_CHECKING:
    from tools.simulator.dialects.binance_spot.venue import BinanceSpot

NameOf = Callable[[str], str]  # from the plain parameter name to the one that is sent

RESPONSES = ("ACK", "RESULT", "FULL")
LIMITS = frozenset({OrdType.LIMIT, OrdType.LIMIT_MAKER, OrdType.STOP_LOSS_LIMIT, OrdType.TAKE_PROFIT_LIMIT})
STOPS = frozenset({OrdType.STOP_LOSS, OrdType.STOP_LOSS_LIMIT, OrdType.TAKE_PROFIT, OrdType.TAKE_PROFIT_LIMIT})
TIMED = frozenset({OrdType.LIMIT, OrdType.STOP_LOSS_LIMIT, OrdType.TAKE_PROFIT_LIMIT})
SMALLEST_STRATEGY_TYPE = 1_000_000


def field_name(prefix: str, name: str) -> str:
    """`price` with prefix `above` is sent as `abovePrice`; without a prefix it stays as it is."""
    return prefix + name[0].upper() + name[1:] if prefix else name


class OrderReader:
    """Reads one order (or one leg of a list, whose parameters carry a prefix)."""

    def __init__(self, venue: BinanceSpot, params: Params, info: SymbolInfo, account: Account) -> None:
        self._venue = venue
        self._params = params
        self._info = info
        self._account = account

    def read(self, prefix: str = "", *, side: Side | None = None, quantity: Decimal | None = None) -> Order:
        """The order that the parameters describe. Raises VenueError naming the first parameter that is wrong.

        `side` and `quantity` are given where a list states them once for several legs.
        """
        params = self._params

        def name(field: str) -> str:
            return field_name(prefix, field)

        if side is None:
            params.require(name("side"))
            side = params.choice(name("side"), Side, (-1117, "Invalid side."))
        params.require(name("type"))
        ord_type = params.choice(name("type"), OrdType, (-1116, "Invalid orderType."))
        assert side is not None
        assert ord_type is not None
        if ord_type.value not in self._info.raw.get("orderTypes", [ord_type.value]):
            raise VenueError(-1116, "Invalid orderType.")
        order = Order(
            symbol=self._info.spec.symbol,
            account=self._account,
            cl_ord_id=self._client_id(prefix),
            side=side,
            ord_type=ord_type,
            stp_mode=self._stp_mode(),
        )
        self._quantities(order, prefix, quantity)
        self._prices(order, name)
        self._lifetime(order, name)
        self._strategy(order, name)
        return order

    def _client_id(self, prefix: str) -> str:
        field = field_name(prefix, "clientOrderId") if prefix else "newClientOrderId"
        return self._params.client_id(field) or self._venue.random_id()

    def _stp_mode(self) -> StpMode:
        chosen = self._params.choice(
            "selfTradePreventionMode",
            StpMode,
            (-1130, "Data sent for parameter 'selfTradePreventionMode' is not valid."),
        )
        if chosen is None:
            return StpMode(self._info.default_stp)
        if chosen.value not in self._info.allowed_stp:
            raise VenueError(-1013, "This symbol does not allow the specified self-trade prevention mode.")
        return chosen

    def _quantities(self, order: Order, prefix: str, shared: Decimal | None) -> None:
        params, info = self._params, self._info
        name = field_name(prefix, "quantity")
        qty = shared if shared is not None else params.decimal(name, precision=info.base_precision)
        quote_name = field_name(prefix, "quoteOrderQty")
        quote = params.decimal(quote_name, precision=info.quote_precision)
        if order.ord_type is not OrdType.MARKET:
            if quote is not None:
                raise not_required(quote_name)
            if qty is None:
                raise missing(name)
        elif (qty is None) == (quote is None):
            if qty is None:
                raise missing(name)
            raise bad_combination()
        order.order_qty = qty if qty is not None else ZERO
        order.quote_order_qty = quote if quote is not None else ZERO
        iceberg_name = field_name(prefix, "icebergQty")
        iceberg = params.decimal(iceberg_name, precision=info.base_precision)
        if iceberg is not None:
            if order.ord_type not in LIMITS:
                raise not_required(iceberg_name)
            if iceberg > order.order_qty:
                raise VenueError(-2010, "IcebergQty exceeds QTY.")
            order.iceberg_qty = iceberg

    def _prices(self, order: Order, name: NameOf) -> None:
        params, precision = self._params, self._info.quote_precision
        price = params.decimal(name("price"), precision=precision)
        if order.ord_type in LIMITS:
            if price is None:
                raise missing(name("price"))
            order.price = price
        elif price is not None:
            raise not_required(name("price"))
        stop = params.decimal(name("stopPrice"), precision=precision)
        trailing = params.integer(name("trailingDelta"))
        if order.ord_type in STOPS:
            if stop is None and trailing is None:
                raise missing(name("stopPrice"))
            order.stop_px = stop if stop is not None else ZERO
            order.trailing_delta = trailing or 0
        elif stop is not None:
            raise not_required(name("stopPrice"))
        elif trailing is not None:
            raise not_required(name("trailingDelta"))

    def _lifetime(self, order: Order, name: NameOf) -> None:
        chosen = self._params.choice(name("timeInForce"), TimeInForce, (-1115, "Invalid timeInForce."))
        if order.ord_type in TIMED:
            if chosen is None:
                raise missing(name("timeInForce"))
            order.time_in_force = chosen
        elif chosen is not None:
            raise not_required(name("timeInForce"))
        if order.iceberg_qty and order.time_in_force is not TimeInForce.GTC:
            raise VenueError(-2010, "Unsupported order combination")

    def _strategy(self, order: Order, name: NameOf) -> None:
        order.strategy_id = self._params.integer(name("strategyId"))
        order.strategy_type = self._params.integer(name("strategyType"))
        if order.strategy_type is not None and order.strategy_type < SMALLEST_STRATEGY_TYPE:
            raise VenueError(-1134, "strategyType was less than 1000000.")


def response_kind(params: Params, order: Order) -> str:
    """ACK, RESULT or FULL: as asked, else FULL for LIMIT and MARKET and ACK for the rest."""
    chosen = params.text("newOrderRespType")
    if chosen is None:
        return "FULL" if order.ord_type in (OrdType.LIMIT, OrdType.MARKET) else "ACK"
    if chosen not in RESPONSES:
        raise VenueError(-1130, "Data sent for parameter 'newOrderRespType' is not valid.")
    return chosen
