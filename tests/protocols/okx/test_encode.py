"""Commands: what goes out, to the letter, and what never does (reference sections 2.4, 5, 6, 7, 8 and 13)."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.enums import ExecInst, OrdType, Side, TimeInForce
from protocols.errors import ConfigError, LocalProtocolError
from protocols.ids import ClOrdID, OrderID, Symbol
from protocols.instruments import Product
from protocols.venue import Channel, Frame, HttpRequest, Lane
from protocols.venues.okx import OkxPrivate, OkxPublic
from protocols.venues.okx.encode import TOPICS_PER_FRAME
from tests.protocols.okx.frames import CL_ORD_ID, CODES, SPOT, STAMP_NS, SWAP, codec, new_order

D = Decimal
STAMP_MS = STAMP_NS // 1_000_000
ORDER_ID = OrderID("2510789768709120")
SPOT_, LINEAR = Product.SPOT, Product.LINEAR


def sent(frame: Frame) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(frame.text)
    assert whole["id"] == frame.request_id
    return whole


def placed(product: Product = LINEAR, settings_: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """The fields of one order, which must be the same on both ways but for the instrument's name."""
    private = codec(product, **(settings_ or {}))
    order = new_order(product, **changes)
    whole = sent(private.new_order(order, "r1", STAMP_NS, logged_on=True))
    (fields,) = whole["args"]
    body = json.loads(private.rest_new_order(order, STAMP_NS).body)
    assert body.pop("instId") == order.symbol
    assert fields.pop("instIdCode") == CODES[order.symbol]
    assert fields == body
    return dict(fields)


