"""The book's sequence rules (section 8.1): as a table, as properties, and on the recordings with their oracle."""

from __future__ import annotations

import bisect
import gzip
import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.book.levels import OrderBook
from protocols.ids import Symbol, Venue
from protocols.market import BookDelta, BookSnapshot, BookTicker, Level
from protocols.venue import BookSequencer, Verdict
from protocols.venues.bybit.book import BybitSequencer
from tests.protocols.bybit.frames import LINEAR, SPOT, public

VENUE, SYMBOL = Venue("bybit-linear"), Symbol("BTCUSDT")
APPLY, IGNORE, BUFFER, GAP, TOO_OLD = Verdict.APPLY, Verdict.IGNORE, Verdict.BUFFER, Verdict.GAP, Verdict.TOO_OLD


def delta(update: int, bids: tuple[Level, ...] = (), event_ns: int = 0) -> BookDelta:
    return BookDelta(VENUE, SYMBOL, update, update, -1, bids, (), event_ns, 0, 1)


def snapshot(last: int, bids: tuple[Level, ...] = ()) -> BookSnapshot:
    return BookSnapshot(VENUE, SYMBOL, last, bids, (), 0, 1)


def sequencer(depth: int = 200, **more: int) -> BybitSequencer:
    return BybitSequencer(depth, **more)


def synced(last: int = 100, depth: int = 200) -> BybitSequencer:
    rules = sequencer(depth)
    assert rules.on_snapshot(snapshot(last)).verdict is APPLY
    return rules


class TestTable:
    def test_a_snapshot_and_what_follows(self) -> None:
        rules = synced()
        assert (rules.synced, rules.last_id) == (True, 100)
        assert [rules.on_delta(delta(update)) for update in (101, 102)] == [APPLY, APPLY]
        assert rules.last_id == 102

    @pytest.mark.parametrize("update", [102, 103, 5000])
    def test_a_hole_is_a_gap(self, update: int) -> None:
        rules = synced()
        assert rules.on_delta(delta(update)) is GAP
        assert (rules.synced, rules.last_id) == (False, -1)

    @pytest.mark.parametrize("update", [99, 2, 0])
    def test_a_counter_that_goes_back_is_a_gap(self, update: int) -> None:
        """Ignoring it would leave the book still for ever, should the counter go on from there."""
        assert synced().on_delta(delta(update)) is GAP

    def test_the_same_delta_again_says_nothing(self) -> None:
        rules = synced()
        once = delta(101, ((Decimal(1), Decimal(2)),), 7)
        assert [rules.on_delta(once), rules.on_delta(attrs.evolve(once, received_ns=9))] == [APPLY, IGNORE]
        assert rules.on_delta(delta(102)) is APPLY

    @pytest.mark.parametrize("changes", [{"bids": ((Decimal(1), Decimal(3)),)}, {"event_ns": 8}])
    def test_another_delta_of_the_same_number_is_a_gap(self, changes: dict[str, Any]) -> None:
        rules = synced()
        once = delta(101, ((Decimal(1), Decimal(2)),), 7)
        rules.on_delta(once)
        assert rules.on_delta(attrs.evolve(once, **changes)) is GAP

    @pytest.mark.parametrize("last", [100, 101, 500, 90, 1])
    def test_a_snapshot_in_mid_stream_replaces_the_book(self, last: int) -> None:
        rules = synced()
        assert rules.on_snapshot(snapshot(last)).verdict is APPLY
        assert rules.last_id == last
        assert rules.on_delta(delta(last + 1)) is APPLY

    def test_a_restarted_counter_begins_a_new_book(self) -> None:
        for depth in (200, 1000):
            rules = synced(depth=depth)
            assert rules.on_snapshot(snapshot(1)).verdict is APPLY
            assert rules.on_delta(delta(2)) is APPLY

    def test_deltas_before_the_streams_snapshot_say_nothing(self) -> None:
        rules = sequencer()
        assert rules.on_delta(delta(99)) is IGNORE
        assert rules.on_snapshot(snapshot(100)).replay == ()

    def test_after_a_gap_only_a_snapshot_helps(self) -> None:
        rules = synced()
        assert [rules.on_delta(delta(update)) for update in (105, 106)] == [GAP, IGNORE]
        assert rules.on_snapshot(snapshot(106)).verdict is APPLY
        assert rules.on_delta(delta(107)) is APPLY

    def test_reset_forgets_everything(self) -> None:
        rules = synced(depth=1000)
        rules.reset()
        assert (rules.synced, rules.last_id, rules.buffered) == (False, -1, 0)
        assert rules.on_delta(delta(101)) is BUFFER


