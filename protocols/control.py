"""What the operator and the engine's own watchmen say: halt, pause, state changes, clock and limits."""

from __future__ import annotations

from decimal import Decimal

import attrs

from protocols.base import Command, Event, MarketData, Query, message
from protocols.enums import Side, TradingState
from protocols.ids import AccountID, Path, StrategyID, Symbol, Venue
from protocols.instruments import Instrument


@message
class SetTradingState(Event):
    """Halt, reduce-only or release of `scope` (`firm` or an account id).  Halting is one step and never refused;
    releasing is asked for only after the control plane confirmed it twice."""

    scope: str
    state: TradingState
    principal: str
    cause: str


@message
class TradingStateIs(Event):
    """Announced by the gate that owns the scope, to strategies and the control plane."""

    scope: str
    state: TradingState
    cause: str


@message
class Drain(Event):
    """No new entries from now on; strategies cancel what rests.  First step of an orderly stop."""

    cause: str


@message
class Drained(Event):
    """The sender holds no live order any more."""

    path: Path


@message
class ClockOffset(Event):
    """Venue time minus our time, by the median of recent probes."""

    venue: Venue
    offset_ns: int
    round_trip_ns: int
    usable: bool
    """False while unknown or while it jumps: nothing may be signed."""
    at_ns: int


@message
class InstrumentsChanged(Event):
    """The venue's current instruments (complete list of what we asked for)."""

    venue: Venue
    instruments: tuple[Instrument, ...]


@message
class LimiterLease(Event):
    """Permission to send up to `permits` requests of one kind until `until_ns` (wall clock)."""

    kind: str
    permits: int
    until_ns: int
    number: int = 0
    """Names the permission when it is reported what became of it."""


@message
class VenueBlocked(Event):
    """Nothing may be sent to the venue before `until_ns` (wall clock); 0 means open again."""

    venue: Venue
    until_ns: int
    text: str


@message
class Signal(Event):
    """A strategy's decision in the words of `strategies.md`; kept for reports."""

    strategy: StrategyID
    account: AccountID
    venue: Venue
    symbol: Symbol
    side: Side | None
    kind: str
    """`entry`, `exit`, `hold`."""
    price: Decimal
    text: str
    at_ns: int


@message
class PnlChanged(MarketData):
    """Profit of one (account, venue, strategy, symbol) at the newest mark."""

    account: AccountID
    venue: Venue
    strategy: StrategyID
    symbol: Symbol
    qty: Decimal
    avg_px: Decimal
    mark: Decimal
    realized: Decimal
    unrealized: Decimal
    at_ns: int
    quote: str = ""
    """Asset that the money is in."""

    @property
    def conflation_key(self) -> tuple[str, ...]:
        return ("pnl", self.account, self.venue, self.strategy, self.symbol)


@message
class PauseStrategy(Command):
    """Stop (or resume) making new decisions; resting orders stay."""

    strategy: StrategyID
    paused: bool


@message
class ExposureQuery(Query):
    """Ask a gate for its `ExposurePicture`."""


@attrs.frozen
class ExposureRow:
    """Exposure of one symbol: what is held and what could still be added by live or doubtful orders."""

    account: AccountID
    venue: Venue
    symbol: Symbol
    position: Decimal
    reserved_buy: Decimal
    reserved_sell: Decimal
    notional: Decimal
    """Worst case, quote units."""


@attrs.frozen
class ExposurePicture:
    """What a gate believes, to compare with the accounts."""

    scope: str
    state: TradingState
    rows: tuple[ExposureRow, ...]
    open_orders: int
    limit_use: tuple[tuple[str, Decimal, Decimal], ...]
    """(limit, used, allowed)."""


@message
class PnlQuery(Query):
    """Ask the portfolio for all its `PnlChanged` rows."""
