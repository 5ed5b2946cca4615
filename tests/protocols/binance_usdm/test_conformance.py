"""The codecs carry out the venue interface: every member, with its signature, as the type checker sees it too."""

from __future__ import annotations

import inspect

import attrs
import pytest

from protocols.venue import (
    AmendsByTerms,
    BatchCodec,
    BookSequencer,
    Channel,
    ContinuesAnswers,
    DeadManSwitch,
    KnowsPositions,
    ListenKeys,
    PrivateCodec,
    PublicCodec,
    RoutesStreams,
    SessionRules,
)
from protocols.venues.binance_usdm import ENVIRONMENTS, PRODUCTION, BinanceUsdmPublic
from protocols.venues.binance_usdm.book import BinanceUsdmSequencer
from protocols.venues.binance_usdm.endpoints import STREAM_RULES, WS_API_RULES
from tests.protocols.binance_usdm.frames import codec

# The checker proves the types here; the test below proves that nothing is left to `Protocol`'s own empty bodies.
PUBLIC: PublicCodec = BinanceUsdmPublic()
ROUTES: RoutesStreams = BinanceUsdmPublic()
PRIVATE: PrivateCodec = codec()
KEYS: ListenKeys = codec()
AMENDS: AmendsByTerms = codec()
BATCHES: BatchCodec = codec()
CONTINUES: ContinuesAnswers = codec()
SWITCH: DeadManSwitch = codec()
POSITIONS: KnowsPositions = codec()
SEQUENCER: BookSequencer = BinanceUsdmSequencer()


@pytest.mark.req("R219", "R272")
@pytest.mark.parametrize(
    "interface, thing",
    [
        (PublicCodec, PUBLIC),
        (RoutesStreams, ROUTES),
        (PrivateCodec, PRIVATE),
        (ListenKeys, KEYS),
        (AmendsByTerms, AMENDS),
        (BatchCodec, BATCHES),
        (ContinuesAnswers, CONTINUES),
        (DeadManSwitch, SWITCH),
        (KnowsPositions, POSITIONS),
        (BookSequencer, SEQUENCER),
    ],
)
def test_every_member_with_its_signature(interface: type, thing: object) -> None:
    wanted = {name: value for name, value in vars(interface).items() if not name.startswith("_")}
    names = set(wanted) | set(interface.__annotations__)
    assert names
    for name in names:
        assert hasattr(thing, name), name
        if inspect.isfunction(wanted.get(name)):
            theirs = inspect.signature(wanted[name])
            ours = inspect.signature(getattr(type(thing), name))
            assert list(ours.parameters.values()) == list(theirs.parameters.values()), name


def test_the_capabilities_are_those_of_the_reference() -> None:
    able = attrs.asdict(PUBLIC.capabilities)
    assert PRIVATE.capabilities == PUBLIC.capabilities
    expected = {
        "ws_order_entry": True,
        "ws_logon": True,
        "amend_keeps_priority": False,
        "amend_needs_terms": True,
        "amends_price": True,
        "cancel_all_symbol": True,
        "cancel_all_account": False,
        "ws_cancel_all": False,
        "batch_size_max": 5,
        "cancel_batch_max": 10,
        "dead_man_switch": True,
        "hedge_mode": True,
        "post_only": True,
        "reduce_only": True,
        "market_by_quote": False,
        "private_snapshot_on_subscribe": False,
        "query_by_cl_ord_id": True,
        "cl_ord_id_reusable": True,
        "listen_key": True,
    }
    assert {name: able[name] for name in expected} == expected


@pytest.mark.parametrize("rules", [STREAM_RULES, WS_API_RULES])
def test_liveness(rules: SessionRules) -> None:
    """Section 2: closed after 24 h; a ping every 3 minutes; pongs within 10."""
    second = 1_000_000_000
    assert rules.connection_age_max_ns < 24 * 3600 * second
    assert rules.server_ping_interval_ns == 180 * second
    assert rules.server_ping_interval_ns < rules.silence_max_ns <= 600 * second
    assert rules.messages_per_s_max in (0, 10)


def test_a_listen_key_is_kept_alive_well_within_its_hour() -> None:
    assert 0 < KEYS.listen_key_refresh_ns <= 30 * 60 * 1_000_000_000


def test_environments_are_dated_and_apart() -> None:
    assert set(ENVIRONMENTS) == {"production", "demo"}
    origins = [origin for one in ENVIRONMENTS.values() for origin in (one.rest, one.ws_api, one.stream)]
    assert len(set(origins)) == 6
    for one in ENVIRONMENTS.values():
        assert one.as_of >= "2026-04-23"
        assert one.rest.startswith("https://")
        assert one.ws_api.startswith("wss://")
        assert one.stream.startswith("wss://")


def test_books_and_the_rest_are_on_different_routes() -> None:
    """Section 1: an unrouted or wrongly routed subscription is acknowledged and silent."""
    routes = ROUTES.stream_paths()
    assert set(routes) == PUBLIC.capabilities.channels == set(Channel) - {Channel.CANDLES_1S, Channel.CANDLES_10M}
    assert {channel for channel, path in routes.items() if path == "/public/stream"} == {
        Channel.BOOK,
        Channel.BOOK_TICKER,
    }
    assert {routes[Channel.TRADES], routes[Channel.TICKER], routes[Channel.CANDLES_1M]} == {"/market/stream"}
    assert PUBLIC.stream_path() == routes[Channel.BOOK]
    assert PRODUCTION.paths.private == "/private/ws"
