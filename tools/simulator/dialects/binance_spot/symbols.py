"""The instruments: a small list of our own, or any `exchangeInfo` answer read from a file (section 6)."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import attrs

from tools.simulator.core.model import SymbolSpec

ORDER_TYPES = [
    "LIMIT",
    "LIMIT_MAKER",
    "MARKET",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
]
STP_MODES = ["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT", "TRANSFER"]

# symbol, base, quote, tick, step, largest quantity, a plausible price to start a generated market from
_DEFAULTS = [
    ("BTCUSDT", "BTC", "USDT", "0.01", "0.00001", "9000", "90000"),
    ("ETHUSDT", "ETH", "USDT", "0.01", "0.0001", "9000", "3000"),
    ("BNBUSDT", "BNB", "USDT", "0.01", "0.001", "90000", "900"),
    ("SOLUSDT", "SOL", "USDT", "0.01", "0.001", "90000", "140"),
    ("XRPUSDT", "XRP", "USDT", "0.0001", "0.1", "9222449", "2.2"),
    ("ADAUSDT", "ADA", "USDT", "0.0001", "0.1", "9222449", "0.45"),
    ("DOGEUSDT", "DOGE", "USDT", "0.00001", "1", "9222449", "0.15"),
    ("ETHBTC", "ETH", "BTC", "0.00001", "0.0001", "100000", "0.0333"),
    ("BNBBTC", "BNB", "BTC", "0.000001", "0.001", "100000", "0.01"),
    ("BTCUSDC", "BTC", "USDC", "0.01", "0.00001", "9000", "90000"),
]
DEFAULT_PRICES = {row[0]: Decimal(row[6]) for row in _DEFAULTS}
_MIN_NOTIONAL = {"USDT": "5", "USDC": "5", "BTC": "0.0001"}


def _eight(text: str) -> str:
    return f"{Decimal(text):.8f}"


@attrs.frozen
class SymbolInfo:
    """One symbol: the venue's own object, and what the simulator needs of it in exact numbers."""

    raw: dict[str, Any]
    filters: dict[str, dict[str, Any]]  # by filterType
    spec: SymbolSpec
    base_precision: int
    quote_precision: int
    default_stp: str
    allowed_stp: frozenset[str]

    @property
    def start_px(self) -> Decimal:
        """Where a generated market of this symbol starts."""
        found = DEFAULT_PRICES.get(self.spec.symbol)
        return found if found is not None else self.spec.tick_size * 100_000

    @classmethod
    def from_raw(cls, raw: dict[str, Any]) -> SymbolInfo:
        """From one element of `exchangeInfo.symbols`. Raises ValueError naming what is missing."""
        try:
            filters = {str(entry["filterType"]): _exact(entry) for entry in raw["filters"]}
            spec = SymbolSpec(
                symbol=raw["symbol"],
                base=raw["baseAsset"],
                quote=raw["quoteAsset"],
                tick_size=filters["PRICE_FILTER"]["tickSize"],
                step_size=filters["LOT_SIZE"]["stepSize"],
                trading=raw.get("status") == "TRADING",
            )
        except (KeyError, TypeError, InvalidOperation) as error:
            name = raw.get("symbol", "?")
            raise ValueError(f"exchangeInfo: symbol {name}: missing or malformed {error}") from None
        return cls(
            raw=raw,
            filters=filters,
            spec=spec,
            base_precision=int(raw.get("baseAssetPrecision", 8)),
            quote_precision=int(raw.get("quoteAssetPrecision", raw.get("quotePrecision", 8))),
            default_stp=str(raw.get("defaultSelfTradePreventionMode", "NONE")),
            allowed_stp=frozenset(raw.get("allowedSelfTradePreventionModes", STP_MODES)),
        )


def _exact(entry: dict[str, Any]) -> dict[str, Any]:
    """Numbers in text become Decimal; counts and flags stay."""
    result: dict[str, Any] = {}
    for name, value in entry.items():
        if name != "filterType" and isinstance(value, str):
            result[name] = Decimal(value)
        else:
            result[name] = value
    return result


def default_symbols() -> list[SymbolInfo]:
    """The built-in list, with the modern set of filters."""
    return [SymbolInfo.from_raw(_raw(*row[:6])) for row in _DEFAULTS]


def _raw(symbol: str, base: str, quote: str, tick: str, step: str, max_qty: str) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": base,
        "baseAssetPrecision": 8,
        "quoteAsset": quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ORDER_TYPES,
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": _eight(tick),
                "maxPrice": "1000000.00000000",
                "tickSize": _eight(tick),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": _eight(step),
                "maxQty": _eight(max_qty),
                "stepSize": _eight(step),
            },
            {"filterType": "ICEBERG_PARTS", "limit": 100},
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": "0.00000000",
                "maxQty": _eight(str(Decimal(max_qty) / 50)),
                "stepSize": "0.00000000",
            },
            {
                "filterType": "TRAILING_DELTA",
                "minTrailingAboveDelta": 10,
                "maxTrailingAboveDelta": 2000,
                "minTrailingBelowDelta": 10,
                "maxTrailingBelowDelta": 2000,
            },
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": "5",
                "bidMultiplierDown": "0.2",
                "askMultiplierUp": "5",
                "askMultiplierDown": "0.2",
                "avgPriceMins": 5,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": _eight(_MIN_NOTIONAL[quote]),
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
            {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
            {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": 10},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": STP_MODES,
    }


def load_symbols(path: Path, wanted: set[str] | None = None) -> list[SymbolInfo]:
    """Read an `exchangeInfo` JSON file, gzipped or not. Raises ValueError naming the file and the trouble."""
    try:
        data = json.loads(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as JSON: {error}") from None
    rows = data.get("symbols") if isinstance(data, dict) else None
    if not isinstance(rows, list) or not rows:
        raise ValueError(f"{path}: holds no list 'symbols'; give the answer of GET /api/v3/exchangeInfo")
    infos = [SymbolInfo.from_raw(row) for row in rows if wanted is None or row.get("symbol") in wanted]
    unknown = (wanted or set()) - {info.spec.symbol for info in infos}
    if unknown:
        raise ValueError(f"{path}: has no symbol {', '.join(sorted(unknown))}")
    return infos
