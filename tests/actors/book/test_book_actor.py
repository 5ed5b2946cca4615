"""The book actor, one behavior at a time."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import attrs
import pytest
import trio

from actors.book.actor import BookSettings
from protocols.enums import Channel, GapReason, Quality, Side
from protocols.market import (
    TRADE_STREAM,
    BookDelta,
    BookSnapshot,
    BookTicker,
    GapClosed,
    GapOpened,
    Level,
    Quote,
    SnapshotFailed,
    StreamDown,
    StreamUp,
    Subscribe,
    Trade,
    Unsubscribe,
)
from protocols.venue import Bridge, Verdict
from supervisors.actor import Down, Up
from tests.actors.book.world import MS, PUBLIC, READER, START_NS, SYMBOL, VENUE, BookWorld

D = Decimal


def bid(price: int, qty: int) -> tuple[str, tuple[Decimal, Decimal]]:
    return "bids", (D(price), D(qty))


def ask(price: int, qty: int) -> tuple[str, tuple[Decimal, Decimal]]:
    return "asks", (D(price), D(qty))


def up(connection: int = 1) -> StreamUp:
    return StreamUp(PUBLIC, VENUE, connection, 0)


def down(connection: int = 1) -> StreamDown:
    return StreamDown(PUBLIC, VENUE, connection, 0, "reset by peer")


@pytest.fixture
def world() -> BookWorld:
    """A book that was just started."""
    world = BookWorld()
    trio.run(world.start)
    return world


@pytest.fixture
def proven(world: BookWorld) -> BookWorld:
    """A book that is proven, on connection 1."""
    world.give(up())
    world.give(world.truth.update([bid(99, 2)]))
    world.give(world.truth.snapshot())
    assert world.is_ready()
    world.requests.clear()
    return world


def reasons(told: list) -> list[GapReason]:
    return [message.reason for message in told if isinstance(message, GapOpened)]


def ticker(world: BookWorld, update_id: int, bid_qty: Decimal | None = None) -> BookTicker:
    """The venue's ticker as of an id; `bid_qty` makes it lie."""
    (bid_px, true_qty), (ask_px, ask_qty) = world.truth.top(update_id)
    qty = true_qty if bid_qty is None else bid_qty
    return BookTicker(VENUE, SYMBOL, bid_px, qty, ask_px, ask_qty, update_id, 0, 0)


def trade() -> Trade:
    return Trade(VENUE, SYMBOL, "1", D(100), D(1), Side.BUY, 0, 0)


# ---- coming to life ------------------------------------------------------------------------------------------------


def test_a_new_book_says_that_it_is_not_proven(world: BookWorld) -> None:
    assert reasons(world.told) == [GapReason.STARTING]
    assert not world.is_ready()
    assert world.ctx.watched == [PUBLIC]


def test_the_first_delta_asks_for_one_snapshot(world: BookWorld) -> None:
    world.give(up(7))
    assert world.requests == []
    world.give(world.truth.update([bid(98, 1)], connection=7))
    world.give(world.truth.update([bid(98, 2)], connection=7))
    (request,) = world.requests
    assert (request.symbol, request.depth, request.reply_to, request.connection) == (SYMBOL, 1000, world.ctx.path, 7)


def test_proof_closes_the_gap_before_the_first_quote(world: BookWorld) -> None:
    world.give(up())
    world.give(world.truth.update([bid(99, 2)]))
    told = world.give(world.truth.snapshot())
    assert [type(message) for message in told] == [GapClosed, Quote]
    assert isinstance(told[0], GapClosed)
    assert told[0].opened_ns == START_NS
    assert world.is_ready()
    world.check_quotes(told)


def test_buffered_deltas_are_replayed_on_the_snapshot(world: BookWorld) -> None:
    world.give(up())
    base = world.truth.update([bid(98, 1)]).last_id
    world.give(world.truth.update([bid(99, 5)], received_ns=1))
    world.truth.history[base + 1]
    first = world.truth.update([ask(100, 3)])
    world.give(first)
    told = world.give(world.truth.snapshot(base + 1))
    quote = told[-1]
    assert isinstance(quote, Quote)
    assert quote.update_id == first.last_id
    world.check_quotes(told)


