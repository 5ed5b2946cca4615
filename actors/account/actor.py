"""One account on one venue: owner of its orders, positions and balances.  Nothing else writes them.

    RiskApproved, CancelOrder, ... --decide--> records --apply--> state
                                       |
                                       +--Append(records, forward)--> journal --forward--> entry, gates, strategy, ...

Every change is a record first: applied here and sent to the journal in the same handler; what it causes outside (the
request to the venue, the report to the strategy) rides on it as `forward`, so that nothing leaves before it is written.
After a restart the same records make the same state, and the venue's picture settles what was on its way.

======================================  ============================================================================
the reply to a new order never comes    doubt; queried by ClOrdID; exposure stays; ends by evidence only
"not found" for a fresh order           doubt, not failure: proof needs the deadline and two answers (P8)
a report twice, late, in any order      the same state in the end (`reports.judge`); counted
an order's end before its last fills    held until they are here, fetched if they do not come
private stream down                     not ready; when it is back the venue's picture, then ready
the journal refuses an intent           the order is forgotten, and refused to strategy and gates
a crash between any two messages        replay, doubt, reconcile
more filled than ordered                booked, alarm, the account is halted
acknowledged, and no report follows     asked for after a second; a cancel is in doubt
another contract position than ours     alarm, and ours becomes the venue's: the difference is MANUAL
======================================  ============================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from actors.account.core import AccountCore
from actors.account.desk import AskOrder, AskStranger, ReportsDue
from actors.account.positions import Differences
from actors.account.reconcile import Remainders, believed, fills_since, moved_by_others
from actors.account.settings import SECOND, AccountSettings
from protocols.base import Event, Message, Query, message
from protocols.control import Drain, Drained, InstrumentsChanged
from protocols.enums import AlarmKind
from protocols.ids import MANUAL, AccountID, Path, StrategyID, Symbol, Venue
from protocols.instruments import Instrument, plain
from protocols.journal import (
    JOURNAL,
    AppendRefused,
    OrderIntent,
    PositionCorrected,
    ReplayAnswer,
    ReplayQuery,
    account_key,
)
from protocols.orders import (
    FIRM_GATE,
    AmendOrder,
    CancelAll,
    CancelOrder,
    ExecutionReport,
    NotSent,
    OrderInDoubt,
    OrderNotFound,
    RequestAcknowledged,
    RequestSent,
    RiskApproved,
    RiskApprovedAmend,
    VenueCancelReject,
    VenueReject,
    account_gate,
)
from protocols.positions import (
    PORTFOLIO,
    AccountPicture,
    AccountQuery,
    AccountResynced,
    Balance,
    BalancesChanged,
    PositionsListed,
    VenuePosition,
)
from protocols.reconcile import (
    InstrumentsQuery,
    OrderFound,
    QueryFailed,
    Reconcile,
    Reconciled,
    ReconcileFailed,
    instruments_path,
    private_path,
    reconciler_path,
)
from supervisors.actor import GROUP_RESTART, Actor, AskError, Down, ReadyWhen, Up

ZERO = Decimal(0)
_DOUBLINGS_MAX = 16
AUDIT_SOON_NS = 1 * SECOND
"""After it showed that the private stream has lost something."""
LOOK_AGAIN_NS = 5 * SECOND
"""After a difference that was seen once, or a first picture in which too much moved."""


@message
class ReconcileDue(Event):
    """Timer: ask the venue for its picture (again); void when another attempt has begun since."""

    attempt: int


@message
class DrainDue(Event):
    """Timer: cancel what still rests."""


class AccountActor(Actor):
    """See the module text.  The ready gate is open while the private stream is up and its picture is ours."""

    READY_WHEN = ReadyWhen.TOLD

    def __init__(
        self,
        account: AccountID,
        venue: Venue,
        subscribers: Sequence[Path] = (),
        settings: AccountSettings | None = None,
        *,
        strategies: Sequence[StrategyID] = (),
        instruments: Sequence[Instrument] = (),
    ) -> None:
        """`subscribers` (the account's strategies) hear `AccountResynced`, besides gates and portfolio.

        `strategies` are the names that may stand in our ClOrdIDs; `instruments` what is known before the venue's
        own list comes (`InstrumentsChanged`).
        """
        self.settings = settings or AccountSettings()
        self.core = AccountCore(account, venue, self.settings, strategies)
        self.core.instruments = {instrument.symbol: instrument for instrument in instruments}
        self._readers = (FIRM_GATE, account_gate(account), PORTFOLIO, *subscribers)
        self._reconciler = reconciler_path(account, venue)
        self._private = private_path(account, venue)
        self._key = account_key(account, venue)
        self._attempt = 0
        self._failures = 0
        self._waiting = False
        """An attempt is out and not answered."""
        self._resyncing = True
        """The gate is shut until the attempt that is out has been answered."""
        self._remainders = Remainders()
        self._differences = Differences()
        self._unquiet = 0
        """Pictures in a row, since the stream came up, in which too much moved for positions and balances to be
        compared; -1 once they were."""
        self._moved_at_request = 0
        self._snapshot_at = self.settings.snapshot_records
        self._snapshot_ns = 0
        self._drain_for: Path | None = None
        core = self.core
        self._handlers: Mapping[type[Message], Callable[[Any], object]] = {
            ExecutionReport: core.report,
            RiskApproved: core.approve,
            RequestSent: self._request_sent,
            CancelOrder: core.cancel_order,
            BalancesChanged: core.balances_changed,
            AmendOrder: core.amend_order,
            RiskApprovedAmend: core.approve_amend,
            CancelAll: self._cancel_all,
            VenueReject: core.venue_reject,
            VenueCancelReject: core.venue_cancel_reject,
            NotSent: core.not_sent,
            OrderInDoubt: core.in_doubt,
            RequestAcknowledged: core.acknowledged,
            ReportsDue: core.reports_due,
            VenuePosition: core.venue_position,
            PositionsListed: core.positions_listed,
            OrderFound: core.order_found,
            OrderNotFound: core.order_not_found,
            QueryFailed: self._query_failed,
            AskOrder: core.ask_order,
            AskStranger: core.ask_stranger,
            Up: self._up,
            Down: self._down,
            Reconciled: self._reconciled,
            ReconcileFailed: self._reconcile_failed,
            ReconcileDue: self._reconcile_due,
            AppendRefused: self._append_refused,
            InstrumentsChanged: self._instruments_changed,
            Drain: self._drain,
            DrainDue: self._drain_due,
        }

    # ---- life --------------------------------------------------------------------------------------------------

    async def started(self) -> None:
        """Replay our records; what was on its way when they end is in doubt."""
        core, ctx = self.core, self.ctx
        core.ctx = ctx
        answer = await ctx.ask(JOURNAL, ReplayQuery(self._key), self.settings.replay_timeout_ns)
        self._replay(answer)
        try:
            known = await ctx.ask(
                instruments_path(core.venue), InstrumentsQuery(), self.settings.instruments_timeout_ns
            )
            self._instruments_changed(known)
        except AskError:
            pass  # the venue is not up yet: its list comes as an event, and until then new symbols are refused
        core.doubt_what_was_on_its_way()
        ctx.set_unready("waiting for the private stream")
        ctx.watch(self._private)

    def _replay(self, answer: ReplayAnswer) -> None:
        state = self.core.state
        if answer.snapshot is not None:
            state.restore(answer.snapshot)
        for record in answer.records:
            state.apply(record)

    async def stopped(self, reason: str) -> None:
        """Leave a snapshot, so that the next start of the process has nothing to replay."""
        if reason != GROUP_RESTART:
            self._snapshot()

    def receive(self, message: Message) -> None:
        """One command or event; then, now and then, a snapshot."""
        handler = self._handlers.get(type(message))
        if handler is None:
            self.core.counts[f"ignored {type(message).__name__}"] += 1
            return
        handler(message)
        if self.core.audit_wanted:
            self._audit_soon()
        if self.core.records >= self._snapshot_at:
            self._snapshot_if_due()
        if self._drain_for is not None:
            self._tell_if_drained()

    def answer(self, query: Query) -> object:
        """`AccountQuery`: the `AccountPicture`."""
        if isinstance(query, AccountQuery):
            return self._picture(query.strategy, hashed=query.hashed)
        return super().answer(query)

    def _picture(self, strategy: StrategyID | None = None, *, hashed: bool = False) -> AccountPicture:
        core = self.core
        made = (self.ctx.epoch, core.records)
        return core.state.picture(strategy, hashed=hashed, venue_positions=tuple(core.held.values()), made=made)

    # ---- snapshots ---------------------------------------------------------------------------------------------

    def _snapshot_if_due(self) -> None:
        """Not more often than every `snapshot_records` records, once an interval, and once for half as many records as
        there are rows, so that writing snapshots stays a fixed part of writing records."""
        core, settings = self.core, self.settings
        due_ns = self._snapshot_ns + settings.snapshot_interval_ns
        rows = len(core.state.orders.by_cl_ord_id) + len(core.state.orders.fills)
        since = core.records - (self._snapshot_at - settings.snapshot_records)
        if self.ctx.now_ns >= due_ns and 2 * since >= rows:
            self._snapshot()

    def _snapshot(self) -> None:
        core = self.core
        self._snapshot_ns = self.ctx.now_ns
        core.append(core.positions_subject, (core.state.snapshot(self._snapshot_ns),), ())
        self._snapshot_at = core.records + self.settings.snapshot_records

    def _append_refused(self, event: AppendRefused) -> None:
        core = self.core
        core.counts["append_refused"] += 1
        core.intents_refused(event.records, event.text)
        for record in event.records:
            made_ns = record.accepted_ns if isinstance(record, OrderIntent) else getattr(record, "at_ns", 0)
            if 0 < made_ns <= self._snapshot_ns:
                self._snapshot()  # the last one contains what never was
                break

    # ---- odds and ends -----------------------------------------------------------------------------------------

    def _request_sent(self, event: RequestSent) -> None:
        """The bytes are gone.  Nothing changes: a request that is journaled counts as sent anyway."""
        self.core.counts["sent"] += 1

    def _query_failed(self, event: QueryFailed) -> None:
        """No answer is no evidence; the watch asks again."""
        self.core.counts["query_failed"] += 1

    def _instruments_changed(self, event: InstrumentsChanged) -> None:
        core = self.core
        core.instruments = {**core.instruments, **{found.symbol: found for found in event.instruments}}

    def _cancel_all(self, command: CancelAll) -> None:
        core = self.core
        core.cancel_together(core.cancelable(command.symbol, command.strategy), command.reply_to)

    def _drain(self, event: Drain) -> None:
        """Take nothing new, cancel what is ours, say when nothing is left.  The owner's own orders stay."""
        self._drain_for = self.ctx.sender
        self.core.draining = True
        self._drain_due(DrainDue())

    def _drain_due(self, event: DrainDue) -> None:
        core = self.core
        core.cancel_together([order for order in core.cancelable(None, None) if not order.is_manual], "")
        if self._drain_for is not None:
            self.ctx.after(self.settings.drain_retry_ns, DrainDue())

    def _tell_if_drained(self) -> None:
        if self._drain_for is not None and all(order.is_manual for order in self.core.state.orders.live.values()):
            if self._drain_for:  # "": asked from outside the tree, by somebody who looks for himself
                self.ctx.send(self._drain_for, Drained(self.ctx.path))
            self._drain_for = None

    # ---- reconciliation ----------------------------------------------------------------------------------------

    def _up(self, event: Up) -> None:
        """The private stream is there (again): from now on nothing is lost, but something may have been."""
        self.core.stream_up = True
        self._resyncing = True
        self._failures = 0
        self._unquiet = 0
        self.ctx.set_unready("reconciling with the venue")
        self._request()

    def _down(self, event: Down) -> None:
        self.core.stream_lost()
        self._resyncing = True
        self._waiting = False
        self._attempt += 1
        self.ctx.set_unready(f"private stream down: {event.reason}")

    def _request(self) -> None:
        core = self.core
        self._attempt += 1
        self._waiting = True
        self._moved_at_request = core.movements
        wanted = believed(core.state, with_unanswered=self._resyncing)
        since = fills_since(core.state, core.instruments, self.ctx.now_ns, 2 * self.settings.audit_ns)
        self.ctx.send(self._reconciler, Reconcile(self._attempt, wanted, since, self.ctx.path))
        self.ctx.after(self.settings.reconcile_timeout_ns, ReconcileDue(self._attempt))

    def _audit_soon(self) -> None:
        """Not at once: what has been found out is settled first."""
        self.core.audit_wanted = False
        if self.core.stream_up and not self._waiting:
            self.ctx.after(min(self.settings.audit_ns, AUDIT_SOON_NS), ReconcileDue(self._attempt))

    def _reconcile_due(self, event: ReconcileDue) -> None:
        if event.attempt == self._attempt and self.core.stream_up:
            self._request()

    def _reconcile_failed(self, event: ReconcileFailed) -> None:
        """The venue could not be asked: again, with back-off; a gate that is open stays open."""
        if event.attempt != self._attempt or not self._waiting:
            self.core.counts["stale_answer"] += 1
            return
        self._waiting = False
        settings = self.settings
        delay_ns = settings.reconcile_first_retry_ns << min(self._failures, _DOUBLINGS_MAX)
        self._failures += 1
        delay_ns = min(delay_ns, settings.reconcile_retry_max_ns)
        jitter_ns = delay_ns * int(self.ctx.random() * 1_000) // 4_000
        if self._resyncing:
            self.ctx.set_unready(f"reconciling with the venue: {event.text}")
        self.ctx.after(delay_ns + jitter_ns, ReconcileDue(self._attempt))

    def _reconciled(self, picture: Reconciled) -> None:
        """The venue's picture: orders that we do not know first, missing fills, then how every order stands."""
        core = self.core
        if picture.attempt != self._attempt or not self._waiting:
            core.counts["stale_answer"] += 1
            return
        self._waiting = False
        self._failures = 0
        quiet = core.movements == self._moved_at_request
        for report in (*picture.open_orders, *picture.statuses):
            core.introduce(report)
        self._report_all(picture.fills)
        self._report_all(picture.open_orders)
        self._report_all(picture.statuses)
        for answer in picture.not_found:
            core.order_not_found(answer)
        self._take_balances(picture)
        corrected = False
        if quiet and not core.strangers and not any(watch.claimed for watch in core.watches.values()):
            self._compare_balances(picture.asked_ns)
            corrected = self._compare_positions(picture)
            self._unquiet = -1
        elif self._unquiet >= 0:
            self._unquiet += 1
        if self._resyncing or corrected:
            core.append(core.positions_subject, (), self._resynced())
        if self._resyncing:
            self._resyncing = False
            self.ctx.set_ready()
        audit_ns = self.settings.audit_ns
        again_ns = audit_ns
        if self._remainders.pending() or self._differences.pending():
            again_ns = min(audit_ns, LOOK_AGAIN_NS)
        elif self._unquiet > 0:
            again_ns = min(audit_ns, LOOK_AGAIN_NS << min(self._unquiet - 1, _DOUBLINGS_MAX))
        self.ctx.after(again_ns, ReconcileDue(self._attempt))

    def _report_all(self, reports: Iterable[ExecutionReport]) -> None:
        for report in reports:
            self.core.report(report)

    def _resynced(self) -> tuple[tuple[Path, Message], ...]:
        core = self.core
        resynced = AccountResynced(core.account, core.venue, self._picture(), self.ctx.path)
        return tuple((reader, resynced) for reader in self._readers)

    def _take_balances(self, picture: Reconciled) -> None:
        """The answer's balances are as of the question: what the stream said since is newer."""
        core, asked_ns = self.core, picture.asked_ns
        balances = tuple(
            Balance(
                balance.account,
                balance.venue,
                balance.asset,
                balance.free,
                balance.locked,
                asked_ns,
                balance.wallet,
            )
            for balance in picture.balances
        )
        core.balances_changed(BalancesChanged(core.account, core.venue, balances, True, asked_ns))

    def _compare_balances(self, at_ns: int) -> None:
        core = self.core
        not_these = moved_by_others(core.state, core.instruments)
        for changed in list(self._remainders.compare(core.state, at_ns, not_these)):
            core.record(core.positions_subject, changed)
            if changed.previous is not None:
                text = f"{changed.asset}: {changed.qty} not explained by our fills, was {changed.previous}"
                core.alarm(AlarmKind.UNEXPLAINED, changed.asset, text)

    def _compare_positions(self, picture: Reconciled) -> bool:
        """Contracts that the venue holds and our fills do not add up to; True when ours were corrected."""
        core = self.core
        if picture.positions is None:
            return False
        core.positions_pictured(picture.positions)
        corrected = False
        for difference in list(self._differences.compare(core.state, picture.positions)):
            known = core.knows(difference.symbol)
            if known and (core.settings.correct_positions or difference.first):
                corrected = True
                record = PositionCorrected(
                    core.account,
                    core.venue,
                    difference.symbol,
                    difference.delta,
                    difference.px,
                    difference.first,
                    picture.asked_ns,
                )
                core.record(core.positions_subject, record)
            if not (difference.first and known):
                core.alarm(AlarmKind.POSITION_DIFFERS, difference.symbol, difference.text)
        if not core.state.positions_compared:  # nothing differed: say so, or the next difference would be the first
            marker = PositionCorrected(core.account, core.venue, Symbol(""), ZERO, ZERO, True, picture.asked_ns)
            core.record(core.positions_subject, marker)
        return corrected

    # ---- the console -------------------------------------------------------------------------------------------

    def inspect(self) -> Mapping[str, object]:
        """Orders, what is in doubt, and what became of every event."""
        core = self.core
        orders = core.state.orders
        return {
            "live_orders": len(orders.live),
            "in_doubt": sum(order.in_doubt for order in orders.live.values()),
            "watched": len(core.watches),
            "finished_kept": len(orders.finished),
            "fills_kept": len(orders.fills),
            "manual_orders": sum(order.strategy == MANUAL for order in orders.live.values()),
            "positions": {
                f"{entry.symbol}/{entry.strategy}": plain(entry.qty)
                for entry in core.state.ledger.entries.values()
                if entry.qty
            },
            "venue_positions": {
                position.symbol if position.leg is None else f"{position.symbol}/{position.leg.value}": plain(
                    position.qty
                )
                for position in core.held.values()
            },
            "balances": {balance.asset: plain(balance.total) for balance in core.state.balances},
            "unexplained": {asset: plain(qty) for asset, qty in core.state.unexplained.items() if qty},
            "alarms": core.state.alarms,
            "stream_up": core.stream_up,
            "reconciled": not self._resyncing,
            "attempt": self._attempt,
            "draining": core.draining,
            "events": {"applied": core.applied, **dict(sorted(core.counts.items()))},
        }

    def check_invariants(self) -> None:
        """InvariantViolation when anything that we believe contradicts itself."""
        self.core.check()
