"""Bybit as one of the simulator's families: spot and linear, one wallet."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

from tools.simulator.core.capture import Scan, scan_capture
from tools.simulator.core.dialect import Family
from tools.simulator.dialects.bybit.instruments import MAKER_RATES, TAKER_RATES, instruments
from tools.simulator.dialects.bybit.limits import BybitLimits
from tools.simulator.dialects.bybit.live import instruments_urls
from tools.simulator.dialects.bybit.topics import category_of, split
from tools.simulator.dialects.bybit.venue import Bybit

_TOPIC = re.compile(r'"topic": ?"([^"]+)"')


def _market_key(raw: str, url: str) -> str | None:
    """Which market a recorded frame speaks of: its connection's category and its topic's symbol."""
    found, category = _TOPIC.search(raw), category_of(url)
    return f"{category}:{split(found.group(1))[2]}" if found and category else None


def _scan(path: Path) -> Scan:
    return scan_capture(path, _market_key)


FAMILY = Family(
    name="bybit",
    title="Bybit v5 (spot and linear)",
    build=Bybit,
    instruments=instruments,
    default_symbols=(
        "spot:BTCUSDT",
        "spot:ETHUSDT",
        "spot:SOLUSDT",
        "spot:ETHBTC",
        "linear:BTCUSDT",
        "linear:ETHUSDT",
        "linear:SOLUSDT",
        "linear:BTCPERP",
    ),
    scan=_scan,
    book_streams="*/orderbook.*",
    limits=BybitLimits,
    limit_names={
        "requests": "requests_per_5_seconds",
        "connections": "connections_per_5_minutes",
        "trade": "trade_requests_per_second",
        "buckets": "endpoint_buckets",
    },
    balances={
        "USDT": Decimal(1_000_000),
        "USDC": Decimal(1_000_000),
        "BTC": Decimal(20),
        "ETH": Decimal(500),
        "SOL": Decimal(5_000),
    },
    maker_rate=MAKER_RATES["spot"],
    taker_rate=TAKER_RATES["spot"],
    rates={category: (MAKER_RATES[category], TAKER_RATES[category]) for category in MAKER_RATES},
    ping_every_s=0,
    shared_order_ids=True,
    live_instruments_url=instruments_urls,
)