def test_a_snapshot_older_than_the_deltas_is_asked_for_again(world: BookWorld) -> None:
    world.give(up())
    old = world.truth.snapshot()
    world.truth.update([bid(98, 1)])
    world.give(world.truth.update([bid(98, 2)]))
    assert len(world.requests) == 1
    world.give(old)
    assert not world.is_ready()
    assert len(world.requests) == 1
    world.advance(500)
    assert len(world.requests) == 2
    world.give(world.truth.snapshot())
    assert world.is_ready()


def test_a_failed_snapshot_is_asked_for_again_after_growing_pauses(world: BookWorld) -> None:
    world.give(up())
    world.give(world.truth.update([bid(98, 1)]))
    gaps = []
    for _ in range(9):
        count, waited = len(world.requests), 0
        world.give(SnapshotFailed(SYMBOL, "503"))
        while len(world.requests) == count:
            world.advance(50)
            waited += 50
        gaps.append(waited)
    assert gaps[0] <= 550
    assert all(waited <= 30_050 for waited in gaps)
    assert gaps[-1] >= 15_000
    assert sum(gaps) > 20 * gaps[0]


def test_an_unanswered_snapshot_request_is_repeated(world: BookWorld) -> None:
    world.give(up())
    world.give(world.truth.update([bid(98, 1)]))
    world.advance(14_000)
    assert len(world.requests) == 1
    world.advance(2_000)
    assert len(world.requests) == 2


def test_a_quiet_symbol_gets_its_snapshot_without_a_delta(world: BookWorld) -> None:
    world.give(up(3))
    world.advance(2_500)
    assert len(world.requests) == 1
    world.give(world.truth.snapshot(connection=3))
    assert world.is_ready()


def test_a_snapshot_of_another_connection_waits_for_the_first_delta(world: BookWorld) -> None:
    """It was asked for while the connection before delivered: only a delta ties it to the stream."""
    world.give(up(8))
    world.advance(2_500)
    assert len(world.requests) == 1
    world.give(up(9))
    delta = world.truth.update([bid(98, 1)], connection=9)
    world.give(world.truth.snapshot(connection=8))
    assert not world.is_ready()
    world.give(delta)
    assert world.is_ready()
    world.check_quotes(world.told)


def test_a_quiet_symbol_asks_again_when_the_answer_is_of_the_connection_before(world: BookWorld) -> None:
    world.give(up(8))
    world.advance(2_500)
    world.give(up(9))
    world.give(world.truth.snapshot(connection=8))
    assert not world.is_ready()
    world.advance(2_500)
    assert [request.connection for request in world.requests] == [8, 9]
    world.give(world.truth.snapshot(connection=9))
    assert world.is_ready()


def test_a_book_that_comes_back_alone_is_told_of_its_stream_because_it_asks(world: BookWorld) -> None:
    """The session answers the subscription; that the session is ready says nothing about this stream."""
    assert (PUBLIC, Subscribe(SYMBOL, f"/venues/{VENUE}/books/{SYMBOL}", (Channel.BOOK,))) in world.sent
    world.give(Up(PUBLIC, 1))
    world.advance(5_000)
    assert world.requests == []
    world.give(up(7))
    world.advance(2_500)
    assert world.requests


def test_a_snapshot_that_comes_after_the_connection_was_lost_is_not_used(world: BookWorld) -> None:
    world.give(up())
    world.advance(2_500)
    late = world.truth.snapshot()
    world.give(down())
    world.give(late)
    assert not world.is_ready()
    # Nor may it stand alone on the next connection: what happened between the two is in neither.
    world.truth.update([bid(97, 1)])
    world.give(up(2))
    world.give(late)
    assert not world.is_ready()


# ---- quotes --------------------------------------------------------------------------------------------------------


def test_a_quote_is_published_only_when_the_top_changed(proven: BookWorld) -> None:
    assert proven.give(proven.truth.update([bid(95, 1), ask(105, 1)])) == []
    (quote,) = proven.give(proven.truth.update([ask(101, 4)]))
    assert isinstance(quote, Quote)
    assert quote.ask_qty == 4
    proven.check_quotes([quote])


def test_an_empty_side_is_published_with_zero(proven: BookWorld) -> None:
    (quote,) = proven.give(proven.truth.update([ask(101, 0)]))
    assert isinstance(quote, Quote)
    assert (quote.ask_px, quote.ask_qty, quote.bid_px) == (D(0), D(0), D(99))


