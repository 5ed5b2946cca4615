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
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.enums import ExecInst, OrdType, Side, TimeInForce
from protocols.errors import ConfigError, LocalProtocolError
from protocols.ids import ClOrdID, OrderID, Symbol, TradeID
from protocols.orders import NewOrder
from protocols.venue import Frame, HttpRequest, Lane
from protocols.venues.binance_usdm import DEMO
from protocols.venues.binance_usdm.encode import STP_MODES, OrderSettings, order_params
from tests.protocols.binance_usdm.frames import (
    ACCOUNT,
    CL_ORD_ID,
    LISTEN_KEY,
    PEM,
    STAMP_NS,
    SYMBOL,
    codec,
    new_order,
    reply,
)

STAMP_MS = STAMP_NS // 1_000_000
SECRET = "a secret for HMAC"
REDUCE, CLOSE, POST = ExecInst.REDUCE_ONLY, ExecInst.CLOSE_POSITION, ExecInst.POST_ONLY
STOP = {"ord_type": OrdType.STOP, "price": None, "stop_px": Decimal("85000.0"), "side": Side.SELL}


def params(frame: Frame) -> dict[str, Any]:
    return json.loads(frame.text)["params"]


def place(order: NewOrder, **settings: Any) -> dict[str, Any]:
    return params(codec(**settings).new_order(order, "r1", STAMP_NS, logged_on=True))


class TestGoldenFrames:
    def test_limit_order_on_a_logged_on_session(self) -> None:
        frame = codec().new_order(new_order(), "r1", STAMP_NS, logged_on=True)
        assert frame.text == (
            '{"id":"r1","method":"order.place","params":{"symbol":"BTCUSDT","side":"BUY","positionSide":"BOTH",'
            '"type":"LIMIT","timeInForce":"GTC","newOrderRespType":"RESULT","selfTradePreventionMode":"EXPIRE_MAKER",'
            f'"newClientOrderId":"{CL_ORD_ID}","quantity":"0.010","price":"90000.0",'
            '"recvWindow":2000,"timestamp":1790000000123}}'
        )
        assert (frame.request_id, frame.weight, frame.lane) == ("r1", 0, Lane.NEW)

    def test_post_only_is_a_lifetime(self) -> None:
        assert place(new_order(exec_inst=POST))["timeInForce"] == "GTX"

    def test_market_order_has_no_price(self) -> None:
        sent = place(new_order(ord_type=OrdType.MARKET, price=None, side=Side.SELL))
        assert (sent["type"], sent["side"]) == ("MARKET", "SELL")
        assert sent.keys().isdisjoint({"price", "timeInForce", "reduceOnly"})

    def test_reduce_only_is_text_and_goes_before_others(self) -> None:
        frame = codec().new_order(new_order(exec_inst=REDUCE | POST), "r1", STAMP_NS, logged_on=True)
        assert params(frame)["reduceOnly"] == "true"
        assert params(frame)["timeInForce"] == "GTX"
        assert frame.lane is Lane.REDUCE

    @pytest.mark.parametrize("lifetime", [TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK])
    def test_lifetimes(self, lifetime: TimeInForce) -> None:
        assert place(new_order(time_in_force=lifetime))["timeInForce"] == lifetime.value

    def test_cancel_by_the_venues_id_is_a_number(self) -> None:
        frame = codec().cancel_order(CL_ORD_ID, OrderID("22542179"), SYMBOL, "c1", STAMP_NS, logged_on=True)
        assert frame.text == (
            '{"id":"c1","method":"order.cancel","params":{"symbol":"BTCUSDT","orderId":22542179,'
            '"recvWindow":2000,"timestamp":1790000000123}}'
        )
        assert (frame.weight, frame.lane) == (1, Lane.CANCEL)

    def test_cancel_by_client_id(self) -> None:
        for cl_ord_id in (CL_ORD_ID, ClOrdID("web:1/a.b")):
            sent = params(codec().cancel_order(cl_ord_id, None, SYMBOL, "c1", STAMP_NS, logged_on=True))
            assert sent["origClientOrderId"] == cl_ord_id

    def test_amend_states_all_terms(self) -> None:
        frame = codec().amend_terms(
            CL_ORD_ID, None, SYMBOL, Side.BUY, Decimal("0.008"), Decimal("89990.0"), "a1", STAMP_NS, logged_on=True
        )
        assert json.loads(frame.text) == {
            "id": "a1",
            "method": "order.modify",
            "params": {
                "symbol": "BTCUSDT",
                "origClientOrderId": CL_ORD_ID,
                "side": "BUY",
                "quantity": "0.008",
                "price": "89990.0",
                "modifyId": STAMP_MS,
                "recvWindow": 2000,
                "timestamp": STAMP_MS,
            },
        }
        assert frame.lane is Lane.REDUCE

    def test_paths(self) -> None:
        assert (codec().entry_path(), codec().private_path()) == ("/ws-fapi/v1", "/private/ws")


