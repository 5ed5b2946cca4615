"""The engine's order path with an in-process venue: real strategy actor, router, gates, account, journal, portfolio.

Only the venue is a stand-in: `InProcessVenue` takes the place of order entry, encodes every order with the real codec
(what would go to the socket) and answers with the acknowledgement and the fill at once.  Nothing of ours is left out:
both gates decide, the journal writes to a real file, the account applies, the ledger and the P&L are kept.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path as FilePath

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actors.account.actor import AccountActor
from actors.account.settings import AccountSettings
from actors.journal.actor import JournalActor
from actors.journal.home import JournalHome
from actors.portfolio.actor import PortfolioActor
from actors.risk.actor import AccountGate, FirmGate
from actors.risk.limits import AccountLimits, FirmLimits, SymbolLimits
from actors.router.actor import RouterActor
from actors.strategy.actor import StrategyActor
from actors.strategy.base import Strategy
from config.schema import SyncPolicy
from protocols.base import Message, Query
from protocols.control import InstrumentsChanged
from protocols.enums import ExecType, Liquidity, OrdStatus, OrdType
from protocols.ids import AccountID, OrderID, Path, StrategyID, Symbol, TradeID, Venue
from protocols.instruments import Instrument, InstrumentStatus, PriceStep, Product
from protocols.journal import JOURNAL
from protocols.market import Quote
from protocols.orders import (
    FIRM_GATE,
    ROUTER,
    ExecutionReport,
    NewOrder,
    RequestSent,
    SubmitCancel,
    SubmitOrder,
    account_gate,
    account_path,
)
from protocols.positions import Balance
from protocols.reconcile import (
    Reconcile,
    Reconciled,
    book_path,
    entry_path,
    instruments_path,
    private_path,
    reconciler_path,
)
from protocols.venues.binance_spot import BinanceSpotPrivate
from protocols.venues.binance_spot.signer import Ed25519Signer
from supervisors.actor import Actor
from supervisors.runtime import Runtime
from supervisors.spec import Backoff, ChildSpec, Intensity, SupervisorSpec
from supervisors.supervisor import Supervisor, run_tree

VENUE = Venue("binance-spot")
ACCOUNT = AccountID("bench")
SYMBOL = Symbol("BTCUSDT")
STRATEGY = StrategyID("probe")
PRICE = Decimal("60000.00")
QTY = Decimal("0.00100")
STRATEGY_PATH: Path = f"/strategies/{STRATEGY}"

INSTRUMENT = Instrument(
    venue=VENUE,
    symbol=SYMBOL,
    product=Product.SPOT,
    base="BTC",
    quote="USDT",
    status=InstrumentStatus.TRADING,
    price_steps=(PriceStep(Decimal(0), Decimal("0.01")),),
    min_price=Decimal("0.01"),
    max_price=Decimal(1_000_000),
    qty_step=Decimal("0.00001"),
    min_qty=Decimal("0.00001"),
    max_qty=Decimal(9000),
    min_notional=Decimal(5),
)
_FAR = 10**12


class InProcessVenue(Actor):
    """In place of order entry: encode, acknowledge, fill.  `numbers` makes the venue's ids: they outlive a crash."""

    def __init__(self, codec: BinanceSpotPrivate, numbers: Iterator[int]) -> None:
        self._codec = codec
        self._numbers = numbers
        self.bytes = 0

    def receive(self, message: Message) -> None:
        if type(message) is SubmitOrder:
            self._fill(message.order, message.reply_to)
        elif not isinstance(message, SubmitCancel):
            raise TypeError(f"the bench's venue does not take {type(message).__name__}")

    def _fill(self, order: NewOrder, reply_to: Path) -> None:
        ctx = self.ctx
        now_ns = ctx.now_ns
        number = str(next(self._numbers))
        self.bytes += len(self._codec.new_order(order, number, now_ns, logged_on=True).text)
        ctx.send(reply_to, RequestSent(order.cl_ord_id, now_ns, now_ns + 10**10))
        price = order.price if order.price is not None else PRICE
        for exec_type, status in ((ExecType.NEW, OrdStatus.NEW), (ExecType.TRADE, OrdStatus.FILLED)):
            traded = exec_type is ExecType.TRADE
            ctx.send(
                reply_to,
                ExecutionReport(
                    order.cl_ord_id,
                    OrderID(number),
                    ACCOUNT,
                    STRATEGY,
                    VENUE,
                    SYMBOL,
                    order.side,
                    exec_type,
                    status,
                    order.order_qty,
                    order.order_qty if traded else Decimal(0),
                    now_ns,
                    now_ns,
                    OrdType.LIMIT,
                    price,
                    order.order_qty if traded else Decimal(0),
                    price,
                    order.order_qty * price if traded else Decimal(0),
                    TradeID(number) if traded else None,
                    Decimal("0.06") if traded else Decimal(0),
                    "USDT" if traded else "",
                    Liquidity.TAKER,
                    number + ("t" if traded else "n"),
                ),
            )


