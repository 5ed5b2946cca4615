"""The tree of the whole engine: from a checked configuration to one specification.

    root (one_for_one)
      console                       what breaks here is no business of the trading, and it goes last
        control
      simulator/<family>            the bundled venues as child processes: a venue does not restart with our journal
      trading (rest_for_one)        if the journal goes, nothing trades: everything below restarts with it
        journal
        engine (one_for_one)
          files
          venues/<family>             limiter of venues whose limits are one, such as the products of an exchange
          venues/<venue>              rest_for_one: limiter, clock, rest, instruments, books, candles, public
          portfolio
          risk                        one_for_one: firm, <account>...
          accounts/<account>/<venue>  rest_for_one: reconciler, private, entry, account
          router
          market/<venue>, desk        one_for_one: the market-data backbone for readers
          strategies                  one_for_one

`console`, `trading` and `engine` are no levels of the addresses.

A group that holds actors itself has the configured restart budget; a group of groups has less over a longer time, so
that the tries of a lower rung fit into one try of the rung above.  Four have as much as they want.  A console that
cannot be kept running must not stop the trading, nor must the market data of readers; nor must one venue stop the
others: it is tried again for ever, ever more seldom, and its symbols cannot be traded meanwhile, because their prices
are not proven.  The same holds for the process of a bundled venue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import attrs

from actors.account.actor import AccountActor
from actors.account.settings import AccountSettings
from actors.book.actor import BookActor
from actors.control.server import ControlActor
from actors.journal.actor import JournalActor
from actors.journal.files import FilesActor
from actors.market.actor import CandleActor
from actors.market.backbone import MarketActor
from actors.market.desk import DeskActor
from actors.market.readers import Readers
from actors.portfolio.actor import PortfolioActor
from actors.risk.actor import AccountGate, FirmGate
from actors.router.actor import RouterActor
from actors.strategy.actor import StrategyActor
from actors.venue.bans import BanRecord
from actors.venue.clock import ClockActor
from actors.venue.entry import OrderEntryActor
from actors.venue.instruments import InstrumentsActor
from actors.venue.limiter import LimiterActor
from actors.venue.private import PrivateStreamActor
from actors.venue.public import PublicStreamActor
from actors.venue.reconciler import ReconcilerActor
from actors.venue.rest import RestActor
from actors.venue.sent import SentOnce
from actors.venue.settings import MS
from actors.venue.wants import Wants
from protocols.control import SetTradingState
from protocols.enums import MoneyPolicy, TradingState
from protocols.ids import AccountID, Path, StrategyID, Symbol, Venue
from protocols.journal import JOURNAL
from protocols.orders import FIRM_GATE, ROUTER, account_gate, account_path
from protocols.reconcile import (
    candles_path,
    clock_path,
    entry_path,
    private_path,
    public_path,
    reconciler_path,
)
from protocols.venue import PrivateCodec
from supervisors.actor import Actor
from supervisors.spec import WITHOUT_END, Backoff, ChildSpec, Intensity, SupervisorSpec
from supervisors.spec import Strategy as Restarting
from supervisors.tree_limits import account_limits, firm_limits
from supervisors.tree_plan import Budgets, Plan, StrategyPlan, VenuePlan

__all__ = ["PORTFOLIO", "VENUE_BACKOFF", "Plan", "StrategyPlan", "VenuePlan", "build", "strategy_path"]

PORTFOLIO: Path = "/portfolio"
_SECOND_NS = 1_000_000_000
VENUE_BACKOFF = Backoff(base_ns=_SECOND_NS, max_ns=60 * _SECOND_NS, calm_ns=120 * _SECOND_NS)
"""Between the tries of a venue that cannot be kept running; whatever is wrong with it is wrong for longer."""


def strategy_path(strategy: StrategyID) -> Path:
    """Address of a strategy's actor."""
    return f"/strategies/{strategy}"


def build(plan: Plan) -> SupervisorSpec:
    """The whole tree."""
    return _Builder(plan).root()


