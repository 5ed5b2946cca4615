"""The sequence rules of `books` (reference section 7.1), row by row, as properties, and on the recorded streams.

The recordings of 2021 and 2022 have no sequence numbers but a checksum of the 25 best levels in every message, which
any wrong level, order or digit breaks.  So they are replayed with numbers put in as the venue numbers today, and the
checksum judges: whatever is lost, doubled or swapped, a book that the sequencer calls synced is the venue's book.
"""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.ids import Symbol, Venue
from protocols.instruments import Product
from protocols.market import BookDelta, BookSnapshot, Level
from protocols.venue import BookSequencer, Bridge, Verdict
from protocols.venues.okx import OkxPublic
from protocols.venues.okx.book import BARE_UPDATES_MAX, REPEATS_MAX, OkxSequencer, checksum, checksum_holds

VENUE, SYMBOL = Venue("okx-swap"), Symbol("BTC-USDT-SWAP")
APPLY, IGNORE, BUFFER, GAP, TOO_OLD = Verdict.APPLY, Verdict.IGNORE, Verdict.BUFFER, Verdict.GAP, Verdict.TOO_OLD
D = Decimal


def delta(prev: int, seq: int, bids: tuple[Level, ...] = ((D(1), D(1)),), connection: int = 1) -> BookDelta:
    return BookDelta(VENUE, SYMBOL, min(prev + 1, seq), seq, prev, bids, (), 0, 0, connection)


def snapshot(last: int, bids: tuple[Level, ...] = (), connection: int = 1) -> BookSnapshot:
    return BookSnapshot(VENUE, SYMBOL, last, bids, (), 0, connection)


def started(seq: int) -> OkxSequencer:
    rules = OkxSequencer()
    assert rules.on_snapshot(snapshot(seq)) == Bridge(APPLY)
    return rules


class TestTable:
    def test_the_sequence_of_the_reference(self) -> None:
        rules = started(10)
        assert [rules.on_delta(one) for one in (delta(10, 15), delta(15, 15, ()), delta(15, 3), delta(3, 5))] == [
            APPLY, IGNORE, APPLY, APPLY,
        ]  # fmt: skip
        assert (rules.synced, rules.last_id) == (True, 5)

    def test_its_gap(self) -> None:
        rules = started(10)
        assert rules.on_delta(delta(12, 15)) is GAP
        assert (rules.synced, rules.last_id) == (False, -1)

    def test_a_heartbeat_with_levels_is_applied(self) -> None:
        rules = started(10)
        assert rules.on_delta(delta(10, 10)) is APPLY
        assert rules.last_id == 10

    def test_a_heartbeat_of_another_number_is_a_gap(self) -> None:
        assert started(10).on_delta(delta(15, 15, ())) is GAP


def test_the_stream_begins_with_its_snapshot() -> None:
    rules: BookSequencer = OkxSequencer()
    assert (rules.snapshot_depth, rules.synced, rules.last_id) == (0, False, -1)
    assert rules.on_snapshot(snapshot(10)).verdict is APPLY
    assert (rules.synced, rules.last_id) == (True, 10)


def test_a_repetition_is_ignored_and_what_is_merely_old_is_a_gap() -> None:
    rules = started(10)
    rules.on_delta(delta(10, 15))
    rules.on_delta(delta(15, 20))
    assert rules.on_delta(delta(10, 15)) is IGNORE
    assert rules.on_delta(delta(15, 20)) is IGNORE
    assert rules.on_delta(delta(8, 12)) is GAP


def test_a_lost_reset_is_not_taken_for_something_old() -> None:
    """After (100, 3) was lost, (3, 5) must not be ignored: the book would be frozen and called proven."""
    rules = started(90)
    rules.on_delta(delta(90, 100))
    assert rules.on_delta(delta(3, 5)) is GAP


def test_a_reset_forgets_what_was_said_before_it() -> None:
    rules = started(1)
    assert rules.on_delta(delta(1, 2)) is APPLY
    assert rules.on_delta(delta(2, 1)) is APPLY
    assert rules.on_delta(delta(1, 2)) is APPLY
    assert rules.last_id == 2


