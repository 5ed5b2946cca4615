"""Order entry, user data and account queries: each shape of sections 2, 7 to 12, 15 and 19."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from protocols.enums import ExecType, Liquidity, OrdRejReason, OrdStatus, OrdType, Side
from protocols.errors import RemoteProtocolError
from protocols.ids import ClOrdID, OrderID, Symbol, TradeID
from protocols.orders import ExecutionReport
from protocols.positions import Balance, BalancesChanged, VenuePosition
from protocols.venue import Disposition, OrderState, Reply, StreamTerminated, UnrecognizedMessage, Usage
from protocols.venues.binance_usdm import VENUE, BinanceUsdmPrivate
from tests.protocols.binance_usdm.frames import (
    ACCOUNT,
    BALANCE_ROW,
    CL_ORD_ID,
    LISTEN_KEY,
    NOTHING_TRADED,
    RATE_LIMITS,
    RECEIVED_NS,
    STAMP_NS,
    SYMBOL,
    account_event,
    algo_event,
    algo_row,
    answer,
    codec,
    failure,
    order_event,
    order_row,
    placed,
    position_row,
    reply,
    trade_row,
)

D = Decimal
MS = 1_000_000
SECOND = 1_000_000_000
CHILD = "88937381063"


def report(raw: bytes, private: BinanceUsdmPrivate | None = None) -> ExecutionReport:
    (event,) = (private or codec()).decode_private(raw, RECEIVED_NS)
    assert isinstance(event, ExecutionReport)
    return event


def entry(raw: bytes) -> Reply:
    (got,) = codec().decode_entry(raw, RECEIVED_NS)
    assert isinstance(got, Reply)
    return got


class TestOrderEvents:
    def test_a_fill(self) -> None:
        assert report(order_event()) == ExecutionReport(
            cl_ord_id=CL_ORD_ID,
            order_id=OrderID("22542179"),
            account=ACCOUNT,
            strategy="",  # type: ignore[arg-type]
            venue=VENUE,
            symbol=SYMBOL,
            side=Side.BUY,
            exec_type=ExecType.TRADE,
            ord_status=OrdStatus.PARTIALLY_FILLED,
            order_qty=D("0.010"),
            cum_qty=D("0.004"),
            transact_ns=1790000000900 * MS,
            received_ns=RECEIVED_NS,
            price=D("90000.0"),
            last_qty=D("0.004"),
            last_px=D("90000.0"),
            trade_id=TradeID("698759"),
            fee=D("0.14400000"),
            fee_asset="USDT",
            liquidity=Liquidity.MAKER,
        )

    @pytest.mark.parametrize(
        "exec_type, status, expected",
        [
            ("NEW", "NEW", (ExecType.NEW, OrdStatus.NEW)),
            ("CANCELED", "CANCELED", (ExecType.CANCELED, OrdStatus.CANCELED)),
            ("EXPIRED", "EXPIRED", (ExecType.EXPIRED, OrdStatus.EXPIRED)),
            ("EXPIRED", "EXPIRED_IN_MATCH", (ExecType.EXPIRED, OrdStatus.EXPIRED)),
            ("AMENDMENT", "PARTIALLY_FILLED", (ExecType.REPLACED, OrdStatus.PARTIALLY_FILLED)),
        ],
    )
    def test_what_is_no_fill(self, exec_type: str, status: str, expected: tuple[ExecType, OrdStatus]) -> None:
        got = report(order_event(**(NOTHING_TRADED | {"x": exec_type, "X": status, "z": "0.004", "M": "7"})))
        assert (got.exec_type, got.ord_status) == expected
        assert (got.cum_qty, got.last_qty, got.trade_id, got.fee) == (D("0.004"), D(0), None, D(0))

    def test_equal_events_have_equal_ids_and_others_have_others(self) -> None:
        """There is no execution id: symbol, order, type, time and total tell events apart."""
        fields = NOTHING_TRADED | {"x": "AMENDMENT", "X": "NEW", "z": "0"}
        ids = {report(order_event(**(fields | change))).exec_id for change in ({}, {}, {"T": 1}, {"i": 5}, {"z": "1"})}
        assert len(ids) == 4
        assert report(order_event()).exec_id == ""  # a fill has its trade id

    @pytest.mark.parametrize(
        "reason, text",
        [
            ("0", ""),
            (2, "rest of an IOC order"),
            ("4", "knocked out by another reduce-only order"),
            ("77", "reason 77"),
        ],
    )
    def test_why_it_expired(self, reason: object, text: str) -> None:
        got = report(order_event(**(NOTHING_TRADED | {"x": "EXPIRED", "X": "EXPIRED", "er": reason})))
        assert text in got.text
        assert bool(got.text) is bool(text)

    @pytest.mark.parametrize(
        "name, owner",
        [
            ("autoclose-1234567890", "liquidation"),
            ("adl_autoclose", "auto-deleveraging"),
            ("adl_autoclose-123", "auto-deleveraging"),
            ("settlement_autoclose-9999", "settlement"),
        ],
    )
    @pytest.mark.parametrize(
        "exec_type, status",
        [
            ("CALCULATED", "NEW"),
            ("CALCULATED", "FILLED"),
            ("CALCULATED", "NEW_ADL"),
            ("CALCULATED", "NEW_INSURANCE"),
            ("TRADE", "NEW_ADL"),
            ("TRADE", "FILLED"),
        ],
    )
    def test_the_venues_own_orders_fill_like_others(self, name: str, owner: str, exec_type: str, status: str) -> None:
        """Whatever words are written: they moved the position, and the quantities say how far they got."""
        got = report(order_event(c=name, x=exec_type, X=status, l="0.010", z="0.010"))
        assert (got.exec_type, got.ord_status) == (ExecType.TRADE, OrdStatus.FILLED)
        assert (got.last_qty, got.trade_id, got.text) == (D("0.010"), "698759", owner)

    OPTIONAL = ("n", "N", "t", "m", "ot", "er", "ps", "M", "AP", "cr", "rp", "gtd", "pm", "V", "ap", "sp")

    @pytest.mark.parametrize("key", OPTIONAL)
    def test_null_and_absent_say_the_same(self, key: str) -> None:
        whole = msgspec.json.decode(order_event(**{key: None}))
        null = msgspec.json.encode(whole | {"o": whole["o"] | {key: None}})
        assert report(null) == report(msgspec.json.encode(whole))

    def test_a_liquidation_is_a_type_of_its_own(self) -> None:
        raw = order_event(c="autoclose-1", o="LIQUIDATION", ot="LIQUIDATION", x="CALCULATED", l="0.010", z="0.010")
        got = report(raw)
        assert (got.exec_type, got.ord_status, got.text) == (ExecType.TRADE, OrdStatus.FILLED, "liquidation")

    def test_a_liquidation_in_parts(self) -> None:
        got = report(order_event(c="autoclose-1", x="CALCULATED", X="NEW"))
        assert (got.exec_type, got.ord_status) == (ExecType.TRADE, OrdStatus.PARTIALLY_FILLED)

    def test_a_liquidation_that_begins_is_a_state(self) -> None:
        got = report(order_event(**(NOTHING_TRADED | {"c": "autoclose-1", "x": "CALCULATED", "X": "NEW", "z": "0"})))
        assert (got.exec_type, got.ord_status, got.last_qty) == (ExecType.ORDER_STATUS, OrdStatus.NEW, D(0))

    def test_a_fill_without_trade_id_has_none(self) -> None:
        got = report(order_event(c="autoclose-1", x="CALCULATED", X="FILLED", t=0))
        assert (got.trade_id, got.exec_id) == (None, "")

    def test_a_rebate_is_a_negative_fee(self) -> None:
        assert report(order_event(n="-0.01")).fee == D("-0.01")

    def test_market_orders_have_no_price(self) -> None:
        got = report(order_event(o="MARKET", p="0"))
        assert (got.ord_type, got.price) == (OrdType.MARKET, None)

    @pytest.mark.parametrize("change", [{"x": "BUST"}, {"X": "SUSPENDED"}, {"S": "SHORT"}, {"o": "ICEBERG"}])
    def test_unknown_words_are_kept_and_told(self, change: dict[str, str]) -> None:
        (event,) = codec().decode_private(order_event(**change), RECEIVED_NS)
        assert isinstance(event, UnrecognizedMessage)
        ((field, word),) = change.items()
        assert (event.what[0].field, event.what[0].raw) == (field, word)
        assert "ORDER_TRADE_UPDATE" in event.raw

    def test_inside_the_streams_envelope(self) -> None:
        whole = msgspec.json.encode({"stream": LISTEN_KEY, "data": msgspec.Raw(order_event())})
        assert report(whole) == report(order_event())


class TestConditionalOrders:
    def test_a_stop_waits(self) -> None:
        got = report(algo_event())
        assert (got.cl_ord_id, got.order_id) == (CL_ORD_ID, "A2146760")
        assert (got.exec_type, got.ord_status, got.ord_type) == (ExecType.NEW, OrdStatus.NEW, OrdType.STOP)
        assert (got.order_qty, got.cum_qty, got.price, got.transact_ns) == (D("0.010"), D(0), None, 1790000000100 * MS)

    @pytest.mark.parametrize(
        "changes, expected",
        [
            ({"X": "TRIGGERING"}, (ExecType.ORDER_STATUS, OrdStatus.NEW, "0")),
            ({"X": "CANCELED"}, (ExecType.CANCELED, OrdStatus.CANCELED, "0")),
            ({"X": "EXPIRED"}, (ExecType.EXPIRED, OrdStatus.EXPIRED, "0")),
            ({"X": "REJECTED", "rm": "Margin"}, (ExecType.REJECTED, OrdStatus.REJECTED, "0")),
            ({"X": "TRIGGERED", "ai": CHILD}, (ExecType.ORDER_STATUS, OrdStatus.NEW, "0")),
            (
                {"X": "TRIGGERED", "ai": CHILD, "aq": "0.004"},
                (ExecType.ORDER_STATUS, OrdStatus.PARTIALLY_FILLED, "0.004"),
            ),
            ({"X": "FINISHED", "ai": CHILD, "aq": "0.010"}, (ExecType.ORDER_STATUS, OrdStatus.FILLED, "0.010")),
            ({"X": "FINISHED", "ai": CHILD, "aq": "0.004"}, (ExecType.ORDER_STATUS, OrdStatus.CANCELED, "0.004")),
            ({"X": "FINISHED", "ai": CHILD, "aq": "0"}, (ExecType.ORDER_STATUS, OrdStatus.CANCELED, "0")),
            # Nobody says what the child did: it is not for this event to end the order.
            ({"X": "FINISHED", "ai": CHILD, "aq": ""}, (ExecType.ORDER_STATUS, OrdStatus.NEW, "0")),
            # The quantity of a close-position order is known when it is done.
            (
                {"X": "FINISHED", "ai": CHILD, "q": "0", "aq": "0.5"},
                (ExecType.ORDER_STATUS, OrdStatus.FILLED, "0.5"),
            ),
        ],
    )
    def test_its_life(self, changes: dict[str, str], expected: tuple[ExecType, OrdStatus, str]) -> None:
        got = report(algo_event(**changes))
        assert (got.exec_type, got.ord_status, str(got.cum_qty)) == expected
        assert got.cl_ord_id == CL_ORD_ID
        assert changes["X"] in got.text
        assert changes.get("rm", "") in got.text

    def test_what_the_child_does_is_reported_under_the_parents_id(self) -> None:
        """The child's own client id is not documented; the link that the algo service states is."""
        private = codec()
        stop = report(algo_event(), private)
        assert report(algo_event(X="TRIGGERED", ai=CHILD), private).order_id == CHILD
        fill = report(order_event(c="venue-made", i=int(CHILD), S="SELL"), private)
        assert (fill.cl_ord_id, fill.order_id, fill.exec_type) == (CL_ORD_ID, CHILD, ExecType.TRADE)
        (row,) = private.decode_fills(SYMBOL, reply([trade_row(orderId=int(CHILD))]))
        assert row.cl_ord_id == CL_ORD_ID
        # Another symbol's order with the same number is another order.
        other = report(order_event(c="venue-made", i=int(CHILD), s="ETHUSDT"), private)
        assert other.cl_ord_id == "venue-made"
        # From now on the algo id leads to the child.
        cancel = private.rest_cancel_order(CL_ORD_ID, stop.order_id, SYMBOL, STAMP_NS)
        assert cancel.path == "/fapi/v1/order"
        assert f"orderId={CHILD}&" in cancel.query
        assert f"orderId={CHILD}&" in private.fills_request(SYMBOL, STAMP_NS, order_id=stop.order_id).query

    def test_a_child_that_is_heard_of_before_its_link_waits_for_it(self) -> None:
        """Events of different types come in no order of their own (section 15.1)."""
        private = codec()
        child = {"c": "venue-made", "i": int(CHILD), "S": "SELL", "o": "MARKET", "ot": "STOP_MARKET", "p": "0"}
        begun = order_event(**child, **NOTHING_TRADED, x="NEW", X="NEW", z="0")
        assert list(private.decode_private(begun, RECEIVED_NS)) == []
        assert list(private.decode_private(order_event(**child), RECEIVED_NS + 1)) == []
        # Another order's events are told meanwhile.
        assert report(order_event(), private).order_id == "22542179"
        linked, first, fill = private.decode_private(algo_event(X="TRIGGERED", ai=CHILD), RECEIVED_NS + 2)
        assert isinstance(linked, ExecutionReport)
        assert isinstance(first, ExecutionReport)
        assert isinstance(fill, ExecutionReport)
        assert {one.cl_ord_id for one in (linked, first, fill)} == {CL_ORD_ID}
        assert (first.exec_type, fill.exec_type, fill.received_ns) == (ExecType.NEW, ExecType.TRADE, RECEIVED_NS + 1)
        ended = report(order_event(**child, X="FILLED", l="0.006", z="0.010", t=698760), private)
        assert ended.cl_ord_id == CL_ORD_ID

    def test_a_child_without_a_link_is_told_under_its_own_name_in_the_end(self) -> None:
        private = codec()
        child = {"c": "by-hand", "i": int(CHILD), "o": "MARKET", "ot": "STOP_MARKET", "p": "0"}
        assert list(private.decode_private(order_event(**child), RECEIVED_NS)) == []
        later = RECEIVED_NS + 5_000_000_000
        changed, position, fill = private.decode_private(account_event(), later)
        assert isinstance(changed, BalancesChanged)
        assert isinstance(position, VenuePosition)
        assert isinstance(fill, ExecutionReport)
        assert (fill.cl_ord_id, fill.trade_id, fill.received_ns) == ("by-hand", "698759", RECEIVED_NS)

    def test_what_waits_is_refused_at_once_if_it_is_to_be(self) -> None:
        child = {"i": int(CHILD), "o": "MARKET", "ot": "STOP_MARKET"}
        with pytest.raises(RemoteProtocolError):
            codec().decode_private(order_event(**child, q="NaN"), RECEIVED_NS)
        (event,) = codec().decode_private(order_event(**child, X="OF_NEXT_YEAR"), RECEIVED_NS)
        assert isinstance(event, UnrecognizedMessage)

    def test_a_query_links_as_well(self) -> None:
        private = codec()
        row = algo_row(algoStatus="FINISHED", actualOrderId=CHILD, actualQty="0.010")
        got = private.decode_order_status(reply(row))
        assert isinstance(got, ExecutionReport)
        assert (got.cl_ord_id, got.order_id) == (CL_ORD_ID, CHILD)
        assert (got.exec_type, got.ord_status) == (ExecType.ORDER_STATUS, OrdStatus.FILLED)
        assert report(order_event(c="venue-made", i=int(CHILD)), private).cl_ord_id == CL_ORD_ID

    def test_replies(self) -> None:
        got = entry(answer(algo_row()))
        assert got.report is not None
        assert (got.report.cl_ord_id, got.report.order_id) == (CL_ORD_ID, "A2146760")
        assert got.report.report is not None
        assert got.report.report.exec_type is ExecType.NEW
        canceled = entry(answer(algo_row(algoStatus="CANCELED"))).report
        assert canceled is not None
        assert canceled.report is not None
        assert canceled.report.exec_type is ExecType.CANCELED
        bare = {"algoId": 2146760, "clientAlgoId": CL_ORD_ID, "code": "200", "msg": "success"}
        expected = OrderState(CL_ORD_ID, OrderID("A2146760"), Symbol(""), None)
        assert entry(answer(bare)).report == expected
        assert codec().decode_rest_order("1", reply(bare)).report == expected

    def test_an_unknown_status_is_told(self) -> None:
        (event,) = codec().decode_private(algo_event(X="PAUSED"), RECEIVED_NS)
        assert isinstance(event, UnrecognizedMessage)

    def test_a_child_id_may_be_written_as_a_number(self) -> None:
        assert report(algo_event(X="TRIGGERED", ai=int(CHILD))).order_id == CHILD
        row = codec().decode_order_status(reply(algo_row(algoStatus="TRIGGERED", actualOrderId=int(CHILD))))
        assert isinstance(row, ExecutionReport)
        assert row.order_id == CHILD

    def test_a_child_id_that_is_no_number_is_refused(self) -> None:
        with pytest.raises(RemoteProtocolError, match="order id"):
            codec().decode_private(algo_event(X="TRIGGERED", ai="x"), RECEIVED_NS)


