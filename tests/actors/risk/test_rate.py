"""Sliding counts against the exact window."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.risk.rate import BUCKETS, Pace

SECOND_NS = 1_000_000_000


@given(st.lists(st.tuples(st.integers(0, 3 * SECOND_NS), st.integers(0, 3)), max_size=60), st.integers(0, 10**15))
def test_the_count_is_never_laxer_than_the_window_and_at_most_one_bucket_stricter(
    steps: list[tuple[int, int]], begin_ns: int
) -> None:
    pace = Pace()
    now_ns = begin_ns
    orders: list[int] = []
    for wait_ns, count in steps:
        now_ns += wait_ns
        if now_ns >= pace.next_ns:
            pace.advance(now_ns)
        for window, window_ns in ((pace.second, SECOND_NS), (pace.minute, 60 * SECOND_NS)):
            exact = sum(at_ns > now_ns - window_ns for at_ns in orders)
            wider = sum(at_ns > now_ns - window_ns - window_ns // BUCKETS for at_ns in orders)
            assert exact <= window.total <= wider
        for _ in range(count):
            pace.add()
            orders.append(now_ns)


def test_a_clock_that_stands_still_or_steps_back_keeps_the_count() -> None:
    pace = Pace()
    pace.advance(10 * SECOND_NS)
    pace.add()
    pace.advance(9 * SECOND_NS)
    assert pace.second.total == 1
    pace.advance(12 * SECOND_NS)
    assert (pace.second.total, pace.minute.total) == (0, 1)
