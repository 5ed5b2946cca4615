"""Commands as frames and as REST requests: exact fields, and what must be refused before it is sent (sections 6, 7)."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.enums import ExecInst, OrdType, Side, TimeInForce
from protocols.errors import ConfigError, LocalProtocolError, RemoteProtocolError
from protocols.ids import ClOrdID, OrderID, Symbol, TradeID
from protocols.instruments import Product
from protocols.orders import NewOrder
from protocols.venue import Frame, HttpRequest, Lane
from protocols.venues.bybit.encode import SMP_TYPES
from tests.protocols.bybit.frames import (
    CL_ORD_ID,
    LINEAR,
    ORDER_ID,
    SPOT,
    STAMP_MS,
    STAMP_NS,
    SYMBOL,
    acked,
    codec,
    envelope,
    listed,
    new_order,
    order_row,
    reply,
)

D = Decimal
OID = OrderID(ORDER_ID)


def argument(frame: Frame) -> dict[str, Any]:
    (only,) = json.loads(frame.text)["args"]
    return dict(only)


def place(product: Product = LINEAR, *, order: NewOrder | None = None, **changes: Any) -> dict[str, Any]:
    """The fields of an order that the codec with `changes` of its settings writes."""
    frame = codec(product, **changes).new_order(order or new_order(product), "r1", STAMP_NS, logged_on=True)
    return argument(frame)


class TestGoldenFrames:
    def test_limit_order(self) -> None:
        frame = codec().new_order(new_order(exec_inst=ExecInst.POST_ONLY), "r-000001", STAMP_NS, logged_on=True)
        assert frame.text == (
            '{"reqId":"r-000001","header":{"X-BAPI-TIMESTAMP":"1767225600123","X-BAPI-RECV-WINDOW":"5000"},'
            '"op":"order.create","args":[{"category":"linear","symbol":"BTCUSDT","side":"Buy","orderType":"Limit",'
            f'"qty":"0.001","price":"60000","timeInForce":"PostOnly","positionIdx":0,"orderLinkId":"{CL_ORD_ID}"}}]}}'
        )
        assert (frame.request_id, frame.weight, frame.lane) == ("r-000001", 0, Lane.NEW)

    def test_spot_has_no_position(self) -> None:
        assert place(SPOT) == {
            "category": "spot", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.001",
            "price": "60000", "timeInForce": "GTC", "orderLinkId": CL_ORD_ID,
        }  # fmt: skip

    @pytest.mark.parametrize("side", Side)
    def test_spot_market_orders_count_in_base(self, side: Side) -> None:
        """Without `marketUnit` a market buy of 0.001 would spend 0.001 USDT."""
        sent = place(SPOT, order=new_order(SPOT, ord_type=OrdType.MARKET, price=None, side=side))
        assert (sent["orderType"], sent["marketUnit"], sent["qty"]) == ("Market", "baseCoin", "0.001")
        assert sent.keys().isdisjoint({"price", "timeInForce", "positionIdx"})

    def test_contract_market_order(self) -> None:
        sent = place(order=new_order(ord_type=OrdType.MARKET, price=None))
        assert sent.keys().isdisjoint({"price", "timeInForce", "marketUnit"})

    @pytest.mark.parametrize("lifetime", [TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK])
    def test_lifetimes(self, lifetime: TimeInForce) -> None:
        assert place(order=new_order(time_in_force=lifetime))["timeInForce"] == lifetime.value

    @pytest.mark.parametrize(
        "ord_type, side, direction",
        [
            (OrdType.STOP, Side.BUY, 1),
            (OrdType.STOP, Side.SELL, 2),
            (OrdType.STOP_LIMIT, Side.BUY, 1),
            (OrdType.STOP_LIMIT, Side.SELL, 2),
            (OrdType.TAKE_PROFIT, Side.BUY, 2),
            (OrdType.TAKE_PROFIT, Side.SELL, 1),
            (OrdType.TAKE_PROFIT_LIMIT, Side.BUY, 2),
            (OrdType.TAKE_PROFIT_LIMIT, Side.SELL, 1),
        ],
    )
    def test_conditional_orders(self, ord_type: OrdType, side: Side, direction: int) -> None:
        sent = place(order=new_order(ord_type=ord_type, side=side, stop_px=D("61000.5")), trigger_by="MarkPrice")
        is_limit = ord_type in (OrdType.STOP_LIMIT, OrdType.TAKE_PROFIT_LIMIT)
        assert sent["orderType"] == ("Limit" if is_limit else "Market")
        assert ("price" in sent) is is_limit
        assert (sent["triggerPrice"], sent["triggerDirection"], sent["triggerBy"]) == (
            "61000.5",
            direction,
            "MarkPrice",
        )

    @pytest.mark.parametrize("ord_type", [OrdType.STOP, OrdType.STOP_LIMIT, OrdType.TAKE_PROFIT])
    def test_conditional_orders_of_spot_name_their_kind(self, ord_type: OrdType) -> None:
        """There is no direction on spot: the venue takes it from the last price."""
        sent = place(SPOT, order=new_order(SPOT, ord_type=ord_type, stop_px=D("61000.5")))
        assert (sent["triggerPrice"], sent["orderFilter"]) == ("61000.5", "StopOrder")
        assert sent.keys().isdisjoint({"triggerDirection", "triggerBy"})
        assert sent.get("marketUnit") == (None if ord_type is OrdType.STOP_LIMIT else "baseCoin")

    def test_reducing_and_closing(self) -> None:
        reducing = new_order(exec_inst=ExecInst.REDUCE_ONLY | ExecInst.POST_ONLY)
        sent = place(order=reducing)
        assert (sent["reduceOnly"], sent["timeInForce"], sent["qty"]) == (True, "PostOnly", "0.001")
        assert codec().new_order(reducing, "r", STAMP_NS, logged_on=True).lane is Lane.REDUCE
        closing = place(order=new_order(ord_type=OrdType.MARKET, price=None, exec_inst=ExecInst.CLOSE_POSITION))
        assert (closing["reduceOnly"], closing["closeOnTrigger"], closing["qty"]) == (True, True, "0")

    @pytest.mark.parametrize(
        "side, inst, leg",
        [
            (Side.BUY, ExecInst.NONE, 1),
            (Side.SELL, ExecInst.NONE, 2),
            (Side.SELL, ExecInst.REDUCE_ONLY, 1),
            (Side.BUY, ExecInst.REDUCE_ONLY, 2),
        ],
    )
    def test_hedge_mode_names_the_leg(self, side: Side, inst: ExecInst, leg: int) -> None:
        order = new_order(side=side, exec_inst=inst)
        assert place(order=order, hedge_mode=True)["positionIdx"] == leg
        assert place(order=order)["positionIdx"] == 0

    @pytest.mark.parametrize("smp_type", SMP_TYPES)
    def test_self_trade_prevention(self, smp_type: str) -> None:
        assert place(smp_type=smp_type)["smpType"] == smp_type
        assert "smpType" not in place()

    @pytest.mark.parametrize("order_id, field", [(OID, {"orderId": ORDER_ID}), (None, {"orderLinkId": CL_ORD_ID})])
    def test_cancel(self, order_id: OrderID | None, field: dict[str, str]) -> None:
        frame = codec().cancel_order(CL_ORD_ID, order_id, SYMBOL, "c1", STAMP_NS, logged_on=True)
        assert argument(frame) == {"category": "linear", "symbol": "BTCUSDT", **field}
        assert (json.loads(frame.text)["op"], frame.lane) == ("order.cancel", Lane.CANCEL)
        request = codec().rest_cancel_order(CL_ORD_ID, order_id, SYMBOL, STAMP_NS)
        assert (json.loads(request.body), request.path) == (argument(frame), "/v5/order/cancel")
        assert request.group == "cancels"  # endpoints are counted apart

    def test_amend_to_a_total(self) -> None:
        frame = codec(SPOT).amend_order(CL_ORD_ID, OID, SYMBOL, D("0.0005"), "a1", STAMP_NS, logged_on=True)
        assert argument(frame) == {"category": "spot", "symbol": "BTCUSDT", "orderId": ORDER_ID, "qty": "0.0005"}
        assert (json.loads(frame.text)["op"], frame.lane) == ("order.amend", Lane.REDUCE)

    @pytest.mark.parametrize("product", [SPOT, LINEAR])
    def test_amend_of_quantity_and_price(self, product: Product) -> None:
        private = codec(product)
        assert private.capabilities.amends_price
        assert not private.capabilities.amend_needs_terms
        terms = (CL_ORD_ID, OID, SYMBOL, Side.SELL, D("0.002"), D("59000.50"))
        frame = private.amend_terms(*terms, "a1", STAMP_NS, logged_on=True)
        assert argument(frame) == {
            "category": "spot" if product is SPOT else "linear", "symbol": "BTCUSDT", "orderId": ORDER_ID,
            "qty": "0.002", "price": "59000.50",
        }  # fmt: skip
        request = private.rest_amend_terms(*terms, STAMP_NS)
        assert (json.loads(request.body), request.path, request.group) == (
            argument(frame),
            "/v5/order/amend",
            "amends",
        )
        with pytest.raises(LocalProtocolError, match="price was 0"):
            private.amend_terms(*terms[:-1], D(0), "a1", STAMP_NS, logged_on=True)

    def test_amend_of_price_and_trigger(self) -> None:
        request = codec().rest_amend_order(
            CL_ORD_ID, None, SYMBOL, None, STAMP_NS, price=D("59000.5"), stop_px=D(60500)
        )
        assert json.loads(request.body) == {
            "category": "linear", "symbol": "BTCUSDT", "orderLinkId": CL_ORD_ID, "price": "59000.5",
            "triggerPrice": "60500",
        }  # fmt: skip
        with pytest.raises(LocalProtocolError, match="changes nothing"):
            codec().rest_amend_order(CL_ORD_ID, None, SYMBOL, None, STAMP_NS)

    def test_cancel_all_is_rest_alone(self) -> None:
        assert not codec().capabilities.ws_cancel_all
        with pytest.raises(LocalProtocolError, match="rest_cancel_all"):
            codec().cancel_all(SYMBOL, "x1", STAMP_NS, logged_on=True)
        request = codec().rest_cancel_all(SYMBOL, STAMP_NS)
        assert (request.path, request.lane) == ("/v5/order/cancel-all", Lane.CANCEL)
        assert json.loads(request.body) == {"category": "linear", "symbol": "BTCUSDT"}

    def test_cancel_all_until_none_is_left(self) -> None:
        """500 orders go at one request, which of more is the venue's choice."""
        private = codec()
        request = private.rest_cancel_all(SYMBOL, STAMP_NS)
        full = reply(envelope({"list": [acked()] * 500, "success": "1"}))
        rest = private.continuation(request, full, STAMP_NS + 5_000_000)
        assert rest is not None
        assert (rest.path, rest.body, rest.lane) == (request.path, request.body, Lane.CANCEL)
        assert rest.headers["X-BAPI-TIMESTAMP"] == str(STAMP_MS + 5)
        few = reply(envelope({"list": [acked()] * 499, "success": "1"}))
        assert private.continuation(rest, few, STAMP_NS) is None

    def test_cancel_all_of_spot_goes_through_the_kinds_of_orders(self) -> None:
        """One that names no kind means those that work alone (section 6.5)."""
        private, none = codec(SPOT), reply(envelope({"list": [], "success": "1"}))
        request: HttpRequest | None = private.rest_cancel_all(SYMBOL, STAMP_NS)
        kinds = []
        while request is not None:
            kinds.append(json.loads(request.body).get("orderFilter"))
            assert json.loads(request.body)["symbol"] == "BTCUSDT"
            request = private.continuation(request, none, STAMP_NS)
        assert kinds == [None, "StopOrder", "tpslOrder"]

    def test_cancel_everything_settlement_coin_by_settlement_coin(self) -> None:
        bodies = [json.loads(request.body) for request in codec().rest_cancel_everything(STAMP_NS)]
        assert bodies == [{"category": "linear", "settleCoin": coin} for coin in ("USDT", "USDC")]
        assert [json.loads(request.body) for request in codec(SPOT).rest_cancel_everything(STAMP_NS)] == [
            {"category": "spot"}
        ]

    def test_private_topics(self) -> None:
        frame = codec().subscribe_private("s1", STAMP_NS, logged_on=True)
        assert json.loads(frame.text) == {
            "req_id": "s1",
            "op": "subscribe",
            "args": ["order", "execution", "wallet", "position"],
        }
        sent = json.loads(codec(SPOT).subscribe_private("s1", STAMP_NS, logged_on=True).text)
        assert "position" not in sent["args"]

    def test_paths(self) -> None:
        assert (codec().entry_path(), codec().private_path()) == ("/v5/trade", "/v5/private")

    def test_keep_alive(self) -> None:
        assert json.loads(codec().keep_alive("p1").text) == {"req_id": "p1", "op": "ping", "reqId": "p1"}


