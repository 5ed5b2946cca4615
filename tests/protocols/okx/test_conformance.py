"""The codecs carry out the venue interface: every member, with its signature, as the type checker sees it too."""

from __future__ import annotations

import inspect

import attrs
import pytest

from protocols.errors import ConfigError
from protocols.instruments import Product
from protocols.venue import (
    BatchCodec,
    BookSequencer,
    Channel,
    ContinuesAnswers,
    DeadManSwitch,
    KeepsAlive,
    KnowsPositions,
    LearnsInstruments,
    PrivateCodec,
    PublicCodec,
    RoutesStreams,
)
from protocols.venues.okx import DEMO, ENVIRONMENTS, PRODUCTION, Endpoints, OkxPublic
from protocols.venues.okx.book import OkxSequencer
from protocols.venues.okx.endpoints import STREAM_RULES
from tests.protocols.okx.frames import codec

# The checker proves the types here; the test below proves that nothing is left to `Protocol`'s own empty bodies.
PUBLIC: PublicCodec = OkxPublic(Product.LINEAR)
PRIVATE: PrivateCodec = codec()
SEQUENCER: BookSequencer = OkxSequencer()
ALIVE: tuple[KeepsAlive, ...] = (OkxPublic(Product.SPOT), codec(Product.SPOT))
PAGES: ContinuesAnswers = codec()
BATCHES: BatchCodec = codec()
ROUTES: RoutesStreams = OkxPublic(Product.SPOT)
SWITCH: DeadManSwitch = codec()
POSITIONS: KnowsPositions = codec()
LEARNS: LearnsInstruments = codec()


@pytest.mark.req("R219")
@pytest.mark.parametrize(
    "interface, thing",
    [(PublicCodec, PUBLIC), (PrivateCodec, PRIVATE), (BookSequencer, SEQUENCER), (KeepsAlive, ALIVE[0]),
     (KeepsAlive, ALIVE[1]), (ContinuesAnswers, PAGES), (BatchCodec, BATCHES), (RoutesStreams, ROUTES),
     (DeadManSwitch, SWITCH), (KnowsPositions, POSITIONS), (LearnsInstruments, LEARNS)],
)  # fmt: skip
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


@pytest.mark.parametrize(
    "product, venue, lacking",
    [
        (Product.SPOT, "okx-spot", {"hedge_mode", "reduce_only", "positions"}),
        (Product.LINEAR, "okx-swap", {"market_by_quote"}),
    ],
)
def test_the_capabilities_are_those_of_the_reference(product: Product, venue: str, lacking: set[str]) -> None:
    public, private = OkxPublic(product), codec(product)
    assert public.venue == private.venue == venue
    assert public.capabilities == private.capabilities
    able = attrs.asdict(public.capabilities)
    never = {
        "cancel_replace", "cancel_all_symbol", "cancel_all_account", "ws_cancel_all", "fills_from_trade_id",
        "private_snapshot_on_subscribe", "amend_needs_terms", "listen_key", "dead_man_by_symbol",
    }  # fmt: skip
    assert {name for name, value in able.items() if value is False} == never | lacking
    assert able["batch_size_max"] == able["cancel_batch_max"] == 20


def test_other_products_are_refused() -> None:
    with pytest.raises(ConfigError, match="product was INVERSE"):
        OkxPublic(Product.INVERSE)
    with pytest.raises(ConfigError, match="product was INVERSE"):
        codec(Product.INVERSE)


def test_liveness() -> None:
    """Section 7: cut after 30 s of silence; the venue wants a ping of ours before that."""
    second = 1_000_000_000
    assert 0 < STREAM_RULES.client_ping_interval_ns < STREAM_RULES.silence_max_ns <= 30 * second
    assert STREAM_RULES.connection_age_max_ns == STREAM_RULES.server_ping_interval_ns == 0


def test_paths() -> None:
    public = OkxPublic(Product.SPOT)
    assert public.stream_path() == "/ws/v5/public"
    on_public = {Channel.BOOK, Channel.BOOK_TICKER, Channel.TRADES, Channel.TICKER}
    assert public.stream_paths() == {
        channel: "/ws/v5/public" if channel in on_public else "/ws/v5/business"
        for channel in set(Channel) - {Channel.CANDLES_10M}
    }
    assert codec().entry_path() == codec().private_path() == "/ws/v5/private"


def test_environments_are_dated_and_apart() -> None:
    assert set(ENVIRONMENTS) == {"production", "demo", "eea", "eea-demo", "us", "us-demo"}
    assert len({one.ws for one in ENVIRONMENTS.values()}) == 6
    for one in ENVIRONMENTS.values():
        assert one.as_of >= "2026-10-31"
        assert one.rest.startswith("https://")
        assert one.ws.startswith("wss://")
        assert one.simulated is one.name.endswith("demo")
    assert (PRODUCTION.rest, PRODUCTION.ws) == ("https://openapi.okx.com", "wss://ws.okx.com")
    assert DEMO.ws == "wss://wspap.okx.com"


def test_the_closed_port_is_refused() -> None:
    rest, ws = "https://openapi.okx.com", "wss://ws.okx.com"
    Endpoints(name="mine", as_of="2026-11-01", rest=rest, ws=f"{ws}:443")
    with pytest.raises(ConfigError, match=r"ws was .*8443"):
        Endpoints(name="old", as_of="2026-11-01", rest=rest, ws=f"{ws}:8443")
    with pytest.raises(ConfigError, match=r"rest was .*8443"):
        Endpoints(name="old", as_of="2026-11-01", rest=f"{rest}:8443", ws=ws)
