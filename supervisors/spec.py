"""Child specifications: the words and arithmetic of Erlang/OTP supervisors, checked before anything starts.

`docs/supervision.md` holds the table of semantics that the tests go through row by row.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator

import attrs

from protocols.base import Message
from protocols.enums import MoneyPolicy
from protocols.ids import Path
from supervisors.actor import Actor

SECOND_NS = 1_000_000_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class Restart(enum.Enum):
    """When a child is started again."""

    PERMANENT = "permanent"
    """Always, however it ended: also when it ended without an error."""
    TRANSIENT = "transient"
    """Only after a crash."""
    TEMPORARY = "temporary"
    """Never; not even when a sibling's crash took it along."""


class Strategy(enum.Enum):
    """Who else is restarted with a crashed child."""

    ONE_FOR_ONE = "one_for_one"
    ONE_FOR_ALL = "one_for_all"
    REST_FOR_ONE = "rest_for_one"


class SpecError(ValueError):
    """A specification that cannot work; the text names the child and the field."""


@attrs.frozen
class Intensity:
    """At most `restarts` within `within_ns`; one more and the supervisor gives up upwards."""

    restarts: int = 5
    within_ns: int = 30 * SECOND_NS


@attrs.frozen
class Backoff:
    """Delay before a restart: the first is immediate, then `base_ns` doubling up to `max_ns`, each times 0.5 to 1.

    A child that has been ready for `calm_ns` starts over at the immediate first.
    """

    base_ns: int = 50_000_000
    max_ns: int = 30 * SECOND_NS
    calm_ns: int = 10 * SECOND_NS

    def delay_ns(self, attempt: int, fraction: float) -> int:
        """Delay before the restart number `attempt` (1 is the first); `fraction` in [0, 1) draws the jitter."""
        if attempt <= 1:
            return 0
        full = min(self.max_ns, self.base_ns << min(attempt - 2, 40))
        return int(full * (0.5 + fraction / 2))


WITHOUT_END = 1 << 30
"""Restarts of a group that never gives up."""


@attrs.frozen(kw_only=True)
class ChildSpec:
    """One actor under a supervisor."""

    name: str
    factory: Callable[[], Actor]
    restart: Restart = Restart.PERMANENT
    shutdown_ns: int = 5 * SECOND_NS
    """Deadline of an orderly stop; afterwards the child is cancelled."""
    capacity: int = 4096
    """Commands that may wait; events may exceed it up to `hard_limit`."""
    hard_limit: int | None = None
    batch: int = 64
    """Messages handled before another actor gets its turn."""
    depends_on: tuple[Path, ...] = ()
    """`started` is not called before all of these are ready."""
    poison_after: int = 2
    """A message that crashed the actor this often is set aside."""


@attrs.frozen(kw_only=True)
class SupervisorSpec:
    """A supervisor and its children, started in order and stopped in reverse."""

    name: str
    """Level in the addresses of what is below; "" adds none."""
    children: tuple[ChildSpec | SupervisorSpec, ...]
    title: str = ""
    """What the console calls it; default: the name."""
    strategy: Strategy = Strategy.ONE_FOR_ONE
    restart: Restart = Restart.PERMANENT
    intensity: Intensity = Intensity()
    backoff: Backoff = Backoff()
    money: MoneyPolicy = MoneyPolicy.HOLD
    """What happens to money when the restart budget is spent; shown by the console."""
    on_escalation: tuple[tuple[Path, Message], ...] = ()
    """Messages that carry the money policy out."""


def validate(spec: SupervisorSpec, parent: Path = "") -> None:
    """Raise SpecError for the first impossible field, naming the path of its owner."""
    path = parent if spec.name == "" else f"{parent}/{spec.name}"
    where = path or "/"
    if spec.name and not _NAME.fullmatch(spec.name):
        raise SpecError(f"{where}: name {spec.name!r} must match {_NAME.pattern}")
    if spec.intensity.restarts < 0 or spec.intensity.within_ns <= 0:
        raise SpecError(f"{where}: intensity must be >= 0 restarts within > 0 ns, was {spec.intensity}")
    if spec.backoff.base_ns <= 0 or spec.backoff.max_ns < spec.backoff.base_ns:
        raise SpecError(f"{where}: backoff must have 0 < base_ns <= max_ns, was {spec.backoff}")
    seen: set[str] = set()
    for child in spec.children:
        if child.name and child.name in seen:
            raise SpecError(f"{where}: two children are named {child.name!r}")
        seen.add(child.name)
        if isinstance(child, SupervisorSpec):
            validate(child, path)
            continue
        here = f"{path}/{child.name}"
        if not _NAME.fullmatch(child.name):
            raise SpecError(f"{here}: name {child.name!r} must match {_NAME.pattern}")
        for field in ("shutdown_ns", "capacity", "batch", "poison_after"):
            if getattr(child, field) < 1:
                raise SpecError(f"{here}: {field} must be at least 1, was {getattr(child, field)}")


def actor_specs(spec: SupervisorSpec, parent: Path = "") -> Iterator[tuple[Path, ChildSpec]]:
    """All actors of a tree with their paths, in start order."""
    path = parent if spec.name == "" else f"{parent}/{spec.name}"
    for child in spec.children:
        if isinstance(child, SupervisorSpec):
            yield from actor_specs(child, path)
        else:
            yield f"{path}/{child.name}", child
