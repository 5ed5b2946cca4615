"""instruments-info to `Instrument` (reference section 5).

A bound that is absent or "" is a rule that does not exist.  Orders are taken in status Trading alone: PreLaunch,
PendingOpen, Delivering, Closed and every word of next year mean that nothing is tradable.

| rule               | contracts                  | spot                                  |
| ------------------ | -------------------------- | ------------------------------------- |
| quantity step      | qtyStep, base units        | basePrecision                         |
| least              | minOrderQty and a notional | a notional (`minOrderQty` is outdated) |
| most, by order type| maxOrderQty, maxMktOrderQty| maxLimitOrderQty, maxMarketOrderQty   |

Older lists of spot have one bound for both types, `maxOrderQty`.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from protocols.enums import CONDITIONAL_TYPES, OrdType
from protocols.ids import Symbol, Venue
from protocols.instruments import Instrument, InstrumentStatus, PriceStep, Product, plain
from protocols.venues.bybit.limits import OPEN_ORDERS_MAX
from protocols.venues.bybit.wire import InstrumentRow, LotSizeFilter, Maybe
from protocols.venues.values import ZERO, amount

__all__ = ["ORD_TYPES", "instruments_of"]

ORD_TYPES = {product: CONDITIONAL_TYPES | {OrdType.LIMIT, OrdType.MARKET} for product in (Product.SPOT, Product.LINEAR)}


def instruments_of(venue: Venue, product: Product, rows: Iterable[InstrumentRow]) -> tuple[Instrument, ...]:
    """All symbols of an instruments-info answer.  Raises RemoteProtocolError for an impossible number."""
    return tuple(_instrument(venue, product, row) for row in rows)


def _instrument(venue: Venue, product: Product, row: InstrumentRow) -> Instrument:
    lots, prices = row.lotSizeFilter, row.priceFilter
    sizes = _spot_sizes(lots) if product is Product.SPOT else _contract_sizes(lots)
    max_open_orders, max_algo_orders = OPEN_ORDERS_MAX[product]
    return Instrument(
        venue=venue,
        symbol=Symbol(row.symbol),
        product=product,
        base=row.baseCoin,
        quote=row.quoteCoin,
        status=InstrumentStatus.TRADING if row.status == "Trading" else InstrumentStatus.HALTED,
        price_steps=(PriceStep(ZERO, _bound(prices.tickSize)),),
        min_price=_bound(prices.minPrice),
        max_price=_bound(prices.maxPrice),
        max_open_orders=max_open_orders,
        max_algo_orders=max_algo_orders,
        ord_types=ORD_TYPES[product],
        **sizes,
    )


def _contract_sizes(lots: LotSizeFilter) -> dict[str, Any]:
    return {
        "qty_step": _bound(lots.qtyStep),
        "min_qty": _bound(lots.minOrderQty),
        "max_qty": _bound(lots.maxOrderQty),
        "market_max_qty": _bound(lots.maxMktOrderQty),
        "min_notional": _bound(lots.minNotionalValue),
    }


def _spot_sizes(lots: LotSizeFilter) -> dict[str, Any]:
    return {
        "qty_step": _bound(lots.basePrecision),
        "max_qty": _bound(lots.maxLimitOrderQty or lots.maxOrderQty),
        "market_max_qty": _bound(lots.maxMarketOrderQty),
        "min_notional": _bound(lots.minOrderAmt),
    }


def _bound(text: Maybe) -> Decimal:
    """A step or bound without the trailing zeros that would show up in every rounded price; 0 for none."""
    return Decimal(plain(amount(text))) if text else ZERO
