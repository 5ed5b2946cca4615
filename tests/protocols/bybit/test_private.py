"""Events of the account, answers and queries: each shape of sections 2, 6, 7, 9, 12 and 14, and of the checklist."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from protocols.base import Message
from protocols.enums import ExecType, Liquidity, OrdRejReason, OrdStatus, OrdType, Side
from protocols.errors import RemoteProtocolError
from protocols.ids import ClOrdID, OrderID, Symbol
from protocols.instruments import Product
from protocols.orders import ExecutionReport
from protocols.positions import Balance, BalancesChanged, VenuePosition
from protocols.venue import Disposition, OrderState, Reply, StreamTerminated, UnrecognizedMessage, Usage, VenueError
from protocols.venues.bybit import VENUES
from tests.protocols.bybit.frames import (
    ACCOUNT,
    CL_ORD_ID,
    HEADER,
    LINEAR,
    ORDER_ID,
    RECEIVED_NS,
    SPOT,
    STAMP_NS,
    SYMBOL,
    acked,
    answer,
    codec,
    coin_row,
    envelope,
    execution_row,
    listed,
    order_row,
    position_row,
    pushed,
    refused,
    reply,
    wallet_row,
)

D = Decimal
MS = 1_000_000
SECOND = 1_000_000_000
ZERO = Decimal(0)
CODEC = codec()
VENUE = VENUES[LINEAR]


def events(raw: bytes, product: Product = LINEAR) -> list[Message | Reply]:
    return list(codec(product).decode_private(raw, RECEIVED_NS))


def order(product: Product = LINEAR, **changes: Any) -> ExecutionReport:
    category = "linear" if product is LINEAR else "spot"
    (event,) = events(pushed("order", order_row(**({"category": category} | changes))), product)
    assert isinstance(event, ExecutionReport)
    return event


def fill(product: Product = LINEAR, **changes: Any) -> ExecutionReport:
    category = "linear" if product is LINEAR else "spot"
    (event,) = events(pushed("execution", execution_row(**({"category": category} | changes))), product)
    assert isinstance(event, ExecutionReport)
    return event


class TestOrders:
    def test_a_working_order(self) -> None:
        assert order() == ExecutionReport(
            cl_ord_id=CL_ORD_ID,
            order_id=OrderID(ORDER_ID),
            account=ACCOUNT,
            strategy=order().strategy,
            venue=VENUE,
            symbol=SYMBOL,
            side=Side.BUY,
            exec_type=ExecType.ORDER_STATUS,
            ord_status=OrdStatus.NEW,
            order_qty=D("0.001"),
            cum_qty=ZERO,
            transact_ns=1767225600137 * MS,
            received_ns=RECEIVED_NS,
            ord_type=OrdType.LIMIT,
            price=D(60000),
        )
        assert order().strategy == ""

    @pytest.mark.parametrize(
        "word, cum_qty, status, exec_type",
        [
            ("New", "0", OrdStatus.NEW, ExecType.ORDER_STATUS),
            ("New", "0.0004", OrdStatus.PARTIALLY_FILLED, ExecType.ORDER_STATUS),
            ("Untriggered", "0", OrdStatus.NEW, ExecType.ORDER_STATUS),
            ("Triggered", "0", OrdStatus.NEW, ExecType.ORDER_STATUS),
            ("PartiallyFilled", "0.0004", OrdStatus.PARTIALLY_FILLED, ExecType.ORDER_STATUS),
            ("Filled", "0.001", OrdStatus.FILLED, ExecType.ORDER_STATUS),
            ("Cancelled", "0", OrdStatus.CANCELED, ExecType.CANCELED),
            ("Cancelled", "0.0004", OrdStatus.CANCELED, ExecType.CANCELED),
            ("Cancelled", "0.001", OrdStatus.FILLED, ExecType.ORDER_STATUS),
            ("PartiallyFilledCanceled", "0.0004", OrdStatus.CANCELED, ExecType.CANCELED),
            ("Deactivated", "0", OrdStatus.CANCELED, ExecType.CANCELED),
            ("Rejected", "0", OrdStatus.REJECTED, ExecType.REJECTED),
            ("Rejected", "0.0004", OrdStatus.CANCELED, ExecType.CANCELED),
        ],
    )
    def test_final_and_quantity_decide_not_the_word(
        self, word: str, cum_qty: str, status: OrdStatus, exec_type: ExecType
    ) -> None:
        got = order(orderStatus=word, cumExecQty=cum_qty)
        assert (got.ord_status, got.exec_type, got.cum_qty) == (status, exec_type, D(cum_qty))
        assert got.leaves_qty == (ZERO if status.is_final else D("0.001") - D(cum_qty))

    def test_post_only_that_would_have_taken_is_a_reject(self) -> None:
        got = order(orderStatus="Cancelled", rejectReason="EC_PostOnlyWillTakeLiquidity", cancelType="CancelByUser")
        assert (got.exec_type, got.ord_status) == (ExecType.REJECTED, OrdStatus.REJECTED)
        assert got.text == "EC_PostOnlyWillTakeLiquidity"

    def test_the_second_filled_after_a_cancel_that_came_too_late(self) -> None:
        filled: dict[str, Any] = {"orderStatus": "Filled", "cumExecQty": "0.001", "cumExecValue": "60"}
        first = order(**filled)
        second = order(cancelType="CancelByUser", rejectReason="EC_OrigClOrdIDDoesNotExist", **filled)
        assert (first.ord_status, first.cum_quote) == (second.ord_status, second.cum_quote) == (OrdStatus.FILLED, D(60))
        assert (first.text, second.text) == ("", "EC_OrigClOrdIDDoesNotExist")

    @pytest.mark.parametrize("word", ["CancelBySmp", "CancelByPrepareLiq", "CancelByDCP", "OfNextYear"])
    def test_why_it_was_canceled_is_text(self, word: str) -> None:
        assert order(orderStatus="Cancelled", cancelType=word).text == word

    def test_values_that_are_not_there(self) -> None:
        got = order(price="", qty="", cumExecQty="", cumExecValue="", updatedTime="")
        assert (got.price, got.order_qty, got.cum_qty, got.cum_quote) == (None, ZERO, ZERO, ZERO)
        assert got.transact_ns == 1767225600135 * MS

    @pytest.mark.parametrize("group", ["0", 0])
    def test_smp_group_in_both_its_types(self, group: object) -> None:
        assert order(smpGroup=group) == order()

    def test_a_market_order_shows_no_price(self) -> None:
        got = order(orderType="Market", price="63000", orderStatus="PartiallyFilled", cumExecQty="0.0004")
        assert (got.ord_type, got.price) == (OrdType.MARKET, None)

    @pytest.mark.parametrize(
        "kind, direction, side, order_type, ord_type",
        [
            ("", 0, "Buy", "Limit", OrdType.LIMIT),
            ("UNKNOWN", 0, "Buy", "Market", OrdType.MARKET),
            ("Stop", 1, "Buy", "Market", OrdType.STOP),
            ("Stop", 1, "Sell", "Market", OrdType.TAKE_PROFIT),
            ("Stop", 2, "Sell", "Limit", OrdType.STOP_LIMIT),
            ("Stop", 2, "Buy", "Limit", OrdType.TAKE_PROFIT_LIMIT),
            ("Stop", 0, "Buy", "Limit", OrdType.STOP_LIMIT),
            ("TakeProfit", 1, "Sell", "Market", OrdType.TAKE_PROFIT),
            ("PartialTakeProfit", 0, "Buy", "Limit", OrdType.TAKE_PROFIT_LIMIT),
            ("StopLoss", 2, "Sell", "Market", OrdType.STOP),
            ("PartialStopLoss", 1, "Sell", "Limit", OrdType.STOP_LIMIT),
            ("TrailingStop", 0, "Sell", "Market", OrdType.TRAILING_STOP),
            ("OfNextYear", 2, "Sell", "Market", OrdType.STOP),
        ],
    )
    def test_conditional_orders(self, kind: str, direction: int, side: str, order_type: str, ord_type: OrdType) -> None:
        got = order(stopOrderType=kind, triggerDirection=direction, side=side, orderType=order_type)
        assert got.ord_type is ord_type

    @pytest.mark.parametrize(
        "side, unit, is_base",
        [("Buy", "baseCoin", True), ("Buy", "quoteCoin", False), ("Buy", None, False), ("Sell", None, True),
         ("Sell", "baseCoin", True), ("Sell", "quoteCoin", False)],
    )  # fmt: skip
    def test_a_quantity_of_quote_is_not_taken_for_one_of_base(self, side: str, unit: str | None, is_base: bool) -> None:
        """0 is "not said": the account knows what it ordered."""
        got = order(SPOT, orderType="Market", side=side, qty="60", marketUnit=unit, cumExecQty="0.001")
        assert got.order_qty == (D(60) if is_base else ZERO)
        assert got.cum_qty == D("0.001")

    def test_the_categorised_topic_says_the_same(self) -> None:
        assert events(pushed("order.linear", order_row(category=None))) == [order()]


class TestFills:
    def test_a_fill(self) -> None:
        got = fill()
        assert (got.cl_ord_id, got.order_id, got.symbol, got.venue) == (CL_ORD_ID, ORDER_ID, SYMBOL, VENUE)
        assert (got.exec_type, got.ord_status) == (ExecType.TRADE, OrdStatus.PARTIALLY_FILLED)
        assert (got.last_qty, got.last_px, got.order_qty, got.cum_qty) == (
            D("0.0004"),
            D(59999),
            D("0.001"),
            D("0.0004"),
        )
        assert (got.trade_id, got.exec_id, got.fee, got.fee_asset) == ("e-1", "e-1", D("0.0048"), "USDT")
        assert (got.liquidity, got.side, got.price) == (Liquidity.MAKER, Side.BUY, D(60000))
        assert (got.transact_ns, got.received_ns) == (1767225600200 * MS, RECEIVED_NS)

    def test_the_last_fill(self) -> None:
        got = fill(leavesQty="0", isMaker=False)
        assert (got.ord_status, got.cum_qty, got.liquidity) == (OrdStatus.FILLED, D("0.001"), Liquidity.TAKER)

    def test_a_rebate_is_a_negative_fee(self) -> None:
        assert fill(execFee="-0.0012").fee == D("-0.0012")

    @pytest.mark.parametrize(
        "product, symbol, currency, asset",
        [(LINEAR, "BTCUSDT", "", "USDT"), (LINEAR, "BTCPERP", None, "USDC"), (LINEAR, "BTC-26DEC25", "", "USDC"),
         (SPOT, "BTCUSDT", "BTC", "BTC"), (SPOT, "BTCUSDT", "", "")],
    )  # fmt: skip
    def test_the_fees_coin(self, product: Product, symbol: str, currency: str | None, asset: str) -> None:
        assert fill(product, symbol=symbol, feeCurrency=currency).fee_asset == asset

    def test_a_spot_market_buy_says_no_quantities_of_its_order(self) -> None:
        got = fill(SPOT, orderType="Market", orderQty="60", leavesQty="36")
        assert (got.order_qty, got.cum_qty, got.ord_status) == (ZERO, ZERO, OrdStatus.PARTIALLY_FILLED)

    @pytest.mark.parametrize("word", ["AdlTrade", "BustTrade", "BlockTrade", "MovePosition", "Delivery"])
    def test_what_moves_a_position_is_a_fill_whoever_did_it(self, word: str) -> None:
        got = fill(execType=word, orderLinkId="")
        assert (got.exec_type, got.text, got.cl_ord_id, got.last_qty) == (ExecType.TRADE, word, "", D("0.0004"))

    @pytest.mark.parametrize("word", ["Funding", "Settle"])
    def test_what_moves_money_alone_is_no_fill(self, word: str) -> None:
        assert events(pushed("execution", execution_row(execType=word), execution_row())) == [fill()]

    @pytest.mark.parametrize("word", ["CorporateAction", "OfNextYear"])
    def test_what_a_person_has_to_look_at(self, word: str) -> None:
        (event,) = events(pushed("execution", execution_row(execType=word)))
        assert isinstance(event, UnrecognizedMessage)
        assert [(what.field, what.raw) for what in event.what] == [("execType", word)]


class TestWallet:
    def test_contracts_tie_up_margin(self) -> None:
        (event,) = events(pushed("wallet", wallet_row(coin_row())))
        at_ns = 1767225600140 * MS
        balance = Balance(ACCOUNT, VENUE, "USDT", D(9988), D(12), at_ns, "bybit-unified")
        assert event == BalancesChanged(ACCOUNT, VENUE, (balance,), False, at_ns)

    def test_spot_orders_lock(self) -> None:
        (event,) = events(pushed("wallet", wallet_row(coin_row(locked="90"), coin_row(coin="BTC"))), SPOT)
        assert isinstance(event, BalancesChanged)
        assert [(one.asset, one.free, one.locked) for one in event.balances] == [
            ("USDT", D(9910), D(90)),
            ("BTC", D(10000), ZERO),
        ]

    def test_margin_beyond_the_coin_locks_all_of_it(self) -> None:
        """Other coins stand in for it; a negative free amount would be no amount."""
        (event,) = events(pushed("wallet", wallet_row(coin_row(walletBalance="10", totalOrderIM="80"))))
        assert isinstance(event, BalancesChanged)
        assert (event.balances[0].free, event.balances[0].locked) == (ZERO, D(10))

    def test_a_debt(self) -> None:
        (event,) = events(pushed("wallet", wallet_row(coin_row(walletBalance="-3", totalOrderIM="", locked=""))))
        assert isinstance(event, BalancesChanged)
        assert (event.balances[0].free, event.balances[0].total) == (D(-3), D(-3))

    def test_other_kinds_of_account_are_not_ours(self) -> None:
        assert events(pushed("wallet", wallet_row(coin_row(), accountType="FUND"))) == []


class TestPositions:
    @pytest.mark.parametrize(
        "changes, qty, leg",
        [
            ({}, "0.0004", None),
            ({"side": "Sell"}, "-0.0004", None),
            ({"side": "", "size": "0"}, "0", None),
            ({"side": "Buy", "positionIdx": 1}, "0.0004", Side.BUY),
            ({"side": "Sell", "positionIdx": 2}, "-0.0004", Side.SELL),
            ({"side": "", "size": "0", "positionIdx": 2}, "0", Side.SELL),
        ],
    )
    def test_signed_and_by_leg(self, changes: dict[str, Any], qty: str, leg: Side | None) -> None:
        (event,) = events(pushed("position", position_row(**changes)))
        assert event == VenuePosition(
            ACCOUNT, VENUE, SYMBOL, leg, D(qty), D(60000), D(60010), ZERO, D(5), D("0.004"), 1767225600201 * MS
        )

    def test_a_size_without_a_side_is_refused(self) -> None:
        with pytest.raises(RemoteProtocolError, match="no side"):
            events(pushed("position", position_row(side="")))

    def test_portfolio_margin_leaves_values_out(self) -> None:
        (event,) = events(pushed("position", position_row(leverage="", liqPrice="", unrealisedPnl="")))
        assert isinstance(event, VenuePosition)
        assert (event.leverage, event.unrealized) == (ZERO, ZERO)


class TestPrivateFrames:
    def test_rows_of_other_products_are_anothers(self) -> None:
        """The socket serves all products; what another product's rows hold costs us nothing."""
        rows = [
            order_row(category="spot"),
            order_row(category="option", side="?", qty="x"),
            order_row(category="inverse"),
        ]
        assert events(pushed("order", *rows)) == []
        (event,) = events(pushed("order", *rows), SPOT)
        assert isinstance(event, ExecutionReport)
        assert event.venue == VENUES[SPOT]
        assert events(pushed("position", position_row(category="inverse"))) == []

    @pytest.mark.parametrize("category", ["moon", None])
    def test_rows_of_no_product_that_we_know_are_kept(self, category: str | None) -> None:
        (event,) = events(pushed("order", order_row(category=category)))
        assert isinstance(event, UnrecognizedMessage)
        assert event.what[0].field == "category"

    @pytest.mark.parametrize("changes", [{"orderStatus": "OfNextYear"}, {"side": "Both"}, {"orderType": "Wish"}])
    def test_unknown_words_are_kept_and_cost_their_neighbours_nothing(self, changes: dict[str, str]) -> None:
        first, kept, last = events(pushed("order", order_row(), order_row(**changes), order_row()))
        assert first == last == order()
        assert isinstance(kept, UnrecognizedMessage)
        ((field, word),) = changes.items()
        assert [(what.field, what.raw) for what in kept.what] == [(field, word)]
        assert msgspec.json.decode(kept.raw)[field] == word

    def test_an_unknown_leg_is_kept(self) -> None:
        (kept,) = events(pushed("position", position_row(positionIdx=3)))
        assert isinstance(kept, UnrecognizedMessage)

    @pytest.mark.parametrize("topic", ["greeks", "execution.fast", "execution.fast.linear", "dcp.future", "order.moon"])
    def test_other_topics_are_kept(self, topic: str) -> None:
        (event,) = events(pushed(topic, {"category": "linear"}))
        assert isinstance(event, UnrecognizedMessage)
        assert [(what.field, what.raw) for what in event.what] == [("topic", topic)]

    @pytest.mark.parametrize(
        "changes",
        [{"qty": "NaN"}, {"qty": "-1"}, {"qty": "1e99"}, {"symbol": ""}, {"orderId": 5}, {"updatedTime": "soon"},
         {"updatedTime": "9" * 20}, {"cumExecQty": None, "orderId": None}],
    )  # fmt: skip
    def test_an_order_that_cannot_be_read_is_refused(self, changes: dict[str, Any]) -> None:
        with pytest.raises(RemoteProtocolError):
            events(pushed("order", order_row(**changes)))

    @pytest.mark.parametrize(
        "raw", [b"", b"{", b"[]", b"7", b"{}", b'{"topic":"order"}', b'{"topic":"order","data":{}}']
    )
    def test_garbage_is_refused(self, raw: bytes) -> None:
        with pytest.raises(RemoteProtocolError):
            events(raw)


