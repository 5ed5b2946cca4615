"""A venue's state on disk: named rows in one SQLite file, written in transactions.

SQLite in write-ahead mode keeps what was committed when the process dies at any moment, and never shows half a
transaction.  What it does not see is a changed byte inside a value, so each row has a checksum of its own.  The file is
held by one process at a time.

Rows have a kind, a key, a JSON value, and may be *over*: of those (closed orders, trades, old rows of a log) the newest
are kept, the others forgotten from time to time, so that the file does not grow for ever.
"""

from __future__ import annotations

import json
import sqlite3
import time
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import msgspec

__all__ = ["Row", "StateError", "StateFile", "check_state", "json_text", "start_afresh"]

VERSION = 1
BUSY_S = 10.0
"""An engine that was killed leaves its simulator for a moment."""
FORGET_EVERY = 2_000  # rows that are over, written since the last time
_SCHEMA = """
CREATE TABLE rows (n INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, over INTEGER NOT NULL,
                   value TEXT NOT NULL, crc INTEGER NOT NULL, UNIQUE (kind, key));
CREATE INDEX rows_over ON rows (kind, over, n);
"""
_UPSERT = """
INSERT INTO rows (kind, key, over, value, crc) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (kind, key) DO UPDATE SET over = excluded.over, value = excluded.value, crc = excluded.crc
"""
_FORGET = """
DELETE FROM rows WHERE kind = ?1 AND over = 1
AND n <= (SELECT n FROM rows WHERE kind = ?1 AND over = 1 ORDER BY n DESC LIMIT 1 OFFSET ?2)
"""


class StateError(Exception):
    """The state file cannot be used; the text names the file and the way out."""


@attrs.frozen
class Row:
    """One named value; `over`: it changes no more and may be forgotten one day."""

    kind: str
    key: str
    value: Any
    over: bool = False


_ENCODER = msgspec.json.Encoder()


def json_text(value: Any) -> str:
    """A row's value as it is written."""
    return _ENCODER.encode(value).decode()


def start_afresh(path: Path) -> None:
    """Put a state file aside, as `<name>.before`; nothing happens where there is none.

    A killed process leaves a log of its last transactions beside the file, which goes along.  The log of what was put
    aside earlier must go first: SQLite would take it for the newer file's.
    """
    if not path.exists():
        return
    for suffix in ("-wal", "-shm", ""):
        path.with_name(f"{path.name}.before{suffix}").unlink(missing_ok=True)
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).replace(path.with_name(f"{path.name}.before{suffix}"))


def check_state(path: Path, family: str) -> None:
    """Raises StateError where the file cannot be used as the state of this family."""
    file = StateFile(path, family, {})
    try:
        file.load()
    finally:
        file.close()


class StateFile:
    """The open file.  Raises StateError, from every call, for anything that is wrong with it."""

    def __init__(self, path: Path, family: str, kept: Mapping[str, int]) -> None:
        """`kept`: of these kinds, how many rows that are over."""
        self.path = path
        self._kept = kept
        self._over = 0
        self._family = family
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, timeout=0)
        except (OSError, sqlite3.Error) as error:
            raise StateError(f"{path}: cannot be opened: {error}; choose a file in a folder that is yours") from error
        try:
            self._open()
        except BaseException:
            self._db.close()
            raise

    def _open(self) -> None:
        until = time.monotonic() + BUSY_S
        while True:
            try:
                self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = NORMAL")
                self._db.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise self._damaged(str(error)) from error
                if time.monotonic() > until:
                    raise StateError(
                        f"{self.path}: another simulator is using it; end that one or choose another file"
                    ) from error
                time.sleep(0.05)
            except sqlite3.Error as error:
                raise self._damaged(str(error)) from error
        try:
            if self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
                for statement in _SCHEMA.split(";")[:-1]:
                    self._db.execute(statement)
                self._write([Row("meta", "file", {"version": VERSION, "family": self._family})])
            self._db.execute("COMMIT")
            self._check()
        except sqlite3.Error as error:
            raise self._damaged(str(error)) from error

    def _check(self) -> None:
        said = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if said != "ok":
            raise self._damaged(str(said))
        found = self._db.execute("SELECT value FROM rows WHERE kind = 'meta' AND key = 'file'").fetchone()
        if found is None:
            raise self._damaged("it does not say what it holds")
        meta = json.loads(found[0])
        if meta.get("family") != self._family:
            raise StateError(
                f"{self.path}: holds the state of {meta.get('family')}, not of {self._family}; choose another file"
            )
        if meta.get("version") != VERSION:
            raise StateError(f"{self.path}: was written by another version; {self._way_out()}")

    def load(self) -> list[Row]:
        """All rows, in the order in which they first came."""
        try:
            self.forget()
            found = self._db.execute("SELECT kind, key, over, value, crc FROM rows ORDER BY n").fetchall()
            rows = []
            for kind, key, over, text, crc in found:
                if _crc(kind, key, text) != crc:
                    raise self._damaged(f"the row of {kind} {key} is not what was written")
                rows.append(Row(kind, key, json.loads(text), bool(over)))
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise self._damaged(str(error)) from error
        return rows

    def write(self, rows: Iterable[Row]) -> None:
        """All of them or none."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._write(rows)
            self._db.execute("COMMIT")
            if self._over >= FORGET_EVERY:
                self.forget()
        except sqlite3.Error as error:
            raise StateError(
                f"{self.path}: cannot be written: {error}; make room on the disk and start again"
            ) from error

    def _write(self, rows: Iterable[Row]) -> None:
        values = []
        for row in rows:
            text = json_text(row.value)
            values.append((row.kind, row.key, row.over, text, _crc(row.kind, row.key, text)))
            self._over += row.over
        self._db.executemany(_UPSERT, values)

    def forget(self) -> None:
        """Of what is over, keep the newest."""
        self._over = 0
        for kind, count in self._kept.items():
            self._db.execute(_FORGET, (kind, count))

    def close(self) -> None:
        """What was written stays; a file that is closed is one file again."""
        self._db.close()

    def _damaged(self, why: str) -> StateError:
        return StateError(f"{self.path}: is damaged ({' '.join(why.split())}); {self._way_out()}")

    def unreadable(self, why: str) -> StateError:
        """The rows are whole, but say what this version does not understand."""
        return StateError(f"{self.path}: cannot be understood ({why}); {self._way_out()}")

    def _way_out(self) -> str:
        return "put back a copy of it, or start afresh (`bulkhead sim --fresh`, `simulator.fresh = true`)"


def _crc(kind: str, key: str, text: str) -> int:
    return zlib.crc32(f"{kind}\n{key}\n{text}".encode())
