"""What happens to linear contracts beside trading: leverage and modes, mark prices, funding, liquidation."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from tools.simulator.core import margin
from tools.simulator.core.accounts import Account, Position
from tools.simulator.core.clock import MINUTE, SECOND
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.market import Market
from tools.simulator.core.model import MarginMode, Order, OrdType, PositionSide, Side

if TYPE_CHECKING:
    from tools.simulator.core.exchange import Exchange

FUNDING_EVERY_NS = 480 * MINUTE


def set_leverage(ex: Exchange, account: Account, symbol: str, leverage: Decimal) -> None:
    """The dialect has checked the bounds and the venue's own rules."""
    account.margin(symbol).leverage = leverage
    for listener in ex.listeners:
        listener.on_settings(account, symbol)


def set_margin_mode(ex: Exchange, account: Account, symbol: str, mode: MarginMode) -> None:
    """Crossed or isolated; an open position takes its initial margin with it."""
    market, settings = ex.markets[symbol], account.margin(symbol)
    settings.mode = mode
    for position in account.positions.values():
        if position.symbol == symbol and position.qty:
            isolated = mode is MarginMode.ISOLATED
            position.isolated_wallet = margin.position_margin(market, position) if isolated else ZERO
    for listener in ex.listeners:
        listener.on_settings(account, symbol)


def set_hedge(ex: Exchange, account: Account, hedge: bool) -> None:
    """One position a symbol, or a long and a short one.  The dialect refuses it with open orders or positions."""
    account.hedge = hedge
    for listener in ex.listeners:
        listener.on_settings(account, "")


def add_isolated(ex: Exchange, position: Position, amount: Decimal) -> bool:
    """Move money into (or, negative, out of) an isolated position's margin; False where it is not there."""
    market = ex.markets[position.symbol]
    purse = margin.wallet(ex, position.account, market.spec.settle)
    left = position.isolated_wallet + amount + min(ZERO, margin.unrealized(market, position))
    if purse.available < amount or (amount < 0 and left < margin.position_margin(market, position)):
        return False
    position.isolated_wallet += amount
    ex.touch_position(position, "MARGIN", market.spec.settle, ZERO)
    ex.finish_action(market)
    return True


def pin_mark(ex: Exchange, symbol: str, price: Decimal, index_px: Decimal | None = None) -> None:
    """A recording, or somebody by hand, says what the mark price is; it no longer follows the book."""
    market = ex.markets[symbol]
    market.mark_pinned = True
    if index_px is not None:
        market.index_px = index_px
    _mark(ex, market, price)


def _mark(ex: Exchange, market: Market, price: Decimal) -> None:
    if market.move_mark(price):
        for listener in ex.listeners:
            listener.on_mark(market)
        ex.finish_action(market)


def tick(ex: Exchange, now_ns: int) -> None:
    """Every 100 ms: mark prices follow the books, funding is paid when due, accounts without margin are closed out."""
    linear = [market for market in ex.markets.values() if market.spec.is_linear]
    if not linear:
        return
    for market in linear:
        if not market.mark_pinned:
            _mark(ex, market, market.fair_px())
        if not market.next_funding_ns:
            market.next_funding_ns = now_ns - now_ns % FUNDING_EVERY_NS + FUNDING_EVERY_NS
        elif now_ns >= market.next_funding_ns:
            fund(ex, market.symbol, market.funding_rate)
            market.next_funding_ns += FUNDING_EVERY_NS
    if now_ns % SECOND < SECOND // 10:
        for position in margin.doomed(ex):
            liquidate(ex, position)


def fund(ex: Exchange, symbol: str, rate: Decimal) -> None:
    """Pay funding now, at this rate of the mark price."""
    market = ex.markets[symbol]
    margin.pay_funding(ex, market, rate)
    ex.finish_action(market)


def liquidate(ex: Exchange, position: Position, cl_ord_id: str = "") -> Order | None:
    """The venue closes the position at the market with an order of its own; None where nothing is open any more."""
    if not position.qty:
        return None
    account = position.account
    for order in list(account.open_orders.values()):
        if order.symbol == position.symbol and order.is_live:
            ex.cancel(order, order.cl_ord_id)
    if not position.qty:
        return None
    order = Order(
        symbol=position.symbol,
        account=account,
        cl_ord_id=cl_ord_id or ex.name_liquidation(position),
        side=Side.SELL if position.qty > 0 else Side.BUY,
        ord_type=OrdType.MARKET,
        order_qty=abs(position.qty),
        position_side=position.side,
        reduce_only=position.side is PositionSide.BOTH,
        extra={"liquidation": True},
    )
    ex.submit(order)
    return order
