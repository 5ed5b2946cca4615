"""Summaries of measured times."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["microseconds"]


def microseconds(samples_ns: Sequence[int]) -> dict[str, float]:
    """p50, p99, p999 and max of times in ns, as microseconds; ValueError for no samples."""
    if not samples_ns:
        raise ValueError("there are no samples to summarize")
    ordered = sorted(samples_ns)
    last = len(ordered) - 1
    quantiles = {"p50": 0.5, "p99": 0.99, "p999": 0.999, "max": 1.0}
    return {name: ordered[round(last * quantile)] / 1000 for name, quantile in quantiles.items()}
