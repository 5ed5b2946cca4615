"""Binance Spot as one of the simulator's families."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from tools.simulator.core.capture import scan_capture
from tools.simulator.core.dialect import Family
from tools.simulator.core.families import select
from tools.simulator.core.limits import LimitConfig
from tools.simulator.core.live import instruments_url
from tools.simulator.dialects.binance_spot.symbols import SymbolInfo, default_symbols, load_symbols
from tools.simulator.dialects.binance_spot.venue import BinanceSpot


def _instruments(wanted: tuple[str, ...], source: Path | None) -> list[SymbolInfo]:
    """From the built-in list, or the answer of `GET /api/v3/exchangeInfo` in a file."""
    if source is None:
        return select(default_symbols(), wanted)
    return load_symbols(source, set(wanted) if wanted else None)


FAMILY = Family(
    name="binance-spot",
    title="Binance Spot",
    build=BinanceSpot,
    instruments=_instruments,
    default_symbols=("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "ETHBTC"),
    scan=scan_capture,
    book_streams="*@depth*",
    limits=LimitConfig,
    limit_names={
        "weight": "weight_per_minute",
        "raw": "raw_per_5_minutes",
        "connections": "connections_per_5_minutes",
        "orders10s": "orders_per_10_seconds",
        "orders1d": "orders_per_day",
        "streammessages": "stream_messages_per_second",
    },
    balances={
        "USDT": Decimal(1_000_000),
        "USDC": Decimal(1_000_000),
        "BTC": Decimal(20),
        "ETH": Decimal(500),
        "BNB": Decimal(1_000),
        "SOL": Decimal(5_000),
    },
    live_instruments_url=instruments_url,
)
