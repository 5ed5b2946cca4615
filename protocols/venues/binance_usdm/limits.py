"""Rate limits (reference section 5): what requests weigh, what the venue allows, what it says we used.

`ORDERS` counts requests (placing and modifying; cancels are free), and no fill gives any of it back.  Since June 2026
the pools are shared with COIN-M: another process on that product eats of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from protocols.venue import Limit
from protocols.venues.binance_common.limits import stated_limits, usage_of_headers, usage_of_rows

__all__ = ["DOCUMENTED", "WEIGHT", "WEIGHT_AS_OF", "depth_weight", "klines_weight", "tickers_weight"]
__all__ += ["stated_limits", "usage_of_headers", "usage_of_rows"]

_S = 1_000_000_000

DOCUMENTED = (
    Limit("weight", 60 * _S, 2_400),
    Limit("orders", 10 * _S, 300),
    Limit("orders", 60 * _S, 1_200),
)
"""As of the date below; what holds until the venue's own answer is here."""

WEIGHT_AS_OF = "2026-11-20"
WEIGHT: Mapping[str, int] = {
    "time": 1,
    "exchangeInfo": 1,
    "session": 2,
    "order.place": 0,
    "order.modify": 0,
    "order.cancel": 1,
    "order.status": 1,
    "batchOrders": 5,
    "batchOrders.cancel": 1,
    "allOpenOrders": 1,
    "openOrders.symbol": 1,
    "openOrders.all": 40,
    "userTrades": 5,
    "balance": 5,
    "positionRisk": 5,
    "positionMode": 30,
    "listenKey": 1,
    "countdownCancelAll": 10,
}


def depth_weight(levels: int) -> int:
    """Weight of a snapshot with so many levels."""
    return 2 if levels <= 50 else 5 if levels <= 100 else 10 if levels <= 500 else 20


def klines_weight(rows: int) -> int:
    """Weight of a klines request with this `limit`."""
    return 1 if rows < 100 else 2 if rows < 500 else 5 if rows <= 1000 else 10


def tickers_weight(symbols: int) -> int:
    """Weight of `ticker/24hr`: one symbol, or all of them (assumed: the reference does not state it)."""
    return 1 if symbols == 1 else 40