class TestConditionalOrders:
    """Section 8: they have an endpoint, ids and names of their own."""

    def test_stop_market(self) -> None:
        frame = codec(working_type="MARK_PRICE").new_order(
            new_order(**STOP, exec_inst=REDUCE), "o-4", STAMP_NS, logged_on=True
        )
        assert json.loads(frame.text) == {
            "id": "o-4",
            "method": "algoOrder.place",
            "params": {
                "algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL", "positionSide": "BOTH",
                "type": "STOP_MARKET", "clientAlgoId": CL_ORD_ID, "quantity": "0.010", "reduceOnly": "true",
                "triggerPrice": "85000.0", "workingType": "MARK_PRICE", "selfTradePreventionMode": "EXPIRE_MAKER",
                "recvWindow": 2000, "timestamp": STAMP_MS,
            },
        }  # fmt: skip
        assert frame.lane is Lane.REDUCE

    @pytest.mark.parametrize(
        "ord_type, venue_type, priced",
        [
            (OrdType.STOP, "STOP_MARKET", False),
            (OrdType.STOP_LIMIT, "STOP", True),
            (OrdType.TAKE_PROFIT, "TAKE_PROFIT_MARKET", False),
            (OrdType.TAKE_PROFIT_LIMIT, "TAKE_PROFIT", True),
        ],
    )
    def test_types(self, ord_type: OrdType, venue_type: str, priced: bool) -> None:
        order = new_order(ord_type=ord_type, stop_px=Decimal("95000.1"))
        sent = place(order)
        assert (sent["type"], sent["triggerPrice"]) == (venue_type, "95000.1")
        assert ("price" in sent, "timeInForce" in sent) == (priced, priced)
        assert sent.keys().isdisjoint({"stopPrice", "newClientOrderId"})
        request = codec().rest_new_order(order, STAMP_NS)
        assert (request.method, request.path) == ("POST", "/fapi/v1/algoOrder")

    def test_close_position_has_no_quantity(self) -> None:
        sent = place(new_order(**STOP, exec_inst=CLOSE))
        assert sent["closePosition"] == "true"
        assert sent.keys().isdisjoint({"quantity", "reduceOnly"})

    def test_cancel_goes_where_the_id_points(self) -> None:
        private = codec()
        frame = private.cancel_order(CL_ORD_ID, OrderID("A2146760"), SYMBOL, "c1", STAMP_NS, logged_on=True)
        assert json.loads(frame.text) == {
            "id": "c1",
            "method": "algoOrder.cancel",
            "params": {"algoId": 2146760, "recvWindow": 2000, "timestamp": STAMP_MS},
        }
        request = private.rest_cancel_order(CL_ORD_ID, OrderID("A2146760"), SYMBOL, STAMP_NS)
        assert (request.method, request.path) == ("DELETE", "/fapi/v1/algoOrder")
        assert request.query.startswith("algoId=2146760&")

    def test_without_the_venues_id_the_other_name_leads_there(self) -> None:
        private = codec()
        (other,) = private.other_names(CL_ORD_ID)
        first = private.order_status_request(CL_ORD_ID, None, SYMBOL, STAMP_NS)
        second = private.order_status_request(other, None, SYMBOL, STAMP_NS)
        assert (first.path, second.path) == ("/fapi/v1/order", "/fapi/v1/algoOrder")
        assert first.query.startswith(f"symbol=BTCUSDT&origClientOrderId={CL_ORD_ID}&")
        assert second.query.startswith(f"clientAlgoId={CL_ORD_ID}&")

    def test_no_order_can_bear_the_other_name(self) -> None:
        (other,) = codec().other_names(CL_ORD_ID)
        with pytest.raises(LocalProtocolError, match="cl_ord_id"):
            place(new_order(cl_ord_id=other))

    def test_they_cannot_be_amended(self) -> None:
        with pytest.raises(LocalProtocolError, match="conditional"):
            codec().amend_terms(
                CL_ORD_ID, OrderID("A1"), SYMBOL, Side.BUY, Decimal(1), Decimal(1), "a", STAMP_NS, logged_on=True
            )