class TestNewOrder:
    def test_the_whole_frame(self) -> None:
        frame = codec().new_order(new_order(), "r000001", STAMP_NS, logged_on=True)
        assert (frame.request_id, frame.lane) == ("r000001", Lane.NEW)
        assert sent(frame) == {
            "id": "r000001",
            "op": "order",
            "args": [
                {
                    "instIdCode": 10459, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "1.5",
                    "clOrdId": CL_ORD_ID, "stpMode": "cancel_maker", "px": "60000.0",
                }
            ],
            "expTime": str(STAMP_MS + 2000),
        }  # fmt: skip

    def test_the_whole_request(self) -> None:
        request = codec().rest_new_order(new_order(), STAMP_NS)
        assert (request.method, request.path, request.query) == ("POST", "/api/v5/trade/order", "")
        assert (request.lane, request.group, request.weight) == (Lane.NEW, "orders", 0)
        assert request.headers["expTime"] == str(STAMP_MS + 2000)
        assert json.loads(request.body)["instId"] == "BTC-USDT-SWAP"

    @pytest.mark.parametrize(
        "changes, ord_type",
        [
            ({}, "limit"),
            ({"time_in_force": TimeInForce.IOC}, "ioc"),
            ({"time_in_force": TimeInForce.FOK}, "fok"),
            ({"exec_inst": ExecInst.POST_ONLY}, "post_only"),
            ({"ord_type": OrdType.MARKET, "price": None}, "market"),
        ],
    )
    @pytest.mark.parametrize("product", [SPOT_, LINEAR])
    def test_type_and_lifetime_are_one_word(self, product: Product, changes: dict[str, Any], ord_type: str) -> None:
        fields = placed(product, **changes)
        assert fields["ordType"] == ord_type
        assert ("px" in fields) is (ord_type != "market")

    @pytest.mark.parametrize("side", list(Side))
    def test_a_spot_market_order_says_what_it_counts(self, side: Side) -> None:
        fields = placed(SPOT_, ord_type=OrdType.MARKET, price=None, side=side)
        assert (fields["tgtCcy"], fields["banAmend"], fields["sz"]) == ("base_ccy", True, "1.5")

    def test_only_that_does(self) -> None:
        for fields in (placed(SPOT_), placed(LINEAR, ord_type=OrdType.MARKET, price=None)):
            assert not {"tgtCcy", "banAmend"} & fields.keys()

    def test_reduce_only_in_net_mode(self) -> None:
        fields = placed(exec_inst=ExecInst.REDUCE_ONLY | ExecInst.POST_ONLY)
        assert (fields["reduceOnly"], fields["ordType"]) == (True, "post_only")
        assert "posSide" not in fields
        assert "reduceOnly" not in placed()

    @pytest.mark.parametrize(
        "side, reduces, leg",
        [(Side.BUY, False, "long"), (Side.SELL, False, "short"), (Side.SELL, True, "long"), (Side.BUY, True, "short")],
    )
    def test_the_leg_in_long_short_mode(self, side: Side, reduces: bool, leg: str) -> None:
        exec_inst = ExecInst.REDUCE_ONLY if reduces else ExecInst.NONE
        fields = placed(settings_={"hedged": True}, side=side, exec_inst=exec_inst)
        assert fields["posSide"] == leg
        assert "reduceOnly" not in fields

    def test_spot_has_no_leg(self) -> None:
        assert not {"posSide", "reduceOnly"} & placed(SPOT_).keys()
        with pytest.raises(ConfigError, match="hedged"):
            codec(SPOT_, hedged=True)

    @pytest.mark.parametrize(
        "product, mode, sent_mode",
        [(SPOT_, "", "cash"), (SPOT_, "cross", "cross"), (LINEAR, "", "cross"), (LINEAR, "isolated", "isolated")],
    )
    def test_the_trade_mode_is_configuration(self, product: Product, mode: str, sent_mode: str) -> None:
        assert placed(product, {"trade_mode": mode})["tdMode"] == sent_mode

    @pytest.mark.parametrize("mode", ["cancel_maker", "cancel_taker", "cancel_both"])
    def test_self_trade_prevention(self, mode: str) -> None:
        assert placed(settings_={"stp_mode": mode})["stpMode"] == mode

    @pytest.mark.parametrize(
        "qty, text", [("1E-8", "0.00000001"), ("1E+3", "1000"), ("0.10", "0.10"), ("0.000000000001", "0.000000000001")]
    )
    def test_amounts_are_plain_text(self, qty: str, text: str) -> None:
        fields = placed(order_qty=D(qty), price=D(qty))
        assert (fields["sz"], fields["px"]) == (text, text)

    @pytest.mark.parametrize(
        "changes, message",
        [
            ({"price": None}, "price is missing"),
            ({"ord_type": OrdType.TRAILING_STOP}, "ord_type was TRAILING_STOP"),
            ({"time_in_force": TimeInForce.GTD}, "time_in_force was GTD"),
            ({"exec_inst": ExecInst.CLOSE_POSITION}, "exec_inst was"),
            ({"exec_inst": ExecInst.POST_ONLY, "time_in_force": TimeInForce.IOC}, "POST_ONLY needs"),
            ({"exec_inst": ExecInst.POST_ONLY, "ord_type": OrdType.MARKET}, "POST_ONLY needs"),
            ({"order_qty": D(0)}, "order_qty was 0"),
            ({"order_qty": D("NaN")}, "order_qty was NaN"),
            ({"price": D(-1)}, "price was -1"),
            ({"cl_ord_id": ClOrdID("a-b")}, "cl_ord_id was 'a-b'"),
            ({"cl_ord_id": ClOrdID("")}, "cl_ord_id was ''"),
            ({"cl_ord_id": ClOrdID("a" * 33)}, "1 to 32"),
            ({"cl_ord_id": ClOrdID("é")}, "letters and digits"),
        ],
    )
    def test_what_the_venue_could_not_take(self, changes: dict[str, Any], message: str) -> None:
        private, order = codec(), new_order(**changes)
        with pytest.raises(LocalProtocolError, match=message):
            private.new_order(order, "r1", STAMP_NS, logged_on=True)
        with pytest.raises(LocalProtocolError, match=message):
            private.rest_new_order(order, STAMP_NS)

    def test_reduce_only_on_spot_is_refused(self) -> None:
        with pytest.raises(LocalProtocolError, match="REDUCE_ONLY"):
            placed(SPOT_, exec_inst=ExecInst.REDUCE_ONLY)

    def test_fill_or_kill_does_not_go_with_cancel_both(self) -> None:
        with pytest.raises(LocalProtocolError, match="cancel_both"):
            placed(settings_={"stp_mode": "cancel_both"}, time_in_force=TimeInForce.FOK)

    @pytest.mark.parametrize("request_id", ["", "a-b", "a" * 33, 'x"'])
    def test_impossible_request_ids(self, request_id: str) -> None:
        with pytest.raises(LocalProtocolError, match="request_id"):
            codec().new_order(new_order(), request_id, STAMP_NS, logged_on=True)


