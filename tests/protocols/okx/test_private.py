"""The private connection and signed REST, field by field (reference sections 2.2, 5, 6, 8, 10, 12 and 14)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.enums import ExecType, Liquidity, OrdRejReason, OrdStatus, OrdType, Side
from protocols.errors import RemoteProtocolError, Unrecognized
from protocols.ids import ClOrdID, OrderID, StrategyID, Symbol, TradeID, amend_request_id
from protocols.instruments import Product
from protocols.orders import SOME_AMEND, ExecutionReport, VenueCancelReject
from protocols.positions import Balance, BalancesChanged, PositionsListed, VenuePosition
from protocols.venue import Disposition, OrderState, Reply, StreamTerminated, UnrecognizedMessage, VenueError
from protocols.venues.okx import OkxPrivate
from protocols.venues.okx.encode import LOGIN_ID
from tests.protocols.okx.frames import (
    ACCOUNT,
    BTC,
    CL_ORD_ID,
    NO_FILL,
    RECEIVED_NS,
    REFUSED_ITEM,
    STAMP_NS,
    SWAP,
    USDT,
    account_row,
    answer,
    codec,
    fill_row,
    item,
    order_row,
    position_row,
    pushed,
    reply,
    rest,
    rest_order,
)

D = Decimal
PRIVATE = codec()
VENUE = PRIVATE.venue
ORDER_ID = OrderID("2510789768709120")
MS = 1_000_000


def decoded(raw: str | bytes, private: OkxPrivate | None = None) -> list[Any]:
    private = private or codec()
    got = list(private.decode_private(raw, RECEIVED_NS))
    if private is not PRIVATE and isinstance(raw, bytes) and b'"eventType"' not in raw:
        assert list(private.decode_entry(raw, RECEIVED_NS)) == got
    return got


def only(raw: str | bytes) -> Any:
    (event,) = decoded(raw)
    return event


def update(**changes: Any) -> Any:
    return only(pushed("orders", [order_row(**changes)]))


class TestOrders:
    def test_a_fill(self) -> None:
        assert update() == ExecutionReport(
            CL_ORD_ID, ORDER_ID, ACCOUNT, StrategyID(""), VENUE, SWAP, Side.BUY, ExecType.TRADE,
            OrdStatus.PARTIALLY_FILLED, D(1), D("0.4"), 1767225600200 * MS, RECEIVED_NS, OrdType.LIMIT, D(60000),
            D("0.4"), D(60000), D(24000), TradeID("981"), D("0.048"), "USDT", Liquidity.MAKER,
        )  # fmt: skip

    def test_the_fee_of_this_fill_not_of_all(self) -> None:
        got = update(accFillSz="0.9", fee="-0.108", fillFee="-0.012", fillFeeCcy="USDT", fillSz="0.1", execType="T")
        assert (got.fee, got.last_qty, got.cum_qty, got.liquidity) == (D("0.012"), D("0.1"), D("0.9"), Liquidity.TAKER)

    def test_a_rebate_is_a_negative_cost(self) -> None:
        assert update(fillFee="0.003").fee == D("-0.003")

    def test_a_fee_that_is_not_told_by_fill(self) -> None:
        """Only of the first fill the total is known to be its own."""
        assert update(fillFee=None, fillFeeCcy=None).fee == D("0.048")
        assert update(fillFee=None, fillFeeCcy=None, accFillSz="0.9").fee == 0

    def test_the_last_fill(self) -> None:
        got = update(state="filled", accFillSz="1")
        assert (got.exec_type, got.ord_status, got.leaves_qty) == (ExecType.TRADE, OrdStatus.FILLED, 0)

    @pytest.mark.parametrize(
        "changes, exec_type, status",
        [
            ({}, ExecType.NEW, OrdStatus.NEW),
            ({"amendResult": "0", "reqId": "am1"}, ExecType.REPLACED, OrdStatus.NEW),
            ({"amendResult": "1", "state": "canceled"}, ExecType.CANCELED, OrdStatus.CANCELED),
            ({"state": "partially_filled", "accFillSz": "0.4"}, ExecType.ORDER_STATUS, OrdStatus.PARTIALLY_FILLED),
            ({"state": "filled", "accFillSz": "1"}, ExecType.ORDER_STATUS, OrdStatus.FILLED),
            ({"state": "filled", "accFillSz": "1", "tradeId": "5", "fillSz": "0"}, ExecType.ORDER_STATUS,
             OrdStatus.FILLED),
            ({"state": "canceled"}, ExecType.CANCELED, OrdStatus.CANCELED),
            ({"state": "mmp_canceled"}, ExecType.CANCELED, OrdStatus.CANCELED),
            ({"tradeId": "0"}, ExecType.NEW, OrdStatus.NEW),
        ],
    )  # fmt: skip
    def test_what_is_not_a_fill(self, changes: dict[str, Any], exec_type: ExecType, status: OrdStatus) -> None:
        got = update(**(NO_FILL | changes))
        assert (got.exec_type, got.ord_status) == (exec_type, status)
        assert (got.trade_id, got.last_qty, got.fee) == (None, 0, 0)
        assert got.transact_ns == 1767225600201 * MS

    def test_a_fill_that_comes_with_the_end(self) -> None:
        fill, end = decoded(pushed("orders", [order_row(state="canceled", cancelSource="14")]))
        assert (fill.exec_type, fill.ord_status, fill.last_qty) == (
            ExecType.TRADE, OrdStatus.PARTIALLY_FILLED, D("0.4"),
        )  # fmt: skip
        assert (end.exec_type, end.ord_status, end.cum_qty, end.leaves_qty) == (
            ExecType.CANCELED, OrdStatus.CANCELED, D("0.4"), 0,
        )  # fmt: skip
        assert end.text == "rest of immediate-or-cancel (cancelSource 14)"

    def test_a_post_only_that_would_take_is_rejected(self) -> None:
        """Since 2026-08-20 no `live` comes before it: it was never in the book."""
        end = {"state": "canceled", "cancelSource": "31"}
        got = update(**(NO_FILL | end))
        assert (got.exec_type, got.ord_status) == (ExecType.REJECTED, OrdStatus.REJECTED)
        assert got.text == "post-only would take (cancelSource 31)"
        queried = codec().decode_order_status(reply(rest([rest_order(**end)])))
        assert isinstance(queried, ExecutionReport)
        assert (queried.exec_type, queried.ord_status) == (ExecType.ORDER_STATUS, OrdStatus.REJECTED)
        assert update(**(end | {"fillSz": "0", "tradeId": ""})).ord_status is OrdStatus.CANCELED  # it had traded

    @pytest.mark.parametrize("source, words", [("20", "dead-man switch"), ("99", "by the venue"), ("", "")])
    def test_why_it_was_canceled(self, source: str, words: str) -> None:
        assert words in update(**(NO_FILL | {"state": "canceled", "cancelSource": source})).text

    @pytest.mark.parametrize("number", [2, 3, 4, 6, 7, 9, 10, 17, 21, 36, 37, 38, 39, 42, 43, 44, 45, 46])
    def test_every_documented_source_has_words(self, number: int) -> None:
        text = update(**(NO_FILL | {"state": "canceled", "cancelSource": str(number)})).text
        assert "by the venue" not in text
        assert f"cancelSource {number}" in text

    def test_an_end_that_nobody_asked_for_says_so(self) -> None:
        assert "category adl" in update(**(NO_FILL | {"state": "filled", "accFillSz": "1", "category": "adl"})).text

    @pytest.mark.parametrize(
        "request_id, number",
        [(amend_request_id("1x17", 3), 3), (amend_request_id("12xx4", 10), 10), ("", SOME_AMEND),
         ("am0001", SOME_AMEND), ("1x17", SOME_AMEND), ("1x17a", SOME_AMEND), ("1x17a0", SOME_AMEND)],
    )  # fmt: skip
    def test_an_amend_that_fails_after_its_acknowledgement_is_refused(self, request_id: str, number: int) -> None:
        """Which one, says the id of its request (section 5.2): the venue gives it back."""
        row = order_row(**(NO_FILL | {"reqId": request_id, "amendResult": "-1", "code": "51503", "msg": "too late"}))
        refusal, state = decoded(pushed("orders", [row]))
        text = "amend failed (-1): too late"
        assert refusal == VenueCancelReject(CL_ORD_ID, "51503", text, order_gone=False, amend=number)
        assert (state.exec_type, state.ord_status, state.order_qty) == (ExecType.ORDER_STATUS, OrdStatus.NEW, 1)

    def test_a_forced_fill_says_so(self) -> None:
        assert update(category="full_liquidation").text == "category full_liquidation"

    @pytest.mark.parametrize(
        "word, ord_type",
        [("limit", "LIMIT"), ("market", "MARKET"), ("post_only", "LIMIT"), ("ioc", "LIMIT"), ("fok", "LIMIT"),
         ("optimal_limit_ioc", "MARKET"), ("rpi", "LIMIT")],
    )  # fmt: skip
    def test_types(self, word: str, ord_type: str) -> None:
        assert update(ordType=word).ord_type is OrdType[ord_type]

    @pytest.mark.parametrize("px, price", [("60000", D(60000)), ("", None), ("-1", None), ("0", None)])
    def test_price(self, px: str, price: Decimal | None) -> None:
        assert update(px=px).price == price

    @pytest.mark.parametrize(
        "names, name",
        [({}, CL_ORD_ID), ({"clOrdId": "", "algoClOrdId": "a1"}, "a1"), ({"clOrdId": ""}, f"okx{ORDER_ID}")],
    )
    def test_names(self, names: dict[str, str], name: str) -> None:
        assert update(**names).cl_ord_id == name

    def test_an_order_in_quote_money_has_what_was_filled(self) -> None:
        got = update(ordType="market", tgtCcy="quote_ccy", sz="24000", px="")
        assert (got.order_qty, got.leaves_qty) == (D("0.4"), 0)
        assert update(ordType="market", tgtCcy="base_ccy").order_qty == 1

    @pytest.mark.parametrize(
        "side, target, qty", [("buy", "", "0.4"), ("sell", "", "24000"), ("buy", "base_ccy", "24000")]
    )
    def test_a_market_buy_on_spot_counts_money_unless_it_says_otherwise(self, side: str, target: str, qty: str) -> None:
        row = order_row(instType="SPOT", ordType="market", tgtCcy=target, side=side, sz="24000", px="")
        (got,) = codec(Product.SPOT).decode_private(pushed("orders", [row]), RECEIVED_NS)
        assert isinstance(got, ExecutionReport)
        assert got.order_qty == D(qty)
        assert update(ordType="market", tgtCcy="").order_qty == 1, "contracts are counted, never money"

    @pytest.mark.parametrize("product, kinds", [(Product.SPOT, ["SPOT", "MARGIN"]), (Product.LINEAR, ["SWAP"])])
    def test_only_rows_of_the_product(self, product: Product, kinds: list[str]) -> None:
        rows = [order_row(instType=kind, ordId=str(n)) for n, kind in enumerate(["SPOT", "MARGIN", "SWAP", "OPTION"])]
        got = codec(product).decode_private(pushed("orders", rows), RECEIVED_NS)
        assert [event.order_id for event in got if isinstance(event, ExecutionReport)] == [
            row["ordId"] for row in rows if row["instType"] in kinds
        ]

    @pytest.mark.parametrize("told, count", [("SWAP", 1), ("FUTURES", 0), ("ANY", 1), ("", 1)])
    def test_a_row_that_does_not_say_its_product_is_of_its_topics(self, told: str, count: int) -> None:
        raw = {"arg": {"channel": "orders", "instType": told}, "data": [order_row(instType=None)]}
        assert len(decoded(msgspec.json.encode(raw))) == count

    @pytest.mark.parametrize("field", ["state", "side", "ordType"])
    def test_an_unknown_word_costs_its_row_alone(self, field: str) -> None:
        rows = [order_row(**{field: "sideways"}), order_row(tradeId="982")]
        unknown, known = decoded(pushed("orders", rows))
        assert isinstance(unknown, UnrecognizedMessage)
        assert unknown.what == (Unrecognized(field, "sideways"),)
        assert '"sideways"' in unknown.raw
        assert known.trade_id == "982"

    @pytest.mark.parametrize(
        "changes", [{"ordId": ""}, {"sz": "x"}, {"accFillSz": "-1"}, {"uTime": "now", "fillTime": ""}, {"instId": None}]
    )
    def test_impossible_rows_are_refused(self, changes: dict[str, Any]) -> None:
        with pytest.raises(RemoteProtocolError):
            decoded(pushed("orders", [order_row(**changes)]))


class TestMoney:
    def changed(self, *balances: Balance, complete: bool, at: int = 1767225600300) -> BalancesChanged:
        return BalancesChanged(ACCOUNT, VENUE, balances, complete, at * MS)

    usdt = Balance(ACCOUNT, VENUE, "USDT", D(9880), D(120), 1767225600299 * MS, "okx-unified")
    btc = Balance(ACCOUNT, VENUE, "BTC", D("0.5"), D(0), 1767225600299 * MS, "okx-unified")

    def test_an_event_names_what_changed(self) -> None:
        raw = pushed("account", [account_row(USDT)], eventType="event_update")
        assert only(raw) == self.changed(self.usdt, complete=False)

    def test_a_snapshot_of_one_page_is_complete(self) -> None:
        raw = pushed("account", [account_row(USDT, BTC)], eventType="snapshot", curPage=1, lastPage=True)
        assert only(raw) == self.changed(self.usdt, self.btc, complete=True)

    def test_pages_are_held_until_the_last(self) -> None:
        private = codec()
        first = pushed("account", [account_row(USDT)], eventType="snapshot", curPage=1, lastPage=False)
        last = pushed("account", [account_row(BTC)], eventType="snapshot", curPage=2, lastPage=True)
        assert decoded(first, private) == []
        assert decoded(last, private) == [self.changed(self.usdt, self.btc, complete=True)]
        assert decoded(first, private) == []
        assert decoded(first, private) == []  # another subscription begins anew
        assert decoded(last, private) == [self.changed(self.usdt, self.btc, complete=True)]

    def test_what_changes_between_two_pages_is_told_at_once_and_wins(self) -> None:
        """As it does while two connections overlap; a page that is older than the change says what was before."""
        private = codec()
        first = pushed("account", [account_row(USDT)], eventType="snapshot", curPage=1, lastPage=False)
        last = pushed("account", [account_row(BTC)], eventType="snapshot", curPage=2, lastPage=True)
        newer = USDT | {"cashBal": "7", "availBal": "7", "uTime": "1767225600999"}
        older = BTC | {"cashBal": "9", "availBal": "9", "uTime": "1767225600001"}
        other = USDT | {"ccy": "ETH"}
        assert decoded(first, private) == []
        change = pushed("account", [account_row(newer, older, other)], eventType="event_update")
        (told,) = private.decode_private(change, RECEIVED_NS)
        assert isinstance(told, BalancesChanged)
        assert (told.complete, [one.total for one in told.balances]) == (False, [D(7), D(9), D(10000)])
        (whole,) = decoded(last, private)
        assert whole.complete
        assert {one.asset: one.total for one in whole.balances} == {"USDT": 7, "BTC": D("0.5"), "ETH": 10000}

    @pytest.mark.parametrize("page", [0, 2, 3])
    def test_a_page_out_of_turn_proves_nothing_absent(self, page: int) -> None:
        raw = pushed("account", [account_row(USDT)], eventType="snapshot", curPage=page, lastPage=True)
        assert only(raw) == self.changed(self.usdt, complete=False)

    @pytest.mark.parametrize(
        "cash, available, free, locked",
        [
            ("10", "4", "4", "6"),
            ("10", "12", "10", "0"),
            ("130", "", "10", "120"),  # what is frozen is said besides
            ("-3", "0", "-3", "0"),
        ],
    )
    def test_cash_is_what_there_is(self, cash: str, available: str, free: str, locked: str) -> None:
        (got,) = only(pushed("account", [account_row(USDT | {"cashBal": cash, "availBal": available})])).balances
        assert (got.free, got.locked) == (D(free), D(locked))

    def test_money_that_is_not_said_is_not_nothing(self) -> None:
        row = account_row(USDT | {"cashBal": ""})
        with pytest.raises(RemoteProtocolError, match="no cashBal"):
            decoded(pushed("account", [row]))
        with pytest.raises(RemoteProtocolError, match="no cashBal"):
            codec().decode_balances(reply(rest([row])))

    def test_by_rest(self) -> None:
        got = codec().decode_balances(reply(rest([account_row(USDT, BTC)])))
        assert got == (self.usdt, self.btc)


class TestPositions:
    short = VenuePosition(
        ACCOUNT, VENUE, SWAP, None, D("-2.5"), D(60000), D(60048), D(91000), D(5), D("-1.2"), 1767225600201 * MS
    )

    def test_an_event(self) -> None:
        assert only(pushed("positions", [position_row()], eventType="event_update")) == self.short

    @pytest.mark.parametrize(
        "side, pos, leg, qty",
        [("long", "2", Side.BUY, "2"), ("short", "2", Side.SELL, "-2"), ("net", "2", None, "2"),
         ("net", "0", None, "0"), ("long", "0", Side.BUY, "0")],
    )  # fmt: skip
    def test_legs(self, side: str, pos: str, leg: Side | None, qty: str) -> None:
        got = only(pushed("positions", [position_row(posSide=side, pos=pos)]))
        assert (got.leg, got.qty) == (leg, D(qty))

    def test_a_position_without_a_size_is_not_flat(self) -> None:
        with pytest.raises(RemoteProtocolError, match="no pos"):
            decoded(pushed("positions", [position_row(pos="")]))

    def test_crossed_and_isolated_are_one_position(self) -> None:
        private = codec()
        crossed, isolated = position_row(pos="2"), position_row(pos="1", mgnMode="isolated", avgPx="63000", upl="1.2")
        assert decoded(pushed("positions", [crossed]), private)[0].qty == 2
        both = private.decode_positions(reply(rest([crossed, isolated])))
        events = private.decode_private(pushed("positions", [isolated]), RECEIVED_NS)
        (one,) = both
        assert events == (one,)
        assert (one.qty, one.entry_px, one.liquidation_px, one.unrealized) == (D(3), D(61000), D(0), D(0))
        later = isolated | {"pos": "0", "uTime": "1767225600999"}
        (left,) = private.decode_private(pushed("positions", [later]), RECEIVED_NS)
        assert isinstance(left, VenuePosition)
        assert (left.qty, left.entry_px, left.updated_ns) == (D(2), D(60000), 1767225600999 * MS)
        (flat,) = private.decode_private(pushed("positions", [crossed | {"pos": "0"}]), RECEIVED_NS)
        assert isinstance(flat, VenuePosition)
        assert flat.qty == 0

    def test_absent_is_flat_only_after_the_last_page(self) -> None:
        private = codec()
        eth = Symbol("ETH-USDT-SWAP")
        first = pushed("positions", [position_row()], eventType="snapshot", curPage=1, lastPage=False)
        last = pushed("positions", [position_row(instId=eth)], eventType="snapshot", curPage=2, lastPage=True)
        assert decoded(first, private) == []
        one, other, listed = decoded(last, private)
        assert (one, other.symbol) == (self.short, eth)
        assert listed == PositionsListed(ACCOUNT, VENUE, (SWAP, eth), 1767225600201 * MS)

    def test_one_that_is_closed_between_two_pages_is_closed(self) -> None:
        private = codec()
        first = pushed("positions", [position_row()], eventType="snapshot", curPage=1, lastPage=False)
        last = pushed("positions", [], eventType="snapshot", curPage=2, lastPage=True)
        assert decoded(first, private) == []
        closed = position_row(pos="0", uTime="1767225600999")
        (told,) = private.decode_private(pushed("positions", [closed], eventType="event_update"), RECEIVED_NS)
        assert isinstance(told, VenuePosition)
        assert told.qty == 0
        position, listed = decoded(last, private)
        assert (position.qty, listed.symbols) == (0, (SWAP,))

    def test_none_at_all(self) -> None:
        raw = pushed("positions", [], eventType="snapshot", curPage=1, lastPage=True)
        assert only(raw) == PositionsListed(ACCOUNT, VENUE, (), 0)

    def test_an_unknown_side_leaves_the_list_incomplete(self) -> None:
        rows = [position_row(posSide="up"), position_row()]
        raw = pushed("positions", rows, eventType="snapshot", curPage=1, lastPage=True)
        position, unknown = decoded(raw)
        assert (position, unknown.what) == (self.short, (Unrecognized("posSide", "up"),))

    def test_by_rest(self) -> None:
        rows = [position_row(), position_row(instType="FUTURES")]
        assert codec().decode_positions(reply(rest(rows))) == (self.short,)
        with pytest.raises(RemoteProtocolError, match="posSide"):
            codec().decode_positions(reply(rest([position_row(posSide="up")])))


class TestReplies:
    accepted = OrderState(CL_ORD_ID, ORDER_ID, Symbol(""), None, (), 1767225600130 * MS)
    refused = VenueError(Disposition.REJECTED, "51008_1000", "Insufficient balance", OrdRejReason.INSUFFICIENT_BALANCE)

    @pytest.mark.parametrize("op", ["order", "amend-order", "cancel-order"])
    def test_accepted(self, op: str) -> None:
        assert only(answer(item(), op=op)) == Reply("p1", report=self.accepted)

    @pytest.mark.parametrize("op", ["batch-orders", "batch-amend-orders", "batch-cancel-orders"])
    @pytest.mark.parametrize("code, good", [("0", [1, 1]), ("1", [0, 0]), ("2", [1, 0]), ("2", [0, 1, 1]), ("0", [1])])
    def test_batches_have_parts(self, op: str, code: str, good: list[int]) -> None:
        items = [item() if one else REFUSED_ITEM for one in good]
        got = only(answer(*items, op=op, code=code))
        parts = tuple(Reply("p1", report=self.accepted) if one else Reply("p1", error=self.refused) for one in good)
        assert got == Reply("p1", payload={"orders": len(good)}, parts=parts)

    def test_batches_by_rest(self) -> None:
        got = codec().decode_rest_order("p1", reply(rest([item(), REFUSED_ITEM], "2")))
        assert [part.error for part in got.parts] == [None, self.refused]
        (both,) = {part.error for part in codec().decode_rest_order("1", reply(rest([REFUSED_ITEM] * 2, "1"))).parts}
        assert both == self.refused
        single = codec().decode_rest_order("p1", reply(rest([item()])))
        assert single == Reply("p1", report=self.accepted)

    def test_each_of_a_batch_that_failed_has_its_own_reason_by_rest(self) -> None:
        """The first one's reason for all would call an order refused whose outcome nobody knows."""
        body = reply(rest([REFUSED_ITEM, item(ordId="", sCode="51054", sMsg="timeout")], "1"))
        assert codec().error(body) is None
        got = codec().decode_rest_order("p1", body)
        assert [part.error.disposition for part in got.parts if part.error] == [
            Disposition.REJECTED, Disposition.UNKNOWN,
        ]  # fmt: skip

    def test_an_error_event_may_answer_an_order(self) -> None:
        """Told with the request's id instead of an operation; "ask again" would call a sent order refused."""
        got = only(b'{"event":"error","id":"p1","code":"63999","msg":"Internal system error","connId":"a"}')
        assert (got.request_id, got.error.disposition) == ("p1", Disposition.UNKNOWN)

    def test_a_batch_that_was_not_taken_at_all(self) -> None:
        got = only(answer(op="batch-orders", code="50011", msg="Too many requests"))
        assert got.error.disposition is Disposition.RATE_LIMITED

    def test_an_unknown_operation(self) -> None:
        assert only(answer(item(), op="teleport")).what == (Unrecognized("op", "teleport"),)

    def test_the_login_answers_to_its_name(self) -> None:
        frame = codec().logon("7", STAMP_NS)
        assert frame is not None
        assert frame.request_id == LOGIN_ID
        assert only(b'{"event":"login","code":"0","msg":"","connId":"a4d3ae55"}') == Reply(
            LOGIN_ID, payload={"event": "login"}
        )

    @pytest.mark.parametrize(
        "raw, disposition",
        [
            (b'{"event":"error","code":"60009","msg":"Login failed.","connId":"a"}', Disposition.AUTH),
            (b'{"event":"error","code":"60004","msg":"Invalid timestamp","connId":"a"}', Disposition.CLOCK),
            (b'{"event":"error","id":"","code":"60006","msg":"Timestamp expired"}', Disposition.CLOCK),
            (b'{"event":"login","code":"60024","msg":"Wrong passphrase"}', Disposition.AUTH),
        ],
    )
    def test_a_failed_login(self, raw: bytes, disposition: Disposition) -> None:
        got = only(raw)
        assert (got.request_id, got.error.disposition) == (LOGIN_ID, disposition)

    def test_errors_with_a_number_answer_to_it(self) -> None:
        got = only(b'{"event":"error","id":"s1","code":"60011","msg":"Please log in","connId":"a"}')
        assert (got.request_id, got.error.disposition) == ("s1", Disposition.AUTH)

    def test_subscriptions_are_confirmed_together(self) -> None:
        private = codec()
        private.subscribe_private("s1", STAMP_NS, logged_on=True)
        ack = b'{"id":"s1","event":"subscribe","arg":{"channel":"orders","instType":"SWAP"},"connId":"a"}'
        got = [list(private.decode_private(ack, RECEIVED_NS)) for _ in range(3)]
        assert got == [[], [], [Reply("s1", payload={"event": "subscribe"})]]

    def test_other_events(self) -> None:
        assert only("pong") == Reply("", payload={"event": "pong"})
        assert isinstance(only(b'{"event":"notice","code":"64008","msg":"soon","connId":"a"}'), StreamTerminated)
        assert only(pushed("fills", [])).what == (Unrecognized("channel", "fills"),)

    @pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"id":"1"}', b'{"op":1}', b'{"arg":{"channel":"orders"}}'])
    def test_frames_without_shape_are_refused(self, raw: bytes) -> None:
        with pytest.raises(RemoteProtocolError):
            codec().decode_private(raw, RECEIVED_NS)

    def test_an_item_that_cannot_be_read_leaves_its_order_in_doubt(self) -> None:
        for raw in (answer({"sCode": 5}), answer({"ordId": "1"}), b'{"id":"p1","op":"order","code":"0"}'):
            got = only(raw)
            assert (got.request_id, got.error.disposition) == ("p1", Disposition.UNKNOWN)


