"""The book benchmark measures books at work, and its rivals keep books too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from tools.bench.book import bench_book
from tools.bench.recordings import RECORDINGS
from tools.bench.rivals import RIVALS, measure

MESSAGES = 60


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.venue)
@pytest.mark.parametrize("rival", RIVALS)
def test_a_rival_keeps_a_sound_book_of_the_recorded_messages(recording: Any, rival: str, data_dir: Path) -> None:
    """`measure` raises where a rival has no book at the end: then its figure would be that of a parser that skips."""
    once = attrs.evolve(recording, passes=1)
    samples = measure(rival, once, once.steps(data_dir, MESSAGES))
    assert samples is not None, f"{rival} is a development dependency and must be installed"
    assert MESSAGES - 10 <= len(samples) <= MESSAGES


def test_every_venue_with_a_recording_has_a_figure_of_ours_and_of_both_rivals(data_dir: Path) -> None:
    venues = bench_book(data_dir, MESSAGES)["venues"]
    assert isinstance(venues, dict)
    assert list(venues) == [recording.venue for recording in RECORDINGS]
    for figures in venues.values():
        for key in ("us", "ccxt_us", "cryptofeed_us"):
            assert 0 < figures[key]["p50"] <= figures[key]["p99"] <= figures[key]["max"]


def test_without_recordings_the_messages_are_generated() -> None:
    venues = bench_book(None, MESSAGES)["venues"]
    assert isinstance(venues, dict)
    assert list(venues) == ["binance-spot"]
    assert venues["binance-spot"]["messages"] == MESSAGES - 1, "the first is the snapshot"