class TestBatches:
    def test_new_orders(self) -> None:
        orders = [
            new_order(cl_ord_id=ClOrdID("bh-1")),
            new_order(cl_ord_id=ClOrdID("bh-2"), exec_inst=ExecInst.REDUCE_ONLY),
        ]
        frame = codec().new_orders(orders, "b1", STAMP_NS, logged_on=True)
        sent = argument(frame)
        assert (json.loads(frame.text)["op"], sent["category"]) == ("order.create-batch", "linear")
        singles = [place(order=order) for order in orders]
        assert [{"category": "linear", **member} for member in sent["request"]] == singles
        assert frame.lane is Lane.REDUCE
        request = codec().rest_new_orders(orders, STAMP_NS)
        assert (json.loads(request.body), request.path) == (sent, "/v5/order/create-batch")

    def test_cancels(self) -> None:
        wanted = [(ClOrdID("a"), OID, SYMBOL), (ClOrdID("b"), None, Symbol("ETHUSDT"))]
        frame = codec(SPOT).cancel_orders(wanted, "b1", STAMP_NS, logged_on=True)
        assert argument(frame) == {
            "category": "spot",
            "request": [{"symbol": "BTCUSDT", "orderId": ORDER_ID}, {"symbol": "ETHUSDT", "orderLinkId": "b"}],
        }
        request = codec(SPOT).rest_cancel_orders(wanted, STAMP_NS)
        assert (json.loads(request.body), request.path) == (argument(frame), "/v5/order/cancel-batch")

    @pytest.mark.parametrize("product, most", [(SPOT, 10), (LINEAR, 20)])
    def test_one_too_many_is_refused_here(self, product: Product, most: int) -> None:
        orders = [new_order(product, cl_ord_id=ClOrdID(f"o{n}")) for n in range(most + 1)]
        assert codec(product).capabilities.batch_size_max == most
        codec(product).new_orders(orders[:most], "b1", STAMP_NS, logged_on=True)
        for bad in (orders, []):
            with pytest.raises(LocalProtocolError, match=f"1 to {most}"):
                codec(product).new_orders(bad, "b1", STAMP_NS, logged_on=True)
        with pytest.raises(LocalProtocolError, match=f"1 to {most}"):
            codec(product).rest_cancel_orders([], STAMP_NS)


