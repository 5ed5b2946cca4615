"""When to stop asking a venue that fails, and how often to ask again.

*Breaker*, one for each endpoint: CLOSED asks; after `failures` in a row it is OPEN and nothing is asked for a time that
doubles with each fruitless attempt; then HALF_OPEN lets one through, and what becomes of it decides.

*Retry budget*, one for each venue: every request earns a part of a retry, so that retries are at most a fixed share of
the requests, whatever is broken and however many callers are impatient.

    if breaker.allows(now_ns):
        ...                      # ask, then exactly one of:
        breaker.succeeded()
        breaker.failed(now_ns)
        breaker.abandoned()      # nothing was learned: cancelled, or refused for the asker's fault
"""

from __future__ import annotations

import enum

import attrs

SECOND_NS = 1_000_000_000


class BreakerState(enum.Enum):
    """See the module text."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@attrs.frozen(kw_only=True)
class BreakerSettings:
    """When an endpoint counts as broken."""

    failures: int = 5
    """In a row."""
    open_ns: int = 2 * SECOND_NS
    """First time of not asking; doubles up to `open_max_ns`."""
    open_max_ns: int = 60 * SECOND_NS


class Breaker:
    """Of one endpoint."""

    __slots__ = ("_failures", "_is_trying", "_openings", "_opens_ns", "_settings", "opened")

    def __init__(self, settings: BreakerSettings | None = None) -> None:
        self._settings = settings or BreakerSettings()
        self._failures = 0
        self._openings = 0
        """In a row, without a success between."""
        self._opens_ns = 0
        """Until when nothing is asked; 0 while closed."""
        self._is_trying = False
        """The one attempt of HALF_OPEN is on its way."""
        self.opened = 0
        """How often, ever."""

    def state(self, now_ns: int) -> BreakerState:
        """What `allows` would do."""
        if not self._opens_ns:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now_ns < self._opens_ns else BreakerState.HALF_OPEN

    @property
    def retry_at_ns(self) -> int:
        """When the next attempt is allowed; 0 while closed."""
        return self._opens_ns

    def allows(self, now_ns: int) -> bool:
        """Permission for one attempt, to be settled by one of the three calls below."""
        match self.state(now_ns):
            case BreakerState.CLOSED:
                return True
            case BreakerState.OPEN:
                return False
            case BreakerState.HALF_OPEN:
                if self._is_trying:
                    return False
                self._is_trying = True
                return True

    def succeeded(self) -> None:
        """The endpoint works: closed, and everything is forgiven."""
        self._failures = self._openings = self._opens_ns = 0
        self._is_trying = False

    def failed(self, now_ns: int) -> None:
        """One more; enough of them open it, and a failed trial opens it again for longer."""
        self._failures += 1
        if self._is_trying or (not self._opens_ns and self._failures >= self._settings.failures):
            settings = self._settings
            self._opens_ns = now_ns + min(settings.open_ns << min(self._openings, 30), settings.open_max_ns)
            self._openings += 1
            self.opened += 1
        self._is_trying = False

    def abandoned(self) -> None:
        """The attempt taught nothing."""
        self._is_trying = False


class RetryBudget:
    """Retries are at most one in `requests_per_retry` requests, with `burst` saved up at most."""

    __slots__ = ("_earned", "_most", "_price", "spent")

    def __init__(self, requests_per_retry: int = 5, burst: int = 10) -> None:
        if requests_per_retry < 1 or burst < 0:
            raise ValueError(f"requests_per_retry was {requests_per_retry}, burst {burst}: at least 1 and 0")
        self._price = requests_per_retry
        self._most = self._earned = requests_per_retry * burst
        self.spent = 0
        """Retries, ever."""

    def requested(self) -> None:
        """A request that is no retry."""
        self._earned = min(self._earned + 1, self._most)

    def take(self) -> bool:
        """May this be asked again?"""
        if self._earned < self._price:
            return False
        self._earned -= self._price
        self.spent += 1
        return True