class TestControlFrames:
    """The private socket says `success`, the trade socket `retCode`; neither need repeat the id."""

    @pytest.mark.parametrize(
        "frame",
        [
            {"success": True, "ret_msg": "", "op": "auth", "conn_id": "c1"},
            {"success": True, "ret_msg": "", "op": "auth", "conn_id": "c1", "req_id": "l1"},
            {"retCode": 0, "retMsg": "OK", "op": "auth", "connId": "c2"},
            {"reqId": "l1", "retCode": 0, "retMsg": "OK", "op": "auth", "connId": "c2"},
            {"retCode": 20001, "retMsg": "already", "op": "auth", "connId": "c2"},
            {"op": "auth", "success": True, "retCode": 0, "retMsg": "", "connId": "c3"},
        ],
    )
    def test_logon(self, frame: dict[str, Any]) -> None:
        private = codec()
        private.logon("l1", STAMP_NS)
        raw = msgspec.json.encode(frame)
        assert list(private.decode_private(raw, RECEIVED_NS)) == [Reply("l1", payload={"op": "auth"})]
        assert list(private.decode_entry(raw, RECEIVED_NS)) == [Reply("l1", payload={"op": "auth"})]

    @pytest.mark.parametrize(
        "frame, disposition",
        [
            ({"op": "auth", "success": False, "retCode": 10003, "retMsg": "Invalid apikey"}, Disposition.AUTH),
            ({"op": "auth", "success": False, "ret_msg": "error:signature"}, Disposition.AUTH),
            ({"op": "auth", "success": False, "ret_msg": "request expired"}, Disposition.CLOCK),
            ({"op": "auth", "retCode": 10004, "retMsg": "Invalid sign", "connId": "c"}, Disposition.AUTH),
            ({"op": "auth", "retCode": 10001, "retMsg": "Param error", "connId": "c"}, Disposition.BUG),
        ],
    )
    def test_a_refused_logon(self, frame: dict[str, Any], disposition: Disposition) -> None:
        private = codec()
        private.logon("l1", STAMP_NS)
        for decode in (private.decode_private, private.decode_entry):
            (answered,) = decode(msgspec.json.encode(frame), RECEIVED_NS)
            assert isinstance(answered, Reply)
            assert answered.error is not None
            assert (answered.request_id, answered.error.disposition) == ("l1", disposition)

    def test_subscription(self) -> None:
        private = codec()
        private.subscribe_private("s1", STAMP_NS, logged_on=True)
        for frame in (
            {"success": True, "ret_msg": "", "op": "subscribe", "conn_id": "x"},
            {"success": True, "ret_msg": "subscribe", "op": "subscribe", "conn_id": "x", "req_id": "s1"},
        ):
            (answered,) = private.decode_private(msgspec.json.encode(frame), RECEIVED_NS)
            assert answered == Reply("s1", payload={"op": "subscribe"})

    def test_pongs(self) -> None:
        for frame in (
            {"req_id": "p1", "op": "pong", "args": ["1767225600300"], "conn_id": "x"},
            {"reqId": "p1", "retCode": 0, "retMsg": "OK", "op": "pong", "data": ["1767225600300"], "connId": "c2-1"},
        ):
            raw = msgspec.json.encode(frame)
            pong = [Reply("p1", payload={"pong": True})]
            assert list(CODEC.decode_private(raw, RECEIVED_NS)) == list(CODEC.decode_entry(raw, RECEIVED_NS)) == pong


