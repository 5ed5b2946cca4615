"""The fault plan: everything that can be made to go wrong, said in advance and counted when it happens.

A `Fault` is a rule: what goes wrong (`kind`), for which subject (`match`, a shell pattern over a stream name, a
method or an event), after how many matches (`skip`), how often (`count`) and how likely (`probability`). The plan
is asked at each place where a fault may strike; the first rule that fires wins. The draw comes from a seeded
generator, so a run with the same seed and the same traffic fails in the same way.

    plan.add(Fault(kind=FaultKind.LOST_REPLY, match="order.place", skip=3, count=1))
"""

from __future__ import annotations

import random
from collections import Counter
from enum import Enum
from fnmatch import fnmatchcase
from typing import Any

import attrs


class FaultKind(Enum):
    """What can go wrong. The comment names what `match` is compared with."""

    # public messages: the stream's name, e.g. "btcusdt@depth@100ms"
    DROP = "drop"
    DELAY = "delay"  # by delay_ms
    DUPLICATE = "duplicate"
    REORDER = "reorder"  # held back until `after` further messages of the stream went out
    # requests: the method, e.g. "order.place"
    LOST_REPLY = "lost_reply"  # executed, never answered
    LATE_ACCEPT = "late_accept"  # executed delay_ms later, never answered
    DELAY_REPLY = "delay_reply"  # executed and its events sent at once, answered delay_ms later
    DELAY_REQUEST = "delay_request"  # executed and answered delay_ms later
    EVENT_FIRST = "event_first"  # the account's events leave before the reply
    REPLY_FIRST = "reply_first"  # the events leave delay_ms after the reply
    ERROR_BEFORE = "error_before"  # 5xx, not executed
    ERROR_AFTER = "error_after"  # 5xx, but executed
    TIMEOUT_EXECUTED = "timeout_executed"  # "execution status unknown" after delay_ms; executed
    TIMEOUT_LOST = "timeout_lost"  # the same text; not executed
    RATE_LIMIT = "rate_limit"  # 429 with delay_ms to wait
    BAN = "ban"  # 418 with delay_ms to wait; open sockets of the address are dropped
    CUT_BEFORE = "cut_before"  # connection reset, not executed
    CUT_AFTER = "cut_after"  # executed, then connection reset without a reply
    # private events: the type and what happened, e.g. "executionReport:TRADE"
    EVENT_DROP = "event_drop"
    EVENT_DUPLICATE = "event_duplicate"
    EVENT_DELAY = "event_delay"  # by delay_ms
    # new connections: "rest", "streams" or "ws-api"
    REFUSE = "refuse"  # reset right after the accept
    HALF_OPEN = "half_open"  # after `after` bytes sent: neither reads nor writes, stays open
    CUT_AFTER_BYTES = "cut_after_bytes"  # reset once `after` bytes were sent
    # done at once, matched against live connections or nothing
    CUT_NOW = "cut_now"
    HALF_OPEN_NOW = "half_open_now"
    CLOCK_SKEW = "clock_skew"  # delay_ms is the offset, may be negative
    REFUSE_FOR = "refuse_for"  # nobody listens for delay_ms
    SHUTDOWN_NOTICE = "shutdown_notice"  # announce the end of the connection, then close it delay_ms later
    REVOKE_KEY = "revoke_key"  # match is the API key


PUBLIC = frozenset({FaultKind.DROP, FaultKind.DELAY, FaultKind.DUPLICATE, FaultKind.REORDER})
EVENT = frozenset({FaultKind.EVENT_DROP, FaultKind.EVENT_DUPLICATE, FaultKind.EVENT_DELAY})
CONNECT = frozenset({FaultKind.REFUSE, FaultKind.HALF_OPEN, FaultKind.CUT_AFTER_BYTES})
IMMEDIATE = frozenset(
    {
        FaultKind.CUT_NOW,
        FaultKind.HALF_OPEN_NOW,
        FaultKind.CLOCK_SKEW,
        FaultKind.REFUSE_FOR,
        FaultKind.SHUTDOWN_NOTICE,
        FaultKind.REVOKE_KEY,
    }
)
REQUEST = frozenset(FaultKind) - PUBLIC - EVENT - CONNECT - IMMEDIATE
_GROUPS = (PUBLIC, EVENT, CONNECT, REQUEST)