class TestInstrumentCodes:
    def test_an_unknown_symbol_is_refused_on_the_socket_alone(self) -> None:
        private = codec(codes={})
        with pytest.raises(LocalProtocolError, match="instIdCode"):
            private.new_order(new_order(), "r1", STAMP_NS, logged_on=True)
        with pytest.raises(LocalProtocolError, match="instIdCode"):
            private.cancel_order(CL_ORD_ID, None, SWAP, "r1", STAMP_NS, logged_on=True)
        assert private.rest_new_order(new_order(), STAMP_NS).path == "/api/v5/trade/order"

    def test_each_codec_has_its_own(self) -> None:
        """Demo and production number the same instrument differently."""
        frames = [
            codec(codes={SWAP: code}).new_order(new_order(), "r1", STAMP_NS, logged_on=True) for code in (10459, 555)
        ]
        assert [sent(frame)["args"][0]["instIdCode"] for frame in frames] == [10459, 555]

    def test_an_impossible_number_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="instIdCode"):
            codec(codes={SWAP: 0})


class TestCancelAndAmend:
    @pytest.mark.parametrize("order_id, identity", [(ORDER_ID, {"ordId": ORDER_ID}), (None, {"clOrdId": CL_ORD_ID})])
    def test_cancel(self, order_id: OrderID | None, identity: dict[str, str]) -> None:
        frame = codec().cancel_order(CL_ORD_ID, order_id, SWAP, "r2", STAMP_NS, logged_on=True)
        assert frame.lane is Lane.CANCEL
        assert sent(frame) == {"id": "r2", "op": "cancel-order", "args": [{"instIdCode": 10459, **identity}]}
        request = codec().rest_cancel_order(CL_ORD_ID, order_id, SWAP, STAMP_NS)
        assert (request.path, request.lane, request.group) == (
            "/api/v5/trade/cancel-order", Lane.CANCEL, "cancels",
        )  # fmt: skip
        assert json.loads(request.body) == {"instId": "BTC-USDT-SWAP", **identity}
        assert "expTime" not in request.headers

    def test_amend(self) -> None:
        frame = codec().amend_order(CL_ORD_ID, ORDER_ID, SWAP, D("0.50"), "am1", STAMP_NS, logged_on=True)
        fields = {"ordId": ORDER_ID, "newSz": "0.50", "cxlOnFail": False}
        assert frame.lane is Lane.REDUCE
        assert sent(frame) == {
            "id": "am1",
            "op": "amend-order",
            "args": [{"instIdCode": 10459, **fields, "reqId": "am1"}],
            "expTime": str(STAMP_MS + 2000),
        }
        request = codec().rest_amend_order(CL_ORD_ID, ORDER_ID, SWAP, D("0.50"), STAMP_NS)
        assert (request.path, json.loads(request.body)) == (
            "/api/v5/trade/amend-order", {"instId": "BTC-USDT-SWAP", **fields},
        )  # fmt: skip
        assert request.headers["expTime"] == str(STAMP_MS + 2000)

    def test_a_strange_order_id_is_refused(self) -> None:
        with pytest.raises(LocalProtocolError, match="order_id was 'x'"):
            codec().rest_cancel_order(CL_ORD_ID, OrderID("x"), SWAP, STAMP_NS)

    def test_there_is_no_cancel_all(self) -> None:
        with pytest.raises(LocalProtocolError, match="cannot cancel all"):
            codec().cancel_all(SWAP, "r1", STAMP_NS, logged_on=True)


