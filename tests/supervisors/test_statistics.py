"""Histograms against plain sorting."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from supervisors.statistics import Histogram, exact_percentiles

DURATIONS = st.lists(st.integers(0, 1 << 40), min_size=1, max_size=200)


@given(DURATIONS, st.sampled_from([0.0, 0.5, 0.99, 1.0]))
def test_a_percentile_never_flatters_and_errs_by_less_than_two(values: list[int], fraction: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    ordered = sorted(values)
    exact = ordered[max(0, -int(-fraction * len(ordered) // 1) - 1)]
    found = histogram.percentile(fraction)
    assert exact <= found <= max(ordered[-1], 2 * exact)
    assert found <= max(2 * exact, exact)
    assert histogram.count == len(values)


def test_an_empty_histogram_says_nothing_and_a_batch_counts_each() -> None:
    histogram = Histogram()
    assert histogram.summary() == {"count": 0, "p50": 0, "p99": 0, "max": 0}
    histogram.record(1000, times=99)
    histogram.record(1 << 70)  # longer than anything can last: counted in the last bucket
    assert histogram.summary()["count"] == 100
    assert histogram.summary()["p50"] == 1023
    assert histogram.percentile(1.0) == min((1 << 63) - 1, histogram.largest)
    assert histogram.percentile(2.0) == histogram.largest


@given(st.lists(st.integers(0, 10**9), max_size=300))
def test_exact_percentiles_are_values_of_the_sample(values: list[int]) -> None:
    found = exact_percentiles(values, scale=1)
    if not values:
        assert set(found.values()) == {0.0}
        return
    assert found["max"] == max(values)
    assert all(figure in values for figure in found.values())
    assert found["p50"] <= found["p99"] <= found["p999"] <= found["max"]
    assert exact_percentiles(values, scale=1000)["max"] == round(max(values) / 1000, 3)
