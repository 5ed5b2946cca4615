"""Linear contracts: positions, margin, profit and loss, funding, the end of accounts that cannot pay.

Nothing is locked for a contract order.  The wallet of the settlement asset holds money only; what positions and open
orders bind is computed whenever somebody asks (`wallet`), so it can never drift from them:

    available = wallet - isolated margins + unrealized of crossed positions - their margin - margin of open orders

Initial margin is notional over leverage: positions at the mark price, orders at theirs.  Orders that only reduce bind
nothing; of buys and sells in one-way mode the larger side counts.  Commission is paid in the settlement asset.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

import attrs

from tools.simulator.core.accounts import Account, Position
from tools.simulator.core.decimals import ASSET_UNIT, ONE, ZERO, fee_floor
from tools.simulator.core.market import Market
from tools.simulator.core.model import (
    PRICELESS,
    Fill,
    MarginMode,
    Order,
    PositionSide,
    Reject,
    RejectReason,
    Side,
    SymbolSpec,
    Trade,
)

if TYPE_CHECKING:
    from tools.simulator.core.exchange import Exchange


@attrs.frozen(kw_only=True)
class Wallet:
    """One settlement asset of one account, with what its contracts make of it."""

    balance: Decimal
    isolated: Decimal
    unrealized: Decimal  # of all positions
    cross_unrealized: Decimal
    position_margin: Decimal  # initial margin of all positions
    cross_position_margin: Decimal
    order_margin: Decimal
    maintenance: Decimal  # of all positions
    cross_maintenance: Decimal
    spot_locked: Decimal

    @property
    def equity(self) -> Decimal:
        """Wallet and unrealized profit: what is left if everything is closed at the mark price."""
        return self.balance + self.unrealized

    @property
    def available(self) -> Decimal:
        """What new orders may bind; may be below zero."""
        bound = self.isolated + self.cross_position_margin + self.order_margin + self.spot_locked
        return self.balance + self.cross_unrealized - bound


def reduces(order: Order) -> bool:
    """Can this order only make a position smaller?  In hedge mode the sides say it."""
    if order.position_side is PositionSide.BOTH:
        return order.reduce_only or order.close_position
    return order.is_buy == (order.position_side is PositionSide.SHORT)


def reducible(order: Order) -> Decimal:
    """How much of its position the order's side can close."""
    account = order.account
    if account is None:
        return ZERO
    found = account.positions.get((order.symbol, order.position_side))
    if found is None:
        return ZERO
    return max(ZERO, -found.qty if order.is_buy else found.qty)


def tradable_qty(order: Order) -> Decimal:
    """What of the order may still trade: its open quantity, no more than there is to close where it only reduces."""
    open_qty = order.open_qty
    if (order.reduce_only or order.position_side is not PositionSide.BOTH) and reduces(order):
        return min(open_qty, reducible(order))
    return open_qty


# ------------------------------------------------------------------------------------------------ measures
def notional(market: Market, position: Position) -> Decimal:
    """At the mark price, never negative."""
    return abs(position.qty) * market.mark_px * market.spec.contract_size


def unrealized(market: Market, position: Position) -> Decimal:
    return (market.mark_px - position.entry_px) * position.qty * market.spec.contract_size


def position_margin(market: Market, position: Position) -> Decimal:
    """Initial margin."""
    return notional(market, position) / position.account.margin(position.symbol).leverage


def maintenance(market: Market, position: Position) -> Decimal:
    return notional(market, position) * market.spec.maintenance_rate


def liquidation_px(ex: Exchange, position: Position) -> Decimal:
    """Where the position would be taken over if nothing else moved; zero where there is no such price."""
    market = ex.markets[position.symbol]
    if not position.qty:
        return ZERO
    account, size = position.account, position.qty * market.spec.contract_size
    if account.margin(position.symbol).mode is MarginMode.ISOLATED:
        backing = position.isolated_wallet
    else:
        purse = wallet(ex, account, market.spec.settle)
        others = purse.cross_unrealized - unrealized(market, position)
        others_need = purse.cross_maintenance - maintenance(market, position)
        backing = purse.balance - purse.isolated + others - others_need
    slope = size - abs(size) * market.spec.maintenance_rate
    price = (position.entry_px * size - backing) / slope
    return max(ZERO, price)


def _binding(account: Account, symbol: str, plus: Order | None) -> Iterator[Order]:
    """Open orders of the symbol that bind margin; `plus` is counted as if it were open, instead of its old self."""
    for order in account.open_orders.values():
        if order.symbol == symbol and order is not plus and order.is_working and not reduces(order):
            yield order
    if plus is not None and plus.symbol == symbol and not reduces(plus):
        yield plus