class TestQueries:
    def test_order_status(self) -> None:
        got = codec().decode_order_status(reply(rest([rest_order()])))
        assert got == ExecutionReport(
            CL_ORD_ID, ORDER_ID, ACCOUNT, StrategyID(""), VENUE, SWAP, Side.BUY, ExecType.ORDER_STATUS, OrdStatus.NEW,
            D(1), D(0), 1767225600130 * MS, RECEIVED_NS, OrdType.LIMIT, D(60000),
        )  # fmt: skip

    def test_the_last_fill_of_a_query_is_not_a_fill(self) -> None:
        row = rest_order(state="filled", accFillSz="1", fillSz="0.3", tradeId="981", fillPx="59990", avgPx="59995")
        got = codec().decode_order_status(reply(rest([row])))
        assert isinstance(got, ExecutionReport)
        assert (got.exec_type, got.trade_id, got.last_qty, got.cum_quote) == (
            ExecType.ORDER_STATUS,
            None,
            D(0),
            D(59995),
        )

    def test_why_there_is_none(self) -> None:
        got = codec().decode_order_status(reply(rest([], "51603", "Order does not exist")))
        assert isinstance(got, VenueError)
        assert got.disposition is Disposition.NOT_FOUND

    def test_no_row_is_not_an_answer(self) -> None:
        for rows in ([], [rest_order(), rest_order()]):
            with pytest.raises(RemoteProtocolError, match="instead of one"):
                codec().decode_order_status(reply(rest(rows)))

    def test_open_orders(self) -> None:
        rows = [rest_order(ordId="1"), rest_order(ordId="2", instType="SPOT"), rest_order(ordId="3")]
        got = codec().decode_open_orders(reply(rest(rows)))
        assert [one.order_id for one in got] == ["1", "3"]
        with pytest.raises(RemoteProtocolError, match="state=sleeping"):
            codec().decode_open_orders(reply(rest([rest_order(state="sleeping")])))

    def test_fills_come_oldest_first(self) -> None:
        rows = [fill_row(tradeId=str(n), ts=str(n), fillTime="", fee="0.001") for n in (9, 8, 7)]
        got = codec().decode_fills(SWAP, reply(rest(rows)))
        assert [one.trade_id for one in got] == ["7", "8", "9"]
        assert (got[0].transact_ns, got[0].fee) == (7 * MS, D("-0.001"))

    def test_a_fill(self) -> None:
        (got,) = codec().decode_fills(SWAP, reply(rest([fill_row()])))
        assert got == ExecutionReport(
            CL_ORD_ID, ORDER_ID, ACCOUNT, StrategyID(""), VENUE, SWAP, Side.BUY, ExecType.TRADE,
            OrdStatus.PARTIALLY_FILLED, D(0), D(0), 1767225600200 * MS, RECEIVED_NS, last_qty=D("0.4"),
            last_px=D(60000), trade_id=TradeID("981"), fee=D("0.048"), fee_asset="USDT", liquidity=Liquidity.MAKER,
        )  # fmt: skip

    def test_the_stream_and_the_history_call_a_fill_the_same(self) -> None:
        """Or one of them would be counted twice."""
        (past,) = codec().decode_fills(SWAP, reply(rest([fill_row()])))
        live = update()
        for field in ("symbol", "trade_id", "order_id", "cl_ord_id", "last_qty", "last_px", "fee", "fee_asset",
                      "liquidity", "transact_ns", "side"):  # fmt: skip
            assert getattr(past, field) == getattr(live, field), field

    def test_when_the_dead_man_switch_fires(self) -> None:
        row = {"triggerTime": "1767225630", "tag": "", "ts": "1767225600"}
        assert codec().decode_cancel_all_after(reply(rest([row]))) == 1_767_225_630_000_000_000
        assert codec().decode_cancel_all_after(reply(rest([row | {"triggerTime": "0"}]))) == 0
        with pytest.raises(RemoteProtocolError):
            codec().decode_cancel_all_after(reply(rest([row, row])))


