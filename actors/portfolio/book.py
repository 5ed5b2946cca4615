"""The arithmetic of the portfolio: positions at marks, sums, and what a day has brought.

Positions come whole from the accounts, which own them; here they are only valued.  Profit since the ledger began is
`realized + unrealized`; profit of the day is that less its value at the last local midnight (`baselines`).  A position
that has no mark yet has no known value, so its baseline is taken when the first mark comes.  Values in different quote
assets are never added.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

import attrs

from protocols.control import PnlChanged
from protocols.ids import AccountID, Symbol, Venue
from protocols.instruments import Instrument, Product
from protocols.market import Quote
from protocols.positions import PnlTotal, Position, PositionKey

ZERO = Decimal(0)

MarketKey = tuple[Venue, Symbol]
SCOPES = ("total", "account", "venue", "strategy", "symbol")


@attrs.define
class Row:
    """One position and its value."""

    position: Position
    baseline: Decimal | None
    """Realized and unrealized at the start of the day; None until that is known."""


@attrs.define
class _Sum:
    realized: Decimal = ZERO
    unrealized: Decimal = ZERO
    today: Decimal = ZERO
    unmarked: int = 0
    fees: dict[str, Decimal] = attrs.field(factory=dict)


class PortfolioBook:
    """All positions of all accounts, with marks."""

    __slots__ = ("_instruments", "_quotes", "_symbols", "baselines", "rows")

    def __init__(self) -> None:
        self.rows: dict[PositionKey, Row] = {}
        self._symbols: dict[MarketKey, dict[PositionKey, Row]] = {}
        self._quotes: dict[MarketKey, Quote] = {}
        self._instruments: dict[MarketKey, Instrument] = {}
        self.baselines: dict[PositionKey, Decimal] = {}
        """Of positions that have not been heard of since a restart."""

    # ---- what comes in -----------------------------------------------------------------------------------------

    def instruments(self, instruments: Iterable[Instrument]) -> None:
        """What the symbols are: contract size and quote asset."""
        for instrument in instruments:
            self._instruments[instrument.venue, instrument.symbol] = instrument

    def position(self, position: Position) -> bool:
        """State of one position; True when its symbol is new here.  One that begins now begins with its day at 0."""
        row = self.rows.get(position.key)
        if row is not None:
            row.position = position
            return False
        return self._add(position, self.baselines.pop(position.key, ZERO))

    def replace(self, account: AccountID, venue: Venue, positions: Iterable[Position]) -> list[MarketKey]:
        """All positions of one account on one venue; returns the symbols that are new here."""
        fresh = []
        named = set()
        for position in positions:
            key = position.key
            named.add(key)
            row = self.rows.get(key)
            if row is not None:
                row.position = position
            elif self._add(position, self.baselines.pop(key, None)):
                fresh.append((position.venue, position.symbol))
        for key in [key for key in self.rows if (key.account, key.venue) == (account, venue) and key not in named]:
            del self.rows[key]
            del self._symbols[key.venue, key.symbol][key]
        return fresh

    def _add(self, position: Position, baseline: Decimal | None) -> bool:
        key, market = position.key, (position.venue, position.symbol)
        row = self.rows[key] = Row(position, baseline)
        is_new = market not in self._symbols
        self._symbols.setdefault(market, {})[key] = row
        return is_new

    def quote(self, quote: Quote) -> bool:
        """A price of a symbol; False when it values nothing: unproven, one-sided, or nothing is held."""
        if not quote.proven or not quote.bid_qty or not quote.ask_qty:
            return False
        market = (quote.venue, quote.symbol)
        self._quotes[market] = quote
        return bool(self._symbols.get(market))

    # ---- what comes out ----------------------------------------------------------------------------------------

    def of_symbol(self, market: MarketKey) -> Iterator[PositionKey]:
        """Positions of one symbol."""
        yield from self._symbols.get(market, ())

    def mark(self, market: MarketKey) -> Decimal | None:
        """Middle of the newest proven quote."""
        quote = self._quotes.get(market)
        return quote.mid if quote is not None else None

    def unrealized(self, position: Position) -> Decimal | None:
        """Value of what is open above its cost, quote units; None without a mark."""
        if not position.qty:
            return ZERO
        mark = self.mark((position.venue, position.symbol))
        if mark is None:
            return None
        value = position.qty * (mark - position.avg_px)
        instrument = self._instruments.get((position.venue, position.symbol))
        if instrument is not None and instrument.product is not Product.SPOT:
            value *= instrument.contract_size
        return value

    def pnl(self, key: PositionKey, now_ns: int) -> PnlChanged:
        """One row at its mark; without a mark the unrealized part is 0 and `mark` is 0."""
        position = self.rows[key].position
        return PnlChanged(
            position.account,
            position.venue,
            position.strategy,
            position.symbol,
            position.qty,
            position.avg_px,
            self.mark((position.venue, position.symbol)) or ZERO,
            position.realized,
            self.unrealized(position) or ZERO,
            now_ns,
            self.quote_asset(position),
        )

    def totals(self) -> tuple[PnlTotal, ...]:
        """Sums per scope, name and quote asset."""
        sums: dict[tuple[str, str, str], _Sum] = {}
        for row in self.rows.values():
            position = row.position
            names = ("", position.account, position.venue, position.strategy, f"{position.venue}/{position.symbol}")
            unrealized = self.unrealized(position)
            value = position.realized + (unrealized or ZERO)
            today = value - row.baseline if row.baseline is not None else ZERO
            for scope, name in zip(SCOPES, names, strict=True):
                total = sums.setdefault((scope, name, self.quote_asset(position)), _Sum())
                total.realized += position.realized
                total.unrealized += unrealized or ZERO
                total.today += today
                total.unmarked += unrealized is None
                for asset, fee in position.fees:
                    total.fees[asset] = total.fees.get(asset, ZERO) + fee
        return tuple(
            PnlTotal(*key, s.realized, s.unrealized, s.today, tuple(sorted(s.fees.items())), s.unmarked)
            for key, s in sorted(sums.items(), key=lambda item: (SCOPES.index(item[0][0]), *item[0][1:]))
        )

    def quote_asset(self, position: Position) -> str:
        """In what the position's profit is counted; "?" while the venue has not told."""
        instrument = self._instruments.get((position.venue, position.symbol))
        return instrument.quote if instrument is not None else "?"

    # ---- days --------------------------------------------------------------------------------------------------

    def begin_day(self) -> None:
        """From now on the day's profit is counted anew; values that are not known yet follow (`note_baselines`)."""
        self.baselines.clear()
        for row in self.rows.values():
            row.baseline = None
        self.note_baselines()

    def note_baselines(self) -> bool:
        """Take the baselines that have become known; True when there was one."""
        noted = False
        for row in self.rows.values():
            if row.baseline is None:
                unrealized = self.unrealized(row.position)
                if unrealized is not None:
                    row.baseline = row.position.realized + unrealized
                    noted = True
        return noted

    def known_baselines(self) -> dict[PositionKey, Decimal]:
        """What a restart needs to count on from."""
        known = {key: row.baseline for key, row in self.rows.items() if row.baseline is not None}
        return {**self.baselines, **known}
