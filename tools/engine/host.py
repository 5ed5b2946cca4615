"""One engine in one process: from a configuration to a running tree, and to an orderly end.

    host = await Host.prepare(config, os.environ)
    async with trio.open_nursery() as nursery:
        await nursery.start(host.run)
        ...
        host.stop("why")                 # drain, flush, stop; a second call skips the draining

The end is the same for Ctrl-C, SIGTERM, `bulkhead stop` and the end of `--for`: no new entries, strategies and accounts
cancel what rests, at most `engine.drain_timeout_ms`; then the tree stops in reverse order, which flushes the journal.
A crash needs no end: start and recovery are one path.
"""

from __future__ import annotations

import gc
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from zoneinfo import ZoneInfo

import attrs
import trio

import config as configuration
from actors.control.verbs import Premises
from actors.journal.home import JournalHome
from actors.market.api import MarketData
from actors.strategy.base import Strategy
from actors.strategy.loader import strategy_factory
from actors.venue.http import HttpClient
from actors.venue.settings import MS, EntrySettings, TransportSettings, VenueEndpoints
from bulkhead import __version__
from config import Config, Problem, render
from config.schema import VenueConfig
from protocols.control import Drain
from protocols.errors import ConfigError
from protocols.ids import AccountID, StrategyID, Symbol, Venue
from protocols.journal import ENGINE_KEY, JOURNAL, ActorRestarted, Append
from protocols.orders import FIRM_GATE, account_gate, account_path
from protocols.positions import AccountPicture, AccountQuery
from protocols.venues.registry import VENUES
from supervisors.actor import AskError
from supervisors.clock import Clock, SystemClock
from supervisors.ends import Exit
from supervisors.runtime import Lifecycle, Runtime
from supervisors.spec import ChildSpec, SupervisorSpec
from supervisors.supervisor import Supervisor, run_tree
from supervisors.tree import Plan, StrategyPlan, VenuePlan, build, strategy_path
from supervisors.watchdog import LoopWatchdog, WatchdogSettings, patrol
from tools.engine.addresses import addresses, market_options, signed_options
from tools.engine.keys import Keyring, load_keys
from tools.engine.logs import EngineLog
from tools.engine.simulator_child import SimulatorActor, SimulatorAddress, check_states, simulated, simulator_path
from tools.engine.summary import Figures, look

SOCKET_PATH_MAX = 107
"""The kernel's limit, without the byte that ends the text."""

_LEVELS = {
    "escalation": "error",
    "crash": "warning",
    "poison": "warning",
    "normal": "warning",  # a permanent actor that just ended
    "connect_failed": "warning",
    "connection_lost": "warning",
    "request_failed": "warning",
    "alarm": "warning",
    "unproven": "warning",
    "trading_state": "warning",
    "refused_peer": "warning",
    "blocked": "warning",
    "bucket_blocked": "warning",
    "ban_record_not_written": "warning",
    "ban_record_unreadable": "warning",
    "clock_step": "warning",
    "stream_error": "warning",
    "silent_subscription": "warning",
    "subscription_refused": "warning",
    "files_not_written": "warning",
    "no_book": "warning",
    "journal_degraded": "error",
}
"""Level in the log of each step of an actor's life; the others are `info`."""
_NEWS = frozenset({*_LEVELS, "state", "restarted", "unready", "paused", "resumed", "connection_replaced", "proven"})
"""What a person watching should hear of."""
_NEWS_KEPT = 200


