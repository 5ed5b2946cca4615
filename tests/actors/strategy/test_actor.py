"""The strategy actor: what it knows before it begins, what it lets out, and how calm it stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from actors.strategy.actor import HOLD_FIRST_NS, HOLD_MAX_NS
from actors.strategy.base import FLAT, Holding, Strategy
from protocols.control import Drain, Drained, InstrumentsChanged, PauseStrategy, TradingStateIs
from protocols.enums import CxlRejReason, ExecInst, ExecType, OrdRejReason, OrdStatus, TradingState
from protocols.ids import AccountID, ClOrdID, StrategyID, Symbol, account_code, parse_cl_ord_id, strategy_code
from protocols.instruments import InstrumentStatus, Product
from protocols.journal import Append, StateSnapshot, SymbolHalted
from protocols.market import Candle, Quote, Subscribe, Trade
from protocols.orders import ROUTER, CancelRejected, ExecutionReport, NewOrder, OrderRefused
from protocols.positions import AccountResynced
from supervisors.actor import Down, Up
from tests.actors.strategy.bench import (
    ACCOUNT,
    BTC,
    ETH,
    NAME,
    RUN,
    SECOND_NS,
    VENUE,
    Bench,
    D,
    OrdType,
    Side,
    TimeInForce,
    candle,
    held,
    instrument,
    quote,
    resting,
)

BOOK = f"/venues/{VENUE}/books/{BTC}"
ACCOUNT_PATH = f"/accounts/{ACCOUNT}/{VENUE}/account"
MINUTE_NS = 60 * SECOND_NS


class Diary(Strategy):
    """Writes down every hook."""

    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self.lines: list[Any] = []

    def bars(self) -> Mapping[int, int]:
        return {MINUTE_NS: 5}

    def on_restore(self, state: Mapping[str, Any]) -> None:
        self.lines.append(("restore", dict(state)))

    def on_history(self, symbol: Symbol, interval_ns: int, candles: Sequence[Candle]) -> None:
        self.lines.append(("history", symbol, len(candles)))

    def on_start(self) -> None:
        self.lines.append(("start", self.position(BTC), len(self.open_orders())))

    def on_quote(self, quote: Quote) -> None:
        self.lines.append(("quote", quote.bid_px))

    def on_trade(self, trade: Trade) -> None:
        self.lines.append(("trade", trade.price))

    def on_candle(self, candle: Candle) -> None:
        self.lines.append(("candle", candle.open_ns // MINUTE_NS, candle.has_gap))

    def on_execution(self, report: ExecutionReport) -> None:
        self.lines.append(("execution", report.exec_type))

    def on_fill(self, report: ExecutionReport) -> None:
        self.lines.append(("fill", report.last_qty))

    def on_order_refused(self, refused: OrderRefused) -> None:
        self.lines.append(("refused", refused.reason))

    def on_cancel_rejected(self, rejected: CancelRejected) -> None:
        self.lines.append(("cancel rejected", rejected.reason))

    def on_gap(self, symbol: Symbol, opened: bool) -> None:
        self.lines.append(("gap", symbol, opened))

    def on_state(self, state: TradingState) -> None:
        self.lines.append(("state", state))

    def on_resume(self, symbol: Symbol) -> None:
        self.lines.append(("resume", symbol))

    def on_timer(self, key: str) -> None:
        self.lines.append(("timer", key))

    def on_stop(self) -> None:
        self.lines.append(("stop",))

    def take(self) -> list[Any]:
        taken, self.lines = self.lines, []
        return taken


@pytest.fixture
async def bench() -> Bench:
    made = Bench(Diary)
    await made.start()
    made.tell(quote("99", "101"))
    made.code.take()
    made.ctx.take()
    return made


def buy(bench: Bench, qty: str = "1", price: str | None = "100") -> NewOrder:
    sent = bench.code.buy(BTC, D(qty), price and D(price))
    assert sent is not None
    (order,) = bench.new_orders()
    return order


# ---- start ---------------------------------------------------------------------------------------------------------


async def test_everything_is_known_before_the_strategy_begins() -> None:
    bench = Bench(Diary)
    bench.history[BTC, MINUTE_NS] = tuple(candle(i * MINUTE_NS, (1, 1, 1, 1)) for i in range(9))
    bench.positions = (held("2", "90"), held("7", "90", strategy=StrategyID("other")))
    order = NewOrder(
        ClOrdID("b1"),
        ACCOUNT,
        NAME,
        VENUE,
        BTC,
        Side.BUY,
        OrdType.LIMIT,
        D(1),
        D(100),
        bench.now_ns,
        "/x",
    )
    bench.open_orders = (resting(order), resting(order, strategy=StrategyID("other")))
    bench.saved = StateSnapshot('{"a":1}', "", 0)
    await bench.start()
    assert bench.code.take() == [
        ("restore", {"a": 1}),
        ("history", BTC, 5),
        ("start", Holding(D(2), D(90)), 1),
    ]
    assert bench.ctx.watched == [ACCOUNT_PATH, BOOK]
    assert (BOOK, Subscribe(BTC, bench.ctx.path)) in bench.ctx.sent
    assert (f"/venues/{VENUE}/candles/{BTC}", Subscribe(BTC, bench.ctx.path)) in bench.ctx.sent


async def test_a_symbol_that_the_venue_lacks_stops_the_start() -> None:
    bench = Bench(Diary, instruments=(instrument(ETH),))
    with pytest.raises(LookupError, match=r"test-venue has no instrument BTCUSDT; check \[strategies.sut\] symbols"):
        await bench.start()


async def test_ids_carry_account_strategy_run_and_incarnation(bench: Bench) -> None:
    order = buy(bench)
    parts = parse_cl_ord_id(order.cl_ord_id)
    assert parts is not None
    assert (parts.account_code, parts.strategy_code) == (account_code(ACCOUNT), strategy_code(NAME))
    assert (parts.run, parts.epoch, parts.count) == (RUN, 1, 1)
    await bench.start()
    bench.tell(quote("99", "101"))
    parts = parse_cl_ord_id(buy(bench).cl_ord_id)
    assert parts is not None
    assert parts.epoch == 2


# ---- orders --------------------------------------------------------------------------------------------------------


async def test_an_order_goes_to_the_router_rounded_to_the_filters(bench: Bench) -> None:
    bench.code.sell(BTC, D("1.000019"), D("100.001"), post_only=True, time_in_force=TimeInForce.GTC)
    (to, order) = next((to, m) for to, m in bench.ctx.sent if isinstance(m, NewOrder))
    assert to == ROUTER
    assert (order.order_qty, order.price) == (D("1.00001"), D("100.01"))
    assert (order.side, order.exec_inst) == (Side.SELL, ExecInst.POST_ONLY)
    assert order.reply_to == bench.ctx.path
    assert [o.cl_ord_id for o in bench.code.open_orders()] == [order.cl_ord_id]


@pytest.mark.parametrize(
    "qty, price", [("0", "100"), ("0.000001", "100"), ("0.01", "100"), ("1", "0.001"), ("9001", "1")]
)
async def test_what_the_filters_forbid_is_not_sent(bench: Bench, qty: str, price: str) -> None:
    assert bench.code.buy(BTC, D(qty), D(price)) is None
    assert bench.new_orders() == []
    assert bench.actor.inspect()["last_refusal"]


async def test_a_market_order_is_valued_at_the_quote(bench: Bench) -> None:
    assert bench.code.buy(BTC, D("0.04")) is None, "4.04 USDT is below the least value of 5"
    assert buy(bench, "0.05", None).ord_type is OrdType.MARKET


async def test_reports_move_orders_and_positions(bench: Bench) -> None:
    order = buy(bench, "2")
    bench.ack(order)
    bench.fill(order, "0.5")
    assert bench.code.position(BTC) == Holding(D("0.5"), D(100))
    assert bench.code.open_orders()[0].leaves_qty == D("1.5")
    bench.fill(order, px="102")
    assert bench.code.open_orders() == ()
    assert bench.code.position(BTC) == Holding(D(2), D("101.5"))
    kinds = [line[0] for line in bench.code.take()]
    assert kinds == ["execution", "execution", "fill", "execution", "fill"]


async def test_a_fee_in_the_base_asset_makes_the_holding_smaller(bench: Bench) -> None:
    order = buy(bench, "1")
    bench.fill(order, fee=D("0.001"), fee_asset="BTC")
    assert bench.code.position(BTC).qty == D("0.999")
    bench.code.sell(BTC, D("0.999"), D(100))
    (sale,) = bench.new_orders()
    bench.fill(sale, fee=D("0.1"), fee_asset="USDT")
    assert bench.code.position(BTC) == FLAT


async def test_turning_a_position_takes_the_new_price(bench: Bench) -> None:
    bench.fill(buy(bench, "1"))
    bench.code.sell(BTC, D(3), D(110))
    (sale,) = bench.new_orders()
    bench.fill(sale)
    assert bench.code.position(BTC) == Holding(D(-2), D(110))
    bench.fill(buy(bench, "1", "90"))
    assert bench.code.position(BTC) == Holding(D(-1), D(110))


async def test_a_late_fill_moves_the_quantity_and_not_the_status(bench: Bench) -> None:
    order = buy(bench, "2")
    bench.end(order)
    bench.tell(bench.report(order, ExecType.TRADE, OrdStatus.CANCELED, "0.5", "100"))
    assert bench.code.position(BTC).qty == D("0.5")
    assert bench.code.open_orders() == ()


# ---- pictures: nothing counted twice, nothing forgotten -----------------------------------------------------------


async def test_mail_that_waited_through_a_restart_is_not_counted_again(bench: Bench) -> None:
    open_one, done_one = buy(bench, "2"), buy(bench, "1")
    waiting = [
        bench.report(open_one, ExecType.TRADE, OrdStatus.PARTIALLY_FILLED, "0.5", "100", received_ns=bench.now_ns),
        bench.report(done_one, ExecType.TRADE, OrdStatus.FILLED, "1", "100", received_ns=bench.now_ns),
    ]
    bench.positions = (held("1.5", "100"),)
    bench.open_orders = (resting(open_one, "0.5"),)
    bench.now_ns += 10
    await bench.start()
    bench.tell(*waiting)
    assert bench.code.position(BTC).qty == D("1.5")
    bench.fill(open_one)
    assert bench.code.position(BTC).qty == D(3)
    assert bench.code.open_orders() == ()


async def test_an_order_that_was_on_its_way_through_a_restart_is_adopted(bench: Bench) -> None:
    order = buy(bench, "1")
    await bench.start()
    assert bench.code.open_orders() == ()
    bench.ack(order)
    assert [o.cl_ord_id for o in bench.code.open_orders()] == [order.cl_ord_id]
    bench.fill(order)
    assert bench.code.position(BTC).qty == D(1)


async def test_a_resync_of_the_account_replaces_what_was_believed(bench: Bench) -> None:
    gone, live, sent = buy(bench, "1"), buy(bench, "2"), buy(bench, "3")
    bench.fill(gone, "0.25")
    bench.ack(live)
    bench.positions = (held("1", "99"),)
    bench.open_orders = (resting(live),)
    bench.tell(AccountResynced(ACCOUNT, VENUE, bench.picture(), ""))
    assert bench.code.position(BTC) == Holding(D(1), D(99))
    assert {o.cl_ord_id for o in bench.code.open_orders()} == {live.cl_ord_id, sent.cl_ord_id}
    bench.tell(AccountResynced(AccountID("other"), VENUE, bench.picture(), ""))
    bench.advance(60)
    bench.tell(AccountResynced(ACCOUNT, VENUE, bench.picture(), ""))
    assert {o.cl_ord_id for o in bench.code.open_orders()} == {live.cl_ord_id}, "a minute later nobody knows the third"


# ---- cancels -------------------------------------------------------------------------------------------------------


async def test_a_cancel_is_sent_once_and_repeated_only_after_a_pause(bench: Bench) -> None:
    order = buy(bench)
    for _ in range(3):
        bench.code.cancel(order.cl_ord_id)
    assert len(bench.cancels()) == 1
    bench.tell(CancelRejected(order.cl_ord_id, CxlRejReason.NOT_READY, "account is away"))
    bench.code.cancel(order.cl_ord_id)
    assert bench.cancels() == []
    bench.advance(0.6)
    bench.code.cancel_all()
    assert [c.cl_ord_id for c in bench.cancels()] == [order.cl_ord_id]


async def test_an_old_order_that_the_account_does_not_know_is_gone(bench: Bench) -> None:
    order = buy(bench)
    bench.tell(CancelRejected(order.cl_ord_id, CxlRejReason.UNKNOWN_ORDER, ""))
    assert len(bench.code.open_orders()) == 1, "the cancel may have overtaken the order"
    bench.advance(11)
    bench.tell(CancelRejected(order.cl_ord_id, CxlRejReason.UNKNOWN_ORDER, ""))
    assert bench.code.open_orders() == ()


# ---- proof of the market -------------------------------------------------------------------------------------------


async def test_there_is_no_quote_while_the_book_is_not_proven(bench: Bench) -> None:
    assert bench.code.quote(BTC) is not None
    bench.open_gap()
    bench.tell(quote("98", "100"))
    assert bench.code.quote(BTC) is None
    bench.close_gap()
    assert bench.code.quote(BTC) is None, "the quote from before the gap is no quote"
    bench.tell(quote("97", "99"))
    assert bench.code.quote(BTC).bid_px == D(97)
    assert bench.code.take() == [("gap", BTC, True), ("gap", BTC, False), ("quote", D(97))]


@pytest.mark.parametrize(
    "bad", [quote("99", "101", proven=False), Quote(VENUE, BTC, D(99), D(0), D(101), D(1), 0, 0, 1)]
)
async def test_an_unproven_or_one_sided_quote_is_a_gap(bench: Bench, bad: Quote) -> None:
    bench.tell(bad, bad)
    assert bench.code.quote(BTC) is None
    bench.tell(quote("99", "101"))
    assert bench.code.take() == [("gap", BTC, True), ("gap", BTC, False), ("quote", D(99))]


async def test_a_book_that_goes_down_takes_its_quote_along(bench: Bench) -> None:
    bench.tell(Down(BOOK, 1, "crashed"))
    assert bench.code.quote(BTC) is None
    bench.tell(Up(BOOK, 2))
    assert bench.code.quote(BTC) is None
    bench.tell(quote("99", "101"))
    assert bench.code.quote(BTC) is not None


async def test_a_gap_of_the_whole_venue_touches_every_symbol() -> None:
    bench = Bench(Diary, (BTC, ETH))
    await bench.start()
    bench.tell(quote("99", "101"), quote("9", "11", ETH))
    bench.open_gap(None)
    assert bench.code.quote(BTC) is None
    assert bench.code.quote(ETH) is None
    bench.tell(quote("1", "2", Symbol("XRPUSDT")), Trade(VENUE, Symbol("XRPUSDT"), "1", D(1), D(1), Side.BUY, 0, 0))


# ---- candles -------------------------------------------------------------------------------------------------------


async def test_each_bar_once_and_a_hole_is_marked() -> None:
    bench = Bench(Diary)
    bench.history[BTC, MINUTE_NS] = (candle(0, (1, 1, 1, 1)), candle(MINUTE_NS, (1, 1, 1, 1)))
    await bench.start()
    bench.code.take()
    for minute in (0, 1, 2, 2, 4, 5):
        bench.tell(candle(minute * MINUTE_NS, (1, 1, 1, 1)))
    bench.tell(candle(6 * MINUTE_NS, (1, 1, 1, 1), interval_ns=5 * MINUTE_NS))
    assert bench.code.take() == [("candle", 2, False), ("candle", 4, True), ("candle", 5, False)]


async def test_a_strategy_without_history_does_not_take_old_bars_for_new() -> None:
    class Fresh(Diary):
        def bars(self) -> Mapping[int, int]:
            return {MINUTE_NS: 0}

    bench = Bench(Fresh)
    bench.history[BTC, MINUTE_NS] = (candle(0, (1, 1, 1, 1)), candle(MINUTE_NS, (1, 1, 1, 1)))
    await bench.start()
    bench.tell(candle(MINUTE_NS, (1, 1, 1, 1)), candle(2 * MINUTE_NS, (1, 1, 1, 1)))
    assert bench.code.take() == [("history", BTC, 0), ("start", FLAT, 0), ("candle", 2, False)]


# ---- calm ----------------------------------------------------------------------------------------------------------


async def test_a_refusal_holds_the_symbol_off_for_longer_each_time_and_ends_by_a_timer(bench: Bench) -> None:
    steps = []
    for _ in range(10):
        order = buy(bench)
        bench.refuse(order, OrdRejReason.NOT_READY)
        assert bench.code.buy(BTC, D(1), D(100)) is None, "held off"
        assert bench.code.open_orders() == ()
        before = bench.ctx.monotonic_ns
        while ("resume", BTC) not in bench.code.take():
            bench.ctx.advance(HOLD_FIRST_NS // 2)
        steps.append(bench.ctx.monotonic_ns - before)
    assert steps == [min(HOLD_MAX_NS, HOLD_FIRST_NS << n) for n in range(10)]
    order = buy(bench)
    bench.ack(order)
    bench.refuse(buy(bench))
    bench.ctx.advance(HOLD_FIRST_NS)
    assert ("resume", BTC) in bench.code.take(), "an accepted order ends the growth"


async def test_a_reject_by_the_venue_holds_off_as_well(bench: Bench) -> None:
    bench.end(buy(bench), OrdStatus.REJECTED)
    assert not bench.code.can_trade(BTC)


async def test_while_the_account_is_away_nothing_goes_out(bench: Bench) -> None:
    bench.tell(Down(ACCOUNT_PATH, 1, "resyncing"))
    assert bench.code.buy(BTC, D(1), D(100)) is None
    bench.tell(Up(ACCOUNT_PATH, 2))
    assert bench.code.take() == [("resume", BTC)]
    buy(bench)


async def test_a_pause_stops_new_orders_and_leaves_resting_ones(bench: Bench) -> None:
    order = buy(bench)
    bench.ack(order)
    bench.tell(PauseStrategy(NAME, True), quote("99", "101"))
    assert bench.code.buy(BTC, D(1), D(100)) is None
    assert bench.cancels() == []
    assert len(bench.code.open_orders()) == 1
    bench.tell(PauseStrategy(StrategyID("other"), False))
    assert not bench.code.can_trade(BTC)
    bench.tell(PauseStrategy(NAME, False))
    buy(bench)


async def test_halted_cancels_and_sends_nothing_until_active_again(bench: Bench) -> None:
    order = buy(bench)
    bench.ack(order)
    bench.tell(TradingStateIs("firm", TradingState.HALTED, "operator"))
    assert [c.cl_ord_id for c in bench.cancels()] == [order.cl_ord_id]
    assert bench.code.buy(BTC, D(1), D(100)) is None
    bench.tell(TradingStateIs(ACCOUNT, TradingState.REDUCING, "drawdown"))
    bench.tell(TradingStateIs("firm", TradingState.ACTIVE, "released"))
    assert bench.actor.inspect()["state"] == "reducing", "the stricter scope counts"
    bench.tell(TradingStateIs("sub1", TradingState.HALTED, "not ours"))
    bench.tell(TradingStateIs(ACCOUNT, TradingState.ACTIVE, "released"))
    assert bench.actor.inspect()["state"] == "active"
    buy(bench)


async def test_reducing_lets_only_reductions_out(bench: Bench) -> None:
    bench.fill(buy(bench, "2"))
    bench.tell(TradingStateIs("firm", TradingState.REDUCING, "drawdown"))
    assert bench.code.buy(BTC, D(1), D(100)) is None
    assert bench.code.sell(BTC, D(3), D(100)) is None
    assert bench.code.sell(BTC, D("1.5"), D(100)) is not None
    assert bench.code.sell(BTC, D(1), D(100)) is None, "1.5 of 2 are on sale already"


async def test_a_halted_symbol_rests(bench: Bench) -> None:
    bench.tell(SymbolHalted(VENUE, BTC, True, "maintenance"))
    assert not bench.code.can_trade(BTC)
    bench.tell(SymbolHalted(VENUE, BTC, False, ""))
    assert bench.code.can_trade(BTC)
    halted = instrument(BTC, status=InstrumentStatus.HALTED)
    bench.tell(InstrumentsChanged(VENUE, (halted, instrument(ETH))))
    assert not bench.code.can_trade(BTC)
    bench.code.take()
    bench.tell(InstrumentsChanged(VENUE, (instrument(BTC),)))
    assert bench.code.take() == [("resume", BTC)]


# ---- the end -------------------------------------------------------------------------------------------------------


async def test_draining_cancels_what_rests_and_tells_when_nothing_does(bench: Bench) -> None:
    order = buy(bench)
    bench.ack(order)
    bench.ctx.sender = "/control"
    bench.tell(Drain("ctrl-c"))
    assert [c.cl_ord_id for c in bench.cancels()] == [order.cl_ord_id]
    assert bench.code.take()[-1] == ("stop",)
    assert bench.code.buy(BTC, D(1), D(100)) is None
    bench.tell(CancelRejected(order.cl_ord_id, CxlRejReason.NOT_READY, ""))
    bench.advance(1)
    assert [c.cl_ord_id for c in bench.cancels()] == [order.cl_ord_id], "the timer tries again"
    assert not any(isinstance(m, Drained) for _, m in bench.ctx.sent)
    bench.end(order)
    assert ("/control", Drained(bench.ctx.path)) in bench.ctx.sent
    bench.ctx.take()
    bench.advance(1)
    assert bench.ctx.take() == []


async def test_with_nothing_resting_draining_is_done_at_once(bench: Bench) -> None:
    bench.ctx.sender = "/control"
    bench.tell(Drain("ctrl-c"))
    assert bench.ctx.take() == [("/control", Drained(bench.ctx.path))]


# ---- memory --------------------------------------------------------------------------------------------------------


async def test_what_is_saved_comes_back_and_equal_states_are_written_once(bench: Bench) -> None:
    bench.code.save({"stop": "99.5", "n": 1})
    bench.code.save({"n": 1, "stop": "99.5"})
    appends = [m for _, m in bench.ctx.sent if isinstance(m, Append)]
    assert len(appends) == 1
    assert appends[0].key == f"strategy/{NAME}"
    assert len(bench.records(StateSnapshot)) == 1
    await bench.start()
    assert bench.code.take()[0] == ("restore", {"stop": "99.5", "n": 1})
    bench.code.save({"stop": "99.5", "n": 1})
    assert bench.records(StateSnapshot) == []


async def test_timers_and_unknown_messages(bench: Bench) -> None:
    bench.code.timer(SECOND_NS, "look")
    bench.tell(Drained("/somebody"), Trade(VENUE, BTC, "1", D(7), D(1), Side.BUY, 0, 0))
    bench.advance(1)
    assert bench.code.take() == [("trade", D(7)), ("timer", "look")]


async def test_inspection_says_what_matters(bench: Bench) -> None:
    bench.fill(buy(bench))
    bench.refuse(buy(bench))
    view = bench.actor.inspect()
    assert view["positions"] == {BTC: "1"}
    assert (view["sent"], view["fills"], view["refused"], view["open_orders"]) == (2, 1, 1, 0)
    assert view["held_off"] == [BTC]


async def test_derivatives_keep_what_was_bought() -> None:
    bench = Bench(Diary, product=Product.LINEAR)
    await bench.start()
    bench.tell(quote("99", "101"))
    bench.fill(buy(bench, "1"), fee=D("0.001"), fee_asset="BTC")
    assert bench.code.position(BTC).qty == D(1)
