"""Who owns what: one entry for each (symbol, strategy) of an account, built from fills alone.

Three sums do not depend on the order in which fills arrive, and they are exact:

* `qty`: what is held, signed.  On spot a fee taken in the base asset makes it smaller: of 1 BTC bought with 0.001 BTC
  fee, 0.999 are held and can be sold, and the venue's balance says the same;
* `cash`: quote units received less paid, fees in the quote asset included;
* `fees`: all fees by asset.  Those in base and quote are already in `qty` and `cash`; others (BNB) are only here.

One thing does depend on it: how much of the profit counts as realized, because average cost looks back.  So fills are
folded in the order of the venue (`transact_ns`, then trade id) whatever the order of arrival: the newest fills of an
entry stay in its `tail`, and one that comes late is sorted in and the tail folded again.  Only a fill older than the
whole tail is folded where it arrives.

`cost` is what the open quantity cost.  Then the realized profit is `cash + cost` (fees in quote, and in base at the
fill's price, included), and at a mark the whole profit is `cash + qty * mark`: nothing is created or lost between the
two (I20).  On derivatives quantities are contracts and every value is multiplied
by `contract_size`; `cash` is then a running account of the contracts' values, no movement of money.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from decimal import Decimal

import attrs

from protocols.enums import Side
from protocols.errors import InvariantViolation
from protocols.ids import AccountID, StrategyID, Symbol, TradeID, Venue
from protocols.instruments import Product
from protocols.journal import SymbolDefined
from protocols.positions import Position

ZERO = Decimal(0)
_BUY, _SPOT = Side.BUY, Product.SPOT
TAIL = 16
"""A fill may come late by at least so many fills of its entry, and realized profit is what it would have been."""

TailKey = tuple[int, int, str]
"""(transact_ns, length of the trade id, trade id): the venue's order of fills.  Ids that are numbers compare as
numbers, because the longer one is the greater one."""
TailFill = tuple[TailKey, Decimal, Decimal, Decimal, Decimal]
"""(key, change of the quantity, value of one unit, open quantity and cost after it)."""


def fold(qty: Decimal, cost: Decimal, delta: Decimal, value: Decimal) -> tuple[Decimal, Decimal]:
    """Open quantity and its cost after one more fill, by average cost.

    Growing adds cost, shrinking takes the same share of cost as of quantity, crossing zero starts anew at `value`.
    """
    after = qty + delta
    if not qty or (qty > 0) is (delta > 0):
        return after, cost + delta * value
    if not after:
        return ZERO, ZERO
    if (after > 0) is (qty > 0):
        return after, cost * after / qty
    return after, after * value


def _key_of(fill: TailFill) -> TailKey:
    return fill[0]


@attrs.define(eq=False)
class Entry:
    """One strategy's holding of one symbol."""

    symbol: Symbol
    strategy: StrategyID
    qty: Decimal = ZERO
    cash: Decimal = ZERO
    cost: Decimal = ZERO
    fees: dict[str, Decimal] = attrs.field(factory=dict)
    updated_ns: int = 0
    base_qty: Decimal = ZERO
    """Open quantity before the oldest fill of `tail`."""
    base_cost: Decimal = ZERO
    tail: list[TailFill] = attrs.field(factory=list)
    """The newest fills, in the venue's order."""

    def add(self, key: TailKey, delta: Decimal, value: Decimal) -> None:
        """Fold one fill in at its place in the venue's order."""
        tail = self.tail
        if not tail or key >= tail[-1][0]:
            self.qty, self.cost = qty, cost = fold(self.qty, self.cost, delta, value)
            tail.append((key, delta, value, qty, cost))
        else:
            at = bisect_right(tail, key, key=_key_of)
            tail.insert(at, (key, delta, value, ZERO, ZERO))
            self._refold(at)
        if len(tail) >= 2 * TAIL:
            self.base_qty, self.base_cost = tail[TAIL - 1][3:]
            del tail[:TAIL]

    def take_out(self, key: TailKey, delta: Decimal, value: Decimal) -> None:
        """Undo one fill: as if it had never been where the tail still has it, else by its opposite."""
        for at, fill in enumerate(self.tail):
            if fill[:3] == (key, delta, value):
                del self.tail[at]
                self._refold(at)
                return
        self.add(key, -delta, value)

    def _refold(self, start: int) -> None:
        """Fold the tail anew from its fill number `start` on."""
        tail = self.tail
        qty, cost = tail[start - 1][3:] if start else (self.base_qty, self.base_cost)
        for at in range(start, len(tail)):
            key, delta, value = tail[at][:3]
            qty, cost = fold(qty, cost, delta, value)
            tail[at] = (key, delta, value, qty, cost)
        self.qty, self.cost = qty, cost