class TestQueries:
    @staticmethod
    def asked(request: HttpRequest | None) -> dict[str, str]:
        assert request is not None
        assert (request.method, request.lane, request.body) == ("GET", Lane.QUERY, "")
        return dict(parse_qsl(request.query, strict_parsing=True))

    def test_one_order_and_then_the_history(self) -> None:
        private = codec()
        for order_id, field in ((OID, {"orderId": ORDER_ID}), (None, {"orderLinkId": CL_ORD_ID})):
            request = private.order_status_request(CL_ORD_ID, order_id, SYMBOL, STAMP_NS)
            assert request.path == "/v5/order/realtime"
            assert self.asked(request) == {"category": "linear", "symbol": "BTCUSDT", **field}
            assert private.continuation(request, reply(listed(order_row())), STAMP_NS) is None
            history = private.continuation(request, reply(listed()), STAMP_NS)
            assert history is not None
            assert (history.path, history.query) == ("/v5/order/history", request.query)
            assert private.continuation(history, reply(listed()), STAMP_NS) is None

    def test_open_orders_page_by_page_and_coin_by_coin(self) -> None:
        """Both settlement coins of linear contracts are asked for."""
        private, row = codec(), order_row()
        request: HttpRequest | None = private.open_orders_request(None, STAMP_NS)
        seen = []
        for cursor in ("one%3A2", "", "three", "three-end", ""):
            asked = self.asked(request)
            seen.append((asked["settleCoin"], asked.get("cursor")))
            assert (asked["category"], asked["openOnly"], asked["limit"]) == ("linear", "0", "50")
            assert request is not None
            rows = [] if cursor == "three-end" else [row]
            request = private.continuation(request, reply(listed(*rows, cursor=cursor)), STAMP_NS)
            if request is None:
                break
        assert seen == [("USDT", None), ("USDT", "one:2"), ("USDC", None), ("USDC", "three")]
        assert request is None

    def test_a_cursor_that_does_not_move_is_refused(self) -> None:
        private, page = codec(), reply(listed(order_row(), cursor="same"))
        second = private.continuation(private.open_orders_request(SYMBOL, STAMP_NS), page, STAMP_NS)
        assert second is not None
        with pytest.raises(RemoteProtocolError, match="same page"):
            private.continuation(second, page, STAMP_NS)

    def test_open_orders_of_one_symbol_and_of_spot(self) -> None:
        assert self.asked(codec().open_orders_request(SYMBOL, STAMP_NS)).get("settleCoin") is None
        spot = codec(SPOT).open_orders_request(None, STAMP_NS)
        assert self.asked(spot) == {"category": "spot", "openOnly": "0", "limit": "50"}
        assert codec(SPOT).continuation(spot, reply(listed()), STAMP_NS) is None

    def test_fills_by_order(self) -> None:
        asked = self.asked(codec().fills_request(SYMBOL, STAMP_NS, order_id=OID, since_ns=3))
        assert asked == {"category": "linear", "symbol": "BTCUSDT", "orderId": ORDER_ID, "limit": "100"}

    def test_the_newest_fills(self) -> None:
        asked = self.asked(codec().fills_request(SYMBOL, STAMP_NS))
        assert asked == {"category": "linear", "symbol": "BTCUSDT", "limit": "100"}

    def test_fills_week_by_week_until_now(self) -> None:
        private, week = codec(), 7 * 86_400_000
        since = STAMP_MS - 2 * week - 5
        request: HttpRequest | None = private.fills_request(SYMBOL, STAMP_NS, since_ns=since * 1_000_000)
        windows = []
        while request is not None:
            asked = self.asked(request)
            windows.append((int(asked["startTime"]), int(asked["endTime"])))
            request = private.continuation(request, reply(listed()), STAMP_NS)
        assert windows[0][0] == since
        assert windows[-1][1] == STAMP_MS
        assert all(after[0] == before[1] + 1 for before, after in itertools.pairwise(windows))
        assert all(end - start < week for start, end in windows)

    def test_a_moment_ahead_of_the_venue_is_asked_for_as_it_is(self) -> None:
        request = codec().fills_request(SYMBOL, STAMP_NS, since_ns=STAMP_NS + 5_000_000)
        asked = self.asked(request)
        assert int(asked["endTime"]) >= int(asked["startTime"]) == STAMP_MS + 5
        assert codec().continuation(request, reply(listed()), STAMP_NS) is None

    def test_fills_from_a_trade_on_cannot_be_asked_for(self) -> None:
        assert not codec().capabilities.fills_from_trade_id
        with pytest.raises(LocalProtocolError, match="since_ns"):
            codec().fills_request(SYMBOL, STAMP_NS, from_trade_id=TradeID("e-1"))
        asked = self.asked(codec().fills_request(SYMBOL, STAMP_NS, from_trade_id=TradeID("e-1"), since_ns=STAMP_NS))
        assert asked["startTime"] == str(STAMP_MS)

    def test_positions_and_balances(self) -> None:
        request = codec().positions_request(STAMP_NS)
        assert self.asked(request) == {"category": "linear", "settleCoin": "USDT", "limit": "200"}
        following = codec().continuation(request, reply(listed()), STAMP_NS)
        assert self.asked(following)["settleCoin"] == "USDC"
        assert self.asked(codec().positions_request(STAMP_NS, SYMBOL))["symbol"] == "BTCUSDT"
        with pytest.raises(LocalProtocolError, match="spot"):
            codec(SPOT).positions_request(STAMP_NS)
        assert codec().account_kind_request(STAMP_NS).path == "/v5/account/info"
        assert self.asked(codec().position_mode_of_request(SYMBOL, STAMP_NS))["symbol"] == "BTCUSDT"
        balances = codec().balances_request(STAMP_NS)
        assert self.asked(balances) == {"accountType": "UNIFIED"}
        assert codec().continuation(balances, reply(envelope({})), STAMP_NS) is None


