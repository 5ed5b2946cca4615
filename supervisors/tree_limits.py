"""From `[risk]` in the configuration to the limits that the gates enforce."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from actors.risk.limits import UNLIMITED, AccountLimits, FirmLimits, SymbolLimits
from config.schema import LimitsConfig
from protocols.ids import Symbol

_MS = 1_000_000


def _symbols(given: LimitsConfig, symbols: Iterable[Symbol]) -> dict[Symbol, SymbolLimits]:
    """Every symbol that the engine trades; where nothing tighter is said, the scope's limits hold."""
    rows: dict[Symbol, SymbolLimits] = {}
    for symbol in symbols:
        own = given.symbols.get(symbol)
        rows[symbol] = SymbolLimits(
            max_order_qty=_or_unlimited(own.max_order_qty if own else None),
            max_position_qty=_or_unlimited(own.max_position_qty if own else None),
            max_order_notional=own.max_order_notional if own else None,
            max_position_notional=own.max_position_notional if own else None,
            price_band=own.price_band if own else None,
        )
    return rows


def _or_unlimited(value: Decimal | None) -> Decimal:
    return UNLIMITED if value is None else value


def _common(given: LimitsConfig, symbols: Iterable[Symbol], rates: Mapping[str, Decimal]) -> dict[str, Any]:
    return {
        "rates": rates,
        "max_order_notional": given.max_order_notional,
        "max_position_notional": given.max_position_notional,
        "max_exposure": given.max_exposure,
        "max_open_orders": given.max_open_orders,
        "max_orders_per_s": given.max_orders_per_s,
        "max_orders_per_minute": (
            given.max_orders_per_s * 60 if given.max_orders_per_minute is None else given.max_orders_per_minute
        ),
        "max_orders_per_day": given.max_orders_per_day,
        "price_band": given.price_band,
        "max_quote_age_ns": given.max_quote_age_ms * _MS,
        "symbols": _symbols(given, symbols),
    }


def firm_limits(
    given: LimitsConfig, symbols: Iterable[Symbol], rates: Mapping[str, Decimal] | None = None
) -> FirmLimits:
    """`[risk.firm]` as the gate wants it."""
    return FirmLimits(**_common(given, symbols, rates or {}))


def account_limits(
    given: LimitsConfig, symbols: Iterable[Symbol], rates: Mapping[str, Decimal] | None = None
) -> AccountLimits:
    """`[risk.accounts.<name>]` as the gate wants it."""
    return AccountLimits(**_common(given, symbols, rates or {}), max_repeats=given.max_repeats)