# ---- the trade socket ----------------------------------------------------------------------------------------------


def entry(raw: bytes, product: Product = LINEAR) -> Reply:
    (event,) = codec(product).decode_entry(raw, RECEIVED_NS)
    assert isinstance(event, Reply)
    return event


class TestTradeSocket:
    @pytest.mark.parametrize("op", ["order.create", "order.amend", "order.cancel"])
    def test_an_acknowledgement_says_no_state(self, op: str) -> None:
        got = entry(answer(acked(), op))
        assert got.request_id == "p1"
        assert got.report == OrderState(
            CL_ORD_ID, OrderID(ORDER_ID), Symbol(""), None, (), transact_ns=1767225600201 * MS
        )
        bucket = {"order.create": "orders", "order.amend": "amends", "order.cancel": "cancels"}[op]
        assert got.usage == (Usage(bucket, SECOND, 1),)

    def test_without_header(self) -> None:
        got = entry(answer(acked(), header={}))
        assert got.report is not None
        assert (got.report.transact_ns, got.usage) == (0, ())

    def test_a_refusal(self) -> None:
        error = entry(answer({}, retCode=110007, retMsg="ab not enough for new order")).error
        assert error is not None
        assert (error.disposition, error.reason) == (Disposition.REJECTED, OrdRejReason.INSUFFICIENT_BALANCE)

    def test_an_empty_bucket_refills_at_the_time_stated(self) -> None:
        got = entry(answer({}, retCode=10006, retMsg="Too many visits", header=HEADER | {"X-Bapi-Limit-Status": "0"}))
        assert got.error is not None
        assert got.error.until_ns == RECEIVED_NS + 699 * MS
        assert got.usage == (Usage("orders", SECOND, 10),)

    def test_an_internal_error_leaves_the_order_in_doubt(self) -> None:
        error = entry(answer({}, retCode=10016, retMsg="Internal error")).error
        assert error is not None
        assert error.disposition is Disposition.UNKNOWN

    def test_a_restarting_service_wants_another_connection(self) -> None:
        ended, answered = CODEC.decode_entry(answer({}, retCode=10019, retMsg="restarting"), RECEIVED_NS)
        assert isinstance(ended, StreamTerminated)
        assert isinstance(answered, Reply)
        assert answered.error is not None
        assert answered.error.disposition is Disposition.UNKNOWN

    @pytest.mark.parametrize(
        "data", [{}, [], None, {"orderId": 5}, {"orderId": ""}, "text", {"list": [{"orderId": 7}]}]
    )
    def test_a_success_that_cannot_be_read_leaves_the_order_in_doubt(self, data: object) -> None:
        error = entry(answer(data)).error
        assert error is not None
        assert error.disposition is Disposition.UNKNOWN

    @pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"{}", b'{"op":"order.create"}', answer({}, retCode="0")])
    def test_what_answers_nothing_is_refused(self, raw: bytes) -> None:
        with pytest.raises(RemoteProtocolError):
            CODEC.decode_entry(raw, RECEIVED_NS)