class TestBatches:
    def test_orders_of_several_instruments(self) -> None:
        private = codec(SPOT_, codes={SPOT: 1, Symbol("ETH-USDT"): 2})
        orders = [new_order(SPOT_), new_order(SPOT_, symbol=Symbol("ETH-USDT"), cl_ord_id=ClOrdID("b2"))]
        frame = private.new_orders(orders, "b1", STAMP_NS, logged_on=True)
        whole = sent(frame)
        assert (whole["op"], whole["expTime"], frame.lane) == ("batch-orders", str(STAMP_MS + 2000), Lane.NEW)
        assert [(row["instIdCode"], row["clOrdId"]) for row in whole["args"]] == [(1, CL_ORD_ID), (2, "b2")]
        request = private.rest_new_orders(orders, STAMP_NS)
        assert [row["instId"] for row in json.loads(request.body)] == ["BTC-USDT", "ETH-USDT"]
        assert (request.path, "expTime" in request.headers) == ("/api/v5/trade/batch-orders", True)

    def test_cancels(self) -> None:
        orders = [(CL_ORD_ID, ORDER_ID, SWAP), (ClOrdID("b2"), None, SWAP)]
        frame = codec().cancel_orders(orders, "b2", STAMP_NS, logged_on=True)
        assert frame.lane is Lane.CANCEL
        assert sent(frame) == {
            "id": "b2",
            "op": "batch-cancel-orders",
            "args": [{"instIdCode": 10459, "ordId": ORDER_ID}, {"instIdCode": 10459, "clOrdId": "b2"}],
        }
        request = codec().rest_cancel_orders(orders, STAMP_NS)
        assert request.path == "/api/v5/trade/cancel-batch-orders"
        assert json.loads(request.body) == [
            {"instId": "BTC-USDT-SWAP", "ordId": ORDER_ID}, {"instId": "BTC-USDT-SWAP", "clOrdId": "b2"},
        ]  # fmt: skip

    @pytest.mark.parametrize("size", [0, 21])
    def test_impossible_sizes(self, size: int) -> None:
        private, orders = codec(), [new_order()] * size
        cancels = [(CL_ORD_ID, None, SWAP)] * size
        attempts: list[Callable[[], object]] = [
            lambda: private.new_orders(orders, "b1", STAMP_NS, logged_on=True),
            lambda: private.cancel_orders(cancels, "b1", STAMP_NS, logged_on=True),
            lambda: private.rest_new_orders(orders, STAMP_NS),
            lambda: private.rest_cancel_orders(cancels, STAMP_NS),
        ]
        for attempt in attempts:
            with pytest.raises(LocalProtocolError, match="1 to 20"):
                attempt()

    def test_twenty_are_taken(self) -> None:
        assert len(sent(codec().new_orders([new_order()] * 20, "b1", STAMP_NS, logged_on=True))["args"]) == 20


