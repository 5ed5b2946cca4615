"""Commands as frames and as REST requests: exact bytes, signatures, and what must be refused before it is sent."""

from __future__ import annotations

import base64
import hmac
import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from protocols.enums import ExecInst, OrdType, Side, TimeInForce
from protocols.errors import ConfigError, LocalProtocolError
from protocols.ids import ClOrdID, OrderID, Symbol, TradeID
from protocols.orders import NewOrder
from protocols.venue import Frame, HttpRequest, Lane
from protocols.venues.binance_spot.encode import STP_MODES, order_params
from tests.protocols.binance_spot.frames import ACCOUNT, CL_ORD_ID, PEM, STAMP_NS, SYMBOL, codec, new_order

STAMP_MS = STAMP_NS // 1_000_000
SECRET = "a secret for HMAC"


def params(frame: Frame) -> dict[str, Any]:
    return json.loads(frame.text)["params"]


def place(order: NewOrder, **settings: Any) -> dict[str, Any]:
    return params(codec(**settings).new_order(order, "r1", STAMP_NS, logged_on=True))


class TestGoldenFrames:
    def test_limit_order_on_a_logged_on_session(self) -> None:
        frame = codec().new_order(new_order(), "r1", STAMP_NS, logged_on=True)
        assert frame.text == (
            '{"id":"r1","method":"order.place","params":{"symbol":"BTCUSDT","side":"BUY",'
            f'"newClientOrderId":"{CL_ORD_ID}","quantity":"0.00100","price":"90000.00","type":"LIMIT",'
            '"timeInForce":"GTC","newOrderRespType":"FULL","selfTradePreventionMode":"EXPIRE_MAKER",'
            '"recvWindow":2000,"timestamp":1790000000123}}'
        )
        assert (frame.request_id, frame.weight, frame.lane) == ("r1", 0, Lane.NEW)

    def test_post_only_is_a_type_without_lifetime(self) -> None:
        sent = place(new_order(exec_inst=ExecInst.POST_ONLY))
        assert sent["type"] == "LIMIT_MAKER"
        assert "timeInForce" not in sent

    def test_market_order_has_no_price(self) -> None:
        sent = place(new_order(ord_type=OrdType.MARKET, price=None, side=Side.SELL))
        assert (sent["type"], sent["side"]) == ("MARKET", "SELL")
        assert sent.keys().isdisjoint({"price", "timeInForce", "stopPrice"})

    @pytest.mark.parametrize(
        "ord_type, venue_type, priced",
        [
            (OrdType.STOP, "STOP_LOSS", False),
            (OrdType.STOP_LIMIT, "STOP_LOSS_LIMIT", True),
            (OrdType.TAKE_PROFIT, "TAKE_PROFIT", False),
            (OrdType.TAKE_PROFIT_LIMIT, "TAKE_PROFIT_LIMIT", True),
        ],
    )
    def test_triggered_orders(self, ord_type: OrdType, venue_type: str, priced: bool) -> None:
        sent = place(new_order(ord_type=ord_type, stop_px=Decimal("95000.10")))
        assert (sent["type"], sent["stopPrice"]) == (venue_type, "95000.10")
        assert ("price" in sent) is priced
        assert sent.get("timeInForce") == ("GTC" if priced else None)

    @pytest.mark.parametrize("lifetime", [TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK])
    def test_lifetimes(self, lifetime: TimeInForce) -> None:
        assert place(new_order(time_in_force=lifetime))["timeInForce"] == lifetime.value

    def test_cancel_by_the_venues_id_chooses_the_new_name(self) -> None:
        frame = codec().cancel_order(CL_ORD_ID, OrderID("9001"), SYMBOL, "c1", STAMP_NS, logged_on=True)
        assert frame.text == (
            '{"id":"c1","method":"order.cancel","params":{"symbol":"BTCUSDT","orderId":"9001",'
            f'"newClientOrderId":"{CL_ORD_ID}-x","recvWindow":2000,"timestamp":1790000000123}}}}'
        )
        assert frame.lane is Lane.CANCEL

    def test_cancel_by_our_id(self) -> None:
        sent = params(codec().cancel_order(CL_ORD_ID, None, SYMBOL, "c1", STAMP_NS, logged_on=True))
        assert sent["origClientOrderId"] == CL_ORD_ID
        assert sent["newClientOrderId"] == f"{CL_ORD_ID}-x"
        assert "orderId" not in sent

    def test_cancel_of_somebody_elses_order_leaves_the_name_to_the_venue(self) -> None:
        sent = params(codec().cancel_order(ClOrdID("web_1"), None, SYMBOL, "c1", STAMP_NS, logged_on=True))
        assert sent["origClientOrderId"] == "web_1"
        assert "newClientOrderId" not in sent

    def test_amend_keeps_the_name(self) -> None:
        frame = codec().amend_order(
            CL_ORD_ID, OrderID("9001"), SYMBOL, Decimal("0.0005"), "a1", STAMP_NS, logged_on=True
        )
        assert json.loads(frame.text) == {
            "id": "a1",
            "method": "order.amend.keepPriority",
            "params": {
                "symbol": "BTCUSDT",
                "orderId": "9001",
                "newQty": "0.0005",
                "newClientOrderId": CL_ORD_ID,
                "recvWindow": 2000,
                "timestamp": STAMP_MS,
            },
        }
        assert (frame.weight, frame.lane) == (4, Lane.REDUCE)

    def test_cancel_all(self) -> None:
        frame = codec().cancel_all(SYMBOL, "x1", STAMP_NS, logged_on=True)
        assert json.loads(frame.text)["method"] == "openOrders.cancelAll"
        assert params(frame) == {"symbol": "BTCUSDT", "recvWindow": 2000, "timestamp": STAMP_MS}

    def test_subscription_after_logon_needs_nothing(self) -> None:
        frame = codec().subscribe_private("s1", STAMP_NS, logged_on=True)
        assert json.loads(frame.text) == {"id": "s1", "method": "userDataStream.subscribe", "params": {}}

    def test_paths(self) -> None:
        assert (codec().entry_path(), codec().private_path()) == ("/ws-api/v3", "/ws-api/v3")


