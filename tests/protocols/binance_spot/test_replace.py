"""Cancel-replace (reference section 8.5): what is asked, and every outcome that the reference lists, by both ways."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest

from protocols.enums import ExecInst, ExecType, OrdRejReason, OrdStatus, OrdType
from protocols.errors import LocalProtocolError
from protocols.ids import ClOrdID, ClOrdIDs, OrderID, Symbol
from protocols.venue import Disposition, Lane, ReplacesOrders, Reply
from tests.protocols.binance_spot.frames import (
    CL_ORD_ID,
    RATE_LIMITS,
    RECEIVED_NS,
    STAMP_NS,
    answer,
    canceled,
    codec,
    failure,
    new_order,
    placed,
    reply,
)

CODEC = codec()
REPLACES: ReplacesOrders = CODEC
NEW_ID = ClOrdIDs("master", "maker", 1_790_000_001, 3).next()
NEW = new_order(cl_ord_id=NEW_ID, price=Decimal("89990.00"), order_qty=Decimal("0.00200"))
SUCCESS, FAILURE, NOT_ATTEMPTED = "SUCCESS", "FAILURE", "NOT_ATTEMPTED"
GONE = {"code": -2011, "msg": "Unknown order sent."}
TAKES = {"code": -2010, "msg": "Order would immediately match and take."}
TOO_MANY = {"code": -1015, "msg": "Too many new orders; current limit is 50 orders per 10 SECOND."}
FILL = {"price": "89990.0", "qty": "0.0005", "commission": "0.0000005", "commissionAsset": "BTC", "tradeId": 5559}
MADE = placed(orderId=9002, clientOrderId=NEW_ID, price="89990.00000000", origQty="0.00200000")


def outcome(cancel: str, new: str, cancel_body: object, new_body: object) -> dict[str, Any]:
    return {
        "cancelResult": cancel,
        "newOrderResult": new,
        "cancelResponse": cancel_body,
        "newOrderResponse": new_body,
    }


def answers(status: int, code: int, data: dict[str, Any]) -> list[Reply]:
    """One outcome as the WebSocket API says it and as REST says it."""
    if status == 200:
        frame, rest = answer(data, rateLimits=RATE_LIMITS), reply(data)
    else:
        frame = failure(code, "Order cancel-replace failed.", status, data=data)
        rest = reply({"code": code, "msg": "Order cancel-replace failed.", "data": data}, status)
    (decoded,) = CODEC.decode_entry(frame, RECEIVED_NS)
    assert isinstance(decoded, Reply)
    return [decoded, CODEC.decode_rest_order("p1", rest)]


def halves(answered: Reply) -> tuple[Reply, Reply]:
    assert answered.request_id == "p1"
    assert answered.error is None
    assert answered.report is None
    assert answered.payload == {"orders": 2}
    old, new = answered.parts
    assert old.request_id == new.request_id == "p1"
    return old, new


class TestRequests:
    def test_a_frame_names_the_old_order_by_the_venues_id(self) -> None:
        frame = REPLACES.replace_order(CL_ORD_ID, OrderID("9001"), NEW, "r1", STAMP_NS, logged_on=True)
        assert json.loads(frame.text) == {
            "id": "r1",
            "method": "order.cancelReplace",
            "params": {
                "symbol": "BTCUSDT",
                "side": "BUY",
                "type": "LIMIT",
                "timeInForce": "GTC",
                "quantity": "0.00200",
                "price": "89990.00",
                "newClientOrderId": NEW_ID,
                "newOrderRespType": "FULL",
                "selfTradePreventionMode": "EXPIRE_MAKER",
                "cancelReplaceMode": "STOP_ON_FAILURE",
                "cancelOrderId": "9001",
                "cancelNewClientOrderId": f"{CL_ORD_ID}-x",
                "cancelRestrictions": "ONLY_NEW",
                "recvWindow": 2000,
                "timestamp": STAMP_NS // 1_000_000,
            },
        }
        assert (frame.request_id, frame.weight, frame.lane) == ("r1", 0, Lane.NEW)

    def test_without_it_by_ours(self) -> None:
        frame = REPLACES.replace_order(CL_ORD_ID, None, NEW, "r1", STAMP_NS, logged_on=True)
        sent = json.loads(frame.text)["params"]
        assert sent["cancelOrigClientOrderId"] == CL_ORD_ID
        assert "cancelOrderId" not in sent

    def test_an_order_of_somebody_else_keeps_the_name_that_the_venue_gives_it(self) -> None:
        frame = REPLACES.replace_order(ClOrdID("web_1"), None, NEW, "r1", STAMP_NS, logged_on=True)
        assert "cancelNewClientOrderId" not in json.loads(frame.text)["params"]

    def test_rest_says_the_same(self) -> None:
        request = REPLACES.rest_replace_order(CL_ORD_ID, OrderID("9001"), NEW, STAMP_NS)
        assert (request.method, request.path) == ("POST", "/api/v3/order/cancelReplace")
        assert (request.weight, request.lane) == (0, Lane.NEW)
        sent = dict(parse_qsl(request.query, strict_parsing=True))
        frame = REPLACES.replace_order(CL_ORD_ID, OrderID("9001"), NEW, "r1", STAMP_NS, logged_on=True)
        expected = {name: str(value) for name, value in json.loads(frame.text)["params"].items()}
        assert sent.pop("signature")
        assert sent == expected

    def test_a_frame_before_a_logon_is_signed(self) -> None:
        frame = REPLACES.replace_order(CL_ORD_ID, None, NEW, "r1", STAMP_NS, logged_on=False)
        assert json.loads(frame.text)["params"].keys() >= {"apiKey", "signature"}

    def test_any_type_of_order_may_be_the_new_one(self) -> None:
        maker = new_order(cl_ord_id=NEW_ID, exec_inst=ExecInst.POST_ONLY)
        stop = new_order(cl_ord_id=NEW_ID, ord_type=OrdType.STOP_LIMIT, stop_px=Decimal(95000))
        for order, kind in ((maker, "LIMIT_MAKER"), (stop, "STOP_LOSS_LIMIT")):
            frame = REPLACES.replace_order(CL_ORD_ID, None, order, "r1", STAMP_NS, logged_on=True)
            assert json.loads(frame.text)["params"]["type"] == kind

    @pytest.mark.parametrize("cl_ord_id, new", [(CL_ORD_ID, new_order()), (ClOrdID("a.b"), NEW)])
    def test_names_that_cannot_be_are_refused(self, cl_ord_id: ClOrdID, new: Any) -> None:
        with pytest.raises(LocalProtocolError, match="cl_ord_id"):
            REPLACES.rest_replace_order(cl_ord_id, None, new, STAMP_NS)


class TestOutcomes:
    """The rows of the table, and the sample."""

    def test_both_succeed(self) -> None:
        for answered in answers(200, 0, outcome(SUCCESS, SUCCESS, canceled(), MADE | {"fills": [FILL]})):
            old, new = halves(answered)
            assert old.report is not None
            assert old.report.report is not None
            assert (old.report.cl_ord_id, old.report.report.exec_type) == (CL_ORD_ID, ExecType.CANCELED)
            assert new.report is not None
            assert new.report.report is not None
            assert (new.report.cl_ord_id, new.report.order_id) == (NEW_ID, "9002")
            assert new.report.report.ord_status is OrdStatus.NEW
            assert [fill.trade_id for fill in new.report.fills] == ["5559"]

    def test_usage_is_the_answers(self) -> None:
        frame_answer, _ = answers(200, 0, outcome(SUCCESS, SUCCESS, canceled(), MADE))
        assert [used.name for used in frame_answer.usage] == ["orders", "weight"]

    def test_the_cancel_fails_and_the_new_order_is_not_tried(self) -> None:
        for answered in answers(400, -2022, outcome(FAILURE, NOT_ATTEMPTED, GONE, None)):
            old, new = halves(answered)
            assert old.error is not None
            assert (old.error.disposition, old.error.code) == (Disposition.ALREADY_FINAL, "-2011")
            assert new.error is not None
            assert (new.error.disposition, new.error.reason) == (Disposition.REJECTED, OrdRejReason.NOT_SENT)
            assert "not attempted" in new.error.text

    def test_a_fill_that_overtook_it_leaves_the_old_order(self) -> None:
        restricted = {"code": -2011, "msg": "Order was not canceled due to cancel restrictions."}
        for answered in answers(400, -2022, outcome(FAILURE, NOT_ATTEMPTED, restricted, None)):
            old, new = halves(answered)
            assert old.error is not None
            assert old.error.disposition is Disposition.REJECTED
            assert new.error is not None
            assert new.error.disposition is Disposition.REJECTED

    def test_both_fail(self) -> None:
        for answered in answers(400, -2022, outcome(FAILURE, FAILURE, GONE, TAKES)):
            old, new = halves(answered)
            assert old.error is not None
            assert old.error.disposition is Disposition.ALREADY_FINAL
            assert new.error is not None
            assert (new.error.disposition, new.error.reason) == (Disposition.REJECTED, OrdRejReason.WOULD_TAKE)

    def test_the_old_order_ends_and_the_new_one_is_refused(self) -> None:
        for answered in answers(409, -2021, outcome(SUCCESS, FAILURE, canceled(), TAKES)):
            old, new = halves(answered)
            assert old.report is not None
            assert old.report.report is not None
            assert old.report.report.ord_status is OrdStatus.CANCELED
            assert old.report.cl_ord_id == CL_ORD_ID
            assert new.error is not None
            assert new.error.reason is OrdRejReason.WOULD_TAKE

    def test_an_old_order_told_in_too_few_words_is_acknowledged(self) -> None:
        """The sample of the reference has four fields: it ended, its event or a query says how."""
        short = {"symbol": "BTCUSDT", "origClientOrderId": CL_ORD_ID, "orderId": 9001, "status": "CANCELED"}
        for answered in answers(409, -2021, outcome(SUCCESS, FAILURE, short, TAKES)):
            old, new = halves(answered)
            assert old.report is not None
            assert (old.report.cl_ord_id, old.report.order_id, old.report.report) == (CL_ORD_ID, "9001", None)
            assert new.error is not None
            assert new.error.disposition is Disposition.REJECTED

    def test_the_old_order_stays_and_the_new_one_is_made(self) -> None:
        for answered in answers(409, -2021, outcome(FAILURE, SUCCESS, GONE, MADE)):
            old, new = halves(answered)
            assert old.error is not None
            assert old.error.disposition is Disposition.ALREADY_FINAL
            assert new.report is not None
            assert new.report.order_id == "9002"

    @pytest.mark.parametrize("status", [409, 429])
    def test_the_order_count_is_exceeded_and_the_old_order_ends(self, status: int) -> None:
        """The sample says 409, the table 429."""
        for answered in answers(status, -2021, outcome(SUCCESS, FAILURE, canceled(), TOO_MANY)):
            old, new = halves(answered)
            assert old.report is not None
            assert new.error is not None
            assert (new.error.disposition, new.error.reason) == (Disposition.RATE_LIMITED, OrdRejReason.ORDER_RATE)
            assert new.error.until_ns > RECEIVED_NS

    def test_the_order_count_is_exceeded_and_nothing_was_tried(self) -> None:
        for answered in (
            CODEC.decode_entry(failure(-1015, "Too many new orders.", 429), RECEIVED_NS)[0],
            CODEC.decode_rest_order("p1", reply(TOO_MANY, 429)),
        ):
            assert isinstance(answered, Reply)
            assert answered.error is not None
            assert answered.error.disposition is Disposition.RATE_LIMITED
            assert answered.parts == ()

    def test_a_refusal_before_anything_was_tried_is_about_both(self) -> None:
        answered = CODEC.decode_rest_order("p1", reply({"code": -1013, "msg": "Filter failure: LOT_SIZE"}, 400))
        assert answered.error is not None
        assert answered.error.reason is OrdRejReason.BAD_QUANTITY
        assert answered.parts == ()

    def test_the_old_order_was_one_of_a_list(self) -> None:
        listed = {"orderListId": 42, "listOrderStatus": "ALL_DONE", "orderReports": [canceled(), canceled(orderId=3)]}
        for answered in answers(200, 0, outcome(SUCCESS, SUCCESS, listed, MADE)):
            old, new = halves(answered)
            assert old.payload == {"orders": 2}
            assert new.report is not None


class TestDoubt:
    """Section 16.1: a half that cannot be read proves nothing about it, and nothing about the other."""

    @pytest.mark.parametrize(
        "spoiled",
        [
            {"cancelResponse": {}},
            {"cancelResponse": None},
            {"cancelResponse": canceled(status="OF_NEXT_YEAR")},
            {"cancelResponse": canceled(origQty="NaN")},
            {"cancelResult": "OF_NEXT_YEAR"},
        ],
    )
    def test_half_of_it(self, spoiled: dict[str, Any]) -> None:
        for answered in answers(409, -2021, outcome(SUCCESS, FAILURE, canceled(), TAKES) | spoiled):
            old, new = halves(answered)
            assert old.error is not None
            assert old.error.disposition is Disposition.UNKNOWN
            assert new.error is not None
            assert new.error.reason is OrdRejReason.WOULD_TAKE

    @pytest.mark.parametrize("data", [None, [], "text", {"cancelResult": 5}, {"cancelResponse": canceled()}])
    def test_the_whole_of_it(self, data: object) -> None:
        for answered in (
            CODEC.decode_entry(failure(-2021, "partially failed", 409, data=data), RECEIVED_NS)[0],
            CODEC.decode_rest_order("p1", reply({"code": -2021, "msg": "partially failed", "data": data}, 409)),
        ):
            assert isinstance(answered, Reply)
            assert answered.error is not None
            assert answered.error.disposition is Disposition.UNKNOWN

    def test_a_failure_inside_the_venue_proves_nothing_whatever_it_says(self) -> None:
        for answered in answers(503, -2022, outcome(FAILURE, NOT_ATTEMPTED, GONE, None)):
            assert answered.error is not None
            assert answered.error.disposition is Disposition.UNKNOWN

    def test_an_old_order_is_never_taken_for_another_symbols(self) -> None:
        for answered in answers(200, 0, outcome(SUCCESS, SUCCESS, canceled(symbol="ETHBTC"), MADE)):
            old, _ = halves(answered)
            assert old.report is not None
            assert old.report.symbol == Symbol("ETHBTC")
