"""What the journal stores, and how it is asked.

The account is event-sourced: a command is *decided* into records, the records are *applied* to the state, and the same
records, read back, give the same state byte for byte.  Records of one `key` (an account and venue, a gate, the engine)
form one stream; a `StateSnapshot` of that key makes everything before it unnecessary for recovery.
"""

from __future__ import annotations

from decimal import Decimal

import attrs

from protocols.base import Event, Message, Query, message
from protocols.control import Signal
from protocols.enums import AlarmKind, DoubtReason, OrdRejReason, TradingState
from protocols.ids import AccountID, ClOrdID, Path, StrategyID, Symbol, Venue
from protocols.instruments import Product
from protocols.market import GapClosed, GapOpened
from protocols.orders import CancelRejected, ExecutionReport, NewOrder, OrderRefused
from protocols.positions import BalancesChanged

JOURNAL: Path = "/journal"

ENGINE_KEY = "engine"
"""Journal stream of the process itself: runs, restarts of actors, troubles of the journal."""


def account_key(account: AccountID, venue: Venue) -> str:
    """Journal stream of one account on one venue."""
    return f"account/{account}/{venue}"


def strategy_key(strategy: StrategyID) -> str:
    """Journal stream of what one strategy wants to remember (its `StateSnapshot`s)."""
    return f"strategy/{strategy}"


def signals_key(strategy: StrategyID) -> str:
    """Journal stream of one strategy's decisions and their reasons."""
    return f"signals/{strategy}"


@message
class RunStarted(Event):
    """First record of each process life; `run` goes into every ClOrdID made in it."""

    run: int
    build: str
    config_hash: str
    started_ns: int


@message
class RunStopped(Event):
    """Orderly end.  Its absence means that the process died."""

    run: int
    reason: str
    stopped_ns: int


@message
class OrderIntent(Event):
    """We decided to send this order.  Durable (see sync policy) before its first byte leaves."""

    order: NewOrder
    accepted_ns: int


@message
class CancelIntent(Event):
    """We decided to cancel."""

    cl_ord_id: ClOrdID
    at_ns: int


@message
class AmendIntent(Event):
    """We decided to change an order's terms."""

    cl_ord_id: ClOrdID
    order_qty: Decimal
    at_ns: int
    price: Decimal | None = None
    """None: as it is."""
    request_id: str = ""
    """Of an amend that went through the gates, because it may raise risk; "": it only reduces."""


@message
class OrderClosed(Event):
    """An order ended without a venue report: rejected, surely not sent, or proven never to have arrived."""

    cl_ord_id: ClOrdID
    reason: OrdRejReason
    text: str
    at_ns: int


@message
class DoubtOpened(Event):
    """We do not know what the venue did with a request of this order."""

    cl_ord_id: ClOrdID
    cancel: bool
    reason: DoubtReason
    since_ns: int
    settles_ns: int
    amend: bool = False
    """True when it is the amend that is in doubt (`cancel` is True as well)."""


@message
class DoubtClosed(Event):
    """The venue's evidence settled it."""

    cl_ord_id: ClOrdID
    evidence: str
    at_ns: int
    cancel: bool = False
    """True when it was the cancel or amend that was in doubt, not the order."""
    amend: bool = False


@message
class CancelClosed(Event):
    """A cancel or amend ended without effect."""

    rejected: CancelRejected
    at_ns: int


@message
class SymbolDefined(Event):
    """What a symbol's fills move.  Written before its first order, so that a replay needs no venue to ask."""

    venue: Venue
    symbol: Symbol
    product: Product
    base: str
    quote: str
    contract_size: Decimal
    at_ns: int


@message
class UnexplainedChanged(Event):
    """How much of an asset the venue holds beyond what our fills explain (deposits, fees elsewhere, trades unseen).

    `previous` is None for the first comparison of an asset: that is the inventory we started with, and no alarm.
    """

    account: AccountID
    venue: Venue
    asset: str
    qty: Decimal
    previous: Decimal | None
    at_ns: int