class TestSignedFrames:
    """All parameters but the signature, sorted, joined, not encoded, `apiKey` and `timestamp` among them."""

    @staticmethod
    def payload(sent: dict[str, Any]) -> bytes:
        return "&".join(f"{name}={sent[name]}" for name in sorted(sent) if name != "signature").encode()

    @pytest.mark.req("R082")
    def test_hmac(self) -> None:
        private = codec(SECRET)
        frames = [
            private.new_order(new_order(), "r1", STAMP_NS, logged_on=False),
            private.cancel_order(CL_ORD_ID, None, SYMBOL, "c1", STAMP_NS, logged_on=False),
            private.cancel_all(SYMBOL, "x1", STAMP_NS, logged_on=False),
            private.subscribe_private("s1", STAMP_NS, logged_on=False),
        ]
        for frame in frames:
            sent = params(frame)
            assert sent["apiKey"] == "TESTKEY"
            assert sent["timestamp"] == STAMP_MS
            assert sent["signature"] == hmac.new(SECRET.encode(), self.payload(sent), "sha256").hexdigest()

    @pytest.mark.req("R082")
    def test_names_that_are_not_ascii_are_signed_as_they_are(self) -> None:
        order = new_order(symbol=Symbol("１２３４５６"))
        sent = params(codec(SECRET).new_order(order, "r1", STAMP_NS, logged_on=False))
        assert sent["symbol"] == "１２３４５６"
        assert "symbol=１２３４５６&".encode() in self.payload(sent)
        assert sent["signature"] == hmac.new(SECRET.encode(), self.payload(sent), "sha256").hexdigest()

    def test_logon_equals_the_published_shape(self) -> None:
        """Vector E4 is this very payload with 5 s and another moment."""
        frame = codec(recv_window_ms=5000).logon("l1", 1_700_000_000_000_000_000)
        assert frame is not None
        assert json.loads(frame.text) == {
            "id": "l1",
            "method": "session.logon",
            "params": {
                "apiKey": "TESTKEY",
                "recvWindow": 5000,
                "timestamp": 1700000000000,
                "signature": "wAeGCGg0hb6cirDVppG30bNQODpO9LG6hgGds4Mo41RSUNqVxWIFt0BDH+JFqLzcXKpWBKNhs1kgf5bIPN0HDw==",
            },
        }

    def test_a_key_that_cannot_log_on_says_so(self) -> None:
        assert codec(SECRET).logon("l1", STAMP_NS) is None
        frame = codec(SECRET).subscribe_private("s1", STAMP_NS, logged_on=False)
        assert json.loads(frame.text)["method"] == "userDataStream.subscribe.signature"

    def test_the_secret_is_in_no_frame_and_no_repr(self) -> None:
        private = codec(SECRET)
        for frame in (
            private.new_order(new_order(), "r1", STAMP_NS, logged_on=False),
            private.subscribe_private("s1", STAMP_NS, logged_on=False),
        ):
            assert SECRET not in frame.text
        assert SECRET not in repr(private)


