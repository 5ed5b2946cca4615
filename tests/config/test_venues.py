"""Venues in a configuration: the table of kinds is the codecs' own word, and places become addresses."""

from __future__ import annotations

from decimal import Decimal

import attrs
import click
import pytest

from config import load_config
from config.schema import VenueConfig
from config.venues import KINDS, VenueKind
from protocols.enums import CONDITIONAL_TYPES, OrdType, Side
from protocols.errors import ConfigError, LocalProtocolError
from protocols.ids import AccountID, ClOrdID, StrategyID, Symbol, Venue
from protocols.instruments import Instrument, InstrumentStatus, PriceStep
from protocols.orders import NewOrder
from protocols.venue import LearnsInstruments
from protocols.venues.registry import VENUES, VenueOptions
from tools.cli.common import load
from tools.engine.addresses import address, addresses, market_options, signed_options
from tools.engine.simulator_child import simulated


class Simulator:
    """Something at a port."""

    def url(self, scheme: str) -> str:
        return f"{scheme}://127.0.0.1:1"


def venue(kind: VenueKind, **given: object) -> VenueConfig:
    return VenueConfig(kind=kind, symbols=("BTCUSDT",), **given)  # type: ignore[arg-type]


@pytest.mark.req("R220")
def test_there_is_a_codec_for_every_kind_and_the_reverse() -> None:
    assert {kind.value for kind in VenueKind} == set(KINDS_BY_NAME) == set(VENUES)


KINDS_BY_NAME = {kind.value: facts for kind, facts in KINDS.items()}


@pytest.mark.parametrize("kind", sorted(VENUES))
def test_the_table_of_kinds_says_what_the_codecs_say(kind: str) -> None:
    facts, parts = KINDS_BY_NAME[kind], VENUES[kind]
    assert facts.family == parts.family
    assert set(facts.environments) == set(parts.environments)
    assert [key.value for key in facts.key_kinds] == [key.value for key in parts.key_algorithms]
    assert facts.passphrase == parts.passphrase
    assert facts.request_window_max_ms == parts.request_window_max_ms
    assert facts.hedge_mode == parts.capabilities.hedge_mode
    assert facts.book_depths == parts.book_depths
    assert facts.trade_modes == parts.trade_modes


@pytest.mark.req("R220")
@pytest.mark.parametrize("kind", sorted(VENUES))
def test_every_kind_makes_its_codecs_for_every_environment(kind: str) -> None:
    parts = VENUES[kind]
    signer = parts.signer("key", "secret", "phrase" if parts.passphrase else "")
    for name, environment in parts.environments.items():
        options = VenueOptions(environment=name)
        public, private = parts.public(options), parts.private(AccountID("master"), signer, options, "entry")
        assert public.venue == private.venue == kind
        assert environment.rest_url.startswith("https://")
        assert environment.stream_url.startswith("wss://")
        assert environment.private_url.startswith("wss://")
        assert private.capabilities.ws_order_entry == bool(environment.entry_url)
        assert public.sequencer(Symbol("X")).last_id == -1


@pytest.mark.parametrize("ord_type", [each for each in OrdType if each in CONDITIONAL_TYPES])
@pytest.mark.parametrize("kind", sorted(VENUES))
def test_a_codec_asks_for_the_triggers_that_its_capabilities_name_and_for_no_others(
    kind: str, ord_type: OrdType
) -> None:
    parts = VENUES[kind]
    signer = parts.signer("key", "secret", "phrase" if parts.passphrase else "")
    codec = parts.private(AccountID("a"), signer, VenueOptions(), "entry")
    symbol = {"okx-swap": "BTC-USDT-SWAP", "okx-spot": "BTC-USDT", "upbit": "KRW-BTC"}.get(kind, "BTCUSDT")
    listed = Instrument(
        venue=Venue(kind),
        symbol=Symbol(symbol),
        product=parts.product,
        base="BTC",
        quote="USDT",
        status=InstrumentStatus.TRADING,
        price_steps=(PriceStep(Decimal(0), Decimal("0.1")),),
        qty_step=Decimal("0.001"),
        venue_code=1,
    )
    if isinstance(codec, LearnsInstruments):
        codec.learn([listed])
    priced = ord_type in (OrdType.STOP_LIMIT, OrdType.TAKE_PROFIT_LIMIT)
    order = NewOrder(
        cl_ord_id=ClOrdID("b0000000000000000000001"),
        account=AccountID("a"),
        strategy=StrategyID("s"),
        venue=Venue(kind),
        symbol=Symbol(symbol),
        side=Side.SELL,
        ord_type=ord_type,
        order_qty=Decimal("0.01"),
        price=Decimal(50_000) if priced else None,
        stop_px=Decimal(51_000),
        created_ns=0,
        reply_to="/strategies/s",
    )
    if ord_type in parts.capabilities.triggers:
        assert codec.rest_new_order(order, 1_700_000_000_000_000_000).method == "POST"
    else:
        with pytest.raises(LocalProtocolError):
            codec.rest_new_order(order, 1_700_000_000_000_000_000)


