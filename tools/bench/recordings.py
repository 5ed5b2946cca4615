"""Recorded book messages of each venue, as they came over the wire: what the book benchmark is fed with.

The files are `capture-jsonl v1`: one JSON object a line with `dir` ("recv", "http", ...), `url` and `raw`.  Only what
concerns a book is kept, in its order; a REST snapshot stands where it arrived.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import attrs

from protocols.ids import Symbol
from protocols.instruments import Product
from protocols.venue import PublicCodec
from protocols.venues.binance_spot.public import BinanceSpotPublic
from protocols.venues.binance_usdm.public import BinanceUsdmPublic
from protocols.venues.bybit.public import BybitPublic
from protocols.venues.okx.public import OkxPublic
from protocols.venues.upbit.public import UpbitPublic

__all__ = ["RECORDINGS", "Recording", "Step"]


@attrs.frozen
class Step:
    """One message: a frame of the stream, or a REST snapshot of one symbol's book."""

    raw: bytes
    snapshot_of: Symbol | None = None


@attrs.frozen
class Recording:
    """What one venue said about its books on one connection."""

    venue: str
    codec: Callable[[], PublicCodec]
    path: str
    """Below the data folder."""
    keeps: Callable[[Mapping[str, Any]], bool]
    """Picks the frames of books out of the capture."""
    symbol: Symbol | None = None
    """Whose REST snapshots the capture holds."""
    passes: int = 1
    """How often it is played, each time into empty books: short recordings need several for a p99."""

    today: Callable[[Iterator[Step]], Iterator[Step]] | None = None
    """Brings the messages of an old recording into the form that the venue gives them now."""

    def steps(self, data: Path, count: int | None = None) -> list[Step]:
        """The recorded messages, oldest first; at most `count` of them."""
        steps = self._read(data / self.path)
        return list(islice(self.today(steps) if self.today is not None else steps, count))

    def _read(self, path: Path) -> Iterator[Step]:
        with gzip.open(path, "rt") as lines:
            for line in lines:
                row = json.loads(line)
                if row["dir"] == "http":
                    yield Step(row["raw"].encode(), self.symbol)
                elif row["dir"] == "recv" and self.keeps(row):
                    yield Step(row["raw"].encode())


def _of_stream(name: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda row: name in row["raw"][:60]


def _of_connection(connection: str, topic: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda row: row["conn"] == connection and topic in row["raw"][:60]


def _numbered(steps: Iterator[Step]) -> Iterator[Step]:
    """OKX numbers its messages, and its checksum is 0 since 2026-06-23 (okx-v5, "Checksum"): so are these."""
    last: dict[str, int] = {}
    for number, step in enumerate(steps, 1):
        frame = json.loads(step.raw)
        symbol = frame["arg"]["instId"]
        for row in frame["data"]:
            row |= {"checksum": 0, "seqId": number, "prevSeqId": last.get(symbol, -1)}
        last[symbol] = number
        yield Step(json.dumps(frame, separators=(",", ":")).encode())


RECORDINGS: tuple[Recording, ...] = (
    Recording(
        "binance-spot",
        lambda: BinanceSpotPublic(),
        "binance_spot/ws/2024-08-08_btcusdt_11min.jsonl.gz",
        _of_stream("@depth"),
        Symbol("BTCUSDT"),
    ),
    Recording(
        "binance-usdm",
        lambda: BinanceUsdmPublic(),
        "binance_usdm/ws/2024-08-08_btcusdt_6min.jsonl.gz",
        _of_stream("@depth"),
        Symbol("BTCUSDT"),
    ),
    Recording(
        "bybit-linear",
        lambda: BybitPublic(Product.LINEAR),
        "bybit/ws/2026-08-09_btcusdt_dogeusdt_v5.jsonl.gz",
        _of_connection("BYBIT.ws.2", '"orderbook.200.'),
        passes=5,
    ),
    Recording(
        "bybit-spot",
        lambda: BybitPublic(Product.SPOT),
        "bybit/ws/2026-08-09_btcusdt_dogeusdt_v5.jsonl.gz",
        _of_connection("BYBIT.ws.3", '"orderbook.200.'),
        passes=10,
    ),
    Recording(
        "okx-spot",
        lambda: OkxPublic(Product.SPOT),
        "okx/ws/2022-05-13_books_btcusdt.jsonl.gz",
        lambda row: '"channel":"books"' in row["raw"][:60] and '"action"' in row["raw"][:120],
        passes=10,
        today=_numbered,
    ),
    Recording(
        "upbit",
        lambda: UpbitPublic(),
        "upbit/ws/2021-04-17_simple_first21s.jsonl.gz",
        _of_stream('"ty":"orderbook"'),
        passes=30,
    ),
)
"""One for each venue of which there is a capture."""
