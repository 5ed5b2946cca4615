"""Local days: when one begins, and how a moment's day is called."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

_NS = 1_000_000_000


def day_of(now_ns: int, zone: ZoneInfo) -> date:
    """The local date at a moment (wall clock, ns UTC)."""
    return datetime.fromtimestamp(now_ns // _NS, zone).date()


def start_of(day: date, zone: ZoneInfo) -> int:
    """Wall clock ns UTC of a local midnight."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * _NS


def next_day_ns(now_ns: int, zone: ZoneInfo) -> int:
    """Wall clock ns UTC of the local midnight after `now_ns`."""
    return start_of(day_of(now_ns, zone) + timedelta(days=1), zone)
