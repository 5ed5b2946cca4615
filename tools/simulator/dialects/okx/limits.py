"""Rate limits as the venue counts them (section 3): per endpoint, in windows of two seconds, without a word in headers.

Each method names its buckets. A bucket's key says whom it counts: an address, a user, a user on one instrument. A
request is refused whole when one of its buckets is full, and then counts nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from tools.simulator.core.clock import SECOND
from tools.simulator.core.limits import Window
from tools.simulator.dialects.okx.errors import OkxError

WINDOW_NS = 2 * SECOND
HOUR_NS = 3600 * SECOND
BATCH_MAX = 20
FRAME_BYTES = 64 * 1024
SILENCE_S = 30.0


@attrs.frozen(kw_only=True)
class OkxLimits:
    """What the venue allows; 0 switches a limit off."""

    orders_per_2s: int = 60
    """Single requests to place, to amend, to cancel: each per user and instrument."""
    batch_orders_per_2s: int = 300
    """Orders in batches, likewise."""
    account_orders_per_2s: int = 1000
    """New and amended orders of contracts of one account (50061)."""
    connections_per_s: int = 3
    session_requests_per_hour: int = 480
    """Subscribe, unsubscribe and login requests of one connection."""
    channel_connections: int = 30
    """Connections of one account that may hold the same private channel."""
    reads_percent: int = 100
    """Of what the venue allows of everything else."""


@attrs.frozen
class Demand:
    """What a request takes out of one bucket."""

    key: tuple[str, ...]
    limit: int
    window_ns: int = WINDOW_NS
    amount: int = 1
    code: str = "50011"


class Buckets:
    """All counters of the venue."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, ...], Window] = {}
        self.refused = 0

    def take(self, demands: Iterable[Demand], now_ns: int) -> None:
        """Count, or raise OkxError 50011 or 50061 (HTTP 429) and count nothing."""
        taken: list[tuple[Window, int]] = []
        for demand in demands:
            window = self._windows.get(demand.key)
            if window is None:
                window = self._windows[demand.key] = Window(demand.window_ns, demand.limit)
            if window.full(now_ns, demand.amount):
                self.refused += 1
                raise OkxError(demand.code, status=429)
            taken.append((window, demand.amount))
        for window, amount in taken:
            window.add(amount, now_ns)

    def used(self, key: tuple[str, ...], now_ns: int) -> int:
        """What the current window of a bucket holds."""
        window = self._windows.get(key)
        return 0 if window is None else window.used(now_ns)
