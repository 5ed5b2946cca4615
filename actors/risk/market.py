"""One symbol of one venue as a gate sees it: its rules, a proven reference price, our own resting prices.

A price is a reference only while it is *proven*: the newest quote came from a continuous book, no gap is open, and the
quote is young.  Quotes are conflated in the mailbox, so a newer quote may stand *before* an older gap message; that is
why a gap's end revives a quote that was received after it (`gap_closed`).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from decimal import Decimal
from typing import TYPE_CHECKING

from protocols.enums import OrdType, TimeInForce
from protocols.ids import AccountID, Symbol, Venue
from protocols.instruments import Instrument, InstrumentStatus, Product
from protocols.market import Quote

if TYPE_CHECKING:
    from actors.risk.exposure import Row, SymbolTotal

__all__ = ["Market"]

ZERO = Decimal(0)
INFINITE = Decimal("Infinity")
NO_BOUND = 10**9
NEVER = -(10**30)


class Market:
    """Reference data of one (venue, symbol), and the exposure rows of the accounts that trade it."""

    __slots__ = (
        "_quoted_at_ns",
        "ask",
        "contract_size",
        "fresh",
        "gaps",
        "halted",
        "high",
        "instrument",
        "is_plain",
        "low",
        "mark",
        "max_notional",
        "max_open_orders",
        "max_price",
        "max_qty",
        "mid",
        "min_notional",
        "min_price",
        "min_qty",
        "ord_types",
        "own_buys",
        "own_sells",
        "price_step",
        "proven_at_ns",
        "qty_step",
        "received_ns",
        "rows",
        "symbol",
        "times_in_force",
        "total",
        "trading",
        "unit",
        "venue",
        "venue_gaps",
    )

    def __init__(self, venue: Venue, symbol: Symbol, total: SymbolTotal, venue_gaps: set[str]) -> None:
        self.venue = venue
        self.symbol = symbol
        self.total = total
        self.instrument: Instrument | None = None
        self.ord_types: tuple[OrdType, ...] = ()
        self.times_in_force: tuple[TimeInForce, ...] = ()
        self.min_qty = self.max_qty = self.qty_step = ZERO
        self.min_price = self.max_price = self.price_step = ZERO
        self.min_notional = self.max_notional = ZERO
        self.max_open_orders = 0
        self.contract_size = ZERO
        self.is_plain = False
        """Quantities are base units: the contract size is 1."""
        self.unit = ZERO
        """Worth of one contract per quote unit of price, in the limits' currency; 0 while it cannot be valued."""
        self.trading = False
        self.halted = False
        """The venue's stream says that the symbol is halted, whatever the instrument says."""
        self.mid = ZERO
        self.low = ZERO
        self.high = ZERO
        """The price band around `mid`."""
        self.ask = ZERO
        self.mark = ZERO
        """Worth of one contract now: the ask, the dearer side; 0 before the first quote."""
        self.proven_at_ns = NEVER
        """Monotonic time of the reference price; NEVER while there is none."""
        self._quoted_at_ns = 0
        self.received_ns = 0
        """When the newest usable quote was received (wall clock); 0 when the newest one is not usable."""
        self.fresh = False
        self.gaps: set[str] = set()
        self.venue_gaps = venue_gaps
        self.own_buys: list[Decimal] = []
        self.own_sells: list[Decimal] = []
        self.rows: dict[AccountID, Row] = {}

    # ---- rules ------------------------------------------------------------------------------------------------

    def set_instrument(self, instrument: Instrument, rate: Decimal) -> None:
        """Take the venue's current rules; `rate` is what one unit of its quote asset is worth, 0 if unknown."""
        self.instrument = instrument
        # Tuples, because the members are found by identity; a set would hash them by name, in Python.
        self.ord_types = tuple(instrument.ord_types)
        self.times_in_force = tuple(instrument.times_in_force)
        self.trading = instrument.status is InstrumentStatus.TRADING
        self._set_grid(instrument)
        self.contract_size = instrument.contract_size
        self.is_plain = instrument.contract_size == 1
        # An inverse contract's worth does not grow with the price, so it has no unit here and cannot be traded.
        self.unit = ZERO if instrument.product is Product.INVERSE else instrument.contract_size * rate
        self.mark = self.ask * self.unit

    def _set_grid(self, instrument: Instrument) -> None:
        """The filters of a LIMIT order with "no such rule" resolved to what passes."""
        self.min_qty, self.max_qty = instrument.min_qty, instrument.max_qty or INFINITE
        self.min_price, self.max_price = instrument.min_price, instrument.max_price or INFINITE
        self.min_notional, self.max_notional = instrument.min_notional, instrument.max_notional or INFINITE
        self.qty_step = instrument.qty_step
        # Where the step depends on the price, the instrument itself is asked each time (see `fits`).
        self.price_step = instrument.price_steps[0].step if len(instrument.price_steps) == 1 else ZERO
        self.max_open_orders = instrument.max_open_orders or NO_BOUND

    def fits(self, qty: Decimal, price: Decimal) -> bool:
        """Quick yes for a LIMIT order on the grid; after a no the instrument knows the reason, if there is one."""
        return (
            ZERO < qty <= self.max_qty
            and qty >= self.min_qty
            and ZERO < price <= self.max_price
            and price >= self.min_price
            and bool(self.price_step and self.qty_step)
            and not qty % self.qty_step
            and not price % self.price_step
            and self.min_notional <= qty * price * self.contract_size <= self.max_notional
        )

    # ---- reference price --------------------------------------------------------------------------------------

    def quote(self, quote: Quote, now_ns: int, monotonic_ns: int) -> bool:
        """Take a newer quote; True when the mark moved.  A one-sided quote is no reference."""
        if not quote.proven or not quote.bid_qty or not quote.ask_qty:
            self.received_ns = 0
            self.doubt()
            return False
        self.fresh = True
        self.received_ns = quote.received_ns
        age_ns = now_ns - quote.received_ns
        # Counted in monotonic time from here on, so that a step of the wall clock makes no old price young.
        self._quoted_at_ns = monotonic_ns - age_ns if age_ns > 0 else monotonic_ns
        self.renew()
        mid = self.mid = (quote.bid_px + quote.ask_px) / 2
        self.low = mid * self.total.low
        self.high = mid * self.total.high
        if quote.ask_px == self.ask:
            return False
        self.ask = quote.ask_px
        self.mark = self.ask * self.unit
        return True

    def gap_opened(self, stream: str) -> None:
        """The stream is not proven: nothing may be priced from it."""
        self.gaps.add(stream)
        self.doubt()

    def doubt(self) -> None:
        """No quote seen so far is a reference any more."""
        self.fresh = False
        self.proven_at_ns = NEVER

    def gap_closed(self, stream: str, closed_ns: int) -> None:
        """Proven again: a quote that was received after the gap had closed counts, though it was read before."""
        self.gaps.discard(stream)
        if self.received_ns >= closed_ns:
            self.fresh = True
        self.renew()

    def renew(self) -> None:
        """Bring `proven_at_ns` in line with freshness and gaps."""
        is_proven = self.fresh and not self.gaps and not self.venue_gaps
        self.proven_at_ns = self._quoted_at_ns if is_proven else NEVER

    # ---- own resting prices -----------------------------------------------------------------------------------

    def rest(self, is_buy: bool, price: Decimal) -> None:
        """One of our limit orders rests (or may rest) at `price`."""
        insort(self.own_buys if is_buy else self.own_sells, price)

    def unrest(self, is_buy: bool, price: Decimal) -> None:
        """It does not any more."""
        prices = self.own_buys if is_buy else self.own_sells
        del prices[bisect_left(prices, price)]

    def crossed_by(self, is_buy: bool, price: Decimal) -> Decimal | None:
        """Our own resting price that an order at `price` could trade with, or None."""
        if is_buy:
            return self.own_sells[0] if self.own_sells and self.own_sells[0] <= price else None
        return self.own_buys[-1] if self.own_buys and self.own_buys[-1] >= price else None