def test_what_was_said_before_a_reset_is_no_repetition_after_it() -> None:
    rules = started(5)
    assert [rules.on_delta(one) for one in (delta(5, 6), delta(6, 1))] == [APPLY, APPLY]
    assert rules.on_delta(delta(5, 6)) is GAP


def test_repetitions_are_known_within_bounds() -> None:
    rules = started(0)
    for number in range(REPEATS_MAX + 1):
        assert rules.on_delta(delta(number, number + 1)) is APPLY
    assert rules.on_delta(delta(1, 2)) is IGNORE
    assert rules.on_delta(delta(0, 1)) is GAP


def test_the_update_that_showed_the_gap_waits_for_the_next_snapshot() -> None:
    rules = started(10)
    witness = delta(15, 20)
    assert rules.on_delta(witness) is GAP
    assert rules.on_delta(delta(20, 25)) is BUFFER
    assert rules.buffered == 2
    # The new subscription's snapshot is ahead of all that; the stream goes on from it.
    assert rules.on_snapshot(snapshot(40)) == Bridge(APPLY)
    assert rules.last_id == 40
    assert rules.on_delta(delta(40, 41)) is APPLY
    assert rules.last_id == 41


def test_after_a_snapshot_ahead_of_the_buffer_a_stranger_is_a_gap() -> None:
    rules = OkxSequencer()
    rules.on_delta(delta(15, 20))
    rules.on_snapshot(snapshot(40))
    assert rules.on_delta(delta(45, 46)) is GAP


class TestRestSnapshot:
    """The fallback: the stream does not begin with a picture."""

    def test_older_updates_go_and_the_overlapping_one_is_applied(self) -> None:
        rules = OkxSequencer(400)
        older, overlapping, later = delta(90, 95), delta(95, 104), delta(104, 110)
        assert [rules.on_delta(one) for one in (older, overlapping, later)] == [BUFFER] * 3
        assert rules.on_snapshot(snapshot(100)) == Bridge(APPLY, (overlapping, later))
        assert rules.last_id == 110
        assert rules.on_delta(delta(110, 111)) is APPLY

    def test_an_update_that_ends_where_the_snapshot_stands_is_in_it(self) -> None:
        rules = OkxSequencer(400)
        rules.on_delta(delta(90, 100))
        assert rules.on_snapshot(snapshot(100)) == Bridge(APPLY)
        assert rules.on_delta(delta(100, 101)) is APPLY

    def test_a_stream_that_leaves_its_snapshot_out_is_given_one_by_rest(self) -> None:
        """Announced once for 2026-08, and not done: then no update says -1, and none comes before the others."""
        rules = OkxSequencer()
        updates = [delta(number, number + 1) for number in range(10, 10 + BARE_UPDATES_MAX)]
        for one in updates[:-1]:
            assert rules.on_delta(one) is BUFFER
            assert rules.snapshot_depth == 0, "a snapshot may be on its way"
        assert rules.on_delta(updates[-1]) is BUFFER
        assert rules.snapshot_depth == 400
        assert rules.on_snapshot(snapshot(12)) == Bridge(APPLY, tuple(updates[2:]))
        assert rules.snapshot_depth == 0
        assert rules.on_delta(delta(10 + BARE_UPDATES_MAX, 99)) is APPLY

    def test_after_a_gap_the_streams_own_snapshot_is_waited_for_first(self) -> None:
        rules = started(10)
        assert rules.on_delta(delta(12, 13)) is GAP
        assert rules.snapshot_depth == 0
        rules.reset()
        assert rules.snapshot_depth == 0
        assert OkxSequencer(100).snapshot_depth == 100

    def test_a_snapshot_from_before_the_first_update_is_fetched_again(self) -> None:
        rules = OkxSequencer(400)
        first = delta(102, 105)
        rules.on_delta(first)
        assert rules.on_snapshot(snapshot(100)) == Bridge(TOO_OLD)
        assert (rules.synced, rules.buffered) == (False, 1)
        assert rules.on_snapshot(snapshot(102)) == Bridge(APPLY, (first,))

    def test_the_stream_catches_up_with_a_snapshot_ahead_of_it(self) -> None:
        rules = OkxSequencer(400)
        rules.on_delta(delta(90, 95))
        assert rules.on_snapshot(snapshot(100)) == Bridge(APPLY)
        assert rules.last_id == 100
        assert rules.on_delta(delta(95, 98)) is IGNORE
        assert rules.last_id == 100
        assert rules.on_delta(delta(98, 103)) is APPLY
        assert rules.last_id == 103
        assert rules.on_delta(delta(103, 104)) is APPLY

    def test_the_stream_may_reach_it_exactly(self) -> None:
        rules = OkxSequencer(400)
        rules.on_delta(delta(90, 95))
        rules.on_snapshot(snapshot(100))
        assert rules.on_delta(delta(95, 100)) is IGNORE
        assert rules.on_delta(delta(100, 101)) is APPLY

    @pytest.mark.parametrize("stranger", [delta(97, 99), delta(97, 103), delta(95, 3)])
    def test_a_hole_or_a_reset_before_it_is_a_gap(self, stranger: BookDelta) -> None:
        rules = OkxSequencer(400)
        rules.on_delta(delta(90, 95))
        rules.on_snapshot(snapshot(100))
        assert rules.on_delta(stranger) is GAP
        assert not rules.synced

    def test_a_hole_in_the_buffer_leaves_what_follows_it(self) -> None:
        rules = OkxSequencer(400)
        rules.on_delta(delta(90, 95))
        follows = delta(97, 99)
        assert rules.on_delta(follows) is BUFFER
        assert rules.on_snapshot(snapshot(96)).verdict is TOO_OLD
        assert rules.on_snapshot(snapshot(97)).replay == (follows,)

    def test_a_reset_in_the_buffer_empties_it(self) -> None:
        rules = OkxSequencer(400)
        rules.on_delta(delta(90, 95))
        assert rules.on_delta(delta(95, 3)) is BUFFER
        assert rules.buffered == 0

    def test_a_doubled_update_is_kept_once(self) -> None:
        rules = OkxSequencer(400)
        rules.on_delta(delta(90, 95))
        assert rules.on_delta(delta(90, 95)) is IGNORE
        assert rules.buffered == 1

    def test_a_full_buffer_gives_up_its_oldest_update(self) -> None:
        rules = OkxSequencer(400, buffer_max=2)
        for number in (1, 2, 3):
            rules.on_delta(delta(number, number + 1))
        assert rules.buffered == 2
        assert rules.on_snapshot(snapshot(1)).verdict is TOO_OLD
        assert [one.last_id for one in rules.on_snapshot(snapshot(2)).replay] == [3, 4]


