"""What a depth message costs: decode, apply to the book, publish the quote when the top changed.

With a capture (`capture-jsonl v1`) its own depth messages are used, in their order; without one, generated messages of
like size: 46 changed levels each, most of them near the top.
"""

from __future__ import annotations

import gc
import gzip
import json
import random
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from actors.book.actor import BookActor
from protocols.ids import Symbol
from protocols.market import BookDelta, BookSnapshot, StreamUp
from protocols.reconcile import book_path, public_path
from protocols.venue import HttpReply
from protocols.venues.binance_spot.public import VENUE, BinanceSpotPublic
from supervisors.testing import RecordingContext
from tools.bench.timing import microseconds

__all__ = ["bench_book"]

SYMBOL = Symbol("BTCUSDT")
READER = "/strategies/reader"
GENERATED = 6_000
LEVELS = 1_000
CHANGES = 46


def bench_book(capture: Path | None = None) -> dict[str, object]:
    """Measure every depth message of the capture (or generated ones):
    `{"venues": {"binance-spot": {"us": {"p50", "p99", "p999", "max"}, "messages_per_s", "messages"}}}`.

    RuntimeError when the book is not proven at the end: then something else was measured than a book at work.
    """
    codec = BinanceSpotPublic()
    snapshot, frames = _recorded(capture, codec) if capture is not None else _generated()
    actor = BookActor(VENUE, SYMBOL, codec.sequencer(SYMBOL), [READER])
    ctx = RecordingContext(actor, book_path(VENUE, SYMBOL))
    actor.receive(StreamUp(public_path(VENUE), VENUE, 1, 0))
    samples = []
    gc.collect()
    gc.freeze()
    reached = 0
    for frame in frames:
        began = time.perf_counter_ns()
        for message in codec.decode(frame, 1, 1):
            assert isinstance(message, BookDelta)
            actor.receive(message)
            reached = message.last_id
        took = time.perf_counter_ns() - began
        ctx.sent.clear()
        ctx.timers.clear()
        if ctx.ready:
            samples.append(took)
        elif reached >= snapshot.last_id:
            actor.receive(snapshot)
    gc.unfreeze()
    if not ctx.ready:
        raise RuntimeError(f"the book is not proven after {len(frames)} messages: {actor.inspect()['gap']}")
    result = {
        "us": microseconds(samples),
        "messages_per_s": round(len(samples) / (sum(samples) / 1e9)),
        "messages": len(samples),
    }
    return {"venues": {str(VENUE): result}}


def _recorded(capture: Path, codec: BinanceSpotPublic) -> tuple[BookSnapshot, Sequence[bytes]]:
    """The snapshot and the raw depth messages of a capture."""
    snapshot: BookSnapshot | None = None
    frames = []
    with gzip.open(capture, "rt") as lines:
        for line in lines:
            row = json.loads(line)
            raw = row["raw"].encode()
            if row["dir"] == "http":
                reply = HttpReply(200, {}, raw, row["ts_ns"], row["ts_ns"])
                snapshot = codec.decode_snapshot(SYMBOL, reply, 1)
            elif row["dir"] == "recv" and b'"depthUpdate"' in raw and f'"{SYMBOL}"'.encode() in raw:
                frames.append(raw)
    if snapshot is None:
        raise ValueError(f"{capture} holds no depth snapshot")
    return snapshot, frames


def _generated() -> tuple[BookSnapshot, Sequence[bytes]]:
    """A book of 1,000 levels a side and messages that keep it uncrossed."""
    chance = random.Random(1)
    bids = tuple((Decimal(6_000_000 - tick) / 100, Decimal(1)) for tick in range(LEVELS))
    asks = tuple((Decimal(6_000_001 + tick) / 100, Decimal(1)) for tick in range(LEVELS))
    snapshot = BookSnapshot(VENUE, SYMBOL, 0, bids, asks, 0, 1)
    frames = []
    for number in range(GENERATED):
        sides: dict[str, list[list[str]]] = {"b": [], "a": []}
        for _ in range(CHANGES):
            tick = min(int(chance.expovariate(1 / 100)), 5 * LEVELS)
            qty = "0.00000000" if tick and chance.random() < 0.4 else f"{chance.random() + 0.00000001:.8f}"
            if chance.random() < 0.5:
                sides["b"].append([f"{(6_000_000 - tick) / 100:.8f}", qty])
            else:
                sides["a"].append([f"{(6_000_001 + tick) / 100:.8f}", qty])
        event = {"e": "depthUpdate", "E": 1, "s": SYMBOL, "U": number, "u": number, **sides}
        frame = {"stream": f"{SYMBOL.lower()}@depth@100ms", "data": event}
        frames.append(json.dumps(frame, separators=(",", ":")).encode())
    return snapshot, frames
