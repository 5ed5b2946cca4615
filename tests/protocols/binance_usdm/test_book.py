"""The diff-depth sequence rules, row by row of the reference's table (section 14), as properties, and on captures."""

from __future__ import annotations

import gzip
import json
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.ids import Symbol, Venue
from protocols.market import BookDelta, BookSnapshot, BookTicker, Level
from protocols.venue import BookSequencer, HttpReply, Verdict
from protocols.venues.binance_usdm import BinanceUsdmPublic
from protocols.venues.binance_usdm.book import BinanceUsdmSequencer

VENUE, SYMBOL = Venue("binance-usdm"), Symbol("BTCUSDT")
APPLY, IGNORE, BUFFER, GAP, TOO_OLD = Verdict.APPLY, Verdict.IGNORE, Verdict.BUFFER, Verdict.GAP, Verdict.TOO_OLD


def delta(first: int, last: int, prev: int, bids: tuple[Level, ...] = ()) -> BookDelta:
    return BookDelta(VENUE, SYMBOL, first, last, prev, bids, (), 0, 0, 1)


def snapshot(last: int, bids: tuple[Level, ...] = ()) -> BookSnapshot:
    return BookSnapshot(VENUE, SYMBOL, last, bids, (), 0, 1)


def sequencer(**settings: int) -> BinanceUsdmSequencer:
    return BinanceUsdmSequencer(**settings)


class TestTable:
    """Every row of section 14; the snapshot has id 100."""

    def test_drop_apply_apply(self) -> None:
        rules = sequencer()
        first, second, third = delta(90, 95, 88), delta(96, 105, 95), delta(110, 120, 105)
        assert [rules.on_delta(one) for one in (first, second, third)] == [BUFFER] * 3
        bridge = rules.on_snapshot(snapshot(100))
        assert (bridge.verdict, bridge.replay) == (APPLY, (second, third))
        assert (rules.synced, rules.last_id) == (True, 120)

    def test_drop_apply_apply_after_the_snapshot(self) -> None:
        rules = sequencer()
        rules.on_snapshot(snapshot(100))
        verdicts = [rules.on_delta(one) for one in (delta(90, 95, 88), delta(96, 105, 95), delta(110, 120, 105))]
        assert verdicts == [IGNORE, APPLY, APPLY]

    def test_a_diff_that_ends_at_the_snapshot_is_applied(self) -> None:
        """Spot drops it; here `u < lastUpdateId` is strict, because the next diff's `pu` leads to it."""
        rules = sequencer()
        reached, following = delta(96, 100, 95), delta(104, 110, 100)
        rules.on_delta(reached)
        rules.on_delta(following)
        assert rules.on_snapshot(snapshot(100)).replay == (reached, following)
        later = sequencer()
        later.on_snapshot(snapshot(100))
        assert [later.on_delta(reached), later.on_delta(following)] == [APPLY, APPLY]

    def test_a_first_diff_beyond_the_snapshot_wants_a_newer_one(self) -> None:
        rules = sequencer()
        first = delta(101, 110, 100)
        rules.on_delta(first)
        assert rules.on_snapshot(snapshot(100)).verdict is TOO_OLD
        assert (rules.synced, rules.last_id, rules.buffered) == (False, -1, 1)
        assert rules.on_snapshot(snapshot(105)).replay == (first,)
        later = sequencer()
        later.on_snapshot(snapshot(100))
        assert later.on_delta(first) is GAP
        assert later.on_snapshot(snapshot(110)).replay == (first,)

    def test_a_hole_is_a_gap(self) -> None:
        rules = sequencer()
        rules.on_snapshot(snapshot(100))
        assert [rules.on_delta(delta(96, 105, 95)), rules.on_delta(delta(110, 120, 107))] == [APPLY, GAP]
        assert (rules.synced, rules.last_id) == (False, -1)

    def test_a_hole_among_the_buffered_diffs_makes_the_snapshot_too_old(self) -> None:
        rules = sequencer()
        after_the_hole = delta(110, 120, 107)
        assert [rules.on_delta(delta(96, 105, 95)), rules.on_delta(after_the_hole)] == [BUFFER, BUFFER]
        assert rules.on_snapshot(snapshot(100)).verdict is TOO_OLD
        assert rules.on_snapshot(snapshot(115)).replay == (after_the_hole,)