def calm_collector() -> None:
    """Let the cycle collector look at what is new, seldom at everything: messages die by reference count.

    A full collection walks every order and fill that is kept, some ten milliseconds in which nothing is handled.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


_ENDS = frozenset({"crash", "normal", "escalation", "restarted"})
"""Ends that nobody planned (or that somebody ordered): the journal keeps them."""


class Host:
    """See the module text; make it with `prepare`."""

    def __init__(self, config: Config, plan: Plan, runtime: Runtime, log: EngineLog) -> None:
        self.config = config
        self.plan = plan
        self.runtime = runtime
        self.log = log
        self.root: Supervisor | None = None
        self.end: Exit | None = None
        self.ended = trio.Event()
        self.stop_reason = ""
        self.draining = trio.Event()
        self._stop_asked = trio.Event()
        self._hurry = trio.Event()
        self._token: trio.lowlevel.TrioToken | None = None
        self.started_ns = runtime.clock.wall_ns()
        self.last_look: Figures | None = None
        """After draining, before the tree stopped."""
        self.news: deque[tuple[int, Lifecycle]] = deque(maxlen=_NEWS_KEPT)
        """The newest steps that deserve attention, numbered from 1."""
        self._news_count = 0
        self._said: dict[str, tuple[str, str]] = {}
        """What was last said about each actor: a venue that stays away is news once."""

    # ---- preparation -------------------------------------------------------------------------------------------

    @classmethod
    def prepare(cls, config: Config, env: Mapping[str, str], clock: Clock | None = None) -> Host:
        """Check everything that can be checked before anything starts.

        ConfigError names the key that is wrong (that of `config` for strategies: all their mistakes at once);
        JournalError the place of the damage, or who else uses the folder.
        """
        clock = clock if clock is not None else SystemClock()
        _refuse_long_socket(config)
        strategies = load_strategies(config)
        keyring = load_keys(config, env)
        simulators = simulated(config)
        runtime = Runtime(clock=clock)
        data = config.data.dir
        try:
            data.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ConfigError(
                f"data.dir: {data} cannot be made ({error.strerror}); choose another with BULKHEAD__DATA__DIR"
            ) from error
        log = EngineLog(data / "logs", ZoneInfo(config.engine.timezone), config.log.level.value, clock.wall_ns)
        enabled = {Venue(n): v for n, v in config.venues.items() if v.enabled}
        venues = {n: _venue_plan(n, v, simulators.get(v.facts.family), clock) for n, v in enabled.items()}
        host: list[Host] = []
        premises = Premises(
            runtime=runtime,
            root=lambda: host[0].the_root,
            accounts=tuple(keyring.signers),
            strategies={s.name: strategy_path(s.name) for s in strategies},
            name=config.engine.name,
            profile=config.origin.profile,
            build=__version__,
            config_hash=config.config_hash(),
            config_text=render(config),
            started_ns=clock.wall_ns(),
            stop=lambda reason: host[0].stop(reason),
            allow_faults=all(v.trades_on_simulator for v in config.venues.values()),
            timezone=config.engine.timezone,
            stopping=lambda: host[0].stop_reason,
            news=lambda: list(host[0].news),
            limiters={name: plan.limiter for name, plan in venues.items()},
        )
        plan = Plan(
            config=config,
            build=__version__,
            journal=JournalHome(data / "journal", segment_bytes=config.journal.segment_mb * 1024 * 1024),
            venues=venues,
            signers=keyring.signers,
            strategies=strategies,
            premises=premises,
            simulators=tuple(_simulator_children(config, simulators, keyring)),
        )
        plan.journal.open(clock.wall_ns())
        try:
            check_states(config)  # once the folder is ours
        except ConfigError:
            plan.journal.close()
            raise
        host.append(cls(config, plan, runtime, log))
        runtime.observers.append(host[0].observe)
        return host[0]

    @property
    def the_root(self) -> Supervisor:
        """The running tree's root."""
        if self.root is None:
            raise RuntimeError("the tree has not been started")
        return self.root

    @property
    def market(self) -> MarketData:
        """Market data for code that runs beside the engine; see docs/market-data.md."""
        venues = {name: venue.symbols for name, venue in self.plan.venues.items()}
        return MarketData(self.runtime, self.plan.desk, venues)

    # ---- life --------------------------------------------------------------------------------------------------

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> Exit:
        """Run until stopped or until the root gives up; started when the tree is being built."""
        self._token = trio.lowlevel.current_trio_token()
        watchdog = LoopWatchdog(self.runtime, self._watchdog_settings(), self._report_stall)
        self.log.write(
            "info",
            "engine_starting",
            name=self.config.engine.name,
            profile=self.config.origin.profile,
            build=__version__,
            config_hash=self.config.config_hash(),
            pid=os.getpid(),
        )
        if self.plan.journal.torn is not None:
            self.log.write("warning", "journal_tail_cut", text=str(self.plan.journal.torn))
        watchdog.start()
        calm_collector()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(patrol, self.runtime, self._watchdog_settings())
                nursery.start_soon(self._await_stop)
                self.end = await run_tree(self.tree(), self.runtime, on_started=self._note_root(task_status))
                nursery.cancel_scope.cancel()
        finally:
            watchdog.stop()
            with trio.CancelScope(shield=True):
                await self._close()
        assert self.end is not None
        return self.end

    def tree(self) -> SupervisorSpec:
        """What runs."""
        return build(self.plan)

    def _note_root(self, task_status: trio.TaskStatus[None]) -> Callable[[Supervisor], None]:
        def note(root: Supervisor) -> None:
            self.root = root
            task_status.started()

        return note

    def stop(self, reason: str) -> None:
        """Begin the orderly end; asked a second time, stop without waiting for resting orders."""
        if self._stop_asked.is_set():
            self._hurry.set()
            return
        self.stop_reason = reason
        self._stop_asked.set()

    async def _await_stop(self) -> None:
        await self._stop_asked.wait()
        self.log.write("info", "draining", reason=self.stop_reason)
        self.draining.set()
        with trio.move_on_after(self.config.engine.drain_timeout_ms / 1000):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._cut_short, nursery.cancel_scope)
                await self._drain()
                nursery.cancel_scope.cancel()
        self.last_look = await look(self.runtime, self.plan)
        self.the_root.request_stop(self.stop_reason)

    async def _cut_short(self, scope: trio.CancelScope) -> None:
        await self._hurry.wait()
        scope.cancel()

    async def _drain(self) -> None:
        """Nothing new, cancel what rests, wait until no account has a live order."""
        drain = Drain(self.stop_reason)
        for strategy in self.plan.strategies:
            self.runtime.deliver(strategy_path(strategy.name), drain)
        for account, venue in self.plan.accounts:
            self.runtime.deliver(account_gate(account), drain)
            self.runtime.deliver(account_path(account, venue), drain)
        self.runtime.deliver(FIRM_GATE, drain)
        while await self.open_orders():  # noqa: ASYNC110 - the accounts are asked, they do not call back
            await trio.sleep(0.05)

    async def open_orders(self) -> int:
        """Live orders of all accounts; an account that cannot answer counts as one."""
        count = 0
        for account, venue in self.plan.accounts:
            try:
                path, query = account_path(account, venue), AccountQuery(unproven=True)
                picture: AccountPicture = await self.runtime.ask(path, query, 500 * MS)
            except AskError:
                count += 1
            else:
                count += len(picture.open_orders)
        return count

    async def _close(self) -> None:
        for venue in self.plan.venues.values():
            await venue.http.aclose()
            if venue.signed_http is not venue.http:
                await venue.signed_http.aclose()
        self.plan.journal.close()
        cause = self.end.cause if self.end is not None else "cancelled"
        self.log.write("info", "engine_stopped", reason=self.stop_reason, end=cause)
        self.log.close()
        self.ended.set()

    # ---- what others hear ----------------------------------------------------------------------------------------

    def observe(self, event: Lifecycle) -> None:
        """Every step of every actor goes into the log; what deserves attention is news as well."""
        what = event.what
        if what in _ENDS:
            ended = ActorRestarted(event.path, event.epoch, f"{what}: {event.text}", event.at_ns)
            self.runtime.deliver(JOURNAL, Append(ENGINE_KEY, "engine", (ended,), (), event.path))
        self.log.write(_LEVELS.get(what, "info"), f"actor_{what}", path=event.path, epoch=event.epoch, text=event.text)
        if what in ("ready", "connected", "journal_writes_again"):
            if self._said.pop(event.path, None) is not None:
                self._tell(event)
        elif what in _NEWS and not (what == "unready" and (self._leaving or self._told_already(event))):
            said = (what, event.text)
            if self._said.get(event.path) != said:
                self._said[event.path] = said
                self._tell(event)

    def _told_already(self, shut: Lifecycle) -> bool:
        """A gate that shuts because its connection was lost, its actor crashed or is stopped is no further news."""
        return (
            shut.text.startswith("crashed:")
            or shut.text.endswith("stopping")
            or self._said.get(shut.path, ("", ""))[1] == shut.text
        )

    @property
    def _leaving(self) -> bool:
        """The last look has been taken: that gates shut from here on is no news."""
        return self.last_look is not None

    def _tell(self, event: Lifecycle) -> None:
        self._news_count += 1
        self.news.append((self._news_count, event))

    def news_after(self, number: int) -> list[tuple[int, Lifecycle]]:
        """The steps that deserve attention with a number above `number`, oldest first."""
        return [item for item in self.news if item[0] > number]

    def _report_stall(self, path: str, stack: str) -> None:
        """Called by the watchdog's thread while the loop stands still: the line is written when it moves again."""
        assert self._token is not None
        self._token.run_sync_soon(lambda: self.log.write("error", "loop_stalled", path=path, stack=stack))

    def _watchdog_settings(self) -> WatchdogSettings:
        limit_ns = self.config.supervision.watchdog_ms * MS
        return WatchdogSettings(break_ns=limit_ns, age_ns=limit_ns * 2)