class Desk(Actor):
    """In place of the sessions that the order path only asks: instruments, reconciler, private stream, book."""

    def receive(self, message: Message) -> None:
        if isinstance(message, Reconcile):
            balances = (Balance(ACCOUNT, VENUE, "USDT", Decimal(10**9), Decimal(0), self.ctx.now_ns),)
            self.ctx.send(message.reply_to, Reconciled(message.attempt, (), (), (), (), balances, self.ctx.now_ns))

    def answer(self, query: Query) -> object:
        return InstrumentsChanged(VENUE, (INSTRUMENT,))


def _limits() -> dict[str, object]:
    return {
        "max_order_notional": Decimal(_FAR),
        "max_position_notional": Decimal(_FAR),
        "max_exposure": Decimal(_FAR),
        "max_open_orders": _FAR,
        "max_orders_per_s": _FAR,
        "max_orders_per_minute": _FAR,
        "max_orders_per_day": _FAR,
        "price_band": Decimal("0.5"),
        "max_quote_age_ns": _FAR,
        "symbols": {SYMBOL: SymbolLimits(max_order_qty=Decimal(_FAR), max_position_qty=Decimal(_FAR))},
    }


def path_spec(home: JournalHome, make: Callable[[], Strategy], sync: SyncPolicy) -> SupervisorSpec:
    """The order path as one tree."""
    codec = BinanceSpotPrivate(ACCOUNT, Ed25519Signer("bench", Ed25519PrivateKey.generate()))
    numbers = itertools.count(1)
    pairs = ((ACCOUNT, VENUE),)

    def child(path: Path, factory: Callable[[], Actor], *depends_on: Path) -> ChildSpec:
        return ChildSpec(
            name=path.rsplit("/", 1)[1], factory=factory, depends_on=depends_on, capacity=1_000_000, batch=256
        )

    def group(name: str, *children: ChildSpec | SupervisorSpec) -> SupervisorSpec:
        return SupervisorSpec(
            name=name,
            children=children,
            intensity=Intensity(1_000_000, 10**9),
            backoff=Backoff(base_ns=1, max_ns=1),
        )

    book = book_path(VENUE, SYMBOL)
    return group(
        "",
        child(JOURNAL, lambda: JournalActor(home, sync=sync, readers=(FIRM_GATE, account_gate(ACCOUNT)))),
        group("venues", group(VENUE, child(instruments_path(VENUE), Desk), group("books", child(book, Desk)))),
        child("/portfolio", lambda: PortfolioActor(pairs), JOURNAL),
        group(
            "risk",
            child(FIRM_GATE, lambda: FirmGate(FirmLimits(**_limits()), pairs)),  # type: ignore[arg-type]
            child(
                account_gate(ACCOUNT),
                lambda: AccountGate(ACCOUNT, AccountLimits(**_limits(), max_repeats=_FAR), pairs),  # type: ignore[arg-type]
            ),
        ),
        group(
            "accounts",
            group(
                ACCOUNT,
                group(
                    VENUE,
                    child(reconciler_path(ACCOUNT, VENUE), Desk),
                    child(private_path(ACCOUNT, VENUE), Desk),
                    child(entry_path(ACCOUNT, VENUE), lambda: InProcessVenue(codec, numbers)),
                    child(
                        account_path(ACCOUNT, VENUE),
                        lambda: AccountActor(
                            ACCOUNT,
                            VENUE,
                            subscribers=(STRATEGY_PATH,),
                            settings=AccountSettings(),
                            strategies=(STRATEGY,),
                        ),
                        JOURNAL,
                    ),
                ),
            ),
        ),
        child(ROUTER, lambda: RouterActor(pairs)),
        group(
            "strategies",
            child(STRATEGY_PATH, lambda: StrategyActor(STRATEGY, ACCOUNT, VENUE, (SYMBOL,), make), FIRM_GATE),
        ),
    )


def quote_readers() -> Sequence[Path]:
    """Who must know a price before an order may pass."""
    return (FIRM_GATE, account_gate(ACCOUNT), "/portfolio", ROUTER, STRATEGY_PATH)


def say_price(runtime: Runtime) -> None:
    """Give everybody a proven quote."""
    now_ns = runtime.clock.wall_ns()
    quote = Quote(VENUE, SYMBOL, PRICE, Decimal(1), PRICE + Decimal("0.01"), Decimal(1), now_ns, now_ns, 1)
    for reader in quote_readers():
        runtime.deliver(reader, quote)


@asynccontextmanager
async def order_path(
    folder: FilePath,
    make: Callable[[], Strategy],
    sync: SyncPolicy = SyncPolicy.INTERVAL,
) -> AsyncIterator[tuple[Runtime, Supervisor]]:
    """The running order path, everything ready and priced."""
    runtime = Runtime()
    home = JournalHome(folder / "journal")
    async with trio.open_nursery() as nursery:
        roots: list[Supervisor] = []
        started = trio.Event()

        def note(root: Supervisor) -> None:
            roots.append(root)
            started.set()

        async def run() -> None:
            await run_tree(path_spec(home, make, sync), runtime, on_started=note)

        nursery.start_soon(run)
        await started.wait()
        with trio.fail_after(30):
            for cell in runtime.cells():
                await runtime.wait_ready(cell.path)
        say_price(runtime)
        await trio.sleep(0.01)
        try:
            yield runtime, roots[0]
        finally:
            roots[0].request_stop("the bench is over")
    home.close()
