"""The portfolio: positions of all accounts at their marks, sums per scope, the day's profit, bounded publishing."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import pytest
import trio
from hypothesis import given, settings

from actors.portfolio.actor import PORTFOLIO_KEY, PortfolioActor
from actors.portfolio.day import day_of, next_day_ns, start_of
from protocols.base import Message, Query
from protocols.canonical import canonical_json, state_hash
from protocols.control import InstrumentsChanged, PnlChanged, PnlQuery
from protocols.errors import JournalError
from protocols.ids import AccountID, Path, StrategyID, Symbol, Venue
from protocols.instruments import Instrument, InstrumentStatus, PriceStep, Product
from protocols.journal import JOURNAL, Append, Record, ReplayAnswer, ReplayQuery, StateSnapshot
from protocols.market import Quote, Subscribe
from protocols.positions import AccountPicture, AccountQuery, AccountResynced, PnlTotal, PnlTotalsQuery, Position
from protocols.reconcile import InstrumentsQuery, book_path
from supervisors.testing import RecordingContext

MAIN, SUB = AccountID("main"), AccountID("sub")
SPOT, UPBIT, PERP = Venue("spot"), Venue("upbit"), Venue("perp")
BTC, KRW = Symbol("BTCUSDT"), Symbol("KRW-BTC")
TFPE, MAKER = StrategyID("tfpe"), StrategyID("maker")
SEOUL = ZoneInfo("Asia/Seoul")
NOON = int(datetime(2025, 3, 14, 3, 0, tzinfo=UTC).timestamp()) * 10**9
"""Noon in Seoul."""
SECOND, HOUR = 10**9, 3600 * 10**9
READER = "/console"


def instrument(
    venue: Venue, symbol: Symbol, quote: str, product: Product = Product.SPOT, size: str = "1"
) -> Instrument:
    return Instrument(
        venue=venue,
        symbol=symbol,
        product=product,
        base="BTC",
        quote=quote,
        status=InstrumentStatus.TRADING,
        price_steps=(PriceStep(Decimal(0), Decimal("0.01")),),
        qty_step=Decimal("0.001"),
        contract_size=Decimal(size),
    )


INSTRUMENTS = {
    SPOT: instrument(SPOT, BTC, "USDT"),
    UPBIT: instrument(UPBIT, KRW, "KRW"),
    PERP: instrument(PERP, BTC, "USDT", Product.LINEAR, "0.01"),
}


def position(
    qty: str,
    avg_px: str = "100",
    realized: str = "0",
    *,
    account: AccountID = MAIN,
    venue: Venue = SPOT,
    symbol: Symbol = BTC,
    strategy: StrategyID = TFPE,
    fees: tuple[tuple[str, Decimal], ...] = (),
) -> Position:
    return Position(account, venue, symbol, strategy, Decimal(qty), Decimal(avg_px), Decimal(realized), fees, 1)


def quote(bid: str, ask: str, venue: Venue = SPOT, symbol: Symbol = BTC, **more: Any) -> Quote:
    one = Decimal(1)
    return Quote(venue, symbol, Decimal(bid), one, Decimal(ask), one, 1, 1, 1, **more)


def picture(account: AccountID, venue: Venue, *positions: Position) -> AccountPicture:
    return AccountPicture(account, venue, (), positions, (), "")


class Desk:
    """A portfolio with a journal in memory and accounts that answer when they are there."""

    def __init__(self, *venues: Venue, now_ns: int = NOON) -> None:
        self.accounts = [(MAIN, venue) for venue in venues or (SPOT,)]
        self.records: list[Record] = []
        self.pictures: dict[Path, AccountPicture] = {}
        self.now_ns = now_ns
        self.known = True
        self.start()

    def start(self) -> None:
        self.actor = PortfolioActor(self.accounts, (READER,))
        self.ctx = RecordingContext(self.actor, "/portfolio", self.now_ns)
        self.ctx.answers[ReplayQuery] = lambda path, query: ReplayAnswer(1, None, tuple(self.records))
        if self.known:
            self.ctx.answers[InstrumentsQuery] = lambda path, query: InstrumentsChanged(
                Venue(path.split("/")[2]), (INSTRUMENTS[Venue(path.split("/")[2])],)
            )
        if self.pictures:
            self.ctx.answers[AccountQuery] = lambda path, query: self.pictures[path]
        trio.run(self.actor.started)

    def tell(self, *messages: Message) -> None:
        for message in messages:
            self.actor.receive(message)

    def heard(self, kind: type[Message], path: Path = READER) -> list[Message]:
        """What was sent since the last call; snapshots go to the journal."""
        found = []
        for to, message in self.ctx.take():
            if to == JOURNAL:
                assert isinstance(message, Append)
                assert message.key == PORTFOLIO_KEY
                self.records += message.records
            elif to == path and isinstance(message, kind):
                found.append(message)
        return found

    def advance(self, duration_ns: int) -> None:
        self.ctx.advance(duration_ns)
        self.now_ns = self.ctx.now_ns

    def rows(self) -> dict[tuple[str, str], PnlChanged]:
        answer = self.actor.answer(PnlQuery())
        assert isinstance(answer, tuple)
        return {(row.venue, row.strategy): row for row in answer}

    def totals(self) -> dict[tuple[str, str, str], PnlTotal]:
        answer = self.actor.answer(PnlTotalsQuery())
        assert isinstance(answer, tuple)
        return {(total.scope, total.name, total.quote): total for total in answer}


@pytest.mark.req("R029", "R231", "R233")
def test_a_position_is_valued_at_the_middle_of_the_newest_proven_quote() -> None:
    desk = Desk()
    desk.tell(position("2", "100", "7"), quote("109", "111"))
    row = desk.rows()[SPOT, TFPE]
    assert (row.mark, row.unrealized, row.realized) == (Decimal(110), Decimal(20), Decimal(7))
    desk.tell(quote("1", "3", proven=False))
    assert desk.rows()[SPOT, TFPE].mark == 110, "what is not proven prices nothing"
    empty = Quote(SPOT, BTC, Decimal(0), Decimal(0), Decimal(5), Decimal(1), 1, 1, 1)
    desk.tell(empty)
    assert desk.rows()[SPOT, TFPE].mark == 110, "nor does half a book"


def test_contracts_are_valued_by_their_size_and_shorts_gain_when_prices_fall() -> None:
    desk = Desk(PERP)
    desk.tell(position("-5", "100", venue=PERP), quote("89", "91", venue=PERP))
    assert desk.rows()[PERP, TFPE].unrealized == Decimal("0.5")


@pytest.mark.req("R232", "R294")
def test_sums_are_made_per_scope_and_never_across_quote_assets() -> None:
    desk = Desk(SPOT, UPBIT, PERP)
    desk.tell(
        position("1", "100", "5", fees=(("BNB", Decimal("0.1")),)),
        position("1", "100", "-2", strategy=MAKER, fees=(("BNB", Decimal("0.2")),)),
        position("1", "100", "1", venue=UPBIT, symbol=KRW),
        position("100", "100", "3", venue=PERP),
        quote("120", "120"),
        quote("130", "130", UPBIT, KRW),
    )
    totals = desk.totals()
    everything = totals["total", "", "USDT"]
    assert (everything.realized, everything.unrealized, everything.unmarked) == (Decimal(6), Decimal(40), 1)
    assert everything.fees == (("BNB", Decimal("0.3")),)
    assert totals["total", "", "KRW"].unrealized == 30
    assert totals["strategy", MAKER, "USDT"].realized == -2
    assert totals["venue", PERP, "USDT"].unmarked == 1
    assert totals["account", MAIN, "KRW"].realized == 1
    assert totals["symbol", f"{SPOT}/{BTC}", "USDT"].unrealized == 40
    assert next(iter(totals))[0] == "total"


@given(
    st.lists(
        st.tuples(
            st.sampled_from([MAIN, SUB]),
            st.sampled_from([SPOT, PERP]),
            st.sampled_from([TFPE, MAKER]),
            st.integers(-5, 5),
            st.integers(-9, 9),
        ),
        max_size=8,
    )
)
@settings(deadline=None)
def test_every_scope_adds_up_to_the_total(rows: list[tuple[AccountID, Venue, StrategyID, int, int]]) -> None:
    desk = Desk(SPOT, PERP)
    for account, venue, strategy, qty, realized in rows:
        desk.tell(position(str(qty), "100", str(realized), account=account, venue=venue, strategy=strategy))
    desk.tell(quote("101", "103"))
    totals = desk.totals()
    if not rows:
        assert totals == {}
        return
    whole = totals["total", "", "USDT"]
    for scope in ("account", "venue", "strategy", "symbol"):
        parts = [total for (name, _, _), total in totals.items() if name == scope]
        assert sum(part.realized for part in parts) == whole.realized
        assert sum(part.unrealized for part in parts) == whole.unrealized
        assert sum(part.unmarked for part in parts) == whole.unmarked


def test_readers_hear_of_changes_at_a_bounded_rate_and_only_of_changes() -> None:
    desk = Desk()
    desk.heard(PnlChanged)
    desk.tell(position("1"), position("1", strategy=MAKER))
    for tick in range(50):
        desk.tell(quote(str(100 + tick), str(102 + tick)))
    assert not desk.heard(PnlChanged)
    desk.advance(SECOND // 2)
    rows = desk.heard(PnlChanged)
    assert len(rows) == 2, "one row a position, however many ticks"
    assert {row.mark for row in rows if isinstance(row, PnlChanged)} == {Decimal(150)}
    desk.advance(10 * SECOND)
    assert not desk.heard(PnlChanged)
    desk.tell(quote("100", "100", symbol=Symbol("ETHUSDT")))
    desk.advance(SECOND)
    assert not desk.heard(PnlChanged), "what nobody holds moves nothing"


def test_books_are_subscribed_to_once_a_symbol() -> None:
    desk = Desk()
    desk.tell(position("1"), position("2"), position("1", strategy=MAKER))
    assert desk.heard(Subscribe, book_path(SPOT, BTC)) == [Subscribe(BTC, "/portfolio")]
    desk.tell(AccountResynced(MAIN, SPOT, picture(MAIN, SPOT, position("3")), ""))
    assert not desk.heard(Subscribe, book_path(SPOT, BTC))


def test_a_resynced_account_replaces_its_rows_and_no_others() -> None:
    desk = Desk(SPOT, PERP)
    desk.tell(position("1"), position("1", strategy=MAKER), position("7", venue=PERP))
    other = StrategyID("other")
    whole = picture(MAIN, SPOT, position("3"), position("4", strategy=other))
    desk.tell(AccountResynced(MAIN, SPOT, whole, ""))
    rows = {key: row.qty for key, row in desk.rows().items()}
    assert rows == {(SPOT, TFPE): 3, (SPOT, other): 4, (PERP, TFPE): 7}
    desk.tell(AccountResynced(MAIN, PERP, picture(MAIN, PERP), ""))
    desk.advance(SECOND)
    published = {(row.venue, row.strategy) for row in desk.heard(PnlChanged) if isinstance(row, PnlChanged)}
    assert published == {(SPOT, TFPE), (SPOT, other)}, "rows that have gone are not published"


def test_a_restart_asks_every_account_before_it_is_ready() -> None:
    desk = Desk()
    desk.pictures["/accounts/main/spot/account"] = picture(MAIN, SPOT, position("3", "100", "9"))
    desk.start()
    assert desk.rows()[SPOT, TFPE].realized == 9
    assert desk.actor.inspect()["awaited"] == []


def test_who_does_not_answer_at_the_start_is_awaited_and_heard_later() -> None:
    desk = Desk()
    desk.known = False
    desk.start()
    assert desk.actor.inspect()["awaited"] == ["main/spot"]
    desk.tell(position("1"))
    assert ("total", "", "?") in desk.totals(), "no quote asset is guessed"
    desk.tell(InstrumentsChanged(SPOT, (INSTRUMENTS[SPOT],)))
    desk.tell(AccountResynced(MAIN, SPOT, picture(MAIN, SPOT, position("1")), ""))
    assert ("total", "", "USDT") in desk.totals()
    assert desk.actor.inspect()["awaited"] == []


# ---- days ---------------------------------------------------------------------------------------------------------


def test_days_begin_at_local_midnight() -> None:
    assert day_of(NOON, SEOUL).isoformat() == "2025-03-14"
    assert next_day_ns(NOON, SEOUL) == NOON + 12 * HOUR
    assert start_of(day_of(NOON, SEOUL), SEOUL) == NOON - 12 * HOUR
    new_york = ZoneInfo("America/New_York")
    spring = int(datetime(2025, 3, 9, 6, 0, tzinfo=UTC).timestamp()) * SECOND
    assert next_day_ns(spring, new_york) - start_of(day_of(spring, new_york), new_york) == 23 * HOUR


def test_the_days_profit_counts_from_midnight() -> None:
    desk = Desk()
    desk.tell(position("1", "100", "5"), quote("110", "110"))
    desk.advance(SECOND)
    assert desk.totals()["total", "", "USDT"].today == 15, "a position that began today began at nothing"
    desk.advance(12 * HOUR)
    assert desk.totals()["total", "", "USDT"].today == 0
    desk.tell(quote("120", "120"), position("0", "0", "25"))
    assert desk.totals()["total", "", "USDT"].today == 10
    desk.advance(24 * HOUR)
    assert desk.totals()["total", "", "USDT"].today == 0


def test_the_day_goes_on_after_a_restart_and_a_new_one_begins_if_midnight_has_passed() -> None:
    desk = Desk()
    desk.tell(position("1", "100", "5"), quote("110", "110"))
    desk.advance(13 * HOUR)
    desk.tell(quote("130", "130"))
    desk.heard(PnlChanged)
    desk.pictures["/accounts/main/spot/account"] = picture(MAIN, SPOT, position("1", "100", "5"))
    desk.start()
    desk.tell(quote("130", "130"))
    assert desk.totals()["total", "", "USDT"].today == 20
    desk.heard(PnlChanged)
    desk.now_ns += 24 * HOUR
    desk.start()
    assert desk.totals()["total", "", "USDT"].today == 0, "not known before there is a mark"
    desk.tell(quote("140", "140"))
    desk.advance(SECOND)
    desk.tell(quote("150", "150"))
    assert desk.totals()["total", "", "USDT"].today == 10
    desk.heard(PnlChanged)
    assert isinstance(desk.records[-1], StateSnapshot)


def test_a_baseline_waits_for_the_account_that_comes_later() -> None:
    desk = Desk()
    desk.tell(position("1", "100"), quote("110", "110"))
    desk.advance(12 * HOUR)
    desk.heard(PnlChanged)
    desk.start()
    desk.tell(quote("115", "115"), position("1", "100"))
    assert desk.totals()["total", "", "USDT"].today == 5
    desk.heard(PnlChanged)
    desk.start()
    desk.tell(quote("115", "115"), AccountResynced(MAIN, SPOT, picture(MAIN, SPOT, position("1", "100")), ""))
    assert desk.totals()["total", "", "USDT"].today == 5


def test_the_newest_snapshot_counts_whether_alone_or_among_records() -> None:
    desk = Desk()
    desk.tell(position("1", "100", "5"))
    desk.heard(PnlChanged)
    newest = desk.records[-1]
    assert isinstance(newest, StateSnapshot)
    actor = PortfolioActor(desk.accounts)
    ctx = RecordingContext(actor, "/portfolio", NOON)
    ctx.answers[ReplayQuery] = lambda path, query: ReplayAnswer(1, newest, ())
    trio.run(actor.started)
    assert actor.inspect()["day"] == "2025-03-14"
    assert not [message for to, message in ctx.sent if to == JOURNAL], "the day is the same: nothing to record"


def test_a_damaged_snapshot_stops_the_start() -> None:
    desk = Desk()
    text = canonical_json({"day": 5})
    desk.records = [StateSnapshot(text, state_hash(text), 1)]
    with pytest.raises(JournalError, match="portfolio"):
        desk.start()


def test_other_questions_and_messages_are_not_for_us() -> None:
    class Other(Query):
        pass

    desk = Desk()
    before = desk.actor.inspect()
    desk.tell(Message())
    assert desk.actor.inspect() == before
    with pytest.raises(NotImplementedError):
        desk.actor.answer(Other())
