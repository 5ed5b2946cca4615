"""Captures beyond those that the tests name are judged by the same truth: any folder of the data's layout will do.

Set `BULKHEAD_DATA` to one, and run this file.
"""

from __future__ import annotations

import gzip
import random
from itertools import islice
from pathlib import Path

import attrs
import pytest

from tests.scenarios.captures.discovery import discovered
from tests.scenarios.captures.recordings import CAPTURES, Base, Recording, Truth, read_recording
from tests.scenarios.captures.rig import places, playing, unhealed, wrong_quotes
from tests.scenarios.captures.test_every_capture import (
    DROPS,
    FULL,
    QUICK_STEPS,
    SEED,
    WITH_BOOKS,
    judge,
    kinds_for,
)

BEGINNING = 1_500
"""Lines."""
NAMED = frozenset(name.partition(":")[0] for name in CAPTURES)


def final_books(recording: Recording) -> dict[str, object]:
    truth = Truth()
    for step in recording.steps:
        if isinstance(step, Base):
            truth.base(step)
        elif step.change is not None:
            truth.take(step)
    return {symbol: truth.rows(symbol) for symbol in truth.books}


def test_what_is_found_says_the_same_as_what_is_named(data_dir: Path) -> None:
    """The known captures, read as unknown ones, make the same books."""
    found = [final_books(recording) for _, recording in discovered(data_dir)]
    for name in WITH_BOOKS:
        recording = read_recording(data_dir, name)
        assert recording is not None
        assert final_books(recording) in found, name
    assert len(found) == len(WITH_BOOKS)


def shortened(data_dir: Path, folder: Path) -> Path:
    """The beginnings of the known captures, under other names."""
    for name in sorted(NAMED):
        target = folder / f"{name}_begun.jsonl.gz"
        target.parent.mkdir(parents=True, exist_ok=True)
        with gzip.open(data_dir / f"{name}.jsonl.gz", "rt") as lines, gzip.open(target, "wt") as begun:
            begun.writelines(islice(lines, BEGINNING))
    return folder


@pytest.mark.slow
async def test_no_book_of_another_capture_is_ever_wrong(
    data_dir: Path, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    others = dict(discovered(data_dir, NAMED)) | dict(discovered(shortened(data_dir, tmp_path), NAMED))
    assert len(others) >= len(WITH_BOOKS)
    for name, recording in others.items():
        with subtests.test(name):
            async with playing(recording, {}) as play:
                await play.to_the_end()
                assert wrong_quotes(play) == []
                assert unhealed(play) == []
            short = attrs.evolve(recording, steps=recording.steps[: None if DROPS >= FULL else QUICK_STEPS])
            dice = random.Random(f"{SEED}/{name}")
            accidents = places(short, dice, DROPS, 1, kinds_for(name))
            if not accidents:
                continue  # too short for an accident and its healing
            async with playing(short, accidents) as play:
                await play.to_the_end()
                judge(play, len(accidents))