class TestHedgeMode:
    """Section 12: the position side says what REDUCE_ONLY says elsewhere, and reduceOnly is refused."""

    @pytest.mark.parametrize(
        "side, exec_inst, position_side",
        [
            (Side.BUY, ExecInst.NONE, "LONG"),
            (Side.SELL, REDUCE, "LONG"),
            (Side.SELL, ExecInst.NONE, "SHORT"),
            (Side.BUY, REDUCE, "SHORT"),
            (Side.BUY, POST, "LONG"),
        ],
    )
    def test_position_side(self, side: Side, exec_inst: ExecInst, position_side: str) -> None:
        sent = place(new_order(side=side, exec_inst=exec_inst), hedge_mode=True)
        assert sent["positionSide"] == position_side
        assert "reduceOnly" not in sent
        assert place(new_order(side=side, exec_inst=exec_inst))["positionSide"] == "BOTH"

    def test_a_stop_that_closes_is_never_on_the_side_that_opens(self) -> None:
        """Not SELL with SHORT, not BUY with LONG."""
        for exec_inst in (REDUCE, CLOSE):
            sold = place(new_order(**STOP, exec_inst=exec_inst), hedge_mode=True)
            bought = place(new_order(**(STOP | {"side": Side.BUY}), exec_inst=exec_inst), hedge_mode=True)
            assert (sold["positionSide"], bought["positionSide"]) == ("LONG", "SHORT")
            assert "reduceOnly" not in sold

    def test_the_mode_can_be_asked_for(self) -> None:
        request = codec().position_mode_request(STAMP_NS)
        assert (request.path, request.weight) == ("/fapi/v1/positionSide/dual", 30)
        assert codec().decode_position_mode(reply({"dualSidePosition": True})) is True
        assert codec().decode_position_mode(reply({"dualSidePosition": False})) is False


class TestSignedFrames:
    """All parameters but the signature, sorted, joined, not encoded, `apiKey` and `timestamp` among them."""

    @staticmethod
    def payload(sent: dict[str, Any]) -> bytes:
        return "&".join(f"{name}={sent[name]}" for name in sorted(sent) if name != "signature").encode()

    @pytest.mark.req("R082")
    def test_hmac(self) -> None:
        private = codec(SECRET)
        frames = [
            private.new_order(new_order(symbol=Symbol("币安USDT")), "r1", STAMP_NS, logged_on=False),
            private.new_order(new_order(**STOP), "r1", STAMP_NS, logged_on=False),
            private.cancel_order(CL_ORD_ID, OrderID("7"), SYMBOL, "c1", STAMP_NS, logged_on=False),
        ]
        for frame in frames:
            sent = params(frame)
            assert sent["apiKey"] == "TESTKEY"
            assert sent["timestamp"] == STAMP_MS
            assert sent["signature"] == hmac.new(SECRET.encode(), self.payload(sent), "sha256").hexdigest()
            assert SECRET not in frame.text

    def test_only_ed25519_logs_on(self) -> None:
        frame = codec().logon("l1", STAMP_NS)
        assert frame is not None
        assert json.loads(frame.text)["method"] == "session.logon"
        assert params(frame).keys() == {"apiKey", "recvWindow", "timestamp", "signature"}
        assert codec(SECRET).logon("l1", STAMP_NS) is None


