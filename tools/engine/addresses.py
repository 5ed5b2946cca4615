"""Where a venue is: from `environment`, `orders` and the URLs of `[venues.<name>]` to addresses and codec options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

from config.schema import SIMULATOR, VenueConfig
from protocols.errors import ConfigError
from protocols.venues.registry import PRODUCTION, VENUES, VenueOptions

_HERE = ("127.0.0.1", "localhost", "::1")
_IN_ENVIRONMENT = {"private_rest_url": "rest_url"}
"""Keys that an environment calls otherwise: signed and public REST have one host."""


class Served(Protocol):
    """A simulator that plays a family of venues."""

    def url(self, scheme: str) -> str:
        """`scheme://127.0.0.1:port`"""
        ...


def addresses(venue: VenueConfig, simulator: Served | None) -> Mapping[str, str]:
    """Key of each URL -> the URL."""
    return {key: address(venue, key, simulator) for key in venue.places}


def address(venue: VenueConfig, key: str, simulator: Served | None = None) -> str:
    """The URL that `key` stands for; `simulator` is asked where the configuration says so.

    A checked configuration has no unknown environment, and no simulator where none is enabled.  Raises ConfigError for
    a URL whose port the venue has closed.
    """
    place = venue.places[key]
    if place == SIMULATOR:
        assert simulator is not None
        return simulator.url("http" if "rest" in key else "ws")
    environment = VENUES[venue.kind.value].environments.get(place)
    if environment is None:
        _check_port(venue, key, place)
        return place
    url: str = getattr(environment, _IN_ENVIRONMENT.get(key, key))
    return url


def _check_port(venue: VenueConfig, key: str, url: str) -> None:
    kind, parts = venue.kind.value, urlsplit(url)
    if parts.port in VENUES[kind].closed_ports and parts.hostname not in _HERE:
        closed = f"the venue no longer serves port {parts.port}; leave the port out"
        raise ConfigError(f"venues.{kind}.{key} was {url!r}: {closed}")


def market_options(venue: VenueConfig) -> VenueOptions:
    """What the codec of the market is told."""
    return _options(venue, venue.environment)


def signed_options(venue: VenueConfig) -> VenueOptions:
    """What the codecs of the accounts are told."""
    return _options(venue, venue.signed_environment)


def _options(venue: VenueConfig, environment: str) -> VenueOptions:
    return VenueOptions(
        environment=PRODUCTION if environment == SIMULATOR else environment,  # the simulator plays production
        request_window_ms=venue.recv_window_ms,
        hedge_mode=venue.hedge_mode,
        book_depth=venue.book_depth,
        trade_mode=venue.trade_mode,
    )