class TestAccountEvents:
    @pytest.mark.req("R027")
    def test_wallet_and_position(self) -> None:
        at = 1790000000904 * MS
        changed, position = codec().decode_private(account_event(), RECEIVED_NS)
        # 9.64 are held by isolated positions.
        balance = Balance(ACCOUNT, VENUE, "USDT", D("990.00000000"), D("9.64000000"), at)
        assert changed == BalancesChanged(ACCOUNT, VENUE, (balance,), False, at)
        assert balance.total == D("999.64")
        assert position == VenuePosition(
            ACCOUNT, VENUE, SYMBOL, None, D("0.010"), D("90000.0"), D(0), D(0), D(0), D("-0.10"), at
        )

    def test_funding_of_a_cross_position_names_no_position(self) -> None:
        (changed,) = codec().decode_private(account_event(m="FUNDING_FEE", P=[], S="BTCUSDT"), RECEIVED_NS)
        assert isinstance(changed, BalancesChanged)

    @pytest.mark.req("R027")
    @pytest.mark.parametrize("side, leg", [("LONG", Side.BUY), ("SHORT", Side.SELL), ("BOTH", None)])
    def test_legs_of_hedge_mode(self, side: str, leg: Side | None) -> None:
        row = {"s": "BTCUSDT", "pa": "-0.5", "ep": "1", "up": "0", "ps": side}
        (position,) = codec().decode_private(account_event(B=[], P=[row]), RECEIVED_NS)
        assert isinstance(position, VenuePosition)
        assert (position.leg, position.qty) == (leg, D("-0.5"))

    def test_a_leg_in_unknown_words_does_not_cost_the_wallet(self) -> None:
        row = {"s": "BTCUSDT", "pa": "-0.5", "ep": "1", "up": "0", "ps": "SIDEWAYS"}
        changed, unknown = codec().decode_private(account_event(P=[row]), RECEIVED_NS)
        assert isinstance(changed, BalancesChanged)
        assert isinstance(unknown, UnrecognizedMessage)
        assert (unknown.what[0].field, unknown.what[0].raw) == ("ps", "SIDEWAYS")

    @pytest.mark.parametrize("changes", [{"S": None}, {"B": None}, {"P": None}, {"m": None}])
    def test_null_is_nothing(self, changes: dict[str, None]) -> None:
        kinds = [type(event) for event in codec().decode_private(account_event(**changes), RECEIVED_NS)]
        assert kinds == [kind for key, kind in (("B", BalancesChanged), ("P", VenuePosition)) if key not in changes]

    def test_a_wallet_may_be_in_debt(self) -> None:
        row = {"a": "USDT", "wb": "-5.0", "cw": "-5.0"}
        (changed,) = codec().decode_private(account_event(B=[row], P=[]), RECEIVED_NS)
        assert isinstance(changed, BalancesChanged)
        assert (changed.balances[0].free, changed.balances[0].locked) == (D("-5.0"), D(0))