class Ledger:
    """All entries of one account on one venue."""

    __slots__ = ("_account", "_venue", "entries", "symbols")

    def __init__(self, account: AccountID, venue: Venue) -> None:
        self._account = account
        self._venue = venue
        self.entries: dict[tuple[Symbol, StrategyID], Entry] = {}
        self.symbols: dict[Symbol, SymbolDefined] = {}

    def define(self, symbol: SymbolDefined) -> None:
        """From now on fills of this symbol know what they move."""
        self.symbols[symbol.symbol] = symbol

    def book(
        self,
        symbol: Symbol,
        strategy: StrategyID,
        side: Side,
        qty: Decimal,
        px: Decimal,
        fee: Decimal,
        fee_asset: str,
        transact_ns: int,
        trade_id: TradeID,
        *,
        undo: bool = False,
    ) -> Entry:
        """Book one fill (or take it back: a trade that the venue has canceled).  Returns the entry it moved."""
        entry = self.entries.get((symbol, strategy))
        if entry is None:
            entry = self.entries[symbol, strategy] = Entry(symbol, strategy)
        delta = qty if side is _BUY else -qty
        value = px
        definition = self.symbols.get(symbol)
        if definition is not None and definition.product is not _SPOT:
            value = px * definition.contract_size
        cash = -delta * value
        if fee:
            entry.fees[fee_asset] = entry.fees.get(fee_asset, ZERO) + (-fee if undo else fee)
            if definition is not None:
                if fee_asset == definition.quote:
                    cash -= fee
                elif fee_asset == definition.base and definition.product is _SPOT:
                    delta -= fee
        key = (transact_ns, len(trade_id), trade_id)
        if undo:
            entry.cash -= cash
            entry.take_out(key, delta, value)
        else:
            entry.cash += cash
            entry.add(key, delta, value)
        if transact_ns > entry.updated_ns:
            entry.updated_ns = transact_ns
        return entry

    def correct(self, symbol: Symbol, strategy: StrategyID, delta: Decimal, px: Decimal, at_ns: int) -> Entry:
        """Take over what the venue holds beyond our fills, at a price that somebody has decided; no fee."""
        side = _BUY if delta > 0 else Side.SELL
        return self.book(symbol, strategy, side, abs(delta), px, ZERO, "", at_ns, TradeID("correction"))

    def position(self, entry: Entry) -> Position:
        """The entry as others see it."""
        qty = entry.qty
        avg_px = entry.cost / qty if qty else ZERO
        definition = self.symbols.get(entry.symbol)
        if definition is not None and definition.product is not _SPOT:
            avg_px /= definition.contract_size
        fees = entry.fees
        return Position(
            self._account,
            self._venue,
            entry.symbol,
            entry.strategy,
            qty,
            avg_px,
            entry.cash + entry.cost,
            tuple(fees.items()) if len(fees) < 2 else tuple(sorted(fees.items())),
            entry.updated_ns,
        )

    def positions(self, strategy: StrategyID | None = None) -> Iterator[Position]:
        """All positions, flat ones with a history included; or those of one strategy."""
        for entry in self.entries.values():
            if strategy is None or entry.strategy == strategy:
                yield self.position(entry)

    def net_qty(self, symbol: Symbol) -> Decimal:
        """What all strategies together hold of a symbol: the venue nets them."""
        return sum((entry.qty for (name, _), entry in self.entries.items() if name == symbol), ZERO)

    def contracts(self) -> dict[Symbol, Decimal]:
        """What all strategies together hold of each contract symbol, flat ones with a history included."""
        held: dict[Symbol, Decimal] = {}
        for entry in self.entries.values():
            definition = self.symbols.get(entry.symbol)
            if definition is not None and definition.product is not _SPOT:
                held[entry.symbol] = held.get(entry.symbol, ZERO) + entry.qty
        return held

    def average_px(self, symbol: Symbol) -> Decimal:
        """What the net position of a contract cost on average; 0 when it is flat."""
        entries = [entry for entry in self.entries.values() if entry.symbol == symbol]
        qty = sum((entry.qty for entry in entries), ZERO)
        definition = self.symbols.get(symbol)
        if not qty or definition is None:
            return ZERO
        return max(sum((entry.cost for entry in entries), ZERO) / qty / definition.contract_size, ZERO)

    def explained(self) -> dict[str, Decimal]:
        """How our fills have moved each asset of the spot wallet; the rest of a balance is not ours to explain."""
        moved: dict[str, Decimal] = {}

        def move(asset: str, qty: Decimal) -> None:
            moved[asset] = moved.get(asset, ZERO) + qty

        for entry in self.entries.values():
            definition = self.symbols.get(entry.symbol)
            if definition is None or definition.product is not Product.SPOT:
                continue
            move(definition.base, entry.qty)
            move(definition.quote, entry.cash)
            for asset, fee in entry.fees.items():
                if asset not in (definition.base, definition.quote):
                    move(asset, -fee)
        return moved

    def check(self) -> None:
        """Every field of every entry; InvariantViolation names the entry."""
        for (symbol, strategy), entry in self.entries.items():
            wrong = ""
            if (entry.symbol, entry.strategy) != (symbol, strategy):
                wrong = f"is filed under {symbol}, {strategy}"
            elif not entry.qty and entry.cost:
                wrong = f"flat with cost {entry.cost}"
            elif entry.qty and entry.cost and (entry.qty > 0) is not (entry.cost > 0):
                wrong = f"qty {entry.qty} with cost {entry.cost}"
            elif len(entry.tail) >= 2 * TAIL or entry.tail != sorted(entry.tail, key=lambda fill: fill[0]):
                wrong = f"tail of {len(entry.tail)} fills is too long or not in order"
            elif entry.qty != entry.base_qty + sum((fill[1] for fill in entry.tail), ZERO):
                wrong = f"qty {entry.qty} is not base {entry.base_qty} plus the tail"
            elif entry.tail and (entry.qty, entry.cost) != entry.tail[-1][3:]:
                wrong = f"qty {entry.qty}, cost {entry.cost} are not those after the last fill"
            elif not entry.base_qty and entry.base_cost:
                wrong = f"base is flat with cost {entry.base_cost}"
            elif entry.updated_ns < 0 or "" in entry.fees or not entry.cash.is_finite():
                wrong = f"updated_ns {entry.updated_ns}, fees {entry.fees}, cash {entry.cash}"
            if wrong:
                raise InvariantViolation(f"position {entry.symbol}/{entry.strategy}: {wrong}")
