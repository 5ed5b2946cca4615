"""Each venue's rules against a venue of our own that keeps its numbers in that venue's way.

Whatever is dropped, doubled, overtaken, cut, restarted, asked too early or answered too late: every quote is the true
top of a book that this venue had at the quote's id, and when the accidents are over the book is proven again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.enums import Channel, Side
from protocols.market import BookDelta, BookSnapshot, Level, Quote, StreamDown, StreamUp, Trade
from protocols.venue import BookSequencer
from protocols.venues.binance_spot.book import BinanceSpotSequencer
from protocols.venues.binance_usdm.book import BinanceUsdmSequencer
from protocols.venues.bybit.book import BybitSequencer
from protocols.venues.okx.book import OkxSequencer
from protocols.venues.upbit.book import UpbitSequencer
from tests.actors.book.test_sequences import diff
from tests.actors.book.world import PUBLIC, SYMBOL, VENUE, BookWorld, Sides, levels, naive_apply, naive_top

Changes = list[tuple[str, Level]]
Said = BookDelta | BookSnapshot


class Model:
    """A venue's book: what it says of each change, and every top that it ever had at each of its ids."""

    begins = False
    """A subscription begins with a picture."""

    def __init__(self) -> None:
        self.book: Sides = {"bids": {Decimal(99): Decimal(1)}, "asks": {Decimal(101): Decimal(1)}}
        self.id = 1000
        self.before = -1
        self.tops: defaultdict[int, set[tuple[Level, Level]]] = defaultdict(set)
        self.pictures: list[tuple[int, Sides]] = []
        self.remember()

    def remember(self) -> None:
        self.tops[self.id].add(naive_top(self.book))
        self.pictures.append((self.id, {side: dict(rows) for side, rows in self.book.items()}))

    def number(self, count: int) -> tuple[int, int, int]:
        """First id, last id and predecessor of the next message, which has so many changes."""
        self.before, self.id = self.id, self.id + count
        return self.before + 1, self.id, -1

    def change(self, changes: Changes, connection: int) -> Said:
        first, last, before = self.number(len(changes))
        sides: Sides = {"bids": {}, "asks": {}}
        for name, (price, qty) in changes:
            sides[name][price] = qty
        naive_apply(self.book, sides["bids"].items(), sides["asks"].items())
        self.remember()
        bids, asks = tuple(sides["bids"].items()), tuple(sides["asks"].items())
        return BookDelta(VENUE, SYMBOL, first, last, before, bids, asks, 1, 0, connection)

    def picture(self, connection: int, lag: int = 0) -> BookSnapshot:
        """The book as it was `lag` messages ago, by REST or by the stream."""
        at, book = self.pictures[max(len(self.pictures) - 1 - lag, 0)]
        bids, asks = levels(book["bids"], best_high=True), levels(book["asks"], best_high=False)
        return BookSnapshot(VENUE, SYMBOL, at, bids, asks, 0, connection)

    def restart(self, connection: int) -> list[Said]:
        """The venue's service comes back; what it says of that, if anything."""
        return []


class Spot(Model):
    """Consecutive ids."""


class Usdm(Model):
    """Ids that jump; each message names the last of the one before."""

    def number(self, count: int) -> tuple[int, int, int]:
        before = self.id
        self.id += 3 + count
        return before + 2, self.id, before


class Bybit(Model):
    """A counter of messages; a restart begins it anew, with a picture."""

    begins = True

    def number(self, count: int) -> tuple[int, int, int]:
        self.id += 1
        return self.id, self.id, -1

    def restart(self, connection: int) -> list[Said]:
        self.id, self.pictures = 1, []
        self.remember()
        return [self.picture(connection)]


class BybitDeep(Bybit):
    """1000 levels, with snapshots by REST as well."""


class Okx(Model):
    """Numbers that jump and may step back; each message names its predecessor; a quiet book says that it is."""

    begins = True
    back = False

    def number(self, count: int) -> tuple[int, int, int]:
        before = self.id
        self.id = max(3, self.id - 700) if self.back else self.id + 2 + count
        self.back = False
        if self.id < before:
            self.pictures = []
        return before + 1, self.id, before

    def restart(self, connection: int) -> list[Said]:
        self.back = True
        return [BookDelta(VENUE, SYMBOL, self.id, self.id, self.id, (), (), 1, 0, connection)]


class OkxByRest(Okx):
    """The day on which the picture at the beginning is left out."""

    begins = False

    def restart(self, connection: int) -> list[Said]:
        return []  # a step back while REST is asked is another matter: see `Okx`


class Upbit(Model):
    """Full pictures by the millisecond, several of which may have the same time."""

    begins = True

    def number(self, count: int) -> tuple[int, int, int]:
        self.id += count % 2
        return self.id, self.id, -1

    def change(self, changes: Changes, connection: int) -> Said:
        super().change(changes, connection)
        return self.picture(connection)


RULES: dict[str, tuple[type[Model], Callable[[], BookSequencer]]] = {
    "binance-spot": (Spot, BinanceSpotSequencer),
    "binance-usdm": (Usdm, BinanceUsdmSequencer),
    "bybit": (Bybit, BybitSequencer),
    "bybit 1000": (BybitDeep, lambda: BybitSequencer(1000)),
    "okx": (Okx, OkxSequencer),
    "okx by REST": (OkxByRest, lambda: OkxSequencer(400)),
    "upbit": (Upbit, UpbitSequencer),
}

