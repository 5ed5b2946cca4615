"""Rate limits (section 4): requests per address, order requests per account, endpoint and second.

An address that sends more than 600 requests in five seconds gets HTTP 403 and then nothing for ten minutes.  An
account's buckets refill each second and are shared by REST and the trade socket; a batch takes as many as it has
orders, and where the bucket holds fewer the first pass and the tail fails.
"""

from __future__ import annotations

import attrs

from tools.simulator.core.accounts import Account
from tools.simulator.core.clock import MINUTE, SECOND
from tools.simulator.core.limits import Window
from tools.simulator.dialects.bybit.errors import LINEAR, SPOT, VenueError, too_many

SILENCE_NS = 10 * MINUTE

ORDER_RATES: dict[str, dict[str, int]] = {
    "create": {SPOT: 20, LINEAR: 10},
    "amend": {SPOT: 10, LINEAR: 10},
    "cancel": {SPOT: 20, LINEAR: 10},
    "cancel-all": {SPOT: 20, LINEAR: 10},
    "create-batch": {SPOT: 20, LINEAR: 10},
    "amend-batch": {SPOT: 20, LINEAR: 10},
    "cancel-batch": {SPOT: 20, LINEAR: 10},
}


@attrs.frozen(kw_only=True)
class BybitLimits:
    """What the venue allows; 0 switches a limit off."""

    requests_per_5_seconds: int = 600
    connections_per_5_minutes: int = 500
    trade_requests_per_second: int = 3_000
    endpoint_buckets: int = 1
    """Whether the buckets per account and endpoint are enforced; they are counted and shown in any case."""
    topic_characters: int = 21_000
    spot_topics_per_request: int = 10


@attrs.define
class PeerLimits:
    """One address."""

    requests: Window
    connections: Window
    trade: Window
    silent_until_ns: int = 0
    limited_until_ns: int = 0
    """Until then every signed request gets 10006 (the `rate_limit` fault)."""

    @classmethod
    def make(cls, config: BybitLimits) -> PeerLimits:
        return cls(
            Window(5 * SECOND, config.requests_per_5_seconds),
            Window(5 * MINUTE, config.connections_per_5_minutes),
            Window(SECOND, config.trade_requests_per_second),
        )

    def admit(self, now_ns: int) -> bool:
        """Count one HTTP request; False where the firewall answers instead."""
        if now_ns < self.silent_until_ns:
            return False
        if self.requests.full(now_ns):
            self.silent_until_ns = now_ns + SILENCE_NS
            return False
        self.requests.add(1, now_ns)
        return True


@attrs.frozen
class Usage:
    """What the headers of an answer say: size of the bucket, what is left of it, when it refills (ns)."""

    limit: int
    left: int
    reset_ns: int


class Buckets:
    """The buckets of all accounts."""

    def __init__(self, config: BybitLimits) -> None:
        self._config = config
        self._windows: dict[tuple[Account, str], Window] = {}

    def window(self, account: Account, name: str, rate: int) -> Window:
        """`name` is endpoint and, where they differ, product."""
        found = self._windows.get((account, name))
        if found is None:
            found = self._windows[account, name] = Window(SECOND, rate)
        return found

    def take(self, account: Account, name: str, rate: int, now_ns: int) -> Usage:
        """Count one.  Raises 10006, and then nothing was counted."""
        window = self.window(account, name, rate)
        if self._config.endpoint_buckets and window.full(now_ns):
            raise too_many(window.ends_ns(now_ns))
        window.add(1, now_ns)
        return self.usage(window, now_ns)

    def take_many(self, account: Account, name: str, rate: int, wanted: int, now_ns: int) -> tuple[int, Usage]:
        """Count as many of a batch as fit; how many those are."""
        window = self.window(account, name, rate)
        left = max(0, rate - window.used(now_ns)) if self._config.endpoint_buckets else wanted
        taken = min(left, wanted)
        window.add(taken, now_ns)
        return taken, self.usage(window, now_ns)

    @staticmethod
    def usage(window: Window, now_ns: int) -> Usage:
        left = max(0, window.limit - window.used(now_ns))
        return Usage(window.limit, left, now_ns if left else window.ends_ns(now_ns))


def order_bucket(action: str, category: str) -> tuple[str, int]:
    """Name and size of an order endpoint's bucket.  Raises 10001 for another product."""
    rate = ORDER_RATES[action].get(category)
    if rate is None:
        raise VenueError(10001, f"params error: category {category!r} is not served here")
    return f"order/{action}:{category}", rate
