"""Files of candles: one row a bar, oldest first, of one symbol and one length.

| column | CSV | Parquet |
| --- | --- | --- |
| `open_time_ms` | whole number, ms since the epoch, UTC | int64 |
| `open`, `high`, `low`, `close` | decimal, quote units for one base unit | decimal128(38, 18) |
| `volume` | decimal, base units (contracts where the venue counts those) | decimal128(38, 18) |

CSV has a header and may be gzipped.  Parquet needs pyarrow, which is not installed with the engine.
"""

from __future__ import annotations

import csv
import gzip
import importlib
import zlib
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TextIO

import attrs

from protocols.errors import ConfigError
from protocols.market import Candle

__all__ = ["COLUMNS", "SUFFIXES", "BadRow", "Bar", "Gap", "convert", "csv_row", "gaps", "read", "require_format"]

COLUMNS = ("open_time_ms", "open", "high", "low", "close", "volume")
SUFFIXES = (".csv", ".csv.gz", ".parquet")
_MS = 1_000_000
_BATCH = 100_000


class BadRow(Exception):
    """A row that is none; `number` counts the header as line 1."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(f"line {number}: {text}")
        self.number = number
        self.text = text


@attrs.frozen(slots=True)
class Bar:
    """One row."""

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal

    @property
    def wrong(self) -> str:
        """What is impossible about the numbers, or ""."""
        if not all(value.is_finite() for value in (self.open, self.high, self.low, self.close, self.volume)):
            return "not a number"
        if min(self.open, self.low, self.close) <= 0:
            return "a price that is not above zero"
        if not self.low <= min(self.open, self.close) <= max(self.open, self.close) <= self.high:
            return f"open {self.open}, high {self.high}, low {self.low}, close {self.close} do not go together"
        return "volume below zero" if self.volume < 0 else ""


@attrs.frozen
class Gap:
    """Bars that are not there."""

    after_ms: int
    """Opening of the last bar before it."""
    before_ms: int
    missing: int


def csv_row(candle: Candle) -> str:
    """A bar as a line."""
    numbers = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    return ",".join([str(candle.open_ns // _MS), *(_plain(number) for number in numbers)]) + "\n"


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def require_format(path: Path) -> str:
    """The suffix of a file of candles.  Raises ConfigError for another, and where what it needs is not installed."""
    suffix = next((one for one in reversed(SUFFIXES) if path.name.endswith(one)), None)
    if suffix is None:
        raise ConfigError(f"{path}: must end in {', '.join(SUFFIXES)}")
    if suffix == ".parquet":
        _pyarrow()
    return suffix


def _pyarrow() -> Any:
    try:
        importlib.import_module("pyarrow.parquet")
        return importlib.import_module("pyarrow")
    except ImportError:
        raise ConfigError(
            "Parquet needs pyarrow, which is not installed: pip install 'bulkhead-oms[parquet]', or use .csv.gz"
        ) from None


def convert(source: Path, target: Path, suffix: str) -> None:
    """From plain CSV to the format of `suffix`; the target appears whole or not at all."""
    part = target.with_name(target.name + ".tmp")
    if suffix == ".parquet":
        _to_parquet(source, part)
    elif suffix == ".csv.gz":
        with (
            source.open("rb") as plain,
            part.open("wb") as file,
            gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed,  # the same bytes each time
        ):
            while chunk := plain.read(1 << 20):
                packed.write(chunk)
    else:
        part.write_bytes(source.read_bytes())
    part.replace(target)


def _to_parquet(source: Path, target: Path) -> None:
    pyarrow = _pyarrow()
    number = pyarrow.decimal128(38, 18)
    schema = pyarrow.schema([("open_time_ms", pyarrow.int64()), *((name, number) for name in COLUMNS[1:])])
    with pyarrow.parquet.ParquetWriter(target, schema) as writer:
        for batch in _batches(_csv(source)):
            columns = [pyarrow.array([bar.open_ms for bar in batch], pyarrow.int64())]
            for name in COLUMNS[1:]:
                values = [getattr(bar, name).quantize(Decimal("1e-18")) for bar in batch]
                columns.append(pyarrow.array(values, number))
            writer.write_batch(pyarrow.record_batch(columns, schema))


def _batches(bars: Iterable[Bar]) -> Iterator[list[Bar]]:
    batch: list[Bar] = []
    for bar in bars:
        batch.append(bar)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def read(path: Path) -> Iterator[Bar]:
    """The bars of a file of any format.  Raises BadRow, ConfigError, OSError."""
    return _from_parquet(path) if require_format(path) == ".parquet" else _csv(path)


def _csv(path: Path) -> Iterator[Bar]:
    """The bars of a CSV whatever its name; gzipped where that ends in `.gz`."""
    if path.suffix == ".gz":
        with gzip.open(path, "rt", newline="") as packed:
            yield from _from_csv(packed)
    else:
        with path.open(newline="") as plain:
            yield from _from_csv(plain)


def _from_csv(file: TextIO) -> Iterator[Bar]:
    rows = csv.reader(file)
    try:
        header = next(rows, None)
        if header is None or tuple(header) != COLUMNS:
            raise BadRow(1, f"the header must be {','.join(COLUMNS)}")
        for number, row in enumerate(rows, 2):
            yield _bar(number, row)
    except (csv.Error, UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadRow(rows.line_num + 1, str(error)) from None


def _bar(number: int, row: list[str]) -> Bar:
    if len(row) != len(COLUMNS):
        raise BadRow(number, f"{len(row)} columns instead of {len(COLUMNS)}")
    try:
        opened = int(row[0])
        values = [Decimal(text) for text in row[1:]]
    except (ValueError, InvalidOperation):
        raise BadRow(number, f"not numbers: {','.join(row)[:100]}") from None
    return Bar(opened, *values)


def _from_parquet(path: Path) -> Iterator[Bar]:
    pyarrow = _pyarrow()
    try:
        file = pyarrow.parquet.ParquetFile(path)
        missing = [name for name in COLUMNS if name not in file.schema_arrow.names]
        if missing:
            raise BadRow(1, f"the columns {', '.join(missing)} are missing")
        for batch in file.iter_batches(columns=list(COLUMNS)):
            for row in zip(*(batch.column(name).to_pylist() for name in COLUMNS), strict=True):
                yield Bar(int(row[0]), *(Decimal(value) for value in row[1:]))
    except pyarrow.ArrowInvalid as error:
        raise BadRow(1, str(error)) from None


def gaps(bars: Iterable[Bar], interval_ms: int) -> Iterator[Gap]:
    """Where bars are missing between the first and the last."""
    before: int | None = None
    for bar in bars:
        if before is not None and bar.open_ms - before > interval_ms:
            yield Gap(before, bar.open_ms, (bar.open_ms - before) // interval_ms - 1)
        before = bar.open_ms


def header() -> str:
    """The first line of a CSV."""
    return ",".join(COLUMNS) + "\n"
