"""exchangeInfo to `Instrument` (reference section 6).

A filter that is absent, or a value of 0, is a rule that does not exist; filters unknown to us are ignored, because
the venue adds some every year and still checks them itself.  An order may be placed only in status TRADING, be
canceled in CANCEL_ONLY; every other word, known or not, means that nothing is tradable.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from protocols.enums import OrdType
from protocols.ids import Symbol, Venue
from protocols.instruments import Instrument, InstrumentStatus, PriceStep, Product
from protocols.venues.binance_common.instruments import grid_rules
from protocols.venues.binance_common.wire import FILTER_NAME
from protocols.venues.binance_spot.wire import Filter, SymbolRow
from protocols.venues.values import ZERO, amount

__all__ = ["instruments_of"]

_ORD_TYPES = {
    "LIMIT": OrdType.LIMIT,
    "MARKET": OrdType.MARKET,
    "STOP_LOSS": OrdType.STOP,
    "STOP_LOSS_LIMIT": OrdType.STOP_LIMIT,
    "TAKE_PROFIT": OrdType.TAKE_PROFIT,
    "TAKE_PROFIT_LIMIT": OrdType.TAKE_PROFIT_LIMIT,
}
_KNOWN_FILTERS = frozenset(
    {
        "PRICE_FILTER",
        "LOT_SIZE",
        "MARKET_LOT_SIZE",
        "PERCENT_PRICE",
        "PERCENT_PRICE_BY_SIDE",
        "MIN_NOTIONAL",
        "NOTIONAL",
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
    return Instrument(
        venue=venue,
        symbol=Symbol(row.symbol),
        product=Product.SPOT,
        base=row.baseAsset,
        quote=row.quoteAsset,
        status=_status(row),
        ord_types=frozenset(_ORD_TYPES[name] for name in row.orderTypes if name in _ORD_TYPES),
        **rules,
    )


def _status(row: SymbolRow) -> InstrumentStatus:
    if not row.isSpotTradingAllowed:
        return InstrumentStatus.HALTED
    if row.status == "TRADING":
        return InstrumentStatus.TRADING
    return InstrumentStatus.CANCEL_ONLY if row.status == "CANCEL_ONLY" else InstrumentStatus.HALTED


def _rules(name: str, rule: Filter) -> dict[str, Any]:
    """The Instrument fields that one filter sets."""
    grid = grid_rules(name, rule)
    if grid is not None:
        return grid
    match name:
        case "PERCENT_PRICE":
            up, down = amount(rule.multiplierUp), amount(rule.multiplierDown)
            return {
                "bid_multiplier_up": up,
                "bid_multiplier_down": down,
                "ask_multiplier_up": up,
                "ask_multiplier_down": down,
            }
        case "PERCENT_PRICE_BY_SIDE":
            return {
                "bid_multiplier_up": amount(rule.bidMultiplierUp),
                "bid_multiplier_down": amount(rule.bidMultiplierDown),
                "ask_multiplier_up": amount(rule.askMultiplierUp),
                "ask_multiplier_down": amount(rule.askMultiplierDown),
            }
        case "MIN_NOTIONAL":
            return {
                "min_notional": amount(rule.minNotional),
                "min_notional_applies_to_market": rule.applyToMarket,
            }
        case "NOTIONAL":
            return {
                "min_notional": amount(rule.minNotional),
                "min_notional_applies_to_market": rule.applyMinToMarket,
                "max_notional": amount(rule.maxNotional),
                "max_notional_applies_to_market": rule.applyMaxToMarket,
            }
        case "MAX_NUM_ORDERS":
            return {"max_open_orders": rule.maxNumOrders}
        case _:
            return {"max_algo_orders": rule.maxNumAlgoOrders}