def _refuse_long_socket(config: Config) -> None:
    path = config.socket_path
    length = len(os.fsencode(path))
    if length > SOCKET_PATH_MAX:
        raise ConfigError(
            f"control.socket: {path} has {length} bytes, a Unix socket's path may have {SOCKET_PATH_MAX}; set it to a "
            "shorter one, or choose a shorter data folder with BULKHEAD__DATA__DIR"
        )


def _venue_plan(name: Venue, venue: VenueConfig, simulator: SimulatorAddress | None, clock: Clock) -> VenuePlan:
    transport = TransportSettings(
        connect_timeout_ns=venue.connect_timeout_ms * MS, http_timeout_ns=venue.request_timeout_ms * MS
    )

    urls = addresses(venue, simulator)
    parts = VENUES[venue.kind.value]
    rest, signed = urls["rest_url"], urls["private_rest_url"]
    http = HttpClient(rest, transport, now_ns=clock.wall_ns)
    return VenuePlan(
        name=name,
        symbols=tuple(Symbol(s) for s in venue.symbols),
        endpoints=VenueEndpoints(
            rest_url=rest,
            stream_url=urls["stream_url"],
            entry_url=urls["entry_url"],
            private_url=urls["private_url"],
        ),
        parts=parts,
        public=parts.public(market_options(venue)),
        signed_options=signed_options(venue),
        http=http,
        signed_http=http if signed == rest else HttpClient(signed, transport, now_ns=clock.wall_ns),
        transport=transport,
        entry=EntrySettings(request_window_ns=venue.recv_window_ms * MS),
        needs=(simulator_path(venue.facts.family),) if simulator is not None else (),
    )


