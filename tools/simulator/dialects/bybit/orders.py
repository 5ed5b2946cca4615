"""Reading a new order out of a request (section 6.1), and the rules of its instrument (section 5).

Refused on purpose, rather than taken and forgotten: take-profit and stop-loss of spot orders, slippage bounds, pegged
and RPI orders.  See `docs/simulator.md`, section Bybit.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from tools.simulator.core.accounts import Account
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.market import Market
from tools.simulator.core.model import Order, OrdType, PositionSide, PriceKind, Side, StpMode, TimeInForce
from tools.simulator.dialects.bybit.bands import band_of
from tools.simulator.dialects.bybit.errors import SPOT, VenueError, bad_parameter, wrong_position_index
from tools.simulator.dialects.bybit.exits import check_sides, read_exits
from tools.simulator.dialects.bybit.instruments import Instrument
from tools.simulator.dialects.bybit.methods_market import find
from tools.simulator.dialects.bybit.params import Params
from tools.simulator.dialects.bybit.terms import HIDDEN, Terms, filter_word

if TYPE_CHECKING:
    from tools.simulator.dialects.bybit.venue import Bybit

SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}
LIFETIMES = {
    "GTC": TimeInForce.GTC,
    "IOC": TimeInForce.IOC,
    "FOK": TimeInForce.FOK,
    "PostOnly": TimeInForce.GTC,
}
SMP = {
    "None": StpMode.NONE,
    "CancelMaker": StpMode.EXPIRE_MAKER,
    "CancelTaker": StpMode.EXPIRE_TAKER,
    "CancelBoth": StpMode.EXPIRE_BOTH,
}
TRIGGERS = {"LastPrice": PriceKind.LAST, "IndexPrice": PriceKind.INDEX, "MarkPrice": PriceKind.MARK}
POSITION_SIDES = (PositionSide.BOTH, PositionSide.LONG, PositionSide.SHORT)
RISES_TO, FALLS_TO = 1, 2
NOT_SERVED = {
    "linear": ("slippageTolerance", "bboSideType"),
    "spot": ("slippageTolerance", "bboSideType", "takeProfit", "stopLoss"),
}
ACTIVE_MAX, CONDITIONAL_MAX = 500, {"spot": 30, "linear": 10}


def refuse_unserved(params: Params, instrument: Instrument) -> None:
    """Raises 10001 for what would be taken and forgotten."""
    for name in NOT_SERVED[instrument.category]:
        if params.text(name) not in ("", "0"):
            raise bad_parameter(f"{name} is not served by this simulator")


class OrderReader:
    """Reads one order.  Raises VenueError naming the first thing that is wrong."""

    def __init__(self, venue: Bybit, params: Params, instrument: Instrument, account: Account) -> None:
        self._venue = venue
        self._params = params
        self._instrument = instrument
        self._account = account
        self._market: Market = venue.exchange.markets[instrument.key]

    def read(self) -> Order:
        params, instrument = self._params, self._instrument
        refuse_unserved(params, instrument)
        spot = instrument.is_spot
        side = SIDES.get(params.require("side"))
        if side is None:
            raise VenueError(170117, "Invalid side.") if spot else bad_parameter("side invalid")
        order_type = params.require("orderType")
        if order_type not in ("Limit", "Market"):
            raise VenueError(170116, "Invalid orderType.") if spot else bad_parameter("orderType invalid")
        terms = Terms(
            category=instrument.category,
            order_type=order_type,
            time_in_force=self._lifetime(order_type),
            qty=params.require("qty"),
            order_filter=self._filter(),
            smp_type=params.choice("smpType", tuple(SMP), "None"),
            is_leverage=params.text("isLeverage"),
            last_px=instrument.px(self._market.last_px) if self._market.last_px else "",
        )
        order = Order(
            symbol=instrument.key,
            account=self._account,
            cl_ord_id=self._link_id(),
            side=side,
            ord_type=OrdType.LIMIT if order_type == "Limit" else OrdType.MARKET,
            time_in_force=LIFETIMES[terms.time_in_force],
            stp_mode=SMP[terms.smp_type],
            post_only=terms.time_in_force == "PostOnly",
        )
        order.extra["terms"] = terms
        self._trigger(order, terms)
        if spot:
            self._spot(order, terms)
        else:
            self._contract(order, terms)
        self._counts(order)
        return order

    # ------------------------------------------------------------------------------------- the words
    def _lifetime(self, order_type: str) -> str:
        """A market order is an IOC whatever it says."""
        text = self._params.text("timeInForce") or "GTC"
        if text not in LIFETIMES:
            if self._instrument.is_spot:
                raise VenueError(170115, "Invalid timeInForce.")
            raise bad_parameter("timeInForce invalid")
        return "IOC" if order_type == "Market" else text

    def _filter(self) -> str:
        if not self._instrument.is_spot:
            return ""
        text = self._params.text("orderFilter") or "Order"
        if text not in ("Order", "tpslOrder", "StopOrder"):
            raise VenueError(170202, "Invalid orderFilter parameter.")
        if (text != "Order") != ("triggerPrice" in self._params):
            raise VenueError(170202, "Invalid orderFilter parameter: a conditional order has a triggerPrice.")
        return text

    def _link_id(self) -> str:
        """The client's id, or a hidden one for the matching engine.  Raises for one that was used before."""
        text = self._params.link_id()
        if not text:
            return HIDDEN + self._venue.hidden_id()
        if self._venue.link_taken(self._account, self._instrument.category, text):
            if self._instrument.is_spot:
                raise VenueError(170141, "Duplicate clientOrderId.")
            raise VenueError(110072, "OrderLinkedID is duplicate")
        return text

    def _trigger(self, order: Order, terms: Terms) -> None:
        """Direction 1 waits for a rise, 2 for a fall; spot does not say it, the last price does."""
        params = self._params
        price = params.decimal("triggerPrice")
        if not price:
            return
        order.stop_px = self.legal_price(price)
        terms.trigger_by = word = params.choice("triggerBy", tuple(TRIGGERS), "LastPrice")
        order.trigger_by = TRIGGERS[word]
        now = self._market.price_of(order.trigger_by)
        if self._instrument.is_spot:
            rises = price > now
        else:
            direction = params.integer("triggerDirection", 0)
            if direction not in (RISES_TO, FALLS_TO):
                raise bad_parameter("triggerDirection invalid")
            rises = direction == RISES_TO
            terms.trigger_direction = direction
            if rises and price <= now:
                raise VenueError(110092, f"expect Rising, but trigger_price[{price}] <= current[{now}]??{word}")
            if not rises and price >= now:
                raise VenueError(110093, f"expect Falling, but trigger_price[{price}] >= current[{now}]??{word}")
        order.trigger_rises = rises
        limit = order.ord_type is OrdType.LIMIT
        if rises is order.is_buy:  # follows the market
            order.ord_type = OrdType.STOP_LOSS_LIMIT if limit else OrdType.STOP_LOSS
        else:
            order.ord_type = OrdType.TAKE_PROFIT_LIMIT if limit else OrdType.TAKE_PROFIT

    # -------------------------------------------------------------------------------------- contracts
    def _contract(self, order: Order, terms: Terms) -> None:
        params, instrument, account = self._params, self._instrument, self._account
        index = params.integer("positionIdx", 0)
        if index not in (0, 1, 2) or (index != 0) is not account.hedge:
            raise wrong_position_index()
        terms.position_idx = index
        order.position_side = POSITION_SIDES[index]
        terms.reduce_only = order.reduce_only = params.boolean("reduceOnly")
        terms.close_on_trigger = params.boolean("closeOnTrigger")
        qty = params.decimal("qty")
        assert qty is not None
        if not qty and terms.reduce_only and terms.close_on_trigger:
            qty = self._whole_position(order)
            order.close_position = True
            terms.qty = instrument.qty(qty)
        if qty <= 0 or qty % instrument.step:
            raise bad_parameter("Qty invalid")
        if qty < instrument.min_qty:
            raise bad_parameter("The number of contracts exceeds minimum limit allowed")
        market = terms.order_type == "Market"
        most = instrument.max_market_qty if market else instrument.max_qty
        if most and qty > most and not terms.reduce_only:
            raise bad_parameter("The number of contracts exceeds maximum limit allowed: too large")
        order.order_qty = qty
        if not market:
            order.price = self._within_band(self.legal_price(self._price()), order)
            terms.price = instrument.px(order.price)
            if order.price * qty < instrument.min_value and not terms.reduce_only:
                raise VenueError(110094, f"Order does not meet minimum order value {instrument.min_value}")
        else:
            terms.price = instrument.px(self._protective(order))
        terms.attached = {name: each for name, each in read_exits(params, instrument).items() if each.price}
        if terms.attached and not terms.reduce_only:
            check_sides(terms.attached, order.price or self._market.last_px, is_long=order.is_buy)

    def _whole_position(self, order: Order) -> Decimal:
        held = self._account.position(order.symbol, order.position_side).qty
        closing = held if not order.is_buy else -held
        if closing <= 0:
            raise VenueError(110017, "current position is zero, cannot fix reduce-only order qty")
        return closing

    # ------------------------------------------------------------------------------------------- spot
    def _spot(self, order: Order, terms: Terms) -> None:
        params, instrument = self._params, self._instrument
        qty = params.decimal("qty")
        assert qty is not None
        if terms.order_type == "Limit":
            order.price = self._within_band(self.legal_price(self._price()), order)
            terms.price = instrument.px(order.price)
            most = instrument.max_post_qty if order.post_only else ZERO
            self._base_qty(order, qty, most or instrument.max_qty)
            if order.price * qty < instrument.min_value:
                raise VenueError(170140, "Order value exceeded lower limit.")
            return
        terms.market_unit = params.text("marketUnit")
        if terms.market_unit not in ("", "baseCoin", "quoteCoin"):
            raise bad_parameter("marketUnit invalid")
        terms.price = instrument.px(self._protective(order))
        if terms.market_unit == "quoteCoin" or (not terms.market_unit and order.is_buy):
            if instrument.quote_step and qty % instrument.quote_step:
                raise VenueError(170148, "Market order amount decimal too long.")
            if qty < instrument.min_value:
                raise VenueError(170140, "Order value exceeded lower limit.")
            order.quote_order_qty = qty
            return
        self._base_qty(order, qty, instrument.max_market_qty)
        if self._market.last_px * qty < instrument.min_value:
            raise VenueError(170140, "Order value exceeded lower limit.")

    def _base_qty(self, order: Order, qty: Decimal, most: Decimal) -> None:
        if qty % self._instrument.step:
            raise VenueError(170137, "Order volume decimal too long.")
        if qty <= 0:
            raise VenueError(170136, "Order quantity exceeded lower limit.")
        if most and qty > most:
            raise VenueError(170124, "Order amount too large.")
        order.order_qty = qty

    # ----------------------------------------------------------------------------------------- prices
    def _price(self) -> Decimal:
        price = self._params.decimal("price")
        if not price:
            raise (
                VenueError(170133, "Order price lower than the minimum.") if self._spot_here else bad_parameter("price")
            )
        return price

    @property
    def _spot_here(self) -> bool:
        return self._instrument.category == SPOT

    def legal_price(self, price: Decimal) -> Decimal:
        instrument = self._instrument
        if price % instrument.tick:
            if self._spot_here:
                raise VenueError(170134, "Order price decimal too long.")
            raise bad_parameter("price is no multiple of the tick size")
        if (instrument.min_px and price < instrument.min_px) or (instrument.max_px and price > instrument.max_px):
            raise VenueError(110003, "Order price exceeds the allowable range.")
        return price

    def legal_limit(self, order: Order, price: Decimal) -> Decimal:
        """A new limit of an order."""
        return self._within_band(self.legal_price(price), order)

    def legal_total(self, order: Order, qty: Decimal) -> Decimal:
        """A new total quantity of an order, with what is filled.  Raises where that is not below it."""
        instrument = self._instrument
        if qty % instrument.step or qty <= 0:
            raise (
                VenueError(170137, "Order volume decimal too long.")
                if self._spot_here
                else bad_parameter("Qty invalid")
            )
        if qty <= order.cum_qty:
            if self._spot_here:
                raise VenueError(170136, "Order quantity exceeded lower limit.")
            raise VenueError(110064, "The number of contracts cannot be less than or equal to the filled quantity")
        most = (instrument.max_post_qty if order.post_only else ZERO) or instrument.max_qty
        if most and qty > most:
            if self._spot_here:
                raise VenueError(170124, "Order amount too large.")
            raise bad_parameter("The number of contracts exceeds maximum limit allowed: too large")
        return qty

    def _within_band(self, price: Decimal, order: Order) -> Decimal:
        """The price as the venue takes it; one that waits for its trigger is not looked at yet."""
        if order.is_conditional:
            return price
        bands, market = self._venue.bands, self._market
        return bands.within(self._account, market, self._instrument, price, buys=order.is_buy)

    def _protective(self, order: Order) -> Decimal:
        """What a market order shows as its price: the edge of the band."""
        band = band_of(self._market, self._instrument)
        last = self._market.last_px
        edge = last if band is None else band[1 if order.is_buy else 0]
        return edge // self._instrument.tick * self._instrument.tick

    # ------------------------------------------------------------------------------------------ counts
    def _counts(self, order: Order) -> None:
        """Caps on working orders: per symbol for contracts, over all symbols on spot; of each kind that waits."""
        category = self._instrument.category
        mine = [each for each in self._account.open_orders.values() if each.symbol.startswith(category)]
        here = [each for each in mine if each.symbol == order.symbol]
        waiting = [each for each in here if filter_word(each) == filter_word(order) and each.is_conditional]
        if order.is_conditional and len(waiting) >= CONDITIONAL_MAX[category]:
            if self._spot_here:
                raise VenueError(170810, "Cannot exceed maximum of 500 conditional, TP/SL and active orders.")
            raise VenueError(110009, "The number of stop orders exceeds the maximum allowable limit")
        if len(mine if self._spot_here else here) >= ACTIVE_MAX:
            if self._spot_here:
                raise VenueError(170810, "Cannot exceed maximum of 500 conditional, TP/SL and active orders.")
            raise VenueError(110020, "Not allowed to have more than 500 active orders")


def read_order(venue: Bybit, params: Params, category: str, account: Account) -> Order:
    """The order that the parameters describe."""
    instrument = find(venue, category, params.require("symbol"))
    return OrderReader(venue, params, instrument, account).read()
