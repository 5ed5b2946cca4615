"""The matching engine's rules one by one: types, lifetimes, icebergs, stops, self-trades, amends, fees."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.simulator.exchange_kit import D, Kit
from tools.simulator.core import outside
from tools.simulator.core.model import (
    ExecType,
    Order,
    OrdStatus,
    OrdType,
    Reject,
    RejectReason,
    StpMode,
    TimeInForce,
    Trade,
)


def test_price_first_then_time() -> None:
    kit = Kit()
    a, b = kit.account("a"), kit.account("b")
    late_better = kit.order(a, "SELL", "1", "99")
    first = kit.place(a, "SELL", "1", "100")
    second = kit.place(a, "SELL", "1", "100")
    kit.exchange.submit(late_better)
    kit.place(b, "BUY", "1.5", "100")
    assert (late_better.cum_qty, first.cum_qty, second.cum_qty) == (D(1), D("0.5"), D(0))
    assert [trade.price for trade in kit.heard.prints] == [99, 100]


def test_taker_gets_the_makers_price_and_the_difference_back() -> None:
    kit = Kit(rate="0")
    seller, buyer = kit.account("s"), kit.account("b", usdt="1000")
    kit.place(seller, "SELL", "1", "90")
    order = kit.place(buyer, "BUY", "2", "100")
    assert order.ord_status is OrdStatus.PARTIALLY_FILLED
    usdt = buyer.balance("USDT")
    assert (usdt.free, usdt.locked) == (D("810"), D("100"))


def test_commission_is_taken_from_what_is_received() -> None:
    kit = Kit(rate="0.001")
    seller, buyer = kit.account("s", btc="1", usdt="0"), kit.account("b", btc="0", usdt="100")
    kit.place(seller, "SELL", "1", "100")
    kit.place(buyer, "BUY", "1", "100")
    assert buyer.balance("BTC").free == D("0.999")
    assert seller.balance("USDT").free == D("99.9")
    with pytest.raises(Reject) as caught:
        kit.place(buyer, "SELL", "1", "100")
    assert caught.value.reason is RejectReason.INSUFFICIENT_BALANCE
    assert kit.heard.story(caught.value.order.cl_ord_id) == ["REJECTED"]  # type: ignore[union-attr]


def test_lifetimes() -> None:
    kit = Kit()
    a, b = kit.account("a"), kit.account("b")
    kit.place(a, "SELL", "1", "100")
    fok = kit.place(b, "BUY", "2", "100", time_in_force=TimeInForce.FOK)
    assert (fok.ord_status, fok.cum_qty, fok.expiry_reason) == (OrdStatus.EXPIRED, D(0), "UNFILLED_FOK_ORDER_EXPIRED")
    ioc = kit.place(b, "BUY", "2", "100", time_in_force=TimeInForce.IOC)
    assert (ioc.ord_status, ioc.cum_qty, ioc.expiry_reason) == (
        OrdStatus.EXPIRED,
        D(1),
        "UNFILLED_IOC_QUANTITY_EXPIRED",
    )
    empty = kit.place(b, "BUY", "1")
    assert (empty.ord_status, empty.expiry_reason) == (OrdStatus.EXPIRED, "INSUFFICIENT_LIQUIDITY")
    assert b.balance("USDT").locked == 0


def test_post_only_is_refused_when_it_would_match() -> None:
    kit = Kit()
    a, b = kit.account("a"), kit.account("b")
    kit.place(a, "SELL", "1", "100")
    with pytest.raises(Reject) as caught:
        kit.place(b, "BUY", "1", "100", ord_type=OrdType.LIMIT_MAKER)
    assert caught.value.reason is RejectReason.WOULD_MATCH
    assert kit.place(b, "BUY", "1", "99.99", ord_type=OrdType.LIMIT_MAKER).ord_status is OrdStatus.NEW


def test_market_buy_by_quote_amount() -> None:
    kit = Kit(rate="0")
    a, b = kit.account("a"), kit.account("b", usdt="1000")
    kit.place(a, "SELL", "1", "100")
    kit.place(a, "SELL", "5", "200")
    order = kit.place(b, "BUY", "0", quote_order_qty=D("250"))
    assert (order.ord_status, order.cum_qty, order.cum_quote) == (OrdStatus.FILLED, D("1.75"), D("250"))
    assert order.order_qty == order.cum_qty
    assert b.balance("USDT").free == 750
    rest = kit.place(b, "BUY", "0", quote_order_qty=D("750"))
    assert (rest.ord_status, rest.cum_qty, b.balance("USDT").total) == (OrdStatus.FILLED, D("3.75"), D(0))


def test_quote_amount_beyond_the_book_expires() -> None:
    kit = Kit(rate="0")
    a, b = kit.account("a"), kit.account("b", usdt="1000")
    kit.place(a, "SELL", "1", "100")
    order = kit.place(b, "BUY", "0", quote_order_qty=D("500"))
    assert (order.ord_status, order.cum_qty) == (OrdStatus.EXPIRED, D(1))
    assert b.balance("USDT").free == 900


def test_iceberg_shows_a_slice_and_requeues_it() -> None:
    kit = Kit()
    a, b = kit.account("a"), kit.account("b")
    iceberg = kit.place(a, "SELL", "3", "100", iceberg_qty=D(1))
    plain = kit.place(a, "SELL", "1", "100")
    assert kit.asks() == [("100", "2")]
    kit.place(b, "BUY", "1.5", "100")
    assert (iceberg.cum_qty, plain.cum_qty) == (D(1), D("0.5"))
    assert kit.asks() == [("100", "1.5")]  # half of the plain one, and the iceberg's new slice behind it
    kit.place(b, "BUY", "1", "100")
    assert (iceberg.cum_qty, plain.cum_qty) == (D("1.5"), D(1))


@pytest.mark.parametrize(
    "mode,taker_status,maker_status,resting",
    [
        (StpMode.NONE, OrdStatus.PARTIALLY_FILLED, OrdStatus.FILLED, "1"),
        (StpMode.EXPIRE_TAKER, OrdStatus.EXPIRED_IN_MATCH, OrdStatus.NEW, "2"),
        (StpMode.EXPIRE_MAKER, OrdStatus.NEW, OrdStatus.EXPIRED_IN_MATCH, "3"),
        (StpMode.EXPIRE_BOTH, OrdStatus.EXPIRED_IN_MATCH, OrdStatus.EXPIRED_IN_MATCH, None),
        (StpMode.DECREMENT, OrdStatus.NEW, OrdStatus.EXPIRED_IN_MATCH, "1"),
    ],
)
def test_self_trade_prevention(
    mode: StpMode, taker_status: OrdStatus, maker_status: OrdStatus, resting: str | None
) -> None:
    kit = Kit()
    a = kit.account("a")
    maker = kit.place(a, "SELL", "2", "100")
    taker = kit.place(a, "BUY", "3", "100", stp_mode=mode)
    assert (taker.ord_status, maker.ord_status) == (taker_status, maker_status)
    assert [qty for _, qty in kit.bids() + kit.asks()] == ([resting] if resting else [])
    if mode is not StpMode.NONE:
        assert taker.cum_qty == maker.cum_qty == 0
        prevented = [execution for _, kind, _, execution in kit.heard.executions if kind is ExecType.TRADE_PREVENTION]
        assert all(execution.fill is None for execution in prevented)
        assert {execution.prevented_match_id for execution in prevented} == {taker.prevented_match_id or 2}


def test_transfer_moves_assets_between_grouped_accounts_without_a_trade() -> None:
    kit = Kit()
    a, b = kit.account("a", group=7, usdt="0", btc="2"), kit.account("b", group=7, usdt="500", btc="0")
    maker = kit.place(a, "SELL", "2", "100", stp_mode=StpMode.TRANSFER)
    taker = kit.place(b, "BUY", "3", "100", stp_mode=StpMode.TRANSFER)
    assert maker.ord_status is OrdStatus.EXPIRED_IN_MATCH
    assert (taker.prevented_qty, taker.cum_qty, taker.leaves_qty) == (D(2), D(0), D(1))
    assert (b.balance("BTC").free, b.balance("USDT").free, b.balance("USDT").locked) == (D(2), D(200), D(100))
    assert a.balance("USDT").free == 200
    assert not kit.heard.prints


def test_accounts_of_one_group_do_not_trade_with_each_other() -> None:
    kit = Kit()
    a, b = kit.account("a", group=7), kit.account("b", group=7)
    maker = kit.place(a, "SELL", "1", "100")
    taker = kit.place(b, "BUY", "1", "100", stp_mode=StpMode.EXPIRE_TAKER)
    assert (maker.ord_status, taker.ord_status) == (OrdStatus.NEW, OrdStatus.EXPIRED_IN_MATCH)


def test_fill_or_kill_does_not_count_what_prevention_would_take_away() -> None:
    kit = Kit()
    a, b = kit.account("a"), kit.account("b")
    own = kit.place(a, "SELL", "1", "100")
    other = kit.place(b, "SELL", "1", "100")
    fok = kit.place(a, "BUY", "2", "100", time_in_force=TimeInForce.FOK, stp_mode=StpMode.EXPIRE_MAKER)
    assert fok.ord_status is OrdStatus.EXPIRED
    assert (own.ord_status, other.cum_qty) == (OrdStatus.NEW, D(0))


def set_last(kit: Kit, price: str) -> None:
    """Make the market print at a price, between two others."""
    street = kit.exchange
    outside.quote(street, "BTCUSDT", kit.order(None, "SELL", "1", price).side, D("0.001"), D(price))
    outside.trade(street, "BTCUSDT", kit.order(None, "BUY", "1", price).side, D("0.001"), D(price))


def market_was_entered(kit: Kit, order: Order) -> bool:
    """Has the stop woken? It is then no longer among those that wait."""
    return order.is_working and order.order_id not in kit.market.stops


@pytest.mark.parametrize(
    "ord_type,side,stop,quiet,wake",
    [
        (OrdType.STOP_LOSS, "BUY", "110", "109.99", "110"),
        (OrdType.STOP_LOSS, "SELL", "90", "90.01", "90"),
        (OrdType.TAKE_PROFIT, "SELL", "110", "109.99", "110"),
        (OrdType.TAKE_PROFIT, "BUY", "90", "90.01", "90"),
    ],
)
def test_stop_orders_wait_for_the_last_price(ord_type: OrdType, side: str, stop: str, quiet: str, wake: str) -> None:
    kit = Kit()
    a = kit.account("a")
    set_last(kit, "100")
    order = kit.place(a, side, "1", ord_type=ord_type, stop_px=D(stop))
    assert (kit.bids(), kit.asks()) == ([], [])
    set_last(kit, quiet)
    assert not market_was_entered(kit, order)
    outside.quote(kit.exchange, "BTCUSDT", order.side.opposite, D(5), D(stop) + (1 if side == "BUY" else -1))
    set_last(kit, wake)
    assert market_was_entered(kit, order)
    assert order.ord_status is OrdStatus.FILLED
    assert kit.heard.story(order.cl_ord_id) == ["NEW", "NEW", "TRADE"]
    with pytest.raises(Reject) as caught:
        kit.place(a, side, "1", ord_type=ord_type, stop_px=kit.market.last_px)
    assert caught.value.reason is RejectReason.WOULD_TRIGGER


def test_stop_limit_rests_after_its_trigger() -> None:
    kit = Kit()
    a = kit.account("a")
    set_last(kit, "100")
    order = kit.place(a, "BUY", "1", "95", ord_type=OrdType.STOP_LOSS_LIMIT, stop_px=D("110"))
    assert a.balance("USDT").locked == 95
    set_last(kit, "111")
    assert kit.bids() == [("95", "1")]
    assert order.is_working


def test_trailing_stop_follows_and_turns() -> None:
    kit = Kit()
    a = kit.account("a")
    set_last(kit, "100")
    order = kit.place(a, "SELL", "1", "50", ord_type=OrdType.STOP_LOSS_LIMIT, trailing_delta=100)
    for price in ("105", "110", "109", "108.91"):
        set_last(kit, price)
        assert not order.is_working
    set_last(kit, "108.9")  # one percent below the top of 110
    assert order.is_working


def test_cascading_stops_all_fire_in_one_action() -> None:
    kit = Kit()
    a = kit.account("a")
    set_last(kit, "100")
    for price in ("99", "98", "97"):
        outside.quote(kit.exchange, "BTCUSDT", kit.order(None, "BUY", "1", price).side, D(1), D(price))
    first = kit.place(a, "SELL", "1", ord_type=OrdType.STOP_LOSS, stop_px=D("99"))
    second = kit.place(a, "SELL", "1", ord_type=OrdType.STOP_LOSS, stop_px=D("98"))
    outside.trade(kit.exchange, "BTCUSDT", first.side, D("0.5"), None)
    assert (first.ord_status, second.ord_status) == (OrdStatus.FILLED, OrdStatus.FILLED)


def test_amend_keeps_priority_and_releases_money() -> None:
    kit = Kit()
    a, b = kit.account("a"), kit.account("b")
    first = kit.place(a, "BUY", "5", "100")
    second = kit.place(a, "BUY", "5", "100")
    kit.exchange.amend(first, D(2), first.cl_ord_id)
    assert a.balance("USDT").locked == 700
    kit.place(b, "SELL", "3", "100")
    assert (first.cum_qty, second.cum_qty) == (D(2), D(1))
    for qty, reason in ((D(5), RejectReason.AMEND_NO_CHANGE), (D(6), RejectReason.AMEND_INCREASE)):
        with pytest.raises(Reject) as caught:
            kit.exchange.amend(second, qty, "x")
        assert caught.value.reason is reason
    kit.exchange.amend(second, D(1), "ended")
    assert (second.ord_status, second.cl_ord_id) == (OrdStatus.EXPIRED, "ended")
    assert a.balance("USDT").locked == 0


def test_refused_orders_change_nothing() -> None:
    kit = Kit()
    poor = kit.account("poor", usdt="99", btc="0")
    with pytest.raises(Reject):
        kit.place(poor, "BUY", "1", "100")
    assert (poor.balance("USDT").free, poor.balance("USDT").locked) == (D(99), D(0))
    assert not poor.open_orders
    assert kit.market.update_id == 1
    zero = kit.order(poor, "BUY", "0", "100")
    with pytest.raises(Reject) as caught:
        kit.exchange.submit(zero)
    assert caught.value.reason is RejectReason.ZERO_NOTIONAL


# -------------------------------------------------------------------------------------------- recorded markets
def recorded() -> Kit:
    kit = Kit(publishes_queue=False)
    for price, qty in (("100", "1"), ("101", "2")):
        kit.market.book.asks.set_displayed(D(price), D(qty))
    for price, qty in (("99", "1"), ("98", "2")):
        kit.market.book.bids.set_displayed(D(price), D(qty))
    return kit


def print_at(kit: Kit, price: str, qty: str, *, seller: bool) -> None:
    outside.recorded_trade(
        kit.exchange,
        Trade(
            symbol="BTCUSDT",
            trade_id=1,
            price=D(price),
            qty=D(qty),
            quote_qty=Decimal(0),
            time_ns=1,
            buyer_is_maker=seller,
        ),
    )


def test_taker_uses_displayed_liquidity_once() -> None:
    kit = recorded()
    a = kit.account("a")
    taker = kit.place(a, "BUY", "2", "101")
    assert (taker.cum_qty, taker.cum_quote) == (D(2), D("201"))
    again = kit.place(a, "BUY", "2", "101")
    assert (again.cum_qty, again.ord_status) == (D(1), OrdStatus.PARTIALLY_FILLED)
    assert kit.asks() == [("100", "1"), ("101", "2")]  # the public picture is the recording's
    assert kit.heard.prints == []


def test_maker_fills_when_the_recording_trades_at_or_through() -> None:
    kit = recorded()
    a = kit.account("a")
    better = kit.place(a, "BUY", "3", "99.5")
    first = kit.place(a, "BUY", "1", "99")
    second = kit.place(a, "BUY", "1", "99")
    print_at(kit, "99", "1.5", seller=False)
    assert better.cum_qty == 0  # the aggressor bought: nothing for buyers
    print_at(kit, "99", "1.5", seller=True)
    assert (better.cum_qty, first.cum_qty, second.cum_qty) == (D(3), D(1), D("0.5"))
    assert kit.market.last_px == 99


def test_maker_fills_when_the_recorded_book_moves_across_it() -> None:
    kit = recorded()
    a = kit.account("a")
    order = kit.place(a, "BUY", "3", "99.5")
    kit.market.book.asks.set_displayed(D("99.4"), D("1"))
    outside.recorded_book_moved(kit.exchange, kit.market)
    assert order.cum_qty == 1
    assert a.fills["BTCUSDT"][0].trade.price == D("99.5")
    outside.recorded_book_moved(kit.exchange, kit.market)
    assert order.cum_qty == 1  # the same displayed quantity is not there twice
    kit.market.book.asks.set_displayed(D("99.4"), D("5"))
    outside.recorded_book_moved(kit.exchange, kit.market)
    assert order.ord_status is OrdStatus.FILLED
