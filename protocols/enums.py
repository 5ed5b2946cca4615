"""Closed vocabularies, named as FIX names them.

A venue's own word that we do not know never becomes one of these by guess: codecs report it as
`protocols.errors.Unrecognized` with the raw text.
"""

from __future__ import annotations

import enum


class Word(enum.Enum):
    """Base of the vocabularies.  Members are singletons, so identity is their hash: a lookup by status costs 20 ns and
    not the 100 ns of hashing the name."""

    __hash__ = object.__hash__


class Side(Word):
    """FIX 54."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for BUY, -1 for SELL."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class OrdType(Word):
    """FIX 40."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"
    STOP_LIMIT = "STOP_LIMIT"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_LIMIT = "TAKE_PROFIT_LIMIT"
    TRAILING_STOP = "TRAILING_STOP"


CONDITIONAL_TYPES = frozenset({OrdType.STOP, OrdType.STOP_LIMIT, OrdType.TAKE_PROFIT, OrdType.TAKE_PROFIT_LIMIT})
"""Orders that wait for a price (`NewOrder.stop_px`) and have no further numbers, as a trailing stop has."""


class TimeInForce(Word):
    """FIX 59.  Post-only is not a lifetime but an `ExecInst`."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTD = "GTD"
    DAY = "DAY"


class ExecInst(enum.Flag):
    """FIX 18: how the venue shall handle the order."""

    NONE = 0
    POST_ONLY = enum.auto()
    REDUCE_ONLY = enum.auto()
    CLOSE_POSITION = enum.auto()


class OrdStatus(Word):
    """FIX 39.  Certainty is kept beside it (`Order.in_doubt`): FIX has no word for "we do not know"."""

    PENDING_NEW = "PENDING_NEW"
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    PENDING_CANCEL = "PENDING_CANCEL"
    PENDING_REPLACE = "PENDING_REPLACE"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    SUSPENDED = "SUSPENDED"

    @property
    def is_final(self) -> bool:
        """True when the venue will never work the order again."""
        return self in FINAL_STATUSES


FINAL_STATUSES = frozenset({OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.REJECTED, OrdStatus.EXPIRED})


class ExecType(Word):
    """FIX 150: what happened to the order."""

    PENDING_NEW = "PENDING_NEW"
    NEW = "NEW"
    TRADE = "TRADE"
    CANCELED = "CANCELED"
    REPLACED = "REPLACED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    RESTATED = "RESTATED"
    SUSPENDED = "SUSPENDED"
    TRADE_CANCEL = "TRADE_CANCEL"
    TRADE_CORRECT = "TRADE_CORRECT"
    ORDER_STATUS = "ORDER_STATUS"


class Liquidity(Word):
    """FIX 851: LastLiquidityInd."""

    MAKER = "MAKER"
    TAKER = "TAKER"
    UNKNOWN = "UNKNOWN"


class OrdRejReason(Word):
    """FIX 103 in our words: who refused an order, and why."""

    # decided by us, before the wire
    HALTED = "halted"
    REDUCE_ONLY_MODE = "reduce_only_mode"
    UNKNOWN_INSTRUMENT = "unknown_instrument"
    NOT_TRADABLE = "not_tradable"
    BAD_PRICE = "bad_price"
    BAD_QUANTITY = "bad_quantity"
    MIN_NOTIONAL = "min_notional"
    MAX_ORDER_QTY = "max_order_qty"
    MAX_ORDER_NOTIONAL = "max_order_notional"
    PRICE_BAND = "price_band"
    NO_REFERENCE_PRICE = "no_reference_price"
    MAX_POSITION = "max_position"
    MAX_EXPOSURE = "max_exposure"
    MAX_OPEN_ORDERS = "max_open_orders"
    ORDER_RATE = "order_rate"
    SELF_CROSS = "self_cross"
    DUPLICATE_CL_ORD_ID = "duplicate_cl_ord_id"
    STALE = "stale"
    NO_ROUTE = "no_route"
    NOT_READY = "not_ready"
    OVERLOADED = "overloaded"
    JOURNAL = "journal"
    NOT_SENT = "not_sent"
    UNSUPPORTED = "unsupported"
    RATE_LIMITED = "rate_limited"
    CLOCK = "clock"
    DRAINING = "draining"
    NOTHING_TO_REPLACE = "nothing_to_replace"
    """The order that this one was to replace is over, or cannot be replaced now."""
    # decided by the venue
    VENUE = "venue"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    WOULD_TAKE = "would_take"
    AUTH = "auth"
    # settled by evidence: the venue has never seen it
    NEVER_ARRIVED = "never_arrived"


class CxlRejReason(Word):
    """FIX 102: why a cancel or an amend had no effect."""

    UNKNOWN_ORDER = "unknown_order"
    TOO_LATE = "too_late"
    ALREADY_PENDING = "already_pending"
    NOT_READY = "not_ready"
    NOT_SENT = "not_sent"
    UNSUPPORTED = "unsupported"
    VENUE = "venue"
    JOURNAL = "journal"
    RISK = "risk"
    """A gate did not let an amend pass; the text names the limit."""
    STALE = "stale"


class CxlRejResponseTo(Word):
    """FIX 434: what was refused."""

    CANCEL = "cancel"
    REPLACE = "replace"
    """An amend, or the half of a replacement that was to end the old order."""


class DoubtReason(Word):
    """Why we do not know what the venue did with a request."""

    NO_REPLY = "no_reply"
    CONNECTION_LOST = "connection_lost"
    VENUE_UNKNOWN = "venue_unknown"
    RESTARTED = "restarted"
    NO_REPORT = "no_report"
    """The venue acknowledged the request, and no report followed."""


class AlarmKind(Word):
    """What should never happen and did; each one is looked at by a person."""

    OVERFILL = "overfill"
    """The venue filled more than was ordered."""
    FILLS_MISSING = "fills_missing"
    """The venue counts more than it can show trades for."""
    ORDER_CAME_BACK = "order_came_back"
    """An order that we had ended without a report of the venue works there after all."""
    ORDER_VANISHED = "order_vanished"
    """An order that the venue had confirmed is unknown there."""
    UNEXPLAINED = "unexplained"
    """The venue's balance moved and no fill of ours says why."""
    POSITION_DIFFERS = "position_differs"
    """The venue holds another contract position than our fills add up to."""


