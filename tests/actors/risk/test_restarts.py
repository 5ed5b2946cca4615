"""Router, gates and journal in the real runtime, crashing at any moment: limits hold, nothing leaks, nothing doubles.

The accounts are played by the test (orders in, reports out through the journal, as the account actor does it); whole
engines with real accounts are in `tests/scenarios`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio

from actors.journal.actor import JournalActor
from actors.journal.home import JournalHome
from actors.risk.actor import AccountGate, FirmGate
from actors.risk.limits import AccountLimits, FirmLimits
from actors.router.actor import RouterActor
from protocols.base import Event, Message, Query, message
from protocols.control import ExposurePicture, ExposureQuery, InstrumentsChanged
from protocols.enums import ExecType, Side
from protocols.ids import AccountID, Symbol
from protocols.journal import JOURNAL, Append, FlushQuery
from protocols.orders import (
    FIRM_GATE,
    ROUTER,
    ExecutionReport,
    NewOrder,
    OrderRefused,
    RiskApproved,
    account_gate,
    account_path,
)
from protocols.positions import AccountPicture
from supervisors.actor import Actor, AskError
from supervisors.clock import SystemClock
from supervisors.runtime import Runtime
from supervisors.spec import Backoff, ChildSpec, Intensity, SupervisorSpec
from supervisors.supervisor import run_tree
from tests.actors.risk.world import (
    BTC,
    ETH,
    MASTER,
    SECOND,
    VENUE,
    D,
    instrument,
    only,
    open_order,
    order,
    picture,
    position,
    quote,
    report,
    wide,
)

MAX_POSITION = D(12)
MAKER_PATH = "/strategies/maker"
GATES = (FIRM_GATE, account_gate(MASTER), account_gate(SECOND))
SECOND_NS = 1_000_000_000


@attrs.define
class Held:
    """An order at its account."""

    wish: NewOrder
    cum: Decimal


@message
class Play(Event):
    """Something happens at the venue: one live order trades or is canceled."""

    pick: float
    qty: Decimal


class PlayedAccount(Actor):
    """An account whose state survives it: the test crashes gates, not accounts."""

    def __init__(self, account: AccountID, truth: Truth) -> None:
        self._account = account
        self._truth = truth
        self._newest_ns = 0

    def receive(self, message: Message) -> None:
        live = self._truth.live[self._account]
        if isinstance(message, RiskApproved):
            wish = message.order
            assert wish.cl_ord_id not in self._truth.seen, "an order arrived twice"
            self._truth.seen.add(wish.cl_ord_id)
            live[wish.cl_ord_id] = Held(wish, D(0))
            self._tell(report(wish, received_ns=self.ctx.now_ns))
        elif isinstance(message, Play) and live:
            held = list(live.values())[int(message.pick * len(live))]
            wish = held.wish
            if not message.qty:
                del live[wish.cl_ord_id]
                self._tell(report(wish, ExecType.CANCELED, held.cum, received_ns=self.ctx.now_ns))
                return
            last = min(message.qty, wish.order_qty - held.cum)
            held.cum += last
            if held.cum == wish.order_qty:
                del live[wish.cl_ord_id]
            positions = self._truth.positions
            positions[self._account, wish.symbol] += wish.side.sign * last
            self._tell(report(wish, ExecType.TRADE, held.cum, last, received_ns=self.ctx.now_ns))

    def _tell(self, told: ExecutionReport) -> None:
        self._newest_ns = told.received_ns
        forward = tuple((reader, told) for reader in (FIRM_GATE, account_gate(self._account)))
        self.ctx.send(JOURNAL, Append(f"account/{self._account}", "trades", (told,), forward, self.ctx.path))

    def answer(self, query: Query) -> AccountPicture:
        live = self._truth.live[self._account].values()
        held = [(symbol, self._truth.positions[self._account, symbol]) for symbol in (BTC, ETH)]
        return picture(
            tuple(open_order(one.wish, one.cum) for one in live),
            tuple(position(qty, symbol, self._account) for symbol, qty in held),
            self._newest_ns + 1,
            self._account,
        )


class Truth:
    """What really is at the accounts."""

    def __init__(self) -> None:
        self.live: dict[AccountID, dict[str, Held]] = {MASTER: {}, SECOND: {}}
        self.positions = {(account, symbol): D(0) for account in (MASTER, SECOND) for symbol in (BTC, ETH)}
        self.seen: set[str] = set()
        self.refused: list[OrderRefused] = []

    def reserved(self, account: AccountID, symbol: Symbol, side: Side) -> Decimal:
        live = [held for held in self.live[account].values() if (held.wish.symbol, held.wish.side) == (symbol, side)]
        return sum((held.wish.order_qty - held.cum for held in live), D(0))

    def worst(self, symbol: Symbol) -> Decimal:
        """Sum of the accounts' worst cases."""
        total = D(0)
        for account in (MASTER, SECOND):
            held = self.positions[account, symbol]
            buys, sells = self.reserved(account, symbol, Side.BUY), self.reserved(account, symbol, Side.SELL)
            total += max(held + buys, sells - held)
        return total


