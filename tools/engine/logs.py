"""Structured logs: one JSON object a line in `logs/YYYY/MM/DD/engine.jsonl`, the day in the configured zone.

An event has a name and fields, never a sentence made of variables.  Levels: debug, info, warning, error.  Only plain
values from the fields named in a call get in, so nothing that is not meant for a log can be.

The log is no part of trading: when it cannot be written (full disk), lines are counted as lost, the engine goes on, and
the first line that fits again says how many are missing and why.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
import structlog

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class EngineLog:
    """The engine's log; a new file each day."""

    def __init__(self, folder: Path, zone: ZoneInfo, level: str, wall_ns: Callable[[], int]) -> None:
        self._folder = folder
        self._zone = zone
        self._level = _LEVELS[level]
        self._wall_ns = wall_ns
        self._day: date | None = None
        self._fd = -1
        self.lines = 0
        self.lost = 0
        """Lines that could not be written, over the whole run."""
        self._lost_since = 0
        self._why_lost = ""
        self._logger = structlog.wrap_logger(
            _Sink(self._append),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.JSONRenderer(serializer=lambda value, **_: orjson.dumps(value, default=str)),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(self._level),
        )

    def write(self, level: str, event: str, **fields: object) -> None:
        """Write one line; what cannot be written is counted in `lost`."""
        if _LEVELS[level] < self._level:
            return
        now_ns = self._wall_ns()
        try:
            today = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).astimezone(self._zone).date()
            if today != self._day:
                self._open(today)
            if self._lost_since:
                self._logger.warning("log_lines_lost", t=now_ns, lines=self._lost_since, why=self._why_lost)
                self._lost_since = 0
            getattr(self._logger, level)(event, t=now_ns, **fields)
        except OSError as error:
            self.lost += 1
            self._lost_since += 1
            self._why_lost = error.strerror or str(error)
        else:
            self.lines += 1

    def close(self) -> None:
        """Close the file; the next `write` opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._day = None

    def path(self) -> Path:
        """The file of today."""
        today = datetime.fromtimestamp(self._wall_ns() // 1_000_000_000, UTC).astimezone(self._zone).date()
        return self._path(today)

    def _path(self, day: date) -> Path:
        return self._folder / f"{day:%Y}" / f"{day:%m}" / f"{day:%d}" / "engine.jsonl"

    def _open(self, day: date) -> None:
        self.close()
        path = self._path(day)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._day = day

    def _append(self, line: bytes) -> None:
        """One line in one write; of a line that a full disk cut short nothing stays."""
        data = line + b"\n"
        written = os.write(self._fd, data)
        if written < len(data):
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class _Sink:
    """What structlog wants of a logger: a method for each level."""

    def __init__(self, append: Callable[[bytes], None]) -> None:
        self.debug = self.info = self.warning = self.error = append
