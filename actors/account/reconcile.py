"""Comparing what we believe with what the venue says.

What goes to the reconciler is here (`believed`, `fills_since`), and what its answer means for balances (`Remainders`).
Orders need nothing of their own: the answer's reports take the same road as those of the stream, missing fills first,
and "not found" opens a doubt.

Contract positions are compared in `positions`.  A balance is explained by our fills up to a remainder: the inventory
that we started with, deposits and withdrawals, trades that we never saw.  The remainder of each asset is kept in the
state and belongs to nobody's strategy (MANUAL).  When it changes, the change is real only if it is seen twice with
nothing in flight: balances and fills of one answer are fetched one after the other, and a fill in between would look
like a difference.

Balances that other things than our spot fills move are not compared (`moved_by_others`): the money that contracts are
settled in, which funding and the netting of strategies move, also where it lies in a wallet that a venue of spot shares
with one of contracts.  There the positions are what is compared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal

from actors.account.state import AccountState
from protocols.ids import Symbol
from protocols.instruments import Instrument, Product
from protocols.journal import UnexplainedChanged
from protocols.orders import ExecutionReport
from protocols.reconcile import BelievedOrder, FillsSince

ZERO = Decimal(0)
CLOCK_MARGIN_NS = 10_000_000_000
"""By so much the venue's clock may be behind ours when the first records are made."""


def believed(state: AccountState, *, with_unanswered: bool) -> tuple[BelievedOrder, ...]:
    """Orders that we think are live or in doubt.

    In an audit the ones that were sent a moment ago are left out (`with_unanswered` false): their answer is on its way.
    """
    return tuple(
        BelievedOrder(order.cl_ord_id, order.order_id, order.symbol, order.cum_qty)
        for order in state.orders.live.values()
        if with_unanswered or order.order_id is not None or order.in_doubt
    )


def fills_since(state: AccountState, symbols: Iterable[Symbol], now_ns: int, overlap_ns: int) -> tuple[FillsSince, ...]:
    """Where to continue each symbol's history.

    Not after the newest fill that we know: a report may have been lost before it while the stream seemed well.  The
    last `overlap_ns` are asked for again (what we know of them is recognised), as far back as fills are remembered;
    without any fill from the beginning of our records.
    """
    orders = state.orders
    born = (state.born_ns or now_ns) - CLOCK_MARGIN_NS
    newest = {symbol: transact_ns for symbol, (transact_ns, _) in orders.last_fill.items()}
    oldest: dict[Symbol, ExecutionReport] = {}
    before: dict[Symbol, ExecutionReport] = {}
    for fill in orders.fills.values():
        symbol = fill.symbol
        if symbol not in oldest or _place(fill) < _place(oldest[symbol]):
            oldest[symbol] = fill
        old_enough = fill.transact_ns <= newest[symbol] - overlap_ns
        if old_enough and (symbol not in before or _place(fill) > _place(before[symbol])):
            before[symbol] = fill
    rows = []
    for symbol in dict.fromkeys([*state.ledger.symbols, *newest, *symbols]):
        start = before.get(symbol)
        if start is None and symbol in orders.fills_horizon:
            start = oldest.get(symbol)
        if start is None:
            rows.append(FillsSince(symbol, None, born))
        else:
            rows.append(FillsSince(symbol, start.trade_id, start.transact_ns))
    return tuple(rows)


def _place(fill: ExecutionReport) -> tuple[int, int, str]:
    trade_id = fill.trade_id or ""
    return (fill.transact_ns, len(trade_id), trade_id)


def moved_by_others(state: AccountState, instruments: Mapping[Symbol, Instrument]) -> frozenset[str]:
    """Assets whose balances our spot fills cannot explain."""
    if any(instrument.product is not Product.SPOT for instrument in instruments.values()):
        return frozenset(state.balances.by_asset)
    if not any(balance.wallet for balance in state.balances):
        return frozenset()
    return frozenset(instrument.quote for instrument in instruments.values())


class Remainders:
    """Finds changes of what our fills do not explain; remembers what it saw once and wants to see again."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[str, Decimal] = {}
        """Differences seen once."""

    def compare(self, state: AccountState, at_ns: int, not_these: Collection[str] = ()) -> Iterator[UnexplainedChanged]:
        """Records of the changes that are certain now.  Call it only when nothing was in flight."""
        explained = state.ledger.explained()
        first = not state.unexplained
        for asset in sorted({*state.balances.by_asset, *explained, *state.unexplained}.difference(not_these)):
            balance = state.balances.by_asset.get(asset)
            remainder = (balance.total if balance is not None else ZERO) - explained.get(asset, ZERO)
            known = None if first else state.unexplained.get(asset, ZERO)
            if remainder == known:
                self._seen.pop(asset, None)
            elif known is None or self._seen.get(asset) == remainder:
                self._seen.pop(asset, None)
                yield UnexplainedChanged(state.account, state.venue, asset, remainder, known, at_ns)
            else:
                self._seen[asset] = remainder

    def pending(self) -> bool:
        """Whether a difference was seen once and should be looked at again soon."""
        return bool(self._seen)