ITEMS = [
    {
        "category": "linear",
        "symbol": "BTCUSDT",
        "orderId": "7e0a-1",
        "orderLinkId": "bh-1",
        "createAt": "1767225600400",
    },
    {"category": "linear", "symbol": "BTCUSDT", "orderId": "", "orderLinkId": "bh-2", "createAt": ""},
]
OUTCOMES = {"list": [{"code": 0, "msg": "OK"}, {"code": 10001, "msg": "position idx not match position mode"}]}


class TestBatches:
    def test_each_member_has_its_own_answer(self) -> None:
        by_socket = entry(answer({"list": ITEMS}, "order.create-batch", retExtInfo=OUTCOMES))
        by_rest = CODEC.decode_rest_order("p1", reply(envelope({"list": ITEMS}, retExtInfo=OUTCOMES)))
        for got in (by_socket, by_rest):
            assert (got.payload, got.error, got.report) == ({"orders": 2}, None, None)
            first, second = got.parts
            assert first.report is not None
            assert (first.report.cl_ord_id, first.report.order_id, first.report.symbol) == ("bh-1", "7e0a-1", SYMBOL)
            assert second.error is not None
            assert (second.error.disposition, second.error.code) == (Disposition.BUG, "10001")

    def test_members_are_judged_like_single_orders(self) -> None:
        outcomes = {"list": [{"code": 170213, "msg": "Order does not exist."}, {"code": 10016, "msg": ""}]}
        got = entry(answer({"list": ITEMS}, "order.cancel-batch", retExtInfo=outcomes), SPOT)
        assert [part.error.disposition for part in got.parts if part.error] == [
            Disposition.NOT_FOUND,
            Disposition.UNKNOWN,
        ]

    def test_outcomes_that_do_not_pair_leave_all_in_doubt(self) -> None:
        got = entry(answer({"list": ITEMS[:1]}, "order.create-batch", retExtInfo=OUTCOMES))
        assert got.error is not None
        assert got.error.disposition is Disposition.UNKNOWN
        assert got.parts == ()

    def test_a_refused_batch(self) -> None:
        got = entry(answer({}, "order.create-batch", retCode=10006, retMsg="Too many visits"))
        assert got.error is not None
        assert got.error.disposition is Disposition.RATE_LIMITED


