"""OKX as one of the simulator's families: spot and linear swaps on one account."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import attrs

from tools.simulator.core.capture import Scan, scan_capture
from tools.simulator.core.dialect import Family
from tools.simulator.core.families import select
from tools.simulator.dialects.okx.instruments import (
    DEFAULT_SYMBOLS,
    OkxInstrument,
    default_instruments,
    load_instruments,
    unlisted,
)
from tools.simulator.dialects.okx.limits import OkxLimits
from tools.simulator.dialects.okx.live import instruments_urls
from tools.simulator.dialects.okx.venue import OkxVenue

_INST_ID = re.compile(r'"instId": ?"([^"]+)"')


class Recorded(str):
    """The name of an instrument that a recording speaks of, whether a list has it or not."""

    __slots__ = ()


def symbol_in_frame(raw: str, url: str) -> str | None:
    """The `instId` of a frame."""
    found = _INST_ID.search(raw)
    return found.group(1) if found else None


def scan(path: Path) -> Scan:
    """A recording's instruments."""
    found = scan_capture(path, symbol_in_frame)
    return attrs.evolve(found, symbols=[Recorded(name) for name in found.symbols])


def instruments(wanted: tuple[str, ...], source: Path | None) -> list[OkxInstrument]:
    """From the built-in list, or from answers of `GET /api/v5/public/instruments`: a file, or a folder with several.

    An instrument of a recording that is in no list can be watched, and is closed for trading.
    """
    known = default_instruments() if source is None else load_instruments(source)
    if not any(isinstance(name, Recorded) for name in wanted):
        return select(known, wanted, source="the built-in list" if source is None else str(source))
    by_name = {one.inst_id: one for one in known}
    return [by_name.get(str(name)) or unlisted(str(name), number) for number, name in enumerate(wanted)]


FAMILY = Family(
    name="okx",
    title="OKX v5 (spot and linear swaps)",
    build=OkxVenue,
    instruments=instruments,
    default_symbols=DEFAULT_SYMBOLS,
    scan=scan,
    book_streams="books*:*",
    limits=OkxLimits,
    limit_names={
        "orders": "orders_per_2s",
        "batch": "batch_orders_per_2s",
        "account": "account_orders_per_2s",
        "connections": "connections_per_s",
        "session": "session_requests_per_hour",
        "reads": "reads_percent",
    },
    balances={
        "USDT": Decimal(1_000_000),
        "USDC": Decimal(1_000_000),
        "BTC": Decimal(20),
        "ETH": Decimal(500),
        "SOL": Decimal(5_000),
    },
    maker_rate=Decimal("0.0008"),
    taker_rate=Decimal("0.001"),
    rates={"SWAP": (Decimal("0.0002"), Decimal("0.0005"))},
    ping_every_s=0,
    shared_order_ids=True,
    live_instruments_url=instruments_urls,
)