def test_ids_may_jump_and_pu_alone_decides() -> None:
    """The gap rule of Spot would never come to rest here."""
    rules = sequencer()
    rules.on_snapshot(snapshot(100))
    rules.on_delta(delta(100, 100, 95))
    assert rules.on_delta(delta(5000, 5005, 100)) is APPLY
    assert rules.on_delta(delta(5006, 5010, 5004)) is GAP


def test_a_repeated_or_older_diff_is_ignored() -> None:
    rules = sequencer()
    rules.on_snapshot(snapshot(100))
    rules.on_delta(delta(96, 105, 95))
    assert rules.on_delta(delta(96, 105, 95)) is IGNORE
    assert rules.on_delta(delta(90, 95, 88)) is IGNORE
    assert rules.on_delta(delta(106, 108, 105)) is APPLY


def test_an_older_diff_is_not_buffered_behind_a_newer_one() -> None:
    rules = sequencer()
    rules.on_delta(delta(101, 105, 100))
    assert rules.on_delta(delta(96, 100, 95)) is IGNORE
    assert rules.buffered == 1


def test_the_diff_that_showed_the_gap_begins_the_new_book() -> None:
    rules = sequencer()
    rules.on_snapshot(snapshot(100))
    rules.on_delta(delta(100, 101, 99))
    witness = delta(105, 107, 104)
    assert rules.on_delta(witness) is GAP
    assert rules.on_snapshot(snapshot(104)).verdict is TOO_OLD
    assert rules.on_snapshot(snapshot(106)).replay == (witness,)


def test_a_second_snapshot_is_not_needed() -> None:
    rules = sequencer()
    rules.on_snapshot(snapshot(100))
    rules.on_delta(delta(99, 110, 98))
    assert rules.on_snapshot(snapshot(105)).verdict is IGNORE
    assert rules.last_id == 110


def test_reset_forgets_book_and_buffer() -> None:
    rules = sequencer()
    rules.on_snapshot(snapshot(100))
    rules.on_delta(delta(99, 110, 98))
    rules.reset()
    assert rules.on_delta(delta(111, 112, 110)) is BUFFER
    rules.reset()
    assert (rules.synced, rules.buffered) == (False, 0)


def test_a_full_buffer_gives_up_its_oldest_diff_and_asks_for_a_newer_snapshot() -> None:
    rules = sequencer(buffer_max=2)
    for first in (101, 102, 103):
        assert rules.on_delta(delta(first, first, first - 1)) is BUFFER
    assert rules.buffered == 2
    assert rules.on_snapshot(snapshot(101)).verdict is TOO_OLD
    assert [d.first_id for d in rules.on_snapshot(snapshot(102)).replay] == [102, 103]


@pytest.mark.parametrize("settings", [{"snapshot_depth": 0}, {"snapshot_depth": 300}, {"buffer_max": 0}])
def test_impossible_settings_are_refused(settings: dict[str, int]) -> None:
    (field,) = settings
    with pytest.raises(ValueError, match=field):
        sequencer(**settings)


def test_it_is_a_book_sequencer() -> None:
    rules: BookSequencer = sequencer()
    assert rules.snapshot_depth == 1000


# ---- properties: a model venue whose ids jump, one level per update ---------------------------------------------


def venue_stream(shapes: list[tuple[int, int]], start: int) -> list[BookDelta]:
    """Continuous diffs of (jump, size); update n sets the price n % 7 to the quantity n."""
    deltas, prev = [], start
    for jump, size in shapes:
        first = prev + jump
        last = first + size - 1
        bids = tuple((Decimal(n % 7), Decimal(n)) for n in range(first, last + 1))
        deltas.append(delta(first, last, prev, bids))
        prev = last
    return deltas


def truth(stream: list[BookDelta], last_id: int) -> dict[Decimal, Decimal]:
    """The venue's book when the update `last_id` has happened."""
    levels: dict[Decimal, Decimal] = {}
    for change in stream:
        levels.update({price: qty for price, qty in change.bids if qty <= last_id})
    return levels


