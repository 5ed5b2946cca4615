"""What the journal's tests share: orders, fills, and the actor driven without a runtime."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import trio

from actors.journal.actor import JournalActor
from actors.journal.home import JournalHome
from protocols.base import Message
from protocols.enums import ExecType, OrdStatus, OrdType, Side
from protocols.ids import AccountID, ClOrdID, OrderID, StrategyID, Symbol, TradeID, Venue
from protocols.journal import Append, OrderIntent, Record
from protocols.orders import ExecutionReport, NewOrder, SubmitOrder
from supervisors.testing import RecordingContext

KEY = "account/main/binance-spot"
SUBJECT = "orders.binance-spot.BTCUSDT"
ACCOUNT = "/accounts/main/binance-spot/account"
ENTRY = "/accounts/main/binance-spot/entry"
START_NS = 1_700_000_000_000_000_000


def order(number: int) -> NewOrder:
    """A limit order; `number` makes it different from others."""
    return NewOrder(
        ClOrdID(f"b{number:022d}"),
        AccountID("main"),
        StrategyID("tfpe"),
        Venue("binance-spot"),
        Symbol("BTCUSDT"),
        Side.BUY,
        OrdType.LIMIT,
        Decimal("0.0100"),
        Decimal("50000.10"),
        START_NS,
        "/strategies/main/tfpe/BTCUSDT",
    )


def intent(number: int) -> Append:
    """An order's intent, which announces a SubmitOrder to the entry."""
    wish = order(number)
    return Append(KEY, SUBJECT, (OrderIntent(wish, START_NS),), ((ENTRY, SubmitOrder(wish, ACCOUNT)),), ACCOUNT)


def fill(number: int, transact_ns: int = START_NS) -> ExecutionReport:
    """A trade of order `number`, whole."""
    wish = order(number)
    return ExecutionReport(
        wish.cl_ord_id,
        OrderID(str(number)),
        wish.account,
        wish.strategy,
        wish.venue,
        wish.symbol,
        wish.side,
        ExecType.TRADE,
        OrdStatus.FILLED,
        wish.order_qty,
        wish.order_qty,
        transact_ns,
        transact_ns,
        price=wish.price,
        last_qty=wish.order_qty,
        last_px=Decimal("50000.1"),
        cum_quote=Decimal("500.001"),
        trade_id=TradeID(str(number)),
        fee=Decimal("0.00001"),
        fee_asset="BTC",
    )


def fact(number: int) -> Append:
    """A fill, announced to the strategy."""
    report = fill(number)
    return Append(KEY, SUBJECT, (report,), (("/strategies/main/tfpe/BTCUSDT", report),), ACCOUNT)


def plain(*records: Record, key: str = KEY) -> Append:
    """Records that announce nothing."""
    return Append(key, SUBJECT, records, (), ACCOUNT)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what a worker thread or another task will bring about; the suite's own time limit bounds it."""
    while not condition():  # noqa: ASYNC110 - there is no event for "the actor has sent 49 messages"
        await trio.sleep(0.001)


class Bench:
    """A JournalActor on a RecordingContext."""

    def __init__(self, home: JournalHome, **options: Any) -> None:
        self.home = home
        self.actor = JournalActor(home, **options)
        self.ctx = RecordingContext(self.actor, "/journal", START_NS)

    def give(self, *messages: Message) -> list[tuple[str, Message]]:
        """One drained batch; what the actor sent because of it."""
        for message in messages:
            self.actor.receive(message)
        self.actor.batch_done()
        return self.ctx.take()