def test_a_quiet_book_repeats_its_quote_at_each_heartbeat(proven: BookWorld) -> None:
    told = [message for _ in range(20) for message in proven.advance(500)]
    assert all(isinstance(message, Quote) for message in told)
    assert 9 <= len(told) <= 10
    last = told[-1]
    assert isinstance(last, Quote)
    assert last.received_ns > START_NS + 9_000_000_000
    assert proven.is_ready()


def test_trades_pass_whether_the_book_is_proven_or_not(world: BookWorld) -> None:
    assert world.give(trade()) == [trade()]


# ---- losing the proof ----------------------------------------------------------------------------------------------


def test_a_hole_opens_a_gap_and_asks_at_once(proven: BookWorld) -> None:
    proven.advance(100)
    proven.truth.update([bid(99, 9)])
    told = proven.give(proven.truth.update([bid(98, 1)]))
    assert reasons(told) == [GapReason.SEQUENCE]
    assert not proven.is_ready()
    assert len(proven.requests) == 1
    told = proven.give(proven.truth.snapshot())
    assert [type(message) for message in told] == [GapClosed, Quote]
    proven.check_quotes(told)


def test_a_repeated_delta_changes_nothing(proven: BookWorld) -> None:
    delta = proven.truth.update([bid(99, 7)])
    proven.give(delta)
    newer = proven.truth.update([bid(99, 8)])
    proven.give(newer)
    assert proven.give(delta) == []
    assert proven.actor.book.bids.best() == (D(99), D(8))


def test_a_crossed_book_is_never_published(proven: BookWorld) -> None:
    delta = proven.truth.update([bid(102, 1)])
    told = proven.give(delta)
    assert reasons(told) == [GapReason.CROSSED]
    assert not any(isinstance(message, Quote) for message in told)
    assert len(proven.actor.book.bids) == 0


def test_a_crossed_snapshot_is_not_believed(world: BookWorld) -> None:
    world.give(up())
    world.give(world.truth.update([bid(103, 1)]))
    told = world.give(world.truth.snapshot())
    assert told == []
    assert not world.is_ready()


def test_a_lost_connection_opens_a_gap_and_the_next_one_heals_it(proven: BookWorld) -> None:
    assert reasons(proven.give(down())) == [GapReason.DISCONNECTED]
    assert not proven.is_ready()
    late = proven.truth.update([bid(99, 5)])
    proven.give(late)
    proven.advance(5_000)
    assert proven.requests == [], "nothing may be asked for while the connection is down"
    proven.give(up(2))
    proven.give(late)
    assert proven.actor.inspect()["void"] == 2
    proven.give(proven.truth.update([bid(99, 6)], connection=2))
    proven.give(proven.truth.snapshot(connection=2))
    assert proven.is_ready()
    proven.check_quotes(proven.told)


def test_a_connection_that_is_repeated_or_older_changes_nothing(proven: BookWorld) -> None:
    proven.give(up(2))
    proven.give(proven.truth.update([bid(99, 6)], connection=2))
    proven.give(proven.truth.snapshot(connection=2))
    assert proven.give(up(2)) == []
    assert proven.give(down(1)) == []
    assert proven.is_ready()


def test_a_session_that_goes_down_takes_the_proof_with_it(proven: BookWorld) -> None:
    assert reasons(proven.give(Down(PUBLIC, 1, "crash"))) == [GapReason.DISCONNECTED]
    proven.give(Up(PUBLIC, 2))
    proven.give(proven.truth.update([bid(99, 6)], connection=2))
    proven.give(proven.truth.snapshot(connection=0))
    assert proven.is_ready()


def test_a_ready_session_is_no_news_for_a_proven_book(proven: BookWorld) -> None:
    assert proven.give(Up(PUBLIC, 1)) == []
    assert proven.is_ready()


def test_one_gap_is_told_once(proven: BookWorld) -> None:
    proven.give(down())
    assert proven.give(Down(PUBLIC, 1, "crash")) == []


# ---- staleness -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("news", ["trade", "ticker"])
def test_news_that_no_delta_follows_makes_the_book_stale(proven: BookWorld, news: str) -> None:
    proven.truth.update([bid(99, 3)])
    proven.give(trade() if news == "trade" else ticker(proven, proven.truth.last_id))
    told = [message for _ in range(12) for message in proven.advance(500)]
    assert reasons(told) == [GapReason.STALE]
    assert not proven.is_ready()
    assert proven.requests