class TestTwoConnections:
    """A planned replacement: for a while two connections say the same, neither ahead for good."""

    def test_a_snapshot_that_says_nothing_new_is_not_needed(self) -> None:
        rules = started(10)
        rules.on_delta(delta(10, 15))
        for at in (10, 15):
            assert rules.on_snapshot(snapshot(at)) == Bridge(IGNORE)
        assert rules.last_id == 15

    def test_the_slower_one_is_followed_to_the_end_of_its_lag(self) -> None:
        rules = started(10)
        assert rules.on_snapshot(snapshot(20)) == Bridge(APPLY)
        assert rules.on_delta(delta(20, 22)) is APPLY
        assert rules.on_delta(delta(10, 15)) is IGNORE
        assert rules.on_delta(delta(15, 20)) is IGNORE
        assert rules.on_delta(delta(20, 22)) is IGNORE
        assert rules.on_delta(delta(22, 23)) is APPLY
        assert rules.last_id == 23

    def test_a_hole_in_the_slower_one_is_a_gap(self) -> None:
        rules = started(10)
        rules.on_snapshot(snapshot(20))
        assert rules.on_delta(delta(12, 15)) is GAP


def test_reset_forgets_book_and_buffer() -> None:
    rules = started(10)
    rules.reset()
    assert rules.on_delta(delta(10, 11)) is BUFFER
    rules.reset()
    assert (rules.synced, rules.buffered) == (False, 0)


@pytest.mark.parametrize("settings_", [{"snapshot_depth": -1}, {"snapshot_depth": 401}, {"buffer_max": 0}])
def test_impossible_settings_are_refused(settings_: dict[str, int]) -> None:
    (field,) = settings_
    with pytest.raises(ValueError, match=field):
        OkxSequencer(**settings_)


