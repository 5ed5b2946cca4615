"""The venue's clock, as seen from here.

`ClockEstimator` is the arithmetic, `ClockActor` the session that probes by REST and tells everyone who signs, and
`VenueClock` what a signing session keeps.  (The engine's own clock is the runtime's; nothing here sets it.)

A probe is one request for the venue's time.  Its offset is `venue time - middle of sending and receiving`, wrong by at
most half the round trip (binance-spot section 3).  The estimate is the median of the newest probes, so a single slow
one moves nothing.  A probe that contradicts the estimate by more than its own error means that a clock, ours or the
venue's, has *stepped*: the offset is unusable at once, everything is measured anew, and only a burst of probes that
agree makes it usable again.  While it is unusable nothing is signed (invariant I16).

A venue without a clock to ask (`Capabilities.server_time`) tells the second in the header of any answer: good enough to
see that a clock is wrong by minutes, and such a venue's requests bear no time of their own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from statistics import median_low

import attrs
import trio

from actors.venue.calls import RestCalls
from actors.venue.http import HttpClient
from actors.venue.messages import ClockSuspected
from actors.venue.settings import MS, SECOND
from protocols.base import Message, Query
from protocols.control import ClockOffset
from protocols.errors import OutcomeUnknown, RemoteProtocolError, VenueUnavailable
from protocols.ids import Path
from protocols.reconcile import ClockQuery
from protocols.venue import PublicCodec
from supervisors.actor import Actor, ReadyWhen


@attrs.frozen(kw_only=True)
class ClockSettings:
    """How the venue's clock is measured."""

    probe_interval_ns: int = 20 * SECOND
    watch_interval_ns: int = 1 * SECOND
    """How often our own two clocks are compared, to notice a step of the wall clock."""
    retry_interval_ns: int = 1 * SECOND
    burst: int = 3
    """Probes that must agree before an offset is usable."""
    keep: int = 9
    step_ns: int = 250 * MS
    """A disagreement beyond this and the probe's own error is a step."""
    round_trip_max_ns: int = 1 * SECOND
    """A slower probe says too little: its error is half of it."""
    resolution_ns: int = 0
    """What the venue's answer may be off by itself; an offset within it says nothing and counts as none."""
    age_max_ns: int = 900 * SECOND
    """An offset that could not be confirmed for this long is not usable any more.  Longer than a venue silences REST
    while it takes orders on a socket (bybit-v5 section 4.1: 10 minutes): until then quartz drifts by 0.1 s at most."""


@attrs.frozen
class Probe:
    """One measurement."""

    offset_ns: int
    round_trip_ns: int