class Maker(Actor):
    """Hears what was refused."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth

    def receive(self, message: Message) -> None:
        if isinstance(message, OrderRefused):
            self._truth.refused.append(message)


class Instruments(Actor):
    """Knows two symbols."""

    def answer(self, query: Query) -> InstrumentsChanged:
        return InstrumentsChanged(VENUE, (instrument(BTC), instrument(ETH)))


def tree(truth: Truth, directory: Path) -> SupervisorSpec:
    """The engine's paths, as far as risk is concerned."""
    limits = wide(symbols=only(max_order_qty=D(6), max_position_qty=MAX_POSITION), max_quote_age_ns=3600 * SECOND_NS)
    pairs = [(MASTER, VENUE), (SECOND, VENUE)]
    home = JournalHome(directory)

    def group(name: str, *children: ChildSpec | SupervisorSpec) -> SupervisorSpec:
        return SupervisorSpec(
            name=name,
            children=children,
            intensity=Intensity(10_000, SECOND_NS),
            backoff=Backoff(base_ns=1, max_ns=1),
        )

    def gate_of(account: AccountID) -> ChildSpec:
        # Tighter than the firm's, so that some orders pass the firm's gate and are refused here.
        tighter = only(max_order_qty=D(6), max_position_qty=D(8))
        own = AccountLimits(**{**limits, "symbols": tighter}, max_repeats=10**6)
        return ChildSpec(name=account, factory=lambda: AccountGate(account, own, [(account, VENUE)]), poison_after=99)

    def account_of(account: AccountID) -> SupervisorSpec:
        actor = ChildSpec(name="account", factory=lambda: PlayedAccount(account, truth))
        return group(account, group(VENUE, actor))

    firm = ChildSpec(
        name="firm",
        factory=lambda: FirmGate(FirmLimits(**limits, allow_self_cross=True), pairs),
        poison_after=99,
    )
    return group(
        "",
        ChildSpec(name="journal", factory=lambda: JournalActor(home)),
        group("venues", group(VENUE, ChildSpec(name="instruments", factory=Instruments))),
        group("risk", firm, gate_of(MASTER), gate_of(SECOND)),
        group("accounts", account_of(MASTER), account_of(SECOND)),
        ChildSpec(name="router", factory=lambda: RouterActor(pairs)),
        group("strategies", ChildSpec(name="maker", factory=lambda: Maker(truth))),
    )