class TestPages:
    def test_a_full_page_is_continued_before_its_last_row(self) -> None:
        private = codec()
        orders = private.open_orders_request(None, STAMP_NS)
        rows = [rest_order(ordId=str(1000 - n)) for n in range(100)]
        following = private.continuation(orders, reply(rest(rows)), STAMP_NS)
        assert following is not None
        assert following.query == "instType=SWAP&limit=100&after=901"
        assert (following.path, following.weight, following.group) == (orders.path, orders.weight, orders.group)
        again = private.continuation(following, reply(rest([row | {"ordId": "5"} for row in rows])), STAMP_NS)
        assert again is not None
        assert again.query == "instType=SWAP&limit=100&after=5"
        assert again.headers["OK-ACCESS-SIGN"] != following.headers["OK-ACCESS-SIGN"]
        last = private.continuation(again, reply(rest(rows[:99])), STAMP_NS)
        assert last is not None
        assert (last.path, last.query) == (
            "/api/v5/trade/orders-algo-pending", "ordType=conditional&instType=SWAP&limit=100",
        )  # fmt: skip

    @pytest.mark.parametrize("since_ns", [STAMP_NS, 0])
    def test_fills_by_their_bill(self, since_ns: int) -> None:
        private = codec()
        fills = private.fills_request(SWAP, STAMP_NS, since_ns=since_ns)
        rows = [fill_row(billId=str(1000 - n)) for n in range(100)]
        following = private.continuation(fills, reply(rest(rows)), STAMP_NS)
        assert following is not None
        assert (following.path, following.query) == (fills.path, f"{fills.query}&after=901")

    def test_a_full_page_that_cannot_be_continued_is_no_whole(self) -> None:
        private = codec()
        fills = private.fills_request(SWAP, STAMP_NS)
        with pytest.raises(RemoteProtocolError, match="next cannot be asked"):
            private.continuation(fills, reply(rest([fill_row(billId="")] * 100)), STAMP_NS)

    def test_others_are_whole(self) -> None:
        private = codec()
        assert private.continuation(private.balances_request(STAMP_NS), reply(rest([])), STAMP_NS) is None

    @settings(max_examples=50)
    @given(st.integers(0, 350))
    def test_every_order_is_seen_once(self, count: int) -> None:
        """Against a model of the venue's paging: `after` gives what is older."""
        private = codec(Product.SPOT)
        ids = list(range(count, 0, -1))
        request, seen = private.open_orders_request(None, STAMP_NS), list[str]()
        while True:
            after = int(dict(part.split("=") for part in request.query.split("&")).get("after", count + 1))
            page = [one for one in ids if one < after][:100]
            answered = reply(rest([rest_order(instType="SPOT", ordId=str(one)) for one in page]))
            seen += [one.order_id for one in private.decode_open_orders(answered)]
            following = private.continuation(request, answered, STAMP_NS)
            if following is None or following.path != request.path:
                break
            request = following
        assert seen == [str(one) for one in ids]


