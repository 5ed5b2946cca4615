"""User data, replies and queries: each shape of the reference, and the shapes of its fake-venue list (section 20)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

import msgspec
import pytest

from protocols.base import Message
from protocols.enums import ExecType, Liquidity, OrdRejReason, OrdStatus, OrdType, Side
from protocols.errors import RemoteProtocolError
from protocols.ids import OrderID, StrategyID, TradeID
from protocols.orders import ExecutionReport
from protocols.positions import Balance, BalancesChanged
from protocols.venue import Disposition, OrderState, Reply, StreamTerminated, UnrecognizedMessage, Usage, VenueError
from protocols.venues.binance_spot import VENUE
from tests.protocols.binance_spot.frames import (
    ACCOUNT,
    CL_ORD_ID,
    NOTHING_TRADED,
    RATE_LIMITS,
    RECEIVED_NS,
    SYMBOL,
    amended,
    answer,
    canceled,
    codec,
    execution_report,
    failure,
    order_row,
    placed,
    reply,
    user_data,
)

D = Decimal
ZERO = D(0)
MS = 1_000_000
SECOND = 1_000_000_000
CODEC = codec()


def decode(raw: bytes) -> Reply | Message:
    """By a codec that has seen nothing else."""
    private = codec()
    (event,) = private.decode_private(raw, RECEIVED_NS)
    assert private.decode_entry(raw, RECEIVED_NS) == (event,)
    return event


def report(**changes: Any) -> ExecutionReport:
    event = decode(execution_report(**changes))
    assert isinstance(event, ExecutionReport)
    return event


def state(raw: bytes) -> OrderState:
    event = decode(raw)
    assert isinstance(event, Reply)
    assert event.report is not None
    assert event.error is None
    assert event.payload is None
    return event.report


def refusal(raw: bytes) -> VenueError:
    event = decode(raw)
    assert isinstance(event, Reply)
    assert event.error is not None
    assert event.report is None
    assert event.payload is None
    return event.error


class TestExecutionReport:
    def test_a_fill_in_every_field(self) -> None:
        assert report() == ExecutionReport(
            cl_ord_id=CL_ORD_ID,
            order_id=OrderID("9001"),
            account=ACCOUNT,
            strategy=StrategyID(""),
            venue=VENUE,
            symbol=SYMBOL,
            side=Side.BUY,
            exec_type=ExecType.TRADE,
            ord_status=OrdStatus.PARTIALLY_FILLED,
            order_qty=D("0.001"),
            cum_qty=D("0.0004"),
            transact_ns=1790000000012 * MS,
            received_ns=RECEIVED_NS,
            ord_type=OrdType.LIMIT,
            price=D(90000),
            last_qty=D("0.0004"),
            last_px=D(90000),
            cum_quote=D(36),
            trade_id=TradeID("5551"),
            fee=D("0.0000004"),
            fee_asset="BTC",
            liquidity=Liquidity.MAKER,
            exec_id="18001",
            text="",
        )

    def test_text_frames_decode_like_bytes(self) -> None:
        raw = execution_report()
        assert CODEC.decode_private(raw.decode(), RECEIVED_NS) == CODEC.decode_private(raw, RECEIVED_NS)

    @pytest.mark.parametrize(
        "x, X, exec_type, ord_status",
        [
            ("NEW", "NEW", ExecType.NEW, OrdStatus.NEW),
            ("NEW", "PENDING_NEW", ExecType.NEW, OrdStatus.PENDING_NEW),
            ("CANCELED", "CANCELED", ExecType.CANCELED, OrdStatus.CANCELED),
            ("CANCELED", "PENDING_CANCEL", ExecType.CANCELED, OrdStatus.PENDING_CANCEL),
            ("REPLACED", "NEW", ExecType.REPLACED, OrdStatus.NEW),
            ("REJECTED", "REJECTED", ExecType.REJECTED, OrdStatus.REJECTED),
            ("EXPIRED", "EXPIRED", ExecType.EXPIRED, OrdStatus.EXPIRED),
            ("TRADE_PREVENTION", "PARTIALLY_FILLED", ExecType.RESTATED, OrdStatus.PARTIALLY_FILLED),
            ("TRADE_PREVENTION", "EXPIRED_IN_MATCH", ExecType.EXPIRED, OrdStatus.EXPIRED),
        ],
    )
    def test_what_is_no_trade_has_no_fill(self, x: str, X: str, exec_type: ExecType, ord_status: OrdStatus) -> None:
        # the venue repeats nothing of the last fill, but even if it did, only TRADE is a fill
        for last in (NOTHING_TRADED, {}):
            got = report(x=x, X=X, **last)
            assert (got.exec_type, got.ord_status) == (exec_type, ord_status)
            assert (got.last_qty, got.last_px, got.fee, got.fee_asset) == (ZERO, ZERO, ZERO, "")
            assert got.trade_id is None
            assert got.liquidity is Liquidity.UNKNOWN
            assert got.cum_qty == D("0.0004")

    def test_filled_as_taker_with_a_fee_in_another_asset(self) -> None:
        got = report(X="FILLED", z="0.00100000", l="0.00060000", m=False, n="0.00001", N="BNB")
        assert (got.ord_status, got.liquidity, got.fee_asset) == (OrdStatus.FILLED, Liquidity.TAKER, "BNB")
        assert got.leaves_qty == 0

    def test_a_fill_without_trade_id_or_fee(self) -> None:
        raw = execution_report(t=-1, I=-1).replace(b'"n":"0.00000040"', b'"n":null')
        (got,) = CODEC.decode_private(raw, RECEIVED_NS)
        assert isinstance(got, ExecutionReport)
        assert (got.exec_type, got.last_qty, got.fee) == (ExecType.TRADE, D("0.0004"), ZERO)
        assert got.trade_id is None
        assert got.exec_id == ""

    def test_a_rebate_is_a_negative_fee(self) -> None:
        assert report(n="-0.00000010").fee == D("-0.0000001")

    def test_a_cancel_renames_and_the_original_is_recovered(self) -> None:
        got = report(x="CANCELED", X="CANCELED", c="somethingRandom", C=CL_ORD_ID, **NOTHING_TRADED)
        assert got.cl_ord_id == CL_ORD_ID
        assert (got.cum_qty, got.leaves_qty) == (D("0.0004"), ZERO)

    def test_an_original_that_is_the_word_null_is_none(self) -> None:
        assert report(C="null").cl_ord_id == CL_ORD_ID

    def test_an_amend_without_original_keeps_its_name(self) -> None:
        got = report(x="REPLACED", X="NEW", q="0.00050000", z="0.00000000", **NOTHING_TRADED)
        assert (got.cl_ord_id, got.order_qty, got.leaves_qty) == (CL_ORD_ID, D("0.0005"), D("0.0005"))

    def test_self_trade_prevention_consumes_quantity_without_a_fill(self) -> None:
        got = report(
            x="TRADE_PREVENTION", A="0.00030000", B="0.00030000", pl="0.00030000", pL="90000.0", pY="27.0",
            v=12, U=77, u=1, Cs="BTCUSDT", **NOTHING_TRADED,
        )  # fmt: skip
        assert (got.exec_type, got.last_qty, got.cum_qty) == (ExecType.RESTATED, ZERO, D("0.0004"))
        assert (got.order_qty, got.leaves_qty) == (D("0.0007"), D("0.0003"))
        assert got.text == "self-trade prevention"

    def test_a_fill_after_prevention_keeps_leaves_right(self) -> None:
        got = report(A="0.00030000")
        assert (got.last_qty, got.leaves_qty) == (D("0.0004"), D("0.0003"))

    def test_later_events_need_not_repeat_what_was_prevented(self) -> None:
        """DECREMENT and TRANSFER leave an order alive; only events of the prevention itself are sure to say `A`."""
        private = codec()

        def leaves(**changes: Any) -> Decimal:
            (event,) = private.decode_private(execution_report(**changes), RECEIVED_NS)
            assert isinstance(event, ExecutionReport)
            return event.order_qty - event.cum_qty

        assert leaves(z="0.00000000", x="NEW", X="NEW", **NOTHING_TRADED) == D("0.001")
        assert leaves(x="TRADE_PREVENTION", X="NEW", A="0.0003", z="0.00000000", **NOTHING_TRADED) == D("0.0007")
        assert leaves(l="0.0002", z="0.0002") == D("0.0005")
        assert leaves(i=9002, l="0.0002", z="0.0002") == D("0.0008")
        assert leaves(x="TRADE_PREVENTION", A="0.0005", z="0.0002", **NOTHING_TRADED) == D("0.0003")
        assert leaves(l="0.0003", z="0.0005", X="FILLED") == ZERO

    OPTIONAL = (
        "C", "r", "eR", "t", "I", "Z", "n", "N", "m", "A", "w", "W", "O", "g", "P", "F", "f", "Y", "Q", "V", "d", "D",
        "j", "J", "v", "u", "U", "Cs", "pl", "pL", "pY", "k", "uS", "gP",
    )  # fmt: skip

    @pytest.mark.parametrize("key", OPTIONAL)
    def test_null_and_absent_say_the_same(self, key: str) -> None:
        """Fields that are shown only when they apply; some connections write null instead."""
        event = msgspec.json.decode(execution_report())["event"]
        absent = {name: value for name, value in event.items() if name != key}
        assert decode(user_data(absent | {key: None})) == decode(user_data(absent))

    @pytest.mark.parametrize("key", ["s", "S", "x", "X", "i", "T", "q", "p", "l", "z", "L"])
    def test_null_is_not_taken_for_a_number_or_a_name(self, key: str) -> None:
        event = msgspec.json.decode(execution_report())["event"]
        with pytest.raises(RemoteProtocolError):
            CODEC.decode_private(user_data(event | {key: None}), RECEIVED_NS)

    def test_a_trade_of_nothing_is_a_state_not_a_fill(self) -> None:
        got = report(l="0.00000000", L="0.00000000", t=12345678)
        assert (got.exec_type, got.last_qty) == (ExecType.ORDER_STATUS, ZERO)
        assert got.trade_id is None

    @pytest.mark.parametrize(
        "changes, text",
        [
            ({"x": "REJECTED", "X": "REJECTED", "r": "INSUFFICIENT_BALANCES"}, "INSUFFICIENT_BALANCES"),
            ({"x": "EXPIRED", "X": "EXPIRED", "eR": "UNFILLED_IOC_QUANTITY_EXPIRED"}, "UNFILLED_IOC_QUANTITY_EXPIRED"),
            ({"x": "REJECTED", "X": "REJECTED", "r": "SOMETHING_NEW"}, "SOMETHING_NEW"),
        ],
    )
    def test_reasons_are_kept_as_text(self, changes: dict[str, Any], text: str) -> None:
        assert report(**changes, **NOTHING_TRADED).text == text

    @pytest.mark.parametrize(
        "venue_type, ord_type",
        [
            ("LIMIT", OrdType.LIMIT),
            ("LIMIT_MAKER", OrdType.LIMIT),
            ("MARKET", OrdType.MARKET),
            ("STOP_LOSS", OrdType.STOP),
            ("STOP_LOSS_LIMIT", OrdType.STOP_LIMIT),
            ("TAKE_PROFIT", OrdType.TAKE_PROFIT),
            ("TAKE_PROFIT_LIMIT", OrdType.TAKE_PROFIT_LIMIT),
        ],
    )
    def test_types(self, venue_type: str, ord_type: OrdType) -> None:
        assert report(o=venue_type).ord_type is ord_type

    def test_a_market_order_has_no_price(self) -> None:
        assert report(o="MARKET", p="0.00000000").price is None

    def test_microseconds_are_told_by_their_size(self) -> None:
        assert report(T=1790000000012345).transact_ns == 1790000000012345 * 1000

    @pytest.mark.parametrize("key", ["x", "X", "S", "o"])
    def test_an_unknown_word_is_shown_not_guessed(self, key: str) -> None:
        event = decode(execution_report(**{key: "OF_NEXT_YEAR"}))
        assert isinstance(event, UnrecognizedMessage)
        assert f"{key}=OF_NEXT_YEAR" in event.what[0].raw
        assert "executionReport" in event.raw

    @pytest.mark.parametrize("key", ["s", "c", "S", "o", "x", "X", "i", "T", "q", "p", "l", "z", "L"])
    def test_a_missing_field_is_refused(self, key: str) -> None:
        with pytest.raises(RemoteProtocolError, match="frame refused"):
            CODEC.decode_private(execution_report(**{key: None}), RECEIVED_NS)

    @pytest.mark.parametrize("key", ["q", "p", "l", "z", "L", "n", "Z"])
    @pytest.mark.parametrize(
        "text", ["NaN", "sNaN", "Infinity", "-Infinity", "1e400", "1e20", "", "x", "1.2.3", "1" * 49, "1E-999999999"]
    )
    def test_numbers_that_are_none_are_refused(self, key: str, text: str) -> None:
        with pytest.raises(RemoteProtocolError):
            CODEC.decode_private(execution_report(**{key: text}), RECEIVED_NS)

    @pytest.mark.parametrize("key", ["q", "p", "l", "z", "L"])
    def test_negative_amounts_are_refused(self, key: str) -> None:
        with pytest.raises(RemoteProtocolError):
            CODEC.decode_private(execution_report(**{key: "-1"}), RECEIVED_NS)

    def test_a_turnover_that_is_not_available_is_zero(self) -> None:
        assert report(Z="-1.00000000").cum_quote == 0

    @pytest.mark.parametrize("changes", [{"T": -1}, {"T": 10**18}, {"i": -1}, {"i": 2**63}, {"i": "9001"}])
    def test_impossible_ids_and_times_are_refused(self, changes: dict[str, Any]) -> None:
        with pytest.raises(RemoteProtocolError):
            CODEC.decode_private(execution_report(**changes), RECEIVED_NS)

    def test_letters_of_both_cases_are_told_apart(self) -> None:
        got = report(I=1, i=2, z="0.0001", Z="9.0", c=CL_ORD_ID, C="")
        assert (got.exec_id, got.order_id, got.cum_qty, got.cum_quote) == ("1", "2", D("0.0001"), D(9))


class TestOtherEvents:
    def test_balances_are_absolute_and_partial(self) -> None:
        raw = user_data(
            {
                "e": "outboundAccountPosition",
                "E": 1790000000014,
                "u": 1790000000012,
                "B": [
                    {"a": "USDT", "f": "874.00000000", "l": "54.00000000"},
                    {"a": "BTC", "f": "0.00039960", "l": "0.00000000"},
                ],
            }
        )
        at_ns = 1790000000012 * MS
        assert decode(raw) == BalancesChanged(
            ACCOUNT,
            VENUE,
            (
                Balance(ACCOUNT, VENUE, "USDT", D(874), D(54), at_ns),
                Balance(ACCOUNT, VENUE, "BTC", D("0.0003996"), D(0), at_ns),
            ),
            False,
            1790000000014 * MS,
        )

    @pytest.mark.parametrize(
        "event",
        [
            {"e": "balanceUpdate", "E": 1790000000200, "a": "USDT", "d": "-100.00000000", "T": 1790000000190},
            {"e": "externalLockUpdate", "E": 1790000005000, "a": "USDT", "d": "10.00000000", "T": 1790000004990},
            {"e": "listStatus", "E": 1790000003001, "s": "BTCUSDT", "g": 42, "c": "OCO", "l": "EXEC_STARTED", "O": []},
        ],
        ids=lambda event: event["e"],
    )
    def test_what_others_say_as_well_is_dropped(self, event: dict[str, Any]) -> None:
        assert CODEC.decode_private(user_data(event), RECEIVED_NS) == ()

    def test_the_end_of_the_subscription(self) -> None:
        event = decode(user_data({"e": "eventStreamTerminated", "E": 1790000004000}))
        assert isinstance(event, StreamTerminated)
        assert "subscription" in event.text

    def test_shutdown_notice_has_no_subscription(self) -> None:
        event = decode(msgspec.json.encode({"event": {"e": "serverShutdown", "E": 1790000000000}}))
        assert isinstance(event, StreamTerminated)

    def test_an_event_of_a_new_kind_is_shown(self) -> None:
        event = decode(user_data({"e": "somethingNew", "E": 1790000000000}))
        assert isinstance(event, UnrecognizedMessage)
        assert event.what[0].raw == "somethingNew"

    def test_a_revoked_key_is_a_reply_to_nobody(self) -> None:
        raw = failure(-2015, "Invalid API-key, IP, or permissions for action.", status=401, request_id=None)
        event = decode(raw)
        assert isinstance(event, Reply)
        assert event.request_id == ""
        assert event.error is not None
        assert event.error.disposition is Disposition.AUTH

    @pytest.mark.parametrize(
        "raw",
        [b"", b"null", b"[]", b"{}", b'"x"', b'{"id":1}', b'{"event":null}', b'{"event":{}}',
         b'{"id":1,"status":"200"}',
         b'{"event":{"e":5}}', b'{"event":{"e":"balanceUpdate"', b"\xff\xfe", b'{"id":"\xff","status":200}'],
    )  # fmt: skip
    def test_garbage_is_refused(self, raw: bytes) -> None:
        with pytest.raises(RemoteProtocolError):
            CODEC.decode_private(raw, RECEIVED_NS)

    def test_deep_nesting_is_refused(self) -> None:
        raw = b'{"id":1,"status":200,"result":' + b"[" * 100_000
        with pytest.raises(RemoteProtocolError):
            CODEC.decode_private(raw, RECEIVED_NS)


class TestReplies:
    def test_resting(self) -> None:
        event = decode(answer(placed(), rateLimits=RATE_LIMITS))
        assert isinstance(event, Reply)
        assert event.usage == (Usage("orders", 10 * SECOND, 3), Usage("weight", 60 * SECOND, 41))
        got = event.report
        assert got is not None
        assert got.report is not None
        assert (got.cl_ord_id, got.order_id, got.symbol) == (CL_ORD_ID, "9001", "BTCUSDT")
        assert got.transact_ns == 1790000000012 * MS
        assert (got.report.exec_type, got.report.ord_status) == (ExecType.NEW, OrdStatus.NEW)
        assert (got.report.order_qty, got.report.cum_qty, got.report.price) == (D("0.001"), ZERO, D(90000))
        assert got.fills == ()

    def test_usage_may_be_absent(self) -> None:
        event = decode(answer(placed()))
        assert isinstance(event, Reply)
        assert event.usage == ()

    def test_limits_of_a_kind_unknown_to_us_do_not_cost_the_reply(self) -> None:
        event = decode(answer(placed(), rateLimits=[{"rateLimitType": "MOON_PHASES", "phase": 3}, {}, *RATE_LIMITS]))
        assert isinstance(event, Reply)
        assert event.report is not None
        assert [used.name for used in event.usage] == ["orders", "weight"]

    def test_a_bare_acknowledgement(self) -> None:
        ack = {key: placed()[key] for key in ("symbol", "orderId", "orderListId", "clientOrderId", "transactTime")}
        got = state(answer(ack))
        assert (got.report, got.fills, got.order_id) == (None, (), "9001")

    def test_filled_at_once_with_its_fills(self) -> None:
        fills = [
            {"price": "89998.0", "qty": "0.0004", "commission": "0.0000004", "commissionAsset": "BTC", "tradeId": 5551},
            {"price": "89999.0", "qty": "0.0006", "commission": "0.01", "commissionAsset": "BNB", "tradeId": 5552},
        ]
        got = state(answer(placed(status="FILLED", executedQty="0.001", cummulativeQuoteQty="89.9986", fills=fills)))
        assert got.report is not None
        assert (got.report.exec_type, got.report.ord_status) == (ExecType.ORDER_STATUS, OrdStatus.FILLED)
        first, second = got.fills
        assert (first.exec_type, first.ord_status) == (ExecType.TRADE, OrdStatus.PARTIALLY_FILLED)
        assert first.trade_id == "5551"
        assert (first.last_qty, first.last_px, first.cum_qty) == (
            D("0.0004"),
            D(89998),
            D("0.0004"),
        )
        assert (second.ord_status, second.cum_qty, second.cum_quote) == (OrdStatus.FILLED, D("0.001"), D("89.9986"))
        assert [(fill.fee, fill.fee_asset) for fill in got.fills] == [(D("0.0000004"), "BTC"), (D("0.01"), "BNB")]
        assert {fill.liquidity for fill in got.fills} == {Liquidity.TAKER}

    def test_success_does_not_mean_resting(self) -> None:
        fills = [{"price": "1", "qty": "0.0004", "commission": "0", "commissionAsset": "BTC", "tradeId": 1}]
        got = state(
            answer(placed(status="EXPIRED", executedQty="0.0004", expiryReason="INSUFFICIENT_LIQUIDITY", fills=fills))
        )
        assert got.report is not None
        assert (got.report.exec_type, got.report.ord_status) == (ExecType.EXPIRED, OrdStatus.EXPIRED)
        assert (got.report.cum_qty, got.report.leaves_qty) == (D("0.0004"), ZERO)
        assert got.report.text == "INSUFFICIENT_LIQUIDITY"
        assert got.fills[-1].ord_status is OrdStatus.PARTIALLY_FILLED

    def test_emptied_by_self_trade_prevention(self) -> None:
        got = state(answer(placed(status="EXPIRED_IN_MATCH", preventedQuantity="0.001")))
        assert got.report is not None
        assert (got.report.ord_status, got.report.cum_qty) == (OrdStatus.EXPIRED, ZERO)

    def test_canceled_under_its_original_name(self) -> None:
        got = state(answer(canceled()))
        assert got.report is not None
        assert got.cl_ord_id == got.report.cl_ord_id == CL_ORD_ID
        assert (got.report.exec_type, got.report.cum_qty) == (ExecType.CANCELED, D("0.0004"))

    def test_amended(self) -> None:
        got = state(answer(amended()))
        assert got.report is not None
        assert (got.report.exec_type, got.report.ord_status) == (ExecType.REPLACED, OrdStatus.NEW)
        assert (got.report.order_qty, got.cl_ord_id) == (D("0.0005"), CL_ORD_ID)
        assert got.transact_ns == 1790000002000 * MS

    def test_amended_out_of_existence(self) -> None:
        got = state(answer(amended(status="EXPIRED", qty="0.0004", executedQty="0.0004")))
        assert got.report is not None
        assert (got.report.exec_type, got.report.ord_status) == (ExecType.EXPIRED, OrdStatus.EXPIRED)

    def test_cancel_all_reports_each_order_then_answers(self) -> None:
        listed = {"orderListId": 42, "orderReports": [canceled(orderId=3, origClientOrderId="leg")]}
        events = CODEC.decode_entry(answer([canceled(orderId=1), canceled(orderId=2), listed]), RECEIVED_NS)
        *reports, last = events
        assert [event.order_id for event in reports if isinstance(event, ExecutionReport)] == ["1", "2", "3"]
        assert isinstance(last, Reply)
        assert (last.request_id, last.payload) == ("p1", {"orders": 3})

    def test_canceling_one_leg_cancels_the_list(self) -> None:
        result = {"orderListId": 42, "listOrderStatus": "ALL_DONE", "orderReports": [canceled(orderId=3)]}
        events = CODEC.decode_entry(answer(result), RECEIVED_NS)
        assert [type(event) for event in events] == [ExecutionReport, Reply]

    def test_an_unknown_status_leaves_the_order_in_doubt(self) -> None:
        shown, answered = CODEC.decode_entry(answer(placed(status="OF_NEXT_YEAR")), RECEIVED_NS)
        assert isinstance(shown, UnrecognizedMessage)
        assert isinstance(answered, Reply)
        assert answered.error is not None
        assert answered.error.disposition is Disposition.UNKNOWN

    @pytest.mark.parametrize(
        "result",
        [
            {"apiKey": "TESTKEY", "authorizedSince": 1700000000040, "connectedSince": 1699999999000,
             "returnRateLimits": False, "serverTime": 1700000000041, "userDataStream": False},
            {"subscriptionId": 0},
            {},
            {"serverTime": 1790000000123},
        ],
        ids=["logon", "subscribe", "empty", "time"],
    )  # fmt: skip
    def test_what_is_no_order_is_a_payload(self, result: dict[str, Any]) -> None:
        event = decode(answer(result, request_id=7))
        assert event == Reply("7", payload=result)

    @pytest.mark.parametrize("result", [None, [], [[1, 2]], [{"subscriptionId": 0}], "text"])
    def test_results_of_other_shapes_are_a_payload(self, result: object) -> None:
        event = CODEC.decode_entry(answer(result), RECEIVED_NS)[-1]
        assert isinstance(event, Reply)
        assert event.payload is not None

    def test_an_order_that_cannot_be_read_is_refused(self) -> None:
        for spoiled in ({"orderId": "9001"}, {"origQty": "NaN"}, {"symbol": 5}, {"executedQty": "-1"}):
            with pytest.raises(RemoteProtocolError):
                CODEC.decode_entry(answer(placed(**spoiled)), RECEIVED_NS)

    def test_a_refusal(self) -> None:
        error = refusal(failure(-2010, "Account has insufficient balance for requested action."))
        assert (error.disposition, error.reason) == (Disposition.REJECTED, OrdRejReason.INSUFFICIENT_BALANCE)

    def test_execution_status_unknown(self) -> None:
        error = refusal(failure(-1007, "Timeout waiting for response from backend server.", status=504))
        assert error.disposition is Disposition.UNKNOWN

    def test_a_limit_names_the_moment_by_the_venues_clock(self) -> None:
        data = {"serverTime": 1790000000123, "retryAfter": 1790000060000}
        error = refusal(failure(-1003, "Too much request weight used", status=429, data=data))
        assert error.until_ns == RECEIVED_NS + (60000 - 123) * MS

    @pytest.mark.parametrize("data", [None, "text", [], {"retryAfter": "soon"}, {"retryAfter": -1}])
    def test_data_that_cannot_be_read_does_not_cost_the_code(self, data: object) -> None:
        error = refusal(failure(-1003, "Too much request weight used", status=429, data=data))
        assert (error.code, error.disposition) == ("-1003", Disposition.RATE_LIMITED)
        assert error.until_ns == RECEIVED_NS + 60 * SECOND

    def test_a_status_without_error_is_read_by_its_number(self) -> None:
        assert refusal(b'{"id":"p1","status":503}').disposition is Disposition.UNKNOWN

    OPTIONAL = ("origClientOrderId", "transactTime", "updateTime", "preventedQuantity", "expiryReason", "fills")

    @pytest.mark.parametrize("key", OPTIONAL)
    def test_null_and_absent_say_the_same(self, key: str) -> None:
        absent = {name: value for name, value in placed().items() if name != key}
        assert decode(answer(absent | {key: None})) == decode(answer(absent))
        rest = [CODEC.decode_rest_order("p1", reply(body)) for body in (absent, absent | {key: None})]
        assert rest[0] == rest[1]
        queries = [CODEC.decode_order_status(reply(body)) for body in (absent, absent | {key: None})]
        assert queries[0] == queries[1]

    def test_an_envelope_with_nulls(self) -> None:
        whole = {"id": "p1", "status": 200, "result": placed(), "error": None, "event": None, "rateLimits": None}
        assert decode(msgspec.json.encode(whole)) == decode(answer(placed()))


class TestRestReplies:
    HEADERS: ClassVar = {"x-mbx-used-weight-1m": "41"}

    def test_an_order(self) -> None:
        got = CODEC.decode_rest_order("p1", reply(placed(), headers=self.HEADERS))
        assert got.report is not None
        assert got.usage == (Usage("weight", 60 * SECOND, 41),)
        assert got.report == state(answer(placed()))

    def test_an_amend_and_a_cancel(self) -> None:
        for body in (amended(), canceled()):
            assert CODEC.decode_rest_order("p1", reply(body)).report == state(answer(body))

    def test_mass_cancel_and_list(self) -> None:
        assert CODEC.decode_rest_order("p1", reply([canceled(), canceled(orderId=2)])).payload == {"orders": 2}
        listed = {"orderListId": 42, "orderReports": [canceled(orderId=3)]}
        assert CODEC.decode_rest_order("p1", reply(listed)).payload == {"orders": 1}

    @pytest.mark.parametrize(
        "status, body, disposition",
        [
            (400, b'{"code":-2010,"msg":"Order would immediately match and take."}', Disposition.REJECTED),
            (400, b'{"code":-2011,"msg":"Unknown order sent."}', Disposition.ALREADY_FINAL),
            (401, b'{"code":-2015,"msg":"Invalid API-key."}', Disposition.AUTH),
            (403, b"<html>blocked</html>", Disposition.REJECTED),
            (404, b"", Disposition.BUG),
            (418, b'{"code":-1003,"msg":"banned"}', Disposition.BANNED),
            (429, b'{"code":-1015,"msg":"Too many new orders."}', Disposition.RATE_LIMITED),
            (500, b"", Disposition.UNKNOWN),
            (503, b'{"code":-1008,"msg":"Server is currently overloaded."}', Disposition.UNKNOWN),
            (504, b"<html>gateway</html>", Disposition.UNKNOWN),
            (302, b"", Disposition.UNKNOWN),
        ],
    )
    def test_refusals(self, status: int, body: bytes, disposition: Disposition) -> None:
        got = CODEC.decode_rest_order("p1", reply(body, status))
        assert got.error is not None
        assert got.error.disposition is disposition
        direct = CODEC.error(reply(body, status))
        assert direct == got.error

    def test_retry_after_in_seconds(self) -> None:
        error = CODEC.error(reply(b'{"code":-1003,"msg":"x"}', 429, {"Retry-After": "30"}))
        assert error is not None
        assert error.until_ns == RECEIVED_NS + 30 * SECOND

    @pytest.mark.parametrize(
        "body", [b"", b"{", b"{}", b"[1]", b"null", b'{"orderId":"x"}', msgspec.json.encode(placed(status="NEWER"))]
    )
    def test_a_success_that_cannot_be_read_is_unknown(self, body: bytes) -> None:
        got = CODEC.decode_rest_order("p1", reply(body))
        assert got.error is not None
        assert got.error.disposition is Disposition.UNKNOWN

    def test_a_success_is_no_error(self) -> None:
        assert CODEC.error(reply({})) is None


class TestQueries:
    def test_order_status(self) -> None:
        got = CODEC.decode_order_status(reply(order_row()))
        assert isinstance(got, ExecutionReport)
        assert (got.exec_type, got.ord_status) == (ExecType.ORDER_STATUS, OrdStatus.PARTIALLY_FILLED)
        assert (got.cl_ord_id, got.order_id, got.cum_qty) == (CL_ORD_ID, "9001", D("0.0004"))
        assert (got.transact_ns, got.received_ns) == (1790000000500 * MS, RECEIVED_NS)

    def test_a_canceled_order_is_found_under_its_original_name(self) -> None:
        got = CODEC.decode_order_status(reply(order_row(status="CANCELED", clientOrderId=f"{CL_ORD_ID}-x")))
        assert isinstance(got, ExecutionReport)
        assert got.cl_ord_id == CL_ORD_ID

    def test_somebody_elses_name_is_left_alone(self) -> None:
        got = CODEC.decode_order_status(reply(order_row(clientOrderId="web-x")))
        assert isinstance(got, ExecutionReport)
        assert got.cl_ord_id == "web-x"

    def test_not_found_is_a_value(self) -> None:
        got = CODEC.decode_order_status(reply(b'{"code":-2013,"msg":"Order does not exist."}', 400))
        assert isinstance(got, VenueError)
        assert got.disposition is Disposition.NOT_FOUND

    def test_a_turnover_that_is_not_available(self) -> None:
        got = CODEC.decode_order_status(reply(order_row(cummulativeQuoteQty="-1.0")))
        assert isinstance(got, ExecutionReport)
        assert got.cum_quote == 0

    def test_open_orders(self) -> None:
        got = CODEC.decode_open_orders(reply([order_row(), order_row(orderId=9002, type="LIMIT_MAKER")]))
        assert [(order.order_id, order.exec_type) for order in got] == [
            ("9001", ExecType.ORDER_STATUS),
            ("9002", ExecType.ORDER_STATUS),
        ]

    def test_fills_are_sorted_by_trade_id(self) -> None:
        def row(number: int) -> dict[str, Any]:
            return {
                "symbol": "BTCUSDT", "id": number, "orderId": 9001, "orderListId": -1, "price": "90000.0",
                "qty": "0.0004", "quoteQty": "36.0", "commission": "0.0000004", "commissionAsset": "BTC",
                "time": 1790000000500, "isBuyer": False, "isMaker": True, "isBestMatch": True,
            }  # fmt: skip

        first, second = CODEC.decode_fills(SYMBOL, reply([row(5552), row(5551)]))
        assert (first.trade_id, second.trade_id) == ("5551", "5552")
        assert (first.exec_type, first.side, first.liquidity) == (ExecType.TRADE, Side.SELL, Liquidity.MAKER)
        assert (first.cl_ord_id, first.order_id, first.last_qty) == ("", "9001", D("0.0004"))
        assert (first.fee, first.fee_asset, first.transact_ns) == (D("0.0000004"), "BTC", 1790000000500 * MS)

    def test_balances(self) -> None:
        body = {
            "updateTime": 1790000000000,
            "balances": [{"asset": "USDT", "free": "910.00000000", "locked": "90.00000000"}],
        }
        (got,) = CODEC.decode_balances(reply(body))
        assert got == Balance(ACCOUNT, VENUE, "USDT", D(910), D(90), 1790000000000 * MS)
        assert got.total == 1000

    @pytest.mark.parametrize("status", [200, 400, 500])
    @pytest.mark.parametrize("body", [b"", b"{", b"7", b'"x"', b'[{"symbol":"X"}]', b'{"balances":[{"asset":"X"}]}'])
    def test_answers_that_cannot_be_read_are_refused(self, body: bytes, status: int) -> None:
        bad = reply(body, status)
        for read in (CODEC.decode_open_orders, CODEC.decode_balances):
            with pytest.raises(RemoteProtocolError):
                read(bad)
        with pytest.raises(RemoteProtocolError):
            CODEC.decode_fills(SYMBOL, bad)

    @pytest.mark.parametrize(
        "key", ["symbol", "orderId", "clientOrderId", "origQty", "executedQty", "status", "type", "side"]
    )
    def test_an_order_that_leaves_out_what_counts_is_refused(self, key: str) -> None:
        """An absent quantity is not 0, an absent name is nobody's."""
        row = {name: value for name, value in order_row().items() if name != key}
        for read, body in ((CODEC.decode_order_status, row), (CODEC.decode_open_orders, [row])):
            with pytest.raises(RemoteProtocolError):
                read(reply(body))

    @pytest.mark.parametrize("changes", [{"status": "OF_NEXT_YEAR"}, {"type": "WISH"}, {"side": "BOTH"}])
    def test_an_order_in_unknown_words_is_refused_loudly(self, changes: dict[str, str]) -> None:
        (word,) = changes.values()
        for read, body in (
            (CODEC.decode_order_status, order_row(**changes)),
            (CODEC.decode_open_orders, [order_row(**changes)]),
        ):
            with pytest.raises(RemoteProtocolError, match=word):
                read(reply(body))
