"""Price-time priority, and what may come of it: fills, prevention of self-trades, expiry.

`match` runs one incoming order against the facing side of the book. At each price the recorded (displayed)
liquidity stands first, then the queue in order of arrival. An iceberg trades its visible slice, then goes to the
end of the queue with a new one. Nothing here awaits or reads a clock; the time is that of the whole action.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from tools.simulator.core import margin
from tools.simulator.core.book import BookSide, Level
from tools.simulator.core.decimals import ZERO, floor_to
from tools.simulator.core.market import Market
from tools.simulator.core.model import ExecType, Fill, Order, OrdStatus, StpMode, Trade
from tools.simulator.core.settlement import affordable_qty, settle

if TYPE_CHECKING:
    from tools.simulator.core.exchange import Exchange


def would_match(market: Market, order: Order) -> bool:
    """Would this limit order take liquidity if it entered now?"""
    facing = market.book.facing(order)
    level = facing.best_tradable()
    return level is not None and facing.crosses(level.price, order.limit_px)


def fillable_qty(market: Market, order: Order) -> Decimal:
    """How much of the order the facing side could fill at once (fill-or-kill).

    Own orders are left out; where the order's mode would cut itself on meeting one, it gets no further than that.
    """
    facing, total, wanted = market.book.facing(order), ZERO, order.open_qty
    for level in facing:
        if not facing.crosses(level.price, order.limit_px) or total >= wanted:
            break
        total += max(level.available, ZERO)
        for maker in level.queue:
            if not prevented(order, maker):
                total += margin.tradable_qty(maker) if market.spec.is_linear else maker.open_qty
            elif order.stp_mode is not StpMode.EXPIRE_MAKER:
                return total
    return total


def market_cost(market: Market, order: Order) -> Decimal:
    """What a market buy of the order's quantity would pay on today's book."""
    left, cost = order.open_qty, ZERO
    for level in market.book.facing(order):
        take = min(left, level.tradable)
        if take > 0:
            cost += market.spec.amount_up(level.price, take)
            left -= take
        if left <= 0:
            break
    return cost


def qty_for_quote(market: Market, order: Order) -> Decimal:
    """How much base an order by quote amount asks for, in whole steps, given today's book.

    Where the book runs out before the money does, a buy asks for one step more than there is: its rest then
    expires for want of liquidity, as it should.
    """
    left, total = order.quote_order_qty, ZERO
    step = market.spec.step_size
    for level in market.book.facing(order):
        affordable = floor_to(left / level.price, step)
        take = min(affordable, level.tradable)
        total += take
        left -= market.spec.amount(level.price, take)
        if take == affordable:
            return total
    return total + step if order.is_buy else total


def prevented(taker: Order, maker: Order) -> bool:
    """Would these two be the same hand on both sides, and does the taker's mode forbid that?"""
    if taker.stp_mode is StpMode.NONE or taker.account is None or maker.account is None:
        return False
    if taker.account is maker.account:
        return True
    return taker.account.trade_group != -1 and taker.account.trade_group == maker.account.trade_group


def match(ex: Exchange, market: Market, taker: Order, now_ns: int) -> list[Fill]:
    """Trade the order as far as it goes; returns its own fills. The rest is the caller's to rest or expire."""
    fills: list[Fill] = []
    facing = market.book.facing(taker)
    while taker.is_live and taker.open_qty > 0:
        level = facing.best_tradable()
        if level is None or not facing.crosses(level.price, taker.limit_px):
            break
        maker = None if level.available > 0 else level.queue[0]
        if maker is not None and prevented(taker, maker):
            _prevent(ex, market, taker, maker, now_ns)
            continue
        available = level.available if maker is None else maker.show_qty
        qty = min(taker.open_qty, available)
        if market.spec.is_linear:
            qty = min(qty, margin.tradable_qty(taker))
            if qty <= 0:
                break
            if maker is not None:
                qty = min(qty, margin.tradable_qty(maker))
                if qty <= 0:  # it was to reduce a position that is no more
                    ex.expire_resting(market, maker, "REDUCE_ONLY")
                    continue
            fill = _trade(ex, market, facing, level, taker, maker, qty, now_ns)
            if fill is not None:
                fills.append(fill)
            continue
        limit = affordable_qty(taker.account, taker, market.spec, level.price)
        if limit is not None and limit < qty:
            qty = floor_to(limit, market.spec.step_size)
            if qty <= 0:
                break
        fill = _trade(ex, market, facing, level, taker, maker, qty, now_ns)
        if fill is not None:
            fills.append(fill)
    return fills


def _trade(
    ex: Exchange,
    market: Market,
    facing: BookSide,
    level: Level,
    taker: Order,
    maker: Order | None,
    qty: Decimal,
    now_ns: int,
) -> Fill | None:
    """One print between the taker and the front of the level."""
    price = level.price
    trade = Trade(
        symbol=market.symbol,
        trade_id=market.next_trade_id(),
        price=price,
        qty=qty,
        quote_qty=market.spec.amount(price, qty),
        time_ns=now_ns,
        buyer_is_maker=not taker.is_buy,
    )
    if maker is None:
        level.taken += qty
    else:
        fill_maker(ex, market, maker, trade)
    ex.print_trade(market, trade)
    fill = _settle(ex, taker, market, trade, is_maker=False)
    taker.ord_status = OrdStatus.FILLED if taker.open_qty <= 0 else OrdStatus.PARTIALLY_FILLED
    ex.report_fill(market, taker, fill)
    return fill


