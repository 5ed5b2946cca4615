"""The instruments: a small list of our own, or the venue's answers of instruments-info (section 5).

The same symbol names a coin pair on spot and a contract on linear, so a market is known inside the simulator by
`spot:BTCUSDT` or `linear:BTCUSDT`; clients say category and symbol.
"""

from __future__ import annotations

import gzip
import json
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import attrs

from tools.simulator.core.decimals import ZERO
from tools.simulator.core.families import select
from tools.simulator.core.model import MarketKind, SymbolSpec
from tools.simulator.dialects.bybit.errors import LINEAR, SPOT

CATEGORIES = (SPOT, LINEAR)
SETTLE_COINS = ("USDT", "USDC")
MAKER_RATES = {SPOT: Decimal("0.001"), LINEAR: Decimal("0.0002")}
TAKER_RATES = {SPOT: Decimal("0.001"), LINEAR: Decimal("0.00055")}
"""Fees of an ordinary account; contracts pay theirs in the settlement coin."""

_SPOT = (  # symbol, base, quote, tick, base step, quote step, most by limit, most by market
    ("BTCUSDT", "BTC", "USDT", "0.1", "0.000001", "0.0000001", "230", "120"),
    ("ETHUSDT", "ETH", "USDT", "0.01", "0.00001", "0.0000001", "3000", "1500"),
    ("SOLUSDT", "SOL", "USDT", "0.01", "0.001", "0.00001", "40000", "20000"),
    ("DOGEUSDT", "DOGE", "USDT", "0.00001", "0.1", "0.000001", "14000000", "6800000"),
    ("ETHBTC", "ETH", "BTC", "0.000001", "0.0001", "0.0000000001", "2000", "1000"),
    ("BTCUSDC", "BTC", "USDC", "0.1", "0.000001", "0.0000001", "100", "50"),
)
_LINEAR = (  # symbol, base, settlement coin, tick, step, most by limit, most by market, leverage, places of prices
    ("BTCUSDT", "BTC", "USDT", "0.10", "0.001", "1500.000", "150.000", "100.00", 2),
    ("ETHUSDT", "ETH", "USDT", "0.01", "0.01", "7000.00", "1300.00", "100.00", 2),
    ("SOLUSDT", "SOL", "USDT", "0.010", "0.1", "80000.0", "12000.0", "100.00", 3),
    ("DOGEUSDT", "DOGE", "USDT", "0.00001", "1", "43000000", "6000000", "75.00", 5),
    ("BTCPERP", "BTC", "USDC", "0.10", "0.001", "1000.000", "100.000", "100.00", 2),
)
_PRICES = {"BTC": "65000", "ETH": "2500", "SOL": "150", "DOGE": "0.18"}
_MIN_VALUES = {"USDT": "5", "USDC": "5", "BTC": "0.0001"}


@attrs.frozen(kw_only=True)
class Instrument:
    """One row of instruments-info with its rules as numbers; 0 is a rule that does not exist."""

    category: str
    symbol: str
    index: int
    """Its place in the list: part of the ids of its orders."""
    raw: dict[str, Any]
    base: str
    quote: str
    settle: str
    tick: Decimal
    step: Decimal
    quote_step: Decimal
    min_qty: Decimal
    min_value: Decimal
    max_qty: Decimal
    max_market_qty: Decimal
    max_post_qty: Decimal
    """Of a PostOnly order, where the venue has a bound of its own for these."""
    max_leverage: Decimal
    leverage_step: Decimal
    min_px: Decimal
    max_px: Decimal

    @property
    def key(self) -> str:
        """What the market is called inside the simulator."""
        return f"{self.category}:{self.symbol}"

    @property
    def trading(self) -> bool:
        return bool(self.raw.get("status") == "Trading")

    @property
    def is_spot(self) -> bool:
        return self.category == SPOT

    def px(self, price: Decimal) -> str:
        """A price as the venue writes it: contracts keep the places of their scale, spot shows none that is idle."""
        if self.is_spot:
            return plain(price)
        return f"{price:.{self.raw['priceScale']}f}"

    def qty(self, qty: Decimal) -> str:
        """A quantity as the venue writes it."""
        if self.is_spot:
            return plain(qty)
        return f"{qty:.{places(self.step)}f}"

    @classmethod
    def from_raw(cls, category: str, index: int, raw: dict[str, Any]) -> Instrument:
        """Read one row.  Raises ValueError naming the symbol and the field."""
        lots, prices = raw.get("lotSizeFilter") or {}, raw.get("priceFilter") or {}
        leverage = raw.get("leverageFilter") or {}

        def number(table: dict[str, Any], name: str, *, required: bool = False) -> Decimal:
            text = table.get(name) or ""
            if not text and not required:
                return ZERO
            try:
                return Decimal(text)
            except (InvalidOperation, TypeError):
                raise ValueError(f"{category} {raw.get('symbol')}: {name} was {text!r}, must be a number") from None

        spot = category == SPOT
        try:
            return cls(
                category=category,
                symbol=raw["symbol"],
                index=index,
                raw=raw,
                base=raw["baseCoin"],
                quote=raw["quoteCoin"],
                settle="" if spot else raw["settleCoin"],
                tick=number(prices, "tickSize", required=True),
                step=number(lots, "basePrecision" if spot else "qtyStep", required=True),
                quote_step=number(lots, "quotePrecision"),
                min_qty=ZERO if spot else number(lots, "minOrderQty"),
                min_value=number(lots, "minOrderAmt" if spot else "minNotionalValue"),
                max_qty=number(lots, "maxLimitOrderQty" if spot else "maxOrderQty"),
                max_market_qty=number(lots, "maxMarketOrderQty" if spot else "maxMktOrderQty"),
                max_post_qty=number(lots, "postOnlyMaxLimitOrderSize") if spot else ZERO,
                max_leverage=number(leverage, "maxLeverage"),
                leverage_step=number(leverage, "leverageStep"),
                min_px=number(prices, "minPrice"),
                max_px=number(prices, "maxPrice"),
            )
        except KeyError as error:
            raise ValueError(f"{category} {raw.get('symbol', '?')}: {error} is missing") from None

    @property
    def start_px(self) -> Decimal:
        """Where a generated market begins: about the usual price of the coin, else 100,000 ticks."""
        base, quote = _PRICES.get(self.base), _PRICES.get(self.quote, "1")
        if base is None:
            return self.tick * 100_000
        return (Decimal(base) / Decimal(quote) / self.tick).to_integral_value() * self.tick

    @property
    def spec(self) -> SymbolSpec:
        """What the matching engine must know."""
        return SymbolSpec(
            symbol=self.key,
            base=self.base,
            quote=self.quote,
            tick_size=self.tick,
            step_size=self.step,
            trading=self.trading,
            name=self.symbol,
            category=self.category,
            kind=MarketKind.SPOT if self.is_spot else MarketKind.LINEAR,
            settle=self.settle or self.quote,
            max_leverage=self.max_leverage or Decimal(1),
        )