# ---- properties: a model venue whose update to number n sets the price n % 7 to the quantity n -------------------


class ModelBook:
    """What a book actor does with the verdicts."""

    def __init__(self, rules: BookSequencer) -> None:
        self.rules = rules
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        self.gaps = 0

    def take(self, event: BookDelta | BookSnapshot) -> Verdict:
        if isinstance(event, BookSnapshot):
            bridge = self.rules.on_snapshot(event)
            if bridge.verdict is APPLY:
                self.bids, self.asks = dict(event.bids), dict(event.asks)
                for change in bridge.replay:
                    self._apply(change)
            return bridge.verdict
        verdict = self.rules.on_delta(event)
        if verdict is APPLY:
            self._apply(event)
        elif verdict is GAP:
            self.gaps += 1
            self.bids, self.asks = {}, {}
        return verdict

    def _apply(self, change: BookDelta) -> None:
        for side, levels in ((self.bids, change.bids), (self.asks, change.asks)):
            for price, qty in levels:
                if qty:
                    side[price] = qty
                else:
                    side.pop(price, None)

    def checksum(self) -> int:
        return checksum(sorted(self.bids.items(), reverse=True), sorted(self.asks.items()))


SIZES = st.lists(st.integers(1, 5), min_size=2, max_size=40)


def truth(last_id: int) -> dict[Decimal, Decimal]:
    return {D(n % 7): D(n) for n in range(max(1, last_id - 6), last_id + 1)}


def venue_stream(sizes: list[int], start: int, connection: int = 1) -> list[BookDelta]:
    deltas, prev = [], start
    for size in sizes:
        levels = tuple((D(n % 7), D(n)) for n in range(prev + 1, prev + size + 1))
        deltas.append(delta(prev, prev + size, levels, connection))
        prev += size
    return deltas


@settings(max_examples=200)
@given(SIZES, st.data())
def test_whatever_is_lost_a_synced_book_is_the_venues_book(sizes: list[int], data: st.DataObject) -> None:
    book = ModelBook(OkxSequencer(buffer_max=data.draw(st.integers(1, 10))))
    for change in venue_stream(sizes, start=20):
        if data.draw(st.integers(0, 4)) == 0:
            continue
        book.take(change)
        if data.draw(st.booleans()):
            at = data.draw(st.integers(change.last_id - 12, change.last_id + 6))
            book.take(snapshot(at, tuple(truth(at).items())))
        if book.rules.synced:
            assert book.bids == truth(book.rules.last_id)
            assert book.rules.last_id >= change.last_id


@settings(max_examples=200)
@given(SIZES, st.data())
def test_any_disorder_of_updates_leaves_a_synced_book_true(sizes: list[int], data: st.DataObject) -> None:
    stream = venue_stream(sizes, start=20)
    arrived = data.draw(st.lists(st.sampled_from(stream), max_size=60))
    book = ModelBook(OkxSequencer())
    book.take(snapshot(20, tuple(truth(20).items())))
    for change in arrived:
        book.take(change)
        if book.rules.synced:
            assert book.bids == truth(book.rules.last_id)


@settings(max_examples=200)
@given(SIZES, st.data())
def test_two_connections_make_one_book_without_a_gap(sizes: list[int], data: st.DataObject) -> None:
    """The second one joins anywhere, ahead or behind, and the two interleave in any way."""
    stream = venue_stream(sizes, start=20)
    joins = data.draw(st.integers(0, len(stream) - 1))
    first: list[BookDelta | BookSnapshot] = [snapshot(20, tuple(truth(20).items())), *stream]
    at = stream[joins].last_id
    second: list[BookDelta | BookSnapshot] = [snapshot(at, tuple(truth(at).items())), *stream[joins + 1 :]]
    book = ModelBook(OkxSequencer())
    book.take(first.pop(0))
    while first or second:
        source = first if first and (not second or data.draw(st.booleans())) else second
        book.take(source.pop(0))
        assert book.rules.synced
        assert book.bids == truth(book.rules.last_id)
    assert (book.gaps, book.rules.last_id) == (0, stream[-1].last_id)


