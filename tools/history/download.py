"""Fetches candles from a venue's history into a file, and goes on where it was interrupted.

    job = Job(kind="upbit", symbol=Symbol("KRW-BTC"), interval_ns=60_000_000_000, since_ns=..., until_ns=..., path=...)
    report = await Download(job).run()

Pages are windows of time, oldest first, each as long as the venue's largest answer: a window can hold no more bars than
one answer has.  Each page is appended to `FILE.part`, forced to the disk, and only then noted in `FILE.state`.  So a
kill at any moment loses at most the page in hand: the next run cuts the part back to what was noted and goes on.  The
file itself appears when it is whole.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import trio

from actors.venue.http import HttpClient
from actors.venue.settings import TransportSettings
from protocols.errors import BulkheadError, ConfigError, OutcomeUnknown, RemoteProtocolError, VenueUnavailable
from protocols.ids import Symbol
from protocols.market import Candle
from protocols.venue import Disposition, HttpRequest, Limit, PublicCodec, VenueError
from protocols.venues.registry import PRODUCTION, VENUES, VenueOptions
from supervisors.clock import Clock, SystemClock
from tools.history import candles
from tools.history.candles import Bar, Gap

__all__ = ["Download", "DownloadFailed", "Job", "Progress", "Report"]

_S = 1_000_000_000
_MS = 1_000_000
_ATTEMPTS = 8
_BACKOFF_MAX_S = 30.0
_PACE = 1.25  # times as slow as the venue allows
_GAPS_KEPT = 1000
_AGAIN = frozenset({Disposition.BUSY, Disposition.UNKNOWN, Disposition.MAINTENANCE, Disposition.CLOCK})
_WAIT = frozenset({Disposition.RATE_LIMITED, Disposition.BANNED})


class DownloadFailed(BulkheadError):
    """The venue will not, or cannot now; what was fetched is kept, and the same command goes on."""


@attrs.frozen(kw_only=True)
class Job:
    """What to fetch, and where to put it."""

    kind: str
    symbol: Symbol
    interval_ns: int
    since_ns: int
    """The first bar opens at or after this."""
    until_ns: int
    """The last bar opens before this."""
    path: Path
    environment: str = PRODUCTION
    rest_url: str = ""
    overwrite: bool = False

    def checked(self) -> Job:
        """Raises ConfigError that names the field and the fix."""
        parts = VENUES.get(self.kind)
        if parts is None:
            raise ConfigError(f"venue {self.kind!r} is not known; there are {', '.join(VENUES)}")
        environment = parts.environments.get(self.environment)
        if environment is None:
            raise ConfigError(
                f"{self.kind} has no environment {self.environment!r}; it has {', '.join(parts.environments)}"
            )
        candles.require_format(self.path)
        if self.since_ns >= self.until_ns:
            raise ConfigError("the span is empty: --from must be before --to")
        return attrs.evolve(self, rest_url=self.rest_url or environment.rest_url)

    @property
    def terms(self) -> dict[str, str | int]:
        """What must be the same for a part to be continued."""
        return {
            "kind": self.kind,
            "environment": self.environment,
            "symbol": str(self.symbol),
            "interval_ns": self.interval_ns,
            "since_ns": self.since_ns,
            "until_ns": self.until_ns,
        }


@attrs.define
class Progress:
    """How far it is; whoever shows it reads it when it likes."""

    done: float = 0.0
    """Part of the span that was asked for."""
    bars: int = 0
    requests: int = 0
    retries: int = 0
    resumed: bool = False
    waiting: str = ""
    """Why nothing happens at the moment."""


@attrs.frozen
class Report:
    """What a finished download has brought."""

    path: Path
    bars: int
    first_ms: int
    last_ms: int
    missing: int
    """Bars between the first and the last that the venue does not have."""
    gaps: tuple[Gap, ...]
    """The first thousand."""
    requests: int
    resumed: bool


@attrs.frozen
class _State:
    next_ns: int
    size: int


class Download:
    """One job."""

    def __init__(self, job: Job, *, clock: Clock | None = None, tls: ssl.SSLContext | None = None) -> None:
        """Raises ConfigError, LocalProtocolError for an interval that the venue does not have."""
        self.job = job.checked()
        self.progress = Progress()
        self._clock = clock or SystemClock()
        self._tls = tls
        parts = VENUES[self.job.kind]
        self._codec: PublicCodec = parts.public(VenueOptions(environment=self.job.environment))
        self._limits = parts.limits
        self._page = self._codec.capabilities.candles_max
        self._part = self.job.path.with_name(self.job.path.name + ".part")
        self._note = self.job.path.with_name(self.job.path.name + ".state")
        self._codec.candles_request(self.job.symbol, self.job.interval_ns, 1, self.job.until_ns)

    async def run(self) -> Report:
        """To the end.  Raises DownloadFailed, ConfigError, OSError; run again to go on."""
        job = self.job
        state = self._resume()
        async with HttpClient(job.rest_url, TransportSettings(), now_ns=self._clock.wall_ns, tls=self._tls) as http:
            with self._part.open("r+b") as part:
                part.truncate(state.size)
                part.seek(state.size)
                while state.next_ns < job.until_ns:
                    end_ns = min(state.next_ns + self._page * job.interval_ns, job.until_ns)
                    bars = await self._fetch(http, state.next_ns, end_ns)
                    part.write("".join(map(candles.csv_row, bars)).encode())
                    part.flush()
                    os.fsync(part.fileno())
                    state = _State(end_ns, part.tell())
                    self._save(state)
                    self.progress.bars += len(bars)
                    self.progress.done = (end_ns - job.since_ns) / (job.until_ns - job.since_ns)
        return self._finish()

    # ---- what was there already --------------------------------------------------------------------------------
    def _resume(self) -> _State:
        """Where to go on; makes an empty part where there is none."""
        job = self.job
        job.path.parent.mkdir(parents=True, exist_ok=True)
        if self._note.exists() and self._part.exists():
            try:
                noted = json.loads(self._note.read_text())
                state = _State(int(noted["next_ns"]), int(noted["size"]))
                terms = noted["terms"]
            except (ValueError, KeyError, TypeError) as error:
                raise ConfigError(f"{self._note}: not readable ({error}); remove it and {self._part.name}") from None
            if terms != job.terms:
                different = ", ".join(sorted(name for name in job.terms if terms.get(name) != job.terms[name]))
                raise ConfigError(
                    f"{self._part} belongs to a download of another {different}; "
                    "give the same, choose another file, or remove the part"
                )
            self.progress.resumed = True
            self.progress.bars = sum(1 for _ in self._rows(state.size))
            self.progress.done = (state.next_ns - job.since_ns) / (job.until_ns - job.since_ns)
            return state
        if not self._note.exists():
            self._part.unlink(missing_ok=True)
        if job.path.exists() and not job.overwrite:
            raise ConfigError(f"{job.path} exists; choose another file or say --overwrite")
        self._note.unlink(missing_ok=True)
        self._part.write_text(candles.header())
        state = _State(job.since_ns, self._part.stat().st_size)
        self._save(state)
        return state

    def _rows(self, size: int) -> Sequence[bytes]:
        with self._part.open("rb") as part:
            return part.read(size).splitlines()[1:]

    def _save(self, state: _State) -> None:
        """Note how far the part is whole; the note is replaced, never half written."""
        temporary = self._note.with_name(self._note.name + ".tmp")
        with temporary.open("w") as file:
            json.dump({"terms": self.job.terms, "next_ns": state.next_ns, "size": state.size}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._note)

    def _finish(self) -> Report:
        """Give the file its form and name, and tell what is missing in it."""
        candles.convert(self._part, self.job.path, candles.require_format(self.job.path))
        report = self._report()
        self._note.unlink()  # the part without its note is nothing: a kill in between leaves no doubt
        self._part.unlink()
        return report

    def _report(self) -> Report:
        count = missing = first_ms = last_ms = 0
        kept: list[Gap] = []

        def counted() -> Iterator[Bar]:
            nonlocal count, first_ms, last_ms
            for bar in candles.read(self.job.path):
                first_ms = first_ms or bar.open_ms
                last_ms = bar.open_ms
                count += 1
                yield bar

        for gap in candles.gaps(counted(), self.job.interval_ns // _MS):
            missing += gap.missing
            if len(kept) < _GAPS_KEPT:
                kept.append(gap)
        progress = self.progress
        return Report(
            self.job.path, count, first_ms, last_ms, missing, tuple(kept), progress.requests, progress.resumed
        )

    # ---- the venue ---------------------------------------------------------------------------------------------
    async def _fetch(self, http: HttpClient, start_ns: int, end_ns: int) -> list[Candle]:
        """All closed bars that open in [start_ns, end_ns), oldest first."""
        job, codec = self.job, self._codec
        limit = -(-(end_ns - start_ns) // job.interval_ns)
        for attempt in range(_ATTEMPTS):
            request = codec.candles_request(job.symbol, job.interval_ns, limit, end_ns)
            await trio.sleep(self._pace_s(request))
            self.progress.requests += 1
            try:
                reply = await http.request(request)
                refusal = codec.error(reply)
                if refusal is None:
                    self.progress.waiting = ""
                    bars = codec.decode_candles(job.symbol, job.interval_ns, reply)
                    return _unique([bar for bar in bars if start_ns <= bar.open_ns < end_ns])
                await self._wait(refusal, attempt)
            except (VenueUnavailable, OutcomeUnknown, RemoteProtocolError) as error:
                await self._back_off(attempt, str(error))
            self.progress.retries += 1
        raise DownloadFailed(f"{job.kind} gave no answer in {_ATTEMPTS} attempts: {self.progress.waiting}")

    async def _wait(self, refusal: VenueError, attempt: int) -> None:
        """As long as the venue wants.  Raises DownloadFailed for what waiting does not help."""
        text = f"{refusal.code} {refusal.text}".strip()
        if refusal.disposition in _WAIT:
            self.progress.waiting = text
            await trio.sleep(max(_S, refusal.until_ns - self._clock.wall_ns()) / _S)
        elif refusal.disposition in _AGAIN:
            await self._back_off(attempt, text)
        else:
            raise DownloadFailed(f"{self.job.kind} refuses {self.job.symbol}: {text}")

    async def _back_off(self, attempt: int, text: str) -> None:
        self.progress.waiting = text
        await trio.sleep(min(0.5 * 2**attempt, _BACKOFF_MAX_S))

    def _pace_s(self, request: HttpRequest) -> float:
        """How long each request takes of the venue's patience."""
        shares = [_share(limit, request) for limit in self._limits]
        return _PACE * max(shares, default=0.0)


def _share(limit: Limit, request: HttpRequest) -> float:
    """Seconds of a limit's window that a request uses up."""
    cost = 0
    if request.group and request.group in (limit.name, *limit.groups):
        cost = 1
    elif limit.name == "weight":
        cost = max(1, request.weight)
    return cost * limit.interval_ns / _S / limit.limit if limit.limit else 0.0


def _unique(bars: Sequence[Candle]) -> list[Candle]:
    """Oldest first, each once.  Raises RemoteProtocolError where a bar was told twice, differently."""
    kept: dict[int, Candle] = {}
    for bar in bars:
        other = kept.setdefault(bar.open_ns, bar)
        if (other.open, other.high, other.low, other.close, other.volume) != (
            bar.open, bar.high, bar.low, bar.close, bar.volume,
        ):  # fmt: skip
            raise RemoteProtocolError(f"two bars of {bar.open_ns} that differ")
    return [kept[open_ns] for open_ns in sorted(kept)]
