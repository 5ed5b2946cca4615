"""Rate limits on fixed windows that are aligned to the clock, as venues count them.

A window of ten seconds starts at :00, :10, ...; a day at 00:00 UTC. `PeerLimits` keeps one address's request weight
and bans it when it goes on regardless: first two minutes, then twice as long each time, at most three days.
"""

from __future__ import annotations

from typing import Protocol

import attrs

from tools.simulator.core.clock import DAY, MINUTE

STRIKES_BEFORE_BAN = 20  # refused requests within one window
FIRST_BAN_NS = 2 * MINUTE
LONGEST_BAN_NS = 3 * DAY


@attrs.define
class Window:
    """A counter that starts again with each interval. A limit of zero never refuses."""

    interval_ns: int
    limit: int
    _start: int = -1
    _used: int = 0

    def used(self, now_ns: int) -> int:
        """What has been counted in the current window."""
        start = now_ns - now_ns % self.interval_ns
        if start != self._start:
            self._start, self._used = start, 0
        return self._used

    def add(self, amount: int, now_ns: int) -> None:
        """Count; never below zero (fills give order counts back)."""
        self._used = max(0, self.used(now_ns) + amount)

    def full(self, now_ns: int, extra: int = 1) -> bool:
        """Would `extra` more be too many?"""
        return bool(self.limit) and self.used(now_ns) + extra > self.limit

    def ends_ns(self, now_ns: int) -> int:
        """When the current window is over."""
        return now_ns - now_ns % self.interval_ns + self.interval_ns


@attrs.frozen(kw_only=True)
class LimitConfig:
    """What Binance Spot allows; 0 switches a limit off."""

    weight_per_minute: int = 6_000
    raw_per_5_minutes: int = 300_000
    connections_per_5_minutes: int = 300
    orders_per_10_seconds: int = 100
    orders_per_day: int = 200_000
    stream_messages_per_second: int = 5
    streams_per_connection: int = 1024


class PeerAllowance(Protocol):
    """The part of a family's limits that an address has."""

    @property
    def weight_per_minute(self) -> int: ...

    @property
    def raw_per_5_minutes(self) -> int: ...

    @property
    def connections_per_5_minutes(self) -> int: ...


@attrs.define
class PeerLimits:
    """One address's budget and its sins."""

    weight: Window
    raw: Window
    connections: Window
    blocked_until_ns: int = 0
    banned: bool = False
    strikes: int = 0
    bans: int = 0

    @classmethod
    def make(cls, config: PeerAllowance) -> PeerLimits:
        return cls(
            Window(MINUTE, config.weight_per_minute),
            Window(5 * MINUTE, config.raw_per_5_minutes),
            Window(5 * MINUTE, config.connections_per_5_minutes),
        )

    def block(self, until_ns: int, *, ban: bool) -> None:
        """Refuse everything until then."""
        self.blocked_until_ns = until_ns
        self.banned = ban
        self.strikes = 0

    def check(self, now_ns: int, weight: int, raw: int = 1) -> bool:
        """True where a request of this weight may pass. Repeated attempts while blocked lead to a ban."""
        if now_ns >= self.blocked_until_ns:
            if self.blocked_until_ns:
                self.blocked_until_ns, self.banned, self.strikes = 0, False, 0
            for window, amount in ((self.weight, weight), (self.raw, raw)):
                if window.full(now_ns, amount):
                    self.block(window.ends_ns(now_ns), ban=False)
                    return False
            return True
        self.strikes += 1
        if self.strikes >= STRIKES_BEFORE_BAN:
            self.bans += 1
            self.block(now_ns + min(FIRST_BAN_NS << (self.bans - 1), LONGEST_BAN_NS), ban=True)
        return False


@attrs.define
class OrderLimits:
    """How many orders one account may send."""

    short: Window
    long: Window  # a day on Spot, a minute on Futures

    def exceeded(self, now_ns: int, orders: int, requests: int | None = None) -> Window | None:
        """The window that `orders` more would break, or None.  `requests` is what the long one counts instead."""
        for window, amount in ((self.short, orders), (self.long, orders if requests is None else requests)):
            if window.full(now_ns, amount):
                return window
        return None

    def add(self, orders: int, now_ns: int, requests: int | None = None) -> None:
        requests = orders if requests is None else requests
        if orders > 0 and self.long.full(now_ns, requests):
            return  # a spent day no longer grows the short window
        self.short.add(orders, now_ns)
        self.long.add(requests, now_ns)