class TestRestOrders:
    def test_an_acknowledgement(self) -> None:
        got = CODEC.decode_rest_order("p1", reply(envelope(acked())))
        assert got == Reply(
            "p1", report=OrderState(CL_ORD_ID, OrderID(ORDER_ID), Symbol(""), None, (), 1767225600456 * MS)
        )

    def test_a_mass_cancel_counts(self) -> None:
        rows = [{"orderId": "1", "orderLinkId": "a"}, {"orderId": "2", "orderLinkId": ""}]
        assert CODEC.decode_rest_order("p1", reply(envelope({"list": rows, "success": "1"}))).payload == {"orders": 2}
        assert CODEC.decode_rest_order("p1", reply(envelope({"list": [], "success": "1"}))).payload == {"orders": 0}
        unfinished = CODEC.decode_rest_order("p1", reply(envelope({"list": [], "success": "0"}))).error
        assert unfinished is not None
        assert unfinished.disposition is Disposition.BUSY

    @pytest.mark.parametrize(
        "status, body, disposition",
        [
            (200, refused(170131), Disposition.REJECTED),
            (200, refused(110001), Disposition.NOT_FOUND),
            (200, refused(110008), Disposition.ALREADY_FINAL),
            (200, refused(10002), Disposition.CLOCK),
            (200, refused(10003), Disposition.AUTH),
            (200, refused(10006), Disposition.RATE_LIMITED),
            (200, refused(10016), Disposition.UNKNOWN),
            (200, refused(110072), Disposition.UNKNOWN),
            (403, b"access too frequent", Disposition.BANNED),
            (500, b"", Disposition.UNKNOWN),
            (502, b"<html>", Disposition.UNKNOWN),
            (504, b"", Disposition.UNKNOWN),
        ],
    )
    def test_refusals(self, status: int, body: Any, disposition: Disposition) -> None:
        got = CODEC.decode_rest_order("p1", reply(body, status))
        assert got.error is not None
        assert got.error.disposition is disposition
        assert CODEC.error(reply(body, status)) == got.error

    @pytest.mark.parametrize(
        "body", [b"", b"{", b"{}", b"[1]", b"null", b'{"retCode":0}', b'{"retCode":0,"result":{}}', b'{"retCode":"0"}']
    )
    def test_a_success_that_cannot_be_read_is_unknown(self, body: bytes) -> None:
        got = CODEC.decode_rest_order("p1", reply(body))
        assert got.error is not None
        assert got.error.disposition is Disposition.UNKNOWN