class ModelBook:
    """What a book actor does with the verdicts."""

    def __init__(self, rules: BookSequencer) -> None:
        self.rules = rules
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        self.gaps = 0

    def on_delta(self, change: BookDelta) -> Verdict:
        verdict = self.rules.on_delta(change)
        if verdict is APPLY:
            self._apply(change)
        elif verdict is GAP:
            self.gaps += 1
            self.bids.clear()
            self.asks.clear()
        return verdict

    def on_snapshot(self, whole: BookSnapshot) -> Verdict:
        bridge = self.rules.on_snapshot(whole)
        if bridge.verdict is APPLY:
            self.bids, self.asks = dict(whole.bids), dict(whole.asks)
            for change in bridge.replay:
                self._apply(change)
        return bridge.verdict

    def _apply(self, change: BookDelta) -> None:
        for side, levels in ((self.bids, change.bids), (self.asks, change.asks)):
            for price, qty in levels:
                if qty:
                    side[price] = qty
                else:
                    side.pop(price, None)

    @property
    def top(self) -> tuple[Level, Level]:
        bid, ask = max(self.bids), min(self.asks)
        return (bid, self.bids[bid]), (ask, self.asks[ask])


SHAPES = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5)), min_size=2, max_size=30)


@given(SHAPES, st.data())
@settings(max_examples=150)
def test_whatever_is_lost_a_synced_book_is_the_venues_book(shapes: list[tuple[int, int]], data: st.DataObject) -> None:
    stream = venue_stream(shapes, start=10)
    book = ModelBook(sequencer(buffer_max=data.draw(st.integers(1, 10))))
    for change in stream:
        if data.draw(st.integers(0, 4)) == 0:
            continue
        book.on_delta(change)
        if data.draw(st.booleans()):
            at = data.draw(st.integers(max(10, change.last_id - 12), change.last_id + 6))
            book.on_snapshot(snapshot(at, tuple(truth(stream, at).items())))
        if book.rules.synced and book.rules.last_id <= change.last_id:
            assert book.bids == truth(stream, book.rules.last_id)
            # No id of the venue lies between what the book has and the newest diff.
            assert truth(stream, book.rules.last_id) == truth(stream, change.last_id)


@given(SHAPES, st.data())
@settings(max_examples=100)
def test_a_single_lost_diff_is_detected_by_the_next_one(shapes: list[tuple[int, int]], data: st.DataObject) -> None:
    stream = [delta(100, 100, 99), *venue_stream(shapes, start=100)]
    lost = data.draw(st.integers(1, len(stream) - 2))
    book = ModelBook(sequencer())
    book.on_snapshot(snapshot(100))
    for index, change in enumerate(stream[: lost + 2]):
        if index != lost:
            book.on_delta(change)
        assert book.gaps == (1 if index == lost + 1 else 0)


# ---- the captures ------------------------------------------------------------------------------------------------

CAPTURES = {"2021-07-22_4sym_with_rest_snapshots": (4, 764), "2024-08-08_btcusdt_6min": (1, 6551)}
LONG = "2024-08-08_btcusdt_6min"


def recorded(data_dir: Path, name: str) -> Iterator[BookDelta | BookSnapshot | BookTicker]:
    """Diffs, snapshots and tickers of a capture, in receive order."""
    codec = BinanceUsdmPublic()
    with gzip.open(data_dir / "binance_usdm" / "ws" / f"{name}.jsonl.gz", "rt") as file:
        for text in file:
            line = json.loads(text)
            if line["dir"] == "recv" and ("@depth" in line["raw"] or "@bookTicker" in line["raw"]):
                (event,) = codec.decode(line["raw"], line["ts_ns"], 1)
                assert isinstance(event, BookDelta | BookTicker)
                yield event
            elif line["dir"] == "http":
                asked = parse_qs(line["url"].partition("?")[2]).get("symbol", ["BTCUSDT"])
                answer = HttpReply(200, {}, line["raw"].encode(), line["ts_ns"], line["ts_ns"])
                yield codec.decode_snapshot(Symbol(asked[0]), answer, 1)


