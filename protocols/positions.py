"""What an account owns: positions per strategy, balances, and the answers about them."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import attrs

from protocols.base import Event, Query, message
from protocols.enums import ExecInst, OrdStatus, OrdType, Side, TimeInForce
from protocols.ids import AccountID, ClOrdID, OrderID, Path, StrategyID, Symbol, Venue

ZERO = Decimal(0)

PORTFOLIO: Path = "/portfolio"


@attrs.frozen(order=True)
class PositionKey:
    """Whose position: several strategies hold one symbol side by side while the venue nets them."""

    account: AccountID
    venue: Venue
    symbol: Symbol
    strategy: StrategyID


@message
class Position(Event):
    """State of one position after a fill.  `qty` is signed; `avg_px` is the average cost of what is open."""

    account: AccountID
    venue: Venue
    symbol: Symbol
    strategy: StrategyID
    qty: Decimal
    avg_px: Decimal
    realized: Decimal
    """Realized profit in quote units, fees in quote included, fees in other assets listed in `fees`."""
    fees: tuple[tuple[str, Decimal], ...]
    updated_ns: int

    @property
    def key(self) -> PositionKey:
        return PositionKey(self.account, self.venue, self.symbol, self.strategy)


@message
class Balance(Event):
    """One asset of one account as the venue states it."""

    account: AccountID
    venue: Venue
    asset: str
    free: Decimal
    locked: Decimal
    updated_ns: int
    wallet: str = ""
    """Name of a wallet that several venues of one account show: the same money, to be counted once."""

    @property
    def total(self) -> Decimal:
        return self.free + self.locked


def counted_once(balances: Iterable[Balance]) -> list[Balance]:
    """Balances without those that show the same money again: of a shared wallet the newest statement of each asset."""
    newest: dict[tuple[str, str, str], Balance] = {}
    for balance in balances:
        key = (balance.account, balance.wallet or balance.venue, balance.asset)
        known = newest.get(key)
        if known is None or balance.updated_ns > known.updated_ns:
            newest[key] = balance
    return list(newest.values())


@message
class BalancesChanged(Event):
    """Absolute balances of the assets named; assets not named are unchanged unless `complete`."""

    account: AccountID
    venue: Venue
    balances: tuple[Balance, ...]
    complete: bool
    event_ns: int


@message
class VenuePosition(Event):
    """One contract position as the venue states it: netted over all strategies, absolute, 0 when flat.

    In hedge mode a symbol has two, told apart by `leg`; `leg` is None for the single position of one-way mode.
    """

    account: AccountID
    venue: Venue
    symbol: Symbol
    leg: Side | None
    qty: Decimal
    """Signed: negative is short."""
    entry_px: Decimal
    mark_px: Decimal
    liquidation_px: Decimal
    """0: the venue states none."""
    leverage: Decimal
    unrealized: Decimal
    updated_ns: int


@message
class PositionsListed(Event):
    """The venue has just told all positions that it holds (each as a `VenuePosition`): any other symbol is flat."""

    account: AccountID
    venue: Venue
    symbols: tuple[Symbol, ...]
    event_ns: int


@attrs.frozen
class OpenOrder:
    """A live (or doubtful) order as the account sees it; risk rebuilds its reservations from these."""

    cl_ord_id: ClOrdID
    order_id: OrderID | None
    account: AccountID
    venue: Venue
    symbol: Symbol
    strategy: StrategyID
    side: Side
    ord_type: OrdType
    order_qty: Decimal
    price: Decimal | None
    cum_qty: Decimal
    ord_status: OrdStatus
    time_in_force: TimeInForce
    exec_inst: ExecInst
    in_doubt: bool
    created_ns: int
    amend_qty: Decimal | None = None
    """Total quantity asked for by an amend that is on its way; None: none is."""
    amend_price: Decimal | None = None
    """Price asked for by it; None: as it is."""
    amend_id: str = ""
    """Its `request_id`, when it went through the gates."""
    orig_cl_ord_id: ClOrdID | None = None

    @property
    def leaves_qty(self) -> Decimal:
        """What may still trade."""
        return ZERO if self.ord_status.is_final else self.order_qty - self.cum_qty


@message
class AccountQuery(Query):
    """Ask an account for an `AccountPicture`; `strategy` narrows orders and positions.

    `hashed` asks for the hash of the whole state as well, which costs milliseconds: for audits, not for displays.
    """

    strategy: StrategyID | None = None
    hashed: bool = False
    unproven: bool = False
    """Answer also while the venue has not confirmed it: as our records have it, doubtful orders in full."""

    @property
    def passes_shut_gate(self) -> bool:
        return self.unproven


@attrs.frozen
class AccountPicture:
    """Everything one account knows, at one moment of its own order of messages."""

    account: AccountID
    venue: Venue
    open_orders: tuple[OpenOrder, ...]
    positions: tuple[Position, ...]
    balances: tuple[Balance, ...]
    state_hash: str
    """Of the whole state, when the query asked for it; else ""."""
    taken_ns: int = 0
    """Wall clock when it was taken: what our sessions had received before is in it; 0: not stated."""
    venue_positions: tuple[VenuePosition, ...] = ()
    """Contract positions as the venue last stated them, flat ones left out."""
    made: tuple[int, int] = (0, 0)
    """The account's incarnation and how many records it had made: of two pictures the one with less is the older, and
    whoever has seen the other must not take it; (0, 0): not stated."""


@message
class AccountResynced(Event):
    """An account proved its state with the venue (start, reconnect): readers rebuild theirs from `picture`."""

    account: AccountID
    venue: Venue
    picture: AccountPicture
    reply_to: Path


@message
class PnlTotalsQuery(Query):
    """Ask the portfolio for its sums (tuple of `PnlTotal`)."""


@attrs.frozen
class PnlTotal:
    """Profit of everything that has `name` as its `scope`, in units of one quote asset (never added across assets)."""

    scope: str
    """`total`, `account`, `venue`, `strategy` or `symbol`."""
    name: str
    quote: str
    realized: Decimal
    unrealized: Decimal
    today: Decimal
    """Realized and unrealized since the last local midnight."""
    fees: tuple[tuple[str, Decimal], ...]
    unmarked: int
    """Open positions without a price: they count as unrealized 0."""