class TestBridgeToRest:
    """Depth 1000 shares its counter with the REST book, so a hole is healed without a new subscription."""

    def test_it_alone_asks_for_snapshots(self) -> None:
        assert [sequencer(depth).snapshot_depth for depth in (50, 200, 1000)] == [0, 0, 1000]

    def test_what_the_snapshot_has_is_dropped_and_the_rest_follows(self) -> None:
        rules = sequencer(1000)
        deltas = [delta(update) for update in (99, 100, 101, 102)]
        assert [rules.on_delta(one) for one in deltas] == [BUFFER] * 4
        bridge = rules.on_snapshot(snapshot(100))
        assert (bridge.verdict, bridge.replay, rules.last_id) == (APPLY, (deltas[2], deltas[3]), 102)
        assert rules.on_delta(delta(102)) is IGNORE
        assert rules.on_delta(delta(103)) is APPLY

    def test_a_snapshot_that_does_not_reach_the_deltas_is_too_old(self) -> None:
        rules = sequencer(1000)
        rules.on_delta(delta(102))
        assert rules.on_snapshot(snapshot(100)).verdict is TOO_OLD
        assert (rules.synced, rules.buffered) == (False, 1)
        assert rules.on_snapshot(snapshot(101)).verdict is APPLY

    def test_the_delta_that_showed_the_hole_begins_the_new_book(self) -> None:
        rules = synced(depth=1000)
        witness = delta(105)
        assert rules.on_delta(witness) is GAP
        assert rules.on_snapshot(snapshot(104)).replay == (witness,)

    def test_an_answer_that_the_stream_has_overtaken_is_not_needed(self) -> None:
        rules = synced(depth=1000)
        rules.on_delta(delta(101))
        assert rules.on_snapshot(snapshot(100)).verdict is IGNORE
        assert rules.last_id == 101

    def test_a_hole_or_a_step_back_in_the_buffer_starts_it_again(self) -> None:
        rules = sequencer(1000)
        for update in (101, 103, 103, 104):
            rules.on_delta(delta(update))
        assert rules.buffered == 2
        rules.on_delta(delta(50))
        assert rules.buffered == 1

    def test_a_restarted_counter_has_nothing_to_do_with_what_was_buffered(self) -> None:
        rules = sequencer(1000)
        rules.on_delta(delta(900))
        assert rules.on_snapshot(snapshot(1)).replay == ()
        assert rules.on_delta(delta(2)) is APPLY

    def test_a_full_buffer_asks_for_a_newer_snapshot(self) -> None:
        rules = sequencer(1000, buffer_max=2)
        for update in (101, 102, 103):
            rules.on_delta(delta(update))
        assert rules.on_snapshot(snapshot(100)).verdict is TOO_OLD
        assert [one.last_id for one in rules.on_snapshot(snapshot(101)).replay] == [102, 103]


