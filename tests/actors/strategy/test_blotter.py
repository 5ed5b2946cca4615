"""The blotter against an account that it can only hear of: whatever waits, whenever pictures are taken, they agree."""

from __future__ import annotations

from decimal import Decimal

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.strategy.base import OwnOrder
from actors.strategy.blotter import ENDED_KEPT, Blotter
from protocols.enums import ExecInst, ExecType, OrdStatus, OrdType, Side, TimeInForce
from protocols.ids import ClOrdID, OrderID, TradeID
from protocols.orders import ExecutionReport
from protocols.positions import AccountPicture, OpenOrder
from tests.actors.strategy.bench import ACCOUNT, BTC, NAME, VENUE, held, instrument

D = Decimal
ZERO = Decimal(0)


@attrs.define
class Theirs:
    """An order as the account knows it."""

    cl_ord_id: ClOrdID
    side: Side
    qty: Decimal
    cum: Decimal = Decimal(0)
    status: OrdStatus = OrdStatus.NEW


class Account:
    """The truth, and the mail that has not been read yet."""

    def __init__(self) -> None:
        self.orders: dict[ClOrdID, Theirs] = {}
        self.holding = D(0)
        self.now_ns = 1
        self.mail: list[ExecutionReport] = []

    def _tell(self, order: Theirs, exec_type: ExecType, last_qty: Decimal = ZERO) -> None:
        self.now_ns += 1
        self.mail.append(
            ExecutionReport(
                order.cl_ord_id,
                OrderID("1"),
                ACCOUNT,
                NAME,
                VENUE,
                BTC,
                order.side,
                exec_type,
                order.status,
                order.qty,
                order.cum,
                self.now_ns,
                self.now_ns,
                last_qty=last_qty,
                last_px=D(100),
                trade_id=TradeID(str(self.now_ns)),
            )
        )

    def accept(self, order: OwnOrder) -> None:
        theirs = Theirs(order.cl_ord_id, order.side, order.order_qty)
        self.orders[order.cl_ord_id] = theirs
        self._tell(theirs, ExecType.NEW)

    def fill(self, order: Theirs, qty: int) -> None:
        qty_now = min(D(qty), order.qty - order.cum)
        if qty_now <= 0:
            return
        order.cum += qty_now
        if not order.status.is_final:
            order.status = OrdStatus.FILLED if order.cum == order.qty else OrdStatus.PARTIALLY_FILLED
        self.holding += order.side.sign * qty_now
        self._tell(order, ExecType.TRADE, qty_now)

    def cancel(self, order: Theirs) -> None:
        if not order.status.is_final:
            order.status = OrdStatus.CANCELED
            self._tell(order, ExecType.CANCELED)

    def picture(self) -> AccountPicture:
        self.now_ns += 1
        live = tuple(self._open(order) for order in self.orders.values() if not order.status.is_final)
        return AccountPicture(ACCOUNT, VENUE, live, (held(str(self.holding), "100"),), (), "")

    def _open(self, order: Theirs) -> OpenOrder:
        return OpenOrder(
            order.cl_ord_id,
            OrderID("1"),
            ACCOUNT,
            VENUE,
            BTC,
            NAME,
            order.side,
            OrdType.LIMIT,
            order.qty,
            D(100),
            order.cum,
            order.status,
            TimeInForce.GTC,
            ExecInst.NONE,
            in_doubt=False,
            created_ns=0,
        )


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["send", "accept", "fill", "fill", "cancel", "read", "read", "resync", "restart"]),
        st.integers(0, 9),
        st.integers(1, 3),
    ),
    max_size=80,
)


@settings(max_examples=2000, deadline=None)
@given(STEPS)
def test_no_fill_is_lost_or_counted_twice_whatever_waits(steps: list[tuple[str, int, int]]) -> None:
    """Orders are sent, filled (late ones too) and canceled; mail waits; the strategy restarts; the account resyncs."""
    account, blotter = Account(), Blotter(NAME, (BTC,))
    blotter.learn({BTC: instrument(BTC)})
    on_the_way: list[OwnOrder] = []
    sent = 0
    for what, which, qty in steps:
        known = list(account.orders.values())
        if what == "send":
            sent += 1
            side = Side.BUY if which % 2 else Side.SELL
            order = OwnOrder(ClOrdID(f"b{sent}"), BTC, side, OrdType.LIMIT, D(qty), D(100), account.now_ns)
            blotter.add(order)
            on_the_way.append(order)
        elif what == "accept" and on_the_way:
            account.accept(on_the_way.pop(0))
        elif what == "fill" and known:
            account.fill(known[which % len(known)], qty)
        elif what == "cancel" and known:
            account.cancel(known[which % len(known)])
        elif what == "read" and account.mail:
            blotter.apply(account.mail.pop(0))
        elif what == "resync":
            blotter.take_picture(account.picture(), account.now_ns)
        elif what == "restart":
            blotter = Blotter(NAME, (BTC,))
            blotter.learn({BTC: instrument(BTC)})
            blotter.take_picture(account.picture(), account.now_ns)
    for order in on_the_way:
        account.accept(order)
    for report in account.mail:
        blotter.apply(report)
    assert blotter.holding(BTC).qty == account.holding
    truth = {order.cl_ord_id: order.cum for order in account.orders.values() if not order.status.is_final}
    assert {order.cl_ord_id: order.cum_qty for order in blotter.open_orders(BTC)} == truth


def test_the_memory_of_finished_orders_is_bounded() -> None:
    account, blotter = Account(), Blotter(NAME, (BTC,))
    for number in range(ENDED_KEPT + 50):
        order = OwnOrder(ClOrdID(f"b{number}"), BTC, Side.BUY, OrdType.LIMIT, D(1), D(100), 0)
        blotter.add(order)
        account.accept(order)
        account.cancel(account.orders[order.cl_ord_id])
    for report in account.mail:
        blotter.apply(report)
    assert len(blotter._ended) == ENDED_KEPT
    assert blotter.open_orders(None) == ()
