"""The venue's clock: the median, steps, and what the actor tells whom."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.venue.clock import ClockActor, ClockEstimator, ClockSettings, VenueClock
from actors.venue.http import HttpClient
from actors.venue.limiter import LimiterActor
from actors.venue.messages import ClockSuspected
from actors.venue.settings import MS, SECOND, TransportSettings
from protocols.control import ClockOffset
from protocols.ids import Venue
from protocols.reconcile import ClockQuery
from protocols.venues.binance_spot.public import BinanceSpotPublic
from supervisors.clock import SystemClock
from tests.actors.venue.peers import HttpAsked, http_server
from tests.actors.venue.world import Inbox, Probe, World, running

SETTINGS = ClockSettings()
VENUE = Venue("binance-spot")
CLOCK, LIMITER, READER = "/venues/binance-spot/clock", "/venues/binance-spot/limiter", "/reader"


def fed(*offsets_ms: float, round_trip_ns: int = 10 * MS) -> ClockEstimator:
    estimator = ClockEstimator(SETTINGS)
    for number, offset_ms in enumerate(offsets_ms):
        probe(estimator, number * 20 * SECOND, offset_ms, round_trip_ns)
    return estimator


def usable(estimator: ClockEstimator) -> bool:
    return estimator.usable


def probe(estimator: ClockEstimator, at_ns: int, offset_ms: float, round_trip_ns: int = 10 * MS) -> bool:
    return estimator.add(at_ns, at_ns + round_trip_ns, at_ns + round_trip_ns // 2 + int(offset_ms * MS))


# ---- arithmetic -----------------------------------------------------------------------------------------------------


def test_the_offset_is_the_median_and_needs_a_burst_that_agrees() -> None:
    estimator = fed(10, 30)
    assert not usable(estimator)
    probe(estimator, 0, 12)
    assert usable(estimator)
    assert estimator.offset_ns == 12 * MS
    assert estimator.round_trip_ns == 10 * MS


def test_one_slow_probe_moves_nothing() -> None:
    estimator = fed(10, 11, 12)
    assert probe(estimator, 0, 400, round_trip_ns=900 * MS)
    assert usable(estimator)
    assert estimator.offset_ns == 11 * MS


def test_a_probe_beyond_the_round_trip_limit_is_not_used() -> None:
    estimator = fed(10, 11, 12)
    assert probe(estimator, 0, 9_000, round_trip_ns=2 * SECOND)
    assert estimator.discarded == 1
    assert estimator.offset_ns == 11 * MS


@pytest.mark.parametrize("step_ms", [500, -500, 5_000, -3_600_000])
def test_a_step_is_seen_at_once_and_a_burst_makes_it_usable_again(step_ms: int) -> None:
    estimator = fed(10, 11, 12, 10, 11)
    assert not probe(estimator, 0, 10 + step_ms)
    assert not usable(estimator)
    assert probe(estimator, 0, 11 + step_ms)
    assert not usable(estimator)
    assert probe(estimator, 0, 12 + step_ms)
    assert usable(estimator)
    assert estimator.offset_ns == (11 + step_ms) * MS
    assert estimator.steps == 1


@given(st.lists(st.floats(-100, 100), min_size=3, max_size=50), st.floats(-1e6, 1e6))
def test_jitter_below_the_threshold_is_never_a_step(jitter_ms: list[float], base_ms: float) -> None:
    estimator = ClockEstimator(SETTINGS)
    assert all(probe(estimator, 0, base_ms + each) for each in jitter_ms)
    assert abs(estimator.offset_ns - base_ms * MS) <= 101 * MS


@given(st.lists(st.floats(-20, 20), min_size=3, max_size=20), st.floats(300, 1e7), st.booleans())
def test_a_real_step_is_always_seen(jitter_ms: list[float], step_ms: float, back: bool) -> None:
    estimator = ClockEstimator(SETTINGS)
    for each in jitter_ms:
        probe(estimator, 0, each)
    assert not probe(estimator, 0, -step_ms if back else step_ms)


@given(st.lists(st.integers(-500, 500), min_size=3, max_size=40))
def test_answers_to_the_second_are_never_a_step_and_say_nothing_finer(jitter_ms: list[int]) -> None:
    estimator = ClockEstimator(attrs.evolve(SETTINGS, resolution_ns=SECOND))
    assert all(probe(estimator, 0, each) for each in jitter_ms)
    assert estimator.offset_ns == 0


@pytest.mark.parametrize("step_ms", [4_000, -90_000])
def test_a_clock_that_is_wrong_by_seconds_is_seen_by_answers_to_the_second(step_ms: int) -> None:
    estimator = ClockEstimator(attrs.evolve(SETTINGS, resolution_ns=SECOND))
    for each in (100, -300, 400):
        probe(estimator, 0, each)
    assert not probe(estimator, 0, step_ms)
    for each in (200, -100):
        probe(estimator, 0, step_ms + each)
    assert usable(estimator)
    assert abs(estimator.offset_ns - step_ms * MS) <= 500 * MS


def test_stamps_are_the_venues_time_less_the_margin() -> None:
    clock = VenueClock(20 * MS)
    clock.update(ClockOffset(VENUE, 300 * MS, 0, True, 0))
    assert clock.usable
    assert clock.stamp_ns(1_000 * MS) == 1_280 * MS


# ---- the actor ----------------------------------------------------------------------------------------------------


class Answers:
    """A venue whose clock a test can set; `script` answers a time request."""

    def __init__(self) -> None:
        self.offset_ns = 0
        self.statuses: Iterator[int] = iter(())
        self.asked = 0

    async def script(self, asked: HttpAsked) -> None:
        self.asked += 1
        status = next(self.statuses, 200)
        now_ms = (SystemClock.wall_ns() + self.offset_ns) // MS
        await asked.answer(status, b'{"serverTime":%d}' % now_ms if status == 200 else b'{"code":-1,"msg":"no"}')


@asynccontextmanager
async def measuring(venue: Answers, inbox: Inbox, settings: ClockSettings) -> AsyncIterator[World]:
    """A venue, its limiter, the clock actor and one reader."""
    async with (
        http_server(venue.script) as server,
        HttpClient(server.url, TransportSettings(), now_ns=SystemClock.wall_ns) as http,
        running(
            {
                LIMITER: lambda: LimiterActor(VENUE, ()),
                CLOCK: lambda: ClockActor(
                    BinanceSpotPublic(), http, limiter=LIMITER, readers=(READER,), settings=settings
                ),
                READER: lambda: Probe(inbox),
            }
        ) as world,
    ):
        yield world


def fast(**changes: int) -> ClockSettings:
    return ClockSettings(probe_interval_ns=20 * MS, retry_interval_ns=20 * MS, watch_interval_ns=20 * MS, **changes)


async def test_readers_are_told_and_queries_answered() -> None:
    venue, inbox = Answers(), Inbox()
    venue.offset_ns = 700 * MS
    async with measuring(venue, inbox, fast()) as world:
        await world.ready(CLOCK)
        said = await inbox.one(ClockOffset, lambda offset: offset.usable)
        assert abs(said.offset_ns - 700 * MS) < 100 * MS
        answer = await world.ask(CLOCK, ClockQuery())
        assert answer.usable
        assert world.inspect(CLOCK)["usable"] is True


async def test_a_step_of_the_venues_clock_stops_signing_until_it_is_measured_anew() -> None:
    venue, inbox = Answers(), Inbox()
    async with measuring(venue, inbox, fast()) as world:
        await inbox.one(ClockOffset, lambda offset: offset.usable)
        venue.offset_ns = -5 * SECOND
        await inbox.one(ClockOffset, lambda offset: offset.usable and offset.offset_ns < -4 * SECOND)
        states = [offset.usable for offset in inbox.of(ClockOffset)]
        last_good = max(i for i, offset in enumerate(inbox.of(ClockOffset)) if offset.offset_ns < -4 * SECOND)
        assert False in states[1:last_good], "between the two offsets nothing may be signed"
        assert world.inspect(CLOCK)["steps"] >= 1


async def test_a_refused_stamp_makes_one_immediate_measurement() -> None:
    venue, inbox = Answers(), Inbox()
    slow = ClockSettings(probe_interval_ns=3600 * SECOND, retry_interval_ns=3600 * SECOND)
    async with measuring(venue, inbox, slow) as world:
        await world.ready(CLOCK)
        before = venue.asked
        world.tell(CLOCK, *[ClockSuspected("-1021")] * 5)
        assert not inbox.of(ClockOffset)[-1].usable
        await inbox.wait_for(ClockOffset, 2, lambda offset: offset.usable)
        assert venue.asked == before + slow.burst, "one burst, however many refusals"


async def test_a_venue_that_does_not_answer_keeps_the_gate_shut_with_the_reason() -> None:
    venue, inbox = Answers(), Inbox()
    venue.statuses = iter([503] * 3)
    async with measuring(venue, inbox, fast()) as world:
        await world.until(lambda: "venue time unknown" in world.unready_reason(CLOCK))
        assert "503" in world.unready_reason(CLOCK) or "no" in world.unready_reason(CLOCK)
        await world.ready(CLOCK)


async def test_an_offset_that_is_not_confirmed_any_more_becomes_unusable() -> None:
    venue, inbox = Answers(), Inbox()
    settings = fast(age_max_ns=100 * MS)
    async with measuring(venue, inbox, settings) as world:
        await world.ready(CLOCK)
        venue.statuses = iter([500] * 10_000)
        known = len(inbox.of(ClockOffset))
        await world.until(lambda: any(not offset.usable for offset in inbox.of(ClockOffset)[known:]))


async def test_a_step_of_our_own_wall_clock_is_noticed_without_the_venue(monkeypatch: pytest.MonkeyPatch) -> None:
    venue, inbox = Answers(), Inbox()
    settings = ClockSettings(probe_interval_ns=3600 * SECOND, retry_interval_ns=20 * MS, watch_interval_ns=20 * MS)
    async with measuring(venue, inbox, settings) as world:
        await world.ready(CLOCK)
        real = SystemClock.wall_ns
        monkeypatch.setattr(world.runtime.clock, "wall_ns", lambda: real() + 3600 * SECOND, raising=False)
        await world.until(lambda: world.inspect(CLOCK)["steps"] == 1)
        assert not inbox.of(ClockOffset)[-1].usable or len(inbox.of(ClockOffset)) > 2
