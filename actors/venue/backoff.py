"""When to try again and how fast to send: the arithmetic of everything in the venue sessions that waits."""

from __future__ import annotations

from collections import deque

import trio

from actors.venue.settings import ReconnectSettings


def reconnect_delay_ns(settings: ReconnectSettings, failures: int, fraction: float, *, refused: bool) -> int:
    """Delay before the next attempt after `failures` failed ones in a row (at least 1); `fraction` in [0, 1).

    The first retry comes at once, within a jitter; then the delay doubles.  Only a venue that asked for patience
    (`refused`: too many requests, a ban) is not tried again before `refused_floor_ns`.
    """
    if failures <= 1 and not refused:
        return int(settings.first_jitter_ns * fraction)
    full = min(settings.backoff_max_ns, settings.backoff_ns << min(max(failures - 2, 0), 40))
    if refused:
        full = max(full, settings.refused_floor_ns)
        return full + int(full * fraction / 10)
    return int(full * (0.5 + fraction / 2))


class TokenBucket:
    """At most `burst` at once and one per `interval_ns` on average: the brake on resyncs."""

    __slots__ = ("_burst", "_interval_ns", "_tokens_ns", "_updated_ns")

    def __init__(self, burst: int, interval_ns: int) -> None:
        if burst < 1 or interval_ns < 1:
            raise ValueError(f"burst and interval_ns must be at least 1, were {burst} and {interval_ns}")
        self._burst = burst
        self._interval_ns = interval_ns
        self._tokens_ns = burst * interval_ns
        self._updated_ns: int | None = None

    def take(self, now_ns: int) -> int:
        """Take a token, even if it is not there yet; returns how long (ns) to wait until it is."""
        if self._updated_ns is not None:
            earned = now_ns - self._updated_ns
            self._tokens_ns = min(self._burst * self._interval_ns, self._tokens_ns + earned)
        self._updated_ns = now_ns
        self._tokens_ns -= self._interval_ns
        return max(0, -self._tokens_ns)


class Pacer:
    """At most `per_s` messages in any second and `per_min` in any minute; below 1: no such rule."""

    __slots__ = ("_windows",)

    def __init__(self, per_s: int, per_min: int = 0) -> None:
        rules = ((per_s, 1.001), (per_min, 60.001))
        self._windows = [(deque[float](maxlen=most), span) for most, span in rules if most > 0]

    async def wait(self) -> None:
        """Wait for one's turn, and take it."""
        due = max((sent[0] + span for sent, span in self._windows if len(sent) == sent.maxlen), default=0.0)
        if due > trio.current_time():
            await trio.sleep_until(due)
        self.count()

    def count(self) -> None:
        """A message was sent that could not wait."""
        now = trio.current_time()
        for sent, _ in self._windows:
            sent.append(now)
