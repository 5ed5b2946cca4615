"""The recordings, read without any code of the engine or of the simulator.

A `Recording` is what one venue said on one connection: frames in order, and for each frame of a book what it changes.
`Truth` plays those changes into sorted dictionaries and remembers the top of each book at every id, so that any quote
can be judged by the id that it bears.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
from sortedcontainers import SortedDict

Row = tuple[str, str]
"""Price and quantity as the venue wrote them."""
Top = tuple[Decimal, Decimal, Decimal, Decimal]
"""Bid price and quantity, ask price and quantity."""


@attrs.frozen
class Change:
    """What a frame does to a book."""

    first_id: int
    last_id: int
    whole: bool
    bids: tuple[Row, ...]
    asks: tuple[Row, ...]
    checksum: int = 0


@attrs.frozen
class Recorded:
    """One frame."""

    kind: str
    """`book`, `ticker`, `trade`, or whatever else."""
    symbol: str
    raw: str
    change: Change | None = None


@attrs.frozen
class Base:
    """A REST snapshot, where the recording has one."""

    symbol: str
    change: Change


@attrs.frozen
class Recording:
    """One connection."""

    venue: str
    steps: tuple[Recorded | Base, ...]
    before: tuple[Recorded | Base, ...] = ()
    """What was said before anybody listens."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """That have a book."""
        return tuple(dict.fromkeys(step.symbol for step in _of_books((*self.before, *self.steps))))

    def books(self) -> Iterator[Recorded]:
        """The frames of books."""
        return _of_books(self.steps)

    def part(self, begin: int, end: int) -> Recording:
        """As if the recorder had been on from one step to another."""
        return Recording(self.venue, self.steps[begin:end], (*self.before, *self.steps[:begin]))


def _of_books(steps: Iterable[Recorded | Base]) -> Iterator[Recorded]:
    return (step for step in steps if isinstance(step, Recorded) and step.change is not None)


class Truth:
    """The true books, and their tops at each id."""

    def __init__(self) -> None:
        self.books: dict[str, tuple[SortedDict, SortedDict]] = {}
        """Bids and asks: price to (price, quantity) as written."""
        self.last_ids: dict[str, int] = {}
        self.last_raw: dict[str, str] = {}
        self.tops: dict[tuple[str, int], set[Top]] = {}
        self._early: dict[str, list[Change]] = {}
        """Changes that were received before the snapshot that begins the book, which may be older than they are."""

    def base(self, base: Base) -> None:
        """A recorded REST snapshot: the first of a symbol begins its book, later ones say what it has become."""
        if base.symbol not in self.books:
            self._replace(base.symbol, base.change)
            for change in self._early.pop(base.symbol, ()):
                self._change(base.symbol, change)

    def take(self, frame: Recorded) -> None:
        """One frame of a book."""
        change = frame.change
        assert change is not None
        if change.whole:
            self._replace(frame.symbol, change)
        elif frame.symbol in self.books:
            self._change(frame.symbol, change)
        else:
            self._early.setdefault(frame.symbol, []).append(change)
        self.last_raw[frame.symbol] = frame.raw

    def _change(self, symbol: str, change: Change) -> None:
        if change.last_id > self.last_ids[symbol]:
            for side, rows in zip(self.books[symbol], (change.bids, change.asks), strict=True):
                _apply(side, rows)
            self._note(symbol, change.last_id)

    def _replace(self, symbol: str, change: Change) -> None:
        bids, asks = self.books[symbol] = SortedDict(), SortedDict()
        _apply(bids, change.bids)
        _apply(asks, change.asks)
        self._note(symbol, change.last_id)

    def _note(self, symbol: str, last_id: int) -> None:
        self.last_ids[symbol] = last_id
        self.tops.setdefault((symbol, last_id), set()).add(self.top(symbol))

    def top(self, symbol: str) -> Top:
        """Best bid and ask; zeros for an empty side."""
        bids, asks = self.books[symbol]
        bid = bids.peekitem(-1)[1] if bids else ("0", "0")
        ask = asks.peekitem(0)[1] if asks else ("0", "0")
        return (Decimal(bid[0]), Decimal(bid[1]), Decimal(ask[0]), Decimal(ask[1]))

    def rows(self, symbol: str) -> tuple[list[Row], list[Row]]:
        """Bids and asks, best first, as written."""
        bids, asks = self.books[symbol]
        return list(reversed(bids.values())), list(asks.values())


def _apply(side: SortedDict, rows: Iterable[Row]) -> None:
    for price, qty in rows:
        if Decimal(qty):
            side[Decimal(price)] = (price, qty)
        else:
            side.pop(Decimal(price), None)


# ---- the venues' ways of writing ---------------------------------------------------------------------------------


def rows_of(rows: Iterable[Iterable[Any]]) -> tuple[Row, ...]:
    return tuple((str(price), str(qty)) for price, qty, *_ in rows)


def binance(venue: str, path: Path) -> Recording:
    """Combined streams.  A book's stream is renamed to the one that the engine asks for: same messages."""
    steps: list[Recorded | Base] = []
    kinds = {"bookTicker": "ticker", "trade": "trade", "aggTrade": "trade"}
    for line in lines_of(path):
        raw = line.get("raw") or ""
        if line["dir"] == "http" and raw:
            snapshot, found = json.loads(raw), (line.get("url") or "").partition("symbol=")[2].partition("&")[0]
            change = Change(0, snapshot["lastUpdateId"], True, rows_of(snapshot["bids"]), rows_of(snapshot["asks"]))
            steps.append(Base(found or "BTCUSDT", change))
        elif line["dir"] == "recv":
            frame = json.loads(raw)
            name, data = frame["stream"].partition("@")[2], frame["data"]
            if name.startswith("depth"):
                raw = raw.replace("@depth@0ms", "@depth@100ms", 1)
                change = Change(data["U"], data["u"], False, rows_of(data["b"]), rows_of(data["a"]))
                steps.append(Recorded("book", data["s"], raw, change))
            else:
                steps.append(Recorded(kinds.get(name, name), data["s"], raw))
    return Recording(venue, tuple(steps))


