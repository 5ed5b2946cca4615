"""What the tree is built from: venues, strategies, and how often what may restart.

A `Plan` holds what outlives the incarnations of the actors; the host makes it from the configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from actors.control.verbs import Premises
from actors.journal.home import JournalHome
from actors.market.desk import DeskHome
from actors.strategy.base import Strategy
from actors.venue.http import HttpClient
from actors.venue.settings import MS, EntrySettings, TransportSettings, VenueEndpoints
from config.schema import Config
from protocols.ids import AccountID, Path, StrategyID, Symbol, Venue
from protocols.reconcile import limiter_path
from protocols.venue import PublicCodec, Signer
from protocols.venues.registry import VenueOptions, VenueParts
from supervisors.spec import Backoff, ChildSpec, Intensity

_SECOND_NS = 1_000_000_000


@attrs.frozen(kw_only=True)
class VenuePlan:
    """One venue's parts that outlive the incarnations of its actors."""

    name: Venue
    symbols: tuple[Symbol, ...]
    endpoints: VenueEndpoints
    parts: VenueParts
    public: PublicCodec
    signed_options: VenueOptions
    """What the accounts' codecs are told."""
    http: HttpClient
    """Public REST."""
    signed_http: HttpClient
    """Signed REST: another host in paper trading."""
    transport: TransportSettings
    entry: EntrySettings
    needs: tuple[Path, ...] = ()
    """Actors that must be ready before anybody speaks to the venue: the simulator that plays it."""

    @property
    def limiter(self) -> Path:
        """Whom everybody asks before something is sent."""
        return limiter_path(Venue(self.parts.family))


@attrs.frozen(kw_only=True)
class StrategyPlan:
    """One strategy: how its code is made, for whom."""

    name: StrategyID
    account: AccountID
    venue: Venue
    symbols: tuple[Symbol, ...]
    make: Callable[[], Strategy]
    bars_ns: tuple[int, ...]
    """Candle intervals that it reads."""


@attrs.frozen(kw_only=True)
class Plan:
    """Everything that the tree is built from."""

    config: Config
    build: str
    journal: JournalHome
    venues: Mapping[Venue, VenuePlan]
    signers: Mapping[tuple[AccountID, Venue], Signer]
    strategies: tuple[StrategyPlan, ...]
    premises: Premises | None = None
    """Without them there is no control socket."""
    simulators: tuple[ChildSpec, ...] = ()
    """The bundled venues, one process for each family: outside of the trading, which they outlive."""
    extra: tuple[ChildSpec, ...] = ()
    """What else is outside of the trading: somebody who reads along."""
    desk: DeskHome = attrs.field(factory=DeskHome)
    """What readers outside of the actors want of the market."""

    @property
    def accounts(self) -> tuple[tuple[AccountID, Venue], ...]:
        """Every (account, venue) that trades."""
        return tuple(self.signers)


class Budgets:
    """Restart budgets by level; the configured one is that of the lowest."""

    def __init__(self, config: Config) -> None:
        given = config.supervision
        self.backoff = Backoff(
            base_ns=max(1, given.backoff_first_ms * MS),
            max_ns=max(given.backoff_first_ms * MS, given.backoff_max_ms * MS, 1),
        )
        self._restarts = given.max_restarts
        self._within_ns = given.within_s * _SECOND_NS
        self.poison = given.poison_crashes
        self.shutdown_ns = max(1, given.stop_timeout_ms * MS)

    def at(self, level: int) -> Intensity:
        """Level 0 is the group of actors, 1 the one above, ...: half as many, over a longer time."""
        return Intensity(max(1, self._restarts >> level), self._within_ns << level)
