"""Recordings that nobody has named: whatever else lies in the data folder, by the folder's venue and what is in it.

`recordings` names what the data folder is known to hold.  A folder with more, or with others, is judged too: each
connection of each capture becomes a `Recording` where its frames begin with whole books, or REST snapshots tie them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from tests.scenarios.captures.recordings import Base, Change, Recorded, Recording, Row, lines_of, rows_of

BYBIT_TOPIC = "orderbook.200"
"""What the engine asks for; other depths are renamed to it: same messages."""


def discovered(data_dir: Path, known: frozenset[str] = frozenset()) -> Iterator[tuple[str, Recording]]:
    """Name and recording of every connection with books in `*/ws`, but for captures whose name is `known`."""
    for path in sorted(data_dir.glob("*/ws/*.jsonl.gz")):
        name = f"{path.parent.parent.name}/ws/{path.name.removesuffix('.jsonl.gz')}"
        read = _READERS.get(path.parent.parent.name)
        if name not in known and read is not None:
            for connection, recording in read(list(lines_of(path))):
                judged = _with_beginnings(recording)
                if judged.symbols:
                    yield f"{name}:{connection}", judged


def _with_beginnings(recording: Recording) -> Recording:
    """Without the books of which the recording has no beginning: nobody can say what they were."""
    begun = {step.symbol for step in recording.steps if isinstance(step, Base)}
    begun |= {step.symbol for step in recording.books() if step.change is not None and step.change.whole}
    steps = tuple(
        step for step in recording.steps if isinstance(step, Base) or step.change is None or step.symbol in begun
    )
    return attrs.evolve(recording, steps=steps)


def _received(lines: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Connection and object of every JSON object that was received."""
    for line in lines:
        if line["dir"] == "recv" and line["raw"].startswith("{"):
            yield line["conn"], json.loads(line["raw"], parse_float=str)


def _text(frame: dict[str, Any]) -> str:
    return json.dumps(frame, separators=(",", ":"), ensure_ascii=False)


# ---- Binance -----------------------------------------------------------------------------------------------------


def _binance(venue: str, lines: list[dict[str, Any]]) -> Iterator[tuple[str, Recording]]:
    """All connections as one, with the REST snapshots between; partial books, which have no ids, are left out."""
    kinds = {"bookTicker": "ticker", "trade": "trade", "aggTrade": "trade"}
    raws = [json.loads(line["raw"]) for line in lines if line["dir"] == "recv" and line["raw"].startswith("{")]
    named = Counter(frame["data"]["s"] for frame in raws if "U" in _data(frame))
    steps: list[Recorded | Base] = []
    for line in lines:
        raw = line.get("raw") or ""
        if line["dir"] == "http" and '"lastUpdateId"' in raw:
            snapshot, symbol = json.loads(raw), (line.get("url") or "").partition("symbol=")[2].partition("&")[0]
            change = Change(0, snapshot["lastUpdateId"], True, rows_of(snapshot["bids"]), rows_of(snapshot["asks"]))
            if symbol or len(named) == 1:
                steps.append(Base(symbol or next(iter(named)), change))
        elif line["dir"] == "recv" and raw.startswith("{"):
            frame = json.loads(raw)
            data, stream = _data(frame), str(frame.get("stream", ""))
            if "U" in data:
                name = f"{data['s'].lower()}@depth@100ms"
                change = Change(data["U"], data["u"], False, rows_of(data["b"]), rows_of(data["a"]))
                steps.append(Recorded("book", data["s"], raw.replace(f'"{stream}"', f'"{name}"', 1), change))
            elif "s" in data:
                kind = stream.partition("@")[2]
                steps.append(Recorded(kinds.get(kind, kind), data["s"], raw))
    yield "", Recording(venue, tuple(steps))


def _data(frame: dict[str, Any]) -> dict[str, Any]:
    data = frame.get("data")
    return data if isinstance(data, dict) else {}


# ---- Bybit -------------------------------------------------------------------------------------------------------


