"""The words of the exchange: enumerations, the symbol, the order, the trade, the execution.

Names follow FIX. An `Order` is the venue's own record and is mutable; only `core.exchange` and the modules it
is made of change one. What leaves the exchange is rendered at once by the dialect, so nobody outside ever
holds an order across a change.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any

import attrs

from tools.simulator.core.decimals import ONE, ZERO, quote_ceil, quote_floor

if TYPE_CHECKING:
    from tools.simulator.core.accounts import Account
    from tools.simulator.core.algos import Algo
    from tools.simulator.core.lists import OrderList


class Side(Enum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class OrdType(Enum):
    LIMIT = "LIMIT"
    LIMIT_MAKER = "LIMIT_MAKER"
    MARKET = "MARKET"
    STOP_LOSS = "STOP_LOSS"
    STOP_LOSS_LIMIT = "STOP_LOSS_LIMIT"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_LIMIT = "TAKE_PROFIT_LIMIT"


def with_commission(amount: Decimal, rate: Decimal) -> Decimal:
    """`amount` with commission at `rate` on top, rounded up to the asset unit."""
    return amount if not rate else quote_ceil(amount, ONE + rate)


CONDITIONAL = frozenset({OrdType.STOP_LOSS, OrdType.STOP_LOSS_LIMIT, OrdType.TAKE_PROFIT, OrdType.TAKE_PROFIT_LIMIT})
PRICELESS = frozenset({OrdType.MARKET, OrdType.STOP_LOSS, OrdType.TAKE_PROFIT})


class TimeInForce(Enum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class OrdStatus(Enum):
    PENDING_NEW = "PENDING_NEW"
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    EXPIRED_IN_MATCH = "EXPIRED_IN_MATCH"


LIVE = frozenset({OrdStatus.PENDING_NEW, OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED})


class ExecType(Enum):
    NEW = "NEW"
    CANCELED = "CANCELED"
    REPLACED = "REPLACED"
    REJECTED = "REJECTED"
    TRADE = "TRADE"
    EXPIRED = "EXPIRED"
    TRADE_PREVENTION = "TRADE_PREVENTION"


class StpMode(Enum):
    """Self-trade prevention: what happens when an account would trade with itself."""

    NONE = "NONE"
    EXPIRE_TAKER = "EXPIRE_TAKER"
    EXPIRE_MAKER = "EXPIRE_MAKER"
    EXPIRE_BOTH = "EXPIRE_BOTH"
    DECREMENT = "DECREMENT"
    TRANSFER = "TRANSFER"


class MarketKind(Enum):
    SPOT = "spot"  # assets change hands
    LINEAR = "linear"  # a position in the base, paid and margined in the settlement asset


class PositionSide(Enum):
    """Which of an account's positions in a symbol: the only one (one-way mode), or one of the two (hedge mode)."""

    BOTH = "BOTH"
    LONG = "LONG"
    SHORT = "SHORT"


class MarginMode(Enum):
    CROSS = "CROSS"
    ISOLATED = "ISOLATED"


class PriceKind(Enum):
    """Which price a trigger looks at."""

    LAST = "LAST"
    MARK = "MARK"
    INDEX = "INDEX"


class RejectReason(Enum):
    """Why the exchange itself refused; the dialect turns each into its code and text."""

    INSUFFICIENT_BALANCE = "insufficient balance"
    DUPLICATE_CL_ORD_ID = "duplicate client order id"
    WOULD_MATCH = "a post-only order would match"
    WOULD_TRIGGER = "a stop order would trigger at once"
    UNKNOWN_ORDER = "unknown order"
    CANCEL_RESTRICTION = "the order is not in the state the cancel asked for"
    MARKET_CLOSED = "the symbol is not trading"
    ZERO_NOTIONAL = "price times quantity is zero"
    LIST_PRICES = "the prices of the list's legs are on the wrong sides"
    AMEND_INCREASE = "an amend may not increase the quantity"
    AMEND_BELOW_FILLED = "an amend may not go below what has traded"
    AMEND_NO_CHANGE = "the amend would change nothing"
    INSUFFICIENT_MARGIN = "margin is insufficient"
    REDUCE_ONLY = "a reduce-only order would not reduce"
    NOT_FILLABLE = "fill-or-kill cannot fill"
    NO_LIQUIDITY = "nothing to trade with"
    NO_POSITION = "no position to close"


class Reject(Exception):
    """The exchange refused a request; nothing has changed."""

    def __init__(self, reason: RejectReason, order: Order | None = None) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.order = order


@attrs.frozen(kw_only=True)
class SymbolSpec:
    """What the matching engine must know of one symbol; the filters belong to the dialect.

    `symbol` is the market key, unique in the whole family; `name` what the wire calls it (see `core.dialect`).
    """

    symbol: str
    base: str
    quote: str
    tick_size: Decimal
    step_size: Decimal
    trading: bool = True
    name: str = attrs.field(default=attrs.Factory(lambda self: self.symbol, takes_self=True))
    category: str = ""
    kind: MarketKind = MarketKind.SPOT
    settle: str = attrs.field(default=attrs.Factory(lambda self: self.quote, takes_self=True))  # margin and profit
    contract_size: Decimal = ONE  # base units in one of what orders count
    fee_in_quote: bool = False  # spot: both sides pay commission in quote (Upbit), else in what they receive
    tick_rule: Callable[[Decimal], Decimal] | None = None  # tick as a function of price, where it is one
    order_worth: Decimal = Decimal(10_000)  # of a typical street order, in quote
    maintenance_rate: Decimal = Decimal("0.004")  # linear: of the notional, below which a position is taken over
    max_leverage: Decimal = Decimal(125)

    @property
    def is_linear(self) -> bool:
        return self.kind is MarketKind.LINEAR

    def tick_at(self, price: Decimal) -> Decimal:
        """The step between prices around `price`."""
        return self.tick_size if self.tick_rule is None else self.tick_rule(price)

    def amount(self, price: Decimal, qty: Decimal) -> Decimal:
        """What changes hands for `qty` at `price`, in quote, cut to the asset unit."""
        return quote_floor(price, qty if self.contract_size == 1 else qty * self.contract_size)

    def amount_up(self, price: Decimal, qty: Decimal) -> Decimal:
        """As `amount`, rounded up: what must be reserved."""
        return quote_ceil(price, qty if self.contract_size == 1 else qty * self.contract_size)


