"""What the console shows of the tree: plain values, read on demand, never kept on the hot path."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from protocols.ids import Path
from supervisors.cell import Cell
from supervisors.ends import DeadLetter, RestartRecord
from supervisors.runtime import Runtime
from supervisors.spec import WITHOUT_END
from supervisors.supervisor import Supervisor


@attrs.frozen
class TreeRow:
    """One line of the tree."""

    depth: int
    path: Path
    name: str
    kind: str
    """`supervisor`, or the actor's class name."""
    phase: str
    ready: bool
    paused: bool
    epoch: int
    restarts: int
    depth_now: int
    depth_high: int
    handled: int
    p50_ns: int
    p99_ns: int
    note: str


@attrs.frozen
class ActorPicture:
    """Everything about one actor."""

    path: Path
    kind: str
    phase: str
    ready: bool
    unready_reason: str
    paused: bool
    epoch: int
    mailbox: Mapping[str, int]
    counts: Mapping[str, int]
    handling_ns: Mapping[str, int]
    restarts: tuple[RestartRecord, ...]
    links: Mapping[str, tuple[Path, ...]]
    state: Mapping[str, object]


def _kind(cell: Cell) -> str:
    return type(cell.actor).__name__ if cell.actor is not None else "-"


def tree(root: Supervisor) -> list[TreeRow]:
    """The whole tree, top down in start order."""
    rows: list[TreeRow] = []
    for depth, node in root.walk():
        if isinstance(node, Supervisor):
            figures = node.statistics()
            most = figures["restarts_max"]
            used = f"{figures['restarts_in_window']}/{'unlimited' if most == WITHOUT_END else most}"
            note = f"{figures['strategy']} {used} money={figures['money']}"
            rows.append(
                TreeRow(
                    depth=depth,
                    path=node.path or "/",
                    name=node.spec.title or node.spec.name or "root",
                    kind="supervisor",
                    phase="running" if node.running else "down",
                    ready=node.running,
                    paused=False,
                    epoch=0,
                    restarts=node.escalations,
                    depth_now=0,
                    depth_high=0,
                    handled=0,
                    p50_ns=0,
                    p99_ns=0,
                    note=note,
                )
            )
        else:
            rows.append(_row(depth, node))
    return rows


def _row(depth: int, cell: Cell) -> TreeRow:
    return TreeRow(
        depth=depth,
        path=cell.path,
        name=cell.spec.name,
        kind=_kind(cell),
        phase=cell.phase.value,
        ready=cell.ready,
        paused=cell.paused,
        epoch=cell.epoch,
        restarts=cell.restart_count,
        depth_now=cell.mailbox.depth,
        depth_high=cell.mailbox.high_water,
        handled=cell.handled,
        p50_ns=cell.handling.percentile(0.50),
        p99_ns=cell.handling.percentile(0.99),
        note=cell.unready_reason,
    )


def picture(runtime: Runtime, path: Path) -> ActorPicture:
    """One actor; KeyError when there is none at `path`."""
    cell = runtime.cell(path)
    mailbox = cell.mailbox
    waiting = mailbox.depth > 0
    return ActorPicture(
        path=path,
        kind=_kind(cell),
        phase=cell.phase.value,
        ready=cell.ready,
        unready_reason=cell.unready_reason,
        paused=cell.paused,
        epoch=cell.epoch,
        mailbox={
            "depth": mailbox.depth,
            "high_water": mailbox.high_water,
            "capacity": mailbox.capacity,
            "hard_limit": mailbox.hard_limit,
            "conflated": mailbox.conflated,
            "refused": mailbox.refused,
            "oldest_age_ns": runtime.clock.monotonic_ns() - cell.oldest_since_ns if waiting else 0,
        },
        counts={kind.__name__: count for kind, count in sorted(cell.counts.items(), key=lambda kv: -kv[1])},
        handling_ns=cell.handling.summary(),
        restarts=tuple(cell.restarts),
        links={
            "depends_on": cell.spec.depends_on,
            "watched_by": tuple(cell.watchers),
            "watches": tuple(c.path for c in runtime.cells() if path in c.watchers),
        },
        state=dict(cell.actor.inspect()) if cell.actor is not None else {},
    )


def dead_letters(runtime: Runtime, limit: int = 100) -> list[DeadLetter]:
    """The newest messages that could not be handled, oldest first."""
    return list(runtime.dead_letters)[-limit:]
