"""A strategy on a recording context, with a venue that the test plays by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import attrs

from actors.strategy.actor import StrategyActor
from actors.strategy.base import Strategy
from protocols.base import Message
from protocols.control import InstrumentsChanged
from protocols.enums import ExecType, GapReason, OrdRejReason, OrdStatus, OrdType, Side, TimeInForce
from protocols.ids import AccountID, OrderID, Path, StrategyID, Symbol, TradeID, Venue
from protocols.instruments import Instrument, InstrumentStatus, PriceStep, Product
from protocols.journal import Append, ReplayAnswer, ReplayQuery, StateSnapshot
from protocols.market import Candle, GapClosed, GapOpened, Quote
from protocols.orders import AmendOrder, CancelOrder, ExecutionReport, NewOrder, OrderRefused
from protocols.positions import AccountPicture, AccountQuery, OpenOrder, Position
from protocols.reconcile import CandlesQuery, InstrumentsQuery
from protocols.venue import Capabilities
from supervisors.actor import Up
from supervisors.testing import RecordingContext

D = Decimal
VENUE, ACCOUNT, NAME = Venue("test-venue"), AccountID("master"), StrategyID("sut")
BTC, ETH = Symbol("BTCUSDT"), Symbol("ETHUSDT")
SECOND_NS = 1_000_000_000
RUN = 1_700_000_000


def instrument(symbol: Symbol, product: Product = Product.SPOT, **changes: Any) -> Instrument:
    base = symbol.removesuffix("USDT")
    plain = Instrument(
        venue=VENUE,
        symbol=symbol,
        product=product,
        base=base,
        quote="USDT",
        status=InstrumentStatus.TRADING,
        price_steps=(PriceStep(D(0), D("0.01")),),
        min_price=D("0.01"),
        qty_step=D("0.00001"),
        min_qty=D("0.00001"),
        max_qty=D(9000),
        min_notional=D(5),
    )
    return attrs.evolve(plain, **changes)


def quote(
    bid: str | Decimal, ask: str | Decimal, symbol: Symbol = BTC, *, proven: bool = True, at_ns: int = 0
) -> Quote:
    return Quote(VENUE, symbol, D(bid), D(1), D(ask), D(1), at_ns, at_ns, 1, proven)


def candle(
    open_ns: int,
    ohlc: Sequence[Any],
    volume: Any = 1,
    symbol: Symbol = BTC,
    interval_ns: int = 60 * SECOND_NS,
    **how: Any,
) -> Candle:
    o, h, low, c = (D(str(x)) for x in ohlc)
    return Candle(VENUE, symbol, interval_ns, open_ns, o, h, low, c, D(str(volume)), closed=True, **how)


class Bench:
    """Plays account, router, journal and market around one strategy."""

    def __init__(
        self,
        make: Callable[[], Strategy],
        symbols: Sequence[Symbol] = (BTC,),
        *,
        product: Product = Product.SPOT,
        instruments: Sequence[Instrument] | None = None,
        capabilities: Capabilities | None = None,
    ) -> None:
        self.make = make
        self.capabilities = capabilities
        self.symbols = tuple(symbols)
        self.instruments = tuple(instruments or (instrument(symbol, product) for symbol in symbols))
        self.history: dict[tuple[Symbol, int], tuple[Candle, ...]] = {}
        self.open_orders: tuple[OpenOrder, ...] = ()
        self.positions: tuple[Position, ...] = ()
        self.saved: StateSnapshot | None = None
        self.orders: dict[str, NewOrder] = {}
        self.cum: dict[str, Decimal] = {}
        self.epoch = 0
        self.trades = 0
        self.now_ns = 1_700_000_000 * SECOND_NS
        self.actor: StrategyActor
        self.ctx: RecordingContext

    async def start(self) -> None:
        """A new incarnation."""
        self.epoch += 1
        self.actor = StrategyActor(NAME, ACCOUNT, VENUE, self.symbols, self.make, self.capabilities)
        self.ctx = RecordingContext(self.actor, f"/strategies/{NAME}", self.now_ns)
        self.ctx.epoch = self.epoch
        self.ctx.answers[ReplayQuery] = lambda path, query: ReplayAnswer(RUN, self.saved, ())
        self.ctx.answers[InstrumentsQuery] = lambda path, query: InstrumentsChanged(VENUE, self.instruments)
        self.ctx.answers[AccountQuery] = lambda path, query: self.picture()
        self.ctx.answers[CandlesQuery] = self._candles
        await self.actor.started()
        for symbol in self.symbols:
            self.actor.receive(Up(f"/venues/{VENUE}/books/{symbol}", 1))

    def _candles(self, path: Path, query: CandlesQuery) -> tuple[Candle, ...]:
        return self.history.get((query.symbol, query.interval_ns), ())[-query.limit :]

    def picture(self) -> AccountPicture:
        return AccountPicture(ACCOUNT, VENUE, self.open_orders, self.positions, (), "hash")

    @property
    def code(self) -> Any:
        """The strategy itself."""
        return self.actor._code

    def tell(self, *messages: Message) -> None:
        for item in messages:
            self.actor.receive(item)

    def advance(self, seconds: float) -> None:
        self.ctx.advance(int(seconds * SECOND_NS))
        self.now_ns = self.ctx.now_ns

    def _taken(self, kind: type[Any]) -> list[Any]:
        keep, found = [], []
        for to, item in self.ctx.sent:
            if type(item) is kind:
                found.append(item)
            else:
                keep.append((to, item))
        self.ctx.sent = keep
        return found

    def new_orders(self) -> list[NewOrder]:
        """Orders sent since the last call."""
        orders: list[NewOrder] = self._taken(NewOrder)
        for order in orders:
            assert order.cl_ord_id not in self.orders, "a ClOrdID was used twice"
            self.orders[order.cl_ord_id] = order
        return orders

    def cancels(self) -> list[CancelOrder]:
        """Cancels sent since the last call."""
        return self._taken(CancelOrder)

    def amends(self) -> list[tuple[Path, AmendOrder]]:
        """Amends sent since the last call, and where to."""
        found = [(to, item) for to, item in self.ctx.sent if isinstance(item, AmendOrder)]
        self.ctx.sent = [(to, item) for to, item in self.ctx.sent if not isinstance(item, AmendOrder)]
        return found

    def records(self, kind: type[Any]) -> list[Any]:
        """Journal records of one kind written since the last call; a StateSnapshot is kept for the next start."""
        appends: list[Append] = [item for _, item in self.ctx.sent if isinstance(item, Append)]
        records = [record for append in appends for record in append.records]
        for record in records:
            if isinstance(record, StateSnapshot):
                self.saved = record
        self.ctx.sent = [(to, item) for to, item in self.ctx.sent if not isinstance(item, Append)]
        return [record for record in records if isinstance(record, kind)]

    def report(
        self,
        order: NewOrder,
        exec_type: ExecType,
        ord_status: OrdStatus,
        last_qty: str | Decimal = "0",
        last_px: str | Decimal = "0",
        **how: Any,
    ) -> ExecutionReport:
        """The account's report about `order`; fills add up."""
        cum = self.cum[order.cl_ord_id] = self.cum.get(order.cl_ord_id, D(0)) + D(last_qty)
        self.trades += 1
        return ExecutionReport(
            cl_ord_id=order.cl_ord_id,
            order_id=OrderID("1"),
            account=ACCOUNT,
            strategy=NAME,
            venue=VENUE,
            symbol=order.symbol,
            side=order.side,
            exec_type=exec_type,
            ord_status=ord_status,
            order_qty=order.order_qty,
            cum_qty=cum,
            transact_ns=self.ctx.now_ns,
            received_ns=how.pop("received_ns", self.ctx.now_ns + 1),
            ord_type=order.ord_type,
            price=order.price,
            last_qty=D(last_qty),
            last_px=D(last_px),
            trade_id=TradeID(str(self.trades)) if D(last_qty) else None,
            **how,
        )

    def ack(self, order: NewOrder) -> None:
        self.tell(self.report(order, ExecType.NEW, OrdStatus.NEW))

    def fill(
        self, order: NewOrder, qty: str | Decimal | None = None, px: str | Decimal | None = None, **how: Any
    ) -> None:
        """Fill (the rest of) an order at its price."""
        done = self.cum.get(order.cl_ord_id, D(0))
        last = order.order_qty - done if qty is None else D(qty)
        status = OrdStatus.FILLED if done + last == order.order_qty else OrdStatus.PARTIALLY_FILLED
        price = D(px) if px is not None else order.price
        assert price is not None
        self.tell(self.report(order, ExecType.TRADE, status, last, price, **how))

    def end(self, order: NewOrder, ord_status: OrdStatus = OrdStatus.CANCELED) -> None:
        exec_type = ExecType(ord_status.value)
        self.tell(self.report(order, exec_type, ord_status))

    def refuse(self, order: NewOrder, reason: OrdRejReason = OrdRejReason.MAX_EXPOSURE) -> None:
        self.tell(OrderRefused(order.cl_ord_id, ACCOUNT, NAME, VENUE, order.symbol, reason, "refused in this test"))

    def open_gap(self, symbol: Symbol | None = BTC) -> None:
        self.tell(GapOpened("book", VENUE, symbol, GapReason.SEQUENCE, "hole", self.ctx.now_ns))

    def close_gap(self, symbol: Symbol | None = BTC) -> None:
        self.tell(GapClosed("book", VENUE, symbol, 0, self.ctx.now_ns))