class TestRest:
    @staticmethod
    def check_signature(request: HttpRequest) -> dict[str, str]:
        payload, _, signature = request.query.rpartition("&signature=")
        key = load_pem_private_key(PEM.encode(), None)
        assert "/" not in signature
        assert "+" not in signature
        key.public_key().verify(base64.b64decode(unquote(signature)), payload.encode())  # type: ignore[union-attr,call-arg]
        return dict(parse_qsl(payload, strict_parsing=True))

    @pytest.mark.req("R082")
    def test_every_signed_request_is_signed_over_its_encoded_text(self) -> None:
        private = codec()
        requests = [
            private.rest_new_order(new_order(symbol=Symbol("１２３")), STAMP_NS),
            private.rest_cancel_order(CL_ORD_ID, OrderID("9001"), SYMBOL, STAMP_NS),
            private.rest_amend_order(CL_ORD_ID, None, SYMBOL, Decimal("0.0005"), STAMP_NS),
            private.rest_cancel_all(SYMBOL, STAMP_NS),
            private.order_status_request(CL_ORD_ID, None, SYMBOL, STAMP_NS),
            private.open_orders_request(None, STAMP_NS),
            private.fills_request(SYMBOL, STAMP_NS),
            private.balances_request(STAMP_NS),
        ]
        for request in requests:
            sent = self.check_signature(request)
            assert sent["timestamp"] == str(STAMP_MS)
            assert sent["recvWindow"] == "2000"
            assert request.headers == {"X-MBX-APIKEY": "TESTKEY"}
            assert request.body == ""
        assert "symbol=%EF%BC%91%EF%BC%92%EF%BC%93&" in requests[0].query

    @pytest.mark.req("R082")
    def test_hmac_signs_the_query_as_sent(self) -> None:
        request = codec(SECRET).rest_new_order(new_order(), STAMP_NS)
        payload, _, signature = request.query.rpartition("&signature=")
        assert signature == hmac.new(SECRET.encode(), payload.encode(), "sha256").hexdigest()
        assert payload.startswith("symbol=BTCUSDT&side=BUY&type=LIMIT&")
        assert payload.endswith("&recvWindow=2000&timestamp=1790000000123")

    def test_rest_and_websocket_say_the_same(self) -> None:
        order = new_order(ord_type=OrdType.STOP_LIMIT, stop_px=Decimal("95000"))
        sent = self.check_signature(codec().rest_new_order(order, STAMP_NS))
        assert sent == {name: str(value) for name, value in place(order).items()}

    @pytest.mark.parametrize(
        "request_, method, path, weight, lane",
        [
            (codec().rest_new_order(new_order(), STAMP_NS), "POST", "/api/v3/order", 0, Lane.NEW),
            (
                codec().rest_cancel_order(CL_ORD_ID, None, SYMBOL, STAMP_NS),
                "DELETE",
                "/api/v3/order",
                0,
                Lane.CANCEL,
            ),
            (
                codec().rest_amend_order(CL_ORD_ID, None, SYMBOL, Decimal(1), STAMP_NS),
                "PUT",
                "/api/v3/order/amend/keepPriority",
                4,
                Lane.REDUCE,
            ),
            (codec().rest_cancel_all(SYMBOL, STAMP_NS), "DELETE", "/api/v3/openOrders", 0, Lane.CANCEL),
            (
                codec().order_status_request(CL_ORD_ID, None, SYMBOL, STAMP_NS),
                "GET",
                "/api/v3/order",
                4,
                Lane.QUERY,
            ),
            (codec().open_orders_request(SYMBOL, STAMP_NS), "GET", "/api/v3/openOrders", 6, Lane.QUERY),
            (codec().open_orders_request(None, STAMP_NS), "GET", "/api/v3/openOrders", 80, Lane.QUERY),
            (codec().fills_request(SYMBOL, STAMP_NS), "GET", "/api/v3/myTrades", 20, Lane.QUERY),
            (
                codec().fills_request(SYMBOL, STAMP_NS, order_id=OrderID("1")),
                "GET",
                "/api/v3/myTrades",
                5,
                Lane.QUERY,
            ),
            (codec().balances_request(STAMP_NS), "GET", "/api/v3/account", 20, Lane.QUERY),
        ],
    )
    def test_map_and_weights(self, request_: HttpRequest, method: str, path: str, weight: int, lane: Lane) -> None:
        assert (request_.method, request_.path, request_.weight, request_.lane) == (method, path, weight, lane)

    def test_fills_by_the_narrowest_of_order_id_and_time(self) -> None:
        def asked(**by: Any) -> set[str]:
            return set(dict(parse_qsl(codec().fills_request(SYMBOL, STAMP_NS, **by).query))) - {
                "symbol", "limit", "recvWindow", "timestamp", "signature",
            }  # fmt: skip

        assert asked(order_id=OrderID("1"), from_trade_id=TradeID("2"), since_ns=3) == {"orderId"}
        assert asked(from_trade_id=TradeID("2"), since_ns=3) == {"fromId"}
        assert asked(since_ns=3) == {"startTime"}
        assert asked() == set()
        query = codec().fills_request(SYMBOL, STAMP_NS, from_trade_id=TradeID("5551")).query
        assert "fromId=5551&" in query