def _order_value(market: Market, order: Order) -> Decimal:
    """What the open part is worth; an order without a price counts at the best price it would meet."""
    price = order.price
    if order.ord_type in PRICELESS or not price:
        facing = market.book.facing(order).best_tradable()
        price = market.mark_px if facing is None else facing.price
    return price * order.open_qty * market.spec.contract_size


def order_margin(market: Market, account: Account, plus: Order | None = None) -> Decimal:
    """Initial margin of the symbol's open orders, `plus` one that is about to be."""
    totals: dict[tuple[PositionSide, Side], tuple[Decimal, Decimal]] = {}
    for order in _binding(account, market.symbol, plus):
        qty, value = totals.get((order.position_side, order.side), (ZERO, ZERO))
        totals[order.position_side, order.side] = (qty + order.open_qty, value + _order_value(market, order))
    if not totals:
        return ZERO
    one_way = account.positions.get((market.symbol, PositionSide.BOTH))
    held = ZERO if one_way is None else one_way.qty
    sides = {Side.BUY: max(ZERO, -held), Side.SELL: max(ZERO, held)}  # what each side closes before it opens
    worst = ZERO
    for side, closes in sides.items():
        qty, value = totals.get((PositionSide.BOTH, side), (ZERO, ZERO))
        if qty > closes:
            worst = max(worst, value * (qty - closes) / qty)
    hedged = sum((value for (where, _), (_, value) in totals.items() if where is not PositionSide.BOTH), ZERO)
    return (worst + hedged) / account.margin(market.symbol).leverage


def wallet(ex: Exchange, account: Account, asset: str, plus: Order | None = None) -> Wallet:
    """The asset's money and margin, with `plus` counted as open."""
    balance = account.balance(asset)
    sums = dict.fromkeys(("isolated", "pnl", "cross_pnl", "margin", "cross_margin", "keep", "cross_keep"), ZERO)
    for position in account.positions.values():
        market = ex.markets[position.symbol]
        if market.spec.settle != asset or not position.qty:
            continue
        pnl, margin, keep = (
            unrealized(market, position),
            position_margin(market, position),
            maintenance(market, position),
        )
        sums["pnl"] += pnl
        sums["margin"] += margin
        sums["keep"] += keep
        if account.margin(position.symbol).mode is MarginMode.ISOLATED:
            sums["isolated"] += position.isolated_wallet
        else:
            sums["cross_pnl"] += pnl
            sums["cross_margin"] += margin
            sums["cross_keep"] += keep
    symbols = {symbol for symbol, _ in account.open_orders}
    if plus is not None:
        symbols.add(plus.symbol)
    orders = ZERO
    for symbol in symbols:
        market = ex.markets[symbol]
        if market.spec.is_linear and market.spec.settle == asset:
            orders += order_margin(market, account, plus)
    return Wallet(
        balance=balance.total,
        isolated=sums["isolated"],
        unrealized=sums["pnl"],
        cross_unrealized=sums["cross_pnl"],
        position_margin=sums["margin"],
        cross_position_margin=sums["cross_margin"],
        order_margin=orders,
        maintenance=sums["keep"],
        cross_maintenance=sums["cross_keep"],
        spot_locked=balance.locked,
    )


# ------------------------------------------------------------------------------------------------- checks
def check_order(ex: Exchange, market: Market, order: Order, before: Decimal | None = None) -> None:
    """May this order enter, or stand as it is about to be?  Raises Reject.

    `before` is the symbol's order margin until now; it need not be given for an order that is not open yet.
    """
    account = order.account
    if account is None:
        return
    if reduces(order):
        if not reducible(order):
            raise Reject(RejectReason.REDUCE_ONLY, order)
        return
    before = order_margin(market, account) if before is None else before
    purse = wallet(ex, account, market.spec.settle, plus=order)
    if purse.available < 0 and order_margin(market, account, order) > before:
        raise Reject(RejectReason.INSUFFICIENT_MARGIN, order)


def can_spend(ex: Exchange, account: Account, asset: str, amount: Decimal) -> bool:
    """May a spot order lock this much, with the contracts of the same wallet in view?"""
    if not account.positions and not any(ex.markets[symbol].spec.is_linear for symbol, _ in account.open_orders):
        return True
    return wallet(ex, account, asset).available >= amount