@pytest.mark.parametrize("name", CAPTURES)
def test_every_recorded_snapshot_is_bridged_and_no_gap_follows(data_dir: Path, name: str) -> None:
    rules: dict[str, BinanceUsdmSequencer] = {}
    bridged, verdicts = [], Counter[Verdict]()
    for event in recorded(data_dir, name):
        one = rules.setdefault(event.symbol, sequencer())
        if isinstance(event, BookSnapshot):
            bridged.append(one.on_snapshot(event).verdict)
        elif isinstance(event, BookDelta):
            verdicts[one.on_delta(event)] += 1
    snapshots, diffs = CAPTURES[name]
    assert bridged == [APPLY] * snapshots
    assert all(one.synced for one in rules.values())
    assert verdicts[GAP] == 0
    assert verdicts[IGNORE] < 10  # older than a snapshot that overtook the stream
    assert verdicts.total() == diffs


@pytest.fixture(scope="module")
def long_capture(data_dir: Path) -> list[BookDelta | BookSnapshot | BookTicker]:
    return list(recorded(data_dir, LONG))


def test_the_book_equals_the_venues_own_ticker(
    long_capture: list[BookDelta | BookSnapshot | BookTicker],
) -> None:
    """The oracle: the last ticker since the diff before is the best bid and ask after that diff."""
    tickers = [event for event in long_capture if isinstance(event, BookTicker)]
    ids = [ticker.update_id for ticker in tickers]
    assert ids == sorted(ids)
    book = ModelBook(sequencer())
    compared = 0
    for event in long_capture:
        if isinstance(event, BookSnapshot):
            book.on_snapshot(event)
        elif isinstance(event, BookDelta) and book.on_delta(event) is APPLY:
            at = bisect_right(ids, event.last_id) - 1
            if at >= 0 and ids[at] > event.prev_id:
                ticker = tickers[at]
                expected = ((ticker.bid_px, ticker.bid_qty), (ticker.ask_px, ticker.ask_qty))
                assert book.top == expected, event.last_id
                compared += 1
    assert compared == 5701


def test_lost_repeated_and_swapped_diffs_never_give_a_wrong_top(
    long_capture: list[BookDelta | BookSnapshot | BookTicker],
) -> None:
    """At 200 places: the next diff shows it, a snapshot heals it, and what is synced equals the undisturbed book."""
    whole = ModelBook(sequencer())
    deltas: list[BookDelta] = []
    tops: list[tuple[Level, Level]] = []
    pictures: dict[int, BookSnapshot] = {}
    for event in long_capture:
        if isinstance(event, BookSnapshot):
            whole.on_snapshot(event)
        elif isinstance(event, BookDelta) and whole.on_delta(event) is APPLY:
            if len(deltas) % 25 == 0:
                bids, asks = tuple(whole.bids.items()), tuple(whole.asks.items())
                pictures[len(deltas)] = BookSnapshot(VENUE, SYMBOL, event.last_id, bids, asks, 0, 1)
            deltas.append(event)
            tops.append(whole.top)
    right = {one.last_id: top for one, top in zip(deltas, tops, strict=True)}
    chance = random.Random(20240808)
    for trial in range(200):
        start = chance.choice([at for at in pictures if at + 51 < len(deltas)])
        place = chance.randrange(start + 1, start + 20)
        sent = deltas[start : start + 50]
        match trial % 3:
            case 0:
                del sent[place - start]
            case 1:
                sent.insert(place - start, sent[place - start])
            case _:
                sent[place - start : place - start + 2] = reversed(sent[place - start : place - start + 2])
        book = ModelBook(sequencer())
        book.on_snapshot(pictures[start])
        for at, change in enumerate(sent):
            book.on_delta(change)
            if book.rules.synced:
                assert book.top == right[book.rules.last_id]
            elif change.last_id >= pictures[start + 25].last_id:
                book.on_snapshot(pictures[start + 25])
            damaged = trial % 3 != 1 and at >= place - start
            assert book.gaps == (1 if damaged else 0)
        assert book.rules.synced
        assert book.rules.last_id == sent[-1].last_id
        assert book.top == right[sent[-1].last_id]