def bybit(venue: str, path: Path, connection: str) -> Recording:
    """One of the connections: the same topic is another market on another."""
    steps: list[Recorded | Base] = []
    kinds = {"orderbook.1": "ticker", "publicTrade": "trade"}
    for line in lines_of(path):
        if line["dir"] != "recv" or line["conn"] != connection:
            continue
        frame = json.loads(line["raw"])
        kind, _, symbol = frame.get("topic", "").rpartition(".")
        if kind == "orderbook.200":
            data = frame["data"]
            change = Change(data["u"], data["u"], frame["type"] == "snapshot", rows_of(data["b"]), rows_of(data["a"]))
            steps.append(Recorded("book", symbol, line["raw"], change))
        elif kind:
            steps.append(Recorded(kinds.get(kind, kind), symbol, line["raw"]))
    return Recording(venue, tuple(steps))


def okx(venue: str, path: Path) -> Recording:
    """Numbered as the venue numbers today, each message naming the one before; nothing else is changed."""
    steps: list[Recorded | Base] = []
    numbers: dict[str, int] = {}
    for line in lines_of(path):
        frame = json.loads(line["raw"]) if line["dir"] == "recv" else {}
        arg = frame.get("arg", {})
        channel, symbol = arg.get("channel", ""), arg.get("instId", "")
        if "data" not in frame:
            continue
        if not channel.startswith("books"):
            steps.append(Recorded(channel.removesuffix("s"), symbol, line["raw"]))
            continue
        (row,) = frame["data"]
        before = numbers.get(symbol, 1000)
        whole = frame["action"] == "snapshot"
        numbers[symbol] = number = before + 3
        row["seqId"], row["prevSeqId"] = number, -1 if whole else before
        frame["arg"]["channel"] = "books"
        change = Change(before + 1, number, whole, rows_of(row["bids"]), rows_of(row["asks"]), row["checksum"])
        steps.append(Recorded("book", symbol, json.dumps(frame, separators=(",", ":")), change))
    return Recording(venue, tuple(steps))


def upbit(venue: str, path: Path) -> Recording:
    """Full pictures in short names."""
    steps: list[Recorded | Base] = []
    for line in lines_of(path):
        if line["dir"] != "recv":
            continue
        frame = json.loads(line["raw"], parse_float=str, parse_int=str)
        change = None
        if frame["ty"] == "orderbook":
            bids, asks = (
                tuple((unit[price], unit[qty]) for unit in frame["obu"]) for price, qty in (("bp", "bs"), ("ap", "as"))
            )
            change = Change(int(frame["tms"]), int(frame["tms"]), True, bids, asks)
        steps.append(Recorded("book" if change else frame["ty"], frame["cd"], line["raw"], change))
    return Recording(venue, tuple(steps))


def lines_of(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") as lines:
        for line in lines:
            yield json.loads(line)


CAPTURES: dict[str, tuple[str, Callable[[str, Path], Recording]]] = {
    "binance_spot/ws/2021-10-12_4sym_with_rest_snapshots": ("binance-spot", binance),
    "binance_spot/ws/2024-08-08_btcusdt_11min": ("binance-spot", binance),
    "binance_usdm/ws/2021-07-22_4sym_with_rest_snapshots": ("binance-usdm", binance),
    "binance_usdm/ws/2024-08-08_btcusdt_6min": ("binance-usdm", binance),
    "bybit/ws/2026-08-09_btcusdt_dogeusdt_v5:linear": (
        "bybit-linear",
        lambda venue, path: bybit(venue, path, "BYBIT.ws.2"),
    ),
    "bybit/ws/2026-08-09_btcusdt_dogeusdt_v5:spot": (
        "bybit-spot",
        lambda venue, path: bybit(venue, path, "BYBIT.ws.3"),
    ),
    "bybit/ws/2025-06-13_orderbook1_linear": (
        "bybit-linear",
        lambda venue, path: bybit(venue, path, "BYBIT.ws.1.0"),
    ),
    "okx/ws/2021-07-22_books-l2-tbt_10inst": ("okx-spot", okx),
    "okx/ws/2022-05-13_books_btcusdt": ("okx-spot", okx),
    "upbit/ws/2021-04-17_simple_first21s": ("upbit", upbit),
}
"""Every capture with its venue; `:` parts the connections of one file."""


def read_recording(data_dir: Path, name: str) -> Recording | None:
    """A recording by its name in `CAPTURES`; None when the file is absent."""
    venue, read = CAPTURES[name]
    path = data_dir / f"{name.partition(':')[0]}.jsonl.gz"
    return read(venue, path) if path.is_file() else None
