"""Commands as REST requests, subscriptions as frames: exact texts, hashes, and what must be refused unsent."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.enums import ExecInst, OrdType, Side, TimeInForce
from protocols.errors import ConfigError, LocalProtocolError
from protocols.ids import ClOrdID, OrderID, Symbol, TradeID
from protocols.orders import NewOrder
from protocols.venue import Channel, Frame, HttpRequest, Lane
from protocols.venues.binance_spot import signer_for as other_signer
from protocols.venues.upbit import UpbitPrivate, UpbitPublic
from protocols.venues.upbit.encode import SMP_TYPES
from protocols.venues.upbit.requests import hash_text, json_body, pairs_of, wire_query
from tests.protocols.upbit.frames import (
    ACCOUNT,
    CL_ORD_ID,
    ETH,
    STAMP_NS,
    SYMBOL,
    UUID,
    claims,
    codec,
    new_order,
    order_row,
    reply,
)

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def place(order: NewOrder, **settings: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(codec(**settings).rest_new_order(order, STAMP_NS).body)
    return body


def hashed(request: HttpRequest) -> str:
    """The text whose hash the token must name, made from what is on the wire as the venue would."""
    if request.method == "POST":
        return "&".join(f"{name}={value}" for name, value in json.loads(request.body).items())
    return unquote(request.query)


class TestOrders:
    def test_a_limit_order(self) -> None:
        request = codec().rest_new_order(new_order(), STAMP_NS)
        assert (request.method, request.path, request.query) == ("POST", "/v1/orders", "")
        assert (request.weight, request.lane, request.group) == (1, Lane.NEW, "order")
        assert request.body == (
            '{"market":"KRW-BTC","side":"bid","ord_type":"limit","volume":"0.0001","price":"155772000",'
            f'"smp_type":"cancel_maker","identifier":"{CL_ORD_ID}"}}'
        )
        assert request.headers["Content-Type"] == "application/json; charset=utf-8"

    @pytest.mark.parametrize("time_in_force, word", [(TimeInForce.IOC, "ioc"), (TimeInForce.FOK, "fok")])
    def test_lifetimes(self, time_in_force: TimeInForce, word: str) -> None:
        assert place(new_order(time_in_force=time_in_force))["time_in_force"] == word

    def test_good_till_canceled_is_not_said(self) -> None:
        assert "time_in_force" not in place(new_order())

    @pytest.mark.parametrize("smp_type", SMP_TYPES)
    def test_post_only_and_self_trade_prevention_exclude_each_other(self, smp_type: str) -> None:
        sent = place(new_order(exec_inst=ExecInst.POST_ONLY), smp_type=smp_type)
        assert sent["time_in_force"] == "post_only"
        assert "smp_type" not in sent

    @pytest.mark.parametrize("smp_type", SMP_TYPES)
    def test_self_trade_prevention_is_said_with_every_other_order(self, smp_type: str) -> None:
        assert place(new_order(), smp_type=smp_type)["smp_type"] == smp_type

    def test_a_market_sell_has_a_volume_and_no_price(self) -> None:
        sent = place(new_order(ord_type=OrdType.MARKET, side=Side.SELL, price=None))
        assert (sent["ord_type"], sent["side"], sent["volume"]) == ("market", "ask", "0.0001")
        assert sent.keys().isdisjoint({"price", "time_in_force"})

    def test_small_numbers_have_no_exponent(self) -> None:
        sent = place(new_order(symbol=Symbol("BTC-ETH"), order_qty=Decimal("1E+2"), price=Decimal("1E-8")))
        assert (sent["volume"], sent["price"]) == ("100", "0.00000001")

    @pytest.mark.parametrize(
        "changes, named",
        [
            ({"ord_type": OrdType.MARKET, "price": None}, "LIMIT with IOC"),
            ({"ord_type": OrdType.MARKET, "side": Side.SELL, "time_in_force": TimeInForce.FOK}, "MARKET"),
            ({"ord_type": OrdType.MARKET, "side": Side.SELL, "exec_inst": ExecInst.POST_ONLY}, "MARKET"),
            ({"ord_type": OrdType.STOP}, "ord_type"),
            ({"ord_type": OrdType.TRAILING_STOP}, "ord_type"),
            ({"price": None}, "price"),
            ({"price": Decimal(0)}, "price"),
            ({"price": Decimal("0.000000001")}, "price"),
            ({"order_qty": Decimal("NaN")}, "order_qty"),
            ({"order_qty": Decimal("0.000000001")}, "order_qty"),
            ({"order_qty": Decimal(-1)}, "order_qty"),
            ({"time_in_force": TimeInForce.GTD}, "time_in_force"),
            ({"time_in_force": TimeInForce.DAY}, "time_in_force"),
            ({"exec_inst": ExecInst.POST_ONLY, "time_in_force": TimeInForce.IOC}, "POST_ONLY"),
            ({"exec_inst": ExecInst.REDUCE_ONLY}, "exec_inst"),
            ({"exec_inst": ExecInst.POST_ONLY | ExecInst.REDUCE_ONLY}, "exec_inst"),
            ({"cl_ord_id": ClOrdID("")}, "cl_ord_id"),
            ({"cl_ord_id": ClOrdID("x" * 65)}, "cl_ord_id"),
            ({"cl_ord_id": ClOrdID("with&sign")}, "cl_ord_id"),
            ({"symbol": Symbol("krw-btc")}, "symbol"),
            ({"symbol": Symbol("BTCKRW")}, "symbol"),
            ({"symbol": Symbol("KRW-")}, "symbol"),
        ],
    )
    def test_what_the_venue_has_no_word_for(self, changes: dict[str, Any], named: str) -> None:
        with pytest.raises(LocalProtocolError, match=named):
            place(new_order(**changes))

    def test_an_id_of_64_characters_is_taken(self) -> None:
        assert place(new_order(cl_ord_id=ClOrdID("x" * 64)))["identifier"] == "x" * 64

    def test_a_test_order_is_the_same_order_elsewhere(self) -> None:
        real, test = codec().rest_new_order(new_order(), 1), codec().rest_test_order(new_order(), 1)
        assert (test.path, test.group, test.body) == ("/v1/orders/test", "order-test", real.body)


class TestChanges:
    def test_a_cancel_by_the_venues_id_where_it_is_known(self) -> None:
        request = codec().rest_cancel_order(CL_ORD_ID, UUID, SYMBOL, STAMP_NS)
        assert (request.method, request.path, request.query) == ("DELETE", "/v1/order", f"uuid={UUID}")
        assert (request.body, request.lane, request.group) == ("", Lane.CANCEL, "default")

    def test_a_cancel_by_our_id_otherwise(self) -> None:
        assert codec().rest_cancel_order(CL_ORD_ID, None, SYMBOL, STAMP_NS).query == f"identifier={CL_ORD_ID}"

    def test_ids_of_others_may_look_different(self) -> None:
        request = codec().rest_cancel_order(ClOrdID("a:b+c/d&e=f"), None, SYMBOL, STAMP_NS)
        assert request.query == "identifier=a%3Ab%2Bc%2Fd%26e%3Df"
        assert claims(request)["query_hash"] == hashlib.sha512(b"identifier=a:b+c/d&e=f").hexdigest()

    @pytest.mark.parametrize("name", ["", "x" * 65, "with blank", "schlüssel"])
    def test_ids_that_nobody_can_have(self, name: str) -> None:
        with pytest.raises(LocalProtocolError, match="cl_ord_id"):
            codec().rest_cancel_order(ClOrdID(name), None, SYMBOL, STAMP_NS)
        with pytest.raises(LocalProtocolError, match="order_id"):
            codec().rest_cancel_order(CL_ORD_ID, OrderID(name), SYMBOL, STAMP_NS)

    def test_a_replacement_names_both_orders(self) -> None:
        request = codec().rest_replace_order(CL_ORD_ID, UUID, new_order(cl_ord_id=ClOrdID("next1")), STAMP_NS)
        assert (request.method, request.path, request.group) == ("POST", "/v1/orders/cancel_and_new", "order")
        assert json.loads(request.body) == {
            "prev_order_uuid": UUID, "new_ord_type": "limit", "new_volume": "0.0001", "new_price": "155772000",
            "new_smp_type": "cancel_maker", "new_identifier": "next1",
        }  # fmt: skip
        maker = new_order(cl_ord_id=ClOrdID("next1"), exec_inst=ExecInst.POST_ONLY)
        body = json.loads(codec().rest_replace_order(CL_ORD_ID, None, maker, STAMP_NS).body)
        assert (body["prev_order_identifier"], body["new_time_in_force"]) == (CL_ORD_ID, "post_only")
        assert "new_smp_type" not in body

    def test_several_cancels_in_one_request(self) -> None:
        orders = [(CL_ORD_ID, OrderID("u1"), SYMBOL), (CL_ORD_ID, OrderID("u2"), ETH)]
        request = codec().rest_cancel_orders(orders, STAMP_NS)
        assert (request.method, request.path, request.query) == ("DELETE", "/v1/orders/uuids", "uuids[]=u1&uuids[]=u2")
        mixed = [(ClOrdID("c1"), OrderID("u1"), SYMBOL), (ClOrdID("c2"), None, ETH)]
        assert codec().rest_cancel_orders(mixed, STAMP_NS).query == "identifiers[]=c1&identifiers[]=c2"
        for count in (0, 21):
            with pytest.raises(LocalProtocolError, match="1 to 20"):
                codec().rest_cancel_orders([(CL_ORD_ID, UUID, SYMBOL)] * count, STAMP_NS)

    def test_a_mass_cancel_asks_for_as_many_as_there_can_be(self) -> None:
        request = codec().rest_cancel_all(SYMBOL, STAMP_NS)
        assert (request.method, request.path, request.group) == ("DELETE", "/v1/orders/open", "order-cancel-all")
        assert request.query == "cancel_side=all&pairs=KRW-BTC&count=300"
        assert codec().rest_cancel_all(None, STAMP_NS).query == "cancel_side=all&count=300"

    def test_a_mass_cancel_goes_on_until_nothing_is_left(self) -> None:
        """Section 5.2."""
        one = codec()
        request = one.rest_cancel_all(SYMBOL, STAMP_NS)

        def answer(count: int) -> object:
            orders = [{"uuid": str(number), "market": "KRW-BTC"} for number in range(count)]
            return {"success": {"count": count, "orders": orders}, "failed": {"count": 0, "orders": []}}

        again = one.continuation(request, reply(answer(300)), STAMP_NS + 1)
        assert again is not None
        assert (again.method, again.path, again.query) == (request.method, request.path, request.query)
        assert (again.lane, again.group) == (Lane.CANCEL, "order-cancel-all")
        assert claims(again)["nonce"] != claims(request)["nonce"]
        assert one.continuation(again, reply(answer(299)), STAMP_NS + 2) is None
        assert one.continuation(again, reply(answer(300), 500), STAMP_NS + 2) is None


class TestQueries:
    @pytest.mark.parametrize(
        "request_, path, query",
        [
            (codec().order_status_request(CL_ORD_ID, None, SYMBOL, 1), "/v1/order", f"identifier={CL_ORD_ID}"),
            (codec().order_status_request(CL_ORD_ID, UUID, SYMBOL, 1), "/v1/order", f"uuid={UUID}"),
            (codec().fills_request(SYMBOL, 1, order_id=UUID), "/v1/order", f"uuid={UUID}"),
            (
                codec().open_orders_request(SYMBOL, 1),
                "/v1/orders/open",
                "market=KRW-BTC&states[]=wait&states[]=watch&page=1&limit=100",
            ),
            (
                codec().open_orders_request(None, 1),
                "/v1/orders/open",
                "states[]=wait&states[]=watch&page=1&limit=100",
            ),
            (
                codec().closed_orders_request(SYMBOL, 5_000_000_000, 6_000_000_000, 1),
                "/v1/orders/closed",
                "market=KRW-BTC&states[]=done&states[]=cancel&start_time=5000&end_time=6000&limit=1000",
            ),
            (codec().orders_request([OrderID("u1"), OrderID("u2")], 1), "/v1/orders/uuids", "uuids[]=u1&uuids[]=u2"),
            (codec().balances_request(1), "/v1/accounts", ""),
            (codec().chance_request(SYMBOL, 1), "/v1/orders/chance", "market=KRW-BTC"),
        ],
    )
    def test_requests(self, request_: HttpRequest, path: str, query: str) -> None:
        assert (request_.method, request_.path, request_.query) == ("GET", path, query)
        assert (request_.body, request_.lane, request_.group) == ("", Lane.QUERY, "default")
        assert set(request_.headers) == {"Authorization"}

    def test_there_is_no_list_of_fills(self) -> None:
        with pytest.raises(LocalProtocolError, match="order_id"):
            codec().fills_request(SYMBOL, 1, since_ns=5)
        with pytest.raises(LocalProtocolError, match="order_id"):
            codec().fills_request(SYMBOL, 1, from_trade_id=TradeID("x"))
        assert not codec().capabilities.fills_by_time

    @pytest.mark.parametrize("since, until", [(5, 4), (0, 7 * 86_400 * 10**9 + 1)])
    def test_a_window_of_closed_orders_has_at_most_seven_days(self, since: int, until: int) -> None:
        with pytest.raises(LocalProtocolError, match="7 days"):
            codec().closed_orders_request(None, since, until, 1)

    @pytest.mark.parametrize("count", [0, 101])
    def test_how_many_orders_can_be_asked_for_at_once(self, count: int) -> None:
        with pytest.raises(LocalProtocolError, match="1 to 100"):
            codec().orders_request([UUID] * count, 1)

    def test_one_order_is_enough(self) -> None:
        assert codec().orders_request([UUID], 1).query == f"uuids[]={UUID}"
        assert codec().rest_cancel_orders([(CL_ORD_ID, UUID, SYMBOL)], 1).query == f"uuids[]={UUID}"

    def test_pages_of_open_orders(self) -> None:
        one = codec()
        first = one.open_orders_request(SYMBOL, 1)
        full = reply([order_row(uuid=str(number)) for number in range(100)])
        second = one.continuation(first, full, 2)
        assert second is not None
        assert second.query == "market=KRW-BTC&states[]=wait&states[]=watch&page=2&limit=100"
        assert claims(second)["query_hash"] == hashlib.sha512(hashed(second).encode()).hexdigest()
        assert one.continuation(second, reply([order_row()]), 3) is None
        assert one.continuation(one.balances_request(4), reply([]), 5) is None


class TestTokens:
    def every_request(self, one: UpbitPrivate) -> list[HttpRequest]:
        return [
            one.rest_new_order(new_order(), STAMP_NS),
            one.rest_replace_order(CL_ORD_ID, None, new_order(), STAMP_NS),
            one.rest_cancel_order(CL_ORD_ID, None, SYMBOL, STAMP_NS),
            one.rest_cancel_orders([(CL_ORD_ID, UUID, SYMBOL)], STAMP_NS),
            one.rest_cancel_all(SYMBOL, STAMP_NS),
            one.open_orders_request(None, STAMP_NS),
            one.closed_orders_request(None, 0, 1, STAMP_NS),
            one.order_status_request(ClOrdID("a:b,c+d"), None, SYMBOL, STAMP_NS),
            one.balances_request(STAMP_NS),
        ]

    @pytest.mark.req("R082")
    def test_the_hash_is_that_of_what_is_sent(self) -> None:
        for request in self.every_request(codec()):
            said = claims(request)
            text = hashed(request)
            if text:
                assert said["query_hash"] == hashlib.sha512(text.encode()).hexdigest()
                assert said["query_hash_alg"] == "SHA512"
            else:
                assert said.keys() == {"access_key", "nonce"}

    def test_a_nonce_is_never_used_twice(self) -> None:
        """Not by one codec, nor by two that send in the same nanosecond and bear different salts."""
        requests = [
            request
            for salt in ("entry", "reconciler")
            for one in [codec(salt=salt)]
            for _ in range(50)
            for request in self.every_request(one)
        ]
        nonces = [claims(request)["nonce"] for request in requests]
        assert len(set(nonces)) == len(nonces) == 900
        assert all(UUID4.fullmatch(nonce) for nonce in nonces)

    def test_an_upgrade_is_signed_anew_each_time(self) -> None:
        one = codec()
        first, second = one.upgrade_headers(STAMP_NS), one.upgrade_headers(STAMP_NS)
        assert first.keys() == second.keys() == {"Authorization"}
        assert first != second
        said = claims(HttpRequest("GET", "", "", first, "", 0, Lane.QUERY))
        assert said.keys() == {"access_key", "nonce"}

    def test_a_signer_of_another_venue_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="JWT"):
            UpbitPrivate(ACCOUNT, other_signer("key", "secret"))

    def test_an_unknown_kind_of_self_trade_prevention_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="smp_type"):
            codec(smp_type="expire_maker")


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "states[]", "market", "start_time"]), st.text(st.characters(codec="utf-8"))),
        max_size=6,
    )
)
def test_hash_text_and_query_are_one_list_in_two_spellings(pairs: list[tuple[str, str]]) -> None:
    query = wire_query(pairs)
    assert query.isascii()
    assert pairs_of(query) == pairs
    assert unquote(query) == hash_text(pairs)


@given(
    st.dictionaries(st.sampled_from(["market", "side", "price", "identifier"]), st.text(st.characters(codec="utf-8")))
)
def test_hash_text_and_body_are_one_list_in_two_spellings(fields: dict[str, str]) -> None:
    pairs = list(fields.items())
    assert list(json.loads(json_body(pairs)).items()) == pairs


# ---- what goes by REST alone -------------------------------------------------------------------------------------


SENDS: list[Callable[[UpbitPrivate], Frame]] = [
    lambda one: one.new_order(new_order(), "1", STAMP_NS, logged_on=True),
    lambda one: one.cancel_order(CL_ORD_ID, UUID, SYMBOL, "1", STAMP_NS, logged_on=True),
    lambda one: one.amend_order(CL_ORD_ID, UUID, SYMBOL, Decimal(1), "1", STAMP_NS, logged_on=True),
    lambda one: one.cancel_all(SYMBOL, "1", STAMP_NS, logged_on=True),
]


@pytest.mark.parametrize("send", SENDS)
def test_no_order_goes_over_a_socket(send: Callable[[UpbitPrivate], Frame]) -> None:
    with pytest.raises(LocalProtocolError, match=r"ws_order_entry.*rest_"):
        send(codec())
    assert not codec().capabilities.ws_order_entry
    assert codec().entry_path() == ""


# ---- subscriptions -----------------------------------------------------------------------------------------------


def test_one_frame_says_the_whole_set() -> None:
    wanted = [
        (Channel.BOOK, SYMBOL), (Channel.TRADES, SYMBOL), (Channel.TRADES, ETH), (Channel.CANDLES_1M, ETH),
        (Channel.BOOK, SYMBOL),
    ]  # fmt: skip
    (frame,) = UpbitPublic().subscribe(wanted, 7)
    assert json.loads(frame.text) == [
        {"ticket": "bh-7"},
        {"type": "orderbook", "codes": ["KRW-BTC"]},
        {"type": "trade", "codes": ["KRW-BTC", "KRW-ETH"], "is_only_realtime": True},
        {"type": "candle.1m", "codes": ["KRW-ETH"]},
        {"format": "DEFAULT"},
    ]
    assert frame.request_id == ""  # nothing acknowledges it


def test_many_markets_are_still_one_frame() -> None:
    """A second frame would replace the first."""
    (frame,) = UpbitPublic().subscribe([(Channel.TRADES, Symbol(f"KRW-X{number}")) for number in range(500)], 1)
    assert len(json.loads(frame.text)[1]["codes"]) == 500


def test_nothing_is_no_frame_and_there_is_no_unsubscribe() -> None:
    public = UpbitPublic()
    assert not public.subscribe([], 1)
    assert not public.unsubscribe([], 1)
    with pytest.raises(LocalProtocolError, match="whole remaining set"):
        public.unsubscribe([(Channel.BOOK, SYMBOL)], 1)


def test_every_channel_of_the_capabilities_and_no_other() -> None:
    public = UpbitPublic()
    for channel in Channel:
        if channel in public.capabilities.channels:
            assert public.subscribe([(channel, SYMBOL)], 1)
        else:
            with pytest.raises(LocalProtocolError, match="channel"):
                public.subscribe([(channel, SYMBOL)], 1)


@pytest.mark.parametrize("symbol", ["krw-btc", "KRW-BTC.15", "BTC", ""])
def test_codes_that_the_venue_would_ignore_in_silence(symbol: str) -> None:
    with pytest.raises(LocalProtocolError, match="symbol"):
        UpbitPublic().subscribe([(Channel.BOOK, Symbol(symbol))], 1)


def test_the_private_streams_in_one_frame_without_codes() -> None:
    one = codec()
    frame = one.subscribe_private("9", STAMP_NS, logged_on=False)
    assert json.loads(frame.text) == [
        {"ticket": "9"}, {"type": "myOrder"}, {"type": "myAsset"}, {"format": "DEFAULT"},
    ]  # fmt: skip
    assert frame.request_id == ""
    assert one.logon("1", STAMP_NS) is None
    assert one.private_path() == "/websocket/v1/private"


@pytest.mark.parametrize("one", [UpbitPublic(), codec()])
def test_what_is_subscribed_can_be_asked(one: UpbitPublic | UpbitPrivate) -> None:
    frame = one.list_subscriptions("12")
    assert json.loads(frame.text) == [{"ticket": "12"}, {"method": "LIST_SUBSCRIPTIONS"}]
    assert frame.request_id == "12"
