"""The account's events (section 9): orders, executions, positions, wallet, rendered as the exchange reports them.

Every topic is a stream of its own: of one fill the execution, the order, the position and the wallet tell separately.
Order rows are pictures and repeat; positions are told with every change of an order of theirs, even when nothing moved.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from tools.simulator.core.accounts import Account, Position
from tools.simulator.core.clock import MS
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.listener import Listener, WalletChange
from tools.simulator.core.model import ExecType, Execution, Fill, Order, PositionSide, RejectReason
from tools.simulator.dialects.bybit import render
from tools.simulator.dialects.bybit.books import sequence
from tools.simulator.dialects.bybit.instruments import Instrument, plain
from tools.simulator.dialects.bybit.terms import INDEX, Terms, link_id, status_word, terms_of

if TYPE_CHECKING:
    from tools.simulator.dialects.bybit.venue import Bybit

ENDS = {
    # How the matching engine ended an order: the venue's rejectReason for it.
    "INSUFFICIENT_LIQUIDITY": "EC_NoImmediateQtyToFill",
    "UNFILLED_IOC_QUANTITY_EXPIRED": "EC_NoImmediateQtyToFill",
    "UNFILLED_FOK_ORDER_EXPIRED": "EC_NoEnoughQtyToFill",
}
WOULD_TAKE = "EC_PostOnlyWillTakeLiquidity"
EXECUTIONS_KEPT = 50_000


class AccountEvents(Listener):
    """Renders what happens to accounts, keeps what queries must find again, and emits it."""

    def __init__(self, venue: Bybit) -> None:
        self._venue = venue
        self._events = 0
        self.executions: dict[Account, list[dict[str, Any]]] = defaultdict(list)
        """Rows of `execution/list`, oldest first; funding is among them."""
        self.refused: dict[Account, list[Order]] = defaultdict(list)
        """Orders that were acknowledged and never worked (a crossing PostOnly)."""
        self.by_link: dict[tuple[Account, str, str], Order] = {}
        """Account, category and client id -> the order, for ever."""
        self._held: dict[tuple[Account, str, PositionSide], Decimal] = defaultdict(lambda: ZERO)

    # --------------------------------------------------------------------------- what the exchange says
    def on_execution(self, order: Order, execution: Execution) -> None:
        account, kind = order.account, execution.exec_type
        assert account is not None
        instrument = self._venue.infos[order.symbol]
        if "terms" not in order.extra:
            order.extra["terms"] = _forced(order, instrument)
        terms = terms_of(order)
        if kind is ExecType.NEW:
            self._begun(order, terms, instrument)
        elif kind is ExecType.TRADE:
            assert execution.fill is not None
            self._filled(order, execution.fill, instrument)
        elif kind is ExecType.REJECTED:
            if not self._refused(order, terms, instrument, execution.ord_rej_reason):
                return
        elif kind is ExecType.CANCELED:
            if terms.cancel_type == "UNKNOWN":
                terms.cancel_type = "CancelByUser"
        elif kind is ExecType.EXPIRED:
            terms.reject_reason = ENDS.get(execution.expiry_reason, terms.reject_reason)
            if execution.expiry_reason == "REDUCE_ONLY":
                terms.cancel_type = "CancelByReduceOnly"
        elif kind is ExecType.TRADE_PREVENTION:
            if order.is_live:
                return
            terms.cancel_type = "CancelBySmp"
        self._order(account, order, instrument)
        if not instrument.is_spot and kind is not ExecType.TRADE:
            self._positions(account, (account.position(order.symbol, order.position_side),))

    def _begun(self, order: Order, terms: Terms, instrument: Instrument) -> None:
        """Accepted, or for a conditional order that is accepted already: triggered."""
        account = order.account
        assert account is not None
        if not order.counted_new:
            order.counted_new = True
            self._venue.arrivals[link_id(order) or order.venue_id].accepted += 1
            self._remember(account, order, instrument)
        elif order.is_conditional and not terms.triggered:
            terms.triggered = True
            self._order(account, order, instrument, status="Triggered")

    def _remember(self, account: Account, order: Order, instrument: Instrument) -> None:
        link = link_id(order)
        if link:
            self.by_link[account, instrument.category, link] = order

    def _refused(self, order: Order, terms: Terms, instrument: Instrument, reason: RejectReason | None) -> bool:
        """Only what the client was told to have been received is told again on the stream."""
        if order.counted_new:  # a conditional order that could not enter when it was triggered
            terms.triggered = True
            terms.reject_reason = "EC_Others"
            return True
        if reason is not RejectReason.WOULD_MATCH:
            return False
        account = order.account
        assert account is not None
        terms.reject_reason = WOULD_TAKE
        self.refused[account].append(order)
        self._remember(account, order, instrument)
        return True

    def _filled(self, order: Order, fill: Fill, instrument: Instrument) -> None:
        account, terms = order.account, terms_of(order)
        assert account is not None
        coin = fill.commission_asset
        terms.fees[coin] = plain(Decimal(terms.fees.get(coin, "0")) + fill.commission)
        market = self._venue.exchange.markets[order.symbol]
        exec_id = self._exec_id(order, fill, instrument)
        row = render.execution_row(
            order,
            fill,
            instrument,
            exec_id,
            sequence(market),
            self._venue.fee_rate(account, instrument, maker=fill.is_maker),
            self._closed(account, order, fill, instrument),
        )
        if not instrument.is_spot:
            self._venue.exchange.after_action.append(partial(self._exits_follow, account, order))
        self._keep(account, row)
        self.emit(account, "execution", instrument.category, [row], "execution:Trade")
        fast = render.fast_row(order, fill, instrument, exec_id, sequence(market))
        self.emit(account, "execution.fast", instrument.category, [fast], "execution.fast:Trade")

    def _exits_follow(self, account: Account, order: Order) -> None:
        """A fill has moved a position: the order's exits become its own, and those of one that is gone go."""
        exits = self._venue.exits
        exits.order_filled(order, terms_of(order).attached)
        exits.position_moved(account.position(order.symbol, order.position_side))

    def told_again(self, order: Order) -> None:
        """Something about an order has changed that matching does not know of."""
        assert order.account is not None
        self._order(order.account, order, self._venue.infos[order.symbol])

    def _exec_id(self, order: Order, fill: Fill, instrument: Instrument) -> str:
        """One side of a print: the print's own id for the taker, another for the maker, who may be the same account."""
        text = self._venue.streams.trade_id(instrument, fill.trade.trade_id)
        if not fill.is_maker:
            return text
        return f"3{text[1:]}" if instrument.is_spot else f"{text[:14]}6{text[15:]}"

    def _closed(self, account: Account, order: Order, fill: Fill, instrument: Instrument) -> Decimal:
        """How much of a position the fill closed."""
        if instrument.is_spot:
            return ZERO
        key = (account, order.symbol, order.position_side)
        before, change = self._held[key], fill.trade.qty if order.is_buy else -fill.trade.qty
        self._held[key] = before + change
        return min(abs(before), abs(change)) if before * change < 0 else ZERO

    def _keep(self, account: Account, row: dict[str, Any]) -> None:
        rows = self.executions[account]
        rows.append(row)
        if len(rows) > EXECUTIONS_KEPT:
            del rows[: EXECUTIONS_KEPT // 10]

    def rebuild(self, refused: Sequence[Order]) -> None:
        """After a restart: who bears which client id, and what is held."""
        for account in self._venue.exchange.accounts.by_name.values():
            mine = [order for order in refused if order.account is account]
            self.refused[account] += mine
            for order in sorted([*account.orders, *mine], key=lambda each: each.transact_ns):
                self._remember(account, order, self._venue.infos[order.symbol])
            for (symbol, side), position in account.positions.items():
                self._held[account, symbol, side] = position.qty

    def on_balances(self, account: Account, assets: set[str]) -> None:
        self.wallet(account, assets)

    def on_wallet(self, account: Account, change: WalletChange) -> None:
        if change.reason == "FUNDING":
            self._funding(account, change)
        self._positions(account, change.positions)
        self.wallet(account, set(change.balances))

    def _funding(self, account: Account, change: WalletChange) -> None:
        """Funding is told as an execution, and paid where it is positive there (section 9.2)."""
        instrument = self._venue.infos[change.symbol]
        for position in change.positions:
            row = self._venue.funding_row(account, position, change, instrument)
            self._keep(account, row)
            self.emit(account, "execution", instrument.category, [row], "execution:Funding")

    def on_settings(self, account: Account, symbol: str) -> None:
        self._positions(account, tuple(each for each in account.positions.values() if each.symbol == symbol))

    # ------------------------------------------------------------------------------------------ emitting
    def _order(self, account: Account, order: Order, instrument: Instrument, *, status: str = "") -> None:
        row = render.order_row(order, instrument, stream=True)
        word = row["orderStatus"] = status or status_word(order)
        self.emit(account, "order", instrument.category, [row], f"order:{word}")

    def _positions(self, account: Account, positions: tuple[Position, ...]) -> None:
        for position in positions:
            row = self._venue.position_row(position, stream=True)
            self.emit(account, "position", "linear", [row], "position")

    def told_position(self, position: Position) -> None:
        self._positions(position.account, (position,))

    def wallet(self, account: Account, coins: set[str]) -> None:
        """The account's totals and these coins."""
        if self._venue.user_data.wanted(account):
            self.emit(account, "wallet", "", [self._venue.wallet_row(account, coins)], "wallet")

    def emit(self, account: Account, kind: str, category: str, rows: list[dict[str, Any]], subject: str) -> None:
        """One frame to whoever has subscribed to the topic, in either of its forms."""
        channel = self._venue.user_data
        if not channel.wanted(account):
            return
        self._events += 1
        stamp = self._venue.clock.now_ns() // MS
        frame = {"id": f"{account.uid}{stamp}-{self._events:08x}", "topic": "", "creationTime": stamp, "data": rows}

        def build(topics: frozenset[str]) -> bytes | None:
            for topic in (kind, f"{kind}.{category}"):
                if topic in topics:
                    return orjson.dumps(frame | {"topic": topic})
            return None

        channel.emit(account, subject, build)


def _forced(order: Order, instrument: Instrument) -> Terms:
    """The terms of an order that the venue itself sends: a liquidation."""
    return Terms(
        category=instrument.category,
        order_type="Market",
        time_in_force="IOC",
        qty=instrument.qty(order.order_qty),
        position_idx=INDEX[order.position_side],
        reduce_only=True,
        create_type="CreateByLiq",
    )


class DeadMan:
    """The venue's dead-man switch (section 6.6): cancels when the last connection that armed it has been gone too long.

    For institutions alone; a change of the window would take about ten seconds on the venue, here it counts at once.
    """

    PRODUCTS: ClassVar = {
        "dcp.future": ("DERIVATIVES", "linear"),
        "dcp.spot": ("SPOT", "spot"),
        "dcp.option": ("OPTIONS", ""),
    }
    DEFAULT_S = 10

    def __init__(self, venue: Bybit) -> None:
        self._venue = venue
        self.windows: dict[tuple[Account, str], int] = {}
        """Account and product -> seconds, where it was set."""
        self._armed: dict[tuple[Account, str], int] = defaultdict(int)

    def armed(self, account: Account, topic: str) -> None:
        """One more connection holds the subscription."""
        self._armed[account, topic] += 1

    def disarmed(self, account: Account, topic: str) -> None:
        """One is gone; after the last the window runs."""
        self._armed[account, topic] -= 1
        product, _ = self.PRODUCTS[topic]
        window = self.windows.get((account, product))
        if self._armed[account, topic] <= 0 and window is not None:
            self._venue.scheduler.after(window, lambda: self._fire(account, topic))

    def _fire(self, account: Account, topic: str) -> None:
        if self._armed[account, topic] > 0:
            return
        _, category = self.PRODUCTS[topic]
        for order in list(account.open_orders.values()):
            if terms_of(order).category == category and order.is_live:
                terms_of(order).cancel_type = "CancelByDCP"
                self._venue.exchange.cancel(order, order.cl_ord_id)
