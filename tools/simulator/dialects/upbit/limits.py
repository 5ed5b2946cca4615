"""How often one may ask (section 3), and the other rules of the venue that are numbers.

What is public is counted per address in fixed seconds, what is an account's per account (the venue says pocket) in
token buckets. Who goes on after refusals is blocked, each time for longer; the venue states no numbers for that, so
these are ours.
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol

import attrs

from tools.simulator.core.clock import SECOND
from tools.simulator.core.limits import Window

PUBLIC_GROUPS = ("market", "candle", "trade", "ticker", "orderbook")
STRIKES_BEFORE_BAN = 10  # refused requests within one minute
FIRST_BAN_NS = 60 * SECOND
LONGEST_BAN_NS = 24 * 3600 * SECOND
PLENTY = 999  # left of a group without a limit


@attrs.frozen(kw_only=True)
class UpbitLimits:
    """What the venue allows; 0 switches a limit off."""

    market_per_second: int = 10
    candle_per_second: int = 10
    trade_per_second: int = 10
    ticker_per_second: int = 10
    orderbook_per_second: int = 10
    default_per_second: int = 30
    orders_per_second: int = 12
    order_tests_per_second: int = 8
    cancel_all_per_2_seconds: int = 1
    origin_per_10_seconds: int = 1
    """Requests that carry an Origin header."""
    connections_per_second: int = 5
    messages_per_second: int = 5
    messages_per_minute: int = 100
    idle_seconds: int = 120
    """A socket without data in either direction for so long is closed."""
    cancel_after_ms: int = 0
    """A cancel that was taken is carried out so much later, and only then its replacement is made."""
    body_parameters: int = 0
    """1: parameters of GET and DELETE are read from a body, too, which the venue no longer promises (section 5.2)."""


LIMIT_NAMES = {
    "orders": "orders_per_second",
    "default": "default_per_second",
    "cancelall": "cancel_all_per_2_seconds",
    "connections": "connections_per_second",
    "messages": "messages_per_second",
    "idle": "idle_seconds",
}


class Counter(Protocol):
    def take(self, now_ns: int) -> bool: ...

    def left(self, now_ns: int) -> int: ...


class Fixed:
    """So many in each second of the clock."""

    def __init__(self, limit: int, interval_ns: int = SECOND) -> None:
        self._window = Window(interval_ns, limit)

    def take(self, now_ns: int) -> bool:
        if self._window.full(now_ns):
            return False
        self._window.add(1, now_ns)
        return True

    def left(self, now_ns: int) -> int:
        return max(0, self._window.limit - self._window.used(now_ns)) if self._window.limit else PLENTY


class Bucket:
    """Tokens that come back at a steady rate, up to as many as the limit."""

    def __init__(self, limit: int, interval_ns: int = SECOND) -> None:
        self._limit = limit
        self._interval_ns = interval_ns
        self._spent = 0  # in units of one token times the interval, so that nothing is ever rounded
        self._at_ns = 0

    def _refill(self, now_ns: int) -> None:
        self._spent = max(0, self._spent - (now_ns - self._at_ns) * self._limit)
        self._at_ns = now_ns

    def take(self, now_ns: int) -> bool:
        if not self._limit:
            return True
        self._refill(now_ns)
        if self._spent + self._interval_ns > self._limit * self._interval_ns:
            return False
        self._spent += self._interval_ns
        return True

    def left(self, now_ns: int) -> int:
        if not self._limit:
            return PLENTY
        self._refill(now_ns)
        return self._limit - -(-self._spent // self._interval_ns)


class Verdict(Enum):
    PASS = 200
    LIMITED = 429
    BANNED = 418


class Budget:
    """What one address, or one account, has left in every group, and what it did wrong."""

    def __init__(self, counters: dict[str, Counter]) -> None:
        self.counters = counters
        self.blocked_until_ns = 0
        self.banned = False
        self._strikes = Window(60 * SECOND, STRIKES_BEFORE_BAN - 1)
        self._bans = 0

    def block(self, until_ns: int, *, ban: bool) -> None:
        """Refuse everything until then."""
        self.blocked_until_ns, self.banned = until_ns, ban

    def take(self, group: str, now_ns: int) -> Verdict:
        """Count one request of a group."""
        if now_ns < self.blocked_until_ns:
            return Verdict.BANNED if self.banned else Verdict.LIMITED
        if self.counters[group].take(now_ns):
            return Verdict.PASS
        if self._strikes.full(now_ns):
            self._bans += 1
            self.block(now_ns + min(FIRST_BAN_NS << (self._bans - 1), LONGEST_BAN_NS), ban=True)
            return Verdict.BANNED
        self._strikes.add(1, now_ns)
        return Verdict.LIMITED

    def left(self, group: str, now_ns: int) -> int:
        return self.counters[group].left(now_ns)


def public_budget(limits: UpbitLimits) -> Budget:
    """Of one address."""
    per_second = {name: getattr(limits, f"{name}_per_second") for name in PUBLIC_GROUPS}
    counters: dict[str, Counter] = {name: Fixed(limit) for name, limit in per_second.items()}
    counters["origin"] = Fixed(limits.origin_per_10_seconds, 10 * SECOND)
    counters["websocket-connect"] = Fixed(limits.connections_per_second)
    return Budget(counters)


def account_budget(limits: UpbitLimits) -> Budget:
    """Of one account."""
    return Budget(
        {
            "default": Bucket(limits.default_per_second),
            "order": Bucket(limits.orders_per_second),
            "order-test": Bucket(limits.order_tests_per_second),
            "order-cancel-all": Bucket(limits.cancel_all_per_2_seconds, 2 * SECOND),
            "websocket-connect": Fixed(limits.connections_per_second),
        }
    )