class TestRest:
    @staticmethod
    def check_signature(request: HttpRequest) -> dict[str, str]:
        payload, _, signature = request.query.rpartition("&signature=")
        key = load_pem_private_key(PEM.encode(), None)
        key.public_key().verify(base64.b64decode(unquote(signature)), payload.encode())  # type: ignore[union-attr,call-arg]
        return dict(parse_qsl(payload, strict_parsing=True))

    @pytest.mark.req("R082")
    def test_every_signed_request_is_signed_over_its_encoded_text(self) -> None:
        private = codec()
        amend = (CL_ORD_ID, None, SYMBOL, Side.BUY, Decimal(1), Decimal(2))
        requests = [
            private.rest_new_order(new_order(symbol=Symbol("币安USDT")), STAMP_NS),
            private.rest_new_order(new_order(**STOP), STAMP_NS),
            private.rest_cancel_order(CL_ORD_ID, OrderID("9001"), SYMBOL, STAMP_NS),
            private.rest_amend_terms(*amend, STAMP_NS),
            private.rest_cancel_all(SYMBOL, STAMP_NS),
            private.rest_new_orders([new_order(), new_order()], STAMP_NS),
            private.rest_cancel_orders([(CL_ORD_ID, None, SYMBOL)], STAMP_NS),
            private.dead_man_request(SYMBOL, 120_000_000_000, STAMP_NS),
            private.order_status_request(CL_ORD_ID, None, SYMBOL, STAMP_NS),
            private.open_orders_request(None, STAMP_NS),
            private.fills_request(SYMBOL, STAMP_NS),
            private.balances_request(STAMP_NS),
            private.positions_request(STAMP_NS),
            private.position_mode_request(STAMP_NS),
        ]
        for request in requests:
            sent = self.check_signature(request)
            assert sent["timestamp"] == str(STAMP_MS)
            assert sent["recvWindow"] == "2000"
            assert request.headers == {"X-MBX-APIKEY": "TESTKEY"}
            assert request.body == ""
        assert "symbol=%E5%B8%81%E5%AE%89USDT&" in requests[0].query

    def test_rest_and_websocket_say_the_same(self) -> None:
        for order in (new_order(exec_inst=REDUCE), new_order(**STOP)):
            sent = self.check_signature(codec().rest_new_order(order, STAMP_NS))
            assert sent == {name: str(value) for name, value in place(order).items()}

    @pytest.mark.parametrize(
        "request_, method, path, weight, lane",
        [
            (codec().rest_new_order(new_order(), STAMP_NS), "POST", "/fapi/v1/order", 0, Lane.NEW),
            (
                codec().rest_cancel_order(CL_ORD_ID, None, SYMBOL, STAMP_NS),
                "DELETE",
                "/fapi/v1/order",
                1,
                Lane.CANCEL,
            ),
            (
                codec().rest_amend_terms(CL_ORD_ID, None, SYMBOL, Side.BUY, Decimal(1), Decimal(1), STAMP_NS),
                "PUT",
                "/fapi/v1/order",
                0,
                Lane.REDUCE,
            ),
            (codec().rest_cancel_all(SYMBOL, STAMP_NS), "DELETE", "/fapi/v1/allOpenOrders", 1, Lane.CANCEL),
            (codec().rest_new_orders([new_order()], STAMP_NS), "POST", "/fapi/v1/batchOrders", 5, Lane.NEW),
            (
                codec().dead_man_request(SYMBOL, 0, STAMP_NS),
                "POST",
                "/fapi/v1/countdownCancelAll",
                10,
                Lane.CANCEL,
            ),
            (codec().open_orders_request(SYMBOL, STAMP_NS), "GET", "/fapi/v1/openOrders", 1, Lane.QUERY),
            (codec().open_orders_request(None, STAMP_NS), "GET", "/fapi/v1/openOrders", 40, Lane.QUERY),
            (codec().fills_request(SYMBOL, STAMP_NS), "GET", "/fapi/v1/userTrades", 5, Lane.QUERY),
            (codec().balances_request(STAMP_NS), "GET", "/fapi/v3/balance", 5, Lane.QUERY),
            (codec().positions_request(STAMP_NS), "GET", "/fapi/v3/positionRisk", 5, Lane.QUERY),
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

    def test_a_waiting_order_has_no_fills_to_ask_for(self) -> None:
        with pytest.raises(LocalProtocolError, match="order_id"):
            codec().fills_request(SYMBOL, STAMP_NS, order_id=OrderID("A1"))


class TestWhatTakesTwoRequests:
    """Conditional orders are in no list of open orders, and no mass cancel touches them (section 8)."""

    @pytest.mark.parametrize("symbol", [SYMBOL, Symbol("币安USDT"), None])
    def test_open_orders(self, symbol: Symbol | None) -> None:
        private = codec()
        first = private.open_orders_request(symbol, STAMP_NS)
        second = private.continuation(first, reply([]), STAMP_NS + 10**6)
        assert second is not None
        assert (second.path, second.weight) == ("/fapi/v1/openAlgoOrders", first.weight)
        sent = TestRest.check_signature(second)
        assert sent.get("symbol") == symbol
        assert sent["timestamp"] == str(STAMP_MS + 1)
        assert private.continuation(second, reply([]), STAMP_NS) is None

    def test_cancel_all(self) -> None:
        private = codec()
        first = private.rest_cancel_all(SYMBOL, STAMP_NS)
        second = private.continuation(first, reply({"code": 200, "msg": "done"}), STAMP_NS)
        assert second is not None
        assert (second.method, second.path, second.lane) == ("DELETE", "/fapi/v1/algoOpenOrders", Lane.CANCEL)
        assert TestRest.check_signature(second)["symbol"] == "BTCUSDT"
        assert private.continuation(second, reply({}), STAMP_NS) is None

    def test_everything_else_is_whole(self) -> None:
        request = codec().balances_request(STAMP_NS)
        assert codec().continuation(request, reply([]), STAMP_NS) is None


class TestBatches:
    def test_members_are_those_of_single_orders(self) -> None:
        orders = [new_order(), new_order(ord_type=OrdType.MARKET, price=None, exec_inst=REDUCE)]
        sent = TestRest.check_signature(codec().rest_new_orders(orders, STAMP_NS))
        assert json.loads(sent["batchOrders"]) == [dict(order_params(order, OrderSettings())) for order in orders]

    @pytest.mark.parametrize("size", [0, 6])
    def test_one_to_five(self, size: int) -> None:
        with pytest.raises(LocalProtocolError, match="1 to 5"):
            codec().rest_new_orders([new_order()] * size, STAMP_NS)

    def test_no_conditional_orders(self) -> None:
        with pytest.raises(LocalProtocolError, match="conditional"):
            codec().rest_new_orders([new_order(), new_order(**STOP)], STAMP_NS)

    def test_cancels_by_one_kind_of_id(self) -> None:
        other = ClOrdID("b2")
        by_id = codec().rest_cancel_orders([(CL_ORD_ID, OrderID("1"), SYMBOL), (other, OrderID("2"), SYMBOL)], STAMP_NS)
        assert "orderIdList=%5B1%2C2%5D&" in by_id.query
        by_name = codec().rest_cancel_orders([(CL_ORD_ID, None, SYMBOL), (other, None, SYMBOL)], STAMP_NS)
        assert TestRest.check_signature(by_name)["origClientOrderIdList"] == f'["{CL_ORD_ID}","b2"]'

    @pytest.mark.parametrize(
        "orders, named",
        [
            ([], "1 to 10"),
            ([(CL_ORD_ID, None, SYMBOL)] * 11, "1 to 10"),
            ([(CL_ORD_ID, None, SYMBOL), (CL_ORD_ID, None, Symbol("ETHUSDT"))], "one symbol"),
            ([(CL_ORD_ID, None, SYMBOL), (CL_ORD_ID, OrderID("1"), SYMBOL)], "all"),
            ([(CL_ORD_ID, OrderID("A1"), SYMBOL)], "all"),
        ],
    )
    def test_what_one_request_cannot_cancel(self, orders: list[Any], named: str) -> None:
        with pytest.raises(LocalProtocolError, match=named):
            codec().rest_cancel_orders(orders, STAMP_NS)


class TestDeadManSwitch:
    def test_by_symbol_in_milliseconds(self) -> None:
        sent = TestRest.check_signature(codec().dead_man_request(SYMBOL, 120_000_000_000, STAMP_NS))
        assert (sent["symbol"], sent["countdownTime"]) == ("BTCUSDT", "120000")
        assert TestRest.check_signature(codec().dead_man_request(SYMBOL, 0, STAMP_NS))["countdownTime"] == "0"

    @pytest.mark.parametrize(
        "symbol, timeout_ns", [(None, 10**9), (SYMBOL, -1), (SYMBOL, 999_999), (SYMBOL, 86_400_001_000_000)]
    )
    def test_what_it_cannot_do(self, symbol: Symbol | None, timeout_ns: int) -> None:
        """Less than a millisecond would be sent as 0, which disarms."""
        with pytest.raises(LocalProtocolError):
            codec().dead_man_request(symbol, timeout_ns, STAMP_NS)


class TestListenKeys:
    """Section 15.1: POST, PUT every 30 minutes, DELETE; the key is in the path of the stream."""

    def test_lifecycle(self) -> None:
        private = codec()
        requests = [
            private.listen_key_request(),
            private.keep_listen_key_request(LISTEN_KEY),
            private.close_listen_key_request(LISTEN_KEY),
        ]
        assert [one.method for one in requests] == ["POST", "PUT", "DELETE"]
        assert {one.path for one in requests} == {"/fapi/v1/listenKey"}
        assert [one.query for one in requests] == ["", f"listenKey={LISTEN_KEY}", f"listenKey={LISTEN_KEY}"]
        for one in requests:
            assert one.headers == {"X-MBX-APIKEY": "TESTKEY"}
            assert one.weight == 1
        assert private.decode_listen_key(reply({"listenKey": LISTEN_KEY})) == LISTEN_KEY

    def test_path(self) -> None:
        assert codec().private_path_of(LISTEN_KEY) == f"/private/ws/{LISTEN_KEY}"
        assert codec(endpoints=DEMO).private_path_of(LISTEN_KEY) == f"/ws/{LISTEN_KEY}"

    @pytest.mark.parametrize("key", ["", "a/b", "a?b", "é", "x" * 200])
    def test_a_key_that_could_bend_the_path_is_refused_and_not_repeated(self, key: str) -> None:
        with pytest.raises(LocalProtocolError) as caught:
            codec().private_path_of(key)
        assert key == "" or key not in str(caught.value)


# ---- template and table ------------------------------------------------------------------------------------------

AMOUNTS = st.decimals(min_value="0.00000001", max_value=10**9, places=8, allow_nan=False)


@st.composite
def plain_orders(draw: st.DrawFn) -> NewOrder:
    ord_type = draw(st.sampled_from([OrdType.LIMIT, OrdType.MARKET]))
    post_only = ord_type is OrdType.LIMIT and draw(st.booleans())
    lifetimes = [TimeInForce.GTC] if post_only else [TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK]
    exec_inst = POST if post_only else ExecInst.NONE
    if draw(st.booleans()):
        exec_inst |= REDUCE
    return new_order(
        cl_ord_id=ClOrdID(draw(st.from_regex(r"b[a-zA-Z0-9_-]{1,35}", fullmatch=True))),
        symbol=Symbol(draw(st.sampled_from(["BTCUSDT", "ETHUSDC", "币安USDT", 'A"B\\C']))),
        side=draw(st.sampled_from(Side)),
        ord_type=ord_type,
        order_qty=draw(AMOUNTS),
        price=draw(AMOUNTS),
        time_in_force=draw(st.sampled_from(lifetimes)),
        exec_inst=exec_inst,
    )


@given(st.lists(plain_orders(), min_size=1, max_size=4), st.sampled_from(STP_MODES), st.booleans())
@settings(max_examples=100)
def test_template_and_table_write_the_same_order(orders: list[NewOrder], stp_mode: str, hedge: bool) -> None:
    private = codec(stp_mode=stp_mode, hedge_mode=hedge)
    for order in orders:
        sent = json.loads(private.new_order(order, "r1", STAMP_NS, logged_on=True).text)
        assert (sent["id"], sent["method"]) == ("r1", "order.place")
        table = dict(order_params(order, OrderSettings(stp_mode=stp_mode, hedge_mode=hedge)))
        assert sent["params"] == table | {"recvWindow": 2000, "timestamp": STAMP_MS}
        assert Decimal(sent["params"]["quantity"]) == order.order_qty


@pytest.mark.parametrize(
    "changes, named",
    [
        ({"cl_ord_id": ClOrdID("")}, "cl_ord_id"),
        ({"cl_ord_id": ClOrdID("a.b")}, "cl_ord_id"),
        ({"cl_ord_id": ClOrdID("x" * 37)}, "cl_ord_id"),
        ({"cl_ord_id": ClOrdID('"},{')}, "cl_ord_id"),
        ({"cl_ord_id": ClOrdID("autoclose-1")}, "cl_ord_id"),
        ({"cl_ord_id": ClOrdID("adl_autoclose")}, "cl_ord_id"),
        ({"cl_ord_id": ClOrdID("settlement_autoclose-1")}, "cl_ord_id"),
        ({"order_qty": Decimal(0)}, "order_qty"),
        ({"order_qty": Decimal("NaN")}, "order_qty"),
        ({"order_qty": Decimal("0.123456789")}, "order_qty"),
        ({"price": Decimal("1E+20")}, "price"),
        ({"price": None}, "price"),
        ({"ord_type": OrdType.TRAILING_STOP}, "ord_type"),
        ({"ord_type": OrdType.STOP}, "stop_px"),
        ({"ord_type": OrdType.STOP_LIMIT, "stop_px": Decimal(1), "price": None}, "price"),
        ({"time_in_force": TimeInForce.GTD}, "time_in_force"),
        ({"time_in_force": TimeInForce.DAY}, "time_in_force"),
        ({"exec_inst": POST, "time_in_force": TimeInForce.IOC}, "POST_ONLY"),
        ({"exec_inst": POST, "ord_type": OrdType.MARKET}, "POST_ONLY"),
        ({"exec_inst": POST, "ord_type": OrdType.STOP, "stop_px": Decimal(1)}, "POST_ONLY"),
        ({"exec_inst": CLOSE}, "CLOSE_POSITION"),
        ({"exec_inst": CLOSE, "ord_type": OrdType.STOP_LIMIT, "stop_px": Decimal(1)}, "CLOSE_POSITION"),
    ],
)
def test_what_the_venue_could_not_take_is_refused_before_it_is_sent(changes: dict[str, Any], named: str) -> None:
    for logged_on in (True, False):
        with pytest.raises(LocalProtocolError, match=named):
            codec().new_order(new_order(**changes), "r1", STAMP_NS, logged_on=logged_on)


def test_what_this_connection_cannot_do_names_what_can() -> None:
    private = codec()
    with pytest.raises(LocalProtocolError, match="rest_cancel_all"):
        private.cancel_all(SYMBOL, "x1", STAMP_NS, logged_on=True)
    with pytest.raises(LocalProtocolError, match="amend_terms"):
        private.amend_order(CL_ORD_ID, None, SYMBOL, Decimal(1), "a1", STAMP_NS, logged_on=True)
    with pytest.raises(LocalProtocolError, match="private_path_of"):
        private.subscribe_private("s1", STAMP_NS, logged_on=True)
    with pytest.raises(LocalProtocolError, match="rest_new_orders"):
        private.new_orders([new_order()], "b1", STAMP_NS, logged_on=True)
    with pytest.raises(LocalProtocolError, match="rest_cancel_orders"):
        private.cancel_orders([(CL_ORD_ID, None, SYMBOL)], "b1", STAMP_NS, logged_on=True)


@pytest.mark.parametrize("request_id", ["", 'x"', "a b", "é"])
def test_a_request_id_that_could_break_the_frame_is_refused(request_id: str) -> None:
    for logged_on in (True, False):
        with pytest.raises(LocalProtocolError, match="request_id"):
            codec().new_order(new_order(), request_id, STAMP_NS, logged_on=logged_on)


def test_an_order_id_that_is_no_number_is_refused() -> None:
    for order_id in ("9001x", "A", "Ax", "B1"):
        with pytest.raises(LocalProtocolError, match="order_id"):
            codec().cancel_order(CL_ORD_ID, OrderID(order_id), SYMBOL, "c1", STAMP_NS, logged_on=True)


@pytest.mark.parametrize(
    "settings, named",
    [
        ({"recv_window_ms": 0}, "recv_window_ms"),
        ({"recv_window_ms": 5_001}, "5000"),
        ({"stp_mode": "DECREMENT"}, "stp"),
        ({"working_type": "LAST"}, "working_type"),
    ],
)
def test_impossible_settings_are_configuration_errors(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        codec(**settings)


def test_the_codec_knows_its_account() -> None:
    assert codec().account == ACCOUNT