# ---- what must not be sent ---------------------------------------------------------------------------------------

BAD_ORDERS: list[tuple[Product, dict[str, Any], str]] = [
    (LINEAR, {"price": None}, "price is missing"),
    (LINEAR, {"price": D(0)}, "price was 0"),
    (LINEAR, {"price": D("NaN")}, "price was NaN"),
    (LINEAR, {"order_qty": D(-1)}, "order_qty was -1"),
    (LINEAR, {"order_qty": D("0.0000000000001")}, "more than 12 decimals"),
    (LINEAR, {"time_in_force": TimeInForce.GTD}, "time_in_force was GTD"),
    (LINEAR, {"time_in_force": TimeInForce.DAY}, "time_in_force was DAY"),
    (LINEAR, {"cl_ord_id": ClOrdID("")}, "cl_ord_id"),
    (LINEAR, {"cl_ord_id": ClOrdID("x" * 37)}, "cl_ord_id"),
    (LINEAR, {"cl_ord_id": ClOrdID("a b")}, "cl_ord_id"),
    (LINEAR, {"ord_type": OrdType.TRAILING_STOP}, "TRAILING_STOP"),
    (LINEAR, {"ord_type": OrdType.STOP}, "stop_px is missing"),
    (LINEAR, {"exec_inst": ExecInst.POST_ONLY, "time_in_force": TimeInForce.IOC}, "POST_ONLY"),
    (LINEAR, {"exec_inst": ExecInst.POST_ONLY, "ord_type": OrdType.MARKET}, "POST_ONLY"),
    (LINEAR, {"exec_inst": ExecInst.CLOSE_POSITION}, "CLOSE_POSITION"),
    (SPOT, {"exec_inst": ExecInst.REDUCE_ONLY}, "spot has no positions"),
    (SPOT, {"exec_inst": ExecInst.CLOSE_POSITION, "ord_type": OrdType.MARKET}, "spot has no positions"),
    (SPOT, {"ord_type": OrdType.STOP_LIMIT}, "stop_px is missing"),
    (SPOT, {"ord_type": OrdType.TRAILING_STOP, "stop_px": D(1)}, "TRAILING_STOP"),
]