@pytest.mark.parametrize("given_, match", [({"depth": 500}, "depth"), ({"buffer_max": 0}, "buffer_max")])
def test_impossible_settings_are_refused(given_: dict[str, int], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        sequencer(**given_)


# ---- properties: a model venue whose update n sets the price n % 7 to the quantity n ------------------------------


def truth(last_id: int) -> dict[Decimal, Decimal]:
    return {Decimal(n % 7): Decimal(n) for n in range(max(2, last_id - 6), last_id + 1)}


def model_delta(update: int) -> BookDelta:
    return delta(update, ((Decimal(update % 7), Decimal(update)),))


class ModelBook:
    """What a book actor does with the verdicts."""

    def __init__(self, rules: BookSequencer) -> None:
        self.rules = rules
        self.levels: dict[Decimal, Decimal] = {}
        self.verdicts = Counter[Verdict]()

    def on(self, event: BookDelta | BookSnapshot) -> None:
        if isinstance(event, BookDelta):
            verdict = self.rules.on_delta(event)
            if verdict is APPLY:
                self.levels.update(event.bids)
            elif verdict is GAP:
                self.levels.clear()
            self.verdicts[verdict] += 1
        else:
            bridge = self.rules.on_snapshot(event)
            if bridge.verdict is APPLY:
                self.levels = dict(event.bids)
                for change in bridge.replay:
                    self.levels.update(change.bids)


@given(st.sampled_from([200, 1000]), st.data())
@settings(max_examples=200)
def test_whatever_is_lost_doubled_or_swapped_a_synced_book_is_the_venues_book(depth: int, data: st.DataObject) -> None:
    book = ModelBook(sequencer(depth))
    updates = list(range(20, 20 + data.draw(st.integers(2, 40))))
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(updates) - 2))
        updates[at], updates[at + 1] = updates[at + 1], updates[at]
    newest = 0
    for update in updates:
        for _ in range(data.draw(st.sampled_from([1, 1, 1, 1, 0, 2]))):
            book.on(model_delta(update))
            newest = max(newest, update)
        if data.draw(st.integers(0, 3)) == 0 and newest:
            # The stream's own snapshot is of the present; one of REST may lag behind it, or be ahead.
            at = newest if depth == 200 else data.draw(st.integers(newest - 8, newest + 4))
            book.on(snapshot(at, tuple(truth(at).items())))
        if book.rules.synced:
            assert book.levels == truth(book.rules.last_id)


@given(st.integers(1, 40), st.data())
@settings(max_examples=100)
def test_a_single_lost_delta_is_detected_by_the_next_one(length: int, data: st.DataObject) -> None:
    lost = data.draw(st.integers(0, length - 1))
    book = ModelBook(synced(19))
    for update in range(20, 20 + length + 1):
        if update != 20 + lost:
            book.on(model_delta(update))
        assert book.verdicts[GAP] == (1 if update > 20 + lost else 0)
        if update > 20 + lost:
            break


# ---- the recordings ----------------------------------------------------------------------------------------------

CAPTURE = "2026-08-09_btcusdt_dogeusdt_v5"
LEVEL_1 = "2025-06-13_orderbook1_linear"
PRODUCTS = {"BYBIT.ws.1.0": LINEAR, "BYBIT.ws.2": LINEAR, "BYBIT.ws.3": SPOT}
Book = tuple[str, str]
"""(connection, topic): the same topic on two connections is two markets."""


def lines(data_dir: Path, name: str) -> Iterator[dict[str, Any]]:
    with gzip.open(data_dir / "bybit" / "ws" / f"{name}.jsonl.gz", "rt") as file:
        yield from map(json.loads, file)


def recorded(data_dir: Path, name: str) -> Iterator[tuple[Book, dict[str, Any], Any]]:
    """(book, frame, event) of all book messages of a capture, in receive order."""
    codecs = {connection: public(product) for connection, product in PRODUCTS.items()}
    for line in lines(data_dir, name):
        if line["dir"] == "recv" and '"orderbook.' in line["raw"]:
            frame = json.loads(line["raw"])
            (event,) = codecs[line["conn"]].decode(line["raw"], line["ts_ns"], 1)
            yield (line["conn"], frame["topic"]), frame, event


Levels = dict[str, str]


def oracle(frames: Sequence[dict[str, Any]]) -> list[tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]]:
    """The book after each message, by the plainest reading of the rules, without any of our code."""
    bids: Levels = {}
    asks: Levels = {}
    states = []
    for frame in frames:
        for levels, changes in ((bids, frame["data"]["b"]), (asks, frame["data"]["a"])):
            if frame["type"] == "snapshot":
                levels.clear()
            for price, qty in changes:
                if Decimal(qty):
                    levels[price] = qty
                else:
                    levels.pop(price, None)
        states.append(
            (
                {Decimal(price): Decimal(qty) for price, qty in bids.items()},
                {Decimal(price): Decimal(qty) for price, qty in asks.items()},
            )
        )
    return states