class TestOtherEvents:
    def test_an_expired_key_ends_the_stream_and_is_not_repeated(self) -> None:
        """The venue leaves the socket open and silent (section 15.1)."""
        raw = msgspec.json.encode({"e": "listenKeyExpired", "E": 1790003600000, "listenKey": LISTEN_KEY})
        (event,) = codec().decode_private(raw, RECEIVED_NS)
        assert isinstance(event, StreamTerminated)
        assert LISTEN_KEY not in str(event)

    def test_what_is_told_elsewhere_is_dropped(self) -> None:
        """TRADE_LITE has no commission: counting it first would lose the fee of the full event."""
        lite = {"e": "TRADE_LITE", "E": 1, "T": 1, "s": "BTCUSDT", "q": "1", "p": "1", "m": False, "c": CL_ORD_ID,
                "S": "BUY", "L": "1", "l": "1", "t": 698759, "i": 22542179}  # fmt: skip
        for event in (lite, *({"e": name, "E": 1} for name in ("STRATEGY_UPDATE", "GRID_UPDATE"))):
            assert codec().decode_private(msgspec.json.encode(event), RECEIVED_NS) == ()

    @pytest.mark.parametrize("name", ["MARGIN_CALL", "ACCOUNT_CONFIG_UPDATE", "OF_NEXT_YEAR"])
    def test_what_we_have_no_message_for_is_kept_without_the_key(self, name: str) -> None:
        raw = msgspec.json.encode({"stream": LISTEN_KEY, "data": {"e": name, "E": 1, "ac": {"s": "BTCUSDT", "l": 25}}})
        (event,) = codec().decode_private(raw, RECEIVED_NS)
        assert isinstance(event, UnrecognizedMessage)
        assert event.what[0].raw == name
        assert '"l":25' in event.raw
        assert LISTEN_KEY not in event.raw

    def test_acknowledgements(self) -> None:
        (got,) = codec().decode_private('{"result":null,"id":3}', RECEIVED_NS)
        assert got == Reply("3", payload={"result": None})

    @pytest.mark.parametrize(
        "raw", ["", "5", "{}", "[]", '{"e":"ORDER_TRADE_UPDATE"}', '{"e":"ACCOUNT_UPDATE","E":-1,"a":{}}']
    )
    def test_garbage_is_refused(self, raw: str) -> None:
        with pytest.raises(RemoteProtocolError):
            codec().decode_private(raw, RECEIVED_NS)

    def test_a_refusal_does_not_repeat_the_key(self) -> None:
        for event in ({"stream": LISTEN_KEY, "data": {"e": "ORDER_TRADE_UPDATE"}}, {"listenKey": LISTEN_KEY}):
            with pytest.raises(RemoteProtocolError) as caught:
                codec().decode_private(msgspec.json.encode(event), RECEIVED_NS)
            assert LISTEN_KEY not in str(caught.value)


