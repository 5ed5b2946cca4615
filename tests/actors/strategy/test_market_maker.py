"""The market-maker: whatever the market does, it never crosses, never piles up, and pulls out of what is not proven."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.strategy.market_maker import MarketMaker, MarketMakerParams
from protocols.control import TradingStateIs
from protocols.enums import CxlRejReason, CxlRejResponseTo, ExecInst, OrdRejReason, OrdStatus, TradingState
from protocols.ids import Symbol
from protocols.instruments import PriceStep, Product
from protocols.market import Quote
from protocols.orders import CancelOrder, CancelRejected, NewOrder
from tests.actors.strategy.bench import BTC, ETH, SECOND_NS, Bench, OrdType, Side, held, instrument, quote, resting
from tests.actors.strategy.test_replace import BY_ORDER, IN_PLACE

D = Decimal
PARAMS = MarketMakerParams(
    order_notional=D(100), half_spread_bps=D(10), max_position_notional=D(300), requote_bps=D(2), min_interval_ms=100
)


async def maker(params: MarketMakerParams = PARAMS, **how: Any) -> Bench:
    bench = Bench(lambda: MarketMaker(params), **how)
    await bench.start()
    return bench


def sides(orders: list[NewOrder]) -> dict[Side, NewOrder]:
    assert len({order.side for order in orders}) == len(orders)
    return {order.side: order for order in orders}


async def quoted(bench: Bench, bid: str = "99.99", ask: str = "100.01") -> dict[Side, NewOrder]:
    bench.tell(quote(bid, ask))
    orders = sides(bench.new_orders())
    for order in orders.values():
        bench.ack(order)
    return orders


async def test_it_quotes_both_sides_around_the_middle() -> None:
    bench = await maker()
    orders = await quoted(bench)
    assert (orders[Side.BUY].price, orders[Side.SELL].price) == (D("99.90"), D("100.10"))
    assert orders[Side.BUY].order_qty == D("1.00100")
    for order in orders.values():
        assert (order.ord_type, order.exec_inst) == (OrdType.LIMIT, ExecInst.POST_ONLY)
    bench.tell(quote("99.99", "100.01"))
    assert bench.new_orders() == []
    assert bench.cancels() == []


async def test_a_wide_spread_does_not_make_it_cross() -> None:
    bench = await maker(attrs.evolve(PARAMS, half_spread_bps=D("0.01")))
    orders = await quoted(bench, "99.99", "100.00")
    assert orders[Side.BUY].price == D("99.99")
    assert orders[Side.SELL].price == D("100.00")


async def test_it_moves_in_place_where_the_venue_can() -> None:
    bench = await maker(capabilities=IN_PLACE)
    orders = await quoted(bench)
    bench.advance(1)
    bench.tell(quote("100.99", "101.01"))
    moved = {amend.cl_ord_id: amend for _, amend in bench.amends()}
    assert set(moved) == {orders[Side.SELL].cl_ord_id}, "the new bid would cross the old ask: it is canceled"
    assert moved[orders[Side.SELL].cl_ord_id].price == D("101.11")
    assert [cancel.cl_ord_id for cancel in bench.cancels()] == [orders[Side.BUY].cl_ord_id]
    bench.advance(1)
    bench.tell(quote("101.49", "101.51"))
    assert bench.amends() == []
    assert bench.new_orders() == []


async def test_it_moves_by_another_order_where_the_venue_can_and_nothing_is_filled() -> None:
    bench = await maker(capabilities=BY_ORDER)
    orders = await quoted(bench)
    bench.fill(orders[Side.SELL], "0.1")
    bench.advance(1)
    bench.tell(quote("98.99", "99.01"))
    (new,) = bench.new_orders()
    assert (new.orig_cl_ord_id, new.side, new.exec_inst) == (
        orders[Side.BUY].cl_ord_id,
        Side.BUY,
        ExecInst.POST_ONLY,
    )
    assert [cancel.cl_ord_id for cancel in bench.cancels()] == [orders[Side.SELL].cl_ord_id], "it has begun to fill"
    bench.advance(1)
    bench.tell(quote("98.49", "98.51"))
    assert bench.new_orders() == [], "one at a time"


async def test_it_moves_by_canceling_first_and_placing_after_the_confirmation() -> None:
    bench = await maker()
    orders = await quoted(bench)
    bench.advance(1)
    bench.tell(quote("100.99", "101.01"))
    assert bench.new_orders() == []
    canceled = {c.cl_ord_id for c in bench.cancels()}
    assert canceled == {order.cl_ord_id for order in orders.values()}
    bench.tell(quote("100.98", "101.00"))
    assert bench.cancels() == []
    bench.advance(1)
    bench.end(orders[Side.BUY])
    assert bench.new_orders() == [], "the new bid would cross the old ask, which may still be live"
    bench.end(orders[Side.SELL])
    bench.advance(1)
    assert sorted(order.side.value for order in bench.new_orders()) == ["BUY", "SELL"]


async def test_small_moves_are_left_alone() -> None:
    bench = await maker()
    await quoted(bench)
    bench.advance(1)
    bench.tell(quote("100.00", "100.02"))
    assert bench.cancels() == []


async def test_it_leans_against_its_inventory_and_stops_adding_at_the_bound() -> None:
    bench = Bench(lambda: MarketMaker(PARAMS))
    bench.positions = (held("1.5", "100"),)
    await bench.start()
    orders = await quoted(bench)
    assert (orders[Side.BUY].price, orders[Side.SELL].price) == (D("99.85"), D("100.05")), "half full: half a spread"
    bench.positions = (held("2.5", "100"),)
    await bench.start()
    orders = await quoted(bench)
    assert set(orders) == {Side.SELL}, "another 100 would make it 350 of 300"


async def test_actions_keep_their_distance_and_a_timer_catches_up() -> None:
    bench = await maker()
    orders = await quoted(bench)
    bench.end(orders[Side.BUY])
    assert bench.new_orders() == [], "the last action on this side is less than 100 ms ago"
    bench.advance(0.1)
    assert [order.side for order in bench.new_orders()] == [Side.BUY]


async def test_a_gap_pulls_the_quotes_and_proof_brings_them_back() -> None:
    bench = await maker()
    orders = await quoted(bench)
    bench.open_gap()
    assert {c.cl_ord_id for c in bench.cancels()} == {order.cl_ord_id for order in orders.values()}
    for order in orders.values():
        bench.end(order)
    bench.advance(1)
    bench.tell(quote("99.99", "100.01"))
    assert bench.new_orders() == []
    bench.close_gap()
    bench.tell(quote("99.99", "100.01"))
    assert len(bench.new_orders()) == 2


async def test_reduce_only_and_halt_pull_the_quotes() -> None:
    bench = await maker()
    await quoted(bench)
    bench.tell(TradingStateIs("firm", TradingState.REDUCING, "drawdown"))
    assert len(bench.cancels()) == 2


async def test_a_quote_that_may_not_move_by_another_order_is_taken_away() -> None:
    bench = await maker(capabilities=BY_ORDER)
    orders = await quoted(bench)
    bench.advance(1)
    bench.tell(quote("98.99", "99.01"))
    (new,) = bench.new_orders()
    bench.cancels()
    bench.refuse(new, OrdRejReason.HALTED)
    assert [cancel.cl_ord_id for cancel in bench.cancels()] == [orders[Side.BUY].cl_ord_id]


async def test_a_quote_that_may_not_move_in_place_is_taken_away() -> None:
    bench = await maker(capabilities=IN_PLACE)
    orders = await quoted(bench)
    bench.advance(1)
    bench.tell(quote("100.99", "101.01"))
    ((_, amend),) = bench.amends()
    bench.cancels()
    bench.tell(CancelRejected(amend.cl_ord_id, CxlRejReason.RISK, "the journal", CxlRejResponseTo.REPLACE))
    assert [cancel.cl_ord_id for cancel in bench.cancels()] == [orders[Side.SELL].cl_ord_id]


async def test_a_refusal_is_answered_by_waiting() -> None:
    bench = await maker()
    bench.tell(quote("99.99", "100.01"))
    buy, sell = bench.new_orders()
    bench.refuse(buy, OrdRejReason.NOT_READY)
    bench.refuse(sell, OrdRejReason.NOT_READY)
    sent = 0
    for _ in range(100):
        bench.tell(quote("99.99", "100.01"))
        sent += len(bench.new_orders())
    assert sent == 0
    for _ in range(40):
        bench.advance(0.25)
        for order in bench.new_orders():
            sent += 1
            bench.refuse(order, OrdRejReason.NOT_READY)
    assert 2 <= sent <= 16, "ten seconds of refusals: the pauses grow"


async def test_resting_quotes_of_an_earlier_life_are_taken_over() -> None:
    bench = await maker()
    orders = await quoted(bench)
    bench.open_orders = tuple(resting(order) for order in orders.values())
    await bench.start()
    bench.tell(quote("99.99", "100.01"))
    assert bench.new_orders() == []


async def test_contracts_are_sized_and_bounded_by_their_worth() -> None:
    hundredth = (instrument(BTC, contract_size=D("0.01"), product=Product.LINEAR),)
    orders = await quoted(await maker(instruments=hundredth))
    assert orders[Side.BUY].order_qty == D("100.10010"), "one hundred of a contract that is worth one"
    bench = Bench(lambda: MarketMaker(PARAMS), instruments=hundredth)
    bench.positions = (held("250", "100"),)
    await bench.start()
    assert set(await quoted(bench)) == {Side.SELL}, "another 100 would make it 350 of 300"


async def test_an_order_that_no_filter_allows_is_not_tried() -> None:
    bench = await maker(instruments=(instrument(BTC, min_qty=D(50)),))
    bench.tell(quote("99.99", "100.01"))
    assert bench.new_orders() == []
    bench = await maker(instruments=(instrument(BTC, max_qty=D("0.5")),))
    bench.tell(quote("99.99", "100.01"))
    assert {order.order_qty for order in bench.new_orders()} == {D("0.5")}


@pytest.mark.parametrize(
    "wrong",
    [
        {"order_notional": D(0)},
        {"max_position_notional": D(50)},
        {"half_spread_bps": D(0)},
        {"lean": D(-1)},
        {"min_interval_ms": -1},
    ],
)
def test_impossible_parameters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        attrs.evolve(PARAMS, **wrong)


# ---- whatever happens ----------------------------------------------------------------------------------------------

STEPS = st.one_of(
    st.tuples(st.just("quote"), st.integers(-300, 300), st.integers(1, 40)),
    st.tuples(st.just("wait"), st.integers(1, 400), st.just(0)),
    st.tuples(st.sampled_from(["ack", "fill", "part", "end", "reject", "refuse"]), st.integers(0, 7), st.just(0)),
    st.tuples(st.sampled_from(["gap", "proof"]), st.just(0), st.just(0)),
)


class World:
    """A venue that does what the steps say, and checks every order."""

    def __init__(self, bench: Bench, symbols: tuple[Symbol, ...]) -> None:
        self.bench = bench
        self.symbols = symbols
        self.mid = dict.fromkeys(symbols, 10_000)
        self.quotes: dict[Symbol, Quote] = {}
        self.gap = False
        self.acted: dict[tuple[Symbol, Side], int] = {}

    def step(self, what: str, number: int, width: int) -> None:
        bench = self.bench
        symbol = self.symbols[number % len(self.symbols)]
        live = bench.code.open_orders()
        order = bench.orders[live[number % len(live)].cl_ord_id] if live else None
        if what == "quote":
            self.mid[symbol] = max(100, self.mid[symbol] + number)
            shown = quote(D(self.mid[symbol] - width) / 100, D(self.mid[symbol] + width) / 100, symbol)
            self.quotes[symbol] = shown
            bench.tell(shown)
        elif what == "wait":
            bench.advance(number / 100)
        elif what == "gap":
            self.gap = True
            bench.open_gap(None)
            assert all(o.canceling or o.cancel_after_ns > bench.ctx.now_ns for o in bench.code.open_orders())
        elif what == "proof":
            self.gap = False
            bench.close_gap(None)
        elif order is not None:
            self._about(what, order)
        self.check()

    def _about(self, what: str, order: NewOrder) -> None:
        bench = self.bench
        left = order.order_qty - bench.cum.get(order.cl_ord_id, D(0))
        if what == "ack":
            bench.ack(order)
        elif what == "fill":
            bench.fill(order)
        elif what == "part" and left > D("0.00002"):
            bench.fill(order, D("0.00001"))
        elif what == "end":
            bench.end(order)
        elif what == "reject":
            bench.end(order, OrdStatus.REJECTED)
        elif what == "refuse" and not bench.cum.get(order.cl_ord_id):
            bench.refuse(order, OrdRejReason.OVERLOADED)

    def check(self) -> None:
        sent = [m for _, m in self.bench.ctx.sent if isinstance(m, NewOrder | CancelOrder)]
        cancels = self.bench.cancels()
        self.bench.ctx.sent = [(to, m) for to, m in self.bench.ctx.sent if isinstance(m, NewOrder)]
        for order in self.bench.new_orders():
            self._check_order(order)
        for item in sent:
            side = item.side if isinstance(item, NewOrder) else self.bench.orders[item.cl_ord_id].side
            if not self.gap:
                self._check_rate(item.symbol, side, isinstance(item, NewOrder))
        assert len({c.cl_ord_id for c in cancels}) == len(cancels)
        for symbol in self.symbols:
            open_sides = [order.side for order in self.bench.code.open_orders(symbol)]
            assert len(open_sides) == len(set(open_sides)), "at most one order a side"

    def _check_order(self, order: NewOrder) -> None:
        book, definition = self.quotes[order.symbol], self.bench.actor.instrument(order.symbol)
        assert not self.gap, "nothing is priced from a book that is not proven"
        assert order.price is not None
        assert definition.check_price(order.price) is None
        assert definition.check_qty(order.order_qty, OrdType.LIMIT) is None
        assert definition.check_notional(order.order_qty, order.price, OrdType.LIMIT) is None
        assert order.price < book.ask_px if order.side is Side.BUY else order.price > book.bid_px
        for other in self.bench.code.open_orders(order.symbol):
            if other.side is not order.side and other.price is not None:
                assert (other.price - order.price) * order.side.sign > 0, "it crossed its own order"
        value = self.bench.code.position(order.symbol).qty * order.side.sign * book.mid
        assert value <= PARAMS.max_position_notional

    def _check_rate(self, symbol: Symbol, side: Side, placed: bool) -> None:
        now_ns, key = self.bench.ctx.now_ns, (symbol, side)
        if placed:
            assert now_ns - self.acted.get(key, 0) >= PARAMS.min_interval_ms * 1_000_000
            self.acted[key] = now_ns


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, min_size=5, max_size=120), st.sampled_from(["0.01", "0.05", "1"]))
def test_it_never_crosses_never_breaks_a_filter_and_never_piles_up(
    steps: list[tuple[str, int, int]], tick: str
) -> None:
    async def play() -> None:
        symbols = (BTC, ETH)
        steps_of = (PriceStep(D(0), D(tick)),)
        bench = Bench(
            lambda: MarketMaker(PARAMS),
            symbols,
            instruments=[instrument(s, price_steps=steps_of, min_price=D(tick)) for s in symbols],
        )
        await bench.start()
        world = World(bench, symbols)
        for step in steps:
            world.step(*step)
        assert bench.ctx.monotonic_ns <= len(steps) * 4 * SECOND_NS

    trio.run(play)