def plain(value: Decimal) -> str:
    """Decimal text without exponent and without idle zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def places(step: Decimal) -> int:
    """How many decimals a step has."""
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def default_instruments() -> list[Instrument]:
    """The built-in list."""
    rows = [(SPOT, _spot_row(*row)) for row in _SPOT] + [(LINEAR, _linear_row(*row)) for row in _LINEAR]
    return [Instrument.from_raw(category, index, raw) for index, (category, raw) in enumerate(rows, 1)]


def _spot_row(
    symbol: str, base: str, quote: str, tick: str, step: str, quote_step: str, most: str, most_market: str
) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "baseCoin": base,
        "quoteCoin": quote,
        "innovation": "0",
        "status": "Trading",
        "marginTrading": "utaOnly",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": step,
            "quotePrecision": quote_step,
            "minOrderQty": step,
            "maxOrderQty": most,
            "minOrderAmt": _MIN_VALUES[quote],
            "maxOrderAmt": "8000000",
            "maxLimitOrderQty": most,
            "maxMarketOrderQty": most_market,
            "postOnlyMaxLimitOrderSize": most,
        },
        "priceFilter": {"tickSize": tick},
        "riskParameters": {"priceLimitRatioX": "0.05", "priceLimitRatioY": "0.05"},
        "symbolType": "",
    }


def _linear_row(
    symbol: str, base: str, settle: str, tick: str, step: str, most: str, most_market: str, leverage: str, scale: int
) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": base,
        "quoteCoin": settle,
        "settleCoin": settle,
        "launchTime": "1600000000000",
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(scale),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": leverage, "leverageStep": "0.01"},
        "priceFilter": {"minPrice": tick, "maxPrice": "1999999.80", "tickSize": tick},
        "lotSizeFilter": {
            "maxOrderQty": most,
            "minOrderQty": step,
            "qtyStep": step,
            "postOnlyMaxOrderQty": most,
            "maxMktOrderQty": most_market,
            "minNotionalValue": "5",
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "copyTrading": "both",
        "upperFundingRate": "0.005",
        "lowerFundingRate": "-0.005",
        "isPreListing": False,
        "preListingInfo": None,
        "riskParameters": {"priceLimitRatioX": "0.05", "priceLimitRatioY": "0.1"},
        "displayName": "",
        "symbolType": "",
    }


def instruments(wanted: tuple[str, ...], path: Path | None) -> list[Instrument]:
    """What is listed: the built-in list, or the venue's own answers of instruments-info.

    `path` is one answer, or a folder with `instruments_*` files of both products, gzipped or not.  `wanted` are keys
    (`linear:BTCUSDT`) or bare symbols, which mean each product that has them.  Raises ValueError naming the trouble.
    """
    if path is None:
        return select(default_instruments(), wanted)
    return select(_read_lists(path), wanted, source=str(path))


def _read_lists(path: Path) -> list[Instrument]:
    files = sorted(path.glob("instruments_*.json*")) if path.is_dir() else [path]
    if not files:
        raise ValueError(f"{path}: holds no file instruments_*.json; give answers of GET /v5/market/instruments-info")
    found: list[Instrument] = []
    for file in files:
        try:
            answer = json.loads(gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes())
            result = answer["result"]
            category, rows = result["category"], result["list"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{file}: is no answer of GET /v5/market/instruments-info: {error!r}") from None
        if category in CATEGORIES:
            found += [Instrument.from_raw(category, len(found) + number, raw) for number, raw in enumerate(rows, 1)]
    return found