class TestReplies:
    def test_placed(self) -> None:
        got = entry(answer(placed(), rateLimits=RATE_LIMITS))
        assert got.request_id == "p1"
        assert got.usage[0] == Usage("weight", 60 * SECOND, 41)
        state = got.report
        assert state is not None
        assert (state.cl_ord_id, state.order_id, state.symbol) == (CL_ORD_ID, "22542179", SYMBOL)
        assert (state.fills, state.transact_ns) == ((), 1790000000012 * MS)
        assert state.report is not None
        assert (state.report.exec_type, state.report.ord_status) == (ExecType.NEW, OrdStatus.NEW)

    @pytest.mark.parametrize("more", [{}, {"avgPrice": "0.00", "cumQuote": "0"}])
    def test_with_and_without_what_was_removed_in_july_2026(self, more: dict[str, str]) -> None:
        assert entry(answer(placed(**more))).report == entry(answer(placed())).report

    def test_filled_at_once_is_a_state_whose_fills_come_by_events(self) -> None:
        state = entry(answer(placed(status="FILLED", executedQty="0.010"))).report
        assert state is not None
        assert state.report is not None
        assert (state.report.exec_type, state.report.ord_status) == (ExecType.ORDER_STATUS, OrdStatus.FILLED)
        assert state.report.cum_qty == D("0.010")

    @pytest.mark.parametrize("status, kind", [("CANCELED", ExecType.CANCELED), ("EXPIRED", ExecType.EXPIRED)])
    def test_ended(self, status: str, kind: ExecType) -> None:
        state = entry(answer(placed(status=status))).report
        assert state is not None
        assert state.report is not None
        assert state.report.exec_type is kind

    @pytest.mark.parametrize(
        "status, kind",
        [
            ("NEW", ExecType.REPLACED),
            ("PARTIALLY_FILLED", ExecType.REPLACED),
            # The new total was already filled, or a post-only order would have taken (section 9.1).
            ("CANCELED", ExecType.CANCELED),
        ],
    )
    def test_amended(self, status: str, kind: ExecType) -> None:
        state = entry(answer(placed(status=status, origQty="0.008", modifyId=7, pair="BTCUSDT"))).report
        assert state is not None
        assert state.report is not None
        assert (state.report.exec_type, state.report.order_qty) == (kind, D("0.008"))

    def test_a_refusal_is_classified(self) -> None:
        got = entry(failure(-2019, "Margin is insufficient."))
        assert got.error is not None
        assert (got.error.disposition, got.error.reason) == (
            Disposition.REJECTED,
            OrdRejReason.INSUFFICIENT_BALANCE,
        )

    def test_a_revoked_key_is_a_notice_without_id(self) -> None:
        got = entry(failure(-2015, "Invalid API-key, IP, or permissions for action.", 401, None))
        assert got.request_id == ""
        assert got.error is not None
        assert got.error.disposition is Disposition.AUTH

    def test_unknown_words_leave_the_order_in_doubt(self) -> None:
        told, got = codec().decode_entry(answer(placed(status="SUSPENDED")), RECEIVED_NS)
        assert isinstance(told, UnrecognizedMessage)
        assert isinstance(got, Reply)
        assert got.error is not None
        assert got.error.disposition is Disposition.UNKNOWN

    def test_what_is_no_order_is_a_payload(self) -> None:
        logon = {"apiKey": "k", "authorizedSince": 1, "returnRateLimits": True, "serverTime": 2}
        assert entry(answer(logon)).payload == logon

    @pytest.mark.parametrize("raw", ["", "5", "{}", '{"id":"p1"}', '{"id":"p1","status":200,"result":{"orderId":"x"}}'])
    def test_garbage_is_refused(self, raw: str) -> None:
        with pytest.raises(RemoteProtocolError):
            codec().decode_entry(raw, RECEIVED_NS)


