"""What a venue has forbidden this address, kept for whoever comes after.

A ban can last for days (binance-spot section 5), and each request during it makes it longer.  So neither a crash of the
limiter nor a restart of the process may forget it: the limiter's supervisor gives each incarnation the same record, and
the record is a small file besides::

    [{"until_ns": 1790000060000000000, "text": "Way too many requests; IP banned until 1790000060000.", "names": []}]

`names` says what alone is forbidden, where that is not everything (`Ban`); a ban of one kind does not take the place of
another kind's.  The file is written when a venue bans us, which is seldom, and whole or not at all.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import attrs


@attrs.frozen
class Ban:
    """Nothing may be sent before `until_ns` (our wall clock)."""

    until_ns: int
    text: str
    """The venue's words."""
    names: tuple[str, ...] = ()
    """Only what counts as one of these (`protocols.venue.Limit.name`); (): everything."""


class BanRecord:
    """The bans of one address and family of venues; without a file it lives as long as the process."""

    __slots__ = ("_bans", "_path", "problem")

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._bans: dict[tuple[str, ...], Ban] = {}
        """The newest of each kind."""
        self.problem = ""
        """Why the file could not be read or written; "" when all is well."""
        if path is not None and path.exists():
            self._load(path)

    def _load(self, path: Path) -> None:
        try:
            for row in json.loads(path.read_text()):
                ban = Ban(int(row["until_ns"]), str(row["text"]), tuple(str(name) for name in row["names"]))
                self._bans[ban.names] = ban
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.problem = f"{path}: {error}; remove the file"

    def in_force(self, now_ns: int) -> tuple[Ban, ...]:
        """Those that are not over."""
        return tuple(ban for ban in self._bans.values() if ban.until_ns > now_ns)

    def keep(self, ban: Ban) -> None:
        """The venue has banned us.  A disk that takes no file is told in `problem`: the ban holds all the same."""
        self._bans[ban.names] = ban
        self.problem = ""
        if self._path is None:
            return
        rows = [{"until_ns": each.until_ns, "text": each.text, "names": each.names} for each in self._bans.values()]
        new = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps(rows) + "\n")
            os.replace(new, self._path)
        except OSError as error:
            self.problem = f"{self._path}: {error}"
