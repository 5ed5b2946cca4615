"""The markets: a small list of our own, or any `market/all` answer read from a file (section 4)."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs

from tools.simulator.core.model import SymbolSpec
from tools.simulator.dialects.upbit import steps

# code, name in English, name in Korean, a plausible price to start a generated market from
_DEFAULTS = [
    ("KRW-BTC", "Bitcoin", "비트코인", "155000000"),
    ("KRW-ETH", "Ethereum", "이더리움", "5200000"),
    ("KRW-SOL", "Solana", "솔라나", "240000"),
    ("KRW-XRP", "XRP", "엑스알피", "3100"),
    ("KRW-ADA", "Ada", "에이다", "680"),
    ("KRW-DOGE", "Dogecoin", "도지코인", "230"),
    ("KRW-USDT", "Tether", "테더", "1450"),
    ("BTC-ETH", "Ethereum", "이더리움", "0.03355"),
    ("USDT-BTC", "Bitcoin", "비트코인", "107000"),
]
DEFAULT_PRICES = {row[0]: Decimal(row[3]) for row in _DEFAULTS}
_PRICES = {"KRW": Decimal(1000), "BTC": Decimal("0.0001"), "USDT": Decimal(1)}  # of a market without a known price
_WORTH = {"KRW": Decimal(10_000_000), "BTC": Decimal("0.1"), "USDT": Decimal(10_000)}  # a typical order, in quote
_TODAY_NS = 2**62  # later than every table of price units
STEP_SIZE = Decimal("0.00000001")
CAUTIONS = (
    "PRICE_FLUCTUATIONS",
    "TRADING_VOLUME_SOARING",
    "DEPOSIT_AMOUNT_SOARING",
    "GLOBAL_PRICE_DIFFERENCES",
    "CONCENTRATION_OF_SMALL_ACCOUNTS",
)


@attrs.frozen(kw_only=True)
class UpbitMarket:
    """One market: what the venue tells of it, and what the simulator needs of it."""

    spec: SymbolSpec
    korean_name: str
    english_name: str
    start_px: Decimal

    @property
    def code(self) -> str:
        return self.spec.symbol

    def row(self, *, details: bool) -> dict[str, Any]:
        """As `market/all` shows it."""
        row: dict[str, Any] = {
            "market": self.code,
            "korean_name": self.korean_name,
            "english_name": self.english_name,
        }
        if details:
            row["market_event"] = {"warning": False, "caution": dict.fromkeys(CAUTIONS, False)}
        return row


def market_of(code: str, english_name: str = "", korean_name: str = "") -> UpbitMarket:
    """A market by its code. Raises ValueError for a code that is not QUOTE-BASE."""
    quote, dash, base = code.partition("-")
    if not (dash and quote and base) or code != code.upper():
        raise ValueError(f"market {code!r}: must be QUOTE-BASE in capitals, as KRW-BTC")
    price = DEFAULT_PRICES.get(code) or _PRICES.get(quote, Decimal(1))
    spec = SymbolSpec(
        symbol=code,
        base=base,
        quote=quote,
        tick_size=steps.step_of(code, price, _TODAY_NS),
        step_size=STEP_SIZE,
        fee_in_quote=True,
        tick_rule=lambda at: steps.step_of(code, at, _TODAY_NS),
        order_worth=_WORTH.get(quote, Decimal(10_000)),
    )
    return UpbitMarket(spec=spec, korean_name=korean_name or base, english_name=english_name or base, start_px=price)


def default_symbols() -> list[UpbitMarket]:
    """The built-in list."""
    return [market_of(code, english, korean) for code, english, korean, _ in _DEFAULTS]


def load_symbols(path: Path, wanted: set[str] | None = None) -> list[UpbitMarket]:
    """Read a `market/all` answer, gzipped or not. Raises ValueError naming the file and the trouble."""
    try:
        rows = json.loads(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as JSON: {error}") from None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) and "market" in row for row in rows):
        raise ValueError(f"{path}: holds no list of markets; give the answer of GET /v1/market/all")
    markets = [
        market_of(row["market"], row.get("english_name", ""), row.get("korean_name", ""))
        for row in rows
        if wanted is None or row["market"] in wanted
    ]
    unknown = (wanted or set()) - {market.code for market in markets}
    if unknown:
        raise ValueError(f"{path}: has no market {', '.join(sorted(unknown))}")
    return markets
