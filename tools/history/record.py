"""Follows the public streams of one venue into captures.

    recorder = Recorder(RecordConfig(kind="upbit", symbols=("KRW-BTC",), folder=Path("captures")))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(recorder.run)
        ...
        recorder.stop()

Each file stands for itself: it begins with its connections, their subscriptions and, where the venue's books need it,
snapshots by REST, so it can be replayed without the file before it.  For that a full file is not simply continued in
the next one.  The next one opens connections of its own, and the old ones end when those are heard: nothing is missing
between two files, and some frames are in both.

A connection that breaks is replaced within the same file, under a new name; a book whose sequence has a hole gets a new
snapshot.  A venue's limit on the age of connections is a file's limit, too.
"""

from __future__ import annotations

import random
import ssl
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import attrs
import trio

from actors.venue.backoff import Pacer, TokenBucket, reconnect_delay_ns
from actors.venue.http import HttpClient
from actors.venue.settings import ReconnectSettings, TransportSettings
from actors.venue.transport import HandshakeRefused, WebSocket, connect_websocket
from protocols.errors import BulkheadError, ConfigError, OutcomeUnknown, VenueUnavailable
from protocols.ids import Symbol
from protocols.venue import Channel, Disposition, Frame, HttpReply, KeepsAlive, PublicCodec, RoutesStreams
from protocols.venues.registry import PRODUCTION, VENUES, VenueOptions
from supervisors.clock import Clock, SystemClock
from tools.history.books import Happening, Witness
from tools.history.captures import CaptureFile, Direction

__all__ = ["Progress", "RecordConfig", "Recorder"]

_S = 1_000_000_000
_READY_S = 10.0  # a new file that hears nothing for so long takes over all the same
_FLUSH_S = 1.0
_STREAMS = (Channel.BOOK, Channel.TRADES, Channel.BOOK_TICKER)  # what is recorded unless told otherwise
_PATIENCE = frozenset({403, 418, 429})


@attrs.frozen(kw_only=True)
class RecordConfig:
    """What to follow, and how to keep it."""

    kind: str
    """Of the registry: `upbit`, `okx-swap`, ..."""
    symbols: tuple[Symbol, ...]
    channels: tuple[Channel, ...] = ()
    """Empty: books, trades and best prices, as far as the venue has them."""
    folder: Path
    environment: str = PRODUCTION
    rest_url: str = ""
    """Instead of that of the environment; as the next one scheme, host and port."""
    stream_url: str = ""
    rotate_bytes: int = 256 * 1024 * 1024
    """Of text, before compression; 0: never."""
    rotate_ns: int = 3600 * _S
    """0: never, but for the venue's own limit on connections."""
    compress: bool = True

    def checked(self) -> RecordConfig:
        """With everything filled in.  Raises ConfigError that names the field and the fix."""
        parts = VENUES.get(self.kind)
        if parts is None:
            raise ConfigError(f"venue {self.kind!r} is not known; there are {', '.join(VENUES)}")
        environment = parts.environments.get(self.environment)
        if environment is None:
            raise ConfigError(
                f"{self.kind} has no environment {self.environment!r}; it has {', '.join(parts.environments)}"
            )
        if not self.symbols:
            raise ConfigError("no symbol was given; name at least one")
        missing = [one.value for one in self.channels if one not in parts.capabilities.channels]
        if missing:
            has = ", ".join(sorted(one.value for one in parts.capabilities.channels))
            raise ConfigError(f"{self.kind} has no channel {', '.join(missing)}; it has {has}")
        return attrs.evolve(
            self,
            channels=self.channels or tuple(one for one in _STREAMS if one in parts.capabilities.channels),
            rest_url=self.rest_url or environment.rest_url,
            stream_url=self.stream_url or environment.stream_url,
        )


