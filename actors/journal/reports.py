"""What people look at on the hour and at the end of the day: the state of all accounts, and the profit.

`state.json` is one JSON object with orders, positions and balances of every account, and a hash over everything else
in it.  It is written whole or not at all; a reader that finds a damaged one takes the one before (`newest_state`).
Recovery does not need it: the journal has its own snapshots.

`pnl.csv` has one row per day, account, venue, symbol and strategy.  The row of a running day is replaced each time, so
its last version is the day's.  `realized_day` is what the day added to `realized`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import attrs
import msgspec

from actors.journal.disk import Disk
from actors.journal.layout import Layout
from protocols.canonical import canonical_json, state_hash
from protocols.control import PnlChanged
from protocols.errors import JournalError
from protocols.positions import AccountPicture, Position

STATE_FORMAT = 1
COLUMNS = (
    "date",
    "account",
    "venue",
    "symbol",
    "strategy",
    "qty",
    "avg_px",
    "mark",
    "realized",
    "realized_day",
    "unrealized",
    "fees",
    "updated_ns",
)
ZERO = Decimal(0)
_NUMBER = re.compile(r"-?\d+(\.\d+)?")

Row = dict[str, str]


@attrs.frozen
class EngineState:
    """Everything that is held and open, at one moment; the content of `state.json` but for its hash."""

    format: int
    at_ns: int
    time: str
    accounts: tuple[AccountPicture, ...]
    missing: dict[str, str]
    """Accounts that could not be asked, and why."""


_DECODER = msgspec.json.Decoder(EngineState)


def write_state(layout: Layout, state: EngineState, disk: Disk) -> Path:
    """Write the hour's file, whole or not at all; its path.  OSError when the disk does not take it."""
    path = layout.snapshot(state.at_ns)
    disk.make_directory(path.parent)
    text = canonical_json(state)
    disk.write_whole(path, f'{{"hash":"{state_hash(text)}","state":{text}}}\n'.encode())
    return path


def read_state(path: Path, disk: Disk) -> EngineState:
    """One state file; JournalError when it is damaged."""
    try:
        parts = msgspec.json.decode(disk.read(path), type=dict[str, msgspec.Raw])
        digest = msgspec.json.decode(parts["hash"], type=str)
        text = bytes(parts["state"])
        if state_hash(text.decode()) != digest:
            raise JournalError(f"{path}: the content does not have the hash {digest} that was written with it")
        return _DECODER.decode(text)
    except (msgspec.DecodeError, KeyError, UnicodeDecodeError) as error:
        raise JournalError(f"{path}: not a state file: {error}") from error


def newest_state(data: Path, disk: Disk) -> tuple[Path, EngineState] | None:
    """The newest state file that is whole; None when there is none."""
    for path in sorted((data / "snapshots").glob("*/*/*/*/state.json"), reverse=True):
        try:
            return path, read_state(path, disk)
        except JournalError:
            continue  # damaged: fall back to the hour before
    return None


# ---- profit --------------------------------------------------------------------------------------------------------


def write_report(
    layout: Layout, at_ns: int, positions: Sequence[Position], marks: Sequence[PnlChanged], disk: Disk
) -> Path:
    """Put the day of `at_ns` into the month's report; the file's path.  OSError when the disk does not take it."""
    path = layout.report(at_ns)
    disk.make_directory(path.parent)
    day = f"{layout.local(at_ns):%Y-%m-%d}"
    rows = _read_rows(path, disk)
    before = [row for row in rows if row["date"] < day] or _read_rows(_newest_before(path), disk)
    earlier = {_key(row): Decimal(row["realized"]) for row in before}
    marked = {(m.account, m.venue, m.symbol, m.strategy): m for m in marks}
    today = []
    for position in sorted(positions, key=lambda p: p.key):
        key = (position.account, position.venue, position.symbol, position.strategy)
        today.append(_row(day, position, marked.get(key), earlier.get(key, ZERO)))
    keys = {_key(row) for row in today}
    kept = [row for row in rows if row["date"] != day or _key(row) not in keys]
    _write_rows(path, sorted(kept + today, key=lambda row: (row["date"], _key(row))), disk)
    return path


def _row(day: str, position: Position, mark: PnlChanged | None, earlier: Decimal) -> Row:
    unrealized = mark.unrealized if mark is not None and mark.qty == position.qty else None
    if not position.qty:
        unrealized = ZERO
    return {
        "date": day,
        "account": position.account,
        "venue": position.venue,
        "symbol": position.symbol,
        "strategy": position.strategy,
        "qty": format(position.qty, "f"),
        "avg_px": format(position.avg_px, "f"),
        "mark": format(mark.mark, "f") if mark is not None else "",
        "realized": format(position.realized, "f"),
        "realized_day": format(position.realized - earlier, "f"),
        "unrealized": format(unrealized, "f") if unrealized is not None else "",
        "fees": " ".join(f"{amount:f} {asset}" for asset, amount in position.fees),
        "updated_ns": str(position.updated_ns),
    }


def _key(row: Mapping[str, str]) -> tuple[str, str, str, str]:
    return row["account"], row["venue"], row["symbol"], row["strategy"]


def _newest_before(path: Path) -> Path | None:
    """The report of the latest earlier month that has one."""
    earlier = sorted(p for p in path.parents[2].glob("*/*/pnl.csv") if p < path)
    return earlier[-1] if earlier else None


def _read_rows(path: Path | None, disk: Disk) -> list[Row]:
    """The rows of a report; one that is not ours any more is put aside as `pnl.csv.damaged` and begun again."""
    if path is None or not path.exists():
        return []
    reader = csv.DictReader(io.StringIO(disk.read(path).decode(errors="replace")))
    rows = list(reader)
    if tuple(reader.fieldnames or ()) == COLUMNS and all(_is_whole(row) for row in rows):
        return rows
    disk.replace(path, path.with_name(path.name + ".damaged"))
    return []


def _is_whole(row: Mapping[str | None, object]) -> bool:
    return None not in row and None not in row.values() and _NUMBER.fullmatch(str(row["realized"])) is not None


def _write_rows(path: Path, rows: Sequence[Row], disk: Disk) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    disk.write_whole(path, text.getvalue().encode())
