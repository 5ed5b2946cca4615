"""Money and positions of an account (reference sections 8.3, 8.4 and 9).

Money is `cashBal`; what of it is not in `availBal` is bound.  Profit that is not realized is left out: it is no money
yet, and it would move with every price.

A symbol may be held crossed and isolated at the same time, which are two rows of one position to us: they are added up
(`Positions`).

Snapshots come in pages, held back until the last one: only then is what they do not name known to be nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from decimal import Decimal
from typing import Generic, TypeVar

import attrs

from protocols.enums import Side
from protocols.errors import RemoteProtocolError
from protocols.ids import AccountID, Symbol, Venue
from protocols.positions import Balance, VenuePosition
from protocols.venues.okx.endpoints import WALLET
from protocols.venues.okx.wire import AccountRow, BalanceDetail, Frame, PositionRow
from protocols.venues.okx.words import LEGS, number, signed_number, stamp_of
from protocols.venues.values import ZERO, signed_amount
from protocols.venues.words import translated

__all__ = ["SNAPSHOT", "Pages", "Positions", "balances_of"]

Item = TypeVar("Item")

SNAPSHOT = "snapshot"
"""`eventType` of a page of the whole; all else tells a change."""


def balances_of(account: AccountID, venue: Venue, row: AccountRow, received_ns: int) -> tuple[Balance, ...]:
    """Every currency of an account row.  Raises RemoteProtocolError for one whose money is not said."""
    told_ns = stamp_of(row.uTime) or received_ns
    return tuple(_balance(account, venue, detail, told_ns) for detail in row.details)


def _balance(account: AccountID, venue: Venue, detail: BalanceDetail, told_ns: int) -> Balance:
    if not detail.cashBal:
        raise RemoteProtocolError(f"balance of {detail.ccy}: no cashBal")
    total = signed_amount(detail.cashBal)
    available = signed_amount(detail.availBal) if detail.availBal else total - number(detail.frozenBal)
    free = min(total, available)
    return Balance(account, venue, detail.ccy, free, total - free, stamp_of(detail.uTime) or told_ns, WALLET)


class Positions:
    """The positions of one account as one connection hears of them.

    A position is in contracts; in long_short_mode `pos` is positive and `posSide` says which leg.
    """

    __slots__ = ("_account", "_rows", "_venue")

    def __init__(self, account: AccountID, venue: Venue) -> None:
        self._account = account
        self._venue = venue
        self._rows: dict[tuple[str, Side | None], dict[str, VenuePosition]] = {}
        """Of each symbol and leg what is held in each margin mode, where that is something."""

    def update(self, row: PositionRow, received_ns: int) -> VenuePosition:
        """A row of the channel.  Raises RemoteProtocolError and UnknownWord, nothing else."""
        one = self._read(row, received_ns)
        key = (row.instId, one.leg)
        held = self._rows.setdefault(key, {})
        if one.qty:
            held[row.mgnMode] = one
        else:
            held.pop(row.mgnMode, None)
        if not held:
            del self._rows[key]
            return one
        return one if held == {row.mgnMode: one} else _added_up(list(held.values()), one)

    def whole(self, rows: Iterable[PositionRow], received_ns: int) -> tuple[VenuePosition, ...]:
        """All that there are: what is not among them is forgotten."""
        self._rows.clear()
        found = {(row.instId, row.posSide): self.update(row, received_ns) for row in rows}
        return tuple(found.values())

    def _read(self, row: PositionRow, received_ns: int) -> VenuePosition:
        leg = translated(LEGS, "posSide", row.posSide)
        if not row.pos:
            raise RemoteProtocolError(f"position in {row.instId}: no pos")
        qty = signed_amount(row.pos)
        if leg is not None:
            qty = abs(qty) * leg.sign
        return VenuePosition(
            self._account,
            self._venue,
            Symbol(row.instId),
            leg,
            qty,
            number(row.avgPx),
            number(row.markPx),
            number(row.liqPx),
            number(row.lever),
            signed_number(row.upl),
            stamp_of(row.uTime) or received_ns,
        )


def _added_up(parts: Sequence[VenuePosition], newest: VenuePosition) -> VenuePosition:
    """One position of several margin modes.  It has no one liquidation price and leverage; 0 says so."""
    updated_ns = max(part.updated_ns for part in (*parts, newest))
    if len(parts) == 1:
        return attrs.evolve(parts[0], updated_ns=updated_ns)
    qty = sum((part.qty for part in parts), ZERO)
    weight = sum((abs(part.qty) for part in parts), ZERO)
    entry: Decimal = sum((abs(part.qty) * part.entry_px for part in parts), ZERO) / weight
    return VenuePosition(
        newest.account,
        newest.venue,
        newest.symbol,
        newest.leg,
        qty,
        entry,
        newest.mark_px,
        ZERO,
        ZERO,
        sum((part.unrealized for part in parts), ZERO),
        updated_ns,
    )


class Pages(Generic[Item]):
    """A snapshot in pages, held until it is whole.

    What changes meanwhile is told at once, and wins over a page that says what was before.
    """

    __slots__ = ("_key", "_newer", "_next", "_rows", "_told_ns")

    def __init__(self, key: Callable[[Item], Hashable], told_ns: Callable[[Item], int]) -> None:
        """`key` says what a row is about, `told_ns` when the venue made it."""
        self._key = key
        self._told_ns = told_ns
        self._rows: list[Item] = []
        self._newer: dict[Hashable, Item] = {}
        self._next = 0
        """Number of the page that continues what is held; 0: nothing is."""

    @property
    def holds(self) -> bool:
        """True while more pages are to follow."""
        return self._next > 0

    def add(self, frame: Frame, rows: Sequence[Item], *, usable: bool = True) -> Sequence[Item] | None:
        """The whole snapshot with its last page, else None; a page out of turn, or not usable, spoils it."""
        if frame.eventType != SNAPSHOT:
            if self.holds:
                self._newer |= {self._key(row): row for row in rows}
            return None
        if frame.curPage == 1:
            self._begin(1)
        if not usable or not self.holds or frame.curPage != self._next:
            self._begin(0)
            return None
        self._rows += rows
        self._next += 1
        if not frame.lastPage:
            return None
        whole = {self._key(row): row for row in self._rows}
        for key, row in self._newer.items():
            known = whole.get(key)
            if known is None or self._told_ns(row) >= self._told_ns(known):
                whole[key] = row
        self._begin(0)
        return tuple(whole.values())

    def _begin(self, page: int) -> None:
        self._rows, self._newer, self._next = [], {}, page
