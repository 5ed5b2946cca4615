"""Conditional orders: what is sent, what is said of them, and how one becomes an order of the engine (5.7)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.enums import ExecInst, ExecType, OrdStatus, OrdType, Side, TimeInForce
from protocols.errors import ConfigError, LocalProtocolError, RemoteProtocolError, Unrecognized
from protocols.ids import ClOrdID, OrderID
from protocols.instruments import Product
from protocols.orders import ExecutionReport
from protocols.venue import (
    AmendsByTerms,
    Disposition,
    Lane,
    OrdersByRest,
    SplitsPrivateStream,
    UnrecognizedMessage,
    VenueError,
)
from protocols.venues.okx import OkxPrivate
from tests.protocols.okx.frames import (
    CL_ORD_ID,
    NO_FILL,
    RECEIVED_NS,
    STAMP_NS,
    SWAP,
    codec,
    fill_row,
    new_order,
    order_row,
    pushed,
    reply,
    rest,
    rest_order,
)

D = Decimal
ALGO, CHILD = "706620792746729472", "706620792746729999"


def algo_row(**changes: Any) -> dict[str, Any]:
    """A stop that waits, as channel and query tell of it; None takes a key out."""
    row: dict[str, Any] = {
        "instType": "SWAP", "instId": "BTC-USDT-SWAP", "algoId": ALGO, "algoClOrdId": CL_ORD_ID, "clOrdId": "",
        "ordId": "", "ordIdList": [], "ordType": "conditional", "state": "live", "side": "sell", "posSide": "net",
        "sz": "2", "tdMode": "cross", "slTriggerPx": "59000", "slTriggerPxType": "last", "slOrdPx": "-1",
        "tpTriggerPx": "", "tpOrdPx": "", "triggerPx": "", "ordPx": "", "actualSz": "0", "actualPx": "",
        "actualSide": "", "failCode": "", "reduceOnly": "true", "linkedOrd": {"ordId": ""}, "lever": "5",
        "cTime": "1767225600130", "uTime": "1767225600131",
    } | changes  # fmt: skip
    return {key: value for key, value in row.items() if value is not None}


def body(private: OkxPrivate | None = None, **changes: Any) -> dict[str, Any]:
    terms: dict[str, Any] = {"ord_type": OrdType.STOP, "stop_px": D(61000), "price": None}
    request = (private or codec()).rest_new_order(new_order(**(terms | changes)), STAMP_NS)
    assert (request.method, request.path, request.lane) == ("POST", "/api/v5/trade/order-algo", Lane.NEW)
    assert "expTime" not in request.headers, "a deadline of the matching engine"
    found: dict[str, Any] = msgspec.json.decode(request.body)
    return found


def events(rows: object, private: OkxPrivate | None = None, channel: str = "orders-algo") -> Any:
    return (private or codec()).decode_private(pushed(channel, rows), RECEIVED_NS)


def topics(private: OkxPrivate) -> Any:
    (path,) = private.further_private_paths()
    return msgspec.json.decode(private.subscribe_further(path, "s1", STAMP_NS, logged_on=True).text)["args"]


class TestSent:
    def test_a_stop_is_one_sided_and_names_its_price(self) -> None:
        assert body() == {
            "instId": "BTC-USDT-SWAP", "tdMode": "cross", "side": "buy", "ordType": "conditional", "sz": "1.5",
            "algoClOrdId": CL_ORD_ID, "slTriggerPx": "61000", "slTriggerPxType": "last", "slOrdPx": "-1",
        }  # fmt: skip

    @pytest.mark.parametrize(
        "ord_type, leg, price",
        [(OrdType.STOP, "sl", "-1"), (OrdType.STOP_LIMIT, "sl", "60000.0"), (OrdType.TAKE_PROFIT, "tp", "-1"),
         (OrdType.TAKE_PROFIT_LIMIT, "tp", "60000.0")],
    )  # fmt: skip
    def test_kinds(self, ord_type: OrdType, leg: str, price: str) -> None:
        got = body(codec(trigger_by="mark"), ord_type=ord_type, price=D("60000.0"))
        assert (got[f"{leg}TriggerPx"], got[f"{leg}TriggerPxType"], got[f"{leg}OrdPx"]) == ("61000", "mark", price)
        assert not {"slTriggerPx", "tpTriggerPx"} - {f"{leg}TriggerPx"} & set(got)

    def test_it_reduces_as_an_order_does(self) -> None:
        assert body(exec_inst=ExecInst.REDUCE_ONLY)["reduceOnly"] is True
        hedged = body(codec(hedged=True), exec_inst=ExecInst.REDUCE_ONLY, side=Side.SELL)
        assert (hedged["posSide"], "reduceOnly" in hedged) == ("long", False)

    @pytest.mark.parametrize(
        "changes, words",
        [
            ({"stop_px": None}, "stop_px is missing"),
            ({"stop_px": D(0)}, "stop_px was 0"),
            ({"ord_type": OrdType.STOP_LIMIT}, "price is missing"),
            ({"time_in_force": TimeInForce.IOC}, "time_in_force was IOC"),
            ({"exec_inst": ExecInst.POST_ONLY}, "exec_inst was"),
            ({"exec_inst": ExecInst.CLOSE_POSITION}, "exec_inst was"),
            ({"cl_ord_id": ClOrdID("a-b")}, "cl_ord_id was"),
        ],
    )
    def test_what_the_venue_could_not_take(self, changes: dict[str, Any], words: str) -> None:
        with pytest.raises(LocalProtocolError, match=words):
            body(**changes)

    def test_the_socket_has_no_words_for_it(self) -> None:
        private = codec()
        order = new_order(ord_type=OrdType.STOP, stop_px=D(1), price=None)
        assert isinstance(private, OrdersByRest)
        assert private.order_by_rest(order)
        assert not private.order_by_rest(new_order())
        for send in (private.new_order, lambda *a, **k: private.new_orders([a[0]], *a[1:], **k)):
            with pytest.raises(LocalProtocolError, match="ord_type was STOP"):
                send(order, "p1", STAMP_NS, logged_on=True)

    @pytest.mark.parametrize("ord_type, coins", [(OrdType.STOP, True), (OrdType.TAKE_PROFIT_LIMIT, False)])
    def test_spot_counts_coins(self, ord_type: OrdType, coins: bool) -> None:
        """Else a buy at the market counts money."""
        private = codec(Product.SPOT)
        order = new_order(Product.SPOT, ord_type=ord_type, stop_px=D(1), price=D(2))
        got = msgspec.json.decode(private.rest_new_order(order, STAMP_NS).body)
        assert (got["tdMode"], got.get("tgtCcy") == "base_ccy", "posSide" in got) == ("cash", coins, False)
        reducing = new_order(Product.SPOT, ord_type=ord_type, stop_px=D(1), exec_inst=ExecInst.REDUCE_ONLY)
        with pytest.raises(LocalProtocolError, match="spot does not have"):
            private.rest_new_order(reducing, STAMP_NS)
        assert [topic["instType"] for topic in topics(private)] == ["SPOT", "MARGIN"]

    def test_an_unknown_price_to_watch_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="trigger_by was 'mid'"):
            codec(trigger_by="mid")

    @pytest.mark.parametrize("order_id, names", [(f"A{ALGO}", {"algoId": ALGO}), (None, {"algoClOrdId": CL_ORD_ID})])
    def test_a_cancel_goes_where_the_order_waits(self, order_id: str | None, names: dict[str, str]) -> None:
        """By its id, or because this codec has put it there."""
        private = codec()
        known = None if order_id is None else OrderID(order_id)
        assert private.change_by_rest(CL_ORD_ID, known) is (known is not None)
        body(private)
        assert private.change_by_rest(CL_ORD_ID, known)
        request = private.rest_cancel_order(CL_ORD_ID, known, SWAP, STAMP_NS)
        assert (request.path, request.lane) == ("/api/v5/trade/cancel-algos", Lane.CANCEL)
        assert msgspec.json.decode(request.body) == [{"instId": "BTC-USDT-SWAP", **names}]
        with pytest.raises(LocalProtocolError, match="request of its own"):
            private.cancel_order(CL_ORD_ID, known, SWAP, "c1", STAMP_NS, logged_on=True)
        with pytest.raises(LocalProtocolError, match="not amended"):
            private.amend_order(CL_ORD_ID, known, SWAP, D(1), "m1", STAMP_NS, logged_on=True)

    def test_what_it_made_is_canceled_as_an_order(self) -> None:
        private = codec()
        body(private)
        assert not private.change_by_rest(CL_ORD_ID, OrderID(CHILD))
        assert private.rest_cancel_order(CL_ORD_ID, OrderID(CHILD), SWAP, STAMP_NS).path.endswith("/cancel-order")

    def test_its_channel_is_on_the_business_connection(self) -> None:
        private = codec()
        assert isinstance(private, SplitsPrivateStream)
        (path,) = private.further_private_paths()
        assert path == "/ws/v5/business"
        assert topics(private) == [{"channel": "orders-algo", "instType": "SWAP"}]
        with pytest.raises(LocalProtocolError, match="path was"):
            private.subscribe_further("/ws/v5/public", "s1", STAMP_NS, logged_on=True)
        with pytest.raises(LocalProtocolError, match="logged on"):
            private.subscribe_further(path, "s1", STAMP_NS, logged_on=False)


class TestAcknowledged:
    def test_it_has_an_id_of_its_service(self) -> None:
        row = {"algoId": ALGO, "algoClOrdId": CL_ORD_ID, "clOrdId": "", "sCode": "0", "sMsg": "", "tag": ""}
        got = codec().decode_rest_order("p1", reply(rest([row])))
        assert got.report is not None
        assert (got.report.order_id, got.report.cl_ord_id, got.report.report) == (f"A{ALGO}", CL_ORD_ID, None)

    def test_refused(self) -> None:
        row = {"algoId": "", "algoClOrdId": CL_ORD_ID, "sCode": "51280", "sMsg": "SL trigger price"}
        got = codec().decode_rest_order("p1", reply(rest([row], "1")))
        assert got.error is not None
        assert (got.error.disposition, got.error.code) == (Disposition.REJECTED, "51280")


class TestTold:
    def test_it_waits(self) -> None:
        (got,) = events([algo_row()])
        assert (got.cl_ord_id, got.order_id) == (CL_ORD_ID, f"A{ALGO}")
        assert (got.exec_type, got.ord_status, got.order_qty, got.cum_qty) == (ExecType.NEW, OrdStatus.NEW, 2, 0)
        assert (got.ord_type, got.price, got.side) == (OrdType.STOP, None, Side.SELL)
        assert got.transact_ns == 1767225600131 * 1_000_000

    @pytest.mark.parametrize(
        "changes, ord_type, price",
        [
            ({"slOrdPx": "58900"}, OrdType.STOP_LIMIT, 58900),
            ({"slTriggerPx": "", "slOrdPx": "", "tpTriggerPx": "1", "tpOrdPx": "-1"}, OrdType.TAKE_PROFIT, None),
            ({"slTriggerPx": "", "tpTriggerPx": "1", "tpOrdPx": "3"}, OrdType.TAKE_PROFIT_LIMIT, 3),
            ({"ordType": "oco", "tpTriggerPx": "1", "tpOrdPx": "3"}, OrdType.STOP, None),
            ({"ordType": "oco", "slOrdPx": "58900", "tpTriggerPx": "1", "tpOrdPx": "3"}, OrdType.STOP, None),
            ({"ordType": "trigger", "triggerPx": "5", "ordPx": "-1"}, OrdType.STOP, None),
            ({"ordType": "trigger", "triggerPx": "5", "ordPx": "7"}, OrdType.STOP_LIMIT, 7),
            ({"ordType": "move_order_stop"}, OrdType.TRAILING_STOP, None),
            ({"sz": "", "closeFraction": "1"}, OrdType.STOP, None),
        ],
    )
    def test_kinds(self, changes: dict[str, str], ord_type: OrdType, price: int | None) -> None:
        (got,) = events([algo_row(**changes)])
        assert (got.ord_type, got.price) == (ord_type, price)

    @pytest.mark.parametrize(
        "state, exec_type, status",
        [
            ("pause", ExecType.ORDER_STATUS, OrdStatus.NEW),
            ("effective", ExecType.ORDER_STATUS, OrdStatus.NEW),
            ("partially_effective", ExecType.ORDER_STATUS, OrdStatus.NEW),
            ("canceled", ExecType.CANCELED, OrdStatus.CANCELED),
            ("order_failed", ExecType.REJECTED, OrdStatus.REJECTED),
            ("partially_failed", ExecType.REJECTED, OrdStatus.REJECTED),
        ],
    )
    def test_states(self, state: str, exec_type: ExecType, status: OrdStatus) -> None:
        (got,) = events([algo_row(state=state, failCode="51008")])
        assert (got.exec_type, got.ord_status) == (exec_type, status)
        assert state in got.text
        assert "51008" in got.text

    @pytest.mark.parametrize("field, raw", [("state", "asleep"), ("ordType", "twap"), ("side", "up"), ("posSide", "x")])
    def test_an_unknown_word_costs_its_row_alone(self, field: str, raw: str) -> None:
        unknown, known = events([algo_row(**{field: raw}), algo_row()])
        assert isinstance(unknown, UnrecognizedMessage)
        assert unknown.what == (Unrecognized(field, raw),)
        assert isinstance(known, ExecutionReport)

    def test_those_of_other_products_are_not_ours(self) -> None:
        rows = [algo_row(instType=kind, algoId=str(n)) for n, kind in enumerate(["SPOT", "MARGIN", "SWAP", "FUTURES"])]
        assert [one.order_id for one in events(rows)] == ["A2"]
        assert [one.order_id for one in events(rows, codec(Product.SPOT))] == ["A0", "A1"]

    def test_a_size_in_money_is_not_taken_for_coins(self) -> None:
        row = algo_row(instType="SPOT", tgtCcy="quote_ccy", sz="500")
        assert [one.order_qty for one in events([row], codec(Product.SPOT))] == [0]
        assert [one.order_qty for one in events([row | {"slOrdPx": "58000"}], codec(Product.SPOT))] == [500]

    def test_one_that_its_maker_did_not_name(self) -> None:
        (got,) = events([algo_row(algoClOrdId="")])
        assert got.cl_ord_id == f"okxA{ALGO}"


class TestTriggered:
    def test_what_it_made_bears_its_name(self) -> None:
        """Whatever client id the venue gives the child."""
        child = order_row(clOrdId=f"{ALGO}_0", algoId=ALGO, algoClOrdId=CL_ORD_ID, source="7", ordId=CHILD)
        (got,) = events([child], channel="orders")
        assert (got.cl_ord_id, got.order_id) == (CL_ORD_ID, CHILD)

    def test_a_nameless_one_goes_on_under_the_same_name(self) -> None:
        child = order_row(clOrdId="", algoId=ALGO, source="6", ordId=CHILD)
        (got,) = events([child], channel="orders")
        assert got.cl_ord_id == f"okxA{ALGO}"

    @pytest.mark.parametrize("source", ["13", "34"])
    def test_the_parts_of_a_big_order_are_orders_of_their_own(self, source: str) -> None:
        rows = [
            order_row(clOrdId="", algoId=ALGO, algoClOrdId="twap1", source=source, ordId=str(number))
            for number in (1, 2)
        ]
        assert [one.cl_ord_id for one in events(rows, channel="orders")] == ["okx1", "okx2"]

    def test_by_the_link_that_its_service_told(self) -> None:
        private = codec()
        events([algo_row(state="effective", ordId=CHILD)], private)
        child = order_row(clOrdId=f"{ALGO}_0", linkedAlgoOrd={"algoId": ALGO}, ordId=CHILD)
        (got,) = events([child], private, "orders")
        assert got.cl_ord_id == CL_ORD_ID
        (stranger,) = events([child | {"linkedAlgoOrd": {"algoId": "7"}, "ordId": "8"}], private, "orders")
        assert stranger.cl_ord_id == f"{ALGO}_0"
        (fill,) = private.decode_fills(SWAP, reply(rest([fill_row(ordId=CHILD, clOrdId=f"{ALGO}_0")])))
        assert fill.cl_ord_id == CL_ORD_ID

    def test_its_service_names_the_new_order(self) -> None:
        (got,) = events([algo_row(state="effective", ordId=CHILD)])
        assert (got.exec_type, got.ord_status, got.order_id) == (ExecType.ORDER_STATUS, OrdStatus.NEW, CHILD)
        (listed,) = events([algo_row(state="effective", ordIdList=[CHILD])])
        assert listed.order_id == CHILD

    @pytest.mark.parametrize(
        "changes", [{"state": "effective", "ordIdList": ["1", "2"]}, {"state": "live", "ordId": CHILD}]
    )
    def test_one_of_several_or_before_the_trigger_is_no_child(self, changes: dict[str, Any]) -> None:
        (got,) = events([algo_row(**changes)])
        assert got.order_id == f"A{ALGO}"

    @pytest.mark.parametrize("state", ["canceled", "partially_failed"])
    def test_the_end_of_its_service_is_not_the_end_of_what_it_made(self, state: str) -> None:
        private = codec()
        events([order_row(algoId=ALGO, algoClOrdId=CL_ORD_ID, source="7", ordId=CHILD)], private, "orders")
        (got,) = events([algo_row(state=state)], private)
        assert (got.exec_type, got.ord_status, got.order_id) == (ExecType.ORDER_STATUS, OrdStatus.NEW, CHILD)

    def test_news_that_come_late_do_not_lead_back(self) -> None:
        """The two connections are not in step: the child may be heard of before its parent waits."""
        private = codec()
        events([order_row(algoId=ALGO, algoClOrdId=CL_ORD_ID, source="7", ordId=CHILD)], private, "orders")
        (late,) = events([algo_row()], private)
        assert late.order_id == CHILD

    @settings(max_examples=60)
    @given(st.permutations(["parent"] * 3 + ["child"] * 3))
    def test_whatever_the_order_of_the_two_connections_it_is_one_order(self, turns: list[str]) -> None:
        """Each connection is in order, the two are not in step; after its first word the child's id stays."""
        private = codec()
        ours = {"algoId": ALGO, "algoClOrdId": CL_ORD_ID, "source": "7", "ordId": CHILD, "clOrdId": ""}
        news = {
            "parent": iter([algo_row(), algo_row(), algo_row(state="effective", ordId=CHILD)]),
            "child": iter([
                order_row(**(NO_FILL | ours)), order_row(**ours),
                order_row(**ours, state="filled", accFillSz="1", fillSz="0.6", tradeId="982"),
            ]),
        }  # fmt: skip
        heard: list[ExecutionReport] = []
        for turn in turns:
            channel = "orders" if turn == "child" else "orders-algo"
            heard += events([next(news[turn])], private, channel)
        assert {one.cl_ord_id for one in heard} == {CL_ORD_ID}
        ids = [one.order_id for one in heard]
        first = ids.index(OrderID(CHILD))
        assert set(ids[first:]) == {CHILD}
        assert sum(one.last_qty for one in heard) == 1

    def test_the_oldest_links_are_forgotten(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("protocols.venues.okx.algos.CHILDREN_MAX", 2)
        private = codec()
        for number in range(3):
            row = order_row(algoId=str(number), algoClOrdId=f"n{number}", source="7", ordId=f"10{number}")
            events([row], private, "orders")
        rows = [fill_row(ordId=f"10{number}", clOrdId="", tradeId=str(number)) for number in range(3)]
        assert [one.cl_ord_id for one in reversed(private.decode_fills(SWAP, reply(rest(rows))))] == ["", "n1", "n2"]


class TestAsked:
    def test_both_places_are_asked(self) -> None:
        private = codec()
        (other,) = private.other_names(CL_ORD_ID)
        request = private.order_status_request(other, None, SWAP, STAMP_NS)
        assert (request.path, request.query) == ("/api/v5/trade/order-algo", f"algoClOrdId={CL_ORD_ID}")
        known = private.order_status_request(CL_ORD_ID, OrderID(f"A{ALGO}"), SWAP, STAMP_NS)
        assert (known.path, known.query) == ("/api/v5/trade/order-algo", f"algoId={ALGO}")
        with pytest.raises(LocalProtocolError, match="order_id was"):
            private.order_status_request(CL_ORD_ID, OrderID("Ax"), SWAP, STAMP_NS)

    def test_one_that_waits(self) -> None:
        got = codec().decode_order_status(reply(rest([algo_row()])))
        assert isinstance(got, ExecutionReport)
        assert (got.exec_type, got.ord_status, got.order_id) == (ExecType.ORDER_STATUS, OrdStatus.NEW, f"A{ALGO}")

    def test_one_that_ended(self) -> None:
        private = codec()
        request = private.order_status_request(CL_ORD_ID, OrderID(f"A{ALGO}"), SWAP, STAMP_NS)
        answered = reply(rest([algo_row(state="order_failed", failCode="51008")]))
        got = private.decode_order_status(answered)
        assert isinstance(got, ExecutionReport)
        assert got.ord_status is OrdStatus.REJECTED
        assert private.continuation(request, answered, STAMP_NS) is None

    def test_of_one_that_was_triggered_the_answer_goes_on_with_what_it_made(self) -> None:
        private = codec()
        request = private.order_status_request(CL_ORD_ID, OrderID(f"A{ALGO}"), SWAP, STAMP_NS)
        answered = reply(rest([algo_row(state="effective", ordId=CHILD)]))
        first = private.decode_order_status(answered)
        assert isinstance(first, VenueError)
        assert first.disposition is Disposition.NOT_FOUND
        following = private.continuation(request, answered, STAMP_NS)
        assert following is not None
        assert (following.path, following.query) == ("/api/v5/trade/order", f"instId=BTC-USDT-SWAP&ordId={CHILD}")
        child = rest_order(ordId=CHILD, clOrdId="", state="filled", accFillSz="2", sz="2", avgPx="59000")
        second = private.decode_order_status(reply(rest([child])))
        assert isinstance(second, ExecutionReport)
        assert (second.cl_ord_id, second.order_id, second.ord_status) == (CL_ORD_ID, CHILD, OrdStatus.FILLED)

    def test_triggered_without_a_word_of_what_it_made_it_still_counts(self) -> None:
        got = codec().decode_order_status(reply(rest([algo_row(state="effective")])))
        assert isinstance(got, ExecutionReport)
        assert not got.ord_status.is_final

    def test_open_orders_are_listed_kind_by_kind(self) -> None:
        private = codec()
        request = private.open_orders_request(SWAP, STAMP_NS)
        asked = []
        while True:
            following = private.continuation(request, reply(rest([])), STAMP_NS)
            if following is None:
                break
            request = following
            asked.append((request.path, request.query))
        assert asked == [
            ("/api/v5/trade/orders-algo-pending", f"ordType={kind}&instType=SWAP&instId=BTC-USDT-SWAP&limit=100")
            for kind in ("conditional", "oco", "trigger", "move_order_stop")
        ]

    def test_their_pages_too(self) -> None:
        private = codec()
        first = private.continuation(private.open_orders_request(None, STAMP_NS), reply(rest([])), STAMP_NS)
        assert first is not None
        full = reply(rest([algo_row(algoId=str(1000 - number)) for number in range(100)]))
        more = private.continuation(first, full, STAMP_NS)
        assert more is not None
        assert more.query == f"{first.query}&after=901"
        assert len(private.decode_open_orders(full)) == 100
        last = private.continuation(more, reply(rest([algo_row()])), STAMP_NS)
        assert last is not None
        assert last.query.startswith("ordType=oco&")
        assert "after" not in last.query

    def test_a_word_that_we_do_not_know_makes_the_picture_unusable(self) -> None:
        with pytest.raises(RemoteProtocolError, match="state=asleep"):
            codec().decode_open_orders(reply(rest([algo_row(state="asleep")])))


class TestAmends:
    """Section 5.2: price and total quantity in place, by either path."""

    def test_price_and_quantity(self) -> None:
        private = codec()
        assert isinstance(private, AmendsByTerms)
        assert private.capabilities.amends_price
        frame = private.amend_terms(CL_ORD_ID, None, SWAP, Side.BUY, D(2), D("59990"), "m1", STAMP_NS, logged_on=True)
        sent = msgspec.json.decode(frame.text)
        assert (sent["op"], sent["expTime"], frame.lane) == ("amend-order", str(STAMP_NS // 1_000_000 + 2000), Lane.NEW)
        assert sent["args"] == [
            {"instIdCode": 10459, "clOrdId": CL_ORD_ID, "newSz": "2", "cxlOnFail": False, "newPx": "59990",
             "reqId": "m1"}
        ]  # fmt: skip
        request = private.rest_amend_terms(CL_ORD_ID, OrderID("7"), SWAP, Side.BUY, D(2), D("59990"), STAMP_NS)
        assert (request.path, request.group, "expTime" in request.headers) == (
            "/api/v5/trade/amend-order", "amends", True,
        )  # fmt: skip
        assert msgspec.json.decode(request.body) == {
            "instId": "BTC-USDT-SWAP", "ordId": "7", "newSz": "2", "cxlOnFail": False, "newPx": "59990",
        }  # fmt: skip

    @pytest.mark.parametrize("price", [D(0), D("NaN"), D(-1)])
    def test_impossible_prices(self, price: Decimal) -> None:
        with pytest.raises(LocalProtocolError, match="price was"):
            codec().rest_amend_terms(CL_ORD_ID, None, SWAP, Side.BUY, D(1), price, STAMP_NS)

    def test_it_came_about(self) -> None:
        row = order_row(**(NO_FILL | {"amendResult": "0", "amendSource": "1", "px": "59990", "sz": "2"}))
        (got,) = events([row], channel="orders")
        assert (got.exec_type, got.price, got.order_qty) == (ExecType.REPLACED, D(59990), 2)

    @pytest.mark.parametrize("source", ["2", "4", "6"])
    def test_the_venue_changes_terms_as_well(self, source: str) -> None:
        row = order_row(**(NO_FILL | {"amendResult": "0", "amendSource": source, "sz": "0.5"}))
        (got,) = events([row], channel="orders")
        assert (got.exec_type, got.order_qty) == (ExecType.RESTATED, D("0.5"))
        assert f"amendSource {source}" in got.text

    def test_a_change_by_the_venue_that_failed_changed_nothing(self) -> None:
        row = order_row(**(NO_FILL | {"amendResult": "-1", "amendSource": "2", "msg": "no"}))
        refusal, state = events([row], channel="orders")
        assert (refusal.order_gone, state.exec_type) == (False, ExecType.ORDER_STATUS)