ACCIDENTS = ["drop", "twice", "late", "cut", "lost", "restart", "quiet", "stale", "deaf"]
steps = st.lists(
    st.tuples(diff, st.sampled_from(["pass"] * 8 + ACCIDENTS), st.integers(0, 6)),
    max_size=50,
)


class Play:
    """One run: the venue, its connection, and what is on its way."""

    def __init__(self, name: str) -> None:
        model, rules = RULES[name]
        self.model = model()
        self.world = BookWorld(sequencer=rules())
        self.rest = bool(self.world.actor._sequencer.snapshot_depth)
        self.connection = 1
        self.held: Said | None = None
        self.deaf = 0
        self.trades = 0
        self.missed = False
        """A change was lost while the book was proven, and no picture has come since."""

    def give(self, message: Said | StreamUp | StreamDown | Trade) -> None:
        self.check(self.world.give(message))

    def check(self, told: list) -> None:
        for message in told:
            if isinstance(message, Quote):
                top = (message.bid_px, message.bid_qty), (message.ask_px, message.ask_qty)
                assert top in self.model.tops[message.update_id], (top, message.update_id)
        assert self.world.is_ready() is not self.world.is_open

    def deliver(self, said: Said, *, late: bool = False) -> None:
        """Hand it over; the first change after one that was lost must be found to be that.

        One that is late may be the very one that was missed, if all that should follow it were lost.
        """
        if self.deaf:
            self.lose()
            return
        must_tell = self.missed and not late and not self.world.is_open and isinstance(said, BookDelta)
        self.missed = self.missed and late
        self.give(said)
        assert not must_tell or self.world.is_open

    def lose(self) -> None:
        self.missed = self.missed or (not self.world.is_open and not isinstance(self.model, Upbit))

    def show(self, picture: BookSnapshot) -> None:
        self.missed = False
        self.give(picture)

    def begin(self) -> None:
        """A subscription is confirmed, and begins."""
        if self.model.begins:
            self.show(self.model.picture(self.connection))

    def connect(self) -> None:
        self.held, self.deaf, self.missed = None, 0, False
        self.give(StreamUp(PUBLIC, VENUE, self.connection, 0, (Channel.BOOK,), SYMBOL))
        self.begin()

    def wait(self, milliseconds: int, lag: int) -> None:
        """Time passes; what the book has asked for meanwhile is answered, `lag` messages behind."""
        self.check(self.world.advance(milliseconds))
        requests, self.world.requests = self.world.requests, []
        for _ in requests:
            self.show(self.model.picture(self.connection, lag))
        resyncs, self.world.resyncs = self.world.resyncs, []
        if resyncs:
            self.deaf = 1 + lag % 3
        elif self.deaf:
            self.deaf -= 1
            if not self.deaf:
                self.begin()

    def step(self, changes: Changes, what: str, lag: int) -> None:
        if what == "restart":
            self.held = None  # a connection keeps its order: what it said in old numbers does not come after the new
            for said in self.model.restart(self.connection):
                self.deliver(said)
        said = self.model.change(changes, self.connection)
        if what == "late" and self.held is None:
            self.held = said
            self.lose()
            return
        if what in ("cut", "lost"):
            self.give(StreamDown(PUBLIC, VENUE, self.connection, 0, "reset", (Channel.BOOK,), SYMBOL))
            self.connection += 1
            if what == "cut":
                self.connect()
            else:
                self.wait(700, lag)  # an answer that was under way comes when nothing is connected
                self.connect()
            return
        if what in ("drop", "deaf"):
            self.lose()
        else:
            self.deliver(said)
        if what == "twice":
            self.deliver(said)
        if what == "deaf":
            self.deaf = 1 + lag
        if self.held is not None:
            held, self.held = self.held, None
            self.deliver(held, late=True)
        if what == "stale":
            self.trades += 1
            price = Decimal(100)
            self.give(Trade(VENUE, SYMBOL, str(self.trades), price, price, Side.BUY, 1, 0))
            for _ in range(12):
                self.wait(500, lag)
        self.wait(2500 if what == "quiet" else 100, lag)


async def play(name: str, run: list[tuple[Changes, str, int]]) -> Play:
    game = Play(name)
    await game.world.start()
    game.connect()
    for changes, what, lag in run:
        game.step(changes, what, lag)
    clean = 0
    while clean < 3:  # accidents are over
        clean = 0 if game.world.is_open or game.deaf else clean + 1
        game.step([("bids", (Decimal(95), Decimal(clean + 1)))], "pass", 0)
    return game


@pytest.mark.req("R350", "R356")
@pytest.mark.parametrize("name", RULES)
@settings(max_examples=80, deadline=None)
@given(steps)
def test_nothing_but_the_truth_is_quoted_by_any_venues_rules(name: str, run: list[tuple[Changes, str, int]]) -> None:
    game = trio.run(play, name, run)
    assert not game.world.is_open
    book, model = game.world.actor.book, game.model
    assert game.world.actor.inspect()["last_id"] == model.id
    assert (dict(book.bids.top(99)), dict(book.asks.top(99))) == (model.book["bids"], model.book["asks"])
