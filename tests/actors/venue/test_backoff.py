"""When the sessions try again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.venue.backoff import TokenBucket, reconnect_delay_ns
from actors.venue.settings import MS, SECOND, ReconnectSettings

SETTINGS = ReconnectSettings()


@given(st.integers(1, 10_000), st.floats(0, 0.999))
def test_a_broken_network_is_tried_again_within_thirty_seconds(failures: int, fraction: float) -> None:
    assert 0 <= reconnect_delay_ns(SETTINGS, failures, fraction, refused=False) <= 30 * SECOND


def test_the_first_retry_comes_at_once_and_then_the_delay_doubles() -> None:
    delays = [reconnect_delay_ns(SETTINGS, failures, 0.0, refused=False) for failures in range(1, 10)]
    assert delays[:5] == [0, 250 * MS, 500 * MS, SECOND, 2 * SECOND]
    assert delays[5:] == [4 * SECOND, 8 * SECOND, 15 * SECOND, 15 * SECOND]
    assert reconnect_delay_ns(SETTINGS, 1, 0.999, refused=False) < 250 * MS


@pytest.mark.req("R369")
@given(st.lists(st.floats(0, 0.999), min_size=4, max_size=4))
def test_a_lost_connection_is_tried_four_times_within_five_seconds(fractions: list[float]) -> None:
    """The first attempt comes at once: that is all it takes where the venue itself is well."""
    delays = [reconnect_delay_ns(SETTINGS, number, each, refused=False) for number, each in enumerate(fractions, 1)]
    assert delays[0] < SECOND // 2
    assert sum(delays) < 5 * SECOND


@pytest.mark.req("R390")
@given(st.integers(1, 10_000), st.floats(0, 0.999))
def test_only_a_venue_that_asks_for_patience_is_left_alone_for_thirty_seconds(failures: int, fraction: float) -> None:
    assert 30 * SECOND <= reconnect_delay_ns(SETTINGS, failures, fraction, refused=True) <= 33 * SECOND


@given(st.lists(st.integers(0, 3 * SECOND), max_size=100))
def test_the_bucket_keeps_its_rate(pauses: list[int]) -> None:
    """What it lets through in any span is at most the burst and one for each interval."""
    bucket, now, times = TokenBucket(3, SECOND), 0, []
    for pause in pauses:
        now += pause
        times.append(now + bucket.take(now))
    for first in range(len(times)):
        for last in range(first, len(times)):
            assert last - first + 1 <= 3 + (times[last] - times[first]) // SECOND + 1


def test_the_bucket_starts_full_and_says_how_long_to_wait() -> None:
    bucket = TokenBucket(2, SECOND)
    assert [bucket.take(0) for _ in range(4)] == [0, 0, SECOND, 2 * SECOND]
    assert bucket.take(10 * SECOND) == 0


@pytest.mark.parametrize("burst, interval_ns", [(0, 1), (1, 0)])
def test_an_impossible_bucket_is_refused(burst: int, interval_ns: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        TokenBucket(burst, interval_ns)
