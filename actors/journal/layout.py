"""Where the files that people read are, below the data folder, and whose day they follow.

    logs/YYYY/MM/DD/trades.jsonl        every fill once
    logs/YYYY/MM/DD/orders.jsonl        what happened to orders, as journal lines
    snapshots/YYYY/MM/DD/HH/state.json  orders, positions and balances of all accounts, hourly
    reports/YYYY/MM/pnl.csv             profit by day, account, venue, symbol and strategy

Days and hours are those of the configured zone (Asia/Seoul by default); times inside are UTC nanoseconds.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from actors.portfolio.day import day_of, next_day_ns, start_of

_NS = 1_000_000_000

TRADES = "trades.jsonl"
ORDERS = "orders.jsonl"


class Layout:
    """Paths by time, in one zone."""

    def __init__(self, data: Path, zone: ZoneInfo) -> None:
        self.data = data
        self.zone = zone
        self._day_from_ns = 0
        self._day_until_ns = 0
        self._day_folder = Path()

    def log(self, at_ns: int, name: str) -> Path:
        """A daily file of the day of `at_ns` (wall clock, ns UTC)."""
        if not self._day_from_ns <= at_ns < self._day_until_ns:
            day = day_of(at_ns, self.zone)
            self._day_from_ns, self._day_until_ns = start_of(day, self.zone), next_day_ns(at_ns, self.zone)
            self._day_folder = self.data / "logs" / f"{day:%Y/%m/%d}"
        return self._day_folder / name

    def snapshot(self, at_ns: int) -> Path:
        """The state file of the hour of `at_ns`."""
        return self.data / "snapshots" / f"{self.local(at_ns):%Y/%m/%d/%H}" / "state.json"

    def report(self, at_ns: int) -> Path:
        """The profit report of the month of `at_ns`."""
        return self.data / "reports" / f"{self.local(at_ns):%Y/%m}" / "pnl.csv"

    def local(self, at_ns: int) -> datetime:
        """Local time, to the second."""
        return datetime.fromtimestamp(at_ns // _NS, self.zone)

    def text(self, at_ns: int) -> str:
        """Local time as people read it, with all its digits: `2026-01-02T03:04:05.000000006+09:00`."""
        whole = self.local(at_ns).isoformat()
        return f"{whole[:19]}.{at_ns % _NS:09d}{whole[19:]}"
