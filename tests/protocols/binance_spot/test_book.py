"""The diff-depth sequence rules, row by row of the reference's table (section 13), and as properties."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.ids import Symbol, Venue
from protocols.market import BookDelta, BookSnapshot, Level
from protocols.venue import BookSequencer, HttpReply, Verdict
from protocols.venues.binance_spot import BinanceSpotPublic
from protocols.venues.binance_spot.book import BinanceSpotSequencer

VENUE, SYMBOL = Venue("binance-spot"), Symbol("BTCUSDT")
APPLY, IGNORE, BUFFER, GAP, TOO_OLD = Verdict.APPLY, Verdict.IGNORE, Verdict.BUFFER, Verdict.GAP, Verdict.TOO_OLD


def delta(first: int, last: int, bids: tuple[Level, ...] = ()) -> BookDelta:
    return BookDelta(VENUE, SYMBOL, first, last, -1, bids, (), 0, 0, 1)


def snapshot(last: int, bids: tuple[Level, ...] = ()) -> BookSnapshot:
    return BookSnapshot(VENUE, SYMBOL, last, bids, (), 0, 1)


def sequencer(**settings: int) -> BinanceSpotSequencer:
    return BinanceSpotSequencer(**settings)


class TestTable:
    """Every row, with the diffs buffered before the snapshot and, where it makes sense, arriving after it."""

    def test_drops_what_is_older_and_applies_what_overlaps(self) -> None:
        rules = sequencer()
        older, overlapping = delta(95, 99), delta(100, 104)
        assert [rules.on_delta(older), rules.on_delta(overlapping)] == [BUFFER, BUFFER]
        bridge = rules.on_snapshot(snapshot(100))
        assert (bridge.verdict, bridge.replay) == (APPLY, (overlapping,))
        assert (rules.synced, rules.last_id) == (True, 104)

    def test_a_diff_that_begins_exactly_after_the_snapshot_bridges(self) -> None:
        rules = sequencer()
        reached, following = delta(95, 100), delta(101, 103)
        rules.on_delta(reached)
        rules.on_delta(following)
        bridge = rules.on_snapshot(snapshot(100))
        assert (bridge.verdict, bridge.replay) == (APPLY, (following,))
        assert rules.last_id == 103

    def test_a_snapshot_older_than_the_first_diff_is_fetched_again(self) -> None:
        rules = sequencer()
        first = delta(102, 105)
        rules.on_delta(first)
        assert rules.on_snapshot(snapshot(100)).verdict is TOO_OLD
        assert (rules.synced, rules.last_id, rules.buffered) == (False, -1, 1)
        assert rules.on_snapshot(snapshot(104)).replay == (first,)

    def test_a_hole_after_the_bridge_is_a_gap(self) -> None:
        rules = sequencer()
        rules.on_delta(delta(98, 101))
        assert rules.on_snapshot(snapshot(100)).verdict is APPLY
        assert rules.on_delta(delta(103, 104)) is GAP
        assert (rules.synced, rules.last_id) == (False, -1)

    def test_a_hole_among_the_buffered_diffs_makes_the_snapshot_too_old(self) -> None:
        rules = sequencer()
        rules.on_delta(delta(98, 101))
        after_the_hole = delta(103, 104)
        assert rules.on_delta(after_the_hole) is BUFFER
        assert rules.on_snapshot(snapshot(100)).verdict is TOO_OLD
        assert rules.on_snapshot(snapshot(103)).replay == (after_the_hole,)

    def test_a_repeated_end_is_harmless(self) -> None:
        rules = sequencer()
        rules.on_delta(delta(98, 101))
        rules.on_snapshot(snapshot(100))
        assert rules.on_delta(delta(99, 101)) is APPLY
        assert rules.last_id == 101


def test_a_diff_older_than_the_book_is_ignored() -> None:
    rules = sequencer()
    rules.on_snapshot(snapshot(100))
    assert rules.on_delta(delta(90, 99)) is IGNORE
    assert rules.last_id == 100


def test_an_older_diff_is_not_buffered_behind_a_newer_one() -> None:
    rules = sequencer()
    rules.on_delta(delta(101, 105))
    assert rules.on_delta(delta(99, 104)) is IGNORE
    assert rules.buffered == 1


def test_a_quiet_symbol_syncs_on_its_snapshot_alone() -> None:
    rules = sequencer()
    assert rules.on_snapshot(snapshot(100)).verdict is APPLY
    assert rules.on_delta(delta(101, 101)) is APPLY


def test_a_diff_lost_between_a_lone_snapshot_and_the_first_diff_is_a_gap() -> None:
    rules = sequencer()
    rules.on_snapshot(snapshot(100))
    assert rules.on_delta(delta(102, 102)) is GAP


def test_the_diff_that_showed_the_gap_begins_the_new_book() -> None:
    rules = sequencer()
    rules.on_snapshot(snapshot(100))
    witness = delta(105, 107)
    assert rules.on_delta(witness) is GAP
    assert rules.on_snapshot(snapshot(104)).verdict is TOO_OLD
    assert rules.on_snapshot(snapshot(105)).replay == (witness,)


def test_a_second_snapshot_is_not_needed() -> None:
    rules = sequencer()
    rules.on_snapshot(snapshot(100))
    rules.on_delta(delta(101, 110))
    assert rules.on_snapshot(snapshot(105)).verdict is IGNORE
    assert rules.last_id == 110


def test_reset_forgets_book_and_buffer() -> None:
    rules = sequencer()
    rules.on_snapshot(snapshot(100))
    rules.reset()
    assert rules.on_delta(delta(101, 102)) is BUFFER
    rules.reset()
    assert (rules.synced, rules.buffered) == (False, 0)


def test_a_full_buffer_gives_up_its_oldest_diff_and_asks_for_a_newer_snapshot() -> None:
    rules = sequencer(buffer_max=2)
    for first in (101, 102, 103):
        assert rules.on_delta(delta(first, first)) is BUFFER
    assert rules.buffered == 2
    assert rules.on_snapshot(snapshot(101)).verdict is TOO_OLD
    assert [d.first_id for d in rules.on_snapshot(snapshot(102)).replay] == [103]


@pytest.mark.parametrize("settings", [{"snapshot_depth": 0}, {"snapshot_depth": 5001}, {"buffer_max": 0}])
def test_impossible_settings_are_refused(settings: dict[str, int]) -> None:
    (field,) = settings
    with pytest.raises(ValueError, match=field):
        sequencer(**settings)


def test_it_is_a_book_sequencer() -> None:
    rules: BookSequencer = sequencer()
    assert rules.snapshot_depth == 1000


# ---- properties: a model venue that counts updates, one level per update -----------------------------------------


def venue_stream(sizes: list[int], start: int) -> list[BookDelta]:
    """Continuous diffs; update n sets the price n % 7 to the quantity n."""
    deltas, first = [], start
    for size in sizes:
        last = first + size - 1
        deltas.append(delta(first, last, tuple((Decimal(n % 7), Decimal(n)) for n in range(first, last + 1))))
        first = last + 1
    return deltas


def truth(last_id: int) -> dict[Decimal, Decimal]:
    return {Decimal(n % 7): Decimal(n) for n in range(max(1, last_id - 6), last_id + 1)}


class ModelBook:
    """What a book actor does with the verdicts."""

    def __init__(self, rules: BookSequencer) -> None:
        self.rules = rules
        self.levels: dict[Decimal, Decimal] = {}
        self.gaps = 0

    def on_delta(self, change: BookDelta) -> None:
        verdict = self.rules.on_delta(change)
        if verdict is APPLY:
            self.levels.update(change.bids)
        elif verdict is GAP:
            self.gaps += 1
            self.levels.clear()

    def on_snapshot(self, whole: BookSnapshot) -> None:
        bridge = self.rules.on_snapshot(whole)
        if bridge.verdict is APPLY:
            self.levels = dict(whole.bids)
            for change in bridge.replay:
                self.levels.update(change.bids)


SIZES = st.lists(st.integers(1, 5), min_size=2, max_size=40)


@given(SIZES, st.data())
def test_whatever_is_lost_a_synced_book_is_the_venues_book(sizes: list[int], data: st.DataObject) -> None:
    stream = venue_stream(sizes, start=1)
    book = ModelBook(sequencer(buffer_max=data.draw(st.integers(1, 10))))
    for change in stream:
        if data.draw(st.integers(0, 4)) == 0:
            continue
        book.on_delta(change)
        if data.draw(st.booleans()):
            at = data.draw(st.integers(max(1, change.last_id - 12), change.last_id + 6))
            book.on_snapshot(snapshot(at, tuple(truth(at).items())))
        if book.rules.synced and book.rules.last_id <= change.last_id:
            assert book.levels == truth(book.rules.last_id)
            assert book.rules.last_id == change.last_id


@given(SIZES, st.data())
def test_a_single_lost_diff_is_detected_by_the_next_one(sizes: list[int], data: st.DataObject) -> None:
    stream = venue_stream(sizes, start=101)
    lost = data.draw(st.integers(0, len(stream) - 2))
    book = ModelBook(sequencer())
    book.on_snapshot(snapshot(100))
    for index, change in enumerate(stream[: lost + 2]):
        if index != lost:
            book.on_delta(change)
        assert book.gaps == (1 if index == lost + 1 else 0)


@given(SIZES)
def test_an_unbroken_stream_never_shows_a_gap(sizes: list[int]) -> None:
    book = ModelBook(sequencer())
    book.on_snapshot(snapshot(100, tuple(truth(100).items())))
    for change in venue_stream(sizes, start=101):
        book.on_delta(change)
        assert book.levels == truth(change.last_id)
    assert book.gaps == 0


# ---- the captures ------------------------------------------------------------------------------------------------

CAPTURES = {"2021-10-12_4sym_with_rest_snapshots": (4, 177), "2024-08-08_btcusdt_11min": (1, 6495)}


def recorded(data_dir: Path, name: str) -> Iterator[BookDelta | BookSnapshot]:
    """Diffs and snapshots of a capture, in receive order."""
    codec = BinanceSpotPublic()
    with gzip.open(data_dir / "binance_spot" / "ws" / f"{name}.jsonl.gz", "rt") as file:
        for text in file:
            line = json.loads(text)
            if line["dir"] == "recv" and "@depth" in line["raw"]:
                (event,) = codec.decode(line["raw"], line["ts_ns"], 1)
                assert isinstance(event, BookDelta)
                yield event
            elif line["dir"] == "http":
                asked = parse_qs(line["url"].partition("?")[2]).get("symbol", ["BTCUSDT"])
                answer = HttpReply(200, {}, line["raw"].encode(), line["ts_ns"], line["ts_ns"])
                yield codec.decode_snapshot(Symbol(asked[0]), answer, 1)


@pytest.mark.parametrize("name", CAPTURES)
def test_every_recorded_snapshot_is_bridged_and_no_gap_follows(data_dir: Path, name: str) -> None:
    rules: dict[str, BinanceSpotSequencer] = {}
    bridged, verdicts = [], Counter[Verdict]()
    for event in recorded(data_dir, name):
        one = rules.setdefault(event.symbol, sequencer())
        if isinstance(event, BookSnapshot):
            bridged.append(one.on_snapshot(event).verdict)
        else:
            verdicts[one.on_delta(event)] += 1
    snapshots, diffs = CAPTURES[name]
    assert bridged == [APPLY] * snapshots
    assert all(one.synced for one in rules.values())
    assert verdicts[GAP] == verdicts[IGNORE] == 0
    assert verdicts.total() == diffs


def test_any_lost_diff_of_a_recorded_day_is_noticed_at_once(data_dir: Path) -> None:
    deltas = [event for event in recorded(data_dir, "2024-08-08_btcusdt_11min") if isinstance(event, BookDelta)]
    chance = random.Random(20240808)
    for lost in chance.sample(range(1, len(deltas) - 1), 200):
        rules = sequencer()
        rules.on_snapshot(snapshot(deltas[lost - 1].first_id))
        assert rules.on_delta(deltas[lost - 1]) is APPLY
        assert rules.on_delta(deltas[lost + 1]) is GAP