class _Builder:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._config = plan.config
        self._budgets = Budgets(plan.config)
        self._sent = {pair: SentOnce() for pair in plan.accounts}
        self._gates = (FIRM_GATE, *(account_gate(a) for a in dict.fromkeys(a for a, _ in plan.accounts)))

    # ---- helpers -----------------------------------------------------------------------------------------------

    def _child(self, name: str, factory: Callable[[], Actor], **more: Any) -> ChildSpec:
        return ChildSpec(
            name=name,
            factory=factory,
            poison_after=self._budgets.poison,
            shutdown_ns=self._budgets.shutdown_ns,
            **more,
        )

    def _group(
        self,
        name: str,
        children: Iterable[ChildSpec | SupervisorSpec],
        *,
        level: int,
        title: str = "",
        strategy: Restarting = Restarting.ONE_FOR_ONE,
        money: MoneyPolicy = MoneyPolicy.HOLD,
        on_escalation: tuple[tuple[Path, SetTradingState], ...] = (),
    ) -> SupervisorSpec:
        return SupervisorSpec(
            name=name,
            children=tuple(children),
            title=title,
            strategy=strategy,
            intensity=self._budgets.at(level),
            backoff=self._budgets.backoff,
            money=money,
            on_escalation=on_escalation,
        )

    # ---- the levels --------------------------------------------------------------------------------------------

    def root(self) -> SupervisorSpec:
        plan = self._plan
        engine = self._group(
            "",
            (
                self._files(),
                self._endless(
                    "venues", (*self._limiters(), *map(self._venue, plan.venues.values())), backoff=VENUE_BACKOFF
                ),
                self._portfolio(),
                self._risk(),
                self._accounts(),
                self._router(),
                self._market(),
                self._group("strategies", (self._strategy(s) for s in plan.strategies), level=1),
            ),
            level=0,
            title="engine",
        )
        trading = self._group("", (self._journal(), engine), level=0, title="trading", strategy=Restarting.REST_FOR_ONE)
        outside = (self._group("", self._plan.extra, level=0, title="outside"),) if self._plan.extra else ()
        return self._group("", (*self._console(), *self._simulators(), *outside, trading), level=4)

    def _simulators(self) -> tuple[SupervisorSpec, ...]:
        children = self._plan.simulators
        return (self._endless("simulator", children),) if children else ()

    def _endless(
        self, name: str, children: Iterable[ChildSpec | SupervisorSpec], title: str = "", backoff: Backoff | None = None
    ) -> SupervisorSpec:
        """A group that never gives up, and so never takes its neighbors with it."""
        return SupervisorSpec(
            name=name,
            title=title,
            children=tuple(children),
            intensity=Intensity(WITHOUT_END, _SECOND_NS),
            backoff=backoff or self._budgets.backoff,
        )

    def _console(self) -> tuple[SupervisorSpec, ...]:
        premises = self._plan.premises
        if premises is None:
            return ()
        control = self._child("control", lambda: ControlActor(self._config.socket_path, premises))
        return (self._endless("", (control,), title="console"),)

    def _journal(self) -> ChildSpec:
        config = self._config
        return self._child(
            "journal",
            lambda: JournalActor(
                self._plan.journal,
                sync=config.journal.sync,
                interval_ns=config.journal.interval_ms * MS,
                build=self._plan.build,
                config_hash=config.config_hash(),
                readers=self._gates,
            ),
            capacity=65_536,
            batch=256,
        )

    def _files(self) -> ChildSpec:
        """Before the accounts: so it stops after them, and its last lines have what they did at the end."""
        return self._child(
            "files",
            lambda: FilesActor(
                self._plan.journal.directory.parent,
                self._plan.accounts,
                portfolio=PORTFOLIO,
                zone=self._config.engine.timezone,
            ),
            depends_on=(JOURNAL,),
        )

    def _limiters(self) -> list[SupervisorSpec]:
        """One limiter for all venues whose limits are one; a venue that is alone with its own has it in its group."""
        families = {venue.parts.family: venue for venue in self._plan.venues.values()}
        return [
            self._group(family, (self._limiter(family),), level=0)
            for family in families
            if Venue(family) not in self._plan.venues
        ]

    def _limiter(self, family: str) -> ChildSpec:
        venues = [venue for venue in self._plan.venues.values() if venue.parts.family == family]
        entries = [entry_path(*pair) for pair in self._plan.accounts if pair[1] in {venue.name for venue in venues}]
        limits = {venue.name: venue.parts.limits for venue in venues}
        bans = BanRecord(self._plan.journal.directory.parent / "bans" / f"{family}.json")
        return self._child("limiter", lambda: LimiterActor(Venue(family), limits, entries, bans))

    def _venue(self, venue: VenuePlan) -> SupervisorSpec:
        name, codec = venue.name, venue.public
        limiter, clock = venue.limiter, clock_path(name)
        accounts = [pair for pair in self._plan.accounts if pair[1] == name]
        strategies = [s for s in self._plan.strategies if s.venue == name]
        signing = [
            path for pair in accounts for path in (private_path(*pair), entry_path(*pair), reconciler_path(*pair))
        ]
        aware = (
            *self._gates,
            *(account_path(*pair) for pair in accounts),
            *(entry_path(*pair) for pair in accounts),
            *(strategy_path(s.name) for s in strategies),
            ROUTER,
            PORTFOLIO,
        )
        bars = self._bars(name)
        wants = Wants()
        return self._group(
            name,
            (
                *([self._limiter(name)] if venue.parts.family == name else []),
                self._child(
                    "clock",
                    lambda: ClockActor(codec, venue.http, limiter=limiter, readers=[limiter, *signing]),
                    depends_on=venue.needs,
                ),
                self._child(
                    "rest",
                    lambda: RestActor(codec, venue.http, limiter=limiter, clock=clock),
                    depends_on=venue.needs,
                ),
                self._child(
                    "instruments",
                    lambda: InstrumentsActor(
                        codec, venue.http, venue.symbols, limiter=limiter, clock=clock, readers=aware
                    ),
                    depends_on=venue.needs,
                ),
                self._group(
                    "books", (self._book(venue, s, strategies, bool(bars.get(s))) for s in venue.symbols), level=0
                ),
                self._group(
                    "candles",
                    (
                        self._child(
                            str(symbol),
                            _bind(CandleActor, name, symbol, tuple(intervals), self._bar_readers(name, symbol)),
                        )
                        for symbol, intervals in bars.items()
                    ),
                    level=0,
                ),
                self._child(
                    "public",
                    lambda: PublicStreamActor(
                        codec, venue.endpoints, venue.symbols, limiter=limiter, transport=venue.transport, wants=wants
                    ),
                    depends_on=venue.needs,
                ),
            ),
            level=1,
            strategy=Restarting.REST_FOR_ONE,
        )

    def _market(self) -> SupervisorSpec:
        """The backbone of each venue, and the desk for readers who are no actors."""
        plan = self._plan
        backbones = [self._backbone(venue) for venue in plan.venues.values()]
        desk = self._child("desk", lambda: DeskActor(plan.desk, plan.venues), capacity=65_536)
        return self._endless("market", (*backbones, desk))

    def _backbone(self, venue: VenuePlan) -> ChildSpec:
        able = venue.public.capabilities
        readers = Readers()
        return self._child(
            venue.name,
            lambda: MarketActor(venue.name, venue.symbols, able.channels, readers, candles_max=able.candles_max),
            capacity=65_536,
        )

    def _bar_readers(self, venue: Venue, symbol: Symbol) -> tuple[Path, ...]:
        """Who reads the symbol's bars: told at construction, because a subscription would not outlive a restart."""
        strategies = self._plan.strategies
        return tuple(
            strategy_path(s.name) for s in strategies if s.venue == venue and s.bars_ns and symbol in s.symbols
        )

    def _bars(self, venue: Venue) -> dict[Symbol, set[int]]:
        bars: dict[Symbol, set[int]] = {}
        for strategy in self._plan.strategies:
            if strategy.venue == venue and strategy.bars_ns:
                for symbol in strategy.symbols:
                    bars.setdefault(symbol, set()).update(strategy.bars_ns)
        return bars

    def _book(self, venue: VenuePlan, symbol: Symbol, strategies: list[StrategyPlan], has_candles: bool) -> ChildSpec:
        readers: list[Path] = [*self._gates, PORTFOLIO, ROUTER]
        readers += [strategy_path(s.name) for s in strategies if symbol in s.symbols]
        if has_candles:
            readers.append(candles_path(venue.name, symbol))
        subscribers: dict[Path, None] = {}  # survive the book's restarts
        return self._child(
            str(symbol),
            lambda: BookActor(
                venue.name,
                symbol,
                venue.public.sequencer(symbol),
                tuple(readers),
                stream=public_path(venue.name),
                subscribers=subscribers,
            ),
            capacity=65_536,
        )

    def _portfolio(self) -> ChildSpec:
        return self._child(
            "portfolio",
            lambda: PortfolioActor(self._plan.accounts, zone=self._config.engine.timezone),
            depends_on=(JOURNAL,),
        )

    def _risk(self) -> SupervisorSpec:
        config, plan = self._config, self._plan
        listeners = tuple(strategy_path(s.name) for s in plan.strategies)
        symbols = [symbol for venue in plan.venues.values() for symbol in venue.symbols]
        accounts = dict.fromkeys(a for a, _ in plan.accounts)
        whole = {account: config.risk.accounts[account].max_exposure for account in accounts}
        gates = [
            self._child(
                "firm",
                _bind(
                    FirmGate, firm_limits(config.risk.firm, symbols, config.risk.rates), plan.accounts, listeners, whole
                ),
                capacity=65_536,
            )
        ]
        for account in accounts:
            limits = account_limits(config.risk.accounts[account], symbols, config.risk.rates)
            pairs = tuple(pair for pair in plan.accounts if pair[0] == account)
            own = tuple(strategy_path(s.name) for s in plan.strategies if s.account == account)
            gates.append(self._child(account, _bind(AccountGate, account, limits, pairs, own), capacity=65_536))
        return self._group("risk", gates, level=0)

    def _accounts(self) -> SupervisorSpec:
        by_account: dict[AccountID, list[Venue]] = {}
        for account, venue in self._plan.accounts:
            by_account.setdefault(account, []).append(venue)
        return self._group(
            "accounts",
            (
                self._group(account, (self._account(account, self._plan.venues[v]) for v in venues), level=1)
                for account, venues in by_account.items()
            ),
            level=2,
        )

    def _account(self, account: AccountID, venue: VenuePlan) -> SupervisorSpec:
        plan, name = self._plan, venue.name
        pair = (account, name)
        limiter, clock = venue.limiter, clock_path(name)
        dead_man_ns = self._config.accounts[account].dead_man_s * _SECOND_NS

        def codec(user: str) -> PrivateCodec:
            return venue.parts.private(account, plan.signers[pair], venue.signed_options, user)

        halted = SetTradingState(
            account, TradingState.HALTED, "supervisor", f"/accounts/{account}/{name} could not be kept running"
        )
        return self._group(
            name,
            (
                self._child(
                    "reconciler",
                    lambda: ReconcilerActor(codec("reconciler"), venue.signed_http, limiter=limiter, clock=clock),
                ),
                self._child(
                    "private",
                    lambda: PrivateStreamActor(
                        codec("private"),
                        venue.endpoints,
                        venue.signed_http,
                        limiter=limiter,
                        clock=clock,
                        transport=venue.transport,
                    ),
                    depends_on=venue.needs,
                ),
                self._child(
                    "entry",
                    lambda: OrderEntryActor(
                        codec("entry"),
                        venue.endpoints,
                        venue.signed_http,
                        self._sent[pair],
                        limiter=limiter,
                        clock=clock,
                        settings=attrs.evolve(venue.entry, dead_man_ns=dead_man_ns),
                        transport=venue.transport,
                        symbols=venue.symbols,
                    ),
                    depends_on=venue.needs,
                ),
                self._child(
                    "account",
                    lambda: AccountActor(
                        account,
                        name,
                        subscribers=tuple(
                            strategy_path(s.name) for s in plan.strategies if s.account == account and s.venue == name
                        ),
                        strategies=tuple(s.name for s in plan.strategies),
                        settings=AccountSettings(snapshot_records=self._config.journal.snapshot_records),
                    ),
                    capacity=65_536,
                    depends_on=(JOURNAL,),
                ),
            ),
            level=0,
            strategy=Restarting.REST_FOR_ONE,
            money=MoneyPolicy.CANCEL,
            on_escalation=((account_gate(account), halted),),
        )

    def _router(self) -> ChildSpec:
        return self._child("router", lambda: RouterActor(self._plan.accounts), capacity=65_536)

    def _strategy(self, strategy: StrategyPlan) -> ChildSpec:
        return self._child(
            str(strategy.name),
            _bind(
                StrategyActor,
                strategy.name,
                strategy.account,
                strategy.venue,
                strategy.symbols,
                strategy.make,
                self._plan.venues[strategy.venue].public.capabilities,
            ),
            capacity=65_536,
            depends_on=(account_gate(strategy.account), FIRM_GATE),
        )


def _bind(make: Callable[..., Actor], *args: object) -> Callable[[], Actor]:
    return lambda: make(*args)
