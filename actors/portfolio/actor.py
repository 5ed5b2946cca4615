"""The portfolio: one view of positions and profit over all accounts and venues.

It listens: `Position` after every fill, `AccountResynced` after every resync of an account, `Quote` for marks.  What it
knows it can ask for again (`AccountQuery`), so nothing of it needs to be recorded but the values at the last local
midnight, from which the day's profit is counted.  Readers hear `PnlChanged` at a bounded rate, not per tick.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import msgspec

from actors.portfolio.book import MarketKey, PortfolioBook
from actors.portfolio.day import day_of, next_day_ns
from protocols.base import Event, Message, Query, message
from protocols.canonical import canonical_json, state_hash
from protocols.control import InstrumentsChanged, PnlQuery
from protocols.errors import JournalError
from protocols.ids import AccountID, Path, Venue
from protocols.instruments import plain
from protocols.journal import JOURNAL, Append, ReplayAnswer, ReplayQuery, StateSnapshot
from protocols.market import Quote, Subscribe
from protocols.orders import account_path
from protocols.positions import AccountQuery, AccountResynced, PnlTotalsQuery, Position, PositionKey
from protocols.reconcile import InstrumentsQuery, book_path, instruments_path
from supervisors.actor import Actor, AskError

PORTFOLIO_KEY = "portfolio"
"""Journal stream of the day's baselines."""

_MS = 1_000_000
ASK_TIMEOUT_NS = 1_000 * _MS


@message
class PublishDue(Event):
    """Timer: tell readers what has changed."""


@message
class DayDue(Event):
    """Timer: a local midnight."""


@attrs.frozen
class DaySnapshot:
    """The day that is running and the value of each position when it began."""

    day: str
    baselines: list[tuple[PositionKey, Decimal]]


_DECODER = msgspec.json.Decoder(DaySnapshot)