class TestRestAnswers:
    def test_order(self) -> None:
        got = codec().decode_rest_order("1", reply(placed(), headers={"X-MBX-ORDER-COUNT-10S": "4"}))
        assert got.report is not None
        assert got.report.order_id == "22542179"
        assert got.usage == (Usage("orders", 10 * SECOND, 4),)

    def test_a_batch_may_succeed_in_part(self) -> None:
        body = [placed(), {"code": -2022, "msg": "ReduceOnly Order is rejected."}, algo_row(algoStatus="PAUSED")]
        got = codec().decode_rest_order("b1", reply(body))
        first, second, third = got.parts
        assert first.report is not None
        assert second.error is not None
        assert second.error.disposition is Disposition.REJECTED
        assert third.error is not None
        assert third.error.disposition is Disposition.UNKNOWN
        assert got.payload == {"orders": 3}

    def test_a_positive_code_is_a_success(self) -> None:
        body = {"code": 200, "msg": "The operation of cancel all open order is done."}
        got = codec().decode_rest_order("x1", reply(body))
        assert got.error is None
        assert got.payload == body

    def test_a_negative_code_with_http_200_is_none(self) -> None:
        got = codec().decode_rest_order("x1", reply({"code": -2011, "msg": "Unknown order sent."}))
        assert got.error is not None
        assert got.error.disposition is Disposition.ALREADY_FINAL

    def test_an_order_id_alone_is_an_acknowledgement(self) -> None:
        """Section 2 shows such a reply: the order exists, and an event or a query says its state."""
        (got,) = codec().decode_entry(answer({"orderId": 336829446}), RECEIVED_NS)
        assert isinstance(got, Reply)
        assert got.report is not None
        assert (got.report.order_id, got.report.report) == ("336829446", None)
        assert codec().decode_rest_order("u1", reply({"orderId": 336829446})).report == got.report

    @pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[5]", b'{"orderId":"5"}', b'{"code":"x"}', b"[{}]"])
    def test_an_answer_that_cannot_be_read_proves_nothing(self, body: bytes) -> None:
        got = codec().decode_rest_order("x1", reply(body))
        (part,) = got.parts or (got,)
        assert part.error is not None
        assert part.error.disposition is Disposition.UNKNOWN

    @pytest.mark.parametrize("status", [408, 500, 503, 504])
    def test_a_failure_inside_the_venue_leaves_the_order_in_doubt(self, status: int) -> None:
        got = codec().decode_rest_order("x1", reply(b"", status))
        assert got.error is not None
        assert got.error.disposition is Disposition.UNKNOWN

    def test_status(self) -> None:
        got = codec().decode_order_status(reply(order_row()))
        assert isinstance(got, ExecutionReport)
        assert (got.exec_type, got.ord_status) == (ExecType.ORDER_STATUS, OrdStatus.PARTIALLY_FILLED)
        assert (got.cum_qty, got.cum_quote, got.transact_ns) == (D("0.004"), D(360), 1790000000900 * MS)
        missing = codec().decode_order_status(reply({"code": -2013, "msg": "Order does not exist."}, 400))
        assert not isinstance(missing, ExecutionReport)
        assert missing.disposition is Disposition.NOT_FOUND

    @pytest.mark.parametrize(
        "key", ["symbol", "orderId", "clientOrderId", "origQty", "executedQty", "status", "type", "side"]
    )
    def test_an_order_that_leaves_out_what_counts_is_refused(self, key: str) -> None:
        """An absent quantity is not 0, an absent name is nobody's."""
        row = {name: value for name, value in order_row().items() if name != key}
        with pytest.raises(RemoteProtocolError):
            codec().decode_order_status(reply(row))
        with pytest.raises(RemoteProtocolError):
            codec().decode_open_orders(reply([row]))

    @pytest.mark.parametrize("key", ["symbol", "algoId", "clientAlgoId", "algoStatus", "orderType", "side"])
    def test_nor_may_a_conditional_one(self, key: str) -> None:
        row = {name: value for name, value in algo_row().items() if name != key}
        with pytest.raises(RemoteProtocolError):
            codec().decode_open_orders(reply([row]))

    @pytest.mark.parametrize("key", ["symbol", "origQty", "executedQty", "status", "type", "side"])
    def test_an_answer_in_too_few_words_is_an_acknowledgement(self, key: str) -> None:
        row = {name: value for name, value in placed().items() if name != key}
        got = entry(answer(row))
        assert got.report is not None
        assert (got.report.order_id, got.report.report) == ("22542179", None)

    def test_open_orders_of_both_kinds(self) -> None:
        plain, waiting = codec().decode_open_orders(reply([order_row(), algo_row()]))
        assert (plain.order_id, waiting.order_id) == ("22542179", "A2146760")
        assert {plain.exec_type, waiting.exec_type} == {ExecType.ORDER_STATUS}
        with pytest.raises(RemoteProtocolError, match="unknown word"):
            codec().decode_open_orders(reply([order_row(), order_row(status="OF_NEXT_YEAR")]))

    def test_fills_are_sorted(self) -> None:
        later, earlier = trade_row(id=698760), trade_row(maker=True, side="SELL")
        first, second = codec().decode_fills(SYMBOL, reply([later, earlier]))
        assert [first.trade_id, second.trade_id] == ["698759", "698760"]
        assert (first.side, first.liquidity, first.cl_ord_id) == (Side.SELL, Liquidity.MAKER, ClOrdID(""))
        assert (second.last_px, second.last_qty, second.fee) == (D(90000), D("0.010"), D("0.36"))
        with pytest.raises(RemoteProtocolError, match="unknown word"):
            codec().decode_fills(SYMBOL, reply([trade_row(side="SHORT")]))

    def test_balances(self) -> None:
        (balance,) = codec().decode_balances(reply([BALANCE_ROW]))
        assert balance == Balance(ACCOUNT, VENUE, "USDT", D("990"), D("10"), 1790000000900 * MS)

    def test_positions(self) -> None:
        (position,) = codec().decode_positions(reply([position_row()]))
        assert position == VenuePosition(
            ACCOUNT,
            VENUE,
            SYMBOL,
            None,
            D("-0.010"),
            D(90000),
            D(90100),
            D(105000),
            D(0),
            D(-1),
            1790000000900 * MS,
        )
        (doubtful,) = codec().decode_positions(reply([position_row(liquidationPrice="-3.2")]))
        assert doubtful.liquidation_px == 0
        with pytest.raises(RemoteProtocolError, match="unknown word"):
            codec().decode_positions(reply([position_row(positionSide="DIAGONAL")]))

    @pytest.mark.parametrize("body", [b"{}", b"", b'{"listenKey":""}', b'{"listenKey":"a/b"}', b"[]"])
    def test_no_listen_key_in_the_answer(self, body: bytes) -> None:
        with pytest.raises(RemoteProtocolError, match="no listen key"):
            codec().decode_listen_key(reply(body))

    def test_a_dead_key_is_not_found(self) -> None:
        error = codec().error(reply({"code": -1125, "msg": "This listenKey does not exist."}, 400))
        assert error is not None
        assert error.disposition is Disposition.NOT_FOUND

    def test_a_countdown_is_acknowledged(self) -> None:
        got: Any = codec().decode_rest_order("d1", reply({"symbol": "BTCUSDT", "countdownTime": "120000"}))
        assert got.error is None
        assert got.payload == {"symbol": "BTCUSDT", "countdownTime": "120000"}
