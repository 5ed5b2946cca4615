"""Patience and sizes of one venue's backbone."""

from __future__ import annotations

import attrs

from actors.market.breaker import BreakerSettings
from actors.market.cache import CacheSettings
from actors.market.checks import CheckSettings

MS = 1_000_000
SECOND_NS = 1_000 * MS


@attrs.frozen(kw_only=True)
class MarketSettings:
    """Durations are ns."""

    cache: CacheSettings = attrs.field(factory=CacheSettings)
    checks: CheckSettings = attrs.field(factory=CheckSettings)
    breaker: BreakerSettings = attrs.field(factory=BreakerSettings)
    levels: int = 20
    """Of a streamed book, each side."""
    history: int = 200
    """Bars that are kept of each streamed length, and fetched at its start; a bar takes some 700 bytes."""
    tick_ns: int = 500 * MS
    """How often bars are looked at that no trade has closed."""
    heal_pause_ns: int = 1 * SECOND_NS
    """How often the venue is asked for its version of bars with holes."""
    audit_ns: int = 30 * SECOND_NS
    """How often one of the streamed tickers is compared with REST."""
    linger_ns: int = 10 * SECOND_NS
    """How long a stream that a single picture needed is listened to afterwards."""
    verify_pause_ns: int = 1 * SECOND_NS
    """How often it is tried again to learn whether a symbol exists."""