@pytest.mark.parametrize("seed", range(12))
async def test_gates_that_crash_at_any_moment_keep_every_limit_and_forget_nothing(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    truth = Truth()
    runtime = Runtime(clock=SystemClock(), seed=seed)
    sent: list[NewOrder] = []
    crashes = 0
    async with trio.open_nursery() as nursery:
        root = await nursery.start(partial(run_tree, tree(truth, tmp_path), runtime))
        with trio.fail_after(60):
            await ready(runtime)
            for _ in range(400):
                quotes(runtime)
                what = chance.random()
                if what < 0.55:
                    wish = random_order(chance)
                    sent.append(wish)
                    runtime.deliver(ROUTER, wish)
                elif what < 0.9:
                    account = chance.choice((MASTER, SECOND))
                    play = Play(chance.random(), D(chance.randint(0, 4)))
                    runtime.deliver(account_path(account, VENUE), play)
                elif what < 0.94:
                    runtime.cell(chance.choice(GATES)).sabotage(chance.choice(("now", "before", "after")))
                    crashes += 1
                elif what < 0.97:
                    # The firm approves an order and dies, while the account's gate has it before it and dies too.
                    await ready(runtime)
                    wish = random_order(chance)
                    sent.append(wish)
                    runtime.cell(account_gate(wish.account)).sabotage("before")
                    runtime.deliver(ROUTER, wish)
                    runtime.pump()
                    runtime.cell(FIRM_GATE).sabotage("now")
                    crashes += 2
                else:
                    await ready(runtime)
                if chance.random() < 0.5:
                    await trio.lowlevel.checkpoint()
                assert truth.worst(BTC) <= MAX_POSITION
                assert truth.worst(ETH) <= MAX_POSITION
            quotes(runtime)  # sets off what is still armed
            await until_quiet(runtime, truth, sent)
            pictures = {path: await ask(runtime, path) for path in GATES}
        root.request_stop("end of the test")
    assert crashes > 5
    assert len(truth.seen) > 20, "the test must trade"
    for path, seen in pictures.items():
        compare(truth, seen, [MASTER, SECOND] if path == FIRM_GATE else [AccountID(path.rsplit("/", 1)[1])])


async def ready(runtime: Runtime) -> None:
    for path in GATES:
        await runtime.wait_ready(path)


def quotes(runtime: Runtime) -> None:
    for path in GATES:
        for symbol in (BTC, ETH):
            runtime.deliver(path, quote(symbol, received_ns=runtime.clock.wall_ns()))


def random_order(chance: random.Random) -> NewOrder:
    return order(
        chance.choice(list(Side)),
        D(chance.randint(1, 7)),
        D(chance.randint(95, 105)),
        account=chance.choice((MASTER, SECOND)),
        symbol=chance.choice((BTC, ETH)),
        reply_to=MAKER_PATH,
    )


async def until_quiet(runtime: Runtime, truth: Truth, sent: list[NewOrder]) -> None:
    """Every order ended in exactly one of: seen by its account, refused to its maker."""
    for _ in range(10_000):
        if len(truth.seen) + len(truth.refused) >= len(sent):
            break
        await trio.sleep(0.001)
    refused = [message.cl_ord_id for message in truth.refused]
    assert len(refused) == len(set(refused)), "an order was refused twice"
    assert truth.seen.isdisjoint(refused)
    await runtime.ask(JOURNAL, FlushQuery(), SECOND_NS)
    for path in GATES:
        await ask(runtime, path)


async def ask(runtime: Runtime, path: str) -> ExposurePicture:
    """A gate's picture; a crash that was still armed may come between being ready and the answer."""
    for _ in range(10):
        await runtime.wait_ready(path)
        try:
            answer = await runtime.ask(path, ExposureQuery(), SECOND_NS)
        except AskError:
            continue  # the crash that was armed; the next incarnation answers
        assert isinstance(answer, ExposurePicture)
        return answer
    raise AssertionError(f"{path} crashed again and again")


def compare(truth: Truth, seen: ExposurePicture, accounts: list[AccountID]) -> None:
    """A gate's belief against the accounts."""
    rows: Mapping[tuple[AccountID, Symbol], tuple[Decimal, Decimal, Decimal]] = {
        (row.account, row.symbol): (row.position, row.reserved_buy, row.reserved_sell) for row in seen.rows
    }
    none = (D(0), D(0), D(0))
    for account in accounts:
        for symbol in (BTC, ETH):
            assert rows.get((account, symbol), none) == (
                truth.positions[account, symbol],
                truth.reserved(account, symbol, Side.BUY),
                truth.reserved(account, symbol, Side.SELL),
            ), (seen.scope, account, symbol)
    assert seen.open_orders == sum(len(truth.live[account]) for account in accounts)


async def test_a_firm_gate_that_restarts_waits_for_what_it_had_approved(tmp_path: Path) -> None:
    """Its approval lies in the mailbox of an account's gate that does not move: nothing may be approved meanwhile."""
    truth = Truth()
    runtime = Runtime(clock=SystemClock(), seed=1)
    async with trio.open_nursery() as nursery:
        root = await nursery.start(partial(run_tree, tree(truth, tmp_path), runtime))
        with trio.fail_after(20):
            await ready(runtime)
            quotes(runtime)
            slow = runtime.cell(account_gate(MASTER))
            slow.set_paused(True)
            wish = order(qty="5", reply_to=MAKER_PATH)
            runtime.deliver(ROUTER, wish)
            runtime.pump()
            assert slow.mailbox.depth
            runtime.cell(FIRM_GATE).sabotage("now")
            for _ in range(50):
                await trio.sleep(0.001)
                assert not runtime.cell(FIRM_GATE).ready
            slow.set_paused(False)
            await runtime.wait_ready(FIRM_GATE)
            seen = await runtime.ask(FIRM_GATE, ExposureQuery(), SECOND_NS)
        root.request_stop("end of the test")
    assert truth.seen == {wish.cl_ord_id}
    compare(truth, seen, [MASTER, SECOND])
