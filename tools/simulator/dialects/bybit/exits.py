"""Take-profit and stop-loss of contract positions (sections 6.1 and 10): attached to an order, or set on the position.

Only the mode `Full` with market exits: each is a conditional order of the venue's that closes the whole position at its
trigger.  It appears when the position does, follows its size, and goes when the position is closed
(`CancelByTpSlTsClear`) or turned around.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import attrs

from tools.simulator.core.accounts import Account, Position
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.model import Order, OrdType, PositionSide, PriceKind, Reject, Side, TimeInForce
from tools.simulator.dialects.bybit.errors import VenueError, bad_parameter
from tools.simulator.dialects.bybit.instruments import Instrument
from tools.simulator.dialects.bybit.params import Params
from tools.simulator.dialects.bybit.terms import HIDDEN, INDEX, Terms, terms_of

if TYPE_CHECKING:
    from tools.simulator.dialects.bybit.venue import Bybit

KINDS = {"takeProfit": "tpTriggerBy", "stopLoss": "slTriggerBy"}
WORDS = {"takeProfit": "TakeProfit", "stopLoss": "StopLoss"}
TRIGGERS = {"LastPrice": PriceKind.LAST, "IndexPrice": PriceKind.INDEX, "MarkPrice": PriceKind.MARK}
UNCHANGED = 34040
Key = tuple[Account, str, PositionSide]


@attrs.frozen
class Exit:
    """One wish: where to leave, and by which price."""

    price: Decimal
    trigger_by: str = "LastPrice"


def read_exits(params: Params, instrument: Instrument) -> dict[str, Exit]:
    """The exits that a request names; price 0 clears one.  Raises 10001 for modes that are not served."""
    if params.text("tpslMode") not in ("", "Full"):
        raise bad_parameter("tpslMode Partial is not served by this simulator")
    for name in ("tpOrderType", "slOrderType"):
        if params.text(name) not in ("", "Market"):
            raise bad_parameter(f"{name} Limit is not served by this simulator")
    if params.text("trailingStop") not in ("", "0"):
        raise bad_parameter("trailingStop is not served by this simulator")
    found: dict[str, Exit] = {}
    for name, by in KINDS.items():
        price = params.decimal(name)
        if price is not None:
            if price % instrument.tick:
                raise bad_parameter(f"{name} is no multiple of the tick size")
            found[name] = Exit(price, params.choice(by, tuple(TRIGGERS), "LastPrice"))
    return found


def check_sides(exits: dict[str, Exit], reference: Decimal, *, is_long: bool) -> None:
    """A long position takes profit above and stops below, a short one the other way round.  Raises 10001."""
    for name, each in exits.items():
        above = (name == "takeProfit") is is_long
        if each.price and (each.price > reference) is not above:
            raise bad_parameter(f"{name} {each.price} is on the wrong side of {reference}")


class PositionExits:
    """The exits of all positions."""

    def __init__(self, venue: Bybit) -> None:
        self._venue = venue
        self._orders: dict[Key, dict[str, Order]] = {}

    def rebuild(self) -> None:
        """After a restart: which of the open orders are exits."""
        names = {word: name for name, word in WORDS.items()}
        for account in self._venue.exchange.accounts.by_name.values():
            for order in account.open_orders.values():
                name = names.get(terms_of(order).stop_order_type)
                if name is not None:
                    self._orders.setdefault((account, order.symbol, order.position_side), {})[name] = order

    def shown(self, position: Position, name: str) -> str:
        """What the position's row says."""
        order = self._orders.get(_key(position), {}).get(name)
        return self._venue.infos[position.symbol].px(order.stop_px) if order is not None and order.is_live else ""

    def change(self, position: Position, exits: dict[str, Exit]) -> None:
        """As the client wants it from now on; what is not named stays.  Raises 34040 where all of it is so already."""
        if not position.qty:
            raise bad_parameter("can not set tp/sl/ts for zero position")
        working = self._orders.setdefault(_key(position), {})
        changed = {name: each for name, each in exits.items() if not _is_so(working.get(name), each)}
        if not changed:
            raise VenueError(UNCHANGED, "not modified")
        market = self._venue.exchange.markets[position.symbol]
        for each in changed.values():
            check_sides(changed, market.price_of(TRIGGERS[each.trigger_by]), is_long=position.qty > 0)
        for name, each in changed.items():
            self._cancel(working.pop(name, None))
            if each.price:
                working[name] = self._enter(position, name, each)

    def order_filled(self, order: Order, exits: dict[str, Exit]) -> None:
        """An order that carries exits has made a position: they become the position's."""
        account = order.account
        assert account is not None
        position = account.position(order.symbol, order.position_side)
        if not exits or not position.qty or (position.qty > 0) is not order.is_buy:
            return
        working = self._orders.setdefault(_key(position), {})
        for name, each in exits.items():
            if each.price and not _is_so(working.get(name), each):
                self._cancel(working.pop(name, None))
                try:
                    working[name] = self._enter(position, name, each)
                except Reject:
                    continue  # the price has gone through it meanwhile: such an exit is not set (assumed)

    def position_moved(self, position: Position) -> None:
        """Exits of a position that is gone, or stands on the other side now, go."""
        working = self._orders.get(_key(position), {})
        for name, order in list(working.items()):
            if not order.is_live:
                del working[name]
            elif not position.qty or order.is_buy is (position.qty > 0):
                terms_of(order).cancel_type = "CancelByTpSlTsClear"
                del working[name]
                self._venue.exchange.cancel(order)
            else:
                order.order_qty = abs(position.qty)
                terms_of(order).qty = self._venue.infos[position.symbol].qty(order.order_qty)

    def _enter(self, position: Position, name: str, wanted: Exit) -> Order:
        is_long = position.qty > 0
        rises = (name == "takeProfit") is is_long
        order = Order(
            symbol=position.symbol,
            account=position.account,
            cl_ord_id=HIDDEN + self._venue.hidden_id(),
            side=Side.SELL if is_long else Side.BUY,
            ord_type=OrdType.TAKE_PROFIT if name == "takeProfit" else OrdType.STOP_LOSS,
            time_in_force=TimeInForce.IOC,
            order_qty=abs(position.qty),
            stop_px=wanted.price,
            position_side=position.side,
            reduce_only=True,
            close_position=True,
            trigger_by=TRIGGERS[wanted.trigger_by],
            trigger_rises=rises,
        )
        order.extra["terms"] = Terms(
            category="linear",
            order_type="Market",
            time_in_force="IOC",
            qty=self._venue.infos[position.symbol].qty(abs(position.qty)),
            position_idx=INDEX[position.side],
            trigger_by=wanted.trigger_by,
            trigger_direction=1 if rises else 2,
            reduce_only=True,
            close_on_trigger=True,
            create_type=f"CreateBy{WORDS[name]}",
            stop_order_type=WORDS[name],
        )
        self._venue.exchange.submit(order)
        return order

    def _cancel(self, order: Order | None) -> None:
        if order is not None and order.is_live:
            terms_of(order).cancel_type = "CancelByUser"
            self._venue.exchange.cancel(order)


def _key(position: Position) -> Key:
    return position.account, position.symbol, position.side


def _is_so(order: Order | None, wanted: Exit) -> bool:
    if order is None or not order.is_live:
        return wanted.price == ZERO
    return (order.stop_px, terms_of(order).trigger_by) == (wanted.price, wanted.trigger_by)