class TestQueries:
    def test_order_status(self) -> None:
        row = order_row(category=None, orderStatus="Cancelled", cumExecQty="0.0004")
        got = CODEC.decode_order_status(reply(listed(row)))
        assert isinstance(got, ExecutionReport)
        assert (got.exec_type, got.ord_status, got.cum_qty) == (
            ExecType.ORDER_STATUS,
            OrdStatus.CANCELED,
            D("0.0004"),
        )
        assert got.cl_ord_id == CL_ORD_ID

    def test_nothing_found_is_a_value(self) -> None:
        got = CODEC.decode_order_status(reply(listed()))
        assert isinstance(got, VenueError)
        assert got.disposition is Disposition.NOT_FOUND
        refusal = CODEC.decode_order_status(reply(refused(110001)))
        assert isinstance(refusal, VenueError)
        assert refusal.disposition is Disposition.NOT_FOUND

    def test_an_order_that_the_query_finds_after_an_unknown_create(self) -> None:
        """10016 on create, then the order is there under our id: it is one order, not two."""
        error = CODEC.decode_rest_order("p1", reply(refused(10016))).error
        assert error is not None
        assert error.disposition is Disposition.UNKNOWN
        found = CODEC.decode_order_status(reply(listed(order_row(category=None))))
        assert isinstance(found, ExecutionReport)
        assert found.cl_ord_id == CL_ORD_ID

    def test_open_orders_leave_out_what_has_ended(self) -> None:
        rows = [order_row(), order_row(orderId="2", orderStatus="Filled", cumExecQty="0.001"), order_row(orderId="3")]
        got = CODEC.decode_open_orders(reply(listed(*rows)))
        assert [(one.order_id, one.exec_type) for one in got] == [
            (ORDER_ID, ExecType.ORDER_STATUS),
            ("3", ExecType.ORDER_STATUS),
        ]

    def test_fills_are_oldest_first_and_without_funding(self) -> None:
        rows = [
            execution_row(execId="e-3", execTime="1767225600300"),
            execution_row(execId="f", execType="Funding", execTime="1767225600250"),
            execution_row(execId="e-2", execTime="1767225600200", seq=2),
            execution_row(execId="e-1", execTime="1767225600200", seq=1),
            execution_row(execId="c", execType="CorporateAction"),
        ]
        got = CODEC.decode_fills(SYMBOL, reply(listed(*rows)))
        assert [one.trade_id for one in got] == ["e-1", "e-2", "e-3"]
        assert {one.exec_type for one in got} == {ExecType.TRADE}

    def test_balances(self) -> None:
        got = CODEC.decode_balances(reply(envelope({"list": [wallet_row(coin_row())]})))
        assert got == (Balance(ACCOUNT, VENUE, "USDT", D(9988), D(12), 1767225600456 * MS, "bybit-unified"),)

    def test_positions(self) -> None:
        row = position_row(category="linear") | {"avgPrice": "61000"}
        del row["entryPrice"]
        (got,) = CODEC.decode_positions(reply(listed(row)))
        assert (got.qty, got.entry_px) == (D("0.0004"), D(61000))
        with pytest.raises(RemoteProtocolError, match="positionIdx"):
            CODEC.decode_positions(reply(listed(position_row(positionIdx=9))))

    @pytest.mark.parametrize("changes", [{"orderStatus": "OfNextYear"}, {"orderType": "Wish"}, {"side": "Both"}])
    def test_an_order_in_unknown_words_is_refused_loudly(self, changes: dict[str, str]) -> None:
        (word,) = changes.values()
        for read in (CODEC.decode_order_status, CODEC.decode_open_orders):
            with pytest.raises(RemoteProtocolError, match=word):
                read(reply(listed(order_row(**changes))))

    def test_a_fill_in_unknown_words_is_refused_loudly(self) -> None:
        with pytest.raises(RemoteProtocolError, match="OfNextYear"):
            CODEC.decode_fills(SYMBOL, reply(listed(execution_row(execType="OfNextYear"))))

    @pytest.mark.parametrize("status", [200, 400, 500])
    @pytest.mark.parametrize(
        "body", [b"", b"{", b"7", b'"x"', b'{"retCode":0}', b'{"retCode":0,"result":{"list":[1]}}']
    )
    def test_answers_that_cannot_be_read_are_refused(self, body: bytes, status: int) -> None:
        bad = reply(body, status)
        for read in (CODEC.decode_open_orders, CODEC.decode_balances, CODEC.decode_positions):
            with pytest.raises(RemoteProtocolError):
                read(bad)
        with pytest.raises(RemoteProtocolError):
            CODEC.decode_fills(SYMBOL, bad)

    @pytest.mark.parametrize("body", [b"", b"{", b'{"retCode":0}', b'{"retCode":10006}'])
    def test_nothing_continues_what_is_no_page(self, body: bytes) -> None:
        with pytest.raises(RemoteProtocolError):
            CODEC.continuation(CODEC.open_orders_request(None, STAMP_NS), reply(body), STAMP_NS)

    def test_no_order_of_ours_is_ever_renamed(self) -> None:
        assert CODEC.other_names(ClOrdID("a")) == ()
        assert CODEC.usage(reply(envelope({}), headers=HEADER)) == ()


@pytest.mark.parametrize(
    "legs, hedge",
    [((0,), False), ((1, 2), True), ((1,), True), ((), None)],
)
def test_the_position_mode_of_a_symbol(legs: tuple[int, ...], hedge: bool | None) -> None:
    """A flat symbol has its rows too: one, or one for each leg (section 10)."""
    rows = [position_row(positionIdx=leg, side="", size="0") for leg in legs]
    assert codec().decode_position_mode_of(reply(listed(*rows))) is hedge


@pytest.mark.parametrize("status, fits", [(1, False), (3, True), (4, True), (5, True), (6, True), (7, True)])
def test_a_classic_account_is_refused(status: int, fits: bool) -> None:
    said = codec().decode_account_kind(reply(envelope({"unifiedMarginStatus": status, "marginMode": "REGULAR_MARGIN"})))
    assert said == "" if fits else "classic" in said