# --------------------------------------------------------------------------------------------- settlement
def settle(ex: Exchange, order: Order, spec: SymbolSpec, trade: Trade, *, is_maker: bool) -> Fill | None:
    """Book one side of a trade on the order, the position and the wallet.  None for the street."""
    order.cum_qty += trade.qty
    order.cum_quote += trade.quote_qty
    order.update_ns = trade.time_ns
    account = order.account
    if account is None:
        return None
    position = account.position(spec.symbol, order.position_side)
    signed = trade.qty if order.is_buy else -trade.qty
    realized = move(position, signed, trade.price, spec, ex.clock.now_ns())
    rate = account.rate(spec.category, maker=is_maker)
    commission = fee_floor(trade.quote_qty, rate)
    position.fees += commission
    account.book(spec.settle, realized - commission)
    account.update_ns = ex.clock.now_ns()
    order.realized += realized
    order.commission += commission
    order.commission_asset = spec.settle
    ex.touch_position(position, "ORDER", spec.settle, realized - commission)
    fill = Fill(
        trade=trade,
        order_id=order.order_id,
        order_list_id=-1,
        side=order.side,
        is_maker=is_maker,
        commission=commission,
        commission_asset=spec.settle,
        realized=realized,
        position_side=order.position_side,
    )
    account.fills.setdefault(spec.symbol, []).append(fill)
    return fill


def move(position: Position, signed: Decimal, price: Decimal, spec: SymbolSpec, now_ns: int) -> Decimal:
    """Change the position by a signed quantity at a price; the profit of what that closes."""
    settings = position.account.margin(spec.symbol)
    realized = ZERO
    position.update_ns = now_ns
    closes = min(abs(signed), abs(position.qty)) if (signed > 0) != (position.qty > 0) else ZERO
    if closes:
        part = closes if position.qty > 0 else -closes
        realized = ((price - position.entry_px) * part * spec.contract_size).quantize(ASSET_UNIT)
        position.isolated_wallet -= position.isolated_wallet * closes / abs(position.qty)
        position.qty -= part
        position.realized += realized
        position.opened_realized += realized
    opens = abs(signed) - closes
    if not position.qty:
        position.entry_px = position.isolated_wallet = ZERO
        if opens:
            position.opened_realized = position.fees = position.funding = ZERO
            position.opened_ns = now_ns
    if opens:
        grown = abs(position.qty) + opens
        position.entry_px = (position.entry_px * abs(position.qty) + price * opens) / grown
        position.qty = grown if signed > 0 else -grown
        if settings.mode is MarginMode.ISOLATED:
            position.isolated_wallet += price * opens * spec.contract_size / settings.leverage
    return realized


# ------------------------------------------------------------------------------------- funding, settings
def pay_funding(ex: Exchange, market: Market, rate: Decimal) -> None:
    """Every position pays or gets `qty * mark * rate`: longs pay where the rate is positive."""
    spec = market.spec
    for account in ex.accounts.by_name.values():
        for position in account.positions.values():
            if position.symbol != market.symbol or not position.qty:
                continue
            amount = -(position.qty * market.mark_px * spec.contract_size * rate).quantize(ASSET_UNIT)
            position.funding += amount
            isolated = account.margin(market.symbol).mode is MarginMode.ISOLATED
            if isolated:
                position.isolated_wallet += amount
            account.book(spec.settle, amount)
            ex.touch_position(position, "FUNDING", spec.settle, amount, rate=rate)


def has_business(account: Account, symbol: str = "") -> tuple[bool, bool]:
    """Does the account have open orders, and a position, in the symbol (or in any)?"""
    orders = any(not symbol or where == symbol for where, _ in account.open_orders)
    held = any(each.qty and (not symbol or each.symbol == symbol) for each in account.positions.values())
    return orders, held


def doomed(ex: Exchange, share: Decimal = ONE) -> list[Position]:
    """Positions whose maintenance margin takes more than this share of what backs them, all of it by default:
    isolated ones by themselves, crossed ones with their whole account."""
    found: list[Position] = []
    for account in ex.accounts.by_name.values():
        crossed: dict[str, list[Position]] = {}
        for position in account.positions.values():
            if not position.qty:
                continue
            market = ex.markets[position.symbol]
            if account.margin(position.symbol).mode is MarginMode.ISOLATED:
                if (position.isolated_wallet + unrealized(market, position)) * share < maintenance(market, position):
                    found.append(position)
            else:
                crossed.setdefault(market.spec.settle, []).append(position)
        for asset, positions in crossed.items():
            purse = wallet(ex, account, asset)
            if (purse.balance - purse.isolated + purse.cross_unrealized) * share < purse.cross_maintenance:
                found += positions
    return found
