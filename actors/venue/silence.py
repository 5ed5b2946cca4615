"""When silence is death: what a venue promises of its public channels, held against what was heard.

Pure arithmetic on monotonic times (ns); who replaces connections and tells readers is the feed's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from actors.venue.wants import Stream
from protocols.enums import Channel
from protocols.venue import Expectation

NOTHING_PROMISED = Expectation()
DOUBLINGS_MAX = 6
"""Patience with what stays silent grows up to 64 times: then nobody notices the replacements any more."""


@attrs.frozen
class Silent:
    """What has been silent for too long."""

    dead: tuple[Stream, ...]
    """The venue has broken its promise."""
    suspects: tuple[Stream | Channel, ...]
    """They may be quiet: a subscription that has never spoken, a channel of which no symbol speaks."""

    def __bool__(self) -> bool:
        return bool(self.dead or self.suspects)

    def names(self) -> str:
        """For the log."""
        silent = [*self.dead, *self.suspects]
        more = f" and {len(silent) - 5} more" if len(silent) > 5 else ""
        return ", ".join(map(name_of, silent[:5])) + more


class Silence:
    """Judge of one feed's streams.

    Each time that a stream or channel is found silent its patience doubles, until it speaks.
    """

    __slots__ = ("_expectations", "_fruitless")

    def __init__(self, expectations: Mapping[Channel, Expectation]) -> None:
        self._expectations = expectations
        self._fruitless: dict[Stream | Channel, int] = {}
        """How often a replacement has not made it speak."""

    @property
    def is_near(self) -> bool:
        """Something is silent: `heard` wants to know who speaks."""
        return bool(self._fruitless)

    def heard(self, stream: Stream) -> None:
        """It speaks."""
        self._fruitless.pop(stream, None)
        self._fruitless.pop(stream[0], None)

    def forget(self, stream: Stream) -> None:
        """Nobody wants it any more."""
        self._fruitless.pop(stream, None)

    def names(self) -> list[str]:
        """What was silent for too long and has not spoken since."""
        return sorted(map(name_of, self._fruitless))

    def judge(self, confirmed: Mapping[Stream, int], heard: Mapping[Stream, int], now_ns: int) -> Silent:
        """Of the confirmed subscriptions of one connection, those that are silent for too long."""
        dead: list[Stream] = []
        suspects: list[Stream | Channel] = []
        newest: dict[Channel, int] = {}
        for stream, confirmed_ns in confirmed.items():
            channel = stream[0]
            rule = self._expectations.get(channel, NOTHING_PROMISED)
            heard_ns = heard.get(stream)
            since_ns = confirmed_ns if heard_ns is None else heard_ns
            promise_ns = rule.first_ns if heard_ns is None else rule.repeat_ns
            newest[channel] = max(newest.get(channel, 0), since_ns, confirmed_ns)
            if promise_ns and self._is_over(stream, since_ns, promise_ns, now_ns):
                dead.append(stream)
            elif heard_ns is None and not promise_ns and self._is_over(stream, since_ns, rule.quiet_ns, now_ns):
                suspects.append(stream)
        for channel, at_ns in newest.items():
            rule = self._expectations.get(channel, NOTHING_PROMISED)
            if self._is_over(channel, at_ns, rule.quiet_ns, now_ns):
                suspects.append(channel)
        self._double((*dead, *suspects))
        return Silent(tuple(dead), tuple(suspects))

    def _is_over(self, what: Stream | Channel, since_ns: int, patience_ns: int, now_ns: int) -> bool:
        return now_ns - since_ns > patience_ns << self._fruitless.get(what, 0)

    def _double(self, silent: Iterable[Stream | Channel]) -> None:
        for what in silent:
            self._fruitless[what] = min(self._fruitless.get(what, 0) + 1, DOUBLINGS_MAX)


def name_of(what: Stream | Channel) -> str:
    """`book of BTCUSDT`, `all trades`."""
    return f"all {what.value}" if isinstance(what, Channel) else f"{what[0].value} of {what[1]}"
