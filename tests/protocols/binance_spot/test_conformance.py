"""The codecs carry out the venue interface: every member, with its signature, as the type checker sees it too."""

from __future__ import annotations

import inspect

import attrs
import pytest

from protocols.venue import (
    AmendsByRest,
    BookSequencer,
    CancelsAllByRest,
    PrivateCodec,
    PublicCodec,
    ReplacesOrders,
    SessionRules,
)
from protocols.venues.binance_spot import ENVIRONMENTS, BinanceSpotPublic
from protocols.venues.binance_spot.book import BinanceSpotSequencer
from protocols.venues.binance_spot.endpoints import STREAM_RULES, WS_API_RULES
from tests.protocols.binance_spot.frames import codec

# The checker proves the types here; the test below proves that nothing is left to `Protocol`'s own empty bodies.
PUBLIC: PublicCodec = BinanceSpotPublic()
PRIVATE: PrivateCodec = codec()
REPLACES: ReplacesOrders = codec()
AMENDS: AmendsByRest = codec()
CANCELS_ALL: CancelsAllByRest = codec()
SEQUENCER: BookSequencer = BinanceSpotSequencer()


@pytest.mark.req("R219", "R267")
@pytest.mark.parametrize(
    "interface, thing",
    [
        (PublicCodec, PUBLIC),
        (PrivateCodec, PRIVATE),
        (BookSequencer, SEQUENCER),
        (ReplacesOrders, REPLACES),
        (AmendsByRest, AMENDS),
        (CancelsAllByRest, CANCELS_ALL),
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
    """Sections 7.1 and 7.2: what Spot does not have must not be asked of it."""
    able = attrs.asdict(PUBLIC.capabilities)
    assert PRIVATE.capabilities == PUBLIC.capabilities
    assert {name for name, value in able.items() if value is False} == {
        "amend_needs_terms", "amends_price", "cancel_all_account", "dead_man_by_symbol", "dead_man_switch",
        "hedge_mode", "listen_key", "positions", "private_snapshot_on_subscribe", "reduce_only", "ws_batches",
    }  # fmt: skip
    assert able["batch_size_max"] == 1


@pytest.mark.parametrize("rules", [STREAM_RULES, WS_API_RULES])
def test_liveness(rules: SessionRules) -> None:
    """Section 2.3: closed after 24 h; a ping every 20 s; pongs within 60 s; the API gives up after 10 s."""
    second = 1_000_000_000
    assert rules.connection_age_max_ns < 24 * 3600 * second
    assert rules.server_ping_interval_ns == 20 * second
    assert rules.server_ping_interval_ns < rules.silence_max_ns <= 60 * second
    assert rules.request_timeout_ns == 10 * second


def test_environments_are_dated_and_apart() -> None:
    assert set(ENVIRONMENTS) == {"production", "testnet", "demo"}
    origins = [origin for one in ENVIRONMENTS.values() for origin in (one.rest, one.ws_api, one.stream)]
    assert len(set(origins)) == 9
    for one in ENVIRONMENTS.values():
        assert one.as_of >= "2026-01-29"
        assert one.rest.startswith("https://")
        assert one.ws_api.startswith("wss://")
        assert one.stream.startswith("wss://")
    paths = attrs.asdict(ENVIRONMENTS["production"].paths)
    assert not [path for path in paths.values() if "/v1" in path]