class PortfolioActor(Actor):
    """See the module text."""

    def __init__(
        self,
        accounts: Sequence[tuple[AccountID, Venue]],
        readers: Sequence[Path] = (),
        *,
        zone: str = "Asia/Seoul",
        publish_ns: int = 500 * _MS,
    ) -> None:
        """`readers` get `PnlChanged`, at most every `publish_ns`; `zone` says whose midnight begins a day."""
        self._accounts = tuple(accounts)
        self._readers = tuple(readers)
        self._zone = ZoneInfo(zone)
        self._publish_ns = publish_ns
        self.book = PortfolioBook()
        self._day = ""
        self._changed: dict[PositionKey, None] = {}
        self._marked: dict[MarketKey, None] = {}
        self._publishing = False
        self._awaited = set(self._accounts)
        """Accounts whose positions we have not heard yet."""
        self._published = 0
        self._handlers: Mapping[type[Message], Callable[[Any], None]] = {
            Quote: self._quote,
            Position: self._position,
            AccountResynced: self._resynced,
            PublishDue: self._publish,
            InstrumentsChanged: self._instruments,
            DayDue: self._roll,
        }

    async def started(self) -> None:
        """The day's baselines from the journal, instruments from the venues, positions from the accounts.

        Who cannot answer yet (at the start of the engine nobody can) will tell by itself: an account that has resynced
        says so, a venue that has loaded its instruments too.
        """
        ctx, timeout_ns = self.ctx, ASK_TIMEOUT_NS
        answer = await ctx.ask(JOURNAL, ReplayQuery(PORTFOLIO_KEY), timeout_ns)
        self._restore(answer)
        for venue in dict.fromkeys(venue for _, venue in self._accounts):
            try:
                self._instruments(await ctx.ask(instruments_path(venue), InstrumentsQuery(), timeout_ns))
            except AskError:
                continue  # not loaded yet: they come as an event
        for account, venue in self._accounts:
            try:
                picture = await ctx.ask(account_path(account, venue), AccountQuery(), timeout_ns)
            except AskError:
                continue  # not reconciled yet: it comes as an event
            self._resynced(AccountResynced(account, venue, picture, account_path(account, venue)))
        self._begin_day_if_new()
        ctx.after(next_day_ns(ctx.now_ns, self._zone) - ctx.now_ns, DayDue())

    def _restore(self, answer: ReplayAnswer) -> None:
        snapshots = [record for record in answer.records if isinstance(record, StateSnapshot)]
        newest = snapshots[-1] if snapshots else answer.snapshot
        if newest is None:
            return
        try:
            saved = _DECODER.decode(newest.state)
        except (msgspec.DecodeError, ValueError) as error:
            raise JournalError(f"snapshot of {PORTFOLIO_KEY}: {error}") from error
        self._day = saved.day
        if saved.day == self._today():
            self.book.baselines.update(dict(saved.baselines))

    def receive(self, message: Message) -> None:
        """What accounts and books tell; the rest is not for us."""
        handler = self._handlers.get(type(message))
        if handler is not None:
            handler(message)

    def answer(self, query: Query) -> object:
        """`PnlQuery`: all rows (tuple of `PnlChanged`); `PnlTotalsQuery`: all sums (tuple of `PnlTotal`)."""
        if isinstance(query, PnlQuery):
            return tuple(self.book.pnl(key, self.ctx.now_ns) for key in self.book.rows)
        if isinstance(query, PnlTotalsQuery):
            return self.book.totals()
        return super().answer(query)

    # ---- what comes in -----------------------------------------------------------------------------------------

    def _quote(self, quote: Quote) -> None:
        if self.book.quote(quote):
            self._marked[quote.venue, quote.symbol] = None
            self._publish_soon()

    def _position(self, position: Position) -> None:
        if self.book.position(position):
            self._subscribe((position.venue, position.symbol))
        self._changed[position.key] = None
        self._publish_soon()

    def _resynced(self, event: AccountResynced) -> None:
        picture = event.picture
        for market in self.book.replace(event.account, event.venue, picture.positions):
            self._subscribe(market)
        self._awaited.discard((event.account, event.venue))
        for position in picture.positions:
            self._changed[position.key] = None
        self._publish_soon()

    def _instruments(self, event: InstrumentsChanged) -> None:
        self.book.instruments(event.instruments)

    def _subscribe(self, market: MarketKey) -> None:
        venue, symbol = market
        self.ctx.send(book_path(venue, symbol), Subscribe(symbol, self.ctx.path))

    # ---- what goes out -----------------------------------------------------------------------------------------

    def _publish_soon(self) -> None:
        if not self._publishing:
            self._publishing = True
            self.ctx.after(self._publish_ns, PublishDue())

    def _publish(self, event: PublishDue) -> None:
        self._publishing = False
        if self.book.note_baselines():
            self._save()
        for market in self._marked:
            self._changed.update(dict.fromkeys(self.book.of_symbol(market)))
        now_ns = self.ctx.now_ns
        for key in self._changed:
            if key in self.book.rows:
                row = self.book.pnl(key, now_ns)
                self._published += 1
                for reader in self._readers:
                    self.ctx.send(reader, row)
        self._changed.clear()
        self._marked.clear()

    # ---- days --------------------------------------------------------------------------------------------------

    def _today(self) -> str:
        return day_of(self.ctx.now_ns, self._zone).isoformat()

    def _roll(self, event: DayDue) -> None:
        self._begin_day_if_new()
        self.ctx.after(next_day_ns(self.ctx.now_ns, self._zone) - self.ctx.now_ns, DayDue())

    def _begin_day_if_new(self) -> None:
        today = self._today()
        if today != self._day:
            self._day = today
            self.book.begin_day()
            self._save()

    def _save(self) -> None:
        baselines = sorted(self.book.known_baselines().items())
        text = canonical_json(DaySnapshot(self._day, baselines))
        record = StateSnapshot(text, state_hash(text), self.ctx.now_ns)
        self.ctx.send(JOURNAL, Append(PORTFOLIO_KEY, PORTFOLIO_KEY, (record,), (), self.ctx.path))

    def inspect(self) -> Mapping[str, object]:
        """Sums, and who has not been heard."""
        return {
            "rows": len(self.book.rows),
            "day": self._day,
            "totals": {
                f"{total.scope} {total.name} {total.quote}".replace("  ", " "): {
                    "realized": plain(total.realized),
                    "unrealized": plain(total.unrealized),
                    "today": plain(total.today),
                    "unmarked": total.unmarked,
                }
                for total in self.book.totals()
            },
            "awaited": sorted(f"{account}/{venue}" for account, venue in self._awaited),
            "published": self._published,
        }