def _bybit(lines: list[dict[str, Any]]) -> Iterator[tuple[str, Recording]]:
    """Each connection by itself, its market by its address; of each symbol the deepest book."""
    addresses = {line["conn"]: line["url"] for line in lines if line.get("url")}
    for connection in dict.fromkeys(line["conn"] for line in lines):
        product = addresses.get(connection, "").rpartition("/")[2]
        if product not in ("spot", "linear"):
            continue
        frames = [frame for conn, frame in _received(lines) if conn == connection and "topic" in frame]
        depths: dict[str, int] = {}
        for frame in frames:
            kind, depth, symbol = _topic(frame)
            if kind == "orderbook":
                depths[symbol] = max(depths.get(symbol, 0), int(depth))
        steps: list[Recorded | Base] = []
        for frame in frames:
            kind, depth, symbol = _topic(frame)
            if kind == "orderbook" and int(depth) == depths[symbol] > 1:
                data = frame["data"]
                whole = frame["type"] == "snapshot" or data["u"] == 1
                change = Change(data["u"], data["u"], whole, rows_of(data["b"]), rows_of(data["a"]))
                frame["topic"] = f"{BYBIT_TOPIC}.{symbol}"
                steps.append(Recorded("book", symbol, _text(frame), change))
            elif kind != "orderbook":
                steps.append(Recorded("trade" if kind == "publicTrade" else kind, symbol, _text(frame)))
        yield connection, Recording(f"bybit-{product}", tuple(steps))


def _topic(frame: dict[str, Any]) -> tuple[str, str, str]:
    kind, *depth, symbol = frame["topic"].split(".")
    return kind, depth[0] if depth else "", symbol


# ---- OKX ---------------------------------------------------------------------------------------------------------


def _okx(lines: list[dict[str, Any]]) -> Iterator[tuple[str, Recording]]:
    """Each connection; recordings from before the venue numbered its messages are numbered as it does today."""
    for connection in dict.fromkeys(line["conn"] for line in lines):
        numbers: dict[str, int] = {}
        steps: list[Recorded | Base] = []
        for conn, frame in _received(lines):
            arg = frame.get("arg", {})
            channel, symbol = arg.get("channel", ""), arg.get("instId", "")
            if conn != connection or "data" not in frame:
                continue
            if "action" not in frame:
                steps.append(Recorded(channel.removesuffix("s"), symbol, _text(frame)))
                continue
            (row,) = frame["data"]
            whole = frame["action"] == "snapshot"
            if "seqId" not in row:
                before = numbers.get(symbol, 1000)
                row["seqId"], row["prevSeqId"] = before + 3, -1 if whole else before
                numbers[symbol] = before + 3
            frame["arg"]["channel"] = "books"
            first_id = row["seqId"] if whole else row["prevSeqId"] + 1
            change = Change(
                first_id, row["seqId"], whole, rows_of(row["bids"]), rows_of(row["asks"]), row.get("checksum") or 0
            )
            steps.append(Recorded("book", symbol, _text(frame), change))
        yield connection, Recording("okx-spot", tuple(steps))


# ---- Upbit -------------------------------------------------------------------------------------------------------


def _upbit(lines: list[dict[str, Any]]) -> Iterator[tuple[str, Recording]]:
    """Each connection; full pictures in short names or in long ones."""
    for connection in dict.fromkeys(line["conn"] for line in lines):
        steps: list[Recorded | Base] = []
        for line in lines:
            if line["dir"] != "recv" or line["conn"] != connection or not line["raw"].startswith("{"):
                continue
            frame = json.loads(line["raw"], parse_float=str, parse_int=str)
            kind, symbol = frame.get("ty") or frame.get("type") or "", frame.get("cd") or frame.get("code") or ""
            change = None
            if kind == "orderbook":
                stamp = int(frame.get("tms") or frame["timestamp"])
                change = Change(stamp, stamp, True, _units(frame, "bid"), _units(frame, "ask"))
            if symbol:
                steps.append(Recorded("book" if change else kind, symbol, line["raw"], change))
        yield connection, Recording("upbit", tuple(steps))


def _units(frame: dict[str, Any], side: str) -> tuple[Row, ...]:
    short, units = side[0], frame.get("obu") or frame.get("orderbook_units") or ()
    names = (f"{short}p", f"{short}s") if "obu" in frame else (f"{side}_price", f"{side}_size")
    return tuple((unit[names[0]], unit[names[1]]) for unit in units)


_READERS = {
    "binance_spot": lambda lines: _binance("binance-spot", lines),
    "binance_usdm": lambda lines: _binance("binance-usdm", lines),
    "bybit": _bybit,
    "okx": _okx,
    "upbit": _upbit,
}