@message
class PositionCorrected(Event):
    """The venue's position of a contract differs from what our fills add up to; from now on ours is the same.

    The difference belongs to nobody's strategy (MANUAL).  `first`: it is what the account held when we first looked,
    and no alarm.
    """

    account: AccountID
    venue: Venue
    symbol: Symbol
    delta: Decimal
    """Contracts, signed: what the venue holds beyond ours."""
    px: Decimal
    """At which the difference is taken over."""
    first: bool
    at_ns: int


@message
class AlarmRaised(Event):
    """Something that should never happen did.  The facts were applied all the same; a person has to look."""

    source: Path
    kind: AlarmKind
    subject: str
    """ClOrdID or asset."""
    text: str
    at_ns: int


@message
class TradingStateChanged(Event):
    """Kill switch and its release, with who and why."""

    scope: str
    """`firm` or an account id."""
    state: TradingState
    principal: str
    cause: str
    at_ns: int


@message
class ActorRestarted(Event):
    """An incarnation ended out of turn; its supervisor starts the next one, or gives up upwards."""

    path: Path
    epoch: int
    """Of the incarnation that ended."""
    cause: str
    at_ns: int


@message
class OperatorCommand(Event):
    """Somebody ordered something at the control plane."""

    principal: str
    verb: str
    detail: str
    at_ns: int


@message
class StateSnapshot(Event):
    """State of one key after all its records so far; `state` is that actor's own snapshot type as JSON text."""

    state: str
    state_hash: str
    at_ns: int


@message
class JournalState(Event):
    """Whether the journal can write, for gates, console and reports.

    As a record it tells, once writing is possible again, from when to when it was not.
    """

    healthy: bool
    text: str
    at_ns: int


Record = (
    RunStarted
    | RunStopped
    | OrderIntent
    | CancelIntent
    | AmendIntent
    | OrderClosed
    | DoubtOpened
    | DoubtClosed
    | CancelClosed
    | ExecutionReport
    | BalancesChanged
    | OrderRefused
    | SymbolDefined
    | UnexplainedChanged
    | PositionCorrected
    | AlarmRaised
    | TradingStateChanged
    | ActorRestarted
    | OperatorCommand
    | JournalState
    | GapOpened
    | GapClosed
    | Signal
    | StateSnapshot
)


def needs_disk(record: Record) -> bool:
    """Whether a record is an intent that may raise risk: it must be durable before what it announces leaves."""
    kind = type(record)
    return kind is OrderIntent or (isinstance(record, AmendIntent) and record.request_id != "")


@attrs.frozen
class Stored:
    """A record as it stands in the journal."""

    seq: int
    written_ns: int
    key: str
    subject: str
    """`orders.{venue}.{symbol}`, `trades...`, `positions...`, `engine`: what a relay publishes it under."""
    record: Record


@message
class Append(Event):
    """Write `records` under `key`, then deliver `forward` in order.

    When the journal cannot write, `records` of which one `needs_disk` are refused: `forward` is *not* delivered and
    `sender` gets `AppendRefused`.  Other records (facts from the venue) are kept in memory and written later, their
    `forward` is delivered: a full disk stops orders and nothing else.
    """

    key: str
    subject: str
    records: tuple[Record, ...]
    forward: tuple[tuple[Path, Message], ...]
    sender: Path


@message
class AppendRefused(Event):
    """The journal could not make these intents durable; they must be treated as never made."""

    records: tuple[Record, ...]
    text: str


@message
class ReplayQuery(Query):
    """Ask the journal for what is needed to rebuild `key`: its newest snapshot and all records after it."""

    key: str


@attrs.frozen
class ReplayAnswer:
    """State of `key` = `snapshot` (or nothing) + `records` in order."""

    run: int
    snapshot: StateSnapshot | None
    records: tuple[Record, ...]


@message
class FlushQuery(Query):
    """Ask the journal to make everything so far durable, whatever the sync policy."""


@attrs.frozen
class JournalStatistics:
    """How the journal is doing."""

    run: int
    seq: int
    segment: str
    bytes_written: int
    unsynced_records: int
    backlog_records: int
    healthy: bool
    text: str


@message
class SymbolHalted(Event):
    """The venue stopped (or resumed) a symbol."""

    venue: Venue
    symbol: Symbol
    halted: bool
    text: str
