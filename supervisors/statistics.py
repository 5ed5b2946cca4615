"""Counters that cost next to nothing on the hot path and read well on the console."""

from __future__ import annotations

from collections.abc import Sequence


class Histogram:
    """Durations in buckets of powers of two: bucket k counts values in [2**(k-1), 2**k) ns.

    Recording is one list increment; a percentile is the upper edge of its bucket, so it errs by at most a factor of 2
    and never flatters.  Exact figures come from `bulkhead bench`.
    """

    __slots__ = ("buckets", "largest")

    def __init__(self) -> None:
        self.buckets = [0] * 64
        self.largest = 0

    def record(self, duration_ns: int, times: int = 1) -> None:
        """Count one duration, `times` over."""
        self.buckets[duration_ns.bit_length() if duration_ns < 1 << 63 else 63] += times
        if duration_ns > self.largest:
            self.largest = duration_ns

    @property
    def count(self) -> int:
        return sum(self.buckets)

    def percentile(self, fraction: float) -> int:
        """Upper edge, ns, of the bucket that holds this fraction of all values; 0 when there are none."""
        total = self.count
        if not total:
            return 0
        wanted = fraction * total
        seen = 0
        for exponent, count in enumerate(self.buckets):
            seen += count
            if seen >= wanted and count:
                return min((1 << exponent) - 1, self.largest)
        return self.largest

    def summary(self) -> dict[str, int]:
        """`{"count", "p50", "p99", "max"}` in ns."""
        return {
            "count": self.count,
            "p50": self.percentile(0.50),
            "p99": self.percentile(0.99),
            "max": self.largest,
        }


def exact_percentiles(values: Sequence[int], scale: int = 1) -> dict[str, float]:
    """p50, p99, p999 and max of raw values, divided by `scale` (1000: ns -> us); for benchmarks."""
    if not values:
        return {"p50": 0.0, "p99": 0.0, "p999": 0.0, "max": 0.0}
    ordered = sorted(values)
    last = len(ordered) - 1

    def at(fraction: float) -> float:
        return round(ordered[min(last, int(fraction * len(ordered)))] / scale, 3)

    return {"p50": at(0.50), "p99": at(0.99), "p999": at(0.999), "max": round(ordered[-1] / scale, 3)}