def test_a_delta_after_the_news_keeps_the_book_fresh(proven: BookWorld) -> None:
    for _ in range(30):
        proven.give(trade())
        proven.advance(500)
        proven.give(proven.truth.update([bid(95, 1)]))
    assert proven.is_ready()


def test_a_ticker_that_the_book_already_knows_is_no_news(proven: BookWorld) -> None:
    proven.give(ticker(proven, proven.truth.last_id))
    for _ in range(30):
        proven.advance(500)
    assert proven.is_ready()


# ---- the ticker as oracle ------------------------------------------------------------------------------------------


def test_tickers_that_agree_are_counted(proven: BookWorld) -> None:
    for qty in (3, 4, 5, 6):
        delta = proven.truth.update([bid(99, qty)])
        proven.give(ticker(proven, delta.last_id))
        proven.give(delta)
    picture = proven.actor.inspect()
    assert (picture["compared"], picture["disagreed"]) == (3, 0)


def test_one_disagreement_is_counted_and_two_in_a_row_cost_the_proof(proven: BookWorld) -> None:
    for number, lie in enumerate([None, D(77), None, D(77), D(77), None]):
        delta = proven.truth.update([bid(99, number + 3)])
        told = proven.give(ticker(proven, delta.last_id, lie))
        told += proven.give(delta)
        assert reasons(told) == ([GapReason.SEQUENCE] if number == 5 else [])
    assert proven.actor.inspect()["disagreed"] == 3
    assert not proven.is_ready()
    assert proven.requests


def test_a_ticker_of_ids_that_no_delta_covers_is_not_compared(proven: BookWorld) -> None:
    old = ticker(proven, proven.truth.last_id - 1, D(77))
    proven.give(proven.truth.update([bid(99, 4)]))
    proven.give(old)
    proven.truth.update([bid(99, 5)])
    proven.give(ticker(proven, proven.truth.last_id))
    assert proven.actor.inspect()["compared"] == 0


def test_tickers_may_be_later_than_the_deltas_of_their_ids(proven: BookWorld) -> None:
    """In each delta the top changes twice, so its first ticker is a lie as soon as the second is there."""
    late: list[BookTicker] = []
    for number in range(20):
        changes = [bid(99, number + 3), bid(99, number + 4)]
        delta = proven.truth.update(changes)
        late += [ticker(proven, update_id) for update_id in (delta.first_id, delta.last_id)]
        proven.give(delta)
        if number % 4 == 3:  # the last one stays behind: it comes after the next delta
            for one in late[:-1]:
                proven.give(one)
            late = late[-1:]
    picture = proven.actor.inspect()
    assert picture["disagreed"] == 0
    assert picture["compared"] == 19
    assert proven.is_ready()


def test_tops_wait_for_their_tickers_in_bounded_number(proven: BookWorld) -> None:
    first = proven.truth.update([bid(99, 3)])
    proven.give(first)
    for number in range(200):
        proven.give(proven.truth.update([bid(99, number + 4)]))
    proven.give(ticker(proven, first.last_id, D(77)))
    proven.give(ticker(proven, proven.truth.last_id))
    assert proven.actor.inspect()["compared"] == 0


# ---- repeated losses -----------------------------------------------------------------------------------------------


def test_a_book_that_keeps_losing_its_proof_asks_more_and_more_seldom() -> None:
    world = BookWorld(BookSettings())
    trio.run(world.start)
    world.give(up())
    world.give(world.truth.update([bid(99, 2)]))
    world.give(world.truth.snapshot())
    waits = []
    for _ in range(5):
        world.requests.clear()
        world.truth.update([bid(98, 1)])
        world.give(world.truth.update([bid(98, 2)]))
        waited = 0
        while not world.requests:
            world.advance(50)
            waited += 50
        waits.append(waited)
        world.give(world.truth.snapshot())
        assert world.is_ready()
    assert waits[0] == 0
    assert waits[-1] > waits[1] > 0
    # A book that was proven long enough has earned an immediate resync.
    for _ in range(40):
        world.advance(500)
    world.requests.clear()
    world.truth.update([bid(98, 1)])
    world.give(world.truth.update([bid(98, 2)]))
    assert len(world.requests) == 1


# ---- readers -------------------------------------------------------------------------------------------------------


