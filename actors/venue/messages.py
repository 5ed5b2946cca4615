"""What the sessions of one venue say to each other: permissions, counts, bans, the clock.

Times are our wall clock, ns.
"""

from __future__ import annotations

import attrs

from protocols.base import Event, Query, message
from protocols.ids import AccountID, Path
from protocols.venue import Lane, Limit, Usage

Costs = tuple[tuple[str, int], ...]
"""(limit name, how much of it), e.g. `(("weight", 5), ("raw", 1))`."""


@message
class PermitQuery(Query):
    """May I send this?  Answered by a `Permit` when it is my turn; fails when it is not within `patience_ns`."""

    lane: Lane
    costs: Costs
    account: str
    """Whose per-account limits it counts for; "" for public requests."""
    patience_ns: int
    venue: str = ""
    """Product of the family, where each has limits of its own."""
    symbol: str = ""
    """For limits that each instrument has."""


@attrs.frozen
class Permit:
    """Permission for one request, to be sent at once and settled by `PermitSettled`."""

    number: int


@message
class PermitSettled(Event):
    """What became of (a part of) a permission, and what the venue said about our use of its limits."""

    number: int
    account: str
    used: Costs
    unused: Costs
    usage: tuple[Usage, ...]
    sent_ns: int
    venue: str = ""


@message
class LeaseWanted(Event):
    """Order entry wants permits in advance, so that no order has to ask.  The answer is a `LimiterLease`."""

    account: AccountID
    kind: str
    permits_max: int
    reply_to: Path
    venue: str = ""
    symbol: str = ""
    exact: bool = False
    """`permits_max` are needed now, all of them; else as many as may be held in stock."""


@message
class LimitsKnown(Event):
    """The venue's own limits, read from it: all of them."""

    limits: tuple[Limit, ...]
    venue: str = ""


@message
class BlockedByVenue(Event):
    """A session was told to wait (429) or banned (418); `until_ns` 0 when the venue did not say until when."""

    until_ns: int
    text: str
    account: str | None = None
    """Whom it concerns ("": public requests); None: all on this address."""
    costs: Costs = ()
    """Which of the buckets it concerns; (): all."""


@message
class ClockSuspected(Event):
    """The venue refused a request because of its time stamp."""

    text: str
