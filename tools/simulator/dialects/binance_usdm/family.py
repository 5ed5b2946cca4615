"""Binance USDT-M Futures as one of the simulator's families."""

from __future__ import annotations

from decimal import Decimal

from tools.simulator.core.capture import scan_capture
from tools.simulator.core.dialect import Family
from tools.simulator.dialects.binance_usdm.limits import UsdmLimits
from tools.simulator.dialects.binance_usdm.live import instruments_url
from tools.simulator.dialects.binance_usdm.symbols import instruments
from tools.simulator.dialects.binance_usdm.venue import BinanceUsdm

FAMILY = Family(
    name="binance-usdm",
    title="Binance USDT-M Futures",
    build=BinanceUsdm,
    instruments=instruments,
    default_symbols=("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT"),
    scan=scan_capture,
    book_streams="*@depth*",
    limits=UsdmLimits,
    limit_names={
        "weight": "weight_per_minute",
        "connections": "connections_per_5_minutes",
        "orders10s": "orders_per_10_seconds",
        "orders1m": "orders_per_minute",
        "streammessages": "stream_messages_per_second",
    },
    balances={"USDT": Decimal(1_000_000), "USDC": Decimal(1_000_000), "BNB": Decimal(100)},
    maker_rate=Decimal("0.0002"),
    taker_rate=Decimal("0.0005"),
    ping_every_s=180.0,
    pong_within_s=600.0,
    live_instruments_url=instruments_url,
)
