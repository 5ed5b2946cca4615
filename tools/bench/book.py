"""What a book message costs: decode, apply to the book, publish the quote when the top changed.

Fed with each venue's recorded messages (`recordings`), beside ccxt's and cryptofeed's parsers on the same messages in
the same run (`rivals`).  Without recordings: generated messages of Binance Spot, 46 changed levels each, most of them
near the top, and no rivals.
"""

from __future__ import annotations

import gc
import json
import random
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import attrs

from actors.book.actor import BookActor
from protocols.ids import Symbol
from protocols.market import BookDelta, BookSnapshot, StreamUp
from protocols.reconcile import book_path, public_path
from protocols.venue import HttpReply, PublicCodec
from protocols.venues.binance_spot.public import BinanceSpotPublic
from supervisors.testing import RecordingContext
from tools.bench.recordings import RECORDINGS, Recording, Step
from tools.bench.rivals import RIVALS, measure
from tools.bench.timing import microseconds

__all__ = ["bench_book"]

READER = "/strategies/reader"
GENERATED = 6_000
LEVELS = 1_000
CHANGES = 46


def bench_book(data: Path | None = None, count: int | None = None) -> dict[str, object]:
    """Measure the book messages of the recordings below `data` (or generated ones), at most `count` a venue::

        {"venues": {"binance-spot": {"us": {...}, "ccxt_us": {...}, "cryptofeed_us": {...}, "messages", ...}, ...}}

    Each `..._us` has p50, p99, p999 and max in microseconds; a rival that is not installed has none.  RuntimeError when
    a book is not proven at the end: then something else was measured than a book at work.
    """
    if data is None:
        recording = Recording("binance-spot", lambda: BinanceSpotPublic(), "", lambda row: True)
        return {"venues": {recording.venue: _ours(recording, _generated()[:count])}}
    venues = {}
    for recording in RECORDINGS if count is None else (attrs.evolve(each, passes=1) for each in RECORDINGS):
        steps = recording.steps(data, count)
        figures = _ours(recording, steps)
        for rival in RIVALS:
            samples = measure(rival, recording, steps)
            if samples is not None:
                figures[f"{rival}_us"] = microseconds(samples)
        venues[recording.venue] = figures
    return {"venues": venues}


def _ours(recording: Recording, steps: Sequence[Step]) -> dict[str, object]:
    samples: list[int] = []
    for _ in range(recording.passes):
        samples += _Books(recording.codec()).play(steps)
    return {
        "us": microseconds(samples),
        "messages_per_s": round(len(samples) / (sum(samples) / 1e9)),
        "messages": len(samples),
    }


class _Books:
    """The book actors of one connection, without a runtime: what they send is kept and thrown away."""

    def __init__(self, codec: PublicCodec) -> None:
        self._codec = codec
        self._books: dict[Symbol, tuple[BookActor, RecordingContext]] = {}

    def play(self, steps: Sequence[Step]) -> list[int]:
        """Nanoseconds of each message that found its book proven."""
        samples = []
        for step in steps:  # an engine's books are there before the first message
            for message in () if step.snapshot_of else self._codec.decode(step.raw, 1, 1):
                assert isinstance(message, BookDelta | BookSnapshot)
                self._of(message.symbol)
        gc.collect()
        gc.freeze()
        for step in steps:
            if step.snapshot_of is not None:
                reply = HttpReply(200, {}, step.raw, 1, 1)
                self._of(step.snapshot_of)[0].receive(self._codec.decode_snapshot(step.snapshot_of, reply, 1))
                continue
            began = time.perf_counter_ns()
            ctx = self._take(step.raw)
            took = time.perf_counter_ns() - began
            ctx.sent.clear()
            ctx.timers.clear()
            if ctx.ready:
                samples.append(took)
        gc.unfreeze()
        for actor, ctx in self._books.values():
            if not ctx.ready:
                raise RuntimeError(f"{ctx.path} is not proven after {len(steps)} messages: {actor.inspect()['gap']}")
        return samples

    def _take(self, raw: bytes) -> RecordingContext:
        """What is measured: one frame, which is about one book."""
        (message,) = self._codec.decode(raw, 1, 1)
        assert isinstance(message, BookDelta | BookSnapshot)
        actor, ctx = self._of(message.symbol)
        actor.receive(message)
        return ctx

    def _of(self, symbol: Symbol) -> tuple[BookActor, RecordingContext]:
        found = self._books.get(symbol)
        if found is None:
            venue = self._codec.venue
            actor = BookActor(venue, symbol, self._codec.sequencer(symbol), [READER])
            found = self._books[symbol] = (actor, RecordingContext(actor, book_path(venue, symbol)))
            actor.receive(StreamUp(public_path(venue), venue, 1, 0))
        return found


def _generated() -> list[Step]:
    """A book of 1,000 levels a side and messages that keep it uncrossed."""
    chance = random.Random(1)
    symbol = Symbol("BTCUSDT")
    bids = [[f"{Decimal(6_000_000 - tick) / 100:.8f}", "1.00000000"] for tick in range(LEVELS)]
    asks = [[f"{Decimal(6_000_001 + tick) / 100:.8f}", "1.00000000"] for tick in range(LEVELS)]
    snapshot = {"lastUpdateId": 0, "bids": bids, "asks": asks}
    steps = [Step(json.dumps(snapshot, separators=(",", ":")).encode(), symbol)]
    for number in range(1, GENERATED + 1):
        sides: dict[str, list[list[str]]] = {"b": [], "a": []}
        for _ in range(CHANGES):
            tick = min(int(chance.expovariate(1 / 100)), 5 * LEVELS)
            qty = "0.00000000" if tick and chance.random() < 0.4 else f"{chance.random() + 0.00000001:.8f}"
            if chance.random() < 0.5:
                sides["b"].append([f"{(6_000_000 - tick) / 100:.8f}", qty])
            else:
                sides["a"].append([f"{(6_000_001 + tick) / 100:.8f}", qty])
        event = {"e": "depthUpdate", "E": 1, "s": symbol, "U": number, "u": number, **sides}
        frame = {"stream": f"{symbol.lower()}@depth@100ms", "data": event}
        steps.append(Step(json.dumps(frame, separators=(",", ":")).encode()))
    return steps
