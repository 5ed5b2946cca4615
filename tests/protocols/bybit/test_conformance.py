"""The codecs carry out the venue interface: every member, with its signature, as the type checker sees it too."""

from __future__ import annotations

import inspect

import attrs
import pytest

from protocols.instruments import Product
from protocols.venue import (
    AmendsByTerms,
    BatchCodec,
    BookSequencer,
    CancelsAllByRest,
    Channel,
    ChecksAccountKind,
    ChecksPositionModeBySymbol,
    ContinuesAnswers,
    KeepsAlive,
    PrivateCodec,
    PublicCodec,
    SessionRules,
)
from protocols.venues.bybit import ENVIRONMENTS, VENUES
from protocols.venues.bybit.book import BybitSequencer
from protocols.venues.bybit.endpoints import STREAM_RULES, TRADE_RULES
from tests.protocols.bybit.frames import LINEAR, SPOT, codec, public

# The checker proves the types here; the test below proves that nothing is left to `Protocol`'s own empty bodies.
PUBLIC: PublicCodec = public()
PRIVATE: PrivateCodec = codec()
SEQUENCER: BookSequencer = BybitSequencer()
ALIVE: tuple[KeepsAlive, ...] = (public(), codec())
AMENDS: AmendsByTerms = codec()
KINDS: ChecksAccountKind = codec()
MODES: ChecksPositionModeBySymbol = codec()
PAGES: tuple[ContinuesAnswers, ...] = (public(), codec())
BATCHES: BatchCodec = codec()


@pytest.mark.req("R219")
@pytest.mark.parametrize(
    "interface, thing",
    [
        (PublicCodec, PUBLIC),
        (PrivateCodec, PRIVATE),
        (BookSequencer, SEQUENCER),
        (BatchCodec, BATCHES),
        (AmendsByTerms, AMENDS),
        (CancelsAllByRest, AMENDS),
        (ChecksPositionModeBySymbol, MODES),
        (ChecksAccountKind, KINDS),
        *((KeepsAlive, thing) for thing in ALIVE),
        *((ContinuesAnswers, thing) for thing in PAGES),
    ],
)
def test_every_member_with_its_signature(interface: type, thing: object) -> None:
    wanted = {name: value for name, value in vars(interface).items() if not name.startswith("_")}
    names = set(wanted) | set(inspect.get_annotations(interface))
    assert names
    for name in names:
        assert hasattr(thing, name), name
        if inspect.isfunction(wanted.get(name)):
            theirs = inspect.signature(wanted[name])
            ours = inspect.signature(getattr(type(thing), name))
            assert list(ours.parameters.values()) == list(theirs.parameters.values()), name


LACKS_ALWAYS = {
    "amend_keeps_priority", "amend_needs_terms", "cancel_replace", "dead_man_switch", "fills_from_trade_id",
    "listen_key", "private_snapshot_on_subscribe", "ws_cancel_all",
}  # fmt: skip
HAS_ALWAYS = {
    "amends_price",
    "cancel_all_account", "cancel_all_symbol", "cl_ord_id_reusable", "fills_by_time", "market_buy_by_qty", "post_only",
    "query_by_cl_ord_id", "request_window", "server_time", "subscriptions_add", "ws_logon", "ws_order_entry",
}  # fmt: skip


@pytest.mark.parametrize(
    "product, has, lacks, batch",
    [
        (LINEAR, {"hedge_mode", "reduce_only"}, {"market_by_quote"}, 20),
        (SPOT, {"market_by_quote"}, {"hedge_mode", "reduce_only"}, 10),
    ],
)
def test_the_capabilities_are_those_of_the_reference(
    product: Product, has: set[str], lacks: set[str], batch: int
) -> None:
    """Sections 6 and 9: what the venue does not have must not be asked of it."""
    capabilities = public(product).capabilities
    able = attrs.asdict(capabilities)
    assert codec(product).capabilities == capabilities
    assert {name for name in LACKS_ALWAYS | lacks if able[name] is not False} == set()
    assert {name for name in HAS_ALWAYS | has if able[name] is not True} == set()
    assert capabilities.batch_size_max == batch
    assert capabilities.cancel_batch_max == 10  # what the bucket holds in a second
    assert capabilities.channels == frozenset(Channel) - {Channel.CANDLES_1S, Channel.CANDLES_10M}


@pytest.mark.parametrize("product, batch", [(SPOT, 1), (LINEAR, 20)])
def test_demo_trading_has_less(product: Product, batch: int) -> None:
    """Section 1: no trade socket, and batches of contracts alone."""
    able = codec(product, endpoints=ENVIRONMENTS["demo"]).capabilities
    assert not able.ws_order_entry
    assert not able.ws_batches
    assert (able.batch_size_max, able.cancel_batch_max) == (batch, min(batch, 10))


def test_two_products_are_two_venues() -> None:
    assert VENUES == {SPOT: "bybit-spot", LINEAR: "bybit-linear"}
    for product, name in VENUES.items():
        assert public(product).venue == codec(product).venue == name


@pytest.mark.parametrize("rules", [STREAM_RULES, TRADE_RULES])
def test_liveness(rules: SessionRules) -> None:
    """Section 8: a ping of ours every 20 s; a peer that says nothing for 30 s is dead."""
    second = 1_000_000_000
    assert (rules.server_ping_interval_ns, rules.client_ping_interval_ns) == (0, 20 * second)
    assert rules.client_ping_interval_ns < rules.silence_max_ns == 30 * second
    longest_topic = len("orderbook.1000.") + 20
    assert rules.subscriptions_max * (longest_topic + 3) <= 21_000


def test_environments_are_dated_and_apart() -> None:
    assert set(ENVIRONMENTS) == {"production", "testnet", "demo"}
    private = [one.private for one in ENVIRONMENTS.values()] + [one.rest for one in ENVIRONMENTS.values()]
    assert len(set(private)) == 6
    for one in ENVIRONMENTS.values():
        assert one.as_of >= "2026-07-24"
        assert one.rest.startswith("https://")
        assert one.stream.startswith("wss://")
        assert one.private.startswith("wss://")
    assert ENVIRONMENTS["demo"].trade == ""  # no order entry by WebSocket there
    assert ENVIRONMENTS["demo"].stream == ENVIRONMENTS["production"].stream
    paths = attrs.asdict(ENVIRONMENTS["production"].paths)
    assert all(str(path).startswith("/v5/") for name, path in paths.items() if name not in ("as_of", "stream"))