def test_another_account_and_product_sign_their_reports() -> None:
    spot = codec(Product.SPOT)
    raw = pushed("orders", [order_row(instType="SPOT", instId="BTC-USDT", clOrdId="mine")])
    (got,) = spot.decode_private(raw, RECEIVED_NS)
    assert isinstance(got, ExecutionReport)
    assert (got.venue, got.account, got.cl_ord_id) == ("okx-spot", ACCOUNT, ClOrdID("mine"))


def test_frames_are_text_or_bytes() -> None:
    raw = pushed("orders", [order_row()])
    assert PRIVATE.decode_private(raw.decode(), RECEIVED_NS) == PRIVATE.decode_private(raw, RECEIVED_NS)
    assert msgspec.json.decode(raw)["arg"]["channel"] == "orders"


class TestPositionMode:
    """How the account is set up, against how the codec writes orders (section 9)."""

    def test_it_is_read_from_the_configuration(self) -> None:
        assert codec().position_mode_request(STAMP_NS).path == "/api/v5/account/config"
        assert not codec().decode_position_mode(reply(rest([{"posMode": "net_mode", "acctLv": "2"}])))
        assert codec().decode_position_mode(reply(rest([{"posMode": "long_short_mode"}])))
        with pytest.raises(RemoteProtocolError, match="has no contracts"):
            codec().decode_position_mode(reply(rest([{"posMode": "net_mode", "acctLv": "1"}])))

    @pytest.mark.parametrize("rows", [[], [{"posMode": "both"}], [{"posMode": "net_mode"}] * 2, [{}]])
    def test_anything_else_is_refused(self, rows: list[dict[str, str]]) -> None:
        with pytest.raises(RemoteProtocolError):
            codec().decode_position_mode(reply(rest(rows)))

    def test_the_codec_says_what_it_was_told(self) -> None:
        assert (codec().hedge_mode, codec(hedged=True).hedge_mode) == (False, True)


