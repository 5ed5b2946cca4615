"""The book's levels against the plainest model there is."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from actors.book.levels import EMPTY, BookSide, OrderBook
from protocols.market import Level
from tests.actors.book.world import Sides, naive_apply, naive_top

prices = st.integers(1, 30).map(lambda ticks: Decimal(ticks) / 10)
quantities = st.integers(0, 4).map(Decimal)
changes = st.lists(st.tuples(prices, quantities), max_size=12)


@given(st.lists(st.tuples(changes, changes), max_size=20), st.integers(0, 40))
def test_book_equals_a_naive_one_after_every_delta(deltas: list[tuple[list[Level], list[Level]]], count: int) -> None:
    book = OrderBook()
    naive: Sides = {"bids": {}, "asks": {}}
    for bids, asks in deltas:
        book.apply(bids, asks)
        naive_apply(naive, bids, asks)
        assert book.best() == naive_top(naive)
        assert book.bids.top(count) == tuple(sorted(naive["bids"].items(), reverse=True))[:count]
        assert book.asks.top(count) == tuple(sorted(naive["asks"].items()))[:count]
        assert len(book.bids) == len(naive["bids"])
        assert len(book.asks) == len(naive["asks"])


snapshots = st.dictionaries(prices, st.integers(1, 4).map(Decimal), max_size=12)


@given(changes, snapshots, snapshots)
def test_load_replaces_everything(
    before: list[Level], bids: dict[Decimal, Decimal], asks: dict[Decimal, Decimal]
) -> None:
    book = OrderBook()
    book.apply(before, before)
    book.load(bids.items(), asks.items())
    assert dict(book.bids.top(99)) == bids
    assert dict(book.asks.top(99)) == asks
    assert book.best() == naive_top({"bids": bids, "asks": asks})


def test_an_empty_side_has_no_best_level() -> None:
    side = BookSide(is_bid=True)
    assert side.best() == EMPTY
    side.apply([(Decimal(1), Decimal(2))])
    assert side.best() == (Decimal(1), Decimal(2))
    side.clear()
    assert side.best() == EMPTY
    assert side.top(5) == ()


def test_removing_an_unknown_level_is_normal() -> None:
    side = BookSide(is_bid=False)
    side.apply([(Decimal(1), Decimal(0))])
    assert len(side) == 0
