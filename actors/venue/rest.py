"""The public REST session: book snapshots for the books, candle history for whoever asks.

Snapshots are dear (binance-spot section 13: 24 deep ones use up a minute), so besides the limiter a token bucket
spaces them, and a symbol that already waits is not asked for twice.
"""

from __future__ import annotations

from collections.abc import Mapping

import trio

from actors.venue.backoff import TokenBucket
from actors.venue.calls import RestCalls
from actors.venue.http import HttpClient
from actors.venue.settings import MS
from protocols.base import Message, Query
from protocols.errors import OutcomeUnknown, RemoteProtocolError, VenueUnavailable
from protocols.ids import Path
from protocols.market import SnapshotFailed, SnapshotRequest
from protocols.reconcile import CandlesQuery
from protocols.venue import PublicCodec, VenueError
from supervisors.actor import Actor, Later

SNAPSHOT_BURST = 20
SNAPSHOT_INTERVAL_NS = 500 * MS
WORKERS = 4

_Job = SnapshotRequest | tuple[CandlesQuery, Later]


class RestActor(Actor):
    """Answers `SnapshotRequest` with `BookSnapshot` or `SnapshotFailed`, and `CandlesQuery` with candles."""

    def __init__(
        self,
        codec: PublicCodec,
        http: HttpClient,
        *,
        limiter: Path,
        clock: Path,
        snapshot_burst: int = SNAPSHOT_BURST,
        snapshot_interval_ns: int = SNAPSHOT_INTERVAL_NS,
    ) -> None:
        self._codec = codec
        self._http = http
        self._limiter = limiter
        self._clock = clock
        self._resyncs = TokenBucket(snapshot_burst, snapshot_interval_ns)
        self._jobs, self._work = trio.open_memory_channel[_Job](1024)
        self._wanted: set[tuple[Path, str]] = set()
        self._snapshots = 0
        self._failures = 0
        self._failure = ""

    def receive(self, message: Message) -> None:
        if not isinstance(message, SnapshotRequest):
            raise TypeError(f"public REST does not understand {type(message).__name__}")
        key = (message.reply_to, message.symbol)
        if key in self._wanted:
            return
        try:
            self._jobs.send_nowait(message)
            self._wanted.add(key)
        except trio.WouldBlock:
            self.ctx.send(message.reply_to, SnapshotFailed(message.symbol, f"{self.ctx.path} has too much to do"))

    def answer(self, query: Query) -> object:
        if not isinstance(query, CandlesQuery):
            return super().answer(query)
        later = Later()
        try:
            self._jobs.send_nowait((query, later))
        except trio.WouldBlock:
            later.fail(f"{self.ctx.path} has too much to do")
        return later

    async def run(self) -> None:
        self._calls = RestCalls(self.ctx, self._http, self._limiter, self._clock, self._codec)
        async with trio.open_nursery() as nursery:
            for _ in range(WORKERS):
                nursery.start_soon(self._worker)

    async def _worker(self) -> None:
        async for job in self._work:
            if isinstance(job, SnapshotRequest):
                await self._snapshot(job)
            else:
                await self._candles(*job)

    async def _snapshot(self, asked: SnapshotRequest) -> None:
        await self.ctx.sleep(self._resyncs.take(self.ctx.monotonic_ns))
        answer: Message
        try:
            reply, error = await self._calls.call(lambda: self._codec.snapshot_request(asked.symbol, asked.depth))
            _raise_for(error)
            answer = self._codec.decode_snapshot(asked.symbol, reply, asked.connection)
            self._snapshots += 1
        except (VenueUnavailable, OutcomeUnknown, RemoteProtocolError) as failure:
            self._note(failure)
            answer = SnapshotFailed(asked.symbol, str(failure))
        self._wanted.discard((asked.reply_to, asked.symbol))
        self.ctx.send(asked.reply_to, answer)
        self.ctx.flush()

    async def _candles(self, query: CandlesQuery, later: Later) -> None:
        try:
            reply, error = await self._calls.call(
                lambda: self._codec.candles_request(query.symbol, query.interval_ns, query.limit)
            )
            _raise_for(error)
            later.resolve(tuple(self._codec.decode_candles(query.symbol, query.interval_ns, reply)))
        except (VenueUnavailable, OutcomeUnknown, RemoteProtocolError) as failure:
            self._note(failure)
            later.fail(str(failure))

    def _note(self, failure: Exception) -> None:
        self._failures += 1
        self._failure = str(failure)
        self.ctx.note("request_failed", self._failure)

    def inspect(self) -> Mapping[str, object]:
        return {
            "snapshots": self._snapshots,
            "failures": self._failures,
            "failure": self._failure,
            "waiting": sorted(symbol for _, symbol in self._wanted),
        }


def _raise_for(error: VenueError | None) -> None:
    """A refusal of a read is an unavailable venue to whoever asked; the text says which."""
    if error is not None:
        raise VenueUnavailable(f"{error.code} {error.text}")