@settings(max_examples=200)
@given(st.lists(st.sampled_from([1, 1, 2, 3, 0]), min_size=2, max_size=40), st.data())
def test_resets_and_losses_together_leave_a_synced_book_true(steps: list[int], data: st.DataObject) -> None:
    """Step 0 is a reset: numbers begin again, lower.  A book that lost anything gets a new picture or is not synced."""
    pictures: list[dict[Decimal, Decimal]] = [{}]
    stream: list[BookDelta] = []
    seq, era = 100_000, 100_000
    for number, step in enumerate(steps, 1):
        prev, era = seq, era - 1000 if step == 0 else era
        seq = era if step == 0 else seq + step
        level = (D(number % 7), D(number))
        stream.append(delta(prev, seq, (level,)))
        pictures.append(pictures[-1] | dict([level]))
    book = ModelBook(OkxSequencer())
    book.take(snapshot(100_000))
    for number, change in enumerate(stream, 1):
        if data.draw(st.integers(0, 4)) == 0:
            continue
        book.take(change)
        if not book.rules.synced and data.draw(st.booleans()):
            book.take(snapshot(change.last_id, tuple(pictures[number].items())))
        if book.rules.synced:
            assert (book.bids, book.rules.last_id) == (pictures[number], change.last_id)


@settings(max_examples=100)
@given(SIZES, st.data())
def test_a_single_lost_update_is_detected_by_the_next_one(sizes: list[int], data: st.DataObject) -> None:
    stream = venue_stream(sizes, start=100)
    lost = data.draw(st.integers(0, len(stream) - 2))
    book = ModelBook(started(100))
    for index, change in enumerate(stream[: lost + 2]):
        if index != lost:
            book.take(change)
        assert book.gaps == (1 if index == lost + 1 else 0)


# ---- the checksum ------------------------------------------------------------------------------------------------


def test_checksum_of_uneven_sides_and_of_nothing() -> None:
    """Computed with zlib over the text that the reference describes."""
    bids = [(D("3366.1"), D("7")), (D("3366"), D("6"))]
    asks = [(D("3366.8"), D("9")), (D("3368"), D("8")), (D("3372"), D("8.10"))]
    assert checksum(bids, asks) == signed_crc("3366.1:7:3366.8:9:3366:6:3368:8:3372:8.10")
    assert checksum([], []) == 0
    assert checksum([(D("1E-8"), D("100"))], []) == signed_crc("0.00000001:100")


def signed_crc(text: str) -> int:
    """Bit by bit, so that it shares nothing with the code under test."""
    crc = 0xFFFFFFFF
    for byte in text.encode():
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xEDB88320 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return crc - 2**32 if crc >= 2**31 else crc


def test_zero_is_no_checksum() -> None:
    """Fixed at 0 since 2026-06-23: whoever verified it would resubscribe for ever."""
    bids = [(D("3366.1"), D("7"))]
    assert checksum(bids, []) != 0
    assert checksum_holds(bids, [], 0)
    assert checksum_holds(bids, [], checksum(bids, []))
    assert not checksum_holds(bids, [], checksum(bids, []) + 1)


# ---- the recordings ----------------------------------------------------------------------------------------------

CAPTURES = {"2021-07-22_books-l2-tbt_10inst": (10, 1504), "2022-05-13_books_btcusdt": (3, 290)}

Recorded = tuple[BookDelta | BookSnapshot, int]
"""An event and the checksum that the venue stated with it."""


def recorded(data_dir: Path, name: str) -> dict[str, list[Recorded]]:
    """Book messages of a recording by instrument, numbered as the venue numbers today: each names the one before."""
    codec = OkxPublic(Product.SPOT)
    streams: dict[str, list[Recorded]] = {}
    with gzip.open(data_dir / "okx" / "ws" / f"{name}.jsonl.gz", "rt") as file:
        for text in file:
            line = json.loads(text)
            frame: dict[str, Any] = json.loads(line["raw"]) if line["dir"] == "recv" else {}
            if not frame.get("arg", {}).get("channel", "").startswith("books") or "data" not in frame:
                continue
            (row,) = frame["data"]
            stream = streams.setdefault(frame["arg"]["instId"], [])
            number = 1000 + 3 * len(stream)
            row["seqId"] = number
            row["prevSeqId"] = -1 if frame["action"] == "snapshot" else number - 3
            (event,) = codec.decode(msgspec.json.encode(frame), line["ts_ns"], 1)
            assert isinstance(event, BookDelta | BookSnapshot)
            stream.append((event, row["checksum"]))
    return streams


