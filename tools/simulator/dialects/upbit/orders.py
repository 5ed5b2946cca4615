"""Reading a new order (section 5.1): what each type must have and must not have, and what the venue refuses.

The matching engine knows limit and market orders. The venue's four types become:

| `ord_type` | side | is |
| --- | --- | --- |
| `limit` | both | a limit order; `ioc`, `fok`, `post_only` |
| `price` | bid | a market order by amount |
| `market` | ask | a market order by quantity |
| `best` | both | a limit order at the best opposite price, `ioc` or `fok`; a bid says an amount |

A `Ticket` keeps what the client said, because the venue repeats it in all its answers.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import attrs

from tools.simulator.core.accounts import Account
from tools.simulator.core.decimals import ZERO, floor_to
from tools.simulator.core.market import Market
from tools.simulator.core.model import Fill, Order, OrdType, Side, StpMode, TimeInForce
from tools.simulator.dialects.upbit import errors, steps
from tools.simulator.dialects.upbit.errors import VenueError
from tools.simulator.dialects.upbit.params import Params
from tools.simulator.dialects.upbit.symbols import STEP_SIZE

if TYPE_CHECKING:
    from tools.simulator.dialects.upbit.venue import Upbit

SIDES = {"bid": Side.BUY, "ask": Side.SELL}
ORD_TYPES = ("limit", "price", "market", "best")
SMP = {
    "none": StpMode.NONE,
    "cancel_maker": StpMode.EXPIRE_MAKER,
    "cancel_taker": StpMode.EXPIRE_TAKER,
    "reduce": StpMode.DECREMENT,
}
TIMES = {"ioc": TimeInForce.IOC, "fok": TimeInForce.FOK}
SMP_BY_DEFAULT_NS = 1_794_150_000 * 1_000_000_000  # 2026-11-09, midnight in Seoul
IDENTIFIER_MAX = 64
MARKET_ORDER_MAX = {"BTC": Decimal(10)}  # by quote currency, in quote
LEVELS_MAX = 30  # that a market or best order may eat


@attrs.define(eq=False, kw_only=True)
class Ticket:
    """What the client said of an order, and what has become of it in the venue's words."""

    ord_type: str
    price: Decimal | None
    volume: Decimal | None
    time_in_force: str | None
    identifier: str | None
    smp_type: str
    fee_rate: Decimal
    reserved_fee: Decimal = ZERO
    prevented_locked: Decimal = ZERO
    fills: list[Fill] = attrs.Factory(list)

    @property
    def by_amount(self) -> bool:
        """It says how much to spend, not how much to buy."""
        return self.volume is None


def ticket_of(order: Order) -> Ticket:
    found = order.extra["ticket"]
    assert isinstance(found, Ticket)
    return found


def resize(order: Order, volume: Decimal) -> None:
    """An order that is to take what another leaves, of which some has traded since it was asked for."""
    ticket = ticket_of(order)
    order.order_qty = ticket.volume = volume
    if order.is_buy and ticket.price is not None:
        ticket.reserved_fee = ticket.price * volume * ticket.fee_rate


@attrs.frozen(kw_only=True)
class Wish:
    """The terms of an order as they were sent, before they are held against the market."""

    market: Market
    side: Side
    ord_type: str
    price: Decimal | None
    volume: Decimal | None
    time_in_force: str | None
    smp_type: str | None
    identifier: str | None


def wish_of(venue: Upbit, params: Params) -> Wish:
    """The terms of `POST /v1/orders`. Raises VenueError naming the first parameter that is wrong."""
    market = venue.exchange.markets.get(params.require("market"))
    if market is None:
        raise errors.no_such_market()
    side = SIDES[params.choice("side", tuple(SIDES))]
    return _wish(params, market, side, "")


def replacement_of(params: Params, old: Order, market: Market) -> Wish:
    """The terms of the new order of `cancel_and_new`: the pair and the side are those of the old one."""
    remain = params.text("new_volume") == "remain_only"
    wish = _wish(params, market, old.side, "new_", volume=old.open_qty if remain else None)
    if wish.identifier is not None and wish.identifier == ticket_of(old).identifier:
        raise errors.duplicated()
    return wish


def _wish(params: Params, market: Market, side: Side, prefix: str, *, volume: Decimal | None = None) -> Wish:
    time_in_force = params.text(f"{prefix}time_in_force")
    smp_type = params.text(f"{prefix}smp_type")
    identifier = params.text(f"{prefix}identifier")
    if time_in_force not in (None, "ioc", "fok", "post_only"):
        raise VenueError("invalid_time_in_force", f"{prefix}time_in_force must be ioc, fok or post_only")
    if smp_type is not None and smp_type not in SMP:
        raise errors.validation(f"{prefix}smp_type", f"must be one of {', '.join(SMP)}")
    if identifier is not None and len(identifier) > IDENTIFIER_MAX:
        raise errors.validation(f"{prefix}identifier", f"must have at most {IDENTIFIER_MAX} characters")
    wish = Wish(
        market=market,
        side=side,
        ord_type=params.choice(f"{prefix}ord_type", ORD_TYPES),
        price=params.decimal(f"{prefix}price"),
        volume=volume if volume is not None else params.decimal(f"{prefix}volume"),
        time_in_force=time_in_force,
        smp_type=smp_type,
        identifier=identifier,
    )
    _check_shape(wish)
    return wish


