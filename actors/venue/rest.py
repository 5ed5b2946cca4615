"""The public REST session: book snapshots for the books, candle history, tickers and books for whoever asks.

Snapshots are dear (binance-spot section 13: 24 deep ones use up a minute), so besides the limiter a token bucket
spaces them, and a symbol that already waits is not asked for twice.  They have workers of their own: a book that waits
for its proof does not wait for other people's candles.

Other reads end with their asker's patience, whatever they wait for by then: nothing is sent for one who has turned
away, and a venue that does not answer holds a worker no longer than somebody waits for it.  The answer says what was
awaited.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import trio

from actors.venue.backoff import TokenBucket
from actors.venue.calls import NotPermitted, RestCalls
from actors.venue.http import HttpClient
from actors.venue.settings import MS, SECOND
from protocols.backbone import RestBookQuery, RestTickersQuery, Unanswered, UnansweredReason
from protocols.base import Message, Query
from protocols.errors import LocalProtocolError, OutcomeUnknown, RemoteProtocolError, VenueUnavailable
from protocols.ids import Path
from protocols.market import SnapshotFailed, SnapshotRequest
from protocols.reconcile import CandlesQuery
from protocols.venue import Disposition, HttpReply, HttpRequest, PublicCodec, VenueError
from supervisors.actor import Actor, Later

SNAPSHOT_BURST = 20
SNAPSHOT_INTERVAL_NS = 500 * MS
WORKERS = 4
SNAPSHOT_WORKERS = 2

_Reads = CandlesQuery | RestTickersQuery | RestBookQuery


@attrs.define
class _Read:
    """A question that waits."""

    query: _Reads
    later: Later
    since_ns: int
    """Monotonic."""
    sent: str = ""
    """The request whose answer it waits for; "" before that is sent."""


_ASKERS_FAULT = frozenset({Disposition.NOT_FOUND, Disposition.REJECTED, Disposition.BUG})
"""The venue is well and refuses what was asked: that is an answer."""


class RestActor(Actor):
    """Answers `SnapshotRequest` with `BookSnapshot` or `SnapshotFailed`, and the queries of `_plan`."""

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
        self._reads, self._to_read = trio.open_memory_channel[_Read](1024)
        self._snapshot_requests, self._to_snapshot = trio.open_memory_channel[SnapshotRequest](1024)
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
            self._snapshot_requests.send_nowait(message)
            self._wanted.add(key)
        except trio.WouldBlock:
            self.ctx.send(message.reply_to, SnapshotFailed(message.symbol, f"{self.ctx.path} has too much to do"))

    def answer(self, query: Query) -> object:
        if not isinstance(query, _Reads):
            return super().answer(query)
        later = Later()
        try:
            self._reads.send_nowait(_Read(query, later, self.ctx.monotonic_ns))
        except trio.WouldBlock:
            later.resolve(Unanswered(UnansweredReason.TOO_LATE, f"{self.ctx.path} has too much to do"))
        return later

    async def run(self) -> None:
        self._calls = RestCalls(self.ctx, self._http, self._limiter, self._clock, self._codec)
        async with trio.open_nursery() as nursery:
            for _ in range(SNAPSHOT_WORKERS):
                nursery.start_soon(self._make_snapshots)
            for _ in range(WORKERS):
                nursery.start_soon(self._answer_reads)

    async def _make_snapshots(self) -> None:
        async for asked in self._to_snapshot:
            await self._snapshot(asked)

    async def _answer_reads(self) -> None:
        async for read in self._to_read:
            patience_ns = read.query.patience_ns
            left_ns = patience_ns - (self.ctx.monotonic_ns - read.since_ns)
            if left_ns <= 0:
                text = f"{self.ctx.path} has too much to do: waited {patience_ns / SECOND:.1f} s for a free place"
                read.later.resolve(Unanswered(UnansweredReason.TOO_LATE, text))
                continue
            with trio.move_on_after(left_ns / SECOND) as patience:
                await self._read(read, left_ns)
            if patience.cancelled_caught:
                self._give_up(read)

    def _give_up(self, read: _Read) -> None:
        within = f"within {read.query.patience_ns / SECOND:.1f} s"
        if read.sent:
            self._note(text := f"{read.sent}: no answer {within}")
            read.later.fail(text)
        else:
            text = f"no permit of {self._limiter} {within}"
            read.later.resolve(Unanswered(UnansweredReason.TOO_LATE, text))

    async def _snapshot(self, asked: SnapshotRequest) -> None:
        await self.ctx.sleep(self._resyncs.take(self.ctx.monotonic_ns))
        answer: Message
        try:
            reply, error = await self._calls.call(lambda: self._codec.snapshot_request(asked.symbol, asked.depth))
            _raise_for(error)
            answer = self._codec.decode_snapshot(asked.symbol, reply, asked.connection)
            self._snapshots += 1
        except (VenueUnavailable, OutcomeUnknown, RemoteProtocolError) as failure:
            self._note(str(failure))
            answer = SnapshotFailed(asked.symbol, str(failure))
        self._wanted.discard((asked.reply_to, asked.symbol))
        self.ctx.send(asked.reply_to, answer)
        self.ctx.flush()

    async def _read(self, read: _Read, left_ns: int) -> None:
        query, later = read.query, read.later

        def permitted(request: HttpRequest) -> None:
            read.sent = f"{request.method} {self._http.base_url}{request.path}"

        make, decode = self._plan(query)
        try:
            # The limiter is given less, so that its own words about a ban come before we give up.
            reply, error = await self._calls.call(make, left_ns * 9 // 10, permitted=permitted)
            if error is None:
                later.resolve(decode(reply))
            elif error.disposition in _ASKERS_FAULT and not isinstance(query, CandlesQuery):
                later.resolve(error)
            else:
                _raise_for(error)
        except NotPermitted as refusal:
            self._note(str(refusal))
            later.resolve(Unanswered(UnansweredReason.TOO_LATE, str(refusal)))
        except (VenueUnavailable, OutcomeUnknown, RemoteProtocolError) as failure:
            self._note(str(failure))
            later.fail(str(failure))
        except LocalProtocolError as mistake:
            # A symbol or an interval that cannot even be asked for is the asker's mistake, not this session's end.
            if isinstance(query, CandlesQuery):
                later.fail(str(mistake))
            else:
                later.resolve(VenueError(Disposition.BUG, "", str(mistake)))

    def _plan(self, query: _Reads) -> tuple[Callable[[], HttpRequest], Callable[[HttpReply], Any]]:
        """How to ask, and how to read the answer."""
        codec = self._codec
        if isinstance(query, RestTickersQuery):
            return lambda: codec.tickers_request(query.symbols), lambda reply: tuple(codec.decode_tickers(reply))
        if isinstance(query, RestBookQuery):
            return (
                lambda: codec.snapshot_request(query.symbol, query.levels),
                lambda reply: codec.decode_snapshot(query.symbol, reply, 0),
            )
        return (
            lambda: codec.candles_request(query.symbol, query.interval_ns, query.limit, query.end_ns),
            lambda reply: tuple(codec.decode_candles(query.symbol, query.interval_ns, reply)),
        )

    def _note(self, failure: str) -> None:
        self._failures += 1
        self._failure = failure
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
