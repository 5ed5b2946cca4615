"""What can be tuned in an account; durations in ns."""

from __future__ import annotations

import attrs

from actors.account.orders import Retention

SECOND = 1_000_000_000
_POSITIVE = attrs.validators.gt(0)


@attrs.frozen(kw_only=True)
class AccountSettings:
    """Defaults fit a venue whose requests carry a window of some seconds (Binance: recvWindow)."""

    stale_ns: int = attrs.field(default=2 * SECOND, validator=_POSITIVE)
    """An order older than this when it arrives is refused: the market that it was made for has gone."""
    settle_ns: int = attrs.field(default=17 * SECOND, validator=_POSITIVE)
    """After this much time an unanswered request cannot take effect any more, where the sender did not say when:
    request window (5 s) + the venue's own limit (10 s) + clock skew."""
    report_patience_ns: int = attrs.field(default=SECOND, validator=_POSITIVE)
    """A request that the venue has acknowledged and not reported about for so long is asked for."""
    mass_cancel_min: int = attrs.field(default=5, validator=attrs.validators.ge(2))
    """So many orders of one symbol are canceled together, in the venue's own words for it; fewer one by one."""
    correct_positions: bool = True
    """When the venue holds another contract position than our fills add up to, take the venue's over, as nobody's
    strategy (MANUAL).  False: the alarm alone."""
    fills_attempts: int = attrs.field(default=5, validator=_POSITIVE)
    """So often the venue is asked for trades that it counts and does not show, before the alarm."""
    audit_ns: int = attrs.field(default=60 * SECOND, validator=_POSITIVE)
    """Between comparisons with the venue while everything seems well."""
    reconcile_timeout_ns: int = attrs.field(default=60 * SECOND, validator=_POSITIVE)
    reconcile_first_retry_ns: int = attrs.field(default=SECOND // 2, validator=_POSITIVE)
    reconcile_retry_max_ns: int = attrs.field(default=30 * SECOND, validator=_POSITIVE)
    drain_retry_ns: int = attrs.field(default=SECOND, validator=_POSITIVE)
    replay_timeout_ns: int = attrs.field(default=60 * SECOND, validator=_POSITIVE)
    instruments_timeout_ns: int = attrs.field(default=SECOND, validator=_POSITIVE)
    snapshot_records: int = attrs.field(default=1_000, validator=_POSITIVE)
    """A snapshot is written after so many records at the earliest, and after half as many as it has rows itself, so
    that writing snapshots costs no more than a fixed part of writing records."""
    snapshot_interval_ns: int = attrs.field(default=SECOND, validator=attrs.validators.ge(0))
    """Least time between two snapshots."""
    retention: Retention = attrs.field(factory=Retention)
