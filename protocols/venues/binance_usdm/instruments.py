"""exchangeInfo to `Instrument` (reference section 6).

Quantities are base units: a contract is one unit of the base asset.  `pricePrecision` and `quantityPrecision` are not
the steps, and the margin percentages are to be ignored.  The venue's grid begins at its minimum (`(x - min) % step`),
ours at 0; where the two differ nobody has seen the venue's answer, so the symbol is not tradable here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from protocols.enums import OrdType, TimeInForce
from protocols.ids import Symbol, Venue
from protocols.instruments import Instrument, InstrumentStatus, PriceStep, Product
from protocols.venues.binance_common.instruments import grid_rules
from protocols.venues.binance_common.wire import FILTER_NAME
from protocols.venues.binance_usdm.wire import Filter, SymbolRow
from protocols.venues.values import ZERO, amount

__all__ = ["CONTRACT_TYPES", "instruments_of"]

CONTRACT_TYPES = frozenset(
    {
        "PERPETUAL",
        "CURRENT_MONTH",
        "NEXT_MONTH",
        "CURRENT_QUARTER",
        "NEXT_QUARTER",
        "PERPETUAL_DELIVERING",
        "TRADIFI_PERPETUAL",
    }
)
"""An unknown kind of contract is not tradable."""
ORD_TYPES = {
    "LIMIT": OrdType.LIMIT,
    "MARKET": OrdType.MARKET,
    "STOP_MARKET": OrdType.STOP,
    "STOP": OrdType.STOP_LIMIT,
    "TAKE_PROFIT_MARKET": OrdType.TAKE_PROFIT,
    "TAKE_PROFIT": OrdType.TAKE_PROFIT_LIMIT,
}
"""What can be placed here; TRAILING_STOP_MARKET needs numbers that `NewOrder` does not have."""
_TIMES_IN_FORCE = {"GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK}
_KNOWN_FILTERS = frozenset(
    {
        "PRICE_FILTER",
        "LOT_SIZE",
        "MARKET_LOT_SIZE",
        "PERCENT_PRICE",
        "MIN_NOTIONAL",
        "MAX_NUM_ORDERS",
        "MAX_NUM_ALGO_ORDERS",
    }
)
_FILTER = msgspec.json.Decoder(Filter)


def instruments_of(venue: Venue, rows: Iterable[SymbolRow]) -> tuple[Instrument, ...]:
    """All symbols of an exchangeInfo answer.  Raises RemoteProtocolError for an impossible number."""
    return tuple(_instrument(venue, row) for row in rows)


def _instrument(venue: Venue, row: SymbolRow) -> Instrument:
    rules: dict[str, Any] = {"price_steps": (PriceStep(ZERO, ZERO),), "qty_step": ZERO}
    for raw in row.filters:
        name = FILTER_NAME.decode(raw).filterType
        if name in _KNOWN_FILTERS:
            rules.update(_rules(name, _FILTER.decode(raw)))
    tradable = row.status == "TRADING" and row.contractType in CONTRACT_TYPES and _is_on_grid(rules)
    return Instrument(
        venue=venue,
        symbol=Symbol(row.symbol),
        product=Product.LINEAR,
        base=row.baseAsset,
        quote=row.quoteAsset,
        status=InstrumentStatus.TRADING if tradable else InstrumentStatus.HALTED,
        ord_types=frozenset(ORD_TYPES[name] for name in row.orderTypes if name in ORD_TYPES),
        times_in_force=frozenset(_TIMES_IN_FORCE[name] for name in row.timeInForce if name in _TIMES_IN_FORCE),
        **rules,
    )


def _is_on_grid(rules: dict[str, Any]) -> bool:
    """Whether the minima are multiples of their steps, so that both forms of the grid are the same."""
    grids = (
        (rules.get("min_price", ZERO), rules["price_steps"][0].step),
        (rules.get("min_qty", ZERO), rules["qty_step"]),
        (rules.get("market_min_qty", ZERO), rules.get("market_qty_step", ZERO)),
    )
    return all(not step or not low % step for low, step in grids)


def _rules(name: str, rule: Filter) -> dict[str, Any]:
    """The Instrument fields that one filter sets."""
    grid = grid_rules(name, rule)
    if grid is not None:
        return grid
    match name:
        case "PERCENT_PRICE":
            # One-sided: a buy may not be far above the mark price, a sell not far below.
            return {"bid_multiplier_up": amount(rule.multiplierUp), "ask_multiplier_down": amount(rule.multiplierDown)}
        case "MIN_NOTIONAL":
            return {"min_notional": amount(rule.notional), "min_notional_applies_to_market": True}
        case "MAX_NUM_ORDERS":
            return {"max_open_orders": rule.limit}
        case _:
            return {"max_algo_orders": rule.limit}