@pytest.fixture(scope="module")
def books(data_dir: Path) -> dict[Book, list[tuple[dict[str, Any], BookDelta | BookSnapshot]]]:
    found: dict[Book, list[tuple[dict[str, Any], BookDelta | BookSnapshot]]] = {}
    for book, frame, event in recorded(data_dir, CAPTURE):
        found.setdefault(book, []).append((frame, event))
    return found


def play(
    events: Sequence[BookDelta | BookSnapshot], rules: BookSequencer
) -> Iterator[tuple[BookDelta | BookSnapshot, OrderBook, Verdict]]:
    """The book that our rules and levels make of a stream, after each message."""
    book = OrderBook()
    for event in events:
        if isinstance(event, BookSnapshot):
            verdict = rules.on_snapshot(event).verdict
            if verdict is APPLY:
                book.load(event.bids, event.asks)
        else:
            verdict = rules.on_delta(event)
            if verdict is APPLY:
                book.apply(event.bids, event.asks)
            elif verdict is GAP:
                book.clear()
        yield event, book, verdict


def sides(book: OrderBook) -> tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]:
    return dict(book.bids.top(10_000)), dict(book.asks.top(10_000))


def test_u_and_seq_prove_every_recorded_book(books: dict[Book, Any]) -> None:
    """The oracle: `u` grows by exactly one, `seq` grows; and 1,091 deltas over 3 books are applied without a gap."""
    assert len(books) == 3
    verdicts = Counter[Verdict]()
    for rows in books.values():
        frames = [frame for frame, _ in rows]
        counters = [(frame["data"]["u"], frame["data"]["seq"]) for frame in frames]
        assert all(after[0] == before[0] + 1 and after[1] > before[1] for before, after in itertools.pairwise(counters))
        expected = oracle(frames)
        rules = sequencer()
        for (event, book, verdict), (bids, asks) in zip(play([e for _, e in rows], rules), expected, strict=True):
            verdicts[verdict] += 1
            assert rules.last_id == event.last_id
            assert sides(book) == (bids, asks)
            (bid_px, _), (ask_px, _) = book.best()
            assert bid_px < ask_px
            assert max(len(bids), len(asks)) <= 200
    assert verdicts == {APPLY: 3 + 1091}


@pytest.mark.parametrize("trial", ["drop", "duplicate", "reorder", "hole"])
def test_two_hundred_faults_are_noticed_at_once_and_never_make_a_wrong_book(books: dict[Book, Any], trial: str) -> None:
    """At 200 random places of the recordings, each in a run of its own: before the fault, at it, and until it heals."""
    chance = random.Random(20260809)
    names = sorted(books)
    truths_of = {
        name: {frame["data"]["u"]: state for (frame, _), state in zip(rows, states, strict=True)}
        for name, rows in books.items()
        for states in [oracle([frame for frame, _ in rows])]
    }
    for _ in range(200):
        name = chance.choice(names)
        rows, truths = books[name], truths_of[name]
        at = chance.randrange(1, len(rows) - 12)
        first = max(1, at - 5)
        healing = at + 8
        events = [event for _, event in rows]
        begin = whole_book(events[first - 1], truths)
        stream: list[BookDelta | BookSnapshot] = [begin, *events[first:at]]
        stream += faulty(trial, events[at : at + 4])
        faulty_until = len(stream)
        stream += [whole_book(events[healing], truths), *events[healing + 1 : healing + 3]]
        rules = sequencer()
        verdicts = []
        for number, (_, book, verdict) in enumerate(play(stream, rules)):
            verdicts.append(verdict)
            if rules.synced:
                assert sides(book) == truths[rules.last_id], (trial, at, number)
        fault_at = 1 + at - first
        assert set(verdicts[:fault_at]) == {APPLY}
        expected = {
            "drop": [GAP, IGNORE, IGNORE],
            "duplicate": [APPLY, IGNORE, APPLY, APPLY, APPLY],
            "reorder": [GAP, IGNORE, IGNORE, IGNORE],
            "hole": [GAP],
        }[trial]
        assert verdicts[fault_at:faulty_until] == expected
        assert set(verdicts[faulty_until:]) == {APPLY}
        assert rules.synced