class TradingState(Word):
    """What new orders are allowed, per scope; ordered by strictness."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"


class MoneyPolicy(Word):
    """What a supervisor does with money when its restart budget is spent."""

    HOLD = "hold"
    REDUCE_ONLY = "reduce_only"
    CANCEL = "cancel"
    FLATTEN = "flatten"


class GapReason(Word):
    """Why a stream is not proven continuous."""

    STARTING = "starting"
    SEQUENCE = "sequence"
    DISCONNECTED = "disconnected"
    CROSSED = "crossed"
    STALE = "stale"
    OVERFLOW = "overflow"
    VENUE_RESET = "venue_reset"
    CHECKSUM = "checksum"


class Channel(Word):
    """Public streams of a venue; each length of candles is a stream of its own."""

    BOOK = "book"
    BOOK_TICKER = "book_ticker"
    """Best bid and ask."""
    TRADES = "trades"
    TICKER = "ticker"
    """Last price and what happened in 24 hours."""
    CANDLES_1S = "candles_1s"
    CANDLES_1M = "candles_1m"
    CANDLES_3M = "candles_3m"
    CANDLES_5M = "candles_5m"
    CANDLES_10M = "candles_10m"
    CANDLES_15M = "candles_15m"
    CANDLES_30M = "candles_30m"
    CANDLES_1H = "candles_1h"
    CANDLES_2H = "candles_2h"
    CANDLES_4H = "candles_4h"
    CANDLES_6H = "candles_6h"
    CANDLES_12H = "candles_12h"
    CANDLES_1D = "candles_1d"


class StatsPeriod(Word):
    """What time open, high, low and change of a ticker speak of; its volume is always that of 24 hours."""

    ROLLING_24H = "rolling_24h"
    UTC_DAY = "utc_day"


class Source(Word):
    """Where a piece of market data comes from."""

    STREAM = "stream"
    """The venue's WebSocket."""
    REST = "rest"
    BUILT = "built"
    """Computed here, from trades."""


class Quality(enum.Flag):
    """What is wrong with a piece of market data; nothing is repaired, it is said.  `GOOD` is false, doubt is true."""

    GOOD = 0
    UNPROVEN = enum.auto()
    """Its stream is interrupted, or the book's sequence is not continuous: the last that was known."""
    STALE = enum.auto()
    """Older than it may be."""
    CROSSED = enum.auto()
    """Best bid not below best ask."""
    JUMP = enum.auto()
    """The price moved further at once than is plausible."""
    DEVIATES = enum.auto()
    """REST and stream say different things."""
    BACKWARD = enum.auto()
    """The venue's clock stands before that of the piece before it."""
    GAP = enum.auto()
    """Pieces are missing between the one before and this one."""
    LEAP = enum.auto()
    """The venue's clock stands further ahead of the piece before it than time has passed."""
