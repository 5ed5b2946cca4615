"""The rest of the world: traders without an account here, and the recorded market.

In a generated market they take and quote on the same book as everybody. A recorded market is told: its prints may
fill users' resting orders, and so may its book when it moves across them; nothing of that becomes public.
"""

from __future__ import annotations

from decimal import Decimal

from tools.simulator.core import matching
from tools.simulator.core.book import BookSide
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.exchange import Exchange
from tools.simulator.core.market import Market
from tools.simulator.core.model import Order, OrdType, Side, TimeInForce, Trade


def trade(ex: Exchange, symbol: str, side: Side, qty: Decimal, price: Decimal | None) -> None:
    """Somebody without an account takes liquidity, down (or up) to `price` where one is given."""
    market = ex.markets[symbol]
    if not market.publishes_queue:
        trade = Trade(
            symbol=symbol,
            trade_id=market.next_trade_id(),
            price=price or market.last_px,
            qty=qty,
            quote_qty=market.spec.amount(price or market.last_px, qty),
            time_ns=market.time_ns(ex.clock.now_ns()),
            buyer_is_maker=side is Side.SELL,
        )
        recorded_trade(ex, trade)
        return
    ex.submit(
        Order(
            symbol=symbol,
            account=None,
            cl_ord_id="",
            side=side,
            ord_type=OrdType.MARKET if price is None else OrdType.LIMIT,
            time_in_force=TimeInForce.IOC,
            price=price or ZERO,
            order_qty=qty,
        )
    )


def quote(ex: Exchange, symbol: str, side: Side, qty: Decimal, price: Decimal) -> None:
    """Somebody without an account quotes; in a recorded market the displayed quantity becomes `qty`."""
    market = ex.markets[symbol]
    if not market.publishes_queue:
        book = market.book
        (book.bids if side is Side.BUY else book.asks).set_displayed(price, qty)
        recorded_book_moved(ex, market)
        return
    ex.submit(
        Order(
            symbol=symbol,
            account=None,
            cl_ord_id="",
            side=side,
            ord_type=OrdType.LIMIT,
            price=price,
            order_qty=qty,
        )
    )


def recorded_trade(ex: Exchange, trade: Trade) -> None:
    """A print of a replayed market: the last price moves, and users' resting orders may fill.

    All that stand at a better price than the print fill whole (the market went through them), those at its
    price in turn, up to the printed quantity.
    """
    market = ex.markets[trade.symbol]
    market.record_trade(trade)
    market.note_price(trade.price)
    if market.open_orders:
        side = market.book.bids if trade.buyer_is_maker else market.book.asks
        _fill_resting(ex, market, side, trade.price, trade.qty)
        ex.finish_action(market)


def _fill_resting(ex: Exchange, market: Market, side: BookSide, price: Decimal, qty: Decimal) -> None:
    makers: list[Order] = []
    for level in side:
        if not side.crosses(level.price, price):
            break
        makers.extend(level.queue)
    left = qty
    for maker in makers:
        take = maker.open_qty
        if maker.price == price:
            take = min(take, left)
            left -= take
        if take > 0 and maker.is_live:
            matching.fill_alone(ex, market, maker, take, ex.clock.now_ns())


def recorded_book_moved(ex: Exchange, market: Market) -> None:
    """The recorded book changed: it may now stand across users' resting orders, which then fill."""
    if not market.open_orders:
        return
    book, now = market.book, ex.clock.now_ns()
    for ours, theirs in ((book.bids, book.asks), (book.asks, book.bids)):
        front = theirs.best_displayed()
        if front is None:
            continue
        crossed: list[Order] = []
        for level in ours:
            if not theirs.crosses(front.price, level.price):
                break
            crossed.extend(level.queue)
        for order in crossed:
            if order.is_live:
                matching.fill_from_displayed(ex, market, order, now)
    ex.finish_action(market)