@pytest.mark.parametrize("product, changes, match", BAD_ORDERS)
def test_orders_that_the_venue_could_not_take(product: Product, changes: dict[str, Any], match: str) -> None:
    order = new_order(product, **changes)
    for send in (
        lambda: codec(product).new_order(order, "r1", STAMP_NS, logged_on=True),
        lambda: codec(product).rest_new_order(order, STAMP_NS),
        lambda: codec(product).rest_new_orders([order], STAMP_NS),
    ):
        with pytest.raises(LocalProtocolError, match=match):
            send()


def test_nothing_goes_over_a_socket_that_is_not_logged_on() -> None:
    private = codec()
    sends: list[Callable[[], Frame]] = [
        lambda: private.new_order(new_order(), "r1", STAMP_NS, logged_on=False),
        lambda: private.cancel_order(CL_ORD_ID, None, SYMBOL, "r1", STAMP_NS, logged_on=False),
        lambda: private.subscribe_private("r1", STAMP_NS, logged_on=False),
    ]
    for send in sends:
        with pytest.raises(LocalProtocolError, match="not logged on"):
            send()


@pytest.mark.parametrize("request_id", ["", "x" * 37, 'a"b', "ä"])
def test_request_ids_that_could_not_be_matched(request_id: str) -> None:
    with pytest.raises(LocalProtocolError, match="request_id"):
        codec().new_order(new_order(), request_id, STAMP_NS, logged_on=True)


