"""Structured logs: one JSON object a line in `logs/YYYY/MM/DD/engine.jsonl`, the day in the configured zone.

An event has a name and fields, never a sentence made of variables.  Levels: debug, info, warning, error.  Only plain
values from the fields named in a call get in, so nothing that is not meant for a log can be.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import BinaryIO
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
        self._file: BinaryIO | None = None
        self._logger: structlog.typing.BindableLogger | None = None
        self.lines = 0

    def write(self, level: str, event: str, **fields: object) -> None:
        """Write one line; OSError is the caller's to hear of, because a log that cannot be written is news."""
        if _LEVELS[level] < self._level:
            return
        now_ns = self._wall_ns()
        today = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).astimezone(self._zone).date()
        if today != self._day:
            self._open(today)
        assert self._logger is not None
        getattr(self._logger, level)(event, t=now_ns, **fields)
        self.lines += 1

    def close(self) -> None:
        """Flush and close."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def path(self) -> Path | None:
        """The file that is being written."""
        return Path(self._file.name) if self._file is not None else None

    def _open(self, day: date) -> None:
        self.close()
        folder = self._folder / f"{day:%Y}" / f"{day:%m}" / f"{day:%d}"
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / "engine.jsonl").open("ab", buffering=0)
        self._day = day
        self._logger = structlog.wrap_logger(
            structlog.BytesLogger(self._file),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.JSONRenderer(serializer=lambda value, **_: orjson.dumps(value, default=str)),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(self._level),
        )
