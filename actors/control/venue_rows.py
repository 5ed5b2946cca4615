"""One look at each venue: what of it is up, and what it lets us do.  Reads what the actors show; asks nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from protocols.ids import AccountID, Path, Venue
from protocols.orders import account_path
from protocols.reconcile import clock_path, instruments_path, public_path
from supervisors.cell import Cell
from supervisors.runtime import Runtime


@attrs.frozen(kw_only=True)
class VenueRow:
    """What an operator sees of one venue."""

    venue: Venue
    ready: bool
    """Market data, clock, instruments and every account are up, and all books are proven."""
    books: int
    books_proven: int
    gaps: int
    """Holes in the books' streams so far."""
    accounts: int
    accounts_ready: int
    clock_offset_ms: float | None
    """None while it is not known."""
    blocked_until_ns: int
    """Wall clock until which the venue wants nothing from us; 0: it is open."""
    blocked_because: str
    fullest_limit: str
    """The limit that is used most at this moment: `weight/60s 310 of 6000`."""
    waiting: int
    """Requests that wait for their turn."""
    why: str
    """The first reason why it is not ready."""


def venue_rows(
    runtime: Runtime, limiters: Mapping[Venue, Path], accounts: Sequence[tuple[AccountID, Venue]]
) -> list[VenueRow]:
    """One row for each venue, in the order of `limiters`, which has each venue's."""
    return [_row(runtime, venue, limiter, accounts) for venue, limiter in limiters.items()]


def _row(runtime: Runtime, venue: Venue, limiter: Path, accounts: Sequence[tuple[AccountID, Venue]]) -> VenueRow:
    books = list(_below(runtime, f"/venues/{venue}/books/"))
    desks = [cell for pair in accounts if pair[1] == venue and (cell := runtime.find(account_path(*pair))) is not None]
    others = [
        cell
        for path in (limiter, clock_path(venue), instruments_path(venue), public_path(venue))
        if (cell := runtime.find(path)) is not None
    ]
    clock, limits = _state(runtime, clock_path(venue)), _state(runtime, limiter)
    down = [cell for cell in (*others, *books, *desks) if not cell.ready]
    waiting = limits.get("waiting", {})
    return VenueRow(
        venue=venue,
        ready=not down,
        books=len(books),
        books_proven=sum(cell.ready for cell in books),
        gaps=sum(int(_inspected(cell).get("gaps", 0)) for cell in books),
        accounts=len(desks),
        accounts_ready=sum(cell.ready for cell in desks),
        clock_offset_ms=clock["offset_ms"] if clock.get("usable") else None,
        blocked_until_ns=int(limits.get("blocked_until_ns", 0)),
        blocked_because=str(limits.get("blocked_because", "")),
        fullest_limit=_fullest(limits.get("used", {})),
        waiting=sum(waiting.values()),
        why=f"{down[0].path}: {down[0].unready_reason}" if down else "",
    )


def _fullest(used: Mapping[str, Sequence[int]]) -> str:
    shares = {name: row[0] / row[1] for name, row in used.items() if row[1]}
    if not shares:
        return ""
    name = max(shares, key=lambda one: shares[one])
    return f"{name} {used[name][0]} of {used[name][1]}"


def _below(runtime: Runtime, prefix: Path) -> Iterator[Cell]:
    return (cell for cell in runtime.cells() if cell.path.startswith(prefix))


def _state(runtime: Runtime, path: Path) -> Mapping[str, Any]:
    cell = runtime.find(path)
    return _inspected(cell) if cell is not None else {}


def _inspected(cell: Cell) -> Mapping[str, Any]:
    return cell.actor.inspect() if cell.actor is not None else {}