# ---- template and table ------------------------------------------------------------------------------------------

AMOUNTS = st.decimals(min_value="0.00000001", max_value=10**9, places=8, allow_nan=False)


@st.composite
def legal_orders(draw: st.DrawFn) -> NewOrder:
    ord_type = draw(st.sampled_from([kind for kind in OrdType if kind is not OrdType.TRAILING_STOP]))
    post_only = ord_type is OrdType.LIMIT and draw(st.booleans())
    lifetimes = [TimeInForce.GTC] if post_only else [TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK]
    return new_order(
        cl_ord_id=ClOrdID(draw(st.from_regex(r"[a-zA-Z0-9_-]{1,36}", fullmatch=True))),
        symbol=Symbol(draw(st.sampled_from(["BTCUSDT", "ETHBTC", "１２３", 'A"B\\C']))),
        side=draw(st.sampled_from(Side)),
        ord_type=ord_type,
        order_qty=draw(AMOUNTS),
        price=draw(AMOUNTS),
        stop_px=draw(AMOUNTS),
        time_in_force=draw(st.sampled_from(lifetimes)),
        exec_inst=ExecInst.POST_ONLY if post_only else ExecInst.NONE,
    )


@given(legal_orders(), st.sampled_from(STP_MODES), st.integers(1, 60_000))
def test_template_and_table_write_the_same_order(order: NewOrder, stp_mode: str, window: int) -> None:
    private = codec(stp_mode=stp_mode, recv_window_ms=window)
    frame = private.new_order(order, "r1", STAMP_NS, logged_on=True)
    sent = json.loads(frame.text)
    assert sent.keys() == {"id", "method", "params"}
    assert (sent["id"], sent["method"]) == ("r1", "order.place")
    expected = dict(order_params(order, stp_mode)) | {"recvWindow": window, "timestamp": STAMP_MS}
    assert sent["params"] == expected