@attrs.define(eq=False, slots=True, kw_only=True)
class Order:
    """One order as the venue keeps it. Times are nanoseconds; quantities are in base units."""

    symbol: str
    account: Account | None  # None: the street, which has no account and needs no money
    cl_ord_id: str
    side: Side
    ord_type: OrdType
    time_in_force: TimeInForce = TimeInForce.GTC
    price: Decimal = ZERO
    order_qty: Decimal = ZERO
    quote_order_qty: Decimal = ZERO  # MARKET by quote amount; order_qty is then what was bought in the end
    stop_px: Decimal = ZERO
    trailing_delta: int = 0  # basis points, 0 = not trailing
    iceberg_qty: Decimal = ZERO
    stp_mode: StpMode = StpMode.NONE
    strategy_id: int | None = None
    strategy_type: int | None = None
    position_side: PositionSide = PositionSide.BOTH  # linear only, as the next two
    reduce_only: bool = False
    close_position: bool = False  # at its trigger it takes the size of the position
    post_only: bool = False  # as LIMIT_MAKER, on venues where that is a flag or a time in force
    trigger_by: PriceKind = PriceKind.LAST
    trigger_rises: bool | None = None  # at or above `stop_px`, or below; None: as its type says
    extra: dict[str, Any] = attrs.Factory(dict)  # what the dialect wants to remember: flags as sent, price match, ...

    order_id: int = 0
    venue_id: str = ""  # its number as the venue writes it
    order_list: OrderList | None = None
    algo: Algo | None = None  # the conditional order that set it free
    ord_status: OrdStatus = OrdStatus.NEW
    cum_qty: Decimal = ZERO
    cum_quote: Decimal = ZERO
    prevented_qty: Decimal = ZERO
    prevented_match_id: int | None = None
    locked: Decimal = ZERO  # what is still reserved for this order, in `locked_asset`
    locked_asset: str = ""
    lock_rate: Decimal = ZERO  # commission that a buy must have locked on top (Upbit)
    is_working: bool = False  # on the book, or past it
    visible_qty: Decimal = ZERO  # the slice of an iceberg that shows
    place: int = 0  # in the queue: of two at one price the lower one stands in front
    trail_px: Decimal = ZERO  # best price seen since a trailing stop became active; 0 = not active
    transact_ns: int = 0
    update_ns: int = 0
    working_ns: int = 0
    trailing_ns: int = 0
    amends: int = 0
    realized: Decimal = ZERO  # linear: profit of its fills, before commission
    commission: Decimal = ZERO  # of all its fills; `commission_asset` is that of the last
    commission_asset: str = ""
    counted_new: bool = False  # its acceptance was recorded
    counted_fill: bool = False  # the order count was given back at the first fill
    expiry_reason: str = ""

    @property
    def leaves_qty(self) -> Decimal:
        """What may still trade: ordered, less filled, less prevented. Zero once the order is final."""
        if self.ord_status not in LIVE:
            return ZERO
        return self.order_qty - self.cum_qty - self.prevented_qty

    @property
    def open_qty(self) -> Decimal:
        """As `leaves_qty`, without asking for the status: for use inside the match itself."""
        return self.order_qty - self.cum_qty - self.prevented_qty

    @property
    def is_buy(self) -> bool:
        return self.side is Side.BUY

    @property
    def is_live(self) -> bool:
        return self.ord_status in LIVE

    @property
    def is_conditional(self) -> bool:
        return self.ord_type in CONDITIONAL

    @property
    def limit_px(self) -> Decimal | None:
        """The worst price this order accepts; None for an order that takes any."""
        return None if self.ord_type in PRICELESS else self.price

    @property
    def show_qty(self) -> Decimal:
        """What the public book may show of it."""
        return self.visible_qty if self.iceberg_qty else self.open_qty


@attrs.frozen(slots=True, kw_only=True)
class Trade:
    """One public print. `buyer_is_maker` is true where the aggressor sold."""

    symbol: str
    trade_id: int
    price: Decimal
    qty: Decimal
    quote_qty: Decimal
    time_ns: int
    buyer_is_maker: bool


@attrs.frozen(slots=True, kw_only=True)
class Fill:
    """One side of a trade, as the account that took part sees it."""

    trade: Trade
    order_id: int
    order_list_id: int
    side: Side
    is_maker: bool
    commission: Decimal  # negative: a rebate
    commission_asset: str
    realized: Decimal = ZERO  # linear: profit of this fill, before commission
    position_side: PositionSide = PositionSide.BOTH


@attrs.frozen(slots=True, kw_only=True)
class Execution:
    """One change of one order, handed to the dialect at the moment it happens."""

    exec_id: int
    exec_type: ExecType
    time_ns: int
    fill: Fill | None = None
    orig_cl_ord_id: str = ""  # filled when a cancel or an amend renamed the order
    ord_rej_reason: RejectReason | None = None
    expiry_reason: str = ""
    prevented_qty: Decimal = ZERO
    prevented_px: Decimal = ZERO
    prevented_match_id: int | None = None
    counter_order_id: int = 0
    counter_symbol: str = ""
    trade_group: int = -1
