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
    """How fast one connection may be written to; a rule below 1 is no rule.

    At most `per_s` messages in any second and `per_min` in any minute, and among them at most `requests_per_h`
    requests in any hour, where the venue counts what asks for something (okx-v5 section 3).
    """

    __slots__ = ("_messages", "_requests")

    def __init__(self, per_s: int, per_min: int = 0, requests_per_h: int = 0) -> None:
        self._messages = _windows((per_s, 1.001), (per_min, 60.001))
        self._requests = _windows((requests_per_h, 3600.001))

    def left_s(self, requests: int = 1) -> float:
        """How long until so many more may leave; of more than a rule allows at once, as many as it allows."""
        due = 0.0
        for sent, span in (*self._messages, *self._requests):
            most = sent.maxlen or 1
            over = len(sent) + min(requests, most) - most
            if over > 0:
                due = max(due, sent[over - 1] + span)
        return max(0.0, due - trio.current_time())

    async def wait(self) -> None:
        """Wait for one's turn with a request, and take it."""
        await trio.sleep(self.left_s())
        self.count(request=True)

    def count(self, *, request: bool = False) -> None:
        """A message was sent, maybe one that could not wait for its turn."""
        now = trio.current_time()
        for sent, _ in (*self._messages, *(self._requests if request else ())):
            sent.append(now)


def _windows(*rules: tuple[int, float]) -> list[tuple[deque[float], float]]:
    """For each rule the times of its newest messages, as many as it allows, and its length in seconds."""
    return [(deque[float](maxlen=most), span) for most, span in rules if most > 0]
