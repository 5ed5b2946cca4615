"""Names of public topics (section 8): `orderbook.50.BTCUSDT` on the socket, `linear/orderbook.50.BTCUSDT` inside.

A public socket serves one category, so the same topic means another market on another socket; the name with its
category is what the hub knows and what public faults are matched with.
"""

from __future__ import annotations

from tools.simulator.core.clock import DAY, MINUTE

DEPTHS = {"1": 10, "50": 20, "200": 100, "1000": 200}
"""Levels a side -> milliseconds between two messages."""
INTERVALS = {
    "1": MINUTE,
    "3": 3 * MINUTE,
    "5": 5 * MINUTE,
    "15": 15 * MINUTE,
    "30": 30 * MINUTE,
    "60": 60 * MINUTE,
    "120": 120 * MINUTE,
    "240": 240 * MINUTE,
    "360": 360 * MINUTE,
    "720": 720 * MINUTE,
    "D": DAY,
    "W": 7 * DAY,
    "M": 30 * DAY,  # months of thirty days: nothing here is old enough for the difference to show
}
PUBLIC_PATH = "/v5/public/"


def hub_name(category: str, topic: str) -> str:
    return f"{category}/{topic}"


def split(topic: str) -> tuple[str, str, str]:
    """Kind, detail ("" where it has none) and symbol.  Symbols have no dots."""
    kind, _, rest = topic.partition(".")
    detail, dot, symbol = rest.rpartition(".")
    return (kind, detail, symbol) if dot else (kind, "", rest)


def is_known(kind: str, detail: str) -> bool:
    """Whether the venue has such a topic (of those that this simulator serves)."""
    if kind == "orderbook":
        return detail in DEPTHS
    if kind == "kline":
        return detail in INTERVALS
    return kind in ("publicTrade", "tickers", "allLiquidation", "priceLimit") and not detail


def category_of(url: str) -> str:
    """The category that a public socket's address names; "" for any other address."""
    path = url.split("?", 1)[0].rstrip("/")
    _, found, category = path.rpartition(PUBLIC_PATH)
    return category if found else ""
