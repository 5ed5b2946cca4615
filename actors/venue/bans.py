"""What a venue has forbidden this address, kept for whoever comes after.

A ban can last for days (binance-spot section 5), and each request during it makes it longer.  So neither a crash of the
limiter nor a restart of the process may forget it: the limiter's supervisor gives each incarnation the same record, and
the record is a small file besides::

    {"until_ns": 1790000060000000000, "text": "Way too many requests; IP banned until 1790000060000."}

It is written when a venue bans us, which is seldom, and whole or not at all.
"""

from __future__ import annotations

import json
import os
from pathlib import Path


class BanRecord:
    """The ban in force on one address and family of venues; without a file it lives as long as the process."""

    __slots__ = ("_path", "problem", "text", "until_ns")

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self.until_ns = 0
        """Our wall clock; 0: there was none."""
        self.text = ""
        self.problem = ""
        """Why the file could not be read or written; "" when all is well."""
        if path is not None and path.exists():
            self._load(path)

    def _load(self, path: Path) -> None:
        try:
            known = json.loads(path.read_text())
            self.until_ns, self.text = int(known["until_ns"]), str(known["text"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.problem = f"{path}: {error}; remove the file"

    def keep(self, until_ns: int, text: str) -> None:
        """The venue has banned us.  A disk that takes no file is told in `problem`: the ban holds all the same."""
        self.until_ns, self.text, self.problem = until_ns, text, ""
        if self._path is None:
            return
        new = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps({"until_ns": until_ns, "text": text}) + "\n")
            os.replace(new, self._path)
        except OSError as error:
            self.problem = f"{self._path}: {error}"