class TestDeadManSwitch:
    @pytest.mark.parametrize("seconds", [0, 10, 30, 120])
    def test_seconds(self, seconds: int) -> None:
        request = codec().dead_man_request(None, seconds * 10**9, STAMP_NS)
        assert (request.path, request.body) == ("/api/v5/trade/cancel-all-after", f'{{"timeOut":"{seconds}"}}')

    @pytest.mark.parametrize("timeout_ns", [9 * 10**9, 121 * 10**9, -1, 10 * 10**9 + 1])
    def test_impossible_times(self, timeout_ns: int) -> None:
        with pytest.raises(LocalProtocolError, match="timeout_ns was"):
            codec().dead_man_request(None, timeout_ns, STAMP_NS)

    def test_it_is_not_of_one_symbol(self) -> None:
        with pytest.raises(LocalProtocolError, match="whole account"):
            codec().dead_man_request(SWAP, 0, STAMP_NS)


class TestQueries:
    def test_order_status(self) -> None:
        by_ours = codec().order_status_request(CL_ORD_ID, None, SWAP, STAMP_NS)
        by_theirs = codec().order_status_request(CL_ORD_ID, ORDER_ID, SWAP, STAMP_NS)
        assert (by_ours.method, by_ours.path, by_ours.lane) == ("GET", "/api/v5/trade/order", Lane.QUERY)
        assert by_ours.query == f"instId=BTC-USDT-SWAP&clOrdId={CL_ORD_ID}"
        assert by_theirs.query == f"instId=BTC-USDT-SWAP&ordId={ORDER_ID}"

    def test_open_orders(self) -> None:
        def query(private: OkxPrivate, symbol: Symbol | None) -> str:
            return private.open_orders_request(symbol, STAMP_NS).query

        assert query(codec(), None) == "instType=SWAP&limit=100"
        assert query(codec(), SWAP) == "instType=SWAP&instId=BTC-USDT-SWAP&limit=100"
        assert query(codec(SPOT_), None) == "limit=100"  # SPOT and MARGIN

    def test_fills(self) -> None:
        def request(**more: Any) -> HttpRequest:
            return codec().fills_request(SWAP, STAMP_NS, **more)

        assert (request().path, request().query) == ("/api/v5/trade/fills", "instId=BTC-USDT-SWAP&limit=100")
        assert request(order_id=ORDER_ID).query == f"instId=BTC-USDT-SWAP&limit=100&ordId={ORDER_ID}"
        recent = STAMP_NS - 3600 * 10**9
        assert request(since_ns=recent).query == f"instId=BTC-USDT-SWAP&limit=100&begin={recent // 10**6}"
        old = request(since_ns=STAMP_NS - 3 * 86_400 * 10**9)
        assert (old.path, old.group) == ("/api/v5/trade/fills-history", "fills-history")
        assert old.query.startswith("instType=SWAP&instId=BTC-USDT-SWAP&")

    def test_money_and_positions(self) -> None:
        assert codec().balances_request(STAMP_NS).path == "/api/v5/account/balance"
        request = codec().positions_request(STAMP_NS)
        assert (request.path, request.query) == ("/api/v5/account/positions", "instType=SWAP")
        with pytest.raises(LocalProtocolError, match="positions"):
            codec(SPOT_).positions_request(STAMP_NS)