def test_a_new_reader_is_told_where_the_book_stands(world: BookWorld) -> None:
    world.actor.receive(Subscribe(SYMBOL, "/a"))
    ((to, gap),) = world.ctx.take()
    assert to == "/a"
    assert isinstance(gap, GapOpened)
    world.give(up())
    world.give(world.truth.update([bid(99, 2)]))
    world.give(world.truth.snapshot())
    world.actor.receive(Subscribe(SYMBOL, "/b"))
    ((to, quote),) = world.ctx.take()
    assert to == "/b"
    assert isinstance(quote, Quote)


def test_an_unsubscribed_reader_hears_no_more(proven: BookWorld) -> None:
    proven.actor.receive(Unsubscribe(SYMBOL, READER))
    assert proven.give(proven.truth.update([bid(99, 9)])) == []
    proven.actor.receive(Unsubscribe(SYMBOL, READER))


def test_the_console_sees_the_book(proven: BookWorld) -> None:
    picture = proven.actor.inspect()
    assert picture["proven"] is True
    assert (picture["bid"], picture["ask"]) == ("99 x 2", "101 x 1")
    proven.give(down())
    assert "reset by peer" in str(proven.actor.inspect()["gap"])


# ---- venues whose stream brings its snapshots itself -----------------------------------------------------------------


class SnapshotsInStream:
    """Sequence rules of a venue that sends a snapshot first, and again whenever it likes."""

    snapshot_depth = 0

    def __init__(self) -> None:
        self.last_id = -1

    @property
    def synced(self) -> bool:
        return self.last_id != -1

    def on_delta(self, delta: BookDelta) -> Verdict:
        if not self.synced:
            return Verdict.BUFFER
        self.last_id = delta.last_id
        return Verdict.APPLY

    def on_snapshot(self, snapshot: BookSnapshot) -> Bridge:
        self.last_id = snapshot.last_id
        return Bridge(Verdict.APPLY)

    def reset(self) -> None:
        self.last_id = -1


def test_a_stream_with_its_own_snapshots_is_subscribed_anew_and_rest_never_asked() -> None:
    world = BookWorld(sequencer=SnapshotsInStream())
    trio.run(world.start)
    world.give(up())
    world.give(world.truth.update([bid(99, 2)]))
    assert len(world.resyncs) == 1, "changes come, the snapshot before them was missed"
    for _ in range(40):
        world.advance(500)
    assert world.requests == []
    assert len(world.resyncs) == 2, "no answer in time: once more"
    world.give(world.truth.snapshot())
    assert world.is_ready()
    # The venue starts its book anew without having lost anything: no gap, the new book at once.
    delta = world.truth.update([bid(99, 7)])
    told = world.give(world.truth.snapshot())
    assert [type(message) for message in told] == [Quote]
    world.check_quotes(told)
    assert delta.last_id == world.actor.inspect()["last_id"]


def test_a_quiet_stream_that_owes_its_snapshot_is_subscribed_anew() -> None:
    world = BookWorld(sequencer=SnapshotsInStream())
    trio.run(world.start)
    world.give(up())
    assert world.resyncs == []
    world.advance(2_500)
    assert len(world.resyncs) == 1


def test_a_snapshot_of_a_connection_that_was_lost_is_void() -> None:
    world = BookWorld(sequencer=SnapshotsInStream())
    trio.run(world.start)
    world.give(up())
    world.give(world.truth.snapshot())
    world.give(down())
    world.give(world.truth.snapshot())
    assert not world.is_ready()
    world.give(up(2))
    world.give(world.truth.snapshot(connection=2))
    assert world.is_ready()


def test_a_planned_replacement_goes_through_without_a_word() -> None:
    """The successor's messages have a higher number, and nobody announced it: nothing was missed."""
    world = BookWorld(sequencer=SnapshotsInStream())
    trio.run(world.start)
    world.give(up(1))
    world.give(world.truth.snapshot(connection=1))
    delta = world.truth.update([bid(99, 7)], connection=1)
    assert [type(message) for message in world.give(delta)] == [Quote]
    assert world.give(world.truth.snapshot(connection=2)) == []
    told = world.give(world.truth.update([bid(99, 8)], connection=2))
    assert [type(message) for message in told] == [Quote]
    assert reasons(world.give(down(2))) == [GapReason.DISCONNECTED]


