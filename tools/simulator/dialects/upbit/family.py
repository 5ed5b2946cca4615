"""Upbit as one of the simulator's families."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

from tools.simulator.core.capture import Scan, scan_capture
from tools.simulator.core.dialect import Family
from tools.simulator.core.families import select
from tools.simulator.dialects.upbit.limits import LIMIT_NAMES, UpbitLimits
from tools.simulator.dialects.upbit.live import instruments_url
from tools.simulator.dialects.upbit.symbols import UpbitMarket, default_symbols, load_symbols
from tools.simulator.dialects.upbit.venue import Upbit

_CODE = re.compile(r'"(?:code|cd)": ?"([^"]+)"')


def _instruments(wanted: tuple[str, ...], source: Path | None) -> list[UpbitMarket]:
    """From the built-in list, or the answer of `GET /v1/market/all` in a file."""
    if source is None:
        return select(default_symbols(), wanted)
    return load_symbols(source, set(wanted) if wanted else None)


def _code_of(raw: str, url: str) -> str | None:
    """Which market a received frame speaks of."""
    found = _CODE.search(raw)
    return found.group(1) if found else None


def _scan(path: Path) -> Scan:
    return scan_capture(path, _code_of)


FAMILY = Family(
    name="upbit",
    title="Upbit",
    build=Upbit,
    instruments=_instruments,
    default_symbols=("KRW-BTC", "KRW-ETH", "KRW-SOL", "KRW-XRP", "KRW-DOGE", "BTC-ETH"),
    scan=_scan,
    book_streams="orderbook:*",
    live_instruments_url=instruments_url,
    limits=UpbitLimits,
    limit_names=LIMIT_NAMES,
    balances={
        "KRW": Decimal(1_000_000_000),
        "USDT": Decimal(1_000_000),
        "BTC": Decimal(20),
        "ETH": Decimal(500),
        "SOL": Decimal(5_000),
        "XRP": Decimal(500_000),
        "DOGE": Decimal(5_000_000),
    },
    maker_rate=Decimal("0.0005"),
    taker_rate=Decimal("0.0005"),
    ping_every_s=0,
    shared_order_ids=True,
)