@given(legal_orders())
def test_what_is_written_is_what_was_meant(order: NewOrder) -> None:
    sent = place(order)
    assert sent["newClientOrderId"] == order.cl_ord_id
    assert Decimal(sent["quantity"]) == order.order_qty
    if "price" in sent:
        assert Decimal(sent["price"]) == order.price
    for text in (sent["quantity"], sent.get("price", "1"), sent.get("stopPrice", "1")):
        whole, _, fraction = text.partition(".")
        assert whole.isdigit()
        assert len(fraction) <= 8


@pytest.mark.parametrize(
    "changes, named",
    [
        ({"cl_ord_id": ClOrdID("")}, "cl_ord_id"),
        ({"cl_ord_id": ClOrdID("a.b")}, "cl_ord_id"),
        ({"cl_ord_id": ClOrdID("x" * 37)}, "cl_ord_id"),
        ({"cl_ord_id": ClOrdID('"},{')}, "cl_ord_id"),
        ({"cl_ord_id": ClOrdID("９９")}, "cl_ord_id"),
        ({"order_qty": Decimal(0)}, "order_qty"),
        ({"order_qty": Decimal(-1)}, "order_qty"),
        ({"order_qty": Decimal("NaN")}, "order_qty"),
        ({"order_qty": Decimal("Infinity")}, "order_qty"),
        ({"order_qty": Decimal("0.123456789")}, "order_qty"),
        ({"price": Decimal("1E+20")}, "price"),
        ({"price": Decimal("sNaN")}, "price"),
        ({"price": None}, "price"),
        ({"ord_type": OrdType.TRAILING_STOP}, "ord_type"),
        ({"ord_type": OrdType.STOP}, "stop_px"),
        ({"ord_type": OrdType.STOP_LIMIT, "stop_px": Decimal(1), "price": None}, "price"),
        ({"time_in_force": TimeInForce.GTD}, "time_in_force"),
        ({"time_in_force": TimeInForce.DAY}, "time_in_force"),
        ({"exec_inst": ExecInst.REDUCE_ONLY}, "exec_inst"),
        ({"exec_inst": ExecInst.POST_ONLY | ExecInst.REDUCE_ONLY}, "exec_inst"),
        ({"exec_inst": ExecInst.POST_ONLY, "time_in_force": TimeInForce.IOC}, "POST_ONLY"),
        ({"exec_inst": ExecInst.POST_ONLY, "ord_type": OrdType.MARKET}, "POST_ONLY"),
    ],
)
def test_what_the_venue_could_not_take_is_refused_before_it_is_sent(changes: dict[str, Any], named: str) -> None:
    for logged_on in (True, False):
        with pytest.raises(LocalProtocolError, match=named):
            codec().new_order(new_order(**changes), "r1", STAMP_NS, logged_on=logged_on)


@pytest.mark.parametrize("request_id", ["", 'x"', "a b", "é"])
def test_a_request_id_that_could_break_the_frame_is_refused(request_id: str) -> None:
    with pytest.raises(LocalProtocolError, match="request_id"):
        codec().new_order(new_order(), request_id, STAMP_NS, logged_on=True)
    with pytest.raises(LocalProtocolError, match="request_id"):
        codec().cancel_all(SYMBOL, request_id, STAMP_NS, logged_on=True)


def test_an_order_id_that_is_no_number_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="order_id"):
        codec().cancel_order(CL_ORD_ID, OrderID("9001x"), SYMBOL, "c1", STAMP_NS, logged_on=True)


@pytest.mark.parametrize(
    "settings, named",
    [({"recv_window_ms": 0}, "recv_window_ms"), ({"recv_window_ms": 60_001}, "60000"), ({"stp_mode": "EXPIRE"}, "stp")],
)
def test_impossible_settings_are_configuration_errors(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        codec(**settings)


def test_the_codec_knows_its_account() -> None:
    assert codec().account == ACCOUNT