@pytest.mark.parametrize("is_right", [True, False])
def test_a_checksum_that_does_not_hold_costs_the_proof_before_anything_is_published(is_right: bool) -> None:
    world = BookWorld(sequencer=Checked())
    trio.run(world.start)
    world.give(up())
    world.give(attrs.evolve(world.truth.snapshot(), checksum=Checked.of(D(99), D(101))))
    assert world.is_ready()
    right = Checked.of(D(100), D(101))
    told = world.give(attrs.evolve(world.truth.update([bid(100, 1)]), checksum=right if is_right else right + 1))
    if is_right:
        assert [type(message) for message in told] == [Quote]
    else:
        assert reasons(told) == [GapReason.CHECKSUM]
        assert [type(message) for message in told] == [GapOpened]
        assert len(world.resyncs) == 1
    assert world.is_ready() is is_right


def test_a_snapshot_whose_checksum_does_not_hold_is_not_believed() -> None:
    world = BookWorld(sequencer=Checked())
    trio.run(world.start)
    world.give(up())
    world.give(attrs.evolve(world.truth.snapshot(), checksum=1))
    assert not world.is_ready()
    assert len(world.resyncs) == 1


class Checked(SnapshotsInStream):
    """States the sum of best bid and best ask."""

    checksum_levels = 1

    @staticmethod
    def of(bid_px: Decimal, ask_px: Decimal) -> int:
        return int(bid_px + ask_px)

    def checksum_holds(self, bids: Sequence[Level], asks: Sequence[Level], stated: int) -> bool:
        return self.of(bids[0][0], asks[0][0]) == stated


def test_trades_that_are_lost_alone_leave_the_book_proven(proven: BookWorld) -> None:
    trades = (Channel.TRADES,)
    opened = proven.give(StreamDown(PUBLIC, VENUE, 5, 0, "lost", trades, SYMBOL))
    assert [(type(gap), gap.stream) for gap in opened if isinstance(gap, GapOpened)] == [(GapOpened, TRADE_STREAM)]
    assert proven.give(StreamDown(PUBLIC, VENUE, 6, 0, "lost again", trades, SYMBOL)) == []
    assert proven.is_ready()
    assert [type(message) for message in proven.give(proven.truth.update([bid(99, 7)]))] == [Quote]
    closed = proven.give(StreamUp(PUBLIC, VENUE, 7, 0, trades, SYMBOL))
    assert [(type(gap), gap.stream) for gap in closed if isinstance(gap, GapClosed)] == [(GapClosed, TRADE_STREAM)]
    assert proven.give(StreamUp(PUBLIC, VENUE, 8, 0, trades, SYMBOL)) == []


def test_a_quote_says_how_old_its_book_is_and_what_is_wrong_with_it(proven: BookWorld) -> None:
    first = proven.give(proven.truth.update([bid(99, 7)]))[0]
    assert isinstance(first, Quote)
    assert (first.age_ns, first.quality) == (0, Quality.GOOD)
    quiet = [message for _ in range(4) for message in proven.advance(500) if isinstance(message, Quote)]
    assert [quote.age_ns for quote in quiet] == [1_000 * MS, 2_000 * MS]
    assert {quote.quality for quote in quiet} == {Quality.GOOD}
    proven.give(trade())
    behind = [message for _ in range(2) for message in proven.advance(500) if isinstance(message, Quote)]
    assert [quote.quality for quote in behind] == [Quality.STALE]


def test_subscribed_readers_outlive_the_incarnation() -> None:
    kept: dict[str, None] = {}
    world = BookWorld(subscribers=kept)
    trio.run(world.start)
    world.give(Subscribe(SYMBOL, "/other"))
    again = BookWorld(subscribers=kept)
    trio.run(again.start)
    assert [type(message) for to, message in again.sent if to == "/other"] == [GapOpened]
    again.give(Unsubscribe(SYMBOL, "/other"))
    assert kept == {}


def test_answers_that_nobody_waits_for_change_nothing(proven: BookWorld) -> None:
    assert proven.give(SnapshotFailed(SYMBOL, "late")) == []
    proven.give(proven.truth.update([bid(99, 7)]))
    assert proven.give(proven.truth.snapshot()) == []
    for _ in range(40):
        proven.advance(500)
    assert proven.requests == []
    assert proven.actor.book.bids.best() == (D(99), D(7))
