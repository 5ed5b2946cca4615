"""The codecs carry out the venue interface: every member, with its signature, as the type checker sees it too."""

from __future__ import annotations

import inspect

import attrs
import pytest

from protocols.venue import (
    BookSequencer,
    Channel,
    ContinuesAnswers,
    ListsSubscriptions,
    PrivateCodec,
    PublicCodec,
    ReplacesOrders,
    SignsUpgrade,
)
from protocols.venues.upbit import ENVIRONMENTS, UpbitPublic
from protocols.venues.upbit.book import UpbitSequencer
from protocols.venues.upbit.endpoints import STREAM_RULES
from tests.protocols.upbit.frames import codec

# The checker proves the types here; the test below proves that nothing is left to `Protocol`'s own empty bodies.
PUBLIC: PublicCodec = UpbitPublic()
PRIVATE: PrivateCodec = codec()
SEQUENCER: BookSequencer = UpbitSequencer()
SIGNS: SignsUpgrade = codec()
LISTS: tuple[ListsSubscriptions, ...] = (codec(), UpbitPublic())
CONTINUES: ContinuesAnswers = codec()
REPLACES: ReplacesOrders = codec()


@pytest.mark.req("R219")
@pytest.mark.parametrize(
    "interface, thing",
    [
        (PublicCodec, PUBLIC), (PrivateCodec, PRIVATE), (BookSequencer, SEQUENCER), (SignsUpgrade, SIGNS),
        (ListsSubscriptions, LISTS[0]), (ListsSubscriptions, LISTS[1]), (ContinuesAnswers, CONTINUES),
        (ReplacesOrders, REPLACES),
    ],
)  # fmt: skip
def test_every_member_with_its_signature(interface: type, thing: object) -> None:
    wanted = {name: value for name, value in vars(interface).items() if not name.startswith("_")}
    names = set(wanted) | set(getattr(interface, "__annotations__", {}))
    assert names
    for name in names:
        assert hasattr(thing, name), name
        if inspect.isfunction(wanted.get(name)):
            theirs = inspect.signature(wanted[name])
            ours = inspect.signature(getattr(type(thing), name))
            assert list(ours.parameters.values()) == list(theirs.parameters.values()), name


def test_the_capabilities_are_those_of_the_reference() -> None:
    """Sections 5 and 6: what Upbit does not have must not be asked of it."""
    able = attrs.asdict(PUBLIC.capabilities)
    assert PRIVATE.capabilities == PUBLIC.capabilities
    yes = {
        "cancel_replace", "cancel_all_symbol", "cancel_all_account", "query_by_cl_ord_id", "post_only",
        "market_by_quote",
    }  # fmt: skip
    no = {
        "ws_order_entry", "ws_logon", "amend_keeps_priority", "dead_man_switch", "hedge_mode", "reduce_only",
        "private_snapshot_on_subscribe", "request_window", "cl_ord_id_reusable", "ws_cancel_all",
        "fills_from_trade_id", "fills_by_time", "market_buy_by_qty", "subscriptions_add", "server_time",
    }  # fmt: skip
    assert {name: able[name] for name in yes | no} == dict.fromkeys(yes, True) | dict.fromkeys(no, False)
    assert able["batch_size_max"] == 1
    assert able["cancel_batch_max"] == 20
    assert able["channels"] == set(Channel) - {
        Channel.BOOK_TICKER, Channel.CANDLES_2H, Channel.CANDLES_6H, Channel.CANDLES_12H, Channel.CANDLES_1D,
    }  # fmt: skip


def test_liveness() -> None:
    """Sections 3 and 6.2: closed after 120 s of silence; 5 frames a second and 100 a minute."""
    second = 1_000_000_000
    assert STREAM_RULES.server_ping_interval_ns == 0
    assert 0 < STREAM_RULES.client_ping_interval_ns <= 60 * second
    assert 2 * STREAM_RULES.client_ping_interval_ns < STREAM_RULES.silence_max_ns < 120 * second
    assert (STREAM_RULES.messages_per_s_max, STREAM_RULES.messages_per_min_max) == (5, 100)


def test_the_one_environment_is_dated() -> None:
    """Section 1: there is no testnet."""
    (production,) = ENVIRONMENTS.values()
    assert production.as_of >= "2026-10-01"
    assert production.rest.startswith("https://")
    assert production.stream.startswith("wss://")
    paths = attrs.asdict(production.paths)
    assert paths.pop("as_of") >= "2026-10-01"
    assert all(path.startswith(("/v1/", "/websocket/v1")) for path in paths.values())
    assert paths["open_orders"] != "/v1/orders"  # the list at /v1/orders is deprecated since 2024-06