def replay(stream: Iterable[Recorded], book: ModelBook) -> Counter[Verdict]:
    """Play a stream; whenever the book is called synced, the checksum of the message that it has reached holds."""
    stated: dict[int, int] = {}
    verdicts: Counter[Verdict] = Counter()
    for event, value in stream:
        stated[event.last_id] = value
        verdicts[book.take(event)] += 1
        if book.rules.synced:
            assert book.checksum() == stated[book.rules.last_id], event.symbol
    return verdicts


@pytest.mark.parametrize("name", CAPTURES)
def test_every_recorded_message_makes_the_book_that_its_checksum_states(data_dir: Path, name: str) -> None:
    streams = recorded(data_dir, name)
    verdicts: Counter[Verdict] = Counter()
    for stream in streams.values():
        verdicts += replay(stream, ModelBook(OkxSequencer()))
    assert (len(streams), verdicts) == (CAPTURES[name][0], Counter({APPLY: CAPTURES[name][1]}))


@pytest.mark.parametrize("name", CAPTURES)
def test_a_wrong_level_breaks_the_recorded_checksum(data_dir: Path, name: str) -> None:
    """The oracle can fail: a book that misses one update is not the one that is stated."""
    stream = max(recorded(data_dir, name).values(), key=len)
    book = ModelBook(OkxSequencer())
    for event, _ in stream[:20]:
        book.take(event)
    assert checksum_holds(*sides(book), stream[19][1])
    price, qty = next(iter(sorted(book.asks.items())))
    book.asks[price] = qty + 1
    assert not checksum_holds(*sides(book), stream[19][1])


def sides(book: ModelBook) -> tuple[list[Level], list[Level]]:
    return sorted(book.bids.items(), reverse=True), sorted(book.asks.items())


@pytest.mark.parametrize("name", CAPTURES)
def test_200_accidents_are_noticed_at_once_and_healed(data_dir: Path, name: str) -> None:
    """Lost, doubled, swapped or cut: noticed by the next message, never a wrong book that is called synced."""
    chance = random.Random(20220513)
    streams = [stream for stream in recorded(data_dir, name).values() if len(stream) > 20]
    for number in range(200):
        stream = chance.choice(streams)
        at = chance.randrange(1, len(stream) - 4)
        start = max(0, at - 5)
        book = ModelBook(OkxSequencer())
        for event, _ in stream[:start]:
            book.take(event)
        after = stream[at + 4 :][:10]
        hurt, gaps = [
            (stream[start:at] + stream[at + 1 : at + 2], 1),
            (stream[start : at + 1] + stream[at : at + 4], 0),
            ([*stream[start:at], stream[at + 1], stream[at], *stream[at + 2 : at + 4]], 1),
            (stream[start:at] + stream[at + 3 : at + 4], 1),
        ][number % 4]
        replay(hurt, book)
        assert book.gaps == gaps
        if gaps:
            assert not book.rules.synced
            # A new subscription begins with a picture: that of the venue as of the message before `after`.
            truth_now = ModelBook(OkxSequencer())
            for event, _ in stream[: at + 4]:
                truth_now.take(event)
            last = stream[at + 3][0].last_id
            bids, asks = sides(truth_now)
            whole = BookSnapshot(VENUE, SYMBOL, last, tuple(bids), tuple(asks), 0, 1)
            assert book.take(whole) is APPLY
            assert book.checksum() == stream[at + 3][1]
        verdicts = replay([stream[at + 3], *after] if gaps == 0 else after, book)
        assert verdicts[GAP] == 0
        assert book.rules.synced


def test_updates_without_a_picture_are_counted_over_every_new_beginning() -> None:
    """A session that subscribes anew before twenty have come must not keep REST from being asked for ever."""
    rules = OkxSequencer()
    for number in range(BARE_UPDATES_MAX):
        assert rules.snapshot_depth == 0
        if number % 5 == 0:
            rules.reset()
        rules.on_delta(delta(10 * number, 10 * number + 10))
    assert rules.snapshot_depth > 0