def _count(value: Any) -> int | None:
    return None if value is None else int(value)


@attrs.define(kw_only=True)
class Fault:
    """One rule of the plan. `count=None` means for ever."""

    kind: FaultKind = attrs.field(converter=FaultKind)
    match: str = "*"
    skip: int = attrs.field(default=0, converter=int)
    count: int | None = attrs.field(default=1, converter=_count)
    probability: float = attrs.field(default=1.0, converter=float)
    delay_ms: int = attrs.field(default=0, converter=int)
    after: int = attrs.field(default=1, converter=int)
    update_id: int | None = attrs.field(default=None, converter=_count)  # only the message that covers this id
    status: int = attrs.field(default=503, converter=int)
    account: str = ""  # private faults and request faults only for this account
    fault_id: int = 0
    seen: int = 0
    fired: int = 0

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability must lie in 0..1, got {self.probability}")
        if self.skip < 0 or (self.count is not None and self.count < 1):
            raise ValueError(f"skip must be >= 0 and count >= 1, got skip={self.skip} count={self.count}")

    @classmethod
    def parse(cls, text: str) -> Fault:
        """From the command line: `kind[,name=value...]`, e.g. `drop,match=*@depth*,count=3,probability=0.01`.

        `count=forever` lifts the limit. Raises ValueError that names the part which is wrong.
        """
        kind, _, rest = text.partition(",")
        values: dict[str, Any] = {}
        names = {field.name for field in attrs.fields(cls)} - {"kind", "fault_id", "seen", "fired"}
        for part in filter(None, rest.split(",")):
            name, separator, value = part.partition("=")
            if not separator or name not in names:
                raise ValueError(f"fault {text!r}: {part!r} is not one of {', '.join(sorted(names))}=VALUE")
            values[name] = None if name == "count" and value == "forever" else value
        try:
            return cls(kind=kind, **values)
        except ValueError as error:
            kinds = ", ".join(known.value for known in FaultKind)
            raise ValueError(f"fault {text!r}: {error}; kinds are {kinds}") from None


class FaultPlan:
    """All rules in force, and how often each kind has struck."""

    def __init__(self, faults: list[Fault] | None = None, *, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._rules: dict[frozenset[FaultKind], list[Fault]] = {group: [] for group in _GROUPS}
        self._next_id = 0
        self.counts: Counter[str] = Counter()
        for fault in faults or []:
            self.add(fault)

    def add(self, fault: Fault) -> Fault:
        """Put a rule in force; returns it with its number. Immediate kinds belong to `Simulator.strike`."""
        for group in _GROUPS:
            if fault.kind in group:
                self._next_id += 1
                fault.fault_id = self._next_id
                self._rules[group].append(fault)
                return fault
        raise ValueError(f"{fault.kind.value} acts at once and cannot be a standing rule; use strike()")

    def remove(self, fault_id: int) -> bool:
        """Lift one rule; False where it is not in force."""
        for rules in self._rules.values():
            for fault in rules:
                if fault.fault_id == fault_id:
                    rules.remove(fault)
                    return True
        return False

    def clear(self) -> None:
        """Lift all rules. The counts stay."""
        for rules in self._rules.values():
            rules.clear()

    def active(self) -> list[Fault]:
        return [fault for rules in self._rules.values() for fault in rules]

    def note(self, kind: FaultKind) -> None:
        """Count a fault that acted at once."""
        self.counts[kind.value] += 1

    def take(
        self,
        group: frozenset[FaultKind],
        subject: str,
        *,
        account: str = "",
        ids: tuple[int, int] | None = None,
    ) -> Fault | None:
        """The rule that strikes `subject` now, or None. `ids` is the range of update ids of a message."""
        rules = self._rules[group]
        if not rules:
            return None
        for fault in rules:
            if fault.update_id is not None and (ids is None or not ids[0] <= fault.update_id <= ids[1]):
                continue
            if not fnmatchcase(subject, fault.match) or (fault.account and fault.account != account):
                continue
            fault.seen += 1
            if fault.seen <= fault.skip:
                continue
            if fault.probability < 1 and self._random.random() >= fault.probability:
                continue
            fault.fired += 1
            self.counts[fault.kind.value] += 1
            if fault.count is not None and fault.fired >= fault.count:
                rules.remove(fault)
            return fault
        return None
