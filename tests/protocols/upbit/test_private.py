"""Orders, fills and balances of an account, from the streams and from REST (reference sections 5, 6.8, 6.9, 10)."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.base import Message
from protocols.enums import ExecType, Liquidity, OrdRejReason, OrdStatus, OrdType, Side
from protocols.errors import RemoteProtocolError
from protocols.ids import ClOrdID, OrderID, StrategyID, TradeID
from protocols.orders import ExecutionReport
from protocols.positions import Balance, BalancesChanged
from protocols.venue import Disposition, HttpReply, OrderState, Reply, UnrecognizedMessage, Usage, VenueError
from protocols.venues.upbit import VENUE
from protocols.venues.upbit.reports import iso_ns
from tests.protocols.upbit.frames import (
    ACCOUNT,
    CL_ORD_ID,
    ERROR,
    ETH,
    LISTED,
    MY_ASSET,
    NO_TRADE,
    RECEIVED_NS,
    SIMPLE_MY_ASSET,
    SIMPLE_MY_ORDER,
    STATUS,
    SYMBOL,
    TRADE_UUID,
    UUID,
    codec,
    my_order,
    order_row,
    refusal,
    reply,
    trade_row,
)

D = Decimal
MS, SECOND = 1_000_000, 1_000_000_000
CODEC = codec()
CREATED_NS = 1_767_225_600 * SECOND


def decode(raw: bytes | str) -> Message | Reply:
    (event,) = CODEC.decode_private(raw, RECEIVED_NS)
    return event


def report(raw: bytes) -> ExecutionReport:
    event = decode(raw)
    assert isinstance(event, ExecutionReport)
    return event


# ---- myOrder -----------------------------------------------------------------------------------------------------


def test_a_fill() -> None:
    """In state `trade`, price and volume are those of the fill, not of the order."""
    assert report(my_order()) == ExecutionReport(
        CL_ORD_ID,
        UUID,
        ACCOUNT,
        StrategyID(""),
        VENUE,
        SYMBOL,
        Side.BUY,
        ExecType.TRADE,
        OrdStatus.PARTIALLY_FILLED,
        D("0.0001"),
        D("0.00004"),
        1767225600200 * MS,
        RECEIVED_NS,
        OrdType.LIMIT,
        None,
        D("0.00004"),
        D(155772000),
        D("6230.88"),
        TradeID(TRADE_UUID),
        D("3.11544"),
        "KRW",
        Liquidity.MAKER,
        TRADE_UUID,
    )


@pytest.mark.parametrize("is_maker, liquidity", [(False, Liquidity.TAKER), (None, Liquidity.UNKNOWN)])
def test_liquidity(is_maker: bool | None, liquidity: Liquidity) -> None:
    assert report(my_order(is_maker=is_maker)).liquidity is liquidity


def test_the_last_fill_of_an_order_fills_it() -> None:
    last = report(my_order(remaining_volume=0, executed_volume=0.0001, volume=0.00006))
    assert (last.ord_status, last.order_qty, last.leaves_qty) == (OrdStatus.FILLED, D("0.0001"), D(0))
    done = report(my_order(state="done", volume=0.0001, remaining_volume=0, executed_volume=0.0001, **NO_TRADE))
    assert (done.exec_type, done.ord_status, done.cum_qty) == (ExecType.ORDER_STATUS, OrdStatus.FILLED, D("0.0001"))
    assert (done.trade_id, done.last_qty, done.fee) == (None, D(0), D(0))


@pytest.mark.parametrize(
    "changes",
    [{"order_type": "price", "remaining_volume": None}, {"order_type": "price", "remaining_volume": 0},
     {"order_type": "best", "remaining_volume": 0}],
)  # fmt: skip
def test_a_fill_of_an_order_by_amount_is_never_known_to_be_the_last(changes: dict[str, Any]) -> None:
    one = report(my_order(**changes))
    assert (one.exec_type, one.ord_status) == (ExecType.TRADE, OrdStatus.PARTIALLY_FILLED)
    assert (one.order_qty, one.ord_type) == (one.cum_qty, OrdType.MARKET)


STATES = [
    ({"state": "wait", "executed_volume": 0, "remaining_volume": 0.0001}, ExecType.NEW, OrdStatus.NEW, "0.0001"),
    ({"state": "wait"}, ExecType.ORDER_STATUS, OrdStatus.PARTIALLY_FILLED, "0.0001"),
    ({"state": "watch", "executed_volume": 0}, ExecType.SUSPENDED, OrdStatus.SUSPENDED, "0.00006"),
    ({"state": "done"}, ExecType.ORDER_STATUS, OrdStatus.FILLED, "0.0001"),
    ({"state": "cancel"}, ExecType.CANCELED, OrdStatus.CANCELED, "0.0001"),
    ({"state": "cancel", "executed_volume": 0}, ExecType.CANCELED, OrdStatus.CANCELED, "0.00006"),
    ({"state": "cancel", "executed_volume": None, "remaining_volume": 0.0001, "volume": 0.0001}, ExecType.CANCELED,
     OrdStatus.CANCELED, "0.0001"),
    ({"state": "cancel", "order_type": "price", "volume": None, "remaining_volume": None}, ExecType.ORDER_STATUS,
     OrdStatus.FILLED, "0.00004"),
    ({"state": "cancel", "order_type": "price", "volume": None, "remaining_volume": None, "executed_volume": 0},
     ExecType.CANCELED, OrdStatus.CANCELED, "0"),
    ({"state": "cancel", "order_type": "best"}, ExecType.CANCELED, OrdStatus.CANCELED, "0.00004"),
    ({"state": "cancel", "order_type": "best", "ask_bid": "ASK"}, ExecType.CANCELED, OrdStatus.CANCELED, "0.0001"),
]  # fmt: skip


@pytest.mark.parametrize("changes, exec_type, status, order_qty", STATES)
def test_states(changes: dict[str, Any], exec_type: ExecType, status: OrdStatus, order_qty: str) -> None:
    one = report(my_order(**(NO_TRADE | changes)))
    assert (one.exec_type, one.ord_status, one.order_qty) == (exec_type, status, D(order_qty))
    assert one.transact_ns == 1767225600210 * MS
    assert (one.trade_id, one.last_qty, one.liquidity) == (None, D(0), Liquidity.UNKNOWN)


def test_the_order_keeps_its_price_outside_fills() -> None:
    assert report(my_order(state="wait", **NO_TRADE)).price == D(155772000)
    assert report(my_order(state="wait", order_type="market", **NO_TRADE)).price is None


def test_what_self_trade_prevention_removed_is_no_fill() -> None:
    """0.0001 ordered, 0.00004 filled, 0.00002 removed: 0.00004 may still trade."""
    one = report(my_order(state="prevented", remaining_volume=0.00004, prevented_volume=0.00002, trade_uuid=None))
    assert (one.exec_type, one.ord_status, one.text) == (
        ExecType.RESTATED,
        OrdStatus.PARTIALLY_FILLED,
        "self-trade prevention",
    )
    assert (one.order_qty, one.cum_qty, one.leaves_qty) == (D("0.00008"), D("0.00004"), D("0.00004"))
    assert (one.trade_id, one.last_qty) == (None, D(0))


def test_a_trade_of_nothing_is_a_state() -> None:
    one = report(my_order(volume=0, executed_volume=0, remaining_volume=0.0001))
    assert (one.exec_type, one.ord_status, one.trade_id, one.last_px) == (
        ExecType.ORDER_STATUS,
        OrdStatus.NEW,
        None,
        D(0),
    )


@pytest.mark.parametrize("trade_uuid", [None, "", ...])
def test_a_fill_that_could_be_counted_twice_is_refused(trade_uuid: object) -> None:
    with pytest.raises(RemoteProtocolError, match="trade_uuid"):
        decode(my_order(trade_uuid=trade_uuid))


def test_an_order_of_somebody_else_has_no_id_of_ours() -> None:
    for identifier in (None, ...):
        assert report(my_order(identifier=identifier)).cl_ord_id == ""


def test_short_names() -> None:
    one = report(SIMPLE_MY_ORDER)
    assert (one.side, one.ord_type, one.ord_status, one.cl_ord_id) == (
        Side.SELL,
        OrdType.MARKET,
        OrdStatus.FILLED,
        "bh000002",
    )
    assert (one.order_qty, one.cum_qty, one.cum_quote, one.price) == (D("0.01"), D("0.01"), D(1557700), None)


@pytest.mark.parametrize("field", ["ask_bid", "order_type", "state"])
def test_unknown_words_are_kept_as_they_came(field: str) -> None:
    event = decode(my_order(**{field: "OF_NEXT_YEAR"}))
    assert isinstance(event, UnrecognizedMessage)
    assert (event.what[0].field, event.what[0].raw) == (field, "OF_NEXT_YEAR")
    assert '"OF_NEXT_YEAR"' in event.raw


@pytest.mark.parametrize("raw", [my_order(), SIMPLE_MY_ORDER, MY_ASSET, SIMPLE_MY_ASSET])
def test_text_frames_other_key_orders_quoted_numbers_and_lists(raw: bytes) -> None:
    event = decode(raw)
    assert decode(raw.decode()) == event
    whole = json.loads(raw, parse_float=str)
    assert decode(json.dumps(dict(reversed(whole.items())))) == event
    assert list(CODEC.decode_private(b"[" + raw + b"," + raw + b"]", RECEIVED_NS)) == [event, event]


# ---- myAsset -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [MY_ASSET, SIMPLE_MY_ASSET])
def test_balances_that_changed(raw: bytes) -> None:
    assert decode(raw) == BalancesChanged(
        ACCOUNT,
        VENUE,
        (Balance(ACCOUNT, VENUE, "KRW", D("984415.0114"), D("15584.9886"), 1767225600001 * MS),),
        False,
        1767225600010 * MS,
    )


@pytest.mark.parametrize(
    "written, free",
    [
        (b"12345.12345678901234567890123", "12345.12345678901234567890123"),
        (b'"0.00000000000000000000001"', "0"),  # 1E-23: less than any amount
        (b"0", "0"),
    ],
)
def test_balances_have_23_decimals(written: bytes, free: str) -> None:
    event = decode(MY_ASSET.replace(b"984415.0114", written))
    assert isinstance(event, BalancesChanged)
    assert str(event.balances[0].free) == free


@pytest.mark.parametrize("written", [b"-1", b'"NaN"', b'"Infinity"', b"1e30", b"null", b'"sNaN"'])
def test_impossible_balances(written: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(MY_ASSET.replace(b"984415.0114", written))


# ---- what is not an event ----------------------------------------------------------------------------------------


def test_replies_of_the_private_socket() -> None:
    error = decode(ERROR)
    assert isinstance(error, Reply)
    assert error.error is not None
    assert error.error.code == "WRONG_FORMAT"
    listed = decode(LISTED)
    assert isinstance(listed, Reply)
    assert listed.request_id == "7"
    assert decode(STATUS) == Reply("", payload={"status": "UP"})
    announcement = decode(b'{"type":"announcement","id":1}')
    assert isinstance(announcement, UnrecognizedMessage)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"7", b"null", b"{}", b'{"type":"myOrder"}', b'{"type":"myAsset"}', b'{"ty":"myOrder"}', b'{"type":5}',
     b"\xff", b"[7]", "\ud800", b"[" * 100_000, my_order(uuid=""), my_order(code=5), my_order(timestamp=-1),
     my_order(price="NaN"), my_order(executed_volume="1e999999999"), my_order(state=None)],
)  # fmt: skip
def test_garbage_is_refused(raw: bytes | str) -> None:
    with pytest.raises(RemoteProtocolError):
        CODEC.decode_private(raw, RECEIVED_NS)


def test_nothing_arrives_on_a_connection_that_does_not_exist() -> None:
    with pytest.raises(RemoteProtocolError, match="no order entry"):
        CODEC.decode_entry(my_order(), RECEIVED_NS)


# ---- answers to order requests -----------------------------------------------------------------------------------


def test_a_new_order_rests() -> None:
    answer = CODEC.decode_rest_order("1", reply(order_row(), 201, {"Remaining-Req": "group=order; min=1; sec=11"}))
    expected = ExecutionReport(
        CL_ORD_ID,
        UUID,
        ACCOUNT,
        StrategyID(""),
        VENUE,
        SYMBOL,
        Side.BUY,
        ExecType.NEW,
        OrdStatus.NEW,
        D("0.0001"),
        D(0),
        CREATED_NS,
        RECEIVED_NS,
        OrdType.LIMIT,
        D(155772000),
    )
    state = OrderState(CL_ORD_ID, UUID, SYMBOL, expected, (), CREATED_NS)
    assert answer == Reply("1", report=state, usage=(Usage("orders", SECOND, 1),))


def state_of(body: object, status: int = 201) -> OrderState:
    answer = CODEC.decode_rest_order("1", reply(body, status))
    assert answer.error is None
    assert answer.report is not None
    return answer.report


@pytest.mark.parametrize(
    "changes, exec_type, status",
    [
        ({"executed_volume": "0.00004"}, ExecType.ORDER_STATUS, OrdStatus.PARTIALLY_FILLED),
        ({"state": "done", "executed_volume": "0.0001"}, ExecType.ORDER_STATUS, OrdStatus.FILLED),
        ({"state": "cancel"}, ExecType.CANCELED, OrdStatus.CANCELED),
        ({"state": "watch"}, ExecType.SUSPENDED, OrdStatus.SUSPENDED),
    ],
)
def test_a_new_order_may_be_answered_in_any_state(
    changes: dict[str, Any], exec_type: ExecType, status: OrdStatus
) -> None:
    found = state_of(order_row(**changes)).report
    assert found is not None
    assert (found.exec_type, found.ord_status) == (exec_type, status)


def test_a_cancel_that_was_taken_is_not_yet_a_cancel() -> None:
    """Section 5.2: the answer still says `wait`; reporting NEW would revive an order that is about to end."""
    assert state_of(order_row(), 200) == OrderState(CL_ORD_ID, UUID, SYMBOL, None)
    assert state_of(order_row(executed_volume="0.00004"), 200).report is None


def test_a_cancel_may_find_the_order_at_its_end() -> None:
    found = state_of(order_row(state="cancel", executed_volume="0.00004"), 200).report
    assert found is not None
    assert (found.exec_type, found.cum_qty, found.leaves_qty) == (ExecType.CANCELED, D("0.00004"), D(0))


def test_a_replacement_answers_for_both_orders() -> None:
    """Section 5.3: the new order is named, and may never come to be."""
    body = order_row(new_order_uuid="new-uuid", new_order_identifier="next1")
    answer = CODEC.decode_rest_order("1", reply(body, 201))
    old, new = answer.parts
    assert old.report == OrderState(CL_ORD_ID, UUID, SYMBOL, None)
    assert new.report == OrderState(ClOrdID("next1"), OrderID("new-uuid"), SYMBOL, None)
    assert (answer.payload, answer.report, answer.error) == ({"orders": 2}, None, None)


BULK = {
    "success": {"count": 2, "orders": [
        {"uuid": "u1", "market": "KRW-BTC"}, {"uuid": "u9", "market": "KRW-BTC", "identifier": "c3"}]},
    "failed": {"count": 1, "orders": [{"uuid": "u2", "market": "KRW-BTC"}]},
}  # fmt: skip


def test_a_mass_cancel_is_counted() -> None:
    assert CODEC.decode_rest_order("1", reply(BULK)).payload == {"orders": 2, "failed": 1}


def test_each_of_several_cancels_has_its_own_answer() -> None:
    orders = [(ClOrdID(f"c{n}"), OrderID(f"u{n}") if n != 3 else None, SYMBOL) for n in (1, 2, 3, 4)]
    answer = CODEC.decode_rest_cancels("1", reply(BULK), orders)
    taken, failed, by_our_id, missing = answer.parts
    assert taken.report == OrderState(ClOrdID("c1"), OrderID("u1"), SYMBOL, None)
    assert failed.error is not None
    assert failed.error.disposition is Disposition.ALREADY_FINAL
    assert by_our_id.report == OrderState(ClOrdID("c3"), OrderID(""), SYMBOL, None)
    assert missing.error is not None
    assert missing.error.disposition is Disposition.UNKNOWN


def test_several_cancels_refused_or_not_understood_as_a_whole() -> None:
    orders = [(CL_ORD_ID, UUID, SYMBOL)]
    refused = CODEC.decode_rest_cancels("1", refusal("validation_error"), orders)
    assert refused.error is not None
    assert refused.error.disposition is Disposition.BUG
    garbage = CODEC.decode_rest_cancels("1", reply(b"<html>"), orders)
    assert garbage.error is not None
    assert garbage.error.disposition is Disposition.UNKNOWN


@pytest.mark.parametrize("answer", [refusal("internal_server_error", 500), reply(b"<html>", 502), reply(b"", 504),
                                    refusal("of_next_year", 400), refusal("duplicated_identifier", 400)])  # fmt: skip
def test_an_order_request_that_may_have_been_carried_out_is_in_doubt(answer: HttpReply) -> None:
    orders = [(CL_ORD_ID, UUID, SYMBOL)]
    for got in (CODEC.decode_rest_order("1", answer), CODEC.decode_rest_cancels("1", answer, orders)):
        assert got.error is not None
        assert got.error.disposition is Disposition.UNKNOWN
    found = CODEC.decode_order_status(answer)
    assert isinstance(found, VenueError)
    assert found.disposition is Disposition.UNKNOWN


def test_refusals() -> None:
    answer = CODEC.decode_rest_order("1", refusal("insufficient_funds_bid", text="not enough"))
    assert answer.error == VenueError(
        Disposition.REJECTED, "insufficient_funds_bid", "not enough", OrdRejReason.INSUFFICIENT_BALANCE
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"{}", b"[]", b"null", b'{"success":5}', order_row(state="OF_NEXT_YEAR"), order_row(uuid=...),
     order_row(side="both"), order_row(volume="NaN"), order_row(created_at="yesterday"),
     order_row(created_at="2026-01-01T09:00:00"), order_row(executed_volume="1e99")],
)  # fmt: skip
@pytest.mark.parametrize("status", [200, 201])
def test_an_answer_that_cannot_be_read_proves_nothing(body: object, status: int) -> None:
    answer = CODEC.decode_rest_order("1", reply(body, status))
    assert answer.error is not None
    assert answer.error.disposition is Disposition.UNKNOWN


# ---- queries -----------------------------------------------------------------------------------------------------


def test_the_state_of_an_order() -> None:
    found = CODEC.decode_order_status(reply(order_row(executed_volume="0.00004", trades=[trade_row()])))
    assert isinstance(found, ExecutionReport)
    assert (found.exec_type, found.ord_status) == (ExecType.ORDER_STATUS, OrdStatus.PARTIALLY_FILLED)
    assert (found.order_qty, found.cum_qty, found.cum_quote) == (D("0.0001"), D("0.00004"), D("6230.88"))
    assert found.transact_ns == CREATED_NS + 200 * MS  # of the last fill


def test_an_order_that_is_not_there() -> None:
    found = CODEC.decode_order_status(refusal("order_not_found", 404))
    assert isinstance(found, VenueError)
    assert found.disposition is Disposition.NOT_FOUND


def test_a_market_buy_that_ends_in_cancel_with_fills_was_filled() -> None:
    """Section 5.1: 10,000 KRW at 30,000 buy 0.33333333; the rest of the money cannot buy anything."""
    row = order_row(
        ord_type="price", price="10000", state="cancel", volume=..., remaining_volume=..., executed_volume="0.33333333",
        executed_funds="9999.9999",
    )  # fmt: skip
    (found,) = CODEC.decode_open_orders(reply([row]))
    assert (found.ord_status, found.order_qty, found.cum_qty) == (OrdStatus.FILLED, D("0.33333333"), D("0.33333333"))
    assert (found.ord_type, found.price, found.cum_quote) == (OrdType.MARKET, None, D("9999.9999"))


def test_a_prevented_order_keeps_its_price() -> None:
    """Section 6.8: in `trade` alone price and volume are those of the fill."""
    assert report(my_order(state="prevented", **NO_TRADE)).price == D(155772000)
    assert report(my_order()).price is None


def test_what_was_filled_is_said_or_follows_and_is_never_guessed() -> None:
    """A missing number is not 0: with `volume`, what is left and what was prevented it follows (section 10)."""
    told = {"volume": 0.0001, "remaining_volume": 0.00003, "prevented_volume": 0.00001, "executed_volume": None}
    assert report(my_order(state="cancel", **NO_TRADE | told)).cum_qty == D("0.00006")
    row = order_row(remaining_volume="0.00003", prevented_volume="0.00001", executed_volume=...)
    (found,) = CODEC.decode_open_orders(reply([row]))
    assert (found.cum_qty, found.ord_status) == (D("0.00006"), OrdStatus.PARTIALLY_FILLED)
    for spoiled in (my_order(executed_volume=None), my_order(state="done", **NO_TRADE | told | {"volume": None})):
        with pytest.raises(RemoteProtocolError, match="executed_volume is missing"):
            CODEC.decode_private(spoiled, RECEIVED_NS)
    with pytest.raises(RemoteProtocolError, match="executed_volume is missing"):
        CODEC.decode_open_orders(reply([order_row(remaining_volume=..., executed_volume=...)]))


NUMBERS = ("order_qty", "cum_qty", "last_qty", "last_px", "cum_quote", "fee", "price", "symbol", "side", "ord_status")


@pytest.mark.parametrize("absent", [None, ...])
@pytest.mark.parametrize("name", sorted(msgspec.json.decode(my_order())))
def test_a_field_of_an_event_that_is_not_there_changes_no_number(name: str, absent: Any) -> None:
    """It is refused, or it says the same in another way; 0 instead of a number would be booked."""
    of_order = {**NO_TRADE, "volume": 0.0001}
    for state in ({}, {"state": "cancel", **of_order}, {"state": "wait", **of_order}):
        whole = report(my_order(**state))
        try:
            (found,) = CODEC.decode_private(my_order(**state | {name: absent}), RECEIVED_NS)
        except RemoteProtocolError:
            continue  # refused: nothing is booked
        assert isinstance(found, ExecutionReport)
        changed = {each for each in NUMBERS if getattr(found, each) != getattr(whole, each)}
        assert changed <= ({"price"} if name == "price" else set())


@pytest.mark.parametrize("absent", [None, ...])
@pytest.mark.parametrize("name", sorted(order_row()))
def test_a_field_of_an_order_that_is_not_there_changes_no_number(name: str, absent: Any) -> None:
    filled = {"executed_volume": "0.00004", "remaining_volume": "0.00006", "trades": [trade_row()], "paid_fee": "3.1"}
    for read in (lambda answer: CODEC.decode_fills(SYMBOL, answer), lambda answer: [CODEC.decode_order_status(answer)]):
        (whole,) = read(reply(order_row(**filled)))
        try:
            (found,) = read(reply(order_row(**filled | {name: absent})))
        except RemoteProtocolError:
            continue  # refused: nothing is booked
        assert isinstance(found, ExecutionReport)
        changed = {each for each in NUMBERS if getattr(found, each) != getattr(whole, each)}
        assert changed <= ({"price"} if name == "price" else set())


@pytest.mark.parametrize("trades", [[], None, ...])
def test_an_order_without_trades_may_say_so_in_any_way(trades: Any) -> None:
    answer = reply(order_row(trades=trades))
    assert CODEC.decode_fills(SYMBOL, answer) == ()
    assert isinstance(CODEC.decode_order_status(answer), ExecutionReport)


def test_prevented_volume_is_taken_off() -> None:
    """Strings and numbers both occur (section 5.1)."""
    for prevented in ("0.00002", 0.00002):
        (found,) = CODEC.decode_open_orders(reply([order_row(prevented_volume=prevented, executed_volume="0.00004")]))
        assert (found.order_qty, found.leaves_qty) == (D("0.00008"), D("0.00004"))


def test_open_orders_of_others_are_shown_too() -> None:
    mine, other = CODEC.decode_open_orders(reply([order_row(), order_row(uuid="other", identifier=..., state="watch")]))
    assert (mine.cl_ord_id, other.cl_ord_id, other.ord_status) == (CL_ORD_ID, "", OrdStatus.SUSPENDED)


@pytest.mark.parametrize("changes", [{"state": "OF_NEXT_YEAR"}, {"side": "both"}, {"ord_type": "stop"}])
def test_a_picture_with_a_hole_is_no_picture(changes: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError, match="unknown word"):
        CODEC.decode_open_orders(reply([order_row(), order_row(**changes)]))
    with pytest.raises(RemoteProtocolError, match="unknown word"):
        CODEC.decode_order_status(reply(order_row(**changes)))
    with pytest.raises(RemoteProtocolError, match="unknown word"):
        CODEC.decode_fills(SYMBOL, reply(order_row(**changes)))


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", [5], [{"uuid": "x"}], [{"currency": "KRW"}]])
@pytest.mark.parametrize("read", [CODEC.decode_open_orders, CODEC.decode_balances, CODEC.decode_order_status])
def test_answers_that_are_none(read: Callable[[HttpReply], object], body: object) -> None:
    with pytest.raises(RemoteProtocolError, match="answer refused"):
        read(reply(body))


class TestFills:
    def test_oldest_first_with_running_totals_and_shares_of_the_fee(self) -> None:
        rows = [
            trade_row(uuid="t2", volume="0.00006", price="155771000", funds="9346.26",
                      created_at="2026-01-01T09:00:01+09:00"),
            trade_row(uuid="t1"),
        ]  # fmt: skip
        row = order_row(state="done", executed_volume="0.0001", paid_fee="7.78857", trades=rows)
        first, second = CODEC.decode_fills(SYMBOL, reply(row))
        assert (first.trade_id, first.last_qty, first.last_px) == ("t1", D("0.00004"), D(155772000))
        assert (first.cum_qty, first.cum_quote, first.ord_status) == (
            D("0.00004"),
            D("6230.88"),
            OrdStatus.PARTIALLY_FILLED,
        )
        assert (second.cum_qty, second.cum_quote, second.ord_status) == (
            D("0.0001"),
            D("15577.14"),
            OrdStatus.FILLED,
        )
        assert (first.fee, second.fee, first.fee_asset) == (D("3.11544"), D("4.67313"), "KRW")
        assert {first.exec_type, second.exec_type} == {ExecType.TRADE}
        assert (first.cl_ord_id, first.order_id, first.order_qty, first.price) == (
            CL_ORD_ID,
            UUID,
            D("0.0001"),
            D(155772000),
        )
        assert (first.transact_ns, second.transact_ns) == (CREATED_NS + 200 * MS, CREATED_NS + SECOND)

    def test_a_list_that_is_shorter_than_the_order_bears_its_part_of_the_fee(self) -> None:
        row = order_row(executed_volume="0.0001", paid_fee="7.7886", trades=[trade_row()])
        (fill,) = CODEC.decode_fills(SYMBOL, reply(row))
        assert fill.fee == D("3.11544")

    @given(
        st.lists(st.decimals("0.00000001", "1000", places=8), min_size=1, max_size=12),
        st.decimals("0", "100000", places=8),
    )
    def test_fees_add_up_to_the_last_digit(self, volumes: list[Decimal], paid: Decimal) -> None:
        rows = [trade_row(uuid=str(n), volume=str(v), funds=str(v * 7)) for n, v in enumerate(volumes)]
        row = order_row(volume="100000", executed_volume=str(sum(volumes)), paid_fee=str(paid), trades=rows)
        fills = CODEC.decode_fills(SYMBOL, reply(row))
        assert sum(fill.fee for fill in fills) == paid
        assert all(fill.fee >= 0 for fill in fills)
        assert fills[-1].cum_qty == sum(volumes)

    def test_no_trades_no_fills(self) -> None:
        assert CODEC.decode_fills(SYMBOL, reply(order_row())) == ()
        assert CODEC.decode_fills(SYMBOL, reply(order_row(trades=[]))) == ()

    def test_a_trade_of_nothing_is_no_fill(self) -> None:
        assert CODEC.decode_fills(SYMBOL, reply(order_row(trades=[trade_row(volume="0", funds="0")]))) == ()

    def test_fills_of_another_market_are_refused(self) -> None:
        with pytest.raises(RemoteProtocolError, match="KRW-ETH"):
            CODEC.decode_fills(ETH, reply(order_row()))

    def test_the_stream_and_rest_name_a_fill_alike(self) -> None:
        """Or it would be counted twice after a reconnect."""
        (by_rest,) = CODEC.decode_fills(SYMBOL, reply(order_row(executed_volume="0.00004", trades=[trade_row()])))
        by_stream = report(my_order())
        assert (by_rest.order_id, by_rest.trade_id) == (by_stream.order_id, by_stream.trade_id)
        assert (by_rest.last_qty, by_rest.last_px, by_rest.transact_ns) == (
            by_stream.last_qty,
            by_stream.last_px,
            by_stream.transact_ns,
        )


def test_balances() -> None:
    rows = [
        {"currency": "KRW", "balance": "1000000.0", "locked": "0.0", "avg_buy_price": "0", "unit_currency": "KRW"},
        {"currency": "BTC", "balance": "0.12345678901234567890123", "locked": 2},
    ]
    assert CODEC.decode_balances(reply(rows)) == (
        Balance(ACCOUNT, VENUE, "KRW", D(1000000), D(0), RECEIVED_NS),
        Balance(ACCOUNT, VENUE, "BTC", D("0.12345678901234567890123"), D(2), RECEIVED_NS),
    )


def test_usage_and_names() -> None:
    answer = reply([], headers={"remaining-req": "sec=28; group=default"})
    assert CODEC.usage(answer) == (Usage("default", SECOND, 2),)
    assert CODEC.other_names(CL_ORD_ID) == ()


@pytest.mark.parametrize("read", ["decode_open_orders", "decode_balances"])
def test_a_refused_query_is_no_picture(read: str) -> None:
    with pytest.raises(RemoteProtocolError, match="HTTP 500"):
        getattr(CODEC, read)(refusal("internal_server_error", 500))


# ---- times -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, utc, at_ns",
    [
        ("2026-01-01T09:00:00+09:00", False, CREATED_NS),
        ("2026-01-01T09:00:00.123+09:00", False, CREATED_NS + 123 * MS),
        ("2026-01-01T00:00:00.000+0000", False, CREATED_NS),
        ("2026-01-01T00:00:00Z", False, CREATED_NS),
        ("2026-01-01T00:00:00", True, CREATED_NS),
    ],
)
def test_times_as_text(text: str, utc: bool, at_ns: int) -> None:
    assert iso_ns(text, utc=utc) == at_ns


@pytest.mark.parametrize(
    "text, utc",
    [("2026-01-01T00:00:00", False), ("2026-01-01T00:00:00Z", True), ("", False), ("x" * 41, False),
     ("1969-12-31T23:59:59Z", False), ("0001-01-01T00:00:00+09:00", False), ("9999-12-31T23:59:59Z", False)],
)  # fmt: skip
def test_no_times(text: str, utc: bool) -> None:
    with pytest.raises(RemoteProtocolError):
        iso_ns(text, utc=utc)


def test_events_do_not_share_state() -> None:
    """The codec is sans-I/O and keeps nothing of what it read."""
    before = report(my_order())
    CODEC.decode_private(msgspec.json.encode(msgspec.json.decode(my_order(uuid="other"))), RECEIVED_NS)
    assert report(my_order()) == before