class TestWhatIsLeftOut:
    """Null, missing and "" are one: does not apply.  What must be there is asked for."""

    OPTIONAL = ("px", "tag", "avgPx", "fillPx", "tradeId", "fillTime", "fillFee", "cancelSource", "amendResult", "msg")

    @pytest.mark.parametrize("field", OPTIONAL)
    def test_of_an_order(self, field: str) -> None:
        row = order_row(**NO_FILL)
        nothing = decoded(pushed("orders", [row | {field: ""}]))
        assert decoded(pushed("orders", [row | {field: None}])) == nothing
        assert decoded(pushed("orders", [{key: row[key] for key in row if key != field}])) == nothing

    @pytest.mark.parametrize("field", ["ordId", "instId", "side", "ordType", "state", "sz", "accFillSz"])
    def test_what_an_order_must_say(self, field: str) -> None:
        with pytest.raises(RemoteProtocolError):
            decoded(pushed("orders", [order_row() | {field: None}]))

    def test_of_a_frame(self) -> None:
        assert update() == only(
            msgspec.json.encode(
                {"arg": {"channel": "orders", "instType": "SWAP", "instId": None}, "event": None, "op": None,
                 "id": None, "code": None, "msg": None, "eventType": None, "curPage": None, "data": [order_row()]}
            )
        )  # fmt: skip

    def test_a_time_that_is_not_said_is_when_we_heard_it(self) -> None:
        (state,) = decoded(pushed("orders", [order_row(**(NO_FILL | {"uTime": "", "cTime": ""}))]))
        assert state.transact_ns == RECEIVED_NS
        changed = only(pushed("account", [account_row(USDT | {"uTime": ""}) | {"uTime": ""}]))
        assert (changed.balances[0].updated_ns, changed.event_ns) == (RECEIVED_NS, RECEIVED_NS)
        assert only(pushed("positions", [position_row(uTime="")])).updated_ns == RECEIVED_NS

    def test_a_fee_without_its_coin_is_in_that_of_the_whole(self) -> None:
        assert update(fillFeeCcy="").fee_asset == "USDT"

    def test_whole_numbers_and_decimals_survive_the_second_look(self) -> None:
        row = account_row(USDT | {"cashBal": "0.1234567890123456789", "availBal": None})
        (balance,) = only(pushed("account", [row])).balances
        assert balance.total == D("0.1234567890123456789")