def test_order_ids_that_no_venue_gave() -> None:
    with pytest.raises(LocalProtocolError, match="order_id"):
        codec().order_status_request(CL_ORD_ID, OrderID("a&b=c"), SYMBOL, STAMP_NS)


@pytest.mark.parametrize(
    "product, changes, match",
    [
        (LINEAR, {"recv_window_ms": 0}, "recv_window_ms was 0"),
        (LINEAR, {"recv_window_ms": 60_001}, "recv_window_ms"),
        (LINEAR, {"smp_type": "Cancel"}, "smp_type was 'Cancel'"),
        (LINEAR, {"trigger_by": "Price"}, "trigger_by was 'Price'"),
        (LINEAR, {"settle_coins": ()}, "settle_coins"),
        (SPOT, {"hedge_mode": True}, "hedge_mode"),
        (Product.INVERSE, {}, "INVERSE"),
    ],
)
def test_impossible_settings(product: Product, changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        codec(product, **changes)


# ---- properties --------------------------------------------------------------------------------------------------

AMOUNTS = st.decimals(min_value="0.00000001", max_value=10**9, places=8, allow_nan=False)


@st.composite
def legal_orders(draw: st.DrawFn) -> NewOrder:
    ord_type = draw(st.sampled_from([kind for kind in OrdType if kind is not OrdType.TRAILING_STOP]))
    is_market = ord_type in (OrdType.MARKET, OrdType.STOP, OrdType.TAKE_PROFIT)
    post_only = not is_market and draw(st.booleans())
    inst = ExecInst.POST_ONLY if post_only else ExecInst.NONE
    if draw(st.booleans()):
        inst |= ExecInst.REDUCE_ONLY
    lifetimes = [TimeInForce.GTC] if post_only else [TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK]
    return new_order(
        cl_ord_id=ClOrdID(draw(st.from_regex(r"[a-zA-Z0-9_-]{1,36}", fullmatch=True))),
        symbol=Symbol(draw(st.sampled_from(["BTCUSDT", "BTC-26DEC25", "１２３", 'A"B\\C']))),
        side=draw(st.sampled_from(Side)),
        ord_type=ord_type,
        order_qty=draw(AMOUNTS),
        price=draw(AMOUNTS),
        stop_px=draw(AMOUNTS),
        time_in_force=draw(st.sampled_from(lifetimes)),
        exec_inst=inst,
    )


@given(legal_orders(), st.booleans())
@settings(max_examples=150)
def test_what_is_written_is_what_was_meant(order: NewOrder, hedge_mode: bool) -> None:
    private = codec(hedge_mode=hedge_mode)
    sent = argument(private.new_order(order, "r1", STAMP_NS, logged_on=True))
    assert sent == json.loads(private.rest_new_order(order, STAMP_NS).body)
    assert (sent["symbol"], sent["orderLinkId"]) == (order.symbol, order.cl_ord_id)
    assert D(sent["qty"]) == order.order_qty
    assert all("E" not in sent[name] for name in ("qty", "price", "triggerPrice") if name in sent)
    if "price" in sent:
        assert D(sent["price"]) == order.price
    assert ("triggerPrice" in sent) is (order.ord_type not in (OrdType.LIMIT, OrdType.MARKET))
    assert sent.get("reduceOnly", False) is bool(order.exec_inst & ExecInst.REDUCE_ONLY)
    numbers = {name for name, value in sent.items() if not isinstance(value, str | bool)}
    assert numbers <= {"positionIdx", "triggerDirection"}
