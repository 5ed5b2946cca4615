"""Price units (section 4): how a price moves depends on the price, on the quote currency and on the date."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal

from tools.simulator.core.decimals import floor_to

KST = timezone(timedelta(hours=9))
Table = tuple[tuple[Decimal, Decimal], ...]  # (prices from here on, move by this), highest first


def _ns(year: int, month: int, day: int) -> int:
    """Midnight in Seoul."""
    return int(datetime(year, month, day, tzinfo=KST).timestamp()) * 1_000_000_000


def _table(*rows: str) -> Table:
    pairs = (row.split() for row in rows)
    return tuple((Decimal(start), Decimal(step)) for start, step in pairs)


_KRW_NOW = _table(
    "1000000 1000",
    "500000 500",
    "100000 100",
    "50000 50",
    "10000 10",
    "5000 5",
    "1000 1",
    "100 1",
    "10 0.1",
    "1 0.01",
    "0.1 0.001",
    "0.01 0.0001",
    "0.001 0.00001",
    "0.0001 0.000001",
    "0.00001 0.0000001",
    "0 0.00000001",
)
_KRW_2024 = _table(
    "2000000 1000",
    "1000000 500",
    "500000 100",
    "100000 50",
    "10000 10",
    "1000 1",
    "100 0.1",
    "10 0.01",
    "1 0.001",
    "0.1 0.0001",
    "0.01 0.00001",
    "0.001 0.000001",
    "0.0001 0.0000001",
    "0 0.00000001",
)
_USDT = _table(
    "10 0.01",
    "1 0.001",
    "0.1 0.0001",
    "0.01 0.00001",
    "0.001 0.000001",
    "0.0001 0.0000001",
    "0 0.00000001",
)
_BTC = _table("0 0.00000001")
_WHOLE_WON = frozenset(
    {"ADA", "ALGO", "BLUR", "CELO", "ELF", "EOS", "GRS", "GRT"}
    | {"ICX", "MANA", "MINA", "POL", "SAND", "SEI", "STG", "TRX"}
)
_HALF_WON = frozenset({"USDT", "USDC"})
_FROM_2024_10, _FROM_2025_03, _FROM_2025 = _ns(2024, 10, 14), _ns(2025, 3, 21), _ns(2025, 7, 31)

MIN_TOTAL = {"KRW": Decimal(5000), "BTC": Decimal("0.00005"), "USDT": Decimal("0.5")}
MAX_TOTAL = {"KRW": Decimal(1_000_000_000)}


def table(code: str, at_ns: int) -> Table:
    """The units of a market (or, for a mere quote currency, of its markets without exceptions) at a moment."""
    quote, _, base = code.partition("-")
    if quote != "KRW":
        return _USDT if quote == "USDT" else _BTC
    if at_ns >= _FROM_2025:
        return _KRW_NOW
    units = dict(_KRW_2024)
    if at_ns >= _FROM_2024_10 and base in _WHOLE_WON:
        units[Decimal(100)] = Decimal(1)
    if at_ns >= _FROM_2025_03 and base in _HALF_WON:
        units[Decimal(1000)] = Decimal("0.5")
    return tuple(units.items())


def step_of(code: str, price: Decimal, at_ns: int) -> Decimal:
    """The unit that a price must be a multiple of."""
    return next(step for start, step in table(code, at_ns) if price >= start)


def is_on_step(code: str, price: Decimal, at_ns: int) -> bool:
    return floor_to(price, step_of(code, price, at_ns)) == price