def load_strategies(config: Config) -> tuple[StrategyPlan, ...]:
    """Every enabled strategy, made once to see that it can be; `config.ConfigError` has all that is wrong with them."""
    plans: list[StrategyPlan] = []
    problems: list[Problem] = []
    for name, entry in config.strategies.items():
        if not entry.enabled:
            continue
        key = f"strategies.{name}"
        try:
            make = strategy_factory(entry.kind, entry.params, key=key)
            bars_ns = _bars_ns(make, entry.kind, key)
        except configuration.ConfigError as error:
            problems += [attrs.evolve(problem, source=_source(config, problem)) for problem in error.problems]
            continue
        plans.append(
            StrategyPlan(
                name=StrategyID(name),
                account=AccountID(entry.account),
                venue=Venue(entry.venue),
                symbols=tuple(Symbol(s) for s in entry.symbols),
                make=make,
                bars_ns=bars_ns,
            )
        )
    if problems:
        raise configuration.ConfigError(problems)
    return tuple(plans)


def _bars_ns(make: Callable[[], Strategy], kind: str, key: str) -> tuple[int, ...]:
    """The lengths of bars that the strategy reads; asking is also the first time that a user's own code runs."""
    try:
        return tuple(make().bars())
    except Exception as error:
        reason = f"fails when it is made and asked for its bars: {error!r}"
        raise configuration.ConfigError(
            [Problem(f"strategy {kind}", f"{key}.kind", reason, "Mend the file")]
        ) from error


def _source(config: Config, problem: Problem) -> str:
    """Who set the key that the problem names, or the nearest thing above it; else the problem's own word."""
    parts = problem.key.split(".")
    for length in range(len(parts), 0, -1):
        found = config.origin.sources.get(".".join(parts[:length]))
        if found is not None:
            return found
    return problem.source


def _simulator_children(
    config: Config, simulators: Mapping[str, SimulatorAddress], keyring: Keyring
) -> Iterator[ChildSpec]:
    """One process for each family."""
    for family, address in simulators.items():
        credentials = [c for c in keyring.demo if config.venues[c.venue].facts.family == family]
        yield ChildSpec(name=family, factory=partial(SimulatorActor, config, family, address, credentials))
