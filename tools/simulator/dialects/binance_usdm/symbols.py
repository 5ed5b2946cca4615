"""The instruments: a small list of our own, or any `exchangeInfo` answer read from a file (section 6)."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import attrs

from tools.simulator.core.families import select
from tools.simulator.core.model import MarketKind, SymbolSpec

ORDER_TYPES = ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"]
LIFETIMES = ["GTC", "IOC", "FOK", "GTX", "GTD", "RPI"]

# symbol, base, quote, tick, step, largest quantity, smallest notional, a price to start a generated market from
_DEFAULTS = [
    ("BTCUSDT", "BTC", "USDT", "0.10", "0.001", "1000", "50", "90000"),
    ("ETHUSDT", "ETH", "USDT", "0.01", "0.001", "10000", "20", "3000"),
    ("BNBUSDT", "BNB", "USDT", "0.010", "0.01", "20000", "5", "900"),
    ("SOLUSDT", "SOL", "USDT", "0.0100", "0.01", "100000", "5", "140"),
    ("XRPUSDT", "XRP", "USDT", "0.0001", "0.1", "10000000", "5", "2.2"),
    ("ADAUSDT", "ADA", "USDT", "0.00010", "1", "20000000", "5", "0.45"),
    ("DOGEUSDT", "DOGE", "USDT", "0.000010", "1", "50000000", "5", "0.15"),
    ("BTCUSDC", "BTC", "USDC", "0.1", "0.001", "1000", "50", "90000"),
]
DEFAULT_PRICES = {row[0]: Decimal(row[7]) for row in _DEFAULTS}

# Leverage, notional up to which it holds, maintenance rate; the last column of a bracket follows from them.
_BRACKETS = [
    (125, 300_000, "0.004"),
    (100, 800_000, "0.005"),
    (50, 3_000_000, "0.01"),
    (20, 12_000_000, "0.025"),
    (10, 70_000_000, "0.05"),
    (5, 100_000_000, "0.1"),
    (2, 230_000_000, "0.25"),
    (1, 500_000_000, "0.5"),
]


def brackets() -> list[dict[str, Any]]:
    """The notional brackets, the same for every symbol here; numbers, not text, as the venue has them (12)."""
    rows: list[dict[str, Any]] = []
    floor, rate_before, cum = 0, Decimal(0), Decimal(0)
    for number, (leverage, cap, rate_text) in enumerate(_BRACKETS, 1):
        rate = Decimal(rate_text)
        cum += floor * (rate - rate_before) if rows else 0
        rows.append(
            {
                "bracket": number,
                "initialLeverage": leverage,
                "notionalCap": cap,
                "notionalFloor": floor,
                "maintMarginRatio": float(rate),
                "cum": float(cum),
            }
        )
        floor, rate_before = cap, rate
    return rows


def largest_notional(leverage: Decimal) -> int:
    """What a position may be worth at this leverage."""
    return next((cap for most, cap, _ in reversed(_BRACKETS) if leverage <= most), 0)


@attrs.frozen
class SymbolInfo:
    """One symbol: the venue's own object, and what the simulator needs of it in exact numbers."""

    raw: dict[str, Any]
    filters: dict[str, dict[str, Any]]  # by filterType
    spec: SymbolSpec
    price_precision: int
    qty_precision: int

    @property
    def start_px(self) -> Decimal:
        found = DEFAULT_PRICES.get(self.spec.symbol)
        return found if found is not None else self.spec.tick_size * 100_000

    def price(self, value: Decimal) -> str:
        """As the venue prints prices of this symbol."""
        return f"{value:.{self.price_precision}f}"

    def qty(self, value: Decimal) -> str:
        return f"{value:.{self.qty_precision}f}"

    @classmethod
    def from_raw(cls, raw: dict[str, Any]) -> SymbolInfo:
        """From one element of `exchangeInfo.symbols`. Raises ValueError naming what is missing."""
        try:
            filters = {str(entry["filterType"]): _exact(entry) for entry in raw["filters"]}
            spec = SymbolSpec(
                symbol=raw["symbol"],
                base=raw["baseAsset"],
                quote=raw["quoteAsset"],
                settle=raw["marginAsset"],
                tick_size=filters["PRICE_FILTER"]["tickSize"],
                step_size=filters["LOT_SIZE"]["stepSize"],
                trading=raw.get("status") == "TRADING",
                kind=MarketKind.LINEAR,
            )
            precisions = int(raw["pricePrecision"]), int(raw["quantityPrecision"])
        except (KeyError, TypeError, ValueError, InvalidOperation) as error:
            name = raw.get("symbol", "?")
            raise ValueError(f"exchangeInfo: symbol {name}: missing or malformed {error}") from None
        return cls(raw, filters, spec, *precisions)


def _exact(entry: dict[str, Any]) -> dict[str, Any]:
    """Numbers in text become Decimal; counts and flags stay."""
    result: dict[str, Any] = {}
    for name, value in entry.items():
        try:
            result[name] = Decimal(value) if name != "filterType" and isinstance(value, str) else value
        except InvalidOperation:
            result[name] = value  # a word, as in POSITION_RISK_CONTROL
    return result


def _raw(symbol: str, base: str, quote: str, tick: str, step: str, max_qty: str, notional: str) -> dict[str, Any]:
    decimals = {name: len(text.partition(".")[2]) for name, text in (("price", tick), ("quantity", step))}
    return {
        "symbol": symbol,
        "pair": symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": base,
        "quoteAsset": quote,
        "marginAsset": quote,
        "pricePrecision": decimals["price"],
        "quantityPrecision": decimals["quantity"],
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "4529764", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": max_qty, "stepSize": step},
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": step,
                "maxQty": str(Decimal(max_qty) / 8),
                "stepSize": step,
            },
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": notional},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": "1.1500",
                "multiplierDown": "0.8500",
                "multiplierDecimal": "4",
            },
        ],
        "orderTypes": ORDER_TYPES,
        "timeInForce": LIFETIMES,
    }


def default_symbols() -> list[SymbolInfo]:
    """The built-in list."""
    return [SymbolInfo.from_raw(_raw(*row[:7])) for row in _DEFAULTS]


def instruments(wanted: tuple[str, ...], source: Path | None) -> list[SymbolInfo]:
    """From the built-in list, or the answer of `GET /fapi/v1/exchangeInfo` in a file, gzipped or not.

    Raises ValueError naming the file and the trouble, or an unknown symbol.
    """
    if source is None:
        return select(default_symbols(), wanted)
    try:
        data = json.loads(gzip.decompress(source.read_bytes()) if source.suffix == ".gz" else source.read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"{source}: cannot be read as JSON: {error}") from None
    rows = data.get("symbols") if isinstance(data, dict) else None
    if not isinstance(rows, list) or not rows:
        raise ValueError(f"{source}: holds no list 'symbols'; give the answer of GET /fapi/v1/exchangeInfo")
    return select([SymbolInfo.from_raw(row) for row in rows], wanted, source=str(source))
