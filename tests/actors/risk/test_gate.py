"""The decision: every reason to refuse, its text, and what always passes."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest

from actors.risk.gate import DAY_NS
from protocols.enums import ExecInst, OrdType, Side, TimeInForce, TradingState
from protocols.enums import OrdRejReason as Why
from protocols.ids import StrategyID, Symbol
from protocols.instruments import InstrumentStatus, PriceStep, Product
from tests.actors.risk.world import (
    BTC,
    ETH,
    MASTER,
    SECOND,
    SECOND_NS,
    VENUE,
    D,
    GateWorld,
    account_world,
    fill,
    firm_world,
    instrument,
    only,
    order,
    report,
    wide,
)

BUY, SELL = Side.BUY, Side.SELL


# ---- what concerns every order -------------------------------------------------------------------------------------


def test_an_order_within_all_limits_passes_and_is_reserved() -> None:
    world = account_world()
    wish = world.expect_pass(order(BUY, "2", "100"))
    (row,) = [row for row in world.exposure.rows() if row.qty]
    assert (row.buy.qty, row.qty, row.worth) == (D(2), D(2), D(202))  # valued at the ask, 101
    assert list(world.exposure.orders) == [wish.cl_ord_id]


def test_nothing_passes_when_halted_not_even_a_reduction() -> None:
    world = account_world()
    world.hold("5")
    world.gate.state = TradingState.HALTED
    world.expect_refusal(order(BUY), Why.HALTED, MASTER, "halted")
    world.expect_refusal(order(SELL, "1"), Why.HALTED)


def test_nothing_passes_while_the_journal_cannot_write() -> None:
    world = account_world()
    world.hold("5")
    world.gate.journal_healthy = False
    world.expect_refusal(order(BUY), Why.JOURNAL, "journal")
    world.expect_refusal(order(SELL), Why.JOURNAL)


def test_an_id_is_used_once_while_live_and_after() -> None:
    world = account_world()
    wish = world.expect_pass(order())
    world.expect_refusal(order(cl_ord_id=wish.cl_ord_id), Why.DUPLICATE_CL_ORD_ID, wish.cl_ord_id)
    world.exposure.report(fill(wish, "1"))
    world.expect_refusal(order(cl_ord_id=wish.cl_ord_id), Why.DUPLICATE_CL_ORD_ID, wish.cl_ord_id)


def test_an_unknown_symbol_is_refused() -> None:
    world = account_world()
    world.expect_refusal(order(symbol=Symbol("XRPUSDT")), Why.UNKNOWN_INSTRUMENT, "XRPUSDT", VENUE)
    world.exposure.market(VENUE, Symbol("XRPUSDT"))  # known by a quote alone is not known
    world.expect_refusal(order(symbol=Symbol("XRPUSDT")), Why.UNKNOWN_INSTRUMENT)


# ---- numbers that the venue cannot accept (the firm's gate sees every order first) ----------------------------------


@pytest.mark.parametrize("status", [InstrumentStatus.HALTED, InstrumentStatus.CANCEL_ONLY])
def test_a_symbol_that_does_not_trade_takes_no_orders(status: InstrumentStatus) -> None:
    world = firm_world()
    world.exposure.set_instrument(instrument(status=status))
    world.expect_refusal(order(), Why.NOT_TRADABLE, BTC)


def test_a_symbol_that_the_stream_says_is_halted_takes_no_orders() -> None:
    world = firm_world()
    world.exposure.market(VENUE, BTC).halted = True
    world.expect_refusal(order(), Why.NOT_TRADABLE)


def test_kinds_that_the_venue_does_not_know_are_refused() -> None:
    world = firm_world()
    world.exposure.set_instrument(instrument(ord_types=frozenset({OrdType.LIMIT})))
    world.expect_refusal(order(price=None), Why.UNSUPPORTED, "MARKET")
    world.expect_refusal(order(time_in_force=TimeInForce.DAY), Why.UNSUPPORTED, "DAY")
    world.expect_pass(order(time_in_force=TimeInForce.IOC))


def test_the_lifetime_of_a_market_order_does_not_matter() -> None:
    world = firm_world()
    world.exposure.set_instrument(instrument(times_in_force=frozenset({TimeInForce.IOC})))
    world.expect_pass(order(price=None))


def test_inverse_contracts_are_not_valued_and_not_traded() -> None:
    world = firm_world()
    world.exposure.set_instrument(instrument(product=Product.INVERSE))
    world.expect_refusal(order(), Why.UNSUPPORTED, "inverse")
    account = account_world()
    account.exposure.set_instrument(instrument(product=Product.INVERSE))
    account.expect_refusal(order(), Why.UNSUPPORTED, "cannot be valued")


@pytest.mark.parametrize("qty", ["0", "-1", "0.0005", "9001", "1.0001", "NaN", "Infinity"])
def test_impossible_quantities(qty: str) -> None:
    world = firm_world()
    world.expect_refusal(order(qty=qty), Why.BAD_QUANTITY, "order_qty", qty)
    world.expect_refusal(order(qty=qty, price=None), Why.BAD_QUANTITY)


@pytest.mark.parametrize("price", ["0", "-1", "0.001", "200000", "100.001", "NaN", "Infinity"])
def test_impossible_prices(price: str) -> None:
    firm_world().expect_refusal(order(price=price), Why.BAD_PRICE, "price", price)


def test_a_limit_order_needs_its_price_and_a_stop_its_trigger() -> None:
    world = firm_world()
    world.expect_refusal(order(price=None, ord_type=OrdType.LIMIT), Why.BAD_PRICE, "price was None")
    world.expect_refusal(order(price=None, ord_type=OrdType.STOP), Why.BAD_PRICE, "stop_px was None")
    world.expect_refusal(order(ord_type=OrdType.STOP_LIMIT, stop_px=D("NaN")), Why.BAD_PRICE, "stop_px was NaN")
    world.expect_refusal(order(ord_type=OrdType.STOP_LIMIT, stop_px=D("100.001")), Why.BAD_PRICE, "stop_px")
    world.expect_pass(order(ord_type=OrdType.STOP_LIMIT, stop_px=D("100.01")))


def test_price_steps_may_depend_on_the_price() -> None:
    world = firm_world()
    world.exposure.set_instrument(instrument(price_steps=(PriceStep(D(0), D("0.01")), PriceStep(D(100), D("0.5")))))
    world.expect_pass(order(price="99.01"))
    world.expect_pass(order(price="100.5"))
    world.expect_refusal(order(price="100.25"), Why.BAD_PRICE, "multiple of 0.5")


@pytest.mark.req("R013")
def test_the_venues_least_order_value_is_checked_before_sending() -> None:
    world = firm_world()
    world.exposure.set_instrument(instrument(min_notional=D(10), max_notional=D(1_000)))
    world.expect_refusal(order(qty="0.099", price="100"), Why.MIN_NOTIONAL, "9.9", "10")
    world.expect_pass(order(qty="0.1", price="100"))
    world.expect_refusal(order(qty="11", price="100"), Why.MAX_ORDER_NOTIONAL, "1100", "1000")
    world.expect_refusal(order(qty="0.099", price=None), Why.MIN_NOTIONAL)


def test_the_venues_own_price_band_per_side() -> None:
    world = firm_world(price_band=D(1))
    world.exposure.set_instrument(
        instrument(
            bid_multiplier_up=D("1.2"),
            bid_multiplier_down=D("0.5"),
            ask_multiplier_up=D(2),
            ask_multiplier_down=D("0.9"),
        )
    )
    world.expect_refusal(order(BUY, price="121"), Why.PRICE_BAND, "venue", "120")
    world.expect_refusal(order(SELL, price="89"), Why.PRICE_BAND, "venue", "90")
    world.expect_pass(order(BUY, price="55"))
    world.expect_pass(order(SELL, price="150"))


# ---- reference price -----------------------------------------------------------------------------------------------


def test_no_order_is_priced_from_a_book_that_is_not_proven() -> None:
    world = account_world()
    world.exposure.gap_opened(VENUE, BTC, "book")
    world.expect_refusal(order(), Why.NO_REFERENCE_PRICE, "gap open in book", BTC)
    world.exposure.gap_closed(VENUE, BTC, "book", world.now_ns + 1)
    world.expect_refusal(order(), Why.NO_REFERENCE_PRICE)
    world.quote()
    world.expect_pass(order())


def test_a_gap_of_the_whole_venue_concerns_every_symbol() -> None:
    world = account_world()
    world.exposure.gap_opened(VENUE, None, "public")
    for symbol in (BTC, ETH):
        world.quote(symbol)
        world.expect_refusal(order(symbol=symbol), Why.NO_REFERENCE_PRICE, "public")
    world.exposure.gap_closed(VENUE, None, "public", world.now_ns)
    world.expect_pass(order(symbol=BTC))
    world.expect_pass(order(symbol=ETH))


@pytest.mark.parametrize(
    "change",
    [{"proven": False}, {"qty": "0"}],
)
def test_a_quote_that_proves_nothing_is_no_reference(change: dict) -> None:
    world = account_world()
    world.quote(**change)
    world.expect_refusal(order(), Why.NO_REFERENCE_PRICE)


def test_an_old_quote_is_no_reference() -> None:
    world = account_world(max_quote_age_ns=2 * SECOND_NS)
    world.advance(2 * SECOND_NS)
    world.expect_pass(order())
    world.advance(1)
    world.expect_refusal(order(), Why.NO_REFERENCE_PRICE, "too old")


def test_a_quote_that_waited_in_the_mailbox_is_as_old_as_it_is() -> None:
    world = account_world(max_quote_age_ns=2 * SECOND_NS)
    world.quote(received_ns=world.now_ns - 2 * SECOND_NS - 1)
    world.expect_refusal(order(), Why.NO_REFERENCE_PRICE)
    world.quote(received_ns=world.now_ns + SECOND_NS)  # the wall clock was set back meanwhile
    world.expect_pass(order())


def test_a_price_of_another_currency_needs_a_rate() -> None:
    world = account_world(symbols=only(), currency="USDT", rates={"EUR": D("1.1")})
    world.exposure.set_instrument(instrument(quote="KRW"))
    world.expect_refusal(order(), Why.UNSUPPORTED, "USDT")
    world.exposure.set_instrument(instrument(quote="EUR"))
    world.expect_pass(order(qty="1"))
    assert world.exposure.worth == D("111.1")  # 101 EUR


@pytest.mark.req("R141")
def test_exposure_that_cannot_be_valued_blocks_what_adds_risk() -> None:
    world = account_world()
    xrp = Symbol("XRPUSDT")
    world.hold("7", xrp)
    world.expect_refusal(order(), Why.NO_REFERENCE_PRICE, "1 position(s)")
    world.exposure.set_instrument(instrument(xrp))
    world.expect_pass(order())  # valued at its average cost until there is a quote
    assert world.exposure.worth == D(700) + D(101)
    world.quote(xrp, "199", "201")
    assert world.exposure.worth == D(7 * 201) + D(101)


# ---- our limits ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("price", ["110.01", "89.99"])
def test_the_price_band(price: str) -> None:
    world = account_world(price_band=D("0.1"))
    world.expect_refusal(order(price=price), Why.PRICE_BAND, price, "90", "110", "100")
    world.expect_pass(order(price="110"))
    world.expect_pass(order(SELL, price="90"))


def test_the_band_of_a_stop_limit_is_around_its_trigger() -> None:
    world = account_world(price_band=D("0.1"))
    world.expect_pass(order(price="160", ord_type=OrdType.STOP_LIMIT, stop_px=D(150)))
    world.expect_refusal(order(price="166", ord_type=OrdType.STOP_LIMIT, stop_px=D(150)), Why.PRICE_BAND, "165")


def test_max_order_qty() -> None:
    world = account_world(symbols=only(max_order_qty=D(2)))
    world.expect_refusal(order(qty="2.001"), Why.MAX_ORDER_QTY, "max_order_qty", "2.001", "at most 2")
    world.expect_pass(order(qty="2"))


@pytest.mark.req("R038")
def test_max_order_notional_counts_a_market_order_at_its_worst_price() -> None:
    world = account_world(max_order_notional=D(111), price_band=D("0.1"))
    world.expect_pass(order(qty="1", price="110"))
    world.expect_refusal(order(qty="1", price=None), Why.MAX_ORDER_NOTIONAL, "111.1", "111")
    world.expect_refusal(
        order(SELL, qty="1.2", price="90"), Why.MAX_ORDER_NOTIONAL, "121.2"
    )  # it may sell at the market


def test_a_stop_is_valued_beyond_its_trigger() -> None:
    world = account_world(max_order_notional=D(219))
    world.expect_refusal(order(price=None, ord_type=OrdType.STOP, stop_px=D(200)), Why.MAX_ORDER_NOTIONAL, "220")
    world.expect_pass(order(price=None, ord_type=OrdType.STOP, stop_px=D(50)))


@pytest.mark.req("R163", "R236", "R290")
def test_max_position_counts_what_is_held_and_all_live_orders_of_the_side() -> None:
    world = account_world(symbols=only(max_position_qty=D(10)))
    world.hold("4")
    world.expect_pass(order(BUY, "5"))
    world.expect_refusal(order(BUY, "1.001"), Why.MAX_POSITION, "max_position_qty", "10.001", "10")
    world.expect_pass(order(BUY, "1"))
    # The other side has its own worst case: 4 held, so 14 may be sold.
    world.expect_pass(order(SELL, "14"))
    world.expect_refusal(order(SELL, "0.001"), Why.MAX_POSITION)


def test_max_position_notional() -> None:
    world = account_world(max_position_notional=D(1_000))
    world.hold("5")
    world.expect_refusal(order(BUY, "5"), Why.MAX_POSITION, "max_position_notional", "1010", "1000")
    world.expect_pass(order(BUY, "4"))


def test_max_exposure_is_gross_a_short_does_not_offset_a_long() -> None:
    world = account_world(max_exposure=D(1_000))
    world.hold("5", BTC)
    world.expect_refusal(order(SELL, "5", symbol=ETH), Why.MAX_EXPOSURE, "max_exposure", "1010", "1000")
    world.expect_pass(order(SELL, "4", symbol=ETH))


def test_orders_decided_one_after_the_other_cannot_exceed_together() -> None:
    world = account_world(max_exposure=D(1_000))
    results = [world.ask(order(BUY, "3")) for _ in range(5)]
    assert [refusal is None for refusal in results] == [True, True, True, False, False]
    assert world.exposure.worth == D(909)


def test_max_open_orders_counts_live_orders_of_all_symbols() -> None:
    world = account_world(max_open_orders=2)
    first = world.expect_pass(order())
    world.expect_pass(order(symbol=ETH))
    world.expect_refusal(order(), Why.MAX_OPEN_ORDERS, "max_open_orders", "3", "2")
    world.exposure.report(fill(first, "1"))
    world.expect_pass(order())


def test_the_venues_own_count_of_open_orders() -> None:
    world = account_world()
    world.exposure.set_instrument(instrument(max_open_orders=1))
    world.expect_pass(order())
    world.expect_refusal(order(), Why.MAX_OPEN_ORDERS, VENUE, "2", "1")
    world.expect_pass(order(symbol=ETH))


def test_contracts_count_in_base_units() -> None:
    world = account_world(symbols=only(max_order_qty=D(2), max_position_qty=D(3)), max_order_notional=D(203))
    world.exposure.set_instrument(instrument(contract_size=D("0.1"), qty_step=D(1)))
    world.expect_refusal(order(qty="21"), Why.MAX_ORDER_QTY, "2.1")
    world.expect_pass(order(qty="20"))
    world.expect_refusal(order(qty="11"), Why.MAX_POSITION, "3.1")
    assert world.exposure.worth == D(202)


# ---- pace and the breaker ------------------------------------------------------------------------------------------


def test_order_rate_per_second_slides() -> None:
    world = account_world(max_orders_per_s=3, max_quote_age_ns=10**15)
    for _ in range(3):
        world.expect_pass(order())
        world.advance(SECOND_NS // 10)
    world.expect_refusal(order(), Why.ORDER_RATE, "max_orders_per_s", "4", "3")
    world.advance(SECOND_NS * 72 // 100)
    world.expect_pass(order())
    world.expect_refusal(order(), Why.ORDER_RATE)


def test_order_rate_per_minute() -> None:
    world = account_world(max_orders_per_minute=3, max_quote_age_ns=10**15)
    for _ in range(3):
        world.expect_pass(order())
        world.advance(10 * SECOND_NS)
    world.expect_refusal(order(), Why.ORDER_RATE, "max_orders_per_minute", "4", "3")
    world.advance(32 * SECOND_NS)
    world.expect_pass(order())


def test_the_days_count_trips_the_breaker_and_ends_with_the_utc_day() -> None:
    world = account_world(max_orders_per_day=2, max_quote_age_ns=10**18)
    world.expect_pass(order())
    world.expect_pass(order(SELL))
    assert world.gate.tripped == ""
    world.expect_refusal(order(), Why.ORDER_RATE, "max_orders_per_day", "3", "2")
    assert "max_orders_per_day" in world.gate.tripped
    world.gate.reset_breaker()
    world.expect_pass(order())
    world.expect_pass(order(SELL))
    world.advance(DAY_NS)
    world.expect_pass(order())
    assert (world.gate.orders_today, world.gate.day) == (1, world.now_ns // DAY_NS)


def test_the_same_decision_again_and_again_trips_the_breaker() -> None:
    world = account_world(max_repeats=3)
    for _ in range(3):
        world.expect_pass(order(BUY, "1", "100"))
    world.expect_refusal(order(BUY, "1", "100"), Why.ORDER_RATE, "max_repeats of maker", "4", "3")
    assert "max_repeats" in world.gate.tripped


@pytest.mark.parametrize(
    "change",
    [
        {"order_qty": D(2)},
        {"price": D(99)},
        {"side": SELL},
        {"symbol": ETH},
        {"strategy": StrategyID("other")},
        {"ord_type": OrdType.STOP_LIMIT, "stop_px": D(100)},
    ],
)
def test_another_decision_is_no_repetition(change: dict) -> None:
    world = account_world(max_repeats=2)
    world.expect_pass(order())
    world.expect_pass(order())
    world.expect_pass(attrs.evolve(order(), **change))


def test_a_repetition_after_the_window_counts_anew() -> None:
    world = account_world(max_repeats=2, repeat_window_ns=SECOND_NS, max_quote_age_ns=10**15)
    world.expect_pass(order())
    world.expect_pass(order())
    world.advance(SECOND_NS + 1)
    world.expect_pass(order())
    world.expect_pass(order())
    world.expect_refusal(order(), Why.ORDER_RATE)


def test_a_release_counts_repetitions_anew() -> None:
    world = account_world(max_repeats=1)
    world.expect_pass(order())
    world.expect_pass(order(SELL))
    world.expect_refusal(order(), Why.ORDER_RATE)
    world.gate.reset_breaker()
    assert world.gate.tripped == ""
    world.expect_pass(order())
    world.expect_pass(order(SELL))


# ---- crossing our own orders ---------------------------------------------------------------------------------------


def test_an_order_must_not_cross_one_of_ours_of_any_account() -> None:
    world = firm_world()
    world.expect_pass(order(SELL, price="101", account=SECOND))
    world.expect_refusal(order(BUY, price="101"), Why.SELF_CROSS, "BUY at 101", "101")
    world.expect_pass(order(BUY, price="100.99"))
    world.expect_refusal(order(SELL, price="100.99", account=SECOND), Why.SELF_CROSS, "SELL at 100.99")
    world.expect_pass(order(SELL, price="101", account=SECOND))
    world.expect_pass(order(BUY, price="101", symbol=ETH))


def test_a_market_order_must_not_reach_one_of_ours() -> None:
    world = firm_world(price_band=D("0.05"))
    world.expect_pass(order(SELL, price="104"))
    world.expect_refusal(order(BUY, price=None), Why.SELF_CROSS)
    world.expect_pass(order(BUY, price="96"))
    world.expect_refusal(order(SELL, price=None), Why.SELF_CROSS)


def test_triggered_orders_rest_in_no_book_yet() -> None:
    world = firm_world()
    world.expect_pass(order(SELL, price="98", ord_type=OrdType.STOP_LIMIT, stop_px=D(98)))
    world.expect_pass(order(BUY, price="102"))
    world.expect_pass(order(SELL, price="98", ord_type=OrdType.STOP_LIMIT, stop_px=D(98)))


def test_an_order_that_ended_is_not_crossed() -> None:
    world = firm_world()
    resting = world.expect_pass(order(SELL, price="101"))
    world.exposure.release(resting.cl_ord_id)
    world.expect_pass(order(BUY, price="101"))


def test_crossing_may_be_left_to_the_venue() -> None:
    world = firm_world(allow_self_cross=True)
    world.expect_pass(order(SELL, price="101"))
    world.expect_pass(order(BUY, price="101"))


def test_an_accounts_gate_leaves_crossing_to_the_firms() -> None:
    world = account_world()
    world.expect_pass(order(SELL, price="101"))
    world.expect_pass(order(BUY, price="101"))


# ---- reductions ----------------------------------------------------------------------------------------------------


def nothing_allowed() -> GateWorld:
    """A gate whose limits are all at zero."""
    limits = {name: type(value)(0) for name, value in wide().items() if name not in ("symbols", "max_quote_age_ns")}
    return account_world(**limits, symbols={}, max_repeats=0)


@pytest.mark.req("R038")
@pytest.mark.parametrize("held, side", [("5", SELL), ("-5", BUY)])
@pytest.mark.parametrize("price", ["100", "30", "300", None])
def test_a_reduction_passes_every_limit(held: str, side: Side, price: str | None) -> None:
    for world in (nothing_allowed(), account_world(), firm_world()):
        world.hold(held)
        world.expect_pass(order(side, "2", price))
        world.expect_pass(order(side, "3", price))
    # Together they close all of it: any more would open the other side, and that is not allowed at all.
    strict = nothing_allowed()
    strict.hold(held)
    strict.expect_pass(order(side, "5", price))
    assert strict.ask(order(side, "0.001", price)) is not None


@pytest.mark.req("R038")
def test_a_reduction_passes_while_the_engine_drains_or_may_only_reduce() -> None:
    world = account_world()
    world.hold("5")
    world.gate.draining = True
    world.expect_refusal(order(BUY), Why.DRAINING)
    world.expect_pass(order(SELL, "1"))
    world.gate.draining = False
    world.gate.state = TradingState.REDUCING
    world.expect_refusal(order(BUY), Why.REDUCE_ONLY_MODE, "reducing")
    world.expect_refusal(order(SELL, "4.001"), Why.REDUCE_ONLY_MODE)
    world.expect_pass(order(SELL, "4"))


def test_without_a_proven_price_a_reduction_needs_a_limit() -> None:
    world = firm_world()
    world.hold("5")
    world.exposure.gap_opened(VENUE, BTC, "book")
    world.expect_refusal(order(SELL, price=None), Why.NO_REFERENCE_PRICE, "limit price")
    world.expect_refusal(order(BUY, price="100"), Why.NO_REFERENCE_PRICE, "adds risk")
    world.expect_pass(order(SELL, price="100"))


def test_a_reduction_does_not_raise_the_worst_case() -> None:
    world = account_world(price_band=D("0.1"))
    world.hold("5")
    before = world.exposure.worth
    world.expect_pass(order(SELL, "5", "300"))
    assert world.exposure.worth == before
    (row,) = [row for row in world.exposure.rows() if row.qty]
    assert (row.qty, row.sell.net) == (D(5), D(0))


def test_a_reduction_must_still_be_possible_on_the_venue() -> None:
    world = firm_world()
    world.hold("5")
    world.expect_refusal(order(SELL, "0.0001"), Why.BAD_QUANTITY)
    world.expect_refusal(order(SELL, "1", "100.001"), Why.BAD_PRICE)


def test_live_orders_of_the_side_count_before_an_order_is_a_reduction() -> None:
    world = account_world()
    world.hold("5")
    first = world.expect_pass(order(SELL, "3"))
    world.gate.state = TradingState.REDUCING
    world.expect_refusal(order(SELL, "2.001"), Why.REDUCE_ONLY_MODE)
    world.exposure.report(report(first))
    world.exposure.release(first.cl_ord_id)
    world.expect_pass(order(SELL, "5"))


def test_exec_inst_does_not_make_a_reduction() -> None:
    """REDUCE_ONLY is the venue's promise, not ours to count on."""
    world = account_world()
    world.gate.state = TradingState.REDUCING
    world.expect_refusal(order(SELL, exec_inst=ExecInst.REDUCE_ONLY), Why.REDUCE_ONLY_MODE)