def resting(order: NewOrder, cum: str = "0", **changes: Any) -> OpenOrder:
    """The order as the account's picture lists it."""
    plain = OpenOrder(
        cl_ord_id=order.cl_ord_id,
        order_id=OrderID("1"),
        account=order.account,
        venue=order.venue,
        symbol=order.symbol,
        strategy=order.strategy,
        side=order.side,
        ord_type=order.ord_type,
        order_qty=order.order_qty,
        price=order.price,
        cum_qty=D(cum),
        ord_status=OrdStatus.NEW,
        time_in_force=order.time_in_force,
        exec_inst=order.exec_inst,
        in_doubt=False,
        created_ns=order.created_ns,
    )
    return attrs.evolve(plain, **changes)


def held(qty: str, avg_px: str, symbol: Symbol = BTC, strategy: StrategyID = NAME) -> Position:
    return Position(ACCOUNT, VENUE, symbol, strategy, D(qty), D(avg_px), D(0), (), 0)


__all__ = [
    "ACCOUNT",
    "BTC",
    "ETH",
    "NAME",
    "RUN",
    "SECOND_NS",
    "VENUE",
    "Bench",
    "OrdType",
    "Side",
    "TimeInForce",
    "candle",
    "held",
    "instrument",
    "quote",
    "resting",
]