class ClockEstimator:
    """Median of recent probes, with detection of steps.  Pure."""

    def __init__(self, settings: ClockSettings) -> None:
        self._settings = settings
        self._probes: deque[Probe] = deque(maxlen=settings.keep)
        self.steps = 0
        self.discarded = 0

    def add(self, sent_ns: int, received_ns: int, venue_ns: int) -> bool:
        """Take one probe; False when it shows a step (everything known before is then forgotten but this probe)."""
        round_trip_ns = received_ns - sent_ns
        if not 0 <= round_trip_ns <= self._settings.round_trip_max_ns:
            self.discarded += 1
            return True
        probe = Probe(venue_ns - (sent_ns + received_ns) // 2, round_trip_ns)
        stepped = bool(self._probes) and self._contradicts(probe)
        if stepped:
            self.steps += 1
            self._probes.clear()
        self._probes.append(probe)
        return not stepped

    def forget(self) -> None:
        """Start over: our own clock has stepped, or the venue says that we are wrong."""
        self._probes.clear()

    def _contradicts(self, probe: Probe) -> bool:
        error_ns = (probe.round_trip_ns + self.round_trip_ns) // 2 + 2 * self._settings.resolution_ns
        return abs(probe.offset_ns - self.offset_ns) > self._settings.step_ns + error_ns

    @property
    def usable(self) -> bool:
        """Enough probes agree."""
        return len(self._probes) >= self._settings.burst

    @property
    def offset_ns(self) -> int:
        """Venue time minus our time; 0 when nothing is known, or nothing that exceeds what the answers are good to."""
        offset_ns = median_low([probe.offset_ns for probe in self._probes]) if self._probes else 0
        return offset_ns if abs(offset_ns) > self._settings.resolution_ns else 0

    @property
    def round_trip_ns(self) -> int:
        return median_low([probe.round_trip_ns for probe in self._probes]) if self._probes else 0


class VenueClock:
    """What a session that signs knows of the venue's clock."""

    __slots__ = ("_margin_ns", "_offset_ns", "_usable", "changed")

    def __init__(self, margin_ns: int) -> None:
        """`margin_ns`: stamp this much behind the venue, which tolerates being behind better than being ahead."""
        self._margin_ns = margin_ns
        self._offset_ns = 0
        self._usable = False
        self.changed = trio.Event()

    @property
    def usable(self) -> bool:
        return self._usable

    def update(self, offset: ClockOffset) -> None:
        self._offset_ns, self._usable = offset.offset_ns, offset.usable
        self.changed.set()
        self.changed = trio.Event()

    def stamp_ns(self, now_ns: int) -> int:
        """The venue's clock at our `now_ns`, less the margin."""
        return now_ns + self._offset_ns - self._margin_ns

    async def wait_usable(self) -> None:
        """Wait until requests may be signed."""
        while not self._usable:
            await self.changed.wait()
        await trio.lowlevel.checkpoint()


class ClockActor(Actor):
    """Measures, watches, and tells `readers` every change (`ClockOffset`)."""

    READY_WHEN = ReadyWhen.TOLD

    def __init__(
        self,
        codec: PublicCodec,
        http: HttpClient,
        *,
        limiter: Path,
        readers: Sequence[Path] = (),
        settings: ClockSettings | None = None,
    ) -> None:
        self._codec = codec
        self._http = http
        self._limiter = limiter
        self._readers = tuple(readers)
        self._settings = settings or ClockSettings()
        if not codec.capabilities.server_time:
            # The Date of an answer has whole seconds.  Nothing of such a venue needs more: its requests bear no time.
            self._settings = attrs.evolve(self._settings, resolution_ns=1 * SECOND)
        self._estimator = ClockEstimator(self._settings)
        self._said: ClockOffset | None = None
        self._measure_now = trio.Event()
        self._confirmed_ns = 0
        self._failure = ""
        self._suspected = 0

    def receive(self, message: Message) -> None:
        if not isinstance(message, ClockSuspected):
            raise TypeError(f"the clock does not understand {type(message).__name__}")
        self._suspected += 1
        if self._said is not None and self._said.usable:  # one re-measure, however many requests were refused
            self._distrust()

    def answer(self, query: Query) -> object:
        if not isinstance(query, ClockQuery):
            return super().answer(query)
        return self._picture()

    async def run(self) -> None:
        self._calls = RestCalls(self.ctx, self._http, self._limiter, self.ctx.path, self._codec)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_own_clock)
            while True:
                wait_ns = await self._measure()
                with trio.move_on_after(wait_ns / SECOND):
                    await self._measure_now.wait()
                self._measure_now = trio.Event()

    async def _measure(self) -> int:
        """One probe, and more at once while the estimate is not usable; returns how long to wait before the next."""
        for _ in range(self._settings.burst):
            try:
                reply, error = await self._calls.call(self._codec.time_request)
                if error is not None:
                    raise VenueUnavailable(f"time request: {error.code} {error.text}")
                venue_ns = self._codec.decode_time(reply)
            except (VenueUnavailable, OutcomeUnknown, RemoteProtocolError) as error:
                self._failure = str(error)
                self.ctx.note("request_failed", self._failure)
                self._publish()
                self._say_why_not_ready()
                return self._settings.retry_interval_ns
            self._failure = ""
            if not self._estimator.add(reply.sent_ns, reply.received_ns, venue_ns):
                self.ctx.note("clock_step", "the venue's clock and ours have moved against each other")
            self._confirmed_ns = self.ctx.monotonic_ns
            self._publish()
            if self._estimator.usable:
                return self._settings.probe_interval_ns
        self._say_why_not_ready()
        return self._settings.retry_interval_ns

    async def _watch_own_clock(self) -> None:
        """A step of our wall clock shows against the monotonic one, long before the next probe."""
        difference_ns = self.ctx.now_ns - self.ctx.monotonic_ns
        while True:
            await self.ctx.sleep(self._settings.watch_interval_ns)
            now_ns = self.ctx.now_ns - self.ctx.monotonic_ns
            if abs(now_ns - difference_ns) > self._settings.step_ns:
                self._estimator.steps += 1
                self.ctx.note("clock_step", f"our wall clock stepped by {(now_ns - difference_ns) // MS} ms")
                self._distrust()
            difference_ns = now_ns

    def _distrust(self) -> None:
        self._estimator.forget()
        self._publish()
        self._measure_now.set()

    def _picture(self) -> ClockOffset:
        estimator = self._estimator
        fresh = self.ctx.monotonic_ns - self._confirmed_ns <= self._settings.age_max_ns
        usable = estimator.usable and fresh
        offset_ns, round_trip_ns = estimator.offset_ns, estimator.round_trip_ns
        return ClockOffset(self._codec.venue, offset_ns, round_trip_ns, usable, self.ctx.now_ns)

    def _publish(self) -> None:
        """Tell the readers, when something changed that they would sign differently for."""
        said, now = self._said, self._picture()
        if said is not None and (said.offset_ns, said.usable) == (now.offset_ns, now.usable):
            return
        self._said = now
        if now.usable:
            self.ctx.set_ready()
        for reader in self._readers:
            self.ctx.send(reader, now)
        self.ctx.flush()

    def _say_why_not_ready(self) -> None:
        if self._said is None or not self._said.usable:
            self.ctx.set_unready(f"venue time unknown: {self._failure or 'measurements disagree'}")

    def inspect(self) -> Mapping[str, object]:
        picture = self._picture()
        return {
            "offset_ms": picture.offset_ns / MS,
            "round_trip_ms": picture.round_trip_ns / MS,
            "usable": picture.usable,
            "steps": self._estimator.steps,
            "suspected": self._suspected,
            "discarded": self._estimator.discarded,
            "failure": self._failure,
        }