@attrs.define
class Progress:
    """Counters of one recording; whoever shows them reads them when it likes."""

    lines: int = 0
    frames: int = 0
    raw_bytes: int = 0
    snapshots: int = 0
    connections: int = 0
    gaps: int = 0
    """How often a book lost its proof."""
    crossed: int = 0
    unreadable: int = 0
    failure: str = ""
    """Why the latest connection could not be had, or ended."""
    messages: Counter[str] = attrs.Factory(Counter)
    """By kind of event."""
    files: list[Path] = attrs.Factory(list)
    """Whole ones, oldest first."""
    removed: int = 0
    """Files in which nothing was heard; they are not kept."""


class Recorder:
    """One venue, one recording, as many files as it takes."""

    def __init__(self, config: RecordConfig, *, clock: Clock | None = None, tls: ssl.SSLContext | None = None) -> None:
        """Raises ConfigError."""
        self.config = config.checked()
        self.progress = Progress()
        self.stopping = trio.Event()
        self.clock = clock or SystemClock()
        self.tls = tls
        self.parts = VENUES[self.config.kind]
        self.codec: PublicCodec = self.parts.public(VenueOptions(environment=self.config.environment))
        self.snapshot_tokens = TokenBucket(5, _S)
        self._connections = 0
        self._named: set[str] = set()

    def stop(self) -> None:
        """Finish the file and end `run`."""
        self.stopping.set()

    def next_connection(self) -> str:
        """A name that no connection of this recording had."""
        self._connections += 1
        self.progress.connections += 1
        return f"{self.config.kind}.{self._connections}"

    async def run(self) -> None:
        """Until stopped.  Raises OSError for a folder that cannot be written."""
        self.config.folder.mkdir(parents=True, exist_ok=True)
        async with (
            HttpClient(self.config.rest_url, TransportSettings(), now_ns=self.clock.wall_ns, tls=self.tls) as http,
            trio.open_nursery() as nursery,
        ):
            current = await self._begin(nursery, http)
            while not self.stopping.is_set():
                await current.full.wait()
                if not self.stopping.is_set():
                    successor = await self._begin(nursery, http)
                    await current.end()
                    current = successor
            await current.end()
            nursery.cancel_scope.cancel()

    async def _begin(self, nursery: trio.Nursery, http: HttpClient) -> _Segment:
        segment = _Segment(self, http, self._path())
        await nursery.start(segment.run)
        return segment

    def _path(self) -> Path:
        """`<kind>_<moment>.jsonl.gz`; files of one second are told apart by a number."""
        moment = datetime.fromtimestamp(self.clock.wall_ns() // _S, UTC).strftime("%Y%m%dT%H%M%SZ")
        suffix = ".jsonl.gz" if self.config.compress else ".jsonl"
        name, number = f"{self.config.kind}_{moment}", 1
        while True:
            full = name if number == 1 else f"{name}_{number}"
            path = self.config.folder / f"{full}{suffix}"
            if full not in self._named and not path.exists() and not path.with_name(f"{path.name}.part").exists():
                self._named.add(full)
                return path
            number += 1

    def plans(self) -> Iterator[tuple[str, list[tuple[Channel, Symbol]]]]:
        """Path and subscriptions of each connection."""
        codec, config = self.codec, self.config
        paths: Mapping[Channel, str] = {}
        if isinstance(codec, RoutesStreams):
            paths = codec.stream_paths()
        by_path: dict[str, list[tuple[Channel, Symbol]]] = {}
        for channel in config.channels:
            path = paths.get(channel) or codec.stream_path()
            by_path.setdefault(path, []).extend((channel, symbol) for symbol in config.symbols)
        most = codec.rules.subscriptions_max or 10**9
        for path, wanted in by_path.items():
            for start in range(0, len(wanted), most):
                yield path, wanted[start : start + most]


class _Segment:
    """One file and the connections that fill it."""

    def __init__(self, recorder: Recorder, http: HttpClient, path: Path) -> None:
        self.recorder = recorder
        self.http = http
        self.path = path
        self.full = trio.Event()
        self._capture = CaptureFile(path)
        self._over = trio.Event()
        self._closed = trio.Event()
        self._silent = 0
        self._frames = 0
        self._heard = trio.Event()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Record until ended; started when every connection has been heard, or for want of that after a while."""
        plans = list(self.recorder.plans())
        self._silent = len(plans)
        try:
            async with trio.open_nursery() as nursery:
                for path, wanted in plans:
                    nursery.start_soon(_Connection(self, path, wanted).keep)
                nursery.start_soon(self._watch)
                with trio.move_on_after(_READY_S):
                    await self._heard.wait()
                task_status.started()
                await self._over.wait()
                nursery.cancel_scope.cancel()
        finally:
            self._keep_or_remove()
            self._closed.set()

    def _keep_or_remove(self) -> None:
        """Close the file; without one frame of the venue it is of no use."""
        if self._frames:
            self.recorder.progress.files.append(self._capture.close())
        else:
            self._capture.discard()
            self.recorder.progress.removed += 1

    async def end(self) -> None:
        """Close the connections and the file."""
        self._over.set()
        await self._closed.wait()

    async def _watch(self) -> None:
        """Flush, and say when the file is full."""
        config, age_max_ns = self.recorder.config, self.recorder.codec.rules.connection_age_max_ns
        limits = [limit for limit in (config.rotate_ns, age_max_ns and age_max_ns * 9 // 10) if limit]
        due = trio.current_time() + min(limits) / _S if limits else None
        while True:
            with trio.move_on_after(_FLUSH_S):
                await self.recorder.stopping.wait()
                self._heard.set()
                self.full.set()
                await trio.sleep_forever()
            self._capture.flush()
            if due is not None and trio.current_time() >= due:
                self.full.set()

    def heard(self) -> None:
        """On one more connection everything has been subscribed, as far as the venue tells, and something came."""
        self._silent -= 1
        if self._silent <= 0:
            self._heard.set()

    def write(self, conn: str, direction: Direction, raw: str, url: str = "", at_ns: int = 0) -> None:
        """One line, and everything that follows from it."""
        capture, progress = self._capture, self.recorder.progress
        before = capture.raw_bytes
        capture.write(at_ns or self.recorder.clock.wall_ns(), conn, direction, raw, url)
        progress.lines += 1
        self._frames += direction is Direction.RECV
        progress.frames += direction is Direction.RECV
        progress.raw_bytes += capture.raw_bytes - before
        if self.recorder.config.rotate_bytes and capture.raw_bytes >= self.recorder.config.rotate_bytes:
            self.full.set()


class _Connection:
    """One address and its subscriptions, connected again and again."""

    def __init__(self, segment: _Segment, path: str, wanted: Sequence[tuple[Channel, Symbol]]) -> None:
        self._segment = segment
        self._recorder = segment.recorder
        self._url = self._recorder.config.stream_url + path
        self._wanted = wanted
        self._witness = Witness(self._recorder.codec, self._recorder.progress.messages)
        self._random = random.Random()
        self._is_ready = False
        self._asked: set[str] | None = None  # ids of the subscriptions, once all have been sent
        self._needed = trio.Event()

    async def keep(self) -> None:
        """For ever."""
        failures = 0
        while True:
            began = trio.current_time()
            refused = False
            try:
                await self._follow()
            except* HandshakeRefused as group:
                refused = any(one.status in _PATIENCE for one in _leaves(group) if isinstance(one, HandshakeRefused))
                self._failed(group)
            except* BulkheadError as group:
                self._failed(group)
            self._witness.lost()
            failures = 1 if trio.current_time() - began > 10 else failures + 1
            delay_ns = reconnect_delay_ns(ReconnectSettings(), failures, self._random.random(), refused=refused)
            await trio.sleep(delay_ns / _S)

    def _failed(self, group: BaseExceptionGroup[BaseException]) -> None:
        self._recorder.progress.failure = str(next(iter(_leaves(group))))

    async def _follow(self) -> None:
        """One connection, from its opening to its end.  Raises BulkheadError."""
        codec, conn = self._recorder.codec, self._recorder.next_connection()
        rules = codec.rules
        async with trio.open_nursery() as nursery:
            socket = await connect_websocket(nursery, self._url, TransportSettings(), tls=self._recorder.tls)
            self._segment.write(conn, Direction.OPEN, "", self._url)
            pacer = Pacer(rules.messages_per_s_max, rules.messages_per_min_max)
            nursery.start_soon(self._speak, socket, conn, pacer)
            nursery.start_soon(self._fetch_snapshots, conn)
            while True:
                for raw in await socket.recv_many(rules.silence_max_ns or None):
                    self._heard(conn, raw)

    async def _speak(self, socket: WebSocket, conn: str, pacer: Pacer) -> None:
        """Subscribe, then keep the connection alive the venue's way."""
        codec = self._recorder.codec
        self._asked = None
        frames = codec.subscribe(self._wanted, 1)
        for frame in frames:
            await self._send(socket, conn, pacer, frame)
        self._asked = {frame.request_id for frame in frames} - {""}
        every_ns = codec.rules.client_ping_interval_ns
        number = 0
        while every_ns:
            await trio.sleep(every_ns / _S)
            if isinstance(codec, KeepsAlive):
                number += 1
                await self._send(socket, conn, pacer, codec.keep_alive(f"ping-{number}"))
            else:
                socket.ping_nowait()

    async def _send(self, socket: WebSocket, conn: str, pacer: Pacer, frame: Frame) -> None:
        await pacer.wait()
        socket.send_nowait(frame.text)
        self._segment.write(conn, Direction.SEND, frame.text, self._url)

    def _heard(self, conn: str, raw: bytes) -> None:
        now_ns = self._recorder.clock.wall_ns()
        self._segment.write(conn, Direction.RECV, raw.decode("utf-8", "replace"), at_ns=now_ns)
        progress = self._recorder.progress
        for event in self._witness.take(raw, now_ns):
            progress.gaps += event.what in (Happening.GAP, Happening.WRONG)
            progress.crossed += event.what is Happening.CROSSED
            progress.unreadable += event.what is Happening.UNREADABLE
        if self._witness.unbridged:
            self._needed.set()
        if not self._is_ready and self._asked is not None and self._asked <= self._witness.answered:
            self._is_ready = True
            self._segment.heard()

    # ---- snapshots ---------------------------------------------------------------------------------------------
    async def _fetch_snapshots(self, conn: str) -> None:
        """One after the other, as the books need them."""
        while True:
            if not self._witness.unbridged:
                self._needed = trio.Event()
                await self._needed.wait()
            symbol = next(iter(self._witness.unbridged))
            await trio.sleep(self._recorder.snapshot_tokens.take(self._recorder.clock.monotonic_ns()) / _S)
            await self._fetch(symbol, conn)

    async def _fetch(self, symbol: Symbol, conn: str) -> None:
        """A snapshot, recorded where it arrived.  A book that it does not reach is asked for again."""
        codec = self._recorder.codec
        request = codec.snapshot_request(symbol, codec.sequencer(symbol).snapshot_depth)
        try:
            reply = await self._segment.http.request(request)
        except (VenueUnavailable, OutcomeUnknown) as error:
            self._recorder.progress.failure = str(error)
            await trio.sleep(1)
            return
        refusal = codec.error(reply)
        if refusal is not None:
            self._recorder.progress.failure = f"{request.path}: {refusal.code} {refusal.text}"
            patient = refusal.disposition in (Disposition.RATE_LIMITED, Disposition.BANNED)
            wait_ns = max(_S, refusal.until_ns - self._recorder.clock.wall_ns()) if patient else _S
            await trio.sleep(wait_ns / _S)
            return
        url = f"{self._recorder.config.rest_url}{request.path}?{request.query}"
        self._segment.write(f"{conn}.rest", Direction.HTTP, _text(reply), url, reply.received_ns)
        self._recorder.progress.snapshots += 1
        self._witness.snapshot(symbol, reply)


def _text(reply: HttpReply) -> str:
    return reply.body.decode("utf-8", "replace")


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for one in group.exceptions:
        if isinstance(one, BaseExceptionGroup):
            yield from _leaves(one)
        else:
            yield one
