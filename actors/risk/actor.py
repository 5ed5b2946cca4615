"""The gates as actors: `/risk/firm` decides for all accounts together, `/risk/<account>` for one.

A gate owns one scope: its limits, its exposure, its trading state.  It is the only one that can say `FirmApproved`
(firm) or `RiskApproved` (account), and an account sends nothing else.  Amends that may raise risk go the same way
(`FirmApprovedAmend`, `RiskApprovedAmend`) and count as orders.

**Ready only when proven.**  A gate that came (back) to life knows nothing, so it stays not ready, and orders are
refused, until it has

1. its trading state from the journal (a kill switch survives every restart);
2. the instruments, where the venue is up (orders in unknown ones are refused anyway);
3. a picture of every account of its scope.  The firm gate first asks each account gate, whose mailbox is read in order:
   what its former incarnation had approved has then reached the account, and is in the account's picture.

A venue that is down must not keep the other ones from trading.  So an account that is not proven within
`PROOF_PATIENCE_NS` is not waited for: its own gate takes the picture that its journal gives (live orders in full, and
nothing can be sent while the account is not ready), and the firm gate counts the account at its whole limit, which is
what its own gate can have let pass at most, until every one of its venues is proven.

Reports that waited in the mailbox meanwhile may be in the pictures already; `exposure` sorts that out.

**Trading state.**  ACTIVE, REDUCING (only reductions leave), HALTED (nothing leaves; cancels do not pass a gate and
are always possible).  A change takes effect at once, is then written to the journal and announced; the journal is not
asked for permission, because halting must work when the disk does not.  The breaker of `gate` sets REDUCING, not
HALTED: a runaway can add nothing any more, and protective exits stay possible.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, ClassVar

from actors.risk.gate import DAY_NS, AmendRefusal, Refusal, RiskGate
from actors.risk.limits import AccountLimits, FirmLimits
from protocols.base import Message, Query
from protocols.canonical import state_hash
from protocols.control import (
    Drain,
    ExposureQuery,
    InstrumentsChanged,
    SetTradingState,
    TradingStateIs,
)
from protocols.enums import CxlRejReason, OrdRejReason, TradingState
from protocols.ids import AccountID, Path, Symbol, Venue
from protocols.journal import (
    JOURNAL,
    Append,
    JournalState,
    ReplayAnswer,
    ReplayQuery,
    StateSnapshot,
    SymbolHalted,
    TradingStateChanged,
)
from protocols.market import BOOK_STREAM, TRADE_STREAM, GapClosed, GapOpened, Quote
from protocols.orders import (
    FIRM_GATE,
    AmendClosed,
    ExecutionReport,
    FirmApproved,
    FirmApprovedAmend,
    NewOrder,
    OrderRefused,
    RiskApproved,
    RiskApprovedAmend,
    RoutedAmend,
    RoutedOrder,
    account_gate,
    account_path,
    refuse,
    refuse_amend,
)
from protocols.positions import AccountPicture, AccountQuery, AccountResynced
from protocols.reconcile import InstrumentsQuery, book_path, instruments_path
from supervisors.actor import Actor, AskError, Down, Up

__all__ = ["FIRM_SCOPE", "AccountGate", "FirmGate", "gate_path", "risk_key"]

FIRM_SCOPE = "firm"

_MS = 1_000_000
ASK_TIMEOUT_NS = 5_000 * _MS
RETRY_NS = 100 * _MS
PROOF_PATIENCE_NS = 5_000 * _MS
INSTRUMENTS_TIMEOUT_NS = 1_000 * _MS
"""Not waited for longer: a venue that is down must not keep the gate from serving the others."""

_COUNT_SAVES_PER_DAY = 256


def gate_path(scope: str) -> Path:
    """Address of the gate that owns a scope."""
    return FIRM_GATE if scope == FIRM_SCOPE else account_gate(AccountID(scope))


def risk_key(scope: str) -> str:
    """Journal stream of a gate."""
    return f"risk/{scope}"


class _Gate(Actor):
    """What both gates share: everything but the name of what they approve and whom they ask."""

    COMMAND: ClassVar[type[RoutedOrder] | type[FirmApproved]]
    APPROVED: ClassVar[type[FirmApproved] | type[RiskApproved]]
    AMEND: ClassVar[type[RoutedAmend] | type[FirmApprovedAmend]]
    APPROVED_AMEND: ClassVar[type[FirmApprovedAmend] | type[RiskApprovedAmend]]
    BEFORE: ClassVar[tuple[Path, ...]]
    """Gates that have let pass what comes here."""

    def __init__(
        self,
        scope: str,
        limits: FirmLimits | AccountLimits,
        accounts: Iterable[tuple[AccountID, Venue]],
        listeners: Iterable[Path],
    ) -> None:
        self.gate = RiskGate(scope, limits)
        self._accounts = tuple(accounts)
        self._listeners = tuple(listeners)
        self._approved: dict[tuple[AccountID, Venue], Path] = {}
        self._whole: Mapping[AccountID, Decimal] = {}
        """Most that an account may be worth, where this gate can count it so."""
        self._unproven: set[tuple[AccountID, Venue]] = set()
        self._cause = ""
        self._waiting_for = ""
        self._refused: dict[OrdRejReason, int] = {}
        self._amends_refused: dict[CxlRejReason, int] = {}
        self._ignored: dict[str, int] = {}
        # The day's order count is saved now and then; after a restart it is taken as high as it can have been.
        self._count_stride = max(1, limits.max_orders_per_day // _COUNT_SAVES_PER_DAY)
        self._books: dict[Path, tuple[Venue, Symbol]] = {}
        """Whose end is the end of what they have quoted."""
        self._handlers: dict[type[Message], Callable[[Any], None]] = {
            ExecutionReport: self.gate.exposure.report,
            OrderRefused: self._on_order_refused,
            Quote: self._on_quote,
            GapOpened: self._on_gap_opened,
            GapClosed: self._on_gap_closed,
            AccountResynced: self._on_account_resynced,
            InstrumentsChanged: self._on_instruments,
            SymbolHalted: self._on_symbol_halted,
            SetTradingState: self._on_set_trading_state,
            JournalState: self._on_journal_state,
            Drain: self._on_drain,
            Down: self._on_down,
            Up: self._on_up,
            self.AMEND: self._on_amend,
            AmendClosed: self.gate.exposure.close_amend,
        }

    # ---- coming to life ---------------------------------------------------------------------------------------

    async def started(self) -> None:
        """Rebuild trading state and exposure; returning opens the ready gate."""
        await self._restore()
        for venue in dict.fromkeys(venue for _, venue in self._accounts):
            await self._ask_instruments(venue)
        patient_until_ns = self.ctx.monotonic_ns + PROOF_PATIENCE_NS
        for account, venue in self._accounts:
            await self._settle_approved(account)
            await self._take_picture(account, venue, patient_until_ns)
        self._waiting_for = ""
        self._announce()
        if self.gate.state is not TradingState.ACTIVE:
            self._note_state("from before")

    async def _settle_approved(self, account: AccountID) -> None:
        """Make sure that what a former incarnation approved has reached the account."""

    async def _take_picture(self, account: AccountID, venue: Venue, patient_until_ns: int) -> None:
        """What the account holds: as the venue has confirmed it, or else as our records have it."""
        path = account_path(account, venue)
        self._waiting_for = path
        patience_ns = max(0, patient_until_ns - self.ctx.monotonic_ns)
        if not await self.ctx.wait_ready(path, patience_ns):
            self._unproven.add((account, venue))
            if account in self._whole:
                self.gate.exposure.whole[account] = self._whole[account]
            self.ctx.note("unproven", f"{path} is not reconciled: it counts as the worst that it can be")
        asked_ns = self.ctx.now_ns
        picture = await self._ask(path, AccountQuery(unproven=True), ready=False)
        assert isinstance(picture, AccountPicture)
        self.gate.exposure.rebuild(picture, picture.taken_ns or asked_ns)

    def _prove(self, account: AccountID, venue: Venue) -> None:
        """The venue has confirmed what the account holds there."""
        if (account, venue) in self._unproven:
            self._unproven.discard((account, venue))
            if not any(pair[0] == account for pair in self._unproven):
                self.gate.exposure.whole.pop(account, None)
            self.ctx.note("proven", f"{account_path(account, venue)} is reconciled")

    async def _restore(self) -> None:
        answer = await self._ask(JOURNAL, ReplayQuery(risk_key(self.gate.scope)))
        assert isinstance(answer, ReplayAnswer)
        gate = self.gate
        day, orders_today = self.ctx.now_ns // DAY_NS, 0
        if answer.snapshot is not None:
            saved = json.loads(answer.snapshot.state)
            gate.state = TradingState(saved["state"])
            self._cause = saved["cause"]
            if saved["day"] == day:
                orders_today = saved["orders_today"]
        # Orders since the last save are not in it: take the most that there can have been.
        gate.count_day(day, orders_today + self._count_stride - 1)
        for record in answer.records:
            if isinstance(record, TradingStateChanged):
                gate.state = record.state
                self._cause = record.cause

    async def _ask_instruments(self, venue: Venue) -> None:
        try:
            changed = await self.ctx.ask(instruments_path(venue), InstrumentsQuery(), INSTRUMENTS_TIMEOUT_NS)
        except AskError:
            return  # they are announced when the venue is up; until then its orders are refused as unknown
        self._on_instruments(changed)

    async def _ask(self, path: Path, query: Query, *, ready: bool = True) -> object:
        """An answer that must be had: wait for it as long as it takes, and show for whom."""
        while True:
            self._waiting_for = path
            try:
                if ready:
                    await self.ctx.wait_ready(path)
                return await self.ctx.ask(path, query, ASK_TIMEOUT_NS)
            except (AskError, KeyError):  # down, or not yet in the tree: both pass, or are shown in `inspect`
                await self.ctx.sleep(RETRY_NS)

    # ---- orders -----------------------------------------------------------------------------------------------

    def receive(self, message: Message) -> None:
        """Orders first; what a gate has no use for is counted, visible in `inspect`."""
        if type(message) is self.COMMAND:
            self._on_order(message.order)
            return
        handler = self._handlers.get(type(message))
        if handler is None:
            name = type(message).__name__
            self._ignored[name] = self._ignored.get(name, 0) + 1
            return
        handler(message)

    def _on_order(self, order: NewOrder) -> None:
        ctx, gate = self.ctx, self.gate
        to = self._approved.get((order.account, order.venue))
        if to is None:
            text = f"{ctx.path} has no account {order.account} on {order.venue}"
            self._refuse(order, Refusal(OrdRejReason.NO_ROUTE, text))
            return
        refusal = gate.decide(order, ctx.now_ns, ctx.monotonic_ns)
        if refusal is None:
            ctx.send(to, self.APPROVED(order))
            if not gate.orders_today % self._count_stride:
                self._save(())
            return
        self._refuse(order, refusal)
        self._heed_breaker()

    def _heed_breaker(self) -> None:
        if self.gate.tripped:
            self._change(TradingState.REDUCING, principal=self.ctx.path, cause=self.gate.tripped)
            self.gate.tripped = ""

    def _on_amend(self, command: RoutedAmend | FirmApprovedAmend) -> None:
        ctx, gate, amend = self.ctx, self.gate, command.amend
        to = self._approved.get((amend.account, amend.venue))
        if to is None:
            text = f"{ctx.path} has no account {amend.account} on {amend.venue}"
            refusal: AmendRefusal | None = AmendRefusal(CxlRejReason.UNKNOWN_ORDER, text)
        else:
            refusal = gate.decide_amend(amend, ctx.now_ns, ctx.monotonic_ns)
        if refusal is None and to is not None:
            ctx.send(to, self.APPROVED_AMEND(amend))
            if not gate.orders_today % self._count_stride:
                self._save(())
        else:
            assert refusal is not None  # there is no such account, or the gate says why
            self._amends_refused[refusal.reason] = self._amends_refused.get(refusal.reason, 0) + 1
            for path, told in refuse_amend(amend, refusal.reason, f"{ctx.path}: {refusal.text}", self.BEFORE):
                ctx.send(path, told)
            self._heed_breaker()

    def _refuse(self, order: NewOrder, refusal: Refusal) -> None:
        reason = refusal.reason
        self._refused[reason] = self._refused.get(reason, 0) + 1
        # While the id belongs to a live order, the gates must not hear of this one: they would release that one.
        reused = order.cl_ord_id in self.gate.exposure.orders
        for to, refused in refuse(order, reason, f"{self.ctx.path}: {refusal.text}"):
            if to == order.reply_to or not (reused or to == self.ctx.path):
                self.ctx.send(to, refused)

    def _on_order_refused(self, message: OrderRefused) -> None:
        self.gate.exposure.release(message.cl_ord_id)

    # ---- market -----------------------------------------------------------------------------------------------

    def _on_quote(self, message: Quote) -> None:
        self.gate.exposure.set_quote(message, self.ctx.now_ns, self.ctx.monotonic_ns)

    def _on_gap_opened(self, message: GapOpened) -> None:
        if message.stream == TRADE_STREAM:
            return  # nothing is priced from trades
        self.gate.exposure.gap_opened(message.venue, message.symbol, message.stream)

    def _on_gap_closed(self, message: GapClosed) -> None:
        self.gate.exposure.gap_closed(message.venue, message.symbol, message.stream, message.closed_ns)

    def _on_instruments(self, message: InstrumentsChanged) -> None:
        for instrument in message.instruments:
            self._watch_book(message.venue, instrument.symbol)
            self.gate.exposure.set_instrument(instrument)

    def _watch_book(self, venue: Venue, symbol: Symbol) -> None:
        path = book_path(venue, symbol)
        if path not in self._books:
            self._books[path] = venue, symbol
            try:
                self.ctx.watch(path)
            except KeyError:
                self.ctx.note("no_book", f"{path} is not in the tree: nothing is priced from it")

    def _on_down(self, down: Down) -> None:
        """A book that crashed cannot say so itself; its next incarnation opens the gap again, and closes it."""
        book = self._books.get(down.path)
        if book is not None and not down.running:
            self.gate.exposure.gap_opened(*book, BOOK_STREAM)

    def _on_up(self, up: Up) -> None:
        """From when on it is proven the book says itself."""

    def _on_symbol_halted(self, message: SymbolHalted) -> None:
        self.gate.exposure.market(message.venue, message.symbol).halted = message.halted

    def _on_account_resynced(self, message: AccountResynced) -> None:
        if (message.account, message.venue) in self._approved:
            self.gate.exposure.rebuild(message.picture, message.picture.taken_ns or self.ctx.now_ns)
            self._prove(message.account, message.venue)

    # ---- trading state ----------------------------------------------------------------------------------------

    def _on_set_trading_state(self, message: SetTradingState) -> None:
        owner = gate_path(message.scope)
        if owner != self.ctx.path:
            self.ctx.send(owner, message)
            return
        if message.state is TradingState.ACTIVE:
            self.gate.reset_breaker()
        self._change(message.state, message.principal, message.cause)

    def _change(self, state: TradingState, principal: str, cause: str) -> None:
        self.gate.state = state
        self._cause = cause
        changed = TradingStateChanged(self.gate.scope, state, principal, cause, self.ctx.now_ns)
        self._save((changed,))
        self._announce()
        self._note_state(principal)

    def _note_state(self, principal: str) -> None:
        self.ctx.note("trading_state", f"{self.gate.scope} is {self.gate.state.value}: {self._cause} ({principal})")

    def _save(self, changes: tuple[TradingStateChanged, ...]) -> None:
        """Write the change and the whole state after it: recovery needs the newest pair only."""
        gate, now_ns = self.gate, self.ctx.now_ns
        state = {
            "state": gate.state.value,
            "cause": self._cause,
            "day": gate.day,
            "orders_today": gate.orders_today,
        }
        text = json.dumps(state, sort_keys=True)
        key = risk_key(gate.scope)
        snapshot = StateSnapshot(text, state_hash(text), now_ns)
        self.ctx.send(JOURNAL, Append(key, "engine", (*changes, snapshot), (), self.ctx.path))

    def _announce(self) -> None:
        announced = TradingStateIs(self.gate.scope, self.gate.state, self._cause)
        for listener in self._listeners:
            self.ctx.send(listener, announced)

    def _on_journal_state(self, message: JournalState) -> None:
        self.gate.journal_healthy = message.healthy

    def _on_drain(self, message: Drain) -> None:
        self.gate.draining = True

    # ---- questions --------------------------------------------------------------------------------------------

    def answer(self, query: Query) -> object:
        """`ExposureQuery` -> `ExposurePicture`."""
        if isinstance(query, ExposureQuery):
            return self.gate.picture(self.ctx.monotonic_ns)
        return super().answer(query)

    def inspect(self) -> Mapping[str, object]:
        """State summary for the console."""
        gate = self.gate
        return {
            "scope": gate.scope,
            "state": gate.state.value,
            "cause": self._cause,
            "waiting_for": self._waiting_for,
            "draining": gate.draining,
            "journal_healthy": gate.journal_healthy,
            "open_orders": len(gate.exposure.orders),
            "exposure": str(gate.exposure.worth_with_unproven()),
            "unproven": sorted(account_path(*pair) for pair in self._unproven),
            "orders_today": gate.orders_today,
            "refused": {reason.value: count for reason, count in self._refused.items()},
            "amends_refused": {reason.value: count for reason, count in self._amends_refused.items()},
            "ignored": dict(self._ignored),
        }


class FirmGate(_Gate):
    """`/risk/firm`: `RoutedOrder` in, `FirmApproved` out to the gate of the order's account."""

    COMMAND = RoutedOrder
    APPROVED = FirmApproved
    AMEND = RoutedAmend
    APPROVED_AMEND = FirmApprovedAmend
    BEFORE = ()

    def __init__(
        self,
        limits: FirmLimits,
        accounts: Iterable[tuple[AccountID, Venue]],
        listeners: Iterable[Path] = (),
        whole: Mapping[AccountID, Decimal] | None = None,
    ) -> None:
        """`whole`: the most that each account's own gate lets pass; it counts for an account that is not proven."""
        super().__init__(FIRM_SCOPE, limits, accounts, listeners)
        self._whole = whole if whole is not None else {}
        self._approved = {pair: account_gate(pair[0]) for pair in self._accounts}

    async def _settle_approved(self, account: AccountID) -> None:
        await self._ask(account_gate(account), ExposureQuery())


class AccountGate(_Gate):
    """`/risk/<account>`: `FirmApproved` in, `RiskApproved` out to the account on the order's venue."""

    COMMAND = FirmApproved
    APPROVED = RiskApproved
    AMEND = FirmApprovedAmend
    APPROVED_AMEND = RiskApprovedAmend
    BEFORE = (FIRM_GATE,)

    def __init__(
        self,
        account: AccountID,
        limits: AccountLimits,
        accounts: Iterable[tuple[AccountID, Venue]],
        listeners: Iterable[Path] = (),
    ) -> None:
        """`accounts`: this account with each of its venues."""
        super().__init__(account, limits, accounts, listeners)
        self._approved = {pair: account_path(*pair) for pair in self._accounts}