def test_two_codecs_of_one_key_never_make_one_nonce() -> None:
    parts = VENUES["upbit"]
    signer = parts.signer("key", "secret", "")
    made = [parts.private(AccountID("a"), signer, VenueOptions(), user) for user in ("entry", "reconciler")]
    first, second = (codec.balances_request(1_000_000_000).headers for codec in made)
    assert first != second


def test_a_place_is_an_environment_a_simulator_or_a_url() -> None:
    usdm = venue(VenueKind.BINANCE_USDM, environment="production")
    assert addresses(usdm, None) == {
        "rest_url": "https://fapi.binance.com",
        "stream_url": "wss://fstream.binance.com",
        "entry_url": "wss://ws-fapi.binance.com",
        "private_url": "wss://fstream.binance.com",
        "private_rest_url": "https://fapi.binance.com",
    }
    assert set(addresses(venue(VenueKind.UPBIT), Simulator()).values()) == {"http://127.0.0.1:1", "ws://127.0.0.1:1"}
    mine = attrs.evolve(usdm, rest_url="https://x.example")
    assert address(mine, "rest_url") == address(mine, "private_rest_url") == "https://x.example"
    assert address(mine, "stream_url") == "wss://fstream.binance.com"


def test_a_port_that_the_venue_has_closed_is_refused() -> None:
    """OKX on 2026-10-31 (okx-v5 section 1); nearly every older text prints it."""
    old = venue(VenueKind.OKX_SPOT, environment="production", stream_url="wss://ws.okx.com:8443")
    with pytest.raises(ConfigError, match=r"venues\.okx-spot\.stream_url was .*8443.*leave the port out"):
        addresses(old, None)
    for url in ("wss://ws.okx.com:443", "wss://ws.okx.com", "ws://127.0.0.1:8443"):
        assert address(attrs.evolve(old, stream_url=url), "stream_url") == url
    elsewhere = venue(VenueKind.UPBIT, environment="production", stream_url="wss://x.example:8443")
    assert address(elsewhere, "stream_url") == "wss://x.example:8443"


def test_paper_trading_is_a_real_market_with_orders_on_the_simulator() -> None:
    paper = venue(VenueKind.OKX_SWAP, environment="demo", orders="simulator", hedge_mode=True)
    found = addresses(paper, Simulator())
    assert found["stream_url"] == "wss://wspap.okx.com"
    assert {found[key] for key in ("entry_url", "private_url")} == {"ws://127.0.0.1:1"}
    assert found["private_rest_url"] == "http://127.0.0.1:1"
    assert paper.trades_on_simulator
    assert paper.needs_simulator
    assert market_options(paper).environment == "demo"
    assert signed_options(paper).environment == "production"
    assert signed_options(paper).hedge_mode


def test_the_shipped_profiles_name_environments_and_spell_no_host() -> None:
    for name in ("demo", "five-venues", "paper", "live"):
        for one in load_config(name).venues.values():
            assert not any("://" in place for place in one.places.values())


@pytest.mark.parametrize("profile", ["paper", "five-venues"])
@pytest.mark.parametrize("wanted", [{"upbit"}, {"okx-swap", "binance-spot"}, set(VENUES)])
def test_any_subset_of_the_venues_runs_with_what_trades_on_it(profile: str, wanted: set[str]) -> None:
    config = load(profile, (), ",".join(sorted(wanted)))
    assert {name for name, venue in config.venues.items() if venue.enabled} == wanted
    trading = {strategy.venue for strategy in config.strategies.values() if strategy.enabled}
    assert trading == wanted
    assert all(venue.trades_on_simulator for venue in config.venues.values())
    families = {VENUES[name].family for name in wanted}
    assert set(simulated(config)) == families


@pytest.mark.parametrize("given", ["binance", ","])
def test_a_subset_names_venues_of_the_profile(given: str) -> None:
    with pytest.raises(click.BadParameter, match="the profile has binance-spot"):
        load("paper", (), given)


def test_simulators_listen_one_after_the_other_where_a_port_is_given() -> None:
    config = load("five-venues", ("simulator.port=9000",))
    ports = {family: address.port for family, address in simulated(config).items()}
    assert ports == {"binance-spot": 9000, "binance-usdm": 9001, "bybit": 9002, "okx": 9003, "upbit": 9004}
