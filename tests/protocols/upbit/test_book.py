"""The order book's rules (reference section 6.6): full pictures without a number; the captures are their own oracle."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.ids import Symbol, Venue
from protocols.market import BookDelta, BookSnapshot, Level
from protocols.venue import BookSequencer, Verdict
from protocols.venues.upbit import UpbitPublic
from protocols.venues.upbit.book import UpbitSequencer

VENUE, SYMBOL = Venue("upbit"), Symbol("KRW-BTC")
APPLY, IGNORE, GAP = Verdict.APPLY, Verdict.IGNORE, Verdict.GAP


def picture(at_ms: int, bids: tuple[Level, ...] = (), connection: int = 1) -> BookSnapshot:
    return BookSnapshot(VENUE, SYMBOL, at_ms, bids, (), 0, connection)


def verdicts(rules: UpbitSequencer, *times: int) -> list[Verdict]:
    return [rules.on_snapshot(picture(at_ms)).verdict for at_ms in times]


def test_the_first_picture_is_the_book() -> None:
    rules = UpbitSequencer()
    assert (rules.synced, rules.last_id, rules.snapshot_depth) == (False, -1, 0)
    assert verdicts(rules, 100) == [APPLY]
    assert (rules.synced, rules.last_id) == (True, 100)


def test_newer_pictures_replace_and_older_ones_are_dropped() -> None:
    rules = UpbitSequencer()
    assert verdicts(rules, 100, 250, 240, 251) == [APPLY, APPLY, IGNORE, APPLY]
    assert rules.last_id == 251


def test_of_equal_times_the_last_arrival_wins() -> None:
    assert verdicts(UpbitSequencer(), 100, 100) == [APPLY, APPLY]


def test_nothing_is_ever_replayed() -> None:
    assert UpbitSequencer().on_snapshot(picture(1)).replay == ()


def test_a_clock_that_was_set_back_does_not_stop_the_book() -> None:
    rules = UpbitSequencer(older_max=3)
    assert verdicts(rules, 10_000, 10, 11, 12, 13) == [APPLY, IGNORE, IGNORE, APPLY, APPLY]
    assert rules.last_id == 13


def test_only_older_pictures_in_a_row_count_as_a_clock_set_back() -> None:
    rules = UpbitSequencer(older_max=2)
    assert verdicts(rules, 100, 99, 101, 100, 102, 101) == [APPLY, IGNORE, APPLY, IGNORE, APPLY, IGNORE]
    rules.reset()
    assert verdicts(rules, 50) == [APPLY]


def test_a_connection_that_lags_is_never_believed() -> None:
    rules = UpbitSequencer(older_max=2)
    verdicts(rules, 100)
    for at_ms in range(50, 90):
        assert rules.on_snapshot(picture(at_ms, connection=2)).verdict is IGNORE
    assert rules.on_snapshot(picture(101, connection=2)).verdict is APPLY
    assert verdicts(rules, 99, 98, 97) == [IGNORE, IGNORE, IGNORE]
    assert rules.last_id == 101


def test_a_change_disproves_the_book() -> None:
    rules = UpbitSequencer()
    change = BookDelta(VENUE, SYMBOL, 1, 1, -1, (), (), 0, 0, 1)
    assert rules.on_delta(change) is IGNORE
    verdicts(rules, 100)
    assert rules.on_delta(change) is GAP
    assert (rules.synced, rules.last_id) == (False, -1)


def test_reset_forgets_the_picture() -> None:
    rules = UpbitSequencer()
    verdicts(rules, 100)
    rules.reset()
    assert (rules.synced, rules.last_id) == (False, -1)
    assert verdicts(rules, 1) == [APPLY]


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="older_max"):
        UpbitSequencer(older_max=0)


class ModelBook:
    """A book as its actor keeps it: asks the rules first, then replaces everything."""

    def __init__(self, rules: BookSequencer) -> None:
        self.rules = rules
        self.bids: tuple[Level, ...] = ()
        self.asks: tuple[Level, ...] = ()

    def take(self, snapshot: BookSnapshot) -> Verdict:
        bridge = self.rules.on_snapshot(snapshot)
        if bridge.verdict is APPLY:
            self.bids, self.asks = snapshot.bids, snapshot.asks
        return bridge.verdict


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40))
def test_the_book_is_the_newest_picture_seen_unless_time_goes_back_for_long(times: list[int]) -> None:
    book = ModelBook(UpbitSequencer(older_max=1000))
    newest, content = -1, -1
    for number, at_ms in enumerate(times):
        book.take(picture(at_ms, ((Decimal(number + 1), Decimal(1)),)))
        if at_ms >= newest:
            newest, content = at_ms, number
        assert book.rules.last_id == newest
        assert book.bids == ((Decimal(content + 1), Decimal(1)),)


# ---- the captures ------------------------------------------------------------------------------------------------

CAPTURE = "2021-04-17_simple_first21s.jsonl.gz"
Raw = dict[str, Any]


def recorded(data_dir: Path) -> Iterator[tuple[Raw, BookSnapshot]]:
    """Every book message of the capture as it was on the wire, and as the codec reads it."""
    codec = UpbitPublic()
    with gzip.open(data_dir / "upbit" / "ws" / CAPTURE, "rt") as file:
        for text in file:
            line = json.loads(text)
            if line["dir"] == "recv" and '"orderbook"' in line["raw"]:
                (event,) = codec.decode(line["raw"].encode(), line["ts_ns"], 1)
                assert isinstance(event, BookSnapshot)
                yield json.loads(line["raw"], parse_float=Decimal), event


def shown(raw: Raw) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
    """The picture as the venue wrote it, read without our codec."""
    units = raw["obu"]
    return tuple((u["bp"], u["bs"]) for u in units), tuple((u["ap"], u["as"]) for u in units)


def test_every_picture_of_the_capture_becomes_the_book(data_dir: Path) -> None:
    books: dict[str, ModelBook] = {}
    count = 0
    for raw, event in recorded(data_dir):
        book = books.setdefault(event.symbol, ModelBook(UpbitSequencer()))
        assert book.take(event) is APPLY
        assert (book.bids, book.asks) == shown(raw)
        assert book.rules.last_id == raw["tms"]
        # The venue's own sums over the picture agree, and no book is crossed.
        assert sum(qty for _, qty in book.bids) == pytest.approx(raw["tbs"], rel=Decimal("1E-9"))
        assert sum(qty for _, qty in book.asks) == pytest.approx(raw["tas"], rel=Decimal("1E-9"))
        assert book.bids[0][0] < book.asks[0][0]
        assert list(book.bids) == sorted(book.bids, reverse=True)
        assert list(book.asks) == sorted(book.asks)
        count += 1
    assert count == 93
    assert len(books) > 3


def spoiled(stream: Sequence[BookSnapshot], how: str, at: int) -> list[BookSnapshot]:
    """The stream with one fault at one place."""
    out = list(stream)
    if how == "drop":
        del out[at]
    elif how == "duplicate":
        out.insert(at, out[at])
    elif how == "late":
        out.insert(min(at + 3, len(out) - 1), out.pop(at))
    else:
        out[at], out[at + 1] = out[at + 1], out[at]
    return out


@pytest.mark.parametrize("how", ["drop", "duplicate", "reorder", "late"])
def test_no_fault_makes_a_wrong_top_and_the_next_picture_heals(data_dir: Path, how: str) -> None:
    """200 trials for each fault: what the book shows is always the newest picture that arrived, whole."""
    streams: dict[str, list[tuple[Raw, BookSnapshot]]] = {}
    for raw, event in recorded(data_dir):
        streams.setdefault(event.symbol, []).append((raw, event))
    candidates = [stream for stream in streams.values() if len(stream) >= 5]
    assert candidates
    chance = random.Random(20210417)
    for _ in range(200):
        pairs = chance.choice(candidates)
        truth = {raw["tms"]: shown(raw) for raw, _ in pairs}
        assert len(truth) == len(pairs)  # no two pictures of a market share a time here
        at = chance.randrange(len(pairs) - 1)
        book, newest = ModelBook(UpbitSequencer()), -1
        for event in spoiled([event for _, event in pairs], how, at):
            verdict = book.take(event)
            assert (verdict is IGNORE) == (event.last_id < newest)
            newest = max(newest, event.last_id)
            assert (book.bids, book.asks) == truth[newest]
        assert newest == pairs[-1][1].last_id


def test_a_cut_connection_begins_with_a_new_picture(data_dir: Path) -> None:
    pairs = list(recorded(data_dir))
    chance = random.Random(7)
    for cut in chance.sample(range(1, len(pairs)), 50):
        book = ModelBook(UpbitSequencer())
        book.take(pairs[cut - 1][1])
        book.rules.reset()
        assert not book.rules.synced
        assert book.take(pairs[cut][1]) is APPLY
        assert (book.bids, book.asks) == shown(pairs[cut][0])
