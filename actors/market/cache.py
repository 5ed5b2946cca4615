"""What the backbone remembers: the newest picture of each kind, symbol and source, for as long as it is fresh.

A picture is replaced by a newer one of the venue's clock, never by an older one: that is how an update invalidates.
Where stream and REST both have a fresh picture, the one that is newer by the venue's clock is given.  A live stream's
picture stays fresh longer than an answer of REST, because the stream would have said what has changed; `expire` takes
it away when the stream is lost.

The size is bounded: the picture that was used longest ago goes first.  Times are monotonic nanoseconds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

import attrs

SECOND_NS = 1_000_000_000

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@attrs.frozen(kw_only=True)
class CacheSettings:
    """How long pictures are fresh, and how many are kept."""

    rest_ns: int = 1 * SECOND_NS
    stream_ns: int = 3 * SECOND_NS
    """Of a live stream; venues repeat a ticker every second or two, a book its levels every second."""
    entries: int = 10_000

    def __attrs_post_init__(self) -> None:
        if self.entries < 1:
            raise ValueError(f"entries was {self.entries}, must be at least 1")


@attrs.define
class Entry(Generic[V]):
    """One picture."""

    value: V
    event_ns: int
    """The venue's clock."""
    stored_ns: int
    fresh_until_ns: int


class Cache(Generic[K, V]):
    """See the module text."""

    def __init__(self, entries: int = 10_000) -> None:
        self._most = entries
        self._entries: OrderedDict[K, Entry[V]] = OrderedDict()
        self.hits = 0
        self.misses = 0
        self.evicted = 0
        self.refused = 0
        """Pictures that were older than what is known."""

    def put(self, key: K, value: V, event_ns: int, now_ns: int, fresh_ns: int) -> bool:
        """Remember a picture for `fresh_ns`; False when a newer one is known, which stays."""
        known = self._entries.get(key)
        if known is not None and event_ns < known.event_ns:
            self.refused += 1
            return False
        self._entries[key] = Entry(value, event_ns, now_ns, now_ns + fresh_ns)
        if known is None and len(self._entries) > self._most:
            self._entries.popitem(last=False)
            self.evicted += 1
        return True

    def get(self, keys: Iterable[K], now_ns: int, max_age_ns: int | None = None) -> V | None:
        """The newest fresh picture among `keys`, not older than `max_age_ns`; counted as one hit or one miss."""
        best: Entry[V] | None = None
        found: K | None = None
        for key in keys:
            entry = self._entries.get(key)
            if (
                entry is not None
                and now_ns < entry.fresh_until_ns
                and (max_age_ns is None or now_ns - entry.stored_ns < max_age_ns)
                and (best is None or entry.event_ns > best.event_ns)
            ):
                best, found = entry, key
        if best is None or found is None:
            self.misses += 1
            return None
        self._entries.move_to_end(found)
        self.hits += 1
        return best.value

    def peek(self, key: K) -> V | None:
        """What is known, fresh or not; counts nothing."""
        entry = self._entries.get(key)
        return None if entry is None else entry.value

    def peek_fresh(self, key: K, now_ns: int) -> V | None:
        """What is known and fresh; counts nothing."""
        entry = self._entries.get(key)
        return None if entry is None or now_ns >= entry.fresh_until_ns else entry.value

    def expire(self, key: K) -> None:
        """What is known of it is fresh no longer."""
        entry = self._entries.get(key)
        if entry is not None:
            entry.fresh_until_ns = 0

    def drop(self, key: K) -> None:
        """Forget it, and that it was new: what comes next may be of an older clock."""
        self._entries.pop(key, None)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def hit_rate(self) -> str:
        """Hits among all reads in per cent, as text; "" before the first."""
        reads = self.hits + self.misses
        return f"{100 * self.hits / reads:.1f} %" if reads else ""
