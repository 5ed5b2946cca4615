"""capture-jsonl v1: one JSON object a line, in the order of arrival.

    {"ts_ns": 1790000000000000000, "conn": "upbit.1", "dir": "recv", "raw": "..."}

`dir` is `open` (a connection), `send` and `recv` (its frames), or `http` (a REST snapshot of a book, at the moment when
it arrived).  `raw` is the exact text that went over the wire; `url` stands in all but `recv`.

A file is written under its name with `.part` behind it and gets the name when it is whole.  What was flushed can be
read after the process was killed: a part is a compressed stream without its end, and `read` gives all lines in it.
"""

from __future__ import annotations

import enum
import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import attrs
import msgspec

__all__ = ["PART", "SUFFIXES", "CaptureFile", "Direction", "Line", "Torn", "read", "salvage"]

SUFFIXES = (".jsonl", ".jsonl.gz")
PART = ".part"
_GZIP = 31  # zlib's word for a gzip header and trailer
_LEVEL = 6
_CHUNK = 256 * 1024


class Direction(enum.Enum):
    """What a line is."""

    OPEN = "open"
    SEND = "send"
    RECV = "recv"
    HTTP = "http"


class Line(msgspec.Struct, gc=False, omit_defaults=True):
    """One line of a capture."""

    ts_ns: int
    conn: str
    dir: Direction
    url: str = ""
    raw: str = msgspec.field(default="")


class _Written(msgspec.Struct, gc=False):
    """A received frame: the URL is that of its connection."""

    ts_ns: int
    conn: str
    dir: str
    raw: str


class _WrittenWithUrl(msgspec.Struct, gc=False):
    ts_ns: int
    conn: str
    dir: str
    url: str
    raw: str


class Torn(Exception):
    """The file ends within a line, or its compression within a block; what came before was given."""


@attrs.define
class _Stream:
    """A file, compressed or plain, of which everything flushed is on disk."""

    file: IO[bytes]
    compressor: zlib._Compress | None

    def write(self, data: bytes) -> None:
        self.file.write(data if self.compressor is None else self.compressor.compress(data))

    def flush(self, *, end: bool = False) -> None:
        if self.compressor is not None:
            self.file.write(self.compressor.flush(zlib.Z_FINISH if end else zlib.Z_SYNC_FLUSH))
        self.file.flush()

    def close(self) -> None:
        self.flush(end=True)
        os.fsync(self.file.fileno())
        self.file.close()


class CaptureFile:
    """One capture that is being written."""

    def __init__(self, path: Path, *, part: str = PART) -> None:
        """`path` ends in `.jsonl` or `.jsonl.gz`.  Raises OSError; a file or part of that name is never overwritten."""
        self.path = path
        self.lines = 0
        self.raw_bytes = 0
        self._part = path.with_name(path.name + part)
        if path.exists():
            raise FileExistsError(f"{path} exists")
        compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP) if path.suffix == ".gz" else None
        self._stream = _Stream(self._part.open("xb"), compressor)
        self._encoder = msgspec.json.Encoder()

    def write(self, ts_ns: int, conn: str, direction: Direction, raw: str, url: str = "") -> None:
        """One line."""
        line: _Written | _WrittenWithUrl
        if direction is Direction.RECV:
            line = _Written(ts_ns, conn, direction.value, raw)
        else:
            line = _WrittenWithUrl(ts_ns, conn, direction.value, url, raw)
        data = self._encoder.encode(line) + b"\n"
        self._stream.write(data)
        self.lines += 1
        self.raw_bytes += len(data)

    def flush(self) -> None:
        """From here on a kill of the process loses nothing that was written before."""
        self._stream.flush()

    def close(self) -> Path:
        """Finish the file and give it its name."""
        self._stream.close()
        self._part.rename(self.path)
        return self.path

    def discard(self) -> None:
        """Close and remove what was written."""
        self._stream.close()
        self._part.unlink()


# ---- reading ---------------------------------------------------------------------------------------------------


def read(path: Path) -> Iterator[tuple[int, bytes]]:
    """Number and text of each line.  Raises Torn at an end that is none, OSError for what cannot be read."""
    number, rest = 0, b""
    for chunk in _chunks(path):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            number += 1
            yield number, line
    if rest:
        raise Torn(f"line {number + 1} has no end")


def _chunks(path: Path) -> Iterator[bytes]:
    is_gzip = ".gz" in path.suffixes
    with gzip.open(path, "rb") if is_gzip else path.open("rb") as file:
        while True:
            try:
                chunk = file.read1(_CHUNK)
            except (EOFError, zlib.error) as error:
                raise Torn(f"the compressed data end early: {error}") from None
            except gzip.BadGzipFile as error:
                raise Torn(f"not gzip: {error}") from None
            if not chunk:
                return
            yield chunk


def salvage(part: Path, to: Path) -> int:
    """Write the whole lines of a torn file to a new one; returns how many.  Raises OSError."""
    capture = CaptureFile(to, part=".saved")  # the torn file may well be the part of this very name
    try:
        for _, line in read(part):
            capture._stream.write(line + b"\n")
            capture.lines += 1
    except Torn:
        pass  # everything before it was given: that is what is saved
    capture.close()
    return capture.lines