def fill_maker(ex: Exchange, market: Market, maker: Order, trade: Trade) -> None:
    """Book a print on a resting order and keep its place, its slice and its level right."""
    side = market.book.side_of(maker)
    level = side.level(maker.price)
    fill = _settle(ex, maker, market, trade, is_maker=True)
    if maker.iceberg_qty:
        maker.visible_qty -= trade.qty
    if maker.open_qty <= 0:
        maker.ord_status = OrdStatus.FILLED
        level.queue.remove(maker)
        side.tidy(level)
    else:
        maker.ord_status = OrdStatus.PARTIALLY_FILLED
        if maker.iceberg_qty and maker.visible_qty <= 0:
            maker.visible_qty = min(maker.iceberg_qty, maker.open_qty)
            side.move_back(maker)
    market.touch(maker.side, maker.price)
    ex.report_fill(market, maker, fill)


def _settle(ex: Exchange, order: Order, market: Market, trade: Trade, *, is_maker: bool) -> Fill | None:
    """Assets change hands, or a position moves."""
    if market.spec.is_linear:
        return margin.settle(ex, order, market.spec, trade, is_maker=is_maker)
    return settle(order, market.spec, trade, is_maker=is_maker)


def fill_alone(ex: Exchange, market: Market, maker: Order, qty: Decimal, now_ns: int) -> None:
    """A resting order trades with the recorded market, which has no account here."""
    if market.spec.is_linear:
        qty = min(qty, margin.tradable_qty(maker))
        if qty <= 0:
            return
    trade = Trade(
        symbol=market.symbol,
        trade_id=market.next_trade_id(),
        price=maker.price,
        qty=qty,
        quote_qty=market.spec.amount(maker.price, qty),
        time_ns=now_ns,
        buyer_is_maker=maker.is_buy,
    )
    fill_maker(ex, market, maker, trade)


def fill_from_displayed(ex: Exchange, market: Market, maker: Order, now_ns: int) -> None:
    """The recorded book has moved across a resting order: it trades, at its own price, what stands there."""
    facing = market.book.facing(maker)
    for level in facing:
        if maker.open_qty <= 0 or not facing.crosses(level.price, maker.price):
            return
        take = min(maker.open_qty, level.available)
        if take > 0:
            level.taken += take
            fill_alone(ex, market, maker, take, now_ns)


def _prevent(ex: Exchange, market: Market, taker: Order, maker: Order, now_ns: int) -> None:
    """The taker's mode decides who pays for meeting its own hand; nothing trades."""
    mode = taker.stp_mode
    if mode is StpMode.TRANSFER and maker.stp_mode is not StpMode.TRANSFER:
        mode = StpMode.DECREMENT
    match_id = market.next_prevented_id()
    price = maker.price
    common = min(taker.open_qty, maker.open_qty)
    cut: list[tuple[Order, Order, Decimal]] = []  # whose quantity goes, against whom, how much
    if mode in (StpMode.EXPIRE_TAKER, StpMode.EXPIRE_BOTH):
        cut.append((taker, maker, taker.open_qty))
    if mode in (StpMode.EXPIRE_MAKER, StpMode.EXPIRE_BOTH):
        cut.append((maker, taker, maker.open_qty))
    if mode in (StpMode.DECREMENT, StpMode.TRANSFER):
        cut += [(taker, maker, common), (maker, taker, common)]
    if mode is StpMode.TRANSFER:
        _transfer(market, taker, maker, price, common)
    for order, counter, qty in cut:
        order.prevented_qty += qty
        order.prevented_match_id = match_id
        order.update_ns = now_ns
        if order is maker:
            maker.visible_qty = min(maker.visible_qty, maker.open_qty)
            market.touch(maker.side, price)
        if order.open_qty <= 0:
            order.ord_status = OrdStatus.EXPIRED_IN_MATCH
            if order is maker:
                market.book.side_of(maker).remove(maker)
        ex.report(
            market,
            order,
            ExecType.TRADE_PREVENTION,
            prevented_qty=qty,
            prevented_px=price,
            prevented_match_id=match_id,
            counter_order_id=counter.order_id,
            counter_symbol=counter.symbol,
            trade_group=-1 if order.account is None else order.account.trade_group,
        )
        ex.after_prevention(market, order)


def _transfer(market: Market, taker: Order, maker: Order, price: Decimal, qty: Decimal) -> None:
    """Between two accounts of one group the assets change hands without a trade and without commission."""
    buyer, seller = (taker, maker) if taker.is_buy else (maker, taker)
    if buyer.account is seller.account or buyer.account is None or seller.account is None:
        return
    quote = market.spec.amount(price, qty)
    for order, asset, amount, receiver in (
        (buyer, market.spec.quote, quote, seller.account),
        (seller, market.spec.base, qty, buyer.account),
    ):
        assert order.account is not None
        from_lock = min(amount, order.locked)
        order.account.spend_locked(asset, from_lock)
        order.locked -= from_lock
        order.account.credit(asset, from_lock - amount)
        receiver.credit(asset, amount)