class TestConnections:
    @pytest.mark.parametrize(
        "product, topics",
        [
            (SPOT_, [("orders", "SPOT"), ("orders", "MARGIN"), ("account", None)]),
            (LINEAR, [("orders", "SWAP"), ("account", None), ("positions", "SWAP")]),
        ],
    )
    def test_private_topics(self, product: Product, topics: list[tuple[str, str | None]]) -> None:
        whole = sent(codec(product).subscribe_private("s1", STAMP_NS, logged_on=True))
        assert whole["op"] == "subscribe"
        assert [(row["channel"], row.get("instType")) for row in whole["args"]] == topics
        extra = {row["channel"]: row.get("extraParams") for row in whole["args"]}
        assert extra["account"] == '{"updateInterval":"0"}'
        assert extra["orders"] is None

    def test_nothing_private_without_a_logon(self) -> None:
        private = codec()
        attempts: list[Callable[[], Frame]] = [
            lambda: private.subscribe_private("1", STAMP_NS, logged_on=False),
            lambda: private.new_order(new_order(), "1", STAMP_NS, logged_on=False),
            lambda: private.cancel_order(CL_ORD_ID, None, SWAP, "1", STAMP_NS, logged_on=False),
            lambda: private.amend_order(CL_ORD_ID, None, SWAP, D(1), "1", STAMP_NS, logged_on=False),
            lambda: private.new_orders([new_order()], "1", STAMP_NS, logged_on=False),
            lambda: private.cancel_orders([(CL_ORD_ID, None, SWAP)], "1", STAMP_NS, logged_on=False),
        ]
        for attempt in attempts:
            with pytest.raises(LocalProtocolError, match="logged on"):
                attempt()

    def test_public_topics_share_frames(self) -> None:
        wanted = [(Channel.BOOK, SPOT), (Channel.BOOK_TICKER, SPOT), (Channel.TRADES, SPOT)]
        (frame,) = OkxPublic(SPOT_).subscribe(wanted, 7)
        assert sent(frame) == {
            "id": "7",
            "op": "subscribe",
            "args": [{"channel": name, "instId": "BTC-USDT"} for name in ("books", "bbo-tbt", "trades")],
        }
        (frame,) = OkxPublic(SPOT_).unsubscribe(wanted[:1], 8)
        assert sent(frame)["op"] == "unsubscribe"

    def test_many_topics_are_split(self) -> None:
        wanted = [(Channel.BOOK, Symbol(f"X{n}-USDT")) for n in range(2 * TOPICS_PER_FRAME + 1)]
        frames = OkxPublic(SPOT_).subscribe(wanted, 5)
        assert [frame.request_id for frame in frames] == ["5", "6", "7"]
        assert [len(sent(frame)["args"]) for frame in frames] == [TOPICS_PER_FRAME, TOPICS_PER_FRAME, 1]
        assert all(len(frame.text) < 64_000 for frame in frames)
        assert OkxPublic(SPOT_).subscribe([], 5) == []

    def test_candles_are_asked_of_their_own_connection(self) -> None:
        (frame,) = OkxPublic(SPOT_).subscribe([(Channel.CANDLES_1M, SPOT)], 1)
        assert sent(frame)["args"] == [{"channel": "candle1m", "instId": "BTC-USDT"}]
        with pytest.raises(LocalProtocolError, match="stream_paths"):
            OkxPublic(SPOT_).subscribe([(Channel.CANDLES_1M, SPOT), (Channel.BOOK, SPOT)], 1)

    def test_keep_alive_is_a_bare_word(self) -> None:
        for one in (OkxPublic(SPOT_), codec()):
            frame = one.keep_alive("9")
            assert (frame.text, frame.request_id) == ("ping", "")


@pytest.mark.parametrize(
    "settings_, message",
    [
        ({"request_window_ms": 0}, "request_window_ms was 0"),
        ({"request_window_ms": 60_001}, "request_window_ms was 60001"),
        ({"stp_mode": "none"}, "stp_mode was 'none'"),
        ({"trade_mode": "cash"}, "trade_mode was 'cash'"),
    ],
)
def test_impossible_settings_are_refused(settings_: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        codec(**settings_)


AMOUNTS = st.decimals("1e-12", "1e12", allow_nan=False, allow_infinity=False, places=12)


@settings(max_examples=150)
@given(AMOUNTS, AMOUNTS, st.sampled_from(list(Side)), st.sampled_from(["GTC", "IOC", "FOK"]))
def test_numbers_survive_the_wire(qty: Decimal, price: Decimal, side: Side, lifetime: str) -> None:
    if not qty or not price:
        return
    fields = placed(order_qty=qty, price=price, side=side, time_in_force=TimeInForce(lifetime))
    assert (D(fields["sz"]), D(fields["px"]), fields["side"]) == (qty, price, side.value.lower())
    assert "E" not in fields["sz"] + fields["px"]
