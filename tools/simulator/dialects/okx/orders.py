"""New orders as the venue reads them: account modes, sides, sizes, prices (sections 4, 5.1 and 13)."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import attrs

from tools.simulator.core import margin, matching
from tools.simulator.core.accounts import Account
from tools.simulator.core.decimals import ZERO, floor_to
from tools.simulator.core.market import Market
from tools.simulator.core.model import MarginMode, Order, OrdType, PositionSide, Side, StpMode, TimeInForce
from tools.simulator.dialects.okx.errors import OkxError, bad_param, empty, price_bound
from tools.simulator.dialects.okx.instruments import SPOT, OkxInstrument
from tools.simulator.dialects.okx.params import Params
from tools.simulator.dialects.okx.public_rows import band
from tools.simulator.dialects.okx.text import plain

if TYPE_CHECKING:
    from tools.simulator.dialects.okx.venue import OkxVenue

SIDES = {"buy": Side.BUY, "sell": Side.SELL}
ORD_TYPES = {
    "limit": (OrdType.LIMIT, TimeInForce.GTC),
    "post_only": (OrdType.LIMIT_MAKER, TimeInForce.GTC),
    "rpi": (OrdType.LIMIT_MAKER, TimeInForce.GTC),
    "ioc": (OrdType.LIMIT, TimeInForce.IOC),
    "fok": (OrdType.LIMIT, TimeInForce.FOK),
    "market": (OrdType.MARKET, TimeInForce.GTC),
    "optimal_limit_ioc": (OrdType.MARKET, TimeInForce.IOC),
}
STP_MODES = {
    "cancel_maker": StpMode.EXPIRE_MAKER,
    "cancel_taker": StpMode.EXPIRE_TAKER,
    "cancel_both": StpMode.EXPIRE_BOTH,
}
POSITION_SIDES = {"net": PositionSide.BOTH, "long": PositionSide.LONG, "short": PositionSide.SHORT}
SPOT_MODES: dict[str, tuple[str, ...]] = {"1": ("cash",), "2": ("cash",), "3": ("cross",), "4": ("cross",)}
SWAP_MODES: dict[str, tuple[str, ...]] = {
    "1": (),
    "2": ("cross", "isolated"),
    "3": ("cross", "isolated"),
    "4": ("cross",),
}
"""`tdMode` by account mode (5.1). Whether mode 3 takes isolated contracts is told in two ways; here it does."""
NAMELESS = "~"
"""First letter of the key of an order without a client id; the venue's ids are letters and digits."""
RPI_NOTIONAL = {"SPOT": Decimal(500), "SWAP": Decimal(5000)}
PENDING_PER_INSTRUMENT, PENDING = 500, 4000


@attrs.define(kw_only=True)
class Terms:
    """What the venue remembers of an order beside what the matching engine must know. Texts are as they are told."""

    inst_type: str
    td_mode: str
    ord_type: str
    pos_side: str = ""
    tag: str = ""
    size: str = ""
    tgt_ccy: str = ""
    stp_mode: str = "cancel_maker"
    reduce_only: bool = False
    quote_ccy: str = ""
    lever: str = ""
    source: str = ""
    cancel_source: str = ""
    amend_source: str = ""
    req_id: str = ""
    amend_result: str = ""
    category: str = "normal"
    algo_id: str = ""
    algo_cl_ord_id: str = ""
    attached: tuple[dict[str, Any], ...] = ()
    code: str = ""
    msg: str = ""


def terms(order: Order) -> Terms:
    """Of an order that this dialect made, or that the venue itself did: a liquidation."""
    found = order.extra.get("okx")
    if found is None:
        found = order.extra["okx"] = Terms(
            inst_type="SWAP",
            td_mode="cross",
            ord_type="market",
            pos_side=next(word for word, side in POSITION_SIDES.items() if side is order.position_side),
            category="full_liquidation",
        )
    assert isinstance(found, Terms)
    return found


def client_id(order: Order) -> str:
    """The client's id, "" where it gave none."""
    return "" if order.cl_ord_id.startswith(NAMELESS) else order.cl_ord_id


def instrument_of(venue: OkxVenue, params: Params, *, by_code: bool) -> OkxInstrument:
    """By `instIdCode` on a WebSocket (which ignores `instId`), by `instId` elsewhere. Raises OkxError 50014, 51001."""
    if by_code:
        code = params.integer("instIdCode")
        if code is None:
            raise empty("instIdCode")
        found = venue.by_code.get(code)
    else:
        found = venue.instruments.get(params.require("instId"))
    if found is None:
        raise OkxError("51001")
    return found


