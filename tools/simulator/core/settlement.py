"""Locks and settlement: how money is reserved for an order and moves in a fill.

Reserved on entry: a buy locks quote (rounded up), a sell locks base. In a fill the buyer pays quote out of its
lock and receives base less commission; the seller the reverse. Commission is taken in the asset received. What
a better price saved is released at once, so that the lock always equals what the leaves can still cost.

Where the venue takes its commission in quote from both sides (`SymbolSpec.fee_in_quote`), a buy locks and pays it on
top and receives its base whole.
"""

from __future__ import annotations

from decimal import Decimal

from tools.simulator.core.accounts import Account
from tools.simulator.core.decimals import ONE, ZERO, fee_floor, quote_ceil
from tools.simulator.core.model import PRICELESS, Fill, Order, SymbolSpec, Trade, with_commission


def required_lock(order: Order, market_cost: Decimal) -> Decimal:
    """What must be free before the order may enter. `market_cost` is what a MARKET buy by quantity would
    cost on today's book; unused for everything else."""
    if not order.is_buy:
        return order.open_qty
    if order.quote_order_qty:
        cost = order.quote_order_qty
    elif order.is_conditional and order.ord_type in PRICELESS:
        cost = quote_ceil(order.stop_px, order.open_qty) if order.stop_px else market_cost
    elif order.ord_type in PRICELESS:
        cost = market_cost
    else:
        cost = quote_ceil(order.price, order.open_qty)
    return with_commission(cost, order.lock_rate)


def reserve(order: Order, spec: SymbolSpec, amount: Decimal) -> bool:
    """Lock `amount` for the order; False where the account cannot."""
    order.locked_asset = spec.quote if order.is_buy else spec.base
    account = order.account
    if account is None:
        return True
    if not account.lock(order.locked_asset, amount):
        return False
    order.locked += amount
    return True


def release(order: Order, keep: Decimal = ZERO) -> None:
    """Give back what is locked beyond `keep`."""
    account, excess = order.account, order.locked - keep
    if account is None or excess <= 0:
        return
    account.unlock(order.locked_asset, excess)
    order.locked -= excess


def settle(order: Order, spec: SymbolSpec, trade: Trade, *, is_maker: bool) -> Fill | None:
    """Book one side of a trade: quantities on the order, money on the account. None for the street."""
    order.cum_qty += trade.qty
    order.cum_quote += trade.quote_qty
    order.update_ns = trade.time_ns
    account = order.account
    if account is None:
        return None
    rate = account.rate(spec.category, maker=is_maker)
    paid = trade.quote_qty if order.is_buy else trade.qty
    received = trade.qty if order.is_buy else trade.quote_qty
    commission = fee_floor(trade.quote_qty if spec.fee_in_quote else received, rate)
    if spec.fee_in_quote and order.is_buy:
        paid += commission
    else:
        received -= commission
    pay_asset, receive_asset = (spec.quote, spec.base) if order.is_buy else (spec.base, spec.quote)
    from_lock = min(paid, order.locked)
    account.spend_locked(pay_asset, from_lock)
    order.locked -= from_lock
    if paid > from_lock:  # a triggered market buy may cost more than its stop price let it lock
        account.credit(pay_asset, from_lock - paid)
    commission_asset = spec.quote if spec.fee_in_quote else receive_asset
    account.credit(receive_asset, received)
    account.update_ns = trade.time_ns
    order.commission += commission
    order.commission_asset = commission_asset
    if order.is_buy and order.limit_px is not None:
        release(order, lock_needed(order))
    fill = Fill(
        trade=trade,
        order_id=order.order_id,
        order_list_id=-1 if order.order_list is None else order.order_list.list_id,
        side=order.side,
        is_maker=is_maker,
        commission=commission,
        commission_asset=commission_asset,
    )
    account.fills.setdefault(spec.symbol, []).append(fill)
    return fill


def affordable_qty(account: Account | None, order: Order, spec: SymbolSpec, price: Decimal) -> Decimal | None:
    """How much a priceless buy can still pay for at `price`; None where money is no limit."""
    if account is None or not order.is_buy or order.limit_px is not None:
        return None
    return (order.locked + account.balance(spec.quote).free) / (price * (ONE + order.lock_rate))


def lock_needed(order: Order) -> Decimal:
    """What the leaves of a live order can still cost: the part of its lock that must stay."""
    if not order.is_buy:
        return order.open_qty
    if order.limit_px is not None:
        return with_commission(quote_ceil(order.price, order.open_qty), order.lock_rate)
    return order.locked