# ---- the picture ---------------------------------------------------------------------------------------------------


@pytest.mark.req("R041")
def test_the_picture_shows_exposure_and_the_use_of_each_limit() -> None:
    world = account_world(max_exposure=D(1_000), max_open_orders=7)
    world.hold("2")
    world.expect_pass(order(BUY, "3"))
    seen = world.gate.picture(world.monotonic_ns)
    assert (seen.scope, seen.state, seen.open_orders) == (MASTER, TradingState.ACTIVE, 1)
    (row,) = [row for row in seen.rows if row.symbol == BTC and row.notional]
    assert (row.account, row.position, row.reserved_buy, row.reserved_sell) == (MASTER, D(2), D(3), D(0))
    assert row.notional == D(505)
    use = {name: (used, allowed) for name, used, allowed in seen.limit_use}
    assert use["max_exposure"] == (D(505), D(1_000))
    assert use["max_open_orders"] == (D(1), D(7))
    assert use["max_orders_per_s"] == (D(1), D(1_000))
    assert use["max_orders_per_minute"] == (D(1), D(10_000))
    assert use["max_orders_per_day"] == (D(1), D(100_000))
    assert use["max_position_qty BTCUSDT"] == (D(5), D(1_000))
    assert use["max_position_notional BTCUSDT"] == (D(505), Decimal(10**7))


@pytest.mark.req("R013")
def test_the_rest_of_a_contract_position_may_be_closed_however_small_it_is() -> None:
    world = firm_world()
    small = order(qty="0.01", price="100", exec_inst=ExecInst.REDUCE_ONLY)
    world.exposure.set_instrument(instrument(min_notional=D(10), product=Product.LINEAR))
    world.expect_pass(small)
    world.expect_refusal(order(qty="0.01", price="100"), Why.MIN_NOTIONAL)
    world.exposure.set_instrument(instrument(min_notional=D(10)))
    world.expect_refusal(order(qty="0.01", price="100", exec_inst=ExecInst.REDUCE_ONLY), Why.MIN_NOTIONAL)