def faulty(trial: str, four: list[Any]) -> list[Any]:
    """Four messages in a row with one fault at their beginning."""
    match trial:
        case "drop":
            return four[1:]
        case "duplicate":
            return [four[0], *four]
        case "reorder":
            return [four[1], four[0], *four[2:]]
        case _:
            return four[3:]


def whole_book(event: Any, truths: dict[int, Any]) -> BookSnapshot:
    """The snapshot that the venue would send at this message."""
    bids, asks = truths[event.last_id]
    return BookSnapshot(VENUE, SYMBOL, event.last_id, tuple(bids.items()), tuple(asks.items()), 0, 1)


def test_the_recorded_tickers_agree_with_the_book(data_dir: Path) -> None:
    """An independent witness: contracts' tickers say best prices and a `cs` of the books' `seq` numbering.

    Their sizes count hidden retail quotes as well, and three of 283 fall between two pushes of the book: no more.
    """
    tickers: dict[str, dict[str, str]] = {}
    said: list[tuple[str, int, Decimal, Decimal]] = []
    tops: dict[str, list[tuple[int, Decimal, Decimal]]] = {}
    codec, rules, books = public(LINEAR), dict[str, BybitSequencer](), dict[str, OrderBook]()
    for line in lines(data_dir, CAPTURE):
        if line["dir"] != "recv" or line["conn"] != "BYBIT.ws.2":
            continue
        frame = json.loads(line["raw"])
        topic, data = frame.get("topic", ""), frame.get("data")
        if topic.startswith("orderbook."):
            (event,) = codec.decode(line["raw"], line["ts_ns"], 1)
            assert isinstance(event, BookDelta | BookSnapshot)
            book = books.setdefault(event.symbol, OrderBook())
            rule = rules.setdefault(event.symbol, sequencer())
            if isinstance(event, BookSnapshot):
                rule.on_snapshot(event)
                book.load(event.bids, event.asks)
            elif rule.on_delta(event) is APPLY:
                book.apply(event.bids, event.asks)
            (bid_px, _), (ask_px, _) = book.best()
            tops.setdefault(event.symbol, []).append((data["seq"], bid_px, ask_px))
        elif topic.startswith("tickers."):
            known = tickers.setdefault(data["symbol"], {})
            known.update(data)
            if not data.keys().isdisjoint({"bid1Price", "ask1Price"}):
                prices = Decimal(known["bid1Price"]), Decimal(known["ask1Price"])
                said.append((data["symbol"], frame["cs"], *prices))
    compared = equal = 0
    for symbol, sequence, bid_px, ask_px in said:
        history = tops.get(symbol, [])
        at = bisect.bisect_right(history, sequence, key=lambda top: top[0]) - 1
        if 0 <= at < len(history) - 1:
            compared += 1
            equal += history[at][1:] == (bid_px, ask_px)
    assert (compared, equal) == (283, 280)


def test_recorded_level_1_books_become_tickers(data_dir: Path) -> None:
    seen = Counter[str]()
    for _, frame, event in recorded(data_dir, LEVEL_1):
        assert isinstance(event, BookTicker)
        data = frame["data"]
        bid = data["b"][0] if data["b"] else ("0", "0")
        ask = data["a"][0] if data["a"] else ("0", "0")
        assert (event.bid_px, event.bid_qty) == tuple(map(Decimal, bid))
        assert (event.ask_px, event.ask_qty) == tuple(map(Decimal, ask))
        assert event.event_ns == frame["cts"] * 1_000_000
        seen[event.symbol] += 1
    assert seen.total() == 198
    assert len(seen) == 4