def _check_shape(wish: Wish) -> None:
    """Which fields go together."""
    kind, is_bid = wish.ord_type, wish.side is Side.BUY
    if (kind == "price" and not is_bid) or (kind == "market" and is_bid):
        raise errors.validation("ord_type", f"{kind} does not go with this side")
    wants_price = kind in ("limit", "price") or (kind == "best" and is_bid)
    wants_volume = kind in ("limit", "market") or (kind == "best" and not is_bid)
    for name, value, wanted in (("price", wish.price, wants_price), ("volume", wish.volume, wants_volume)):
        if wanted and value is None:
            raise errors.validation(name)
        if not wanted and value is not None:
            raise errors.validation(name, f"does not go with ord_type {kind}")
    allowed = {"limit": (None, "ioc", "fok", "post_only"), "best": ("ioc", "fok")}.get(kind, (None,))
    if wish.time_in_force not in allowed:
        raise VenueError("invalid_time_in_force", f"time_in_force does not go with ord_type {kind}")
    if wish.time_in_force == "post_only" and wish.smp_type not in (None, "none"):
        raise VenueError("invalid_post_only", "post_only and smp_type exclude each other.")
    if wish.volume is not None and floor_to(wish.volume, STEP_SIZE) != wish.volume:
        raise errors.validation("volume", "has more than eight decimals")


def order_of(venue: Upbit, wish: Wish, account: Account) -> Order:
    """The order that the terms describe, checked against the market. Raises VenueError."""
    market = wish.market
    quote = market.spec.quote
    now_ns = venue.clock.now_ns()
    order = Order(
        symbol=market.symbol,
        account=account,
        cl_ord_id=wish.identifier or venue.nameless_id(),
        side=wish.side,
        ord_type=OrdType.LIMIT,
        time_in_force=TIMES.get(wish.time_in_force or "", TimeInForce.GTC),
        post_only=wish.time_in_force == "post_only",
    )
    if wish.ord_type == "limit":
        assert wish.price is not None
        assert wish.volume is not None
        if not steps.is_on_step(market.symbol, wish.price, now_ns):
            raise errors.of_side("invalid_price", wish.side, "The price is no multiple of the unit.")
        order.price, order.order_qty = wish.price, wish.volume
        total = wish.price * wish.volume
    else:
        total = _take(order, wish, market)
    _check_total(wish, quote, total)
    smp_type = wish.smp_type or _default_smp(wish, now_ns)
    order.stp_mode = SMP[smp_type]
    rate = account.taker_rate
    order.extra["ticket"] = Ticket(
        ord_type=wish.ord_type,
        price=wish.price,
        volume=wish.volume,
        time_in_force=wish.time_in_force,
        identifier=wish.identifier,
        smp_type=smp_type,
        fee_rate=rate,
        reserved_fee=total * rate if wish.side is Side.BUY else ZERO,
    )
    return order


def _take(order: Order, wish: Wish, market: Market) -> Decimal:
    """Terms of an order that takes what there is; returns its value in quote, which for an ask is an estimate."""
    facing = market.book.facing(order)
    levels = [level for level in facing if level.tradable > 0][:LEVELS_MAX]
    if not levels:
        raise _nothing(wish.side)
    best = levels[0].price
    if wish.ord_type == "best":
        order.price = best
        if wish.volume is None:
            assert wish.price is not None
            order.order_qty = floor_to(wish.price / best, STEP_SIZE)
            return wish.price
        order.order_qty = wish.volume
        return wish.volume * best
    order.ord_type = OrdType.MARKET
    if wish.ord_type == "price":
        assert wish.price is not None
        order.quote_order_qty = wish.price
        if wish.price > sum((level.price * level.tradable for level in levels), ZERO):
            raise _nothing(wish.side)
        return wish.price
    assert wish.volume is not None
    order.order_qty = wish.volume
    if wish.volume > sum((level.tradable for level in levels), ZERO):
        raise _nothing(wish.side)
    return wish.volume * best


def _nothing(side: Side) -> VenueError:
    word = "bid" if side is Side.BUY else "ask"
    return VenueError(f"create_{word}_error", f"The order would go beyond {LEVELS_MAX} levels of the book.")


def _check_total(wish: Wish, quote: str, total: Decimal) -> None:
    least, most = steps.MIN_TOTAL.get(quote, ZERO), steps.MAX_TOTAL.get(quote)
    if total < least:
        raise errors.of_side("under_min_total", wish.side, f"The smallest order is {least} {quote}.")
    if most is not None and total > most and wish.side is Side.BUY:
        raise VenueError("over_krw_funds_bid", f"The largest order is {most} {quote}.")
    cap = MARKET_ORDER_MAX.get(quote)
    if cap is not None and wish.ord_type in ("price", "market") and total > cap:
        raise VenueError("volume_too_large", f"The largest market order is {cap} {quote}.")


def _default_smp(wish: Wish, now_ns: int) -> str:
    """Since 2026-11-09 an order that says nothing is one with `cancel_maker`, unless it is post-only."""
    return "cancel_maker" if now_ns >= SMP_BY_DEFAULT_NS and wish.time_in_force != "post_only" else "none"