class OrderReader:
    """Turns the fields of one order into an `Order`. Raises OkxError with the code of the first thing wrong."""

    def __init__(self, venue: OkxVenue, account: Account, instrument: OkxInstrument, params: Params) -> None:
        self._venue = venue
        self._account = account
        self._instrument = instrument
        self._params = params
        self._market: Market = venue.exchange.markets[instrument.inst_id]

    def read(self) -> Order:
        params, instrument = self._params, self._instrument
        word = params.choice("ordType", ORD_TYPES)
        ord_type, time_in_force = ORD_TYPES[word]
        if word == "optimal_limit_ioc" and instrument.inst_type == SPOT:
            raise bad_param("ordType")
        side = SIDES[params.choice("side", SIDES)]
        td_mode = self._td_mode()
        stp_mode = params.choice("stpMode", STP_MODES, "cancel_maker")
        if stp_mode == "cancel_both" and word == "fok":
            raise bad_param("stpMode")
        if not instrument.spec.trading or (instrument.state == "post_only" and word != "post_only"):
            raise OkxError("51022")
        quote_ccy = params.text("tradeQuoteCcy", instrument.quote)
        if instrument.inst_type == SPOT and quote_ccy != instrument.quote:
            allowed = instrument.raw.get("tradeQuoteCcyList") or []
            if quote_ccy not in allowed:
                raise bad_param("tradeQuoteCcy")
        order = Order(
            symbol=instrument.inst_id,
            account=self._account,
            cl_ord_id=params.name("clOrdId") or self._venue.nameless(),
            side=side,
            ord_type=ord_type,
            time_in_force=time_in_force,
            stp_mode=STP_MODES[stp_mode],
        )
        found = Terms(
            inst_type=instrument.inst_type,
            td_mode=td_mode,
            ord_type=word,
            tag=params.tag(),
            stp_mode=stp_mode,
            quote_ccy=quote_ccy if instrument.inst_type == SPOT else "",
            attached=self._attached(),
        )
        order.extra["okx"] = found
        self._positions(order, found)
        self._size(order, found)
        if ord_type is not OrdType.MARKET:
            self._price(order, found)
        self._check_pending(order)
        return order

    # ------------------------------------------------------------------------------------------- modes
    def _td_mode(self) -> str:
        """`tdMode` against the account's mode (5.1). Raises OkxError 51000 or 51010."""
        mode = self._params.choice("tdMode", ("cash", "cross", "isolated", "spot_isolated"))
        level = self._venue.settings(self._account).acct_lv
        allowed = (SPOT_MODES if self._instrument.inst_type == SPOT else SWAP_MODES)[level]
        if mode not in allowed:
            raise OkxError("51010") if not allowed else bad_param("tdMode")
        return mode

    def _positions(self, order: Order, found: Terms) -> None:
        """`posSide` and `reduceOnly` by position mode."""
        word, reduce_only = self._params.text("posSide"), self._params.flag("reduceOnly")
        if self._instrument.inst_type == SPOT:
            if word:
                raise bad_param("posSide")
            if reduce_only:
                raise OkxError("51139", "Reduce-only is not available for spot")
            return
        if self._account.hedge:
            if word not in ("long", "short"):
                raise bad_param("posSide")
            # In this mode the flag is not looked at: the side and the leg say whether an order closes.
            reduce_only = (word == "long") is (order.side is Side.SELL)
        elif word not in ("", "net"):
            raise bad_param("posSide")
        found.pos_side = word or "net"
        order.position_side = POSITION_SIDES[found.pos_side]
        order.reduce_only = found.reduce_only = reduce_only
        found.lever = plain(self._venue.leverage(self._account, self._instrument))
        self._margin_mode(found)

    def _margin_mode(self, found: Terms) -> None:
        """The simulator holds an instrument crossed or isolated, not both at once: the first order decides."""
        settings = self._account.margin(self._instrument.inst_id)
        mode = MarginMode.ISOLATED if found.td_mode == "isolated" else MarginMode.CROSS
        if settings.mode is mode:
            return
        if any(margin.has_business(self._account, self._instrument.inst_id)):
            raise OkxError("51000", "Parameter tdMode error: the instrument is held in the other margin mode")
        settings.mode = mode

    def _attached(self) -> tuple[dict[str, Any], ...]:
        value = self._params.values.get("attachAlgoOrds")
        if not value:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise bad_param("attachAlgoOrds")
        for item in value:
            if not (item.get("tpTriggerPx") or item.get("slTriggerPx")):
                raise bad_param("attachAlgoOrds")
        return tuple(value)

    # ----------------------------------------------------------------------------------------- amounts
    def _size(self, order: Order, found: Terms) -> None:
        size = self._params.decimal("sz")
        if size is None:
            raise empty("sz")
        if not size:
            raise bad_param("sz")
        found.size = self._params.text("sz")
        if order.ord_type is OrdType.MARKET and self._instrument.inst_type == SPOT:
            found.tgt_ccy = self._params.choice(
                "tgtCcy", ("base_ccy", "quote_ccy"), "quote_ccy" if order.is_buy else "base_ccy"
            )
            ban = self._params.flag("banAmend")
            if found.tgt_ccy == "quote_ccy":
                self._market_by_quote(order, size, ban=ban)
                return
            check_size(self._instrument, size, market=False)
            order.order_qty = size if ban else self._affordable(order, size)
            return
        check_size(self._instrument, size, market=order.ord_type is OrdType.MARKET)
        order.order_qty = size

    def _market_by_quote(self, order: Order, money: Decimal, *, ban: bool) -> None:
        """A size in money. Unless banned, what the balance does not cover is cut off."""
        if self._instrument.max_market and money > self._instrument.max_market:
            raise OkxError("51202")
        if order.is_buy and not ban:
            money = min(money, self._account.balance(self._instrument.quote).free) or money
        order.quote_order_qty = money
        if matching.qty_for_quote(self._market, order) < self._instrument.min_size:
            raise OkxError("51020")

    def _affordable(self, order: Order, size: Decimal) -> Decimal:
        """The size, or what the balance covers of it in whole lots where that is something."""
        if not order.is_buy:
            most = floor_to(self._account.balance(self._instrument.base).free, self._instrument.lot)
        else:
            order.order_qty = size
            free = self._account.balance(self._instrument.quote).free
            if matching.market_cost(self._market, order) <= free:
                return size
            order.quote_order_qty = free
            most = matching.qty_for_quote(self._market, order)
            order.quote_order_qty = ZERO
        return size if most < self._instrument.min_size else min(size, most)

    def _price(self, order: Order, found: Terms) -> None:
        price = self._params.decimal("px")
        if price is None:
            raise empty("px")
        if not price:
            raise bad_param("px")
        if price % self._instrument.tick:
            raise OkxError("51150")
        move = self._params.text("pxAmendType") == "1"
        order.price = inside_band(self._instrument, self._market, order.side, price, move=move)
        notional = order.price * order.order_qty * self._instrument.contract_size
        if found.ord_type == "rpi" and notional < RPI_NOTIONAL[self._instrument.inst_type]:
            raise OkxError("54051", "The order amount is below the minimum of an RPI order")

    def _check_pending(self, order: Order) -> None:
        """Ids are unique among all pending orders of the account; of those there are not too many."""
        account = self._account
        key = order.cl_ord_id
        if any((account.name, symbol, key) in self._venue.exchange.open_by_cl for symbol in self._venue.instruments):
            raise OkxError("51016")
        here = sum(1 for symbol, _ in account.open_orders if symbol == order.symbol)
        if here >= PENDING_PER_INSTRUMENT or len(account.open_orders) >= PENDING:
            raise OkxError("51174")


def inside_band(instrument: OkxInstrument, market: Market, side: Side, price: Decimal, *, move: bool) -> Decimal:
    """The price, or the band's edge where the order says that it may be moved. Raises OkxError 51137, 51138."""
    highest, lowest = band(instrument, market)
    if not highest:
        return price
    if side is Side.BUY and price > highest:
        if move:
            return highest
        raise price_bound("51137", str(highest))
    if side is Side.SELL and price < lowest:
        if move:
            return lowest
        raise price_bound("51138", str(lowest))
    return price


def check_size(instrument: OkxInstrument, size: Decimal, *, market: bool) -> None:
    """Lot, least and most. Raises OkxError 51121, 51020, 51101 or 51202."""
    if size % instrument.lot:
        raise OkxError("51121")
    if size < instrument.min_size:
        raise OkxError("51020")
    if market and instrument.max_market and size > instrument.max_market:
        raise OkxError("51202")
    if instrument.max_limit and size > instrument.max_limit:
        raise OkxError("51101")
